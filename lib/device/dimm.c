/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dimms: what they are, and the driver nvdimm, which reads their label areas.
 *
 * The label data is the opened area and the map of addresses that its active labels have. It comes with binding and goes
 * when neither the driver nor a region needs it; labels change through it only while regions are bound, and through
 * dimm-label.c only while none is. After the latter it is stale, and no region takes it until the dimm was bound anew.
 *
 * A dimm whose labels contradict each other does not bind. It counts as labelled all the same, so that its regions do not
 * come up as if there were no labels. So does one that pmem and blk regions share: without labels each would take all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define DSM_LABELS 0x70u /* functions 4 to 6: size, read, write */

/* ------------------------------------------------------------------- label data ------------------------------------------- */

bool dimm_is_enabled(const struct dimm *dimm)
{
	return device_is_bound(&dimm->dev) && (dimm->area || dimm->platform->label_size == 0);
}

/* The slot of the active label that has bytes of [start, start + size), which is known to be there. */
static uint32_t find_owner(struct dimm *dimm, uint64_t start, uint64_t size)
{
	struct untorn_label label = {.slot = 0};
	uint32_t slot = 0;

	while (untorn_label_next_active(dimm->area, slot, &label) == 0) {
		if (label.dpa < start + size && start < label.dpa + label.rawsize)
			break;
		slot = label.slot + 1;
	}
	return label.slot;
}

static int reserve_label(struct dimm *dimm, const struct untorn_label *label)
{
	int r;

	if (!range_fits(label->dpa, label->rawsize, dimm->platform->pmem_size)) {
		device_set_problem(&dimm->dev,
				   "the label in slot %u has %" PRIu64 " bytes at DPA %#" PRIx64
				   ", but the dimm has %" PRIu64 " bytes",
				   label->slot, label->rawsize, label->dpa, dimm->platform->pmem_size);
		return -EBUSY;
	}
	r = dpa_reserve(&dimm->dpa, label->uuid, label->dpa, label->rawsize);
	if (r == -EBUSY)
		device_set_problem(&dimm->dev,
				   "the labels in slots %u and %u both have bytes from DPA %#" PRIx64 " to %#" PRIx64,
				   find_owner(dimm, label->dpa, label->rawsize), label->slot, label->dpa,
				   label->dpa + label->rawsize);
	return r;
}

static int release_label(struct dimm *dimm, const struct untorn_label *label)
{
	return dpa_release(&dimm->dpa, label->uuid, label->dpa, label->rawsize);
}

/* Until fn fails. */
static int each_active_label(struct dimm *dimm, int (*fn)(struct dimm *dimm, const struct untorn_label *label))
{
	struct untorn_label label;
	uint32_t slot = 0;
	int r;

	while ((r = untorn_label_next_active(dimm->area, slot, &label)) == 0) {
		r = fn(dimm, &label);
		if (r < 0)
			return r;
		slot = label.slot + 1;
	}
	return r == -ENOENT ? 0 : r;
}

int dimm_reserve_labels(struct dimm *dimm)
{
	return each_active_label(dimm, reserve_label);
}

int dimm_release_labels(struct dimm *dimm)
{
	return each_active_label(dimm, release_label);
}

int dimm_find_label(struct dimm *dimm, const uint8_t *uuid)
{
	struct untorn_label label = {.slot = 0};
	uint32_t slot = 0;
	int r = -ENOENT;

	while (dimm->area && (r = untorn_label_next_active(dimm->area, slot, &label)) == 0) {
		if (memcmp(label.uuid, uuid, UUID_LEN) == 0)
			break;
		slot = label.slot + 1;
	}
	return r;
}

static void forget_labels(struct dimm *dimm)
{
	untorn_label_close(dimm->area);
	dimm->area = NULL;
	dpa_done(&dimm->dpa);
}

