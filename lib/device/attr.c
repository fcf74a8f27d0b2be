/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attributes as text. Every face walks the same rows: a row that a device does not show does not exist for it, a row without the
 * permission bit refuses, and the rest is the row's own show or store.
 *
 * A text is made as a whole and copied out; one store is one call with all of its bytes. docs/DEVICES.md 3.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "device/device.h"

#define MODE_READ  0444
#define MODE_WRITE 0222

/* ------------------------------------------------------------------ forms of text ----------------------------------------- */

void attr_printf(struct attr_text *text, const char *format, ...)
{
	size_t room = sizeof(text->text) - text->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->text + text->len, room, format, args);
	va_end(args);
	if (n > 0)
		text->len += min_u64((size_t)n, room - 1);
}

void attr_print_uuid(struct attr_text *text, const uint8_t *uuid)
{
	char digits[UUID_STR_LEN] = "";

	if (uuid)
		uuid_unparse_lower(uuid, digits);
	attr_printf(text, "%s\n", digits);
}

void attr_print_sizes(struct attr_text *text, const uint32_t *sizes, size_t n, uint64_t current)
{
	for (size_t i = 0; i < n; i++)
		attr_printf(text, sizes[i] == current ? "[%u] " : "%u ", sizes[i]);
	attr_printf(text, "\n");
}

int attr_show_devtype(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%s\n", device->kind->devtype);
	return 0;
}

/* The number that drivers are matched by: of its region for a child of one. */
static unsigned modalias_type(struct untorn_device *device)
{
	unsigned type = 0;

	switch (device->kind->type) {
	case UNTORN_DEVICE_BUS:
		break;
	case UNTORN_DEVICE_DIMM:
		type = 1;
		break;
	case UNTORN_DEVICE_REGION:
		type = to_region(device)->kind == UNTORN_REGION_BLK ? 3 : 2;
		break;
	case UNTORN_DEVICE_NAMESPACE:
	case UNTORN_DEVICE_BTT:
		bus_lock(device->bus);
		type = region_nstype(to_region(device->parent));
		bus_unlock(device->bus);
		break;
	}
	return type;
}

int attr_show_modalias(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "nd:t%u\n", modalias_type(device));
	return 0;
}

int attr_show_uevent(struct untorn_device *device, struct attr_text *text)
{
	const struct driver *driver = atomic_load(&device->driver);

	if (device->kind->type == UNTORN_DEVICE_DIMM)
		attr_printf(text, "MAJOR=%u\nMINOR=%d\nDEVNAME=%s\n", DIMM_MAJOR, device->id, device->name);
	if (device->kind->devtype[0])
		attr_printf(text, "DEVTYPE=%s\n", device->kind->devtype);
	if (driver)
		attr_printf(text, "DRIVER=%s\n", driver->name);
	attr_printf(text, "MODALIAS=nd:t%u\n", modalias_type(device));
	return 0;
}

/* Asks for the event to be sent again: there is nobody to send it to. */
int attr_store_uevent(struct untorn_device *device, const char *text)
{
	static const char *const actions[] = {"add", "remove", "change", "move", "online", "offline", "bind", "unbind"};

	(void)device;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (parse_word(text, actions[i]))
			return 0;
	}
	return -EINVAL;
}

static const struct platform_region *region_platform(struct untorn_device *device)
{
	bool is_region = device->kind->type == UNTORN_DEVICE_REGION;

	return to_region(is_region ? device : device->parent)->platform;
}

int attr_show_numa_node(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%d\n", region_platform(device)->numa_node);
	return 0;
}

int attr_show_target_node(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%d\n", region_platform(device)->target_node);
	return 0;
}

mode_t attr_if_target_node(struct untorn_device *device, const struct attr *attr)
{
	return region_platform(device)->target_node < 0 ? 0 : attr->mode;
}

/* ------------------------------------------------------------------- finding a row ---------------------------------------- */

static mode_t row_mode(struct untorn_device *device, const struct attr *row)
{
	return row->visible ? row->visible(device, row) : row->mode;
}

/* The row of an attribute that the device shows now, and its mode. */
static int find_row(struct untorn_device *device, const char *name, const struct attr **ret_row, mode_t *ret_mode)
{
	const struct attr *row = device->kind->attrs;
	int r = device_pass(device);
	mode_t mode;

	if (r < 0)
		return r;
	while (row->name && strcmp(row->name, name) != 0)
		row++;
	mode = row->name ? row_mode(device, row) : 0;
	if (!mode)
		return -ENOENT;
	*ret_row = row;
	*ret_mode = mode;
	return 0;
}

int untorn_attr_next(struct untorn_device *device, unsigned *index, struct untorn_attr_info *ret_info)
{
	int r = device_pass(device);

	if (r < 0)
		return r;
	for (const struct attr *row = device->kind->attrs + *index; row->name; row++) {
		mode_t mode = row_mode(device, row);

		++*index;
		if (mode) {
			*ret_info = (struct untorn_attr_info){.name = row->name, .mode = mode};
			return 0;
		}
	}
	return -ENOENT;
}

int untorn_attr_info(struct untorn_device *device, const char *name, struct untorn_attr_info *ret_info)
{
	const struct attr *row;
	mode_t mode;
	int r = find_row(device, name, &row, &mode);

	if (r < 0)
		return r;
	*ret_info = (struct untorn_attr_info){.name = row->name, .mode = mode};
	return 0;
}

/* ------------------------------------------------------------------- show and store --------------------------------------- */

int untorn_attr_show(struct untorn_device *device, const char *name, char *text, size_t size, size_t *ret_len)
{
	_cleanup_free_ struct attr_text *full = NULL;
	const struct attr *row;
	mode_t mode;
	int r = find_row(device, name, &row, &mode);

	if (r < 0)
		return r;
	if (!(mode & MODE_READ) || !row->show)
		return -EACCES;
	full = calloc(1, sizeof(*full));
	if (!full)
		return -ENOMEM;
	full->attr = row;
	r = row->show(device, full);
	if (r < 0)
		return r;
	*ret_len = min_u64(full->len, size);
	memcpy(text, full->text, *ret_len);
	if (*ret_len < size)
		text[*ret_len] = '\0';
	return 0;
}

int untorn_attr_store(struct untorn_device *device, const char *name, const char *text, size_t len)
{
	_cleanup_free_ char *copy = NULL;
	const struct attr *row;
	mode_t mode;
	int r = find_row(device, name, &row, &mode);

	if (r < 0)
		return r;
	if (!(mode & MODE_WRITE) || !row->store)
		return -EACCES;
	if (len == 0)
		return 0;
	copy = strndup(text, min_u64(len, UNTORN_ATTR_SIZE));
	return copy ? row->store(device, copy) : -ENOMEM;
}
