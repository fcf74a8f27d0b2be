/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on a volume whose power is cut, and what each of its sectors may hold afterwards.
 *
 * Every operation writes its own number into its sectors, whole. A log of starts and acknowledgements says which of them
 * a cut may leave: all but those that another one, started after they were acknowledged and itself durable by the cut, replaced.
 */
#ifndef TESTS_CRASH_CUTS_H
#define TESTS_CRASH_CUTS_H

#include <pthread.h>

#include "media/crash.h"
#include <untorn/btt.h>

enum { CUTS_OPS = 512 };

enum cuts_kind { CUTS_WRITE, CUTS_PART, CUTS_ZERO, CUTS_ERROR, CUTS_FLUSH };

struct cuts_op {
	enum cuts_kind kind;
	uint32_t lba, n;
	bool durable;            /* by its own acknowledgement; a buffered write by that of a later flush */
	uint32_t started, acked; /* places in the order of all starts and acknowledgements; 0: not yet */
};

struct cuts {
	uint64_t size; /* of the medium */
	uint64_t base; /* of the arena */
	uint32_t sector_size, nlba_looked_at;
	const uint32_t *lbas; /* the sectors that are looked at */
	bool initial_is_zero;
	struct untorn_media *media;
	struct untorn_btt *btt;

	pthread_mutex_t lock;        /* orders starts and acknowledgements with the log's marks */
	uint32_t clock, first_clock; /* now, and when the log began */
	uint32_t nops;
	struct cuts_op op[CUTS_OPS];

	size_t images, nested;
	unsigned depth;    /* how often the power is cut again, inside recovery */
	bool expect_fault; /* a violation is what the caller wants: print nothing */
};

/* Do one operation and log it. Returns its number, from 1. Asserts that it succeeds. */
uint32_t cuts_do(struct cuts *c, enum cuts_kind kind, uint32_t lba, uint32_t n, bool durable);

/*
 * Cut the power after every event (of more than ncuts, so many spread evenly), and look at the images that leaves. 0 when all
 * hold what they must: the invariants of SPEC 6.5 before and after recovery, and an allowed content in every sector.
 */
int cuts_look(struct cuts *c, size_t ncuts, const struct crash_budget *budget);

#endif
