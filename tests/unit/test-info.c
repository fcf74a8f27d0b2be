/* SPDX-License-Identifier: BSD-3-Clause */
/* Fletcher-64 and info blocks: the worked examples and vectors of SPEC 2, round trips, and who accepts whose block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fletcher64.h"
#include "btt/info.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* ------------------------------------------------------- Fletcher-64 ---------------------------------------------------- */

static void test_fletcher64(void **state)
{
	const uint8_t count[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	const uint8_t wrap[16] = {0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0x80};
	const uint8_t embedded[24] = {1,    2,    3,    4,    5,    6,    7,    8,    0xee, 0xee, 0xee, 0xee,
				      0xee, 0xee, 0xee, 0xee, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28};
	uint8_t unaligned[17];

	(void)state;
	assert_int_equal(fletcher64(count, 4, 4, 0), 0x0403020104030201);
	assert_int_equal(fletcher64(count, 8, 8, 0), 0x100d0a070c0a0806);
	assert_int_equal(fletcher64(count, 12, 12, 0), 0x28221c161815120f);
	assert_int_equal(fletcher64(count, 16, 16, 0), 0x50463c322824201c);
	assert_int_equal(fletcher64(wrap, 16, 16, 0), 0x8000000300000002);
	assert_int_equal(fletcher64(embedded, 24, 8, 8), 0xb0a294865854504c);
	assert_int_equal(fletcher64(count, 0, 0, 0), 0);
	memcpy(unaligned + 1, count, 16);
	assert_int_equal(fletcher64(unaligned + 1, 16, 16, 0), 0x50463c322824201c);
}

/* --------------------------------------------------------- vectors ------------------------------------------------------- */

#define UUID_0F                                                            \
	{                                                                  \
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf \
	}
#define UUID_1F                                                                                                \
	{                                                                                                      \
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f \
	}

static struct btt_info vector(enum untorn_btt_layout layout, uint64_t container, uint32_t external_lbasize)
{
	const struct btt_profile *profile = btt_profile(layout);
	struct btt_info info = {
		.uuid = UUID_0F,
		.version_major = profile->version_major,
		.version_minor = profile->version_minor,
		.infosize = 4096,
	};
	uint64_t off;

	assert_int_equal(geometry_arena(profile, container, external_lbasize, 0, &off, &info.geometry), 0);
	return info;
}

static uint64_t encoded_checksum(const struct btt_info *info)
{
	struct btt_info_block block;

	info_encode(info, &block);
	assert_int_equal(info_fault(&block), INFO_OK);
	return le64_get(block.checksum);
}

static void test_vectors(void **state)
{
	static const uint8_t parent[] = UUID_1F;
	static const uint8_t old_uuid[] = {0xf0, 0xd6, 0x4d, 0x51, 0x7a, 0xd4, 0x44, 0xe2,
					   0x87, 0x57, 0x6b, 0x8e, 0x8e, 0x4f, 0x75, 0x00};
	struct btt_info info;

	(void)state;
	info = vector(UNTORN_BTT_V2_0, GIB, 4096);
	memcpy(info.parent_uuid, parent, 16);
	assert_int_equal(encoded_checksum(&info), 0x5b359741445b5b6e);

	info = vector(UNTORN_BTT_V1_1, GIB, 512);
	assert_int_equal(encoded_checksum(&info), 0xd32f3fe6dfc435a1);

	info = vector(UNTORN_BTT_PMEMBLK, GIB, 4096);
	memcpy(info.parent_uuid, parent, 16);
	assert_int_equal(encoded_checksum(&info), 0x5db2438e445bfb69);

	/* A block that an old kernel wrote: its fields as the image has them, and what its size gives today. */
	info = (struct btt_info){
		.version_major = 2,
		.infosize = 4096,
		.geometry =
			{
				.external_lbasize = 4096,
				.external_nlba = 16105,
				.internal_lbasize = 4096,
				.internal_nlba = 16361,
				.nfree = 256,
				.dataoff = 4096,
				.mapoff = 0x3feb000,
				.logoff = 0x3ffb000,
				.info2off = 0x3fff000,
			},
	};
	memcpy(info.uuid, old_uuid, 16);
	assert_int_equal(encoded_checksum(&info), 0x29d8a903ca55b75d);
	info = vector(UNTORN_BTT_V2_0, 64 * MIB, 4096);
	memcpy(info.uuid, old_uuid, 16);
	assert_int_equal(encoded_checksum(&info), 0x29d8a903ca55b75d);
}

/* The first 128 bytes of the first vector, as SPEC 2 prints them. */
static void test_dump(void **state)
{
	static const uint8_t dump[128] = {
		0x42, 0x54, 0x54, 0x5f, 0x41, 0x52, 0x45, 0x4e, 0x41, 0x5f, 0x49, 0x4e, 0x46, 0x4f, 0x00, 0x00, /* */
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, /* */
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, /* */
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0xf9, 0xfd, 0x03, 0x00, /* */
		0x00, 0x10, 0x00, 0x00, 0xf9, 0xfe, 0x03, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, /* */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
		0x00, 0xb0, 0xef, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0xff, 0x3f, 0x00, 0x00, 0x00, 0x00, /* */
		0x00, 0xf0, 0xff, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
	};
	static const uint8_t parent[] = UUID_1F;
	struct btt_info info = vector(UNTORN_BTT_V2_0, GIB, 4096);
	struct btt_info_block block;

	(void)state;
	memcpy(info.parent_uuid, parent, 16);
	info_encode(&info, &block);
	assert_memory_equal(&block, dump, sizeof(dump));
	assert_true(is_zero(block.padding, sizeof(block.padding)));
}

/* ------------------------------------------------- decode, encode, faults ------------------------------------------------ */

/* Each field with bytes of its own, so that none can be taken for another. */
static void test_round_trip(void **state)
{
	struct btt_info info = {
		.uuid = UUID_0F,
		.parent_uuid = UUID_1F,
		.flags = 0x31323334,
		.version_major = 0x3536,
		.version_minor = 0x3738,
		.infosize = 0x393a3b3c,
		.geometry =
			{
				.external_lbasize = 0x41424344,
				.external_nlba = 0x45464748,
				.internal_lbasize = 0x494a4b4c,
				.internal_nlba = 0x4d4e4f50,
				.nfree = 0x51525354,
				.nextoff = 0x6162636465666768,
				.dataoff = 0x696a6b6c6d6e6f70,
				.mapoff = 0x7172737475767778,
				.logoff = 0x797a7b7c7d7e7f80,
				.info2off = 0x8182838485868788,
			},
	};
	struct btt_info_block block, again;
	struct btt_info decoded;
	uint8_t *bytes = (uint8_t *)&block;

	(void)state;
	info_encode(&info, &block);
	assert_int_equal(info_fault(&block), INFO_OK);
	memset(&decoded, 0xff, sizeof(decoded));
	info_decode(&block, &decoded);
	info_encode(&decoded, &again);
	assert_memory_equal(&block, &again, sizeof(block));
	assert_int_equal(decoded.flags, info.flags);
	assert_int_equal(decoded.version_major, info.version_major);
	assert_int_equal(decoded.version_minor, info.version_minor);
	assert_int_equal(decoded.infosize, info.infosize);
	assert_memory_equal(decoded.uuid, info.uuid, 16);
	assert_memory_equal(decoded.parent_uuid, info.parent_uuid, 16);
	assert_int_equal(decoded.geometry.external_lbasize, info.geometry.external_lbasize);
	assert_int_equal(decoded.geometry.external_nlba, info.geometry.external_nlba);
	assert_int_equal(decoded.geometry.internal_lbasize, info.geometry.internal_lbasize);
	assert_int_equal(decoded.geometry.internal_nlba, info.geometry.internal_nlba);
	assert_int_equal(decoded.geometry.nfree, info.geometry.nfree);
	assert_int_equal(decoded.geometry.nextoff, info.geometry.nextoff);
	assert_int_equal(decoded.geometry.dataoff, info.geometry.dataoff);
	assert_int_equal(decoded.geometry.mapoff, info.geometry.mapoff);
	assert_int_equal(decoded.geometry.logoff, info.geometry.logoff);
	assert_int_equal(decoded.geometry.info2off, info.geometry.info2off);

	/* Little-endian, at the offsets of SPEC 1.1. */
	assert_int_equal(bytes[48], 0x34);
	assert_int_equal(bytes[52], 0x36);
	assert_int_equal(bytes[54], 0x38);
	assert_int_equal(bytes[56], 0x44);
	assert_int_equal(bytes[60], 0x48);
	assert_int_equal(bytes[64], 0x4c);
	assert_int_equal(bytes[68], 0x50);
	assert_int_equal(bytes[72], 0x54);
	assert_int_equal(bytes[76], 0x3c);
	assert_int_equal(bytes[80], 0x68);
	assert_int_equal(bytes[88], 0x70);
	assert_int_equal(bytes[96], 0x78);
	assert_int_equal(bytes[104], 0x80);
	assert_int_equal(bytes[112], 0x88);
	assert_int_equal(bytes[119], 0x81);
}

/* Any bit that changes is noticed: in the signature as no signature, elsewhere as a bad checksum. */
static void test_every_bit(void **state)
{
	struct btt_info info = vector(UNTORN_BTT_V1_1, 32 * MIB, 4096);
	struct btt_info_block block;
	uint8_t *bytes = (uint8_t *)&block;

	(void)state;
	info_encode(&info, &block);
	for (size_t i = 0; i < sizeof(block); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] ^= 1u << bit;
			assert_int_equal(info_fault(&block), i < 16 ? INFO_NO_SIGNATURE : INFO_BAD_CHECKSUM);
			bytes[i] ^= 1u << bit;
		}
	}
	assert_int_equal(info_fault(&block), INFO_OK);
	memset(&block, 0, sizeof(block));
	assert_int_equal(info_fault(&block), INFO_NO_SIGNATURE);
}

