/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/info.h"

#include <string.h>

#include "base/fletcher64.h"

int info_read(struct untorn_media *media, uint64_t off, struct btt_info_block *ret_block)
{
	return media_read_data(media, off, ret_block, sizeof(*ret_block));
}

uint64_t info_checksum(const struct btt_info_block *block)
{
	return fletcher64(block, sizeof(*block), offsetof(struct btt_info_block, checksum), sizeof(block->checksum));
}

enum info_fault info_fault(const struct btt_info_block *block)
{
	if (memcmp(block->signature, BTT_SIGNATURE, BTT_SIGNATURE_LEN) != 0)
		return INFO_NO_SIGNATURE;
	return info_checksum(block) == le64_get(block->checksum) ? INFO_OK : INFO_BAD_CHECKSUM;
}

void info_decode(const struct btt_info_block *block, struct btt_info *ret_info)
{
	*ret_info = (struct btt_info){
		.flags = le32_get(block->flags),
		.version_major = le16_get(block->version_major),
		.version_minor = le16_get(block->version_minor),
		.infosize = le32_get(block->infosize),
		.geometry =
			{
				.external_lbasize = le32_get(block->external_lbasize),
				.external_nlba = le32_get(block->external_nlba),
				.internal_lbasize = le32_get(block->internal_lbasize),
				.internal_nlba = le32_get(block->internal_nlba),
				.nfree = le32_get(block->nfree),
				.nextoff = le64_get(block->nextoff),
				.dataoff = le64_get(block->dataoff),
				.mapoff = le64_get(block->mapoff),
				.logoff = le64_get(block->logoff),
				.info2off = le64_get(block->info2off),
			},
	};
	memcpy(ret_info->uuid, block->uuid, BTT_UUID_LEN);
	memcpy(ret_info->parent_uuid, block->parent_uuid, BTT_UUID_LEN);
}

void info_encode(const struct btt_info *info, struct btt_info_block *ret_block)
{
	const struct btt_geometry *g = &info->geometry;

	*ret_block = (struct btt_info_block){
		.flags = le32_make(info->flags),
		.version_major = le16_make(info->version_major),
		.version_minor = le16_make(info->version_minor),
		.external_lbasize = le32_make(g->external_lbasize),
		.external_nlba = le32_make(g->external_nlba),
		.internal_lbasize = le32_make(g->internal_lbasize),
		.internal_nlba = le32_make(g->internal_nlba),
		.nfree = le32_make(g->nfree),
		.infosize = le32_make(info->infosize),
		.nextoff = le64_make(g->nextoff),
		.dataoff = le64_make(g->dataoff),
		.mapoff = le64_make(g->mapoff),
		.logoff = le64_make(g->logoff),
		.info2off = le64_make(g->info2off),
	};
	memcpy(ret_block->signature, BTT_SIGNATURE, BTT_SIGNATURE_LEN);
	memcpy(ret_block->uuid, info->uuid, BTT_UUID_LEN);
	memcpy(ret_block->parent_uuid, info->parent_uuid, BTT_UUID_LEN);
	ret_block->checksum = le64_make(info_checksum(ret_block));
}

bool info_version_ok(const struct btt_info *info, const struct btt_profile *profile)
{
	return (info->version_major & ~BTT_VERSION_WIDE) == profile->version_major &&
	       info->version_minor == profile->version_minor &&
	       !(info_is_wide(info) && profile->layout == UNTORN_BTT_PMEMBLK);
}

bool info_parent_ok(const struct btt_info *info, const struct btt_profile *profile, const uint8_t *parent_uuid)
{
	if (!parent_uuid || memcmp(info->parent_uuid, parent_uuid, BTT_UUID_LEN) == 0)
		return true;
	return profile->layout != UNTORN_BTT_PMEMBLK && is_zero(info->parent_uuid, BTT_UUID_LEN);
}

const char *info_field_fault(const struct btt_info *info, const struct btt_profile *profile, uint64_t room)
{
	const char *fault = geometry_fault(&info->geometry, room);

	if (fault)
		return fault;
	if (geometry_sector_size(profile->layout, info_is_wide(info), info->geometry.external_lbasize) == 0)
		return "external_lbasize";
	if (info->infosize != BTT_BLOCK)
		return "infosize";
	return NULL;
}
