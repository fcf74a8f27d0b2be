/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disks on memory that fails: pages that fault and syncs that are refused, under the media probe, under binding, under I/O and under
 * unbinding. A fault is an errno for who asked and a sentence for people; nothing that was acknowledged is denied, and the bus
 * closes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <untorn/device.h>

#include "base/bits.h"
#include "media/fault.h"

#define SIZE     (32ull << 20)
#define INFO_OFF 4096u

struct bench {
	struct untorn_media *media;
	struct untorn_platform *platform;
	struct untorn_bus *bus;
};

static void open_bus(struct bench *b)
{
	assert_int_equal(untorn_platform_new(&b->platform), 0);
	assert_int_equal(untorn_platform_add_media(b->platform, b->media, 0), 0);
	assert_int_equal(untorn_bus_open(b->platform, 0, &b->bus), 0);
}

static int close_bus(struct bench *b)
{
	int r = untorn_bus_close(b->bus);

	untorn_platform_free(b->platform);
	return r;
}

static struct bench new_bench(void)
{
	struct bench b;

	assert_int_equal(fault_media_new(SIZE, &b.media), 0);
	open_bus(&b);
	return b;
}

static struct untorn_device *find(struct bench *b, const char *name)
{
	struct untorn_device *device;

	assert_int_equal(untorn_bus_find(b->bus, name, &device), 0);
	return device;
}

static void assert_problem(struct untorn_device *device, const char *part)
{
	char text[256] = "";

	assert_int_equal(untorn_device_problem(device, text, sizeof(text)), 0);
	if (!strstr(text, part))
		fail_msg("'%s' does not say '%s'", text, part);
}

/* A bound btt0.0 on namespace0.0. */
static struct untorn_device *make_btt(struct bench *b)
{
	static const uint8_t uuid[16] = {1, 2, 3};
	struct untorn_device *btt = find(b, "btt0.0");

	assert_int_equal(untorn_driver_unbind(b->bus, "nd_pmem", "namespace0.0"), 0);
	assert_int_equal(untorn_btt_device_set_uuid(btt, uuid), 0);
	assert_int_equal(untorn_btt_device_set_sector_size(btt, 4096), 0);
	assert_int_equal(untorn_btt_device_set_namespace(btt, "namespace0.0"), 0);
	assert_int_equal(untorn_device_enable(btt), 0);
	return btt;
}

static struct untorn_disk *open_disk(struct untorn_device *device)
{
	struct untorn_disk *disk;

	assert_int_equal(untorn_disk_open(device, &disk), 0);
	return disk;
}

/* ------------------------------------------------------------------- bad pages -------------------------------------------- */

/* S46: what cannot be read is no BTT. The rest of the namespace is there as a raw disk. */
static void test_info_block_is_bad(void **state)
{
	struct bench b = new_bench();
	struct untorn_device *ns;
	struct untorn_disk *disk;
	uint8_t bytes[512];

	(void)state;
	assert_int_equal(close_bus(&b), 0);
	assert_int_equal(fault_media_set_bad(b.media, INFO_OFF, 4096, true), 0);
	open_bus(&b);
	ns = find(&b, "namespace0.0");
	assert_string_equal(untorn_device_driver(ns), "nd_pmem");
	disk = open_disk(ns);
	assert_int_equal(untorn_disk_pread(disk, bytes, sizeof(bytes), INFO_OFF), -EIO);
	assert_int_equal(untorn_disk_pwrite(disk, bytes, sizeof(bytes), INFO_OFF - 100, 0), -EIO);
	assert_int_equal(untorn_disk_pread(disk, bytes, sizeof(bytes), 2 * INFO_OFF), 0);
	untorn_disk_close(disk);
	untorn_device_put(ns);
	assert_int_equal(close_bus(&b), 0);
	untorn_media_close(b.media);
}

