/* SPDX-License-Identifier: BSD-3-Clause */
#include "damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "btt/pool.h"

#define ON(kind) (1u << SAMPLE_##kind)

/* ---------------------------------------------------------- expectations ------------------------------------------------- */

static struct untorn_finding *expect(struct expectation *e, enum untorn_finding_kind kind, uint64_t off,
				     const char *field)
{
	struct untorn_finding *f = &e->findings[e->nfindings++];

	*f = (struct untorn_finding){.kind = kind, .off = off, .field = field, .repairable = 1};
	return f;
}

static void expect_value(struct expectation *e, enum untorn_finding_kind kind, uint64_t off, const char *field,
			 uint64_t seen, uint64_t expected)
{
	struct untorn_finding *f = expect(e, kind, off, field);

	f->seen = seen;
	f->expected = expected;
}

static struct untorn_finding *expect_lane(const struct sample *s, struct expectation *e, enum untorn_finding_kind kind,
					  uint32_t lane, const void *p, uint64_t seen, uint64_t expected)
{
	struct untorn_finding *f = expect(e, kind, sample_off(s, p), "lane");

	f->index = lane;
	f->seen = seen;
	f->expected = expected;
	return f;
}

static struct untorn_finding *expect_entry(const struct sample *s, struct expectation *e, enum untorn_finding_kind kind,
					   uint32_t lba, uint64_t seen, uint64_t expected)
{
	struct untorn_finding *f = expect(e, kind, s->arena.map_off + lba * 4ull, "map entry");

	f->index = lba;
	f->seen = seen;
	f->expected = expected;
	return f;
}

static void expect_lost(const struct sample *s, struct expectation *e, uint32_t block)
{
	struct untorn_finding *f = expect(e, UNTORN_FINDING_BLOCK_LOST,
					  s->arena.data_off + (uint64_t)block * s->arena.internal_lbasize, "block");

	f->index = block;
	f->expected = 1;
}

static void expect_error(struct expectation *e, uint32_t lba)
{
	e->errors[e->nerrors++] = lba;
}

void expect_undamaged(const struct sample *s, struct expectation *e)
{
	if (s->kind->old_padding)
		expect(e, UNTORN_FINDING_FLOG_OLD_PADDING, s->arena.flog_off, "flog");
}

static bool is_same(const struct untorn_finding *x, const struct untorn_finding *y)
{
	return x->kind == y->kind && x->arena == y->arena && x->off == y->off && strcmp(x->field, y->field) == 0 &&
	       x->index == y->index && x->seen == y->seen && x->expected == y->expected &&
	       x->repairable == y->repairable;
}

bool report_is(const struct report *report, const struct expectation *e)
{
	bool ok = report->nfindings == e->nfindings;

	for (size_t i = 0; i < e->nfindings; i++) {
		const struct untorn_finding *f = &e->findings[i];
		size_t k = 0;

		while (k < report->nfindings && !is_same(f, &report->findings[k]))
			k++;
		if (k < report->nfindings)
			continue;
		ok = false;
		printf("not found: %s arena %d off %#" PRIx64 " %s %" PRIu64 " seen %#" PRIx64 " expected %#" PRIx64
		       " repairable %d\n",
		       untorn_finding_name(f->kind), f->arena, f->off, f->field, f->index, f->seen, f->expected,
		       f->repairable);
	}
	if (!ok)
		report_print(report);
	return ok;
}

/* ------------------------------------------------------------ flog ------------------------------------------------------- */

static uint32_t block_of(le32 v)
{
	return le32_get(v) & BTT_MAP_BLOCK;
}

static unsigned live_of(const struct sample *s, uint32_t lane)
{
	return sample_current(s, lane) == sample_slot(s, lane, 1);
}

static void dirty_padding(struct sample *s, struct expectation *e)
{
	struct btt_flog_slot *slot = &sample_group(s, 5)->slot[3];

	slot->lba = le32_make(0x77);
	expect_lane(s, e, UNTORN_FINDING_FLOG_PADDING, 5, slot, 0x77, 0);
}

