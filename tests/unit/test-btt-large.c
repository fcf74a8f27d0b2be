/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes of more than one arena, on sparse files: sectors on both sides of each boundary, and nothing that costs what the
 * volume's size would.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "ram.h"
#include "spec.h"
#include "untorn/btt.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static char path[4096];
static struct untorn_media *media;
static struct untorn_btt *btt;
static struct untorn_btt_info info;

/* A sparse file of that size; skips the test where the file system has no such files. */
static void new_file(uint64_t size)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, sizeof(path), "%s/untorn-large-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	if (ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		unlink(path);
		skip();
	}
	close(fd);
	assert_int_equal(untorn_media_open(path, UNTORN_MEDIA_VOLATILE, 0, &media), 0);
}

static void free_file(void)
{
	untorn_media_close(media);
	unlink(path);
}

static void open_volume(unsigned flags)
{
	assert_int_equal(untorn_btt_open(media, &(struct untorn_btt_open_options){.flags = flags}, &btt), 0);
	untorn_btt_get_info(btt, &info);
}

static uint64_t used_bytes(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Open and close with no more address space than is in use now, but for so many bytes. A sanitizer needs more itself. */
static void open_within(uint64_t bytes)
{
#ifdef SANITIZED
	bytes += 1ull << 44;
#endif
	struct rlimit old, tight;
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	tight = (struct rlimit){pages * 4096 + bytes, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	open_volume(0);
	assert_int_equal(untorn_btt_close(btt), 0);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
}

/* A sector's content says its lba. */
static void fill(uint8_t *sector, uint64_t lba, uint32_t round)
{
	for (uint32_t i = 0; i < info.sector_size; i++)
		sector[i] = (uint8_t)(lba * 7 + (lba >> 32) + i * 3 + round);
}

static void write_around(uint64_t lba, uint32_t n, uint32_t round, unsigned flags)
{
	uint8_t *sectors = malloc((size_t)n * info.sector_size);

	assert_non_null(sectors);
	for (uint32_t i = 0; i < n; i++)
		fill(sectors + (size_t)i * info.sector_size, lba + i, round);
	assert_int_equal(untorn_btt_write(btt, lba, n, sectors, NULL, flags), 0);
	free(sectors);
}

static void expect_around(uint64_t lba, uint32_t n, uint32_t round)
{
	size_t len = (size_t)n * info.sector_size;
	uint8_t *seen = malloc(len), *expected = malloc(len);

	assert_true(seen && expected);
	for (uint32_t i = 0; i < n; i++)
		fill(expected + (size_t)i * info.sector_size, lba + i, round);
	assert_int_equal(untorn_btt_read(btt, lba, n, seen, NULL), 0);
	assert_memory_equal(seen, expected, len);
	memset(seen, 0, len);
	assert_int_equal(untorn_btt_pread(btt, seen, len - 3, lba * info.sector_size + 2), 0);
	assert_memory_equal(seen, expected + 2, len - 3);
	free(seen);
	free(expected);
}

static const struct volume {
	enum untorn_btt_layout layout;
	uint32_t sector_size;
	uint64_t size;
	uint32_t narena;
} volumes[] = {
	{UNTORN_BTT_V2_0, 4096, 512 * GIB + 16 * MIB - 4096, 1},
	{UNTORN_BTT_V2_0, 4096, 512 * GIB + 16 * MIB, 2},
	{UNTORN_BTT_V1_1, 512, 513 * GIB, 2},
	{UNTORN_BTT_V1_1, 4096, 1536 * GIB, 3},
	{UNTORN_BTT_V2_0, 4104, 1536 * GIB, 3},
	{UNTORN_BTT_PMEMBLK, 4096, 1024 * GIB + 100 * MIB, 3},
};

static void check_volume(const struct volume *v)
{
	const struct untorn_btt_format_options options = {.layout = v->layout, .sector_size = v->sector_size};
	struct untorn_btt_arena_info arena;
	uint64_t first = 0;

	new_file(v->size);
	assert_int_equal(untorn_btt_format(media, &options), 0);
	/* Info blocks and flogs, no maps and no data. */
	assert_true(used_bytes() < v->narena * 256 * 1024);
	open_within(4 * MIB);

	open_volume(0);
	assert_int_equal(info.narena, v->narena);
	for (uint32_t i = 0; i < v->narena; i++) {
		assert_int_equal(untorn_btt_get_arena(btt, i, &arena), 0);
		assert_int_equal(arena.off, info.base + i * (512 * GIB));
		assert_int_equal(arena.first_lba, first);
		first += arena.external_nlba;
	}
	assert_int_equal(untorn_btt_get_arena(btt, v->narena, &arena), -ERANGE);
	assert_int_equal(first, info.nlba);
	assert_int_equal(info.size, info.nlba * info.sector_size);

	for (unsigned round = 0; round < 3; round++) {
		unsigned flags = round == 1 ? UNTORN_BTT_DURABLE : 0;

		write_around(0, 20, round, flags);
		write_around(info.nlba - 20, 20, round, flags);
		for (uint32_t i = 1; i < v->narena; i++) {
			struct untorn_btt_mapping last, next;
			uint64_t lba, n;
			int zero;

			assert_int_equal(untorn_btt_get_arena(btt, i, &arena), 0);
			lba = arena.first_lba;
			write_around(lba - 300, 600, round, flags);
			expect_around(lba - 300, 600, round);
			assert_int_equal(untorn_btt_lookup(btt, lba - 1, &last), 0);
			assert_int_equal(untorn_btt_lookup(btt, lba, &next), 0);
			assert_int_equal(last.arena, i - 1);
			assert_int_equal(next.arena, i);
			assert_int_equal(next.premap, 0);
			/* Bytes across the boundary. */
			assert_int_equal(untorn_btt_pwrite(btt, "atom", 4, lba * info.sector_size - 2, flags), 0);
			write_around(lba - 1, 2, round, 0);
			/* Discards too. */
			assert_int_equal(untorn_btt_discard(btt, lba - 40, 80), 0);
			assert_int_equal(untorn_btt_extent(btt, lba - 40, 80, &n, &zero), 0);
			assert_int_equal(zero, info.has_zero_state);
			assert_true(n == 40 || !zero);
			write_around(lba - 300, 600, round, flags);
		}
		/* Far from everything, and from what the first arena's numbers can hold. */
		write_around(info.nlba / 2, 3, round, flags);
		assert_int_equal(untorn_btt_close(btt), 0);

		open_volume(round == 2 ? UNTORN_BTT_READ_ONLY : 0);
		expect_around(0, 20, round);
		expect_around(info.nlba - 20, 20, round);
		expect_around(info.nlba / 2, 3, round);
		for (uint32_t i = 1; i < v->narena; i++) {
			assert_int_equal(untorn_btt_get_arena(btt, i, &arena), 0);
			expect_around(arena.first_lba - 300, 600, round);
		}
	}
	assert_int_equal(untorn_btt_close(btt), 0);
	assert_true(used_bytes() < 64 * MIB);

	/* All of it at once: what nobody wrote costs nothing. */
	open_volume(0);
	assert_int_equal(untorn_btt_discard(btt, info.nlba / 3, 3000000), 0);
	assert_int_equal(untorn_btt_close(btt), 0);
	assert_true(used_bytes() < 64 * MIB);
	free_file();
}

static void test_volumes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++)
		check_volume(&volumes[i]);
}

