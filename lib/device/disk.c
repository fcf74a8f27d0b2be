/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disks: bytes in and out of a bound namespace or btt.
 *
 * A disk is made when its device is bound, ended when it is unbound, and freed when the last who opened it closes it. I/O passes
 * the disk's gate, so the medium and the volume stay as long as somebody uses them; after the end nothing of them is touched. While
 * its volume is exchanged, I/O waits at the gate.
 *
 * A raw disk shows the namespace as it is: nothing is atomic, everything is durable on return. Of a blk namespace whose sectors
 * have metadata, it shows the data, each sector at its stride. A btt disk shows the sectors of its volume.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/device.h"
#include "device/gate.h"

#define PHYSICAL_MIN 4096u

struct untorn_disk {
	struct gate gate;
	_Atomic unsigned refs;
	_Atomic bool read_only;
	bool is_btt;
	char name[DEVICE_NAME_LEN];
	struct disk_source source; /* its volume: inside the gate */
};

/* ------------------------------------------------------------------- life ------------------------------------------------- */

int disk_new(const char *name, const struct disk_source *source, struct untorn_disk **ret_disk)
{
	struct untorn_disk *disk = aligned_alloc(alignof(struct untorn_disk), sizeof(*disk));

	if (!disk)
		return -ENOMEM;
	gate_init(&disk->gate);
	atomic_init(&disk->refs, 1);
	atomic_init(&disk->read_only, source->read_only);
	disk->is_btt = source->volume;
	snprintf(disk->name, sizeof(disk->name), "%s", name);
	disk->source = *source;
	*ret_disk = disk;
	return 0;
}

void disk_end(struct untorn_disk *disk)
{
	gate_close(&disk->gate);
}

void disk_put(struct untorn_disk *disk)
{
	if (atomic_fetch_sub(&disk->refs, 1) != 1)
		return;
	gate_done(&disk->gate);
	free(disk);
}

void disk_set_read_only(struct untorn_disk *disk, bool read_only)
{
	atomic_store(&disk->read_only, read_only || disk->source.never_writes);
	/* Those who are inside may have found it writable. */
	if (read_only) {
		gate_pause(&disk->gate);
		gate_resume(&disk->gate);
	}
}

void disk_set_volume(struct untorn_disk *disk, struct untorn_btt *volume)
{
	gate_pause(&disk->gate);
	disk->source.volume = volume;
	gate_resume(&disk->gate);
}

int untorn_disk_open(struct untorn_device *device, struct untorn_disk **ret_disk)
{
	bool is_btt = device_is_btt(device);
	struct untorn_disk *disk;
	int r;

	if (!is_btt && untorn_device_type(device) != UNTORN_DEVICE_NAMESPACE)
		return -EINVAL;
	r = device_lock(device);
	if (r < 0)
		return r;
	disk = is_btt ? to_btt(device)->disk : to_namespace(device)->disk;
	if (disk)
		atomic_fetch_add(&disk->refs, 1);
	device_unlock(device);
	if (!disk)
		return -ENXIO;
	*ret_disk = disk;
	return 0;
}

void untorn_disk_close(struct untorn_disk *disk)
{
	if (disk)
		disk_put(disk);
}

void untorn_disk_get_info(const struct untorn_disk *disk, struct untorn_disk_info *ret_info)
{
	const struct disk_source *s = &disk->source;

	*ret_info = (struct untorn_disk_info){
		.size = s->size,
		.logical = s->logical,
		.physical = s->logical > PHYSICAL_MIN ? s->logical : PHYSICAL_MIN,
		.read_only = atomic_load(&disk->read_only),
		.is_btt = disk->is_btt,
	};
	snprintf(ret_info->name, sizeof(ret_info->name), "%s", disk->name);
}

/* -------------------------------------------------------------------- raw ------------------------------------------------- */

enum raw_op { RAW_READ, RAW_WRITE, RAW_ZERO };

/* Bytes of the medium. */
static int raw_span(struct untorn_media *media, enum raw_op op, void *buf, uint64_t len, uint64_t off)
{
	switch (op) {
	case RAW_READ:
		return untorn_media_read(media, off, buf, len);
	case RAW_WRITE:
		return untorn_media_write(media, off, buf, len);
	case RAW_ZERO:
		return untorn_media_zero(media, off, len);
	}
	return -EINVAL;
}

/* Bytes of the disk. */
static int raw_io(const struct disk_source *s, enum raw_op op, void *buf, uint64_t len, uint64_t off)
{
	uint8_t *p = buf;
	int r = 0;

	if (!range_fits(off, len, s->size))
		return -ERANGE;
	if (s->stride == s->logical)
		return raw_span(s->media, op, buf, len, off);
	while (r == 0 && len > 0) {
		uint64_t within = off % s->logical, n = min_u64(len, s->logical - within);

		r = raw_span(s->media, op, p, n, off / s->logical * s->stride + within);
		if (p)
			p += n;
		off += n;
		len -= n;
	}
	return r;
}

/* -------------------------------------------------------------------- I/O ------------------------------------------------- */

static int enter(struct untorn_disk *disk, struct gate_shard **ret_shard)
{
	struct gate_shard *shard = gate_enter(&disk->gate);

	if (unlikely(!shard))
		return -ENXIO;
	*ret_shard = shard;
	return 0;
}

static int enter_to_write(struct untorn_disk *disk, unsigned flags, struct gate_shard **ret_shard)
{
	if (flags & ~UNTORN_BTT_DURABLE)
		return -EINVAL;

	int r = enter(disk, ret_shard);

	if (r == 0 && unlikely(atomic_load(&disk->read_only))) {
		gate_leave(&disk->gate, *ret_shard);
		return -EROFS;
	}
	return r;
}

int untorn_disk_pread(struct untorn_disk *disk, void *buf, size_t len, uint64_t off)
{
	const struct disk_source *s = &disk->source;
	struct gate_shard *shard;
	int r = enter(disk, &shard);

	if (r < 0)
		return r;
	r = s->volume ? untorn_btt_pread(s->volume, buf, len, off) : raw_io(s, RAW_READ, buf, len, off);
	gate_leave(&disk->gate, shard);
	return r;
}

int untorn_disk_pwrite(struct untorn_disk *disk, const void *buf, size_t len, uint64_t off, unsigned flags)
{
	const struct disk_source *s = &disk->source;
	struct gate_shard *shard;
	int r = enter_to_write(disk, flags, &shard);

	if (r < 0)
		return r;
	r = s->volume ? untorn_btt_pwrite(s->volume, buf, len, off, flags)
		      : raw_io(s, RAW_WRITE, (void *)buf, len, off);
	gate_leave(&disk->gate, shard);
	return r;
}

int untorn_disk_pwrite_zeroes(struct untorn_disk *disk, uint64_t len, uint64_t off, unsigned flags)
{
	const struct disk_source *s = &disk->source;
	struct gate_shard *shard;
	int r = enter_to_write(disk, flags, &shard);

	if (r < 0)
		return r;
	r = s->volume ? untorn_btt_pwrite_zeroes(s->volume, len, off, flags) : raw_io(s, RAW_ZERO, NULL, len, off);
	gate_leave(&disk->gate, shard);
	return r;
}

int untorn_disk_flush(struct untorn_disk *disk)
{
	struct gate_shard *shard;
	int r = enter(disk, &shard);

	if (r < 0)
		return r;
	/* What a raw disk has written is durable. */
	if (disk->source.volume)
		r = untorn_btt_flush(disk->source.volume);
	gate_leave(&disk->gate, shard);
	return r;
}
