/* SPDX-License-Identifier: BSD-3-Clause */
#include "numbered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Never zero, which sectors that were never written may be. */
static void number(uint8_t sector[512], uint32_t lba)
{
	memset(sector, (int)lba | 1, 512);
}

void write_numbered(struct untorn_btt *btt, uint32_t n)
{
	uint8_t sector[512];

	for (uint32_t lba = 0; lba < n; lba++) {
		number(sector, lba);
		assert_int_equal(untorn_btt_write(btt, lba, 1, sector, NULL, 0), 0);
	}
}

bool has_numbered(struct untorn_btt *btt, uint32_t n)
{
	uint8_t sector[512], expected[512];

	for (uint32_t lba = 0; lba < n; lba++) {
		number(expected, lba);
		if (untorn_btt_read(btt, lba, 1, sector, NULL) < 0 || memcmp(sector, expected, sizeof(sector)) != 0)
			return false;
	}
	return true;
}
