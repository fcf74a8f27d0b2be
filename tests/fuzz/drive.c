/* SPDX-License-Identifier: BSD-3-Clause */
#include "drive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PROBES     12 /* sectors that are looked at, spread over the volume */
#define EXTENT_MAX 1000

static const char *driven; /* what, for messages */

#define must(condition) must_hold(condition, #condition, __LINE__)

static void must_hold(bool ok, const char *condition, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s: line %d: %s does not hold\n", driven, line, condition);
	abort();
}

/* ------------------------------------------------------------- look ------------------------------------------------------- */

static uint64_t probe_lba(const struct untorn_btt_info *info, unsigned i)
{
	return i == PROBES - 1 ? info->nlba - 1 : info->nlba / PROBES * i;
}

static bool is_errno_of_open(int r)
{
	return r == 0 || r == -ENXIO || r == -EUCLEAN || r == -ENOTUNIQ || r == -EOPNOTSUPP;
}

static void read_about(struct untorn_btt *btt)
{
	struct untorn_btt_info info;
	struct untorn_btt_mapping mapping;
	struct untorn_btt_arena_info arena;
	struct untorn_btt_flog flog;
	uint64_t n;
	int zero, r;
	uint8_t *data, *meta;

	untorn_btt_get_info(btt, &info);
	must(info.nlba > 0 && info.sector_size > 0 && info.size == info.nlba * info.sector_size);
	data = malloc(info.sector_size);
	meta = malloc(info.meta_size + 1);
	must(data && meta);
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t lba = probe_lba(&info, i);

		r = untorn_btt_read(btt, lba, 1, data, info.meta_size ? meta : NULL);
		must(r == 0 || r == -EIO);
		must(untorn_btt_pread(btt, data, 1, (lba + 1) * info.sector_size - 1) == r);
		r = untorn_btt_lookup(btt, lba, &mapping);
		must(r == 0 || r == -EIO || !info.is_laid_out);
		r = untorn_btt_extent(btt, lba, min_u64(info.nlba - lba, EXTENT_MAX), &n, &zero);
		must(r == 0 ? n > 0 && n <= info.nlba - lba : r == -EIO);
	}
	must(untorn_btt_read(btt, info.nlba, 1, data, NULL) == -ERANGE);
	for (uint32_t a = 0; a < info.narena; a++) {
		must(untorn_btt_get_arena(btt, a, &arena) == 0);
		for (uint32_t l = 0; l < arena.nfree; l += 51) {
			r = untorn_btt_get_flog(btt, a, l, &flog);
			must(r == 0 || (r == -ERANGE && !info.is_laid_out));
		}
	}
	must(untorn_btt_get_arena(btt, info.narena, &arena) == -ERANGE);
	free(data);
	free(meta);
}

struct verdict {
	struct untorn_btt_check_result result;
	uint64_t findings[UNTORN_FINDING_KINDS];
	uint64_t mendable; /* errors, with force */
};

static int count_finding(void *arg, const struct untorn_finding *finding)
{
	struct verdict *v = arg;

	must(finding->kind < UNTORN_FINDING_KINDS && finding->field && finding->repairable >= 0 &&
	     finding->repairable <= 2);
	v->findings[finding->kind]++;
	v->mendable += untorn_finding_severity(finding->kind) == UNTORN_ERROR && finding->repairable;
	return 0;
}

static struct verdict check(struct untorn_media *media, enum untorn_btt_layout layout, const uint8_t *parent_uuid,
			    enum untorn_repair_mode repair)
{
	struct verdict v = {0};
	const struct untorn_btt_check_options options = {
		.layout = layout,
		.parent_uuid = parent_uuid,
		.repair = repair,
		.flags = UNTORN_REPAIR_FORCE | UNTORN_REPAIR_REWRITE_LOG,
		.finding = count_finding,
		.arg = &v,
	};

	must(untorn_btt_check(media, &options, &v.result) == 0);
	must(v.result.errors == v.result.repaired + v.result.left);
	must(v.result.repaired == (repair == UNTORN_REPAIR_NONE ? 0 : v.mendable));
	return v;
}

/* Open read-only, check and plan in one way; what the three say must agree. */
static struct verdict look(struct untorn_media *media, enum untorn_btt_layout layout, const uint8_t *parent_uuid)
{
	const struct untorn_btt_open_options options = {
		.layout = layout,
		.parent_uuid = parent_uuid,
		.flags = UNTORN_BTT_READ_ONLY,
	};
	struct verdict v = check(media, layout, parent_uuid, UNTORN_REPAIR_NONE), plan;
	struct untorn_btt *btt;
	int r = untorn_btt_open(media, &options, &btt);

