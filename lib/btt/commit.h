/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage and commit: the only writers of an open volume. The why is at the top of commit.c. */
#ifndef BTT_COMMIT_H
#define BTT_COMMIT_H

#include "btt/arena.h"

/* Where a request's bytes come from. The cursor moves as they are staged. */
struct source {
	const struct iovec *iov; /* NULL: zeros */
	size_t iov_off;          /* consumed of *iov */
	const uint8_t *meta;     /* next metadata bytes, or NULL: zeros */
};

/* The bytes of one sector that a request writes; the rest stays. */
struct span {
	uint32_t off, len;
};

/*
 * Write n sectors from premap of one arena: all of each, or, with span, a part of one (n == 1; the source has span->len bytes).
 * durable: committed on return, up to BATCH_MAX sectors at a time; else staged for readers to see and a later commit.
 * The range is within the arena. 0, -EIO, -ENOSPC.
 */
int arena_write(struct btt_arena *a, uint32_t premap, uint32_t n, struct source *source, const struct span *span,
		bool durable);

/* Commit every staged lane. */
int arena_flush(struct btt_arena *a);

/*
 * Put n sectors from premap into BTT_MAP_ZERO or BTT_MAP_ERROR state, keeping the blocks they own; buffered content of theirs
 * is dropped. Durable on return. 0, -EIO, -ENOSPC.
 */
int arena_set_state(struct btt_arena *a, uint32_t premap, uint32_t n, uint32_t state);

#endif
