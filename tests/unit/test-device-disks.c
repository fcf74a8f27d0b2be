/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disks: names, sizes, block sizes (DEVICES 14); data that is where it belongs: over interleaved dimms, over the pieces of a blk
 * namespace, through a BTT on these; and what is left of a disk when its device is unbound.
 */
#include "devices.h"

#include <inttypes.h>

static const unsigned sector_sizes[] = {512, 520, 528, 4096, 4104, 4160, 4224};

static struct untorn_disk_info info_of(struct devices *d, const char *device)
{
	struct untorn_disk *disk = disk_of(d, device);
	struct untorn_disk_info info;

	untorn_disk_get_info(disk, &info);
	untorn_disk_close(disk);
	return info;
}

static void assert_disk(struct devices *d, const char *device, const char *name, uint64_t size, uint32_t logical)
{
	struct untorn_disk_info info = info_of(d, device);

	assert_string_equal(info.name, name);
	assert_int_equal(info.size, size);
	assert_int_equal(info.logical, logical);
	assert_int_equal(info.physical, 4096);
	assert_false(info.read_only);
}

static void write_pattern(struct devices *d, const char *device, uint64_t off, size_t len, unsigned seed)
{
	struct untorn_disk *disk = disk_of(d, device);
	uint8_t *buf = malloc(len);

	pattern(buf, len, seed);
	assert_result(untorn_disk_pwrite(disk, buf, len, off, 0), 0);
	untorn_disk_close(disk);
	free(buf);
}

static void assert_pattern(struct devices *d, const char *device, uint64_t off, size_t len, unsigned seed)
{
	struct untorn_disk *disk = disk_of(d, device);
	uint8_t *buf = malloc(len);

	assert_result(untorn_disk_pread(disk, buf, len, off), 0);
	assert_flag(is_pattern(buf, len, seed), true, "the data is what was written");
	untorn_disk_close(disk);
	free(buf);
}

/* ---------------------------------------------------------- names and sizes ------------------------------------------------ */

