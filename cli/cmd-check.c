/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn check: find everything that is wrong with a volume, and mend what can be mended. Exit statuses are fsck's.
 */
#include "cli.h"

static struct {
	struct common_options common;
	struct uuid_option parent_uuid;
	bool repair, dry_run, force, rewrite_log, all, json;
} opt;

static const struct option_row options[] = {
	{"repair", NULL, &option_switch, &opt.repair, "mend what can be mended, after printing the plan"},
	{"dry-run", NULL, &option_switch, &opt.dry_run, "print the plan of a repair and change nothing"},
	{"force", NULL, &option_switch, &opt.force,
	 "also restore from a backup info block whose parent uuid is null; this may\n"
	 "bring back a volume that was destroyed on purpose"},
	{"rewrite-log", NULL, &option_switch, &opt.rewrite_log,
	 "convert flogs in slots 0 and 2 (Linux before 4.15) to slots 0 and 1"},
	{"parent-uuid", "U", &option_uuid, &opt.parent_uuid,
	 "uuid that the container has: other parent uuids are an error"},
	{"all", NULL, &option_switch, &opt.all, "print every finding, not only the first 100 of a kind"},
	JSON_OPTION(&opt.json),
	COMMON_OPTIONS(&opt.common),
	{NULL},
};

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_target_ struct target target = {.path = NULL};
	struct json_array array;
	struct check_request request = {
		.command = command->name,
		.parent_uuid = uuid_option_get(&opt.parent_uuid),
		.repair = opt.repair,
		.dry_run = opt.dry_run,
		.force = opt.force,
		.rewrite_log = opt.rewrite_log,
		.all = opt.all,
		.json = opt.json,
		.array = &array,
	};
	int status;

	(void)nargs;
	if ((opt.force || opt.rewrite_log) && !opt.repair && !opt.dry_run)
		return usage_error(command, "%s works with --repair or --dry-run only",
				   opt.force ? "--force" : "--rewrite-log");
	/* A repair holds the file for writing from the plan on, so that the plan stays true. */
	if (target_open_media(&target, args[0], &opt.common, !opt.repair || opt.dry_run) < 0)
		return CLI_FAILED;
	request.path = target.name;
	request.media = target.media;
	request.layout = target.layout;
	if (!request.parent_uuid)
		request.parent_uuid = target.parent_uuid;
	if (opt.json)
		json_array_begin(&array);
	status = check_volume(&request);
	if (opt.json)
		json_array_end(&array);
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "TARGET [--repair] [--dry-run] [--force] [--rewrite-log] [--parent-uuid U] [--json]",
	.summary = "find what is wrong with a volume, and repair it",
	.description =
		"Check every rule of the format in TARGET and print all findings: where, what is there, what should\n"
		"be, and what it endangers. Changes nothing without --repair. Exits with 0 when the volume is\n"
		"clean, 1 when errors were corrected, 4 when errors are left, 8 when it could not be checked, and\n"
		"16 when it was called wrongly.\n",
	.options = options,
	.examples = "  untorn check vol.img\n"
		    "  untorn check vol.img --dry-run\n"
		    "  untorn check vol.img --repair\n"
		    "  untorn check vol.img --json | jq '.[] | select(.type == \"finding\")'\n",
	.min_args = 1,
	.max_args = 1,
	.failure_status = FSCK_OPERATIONAL,
	.usage_status = FSCK_USAGE,
	.run = run,
};