static void put64(uint8_t *info_block, unsigned off, uint64_t v)
{
	memcpy(info_block + off, &(uint64_t){htole64(v)}, 8);
	spec_seal(info_block);
}

/* Later arenas that are damaged, foreign, or lead nowhere: refused, and nothing is written. */
static void test_bad_chains(void **state)
{
	const uint64_t size = 1024 * GIB + 16 * MIB, second = 512 * GIB;
	uint8_t first_block[4096], second_block[4096], bad[4096];
	struct untorn_btt_format_options options = {.layout = UNTORN_BTT_V2_0};
	unsigned n = 0;

	(void)state;
	new_file(size);
	assert_int_equal(untorn_btt_format(media, &options), 0);
	assert_int_equal(untorn_media_read(media, 0, first_block, 4096), 0);
	assert_int_equal(untorn_media_read(media, second, second_block, 4096), 0);

	for (n = 0; n < 10; n++) {
		uint64_t at = second;

		memcpy(bad, second_block, 4096);
		switch (n) {
		case 0: /* gone */
			memset(bad, 0, 4096);
			break;
		case 1: /* damaged */
			bad[200] ^= 1;
			break;
		case 2: /* of another BTT */
			bad[16] ^= 1;
			spec_seal(bad);
			break;
		case 3: /* of another sector size */
			bad[57] ^= 2;
			spec_seal(bad);
			break;
		case 4: /* of another container */
			memset(bad + 32, 7, 16);
			spec_seal(bad);
			break;
		case 5: /* back to itself, to the first, beyond the end */
			put64(bad, 80, (uint64_t) - (int64_t)second);
			break;
		case 6:
			put64(bad, 80, 2 * second);
			break;
		case 7:
			put64(bad, 80, 4096);
			break;
		case 8: /* the first arena leads beyond the end */
			memcpy(bad, first_block, 4096);
			put64(bad, 80, 1024 * GIB);
			at = 0;
			break;
		case 9: /* the last one leads on */
			assert_int_equal(untorn_media_read(media, 2 * second, bad, 4096), 0);
			put64(bad, 80, second);
			at = 2 * second;
			break;
		}

		uint8_t good[4096];
		struct untorn_btt_open_options any = {0}, parent = {.parent_uuid = (const uint8_t *)"0123456789abcdef"};

		assert_int_equal(untorn_media_read(media, at, good, 4096), 0);
		assert_int_equal(untorn_media_write(media, at, bad, 4096), 0);
		assert_int_equal(untorn_btt_open(media, n == 4 ? &parent : &any, &btt), -EUCLEAN);
		assert_int_equal(untorn_media_write(media, at, good, 4096), 0);
	}
	open_volume(0);
	assert_int_equal(info.narena, 3);
	assert_int_equal(untorn_btt_close(btt), 0);
	free_file();
}

