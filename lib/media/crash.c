/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory whose power can be cut anywhere: the memory and the log.
 *
 * The door (crash_copy() ... crash_store64()) changes the memory and appends to the log under one lock, so the log is one order
 * of all threads' operations, and the order in which their bytes met in memory.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "media/crash-log.h"

static unsigned this_thread(void)
{
	static _Atomic unsigned threads;
	static __thread unsigned number;

	if (!number)
		number = atomic_fetch_add(&threads, 1) + 1;
	return number;
}

static void perturb(struct crash *c)
{
	uint32_t seed = atomic_load_explicit(&c->perturb, memory_order_relaxed);
	uint64_t chance;

	if (!seed)
		return;
	chance = crash_mix((uint64_t)seed << 32 | atomic_fetch_add_explicit(&c->turns, 1, memory_order_relaxed));
	if (chance % 2)
		for (uint64_t n = chance / 2 % 4; n > 0; n--)
			sched_yield();
}

static void lock(struct crash *c)
{
	perturb(c);
	pthread_mutex_lock(&c->lock);
}

static void unlock(struct crash *c)
{
	pthread_mutex_unlock(&c->lock);
	perturb(c);
}

static struct event *append(struct crash *c, enum event_type type)
{
	struct event *e;

	c->events = crash_grow(c->events, c->nevents, 1, &c->events_capacity, sizeof(*c->events));
	e = &c->events[c->nevents++];
	*e = (struct event){.type = type, .thread = this_thread()};
	return e;
}

/* Log the range at p and, for stores, its bytes. */
static void append_range(struct crash *c, enum event_type type, const void *p, const void *bytes, size_t len)
{
	struct event *e;

	if (!c->recording || len == 0)
		return;
	e = append(c, type);
	e->off = (uint64_t)((const uint8_t *)p - c->m.base);
	e->len = len;
	if (bytes) {
		c->bytes = crash_grow(c->bytes, c->nbytes, len, &c->bytes_capacity, 1);
		memcpy(c->bytes + c->nbytes, bytes, len);
		e->bytes = c->nbytes;
		c->nbytes += len;
	}
}

static void crash_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	struct crash *c = crash_of(m);

	lock(c);
	append_range(c, EVENT_COPY, dst, src, len);
	memcpy(dst, src, len);
	unlock(c);
}

static void crash_zero(struct untorn_media *m, void *dst, size_t len)
{
	struct crash *c = crash_of(m);

	lock(c);
	append_range(c, EVENT_ZERO, dst, NULL, len);
	memset(dst, 0, len);
	unlock(c);
}

static void crash_flush(struct untorn_media *m, const void *p, size_t len)
{
	struct crash *c = crash_of(m);

	lock(c);
	append_range(c, EVENT_FLUSH, p, NULL, len);
	unlock(c);
}

static int crash_drain(struct untorn_media *m)
{
	struct crash *c = crash_of(m);

	lock(c);
	if (c->recording)
		append(c, EVENT_DRAIN);
	unlock(c);
	return 0;
}

static void crash_order(struct untorn_media *m)
{
	struct crash *c = crash_of(m);

	lock(c);
	if (c->recording)
		append(c, EVENT_ORDER);
	unlock(c);
}

static void crash_store32(struct untorn_media *m, le32 *p, uint32_t v)
{
	struct crash *c = crash_of(m);
	uint32_t raw = htole32(v);

	lock(c);
	append_range(c, EVENT_STORE, p, &raw, sizeof(raw));
	__atomic_store_n(&p->raw, raw, __ATOMIC_RELEASE);
	unlock(c);
}

static void crash_store64(struct untorn_media *m, le64 *p, uint64_t v)
{
	struct crash *c = crash_of(m);
	uint64_t raw = htole64(v);

	lock(c);
	append_range(c, EVENT_STORE, p, &raw, sizeof(raw));
	__atomic_store_n(&p->raw, raw, __ATOMIC_RELEASE);
	unlock(c);
}

void crash_media_mark(struct untorn_media *m, uint32_t mark)
{
	struct crash *c = crash_of(m);

	lock(c);
	if (c->recording)
		append(c, EVENT_MARK)->mark = mark;
	unlock(c);
}

