/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers and writers that meet at chosen steps.
 *
 * The engine is compiled into this test with a step at each access that another thread could see. Two threads, a writer and
 * a reader, run one at a time: the reader begins after a chosen step of the writer, stops at a chosen step of its own, the
 * writer goes on to a later step, and the reader ends there. All such schedules, or a random choice of them, are run. So what
 * happens rarely in free-running threads happens here every time:
 *
 *   - a read returns what the sector held at some moment of the read, whole: never a torn block, never older content;
 *   - a read that follows one that saw new content sees it too;
 *   - a flush that returns covers every write that was acknowledged before it began.
 *
 * The volume has two or three lanes, so that a freed block is written again at once.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "btt/arena.h"
#include "btt/commit.h"
#include "media/memory.h"
#include "spec.h"

/* --------------------------------------------------------- steps --------------------------------------------------------- */

static void step(void);
static void before_lock(pthread_mutex_t *lock);
static void after_store(const void *p);
static void before_copy(void);
static void after_order(void);
static void after_map_store(const void *p);
static void before_log(void);
static int cpu;

#define ATOMIC_STORE(p, v) (step(), (void)(*(p) = (v)), after_store((const void *)(p)), step())

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#define atomic_load_explicit(p, order)         (step(), *(p))
#define atomic_store_explicit(p, v, order)     ATOMIC_STORE(p, v)
#define atomic_fetch_add_explicit(p, v, order) ATOMIC_STORE(p, *(p) + (v))
#define atomic_fetch_sub_explicit(p, v, order) ATOMIC_STORE(p, *(p) - (v))
#define media_load32(p)                        (step(), media_load32(p))
#define media_store32(m, p, v)                 (step(), media_store32(m, p, v), after_map_store(p), step())
#define flog_slot_store(m, ...)                (before_log(), flog_slot_store(m, __VA_ARGS__))
#define media_copy(m, dst, src, len)           (before_copy(), step(), media_copy(m, dst, src, len), step())
#define media_zero(m, dst, len)                (before_copy(), step(), media_zero(m, dst, len), step())
#define media_order(m)                         (media_order(m), after_order())
#define media_drain(m)                         (after_order(), media_drain(m))
#define media_load(dst, src, len)              halves(dst, src, len)
#define pthread_mutex_lock(lock)               (before_lock(lock), pthread_mutex_lock(lock))
#define pthread_mutex_trylock(lock)            (before_lock(lock), pthread_mutex_trylock(lock))
#define sched_getcpu()                         (cpu)

/* A copy that stops half-way. */
static void halves(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len / 2);
	step();
	memcpy((uint8_t *)dst + len / 2, (const uint8_t *)src + len / 2, len - len / 2);
}

/* The files of the engine that touch what threads share. */
#include "btt/arena.c"
#include "btt/commit.c"
#include "btt/io.c"

#undef pthread_mutex_lock
#undef pthread_mutex_trylock
#undef media_load32
#undef media_load

/* -------------------------------------------------------- schedule ------------------------------------------------------- */

enum role { NOBODY, WRITER, READER };

static __thread enum role role;

/* Whose turn it is; the other waits. */
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_moved = PTHREAD_COND_INITIALIZER;
static enum role turn;

static void give_turn(enum role to)
{
	pthread_mutex_lock(&turn_lock);
	turn = to;
	pthread_cond_broadcast(&turn_moved);
	pthread_mutex_unlock(&turn_lock);
}

static void wait_turn(enum role whose)
{
	pthread_mutex_lock(&turn_lock);
	while (turn != whose)
		pthread_cond_wait(&turn_moved, &turn_lock);
	pthread_mutex_unlock(&turn_lock);
}

static struct schedule {
	unsigned begin;  /* the writer's step at which the reader begins */
	unsigned pause;  /* the reader's step at which it stops, once */
	unsigned resume; /* the writer's step at which it goes on and ends */

	unsigned writer_steps, reader_steps;
	bool writer_done, reader_paused, reader_done;
	bool reader_locks; /* it came to a lock: then the writer ends first */
} schedule;

