/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stage, then commit: how sectors change. SPEC 6.3; the proof is told in docs/DESIGN.md.
 *
 *   stage     a lane's free block <- the sector's new content. Nobody reads that block.
 *   commit    a batch of staged sectors becomes real, together, in two persist points however many they are:
 *
 *     lock the stripes of all sectors, ascending
 *     P1  persist  - the staged blocks
 *                  - the map lines that earlier commits left behind in these stripes
 *                  - the map line that each lane's last commit left behind
 *         power lost before here: old content everywhere; the blocks are still the lanes' free blocks
 *     each lane's other flog slot <- lba, old block, new block, next seq
 *     P2  persist  those slots
 *         power lost before here: old or new, sector by sector, as far as each slot got; after here: new
 *     map[lba] <- new block; the line is left behind in the cache, because the flog replays it
 *     bump the stripes' versions, unlock; each lane's free block is now the old one
 *
 * Why a map store needs no persist of its own: until it is durable, the lane's current flog slot still says "lba: old ->
 * new" and the next open finishes it. That stops being true at three events, and each persists the line before:
 *
 *   - the same lba is superseded by another lane: that lane's slot says "new -> newer", which replays only from a map that
 *     holds "new". Its P1 persists all lines left behind in the stripe. The stripes are locked before P1, so none
 *     can be left behind between P1 and P2.
 *   - the lane commits again, and its slot pair forgets: the same P1 persists the lane's own line.
 *   - close: arena_settle().
 *
 * A buffered write stages and publishes: the lane goes to the stripe's staged list, where readers look before the map.
 * Whoever writes, discards or commits that lba next takes it off under the stripe's lock, so older content never overwrites
 * newer. A stripe's version is bumped after its list or map changed and before a lane that came off becomes FREE: a reader that
 * was copying from a block notices before anyone can stage into it.
 *
 * A fault (media_guarded) leaves these functions by a jump: what is locked is noted in the batch, for the caller to unlock.
 */
#include "btt/commit.h"

#include <sched.h>

/* One sector on its way. */
struct entry {
	uint32_t lba, lane;
	uint32_t old_map;    /* raw map entry found under the lock */
	uint32_t superseded; /* the lane that came off the staged list, or NO_LANE */
};

struct stripe_set {
	uint64_t bits[STRIPES / 64];
};

struct batch {
	struct btt_arena *arena;
	uint32_t groups_first, ngroups; /* locked */

	struct source *source;
	const struct span *span;
	bool durable;
	bool from_staged; /* entries are staged lanes to commit, not fresh sectors */

	struct stripe_set stripes;
	volatile uint32_t nlocked; /* stripes of the set that are locked: the lowest ones */
	volatile bool logged;      /* flog slots are being written */

	uint32_t n;
	struct entry entry[BATCH_MAX];
};

static inline void stripe_set_add(struct stripe_set *set, uint32_t premap)
{
	uint32_t s = map_line(premap) % STRIPES;

	set->bits[s / 64] |= 1ull << s % 64;
}

/* Walks the set in ascending order: the lock order. */
#define foreach_stripe(stripe, a, set)                 \
	for (unsigned w_ = 0; w_ < STRIPES / 64; w_++) \
		for (uint64_t left_ = (set)->bits[w_]; \
		     left_ && ((stripe) = &(a)->stripes[w_ * 64 + __builtin_ctzll(left_)]); left_ &= left_ - 1)

/*
 * Asked again under each lock: after a fault in mid-commit, whoever waited for the lanes or stripes of that commit must
 * not touch them.
 */
static int check_writable(const struct btt_arena *a)
{
	if ((a->info.flags & BTT_INFO_ERROR) || a->failed || a->media->root->failed)
		return -EIO;
	return 0;
}

/* ------------------------------------------------------------ stage ------------------------------------------------------- */

static void copy_from(struct btt_arena *a, struct source *source, uint8_t *dst, size_t len)
{
	if (!source->iov) {
		media_zero(a->media, dst, len);
		return;
	}
	while (len > 0) {
		size_t piece = min_u64(len, source->iov->iov_len - source->iov_off);

		if (piece > 0)
			media_copy(a->media, dst, (const uint8_t *)source->iov->iov_base + source->iov_off, piece);
		dst += piece;
		len -= piece;
		source->iov_off += piece;
		if (source->iov_off == source->iov->iov_len && len > 0) {
			source->iov++;
			source->iov_off = 0;
		}
	}
}

