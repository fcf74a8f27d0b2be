/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry: the worked examples of SPEC 3.3, what holds for every size, and what geometry_fault() refuses. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "btt/format.h"
#include "btt/geometry.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* ------------------------------------------------------ worked examples -------------------------------------------------- */

#define REJECTED UINT64_MAX

/* A line of SPEC 3.3. arena_at counts from the base of the layout. */
struct row {
	enum untorn_btt_layout layout;
	uint64_t container;
	uint32_t external_lbasize;
	uint64_t arena_at, arena_size;
	uint32_t internal_lbasize, internal_nlba, external_nlba;
	uint64_t mapoff, logoff, info2off, nextoff;
};

/* clang-format off */
static const struct row rows[] = {
	/* Linux, 2.0 */
	{UNTORN_BTT_V2_0, 16 * MIB, 512, 0x0, 0x1000000, 512, 32458, 32202, 0xfdb000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_V2_0, 16 * MIB, 4096, 0x0, 0x1000000, 4096, 4085, 3829, 0xff7000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_V2_0, 32 * MIB, 512, 0x0, 0x2000000, 512, 64972, 64716, 0x1fbb000, 0x1ffb000, 0x1fff000, 0x0},
	{UNTORN_BTT_V2_0, 32 * MIB, 4096, 0x0, 0x2000000, 4096, 8177, 7921, 0x1ff3000, 0x1ffb000, 0x1fff000, 0x0},
	{UNTORN_BTT_V2_0, 134086656, 512, 0x0, 0x7fe0000, 512, 259802, 259546, 0x7edd000, 0x7fdb000, 0x7fdf000, 0x0},
	{UNTORN_BTT_V2_0, 134086656, 4096, 0x0, 0x7fe0000, 4096, 32697, 32441, 0x7fbb000, 0x7fdb000, 0x7fdf000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 512, 0x0, 0x40000000, 512, 2080839, 2080583, 0x3f80b000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 4096, 0x0, 0x40000000, 4096, 261881, 261625, 0x3fefb000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, 512 * GIB + 16 * MIB - 4096, 512, 0x0, 0x8000000000, 512, 1065418188, 1065417932, 0x7f01fbb000, 0x7fffffb000, 0x7ffffff000, 0x0},
	{UNTORN_BTT_V2_0, 512 * GIB + 16 * MIB - 4096, 4096, 0x0, 0x8000000000, 4096, 134086776, 134086520, 0x7fe007b000, 0x7fffffb000, 0x7ffffff000, 0x0},
	{UNTORN_BTT_V2_0, 513 * GIB, 512, 0x0, 0x8000000000, 512, 1065418188, 1065417932, 0x7f01fbb000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_V2_0, 513 * GIB, 512, 0x8000000000, 0x40000000, 512, 2080839, 2080583, 0x3f80b000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, 513 * GIB, 4096, 0x0, 0x8000000000, 4096, 134086776, 134086520, 0x7fe007b000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_V2_0, 513 * GIB, 4096, 0x8000000000, 0x40000000, 4096, 261881, 261625, 0x3fefb000, 0x3fffb000, 0x3ffff000, 0x0},
	/* Linux, 1.1 */
	{UNTORN_BTT_V1_1, 16 * MIB, 512, REJECTED},
	{UNTORN_BTT_V1_1, 16 * MIB, 4096, REJECTED},
	{UNTORN_BTT_V1_1, 16 * MIB + 4096, 512, 0x0, 0x1000000, 512, 32458, 32202, 0xfdb000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_V1_1, 16 * MIB + 4096, 4096, 0x0, 0x1000000, 4096, 4085, 3829, 0xff7000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_V1_1, 32 * MIB, 512, 0x0, 0x1fff000, 512, 64964, 64708, 0x1fba000, 0x1ffa000, 0x1ffe000, 0x0},
	{UNTORN_BTT_V1_1, 32 * MIB, 4096, 0x0, 0x1fff000, 4096, 8176, 7920, 0x1ff2000, 0x1ffa000, 0x1ffe000, 0x0},
	{UNTORN_BTT_V1_1, 134086656, 512, 0x0, 0x7fdf000, 512, 259794, 259538, 0x7edc000, 0x7fda000, 0x7fde000, 0x0},
	{UNTORN_BTT_V1_1, 134086656, 4096, 0x0, 0x7fdf000, 4096, 32696, 32440, 0x7fba000, 0x7fda000, 0x7fde000, 0x0},
	{UNTORN_BTT_V1_1, GIB, 512, 0x0, 0x3ffff000, 512, 2080831, 2080575, 0x3f80a000, 0x3fffa000, 0x3fffe000, 0x0},
	{UNTORN_BTT_V1_1, GIB, 4096, 0x0, 0x3ffff000, 4096, 261880, 261624, 0x3fefa000, 0x3fffa000, 0x3fffe000, 0x0},
	{UNTORN_BTT_V1_1, 513 * GIB, 512, 0x0, 0x8000000000, 512, 1065418188, 1065417932, 0x7f01fbb000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_V1_1, 513 * GIB, 512, 0x8000000000, 0x3ffff000, 512, 2080831, 2080575, 0x3f80a000, 0x3fffa000, 0x3fffe000, 0x0},
	{UNTORN_BTT_V1_1, 513 * GIB, 4096, 0x0, 0x8000000000, 4096, 134086776, 134086520, 0x7fe007b000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_V1_1, 513 * GIB, 4096, 0x8000000000, 0x3ffff000, 4096, 261880, 261624, 0x3fefa000, 0x3fffa000, 0x3fffe000, 0x0},
	/* Linux, 2.0, all external sizes */
	{UNTORN_BTT_V2_0, GIB, 512, 0x0, 0x40000000, 512, 2080839, 2080583, 0x3f80b000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 520, 0x0, 0x40000000, 576, 1851229, 1850973, 0x3f8eb000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 528, 0x0, 0x40000000, 576, 1851229, 1850973, 0x3f8eb000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 4096, 0x0, 0x40000000, 4096, 261881, 261625, 0x3fefb000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 4104, 0x0, 0x40000000, 4160, 257856, 257600, 0x3feff000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 4160, 0x0, 0x40000000, 4160, 257856, 257600, 0x3feff000, 0x3fffb000, 0x3ffff000, 0x0},
	{UNTORN_BTT_V2_0, GIB, 4224, 0x0, 0x40000000, 4224, 253952, 253696, 0x3ff03000, 0x3fffb000, 0x3ffff000, 0x0},
	/* pmemblk; the container is the whole file */
	{UNTORN_BTT_PMEMBLK, 16 * MIB, 512, REJECTED},
	{UNTORN_BTT_PMEMBLK, 16 * MIB, 4096, REJECTED},
	{UNTORN_BTT_PMEMBLK, 16 * MIB + 8192, 512, 0x0, 0x1000000, 512, 32458, 32202, 0xfdb000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_PMEMBLK, 16 * MIB + 8192, 4096, 0x0, 0x1000000, 4096, 4085, 3829, 0xff7000, 0xffb000, 0xfff000, 0x0},
	{UNTORN_BTT_PMEMBLK, 32 * MIB, 512, 0x0, 0x1ffe000, 512, 64956, 64700, 0x1fb9000, 0x1ff9000, 0x1ffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, 32 * MIB, 4096, 0x0, 0x1ffe000, 4096, 8175, 7919, 0x1ff1000, 0x1ff9000, 0x1ffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 512, 0x0, 0x3fffe000, 512, 2080823, 2080567, 0x3f809000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 4096, 0x0, 0x3fffe000, 4096, 261879, 261623, 0x3fef9000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, 513 * GIB, 512, 0x0, 0x8000000000, 512, 1065418188, 1065417932, 0x7f01fbb000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_PMEMBLK, 513 * GIB, 512, 0x8000000000, 0x3fffe000, 512, 2080823, 2080567, 0x3f809000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, 513 * GIB, 4096, 0x0, 0x8000000000, 4096, 134086776, 134086520, 0x7fe007b000, 0x7fffffb000, 0x7ffffff000, 0x8000000000},
	{UNTORN_BTT_PMEMBLK, 513 * GIB, 4096, 0x8000000000, 0x3fffe000, 4096, 261879, 261623, 0x3fef9000, 0x3fff9000, 0x3fffd000, 0x0},
	/* pmemblk, other block sizes */
	{UNTORN_BTT_PMEMBLK, GIB, 1, 0x0, 0x3fffe000, 512, 2080823, 2080567, 0x3f809000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 520, 0x0, 0x3fffe000, 768, 1390809, 1390553, 0x3faab000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 528, 0x0, 0x3fffe000, 768, 1390809, 1390553, 0x3faab000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 4104, 0x0, 0x3fffe000, 4352, 246488, 246232, 0x3ff08000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 4160, 0x0, 0x3fffe000, 4352, 246488, 246232, 0x3ff08000, 0x3fff9000, 0x3fffd000, 0x0},
	{UNTORN_BTT_PMEMBLK, GIB, 4224, 0x0, 0x3fffe000, 4352, 246488, 246232, 0x3ff08000, 0x3fff9000, 0x3fffd000, 0x0},
};
/* clang-format on */

