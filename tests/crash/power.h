/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes whose power is cut, and the promises that every image left behind must keep:
 *
 *   - the invariants of SPEC 6.5 hold in the image as it is, and it opens;
 *   - each sector is exactly what one write made it, of those begun before the cut, and never one that was certainly over before
 *     another began that was acknowledged as durable. So: whole, not lost, not revived;
 *   - after recovery no lane is pending, writes work, and they are there after the next open;
 *   - a read-only open shows the same and changes nothing;
 *   - recovery and what follows it can be cut as well.
 *
 * A test makes a power, does things to its volume through power_write() and its like, which note what may be seen afterwards,
 * and then calls power_cut_everywhere().
 */
#ifndef TESTS_POWER_H
#define TESTS_POWER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <untorn/btt.h>

#include "media/crash.h"

struct power_kind {
	const char *name;
	enum untorn_btt_layout layout;
	uint32_t external_lbasize;
	uint64_t size;          /* of the medium */
	uint32_t nfree;         /* 256: formatted by the library; others by hand, Linux layouts only */
	uint32_t external_nlba; /* by hand: sectors */
	bool old_padding;       /* by hand: flog slots 0 and 2 */
};

enum power_op_type { POWER_WRITE, POWER_FLUSH, POWER_CLOSE };

/* One call, from its first to its last event in the log. */
struct power_op {
	enum power_op_type type;
	bool durable;      /* when it returns */
	size_t begin, end; /* events */
	size_t durable_at; /* event from which on it must be there, SIZE_MAX: never */
};

/* What one call made of one cell: a sector, or an equal part of one. */
struct power_entry {
	uint32_t cell, op;
	bool error;     /* error state */
	uint8_t *bytes; /* of the cell: data, and for a whole sector its metadata */
	bool allowed;   /* at the cut that is looked at */
};

struct power {
	const struct power_kind *kind;
	struct untorn_media *media;
	struct untorn_btt *btt;
	struct untorn_btt_info info;
	uint64_t base;
	uint32_t cells; /* of a sector */
	uint32_t cell_size;

	pthread_mutex_t lock; /* the history */
	struct power_op *ops;
	uint32_t nops, ops_capacity;
	struct power_entry *entries;
	uint32_t nentries, entries_capacity;
	uint64_t random;
	_Atomic uint64_t contents; /* so many were made */
	const char *_Atomic fault; /* a call that failed; constant text */
};

/*
 * An empty volume with `cells` cells per sector (1, or 2 where two threads write parts of one), open and not recorded yet. Aborts
 * when that fails.
 */
void power_new(struct power *p, const struct power_kind *kind, uint32_t cells, uint64_t seed);
void power_free(struct power *p);

/* From here on the power may be cut. What was written before is settled: old content. */
void power_record(struct power *p);

/* Calls; any thread. Contents are new each time. A call that fails is the power's fault. */
void power_write(struct power *p, uint32_t lba, uint32_t n, unsigned flags);
void power_write_part(struct power *p, uint32_t lba, uint32_t off, uint32_t len,
		      unsigned flags); /* one thread, one cell */
void power_write_cell(struct power *p, uint32_t lba, uint32_t part, unsigned flags);
void power_discard(struct power *p, uint32_t lba, uint32_t n);
void power_mark_error(struct power *p, uint32_t lba);
void power_flush(struct power *p);

/* One thread. */
void power_close(struct power *p);
void power_open(struct power *p);

/*
 * The power that stands before what a cut now, at the end of p's log, leaves of its volume: recorded, not open. What recovery
 * will make of it is old content. id 0: nothing undecided is there, so that what was not persisted is pending; 1: all is.
 */
void power_after_cut(struct power *p2, struct power *p, uint64_t id);

struct power_cuts {
	bool at_drains; /* only before each drain and at the end, else after each event */
	struct crash_budget budget;
	unsigned continue_every; /* write on after recovery in every so many images; 0: never */
	unsigned nested;         /* how many images in all are continued under a second power cut */
};

struct power_result {
	uint64_t cuts, images, violations;
	char first[512]; /* what the first one was: the cut, the image's id, the broken promise */
};

/* Look at all images. The volume need not be closed; it is not touched. */
void power_cut_everywhere(struct power *p, const struct power_cuts *cuts, struct power_result *ret_result);

/* Add up. */
void power_add(struct power_result *sum, const struct power_result *result);

#endif
