/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gate: many pass through it at once, until it is closed for good; closing waits until all who are inside have left.
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

struct gate {
	struct gate_shard shards[GATE_SHARDS];
	_Atomic bool closed;
	pthread_mutex_t lock;
	pthread_cond_t left; /* with lock: a shard may have become empty */
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate); /* nobody is inside, or about to leave */

/* Once only. On return nobody is inside, and nobody gets in any more. Not from inside. */
void gate_close(struct gate *gate);

void gate_wake(struct gate *gate); /* for gate_leave() */

static inline void gate_leave(struct gate *gate, struct gate_shard *shard)
{
	if (atomic_fetch_sub(&shard->inside, 1) == 1 && unlikely(atomic_load(&gate->closed)))
		gate_wake(gate);
}

/*
 * The shard that gate_leave() takes, or NULL: closed. The count goes up before closed is looked at, and gate_close() does it the
 * other way round: one of the two sees the other.
 */
static inline struct gate_shard *gate_enter(struct gate *gate)
{
	struct gate_shard *shard = &gate->shards[(unsigned)sched_getcpu() % GATE_SHARDS];

	atomic_fetch_add(&shard->inside, 1);
	if (likely(!atomic_load(&gate->closed)))
		return shard;
	gate_leave(gate, shard);
	return NULL;
}

#endif
