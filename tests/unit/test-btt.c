/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A volume does what a plain array of sectors would: random operations beside a model, in all layouts and sector sizes and with
 * other lane counts than ours. After each close the medium is read by hand (SPEC 6.5).
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "ram.h"
#include "spec.h"
#include "untorn/btt.h"

#define MIB (1ull << 20)

/* ---------------------------------------------------------- kinds -------------------------------------------------------- */

static const struct kind {
	enum untorn_btt_layout layout;
	uint32_t external_lbasize, sector_size;
	uint32_t nfree; /* not 256: made by hand */
	bool old_padding;
} kinds[] = {
	{UNTORN_BTT_V1_1, 512, 512, 256, false},
	{UNTORN_BTT_V1_1, 520, 512, 256, false},
	{UNTORN_BTT_V1_1, 528, 512, 256, false},
	{UNTORN_BTT_V1_1, 4096, 4096, 256, false},
	{UNTORN_BTT_V1_1, 4104, 4096, 256, false},
	{UNTORN_BTT_V1_1, 4160, 4096, 256, false},
	{UNTORN_BTT_V1_1, 4224, 4096, 256, false},
	{UNTORN_BTT_V1_1, 8192, 8192, 256, false},
	{UNTORN_BTT_V1_1, 65536, 65536, 256, false},
	{UNTORN_BTT_V2_0, 512, 512, 256, false},
	{UNTORN_BTT_V2_0, 520, 512, 256, false},
	{UNTORN_BTT_V2_0, 528, 512, 256, false},
	{UNTORN_BTT_V2_0, 4096, 4096, 256, false},
	{UNTORN_BTT_V2_0, 4104, 4096, 256, false},
	{UNTORN_BTT_V2_0, 4160, 4096, 256, false},
	{UNTORN_BTT_V2_0, 4224, 4096, 256, false},
	{UNTORN_BTT_V2_0, 8192, 8192, 256, false},
	{UNTORN_BTT_V2_0, 16384, 16384, 256, false},
	{UNTORN_BTT_V2_0, 65536, 65536, 256, false},
	{UNTORN_BTT_PMEMBLK, 1, 1, 256, false},
	{UNTORN_BTT_PMEMBLK, 512, 512, 256, false},
	{UNTORN_BTT_PMEMBLK, 520, 520, 256, false},
	{UNTORN_BTT_PMEMBLK, 4096, 4096, 256, false},
	{UNTORN_BTT_PMEMBLK, 65536, 65536, 256, false},
	/* Other programs' volumes. */
	{UNTORN_BTT_V1_1, 512, 512, 256, true},
	{UNTORN_BTT_V2_0, 4096, 4096, 256, true},
	{UNTORN_BTT_V1_1, 4096, 4096, 1, false},
	{UNTORN_BTT_V2_0, 512, 512, 2, false},
	{UNTORN_BTT_V2_0, 512, 512, 33, true},
	{UNTORN_BTT_V1_1, 520, 512, 300, false},
	{UNTORN_BTT_V2_0, 1000, 512, 64, false},
};

static uint64_t container_size(const struct kind *kind)
{
	/* Room for 512 blocks. */
	return kind->external_lbasize > 16384 ? 40 * MIB : 17 * MIB + 4096;
}

static uint64_t base_of(enum untorn_btt_layout layout)
{
	return layout == UNTORN_BTT_V1_1 ? 4096 : layout == UNTORN_BTT_V2_0 ? 0 : 8192;
}

static void make_by_hand(const struct kind *kind, struct ram *ram)
{
	const struct spec_options options = {
		.base = base_of(kind->layout),
		.major = kind->layout == UNTORN_BTT_V1_1 ? 1 : 2,
		.minor = kind->layout == UNTORN_BTT_V1_1 ? 1 : 0,
		.external_lbasize = kind->external_lbasize,
		.internal_lbasize = (uint32_t)round_up(kind->external_lbasize, 64),
		.nfree = kind->nfree,
	};

	spec_make(ram->bytes, ram->size, &options);
}

static void make(const struct kind *kind, struct ram *ram)
{
	*ram = ram_new(container_size(kind));
	if (kind->nfree == 256)
		assert_int_equal(untorn_btt_format(ram->media,
						   &(struct untorn_btt_format_options){
							   .layout = kind->layout,
							   .sector_size = kind->external_lbasize,
						   }),
				 0);
	else
		make_by_hand(kind, ram);
	if (kind->old_padding) {
		struct spec_arena a = spec_arena(ram->bytes, base_of(kind->layout));

		/* One lane was used, long ago. */
		a.second = 2;
		spec_set_slot(ram->bytes, &a, kind->nfree - 1, 2,
			      (struct spec_slot){0, a.internal_nlba - 1, a.internal_nlba - 1, 2});
	}
}

