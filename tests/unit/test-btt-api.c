/* SPDX-License-Identifier: BSD-3-Clause */
/* The public functions of <untorn/btt.h>, one promise at a time: bounds and errnos, format, what open takes and refuses, costs. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "ram.h"
#include "spec.h"
#include "untorn/btt.h"

#define MIB  (1ull << 20)
#define SIZE (17 * MIB)

static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0, UNTORN_BTT_PMEMBLK};

static uint64_t base_of(enum untorn_btt_layout layout)
{
	return layout == UNTORN_BTT_V1_1 ? 4096 : layout == UNTORN_BTT_V2_0 ? 0 : 8192;
}

/* ---------------------------------------------------------- a volume ----------------------------------------------------- */

static struct ram ram;
static struct untorn_btt *btt;
static struct untorn_btt_info info;

static int format(enum untorn_btt_layout layout, uint32_t sector_size, unsigned flags)
{
	return untorn_btt_format(ram.media, &(struct untorn_btt_format_options){
						    .layout = layout, .sector_size = sector_size, .flags = flags});
}

static int try_open(enum untorn_btt_layout layout, unsigned flags)
{
	return untorn_btt_open(ram.media, &(struct untorn_btt_open_options){.layout = layout, .flags = flags}, &btt);
}

static void open_volume(unsigned flags)
{
	assert_int_equal(try_open(UNTORN_BTT_AUTO, flags), 0);
	untorn_btt_get_info(btt, &info);
}

static void close_volume(void)
{
	assert_int_equal(untorn_btt_close(btt), 0);
}

static void new_volume(enum untorn_btt_layout layout, uint32_t sector_size)
{
	assert_int_equal(format(layout, sector_size, 0), 0);
	open_volume(0);
}

