/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts while a volume gets other uuids: in every image at least one info block of the arena is intact, what opens is the
 * volume with its old or its new uuids and all its data, and running it again, with cuts of its own, finishes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btt/info.h"
#include "media/crash.h"
#include "media/memory.h"
#include "numbered.h"

#define SIZE (17ull << 20)
#define OLD  300u /* sectors with data */

static const uint8_t old_uuid[16] = "old volume", new_uuid[16] = "new volume";
static const uint8_t old_parent[16] = "old container", new_parent[16] = "new container";

struct renaming {
	enum untorn_btt_layout layout;
	uint64_t base, info2off;     /* bytes on the medium */
	size_t old, new, none, next; /* images that opened as that; runs that were cut as well */
};

static struct untorn_media *wrap(uint8_t *image)
{
	struct untorn_media *media;

	assert_int_equal(memory_media_wrap(image, SIZE, &media), 0);
	return media;
}

static void make_volume(struct renaming *renaming, uint8_t *image)
{
	const struct untorn_btt_format_options options = {
		.layout = renaming->layout,
		.sector_size = 512,
		.uuid = old_uuid,
		.parent_uuid = old_parent,
	};
	struct untorn_media *media = wrap(image);
	struct untorn_btt_arena_info arena;
	struct untorn_btt *btt;

	assert_int_equal(untorn_btt_format(media, &options), 0);
	assert_int_equal(untorn_btt_open(media, NULL, &btt), 0);
	write_numbered(btt, OLD);
	assert_int_equal(untorn_btt_get_arena(btt, 0, &arena), 0);
	renaming->base = arena.off;
	renaming->info2off = arena.info2_off;
	assert_int_equal(untorn_btt_close(btt), 0);
	untorn_media_close(media);
}

static bool is_intact(struct untorn_media *media, uint64_t off)
{
	struct btt_info_block block;

	return info_read(media, off, &block) == 0 && info_fault(&block) == INFO_OK;
}

/* Opens under the parent: with that uuid and its data. Counts. */
static bool opens(struct untorn_media *media, enum untorn_btt_layout layout, const uint8_t *parent, const uint8_t *uuid,
		  size_t *count)
{
	const struct untorn_btt_open_options options = {.layout = layout, .parent_uuid = parent};
	struct untorn_btt_info info;
	struct untorn_btt *btt;
	bool whole;

	if (untorn_btt_open(media, &options, &btt) < 0)
		return true;
	untorn_btt_get_info(btt, &info);
	whole = memcmp(info.uuid, uuid, 16) == 0 && memcmp(info.parent_uuid, parent, 16) == 0 && has_numbered(btt, OLD);
	assert_int_equal(untorn_btt_close(btt), 0);
	++*count;
	return whole;
}

/* What every image keeps, whenever the cut was. */
static int look_at(void *arg, uint8_t *image, uint64_t id)
{
	struct renaming *renaming = arg;
	struct untorn_media *media = wrap(image);
	size_t opened = renaming->old + renaming->new, again = 0;
	int fault = 0;

	(void)id;
	if (!is_intact(media, renaming->base) && !is_intact(media, renaming->info2off))
		fault = 1;
	else if (!opens(media, renaming->layout, old_parent, old_uuid, &renaming->old) ||
		 !opens(media, renaming->layout, new_parent, new_uuid, &renaming->new))
		fault = 2;
	else if (untorn_btt_set_uuid(media, renaming->layout, new_uuid, new_parent) < 0 ||
		 !opens(media, renaming->layout, new_parent, new_uuid, &again) || again != 1 ||
		 !is_intact(media, renaming->info2off))
		fault = 3;
	renaming->none += renaming->old + renaming->new == opened;
	untorn_media_close(media);
	return fault;
}

static void check_fault(int fault, const struct renaming *renaming, size_t cut)
{
	static const char *const texts[] = {"", "no intact info block", "opens as something else",
					    "cannot be run again"};

	if (fault)
		fail_msg("%s, cut %zu: %s", untorn_btt_layout_name(renaming->layout), cut, texts[fault]);
}

