/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/probe.h"

#include <string.h>

#include "btt/pool.h"

/* What the first info block of one layout looks like. */
enum sight {
	NOTHING,
	DAMAGED, /* the signature is there */
	UNKNOWN, /* intact, another version */
	INTACT,
};

static int look(struct untorn_media *media, const struct btt_profile *profile, enum sight *ret_sight,
		bool *ret_backup_agrees)
{
	uint64_t size = untorn_media_size(media);
	struct btt_info_block block, backup;
	struct btt_info info;
	int r;

	*ret_sight = NOTHING;
	*ret_backup_agrees = false;
	if (size < profile->base + BTT_ARENA_MIN)
		return 0;
	r = info_read(media, profile->base, &block);
	if (r < 0)
		return r;

	switch (info_fault(&block)) {
	case INFO_NO_SIGNATURE:
		return 0;
	case INFO_BAD_CHECKSUM:
		*ret_sight = DAMAGED;
		return 0;
	case INFO_OK:
		break;
	}
	info_decode(&block, &info);
	if (!info_version_ok(&info, profile)) {
		*ret_sight = UNKNOWN;
		return 0;
	}
	*ret_sight = INTACT;
	if (!geometry_fault(&info.geometry, size - profile->base) &&
	    info.geometry.info2off == geometry_backup_off(size - profile->base)) {
		r = info_read(media, profile->base + info.geometry.info2off, &backup);
		if (r < 0)
			return r;
		*ret_backup_agrees = memcmp(&block, &backup, sizeof(block)) == 0;
	}
	return 0;
}

static int probe_namespace(struct untorn_media *media, const struct btt_profile **ret_profile)
{
	const struct btt_profile *v1 = btt_profile(UNTORN_BTT_V1_1), *v2 = btt_profile(UNTORN_BTT_V2_0);
	enum sight sight1, sight2;
	bool agrees1, agrees2;
	int r;

	r = look(media, v1, &sight1, &agrees1);
	if (r < 0)
		return r;
	r = look(media, v2, &sight2, &agrees2);
	if (r < 0)
		return r;

	if (sight1 == INTACT && sight2 == INTACT) {
		if (agrees1 == agrees2)
			return -ENOTUNIQ;
		*ret_profile = agrees1 ? v1 : v2;
		return 0;
	}
	if (sight1 == INTACT || sight2 == INTACT) {
		/* Beside a damaged one, an intact block that its backup does not vouch for may be somebody's data. */
		if (!(sight1 == INTACT ? agrees1 : agrees2) && (sight1 == DAMAGED || sight2 == DAMAGED))
			return -EUCLEAN;
		*ret_profile = sight1 == INTACT ? v1 : v2;
		return 0;
	}
	if (sight1 == DAMAGED || sight2 == DAMAGED)
		return -EUCLEAN;
	return sight1 == UNKNOWN || sight2 == UNKNOWN ? -EOPNOTSUPP : -ENXIO;
}

int btt_probe(struct untorn_media *media, enum untorn_btt_layout layout, const struct btt_profile **ret_profile,
	      uint8_t *ret_poolset_uuid)
{
	struct pool pool;
	int r;

	if (layout == UNTORN_BTT_AUTO || layout == UNTORN_BTT_PMEMBLK) {
		r = pool_read(media, &pool, NULL);
		if (r == 0) {
			memcpy(ret_poolset_uuid, pool.header.poolset_uuid, BTT_UUID_LEN);
			*ret_profile = btt_profile(UNTORN_BTT_PMEMBLK);
		}
		if (r != -ENXIO || layout == UNTORN_BTT_PMEMBLK)
			return r;
	}
	if (layout == UNTORN_BTT_AUTO)
		return probe_namespace(media, ret_profile);
	*ret_profile = btt_profile(layout);
	return 0;
}
