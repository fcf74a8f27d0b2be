/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of disks. A write goes to the disk as it comes, and a sector of a btt disk is old or new, whatever happens.
 *
 * Files of btt disks are not cached: what a program writes has reached the volume when write() returns, and is durable
 * after fsync(), or at once with O_SYNC or O_DSYNC. Writers of one file do not wait for each other (Linux 6.3 and later).
 * Files of raw disks go through the page cache, because programs map them shared (ndctl check-namespace does). The cache is
 * written through, and the disk below is durable with each write, so only what was stored in a mapping waits for fsync().
 * O_DIRECT goes past it.
 *
 * A program may hold a file open while the disk vanishes: its calls then fail with ENXIO, for ever.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

struct open_disk {
	struct open_file file;
	struct untorn_disk *disk;
	struct untorn_disk_info info;
	unsigned flags; /* of each write */
};

static struct open_disk *open_disk_of(const struct fuse_file_info *info)
{
	return (struct open_disk *)(uintptr_t)info->fh;
}

static int open_by_name(struct sysfs *sysfs, const struct node *node, struct open_disk *ret)
{
	struct untorn_device *device;
	int r = untorn_bus_find(sysfs->tree.bus, node->device, &device);

	if (r < 0)
		return r;
	r = untorn_disk_open(device, &ret->disk);
	untorn_device_put(device);
	if (r < 0)
		return r;
	untorn_disk_get_info(ret->disk, &ret->info);
	return 0;
}

static void close_disk(struct open_file *file)
{
	struct open_disk *open = (struct open_disk *)file;

	untorn_disk_close(open->disk);
	free(open);
}

/* As reply_open() does with libfuse, which in version 3.14 cannot say that writers need not wait for each other. */
static void reply_open_btt(struct sysfs *sysfs, fuse_req_t req, struct fuse_file_info *info, struct open_file *file)
{
	struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};
	const struct iovec iov = {.iov_base = &open, .iov_len = sizeof(open)};

	file_add(sysfs, info, file);
	open.fh = info->fh;
	if (fuse_reply_iov(req, &iov, 1) == -ENOENT)
		file_release(sysfs, file);
}

void disk_open(struct sysfs *sysfs, fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct open_disk *open = calloc(1, sizeof(*open));
	int r = open ? open_by_name(sysfs, table_node(ino), open) : -ENOMEM;

	if (r == 0 && open->info.read_only && (info->flags & O_ACCMODE) != O_RDONLY) {
		untorn_disk_close(open->disk);
		r = -EROFS;
	}
	if (r < 0) {
		free(open);
		fuse_reply_err(req, -r);
		return;
	}
	open->flags = info->flags & O_DSYNC ? UNTORN_BTT_DURABLE : 0;
	open->file.close = close_disk;
	open->file.cached = open->info.is_btt ? 0 : ino;
	if (open->info.is_btt)
		reply_open_btt(sysfs, req, info, &open->file);
	else
		reply_open(req, info, &open->file);
}

int disk_check(const struct fuse_file_info *info)
{
	return untorn_disk_pread(open_disk_of(info)->disk, NULL, 0, 0);
}

static void *thread_buffer(struct sysfs *sysfs)
{
	void *buffer = pthread_getspecific(sysfs->buffer);

	if (!buffer) {
		buffer = aligned_alloc(4096, DISK_IO_MAX);
		pthread_setspecific(sysfs->buffer, buffer);
	}
	return buffer;
}

void disk_read(struct sysfs *sysfs, fuse_req_t req, size_t size, off_t off, struct fuse_file_info *info)
{
	struct open_disk *open = open_disk_of(info);
	void *buffer = thread_buffer(sysfs);
	int r = buffer ? 0 : -ENOMEM;

	size = min_u64(size, DISK_IO_MAX);
	size = (uint64_t)off < open->info.size ? min_u64(size, open->info.size - (uint64_t)off) : 0;
	if (r == 0 && size > 0)
		r = untorn_disk_pread(open->disk, buffer, size, (uint64_t)off);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buffer, size);
}

/* Beyond the end there is no room, as on a block device. */
void disk_write(fuse_req_t req, const char *buf, size_t size, off_t off, struct fuse_file_info *info)
{
	struct open_disk *open = open_disk_of(info);
	int r;

	if ((uint64_t)off >= open->info.size) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	size = min_u64(size, open->info.size - (uint64_t)off);
	r = untorn_disk_pwrite(open->disk, buf, size, (uint64_t)off, open->flags);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, size);
}

void disk_flush(fuse_req_t req, struct fuse_file_info *info)
{
	fuse_reply_err(req, -untorn_disk_flush(open_disk_of(info)->disk));
}

/* fallocate(): what is punched out or zeroed reads as zeros; the size of a disk never changes. */
void disk_discard(fuse_req_t req, int mode, off_t off, off_t len, struct fuse_file_info *info)
{
	struct open_disk *open = open_disk_of(info);
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	int r;

	if (what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE)
		r = -EOPNOTSUPP;
	else if (!range_fits((uint64_t)off, (uint64_t)len, open->info.size))
		r = -EINVAL;
	else
		r = untorn_disk_pwrite_zeroes(open->disk, (uint64_t)len, (uint64_t)off, open->flags);
	fuse_reply_err(req, -r);
}