static void step(void)
{
	struct schedule *s = &schedule;

	if (role == WRITER) {
		unsigned now = s->writer_steps++;

		if (now == s->begin || (now == s->resume && s->reader_paused)) {
			give_turn(READER);
			wait_turn(WRITER);
		}
	} else if (role == READER && s->reader_steps++ == s->pause && !s->writer_done) {
		s->reader_paused = true;
		give_turn(WRITER);
		wait_turn(READER);
	}
}

static void (*on_lock)(pthread_mutex_t *lock);

static void before_lock(pthread_mutex_t *lock)
{
	if (on_lock)
		on_lock(lock);
	if (role != READER)
		return;
	schedule.reader_locks = true;
	if (!schedule.writer_done) {
		schedule.resume = UINT32_MAX;
		schedule.reader_paused = true;
		give_turn(WRITER);
		wait_turn(READER);
	}
}

/* ----------------------------------------------------- version and copies ------------------------------------------------ */

static struct btt_arena *watched;
static __thread bool version_moved; /* and no order since */
static __thread bool copied;        /* the same */

/* A field of any stripe. */
static bool is_of_stripe(const void *p, size_t field)
{
	uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)watched->stripes);

	return off < STRIPES * sizeof(struct stripe) && off % sizeof(struct stripe) == field;
}

/* Non-temporal copies are ordered with nothing. A reader that sees the list must see the block. */
static void after_store(const void *p)
{
	if (!watched)
		return;
	version_moved |= is_of_stripe(p, offsetof(struct stripe, version));
	if (is_of_stripe(p, offsetof(struct stripe, staged)))
		assert_false(copied);
}

/* A reader that sees the copy must see the version. */
static void before_copy(void)
{
	if (!watched)
		return;
	assert_false(version_moved);
	copied = true;
}

static void after_order(void)
{
	version_moved = copied = false;
}

/* ------------------------------------------------------- map before log -------------------------------------------------- */

static const void *last_map_store;
static const void *stored_before_log;

static void after_map_store(const void *p)
{
	last_map_store = p;
}

static void before_log(void)
{
	stored_before_log = last_map_store;
}

/* --------------------------------------------------------- volume -------------------------------------------------------- */

#define SIZE   (512ull << 10)
#define SECTOR 64u /* internal blocks are small: a sector of 512 would do the same, slower */

#define FAR (STRIPES * MAP_LINE_ENTRIES) /* another line of sector 0's stripe */

static uint8_t *bytes;
static struct untorn_media *media;
static struct untorn_btt btt;
static struct btt_arena arena;

/* A volume in memory without open's demands on sizes. */
static void new_volume(uint32_t nfree)
{
	struct spec_arena a;
	struct btt_info info;
	struct spec_options options = {
		.major = 2,
		.external_lbasize = SECTOR,
		.internal_lbasize = SECTOR,
		.external_nlba = FAR + 1,
		.nfree = nfree,
	};

	memset(bytes, 0, SIZE);
	spec_make(bytes, SIZE, &options);
	a = spec_arena(bytes, 0);
	info = (struct btt_info){
		.geometry =
			{
				.external_lbasize = SECTOR,
				.external_nlba = a.external_nlba,
				.internal_lbasize = SECTOR,
				.internal_nlba = a.internal_nlba,
				.nfree = nfree,
				.dataoff = a.dataoff,
				.mapoff = a.mapoff,
				.logoff = a.logoff,
				.info2off = a.info2off,
			},
	};
	/* A pool may have sectors of any size. */
	assert_int_equal(arena_init(&arena, media, btt_profile(UNTORN_BTT_PMEMBLK), &info, 0), 0);
	assert_int_equal(arena_load(&arena), 0);
	btt = (struct untorn_btt){
		.media = media,
		.profile = arena.profile,
		.sector_size = SECTOR,
		.nlba = a.external_nlba,
		.narena = 1,
		.arenas = &arena,
	};
}

static void free_volume(void)
{
	arena_done(&arena);
}

/* Content number `stamp` of a sector: every byte says so. */
static void fill(uint8_t *sector, unsigned stamp)
{
	memset(sector, (int)stamp, SECTOR);
}

enum { TORN = -1, FAILED = -2 };

static int stamp_of(const uint8_t *sector)
{
	for (unsigned i = 1; i < SECTOR; i++)
		if (sector[i] != sector[0])
			return TORN;
	return sector[0];
}

