/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts inside repairs. Each damage of tests/lib/damage.c is repaired on the crash medium, and the power cut after every
 * event: whatever image that leaves, repairing it again ends clean and all sectors hold what they should. The same for cuts
 * inside that second repair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "damage.h"
#include "media/crash.h"
#include "media/memory.h"

struct cutting {
	const struct damage *damage;
	const struct sample *s;
	const struct expectation *e;
	unsigned flags;
	unsigned depth; /* further cuts to make inside the repair of each image */
	size_t ncuts;   /* of one repair; of longer ones so many, spread evenly */
	size_t images;
	size_t cut;
};

static struct report report;

static int cut_repair(struct cutting *c, const uint8_t *image);

static struct untorn_btt_check_options repair_options(const struct cutting *c)
{
	return (struct untorn_btt_check_options){
		.repair = UNTORN_REPAIR_APPLY,
		.flags = c->flags,
		.parent_uuid = c->damage->parent_uuid,
	};
}

static bool is_of_info(enum untorn_finding_kind kind)
{
	return kind >= UNTORN_FINDING_INFO_SIGNATURE && kind <= UNTORN_FINDING_INFO_BACKUP;
}

static bool same_entry(const struct btt_flog_slot *x, const struct btt_flog_slot *y)
{
	return memcmp(x, y, offsetof(struct btt_flog_slot, seq)) == 0;
}

/* A lane that gets another block is what it was, or valid to nobody, or what it is to be: a block that was never used. */
static bool lane_is_whole(const struct sample *was, const struct sample *is, uint32_t lane)
{
	const struct btt_flog_slot *before[2], *now[2];
	int live_before, live;

	for (unsigned i = 0; i < 2; i++) {
		before[i] = sample_slot(was, lane, i);
		now[i] = sample_slot(is, lane, i);
	}
	live_before = flog_current(le32_get(before[0]->seq), le32_get(before[1]->seq));
	live = flog_current(le32_get(now[0]->seq), le32_get(now[1]->seq));
	if (live < 0 || (live_before >= 0 && same_entry(before[live_before], now[live])))
		return true;
	return live == 0 && le32_get(now[0]->old_map) == le32_get(now[0]->new_map) && le32_get(now[0]->lba) == lane;
}

static bool lanes_are_whole(const struct cutting *c, uint8_t *image)
{
	struct sample now = *c->s;

	now.bytes = image;
	for (size_t i = 0; i < c->e->nfindings; i++) {
		const struct untorn_finding *f = &c->e->findings[i];

		if (strcmp(f->field, "lane") != 0 || f->kind == UNTORN_FINDING_FLOG_PENDING ||
		    f->kind == UNTORN_FINDING_FLOG_PADDING || lane_is_whole(c->s, &now, (uint32_t)f->index))
			continue;
		printf("lane %ju\n", (uintmax_t)f->index);
		return false;
	}
	return true;
}

/*
 * The order of the steps: an arena that nobody would open stays so until its inside is sound, and the error state is left when
 * both copies can say so.
 */
static bool is_in_order(struct cutting *c, uint8_t *image)
{
	struct untorn_btt_check_options options = {.layout = c->s->kind->layout, .parent_uuid = c->damage->parent_uuid};
	const struct btt_info_block *primary = (const struct btt_info_block *)(image + c->s->arena.off);
	const struct btt_info_block *backup = (const struct btt_info_block *)(image + c->s->arena.info2_off);
	struct untorn_media *media;
	bool ok = true;

	if (info_fault(primary) != INFO_OK)
		return true;
	if (strcmp(c->damage->name, "error flag") == 0)
		return le32_get(primary->flags) || (info_fault(backup) == INFO_OK && !le32_get(backup->flags));
	if (info_fault(sample_primary(c->s)) == INFO_OK)
		return true;

	assert_int_equal(memory_media_wrap(image, SAMPLE_SIZE, &media), 0);
	report_make(media, options, &report);
	untorn_media_close(media);
	for (size_t i = 0; i < report.nfindings; i++)
		ok &= is_of_info(report.findings[i].kind) ||
		      untorn_finding_severity(report.findings[i].kind) == UNTORN_NOTE;
	if (!ok)
		report_print(&report);
	return ok;
}