static int setup(void **state)
{
	(void)state;
	ram = ram_new(SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ram_free(&ram);
	return 0;
}

static void write_stamp(uint64_t lba, uint8_t stamp, unsigned flags)
{
	static uint8_t sector[65536];

	memset(sector, stamp, info.sector_size);
	assert_int_equal(untorn_btt_write(btt, lba, 1, sector, NULL, flags), 0);
}

static void expect_stamp(uint64_t lba, uint8_t stamp)
{
	static uint8_t sector[65536];

	assert_int_equal(untorn_btt_read(btt, lba, 1, sector, NULL), 0);
	assert_int_equal(sector[0], stamp);
	assert_memory_equal(sector, sector + 1, info.sector_size - 1);
}

/* Nothing at all changes, read-write or read-only. */
static void expect_refused_as(enum untorn_btt_layout layout, int error)
{
	uint64_t sum = ram_sum(&ram);

	btt = (struct untorn_btt *)&sum;
	assert_int_equal(try_open(layout, 0), error);
	assert_int_equal(try_open(layout, UNTORN_BTT_READ_ONLY), error);
	assert_ptr_equal(btt, &sum);
	assert_int_equal(ram_sum(&ram), sum);
}

static void expect_refused(int error)
{
	expect_refused_as(UNTORN_BTT_AUTO, error);
}

/* ----------------------------------------------------------- bounds ------------------------------------------------------ */

static void test_bounds(void **state)
{
	uint8_t buf[3 * 4096], meta[3 * 64];
	uint64_t n, len;
	struct untorn_btt_mapping mapping;
	struct untorn_btt_arena_info arena;
	struct untorn_btt_flog flog;
	int zero;

	(void)state;
	new_volume(UNTORN_BTT_V1_1, 4160);
	n = info.nlba;
	len = info.size;

	struct {
		uint64_t lba, n;
		int result;
	} ranges[] = {
		{0, 0, 0},
		{n, 0, 0},
		{n - 1, 1, 0},
		{n - 2, 2, 0},
		{n, 1, -ERANGE},
		{n - 1, 2, -ERANGE},
		{n + 1, 0, -ERANGE},
		{UINT64_MAX, 0, -ERANGE},
		{UINT64_MAX, 1, -ERANGE},
		{UINT64_MAX, 2, -ERANGE},
		{1, UINT64_MAX, -ERANGE},
		{0, UINT64_MAX, -ERANGE},
		{0, UINT64_MAX / 4096 + 2, -ERANGE},
		{1ull << 32, 1, -ERANGE},
		{(1ull << 32) + 1, UINT64_MAX - (1ull << 32), -ERANGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint64_t lba = ranges[i].lba, count = ranges[i].n;
		int r = ranges[i].result;
		struct iovec iov = {buf, count * 4096};

		assert_int_equal(untorn_btt_read(btt, lba, count, buf, meta), r);
		assert_int_equal(untorn_btt_readv(btt, lba, count, &iov, 1, meta), r);
		assert_int_equal(untorn_btt_write(btt, lba, count, buf, meta, 0), r);
		assert_int_equal(untorn_btt_write(btt, lba, count, buf, NULL, UNTORN_BTT_DURABLE), r);
		assert_int_equal(untorn_btt_writev(btt, lba, count, &iov, 1, NULL, 0), r);
		assert_int_equal(untorn_btt_discard(btt, lba, count), r);
		assert_int_equal(untorn_btt_write_zeroes(btt, lba, count), r);
		if (count == 1) {
			assert_int_equal(untorn_btt_mark_error(btt, lba), r);
			assert_int_equal(untorn_btt_lookup(btt, lba, &mapping), r);
			if (r == 0)
				assert_int_equal(untorn_btt_discard(btt, lba, 1), 0);
		}
		if (count > 0)
			assert_int_equal(untorn_btt_extent(btt, lba, count, &(uint64_t){0}, &zero), r);
	}
	assert_int_equal(untorn_btt_extent(btt, 0, 0, &(uint64_t){0}, &zero), -EINVAL);

	struct {
		uint64_t off, len;
		int result;
	} bytes[] = {
		{0, 0, 0},
		{len, 0, 0},
		{len - 1, 1, 0},
		{len - 5000, 5000, 0},
		{len, 1, -ERANGE},
		{len - 1, 2, -ERANGE},
		{len + 1, 0, -ERANGE},
		{UINT64_MAX, 0, -ERANGE},
		{UINT64_MAX, 1, -ERANGE},
		{UINT64_MAX, UINT64_MAX, -ERANGE},
		{1, UINT64_MAX, -ERANGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		assert_int_equal(untorn_btt_pread(btt, buf, bytes[i].len, bytes[i].off), bytes[i].result);
		assert_int_equal(untorn_btt_pwrite(btt, buf, bytes[i].len, bytes[i].off, 0), bytes[i].result);
		assert_int_equal(untorn_btt_pwrite_zeroes(btt, bytes[i].len, bytes[i].off, 0), bytes[i].result);
	}

	assert_int_equal(untorn_btt_get_arena(btt, 0, &arena), 0);
	assert_int_equal(untorn_btt_get_arena(btt, 1, &arena), -ERANGE);
	assert_int_equal(untorn_btt_get_arena(btt, UINT32_MAX, &arena), -ERANGE);
	assert_int_equal(untorn_btt_get_flog(btt, 0, 255, &flog), 0);
	assert_int_equal(untorn_btt_get_flog(btt, 0, 256, &flog), -ERANGE);
	assert_int_equal(untorn_btt_get_flog(btt, 1, 0, &flog), -ERANGE);
	close_volume();
}

static void test_arguments(void **state)
{
	uint8_t buf[4 * 512];
	struct iovec good[] = {{buf, 500}, {buf + 500, 0}, {buf + 500, 524}};
	struct iovec short_by_one[] = {{buf, 512}, {buf + 512, 511}};
	struct iovec long_by_one[] = {{buf, 512}, {buf + 512, 513}};
	struct iovec overflow[] = {{buf, SIZE_MAX}, {buf, 1025}};
	const unsigned unknown[] = {1u << 0, 1u << 1, 1u << 3, 1u << 31, UNTORN_BTT_DURABLE | 1u << 4};

	(void)state;
	new_volume(UNTORN_BTT_V2_0, 512);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, good, 3, NULL, 0), 0);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, good, 3, NULL), 0);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, good, 2, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, good, 2, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, short_by_one, 2, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, short_by_one, 2, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, long_by_one, 2, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, long_by_one, 2, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, overflow, 2, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, overflow, 2, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, good, -1, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, good, -1, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, NULL, 1, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_readv(btt, 0, 2, NULL, 1, NULL), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 2, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(untorn_btt_writev(btt, 0, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(untorn_btt_readv(btt, 0, 0, NULL, 0, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_int_equal(untorn_btt_write(btt, 0, 1, buf, NULL, unknown[i]), -EINVAL);
		assert_int_equal(untorn_btt_writev(btt, 0, 2, good, 3, NULL, unknown[i]), -EINVAL);
		assert_int_equal(untorn_btt_pwrite(btt, buf, 1, 0, unknown[i]), -EINVAL);
		assert_int_equal(untorn_btt_pwrite_zeroes(btt, 1, 0, unknown[i]), -EINVAL);
	}
	close_volume();
	assert_int_equal(untorn_btt_close(NULL), 0);
	assert_int_equal(untorn_btt_open(NULL, NULL, &btt), -EINVAL);
	assert_int_equal(untorn_btt_open(ram.media, NULL, NULL), -EINVAL);
	assert_int_equal(try_open(UNTORN_BTT_AUTO, 1u << 5), -EINVAL);
	assert_int_equal(try_open((enum untorn_btt_layout)4, 0), -EINVAL);
	assert_int_equal(untorn_btt_open(ram.media, NULL, &btt), 0);
	close_volume();
}

static void test_read_only(void **state)
{
	uint8_t buf[512];
	uint64_t sum;

	(void)state;
	new_volume(UNTORN_BTT_V1_1, 512);
	write_stamp(3, 7, 0);
	close_volume();
	sum = ram_sum(&ram);
	open_volume(UNTORN_BTT_READ_ONLY);
	assert_int_equal(info.read_only, 1);
	expect_stamp(3, 7);
	assert_int_equal(untorn_btt_write(btt, 0, 1, buf, NULL, 0), -EROFS);
	assert_int_equal(untorn_btt_writev(btt, 0, 1, &(struct iovec){buf, 512}, 1, NULL, 0), -EROFS);
	assert_int_equal(untorn_btt_pwrite(btt, buf, 1, 0, 0), -EROFS);
	assert_int_equal(untorn_btt_pwrite_zeroes(btt, 1, 0, 0), -EROFS);
	assert_int_equal(untorn_btt_discard(btt, 0, 1), -EROFS);
	assert_int_equal(untorn_btt_write_zeroes(btt, 0, 1), -EROFS);
	assert_int_equal(untorn_btt_mark_error(btt, 0), -EROFS);
	assert_int_equal(untorn_btt_flush(btt), 0);
	close_volume();
	assert_int_equal(ram_sum(&ram), sum);
}

/* ----------------------------------------------------------- format ------------------------------------------------------ */

static const uint8_t uuid_a[16] = {0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t uuid_b[16] = {0xb0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void test_format(void **state)
{
	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		struct untorn_btt_arena_info arena;
		struct untorn_btt_format_options options = {
			.layout = layouts[l], .uuid = uuid_a, .parent_uuid = uuid_b};

		/* Rubbish everywhere: what is not data must not be believed. */
		memset(ram.bytes, 0xd1, SIZE);
		assert_int_equal(untorn_btt_format(ram.media, &options), 0);
		assert_null(spec_check(ram.bytes, SIZE, base_of(layouts[l]), NULL));
		open_volume(0);
		assert_int_equal(info.layout, layouts[l]);
		assert_int_equal(info.version_major, layouts[l] == UNTORN_BTT_V2_0 ? 2 : 1);
		assert_int_equal(info.version_minor, layouts[l] == UNTORN_BTT_V2_0 ? 0 : 1);
		assert_memory_equal(info.uuid, uuid_a, 16);
		assert_memory_equal(info.parent_uuid, uuid_b, 16);
		assert_int_equal(info.sector_size, 4096);
		assert_int_equal(info.narena, 1);
		assert_int_equal(info.base, base_of(layouts[l]));
		assert_int_equal(info.read_only, 0);
		assert_int_equal(info.is_laid_out, 1);
		assert_int_equal(untorn_btt_get_arena(btt, 0, &arena), 0);
		assert_int_equal(arena.off, info.base);
		assert_int_equal(arena.size, SIZE - info.base);
		assert_int_equal(arena.info2_off, SIZE - 4096);
		assert_int_equal(arena.data_off, info.base + 4096);
		assert_int_equal(arena.first_lba, 0);
		assert_int_equal(arena.external_nlba, info.nlba);
		assert_int_equal(arena.nfree, 256);
		assert_int_equal(arena.flags, 0);
		/* Never written: the pool says zeros, Linux what is in the block. */
		expect_stamp(5, layouts[l] == UNTORN_BTT_PMEMBLK ? 0 : 0xd1);
		close_volume();

		/* A parent uuid that is asked for must match; a null one does not, except in a namespace. */
		struct untorn_btt_open_options with = {.parent_uuid = uuid_b}, other = {.parent_uuid = uuid_a};

		assert_int_equal(untorn_btt_open(ram.media, &with, &btt), 0);
		close_volume();
		assert_int_equal(untorn_btt_open(ram.media, &other, &btt), -EUCLEAN);
		if (layouts[l] == UNTORN_BTT_PMEMBLK)
			continue;
		options.parent_uuid = NULL;
		options.flags = UNTORN_BTT_FORCE;
		assert_int_equal(untorn_btt_format(ram.media, &options), 0);
		assert_int_equal(untorn_btt_open(ram.media, &other, &btt), 0);
		close_volume();
	}
}

static void test_format_wide(void **state)
{
	static const uint32_t wide[] = {8192, 16384, 32768, 65536};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++) {
		for (size_t l = 0; l < 2; l++) {
			assert_int_equal(format(layouts[l], wide[i], UNTORN_BTT_FORCE), 0);
			open_volume(0);
			assert_int_equal(info.sector_size, wide[i]);
			assert_int_equal(info.meta_size, 0);
			/* A version that Linux does not take. */
			assert_int_equal(info.version_major, 0x8000 | (layouts[l] == UNTORN_BTT_V1_1 ? 1 : 2));
			write_stamp(info.nlba - 1, 9, UNTORN_BTT_DURABLE);
			close_volume();
			assert_null(spec_check(ram.bytes, SIZE, base_of(layouts[l]), NULL));
			open_volume(0);
			expect_stamp(info.nlba - 1, 9);
			close_volume();
		}
	}
}

static void test_format_arguments(void **state)
{
	static const uint32_t bad[] = {1, 511, 513, 521, 2048, 4095, 4097, 12288, 65537, 131072, UINT32_MAX};
	struct untorn_media *slice;
	struct untorn_btt_format_options options = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(format(UNTORN_BTT_V1_1, bad[i], 0), -EINVAL);
	assert_int_equal(format(UNTORN_BTT_PMEMBLK, 65537, 0), -EINVAL);
	assert_int_equal(format((enum untorn_btt_layout)4, 512, 0), -EINVAL);
	assert_int_equal(format(UNTORN_BTT_V1_1, 512, 1u << 1), -EINVAL);
	assert_int_equal(format(UNTORN_BTT_PMEMBLK, 65536, 0), -ENXIO); /* not even 512 blocks */
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		options.layout = layouts[l];
		assert_int_equal(untorn_media_slice(ram.media, 0, 16 * MIB + base_of(layouts[l]) - 4096, &slice), 0);
		assert_int_equal(untorn_btt_format(slice, &options), -ENXIO);
		untorn_media_close(slice);
	}
	assert_true(is_zero(ram.bytes, SIZE));
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		options.layout = layouts[l];
		options.flags = UNTORN_BTT_FORCE;
		assert_int_equal(untorn_media_slice(ram.media, MIB - 8192, 16 * MIB + base_of(layouts[l]), &slice), 0);
		assert_int_equal(untorn_btt_format(slice, &options), 0);
		assert_int_equal(untorn_btt_open(slice, NULL, &btt), 0);
		close_volume();
		untorn_media_close(slice);
	}
	/* The slice is the container: nothing before or behind it. */
	assert_true(is_zero(ram.bytes, MIB - 8192));
	assert_int_equal(format(UNTORN_BTT_AUTO, 0, UNTORN_BTT_FORCE), 0);
	open_volume(0);
	assert_int_equal(info.layout, UNTORN_BTT_V1_1);
	assert_int_equal(info.sector_size, 4096);
	close_volume();
}