static void raw_pmem(void **state)
{
	struct devices *d = devices_new(UNLABELLED);

	assert_disk(d, "namespace0.0", "pmem0", 128 * MIB, 512);
	devices_teardown(state);
	d = devices_new(LABELLED);
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_disk(d, "namespace0.0", "pmem0", 64 * MIB, 512);
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_store(d, 0, "namespace0.1", "sector_size", "4096");
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_disk(d, "namespace0.1", "pmem0.1", 32 * MIB, 4096);
	devices_teardown(state);
	d = devices_new(THREE);
	configure_namespace(d, "namespace2.0", 1, 64 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace2.0");
	assert_disk(d, "namespace2.0", "pmem2", 64 * MIB, 512);
	devices_teardown(state);
	d = devices_new(VOLATILE);
	assert_disk(d, "namespace1.0", "pmem1", 64 * MIB, 512);
}

static void s75_raw_disk(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_no_disk(d, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_disk(d, "namespace0.0", "pmem0", number(d, "namespace0.0", "size"), 512);
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_no_disk(d, "namespace0.0");
}

/* As Linux 6.1 makes them in 32 MiB: 2.0 for ndctl, 1.1 for who attaches by hand. */
static void btt_sizes_of_linux(void **state)
{
	struct devices *d = devices_new(QEMU);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_store(d, 0, "namespace0.0", "holder_class", "btt");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_disk(d, "btt0.0", "pmem0s", 32444416, 4096);
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
	assert_store(d, 0, "namespace0.1", "holder_class", "btt");
	make_btt(d, "btt0.1", 4, 512, "namespace0.1");
	assert_disk(d, "btt0.1", "pmem0.1s", 33134592, 512);
	configure_namespace(d, "namespace0.2", 5, 32 * MIB);
	make_btt(d, "btt0.2", 6, 4096, "namespace0.2");
	assert_disk(d, "btt0.2", "pmem0.2s", 32440320, 4096);
}

static void btt_of_every_sector_size(void **state)
{
	for (unsigned i = 0; i < sizeof(sector_sizes) / sizeof(sector_sizes[0]); i++) {
		unsigned sector = sector_sizes[i], data = sector >= 4096 ? 4096 : 512;
		struct devices *d = devices_new(LABELLED);
		struct untorn_disk_info info;

		configure_namespace(d, "namespace0.0", 1, 32 * MIB);
		make_btt(d, "btt0.0", 2, sector, "namespace0.0");
		info = info_of(d, "btt0.0");
		assert_string_equal(info.name, "pmem0s");
		assert_int_equal(info.logical, data);
		assert_true(info.is_btt);
		assert_int_equal(info.size, number(d, "btt0.0", "size"));
		assert_int_equal(info.size % data, 0);
		assert_in_range(info.size, 28 * MIB, 32 * MIB);
		write_pattern(d, "btt0.0", 0, MIB, i);
		write_pattern(d, "btt0.0", info.size - 3 * data, 3 * data, 100 + i);
		devices_reopen(d);
		assert_pattern(d, devices_holder(d, "namespace0.0"), 0, MIB, i);
		assert_pattern(d, devices_holder(d, "namespace0.0"), info.size - 3 * data, 3 * data, 100 + i);
		assert_int_equal(info_of(d, devices_holder(d, "namespace0.0")).size, info.size);
		devices_teardown(state);
	}
}

/* Raw blk: sectors with metadata are padded to 64 bytes, the data of all is one run of bytes. */
static void blk_of_every_sector_size(void **state)
{
	for (unsigned i = 0; i < sizeof(sector_sizes) / sizeof(sector_sizes[0]); i++) {
		unsigned sector = sector_sizes[i], data = sector >= 4096 ? 4096 : 512, stride = (sector + 63) / 64 * 64;
		struct devices *d = devices_new(BLK);
		uint64_t size = 32 * MIB / stride * data;
		char text[16];

		snprintf(text, sizeof(text), "%u", sector);
		assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
		assert_store(d, 0, "namespace0.0", "sector_size", text);
		assert_store(d, 0, "namespace0.0", "size", "0x2000000");
		assert_bind(d, 0, "nd_blk", "namespace0.0");
		assert_disk(d, "namespace0.0", "ndblk0.0", size, data);
		write_pattern(d, "namespace0.0", 0, MIB, i);
		write_pattern(d, "namespace0.0", 5 * MIB + 77, 10000, 50 + i);
		write_pattern(d, "namespace0.0", size - 100, 100, 100 + i);
		devices_reopen(d);
		assert_pattern(d, "namespace0.0", 0, MIB, i);
		assert_pattern(d, "namespace0.0", 5 * MIB + 77, 10000, 50 + i);
		assert_pattern(d, "namespace0.0", size - 100, 100, 100 + i);
		assert_unbind(d, 0, "nd_blk", "namespace0.0");
		make_btt(d, "btt0.0", 2, sector, "namespace0.0");
		assert_string_equal(info_of(d, "btt0.0").name, "ndblk0.0s");
		devices_teardown(state);
	}
}

/* ---------------------------------------------------------------- I/O ------------------------------------------------------ */

static void check_io(struct devices *d, const char *device)
{
	struct untorn_disk *disk = disk_of(d, device);
	uint8_t buf[8192], zeros[8192] = {0};
	struct untorn_disk_info info;

	untorn_disk_get_info(disk, &info);
	pattern(buf, sizeof(buf), 1);
	/* Any offset, any length, to the last byte and no further. */
	assert_result(untorn_disk_pwrite(disk, buf, 1, info.size - 1, UNTORN_BTT_DURABLE), 0);
	assert_result(untorn_disk_pwrite(disk, buf, 2, info.size - 1, 0), -ERANGE);
	assert_result(untorn_disk_pwrite(disk, buf, 1, info.size, 0), -ERANGE);
	assert_result(untorn_disk_pwrite(disk, buf, 1, UINT64_MAX, 0), -ERANGE);
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), UINT64_MAX - 4095), -ERANGE);
	assert_result(untorn_disk_pread(disk, buf, SIZE_MAX, 4096), -ERANGE);
	assert_result(untorn_disk_pwrite_zeroes(disk, UINT64_MAX, 4096, 0), -ERANGE);
	assert_result(untorn_disk_pwrite_zeroes(disk, 1, info.size, 0), -ERANGE);
	assert_result(untorn_disk_pwrite(disk, buf, 0, 0, 0), 0);
	pattern(buf, sizeof(buf), 2);
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 4097, 0), 0);
	assert_result(untorn_disk_pwrite(disk, buf + 100, 50, 4097 + 100, UNTORN_BTT_DURABLE), 0);
	assert_result(untorn_disk_flush(disk), 0);
	memset(buf, 0, sizeof(buf));
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), 4097), 0);
	assert_true(is_pattern(buf, sizeof(buf), 2));
	assert_result(untorn_disk_pwrite_zeroes(disk, 4000, 4097 + 10, UNTORN_BTT_DURABLE), 0);
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), 4097), 0);
	assert_memory_equal(buf + 10, zeros, 4000);
	assert_true(is_pattern(buf, 10, 2));
	assert_true(buf[4010] != 0 || buf[4011] != 0 || buf[4012] != 0);
	untorn_disk_close(disk);
}