/* The second word, and the slot that would live in the other layout. */
static void dirty_other_slot(struct sample *s, struct expectation *e)
{
	struct btt_flog_slot *slot = &sample_group(s, 200)->slot[s->kind->old_padding ? 1 : 2];

	slot->new_map = le32_make(0x99);
	expect_lane(s, e, UNTORN_FINDING_FLOG_PADDING, 200, (uint8_t *)slot + 8, 0x99, 0);
}

static void empty_slot0(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 0);
	struct btt_flog_slot *slot;

	while (live_of(s, lane) != 1)
		lane = sample_used_lane(s, lane + 1);
	slot = sample_slot(s, lane, 0);
	memset(slot, 0, sizeof(*slot));
	expect_lane(s, e, UNTORN_FINDING_FLOG_PADDING, lane, (uint8_t *)slot + 12, 0,
		    flog_next_seq(le32_get(sample_slot(s, lane, 1)->seq)));
}

static void equal_seqs(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 11), seq = le32_get(sample_current(s, lane)->seq);
	struct btt_flog_slot *second = sample_slot(s, lane, 1);

	expect_lost(s, e, sample_free_block(s, lane));
	sample_slot(s, lane, 0)->seq = le32_make(seq);
	second->seq = le32_make(seq);
	expect_lane(s, e, UNTORN_FINDING_FLOG_SEQ, lane, (uint8_t *)second + 12, seq, flog_next_seq(seq));
}

static void large_seq(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 20);
	struct btt_flog_slot *slot = sample_slot(s, lane, 0);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->seq = le32_make(4);
	expect_lane(s, e, UNTORN_FINDING_FLOG_SEQ, lane, (uint8_t *)slot + 12, 4, 4);
}

static void zero_group(struct sample *s, struct expectation *e)
{
	struct btt_flog_group *group = sample_group(s, 255);

	expect_lost(s, e, sample_free_block(s, 255));
	memset(group, 0, sizeof(*group));
	expect_lane(s, e, UNTORN_FINDING_FLOG_SEQ, 255, (uint8_t *)group + 12, 0, 1);
}

/* A pair that nobody writes, and that Linux and PMDK read differently. */
static void lone_seq(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 30);
	struct btt_flog_slot *slot = sample_slot(s, lane, 0), *second = sample_slot(s, lane, 1);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->seq = le32_make(3);
	second->seq = le32_make(0);
	expect_lane(s, e, UNTORN_FINDING_FLOG_SEQ, lane, (uint8_t *)slot + 12, 3, 1);
}

static void large_lba(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 40);
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->lba = le32_make(s->arena.external_nlba);
	expect_lane(s, e, UNTORN_FINDING_FLOG_LBA, lane, slot, s->arena.external_nlba, s->arena.external_nlba);
}

static void large_old(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 50);
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->old_map = le32_make(s->arena.internal_nlba | BTT_MAP_ERROR);
	expect_lane(s, e, UNTORN_FINDING_FLOG_BLOCK, lane, (uint8_t *)slot + 4, s->arena.internal_nlba,
		    s->arena.internal_nlba);
}

static void large_new(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 60);
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->new_map = le32_make(BTT_MAP_BLOCK);
	expect_lane(s, e, UNTORN_FINDING_FLOG_BLOCK, lane, (uint8_t *)slot + 8, BTT_MAP_BLOCK, s->arena.internal_nlba);
}

static void expect_pending(struct sample *s, struct expectation *e, uint32_t lane)
{
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lane(s, e, UNTORN_FINDING_FLOG_PENDING, lane, slot, block_of(slot->old_map), block_of(slot->new_map));
}

static void interrupt_one(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 70);

	sample_interrupt(s, lane);
	expect_pending(s, e, lane);
}

/* As many as there are: what a power cut of a busy volume leaves. */
static void interrupt_many(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 0);

	for (int i = 0; i < 20; i++) {
		sample_interrupt(s, lane);
		expect_pending(s, e, lane);
		lane = sample_used_lane(s, lane + 1);
	}
}

