/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zero-sectors VOLUME FIRST COUNT [FIRST COUNT]...: discard sectors, by lba, so that they read as zeros.
 */
#include <stdio.h>
#include <stdlib.h>

#include <untorn/btt.h>
#include <untorn/media.h>

int main(int argc, char **argv)
{
	struct untorn_media *media = NULL;
	struct untorn_btt *btt = NULL;
	int r, closed;

	if (argc < 4 || argc % 2) {
		fprintf(stderr, "usage: zero-sectors VOLUME FIRST COUNT [FIRST COUNT]...\n");
		return 2;
	}
	r = untorn_media_open(argv[1], UNTORN_MEDIA_AUTO, 0, &media);
	if (r == 0)
		r = untorn_btt_open(media, NULL, &btt);
	for (int i = 2; r == 0 && i < argc; i += 2)
		r = untorn_btt_discard(btt, strtoull(argv[i], NULL, 0), strtoull(argv[i + 1], NULL, 0));
	closed = untorn_btt_close(btt);
	untorn_media_close(media);
	if (r == 0)
		r = closed;
	if (r < 0)
		fprintf(stderr, "zero-sectors: %s: %s\n", argv[1], untorn_strerror(r));
	return r < 0;
}
