/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing an empty BTT. */
#ifndef BTT_LAYOUT_H
#define BTT_LAYOUT_H

#include "btt/geometry.h"
#include "media/media.h"

/*
 * Lay out empty arenas over the container: maps and flogs of all, then from the last arena to the first its backup
 * and its primary info block, each durable before the next. A cut before the very last persist leaves no valid first arena,
 * hence no BTT. uuid NULL: random; parent_uuid NULL: null. -ENXIO: no room; -EIO, -ENOSPC. SPEC 1.5.
 */
int layout_write(struct untorn_media *media, const struct btt_profile *profile, uint32_t external_lbasize,
		 const uint8_t *uuid, const uint8_t *parent_uuid);

#endif
