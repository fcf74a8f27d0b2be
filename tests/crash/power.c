/* SPDX-License-Identifier: BSD-3-Clause */
#include "power.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "media/memory.h"
#include "ram.h"
#include "spec.h"

#define MIB (1ull << 20)

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void *grow(void *p, uint32_t n, uint32_t *capacity, size_t size)
{
	if (n < *capacity)
		return p;
	*capacity = *capacity ? 2 * *capacity : 64;
	return need(realloc(p, *capacity * size));
}

/* ---------------------------------------------------------- volume ------------------------------------------------------- */

static uint64_t base_of(enum untorn_btt_layout layout)
{
	return layout == UNTORN_BTT_V1_1 ? 4096 : layout == UNTORN_BTT_V2_0 ? 0 : 8192;
}

static void make_by_hand(const struct power_kind *kind, uint8_t *image)
{
	const struct spec_options options = {
		.base = base_of(kind->layout),
		.major = kind->layout == UNTORN_BTT_V1_1 ? 1 : 2,
		.minor = kind->layout == UNTORN_BTT_V1_1 ? 1 : 0,
		.external_lbasize = kind->external_lbasize,
		.internal_lbasize = (uint32_t)round_up(kind->external_lbasize, 64),
		.external_nlba = kind->external_nlba,
		.nfree = kind->nfree,
	};

	spec_make(image, kind->size, &options);
	if (kind->old_padding) {
		struct spec_arena a = spec_arena(image, options.base);

		spec_set_slot(image, &a, 0, 2, (struct spec_slot){0, a.external_nlba, a.external_nlba, 2});
	}
}

static void open_volume(struct power *p)
{
	if (untorn_btt_open(p->media, NULL, &p->btt) < 0)
		abort();
	untorn_btt_get_info(p->btt, &p->info);
}

static void init(struct power *p, const struct power_kind *kind, uint32_t cells, uint64_t seed)
{
	*p = (struct power){.kind = kind, .base = base_of(kind->layout), .cells = cells, .random = seed};
	pthread_mutex_init(&p->lock, NULL);
	/* Call 0 is all that went before, long over. */
	p->ops = grow(p->ops, 0, &p->ops_capacity, sizeof(*p->ops));
	p->ops[p->nops++] = (struct power_op){.type = POWER_WRITE, .durable = true};
}

void power_new(struct power *p, const struct power_kind *kind, uint32_t cells, uint64_t seed)
{
	init(p, kind, cells, seed);
	if (crash_media_new(kind->size, NULL, UNTORN_MEDIA_CACHELINE, &p->media) < 0)
		abort();
	if (kind->nfree != 256)
		make_by_hand(kind, p->media->base);
	else if (untorn_btt_format(p->media, &(struct untorn_btt_format_options){
						     .layout = kind->layout,
						     .sector_size = kind->external_lbasize,
					     }) < 0)
		abort();
	open_volume(p);
	/* Metadata belongs to whole sectors. */
	p->cell_size = cells == 1 ? kind->external_lbasize : p->info.sector_size / cells;
}

void power_free(struct power *p)
{
	if (p->btt)
		untorn_btt_close(p->btt);
	for (uint32_t i = 0; i < p->nentries; i++)
		free(p->entries[i].bytes);
	free(p->entries);
	free(p->ops);
	untorn_media_close(p->media);
	pthread_mutex_destroy(&p->lock);
}

/* ---------------------------------------------------------- history ------------------------------------------------------ */

static void expect(struct power *p, int r, const char *what)
{
	if (r < 0)
		p->fault = what;
}

/* A call begins: its mark is in the log before anything it does. */
static uint32_t begin_op(struct power *p, enum power_op_type type, bool durable)
{
	uint32_t op;

	pthread_mutex_lock(&p->lock);
	op = p->nops++;
	p->ops = grow(p->ops, op, &p->ops_capacity, sizeof(*p->ops));
	p->ops[op] = (struct power_op){.type = type, .durable = durable, .end = SIZE_MAX, .durable_at = SIZE_MAX};
	pthread_mutex_unlock(&p->lock);
	return op;
}

static void end_op(struct power *p, uint32_t op)
{
	crash_media_mark(p->media, 2 * op + 2);
}