/* Another lane claims to be writing the same sector: the first one's write is not told from it. */
static void interrupt_twice(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 80), other = sample_used_lane(s, lane + 1);
	struct btt_flog_slot *first = sample_current(s, lane), *second = sample_current(s, other);
	uint32_t block = sample_free_block(s, other);

	sample_interrupt(s, lane);
	expect_pending(s, e, lane);
	second->lba = first->lba;
	second->old_map = first->old_map;
	second->new_map = le32_make(block | (le32_get(first->new_map) & BTT_MAP_STATE));
	expect_lane(s, e, UNTORN_FINDING_FLOG_TWICE, other, second, le32_get(first->lba), 0);
	expect_lost(s, e, block);
	expect_error(e, le32_get(first->lba));
}

static void share_free_block(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 100), other = sample_used_lane(s, lane + 1);
	struct btt_flog_slot *slot = sample_current(s, other);

	expect_lost(s, e, sample_free_block(s, other));
	slot->old_map = sample_current(s, lane)->old_map;
	expect_lane(s, e, UNTORN_FINDING_FREE_TWICE, other, (uint8_t *)slot + 4, sample_free_block(s, lane), 0);
}

static void free_mapped_block(struct sample *s, struct expectation *e)
{
	uint32_t lane = sample_used_lane(s, 120), block = sample_block(s, 17);
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->old_map = le32_make(block);
	expect_lane(s, e, UNTORN_FINDING_FREE_MAPPED, lane, (uint8_t *)slot + 4, block, 0);
}

/* ------------------------------------------------------------- map ------------------------------------------------------- */

static void set_entry(struct sample *s, uint32_t lba, uint32_t entry)
{
	sample_map(s)[lba] = le32_make(entry);
}

static void point_outside(struct sample *s, struct expectation *e)
{
	uint32_t nlba = s->arena.internal_nlba;

	expect_lost(s, e, sample_block(s, 0));
	set_entry(s, 0, nlba | BTT_MAP_NORMAL);
	expect_entry(s, e, UNTORN_FINDING_MAP_RANGE, 0, nlba, nlba);
	expect_error(e, 0);
}

/* The last entry, as far out as it goes, and in zero state. */
static void point_far_outside(struct sample *s, struct expectation *e)
{
	uint32_t lba = s->arena.external_nlba - 1;

	expect_lost(s, e, sample_block(s, lba));
	set_entry(s, lba, BTT_MAP_BLOCK | BTT_MAP_ZERO);
	expect_entry(s, e, UNTORN_FINDING_MAP_RANGE, lba, BTT_MAP_BLOCK, s->arena.internal_nlba);
	expect_error(e, lba);
}

static void share_with(struct sample *s, struct expectation *e, uint32_t first, uint32_t lba)
{
	expect_lost(s, e, sample_block(s, lba));
	set_entry(s, lba, sample_block(s, first) | BTT_MAP_NORMAL);
	expect_entry(s, e, UNTORN_FINDING_MAP_TWICE, lba, sample_block(s, first), 0);
	expect_error(e, lba);
}

static void share_block(struct sample *s, struct expectation *e)
{
	share_with(s, e, 300, 200);
	expect_entry(s, e, UNTORN_FINDING_MAP_TWICE, 300, sample_block(s, 300), 0);
	expect_error(e, 300);
}

static void share_block_of_three(struct sample *s, struct expectation *e)
{
	share_with(s, e, 400, 500);
	share_with(s, e, 400, 3);
	expect_entry(s, e, UNTORN_FINDING_MAP_TWICE, 400, sample_block(s, 400), 0);
	expect_error(e, 400);
}

static void share_initial_block(struct sample *s, struct expectation *e)
{
	uint32_t lba = 0;

	while (map_entry_state(le32_get(sample_map(s)[lba])) != BTT_MAP_INITIAL)
		lba++;
	share_with(s, e, lba, lba + 1000);
	expect_entry(s, e, UNTORN_FINDING_MAP_TWICE, lba, lba, 0);
	expect_error(e, lba);
}

/* A lane's free block that two sectors claim: the lane loses it, and neither sector can be believed. */
static void free_shared_block(struct sample *s, struct expectation *e)
{
	share_block(s, e);

	uint32_t lane = sample_used_lane(s, 140), block = sample_block(s, 300);
	struct btt_flog_slot *slot = sample_current(s, lane);

	expect_lost(s, e, sample_free_block(s, lane));
	slot->old_map = le32_make(block);
	expect_lane(s, e, UNTORN_FINDING_FREE_MAPPED, lane, (uint8_t *)slot + 4, block, 0);
}

