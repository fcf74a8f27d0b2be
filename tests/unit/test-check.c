/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Check and repair: every kind of finding is provoked in known places (tests/lib/damage.c), on each kind of volume, and is told
 * alone and exactly; looking and planning change nothing; a repair does what its plan says, ends clean and leaves all
 * other sectors as they were. Arenas beyond the first live in a sparse file.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "damage.h"
#include "media/fault.h"
#include "media/memory.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct sample originals[SAMPLE_KINDS];
static struct report report, planned, applied;

static int make_originals(void **state)
{
	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++)
		sample_new(&sample_kinds[k], &originals[k]);
	return 0;
}

static int free_originals(void **state)
{
	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++)
		sample_destroy(&originals[k]);
	return 0;
}

/* ---------------------------------------------------------- the table ---------------------------------------------------- */

static uint8_t *bytes_before;

static void remember(const struct sample *s)
{
	if (!bytes_before)
		bytes_before = malloc(SAMPLE_SIZE);
	assert_non_null(bytes_before);
	memcpy(bytes_before, s->bytes, SAMPLE_SIZE);
}

static bool is_unchanged(const struct sample *s)
{
	return memcmp(bytes_before, s->bytes, SAMPLE_SIZE) == 0;
}

/* Bytes that differ lie within steps that were told. */
static bool changes_are_told(const struct sample *s, const struct report *told)
{
	for (uint64_t off = 0; off < SAMPLE_SIZE; off++) {
		size_t i = 0;

		if (bytes_before[off] == s->bytes[off])
			continue;
		while (i < told->nsteps && (off < told->steps[i].off || off >= told->steps[i].off + told->steps[i].len))
			i++;
		if (i == told->nsteps) {
			printf("byte %#jx changed, and no step says so\n", (uintmax_t)off);
			return false;
		}
	}
	return true;
}

static uint64_t count_errors(const struct expectation *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < e->nfindings; i++)
		n += untorn_finding_severity(e->findings[i].kind) == UNTORN_ERROR;
	return n;
}

static bool same_steps(const struct report *x, const struct report *y)
{
	bool same = x->nsteps == y->nsteps;

	for (size_t i = 0; same && i < x->nsteps; i++) {
		const struct untorn_repair_step *a = &x->steps[i], *b = &y->steps[i];

		same = a->kind == b->kind && a->arena == b->arena && a->action == b->action && a->field == b->field &&
		       a->off == b->off && a->len == b->len && a->index == b->index && a->before == b->before &&
		       a->after == b->after;
	}
	if (!same) {
		report_print(x);
		report_print(y);
	}
	return same;
}

/* After a repair: nothing but notes, the volume opens, and all that could be kept is there. */
static void assert_mended(const struct damage *d, struct sample *s, const struct expectation *e)
{
	const struct untorn_btt_check_options options = {.parent_uuid = d->parent_uuid};

	report_make(s->media, options, &report);
	assert_int_equal(report.r, 0);
	if (report.result.errors)
		report_print(&report);
	assert_int_equal(report.result.errors, 0);
	assert_int_equal(report.result.notes, e->nerrors + s->kind->old_padding);
	assert_true(sample_verify(s, s->bytes, e->errors, e->nerrors));
}

static void check_damage(const struct damage *d, const struct sample *original)
{
	struct untorn_btt_check_options options = {.parent_uuid = d->parent_uuid};
	struct expectation e = {0};
	struct sample s;

	sample_copy(original, &s);
	expect_undamaged(&s, &e);
	d->inflict(&s, &e);
	remember(&s);

	report_make(s.media, options, &report);
	assert_int_equal(report.r, 0);
	assert_true(report_is(&report, &e));
	assert_int_equal(report.result.errors, count_errors(&e));
	assert_int_equal(report.result.left, report.result.errors);
	assert_int_equal(report.result.notes, e.nfindings - report.result.errors);
	assert_int_equal(report.result.repaired, 0);
	assert_int_equal(report.nsteps, 0);
	if (!d->without_layout) {
		options.layout = original->kind->layout;
		report_make(s.media, options, &report);
		assert_true(report_is(&report, &e));
	}

	options.repair = UNTORN_REPAIR_PLAN;
	options.flags = d->flags;
	report_make(s.media, options, &planned);
	assert_int_equal(planned.r, 0);
	assert_true(report_is(&planned, &e));
	assert_true(is_unchanged(&s));

	options.repair = UNTORN_REPAIR_APPLY;
	report_make(s.media, options, &applied);
	assert_int_equal(applied.r, 0);
	assert_true(same_steps(&planned, &applied));
	assert_int_equal(applied.result.repaired, planned.result.repaired);
	assert_int_equal(applied.result.repaired + applied.result.left, applied.result.errors);
	assert_true(changes_are_told(&s, &applied));
	if (d->beyond_repair) {
		assert_int_equal(applied.result.left, count_errors(&e));
		assert_true(is_unchanged(&s));
	} else {
		assert_int_equal(applied.result.left, 0);
		assert_mended(d, &s, &e);
	}

	/* Whatever takes force is left alone without it. */
	if (d->flags & UNTORN_REPAIR_FORCE) {
		memcpy(s.bytes, bytes_before, SAMPLE_SIZE);
		options.flags = 0;
		report_make(s.media, options, &report);
		assert_int_equal(report.r, 0);
		assert_int_equal(report.result.left, count_errors(&e));
		assert_true(is_unchanged(&s));
	}
	sample_free(&s);
}

