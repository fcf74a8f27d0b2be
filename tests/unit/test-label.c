/* SPDX-License-Identifier: BSD-3-Clause */
/* Label areas, sets and cookies, with the vectors of SPEC 9 and 10 and areas that Linux wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fletcher64.h"
#include "label/area.h"
#include "labels.h"
#include "media/fault.h"
#include "media/memory.h"

#define AREA (128u << 10)

static uint8_t *memory;

static struct untorn_media *wrap(size_t size)
{
	struct untorn_media *media;

	memory = calloc(1, size);
	assert_non_null(memory);
	assert_int_equal(memory_media_wrap(memory, size, &media), 0);
	return media;
}

static void unwrap(struct untorn_media *media)
{
	untorn_media_close(media);
	free(memory);
}

static uint64_t block_checksum(const uint8_t *block)
{
	return le64_get(((const struct label_index_block *)block)->checksum);
}

/* Give an index block of 256 bytes the right checksum. */
static void seal(uint8_t *block)
{
	((struct label_index_block *)block)->checksum = le64_make(fletcher64(block, 256, 64, 8));
}

/* ---------------------------------------------------------- one area ----------------------------------------------------- */

/* SPEC 9.3. */
static void test_nslot(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t v1_1, index1, v1_2, index2;
	} rows[] = {
		{1u << 10, 4, 256, 2, 256},         {4u << 10, 28, 256, 14, 256},
		{64u << 10, 508, 256, 254, 256},    {128u << 10, 1020, 256, 510, 256},
		{256u << 10, 2040, 512, 1022, 256}, {1u << 20, 8172, 1280, 4090, 768},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct untorn_media *media = wrap(round_up(rows[i].size, 4096));
		struct untorn_label_area_info info;
		struct untorn_label_area *area;

		assert_int_equal(untorn_label_nslot(UNTORN_LABEL_V1_1, rows[i].size), rows[i].v1_1);
		assert_int_equal(untorn_label_nslot(UNTORN_LABEL_V1_2, rows[i].size), rows[i].v1_2);
		for (int v = UNTORN_LABEL_V1_1; v <= UNTORN_LABEL_V1_2; v++) {
			assert_int_equal(untorn_label_open(media, 0, rows[i].size, &area), 0);
			assert_int_equal(untorn_label_init(area, (enum untorn_label_version)v, UNTORN_LABEL_FORCE), 0);
			untorn_label_get_info(area, &info);
			assert_int_equal(info.version, v);
			assert_int_equal(info.nslot, v == 1 ? rows[i].v1_1 : rows[i].v1_2);
			assert_int_equal(info.nfree, info.nslot);
			assert_int_equal(info.index_size, v == 1 ? rows[i].index1 : rows[i].index2);
			assert_int_equal(info.label_size, v == 1 ? 128 : 256);
			assert_true(!info.fault[0] && !info.fault[1] && info.seq[0] == 3 && info.seq[1] == 2);
			assert_int_equal(info.current, 0);
			untorn_label_close(area);
		}
		unwrap(media);
	}
	assert_int_equal(untorn_label_nslot(UNTORN_LABEL_V1_2, 512), 0);
	assert_int_equal(untorn_label_nslot(UNTORN_LABEL_V1_2, 0), 0);
	assert_int_equal(untorn_label_nslot(UNTORN_LABEL_V1_1, UINT64_MAX), 0);
	assert_int_equal(untorn_label_nslot(UNTORN_LABEL_NONE, AREA), 0);
}

/* SPEC 9.10: what Linux writes. */
static void test_init_vectors(void **state)
{
	static const uint8_t head[80] = {
		0x4e, 0x41, 0x4d, 0x45, 0x53, 0x50, 0x41, 0x43, 0x45, 0x5f, 0x49, 0x4e, 0x44, 0x45, 0x58, 0x00,
		0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x01, 0x00, 0x00, 0x01, 0x00, 0x02, 0x00,
		0x1c, 0x3c, 0x32, 0x18, 0xed, 0xe3, 0x93, 0xe7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	};
	static const uint8_t tail[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f};
	struct untorn_media *media = wrap(AREA);
	struct untorn_label_area *area;

	(void)state;
	assert_int_equal(untorn_label_open(media, 0, AREA, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	assert_int_equal(block_checksum(memory), 0xe793e3ed18323c1c);
	assert_int_equal(block_checksum(memory + 256), 0xe793e7b218323c1b);
	assert_memory_equal(memory, head, sizeof(head));
	assert_memory_equal(memory + 128, tail, sizeof(tail));
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_1, 0), -EEXIST);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE), 0);
	assert_int_equal(block_checksum(memory), 0xdb634621e7313e0a);
	assert_int_equal(block_checksum(memory + 256), 0xdb6349e6e7313e09);
	untorn_label_close(area);
	unwrap(media);
}

/* SPEC 9.10: ndctl sets bits behind the last slot. They are no slots. */
static void test_excess_bits(void **state)
{
	static const uint64_t checksums[2][2] = {{0xeb634621d7313e0a, 0xeb6349e6d7313e09},
						 {0x2793e3edd8323c1c, 0x2793e7b2d8323c1b}};

	(void)state;
	for (int v = UNTORN_LABEL_V1_1; v <= UNTORN_LABEL_V1_2; v++) {
		struct untorn_media *media = wrap(AREA);
		struct untorn_label_area_info info;
		struct untorn_label_area *area;
		const uint32_t nslot = untorn_label_nslot((enum untorn_label_version)v, AREA);

		assert_int_equal(untorn_label_open(media, 0, AREA, &area), 0);
		assert_int_equal(untorn_label_init(area, (enum untorn_label_version)v, 0), 0);
		for (unsigned i = 0; i < 2; i++) {
			memset(memory + 256 * i + 72, 0xff, round_up(nslot, 64) / 8);
			seal(memory + 256 * i);
			assert_int_equal(block_checksum(memory + 256 * i), checksums[v - 1][i]);
		}
		assert_int_equal(untorn_label_reload(area), 0);
		untorn_label_get_info(area, &info);
		assert_int_equal(info.nslot, nslot);
		assert_int_equal(info.nfree, nslot);
		untorn_label_close(area);
		unwrap(media);
	}
}

/* An area as kernels before 4.12 made it: 1016 slots, seq 0 and then 3. SPEC 9.3, 9.6, 9.10. */
static void test_old_area(void **state)
{
	struct untorn_media *media = wrap(AREA);
	struct untorn_label_area_info info;
	struct untorn_label_area *area;
	struct untorn_label label = {.nlabel = 1, .dpa = 0, .rawsize = 4096};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct label_index_block *b = (struct label_index_block *)(memory + 256 * i);

		*b = (struct label_index_block){
			.seq = le32_make(i ? 3 : 0),
			.myoff = le64_make(256 * i),
			.mysize = le64_make(256),
			.otheroff = le64_make(256 - 256 * i),
			.labeloff = le64_make(512),
			.nslot = le32_make(1016),
			.major = le16_make(1),
			.minor = le16_make(1),
		};
		memcpy(b->signature, LABEL_INDEX_SIGNATURE, 16);
		memset(b + 1, 0xff, 127);
		if (i == 1)
			((uint8_t *)(b + 1))[0] = 0xfe;
		seal((uint8_t *)b);
	}
	assert_int_equal(block_checksum(memory), 0xfa6344a8d8313e03);
	assert_int_equal(block_checksum(memory + 256), 0xfa63492bd8313e05);
	assert_int_equal(untorn_label_open(media, 0, AREA, &area), 0);
	untorn_label_get_info(area, &info);
	assert_int_equal(info.version, UNTORN_LABEL_V1_1);
	assert_int_equal(info.current, 1);
	assert_int_equal(info.nslot, 1016);
	assert_int_equal(info.nfree, 1015);
	assert_string_equal(info.fault[0], "seq");
	assert_null(info.fault[1]);
	/* An update keeps the number of slots and goes to the other block. */
	labels_plant(area, &label);
	assert_int_equal(label.slot, 1);
	assert_int_equal(untorn_label_reload(area), 0);
	untorn_label_get_info(area, &info);
	assert_int_equal(info.current, 0);
	assert_int_equal(info.nslot, 1016);
	assert_int_equal(info.nfree, 1014);
	assert_int_equal(info.seq[0], 1);
	assert_true(!info.fault[0] && !info.fault[1]);
	untorn_label_close(area);
	unwrap(media);
}