static void mark_error(struct sample *s, struct expectation *e)
{
	uint32_t entry = sample_block(s, 9) | BTT_MAP_ERROR;

	set_entry(s, 9, entry);
	expect_entry(s, e, UNTORN_FINDING_MAP_ERROR, 9, entry, sample_block(s, 9) | BTT_MAP_NORMAL)->repairable = 0;
	expect_error(e, 9);
}

/* ---------------------------------------------------------- info blocks -------------------------------------------------- */

static uint64_t first_bytes(const void *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

static uint64_t offset_in(const struct sample *s, const struct btt_info_block *block, size_t field)
{
	return sample_off(s, block) + field;
}

#define INFO_OFF(s, block, field) offset_in(s, block, offsetof(struct btt_info_block, field))

static void break_signature(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);

	primary->signature[3] ^= 1;
	expect_value(e, UNTORN_FINDING_INFO_SIGNATURE, INFO_OFF(s, primary, signature), "signature",
		     first_bytes(primary->signature), first_bytes(BTT_SIGNATURE));
}

static void break_checksum(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint64_t seen = le64_get(primary->checksum);

	primary->padding[100] = 1;
	expect_value(e, UNTORN_FINDING_INFO_CHECKSUM, INFO_OFF(s, primary, checksum), "checksum", seen,
		     info_checksum(primary));
}

/* Damaged in its uuid: still no other BTT. */
static void break_uuid(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint64_t seen = le64_get(primary->checksum);

	memset(primary->uuid, 0xee, sizeof(primary->uuid));
	expect_value(e, UNTORN_FINDING_INFO_CHECKSUM, INFO_OFF(s, primary, checksum), "checksum", seen,
		     info_checksum(primary));
}

static void break_version(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint16_t expected = le16_get(primary->version_major);

	primary->version_major = le16_make(3);
	sample_seal(primary);
	expect_value(e, UNTORN_FINDING_INFO_VERSION, INFO_OFF(s, primary, version_major), "version_major", 3, expected);
}

static void break_minor_version(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint16_t expected = le16_get(primary->version_minor);

	primary->version_minor = le16_make(9);
	sample_seal(primary);
	expect_value(e, UNTORN_FINDING_INFO_VERSION, INFO_OFF(s, primary, version_minor), "version_minor", 9, expected);
}

static void break_geometry(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint64_t expected = le64_get(primary->mapoff);

	primary->mapoff = le64_make(UINT64_MAX);
	sample_seal(primary);
	expect_value(e, UNTORN_FINDING_INFO_GEOMETRY, INFO_OFF(s, primary, mapoff), "mapoff", UINT64_MAX, expected);
}

/* Possible in itself, and no formatter's: every sector would be read from the wrong place. */
static void shift_map(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);
	uint64_t expected = le64_get(primary->mapoff);

	primary->mapoff = le64_make(expected - BTT_BLOCK);
	sample_seal(primary);
	expect_value(e, UNTORN_FINDING_INFO_GEOMETRY, INFO_OFF(s, primary, mapoff), "mapoff", expected - BTT_BLOCK,
		     expected);
}

static void break_chain(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s);

	primary->nextoff = le64_make(BTT_ARENA_MAX);
	sample_seal(primary);
	expect_value(e, UNTORN_FINDING_INFO_CHAIN, INFO_OFF(s, primary, nextoff), "nextoff", BTT_ARENA_MAX, 0);
}

static void break_both(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s), *backup = sample_backup(s);

	break_checksum(s, e);
	backup->padding[7] = 1;
	expect_value(e, UNTORN_FINDING_INFO_BACKUP, INFO_OFF(s, backup, checksum), "checksum",
		     le64_get(primary->checksum), info_checksum(backup));
	for (size_t i = 0; i < e->nfindings; i++)
		if (e->findings[i].kind != UNTORN_FINDING_FLOG_OLD_PADDING)
			e->findings[i].repairable = 0;
	/* Nothing says where the flog is. */
	if (s->kind->old_padding) {
		memmove(&e->findings[0], &e->findings[1], sizeof(e->findings[0]) * (e->nfindings - 1));
		e->nfindings--;
	}
}

