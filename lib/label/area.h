/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One label area: its index blocks and its slots. The only writer of the area.
 *
 * A change of the labels is one transaction:
 *
 *     area_begin()                     the next index block is a copy of the current one
 *     area_add(), area_free() ...      labels go to slots that are free in the current index and are durable at once
 *     area_commit()                    the next index block goes to where the current one is not
 *
 * Until the commit is durable, the old index block counts, and everything that it says is untouched.
 */
#ifndef LABEL_AREA_H
#define LABEL_AREA_H

#include <stdbool.h>
#include <untorn/label.h>

#include "label/format.h"
#include "media/media.h"

/* What is wrong with an index block: a field of it, or NULL for nothing. */
struct label_fault {
	const char *field;
	uint64_t seen, expected;
};

struct label_index {
	enum untorn_label_version version;
	bool cookie_v1_1; /* labels carry the v1.1 cookie: the index says 1.1. SPEC 9.7 */
	uint32_t label_size, index_size;
	uint32_t nslot, nfree;
	int current;
	uint32_t seq[2];
	struct label_fault fault[2];
	bool torn;      /* the block that does not count is not valid, but may be all but complete */
	uint8_t *block; /* the current index block, index_size bytes; NULL: none is valid */
	uint8_t *next;  /* behind it: the one that a transaction makes */
};

struct untorn_label_area {
	struct untorn_media *media;
	uint64_t off, size; /* bytes of the medium */
	struct label_index index;
	bool stale; /* a write failed, and so did reading what stands there now */
};

/* Make sure that area->index is what stands on media. -EIO. */
int area_sync(struct untorn_label_area *area);

static inline bool area_has_index(const struct untorn_label_area *area)
{
	return area->index.version != UNTORN_LABEL_NONE;
}

/* slot is below index.nslot. */
bool area_slot_is_free(const struct untorn_label_area *area, uint32_t slot);

/* The bytes of a slot; what a v1.1 label does not have reads as zero. -EIO. */
int area_read_slot(struct untorn_label_area *area, uint32_t slot, struct label_block *ret_block);

void area_begin(struct untorn_label_area *area);

/* Write label to the first free slot at or after from; label->slot is set to it. -ENOSPC: there is none; -EROFS, -EIO. */
int area_add(struct untorn_label_area *area, uint32_t from, struct untorn_label *label);

void area_free(struct untorn_label_area *area, uint32_t slot);
int area_commit(struct untorn_label_area *area);

/* What stands in the checksum field of a v1.2 label when it is right. */
uint64_t label_checksum(const struct label_block *block);

/* The bytes of a label. The slot of a label is in range. SPEC 9.5. */
void label_encode(const struct untorn_label *label, uint32_t label_size, struct label_block *ret_block);

/* Any bytes are allowed; state is ACTIVE or IGNORED. */
void label_decode(const struct label_block *block, uint32_t label_size, uint32_t slot, struct untorn_label *ret_label);

#endif