/* SPEC 9.10: a label. */
static void test_label_vector(void **state)
{
	struct untorn_label label =
				    {
					    .nlabel = 1,
					    .isetcookie = 0xba90120012b4dc,
					    .lbasize = 512,
					    .rawsize = 0x7000000,
					    .slot = 1,
				    },
			    back;
	struct label_block block;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		label.uuid[i] = (uint8_t)(0x10 + i);
	memcpy(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), 16);
	memcpy(label.abstraction_guid, "\xfc\x3b\x63\x18\x35\x17\x17\x42\x8a\xc9\x17\x23\x92\x82\xd3\xf8", 16);
	label_encode(&label, 256, &block);
	assert_int_equal(le64_get(block.checksum), 0x917cc5899892c5c5);
	label_decode(&block, 256, 1, &back);
	assert_int_equal(back.state, UNTORN_LABEL_ACTIVE);
	assert_null(back.fault);
	assert_int_equal(back.checksum, 0x917cc5899892c5c5);
	label_decode(&block, 256, 2, &back);
	assert_string_equal(back.fault, "slot");
	block.name[3] ^= 1;
	label_decode(&block, 256, 1, &back);
	assert_string_equal(back.fault, "checksum");
	label_decode(&block, 128, 1, &back);
	assert_null(back.fault);
	assert_true(is_zero(back.type_guid, 16) && back.checksum == 0);
	label.flags = UNTORN_LABEL_UPDATING;
	label.slot = 0;
	label_encode(&label, 256, &block);
	assert_int_equal(le64_get(block.checksum), 0x917cc6c79892c5cc);
}

/* Which block counts, for all pairs of sequence numbers: SPEC 9.4 as a table. -1: none. */
static void test_choice(void **state)
{
	static const int expected[4][4] = {{-1, 1, 1, 1}, {0, 1, 1, 0}, {0, 0, 1, 1}, {0, 1, 0, 1}};
	struct untorn_media *media = wrap(4096);
	struct untorn_label_area_info info;
	struct untorn_label_area *area;

	(void)state;
	assert_int_equal(untorn_label_open(media, 0, 4096, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	for (uint32_t s0 = 0; s0 < 4; s0++)
		for (uint32_t s1 = 0; s1 < 4; s1++) {
			/* Bits above the lowest two do not count. */
			((struct label_index_block *)memory)->seq = le32_make(s0 | 0x40);
			((struct label_index_block *)(memory + 256))->seq = le32_make(s1 | 0x80);
			seal(memory);
			seal(memory + 256);
			assert_int_equal(untorn_label_reload(area), 0);
			untorn_label_get_info(area, &info);
			assert_int_equal(info.version == UNTORN_LABEL_NONE ? -1 : info.current, expected[s0][s1]);
			assert_int_equal(info.fault[0] != NULL, s0 == 0);
			assert_int_equal(info.seq[1], s1 | 0x80);
		}
	untorn_label_close(area);
	unwrap(media);
}

/* Each rule of SPEC 9.4, broken in block 1: block 0 counts, and the fault has a name. */
static void test_faults(void **state)
{
	static const struct {
		const char *fault;
		size_t off;
		uint8_t value;
	} rows[] = {
		{"signature", 3, 'X'}, {"labelsize", 19, 2}, {"labelsize", 19, 255}, {"checksum", 64, 1},
		{"myoff", 24, 1},      {"otheroff", 41, 1},  {"labeloff", 48, 1},    {"mysize", 33, 0},
		{"mysize", 34, 1},     {"nslot", 56, 15},    {"nslot", 59, 255},     {"seq", 20, 4},
	};
	struct untorn_media *media = wrap(4096);
	struct untorn_label_area_info info;
	struct untorn_label_area *area;
	uint8_t sound[512];

	(void)state;
	assert_int_equal(untorn_label_open(media, 0, 4096, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	memcpy(sound, memory, sizeof(sound));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned block = 0; block < 2; block++) {
			memcpy(memory, sound, sizeof(sound));
			memory[256 * block + rows[i].off] = rows[i].value;
			/* In block 0, the first byte of otheroff or myoff means something else. */
			if (block == 0 && strcmp(rows[i].fault, "otheroff") == 0)
				memory[40] = 1;
			if (strcmp(rows[i].fault, "checksum") != 0)
				seal(memory + 256 * block);
			assert_int_equal(untorn_label_reload(area), 0);
			untorn_label_get_info(area, &info);
			assert_int_equal(info.current, 1 - block);
			assert_null(info.fault[1 - block]);
			assert_non_null(info.fault[block]);
			assert_string_equal(info.fault[block], rows[i].fault);
		}
		/* In both blocks: no index, and the fault is told all the same. */
		memory[rows[i].off] = rows[i].value;
		memory[256 + rows[i].off] = rows[i].value;
		if (strcmp(rows[i].fault, "otheroff") == 0)
			memory[40] = 1;
		if (strcmp(rows[i].fault, "checksum") != 0)
			seal(memory);
		assert_int_equal(untorn_label_reload(area), 0);
		untorn_label_get_info(area, &info);
		assert_int_equal(info.version, UNTORN_LABEL_NONE);
		assert_int_equal(info.nslot, 0);
		if (strcmp(rows[i].fault, "labelsize") != 0)
			assert_string_equal(info.fault[0], rows[i].fault);
	}
	untorn_label_close(area);
	unwrap(media);
}

static void test_open(void **state)
{
	struct untorn_media *media = wrap(8192);
	struct untorn_label_area *area;
	struct untorn_label label;
	uint8_t bytes[16] = "0123456789abcde", back[16];

	(void)state;
	assert_int_equal(untorn_label_open(media, 4, 4096, &area), -EINVAL);
	assert_int_equal(untorn_label_open(media, 0, 4092, &area), -EINVAL);
	assert_int_equal(untorn_label_open(media, 0, 0, &area), -EINVAL);
	assert_int_equal(untorn_label_open(media, 4096, 4104, &area), -ERANGE);
	assert_int_equal(untorn_label_open(media, UINT64_MAX - 7, 8, &area), -ERANGE);
	assert_int_equal(untorn_label_open(media, 1000, 4096, &area), 0);
	assert_int_equal(untorn_label_get(area, 0, &label), -ENXIO);
	assert_int_equal(untorn_label_next_active(area, 0, &label), -ENOENT);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_NONE, 0), -EINVAL);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 2), -EINVAL);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	assert_int_equal(untorn_label_get(area, 14, &label), -ERANGE);
	assert_int_equal(untorn_label_get(area, 13, &label), 0);
	assert_int_equal(label.state, UNTORN_LABEL_FREED);
	assert_true(is_zero(memory, 1000) && is_zero(memory + 1000 + 4096, 8192 - 5096));

	/* Raw bytes: what is written counts at once. */
	assert_int_equal(untorn_label_read(area, 4090, back, 7), -ERANGE);
	assert_int_equal(untorn_label_write(area, 4096, bytes, 1), -ERANGE);
	assert_int_equal(untorn_label_zero(area, 1, 4096), -ERANGE);
	assert_int_equal(untorn_label_write(area, 4080, bytes, 16), 0);
	assert_int_equal(untorn_label_read(area, 4080, back, 16), 0);
	assert_memory_equal(bytes, back, 16);
	assert_memory_equal(memory + 1000 + 4080, bytes, 16);
	assert_int_equal(untorn_label_zero(area, 0, 512), 0);
	assert_int_equal(untorn_label_get(area, 0, &label), -ENXIO);
	untorn_label_close(area);
	assert_int_equal(untorn_label_open(media, 0, 512, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), -ENOSPC);
	untorn_label_close(area);
	untorn_label_close(NULL);
	assert_string_equal(untorn_label_version_name(UNTORN_LABEL_NONE), "none");
	assert_string_equal(untorn_label_version_name(UNTORN_LABEL_V1_1), "1.1");
	assert_string_equal(untorn_label_version_name(UNTORN_LABEL_V1_2), "1.2");
	assert_string_equal(untorn_label_finding_name(UNTORN_LABEL_FINDING_OVERLAP), "label-overlap");
	assert_non_null(untorn_label_finding_danger(UNTORN_LABEL_FINDING_MEDIA));
	unwrap(media);
}

