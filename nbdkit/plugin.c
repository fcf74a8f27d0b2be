/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nbdkit plugin `untorn`: one BTT volume as an NBD export whose sectors never tear.
 *
 * Life of the volume:
 *   get_ready   opens the medium, so that its lock is held and every mistake of the user is told before nbdkit goes to
 *               the background, and before it changes user or directory. The lock belongs to the open file and the
 *               mapping is shared, so both pass through that fork unchanged; the library has no threads to lose. The
 *               volume is opened once to see that it is sound, in memory only, and closed again. Of an NVDIMM image
 *               with labels, the medium is that of one namespace; the devices that find it are gone before the fork.
 *   after_fork  starts the committer thread.
 *   open        of the first client opens the volume for good. Only here nbdkit tells whether it runs with -r, and a
 *               server that runs with -r must not write a single byte, not even to finish interrupted writes.
 *   cleanup     ends the committer and closes the volume: all is durable and no lane is pending.
 *
 * Invariants:
 *   - A reply to flush says that every write acknowledged before it, on whatever connection, is durable.
 *   - A buffered write is committed at most config.commit seconds after it was acknowledged, whatever clients do.
 *   - A commit that fails in the committer leaves its sectors buffered. It tries again, and so does every flush,
 *     which fails as long as they cannot be made durable.
 *
 * Splitting into sectors, the read-modify-write of partial ones and all atomicity are the library's. This file
 * translates.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <untorn/btt.h>
#include <untorn/device.h>
#include <untorn/error.h>
#include <untorn/media.h>
#include <uuid/uuid.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* Bounds of the block size that NBD clients are told; the protocol wants powers of two and at least 512 to prefer. */
#define PREFERRED_MIN 512u
#define REQUEST_MAX   (32u << 20)

static struct {
	const char *file;
	const char *namespace; /* NULL: the only one with a BTT */
	enum untorn_btt_layout layout;
	enum untorn_media_kind medium;
	uuid_t parent_uuid;
	bool has_parent_uuid;
	bool read_only;
	unsigned commit; /* seconds; 0: no committer */
} config = {.commit = 1};

static struct untorn_media *media;

static pthread_mutex_t volume_lock = PTHREAD_MUTEX_INITIALIZER; /* of opening it */
static struct untorn_btt *volume;                               /* NULL until the first client */
static struct untorn_btt_info info;                             /* of volume */

static struct {
	pthread_t thread;
	bool is_running;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* of a change of dirty or stop */
	bool stop;           /* under lock */
	/* A write was acknowledged that may be buffered. Set without the lock; cleared before the commit for it. */
	atomic_bool dirty;
} committer = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ------------------------------------------------------------------ errors ---------------------------------------- */

/* The errnos that NBD can carry. EOPNOTSUPP would make nbdkit try again in another way: only zero() may mean that. */
static int errno_for_client(int r)
{
	switch (r) {
	case -EINVAL:
	case -ENOMEM:
	case -ENOSPC:
		return -r;
	case -ERANGE:
		return EINVAL;
	case -EROFS:
		return EPERM;
	default:
		return EIO;
	}
}

static int request_failed(const char *what, int r)
{
	nbdkit_error("%s: %s: %s", config.file, what, untorn_strerror(r));
	nbdkit_set_error(errno_for_client(r));
	return -1;
}

static void print_open_error(int r)
{
	char name[64];
	pid_t pid;

	switch (r) {
	case -EBUSY:
		if (untorn_media_holder(config.file, &pid, name, sizeof(name)) == 0)
			nbdkit_error("%s: in use by %s (process %d)", config.file, name, (int)pid);
		else
			nbdkit_error("%s: in use by another process", config.file);
		break;
	case -ENXIO:
		nbdkit_error("%s: no BTT found; untorn format makes one", config.file);
		break;
	case -EUCLEAN:
		nbdkit_error("%s: the BTT is damaged, or another container's; untorn check lists what is wrong",
			     config.file);
		break;
	case -ENOTUNIQ:
		nbdkit_error("%s: two layouts are valid at once; name the right one with layout=", config.file);
		break;
	default:
		nbdkit_error("%s: %s", config.file, untorn_strerror(r));
	}
}

/* --------------------------------------------------------------- parameters --------------------------------------- */

