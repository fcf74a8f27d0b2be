/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "media/memory.h"

#define NWRITES 6000
#define GUARD   (16u << 20)

const uint8_t sample_parent_uuid[16] = {0x70, 0x61, 0x72, 0x65, 0x6e, 0x74, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

const struct sample_kind sample_kinds[SAMPLE_KINDS] = {
	[SAMPLE_V1_1] = {.name = "1.1-4096", .layout = UNTORN_BTT_V1_1, .sector_size = 4096},
	[SAMPLE_V2_0] = {.name = "2.0-520",
			 .layout = UNTORN_BTT_V2_0,
			 .sector_size = 520,
			 .parent_uuid = sample_parent_uuid},
	[SAMPLE_POOL] = {.name = "pmemblk-512",
			 .layout = UNTORN_BTT_PMEMBLK,
			 .sector_size = 512,
			 .parent_uuid = sample_parent_uuid},
	[SAMPLE_OLD] = {.name = "2.0-4096-slots-0-2",
			.layout = UNTORN_BTT_V2_0,
			.sector_size = 4096,
			.old_padding = true},
};

/* Not assert(): the calls must stay in builds without it. */
static void need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "sample: %s failed\n", what);
		abort();
	}
}

/* ------------------------------------------------------------- life ------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void fill(uint8_t *sector, uint32_t size, uint32_t lba, uint32_t generation)
{
	for (uint32_t i = 0; i < size; i++)
		sector[i] = (uint8_t)(lba * 31 + generation * 7 + i + (i >> 8) * 3 + (lba >> 8));
}

/* Runs of 1 to 20 sectors, durable or buffered, and a few discards. */
static void write_sectors(struct untorn_btt *btt, const struct untorn_btt_info *info, uint8_t *content)
{
	uint32_t state = 1;

	for (uint32_t i = 0; i < NWRITES;) {
		uint64_t lba = next_random(&state) % info->nlba;
		uint64_t n = min_u64(1 + next_random(&state) % 20, info->nlba - lba);
		uint8_t *data = content + lba * info->sector_size;
		unsigned flags = next_random(&state) % 3 ? 0 : UNTORN_BTT_DURABLE;

		for (uint64_t k = 0; k < n; k++)
			fill(data + k * info->sector_size, info->sector_size, (uint32_t)(lba + k), i);
		if (next_random(&state) % 40 == 0) {
			memset(data, 0, n * info->sector_size);
			need(untorn_btt_discard(btt, lba, n) == 0, "discard");
		} else {
			need(untorn_btt_write(btt, lba, n, data, NULL, flags) == 0, "write");
		}
		i += n;
	}
}

/* Move what is in slot 1 of each group to slot 2. */
static void age_flog(const struct sample *s)
{
	for (uint32_t l = 0; l < s->arena.nfree; l++) {
		struct btt_flog_group *group = sample_group(s, l);

		group->slot[2] = group->slot[1];
		memset(&group->slot[1], 0, sizeof(group->slot[1]));
	}
}