/* Repair the image where it lies, and look at the result. */
static bool mends(struct cutting *c, uint8_t *image)
{
	struct untorn_btt_check_options options = repair_options(c);
	size_t old = c->s->kind->old_padding && !(c->flags & UNTORN_REPAIR_REWRITE_LOG);
	struct untorn_media *media;
	bool ok;

	assert_int_equal(memory_media_wrap(image, SAMPLE_SIZE, &media), 0);
	report_make(media, options, &report);
	ok = report.r == 0 && report.result.left == 0;
	if (ok) {
		options.repair = UNTORN_REPAIR_NONE;
		report_make(media, options, &report);
		ok = report.r == 0 && report.result.errors == 0 && report.result.notes == c->e->nerrors + old;
	}
	untorn_media_close(media);
	if (!ok)
		report_print(&report);
	return ok && sample_verify(c->s, image, c->e->errors, c->e->nerrors);
}

/* What a repair reported as done is done. */
static int is_durable(void *arg, uint8_t *image, uint64_t id)
{
	struct cutting *c = arg;
	struct untorn_btt_check_options options = repair_options(c);
	struct untorn_media *media;

	assert_int_equal(memory_media_wrap(image, SAMPLE_SIZE, &media), 0);
	options.repair = UNTORN_REPAIR_NONE;
	report_make(media, options, &report);
	untorn_media_close(media);
	if (report.r == 0 && report.result.errors == 0 &&
	    report.result.notes == c->e->nerrors + (c->s->kind->old_padding && !(c->flags & UNTORN_REPAIR_REWRITE_LOG)))
		return 0;
	report_print(&report);
	printf("%s, %s: image %#jx after the repair\n", c->s->kind->name, c->damage->name, (uintmax_t)id);
	return 1;
}

static int try_image(void *arg, uint8_t *image, uint64_t id)
{
	struct cutting *c = arg;

	c->images++;
	if (c->depth > 0) {
		struct cutting deeper = *c;
		int r;

		deeper.depth--;
		r = cut_repair(&deeper, image);
		c->images = deeper.images;
		if (r != 0)
			printf("... inside the repair of image %#jx of cut %zu\n", (uintmax_t)id, c->cut);
		return r;
	}
	if (lanes_are_whole(c, image) && is_in_order(c, image) && mends(c, image))
		return 0;
	printf("%s, %s: image %#jx of cut %zu\n", c->s->kind->name, c->damage->name, (uintmax_t)id, c->cut);
	return 1;
}

/* Repair image and cut the power everywhere. */
static int cut_repair(struct cutting *c, const uint8_t *image)
{
	const struct crash_budget budget = {.exhaustive = c->depth ? 2 : 8, .samples = c->depth ? 1 : 3, .seed = 1};
	struct untorn_media *media;
	size_t events, step;
	int r = 0;

	assert_int_equal(crash_media_new(SAMPLE_SIZE, image, UNTORN_MEDIA_CACHELINE, &media), 0);
	crash_media_record(media);
	report_make(media, repair_options(c), &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.result.left, 0);

	events = crash_media_events(media);
	step = events / c->ncuts + 1;
	for (c->cut = 0; r == 0 && c->cut <= events; c->cut += step)
		r = crash_media_foreach(media, c->cut, &budget, try_image, c);
	if (r == 0)
		r = crash_media_foreach(media, events, &budget, is_durable, c);
	untorn_media_close(media);
	return r;
}

static void cut_damage(const struct sample *original, const struct damage *d, unsigned flags, unsigned depth,
		       size_t ncuts)
{
	struct expectation e = {0};
	struct sample s;
	struct cutting c = {.damage = d, .s = &s, .e = &e, .flags = d->flags | flags, .depth = depth, .ncuts = ncuts};

	sample_copy(original, &s);
	d->inflict(&s, &e);
	assert_int_equal(cut_repair(&c, s.bytes), 0);
	print_message("%s, %s: %zu images\n", s.kind->name, d->name, c.images);
	sample_free(&s);
}

