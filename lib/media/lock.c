/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may have the file open, and who has.
 *
 * The lock is an open file description lock on the whole file: it belongs to the open file, not to the process, so two opens
 * in one process exclude each other like two processes do, and closing an unrelated descriptor of the same file does not
 * give it away. It goes when the medium's descriptor is closed, also by a kill. Classic POSIX locks and QEMU's
 * open file description locks meet it as a conflict.
 *
 * The kernel does not say who holds such a lock (fcntl reports the process id -1). /proc does: fdinfo of the descriptor that
 * holds a lock has a line about it.
 */
#include "media/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <untorn/media.h>

#include "base/cleanup.h"

int lock_file(int fd, bool exclusive)
{
	struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Open name, relative to the directory dirfd, as a directory stream. NULL when that fails. */
static DIR *open_dir_at(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static FILE *open_file_at(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

/* Does descriptor name of the process whose fdinfo folder is given hold a byte range lock on its file? */
static bool holds_lock(int fdinfo, const char *name)
{
	_cleanup_(cleanup_fclose) FILE *file = open_file_at(fdinfo, name);
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "lock:", 5) == 0 && (strstr(line, "OFDLCK") || strstr(line, "POSIX")))
			return true;
	return false;
}

/* Does the process whose /proc folder is given hold a lock on the file that st describes? */
static bool process_holds(int proc, const struct stat *st)
{
	_cleanup_(cleanup_closedir) DIR *fds = open_dir_at(proc, "fd");
	_cleanup_close_ int fdinfo = openat(proc, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (!fds || fdinfo < 0)
		return false;
	while ((entry = readdir(fds))) {
		struct statx sx;

		/* What is cached will do: a file of a dead network server must not hang us. */
		if (entry->d_name[0] == '.' ||
		    statx(dirfd(fds), entry->d_name, AT_STATX_DONT_SYNC, STATX_INO | STATX_TYPE, &sx) < 0)
			continue;
		if (sx.stx_ino == st->st_ino && makedev(sx.stx_dev_major, sx.stx_dev_minor) == st->st_dev &&
		    holds_lock(fdinfo, entry->d_name))
			return true;
	}
	return false;
}

static void read_comm(int proc, char *name, size_t size)
{
	_cleanup_(cleanup_fclose) FILE *file = open_file_at(proc, "comm");

	if (!size)
		return;
	if (!file || !fgets(name, (int)(size < 4096 ? size : 4096), file))
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

int untorn_media_holder(const char *path, pid_t *ret_pid, char *name, size_t size)
{
	_cleanup_(cleanup_closedir) DIR *procs = NULL;
	struct dirent *entry;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	procs = opendir("/proc");
	if (!procs)
		return -ESRCH;
	while ((entry = readdir(procs))) {
		_cleanup_close_ int proc = -1;
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (pid <= 0 || *end)
			continue;
		proc = openat(dirfd(procs), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc >= 0 && process_holds(proc, &st)) {
			read_comm(proc, name, size);
			*ret_pid = (pid_t)pid;
			return 0;
		}
	}
	return -ESRCH;
}
