/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn check-namespace: what `untorn check` does, for namespaces in sector mode. Devices come up without their namespaces, so
 * that what is checked is what a cut left, and no write is finished behind the back of the check. Exit statuses are fsck's.
 */
#include <string.h>

#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
	bool repair, dry_run, rewrite_log, force, all;
	unsigned verbose;
} opt;

static const struct option_row options[] = {
	{"repair", NULL, &option_switch, &opt.repair, "mend what can be mended, after printing the plan", 'R'},
	{"rewrite-log", NULL, &option_switch, &opt.rewrite_log,
	 "with --repair: convert flogs in slots 0 and 2 (Linux before 4.15) to slots 0\n"
	 "and 1",
	 'L'},
	{"force", NULL, &option_switch, &opt.force,
	 "with --repair: also restore from a backup info block whose parent uuid is null;\n"
	 "namespaces are never active while this command runs",
	 'f'},
	{"dry-run", NULL, &option_switch, &opt.dry_run, "print the plan of a repair and change nothing"},
	{"all", NULL, &option_switch, &opt.all, "print every finding, not only the first 100 of a kind"},
	NAMESPACE_OPTIONS(&opt.filter, &opt.verbose),
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

/* Whether its label or its content says that it holds a volume, sound or damaged. */
static bool is_sector_mode(struct untorn_device *ns, struct untorn_media *media)
{
	struct untorn_namespace_info info;
	const char *what = NULL;

	if (untorn_namespace_get_info(ns, &info) < 0)
		return false;
	if (info.holder_class == UNTORN_CLASS_BTT || info.holder_class == UNTORN_CLASS_BTT2)
		return true;
	return untorn_btt_recognise(media, &what) == 0 && what;
}

/* Returns FSCK_... or CLI_FAILED after a sentence. */
static int check(const struct command *command, struct untorn_device *ns, bool is_named, size_t *checked)
{
	const char *name = untorn_device_name(ns);
	uint8_t parent_uuid[16];
	struct check_request request = {
		.command = command->name,
		.path = name,
		.parent_uuid = parent_uuid,
		.repair = opt.repair,
		.dry_run = opt.dry_run,
		.force = opt.force,
		.rewrite_log = opt.rewrite_log,
		.all = opt.all,
	};
	int r;

	if (opt.repair && !opt.dry_run && namespace_check_writable(ns) < 0)
		return CLI_FAILED;
	r = untorn_namespace_media(ns, &request.media);
	if (r == -ENXIO && !is_named)
		return FSCK_CLEAN;
	if (r < 0) {
		print_error("%s: %s", name, r == -ENXIO ? "it is idle: it has no size" : device_strerror(r));
		return CLI_FAILED;
	}
	r = untorn_namespace_btt_layout(ns, &request.layout, parent_uuid);
	if (r < 0) {
		print_error("%s: %s", name, device_strerror(r));
		r = CLI_FAILED;
	} else if (is_named || is_sector_mode(ns, request.media)) {
		r = check_volume(&request);
		*checked += r != CLI_FAILED;
	}
	untorn_media_close(request.media);
	return r;
}

static int check_all(const struct command *command, const struct machine *machine, int nargs, char **args)
{
	_cleanup_device_list_ struct device_list list = {.n = 0};
	bool is_named = nargs != 1 || strcmp(args[0], "all") != 0, failed = false;
	int status = FSCK_CLEAN;
	size_t checked = 0;

	if (select_devices(machine, UNTORN_DEVICE_NAMESPACE, &opt.filter, nargs, args, &list) < 0)
		return CLI_FAILED;
	for (size_t i = 0; i < list.n; i++) {
		int r = check(command, list.devices[i], is_named, &checked);

		failed |= r == CLI_FAILED;
		status |= r == CLI_FAILED ? 0 : r;
	}
	print_count("checked", checked, "namespace");
	return failed ? CLI_FAILED : status;
}

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	bool writes = opt.repair && !opt.dry_run;
	int r;

	r = machine_open(&machine, command, &opt.platform,
			 UNTORN_BUS_NO_AUTOPROBE | (writes ? 0 : UNTORN_BUS_READ_ONLY));
	if (r < 0)
		return r;
	r = check_all(command, &machine, nargs, args);
	return machine_close(&machine) < 0 ? CLI_FAILED : r;
}

const struct command cmd_check_namespace = {
	.name = "check-namespace",
	.synopsis = "NAMESPACE...|all --nvdimm DIMM... [-R] [-L] [-f] [--dry-run]",
	.summary = "find what is wrong with namespaces in sector mode, and repair it",
	.description =
		"Check the volume of each NAMESPACE as 'untorn check' does. Changes nothing without --repair. With\n"
		"'all', namespaces that hold no volume are passed over. Exits with 0 when all are clean, 1 when\n"
		"errors were corrected, 4 when errors are left, 8 when one could not be checked, and 16 when it was\n"
		"called wrongly.\n",
	.options = options,
	.examples = "  untorn check-namespace all --nvdimm mem-path=nv0.img\n"
		    "  untorn check-namespace namespace0.0 -R --nvdimm mem-path=nv0.img\n",
	.operand = "a namespace, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.failure_status = FSCK_OPERATIONAL,
	.usage_status = FSCK_USAGE,
	.run = run,
};