static void stage_whole(struct btt_arena *a, struct source *source, uint8_t *block)
{
	copy_from(a, source, block, a->sector_size);
	if (a->meta_size == 0)
		return;
	if (source->meta) {
		media_copy(a->media, block + a->sector_size, source->meta, a->meta_size);
		source->meta += a->meta_size;
	} else {
		media_zero(a->media, block + a->sector_size, a->meta_size);
	}
}

static void keep(struct btt_arena *a, uint8_t *dst, const uint8_t *old, size_t len)
{
	if (len == 0)
		return;
	if (old)
		media_copy(a->media, dst, old, len);
	else
		media_zero(a->media, dst, len);
}

/*
 * A sector of which a part is written: the rest comes from its present content, which cannot change while its stripe is
 * locked. An error-state sector has none to keep.
 */
static int stage_part(struct batch *b)
{
	struct btt_arena *a = b->arena;
	const struct entry *e = &b->entry[0];
	uint8_t *block = arena_block(a, a->lanes[e->lane].block);
	uint32_t staged = stripe_find_staged(a, stripe_of(a, e->lba), e->lba);
	uint32_t state = map_entry_state(e->old_map);
	uint32_t end = b->span->off + b->span->len;
	const uint8_t *old;

	if (staged != NO_LANE)
		old = arena_block(a, a->lanes[staged].block);
	else if (state == BTT_MAP_ERROR)
		return -EIO;
	else if (state == BTT_MAP_ZERO || (state == BTT_MAP_INITIAL && a->profile->initial_is_zero))
		old = NULL;
	else
		old = arena_block(a, map_entry_block(e->old_map, e->lba));

	keep(a, block, old, b->span->off);
	copy_from(a, b->source, block + b->span->off, b->span->len);
	keep(a, block + end, old ? old + end : NULL, a->info.geometry.external_lbasize - end);
	return 0;
}

/* ------------------------------------------------------ stripes, lists ---------------------------------------------------- */

static void lock_stripes(struct batch *b)
{
	struct stripe *stripe;

	foreach_stripe (stripe, b->arena, &b->stripes) {
		pthread_mutex_lock(&stripe->lock);
		b->nlocked++;
	}
}

static void unlock_stripes(struct batch *b)
{
	struct stripe *stripe;

	foreach_stripe (stripe, b->arena, &b->stripes) {
		if (b->nlocked == 0)
			return;
		pthread_mutex_unlock(&stripe->lock);
		b->nlocked--;
	}
}

/* Only the holder of the stripe's lock writes its version, so a load and a store do. */
static void bump_versions(struct batch *b)
{
	struct stripe *stripe;

	foreach_stripe (stripe, b->arena, &b->stripes) {
		uint64_t version = atomic_load_explicit(&stripe->version, memory_order_relaxed);

		atomic_store_explicit(&stripe->version, version + 1, memory_order_release);
	}
}

/*
 * Take a lane off its stripe's list. It stays STAGED, and its link as it is, until versions are bumped: a reader that came
 * to it still finds the rest of the list.
 */
static void unlink_lane(struct btt_arena *a, uint32_t l)
{
	struct lane *lane = &a->lanes[l];
	_Atomic uint32_t *link = &stripe_of(a, lane->lba)->staged;

	while (*link != l)
		link = &a->lanes[*link].next;
	atomic_store_explicit(link, lane->next, memory_order_release);
	atomic_fetch_sub_explicit(&a->groups[lane->group].nstaged, 1, memory_order_relaxed);
}

/* Take premap's lane off its stripe's list. NO_LANE when there is none. */
static uint32_t unlink_staged(struct btt_arena *a, uint32_t premap)
{
	uint32_t l = stripe_find_staged(a, stripe_of(a, premap), premap);

	if (l != NO_LANE)
		unlink_lane(a, l);
	return l;
}

