/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The size of a namespace: which DPA it gets and gives back.
 *
 * A pmem namespace has one range on each mapping of its region, all of one size and at one distance from the start of their
 * mappings. A new one goes to the lowest distance where there is room on all of them; growing takes what lies right behind. A blk
 * namespace has any number of ranges on its dimm; it takes the highest free ones, and what it gets is appended to its bytes.
 * Both give back their last bytes, so what remains keeps its place.
 *
 * A change is planned without touching anything. Then what is added is reserved, the labels are written, and only then what is
 * no longer needed is freed: no DPA is ever free that a label claims.
 */
#include "device/namespace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct space {
	struct untorn_label_extent *extents; /* as in struct namespace */
	size_t n;
};

static void cleanup_space(struct space *space)
{
	free(space->extents);
}
#define _cleanup_space_ _cleanup_(cleanup_space)

static int space_append(struct space *space, unsigned mapping, uint64_t dpa, uint64_t size)
{
	struct untorn_label_extent *extents = reallocarray(space->extents, space->n + 1, sizeof(*extents));

	if (!extents)
		return -ENOMEM;
	space->extents = extents;
	extents[space->n++] = (struct untorn_label_extent){.mapping = mapping, .dpa = dpa, .size = size};
	return 0;
}

/* ------------------------------------------------------------------- pmem ------------------------------------------------- */

/* What DPA is aligned to on each mapping: bytes, a power of two. */
static uint64_t dpa_align(const struct region *region)
{
	return region->align / region->nmapping;
}

/* Round a distance from the start of the mappings up, so that DPA is aligned on the first mapping. */
static uint64_t align_distance(const struct region *region, uint64_t distance)
{
	uint64_t base = region->mappings[0].start % dpa_align(region);

	return round_up(base + distance, dpa_align(region)) - base;
}

/* The lowest aligned distance, from *distance on, at which the mapping has size free bytes. */
static bool find_room(const struct region *region, const struct region_mapping *mapping, uint64_t size,
		      uint64_t *distance)
{
	uint64_t pos = mapping->start + *distance, end = mapping->start + mapping->size, start, piece;

	while (dpa_next_free(&mapping->dimm->dpa, &pos, end, &start, &piece)) {
		uint64_t at = align_distance(region, start - mapping->start);

		if (range_fits(mapping->start + at - start, size, piece)) {
			*distance = at;
			return true;
		}
	}
	return false;
}

/* The lowest distance at which all mappings have size free bytes: each moves it up until all agree. */
static int find_common_room(const struct region *region, uint64_t size, uint64_t *ret_distance)
{
	uint64_t distance = 0;

	for (unsigned i = 0, agreed = 0; agreed < region->nmapping; i = (i + 1) % region->nmapping) {
		uint64_t before = distance;

		if (!find_room(region, &region->mappings[i], size, &distance))
			return -ENXIO;
		agreed = distance == before ? agreed + 1 : 1;
	}
	*ret_distance = distance;
	return 0;
}

/* Whether all mappings have size free bytes at distance. */
static bool is_room_at(const struct region *region, uint64_t distance, uint64_t size)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		const struct region_mapping *mapping = &region->mappings[i];
		uint64_t at = mapping->start + distance, pos = at, start, piece;

		if (!dpa_next_free(&mapping->dimm->dpa, &pos, mapping->start + mapping->size, &start, &piece))
			return false;
		if (start != at || piece < size)
			return false;
	}
	return true;
}

static int plan_pmem(const struct namespace *ns, uint64_t total, struct space *space)
{
	const struct region *region = namespace_region(ns);
	uint64_t size = total / region->nmapping, own = ns->nextent ? ns->extents[0].size : 0, distance;
	int r = 0;

	if (size == 0)
		return 0;
	if (own == 0)
		r = find_common_room(region, size, &distance);
	else
		distance = ns->extents[0].dpa - region->mappings[0].start;
	if (r == 0 && own > 0 && size > own && !is_room_at(region, distance + own, size - own))
		r = -ENXIO;
	for (unsigned i = 0; r == 0 && i < region->nmapping; i++)
		r = space_append(space, i, region->mappings[i].start + distance, size);
	return r;
}

/* ------------------------------------------------------------------- blk -------------------------------------------------- */

/* The highest free piece below *end, both of its ends aligned. *end is set to its end. */
static bool find_highest(const struct region *region, uint64_t *end, uint64_t *ret_start)
{
	const struct region_mapping *mapping = &region->mappings[0];
	uint64_t pos = mapping->start, limit = *end, start, piece;
	bool found = false;

	while (dpa_next_free(&mapping->dimm->dpa, &pos, limit, &start, &piece)) {
		uint64_t low = round_up(start, dpa_align(region)), high = round_down(start + piece, dpa_align(region));

		if (low < high) {
			*ret_start = low;
			*end = high;
			found = true;
		}
	}
	return found;
}