/* The bytes are copied. */
static void add_entry(struct power *p, uint32_t op, uint32_t cell, bool error, const uint8_t *bytes)
{
	struct power_entry *e;

	pthread_mutex_lock(&p->lock);
	p->entries = grow(p->entries, p->nentries, &p->entries_capacity, sizeof(*p->entries));
	e = &p->entries[p->nentries++];
	*e = (struct power_entry){.cell = cell, .op = op, .error = error};
	e->bytes = need(malloc(p->cell_size));
	memcpy(e->bytes, bytes, p->cell_size);
	pthread_mutex_unlock(&p->lock);
}

static const struct power_entry *last_entry(const struct power *p, uint32_t cell)
{
	for (uint32_t i = p->nentries; i > 0; i--)
		if (p->entries[i - 1].cell == cell)
			return &p->entries[i - 1];
	return NULL;
}

/* No two words alike, in one content or in two. */
static void new_content(struct power *p, uint8_t *bytes)
{
	uint64_t state = p->random ^ atomic_fetch_add(&p->contents, 1) << 32;

	for (uint32_t i = 0; i < p->cell_size; i += 4) {
		uint32_t word = random_next(&state);

		memcpy(bytes + i, &word, min_u64(4, p->cell_size - i));
	}
}

void power_record(struct power *p)
{
	uint32_t n = 0;

	if (untorn_btt_close(p->btt) < 0)
		abort();
	open_volume(p);
	for (uint32_t i = 0; i < p->nentries; i++) {
		struct power_entry *e = &p->entries[i];

		if (last_entry(p, e->cell) != e) {
			free(e->bytes);
			continue;
		}
		e->op = 0;
		p->entries[n++] = *e;
	}
	p->nentries = n;
	p->nops = 1;
	crash_media_record(p->media);
}

/* ---------------------------------------------------------- calls -------------------------------------------------------- */

/* What a cell holds before the first call: nothing was written there, all bytes are zero. */
static void note_untouched(struct power *p, uint32_t cell)
{
	uint8_t *zeros;
	bool known;

	pthread_mutex_lock(&p->lock);
	known = last_entry(p, cell);
	pthread_mutex_unlock(&p->lock);
	if (known)
		return;
	zeros = need(calloc(1, p->cell_size));
	add_entry(p, 0, cell, false, zeros);
	free(zeros);
}

void power_write(struct power *p, uint32_t lba, uint32_t n, unsigned flags)
{
	uint32_t size = p->info.sector_size, meta_size = p->info.meta_size;
	uint8_t *data = need(malloc((size_t)n * size)), *meta = need(malloc((size_t)n * meta_size + 1));
	uint8_t *bytes = need(malloc(p->cell_size));
	uint32_t op;

	for (uint32_t i = 0; i < n * p->cells; i++)
		note_untouched(p, lba * p->cells + i);
	op = begin_op(p, POWER_WRITE, flags & UNTORN_BTT_DURABLE);
	for (uint32_t i = 0; i < n * p->cells; i++) {
		uint32_t cell = lba * p->cells + i;

		new_content(p, bytes);
		add_entry(p, op, cell, false, bytes);
		if (p->cells == 1) {
			memcpy(data + (size_t)i * size, bytes, size);
			memcpy(meta + (size_t)i * meta_size, bytes + size, meta_size);
		} else {
			memcpy(data + (size_t)i * p->cell_size, bytes, p->cell_size);
		}
	}
	crash_media_mark(p->media, 2 * op + 1);
	expect(p, untorn_btt_write(p->btt, lba, n, data, p->cells == 1 ? meta : NULL, flags), "write");
	end_op(p, op);
	free(data);
	free(meta);
	free(bytes);
}

void power_write_part(struct power *p, uint32_t lba, uint32_t off, uint32_t len, unsigned flags)
{
	uint8_t *bytes = need(malloc(p->cell_size)), *part = need(malloc(p->cell_size));
	uint32_t op;

	note_untouched(p, lba);
	op = begin_op(p, POWER_WRITE, flags & UNTORN_BTT_DURABLE);
	new_content(p, part);
	memcpy(bytes, last_entry(p, lba)->bytes, p->cell_size);
	memcpy(bytes + off, part, len);
	add_entry(p, op, lba, false, bytes);
	crash_media_mark(p->media, 2 * op + 1);
	expect(p, untorn_btt_pwrite(p->btt, part, len, (uint64_t)lba * p->info.sector_size + off, flags), "pwrite");
	end_op(p, op);
	free(bytes);
	free(part);
}

