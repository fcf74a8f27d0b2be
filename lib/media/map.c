/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Media that are files and devices.
 *
 * What the memory is gets decided once, at open, and picks one of four tables of operations. libpmem2 maps files and device
 * DAX and says how stores to them become durable; files that live in memory anyway and block devices are mapped directly.
 *
 * libpmem2 never makes page media durable here: its persist function ends the process when the sync fails. fdatasync(2)
 * on our own descriptor does it, and reports a failed write-back of any page of the file exactly once per descriptor. That
 * once is why syncs are counted and shared below: a thread must not take the success of a later sync for its own when
 * an earlier one has failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <libpmem2.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "media/lock.h"
#include "media/media.h"

struct map {
	struct untorn_media m;
	struct pmem2_map *pmem2; /* NULL: mapped with mmap() */

	/* Data syncs, numbered from 1. At most one runs at a time; who comes meanwhile shares the next one. */
	pthread_mutex_t lock;
	pthread_cond_t done;
	uint64_t started, finished;
	bool sync_failed;
};

static struct map *map_of(struct untorn_media *m)
{
	return (struct map *)m->root;
}

/*
 * Wait for a data sync that started after this call. Threads that wait at the same time are served by one sync. A failure
 * is everyone's from then on, before any later sync can start.
 */
static int data_sync(struct map *map)
{
	uint64_t mine;
	int r;

	pthread_mutex_lock(&map->lock);
	mine = map->started + 1;
	while (map->finished < mine && !map->sync_failed) {
		if (map->started != map->finished) {
			pthread_cond_wait(&map->done, &map->lock);
			continue;
		}
		map->started++;
		pthread_mutex_unlock(&map->lock);
		do
			r = fdatasync(map->m.fd);
		while (r < 0 && errno == EINTR);
		pthread_mutex_lock(&map->lock);
		map->finished = map->started;
		map->sync_failed = r < 0;
		pthread_cond_broadcast(&map->done);
	}
	r = map->sync_failed ? -EIO : 0;
	pthread_mutex_unlock(&map->lock);
	return r;
}

/* ---------------------------------------------------- the four kinds ------------------------------------------------------ */

static void plain_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	(void)m;
	memcpy(dst, src, len);
}

static void plain_zero(struct untorn_media *m, void *dst, size_t len)
{
	(void)m;
	memset(dst, 0, len);
}

static void no_flush(struct untorn_media *m, const void *p, size_t len)
{
	(void)m;
	(void)p;
	(void)len;
}

static void cacheline_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	(void)m;
	pmem_memcpy(dst, src, len, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
}

