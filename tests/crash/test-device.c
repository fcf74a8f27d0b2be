/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts in stores to namespaces: a bus on media that record, one store, and every image that a cut in it could
 * leave is opened as a bus. It has the namespaces from before the store or those from after it, and from its return on
 * the latter; and it goes on working.
 *
 * Both dimms of a set are slices of one medium, so that cuts are in the order of all stores.
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

#include <cmocka.h>

#include "device/device.h"
#include "media/crash.h"
#include "media/memory.h"

enum {
	MAX_DIMMS = 2,
	DIMM_PAGES = 24,
	LABEL_SIZE = PAGE, /* 14 slots */
	DIMM_SIZE = DIMM_PAGES * PAGE + LABEL_SIZE,
	TEXT_SIZE = 4096,
};

struct layout {
	const char *name;
	enum untorn_region_kind kind;
	unsigned ndimm;
	enum untorn_label_version version; /* NONE: the store makes the index blocks */
};

static const struct layout layouts[] = {
	{"pmem, v1.1", UNTORN_REGION_PMEM, 1, UNTORN_LABEL_V1_1},
	{"pmem, v1.2", UNTORN_REGION_PMEM, 1, UNTORN_LABEL_V1_2},
	{"pmem over two dimms, v1.1", UNTORN_REGION_PMEM, 2, UNTORN_LABEL_V1_1},
	{"pmem over two dimms, v1.2", UNTORN_REGION_PMEM, 2, UNTORN_LABEL_V1_2},
	{"blk, v1.1", UNTORN_REGION_BLK, 1, UNTORN_LABEL_V1_1},
	{"blk", UNTORN_REGION_BLK, 1, UNTORN_LABEL_NONE},
};

/* ---------------------------------------------------- a bus on a medium ------------------------------------------- */

struct world {
	const struct layout *layout;
	struct untorn_media *dimms[MAX_DIMMS];
	struct untorn_platform *platform;
	struct untorn_bus *bus;
	struct region *region;
};

static void add_region(struct world *w)
{
	struct platform_region region = platform_default_region(w->layout->kind);

	region.interleave = PAGE;
	region.nmapping = w->layout->ndimm;
	for (unsigned i = 0; i < region.nmapping; i++)
		region.mappings[i] =
			(struct platform_mapping){.dimm = i, .region_offset = (uint64_t)i * DIMM_PAGES * PAGE};
	platform_truncate(w->platform, w->layout->ndimm, 0);
	assert_int_equal(platform_add_region(w->platform, &region), 0);
}

static struct world open_world(const struct layout *layout, struct untorn_media *root)
{
	struct world w = {.layout = layout};

	assert_int_equal(untorn_platform_new(&w.platform), 0);
	for (unsigned i = 0; i < layout->ndimm; i++) {
		assert_int_equal(untorn_media_slice(root, (uint64_t)i * DIMM_SIZE, DIMM_SIZE, &w.dimms[i]), 0);
		assert_int_equal(untorn_platform_add_media(w.platform, w.dimms[i], LABEL_SIZE), 0);
	}
	add_region(&w);
	if (untorn_bus_open(w.platform, UNTORN_BUS_NO_AUTOPROBE, &w.bus) < 0)
		fail_msg("%s", untorn_platform_error(w.platform));
	w.region = w.bus->regions[0];
	return w;
}