static const struct damage *find_damage(const char *name)
{
	size_t i = 0;

	while (strcmp(damages[i].name, name) != 0)
		i++;
	return &damages[i];
}

/* What is particular to a kind of volume, and a bit of everything. */
static bool is_particular(const struct damage *d, unsigned kind)
{
	return d->kinds == 1u << kind || strcmp(d->name, "ruin") == 0 ||
	       strcmp(d->name, "destroyed, parent given") == 0;
}

static void test_cuts(void **state)
{
	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++) {
		struct sample s;

		sample_new(&sample_kinds[k], &s);
		for (size_t i = 0; i < ndamages; i++)
			if (damage_fits(&damages[i], k) && !damages[i].beyond_repair &&
			    (k == SAMPLE_V1_1 || is_particular(&damages[i], k)))
				cut_damage(&s, &damages[i], 0, 0, 60);
		sample_destroy(&s);
	}
}

/* The flog is rewritten from slots 0 and 2 to 0 and 1, beside other repairs. */
static void test_cuts_in_rewrite(void **state)
{
	struct sample s;

	(void)state;
	sample_new(&sample_kinds[SAMPLE_OLD], &s);
	cut_damage(&s, find_damage("interrupted twice"), UNTORN_REPAIR_REWRITE_LOG, 0, 10);
	sample_destroy(&s);
}

/* The slot that Linux takes for current (SPEC 5.3), by both numbers. 2: it refuses. */
static const uint8_t linux_current[4][4] = {{1, 1, 1, 1}, {0, 2, 1, 0}, {1, 0, 2, 1}, {1, 1, 0, 2}};

static int read_rewritten(void *arg, uint8_t *image, uint64_t id)
{
	struct cutting *c = arg;
	struct sample now = *c->s;
	uint32_t seq[2];

	(void)id;
	c->images++;
	now.bytes = image;
	if (flog_detect_padding(sample_group(&now, 0), now.arena.nfree, &now.arena.padding) < 0)
		return 1;
	for (uint32_t l = 0; l < now.arena.nfree; l++) {
		const struct btt_flog_slot *was = sample_current(c->s, l), *is = sample_current(&now, l);

		for (unsigned i = 0; i < 2; i++)
			seq[i] = le32_get(sample_slot(&now, l, i)->seq);
		if (seq[0] > 3 || seq[1] > 3 || is != sample_slot(&now, l, linux_current[seq[0]][seq[1]]) ||
		    memcmp(was, is, offsetof(struct btt_flog_slot, seq)) != 0)
			return 1;
	}
	return 0;
}

/* At no instant is a lane's entry unknown, or another one for Linux than for us. */
static void test_rewrite_is_readable(void **state)
{
	const struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY,
							 .flags = UNTORN_REPAIR_REWRITE_LOG};
	const struct crash_budget budget = {.exhaustive = 8, .samples = 3, .seed = 1};
	struct untorn_media *media;
	struct sample s;
	struct cutting c = {.s = &s};
	size_t events;

	(void)state;
	sample_new(&sample_kinds[SAMPLE_OLD], &s);
	assert_int_equal(crash_media_new(SAMPLE_SIZE, s.bytes, UNTORN_MEDIA_CACHELINE, &media), 0);
	crash_media_record(media);
	report_make(media, options, &report);
	assert_int_equal(report.r, 0);
	events = crash_media_events(media);
	for (size_t cut = 0; cut <= events; cut += events / 24 + 1)
		assert_int_equal(crash_media_foreach(media, cut, &budget, read_rewritten, &c), 0);
	print_message("%zu images\n", c.images);
	untorn_media_close(media);
	sample_destroy(&s);
}

static void test_cuts_in_second_repair(void **state)
{
	static const char *const names[] = {"interrupted twice", "three sectors, one block", "bad checksum"};
	struct sample s;

	(void)state;
	sample_new(&sample_kinds[SAMPLE_V1_1], &s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cut_damage(&s, find_damage(names[i]), 0, 1, 8);
	sample_destroy(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_cuts_in_rewrite),
		cmocka_unit_test(test_rewrite_is_readable),
		cmocka_unit_test(test_cuts_in_second_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
