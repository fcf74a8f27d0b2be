/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one door to memory. Everything above reads the mapped bytes at base directly and stores only through the
 * functions below, so that a medium can be swapped: real memory (map.c), pieces of it (stitch.c), power cuts (crash.c),
 * faults (fault.c).
 *
 * Stores come in two kinds. copy() and zero() move bulk data: their bytes reach the medium in any order, in units of
 * 8 bytes, at any time until the next drain() of the calling thread. store32/64() are single atomic stores; those to one
 * cache line reach the medium in program order; across lines they need flush() and drain().
 *
 *     persist point = flush(every range that was stored to) + drain()
 *
 * drain() also waits for the copy() and zero() calls that the same thread made before it; they need no flush(). Before
 * another thread drains for them, media_order() hands them over.
 */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <untorn/media.h>

#include "base/bits.h"
#include "base/le.h"

#define CACHELINE 64u

struct media_ops {
	void (*copy)(struct untorn_media *m, void *dst, const void *src, size_t len);
	void (*zero)(struct untorn_media *m, void *dst, size_t len);
	void (*flush)(struct untorn_media *m, const void *p, size_t len);
	int (*drain)(struct untorn_media *m); /* 0 or -EIO; not sticky: media_drain() makes it so */
	void (*order)(
		struct untorn_media *m); /* for media that watch it, called beside the store fence; NULL: nothing */
	/* Single stores, for media that watch them; NULL: a plain atomic store. */
	void (*store32)(struct untorn_media *m, le32 *p, uint32_t v);
	void (*store64)(struct untorn_media *m, le64 *p, uint64_t v);
	/* Zero a large range cheaply and durably (hole punching), or -EOPNOTSUPP; offsets within the root. NULL: cannot. */
	int (*punch)(struct untorn_media *m, uint64_t off, uint64_t len);
	/* Holes; offsets within the root. NULL: not known. */
	int (*next_data)(struct untorn_media *m, uint64_t off, uint64_t *ret_data, uint64_t *ret_end);
	/* The root whose file byte *off lies in; *off becomes its offset there. NULL: the root itself. */
	struct untorn_media *(*locate)(struct untorn_media *m, uint64_t *off);
	void (*destroy)(struct untorn_media *m); /* of the root, when the last reference goes */
};

struct untorn_media {
	const struct media_ops *ops;
	uint8_t *base; /* the mapped bytes; stays put */
	uint64_t size; /* bytes, a multiple of 4096 */
	enum untorn_media_kind kind;
	bool read_only;

	struct untorn_media *root; /* a slice's root; a root's itself. The fields below are the root's */
	uint64_t root_off;         /* where base is in the root */
	_Atomic unsigned refs;     /* the root itself, and one per slice */
	_Atomic bool failed;       /* a data sync failed: nothing is durable any more */
	_Atomic uint64_t drains;   /* persist points so far */
	bool counts_drains;        /* not where a fence is cheaper than counting it */
	int fd;                    /* or -1 */
};

static inline void media_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	m->ops->copy(m, dst, src, len);
}

static inline void media_zero(struct untorn_media *m, void *dst, size_t len)
{
	m->ops->zero(m, dst, len);
}

static inline void media_flush(struct untorn_media *m, const void *p, size_t len)
{
	m->ops->flush(m, p, len);
}

/*
 * The persist point: everything flushed or copied by this thread is durable when it returns 0. -EIO otherwise, now and for
 * ever on this medium: after a failed sync the system may have dropped the data and a later sync would not know.
 */
int media_drain(struct untorn_media *m);

/*
 * Two orders that cost one store fence:
 *  - this thread's earlier ordinary stores are visible before its later copies, which may be non-temporal and are not
 *    ordered with ordinary stores otherwise;
 *  - this thread's earlier copies are visible before its later stores, and any thread's later drain makes them durable.
 */
void media_order(struct untorn_media *m);

static inline uint32_t media_load32(const le32 *p)
{
	return le32toh(__atomic_load_n(&p->raw, __ATOMIC_ACQUIRE));
}

static inline uint64_t media_load64(const le64 *p)
{
	return le64toh(__atomic_load_n(&p->raw, __ATOMIC_ACQUIRE));
}

static inline void media_store32(struct untorn_media *m, le32 *p, uint32_t v)
{
	if (unlikely(m->ops->store32))
		m->ops->store32(m, p, v);
	else
		__atomic_store_n(&p->raw, htole32(v), __ATOMIC_RELEASE);
}

static inline void media_store64(struct untorn_media *m, le64 *p, uint64_t v)
{
	if (unlikely(m->ops->store64))
		m->ops->store64(m, p, v);
	else
		__atomic_store_n(&p->raw, htole64(v), __ATOMIC_RELEASE);
}

/* Copy out bytes that another thread may be overwriting; the caller checks a version afterwards and drops torn copies. */
void media_load(void *dst, const void *src, size_t len);

/* As untorn_media_read(), but a hole is not loaded: it reads as zeros, and on tmpfs does not take up a page for it. */
int media_read_data(struct untorn_media *m, uint64_t off, void *buf, size_t len);

/*
 * Run fn(arg); when a load or store of m's memory faults in it, -EIO (or -ENOSPC: a hole on a full file system), else what
 * fn returned. fn is left by a jump: locks it took and state it changed are the caller's to look at afterwards, so fn
 * keeps them in *arg in volatile or atomic fields. fn must not call other libraries' stateful functions (malloc, stdio).
 * Nests: the innermost guard gets the fault.
 */
int media_guarded(struct untorn_media *m, int (*fn)(void *arg), void *arg);

/* For implementations of media: fill in a root. base and size are set by the caller. */
void media_init_root(struct untorn_media *m, const struct media_ops *ops, enum untorn_media_kind kind, bool read_only);

#endif