/* ---------------------------------------------------------- model -------------------------------------------------------- */

struct model {
	const struct kind *kind;
	struct ram ram;
	struct untorn_btt *btt;
	struct untorn_btt_info info;
	uint32_t meta;
	uint8_t *data, *metadata; /* of all sectors */
	bool *error;
	uint64_t random;
	uint8_t *buf, *meta_buf; /* for one request */
};

#define REQUEST_MAX 300u /* sectors, and so bytes / sector size */

static uint8_t *model_sector(struct model *m, uint64_t lba)
{
	return m->data + lba * m->info.sector_size;
}

static void open_model(struct model *m, unsigned flags)
{
	struct untorn_btt_arena_info arena;

	assert_int_equal(untorn_btt_open(m->ram.media, &(struct untorn_btt_open_options){.flags = flags}, &m->btt), 0);
	untorn_btt_get_info(m->btt, &m->info);
	assert_int_equal(untorn_btt_get_arena(m->btt, 0, &arena), 0);
	assert_int_equal(arena.nfree, m->kind->nfree);
	assert_int_equal(arena.replayed, 0); /* a clean close leaves nothing to do */
	assert_int_equal(arena.padding, m->kind->old_padding ? UNTORN_BTT_PADDING_02 : UNTORN_BTT_PADDING_01);
}

static void close_model(struct model *m)
{
	struct spec_facts facts;
	const char *fault;

	assert_int_equal(untorn_btt_close(m->btt), 0);
	fault = spec_check(m->ram.bytes, m->ram.size, base_of(m->kind->layout), &facts);
	if (fault)
		print_error("%s\n", fault);
	assert_null(fault);
	assert_int_equal(facts.npending, 0);
	assert_int_equal(facts.arena.second, m->kind->old_padding ? 2 : 1);
}

static void new_model(struct model *m, const struct kind *kind, uint64_t seed)
{
	*m = (struct model){.kind = kind, .random = seed};
	make(kind, &m->ram);
	open_model(m, 0);
	assert_int_equal(m->info.layout, kind->layout);
	assert_int_equal(m->info.sector_size, kind->sector_size);
	m->meta = kind->external_lbasize - kind->sector_size;
	assert_int_equal(m->info.meta_size, m->meta);
	assert_int_equal(m->info.size, m->info.nlba * m->info.sector_size);
	m->data = calloc(m->info.nlba, m->info.sector_size);
	m->metadata = calloc(m->info.nlba, m->meta + 1);
	m->error = calloc(m->info.nlba, sizeof(*m->error));
	m->buf = malloc((REQUEST_MAX + 2) * (size_t)m->info.sector_size);
	m->meta_buf = malloc(REQUEST_MAX * (size_t)m->meta + 1);
	assert_true(m->data && m->metadata && m->error && m->buf && m->meta_buf);
}

static void free_model(struct model *m)
{
	free(m->data);
	free(m->metadata);
	free(m->error);
	free(m->buf);
	free(m->meta_buf);
	ram_free(&m->ram);
}

/* Half of the requests meet in a few places: on some map lines, at both ends, a stripe's turn apart. */
static uint64_t some_lba(struct model *m)
{
	uint64_t nlba = m->info.nlba, lba;

	switch (random_below(&m->random, 6)) {
	case 0:
		lba = random_below(&m->random, 48);
		break;
	case 1:
		lba = 4096 * random_below(&m->random, 8) + random_below(&m->random, 20);
		break;
	case 2:
		lba = nlba - 1 - random_below(&m->random, min_u64(nlba, 40));
		break;
	default:
		lba = random_below(&m->random, nlba);
		break;
	}
	return lba % nlba;
}

/* Mostly few, sometimes more than there are lanes. */
static uint64_t some_count(struct model *m, uint64_t lba)
{
	uint64_t n = random_below(&m->random, 8) ? 1 + random_below(&m->random, 20)
						 : 1 + random_below(&m->random, REQUEST_MAX);

	/* Of large sectors, fewer. */
	if (m->info.sector_size > 4096)
		n = 1 + n % 20;
	return min_u64(n, m->info.nlba - lba);
}

static unsigned some_flags(struct model *m)
{
	return random_below(&m->random, 3) ? 0 : UNTORN_BTT_DURABLE;
}

