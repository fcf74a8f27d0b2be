/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sector mode from end to end: a namespace is made, its region's seed btt is put on it and bound, sectors are written; then the bus
 * is closed and opened again, and the btt is there by itself with uuid, geometry and data. On every kind of region and label, with
 * every sector size; and with all that may already be on the namespace when a btt is put on it.
 */
#include "devices.h"

#include "base/bits.h"
#include "device/device.h"
#include "spec.h"

#define NS_SIZE  (48 * MIB)
#define NS_UUID  1u
#define BTT_UUID 2u
#define CHUNK    20000u

/* ------------------------------------------------------------------- from end to end -------------------------------------- */

static const struct mode {
	enum devices_platform platform;
	const char *holder_class; /* NULL: not stored */
	enum untorn_btt_layout layout;
	const char *disk, *raw;
} modes[] = {
	{UNLABELLED, NULL, UNTORN_BTT_V1_1, "pmem0s", "pmem0"},
	{NO_AREA, "btt", UNTORN_BTT_V1_1, "pmem0s", "pmem0"},
	{LABELLED_V1_1, "btt", UNTORN_BTT_V1_1, "pmem0s", "pmem0"},
	{LABELLED, NULL, UNTORN_BTT_V1_1, "pmem0s", "pmem0"},
	{LABELLED, "btt", UNTORN_BTT_V2_0, "pmem0s", "pmem0"},
	{INTERLEAVED, "btt", UNTORN_BTT_V2_0, "pmem0s", "pmem0"},
	{INTERLEAVED_V1_1, NULL, UNTORN_BTT_V1_1, "pmem0s", "pmem0"},
	{BLK, "btt", UNTORN_BTT_V2_0, "ndblk0.0s", "ndblk0.0"},
};

static bool is_io(const struct devices *d)
{
	return d->kind == UNLABELLED || d->kind == NO_AREA;
}

/* As people and programs do it: uuid, size, class, then the seed btt. */
static void create(struct devices *d, const char *holder_class, uint32_t sector_size)
{
	if (is_io(d)) {
		assert_unbind(d, 0, "nd_pmem", "namespace0.0");
		/* There is no label that could keep the class; the store says so. */
		if (holder_class)
			assert_store(d, -ENXIO, "namespace0.0", "holder_class", holder_class);
	} else {
		configure_namespace(d, "namespace0.0", NS_UUID, NS_SIZE);
		if (holder_class)
			assert_store(d, 0, "namespace0.0", "holder_class", holder_class);
	}
	make_btt(d, "btt0.0", BTT_UUID, sector_size, "namespace0.0");
}

static void assert_layout(struct devices *d, enum untorn_btt_layout layout)
{
	struct untorn_device *ns = find(d, "namespace0.0");
	enum untorn_btt_layout seen;
	uint8_t parent_uuid[16];

	assert_result(untorn_namespace_btt_layout(ns, &seen, parent_uuid), 0);
	assert_int_equal(seen, layout);
	untorn_device_put(ns);
}

/* The btt that holds namespace0.0. */
static void assert_up(struct devices *d, const struct mode *mode, uint32_t sector_size)
{
	struct untorn_device *ns = find(d, "namespace0.0"), *btt;
	struct untorn_btt_device_info info;
	struct untorn_disk_info disk_info;
	struct untorn_disk *disk;
	uint8_t uuid[16];

	assert_result(untorn_namespace_holder(ns, &btt), 0);
	assert_driver(d, "namespace0.0", NULL);
	assert_show(d, "namespace0.0", "mode", "safe\n");
	assert_result(untorn_btt_device_get_info(btt, &info), 0);
	uuid_bytes(BTT_UUID, uuid);
	assert_true(info.bound && info.has_uuid);
	assert_memory_equal(info.uuid, uuid, 16);
	assert_int_equal(info.sector_size, sector_size);
	assert_string_equal(info.ns, "namespace0.0");

	disk = disk_of(d, untorn_device_name(btt));
	untorn_disk_get_info(disk, &disk_info);
	assert_string_equal(disk_info.name, mode->disk);
	assert_true(disk_info.is_btt && !disk_info.read_only);
	assert_int_equal(disk_info.size, info.size);
	assert_int_equal(disk_info.logical, sector_size >= 4096 ? 4096 : 512);
	assert_int_equal(info.size % disk_info.logical, 0);
	untorn_disk_close(disk);
	assert_layout(d, mode->layout);
	untorn_device_put(btt);
	untorn_device_put(ns);
}

