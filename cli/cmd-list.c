/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn list: buses, dimms, regions and namespaces as JSON. Opens read-only.
 *
 * One kind of device is an array of them. Of several kinds, what lies in another is a member of that: namespaces of regions,
 * everything of buses; kinds that no other holds become the members of one object. Devices come by ascending number.
 */
#include <getopt.h>
#include <string.h>

#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
	const char *mode;
	bool buses, dimms, regions, namespaces, dax, health, firmware;
	bool idle, configured, capabilities, media_errors, human;
	unsigned verbose;
} opt;

static int store_mode(const char *text, void *value)
{
	static const char *const words[] = {"raw", "sector", "safe", "fsdax", "memory", "devdax", "dax", NULL};

	return store_word(text, value, words);
}

static int store_node(const char *text, void *value)
{
	typeof(opt.filter.numa_node) *node = value;

	node->given = strcmp(text, "all") != 0;
	return node->given ? option_number.parse(text, &node->number) : 0;
}

static const struct option_type option_mode = {store_mode, "raw, sector, fsdax or devdax", required_argument};
static const struct option_type option_node = {store_node, "a number or 'all'", required_argument};

static const struct option_row options[] = {
	{"buses", NULL, &option_switch, &opt.buses, "show buses", 'B'},
	{"dimms", NULL, &option_switch, &opt.dimms, "show dimms", 'D'},
	{"regions", NULL, &option_switch, &opt.regions, "show regions", 'R'},
	{"namespaces", NULL, &option_switch, &opt.namespaces, "show namespaces (default)", 'N'},
	{"device-dax", NULL, &option_switch, &opt.dax, "show device DAX; there never is any", 'X'},
	{"idle", NULL, &option_switch, &opt.idle, "also devices that are not enabled", 'i'},
	{"configured", NULL, &option_switch, &opt.configured, "also namespaces with a size that are not enabled", 'c'},
	{"capabilities", NULL, &option_switch, &opt.capabilities, "modes and sector sizes of regions", 'C'},
	{"health", NULL, &option_switch, &opt.health, "accepted; files have no health", 'H'},
	{"firmware", NULL, &option_switch, &opt.firmware, "accepted; files have no firmware", 'F'},
	{"media-errors", NULL, &option_switch, &opt.media_errors, "accepted; files have no list of bad blocks", 'M'},
	{"human", NULL, &option_switch, &opt.human, "sizes with units, other numbers in hexadecimal", 'u'},
	{"verbose", NULL, &option_count, &opt.verbose,
	 "numa nodes and raw_uuid; twice: all kinds of devices; three times: idle ones\n"
	 "and capabilities, too",
	 'v'},
	{"bus", "BUS", &option_text, &opt.filter.bus, "only on this bus: ndbus0, 0 or its provider", 'b'},
	{"region", "REGION", &option_text, &opt.filter.region, "only of this region: region0 or 0", 'r'},
	{"dimm", "DIMM", &option_text, &opt.filter.dimm, "only what uses this dimm: nmem0 or 0", 'd'},
	{"namespace", "NS", &option_text, &opt.filter.namespace, "only this namespace: namespace0.0 or 0.0", 'n'},
	{"mode", "MODE", &option_mode, &opt.mode, "only namespaces in this mode: raw, sector, fsdax, devdax", 'm'},
	{"type", "TYPE", &option_region_type, &opt.filter.type, "only regions of this type: pmem, blk, volatile", 't'},
	{"numa-node", "N", &option_node, &opt.filter.numa_node, "only regions of this numa node", 'U'},
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

static unsigned json_flags(void)
{
	return (opt.human ? ND_HUMAN : 0) | (opt.verbose ? ND_VERBOSE : 0) | (opt.dimms ? ND_MAPPINGS : 0) |
	       (opt.capabilities ? ND_CAPABILITIES : 0);
}

/* ------------------------------------------------------------------- listing -------------------------------------- */

/* Add a list as a member of object, unless it is empty. Takes it. */
static void add_list(struct json_object *object, const char *name, struct json_object *list)
{
	if (json_object_array_length(list) > 0)
		json_add(object, name, list);
	else
		json_object_put(list);
}

/* "safe" and "sector", "memory" and "fsdax", "dax" and "devdax" are old and new words for the same. */
static bool mode_fits(struct untorn_device *ns)
{
	static const char *const pairs[][2] = {{"sector", "safe"}, {"fsdax", "memory"}, {"devdax", "dax"}};
	struct untorn_namespace_info info;
	const char *mode = opt.mode;

	if (!mode)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (strcmp(mode, pairs[i][0]) == 0)
			mode = pairs[i][1];
	return untorn_namespace_get_info(ns, &info) == 0 && strcmp(info.mode, mode) == 0;
}

static bool is_shown(struct untorn_device *ns)
{
	struct untorn_namespace_info info;

	if (!filter_namespace(&opt.filter, ns) || !mode_fits(ns) || untorn_namespace_get_info(ns, &info) < 0)
		return false;
	return opt.idle || (opt.configured && info.size > 0) || namespace_is_active(ns);
}

static void list_namespaces(struct untorn_device *region, struct json_object *list)
{
	_cleanup_device_ struct untorn_device *ns = NULL;

	while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &ns) == 0)
		if (is_shown(ns))
			json_list_add(list, namespace_to_json(ns, json_flags()));
}