static void io_bounds(void **state)
{
	static const enum devices_platform kinds[] = {UNLABELLED, LABELLED, INTERLEAVED, INTERLEAVED_4K, BLK};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct devices *d = devices_new(kinds[i]);

		if (kinds[i] != UNLABELLED) {
			configure_namespace(d, "namespace0.0", 1, 32 * MIB);
			assert_bind(d, 0, ns_driver(d), "namespace0.0");
		}
		check_io(d, "namespace0.0");
		assert_unbind(d, 0, ns_driver(d), "namespace0.0");
		make_btt(d, "btt0.0", 2, i % 2 ? 512 : 4096, "namespace0.0");
		check_io(d, "btt0.0");
		devices_teardown(state);
	}
}

/* A disk that was open before another binding is not that one's. */
static void a_disk_is_of_one_binding(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk *old, *new;
	uint8_t buf[512] = {0};

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	old = disk_of(d, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	new = disk_of(d, "namespace0.0");
	assert_result(untorn_disk_pread(old, buf, sizeof(buf), 0), -ENXIO);
	assert_result(untorn_disk_pread(new, buf, sizeof(buf), 0), 0);
	untorn_disk_close(old);
	untorn_disk_close(new);
	/* One may be closed after the bus. */
	new = disk_of(d, "namespace0.0");
	devices_close(d);
	assert_result(untorn_disk_pread(new, buf, sizeof(buf), 0), -ENXIO);
	untorn_disk_close(new);
	untorn_disk_close(NULL);
	devices_open(d);
}

/* ------------------------------------------------------- where bytes lie --------------------------------------------------- */

/* Byte x of an interleaved region is on dimm (x / line) % 2, and there at x / line / 2 * line + x % line. */
static void check_interleaving(enum devices_platform kind, uint64_t line)
{
	struct devices *d = devices_new(kind);
	uint64_t off = 5 * line - 1000, len = 3 * line + 2000;
	uint8_t *data = malloc(len), byte;

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	pattern(data, len, 7);
	write_pattern(d, "namespace0.0", off, len, 7);
	devices_close(d);
	for (uint64_t i = 0; i < len; i += i + 997 < len ? 997 : 1) {
		uint64_t x = off + i;

		devices_peek(d, x / line % 2, x / line / 2 * line + x % line, &byte, 1);
		assert_int_equal(byte, data[i]);
	}
	free(data);
}

static void interleaved_bytes(void **state)
{
	check_interleaving(INTERLEAVED_4K, 4096);
	devices_teardown(state);
	check_interleaving(INTERLEAVED, MIB);
}

/* A second pmem namespace starts behind the first. */
static void second_namespace(void **state)
{
	struct devices *d = devices_new(LABELLED);
	uint8_t buf[100];

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	write_pattern(d, "namespace0.0", 32 * MIB - 100, 100, 1);
	write_pattern(d, "namespace0.1", 0, 100, 2);
	devices_close(d);
	devices_peek(d, 0, 32 * MIB - 100, buf, sizeof(buf));
	assert_true(is_pattern(buf, sizeof(buf), 1));
	devices_peek(d, 0, 32 * MIB, buf, sizeof(buf));
	assert_true(is_pattern(buf, sizeof(buf), 2));
	devices_open(d);
}

/* ------------------------------------------------- blk namespaces in pieces ------------------------------------------------ */

/*
 * Fill 256 MiB with eight namespaces of 32 MiB, destroy every other one, and make one of 128 MiB of the four holes: uuid 20. Returns
 * its name.
 */
static const char *make_pieces(struct devices *d)
{
	static char name[32];
	char seed[UNTORN_ATTR_SIZE + 1];

	for (unsigned i = 0; i < 8; i++) {
		assert_result(show(d, "region0", "namespace_seed", seed), 0);
		seed[strcspn(seed, "\n")] = '\0';
		configure_namespace(d, seed, 1 + i, 32 * MIB);
		assert_bind(d, 0, "nd_blk", seed);
		write_pattern(d, seed, 32 * MIB - 512, 512, i);
		write_pattern(d, seed, 0, 512, i);
	}
	for (unsigned i = 0; i < 8; i += 2) {
		snprintf(name, sizeof(name), "namespace0.%u", i);
		assert_unbind(d, 0, "nd_blk", name);
		assert_store(d, 0, name, "size", "0");
		devices_wait(d);
	}
	assert_number(d, "region0", "available_size", 128 * MIB);
	assert_number(d, "region0", "max_available_extent", 128 * MIB);
	assert_result(show(d, "region0", "namespace_seed", seed), 0);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(seed, "\n"), seed);
	configure_namespace(d, name, 20, 128 * MIB);
	assert_number(d, name, "dpa_extents", 4);
	assert_sound(d);
	return name;
}