/* Of everything behind the first info block. */
static uint64_t sum_behind_info(struct untorn_media *media)
{
	uint64_t words[512], sum = 0;

	for (uint64_t off = 2 * INFO_OFF; off < SIZE; off += sizeof(words)) {
		assert_int_equal(untorn_media_read(media, off, words, sizeof(words)), 0);
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			sum = sum * 31 + words[i];
	}
	return sum;
}

/* A btt whose metadata cannot be read does not bind, and nothing is written over what may be there. */
static void test_metadata_is_bad(void **state)
{
	static const uint8_t other_uuid[16] = {4, 5, 6};
	struct bench b = new_bench();
	struct untorn_device *btt = make_btt(&b);
	uint64_t before;

	(void)state;
	assert_int_equal(untorn_device_disable(btt), 0);
	before = sum_behind_info(b.media);
	assert_int_equal(fault_media_set_bad(b.media, INFO_OFF, 4096, true), 0);
	assert_int_equal(untorn_device_enable(btt), -ENOMEM);
	assert_true(sum_behind_info(b.media) == before);
	assert_problem(btt, untorn_strerror(EIO));
	assert_null(untorn_device_driver(btt));
	/* Zeros now: its backup tells that it was there. A new one is made when another is asked for. */
	assert_int_equal(fault_media_set_bad(b.media, INFO_OFF, 4096, false), 0);
	assert_int_equal(untorn_device_enable(btt), -ENOMEM);
	assert_true(sum_behind_info(b.media) == before);
	assert_problem(btt, "damaged");
	assert_int_equal(untorn_btt_device_set_uuid(btt, other_uuid), 0);
	assert_int_equal(untorn_device_enable(btt), 0);

	assert_int_equal(untorn_device_disable(btt), 0);
	/* Behind the data: map, flog and the backup of the info block. */
	assert_int_equal(fault_media_set_bad(b.media, SIZE - (64u << 10), 64u << 10, true), 0);
	assert_int_equal(untorn_device_enable(btt), -ENOMEM);
	assert_problem(btt, "namespace0.0");
	untorn_device_put(btt);
	assert_int_equal(close_bus(&b), 0);
	untorn_media_close(b.media);
}

/* ------------------------------------------------------------------- syncs that fail -------------------------------------- */

/* Unbinding works all the same, and whoever closes the bus hears that something was lost. */
static void test_close_fails(void **state)
{
	static const uint8_t sector[4096] = {1};
	struct bench b = new_bench();
	struct untorn_device *btt = make_btt(&b);
	struct untorn_disk *disk = open_disk(btt);

	(void)state;
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 0, UNTORN_BTT_DURABLE), 0);
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 4096, 0), 0);
	fault_media_fail_drain(b.media, 0);
	assert_int_equal(untorn_device_disable(btt), 0);
	assert_null(untorn_device_driver(btt));
	assert_problem(btt, "lost");
	assert_int_equal(untorn_disk_pread(disk, (uint8_t[1]){0}, 1, 0), -ENXIO);
	untorn_disk_close(disk);
	untorn_device_put(btt);
	assert_int_equal(close_bus(&b), -EIO);
	untorn_media_close(b.media);
}

/* Who writes hears of it at once; reads go on, writes do not. */
static void test_write_fails(void **state)
{
	uint8_t old[4096], new[4096], seen[4096];
	struct bench b = new_bench();
	struct untorn_device *btt = make_btt(&b);
	struct untorn_disk *disk = open_disk(btt);

	(void)state;
	memset(old, 1, sizeof(old));
	memset(new, 2, sizeof(new));
	assert_int_equal(untorn_disk_pwrite(disk, old, sizeof(old), 0, UNTORN_BTT_DURABLE), 0);
	fault_media_fail_drain(b.media, 0);
	assert_int_equal(untorn_disk_pwrite(disk, new, sizeof(new), 0, UNTORN_BTT_DURABLE), -EIO);
	assert_int_equal(untorn_disk_pread(disk, seen, sizeof(seen), 0), 0);
	assert_true(memcmp(seen, old, sizeof(seen)) == 0 || memcmp(seen, new, sizeof(seen)) == 0);
	assert_int_equal(untorn_disk_pwrite(disk, new, sizeof(new), 0, UNTORN_BTT_DURABLE), -EIO);
	untorn_disk_close(disk);
	untorn_device_put(btt);
	assert_int_equal(close_bus(&b), -EIO);
	untorn_media_close(b.media);
}

