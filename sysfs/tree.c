/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories and links of the tree, from the devices that there are at this moment.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"

#define PROVIDER "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00"

/* ------------------------------------------------------------- directories that are always there -------------------------- */

enum {
	DIR_TOP,
	DIR_SYS,
	DIR_DEV,
	DIR_BLOCK,
	DIR_BUS,
	DIR_BUS_ND,
	DIR_BUS_DEVICES,
	DIR_BUS_DRIVERS,
	DIR_CLASS,
	DIR_CLASS_BLOCK,
	DIR_CLASS_ND,
	DIR_NUMBERS,
	DIR_NUMBERS_BLOCK,
	DIR_NUMBERS_CHAR,
	DIR_DEVICES,
	DIR_SYSTEM,
	DIR_SYSTEM_BUS,
	DIR_PROVIDER,
};

static const struct {
	const char *name;
	unsigned parent;
	const char *path; /* below sys, or below dev */
	bool is_ours;     /* nothing of the machine shows through */
} dirs[] = {
	[DIR_TOP] = {"", DIR_TOP, "", true},
	[DIR_SYS] = {"sys", DIR_TOP, ""},
	[DIR_DEV] = {"dev", DIR_TOP, ""},
	[DIR_BLOCK] = {"block", DIR_SYS, "block"},
	[DIR_BUS] = {"bus", DIR_SYS, "bus"},
	[DIR_BUS_ND] = {"nd", DIR_BUS, "bus/nd", true},
	[DIR_BUS_DEVICES] = {"devices", DIR_BUS_ND, "bus/nd/devices", true},
	[DIR_BUS_DRIVERS] = {"drivers", DIR_BUS_ND, "bus/nd/drivers", true},
	[DIR_CLASS] = {"class", DIR_SYS, "class"},
	[DIR_CLASS_BLOCK] = {"block", DIR_CLASS, "class/block"},
	[DIR_CLASS_ND] = {"nd", DIR_CLASS, "class/nd", true},
	[DIR_NUMBERS] = {"dev", DIR_SYS, "dev"},
	[DIR_NUMBERS_BLOCK] = {"block", DIR_NUMBERS, "dev/block"},
	[DIR_NUMBERS_CHAR] = {"char", DIR_NUMBERS, "dev/char"},
	[DIR_DEVICES] = {"devices", DIR_SYS, "devices"},
	[DIR_SYSTEM] = {"LNXSYSTM:00", DIR_DEVICES, "devices/LNXSYSTM:00"},
	[DIR_SYSTEM_BUS] = {"LNXSYBUS:00", DIR_SYSTEM, "devices/LNXSYSTM:00/LNXSYBUS:00"},
	[DIR_PROVIDER] = {"ACPI0012:00", DIR_SYSTEM_BUS, PROVIDER, true},
};

const struct node tree_top = {.kind = NODE_DIR, .number = DIR_TOP};

/* ------------------------------------------------------------------- adding entries --------------------------------------- */

/* A walk through the entries of a directory: for a listing all are wanted, for a lookup one. */
struct walk {
	const struct tree *tree;
	const struct node *dir;
	const char *wanted; /* NULL: all */
	int (*add)(void *arg, const char *name, const struct node *node);
	void *arg;
	bool found;
	int r; /* of add, or -ENOMEM */
	/* Of a listing that the machine's entries follow: what was added, as those with the same name stay hidden. */
	char **names;
	size_t nname;
};

static bool is_done(const struct walk *walk)
{
	return walk->found || walk->r < 0;
}

static bool is_wanted(const struct walk *walk, const char *name)
{
	return !is_done(walk) && (!walk->wanted || strcmp(walk->wanted, name) == 0);
}

/* The directory of the machine that the entries of dir are mixed with; -1: none. */
static int outside_of(const struct tree *tree, const struct node *dir)
{
	if (dir->kind != NODE_DIR || dirs[dir->number].is_ours)
		return -1;
	return dir->number == DIR_DEV ? tree->outside_dev : tree->outside_sys;
}

