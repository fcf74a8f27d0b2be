/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The BTT as SPEC 1 to 6 tells it, on plain bytes: volumes made by hand, sectors read by hand, and the invariants of SPEC 6.5
 * checked. Shares no code with the library, so that the two can disagree. Single arenas only.
 */
#ifndef TESTS_SPEC_H
#define TESTS_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of an arena as its info block has them, and where it starts. */
struct spec_arena {
	uint64_t base; /* byte of the image where the arena starts */
	uint32_t external_lbasize, external_nlba, internal_lbasize, internal_nlba, nfree;
	uint64_t dataoff, mapoff, logoff, info2off;
	unsigned second; /* number of the second live flog slot: 1 or 2 */
	uint32_t flags;
};

struct spec_options {
	uint64_t base;
	uint16_t major, minor;
	uint32_t external_lbasize, internal_lbasize;
	uint32_t external_nlba; /* 0: as many as fit */
	uint32_t nfree;
	uint32_t flog_flags; /* in initial flog entries */
	uint8_t parent_uuid[16];
};

/* Lay out an empty volume in image, which is all zeros. Aborts when there is no room. */
void spec_make(uint8_t *image, uint64_t size, const struct spec_options *options);

/* Give one of its info blocks the right checksum. */
void spec_seal(uint8_t *info_block);

uint64_t spec_fletcher64(const uint8_t *p, size_t len);

/* Read the primary info block at base; no checks. */
struct spec_arena spec_arena(const uint8_t *image, uint64_t base);

/* Map entry, raw. */
uint32_t spec_map(const uint8_t *image, const struct spec_arena *a, uint32_t lba);

struct spec_slot {
	uint32_t lba, old_map, new_map, seq;
};

struct spec_slot spec_slot(const uint8_t *image, const struct spec_arena *a, uint32_t lane, unsigned slot);
void spec_set_slot(uint8_t *image, const struct spec_arena *a, uint32_t lane, unsigned slot, struct spec_slot v);
void spec_set_map(uint8_t *image, const struct spec_arena *a, uint32_t lba, uint32_t entry);

/* The current slot's number, 0 to 3; -1: the sequence numbers do not say. */
int spec_current(const uint8_t *image, const struct spec_arena *a, uint32_t lane);

/* The bytes of a sector as they stand, without any flog: its block, or NULL for zero and error states. */
const uint8_t *spec_block(const uint8_t *image, const struct spec_arena *a, uint32_t lba, bool initial_is_zero);

/* What spec_check() found beside faults. */
struct spec_facts {
	uint32_t npending;
	struct spec_arena arena;
};

/*
 * Check the invariants of SPEC 6.5 (all but 8, which is about data) in the arena at base. NULL when they hold; else a
 * sentence in a static buffer.
 */
const char *spec_check(const uint8_t *image, uint64_t size, uint64_t base, struct spec_facts *ret_facts);

#endif