static void lose_backup(struct sample *s, struct expectation *e)
{
	struct btt_info_block *backup = sample_backup(s);

	memset(backup, 0, sizeof(*backup));
	expect_value(e, UNTORN_FINDING_INFO_BACKUP, INFO_OFF(s, backup, signature), "signature", 0,
		     first_bytes(BTT_SIGNATURE));
}

static void change_backup(struct sample *s, struct expectation *e)
{
	struct btt_info_block *backup = sample_backup(s);
	uint64_t expected = le64_get(backup->mapoff);

	backup->mapoff = le64_make(expected - BTT_BLOCK);
	sample_seal(backup);
	expect_value(e, UNTORN_FINDING_INFO_BACKUP, INFO_OFF(s, backup, mapoff), "mapoff", expected - BTT_BLOCK,
		     expected);
}

/* As possible as the primary: that one is what everybody reads. */
static void change_backup_parent(struct sample *s, struct expectation *e)
{
	struct btt_info_block *backup = sample_backup(s);
	uint64_t expected = first_bytes(backup->parent_uuid);

	memset(backup->parent_uuid, 0xcd, sizeof(backup->parent_uuid));
	sample_seal(backup);
	expect_value(e, UNTORN_FINDING_INFO_BACKUP, INFO_OFF(s, backup, parent_uuid), "parent_uuid",
		     0xcdcdcdcdcdcdcdcdull, expected);
}

static void destroy(struct sample *s, struct expectation *e, int repairable)
{
	struct btt_info_block *primary = sample_primary(s);

	if (s->kind->layout == UNTORN_BTT_PMEMBLK)
		memset(primary, 0, sizeof(*primary));
	else
		memset(s->bytes, 0, 8192);
	expect_value(e, UNTORN_FINDING_INFO_SIGNATURE, INFO_OFF(s, primary, signature), "signature", 0,
		     first_bytes(BTT_SIGNATURE));
	for (size_t i = 0; i < e->nfindings; i++)
		e->findings[i].repairable = repairable;
}

/* As namespaces are destroyed. Nothing says that the backup is still meant. */
static void destroy_btt(struct sample *s, struct expectation *e)
{
	destroy(s, e, 2);
}

/* The backup has the parent uuid that the caller, or the pool's header, has. */
static void destroy_owned_btt(struct sample *s, struct expectation *e)
{
	destroy(s, e, 1);
}

static void belong_elsewhere(struct sample *s, struct expectation *e)
{
	struct btt_info_block *primary = sample_primary(s), *backup = sample_backup(s);
	struct untorn_finding *f;

	memset(primary->parent_uuid, 0xab, sizeof(primary->parent_uuid));
	sample_seal(primary);
	*backup = *primary;
	f = expect(e, UNTORN_FINDING_INFO_PARENT, INFO_OFF(s, primary, parent_uuid), "parent_uuid");
	f->seen = 0xababababababababull;
	f->expected = first_bytes(sample_parent_uuid);
	for (size_t i = 0; i < e->nfindings; i++)
		e->findings[i].repairable = 0;
}

static void set_error_flag(struct sample *s, struct expectation *e, struct btt_info_block *block)
{
	block->flags = le32_make(BTT_INFO_ERROR);
	sample_seal(block);
	if (e)
		expect_value(e, UNTORN_FINDING_INFO_ERROR_FLAG, INFO_OFF(s, block, flags), "flags", 1, 0);
	if (e)
		e->findings[e->nfindings - 1].repairable = 2;
}

static void set_error_flags(struct sample *s, struct expectation *e)
{
	set_error_flag(s, NULL, sample_backup(s));
	set_error_flag(s, e, sample_primary(s));
}

/* Two halves of an update that was cut: PMDK writes the primary first, UEFI the backup. */
static void set_primary_error_flag(struct sample *s, struct expectation *e)
{
	set_error_flag(s, e, sample_primary(s));
}

