/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of media, one after the other, as one contiguous medium. */
#ifndef MEDIA_STITCH_H
#define MEDIA_STITCH_H

#include "media/media.h"

/* Bytes [off, off + len) of parent; multiples of 4096. */
struct stitch_piece {
	struct untorn_media *parent;
	uint64_t off, len;
};

/*
 * A medium whose bytes are those of the pieces in that order. The memory is the parents' own: what is stored through one is
 * seen through the other. The parents stay open until it is closed. A piece may occur only once.
 *
 * It is only as durable as its weakest parent, and read-only when one of them is. Its persist points are those of the
 * parents: a data sync that fails is final on both.
 *
 * -EINVAL: no pieces, off or len; -ERANGE: beyond a parent; -EOPNOTSUPP: a parent has no file to map again (a single
 * contiguous piece always works); -ENOMEM: also for more pieces than the system maps (vm.max_map_count).
 */
int media_stitch(const struct stitch_piece *pieces, size_t n, struct untorn_media **ret_media);

#endif