/* Whoever has uuid 20 now. */
static const char *name_of_pieces(struct devices *d)
{
	static char name[32];
	char text[UNTORN_ATTR_SIZE + 1];

	for (unsigned i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "namespace0.%u", i);
		if (show(d, name, "uuid", text) == 0 && strncmp(text, uuid_text(20), 36) == 0)
			return name;
	}
	fail_msg("the namespace of pieces is gone");
	return NULL;
}

/* The neighbours that were not destroyed have what was written to them. */
static void assert_neighbours(struct devices *d)
{
	char name[32], text[UNTORN_ATTR_SIZE + 1];
	unsigned seen = 0;

	for (unsigned i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "namespace0.%u", i);
		for (unsigned n = 1; n < 8; n += 2) {
			if (show(d, name, "uuid", text) != 0 || strncmp(text, uuid_text(1 + n), 36) != 0)
				continue;
			assert_pattern(d, name, 0, 512, n);
			assert_pattern(d, name, 32 * MIB - 512, 512, n);
			seen++;
		}
	}
	assert_int_equal(seen, 4);
}

static void raw_pieces(void **state)
{
	struct devices *d = devices_new(BLK);
	const char *name = make_pieces(d);
	uint8_t *buf = malloc(4 * MIB);
	struct untorn_device *ns;

	(void)state;
	assert_bind(d, 0, "nd_blk", name);
	assert_disk(d, name, info_of(d, name).name, 128 * MIB, 512);
	/* All over it, across the ends of pieces. */
	for (unsigned i = 0; i < 32; i++)
		write_pattern(d, name, i * 4 * MIB, 4 * MIB, i);
	write_pattern(d, name, 64 * MIB - 10, 20, 99);
	ns = find(d, name);
	assert_result(untorn_namespace_rw_bytes(ns, 32 * MIB - MIB, buf, 2 * MIB, false), 0);
	assert_true(is_pattern(buf + MIB, MIB, 8));
	assert_result(untorn_namespace_rw_bytes(ns, 128 * MIB - 1, buf, 2, false), -EFAULT);
	untorn_device_put(ns);
	free(buf);
	assert_neighbours(d);
	devices_reopen(d);
	name = name_of_pieces(d);
	assert_number(d, name, "size", 128 * MIB);
	assert_number(d, name, "dpa_extents", 4);
	assert_pattern(d, name, 64 * MIB - 10, 20, 99);
	assert_pattern(d, name, 0, 4 * MIB, 0);
	assert_pattern(d, name, 124 * MIB, 4 * MIB, 31);
	assert_pattern(d, name, 28 * MIB, 4 * MIB, 7);
	assert_pattern(d, name, 32 * MIB, 4 * MIB, 8);
	assert_neighbours(d);
}

