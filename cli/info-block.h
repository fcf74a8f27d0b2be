/* SPDX-License-Identifier: BSD-3-Clause */
/* The info block as bytes, for the commands that show it to the last field or take it from anywhere. */
#ifndef CLI_INFO_BLOCK_H
#define CLI_INFO_BLOCK_H

#include <stdint.h>

#include "base/le.h"

/* As it stands on media. SPEC 1.1. */
struct info_block {
	char signature[16];
	uint8_t uuid[16], parent_uuid[16];
	le32 flags;
	le16 version_major, version_minor;
	le32 external_lbasize, external_nlba, internal_lbasize, internal_nlba, nfree, infosize;
	le64 nextoff, dataoff, mapoff, logoff, info2off;
	uint8_t padding[3968];
	le64 checksum;
};
_Static_assert(sizeof(struct info_block) == 4096, "info block size");

#endif