static void close_world(struct world *w)
{
	assert_int_equal(untorn_bus_close(w->bus), 0);
	untorn_platform_free(w->platform);
	for (unsigned i = 0; i < w->layout->ndimm; i++)
		untorn_media_close(w->dimms[i]);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *describe_namespace(const struct world *w, const struct namespace *ns)
{
	/* v1.1 labels have no place for it. */
	int holder_class = w->layout->version == UNTORN_LABEL_V1_1 ? 0 : (int)ns->holder_class;
	_cleanup_free_ char *extents = strdup("");
	char *line;

	for (size_t i = 0; i < ns->nextent; i++) {
		char *longer;

		assert_true(asprintf(&longer, "%s %u:%#" PRIx64 "+%#" PRIx64, extents, ns->extents[i].mapping,
				     ns->extents[i].dpa, ns->extents[i].size) > 0);
		free(extents);
		extents = longer;
	}
	assert_true(asprintf(&line, "%02x \"%s\" sector %" PRIu64 " class %d%s\n", ns->uuid[0], ns->alt_name,
			     ns->sector_size, holder_class, extents) > 0);
	return line;
}

/* All namespaces that have a size, one line each, in order of their uuids. */
static void describe(struct world *w, char text[TEXT_SIZE])
{
	struct untorn_device *device = NULL;
	char *lines[DIMM_PAGES];
	size_t n = 0;

	while (untorn_device_next(&w->region->dev, UNTORN_DEVICE_NAMESPACE, &device) == 0) {
		assert_true(n < DIMM_PAGES);
		if (to_namespace(device)->size > 0)
			lines[n++] = describe_namespace(w, to_namespace(device));
	}
	qsort(lines, n, sizeof(lines[0]), compare_lines);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		strncat(text, lines[i], TEXT_SIZE - strlen(text) - 1);
		free(lines[i]);
	}
	if (!device_is_bound(&w->region->dev))
		strcpy(text, "the region is refused\n");
}

/* ---------------------------------------------------- stores ------------------------------------------------------ */

static struct untorn_device *find_namespace(struct world *w, uint8_t uuid)
{
	struct untorn_device *device = NULL;

	while (untorn_device_next(&w->region->dev, UNTORN_DEVICE_NAMESPACE, &device) == 0) {
		if (uuid ? to_namespace(device)->uuid[0] == uuid && to_namespace(device)->size > 0
			 : to_namespace(device)->size == 0)
			return device;
	}
	return NULL;
}

/* An idle namespace. The seed moves on as it would if somebody had bound it. */
static struct untorn_device *find_idle(struct world *w)
{
	struct untorn_device *device = find_namespace(w, 0);

	if (device)
		return device;
	bus_lock(w->bus);
	seed_plant_namespace(w->region);
	bus_unlock(w->bus);
	assert_int_equal(untorn_bus_wait_probe(w->bus), 0);
	return find_namespace(w, 0);
}

static int create(struct world *w, uint8_t uuid, unsigned npages)
{
	_cleanup_device_ struct untorn_device *device = find_idle(w);

	assert_non_null(device);
	assert_int_equal(untorn_namespace_set_uuid(device, (const uint8_t[UUID_LEN]){uuid}), 0);
	assert_int_equal(untorn_namespace_set_sector_size(device, 512), 0);
	assert_int_equal(untorn_namespace_set_alt_name(device, ""), 0);
	return untorn_namespace_set_size(device, (uint64_t)npages * w->layout->ndimm * PAGE);
}

static int resize(struct world *w, uint8_t uuid, unsigned npages)
{
	_cleanup_device_ struct untorn_device *device = find_namespace(w, uuid);

	return untorn_namespace_set_size(device, (uint64_t)npages * w->layout->ndimm * PAGE);
}

static int create_first(struct world *w)
{
	return create(w, 1, 6);
}

static int create_more(struct world *w)
{
	return create(w, 4, 6);
}

static int grow(struct world *w)
{
	return resize(w, 1, 6);
}

static int shrink(struct world *w)
{
	return resize(w, 3, 2);
}

static int destroy(struct world *w)
{
	return resize(w, 1, 0);
}

static int rename_one(struct world *w)
{
	_cleanup_device_ struct untorn_device *device = find_namespace(w, 3);

	return untorn_namespace_set_uuid(device, (const uint8_t[UUID_LEN]){9});
}

static int set_alt_name(struct world *w)
{
	_cleanup_device_ struct untorn_device *device = find_namespace(w, 1);

	return untorn_namespace_set_alt_name(device, "a name that is longer than a few units of eight bytes");
}

static int set_sector_size(struct world *w)
{
	_cleanup_device_ struct untorn_device *device = find_namespace(w, 1);

	return untorn_namespace_set_sector_size(device, 4096);
}

static int set_holder_class(struct world *w)
{
	_cleanup_device_ struct untorn_device *device = find_namespace(w, 3);

	return untorn_namespace_set_holder_class(device, UNTORN_CLASS_BTT);
}

