/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus: opening a platform brings up its devices in the order of a boot (bus, dimms, regions, and from their probes
 * namespaces and btts); closing takes them down in reverse, which makes everything durable.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* ------------------------------------------------------------------- drivers ---------------------------------------------- */

static bool is_bus(const struct untorn_device *device)
{
	return device->kind->type == UNTORN_DEVICE_BUS;
}

static int bus_probe(struct untorn_device *device)
{
	(void)device;
	return 0;
}

static void bus_remove(struct untorn_device *device)
{
	(void)device;
}

static const struct driver driver_nd_bus = {
	.name = "nd_bus",
	.matches = is_bus,
	.probe = bus_probe,
	.remove = bus_remove,
};

const struct driver *const drivers[] = {
	&driver_nd_blk, &driver_nd_bus, &driver_nd_pmem, &driver_nd_region, &driver_nvdimm, NULL,
};

const char *untorn_driver_name(unsigned index)
{
	return index < ARRAY_SIZE(drivers) && drivers[index] ? drivers[index]->name : NULL;
}

static const struct driver *find_driver(const char *name)
{
	for (unsigned i = 0; drivers[i]; i++) {
		if (drivers[i]->by_hand && strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	}
	return NULL;
}

/* A device name as written to bind and its like: one trailing newline is ignored. */
static int find_named(struct untorn_bus *bus, const char *text, struct untorn_device **ret_device)
{
	char name[DEVICE_NAME_LEN];
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(name))
		return -ENODEV;
	memcpy(name, text, len);
	name[len] = '\0';
	return untorn_bus_find(bus, name, ret_device);
}

/* The driver and the device that bind and unbind are about; the device is referenced and locked. */
static int lock_named(struct untorn_bus *bus, const char *driver_name, const char *name,
		      const struct driver **ret_driver, struct untorn_device **ret_device)
{
	const struct driver *driver = find_driver(driver_name);
	struct untorn_device *device;
	int r = driver ? find_named(bus, name, &device) : -ENODEV;

	if (r < 0)
		return r;
	r = device_lock(device);
	if (r < 0) {
		untorn_device_put(device);
		return r;
	}
	*ret_driver = driver;
	*ret_device = device;
	return 0;
}

int untorn_driver_bind(struct untorn_bus *bus, const char *driver_name, const char *name)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	const struct driver *driver;
	int r = lock_named(bus, driver_name, name, &driver, &device);

	if (r < 0)
		return r;
	r = device_bind(device, driver);
	device_unlock(device);
	return r;
}

int untorn_driver_unbind(struct untorn_bus *bus, const char *driver_name, const char *name)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	const struct driver *driver;
	int r = lock_named(bus, driver_name, name, &driver, &device);

	if (r < 0)
		return r;
	if (atomic_load(&device->driver) == driver)
		device_unbind(device);
	else
		r = -ENODEV;
	device_unlock(device);
	return r;
}

int untorn_bus_drivers_probe(struct untorn_bus *bus, const char *name)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	int r = find_named(bus, name, &device);

	if (r < 0)
		return r;
	if (device_lock(device) < 0)
		return -EINVAL;
	device_bind_any(device); /* whether one took it does not count */
	device_unlock(device);
	return 0;
}

int untorn_bus_get_autoprobe(struct untorn_bus *bus)
{
	return atomic_load(&bus->autoprobe);
}

void untorn_bus_set_autoprobe(struct untorn_bus *bus, bool on)
{
	atomic_store(&bus->autoprobe, on);
}

/* ------------------------------------------------------------------- life ------------------------------------------------- */

static void bus_release(struct untorn_device *device)
{
	struct untorn_bus *bus = device->bus;

	pthread_cond_destroy(&bus->idle);
	pthread_mutex_destroy(&bus->lock);
	pthread_mutex_destroy(&bus->tree);
	free(bus->dimms);
	free(bus->regions);
	free(bus);
}

static const struct device_kind bus_kind = {
	.type = UNTORN_DEVICE_BUS,
	.devtype = "",
	.attrs = bus_attrs,
	.release = bus_release,
};

