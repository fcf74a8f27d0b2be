/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * btts: what a volume is to be called and cut into, and the namespace that it is to lie on.
 *
 * A btt holds its configuration in memory only. A region's seed is configured by hand; a btt that was found on media takes its
 * uuid and sector size from there. Once it is bound, what is on media counts and the configuration cannot be changed. S11, D11
 *
 * The configuration changes under the device lock and the bus lock, so either of them is enough to read it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define NAMESPACE_PREFIX "namespace"

const uint32_t btt_sizes[7] = {512, 520, 528, 4096, 4104, 4160, 4224};

/* ------------------------------------------------------------------- object ----------------------------------------------- */

/* S17 */
static void btt_release(struct untorn_device *device)
{
	struct btt *btt = to_btt(device);

	bus_lock(device->bus);
	claim_detach(btt);
	bus_unlock(device->bus);
	id_pool_give(device->bus, &btt_region(btt)->btt_ids, device->id);
	free(btt);
}

static const struct attr btt_attrs[];

static const struct device_kind btt_kind = {
	.type = UNTORN_DEVICE_BTT,
	.devtype = "nd_btt",
	.attrs = btt_attrs,
	.release = btt_release,
};

bool device_is_btt(const struct untorn_device *device)
{
	return device->kind == &btt_kind;
}

struct btt *btt_new(struct region *region, struct namespace *ns)
{
	struct btt *btt;
	int id;

	if (!BTT_SUPPORT || (ns && ns->claim))
		return NULL;
	btt = calloc(1, sizeof(*btt));
	if (!btt)
		return NULL;
	id = id_pool_take(region->dev.bus, &region->btt_ids);
	if (id < 0) {
		free(btt);
		return NULL;
	}
	device_init(&btt->dev, &btt_kind, &region->dev, id, "btt%d.%d", region->dev.id, id);
	if (ns)
		claim_attach(btt, ns);
	return btt;
}

/* Device lock and bus lock; device_unlock_reconfig() ends it. -EINVAL: not a btt; -ENODEV. */
static int btt_lock(struct untorn_device *device)
{
	return device_is_btt(device) ? device_lock_reconfig(device) : -EINVAL;
}

/* ------------------------------------------------------------------- uuid and sector size --------------------------------- */

/* parsed: what came of parsing the value; it counts only when the btt is not bound. S24, S26 */
static int change_uuid(struct untorn_device *device, int parsed, const uint8_t *uuid)
{
	struct btt *btt = to_btt(device);
	int r = btt_lock(device);

	if (r < 0)
		return r;
	r = device_is_bound(device) ? -EBUSY : parsed;
	if (r == 0) {
		memcpy(btt->uuid, uuid, UUID_LEN);
		btt->has_uuid = true;
	}
	device_unlock_reconfig(device);
	return r;
}

static int change_sector_size(struct untorn_device *device, int parsed, uint64_t sector_size)
{
	int r = btt_lock(device);

	if (r < 0)
		return r;
	r = device_is_bound(device) ? -EBUSY : parsed;
	if (r == 0)
		to_btt(device)->sector_size = (uint32_t)sector_size;
	device_unlock_reconfig(device);
	return r;
}

int untorn_btt_device_set_uuid(struct untorn_device *device, const uint8_t uuid[16])
{
	return uuid ? change_uuid(device, 0, uuid) : -EINVAL;
}

int untorn_btt_device_set_sector_size(struct untorn_device *device, uint64_t sector_size)
{
	return change_sector_size(device, is_listed(sector_size, btt_sizes, ARRAY_SIZE(btt_sizes)) ? 0 : -EINVAL,
				  sector_size);
}

int untorn_btt_device_sector_sizes(struct untorn_device *device, const uint32_t **ret_values, size_t *ret_n)
{
	if (!device_is_btt(device))
		return -EINVAL;
	*ret_values = btt_sizes;
	*ret_n = ARRAY_SIZE(btt_sizes);
	return 0;
}

/* ------------------------------------------------------------------- namespace -------------------------------------------- */

/* What follows expects the device lock and the bus lock. */

/* S37 to S40, D10. What the namespace is like otherwise, binding tells. S42 */
static int attach(struct btt *btt, const char *name)
{
	_cleanup_device_ struct untorn_device *found = NULL;
	const struct namespace *ns;

	if (btt->ns)
		return -EBUSY;
	found = device_find_child(btt->dev.parent, name);
	if (!found || found->dead || btt->dev.dead)
		return -ENODEV;
	ns = to_namespace(found);
	if (!claim_may_be_btt(ns))
		return -EBUSY;
	if (ns->size < BTT_MIN_SIZE)
		return -ENXIO;
	return claim_attach(btt, to_namespace(found));
}

/* The seed is emptied, any other btt has had its day. S33 to S36 */
static void detach(struct btt *btt)
{
	claim_detach(btt);
	device_set_problem(&btt->dev, NULL);
	if (btt_region(btt)->btt_seed != &btt->dev) {
		device_unregister_async(&btt->dev);
		return;
	}
	btt->sector_size = 0;
	btt->has_uuid = false;
	memset(btt->uuid, 0, sizeof(btt->uuid));
}