static void set_backup_error_flag(struct sample *s, struct expectation *e)
{
	set_error_flag(s, e, sample_backup(s));
}

/* ------------------------------------------------------------- pool ------------------------------------------------------ */

static struct pool_header *header_of(const struct sample *s)
{
	return (struct pool_header *)s->bytes;
}

static void expect_pool(struct expectation *e, size_t off, const char *field, uint64_t seen, uint64_t expected,
			int repairable)
{
	expect_value(e, UNTORN_FINDING_POOL_HEADER, off, field, seen, expected);
	e->findings[e->nfindings - 1].arena = -1;
	e->findings[e->nfindings - 1].repairable = repairable;
}

static void expect_pool_checksum(struct sample *s, struct expectation *e, int repairable)
{
	expect_pool(e, offsetof(struct pool_header, checksum), "checksum", le64_get(header_of(s)->checksum),
		    pool_checksum(header_of(s)), repairable);
}

/* Fields that are known: the checksum proves the repair. */
static void break_pool_fields(struct sample *s, struct expectation *e)
{
	memset(header_of(s)->poolset_uuid, 0, BTT_UUID_LEN);
	header_of(s)->next_part_uuid[5] ^= 0xff;
	header_of(s)->uuid[0] ^= 0xff;
	header_of(s)->unused[77] = 1;
	header_of(s)->incompat = le32_make(7);
	expect_pool_checksum(s, e, 1);
}

static void break_pool_signature(struct sample *s, struct expectation *e)
{
	struct pool_header *h = header_of(s);

	h->signature[0] = 'X';
	expect_pool(e, 0, "signature", first_bytes(h->signature), first_bytes(POOL_SIGNATURE), 1);
}

/* A field that nothing else knows. */
static void break_pool_time(struct sample *s, struct expectation *e)
{
	header_of(s)->crtime = le64_make(1);
	expect_pool_checksum(s, e, 2);
}

static void break_pool_bsize(struct sample *s, struct expectation *e)
{
	struct pool_descriptor *d = (struct pool_descriptor *)(s->bytes + POOL_HEADER_SIZE);

	d->bsize = le32_make(4096);
	expect_pool(e, POOL_HEADER_SIZE, "bsize", 4096, 512, 1);
}

static void zero_pool_bsize(struct sample *s, struct expectation *e)
{
	struct pool_descriptor *d = (struct pool_descriptor *)(s->bytes + POOL_HEADER_SIZE);

	d->bsize = le32_make(0);
	expect_pool(e, POOL_HEADER_SIZE, "bsize", 0, 512, 1);
}

/* Intact, and one that we do not know. */
static void future_pool(struct sample *s, struct expectation *e)
{
	header_of(s)->major = le32_make(2);
	header_of(s)->checksum = le64_make(pool_checksum(header_of(s)));
	expect_pool(e, offsetof(struct pool_header, major), "major", 2, 1, 0);
}

static void future_pool_feature(struct sample *s, struct expectation *e)
{
	header_of(s)->incompat = le32_make(0x12);
	header_of(s)->checksum = le64_make(pool_checksum(header_of(s)));
	expect_pool(e, offsetof(struct pool_header, incompat), "incompat", 0x12, 2, 0);
}

static void unwrite_pool(struct sample *s, struct expectation *e)
{
	struct untorn_finding *f;

	memset(s->bytes + POOL_BTT_OFF, 0, SAMPLE_SIZE - POOL_BTT_OFF);
	f = expect(e, UNTORN_FINDING_NOT_LAID_OUT, POOL_BTT_OFF, "info block");
	f->arena = -1;
	f->repairable = 0;
}

/* ------------------------------------------------------------ volume ----------------------------------------------------- */

static void wipe(struct sample *s, struct expectation *e)
{
	struct untorn_finding *f;

	memset(s->bytes, 0, SAMPLE_SIZE);
	e->nfindings = 0;
	f = expect(e, UNTORN_FINDING_NO_BTT, 0, "info block");
	f->arena = -1;
	f->repairable = 0;
}