static int read_stamp(uint64_t lba)
{
	uint8_t sector[SECTOR];

	return untorn_btt_read(&btt, lba, 1, sector, NULL) == 0 ? stamp_of(sector) : FAILED;
}

static void put_stamps(uint64_t lba, unsigned n, unsigned stamp, unsigned flags)
{
	uint8_t sectors[8 * SECTOR];

	for (unsigned i = 0; i < n; i++)
		fill(sectors + i * SECTOR, stamp);
	assert_int_equal(untorn_btt_write(&btt, lba, n, sectors, NULL, flags), 0);
}

/* ------------------------------------------------------ reads and writes ------------------------------------------------- */

/*
 * Sectors 0 and 1 share a map line, FAR has a line of its own on the same stripe, OTHER is on another stripe. before() puts
 * `old` everywhere in the way of its name; the writer then does something to sector 0, after which it holds `new`.
 */
#define OTHER 16

enum { OLDER = 1, OLD = 2, BETWEEN = 3, NEW = 4, STILL = 5 };

static void durable_old(void)
{
	put_stamps(0, 1, OLD, UNTORN_BTT_DURABLE);
	put_stamps(1, 1, STILL, UNTORN_BTT_DURABLE);
	put_stamps(FAR, 1, STILL, UNTORN_BTT_DURABLE);
}

static void buffered_old(void)
{
	put_stamps(0, 1, OLDER, UNTORN_BTT_DURABLE);
	put_stamps(FAR, 1, OLDER, UNTORN_BTT_DURABLE);
	put_stamps(1, 1, STILL, UNTORN_BTT_DURABLE);
	put_stamps(0, 1, OLD, 0);
}

/* FAR is behind sector 0 on the stripe's list. */
static void both_buffered(void)
{
	buffered_old();
	put_stamps(FAR, 1, STILL, 0);
	put_stamps(0, 1, OLD, 0);
}

/* Sector 0 is behind FAR on the list, and zeros lie below both. */
static void zeros_below(void)
{
	put_stamps(1, 1, STILL, UNTORN_BTT_DURABLE);
	assert_int_equal(untorn_btt_discard(&btt, 0, 1), 0);
	put_stamps(0, 1, OLD, 0);
	put_stamps(FAR, 1, STILL, 0);
}

static void write_durably(void)
{
	put_stamps(0, 1, NEW, UNTORN_BTT_DURABLE);
}

/* The freed block gets something else at once. */
static void write_twice(void)
{
	put_stamps(0, 1, BETWEEN, UNTORN_BTT_DURABLE);
	put_stamps(0, 1, NEW, UNTORN_BTT_DURABLE);
}

static void write_elsewhere_too(void)
{
	put_stamps(0, 1, NEW, UNTORN_BTT_DURABLE);
	put_stamps(OTHER, 1, 77, UNTORN_BTT_DURABLE);
	put_stamps(OTHER, 1, 78, UNTORN_BTT_DURABLE);
}

static void write_buffered(void)
{
	put_stamps(0, 1, NEW, 0);
}

static void write_buffered_twice(void)
{
	put_stamps(0, 1, BETWEEN, 0);
	put_stamps(0, 1, NEW, 0);
}

static void write_buffered_elsewhere_too(void)
{
	put_stamps(0, 1, NEW, 0);
	put_stamps(OTHER, 1, 77, 0);
	put_stamps(OTHER, 1, 78, 0);
}

static void flush_only(void)
{
	assert_int_equal(untorn_btt_flush(&btt), 0);
}

static void flush_and_write(void)
{
	assert_int_equal(untorn_btt_flush(&btt), 0);
	put_stamps(OTHER, 1, 77, UNTORN_BTT_DURABLE);
	put_stamps(OTHER, 1, 78, UNTORN_BTT_DURABLE);
}

static void discard(void)
{
	assert_int_equal(untorn_btt_discard(&btt, 0, 1), 0);
}

static void discard_and_write(void)
{
	assert_int_equal(untorn_btt_discard(&btt, 0, 1), 0);
	put_stamps(OTHER, 1, 77, 0);
	put_stamps(OTHER, 1, 78, 0);
}