static void link_staged(struct btt_arena *a, uint32_t l, uint32_t premap)
{
	struct stripe *stripe = stripe_of(a, premap);
	struct lane *lane = &a->lanes[l];
	struct lane_group *group = &a->groups[lane->group];

	atomic_store_explicit(&lane->next, stripe->staged, memory_order_release);
	atomic_store_explicit(&lane->lba, premap, memory_order_release);
	atomic_store_explicit(&lane->state, LANE_STAGED, memory_order_release);
	atomic_store_explicit(&stripe->staged, l, memory_order_release);
	atomic_fetch_add_explicit(&group->nstaged, 1, memory_order_relaxed);
	atomic_store_explicit(&group->dirty, true, memory_order_release);
}

static void set_free(struct btt_arena *a, uint32_t l)
{
	if (l != NO_LANE)
		atomic_store_explicit(&a->lanes[l].state, LANE_FREE, memory_order_release);
}

/* Note the line on its stripe's list. false: the list is full, the caller persists the line now. */
static bool leave_behind(struct stripe *stripe, uint32_t line)
{
	for (uint32_t i = 0; i < stripe->nleft; i++)
		if (stripe->left[i] == line)
			return true;
	if (stripe->nleft == STRIPE_LEFT)
		return false;
	stripe->left[stripe->nleft++] = line;
	return true;
}

/* ------------------------------------------------------- publish, commit -------------------------------------------------- */

/*
 * The present map entries of the batch. A number from media is bounded here before it is used as a block. Each is stored back
 * as it is: where the map is a hole of a sparse file, a full file system shows now and not after the commit point.
 */
static int read_map(struct batch *b)
{
	struct btt_arena *a = b->arena;

	for (uint32_t i = 0; i < b->n; i++) {
		struct entry *e = &b->entry[i];

		e->old_map = media_load32(&a->map[e->lba]);
		if (map_entry_block(e->old_map, e->lba) >= a->info.geometry.internal_nlba)
			return -EIO;
		media_store32(a->media, &a->map[e->lba], e->old_map);
	}
	return 0;
}

/* A buffered write: readers see the staged blocks from here on; nothing is promised. */
static void publish(struct batch *b)
{
	struct btt_arena *a = b->arena;

	/* The blocks are whole before a reader can find them, and ready for another thread's drain. */
	media_order(a->media);
	for (uint32_t i = 0; i < b->n; i++) {
		struct entry *e = &b->entry[i];

		/* The new one first: a reader in between finds one of them, never what lies below. */
		e->superseded = stripe_find_staged(a, stripe_of(a, e->lba), e->lba);
		link_staged(a, e->lane, e->lba);
		if (e->superseded != NO_LANE)
			unlink_lane(a, e->superseded);
	}
	bump_versions(b);
	for (uint32_t i = 0; i < b->n; i++)
		set_free(a, b->entry[i].superseded);
}

/* P1: after it the flog may be written: what it will refer to, and what it will forget, is durable. */
static int persist_before_log(struct batch *b)
{
	struct btt_arena *a = b->arena;
	struct stripe *stripe;
	int r;

	foreach_stripe (stripe, a, &b->stripes)
		for (uint32_t i = 0; i < stripe->nleft; i++)
			media_flush(a->media, map_line_start(a, stripe->left[i]), CACHELINE);
	for (uint32_t i = 0, last = NO_LINE; i < b->n; i++) {
		uint32_t line = a->lanes[b->entry[i].lane].left;

		if (line != NO_LINE && line != last)
			media_flush(a->media, map_line_start(a, line), CACHELINE);
		last = line;
	}
	r = media_drain(a->media);
	if (r < 0)
		return r;

	foreach_stripe (stripe, a, &b->stripes)
		stripe->nleft = 0;
	for (uint32_t i = 0; i < b->n; i++)
		a->lanes[b->entry[i].lane].left = NO_LINE;
	return 0;
}

/* What the flog says of the block that a map entry owned: bare, or as PMDK compares it with the map. */
static uint32_t flog_old_map(const struct btt_arena *a, const struct entry *e)
{
	if (a->profile->flog_flags && map_entry_state(e->old_map) != BTT_MAP_INITIAL)
		return e->old_map;
	return map_entry_block(e->old_map, e->lba) | a->profile->flog_flags;
}

