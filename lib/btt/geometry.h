/* SPDX-License-Identifier: BSD-3-Clause */
/* Where everything goes in a new volume: numbers in, numbers out. SPEC 3. */
#ifndef BTT_GEOMETRY_H
#define BTT_GEOMETRY_H

#include <stdbool.h>
#include <untorn/btt.h>

/* What differs between the kinds of container: data, chosen once. SPEC 12. */
struct btt_profile {
	enum untorn_btt_layout layout;
	uint64_t base; /* container byte of the first arena */
	uint16_t version_major, version_minor;
	uint32_t internal_min; /* internal_lbasize is max(external, min) rounded up to a multiple of round */
	uint32_t internal_round;
	uint32_t internal_nlba_min;
	uint32_t flog_flags; /* or'ed into flog values: none, or as PMDK compares them */
	uint32_t flog_initial_flag;
	bool initial_is_zero; /* an initial sector reads as zeros, not as its block */
};

/* NULL for UNTORN_BTT_AUTO. */
const struct btt_profile *btt_profile(enum untorn_btt_layout layout);

/* One arena. Sizes and offsets in bytes from its start. */
struct btt_geometry {
	uint32_t external_lbasize, external_nlba;
	uint32_t internal_lbasize, internal_nlba;
	uint32_t nfree;
	uint64_t nextoff, dataoff, mapoff, logoff, info2off;
};

/* How many arenas a container of that size gets behind its base; 0 when it is too small. */
uint64_t geometry_narena(const struct btt_profile *profile, uint64_t container_size);

/*
 * Arena number i of a new volume and, in *ret_off, the container byte where it starts.
 * -ENXIO: no such arena, or no room for blocks of that size.
 */
int geometry_arena(const struct btt_profile *profile, uint64_t container_size, uint32_t external_lbasize, uint64_t i,
		   uint64_t *ret_off, struct btt_geometry *ret_geometry);

/*
 * Where the backup info block of an arena is, from its start, judged only by the `room` bytes up to the container's end: at least
 * BTT_BLOCK. What an info block says of it may be the content of a sector. SPEC 1.4.
 */
uint64_t geometry_backup_off(uint64_t room);

/* Bytes of an arena of that geometry up to the end of its backup info block, or to the next arena. */
uint64_t geometry_arena_size(const struct btt_geometry *g);

/* The name of the first field that breaks a rule of SPEC 6.5 (2), or NULL: the arena fits into `room` bytes. */
const char *geometry_fault(const struct btt_geometry *g, uint64_t room);

/* Data bytes of a sector of external_lbasize bytes; the rest is metadata. 0: not a size that can be read. SPEC 1.2, 14. */
uint32_t geometry_sector_size(enum untorn_btt_layout layout, bool wide, uint32_t external_lbasize);

/* Sector sizes that Linux knows nothing of. */
bool geometry_is_wide(uint32_t external_lbasize);

#endif