static void discard_and_write_far(void)
{
	assert_int_equal(untorn_btt_discard(&btt, 0, 1), 0);
	put_stamps(OTHER, 1, 77, 0);
}

/* The lane that was before sector 0's on the list goes to another list. */
static void move_the_other(void)
{
	put_stamps(FAR, 1, STILL, 0);
	put_stamps(OTHER, 1, 77, 0);
}

static void write_most(void)
{
	uint8_t part[SECTOR];

	/* Two halves, so that a reader sees old, between, new. */
	fill(part, NEW);
	assert_int_equal(untorn_btt_pwrite(&btt, part, SECTOR - 1, 0, UNTORN_BTT_DURABLE), 0);
}

static const struct meeting {
	const char *name;
	void (*before)(void);
	void (*writer)(void);
	int ends_as; /* stamp of sector 0 afterwards */
	bool passes_between;
	bool part; /* all but the last byte */
} meetings[] = {
	{"durable over durable", durable_old, write_durably, NEW, false, false},
	{"durable twice", durable_old, write_twice, NEW, true, false},
	{"durable, then other sectors", durable_old, write_elsewhere_too, NEW, false, false},
	{"durable over buffered", buffered_old, write_durably, NEW, false, false},
	{"durable twice over buffered", buffered_old, write_twice, NEW, true, false},
	{"buffered over durable", durable_old, write_buffered, NEW, false, false},
	{"buffered over buffered", buffered_old, write_buffered, NEW, false, false},
	{"buffered twice over buffered", buffered_old, write_buffered_twice, NEW, true, false},
	{"buffered over buffered, then other sectors", buffered_old, write_buffered_elsewhere_too, NEW, false, false},
	{"buffered over two buffered", both_buffered, write_buffered, NEW, false, false},
	{"flush", buffered_old, flush_only, OLD, false, false},
	{"flush, then other sectors", both_buffered, flush_and_write, OLD, false, false},
	{"discard of durable", durable_old, discard, 0, false, false},
	{"discard of buffered", buffered_old, discard, 0, false, false},
	{"discard of one of two buffered", both_buffered, discard, 0, false, false},
	{"discard of one of two, then other sectors", both_buffered, discard_and_write_far, 0, false, false},
	{"discard, then other sectors", buffered_old, discard_and_write, 0, false, false},
	{"others on the list", zeros_below, move_the_other, OLD, false, false},
	{"part over durable", durable_old, write_most, TORN, false, true},
	{"part over buffered", buffered_old, write_most, TORN, false, true},
};

/* What the reader does: a sector, and the stamps it saw in two reads, or a question about zeros. */
static struct look {
	uint64_t lba;
	bool extent;
	uint8_t sector[2][SECTOR];
	int zero[2];
	int result[2];
} look;

static void *reader(void *arg)
{
	(void)arg;
	wait_turn(READER);
	role = READER;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t n;

		if (look.extent)
			look.result[i] = untorn_btt_extent(&btt, look.lba, 1, &n, &look.zero[i]);
		else
			look.result[i] = untorn_btt_read(&btt, look.lba, 1, look.sector[i], NULL);
	}
	role = NOBODY;
	schedule.reader_done = true;
	give_turn(WRITER);
	return NULL;
}

/* 0: old, 1: between, 2: new; -1: none of them. */
static int age_of(const struct meeting *m, const uint8_t *sector)
{
	uint8_t expected[SECTOR];

	fill(expected, OLD);
	if (memcmp(sector, expected, SECTOR) == 0)
		return m->ends_as == OLD ? 2 : 0;
	fill(expected, BETWEEN);
	if (m->passes_between && memcmp(sector, expected, SECTOR) == 0)
		return 1;
	if (m->part) {
		fill(expected, NEW);
		expected[SECTOR - 1] = OLD;
	} else {
		fill(expected, (unsigned)m->ends_as);
	}
	return memcmp(sector, expected, SECTOR) == 0 ? 2 : -1;
}