static void check_row(const struct row *row)
{
	const struct btt_profile *profile = btt_profile(row->layout);
	struct btt_geometry g;
	uint64_t off, i;

	if (row->arena_at == REJECTED) {
		assert_int_equal(geometry_narena(profile, row->container), 0);
		assert_int_equal(geometry_arena(profile, row->container, row->external_lbasize, 0, &off, &g), -ENXIO);
		return;
	}
	i = row->arena_at / BTT_ARENA_MAX;
	assert_int_equal(geometry_arena(profile, row->container, row->external_lbasize, i, &off, &g), 0);
	assert_int_equal(off, profile->base + row->arena_at);
	assert_int_equal(geometry_arena_size(&g), row->arena_size);
	assert_int_equal(g.external_lbasize, row->external_lbasize);
	assert_int_equal(g.internal_lbasize, row->internal_lbasize);
	assert_int_equal(g.internal_nlba, row->internal_nlba);
	assert_int_equal(g.external_nlba, row->external_nlba);
	assert_int_equal(g.nfree, 256);
	assert_int_equal(g.dataoff, 4096);
	assert_int_equal(g.mapoff, row->mapoff);
	assert_int_equal(g.logoff, row->logoff);
	assert_int_equal(g.info2off, row->info2off);
	assert_int_equal(g.nextoff, row->nextoff);
	assert_int_equal(geometry_narena(profile, row->container), row->nextoff ? i + 2 : i + 1);
	assert_null(geometry_fault(&g, row->container - off));
}

