/* SPDX-License-Identifier: BSD-3-Clause */
/* Flog: which slot is current, where the slots are, what a fresh one holds; and the states of a map entry. SPEC 4, 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "btt/flog.h"
#include "btt/geometry.h"
#include "media/memory.h"

/* --------------------------------------------------------- current ------------------------------------------------------- */

/*
 * SPEC 5.3. Refused besides what Linux refuses: 0,0, which no format leaves, and 2,0 and 3,0, which nobody writes and two
 * readers read in two ways.
 */
static void test_current(void **state)
{
	enum { BAD = -EUCLEAN };
	static const int current[4][4] = {
		/* s1.seq:  0    1    2    3 */
		[0] = {BAD, 1, 1, 1},
		[1] = {0, BAD, 1, 0},
		[2] = {BAD, 0, BAD, 1},
		[3] = {BAD, 1, 0, BAD},
	};
	static const uint32_t large[] = {4, 5, 7, 0x80000001, UINT32_MAX};

	(void)state;
	for (uint32_t s0 = 0; s0 < 4; s0++)
		for (uint32_t s1 = 0; s1 < 4; s1++)
			assert_int_equal(flog_current(s0, s1), current[s0][s1]);
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		for (uint32_t s = 0; s < 4; s++) {
			assert_int_equal(flog_current(large[i], s), BAD);
			assert_int_equal(flog_current(s, large[i]), BAD);
		}
		assert_int_equal(flog_current(large[i], large[i]), BAD);
	}
}

static void test_next_seq(void **state)
{
	uint32_t seq = 1;

	(void)state;
	assert_int_equal(flog_next_seq(1), 2);
	assert_int_equal(flog_next_seq(2), 3);
	assert_int_equal(flog_next_seq(3), 1);
	/* Written by turns, the one written last is current. */
	for (unsigned i = 0; i < 12; i++) {
		uint32_t next = flog_next_seq(seq);

		assert_int_equal(flog_current(seq, next), 1);
		assert_int_equal(flog_current(next, seq), 0);
		seq = next;
	}
}

/* --------------------------------------------------------- padding ------------------------------------------------------- */

#define NFREE 16u

static struct btt_flog_group groups[NFREE];

static void fill(unsigned lane, unsigned slot)
{
	groups[lane].slot[slot] = (struct btt_flog_slot){.seq = le32_make(slot + 1)};
}

static void fresh(void)
{
	memset(groups, 0, sizeof(groups));
	for (unsigned l = 0; l < NFREE; l++)
		groups[l] = flog_initial_group(l, 1000, 0);
}

static void expect(int result, enum untorn_btt_padding padding)
{
	enum untorn_btt_padding seen = (enum untorn_btt_padding)77;

	assert_int_equal(flog_detect_padding(groups, NFREE, &seen), result);
	assert_int_equal(seen, result == 0 ? padding : (enum untorn_btt_padding)77);
}

static void test_padding(void **state)
{
	(void)state;
	fresh();
	expect(0, UNTORN_BTT_PADDING_01);

	/* One lane that was used decides, wherever it is. */
	for (unsigned l = 0; l < NFREE; l += NFREE - 1) {
		fresh();
		fill(l, 1);
		expect(0, UNTORN_BTT_PADDING_01);
		fresh();
		fill(l, 2);
		expect(0, UNTORN_BTT_PADDING_02);
		fresh();
		fill(l, 3);
		expect(-EUCLEAN, 0);
	}

	/* All lanes used. */
	fresh();
	for (unsigned l = 0; l < NFREE; l++)
		fill(l, 2);
	expect(0, UNTORN_BTT_PADDING_02);
	fill(NFREE - 1, 1);
	expect(-EUCLEAN, 0);

	/* Two lanes that disagree. */
	fresh();
	fill(3, 1);
	fill(9, 2);
	expect(-EUCLEAN, 0);
	fresh();
	fill(3, 2);
	fill(9, 1);
	expect(-EUCLEAN, 0);

	/* Slot 0 lives in both. */
	fresh();
	memset(&groups[5], 0, sizeof(groups[5]));
	expect(-EUCLEAN, 0);
	fill(5, 1);
	expect(-EUCLEAN, 0);
	memset(groups, 0, sizeof(groups));
	expect(-EUCLEAN, 0);

	/* Any byte that is not zero is not padding: the slot need not look like one. */
	for (unsigned byte = 0; byte < sizeof(struct btt_flog_slot); byte++) {
		fresh();
		((uint8_t *)&groups[7].slot[2])[byte] = 0x40;
		expect(0, UNTORN_BTT_PADDING_02);
		((uint8_t *)&groups[7].slot[3])[byte] = 1;
		expect(-EUCLEAN, 0);
	}
}

static void test_slot_numbers(void **state)
{
	(void)state;
	assert_int_equal(flog_slot_number(UNTORN_BTT_PADDING_01, 0), 0);
	assert_int_equal(flog_slot_number(UNTORN_BTT_PADDING_01, 1), 1);
	assert_int_equal(flog_slot_number(UNTORN_BTT_PADDING_02, 0), 0);
	assert_int_equal(flog_slot_number(UNTORN_BTT_PADDING_02, 1), 2);
}