/* A second primary, intact, and no backup that would decide. */
static void second_layout(struct sample *s, struct expectation *e)
{
	struct btt_info_block *block = (struct btt_info_block *)s->bytes;
	struct untorn_finding *f;

	*block = *sample_primary(s);
	block->version_major = le16_make(2);
	block->version_minor = le16_make(0);
	sample_seal(block);
	memset(sample_backup(s), 0, sizeof(*block));
	f = expect(e, UNTORN_FINDING_AMBIGUOUS, 0, "info block");
	f->arena = -1;
	f->repairable = 0;
}

/* Many at once, each in a place of its own. */
static void ruin(struct sample *s, struct expectation *e)
{
	dirty_padding(s, e);
	equal_seqs(s, e);
	zero_group(s, e);
	large_lba(s, e);
	large_old(s, e);
	interrupt_one(s, e);
	interrupt_twice(s, e);
	share_free_block(s, e);
	free_mapped_block(s, e);
	point_outside(s, e);
	share_block(s, e);
	mark_error(s, e);
	break_checksum(s, e);
}

const struct damage damages[] = {
	{"dirty padding", dirty_padding},
	{"dirty slot of the other layout", dirty_other_slot},
	{"empty slot 0", empty_slot0},
	{"equal seqs", equal_seqs},
	{"seq above 3", large_seq},
	{"zero group", zero_group},
	{"lone seq 3", lone_seq},
	{"flog lba out of range", large_lba},
	{"old block out of range", large_old},
	{"new block out of range", large_new},
	{"interrupted write", interrupt_one},
	{"interrupted writes", interrupt_many},
	{"interrupted twice", interrupt_twice},
	{"two lanes, one free block", share_free_block},
	{"free block mapped", free_mapped_block},
	{"map entry out of range", point_outside},
	{"map entry far out of range", point_far_outside},
	{"two sectors, one block", share_block},
	{"three sectors, one block", share_block_of_three},
	{"initial sector's block shared", share_initial_block},
	{"shared block free too", free_shared_block},
	{"error state", mark_error},
	{"bad signature", break_signature},
	{"bad checksum", break_checksum},
	{"bad uuid", break_uuid},
	{"bad version", break_version},
	{"bad minor version", break_minor_version},
	{"bad geometry", break_geometry},
	{"plausible geometry", shift_map},
	{"bad nextoff", break_chain},
	{"bad primary and backup", break_both, .beyond_repair = true},
	{"lost backup", lose_backup},
	{"other backup", change_backup},
	{"backup of another parent", change_backup_parent},
	{"destroyed", destroy_btt, ON(V1_1) | ON(V2_0) | ON(OLD), UNTORN_REPAIR_FORCE},
	{"destroyed, parent given", destroy_owned_btt, ON(V2_0), 0, sample_parent_uuid},
	{"destroyed in a pool", destroy_owned_btt, ON(POOL)},
	{"another container's", belong_elsewhere, 0, 0, sample_parent_uuid, .beyond_repair = true},
	{"error flag", set_error_flags, 0, UNTORN_REPAIR_FORCE},
	{"error flag of primary", set_primary_error_flag, 0, UNTORN_REPAIR_FORCE},
	{"error flag of backup", set_backup_error_flag, 0, UNTORN_REPAIR_FORCE},
	{"pool header fields", break_pool_fields, ON(POOL)},
	{"pool signature", break_pool_signature, ON(POOL)},
	{"pool creation time", break_pool_time, ON(POOL), UNTORN_REPAIR_FORCE},
	{"pool sector size", break_pool_bsize, ON(POOL)},
	{"no pool sector size", zero_pool_bsize, ON(POOL)},
	{"future pool", future_pool, ON(POOL), .beyond_repair = true},
	{"future pool feature", future_pool_feature, ON(POOL), .beyond_repair = true},
	{"never written pool", unwrite_pool, ON(POOL), .beyond_repair = true},
	{"nothing", wipe, 0, .beyond_repair = true, .without_layout = true},
	{"two layouts", second_layout, ON(V1_1), .beyond_repair = true, .without_layout = true},
	{"ruin", ruin},
};

const size_t ndamages = ARRAY_SIZE(damages);
