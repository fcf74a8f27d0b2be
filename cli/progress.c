/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line on stderr, drawn over itself at most ten times a second. Short work and output into files show nothing.
 */
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *what, uint64_t total, bool is_size)
{
	*progress = (struct progress){
		.what = what,
		.total = total,
		.is_size = is_size,
		.next_ms = isatty(STDERR_FILENO) ? now_ms() + 1000 : INT64_MAX,
	};
}

void progress_update(struct progress *progress, uint64_t done)
{
	enum { WIDTH = 30 };
	char bar[WIDTH + 1];
	int filled;

	if (progress->next_ms == INT64_MAX || now_ms() < progress->next_ms)
		return;
	progress->next_ms = now_ms() + 100;
	progress->shown = true;
	if (!progress->total) {
		fprintf(stderr, "\r\033[K%s: %s", progress->what, SIZE_TEXT(done));
		return;
	}
	filled = (int)((double)done / (double)progress->total * WIDTH);
	for (int i = 0; i < WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r\033[K%s [%s] %3.0f %%", progress->what, bar,
		100.0 * (double)done / (double)progress->total);
	if (progress->is_size)
		fprintf(stderr, "  %s", SIZE_TEXT(done));
}

void progress_hide(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

void progress_end(struct progress *progress)
{
	progress_hide(progress);
	progress->next_ms = INT64_MAX;
}