static void test_damages(void **state)
{
	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++)
		for (size_t i = 0; i < ndamages; i++)
			if (damage_fits(&damages[i], k)) {
				print_message("%s: %s\n", sample_kinds[k].name, damages[i].name);
				check_damage(&damages[i], &originals[k]);
			}
}

/* Every error that the checker knows is among those that it was shown. */
static void test_kinds(void **state)
{
	static const enum untorn_finding_kind elsewhere[] = {UNTORN_FINDING_MEDIA, UNTORN_FINDING_INFO_UUID};
	bool shown[UNTORN_FINDING_KINDS] = {false};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		shown[elsewhere[i]] = true;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++)
		for (size_t i = 0; i < ndamages; i++) {
			struct expectation e = {0};
			struct sample s;

			if (!damage_fits(&damages[i], k))
				continue;
			sample_copy(&originals[k], &s);
			expect_undamaged(&s, &e);
			damages[i].inflict(&s, &e);
			for (size_t n = 0; n < e.nfindings; n++)
				shown[e.findings[n].kind] = true;
			sample_free(&s);
		}
	for (int kind = 0; kind < UNTORN_FINDING_KINDS; kind++) {
		if (!shown[kind])
			fail_msg("no test provokes %s", untorn_finding_name((enum untorn_finding_kind)kind));
		assert_true(untorn_finding_danger((enum untorn_finding_kind)kind)[0]);
	}
	assert_string_equal(untorn_finding_name(UNTORN_FINDING_FREE_MAPPED), "free-block-mapped");
	assert_string_equal(untorn_finding_name(UNTORN_FINDING_KINDS), "unknown");
	assert_int_equal(untorn_finding_severity(UNTORN_FINDING_FLOG_PENDING), UNTORN_NOTE);
	assert_int_equal(untorn_finding_severity(UNTORN_FINDING_MAP_TWICE), UNTORN_ERROR);
}

/* ------------------------------------------------------------ options ---------------------------------------------------- */

static void test_clean(void **state)
{
	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++) {
		struct expectation e = {0};

		expect_undamaged(&originals[k], &e);
		remember(&originals[k]);
		for (int mode = UNTORN_REPAIR_NONE; mode <= UNTORN_REPAIR_APPLY; mode++) {
			report_make(originals[k].media,
				    (struct untorn_btt_check_options){.repair = (enum untorn_repair_mode)mode},
				    &report);
			assert_int_equal(report.r, 0);
			assert_true(report_is(&report, &e));
			assert_int_equal(report.nsteps, 0);
			assert_int_equal(report.result.nlba, originals[k].info.nlba);
			assert_int_equal(report.result.narena, 1);
		}
		assert_true(is_unchanged(&originals[k]));
		assert_true(sample_verify(&originals[k], originals[k].bytes, NULL, 0));
	}
}

/* Slots 0 and 2 become 0 and 1, in whatever state the lanes were. */
static void test_rewrite_log(void **state)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_PLAN, .flags = UNTORN_REPAIR_REWRITE_LOG};
	enum untorn_btt_padding padding;
	struct expectation e = {0};
	struct sample s;

	(void)state;
	sample_copy(&originals[SAMPLE_OLD], &s);
	expect_undamaged(&s, &e);
	for (size_t i = 0; i < ndamages; i++)
		if (strcmp(damages[i].name, "ruin") == 0)
			damages[i].inflict(&s, &e);
	report_make(s.media, options, &planned);
	assert_true(report_is(&planned, &e));

	options.repair = UNTORN_REPAIR_APPLY;
	report_make(s.media, options, &applied);
	assert_int_equal(applied.r, 0);
	assert_true(same_steps(&planned, &applied));
	assert_int_equal(applied.result.left, 0);

	assert_int_equal(flog_detect_padding(sample_group(&s, 0), s.arena.nfree, &padding), 0);
	assert_int_equal(padding, UNTORN_BTT_PADDING_01);
	for (uint32_t l = 0; l < s.arena.nfree; l++) {
		const struct btt_flog_group *group = sample_group(&s, l);

		assert_int_equal(le32_get(group->slot[0].seq), 1);
		assert_true(is_zero(&group->slot[1], 3 * sizeof(group->slot[1])));
	}
	report_make(s.media, (struct untorn_btt_check_options){0}, &report);
	assert_int_equal(report.result.errors, 0);
	assert_int_equal(report.result.notes, e.nerrors);
	assert_true(sample_verify(&s, s.bytes, e.errors, e.nerrors));
	sample_free(&s);
}