static int remember_name(struct walk *walk, const char *name)
{
	char **names = reallocarray(walk->names, walk->nname + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	walk->names = names;
	names[walk->nname] = strdup(name);
	if (!names[walk->nname])
		return -ENOMEM;
	walk->nname++;
	return 0;
}

static void add_node(struct walk *walk, const char *name, const struct node *node)
{
	if (!is_wanted(walk, name))
		return;
	walk->found = walk->wanted;
	walk->r = walk->add(walk->arg, name, node);
	if (walk->r == 0 && !walk->wanted && node->kind != NODE_OUTSIDE && outside_of(walk->tree, walk->dir) >= 0)
		walk->r = remember_name(walk, name);
}

static void add(struct walk *walk, const char *name, enum node_kind kind, const char *device, const char *own_name)
{
	struct node node = {.kind = kind};

	snprintf(node.device, sizeof(node.device), "%s", device);
	snprintf(node.name, sizeof(node.name), "%s", own_name);
	add_node(walk, name, &node);
}

/* ------------------------------------------------------------------- paths ------------------------------------------------ */

/* The directory of a device, from sys. */
static void device_path(struct untorn_device *device, char *text, size_t size)
{
	_cleanup_device_ struct untorn_device *parent = NULL;
	size_t len;

	if (untorn_device_parent(device, &parent) < 0) {
		snprintf(text, size, PROVIDER "/%s", untorn_device_name(device));
		return;
	}
	device_path(parent, text, size);
	len = strlen(text);
	snprintf(text + len, size - len, "/%s", untorn_device_name(device));
}

static unsigned count_parts(const char *path)
{
	unsigned n = *path ? 1 : 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* How many directories lie between sys and this one, itself included. */
static unsigned depth_of(const struct tree *tree, const struct node *dir)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	char path[192];

	switch (dir->kind) {
	case NODE_DIR:
		return count_parts(dirs[dir->number].path);
	case NODE_DRIVER:
		return count_parts(dirs[DIR_BUS_DRIVERS].path) + 1;
	default:
		break;
	}
	if (untorn_bus_find(tree->bus, dir->device, &device) < 0)
		return 0;
	device_path(device, path, sizeof(path));
	switch (dir->kind) {
	case NODE_ND:
		return count_parts(path) + 1;
	case NODE_NDCTL:
	case NODE_DISK:
		return count_parts(path) + 2;
	default:
		return count_parts(path);
	}
}

static void add_link(struct walk *walk, const char *name, const char *target)
{
	struct node node = {.kind = NODE_LINK};

	if (!is_wanted(walk, name))
		return;
	node.number = depth_of(walk->tree, walk->dir);
	snprintf(node.name, sizeof(node.name), "%s", target);
	add_node(walk, name, &node);
}

static void add_link_below(struct walk *walk, const char *name, struct untorn_device *device, const char *below)
{
	char path[192];
	size_t len;

	if (!is_wanted(walk, name))
		return;
	device_path(device, path, sizeof(path));
	len = strlen(path);
	snprintf(path + len, sizeof(path) - len, "%s", below);
	add_link(walk, name, path);
}

void tree_readlink(const struct node *link, char *text, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; link->kind == NODE_LINK && i < link->number; i++)
		len += (size_t)snprintf(text + len, size - len, "../");
	snprintf(text + len, size - len, "%s", link->name);
}

/* ------------------------------------------------------------------- devices ---------------------------------------------- */

static int get_disk_info(struct untorn_device *device, struct untorn_disk_info *ret_info)
{
	struct untorn_disk *disk;

	if (untorn_device_type(device) < UNTORN_DEVICE_NAMESPACE || !untorn_device_driver(device) ||
	    untorn_disk_open(device, &disk) < 0)
		return -ENOENT;
	untorn_disk_get_info(disk, ret_info);
	untorn_disk_close(disk);
	return 0;
}

