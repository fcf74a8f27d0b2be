/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An arena's life in memory: from validated info block to lanes that can be written through, and back to a map that
 * needs no flog.
 */
#include "btt/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* ------------------------------------------------------ build, take down ------------------------------------------------- */

static int init_groups(struct btt_arena *a)
{
	uint32_t nfree = a->info.geometry.nfree;
	uint32_t ngroups = nfree / 32;

	ngroups = ngroups < 1 ? 1 : ngroups > GROUPS_MAX ? GROUPS_MAX : ngroups;
	a->groups = aligned_alloc(CACHELINE, ngroups * sizeof(*a->groups));
	if (!a->groups)
		return -ENOMEM;
	for (uint32_t g = 0; g < ngroups; g++) {
		uint32_t first = (uint64_t)nfree * g / ngroups, end = (uint64_t)nfree * (g + 1) / ngroups;

		a->groups[g] = (struct lane_group){.first = first, .n = end - first};
		pthread_mutex_init(&a->groups[g].lock, NULL);
		for (uint32_t l = first; l < end; l++)
			a->lanes[l] = (struct lane){.group = g, .left = NO_LINE, .next = NO_LANE};
	}
	a->ngroups = ngroups;
	return 0;
}

static int init_stripes(struct btt_arena *a)
{
	a->stripes = aligned_alloc(CACHELINE, STRIPES * sizeof(*a->stripes));
	if (!a->stripes)
		return -ENOMEM;
	for (unsigned s = 0; s < STRIPES; s++) {
		a->stripes[s] = (struct stripe){.staged = NO_LANE};
		pthread_mutex_init(&a->stripes[s].lock, NULL);
	}
	return 0;
}

int arena_init(struct btt_arena *a, struct untorn_media *media, const struct btt_profile *profile,
	       const struct btt_info *info, uint64_t off)
{
	const struct btt_geometry *g = &info->geometry;
	uint8_t *start = media->base + off;
	int r;

	*a = (struct btt_arena){
		.media = media,
		.profile = profile,
		.info = *info,
		.off = off,
		.data = start + g->dataoff,
		.map = (le32 *)(start + g->mapoff),
		.flog = (struct btt_flog_group *)(start + g->logoff),
		.sector_size = geometry_sector_size(profile->layout, info_is_wide(info), g->external_lbasize),
		.laid_out = true,
	};
	a->meta_size = g->external_lbasize - a->sector_size;

	a->lanes = calloc(g->nfree, sizeof(*a->lanes));
	if (!a->lanes)
		return -ENOMEM;
	r = init_groups(a);
	if (r < 0)
		return r;
	return init_stripes(a);
}

void arena_done(struct btt_arena *a)
{
	for (uint32_t g = 0; g < a->ngroups; g++)
		pthread_mutex_destroy(&a->groups[g].lock);
	for (unsigned s = 0; a->stripes && s < STRIPES; s++)
		pthread_mutex_destroy(&a->stripes[s].lock);
	free(a->stripes);
	free(a->groups);
	free(a->lanes);
	free(a->pending);
}

/* ------------------------------------------------------------ load -------------------------------------------------------- */

static int load_lane(struct btt_arena *a, uint32_t l)
{
	const struct btt_geometry *g = &a->info.geometry;
	struct flog_slot live[2];

	for (unsigned i = 0; i < 2; i++)
		live[i] = flog_slot_load(&a->flog[l].slot[flog_slot_number(a->padding, i)]);

	int current = flog_current(live[0].seq, live[1].seq);

	if (current < 0)
		return current;

	uint32_t lba = live[current].lba;
	uint32_t old_map = live[current].old_map & BTT_MAP_BLOCK, new_map = live[current].new_map & BTT_MAP_BLOCK;
	struct lane *lane = &a->lanes[l];

	if (lba >= g->external_nlba || old_map >= g->internal_nlba || new_map >= g->internal_nlba)
		return -EUCLEAN;

	lane->block = old_map;
	lane->live = !current;
	lane->seq = flog_next_seq(live[current].seq);
	if (old_map != new_map && map_entry_block(media_load32(&a->map[lba]), lba) == old_map)
		a->pending[a->npending++] = (struct pending){.lane = l, .lba = lba, .new_map = new_map};
	return 0;
}

static int load_lanes(void *arg)
{
	struct btt_arena *a = arg;
	int r;

	a->npending = 0;
	r = flog_detect_padding(a->flog, a->info.geometry.nfree, &a->padding);
	for (uint32_t l = 0; r == 0 && l < a->info.geometry.nfree; l++)
		r = load_lane(a, l);
	return r;
}

