/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Closing and pausing a gate. Once it is not open, a shard that was seen empty stays empty, but for those who come, see that it
 * is not, and leave; so looking at the shards one after the other is enough.
 *
 * The gate must outlive everybody who calls it: who leaves may still look at it when gate_close() has returned.
 */
#include "device/gate.h"

void gate_init(struct gate *gate)
{
	for (unsigned i = 0; i < GATE_SHARDS; i++)
		atomic_init(&gate->shards[i].inside, 0);
	atomic_init(&gate->state, GATE_OPEN);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
}

void gate_done(struct gate *gate)
{
	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
}

void gate_wake(struct gate *gate)
{
	/* With the lock, or the wake-up falls between looking at the count and starting to wait. */
	pthread_mutex_lock(&gate->lock);
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

bool gate_await(struct gate *gate)
{
	bool open;

	pthread_mutex_lock(&gate->lock);
	while (atomic_load(&gate->state) == GATE_PAUSED)
		pthread_cond_wait(&gate->changed, &gate->lock);
	open = atomic_load(&gate->state) == GATE_OPEN;
	pthread_mutex_unlock(&gate->lock);
	return open;
}

static void shut(struct gate *gate, enum gate_state state)
{
	pthread_mutex_lock(&gate->lock);
	atomic_store(&gate->state, state);
	for (unsigned i = 0; i < GATE_SHARDS; i++) {
		while (atomic_load(&gate->shards[i].inside) > 0)
			pthread_cond_wait(&gate->changed, &gate->lock);
	}
	pthread_mutex_unlock(&gate->lock);
}

void gate_close(struct gate *gate)
{
	shut(gate, GATE_CLOSED);
}

void gate_pause(struct gate *gate)
{
	shut(gate, GATE_PAUSED);
}

void gate_resume(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	atomic_store(&gate->state, GATE_OPEN);
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}
