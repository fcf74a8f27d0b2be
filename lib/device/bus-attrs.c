/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The attributes of the bus: those of an NFIT bus without address range scrub. docs/DEVICES.md 6.
 *
 * hw_error_scrub keeps what is stored, as the kernel does on hardware that never reports an error.
 */
#include <errno.h>

#include "device/device.h"

static int show_commands(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "cmd_call \n");
	return 0;
}

static int show_provider(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%s\n", device->bus->platform->provider);
	return 0;
}

static int show_wait_probe(struct untorn_device *device, struct attr_text *text)
{
	int r = untorn_bus_wait_probe(device->bus);

	if (r == 0)
		attr_printf(text, "1\n");
	return r;
}

static int show_revision(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "1\n");
	return 0;
}

static int show_dsm_mask(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "0x0\n");
	return 0;
}

static int show_hw_error_scrub(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%d\n", atomic_load(&device->bus->hw_error_scrub));
	return 0;
}

static int store_hw_error_scrub(struct untorn_device *device, const char *text)
{
	uint64_t value = 0;
	int r = parse_unsigned(text, &value);

	if (r < 0)
		return r;
	if (value > 1)
		return -EINVAL;
	atomic_store(&device->bus->hw_error_scrub, value == 1);
	return 0;
}

const struct attr bus_attrs[] = {
	{.name = "commands", .mode = 0444, .show = show_commands},
	{.name = "provider", .mode = 0444, .show = show_provider},
	ATTR_UEVENT,
	{.name = "wait_probe", .mode = 0444, .show = show_wait_probe},
	{.name = "nfit/dsm_mask", .mode = 0444, .show = show_dsm_mask},
	{.name = "nfit/hw_error_scrub", .mode = 0644, .show = show_hw_error_scrub, .store = store_hw_error_scrub},
	{.name = "nfit/revision", .mode = 0444, .show = show_revision},
	{.name = NULL},
};
