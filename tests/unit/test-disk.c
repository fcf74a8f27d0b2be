/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disks by themselves: raw ones against the bytes of their medium, sectors with metadata at their stride, btt disks against the
 * volume, bounds, read-only, and what is left of a disk when its device is unbound.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"
#include "ram.h"

#define SIZE (17ull << 20)

static struct untorn_disk *new_disk(const char *name, const struct disk_source *source)
{
	struct untorn_disk *disk;

	assert_int_equal(disk_new(name, source, &disk), 0);
	return disk;
}

static struct untorn_disk *new_raw(const struct ram *ram)
{
	const struct disk_source source = {.media = ram->media, .size = ram->size, .logical = 512, .stride = 512};

	return new_disk("pmem0", &source);
}

static void fill(uint8_t *p, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i * 7);
}

/* ------------------------------------------------------------------- raw -------------------------------------------------- */

static void test_raw(void **state)
{
	struct ram ram = ram_new(1 << 20);
	struct untorn_disk *disk = new_raw(&ram);
	uint8_t data[1000], seen[1000], *other = ram.bytes + 5000;
	struct untorn_disk_info info;

	(void)state;
	untorn_disk_get_info(disk, &info);
	assert_string_equal(info.name, "pmem0");
	assert_int_equal(info.size, ram.size);
	assert_int_equal(info.logical, 512);
	assert_int_equal(info.physical, 4096);
	assert_false(info.read_only);
	assert_false(info.is_btt);

	fill(data, sizeof(data), 3);
	assert_int_equal(untorn_disk_pwrite(disk, data, sizeof(data), 4001, 0), 0);
	assert_memory_equal(ram.bytes + 4001, data, sizeof(data));
	assert_int_equal(ram.bytes[4000], 0);
	assert_int_equal(other[1], 0);
	fill(other, 1000, 9);
	assert_int_equal(untorn_disk_pread(disk, seen, sizeof(seen), 5000), 0);
	assert_memory_equal(seen, other, sizeof(seen));
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 10, 5001, UNTORN_BTT_DURABLE), 0);
	assert_int_equal(other[0], 9);
	assert_true(is_zero(other + 1, 10));
	assert_int_equal(other[11], (uint8_t)(9 + 77));
	assert_int_equal(untorn_disk_flush(disk), 0);

	disk_end(disk);
	disk_put(disk);
	ram_free(&ram);
}

static void test_bounds(void **state)
{
	struct ram ram = ram_new(1 << 20);
	const struct disk_source source = {.media = ram.media, .size = 8192, .logical = 4096, .stride = 4096};
	struct untorn_disk *disk = new_disk("pmem1.2", &source);
	uint64_t before = ram_sum(&ram);
	uint8_t byte = 1;

	(void)state;
	assert_int_equal(untorn_disk_pread(disk, &byte, 1, 8192), -ERANGE);
	assert_int_equal(untorn_disk_pread(disk, &byte, 1, UINT64_MAX), -ERANGE);
	assert_int_equal(untorn_disk_pread(disk, &byte, 0, 8193), -ERANGE);
	assert_int_equal(untorn_disk_pread(disk, &byte, 0, 8192), 0);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 8192, 0), -ERANGE);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, SIZE_MAX, 1, 0), -ERANGE);
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 2, 8191, 0), -ERANGE);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 0, 1u << 20), -EINVAL);
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 1, 0, 1u << 20), -EINVAL);
	assert_int_equal(ram_sum(&ram), before);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 8191, 0), 0);
	assert_int_equal(ram.bytes[8191], 1);

	disk_end(disk);
	disk_put(disk);
	ram_free(&ram);
}

