/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue of a bus: devices that are to appear, to vanish, or to be freed, and the one thread that does it in order.
 *
 * Attribute stores queue what they cannot do themselves, because they run inside the device that comes or goes. The thread holds no
 * lock when it starts on an item. Flushing waits until nothing is queued and nothing runs, what items queued included.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/bits.h"
#include "device/device.h"

static struct async_item *take_first(struct async *async)
{
	struct async_item *item = async->first;

	async->first = item->next;
	if (!async->first)
		async->last = &async->first;
	return item;
}

static void *async_main(void *arg)
{
	struct async *async = arg;

	pthread_mutex_lock(&async->lock);
	for (;;) {
		struct async_item *item;

		while (!async->first && !async->stop)
			pthread_cond_wait(&async->work, &async->lock);
		if (!async->first)
			break;
		item = take_first(async);
		async->busy = true;
		pthread_mutex_unlock(&async->lock);
		item->run(item); /* may free it */
		pthread_mutex_lock(&async->lock);
		async->busy = false;
		if (!async->first)
			pthread_cond_broadcast(&async->idle);
	}
	async->running = false;
	pthread_mutex_unlock(&async->lock);
	return NULL;
}

/* The program's signals are for its own threads. Faults must reach the thread that has them. */
static int create_thread(struct async *async)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
	sigset_t blocked, old;
	int r;

	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_BLOCK, &blocked, &old);
	r = -pthread_create(&async->thread, NULL, async_main, async);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int async_start(struct async *async)
{
	int r;

	pthread_mutex_init(&async->lock, NULL);
	pthread_cond_init(&async->work, NULL);
	pthread_cond_init(&async->idle, NULL);
	async->last = &async->first;
	async->running = true;
	r = create_thread(async);
	if (r < 0)
		async->running = false;
	return r;
}

void async_stop(struct async *async)
{
	pthread_mutex_lock(&async->lock);
	async->stop = true;
	pthread_cond_signal(&async->work);
	pthread_mutex_unlock(&async->lock);
	pthread_join(async->thread, NULL);
}

void async_queue(struct async *async, struct async_item *item, void (*run)(struct async_item *item))
{
	bool queued;

	item->run = run;
	item->next = NULL;
	pthread_mutex_lock(&async->lock);
	queued = async->running;
	if (queued) {
		*async->last = item;
		async->last = &item->next;
		pthread_cond_signal(&async->work);
	}
	pthread_mutex_unlock(&async->lock);
	if (!queued)
		run(item);
}

void async_flush(struct async *async)
{
	pthread_mutex_lock(&async->lock);
	while (async->first || async->busy)
		pthread_cond_wait(&async->idle, &async->lock);
	pthread_mutex_unlock(&async->lock);
}