void power_write_cell(struct power *p, uint32_t lba, uint32_t part, unsigned flags)
{
	uint8_t *bytes = need(malloc(p->cell_size));
	uint32_t cell = lba * p->cells + part, op;

	for (uint32_t i = 0; i < p->cells; i++)
		note_untouched(p, lba * p->cells + i);
	op = begin_op(p, POWER_WRITE, flags & UNTORN_BTT_DURABLE);
	new_content(p, bytes);
	add_entry(p, op, cell, false, bytes);
	crash_media_mark(p->media, 2 * op + 1);
	expect(p,
	       untorn_btt_pwrite(p->btt, bytes, p->cell_size,
				 (uint64_t)lba * p->info.sector_size + (uint64_t)part * p->cell_size, flags),
	       "pwrite");
	end_op(p, op);
	free(bytes);
}

static uint32_t begin_states(struct power *p, uint32_t lba, uint32_t n, bool error)
{
	uint8_t *zeros = need(calloc(1, p->cell_size));
	uint32_t op;

	for (uint32_t i = 0; i < n * p->cells; i++)
		note_untouched(p, lba * p->cells + i);
	op = begin_op(p, POWER_WRITE, true);
	for (uint32_t i = 0; i < n * p->cells; i++)
		add_entry(p, op, lba * p->cells + i, error, zeros);
	crash_media_mark(p->media, 2 * op + 1);
	free(zeros);
	return op;
}

void power_discard(struct power *p, uint32_t lba, uint32_t n)
{
	uint32_t op = begin_states(p, lba, n, false);

	expect(p, untorn_btt_discard(p->btt, lba, n), "discard");
	end_op(p, op);
}

void power_mark_error(struct power *p, uint32_t lba)
{
	uint32_t op = begin_states(p, lba, 1, true);

	expect(p, untorn_btt_mark_error(p->btt, lba), "mark_error");
	end_op(p, op);
}

void power_flush(struct power *p)
{
	uint32_t op = begin_op(p, POWER_FLUSH, true);

	crash_media_mark(p->media, 2 * op + 1);
	expect(p, untorn_btt_flush(p->btt), "flush");
	end_op(p, op);
}

void power_close(struct power *p)
{
	uint32_t op = begin_op(p, POWER_CLOSE, true);

	crash_media_mark(p->media, 2 * op + 1);
	expect(p, untorn_btt_close(p->btt), "close");
	p->btt = NULL;
	end_op(p, op);
}

void power_open(struct power *p)
{
	int r = untorn_btt_open(p->media, NULL, &p->btt);

	expect(p, r, "open");
	if (r == 0)
		untorn_btt_get_info(p->btt, &p->info);
}

/* --------------------------------------------------------- what may be --------------------------------------------------- */

/* Find each call's place in the log, and from when on it is durable: at its own end, or at that of a flush after it. */
static void place_ops(struct power *p)
{
	uint32_t last = 0;

	for (size_t cut = 1; cut <= crash_media_events(p->media); cut++) {
		uint32_t mark = crash_media_last_mark(p->media, cut);

		if (mark == last || mark == 0)
			continue;
		last = mark;
		if (mark % 2)
			p->ops[mark / 2].begin = cut;
		else
			p->ops[mark / 2 - 1].end = cut;
	}
	for (uint32_t i = 0; i < p->nops; i++) {
		struct power_op *op = &p->ops[i];

		op->durable_at = op->durable ? op->end : SIZE_MAX;
		for (uint32_t f = 0; f < p->nops; f++) {
			const struct power_op *flush = &p->ops[f];

			if (flush->type != POWER_WRITE && flush->begin >= op->end && flush->end < op->durable_at)
				op->durable_at = flush->end;
		}
	}
}

