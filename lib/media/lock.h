/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEDIA_LOCK_H
#define MEDIA_LOCK_H

#include <stdbool.h>

/*
 * Lock all of the file, exclusively or shared, for as long as this open file description lives. Never waits.
 * Returns 0, -EBUSY when somebody's lock is in the way, or the errno of fcntl(2).
 */
int lock_file(int fd, bool exclusive);

#endif