/* Old blocks of the other version, wherever they lie, do not come back. */
static void test_init_other_version(void **state)
{
	static const uint32_t sizes[] = {4096, 128u << 10, 256u << 10, 512u << 10, 1u << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct untorn_media *media = wrap(sizes[i]);
		struct untorn_label_area_info info;
		struct untorn_label_area *area;
		struct untorn_label label = {.nlabel = 1, .rawsize = 4096};

		assert_int_equal(untorn_label_open(media, 0, sizes[i], &area), 0);
		for (unsigned round = 0; round < 4; round++) {
			enum untorn_label_version version = round % 2 ? UNTORN_LABEL_V1_2 : UNTORN_LABEL_V1_1;

			assert_int_equal(untorn_label_init(area, version, round ? UNTORN_LABEL_FORCE : 0), 0);
			assert_int_equal(untorn_label_reload(area), 0);
			untorn_label_get_info(area, &info);
			assert_int_equal(info.version, version);
			assert_int_equal(info.nfree, info.nslot);
			assert_true(info.seq[0] == 3 && info.seq[1] == 2 && !info.fault[0] && !info.fault[1]);
			for (unsigned k = 0; k < round + 3; k++)
				labels_plant(area, &label);
		}
		untorn_label_close(area);
		unwrap(media);
	}
}

static void test_find(void **state)
{
	static const uint32_t sizes[] = {128u << 10, 4u << 20, 16384, 384u << 10, 1u << 20};
	struct untorn_media *media = wrap(8u << 20);
	struct untorn_label_area *area;
	uint64_t size = 1;

	(void)state;
	assert_int_equal(untorn_label_find(media, &size), 0);
	assert_int_equal(size, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t off = (8u << 20) - sizes[i];

		assert_int_equal(untorn_label_open(media, off, sizes[i], &area), 0);
		assert_int_equal(untorn_label_init(area, i % 2 ? UNTORN_LABEL_V1_1 : UNTORN_LABEL_V1_2, 0), 0);
		/* One block is enough. */
		memory[off] = 0;
		assert_int_equal(untorn_label_find(media, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(untorn_label_zero(area, 0, sizes[i]), 0);
		untorn_label_close(area);
	}
	unwrap(media);
}

/* ----------------------------------------------------------- cookies ----------------------------------------------------- */

/* SPEC 10. */
static void test_cookies(void **state)
{
	static const struct untorn_label_dimm_id two[] = {{0x1000, 0x22222222, 0x8086, 0x1234, 0x57},
							  {0, 0x11111111, 0x8086, 0x1234, 0x56}};
	static const struct untorn_label_dimm_id near[] = {{0x100, 0x11111111, 0x8086, 0x1234, 0x56},
							   {0x10000, 0x22222222, 0x8086, 0x1234, 0x57}};
	static const struct untorn_label_dimm_id four[] = {{1ull << 24, ~1u, 0, 0, 0},
							   {1ull << 40, ~0x101u, 0, 0, 0},
							   {1ull << 16, ~0u, 0, 0, 0},
							   {1ull << 32, ~0x100u, 0, 0, 0}};
	static const uint64_t qemu[][2] = {{0x2468ac00123456, 0xba90120012b4dc},
					   {0x2468ae00123457, 0xba901c0012b4dd},
					   {0x2468b000123458, 0xba90260012b4de},
					   {0x2468b200123459, 0xba90300012b4df}};
	struct untorn_label_cookies c;

	(void)state;
	for (uint32_t slot = 0; slot < ARRAY_SIZE(qemu); slot++) {
		struct untorn_label_dimm_id id = {.serial = 0x123456 + slot, .vendor = 0x8086};

		assert_int_equal(untorn_label_cookies(&id, 1, &c), 0);
		assert_int_equal(c.v1_1, qemu[slot][0]);
		assert_int_equal(c.alt, qemu[slot][0]);
		assert_int_equal(c.v1_2, qemu[slot][1]);
	}
	assert_int_equal(untorn_label_cookies(two, 2, &c), 0);
	assert_int_equal(c.v1_1, 0xaaaaeaaa33334333);
	assert_int_equal(c.alt, 0xaaaaeaaa33334333);
	assert_int_equal(c.v1_2, 0xeef4a5ee579c44ec);
	assert_int_equal(untorn_label_cookies(near, 2, &c), 0);
	assert_int_equal(c.v1_1, 0xaaaeb2aa33343433);
	assert_int_equal(c.alt, 0xeef6f2ee33343433);
	assert_int_equal(c.v1_2, 0xeefffdee579d35ec);
	assert_int_equal(untorn_label_cookies(four, 4, &c), 0);
	assert_int_equal(c.v1_1, 0x0c0ffadb0100fefb);
	assert_int_equal(c.alt, 0x0803f6d70100fefb);
	assert_int_equal(untorn_label_cookies(two, 0, &c), -EINVAL);
}

/* ------------------------------------------------------ areas of Linux --------------------------------------------------- */

struct fixture {
	const char *file;
	enum untorn_label_version version;
	uint32_t nfree;
	enum untorn_label_abstraction abstraction; /* of alpha and beta */
};

static const struct fixture fixtures[] = {
	{FIXTURES "/labels-v11.img.xz", UNTORN_LABEL_V1_1, 1017, UNTORN_LABEL_ABSTRACTION_NONE},
	{FIXTURES "/labels-v12.img.xz", UNTORN_LABEL_V1_2, 507, UNTORN_LABEL_ABSTRACTION_BTT2},
};

/* The last 128 KiB of the image, as a medium of their own. */
static struct untorn_media *load_fixture(const char *file)
{
	struct untorn_media *media = wrap(AREA);
	char command[512];
	FILE *pipe;

	snprintf(command, sizeof(command), "xz -dc '%s' | tail -c %u", file, AREA);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fread(memory, 1, AREA, pipe), AREA);
	assert_int_equal(pclose(pipe), 0);
	return media;
}

struct set_of_one {
	struct untorn_label_area *area;
	struct untorn_label_mapping mapping;
	struct untorn_label_set set;
	struct seen seen;
};

/* QEMU's first NVDIMM. */
static void open_one(struct set_of_one *one, struct untorn_media *media)
{
	const struct untorn_label_dimm_id id = {.serial = 0x123456, .vendor = 0x8086};

	assert_int_equal(untorn_label_open(media, 0, AREA, &one->area), 0);
	one->mapping = (struct untorn_label_mapping){.area = one->area, .size = 134086656};
	one->set = (struct untorn_label_set){.mappings = &one->mapping, .nmapping = 1};
	memcpy(one->set.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), 16);
	assert_int_equal(untorn_label_cookies(&id, 1, &one->set.cookies), 0);
}

static void see_one(struct set_of_one *one)
{
	struct labels l = {.set = one->set};

	labels_see(&l, &one->seen);
}

static const struct seen_namespace *by_name(const struct seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->ns[i].name, name) == 0)
			return &seen->ns[i];
	fail_msg("no namespace %s", name);
	return NULL;
}

/* The namespaces of the images' README; the ghosts in freed slots do not count. */
static void test_fixtures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		struct untorn_media *media = load_fixture(fixtures[i].file);
		struct untorn_label_area_info info;
		const struct seen_namespace *alpha, *beta, *gamma;
		struct set_of_one one;
		struct untorn_label label;
		unsigned ghosts = 0;

		open_one(&one, media);
		untorn_label_get_info(one.area, &info);
		assert_int_equal(info.version, fixtures[i].version);
		assert_int_equal(info.nfree, fixtures[i].nfree);
		assert_true(!info.fault[0] && !info.fault[1]);
		see_one(&one);
		assert_int_equal(one.seen.r, 0);
		assert_int_equal(one.seen.n, 3);
		for (unsigned k = 0; k < UNTORN_LABEL_FINDING_KINDS; k++)
			assert_int_equal(one.seen.findings[k], 0);
		alpha = by_name(&one.seen, "alpha");
		beta = by_name(&one.seen, "beta");
		gamma = by_name(&one.seen, "gamma");
		assert_int_equal(alpha->abstraction, fixtures[i].abstraction);
		assert_int_equal(alpha->lbasize, 4096);
		assert_int_equal(alpha->extents[0].size, 32u << 20);
		assert_int_equal(beta->lbasize, 512);
		assert_int_equal(gamma->extents[0].size, 16u << 20);
		assert_int_equal(gamma->abstraction, UNTORN_LABEL_ABSTRACTION_NONE);
		assert_int_equal(untorn_label_check(one.area, NULL, NULL), 0);
		for (uint32_t slot = 0; slot < info.nslot; slot++) {
			assert_int_equal(untorn_label_get(one.area, slot, &label), 0);
			ghosts += label.state == UNTORN_LABEL_FREED && !is_zero(label.uuid, 16);
		}
		assert_true(ghosts > 0);
		untorn_label_close(one.area);
		unwrap(media);
	}
}