static bool is_allowed(const struct power *p, const struct power_entry *x, size_t cut)
{
	const struct power_op *mine = &p->ops[x->op];

	if (mine->begin > cut)
		return false;
	for (uint32_t i = 0; i < p->nentries; i++) {
		const struct power_entry *y = &p->entries[i];
		const struct power_op *other = &p->ops[y->op];

		if (y->cell == x->cell && y->op != x->op && other->durable_at <= cut && other->begin >= mine->end)
			return false;
	}
	return true;
}

static void allow(struct power *p, size_t cut)
{
	for (uint32_t i = 0; i < p->nentries; i++)
		p->entries[i].allowed = is_allowed(p, &p->entries[i], cut);
}

/* A closed volume has no lane pending. */
static bool is_closed(const struct power *p, size_t cut)
{
	bool closed = false;

	for (uint32_t i = 0; i < p->nops; i++) {
		if (p->ops[i].type == POWER_CLOSE)
			closed |= p->ops[i].end <= cut;
		else if (p->ops[i].begin <= cut && closed)
			closed = false;
	}
	return closed;
}

/* ----------------------------------------------------------- images ------------------------------------------------------ */

struct look {
	struct power *p;
	const struct power_cuts *cuts;
	struct power_result *result;
	size_t cut;
	unsigned nested_left;
	uint64_t nested_turn;
	uint8_t *sector, *other;
	char why[400];
};

__attribute__((format(printf, 2, 3))) static bool broken(struct look *look, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(look->why, sizeof(look->why), format, ap);
	va_end(ap);
	return false;
}

static int read_sector(struct power *p, struct untorn_btt *btt, uint32_t lba, uint8_t *sector)
{
	return untorn_btt_read(btt, lba, 1, sector, sector + p->info.sector_size);
}

/* One cell as it is read: some allowed content. */
static bool check_cell(struct look *look, uint32_t cell, int r, const uint8_t *sector)
{
	const struct power *p = look->p;
	const uint8_t *bytes = sector + (uint64_t)(cell % p->cells) * p->cell_size;
	const char *what = "no content that was ever written";

	if (r < 0 && r != -EIO)
		return broken(look, "cell %" PRIu32 ": read returns %d", cell, r);
	for (uint32_t i = p->nentries; i > 0; i--) {
		const struct power_entry *e = &p->entries[i - 1];

		if (e->cell != cell || e->error != (r < 0) || (r == 0 && memcmp(e->bytes, bytes, p->cell_size) != 0))
			continue;
		if (e->allowed)
			return true;
		what = p->ops[e->op].begin > look->cut ? "content not yet written" : "lost: content of an older write";
	}
	return broken(look, "cell %" PRIu32 ": %s", cell, what);
}

static bool check_cells(struct look *look, struct untorn_btt *btt)
{
	struct power *p = look->p;
	uint32_t last = UINT32_MAX;
	int r = 0;

	for (uint32_t i = 0; i < p->nentries; i++) {
		uint32_t cell = p->entries[i].cell;
		bool seen = false;

		for (uint32_t j = 0; j < i && !seen; j++)
			seen = p->entries[j].cell == cell;
		if (seen)
			continue;
		if (cell / p->cells != last) {
			last = cell / p->cells;
			r = read_sector(p, btt, last, look->sector);
		}
		if (!check_cell(look, cell, r, look->sector))
			return false;
	}
	return true;
}

static bool check_raw(struct look *look, const uint8_t *image, bool settled, const char *when)
{
	struct spec_facts facts;
	const char *fault = spec_check(image, look->p->kind->size, look->p->base, &facts);

	if (fault)
		return broken(look, "%s: %s", when, fault);
	if (settled && facts.npending > 0)
		return broken(look, "%s: %" PRIu32 " lanes are pending", when, facts.npending);
	return true;
}

/* Of everything but the data. */
static uint64_t metadata_sum(const struct power *p, const uint8_t *image)
{
	struct spec_arena a = spec_arena(image, p->base);

	return bytes_sum(image, a.base + a.dataoff) +
	       31 * bytes_sum(image + a.base + a.mapoff, p->kind->size - a.base - a.mapoff);
}

