/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interleave-set cookies: what ties a label to the set of DIMMs that it was written for. Each is the Fletcher-64 of one record per
 * DIMM, the records in order of the DIMMs' offsets in the region. SPEC 10.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <untorn/label.h>

#include "base/cleanup.h"
#include "base/fletcher64.h"
#include "base/le.h"

struct cookie_v1_1 {
	le64 region_offset;
	le32 serial, zero;
};

struct cookie_v1_2 {
	le64 region_offset;
	le32 serial;
	le16 vendor, date;
	uint8_t location, zero[31];
};
_Static_assert(sizeof(struct cookie_v1_1) == 16 && sizeof(struct cookie_v1_2) == 48, "cookie records");

/* By number; equal offsets, which no platform should have, by the rest of the record. */
static int by_offset(const void *x, const void *y)
{
	const struct cookie_v1_2 *a = x, *b = y;
	uint64_t off_a = le64_get(a->region_offset), off_b = le64_get(b->region_offset);

	return off_a != off_b ? (off_a > off_b ? 1 : -1) : memcmp(a, b, sizeof(*a));
}

/* By the bytes of the number, as kernels before 4.11 did. */
static int by_bytes(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct cookie_v1_1));
}

int untorn_label_cookies(const struct untorn_label_dimm_id *dimms, size_t n, struct untorn_label_cookies *ret_cookies)
{
	_cleanup_free_ struct cookie_v1_1 *v1_1 = NULL;
	_cleanup_free_ struct cookie_v1_2 *v1_2 = NULL;
	struct untorn_label_cookies cookies;

	if (n == 0)
		return -EINVAL;
	v1_1 = calloc(n, sizeof(*v1_1));
	v1_2 = calloc(n, sizeof(*v1_2));
	if (!v1_1 || !v1_2)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		v1_2[i] = (struct cookie_v1_2){
			.region_offset = le64_make(dimms[i].region_offset),
			.serial = le32_make(dimms[i].serial),
			.vendor = le16_make(dimms[i].vendor),
			.date = le16_make(dimms[i].date),
			.location = dimms[i].location,
		};
	qsort(v1_2, n, sizeof(*v1_2), by_offset);
	for (size_t i = 0; i < n; i++)
		v1_1[i] = (struct cookie_v1_1){.region_offset = v1_2[i].region_offset, .serial = v1_2[i].serial};
	cookies.v1_2 = fletcher64(v1_2, n * sizeof(*v1_2), 0, 0);
	cookies.v1_1 = fletcher64(v1_1, n * sizeof(*v1_1), 0, 0);
	qsort(v1_1, n, sizeof(*v1_1), by_bytes);
	cookies.alt = fletcher64(v1_1, n * sizeof(*v1_1), 0, 0);
	*ret_cookies = cookies;
	return 0;
}