/* Linux's area, changed by us and back. */
static void test_fixture_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		struct untorn_media *media = load_fixture(fixtures[i].file);
		struct untorn_label_area_info info;
		struct seen_namespace alpha;
		struct untorn_label_namespace ns = {.nextent = 1, .extents = alpha.extents};
		struct set_of_one one;
		struct seen before;

		open_one(&one, media);
		see_one(&one);
		before = one.seen;
		alpha = *by_name(&one.seen, "alpha");
		memcpy(ns.uuid, alpha.uuid, 16);
		ns.lbasize = alpha.lbasize;
		ns.abstraction = alpha.abstraction;
		strcpy(ns.name, "another name");
		assert_int_equal(untorn_label_put(&one.set, &ns, NULL), 0);
		see_one(&one);
		by_name(&one.seen, "another name");
		assert_int_equal(one.seen.n, 3);
		strcpy(ns.name, "alpha");
		assert_int_equal(untorn_label_put(&one.set, &ns, NULL), 0);
		see_one(&one);
		assert_true(seen_equal(&one.seen, &before));
		assert_int_equal(untorn_label_remove(&one.set, alpha.uuid), 0);
		see_one(&one);
		assert_int_equal(one.seen.n, 2);
		untorn_label_get_info(one.area, &info);
		assert_int_equal(info.nfree, fixtures[i].nfree + 1);
		untorn_label_close(one.area);
		unwrap(media);
	}
}

/* ------------------------------------------------------------ sets ------------------------------------------------------- */

struct world {
	struct untorn_media *media;
	struct labels l;
	struct seen seen;
	struct untorn_label_extent extents[LABELS_WAYS], others[LABELS_WAYS];
	struct untorn_label_namespace ns, other;
};

/* A set with two namespaces ready to be put: ns (id 1) and other (id 2) behind it. */
static void world_make(struct world *w, enum untorn_label_set_kind kind, unsigned ways,
		       enum untorn_label_version version)
{
	w->media = wrap(LABELS_MEDIUM);
	labels_open(&w->l, w->media, kind, ways);
	for (unsigned m = 0; m < ways && version != UNTORN_LABEL_NONE; m++)
		assert_int_equal(untorn_label_init(w->l.areas[m], version, 0), 0);
	w->ns = labels_namespace(&w->l, 1, "one", 0x100000, 0x100000, w->extents);
	w->other = labels_namespace(&w->l, 2, "two", 0x400000, 0x100000, w->others);
}

static void world_free(struct world *w)
{
	labels_close(&w->l);
	unwrap(w->media);
}

static void see(struct world *w)
{
	labels_see(&w->l, &w->seen);
}

/* What we see is what Linux sees. */
static void assert_linux_agrees(struct world *w)
{
	struct seen linux_seen;
	int r = read_as_linux(&w->l, &linux_seen);

	see(w);
	assert_int_equal(r, w->seen.r);
	assert_int_equal(linux_seen.n, w->seen.n);
	for (size_t i = 0; i < linux_seen.n; i++) {
		const struct seen_namespace *a = &linux_seen.ns[i], *b = NULL;

		for (size_t k = 0; k < w->seen.n; k++)
			if (memcmp(w->seen.ns[k].uuid, a->uuid, 16) == 0)
				b = &w->seen.ns[k];
		assert_non_null(b);
		assert_string_equal(a->name, b->name);
		assert_int_equal(a->lbasize, b->lbasize);
		assert_int_equal(a->flags, b->flags);
		assert_int_equal(a->nextent, b->nextent);
		for (size_t k = 0; k < a->nextent; k++) {
			assert_int_equal(a->extents[k].dpa, b->extents[k].dpa);
			assert_int_equal(a->extents[k].size, b->extents[k].size);
		}
	}
}

static uint32_t free_slots(struct world *w, unsigned mapping)
{
	struct untorn_label_area_info info;

	untorn_label_get_info(w->l.areas[mapping], &info);
	return info.nfree;
}

/* No active label carries the updating flag. */
static void assert_settled(struct world *w)
{
	struct untorn_label label;

	for (unsigned m = 0; m < w->l.set.nmapping; m++)
		for (uint32_t slot = 0; untorn_label_next_active(w->l.areas[m], slot, &label) == 0;
		     slot = label.slot + 1)
			assert_false(label.flags & UNTORN_LABEL_UPDATING);
}

static void put_and_change(enum untorn_label_version version, unsigned ways)
{
	const bool v1_2 = version != UNTORN_LABEL_V1_1;
	struct world w;
	uint8_t was[16];
	uint32_t nfree;

	world_make(&w, UNTORN_LABEL_SET_PMEM, ways, version);
	see(&w);
	assert_int_equal(w.seen.r, version == UNTORN_LABEL_NONE ? -ENXIO : 0);
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
	w.other.flags = UNTORN_LABEL_READ_ONLY;
	w.other.abstraction = UNTORN_LABEL_ABSTRACTION_BTT2;
	memset(w.other.name, 'n', 64);
	assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), 0);
	assert_linux_agrees(&w);
	assert_settled(&w);
	assert_int_equal(w.seen.n, 2);
	assert_string_equal(w.seen.ns[0].name, "one");
	assert_int_equal(strlen(w.seen.ns[1].name), 64);
	assert_int_equal(w.seen.ns[1].flags, UNTORN_LABEL_READ_ONLY);
	assert_int_equal(w.seen.ns[1].abstraction,
			 v1_2 ? UNTORN_LABEL_ABSTRACTION_BTT2 : UNTORN_LABEL_ABSTRACTION_NONE);
	nfree = free_slots(&w, ways - 1);
	assert_int_equal(nfree, (v1_2 ? 14 : 28) - 2);

	/* Resize and rename, in place. */
	for (unsigned m = 0; m < ways; m++)
		w.extents[m].size = 0x200000;
	strcpy(w.ns.name, "larger");
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
	assert_linux_agrees(&w);
	assert_string_equal(w.seen.ns[0].name, "larger");
	assert_int_equal(w.seen.ns[0].extents[ways - 1].size, 0x200000);
	assert_int_equal(free_slots(&w, ways - 1), nfree);

	/* Another uuid, another place. */
	memcpy(was, w.ns.uuid, 16);
	memset(w.ns.uuid, 7, 16);
	for (unsigned m = 0; m < ways; m++)
		w.extents[m].dpa += 0x80000;
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, was), 0);
	assert_linux_agrees(&w);
	assert_settled(&w);
	assert_int_equal(w.seen.n, 2);
	assert_int_equal(w.seen.ns[0].uuid[0], 7);
	assert_int_equal(w.seen.ns[0].extents[0].dpa, LABELS_DPA(0) + 0x180000);
	assert_int_equal(free_slots(&w, ways - 1), nfree);

	assert_int_equal(untorn_label_remove(&w.l.set, was), 0);
	assert_int_equal(untorn_label_remove(&w.l.set, w.ns.uuid), 0);
	assert_linux_agrees(&w);
	assert_int_equal(w.seen.n, 1);
	assert_int_equal(free_slots(&w, 0), nfree + 1);
	world_free(&w);
}

static void test_put(void **state)
{
	(void)state;
	for (unsigned ways = 1; ways <= LABELS_WAYS; ways++) {
		put_and_change(UNTORN_LABEL_NONE, ways);
		put_and_change(UNTORN_LABEL_V1_1, ways);
		put_and_change(UNTORN_LABEL_V1_2, ways);
	}
}