/* A backup of another container, or of one that was made anew, is never brought back. */
static void test_not_resurrected(void **state)
{
	const uint8_t other[16] = {1, 2, 3};
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY, .parent_uuid = other};
	struct sample s;

	(void)state;
	/* The caller's container is another one than the backup's. */
	sample_copy(&originals[SAMPLE_V2_0], &s);
	memset(s.bytes, 0, 8192);
	remember(&s);
	options.layout = UNTORN_BTT_V2_0;
	options.flags = UNTORN_REPAIR_FORCE;
	report_make(s.media, options, &report);
	assert_int_equal(report.r, 0);
	assert_true(report.result.errors > 0 && report.result.left == report.result.errors);
	assert_true(is_unchanged(&s));
	sample_free(&s);

	/* A pool's header is made anew, with another uuid: its BTT is not there yet. */
	sample_copy(&originals[SAMPLE_POOL], &s);
	memset(sample_primary(&s), 0, 4096);
	memset(sample_backup(&s)->parent_uuid, 7, 16);
	sample_seal(sample_backup(&s));
	remember(&s);
	options = (struct untorn_btt_check_options){.repair = UNTORN_REPAIR_APPLY, .flags = UNTORN_REPAIR_FORCE};
	report_make(s.media, options, &report);
	assert_int_equal(report.nfindings, 1);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_NOT_LAID_OUT);
	assert_true(is_unchanged(&s));
	sample_free(&s);
}

/* Nothing but the backup is left of a pool: it says which layout it is of. */
static void test_lost_head(void **state)
{
	struct sample s;

	(void)state;
	sample_copy(&originals[SAMPLE_POOL], &s);
	memset(s.bytes, 0, 12288);
	report_make(s.media, (struct untorn_btt_check_options){0}, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.nfindings, 3);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_POOL_HEADER);
	assert_int_equal(report.findings[1].kind, UNTORN_FINDING_POOL_HEADER);
	assert_string_equal(report.findings[1].field, "bsize");
	assert_int_equal(report.findings[2].kind, UNTORN_FINDING_INFO_SIGNATURE);
	assert_int_equal(report.findings[2].off, 8192);
	assert_int_equal(report.findings[2].repairable, 2);
	sample_free(&s);
}

/* A volume's user writes what looks like the first info block of another layout. */
static void test_forgery(void **state)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};
	struct btt_info_block forged;
	struct btt_info info;
	struct sample s;

	(void)state;
	sample_copy(&originals[SAMPLE_OLD], &s);
	forged = *sample_primary(&originals[SAMPLE_V1_1]);
	memcpy(s.bytes + 4096, &forged, sizeof(forged));
	report_make(s.media, options, &report);
	assert_int_equal(report.result.errors, 0);

	/* With a backup among the other sectors. */
	info_decode(&forged, &info);
	info.geometry.info2off = 8 * MIB;
	info.geometry.logoff = info.geometry.info2off - 16384;
	info.geometry.mapoff = info.geometry.logoff - 16384;
	info.geometry.internal_nlba = 1280;
	info.geometry.external_nlba = 1024;
	info_encode(&info, &forged);
	memcpy(s.bytes + 4096, &forged, sizeof(forged));
	memcpy(s.bytes + 4096 + 8 * MIB, &forged, sizeof(forged));
	report_make(s.media, options, &report);
	assert_int_equal(report.result.errors, 0);

	/* Not even when the true one is gone and the other is all that looks intact at first. */
	memset(s.bytes, 0, 4096);
	remember(&s);
	report_make(s.media, options, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.nsteps, 0);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_INFO_SIGNATURE);
	assert_int_equal(report.findings[0].off, 0);
	assert_true(is_unchanged(&s));

	/* Without any backup nothing tells them apart. */
	s.bytes[0] = 'B';
	memcpy(s.bytes, BTT_SIGNATURE, 16);
	memset(sample_backup(&s), 0, 4096);
	remember(&s);
	report_make(s.media, options, &report);
	assert_int_equal(report.nfindings, 1);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_AMBIGUOUS);
	assert_true(is_unchanged(&s));
	sample_free(&s);
}

