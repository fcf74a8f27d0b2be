/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drivers nd_pmem (io and pmem namespaces and their btts) and nd_blk (blk namespaces and theirs): binding makes a disk.
 *
 *	a namespace   nobody may claim it; a BTT found on it becomes a btt, which then claims it and binds in its place, and the
 *		      namespace itself does not bind (-ENXIO); else it is a raw disk
 *	a btt         claims a namespace that is not bound; opens the BTT there, or makes one where there is none
 *
 * What is on media decides. Existing metadata is used as it is found. A damaged BTT is left alone, to be mended; only where there is
 * no info block, or an intact one that belongs to another container, and no backup says that this btt was here, a new BTT is made.
 *
 * A probe holds its device's lock. It takes what it needs under the bus lock, together with the medium, and works on that copy: while
 * the device is bound, or claimed, nobody changes the namespace.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "btt/info.h"
#include "device/device.h"

#define BLK_SECTOR_ALIGN 64u /* on a blk namespace, sectors with metadata are padded to this */

/* What a probe works on. */
struct target {
	struct untorn_device *device; /* that is probed */
	struct namespace *ns;
	struct untorn_media *media;
	uint64_t size, sector_size; /* of the namespace */
	const struct btt_profile *profile;
	uint8_t parent_uuid[UUID_LEN]; /* zero: the namespace has none */
	bool read_only;
};

/* ------------------------------------------------------------------- checks ----------------------------------------------- */

static bool is_blk_sector_size(uint64_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespace_sizes_blk); i++) {
		if (namespace_sizes_blk[i] == size)
			return true;
	}
	return false;
}

/* A label may say any sector size. Where the bytes of a disk lie depends on it for blk only. */
static bool is_configured(const struct namespace *ns)
{
	switch (ns->nstype) {
	case UNTORN_NSTYPE_PMEM:
		return ns->has_uuid;
	case UNTORN_NSTYPE_BLK:
		return ns->has_uuid && is_blk_sector_size(ns->sector_size);
	default:
		return true;
	}
}

/* S70 to S72, D7, D17. Bus lock held. */
static int check_namespace(const struct target *t)
{
	struct region *region = namespace_region(t->ns);

	if (region_is_locked(region)) {
		device_set_problem(t->device, "a dimm of %s is locked: unlock it first", region->dev.name);
		return -EACCES;
	}
	if (t->ns->nstype == UNTORN_NSTYPE_BLK && t->ns->sector_size > 0 && !is_blk_sector_size(t->ns->sector_size))
		device_set_problem(t->device, "%s has sectors of %llu bytes, which no disk can have: set sector_size",
				   t->ns->dev.name, (unsigned long long)t->ns->sector_size);
	return t->ns->size < PAGE || !is_configured(t->ns) ? -ENODEV : 0;
}

/* Bus lock held. */
static void read_namespace(struct target *t)
{
	const struct namespace *ns = t->ns;
	const struct region *region = namespace_region(ns);

	t->size = ns->size;
	t->sector_size = ns->sector_size;
	t->profile = btt_profile(namespace_btt_layout(ns));
	t->read_only = region->read_only || (region->dev.bus->flags & UNTORN_BUS_READ_ONLY);
	if (ns->has_uuid)
		memcpy(t->parent_uuid, ns->uuid, UUID_LEN);
}

/* Bus lock held. On success the caller closes the medium. */
static int take_target(struct target *t)
{
	int r = namespace_media(t->ns, &t->media);

	if (r < 0)
		device_set_problem(t->device, "the memory of %s cannot be used: %s", t->ns->dev.name,
				   untorn_strerror(r));
	else
		read_namespace(t);
	return r;
}

/* ------------------------------------------------------------------- disks ------------------------------------------------ */

/* Index 0 of a memory region goes without index. D12 */
static void name_disk(const struct namespace *ns, bool is_btt, char *name, size_t size)
{
	int region = ns->dev.parent->id, index = ns->dev.id;
	const char *suffix = is_btt ? "s" : "";

	if (ns->nstype == UNTORN_NSTYPE_BLK)
		snprintf(name, size, "ndblk%d.%d%s", region, index, suffix);
	else if (index > 0)
		snprintf(name, size, "pmem%d.%d%s", region, index, suffix);
	else
		snprintf(name, size, "pmem%d%s", region, suffix);
}

