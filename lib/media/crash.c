/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory whose power can be cut anywhere: the log, its replay, and the images.
 *
 * The door (crash_copy() ... crash_store64()) changes the memory and appends to the log under one lock, so the log is one order
 * of all threads' operations, and the order in which their bytes met in memory.
 *
 * The replay walks the log from the start image and keeps
 *
 *   durable   the bytes that are certainly there at the cut
 *   lines     for each cache line that is not settled, its pending writes in log order; one write per 8-byte unit
 *
 * so that at each cut every image is "durable, and for each pending line one of its possible contents". A pending line's
 * possible contents are the results of the sets of its writes that respect two orders: single stores of a line reach the
 * medium in log order, and so do all writes of one unit. Everything else is free. Lines are independent of each other.
 *
 * A drain settles writes. If a write is settled, so is what must have come before it: earlier writes of its unit and,
 * for a single store, earlier single stores of its line.
 *
 * Images are private mappings of the durable bytes: giving fn the next one costs the pages that were changed, not the
 * size of the medium.
 */
#include "media/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

static struct crash *crash_of(const struct untorn_media *m)
{
	return (struct crash *)m->root;
}

/* A test that has no memory left ends. */
static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

/* Make room for n more elements of size bytes. */
static void *grow(void *p, size_t have, size_t n, size_t *capacity, size_t size)
{
	if (have + n <= *capacity)
		return p;
	*capacity = (have + n) * 2;
	return need(realloc(p, *capacity * size));
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* --------------------------------------------------- memory and log ------------------------------------------------------- */

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
	chance = mix((uint64_t)seed << 32 | atomic_fetch_add_explicit(&c->turns, 1, memory_order_relaxed));
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

	c->events = grow(c->events, c->nevents, 1, &c->events_capacity, sizeof(*c->events));
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
		c->bytes = grow(c->bytes, c->nbytes, len, &c->bytes_capacity, 1);
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

/* ------------------------------------------------------- replay ----------------------------------------------------------- */

/* The pending line of that number, now if need be. */
static struct line *pending_line(struct crash *c, uint64_t number)
{
	struct replay *r = &c->replay;
	struct line *l = r->lines[number];

	if (l)
		return l;
	l = need(calloc(1, sizeof(*l)));
	l->number = number;
	l->place = r->npending;
	memcpy(l->latest, c->durable + number * CACHELINE, CACHELINE);
	r->pending = grow(r->pending, r->npending, 1, &r->pending_capacity, sizeof(struct line *));
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

		l->writes = grow(l->writes, l->nwrites, 1, &l->capacity, sizeof(*l->writes));
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
	list->list = grow(list->list, list->n, 1, &list->capacity, sizeof(*list->list));
	list->list[list->n++] = p;
}

static struct promises *promises_of(struct replay *r, unsigned thread)
{
	if (thread >= r->nthreads) {
		r->of_thread = need(realloc(r->of_thread, (thread + 1) * sizeof(*r->of_thread)));
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

/* Copy what is not zero in one memory file to another that is all zeros. */
static int copy_file(int to, int from)
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

/* All zeros again, whatever is mapped. */
static int empty_file(int fd, uint64_t size)
{
	return ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static void clear_replay(struct crash *c)
{
	struct replay *r = &c->replay;

	while (r->npending > 0)
		free_line(c, r->pending[r->npending - 1]);
	for (unsigned i = 0; i < r->nthreads; i++)
		r->of_thread[i].n = 0;
	r->of_all.n = 0;
	r->valid = false;
}

/* Bring the replay to the cut: onwards, or from the start when it is beyond it. */
static int replay_to(struct crash *c, size_t cut)
{
	struct replay *r = &c->replay;
	int ret;

	if (cut > c->nevents)
		return -ERANGE;
	if (!r->valid || r->cut > cut) {
		clear_replay(c);
		if (!r->lines)
			r->lines = calloc(c->m.size / CACHELINE, sizeof(*r->lines));
		if (!r->lines)
			return -ENOMEM;
		ret = empty_file(c->durable_fd, c->m.size);
		if (ret == 0)
			ret = copy_file(c->durable_fd, c->start);
		if (ret < 0)
			return ret;
		r->valid = true;
		r->cut = 0;
	}
	for (; r->cut < cut; r->cut++)
		replay_event(c, r->cut);
	return 0;
}

/* ------------------------------------------------------- images ----------------------------------------------------------- */

/* One possible content of a line. */
struct content {
	uint64_t unit[UNITS_PER_LINE];
};

struct choice_line {
	const struct line *line;
	struct content none, all;
	struct content *contents; /* all possible ones, each once, when they are enumerated */
	size_t ncontents;
};

/* What the undecided lines of a cut may hold, and which images of it the budget asks for. */
struct choices {
	struct choice_line *lines;
	size_t n;
	bool exhaustive;
	size_t group; /* lines taken together in "each alone, each missing" */
	uint64_t images;
	uint64_t seed;
	uint64_t *values; /* room for what one unit may hold */
};

static size_t count_singles(const struct line *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nwrites; i++)
		n += l->writes[i].single;
	return n;
}

/*
 * What a unit may hold when exactly the first nsingles single stores of its line are there: the last of them that hit it
 * (at first: the durable bytes), or one of the copies that follow before the next one that is not there.
 */
static size_t unit_values(const struct choice_line *cl, unsigned unit, size_t nsingles, uint64_t *values)
{
	size_t n = 1, singles = 0;

	values[0] = cl->none.unit[unit];
	for (size_t i = 0; i < cl->line->nwrites; i++) {
		const struct write *w = &cl->line->writes[i];

		singles += w->single;
		if (w->unit != unit)
			continue;
		if (w->single && singles > nsingles)
			break;
		if (w->single)
			n = 0;
		if (n == 0 || w->value != values[n - 1])
			values[n++] = w->value;
	}
	return n;
}

/* How many sets of its writes may be there, or something above limit. */
static uint64_t count_sets(const struct choice_line *cl, uint64_t limit, uint64_t *values)
{
	size_t singles = count_singles(cl->line);
	uint64_t sum = 0;

	for (size_t k = 0; k <= singles && sum <= limit; k++) {
		uint64_t product = 1;

		for (unsigned unit = 0; unit < UNITS_PER_LINE && product <= limit; unit++)
			product *= unit_values(cl, unit, k, values);
		sum += product;
	}
	return sum;
}

static int compare_contents(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct content));
}

/* Fill in all possible contents, of which there are at most limit sets. */
static int enumerate_contents(struct choice_line *cl, uint64_t limit, uint64_t *values)
{
	size_t singles = count_singles(cl->line), n = 0, unique = 0;
	struct content *list = malloc(limit * sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t k = 0; k <= singles; k++) {
		size_t first = n;

		list[n++] = cl->none;
		/* Multiply what there is for this k by the values of one unit after the other. */
		for (unsigned unit = 0; unit < UNITS_PER_LINE; unit++) {
			size_t nvalues = unit_values(cl, unit, k, values), have = n - first;

			for (size_t v = nvalues; v-- > 0;) {
				for (size_t i = 0; i < have; i++) {
					list[first + v * have + i] = list[first + i];
					list[first + v * have + i].unit[unit] = values[v];
				}
			}
			n = first + nvalues * have;
		}
	}
	qsort(list, n, sizeof(*list), compare_contents);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || compare_contents(&list[unique - 1], &list[i]) != 0)
			list[unique++] = list[i];
	cl->contents = list;
	cl->ncontents = unique;
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	uint64_t x = ((const struct choice_line *)a)->line->number, y = ((const struct choice_line *)b)->line->number;

	return x < y ? -1 : x > y;
}