void crash_media_perturb(struct untorn_media *m, uint32_t seed)
{
	struct crash *c = crash_of(m);

	atomic_store(&c->turns, 0);
	atomic_store(&c->perturb, seed);
}

size_t crash_media_events(const struct untorn_media *m)
{
	return crash_of(m)->nevents;
}

size_t crash_media_drains_before(const struct untorn_media *m, size_t cut)
{
	const struct crash *c = crash_of(m);
	size_t n = 0;

	for (size_t i = 0; i < cut && i < c->nevents; i++)
		n += c->events[i].type == EVENT_DRAIN;
	return n;
}

uint32_t crash_media_last_mark(const struct untorn_media *m, size_t cut)
{
	const struct crash *c = crash_of(m);

	for (size_t i = min_u64(cut, c->nevents); i > 0; i--)
		if (c->events[i - 1].type == EVENT_MARK)
			return c->events[i - 1].mark;
	return 0;
}

void crash_media_forget_drain(struct untorn_media *m, size_t n)
{
	struct crash *c = crash_of(m);
	size_t number = 0;

	for (size_t i = 0; i < c->nevents; i++) {
		struct event *e = &c->events[i];

		if (e->type != EVENT_DRAIN)
			continue;
		if (n == CRASH_ALL_DRAINS)
			e->forgotten = false;
		else if (number++ == n)
			e->forgotten = true;
	}
	c->replay.valid = false;
}

void crash_media_record(struct untorn_media *m)
{
	struct crash *c = crash_of(m);

	lock(c);
	crash_replay_reset(c);
	c->nevents = 0;
	c->nbytes = 0;
	if (crash_empty_file(c->start, c->m.size) < 0 || crash_copy_file(c->start, c->memory) < 0)
		abort();
	c->recording = true;
	unlock(c);
}

static void crash_destroy(struct untorn_media *m)
{
	struct crash *c = crash_of(m);
	uint8_t *maps[] = {c->m.base, c->durable, c->view};
	int fds[] = {c->memory, c->start, c->durable_fd};

	crash_replay_free(c);
	free(c->events);
	free(c->bytes);
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		if (maps[i])
			munmap(maps[i], c->m.size);
		if (fds[i] >= 0)
			close(fds[i]);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct media_ops crash_ops = {
	.copy = crash_copy,
	.zero = crash_zero,
	.flush = crash_flush,
	.drain = crash_drain,
	.order = crash_order,
	.store32 = crash_store32,
	.store64 = crash_store64,
	.destroy = crash_destroy,
};

static uint8_t *map_memory(int fd, uint64_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

int crash_media_new(uint64_t size, const void *image, enum untorn_media_kind kind, struct untorn_media **ret_media)
{
	const uint8_t *from = image;
	struct crash *c;

	if (!is_aligned(size, 4096) || size == 0)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	media_init_root(&c->m, &crash_ops, kind, false);
	pthread_mutex_init(&c->lock, NULL);
	c->m.size = size;
	c->memory = memfd_create("crash-memory", MFD_CLOEXEC);
	c->start = memfd_create("crash-start", MFD_CLOEXEC);
	c->durable_fd = memfd_create("crash-durable", MFD_CLOEXEC);
	if (c->memory < 0 || c->start < 0 || c->durable_fd < 0 || ftruncate(c->memory, (off_t)size) < 0 ||
	    ftruncate(c->durable_fd, (off_t)size) < 0)
		goto fail;
	c->m.base = map_memory(c->memory, size, MAP_SHARED);
	c->durable = map_memory(c->durable_fd, size, MAP_SHARED);
	c->view = map_memory(c->durable_fd, size, MAP_PRIVATE);
	if (!c->m.base || !c->durable || !c->view)
		goto fail;
	/* Only what is not zero: an image is mostly holes, and media are made by the thousand. */
	for (uint64_t off = 0; image && off < size; off += 4096)
		if (!is_zero(from + off, 4096))
			memcpy(c->m.base + off, from + off, 4096);
	*ret_media = &c->m;
	return 0;
fail:
	crash_destroy(&c->m);
	return -ENOMEM;
}
