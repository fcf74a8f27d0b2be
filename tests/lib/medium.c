/* SPDX-License-Identifier: BSD-3-Clause */
#include "medium.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"

uint64_t allocated(const char *path)
{
	struct stat st;

	assert_return_code(stat(path, &st), errno);
	return (uint64_t)st.st_blocks * 512;
}

void assert_bytes(struct untorn_media *m, uint64_t off, uint8_t value, size_t len)
{
	_cleanup_free_ uint8_t *seen = malloc(len), *expected = malloc(len);

	memset(expected, value, len);
	memset(seen, (uint8_t)~value, len);
	assert_int_equal(untorn_media_read(m, off, seen, len), 0);
	assert_memory_equal(seen, expected, len);
}

int fill(struct untorn_media *m, uint64_t off, uint8_t value, size_t len)
{
	_cleanup_free_ uint8_t *bytes = malloc(len);

	memset(bytes, value, len);
	return untorn_media_write(m, off, bytes, len);
}