static void check_look(const struct meeting *m)
{
	int ages[2];

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(look.result[i], 0);
		/* Only what was discarded may look like zeros. */
		if (look.extent) {
			assert_true(!look.zero[i] || (look.lba == 0 && m->ends_as == 0));
			continue;
		}
		if (look.lba == FAR && m->before == buffered_old) {
			assert_int_equal(stamp_of(look.sector[i]), OLDER);
			continue;
		}
		if (look.lba != 0) {
			assert_int_equal(stamp_of(look.sector[i]), STILL);
			continue;
		}
		ages[i] = age_of(m, look.sector[i]);
		if (ages[i] < 0)
			print_error("read of sector 0: %s%d\n",
				    stamp_of(look.sector[i]) == TORN ? "torn, first byte " : "", look.sector[i][0]);
		assert_true(ages[i] >= 0);
	}
	if (look.lba == 0 && !look.extent)
		assert_true(ages[1] >= ages[0]);
}

/* One schedule, on a new volume. Returns how many steps the writer took. */
static unsigned meet(const struct meeting *m, uint64_t lba, bool extent, unsigned begin, unsigned pause,
		     unsigned resume)
{
	pthread_t thread;

	new_volume(m->before == both_buffered || m->before == zeros_below ? 3 : 2);
	watched = &arena;
	m->before();
	schedule = (struct schedule){.begin = begin, .pause = pause, .resume = resume};
	look = (struct look){.lba = lba, .extent = extent};
	turn = WRITER;
	assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
	role = WRITER;
	m->writer();
	role = NOBODY;
	schedule.writer_done = true;
	if (!schedule.reader_done) {
		give_turn(READER);
		wait_turn(WRITER);
	}
	pthread_join(thread, NULL);
	check_look(m);
	if (!m->part)
		assert_int_equal(read_stamp(0), m->ends_as);
	watched = NULL;
	free_volume();
	return schedule.writer_steps;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Each step of the reader with each later step of the writer, from a random step on where the reader may begin. */
static void meet_everywhere(const struct meeting *m, uint64_t lba, bool extent, uint32_t *random)
{
	unsigned writer_steps = meet(m, lba, extent, UINT32_MAX, UINT32_MAX, UINT32_MAX);
	unsigned reader_steps = schedule.reader_steps / 2;

	for (unsigned resume = 1; resume <= writer_steps; resume++)
		for (unsigned pause = 0; pause <= reader_steps; pause++)
			meet(m, lba, extent, next_random(random) % resume, pause, resume);
}

static void test_meetings(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(meetings); i++) {
		const struct meeting *m = &meetings[i];

		meet_everywhere(m, 0, false, &random);
		meet_everywhere(m, FAR, false, &random);
		if (m->before != both_buffered)
			meet_everywhere(m, 1, false, &random);
		if (!m->part)
			meet_everywhere(m, 0, true, &random);
		meet_everywhere(m, FAR, true, &random);
	}
}

/* ---------------------------------------------------------- flush -------------------------------------------------------- */

static int flush_result;

/* The sector's content as a reader of the medium finds it, flog and all. */
static int stamp_on_media(uint32_t lba)
{
	struct spec_facts facts;

	assert_null(spec_check(bytes, SIZE, 0, &facts));
	return stamp_of(spec_block(bytes, &facts.arena, lba, false));
}

static void *flush_and_look(void *arg)
{
	(void)arg;
	wait_turn(READER);
	role = READER;
	flush_result = untorn_btt_flush(&btt);
	role = NOBODY;
	look.result[0] = stamp_on_media(0);
	schedule.reader_done = true;
	give_turn(WRITER);
	return NULL;
}

/*
 * A sector is buffered in one lane group. While a flush looks whether there is anything to do, a second write supersedes it
 * through another group: there is something to do at every moment, and the flush must notice.
 */