static int make_disk(const struct target *t, const struct disk_source *source, struct untorn_disk **ret_disk)
{
	char name[DEVICE_NAME_LEN];

	name_disk(t->ns, source->volume, name, sizeof(name));
	return disk_new(name, source, ret_disk);
}

static int make_raw_disk(const struct target *t, struct untorn_disk **ret_disk)
{
	bool never_writes = untorn_media_is_read_only(t->media);
	struct disk_source source = {
		.media = t->media,
		.logical = t->sector_size >= 4096 ? 4096 : 512,
		.read_only = t->read_only || never_writes,
		.never_writes = never_writes,
	};

	source.stride = source.logical;
	if (t->ns->nstype == UNTORN_NSTYPE_BLK)
		source.stride = (uint32_t)round_up(t->sector_size, BLK_SECTOR_ALIGN);
	source.size = t->size / source.stride * source.logical;
	return make_disk(t, &source, ret_disk);
}

static int make_btt_disk(const struct target *t, struct untorn_btt *volume, struct untorn_disk **ret_disk)
{
	struct untorn_btt_info info;

	untorn_btt_get_info(volume, &info);

	struct disk_source source = {
		.volume = volume,
		.size = info.size,
		.logical = info.sector_size,
		.stride = info.sector_size,
		.read_only = t->read_only || info.read_only,
		.never_writes = untorn_media_is_read_only(t->media),
	};

	return make_disk(t, &source, ret_disk);
}

/* ------------------------------------------------------------------- what is on media ------------------------------------- */

static void set_damaged(const struct target *t, const char *what)
{
	device_set_problem(t->device,
			   "the BTT on %s is damaged (%s); nothing was changed; "
			   "untorn check-namespace --repair %s may mend it",
			   t->ns->dev.name, what, t->ns->dev.name);
}

static void set_unopened(const struct target *t, int error)
{
	device_set_problem(t->device, "cannot open the BTT on %s%s: %s", t->ns->dev.name,
			   t->read_only ? "" : " for writing", untorn_strerror(error));
}

enum found {
	FOUND_NOTHING, /* no info block, or the intact one of another container */
	FOUND_DAMAGED, /* a broken info block */
	FOUND_BTT,     /* an intact info block that belongs here */
};

static int look_at_media(struct untorn_media *media, const struct btt_profile *profile, const uint8_t *parent_uuid,
			 enum found *ret_found, struct btt_info *ret_info)
{
	struct btt_info_block block;
	int r = info_read(media, profile->base, &block);

	if (r < 0)
		return r;
	switch (info_fault(&block)) {
	case INFO_NO_SIGNATURE:
		*ret_found = FOUND_NOTHING;
		break;
	case INFO_BAD_CHECKSUM:
		*ret_found = FOUND_DAMAGED;
		break;
	case INFO_OK:
		info_decode(&block, ret_info);
		*ret_found = info_parent_ok(ret_info, profile, parent_uuid) ? FOUND_BTT : FOUND_NOTHING;
		break;
	}
	return 0;
}

/* Bus lock held. S43, S44, S46 */
static int take_media(struct namespace *ns, struct target *t)
{
	int r;

	if (!BTT_SUPPORT || atomic_load(&ns->force_raw) || !claim_may_be_btt(ns) || ns->dev.dead)
		return -ENODEV;
	if (ns->claim)
		return -ENOMEM;
	if (ns->size < BTT_MIN_SIZE)
		return -ENXIO;
	r = take_target(t);
	return r < 0 && r != -ENOMEM ? -ENXIO : r;
}

/* Bus lock held. */
static struct btt *adopt(struct namespace *ns, const struct btt_info *info)
{
	struct btt *btt = ns->dev.dead ? NULL : btt_new(namespace_region(ns), ns);

	if (!btt)
		return NULL;
	btt->sector_size = info->geometry.external_lbasize;
	btt->has_uuid = true;
	memcpy(btt->uuid, info->uuid, UUID_LEN);
	return btt;
}

