/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attributes that belong to no device of the library: of the bus directory, of drivers, of ndctl0 and of disks.
 */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"

/* What a row's function works on. */
struct call {
	const struct tree *tree;
	const struct node *node;
	struct untorn_disk_info disk; /* of rows of disks */
	const char *text;             /* what is stored, ended by NUL */
};

typedef int (*show_fn)(const struct call *call, FILE *out);
typedef int (*store_fn)(const struct call *call);

enum place {
	BUS_DIR,
	DRIVER,
	BINDING_DRIVER, /* one that can be bound by hand */
	NDCTL,
	DISK,
	RAW_DISK,
	QUEUE,
	DAX,
};

/* ------------------------------------------------------------------- drivers ---------------------------------------------- */

static int store_bind(const struct call *call)
{
	return untorn_driver_bind(call->tree->bus, call->node->name, call->text);
}

static int store_unbind(const struct call *call)
{
	return untorn_driver_unbind(call->tree->bus, call->node->name, call->text);
}

static int store_drivers_probe(const struct call *call)
{
	return untorn_bus_drivers_probe(call->tree->bus, call->text);
}

static int show_autoprobe(const struct call *call, FILE *out)
{
	fprintf(out, "%d\n", untorn_bus_get_autoprobe(call->tree->bus));
	return 0;
}

static int store_autoprobe(const struct call *call)
{
	untorn_bus_set_autoprobe(call->tree->bus, call->text[0] != '0');
	return 0;
}

/* Nobody listens for events here, so asking for one is done at once. */
static int store_uevent(const struct call *call)
{
	static const char *const actions[] = {"add", "remove", "change", "move", "online", "offline", "bind", "unbind"};
	size_t len = strcspn(call->text, " \n");

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strlen(actions[i]) == len && strncmp(call->text, actions[i], len) == 0)
			return 0;
	}
	return -EINVAL;
}

/* ------------------------------------------------------------------- ndctl0 and disks ------------------------------------- */

static int show_ndctl_dev(const struct call *call, FILE *out)
{
	(void)call;
	fprintf(out, "%u:0\n", NDCTL_MAJOR);
	return 0;
}

static int show_ndctl_uevent(const struct call *call, FILE *out)
{
	(void)call;
	fprintf(out, "MAJOR=%u\nMINOR=0\nDEVNAME=ndctl0\n", NDCTL_MAJOR);
	return 0;
}

/* pmem3.2s: 20 bits hold the region, the namespace and whether it is a btt. */
unsigned disk_minor(const struct untorn_disk_info *info)
{
	unsigned region = 0, namespace = 0;

	sscanf(info->name, "%*[a-z]%u.%u", &region, &namespace);
	return (region % 512 << 10 | namespace % 1024) << 1 | info->is_btt;
}

static int show_disk_dev(const struct call *call, FILE *out)
{
	fprintf(out, "%u:%u\n", DISK_MAJOR, disk_minor(&call->disk));
	return 0;
}

static int show_disk_size(const struct call *call, FILE *out)
{
	fprintf(out, "%" PRIu64 "\n", call->disk.size / 512);
	return 0;
}

static int show_disk_ro(const struct call *call, FILE *out)
{
	fprintf(out, "%d\n", call->disk.read_only);
	return 0;
}

static int show_disk_uevent(const struct call *call, FILE *out)
{
	fprintf(out, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=disk\n", DISK_MAJOR, disk_minor(&call->disk),
		call->disk.name);
	return 0;
}

static int show_logical(const struct call *call, FILE *out)
{
	fprintf(out, "%u\n", call->disk.logical);
	return 0;
}

static int show_physical(const struct call *call, FILE *out)
{
	fprintf(out, "%u\n", call->disk.physical);
	return 0;
}

static int show_zero(const struct call *call, FILE *out)
{
	(void)call;
	fprintf(out, "0\n");
	return 0;
}

/* No range is known to be bad. */
static int show_nothing(const struct call *call, FILE *out)
{
	(void)call, (void)out;
	return 0;
}

/* As a raw disk on Linux says. */
static int show_dax(const struct call *call, FILE *out)
{
	fprintf(out, "%d\n", !call->disk.is_btt);
	return 0;
}

