/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a namespace: where they lie, and as one contiguous medium.
 *
 * The medium of a moment is what the extents say at that moment. Bound and claimed namespaces keep their extents; for
 * others, nobody is kept from changing them while the medium is open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/namespace.h"
#include "media/media.h"

/* Where a pmem namespace begins in its region: bytes. */
static uint64_t region_offset(const struct namespace *ns)
{
	const struct region *region = namespace_region(ns);

	if (ns->nstype != UNTORN_NSTYPE_PMEM || ns->nextent == 0)
		return 0;
	return (ns->extents[0].dpa - region->mappings[0].start) * region->nmapping;
}

uint64_t namespace_resource(const struct namespace *ns)
{
	if (ns->nstype == UNTORN_NSTYPE_BLK || ns->size == 0)
		return 0;
	return namespace_region(ns)->platform->resource + region_offset(ns);
}

static int extents_media(const struct namespace *ns, struct untorn_media **ret_media)
{
	const struct region *region = namespace_region(ns);
	_cleanup_free_ struct platform_extent *extents = calloc(ns->nextent, sizeof(*extents));

	if (!extents)
		return -ENOMEM;
	for (size_t i = 0; i < ns->nextent; i++)
		extents[i] = (struct platform_extent){.dpa = ns->extents[i].dpa, .size = ns->extents[i].size};
	return platform_extents_media(ns->dev.bus->platform, region->platform->mappings[0].dimm, extents, ns->nextent,
				      ret_media);
}

int namespace_media(struct namespace *ns, struct untorn_media **ret_media)
{
	struct region *region = namespace_region(ns);

	if (ns->size == 0)
		return -ENXIO;
	if (region_is_locked(region))
		return -EACCES;
	if (ns->nstype == UNTORN_NSTYPE_BLK)
		return extents_media(ns, ret_media);
	return platform_region_media(ns->dev.bus->platform, region->index, region_offset(ns), ns->size, ret_media);
}

int untorn_namespace_media(struct untorn_device *device, struct untorn_media **ret_media)
{
	int r = namespace_lock(device);

	if (r < 0)
		return r;
	r = namespace_media(to_namespace(device), ret_media);
	if (r == 0 && namespace_region(to_namespace(device))->read_only)
		(*ret_media)->read_only = true;
	device_unlock_reconfig(device);
	return r;
}

enum untorn_btt_layout namespace_btt_layout(const struct namespace *ns)
{
	bool is_v2_0 = ns->holder_class == UNTORN_CLASS_BTT2 && ns->nstype != UNTORN_NSTYPE_IO;

	return is_v2_0 ? UNTORN_BTT_V2_0 : UNTORN_BTT_V1_1;
}

int untorn_namespace_btt_layout(struct untorn_device *device, enum untorn_btt_layout *ret_layout,
				uint8_t ret_parent_uuid[16])
{
	struct namespace *ns = to_namespace(device);
	int r = namespace_lock(device);

	if (r < 0)
		return r;
	*ret_layout = namespace_btt_layout(ns);
	memset(ret_parent_uuid, 0, UUID_LEN);
	if (ns->has_uuid)
		memcpy(ret_parent_uuid, ns->uuid, UUID_LEN);
	device_unlock_reconfig(device);
	return 0;
}

/* ------------------------------------------------------------------- byte access ---------------------------------- */

/* Both locks held. A medium for an access to [off, off + len), if it is allowed. */
static int open_bytes(struct namespace *ns, uint64_t off, size_t len, bool write, struct untorn_media **ret_media)
{
	if (ns->size == 0)
		return -ENXIO;
	if (!range_fits(off, len, ns->size))
		return -EFAULT;
	if (write && namespace_region(ns)->read_only)
		return -EROFS;
	return namespace_media(ns, ret_media);
}

int untorn_namespace_rw_bytes(struct untorn_device *device, uint64_t off, void *buf, size_t len, bool write)
{
	struct untorn_media *media = NULL;
	int r;

	if (device->kind->type != UNTORN_DEVICE_NAMESPACE)
		return -EINVAL;
	if (len == 0)
		return 0;
	r = device_lock_reconfig(device);
	if (r < 0)
		return r;
	r = open_bytes(to_namespace(device), off, len, write, &media);
	device_unlock_reconfig(device);
	if (r < 0)
		return r;
	r = write ? untorn_media_write(media, off, buf, len) : untorn_media_read(media, off, buf, len);
	untorn_media_close(media);
	return r;
}