/* P2: the commit point. A cut before the drain leaves each lane's old slot current, or the whole new one. */
static int log_and_persist(struct batch *b)
{
	struct btt_arena *a = b->arena;

	b->logged = true;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->entry[i];
		struct lane *lane = &a->lanes[e->lane];
		struct btt_flog_slot *slot = &a->flog[e->lane].slot[flog_slot_number(a->padding, lane->live)];

		flog_slot_store(a->media, slot,
				(struct flog_slot){
					.lba = e->lba,
					.old_map = flog_old_map(a, e),
					.new_map = lane->block | a->profile->flog_flags,
					.seq = lane->seq,
				});
		media_flush(a->media, slot, sizeof(*slot));
	}
	return media_drain(a->media);
}

/* The map follows the flog. No persist: a cut here, or much later, is replayed. */
static int update_map(struct batch *b)
{
	struct btt_arena *a = b->arena;
	bool spilt = false;
	int r = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct entry *e = &b->entry[i];
		struct lane *lane = &a->lanes[e->lane];
		uint32_t line = map_line(e->lba);

		media_store32(a->media, &a->map[e->lba], lane->block | BTT_MAP_NORMAL);
		if (!leave_behind(stripe_of(a, e->lba), line)) {
			media_flush(a->media, map_line_start(a, line), CACHELINE);
			spilt = true;
		}
		lane->left = line;
		e->superseded = unlink_staged(a, e->lba);
	}
	if (spilt)
		r = media_drain(a->media);
	bump_versions(b);

	for (uint32_t i = 0; i < b->n; i++) {
		struct entry *e = &b->entry[i];
		struct lane *lane = &a->lanes[e->lane];

		atomic_store_explicit(&lane->block, map_entry_block(e->old_map, e->lba), memory_order_release);
		lane->live = !lane->live;
		lane->seq = flog_next_seq(lane->seq);
		set_free(a, e->superseded);
	}
	return r;
}

/* Lanes that were staged when the batch was gathered, less those that another thread superseded before we locked. */
static void drop_superseded(struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n; i++)
		if (atomic_load_explicit(&b->arena->lanes[b->entry[i].lane].state, memory_order_acquire) == LANE_STAGED)
			b->entry[n++] = b->entry[i];
	b->n = n;
}

static void stage(struct batch *b)
{
	struct btt_arena *a = b->arena;

	for (uint32_t i = 0; i < b->n; i++)
		stage_whole(a, b->source, arena_block(a, a->lanes[b->entry[i].lane].block));
}

/*
 * The stripes are locked before the copies: a locked instruction after a non-temporal copy waits for the copy alone, and P1
 * for the map lines after that. This way they wait together.
 */
static int run_batch(void *arg)
{
	struct batch *b = arg;
	struct btt_arena *a = b->arena;
	int r;

	lock_stripes(b);
	if (b->from_staged)
		drop_superseded(b);
	r = check_writable(a);
	if (r == 0)
		r = read_map(b);
	if (r < 0 || b->n == 0)
		return r;
	if (b->span)
		r = stage_part(b);
	else if (!b->from_staged)
		stage(b);
	if (r < 0)
		return r;
	if (!b->durable) {
		publish(b);
		return 0;
	}
	r = persist_before_log(b);
	if (r == 0)
		r = log_and_persist(b);
	if (r == 0)
		r = update_map(b);
	return r;
}

/* Stage (unless staged already) and commit or publish what is in b->entry. */
static int batch_run(struct batch *b)
{
	struct btt_arena *a = b->arena;
	int r;

	b->stripes = (struct stripe_set){{0}};
	for (uint32_t i = 0; i < b->n; i++)
		stripe_set_add(&b->stripes, b->entry[i].lba);
	b->nlocked = 0;
	b->logged = false;

	r = media_guarded(a->media, run_batch, b);
	/* From the first slot on, an error leaves open what the flog says; until the next open has read it, nothing may be
	 * built on it. */
	if (r < 0 && b->logged)
		a->failed = true;
	unlock_stripes(b);
	return r;
}

/* ------------------------------------------------------- lanes of a batch ------------------------------------------------- */

static void lock_groups(struct batch *b, uint32_t first, uint32_t n)
{
	for (uint32_t g = first; g < first + n; g++)
		pthread_mutex_lock(&b->arena->groups[g].lock);
	b->groups_first = first;
	b->ngroups = n;
}

