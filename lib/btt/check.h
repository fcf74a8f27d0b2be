/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Check and repair from the inside: one walk, in three steps per arena.
 *
 *   check.c        the entry: chooses the layout, walks the arenas, counts findings
 *   check-info.c   look at the info blocks of all arenas and at the pool header, decide what each arena is; tell
 *   check-map.c    look at one arena's flog and map; tell
 *   repair.c       mend what was looked at: the only one that writes
 *
 * Looking is silent and keeps what it saw; telling reports it; mending reports steps and, when applying, does them. So a
 * plan and its application cannot differ.
 */
#ifndef BTT_CHECK_H
#define BTT_CHECK_H

#include <untorn/btt.h>

#include "base/bits.h"
#include "btt/flog.h"
#include "btt/geometry.h"
#include "btt/info.h"
#include "btt/pool.h"
#include "media/media.h"

#define NO_FAULT UNTORN_FINDING_KINDS

/* One field of an info block: for findings. */
struct info_field {
	const char *name;
	uint16_t off, size;
};

/* One copy of an info block, as it was found. */
struct info_copy {
	uint64_t off; /* container byte */
	bool is_readable;
	bool is_sound;                  /* intact, and its fields are possible here */
	bool is_good;                   /* sound, and of this BTT and container */
	enum untorn_finding_kind fault; /* NO_FAULT when good */
	const struct info_field *field; /* where, when there is a fault */
	struct btt_info_block block;
	struct btt_info info; /* of block */
};

struct check_arena {
	uint64_t off, room; /* container byte; bytes up to the container's end */
	struct info_copy primary, backup;

	/* What the copies make of it. */
	bool is_usable;             /* info says where everything is: the inside can be looked at */
	bool is_derived;            /* neither copy says so: from another arena's constants and the rules of geometry */
	int mendable;               /* as in struct untorn_finding: what a repair of this arena needs */
	struct btt_info info;       /* valid when is_usable */
	struct btt_info_block want; /* what both copies should be; valid when is_usable and mendable */

	enum untorn_finding_kind fault; /* of the primary, or NO_FAULT */
	const struct info_field *field;
	bool backup_is_bad;
	const struct info_field *backup_field;
	bool chain_is_broken; /* info.geometry.nextoff is not next_expected */
	uint64_t next_expected;
};

struct check {
	struct untorn_media *media;
	const struct untorn_btt_check_options *options;
	const struct btt_profile *profile;
	struct untorn_btt_check_result result;

	/* Of a pool. */
	struct pool pool;
	int pool_err;           /* what pool_read() said */
	const char *pool_field; /* with -EUCLEAN */

	const uint8_t *parent_uuid; /* what a parent uuid must equal, or NULL: not known */
	uint64_t narena;            /* as many as the container has room for, until the chain is known */
	struct check_arena *arenas;

	uint64_t done, total; /* sectors */
};

/* Report a finding or a step. Returns what the callback returned; other than 0 ends the check. */
int check_report(struct check *c, const struct untorn_finding *finding);
int check_step(struct check *c, const struct untorn_repair_step *step);

/* A repair was asked for, and with the flags given it covers what needs `mendable`. */
bool check_mends(const struct check *c, int mendable);

/* ---------------------------------------------------------- info blocks -------------------------------------------------- */

/* How much speaks for a layout being the one that is meant. */
enum evidence {
	EVIDENCE_NONE,
	EVIDENCE_SIGNATURE, /* something that wants to be an info block */
	EVIDENCE_COPY,      /* a sound primary, which could be a sector of a volume of another layout */
	EVIDENCE_BACKUP,    /* a sound backup where no user of a volume can write */
	EVIDENCE_PAIR,      /* both, equal */
};

/* Read all info blocks that a volume of profile could have here and judge them one by one. -ENOMEM. */
int check_infos_look(struct check *c, const struct btt_profile *profile);
enum evidence check_infos_evidence(const struct check *c, const struct btt_profile *profile);

/* Decide what each arena is, and how many there are. */
void check_infos_resolve(struct check *c);

/* Findings of one arena's info blocks, of the volume as a whole (*ret_go: there are arenas to look at), and the error flag's. */
int check_info_tell(struct check *c, uint32_t arena);
int check_volume_tell(struct check *c, bool *ret_go);
int check_error_flag_tell(struct check *c, uint32_t arena, bool is_clean);

bool check_has_error_flag(const struct check_arena *a);

/*
 * The pool header. A damaged one is rebuilt from what must stand there; the checksum that stands there can prove the result.
 * With narena > 0 only. SPEC 8.2.
 */