static void test_put_refusals(void **state)
{
	struct untorn_label_namespace bad;
	struct untorn_label_extent extents[LABELS_WAYS];
	struct world w;
	uint8_t before[LABELS_MEDIUM];

	(void)state;
	world_make(&w, UNTORN_LABEL_SET_PMEM, 2, UNTORN_LABEL_V1_2);
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
	memcpy(before, memory, sizeof(before));
	bad = labels_namespace(&w.l, 5, "bad", 0x600000, 0x1000, extents);
#define REFUSED(error, change)                                                     \
	do {                                                                       \
		bad = labels_namespace(&w.l, 5, "bad", 0x600000, 0x1000, extents); \
		change;                                                            \
		assert_int_equal(untorn_label_put(&w.l.set, &bad, NULL), error);   \
		assert_memory_equal(before, memory, sizeof(before));               \
	} while (0)
	REFUSED(-EINVAL, memset(bad.uuid, 0, 16));
	REFUSED(-EINVAL, bad.nextent = 1);
	REFUSED(-EINVAL, bad.nextent = 0);
	REFUSED(-EINVAL, bad.flags = UNTORN_LABEL_UPDATING);
	REFUSED(-EINVAL, bad.abstraction = UNTORN_LABEL_ABSTRACTION_UNKNOWN);
	REFUSED(-EINVAL, extents[1].mapping = 0);
	REFUSED(-EINVAL, extents[1].size++);
	REFUSED(-EINVAL, extents[1].dpa++);
	REFUSED(-EINVAL, extents[0].size = extents[1].size = 0);
	REFUSED(-EINVAL, extents[0].size = extents[1].size = LABELS_WINDOW);
	REFUSED(-EINVAL, extents[0].size = extents[1].size = UINT64_MAX);
	REFUSED(-EINVAL, (extents[0].dpa = LABELS_DPA(0) - 4096, extents[1].dpa = LABELS_DPA(1) - 4096));
	/* The last byte of the one that is there. */
	REFUSED(-EINVAL, (extents[0].dpa = LABELS_DPA(0) + 0x1fffff, extents[1].dpa = LABELS_DPA(1) + 0x1fffff));
	REFUSED(-EROFS, w.media->read_only = true);
	w.media->read_only = false;
	w.l.set.cookies.v1_2 = 0;
	REFUSED(-ENXIO, (void)0);
	w.l.set.cookies.v1_2 = 0x1202;
	w.l.mappings[1].area = w.l.areas[0];
	REFUSED(-EINVAL, (void)0);
	w.l.mappings[1].area = w.l.areas[1];
	/* A uuid that another one has. */
	assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), 0);
	memcpy(before, memory, sizeof(before));
	bad = w.other;
	memcpy(bad.uuid, w.ns.uuid, 16);
	assert_int_equal(untorn_label_put(&w.l.set, &bad, w.other.uuid), -EINVAL);
	assert_memory_equal(before, memory, sizeof(before));
	world_free(&w);
}

/* One slot is kept for updates; the update itself may take it. */
static void test_slots(void **state)
{
	(void)state;
	for (unsigned ways = 1; ways <= 2; ways++) {
		struct untorn_label junk = {.nlabel = 1, .rawsize = 4096};
		struct world w;

		world_make(&w, UNTORN_LABEL_SET_PMEM, ways, UNTORN_LABEL_V1_2);
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		/* Labels of others on the last area only. */
		for (uint64_t i = 0; free_slots(&w, ways - 1) > 1; i++) {
			junk.dpa = 0x1000 * i;
			labels_plant(w.l.areas[ways - 1], &junk);
		}
		assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), -ENOSPC);
		see(&w);
		assert_int_equal(w.seen.n, 1);
		strcpy(w.ns.name, "fits");
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_int_equal(untorn_label_put(&w.l.set, &w.other, w.ns.uuid), 0);
		assert_linux_agrees(&w);
		assert_settled(&w);
		assert_int_equal(w.seen.n, 1);
		assert_int_equal(free_slots(&w, ways - 1), 1);
		/* All in use: nothing can change any more, but removing helps. */
		junk.dpa = 0x900000;
		labels_plant(w.l.areas[ways - 1], &junk);
		assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), -ENXIO);
		assert_int_equal(untorn_label_remove(&w.l.set, w.other.uuid), 0);
		assert_linux_agrees(&w);
		assert_int_equal(w.seen.n, 0);
		world_free(&w);
	}
}

/* A GUID that we do not know is kept through a rewrite, and reads as such. */
static void test_unknown_abstraction(void **state)
{
	struct world w;
	struct untorn_label label = {.nlabel = 1, .isetcookie = 0x1202, .dpa = LABELS_DPA(0), .rawsize = 0x1000};

	(void)state;
	world_make(&w, UNTORN_LABEL_SET_PMEM, 1, UNTORN_LABEL_V1_2);
	memset(label.uuid, 9, 16);
	memset(label.abstraction_guid, 0xab, 16);
	memcpy(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), 16);
	labels_plant(w.l.areas[0], &label);
	see(&w);
	assert_int_equal(w.seen.ns[0].abstraction, UNTORN_LABEL_ABSTRACTION_UNKNOWN);
	w.ns = labels_namespace(&w.l, 9, "renamed", 0, 0x1000, w.extents);
	w.ns.abstraction = UNTORN_LABEL_ABSTRACTION_UNKNOWN;
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
	assert_int_equal(untorn_label_next_active(w.l.areas[0], 0, &label), 0);
	assert_string_equal(label.name, "renamed");
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(label.abstraction_guid[i], 0xab);
	world_free(&w);
}

/* All GUIDs of SPEC 0.2 survive the way to the media and back. */
static void test_abstractions(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, UNTORN_LABEL_SET_PMEM, 2, UNTORN_LABEL_V1_2);
	for (int a = 0; a < UNTORN_LABEL_ABSTRACTION_UNKNOWN; a++) {
		w.ns.abstraction = (enum untorn_label_abstraction)a;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		see(&w);
		assert_int_equal(w.seen.ns[0].abstraction, a);
	}
	world_free(&w);
}

/* ------------------------------------------------------ rules of assembly ------------------------------------------------ */

/* A sound label of namespace 1 on mapping m of w, to be spoilt. */
static struct untorn_label piece(const struct world *w, unsigned m)
{
	struct untorn_label label = {
		.nlabel = (uint16_t)w->l.set.nmapping,
		.position = (uint16_t)m,
		.isetcookie = w->l.areas[m]->index.version == UNTORN_LABEL_V1_1 ? 0x1101 : 0x1202,
		.lbasize = 512,
		.dpa = LABELS_DPA(m) + 0x100000,
		.rawsize = 0x100000,
	};

	memset(label.uuid, 1, 16);
	strcpy(label.name, "one");
	memcpy(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), 16);
	return label;
}

/* Two ways; a and b change the labels of the first and the second mapping. What is said of that. */
static void check_rule(const char *what, void (*spoil)(struct untorn_label *a, struct untorn_label *b), int r, size_t n,
		       enum untorn_label_finding_kind kind, enum untorn_label_version version)
{
	struct world w;
	struct untorn_label a, b;
	unsigned findings = 0;

	world_make(&w, UNTORN_LABEL_SET_PMEM, 2, version);
	assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), 0);
	a = piece(&w, 0);
	b = piece(&w, 1);
	spoil(&a, &b);
	if (a.rawsize != 77)
		labels_plant(w.l.areas[0], &a);
	if (b.rawsize != 77)
		labels_plant(w.l.areas[1], &b);
	see(&w);
	for (unsigned k = 0; k < UNTORN_LABEL_FINDING_KINDS; k++)
		findings += w.seen.findings[k];
	if (w.seen.r != r || w.seen.n != n || (kind < UNTORN_LABEL_FINDING_KINDS && w.seen.findings[kind] == 0) ||
	    (kind == UNTORN_LABEL_FINDING_KINDS && findings > 0)) {
		seen_print(what, &w.seen);
		fail_msg("%s: expected %d, %zu namespaces, %s", what, r, n,
			 kind < UNTORN_LABEL_FINDING_KINDS ? untorn_label_finding_name(kind) : "nothing found");
	}
	/* A refused set is mended by removing what is wrong in it. */
	if (r == -EUCLEAN && kind != UNTORN_LABEL_FINDING_OVERLAP) {
		assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), -EUCLEAN);
		assert_int_equal(untorn_label_remove(&w.l.set, a.uuid), 0);
		assert_linux_agrees(&w);
		assert_int_equal(w.seen.n, 1);
	}
	world_free(&w);
}

#define SPOILER(name, change)                                            \
	static void name(struct untorn_label *a, struct untorn_label *b) \
	{                                                                \
		(void)a;                                                 \
		(void)b;                                                 \
		change;                                                  \
	}
#define ABSENT 77 /* as rawsize: this label is not planted */