static bool group_is_full(const struct lane_group *group)
{
	return atomic_load_explicit(&group->nstaged, memory_order_relaxed) >= group->n;
}

/*
 * A group with a free lane that nobody else is in, this cpu's first; else wait for one. When buffered sectors fill them
 * all, lock them all: the caller commits, and the more sectors share that, the better.
 */
static void lock_group_with_room(struct batch *b)
{
	struct btt_arena *a = b->arena;
	uint32_t hint = (uint32_t)sched_getcpu() % a->ngroups;

	for (uint32_t i = 0; i < a->ngroups; i++) {
		uint32_t g = (hint + i) % a->ngroups;

		if (!group_is_full(&a->groups[g]) && pthread_mutex_trylock(&a->groups[g].lock) == 0) {
			b->groups_first = g;
			b->ngroups = 1;
			return;
		}
	}
	for (uint32_t i = 0; i < a->ngroups; i++) {
		uint32_t g = (hint + i) % a->ngroups;

		if (!group_is_full(&a->groups[g])) {
			lock_groups(b, g, 1);
			return;
		}
	}
	lock_groups(b, 0, a->ngroups);
}

/* Lock groups with at least `want` lanes in all, if there are that many. */
static void batch_begin(struct batch *b, struct btt_arena *a, uint32_t want)
{
	uint32_t per_group = a->info.geometry.nfree / a->ngroups;

	b->arena = a;
	b->span = NULL;
	b->from_staged = false;
	b->durable = true;
	b->n = 0;
	if (want <= per_group)
		lock_group_with_room(b);
	else
		lock_groups(b, 0, min_u64((want + per_group - 1) / per_group, a->ngroups));
}

static void batch_end(struct batch *b)
{
	for (uint32_t g = b->groups_first; g < b->groups_first + b->ngroups; g++)
		pthread_mutex_unlock(&b->arena->groups[g].lock);
}

/* Gather up to `want` lanes of the locked groups that are in that state, oldest use first. */
static void gather(struct batch *b, enum lane_state state, uint32_t want)
{
	struct btt_arena *a = b->arena;

	b->n = 0;
	for (uint32_t g = b->groups_first; g < b->groups_first + b->ngroups; g++) {
		struct lane_group *group = &a->groups[g];
		uint32_t start = group->next;

		for (uint32_t i = 0; i < group->n && b->n < want; i++) {
			uint32_t at = start + i < group->n ? start + i : start + i - group->n;
			struct lane *lane = &a->lanes[group->first + at];

			if (atomic_load_explicit(&lane->state, memory_order_acquire) != state)
				continue;
			b->entry[b->n++] = (struct entry){
				.lane = group->first + at,
				.lba = atomic_load_explicit(&lane->lba, memory_order_relaxed),
			};
			group->next = at + 1 < group->n ? at + 1 : 0;
		}
	}
}

/* Commit what is staged in the locked groups. */
static int commit_staged(struct batch *b)
{
	int r = 0;

	b->from_staged = true;
	b->durable = true;
	/* A batch may turn out empty, superseded by others, and there may still be more. */
	for (gather(b, LANE_STAGED, BATCH_MAX); r == 0 && b->n > 0; gather(b, LANE_STAGED, BATCH_MAX))
		r = batch_run(b);
	b->from_staged = false;
	return r;
}

int arena_write(struct btt_arena *a, uint32_t premap, uint32_t n, struct source *source, const struct span *span,
		bool durable)
{
	int r = check_writable(a);

	while (r == 0 && n > 0) {
		struct batch b;
		uint32_t want = min_u64(n, BATCH_MAX);

		/* Needed under the locks; fetched while this thread waits for its last fence and copies. */
		for (uint32_t i = 0; i < want; i += MAP_LINE_ENTRIES)
			__builtin_prefetch(&a->map[premap + i], 1);
		batch_begin(&b, a, want);
		gather(&b, LANE_FREE, want);
		if (b.n == 0) {
			r = commit_staged(&b);
			if (r == 0)
				gather(&b, LANE_FREE, want);
		}
		if (r == 0) {
			for (uint32_t i = 0; i < b.n; i++)
				b.entry[i].lba = premap + i;
			premap += b.n;
			n -= b.n;
			/* Whoever freed these lanes bumped versions before; those are seen before the copies into them. */
			media_order(a->media);
			b.source = source;
			b.span = span;
			b.durable = durable;
			r = batch_run(&b);
		}
		batch_end(&b);
	}
	return r;
}