bool check_pool_header_is_damaged(const struct check *c);
int check_pool_header_mendable(const struct check *c); /* as in struct untorn_finding */
bool check_pool_bsize_is_wrong(const struct check *c);
void check_pool_candidate(const struct check *c, struct pool_header *ret_header, bool *ret_is_proven);

/* -------------------------------------------------------- flog and map -------------------------------------------------- */

/* One bit per block of an arena. */
struct bitmap {
	uint64_t *words; /* NULL: all zeros */
	uint64_t nbits;
};

static inline bool bitmap_get(const struct bitmap *b, uint64_t i)
{
	return b->words && (b->words[i / 64] >> i % 64 & 1);
}

static inline void bitmap_set(struct bitmap *b, uint64_t i)
{
	b->words[i / 64] |= 1ull << i % 64;
}

static inline void bitmap_clear(struct bitmap *b, uint64_t i)
{
	b->words[i / 64] &= ~(1ull << i % 64);
}

/* The first bit of that value in [from, end), or end. */
uint64_t bitmap_next(const struct bitmap *b, uint64_t from, uint64_t end, bool value);

struct check_lane {
	struct flog_slot entry; /* the current one, when it is known */
	uint32_t block;         /* the lane's free block once interrupted writes are finished */
	uint8_t live;           /* 0 or 1: where entry stands */
	bool is_readable;
	bool is_pending;
	bool slot0_is_zero;             /* while the lane lives in its other slot */
	bool padding_is_dirty;          /* a slot that must be empty is not */
	enum untorn_finding_kind fault; /* why it needs another block, or NO_FAULT */
};

/* An interrupted write, and the map entry that finishes it. */
struct check_pending {
	uint32_t lba, lane;
	uint32_t before, after; /* map entries */
	bool is_in_doubt;       /* other lanes claim the same lba: they come next in the list, and this one counts */
	bool is_second;         /* one of those */
};

/* One arena's flog and map. */
struct inside {
	const struct check_arena *arena;
	uint32_t number; /* of the arena */
	struct btt_flog_group *groups;
	enum untorn_btt_padding padding;
	struct check_lane *lanes;
	struct check_pending *pending; /* by lba, then lane */
	uint32_t npending;
	uint32_t *free_lanes; /* sound lanes by block, then number */
	uint32_t nfree_lanes;

	struct bitmap used; /* blocks with an owner, interrupted writes finished */
	struct bitmap dup;  /* blocks with several map entries */
	uint64_t nused;
	uint64_t nrange, nshared, nerror; /* map entries out of range; later owners of a shared block; in error state */
	bool is_complete;                 /* flog and map could be read to the end */
	bool flog_is_sound;               /* every lane's entry is known and in range */
};

/* Some map entries in a row, interrupted writes finished. */
struct map_run {
	uint32_t lba, n;
	const le32 *entries; /* NULL: all initial */
	bool is_readable;
};

/* -ENOMEM, or what a run's visitor returned. inside_done() is due in any case. */
int inside_look(struct check *c, uint32_t arena, struct inside *ret_inside);
int inside_tell(struct check *c, struct inside *in);
void inside_done(struct inside *in);

/* Call fn with every map entry of the arena, in order. Other than 0 from fn ends it and is returned. -ENOMEM. */
int inside_each_run(struct check *c, const struct inside *in, int (*fn)(void *arg, const struct map_run *run),
		    void *arg);

/* What mending a finding inside takes, as in struct untorn_finding; needs_block: an unreferenced one is to be found. */
int inside_mendable(const struct inside *in, bool needs_block);

static inline uint64_t inside_group_off(const struct inside *in, uint32_t lane)
{
	return in->arena->off + in->arena->info.geometry.logoff + (uint64_t)lane * sizeof(struct btt_flog_group);
}

static inline uint64_t inside_slot_off(const struct inside *in, uint32_t lane, unsigned slot)
{
	return inside_group_off(in, lane) + slot * sizeof(struct btt_flog_slot);
}

static inline uint64_t inside_entry_off(const struct inside *in, uint32_t lba)
{
	return in->arena->off + in->arena->info.geometry.mapoff + (uint64_t)lba * BTT_MAP_ENTRY_SIZE;
}

/* ------------------------------------------------------------ repair ------------------------------------------------------ */

int repair_inside(struct check *c, struct inside *in);
int repair_info(struct check *c, uint32_t arena);
int repair_error_flag(struct check *c, uint32_t arena);
int repair_pool(struct check *c);

#endif
