/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands where in the tree: docs/DEVICES.md 2.
 *
 * A node says what an entry is, by value: a kind, the name of the device that it belongs to, and a name of its own. It holds no
 * reference to a device, so that a directory that somebody looks at does not keep a destroyed device's number. Each call
 * finds the device again; -ENOENT, of tree_show() and tree_store() -ENODEV, says that it is gone.
 *
 * Everything may be called from any number of threads at once.
 */
#ifndef SYSFS_TREE_H
#define SYSFS_TREE_H

#include <untorn/device.h>

#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static inline void cleanup_device(struct untorn_device **device)
{
	untorn_device_put(*device);
}
#define _cleanup_device_ _cleanup_(cleanup_device)

enum node_kind {
	NODE_DIR,        /* a directory that is always there; number: its row in the table of tree.c */
	NODE_DEVICE,     /* the directory of a device; number: its enum untorn_device_type */
	NODE_GROUP,      /* of attributes: name, such as nfit */
	NODE_DRIVER,     /* the directory of a driver: name */
	NODE_ND,         /* ndbus0/nd */
	NODE_NDCTL,      /* ndbus0/nd/ndctl0 */
	NODE_BLOCK,      /* the directory block of a device with a disk */
	NODE_DISK,       /* and that of the disk below it */
	NODE_DISK_GROUP, /* below that: name, such as queue */
	NODE_ATTR,       /* an attribute of a device: name, with the group */
	NODE_FILE,       /* any other attribute; number: its row in the table of files.c */
	NODE_LINK,       /* a symbolic link; name: where it leads, from sys; number: how deep below sys it stands */
	NODE_OUTSIDE,    /* a symbolic link to what the machine itself has; name: its whole target */
	NODE_DISK_FILE,  /* dev/pmem0: the sectors of the disk */
	NODE_LABEL_FILE, /* dev/nmem0: the label area of the dimm, nothing without one; dev/ndctl0: nothing */
};

struct node {
	enum node_kind kind;
	unsigned number;
	char device[32]; /* "" where there is none */
	char name[192];
};

/* The same for the same node. */
uint64_t node_hash(const struct node *node);

/* The inode number: that, but never 0, as programs skip entries without a number. */
ino_t node_number(const struct node *node);

/* What the tree shows. Constant while it is served. */
struct tree {
	struct untorn_bus *bus;
	int outside_sys, outside_dev; /* directories of the machine whose other entries show through; -1: none do */
	const char *outside;          /* where they are to be found: links lead to OUTSIDE/sys and OUTSIDE/dev */
};

/* The top: it has sys and dev. */
extern const struct node tree_top;

/* The entry of that name in a directory. -ENOENT, -ENOTDIR. */
int tree_lookup(const struct tree *tree, const struct node *dir, const char *name, struct node *ret_node);

/* Call add for each entry, in no order, until it fails, and return that. -ENOENT, -ENOTDIR, -ENOMEM. */
int tree_list(const struct tree *tree, const struct node *dir,
	      int (*add)(void *arg, const char *name, const struct node *node), void *arg);

/* Type, permissions, size and number; owner and times stay as they are. -ENOENT. */
int tree_stat(const struct tree *tree, const struct node *node, struct stat *st);

/*
 * Whether the name of the node, once found, is right for as long as its directory is there. An attribute that is not shown any more
 * keeps its name; what is asked of it then is -ENOENT.
 */
bool tree_name_is_constant(const struct node *node);

/* Whether tree_stat() never changes, though it may become -ENOENT. */
bool tree_stat_is_constant(const struct node *node);

/* Whether it is the directory sys/bus/nd. */
bool tree_is_bus_dir(const struct node *node);

/* The text of a link: NODE_LINK or NODE_OUTSIDE. At most size - 1 bytes and a NUL. */
void tree_readlink(const struct node *link, char *text, size_t size);

/* Attributes: NODE_ATTR and NODE_FILE, as untorn_attr_show() and untorn_attr_store(). One call of store is one store. */
int tree_show(const struct tree *tree, const struct node *node, char *text, size_t size, size_t *ret_len);
int tree_store(const struct tree *tree, const struct node *node, const char *text, size_t len);

/* The disk of a bound namespace or btt. -ENOENT: it has none. */
int tree_disk_info(const struct tree *tree, const char *device, struct untorn_disk_info *ret_info);

/* ------------------------------------------------------------------- files.c ---------------------------------------------- */

/* The attributes that no device of the library has, of the bus directory, drivers, ndctl0 and disks: rows of one table. */

/* Move *index to the next row, itself included, that stands in dir; its name is constant. -ENOENT at the end. */
int file_next(const struct tree *tree, const struct node *dir, unsigned *index, const char **ret_name);
mode_t file_mode(unsigned index); /* permissions */

/* -EACCES: it cannot be shown, or stored to. */
int file_show(const struct tree *tree, const struct node *node, char *text, size_t size, size_t *ret_len);
int file_store(const struct tree *tree, const struct node *node, const char *text, size_t len);

/* Linux gives numbers up to 511 to its drivers, so the machine's own devices never have ours. */
#define NDCTL_MAJOR 512u /* of ndctl0 */
#define DISK_MAJOR  514u

/* The minor number of a disk. */
unsigned disk_minor(const struct untorn_disk_info *info);

#endif
