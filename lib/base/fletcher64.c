/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fletcher64.h"

#include <string.h>

#include "base/le.h"

uint64_t fletcher64(const void *data, size_t len, size_t zero_off, size_t zero_len)
{
	const uint8_t *p = data;
	uint32_t lo = 0, hi = 0;

	for (size_t i = 0; i + 4 <= len; i += 4) {
		le32 word;

		memcpy(&word, p + i, sizeof(word));
		if (i < zero_off || i - zero_off >= zero_len)
			lo += le32_get(word);
		hi += lo;
	}
	return (uint64_t)hi << 32 | lo;
}