static bool check_read_only(struct look *look, struct untorn_media *media, const uint8_t *image)
{
	const struct untorn_btt_open_options options = {.flags = UNTORN_BTT_READ_ONLY};
	uint64_t sum = metadata_sum(look->p, image);
	struct untorn_btt *btt;
	int r = untorn_btt_open(media, &options, &btt);
	bool ok;

	if (r < 0)
		return broken(look, "read-only open returns %d", r);
	ok = check_cells(look, btt);
	untorn_btt_close(btt);
	if (ok && metadata_sum(look->p, image) != sum)
		return broken(look, "a read-only open changed the image");
	return ok;
}

/* Life goes on: each cell is written again, and is there after the next open. */
static bool write_on(struct look *look, struct untorn_media *media, struct untorn_btt **btt, uint8_t *image)
{
	struct power *p = look->p;
	uint32_t lbas[12], n = 0;
	int r = 0;

	for (uint32_t i = 0; i < p->nentries && n < ARRAY_SIZE(lbas); i++) {
		uint32_t lba = p->entries[i].cell / p->cells;
		bool seen = false;

		for (uint32_t j = 0; j < n; j++)
			seen |= lbas[j] == lba;
		if (!seen)
			lbas[n++] = lba;
	}
	for (uint32_t i = 0; i < n && r == 0; i++) {
		memset(look->other, (int)(lbas[i] + 0x51), p->info.sector_size);
		r = untorn_btt_write(*btt, lbas[i], 1, look->other, NULL, i % 2 ? UNTORN_BTT_DURABLE : 0);
	}
	if (r < 0)
		return broken(look, "write after recovery returns %d", r);
	r = untorn_btt_close(*btt);
	*btt = NULL;
	if (r < 0)
		return broken(look, "close after recovery returns %d", r);
	if (!check_raw(look, image, true, "after writing on"))
		return false;
	r = untorn_btt_open(media, NULL, btt);
	if (r < 0)
		return broken(look, "second open returns %d", r);
	for (uint32_t i = 0; i < n; i++) {
		memset(look->other, (int)(lbas[i] + 0x51), p->info.sector_size);
		r = read_sector(p, *btt, lbas[i], look->sector);
		if (r < 0 || memcmp(look->sector, look->other, p->info.sector_size) != 0)
			return broken(look, "lba %" PRIu32 ": written after recovery and lost", lbas[i]);
	}
	return true;
}

static bool check_image(struct look *look, uint8_t *image, uint64_t id)
{
	const struct power_cuts *cuts = look->cuts;
	struct untorn_media *media;
	struct untorn_btt *btt = NULL;
	bool ok = check_raw(look, image, is_closed(look->p, look->cut), "as the cut left it");
	int r;

	if (!ok)
		return false;
	if (memory_media_wrap(image, look->p->kind->size, &media) < 0)
		abort();
	if (cuts->continue_every && (id + look->cut) % (3ull * cuts->continue_every) == 1)
		ok = check_read_only(look, media, image);
	if (ok) {
		r = untorn_btt_open(media, NULL, &btt);
		ok = r == 0 ? check_cells(look, btt) && check_raw(look, image, true, "after recovery")
			    : broken(look, "open returns %d", r);
	}
	if (ok && cuts->continue_every && (id + look->cut) % cuts->continue_every == 0)
		ok = write_on(look, media, &btt, image);
	if (btt)
		untorn_btt_close(btt);
	untorn_media_close(media);
	return ok;
}

/* ---------------------------------------------------------- second cuts -------------------------------------------------- */

/* What recovery makes of an image, as the settled content of a new power that stands before that recovery. */
static void new_from_image(struct power *p2, const struct power *p, uint8_t *image)
{
	uint8_t *sector = need(malloc(p->kind->external_lbasize)), *copy = need(malloc(p->kind->size));
	struct untorn_media *media;
	struct untorn_btt *btt;

	init(p2, p->kind, p->cells, p->random + 1);
	if (crash_media_new(p->kind->size, image, UNTORN_MEDIA_CACHELINE, &p2->media) < 0)
		abort();
	memcpy(copy, image, p->kind->size);
	if (memory_media_wrap(copy, p->kind->size, &media) < 0 || untorn_btt_open(media, NULL, &btt) < 0)
		abort();
	untorn_btt_get_info(btt, &p2->info);
	p2->cell_size = p->cell_size;
	for (uint32_t i = 0; i < p->nentries; i++) {
		uint32_t cell = p->entries[i].cell;
		int r;

		if (last_entry(p2, cell))
			continue;
		r = read_sector(p2, btt, cell / p->cells, sector);
		add_entry(p2, 0, cell, r < 0, sector + (uint64_t)(cell % p->cells) * p->cell_size);
	}
	untorn_btt_close(btt);
	untorn_media_close(media);
	free(copy);
	free(sector);
}

