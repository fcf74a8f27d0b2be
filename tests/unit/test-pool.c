/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers of pmemblk pools: the vectors of SPEC 8.2, and which pools are opened, refused or laid out. SPEC 8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/bits.h"
#include "btt/pool.h"
#include "media/memory.h"
#include "untorn/btt.h"

#define MIB  (1ull << 20)
#define SIZE (20 * MIB)

/* --------------------------------------------------------- headers ------------------------------------------------------- */

static void set_uuid(uint8_t *uuid, uint8_t first)
{
	for (unsigned i = 0; i < 16; i++)
		uuid[i] = (uint8_t)(first + i);
}

static struct pool_header vector(uint32_t compat, uint32_t incompat)
{
	struct pool_header h = {
		.signature = "PMEMBLK",
		.major = le32_make(1),
		.compat = le32_make(compat),
		.incompat = le32_make(incompat),
		.crtime = le64_make(1700000000),
		.alignment_desc = le64_make(0x7f737777310),
		.machine_class = 2,
		.data = 1,
		.machine = le16_make(62),
	};

	set_uuid(h.poolset_uuid, 0x20);
	set_uuid(h.uuid, 0x30);
	set_uuid(h.prev_part_uuid, 0x30);
	set_uuid(h.next_part_uuid, 0x30);
	set_uuid(h.prev_repl_uuid, 0x30);
	set_uuid(h.next_repl_uuid, 0x30);
	return h;
}

static void test_vectors(void **state)
{
	struct pool_header h = vector(0, 2), other;

	(void)state;
	assert_int_equal(pool_checksum(&h), 0x2d717769079ef36e);
	other = vector(1, 6);
	assert_int_equal(pool_checksum(&other), 0x2d718b56079ef373);

	/* With the 2K feature the bytes from 2048 on are not covered, nor is the field itself; without it all but the field. */
	memset(h.unused2, 0x55, sizeof(h.unused2));
	memset(h.sds, 0x55, sizeof(h.sds));
	h.checksum = le64_make(0x5555);
	assert_int_equal(pool_checksum(&h), 0x2d717769079ef36e);
	h.unused[1903] = 1;
	assert_int_not_equal(pool_checksum(&h), 0x2d717769079ef36e);
	h = vector(0, 0);
	other = h;
	other.checksum = le64_make(0x5555);
	assert_int_equal(pool_checksum(&h), pool_checksum(&other));
	other.sds[63] = 1;
	assert_int_not_equal(pool_checksum(&h), pool_checksum(&other));
}

static void test_make(void **state)
{
	uint8_t poolset[16];
	struct pool_header h, other;

	(void)state;
	set_uuid(poolset, 0x20);
	pool_make(poolset, &h);
	assert_memory_equal(h.signature, "PMEMBLK", 8);
	assert_int_equal(le32_get(h.major), 1);
	assert_int_equal(le32_get(h.incompat), 2);
	assert_int_equal(le32_get(h.compat), 0);
	assert_int_equal(le32_get(h.ro_compat), 0);
	assert_memory_equal(h.poolset_uuid, poolset, 16);
	assert_false(is_zero(h.uuid, 16));
	assert_memory_equal(h.prev_part_uuid, h.uuid, 16);
	assert_memory_equal(h.next_part_uuid, h.uuid, 16);
	assert_memory_equal(h.prev_repl_uuid, h.uuid, 16);
	assert_memory_equal(h.next_repl_uuid, h.uuid, 16);
	assert_int_equal(le64_get(h.alignment_desc), 0x7f737777310);
	assert_true(le64_get(h.crtime) > 1700000000);
	assert_int_equal(h.machine_class, 2);
	assert_int_equal(h.data, 1);
	assert_true(is_zero(h.reserved, 4) && is_zero(h.unused, 1904) && is_zero(h.unused2, 1976) &&
		    is_zero(h.sds, 64));
	assert_int_equal(le64_get(h.checksum), pool_checksum(&h));

	pool_make(NULL, &h);
	pool_make(NULL, &other);
	assert_memory_not_equal(h.poolset_uuid, other.poolset_uuid, 16);
	assert_memory_not_equal(h.uuid, h.poolset_uuid, 16);
}

/* ------------------------------------------------------------ a pool ----------------------------------------------------- */

