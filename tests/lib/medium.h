/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of media look at; cmocka assertions inside. */
#ifndef TESTS_MEDIUM_H
#define TESTS_MEDIUM_H

#include <stddef.h>
#include <stdint.h>
#include <untorn/media.h>

/* Bytes of the file's blocks: what a hole does not have. */
uint64_t allocated(const char *path);

/* All of [off, off + len) reads as value. */
void assert_bytes(struct untorn_media *m, uint64_t off, uint8_t value, size_t len);

/* Write value to all of [off, off + len). Returns what writing does. */
int fill(struct untorn_media *m, uint64_t off, uint8_t value, size_t len);

#endif
