/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The BTT as it stands on media: structures, constants and the meaning of each bit; no behaviour. SPEC 1 to 5 and 8.
 *
 *   container   | base (0, 4096 or 8192) | arena 0 | arena 1 | ... | tail under 16 MiB, unused |
 *
 *   arena       | info block | data: internal_nlba blocks | map | flog | backup info block |
 *               0            4096                         mapoff logoff  info2off
 *
 * Offsets in an info block count from the start of its arena. Readers use the values that stand there; only formatting
 * computes them (geometry.h).
 */
#ifndef BTT_FORMAT_H
#define BTT_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/le.h"

#define BTT_BLOCK     4096u        /* every area starts at a multiple of this */
#define BTT_ARENA_MAX (1ull << 39) /* 512 GiB */
#define BTT_ARENA_MIN (1ull << 24) /* 16 MiB */
#define BTT_NFREE     256u         /* lanes of every arena that is formatted today */
#define BTT_NFREE_MAX 65536u       /* more than this in an info block is refused */
#define BTT_UUID_LEN  16u

/* -------- info block: SPEC 1.1 -------- */

#define BTT_SIGNATURE     "BTT_ARENA_INFO\0" /* with the literal's own NUL: 16 bytes */
#define BTT_SIGNATURE_LEN 16u
#define BTT_INFO_ERROR    1u /* flags bit 0: writes to the arena fail */

/*
 * Volumes with sectors of 8 KiB and more carry this bit in version_major. Linux, which would take such a sector for 4096
 * data bytes and a long tail of metadata, knows no such version and leaves the namespace alone. SPEC 14.
 */
#define BTT_VERSION_WIDE 0x8000u

struct btt_info_block {
	uint8_t signature[BTT_SIGNATURE_LEN];
	uint8_t uuid[BTT_UUID_LEN];
	uint8_t parent_uuid[BTT_UUID_LEN];
	le32 flags;
	le16 version_major;
	le16 version_minor;
	le32 external_lbasize;
	le32 external_nlba;
	le32 internal_lbasize;
	le32 internal_nlba;
	le32 nfree;
	le32 infosize;
	le64 nextoff; /* to the next arena, 0: the last */
	le64 dataoff;
	le64 mapoff;
	le64 logoff;
	le64 info2off;
	uint8_t padding[3968];
	le64 checksum; /* Fletcher-64 of the block with this field as zero */
};
static_assert(sizeof(struct btt_info_block) == 4096, "info block size");
static_assert(offsetof(struct btt_info_block, nextoff) == 80, "nextoff");
static_assert(offsetof(struct btt_info_block, info2off) == 112, "info2off");
static_assert(offsetof(struct btt_info_block, checksum) == 4088, "checksum");

/* -------- map: SPEC 4 -------- */

/* external_nlba little-endian words. Bits 31 and 30 say what the sector is, bits 29..0 which block it owns. */
#define BTT_MAP_ENTRY_SIZE 4u
#define BTT_MAP_STATE      0xc0000000u
#define BTT_MAP_INITIAL    0x00000000u /* owns the block of its own number, whatever bits 29..0 hold */
#define BTT_MAP_ERROR      0x40000000u
#define BTT_MAP_ZERO       0x80000000u
#define BTT_MAP_NORMAL     0xc0000000u
#define BTT_MAP_BLOCK      0x3fffffffu

static inline uint32_t map_entry_state(uint32_t entry)
{
	return entry & BTT_MAP_STATE;
}

/* The block that premap lba owns when its map entry is `entry`. */
static inline uint32_t map_entry_block(uint32_t entry, uint32_t premap)
{
	return map_entry_state(entry) == BTT_MAP_INITIAL ? premap : entry & BTT_MAP_BLOCK;
}

/* -------- flog: SPEC 5 -------- */

/*
 * One group per lane: four slots, of which two live and two are zero. The live ones are 0 and 1, or, as Linux before 4.15
 * wrote them, 0 and 2. In the newer of the two, seq is ahead by one step of the cycle 1 2 3.
 */
struct btt_flog_slot {
	le32 lba;     /* premap lba of the lane's last write */
	le32 old_map; /* the block it had before: now the lane's free block */
	le32 new_map; /* the block it was written to */
	le32 seq;     /* 0: never written */
};

#define BTT_FLOG_SLOTS 4u

struct btt_flog_group {
	struct btt_flog_slot slot[BTT_FLOG_SLOTS];
};
static_assert(sizeof(struct btt_flog_slot) == 16, "flog slot size");
static_assert(sizeof(struct btt_flog_group) == 64, "flog group size");

/* -------- pmemblk pool: SPEC 8 -------- */

#define POOL_SIGNATURE      "PMEMBLK" /* with its NUL: 8 bytes */
#define POOL_HEADER_SIZE    4096u
#define POOL_BTT_OFF        8192u
#define POOL_INCOMPAT_2K    0x2u /* the checksum covers the first 2048 bytes only */
#define POOL_INCOMPAT_SDS   0x4u
#define POOL_INCOMPAT_KNOWN 0x7u
#define POOL_ALIGNMENT_DESC 0x7f737777310ull /* x86-64 and aarch64 Linux */

struct pool_header {
	uint8_t signature[8];
	le32 major;
	le32 compat;
	le32 incompat;
	le32 ro_compat;
	uint8_t poolset_uuid[BTT_UUID_LEN];
	uint8_t uuid[BTT_UUID_LEN];
	uint8_t prev_part_uuid[BTT_UUID_LEN];
	uint8_t next_part_uuid[BTT_UUID_LEN];
	uint8_t prev_repl_uuid[BTT_UUID_LEN];
	uint8_t next_repl_uuid[BTT_UUID_LEN];
	le64 crtime;
	le64 alignment_desc;
	uint8_t machine_class; /* 2: 64-bit */
	uint8_t data;          /* 1: little-endian */
	uint8_t reserved[4];
	le16 machine; /* ELF number */
	uint8_t unused[1904];
	uint8_t unused2[1976]; /* with the 2K bit, from here on not covered by the checksum */
	uint8_t sds[64];       /* shutdown state: of the machine that had it open; left alone */
	le64 checksum;
};
static_assert(sizeof(struct pool_header) == POOL_HEADER_SIZE, "pool header size");
static_assert(offsetof(struct pool_header, crtime) == 120, "crtime");
static_assert(offsetof(struct pool_header, machine) == 142, "machine");
static_assert(offsetof(struct pool_header, unused2) == 2048, "unused2");
static_assert(offsetof(struct pool_header, sds) == 4024, "sds");

/* The page behind the header. */
struct pool_descriptor {
	le32 bsize;
	le32 is_zeroed; /* the file was fresh when it was made */
};

#endif