/* A rebuilt lane is one that was never written to: PMDK compares the raw values of a pool's lanes, Linux wants bare ones. */
static void test_rebuilt_lanes(void **state)
{
	static const uint32_t flags[SAMPLE_KINDS] = {[SAMPLE_POOL] = BTT_MAP_NORMAL};

	(void)state;
	for (unsigned k = 0; k < SAMPLE_KINDS; k++) {
		struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};
		const struct btt_flog_slot *slot;
		uint32_t block;
		struct sample s;

		sample_copy(&originals[k], &s);
		slot = &sample_group(&s, 99)->slot[0];
		block = sample_free_block(&s, 99);
		memset(sample_group(&s, 99), 0xff, sizeof(struct btt_flog_group));
		report_make(s.media, options, &report);
		assert_int_equal(report.result.left, 0);
		assert_int_equal(le32_get(slot->lba), 99);
		assert_int_equal(le32_get(slot->old_map), block | flags[k]);
		assert_int_equal(le32_get(slot->new_map), block | flags[k]);
		assert_int_equal(le32_get(slot->seq), 1);
		assert_true(is_zero(slot + 1, 3 * sizeof(*slot)));
		sample_free(&s);
	}
}

struct counting {
	int findings, steps, end_at_finding, end_at_step;
	uint64_t done, total;
};

static int count_finding(void *arg, const struct untorn_finding *finding)
{
	struct counting *counting = arg;

	(void)finding;
	return ++counting->findings == counting->end_at_finding ? 42 : 0;
}

static int count_step(void *arg, const struct untorn_repair_step *step)
{
	struct counting *counting = arg;

	(void)step;
	return ++counting->steps == counting->end_at_step ? -ECANCELED : 0;
}

static void follow_progress(void *arg, uint64_t done, uint64_t total)
{
	struct counting *counting = arg;

	assert_true(done > counting->done && done <= total);
	counting->done = done;
	counting->total = total;
}

static void test_callbacks(void **state)
{
	struct counting counting = {0};
	struct untorn_btt_check_options options = {
		.finding = count_finding,
		.step = count_step,
		.progress = follow_progress,
		.arg = &counting,
	};
	struct untorn_btt_check_result result = {.errors = 77};
	struct expectation e = {0};
	int nfindings, nsteps;
	struct sample s;

	(void)state;
	sample_copy(&originals[SAMPLE_V1_1], &s);
	for (size_t i = 0; i < ndamages; i++)
		if (strcmp(damages[i].name, "ruin") == 0)
			damages[i].inflict(&s, &e);
	remember(&s);

	options.repair = UNTORN_REPAIR_PLAN;
	assert_int_equal(untorn_btt_check(s.media, &options, &result), 0);
	assert_int_equal(counting.done, s.info.nlba);
	assert_int_equal(counting.total, s.info.nlba);
	nfindings = counting.findings;
	nsteps = counting.steps;

	/* Each finding and each step can end it; what comes back is what was returned, and no result. */
	for (int i = 1; i <= nfindings; i++) {
		counting = (struct counting){.end_at_finding = i};
		result.errors = 77;
		assert_int_equal(untorn_btt_check(s.media, &options, &result), 42);
		assert_int_equal(result.errors, 77);
		assert_int_equal(counting.findings, i);
	}
	for (int i = 1; i <= nsteps; i++) {
		counting = (struct counting){.end_at_step = i};
		assert_int_equal(untorn_btt_check(s.media, &options, &result), -ECANCELED);
		assert_int_equal(counting.steps, i);
	}
	assert_true(is_unchanged(&s));

	/* Ended while it is applied, at any step: the next one does the rest. */
	options.repair = UNTORN_REPAIR_APPLY;
	for (int i = 1; i <= nsteps; i++) {
		memcpy(s.bytes, bytes_before, SAMPLE_SIZE);
		counting = (struct counting){.end_at_step = i};
		assert_int_equal(untorn_btt_check(s.media, &options, &result), -ECANCELED);
		counting = (struct counting){0};
		assert_int_equal(untorn_btt_check(s.media, &options, &result), 0);
		assert_int_equal(result.left, 0);
		assert_true(sample_verify(&s, s.bytes, e.errors, e.nerrors));
	}
	sample_free(&s);
}

static void test_arguments(void **state)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};
	struct untorn_btt_check_result result = {0};
	struct sample s;

	(void)state;
	sample_copy(&originals[SAMPLE_V1_1], &s);
	assert_int_equal(untorn_btt_check(s.media, NULL, &result), 0);
	assert_int_equal(untorn_btt_check(NULL, NULL, &result), -EINVAL);
	assert_int_equal(untorn_btt_check(s.media, NULL, NULL), -EINVAL);
	s.media->read_only = true;
	assert_int_equal(untorn_btt_check(s.media, &options, &result), -EROFS);
	options.repair = UNTORN_REPAIR_PLAN;
	assert_int_equal(untorn_btt_check(s.media, &options, &result), 0);
	options.flags = UNTORN_BTT_FORCE;
	assert_int_equal(untorn_btt_check(s.media, &options, &result), -EINVAL);
	options.flags = 0;
	options.layout = (enum untorn_btt_layout)9;
	assert_int_equal(untorn_btt_check(s.media, &options, &result), -EINVAL);
	sample_free(&s);
}

/* ------------------------------------------------------------- faults ---------------------------------------------------- */

struct faulty {
	struct untorn_media *media;
	struct sample s; /* of media; for its places */
};

