/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: what they are, and their attributes. docs/DEVICES.md 8.
 *
 * A region may be read while nothing is bound; what needs label data then says 0. A region's mappings never change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define ALIGN_DEFAULT (16u << 20) /* bytes */

/* ------------------------------------------------------------------- what it is ------------------------------------------- */

bool region_is_memory(const struct region *region)
{
	return region->kind != UNTORN_REGION_BLK;
}

enum untorn_nstype region_nstype(struct region *region)
{
	if (region->bound_nstype)
		return region->bound_nstype;
	if (!region_is_memory(region))
		return UNTORN_NSTYPE_BLK;
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (region->mappings[i].dimm->labelling)
			return UNTORN_NSTYPE_PMEM;
	}
	return UNTORN_NSTYPE_IO;
}

bool region_dimms_bound(struct region *region)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (!dimm_is_enabled(region->mappings[i].dimm))
			return false;
	}
	return true;
}

bool region_is_locked(struct region *region)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (region->mappings[i].dimm->locked)
			return true;
	}
	return false;
}

int region_label_set(struct region *region, struct untorn_label_mapping *mappings, struct untorn_label_set *ret_set)
{
	struct untorn_label_set set = {
		.kind = region_is_memory(region) ? UNTORN_LABEL_SET_PMEM : UNTORN_LABEL_SET_BLK,
		.mappings = mappings,
		.nmapping = region->nmapping,
		.cookies = region->cookies,
	};

	if (region->nmapping == 0)
		return -ENXIO;
	for (unsigned i = 0; i < region->nmapping; i++) {
		struct region_mapping *mapping = &region->mappings[i];

		if (!device_is_bound(&mapping->dimm->dev) || !mapping->dimm->area)
			return -ENXIO;
		mappings[i] = (struct untorn_label_mapping){
			.area = mapping->dimm->area, .dpa = mapping->start, .size = mapping->size};
	}
	memcpy(set.type_guid, region->type_guid, sizeof(set.type_guid));
	*ret_set = set;
	return 0;
}

/* The cookie of the labels that there are. With the first dimm unbound it is not known which, and v1.1 is shown. */
static uint64_t set_cookie(struct region *region)
{
	const struct dimm *first = region->nmapping > 0 ? region->mappings[0].dimm : NULL;
	struct untorn_label_area_info info;

	if (!first || !first->area || !device_is_bound(&first->dev))
		return region->cookies.v1_1;
	untorn_label_get_info(first->area, &info);
	return info.version == UNTORN_LABEL_V1_1 ? region->cookies.v1_1 : region->cookies.v1_2;
}

/* Bytes are durable without a flush, with one, or it is not known: by the weakest memory of its dimms. */
static const char *persistence_domain(const struct region *region)
{
	const char *domain = region->nmapping > 0 ? "cpu_cache" : NULL;

	for (unsigned i = 0; i < region->nmapping; i++) {
		switch (untorn_media_kind(region->mappings[i].dimm->platform->media)) {
		case UNTORN_MEDIA_BYTE:
			break;
		case UNTORN_MEDIA_CACHELINE:
			domain = "memory_controller";
			break;
		default:
			return NULL;
		}
	}
	return domain;
}

static bool has_available_size(struct region *region)
{
	return region_nstype(region) != UNTORN_NSTYPE_IO || (region_is_memory(region) && region->platform->has_iset);
}

static int range_index(const struct region *region)
{
	return 2 * ((int)region->index + 1);
}

/* ------------------------------------------------------------------- shows ------------------------------------------------ */

static int show_size(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%" PRIu64 "\n", to_region(device)->size);
	return 0;
}

static int show_align(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	attr_printf(text, "0x%" PRIx64 "\n", to_region(device)->align);
	bus_unlock(device->bus);
	return 0;
}

static int show_nstype(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	attr_printf(text, "%d\n", region_nstype(to_region(device)));
	bus_unlock(device->bus);
	return 0;
}

static int show_mappings(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%u\n", to_region(device)->nmapping);
	return 0;
}

