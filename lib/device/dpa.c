/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which namespace has which range of a dimm's addresses.
 *
 * The ranges are sorted, do not overlap, are never empty, and those of one uuid that touch are one. Addresses and sizes
 * are bytes, and start + size never overflows: callers bound what comes from media by the dimm's size. A rename is to a
 * uuid that has nothing yet. Failures change nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

static uint64_t range_end(const struct dpa_range *range)
{
	return range->start + range->size;
}

static bool is_of(const struct dpa_range *range, const uint8_t *uuid)
{
	return memcmp(range->uuid, uuid, UUID_LEN) == 0;
}

/* The first range that ends behind pos: the one that pos lies in, or the next. map->n: none. */
static size_t first_behind(const struct dpa_map *map, uint64_t pos)
{
	size_t low = 0, high = map->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (range_end(&map->ranges[middle]) > pos)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int make_room(struct dpa_map *map)
{
	size_t allocated = map->allocated ? 2 * map->allocated : 8;
	struct dpa_range *ranges;

	if (map->n < map->allocated)
		return 0;
	ranges = realloc(map->ranges, allocated * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	map->ranges = ranges;
	map->allocated = allocated;
	return 0;
}

static void insert(struct dpa_map *map, size_t i, const uint8_t *uuid, uint64_t start, uint64_t size)
{
	memmove(&map->ranges[i + 1], &map->ranges[i], (map->n - i) * sizeof(*map->ranges));
	map->ranges[i] = (struct dpa_range){.start = start, .size = size};
	memcpy(map->ranges[i].uuid, uuid, UUID_LEN);
	map->n++;
}

static void remove_range(struct dpa_map *map, size_t i)
{
	map->n--;
	memmove(&map->ranges[i], &map->ranges[i + 1], (map->n - i) * sizeof(*map->ranges));
}

/* Join range i with the one before it if they are of one uuid and touch. */
static void join(struct dpa_map *map, size_t i)
{
	struct dpa_range *range = &map->ranges[i];

	if (i == 0 || i == map->n || range_end(range - 1) != range->start || !is_of(range - 1, range->uuid))
		return;
	range[-1].size += range->size;
	remove_range(map, i);
}

int dpa_reserve(struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size)
{
	size_t i = first_behind(map, start);
	int r;

	if (size == 0)
		return 0;
	if (i < map->n && map->ranges[i].start < start + size)
		return -EBUSY;
	r = make_room(map);
	if (r < 0)
		return r;
	insert(map, i, uuid, start, size);
	join(map, i + 1);
	join(map, i);
	return 0;
}

int dpa_release(struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size)
{
	uint64_t end = start + size;
	int r;

	if (size == 0 || map->n == 0)
		return 0;
	r = make_room(map); /* for the second half of a range that is cut in two */
	if (r < 0)
		return r;
	for (size_t i = first_behind(map, start); i < map->n && map->ranges[i].start < end;) {
		struct dpa_range *range = &map->ranges[i];
		uint64_t old_start = range->start, old_end = range_end(range);

		if (!is_of(range, uuid)) {
			i++;
			continue;
		}
		remove_range(map, i);
		if (old_start < start)
			insert(map, i++, uuid, old_start, start - old_start);
		if (old_end > end)
			insert(map, i++, uuid, end, old_end - end);
	}
	return 0;
}

void dpa_release_all(struct dpa_map *map, const uint8_t *uuid)
{
	size_t n = 0;

	for (size_t i = 0; i < map->n; i++) {
		if (!is_of(&map->ranges[i], uuid))
			map->ranges[n++] = map->ranges[i];
	}
	map->n = n;
}

void dpa_rename(struct dpa_map *map, const uint8_t *old_uuid, const uint8_t *new_uuid)
{
	for (size_t i = 0; i < map->n; i++) {
		if (is_of(&map->ranges[i], old_uuid))
			memcpy(map->ranges[i].uuid, new_uuid, UUID_LEN);
	}
}

bool dpa_next_free(const struct dpa_map *map, uint64_t *pos, uint64_t end, uint64_t *ret_start, uint64_t *ret_size)
{
	size_t i = first_behind(map, *pos);
	uint64_t start = *pos, stop;

	for (; i < map->n && map->ranges[i].start <= start; i++)
		start = range_end(&map->ranges[i]);
	if (start >= end)
		return false;
	stop = i < map->n ? min_u64(map->ranges[i].start, end) : end;
	*ret_start = start;
	*ret_size = stop - start;
	*pos = stop;
	return true;
}

uint64_t dpa_free_size(const struct dpa_map *map, uint64_t start, uint64_t size)
{
	uint64_t end = start + size, piece, piece_size, sum = 0;

	while (dpa_next_free(map, &start, end, &piece, &piece_size))
		sum += piece_size;
	return sum;
}

unsigned dpa_count(const struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size)
{
	unsigned count = 0;

	if (size == 0)
		return 0;
	for (size_t i = first_behind(map, start); i < map->n && map->ranges[i].start < start + size; i++)
		count += is_of(&map->ranges[i], uuid);
	return count;
}

void dpa_done(struct dpa_map *map)
{
	free(map->ranges);
	*map = (struct dpa_map){.n = 0};
}