static struct untorn_disk *holders_disk(struct devices *d)
{
	struct untorn_device *ns = find(d, "namespace0.0"), *btt;
	struct untorn_disk *disk;

	assert_result(untorn_namespace_holder(ns, &btt), 0);
	disk = disk_of(d, untorn_device_name(btt));
	untorn_device_put(btt);
	untorn_device_put(ns);
	return disk;
}

/* Bytes at both ends of the disk, and over the border of sectors. */
static void write_data(struct devices *d, unsigned seed)
{
	struct untorn_disk *disk = holders_disk(d);
	struct untorn_disk_info info;
	uint8_t bytes[CHUNK];

	untorn_disk_get_info(disk, &info);
	pattern(bytes, sizeof(bytes), seed);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), 1000, UNTORN_BTT_DURABLE), 0);
	/* Buffered: closing makes it durable. */
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), info.size - sizeof(bytes), 0), 0);
	untorn_disk_close(disk);
}

static void assert_data(struct devices *d, unsigned seed)
{
	struct untorn_disk *disk = holders_disk(d);
	struct untorn_disk_info info;
	uint8_t bytes[CHUNK];

	untorn_disk_get_info(disk, &info);
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), 1000), 0);
	assert_true(is_pattern(bytes, sizeof(bytes), seed));
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), info.size - sizeof(bytes)), 0);
	assert_true(is_pattern(bytes, sizeof(bytes), seed));
	assert_result(untorn_disk_pread(disk, bytes, 1000, 0), 0);
	assert_true(is_zero(bytes, 1000));
	untorn_disk_close(disk);
}

/* Every invariant of the volume, while its btt is not bound. */
static void assert_volume_sound(struct devices *d)
{
	struct untorn_device *ns = find(d, "namespace0.0");
	struct untorn_btt_check_options options = {.layout = UNTORN_BTT_AUTO};
	struct untorn_btt_check_result result;
	uint8_t parent_uuid[16];
	struct untorn_media *media;

	assert_result(untorn_namespace_btt_layout(ns, &options.layout, parent_uuid), 0);
	options.parent_uuid = parent_uuid;
	assert_result(untorn_namespace_media(ns, &media), 0);
	assert_result(untorn_btt_check(media, &options, &result), 0);
	assert_int_equal(result.errors, 0);
	assert_int_equal(result.notes, 0);
	assert_true(result.nlba > 0);
	untorn_media_close(media);
	untorn_device_put(ns);
}

static void come_back(const struct mode *mode, uint32_t sector_size)
{
	struct devices *d = devices_new(mode->platform);

	create(d, mode->holder_class, sector_size);
	assert_up(d, mode, sector_size);
	write_data(d, sector_size);
	assert_data(d, sector_size);
	/* By hand: unbound and bound again, it is the same. */
	assert_unbind(d, 0, ns_driver(d), "btt0.0");
	assert_show_fails(d, -ENXIO, "btt0.0", "size");
	assert_volume_sound(d);
	assert_bind(d, 0, ns_driver(d), "btt0.0");
	assert_data(d, sector_size);

	devices_reopen(d);
	assert_up(d, mode, sector_size);
	assert_data(d, sector_size);
	write_data(d, sector_size + 1);
	devices_reopen(d);
	assert_data(d, sector_size + 1);
	devices_close(d);
	devices_teardown(NULL);
}

static void test_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		print_message("platform %d, class %s\n", modes[i].platform, modes[i].holder_class ?: "none");
		come_back(&modes[i], 4096);
		come_back(&modes[i], 512);
	}
}