/* Each layout over each: refused without force, and with it nothing of the old one can be found again. */
static void test_format_over(void **state)
{
	(void)state;
	for (size_t from = 0; from < ARRAY_SIZE(layouts); from++) {
		for (size_t to = 0; to < ARRAY_SIZE(layouts); to++) {
			uint64_t sum;

			teardown(NULL);
			setup(NULL);
			new_volume(layouts[from], 512);
			for (uint64_t lba = 0; lba < 600; lba++)
				write_stamp(lba, 0x33, 0);
			close_volume();
			sum = ram_sum(&ram);
			assert_int_equal(format(layouts[to], 4096, 0), -EEXIST);
			assert_int_equal(ram_sum(&ram), sum);
			assert_int_equal(format(layouts[to], 4096, UNTORN_BTT_FORCE), 0);
			assert_null(spec_check(ram.bytes, SIZE, base_of(layouts[to]), NULL));
			open_volume(0);
			assert_int_equal(info.layout, layouts[to]);
			assert_int_equal(info.sector_size, 4096);
			close_volume();
			for (size_t other = 0; other < ARRAY_SIZE(layouts); other++)
				if (other != to)
					expect_refused_as(layouts[other], -ENXIO);
		}
	}
}

static void expect_recognised(const char *what)
{
	const char *seen = "untouched";

	assert_int_equal(untorn_btt_recognise(ram.media, &seen), 0);
	if (!what) {
		assert_null(seen);
		return;
	}
	assert_non_null(seen);
	assert_string_equal(seen, what);
	assert_int_equal(format(UNTORN_BTT_V1_1, 4096, 0), -EEXIST);
}

static void test_recognise(void **state)
{
	(void)state;
	expect_recognised(NULL);
	assert_int_equal(format(UNTORN_BTT_V1_1, 4096, 0), 0);
	expect_recognised("BTT 1.1");
	memset(ram.bytes + 4096, 0, 4096);
	expect_recognised("backup of a BTT's info block");
	assert_int_equal(format(UNTORN_BTT_V2_0, 4096, UNTORN_BTT_FORCE), 0);
	expect_recognised("BTT 2.0");
	memset(ram.bytes, 0, 4096);
	expect_recognised("backup of a BTT's info block");
	assert_int_equal(format(UNTORN_BTT_PMEMBLK, 4096, UNTORN_BTT_FORCE), 0);
	expect_recognised("pmemblk pool");
	memset(ram.bytes, 0, 4096);
	expect_recognised("BTT of a pmemblk pool");
	memset(ram.bytes + 8192, 0, 4096);
	expect_recognised("backup of a BTT's info block");
	memset(ram.bytes + SIZE - 4096, 0, 4096);
	expect_recognised(NULL);
	/* The label area of an NVDIMM image, whatever its size. */
	memcpy(ram.bytes + SIZE - (128 << 10), "NAMESPACE_INDEX", 16);
	expect_recognised("NVDIMM label area");
	memset(ram.bytes + SIZE - (128 << 10), 0, 16);
	memcpy(ram.bytes + SIZE - (256 << 10) + 512, "NAMESPACE_INDEX", 16);
	expect_recognised(NULL); /* in nobody's place */
	/* A damaged one is still one. */
	memset(ram.bytes + SIZE - (256 << 10) + 512, 0, 16);
	assert_int_equal(format(UNTORN_BTT_V1_1, 4096, 0), 0);
	ram.bytes[4096 + 60] ^= 1;
	expect_recognised("BTT 1.1");
}