SPOILER(nothing, (void)0)
SPOILER(all_updating, a->flags = b->flags = UNTORN_LABEL_UPDATING)
SPOILER(first_updating, a->flags = UNTORN_LABEL_UPDATING)
SPOILER(second_updating, b->flags = UNTORN_LABEL_UPDATING)
SPOILER(swapped_positions, (a->position = 1, b->position = 0))
SPOILER(alt_cookies, a->isetcookie = b->isetcookie = 0xa17)
SPOILER(foreign_cookies, a->isetcookie = b->isetcookie = 0x999)
SPOILER(zero_cookies, a->isetcookie = b->isetcookie = 0)
SPOILER(foreign_cookie, b->isetcookie = 0x999)
SPOILER(foreign_types, (memset(a->type_guid, 1, 16), memset(b->type_guid, 1, 16)))
SPOILER(local_labels, a->flags = b->flags = UNTORN_LABEL_LOCAL)
SPOILER(second_absent, b->rawsize = ABSENT)
SPOILER(first_absent, a->rawsize = ABSENT)
SPOILER(half_made, (a->flags = UNTORN_LABEL_UPDATING, b->rawsize = ABSENT))
SPOILER(half_removed, (b->flags = UNTORN_LABEL_UPDATING, a->rawsize = ABSENT))
SPOILER(same_position, b->position = 0)
SPOILER(far_position, b->position = 2)
SPOILER(other_nlabel, a->nlabel = b->nlabel = 3)
SPOILER(other_size, b->rawsize = 0x1000)
SPOILER(other_place, b->dpa += 0x1000)
SPOILER(other_name, b->name[0] = 'X')
SPOILER(resize_begun, (a->flags = UNTORN_LABEL_UPDATING, a->rawsize = 0x200000))
SPOILER(resize_into_other, (a->flags = UNTORN_LABEL_UPDATING, a->rawsize = 0x200000, b->dpa += 0x1000, b->flags = 0))
SPOILER(resize_of_old_kernel, (a->flags = b->flags = UNTORN_LABEL_UPDATING, a->rawsize = 0x200000))
SPOILER(beyond_window,
	(a->dpa = LABELS_DPA(0) + LABELS_WINDOW - 0x1000, b->dpa = LABELS_DPA(1) + LABELS_WINDOW - 0x1000))
SPOILER(second_outside, b->dpa = LABELS_DPA(1) - 0x200000)
SPOILER(both_outside, (a->dpa = LABELS_DPA(0) - 0x200000, b->dpa = LABELS_DPA(1) - 0x200000))
SPOILER(zero_size, a->rawsize = 0)
SPOILER(wraps, (a->dpa = UINT64_MAX - 0xfff, a->rawsize = 0x2000))
SPOILER(overlap, a->dpa = LABELS_DPA(0) + 0x4fffff)

static void test_rules(void **state)
{
	const enum untorn_label_finding_kind none = UNTORN_LABEL_FINDING_KINDS;

	(void)state;
	for (int v = UNTORN_LABEL_V1_1; v <= UNTORN_LABEL_V1_2; v++) {
		const enum untorn_label_version version = (enum untorn_label_version)v;
		const bool v1_2 = version == UNTORN_LABEL_V1_2;
#define RULE(name, r, n, kind) check_rule(#name, name, r, n, kind, version)
		RULE(nothing, 0, 2, none);
		RULE(all_updating, 0, 2, none);
		RULE(first_updating, 0, 2, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(second_updating, 0, 2, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(swapped_positions, 0, 2, none);
		RULE(alt_cookies, 0, v1_2 ? 1 : 2, v1_2 ? UNTORN_LABEL_FINDING_COOKIE : none);
		RULE(foreign_cookies, 0, 1, UNTORN_LABEL_FINDING_COOKIE);
		RULE(zero_cookies, 0, 1, UNTORN_LABEL_FINDING_COOKIE);
		RULE(foreign_cookie, -EUCLEAN, 0, UNTORN_LABEL_FINDING_INCOMPLETE);
		RULE(foreign_types, 0, v1_2 ? 1 : 2, v1_2 ? UNTORN_LABEL_FINDING_TYPE : none);
		RULE(local_labels, 0, 1, none);
		RULE(second_absent, -EUCLEAN, 0, UNTORN_LABEL_FINDING_INCOMPLETE);
		RULE(first_absent, 0, 1, UNTORN_LABEL_FINDING_INCOMPLETE);
		RULE(half_made, 0, 1, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(half_removed, 0, 1, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(same_position, -EUCLEAN, 0, UNTORN_LABEL_FINDING_DUPLICATE);
		RULE(far_position, -EUCLEAN, 0, UNTORN_LABEL_FINDING_DISAGREE);
		RULE(other_nlabel, -EUCLEAN, 0, UNTORN_LABEL_FINDING_DISAGREE);
		RULE(other_size, -EUCLEAN, 0, UNTORN_LABEL_FINDING_DISAGREE);
		RULE(other_place, -EUCLEAN, 0, UNTORN_LABEL_FINDING_DISAGREE);
		RULE(other_name, 0, 2, UNTORN_LABEL_FINDING_DISAGREE);
		RULE(resize_begun, 0, 2, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(resize_into_other, 0, 2, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(resize_of_old_kernel, 0, 2, UNTORN_LABEL_FINDING_INTERRUPTED);
		RULE(beyond_window, -EUCLEAN, 0, UNTORN_LABEL_FINDING_WINDOW);
		RULE(second_outside, -EUCLEAN, 0, UNTORN_LABEL_FINDING_WINDOW);
		RULE(both_outside, 0, 1, none);
		RULE(zero_size, -EUCLEAN, 0, UNTORN_LABEL_FINDING_WINDOW);
		RULE(wraps, -EUCLEAN, 0, UNTORN_LABEL_FINDING_WINDOW);
		RULE(overlap, -EUCLEAN, 0, UNTORN_LABEL_FINDING_OVERLAP);
	}
}

/* Rule 3a: Linux was giving a range another uuid. And what looks like it and is not. */
static void test_interrupted_uuid(void **state)
{
	(void)state;
	for (int same_place = 0; same_place < 2; same_place++)
		for (int updating = 0; updating < 2; updating++) {
			const bool joined = same_place || updating;
			struct world w;

			world_make(&w, UNTORN_LABEL_SET_PMEM, 3, UNTORN_LABEL_V1_2);
			if (!same_place)
				w.other = labels_namespace(&w.l, 2, "two", 0x800000, 0x100000, w.others);
			else
				w.other = labels_namespace(&w.l, 2, "two", 0x100000, 0x100000, w.others);
			/* The new one has got to the first mapping, the old one is still on the others. */
			labels_plant_piece(&w.l, &w.other, 0, UNTORN_LABEL_UPDATING);
			for (unsigned m = 1; m < 3; m++)
				labels_plant_piece(&w.l, &w.ns, m, updating ? UNTORN_LABEL_UPDATING : 0);
			see(&w);
			assert_int_equal(w.seen.r, 0);
			assert_int_equal(w.seen.n, joined ? 1 : 0);
			assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_INTERRUPTED], 1);
			assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_INCOMPLETE], joined ? 0 : 1);
			assert_int_equal(untorn_label_finish(&w.l.set), 0);
			assert_linux_agrees(&w);
			assert_int_equal(w.seen.n, joined ? 1 : 0);
			assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_INTERRUPTED], 0);
			assert_settled(&w);
			if (joined)
				assert_int_equal(w.seen.ns[0].uuid[0], 2);
			/* Labels that might be damage are left where they are. */
			assert_int_equal(free_slots(&w, 1), 13);
			assert_int_equal(free_slots(&w, 0), joined ? 13 : 14);
			world_free(&w);
		}
}

/* Half a namespace beside damaged labels is not thrown away: they may be its other half. */
static void test_damage_is_kept(void **state)
{
	struct untorn_label label;
	struct world w;

	(void)state;
	world_make(&w, UNTORN_LABEL_SET_PMEM, 2, UNTORN_LABEL_V1_2);
	for (unsigned m = 0; m < 2; m++)
		labels_plant_piece(&w.l, &w.ns, m, UNTORN_LABEL_UPDATING);
	memory[LABELS_STRIDE + LABELS_OFF + 512 + 20] ^= 1;
	see(&w);
	assert_int_equal(w.seen.r, -EUCLEAN);
	assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_CHECKSUM], 1);
	assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_INCOMPLETE], 1);
	assert_int_equal(untorn_label_finish(&w.l.set), -EUCLEAN);
	memory[LABELS_STRIDE + LABELS_OFF + 512 + 20] ^= 1;
	see(&w);
	assert_int_equal(w.seen.r, 0);
	assert_int_equal(w.seen.n, 1);
	/* The same without any index there. */
	assert_int_equal(untorn_label_zero(w.l.areas[1], 0, LABELS_SIZE), 0);
	see(&w);
	assert_int_equal(w.seen.r, -EUCLEAN);
	assert_int_equal(w.seen.findings[UNTORN_LABEL_FINDING_NO_INDEX], 1);
	assert_int_equal(w.seen.last.mapping, 0);
	assert_int_equal(untorn_label_next_active(w.l.areas[0], 0, &label), 0);
	world_free(&w);
}