/* 1 and 3 with a gap between them; on blk regions 3 has two extents. */
static void populate(struct world *w)
{
	assert_int_equal(create(w, 1, 4), 0);
	assert_int_equal(create(w, 2, 2), 0);
	assert_int_equal(create(w, 3, 3), 0);
	if (w->layout->kind == UNTORN_REGION_BLK)
		assert_int_equal(resize(w, 3, 5), 0);
	assert_int_equal(resize(w, 2, 0), 0);
	if (w->layout->kind == UNTORN_REGION_BLK)
		assert_int_equal(resize(w, 3, 6), 0);
	assert_int_equal(untorn_bus_wait_probe(w->bus), 0);
}

static const struct scenario {
	const char *name;
	bool populated;
	bool frees; /* labels that were there */
	int (*store)(struct world *w);
} scenarios[] = {
	{"create the first", false, false, create_first},
	{"create", true, false, create_more},
	{"grow", true, true, grow},
	{"shrink", true, true, shrink},
	{"destroy", true, true, destroy},
	{"uuid", true, true, rename_one},
	{"alt_name", true, true, set_alt_name},
	{"sector_size", true, true, set_sector_size},
	{"holder_class", true, true, set_holder_class},
};

/* ---------------------------------------------------- cuts -------------------------------------------------------- */

struct run {
	const struct layout *layout;
	struct untorn_media *media;
	char before[TEXT_SIZE], after[TEXT_SIZE];
	void (*then)(struct run *run, uint8_t *image); /* what each image that is right is used for; or NULL */
	size_t cut;
	bool acknowledged; /* the cut is behind the store's return */
	unsigned long nimages, nold, nnew, nbroken;
	char broken[TEXT_SIZE]; /* the last one that is neither */
};

static const struct crash_budget usual = {.exhaustive = 64, .samples = 8, .seed = 1};

static void init_labels(const struct run *run)
{
	for (unsigned i = 0; i < run->layout->ndimm && run->layout->version != UNTORN_LABEL_NONE; i++) {
		uint64_t off = (uint64_t)i * DIMM_SIZE + DIMM_PAGES * PAGE;
		struct untorn_label_area *area;

		assert_int_equal(untorn_label_open(run->media, off, LABEL_SIZE, &area), 0);
		assert_int_equal(untorn_label_init(area, run->layout->version, 0), 0);
		untorn_label_close(area);
	}
}

/* Make the state before the store, then record the store. */
static void record(struct run *run, const struct scenario *scenario)
{
	struct world w;

	assert_int_equal(
		crash_media_new((uint64_t)run->layout->ndimm * DIMM_SIZE, NULL, UNTORN_MEDIA_CACHELINE, &run->media),
		0);
	init_labels(run);
	w = open_world(run->layout, run->media);
	if (scenario->populated)
		populate(&w);
	describe(&w, run->before);
	crash_media_record(run->media);
	assert_int_equal(scenario->store(&w), 0);
	crash_media_mark(run->media, 1);
	assert_int_equal(untorn_bus_wait_probe(w.bus), 0);
	describe(&w, run->after);
	close_world(&w);
}

static void describe_medium(const struct layout *layout, struct untorn_media *media, char text[TEXT_SIZE])
{
	struct world w = open_world(layout, media);

	describe(&w, text);
	close_world(&w);
}

/* What was opened after a cut takes another store, and has it when it is opened again. */
static void go_on(struct run *run, uint8_t *image)
{
	char told[TEXT_SIZE], found[TEXT_SIZE];
	struct untorn_media *media;
	struct world w;

	assert_int_equal(memory_media_wrap(image, run->media->size, &media), 0);
	w = open_world(run->layout, media);
	assert_int_equal(create(&w, 0x78, 1), 0);
	describe(&w, told);
	close_world(&w);
	describe_medium(run->layout, media, found);
	assert_string_equal(found, told);
	untorn_media_close(media);
}