static void fill(struct model *m, uint8_t *p, size_t len)
{
	uint64_t word = m->random;

	for (size_t i = 0; i < len; i++, word = word * 25 + 7)
		p[i] = (uint8_t)(word >> 40);
	random_next(&m->random);
}

static void expect_bytes(struct model *m, const uint8_t *seen, const uint8_t *expected, size_t len, uint64_t off)
{
	if (memcmp(seen, expected, len) == 0)
		return;
	for (size_t i = 0; i < len; i++) {
		if (seen[i] != expected[i]) {
			print_error("%s/%" PRIu32 ": byte %" PRIu64 " (lba %" PRIu64 "): %#x, expected %#x\n",
				    untorn_btt_layout_name(m->kind->layout), m->kind->external_lbasize, off + i,
				    (off + i) / m->info.sector_size, seen[i], expected[i]);
			break;
		}
	}
	fail();
}

/* ------------------------------------------------------- operations ------------------------------------------------------ */

/* Cut a buffer into pieces of odd lengths, some of them empty. */
static int cut(struct model *m, uint8_t *buf, size_t len, struct iovec *iov, int max)
{
	int n = 0;

	while (n < max - 1 && len > 0) {
		size_t piece =
			random_below(&m->random, 2) ? random_below(&m->random, len + 1) : random_below(&m->random, 9);

		piece = min_u64(piece, len);
		iov[n++] = (struct iovec){buf, piece};
		buf += piece;
		len -= piece;
	}
	iov[n++] = (struct iovec){buf, len};
	return n;
}

static void do_write(struct model *m)
{
	uint64_t lba = some_lba(m), n = some_count(m, lba);
	size_t len = n * m->info.sector_size;
	bool with_meta = random_below(&m->random, 2);
	unsigned flags = some_flags(m);
	struct iovec iov[12];
	int r;

	fill(m, m->buf, len);
	fill(m, m->meta_buf, n * m->meta);
	if (random_below(&m->random, 2)) {
		int niov = cut(m, m->buf, len, iov, ARRAY_SIZE(iov));

		r = untorn_btt_writev(m->btt, lba, n, iov, niov, with_meta ? m->meta_buf : NULL, flags);
	} else {
		r = untorn_btt_write(m->btt, lba, n, m->buf, with_meta ? m->meta_buf : NULL, flags);
	}
	assert_int_equal(r, 0);
	memcpy(model_sector(m, lba), m->buf, len);
	if (with_meta)
		memcpy(m->metadata + lba * m->meta, m->meta_buf, n * m->meta);
	else
		memset(m->metadata + lba * m->meta, 0, n * m->meta);
	memset(m->error + lba, 0, n);
}

static bool any_error(struct model *m, uint64_t lba, uint64_t n)
{
	for (uint64_t i = lba; i < lba + n; i++)
		if (m->error[i])
			return true;
	return false;
}

static void check_read(struct model *m, uint64_t lba, uint64_t n, bool with_meta, bool pieces)
{
	size_t len = n * m->info.sector_size;
	struct iovec iov[12];
	int r;

	memset(m->buf, 0xee, len + 1);
	memset(m->meta_buf, 0xee, n * m->meta + 1);
	if (pieces) {
		int niov = cut(m, m->buf, len, iov, ARRAY_SIZE(iov));

		r = untorn_btt_readv(m->btt, lba, n, iov, niov, with_meta ? m->meta_buf : NULL);
	} else {
		r = untorn_btt_read(m->btt, lba, n, m->buf, with_meta ? m->meta_buf : NULL);
	}
	assert_int_equal(m->buf[len], 0xee);
	assert_int_equal(m->meta_buf[n * m->meta], 0xee);
	if (any_error(m, lba, n)) {
		assert_int_equal(r, -EIO);
		return;
	}
	assert_int_equal(r, 0);
	expect_bytes(m, m->buf, model_sector(m, lba), len, lba * m->info.sector_size);
	if (with_meta)
		assert_memory_equal(m->meta_buf, m->metadata + lba * m->meta, n * m->meta);
}

static void do_read(struct model *m)
{
	uint64_t lba = some_lba(m);

	check_read(m, lba, some_count(m, lba), random_below(&m->random, 2), random_below(&m->random, 2));
}

