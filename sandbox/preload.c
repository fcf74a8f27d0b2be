/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before a program's libraries in a sandbox: the label calls of /dev/nmemN, and no kernel modules for our devices.
 *
 * On Linux, /dev/nmemN is a character device with three ioctls (docs/DEVICES.md 14), and /dev/ndctlN one with none that we have. In
 * the sandbox the first is a file with the label area, and the second an empty one. So stat() and its like and ioctl() are answered
 * here: stat() says that it is the character device whose number /sys shows, ioctl() reads and writes the file. Nothing is
 * remembered: whether a descriptor is such a file is looked up each time, so dup(), exec() and descriptors that were passed on
 * need no care.
 */
/* Both names of a function are defined here, so neither may stand for the other. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ndctl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define MAX_XFER 4096u /* bytes of one call, as we say */
#define MAX_CALL (4u << 20)

/* ------------------------------------------------------------------- which descriptors are meant ------------------- */

static int real_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	return (int)syscall(SYS_newfstatat, dirfd, path, st, flags);
}

static int real_fstat(int fd, struct stat *st)
{
	return real_stat(fd, "", st, AT_EMPTY_PATH);
}

/* What a file stands for. */
struct node {
	bool is_dimm; /* nmemN; otherwise ndctlN, a bus, which takes no label calls */
	unsigned number;
};

static bool find_node(int fd, struct node *ret_node)
{
	char link[64], path[64];
	int end = 0;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	ret_node->is_dimm = sscanf(path, "/dev/nmem%u%n", &ret_node->number, &end) == 1;
	return (ret_node->is_dimm || sscanf(path, "/dev/ndctl%u%n", &ret_node->number, &end) == 1) && path[end] == '\0';
}

/* Its device number, as libndctl compares it. */
static dev_t device_number(const struct node *node)
{
	unsigned long major = 0, minor = 0;
	char text[64], *end;
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), node->is_dimm ? "/sys/bus/nd/devices/nmem%u/dev" : "/sys/class/nd/ndctl%u/dev",
		 node->number);
	fd = (int)syscall(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	major = strtoul(text, &end, 10);
	if (*end == ':')
		minor = strtoul(end + 1, NULL, 10);
	return makedev(major, minor);
}

/* Only a path that ends like one is looked at. */
static bool names_node(int dirfd, const char *path, int flags, struct node *ret_node)
{
	const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
	bool found;
	int fd;

	if (!path || !*path)
		return find_node(dirfd, ret_node);
	if (strncmp(name, "nmem", 4) != 0 && strncmp(name, "ndctl", 5) != 0)
		return false;
	fd = (int)syscall(SYS_openat, dirfd, path, O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0),
			  0);
	found = fd >= 0 && find_node(fd, ret_node);
	if (fd >= 0)
		close(fd);
	return found;
}

static int stat_like_device(int dirfd, const char *path, struct stat *st, int flags)
{
	int r = real_stat(dirfd, path, st, flags), err = errno;
	struct node node;

	if (r == 0 && S_ISREG(st->st_mode) && names_node(dirfd, path, flags, &node)) {
		st->st_mode = S_IFCHR | (st->st_mode & 07777);
		st->st_rdev = device_number(&node);
		st->st_size = 0;
	}
	errno = err;
	return r;
}

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx);
EXPORTED int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	int r = (int)syscall(SYS_statx, dirfd, path, flags, mask, stx), err = errno;
	struct node node;

	if (r == 0 && S_ISREG(stx->stx_mode) && names_node(dirfd, path, flags, &node)) {
		dev_t device = device_number(&node);

		stx->stx_mode = S_IFCHR | (stx->stx_mode & 07777);
		stx->stx_rdev_major = major(device);
		stx->stx_rdev_minor = minor(device);
		stx->stx_size = 0;
	}
	errno = err;
	return r;
}