/* ------------------------------------------------------- what open refuses ----------------------------------------------- */

static void reseal(uint64_t off)
{
	spec_seal(ram.bytes + off);
}

static void put32(uint64_t off, uint32_t v)
{
	memcpy(ram.bytes + off, &(uint32_t){htole32(v)}, 4);
}

static void test_nothing_there(void **state)
{
	(void)state;
	expect_refused(-ENXIO);
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++)
		expect_refused_as(layouts[l], -ENXIO);
	memset(ram.bytes, 0x5a, SIZE);
	expect_refused(-ENXIO);
}

/* Each field of a first info block set to extreme values, the checksum right. */
static void test_bad_info(void **state)
{
	static const struct {
		unsigned off, len;
		int error;
		bool may_open; /* some values are fine */
	} fields[] = {
		{0, 4, -ENXIO, false},    {52, 2, -EOPNOTSUPP, false}, {54, 2, -EOPNOTSUPP, false},
		{56, 4, -EUCLEAN, true},  {60, 4, -EUCLEAN, false},    {64, 4, -EUCLEAN, true},
		{68, 4, -EUCLEAN, false}, {72, 4, -EUCLEAN, false},    {76, 4, -EUCLEAN, false},
		{80, 8, -EUCLEAN, true},  {88, 8, -EUCLEAN, true},     {96, 8, -EUCLEAN, true},
		{104, 8, -EUCLEAN, true}, {112, 8, -EUCLEAN, true},
	};
	static const uint64_t values[] = {
		0,          1,          255,      511,        4095,       4097,        0x7fffffff,          0x80000000,
		0xfffff000, 0xffffffff, 16 * MIB, 1ull << 32, 1ull << 38, 1ull << 39,  (1ull << 39) + 4096, 1ull << 40,
		1ull << 62, 1ull << 63, ~4095ull, UINT64_MAX, SIZE,       SIZE - 4096, SIZE - 8192,
	};
	uint8_t good[4096];

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint64_t base = base_of(layouts[l]);

		assert_int_equal(format(layouts[l], 4096, UNTORN_BTT_FORCE), 0);
		memcpy(good, ram.bytes + base, 4096);
		for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
			for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
				uint64_t value = htole64(values[v]), sum;
				int r;

				memcpy(ram.bytes + base + fields[f].off, &value, fields[f].len);
				if (memcmp(ram.bytes + base, good, 4096) == 0)
					continue;
				reseal(base);
				sum = ram_sum(&ram);
				btt = NULL;
				r = try_open(layouts[l], UNTORN_BTT_READ_ONLY);
				if (r == 0) {
					assert_true(fields[f].may_open);
					close_volume();
				} else {
					assert_int_equal(r, fields[f].error);
					assert_int_equal(try_open(layouts[l], 0), r);
					assert_null(btt);
				}
				assert_int_equal(ram_sum(&ram), sum);
				memcpy(ram.bytes + base, good, 4096);
			}
		}
		/* A checksum that is not right. */
		ram.bytes[base + 4000] ^= 1;
		expect_refused_as(layouts[l], -EUCLEAN);
		memset(ram.bytes, 0, 3 * 4096);
	}
}

/* Other versions are not damage. */
static void test_versions(void **state)
{
	(void)state;
	assert_int_equal(format(UNTORN_BTT_V1_1, 4096, 0), 0);
	put32(4096 + 52, 3);
	reseal(4096);
	expect_refused(-EOPNOTSUPP);
	expect_refused_as(UNTORN_BTT_V1_1, -EOPNOTSUPP);
	put32(4096 + 52, 2); /* 2.0 belongs to byte 0 */
	reseal(4096);
	expect_refused(-EOPNOTSUPP);
}

/* ------------------------------------------------------- two layouts at once --------------------------------------------- */

/* The info blocks of a volume over the first `size` bytes, where a sector of the real one could have put them. */
static void forge(enum untorn_btt_layout layout, uint64_t size)
{
	uint8_t *scratch = calloc(1, size);
	uint64_t base = base_of(layout);

	assert_non_null(scratch);
	spec_make(scratch, size,
		  &(struct spec_options){
			  .base = base,
			  .major = layout == UNTORN_BTT_V1_1 ? 1 : 2,
			  .minor = layout == UNTORN_BTT_V1_1 ? 1 : 0,
			  .external_lbasize = 4096,
			  .internal_lbasize = 4096,
			  .nfree = 256,
		  });
	memcpy(ram.bytes + base, scratch + base, 4096);
	memcpy(ram.bytes + size - 4096, scratch + size - 4096, 4096);
	free(scratch);
}

