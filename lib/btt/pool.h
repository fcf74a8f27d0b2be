/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a pmemblk pool file. SPEC 8. */
#ifndef BTT_POOL_H
#define BTT_POOL_H

#include "btt/format.h"
#include "media/media.h"

struct pool {
	struct pool_header header;
	uint32_t bsize;
};

/*
 * Read header and descriptor page. 0; -ENXIO: no pool signature; -EUCLEAN: a bad checksum or field, its name in *ret_field
 * (then only; may be NULL), *ret_pool is set nevertheless; -EOPNOTSUPP: a version or feature we do not know; -EIO.
 */
int pool_read(struct untorn_media *media, struct pool *ret_pool, const char **ret_field);

/* A header for a new pool on this machine; poolset_uuid NULL: random. */
void pool_make(const uint8_t *poolset_uuid, struct pool_header *ret_header);

uint64_t pool_checksum(const struct pool_header *header);

#endif