/* 520-byte sectors lie 576 bytes apart, and only their 512 data bytes can be reached. */
static void test_stride(void **state)
{
	struct ram ram = ram_new(1 << 20);
	const uint64_t nsector = ram.size / 576;
	const struct disk_source source = {.media = ram.media, .size = nsector * 512, .logical = 512, .stride = 576};
	struct untorn_disk *disk = new_disk("ndblk0.0", &source);
	uint8_t data[1200], seen[1200];

	(void)state;
	memset(ram.bytes, 0xee, ram.size);
	fill(data, sizeof(data), 1);
	/* 112 bytes of sector 1, sectors 2 and 3, 64 bytes of sector 4. */
	assert_int_equal(untorn_disk_pwrite(disk, data, sizeof(data), 512 + 400, 0), 0);
	assert_memory_equal(ram.bytes + 576 + 400, data, 112);
	assert_memory_equal(ram.bytes + 2 * 576, data + 112, 512);
	assert_memory_equal(ram.bytes + 3 * 576, data + 624, 512);
	assert_memory_equal(ram.bytes + 4 * 576, data + 1136, 64);
	for (unsigned i = 1; i < 4; i++)
		for (unsigned j = 512; j < 576; j++)
			assert_int_equal(ram.bytes[i * 576 + j], 0xee);
	assert_int_equal(untorn_disk_pread(disk, seen, sizeof(seen), 512 + 400), 0);
	assert_memory_equal(seen, data, sizeof(data));

	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 600, 2 * 512 - 8, 0), 0);
	assert_true(is_zero(ram.bytes + 576 + 504, 8));
	assert_true(is_zero(ram.bytes + 2 * 576, 512));
	assert_int_equal(ram.bytes[2 * 576 + 512], 0xee);
	assert_true(is_zero(ram.bytes + 3 * 576, 80));
	assert_int_equal(ram.bytes[3 * 576 + 80], data[624 + 80]);

	assert_int_equal(untorn_disk_pwrite(disk, data, 1, nsector * 512 - 1, 0), 0);
	assert_int_equal(ram.bytes[(nsector - 1) * 576 + 511], data[0]);
	assert_int_equal(untorn_disk_pwrite(disk, data, 1, nsector * 512, 0), -ERANGE);

	disk_end(disk);
	disk_put(disk);
	ram_free(&ram);
}

/* ------------------------------------------------------------------- btt -------------------------------------------------- */

static struct untorn_btt *new_volume(struct ram *ram, uint32_t sector_size)
{
	const struct untorn_btt_format_options options = {.layout = UNTORN_BTT_V2_0, .sector_size = sector_size};
	struct untorn_btt *volume;

	assert_int_equal(untorn_btt_format(ram->media, &options), 0);
	assert_int_equal(untorn_btt_open(ram->media, NULL, &volume), 0);
	return volume;
}

static struct untorn_disk *new_btt_disk(struct untorn_btt *volume)
{
	struct untorn_btt_info info;

	untorn_btt_get_info(volume, &info);

	const struct disk_source source = {.volume = volume, .size = info.size, .logical = info.sector_size};

	return new_disk("pmem0s", &source);
}

static void test_btt(void **state)
{
	struct ram ram = ram_new(SIZE);
	struct untorn_btt *volume = new_volume(&ram, 8192);
	struct untorn_disk *disk = new_btt_disk(volume);
	uint8_t data[10000], seen[10000], zeros[8192] = {0};
	struct untorn_disk_info info;

	(void)state;
	untorn_disk_get_info(disk, &info);
	assert_true(info.is_btt);
	assert_int_equal(info.logical, 8192);
	assert_int_equal(info.physical, 8192);

	fill(data, sizeof(data), 5);
	assert_int_equal(untorn_disk_pwrite(disk, data, sizeof(data), 8000, 0), 0);
	assert_int_equal(untorn_btt_pread(volume, seen, sizeof(seen), 8000), 0);
	assert_memory_equal(seen, data, sizeof(data));
	assert_int_equal(untorn_disk_flush(disk), 0);
	assert_int_equal(untorn_disk_pread(disk, seen, sizeof(seen), 8000), 0);
	assert_memory_equal(seen, data, sizeof(data));
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 8192, 8192, UNTORN_BTT_DURABLE), 0);
	assert_int_equal(untorn_btt_read(volume, 1, 1, seen, NULL), 0);
	assert_memory_equal(seen, zeros, sizeof(zeros));
	assert_int_equal(untorn_disk_pwrite(disk, data, 2, info.size - 1, 0), -ERANGE);

	disk_end(disk);
	disk_put(disk);
	assert_int_equal(untorn_btt_close(volume), 0);
	ram_free(&ram);
}

/* ------------------------------------------------------------------- read-only -------------------------------------------- */