static void test_two_layouts(void **state)
{
	static const enum untorn_btt_layout both[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint64_t real_at = base_of(both[i]), fake_at = 4096 - real_at;

		/* The backup decides. */
		memset(ram.bytes, 0, SIZE);
		assert_int_equal(format(both[!i], 4096, 0), 0);

		uint8_t fake[4096];

		memcpy(fake, ram.bytes + fake_at, 4096);
		assert_int_equal(format(both[i], 4096, UNTORN_BTT_FORCE), 0);
		open_volume(0);
		write_stamp(77, 0x77, 0);
		close_volume();
		memcpy(ram.bytes + fake_at, fake, 4096);
		open_volume(0);
		assert_int_equal(info.layout, both[i]);
		expect_stamp(77, 0x77);
		close_volume();

		/* One that is damaged beside it changes nothing. */
		ram.bytes[fake_at + 2000] ^= 1;
		open_volume(0);
		assert_int_equal(info.layout, both[i]);
		close_volume();
		ram.bytes[fake_at + 2000] ^= 1;

		/* A fake whose "backup" is a sector that the volume's user wrote: a smaller volume, whole in itself. */
		forge(both[!i], 9 * MIB);
		open_volume(0);
		assert_int_equal(info.layout, both[i]);
		expect_stamp(77, 0x77);
		close_volume();

		/* The real one damaged: its fake must not be taken for the volume. */
		ram.bytes[real_at + 2000] ^= 1;
		expect_refused(-EUCLEAN);
		ram.bytes[real_at + 2000] ^= 1;

		/* No backup: only the caller knows. */
		memset(ram.bytes + SIZE - 4096, 0, 4096);
		memcpy(ram.bytes + fake_at, fake, 4096);
		expect_refused(-ENOTUNIQ);
		assert_int_equal(try_open(both[i], 0), 0);
		untorn_btt_get_info(btt, &info);
		expect_stamp(77, 0x77);
		close_volume();
		/* An intact one without backup beside a damaged one may be a sector of it. */
		ram.bytes[fake_at + 2000] ^= 1;
		expect_refused(-EUCLEAN);
		/* Alone it is what it says. */
		memset(ram.bytes + fake_at, 0, 4096);
		open_volume(0);
		assert_int_equal(info.layout, both[i]);
		close_volume();
	}
}

/* ------------------------------------------------------------ flogs ------------------------------------------------------ */

#define LANE 3u

static struct spec_arena arena_of_ram(enum untorn_btt_layout layout)
{
	return spec_arena(ram.bytes, base_of(layout));
}

/* Leave lane LANE with an interrupted write of sector 7, whose new content is `stamp`. Returns its block. */
static uint32_t interrupt_write(struct spec_arena *a, unsigned second, uint32_t old_flags, uint32_t new_flags,
				uint8_t stamp)
{
	uint32_t block = a->external_nlba + LANE;

	a->second = second;
	memset(ram.bytes + a->base + a->dataoff + (uint64_t)block * a->internal_lbasize, stamp, a->external_lbasize);
	spec_set_slot(ram.bytes, a, LANE, second, (struct spec_slot){7, 7 | old_flags, block | new_flags, 2});
	return block;
}

/* Bare and flagged values, both slot positions, read-write and read-only. SPEC 5.1, 5.5, 6.4. */
static void test_replay(void **state)
{
	static const uint32_t flags[] = {0, 0x40000000, 0x80000000, 0xc0000000};

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		for (size_t i = 0; i < 32; i++) {
			unsigned second = i & 1 ? 2 : 1;
			uint32_t old_flags = flags[i >> 1 & 3], new_flags = flags[i >> 3];
			struct untorn_btt_arena_info info1;
			struct untorn_btt_flog flog;
			struct spec_arena a;
			struct spec_facts facts;
			uint32_t block;
			uint64_t sum;

			assert_int_equal(format(layouts[l], 4096, UNTORN_BTT_FORCE), 0);
			a = arena_of_ram(layouts[l]);
			block = interrupt_write(&a, second, old_flags, new_flags, 0x42);
			sum = ram_sum(&ram);

			open_volume(UNTORN_BTT_READ_ONLY);
			expect_stamp(7, 0x42);
			assert_int_equal(untorn_btt_get_arena(btt, 0, &info1), 0);
			assert_int_equal(info1.replayed, 1);
			assert_int_equal(info1.padding, second == 2 ? UNTORN_BTT_PADDING_02 : UNTORN_BTT_PADDING_01);
			close_volume();
			assert_int_equal(ram_sum(&ram), sum);

			open_volume(0);
			expect_stamp(7, 0x42);
			assert_int_equal(untorn_btt_get_arena(btt, 0, &info1), 0);
			assert_int_equal(info1.replayed, 1);
			assert_int_equal(untorn_btt_get_flog(btt, 0, LANE, &flog), 0);
			assert_int_equal(flog.current, 1);
			assert_int_equal(flog.slot[1].lba, 7);
			assert_int_equal(flog.slot[1].old_map, 7 | old_flags);
			assert_int_equal(flog.slot[1].new_map, block | new_flags);
			assert_int_equal(flog.slot[1].seq, 2);
			assert_int_equal(flog.slot[0].seq, 1);
			assert_int_equal(flog.free_block, 7);
			assert_int_equal(flog.off, a.base + a.logoff + 64 * LANE);
			close_volume();
			assert_int_equal(spec_map(ram.bytes, &a, 7), 0xc0000000 | block);
			assert_null(spec_check(ram.bytes, SIZE, a.base, &facts));
			assert_int_equal(facts.npending, 0);

			/* Once is enough. */
			open_volume(0);
			assert_int_equal(untorn_btt_get_arena(btt, 0, &info1), 0);
			assert_int_equal(info1.replayed, 0);
			for (uint64_t lba = 0; lba < 600; lba++)
				write_stamp(lba, (uint8_t)lba, 0);
			for (uint64_t lba = 0; lba < 600; lba++)
				expect_stamp(lba, (uint8_t)lba);
			close_volume();
			assert_null(spec_check(ram.bytes, SIZE, a.base, &facts));
			assert_int_equal(facts.arena.second, second);
		}
	}
}

/* The map says something else than the log's old value: the write was finished, and perhaps followed by others. */
static void test_no_replay(void **state)
{
	static const uint32_t entries[] = {0xc0000000, 0x80000000, 0x40000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct untorn_btt_arena_info arena;
		struct spec_arena a;
		uint32_t block;

		assert_int_equal(format(UNTORN_BTT_V2_0, 4096, UNTORN_BTT_FORCE), 0);
		a = arena_of_ram(UNTORN_BTT_V2_0);
		block = interrupt_write(&a, 1, 0, 0, 0x42);
		spec_set_map(ram.bytes, &a, 7, entries[i] | block);
		open_volume(0);
		assert_int_equal(untorn_btt_get_arena(btt, 0, &arena), 0);
		assert_int_equal(arena.replayed, 0);
		close_volume();
		assert_int_equal(spec_map(ram.bytes, &a, 7), entries[i] | block);
	}
}

