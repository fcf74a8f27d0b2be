/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sizes of namespaces against a model that knows only pages: random creations, resizes, renames and deletions of pmem
 * namespaces over one to three dimms, of blk namespaces, and of both on one dimm. After each step the store's errno,
 * the extents, what the region says is free, the labels on media and the bytes of all namespaces are what the model
 * says; after reopening as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "device/device.h"
#include "media/fault.h"
#include "ram.h"

enum {
	LABEL_SIZE = 128 << 10,
	WINDOW = 48, /* pages that each mapping of a region has */
	DIMM_PAGES = 64,
	MAX_DIMMS = 3,
	MAX_REGIONS = 2,
	MAX_NAMESPACES = 24,
};

/* A region over the first nmapping dimms; its window on dimm i begins at page start + i * skew. */
struct layout_region {
	enum untorn_region_kind kind;
	unsigned nmapping, start, skew;
};

struct layout {
	const char *name;
	enum untorn_label_version version;
	unsigned ndimm, nregion;
	struct layout_region regions[MAX_REGIONS];
};

static const struct layout layouts[] = {
	{"pmem over one dimm", UNTORN_LABEL_V1_2, 1, 1, {{UNTORN_REGION_PMEM, 1, 0, 0}}},
	{"pmem over one dimm, v1.1", UNTORN_LABEL_V1_1, 1, 1, {{UNTORN_REGION_PMEM, 1, 5, 0}}},
	{"pmem over two dimms", UNTORN_LABEL_V1_2, 2, 1, {{UNTORN_REGION_PMEM, 2, 0, 0}}},
	{"pmem over three dimms", UNTORN_LABEL_V1_1, 3, 1, {{UNTORN_REGION_PMEM, 3, 2, 3}}},
	{"blk", UNTORN_LABEL_NONE, 1, 1, {{UNTORN_REGION_BLK, 1, 3, 0}}},
	{"blk, v1.1", UNTORN_LABEL_V1_1, 1, 1, {{UNTORN_REGION_BLK, 1, 0, 0}}},
	{"pmem and blk on one dimm",
	 UNTORN_LABEL_V1_2,
	 1,
	 2,
	 {{UNTORN_REGION_PMEM, 1, 0, 0}, {UNTORN_REGION_BLK, 1, 10, 0}}},
};

/* ---------------------------------------------------- the model --------------------------------------------------- */

struct model_namespace {
	bool exists;
	unsigned region;
	uint8_t uuid[UUID_LEN];
	unsigned npages;
	unsigned pages[WINDOW];  /* distances from the starts of the mappings, in the order of the namespace's bytes */
	uint32_t stamps[WINDOW]; /* what stands in the namespace's part of that page, all mappings */
};

static const struct layout *layout;
static struct model_namespace model[MAX_NAMESPACES];

static unsigned window_start(const struct layout_region *region, unsigned mapping)
{
	return region->start + mapping * region->skew;
}

static bool is_used(unsigned dimm, unsigned page)
{
	for (unsigned i = 0; i < MAX_NAMESPACES; i++) {
		const struct layout_region *region = &layout->regions[model[i].region];

		if (!model[i].exists || dimm >= region->nmapping)
			continue;
		for (unsigned k = 0; k < model[i].npages; k++) {
			if (window_start(region, dimm) + model[i].pages[k] == page)
				return true;
		}
	}
	return false;
}

/* Free on all mappings; distance from their starts. */
static bool is_free(unsigned region, unsigned distance)
{
	const struct layout_region *r = &layout->regions[region];

	if (distance >= WINDOW)
		return false;
	for (unsigned m = 0; m < r->nmapping; m++) {
		if (is_used(m, window_start(r, m) + distance))
			return false;
	}
	return true;
}

static unsigned free_run(unsigned region, unsigned distance)
{
	unsigned n = 0;

	while (is_free(region, distance + n))
		n++;
	return n;
}

static unsigned count_free(unsigned region)
{
	unsigned n = 0;

	for (unsigned d = 0; d < WINDOW; d++)
		n += is_free(region, d);
	return n;
}