static void test_read_only(void **state)
{
	struct ram ram = ram_new(1 << 20);
	struct untorn_disk *disk = new_raw(&ram);
	uint64_t before = ram_sum(&ram);
	struct untorn_disk_info info;
	uint8_t byte = 7;

	(void)state;
	disk_set_read_only(disk, true);
	untorn_disk_get_info(disk, &info);
	assert_true(info.read_only);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 0, 0), -EROFS);
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 1, 0, 0), -EROFS);
	assert_int_equal(ram_sum(&ram), before);
	assert_int_equal(untorn_disk_flush(disk), 0);
	assert_int_equal(untorn_disk_pread(disk, &byte, 1, 0), 0);
	disk_set_read_only(disk, false);
	assert_int_equal(untorn_disk_pwrite(disk, "x", 1, 0, 0), 0);
	/* Refused writes have left the gate, or this would not return. */
	disk_end(disk);
	disk_put(disk);

	const struct disk_source source = {
		.media = ram.media,
		.size = ram.size,
		.logical = 512,
		.stride = 512,
		.read_only = true,
		.never_writes = true,
	};

	disk = new_disk("pmem0", &source);
	disk_set_read_only(disk, false);
	untorn_disk_get_info(disk, &info);
	assert_true(info.read_only);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 0, 0), -EROFS);
	disk_end(disk);
	disk_put(disk);
	ram_free(&ram);
}

/* Threads write while it becomes read-only: what they were told was written is what there is, and then nothing more is. */

#define THREADS 3u

struct writer {
	pthread_t id;
	struct untorn_disk *disk;
	unsigned number;
	_Atomic unsigned written; /* the content that was acknowledged last */
	int r;
};

static void *write_until_refused(void *arg)
{
	struct writer *w = arg;
	unsigned sector[1024];

	for (unsigned n = 1;; n++) {
		for (unsigned i = 0; i < 1024; i++)
			sector[i] = n;
		w->r = untorn_disk_pwrite(w->disk, sector, sizeof(sector), w->number * sizeof(sector), 0);
		if (w->r < 0)
			return NULL;
		atomic_store(&w->written, n);
	}
}

static void test_read_only_under_load(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct ram ram = ram_new(SIZE);
		struct untorn_btt *volume = round % 2 ? new_volume(&ram, 4096) : NULL;
		struct untorn_disk *disk = volume ? new_btt_disk(volume) : new_raw(&ram);
		struct writer writers[THREADS] = {0};
		unsigned sector[1024];
		uint64_t sum;

		for (unsigned i = 0; i < THREADS; i++) {
			writers[i].disk = disk;
			writers[i].number = i;
			assert_int_equal(pthread_create(&writers[i].id, NULL, write_until_refused, &writers[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			while (atomic_load(&writers[i].written) < 3)
				sched_yield();
		}
		disk_set_read_only(disk, true);
		sum = ram_sum(&ram);
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_join(writers[i].id, NULL);
			assert_int_equal(writers[i].r, -EROFS);
			assert_int_equal(untorn_disk_pread(disk, sector, sizeof(sector), i * sizeof(sector)), 0);
			assert_int_equal(sector[0], atomic_load(&writers[i].written));
			assert_int_equal(sector[1023], sector[0]);
		}
		assert_true(ram_sum(&ram) == sum);
		disk_end(disk);
		disk_put(disk);
		assert_int_equal(untorn_btt_close(volume), 0);
		ram_free(&ram);
	}
}

/* ------------------------------------------------------------------- another volume --------------------------------------- */

struct reader {
	pthread_t id;
	struct untorn_disk *disk;
	_Atomic unsigned rounds;
	_Atomic bool stop;
	unsigned faults;
};

static void *read_until_stopped(void *arg)
{
	struct reader *reader = arg;
	uint8_t sector[4096];

	while (!atomic_load(&reader->stop)) {
		struct untorn_disk_info info;

		reader->faults += untorn_disk_pread(reader->disk, sector, sizeof(sector), 0) != 0 || sector[7] != 5;
		reader->faults += untorn_disk_flush(reader->disk) != 0;
		untorn_disk_get_info(reader->disk, &info);
		reader->faults += !info.is_btt;
		atomic_fetch_add(&reader->rounds, 1);
	}
	return NULL;
}

/* The volume of before may be closed at once, whoever reads. */
static void test_set_volume(void **state)
{
	struct ram ram = ram_new(SIZE);
	struct untorn_btt *volume = new_volume(&ram, 4096);
	struct untorn_disk *disk = new_btt_disk(volume);
	struct reader readers[THREADS] = {0};
	uint8_t sector[4096];

	(void)state;
	memset(sector, 5, sizeof(sector));
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 0, UNTORN_BTT_DURABLE), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		readers[i].disk = disk;
		assert_int_equal(pthread_create(&readers[i].id, NULL, read_until_stopped, &readers[i]), 0);
	}
	for (unsigned round = 0; round < 50; round++) {
		unsigned before = atomic_load(&readers[round % THREADS].rounds);
		struct untorn_btt *next;

		assert_int_equal(untorn_btt_open(ram.media, NULL, &next), 0);
		disk_set_volume(disk, next);
		assert_int_equal(untorn_btt_close(volume), 0);
		volume = next;
		while (atomic_load(&readers[round % THREADS].rounds) < before + 2)
			sched_yield();
	}
	for (unsigned i = 0; i < THREADS; i++)
		atomic_store(&readers[i].stop, true);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(readers[i].id, NULL);
		assert_int_equal(readers[i].faults, 0);
	}
	assert_int_equal(untorn_disk_pwrite(disk, sector, 1, 0, 0), 0);
	disk_end(disk);
	disk_put(disk);
	assert_int_equal(untorn_btt_close(volume), 0);
	ram_free(&ram);
}

