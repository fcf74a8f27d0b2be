/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A medium for tests whose memory is bad in places and whose syncs fail: real mapped memory in which bad pages really raise
 * SIGBUS, so that the guard is tested as it runs.
 */
#ifndef MEDIA_FAULT_H
#define MEDIA_FAULT_H

#include "media/media.h"

/* size bytes of zeros (a multiple of 4096), page kind. */
int fault_media_new(uint64_t size, struct untorn_media **ret_media);

/* Make the pages that [off, off + len) touches fault from now on, or (bad = false) work again, reading as zeros. */
int fault_media_set_bad(struct untorn_media *m, uint64_t off, uint64_t len, bool bad);

/* Let the persist point after the next `after` ones fail, once. */
void fault_media_fail_drain(struct untorn_media *m, unsigned after);

#endif