static int look_at_image(void *arg, uint8_t *image, uint64_t id)
{
	struct run *run = arg;
	_cleanup_free_ uint8_t *original = malloc(run->media->size);
	struct untorn_media *media;
	char text[TEXT_SIZE];
	bool is_old, is_new;

	(void)id;
	memcpy(original, image, run->media->size);
	assert_int_equal(memory_media_wrap(image, run->media->size, &media), 0);
	describe_medium(run->layout, media, text);
	is_old = strcmp(text, run->before) == 0 && !run->acknowledged;
	is_new = strcmp(text, run->after) == 0;
	run->nimages++;
	run->nold += is_old;
	run->nnew += is_new;
	untorn_media_close(media);
	if (!is_old && !is_new) {
		run->nbroken++;
		snprintf(run->broken, sizeof(run->broken), "%s", text);
	} else if (run->then) {
		run->then(run, original);
	}
	return 0;
}

static void cut_everywhere(struct run *run, const struct crash_budget *budget)
{
	size_t nevent = crash_media_events(run->media);

	run->nimages = run->nold = run->nnew = run->nbroken = 0;
	for (run->cut = 0; run->cut <= nevent; run->cut++) {
		run->acknowledged = crash_media_last_mark(run->media, run->cut) > 0;
		assert_int_equal(crash_media_foreach(run->media, run->cut, budget, look_at_image, run), 0);
	}
}

/* Opening what a cut left finishes the store that was cut; and then another store. All of it is cut again. */
static void cut_again(struct run *first, uint8_t *image)
{
	struct run run = {.layout = first->layout};
	struct world w;

	assert_int_equal(crash_media_new(first->media->size, image, UNTORN_MEDIA_CACHELINE, &run.media), 0);
	crash_media_record(run.media);
	w = open_world(run.layout, run.media);
	describe(&w, run.before);
	assert_int_equal(create(&w, 0x77, 1), 0);
	crash_media_mark(run.media, 1);
	describe(&w, run.after);
	close_world(&w);
	cut_everywhere(&run, &(struct crash_budget){.exhaustive = 2, .samples = 0, .seed = 1});
	untorn_media_close(run.media);
	first->nimages += run.nimages;
	first->nbroken += run.nbroken;
	if (run.nbroken > 0)
		memcpy(first->broken, run.broken, sizeof(first->broken));
}

static void check_run(const struct run *run, const struct scenario *scenario)
{
	if (run->nbroken > 0)
		fail_msg("%s, %s: %lu images of %lu are neither\n%sas before nor\n%sas after, but\n%s",
			 run->layout->name, scenario->name, run->nbroken, run->nimages, run->before, run->after,
			 run->broken);
	/* The store happens between the cuts, not before or behind them. */
	assert_true(strcmp(run->before, run->after) == 0 || (run->nold > 0 && run->nnew > 0));
}

static void test_stores(void **state)
{
	unsigned long nimages = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(scenarios); k++) {
			struct run run = {.layout = &layouts[i], .then = go_on};

			record(&run, &scenarios[k]);
			cut_everywhere(&run, &usual);
			check_run(&run, &scenarios[k]);
			nimages += run.nimages;
			untorn_media_close(run.media);
		}
	}
	print_message("%lu images\n", nimages);
}

/* Opening what a cut left may write, and so does the next store: a cut in them. */
static void test_two_cuts(void **state)
{
	unsigned long nimages = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(scenarios); k++) {
			struct run run = {.layout = &layouts[i], .then = cut_again};

			/* Those that leave most to be done. */
			if (scenarios[k].store != create_first && (scenarios[k].store != rename_one || i % 2 == 0))
				continue;
			record(&run, &scenarios[k]);
			cut_everywhere(&run, &(struct crash_budget){.exhaustive = 2, .samples = 0, .seed = 1});
			check_run(&run, &scenarios[k]);
			nimages += run.nimages;
			untorn_media_close(run.media);
		}
	}
	print_message("%lu images\n", nimages);
}

/*
 * This test sees it when a drain is left out: without the first one of a store that frees labels, they are gone before
 * the new ones are there, or not gone when it returns. (Later ones clear the updating flag, which may as well stay.)
 */
static void test_drains_matter(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(scenarios); k++) {
		struct run run = {.layout = &layouts[1]};

		if (!scenarios[k].frees)
			continue;
		record(&run, &scenarios[k]);
		crash_media_forget_drain(run.media, 0);
		cut_everywhere(&run, &usual);
		if (run.nbroken == 0)
			fail_msg("%s: its first drain can be left out", scenarios[k].name);
		untorn_media_close(run.media);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_two_cuts),
		cmocka_unit_test(test_drains_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