static void faulty_new(struct faulty *f)
{
	assert_int_equal(fault_media_new(SAMPLE_SIZE, &f->media), 0);
	memcpy(f->media->base, originals[SAMPLE_V1_1].bytes, SAMPLE_SIZE);
	f->s = originals[SAMPLE_V1_1];
	f->s.bytes = f->media->base;
	f->s.media = f->media;
}

static void expect_media_fault(struct faulty *f, uint64_t off, uint64_t len, const char *field, uint64_t index)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};

	assert_int_equal(fault_media_set_bad(f->media, off, len, true), 0);
	report_make(f->media, options, &report);
	assert_int_equal(report.r, 0);
	if (report.nfindings != 1)
		report_print(&report);
	assert_int_equal(report.nfindings, 1);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_MEDIA);
	assert_int_equal(report.findings[0].off, off);
	assert_int_equal(report.findings[0].seen, len);
	assert_int_equal(report.findings[0].index, index);
	assert_string_equal(report.findings[0].field, field);
	assert_int_equal(report.nsteps, 0);
	assert_int_equal(report.result.left, 1);
}

static void test_bad_memory(void **state)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};
	struct faulty f;

	(void)state;
	/* A run of pages is one finding, and no block counts as lost because of it. */
	faulty_new(&f);
	expect_media_fault(&f, f.s.arena.map_off + 4096, 8192, "map entry", 1024);
	untorn_media_close(f.media);

	faulty_new(&f);
	expect_media_fault(&f, f.s.arena.flog_off + 4096, 4096, "lane", 64);
	untorn_media_close(f.media);

	faulty_new(&f);
	expect_media_fault(&f, f.s.arena.off, 4096, "info block", 0);
	untorn_media_close(f.media);

	faulty_new(&f);
	expect_media_fault(&f, f.s.arena.info2_off, 4096, "info block", 0);
	untorn_media_close(f.media);

	/* What needs an unreferenced block is not repaired while the map is not known; the rest is. */
	faulty_new(&f);
	sample_group(&f.s, 5)->slot[3].lba = le32_make(1);
	sample_map(&f.s)[7] = le32_make(UINT32_MAX);
	assert_int_equal(fault_media_set_bad(f.media, f.s.arena.map_off + 4096, 4096, true), 0);
	report_make(f.media, options, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.result.errors, 3);
	assert_int_equal(report.result.repaired, 1);
	assert_int_equal(report.nsteps, 1);
	assert_int_equal(le32_get(sample_group(&f.s, 5)->slot[3].lba), 0);
	assert_int_equal(le32_get(sample_map(&f.s)[7]), UINT32_MAX);
	untorn_media_close(f.media);

	/* So does the error state of an arena that is not known to be sound. */
	faulty_new(&f);
	sample_primary(&f.s)->flags = le32_make(BTT_INFO_ERROR);
	sample_seal(sample_primary(&f.s));
	assert_int_equal(fault_media_set_bad(f.media, f.s.arena.map_off + 4096, 4096, true), 0);
	options.flags = UNTORN_REPAIR_FORCE;
	report_make(f.media, options, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.nfindings, 2);
	assert_int_equal(report.findings[1].kind, UNTORN_FINDING_INFO_ERROR_FLAG);
	assert_int_equal(report.findings[1].repairable, 0);
	assert_int_equal(report.result.left, 2);
	assert_int_equal(report.nsteps, 0);
	untorn_media_close(f.media);

	/* A sync that fails ends the repair. */
	faulty_new(&f);
	sample_interrupt(&f.s, sample_used_lane(&f.s, 0));
	fault_media_fail_drain(f.media, 0);
	report_make(f.media, options, &report);
	assert_int_equal(report.r, -EIO);
	untorn_media_close(f.media);
}

/* ------------------------------------------------------- several arenas -------------------------------------------------- */

#define BIG_SIZE   (1024 * GIB + 64 * MIB) /* three arenas, the last one short */
#define BIG_ARENAS 3
#define MARKS      (4 * BIG_ARENAS)

static char big_path[] = "test-check.XXXXXX";

struct big {
	struct untorn_media *media;
	struct untorn_btt_arena_info arena[BIG_ARENAS];
	uint64_t mark[MARKS]; /* lbas that are written */
};

static void fill_mark(uint8_t *data, uint64_t lba)
{
	for (unsigned i = 0; i < 4096; i++)
		data[i] = (uint8_t)(lba + i * 5 + (lba >> 20));
}