struct fixture {
	uint8_t *bytes;
	struct untorn_media *media;
};

static struct pool_header *header_of(struct fixture *f)
{
	return (struct pool_header *)f->bytes;
}

static void seal(struct fixture *f)
{
	header_of(f)->checksum = le64_make(pool_checksum(header_of(f)));
}

/* As libpmemblk leaves a pool that was made and never written to. */
static int setup(void **state)
{
	static struct fixture f;

	f.bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(f.bytes != MAP_FAILED);
	assert_int_equal(memory_media_wrap(f.bytes, SIZE, &f.media), 0);
	*header_of(&f) = vector(1, 6);
	seal(&f);
	((struct pool_descriptor *)(f.bytes + 4096))->bsize = le32_make(512);
	((struct pool_descriptor *)(f.bytes + 4096))->is_zeroed = le32_make(1);
	memset(f.bytes + 4104, 0x77, 100); /* pointers of the last user */
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	untorn_media_close(f->media);
	munmap(f->bytes, SIZE);
	return 0;
}

static int open_with(struct fixture *f, unsigned flags, struct untorn_btt **ret_btt)
{
	return untorn_btt_open(f->media, &(struct untorn_btt_open_options){.flags = flags}, ret_btt);
}

static uint64_t sum(struct fixture *f)
{
	uint64_t s = 0;

	for (size_t i = 0; i < SIZE / 8; i++)
		s = s * 31 + ((uint64_t *)f->bytes)[i];
	return s;
}

static void expect_refused(struct fixture *f, int error)
{
	struct untorn_btt *btt = (void *)f;
	uint64_t before = sum(f);

	assert_int_equal(open_with(f, 0, &btt), error);
	assert_int_equal(open_with(f, UNTORN_BTT_READ_ONLY, &btt), error);
	assert_ptr_equal(btt, f);
	assert_int_equal(sum(f), before);
}

/* Set each field that must have its value to another; the checksum is right. */
static void test_bad_headers(void **state)
{
	static const struct {
		size_t off, len;
		const char *field;
	} fields[] = {
		{136, 1, "machine_class"}, {137, 1, "data"},         {56, 16, "part uuid"},
		{72, 16, "part uuid"},     {88, 16, "replica uuid"}, {104, 16, "replica uuid"},
	};
	struct fixture *f = *state;
	const struct pool_header good = *header_of(f);
	const char *field;
	struct pool pool;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		memset(f->bytes + fields[i].off, 0xee, fields[i].len);
		seal(f);
		field = NULL;
		assert_int_equal(pool_read(f->media, &pool, &field), -EUCLEAN);
		assert_string_equal(field, fields[i].field);
		expect_refused(f, -EUCLEAN);
		*header_of(f) = good;
	}

	f->bytes[500] ^= 4;
	assert_int_equal(pool_read(f->media, &pool, &field), -EUCLEAN);
	assert_string_equal(field, "checksum");
	assert_memory_equal(&pool.header, f->bytes, 4096);
	expect_refused(f, -EUCLEAN);
	*header_of(f) = good;

	((struct pool_descriptor *)(f->bytes + 4096))->bsize = le32_make(0);
	assert_int_equal(pool_read(f->media, &pool, &field), -EUCLEAN);
	assert_string_equal(field, "bsize");
	expect_refused(f, -EUCLEAN);

	/* A size that leaves no room for 512 blocks. */
	((struct pool_descriptor *)(f->bytes + 4096))->bsize = le32_make(UINT32_MAX);
	expect_refused(f, -EUCLEAN);
	((struct pool_descriptor *)(f->bytes + 4096))->bsize = le32_make(65536);
	expect_refused(f, -EUCLEAN);
	((struct pool_descriptor *)(f->bytes + 4096))->bsize = le32_make(512);

	memset(f->bytes, 0, 8);
	assert_int_equal(pool_read(f->media, &pool, &field), -ENXIO);
	expect_refused(f, -ENXIO);
}