/* The same structure on 64-bit machines. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "a machine with one struct stat");

/* Each function as it is called today, and as programs do that were linked with an older C library. */
#define DEFINE_STAT(suffix, type)                                                                      \
	int stat##suffix(const char *path, type *st);                                                  \
	int lstat##suffix(const char *path, type *st);                                                 \
	int fstat##suffix(int fd, type *st);                                                           \
	int fstatat##suffix(int dirfd, const char *path, type *st, int flags);                         \
	int __xstat##suffix(int version, const char *path, type *st);                                  \
	int __lxstat##suffix(int version, const char *path, type *st);                                 \
	int __fxstat##suffix(int version, int fd, type *st);                                           \
	int __fxstatat##suffix(int version, int dirfd, const char *path, type *st, int flags);         \
	EXPORTED int stat##suffix(const char *path, type *st)                                          \
	{                                                                                              \
		return stat_like_device(AT_FDCWD, path, (struct stat *)st, 0);                         \
	}                                                                                              \
	EXPORTED int lstat##suffix(const char *path, type *st)                                         \
	{                                                                                              \
		return stat_like_device(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);       \
	}                                                                                              \
	EXPORTED int fstat##suffix(int fd, type *st)                                                   \
	{                                                                                              \
		return stat_like_device(fd, "", (struct stat *)st, AT_EMPTY_PATH);                     \
	}                                                                                              \
	EXPORTED int fstatat##suffix(int dirfd, const char *path, type *st, int flags)                 \
	{                                                                                              \
		return stat_like_device(dirfd, path, (struct stat *)st, flags);                        \
	}                                                                                              \
	EXPORTED int __xstat##suffix(int version, const char *path, type *st)                          \
	{                                                                                              \
		(void)version;                                                                         \
		return stat_like_device(AT_FDCWD, path, (struct stat *)st, 0);                         \
	}                                                                                              \
	EXPORTED int __lxstat##suffix(int version, const char *path, type *st)                         \
	{                                                                                              \
		(void)version;                                                                         \
		return stat_like_device(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);       \
	}                                                                                              \
	EXPORTED int __fxstat##suffix(int version, int fd, type *st)                                   \
	{                                                                                              \
		(void)version;                                                                         \
		return stat_like_device(fd, "", (struct stat *)st, AT_EMPTY_PATH);                     \
	}                                                                                              \
	EXPORTED int __fxstatat##suffix(int version, int dirfd, const char *path, type *st, int flags) \
	{                                                                                              \
		(void)version;                                                                         \
		return stat_like_device(dirfd, path, (struct stat *)st, flags);                        \
	}

DEFINE_STAT(, struct stat)
DEFINE_STAT(64, struct stat64)

/* ------------------------------------------------------------------- the calls ------------------------------------- */

static int get_size(int fd, struct nd_cmd_get_config_size *call)
{
	struct stat st;

	if (real_fstat(fd, &st) < 0)
		return -1;
	if (st.st_size == 0) {
		errno = ENOTTY; /* a dimm without label area has no label calls */
		return -1;
	}
	call->status = 0;
	call->config_size = (uint32_t)st.st_size;
	call->max_xfer = MAX_XFER;
	return 0;
}

/* Whether a call is about bytes of the label area. -1 and EINVAL: not all of them are there. */
static int check_range(int fd, uint32_t off, uint32_t len)
{
	struct nd_cmd_get_config_size area;

	if (get_size(fd, &area) < 0)
		return -1;
	if (len <= MAX_CALL && off <= area.config_size && len <= area.config_size - off)
		return 0;
	errno = EINVAL;
	return -1;
}

static int get_data(int fd, struct nd_cmd_get_config_data_hdr *call)
{
	ssize_t n;

	if (check_range(fd, call->in_offset, call->in_length) < 0)
		return -1;
	n = pread(fd, call->out_buf, call->in_length, call->in_offset);
	if (n < 0)
		return -1;
	call->status = (size_t)n == call->in_length ? 0 : 1;
	return 0;
}

/* The status follows the bytes. */
static int set_data(int fd, struct nd_cmd_set_config_hdr *call)
{
	uint32_t status;
	ssize_t n;

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		errno = EPERM;
		return -1;
	}
	if (check_range(fd, call->in_offset, call->in_length) < 0)
		return -1;
	n = pwrite(fd, call->in_buf, call->in_length, call->in_offset);
	if (n < 0)
		return -1;
	status = (size_t)n == call->in_length ? 0 : 1;
	memcpy(call->in_buf + call->in_length, &status, sizeof(status));
	return 0;
}

/* Programs keep the number in an int: only its 32 bits count. */
static int label_call(int fd, unsigned request, void *arg)
{
	switch (request) {
	case ND_IOCTL_GET_CONFIG_SIZE:
		return get_size(fd, arg);
	case ND_IOCTL_GET_CONFIG_DATA:
		return get_data(fd, arg);
	case ND_IOCTL_SET_CONFIG_DATA:
		return set_data(fd, arg);
	default:
		errno = ENOTTY;
		return -1;
	}
}

int ioctl(int fd, unsigned long request, ...);
EXPORTED int ioctl(int fd, unsigned long request, ...)
{
	struct node node;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (_IOC_TYPE(request) != ND_IOCTL || !find_node(fd, &node))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	if (node.is_dimm)
		return label_call(fd, (unsigned)request, arg);
	errno = ENOTTY;
	return -1;
}

/* ------------------------------------------------------------------- modules -------------------------------------- */

/*
 * Before libndctl binds a device it loads the kernel module that libkmod knows for it, and gives up when that fails. Our
 * drivers need none: the machine may have no such module, may not let us load it, and keeps it when the sandbox is gone.
 */
struct kmod_ctx;
struct kmod_list;

int kmod_module_new_from_lookup(struct kmod_ctx *ctx, const char *alias, struct kmod_list **list);
EXPORTED int kmod_module_new_from_lookup(struct kmod_ctx *ctx, const char *alias, struct kmod_list **list)
{
	int (*next)(struct kmod_ctx * ctx, const char *alias, struct kmod_list **list);

	if (alias && strncmp(alias, "nd:", 3) == 0)
		return 0; /* and the list stays empty */
	*(void **)&next = dlsym(RTLD_NEXT, "kmod_module_new_from_lookup");
	return next ? next(ctx, alias, list) : -ENOSYS;
}
