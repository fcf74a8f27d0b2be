/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/layout.h"

#include <string.h>
#include <uuid/uuid.h>

#include "btt/flog.h"
#include "btt/info.h"

static int write_flog(struct untorn_media *media, uint64_t off, const struct btt_geometry *g, uint32_t flag)
{
	struct btt_flog_group flog[BTT_NFREE];

	for (uint32_t l = 0; l < BTT_NFREE; l++)
		flog[l] = flog_initial_group(l, g->external_nlba, flag);
	return untorn_media_write(media, off + g->logoff, flog, sizeof(flog));
}

/* An all-zero map says that every sector lives in the block of its own number. */
static int write_map_and_flog(struct untorn_media *media, uint64_t off, const struct btt_geometry *g, uint32_t flag)
{
	int r = untorn_media_zero(media, off + g->mapoff, g->info2off - g->mapoff);

	return r < 0 ? r : write_flog(media, off, g, flag);
}

static int write_info(struct untorn_media *media, uint64_t off, const struct btt_info *info)
{
	struct btt_info_block block;
	int r;

	info_encode(info, &block);
	r = untorn_media_write(media, off + info->geometry.info2off, &block, sizeof(block));
	/* A cut here leaves a backup without a primary: no BTT, and the arenas behind are out of reach. */
	return r < 0 ? r : untorn_media_write(media, off, &block, sizeof(block));
}

int layout_write(struct untorn_media *media, const struct btt_profile *profile, uint32_t external_lbasize,
		 const uint8_t *uuid, const uint8_t *parent_uuid)
{
	uint64_t size = untorn_media_size(media), narena = geometry_narena(profile, size), off;
	struct btt_info info = {
		.version_major = profile->version_major,
		.version_minor = profile->version_minor,
		.infosize = BTT_BLOCK,
	};
	int r;

	if (narena == 0)
		return -ENXIO;
	if (profile->layout != UNTORN_BTT_PMEMBLK && geometry_is_wide(external_lbasize))
		info.version_major |= BTT_VERSION_WIDE;
	if (uuid)
		memcpy(info.uuid, uuid, BTT_UUID_LEN);
	else
		uuid_generate(info.uuid);
	if (parent_uuid)
		memcpy(info.parent_uuid, parent_uuid, BTT_UUID_LEN);

	for (uint64_t i = 0; i < narena; i++) {
		r = geometry_arena(profile, size, external_lbasize, i, &off, &info.geometry);
		if (r < 0)
			return r;
		r = write_map_and_flog(media, off, &info.geometry, profile->flog_initial_flag);
		if (r < 0)
			return r;
	}
	for (uint64_t i = narena; i-- > 0;) {
		r = geometry_arena(profile, size, external_lbasize, i, &off, &info.geometry);
		if (r == 0)
			r = write_info(media, off, &info);
		if (r < 0)
			return r;
	}
	return 0;
}