static void test_worked_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

/* -------------------------------------------------------- every size ----------------------------------------------------- */

static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0, UNTORN_BTT_PMEMBLK};
static const uint32_t sizes[] = {1, 511, 512, 513, 520, 528, 4096, 4104, 4160, 4224, 8192, 16384, 32768, 65536};

/* The split of SPEC 3.1, written as the loop that stands there. */
static uint64_t count_arenas(uint64_t raw)
{
	uint64_t n = 0;

	if (raw < BTT_ARENA_MIN)
		return 0;
	while (raw > 0) {
		uint64_t size = min_u64(raw, BTT_ARENA_MAX);

		if (size < BTT_ARENA_MIN)
			break;
		raw -= size;
		n++;
	}
	return n;
}

/* Parts in order, nothing overlaps, and the head-room is less than what one more block would need. */
static void check_arena(const struct btt_profile *profile, uint64_t container, uint32_t external_lbasize, uint64_t i)
{
	uint64_t off, data_end, narena = geometry_narena(profile, container);
	struct btt_geometry g;
	int r = geometry_arena(profile, container, external_lbasize, i, &off, &g);

	if (r < 0) {
		assert_int_equal(r, -ENXIO);
		/* Only where a small arena has room for hardly more blocks than lanes. */
		assert_true(external_lbasize > 4224 && (container - profile->base) % BTT_ARENA_MAX < 64 * MIB);
		assert_int_equal(i, narena - 1);
		return;
	}
	assert_int_equal(off, profile->base + i * BTT_ARENA_MAX);
	assert_int_equal(g.internal_lbasize % profile->internal_round, 0);
	assert_true(g.internal_lbasize >= external_lbasize && g.internal_lbasize >= profile->internal_min);
	assert_true(g.internal_lbasize - external_lbasize < profile->internal_round ||
		    g.internal_lbasize == profile->internal_min);
	assert_int_equal(g.internal_nlba, g.external_nlba + 256);
	assert_true(g.external_nlba > 0 && g.internal_nlba <= BTT_MAP_BLOCK);
	data_end = g.dataoff + (uint64_t)g.internal_nlba * g.internal_lbasize;
	assert_true(data_end <= g.mapoff && g.mapoff - data_end < g.internal_lbasize + 4 + 2 * BTT_BLOCK);
	assert_int_equal(g.logoff, g.mapoff + round_up(4ull * g.external_nlba, BTT_BLOCK));
	assert_int_equal(g.info2off, g.logoff + 16384);
	assert_int_equal(g.nextoff, i + 1 < narena ? BTT_ARENA_MAX : 0);
	if (g.nextoff)
		assert_int_equal(g.info2off, BTT_ARENA_MAX - BTT_BLOCK);
	else
		assert_int_equal(off + g.info2off + BTT_BLOCK,
				 off + round_down(min_u64(container - off, BTT_ARENA_MAX), BTT_BLOCK));
	assert_null(geometry_fault(&g, container - off));
}

