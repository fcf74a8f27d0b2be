/* SPDX-License-Identifier: BSD-3-Clause */
/* A medium around memory that somebody else owns, for tests: recovery can run on an image where it lies. */
#ifndef MEDIA_MEMORY_H
#define MEDIA_MEMORY_H

#include "media/media.h"

/* size bytes at base (size a multiple of 4096), volatile kind. Closing the medium leaves the memory alone. */
int memory_media_wrap(void *base, uint64_t size, struct untorn_media **ret_media);

#endif