/* The btt is made after looking, so that nothing is ever to be taken back. S47, S48 */
int probe_media(struct namespace *ns)
{
	struct untorn_bus *bus = ns->dev.bus;
	struct target t = {.device = &ns->dev, .ns = ns};
	enum found found = FOUND_NOTHING;
	struct btt_info info;
	struct btt *btt;
	int r;

	bus_lock(bus);
	r = take_media(ns, &t);
	bus_unlock(bus);
	if (r < 0)
		return r;
	r = look_at_media(t.media, t.profile, t.parent_uuid, &found, &info);
	untorn_media_close(t.media);
	if (r < 0)
		return -ENXIO;
	if (found == FOUND_DAMAGED)
		set_damaged(&t, "checksum of the info block"); /* which is why it will be a raw disk */
	if (found != FOUND_BTT || !info_version_ok(&info, t.profile))
		return -ENODEV;

	bus_lock(bus);
	btt = adopt(ns, &info);
	bus_unlock(bus);
	if (!btt)
		return -ENOMEM;
	device_register(&btt->dev);
	untorn_device_put(&btt->dev);
	return 0;
}

/* ------------------------------------------------------------------- namespaces ------------------------------------------- */

/* Bus lock held. */
static int check_unclaimed(struct target *t)
{
	int r;

	if (t->ns->claim)
		return -ENXIO;
	r = check_namespace(t);
	return r < 0 ? r : take_target(t);
}

/* S78 to S80. Where it is not known whether there is a BTT (-ENOMEM), the sectors are not given out raw. */
static int bind_raw(struct target *t)
{
	struct namespace *ns = t->ns;
	int r = probe_media(ns);

	if (r == 0)
		return -ENXIO;
	if (r == -ENOMEM)
		return r;
	r = make_raw_disk(t, &ns->disk);
	if (r == 0)
		ns->media = t->media;
	return r;
}

static int probe_namespace(struct untorn_device *device)
{
	struct target t = {.device = device, .ns = to_namespace(device)};
	int r;

	bus_lock(device->bus);
	r = check_unclaimed(&t);
	bus_unlock(device->bus);
	if (r < 0)
		return r;
	r = bind_raw(&t);
	if (r < 0)
		untorn_media_close(t.media);
	return r;
}

static void remove_namespace(struct namespace *ns)
{
	disk_end(ns->disk);
	untorn_media_close(ns->media);
	disk_put(ns->disk);
	ns->disk = NULL;
	ns->media = NULL;
}

/* ------------------------------------------------------------------- btts ------------------------------------------------- */

/* Bus lock held. S67, S68 and what a new BTT needs. */
static int check_claimed(struct target *t)
{
	const struct btt *btt = to_btt(t->device);
	int r;

	if (device_is_bound(&t->ns->dev)) {
		device_set_problem(t->device, "%s is in use as a raw disk: disable it first", t->ns->dev.name);
		return -EBUSY;
	}
	if (t->ns->claim != t->device)
		return -ENXIO;
	r = check_namespace(t);
	if (r < 0)
		return r;
	if (!btt->has_uuid || btt->sector_size == 0) {
		device_set_problem(t->device, "uuid and sector_size are to be set first");
		return -ENODEV;
	}
	return take_target(t);
}

static int format(const struct target *t)
{
	const struct btt *btt = to_btt(t->device);
	struct untorn_btt_format_options options = {
		.layout = t->profile->layout,
		.sector_size = btt->sector_size,
		.uuid = btt->uuid,
		.parent_uuid = t->parent_uuid,
		.flags = UNTORN_BTT_FORCE,
	};
	int r;

	if (t->read_only || untorn_media_is_read_only(t->media)) {
		device_set_problem(t->device, "there is no BTT on %s, and it is read-only", t->ns->dev.name);
		return -EROFS;
	}
	/* Power cut in there: there is no BTT, and binding makes one again. */
	r = untorn_btt_format(t->media, &options);
	/* A backup alone would look like the rest of a BTT that was destroyed. */
	if (r == -EIO || r == -ENOSPC)
		untorn_btt_erase(t->media);
	if (r < 0)
		device_set_problem(t->device, "cannot make a BTT on %s: %s", t->ns->dev.name, untorn_strerror(r));
	return r;
}

/*
 * No info block is where it should be, but its backup is that of this very btt: it was destroyed, and making a new BTT would
 * destroy the rest. A backup of another uuid is what an earlier volume has left.
 */
