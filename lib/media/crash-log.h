/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the crash medium: the log (crash.c), its replay up to a cut (crash-replay.c), and the images that the cut could
 * leave (crash-images.c).
 */
#ifndef MEDIA_CRASH_LOG_H
#define MEDIA_CRASH_LOG_H

#include <stdlib.h>

#include "media/crash.h"

#define UNIT           8u
#define UNITS_PER_LINE (CACHELINE / UNIT)

enum event_type { EVENT_STORE, EVENT_COPY, EVENT_ZERO, EVENT_FLUSH, EVENT_ORDER, EVENT_DRAIN, EVENT_MARK };

struct event {
	enum event_type type;
	unsigned thread;
	bool forgotten; /* a drain */
	uint32_t mark;
	uint64_t off, len;
	size_t bytes; /* what a store or copy stored: at this place in the log's bytes */
};

struct write {
	size_t event;
	uint8_t unit; /* of its line */
	bool single;
	uint64_t value; /* all bytes of the unit, with every earlier write of it and this one */
};

struct line {
	uint64_t number;
	size_t place; /* in replay.pending */
	struct write *writes;
	size_t nwrites, capacity;
	uint8_t latest[CACHELINE]; /* with all writes */
};

/* Writes that a later drain of the thread settles. */
struct promise {
	uint64_t first, last; /* lines */
	size_t event;         /* the flush: what came before; the copy: its own writes */
	bool flush;
};

struct promises {
	struct promise *list;
	size_t n, capacity;
};

struct replay {
	bool valid;
	size_t cut;
	struct line **lines;   /* by number; NULL: settled */
	struct line **pending; /* the others, in no order */
	size_t npending, pending_capacity;
	struct promises *of_thread;
	unsigned nthreads;
	struct promises of_all; /* ordered copies: anyone's drain */
};

struct crash {
	struct untorn_media m;
	int memory, start, durable_fd; /* memory files: what base shows, the start image, the replay's durable bytes */
	uint8_t *durable, *view;       /* durable_fd, shared and private */

	pthread_mutex_t lock; /* the memory and the log */
	bool recording;
	struct event *events;
	size_t nevents, events_capacity;
	uint8_t *bytes;
	size_t nbytes, bytes_capacity;
	_Atomic uint32_t perturb, turns;

	struct replay replay;
};

static inline struct crash *crash_of(const struct untorn_media *m)
{
	return (struct crash *)m->root;
}

/* A test that has no memory left ends. */
static inline void *crash_need(void *p)
{
	if (!p)
		abort();
	return p;
}

/* Make room for n more elements of size bytes. */
static inline void *crash_grow(void *p, size_t have, size_t n, size_t *capacity, size_t size)
{
	if (have + n <= *capacity)
		return p;
	*capacity = (have + n) * 2;
	return crash_need(realloc(p, *capacity * size));
}

/* A number that looks random. */
static inline uint64_t crash_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* crash-replay.c */

/* Bring the replay to the cut: onwards, or from the start when it is beyond it. 0, -ERANGE (no such cut) or -ENOMEM. */
int crash_replay_to(struct crash *c, size_t cut);

/* Start over next time. */
void crash_replay_reset(struct crash *c);

void crash_replay_free(struct crash *c);

/* Copy what is not zero in one memory file to another that is all zeros. */
int crash_copy_file(int to, int from);

/* All zeros again, whatever is mapped. */
int crash_empty_file(int fd, uint64_t size);

#endif
