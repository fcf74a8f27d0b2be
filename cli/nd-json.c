/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices as JSON objects: keys, their order and the types of values are those of ndctl 76, so that its users' scripts find
 * what they look for. A key whose value is not known, or is what everybody expects, is left out as there.
 */
#include <inttypes.h>
#include <string.h>
#include <uuid/uuid.h>

#include "nd.h"

/* ------------------------------------------------------------------ numbers --------------------------------------- */

/* Sizes from this on get a unit. */
#define HUMAN_SIZE (UINT64_C(5000) << 10)

/* The units for sizes below limit: of powers of 1024 and of 1000. */
static const struct {
	uint64_t limit, binary;
	double decimal;
	const char *binary_name, *decimal_name;
} units[] = {
	{UINT64_C(2) << 30, UINT64_C(1) << 20, 1e6, "MiB", "MB"},
	{UINT64_C(2) << 40, UINT64_C(1) << 30, 1e9, "GiB", "GB"},
	{UINT64_MAX, UINT64_C(1) << 40, 1e12, "TiB", "TB"},
};

void json_add_size(struct json_object *object, const char *name, uint64_t size, unsigned flags)
{
	char text[64];
	size_t i = 0;

	if (!(flags & ND_HUMAN) || size < HUMAN_SIZE) {
		json_add_u64(object, name, size);
		return;
	}
	while (i + 1 < ARRAY_SIZE(units) && size >= units[i].limit)
		i++;
	snprintf(text, sizeof(text), "%.2f %s (%.2f %s)", (double)size / (double)units[i].binary, units[i].binary_name,
		 (double)size / units[i].decimal, units[i].decimal_name);
	json_add_text(object, name, text);
}

void json_add_hex(struct json_object *object, const char *name, uint64_t value, unsigned flags)
{
	char text[24];

	if (!(flags & ND_HUMAN)) {
		json_add_u64(object, name, value);
		return;
	}
	snprintf(text, sizeof(text), "%#" PRIx64, value);
	json_add_text(object, name, text);
}

void json_add_any_uuid(struct json_object *object, const char *name, const uint8_t uuid[16])
{
	char text[UUID_STR_LEN];

	uuid_unparse_lower(uuid, text);
	json_add_text(object, name, text);
}

static void add_nodes(struct json_object *object, int numa_node, int target_node, unsigned flags)
{
	if ((flags & ND_VERBOSE) && numa_node >= 0)
		json_add_u64(object, "numa_node", (uint64_t)numa_node);
	if ((flags & ND_VERBOSE) && target_node >= 0)
		json_add_u64(object, "target_node", (uint64_t)target_node);
}

static void add_disabled(struct json_object *object, bool active)
{
	if (!active)
		json_add_text(object, "state", "disabled");
}

/* ------------------------------------------------------------------- bus, dimm ------------------------------------ */

struct json_object *bus_to_json(struct untorn_device *bus)
{
	struct json_object *object = json_new_object();

	json_add_text(object, "provider", read_attr(bus, "provider").text);
	json_add_text(object, "dev", untorn_device_name(bus));
	return object;
}

struct json_object *dimm_to_json(struct untorn_device *dimm, unsigned flags)
{
	struct json_object *object = json_new_object();
	struct untorn_dimm_info info;

	json_add_text(object, "dev", untorn_device_name(dimm));
	if (untorn_dimm_get_info(dimm, &info) < 0)
		return object;
	if (*info.unique_id)
		json_add_text(object, "id", info.unique_id);
	json_add_hex(object, "handle", info.handle, flags);
	json_add_hex(object, "phys_id", info.phys_id, flags);
	add_disabled(object, info.bound);
	if (info.unarmed)
		json_add_bool(object, "flag_failed_arm", true);
	return object;
}

/* ------------------------------------------------------------------- region --------------------------------------- */

static struct json_object *mappings_to_json(struct untorn_device *region, unsigned flags)
{
	struct json_object *list = json_new_list();
	struct untorn_mapping_info mapping;

	for (unsigned i = 0; untorn_region_get_mapping(region, i, &mapping) == 0; i++) {
		struct json_object *object = json_new_object();

		json_add_text(object, "dimm", mapping.dimm);
		json_add_hex(object, "offset", mapping.start, flags);
		json_add_hex(object, "length", mapping.size, flags);
		json_add_u64(object, "position", (uint64_t)mapping.position);
		json_list_add(list, object);
	}
	return list;
}