/*
 * A last arena with no room for sectors of that size. Format must say so before it destroys what is there.
 */
static void test_no_room_in_the_last_arena(void **state)
{
	struct untorn_btt_format_options options = {.layout = UNTORN_BTT_V1_1};

	(void)state;
	new_file(512 * GIB + 16 * MIB + 4096);
	assert_int_equal(untorn_btt_format(media, &options), 0);
	open_volume(0);
	assert_int_equal(info.narena, 2);
	write_around(0, 1, 1, 0);
	assert_int_equal(untorn_btt_close(btt), 0);
	options.sector_size = 65536;
	options.flags = UNTORN_BTT_FORCE;
	assert_int_equal(untorn_btt_format(media, &options), -ENXIO);
	open_volume(0);
	expect_around(0, 1, 1);
	assert_int_equal(untorn_btt_close(btt), 0);
	free_file();
}

/* Format gives back what a file held, so that every sector reads as zeros. */
static void test_format_reads_zero(void **state)
{
	static uint8_t sectors[100 * 512];
	struct untorn_btt_format_options options = {.layout = UNTORN_BTT_V2_0, .sector_size = 512};
	uint8_t *rubbish = malloc(64 * MIB);
	uint64_t n;
	int zero;

	(void)state;
	assert_non_null(rubbish);
	memset(rubbish, 0x99, 64 * MIB);
	new_file(64 * MIB);
	assert_int_equal(untorn_media_write(media, 0, rubbish, 64 * MIB), 0);
	assert_true(used_bytes() >= 64 * MIB);
	assert_int_equal(untorn_btt_format(media, &options), 0);
	assert_true(used_bytes() < MIB);
	open_volume(0);
	for (uint64_t lba = 0; lba < info.nlba - 100; lba += 10007) {
		assert_int_equal(untorn_btt_read(btt, lba, 100, sectors, NULL), 0);
		assert_true(is_zero(sectors, sizeof(sectors)));
	}
	/* And is known to. */
	assert_int_equal(untorn_btt_extent(btt, 0, info.nlba, &n, &zero), 0);
	assert_int_equal(zero, 1);
	assert_int_equal(n, info.nlba);
	write_around(1000, 1, 0, 0);
	assert_int_equal(untorn_btt_extent(btt, 0, info.nlba, &n, &zero), 0);
	assert_int_equal(zero, 1);
	assert_int_equal(n, 1000);
	assert_int_equal(untorn_btt_close(btt), 0);
	free_file();
	free(rubbish);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_bad_chains),
		cmocka_unit_test(test_no_room_in_the_last_arena),
		cmocka_unit_test(test_format_reads_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