static void test_features(void **state)
{
	struct fixture *f = *state;
	struct untorn_btt *btt;
	struct untorn_btt_info info;
	uint8_t sector[512] = {1};

	/* Unknown incompatible features, and another major version. */
	for (unsigned bit = 3; bit < 32; bit++) {
		*header_of(f) = vector(1, 6 | 1u << bit);
		seal(f);
		expect_refused(f, -EOPNOTSUPP);
	}
	*header_of(f) = vector(1, 6);
	header_of(f)->major = le32_make(2);
	seal(f);
	expect_refused(f, -EOPNOTSUPP);

	/* Unknown read-only features: read-only, so it is not laid out either. */
	*header_of(f) = vector(1, 6);
	header_of(f)->ro_compat = le32_make(1u << 31);
	seal(f);
	assert_int_equal(open_with(f, 0, &btt), 0);
	untorn_btt_get_info(btt, &info);
	assert_true(info.read_only && !info.is_laid_out);
	assert_int_equal(untorn_btt_write(btt, 0, 1, sector, NULL, 0), -EROFS);
	assert_int_equal(untorn_btt_close(btt), 0);
	assert_true(is_zero(f->bytes + 8192, SIZE - 8192));

	/* Compatible ones are nobody's business. */
	for (uint32_t incompat = 0; incompat < 8; incompat++) {
		*header_of(f) = vector(0xffffffff, incompat);
		seal(f);
		assert_int_equal(open_with(f, UNTORN_BTT_READ_ONLY, &btt), 0);
		assert_int_equal(untorn_btt_close(btt), 0);
	}
}

/* -------------------------------------------------- never written to ----------------------------------------------------- */

static void test_unwritten_read_only(void **state)
{
	struct fixture *f = *state;
	uint64_t before = sum(f), n;
	struct untorn_btt_arena_info arena;
	struct untorn_btt_mapping mapping;
	struct untorn_btt_flog flog;
	struct untorn_btt_info info;
	struct untorn_btt *btt;
	uint8_t sectors[1024];
	int zero;

	assert_int_equal(open_with(f, UNTORN_BTT_READ_ONLY, &btt), 0);
	untorn_btt_get_info(btt, &info);
	assert_int_equal(info.layout, UNTORN_BTT_PMEMBLK);
	assert_int_equal(info.sector_size, 512);
	assert_int_equal(info.is_laid_out, 0);
	assert_int_equal(info.read_only, 1);
	assert_int_equal(info.narena, 1);
	assert_int_equal(info.base, 8192);
	assert_true(info.nlba > 30000);
	memset(sectors, 0xff, sizeof(sectors));
	assert_int_equal(untorn_btt_read(btt, info.nlba - 2, 2, sectors, NULL), 0);
	assert_true(is_zero(sectors, sizeof(sectors)));
	assert_int_equal(untorn_btt_read(btt, info.nlba - 1, 2, sectors, NULL), -ERANGE);
	assert_int_equal(untorn_btt_extent(btt, 1, info.nlba - 1, &n, &zero), 0);
	assert_int_equal(n, info.nlba - 1);
	assert_int_equal(zero, 1);
	assert_int_equal(untorn_btt_lookup(btt, 5, &mapping), 0);
	assert_int_equal(mapping.state, UNTORN_BTT_INITIAL);
	assert_int_equal(untorn_btt_get_arena(btt, 0, &arena), 0);
	assert_int_equal(arena.external_nlba, info.nlba);
	assert_int_equal(untorn_btt_get_flog(btt, 0, 0, &flog), -ERANGE);
	assert_int_equal(untorn_btt_flush(btt), 0);
	assert_int_equal(untorn_btt_close(btt), 0);
	assert_int_equal(sum(f), before);
}

