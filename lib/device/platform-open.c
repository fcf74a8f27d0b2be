/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files behind dimms and volatile regions: opening or making them, and finding their sizes and label areas.
 *
 * A file is looked at before it is opened or made, so that one that is named twice is told as that, and not as in use by
 * this very process. Only platform_open() undoes what was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "device/platform.h"
#include "media/media.h"

static bool is_same_file(const struct stat *a, const struct untorn_media *media)
{
	bool is_device = S_ISBLK(a->st_mode) || S_ISCHR(a->st_mode);
	struct stat b;

	if (!media || media->root->fd < 0 || fstat(media->root->fd, &b) < 0)
		return false;
	if (is_device)
		return (a->st_mode & S_IFMT) == (b.st_mode & S_IFMT) && a->st_rdev == b.st_rdev;
	return a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

static int refuse_twice(struct untorn_platform *platform, const char *path, const struct stat *st)
{
	for (unsigned i = 0; i < platform->ndimm; i++) {
		if (is_same_file(st, platform->dimms[i].media))
			return platform_fail(platform, -EINVAL, "%s: it is dimm %u already; each needs its own file",
					     path, i);
	}
	for (unsigned i = 0; i < platform->nregion; i++) {
		const struct platform_region *region = &platform->regions[i];

		if (region->kind == UNTORN_REGION_VOLATILE && is_same_file(st, region->media))
			return platform_fail(platform, -EINVAL, "%s: it is region %u already; each needs its own file",
					     path, i);
	}
	return 0;
}

static int fail_busy(struct untorn_platform *platform, const char *path)
{
	char name[64];
	pid_t pid;

	if (untorn_media_holder(path, &pid, name, sizeof(name)) == 0)
		return platform_fail(platform, -EBUSY, "%s: in use by process %d (%s); stop it first", path, (int)pid,
				     name);
	return platform_fail(platform, -EBUSY, "%s: in use by another process; stop it first", path);
}

static int fail_open(struct untorn_platform *platform, const char *path, int err)
{
	switch (-err) {
	case EBUSY:
		return fail_busy(platform, path);
	case EINVAL:
		return platform_fail(platform, err, "%s: neither a regular file nor a device that can be mapped", path);
	case ENXIO:
		return platform_fail(platform, err, "%s: smaller than 4096 bytes", path);
	default:
		return platform_fail(platform, err, "%s: %s", path, strerror(-err));
	}
}

/* A sparse file. On failure it is not there. */
static int make_file(const char *path, uint64_t size)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0)
		return 0;
	r = -errno;
	unlink(path);
	return r;
}

/* Make the file if it is missing, size is not 0 and flags allow it. *ret_created is set when it was. */
static int find_file(struct untorn_platform *platform, const char *path, uint64_t size, unsigned flags,
		     bool *ret_created)
{
	bool may_make = (flags & UNTORN_BUS_CREATE) && !(flags & UNTORN_BUS_READ_ONLY);
	struct stat st;
	int r;

	if (stat(path, &st) == 0)
		return refuse_twice(platform, path, &st);
	if (errno != ENOENT)
		return fail_open(platform, path, -errno);
	if (!may_make || size == 0)
		return platform_fail(platform, -ENOENT, "%s: there is no such file%s", path,
				     may_make ? "; give its size to have it made" : "");
	r = make_file(path, size);
	if (r < 0)
		return fail_open(platform, path, r);
	*ret_created = true;
	return 0;
}

static int open_path(struct untorn_platform *platform, const char *path, enum untorn_media_kind kind, unsigned flags,
		     struct untorn_media **ret_media)
{
	int r = untorn_media_open(path, kind, flags & UNTORN_BUS_READ_ONLY ? UNTORN_MEDIA_READ_ONLY : 0, ret_media);

	return r < 0 ? fail_open(platform, path, r) : 0;
}

/* The first size bytes of *media, which are all there, as *media. */
static int cut_media(struct untorn_platform *platform, const char *path, uint64_t size, struct untorn_media **media)
{
	struct untorn_media *all = *media;
	int r;

	if (size > all->size)
		return platform_fail(platform, -EINVAL, "%s: it has %llu bytes, which is less than the size %llu", path,
				     (unsigned long long)all->size, (unsigned long long)size);
	if (size == all->size)
		return 0;
	r = untorn_media_slice(all, 0, size, media);
	if (r < 0)
		return platform_fail_memory(platform);
	untorn_media_close(all);
	return 0;
}

/* A size that is not told is the file's, which then must not end within a page. */
static int find_size(struct untorn_platform *platform, struct platform_dimm *dimm)
{
	struct stat st;

	if (dimm->has_size)
		return cut_media(platform, dimm->path, dimm->size, &dimm->media);
	if (fstat(dimm->media->root->fd, &st) < 0)
		return fail_open(platform, dimm->path, -errno);
	if (S_ISREG(st.st_mode) && !is_aligned((uint64_t)st.st_size, 4096))
		return platform_fail(platform, -EINVAL, "%s: its %llu bytes are not a multiple of 4096; give a size",
				     dimm->path, (unsigned long long)st.st_size);
	dimm->size = dimm->media->size;
	return 0;
}

static int find_labels(struct untorn_platform *platform, struct platform_dimm *dimm)
{
	int r = 0;

	if (!dimm->has_label_size)
		r = untorn_label_find(dimm->media, &dimm->label_size);
	if (r < 0)
		return platform_fail(platform, r, "%s: its end cannot be read to look for labels: %s", dimm->path,
				     strerror(-r));
	if (dimm->label_size > dimm->size || dimm->size - dimm->label_size < 4096)
		return platform_fail(platform, -EINVAL, "%s: %llu bytes of labels leave nothing of %llu for memory",
				     dimm->path, (unsigned long long)dimm->label_size, (unsigned long long)dimm->size);
	return 0;
}

int platform_open_dimm(struct untorn_platform *platform, unsigned index, unsigned flags)
{
	struct platform_dimm *dimm = &platform->dimms[index];
	int r = 0;

	if (dimm->path) {
		r = find_file(platform, dimm->path, dimm->has_size ? dimm->size : 0, flags, &dimm->created);
		if (r == 0)
			r = open_path(platform, dimm->path, UNTORN_MEDIA_AUTO, flags, &dimm->media);
		if (r == 0)
			r = find_size(platform, dimm);
		if (r == 0)
			r = find_labels(platform, dimm);
	}
	if (r == 0)
		dimm->pmem_size = round_down(dimm->size - dimm->label_size, 4096);
	return r;
}

/* Anonymous memory is a file without a name. */
static int open_anonymous(struct untorn_platform *platform, struct platform_region *region, unsigned flags)
{
	_cleanup_close_ int fd = memfd_create("untorn", MFD_CLOEXEC);
	char path[32];

	if (fd < 0 || ftruncate(fd, (off_t)region->size) < 0)
		return platform_fail(platform, -errno, "no memory for a volatile region: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_path(platform, path, UNTORN_MEDIA_VOLATILE, flags, &region->media);
}

/* Nobody expects bytes of a volatile region after a power cut, so nothing is synced. */
int platform_open_volatile(struct untorn_platform *platform, struct platform_region *region, unsigned flags)
{
	int r;

	if (!region->path)
		return open_anonymous(platform, region, flags);
	r = find_file(platform, region->path, region->size, flags, &region->created);
	if (r == 0)
		r = open_path(platform, region->path, UNTORN_MEDIA_VOLATILE, flags, &region->media);
	return r < 0 ? r : cut_media(platform, region->path, region->size, &region->media);
}