static int parse_layout(const char *text, enum untorn_btt_layout *ret_layout)
{
	static const enum untorn_btt_layout layouts[] = {
		UNTORN_BTT_AUTO,
		UNTORN_BTT_V1_1,
		UNTORN_BTT_V2_0,
		UNTORN_BTT_PMEMBLK,
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (strcmp(text, untorn_btt_layout_name(layouts[i])) == 0) {
			*ret_layout = layouts[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int plugin_config(const char *key, const char *value)
{
	if (strcmp(key, "file") == 0) {
		if (config.file || !*value) {
			nbdkit_error("file= takes the path of one volume, once");
			return -1;
		}
		config.file = value;
	} else if (strcmp(key, "namespace") == 0) {
		if (config.namespace || !*value) {
			nbdkit_error("namespace= takes the name of one namespace, once");
			return -1;
		}
		config.namespace = value;
	} else if (strcmp(key, "layout") == 0) {
		if (parse_layout(value, &config.layout) < 0) {
			nbdkit_error("layout=%s: expected auto, 1.1, 2.0 or pmemblk", value);
			return -1;
		}
	} else if (strcmp(key, "medium") == 0) {
		if (untorn_media_kind_parse(value, &config.medium) < 0) {
			nbdkit_error("medium=%s: expected auto, cacheline, byte, page or volatile", value);
			return -1;
		}
	} else if (strcmp(key, "parent-uuid") == 0) {
		if (uuid_parse(value, config.parent_uuid) < 0) {
			nbdkit_error("parent-uuid=%s: expected a uuid of 36 characters", value);
			return -1;
		}
		config.has_parent_uuid = true;
	} else if (strcmp(key, "read-only") == 0) {
		int r = nbdkit_parse_bool(value);

		if (r < 0)
			return -1;
		config.read_only = r;
	} else if (strcmp(key, "commit") == 0) {
		return nbdkit_parse_unsigned("commit", value, &config.commit);
	} else {
		nbdkit_error("unknown parameter '%s'", key);
		return -1;
	}
	return 0;
}

static int plugin_config_complete(void)
{
	if (config.file)
		return 0;
	nbdkit_error("the volume is missing: file=PATH");
	return -1;
}

/* ---------------------------------------------------------------- the volume -------------------------------------- */

static int open_medium(void)
{
	int r;

	if (!config.read_only) {
		r = untorn_media_open(config.file, config.medium, 0, &media);
		if (r != -EACCES && r != -EPERM && r != -EROFS)
			return r;
		/* Not ours to write: clients are told that the export is read-only. */
	}
	return untorn_media_open(config.file, config.medium, UNTORN_MEDIA_READ_ONLY, &media);
}

/* Of an image with labels, from its medium to that of the namespace, and what its label says of the volume. */
static int open_namespace(uint64_t label_size)
{
	struct untorn_media *image_media = media;
	struct untorn_image image;
	char problem[1024];
	int r;

	r = untorn_image_open(image_media, label_size, config.namespace, 0, problem, sizeof(problem), &image);
	if (r < 0) {
		nbdkit_error("%s: %s%s", config.file, problem, r == -ENOTUNIQ ? "; say which one with namespace=" : "");
		return -1;
	}
	untorn_media_close(image_media);
	media = image.media;
	if (config.layout == UNTORN_BTT_AUTO)
		config.layout = image.layout;
	if (!config.has_parent_uuid && !uuid_is_null(image.parent_uuid)) {
		uuid_copy(config.parent_uuid, image.parent_uuid);
		config.has_parent_uuid = true;
	}
	return 0;
}

/* Labels that cannot be read are only missed where a namespace is asked for. */
static int find_namespace(void)
{
	uint64_t label_size = 0;
	int r = untorn_label_find(media, &label_size);

	if (r == 0 && label_size > 0)
		return open_namespace(label_size);
	if (!config.namespace)
		return 0;
	nbdkit_error("%s: %s", config.file,
		     r < 0 ? untorn_strerror(r) : "it has no labels, so it has no namespaces to choose from");
	return -1;
}

static int open_volume(bool read_only, struct untorn_btt **ret_btt)
{
	struct untorn_btt_open_options options = {
		.layout = config.layout,
		.parent_uuid = config.has_parent_uuid ? config.parent_uuid : NULL,
		.flags = read_only ? UNTORN_BTT_READ_ONLY : 0,
	};

	return untorn_btt_open(media, &options, ret_btt);
}

static int plugin_get_ready(void)
{
	struct untorn_btt *btt;
	int r = open_medium();

	if (r == 0 && find_namespace() < 0)
		return -1;
	if (r == 0)
		r = open_volume(true, &btt);
	if (r < 0) {
		print_open_error(r);
		return -1;
	}
	untorn_btt_close(btt); /* it was open read-only: nothing can be lost */
	return 0;
}

static void *plugin_open(int readonly)
{
	int r = 0;

	pthread_mutex_lock(&volume_lock);
	if (!volume) {
		r = open_volume(readonly, &volume);
		if (r == 0)
			untorn_btt_get_info(volume, &info);
	}
	pthread_mutex_unlock(&volume_lock);
	if (r < 0) {
		print_open_error(r);
		return NULL;
	}
	return NBDKIT_HANDLE_NOT_NEEDED;
}

/* -------------------------------------------------------------- the committer ------------------------------------- */

static void *committer_main(void *arg)
{
	struct timespec until;
	int r, last = 0;

	(void)arg;
	pthread_mutex_lock(&committer.lock);
	for (;;) {
		while (!committer.stop && !committer.dirty)
			pthread_cond_wait(&committer.wake, &committer.lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += config.commit;
		while (!committer.stop && pthread_cond_timedwait(&committer.wake, &committer.lock, &until) != ETIMEDOUT)
			;
		if (committer.stop)
			break; /* closing the volume commits */
		pthread_mutex_unlock(&committer.lock);

		/* A write that is acknowledged from here on sets it again, even when this commit covers it already. */
		atomic_exchange(&committer.dirty, false);
		r = untorn_btt_flush(volume);
		if (r < 0) {
			atomic_store(&committer.dirty, true); /* a full file system may have room later */
			if (r != last)
				nbdkit_error("%s: committing buffered writes: %s", config.file, untorn_strerror(r));
		}
		last = r;

		pthread_mutex_lock(&committer.lock);
	}
	pthread_mutex_unlock(&committer.lock);
	return NULL;
}

/*
 * Both sides exchange, so either the committer sees this write or this sees that the committer went on without it.
 * The lock keeps the signal from falling between the committer's look at dirty and its wait.
 */
static void note_buffered_write(void)
{
	if (!committer.is_running || atomic_exchange(&committer.dirty, true))
		return;
	pthread_mutex_lock(&committer.lock);
	pthread_cond_signal(&committer.wake);
	pthread_mutex_unlock(&committer.lock);
}

static int plugin_after_fork(void)
{
	pthread_condattr_t attr;
	int r;

	if (config.commit == 0)
		return 0;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&committer.wake, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&committer.thread, NULL, committer_main, NULL);
	if (r != 0) {
		nbdkit_error("starting the committer thread: %s", untorn_strerror(r));
		return -1;
	}
	committer.is_running = true;
	return 0;
}

static void plugin_cleanup(void)
{
	int r;

	if (committer.is_running) {
		pthread_mutex_lock(&committer.lock);
		committer.stop = true;
		pthread_cond_signal(&committer.wake);
		pthread_mutex_unlock(&committer.lock);
		pthread_join(committer.thread, NULL);
		committer.is_running = false;
	}
	r = untorn_btt_close(volume);
	volume = NULL;
	if (r < 0)
		nbdkit_error("%s: closing: %s; the last writes may be lost", config.file, untorn_strerror(r));
}

static void plugin_unload(void)
{
	untorn_media_close(media);
	media = NULL;
}

/* ------------------------------------------------------------- what clients are told ------------------------------ */

static int64_t plugin_get_size(void *handle)
{
	(void)handle;
	return (int64_t)info.size;
}

static const char *plugin_export_description(void *handle)
{
	(void)handle;
	return nbdkit_printf_intern("BTT %d.%d of %llu sectors of %u bytes, each written whole or not at all",
				    info.version_major, info.version_minor, (unsigned long long)info.nlba,
				    info.sector_size);
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	uint32_t size = PREFERRED_MIN;

	(void)handle;
	while (size < info.sector_size)
		size *= 2;
	*minimum = 1;
	*preferred = size;
	*maximum = REQUEST_MAX;
	return 0;
}

static int plugin_can_write(void *handle)
{
	(void)handle;
	return !info.read_only;
}

static int plugin_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

/* Without the zero state zeros are data: no faster than writing them, and nothing to be gained from a trim. */
static int plugin_can_fast_zero(void *handle)
{
	(void)handle;
	return info.has_zero_state;
}

static int plugin_can_trim(void *handle)
{
	(void)handle;
	return info.has_zero_state;
}

static int plugin_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

/* Reading ahead brings a file into the page cache; persistent memory is as near as it gets. */
static int plugin_can_cache(void *handle)
{
	(void)handle;
	return untorn_media_kind(media) == UNTORN_MEDIA_PAGE ? NBDKIT_CACHE_EMULATE : NBDKIT_CACHE_NONE;
}

/* ------------------------------------------------------------------ requests -------------------------------------- */

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	int r = untorn_btt_pread(volume, buf, count, offset);

	(void)handle, (void)flags;
	return r < 0 ? request_failed("read", r) : 0;
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	bool fua = flags & NBDKIT_FLAG_FUA;
	int r = untorn_btt_pwrite(volume, buf, count, offset, fua ? UNTORN_BTT_DURABLE : 0);

	(void)handle;
	if (!fua)
		note_buffered_write(); /* also after an error: some sectors may have been written */
	return r < 0 ? request_failed("write", r) : 0;
}

static int plugin_flush(void *handle, uint32_t flags)
{
	int r = untorn_btt_flush(volume);

	(void)handle, (void)flags;
	return r < 0 ? request_failed("flush", r) : 0;
}

/* The whole sectors within [offset, offset + count); returns how many. */
static uint64_t whole_sectors(uint32_t count, uint64_t offset, uint64_t *ret_lba)
{
	uint64_t first = (offset + info.sector_size - 1) / info.sector_size;
	uint64_t end = (offset + count) / info.sector_size;

	*ret_lba = first;
	return end > first ? end - first : 0;
}

/* A zeroed whole sector is one map entry where has_zero_state; zeros in partial ones, at the ends, are data. */
static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	bool fua = flags & NBDKIT_FLAG_FUA;
	uint64_t lba;
	int r;

	(void)handle;
	if ((flags & NBDKIT_FLAG_FAST_ZERO) && whole_sectors(count, offset, &lba) == 0) {
		nbdkit_set_error(EOPNOTSUPP);
		return -1;
	}
	r = untorn_btt_pwrite_zeroes(volume, count, offset, fua ? UNTORN_BTT_DURABLE : 0);
	if (!fua)
		note_buffered_write();
	return r < 0 ? request_failed("zero", r) : 0;
}

/* A hint: what is left of sectors at the ends stays as it is. */
static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t lba, n = whole_sectors(count, offset, &lba);
	int r = n ? untorn_btt_discard(volume, lba, n) : 0;

	(void)handle, (void)flags;
	return r < 0 ? request_failed("trim", r) : 0;
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags, struct nbdkit_extents *extents)
{
	uint64_t size = info.sector_size;
	uint64_t lba = offset / size;
	uint64_t end = (offset + count + size - 1) / size;

	(void)handle;
	while (lba < end) {
		uint64_t n;
		int zero;
		int r = untorn_btt_extent(volume, lba, end - lba, &n, &zero);

		if (r < 0)
			return request_failed("extents", r);
		if (nbdkit_add_extent(extents, lba * size, n * size,
				      zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0) < 0)
			return -1;
		lba += n;
		if (flags & NBDKIT_FLAG_REQ_ONE)
			break;
	}
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "untorn",
	.longname = "Untorn",
	.version = UNTORN_VERSION,
	.description = "Serves a BTT volume: sectors on persistent memory or in a file that never tear.",
	.magic_config_key = "file",
	.config_help = "[file=]<PATH>       (required) The volume: a file, device, pmemblk pool or NVDIMM image.\n"
		       "namespace=<NAME>    Of an NVDIMM image with labels: by name, uuid or as namespaceX.Y.\n"
		       "layout=<LAYOUT>     auto, 1.1, 2.0 or pmemblk (default: auto, what is there).\n"
		       "medium=<KIND>       auto, cacheline, byte, page or volatile (default: auto).\n"
		       "parent-uuid=<UUID>  Refuse a volume that names another container.\n"
		       "read-only=<BOOL>    Open the volume read-only, sharing it with other readers.\n"
		       "commit=<SECONDS>    Longest time a write stays uncommitted (default: 1; 0: until a flush).",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.get_ready = plugin_get_ready,
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.export_description = plugin_export_description,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_fua = plugin_can_fua,
	.can_fast_zero = plugin_can_fast_zero,
	.can_trim = plugin_can_trim,
	.can_multi_conn = plugin_can_multi_conn,
	.can_cache = plugin_can_cache,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.zero = plugin_zero,
	.trim = plugin_trim,
	.extents = plugin_extents,
};

struct nbdkit_plugin *plugin_init(void); /* the macro defines it without */
NBDKIT_REGISTER_PLUGIN(plugin)