/* What one namespace can get: a blk namespace takes any number of pieces. */
static unsigned most_free(unsigned region)
{
	unsigned longest = 0;

	if (layout->regions[region].kind == UNTORN_REGION_BLK)
		return count_free(region);
	for (unsigned d = 0; d < WINDOW; d++) {
		if (free_run(region, d) > longest)
			longest = free_run(region, d);
	}
	return longest;
}

static int grow_pmem(struct model_namespace *ns, unsigned npages)
{
	unsigned added = npages - ns->npages, at = ns->npages ? ns->pages[ns->npages - 1] + 1 : 0;

	while (ns->npages == 0 && at < WINDOW && free_run(ns->region, at) < added)
		at++;
	if (free_run(ns->region, at) < added)
		return -ENXIO;
	while (ns->npages < npages)
		ns->pages[ns->npages++] = at++;
	return 0;
}

/* The highest run below limit gives its upper part; its pages are appended by ascending address. */
static int grow_blk(struct model_namespace *ns, unsigned npages)
{
	unsigned limit = WINDOW, pages[WINDOW], n = ns->npages;

	memcpy(pages, ns->pages, sizeof(pages));
	while (n < npages) {
		unsigned high = limit, low;

		while (high > 0 && !is_free(ns->region, high - 1))
			high--;
		for (low = high; low > 0 && high - low < npages - n && is_free(ns->region, low - 1);)
			low--;
		if (low == high)
			return -ENXIO;
		limit = low;
		while (low < high)
			pages[n++] = low++;
	}
	memcpy(ns->pages, pages, sizeof(pages));
	ns->npages = n;
	return 0;
}

static int model_resize(struct model_namespace *ns, unsigned npages)
{
	if (npages <= ns->npages) {
		ns->npages = npages;
		return 0;
	}
	if (npages - ns->npages > most_free(ns->region))
		return -ENOSPC;
	if (layout->regions[ns->region].kind == UNTORN_REGION_BLK)
		return grow_blk(ns, npages);
	return grow_pmem(ns, npages);
}

/* ---------------------------------------------------- the devices ------------------------------------------------- */

static int files[MAX_DIMMS];
static struct untorn_platform *platform;
static struct untorn_bus *bus;
static uint64_t random_state;

static unsigned random_upto(unsigned n)
{
	return (unsigned)random_below(&random_state, n + 1);
}

static void new_uuid(uint8_t uuid[UUID_LEN])
{
	for (unsigned i = 0; i < UUID_LEN; i++)
		uuid[i] = (uint8_t)random_next(&random_state);
}

