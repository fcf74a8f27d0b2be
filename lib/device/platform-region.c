/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Defaults and checks of regions, once the sizes of all dimms are known.
 *
 * After platform_resolve_regions(): mappings lie in their dimms, those of one region have the same size and, where there are
 * more than one, whole lines of interleaving; regions of one kind do not overlap on a dimm; memory regions have physical
 * addresses of their own.
 */
#include <errno.h>

#include "base/bits.h"
#include "device/platform.h"

/* Made-up addresses are aligned to this, and the first is it. */
#define RESOURCE_ALIGN (UINT64_C(4) << 30)

typedef unsigned long long ull;

/* The part of a region's size that falls on each mapping, or what is left of the dimm, in whole lines. */
static int resolve_size(struct untorn_platform *platform, unsigned index, struct platform_mapping *mapping)
{
	const struct platform_region *region = &platform->regions[index];
	uint64_t pmem_size = platform->dimms[mapping->dimm].pmem_size;
	uint64_t line = region->nmapping > 1 ? region->interleave : 4096;

	if (!mapping->has_size && region->has_size)
		mapping->size = region->size / region->nmapping;
	else if (!mapping->has_size)
		mapping->size = mapping->start < pmem_size ? round_down(pmem_size - mapping->start, line) : 0;
	if (mapping->start > pmem_size || mapping->size > pmem_size - mapping->start || mapping->size == 0)
		return platform_fail(platform, -EINVAL,
				     "region %u: start %llu and size %llu are not within the %llu bytes of dimm %u",
				     index, (ull)mapping->start, (ull)mapping->size, (ull)pmem_size, mapping->dimm);
	if (!is_aligned(mapping->size, line))
		return platform_fail(platform, -EINVAL, "region %u: size %llu on dimm %u is not a multiple of %llu",
				     index, (ull)mapping->size, mapping->dimm, (ull)line);
	return 0;
}

static int resolve_mappings(struct untorn_platform *platform, unsigned index)
{
	struct platform_region *region = &platform->regions[index];
	uint64_t size;

	for (unsigned i = 0; i < region->nmapping; i++) {
		struct platform_mapping *mapping = &region->mappings[i];
		int r = resolve_size(platform, index, mapping);

		if (r < 0)
			return r;
		if (mapping->size > INT64_MAX / region->nmapping)
			return platform_fail(platform, -EINVAL, "region %u: it is larger than 2^63 bytes", index);
		if (mapping->size != region->mappings[0].size)
			return platform_fail(platform, -EINVAL,
					     "region %u: size %llu on dimm %u, but %llu on dimm %u; all must be equal",
					     index, (ull)mapping->size, mapping->dimm, (ull)region->mappings[0].size,
					     region->mappings[0].dimm);
	}
	size = region->mappings[0].size * region->nmapping;
	if (region->has_size && region->size != size)
		return platform_fail(platform, -EINVAL, "region %u: size %llu, but its mappings have %llu", index,
				     (ull)region->size, (ull)size);
	region->size = size;
	return 0;
}

/* The first dimm on which both have bytes in common, or NULL. */
static const struct platform_mapping *find_overlap(const struct platform_region *a, const struct platform_region *b)
{
	for (unsigned i = 0; i < a->nmapping; i++) {
		for (unsigned j = 0; j < b->nmapping; j++) {
			const struct platform_mapping *x = &a->mappings[i], *y = &b->mappings[j];

			if (x->dimm == y->dimm && x->start < y->start + y->size && y->start < x->start + x->size)
				return x;
		}
	}
	return NULL;
}

/* A blk region may lie over pmem regions: which of them a byte belongs to is what labels say. */
static int check_overlaps(struct untorn_platform *platform)
{
	for (unsigned i = 0; i < platform->nregion; i++) {
		for (unsigned j = 0; j < i; j++) {
			const struct platform_region *a = &platform->regions[j], *b = &platform->regions[i];
			const struct platform_mapping *overlap = a->kind == b->kind ? find_overlap(a, b) : NULL;

			if (overlap)
				return platform_fail(platform, -EINVAL, "regions %u and %u overlap on dimm %u", j, i,
						     overlap->dimm);
		}
	}
	return 0;
}

/* The system maps line by line, and not any number of lines. */
static int check_lines(struct untorn_platform *platform)
{
	uint64_t lines = 0, interleave;

	for (unsigned i = 0; i < platform->nregion; i++) {
		const struct platform_region *region = &platform->regions[i];

		if (region->kind != UNTORN_REGION_PMEM || region->nmapping < 2)
			continue;
		lines += region->size / region->interleave;
		if (lines <= PLATFORM_LINES_MAX)
			continue;
		for (interleave = region->interleave; region->size / interleave > PLATFORM_LINES_MAX / 2;)
			interleave *= 2;
		return platform_fail(
			platform, -EINVAL,
			"region %u: too many lines of %llu bytes to map; choose an interleave such as %lluK", i,
			(ull)region->interleave, (ull)(interleave >> 10));
	}
	return 0;
}

static bool has_addresses(const struct platform_region *region)
{
	return region->kind != UNTORN_REGION_BLK;
}

/* Addresses that are given come first; made-up ones follow the last of them. */
static int resolve_resources(struct untorn_platform *platform)
{
	uint64_t next = RESOURCE_ALIGN;

	for (unsigned i = 0; i < platform->nregion; i++) {
		const struct platform_region *region = &platform->regions[i];

		if (!region->has_resource || !has_addresses(region))
			continue;
		if (region->resource > INT64_MAX - region->size)
			return platform_fail(platform, -EINVAL, "region %u: it ends beyond all addresses", i);
		if (next < region->resource + region->size)
			next = round_up(region->resource + region->size, RESOURCE_ALIGN);
	}
	for (unsigned i = 0; i < platform->nregion; i++) {
		struct platform_region *region = &platform->regions[i];

		if (region->has_resource || !has_addresses(region))
			continue;
		if (next > INT64_MAX - region->size)
			return platform_fail(platform, -EINVAL, "region %u: no addresses are left for it", i);
		region->resource = next;
		next = round_up(next + region->size, RESOURCE_ALIGN);
	}
	return 0;
}

static int check_resources(struct untorn_platform *platform)
{
	for (unsigned i = 0; i < platform->nregion; i++) {
		for (unsigned j = 0; j < i; j++) {
			const struct platform_region *a = &platform->regions[j], *b = &platform->regions[i];

			if (has_addresses(a) && has_addresses(b) && a->resource < b->resource + b->size &&
			    b->resource < a->resource + a->size)
				return platform_fail(platform, -EINVAL, "regions %u and %u overlap at address %#llx", j,
						     i, (ull)(a->resource > b->resource ? a->resource : b->resource));
		}
	}
	return 0;
}

int platform_resolve_regions(struct untorn_platform *platform, unsigned flags)
{
	int r = 0;

	for (unsigned i = 0; i < platform->nregion && r == 0; i++) {
		struct platform_region *region = &platform->regions[i];

		region->has_iset = region->kind == UNTORN_REGION_PMEM;
		region->read_only = region->always_read_only || (flags & UNTORN_BUS_READ_ONLY);
		for (unsigned j = 0; j < region->nmapping; j++)
			region->read_only |= platform->dimms[region->mappings[j].dimm].unarmed;
		if (region->kind != UNTORN_REGION_VOLATILE)
			r = resolve_mappings(platform, i);
	}
	if (r == 0)
		r = check_overlaps(platform);
	if (r == 0)
		r = check_lines(platform);
	if (r == 0)
		r = resolve_resources(platform);
	return r < 0 ? r : check_resources(platform);
}
