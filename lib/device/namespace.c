/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces: the object, what is read of it and what is stored into it.
 *
 * Three kinds share one table of attributes: io (all of a region, without labels), pmem and blk (what labels say).
 * Stores that change a label are refused while the namespace is bound or claimed, before their text is looked at. They
 * hold the device lock, so nobody binds it meanwhile, and the bus lock, under which all of it stands; the labels say
 * what was stored when they return. If writing them fails, so does the store, and the namespace stays what it was.
 */
#include "device/namespace.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- kinds ---------------------------------------- */

/* Sets of kinds, for the rows of the table. */
enum {
	IO = 1u << 0,
	PMEM = 1u << 1,
	BLK = 1u << 2,
	LABELLED = PMEM | BLK,
	ALL = IO | LABELLED,
	KIND_BITS = 3,
};

static unsigned kind_of(const struct namespace *ns)
{
	return 1u << (ns->nstype - UNTORN_NSTYPE_IO);
}

const uint32_t namespace_sizes_pmem[2] = {512, 4096};
const uint32_t namespace_sizes_blk[7] = {512, 520, 528, 4096, 4104, 4160, 4224};

static const uint32_t *sector_sizes(const struct namespace *ns, size_t *ret_n)
{
	*ret_n = 0;
	if (ns->nstype == UNTORN_NSTYPE_PMEM)
		*ret_n = ARRAY_SIZE(namespace_sizes_pmem);
	if (ns->nstype == UNTORN_NSTYPE_BLK)
		*ret_n = ARRAY_SIZE(namespace_sizes_blk);
	return ns->nstype == UNTORN_NSTYPE_BLK ? namespace_sizes_blk : namespace_sizes_pmem;
}

/* ------------------------------------------------------------------- what others ask ------------------------------ */

bool namespace_is_busy(const struct namespace *ns)
{
	return ns->claim || device_is_bound(&ns->dev);
}

static bool has_uuid(struct untorn_device *device, const uint8_t *uuid)
{
	if (device->kind->type == UNTORN_DEVICE_NAMESPACE)
		return to_namespace(device)->has_uuid && memcmp(to_namespace(device)->uuid, uuid, UUID_LEN) == 0;
	return to_btt(device)->has_uuid && memcmp(to_btt(device)->uuid, uuid, UUID_LEN) == 0;
}

static bool child_has_uuid(const struct untorn_device *region, const uint8_t *uuid, const struct untorn_device *except)
{
	for (struct untorn_device *child = region->children; child; child = child->next) {
		if (child != except && has_uuid(child, uuid))
			return true;
	}
	return false;
}

static bool device_has_uuid(struct untorn_bus *bus, const uint8_t *uuid, const struct untorn_device *except)
{
	bool found = false;

	pthread_mutex_lock(&bus->tree);
	for (struct untorn_device *child = bus->dev.children; child && !found; child = child->next)
		found = child->kind->type == UNTORN_DEVICE_REGION && child_has_uuid(child, uuid, except);
	pthread_mutex_unlock(&bus->tree);
	return found;
}

/*
 * A uuid that nobody else has is free: no namespace or btt of the bus, and no label, for labels outlive the devices of a
 * region that is being unbound. -EINVAL: it is not free; -EIO.
 */
static int check_uuid_is_free(const struct namespace *ns, const uint8_t *uuid)
{
	const struct untorn_bus *bus = ns->dev.bus;
	int r = -ENOENT;

	if (device_has_uuid(ns->dev.bus, uuid, &ns->dev))
		return -EINVAL;
	if (ns->is_labelled && memcmp(ns->label_uuid, uuid, UUID_LEN) == 0)
		return 0; /* they are its own */
	for (unsigned i = 0; i < bus->platform->ndimm && r == -ENOENT; i++)
		r = dimm_find_label(bus->dimms[i], uuid);
	return r == -ENOENT ? 0 : r < 0 ? r : -EINVAL;
}

static void fill_info(const struct namespace *ns, struct untorn_namespace_info *info)
{
	*info = (struct untorn_namespace_info){
		.nstype = ns->nstype,
		.bound = device_is_bound(&ns->dev),
		.force_raw = atomic_load(&ns->force_raw),
		.has_uuid = ns->has_uuid,
		.size = ns->size,
		.resource = namespace_resource(ns),
		.sector_size = ns->sector_size,
		.holder_class = ns->holder_class,
		.dpa_extents = (unsigned)ns->nextent,
	};
	if (ns->has_uuid)
		memcpy(info->uuid, ns->uuid, sizeof(info->uuid));
	memcpy(info->alt_name, ns->alt_name, sizeof(info->alt_name));
	snprintf(info->holder, sizeof(info->holder), "%s", ns->claim ? ns->claim->name : "");
	snprintf(info->mode, sizeof(info->mode), "%s", ns->claim ? "safe" : "raw");
}