/* A byte range, often around the edges of sectors. */
static void some_bytes(struct model *m, uint64_t *ret_off, uint64_t *ret_len)
{
	uint32_t size = m->info.sector_size;
	uint64_t off = some_lba(m) * size, len = random_below(&m->random, 5ull * size);

	if (random_below(&m->random, 4))
		off += random_below(&m->random, size);
	if (random_below(&m->random, 4) == 0)
		len = len / size * size;
	*ret_off = min_u64(off, m->info.size);
	*ret_len = min_u64(len, m->info.size - *ret_off);
}

/* Bytes [off, off + len) as far as they can be changed: up to the first error-state sector that is written only in part. */
static void change_bytes(struct model *m, const uint8_t *p, uint64_t off, uint64_t len, int r)
{
	uint32_t size = m->info.sector_size;

	while (len > 0) {
		uint64_t lba = off / size, in = off % size, piece = min_u64(len, size - in);

		if (piece < size && m->error[lba]) {
			assert_int_equal(r, -EIO);
			return;
		}
		if (p)
			memcpy(m->data + off, p, piece);
		else
			memset(m->data + off, 0, piece);
		if (piece == size) {
			memset(m->metadata + lba * m->meta, 0, m->meta);
			m->error[lba] = false;
		}
		if (p)
			p += piece;
		off += piece;
		len -= piece;
	}
	assert_int_equal(r, 0);
}

static void do_pwrite(struct model *m)
{
	uint64_t off, len;

	some_bytes(m, &off, &len);
	fill(m, m->buf, len);
	change_bytes(m, m->buf, off, len, untorn_btt_pwrite(m->btt, m->buf, len, off, some_flags(m)));
}

static void do_pwrite_zeroes(struct model *m)
{
	uint64_t off, len;

	some_bytes(m, &off, &len);
	if (random_below(&m->random, 10) == 0)
		len = min_u64(len * 60, m->info.size - off);
	change_bytes(m, NULL, off, len, untorn_btt_pwrite_zeroes(m->btt, len, off, some_flags(m)));
}

static void do_pread(struct model *m)
{
	uint32_t size = m->info.sector_size;
	uint64_t off, len;
	int r;

	some_bytes(m, &off, &len);
	memset(m->buf, 0xee, len + 1);
	r = untorn_btt_pread(m->btt, m->buf, len, off);
	assert_int_equal(m->buf[len], 0xee);
	if (len > 0 && any_error(m, off / size, (off + len - 1) / size - off / size + 1)) {
		assert_int_equal(r, -EIO);
		return;
	}
	assert_int_equal(r, 0);
	expect_bytes(m, m->buf, m->data + off, len, off);
}

static void do_discard(struct model *m)
{
	uint64_t lba = some_lba(m), n = some_count(m, lba);

	if (random_below(&m->random, 20) == 0)
		n = random_below(&m->random, m->info.nlba - lba + 1);
	if (random_below(&m->random, 2))
		assert_int_equal(untorn_btt_discard(m->btt, lba, n), 0);
	else
		assert_int_equal(untorn_btt_write_zeroes(m->btt, lba, n), 0);
	memset(model_sector(m, lba), 0, n * m->info.sector_size);
	memset(m->metadata + lba * m->meta, 0, n * m->meta);
	memset(m->error + lba, 0, n);
}

static void do_mark_error(struct model *m)
{
	uint64_t lba = some_lba(m);

	assert_int_equal(untorn_btt_mark_error(m->btt, lba), 0);
	m->error[lba] = true;
}

static void do_flush(struct model *m)
{
	uint64_t drains = untorn_media_drains(m->ram.media);

	assert_int_equal(untorn_btt_flush(m->btt), 0);
	drains = untorn_media_drains(m->ram.media) - drains;
	/* Two persist points for each 256 of at most nfree buffered sectors, and perhaps one for a long list of map lines. */
	assert_true(drains <= 3u * ((m->kind->nfree + 255) / 256));
	drains = untorn_media_drains(m->ram.media);
	assert_int_equal(untorn_btt_flush(m->btt), 0);
	assert_int_equal(untorn_media_drains(m->ram.media), drains);
}

