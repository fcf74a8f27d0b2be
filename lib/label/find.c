/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The label area at the end of a medium whose size nobody told: the first of the sizes in use for which a valid index block stands
 * where it should. Reads a few bytes for each size that does not match.
 */
#include <errno.h>
#include <untorn/label.h>

#include "base/bits.h"

#define FIRST_SIZE    (128u << 10)
#define LAST_SIZE     (128u << 20)
#define FINE_STEP     4096u
#define LAST_OF_STEPS (1u << 20)

/* 1: an area of that size is there. 0: not. */
static int is_area(struct untorn_media *media, uint64_t size)
{
	struct untorn_label_area_info info;
	struct untorn_label_area *area;
	int r;

	if (size > untorn_media_size(media))
		return 0;
	r = untorn_label_open(media, untorn_media_size(media) - size, size, &area);
	if (r < 0)
		return r;
	untorn_label_get_info(area, &info);
	untorn_label_close(area);
	return info.version != UNTORN_LABEL_NONE;
}

/* The size to try after size; 0: none. First the powers of two, then the steps. */
static uint64_t next_size(uint64_t size, int *in_steps)
{
	if (*in_steps)
		return size < LAST_OF_STEPS ? size + FINE_STEP : 0;
	if (size < LAST_SIZE)
		return size * 2;
	*in_steps = 1;
	return FINE_STEP;
}

int untorn_label_find(struct untorn_media *media, uint64_t *ret_size)
{
	int r, error = 0, in_steps = 0;

	for (uint64_t size = FIRST_SIZE; size > 0; size = next_size(size, &in_steps)) {
		r = is_area(media, size);
		if (r > 0) {
			*ret_size = size;
			return 0;
		}
		/* What cannot be read may be a namespace's: look on, but do not say that there is nothing. */
		if (r < 0)
			error = r;
	}
	if (error == 0)
		*ret_size = 0;
	return error;
}