static void free_choices(struct choices *ch)
{
	for (size_t i = 0; i < ch->n; i++)
		free(ch->lines[i].contents);
	free(ch->lines);
	free(ch->values);
}

/* Enumerate all images if the budget allows. -E2BIG when there are more. */
static int enumerate_images(struct choices *ch, uint64_t limit)
{
	ch->images = 1;
	for (size_t i = 0; i < ch->n; i++) {
		uint64_t sets = count_sets(&ch->lines[i], limit, ch->values);
		int r;

		if (sets > limit)
			return -E2BIG;
		r = enumerate_contents(&ch->lines[i], sets, ch->values);
		if (r < 0)
			return r;
		ch->images *= ch->lines[i].ncontents;
		if (ch->images > limit)
			return -E2BIG;
	}
	return 0;
}

static int make_choices(struct crash *c, const struct crash_budget *budget, struct choices *ch)
{
	const struct replay *replay = &c->replay;
	size_t most = 0;
	int r;

	*ch = (struct choices){.n = replay->npending, .seed = mix(mix(budget->seed) + replay->cut)};
	ch->lines = calloc(ch->n + 1, sizeof(*ch->lines));
	if (!ch->lines) {
		ch->n = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < ch->n; i++) {
		struct choice_line *cl = &ch->lines[i];

		cl->line = replay->pending[i];
		memcpy(&cl->none, c->durable + cl->line->number * CACHELINE, CACHELINE);
		memcpy(&cl->all, cl->line->latest, CACHELINE);
		most = cl->line->nwrites > most ? cl->line->nwrites : most;
	}
	qsort(ch->lines, ch->n, sizeof(*ch->lines), compare_lines);
	ch->values = malloc((most + 1) * sizeof(*ch->values));
	if (!ch->values)
		return -ENOMEM;
	r = enumerate_images(ch, budget->exhaustive);
	ch->exhaustive = r == 0;
	if (r == -E2BIG) {
		ch->group = (ch->n + CRASH_GROUPS - 1) / CRASH_GROUPS;
		ch->images = 2 + 2 * ((ch->n + ch->group - 1) / ch->group) + budget->samples;
		r = 0;
	}
	return r;
}

static uint64_t next_random(uint64_t *state, uint64_t n)
{
	*state += 0x9e3779b97f4a7c15u;
	return mix(*state) % n;
}