/* A BTT that cannot be made is not there. */
static void test_format_fails(void **state)
{
	for (unsigned after = 0; after < 3; after++) {
		struct bench b = new_bench();
		struct untorn_device *btt = make_btt(&b);

		(void)state;
		assert_int_equal(untorn_device_disable(btt), 0);
		assert_int_equal(untorn_btt_erase(b.media), 0);
		fault_media_fail_drain(b.media, after);
		assert_int_equal(untorn_device_enable(btt), -ENOMEM);
		assert_problem(btt, "cannot make a BTT on namespace0.0");
		untorn_device_put(btt);
		assert_int_equal(close_bus(&b), 0);
		untorn_media_close(b.media);
	}
}

/* ------------------------------------------------------------------- read-only and back ----------------------------------- */

static void set_read_only(struct bench *b, bool read_only)
{
	struct untorn_device *region = find(b, "region0");

	assert_int_equal(untorn_region_set_read_only(region, read_only), 0);
	untorn_device_put(region);
}

/* A disk that was bound for reading stays so when its volume cannot be opened for writing. */
static void test_opening_to_write_fails(void **state)
{
	static const uint8_t sector[4096] = {1};
	struct bench b = new_bench();
	struct untorn_device *btt = make_btt(&b);
	struct untorn_disk *disk = open_disk(btt);
	struct untorn_disk_info info;
	uint8_t seen[4096];

	(void)state;
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 0, 0), 0);
	untorn_disk_close(disk);
	assert_int_equal(untorn_device_disable(btt), 0);
	set_read_only(&b, true);
	assert_int_equal(untorn_device_enable(btt), 0);
	disk = open_disk(btt);
	assert_int_equal(fault_media_set_bad(b.media, INFO_OFF, 4096, true), 0);
	set_read_only(&b, false);
	assert_problem(btt, "cannot open the BTT on namespace0.0 for writing");
	assert_problem(btt, untorn_strerror(EIO));
	untorn_disk_get_info(disk, &info);
	assert_true(info.read_only);
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 0, 0), -EROFS);
	assert_int_equal(untorn_disk_pread(disk, seen, sizeof(seen), 0), 0);
	assert_memory_equal(seen, sector, sizeof(seen));
	untorn_disk_close(disk);
	untorn_device_put(btt);
	assert_int_equal(close_bus(&b), 0);
	untorn_media_close(b.media);
}

/* The disk is read-only all the same, and somebody is told that something was lost. */
static void test_last_flush_fails(void **state)
{
	static const uint8_t sector[4096] = {1};
	struct bench b = new_bench();
	struct untorn_device *btt = make_btt(&b);
	struct untorn_disk *disk = open_disk(btt);

	(void)state;
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 4096, 0), 0);
	fault_media_fail_drain(b.media, 0);
	set_read_only(&b, true);
	assert_problem(btt, "lost");
	assert_int_equal(untorn_disk_pwrite(disk, sector, sizeof(sector), 0, 0), -EROFS);
	untorn_disk_close(disk);
	untorn_device_put(btt);
	assert_int_equal(close_bus(&b), -EIO);
	untorn_media_close(b.media);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_block_is_bad), cmocka_unit_test(test_metadata_is_bad),
		cmocka_unit_test(test_close_fails),       cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_format_fails),      cmocka_unit_test(test_opening_to_write_fails),
		cmocka_unit_test(test_last_flush_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