int tree_disk_info(const struct tree *tree, const char *name, struct untorn_disk_info *ret_info)
{
	_cleanup_device_ struct untorn_device *device = NULL;

	return untorn_bus_find(tree->bus, name, &device) < 0 ? -ENOENT : get_disk_info(device, ret_info);
}

typedef void (*each_fn)(struct walk *walk, struct untorn_device *device);

static void each_child(struct walk *walk, struct untorn_device *parent, enum untorn_device_type type, each_fn fn)
{
	struct untorn_device *child = NULL;

	while (!is_done(walk) && untorn_device_next(parent, type, &child) == 0)
		fn(walk, child);
	if (is_done(walk))
		untorn_device_put(child);
}

static void each_below(struct walk *walk, struct untorn_device *region, each_fn fn)
{
	each_child(walk, region, UNTORN_DEVICE_NAMESPACE, fn);
	each_child(walk, region, UNTORN_DEVICE_BTT, fn);
}

/* All devices, each before those that lie in it. */
static void each_device(struct walk *walk, each_fn fn)
{
	_cleanup_device_ struct untorn_device *bus = NULL;
	struct untorn_device *region = NULL;

	if (untorn_bus_device(walk->tree->bus, &bus) < 0)
		return;
	fn(walk, bus);
	each_child(walk, bus, UNTORN_DEVICE_DIMM, fn);
	while (!is_done(walk) && untorn_device_next(bus, UNTORN_DEVICE_REGION, &region) == 0) {
		fn(walk, region);
		each_below(walk, region, fn);
	}
	if (is_done(walk))
		untorn_device_put(region);
}

static void add_device_dir(struct walk *walk, struct untorn_device *device)
{
	struct node node = {.kind = NODE_DEVICE, .number = untorn_device_type(device)};

	snprintf(node.device, sizeof(node.device), "%s", untorn_device_name(device));
	add_node(walk, node.device, &node);
}

static void add_device_link(struct walk *walk, struct untorn_device *device)
{
	add_link_below(walk, untorn_device_name(device), device, "");
}

static void add_bound_link(struct walk *walk, struct untorn_device *device)
{
	const char *driver = untorn_device_driver(device);

	if (driver && strcmp(driver, walk->dir->name) == 0)
		add_device_link(walk, device);
}

/* Links to disks are called by their names, or by their numbers. */
static void add_disk_link(struct walk *walk, struct untorn_device *device)
{
	struct untorn_disk_info info;
	char name[32], below[64];

	if (get_disk_info(device, &info) < 0)
		return;
	snprintf(name, sizeof(name), "%s", info.name);
	if (walk->dir->number == DIR_NUMBERS_BLOCK)
		snprintf(name, sizeof(name), "%u:%u", DISK_MAJOR, disk_minor(&info));
	snprintf(below, sizeof(below), "/block/%s", info.name);
	add_link_below(walk, name, device, below);
}

static void add_device_file(struct walk *walk, struct untorn_device *device)
{
	const char *name = untorn_device_name(device);
	struct untorn_disk_info info;

	if (get_disk_info(device, &info) == 0)
		add(walk, info.name, NODE_DISK_FILE, name, info.name);
	if (untorn_device_type(device) == UNTORN_DEVICE_DIMM)
		add(walk, name, NODE_LABEL_FILE, name, "");
	if (untorn_device_type(device) == UNTORN_DEVICE_BUS)
		add(walk, "ndctl0", NODE_LABEL_FILE, name, "");
}

static void add_number_link(struct walk *walk, struct untorn_device *device)
{
	char name[32];

	if (untorn_device_type(device) == UNTORN_DEVICE_BUS) {
		snprintf(name, sizeof(name), "%u:0", NDCTL_MAJOR);
		add_link_below(walk, name, device, "/nd/ndctl0");
	} else if (untorn_device_type(device) == UNTORN_DEVICE_DIMM) {
		size_t len = 0;

		if (untorn_attr_show(device, "dev", name, sizeof(name) - 1, &len) < 0)
			return;
		name[len] = '\0';
		name[strcspn(name, "\n")] = '\0';
		add_link_below(walk, name, device, "");
	}
}