static void init_labels(const char *path)
{
	struct untorn_label_area *area;
	struct untorn_media *media;

	if (layout->version == UNTORN_LABEL_NONE)
		return;
	assert_int_equal(untorn_media_open(path, UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_int_equal(untorn_label_open(media, DIMM_PAGES * PAGE, LABEL_SIZE, &area), 0);
	assert_int_equal(untorn_label_init(area, layout->version, 0), 0);
	untorn_label_close(area);
	untorn_media_close(media);
}

static void add_region(const struct layout_region *from)
{
	struct platform_region region = platform_default_region(from->kind);

	region.interleave = PAGE;
	region.nmapping = from->nmapping;
	for (unsigned m = 0; m < from->nmapping; m++) {
		region.mappings[m] = (struct platform_mapping){
			.dimm = m,
			.start = (uint64_t)window_start(from, m) * PAGE,
			.has_size = true,
			.size = WINDOW * PAGE,
			.region_offset = (uint64_t)m * PAGE,
		};
	}
	assert_int_equal(platform_add_region(platform, &region), 0);
}

static void open_bus(unsigned flags)
{
	int r = untorn_bus_open(platform, flags, &bus);

	if (r < 0)
		fail_msg("%s", untorn_platform_error(platform));
}

static void set_up(const struct layout *which)
{
	char text[80], path[40];

	layout = which;
	memset(model, 0, sizeof(model));
	assert_int_equal(untorn_platform_new(&platform), 0);
	for (unsigned i = 0; i < layout->ndimm; i++) {
		files[i] = memfd_create("dimm", MFD_CLOEXEC);
		assert_int_equal(ftruncate(files[i], DIMM_PAGES * PAGE + LABEL_SIZE), 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", files[i]);
		init_labels(path);
		snprintf(text, sizeof(text), "mem-path=%s,label-size=%d", path, LABEL_SIZE);
		assert_int_equal(untorn_platform_add_nvdimm(platform, text), 0);
	}
	platform_truncate(platform, layout->ndimm, 0);
	for (unsigned i = 0; i < layout->nregion; i++)
		add_region(&layout->regions[i]);
	open_bus(UNTORN_BUS_NO_AUTOPROBE);
}

static void tear_down(void)
{
	assert_int_equal(untorn_bus_close(bus), 0);
	untorn_platform_free(platform);
	for (unsigned i = 0; i < layout->ndimm; i++)
		close(files[i]);
}

static uint64_t bytes_of(unsigned region, unsigned npages)
{
	return (uint64_t)npages * layout->regions[region].nmapping * PAGE;
}

/* The namespace with that uuid; referenced. */
static struct untorn_device *find_namespace(const struct model_namespace *ns)
{
	struct untorn_device *device = NULL;
	struct untorn_namespace_info info;

	while (untorn_device_next(&bus->regions[ns->region]->dev, UNTORN_DEVICE_NAMESPACE, &device) == 0) {
		assert_int_equal(untorn_namespace_get_info(device, &info), 0);
		if (info.has_uuid && memcmp(info.uuid, ns->uuid, UUID_LEN) == 0)
			return device;
	}
	fail_msg("a namespace is missing in region%u", ns->region);
	return NULL;
}

/* ---------------------------------------------------- are they equal ---------------------------------------------- */

/* Extents as pages of the model. */
static void check_extents(const struct model_namespace *ns, const struct untorn_label_extent *extents, size_t nextent)
{
	const struct layout_region *region = &layout->regions[ns->region];
	uint64_t count[MAX_DIMMS] = {0};

	for (size_t i = 0; i < nextent; i++) {
		unsigned m = extents[i].mapping;

		assert_true(m < region->nmapping);
		for (uint64_t off = 0; off < extents[i].size; off += PAGE) {
			assert_true(count[m] < ns->npages);
			assert_int_equal(extents[i].dpa + off,
					 (uint64_t)(window_start(region, m) + ns->pages[count[m]++]) * PAGE);
		}
	}
	for (unsigned m = 0; m < region->nmapping; m++)
		assert_int_equal(count[m], ns->npages);
}

static void check_device(const struct model_namespace *ns)
{
	const struct region *region = bus->regions[ns->region];
	_cleanup_device_ struct untorn_device *device = find_namespace(ns);
	struct untorn_namespace_info info;

	assert_int_equal(untorn_namespace_get_info(device, &info), 0);
	assert_int_equal(info.size, bytes_of(ns->region, ns->npages));
	if (region->kind != UNTORN_REGION_BLK) {
		assert_int_equal(info.resource, region->platform->resource + bytes_of(ns->region, ns->pages[0]));
		assert_int_equal(info.dpa_extents, region->nmapping);
	}
	check_extents(ns, to_namespace(device)->extents, to_namespace(device)->nextent);
}

static int check_label(void *arg, const struct untorn_label_namespace *label)
{
	unsigned *seen = arg;

	for (unsigned i = 0; i < MAX_NAMESPACES; i++) {
		if (model[i].exists && memcmp(model[i].uuid, label->uuid, UUID_LEN) == 0) {
			check_extents(&model[i], label->extents, label->nextent);
			*seen |= 1u << i;
			return 0;
		}
	}
	fail_msg("labels of a namespace that is not there");
	return 0;
}

/* What somebody else reads from the media. */
static void check_labels(unsigned index)
{
	struct untorn_label_mapping mappings[PLATFORM_MAPPINGS_MAX];
	struct region *region = bus->regions[index];
	unsigned seen = 0, expected = 0;
	struct untorn_label_set set;
	int r;

	assert_int_equal(region_label_set(region, mappings, &set), 0);
	for (unsigned m = 0; m < set.nmapping; m++)
		assert_int_equal(untorn_label_open(region->mappings[m].dimm->platform->media, DIMM_PAGES * PAGE,
						   LABEL_SIZE, &mappings[m].area),
				 0);
	r = untorn_label_assemble(&set, check_label, NULL, &seen);
	assert_true(r == 0 || r == -ENXIO);
	for (unsigned m = 0; m < set.nmapping; m++)
		untorn_label_close(mappings[m].area);
	for (unsigned i = 0; i < MAX_NAMESPACES; i++)
		expected |= model[i].exists && model[i].region == index ? 1u << i : 0;
	assert_int_equal(seen, expected);
}

static void check_bytes(const struct model_namespace *ns)
{
	uint64_t step = bytes_of(ns->region, 1);
	_cleanup_free_ uint32_t *words = malloc(step);
	_cleanup_device_ struct untorn_device *device = find_namespace(ns);

	for (unsigned k = 0; k < ns->npages; k++) {
		assert_int_equal(untorn_namespace_rw_bytes(device, k * step, words, step, false), 0);
		for (size_t w = 0; w < step / sizeof(*words); w++)
			assert_int_equal(words[w], ns->stamps[k]);
	}
	assert_int_equal(untorn_namespace_rw_bytes(device, ns->npages * step, words, 1, false), -EFAULT);
	assert_int_equal(untorn_namespace_rw_bytes(device, ns->npages * step - 1, words, 2, false), -EFAULT);
	assert_int_equal(untorn_namespace_rw_bytes(device, UINT64_MAX, words, 2, true), -EFAULT);
}

/* Each of the namespace's pages from `from` on gets bytes that no other has. */
static void stamp_bytes(struct model_namespace *ns, unsigned from)
{
	uint64_t step = bytes_of(ns->region, 1);
	_cleanup_free_ uint32_t *words = malloc(step);
	_cleanup_device_ struct untorn_device *device = find_namespace(ns);

	for (unsigned k = from; k < ns->npages; k++) {
		ns->stamps[k] = random_next(&random_state);
		for (size_t w = 0; w < step / sizeof(*words); w++)
			words[w] = ns->stamps[k];
		assert_int_equal(untorn_namespace_rw_bytes(device, k * step, words, step, true), 0);
	}
}

static void check_all(void)
{
	for (unsigned i = 0; i < layout->nregion; i++) {
		struct untorn_region_info info;

		assert_int_equal(untorn_region_get_info(&bus->regions[i]->dev, &info), 0);
		assert_int_equal(info.available_size, bytes_of(i, count_free(i)));
		assert_int_equal(info.max_available_extent, bytes_of(i, most_free(i)));
		check_labels(i);
	}
	for (unsigned i = 0; i < MAX_NAMESPACES; i++) {
		if (model[i].exists) {
			check_device(&model[i]);
			check_bytes(&model[i]);
		}
	}
}

/* ---------------------------------------------------- steps ------------------------------------------------------- */

static struct model_namespace *pick(bool existing)
{
	unsigned first = random_upto(MAX_NAMESPACES - 1);

	for (unsigned i = 0; i < MAX_NAMESPACES; i++) {
		struct model_namespace *ns = &model[(first + i) % MAX_NAMESPACES];

		if (ns->exists == existing)
			return ns;
	}
	return NULL;
}

/* The seed, or namespace 0 when it is idle. */
static struct untorn_device *find_idle(unsigned region)
{
	struct untorn_device *device = NULL;
	struct untorn_namespace_info info;

	while (untorn_device_next(&bus->regions[region]->dev, UNTORN_DEVICE_NAMESPACE, &device) == 0) {
		assert_int_equal(untorn_namespace_get_info(device, &info), 0);
		if (info.size == 0)
			return device;
	}
	fail_msg("region%u has no idle namespace", region);
	return NULL;
}

static void create(void)
{
	struct model_namespace *ns = pick(false), wanted = {.exists = true, .region = random_upto(layout->nregion - 1)};
	_cleanup_device_ struct untorn_device *device = NULL;
	unsigned npages = 1 + random_upto(WINDOW / 3);
	int expected;

	if (!ns)
		return;
	device = find_idle(wanted.region);
	new_uuid(wanted.uuid);
	expected = model_resize(&wanted, npages);
	assert_int_equal(untorn_namespace_set_size(device, bytes_of(wanted.region, npages)), -ENXIO);
	assert_int_equal(untorn_namespace_set_uuid(device, wanted.uuid), 0);
	assert_int_equal(untorn_namespace_set_sector_size(device, 4096), 0);
	assert_int_equal(untorn_namespace_set_size(device, bytes_of(wanted.region, npages)), expected);
	if (expected < 0) {
		assert_int_equal(untorn_namespace_set_size(device, 0), 0);
		return;
	}
	*ns = wanted;
	stamp_bytes(ns, 0);
	/* Bound once: the seed moves on. */
	assert_int_equal(untorn_device_enable(device), 0);
	assert_int_equal(untorn_namespace_set_size(device, 0), -EBUSY);
	assert_int_equal(untorn_device_disable(device), 0);
	assert_int_equal(untorn_bus_wait_probe(bus), 0);
}

static void resize(void)
{
	struct model_namespace *ns = pick(true);
	_cleanup_device_ struct untorn_device *device = NULL;
	unsigned npages = 1 + random_upto(WINDOW / 2), before;

	if (!ns)
		return;
	before = ns->npages;
	device = find_namespace(ns);
	assert_int_equal(untorn_namespace_set_size(device, bytes_of(ns->region, npages) + 512), -EINVAL);
	assert_int_equal(untorn_namespace_set_size(device, bytes_of(ns->region, npages)), model_resize(ns, npages));
	if (ns->npages > before)
		stamp_bytes(ns, before);
}

static void rename_one(void)
{
	struct model_namespace *ns = pick(true);
	_cleanup_device_ struct untorn_device *device = NULL;

	if (!ns)
		return;
	device = find_namespace(ns);
	new_uuid(ns->uuid);
	assert_int_equal(untorn_namespace_set_uuid(device, ns->uuid), 0);
}

/* It vanishes, or if it is the seed or number 0, is idle. */
static void destroy(void)
{
	struct model_namespace *ns = pick(true);
	_cleanup_device_ struct untorn_device *device = NULL, *seed = NULL, *found = NULL;
	struct untorn_namespace_info info;
	bool stays;

	if (!ns)
		return;
	device = find_namespace(ns);
	assert_int_equal(untorn_region_namespace_seed(&bus->regions[ns->region]->dev, &seed), 0);
	stays = seed == device || untorn_device_id(device) == 0;
	assert_int_equal(untorn_namespace_set_size(device, 0), 0);
	ns->exists = false;
	if (!stays) /* on its way out, or gone */
		assert_int_equal(untorn_namespace_set_uuid(device, ns->uuid), -ENODEV);
	assert_int_equal(untorn_bus_wait_probe(bus), 0);
	assert_int_equal(untorn_bus_find(bus, untorn_device_name(device), &found), stays ? 0 : -ENODEV);
	assert_int_equal(untorn_namespace_get_info(device, &info), stays ? 0 : -ENODEV);
	if (stays)
		assert_true(info.size == 0 && !info.has_uuid && info.dpa_extents == 0);
}

static void reopen(void)
{
	assert_int_equal(untorn_bus_close(bus), 0);
	open_bus(UNTORN_BUS_NO_AUTOPROBE);
	/* What was configured is the first seed, if anything is: bind it and the seed is an idle one. */
	for (unsigned i = 0; i < layout->nregion; i++) {
		_cleanup_device_ struct untorn_device *seed = NULL;
		struct untorn_namespace_info info;

		assert_int_equal(untorn_region_namespace_seed(&bus->regions[i]->dev, &seed), 0);
		assert_int_equal(untorn_namespace_get_info(seed, &info), 0);
		if (info.size == 0)
			continue;
		assert_int_equal(untorn_device_enable(seed), 0);
		assert_int_equal(untorn_device_disable(seed), 0);
	}
	assert_int_equal(untorn_bus_wait_probe(bus), 0);
}

static void step(void)
{
	unsigned dice = random_upto(99);

	if (dice < 35)
		create();
	else if (dice < 65)
		resize();
	else if (dice < 72)
		rename_one();
	else if (dice < 97)
		destroy();
	else
		reopen();
}

static void test_random(void **state)
{
	(void)state;
	random_state = test_seed(20);
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		print_message("%s\n", layouts[i].name);
		set_up(&layouts[i]);
		for (unsigned n = 0; n < 300 * test_length(); n++) {
			step();
			check_all();
		}
		reopen();
		check_all();
		tear_down();
	}
}

/* ---------------------------------------------------- refusals change nothing ------------------------------------- */

/* Without a sector size the labels of a blk namespace are not written; its space is free again when it goes. */
static void test_blk_without_sector_size(void **state)
{
	const uint8_t uuid[UUID_LEN] = {1};
	struct untorn_region_info info;
	struct untorn_device *device;

	(void)state;
	set_up(&layouts[4]);
	device = find_idle(0);
	assert_int_equal(untorn_namespace_set_uuid(device, uuid), 0);
	assert_int_equal(untorn_namespace_set_size(device, 8 * PAGE), 0);
	check_labels(0);
	assert_int_equal(untorn_region_get_info(&bus->regions[0]->dev, &info), 0);
	assert_int_equal(info.available_size, (WINDOW - 8) * PAGE);
	assert_int_equal(untorn_device_enable(device), -ENODEV);
	untorn_device_put(device);

	assert_int_equal(untorn_device_disable(&bus->regions[0]->dev), 0);
	assert_int_equal(untorn_device_enable(&bus->regions[0]->dev), 0);
	assert_int_equal(untorn_bus_wait_probe(bus), 0);
	check_all();
	tear_down();
}

/* Put a label there that says no sector size, behind the back of the bus. */
static void put_label_without_sector_size(const struct model_namespace *ns)
{
	struct untorn_label_mapping mappings[PLATFORM_MAPPINGS_MAX];
	struct region *region = bus->regions[ns->region];
	struct untorn_label_extent extent = {.dpa = region->mappings[0].start + ns->pages[0] * PAGE,
					     .size = ns->npages * PAGE};
	struct untorn_label_namespace label = {.extents = &extent, .nextent = 1};
	struct untorn_label_set set;

	memcpy(label.uuid, ns->uuid, UUID_LEN);
	bus_lock(bus);
	assert_int_equal(region_label_set(region, mappings, &set), 0);
	assert_int_equal(untorn_label_put(&set, &label, NULL), 0);
	bus_unlock(bus);
}

/* What has labels keeps having them, whatever they say. */
static void test_blk_label_without_sector_size(void **state)
{
	static const unsigned sizes[] = {7, 2};
	struct model_namespace *ns = &model[0];
	struct untorn_device *device;

	(void)state;
	set_up(&layouts[4]);
	*ns = (struct model_namespace){.exists = true, .uuid = {4}};
	assert_int_equal(model_resize(ns, 4), 0);
	put_label_without_sector_size(ns);
	assert_int_equal(untorn_bus_close(bus), 0);
	open_bus(UNTORN_BUS_NO_AUTOPROBE);
	device = find_namespace(ns);
	assert_int_equal(to_namespace(device)->sector_size, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(model_resize(ns, sizes[i]), 0);
		assert_int_equal(untorn_namespace_set_size(device, sizes[i] * PAGE), 0);
		check_labels(0);
	}
	untorn_device_put(device);
	tear_down();
}

static void check_unchanged(struct untorn_device *device, const struct untorn_namespace_info *before)
{
	struct untorn_namespace_info info;

	assert_int_equal(untorn_namespace_get_info(device, &info), 0);
	assert_memory_equal(info.uuid, before->uuid, UUID_LEN);
	assert_string_equal(info.alt_name, before->alt_name);
	assert_int_equal(info.size, before->size);
	assert_int_equal(info.sector_size, before->sector_size);
	assert_int_equal(info.holder_class, before->holder_class);
	check_all();
}

/* Labels that cannot be written: each store fails, and nothing has changed. */
static void test_read_only(void **state)
{
	const uint8_t uuid[UUID_LEN] = {2};
	struct untorn_namespace_info before;
	struct untorn_device *device;

	(void)state;
	random_state = 1;
	set_up(&layouts[2]);
	create();
	assert_int_equal(untorn_bus_close(bus), 0);
	open_bus(UNTORN_BUS_NO_AUTOPROBE | UNTORN_BUS_READ_ONLY);
	device = find_namespace(pick(true));
	assert_int_equal(untorn_namespace_get_info(device, &before), 0);
	assert_int_equal(untorn_namespace_set_size(device, before.size + bytes_of(0, 1)), -EROFS);
	check_unchanged(device, &before);
	assert_int_equal(untorn_namespace_set_size(device, bytes_of(0, 1)), -EROFS);
	assert_int_equal(untorn_namespace_set_size(device, 0), -EROFS);
	assert_int_equal(untorn_namespace_set_uuid(device, uuid), -EROFS);
	assert_int_equal(untorn_namespace_set_alt_name(device, "other"), -EROFS);
	assert_int_equal(untorn_namespace_set_sector_size(device, 512), -EROFS);
	assert_int_equal(untorn_namespace_set_holder_class(device, UNTORN_CLASS_BTT), -EROFS);
	assert_int_equal(untorn_namespace_rw_bytes(device, 0, &before, 1, true), -EROFS);
	check_unchanged(device, &before);
	untorn_device_put(device);
	tear_down();
}

/* One dimm on a medium, and its bus. */
static void open_on(struct untorn_media *media, uint64_t label_size)
{
	struct untorn_label_area *area;

	layout = &layouts[0];
	assert_int_equal(untorn_label_open(media, DIMM_PAGES * PAGE, label_size, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	untorn_label_close(area);
	assert_int_equal(untorn_platform_new(&platform), 0);
	assert_int_equal(untorn_platform_add_media(platform, media, label_size), 0);
	open_bus(UNTORN_BUS_NO_AUTOPROBE);
}

static uint64_t available_size(void)
{
	struct untorn_region_info info;

	assert_int_equal(untorn_region_get_info(&bus->regions[0]->dev, &info), 0);
	return info.available_size;
}

/* A label area of one page has 14 slots, one of which stays free. */
static void test_no_slot(void **state)
{
	enum { SLOTS = 14 };
	struct ram ram = ram_new((DIMM_PAGES + 1) * PAGE);
	struct untorn_namespace_info info;
	struct untorn_device *device = NULL;
	uint8_t uuid[UUID_LEN] = {0};

	(void)state;
	open_on(ram.media, PAGE);
	for (uint8_t i = 1; i <= SLOTS; i++) {
		device = find_idle(0);
		uuid[0] = i;
		assert_int_equal(untorn_namespace_set_uuid(device, uuid), 0);
		assert_int_equal(untorn_namespace_set_size(device, PAGE), i < SLOTS ? 0 : -ENOSPC);
		assert_int_equal(untorn_device_enable(device), i < SLOTS ? 0 : -ENODEV);
		assert_int_equal(untorn_device_disable(device), 0);
		assert_int_equal(untorn_bus_wait_probe(bus), 0);
		assert_int_equal(untorn_namespace_get_info(device, &info), 0);
		assert_int_equal(info.size, i < SLOTS ? PAGE : 0);
		untorn_device_put(device);
	}
	assert_int_equal(available_size(), (DIMM_PAGES - SLOTS + 1) * PAGE);
	assert_int_equal(untorn_bus_close(bus), 0);
	untorn_platform_free(platform);
	ram_free(&ram);
}

/* A sync that fails in the middle of writing labels. */
static void test_failed_sync(void **state)
{
	const uint8_t uuid[UUID_LEN] = {3};

	(void)state;
	for (unsigned after = 0; after < 2; after++) {
		struct untorn_namespace_info info;
		struct untorn_device *device;
		struct untorn_media *media;

		assert_int_equal(fault_media_new((DIMM_PAGES + 1) * PAGE, &media), 0);
		open_on(media, PAGE);
		device = find_idle(0);
		assert_int_equal(untorn_namespace_set_uuid(device, uuid), 0);
		assert_int_equal(untorn_namespace_set_size(device, 4 * PAGE), 0);
		fault_media_fail_drain(media, after);
		assert_int_equal(untorn_namespace_set_size(device, 9 * PAGE), -EIO);
		assert_int_equal(untorn_namespace_set_size(device, 0), -EIO);
		assert_int_equal(untorn_namespace_set_alt_name(device, "other"), -EIO);
		assert_int_equal(untorn_namespace_get_info(device, &info), 0);
		assert_true(info.size == 4 * PAGE && info.dpa_extents == 1 && info.has_uuid);
		assert_string_equal(info.alt_name, "");
		assert_int_equal(available_size(), (DIMM_PAGES - 4) * PAGE);
		untorn_device_put(device);
		untorn_bus_close(bus);
		untorn_platform_free(platform);
		untorn_media_close(media);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_blk_without_sector_size),
		cmocka_unit_test(test_blk_label_without_sector_size),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_failed_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
