/* SPDX-License-Identifier: BSD-3-Clause */
/* What is on a medium, judged by its first info block and pool header. SPEC 0.1, 1.2. */
#ifndef BTT_PROBE_H
#define BTT_PROBE_H

#include "btt/info.h"

/*
 * The layout of the BTT on media: the one asked for, or with UNTORN_BTT_AUTO the one whose pool header or first info block is
 * intact. When the bytes at 0 and at 4096 both are intact info blocks, the one that equals its backup is meant. Only a
 * backup at the end of the largest arena that fits counts: there a volume's user cannot forge it.
 *
 * With a layout asked for, 0 says only that the pool header, if any, is good. Of a pool, the pool-set uuid is written to
 * ret_poolset_uuid.
 *
 * -ENXIO: nothing; -EUCLEAN: a damaged pool header, or only damaged info blocks; -ENOTUNIQ: two layouts and no backup that
 * decides; -EOPNOTSUPP: an intact info block of an unknown version; -EIO.
 */
int btt_probe(struct untorn_media *media, enum untorn_btt_layout layout, const struct btt_profile **ret_profile,
	      uint8_t *ret_poolset_uuid);

#endif
