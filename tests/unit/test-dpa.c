/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map of dimm addresses against a model: an array with the owner of each byte. Random requests on few bytes and few owners meet
 * every way in which ranges can touch, overlap, split and join; after each the whole map is compared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"

#define BYTES  64u
#define OWNERS 3u /* 1, 2, 3; 0: free */
#define ROUNDS 40000u

struct fixture {
	struct dpa_map map;
	uint8_t model[BYTES];
	uint64_t seed;
};

static unsigned random_below(struct fixture *f, unsigned n)
{
	f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(f->seed >> 33) % n;
}

static const uint8_t *uuid_of(unsigned owner)
{
	static const uint8_t uuids[OWNERS + 2][UUID_LEN] = {{0}, {1}, {[UUID_LEN - 1] = 2}, {3, 3}, {4}};

	return uuids[owner];
}

static bool model_is(const struct fixture *f, unsigned start, unsigned size, unsigned owner)
{
	for (unsigned i = start; i < start + size; i++) {
		if (f->model[i] != owner)
			return false;
	}
	return true;
}

/* Where the run of equal owners that begins at i ends. */
static unsigned run_end(const struct fixture *f, unsigned i, unsigned end)
{
	unsigned j = i;

	while (j < end && f->model[j] == f->model[i])
		j++;
	return j;
}

static void check_ranges(const struct fixture *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < BYTES; i = run_end(f, i, BYTES)) {
		if (f->model[i] == 0)
			continue;
		assert_true(n < f->map.n);
		assert_int_equal(f->map.ranges[n].start, i);
		assert_int_equal(f->map.ranges[n].size, run_end(f, i, BYTES) - i);
		assert_memory_equal(f->map.ranges[n].uuid, uuid_of(f->model[i]), UUID_LEN);
		n++;
	}
	assert_int_equal(f->map.n, n);
}

static void check_free(const struct fixture *f, unsigned start, unsigned end)
{
	uint64_t pos = start, piece, size, sum = 0;

	for (unsigned i = start; i < end; i = run_end(f, i, end)) {
		if (f->model[i] != 0)
			continue;
		assert_true(dpa_next_free(&f->map, &pos, end, &piece, &size));
		assert_int_equal(piece, i);
		assert_int_equal(size, run_end(f, i, end) - i);
		assert_int_equal(pos, run_end(f, i, end));
		sum += size;
	}
	assert_false(dpa_next_free(&f->map, &pos, end, &piece, &size));
	assert_int_equal(dpa_free_size(&f->map, start, end - start), sum);
}

static void check_count(const struct fixture *f, unsigned start, unsigned end)
{
	for (unsigned owner = 1; owner <= OWNERS; owner++) {
		unsigned count = 0;

		for (unsigned i = start; i < end; i = run_end(f, i, end))
			count += f->model[i] == owner;
		assert_int_equal(dpa_count(&f->map, uuid_of(owner), start, end - start), count);
	}
}

static void step(struct fixture *f)
{
	unsigned start = random_below(f, BYTES), size = random_below(f, BYTES - start + 1);
	unsigned owner = 1 + random_below(f, OWNERS);

	if (random_below(f, 4) != 0)
		size = random_below(f, 9) % (BYTES - start + 1);
	switch (random_below(f, 8)) {
	case 0:
		dpa_release_all(&f->map, uuid_of(owner));
		start = 0;
		size = BYTES;
		break;
	case 1:
	case 2:
		assert_int_equal(dpa_release(&f->map, uuid_of(owner), start, size), 0);
		break;
	default:
		if (model_is(f, start, size, 0)) {
			assert_int_equal(dpa_reserve(&f->map, uuid_of(owner), start, size), 0);
			memset(f->model + start, (int)owner, size);
		} else {
			assert_int_equal(dpa_reserve(&f->map, uuid_of(owner), start, size), -EBUSY);
		}
		return;
	}
	for (unsigned i = start; i < start + size; i++) {
		if (f->model[i] == owner)
			f->model[i] = 0;
	}
}

static void test_model(void **state)
{
	struct fixture f = {.seed = 20};

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned start = random_below(&f, BYTES), end = start + random_below(&f, BYTES - start + 1);

		step(&f);
		check_ranges(&f);
		check_free(&f, start, end);
		check_free(&f, 0, BYTES);
		check_count(&f, start, end);
	}
	dpa_done(&f.map);
	assert_int_equal(f.map.n, 0);
}

static void test_rename(void **state)
{
	struct dpa_map map = {.n = 0};
	uint64_t pos = 0, start, size;

	(void)state;
	assert_int_equal(dpa_reserve(&map, uuid_of(1), 4096, 4096), 0);
	assert_int_equal(dpa_reserve(&map, uuid_of(2), 8192, 4096), 0);
	assert_int_equal(dpa_reserve(&map, uuid_of(1), 16384, 4096), 0);
	dpa_rename(&map, uuid_of(1), uuid_of(3));
	assert_int_equal(dpa_count(&map, uuid_of(1), 0, 32768), 0);
	assert_int_equal(dpa_count(&map, uuid_of(3), 0, 32768), 2);
	assert_int_equal(dpa_count(&map, uuid_of(2), 0, 32768), 1);
	assert_true(dpa_next_free(&map, &pos, 32768, &start, &size));
	assert_int_equal(start, 0);
	assert_int_equal(size, 4096);
	dpa_done(&map);
}

/* An empty map stays without memory, whatever is given back to it: its dimm may be gone. */
static void test_empty(void **state)
{
	struct dpa_map map = {.n = 0};

	(void)state;
	assert_int_equal(dpa_release(&map, uuid_of(1), 0, 4096), 0);
	dpa_release_all(&map, uuid_of(1));
	assert_null(map.ranges);
}

/* Sizes as large as they come. */
static void test_large(void **state)
{
	struct dpa_map map = {.n = 0};
	uint64_t top = UINT64_MAX - 4095, pos = 0, start, size;

	(void)state;
	assert_int_equal(dpa_reserve(&map, uuid_of(1), top - 4096, 4096), 0);
	assert_int_equal(dpa_reserve(&map, uuid_of(2), 0, top), -EBUSY);
	assert_int_equal(dpa_free_size(&map, 0, top), top - 4096);
	assert_true(dpa_next_free(&map, &pos, top, &start, &size));
	assert_false(dpa_next_free(&map, &pos, top, &start, &size));
	dpa_done(&map);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