static void big_new(struct big *big, enum untorn_btt_layout layout)
{
	const struct untorn_btt_format_options options = {.layout = layout, .flags = UNTORN_BTT_FORCE};
	struct untorn_btt *btt;
	uint8_t data[4096];
	int fd;

	strcpy(big_path + sizeof(big_path) - 7, "XXXXXX");
	fd = mkstemp(big_path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)BIG_SIZE), 0);
	close(fd);
	assert_int_equal(untorn_media_open(big_path, UNTORN_MEDIA_VOLATILE, 0, &big->media), 0);
	assert_int_equal(untorn_btt_format(big->media, &options), 0);
	assert_int_equal(untorn_btt_open(big->media, NULL, &btt), 0);
	for (uint32_t i = 0; i < BIG_ARENAS; i++) {
		struct untorn_btt_arena_info *a = &big->arena[i];

		assert_int_equal(untorn_btt_get_arena(btt, i, a), 0);
		big->mark[4 * i] = a->first_lba;
		big->mark[4 * i + 1] = a->first_lba + 1000;
		big->mark[4 * i + 2] = a->first_lba + a->external_nlba / 2;
		big->mark[4 * i + 3] = a->first_lba + a->external_nlba - 1;
	}
	for (unsigned i = 0; i < MARKS; i++) {
		fill_mark(data, big->mark[i]);
		assert_int_equal(untorn_btt_write(btt, big->mark[i], 1, data, NULL, UNTORN_BTT_DURABLE), 0);
	}
	assert_int_equal(untorn_btt_close(btt), 0);
}

static void big_free(struct big *big)
{
	untorn_media_close(big->media);
	unlink(big_path);
}

static void big_verify(struct big *big)
{
	uint8_t data[4096], expected[4096];
	struct untorn_btt *btt;

	assert_int_equal(untorn_btt_open(big->media, NULL, &btt), 0);
	for (unsigned i = 0; i < MARKS; i++) {
		fill_mark(expected, big->mark[i]);
		assert_int_equal(untorn_btt_read(btt, big->mark[i], 1, data, NULL), 0);
		assert_memory_equal(data, expected, sizeof(data));
	}
	assert_int_equal(untorn_btt_close(btt), 0);
}

static struct btt_info_block *big_primary(struct big *big, unsigned i)
{
	return (struct btt_info_block *)(big->media->base + big->arena[i].off);
}

static struct btt_info_block *big_backup(struct big *big, unsigned i)
{
	return (struct btt_info_block *)(big->media->base + big->arena[i].info2_off);
}

struct told {
	enum untorn_finding_kind kind;
	int arena;
	uint64_t off;
	int repairable;
};

#define TOLD_MAX 8

/* The damage that was done is told so, mended with those flags, and the volume is what it was. */
static void big_check(struct big *big, const struct told told[TOLD_MAX], unsigned flags)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY, .flags = flags};
	size_t n = 0;

	while (n < TOLD_MAX && (n == 0 || told[n].off))
		n++;
	report_make(big->media, options, &report);
	assert_int_equal(report.r, 0);
	if (report.nfindings != n || report.result.left)
		report_print(&report);
	assert_int_equal(report.nfindings, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(untorn_finding_name(report.findings[i].kind), untorn_finding_name(told[i].kind));
		assert_int_equal(report.findings[i].arena, told[i].arena);
		assert_int_equal(report.findings[i].off, told[i].off);
		assert_int_equal(report.findings[i].repairable, told[i].repairable);
	}
	assert_int_equal(report.result.left, 0);
	assert_int_equal(report.result.narena, BIG_ARENAS);

	report_make(big->media, (struct untorn_btt_check_options){0}, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.nfindings, 0);
	big_verify(big);
}

#define SIGNATURE_OFF(big, i) ((big)->arena[i].off)
#define BACKUP_OFF(big, i)    ((big)->arena[i].info2_off)
#define FIELD_OFF(big, i, f)  ((big)->arena[i].off + offsetof(struct btt_info_block, f))