int dimm_open_labels(const struct dimm *dimm, struct untorn_label_area **ret_area)
{
	const struct platform_dimm *platform = dimm->platform;

	return untorn_label_open(platform->media, platform->size - platform->label_size, platform->label_size,
				 ret_area);
}

static int load_labels(struct dimm *dimm)
{
	struct untorn_label_area_info info;
	bool is_kept = dimm->area;
	int r = is_kept ? 0 : dimm_open_labels(dimm, &dimm->area);

	if (!is_kept)
		dimm->stale = r < 0;
	if (r < 0) {
		device_set_problem(&dimm->dev, "the label area cannot be read: %s", untorn_strerror(r));
		return r;
	}
	untorn_label_get_info(dimm->area, &info);
	dimm->labelling = dimm->shared || info.version != UNTORN_LABEL_NONE;
	if (is_kept)
		return 0;
	r = dimm_reserve_labels(dimm);
	if (r < 0)
		forget_labels(dimm);
	return r;
}

void dimm_hold(struct dimm *dimm)
{
	dimm->busy++;
}

void dimm_drop(struct dimm *dimm)
{
	dimm->busy--;
	if (dimm->busy == 0 && !device_is_bound(&dimm->dev))
		forget_labels(dimm);
}

/* ------------------------------------------------------------------- driver ----------------------------------------------- */

static bool is_dimm(const struct untorn_device *device)
{
	return device->kind->type == UNTORN_DEVICE_DIMM;
}

static int dimm_probe(struct untorn_device *device)
{
	struct dimm *dimm = to_dimm(device);
	int r = 0;

	device_set_problem(device, NULL);
	if (dimm->platform->label_size == 0) {
		if (!dimm->shared)
			return 0;
		device_set_problem(device, "blk and pmem regions share the dimm, but it has no label area");
		return -ENXIO;
	}
	if (dimm->locked) {
		device_set_problem(device, "the dimm is locked: its labels cannot be read");
		return -EACCES;
	}
	bus_lock(device->bus);
	r = load_labels(dimm);
	bus_unlock(device->bus);
	return r;
}

static void dimm_remove(struct untorn_device *device)
{
	struct dimm *dimm = to_dimm(device);

	bus_lock(device->bus);
	if (dimm->busy == 0)
		forget_labels(dimm);
	bus_unlock(device->bus);
}

const struct driver driver_nvdimm = {
	.name = "nvdimm",
	.by_hand = true,
	.matches = is_dimm,
	.probe = dimm_probe,
	.remove = dimm_remove,
};

/* ------------------------------------------------------------------- attributes ------------------------------------------- */

/* -ENXIO: not bound, or no label area. Without an index all slots of a v1.2 area count as free; one is always kept. */
static int available_slots(const struct dimm *dimm)
{
	struct untorn_label_area_info info;
	uint32_t nfree;

	if (!dimm->area || !device_is_bound(&dimm->dev))
		return -ENXIO;
	untorn_label_get_info(dimm->area, &info);
	nfree = info.version == UNTORN_LABEL_NONE ? untorn_label_nslot(UNTORN_LABEL_V1_2, info.size) : info.nfree;
	return nfree > 0 ? (int)nfree - 1 : 0;
}

/* NFIT's fields as the kernel shows them: vendor, device and serial numbers with their bytes in memory's order. */
static void format_unique_id(const struct platform_identity *id, char *text, size_t size)
{
	unsigned vendor = __builtin_bswap16(id->vendor), serial = __builtin_bswap32(id->serial);

	if (id->has_manufacturing)
		snprintf(text, size, "%04x-%02x-%04x-%08x", vendor, id->location, __builtin_bswap16(id->date), serial);
	else
		snprintf(text, size, "%04x-%08x", vendor, serial);
}

static int show_dev(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%u:%d\n", DIMM_MAJOR, device->id);
	return 0;
}

/* Regions have its label data. */
static bool is_active(const struct dimm *dimm)
{
	return dimm->busy > 0 && dimm->area;
}

