/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp-file: stamped sectors on a block device, around the page cache, so that a request is the device's own; it runs in the
 * Linux guest on /dev/pmemNs. The sector is the device's logical block. A regular file needs -o sector=N: an exported volume,
 * which can be verified, or a disk of `untorn mount`.
 *
 *	stamp-file cat DEVICE    all of it to standard output, around the page cache. Bytes that the device left out of a read
 *	                         that it called successful come out as 0xEE.
 *
 * Linux's BTT completes a write when it is on the medium, and Untorn's NBD server when O_DSYNC's FUA or flush is done.
 */
#include "stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	int fd, fd_durable;
	uint32_t sector_size;
};

static int file_close(void *handle)
{
	struct file *file = handle;

	if (file->fd >= 0)
		close(file->fd);
	if (file->fd_durable >= 0)
		close(file->fd_durable);
	free(file);
	return 0;
}

static int file_open(const char *target, const char *const *options, bool writable, struct stamp_geometry *ret_geometry,
		     void **ret_handle)
{
	struct file *file = calloc(1, sizeof *file);
	struct stat st;
	uint64_t size = 0;
	int sector_size = 512, flags, r = 0;
	bool is_sector_given = false;

	if (!file)
		return -ENOMEM;
	file->fd = file->fd_durable = -1;
	for (; *options; options++)
		if (!strncmp(*options, "sector=", 7)) {
			sector_size = atoi(*options + 7);
			is_sector_given = true;
		}
	/* Never create: where the device did not appear, a file in its place would pass. */
	if (stat(target, &st) < 0)
		r = -errno;
	else if (S_ISBLK(st.st_mode) || !writable || is_sector_given) {
		flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_DIRECT : 0);
		file->fd = open(target, flags);
		if (writable && file->fd >= 0)
			file->fd_durable = open(target, flags | O_DSYNC);
		if (file->fd < 0 || (writable && file->fd_durable < 0))
			r = -errno;
	} else {
		r = -ENOTBLK;
	}
	size = r == 0 ? (uint64_t)st.st_size : 0;
	if (r == 0 && S_ISBLK(st.st_mode) &&
	    (ioctl(file->fd, BLKGETSIZE64, &size) < 0 || ioctl(file->fd, BLKSSZGET, &sector_size) < 0))
		r = -errno;
	if (r == 0 && sector_size <= 0)
		r = -EINVAL;
	if (r < 0) {
		file_close(file);
		return r;
	}
	file->sector_size = (uint32_t)sector_size;
	*ret_geometry = (struct stamp_geometry){.sector_size = file->sector_size, .nlba = size / file->sector_size};
	*ret_handle = file;
	return 0;
}

static int file_read(void *handle, uint64_t lba, void *buf)
{
	struct file *file = handle;
	ssize_t n = pread(file->fd, buf, file->sector_size, (off_t)(lba * file->sector_size));

	return n < 0 ? -errno : n == (ssize_t)file->sector_size ? 0 : -EIO;
}

static int file_write(void *handle, uint64_t lba, uint32_t n, const void *buf, bool durable)
{
	struct file *file = handle;
	size_t len = (size_t)n * file->sector_size;
	ssize_t written = pwrite(durable ? file->fd_durable : file->fd, buf, len, (off_t)(lba * file->sector_size));

	return written < 0 ? -errno : written == (ssize_t)len ? 0 : -EIO;
}

static int file_flush(void *handle)
{
	struct file *file = handle;

	return fdatasync(file->fd) < 0 ? -errno : 0;
}

static int cat(const char *device)
{
	enum { SIZE = 65536 };
	unsigned char *buf = aligned_alloc(4096, SIZE);
	int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = -1;

	while (buf && fd >= 0) {
		memset(buf, 0xee, SIZE);
		n = read(fd, buf, SIZE);
		if (n <= 0 || fwrite(buf, (size_t)n, 1, stdout) != 1)
			break;
	}
	if (n != 0 || fflush(stdout) != 0)
		perror(device);
	if (fd >= 0)
		close(fd);
	free(buf);
	return n != 0;
}

int main(int argc, char **argv)
{
	static const struct stamp_backend backend = {
		.name = "stamp-file",
		.open = file_open,
		.read = file_read,
		.write = file_write,
		.flush = file_flush,
		.close = file_close,
	};

	if (argc == 3 && !strcmp(argv[1], "cat"))
		return cat(argv[2]);
	return stamp_main(argc, argv, &backend);
}
