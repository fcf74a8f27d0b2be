/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of the kernel, translated: a number is a node (table.h), a node is a place among the devices (tree.h).
 *
 * libfuse answers with several threads. Shared between calls are the table and the list of open files, each with its lock, which
 * is never held during a call into the library, and what was opened: an attribute's text has a lock, under which it is shown;
 * a directory's listing needs none, as the kernel reads it one call at a time. The kernel caches nothing that can change: links
 * and directories come and go between two looks of one program. What cannot change it keeps, as each request is a visit of
 * another process. A store may wait for probes; other threads go on.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/cleanup.h"

#define FOREVER 3600.0 /* seconds for which what cannot change need not be asked again */

static struct sysfs *sysfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void reply(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

/* ------------------------------------------------------------------- open files ------------------------------------------- */

void file_add(struct sysfs *sysfs, struct fuse_file_info *info, struct open_file *file)
{
	info->fh = (uint64_t)(uintptr_t)file;
	pthread_mutex_lock(&sysfs->lock);
	file->next = sysfs->open;
	file->prev = &sysfs->open;
	if (file->next)
		file->next->prev = &file->next;
	sysfs->open = file;
	pthread_mutex_unlock(&sysfs->lock);
}

void file_release(struct sysfs *sysfs, struct open_file *file)
{
	pthread_mutex_lock(&sysfs->lock);
	*file->prev = file->next;
	if (file->next)
		file->next->prev = file->prev;
	pthread_mutex_unlock(&sysfs->lock);
	file->close(file);
}

/* While a file is in the list the kernel knows its number. */
int files_cached(struct sysfs *sysfs, struct cached_file **ret_files, size_t *ret_n)
{
	struct cached_file *files;
	size_t n = 0;

	pthread_mutex_lock(&sysfs->lock);
	for (const struct open_file *file = sysfs->open; file; file = file->next)
		n += file->cached != 0;
	files = calloc(n + 1, sizeof(*files));
	n = 0;
	for (const struct open_file *file = sysfs->open; files && file; file = file->next) {
		if (file->cached)
			files[n++] = (struct cached_file){file->cached, *table_node(file->cached)};
	}
	pthread_mutex_unlock(&sysfs->lock);
	if (!files)
		return -ENOMEM;
	*ret_files = files;
	*ret_n = n;
	return 0;
}

void reply_open(fuse_req_t req, struct fuse_file_info *info, struct open_file *file)
{
	struct sysfs *sysfs = sysfs_of(req);

	file_add(sysfs, info, file);
	if (fuse_reply_open(req, info) == -ENOENT)
		file_release(sysfs, file);
}

/* ------------------------------------------------------------------- names and attributes of files ------------------------ */

static int stat_node(const struct sysfs *sysfs, const struct node *node, struct stat *st)
{
	*st = (struct stat){.st_uid = getuid(), .st_gid = getgid(), .st_blksize = 4096};
	return tree_stat(&sysfs->tree, node, st);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct sysfs *sysfs = sysfs_of(req);
	struct fuse_entry_param entry = {.ino = 0};
	struct node node;
	int r = tree_lookup(&sysfs->tree, table_node(parent), name, &node);

	if (r == 0)
		r = stat_node(sysfs, &node, &entry.attr);
	if (r == 0)
		entry.ino = table_know(&sysfs->table, &node);
	if (r == 0 && entry.ino == 0)
		r = -ENOMEM;
	if (r < 0) {
		reply(req, r);
		return;
	}
	entry.entry_timeout = tree_name_is_constant(&node) ? FOREVER : 0;
	entry.attr_timeout = tree_stat_is_constant(&node) ? FOREVER : 0;
	if (fuse_reply_entry(req, &entry) < 0)
		table_forget(&sysfs->table, entry.ino, 1);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times)
{
	table_forget(&sysfs_of(req)->table, ino, times);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < n; i++)
		table_forget(&sysfs_of(req)->table, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* With an open file: before the kernel reads from its cache it asks here, so a disk that has vanished is said to have. */
static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	const struct node *node = table_node(ino);
	struct stat st;
	int r = info && node->kind == NODE_DISK_FILE ? disk_check(info) : 0;

	if (r == 0)
		r = stat_node(sysfs_of(req), node, &st);
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_attr(req, &st, tree_stat_is_constant(node) ? FOREVER : 0);
}

/* Truncating does nothing, as to attributes and block devices; owner and permissions stay. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *info)
{
	(void)st;
	if (what & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		reply(req, -EPERM);
	else
		op_getattr(req, ino, info);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const struct node *node = table_node(ino);
	char text[512];

	if (node->kind != NODE_LINK && node->kind != NODE_OUTSIDE) {
		reply(req, -EINVAL);
		return;
	}
	tree_readlink(node, text, sizeof(text));
	fuse_reply_readlink(req, text);
}

/* ------------------------------------------------------------------- directories ------------------------------------------ */

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	listing_open(sysfs_of(req), req, info);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *info)
{
	listing_read(req, table_node(ino), size, off, info);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	file_release(sysfs_of(req), (struct open_file *)(uintptr_t)info->fh);
	reply(req, 0);
}