static void test_sector_sizes(void **state)
{
	static const struct mode mode = {LABELLED, "btt", UNTORN_BTT_V2_0, "pmem0s", "pmem0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(btt_sizes); i++)
		come_back(&mode, btt_sizes[i]);
}

/* The btt goes, the namespace is a raw disk again if that is asked for, or the btt comes back. */
static void test_raw_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct devices *d = devices_new(modes[i].platform);
		struct untorn_disk_info info;
		struct untorn_disk *disk;

		create(d, modes[i].holder_class, 4096);
		write_data(d, 1);
		assert_unbind(d, 0, ns_driver(d), "btt0.0");
		assert_store(d, 0, "btt0.0", "namespace", "\n");
		devices_wait(d);
		assert_gone(d, "btt0.0");
		assert_show(d, "namespace0.0", "mode", "raw\n");
		assert_store(d, 0, "namespace0.0", "force_raw", "1");
		assert_bind(d, 0, ns_driver(d), "namespace0.0");
		disk = disk_of(d, "namespace0.0");
		untorn_disk_get_info(disk, &info);
		assert_string_equal(info.name, modes[i].raw);
		assert_int_equal(info.size, is_io(d) ? devices_pmem_size(d->kind) : NS_SIZE);
		assert_false(info.is_btt);
		untorn_disk_close(disk);
		assert_unbind(d, 0, ns_driver(d), "namespace0.0");

		assert_store(d, 0, "namespace0.0", "force_raw", "0");
		assert_bind(d, -ENXIO, ns_driver(d), "namespace0.0");
		assert_up(d, &modes[i], 4096);
		assert_data(d, 1);
		devices_teardown(NULL);
	}
}

/* ------------------------------------------------------------------- what is there already -------------------------------- */

/*
 * namespace0.0 of a LABELLED bus, configured and not bound: its bytes start where those of nmem0 do. The bus is closed, bytes are
 * changed, and the seed is put on it.
 */
static struct devices *with_volume(void)
{
	struct devices *d = devices_new(LABELLED);

	create(d, NULL, 4096);
	write_data(d, 5);
	d->flags = UNTORN_BUS_NO_AUTOPROBE;
	devices_close(d);
	return d;
}

static void change_info_block(struct devices *d, uint64_t off, const void *bytes, size_t len, bool seal)
{
	uint8_t block[4096];

	devices_peek(d, 0, 4096, block, sizeof(block));
	memcpy(block + off, bytes, len);
	if (seal)
		spec_seal(block);
	devices_poke(d, 0, 4096, block, sizeof(block));
}

static void assert_problem(struct devices *d, const char *name, const char *part)
{
	struct untorn_device *device = find(d, name);
	char text[256];

	assert_result(untorn_device_problem(device, text, sizeof(text)), 0);
	if (!strstr(text, part))
		fail_msg("'%s' does not say '%s'", text, part);
	untorn_device_put(device);
}

static void assert_no_problem(struct devices *d, const char *name)
{
	struct untorn_device *device = find(d, name);
	char text[256];

	assert_result(untorn_device_problem(device, text, sizeof(text)), -ENOENT);
	untorn_device_put(device);
}

static uint64_t namespace_sum(struct devices *d)
{
	struct untorn_device *ns = find(d, "namespace0.0");
	uint8_t *bytes = malloc(NS_SIZE);
	uint64_t sum = 0, word;

	assert_non_null(bytes);
	assert_result(untorn_namespace_rw_bytes(ns, 0, bytes, NS_SIZE, false), 0);
	for (size_t i = 0; i < NS_SIZE; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		sum = sum * 31 + word;
	}
	free(bytes);
	untorn_device_put(ns);
	return sum;
}

/* The seed, put on namespace0.0, does not bind; nothing changes, and it says why. */
static void assert_refused(struct devices *d, const char *why)
{
	uint64_t before;

	devices_open(d);
	before = namespace_sum(d);
	configure_btt(d, "btt0.0", 3, 512, "namespace0.0");
	assert_bind(d, -ENOMEM, "nd_pmem", "btt0.0");
	assert_driver(d, "btt0.0", NULL);
	assert_problem(d, "btt0.0", why);
	assert_true(namespace_sum(d) == before);
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_no_problem(d, "btt0.0");
	devices_teardown(NULL);
}

