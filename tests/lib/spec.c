/* SPDX-License-Identifier: BSD-3-Clause */
#include "spec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

/* --------------------------------------------------------- numbers ------------------------------------------------------- */

static uint64_t get(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void put(uint8_t *p, unsigned n, uint64_t v)
{
	for (unsigned i = 0; i < n; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t up(uint64_t x, uint64_t a)
{
	return (x + a - 1) / a * a;
}

uint64_t spec_fletcher64(const uint8_t *p, size_t len)
{
	uint32_t lo = 0, hi = 0;

	for (size_t i = 0; i < len; i += 4) {
		lo += (uint32_t)get(p + i, 4);
		hi += lo;
	}
	return (uint64_t)hi << 32 | lo;
}

/* ------------------------------------------------------- info blocks ----------------------------------------------------- */

enum {
	SIGNATURE = 0,
	UUID = 16,
	PARENT_UUID = 32,
	FLAGS = 48,
	MAJOR = 52,
	MINOR = 54,
	EXTERNAL_LBASIZE = 56,
	EXTERNAL_NLBA = 60,
	INTERNAL_LBASIZE = 64,
	INTERNAL_NLBA = 68,
	NFREE = 72,
	INFOSIZE = 76,
	NEXTOFF = 80,
	DATAOFF = 88,
	MAPOFF = 96,
	LOGOFF = 104,
	INFO2OFF = 112,
	CHECKSUM = 4088,
};

static uint64_t info_checksum(const uint8_t *info)
{
	uint8_t copy[BLOCK];

	memcpy(copy, info, BLOCK);
	memset(copy + CHECKSUM, 0, 8);
	return spec_fletcher64(copy, BLOCK);
}

void spec_seal(uint8_t *info)
{
	put(info + CHECKSUM, 8, info_checksum(info));
}

void spec_make(uint8_t *image, uint64_t size, const struct spec_options *o)
{
	uint8_t *arena = image + o->base, *info2;
	uint64_t end = (size - o->base) / BLOCK * BLOCK;
	uint64_t info2off = end - BLOCK, logoff = info2off - up(o->nfree * 64ull, BLOCK), n = o->external_nlba, mapoff;

	if (n == 0)
		n = (logoff - 2 * BLOCK) / (o->internal_lbasize + 4) - o->nfree;
	mapoff = logoff - up(n * 4, BLOCK);
	if (end > size || mapoff > logoff || BLOCK + (n + o->nfree) * o->internal_lbasize > mapoff)
		abort();

	memcpy(arena + SIGNATURE, "BTT_ARENA_INFO\0", 16);
	memset(arena + UUID, 0xab, 16);
	memcpy(arena + PARENT_UUID, o->parent_uuid, 16);
	put(arena + MAJOR, 2, o->major);
	put(arena + MINOR, 2, o->minor);
	put(arena + EXTERNAL_LBASIZE, 4, o->external_lbasize);
	put(arena + EXTERNAL_NLBA, 4, n);
	put(arena + INTERNAL_LBASIZE, 4, o->internal_lbasize);
	put(arena + INTERNAL_NLBA, 4, n + o->nfree);
	put(arena + NFREE, 4, o->nfree);
	put(arena + INFOSIZE, 4, BLOCK);
	put(arena + DATAOFF, 8, BLOCK);
	put(arena + MAPOFF, 8, mapoff);
	put(arena + LOGOFF, 8, logoff);
	put(arena + INFO2OFF, 8, info2off);
	spec_seal(arena);
	info2 = arena + info2off;
	memcpy(info2, arena, BLOCK);
	for (uint32_t l = 0; l < o->nfree; l++) {
		uint8_t *slot = arena + logoff + l * 64ull;

		put(slot, 4, l % n);
		put(slot + 4, 4, (n + l) | o->flog_flags);
		put(slot + 8, 4, (n + l) | o->flog_flags);
		put(slot + 12, 4, 1);
	}
}

struct spec_arena spec_arena(const uint8_t *image, uint64_t base)
{
	const uint8_t *info = image + base;
	struct spec_arena a = {
		.base = base,
		.external_lbasize = (uint32_t)get(info + EXTERNAL_LBASIZE, 4),
		.external_nlba = (uint32_t)get(info + EXTERNAL_NLBA, 4),
		.internal_lbasize = (uint32_t)get(info + INTERNAL_LBASIZE, 4),
		.internal_nlba = (uint32_t)get(info + INTERNAL_NLBA, 4),
		.nfree = (uint32_t)get(info + NFREE, 4),
		.dataoff = get(info + DATAOFF, 8),
		.mapoff = get(info + MAPOFF, 8),
		.logoff = get(info + LOGOFF, 8),
		.info2off = get(info + INFO2OFF, 8),
		.second = 1,
		.flags = (uint32_t)get(info + FLAGS, 4),
	};

	return a;
}

/* -------------------------------------------------------- map, flog ------------------------------------------------------ */

uint32_t spec_map(const uint8_t *image, const struct spec_arena *a, uint32_t lba)
{
	return (uint32_t)get(image + a->base + a->mapoff + 4ull * lba, 4);
}

void spec_set_map(uint8_t *image, const struct spec_arena *a, uint32_t lba, uint32_t entry)
{
	put(image + a->base + a->mapoff + 4ull * lba, 4, entry);
}

static uint64_t slot_off(const struct spec_arena *a, uint32_t lane, unsigned slot)
{
	return a->base + a->logoff + 64ull * lane + 16 * slot;
}

struct spec_slot spec_slot(const uint8_t *image, const struct spec_arena *a, uint32_t lane, unsigned slot)
{
	const uint8_t *p = image + slot_off(a, lane, slot);

	return (struct spec_slot){
		.lba = (uint32_t)get(p, 4),
		.old_map = (uint32_t)get(p + 4, 4),
		.new_map = (uint32_t)get(p + 8, 4),
		.seq = (uint32_t)get(p + 12, 4),
	};
}

void spec_set_slot(uint8_t *image, const struct spec_arena *a, uint32_t lane, unsigned slot, struct spec_slot v)
{
	uint8_t *p = image + slot_off(a, lane, slot);

	put(p, 4, v.lba);
	put(p + 4, 4, v.old_map);
	put(p + 8, 4, v.new_map);
	put(p + 12, 4, v.seq);
}

/* SPEC 5.3, the columns that both readers agree on; 1 before 2 before 3 before 1. */
int spec_current(const uint8_t *image, const struct spec_arena *a, uint32_t lane)
{
	uint32_t s0 = spec_slot(image, a, lane, 0).seq, s1 = spec_slot(image, a, lane, a->second).seq;

	if (s0 > 3 || s1 > 3 || s0 == s1)
		return -1;
	if (s0 == 1 && s1 == 0)
		return 0;
	if (s0 == 0 || (s0 == 1 && s1 == 2) || (s0 == 2 && s1 == 3) || (s0 == 3 && s1 == 1))
		return (int)a->second;
	if ((s0 == 2 && s1 == 1) || (s0 == 3 && s1 == 2) || (s0 == 1 && s1 == 3))
		return 0;
	return -1;
}

static uint32_t block_of(uint32_t entry, uint32_t lba)
{
	return entry >> 30 == 0 ? lba : entry & 0x3fffffff;
}

const uint8_t *spec_block(const uint8_t *image, const struct spec_arena *a, uint32_t lba, bool initial_is_zero)
{
	uint32_t entry = spec_map(image, a, lba);

	if (entry >> 30 == 1 || entry >> 30 == 2 || (entry >> 30 == 0 && initial_is_zero))
		return NULL;
	return image + a->base + a->dataoff + (uint64_t)block_of(entry, lba) * a->internal_lbasize;
}

/* -------------------------------------------------------- invariants ----------------------------------------------------- */

static char why[256];

__attribute__((format(printf, 1, 2))) static const char *fault(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	return why;
}

static bool is_empty(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* 1 and 2. */
static const char *check_info(const uint8_t *image, uint64_t size, const struct spec_arena *a)
{
	const uint8_t *info = image + a->base, *info2 = info + a->info2off;
	uint64_t room = size - a->base;

	if (memcmp(info, "BTT_ARENA_INFO\0", 16) != 0)
		return fault("no signature");
	if (get(info + CHECKSUM, 8) != info_checksum(info))
		return fault("checksum of the info block");
	if (a->info2off % BLOCK || a->info2off > room - BLOCK)
		return fault("info2off %#" PRIx64, a->info2off);
	if (memcmp(info, info2, BLOCK) != 0)
		return fault("the two info blocks differ");
	if (a->internal_nlba != a->external_nlba + a->nfree)
		return fault("internal_nlba %" PRIu32, a->internal_nlba);
	if (a->dataoff % BLOCK || a->mapoff % BLOCK || a->logoff % BLOCK || a->dataoff < BLOCK)
		return fault("alignment of the areas");
	if (a->dataoff + (uint64_t)a->internal_nlba * a->internal_lbasize > a->mapoff ||
	    a->mapoff + 4ull * a->external_nlba > a->logoff || a->logoff + 64ull * a->nfree > a->info2off)
		return fault("the areas overlap");
	return NULL;
}

/* 3: slots {0,1} or {0,2}, the others all zero. */
static const char *check_slots(const uint8_t *image, struct spec_arena *a)
{
	bool used[4] = {false};

	for (uint32_t l = 0; l < a->nfree; l++)
		for (unsigned s = 0; s < 4; s++)
			used[s] |= !is_empty(image + slot_off(a, l, s), 16);
	if (used[3] || (used[1] && used[2]))
		return fault("padding slots are used");
	a->second = used[2] ? 2 : 1;
	for (uint32_t l = 0; l < a->nfree; l++) {
		int current = spec_current(image, a, l);
		struct spec_slot v;

		if (current < 0)
			return fault("lane %" PRIu32 ": sequence numbers", l);
		v = spec_slot(image, a, l, (unsigned)current);
		if (v.lba >= a->external_nlba || (v.old_map & 0x3fffffff) >= a->internal_nlba ||
		    (v.new_map & 0x3fffffff) >= a->internal_nlba)
			return fault("lane %" PRIu32 ": {%#x, %#x, %#x}", l, v.lba, v.old_map, v.new_map);
	}
	return NULL;
}

/* Whose block it is: lba + 1, or the negative of lane + 1; 0: nobody's. */
static int64_t *owners;
static uint32_t owners_capacity;

static const char *own(uint32_t block, int64_t owner, const char *when)
{
	if (owners[block])
		return fault("block %" PRIu32 " is owned by %" PRId64 " and %" PRId64 " (lba + 1, or -lane - 1) %s",
			     block, owners[block], owner, when);
	owners[block] = owner;
	return NULL;
}

/* 4, 5 and 6, or with redo 4 and 7. */
static const char *check_owners(const uint8_t *image, const struct spec_arena *a, bool redo, uint32_t *ret_npending)
{
	const char *when = redo ? "after recovery" : "before recovery", *f = NULL;
	uint32_t npending = 0;
	static uint32_t redone_lba[65536], redone_map[65536];

	if (a->internal_nlba > owners_capacity) {
		free(owners);
		owners = malloc(a->internal_nlba * sizeof(*owners));
		owners_capacity = a->internal_nlba;
	}
	if (!owners || a->nfree > 65536)
		abort();
	memset(owners, 0, a->internal_nlba * sizeof(*owners));

	for (uint32_t l = 0; l < a->nfree && !f; l++) {
		struct spec_slot v = spec_slot(image, a, l, (unsigned)spec_current(image, a, l));
		uint32_t o = v.old_map & 0x3fffffff, n = v.new_map & 0x3fffffff;
		uint32_t m = block_of(spec_map(image, a, v.lba), v.lba);
		bool pending = o != n && m == o;

		if (pending) {
			for (uint32_t i = 0; i < npending; i++)
				if (redone_lba[i] == v.lba)
					return fault("lba %" PRIu32 " is pending twice", v.lba);
			redone_lba[npending] = v.lba;
			redone_map[npending++] = n;
		}
		f = own(pending && !redo ? n : o, -(int64_t)l - 1, when);
	}
	for (uint32_t i = 0; redo && i < npending && !f; i++)
		f = own(redone_map[i], (int64_t)redone_lba[i] + 1, when);
	for (uint32_t lba = 0; lba < a->external_nlba && !f; lba++) {
		uint32_t m = block_of(spec_map(image, a, lba), lba);
		bool is_redone = false;

		for (uint32_t i = 0; redo && i < npending; i++)
			is_redone |= redone_lba[i] == lba;
		if (m >= a->internal_nlba)
			return fault("lba %" PRIu32 " is mapped to %" PRIu32, lba, m);
		if (!is_redone)
			f = own(m, (int64_t)lba + 1, when);
	}
	/* As many owners as blocks, and none owned twice: a permutation. */
	*ret_npending = npending;
	return f;
}

const char *spec_check(const uint8_t *image, uint64_t size, uint64_t base, struct spec_facts *ret_facts)
{
	struct spec_facts facts = {.arena = spec_arena(image, base)};
	const char *f = check_info(image, size, &facts.arena);

	if (!f)
		f = check_slots(image, &facts.arena);
	if (!f)
		f = check_owners(image, &facts.arena, false, &facts.npending);
	if (!f && facts.npending > 0)
		f = check_owners(image, &facts.arena, true, &facts.npending);
	if (!f && ret_facts)
		*ret_facts = facts;
	return f;
}