static int by_number(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static bool has_duplicates(uint32_t *numbers, size_t n)
{
	qsort(numbers, n, sizeof(*numbers), by_number);
	for (size_t i = 1; i < n; i++)
		if (numbers[i] == numbers[i - 1])
			return true;
	return false;
}

/*
 * One block owned by two lanes, or by a lane and an interrupted write, would be torn by the first and read by the other. Two
 * interrupted writes of one lba have no order.
 */
static int check_lanes(const struct btt_arena *a)
{
	uint32_t nfree = a->info.geometry.nfree, n = 0;
	_cleanup_free_ uint32_t *numbers = malloc(2 * (size_t)nfree * sizeof(*numbers));

	if (!numbers)
		return -ENOMEM;

	for (uint32_t i = 0; i < a->npending; i++)
		numbers[n++] = a->pending[i].lba;
	if (has_duplicates(numbers, n))
		return -EUCLEAN;

	n = 0;
	for (uint32_t l = 0; l < nfree; l++)
		numbers[n++] = a->lanes[l].block;
	for (uint32_t i = 0; i < a->npending; i++)
		numbers[n++] = a->pending[i].new_map;
	return has_duplicates(numbers, n) ? -EUCLEAN : 0;
}

int arena_load(struct btt_arena *a)
{
	int r;

	a->pending = malloc(a->info.geometry.nfree * sizeof(*a->pending));
	if (!a->pending)
		return -ENOMEM;
	r = media_guarded(a->media, load_lanes, a);
	return r < 0 ? r : check_lanes(a);
}

/*
 * A cut before the drain leaves some of the interrupted writes as they were, and the next open finishes those: the flog stays
 * as it is until a lane is used again, which is after the drain.
 */
static int replay_on_media(void *arg)
{
	struct btt_arena *a = arg;

	for (uint32_t i = 0; i < a->npending; i++) {
		le32 *entry = &a->map[a->pending[i].lba];

		media_store32(a->media, entry, a->pending[i].new_map | BTT_MAP_NORMAL);
		media_flush(a->media, entry, sizeof(*entry));
	}
	return a->npending ? media_drain(a->media) : 0;
}

int arena_replay(struct btt_arena *a)
{
	a->replayed = a->npending;
	return media_guarded(a->media, replay_on_media, a);
}

void arena_replay_in_memory(struct btt_arena *a)
{
	for (uint32_t i = 0; i < a->npending; i++) {
		const struct pending *p = &a->pending[i];
		struct stripe *stripe = stripe_of(a, p->lba);
		struct lane *lane = &a->lanes[p->lane];

		lane->block = p->new_map;
		lane->lba = p->lba;
		lane->state = LANE_STAGED;
		lane->next = stripe->staged;
		stripe->staged = p->lane;
		a->groups[lane->group].nstaged++;
		a->groups[lane->group].dirty = true;
	}
	a->replayed = a->npending;
}

/* ------------------------------------------------------------ settle ------------------------------------------------------ */

static int flush_left(void *arg)
{
	struct btt_arena *a = arg;
	uint32_t nleft = 0;

	for (unsigned s = 0; s < STRIPES; s++) {
		struct stripe *stripe = &a->stripes[s];

		nleft += stripe->nleft;
		while (stripe->nleft > 0)
			media_flush(a->media, map_line_start(a, stripe->left[--stripe->nleft]), CACHELINE);
	}
	return nleft ? media_drain(a->media) : 0;
}

int arena_settle(struct btt_arena *a)
{
	return media_guarded(a->media, flush_left, a);
}

uint32_t stripe_find_staged(const struct btt_arena *a, const struct stripe *stripe, uint32_t premap)
{
	uint32_t l = atomic_load_explicit(&stripe->staged, memory_order_acquire);

	/* A list that changes under a reader may lead into another one; no walk is longer than there are lanes. */
	for (uint32_t n = 0; l < a->info.geometry.nfree && n < a->info.geometry.nfree; n++) {
		const struct lane *lane = &a->lanes[l];

		if (atomic_load_explicit(&lane->lba, memory_order_acquire) == premap)
			return l;
		l = atomic_load_explicit(&lane->next, memory_order_acquire);
	}
	return NO_LANE;
}

bool arena_entry_reads_zero(const struct btt_arena *a, uint32_t entry, uint32_t premap, struct media_run *run)
{
	uint64_t start, data, end;

	if (map_entry_state(entry) == BTT_MAP_ZERO)
		return true;
	if (map_entry_state(entry) != BTT_MAP_INITIAL)
		return false;
	if (a->profile->initial_is_zero)
		return true;

	start = arena_block(a, premap) - a->media->base;
	if (start < run->start || start >= run->end) {
		if (untorn_media_next_data(a->media, start, &data, &end) < 0)
			return false;
		*run = data > start ? (struct media_run){start, data, true} : (struct media_run){start, end, false};
	}
	return run->is_hole && start + a->info.geometry.internal_lbasize <= run->end;
}

bool arena_has_staged(const struct btt_arena *a)
{
	for (uint32_t g = 0; g < a->ngroups; g++)
		if (atomic_load_explicit(&a->groups[g].dirty, memory_order_acquire))
			return true;
	return false;
}
