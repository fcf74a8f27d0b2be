/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is certain after a power cut, and what is not.
 *
 * The replay walks the log from the start image and keeps
 *
 *   durable   the bytes that are certainly there at the cut
 *   lines     for each cache line that is not settled, its pending writes in log order; one write per 8-byte unit
 *
 * A drain settles writes: single stores by way of a flush of their line, copies directly. If a write is settled, so is what must
 * have come before it: earlier writes of its unit and, for a single store, earlier single stores of its line.
 */
#include <errno.h>
#include <unistd.h>

#include "media/crash-log.h"

/* The pending line of that number, now if need be. */
static struct line *pending_line(struct crash *c, uint64_t number)
{
	struct replay *r = &c->replay;
	struct line *l = r->lines[number];

	if (l)
		return l;
	l = crash_need(calloc(1, sizeof(*l)));
	l->number = number;
	l->place = r->npending;
	memcpy(l->latest, c->durable + number * CACHELINE, CACHELINE);
	r->pending = crash_grow(r->pending, r->npending, 1, &r->pending_capacity, sizeof(struct line *));
	r->pending[r->npending++] = l;
	r->lines[number] = l;
	return l;
}

static void free_line(struct crash *c, struct line *l)
{
	struct replay *r = &c->replay;

	r->pending[l->place] = r->pending[--r->npending];
	r->pending[l->place]->place = l->place;
	r->lines[l->number] = NULL;
	free(l->writes);
	free(l);
}

static const uint8_t zero_line[CACHELINE];

/* Add the writes of event number, a store of len bytes at off within one cache line, to that line. */
static void write_line(struct crash *c, size_t number, uint64_t off, const uint8_t *bytes, size_t len)
{
	const struct event *e = &c->events[number];
	uint64_t at = off % CACHELINE;
	struct line *l = c->replay.lines[off / CACHELINE];

	/* Bytes that do not change a settled line cannot be missed. In a pending line they say what came before them. */
	if (!l && memcmp(c->durable + off, bytes, len) == 0)
		return;
	l = pending_line(c, off / CACHELINE);
	memcpy(l->latest + at, bytes, len);
	for (uint64_t unit = at / UNIT; unit * UNIT < at + len; unit++) {
		struct write *w;

		l->writes = crash_grow(l->writes, l->nwrites, 1, &l->capacity, sizeof(*l->writes));
		w = &l->writes[l->nwrites++];
		*w = (struct write){.event = number, .unit = (uint8_t)unit, .single = e->type == EVENT_STORE};
		memcpy(&w->value, l->latest + unit * UNIT, UNIT);
	}
}

static void replay_write(struct crash *c, size_t number)
{
	const struct event *e = &c->events[number];
	uint64_t end = e->off + e->len, next;

	for (uint64_t off = e->off; off < end; off = next) {
		next = min_u64(round_down(off, CACHELINE) + CACHELINE, end);
		write_line(c, number, off, e->type == EVENT_ZERO ? zero_line : c->bytes + e->bytes + (off - e->off),
			   next - off);
	}
}

/* Settle the writes of a line that a drain which makes good promise p settles. */
static void settle_line(struct crash *c, struct line *l, const struct promise *p)
{
	size_t upto[UNITS_PER_LINE] = {0}; /* writes of the unit before this one are settled */
	size_t singles = 0, left = 0;      /* single stores before this one are settled */

	for (size_t i = 0; i < l->nwrites; i++) {
		const struct write *w = &l->writes[i];

		/* A line that is written back takes all single stores along, but not copies on their way past the cache. */
		if (p->flush ? w->event < p->event && w->single : w->event == p->event)
			upto[w->unit] = i + 1;
	}
	for (size_t i = 0; i < l->nwrites; i++)
		if (l->writes[i].single && i < upto[l->writes[i].unit])
			singles = i + 1;
	for (size_t i = 0; i < singles; i++)
		if (l->writes[i].single && i >= upto[l->writes[i].unit])
			upto[l->writes[i].unit] = i + 1;
	for (size_t i = 0; i < l->nwrites; i++) {
		const struct write *w = &l->writes[i];

		if (i < upto[w->unit])
			memcpy(c->durable + l->number * CACHELINE + w->unit * UNIT, &w->value, UNIT);
		else
			l->writes[left++] = *w;
	}
	l->nwrites = left;
	if (left == 0)
		free_line(c, l);
}