/* ------------------------------------------------------------------- the end ---------------------------------------------- */

static void test_end(void **state)
{
	struct ram ram = ram_new(SIZE);
	struct untorn_btt *volume = new_volume(&ram, 4096);
	struct untorn_disk *disk = new_btt_disk(volume);
	struct untorn_disk_info info;
	uint8_t byte = 1;

	(void)state;
	disk_end(disk);
	assert_int_equal(untorn_btt_close(volume), 0);
	ram_free(&ram);
	assert_int_equal(untorn_disk_pread(disk, &byte, 1, 0), -ENXIO);
	assert_int_equal(untorn_disk_pwrite(disk, &byte, 1, 0, 0), -ENXIO);
	assert_int_equal(untorn_disk_pwrite_zeroes(disk, 1, 0, 0), -ENXIO);
	assert_int_equal(untorn_disk_flush(disk), -ENXIO);
	untorn_disk_get_info(disk, &info);
	assert_string_equal(info.name, "pmem0s");
	assert_true(info.size > 0);
	disk_put(disk);
}

/* Threads that read and write while the disk ends, its volume is closed and its memory goes. */

struct user {
	pthread_t id;
	struct untorn_disk *disk;
	_Atomic unsigned rounds;
	unsigned number;
	int r; /* what ended it */
};

static void *use(void *arg)
{
	struct user *u = arg;
	uint8_t sector[4096];
	int r;

	memset(sector, (int)u->number, sizeof(sector));
	do {
		r = untorn_disk_pwrite(u->disk, sector, sizeof(sector), u->number * sizeof(sector),
				       u->rounds % 2 ? UNTORN_BTT_DURABLE : 0);
		if (r == 0)
			r = untorn_disk_pread(u->disk, sector, sizeof(sector), u->number * sizeof(sector));
		atomic_fetch_add(&u->rounds, 1);
	} while (r == 0 && is_zero(sector, 1) == (u->number == 0));
	u->r = r;
	return NULL;
}

static void test_end_under_load(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct ram ram = ram_new(SIZE);
		struct untorn_btt *volume = new_volume(&ram, 4096);
		struct untorn_disk *disk = new_btt_disk(volume);
		struct user users[THREADS] = {0};

		for (unsigned i = 0; i < THREADS; i++) {
			users[i].disk = disk;
			users[i].number = i;
			assert_int_equal(pthread_create(&users[i].id, NULL, use, &users[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			while (atomic_load(&users[i].rounds) < 3)
				sched_yield();
		}
		disk_end(disk);
		assert_int_equal(untorn_btt_close(volume), 0);
		ram_free(&ram);
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_join(users[i].id, NULL);
			assert_int_equal(users[i].r, -ENXIO);
		}
		disk_put(disk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_stride),
		cmocka_unit_test(test_btt),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_read_only_under_load),
		cmocka_unit_test(test_set_volume),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