/* ------------------------------------------------------------- blk ------------------------------------------------------- */

static const struct untorn_label_extent stitched[] = {
	{0, LABELS_DPA(0) + 0x800000, 0x1000},
	{0, LABELS_DPA(0) + 0x100000, 0x2000},
	{0, LABELS_DPA(0) + 0x900000, 0x3000},
	{0, LABELS_DPA(0) + 0xa00000, 0x4000},
};

static void assert_stitched(struct world *w, const struct untorn_label_extent *extents, size_t n)
{
	const struct seen_namespace *s;

	see(w);
	assert_int_equal(w->seen.r, 0);
	s = seen_find(&w->seen, 1);
	assert_non_null(s);
	assert_int_equal(s->nextent, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(s->extents[i].dpa, extents[i].dpa);
		assert_int_equal(s->extents[i].size, extents[i].size);
	}
}

static void check_blk_labels(struct world *w, enum untorn_label_version version, size_t n)
{
	struct untorn_label label;
	size_t seen = 0;

	for (uint32_t slot = 0; untorn_label_next_active(w->l.areas[0], slot, &label) == 0; slot = label.slot + 1) {
		bool lowest = label.dpa == stitched[1].dpa;

		seen++;
		assert_int_equal(label.flags, UNTORN_LABEL_LOCAL);
		if (version == UNTORN_LABEL_V1_1) {
			assert_true(label.nlabel == 0 && label.position == 0 && label.isetcookie == 0);
			continue;
		}
		assert_int_equal(label.isetcookie, 0x1202);
		assert_memory_equal(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_BLK), 16);
		assert_int_equal(label.nlabel, lowest ? n : 0xffff);
		assert_int_equal(label.position, lowest ? 0 : 0xffff);
	}
	assert_int_equal(seen, n);
}

/* Extents in the order that they were given, through growing, shrinking and filling the area. */
static void test_blk(void **state)
{
	(void)state;
	for (int v = UNTORN_LABEL_V1_1; v <= UNTORN_LABEL_V1_2; v++) {
		const enum untorn_label_version version = (enum untorn_label_version)v;
		struct untorn_label_extent extents[5], overlapping[2] = {stitched[0], stitched[0]};
		struct untorn_label first;
		uint32_t nfree;
		struct world w;

		world_make(&w, UNTORN_LABEL_SET_BLK, 1, version);
		nfree = free_slots(&w, 0);
		w.ns.extents = stitched;
		w.ns.nextent = 3;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_stitched(&w, stitched, 3);
		check_blk_labels(&w, version, 3);
		assert_int_equal(untorn_label_next_active(w.l.areas[0], 0, &first), 0);

		/* In v1.1 growing writes one label; in v1.2 the one that counts them changes as well. */
		w.ns.nextent = 4;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_stitched(&w, stitched, 4);
		check_blk_labels(&w, version, 4);
		assert_int_equal(free_slots(&w, 0), nfree - 4);
		if (version == UNTORN_LABEL_V1_1) {
			struct untorn_label label;

			assert_int_equal(untorn_label_get(w.l.areas[0], first.slot, &label), 0);
			assert_int_equal(label.state, UNTORN_LABEL_ACTIVE);
		}
		w.ns.nextent = 2;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_stitched(&w, stitched, 2);
		assert_int_equal(free_slots(&w, 0), nfree - 2);

		/* Nothing to change: nothing is in another slot then. */
		assert_int_equal(untorn_label_next_active(w.l.areas[0], 0, &first), 0);
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_stitched(&w, stitched, 2);
		check_blk_labels(&w, version, 2);

		/* Another order: all of them anew. */
		for (unsigned i = 0; i < 3; i++)
			extents[i] = stitched[2 - i];
		w.ns.extents = extents;
		w.ns.nextent = 3;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_stitched(&w, extents, 3);
		assert_int_equal(free_slots(&w, 0), nfree - 3);

		w.ns.extents = overlapping;
		w.ns.nextent = 2;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), -EINVAL);
		w.other.extents = &stitched[1];
		assert_int_equal(untorn_label_put(&w.l.set, &w.other, NULL), -EINVAL);
		assert_stitched(&w, extents, 3);

		/* The last slot stays free. */
		w.ns.extents = stitched;
		w.ns.nextent = 1;
		for (uint8_t id = 10; untorn_label_put(&w.l.set, &w.ns, NULL) == 0; id++) {
			extents[0] = (struct untorn_label_extent){.dpa = LABELS_DPA(0) + 0x10000000 + id * 0x1000ull,
								  .size = 0x1000};
			w.other = labels_namespace(&w.l, id, "filler", 0x10000000 + id * 0x1000ull, 0x1000, w.others);
			if (untorn_label_put(&w.l.set, &w.other, NULL) == -ENOSPC)
				break;
		}
		assert_int_equal(free_slots(&w, 0), 1);
		/* Growing by one would take it; one label for another is well. */
		w.ns.nextent = 2;
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), -ENOSPC);
		w.ns.nextent = 1;
		strcpy(w.ns.name, "renamed");
		assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
		assert_int_equal(free_slots(&w, 0), 1);
		assert_int_equal(untorn_label_remove(&w.l.set, w.ns.uuid), 0);
		assert_int_equal(free_slots(&w, 0), 2);
		see(&w);
		assert_null(seen_find(&w.seen, 1));
		world_free(&w);
	}
}

/* A pmem and a blk region of one DIMM: each sees its own, and neither takes what the other has. */
static void test_pmem_beside_blk(void **state)
{
	struct untorn_label_set blk;
	struct world w;

	(void)state;
	world_make(&w, UNTORN_LABEL_SET_PMEM, 1, UNTORN_LABEL_V1_2);
	blk = w.l.set;
	blk.kind = UNTORN_LABEL_SET_BLK;
	memcpy(blk.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_BLK), 16);
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), 0);
	assert_int_equal(untorn_label_put(&blk, &w.other, NULL), 0);
	see(&w);
	assert_int_equal(w.seen.n, 1);
	assert_int_equal(w.seen.ns[0].uuid[0], 1);
	w.other = labels_namespace(&w.l, 3, "three", 0x1ff000, 0x1000, w.others);
	assert_int_equal(untorn_label_put(&blk, &w.other, NULL), -EINVAL);
	w.ns = labels_namespace(&w.l, 1, "one", 0x3ff000, 0x2000, w.extents);
	assert_int_equal(untorn_label_put(&w.l.set, &w.ns, NULL), -EINVAL);
	w.l.set = blk;
	see(&w);
	assert_int_equal(w.seen.n, 1);
	assert_int_equal(w.seen.ns[0].uuid[0], 2);
	world_free(&w);
}

/* ------------------------------------------------------------ check ------------------------------------------------------ */

struct noted {
	unsigned n[UNTORN_LABEL_FINDING_KINDS];
	struct untorn_label_finding last;
	int r;
};

static int note(void *arg, const struct untorn_label_finding *finding)
{
	struct noted *noted = arg;

	noted->n[finding->kind]++;
	noted->last = *finding;
	return noted->r;
}

static void test_check(void **state)
{
	struct untorn_media *media = wrap(4096);
	struct untorn_label label = {.nlabel = 1, .dpa = 0x1000, .rawsize = 0x1000};
	struct untorn_label_area *area;
	struct noted noted = {0};

	(void)state;
	assert_int_equal(untorn_label_open(media, 0, 4096, &area), 0);
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_NO_INDEX], 1);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	noted = (struct noted){0};
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_true(is_zero(noted.n, sizeof(noted.n)));

	memset(label.uuid, 5, 16);
	labels_plant(area, &label);
	label.dpa = 0x1fff;
	labels_plant(area, &label);
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_OVERLAP], 1);
	assert_true(noted.last.slot == 1 && noted.last.seen == 0x1fff && noted.last.expected == 0x2000);
	assert_int_equal(noted.last.uuid[3], 5);

	noted = (struct noted){0};
	memory[512 + 256 + 120] = 7;
	memory[512 + 90] ^= 1;
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_SLOT], 1);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_CHECKSUM], 1);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_OVERLAP], 0);

	noted = (struct noted){0};
	memory[64] ^= 1; /* the block that does not count: the area went 0, 1, 0 */
	memory[256 + 64] ^= 1;
	assert_int_equal(untorn_label_reload(area), 0);
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_NO_INDEX], 1);
	assert_string_equal(noted.last.field, "checksum");
	assert_int_equal(noted.last.seen ^ noted.last.expected, 1);
	memory[64] ^= 1;
	assert_int_equal(untorn_label_reload(area), 0);
	noted = (struct noted){.r = 42};
	assert_int_equal(untorn_label_check(area, note, &noted), 42);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_INDEX], 1);
	assert_int_equal(noted.last.slot, 1);
	/* The next update restores the block. */
	label.dpa = 0x100000;
	labels_plant(area, &label);
	noted = (struct noted){0};
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_INDEX], 0);
	untorn_label_close(area);
	unwrap(media);
}