static int show_state(struct untorn_device *device, struct attr_text *text)
{
	bus_lock(device->bus);
	attr_printf(text, "%s\n", is_active(to_dimm(device)) ? "active" : "idle");
	bus_unlock(device->bus);
	return 0;
}

static int show_flags(struct untorn_device *device, struct attr_text *text)
{
	const struct dimm *dimm = to_dimm(device);

	bus_lock(device->bus);
	attr_printf(text, "%s%s\n", dimm->labelling ? "label " : "", dimm->locked ? "lock " : "");
	bus_unlock(device->bus);
	return 0;
}

static int show_commands(struct untorn_device *device, struct attr_text *text)
{
	if (to_dimm(device)->platform->label_size > 0)
		attr_printf(text, "get_size get_data set_data ");
	attr_printf(text, "cmd_call \n");
	return 0;
}

static int show_available_slots(struct untorn_device *device, struct attr_text *text)
{
	int n;

	bus_lock(device->bus);
	n = available_slots(to_dimm(device));
	bus_unlock(device->bus);
	if (n < 0)
		return n;
	attr_printf(text, "%d\n", n);
	return 0;
}

static int show_handle(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "0x%x\n", to_dimm(device)->platform->id.handle);
	return 0;
}

static int show_phys_id(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "0x%x\n", to_dimm(device)->platform->id.phys_id);
	return 0;
}

static int show_format(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "0x%04x\n", to_dimm(device)->platform->id.format);
	return 0;
}

static int show_formats(struct untorn_device *device, struct attr_text *text)
{
	(void)device;
	attr_printf(text, "1\n");
	return 0;
}

static int show_serial(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "0x%08x\n", __builtin_bswap32(to_dimm(device)->platform->id.serial));
	return 0;
}

static int show_id(struct untorn_device *device, struct attr_text *text)
{
	char id[32];

	format_unique_id(&to_dimm(device)->platform->id, id, sizeof(id));
	attr_printf(text, "%s\n", id);
	return 0;
}

/* The 16-bit numbers of an identity; arg is where they stand in it. */
static int show_number(struct untorn_device *device, struct attr_text *text)
{
	uint16_t value;

	memcpy(&value, (const char *)&to_dimm(device)->platform->id + text->attr->arg, sizeof(value));
	attr_printf(text, "0x%04x\n", __builtin_bswap16(value));
	return 0;
}

static int show_nfit_flags(struct untorn_device *device, struct attr_text *text)
{
	attr_printf(text, "%s\n", to_dimm(device)->platform->unarmed ? "not_armed " : "");
	return 0;
}

/* Without labels the dimm has no functions, and so no known family of them. */
static int show_family(struct untorn_device *device, struct attr_text *text)
{
	if (to_dimm(device)->platform->label_size == 0)
		return -ENXIO;
	attr_printf(text, "0\n");
	return 0;
}

static int show_dsm_mask(struct untorn_device *device, struct attr_text *text)
{
	if (to_dimm(device)->platform->label_size == 0)
		return -ENXIO;
	attr_printf(text, "0x%x\n", DSM_LABELS);
	return 0;
}

#define NUMBER(attr, member)                                             \
	{                                                                \
		.name = "nfit/" attr, .mode = 0444, .show = show_number, \
		.arg = offsetof(struct platform_identity, member),       \
	}

