/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A medium for tests whose power can be cut anywhere.
 *
 * Memory with a log: every store, flush, order and drain that goes through the door is recorded with its thread. Afterwards
 * the log yields the images that a power cut at any of its points could leave:
 *
 *   - what was stored, flushed and then drained by the same thread is there; a copy needs no flush, and after its thread's
 *     media_order() anybody's drain will do;
 *   - everything else may be there or not, per 8-byte unit for copies (any subset, any order), and per cache line, as a
 *     prefix of the stores in program order, for single stores; a line may also have left the cache early;
 *   - where writes meet in one 8-byte unit, a later one is there only on top of the earlier ones.
 *
 * The log is replayed from the image at the start of recording, so an image can be rebuilt from (log, cut, choice).
 *
 * Storing may happen in many threads at once. Looking at the log (everything that takes a cut) is for one thread, while
 * nobody stores.
 */
#ifndef MEDIA_CRASH_H
#define MEDIA_CRASH_H

#include "media/media.h"

/*
 * A crash medium of size bytes (a multiple of 4096), all zeros or a copy of image. The kind tells the code above whether
 * it is cacheline or page memory; the rules of survival are the same. Starts without recording.
 */
int crash_media_new(uint64_t size, const void *image, enum untorn_media_kind kind, struct untorn_media **ret_media);

/* Forget the log, take what is in memory now as durable, and record from here. */
void crash_media_record(struct untorn_media *m);

/*
 * Give up the processor at points chosen by seed around each operation from now on, so that threads meet in varied orders;
 * 0 ends it.
 */
void crash_media_perturb(struct untorn_media *m, uint32_t seed);

/* How many events are in the log: cuts 0..n are possible, cut k being after the first k events. */
size_t crash_media_events(const struct untorn_media *m);

/* How many of the first cut events are drains, forgotten ones included. */
size_t crash_media_drains_before(const struct untorn_media *m, size_t cut);

/* A number that a test puts into the log to say where it is ("write 3 acknowledged"); for crash_media_last_mark(). */
void crash_media_mark(struct untorn_media *m, uint32_t mark);

/* The last mark of this thread-independent log among the first cut events; 0 when there is none. */
uint32_t crash_media_last_mark(const struct untorn_media *m, size_t cut);

struct crash_budget {
	size_t exhaustive; /* enumerate all images when there are at most this many */
	size_t samples;    /* else: none, all, each alone, each missing, and this many random ones */
	uint32_t seed;
};

/*
 * Call fn with each image that a power cut after the first cut events could leave, up to the budget; no image twice in a
 * row, and none twice at all where all are enumerated. In "each alone, each missing" each is a cache line, or where more than
 * CRASH_GROUPS lines are undecided, one of that many runs of lines.
 *
 * image holds the medium's size and is fn's to change (recovery may run on it, see memory.h). id tells which image it is
 * and rebuilds it with crash_media_image(). Ends early when fn returns something other than 0 and returns that.
 *
 * Cuts in ascending order are cheap: the log is replayed once. -ERANGE: no such cut; -ENOMEM.
 */
int crash_media_foreach(struct untorn_media *m, size_t cut, const struct crash_budget *budget,
			int (*fn)(void *arg, uint8_t *image, uint64_t id), void *arg);

enum { CRASH_GROUPS = 64 };

/* Rebuild the image that foreach gave that id, with the same cut and budget, into ret_image. 0, -ERANGE or -ENOMEM. */
int crash_media_image(struct untorn_media *m, size_t cut, const struct crash_budget *budget, uint64_t id,
		      uint8_t *ret_image);

/*
 * Drop drain number n (0-based) of the log, as if the code had forgotten it: tests that prove that tests can fail.
 * CRASH_ALL_DRAINS brings all of them back.
 */
void crash_media_forget_drain(struct untorn_media *m, size_t n);

#define CRASH_ALL_DRAINS SIZE_MAX

#endif