static void btt_on_pieces(void **state)
{
	static const unsigned sizes[] = {512, 4096, 4104};

	for (unsigned i = 0; i < 3; i++) {
		struct devices *d = devices_new(BLK);
		const char *name = make_pieces(d);
		uint64_t size;

		make_btt(d, "btt0.0", 21, sizes[i], name);
		size = info_of(d, "btt0.0").size;
		assert_in_range(size, 110 * MIB, 128 * MIB);
		for (uint64_t off = 0; off + MIB <= size; off += 7 * MIB)
			write_pattern(d, "btt0.0", off, MIB, (unsigned)(off / MIB));
		write_pattern(d, "btt0.0", size - 4096, 4096, 200);
		assert_neighbours(d);
		devices_reopen(d);
		name = name_of_pieces(d);
		assert_driver(d, devices_holder(d, name), "nd_blk");
		assert_int_equal(info_of(d, devices_holder(d, name)).size, size);
		for (uint64_t off = 0; off + MIB <= size; off += 7 * MIB)
			assert_pattern(d, devices_holder(d, name), off, MIB, (unsigned)(off / MIB));
		assert_pattern(d, devices_holder(d, name), size - 4096, 4096, 200);
		assert_neighbours(d);
		assert_sound(d);
		devices_teardown(state);
	}
}

/* Grown piece by piece, and shrunk again: what remains keeps its bytes. */
static void grow_in_pieces(void **state)
{
	struct devices *d = devices_new(BLK);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	write_pattern(d, "namespace0.0", 32 * MIB - 4096, 4096, 1);
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_blk", "namespace0.1");
	assert_unbind(d, 0, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "size", "0x6000000");
	assert_number(d, "namespace0.0", "dpa_extents", 2);
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	assert_pattern(d, "namespace0.0", 32 * MIB - 4096, 4096, 1);
	write_pattern(d, "namespace0.0", 48 * MIB - 4096, 4096, 2);
	write_pattern(d, "namespace0.0", 96 * MIB - 4096, 4096, 3);
	devices_reopen(d);
	/* Numbers are given by place. */
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "namespace0.1" : "namespace0.0";
		char text[UNTORN_ATTR_SIZE + 1];

		assert_result(show(d, name, "uuid", text), 0);
		if (strncmp(text, uuid_text(1), 36) != 0)
			continue;
		assert_pattern(d, name, 32 * MIB - 4096, 4096, 1);
		assert_pattern(d, name, 48 * MIB - 4096, 4096, 2);
		assert_pattern(d, name, 96 * MIB - 4096, 4096, 3);
		assert_unbind(d, 0, "nd_blk", name);
		assert_store(d, 0, name, "size", "0x3000000");
		assert_bind(d, 0, "nd_blk", name);
		assert_pattern(d, name, 32 * MIB - 4096, 4096, 1);
		assert_pattern(d, name, 48 * MIB - 4096, 4096, 2);
		assert_sound(d);
		return;
	}
	fail_msg("the namespace is gone");
}

/* Anonymous memory is zeros each time; a file keeps what was written. */
static void volatile_regions(void **state)
{
	struct devices *d = devices_new(VOLATILE);
	struct untorn_disk *disk;
	uint8_t buf[512];

	(void)state;
	assert_show(d, "region1", "devtype", "nd_volatile\n");
	assert_show(d, "region1", "nstype", "4\n");
	write_pattern(d, "namespace1.0", 1000, 512, 1);
	assert_pattern(d, "namespace1.0", 1000, 512, 1);
	devices_reopen(d);
	disk = disk_of(d, "namespace1.0");
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), 1000), 0);
	for (unsigned i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	untorn_disk_close(disk);
	assert_unbind(d, 0, "nd_pmem", "namespace1.0");
	make_btt(d, "btt1.0", 2, 4096, "namespace1.0");
	check_io(d, "btt1.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(raw_pmem),
		device_test(s75_raw_disk),
		device_test(btt_sizes_of_linux),
		device_test(btt_of_every_sector_size),
		device_test(blk_of_every_sector_size),
		device_test(io_bounds),
		device_test(a_disk_is_of_one_binding),
		device_test(interleaved_bytes),
		device_test(second_namespace),
		device_test(raw_pieces),
		device_test(btt_on_pieces),
		device_test(grow_in_pieces),
		device_test(volatile_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
