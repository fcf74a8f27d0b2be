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

/* ------------------------------------------------------------ damaged BTTs ------------------------------------------------- */

/* A bound btt with a pattern in sector 3; class "btt" on v1.2 labels has its info block at 0, none at 4096. */
static struct devices *with_btt(const char *holder_class)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk *disk;
	uint8_t bytes[4096];

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_store(d, 0, "namespace0.0", "holder_class", holder_class);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	pattern(bytes, sizeof(bytes), 5);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), 3 * 4096, UNTORN_BTT_DURABLE), 0);
	untorn_disk_close(disk);
	return d;
}

static void rw_bytes(struct devices *d, uint64_t off, void *bytes, size_t len, bool write)
{
	struct untorn_device *ns = find(d, "namespace0.0");

	assert_result(untorn_namespace_rw_bytes(ns, off, bytes, len, write), 0);
	untorn_device_put(ns);
}

static void assert_damage_is_told(struct devices *d)
{
	struct untorn_device *btt = find(d, "btt0.0");
	char text[256] = "";

	untorn_device_problem(btt, text, sizeof(text));
	untorn_device_put(btt);
	if (!strstr(text, "damaged"))
		fail_msg("'%s' does not say that the BTT is damaged", text);
}

/* One bit of the info block is another one: binding changes nothing, and when it is mended the data is there. */
static void bit_of_the_info_block(struct devices *d, uint64_t base, unsigned byte)
{
	uint8_t before[4096], after[4096], data[4096];
	struct untorn_disk *disk;

	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	rw_bytes(d, base, before, sizeof(before), false);
	before[byte] ^= 4;
	rw_bytes(d, base, before, sizeof(before), true);
	assert_bind(d, -ENOMEM, "nd_pmem", "btt0.0");
	assert_damage_is_told(d);
	rw_bytes(d, base, after, sizeof(after), false);
	assert_memory_equal(before, after, sizeof(before));
	before[byte] ^= 4;
	rw_bytes(d, base, before, sizeof(before), true);
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	disk = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pread(disk, data, sizeof(data), 3 * 4096), 0);
	untorn_disk_close(disk);
	assert_true(is_pattern(data, sizeof(data), 5));
}

static void damaged_btt_is_left(const char *holder_class, uint64_t base)
{
	struct devices *d = with_btt(holder_class);

	for (unsigned byte = 0; byte < 112; byte++)
		bit_of_the_info_block(d, base, byte);
	bit_of_the_info_block(d, base, 4095);
	assert_sound(d);
}

static void damaged_btt_1_1_is_left(void **state)
{
	(void)state;
	damaged_btt_is_left("\n", 4096);
}

static void damaged_btt_2_0_is_left(void **state)
{
	(void)state;
	damaged_btt_is_left("btt", 0);
}

/* All of it is gone; the backup, and who configured the btt, say that there was one. */
static void zeroed_info_block(void **state)
{
	static uint8_t zeros[4096];
	struct devices *d = with_btt("\n");

	(void)state;
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	rw_bytes(d, 4096, zeros, sizeof(zeros), true);
	assert_bind(d, -ENOMEM, "nd_pmem", "btt0.0");
	assert_damage_is_told(d);
	/* Another volume may be made there: it has a name of its own. */
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(9));
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_sound(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(sector_size_of_blk),      device_test(sector_size_of_pmem),
		device_test(damaged_btt_1_1_is_left), device_test(damaged_btt_2_0_is_left),
		device_test(zeroed_info_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