static void test_every_size(void **state)
{
	static const uint64_t containers[] = {
		4096,
		16 * MIB - 4096,
		16 * MIB,
		16 * MIB + 4096,
		16 * MIB + 8192,
		17 * MIB + 12288,
		33 * MIB,
		100 * MIB + 4096,
		GIB - 4096,
		511 * GIB,
		512 * GIB - 4096,
		512 * GIB,
		512 * GIB + 4096,
		512 * GIB + 16 * MIB - 4096,
		512 * GIB + 16 * MIB,
		512 * GIB + 16 * MIB + 4096,
		512 * GIB + 16 * MIB + 8192,
		1024 * GIB + 16 * MIB,
		1536 * GIB,
		64 * 1024 * GIB,
	};

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		const struct btt_profile *profile = btt_profile(layouts[l]);

		for (size_t c = 0; c < ARRAY_SIZE(containers); c++) {
			uint64_t raw = containers[c] > profile->base ? containers[c] - profile->base : 0;
			uint64_t narena = count_arenas(raw), off;
			struct btt_geometry g;

			assert_int_equal(geometry_narena(profile, containers[c]), narena);
			assert_int_equal(geometry_arena(profile, containers[c], 512, narena, &off, &g), -ENXIO);
			for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
				for (uint64_t i = 0; untorn_btt_sector_size_ok(layouts[l], sizes[s]) && i < narena; i++)
					check_arena(profile, containers[c], sizes[s], i);
		}
	}
}

/* A pool needs twice as many blocks as lanes, Linux one more. */
static void test_fewest_blocks(void **state)
{
	uint64_t off, fixed = 2 * 4096 + 16384 + 4096;
	struct btt_geometry g;

	(void)state;
	assert_int_equal(
		geometry_arena(btt_profile(UNTORN_BTT_V2_0), round_up(fixed + 256 * 65540, 4096), 65536, 0, &off, &g),
		-ENXIO);
	assert_int_equal(
		geometry_arena(btt_profile(UNTORN_BTT_V2_0), round_up(fixed + 257 * 65540, 4096), 65536, 0, &off, &g),
		0);
	assert_int_equal(g.external_nlba, 1);
	assert_int_equal(geometry_arena(btt_profile(UNTORN_BTT_PMEMBLK),
					8192 + round_down(fixed + 512 * 65540 - 1, 4096), 65536, 0, &off, &g),
			 -ENXIO);
	assert_int_equal(geometry_arena(btt_profile(UNTORN_BTT_PMEMBLK), 8192 + round_up(fixed + 512 * 65540, 4096),
					65536, 0, &off, &g),
			 0);
	assert_int_equal(g.internal_nlba, 512);
}

/* ------------------------------------------------------ what is refused -------------------------------------------------- */

static void expect_fault(struct btt_geometry g, uint64_t room, const char *field)
{
	const char *fault = geometry_fault(&g, room);

	assert_non_null(fault);
	assert_string_equal(fault, field);
}

