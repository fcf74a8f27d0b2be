/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One arena's flog and map against the invariants of SPEC 6.5 (3) to (7).
 *
 * Interrupted writes are finished in memory first, as open does: only then do map entries and free blocks together own every
 * block once. Each lane's free block and each map entry sets its block's bit; who finds it set already is the second owner,
 * and when all are through, the bits that are clear are the lost blocks. By counting there are as many of these as there are
 * lanes without a known block, entries out of range and second owners: a repair never runs short.
 *
 * The map is read in pieces, holes of the medium as one run of initial entries whose bits are set by words. Nothing is
 * reported while looking; a second pass over the map is made only when there is something to tell.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "btt/check.h"

#define PIECE_ENTRIES (16u << 10) /* 64 KiB of map */
#define PAGE_ENTRIES  (4096u / BTT_MAP_ENTRY_SIZE)

/* ------------------------------------------------------------ bitmaps ---------------------------------------------------- */

static size_t bitmap_bytes(const struct bitmap *b)
{
	return round_up(b->nbits, 64) / 8;
}

static int bitmap_init(struct bitmap *b, uint64_t nbits)
{
	b->nbits = nbits;
	b->words =
		mmap(NULL, bitmap_bytes(b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->words == MAP_FAILED) {
		b->words = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void bitmap_done(struct bitmap *b)
{
	if (b->words)
		munmap(b->words, bitmap_bytes(b));
	b->words = NULL;
}

uint64_t bitmap_next(const struct bitmap *b, uint64_t from, uint64_t end, bool value)
{
	while (from < end) {
		uint64_t word = b->words ? b->words[from / 64] : 0;

		word = (value ? word : ~word) >> from % 64;
		if (word)
			return min_u64(from + (unsigned)__builtin_ctzll(word), end);
		from = (from / 64 + 1) * 64;
	}
	return end;
}

/* -------------------------------------------------------------- flog ------------------------------------------------------ */

static int read_flog(struct check *c, struct inside *in)
{
	const struct btt_geometry *g = &in->arena->info.geometry;
	uint64_t off = inside_group_off(in, 0), len = (uint64_t)g->nfree * sizeof(struct btt_flog_group);

	in->groups = calloc(g->nfree, sizeof(*in->groups));
	in->lanes = calloc(g->nfree, sizeof(*in->lanes));
	in->pending = calloc(g->nfree, sizeof(*in->pending));
	in->free_lanes = calloc(g->nfree, sizeof(*in->free_lanes));
	if (!in->groups || !in->lanes || !in->pending || !in->free_lanes)
		return -ENOMEM;

	for (uint64_t done = 0; done < len; done += BTT_BLOCK) {
		uint64_t n = min_u64(len - done, BTT_BLOCK);
		bool readable = untorn_media_read(c->media, off + done, (uint8_t *)in->groups + done, n) == 0;

		for (uint64_t l = done / sizeof(*in->groups); l < (done + n) / sizeof(*in->groups); l++)
			in->lanes[l].is_readable = readable;
		if (!readable)
			in->is_complete = false;
	}
	return 0;
}

static bool slot_is_empty(const struct btt_flog_group *group, unsigned slot)
{
	return is_zero(&group->slot[slot], sizeof(group->slot[slot]));
}

/* The lane's live slot, or -EUCLEAN. A group of zeros has none. */
static int current_slot(const struct btt_flog_group *group, enum untorn_btt_padding padding)
{
	return flog_current(le32_get(group->slot[0].seq), le32_get(group->slot[flog_slot_number(padding, 1)].seq));
}

static struct flog_slot decode_slot(const struct btt_flog_slot *slot)
{
	return (struct flog_slot){
		.lba = le32_get(slot->lba),
		.old_map = le32_get(slot->old_map),
		.new_map = le32_get(slot->new_map),
		.seq = le32_get(slot->seq),
	};
}

/* The first slot that must be empty and is not, or 0. */
static unsigned dirty_slot(const struct btt_flog_group *group, enum untorn_btt_padding padding)
{
	for (unsigned s = 1; s < BTT_FLOG_SLOTS; s++)
		if (s != flog_slot_number(padding, 1) && !slot_is_empty(group, s))
			return s;
	return 0;
}

static enum untorn_finding_kind entry_fault(const struct flog_slot *e, const struct btt_geometry *g)
{
	if (e->lba >= g->external_nlba)
		return UNTORN_FINDING_FLOG_LBA;
	if ((e->old_map & BTT_MAP_BLOCK) >= g->internal_nlba || (e->new_map & BTT_MAP_BLOCK) >= g->internal_nlba)
		return UNTORN_FINDING_FLOG_BLOCK;
	return NO_FAULT;
}

/*
 * Where some lanes are damaged, the slots that live are those that make most lanes a valid pair beside two empty slots.
 */
static enum untorn_btt_padding vote_padding(const struct inside *in)
{
	const struct btt_geometry *g = &in->arena->info.geometry;
	uint32_t votes[2] = {0};

	for (uint32_t l = 0; l < g->nfree; l++) {
		const struct btt_flog_group *group = &in->groups[l];

		for (int p = UNTORN_BTT_PADDING_01; p <= UNTORN_BTT_PADDING_02; p++) {
			int live = current_slot(group, (enum untorn_btt_padding)p);
			struct flog_slot e;

			if (live < 0 || slot_is_empty(group, 0) || dirty_slot(group, (enum untorn_btt_padding)p))
				continue;
			e = decode_slot(&group->slot[flog_slot_number((enum untorn_btt_padding)p, (unsigned)live)]);
			votes[p] += entry_fault(&e, g) == NO_FAULT;
		}
	}
	return votes[1] > votes[0] ? UNTORN_BTT_PADDING_02 : UNTORN_BTT_PADDING_01;
}

static void decode_lane(struct inside *in, uint32_t l)
{
	const struct btt_flog_group *group = &in->groups[l];
	struct check_lane *lane = &in->lanes[l];
	int live = current_slot(group, in->padding);

	lane->fault = NO_FAULT;
	if (!lane->is_readable)
		return;
	lane->padding_is_dirty = dirty_slot(group, in->padding) != 0;
	if (live < 0) {
		lane->fault = UNTORN_FINDING_FLOG_SEQ;
		return;
	}
	lane->slot0_is_zero = slot_is_empty(group, 0);
	lane->live = (uint8_t)live;
	lane->entry = decode_slot(&group->slot[flog_slot_number(in->padding, lane->live)]);
	lane->block = lane->entry.old_map & BTT_MAP_BLOCK;
	lane->fault = entry_fault(&lane->entry, &in->arena->info.geometry);
}

static void decode_flog(struct inside *in)
{
	uint32_t nfree = in->arena->info.geometry.nfree;

	if (!in->is_complete || flog_detect_padding(in->groups, nfree, &in->padding) < 0)
		in->padding = vote_padding(in);
	in->flog_is_sound = true;
	for (uint32_t l = 0; l < nfree; l++) {
		decode_lane(in, l);
		if (in->lanes[l].fault != NO_FAULT || in->lanes[l].slot0_is_zero || in->lanes[l].padding_is_dirty)
			in->flog_is_sound = false;
	}
}

/* ------------------------------------------------------- interrupted writes ---------------------------------------------- */

static int by_lba(const void *x, const void *y)
{
	const struct check_pending *a = x, *b = y;

	if (a->lba != b->lba)
		return a->lba < b->lba ? -1 : 1;
	return a->lane < b->lane ? -1 : a->lane > b->lane;
}

/*
 * Several interrupted writes of one sector: which is newest is unknown. The first gives the block, and the others' logs are worth
 * nothing.
 */
static void find_seconds(struct inside *in)
{
	for (uint32_t i = 1; i < in->npending; i++) {
		struct check_pending *p = &in->pending[i], *first = p;

		if (p->lba != p[-1].lba)
			continue;
		while (first > in->pending && first[-1].lba == p->lba)
			first--;
		p->is_second = true;
		first->is_in_doubt = true;
		in->lanes[p->lane].fault = UNTORN_FINDING_FLOG_TWICE;
	}
}

static void find_pending(struct check *c, struct inside *in)
{
	for (uint32_t l = 0; l < in->arena->info.geometry.nfree; l++) {
		struct check_lane *lane = &in->lanes[l];
		uint32_t block = lane->entry.new_map & BTT_MAP_BLOCK, entry;
		le32 raw;

		if (!lane->is_readable || lane->fault != NO_FAULT || block == lane->block)
			continue;
		if (untorn_media_read(c->media, inside_entry_off(in, lane->entry.lba), &raw, sizeof(raw)) < 0)
			continue;
		entry = le32_get(raw);
		if (map_entry_block(entry, lane->entry.lba) != lane->block)
			continue;
		lane->is_pending = true;
		in->pending[in->npending++] = (struct check_pending){
			.lba = lane->entry.lba,
			.lane = l,
			.before = entry,
			.after = block | BTT_MAP_NORMAL,
		};
	}
	qsort(in->pending, in->npending, sizeof(*in->pending), by_lba);
	find_seconds(in);
}

/* ---------------------------------------------------------- free blocks -------------------------------------------------- */

static int by_block(const void *x, const void *y, void *arg)
{
	const struct check_lane *lanes = arg;
	const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	if (lanes[a].block != lanes[b].block)
		return lanes[a].block < lanes[b].block ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* Set the bits of the lanes' free blocks. Of several lanes with one block the first keeps it. */
static void own_free_blocks(struct inside *in)
{
	uint32_t n = 0;

	for (uint32_t l = 0; l < in->arena->info.geometry.nfree; l++)
		if (in->lanes[l].is_readable && in->lanes[l].fault == NO_FAULT)
			in->free_lanes[n++] = l;
	qsort_r(in->free_lanes, n, sizeof(*in->free_lanes), by_block, in->lanes);

	for (uint32_t i = 0; i < n; i++) {
		struct check_lane *lane = &in->lanes[in->free_lanes[i]];

		if (bitmap_get(&in->used, lane->block)) {
			lane->fault = UNTORN_FINDING_FREE_TWICE;
			continue;
		}
		bitmap_set(&in->used, lane->block);
		in->nused++;
		in->free_lanes[in->nfree_lanes++] = in->free_lanes[i];
	}
}

/* The lane whose free block it is, or NULL. */
static struct check_lane *find_free_lane(const struct inside *in, uint32_t block)
{
	uint32_t low = 0, high = in->nfree_lanes;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct check_lane *lane = &in->lanes[in->free_lanes[mid]];

		if (lane->block == block)
			return lane;
		if (lane->block < block)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* --------------------------------------------------------------- map ------------------------------------------------------ */

struct map_walk {
	struct check *c;
	const struct inside *in;
	int (*fn)(void *arg, const struct map_run *run);
	void *arg;
	uint32_t next_pending; /* the first one that is not behind us */
	le32 *piece;           /* PIECE_ENTRIES */
};

/* How many of n entries from lba lie before the next interrupted write, which may be none. */
static uint32_t until_pending(struct map_walk *w, uint32_t lba, uint32_t n)
{
	const struct inside *in = w->in;

	while (w->next_pending < in->npending && in->pending[w->next_pending].lba < lba)
		w->next_pending++;
	return w->next_pending < in->npending ? min_u64(n, in->pending[w->next_pending].lba - lba) : n;
}

/* Initial entries, with the interrupted writes among them. */
static int walk_initial(struct map_walk *w, uint32_t lba, uint32_t n)
{
	int r = 0;

	while (r == 0 && n > 0) {
		struct map_run run = {.lba = lba, .n = until_pending(w, lba, n), .is_readable = true};
		le32 after;

		if (run.n == 0) {
			after = le32_make(w->in->pending[w->next_pending].after);
			run.entries = &after;
			run.n = 1;
		}
		r = w->fn(w->arg, &run);
		lba += run.n;
		n -= run.n;
	}
	return r;
}

static int walk_read(struct map_walk *w, uint32_t lba, uint32_t n)
{
	struct map_run run = {.lba = lba, .n = n, .entries = w->piece, .is_readable = true};

	if (is_zero(w->piece, (size_t)n * BTT_MAP_ENTRY_SIZE))
		return walk_initial(w, lba, n);
	for (uint32_t i = until_pending(w, lba, n); i < n; i += until_pending(w, lba + i, n - i)) {
		w->piece[i] = le32_make(w->in->pending[w->next_pending].after);
		i++;
	}
	return w->fn(w->arg, &run);
}

/* Entries that may be anything. Where the piece cannot be read in one, by pages. */
static int walk_data(struct map_walk *w, uint32_t lba, uint32_t n)
{
	struct untorn_media *media = w->c->media;
	uint32_t done, step;
	int r = 0;

	if (untorn_media_read(media, inside_entry_off(w->in, lba), w->piece, (size_t)n * BTT_MAP_ENTRY_SIZE) == 0)
		return walk_read(w, lba, n);
	for (done = 0; r == 0 && done < n; done += step) {
		struct map_run unreadable = {.lba = lba + done};

		step = min_u64(PAGE_ENTRIES - (lba + done) % PAGE_ENTRIES, n - done);
		unreadable.n = step;
		if (untorn_media_read(media, inside_entry_off(w->in, lba + done), w->piece,
				      (size_t)step * BTT_MAP_ENTRY_SIZE) == 0)
			r = walk_read(w, lba + done, step);
		else
			r = w->fn(w->arg, &unreadable);
	}
	return r;
}

static uint64_t entries_before(const struct inside *in, uint32_t lba, uint64_t off)
{
	return (off - inside_entry_off(in, lba)) / BTT_MAP_ENTRY_SIZE;
}

int inside_each_run(struct check *c, const struct inside *in, int (*fn)(void *arg, const struct map_run *run),
		    void *arg)
{
	_cleanup_free_ le32 *piece = malloc(PIECE_ENTRIES * sizeof(*piece));
	struct map_walk w = {.c = c, .in = in, .fn = fn, .arg = arg, .piece = piece};
	uint32_t nlba = in->arena->info.geometry.external_nlba, n;
	uint64_t data = 0, data_end = 0;
	int r = 0;

	if (!piece)
		return -ENOMEM;
	for (uint32_t lba = 0; r == 0 && lba < nlba; lba += n) {
		uint64_t off = inside_entry_off(in, lba);

		if (off >= data_end && untorn_media_next_data(c->media, off, &data, &data_end) < 0) {
			data = off;
			data_end = untorn_media_size(c->media);
		}
		n = data > off ? min_u64(entries_before(in, lba, data), nlba - lba) : 0;
		if (n > 0) {
			r = walk_initial(&w, lba, n);
		} else {
			n = min_u64(PIECE_ENTRIES - lba % PIECE_ENTRIES, nlba - lba);
			r = walk_data(&w, lba, n);
		}
	}
	return r;
}

/* ------------------------------------------------------------- look ------------------------------------------------------- */

struct look {
	struct check *c;
	struct inside *in;
};

/* A map entry refers to a block that has an owner. */
static int own_again(struct inside *in, uint32_t block)
{
	struct check_lane *lane = find_free_lane(in, block);

	if (lane && lane->fault == NO_FAULT) {
		lane->fault = UNTORN_FINDING_FREE_MAPPED;
		return 0;
	}
	if (!in->dup.words) {
		int r = bitmap_init(&in->dup, in->used.nbits);

		if (r < 0)
			return r;
	}
	bitmap_set(&in->dup, block);
	in->nshared++;
	return 0;
}

static int own_entry(struct inside *in, uint32_t entry, uint32_t lba)
{
	uint32_t block = map_entry_block(entry, lba);

	in->nerror += map_entry_state(entry) == BTT_MAP_ERROR;
	if (block >= in->used.nbits) {
		in->nrange++;
		return 0;
	}
	if (bitmap_get(&in->used, block))
		return own_again(in, block);
	bitmap_set(&in->used, block);
	in->nused++;
	return 0;
}

/* Sectors lba to lba + n - 1 own the blocks of their own numbers. */
static int own_identity(struct inside *in, uint32_t lba, uint32_t n)
{
	uint64_t first = lba, end = (uint64_t)lba + n;

	while (first < end) {
		uint64_t *word = &in->used.words[first / 64], stop = min_u64(end, (first / 64 + 1) * 64);
		uint64_t mask = stop - first == 64 ? UINT64_MAX : ((1ull << (stop - first)) - 1) << first % 64;
		uint64_t taken = *word & mask;

		in->nused += (unsigned)__builtin_popcountll(mask & ~taken);
		*word |= mask;
		for (; taken; taken &= taken - 1) {
			int r = own_again(in, first / 64 * 64 + (unsigned)__builtin_ctzll(taken));

			if (r < 0)
				return r;
		}
		first = stop;
	}
	return 0;
}

static int look_at_run(void *arg, const struct map_run *run)
{
	struct look *look = arg;
	struct check *c = look->c;
	int r = 0;

	if (!run->is_readable)
		look->in->is_complete = false;
	else if (!run->entries)
		r = own_identity(look->in, run->lba, run->n);
	else
		for (uint32_t i = 0; r == 0 && i < run->n; i++)
			r = own_entry(look->in, le32_get(run->entries[i]), run->lba + i);

	c->done += run->n;
	if (c->options->progress)
		c->options->progress(c->options->arg, c->done, c->total);
	return r;
}

int inside_look(struct check *c, uint32_t arena, struct inside *ret_inside)
{
	struct inside *in = ret_inside;
	struct look look = {.c = c, .in = in};
	int r;

	*in = (struct inside){.arena = &c->arenas[arena], .number = arena, .is_complete = true};
	r = bitmap_init(&in->used, in->arena->info.geometry.internal_nlba);
	if (r == 0)
		r = read_flog(c, in);
	if (r < 0)
		return r;
	decode_flog(in);
	find_pending(c, in);
	own_free_blocks(in);
	return inside_each_run(c, in, look_at_run, &look);
}

void inside_done(struct inside *in)
{
	bitmap_done(&in->used);
	bitmap_done(&in->dup);
	free(in->groups);
	free(in->lanes);
	free(in->pending);
	free(in->free_lanes);
}

/* ---------------------------------------------------------- tell: flog --------------------------------------------------- */

int inside_mendable(const struct inside *in, bool needs_block)
{
	return needs_block && !in->is_complete ? 0 : in->arena->mendable;
}

static struct untorn_finding lane_finding(const struct inside *in, uint32_t l, enum untorn_finding_kind kind,
					  unsigned slot, size_t field_off)
{
	return (struct untorn_finding){
		.kind = kind,
		.arena = in->number,
		.off = inside_slot_off(in, l, slot) + field_off,
		.field = "lane",
		.index = l,
		.repairable = inside_mendable(in, true),
	};
}

/* Point at the sequence number that is wrong by itself, or else at the second one. */
static int tell_seq(struct check *c, const struct inside *in, uint32_t l)
{
	const struct btt_flog_group *group = &in->groups[l];
	unsigned number[2] = {0, flog_slot_number(in->padding, 1)};
	uint32_t seq[2] = {le32_get(group->slot[number[0]].seq), le32_get(group->slot[number[1]].seq)};
	struct untorn_finding finding;
	uint64_t expected;
	unsigned wrong;

	if (seq[0] > 3 || seq[1] > 3) {
		wrong = seq[0] <= 3;
		expected = 4;
	} else if (seq[1] == 0) {
		wrong = 0;
		expected = 1;
	} else {
		wrong = 1;
		expected = flog_next_seq(seq[0]);
	}
	finding = lane_finding(in, l, UNTORN_FINDING_FLOG_SEQ, number[wrong], offsetof(struct btt_flog_slot, seq));
	finding.seen = seq[wrong];
	finding.expected = expected;
	return check_report(c, &finding);
}

static int tell_range(struct check *c, const struct inside *in, uint32_t l, enum untorn_finding_kind kind,
		      size_t field_off, uint32_t seen, uint32_t expected)
{
	unsigned slot = flog_slot_number(in->padding, in->lanes[l].live);
	struct untorn_finding finding = lane_finding(in, l, kind, slot, field_off);

	finding.seen = seen;
	finding.expected = expected;
	return seen >= expected ? check_report(c, &finding) : 0;
}

static int tell_entry(struct check *c, const struct inside *in, uint32_t l)
{
	const struct btt_geometry *g = &in->arena->info.geometry;
	const struct flog_slot *e = &in->lanes[l].entry;
	int r;

	r = tell_range(c, in, l, UNTORN_FINDING_FLOG_LBA, offsetof(struct btt_flog_slot, lba), e->lba,
		       g->external_nlba);
	if (r == 0)
		r = tell_range(c, in, l, UNTORN_FINDING_FLOG_BLOCK, offsetof(struct btt_flog_slot, old_map),
			       e->old_map & BTT_MAP_BLOCK, g->internal_nlba);
	if (r == 0)
		r = tell_range(c, in, l, UNTORN_FINDING_FLOG_BLOCK, offsetof(struct btt_flog_slot, new_map),
			       e->new_map & BTT_MAP_BLOCK, g->internal_nlba);
	return r;
}

static int tell_padding(struct check *c, const struct inside *in, uint32_t l)
{
	unsigned slot = dirty_slot(&in->groups[l], in->padding);
	struct untorn_finding finding = lane_finding(in, l, UNTORN_FINDING_FLOG_PADDING, slot, 0);
	uint64_t halves[2];
	int r = 0;

	finding.repairable = inside_mendable(in, false);
	if (slot) {
		memcpy(halves, &in->groups[l].slot[slot], sizeof(halves));
		finding.off += halves[0] ? 0 : sizeof(halves[0]);
		finding.seen = le64toh(halves[0] ? halves[0] : halves[1]);
		r = check_report(c, &finding);
	}
	if (r == 0 && in->lanes[l].slot0_is_zero) {
		finding.off = inside_slot_off(in, l, 0) + offsetof(struct btt_flog_slot, seq);
		finding.seen = 0;
		finding.expected = flog_next_seq(in->lanes[l].entry.seq);
		r = check_report(c, &finding);
	}
	return r;
}

static int tell_lane(struct check *c, const struct inside *in, uint32_t l)
{
	const struct check_lane *lane = &in->lanes[l];
	struct untorn_finding finding;
	unsigned slot;
	int r = 0;

	if (lane->padding_is_dirty || lane->slot0_is_zero)
		r = tell_padding(c, in, l);
	if (r != 0)
		return r;

	slot = flog_slot_number(in->padding, lane->live);
	switch (lane->fault) {
	case UNTORN_FINDING_FLOG_SEQ:
		return tell_seq(c, in, l);
	case UNTORN_FINDING_FLOG_LBA:
	case UNTORN_FINDING_FLOG_BLOCK:
		return tell_entry(c, in, l);
	case UNTORN_FINDING_FLOG_TWICE:
		finding = lane_finding(in, l, lane->fault, slot, offsetof(struct btt_flog_slot, lba));
		finding.seen = lane->entry.lba;
		return check_report(c, &finding);
	case UNTORN_FINDING_FREE_TWICE:
	case UNTORN_FINDING_FREE_MAPPED:
		finding = lane_finding(in, l, lane->fault, slot, offsetof(struct btt_flog_slot, old_map));
		finding.seen = lane->block;
		r = check_report(c, &finding);
		break;
	default:
		break;
	}
	if (r == 0 && lane->is_pending) {
		finding = lane_finding(in, l, UNTORN_FINDING_FLOG_PENDING, slot, 0);
		finding.seen = lane->block;
		finding.expected = lane->entry.new_map & BTT_MAP_BLOCK;
		finding.repairable = inside_mendable(in, false);
		r = check_report(c, &finding);
	}
	return r;
}

/* Runs of lanes that could not be read. */
static int tell_unreadable_lanes(struct check *c, const struct inside *in)
{
	uint32_t nfree = in->arena->info.geometry.nfree, end;

	for (uint32_t l = 0; l < nfree; l = end + 1) {
		struct untorn_finding finding = lane_finding(in, l, UNTORN_FINDING_MEDIA, 0, 0);
		int r;

		for (end = l; end < nfree && !in->lanes[end].is_readable; end++)
			;
		if (end == l)
			continue;
		finding.seen = (uint64_t)(end - l) * sizeof(struct btt_flog_group);
		finding.repairable = 0;
		r = check_report(c, &finding);
		if (r != 0)
			return r;
	}
	return 0;
}

static int tell_flog(struct check *c, const struct inside *in)
{
	const struct untorn_finding old = {
		.kind = UNTORN_FINDING_FLOG_OLD_PADDING,
		.arena = in->number,
		.off = inside_group_off(in, 0),
		.field = "flog",
		.repairable = inside_mendable(in, false),
	};
	int r = 0;

	if (in->padding == UNTORN_BTT_PADDING_02)
		r = check_report(c, &old);
	if (r == 0)
		r = tell_unreadable_lanes(c, in);
	for (uint32_t l = 0; r == 0 && l < in->arena->info.geometry.nfree; l++)
		r = tell_lane(c, in, l);
	return r;
}

/* ----------------------------------------------------------- tell: map --------------------------------------------------- */

struct tell {
	struct check *c;
	const struct inside *in;
	uint32_t bad_lba, nbad; /* a run that could not be read, not yet told */
};

static int tell_unreadable(struct tell *t)
{
	const struct untorn_finding finding = {
		.kind = UNTORN_FINDING_MEDIA,
		.arena = t->in->number,
		.off = inside_entry_off(t->in, t->bad_lba),
		.field = "map entry",
		.index = t->bad_lba,
		.seen = (uint64_t)t->nbad * BTT_MAP_ENTRY_SIZE,
	};

	if (t->nbad == 0)
		return 0;
	t->nbad = 0;
	return check_report(t->c, &finding);
}

static int tell_map_entry(struct tell *t, uint32_t entry, uint32_t lba)
{
	const struct inside *in = t->in;
	uint32_t block = map_entry_block(entry, lba);
	struct untorn_finding finding = {
		.arena = in->number,
		.off = inside_entry_off(in, lba),
		.field = "map entry",
		.index = lba,
		.seen = block,
		.repairable = inside_mendable(in, true),
	};
	int r = 0;

	if (block >= in->used.nbits) {
		finding.kind = UNTORN_FINDING_MAP_RANGE;
		finding.expected = in->used.nbits;
		r = check_report(t->c, &finding);
	} else if (bitmap_get(&in->dup, block)) {
		finding.kind = UNTORN_FINDING_MAP_TWICE;
		r = check_report(t->c, &finding);
	}
	if (r == 0 && map_entry_state(entry) == BTT_MAP_ERROR) {
		finding.kind = UNTORN_FINDING_MAP_ERROR;
		finding.seen = entry;
		finding.expected = block | BTT_MAP_NORMAL;
		finding.repairable = 0;
		r = check_report(t->c, &finding);
	}
	return r;
}

static int tell_run(void *arg, const struct map_run *run)
{
	struct tell *t = arg;
	uint64_t end = (uint64_t)run->lba + run->n;
	int r;

	if (!run->is_readable) {
		if (t->nbad == 0)
			t->bad_lba = run->lba;
		t->nbad += run->n;
		return 0;
	}
	r = tell_unreadable(t);
	if (run->entries) {
		for (uint32_t i = 0; r == 0 && i < run->n; i++)
			r = tell_map_entry(t, le32_get(run->entries[i]), run->lba + i);
		return r;
	}
	for (uint64_t lba = bitmap_next(&t->in->dup, run->lba, end, true); r == 0 && lba < end;
	     lba = bitmap_next(&t->in->dup, lba + 1, end, true))
		r = tell_map_entry(t, BTT_MAP_INITIAL, lba);
	return r;
}

/* With parts unread, a block without a known owner may well have one. */
static int tell_lost(struct check *c, const struct inside *in)
{
	const struct btt_geometry *g = &in->arena->info.geometry;
	uint64_t end = g->internal_nlba;
	int r = 0;

	if (!in->is_complete || in->nused == end)
		return 0;
	for (uint64_t block = bitmap_next(&in->used, 0, end, false); r == 0 && block < end;
	     block = bitmap_next(&in->used, block + 1, end, false)) {
		const struct untorn_finding finding = {
			.kind = UNTORN_FINDING_BLOCK_LOST,
			.arena = in->number,
			.off = in->arena->off + g->dataoff + block * g->internal_lbasize,
			.field = "block",
			.index = block,
			.seen = 0,
			.expected = 1,
			.repairable = inside_mendable(in, true),
		};

		r = check_report(c, &finding);
	}
	return r;
}

int inside_tell(struct check *c, struct inside *in)
{
	struct tell t = {.c = c, .in = in};
	int r;

	r = tell_flog(c, in);
	if (r == 0 && (!in->is_complete || in->nrange || in->nshared || in->nerror))
		r = inside_each_run(c, in, tell_run, &t);
	if (r == 0)
		r = tell_unreadable(&t);
	return r == 0 ? tell_lost(c, in) : r;
}