/* ------------------------------------------------------- media that fail ------------------------------------------------- */

/* Labels on a bad page: what can be read is told, the rest is named. */
static void test_unreadable(void **state)
{
	struct untorn_label label = {.nlabel = 1, .rawsize = 0x1000};
	struct untorn_label_mapping mapping;
	struct untorn_label_set set = {.mappings = &mapping, .nmapping = 1, .cookies = {.v1_2 = 1}};
	struct untorn_label_area *area;
	struct untorn_media *media;
	struct noted noted = {0};

	(void)state;
	assert_int_equal(fault_media_new(16384, &media), 0);
	assert_int_equal(untorn_label_open(media, 0, 16384, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_2, 0), 0);
	for (unsigned i = 0; i < 20; i++) {
		label.dpa = 0x1000 * i;
		labels_plant(area, &label);
	}
	assert_int_equal(fault_media_set_bad(media, 4096, 4096, true), 0);
	assert_int_equal(untorn_label_check(area, note, &noted), 0);
	assert_int_equal(noted.n[UNTORN_LABEL_FINDING_MEDIA], 6);
	assert_int_equal(untorn_label_get(area, 19, &label), -EIO);
	assert_int_equal(untorn_label_next_active(area, 14, &label), -EIO);
	mapping = (struct untorn_label_mapping){.area = area, .size = 0x100000};
	assert_int_equal(untorn_label_assemble(&set, NULL, NULL, NULL), -EIO);
	assert_int_equal(fault_media_set_bad(media, 0, 4096, true), 0);
	assert_int_equal(untorn_label_reload(area), -EIO);
	untorn_label_close(area);
	assert_int_equal(untorn_label_open(media, 0, 16384, &area), -EIO);
	untorn_media_close(media);
}

/* A write that fails at any place: the error is told, and what is in memory is what is on the medium. */
static void test_failing_writes(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned after = 0;; after++) {
		struct untorn_label_extent extents[LABELS_WAYS];
		struct untorn_label_namespace ns;
		struct untorn_media *media;
		struct labels l, again;
		struct seen seen, fresh;
		int r;

		assert_int_equal(fault_media_new(LABELS_MEDIUM, &media), 0);
		labels_open(&l, media, UNTORN_LABEL_SET_PMEM, 2);
		ns = labels_namespace(&l, 1, "one", 0, 0x1000, extents);
		assert_int_equal(untorn_label_put(&l.set, &ns, NULL), 0);
		strcpy(ns.name, "renamed");
		fault_media_fail_drain(media, after);
		r = untorn_label_put(&l.set, &ns, NULL);
		assert_true(r == 0 || r == -EIO);
		labels_see(&l, &seen);
		labels_open(&again, media, UNTORN_LABEL_SET_PMEM, 2);
		labels_see(&again, &fresh);
		assert_true(seen_equal(&seen, &fresh));
		assert_int_equal(seen.r, 0);
		assert_int_equal(seen.n, 1);
		for (unsigned m = 0; m < 2; m++) {
			assert_int_equal(l.areas[m]->index.current, again.areas[m]->index.current);
			assert_int_equal(l.areas[m]->index.nfree, again.areas[m]->index.nfree);
		}
		/* After a failed sync nothing is durable on this medium any more. */
		if (r < 0)
			assert_int_equal(untorn_label_put(&l.set, &ns, NULL), -EIO);
		failures += r < 0;
		labels_close(&l);
		labels_close(&again);
		untorn_media_close(media);
		if (r == 0)
			break;
	}
	assert_int_equal(failures, 8);
}

/* A store that faults: that change fails, and the next one is right. */
static void test_faulting_writes(void **state)
{
	struct untorn_label_extent extents[LABELS_WAYS];
	struct untorn_label_namespace ns;
	struct untorn_media *media;
	struct seen seen;
	struct labels l;

	(void)state;
	assert_int_equal(fault_media_new(LABELS_MEDIUM, &media), 0);
	labels_open(&l, media, UNTORN_LABEL_SET_PMEM, 2);
	ns = labels_namespace(&l, 1, "one", 0, 0x1000, extents);
	assert_int_equal(untorn_label_put(&l.set, &ns, NULL), 0);
	assert_int_equal(fault_media_set_bad(media, LABELS_STRIDE, LABELS_STRIDE, true), 0);
	strcpy(ns.name, "renamed");
	assert_int_equal(untorn_label_put(&l.set, &ns, NULL), -EIO);
	assert_int_equal(untorn_label_init(l.areas[1], UNTORN_LABEL_V1_2, UNTORN_LABEL_FORCE), -EIO);
	assert_int_equal(untorn_label_assemble(&l.set, NULL, NULL, NULL), -EIO);
	/* The page comes back as zeros: an area without labels. */
	assert_int_equal(fault_media_set_bad(media, LABELS_STRIDE, LABELS_STRIDE, false), 0);
	labels_see(&l, &seen);
	assert_int_equal(seen.r, -EUCLEAN);
	assert_int_equal(seen.findings[UNTORN_LABEL_FINDING_NO_INDEX], 1);
	assert_int_equal(untorn_label_remove(&l.set, ns.uuid), 0);
	assert_int_equal(untorn_label_put(&l.set, &ns, NULL), 0);
	labels_see(&l, &seen);
	assert_int_equal(seen.r, 0);
	assert_string_equal(seen.ns[0].name, "renamed");
	labels_close(&l);
	untorn_media_close(media);
}

/* A dump that is written back. */
static void test_restore(void **state)
{
	uint8_t *dump = malloc(256u << 10);

	(void)state;
	assert_non_null(dump);
	for (unsigned from = 1; from <= 2; from++)
		for (unsigned to = 1; to <= 2; to++) {
			struct untorn_media *media = wrap(256u << 10);
			struct untorn_label label = {.nlabel = 1, .rawsize = 0x1000};
			struct untorn_label_area_info before, after;
			struct untorn_label_area *area;

			assert_int_equal(untorn_label_open(media, 0, 256u << 10, &area), 0);
			assert_int_equal(untorn_label_init(area, (enum untorn_label_version)from, 0), 0);
			for (unsigned i = 0; i < from + 2; i++)
				labels_plant(area, &label);
			untorn_label_get_info(area, &before);
			assert_int_equal(untorn_label_read(area, 0, dump, 256u << 10), 0);
			assert_int_equal(untorn_label_init(area, (enum untorn_label_version)to, UNTORN_LABEL_FORCE), 0);
			labels_plant(area, &label);
			assert_int_equal(untorn_label_write(area, 0, dump, 256u << 10), 0);
			assert_memory_equal(memory, dump, 256u << 10);
			untorn_label_get_info(area, &after);
			assert_int_equal(before.version, after.version);
			assert_int_equal(before.nfree, after.nfree);
			assert_int_equal(before.current, after.current);
			untorn_label_close(area);
			unwrap(media);
		}
	free(dump);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nslot),
		cmocka_unit_test(test_init_vectors),
		cmocka_unit_test(test_excess_bits),
		cmocka_unit_test(test_old_area),
		cmocka_unit_test(test_label_vector),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_init_other_version),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_fixture_updates),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_refusals),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_unknown_abstraction),
		cmocka_unit_test(test_abstractions),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_interrupted_uuid),
		cmocka_unit_test(test_damage_is_kept),
		cmocka_unit_test(test_blk),
		cmocka_unit_test(test_pmem_beside_blk),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_failing_writes),
		cmocka_unit_test(test_faulting_writes),
		cmocka_unit_test(test_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