static void cacheline_zero(struct untorn_media *m, void *dst, size_t len)
{
	(void)m;
	pmem_memset(dst, 0, len, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
}

static void cacheline_flush(struct untorn_media *m, const void *p, size_t len)
{
	(void)m;
	pmem_flush(p, len);
}

static int cacheline_drain(struct untorn_media *m)
{
	(void)m;
	pmem_drain();
	return 0;
}

static int byte_drain(struct untorn_media *m)
{
	media_order(m);
	return 0;
}

static int page_drain(struct untorn_media *m)
{
	return data_sync(map_of(m));
}

static int volatile_drain(struct untorn_media *m)
{
	(void)m;
	return 0;
}

/* The file's bytes that still exist: someone may have truncated it, and what is gone must fault, not pass for a hole. */
static uint64_t bytes_left(const struct untorn_media *root)
{
	struct stat st;

	if (fstat(root->fd, &st) < 0)
		return 0;
	return S_ISREG(st.st_mode) ? min_u64((uint64_t)st.st_size, root->size) : root->size;
}

/*
 * Any failure to punch is "cannot": zeros are then stored instead, and if the memory is at fault, that tells.
 * A hole is metadata of the file system, so on DAX a fence is not enough to make it durable.
 */
static int map_punch(struct untorn_media *m, uint64_t off, uint64_t len)
{
	struct map *map = map_of(m);

	if (!range_fits(off, len, bytes_left(&map->m)))
		return -EOPNOTSUPP;
	if (fallocate(map->m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) < 0)
		return -EOPNOTSUPP;
	/* Power cut here: the range holds its old bytes, zeros, or some of each. */
	if (map->m.kind == UNTORN_MEDIA_VOLATILE)
		return 0;
	if (data_sync(map) < 0) {
		atomic_store(&map->m.failed, true);
		return -EIO;
	}
	return 0;
}

static int map_next_data(struct untorn_media *m, uint64_t off, uint64_t *ret_data, uint64_t *ret_end)
{
	const struct untorn_media *root = m->root;
	uint64_t left = bytes_left(root);
	off_t data = -1, end;

	if (off < left)
		data = lseek(root->fd, (off_t)off, SEEK_DATA);
	/* A device may take the call and move nowhere. */
	if (off >= left || (data < 0 && errno != ENXIO) || (data >= 0 && (uint64_t)data < off)) {
		*ret_data = off;
		*ret_end = root->size;
	} else if (data < 0 || (uint64_t)data >= left) {
		*ret_data = left;
		*ret_end = root->size;
	} else {
		end = lseek(root->fd, data, SEEK_HOLE);
		*ret_data = (uint64_t)data;
		*ret_end = end > data ? min_u64((uint64_t)end, left) : root->size;
	}
	return 0;
}

static void map_destroy(struct untorn_media *m)
{
	struct map *map = map_of(m);

	if (map->pmem2)
		pmem2_map_delete(&map->pmem2);
	else if (map->m.base)
		munmap(map->m.base, map->m.size);
	if (map->m.fd >= 0)
		close(map->m.fd);
	pthread_cond_destroy(&map->done);
	pthread_mutex_destroy(&map->lock);
	free(map);
}

#define MAP_OPS(copy_, zero_, flush_, drain_)                                                       \
	{                                                                                           \
		.copy = copy_, .zero = zero_, .flush = flush_, .drain = drain_, .punch = map_punch, \
		.next_data = map_next_data, .destroy = map_destroy                                  \
	}

static const struct media_ops kind_ops[] = {
	[UNTORN_MEDIA_CACHELINE] = MAP_OPS(cacheline_copy, cacheline_zero, cacheline_flush, cacheline_drain),
	[UNTORN_MEDIA_BYTE] = MAP_OPS(plain_copy, plain_zero, no_flush, byte_drain),
	[UNTORN_MEDIA_PAGE] = MAP_OPS(plain_copy, plain_zero, no_flush, page_drain),
	[UNTORN_MEDIA_VOLATILE] = MAP_OPS(plain_copy, plain_zero, no_flush, volatile_drain),
};

/* -------------------------------------------------------- open ------------------------------------------------------------ */

/* Is it a file that exists only in memory? */
static bool is_volatile_file(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
}

static int pmem2_error(int r)
{
	switch (r) {
	case PMEM2_E_INVALID_FILE_TYPE:
	case PMEM2_E_INVALID_FILE_HANDLE:
		return -EINVAL;
	case PMEM2_E_SOURCE_EMPTY:
	case PMEM2_E_MAP_RANGE: /* shrunk meanwhile */
		return -ENXIO;
	default:
		return r > PMEM2_E_UNKNOWN ? r : -EINVAL; /* libpmem2's own errors lie below all errnos */
	}
}

static void cleanup_source(struct pmem2_source **source)
{
	pmem2_source_delete(source);
}

static void cleanup_config(struct pmem2_config **config)
{
	pmem2_config_delete(config);
}

/* Map through libpmem2, all of it: files that may be DAX, and device DAX. */
static int map_pmem2(struct map *map, enum untorn_media_kind *ret_kind)
{
	_cleanup_(cleanup_source) struct pmem2_source *source = NULL;
	_cleanup_(cleanup_config) struct pmem2_config *config = NULL;
	size_t size;
	int r;

	if ((r = pmem2_source_from_fd(&source, map->m.fd)) < 0 || (r = pmem2_source_size(source, &size)) < 0)
		return pmem2_error(r);
	size = round_down(size, 4096);
	if (size == 0)
		return -ENXIO;
	if ((r = pmem2_config_new(&config)) < 0 ||
	    (r = pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE)) < 0 ||
	    (r = pmem2_config_set_length(config, size)) < 0 ||
	    (r = pmem2_config_set_protection(config, PMEM2_PROT_READ | (map->m.read_only ? 0 : PMEM2_PROT_WRITE))) <
		    0 ||
	    (r = pmem2_map_new(&map->pmem2, config, source)) < 0)
		return pmem2_error(r);
	map->m.base = pmem2_map_get_address(map->pmem2);
	map->m.size = size;
	switch (pmem2_map_get_store_granularity(map->pmem2)) {
	case PMEM2_GRANULARITY_BYTE:
		*ret_kind = UNTORN_MEDIA_BYTE;
		break;
	case PMEM2_GRANULARITY_CACHE_LINE:
		*ret_kind = UNTORN_MEDIA_CACHELINE;
		break;
	default:
		*ret_kind = UNTORN_MEDIA_PAGE;
		break;
	}
	return 0;
}