static int look_at_backup(const struct target *t, enum found *ret_found)
{
	uint64_t base = t->profile->base;
	struct btt_info_block block;
	struct btt_info info;
	int r = info_read(t->media, base + geometry_backup_off(t->size - base), &block);

	if (r < 0 || info_fault(&block) != INFO_OK)
		return r;
	info_decode(&block, &info);
	if (info_parent_ok(&info, t->profile, t->parent_uuid) &&
	    memcmp(info.uuid, to_btt(t->device)->uuid, UUID_LEN) == 0)
		*ret_found = FOUND_DAMAGED;
	return 0;
}

/* Open the BTT that is on the namespace. */
static int open_found(const struct target *t, struct untorn_btt **ret_volume)
{
	struct untorn_btt_open_options options = {
		.layout = t->profile->layout,
		.parent_uuid = t->parent_uuid,
		.flags = t->read_only ? UNTORN_BTT_READ_ONLY : 0,
	};
	int r = untorn_btt_open(t->media, &options, ret_volume);

	if (r == -EUCLEAN)
		set_damaged(t, "untorn check-namespace tells where");
	else if (r < 0)
		set_unopened(t, r);
	return r;
}

/* Open the BTT on the namespace, or make it. */
static int open_volume(const struct target *t, struct untorn_btt **ret_volume)
{
	enum found found = FOUND_NOTHING;
	struct btt_info info;
	int r = look_at_media(t->media, t->profile, t->parent_uuid, &found, &info);
	bool is_first_bad = found == FOUND_DAMAGED;

	if (r == 0 && found == FOUND_NOTHING)
		r = look_at_backup(t, &found);
	if (r == 0 && found == FOUND_DAMAGED) {
		set_damaged(t,
			    is_first_bad ? "checksum of the info block" : "only the backup of its info block is left");
		return -EUCLEAN;
	}
	if (r == 0 && found == FOUND_NOTHING) {
		r = format(t);
		if (r < 0)
			return r;
	}
	if (r == 0)
		return open_found(t, ret_volume);
	set_unopened(t, r);
	return r;
}

/* What is on media is what the btt is. */
static void take_volume(struct btt *btt, struct untorn_media *media, struct untorn_btt *volume)
{
	struct untorn_btt_info info;

	untorn_btt_get_info(volume, &info);
	btt->media = media;
	btt->volume = volume;
	atomic_store(&btt->size, info.size);
	bus_lock(btt->dev.bus);
	btt->sector_size = info.sector_size + info.meta_size;
	memcpy(btt->uuid, info.uuid, UUID_LEN);
	bus_unlock(btt->dev.bus);
}

static int bind_btt(struct target *t)
{
	struct btt *btt = to_btt(t->device);
	struct untorn_btt *volume;
	int r;

	if (t->size < t->profile->base + BTT_MIN_SIZE) {
		device_set_problem(t->device, "%s is too small for a BTT: it needs %llu bytes", t->ns->dev.name,
				   (unsigned long long)(t->profile->base + BTT_MIN_SIZE));
		return -ENXIO;
	}
	if (open_volume(t, &volume) < 0)
		return -ENOMEM;
	r = make_btt_disk(t, volume, &btt->disk);
	if (r < 0) {
		untorn_btt_close(volume);
		return r;
	}
	take_volume(btt, t->media, volume);
	return 0;
}

static int probe_claimed(struct untorn_device *device, struct namespace *ns)
{
	struct target t = {.device = device, .ns = ns};
	int r = device_pass(&ns->dev); /* a probe or removal that is under way is over then. S66 */

	if (r < 0)
		return r;
	bus_lock(device->bus);
	r = check_claimed(&t);
	bus_unlock(device->bus);
	if (r < 0)
		return r;
	r = bind_btt(&t);
	if (r < 0)
		untorn_media_close(t.media);
	return r;
}

static int probe_btt(struct untorn_device *device)
{
	_cleanup_device_ struct untorn_device *ns = btt_get_namespace(to_btt(device));

	if (!ns)
		return -ENODEV;
	return probe_claimed(device, to_namespace(ns));
}