/* Extents and lookups agree with each other and never call bytes zeros that are not. */
static void do_look(struct model *m)
{
	uint64_t lba = some_lba(m), n = some_count(m, lba), len;
	struct untorn_btt_mapping mapping;
	int zero;

	assert_int_equal(untorn_btt_extent(m->btt, lba, n, &len, &zero), 0);
	assert_in_range(len, 1, n);
	for (uint64_t i = 0; zero && i < len; i++) {
		assert_false(m->error[lba + i]);
		assert_true(is_zero(model_sector(m, lba + i), m->info.sector_size));
	}
	assert_int_equal(untorn_btt_lookup(m->btt, lba, &mapping), 0);
	assert_int_equal(mapping.premap, lba);
	assert_int_equal(mapping.state == UNTORN_BTT_ERROR, m->error[lba]);
	if (mapping.state == UNTORN_BTT_NORMAL)
		expect_bytes(m, m->ram.bytes + mapping.block_off, model_sector(m, lba), m->info.sector_size,
			     lba * m->info.sector_size);
	if (mapping.state == UNTORN_BTT_ZERO)
		assert_true(zero && is_zero(model_sector(m, lba), m->info.sector_size));
}

static void do_reopen(struct model *m)
{
	close_model(m);
	open_model(m, 0);
}

static void do_reopen_read_only(struct model *m)
{
	uint64_t sum;

	close_model(m);
	sum = ram_sum(&m->ram);
	open_model(m, UNTORN_BTT_READ_ONLY);
	assert_int_equal(m->info.read_only, 1);
	for (unsigned i = 0; i < 10; i++)
		do_read(m);
	do_pread(m);
	do_look(m);
	assert_int_equal(untorn_btt_write(m->btt, 0, 1, m->buf, NULL, 0), -EROFS);
	assert_int_equal(untorn_btt_discard(m->btt, 0, 1), -EROFS);
	assert_int_equal(untorn_btt_flush(m->btt), 0);
	assert_int_equal(untorn_btt_close(m->btt), 0);
	assert_int_equal(ram_sum(&m->ram), sum);
	open_model(m, 0);
}

static void check_all(struct model *m)
{
	for (uint64_t lba = 0, n; lba < m->info.nlba; lba += n) {
		n = 1;
		while (n < REQUEST_MAX && lba + n < m->info.nlba && m->error[lba + n] == m->error[lba] &&
		       !m->error[lba])
			n++;
		check_read(m, lba, n, true, false);
	}
}

static const struct operation {
	unsigned weight;
	void (*run)(struct model *m);
} operations[] = {
	{30, do_write},  {20, do_read},         {20, do_pwrite},          {10, do_pread},
	{6, do_discard}, {6, do_pwrite_zeroes}, {4, do_mark_error},       {4, do_flush},
	{8, do_look},    {1, do_reopen},        {1, do_reopen_read_only},
};

static void some_operation(struct model *m)
{
	unsigned sum = 0, which;

	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		sum += operations[i].weight;
	which = (unsigned)random_below(&m->random, sum);
	for (size_t i = 0;; i++) {
		if (which < operations[i].weight) {
			operations[i].run(m);
			return;
		}
		which -= operations[i].weight;
	}
}

static void test_model(void **state)
{
	uint64_t seed = *(uint64_t *)*state;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct model m;
		unsigned n = test_length() * (kinds[k].external_lbasize > 4224 ? 300 : 1200);

		new_model(&m, &kinds[k], seed + k);
		for (unsigned i = 0; i < n; i++)
			some_operation(&m);
		check_all(&m);
		close_model(&m);
		open_model(&m, 0);
		check_all(&m);
		close_model(&m);
		free_model(&m);
	}
}

/* Every sector, so that every block and every map entry is used; twice, so that blocks have moved. */
static void test_fill(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct model m;

		new_model(&m, &kinds[k], k);
		for (unsigned round = 0; round < 2; round++) {
			unsigned flags = round ? 0 : UNTORN_BTT_DURABLE;

			for (uint64_t lba = 0, n; lba < m.info.nlba; lba += n) {
				n = min_u64(REQUEST_MAX, m.info.nlba - lba);
				fill(&m, model_sector(&m, lba), n * m.info.sector_size);
				fill(&m, m.metadata + lba * m.meta, n * m.meta);
				assert_int_equal(untorn_btt_write(m.btt, lba, n, model_sector(&m, lba),
								  m.metadata + lba * m.meta, flags),
						 0);
			}
			check_all(&m);
			close_model(&m);
			open_model(&m, 0);
			check_all(&m);
		}
		assert_int_equal(untorn_btt_discard(m.btt, 0, m.info.nlba), 0);
		memset(m.data, 0, m.info.size);
		memset(m.metadata, 0, m.info.nlba * m.meta);
		check_all(&m);
		close_model(&m);
		free_model(&m);
	}
}

int main(void)
{
	static uint64_t seed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_model, &seed),
		cmocka_unit_test(test_fill),
	};

	seed = test_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