/* Sector mode with the sizes that the btt seed takes; none without a seed. */
static void add_capabilities(struct json_object *object, struct untorn_device *region)
{
	_cleanup_device_ struct untorn_device *seed = NULL;
	struct json_object *list, *capability, *sizes;
	const uint32_t *values;
	size_t n;

	if (untorn_region_btt_seed(region, &seed) < 0 || untorn_btt_device_sector_sizes(seed, &values, &n) < 0)
		return;
	list = json_new_list();
	capability = json_new_object();
	sizes = json_new_list();
	for (size_t i = 0; i < n; i++)
		json_list_add(sizes, json_object_new_uint64(values[i]));
	json_add_text(capability, "mode", "sector");
	json_add(capability, "sector_sizes", sizes);
	json_list_add(list, capability);
	json_add(object, "capabilities", list);
}

struct json_object *region_to_json(struct untorn_device *region, unsigned flags)
{
	struct json_object *object = json_new_object();
	struct untorn_region_info info;
	struct attr_value domain;

	json_add_text(object, "dev", untorn_device_name(region));
	if (untorn_region_get_info(region, &info) < 0)
		return object;
	/* As ndctl: without labels, the one namespace has all of it. */
	if (info.nstype == UNTORN_NSTYPE_IO)
		info.available_size = info.max_available_extent = 0;
	json_add_size(object, "size", info.size, flags);
	json_add_size(object, "align", info.align, flags);
	json_add_size(object, "available_size", info.available_size, flags);
	json_add_size(object, "max_available_extent", info.max_available_extent, flags);
	json_add_text(object, "type", region_type(&info));
	add_nodes(object, info.numa_node, info.target_node, flags);
	if (info.nstype == UNTORN_NSTYPE_PMEM)
		json_add_hex(object, "iset_id", info.set_cookie, flags);
	if (flags & ND_MAPPINGS)
		json_add(object, "mappings", mappings_to_json(region, flags));
	add_disabled(object, info.bound);
	if (flags & ND_CAPABILITIES)
		add_capabilities(object, region);
	domain = read_attr(region, "persistence_domain");
	json_add_text(object, "persistence_domain", *domain.text ? domain.text : "unknown");
	return object;
}

/* ------------------------------------------------------------------ namespace ------------------------------------- */

/* A namespace, the btt on it if there is one, and the disk of either. */
struct view {
	struct untorn_namespace_info info;
	struct untorn_btt_device_info btt_info;
	bool has_btt, active;
	int numa_node, target_node;
	struct untorn_disk_info disk; /* name "": none */
};

static int look_at(struct untorn_device *ns, struct view *view)
{
	_cleanup_device_ struct untorn_device *btt = NULL, *region = NULL;
	struct untorn_region_info region_info;
	int r;

	*view = (struct view){.numa_node = -1, .target_node = -1};
	r = untorn_namespace_get_info(ns, &view->info);
	if (r < 0)
		return r;
	view->has_btt = namespace_btt(ns, &btt) == 0 && untorn_btt_device_get_info(btt, &view->btt_info) == 0;
	view->active = namespace_is_active(ns);
	device_disk(view->has_btt ? btt : ns, &view->disk);
	if (untorn_device_parent(ns, &region) == 0 && untorn_region_get_info(region, &region_info) == 0) {
		view->numa_node = region_info.numa_node;
		view->target_node = region_info.target_node;
	}
	return 0;
}

/* ndctl shows the uuid of what is used: of the btt, and of the namespace below it only to those who want details. */
static void add_uuids(struct json_object *object, const struct view *view, unsigned flags)
{
	bool has_label = view->info.nstype != UNTORN_NSTYPE_IO;

	if (view->has_btt)
		json_add_any_uuid(object, "uuid", view->btt_info.uuid);
	else if (has_label)
		json_add_any_uuid(object, "uuid", view->info.uuid);
	if (view->has_btt && has_label && (flags & ND_VERBOSE))
		json_add_any_uuid(object, "raw_uuid", view->info.uuid);
}

struct json_object *namespace_to_json(struct untorn_device *ns, unsigned flags)
{
	struct json_object *object = json_new_object();
	struct view view;
	uint64_t sector_size;

	json_add_text(object, "dev", untorn_device_name(ns));
	if (look_at(ns, &view) < 0)
		return object;
	sector_size = view.has_btt ? view.btt_info.sector_size : view.info.sector_size;
	json_add_text(object, "mode", namespace_mode(&view.info));
	if (!view.has_btt || view.btt_info.bound)
		json_add_size(object, "size", view.has_btt ? view.btt_info.size : view.info.size, flags);
	add_uuids(object, &view, flags);
	json_add_u64(object, "sector_size", sector_size ? sector_size : 512);
	if (*view.disk.name)
		json_add_text(object, "blockdev", view.disk.name);
	add_disabled(object, view.active);
	if (*view.info.alt_name)
		json_add_text(object, "name", view.info.alt_name);
	add_nodes(object, view.numa_node, view.target_node, flags);
	return object;
}
