/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices of a bus as files: sys, laid out like /sys, and dev, with the sectors of the disks and the label areas. A FUSE file
 * system. One thread mounts, serves and unmounts; it has helpers while it serves.
 */
#ifndef SYSFS_SYSFS_H
#define SYSFS_SYSFS_H

#include <signal.h>
#include <untorn/device.h>

struct sysfs;

struct sysfs_options {
	bool others;     /* users other than the one who mounts may look, as file permissions allow */
	int outside_sys; /* directories of the machine whose entries show through, as links; -1: none */
	int outside_dev;
	const char *outside; /* the folder in which they can be found as sys and dev */
};

/*
 * Mount the devices of bus at a directory. The bus must stay open until sysfs_unmount(). Options are copied, but for the
 * descriptors and the text, which stay the caller's. -EINVAL: libfuse refuses; -EACCES: it cannot be mounted (libfuse said
 * why on stderr); -ENOMEM; errors of realpath(3) for the directory.
 */
int sysfs_mount(struct untorn_bus *bus, const char *dir, const struct sysfs_options *options, struct sysfs **ret_sysfs);

/*
 * Answer requests until it is unmounted from outside, or one of signals comes, which the caller has blocked in all threads. Then
 * what programs stored in mappings is taken in first. SIGUSR1 is used meanwhile. -EIO, -ENOSPC and the like: not all was taken in,
 * or the connection to the kernel failed; -ENOMEM, -EAGAIN: it could not begin.
 */
int sysfs_serve(struct sysfs *sysfs, const sigset_t *signals);

/* Unmount if it still is, close all that is open, and free. The mount is gone on return, the bus still the caller's. */
void sysfs_unmount(struct sysfs *sysfs);

#endif