#define EXPECT_FAULT(member, value, field)                         \
	do {                                                       \
		struct btt_geometry bad_ = good;                   \
		bad_.member = (value);                             \
		expect_fault(bad_, room, field ? field : #member); \
	} while (0)

static void test_faults(void **state)
{
	const uint64_t room = 513 * GIB;
	struct btt_geometry good, copy;
	uint64_t off;

	(void)state;
	assert_int_equal(geometry_arena(btt_profile(UNTORN_BTT_V2_0), room, 4096, 0, &off, &good), 0);
	assert_null(geometry_fault(&good, room));

	EXPECT_FAULT(external_lbasize, 0, NULL);
	EXPECT_FAULT(external_lbasize, 4097, "internal_lbasize");
	EXPECT_FAULT(external_lbasize, UINT32_MAX, "internal_lbasize");
	EXPECT_FAULT(internal_lbasize, 0, NULL);
	EXPECT_FAULT(internal_lbasize, 4095, NULL);
	EXPECT_FAULT(internal_lbasize, 4160, "mapoff"); /* the data would reach into the map */
	EXPECT_FAULT(internal_lbasize, UINT32_MAX, "mapoff");
	EXPECT_FAULT(nfree, 0, NULL);
	EXPECT_FAULT(nfree, BTT_NFREE_MAX + 1, NULL);
	EXPECT_FAULT(nfree, UINT32_MAX, NULL);
	EXPECT_FAULT(nfree, 257, "internal_nlba");
	EXPECT_FAULT(external_nlba, 0, NULL);
	EXPECT_FAULT(external_nlba, good.external_nlba + 1, "internal_nlba");
	EXPECT_FAULT(external_nlba, UINT32_MAX, "internal_nlba");
	EXPECT_FAULT(internal_nlba, 0, NULL);
	EXPECT_FAULT(internal_nlba, good.internal_nlba - 1, NULL);
	EXPECT_FAULT(internal_nlba, BTT_MAP_BLOCK + 1, NULL);
	EXPECT_FAULT(internal_nlba, UINT32_MAX, NULL);
	EXPECT_FAULT(dataoff, 0, NULL);
	EXPECT_FAULT(dataoff, 4095, NULL);
	EXPECT_FAULT(dataoff, 4097, NULL);
	EXPECT_FAULT(dataoff, 3ull << 38, NULL);
	EXPECT_FAULT(dataoff, UINT64_MAX - 4095, NULL);
	EXPECT_FAULT(mapoff, 0, NULL);
	EXPECT_FAULT(mapoff, good.mapoff + 1, NULL);
	EXPECT_FAULT(mapoff, good.mapoff - 64 * 4096, NULL);
	EXPECT_FAULT(mapoff, good.logoff, "logoff");
	EXPECT_FAULT(mapoff, UINT64_MAX - 4095, NULL);
	EXPECT_FAULT(logoff, 0, NULL);
	EXPECT_FAULT(logoff, good.logoff + 2048, NULL);
	EXPECT_FAULT(logoff, good.logoff - 4096, NULL);
	EXPECT_FAULT(logoff, good.logoff + 4096, NULL);
	EXPECT_FAULT(logoff, UINT64_MAX - 4095, NULL);
	EXPECT_FAULT(info2off, 0, "dataoff");
	EXPECT_FAULT(info2off, good.info2off - 4096, "logoff");
	EXPECT_FAULT(info2off, good.info2off - 1, NULL);
	EXPECT_FAULT(info2off, good.info2off + 4096, "nextoff"); /* it would lie in the next arena */
	EXPECT_FAULT(info2off, room, NULL);
	EXPECT_FAULT(info2off, UINT64_MAX - 4095, NULL);
	EXPECT_FAULT(nextoff, 1, NULL);
	EXPECT_FAULT(nextoff, 4096, NULL);
	EXPECT_FAULT(nextoff, BTT_ARENA_MAX / 2, NULL);
	EXPECT_FAULT(nextoff, BTT_ARENA_MAX * 2, NULL);
	EXPECT_FAULT(nextoff, UINT64_MAX, NULL);

	/* The container ends too early: for the backup, and for a next arena. */
	expect_fault(good, 0, "info2off");
	expect_fault(good, 4095, "info2off");
	expect_fault(good, good.info2off + 4095, "info2off");
	expect_fault(good, BTT_ARENA_MAX, "nextoff");
	copy = good;
	copy.nextoff = 0;
	assert_null(geometry_fault(&copy, copy.info2off + 4096));

	/* A product that only 64 bits hold. */
	copy = good;
	copy.external_lbasize = copy.internal_lbasize = UINT32_MAX;
	copy.internal_nlba = BTT_MAP_BLOCK;
	copy.external_nlba = copy.internal_nlba - copy.nfree;
	expect_fault(copy, room, "mapoff");
}

/* Other programs' geometry: other lane counts and gaps are fine. */
static void test_foreign(void **state)
{
	static const uint32_t nfrees[] = {1, 2, 64, 300, BTT_NFREE_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nfrees); i++) {
		struct btt_geometry g = {
			.external_lbasize = 512,
			.external_nlba = 1000,
			.internal_lbasize = 1024,
			.internal_nlba = 1000 + nfrees[i],
			.nfree = nfrees[i],
			.dataoff = 8192,
		};

		g.mapoff = round_up(g.dataoff + 1024ull * g.internal_nlba, 4096) + 4096;
		g.logoff = g.mapoff + 8192;
		g.info2off = g.logoff + round_up(64ull * g.nfree, 4096) + 8192;
		assert_null(geometry_fault(&g, g.info2off + 4096));
		assert_int_equal(geometry_arena_size(&g), g.info2off + 4096);
	}
}

