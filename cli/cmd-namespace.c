/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn enable-namespace, disable-namespace and destroy-namespace.
 *
 * A platform is up for the time of one command, and starts with everything enabled. So enabling and disabling do what they
 * say, and tell whether they could, but only destroying leaves a trace: first no info block is left that could bring a btt back
 * in the same range, then the labels go. A cut in between leaves a raw namespace.
 */
#include <string.h>

#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
	bool force;
	unsigned verbose;
} opt;

static const struct option_row plain_options[] = {
	NAMESPACE_OPTIONS(&opt.filter, &opt.verbose),
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

static const struct option_row destroy_options[] = {
	{"force", NULL, &option_switch, &opt.force, "also when it is active: disable it first", 'f'},
	NAMESPACE_OPTIONS(&opt.filter, &opt.verbose),
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

static int destroy(struct untorn_device *ns)
{
	const char *name = untorn_device_name(ns);
	struct untorn_namespace_info info;
	int r;

	r = untorn_namespace_get_info(ns, &info);
	if (r == 0 && namespace_is_active(ns) && !opt.force) {
		print_error("%s: it is active; --force disables and destroys it", name);
		return -EBUSY;
	}
	if (r == 0)
		r = namespace_check_writable(ns);
	if (r == 0)
		r = namespace_disable(ns);
	if (r == 0)
		r = namespace_wipe(ns);
	if (r == 0 && info.nstype != UNTORN_NSTYPE_IO) {
		r = untorn_namespace_set_size(ns, 0);
		if (r < 0)
			print_error("%s: its labels cannot be freed: %s", name, device_strerror(r));
	}
	return r;
}

/* What one command does to each namespace. */
struct verb {
	const char *done; /* "enabled" */
	int (*act)(struct untorn_device *ns);
};

/* "all" means those that have a size; one that is named must have one. */
static bool has_size(struct untorn_device *ns, bool is_named)
{
	struct untorn_namespace_info info;

	if (untorn_namespace_get_info(ns, &info) == 0 && info.size > 0)
		return true;
	if (is_named)
		print_error("%s: it is idle: it has no size", untorn_device_name(ns));
	return false;
}

/* Act on every one, also behind one that failed. */
static int act_on(const struct machine *machine, const struct verb *verb, int nargs, char **args)
{
	_cleanup_device_list_ struct device_list list = {.n = 0};
	bool all = nargs == 1 && strcmp(args[0], "all") == 0;
	int status = CLI_OK;
	size_t done = 0;

	if (select_devices(machine, UNTORN_DEVICE_NAMESPACE, &opt.filter, nargs, args, &list) < 0)
		return CLI_FAILED;
	for (size_t i = 0; i < list.n; i++) {
		if (!has_size(list.devices[i], !all)) {
			status = all ? status : CLI_FAILED;
			continue;
		}
		if (verb->act(list.devices[i]) < 0)
			status = CLI_FAILED;
		else
			done++;
	}
	print_count(verb->done, done, "namespace");
	return status;
}

static int run_verb(const struct command *command, const struct verb *verb, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	int r;

	r = machine_open(&machine, command, &opt.platform, 0);
	if (r < 0)
		return r;
	r = act_on(&machine, verb, nargs, args);
	return machine_close(&machine) < 0 ? CLI_FAILED : r;
}

static int run_enable(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"enabled", namespace_enable};

	return run_verb(command, &verb, nargs, args);
}

static int run_disable(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"disabled", namespace_disable};

	return run_verb(command, &verb, nargs, args);
}

static int run_destroy(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"destroyed", destroy};

	return run_verb(command, &verb, nargs, args);
}

const struct command cmd_enable_namespace = {
	.name = "enable-namespace",
	.synopsis = "NAMESPACE...|all --nvdimm DIMM... [-r REGION]",
	.summary = "see whether namespaces can be enabled",
	.description =
		"Bring namespaces up, as a boot does, and tell how many did. Interrupted writes of their volumes are\n"
		"finished by that. The state ends with the command.\n",
	.options = plain_options,
	.examples = "  untorn enable-namespace all --nvdimm mem-path=nv0.img\n",
	.operand = "a namespace, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_enable,
};

const struct command cmd_disable_namespace = {
	.name = "disable-namespace",
	.synopsis = "NAMESPACE...|all --nvdimm DIMM... [-r REGION]",
	.summary = "see whether namespaces can be disabled",
	.description =
		"Take namespaces down and tell how many went. The state ends with the command: the next one finds\n"
		"them enabled, as after a boot.\n",
	.options = plain_options,
	.examples = "  untorn disable-namespace namespace0.0 --nvdimm mem-path=nv0.img\n",
	.operand = "a namespace, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_disable,
};

const struct command cmd_destroy_namespace = {
	.name = "destroy-namespace",
	.synopsis = "NAMESPACE...|all --nvdimm DIMM... [-f] [-r REGION]",
	.summary = "destroy namespaces: wipe their info blocks, free their labels",
	.description =
		"Destroy namespaces: no info block is left that could bring a volume back, and the labels are freed.\n"
		"What has no labels keeps its size and becomes raw. Active namespaces are refused without --force.\n",
	.options = destroy_options,
	.examples = "  untorn destroy-namespace namespace0.1 -f --nvdimm mem-path=nv0.img\n"
		    "  untorn destroy-namespace all -f -r region0 --platform machine.json\n",
	.operand = "a namespace, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_destroy,
};
