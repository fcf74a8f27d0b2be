/* SPDX-License-Identifier: BSD-3-Clause */
/* Info blocks between media and memory. SPEC 1. */
#ifndef BTT_INFO_H
#define BTT_INFO_H

#include "btt/format.h"
#include "btt/geometry.h"
#include "media/media.h"

/* One info block in native integers. Nothing in it is trusted until info_fault() and geometry_fault() are content. */
struct btt_info {
	uint8_t uuid[BTT_UUID_LEN], parent_uuid[BTT_UUID_LEN];
	uint32_t flags;
	uint16_t version_major, version_minor;
	uint32_t infosize;
	struct btt_geometry geometry;
};

enum info_fault {
	INFO_OK,
	INFO_NO_SIGNATURE,
	INFO_BAD_CHECKSUM,
};

/* Read the 4096 bytes at off of the medium. -ERANGE, -EIO. */
int info_read(struct untorn_media *media, uint64_t off, struct btt_info_block *ret_block);

/* What its checksum should be. */
uint64_t info_checksum(const struct btt_info_block *block);

/* Whether the bytes claim to be, and are, an intact info block. */
enum info_fault info_fault(const struct btt_info_block *block);

void info_decode(const struct btt_info_block *block, struct btt_info *ret_info);

/* With signature, zero padding and checksum. */
void info_encode(const struct btt_info *info, struct btt_info_block *ret_block);

/* version is what the profile asks for, wide or not. */
bool info_version_ok(const struct btt_info *info, const struct btt_profile *profile);

static inline bool info_is_wide(const struct btt_info *info)
{
	return info->version_major & BTT_VERSION_WIDE;
}

/* Null parents belong to any container (not in a pool, where Linux's rule does not hold). SPEC 0.3, 1.3. */
bool info_parent_ok(const struct btt_info *info, const struct btt_profile *profile, const uint8_t *parent_uuid);

/*
 * The name of the first field that makes the info block of an arena with `room` bytes up to the container's end
 * unusable, NULL when there is none. Checks geometry, sector size and infosize; not version or parent.
 */
const char *info_field_fault(const struct btt_info *info, const struct btt_profile *profile, uint64_t room);

#endif
