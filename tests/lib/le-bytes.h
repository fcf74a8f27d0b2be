/* SPDX-License-Identifier: BSD-3-Clause */
/* Little-endian fields of any size up to 8 bytes, anywhere in an image. */
#ifndef TESTS_LE_BYTES_H
#define TESTS_LE_BYTES_H

#include <stddef.h>
#include <string.h>

#include "base/le.h"

static inline uint64_t le_bytes_get(const uint8_t *p, size_t size)
{
	le64 v = {0};

	memcpy(&v, p, size);
	return le64_get(v);
}

static inline void le_bytes_put(uint8_t *p, size_t size, uint64_t value)
{
	le64 v = le64_make(value);

	memcpy(p, &v, size);
}

#endif
