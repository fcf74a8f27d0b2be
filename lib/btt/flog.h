/* SPDX-License-Identifier: BSD-3-Clause */
/* The free list and log: which slots live, which is current, how one is written. SPEC 5. */
#ifndef BTT_FLOG_H
#define BTT_FLOG_H

#include <untorn/btt.h>

#include "btt/format.h"
#include "media/media.h"

/* One slot in native integers, flags and all. */
struct flog_slot {
	uint32_t lba, old_map, new_map, seq;
};

static inline struct flog_slot flog_slot_load(const struct btt_flog_slot *s)
{
	return (struct flog_slot){
		.lba = media_load32(&s->lba),
		.old_map = media_load32(&s->old_map),
		.new_map = media_load32(&s->new_map),
		.seq = media_load32(&s->seq),
	};
}

/* Slot number 0 to 3 of live slot 0 or 1. */
static inline unsigned flog_slot_number(enum untorn_btt_padding padding, unsigned live)
{
	return live == 0 ? 0 : padding == UNTORN_BTT_PADDING_02 ? 2 : 1;
}

/*
 * Which two slots of the groups live. A flog that was never written to counts as {0,1}.
 * -EUCLEAN: neither choice leaves the other two slots of every group zero.
 */
int flog_detect_padding(const struct btt_flog_group *groups, uint32_t nfree, enum untorn_btt_padding *ret_padding);

/*
 * The live slot, 0 or 1, that holds the lane's last write; -EUCLEAN when the sequence numbers do not say: equal ones, ones
 * above 3, and 2 or 3 beside 0, which nobody writes and Linux and PMDK read differently.
 */
int flog_current(uint32_t seq0, uint32_t seq1);

static inline uint32_t flog_next_seq(uint32_t seq)
{
	return seq == 3 ? 1 : seq + 1;
}

/*
 * Store a slot that is not current: lba and old_map, then new_map and seq, each as one 8-byte store to one cache line, so a cut
 * leaves either the old sequence number or the whole slot. The caller flushes and drains.
 */
void flog_slot_store(struct untorn_media *media, struct btt_flog_slot *s, struct flog_slot v);

/*
 * A group as it is formatted: lane l's free block, never used. Its lba is l, or where there are fewer sectors than lanes one
 * that exists. SPEC 5.4.
 */
struct btt_flog_group flog_initial_group(uint32_t lane, uint32_t external_nlba, uint32_t flag);

#endif
