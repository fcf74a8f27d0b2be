/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-disk: what a disk costs above the volume that it shows.
 *
 * One volume on a memory file system, its medium forced to `cacheline`, every sector written before. The same requests go to it
 * once through untorn_btt_pwrite() and untorn_btt_pread(), once through a disk. The two take turns in rounds, each at random
 * places, so a slow moment of the machine meets both; the figures are medians, of times and of the differences within rounds.
 *
 * Times are for people. No test looks at them.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device/device.h"

#define VOLUME_SIZE (256ull << 20)
#define SECTOR      4096u
#define ROUNDS      101

static void must(int r, const char *what)
{
	if (r < 0)
		errx(1, "%s: %s", what, untorn_strerror(r));
}

/* ------------------------------------------------------------------- the volume ------------------------------------------- */

struct volume {
	struct untorn_media *media;
	struct untorn_btt *btt;
	struct untorn_disk *disk;
	uint64_t nlba;
};

/* The file is gone from its folder as soon as it is open, so that it cannot be left behind. */
static void open_media(const char *folder, struct untorn_media **ret_media)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/bench-disk.%d", folder, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)VOLUME_SIZE) < 0)
		err(1, "cannot make %s", path);
	close(fd);
	must(untorn_media_open(path, UNTORN_MEDIA_CACHELINE, 0, ret_media), "opening the medium");
	unlink(path);
}

static void open_volume(struct volume *v, const char *folder)
{
	static const uint8_t sector[SECTOR] = {1};
	struct untorn_btt_info info;

	open_media(folder, &v->media);
	must(untorn_btt_format(v->media, &(struct untorn_btt_format_options){.sector_size = SECTOR}), "formatting");
	must(untorn_btt_open(v->media, NULL, &v->btt), "opening the volume");
	untorn_btt_get_info(v->btt, &info);
	v->nlba = info.nlba;

	const struct disk_source source = {.volume = v->btt, .size = info.size, .logical = SECTOR, .stride = SECTOR};

	must(disk_new("pmem0s", &source, &v->disk), "making the disk");
	for (uint64_t lba = 0; lba < v->nlba; lba++)
		must(untorn_btt_write(v->btt, lba, 1, sector, NULL, 0), "filling the volume");
	must(untorn_btt_flush(v->btt), "filling the volume");
}

static void close_volume(struct volume *v)
{
	disk_end(v->disk);
	disk_put(v->disk);
	must(untorn_btt_close(v->btt), "closing the volume");
	untorn_media_close(v->media);
}

/* ------------------------------------------------------------------- requests --------------------------------------------- */

static int write_btt(struct volume *v, void *buf, uint64_t off)
{
	return untorn_btt_pwrite(v->btt, buf, SECTOR, off, UNTORN_BTT_DURABLE);
}

static int write_disk(struct volume *v, void *buf, uint64_t off)
{
	return untorn_disk_pwrite(v->disk, buf, SECTOR, off, UNTORN_BTT_DURABLE);
}

static int read_btt(struct volume *v, void *buf, uint64_t off)
{
	return untorn_btt_pread(v->btt, buf, SECTOR, off);
}

static int read_disk(struct volume *v, void *buf, uint64_t off)
{
	return untorn_disk_pread(v->disk, buf, SECTOR, off);
}

typedef int (*request_fn)(struct volume *v, void *buf, uint64_t off);

static const struct operation {
	const char *name;
	request_fn btt, disk;
} operations[] = {
	{"durable write", write_btt, write_disk},
	{"read", read_btt, read_disk},
};

/* ------------------------------------------------------------------- measuring -------------------------------------------- */

/* Equal numbers in each run. */
static uint64_t random_below(uint64_t *state, uint64_t n)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return (uint64_t)((unsigned __int128)x * n >> 64);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(struct volume *v, request_fn request, unsigned n, uint64_t seed)
{
	static _Alignas(SECTOR) uint8_t buf[SECTOR];
	double begin = now_ns();

	for (unsigned i = 0; i < n; i++)
		must(request(v, buf, random_below(&seed, v->nlba) * SECTOR), "request");
	return (now_ns() - begin) / n;
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	return values[ROUNDS / 2];
}

static void bench(struct volume *v, const struct operation *o, unsigned n)
{
	double btt[ROUNDS], disk[ROUNDS], more[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned turn = 0; turn < 2; turn++) {
			bool is_disk = (i + turn) % 2;

			(is_disk ? disk : btt)[i] = measure(v, is_disk ? o->disk : o->btt, n, 2 * i + turn + 1);
		}
		more[i] = disk[i] - btt[i];
	}
	printf("%-14s %7.0f ns %7.0f ns %+7.1f ns\n", o->name, median(btt), median(disk), median(more));
}

/* The C library leaves locks out as long as there is one thread; programs with disks have more. */
static void *nothing(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000;
	struct volume v;
	pthread_t thread;

	if (argc > 3 || n == 0 || (argc > 1 && argv[1][0] == '-'))
		errx(2, "usage: bench-disk [FOLDER [REQUESTS]]\n\n"
			"Measure requests of one sector of 4096 bytes, with and without a disk above the volume.\n\n"
			"  FOLDER    a folder of a memory file system (/dev/shm)\n"
			"  REQUESTS  in each round (5000)");
	if (pthread_create(&thread, NULL, nothing, NULL) == 0)
		pthread_join(thread, NULL);
	open_volume(&v, argc > 1 ? argv[1] : "/dev/shm");
	printf("%u bytes, 1 thread, %d rounds of %u requests; medians\n%-14s %10s %10s %10s\n", SECTOR, ROUNDS, n, "",
	       "btt", "disk", "more");
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		bench(&v, &operations[i], n);
	close_volume(&v);
	return 0;
}