static int show_mapping(struct untorn_device *device, struct attr_text *text)
{
	unsigned i = text->attr->arg;
	const struct region_mapping *mapping = &to_region(device)->mappings[i];

	attr_printf(text, "%s,%" PRIu64 ",%" PRIu64 ",%u\n", mapping->dimm->dev.name, mapping->start, mapping->size, i);
	return 0;
}

static int show_set_cookie(struct untorn_device *device, struct attr_text *text)
{
	bus_lock_idle(device->bus);
	attr_printf(text, "0x%" PRIx64 "\n", set_cookie(to_region(device)));
	bus_unlock(device->bus);
	return 0;
}

static int show_available_size(struct untorn_device *device, struct attr_text *text)
{
	bus_lock_idle(device->bus);
	attr_printf(text, "%" PRIu64 "\n", region_available_size(to_region(device)));
	bus_unlock(device->bus);
	return 0;
}

static int show_max_available_extent(struct untorn_device *device, struct attr_text *text)
{
	bus_lock_idle(device->bus);
	attr_printf(text, "%" PRIu64 "\n", region_max_available_extent(to_region(device)));
	bus_unlock(device->bus);
	return 0;
}

static void print_name(struct attr_text *text, const struct untorn_device *device)
{
	attr_printf(text, "%s\n", device ? device->name : "");
}

static int show_namespace_seed(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	print_name(text, to_region(device)->namespace_seed);
	bus_unlock(device->bus);
	return 0;
}

static int show_btt_seed(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	print_name(text, to_region(device)->btt_seed);
	bus_unlock(device->bus);
	return 0;
}

/* pfn_seed and dax_seed: page-mapped modes are not offered. */
static int show_no_seed(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	print_name(text, NULL);
	return 0;
}

static int show_init_namespaces(struct untorn_device *device, struct attr_text *text)
{
	const struct region *region = to_region(device);
	int r = 0;

	bus_lock(device->bus);
	if (region->ns_count > 0)
		attr_printf(text, "%d/%d\n", region->ns_active, region->ns_count);
	else
		r = -ENXIO; /* not bound */
	bus_unlock(device->bus);
	return r;
}

static int show_read_only(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	attr_printf(text, "%d\n", to_region(device)->read_only);
	bus_unlock(device->bus);
	return 0;
}

/* No dimm has flush hints: what is stored is as deep as it gets. */
static int show_deep_flush(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "0\n");
	return 0;
}

/* None is ever known beforehand; access to bad memory fails when it happens. */
static int show_badblocks(struct untorn_device *device, struct attr_text *text)
{
	(void)text;
	return device_is_bound(device) ? 0 : -ENXIO;
}

static int show_resource(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "0x%" PRIx64 "\n", to_region(device)->platform->resource);
	return 0;
}

static int show_persistence_domain(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%s\n", persistence_domain(to_region(device)));
	return 0;
}

static int show_range_index(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%d\n", range_index(to_region(device)));
	return 0;
}

/* ------------------------------------------------------------------- stores ----------------------------------------------- */

static bool is_region(const struct untorn_device *device)
{
	return device->kind->type == UNTORN_DEVICE_REGION;
}

int untorn_region_set_align(struct untorn_device *device, uint64_t align)
{
	struct region *region = to_region(device);
	uint64_t share;
	int r;

	if (!is_region(device))
		return -EINVAL;
	if (region->nmapping == 0)
		return -ENXIO;
	share = align / region->nmapping;
	if (align % region->nmapping != 0 || share < PAGE || __builtin_popcountll(share) != 1 || align > region->size)
		return -EINVAL;
	r = device_lock_reconfig(device);
	if (r < 0)
		return r;
	region->align = align;
	device_unlock_reconfig(device);
	return 0;
}

static int store_align(struct untorn_device *device, const char *text)
{
	uint64_t align = 0;
	int r = parse_unsigned(text, &align);

	return r < 0 ? r : untorn_region_set_align(device, align);
}