int namespace_lock(struct untorn_device *device)
{
	return device->kind->type == UNTORN_DEVICE_NAMESPACE ? device_lock_reconfig(device) : -EINVAL;
}

int untorn_namespace_get_info(struct untorn_device *device, struct untorn_namespace_info *ret_info)
{
	int r = namespace_lock(device);

	if (r < 0)
		return r;
	fill_info(to_namespace(device), ret_info);
	device_unlock_reconfig(device);
	return 0;
}

int untorn_namespace_holder(struct untorn_device *device, struct untorn_device **ret_holder)
{
	struct untorn_namespace_info info;
	struct untorn_device *holder;
	int r = untorn_namespace_get_info(device, &info);

	if (r < 0)
		return r;
	holder = info.holder[0] ? device_find_child(device->parent, info.holder) : NULL;
	if (!holder)
		return -ENOENT;
	*ret_holder = holder;
	return 0;
}

int untorn_namespace_sector_sizes(struct untorn_device *device, const uint32_t **ret_values, size_t *ret_n)
{
	if (device->kind->type != UNTORN_DEVICE_NAMESPACE)
		return -EINVAL;
	*ret_values = sector_sizes(to_namespace(device), ret_n);
	return 0;
}

/* ------------------------------------------------------------------- stores --------------------------------------- */

typedef int (*change_fn)(struct namespace *ns, const void *arg);

/* Run fn on an idle namespace of one of the kinds, with both locks. waits: and with no probe running on the bus. */
static int change(struct untorn_device *device, unsigned kinds, bool waits, change_fn fn, const void *arg)
{
	struct namespace *ns = to_namespace(device);
	int r;

	if (device->kind->type != UNTORN_DEVICE_NAMESPACE)
		return -EINVAL;
	if (!(kinds & kind_of(ns)))
		return -ENXIO;
	r = waits ? device_lock_reconfig_idle(device) : device_lock_reconfig(device);
	if (r < 0)
		return r;
	if (device->dead)
		r = -ENODEV;
	else
		r = namespace_is_busy(ns) ? -EBUSY : fn(ns, arg);
	device_unlock_reconfig(device);
	return r;
}

/* Set a field of the namespace and write it into the labels; if that fails, the field is as before. */
static int set_field(struct namespace *ns, void *field, const void *value, size_t len)
{
	uint8_t old[UNTORN_LABEL_NAME_LEN];
	int r;

	memcpy(old, field, len);
	memcpy(field, value, len);
	r = namespace_update_labels(ns);
	if (r < 0)
		memcpy(field, old, len);
	return r;
}

static void rename_space(struct region *region, const uint8_t *from, const uint8_t *to)
{
	for (unsigned i = 0; i < region->nmapping; i++)
		dpa_rename(&region->mappings[i].dimm->dpa, from, to);
}

/* Another uuid for what has one: only among labels. D20 */
static int rename_namespace(struct namespace *ns, const uint8_t *uuid)
{
	struct region *region = namespace_region(ns);
	uint8_t old[UUID_LEN];
	int r;

	if (!namespace_region_has_labels(region))
		return -EBUSY;
	memcpy(old, ns->uuid, sizeof(old));
	rename_space(region, old, uuid);
	r = set_field(ns, ns->uuid, uuid, UUID_LEN);
	if (r < 0)
		rename_space(region, uuid, old);
	return r;
}

static int set_uuid(struct namespace *ns, const void *arg)
{
	const uint8_t *uuid = arg;
	int r = check_uuid_is_free(ns, uuid);

	if (r < 0)
		return r;
	if (ns->has_uuid)
		return rename_namespace(ns, uuid);
	/* Nothing is allocated without a uuid, so no label has to be written yet. */
	memcpy(ns->uuid, uuid, UUID_LEN);
	ns->has_uuid = true;
	return 0;
}

static int set_uuid_text(struct namespace *ns, const void *arg)
{
	uint8_t uuid[UUID_LEN];
	int r = parse_uuid(arg, uuid);

	return r < 0 ? r : set_uuid(ns, uuid);
}