/* ------------------------------------------------------------------- attributes ------------------------------------------- */

/* The text that a descriptor reads: made by its first read, and by each from the start. */
struct open_attr {
	struct open_file file;
	pthread_mutex_t lock;
	bool is_made;
	size_t len;
	char text[UNTORN_ATTR_SIZE];
};

static void close_attr(struct open_file *file)
{
	struct open_attr *attr = (struct open_attr *)file;

	pthread_mutex_destroy(&attr->lock);
	free(attr);
}

/* Permissions hold for root too. */
static int check_access(const struct sysfs *sysfs, const struct node *node, int flags)
{
	struct stat st;
	int r = stat_node(sysfs, node, &st);

	if (r < 0)
		return r;
	if ((flags & O_ACCMODE) != O_WRONLY && !(st.st_mode & 0444))
		return -EACCES;
	return (flags & O_ACCMODE) != O_RDONLY && !(st.st_mode & 0222) ? -EACCES : 0;
}

static void open_attr(fuse_req_t req, const struct node *node, struct fuse_file_info *info)
{
	int r = check_access(sysfs_of(req), node, info->flags);
	struct open_attr *attr = r == 0 ? calloc(1, sizeof(*attr)) : NULL;

	if (!attr) {
		reply(req, r < 0 ? r : -ENOMEM);
		return;
	}
	pthread_mutex_init(&attr->lock, NULL);
	attr->file.close = close_attr;
	info->direct_io = 1;
	reply_open(req, info, &attr->file);
}

/* With the reply the kernel may release the file: what it needs is copied before. */
static void read_attr(fuse_req_t req, const struct node *node, size_t size, off_t off, struct fuse_file_info *info)
{
	struct open_attr *attr = (struct open_attr *)(uintptr_t)info->fh;
	char text[UNTORN_ATTR_SIZE];
	int r = 0;

	pthread_mutex_lock(&attr->lock);
	if (off == 0 || !attr->is_made) {
		attr->len = 0;
		r = tree_show(&sysfs_of(req)->tree, node, attr->text, sizeof(attr->text), &attr->len);
		attr->is_made = r == 0;
	}
	size = (uint64_t)off < attr->len ? min_u64(size, attr->len - (uint64_t)off) : 0;
	memcpy(text, attr->text + (size ? off : 0), size);
	pthread_mutex_unlock(&attr->lock);
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_buf(req, text, size);
}

/* One write is one store, wherever the descriptor stands. */
static void write_attr(fuse_req_t req, const struct node *node, const char *text, size_t size)
{
	int r;

	size = min_u64(size, UNTORN_ATTR_SIZE);
	r = tree_store(&sysfs_of(req)->tree, node, text, size);
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_write(req, size);
}

/* ------------------------------------------------------------------- label areas ------------------------------------------ */

/* The dimm of a node, and the size of its label area; the reference is the caller's. */
static int dimm_of(const struct sysfs *sysfs, const struct node *node, struct untorn_device **ret_dimm,
		   uint64_t *ret_size)
{
	int r = untorn_bus_find(sysfs->tree.bus, node->device, ret_dimm);

	if (r == 0 && untorn_dimm_label_size(*ret_dimm, ret_size) < 0)
		*ret_size = 0;
	return r;
}

static void read_labels(fuse_req_t req, const struct node *node, size_t size, off_t off)
{
	_cleanup_device_ struct untorn_device *dimm = NULL;
	_cleanup_free_ char *bytes = NULL;
	uint64_t area;
	int r = dimm_of(sysfs_of(req), node, &dimm, &area);

	if (r == 0) {
		size = (uint64_t)off < area ? min_u64(size, area - (uint64_t)off) : 0;
		bytes = malloc(size + 1);
		r = bytes ? 0 : -ENOMEM;
		if (r == 0 && size > 0)
			r = untorn_dimm_label_read(dimm, (uint64_t)off, bytes, size);
	}
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_buf(req, bytes, size);
}

static void write_labels(fuse_req_t req, const struct node *node, const char *bytes, size_t size, off_t off)
{
	_cleanup_device_ struct untorn_device *dimm = NULL;
	uint64_t area;
	int r = dimm_of(sysfs_of(req), node, &dimm, &area);

	if (r == 0)
		r = range_fits((uint64_t)off, size, area) ? untorn_dimm_label_write(dimm, (uint64_t)off, bytes, size)
							  : -EINVAL;
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_write(req, size);
}

static void open_labels(fuse_req_t req, struct fuse_file_info *info)
{
	info->direct_io = 1;
	fuse_reply_open(req, info);
}