/* The disks of the region's children follow it, those that are open too. */
static void push_read_only(struct untorn_device *device, bool read_only)
{
	struct untorn_device *child = NULL;

	while (untorn_device_next(device, UNTORN_DEVICE_NAMESPACE, &child) == 0) {
		if (device_lock(child) < 0)
			continue;
		if (to_namespace(child)->disk)
			disk_set_read_only(to_namespace(child)->disk, read_only);
		device_unlock(child);
	}
	while (untorn_device_next(device, UNTORN_DEVICE_BTT, &child) == 0) {
		if (device_lock(child) < 0)
			continue;
		btt_set_read_only(to_btt(child), read_only);
		device_unlock(child);
	}
}

int untorn_region_set_read_only(struct untorn_device *device, bool read_only)
{
	int r;

	if (!is_region(device))
		return -EINVAL;
	if (!read_only && (device->bus->flags & UNTORN_BUS_READ_ONLY))
		return -EROFS;
	/* The device lock, so that of two calls the later one has its way with every disk. */
	r = device_lock_reconfig(device);
	if (r < 0)
		return r;
	to_region(device)->read_only = read_only;
	bus_unlock(device->bus);
	push_read_only(device, read_only);
	device_unlock(device);
	return 0;
}

static int store_read_only(struct untorn_device *device, const char *text)
{
	bool read_only = false;
	int r = parse_bool(text, &read_only);

	return r < 0 ? r : untorn_region_set_read_only(device, read_only);
}

/* ------------------------------------------------------------------- table ------------------------------------------------ */

static mode_t if_memory(struct untorn_device *device, const struct attr *attr)
{
	return region_is_memory(to_region(device)) ? attr->mode : 0;
}

static mode_t if_mapping(struct untorn_device *device, const struct attr *attr)
{
	return attr->arg < to_region(device)->nmapping ? attr->mode : 0;
}

static mode_t if_iset(struct untorn_device *device, const struct attr *attr)
{
	return to_region(device)->platform->has_iset ? if_memory(device, attr) : 0;
}

static mode_t if_available_size(struct untorn_device *device, const struct attr *attr)
{
	mode_t mode;

	bus_lock(device->bus);
	mode = has_available_size(to_region(device)) ? attr->mode : 0;
	bus_unlock(device->bus);
	return mode;
}

static mode_t if_dimms(struct untorn_device *device, const struct attr *attr)
{
	return to_region(device)->nmapping > 0 ? attr->mode : 0;
}

static mode_t if_persistence_domain(struct untorn_device *device, const struct attr *attr)
{
	return persistence_domain(to_region(device)) ? attr->mode : 0;
}

#define MAPPING(n)                                                                                        \
	{                                                                                                 \
		.name = "mapping" #n, .mode = 0444, .visible = if_mapping, .show = show_mapping, .arg = n \
	}