/* Append free space below *end, high DPA first. What lies right behind the last extent makes that one longer. */
static int append_free(const struct region *region, uint64_t size, struct space *space)
{
	uint64_t end = region->mappings[0].start + region->mappings[0].size, start;
	int r = 0;

	while (r == 0 && size > 0) {
		struct untorn_label_extent *last = space->n ? &space->extents[space->n - 1] : NULL;
		uint64_t taken;

		if (!find_highest(region, &end, &start))
			return -ENXIO;
		taken = min_u64(size, end - start);
		end -= taken;
		size -= taken;
		if (last && last->dpa + last->size == end)
			last->size += taken;
		else
			r = space_append(space, 0, end, taken);
	}
	return r;
}

static int plan_blk(const struct namespace *ns, uint64_t total, struct space *space)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ns->nextent && total > 0; i++) {
		uint64_t kept = min_u64(ns->extents[i].size, total);

		total -= kept;
		r = space_append(space, 0, ns->extents[i].dpa, kept);
	}
	return r < 0 ? r : append_free(namespace_region(ns), total, space);
}

/* ------------------------------------------------------------------- changing the size ------------------------------------ */

static struct dpa_map *extent_map(const struct namespace *ns, const struct untorn_label_extent *extent)
{
	return &namespace_region(ns)->mappings[extent->mapping].dimm->dpa;
}

/* How many bytes of extent i both spaces have; extents only ever change at their ends. */
static uint64_t common_size(const struct space *a, const struct space *b, size_t i)
{
	return i < a->n && i < b->n ? min_u64(a->extents[i].size, b->extents[i].size) : 0;
}

/*
 * Free what `from` has and `to` does not. Without memory to cut a range in two, the rest of it stays taken until the dimm is bound again.
 */
static void free_difference(struct namespace *ns, const struct space *from, const struct space *to)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct untorn_label_extent *e = &from->extents[i];
		uint64_t kept = common_size(from, to, i);

		dpa_release(extent_map(ns, e), ns->uuid, e->dpa + kept, e->size - kept);
	}
}

/* Take what `to` has and `from` does not: all or nothing. */
static int take_difference(struct namespace *ns, const struct space *from, const struct space *to)
{
	for (size_t i = 0; i < to->n; i++) {
		const struct untorn_label_extent *e = &to->extents[i];
		uint64_t had = common_size(from, to, i);
		int r = dpa_reserve(extent_map(ns, e), ns->uuid, e->dpa + had, e->size - had);

		if (r < 0) {
			free_difference(ns, &(struct space){to->extents, i}, from);
			return r == -EBUSY ? -ENXIO : r;
		}
	}
	return 0;
}

static void set_space(struct namespace *ns, const struct space *space, uint64_t size)
{
	ns->extents = space->extents;
	ns->nextent = space->n;
	ns->size = size;
}

/*
 * If the labels cannot be written, the namespace is as before. After -EIO they may say either, so nobody gets the space
 * that was to be added until the dimm is bound again.
 */
static int resize(struct namespace *ns, uint64_t size)
{
	struct space old = {ns->extents, ns->nextent};
	uint64_t old_size = ns->size;
	_cleanup_space_ struct space new = {.n = 0};
	int r = ns->nstype == UNTORN_NSTYPE_PMEM ? plan_pmem(ns, size, &new) : plan_blk(ns, size, &new);

	if (r == 0)
		r = take_difference(ns, &old, &new);
	if (r < 0)
		return r;
	set_space(ns, &new, size);
	r = namespace_update_labels(ns);
	if (r < 0) {
		set_space(ns, &old, old_size);
		if (r != -EIO)
			free_difference(ns, &new, &old);
		return r;
	}
	free_difference(ns, &old, &new);
	new = old;
	return 0;
}

int namespace_set_size(struct namespace *ns, uint64_t size)
{
	struct region *region = namespace_region(ns);
	int r;

	if (!ns->has_uuid || region->nmapping == 0)
		return -ENXIO;
	if (size % region->align != 0)
		return -EINVAL;
	if (!region_dimms_bound(region))
		return -ENXIO;
	if (size > ns->size && size - ns->size > region_max_available_extent(region))
		return -ENOSPC;
	r = size == ns->size ? namespace_update_labels(ns) : resize(ns, size);
	if (r < 0 || size > 0)
		return r;
	ns->has_uuid = false;
	if (ns->dev.id != 0 && &ns->dev != region->namespace_seed)
		device_unregister_async(&ns->dev);
	return 0;
}

void namespace_drop_space(struct namespace *ns)
{
	if (!ns->is_labelled)
		free_difference(ns, &(struct space){ns->extents, ns->nextent}, &(struct space){.n = 0});
}
