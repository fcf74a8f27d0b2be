/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many sectors, few trips to the disk. Writes sectors to a volume in three ways and prints how many data syncs each took:
 * one durable request per sector, one durable request for all, and buffered writes with one flush.
 *
 *     cc batch.c $(pkg-config --cflags --libs untorn) -o batch
 *     untorn format vol.img --size 32M && ./batch vol.img
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <untorn/btt.h>

#define N 64

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "batch: %s: %s\n", what, untorn_strerror(r));
		exit(1);
	}
}

static void report(const char *what, struct untorn_media *media, unsigned long long *drains)
{
	unsigned long long now = untorn_media_drains(media);

	printf("%-28s %llu\n", what, now - *drains);
	*drains = now;
}

int main(int argc, char **argv)
{
	unsigned long long drains;
	struct untorn_btt_info info;
	struct untorn_media *media;
	struct untorn_btt *btt;
	char *data;

	if (argc != 2) {
		fprintf(stderr, "usage: batch VOLUME\n");
		return 2;
	}
	/* A page medium, as a file on a disk is: a persist point is a data sync, and they are counted. */
	must(untorn_media_open(argv[1], UNTORN_MEDIA_PAGE, 0, &media), "opening the file");
	must(untorn_btt_open(media, NULL, &btt), "opening the volume");
	untorn_btt_get_info(btt, &info);
	data = malloc(N * (size_t)info.sector_size);
	if (!data)
		return 1;
	memset(data, 'x', N * (size_t)info.sector_size);
	drains = untorn_media_drains(media);

	for (int i = 0; i < N; i++)
		must(untorn_btt_write(btt, i, 1, data, NULL, UNTORN_BTT_DURABLE), "writing");
	report("durable, sector by sector:", media, &drains);

	must(untorn_btt_write(btt, 0, N, data, NULL, UNTORN_BTT_DURABLE), "writing");
	report("durable, one request:", media, &drains);

	for (int i = 0; i < N; i++)
		must(untorn_btt_write(btt, 7 * i, 1, data, NULL, 0), "writing");
	must(untorn_btt_flush(btt), "flushing");
	report("buffered, then a flush:", media, &drains);

	free(data);
	must(untorn_btt_close(btt), "closing the volume");
	untorn_media_close(media);
	return 0;
}