int arena_flush(struct btt_arena *a)
{
	struct batch b;
	int r;

	if (!arena_has_staged(a))
		return 0;
	r = check_writable(a);
	if (r < 0)
		return r;
	batch_begin(&b, a, a->info.geometry.nfree);
	r = commit_staged(&b);
	for (uint32_t g = 0; r == 0 && g < a->ngroups; g++)
		atomic_store_explicit(&a->groups[g].dirty, false, memory_order_release);
	batch_end(&b);
	return r;
}

/* ------------------------------------------------------- states ----------------------------------------------------------- */

/* So many entries at most under one set of locks: 4 MiB of map. */
#define STATE_CHUNK (1u << 20)

struct state_change {
	struct batch batch; /* for its stripes and locks */
	uint32_t premap, n, state;
	struct media_run run;
	volatile bool changed;
};

/*
 * One word per sector changes, atomically: a cut leaves each sector as it was or in the new state. No flog: the block stays
 * its owner's. The lines are durable before the stripes are unlocked, so none of them is left behind; one that an earlier
 * commit left behind becomes durable with them.
 */
static int change_states(void *arg)
{
	struct state_change *c = arg;
	struct btt_arena *a = c->batch.arena;
	int r;

	lock_stripes(&c->batch);
	r = check_writable(a);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t premap = c->premap + i;
		uint32_t entry = media_load32(&a->map[premap]), block = map_entry_block(entry, premap);

		if (block >= a->info.geometry.internal_nlba)
			return -EIO;
		if (c->state == BTT_MAP_ZERO && arena_entry_reads_zero(a, entry, premap, &c->run))
			continue;
		media_store32(a->media, &a->map[premap], block | c->state);
		c->changed = true;
	}
	if (!c->changed)
		return 0;
	media_flush(a->media, &a->map[c->premap], (size_t)c->n * BTT_MAP_ENTRY_SIZE);
	return media_drain(a->media);
}

static bool is_staged_in(const struct btt_arena *a, uint32_t l, const struct state_change *c)
{
	return a->lanes[l].state == LANE_STAGED && a->lanes[l].lba - c->premap < c->n;
}

/* Buffered content of the sectors is older than their new state. */
static void drop_staged(struct state_change *c)
{
	struct btt_arena *a = c->batch.arena;
	struct stripe *stripe;
	bool any = false;

	foreach_stripe (stripe, a, &c->batch.stripes) {
		for (uint32_t l = stripe->staged; l != NO_LANE; l = a->lanes[l].next) {
			if (is_staged_in(a, l, c)) {
				unlink_lane(a, l);
				any = true;
			}
		}
	}
	bump_versions(&c->batch);
	/* The same lanes once more: while their stripes are locked, no other can be staged for these sectors. */
	for (uint32_t l = 0; any && l < a->info.geometry.nfree; l++)
		if (is_staged_in(a, l, c))
			set_free(a, l);
}

int arena_set_state(struct btt_arena *a, uint32_t premap, uint32_t n, uint32_t state)
{
	int r = check_writable(a);

	while (r == 0 && n > 0) {
		struct state_change c;

		c.premap = premap;
		c.n = min_u64(n, STATE_CHUNK);
		c.state = state;
		c.run = (struct media_run){0};
		c.changed = false;
		c.batch.arena = a;
		c.batch.nlocked = 0;
		c.batch.stripes = (struct stripe_set){{0}};
		for (uint32_t i = 0; i < c.n && i < STRIPES * MAP_LINE_ENTRIES; i += MAP_LINE_ENTRIES)
			stripe_set_add(&c.batch.stripes, premap + i);
		stripe_set_add(&c.batch.stripes, premap + c.n - 1);

		r = media_guarded(a->media, change_states, &c);
		if (r == 0)
			drop_staged(&c);
		/* Entries that look changed and may not last: the next request would leave them out. */
		else if (c.changed)
			a->failed = true;
		unlock_stripes(&c.batch);
		premap += c.n;
		n -= c.n;
	}
	return r;
}