static void test_damaged(void **state)
{
	static const uint8_t mapoff[8] = {64}, version[] = {7, 0};
	uint8_t byte = 0xaa;
	struct devices *d = with_volume();

	(void)state;
	change_info_block(d, 300, &byte, 1, false);
	assert_refused(d, "check-namespace");

	/* An intact info block with rubbish in it. */
	d = with_volume();
	change_info_block(d, 96, mapoff, sizeof(mapoff), true);
	assert_refused(d, "check-namespace");

	d = with_volume();
	change_info_block(d, 52, version, sizeof(version), true);
	assert_refused(d, "namespace0.0");

	/* Without parent, it belongs to whatever it lies on. */
	d = with_volume();
	change_info_block(d, 32, (uint8_t[16]){0}, 16, true);
	change_info_block(d, 96, mapoff, sizeof(mapoff), true);
	assert_refused(d, "check-namespace");
}

/* Found damaged while the bus comes up, it is a raw disk, and it says why. */
static void test_damaged_is_raw(void **state)
{
	struct devices *d = with_volume();
	uint8_t byte = 0xaa;

	(void)state;
	change_info_block(d, 300, &byte, 1, false);
	d->flags = 0;
	devices_open(d);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_problem(d, "namespace0.0", "check-namespace --repair namespace0.0");
}

/* The seed becomes a new, empty volume. */
static void assert_made(struct devices *d)
{
	struct untorn_btt_device_info info;
	struct untorn_device *btt;
	struct untorn_disk *disk;
	uint8_t bytes[CHUNK], uuid[16];

	devices_open(d);
	configure_btt(d, "btt0.0", 3, 512, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	btt = find(d, "btt0.0");
	assert_result(untorn_btt_device_get_info(btt, &info), 0);
	assert_true(info.size > 0 && info.size % 512 == 0);
	disk = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), 1000), 0);
	assert_true(is_zero(bytes, sizeof(bytes)));
	untorn_disk_close(disk);
	untorn_device_put(btt);

	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_volume_sound(d);
	devices_peek(d, 0, 4096 + 16, uuid, sizeof(uuid));
	assert_memory_equal(uuid, info.uuid, 16);
	uuid_bytes(NS_UUID, bytes);
	devices_peek(d, 0, 4096 + 32, uuid, sizeof(uuid));
	assert_memory_equal(uuid, bytes, 16);
	devices_teardown(NULL);
}

static void test_made_anew(void **state)
{
	uint8_t zeros[8192] = {0}, other[16] = {0xde, 0xad};
	struct devices *d = with_volume();

	(void)state;
	devices_poke(d, 0, 0, zeros, sizeof(zeros));
	assert_made(d);

	/* A volume of another namespace that once had these bytes. */
	d = with_volume();
	change_info_block(d, 32, other, sizeof(other), true);
	assert_made(d);
}

