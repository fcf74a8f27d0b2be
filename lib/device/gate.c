/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Closing a gate. Once closed is set, a shard that was seen empty stays empty, but for those who come, see that it is closed,
 * and leave; so looking at the shards one after the other is enough.
 *
 * The gate must outlive everybody who calls it: who leaves may still look at it when gate_close() has returned.
 */
#include "device/gate.h"

void gate_init(struct gate *gate)
{
	for (unsigned i = 0; i < GATE_SHARDS; i++)
		atomic_init(&gate->shards[i].inside, 0);
	atomic_init(&gate->closed, false);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->left, NULL);
}

void gate_done(struct gate *gate)
{
	pthread_cond_destroy(&gate->left);
	pthread_mutex_destroy(&gate->lock);
}

void gate_wake(struct gate *gate)
{
	/* With the lock, or the wake-up falls between looking at the count and starting to wait. */
	pthread_mutex_lock(&gate->lock);
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->lock);
}

void gate_close(struct gate *gate)
{
	atomic_store(&gate->closed, true);
	pthread_mutex_lock(&gate->lock);
	for (unsigned i = 0; i < GATE_SHARDS; i++) {
		while (atomic_load(&gate->shards[i].inside) > 0)
			pthread_cond_wait(&gate->left, &gate->lock);
	}
	pthread_mutex_unlock(&gate->lock);
}