/* ------------------------------------------------------------------- files ------------------------------------------------ */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	const struct node *node = table_node(ino);

	if (node->kind == NODE_DISK_FILE)
		disk_open(sysfs_of(req), req, ino, info);
	else if (node->kind == NODE_LABEL_FILE)
		open_labels(req, info);
	else
		open_attr(req, node, info);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	if (table_node(ino)->kind != NODE_LABEL_FILE)
		file_release(sysfs_of(req), (struct open_file *)(uintptr_t)info->fh);
	reply(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *info)
{
	const struct node *node = table_node(ino);

	if (node->kind == NODE_DISK_FILE)
		disk_read(sysfs_of(req), req, size, off, info);
	else if (node->kind == NODE_LABEL_FILE)
		read_labels(req, node, size, off);
	else
		read_attr(req, node, size, off, info);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *info)
{
	const struct node *node = table_node(ino);

	if (node->kind == NODE_DISK_FILE)
		disk_write(req, buf, size, off, info);
	else if (node->kind == NODE_LABEL_FILE)
		write_labels(req, node, buf, size, off);
	else
		write_attr(req, node, buf, size);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	(void)datasync;
	if (table_node(ino)->kind == NODE_DISK_FILE)
		disk_flush(req, info);
	else
		reply(req, 0);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *info)
{
	if (table_node(ino)->kind == NODE_DISK_FILE)
		disk_discard(req, mode, off, len, info);
	else
		reply(req, -EOPNOTSUPP);
}

/* What there is follows from the devices: nobody makes, removes or renames files. */
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t number)
{
	(void)parent, (void)name, (void)mode, (void)number;
	reply(req, -EPERM);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	reply(req, -EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	reply(req, -EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino, (void)parent, (void)name;
	reply(req, -EPERM);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	reply(req, -EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	(void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
	reply(req, -EPERM);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = DISK_IO_MAX;
	conn->max_readahead = DISK_IO_MAX;
	/* Size and times of files are ours to say. */
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	/* With it, O_TRUNC would empty the page cache of a disk before we are asked, and with it others' mappings. */
	conn->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
	/* A link that leads elsewhere is another node. */
	conn->want |= conn->capable & FUSE_CAP_CACHE_SYMLINKS;
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_remove,
	.rmdir = op_remove,
	.rename = op_rename,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_releasedir,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
};

/* ------------------------------------------------------------------- mounting --------------------------------------------- */

static int start_session(struct sysfs *sysfs, bool others)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = 0;

	if (fuse_opt_add_arg(&args, "untorn") < 0 || fuse_opt_add_arg(&args, "-o") < 0 ||
	    fuse_opt_add_arg(&args, others ? "fsname=untorn,subtype=untorn,default_permissions,allow_other"
					   : "fsname=untorn,subtype=untorn,default_permissions") < 0)
		r = -ENOMEM;
	if (r == 0) {
		sysfs->session = fuse_session_new(&args, &ops, sizeof(ops), sysfs);
		r = sysfs->session ? 0 : -EINVAL;
	}
	fuse_opt_free_args(&args);
	if (r < 0)
		return r;
	if (fuse_session_mount(sysfs->session, sysfs->dir) < 0)
		return -EACCES;
	sysfs->is_mounted = true;
	return 0;
}

int sysfs_mount(struct untorn_bus *bus, const char *dir, const struct sysfs_options *options, struct sysfs **ret_sysfs)
{
	struct sysfs *sysfs = calloc(1, sizeof(*sysfs));
	int r;

	if (!sysfs)
		return -ENOMEM;
	sysfs->tree = (struct tree){bus, options->outside_sys, options->outside_dev, options->outside};
	pthread_mutex_init(&sysfs->lock, NULL);
	r = table_init(&sysfs->table);
	if (r == 0) {
		sysfs->dir = realpath(dir, NULL); /* the working directory may be another when it is unmounted */
		r = sysfs->dir ? 0 : -errno;
	}
	if (r == 0)
		r = -pthread_key_create(&sysfs->buffer, free);
	sysfs->has_buffer = r == 0;
	if (r == 0)
		r = start_session(sysfs, options->others);
	if (r < 0)
		sysfs_unmount(sysfs);
	else
		*ret_sysfs = sysfs;
	return r;
}

/* Where the connection was cut off, by umount -f or an abort, libfuse leaves a mount that nobody serves. */
static void unmount_dead(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0 && errno == ENOTCONN)
		umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW);
}

void sysfs_unmount(struct sysfs *sysfs)
{
	if (sysfs->is_mounted) {
		fuse_session_unmount(sysfs->session);
		unmount_dead(sysfs->dir);
	}
	if (sysfs->session)
		fuse_session_destroy(sysfs->session);
	while (sysfs->open)
		file_release(sysfs, sysfs->open);
	if (sysfs->has_buffer) {
		free(pthread_getspecific(sysfs->buffer));
		pthread_key_delete(sysfs->buffer);
	}
	table_done(&sysfs->table);
	pthread_mutex_destroy(&sysfs->lock);
	free(sysfs->dir);
	free(sysfs);
}