/* What is there counts, whatever uuid and sector size the seed was given. */
static void test_used_as_found(void **state)
{
	struct devices *d = with_volume();
	struct untorn_disk_info info;
	struct untorn_disk *disk;

	(void)state;
	devices_open(d);
	configure_btt(d, "btt0.0", 3, 512, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	disk = disk_of(d, "btt0.0");
	untorn_disk_get_info(disk, &info);
	assert_int_equal(info.logical, 4096);
	untorn_disk_close(disk);
	assert_data(d, 5);
}

static void test_read_only(void **state)
{
	struct devices *d = with_volume();
	uint8_t zeros[8192] = {0};
	struct untorn_disk *disk;
	uint64_t before;

	(void)state;
	/* Something there: it is read. */
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	before = namespace_sum(d);
	assert_data(d, 5);
	disk = holders_disk(d);
	assert_result(untorn_disk_pwrite(disk, zeros, 1, 0, 0), -EROFS);
	untorn_disk_close(disk);
	assert_true(namespace_sum(d) == before);
	devices_close(d);

	/* Nothing there: nothing is made. */
	devices_poke(d, 0, 0, zeros, sizeof(zeros));
	d->flags |= UNTORN_BUS_NO_AUTOPROBE;
	assert_refused(d, "read-only");
}

/* A read-only region: a disk that is open follows it, also one that was bound while it was read-only. */
static void test_read_only_region(void **state)
{
	struct devices *d = with_volume();
	struct untorn_disk *disk;
	uint8_t byte = 1;

	(void)state;
	d->flags = 0;
	devices_open(d);
	disk = holders_disk(d);
	assert_store(d, 0, "region0", "read_only", "1");
	assert_result(untorn_disk_pwrite(disk, &byte, 1, 0, 0), -EROFS);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_result(untorn_disk_pwrite(disk, &byte, 1, 0, 0), 0);
	untorn_disk_close(disk);

	assert_store(d, 0, "region0", "read_only", "1");
	assert_unbind(d, 0, "nd_pmem", "btt0.1");
	assert_bind(d, 0, "nd_pmem", "btt0.1");
	disk = holders_disk(d);
	assert_result(untorn_disk_pread(disk, &byte, 1, 0), 0);
	assert_int_equal(byte, 1);
	assert_result(untorn_disk_pwrite(disk, &byte, 1, 0, 0), -EROFS);
	assert_store(d, 0, "region0", "read_only", "0");
	byte = 2;
	assert_result(untorn_disk_pwrite(disk, &byte, 1, 0, 0), 0);
	untorn_disk_close(disk);
	assert_unbind(d, 0, "nd_pmem", "btt0.1");
	assert_bind(d, 0, "nd_pmem", "btt0.1");
	disk = holders_disk(d);
	byte = 0;
	assert_result(untorn_disk_pread(disk, &byte, 1, 0), 0);
	assert_int_equal(byte, 2);
	untorn_disk_close(disk);
}

/* A raw disk on a blk namespace has the data of its sectors, which are padded to 64 bytes. D17 */
static void test_raw_blk(void **state)
{
	static const struct {
		const char *text;
		uint32_t logical, stride;
	} sizes[] = {{"512", 512, 512},    {"520", 512, 576},    {"528", 512, 576},   {"4096", 4096, 4096},
		     {"4104", 4096, 4160}, {"4160", 4096, 4160}, {"4224", 4096, 4224}};
	struct devices *d = devices_new(BLK);

	(void)state;
	configure_namespace(d, "namespace0.0", NS_UUID, NS_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t last = NS_SIZE / sizes[i].stride - 1;
		struct untorn_device *ns = find(d, "namespace0.0");
		struct untorn_disk_info info;
		struct untorn_disk *disk;
		uint8_t byte = (uint8_t)(i + 1);

		assert_store(d, 0, "namespace0.0", "sector_size", sizes[i].text);
		assert_bind(d, 0, "nd_blk", "namespace0.0");
		disk = disk_of(d, "namespace0.0");
		untorn_disk_get_info(disk, &info);
		assert_string_equal(info.name, "ndblk0.0");
		assert_int_equal(info.logical, sizes[i].logical);
		assert_int_equal(info.size, (last + 1) * sizes[i].logical);
		assert_result(untorn_disk_pwrite(disk, &byte, 1, last * sizes[i].logical, 0), 0);
		byte = 0;
		assert_result(untorn_namespace_rw_bytes(ns, last * sizes[i].stride, &byte, 1, false), 0);
		assert_int_equal(byte, i + 1);
		untorn_disk_close(disk);
		untorn_device_put(ns);
		assert_unbind(d, 0, "nd_blk", "namespace0.0");
	}
}

/* A disk that is open when its btt, and then the bus, goes. */
static void test_disk_outlives_all(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk *disk, *again;
	struct untorn_disk_info info;
	uint8_t byte = 1;

	(void)state;
	create(d, NULL, 4096);
	disk = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pwrite(disk, &byte, 1, 0, 0), 0);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_no_disk(d, "btt0.0");
	assert_result(untorn_disk_pread(disk, &byte, 1, 0), -ENXIO);
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_result(untorn_disk_pread(disk, &byte, 1, 0), -ENXIO);
	again = disk_of(d, "btt0.0");
	byte = 0;
	assert_result(untorn_disk_pread(again, &byte, 1, 0), 0);
	assert_int_equal(byte, 1);
	devices_close(d);
	assert_result(untorn_disk_pwrite(again, &byte, 1, 0, 0), -ENXIO);
	assert_result(untorn_disk_flush(disk), -ENXIO);
	untorn_disk_get_info(again, &info);
	assert_string_equal(info.name, "pmem0s");
	untorn_disk_close(again);
	untorn_disk_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(test_come_back),         device_test(test_sector_sizes),
		device_test(test_raw_again),         device_test(test_damaged),
		device_test(test_damaged_is_raw),    device_test(test_made_anew),
		device_test(test_used_as_found),     device_test(test_read_only),
		device_test(test_read_only_region),  device_test(test_raw_blk),
		device_test(test_disk_outlives_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