/* arg is the name; blanks around it are cut. */
static int set_alt_name(struct namespace *ns, const void *arg)
{
	char name[UNTORN_LABEL_NAME_LEN] = "";
	const char *start = arg;
	size_t len;

	while (isspace((unsigned char)*start))
		start++;
	for (len = strlen(start); len > 0 && isspace((unsigned char)start[len - 1]);)
		len--;
	if (len >= sizeof(name))
		return -EINVAL;
	memcpy(name, start, len);
	return set_field(ns, ns->alt_name, name, sizeof(name));
}

static int set_sector_size(struct namespace *ns, const void *arg)
{
	uint64_t size = *(const uint64_t *)arg;
	size_t n;
	const uint32_t *sizes = sector_sizes(ns, &n);

	return is_listed(size, sizes, n) ? set_field(ns, &ns->sector_size, &size, sizeof(size)) : -EINVAL;
}

static int set_sector_size_text(struct namespace *ns, const void *arg)
{
	uint64_t size;
	int r = parse_unsigned(arg, &size);

	return r < 0 ? r : set_sector_size(ns, &size);
}

static int set_holder_class(struct namespace *ns, const void *arg)
{
	enum untorn_holder_class holder_class = *(const enum untorn_holder_class *)arg;
	int r = 0;

	if (holder_class >= UNTORN_CLASS_UNKNOWN)
		return -EINVAL;
	if (holder_class == UNTORN_CLASS_BTT || holder_class == UNTORN_CLASS_BTT2)
		r = namespace_btt_class(namespace_region(ns), &holder_class);
	if (r < 0)
		return r;
	if (ns->nstype != UNTORN_NSTYPE_IO)
		return set_field(ns, &ns->holder_class, &holder_class, sizeof(holder_class));
	/* No label can keep it, but this session does. D29 */
	ns->holder_class = holder_class;
	return namespace_update_labels(ns);
}

static const char *const class_names[] = {
	[UNTORN_CLASS_NONE] = "",   [UNTORN_CLASS_BTT] = "btt", [UNTORN_CLASS_BTT2] = "btt",
	[UNTORN_CLASS_PFN] = "pfn", [UNTORN_CLASS_DAX] = "dax", [UNTORN_CLASS_UNKNOWN] = "<unknown>",
};

static int set_holder_class_text(struct namespace *ns, const void *arg)
{
	for (enum untorn_holder_class i = UNTORN_CLASS_NONE; i < UNTORN_CLASS_UNKNOWN; i++) {
		if (parse_word(arg, class_names[i]))
			return set_holder_class(ns, &i);
	}
	return -EINVAL;
}

static int set_size(struct namespace *ns, const void *arg)
{
	return namespace_set_size(ns, *(const uint64_t *)arg);
}

int untorn_namespace_set_uuid(struct untorn_device *device, const uint8_t uuid[16])
{
	return change(device, LABELLED, true, set_uuid, uuid);
}

int untorn_namespace_set_size(struct untorn_device *device, uint64_t size)
{
	return change(device, LABELLED, true, set_size, &size);
}

int untorn_namespace_set_alt_name(struct untorn_device *device, const char *name)
{
	return change(device, LABELLED, true, set_alt_name, name);
}

int untorn_namespace_set_sector_size(struct untorn_device *device, uint64_t sector_size)
{
	return change(device, LABELLED, false, set_sector_size, &sector_size);
}

int untorn_namespace_set_holder_class(struct untorn_device *device, enum untorn_holder_class holder_class)
{
	return change(device, ALL, true, set_holder_class, &holder_class);
}

/* Without a lock, and whoever holds the namespace: it counts at the next probe. S63 */
int untorn_namespace_set_force_raw(struct untorn_device *device, bool force_raw)
{
	int r;

	if (device->kind->type != UNTORN_DEVICE_NAMESPACE)
		return -EINVAL;
	r = device_lock(device);
	if (r < 0)
		return r;
	atomic_store(&to_namespace(device)->force_raw, force_raw);
	device_unlock(device);
	return 0;
}

/* ------------------------------------------------------------------- attributes ----------------------------------- */