static void test_flush_during_write(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		for (unsigned begin = 0; begin < 40; begin++) {
			for (unsigned pause = 0; pause < 4; pause++) {
				for (unsigned resume = begin + 1; resume < 40; resume++) {
					pthread_t thread;

					new_volume(64);
					assert_int_equal(arena.ngroups, 2);
					put_stamps(0, 1, OLDER, UNTORN_BTT_DURABLE);
					cpu = first;
					put_stamps(0, 1, OLD, 0);
					cpu = !first;
					schedule = (struct schedule){.begin = begin, .pause = pause, .resume = resume};
					turn = WRITER;
					assert_int_equal(pthread_create(&thread, NULL, flush_and_look, NULL), 0);
					role = WRITER;
					put_stamps(0, 1, NEW, 0);
					role = NOBODY;
					schedule.writer_done = true;
					if (!schedule.reader_done) {
						give_turn(READER);
						wait_turn(WRITER);
					}
					pthread_join(thread, NULL);
					assert_int_equal(flush_result, 0);
					assert_in_set((unsigned)look.result[0], ((const unsigned long[]){OLD, NEW}), 2);
					free_volume();
				}
			}
		}
	}
	cpu = 0;
}

/* ------------------------------------------------- what happens before a lock -------------------------------------------- */

static bool is_stripe_lock(const pthread_mutex_t *lock)
{
	return (uintptr_t)lock - (uintptr_t)arena.stripes < STRIPES * sizeof(struct stripe);
}

/* The volume fails, as from another thread's fault in mid-commit, when a call comes to its n-th lock. */
static unsigned locks_left;
static bool failed_at_stripe;

static void fail_at_lock(pthread_mutex_t *lock)
{
	if (locks_left == 0 || --locks_left > 0)
		return;
	arena.failed = true;
	failed_at_stripe = is_stripe_lock(lock);
}

static int durable_write(void)
{
	uint8_t sectors[3 * SECTOR];

	fill(sectors, NEW);
	fill(sectors + SECTOR, NEW);
	fill(sectors + 2 * SECTOR, NEW);
	return untorn_btt_write(&btt, 0, 3, sectors, NULL, UNTORN_BTT_DURABLE);
}

static int buffered_write(void)
{
	uint8_t sector[SECTOR];

	fill(sector, NEW);
	return untorn_btt_write(&btt, 0, 1, sector, NULL, 0);
}

static int partial_write(void)
{
	return untorn_btt_pwrite(&btt, "new", 3, 5, UNTORN_BTT_DURABLE);
}

static int flush(void)
{
	return untorn_btt_flush(&btt);
}

static int zero(void)
{
	return untorn_btt_write_zeroes(&btt, 0, 3);
}

static int mark(void)
{
	return untorn_btt_mark_error(&btt, 1);
}

/* Nothing may be built on a log that another thread left unknown, not even by those who were waiting for its locks. */
static void test_failure_while_waiting(void **state)
{
	static int (*const calls[])(void) = {durable_write, buffered_write, partial_write, flush, zero, mark};
	uint8_t *before = malloc(SIZE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (unsigned lock = 1;; lock++) {
			bool came_to_it;

			new_volume(4);
			put_stamps(0, 3, OLD, UNTORN_BTT_DURABLE);
			put_stamps(8, 1, OLD, 0);
			memcpy(before, bytes, SIZE);
			locks_left = lock;
			on_lock = fail_at_lock;
			int r = calls[i]();

			on_lock = NULL;
			came_to_it = locks_left == 0;
			assert_int_equal(r, came_to_it ? -EIO : 0);
			if (came_to_it) {
				/*
				 * While it waited for lanes, somebody may have logged one of them: not even a free block
				 * may change. Later its own lanes' blocks may.
				 */
				if (failed_at_stripe) {
					uint64_t data = arena.info.geometry.mapoff;

					assert_memory_equal(bytes + data, before + data, SIZE - data);
				} else {
					assert_memory_equal(bytes, before, SIZE);
				}
				assert_int_equal(read_stamp(0), OLD);
				assert_int_equal(read_stamp(8), OLD);
			}
			locks_left = 0;
			free_volume();
			if (!came_to_it) {
				assert_true(lock > 1);
				break;
			}
		}
	}
	free(before);
}

/*
 * On a full file system the first store into a hole of the map faults. It has to be tried before the log says that the sector
 * moved: afterwards there is no way back, and not even the next open could finish the write.
 */