static void map_bytes(struct sample *s, int flags)
{
	uint8_t *guarded =
		mmap(NULL, SAMPLE_SIZE + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(guarded != MAP_FAILED, "mmap");
	s->bytes = mmap(guarded + GUARD, SAMPLE_SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, s->fd, 0);
	need(s->bytes != MAP_FAILED, "mmap");
	need(memory_media_wrap(s->bytes, SAMPLE_SIZE, &s->media) == 0, "medium");
}

void sample_new(const struct sample_kind *kind, struct sample *ret_sample)
{
	struct sample s = {.kind = kind};
	const struct untorn_btt_format_options options = {
		.layout = kind->layout,
		.sector_size = kind->sector_size,
		.parent_uuid = kind->parent_uuid,
	};
	struct untorn_btt *btt;
	uint8_t *content;

	s.fd = memfd_create("sample", MFD_CLOEXEC);
	need(s.fd >= 0 && ftruncate(s.fd, SAMPLE_SIZE) == 0, "memfd_create");
	map_bytes(&s, MAP_SHARED);
	need(untorn_btt_format(s.media, &options) == 0, "format");
	need(untorn_btt_open(s.media, NULL, &btt) == 0, "open");
	untorn_btt_get_info(btt, &s.info);
	content = calloc(s.info.nlba, s.info.sector_size);
	need(content, "calloc");
	write_sectors(btt, &s.info, content);
	need(untorn_btt_get_arena(btt, 0, &s.arena) == 0, "arena");
	need(untorn_btt_close(btt) == 0, "close");
	s.content = content;
	if (kind->old_padding) {
		age_flog(&s);
		s.arena.padding = UNTORN_BTT_PADDING_02;
	}
	*ret_sample = s;
}

void sample_destroy(struct sample *s)
{
	sample_free(s);
	close(s->fd);
	free((void *)s->content);
}

void sample_copy(const struct sample *original, struct sample *ret_sample)
{
	struct sample s = *original;

	map_bytes(&s, MAP_PRIVATE);
	*ret_sample = s;
}

void sample_free(struct sample *s)
{
	untorn_media_close(s->media);
	munmap(s->bytes - GUARD, SAMPLE_SIZE + 2 * GUARD);
}

/* ------------------------------------------------------------ places ------------------------------------------------------ */

struct btt_info_block *sample_primary(const struct sample *s)
{
	return (struct btt_info_block *)(s->bytes + s->arena.off);
}

struct btt_info_block *sample_backup(const struct sample *s)
{
	return (struct btt_info_block *)(s->bytes + s->arena.info2_off);
}

void sample_seal(struct btt_info_block *block)
{
	block->checksum = le64_make(info_checksum(block));
}

le32 *sample_map(const struct sample *s)
{
	return (le32 *)(s->bytes + s->arena.map_off);
}

uint32_t sample_block(const struct sample *s, uint32_t lba)
{
	return map_entry_block(le32_get(sample_map(s)[lba]), lba);
}

struct btt_flog_group *sample_group(const struct sample *s, uint32_t lane)
{
	return (struct btt_flog_group *)(s->bytes + s->arena.flog_off) + lane;
}

struct btt_flog_slot *sample_slot(const struct sample *s, uint32_t lane, unsigned live)
{
	return &sample_group(s, lane)->slot[flog_slot_number(s->arena.padding, live)];
}

struct btt_flog_slot *sample_current(const struct sample *s, uint32_t lane)
{
	int live = flog_current(le32_get(sample_slot(s, lane, 0)->seq), le32_get(sample_slot(s, lane, 1)->seq));

	need(live >= 0, "current slot");
	return sample_slot(s, lane, (unsigned)live);
}

uint32_t sample_free_block(const struct sample *s, uint32_t lane)
{
	return le32_get(sample_current(s, lane)->old_map) & BTT_MAP_BLOCK;
}

uint64_t sample_off(const struct sample *s, const void *p)
{
	return (uint64_t)((const uint8_t *)p - s->bytes);
}

uint32_t sample_used_lane(const struct sample *s, uint32_t from)
{
	uint32_t l = from;

	for (; l < s->arena.nfree; l++) {
		const struct btt_flog_slot *slot = sample_current(s, l);
		uint32_t block = le32_get(slot->new_map) & BTT_MAP_BLOCK;

		if (block != sample_free_block(s, l) && sample_block(s, le32_get(slot->lba)) == block &&
		    map_entry_state(le32_get(sample_map(s)[le32_get(slot->lba)])) == BTT_MAP_NORMAL)
			break;
	}
	need(l < s->arena.nfree, "used lane");
	return l;
}

void sample_interrupt(const struct sample *s, uint32_t lane)
{
	uint32_t lba = le32_get(sample_current(s, lane)->lba);

	sample_map(s)[lba] = le32_make(sample_free_block(s, lane) | BTT_MAP_NORMAL);
}

/* ------------------------------------------------------------ verify ------------------------------------------------------ */

static bool is_among(uint32_t number, const uint32_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

bool sample_verify(const struct sample *s, uint8_t *image, const uint32_t *errors, size_t nerrors)
{
	const struct untorn_btt_open_options options = {.layout = s->kind->layout, .flags = UNTORN_BTT_READ_ONLY};
	uint32_t size = s->info.sector_size;
	struct untorn_media *media;
	struct untorn_btt *btt;
	bool ok = true;
	uint8_t *data;
	int r;

	need(memory_media_wrap(image, SAMPLE_SIZE, &media) == 0, "medium");
	r = untorn_btt_open(media, &options, &btt);
	if (r < 0) {
		printf("open: %s\n", untorn_strerror(r));
		untorn_media_close(media);
		return false;
	}
	data = malloc(size);
	need(data, "malloc");
	for (uint32_t lba = 0; ok && lba < s->info.nlba; lba++) {
		int expected = is_among(lba, errors, nerrors) ? -EIO : 0;

		r = untorn_btt_read(btt, lba, 1, data, NULL);
		ok = r == expected && (r < 0 || memcmp(data, s->content + (uint64_t)lba * size, size) == 0);
		if (!ok)
			printf("lba %" PRIu32 ": read returned %d, expected %d%s\n", lba, r, expected,
			       r == 0 && expected == 0 ? ", and other content" : "");
	}
	free(data);
	untorn_btt_close(btt);
	untorn_media_close(media);
	return ok;
}

/* ------------------------------------------------------------ reports ----------------------------------------------------- */

static int keep_finding(void *arg, const struct untorn_finding *finding)
{
	struct report *report = arg;

	need(report->nfindings < REPORT_MAX, "keeping findings");
	report->findings[report->nfindings++] = *finding;
	return 0;
}

static int keep_step(void *arg, const struct untorn_repair_step *step)
{
	struct report *report = arg;

	need(report->nsteps < REPORT_MAX, "keeping steps");
	report->steps[report->nsteps++] = *step;
	return 0;
}

void report_make(struct untorn_media *media, struct untorn_btt_check_options options, struct report *ret_report)
{
	struct report *report = ret_report;

	report->nfindings = report->nsteps = 0;
	options.finding = keep_finding;
	options.step = keep_step;
	options.arg = report;
	report->r = untorn_btt_check(media, &options, &report->result);
}

void report_print(const struct report *report)
{
	printf("returned %d; errors %" PRIu64 " notes %" PRIu64 " repaired %" PRIu64 " left %" PRIu64 "\n", report->r,
	       report->result.errors, report->result.notes, report->result.repaired, report->result.left);
	for (size_t i = 0; i < report->nfindings; i++) {
		const struct untorn_finding *f = &report->findings[i];

		printf("  %s: arena %d off %#" PRIx64 " %s %" PRIu64 " seen %#" PRIx64 " expected %#" PRIx64
		       " repairable %d\n",
		       untorn_finding_name(f->kind), f->arena, f->off, f->field, f->index, f->seen, f->expected,
		       f->repairable);
	}
	for (size_t i = 0; i < report->nsteps; i++) {
		const struct untorn_repair_step *s = &report->steps[i];

		printf("  step %s: arena %d off %#" PRIx64 " len %" PRIu64 " %s %" PRIu64 ": %s (%#" PRIx64
		       " becomes %#" PRIx64 ")\n",
		       untorn_finding_name(s->kind), s->arena, s->off, s->len, s->field, s->index, s->action, s->before,
		       s->after);
	}
}
