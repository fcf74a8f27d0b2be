/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open volume in memory. Everything here is a few KiB per lane and per stripe, nothing per sector.
 *
 * Who owns what
 *
 *   lane group   a mutex and a share of the arena's lanes. A request locks one group (large ones several) and has its free
 *                lanes to itself until it unlocks.
 *   lane         a free block, a flog pair. FREE: the holder of its group may stage into the block. STAGED: the block holds
 *                a sector's newest content, buffered; it is on the staged list of its lba's stripe. FREE to STAGED
 *                needs the group's and the stripe's lock, STAGED to FREE the stripe's lock alone: a later write of the same lba
 *                supersedes it, whichever group that came through.
 *   stripe       every 256th line (64 bytes, 16 entries) of the map. Its mutex is held to change a map entry or its staged
 *                list; its version is bumped after each change and before a block that the change set free can be reused.
 *   left         map lines whose last store was not made durable, because the flog replays it. A line is on its stripe's
 *                list and noted by the lane whose flog replays it; whoever makes that flog entry obsolete persists the line first.
 *
 * Lock order: groups in ascending order, then stripes in ascending order; one arena at a time.
 *
 * Readers take no lock: version, staged list, map entry, copy, version again.
 */
#ifndef BTT_ARENA_H
#define BTT_ARENA_H

#include <pthread.h>
#include <stdatomic.h>
#include <untorn/btt.h>

#include "btt/flog.h"
#include "btt/geometry.h"
#include "btt/info.h"

#define STRIPES     256u /* per arena; one bit each in struct stripe_set */
#define STRIPE_LEFT 8u
#define GROUPS_MAX  8u
#define BATCH_MAX   256u /* sectors that commit together */

#define MAP_LINE_ENTRIES (CACHELINE / BTT_MAP_ENTRY_SIZE)
#define NO_LINE          UINT32_MAX
#define NO_LANE          UINT32_MAX

enum lane_state { LANE_FREE, LANE_STAGED };

struct lane {
	_Atomic uint32_t block; /* free, or staged; changes under the group's lock */
	uint32_t left;          /* map line that only this lane's flog makes durable, or NO_LINE; group's lock */
	uint8_t live;           /* the live slot, 0 or 1, that the next commit overwrites; group's lock */
	uint8_t seq;            /* for that slot */
	uint8_t group;
	_Atomic uint8_t state; /* enum lane_state */
	_Atomic uint32_t lba;  /* premap, while STAGED */
	_Atomic uint32_t next; /* lane on the same stripe's staged list, or NO_LANE */
};

struct stripe {
	_Alignas(CACHELINE) pthread_mutex_t lock;
	uint32_t nleft;
	uint32_t left[STRIPE_LEFT]; /* map lines */

	_Alignas(CACHELINE) _Atomic uint64_t version; /* what readers look at, apart from the lock's line */
	_Atomic uint32_t staged;                      /* lane, or NO_LANE */
};

struct lane_group {
	_Alignas(CACHELINE) pthread_mutex_t lock;
	uint32_t first, n;        /* lanes */
	uint32_t next;            /* where to look for a free lane first, relative to first */
	_Atomic uint32_t nstaged; /* of its lanes */
	_Atomic bool dirty;       /* some were, since the last flush; cleared by a flush alone, holding all groups */
};

/* An interrupted write: the flog says that lba moved to block new_map, the map does not yet. */
struct pending {
	uint32_t lane, lba, new_map;
};

struct btt_arena {
	struct untorn_media *media;
	const struct btt_profile *profile;
	struct btt_info info;
	uint64_t off; /* container byte where the arena starts */
	uint64_t first_lba;
	uint32_t sector_size, meta_size;

	uint8_t *data; /* block b at data + b * internal_lbasize */
	le32 *map;
	struct btt_flog_group *flog; /* lane l's group */
	enum untorn_btt_padding padding;

	struct pending *pending; /* found at load */
	uint32_t npending, replayed;
	_Atomic bool failed; /* a fault in mid-commit: what the flog says is unknown, writes fail until reopened */
	bool laid_out;       /* false: a pool never written, read-only: all zeros */

	struct lane *lanes; /* info.geometry.nfree */
	struct lane_group *groups;
	uint32_t ngroups;
	struct stripe *stripes; /* STRIPES */
};

struct untorn_btt {
	struct untorn_media *media;
	const struct btt_profile *profile;
	bool read_only;
	uint32_t sector_size, meta_size;
	uint64_t nlba;
	uint32_t narena;
	struct btt_arena *arenas;
};

static inline uint8_t *arena_block(const struct btt_arena *a, uint32_t block)
{
	return a->data + (uint64_t)block * a->info.geometry.internal_lbasize;
}

static inline uint32_t map_line(uint32_t premap)
{
	return premap / MAP_LINE_ENTRIES;
}

static inline const le32 *map_line_start(const struct btt_arena *a, uint32_t line)
{
	return a->map + (uint64_t)line * MAP_LINE_ENTRIES;
}

static inline struct stripe *stripe_of(const struct btt_arena *a, uint32_t premap)
{
	return &a->stripes[map_line(premap) % STRIPES];
}

/* The lane that holds premap's buffered content, or NO_LANE. Without the stripe's lock the caller re-checks its version. */
uint32_t stripe_find_staged(const struct btt_arena *a, const struct stripe *stripe, uint32_t premap);

/* arena.c: build and take down the in-memory side. info is validated. */
int arena_init(struct btt_arena *a, struct untorn_media *media, const struct btt_profile *profile,
	       const struct btt_info *info, uint64_t off);
void arena_done(struct btt_arena *a);

/*
 * Read every lane's flog and note the interrupted writes; nothing is written.
 * -EUCLEAN: a rule of SPEC 6.5 (3) or (6) is broken, or a block has two owners. -EIO, -ENOMEM.
 */
int arena_load(struct btt_arena *a);

/* Finish the interrupted writes: in the map, durably (-EIO), or as staged lanes in memory, for readers only. */
int arena_replay(struct btt_arena *a);
void arena_replay_in_memory(struct btt_arena *a);

/* Whether zeros are written as a state of the map entry (io.c). */
bool btt_has_zero_state(const struct untorn_btt *btt);

/* A run of the medium that is a hole or is not: what a scan found last, all zeros at first. Container bytes. */
struct media_run {
	uint64_t start, end;
	bool is_hole;
};

/*
 * Whether a sector with that map entry reads as zeros without looking at its data: zero state, or an initial one of a pool or
 * whose block is a hole of the medium.
 */
bool arena_entry_reads_zero(const struct btt_arena *a, uint32_t entry, uint32_t premap, struct media_run *run);

/* Whether anything may be buffered. No write that was acknowledged before is missed, wherever it moves meanwhile. */
bool arena_has_staged(const struct btt_arena *a);

/* Persist every map line that was left behind. -EIO. */
int arena_settle(struct btt_arena *a);

#endif