/* --------------------------------------------------------- what the machine has ------------------------------------------- */

/* Devices of the machine that could be taken for ours stay hidden. */
static bool is_hidden(const char *name)
{
	static const char *const ours[] = {"pmem", "nmem", "ndctl", "ndblk", "dax"};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (strncmp(name, ours[i], strlen(ours[i])) == 0)
			return true;
	}
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "nd") == 0;
}

/*
 * A link says what it says outside, as programs take names from it (that of dev/block/254:0 ends with a disk's), and leads from our
 * directory to the same. For what is no link there is one. fd is the machine's directory.
 */
static void add_outside(struct walk *walk, int fd, const char *top, const char *path, const char *name)
{
	char target[192];
	const char *last;
	ssize_t n;

	if (is_hidden(name))
		return;
	n = readlinkat(fd, name, target, sizeof(target));
	if (n > 0 && (size_t)n < sizeof(target)) {
		target[n] = '\0';
		last = strrchr(target, '/');
		if (is_hidden(last ? last + 1 : target))
			return;
	} else {
		n = snprintf(target, sizeof(target), "%s/%s/%s%s%s", walk->tree->outside, top, path, *path ? "/" : "",
			     name);
		if ((size_t)n >= sizeof(target))
			return;
	}
	add(walk, name, NODE_OUTSIDE, "", target);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Ours come first: what has a name of ours is left out. */
static void list_outside(struct walk *walk, DIR *dir, const char *top, const char *path)
{
	struct dirent *entry;

	if (walk->nname > 0)
		qsort(walk->names, walk->nname, sizeof(*walk->names), compare_names);
	while (!is_done(walk) && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (walk->nname == 0 || !bsearch(&name, walk->names, walk->nname, sizeof(*walk->names), compare_names))
			add_outside(walk, dirfd(dir), top, path, name);
	}
}

static void walk_outside(struct walk *walk)
{
	int outside = outside_of(walk->tree, walk->dir);
	const char *top = walk->dir->number == DIR_DEV ? "dev" : "sys", *path = dirs[walk->dir->number].path;
	_cleanup_close_ int fd = -1;
	struct stat st;
	DIR *dir;

	if (outside < 0 || is_done(walk))
		return;
	fd = openat(outside, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (walk->wanted) {
		if (fstatat(fd, walk->wanted, &st, AT_SYMLINK_NOFOLLOW) == 0)
			add_outside(walk, fd, top, path, walk->wanted);
		return;
	}
	dir = fdopendir(fd);
	if (!dir)
		return;
	fd = -1;
	list_outside(walk, dir, top, path);
	closedir(dir);
}

/* ------------------------------------------------------------------- contents --------------------------------------------- */

static void walk_files(struct walk *walk)
{
	struct node node = {.kind = NODE_FILE};
	const char *name;

	memcpy(node.device, walk->dir->device, sizeof(node.device));
	if (walk->dir->kind == NODE_DRIVER)
		memcpy(node.name, walk->dir->name, sizeof(node.name));
	for (; !is_done(walk) && file_next(walk->tree, walk->dir, &node.number, &name) == 0; node.number++)
		add_node(walk, name, &node);
}

static void walk_drivers(struct walk *walk)
{
	const char *name;

	for (unsigned i = 0; (name = untorn_driver_name(i)); i++)
		add(walk, name, NODE_DRIVER, "", name);
}

static void walk_dir(struct walk *walk)
{
	_cleanup_device_ struct untorn_device *bus = NULL;

	for (unsigned i = DIR_TOP + 1; i < ARRAY_SIZE(dirs); i++) {
		if (dirs[i].parent == walk->dir->number)
			add_node(walk, dirs[i].name, &(struct node){.kind = NODE_DIR, .number = i});
	}
	switch (walk->dir->number) {
	case DIR_DEV:
		each_device(walk, add_device_file);
		break;
	case DIR_BLOCK:
	case DIR_CLASS_BLOCK:
	case DIR_NUMBERS_BLOCK:
		each_device(walk, add_disk_link);
		break;
	case DIR_NUMBERS_CHAR:
		each_device(walk, add_number_link);
		break;
	case DIR_BUS_DEVICES:
		each_device(walk, add_device_link);
		break;
	case DIR_BUS_DRIVERS:
		walk_drivers(walk);
		break;
	case DIR_CLASS_ND:
		if (untorn_bus_device(walk->tree->bus, &bus) == 0)
			add_link_below(walk, "ndctl0", bus, "/nd/ndctl0");
		break;
	case DIR_PROVIDER:
		if (untorn_bus_device(walk->tree->bus, &bus) == 0)
			add_device_dir(walk, bus);
		break;
	default:
		break;
	}
	walk_files(walk);
	walk_outside(walk);
}

/* The attributes of a group without its name, or those without group and each group once. */
static void walk_attrs(struct walk *walk, struct untorn_device *device, const char *group)
{
	char last_group[64] = "";
	struct untorn_attr_info info;
	unsigned index = 0;

	while (!is_done(walk) && untorn_attr_next(device, &index, &info) == 0) {
		const char *slash = strchr(info.name, '/');
		size_t len = slash ? (size_t)(slash - info.name) : 0;

		if (group) {
			if (len == strlen(group) && strncmp(info.name, group, len) == 0)
				add(walk, slash + 1, NODE_ATTR, walk->dir->device, info.name);
		} else if (!slash) {
			add(walk, info.name, NODE_ATTR, walk->dir->device, info.name);
		} else if (len < sizeof(last_group) && (strncmp(last_group, info.name, len) != 0 || last_group[len])) {
			memcpy(last_group, info.name, len);
			last_group[len] = '\0';
			add(walk, last_group, NODE_GROUP, walk->dir->device, last_group);
		}
	}
}

static void walk_device(struct walk *walk, struct untorn_device *device)
{
	const char *driver = untorn_device_driver(device);
	struct untorn_disk_info disk;
	char target[64];

	if (driver) {
		snprintf(target, sizeof(target), "bus/nd/drivers/%s", driver);
		add_link(walk, "driver", target);
	}
	add_link(walk, "subsystem", "bus/nd");
	if (is_wanted(walk, "block") && get_disk_info(device, &disk) == 0)
		add(walk, "block", NODE_BLOCK, walk->dir->device, "");
	if (untorn_device_type(device) == UNTORN_DEVICE_BUS) {
		add(walk, "nd", NODE_ND, walk->dir->device, "");
		each_child(walk, device, UNTORN_DEVICE_DIMM, add_device_dir);
		each_child(walk, device, UNTORN_DEVICE_REGION, add_device_dir);
	} else if (untorn_device_type(device) == UNTORN_DEVICE_REGION) {
		each_below(walk, device, add_device_dir);
	}
	walk_attrs(walk, device, NULL);
}

static void walk_ndctl(struct walk *walk, struct untorn_device *bus)
{
	add_link_below(walk, "device", bus, "");
	add_link(walk, "subsystem", "class/nd");
	walk_files(walk);
}

static void walk_disk(struct walk *walk, struct untorn_device *device, bool is_btt)
{
	add_link_below(walk, "device", device, "");
	add_link(walk, "subsystem", "class/block");
	add(walk, "queue", NODE_DISK_GROUP, walk->dir->device, "queue");
	if (!is_btt)
		add(walk, "dax", NODE_DISK_GROUP, walk->dir->device, "dax");
	walk_files(walk);
}

/* What lies in the directories of a device. -ENOENT: it is gone, or its disk is. */
static int walk_below_device(struct walk *walk)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	struct untorn_disk_info disk;

	if (untorn_bus_find(walk->tree->bus, walk->dir->device, &device) < 0)
		return -ENOENT;
	if ((walk->dir->kind == NODE_BLOCK || walk->dir->kind == NODE_DISK || walk->dir->kind == NODE_DISK_GROUP) &&
	    get_disk_info(device, &disk) < 0)
		return -ENOENT;
	switch (walk->dir->kind) {
	case NODE_DEVICE:
		walk_device(walk, device);
		break;
	case NODE_GROUP:
		walk_attrs(walk, device, walk->dir->name);
		break;
	case NODE_ND:
		add(walk, "ndctl0", NODE_NDCTL, walk->dir->device, "");
		break;
	case NODE_NDCTL:
		walk_ndctl(walk, device);
		break;
	case NODE_BLOCK:
		add(walk, disk.name, NODE_DISK, walk->dir->device, disk.name);
		break;
	case NODE_DISK:
		walk_disk(walk, device, disk.is_btt);
		break;
	default:
		walk_files(walk);
	}
	return 0;
}

static int run_walk(struct walk *walk)
{
	switch (walk->dir->kind) {
	case NODE_DIR:
		walk_dir(walk);
		return 0;
	case NODE_DRIVER:
		walk_files(walk);
		each_device(walk, add_bound_link);
		return 0;
	case NODE_DEVICE:
	case NODE_GROUP:
	case NODE_ND:
	case NODE_NDCTL:
	case NODE_BLOCK:
	case NODE_DISK:
	case NODE_DISK_GROUP:
		return walk_below_device(walk);
	default:
		return -ENOTDIR;
	}
}

static int take_node(void *arg, const char *name, const struct node *node)
{
	(void)name;
	*(struct node *)arg = *node;
	return 0;
}

/* Devices are found by name: their directories are looked up once for each attribute of each, and may be many. */
static bool find_child(const struct tree *tree, const char *parent_name, const char *name, struct untorn_device **ret)
{
	_cleanup_device_ struct untorn_device *parent = NULL;

	return untorn_bus_find(tree->bus, name, ret) == 0 && untorn_device_parent(*ret, &parent) == 0 &&
	       strcmp(untorn_device_name(parent), parent_name) == 0;
}

int tree_lookup(const struct tree *tree, const struct node *dir, const char *name, struct node *ret_node)
{
	struct walk walk = {.tree = tree, .dir = dir, .wanted = name, .add = take_node, .arg = ret_node};
	_cleanup_device_ struct untorn_device *child = NULL;
	int r;

	if (dir->kind == NODE_DEVICE && find_child(tree, dir->device, name, &child)) {
		add_device_dir(&walk, child);
		return 0;
	}
	r = run_walk(&walk);
	return r < 0 ? r : walk.found ? 0 : -ENOENT;
}

int tree_list(const struct tree *tree, const struct node *dir,
	      int (*add_fn)(void *arg, const char *name, const struct node *node), void *arg)
{
	struct walk walk = {.tree = tree, .dir = dir, .add = add_fn, .arg = arg};
	int r = run_walk(&walk);

	for (size_t i = 0; i < walk.nname; i++)
		free(walk.names[i]);
	free(walk.names);
	return r < 0 ? r : walk.r;
}

/* ------------------------------------------------------------------- what a node is --------------------------------------- */

bool tree_name_is_constant(const struct node *node)
{
	switch (node->kind) {
	case NODE_DIR:
	case NODE_DRIVER:
	case NODE_GROUP:
	case NODE_ND:
	case NODE_NDCTL:
	case NODE_ATTR:
	case NODE_FILE:
		return true;
	case NODE_DEVICE:
		/* A bus, its dimms and regions stay while it is mounted. */
		return node->number < UNTORN_DEVICE_NAMESPACE;
	default:
		return false;
	}
}

bool tree_stat_is_constant(const struct node *node)
{
	switch (node->kind) {
	case NODE_ATTR:
	case NODE_FILE:
	case NODE_DISK_FILE:
	case NODE_LABEL_FILE:
		return false;
	default:
		return true;
	}
}

bool tree_is_bus_dir(const struct node *node)
{
	return node->kind == NODE_DIR && node->number == DIR_BUS_ND;
}

static int stat_device_file(const struct tree *tree, const struct node *node, struct stat *st)
{
	_cleanup_device_ struct untorn_device *device = NULL;
	struct untorn_attr_info info;
	struct untorn_disk_info disk;
	uint64_t size;

	if (untorn_bus_find(tree->bus, node->device, &device) < 0)
		return -ENOENT;
	switch (node->kind) {
	case NODE_ATTR:
		if (untorn_attr_info(device, node->name, &info) < 0)
			return -ENOENT;
		st->st_mode = S_IFREG | info.mode;
		st->st_size = UNTORN_ATTR_SIZE;
		break;
	case NODE_LABEL_FILE:
		if (untorn_dimm_label_size(device, &size) < 0)
			size = 0;
		st->st_mode = S_IFREG | 0600;
		st->st_size = (off_t)size;
		break;
	case NODE_DISK_FILE:
		if (get_disk_info(device, &disk) < 0 || strcmp(disk.name, node->name) != 0)
			return -ENOENT;
		st->st_mode = S_IFREG | (disk.read_only ? 0400 : 0600);
		st->st_size = (off_t)disk.size;
		st->st_blocks = (blkcnt_t)(disk.size / 512);
		break;
	default:
		if (node->kind != NODE_DEVICE && node->kind != NODE_GROUP && node->kind != NODE_ND &&
		    node->kind != NODE_NDCTL && get_disk_info(device, &disk) < 0)
			return -ENOENT;
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
	}
	return 0;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash * 0x100000001b3u;
}

uint64_t node_hash(const struct node *node)
{
	uint64_t hash = 0xcbf29ce484222325u ^ ((uint64_t)node->kind << 32 | node->number);

	return hash_text(hash_text(hash, node->device), node->name);
}

ino_t node_number(const struct node *node)
{
	return (ino_t)(node_hash(node) | 1);
}

int tree_stat(const struct tree *tree, const struct node *node, struct stat *st)
{
	char text[512];

	st->st_ino = node_number(node);
	st->st_nlink = 1;
	switch (node->kind) {
	case NODE_DIR:
	case NODE_DRIVER:
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	case NODE_LINK:
	case NODE_OUTSIDE:
		tree_readlink(node, text, sizeof(text));
		st->st_mode = S_IFLNK | 0777;
		st->st_size = (off_t)strlen(text);
		return 0;
	case NODE_FILE:
		st->st_mode = S_IFREG | file_mode(node->number);
		st->st_size = UNTORN_ATTR_SIZE;
		return 0;
	default:
		return stat_device_file(tree, node, st);
	}
}

int tree_show(const struct tree *tree, const struct node *node, char *text, size_t size, size_t *ret_len)
{
	_cleanup_device_ struct untorn_device *device = NULL;

	if (node->kind == NODE_FILE)
		return file_show(tree, node, text, size, ret_len);
	if (untorn_bus_find(tree->bus, node->device, &device) < 0)
		return -ENODEV;
	return untorn_attr_show(device, node->name, text, size, ret_len);
}

int tree_store(const struct tree *tree, const struct node *node, const char *text, size_t len)
{
	_cleanup_device_ struct untorn_device *device = NULL;

	if (node->kind == NODE_FILE)
		return file_store(tree, node, text, len);
	if (untorn_bus_find(tree->bus, node->device, &device) < 0)
		return -ENODEV;
	return untorn_attr_store(device, node->name, text, len);
}