/* Set the uuids on the image, with cuts; nested: cut the runs on what a cut left, too. */
static void cut_set_uuid(struct renaming *renaming, const uint8_t *image, bool nested)
{
	const struct crash_budget budget = {.exhaustive = 16, .samples = 4, .seed = 5};
	uint8_t *left = malloc(SIZE);
	struct untorn_media *media;
	size_t events;

	assert_int_equal(crash_media_new(SIZE, image, UNTORN_MEDIA_CACHELINE, &media), 0);
	crash_media_record(media);
	assert_int_equal(untorn_btt_set_uuid(media, renaming->layout, new_uuid, new_parent), 0);
	events = crash_media_events(media);
	for (size_t cut = 0; cut <= events; cut++)
		check_fault(crash_media_foreach(media, cut, &budget, look_at, renaming), renaming, cut);
	for (size_t cut = 0; nested && cut <= events; cut++) {
		for (uint64_t id = 0; crash_media_image(media, cut, &budget, id, left) == 0 && id < 3; id++) {
			cut_set_uuid(renaming, left, false);
			renaming->next++;
		}
	}
	untorn_media_close(media);
	free(left);
}

static void test_set_uuid(void **state)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct renaming renaming = {.layout = layouts[i]};
		uint8_t *image = calloc(1, SIZE);

		make_volume(&renaming, image);
		cut_set_uuid(&renaming, image, true);
		printf("%s: opened as old %zu times, as new %zu times, not at all %zu times; %zu runs cut again\n",
		       untorn_btt_layout_name(layouts[i]), renaming.old, renaming.new, renaming.none, renaming.next);
		assert_true(renaming.old > 0 && renaming.new > 0 && renaming.none > 0 && renaming.next > 0);
		free(image);
	}
}

/* What is refused stays as it was. */
static void test_refusals(void **state)
{
	struct renaming renaming = {.layout = UNTORN_BTT_V1_1};
	uint8_t *image = calloc(1, SIZE), *before = malloc(SIZE);
	struct untorn_media *media = wrap(image);

	(void)state;
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_AUTO, new_uuid, NULL), -ENXIO);
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_V1_1, new_uuid, NULL), -ENXIO);
	make_volume(&renaming, image);
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_V2_0, new_uuid, NULL), -ENXIO);

	/* A volume that was destroyed on purpose is not brought back from its backup. */
	memset(image, 0, 8192);
	memcpy(before, image, SIZE);
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_V1_1, new_uuid, NULL), -ENXIO);
	assert_memory_equal(image, before, SIZE);

	/* Both damaged. */
	memset(image, 0, SIZE);
	make_volume(&renaming, image);
	image[renaming.base + 100] ^= 1;
	image[renaming.info2off + 100] ^= 1;
	memcpy(before, image, SIZE);
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_V1_1, new_uuid, NULL), -EUCLEAN);
	assert_memory_equal(image, before, SIZE);

	/* One uuid alone; and only info blocks change. */
	image[renaming.base + 100] ^= 1;
	assert_int_equal(untorn_btt_set_uuid(media, UNTORN_BTT_AUTO, NULL, new_parent), 0);
	assert_memory_equal(image + renaming.base + 16, old_uuid, 16);
	assert_memory_equal(image + renaming.base + 32, new_parent, 16);
	assert_memory_equal(image + renaming.base, image + renaming.info2off, 4096);
	assert_memory_equal(image + 8192, before + 8192, renaming.info2off - 8192);
	untorn_media_close(media);
	free(image);
	free(before);
}

/* Nothing finds an erased volume any more, and its data is untouched. */
static void test_erase(void **state)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0};
	const struct untorn_btt_check_options repair = {.repair = UNTORN_REPAIR_APPLY, .flags = UNTORN_REPAIR_FORCE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct renaming renaming = {.layout = layouts[i]};
		uint8_t *image = calloc(1, SIZE), *before = malloc(SIZE);
		struct untorn_media *media = wrap(image);
		struct untorn_btt_check_result result;
		struct untorn_btt *btt;
		const char *what;

		make_volume(&renaming, image);
		memcpy(before, image, SIZE);
		assert_int_equal(untorn_btt_erase(media), 0);
		assert_int_equal(untorn_btt_recognise(media, &what), 0);
		assert_null(what);
		assert_int_equal(untorn_btt_check(media, &repair, &result), 0);
		assert_int_equal(untorn_btt_open(media, NULL, &btt), -ENXIO);
		assert_memory_equal(image + 8192, before + 8192, renaming.info2off - 8192);
		assert_int_equal(untorn_btt_erase(media), 0);
		untorn_media_close(media);
		free(image);
		free(before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_uuid),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_erase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