static void damage_big(struct big *big)
{
	struct btt_info_block block;

	/* A later primary that is gone: the volume is alive, so its backup is meant. */
	memset(big_primary(big, 1), 0, 4096);
	big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_SIGNATURE, 1, SIGNATURE_OFF(big, 1), 1}}, 0);
	memset(big_primary(big, 2), 0xff, 4096);
	big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_SIGNATURE, 2, SIGNATURE_OFF(big, 2), 1}}, 0);

	/* All of them, and the first one may be restored. */
	for (unsigned i = 0; i < BIG_ARENAS; i++)
		big_primary(big, i)->nfree = le32_make(77);
	big_check(big,
		  (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_CHECKSUM, 0, FIELD_OFF(big, 0, checksum), 1},
					  {UNTORN_FINDING_INFO_CHECKSUM, 1, FIELD_OFF(big, 1, checksum), 1},
					  {UNTORN_FINDING_INFO_CHECKSUM, 2, FIELD_OFF(big, 2, checksum), 1}},
		  0);
	for (unsigned i = 0; i < BIG_ARENAS; i++)
		memset(big_primary(big, i), 0, 4096);
	big_check(big,
		  (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_SIGNATURE, 0, SIGNATURE_OFF(big, 0), 2},
					  {UNTORN_FINDING_INFO_SIGNATURE, 1, SIGNATURE_OFF(big, 1), 2},
					  {UNTORN_FINDING_INFO_SIGNATURE, 2, SIGNATURE_OFF(big, 2), 2}},
		  UNTORN_REPAIR_FORCE);

	/* Both copies of one arena: from the others and the rules. */
	for (unsigned i = 1; i < BIG_ARENAS; i++) {
		memset(big_primary(big, i), 0, 4096);
		memset(big_backup(big, i), 0, 4096);
		big_check(big,
			  (struct told[TOLD_MAX]){
				  {UNTORN_FINDING_INFO_SIGNATURE, (int)i, SIGNATURE_OFF(big, i), 1},
				  {UNTORN_FINDING_INFO_BACKUP, (int)i, BACKUP_OFF(big, i), 1},
			  },
			  0);
	}
	memset(big_primary(big, 0), 0, 4096);
	memset(big_backup(big, 0), 0, 4096);
	big_check(big,
		  (struct told[TOLD_MAX]){
			  {UNTORN_FINDING_INFO_SIGNATURE, 0, SIGNATURE_OFF(big, 0), 2},
			  {UNTORN_FINDING_INFO_BACKUP, 0, BACKUP_OFF(big, 0), 2},
		  },
		  UNTORN_REPAIR_FORCE);

	/* The chain, cut in the primary, in the backup, in both, and led astray. */
	big_primary(big, 1)->nextoff = le64_make(0);
	sample_seal(big_primary(big, 1));
	big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_CHAIN, 1, FIELD_OFF(big, 1, nextoff), 1}}, 0);
	block = *big_primary(big, 0);
	block.nextoff = le64_make(0);
	sample_seal(&block);
	*big_backup(big, 0) = block;
	big_check(big,
		  (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_BACKUP, 0,
					   BACKUP_OFF(big, 0) + offsetof(struct btt_info_block, nextoff), 1}},
		  0);
	*big_primary(big, 0) = *big_backup(big, 0) = block;
	big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_CHAIN, 0, FIELD_OFF(big, 0, nextoff), 2}},
		  UNTORN_REPAIR_FORCE);
	big_primary(big, 0)->nextoff = le64_make(BTT_ARENA_MAX - 4096);
	sample_seal(big_primary(big, 0));
	big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_CHAIN, 0, FIELD_OFF(big, 0, nextoff), 1}}, 0);

	/* An arena of another BTT, by its first block; also where that is the first one. */
	for (unsigned i = 0; i < BIG_ARENAS; i++) {
		memset(big_primary(big, i)->uuid, 0x11, 16);
		sample_seal(big_primary(big, i));
		big_check(big, (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_UUID, (int)i, FIELD_OFF(big, i, uuid), 1}},
			  0);
	}

	/* Another sector size than the others'. */
	block = *big_primary(big, 2);
	block.external_lbasize = le32_make(2048);
	sample_seal(&block);
	*big_primary(big, 2) = block;
	big_check(big,
		  (struct told[TOLD_MAX]){{UNTORN_FINDING_INFO_GEOMETRY, 2, FIELD_OFF(big, 2, external_lbasize), 1}},
		  0);
}

/* The map stores of all writes were lost, so that each lba is initial again, somewhere in a hole. */
static void interrupt_big(struct big *big)
{
	struct untorn_btt_check_options options = {0};

	for (unsigned i = 0; i < MARKS; i++) {
		const struct untorn_btt_arena_info *a = &big->arena[i / 4];
		le32 *map = (le32 *)(big->media->base + a->map_off);

		map[big->mark[i] - a->first_lba] = le32_make(0);
	}
	for (int n = 0; n < 2; n++) {
		report_make(big->media, options, &report);
		assert_int_equal(report.r, 0);
		assert_int_equal(report.nfindings, MARKS);
		for (unsigned i = 0; i < MARKS; i++)
			assert_int_equal(report.findings[i].kind, UNTORN_FINDING_FLOG_PENDING);
		options.repair = UNTORN_REPAIR_APPLY;
	}
	assert_int_equal(report.nsteps, MARKS);
	report_make(big->media, options, &report);
	assert_int_equal(report.nfindings, 0);
	big_verify(big);
}

static void expect_shared(struct big *big, uint32_t first, uint32_t second)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY};
	uint64_t shared[2];
	size_t n = 0;

	report_make(big->media, options, &report);
	assert_int_equal(report.result.errors, 3);
	for (size_t i = 0; i < report.nfindings; i++) {
		const struct untorn_finding *f = &report.findings[i];

		assert_int_equal(f->arena, 1);
		if (f->kind == UNTORN_FINDING_MAP_TWICE && n < 2)
			shared[n++] = f->index;
	}
	assert_int_equal(n, 2);
	assert_int_equal(shared[0], first);
	assert_int_equal(shared[1], second);
	assert_int_equal(report.result.left, 0);
	report_make(big->media, (struct untorn_btt_check_options){0}, &report);
	assert_int_equal(report.result.errors, 0);
}