/* Closing commits what is buffered. Who closes the bus hears of a failure. */
static void remove_btt(struct btt *btt)
{
	struct untorn_bus *bus = btt->dev.bus;
	int r;

	disk_end(btt->disk);
	r = untorn_btt_close(btt->volume);
	/* Power cut here: each sector is as the last write that was durable, or a later one, left it. */
	untorn_media_close(btt->media);
	disk_put(btt->disk);
	atomic_store(&btt->size, 0);
	btt->disk = NULL;
	btt->volume = NULL;
	btt->media = NULL;
	if (r == 0)
		return;
	device_set_problem(&btt->dev, "closing the BTT failed: %s; what was written last may be lost",
			   untorn_strerror(r));
	bus_lock(bus);
	if (bus->close_error == 0)
		bus->close_error = r;
	bus_unlock(bus);
}

/* ------------------------------------------------------------------- read-only regions ------------------------------------ */

static bool is_same_volume(const struct untorn_btt *a, const struct untorn_btt *b)
{
	struct untorn_btt_info x, y;

	untorn_btt_get_info(a, &x);
	untorn_btt_get_info(b, &y);
	return memcmp(x.uuid, y.uuid, UUID_LEN) == 0 && x.size == y.size && x.sector_size == y.sector_size;
}

/*
 * Reads go on meanwhile, on the volume of before: the writes that opening finishes are those that it shows as finished. Nothing is
 * written before it has gone.
 */
static int open_for_writing(struct btt *btt)
{
	_cleanup_device_ struct untorn_device *ns = btt_get_namespace(btt);
	struct target t = {.device = &btt->dev, .ns = to_namespace(ns), .media = btt->media};
	struct untorn_btt *volume;
	int r;

	bus_lock(btt->dev.bus);
	read_namespace(&t);
	bus_unlock(btt->dev.bus);
	device_set_problem(&btt->dev, NULL);
	/* Power cut in there: as one when it is bound. */
	r = open_found(&t, &volume);
	if (r < 0)
		return r;
	if (!is_same_volume(volume, btt->volume)) {
		untorn_btt_close(volume);
		device_set_problem(&btt->dev, "there is another BTT on %s than the one that was bound: bind it again",
				   ns->name);
		return -EBUSY;
	}
	disk_set_volume(btt->disk, volume);
	untorn_btt_close(btt->volume);
	btt->volume = volume;
	return 0;
}

void btt_set_read_only(struct btt *btt, bool read_only)
{
	struct untorn_btt_info info;
	int r;

	if (!btt->disk)
		return;
	untorn_btt_get_info(btt->volume, &info);
	if (!read_only && info.read_only && !untorn_media_is_read_only(btt->media) && open_for_writing(btt) < 0)
		return;
	disk_set_read_only(btt->disk, read_only);
	r = read_only ? untorn_btt_flush(btt->volume) : 0;
	if (r < 0)
		device_set_problem(&btt->dev, "a flush failed: %s; what was written last may be lost",
				   untorn_strerror(r));
}

/* ------------------------------------------------------------------- drivers ---------------------------------------------- */

static bool is_of_blk(const struct untorn_device *device)
{
	return !region_is_memory(to_region(device->parent));
}

static bool is_disk_device(const struct untorn_device *device)
{
	return untorn_device_type(device) == UNTORN_DEVICE_NAMESPACE || device_is_btt(device);
}

static bool pmem_matches(const struct untorn_device *device)
{
	return is_disk_device(device) && !is_of_blk(device);
}

static bool blk_matches(const struct untorn_device *device)
{
	return is_disk_device(device) && is_of_blk(device);
}

static int disk_probe(struct untorn_device *device)
{
	device_set_problem(device, NULL);
	return device_is_btt(device) ? probe_btt(device) : probe_namespace(device);
}

/* S81 */
static void disk_remove(struct untorn_device *device)
{
	if (device_is_btt(device))
		remove_btt(to_btt(device));
	else
		remove_namespace(to_namespace(device));
}

const struct driver driver_nd_pmem = {
	.name = "nd_pmem",
	.by_hand = true,
	.matches = pmem_matches,
	.probe = disk_probe,
	.remove = disk_remove,
	.bound = seed_after_probe,
};

const struct driver driver_nd_blk = {
	.name = "nd_blk",
	.by_hand = true,
	.matches = blk_matches,
	.probe = disk_probe,
	.remove = disk_remove,
	.bound = seed_after_probe,
};