/* --------------------------------------------------------- contents ------------------------------------------------------ */

static void test_initial(void **state)
{
	static const struct {
		enum untorn_btt_layout layout;
		uint32_t block_of_lane_5;
	} table[] = {
		{UNTORN_BTT_V1_1, 1005},
		{UNTORN_BTT_V2_0, 1005},
		{UNTORN_BTT_PMEMBLK, 0x80000000 | 1005},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct btt_flog_group group =
			flog_initial_group(5, 1000, btt_profile(table[i].layout)->flog_initial_flag);

		assert_int_equal(le32_get(group.slot[0].lba), 5);
		assert_int_equal(le32_get(group.slot[0].old_map), table[i].block_of_lane_5);
		assert_int_equal(le32_get(group.slot[0].new_map), table[i].block_of_lane_5);
		assert_int_equal(le32_get(group.slot[0].seq), 1);
		assert_true(is_zero(&group.slot[1], 48));
	}
}

/* More lanes than sectors: large sectors in a small arena. The lba of a lane that was never used must exist all the same. */
static void test_initial_of_few_sectors(void **state)
{
	(void)state;
	for (uint32_t lane = 0; lane < 256; lane++) {
		struct btt_flog_group group = flog_initial_group(lane, 3, 0);

		assert_in_range(le32_get(group.slot[0].lba), 0, 2);
		assert_int_equal(le32_get(group.slot[0].old_map), 3 + lane);
	}
}

/* Stored little-endian as SPEC 5.1 draws it, and read back the same. */
static void test_store(void **state)
{
	static const uint8_t bytes[16] = {4, 3, 2, 1, 8, 7, 6, 0xc5, 12, 11, 10, 0xc9, 3, 0, 0, 0};
	static _Alignas(4096) uint8_t memory[4096];
	struct btt_flog_slot *slot = (struct btt_flog_slot *)(memory + 16);
	struct untorn_media *media;
	struct flog_slot loaded;

	(void)state;
	assert_int_equal(memory_media_wrap(memory, sizeof(memory), &media), 0);
	flog_slot_store(media, slot,
			(struct flog_slot){.lba = 0x01020304, .old_map = 0xc5060708, .new_map = 0xc90a0b0c, .seq = 3});
	assert_memory_equal(slot, bytes, sizeof(bytes));
	assert_true(is_zero(memory, 16) && is_zero(memory + 32, sizeof(memory) - 32));
	loaded = flog_slot_load(slot);
	assert_int_equal(loaded.lba, 0x01020304);
	assert_int_equal(loaded.old_map, 0xc5060708);
	assert_int_equal(loaded.new_map, 0xc90a0b0c);
	assert_int_equal(loaded.seq, 3);
	untorn_media_close(media);
}

/* ----------------------------------------------------------- map --------------------------------------------------------- */

static void test_map_entries(void **state)
{
	static const struct {
		uint32_t entry, state, block_of_premap_7;
	} table[] = {
		{0x00000000, BTT_MAP_INITIAL, 7},       {0x00000005, BTT_MAP_INITIAL, 7},
		{0x3fffffff, BTT_MAP_INITIAL, 7},       {0x40000000, BTT_MAP_ERROR, 0},
		{0x40000005, BTT_MAP_ERROR, 5},         {0x7fffffff, BTT_MAP_ERROR, 0x3fffffff},
		{0x80000000, BTT_MAP_ZERO, 0},          {0x80000005, BTT_MAP_ZERO, 5},
		{0xbfffffff, BTT_MAP_ZERO, 0x3fffffff}, {0xc0000000, BTT_MAP_NORMAL, 0},
		{0xc0000005, BTT_MAP_NORMAL, 5},        {0xffffffff, BTT_MAP_NORMAL, 0x3fffffff},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(map_entry_state(table[i].entry), table[i].state);
		assert_int_equal(map_entry_block(table[i].entry, 7), table[i].block_of_premap_7);
	}
	/* The public names are the top two bits. */
	assert_int_equal(UNTORN_BTT_INITIAL, BTT_MAP_INITIAL >> 30);
	assert_int_equal(UNTORN_BTT_ERROR, BTT_MAP_ERROR >> 30);
	assert_int_equal(UNTORN_BTT_ZERO, BTT_MAP_ZERO >> 30);
	assert_int_equal(UNTORN_BTT_NORMAL, BTT_MAP_NORMAL >> 30);
	assert_string_equal(untorn_btt_state_name(UNTORN_BTT_INITIAL), "initial");
	assert_string_equal(untorn_btt_state_name(UNTORN_BTT_ERROR), "error");
	assert_string_equal(untorn_btt_state_name(UNTORN_BTT_ZERO), "zero");
	assert_string_equal(untorn_btt_state_name(UNTORN_BTT_NORMAL), "normal");
	assert_non_null(untorn_btt_state_name((enum untorn_btt_state)9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_current), cmocka_unit_test(test_next_seq),
		cmocka_unit_test(test_padding), cmocka_unit_test(test_slot_numbers),
		cmocka_unit_test(test_initial), cmocka_unit_test(test_initial_of_few_sectors),
		cmocka_unit_test(test_store),   cmocka_unit_test(test_map_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
