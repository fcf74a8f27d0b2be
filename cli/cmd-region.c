/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn enable-region and disable-region. As with namespaces, the state ends with the command.
 */
#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
} opt;

static const struct option_row options[] = {
	{"bus", "BUS", &option_text, &opt.filter.bus, "only on this bus: ndbus0, 0 or its provider", 'b'},
	{"type", "TYPE", &option_region_type, &opt.filter.type, "only of this type: pmem, blk, volatile", 't'},
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

static int enable(struct untorn_device *region)
{
	int r = untorn_device_driver(region) ? 0 : untorn_device_enable(region);

	return r < 0 ? enable_failed(region, r) : 0;
}

static int run_verb(const struct command *command, const char *done_text, int (*act)(struct untorn_device *region),
		    int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	_cleanup_device_list_ struct device_list list = {.n = 0};
	size_t done = 0;
	int r;

	r = machine_open(&machine, command, &opt.platform, 0);
	if (r < 0)
		return r;
	if (select_devices(&machine, UNTORN_DEVICE_REGION, &opt.filter, nargs, args, &list) < 0)
		return CLI_FAILED;
	for (size_t i = 0; i < list.n; i++)
		done += act(list.devices[i]) == 0;
	print_count(done_text, done, "region");
	r = done == list.n ? CLI_OK : CLI_FAILED;
	cleanup_device_list(&list);
	return machine_close(&machine) < 0 ? CLI_FAILED : r;
}

static int run_enable(const struct command *command, int nargs, char **args)
{
	return run_verb(command, "enabled", enable, nargs, args);
}

static int run_disable(const struct command *command, int nargs, char **args)
{
	return run_verb(command, "disabled", region_disable, nargs, args);
}

const struct command cmd_enable_region = {
	.name = "enable-region",
	.synopsis = "REGION...|all --nvdimm DIMM... [-t TYPE]",
	.summary = "see whether regions can be enabled",
	.description =
		"Bring regions up with their namespaces, as a boot does, and tell how many did. The state ends with\n"
		"the command.\n",
	.options = options,
	.examples = "  untorn enable-region all --nvdimm mem-path=nv0.img\n",
	.operand = "a region, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_enable,
};

const struct command cmd_disable_region = {
	.name = "disable-region",
	.synopsis = "REGION...|all --nvdimm DIMM... [-t TYPE]",
	.summary = "see whether regions can be disabled",
	.description =
		"Take regions down, their namespaces first, and tell how many went. The state ends with the command:\n"
		"the next one finds them enabled, as after a boot.\n",
	.options = options,
	.examples = "  untorn disable-region region0 --nvdimm mem-path=nv0.img\n",
	.operand = "a region, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_disable,
};