static int show_write_cache(const struct call *call, FILE *out)
{
	(void)call;
	fprintf(out, "write back\n");
	return 0;
}

/* ------------------------------------------------------------------- the table -------------------------------------------- */

static const struct {
	enum place place;
	const char *name;
	mode_t mode;
	show_fn show;
	store_fn store;
} rows[] = {
	{BUS_DIR, "drivers_autoprobe", 0644, show_autoprobe, store_autoprobe},
	{BUS_DIR, "drivers_probe", 0200, NULL, store_drivers_probe},
	{BUS_DIR, "uevent", 0200, NULL, store_uevent},
	{BINDING_DRIVER, "bind", 0200, NULL, store_bind},
	{BINDING_DRIVER, "unbind", 0200, NULL, store_unbind},
	{DRIVER, "uevent", 0200, NULL, store_uevent},
	{NDCTL, "dev", 0444, show_ndctl_dev, NULL},
	{NDCTL, "uevent", 0644, show_ndctl_uevent, store_uevent},
	{DISK, "alignment_offset", 0444, show_zero, NULL},
	{DISK, "dev", 0444, show_disk_dev, NULL},
	{DISK, "removable", 0444, show_zero, NULL},
	{DISK, "ro", 0444, show_disk_ro, NULL},
	{DISK, "size", 0444, show_disk_size, NULL},
	{DISK, "uevent", 0644, show_disk_uevent, store_uevent},
	{RAW_DISK, "badblocks", 0444, show_nothing, NULL},
	{QUEUE, "dax", 0444, show_dax, NULL},
	{QUEUE, "hw_sector_size", 0444, show_logical, NULL},
	{QUEUE, "logical_block_size", 0444, show_logical, NULL},
	{QUEUE, "minimum_io_size", 0444, show_physical, NULL},
	{QUEUE, "physical_block_size", 0444, show_physical, NULL},
	{QUEUE, "rotational", 0444, show_zero, NULL},
	{DAX, "write_cache", 0444, show_write_cache, NULL},
};

static bool is_in(const struct tree *tree, const struct node *dir, enum place place)
{
	struct untorn_disk_info disk;

	switch (dir->kind) {
	case NODE_DIR:
		return place == BUS_DIR && tree_is_bus_dir(dir);
	case NODE_DRIVER:
		return place == DRIVER || (place == BINDING_DRIVER && strcmp(dir->name, "nd_bus") != 0);
	case NODE_NDCTL:
		return place == NDCTL;
	case NODE_DISK:
		return place == DISK ||
		       (place == RAW_DISK && tree_disk_info(tree, dir->device, &disk) == 0 && !disk.is_btt);
	case NODE_DISK_GROUP:
		return place == (strcmp(dir->name, "queue") == 0 ? QUEUE : DAX);
	default:
		return false;
	}
}

int file_next(const struct tree *tree, const struct node *dir, unsigned *index, const char **ret_name)
{
	for (; *index < ARRAY_SIZE(rows); ++*index) {
		if (is_in(tree, dir, rows[*index].place)) {
			*ret_name = rows[*index].name;
			return 0;
		}
	}
	return -ENOENT;
}

mode_t file_mode(unsigned index)
{
	return rows[index].mode;
}

int file_show(const struct tree *tree, const struct node *node, char *text, size_t size, size_t *ret_len)
{
	struct call call = {.tree = tree, .node = node};
	FILE *out;
	int r;

	if (!rows[node->number].show)
		return -EACCES;
	if (rows[node->number].place >= DISK && tree_disk_info(tree, node->device, &call.disk) < 0)
		return -ENODEV;
	out = fmemopen(text, size, "w");
	if (!out)
		return -ENOMEM;
	r = rows[node->number].show(&call, out);
	*ret_len = (size_t)ftell(out);
	fclose(out);
	return r;
}

int file_store(const struct tree *tree, const struct node *node, const char *text, size_t len)
{
	char copy[UNTORN_ATTR_SIZE + 1];
	struct call call = {.tree = tree, .node = node, .text = copy};

	if (!rows[node->number].store)
		return -EACCES;
	len = min_u64(len, UNTORN_ATTR_SIZE);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return rows[node->number].store(&call);
}