static int map_plain(struct map *map, uint64_t size)
{
	void *base;

	size = round_down(size, 4096);
	if (size == 0)
		return -ENXIO;
	base = mmap(NULL, size, PROT_READ | (map->m.read_only ? 0 : PROT_WRITE), MAP_SHARED, map->m.fd, 0);
	if (base == MAP_FAILED)
		return errno == ENODEV ? -EINVAL : -errno;
	map->m.base = base;
	map->m.size = size;
	return 0;
}

/* Map the open file and say what kind of memory it is. */
static int map_file(struct map *map, const struct stat *st, enum untorn_media_kind *ret_kind)
{
	if (S_ISBLK(st->st_mode)) {
		uint64_t size;

		if (ioctl(map->m.fd, BLKGETSIZE64, &size) < 0)
			return -errno;
		*ret_kind = UNTORN_MEDIA_PAGE;
		return map_plain(map, size);
	}
	if (S_ISREG(st->st_mode) && is_volatile_file(map->m.fd)) {
		*ret_kind = UNTORN_MEDIA_VOLATILE;
		return map_plain(map, (uint64_t)st->st_size);
	}
	return map_pmem2(map, ret_kind);
}

static int open_file(const char *path, bool read_only, int *ret_fd, struct stat *ret_st)
{
	_cleanup_close_ int fd = -1;
	struct stat before;
	int r;

	/* Look first: opening a pipe may wait, and a block device is claimed while it is opened. */
	if (stat(path, &before) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode) && !S_ISCHR(before.st_mode) && !S_ISBLK(before.st_mode))
		return -EINVAL;
	fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY |
				(S_ISBLK(before.st_mode) && !read_only ? O_EXCL : 0));
	if (fd < 0)
		return -errno;
	r = lock_file(fd, !read_only);
	if (r < 0)
		return r;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if ((ret_st->st_mode & S_IFMT) != (before.st_mode & S_IFMT))
		return -EINVAL;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int untorn_media_open(const char *path, enum untorn_media_kind kind, unsigned flags, struct untorn_media **ret_media)
{
	bool read_only = flags & UNTORN_MEDIA_READ_ONLY;
	enum untorn_media_kind found = kind;
	struct map *map;
	struct stat st;
	int r;

	if ((size_t)kind >= ARRAY_SIZE(kind_ops) || (flags & ~(unsigned)UNTORN_MEDIA_READ_ONLY))
		return -EINVAL;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	media_init_root(&map->m, &kind_ops[UNTORN_MEDIA_VOLATILE], UNTORN_MEDIA_VOLATILE, read_only);
	pthread_mutex_init(&map->lock, NULL);
	pthread_cond_init(&map->done, NULL);
	r = open_file(path, read_only, &map->m.fd, &st);
	if (r == 0)
		r = map_file(map, &st, &found);
	if (r < 0) {
		map_destroy(&map->m);
		return r;
	}
	map->m.kind = kind == UNTORN_MEDIA_AUTO ? found : kind;
	map->m.ops = &kind_ops[map->m.kind];
	map->m.counts_drains = map->m.kind == UNTORN_MEDIA_PAGE;
	*ret_media = &map->m;
	return 0;
}
