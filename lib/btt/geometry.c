/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/geometry.h"

#include "base/bits.h"
#include "btt/format.h"

static const struct btt_profile profiles[] = {
	[UNTORN_BTT_V1_1] =
		{
			.layout = UNTORN_BTT_V1_1,
			.base = 4096,
			.version_major = 1,
			.version_minor = 1,
			.internal_round = 64,
		},
	[UNTORN_BTT_V2_0] =
		{
			.layout = UNTORN_BTT_V2_0,
			.base = 0,
			.version_major = 2,
			.version_minor = 0,
			.internal_round = 64,
		},
	[UNTORN_BTT_PMEMBLK] =
		{
			.layout = UNTORN_BTT_PMEMBLK,
			.base = POOL_BTT_OFF,
			.version_major = 1,
			.version_minor = 1,
			.internal_min = 512,
			.internal_round = 256,
			.internal_nlba_min = 2 * BTT_NFREE,
			.flog_flags = BTT_MAP_NORMAL,
			.flog_initial_flag = BTT_MAP_ZERO,
			.initial_is_zero = true,
		},
};

static const uint32_t linux_sizes[] = {512, 520, 528, 4096, 4104, 4160, 4224};
static const uint32_t wide_sizes[] = {8192, 16384, 32768, 65536};
#define PMEMBLK_SECTOR_MAX 65536u

const struct btt_profile *btt_profile(enum untorn_btt_layout layout)
{
	return layout > UNTORN_BTT_AUTO && layout < ARRAY_SIZE(profiles) ? &profiles[layout] : NULL;
}

const char *untorn_btt_layout_name(enum untorn_btt_layout layout)
{
	static const char *const names[] = {
		[UNTORN_BTT_AUTO] = "auto",
		[UNTORN_BTT_V1_1] = "1.1",
		[UNTORN_BTT_V2_0] = "2.0",
		[UNTORN_BTT_PMEMBLK] = "pmemblk",
	};

	return layout < ARRAY_SIZE(names) ? names[layout] : "unknown";
}

static bool is_one_of(uint32_t size, const uint32_t *sizes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sizes[i] == size)
			return true;
	return false;
}

bool geometry_is_wide(uint32_t external_lbasize)
{
	return is_one_of(external_lbasize, wide_sizes, ARRAY_SIZE(wide_sizes));
}

int untorn_btt_sector_size_ok(enum untorn_btt_layout layout, uint32_t sector_size)
{
	if (layout == UNTORN_BTT_PMEMBLK)
		return sector_size >= 1 && sector_size <= PMEMBLK_SECTOR_MAX;
	return is_one_of(sector_size, linux_sizes, ARRAY_SIZE(linux_sizes)) || geometry_is_wide(sector_size);
}

uint32_t geometry_sector_size(enum untorn_btt_layout layout, bool wide, uint32_t external_lbasize)
{
	if (layout == UNTORN_BTT_PMEMBLK)
		return external_lbasize;
	if (wide)
		return geometry_is_wide(external_lbasize) ? external_lbasize : 0;
	if (external_lbasize >= 4096)
		return 4096;
	return external_lbasize >= 512 ? 512 : 0;
}

uint64_t geometry_narena(const struct btt_profile *profile, uint64_t container_size)
{
	uint64_t raw = container_size > profile->base ? container_size - profile->base : 0;

	return raw / BTT_ARENA_MAX + (raw % BTT_ARENA_MAX >= BTT_ARENA_MIN);
}

/* Bytes of an arena that has room bytes up to the container's end. */
static uint64_t arena_size(uint64_t room)
{
	return round_down(min_u64(room, BTT_ARENA_MAX), BTT_BLOCK);
}

uint64_t geometry_backup_off(uint64_t room)
{
	return arena_size(room) - BTT_BLOCK;
}

int geometry_arena(const struct btt_profile *profile, uint64_t container_size, uint32_t external_lbasize, uint64_t i,
		   uint64_t *ret_off, struct btt_geometry *ret_geometry)
{
	uint64_t narena = geometry_narena(profile, container_size);

	if (i >= narena)
		return -ENXIO;

	uint64_t off = profile->base + i * BTT_ARENA_MAX;
	uint64_t size = arena_size(container_size - off);
	uint64_t flog_size = round_up(BTT_NFREE * 64u, BTT_BLOCK);
	uint64_t avail = size - 2 * BTT_BLOCK - flog_size;
	uint64_t internal = external_lbasize > profile->internal_min ? external_lbasize : profile->internal_min;

	internal = (internal + profile->internal_round - 1) / profile->internal_round * profile->internal_round;

	/* One block of head-room for rounding the map up. */
	uint64_t nlba = (avail - BTT_BLOCK) / (internal + BTT_MAP_ENTRY_SIZE);

	if (nlba <= BTT_NFREE || nlba < profile->internal_nlba_min)
		return -ENXIO;

	struct btt_geometry g = {
		.external_lbasize = external_lbasize,
		.external_nlba = nlba - BTT_NFREE,
		.internal_lbasize = internal,
		.internal_nlba = nlba,
		.nfree = BTT_NFREE,
		.nextoff = i + 1 < narena ? BTT_ARENA_MAX : 0,
		.dataoff = BTT_BLOCK,
	};

	g.mapoff = BTT_BLOCK + avail - round_up((uint64_t)g.external_nlba * BTT_MAP_ENTRY_SIZE, BTT_BLOCK);
	g.logoff = BTT_BLOCK + avail;
	g.info2off = g.logoff + flog_size;
	*ret_off = off;
	*ret_geometry = g;
	return 0;
}

uint64_t geometry_arena_size(const struct btt_geometry *g)
{
	return g->nextoff ? g->nextoff : g->info2off + BTT_BLOCK;
}

/*
 * All fields come from media. Each is bounded by room, which is real memory's size, before it enters a sum; products
 * of two 32-bit fields fit into 64 bits.
 */
const char *geometry_fault(const struct btt_geometry *g, uint64_t room)
{
	if (g->external_lbasize == 0)
		return "external_lbasize";
	if (g->internal_lbasize < g->external_lbasize)
		return "internal_lbasize";
	if (g->nfree == 0 || g->nfree > BTT_NFREE_MAX)
		return "nfree";
	if (g->external_nlba == 0)
		return "external_nlba";
	if (g->internal_nlba > BTT_MAP_BLOCK || g->internal_nlba != (uint64_t)g->external_nlba + g->nfree)
		return "internal_nlba";
	if (g->info2off > room || room - g->info2off < BTT_BLOCK || !is_aligned(g->info2off, BTT_BLOCK))
		return "info2off";
	if (g->dataoff < BTT_BLOCK || g->dataoff > g->info2off || !is_aligned(g->dataoff, BTT_BLOCK))
		return "dataoff";
	if (g->mapoff > g->info2off || !is_aligned(g->mapoff, BTT_BLOCK) || g->mapoff < g->dataoff ||
	    (uint64_t)g->internal_nlba * g->internal_lbasize > g->mapoff - g->dataoff)
		return "mapoff";
	if (g->logoff > g->info2off || !is_aligned(g->logoff, BTT_BLOCK) || g->logoff < g->mapoff ||
	    (uint64_t)g->external_nlba * BTT_MAP_ENTRY_SIZE > g->logoff - g->mapoff ||
	    (uint64_t)g->nfree * 64u > g->info2off - g->logoff)
		return "logoff";
	if (g->nextoff && (g->nextoff != BTT_ARENA_MAX || g->nextoff >= room || g->info2off + BTT_BLOCK > g->nextoff))
		return "nextoff";
	return NULL;
}
