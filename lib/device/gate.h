/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gate: many pass through it at once, until it is closed for good; closing waits until all who are inside have left. Pausing
 * waits likewise, and keeps those who come waiting until it is over.
 *
 * Passing costs two atomic operations on a cache line that, as long as threads stay on their processors, nobody else has:
 * each processor counts in a shard of its own. Nobody who passes takes a lock or allocates.
 */
#ifndef DEVICE_GATE_H
#define DEVICE_GATE_H

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"

#define GATE_SHARDS     64u
#define GATE_SHARD_SIZE 128u /* two cache lines: processors prefetch pairs */

struct gate_shard {
	alignas(GATE_SHARD_SIZE) _Atomic unsigned inside;
};

enum gate_state { GATE_OPEN, GATE_PAUSED, GATE_CLOSED };

struct gate {
	struct gate_shard shards[GATE_SHARDS];
	_Atomic enum gate_state state; /* changes under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* with lock: a shard may have become empty, or the gate is open again */
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate); /* nobody is inside, or about to leave */

/* Once only. On return nobody is inside, and nobody gets in any more. Not from inside. */
void gate_close(struct gate *gate);

/* On return nobody is inside, and nobody gets in until gate_resume(). One at a time, not from inside, and not with gate_close(). */
void gate_pause(struct gate *gate);
void gate_resume(struct gate *gate);

void gate_wake(struct gate *gate);  /* for gate_leave() */
bool gate_await(struct gate *gate); /* for gate_enter(): wait while it is paused; false: it is closed */

static inline void gate_leave(struct gate *gate, struct gate_shard *shard)
{
	if (atomic_fetch_sub(&shard->inside, 1) == 1 && unlikely(atomic_load(&gate->state) != GATE_OPEN))
		gate_wake(gate);
}

/*
 * The shard that gate_leave() takes, or NULL: closed. The count goes up before the state is looked at, and gate_close() does it the
 * other way round: one of the two sees the other.
 */
static inline struct gate_shard *gate_enter(struct gate *gate)
{
	do {
		struct gate_shard *shard = &gate->shards[(unsigned)sched_getcpu() % GATE_SHARDS];

		atomic_fetch_add(&shard->inside, 1);
		if (likely(atomic_load(&gate->state) == GATE_OPEN))
			return shard;
		gate_leave(gate, shard);
	} while (gate_await(gate));
	return NULL;
}

#endif
