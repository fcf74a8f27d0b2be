/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zeros in buffers, for copies that keep files and volumes sparse.
 */
#include <string.h>

#include "cli.h"

static bool is_all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

size_t sparse_run(const uint8_t *p, size_t len, size_t piece, bool *ret_zero)
{
	size_t run = 0;

	while (run < len) {
		size_t n = len - run < piece ? len - run : piece;
		bool zero = is_all_zero(p + run, n);

		if (run > 0 && zero != *ret_zero)
			break;
		*ret_zero = zero;
		run += n;
	}
	return run;
}