static const struct attr region_attrs[] = {
	{.name = "align", .mode = 0644, .show = show_align, .store = store_align},
	{.name = "available_size", .mode = 0444, .visible = if_available_size, .show = show_available_size},
	{.name = "badblocks", .mode = 0444, .visible = if_memory, .show = show_badblocks},
	{.name = "btt_seed", .mode = 0444, .show = show_btt_seed},
	{.name = "dax_seed", .mode = 0444, .visible = if_memory, .show = show_no_seed},
	{.name = "deep_flush", .mode = 0444, .visible = if_dimms, .show = show_deep_flush},
	{.name = "devtype", .mode = 0444, .show = attr_show_devtype},
	{.name = "init_namespaces", .mode = 0444, .show = show_init_namespaces},
	MAPPING(0),
	MAPPING(1),
	MAPPING(2),
	MAPPING(3),
	MAPPING(4),
	MAPPING(5),
	MAPPING(6),
	MAPPING(7),
	MAPPING(8),
	MAPPING(9),
	MAPPING(10),
	MAPPING(11),
	MAPPING(12),
	MAPPING(13),
	MAPPING(14),
	MAPPING(15),
	MAPPING(16),
	MAPPING(17),
	MAPPING(18),
	MAPPING(19),
	MAPPING(20),
	MAPPING(21),
	MAPPING(22),
	MAPPING(23),
	MAPPING(24),
	MAPPING(25),
	MAPPING(26),
	MAPPING(27),
	MAPPING(28),
	MAPPING(29),
	MAPPING(30),
	MAPPING(31),
	{.name = "mappings", .mode = 0444, .show = show_mappings},
	{.name = "max_available_extent", .mode = 0444, .show = show_max_available_extent},
	{.name = "modalias", .mode = 0444, .show = attr_show_modalias},
	ATTR_UEVENT,
	{.name = "namespace_seed", .mode = 0444, .show = show_namespace_seed},
	{.name = "nstype", .mode = 0444, .show = show_nstype},
	ATTR_NUMA_NODE,
	{.name = "persistence_domain", .mode = 0444, .visible = if_persistence_domain, .show = show_persistence_domain},
	{.name = "pfn_seed", .mode = 0444, .visible = if_memory, .show = show_no_seed},
	{.name = "read_only", .mode = 0644, .show = show_read_only, .store = store_read_only},
	{.name = "resource", .mode = 0400, .visible = if_memory, .show = show_resource},
	{.name = "set_cookie", .mode = 0444, .visible = if_iset, .show = show_set_cookie},
	{.name = "size", .mode = 0444, .show = show_size},
	ATTR_TARGET_NODE,
	{.name = "nfit/range_index", .mode = 0444, .show = show_range_index},
	{.name = NULL},
};

/* ------------------------------------------------------------------- life ------------------------------------------------- */

static void region_release(struct untorn_device *device)
{
	struct region *region = to_region(device);

	for (unsigned i = 0; i < region->nmapping; i++)
		untorn_device_put(&region->mappings[i].dimm->dev);
	id_pool_done(&region->ns_ids);
	id_pool_done(&region->btt_ids);
	free(region);
}

static const struct device_kind region_kinds[] = {
	[UNTORN_REGION_PMEM] = {UNTORN_DEVICE_REGION, "nd_pmem", region_attrs, .release = region_release},
	[UNTORN_REGION_VOLATILE] = {UNTORN_DEVICE_REGION, "nd_volatile", region_attrs, .release = region_release},
	[UNTORN_REGION_BLK] = {UNTORN_DEVICE_REGION, "nd_blk", region_attrs, .release = region_release},
};

static const enum untorn_label_type label_types[] = {
	[UNTORN_REGION_PMEM] = UNTORN_LABEL_TYPE_PMEM,
	[UNTORN_REGION_VOLATILE] = UNTORN_LABEL_TYPE_VOLATILE,
	[UNTORN_REGION_BLK] = UNTORN_LABEL_TYPE_BLK,
};

/* 16 MiB, or a page of each mapping when the region is smaller; always a power of two of each mapping. */
static uint64_t default_align(const struct region *region)
{
	unsigned ways = region->nmapping > 0 ? region->nmapping : 1;
	uint64_t align = ALIGN_DEFAULT % ways == 0 ? ALIGN_DEFAULT : (uint64_t)ALIGN_DEFAULT * ways;

	return region->size < align ? (uint64_t)PAGE * ways : align;
}

/* An interleave set has cookies; a blk region is known by the one of its dimm. */
static int make_cookies(struct region *region)
{
	const struct platform_region *platform = region->platform;
	struct untorn_label_dimm_id ids[PLATFORM_MAPPINGS_MAX];

	if (region->nmapping == 0 || (region_is_memory(region) && !platform->has_iset))
		return 0;
	for (unsigned i = 0; i < region->nmapping; i++) {
		const struct platform_identity *id = &region->mappings[i].dimm->platform->id;

		ids[i] = (struct untorn_label_dimm_id){
			.region_offset = platform->mappings[i].region_offset,
			.serial = id->serial,
			.vendor = id->vendor,
			.date = id->date,
			.location = id->location,
		};
	}
	return untorn_label_cookies(ids, region->nmapping, &region->cookies);
}

