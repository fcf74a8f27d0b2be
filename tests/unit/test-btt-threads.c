/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many threads on one volume: durable and buffered writers, partial writers, discards, flushes and readers, on few sectors
 * so that they meet, and on many. Every sector that is read is whole; a writer that owns a sector reads what it wrote last; parts
 * of one sector that belong to different threads are never lost. Made for ThreadSanitizer as much as for itself.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "ram.h"

#define SIZE    (17ull << 20)
#define SECTOR  4096u
#define THREADS 4u
#define ROUNDS  4000u
#define PART    (SECTOR / THREADS)
#define PARTS   3u   /* sectors that the threads share by parts */
#define COMMON  4u   /* sectors that all threads write as a whole */
#define OWN     600u /* sectors that belong to one thread each */

struct shared {
	struct untorn_btt *btt;
	_Atomic uint32_t faults; /* cmocka's asserts are for the main thread */
};

struct thread {
	pthread_t id;
	struct shared *shared;
	uint32_t number;
	uint64_t random;
	uint32_t round;
	uint32_t own[OWN / THREADS]; /* what this thread wrote last, 0: nothing */
	uint32_t part[PARTS];
};

static void fault_if(struct thread *t, bool fault)
{
	if (fault)
		atomic_fetch_add(&t->shared->faults, 1);
}

static void fill(uint8_t *p, size_t len, uint32_t value)
{
	for (size_t i = 0; i < len; i += sizeof(value))
		memcpy(p + i, &value, sizeof(value));
}

static bool is_all(const uint8_t *p, size_t len, uint32_t value)
{
	for (size_t i = 0; i < len; i += sizeof(value))
		if (memcmp(p + i, &value, sizeof(value)) != 0)
			return false;
	return true;
}

static uint32_t next_value(struct thread *t)
{
	return ++t->round * THREADS + t->number;
}

static unsigned some_flags(struct thread *t)
{
	return random_below(&t->random, 2) ? UNTORN_BTT_DURABLE : 0;
}

/* Anybody's sector: whole, whoever wrote it, or zeros. */
static void use_common(struct thread *t)
{
	uint64_t lba = random_below(&t->random, COMMON);
	uint8_t sector[SECTOR];
	uint32_t first;

	switch (random_below(&t->random, 8)) {
	case 0:
		fault_if(t, untorn_btt_discard(t->shared->btt, lba, 1) != 0);
		break;
	case 1:
	case 2:
	case 3:
		fill(sector, SECTOR, next_value(t));
		fault_if(t, untorn_btt_write(t->shared->btt, lba, 1, sector, NULL, some_flags(t)) != 0);
		break;
	default:
		fault_if(t, untorn_btt_read(t->shared->btt, lba, 1, sector, NULL) != 0);
		memcpy(&first, sector, sizeof(first));
		fault_if(t, !is_all(sector, SECTOR, first));
	}
}

/* A part of a shared sector: the others write theirs meanwhile. */
static void use_part(struct thread *t)
{
	uint32_t n = (uint32_t)random_below(&t->random, PARTS);
	uint64_t off = (COMMON + n) * SECTOR + t->number * PART;
	uint8_t part[PART];

	fault_if(t, untorn_btt_pread(t->shared->btt, part, PART, off) != 0);
	fault_if(t, !is_all(part, PART, t->part[n]));
	t->part[n] = next_value(t);
	fill(part, PART, t->part[n]);
	fault_if(t, untorn_btt_pwrite(t->shared->btt, part, PART, off, some_flags(t)) != 0);
}

/* Requests of several sectors that nobody else writes. */
static void use_own(struct thread *t)
{
	uint32_t n = 1 + (uint32_t)random_below(&t->random, 20);
	uint32_t first = (uint32_t)random_below(&t->random, ARRAY_SIZE(t->own) - n);
	uint64_t lba = COMMON + PARTS + t->number * ARRAY_SIZE(t->own) + first;
	uint8_t *sectors = malloc((size_t)n * SECTOR);

	fault_if(t, untorn_btt_read(t->shared->btt, lba, n, sectors, NULL) != 0);
	for (uint32_t i = 0; i < n; i++) {
		fault_if(t, !is_all(sectors + (size_t)i * SECTOR, SECTOR, t->own[first + i]));
		t->own[first + i] = next_value(t);
		fill(sectors + (size_t)i * SECTOR, SECTOR, t->own[first + i]);
	}
	fault_if(t, untorn_btt_write(t->shared->btt, lba, n, sectors, NULL, some_flags(t)) != 0);
	free(sectors);
}

static void *work(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; i < ROUNDS * test_length(); i++) {
		use_common(t);
		use_part(t);
		if (i % 4 == 0)
			use_own(t);
		if (random_below(&t->random, 50) == 0)
			fault_if(t, untorn_btt_flush(t->shared->btt) != 0);
	}
	return NULL;
}

/* After a clean close everything is as each thread left it. */
static void look_afterwards(struct thread *threads, struct untorn_btt *btt)
{
	uint8_t sector[SECTOR];

	for (uint32_t n = 0; n < PARTS; n++) {
		assert_int_equal(untorn_btt_read(btt, COMMON + n, 1, sector, NULL), 0);
		for (uint32_t i = 0; i < THREADS; i++)
			assert_true(is_all(sector + (size_t)i * PART, PART, threads[i].part[n]));
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		for (uint32_t n = 0; n < ARRAY_SIZE(threads[i].own); n++) {
			uint64_t lba = COMMON + PARTS + i * ARRAY_SIZE(threads[i].own) + n;

			assert_int_equal(untorn_btt_read(btt, lba, 1, sector, NULL), 0);
			assert_true(is_all(sector, SECTOR, threads[i].own[n]));
		}
	}
}

static void run(enum untorn_btt_layout layout, uint64_t seed)
{
	const struct untorn_btt_format_options options = {.layout = layout, .sector_size = SECTOR};
	struct thread *threads = calloc(THREADS, sizeof(*threads));
	struct ram ram = ram_new(SIZE);
	struct shared shared = {0};

	assert_int_equal(untorn_btt_format(ram.media, &options), 0);
	assert_int_equal(untorn_btt_open(ram.media, NULL, &shared.btt), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		threads[i].shared = &shared;
		threads[i].number = i;
		threads[i].random = seed + i;
		assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	assert_int_equal(shared.faults, 0);
	assert_int_equal(untorn_btt_close(shared.btt), 0);

	assert_int_equal(untorn_btt_open(ram.media, NULL, &shared.btt), 0);
	look_afterwards(threads, shared.btt);
	assert_int_equal(untorn_btt_close(shared.btt), 0);
	ram_free(&ram);
	free(threads);
}

static void test_threads(void **state)
{
	uint64_t seed = test_seed(7);

	(void)state;
	run(UNTORN_BTT_V1_1, seed);
	run(UNTORN_BTT_V2_0, seed + 100);
	run(UNTORN_BTT_PMEMBLK, seed + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