/* Regions with their namespaces, or without regions namespaces alone. */
static void list_regions(const struct machine *machine, struct json_object *list)
{
	_cleanup_device_ struct untorn_device *region = NULL;
	struct json_object *object, *namespaces;

	while (untorn_device_next(machine->root, UNTORN_DEVICE_REGION, &region) == 0) {
		if (!filter_region(&opt.filter, region))
			continue;
		if (!opt.regions) {
			list_namespaces(region, list);
			continue;
		}
		if (!opt.idle && !untorn_device_driver(region))
			continue;
		object = region_to_json(region, json_flags());
		if (opt.namespaces) {
			namespaces = json_new_list();
			list_namespaces(region, namespaces);
			add_list(object, "namespaces", namespaces);
		}
		json_list_add(list, object);
	}
}

static void list_dimms(const struct machine *machine, struct json_object *list)
{
	_cleanup_device_ struct untorn_device *dimm = NULL;

	while (untorn_device_next(machine->root, UNTORN_DEVICE_DIMM, &dimm) == 0)
		if (filter_dimm(&opt.filter, dimm) && (opt.idle || untorn_device_driver(dimm)))
			json_list_add(list, dimm_to_json(dimm, json_flags()));
}

/* All kinds that are asked for as members of container. */
static void add_kinds(const struct machine *machine, struct json_object *container)
{
	struct json_object *list;

	if (opt.dimms) {
		list = json_new_list();
		list_dimms(machine, list);
		add_list(container, "dimms", list);
	}
	if (opt.regions || opt.namespaces) {
		list = json_new_list();
		list_regions(machine, list);
		add_list(container, opt.regions ? "regions" : "namespaces", list);
	}
}

/* The array that is printed. */
static struct json_object *list_all(const struct machine *machine)
{
	struct json_object *all = json_new_list(), *container;

	if (!filter_bus(&opt.filter, machine->root))
		return all;
	if (opt.buses || opt.dimms + opt.regions + opt.namespaces > 1) {
		container = opt.buses ? bus_to_json(machine->root) : json_new_object();
		add_kinds(machine, container);
		if (json_object_object_length(container) > 0)
			json_list_add(all, container);
		else
			json_object_put(container);
	} else if (opt.dimms) {
		list_dimms(machine, all);
	} else if (opt.regions || opt.namespaces) {
		list_regions(machine, all);
	}
	return all;
}

/* ------------------------------------------------------------------ the command ----------------------------------- */

/*
 * Without a kind: those that are filtered by, else namespaces. Two or more --verbose add all kinds, unless some are named,
 * which narrows the details to them.
 */
static void settle_kinds(void)
{
	const struct filter *filter = &opt.filter;
	bool named = opt.buses || opt.dimms || opt.regions || opt.namespaces || opt.dax;

	if (!named && opt.verbose > 1) {
		opt.buses = opt.dimms = opt.regions = opt.namespaces = true;
	} else if (!named) {
		opt.buses = filter->bus != NULL;
		opt.dimms = filter->dimm != NULL;
		opt.regions = filter->region != NULL;
		opt.namespaces = filter->namespace || (!opt.buses && !opt.dimms && !opt.regions);
	}
	opt.idle |= opt.verbose > 2;
	opt.capabilities |= opt.verbose > 2;
}

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	struct json_object *all;
	int r;

	(void)nargs;
	(void)args;
	settle_kinds();
	if (opt.health || opt.firmware)
		print_note("dimms made of files have no %s to show", opt.health ? "health" : "firmware");
	r = machine_open(&machine, command, &opt.platform, UNTORN_BUS_READ_ONLY);
	if (r < 0)
		return r;
	all = list_all(&machine);
	json_print_list(all, stdout);
	json_object_put(all);
	return CLI_OK;
}

const struct command cmd_list = {
	.name = "list",
	.synopsis = "--nvdimm DIMM... [-BDRN] [-i] [-u] [-v] [-r REGION] ...",
	.summary = "show buses, dimms, regions and namespaces as JSON",
	.description = "Show the devices of a platform as a JSON array, with the keys of ndctl. Without -B, -D, -R or "
		       "-N: the\n"
		       "namespaces that are enabled. Changes nothing.\n",
	.options = options,
	.examples = "  untorn list --nvdimm mem-path=nv0.img\n"
		    "  untorn list --nvdimm mem-path=nv0.img -DRNi\n"
		    "  untorn list --nvdimm mem-path=nv0.img --nvdimm mem-path=nv1.img -Ru -r region1\n"
		    "  untorn list --platform machine.json -N | jq -r '.[].blockdev'\n",
	.min_args = 0,
	.max_args = 0,
	.run = run,
};
