/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The size of a namespace: which DPA it gets and gives back.
 *
 * A pmem namespace has one range on each mapping of its region, all of one size and at one distance from the start of
 * their mappings. A new one goes to the lowest distance where there is room on all of them; growing takes what lies
 * right behind. A blk namespace has any number of ranges on its dimm; it takes the highest free ones, and what it gets
 * is appended to its bytes. Both give back their last bytes, so what remains keeps its place.
 *
 * A change is planned without touching anything. Then what is added is reserved, the labels are written, and only then
 * what is no longer needed is freed: no DPA is free that a label claims.
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

/* ------------------------------------------------------------------- pmem ----------------------------------------- */

/* The lowest distance at which all mappings have size free bytes. */
static int find_room(struct region *region, uint64_t size, uint64_t *ret_distance)
{
	uint64_t pos = 0, off, piece;

	while (region_next_free(region, &pos, &off, &piece)) {
		if (piece >= size) {
			*ret_distance = off;
			return 0;
		}
	}
	return -ENXIO;
}

/* Whether all mappings have size free bytes at distance. */
static bool is_room_at(struct region *region, uint64_t distance, uint64_t size)
{
	uint64_t pos = distance, off, piece;

	return region_next_free(region, &pos, &off, &piece) && off == distance && piece >= size;
}

static int plan_pmem(const struct namespace *ns, uint64_t total, struct space *space)
{
	struct region *region = namespace_region(ns);
	uint64_t size = total / region->nmapping, own = ns->nextent ? ns->extents[0].size : 0, distance;
	int r = 0;

	if (size == 0)
		return 0;
	if (own == 0)
		r = find_room(region, size, &distance);
	else
		distance = ns->extents[0].dpa - region->mappings[0].start;
	if (r == 0 && own > 0 && size > own && !is_room_at(region, distance + own, size - own))
		r = -ENXIO;
	for (unsigned i = 0; r == 0 && i < region->nmapping; i++)
		r = space_append(space, i, region->mappings[i].start + distance, size);
	return r;
}

/* ------------------------------------------------------------------- blk ------------------------------------------ */

/* The highest free piece below *end, which becomes its end. Distances from the start of the mapping. */
static bool find_highest(struct region *region, uint64_t *end, uint64_t *ret_start)
{
	uint64_t pos = 0, limit = *end, off, size;
	bool found = false;

	while (region_next_free(region, &pos, &off, &size) && off < limit) {
		*ret_start = off;
		*end = min_u64(off + size, limit);
		found = true;
	}
	return found;
}

/* Append free space, high DPA first. What lies right behind the last extent makes that one longer. */
static int append_free(struct region *region, uint64_t size, struct space *space)
{
	uint64_t end = UINT64_MAX, start;
	int r = 0;

	while (r == 0 && size > 0) {
		struct untorn_label_extent *last = space->n ? &space->extents[space->n - 1] : NULL;
		uint64_t taken, dpa;

		if (!find_highest(region, &end, &start))
			return -ENXIO;
		taken = min_u64(size, end - start);
		end -= taken;
		size -= taken;
		dpa = region->mappings[0].start + end;
		if (last && last->dpa + last->size == dpa)
			last->size += taken;
		else
			r = space_append(space, 0, dpa, taken);
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

/* ------------------------------------------------------------------- changing the size ---------------------------- */

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
 * Free what `from` has and `to` does not. Without memory to cut a range in two, the rest of it stays taken until the
 * dimm is bound again.
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
 * If the labels cannot be written, the namespace is as before. After -EIO they may say either; what they say is looked
 * at again before the next ones are written, so nobody else is given space that they claim.
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
	ns->nextent = 0;
}
