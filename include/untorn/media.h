/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A medium: one contiguous range of byte-addressable memory, and what it takes to make a store durable on it.
 *
 * | kind      | what it is                                    | a store is durable after     | what survives               |
 * |-----------|-----------------------------------------------|------------------------------|-----------------------------|
 * | cacheline | DAX file mapped with MAP_SYNC, device DAX     | line flush, fence            | a power cut                 |
 * | byte      | the same where CPU caches are persistent      | fence                        | a power cut                 |
 * | page      | ordinary file or block device                 | a data sync                  | a power cut                 |
 * | volatile  | tmpfs, memfd, hugetlbfs                       | at once                      | a killed process, no more   |
 *
 * A medium is exclusively owned: opening it for writing takes a lock on the file that every other writer and
 * reader of this library respects. Read-only opens share the file with each other.
 *
 * A load or store that faults (the file was truncated under us, memory is poisoned, a sparse file meets a full file
 * system) becomes -EIO or -ENOSPC for that request. For that the library installs a SIGBUS handler at the first
 * open; a fault that is not its own goes to the handler that was installed before. A thread that blocks SIGBUS does
 * without: the kernel ends the process at such a fault.
 *
 * After a data sync has failed, the operating system may have dropped what it could not write. From then on every
 * persist on that medium returns -EIO, until it is closed and opened again. Reads go on.
 *
 * A struct untorn_media may be used by several threads at once, except for untorn_media_close().
 */
#ifndef UNTORN_MEDIA_H
#define UNTORN_MEDIA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct untorn_media;

enum untorn_media_kind {
	UNTORN_MEDIA_AUTO, /* let the library find out (PMDK's libpmem2, file system type) */
	UNTORN_MEDIA_CACHELINE,
	UNTORN_MEDIA_BYTE,
	UNTORN_MEDIA_PAGE,
	UNTORN_MEDIA_VOLATILE,
};

enum {
	UNTORN_MEDIA_READ_ONLY = 1u << 0, /* shared lock, nothing is ever written */
};

/* "cacheline", "byte", "page", "volatile" or "auto". Never NULL. */
const char *untorn_media_kind_name(enum untorn_media_kind kind);

/* The kind of that name. Returns 0 or -EINVAL. */
int untorn_media_kind_parse(const char *name, enum untorn_media_kind *ret_kind);

/*
 * Open an existing regular file, device DAX or block device, and map all of it.
 *
 * kind overrides what detection would find (UNTORN_MEDIA_AUTO does not override). Forcing a stronger kind than the
 * file really has gives up durability: that is for benchmarks and tests.
 * The size used is the file's size rounded down to 4096.
 *
 * Returns 0, or -ENOENT, -EACCES and the like from open(2); -EBUSY when another process (or this one) holds the
 * file; -ENXIO when the file is smaller than 4096 bytes; -EINVAL when it is a kind of file that cannot be mapped (a
 * directory, a pipe); -ENOMEM.
 */
int untorn_media_open(const char *path, enum untorn_media_kind kind, unsigned flags, struct untorn_media **ret_media);

/*
 * Close and unmap. Does not persist anything: what was not persisted before is left to the operating system.
 * NULL is allowed. A slice keeps its parent open until it is closed itself.
 */
void untorn_media_close(struct untorn_media *media);

/*
 * A window [off, off + len) of parent as a medium of its own, with the same kind and durability. off and len are bytes,
 * multiples of 4096. Returns 0, -EINVAL, -ERANGE (beyond the parent) or -ENOMEM.
 */
int untorn_media_slice(struct untorn_media *parent, uint64_t off, uint64_t len, struct untorn_media **ret_media);

uint64_t untorn_media_size(const struct untorn_media *media);               /* bytes, a multiple of 4096 */
enum untorn_media_kind untorn_media_kind(const struct untorn_media *media); /* never UNTORN_MEDIA_AUTO */
int untorn_media_is_read_only(const struct untorn_media *media);

/*
 * How many persist points this medium and its slices have made. Counted on page media, where each is a data sync; 0 on the
 * others, where a shared counter would cost as much as the fence.
 */
uint64_t untorn_media_drains(const struct untorn_media *media);

/* Copy bytes out. Returns 0, -ERANGE or -EIO (a fault). */
int untorn_media_read(struct untorn_media *media, uint64_t off, void *buf, size_t len);

/* Copy bytes in; durable on return, not atomic. Returns 0, -ERANGE, -EROFS, -EIO or -ENOSPC. */
int untorn_media_write(struct untorn_media *media, uint64_t off, const void *buf, size_t len);

/*
 * Make [off, off + len) read as zeros, durable on return, not atomic. Gives the space back where the file system can
 * (hole punching) and skips what is a hole already, so that terabytes of a sparse file cost nothing.
 * Returns 0, -ERANGE, -EROFS, -EIO or -ENOSPC.
 */
int untorn_media_zero(struct untorn_media *media, uint64_t off, uint64_t len);

/*
 * The first byte at or after off that may hold anything but zeros, and the end of that run. Both are the medium's
 * size when only a hole is left. Without knowledge of holes the run is [off, size). Returns 0 or -ERANGE.
 */
int untorn_media_next_data(struct untorn_media *media, uint64_t off, uint64_t *ret_data, uint64_t *ret_end);

/*
 * Who holds the lock on the file at path: its process id, and the command's name in name (size bytes, always
 * terminated). Returns 0, -ESRCH when the system does not tell or nobody does, or the errno of stat(2).
 */
int untorn_media_holder(const char *path, pid_t *ret_pid, char *name, size_t size);

#ifdef __cplusplus
}
#endif

#endif