static void map_dimms(struct region *region, struct untorn_bus *bus)
{
	const struct platform_region *platform = region->platform;

	region->nmapping = platform->nmapping;
	for (unsigned i = 0; i < platform->nmapping; i++) {
		const struct platform_mapping *mapping = &platform->mappings[i];
		struct dimm *dimm = bus->dimms[mapping->dimm];

		untorn_device_get(&dimm->dev);
		region->mappings[i] =
			(struct region_mapping){.dimm = dimm, .start = mapping->start, .size = mapping->size};
	}
}

int region_new(struct untorn_bus *bus, unsigned index, struct region **ret_region)
{
	struct region *region = calloc(1, sizeof(*region));
	int r;

	if (!region)
		return -ENOMEM;
	region->index = index;
	region->platform = &bus->platform->regions[index];
	region->kind = region->platform->kind;
	region->size = region->platform->size;
	region->read_only = region->platform->read_only;
	memcpy(region->type_guid, untorn_label_type_guid(label_types[region->kind]), sizeof(region->type_guid));
	device_init(&region->dev, &region_kinds[region->kind], &bus->dev, (int)index, "region%u", index);
	map_dimms(region, bus);
	region->align = default_align(region);
	r = make_cookies(region);
	if (r < 0)
		untorn_device_put(&region->dev);
	else
		*ret_region = region;
	return r;
}

/* ------------------------------------------------------------------- typed calls ------------------------------------------ */

int untorn_region_get_info(struct untorn_device *device, struct untorn_region_info *ret_info)
{
	struct region *region = to_region(device);
	int r;

	if (!is_region(device))
		return -EINVAL;
	r = device_lock_reconfig_idle(device);
	if (r < 0)
		return r;
	*ret_info = (struct untorn_region_info){
		.kind = region->kind,
		.bound = device_is_bound(device),
		.read_only = region->read_only,
		.nstype = region_nstype(region),
		.nmapping = region->nmapping,
		.size = region->size,
		.align = region->align,
		.resource = region->platform->resource,
		.set_cookie = region_is_memory(region) && region->platform->has_iset ? set_cookie(region) : 0,
		.available_size = has_available_size(region) ? region_available_size(region) : 0,
		.max_available_extent = region_max_available_extent(region),
		.numa_node = region->platform->numa_node,
		.target_node = region->platform->target_node,
		.range_index = range_index(region),
	};
	device_unlock_reconfig(device);
	return 0;
}

int untorn_region_get_mapping(struct untorn_device *device, unsigned index, struct untorn_mapping_info *ret_info)
{
	const struct region *region = to_region(device);
	int r;

	if (!is_region(device))
		return -EINVAL;
	r = device_pass(device); /* what follows never changes */
	if (r < 0)
		return r;
	if (index >= region->nmapping)
		return -ENXIO;

	const struct region_mapping *mapping = &region->mappings[index];

	*ret_info =
		(struct untorn_mapping_info){.start = mapping->start, .size = mapping->size, .position = (int)index};
	memcpy(ret_info->dimm, mapping->dimm->dev.name, sizeof(ret_info->dimm));
	return 0;
}

static int get_seed(struct untorn_device *device, bool of_btts, struct untorn_device **ret_seed)
{
	struct region *region = to_region(device);
	struct untorn_device *seed;
	int r;

	if (!is_region(device))
		return -EINVAL;
	r = device_lock_reconfig(device);
	if (r < 0)
		return r;
	seed = of_btts ? region->btt_seed : region->namespace_seed;
	if (seed)
		*ret_seed = untorn_device_get(seed);
	device_unlock_reconfig(device);
	return seed ? 0 : -ENOENT;
}

int untorn_region_namespace_seed(struct untorn_device *region, struct untorn_device **ret_namespace)
{
	return get_seed(region, false, ret_namespace);
}

int untorn_region_btt_seed(struct untorn_device *region, struct untorn_device **ret_btt)
{
	return get_seed(region, true, ret_btt);
}