/* Any set of a line's writes that may be there. */
static struct content random_content(const struct choices *ch, const struct choice_line *cl, uint64_t *state)
{
	size_t singles = next_random(state, count_singles(cl->line) + 1);
	struct content content;

	for (unsigned unit = 0; unit < UNITS_PER_LINE; unit++) {
		size_t n = unit_values(cl, unit, singles, ch->values);

		content.unit[unit] = ch->values[next_random(state, n)];
	}
	return content;
}

/* A random image: most lines there, most lines not, or as many torn as whole ones. */
static void random_image(const struct choices *ch, uint64_t id, struct content *ret)
{
	uint64_t state = mix(ch->seed + id);
	uint64_t there = next_random(&state, 9), torn = next_random(&state, 4);

	for (size_t i = 0; i < ch->n; i++) {
		const struct choice_line *cl = &ch->lines[i];

		if (next_random(&state, 4) < torn)
			ret[i] = random_content(ch, cl, &state);
		else
			ret[i] = next_random(&state, 8) < there ? cl->all : cl->none;
	}
}

/* The contents of the undecided lines in image number id. */
static void choose(const struct choices *ch, uint64_t id, struct content *ret)
{
	uint64_t groups = ch->exhaustive || !ch->n ? 0 : (ch->n + ch->group - 1) / ch->group;

	if (!ch->exhaustive && id >= 2 + 2 * groups) {
		random_image(ch, id, ret);
		return;
	}
	for (size_t i = 0; i < ch->n; i++) {
		const struct choice_line *cl = &ch->lines[i];

		if (ch->exhaustive) {
			ret[i] = cl->contents[id % cl->ncontents];
			id /= cl->ncontents;
		} else if (id < 2) {
			ret[i] = id == 0 ? cl->none : cl->all;
		} else {
			bool alone = id - 2 < groups, member = i / ch->group == (id - 2) % groups;

			ret[i] = alone == member ? cl->all : cl->none;
		}
	}
}

static void apply(const struct choices *ch, const struct content *contents, uint8_t *image)
{
	for (size_t i = 0; i < ch->n; i++)
		if (compare_contents(&contents[i], &ch->lines[i].none) != 0)
			memcpy(image + ch->lines[i].line->number * CACHELINE, &contents[i], CACHELINE);
}

int crash_media_foreach(struct untorn_media *m, size_t cut, const struct crash_budget *budget,
			int (*fn)(void *arg, uint8_t *image, uint64_t id), void *arg)
{
	struct crash *c = crash_of(m);
	struct content *now, *before, *swap;
	struct choices ch;
	int r;

	r = replay_to(c, cut);
	if (r < 0)
		return r;
	r = make_choices(c, budget, &ch);
	now = calloc(ch.n + 1, sizeof(*now));
	before = calloc(ch.n + 1, sizeof(*before));
	if (!now || !before)
		r = -ENOMEM;
	for (uint64_t id = 0; r == 0 && id < ch.images; id++) {
		choose(&ch, id, now);
		if (id > 0 && memcmp(now, before, ch.n * sizeof(*now)) == 0)
			continue;
		/* Drop what fn did to the last one: the private pages go, the durable bytes show again. */
		madvise(c->view, c->m.size, MADV_DONTNEED);
		apply(&ch, now, c->view);
		r = fn(arg, c->view, id);
		swap = now;
		now = before;
		before = swap;
	}
	free(now);
	free(before);
	free_choices(&ch);
	return r;
}

int crash_media_image(struct untorn_media *m, size_t cut, const struct crash_budget *budget, uint64_t id,
		      uint8_t *ret_image)
{
	struct crash *c = crash_of(m);
	struct content *contents;
	struct choices ch;
	int r;

	r = replay_to(c, cut);
	if (r < 0)
		return r;
	r = make_choices(c, budget, &ch);
	contents = calloc(ch.n + 1, sizeof(*contents));
	if (!contents)
		r = -ENOMEM;
	if (r == 0 && id >= ch.images)
		r = -ERANGE;
	if (r == 0) {
		choose(&ch, id, contents);
		memcpy(ret_image, c->durable, c->m.size);
		apply(&ch, contents, ret_image);
	}
	free(contents);
	free_choices(&ch);
	return r;
}

/* ------------------------------------------------------- life ------------------------------------------------------------- */

void crash_media_record(struct untorn_media *m)
{
	struct crash *c = crash_of(m);

	lock(c);
	clear_replay(c);
	c->nevents = 0;
	c->nbytes = 0;
	if (empty_file(c->start, c->m.size) < 0 || copy_file(c->start, c->memory) < 0)
		abort();
	c->recording = true;
	unlock(c);
}

static void crash_destroy(struct untorn_media *m)
{
	struct crash *c = crash_of(m);
	uint8_t *maps[] = {c->m.base, c->durable, c->view};
	int fds[] = {c->memory, c->start, c->durable_fd};

	clear_replay(c);
	for (unsigned i = 0; i < c->replay.nthreads; i++)
		free(c->replay.of_thread[i].list);
	free(c->replay.of_thread);
	free(c->replay.of_all.list);
	free(c->replay.pending);
	free(c->replay.lines);
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
