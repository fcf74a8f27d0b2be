/* SPDX-License-Identifier: BSD-3-Clause */
/* Sectors of 512 bytes that tell their number: what a test knows again after a cut. */
#ifndef TESTS_NUMBERED_H
#define TESTS_NUMBERED_H

#include <stdbool.h>
#include <untorn/btt.h>

/* Write sectors 0 to n - 1. Asserts that it works. */
void write_numbered(struct untorn_btt *btt, uint32_t n);

/* Whether all of them are there. */
bool has_numbered(struct untorn_btt *btt, uint32_t n);

#endif