/* Which field of struct untorn_namespace_info a row shows; in its arg above the bits of the kinds. */
enum field {
	NSTYPE = 1u << KIND_BITS,
	SIZE = 2u << KIND_BITS,
	MODE = 3u << KIND_BITS,
	UUID = 4u << KIND_BITS,
	HOLDER = 5u << KIND_BITS,
	HOLDER_CLASS = 6u << KIND_BITS,
	RESOURCE = 7u << KIND_BITS,
	ALT_NAME = 8u << KIND_BITS,
	FORCE_RAW = 9u << KIND_BITS,
	SECTOR_SIZE = 10u << KIND_BITS,
	DPA_EXTENTS = 11u << KIND_BITS,
};

static void show_sector_size(struct attr_text *text, const struct namespace *ns, uint64_t current)
{
	size_t n;
	const uint32_t *sizes = sector_sizes(ns, &n);

	attr_print_sizes(text, sizes, n, current);
}

static int show_field(struct attr_text *text, const struct namespace *ns, const struct untorn_namespace_info *info)
{
	switch ((enum field)(text->attr->arg & ~(unsigned)ALL)) {
	case NSTYPE:
		attr_printf(text, "%u\n", info->nstype);
		break;
	case SIZE:
		attr_printf(text, "%" PRIu64 "\n", info->size);
		break;
	case MODE:
		attr_printf(text, "%s\n", info->mode);
		break;
	case UUID:
		attr_print_uuid(text, info->has_uuid ? info->uuid : NULL);
		break;
	case HOLDER:
		attr_printf(text, "%s\n", info->holder);
		break;
	case HOLDER_CLASS:
		attr_printf(text, "%s\n", class_names[info->holder_class]);
		break;
	case RESOURCE:
		if (info->size == 0)
			return -ENXIO;
		attr_printf(text, "0x%" PRIx64 "\n", info->resource);
		break;
	case ALT_NAME:
		attr_printf(text, "%s\n", info->alt_name);
		break;
	case FORCE_RAW:
		attr_printf(text, "%d\n", info->force_raw);
		break;
	case SECTOR_SIZE:
		show_sector_size(text, ns, info->sector_size);
		break;
	case DPA_EXTENTS:
		attr_printf(text, "%u\n", info->dpa_extents);
		break;
	}
	return 0;
}

static int show_info(struct untorn_device *device, struct attr_text *text)
{
	struct untorn_namespace_info info;
	int r = untorn_namespace_get_info(device, &info);

	return r < 0 ? r : show_field(text, to_namespace(device), &info);
}

/* A number that is no number is refused before anything is locked. */
static int store_size(struct untorn_device *device, const char *text)
{
	uint64_t size;
	int r = parse_unsigned(text, &size);

	return r < 0 ? r : untorn_namespace_set_size(device, size);
}

static int store_uuid(struct untorn_device *device, const char *text)
{
	return change(device, LABELLED, true, set_uuid_text, text);
}

static int store_holder_class(struct untorn_device *device, const char *text)
{
	return change(device, ALL, true, set_holder_class_text, text);
}

static int store_sector_size(struct untorn_device *device, const char *text)
{
	return change(device, LABELLED, false, set_sector_size_text, text);
}

static int store_force_raw(struct untorn_device *device, const char *text)
{
	bool force_raw;
	int r = parse_bool(text, &force_raw);

	return r < 0 ? r : untorn_namespace_set_force_raw(device, force_raw);
}

static mode_t mode_by_kind(struct untorn_device *device, const struct attr *attr)
{
	return attr->arg & kind_of(to_namespace(device)) ? attr->mode : 0;
}

static mode_t size_mode(struct untorn_device *device, const struct attr *attr)
{
	return to_namespace(device)->nstype == UNTORN_NSTYPE_IO ? 0444 : attr->mode;
}

/* Section 9, S64. */
static const struct attr namespace_attrs[] = {
	{.name = "devtype", .mode = 0444, .show = attr_show_devtype},
	{.name = "modalias", .mode = 0444, .show = attr_show_modalias},
	ATTR_UEVENT,
	{"nstype", 0444, mode_by_kind, show_info, NULL, ALL | NSTYPE},
	{"size", 0644, size_mode, show_info, store_size, ALL | SIZE},
	{"mode", 0444, mode_by_kind, show_info, NULL, ALL | MODE},
	{"uuid", 0644, mode_by_kind, show_info, store_uuid, LABELLED | UUID},
	{"holder", 0444, mode_by_kind, show_info, NULL, ALL | HOLDER},
	{"holder_class", 0644, mode_by_kind, show_info, store_holder_class, ALL | HOLDER_CLASS},
	{"resource", 0400, mode_by_kind, show_info, NULL, IO | PMEM | RESOURCE},
	{"alt_name", 0644, mode_by_kind, show_info, untorn_namespace_set_alt_name, LABELLED | ALT_NAME},
	{"force_raw", 0644, mode_by_kind, show_info, store_force_raw, ALL | FORCE_RAW},
	{"sector_size", 0644, mode_by_kind, show_info, store_sector_size, LABELLED | SECTOR_SIZE},
	{"dpa_extents", 0444, mode_by_kind, show_info, NULL, LABELLED | DPA_EXTENTS},
	ATTR_NUMA_NODE,
	ATTR_TARGET_NODE,
	{.name = NULL},
};

