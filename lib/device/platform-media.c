/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of regions and dimms as media.
 *
 * A region is stitched once, when the platform is opened; everything in it is a slice of that, so its lines are mapped
 * once however many namespaces there are. Line i of a region over n dimms lies on mapping i % n, at start +
 * (i / n) * interleave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "device/platform.h"
#include "media/stitch.h"

/* One piece for each line; a single mapping is one line. */
static struct stitch_piece *region_pieces(const struct untorn_platform *platform, const struct platform_region *region,
					  size_t *ret_n)
{
	uint64_t line = region->nmapping > 1 ? region->interleave : region->size;
	size_t n = region->size / line;
	struct stitch_piece *pieces = calloc(n, sizeof(*pieces));

	for (size_t i = 0; pieces && i < n; i++) {
		const struct platform_mapping *mapping = &region->mappings[i % region->nmapping];

		pieces[i] = (struct stitch_piece){
			.parent = platform->dimms[mapping->dimm].media,
			.off = mapping->start + i / region->nmapping * line,
			.len = line,
		};
	}
	*ret_n = n;
	return pieces;
}

int platform_stitch_region(struct untorn_platform *platform, unsigned index)
{
	struct platform_region *region = &platform->regions[index];
	_cleanup_free_ struct stitch_piece *pieces = NULL;
	size_t n;
	int r;

	pieces = region_pieces(platform, region, &n);
	if (!pieces)
		return platform_fail_memory(platform);
	r = media_stitch(pieces, n, &region->media);
	/* Labels can be worked on without: whoever asks for the memory is told. */
	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return platform_fail(platform, r, "region %u: its %zu lines cannot be mapped: %s", index, n,
				     strerror(-r));
	return 0;
}

int platform_region_media(struct untorn_platform *platform, unsigned region, uint64_t off, uint64_t len,
			  struct untorn_media **ret_media)
{
	const struct platform_region *r = &platform->regions[region];

	if (r->kind == UNTORN_REGION_BLK)
		return -EINVAL;
	return r->media ? untorn_media_slice(r->media, off, len, ret_media) : -EOPNOTSUPP;
}

int platform_extents_media(struct untorn_platform *platform, unsigned dimm, const struct platform_extent *extents,
			   size_t n, struct untorn_media **ret_media)
{
	const struct platform_dimm *d = &platform->dimms[dimm];
	_cleanup_free_ struct stitch_piece *pieces = calloc(n ? n : 1, sizeof(*pieces));

	if (!pieces)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!range_fits(extents[i].dpa, extents[i].size, d->pmem_size))
			return -ERANGE;
		pieces[i] = (struct stitch_piece){d->media, extents[i].dpa, extents[i].size};
	}
	return media_stitch(pieces, n, ret_media);
}
