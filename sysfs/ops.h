/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the file system have in common. */
#ifndef SYSFS_OPS_H
#define SYSFS_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "sysfs.h"
#include "table.h"

/* What a descriptor stands for, until the kernel releases it: the beginning of a structure that info->fh points to. */
struct open_file {
	void (*close)(struct open_file *file);
	fuse_ino_t cached;              /* its number, when the kernel keeps its bytes; 0: it does not */
	struct open_file *next, **prev; /* of those that are open; under the lock of struct sysfs */
};

struct sysfs {
	struct tree tree;
	struct table table;
	struct fuse_session *session;
	char *dir; /* where it is mounted */
	bool is_mounted;
	pthread_mutex_t lock; /* of open */
	struct open_file *open;
	pthread_key_t buffer; /* of each thread, DISK_IO_MAX bytes: what a disk is read into */
	bool has_buffer;
};

#define DISK_IO_MAX (1u << 20) /* the longest request */

/* Remember it before the reply; file_release() when the kernel does, or when the reply says that it never will. */
void file_add(struct sysfs *sysfs, struct fuse_file_info *info, struct open_file *file);
void file_release(struct sysfs *sysfs, struct open_file *file);

/* A file in dev that is open, and whose bytes the kernel keeps. */
struct cached_file {
	fuse_ino_t number;
	struct node node;
};

/* All of them, in an array for the caller to free. */
int files_cached(struct sysfs *sysfs, struct cached_file **ret_files, size_t *ret_n);

/* file_add(), and the reply. The program that asked may be gone: then nobody will release the file, and this does. */
void reply_open(fuse_req_t req, struct fuse_file_info *info, struct open_file *file);

/* ------------------------------------------------------------------- listing.c -------------------------------------------- */

/* The calls on directories. Each ends with a reply. */
void listing_open(struct sysfs *sysfs, fuse_req_t req, struct fuse_file_info *info);
void listing_read(fuse_req_t req, const struct node *dir, size_t size, off_t off, struct fuse_file_info *info);

/* ------------------------------------------------------------------ disk-file.c ------------------------------------------- */

/* Whether the disk of an open file is still there; -ENXIO: it is not, and never will be. */
int disk_check(const struct fuse_file_info *info);

/* The calls on dev/pmem0 and the like. Each ends with a reply. */
void disk_open(struct sysfs *sysfs, fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void disk_read(struct sysfs *sysfs, fuse_req_t req, size_t size, off_t off, struct fuse_file_info *info);
void disk_write(fuse_req_t req, const char *buf, size_t size, off_t off, struct fuse_file_info *info);
void disk_flush(fuse_req_t req, struct fuse_file_info *info);
void disk_discard(fuse_req_t req, int mode, off_t off, off_t len, struct fuse_file_info *info);

#endif