/* S29 to S33: trailing blanks do not count, leading ones do. */
static int change_namespace(struct btt *btt, const char *text)
{
	char name[DEVICE_NAME_LEN];
	size_t len = strlen(text);

	if (device_is_bound(&btt->dev))
		return -EBUSY;
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0) {
		detach(btt);
		return 0;
	}
	if (strncmp(text, NAMESPACE_PREFIX, strlen(NAMESPACE_PREFIX)) != 0)
		return -EINVAL;
	/* A longer name is cut to one that no device has. */
	len = min_u64(len, sizeof(name) - 1);
	memcpy(name, text, len);
	name[len] = '\0';
	return attach(btt, name);
}

int untorn_btt_device_set_namespace(struct untorn_device *device, const char *name)
{
	int r = btt_lock(device);

	if (r < 0)
		return r;
	r = change_namespace(to_btt(device), name ? name : "");
	device_unlock_reconfig(device);
	return r;
}

struct untorn_device *btt_get_namespace(struct btt *btt)
{
	struct untorn_device *ns = NULL;

	bus_lock(btt->dev.bus);
	if (btt->ns)
		ns = untorn_device_get(&btt->ns->dev);
	bus_unlock(btt->dev.bus);
	return ns;
}

int untorn_btt_device_namespace(struct untorn_device *device, struct untorn_device **ret_namespace)
{
	struct untorn_device *ns;
	int r;

	if (!device_is_btt(device))
		return -EINVAL;
	r = device_lock(device);
	if (r < 0)
		return r;
	ns = btt_get_namespace(to_btt(device));
	device_unlock(device);
	if (!ns)
		return -ENOENT;
	*ret_namespace = ns;
	return 0;
}

/* ------------------------------------------------------------------- what it is ------------------------------------------- */

int untorn_btt_device_get_info(struct untorn_device *device, struct untorn_btt_device_info *ret_info)
{
	const struct btt *btt = to_btt(device);
	int r = btt_lock(device);

	if (r < 0)
		return r;
	*ret_info = (struct untorn_btt_device_info){
		.bound = device_is_bound(device),
		.size = atomic_load(&btt->size),
	};
	ret_info->has_uuid = btt->has_uuid;
	memcpy(ret_info->uuid, btt->uuid, UUID_LEN);
	ret_info->sector_size = btt->sector_size;
	if (btt->ns)
		memcpy(ret_info->ns, btt->ns->dev.name, sizeof(ret_info->ns));
	device_unlock_reconfig(device);
	return 0;
}

/* ------------------------------------------------------------------- attributes ------------------------------------------- */

static int show_sector_size(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	attr_print_sizes(text, btt_sizes, ARRAY_SIZE(btt_sizes), to_btt(device)->sector_size);
	bus_unlock(device->bus);
	return 0;
}

static int store_sector_size(struct untorn_device *device, const char *text)
{
	uint64_t sector_size = 0;
	int parsed = parse_size_select(text, btt_sizes, ARRAY_SIZE(btt_sizes), &sector_size);

	return change_sector_size(device, parsed, sector_size);
}

static int show_uuid(struct untorn_device *device, struct attr_text *text)
{
	const struct btt *btt = to_btt(device);

	bus_lock(device->bus);
	attr_print_uuid(text, btt->has_uuid ? btt->uuid : NULL);
	bus_unlock(device->bus);
	return 0;
}

static int store_uuid(struct untorn_device *device, const char *text)
{
	uint8_t uuid[UUID_LEN];
	int parsed = parse_uuid(text, uuid);

	return change_uuid(device, parsed, uuid);
}

static int show_namespace(struct untorn_device *device, struct attr_text *text)
{
	const struct namespace *ns;

	bus_lock(device->bus);
	ns = to_btt(device)->ns;
	attr_printf(text, "%s\n", ns ? ns->dev.name : "");
	bus_unlock(device->bus);
	return 0;
}

static int show_size(struct untorn_device *device, struct attr_text *text)
{
	uint64_t size = atomic_load(&to_btt(device)->size);

	if (size == 0)
		return -ENXIO;
	attr_printf(text, "%llu\n", (unsigned long long)size);
	return 0;
}

/* State bits in flog entries are masked off. SPEC 5.5 */
static int show_log_zero_flags(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "Y\n");
	return 0;
}

static const struct attr btt_attrs[] = {
	{.name = "sector_size", .mode = 0644, .show = show_sector_size, .store = store_sector_size},
	{.name = "namespace", .mode = 0644, .show = show_namespace, .store = untorn_btt_device_set_namespace},
	{.name = "uuid", .mode = 0644, .show = show_uuid, .store = store_uuid},
	{.name = "size", .mode = 0444, .show = show_size},
	{.name = "log_zero_flags", .mode = 0444, .show = show_log_zero_flags},
	{.name = "devtype", .mode = 0444, .show = attr_show_devtype},
	{.name = "modalias", .mode = 0444, .show = attr_show_modalias},
	ATTR_UEVENT,
	ATTR_NUMA_NODE,
	ATTR_TARGET_NODE,
	{.name = NULL},
};