static void test_unwritten_read_write(void **state)
{
	struct fixture *f = *state;
	struct untorn_btt_info info, again;
	struct untorn_btt *btt;
	uint8_t sector[512], seen[512], poolset[16];

	/* Rubbish in the data area, where libpmemblk expects none to be read. */
	memset(f->bytes + 8192 + 4096, 0xdd, 64 << 10);
	assert_int_equal(open_with(f, 0, &btt), 0);
	untorn_btt_get_info(btt, &info);
	set_uuid(poolset, 0x20);
	assert_int_equal(info.is_laid_out, 1);
	assert_memory_equal(info.parent_uuid, poolset, 16);
	assert_false(is_zero(info.uuid, 16));
	assert_int_equal(untorn_btt_read(btt, 0, 1, seen, NULL), 0);
	assert_true(is_zero(seen, 512));
	memset(sector, 0x5a, 512);
	assert_int_equal(untorn_btt_write(btt, 3, 1, sector, NULL, UNTORN_BTT_DURABLE), 0);
	assert_int_equal(untorn_btt_close(btt), 0);

	/* Laid out once: the second open finds it. */
	assert_int_equal(open_with(f, 0, &btt), 0);
	untorn_btt_get_info(btt, &again);
	assert_memory_equal(again.uuid, info.uuid, 16);
	assert_int_equal(untorn_btt_read(btt, 3, 1, seen, NULL), 0);
	assert_memory_equal(seen, sector, 512);
	assert_int_equal(untorn_btt_read(btt, 4, 1, seen, NULL), 0);
	assert_true(is_zero(seen, 512));
	assert_int_equal(untorn_btt_close(btt), 0);
	/* The header and what PMDK keeps behind it are as they were. */
	assert_int_equal(le64_get(header_of(f)->checksum), pool_checksum(header_of(f)));
	assert_int_equal(f->bytes[4104], 0x77);
}

/* ---------------------------------------------------- damaged, foreign --------------------------------------------------- */

static void fill_pool(struct fixture *f)
{
	uint8_t sector[512];
	struct untorn_btt *btt;

	assert_int_equal(open_with(f, 0, &btt), 0);
	for (uint64_t lba = 0; lba < 100; lba++) {
		memset(sector, (int)lba + 1, sizeof(sector));
		assert_int_equal(untorn_btt_write(btt, lba, 1, sector, NULL, 0), 0);
	}
	assert_int_equal(untorn_btt_close(btt), 0);
}

/*
 * A zeroed first info block does not make a pool an unwritten one while its backup says otherwise: laying it out again would
 * destroy all that was written.
 */
static void test_zeroed_primary(void **state)
{
	struct fixture *f = *state;

	fill_pool(f);
	memset(f->bytes + 8192, 0, 4096);
	expect_refused(f, -EUCLEAN);
}

static void test_damaged_primary(void **state)
{
	struct fixture *f = *state;

	fill_pool(f);
	f->bytes[8192 + 60] ^= 1;
	expect_refused(f, -EUCLEAN);
	memset(f->bytes + 8192, 0x11, 4096);
	expect_refused(f, -ENXIO);
}

static void test_other_container(void **state)
{
	struct fixture *f = *state;
	uint8_t uuid[16];
	struct untorn_btt *btt;
	struct untorn_btt_open_options options = {.parent_uuid = uuid};

	fill_pool(f);
	/* The caller's idea of the pool-set uuid, then the header's, is not the BTT's. */
	set_uuid(uuid, 0x20);
	assert_int_equal(untorn_btt_open(f->media, &options, &btt), 0);
	assert_int_equal(untorn_btt_close(btt), 0);
	set_uuid(uuid, 0x21);
	assert_int_equal(untorn_btt_open(f->media, &options, &btt), -EUCLEAN);
	set_uuid(header_of(f)->poolset_uuid, 0x40);
	seal(f);
	expect_refused(f, -EUCLEAN);
}

static void test_other_bsize(void **state)
{
	struct fixture *f = *state;

	fill_pool(f);
	((struct pool_descriptor *)(f->bytes + 4096))->bsize = le32_make(4096);
	expect_refused(f, -EUCLEAN);
}

static void test_tiny(void **state)
{
	struct fixture *f = *state;
	struct untorn_media *tiny;
	struct untorn_btt *btt;

	for (uint64_t size = 4096; size <= 16 * MIB + 8192; size += size < 16384 ? 4096 : 16 * MIB - 16384 + 4096) {
		assert_int_equal(untorn_media_slice(f->media, 0, size, &tiny), 0);
		if (size < 16 * MIB + 8192)
			assert_int_equal(untorn_btt_open(tiny, NULL, &btt), -ENXIO);
		untorn_media_close(tiny);
	}
}

#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_make),
		row(test_bad_headers),
		row(test_features),
		row(test_unwritten_read_only),
		row(test_unwritten_read_write),
		row(test_zeroed_primary),
		row(test_damaged_primary),
		row(test_other_container),
		row(test_other_bsize),
		row(test_tiny),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