	must(is_errno_of_open(r));
	must(r == 0 || v.result.errors > 0);
	if (r == 0) {
		struct untorn_btt_info info;

		untorn_btt_get_info(btt, &info);
		must(v.result.errors > 0 || !info.is_laid_out || info.nlba == v.result.nlba);
		must(v.findings[UNTORN_FINDING_NO_BTT] == 0);
		read_about(btt);
		must(untorn_btt_close(btt) == 0);
	}
	plan = check(media, layout, parent_uuid, UNTORN_REPAIR_PLAN);
	must(memcmp(plan.findings, v.findings, sizeof(v.findings)) == 0);
	return v;
}

uint64_t drive_looking(struct untorn_media *media, const char *what)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0, UNTORN_BTT_PMEMBLK};
	const char *recognised;
	struct verdict v;

	driven = what;
	must(untorn_btt_recognise(media, &recognised) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		look(media, layouts[i], NULL);
	look(media, UNTORN_BTT_AUTO, sample_parent_uuid);
	v = look(media, UNTORN_BTT_AUTO, NULL);
	return v.result.errors;
}

/* ------------------------------------------------------------ change ----------------------------------------------------- */

/* Write all over the volume. Sectors need to read back only when nothing is wrong with it. */
static void write_about(struct untorn_btt *btt, bool is_sound)
{
	struct untorn_btt_info info;
	uint8_t *data, *back;
	int r;

	untorn_btt_get_info(btt, &info);
	if (info.read_only)
		return;
	data = malloc(info.sector_size);
	back = malloc(info.sector_size);
	must(data && back);
	for (unsigned i = 0; i < 2 * PROBES; i++) {
		uint64_t lba = probe_lba(&info, i % PROBES);

		memset(data, (int)i + 1, info.sector_size);
		r = untorn_btt_write(btt, lba, 1, data, NULL, i % 2 ? UNTORN_BTT_DURABLE : 0);
		must(r == 0 || (r == -EIO && !is_sound));
		if (r == 0 && untorn_btt_read(btt, lba, 1, back, NULL) == 0)
			must(!is_sound || memcmp(data, back, info.sector_size) == 0);
	}
	r = untorn_btt_discard(btt, 0, min_u64(info.nlba, 40));
	must(r == 0 || (r == -EIO && !is_sound));
	r = untorn_btt_mark_error(btt, info.nlba - 1);
	must(r == 0 || (r == -EIO && !is_sound));
	r = untorn_btt_flush(btt);
	must(r == 0 || (r == -EIO && !is_sound));
	free(data);
	free(back);
}

static void write_unrepaired(struct untorn_media *media, uint64_t errors)
{
	struct untorn_btt *btt;
	int r = untorn_btt_open(media, NULL, &btt);

	must(is_errno_of_open(r));
	if (r < 0)
		return;
	write_about(btt, errors == 0);
	r = untorn_btt_close(btt);
	must(r == 0 || errors > 0);
	if (errors == 0)
		must(check(media, UNTORN_BTT_AUTO, NULL, UNTORN_REPAIR_NONE).result.errors == 0);
}

static void repair(struct untorn_media *media, uint64_t errors)
{
	struct verdict v = check(media, UNTORN_BTT_AUTO, NULL, UNTORN_REPAIR_APPLY), after;

	must(v.result.errors == errors);
	after = check(media, UNTORN_BTT_AUTO, NULL, UNTORN_REPAIR_NONE);
	must(after.result.errors <= v.result.left);
	must(after.findings[UNTORN_FINDING_FLOG_PENDING] == 0 || v.result.left > 0);
	if (after.result.errors == 0)
		write_unrepaired(media, 0);
}

/* ------------------------------------------------------------- drive ----------------------------------------------------- */

static void make(const struct sample *original, void (*mutate)(struct sample *s, void *arg), void *arg,
		 struct sample *ret_sample)
{
	struct sample *s = ret_sample;

	sample_copy(original, s);
	mutate(s, arg);
	if (s->media->size < SAMPLE_SIZE)
		must(mprotect(s->bytes + s->media->size, SAMPLE_SIZE - s->media->size, PROT_NONE) == 0);
}

void drive(const struct sample *original, void (*mutate)(struct sample *s, void *arg), void *arg, const char *what)
{
	struct sample s;
	uint64_t errors;

	driven = what;
	make(original, mutate, arg, &s);
	/* Who writes now, dies. */
	must(mprotect(s.bytes, s.media->size, PROT_READ) == 0);
	errors = drive_looking(s.media, what);
	must(mprotect(s.bytes, s.media->size, PROT_READ | PROT_WRITE) == 0);
	repair(s.media, errors);
	sample_free(&s);

	make(original, mutate, arg, &s);
	write_unrepaired(s.media, errors);
	sample_free(&s);
}
