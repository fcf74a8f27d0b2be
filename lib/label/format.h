/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The label area as it stands on media: structures and constants, no behaviour. SPEC 9.
 *
 *   area | index block 0 | index block 1 | label slot 0 | label slot 1 | ... | unused |
 *        0           index_size      2 * index_size
 *
 * The index size follows from the size of the area; the number of slots is what the index block says.
 */
#ifndef LABEL_FORMAT_H
#define LABEL_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/le.h"

#define LABEL_INDEX_ALIGN     256u
#define LABEL_INDEX_SIGNATURE "NAMESPACE_INDEX" /* with its NUL: 16 bytes */
#define LABEL_SIZE_V1_1       128u
#define LABEL_SIZE_V1_2       256u
#define LABEL_NSLOT_MIN       2u /* an area with fewer slots is of no use: an update needs a free one */
#define LABEL_SEQ_MASK        3u /* 1 2 3 1 ...; 0 is invalid */

/* The bitmap follows: bit k, least significant first, says that slot k is free. */
struct label_index_block {
	uint8_t signature[16];
	uint8_t flags[3];
	uint8_t labelsize; /* a label has 128 << labelsize bytes; from version 1.2 on */
	le32 seq;
	le64 myoff, mysize, otheroff, labeloff; /* bytes from the start of the area */
	le32 nslot;
	le16 major, minor;
	le64 checksum; /* Fletcher-64 of all index_size bytes with this field as zero */
};
static_assert(sizeof(struct label_index_block) == 72, "index block size");
static_assert(offsetof(struct label_index_block, seq) == 20, "seq");
static_assert(offsetof(struct label_index_block, nslot) == 56, "nslot");
static_assert(offsetof(struct label_index_block, checksum) == 64, "checksum");

/* A label of v1.1 is the first 128 bytes of this. */
struct label_block {
	uint8_t uuid[16];
	uint8_t name[64];
	le32 flags;
	le16 nlabel, position;
	le64 isetcookie;
	le64 lbasize, dpa, rawsize; /* bytes */
	le32 slot;
	uint8_t unused[4];
	uint8_t type_guid[16], abstraction_guid[16];
	uint8_t reserved[88];
	le64 checksum; /* Fletcher-64 of the 256 bytes with this field as zero */
};
static_assert(sizeof(struct label_block) == LABEL_SIZE_V1_2, "label size");
static_assert(offsetof(struct label_block, flags) == 80, "flags");
static_assert(offsetof(struct label_block, isetcookie) == 88, "isetcookie");
static_assert(offsetof(struct label_block, slot) == 120, "slot");
static_assert(offsetof(struct label_block, type_guid) == LABEL_SIZE_V1_1, "type_guid");
static_assert(offsetof(struct label_block, checksum) == 248, "checksum");

#endif
