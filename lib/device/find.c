/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which namespace a person means. A device name goes before all others, since a label may say anything. What is on a namespace is
 * read from its first info block where the label puts it, bound or not.
 */
#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

#include "btt/info.h"
#include "device/device.h"

/* The uuid of an intact info block on the namespace. */
static bool has_btt_uuid(struct untorn_device *ns, const uint8_t *uuid)
{
	struct untorn_media *media;
	struct btt_info_block block;
	enum untorn_btt_layout layout;
	uint8_t parent_uuid[UUID_LEN];
	struct btt_info info;
	bool found;

	if (untorn_namespace_btt_layout(ns, &layout, parent_uuid) < 0 || untorn_namespace_media(ns, &media) < 0)
		return false;
	found = info_read(media, btt_profile(layout)->base, &block) == 0 && info_fault(&block) == INFO_OK;
	untorn_media_close(media);
	if (!found)
		return false;
	info_decode(&block, &info);
	return memcmp(info.uuid, uuid, UUID_LEN) == 0;
}

static bool is_meant(struct untorn_device *ns, const char *name)
{
	struct untorn_namespace_info info;
	uint8_t uuid[UUID_LEN];

	if (untorn_namespace_get_info(ns, &info) < 0 || info.size == 0)
		return false;
	if (info.alt_name[0] && strcmp(info.alt_name, name) == 0)
		return true;
	if (uuid_parse(name, uuid) < 0)
		return false;
	return (info.has_uuid && memcmp(info.uuid, uuid, UUID_LEN) == 0) || has_btt_uuid(ns, uuid);
}

int untorn_bus_find_namespace(struct untorn_bus *bus, const char *name, struct untorn_device **ret_namespace)
{
	_cleanup_device_ struct untorn_device *root = NULL, *region = NULL, *ns = NULL, *found = NULL;
	int r = untorn_bus_find(bus, name, &found);

	if (r == 0 && untorn_device_type(found) == UNTORN_DEVICE_NAMESPACE) {
		*ret_namespace = untorn_device_get(found);
		return 0;
	}
	untorn_device_put(found);
	found = NULL;
	r = untorn_bus_device(bus, &root);
	if (r < 0)
		return r;
	while (untorn_device_next(root, UNTORN_DEVICE_REGION, &region) == 0) {
		while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &ns) == 0) {
			if (!is_meant(ns, name))
				continue;
			if (found)
				return -ENOTUNIQ;
			found = untorn_device_get(ns);
		}
	}
	if (!found)
		return -ENODEV;
	*ret_namespace = untorn_device_get(found);
	return 0;
}