/* --------------------------------------------------------- sizes -------------------------------------------------------- */

static void test_sector_sizes(void **state)
{
	static const struct {
		uint32_t external, narrow, wide; /* data bytes; 0: refused */
		int linux_formats, pool_formats;
	} table[] = {
		{0, 0, 0, 0, 0},
		{1, 0, 0, 0, 1},
		{511, 0, 0, 0, 1},
		{512, 512, 0, 1, 1},
		{513, 512, 0, 0, 1},
		{520, 512, 0, 1, 1},
		{528, 512, 0, 1, 1},
		{4095, 512, 0, 0, 1},
		{4096, 4096, 0, 1, 1},
		{4104, 4096, 0, 1, 1},
		{4160, 4096, 0, 1, 1},
		{4224, 4096, 0, 1, 1},
		{8192, 4096, 8192, 1, 1},
		{16384, 4096, 16384, 1, 1},
		{32768, 4096, 32768, 1, 1},
		{65536, 4096, 65536, 1, 1},
		{65537, 4096, 0, 0, 0},
		{131072, 4096, 0, 0, 0},
		{UINT32_MAX, 4096, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint32_t size = table[i].external;

		assert_int_equal(geometry_sector_size(UNTORN_BTT_V1_1, false, size), table[i].narrow);
		assert_int_equal(geometry_sector_size(UNTORN_BTT_V2_0, false, size), table[i].narrow);
		assert_int_equal(geometry_sector_size(UNTORN_BTT_V2_0, true, size), table[i].wide);
		assert_int_equal(geometry_sector_size(UNTORN_BTT_PMEMBLK, false, size), size);
		assert_int_equal(geometry_is_wide(size), table[i].wide != 0);
		assert_int_equal(untorn_btt_sector_size_ok(UNTORN_BTT_AUTO, size), table[i].linux_formats);
		assert_int_equal(untorn_btt_sector_size_ok(UNTORN_BTT_V1_1, size), table[i].linux_formats);
		assert_int_equal(untorn_btt_sector_size_ok(UNTORN_BTT_V2_0, size), table[i].linux_formats);
		assert_int_equal(untorn_btt_sector_size_ok(UNTORN_BTT_PMEMBLK, size), table[i].pool_formats);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(untorn_btt_layout_name(UNTORN_BTT_AUTO), "auto");
	assert_string_equal(untorn_btt_layout_name(UNTORN_BTT_V1_1), "1.1");
	assert_string_equal(untorn_btt_layout_name(UNTORN_BTT_V2_0), "2.0");
	assert_string_equal(untorn_btt_layout_name(UNTORN_BTT_PMEMBLK), "pmemblk");
	assert_non_null(untorn_btt_layout_name((enum untorn_btt_layout)17));
	assert_null(btt_profile(UNTORN_BTT_AUTO));
	assert_null(btt_profile((enum untorn_btt_layout)17));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_examples), cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_fewest_blocks),   cmocka_unit_test(test_faults),
		cmocka_unit_test(test_foreign),         cmocka_unit_test(test_sector_sizes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