static int bus_new(struct untorn_platform *platform, unsigned flags, struct untorn_bus **ret_bus)
{
	struct untorn_bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->platform = platform;
	bus->flags = flags;
	atomic_init(&bus->autoprobe, true);
	pthread_mutex_init(&bus->lock, NULL);
	pthread_mutex_init(&bus->tree, NULL);
	pthread_cond_init(&bus->idle, NULL);
	bus->dimms = calloc(platform->ndimm, sizeof(struct dimm *));
	bus->regions = calloc(platform->nregion, sizeof(struct region *));
	device_init(&bus->dev, &bus_kind, NULL, 0, "ndbus0");
	r = (platform->ndimm && !bus->dimms) || (platform->nregion && !bus->regions) ? -ENOMEM
										     : async_start(&bus->async);
	if (r < 0) {
		untorn_device_put(&bus->dev);
		return r;
	}
	*ret_bus = bus;
	return 0;
}

/* All dimms are queued before the first region, so each region finds its dimms bound. */
static int add_devices(struct untorn_bus *bus)
{
	int r;

	device_register(&bus->dev);
	for (unsigned i = 0; i < bus->platform->ndimm; i++) {
		r = dimm_new(bus, i, &bus->dimms[i]);
		if (r < 0)
			return r;
		device_register(&bus->dimms[i]->dev);
	}
	for (unsigned i = 0; i < bus->platform->nregion; i++) {
		r = region_new(bus, i, &bus->regions[i]);
		if (r < 0)
			return r;
		device_register(&bus->regions[i]->dev);
	}
	return 0;
}

/* Each device of a type: out of the tree, and the reference of opening put. */
static void remove_devices(struct untorn_bus *bus)
{
	for (unsigned i = 0; i < bus->platform->nregion; i++) {
		if (bus->regions[i]) {
			device_unregister(&bus->regions[i]->dev);
			untorn_device_put(&bus->regions[i]->dev);
		}
	}
	for (unsigned i = 0; i < bus->platform->ndimm; i++) {
		if (bus->dimms[i]) {
			device_unregister(&bus->dimms[i]->dev);
			untorn_device_put(&bus->dimms[i]->dev);
		}
	}
	device_unregister(&bus->dev);
}

/* The bus did not come up: what was opened is closed, and what was made removed. */
static int fail_devices(struct untorn_platform *platform, int err)
{
	platform_close(platform);
	untorn_platform_remove_created(platform);
	return platform_fail(platform, err, "the devices cannot be made: %s", strerror(-err));
}

int untorn_bus_open(struct untorn_platform *platform, unsigned flags, struct untorn_bus **ret_bus)
{
	struct untorn_bus *bus;
	int r = platform_open(platform, flags);

	if (r < 0)
		return r;
	r = bus_new(platform, flags, &bus);
	if (r < 0)
		return fail_devices(platform, r);
	r = add_devices(bus);
	untorn_bus_wait_probe(bus);
	if (r < 0) {
		untorn_bus_close(bus);
		return fail_devices(platform, r);
	}
	*ret_bus = bus;
	return 0;
}

int untorn_bus_close(struct untorn_bus *bus)
{
	int r;

	if (!bus)
		return 0;
	async_flush(&bus->async);
	remove_devices(bus);
	async_stop(&bus->async);
	r = bus->close_error;
	platform_close(bus->platform);
	untorn_device_put(&bus->dev);
	return r;
}

int untorn_bus_wait_probe(struct untorn_bus *bus)
{
	static const enum untorn_device_type types[] = {UNTORN_DEVICE_DIMM, UNTORN_DEVICE_REGION};
	struct untorn_device *child = NULL, *grandchild = NULL;

	async_flush(&bus->async);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		while (untorn_device_next(&bus->dev, types[i], &child) == 0) {
			device_pass(child);
			while (untorn_device_next(child, UNTORN_DEVICE_NAMESPACE, &grandchild) == 0)
				device_pass(grandchild);
			while (untorn_device_next(child, UNTORN_DEVICE_BTT, &grandchild) == 0)
				device_pass(grandchild);
		}
	}
	/* What they queued before they let go. */
	async_flush(&bus->async);
	return 0;
}

int untorn_bus_device(struct untorn_bus *bus, struct untorn_device **ret_device)
{
	*ret_device = untorn_device_get(&bus->dev);
	return 0;
}