/* Pool logs hold what PMDK compares with the map; Linux logs hold bare numbers. */
static void test_logged_values(void **state)
{
	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint32_t flags = layouts[l] == UNTORN_BTT_PMEMBLK ? 0xc0000000 : 0, raw = 0, lane;
		static const uint32_t states[] = {0, 0xc0000000, 0x80000000, 0x40000000};
		struct untorn_btt_mapping before, after;
		struct untorn_btt_flog flog;

		teardown(NULL);
		setup(NULL);
		new_volume(layouts[l], 4096);
		for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
			if (states[i] == 0x80000000)
				assert_int_equal(untorn_btt_discard(btt, 9, 1), 0);
			if (states[i] == 0x40000000)
				assert_int_equal(untorn_btt_mark_error(btt, 9), 0);
			assert_int_equal(untorn_btt_lookup(btt, 9, &before), 0);
			assert_int_equal(before.raw & 0xc0000000, states[i]);
			write_stamp(9, 1, UNTORN_BTT_DURABLE);
			assert_int_equal(untorn_btt_lookup(btt, 9, &after), 0);
			assert_int_equal(after.raw, 0xc0000000 | after.postmap);
			for (lane = 0; lane < 256; lane++) {
				assert_int_equal(untorn_btt_get_flog(btt, 0, lane, &flog), 0);
				if ((flog.slot[flog.current].new_map & 0x3fffffff) == after.postmap)
					break;
			}
			assert_true(lane < 256);
			raw = states[i] == 0 ? before.postmap | flags : flags ? before.raw : before.postmap;
			assert_int_equal(flog.slot[flog.current].lba, 9);
			assert_int_equal(flog.slot[flog.current].old_map, raw);
			assert_int_equal(flog.slot[flog.current].new_map, after.postmap | flags);
			assert_int_equal(flog.free_block, before.postmap);
		}
		close_volume();
	}
}

static void test_bad_flogs(void **state)
{
	struct spec_arena a;
	struct spec_slot cases[16];
	unsigned n = 0;
	uint32_t ext, all;

	(void)state;
	assert_int_equal(format(UNTORN_BTT_V1_1, 4096, 0), 0);
	a = arena_of_ram(UNTORN_BTT_V1_1);
	ext = a.external_nlba;
	all = a.internal_nlba;
	cases[n++] = (struct spec_slot){ext, 5, ext + LANE, 2};        /* no such lba */
	cases[n++] = (struct spec_slot){UINT32_MAX, 5, ext + LANE, 2}; /* the same */
	cases[n++] = (struct spec_slot){7, all, ext + LANE, 2};        /* no such old block */
	cases[n++] = (struct spec_slot){7, 0x3fffffff, 5, 2};          /* the same */
	cases[n++] = (struct spec_slot){7, 5, all, 2};                 /* no such new block */
	cases[n++] = (struct spec_slot){7, 5, 0xffffffff, 2};          /* the same, flagged */
	cases[n++] = (struct spec_slot){7, 7, ext + LANE, 1};          /* equal numbers */
	cases[n++] = (struct spec_slot){7, 7, ext + LANE, 4};          /* no such number */
	cases[n++] = (struct spec_slot){7, 7, ext + LANE, UINT32_MAX}; /* the same */
	cases[n++] = (struct spec_slot){8, ext + 4, ext + LANE, 2};    /* lane 4's free block */
	cases[n++] = (struct spec_slot){8, 8, ext + 4, 2};             /* lane 4's free block, for lba 8 */
	for (unsigned i = 0; i < n; i++) {
		struct spec_slot old = spec_slot(ram.bytes, &a, LANE, 1);

		spec_set_slot(ram.bytes, &a, LANE, 1, cases[i]);
		expect_refused(-EUCLEAN);
		spec_set_slot(ram.bytes, &a, LANE, 1, old);
	}

	/* Two interrupted writes of one sector. */
	spec_set_slot(ram.bytes, &a, 3, 1, (struct spec_slot){7, 7, ext + 3, 2});
	spec_set_slot(ram.bytes, &a, 4, 1, (struct spec_slot){7, 7, ext + 4, 2});
	expect_refused(-EUCLEAN);
	/* The same, when the map has one of them: lane 3's, and lane 4 superseded nothing that there is. */
	spec_set_map(ram.bytes, &a, 7, 0xc0000000 | (ext + 3));
	expect_refused(-EUCLEAN);
	spec_set_map(ram.bytes, &a, 7, 0);
	spec_set_slot(ram.bytes, &a, 3, 1, (struct spec_slot){0});
	spec_set_slot(ram.bytes, &a, 4, 1, (struct spec_slot){0});

	/* Padding: a slot too many, slots {0,3}, both {0,1} and {0,2}. */
	spec_set_slot(ram.bytes, &a, 9, 3, (struct spec_slot){0, 0, 0, 2});
	expect_refused(-EUCLEAN);
	spec_set_slot(ram.bytes, &a, 9, 3, (struct spec_slot){0});
	spec_set_slot(ram.bytes, &a, 9, 1, (struct spec_slot){9, ext + 9, ext + 9, 2});
	spec_set_slot(ram.bytes, &a, 10, 2, (struct spec_slot){9, ext + 10, ext + 10, 2});
	expect_refused(-EUCLEAN);
	spec_set_slot(ram.bytes, &a, 9, 1, (struct spec_slot){0});
	spec_set_slot(ram.bytes, &a, 10, 2, (struct spec_slot){0});
	spec_set_slot(ram.bytes, &a, 255, 0, (struct spec_slot){0});
	expect_refused(-EUCLEAN);
	spec_set_slot(ram.bytes, &a, 255, 0, (struct spec_slot){255, ext + 255, ext + 255, 1});
	open_volume(0);
	close_volume();
}

/* A map entry that points nowhere is that sector's trouble alone. */
static void test_bad_map_entry(void **state)
{
	uint8_t sectors[4 * 4096];
	struct spec_arena a;

	(void)state;
	new_volume(UNTORN_BTT_V1_1, 4096);
	for (uint64_t lba = 0; lba < 4; lba++)
		write_stamp(lba, (uint8_t)(lba + 1), 0);
	close_volume();
	a = arena_of_ram(UNTORN_BTT_V1_1);
	for (uint32_t entry = 0x40000000; entry; entry += 0x40000000) {
		spec_set_map(ram.bytes, &a, 2, entry | a.internal_nlba);
		open_volume(0);
		expect_stamp(1, 2);
		expect_stamp(3, 4);
		assert_int_equal(untorn_btt_read(btt, 2, 1, sectors, NULL), -EIO);
		assert_int_equal(untorn_btt_read(btt, 0, 4, sectors, NULL), -EIO);
		assert_int_equal(untorn_btt_write(btt, 2, 1, sectors, NULL, 0), -EIO);
		assert_int_equal(untorn_btt_write(btt, 2, 1, sectors, NULL, UNTORN_BTT_DURABLE), -EIO);
		assert_int_equal(untorn_btt_pwrite(btt, "x", 1, 2 * 4096 + 7, 0), -EIO);
		assert_int_equal(untorn_btt_discard(btt, 2, 1), -EIO);
		assert_int_equal(untorn_btt_mark_error(btt, 2), -EIO);
		write_stamp(3, 4, UNTORN_BTT_DURABLE);
		close_volume();
		assert_int_equal(spec_map(ram.bytes, &a, 2), entry | a.internal_nlba);
	}
}

