/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which devices a command means: filters in the words of ndctl, and devices by name.
 */
#include <getopt.h>
#include <string.h>

#include "nd.h"

/* Names of one type begin alike: "region" and a number. */
static const struct {
	const char *prefix, *noun, *hint;
} types[] = {
	[UNTORN_DEVICE_BUS] = {"ndbus", "bus", "-B"},
	[UNTORN_DEVICE_DIMM] = {"nmem", "DIMM", "-Di"},
	[UNTORN_DEVICE_REGION] = {"region", "region", "-Ri"},
	[UNTORN_DEVICE_NAMESPACE] = {"namespace", "namespace", "-Ni"},
	[UNTORN_DEVICE_BTT] = {"btt", "btt", "-Ni"},
};

/* ------------------------------------------------------------------ options --------------------------------------- */

int store_word(const char *text, const char **value, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0) {
			*value = *words;
			return 0;
		}
	}
	return -EINVAL;
}

static int store_region_type(const char *text, void *value)
{
	static const char *const words[] = {"pmem", "blk", "volatile", NULL};

	return store_word(text, value, words);
}

const struct option_type option_region_type = {store_region_type, "pmem, blk or volatile", required_argument};

/* ------------------------------------------------------------------- facts ---------------------------------------- */

const char *region_type(const struct untorn_region_info *info)
{
	switch (info->kind) {
	case UNTORN_REGION_PMEM:
		return "pmem";
	case UNTORN_REGION_BLK:
		return "blk";
	default:
		return "volatile";
	}
}

struct attr_value read_attr(struct untorn_device *device, const char *name)
{
	struct attr_value value = {""};
	size_t len;

	if (untorn_attr_show(device, name, value.text, sizeof(value.text) - 1, &len) < 0)
		len = 0;
	value.text[len < sizeof(value.text) ? len : sizeof(value.text) - 1] = '\0';
	value.text[strcspn(value.text, "\n")] = '\0';
	return value;
}

void device_disk(struct untorn_device *device, struct untorn_disk_info *ret_info)
{
	struct untorn_disk *disk;

	*ret_info = (struct untorn_disk_info){.name = ""};
	if (untorn_disk_open(device, &disk) < 0)
		return;
	untorn_disk_get_info(disk, ret_info);
	untorn_disk_close(disk);
}

const char *namespace_mode(const struct untorn_namespace_info *info)
{
	static const char *const modes[][2] = {{"safe", "sector"}, {"memory", "fsdax"}, {"dax", "devdax"}};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(info->mode, modes[i][0]) == 0)
			return modes[i][1];
	return "raw";
}

bool region_has_dimm(struct untorn_device *region, struct untorn_device *dimm)
{
	struct untorn_mapping_info mapping;

	for (unsigned i = 0; untorn_region_get_mapping(region, i, &mapping) == 0; i++)
		if (strcmp(mapping.dimm, untorn_device_name(dimm)) == 0)
			return true;
	return false;
}

int namespace_btt(struct untorn_device *ns, struct untorn_device **ret_btt)
{
	struct untorn_device *holder;
	int r = untorn_namespace_holder(ns, &holder);

	if (r < 0)
		return r;
	if (untorn_device_type(holder) != UNTORN_DEVICE_BTT) {
		untorn_device_put(holder);
		return -ENOENT;
	}
	*ret_btt = holder;
	return 0;
}

bool namespace_is_active(struct untorn_device *ns)
{
	_cleanup_device_ struct untorn_device *btt = NULL;

	return untorn_device_driver(namespace_btt(ns, &btt) == 0 ? btt : ns) != NULL;
}

/* ------------------------------------------------------------------ filters --------------------------------------- */

static bool word_is(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(word, text, len) == 0;
}

/* Whether one word of len characters is the name, or what follows the prefix of the name. */
static bool word_names(const char *word, size_t len, const char *prefix, const char *name)
{
	return word_is(word, len, name) || word_is(word, len, name + strlen(prefix));
}

/* No words: everything fits. */
static bool words_fit(const char *words, const char *prefix, const char *name)
{
	size_t len;

	if (!words)
		return true;
	for (; *words; words += len) {
		words += strspn(words, " ,");
		len = strcspn(words, " ,");
		if (len > 0 && (word_is(words, len, "all") || word_names(words, len, prefix, name)))
			return true;
	}
	return false;
}

static bool name_fits(const char *words, struct untorn_device *device)
{
	return words_fit(words, types[untorn_device_type(device)].prefix, untorn_device_name(device));
}

/* Whether a child of the type fits the words. */
static bool child_fits(struct untorn_device *parent, enum untorn_device_type type, const char *words)
{
	_cleanup_device_ struct untorn_device *child = NULL;

	while (untorn_device_next(parent, type, &child) == 0)
		if (name_fits(words, child))
			return true;
	return false;
}

bool filter_bus(const struct filter *filter, struct untorn_device *bus)
{
	return name_fits(filter->bus, bus) || words_fit(filter->bus, "", read_attr(bus, "provider").text);
}

