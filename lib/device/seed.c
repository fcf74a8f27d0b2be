/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeds: the idle namespace and the idle btt of a region that users configure next. docs/DEVICES.md 12.
 *
 * A seed is used up when it, or for a namespace the btt on it, was probed successfully; then a new one is planted. An io
 * region has one namespace, which stays its seed for ever. Seeds change under the bus lock.
 */
#include "device/device.h"

/* The new seed's reference goes to the region. */
static void plant(struct region *region, struct untorn_device **seed, struct untorn_device *device)
{
	untorn_device_put(*seed);
	*seed = device;
	if (device)
		device_register(device);
	else
		device_set_problem(&region->dev, "no memory for another seed: disable and enable the region");
}

void seed_plant_namespace(struct region *region)
{
	struct namespace *ns = NULL;

	if (region_nstype(region) == UNTORN_NSTYPE_IO)
		return;
	plant(region, &region->namespace_seed, namespace_new_idle(region, &ns) < 0 ? NULL : &ns->dev);
}

void seed_plant_btt(struct region *region)
{
	struct btt *btt = btt_new(region, NULL);

	if (BTT_SUPPORT)
		plant(region, &region->btt_seed, btt ? &btt->dev : NULL);
}

void seed_after_probe(struct untorn_device *device)
{
	struct region *region = to_region(device->parent);
	const struct untorn_device *used = device;

	bus_lock(device->bus);
	if (device_is_btt(device)) {
		used = &to_btt(device)->ns->dev;
		if (device == region->btt_seed)
			seed_plant_btt(region);
	}
	if (used == region->namespace_seed)
		seed_plant_namespace(region);
	bus_unlock(device->bus);
}

void seed_clear(struct region *region)
{
	untorn_device_put(region->namespace_seed);
	untorn_device_put(region->btt_seed);
	region->namespace_seed = NULL;
	region->btt_seed = NULL;
}