/* The arena's error flag: reads go on, nothing is written. SPEC 7. */
static void test_error_flag(void **state)
{
	uint8_t sector[4096];
	uint64_t sum;

	(void)state;
	new_volume(UNTORN_BTT_V2_0, 4096);
	write_stamp(5, 5, 0);
	close_volume();
	put32(48, 1);
	reseal(0);
	sum = ram_sum(&ram);
	open_volume(0);
	expect_stamp(5, 5);
	assert_int_equal(untorn_btt_write(btt, 5, 1, sector, NULL, 0), -EIO);
	assert_int_equal(untorn_btt_write(btt, 5, 1, sector, NULL, UNTORN_BTT_DURABLE), -EIO);
	assert_int_equal(untorn_btt_pwrite(btt, sector, 1, 0, 0), -EIO);
	assert_int_equal(untorn_btt_discard(btt, 5, 1), -EIO);
	assert_int_equal(untorn_btt_mark_error(btt, 5), -EIO);
	assert_int_equal(untorn_btt_flush(btt), 0);
	close_volume();
	assert_int_equal(ram_sum(&ram), sum);
}

/* ------------------------------------------------------- states, extents ------------------------------------------------- */

static void expect_extent(uint64_t lba, uint64_t n, uint64_t expected_n, int expected_zero)
{
	uint64_t seen_n;
	int zero;

	assert_int_equal(untorn_btt_extent(btt, lba, n, &seen_n, &zero), 0);
	assert_int_equal(seen_n, expected_n);
	assert_int_equal(zero, expected_zero);
}

static void test_extents(void **state)
{
	(void)state;
	/* A medium without holes: of a Linux volume nothing is known, of a pool everything. */
	new_volume(UNTORN_BTT_V1_1, 4096);
	expect_extent(0, info.nlba, info.nlba, 0);
	assert_int_equal(untorn_btt_discard(btt, 10, 20), 0);
	expect_extent(0, info.nlba, 10, 0);
	expect_extent(10, info.nlba - 10, 20, 1);
	expect_extent(10, 20, 20, 1);
	expect_extent(15, 3, 3, 1);
	expect_extent(30, info.nlba - 30, info.nlba - 30, 0);
	write_stamp(20, 1, UNTORN_BTT_DURABLE);
	expect_extent(10, 100, 10, 1);
	expect_extent(20, 100, 1, 0);
	expect_extent(21, 100, 9, 1);
	write_stamp(11, 1, 0); /* buffered */
	expect_extent(10, 100, 1, 1);
	expect_extent(11, 100, 1, 0);
	assert_int_equal(untorn_btt_discard(btt, 11, 1), 0);
	expect_extent(10, 100, 10, 1);
	assert_int_equal(untorn_btt_mark_error(btt, 12), 0);
	expect_extent(10, 100, 2, 1);
	expect_extent(12, 100, 1, 0);
	close_volume();

	assert_int_equal(format(UNTORN_BTT_PMEMBLK, 512, UNTORN_BTT_FORCE), 0);
	open_volume(0);
	expect_extent(0, info.nlba, info.nlba, 1);
	write_stamp(5, 0, 0);
	expect_extent(0, info.nlba, 5, 1);
	expect_extent(5, info.nlba - 5, 1, 0);
	close_volume();
}

static void test_states(void **state)
{
	struct untorn_btt_mapping m;
	uint8_t sector[4096], meta[64];

	(void)state;
	new_volume(UNTORN_BTT_V2_0, 4160);
	assert_int_equal(untorn_btt_lookup(btt, 50, &m), 0);
	assert_int_equal(m.state, UNTORN_BTT_INITIAL);
	assert_int_equal(m.raw, 0);
	assert_int_equal(m.arena, 0);
	assert_int_equal(m.premap, 50);
	assert_int_equal(m.postmap, 50);
	assert_int_equal(m.block_off, 4096 + 50 * 4160);
	assert_int_equal(m.map_off, arena_of_ram(UNTORN_BTT_V2_0).mapoff + 200);

	assert_int_equal(untorn_btt_mark_error(btt, 50), 0);
	assert_int_equal(untorn_btt_read(btt, 50, 1, sector, NULL), -EIO);
	assert_int_equal(untorn_btt_lookup(btt, 50, &m), 0);
	assert_int_equal(m.state, UNTORN_BTT_ERROR);
	assert_int_equal(m.raw, 0x40000000 | 50);
	/* A part of it cannot be kept. */
	assert_int_equal(untorn_btt_pwrite(btt, "x", 1, 50 * 4096, 0), -EIO);
	assert_int_equal(untorn_btt_pwrite_zeroes(btt, 4095, 50 * 4096, UNTORN_BTT_DURABLE), -EIO);
	/* All of it heals it. */
	write_stamp(50, 6, 0);
	expect_stamp(50, 6);
	assert_int_equal(untorn_btt_lookup(btt, 50, &m), 0);
	assert_int_equal(m.state, UNTORN_BTT_NORMAL);
	assert_int_equal(untorn_btt_mark_error(btt, 50), 0);
	assert_int_equal(untorn_btt_read(btt, 50, 1, sector, meta), -EIO);
	assert_int_equal(untorn_btt_discard(btt, 50, 1), 0);
	expect_stamp(50, 0);
	assert_int_equal(untorn_btt_lookup(btt, 50, &m), 0);
	assert_int_equal(m.state, UNTORN_BTT_ZERO);
	assert_int_equal(m.raw, 0x80000000 | m.postmap);

	/* Metadata goes with the sector, a part of a write keeps it, a whole one without it zeroes it. */
	memset(sector, 1, 4096);
	memset(meta, 2, 64);
	assert_int_equal(untorn_btt_write(btt, 50, 1, sector, meta, 0), 0);
	assert_int_equal(untorn_btt_pwrite(btt, "x", 1, 50 * 4096 + 5, UNTORN_BTT_DURABLE), 0);
	memset(meta, 0, 64);
	assert_int_equal(untorn_btt_read(btt, 50, 1, sector, meta), 0);
	assert_int_equal(meta[0], 2);
	assert_int_equal(meta[63], 2);
	assert_int_equal(sector[5], 'x');
	assert_int_equal(sector[6], 1);
	assert_int_equal(untorn_btt_pwrite(btt, sector, 4096, 50 * 4096, 0), 0);
	assert_int_equal(untorn_btt_read(btt, 50, 1, sector, meta), 0);
	assert_true(is_zero(meta, 64));
	close_volume();
}