bool filter_region(const struct filter *filter, struct untorn_device *region)
{
	struct untorn_region_info info;
	struct untorn_mapping_info mapping;
	bool fits = !filter->dimm;

	if (untorn_region_get_info(region, &info) < 0 || !name_fits(filter->region, region) ||
	    (filter->type && strcmp(filter->type, region_type(&info)) != 0) ||
	    (filter->numa_node.given && (uint64_t)info.numa_node != filter->numa_node.number) ||
	    (filter->namespace && !child_fits(region, UNTORN_DEVICE_NAMESPACE, filter->namespace)))
		return false;
	for (unsigned i = 0; !fits && untorn_region_get_mapping(region, i, &mapping) == 0; i++)
		fits = words_fit(filter->dimm, types[UNTORN_DEVICE_DIMM].prefix, mapping.dimm);
	return fits;
}

bool filter_dimm(const struct filter *filter, struct untorn_device *dimm)
{
	_cleanup_device_ struct untorn_device *bus = NULL, *region = NULL;

	if (!name_fits(filter->dimm, dimm))
		return false;
	if (!filter->region && !filter->namespace && !filter->type && !filter->numa_node.given)
		return true;
	if (untorn_device_parent(dimm, &bus) < 0)
		return false;
	while (untorn_device_next(bus, UNTORN_DEVICE_REGION, &region) == 0)
		if (region_has_dimm(region, dimm) && filter_region(filter, region))
			return true;
	return false;
}

bool filter_namespace(const struct filter *filter, struct untorn_device *ns)
{
	return name_fits(filter->namespace, ns);
}

/* ------------------------------------------------------------------- lists ---------------------------------------- */

void device_list_add(struct device_list *list, struct untorn_device *device)
{
	struct untorn_device **devices = reallocarray(list->devices, list->n + 1, sizeof(struct untorn_device *));

	if (!devices)
		command_die(untorn_strerror(ENOMEM));
	devices[list->n++] = untorn_device_get(device);
	list->devices = devices;
}

void cleanup_device_list(struct device_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		untorn_device_put(list->devices[i]);
	free(list->devices);
	*list = (struct device_list){.n = 0};
}

void collect_devices(const struct machine *machine, enum untorn_device_type type, const struct filter *filter,
		     struct device_list *list)
{
	_cleanup_device_ struct untorn_device *device = NULL, *ns = NULL;
	bool is_dimm = type == UNTORN_DEVICE_DIMM;

	if (!filter_bus(filter, machine->root))
		return;
	while (untorn_device_next(machine->root, is_dimm ? type : UNTORN_DEVICE_REGION, &device) == 0) {
		if (!(is_dimm ? filter_dimm : filter_region)(filter, device))
			continue;
		if (type != UNTORN_DEVICE_NAMESPACE)
			device_list_add(list, device);
		while (type == UNTORN_DEVICE_NAMESPACE && untorn_device_next(device, type, &ns) == 0)
			if (filter_namespace(filter, ns))
				device_list_add(list, ns);
	}
}

/* ------------------------------------------------------------------- names ---------------------------------------- */

static int refuse_name(enum untorn_device_type type, const char *name, int err)
{
	if (err == -ENOTUNIQ)
		print_error("'%s' is the name of several namespaces; use namespaceX.Y or a uuid", name);
	else if (err == -ENODEV)
		print_error("there is no %s '%s'; 'untorn list %s' shows what there is", types[type].noun, name,
			    types[type].hint);
	else
		print_error("'%s' cannot be found: %s", name, device_strerror(err));
	return err;
}

int select_device(const struct machine *machine, enum untorn_device_type type, const char *name,
		  struct untorn_device **ret_device)
{
	static const struct filter everything;
	_cleanup_device_list_ struct device_list all = {.n = 0};
	int r = -ENODEV;

	collect_devices(machine, type, &everything, &all);
	for (size_t i = 0; i < all.n; i++) {
		if (word_names(name, strlen(name), types[type].prefix, untorn_device_name(all.devices[i]))) {
			*ret_device = untorn_device_get(all.devices[i]);
			return 0;
		}
	}
	if (type == UNTORN_DEVICE_NAMESPACE)
		r = untorn_bus_find_namespace(machine->bus, name, ret_device);
	return r < 0 ? refuse_name(type, name, r) : 0;
}

int select_devices(const struct machine *machine, enum untorn_device_type type, const struct filter *filter, int nargs,
		   char **args, struct device_list *ret_list)
{
	struct device_list list = {.n = 0};

	for (int i = 0; i < nargs; i++) {
		_cleanup_device_ struct untorn_device *device = NULL;
		int r;

		if (strcmp(args[i], "all") == 0) {
			collect_devices(machine, type, filter, &list);
			continue;
		}
		r = select_device(machine, type, args[i], &device);
		if (r < 0) {
			cleanup_device_list(&list);
			return r;
		}
		device_list_add(&list, device);
	}
	*ret_list = list;
	return 0;
}