void power_after_cut(struct power *p2, struct power *p, uint64_t id)
{
	const struct crash_budget all = {.samples = 1};
	uint8_t *image = need(malloc(p->kind->size));

	if (crash_media_image(p->media, crash_media_events(p->media), &all, id, image) < 0)
		abort();
	new_from_image(p2, p, image);
	free(image);
	crash_media_record(p2->media);
}

/* Recovery and some writes, with a cut anywhere in them. */
static bool cut_again(struct look *look, uint8_t *image)
{
	const struct power_cuts cuts = {.at_drains = look->nested_left % 2, .budget = {64, 6, (uint32_t)look->cut}};
	struct power_result result = {0};
	struct power p2;
	uint32_t n;

	new_from_image(&p2, look->p, image);
	crash_media_record(p2.media);
	power_open(&p2);
	n = p2.nentries;
	for (uint32_t i = 0; i < n && i < 4 && p2.btt; i++)
		power_write(&p2, p2.entries[i].cell / p2.cells, 1, i % 2 ? 0 : UNTORN_BTT_DURABLE);
	if (p2.btt)
		power_close(&p2);
	power_cut_everywhere(&p2, &cuts, &result);
	power_free(&p2);
	look->result->images += result.images;
	return result.violations == 0 ? true : broken(look, "in a second cut: %s", result.first);
}

/* ---------------------------------------------------------- all cuts ----------------------------------------------------- */

static int see(void *arg, uint8_t *image, uint64_t id)
{
	struct look *look = arg;
	struct power_result *result = look->result;
	bool nest = look->nested_left > 0 && random_below(&look->nested_turn, 97) == 0;
	uint8_t *copy = NULL;
	bool ok;

	if (nest) {
		look->nested_left--;
		copy = need(malloc(look->p->kind->size));
		memcpy(copy, image, look->p->kind->size);
	}
	ok = check_image(look, image, id);
	if (ok && nest)
		ok = cut_again(look, copy);
	free(copy);
	result->images++;
	if (!ok && result->violations++ == 0)
		snprintf(result->first, sizeof(result->first), "%s: cut %zu, image %" PRIu64 ": %s",
			 look->p->kind->name, look->cut, id, look->why);
	/* Many of one kind tell no more than a few. */
	return result->violations >= 5;
}

static bool is_drain(struct untorn_media *media, size_t event)
{
	return crash_media_drains_before(media, event + 1) > crash_media_drains_before(media, event);
}

void power_cut_everywhere(struct power *p, const struct power_cuts *cuts, struct power_result *ret_result)
{
	size_t n = crash_media_events(p->media);
	struct look look = {
		.p = p,
		.cuts = cuts,
		.result = ret_result,
		.nested_left = cuts->nested,
		.nested_turn = p->random + 7,
		.sector = need(malloc(p->kind->external_lbasize)),
		.other = need(malloc(p->kind->external_lbasize)),
	};

	*ret_result = (struct power_result){0};
	place_ops(p);
	if (p->fault) {
		ret_result->violations = 1;
		snprintf(ret_result->first, sizeof(ret_result->first), "%s: %s failed", p->kind->name, p->fault);
	}
	for (look.cut = 0; look.cut <= n && ret_result->violations == 0; look.cut++) {
		int r;

		if (cuts->at_drains && look.cut < n && !is_drain(p->media, look.cut))
			continue;
		allow(p, look.cut);
		ret_result->cuts++;
		r = crash_media_foreach(p->media, look.cut, &cuts->budget, see, &look);
		if (r < 0)
			abort();
	}
	free(look.sector);
	free(look.other);
}

void power_add(struct power_result *sum, const struct power_result *result)
{
	sum->cuts += result->cuts;
	sum->images += result->images;
	if (result->violations && !sum->violations)
		memcpy(sum->first, result->first, sizeof(sum->first));
	sum->violations += result->violations;
}
