/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts its runs in a sector that never tears.
 *
 *     cc count-runs.c $(pkg-config --cflags --libs untorn) -o count-runs
 *     truncate -s 32M runs.img && ./count-runs runs.img && ./count-runs runs.img
 */
#include <stdio.h>
#include <untorn/btt.h>

static int open_or_format(struct untorn_media *media, struct untorn_btt **ret_btt)
{
	struct untorn_btt_format_options options = {.sector_size = 4096};
	int r = untorn_btt_open(media, NULL, ret_btt); /* finishes what a crash interrupted */

	if (r == -ENXIO) { /* an empty file */
		r = untorn_btt_format(media, &options);
		if (r == 0)
			r = untorn_btt_open(media, NULL, ret_btt);
	}
	return r;
}

static int count(struct untorn_btt *btt)
{
	union {
		unsigned long runs;
		char bytes[4096];
	} sector;
	int r = untorn_btt_read(btt, 0, 1, &sector, NULL);

	if (r < 0)
		return r;
	sector.runs++; /* a new volume reads as zeros */
	r = untorn_btt_write(btt, 0, 1, &sector, NULL, UNTORN_BTT_DURABLE);
	if (r == 0)
		printf("run number %lu\n", sector.runs);
	return r;
}

int main(int argc, char **argv)
{
	struct untorn_media *media = NULL;
	struct untorn_btt *btt = NULL;
	int r, closed;

	if (argc != 2) {
		fprintf(stderr, "usage: count-runs FILE\n");
		return 2;
	}
	r = untorn_media_open(argv[1], UNTORN_MEDIA_AUTO, 0, &media);
	if (r == 0)
		r = open_or_format(media, &btt);
	if (r == 0)
		r = count(btt);
	closed = untorn_btt_close(btt);
	untorn_media_close(media);
	if (r == 0)
		r = closed;
	if (r < 0)
		fprintf(stderr, "count-runs: %s: %s\n", argv[1], untorn_strerror(r));
	return r < 0;
}