/* Small sectors of a Linux layout never get the zero state, which Linux misreads: their zeros are data. */
static void test_zeros_as_data(void **state)
{
	struct untorn_btt_mapping m;
	uint8_t sector[512], meta[8];

	(void)state;
	new_volume(UNTORN_BTT_V1_1, 520);
	assert_int_equal(info.has_zero_state, 0);
	memset(meta, 7, sizeof(meta));
	memset(sector, 7, sizeof(sector));
	for (uint64_t lba = 8; lba < 16; lba++)
		assert_int_equal(untorn_btt_write(btt, lba, 1, sector, meta, lba % 2 ? UNTORN_BTT_DURABLE : 0), 0);
	assert_int_equal(untorn_btt_write_zeroes(btt, 9, 2), 0);
	assert_int_equal(untorn_btt_discard(btt, 11, 1), 0);
	assert_int_equal(untorn_btt_pwrite_zeroes(btt, 2 * 512, 12 * 512, 0), 0);
	close_volume();

	open_volume(0);
	for (uint64_t lba = 8; lba < 16; lba++) {
		bool zeroed = lba >= 9 && lba < 14;

		assert_int_equal(untorn_btt_lookup(btt, lba, &m), 0);
		assert_int_equal(m.state, UNTORN_BTT_NORMAL);
		assert_int_equal(untorn_btt_read(btt, lba, 1, sector, meta), 0);
		assert_int_equal(is_zero(sector, sizeof(sector)) && is_zero(meta, sizeof(meta)), zeroed);
	}
	close_volume();
}

/* ------------------------------------------------------------- costs ----------------------------------------------------- */

static uint64_t drains_before;

static void count_drains(void)
{
	drains_before = untorn_media_drains(ram.media);
}

static void expect_drains(uint64_t n)
{
	assert_int_equal(untorn_media_drains(ram.media) - drains_before, n);
	count_drains();
}

static void test_drains(void **state)
{
	static uint8_t sectors[256 * 512];

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		assert_int_equal(format(layouts[l], 512, UNTORN_BTT_FORCE), 0);
		open_volume(0);
		count_drains();
		for (unsigned round = 0; round < 5; round++) {
			static const uint64_t counts[] = {1, 2, 17, 32, 33, 100, 256};

			for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
				assert_int_equal(
					untorn_btt_write(btt, 100 * i, counts[i], sectors, NULL, UNTORN_BTT_DURABLE),
					0);
				expect_drains(2);
			}
			assert_int_equal(untorn_btt_pwrite(btt, "part", 4, 1000, UNTORN_BTT_DURABLE), 0);
			expect_drains(2);
			assert_int_equal(untorn_btt_flush(btt), 0);
			expect_drains(0);

			/* Buffered: nothing until the flush, and then two for all. */
			for (uint64_t i = 0; i < 256; i++)
				write_stamp(i * 61 % 9000, (uint8_t)i, 0);
			expect_drains(0);
			assert_int_equal(untorn_btt_read(btt, 0, 256, sectors, NULL), 0);
			expect_drains(0);
			assert_int_equal(untorn_btt_flush(btt), 0);
			expect_drains(2);
			assert_int_equal(untorn_btt_write(btt, 777, 256, sectors, NULL, 0), 0);
			assert_int_equal(untorn_btt_pwrite(btt, "part", 4, 1000, 0), 0);
			/* The part found no lane free: all were committed for it. */
			expect_drains(2);
			assert_int_equal(untorn_btt_flush(btt), 0);
			expect_drains(2);

			/* The same sector again and again takes its own lane's place. */
			for (uint64_t i = 0; i < 1000; i++)
				write_stamp(5, (uint8_t)i, 0);
			expect_drains(0);
			assert_int_equal(untorn_btt_flush(btt), 0);
			expect_drains(2);
			if (info.has_zero_state) {
				assert_int_equal(untorn_btt_discard(btt, 0, info.nlba), 0);
				expect_drains(1);
				assert_int_equal(untorn_btt_discard(btt, 0, info.nlba), 0);
				expect_drains(0);
			}
			assert_int_equal(untorn_btt_mark_error(btt, 9500), 0);
			expect_drains(1);
		}
		/* A clean close has at most the map lines to settle. */
		assert_int_equal(untorn_btt_flush(btt), 0);
		count_drains();
		close_volume();
		assert_true(untorn_media_drains(ram.media) - drains_before <= 1);
		/* Opening a clean volume writes nothing. */
		count_drains();
		open_volume(0);
		expect_drains(0);
		close_volume();
		expect_drains(0);
	}
}

/* Many map lines of one stripe left behind: more than its list holds. Each write is durable and the map right. */
static void test_many_lines_of_a_stripe(void **state)
{
	(void)state;
	new_volume(UNTORN_BTT_V2_0, 512);
	for (unsigned round = 0; round < 3; round++)
		for (uint64_t lba = 0; lba < info.nlba; lba += 4096)
			write_stamp(lba, (uint8_t)(lba / 4096 + round), UNTORN_BTT_DURABLE);
	for (uint64_t lba = 0; lba < info.nlba; lba += 4096)
		expect_stamp(lba, (uint8_t)(lba / 4096 + 2));
	close_volume();
	assert_null(spec_check(ram.bytes, SIZE, 0, NULL));
}

#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(test_bounds),
		row(test_arguments),
		row(test_read_only),
		row(test_format),
		row(test_format_wide),
		row(test_format_arguments),
		row(test_format_over),
		row(test_recognise),
		row(test_nothing_there),
		row(test_bad_info),
		row(test_versions),
		row(test_two_layouts),
		row(test_replay),
		row(test_no_replay),
		row(test_logged_values),
		row(test_bad_flogs),
		row(test_bad_map_entry),
		row(test_error_flag),
		row(test_extents),
		row(test_states),
		row(test_zeros_as_data),
		row(test_drains),
		row(test_many_lines_of_a_stripe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
