/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Media that say what no sound tool wrote: nothing crashes, nothing is given out that is not understood, and what may be a damaged BTT
 * is left as it is.
 */
#include "devices.h"

#define LBASIZE 96 /* in a v1.2 label */

/* The label of namespace0.0 says value; the bus is open afterwards. */
static struct devices *with_lbasize(enum devices_platform kind, uint64_t value)
{
	struct devices *d = devices_new(kind);
	uint8_t bytes[8];
	uint32_t slot;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	slot = devices_slot(d, 0, 1);
	devices_close(d);
	devices_poke_label(d, 0, slot, LBASIZE, bytes, sizeof(bytes));
	devices_open(d);
	return d;
}

static const uint64_t bad_sizes[] = {1, 64, 511, 1ull << 32, (1ull << 32) + 512, 1ull << 63, UINT64_MAX};

/* No disk is cut into sectors that it cannot have. */
static void sector_size_of_blk(void **state)
{
	for (unsigned i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
		struct devices *d = with_lbasize(BLK, bad_sizes[i]);

		assert_number(d, "namespace0.0", "size", 32 * MIB);
		assert_driver(d, "namespace0.0", NULL);
		assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
		/* It can be mended. */
		assert_store(d, 0, "namespace0.0", "sector_size", "4096");
		assert_bind(d, 0, "nd_blk", "namespace0.0");
		assert_sound(d);
		devices_teardown(state);
	}
}

/* A pmem namespace is bytes: there it is a hint. */
static void sector_size_of_pmem(void **state)
{
	for (unsigned i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
		struct devices *d = with_lbasize(LABELLED, bad_sizes[i]);
		struct untorn_disk *disk = disk_of(d, "namespace0.0");
		struct untorn_disk_info info;
		uint8_t bytes[512];

		untorn_disk_get_info(disk, &info);
		assert_int_equal(info.size, 32 * MIB);
		assert_true(info.logical == 512 || info.logical == 4096);
		assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), info.size - sizeof(bytes)), 0);
		assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), info.size - 511), -ERANGE);
		untorn_disk_close(disk);
		assert_sound(d);
		devices_teardown(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(sector_size_of_blk),
		device_test(sector_size_of_pmem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
