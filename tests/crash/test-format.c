/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts inside format: of an empty medium, and over an old volume of another layout. What a cut leaves opens as the old
 * volume with all its data, or as the new one, empty, or not at all; and what does not open, no repair brings back half.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "btt/geometry.h"
#include "media/crash.h"
#include "media/memory.h"
#include "numbered.h"
#include "spec.h"

#define SIZE (17ull << 20)
#define OLD  600u /* sectors written in the old volume */

static const uint8_t old_uuid[16] = "old volume", new_uuid[16] = "new volume", parent[16] = "their container";

struct formatting {
	enum untorn_btt_layout from, to; /* from AUTO: nothing */
	size_t old, new, none;           /* images that opened as that */
};

static struct untorn_media *wrap(uint8_t *image)
{
	struct untorn_media *media;

	assert_int_equal(memory_media_wrap(image, SIZE, &media), 0);
	return media;
}

static struct untorn_btt_format_options options_of(enum untorn_btt_layout layout, const uint8_t *uuid)
{
	return (struct untorn_btt_format_options){
		.layout = layout,
		.sector_size = 512,
		.uuid = uuid,
		.parent_uuid = parent,
		.flags = UNTORN_BTT_FORCE,
	};
}

static void write_old(uint8_t *image, enum untorn_btt_layout layout)
{
	struct untorn_btt_format_options options = options_of(layout, old_uuid);
	struct untorn_media *media = wrap(image);
	struct untorn_btt *btt;

	assert_int_equal(untorn_btt_format(media, &options), 0);
	assert_int_equal(untorn_btt_open(media, NULL, &btt), 0);
	write_numbered(btt, OLD);
	assert_int_equal(untorn_btt_close(btt), 0);
	untorn_media_close(media);
}

/* What the image opens as, counted. false: half of something. */
static bool opens_whole(struct formatting *f, uint8_t *image)
{
	struct untorn_media *media = wrap(image);
	struct untorn_btt_info info;
	struct untorn_btt *btt;
	bool whole = true;

	if (untorn_btt_open(media, NULL, &btt) < 0) {
		f->none++;
	} else {
		untorn_btt_get_info(btt, &info);
		if (memcmp(info.uuid, old_uuid, 16) == 0) {
			f->old++;
			whole = info.layout == f->from && has_numbered(btt, OLD);
		} else {
			f->new ++;
			/* On memory that cannot be discarded, the sectors of a new volume may hold anything. */
			whole = info.layout == f->to && (memcmp(info.uuid, new_uuid, 16) == 0);
		}
		assert_int_equal(untorn_btt_close(btt), 0);
		whole &= spec_check(image, SIZE, info.base, NULL) == NULL;
	}
	untorn_media_close(media);
	return whole;
}

static int look_at(void *arg, uint8_t *image, uint64_t id)
{
	struct formatting *f = arg;
	struct untorn_btt_check_options repair = {.repair = UNTORN_REPAIR_APPLY, .parent_uuid = parent};
	struct untorn_btt_check_result result;
	struct untorn_media *media;

	(void)id;
	if (!opens_whole(f, image))
		return 1;
	media = wrap(image);
	assert_int_equal(untorn_btt_check(media, &repair, &result), 0);
	untorn_media_close(media);
	return opens_whole(f, image) ? 0 : 2;
}

static void cut_format(enum untorn_btt_layout from, enum untorn_btt_layout to)
{
	const struct crash_budget budget = {.exhaustive = 16, .samples = 4, .seed = 9};
	struct untorn_btt_format_options options = options_of(to, new_uuid);
	struct formatting f = {.from = from, .to = to};
	uint8_t *image = calloc(1, SIZE);
	struct untorn_media *media;
	size_t events;

	if (from != UNTORN_BTT_AUTO)
		write_old(image, from);
	assert_int_equal(crash_media_new(SIZE, image, UNTORN_MEDIA_CACHELINE, &media), 0);
	crash_media_record(media);
	assert_int_equal(untorn_btt_format(media, &options), 0);
	events = crash_media_events(media);
	for (size_t cut = 0; cut <= events; cut++) {
		int r = crash_media_foreach(media, cut, &budget, look_at, &f);

		if (r != 0)
			fail_msg("%s over %s, cut %zu of %zu: half a volume%s", untorn_btt_layout_name(to),
				 untorn_btt_layout_name(from), cut, events, r == 2 ? " after a repair" : "");
	}
	printf("%s over %s: %zu cuts; opened as old %zu times, as new %zu times, not at all %zu times\n",
	       untorn_btt_layout_name(to), untorn_btt_layout_name(from), events + 1, f.old, f.new, f.none);
	assert_true(f.new > 0 && f.none > 0);
	assert_int_equal(f.old > 0, from != UNTORN_BTT_AUTO);
	untorn_media_close(media);
	free(image);
}

static void test_format(void **state)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0, UNTORN_BTT_PMEMBLK};

	(void)state;
	for (size_t to = 0; to < ARRAY_SIZE(layouts); to++) {
		cut_format(UNTORN_BTT_AUTO, layouts[to]);
		for (size_t from = 0; from < ARRAY_SIZE(layouts); from++)
			cut_format(layouts[from], layouts[to]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