static void test_map_before_log(void **state)
{
	(void)state;
	new_volume(4);
	last_map_store = stored_before_log = NULL;
	put_stamps(FAR, 1, NEW, UNTORN_BTT_DURABLE);
	assert_ptr_equal(stored_before_log, &arena.map[FAR]);
	last_map_store = stored_before_log = NULL;
	assert_int_equal(untorn_btt_pwrite(&btt, "x", 1, 5 * SECTOR, UNTORN_BTT_DURABLE), 0);
	assert_ptr_equal(stored_before_log, &arena.map[5]);
	/* A buffered write says so itself, not the flush. */
	last_map_store = NULL;
	put_stamps(16, 1, NEW, 0);
	assert_ptr_equal(last_map_store, &arena.map[16]);
	/* And changes nothing. */
	assert_int_equal(le32_get(arena.map[16]), 0);
	free_volume();
}

static unsigned locks_taken;

static void count_lock(pthread_mutex_t *lock)
{
	(void)lock;
	locks_taken++;
}

/* A flush with nothing to do does not wait for writers. */
static void test_idle_flush(void **state)
{
	(void)state;
	new_volume(64);
	on_lock = count_lock;
	locks_taken = 0;
	assert_int_equal(untorn_btt_flush(&btt), 0);
	assert_int_equal(locks_taken, 0);
	put_stamps(0, 1, OLD, UNTORN_BTT_DURABLE);
	locks_taken = 0;
	assert_int_equal(untorn_btt_flush(&btt), 0);
	assert_int_equal(locks_taken, 0);
	put_stamps(0, 1, OLD, 0);
	locks_taken = 0;
	assert_int_equal(untorn_btt_flush(&btt), 0);
	assert_true(locks_taken > 0);
	locks_taken = 0;
	assert_int_equal(untorn_btt_flush(&btt), 0);
	assert_int_equal(locks_taken, 0);
	on_lock = NULL;
	free_volume();
}

/*
 * A flush with more buffered sectors than one batch takes. While it waits for the first stripe, all of its first batch are
 * discarded.
 */
static uint32_t dropped[BATCH_MAX], ndropped;

static void discard_first_batch(pthread_mutex_t *lock)
{
	if (!is_stripe_lock(lock))
		return;
	on_lock = NULL;
	for (uint32_t i = 0; i < ndropped; i++)
		assert_int_equal(untorn_btt_discard(&btt, dropped[i], 1), 0);
}

static void test_flush_of_two_batches(void **state)
{
	enum { NFREE = 300 };
	uint32_t next[GROUPS_MAX];
	static struct batch first;

	(void)state;
	new_volume(NFREE);
	for (unsigned lba = 0; lba < NFREE; lba++)
		put_stamps(lba, 1, NEW, 0);
	first.arena = &arena;
	first.ngroups = arena.ngroups;
	for (uint32_t g = 0; g < arena.ngroups; g++)
		next[g] = arena.groups[g].next;
	gather(&first, LANE_STAGED, BATCH_MAX);
	assert_int_equal(first.n, BATCH_MAX);
	for (uint32_t g = 0; g < arena.ngroups; g++)
		arena.groups[g].next = next[g];
	for (ndropped = 0; ndropped < first.n; ndropped++)
		dropped[ndropped] = first.entry[ndropped].lba;

	on_lock = discard_first_batch;
	assert_int_equal(untorn_btt_flush(&btt), 0);
	assert_null(on_lock);
	for (uint32_t lba = 0; lba < NFREE; lba++) {
		bool is_dropped = false;

		for (uint32_t i = 0; i < ndropped; i++)
			is_dropped |= dropped[i] == lba;
		assert_int_equal(read_stamp(lba), is_dropped ? 0 : NEW);
		assert_int_equal(spec_map(bytes, &(struct spec_arena){.mapoff = arena.info.geometry.mapoff}, lba) >> 30,
				 is_dropped ? UNTORN_BTT_INITIAL : UNTORN_BTT_NORMAL);
	}
	free_volume();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meetings),
		cmocka_unit_test(test_flush_during_write),
		cmocka_unit_test(test_failure_while_waiting),
		cmocka_unit_test(test_map_before_log),
		cmocka_unit_test(test_idle_flush),
		cmocka_unit_test(test_flush_of_two_batches),
	};
	int failures;

	bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED || memory_media_wrap(bytes, SIZE, &media) < 0)
		return 1;
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	untorn_media_close(media);
	munmap(bytes, SIZE);
	return failures;
}