static void test_versions(void **state)
{
	static const struct {
		uint16_t major, minor;
		bool v1, v2, pool;
	} table[] = {
		{1, 1, true, false, true},
		{2, 0, false, true, false},
		{1, 0, false, false, false},
		{2, 1, false, false, false},
		{0, 0, false, false, false},
		{0, 1, false, false, false},
		{3, 0, false, false, false},
		{1, 2, false, false, false},
		{0x8001, 1, true, false, false},
		{0x8002, 0, false, true, false},
		{0x8000, 0, false, false, false},
		{0x4001, 1, false, false, false},
		{0xffff, 0xffff, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct btt_info info = {.version_major = table[i].major, .version_minor = table[i].minor};

		assert_int_equal(info_version_ok(&info, btt_profile(UNTORN_BTT_V1_1)), table[i].v1);
		assert_int_equal(info_version_ok(&info, btt_profile(UNTORN_BTT_V2_0)), table[i].v2);
		assert_int_equal(info_version_ok(&info, btt_profile(UNTORN_BTT_PMEMBLK)), table[i].pool);
		assert_int_equal(info_is_wide(&info), table[i].major >> 15);
	}
}

static void test_parents(void **state)
{
	static const uint8_t ours[] = UUID_1F, other[] = UUID_0F;
	struct btt_info null_parent = {0}, our_parent = {.parent_uuid = UUID_1F};
	const struct btt_profile *name_space = btt_profile(UNTORN_BTT_V2_0), *pool = btt_profile(UNTORN_BTT_PMEMBLK);

	(void)state;
	assert_true(info_parent_ok(&null_parent, name_space, NULL));
	assert_true(info_parent_ok(&null_parent, name_space, ours));
	assert_true(info_parent_ok(&our_parent, name_space, NULL));
	assert_true(info_parent_ok(&our_parent, name_space, ours));
	assert_false(info_parent_ok(&our_parent, name_space, other));
	assert_false(info_parent_ok(&null_parent, pool, ours));
	assert_true(info_parent_ok(&our_parent, pool, ours));
	assert_false(info_parent_ok(&our_parent, pool, other));
}

static void test_fields(void **state)
{
	const struct btt_profile *linux_profile = btt_profile(UNTORN_BTT_V1_1), *pool = btt_profile(UNTORN_BTT_PMEMBLK);
	struct btt_info info;

	(void)state;
	info = vector(UNTORN_BTT_V1_1, 32 * MIB, 4096);
	assert_null(info_field_fault(&info, linux_profile, 32 * MIB));
	assert_string_equal(info_field_fault(&info, linux_profile, 16 * MIB), "info2off");
	info.infosize = 4095;
	assert_string_equal(info_field_fault(&info, linux_profile, 32 * MIB), "infosize");

	/* A small sector is a pool's; a wide version needs a wide sector. */
	info = vector(UNTORN_BTT_PMEMBLK, 32 * MIB, 100);
	assert_null(info_field_fault(&info, pool, 32 * MIB));
	assert_string_equal(info_field_fault(&info, linux_profile, 32 * MIB), "external_lbasize");
	info = vector(UNTORN_BTT_V1_1, 32 * MIB, 4096);
	info.version_major |= BTT_VERSION_WIDE;
	assert_string_equal(info_field_fault(&info, linux_profile, 32 * MIB), "external_lbasize");
	info = vector(UNTORN_BTT_V1_1, 32 * MIB, 16384);
	info.version_major |= BTT_VERSION_WIDE;
	assert_null(info_field_fault(&info, linux_profile, 32 * MIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fletcher64), cmocka_unit_test(test_vectors),   cmocka_unit_test(test_dump),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_bit), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_parents),    cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