static void keep_promises(struct crash *c, struct promises *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct promise *p = &list->list[i];

		for (uint64_t number = p->first; number <= p->last; number++)
			if (c->replay.lines[number])
				settle_line(c, c->replay.lines[number], p);
	}
	list->n = 0;
}

static void add_promise(struct promises *list, struct promise p)
{
	list->list = crash_grow(list->list, list->n, 1, &list->capacity, sizeof(*list->list));
	list->list[list->n++] = p;
}

static struct promises *promises_of(struct replay *r, unsigned thread)
{
	if (thread >= r->nthreads) {
		r->of_thread = crash_need(realloc(r->of_thread, (thread + 1) * sizeof(*r->of_thread)));
		memset(r->of_thread + r->nthreads, 0, (thread + 1 - r->nthreads) * sizeof(*r->of_thread));
		r->nthreads = thread + 1;
	}
	return &r->of_thread[thread];
}

/* Its copies are anyone's to drain now; its flushes stay its own. */
static void order_copies(struct replay *r, struct promises *own)
{
	size_t left = 0;

	for (size_t i = 0; i < own->n; i++) {
		if (own->list[i].flush)
			own->list[left++] = own->list[i];
		else
			add_promise(&r->of_all, own->list[i]);
	}
	own->n = left;
}

static void replay_event(struct crash *c, size_t number)
{
	const struct event *e = &c->events[number];
	struct promises *own = promises_of(&c->replay, e->thread);
	struct promise p = {.event = number, .flush = e->type == EVENT_FLUSH};

	if (e->len) {
		p.first = e->off / CACHELINE;
		p.last = (e->off + e->len - 1) / CACHELINE;
	}
	switch (e->type) {
	case EVENT_STORE:
		replay_write(c, number);
		break;
	case EVENT_COPY:
	case EVENT_ZERO:
		replay_write(c, number);
		add_promise(own, p);
		break;
	case EVENT_FLUSH:
		add_promise(own, p);
		break;
	case EVENT_ORDER:
		order_copies(&c->replay, own);
		break;
	case EVENT_DRAIN:
		if (!e->forgotten) {
			keep_promises(c, own);
			keep_promises(c, &c->replay.of_all);
		}
		break;
	case EVENT_MARK:
		break;
	}
}

int crash_copy_file(int to, int from)
{
	uint8_t page[4096];
	off_t data, end = 0;

	while ((data = lseek(from, end, SEEK_DATA)) >= 0) {
		end = lseek(from, data, SEEK_HOLE);
		for (off_t off = data; off < end; off += (off_t)sizeof(page)) {
			if (pread(from, page, sizeof(page), off) != (ssize_t)sizeof(page))
				return -EIO;
			if (!is_zero(page, sizeof(page)) &&
			    pwrite(to, page, sizeof(page), off) != (ssize_t)sizeof(page))
				return -ENOMEM;
		}
	}
	return errno == ENXIO ? 0 : -errno;
}

int crash_empty_file(int fd, uint64_t size)
{
	return ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

void crash_replay_reset(struct crash *c)
{
	struct replay *r = &c->replay;

	while (r->npending > 0)
		free_line(c, r->pending[r->npending - 1]);
	for (unsigned i = 0; i < r->nthreads; i++)
		r->of_thread[i].n = 0;
	r->of_all.n = 0;
	r->valid = false;
}

void crash_replay_free(struct crash *c)
{
	struct replay *r = &c->replay;

	crash_replay_reset(c);
	for (unsigned i = 0; i < r->nthreads; i++)
		free(r->of_thread[i].list);
	free(r->of_thread);
	free(r->of_all.list);
	free(r->pending);
	free(r->lines);
}

int crash_replay_to(struct crash *c, size_t cut)
{
	struct replay *r = &c->replay;
	int ret;

	if (cut > c->nevents)
		return -ERANGE;
	if (!r->valid || r->cut > cut) {
		crash_replay_reset(c);
		if (!r->lines)
			r->lines = calloc(c->m.size / CACHELINE, sizeof(*r->lines));
		if (!r->lines)
			return -ENOMEM;
		ret = crash_empty_file(c->durable_fd, c->m.size);
		if (ret == 0)
			ret = crash_copy_file(c->durable_fd, c->start);
		if (ret < 0)
			return ret;
		r->valid = true;
		r->cut = 0;
	}
	for (; r->cut < cut; r->cut++)
		replay_event(c, r->cut);
	return 0;
}
