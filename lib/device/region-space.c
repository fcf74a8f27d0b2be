/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes of a region are free for namespaces. docs/DEVICES.md 8, SPEC 9.8.
 *
 * A pmem namespace lies at the same distance from the start of each mapping, so only what is free on all of them counts;
 * and it begins and ends at multiples of the region's align, of DIMM addresses as on Linux. What is said to be free here can
 * be allocated (namespace-size.c takes its pieces from here). Everything needs the bus lock.
 */
#include "device/device.h"

/* A piece at or after *pos that is free on all mappings: each in turn may push its start, until all agree. */
static bool next_common(struct region *region, uint64_t *pos, uint64_t *ret_off, uint64_t *ret_size)
{
	uint64_t off = *pos, end = region->mappings[0].size;

	for (unsigned i = 0, agreed = 0; agreed < region->nmapping; i = (i + 1) % region->nmapping, agreed++) {
		const struct region_mapping *mapping = &region->mappings[i];
		uint64_t dpa = mapping->start + off, start, size;

		if (!dpa_next_free(&mapping->dimm->dpa, &dpa, mapping->start + mapping->size, &start, &size))
			return false;
		start -= mapping->start;
		if (start > off) {
			off = start;
			end = mapping->size;
			agreed = 0;
		}
		end = min_u64(end, start + size);
	}
	*ret_off = off;
	*ret_size = end - off;
	*pos = end;
	return true;
}

bool region_next_free(struct region *region, uint64_t *pos, uint64_t *ret_off, uint64_t *ret_size)
{
	uint64_t base, align, off, size;

	if (region->nmapping == 0)
		return false;
	base = region->mappings[0].start;
	align = region->align / region->nmapping;
	while (next_common(region, pos, &off, &size)) {
		uint64_t start = round_up(base + off, align), end = round_down(base + off + size, align);

		if (start < end) {
			*ret_off = start - base;
			*ret_size = end - start;
			return true;
		}
	}
	return false;
}

static bool has_label_data(struct region *region)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (!region->mappings[i].dimm->area)
			return false;
	}
	return region_dimms_bound(region);
}

uint64_t region_available_size(struct region *region)
{
	uint64_t pos = 0, off, size, sum = 0;

	if (!has_label_data(region))
		return 0;
	while (region_next_free(region, &pos, &off, &size))
		sum += size;
	return sum * region->nmapping;
}

/* A blk namespace takes any pieces, so all that is free counts for it as one. */
uint64_t region_max_available_extent(struct region *region)
{
	uint64_t pos = 0, off, size, max = 0;

	if (!region_is_memory(region))
		return region_available_size(region);
	if (!has_label_data(region))
		return 0;
	while (region_next_free(region, &pos, &off, &size)) {
		if (size > max)
			max = size;
	}
	return max * region->nmapping;
}