static void damage_big_map(struct big *big)
{
	const struct untorn_btt_arena_info *a = &big->arena[1];
	uint32_t last = a->external_nlba - 1;
	le32 *map = (le32 *)(big->media->base + a->map_off);

	/* Two sectors in a hole of 512 MiB of map, of which one points to the other's block; either may come first. */
	map[last - 5] = le32_make(70000 | BTT_MAP_NORMAL);
	expect_shared(big, 70000, last - 5);
	map[5] = le32_make(90001 | BTT_MAP_NORMAL);
	expect_shared(big, 5, 90001);
	big_verify(big);
}

/* The rest of a volume whose file was cut is looked at; nothing is changed. */
static void cut_big(struct big *big)
{
	struct untorn_btt_check_options options = {.repair = UNTORN_REPAIR_APPLY, .flags = UNTORN_REPAIR_FORCE};
	struct untorn_btt *btt;

	untorn_media_close(big->media);
	assert_int_equal(truncate(big_path, (off_t)(BTT_ARENA_MAX + 64 * MIB)), 0);
	assert_int_equal(untorn_media_open(big_path, UNTORN_MEDIA_VOLATILE, 0, &big->media), 0);
	report_make(big->media, options, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.result.narena, 2);
	assert_true(report.result.errors > 0);
	assert_int_equal(report.result.left, report.result.errors);
	assert_int_equal(report.nsteps, 0);
	assert_int_equal(untorn_btt_open(big->media, NULL, &btt), -EUCLEAN);

	/* So that even the second arena's first block is gone. */
	untorn_media_close(big->media);
	assert_int_equal(truncate(big_path, (off_t)(BTT_ARENA_MAX + 8 * MIB)), 0);
	assert_int_equal(untorn_media_open(big_path, UNTORN_MEDIA_VOLATILE, 0, &big->media), 0);
	report_make(big->media, options, &report);
	assert_int_equal(report.r, 0);
	assert_int_equal(report.result.narena, 1);
	assert_int_equal(report.nfindings, 1);
	assert_int_equal(report.findings[0].kind, UNTORN_FINDING_INFO_CHAIN);
	assert_int_equal(report.findings[0].seen, BTT_ARENA_MAX);
	assert_int_equal(report.result.left, 1);
	assert_int_equal(report.nsteps, 0);
}

static void test_arenas(void **state)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0};
	struct big big;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		big_new(&big, layouts[i]);
		interrupt_big(&big);
		damage_big(&big);
		damage_big_map(&big);
		cut_big(&big);
		big_free(&big);
	}
}

/* ------------------------------------------------------------ fixtures --------------------------------------------------- */

static int open_fixture(const char *name, struct untorn_media **ret_media)
{
	char command[512], path[] = "test-check-fixture.XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "xz -dkc '%s/%s.xz' > '%s'", FIXTURES, name, path);
	assert_int_equal(system(command), 0);
	r = untorn_media_open(path, UNTORN_MEDIA_VOLATILE, UNTORN_MEDIA_READ_ONLY, ret_media);
	unlink(path);
	return r;
}

/* Volumes that Linux and PMDK wrote. */
static void test_fixtures(void **state)
{
	static const struct {
		const char *name;
		uint64_t nlba, note; /* lba in error state, or 0 */
	} fixtures[] = {
		{"btt-labelless-4096.img", 7920, 0}, {"btt-labelless-4104.img", 7794, 0},
		{"btt-labelless-520.img", 57539, 0}, {"pmemblk-512.pool", 40315, 74},
		{"pmemblk-4096.pool", 4850, 74},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		struct untorn_media *media;

		print_message("%s\n", fixtures[i].name);
		assert_int_equal(open_fixture(fixtures[i].name, &media), 0);
		report_make(media, (struct untorn_btt_check_options){0}, &report);
		untorn_media_close(media);
		assert_int_equal(report.r, 0);
		assert_int_equal(report.result.errors, 0);
		assert_int_equal(report.result.nlba, fixtures[i].nlba);
		assert_int_equal(report.nfindings, fixtures[i].note != 0);
		if (fixtures[i].note) {
			assert_int_equal(report.findings[0].kind, UNTORN_FINDING_MAP_ERROR);
			assert_int_equal(report.findings[0].index, fixtures[i].note);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),           cmocka_unit_test(test_damages),
		cmocka_unit_test(test_kinds),           cmocka_unit_test(test_rewrite_log),
		cmocka_unit_test(test_not_resurrected), cmocka_unit_test(test_forgery),
		cmocka_unit_test(test_lost_head),       cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_arguments),       cmocka_unit_test(test_bad_memory),
		cmocka_unit_test(test_arenas),          cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_rebuilt_lanes),
	};

	return cmocka_run_group_tests(tests, make_originals, free_originals);
}
