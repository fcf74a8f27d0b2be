/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zeros in buffers, for copies that keep files and volumes sparse.
 */
#include "cli.h"

size_t sparse_run(const uint8_t *p, size_t len, size_t piece, bool *ret_zero)
{
	size_t run = 0;

	while (run < len) {
		size_t n = len - run < piece ? len - run : piece;
		bool zero = is_zero(p + run, n);

		if (run > 0 && zero != *ret_zero)
			break;
		*ret_zero = zero;
		run += n;
	}
	return run;
}
