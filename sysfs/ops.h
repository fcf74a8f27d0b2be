/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the file system have in common. */
#ifndef SYSFS_OPS_H
#define SYSFS_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "sysfs.h"
#include "table.h"

struct open_disk;

struct sysfs {
	struct tree tree;
	struct table table;
	struct fuse_session *session;
	char *dir; /* where it is mounted */
	bool is_mounted;
	pthread_mutex_t lock;    /* of disks */
	struct open_disk *disks; /* those that are open */
	pthread_key_t buffer;    /* of each thread, DISK_IO_MAX bytes: what a disk is read into */
	bool has_buffer;
};

#define DISK_IO_MAX (1u << 20) /* the longest request */

/* ------------------------------------------------------------------ disk-file.c ------------------------------------------- */

/* The calls on dev/pmem0 and the like. Each ends with a reply. */
void disk_open(struct sysfs *sysfs, fuse_req_t req, const struct node *node, struct fuse_file_info *info);
void disk_release(struct sysfs *sysfs, struct fuse_file_info *info);
void disk_read(struct sysfs *sysfs, fuse_req_t req, size_t size, off_t off, struct fuse_file_info *info);
void disk_write(fuse_req_t req, const char *buf, size_t size, off_t off, struct fuse_file_info *info);
void disk_flush(fuse_req_t req, struct fuse_file_info *info);
void disk_discard(fuse_req_t req, int mode, off_t off, off_t len, struct fuse_file_info *info);
void disk_close_all(struct sysfs *sysfs);

#endif