static const struct attr dimm_attrs[] = {
	{.name = "available_slots", .mode = 0444, .show = show_available_slots},
	{.name = "commands", .mode = 0444, .show = show_commands},
	{.name = "dev", .mode = 0444, .show = show_dev},
	{.name = "devtype", .mode = 0444, .show = attr_show_devtype},
	{.name = "flags", .mode = 0444, .show = show_flags},
	{.name = "modalias", .mode = 0444, .show = attr_show_modalias},
	{.name = "state", .mode = 0444, .show = show_state},
	ATTR_UEVENT,
	NUMBER("device", device),
	{.name = "nfit/dsm_mask", .mode = 0444, .show = show_dsm_mask},
	{.name = "nfit/family", .mode = 0444, .show = show_family},
	{.name = "nfit/flags", .mode = 0444, .show = show_nfit_flags},
	{.name = "nfit/format", .mode = 0444, .show = show_format},
	{.name = "nfit/formats", .mode = 0444, .show = show_formats},
	{.name = "nfit/handle", .mode = 0444, .show = show_handle},
	{.name = "nfit/id", .mode = 0444, .show = show_id},
	{.name = "nfit/phys_id", .mode = 0444, .show = show_phys_id},
	NUMBER("rev_id", revision),
	{.name = "nfit/serial", .mode = 0444, .show = show_serial},
	NUMBER("subsystem_device", subsystem_device),
	NUMBER("subsystem_rev_id", subsystem_revision),
	NUMBER("subsystem_vendor", subsystem_vendor),
	NUMBER("vendor", vendor),
	{.name = NULL},
};

/* ------------------------------------------------------------------- life ------------------------------------------------- */

static void dimm_release(struct untorn_device *device)
{
	free(to_dimm(device));
}

static const struct device_kind dimm_kind = {
	.type = UNTORN_DEVICE_DIMM,
	.devtype = "nvdimm",
	.attrs = dimm_attrs,
	.release = dimm_release,
};

static bool is_mapped_by(const struct platform_region *region, unsigned dimm)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (region->mappings[i].dimm == dimm)
			return true;
	}
	return false;
}

static bool is_shared(const struct untorn_platform *platform, unsigned dimm)
{
	bool pmem = false, blk = false;

	for (unsigned i = 0; i < platform->nregion; i++) {
		if (is_mapped_by(&platform->regions[i], dimm))
			*(platform->regions[i].kind == UNTORN_REGION_BLK ? &blk : &pmem) = true;
	}
	return pmem && blk;
}

int dimm_new(struct untorn_bus *bus, unsigned index, struct dimm **ret_dimm)
{
	struct dimm *dimm = calloc(1, sizeof(*dimm));

	if (!dimm)
		return -ENOMEM;
	dimm->platform = &bus->platform->dimms[index];
	dimm->locked = dimm->platform->locked;
	dimm->shared = dimm->labelling = is_shared(bus->platform, index);
	device_init(&dimm->dev, &dimm_kind, &bus->dev, (int)index, "nmem%u", index);
	*ret_dimm = dimm;
	return 0;
}

int untorn_dimm_get_info(struct untorn_device *device, struct untorn_dimm_info *ret_info)
{
	const struct dimm *dimm = to_dimm(device);
	struct untorn_label_area_info area = {.version = UNTORN_LABEL_NONE};
	int r;

	if (!is_dimm(device))
		return -EINVAL;
	r = device_lock_reconfig(device);
	if (r < 0)
		return r;

	const struct platform_dimm *platform = dimm->platform;
	int nslot = available_slots(dimm);

	if (dimm->area)
		untorn_label_get_info(dimm->area, &area);
	*ret_info = (struct untorn_dimm_info){
		.bound = device_is_bound(device),
		.active = is_active(dimm),
		.locked = dimm->locked,
		.labelling = dimm->labelling,
		.handle = platform->id.handle,
		.phys_id = platform->id.phys_id,
		.serial = platform->id.serial,
		.vendor = platform->id.vendor,
		.device = platform->id.device,
		.revision = platform->id.revision,
		.size = platform->size,
		.label_size = platform->label_size,
		.available_slots = nslot < 0 ? -1 : nslot,
		.label_version = area.version,
		.unarmed = platform->unarmed,
	};
	format_unique_id(&platform->id, ret_info->unique_id, sizeof(ret_info->unique_id));
	device_unlock_reconfig(device);
	return 0;
}