/* ------------------------------------------------------------------- life ----------------------------------------- */

static void namespace_gone(struct untorn_device *device)
{
	bus_lock(device->bus);
	namespace_drop_space(to_namespace(device));
	bus_unlock(device->bus);
}

static void namespace_release(struct untorn_device *device)
{
	struct namespace *ns = to_namespace(device);

	namespace_gone(device); /* one that was never registered */
	if (ns->nstype != UNTORN_NSTYPE_IO)
		id_pool_give(device->bus, &namespace_region(ns)->ns_ids, device->id);
	free(ns->extents);
	free(ns);
}

static const struct device_kind kinds[] = {
	[UNTORN_NSTYPE_IO] = {UNTORN_DEVICE_NAMESPACE, "nd_namespace_io", namespace_attrs, namespace_gone,
			      namespace_release},
	[UNTORN_NSTYPE_PMEM] = {UNTORN_DEVICE_NAMESPACE, "nd_namespace_pmem", namespace_attrs, namespace_gone,
				namespace_release},
	[UNTORN_NSTYPE_BLK] = {UNTORN_DEVICE_NAMESPACE, "nd_namespace_blk", namespace_attrs, namespace_gone,
			       namespace_release},
};

static int namespace_new(struct region *region, enum untorn_nstype nstype, struct namespace **ret_ns)
{
	struct namespace *ns = calloc(1, sizeof(*ns));
	int id = 0;

	if (!ns)
		return -ENOMEM;
	if (nstype != UNTORN_NSTYPE_IO)
		id = id_pool_take(region->dev.bus, &region->ns_ids);
	if (id < 0) {
		free(ns);
		return id;
	}
	ns->nstype = nstype;
	device_init(&ns->dev, &kinds[nstype], &region->dev, id, "namespace%d.%d", region->dev.id, id);
	*ret_ns = ns;
	return 0;
}

int namespace_new_io(struct region *region, struct namespace **ret_ns)
{
	int r = namespace_new(region, UNTORN_NSTYPE_IO, ret_ns);

	if (r == 0)
		(*ret_ns)->size = region->size;
	return r;
}

int namespace_new_idle(struct region *region, struct namespace **ret_ns)
{
	return namespace_new(region, region_is_memory(region) ? UNTORN_NSTYPE_PMEM : UNTORN_NSTYPE_BLK, ret_ns);
}

static int take_label(struct namespace *ns, const struct untorn_label_namespace *label)
{
	ns->extents = reallocarray(NULL, label->nextent, sizeof(*ns->extents));
	if (!ns->extents)
		return -ENOMEM;
	memcpy(ns->extents, label->extents, label->nextent * sizeof(*ns->extents));
	ns->nextent = label->nextent;
	for (size_t i = 0; i < ns->nextent; i++)
		ns->size += ns->extents[i].size;
	ns->is_labelled = ns->has_uuid = true;
	memcpy(ns->uuid, label->uuid, UUID_LEN);
	memcpy(ns->label_uuid, label->uuid, UUID_LEN);
	memcpy(ns->alt_name, label->name, sizeof(ns->alt_name) - 1);
	ns->label_flags = label->flags & UNTORN_LABEL_READ_ONLY;
	ns->sector_size = label->lbasize;
	ns->holder_class = (enum untorn_holder_class)label->abstraction;
	return 0;
}

int namespace_new_labelled(struct region *region, const struct untorn_label_namespace *label, struct namespace **ret_ns)
{
	struct namespace *ns;
	int r = namespace_new_idle(region, &ns);

	if (r < 0)
		return r;
	r = take_label(ns, label);
	if (r < 0)
		untorn_device_put(&ns->dev);
	else
		*ret_ns = ns;
	return r;
}
