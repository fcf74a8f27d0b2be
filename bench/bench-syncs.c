/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-syncs: how many data syncs an operation takes on an ordinary file, where each of them is a trip to the disk.
 *
 * The counts are exact and the same everywhere: this program stands between the libraries and libc, and counts every
 * fdatasync(2) of Untorn and every msync(2) of libpmemblk. Untorn's medium is forced to `page` and libpmemblk's to "not
 * persistent memory", so it does not matter on which file system the files lie.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libpmemblk.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <untorn/btt.h>

#define SECTOR_SIZE 4096u
#define VOLUME_SIZE (64u << 20)
#define REQUEST_MAX 256u

static unsigned nsyncs;

int fdatasync(int fd)
{
	nsyncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int msync(void *start, size_t len, int flags)
{
	nsyncs++;
	return (int)syscall(SYS_msync, start, len, flags);
}

static struct untorn_media *media;
static struct untorn_btt *btt;
static PMEMblkpool *pool;
static uint8_t data[REQUEST_MAX * SECTOR_SIZE];

static void must(int r, const char *what)
{
	if (r < 0)
		errx(1, "%s: %s", what, untorn_strerror(r));
}

/* ---------------------------------------------------------- operations ---------------------------------------------------- */

static void format(uint32_t n)
{
	struct untorn_btt_format_options options = {.sector_size = SECTOR_SIZE};

	(void)n;
	must(untorn_btt_format(media, &options), "format");
}

static void open_volume(uint32_t n)
{
	(void)n;
	must(untorn_btt_open(media, NULL, &btt), "open");
}

static void close_volume(uint32_t n)
{
	(void)n;
	must(untorn_btt_close(btt), "close");
}

static void write_durable(uint32_t n)
{
	must(untorn_btt_write(btt, 100, n, data, NULL, UNTORN_BTT_DURABLE), "write");
}

static void write_pool(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_write(pool, data, 100 + i) < 0)
			err(1, "pmemblk_write");
}

/* One request per sector, far apart from each other. */
static void write_buffered(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		must(untorn_btt_write(btt, i * 37u, 1, data, NULL, 0), "write");
	must(untorn_btt_flush(btt), "flush");
}

static void write_pool_scattered(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_write(pool, data, i * 37u) < 0)
			err(1, "pmemblk_write");
}

/* Buffered sectors that are written again before the flush cost nothing more. */
static void overwrite_buffered(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		must(untorn_btt_write(btt, 7, 1, data, NULL, 0), "write");
	must(untorn_btt_flush(btt), "flush");
}

static void overwrite_pool(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_write(pool, data, 7) < 0)
			err(1, "pmemblk_write");
}

static void flush_nothing(uint32_t n)
{
	(void)n;
	must(untorn_btt_flush(btt), "flush");
}

static void discard(uint32_t n)
{
	must(untorn_btt_discard(btt, 100, n), "discard");
}

static void discard_pool(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_set_zero(pool, 100 + i) < 0)
			err(1, "pmemblk_set_zero");
}

static void read_sectors(uint32_t n)
{
	must(untorn_btt_read(btt, 100, n, data, NULL), "read");
}

static void read_pool(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_read(pool, data, 100 + i) < 0)
			err(1, "pmemblk_read");
}

static const struct row {
	const char *name;
	uint32_t n; /* sectors */
	void (*untorn)(uint32_t n);
	void (*pmemblk)(uint32_t n); /* NULL: no such thing, or not comparable */
} rows[] = {
	{"format", 0, format, NULL},
	{"open", 0, open_volume, NULL},
	{"durable write", 1, write_durable, write_pool},
	{"durable write, one request", 16, write_durable, write_pool},
	{"durable write, one request", 256, write_durable, write_pool},
	{"buffered writes, then flush", 1, write_buffered, write_pool_scattered},
	{"buffered writes, then flush", 256, write_buffered, write_pool_scattered},
	{"one sector again and again, then flush", 100, overwrite_buffered, overwrite_pool},
	{"flush with nothing buffered", 0, flush_nothing, NULL},
	{"discard", 100, discard, discard_pool},
	{"discard of what reads as zeros", 100, discard, discard_pool},
	{"read", 256, read_sectors, read_pool},
	{"close", 0, close_volume, NULL},
};

/* -------------------------------------------------------------- main ------------------------------------------------------ */

static unsigned count(void (*fn)(uint32_t n), uint32_t n)
{
	unsigned before = nsyncs;

	fn(n);
	return nsyncs - before;
}

static void make_path(char *path, const char *folder, const char *name)
{
	snprintf(path, PATH_MAX, "%s/bench-syncs.%d.%s", folder, (int)getpid(), name);
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	char path[PATH_MAX];
	int fd;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fputs("usage: bench-syncs [FOLDER]\n\nCount the data syncs of operations on files in FOLDER.\n",
		      stderr);
		return 2;
	}
	/* libpmem looks at this once, when it is loaded. */
	if (!getenv("PMEM_IS_PMEM_FORCE")) {
		setenv("PMEM_IS_PMEM_FORCE", "0", 1);
		execv("/proc/self/exe", argv);
		err(1, "cannot run myself again");
	}

	make_path(path, folder, "volume");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, VOLUME_SIZE) < 0)
		err(1, "cannot make a file at %s", path);
	close(fd);
	must(untorn_media_open(path, UNTORN_MEDIA_PAGE, 0, &media), "opening the medium");
	unlink(path);

	make_path(path, folder, "pool");
	pool = pmemblk_create(path, SECTOR_SIZE, VOLUME_SIZE, 0600);
	if (!pool)
		errx(1, "cannot make a pool at %s: %s", path, pmemblk_errormsg());
	unlink(path);
	write_pool(1); /* lays the pool out */

	printf("data syncs on page media, sectors of %u bytes\n\n%-40s %8s %8s %8s\n", SECTOR_SIZE, "operation",
	       "sectors", "untorn", "pmemblk");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		printf("%-40s %8u %8u", row->name, row->n, count(row->untorn, row->n));
		if (row->pmemblk)
			printf(" %8u\n", count(row->pmemblk, row->n));
		else
			printf(" %8s\n", "-");
	}
	pmemblk_close(pool);
	untorn_media_close(media);
	return 0;
}
