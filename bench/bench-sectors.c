/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-sectors: what one sector costs here, next to libpmemblk and to the bare copy, all in one run.
 *
 * Four stores of the same size lie side by side on a memory file system:
 *
 *   untorn     a BTT, its medium forced to `cacheline`: every flush and fence that persistent memory needs
 *   pmemblk    a pool of libpmemblk, made to do the same with PMEM_IS_PMEM_FORCE=1
 *   raw        blocks in mapped memory: non-temporal copy and one fence per request; nothing is atomic
 *   memcpy     the same blocks with memcpy(3): nothing is durable
 *
 * Before anything is measured, each sector of each store was written once in random order, so pages are there and blocks
 * are scattered. A figure is the median of its rounds; in each round all stores take their turns one after the other, so
 * that a slow moment of the machine meets all of them. A ratio is the median of the ratios of the rounds.
 *
 * Times are for people. No test looks at them.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <libpmem.h>
#include <libpmemblk.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <untorn/btt.h>

#include "cli.h"

#define SECTOR_MAX  4096u
#define REQUEST_MAX 16u /* sectors */
#define THREADS_MAX 64
#define ROUNDS      11
#define LOOK_AFTER  32 /* requests between two looks at the clock */

/* ------------------------------------------------------------ stores ------------------------------------------------------ */

struct store {
	const struct store_type *type;
	char path[256];
	uint32_t sector_size;
	uint64_t nlba;

	struct untorn_media *media;
	struct untorn_btt *btt;
	PMEMblkpool *pool;
	uint8_t *base;
	size_t size;
};

struct store_type {
	const char *name;
	void (*open)(struct store *s, uint64_t size);
	void (*close)(struct store *s);
	/* n sectors from lba. A function that a store lacks is a figure that it lacks. */
	void (*write)(struct store *s, uint64_t lba, uint32_t n, void *buf);
	void (*write_buffered)(struct store *s, uint64_t lba, uint32_t n, void *buf);
	void (*flush)(struct store *s);
	void (*read)(struct store *s, uint64_t lba, uint32_t n, void *buf);
};

static void must(int r, const char *what)
{
	if (r < 0)
		errx(1, "%s: %s", what, untorn_strerror(r));
}

/* The file is gone from its folder as soon as it is open, so that it cannot be left behind. */
static int make_file(struct store *s, uint64_t size)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		err(1, "cannot make a file of %s at %s", SIZE_TEXT(size), s->path);
	return fd;
}

static void untorn_open(struct store *s, uint64_t size)
{
	struct untorn_btt_format_options options = {.sector_size = s->sector_size};
	struct untorn_btt_info info;

	close(make_file(s, size));
	must(untorn_media_open(s->path, UNTORN_MEDIA_CACHELINE, 0, &s->media), "opening the medium");
	unlink(s->path);
	must(untorn_btt_format(s->media, &options), "formatting");
	must(untorn_btt_open(s->media, NULL, &s->btt), "opening the volume");
	untorn_btt_get_info(s->btt, &info);
	s->nlba = info.nlba;
}

static void untorn_close(struct store *s)
{
	must(untorn_btt_close(s->btt), "closing the volume");
	untorn_media_close(s->media);
}

static void untorn_write(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	must(untorn_btt_write(s->btt, lba, n, buf, NULL, UNTORN_BTT_DURABLE), "durable write");
}

static void untorn_write_buffered(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	must(untorn_btt_write(s->btt, lba, n, buf, NULL, 0), "buffered write");
}

static void untorn_flush(struct store *s)
{
	must(untorn_btt_flush(s->btt), "flush");
}

static void untorn_read(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	must(untorn_btt_read(s->btt, lba, n, buf, NULL), "read");
}

static void pmemblk_open_pool(struct store *s, uint64_t size)
{
	s->pool = pmemblk_create(s->path, s->sector_size, size, 0600);
	if (!s->pool)
		errx(1, "cannot make a pmemblk pool of %s at %s: %s", SIZE_TEXT(size), s->path, pmemblk_errormsg());
	unlink(s->path);
	s->nlba = pmemblk_nblock(s->pool);
}

static void pmemblk_close_pool(struct store *s)
{
	pmemblk_close(s->pool);
}

static void pmemblk_write_sectors(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_write(s->pool, (uint8_t *)buf + (size_t)i * s->sector_size, (long long)(lba + i)) < 0)
			err(1, "pmemblk_write");
}

static void pmemblk_read_sectors(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_read(s->pool, (uint8_t *)buf + (size_t)i * s->sector_size, (long long)(lba + i)) < 0)
			err(1, "pmemblk_read");
}

static void blocks_open(struct store *s, uint64_t size)
{
	int fd = make_file(s, size);

	unlink(s->path);
	s->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->base == MAP_FAILED)
		err(1, "mmap");
	close(fd);
	s->size = size;
	s->nlba = size / s->sector_size;
}

static void blocks_close(struct store *s)
{
	munmap(s->base, s->size);
}

static uint8_t *block(struct store *s, uint64_t lba)
{
	return s->base + lba * s->sector_size;
}

static void raw_write_buffered(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	pmem_memcpy(block(s, lba), buf, (size_t)n * s->sector_size, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
}

static void raw_flush(struct store *s)
{
	(void)s;
	pmem_drain();
}

static void raw_write(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	raw_write_buffered(s, lba, n, buf);
	pmem_drain();
}

static void memcpy_write(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	memcpy(block(s, lba), buf, (size_t)n * s->sector_size);
}

static void memcpy_read(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	memcpy(buf, block(s, lba), (size_t)n * s->sector_size);
}

static void no_flush(struct store *s)
{
	(void)s;
}

enum { UNTORN, PMEMBLK, RAW, MEMCPY, NSTORES };

static const struct store_type store_types[NSTORES] = {
	[UNTORN] = {"untorn", untorn_open, untorn_close, untorn_write, untorn_write_buffered, untorn_flush,
		    untorn_read},
	[PMEMBLK] = {"pmemblk", pmemblk_open_pool, pmemblk_close_pool, pmemblk_write_sectors, NULL, no_flush,
		     pmemblk_read_sectors},
	[RAW] = {"raw", blocks_open, blocks_close, raw_write, raw_write_buffered, raw_flush, NULL},
	[MEMCPY] = {"memcpy", blocks_open, blocks_close, memcpy_write, memcpy_write, no_flush, memcpy_read},
};

/* ---------------------------------------------------------- operations ---------------------------------------------------- */

struct operation {
	const char *name;
	uint32_t n; /* sectors per request */
	bool is_read, is_buffered;
};

static const struct operation operations[] = {
	{.name = "durable write", .n = 1},
	{.name = "durable write x16", .n = REQUEST_MAX},
	{.name = "buffered write", .n = 1, .is_buffered = true},
	{.name = "read", .n = 1, .is_read = true},
};

typedef void (*request_fn)(struct store *s, uint64_t lba, uint32_t n, void *buf);

static request_fn request_of(const struct store_type *type, const struct operation *o)
{
	return o->is_read ? type->read : o->is_buffered ? type->write_buffered : type->write;
}

/* ------------------------------------------------------------ measure ----------------------------------------------------- */

/* Equal numbers in each run. */
static uint64_t random_below(uint64_t *state, uint64_t n)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return (unsigned __int128)x * n >> 64;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	struct store *store;
	const struct operation *operation;
	uint64_t slice_ns, seed;
	int cpu; /* or -1 */

	uint64_t ns, nsectors;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct store *s = w->store;
	const struct operation *o = w->operation;
	request_fn request = request_of(s->type, o);
	uint64_t nplaces = s->nlba / o->n, begin;
	_Alignas(4096) uint8_t buf[REQUEST_MAX * SECTOR_MAX];

	if (w->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)w->cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	memset(buf, (int)w->seed, sizeof(buf));
	w->nsectors = 0;

	pthread_barrier_wait(w->start);
	begin = now_ns();
	do {
		for (int i = 0; i < LOOK_AFTER; i++)
			request(s, random_below(&w->seed, nplaces) * o->n, o->n, buf);
		w->nsectors += LOOK_AFTER * o->n;
	} while (now_ns() - begin < w->slice_ns);
	if (o->is_buffered)
		s->type->flush(s);
	w->ns = now_ns() - begin;
	return NULL;
}

struct figure {
	double ns; /* one thread's time for one sector */
	double mb; /* all threads' megabytes (10^6) per second */
};

static struct figure measure(struct store *s, const struct operation *o, int nthreads, const int *cpus,
			     uint64_t slice_ns, uint64_t seed)
{
	struct worker workers[THREADS_MAX];
	struct figure f = {0};
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, (unsigned)nthreads);
	for (int i = 0; i < nthreads; i++) {
		workers[i] = (struct worker){
			.start = &start,
			.store = s,
			.operation = o,
			.slice_ns = slice_ns,
			.seed = seed + 1 + (uint64_t)i * 0x9e3779b97f4a7c15u,
			.cpu = cpus ? cpus[i] : -1,
		};
		errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (errno)
			err(1, "pthread_create");
	}
	for (int i = 0; i < nthreads; i++) {
		pthread_join(workers[i].thread, NULL);
		f.ns += (double)workers[i].ns / (double)workers[i].nsectors / nthreads;
		f.mb += (double)workers[i].nsectors * s->sector_size * 1e3 / (double)workers[i].ns;
	}
	pthread_barrier_destroy(&start);
	return f;
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

struct row {
	const struct operation *operation;
	uint32_t sector_size;
	int nthreads;
	bool has[NSTORES];
	struct figure figure[NSTORES];
	double speed[NSTORES]; /* untorn's, this store's being 1 */
};

static struct row measure_row(struct store *stores, const struct operation *o, int nthreads, const int *cpus,
			      double seconds)
{
	struct row row = {.operation = o, .sector_size = stores[0].sector_size, .nthreads = nthreads};
	double ns[NSTORES][ROUNDS], mb[NSTORES][ROUNDS], speed[NSTORES][ROUNDS];

	for (int i = 0; i < NSTORES; i++)
		row.has[i] = request_of(stores[i].type, o);
	for (int round = 0; round < ROUNDS; round++) {
		for (int turn = 0; turn < NSTORES; turn++) {
			int i = (turn + round) % NSTORES;

			if (!row.has[i])
				continue;

			struct figure f = measure(&stores[i], o, nthreads, cpus, (uint64_t)(seconds * 1e9 / ROUNDS),
						  (uint64_t)round * NSTORES + (uint64_t)i);

			ns[i][round] = f.ns;
			mb[i][round] = f.mb;
		}
		for (int i = 0; i < NSTORES; i++)
			if (row.has[i])
				speed[i][round] = ns[i][round] / ns[UNTORN][round];
	}
	for (int i = 0; i < NSTORES; i++)
		if (row.has[i]) {
			row.figure[i] = (struct figure){median(ns[i]), median(mb[i])};
			row.speed[i] = median(speed[i]);
		}
	return row;
}

/* Write each sector once, in random order. */
static void fill(struct store *s)
{
	uint32_t *order = malloc(s->nlba * sizeof(*order));
	uint8_t buf[SECTOR_MAX];
	uint64_t state = 42;

	if (!order)
		err(1, "malloc");
	for (uint64_t i = 0; i < s->nlba; i++) {
		uint64_t j = random_below(&state, i + 1);

		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
	for (uint64_t i = 0; i < s->nlba; i++) {
		memset(buf, (int)order[i], sizeof(buf));
		s->type->write(s, order[i], 1, buf);
	}
	free(order);
}

/* ------------------------------------------------------------- report ----------------------------------------------------- */

struct machine {
	char cpu[128];
	struct utsname system;
	int ncpus, cpus[THREADS_MAX]; /* that we may run on */
};

static void look_at_machine(struct machine *m)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];
	cpu_set_t set;

	*m = (struct machine){.cpu = "unknown cpu"};
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "model name : %127[^\n]", m->cpu) == 1)
			break;
	if (f)
		fclose(f);
	uname(&m->system);
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && m->ncpus < THREADS_MAX; i++)
		if (CPU_ISSET((unsigned)i, &set))
			m->cpus[m->ncpus++] = i;
}

/* What a figure of untorn is held against: the same without atomicity. */
static int bare_copy(const struct operation *o)
{
	return o->is_read ? MEMCPY : RAW;
}

static void print_header(const struct machine *m, uint64_t size, double seconds, const char *folder)
{
	printf("%s, %d cpus, %s %s\n", m->cpu, m->ncpus, m->system.sysname, m->system.release);
	printf("%s per store in %s, each sector written before; random sectors; %d rounds, %g s per figure\n",
	       SIZE_TEXT(size), folder, ROUNDS, seconds);
	printf("ns: one thread's time for one sector. MB/s: all threads together. Medians.\n"
	       "vs: how many times as fast untorn is; the copy is raw for writes and memcpy for reads.\n");
}

static void print_heading(uint32_t sector_size, int nthreads)
{
	printf("\n%-20s", "");
	for (int i = 0; i < NSTORES; i++)
		printf(" %18s", store_types[i].name);
	printf("  vs pmemblk  vs copy\n%u bytes, %d thread%s\n", sector_size, nthreads, nthreads > 1 ? "s" : "");
}

static void print_row(const struct row *row)
{
	printf("  %-18s", row->operation->name);
	for (int i = 0; i < NSTORES; i++) {
		if (row->has[i])
			printf(" %5.0f ns %5.0f MB/s", row->figure[i].ns, row->figure[i].mb);
		else
			printf(" %19s", "-");
	}
	if (row->has[PMEMBLK])
		printf(" %11.2f", row->speed[PMEMBLK]);
	else
		printf(" %11s", "-");
	printf(" %8.2f\n", row->speed[bare_copy(row->operation)]);
	fflush(stdout);
}

static struct json_object *row_json(const struct row *row)
{
	struct json_object *object = json_object_new_object(), *stores = json_object_new_object();

	json_object_object_add(object, "operation", json_object_new_string(row->operation->name));
	json_object_object_add(object, "sectors_per_request", json_object_new_int((int)row->operation->n));
	json_object_object_add(object, "sector_size", json_object_new_int((int)row->sector_size));
	json_object_object_add(object, "threads", json_object_new_int(row->nthreads));
	for (int i = 0; i < NSTORES; i++) {
		struct json_object *store = json_object_new_object();

		if (!row->has[i])
			continue;
		json_object_object_add(store, "ns_per_sector", json_object_new_double(row->figure[i].ns));
		json_object_object_add(store, "mb_per_s", json_object_new_double(row->figure[i].mb));
		json_object_object_add(store, "speed_of_untorn", json_object_new_double(row->speed[i]));
		json_object_object_add(stores, store_types[i].name, store);
	}
	json_object_object_add(object, "stores", stores);
	return object;
}

/* -------------------------------------------------------------- main ------------------------------------------------------ */

struct arguments {
	uint64_t size;
	double seconds;
	int threads;           /* 0: one, and two */
	uint32_t sector_size;  /* 0: all */
	const char *operation; /* NULL: all */
	const char *folder;
	bool json;
};

static const char usage[] = "usage: bench-sectors [--size SIZE] [--seconds S] [--threads N] [--folder PATH] [--json]\n"
			    "\n"
			    "Measure durable writes, buffered writes and reads of random sectors of 4096 and 512 "
			    "bytes: Untorn's, libpmemblk's,\n"
			    "and the bare copy's.\n"
			    "\n"
			    "  --size SIZE     bytes of each of the stores (512M; needs three times as much memory)\n"
			    "  --seconds S     time for one figure (1)\n"
			    "  --threads N     with N threads (1 and 2)\n"
			    "  --folder PATH   a folder of a memory file system (/dev/shm)\n"
			    "  --json          an array of rows on standard output\n";

static double parse_positive(const char *text, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || !(value > 0) || value > max)
		errx(2, "not a number between 0 and %g: %s", max, text);
	return value;
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"size", required_argument, NULL, 's'},
		{"seconds", required_argument, NULL, 't'},
		{"threads", required_argument, NULL, 'n'},
		{"sector-size", required_argument, NULL, 'b'},
		{"operation", required_argument, NULL, 'o'},
		{"folder", required_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct arguments a = {.size = 512ull << 20, .seconds = 1, .folder = "/dev/shm"};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 's':
			if (parse_size(optarg, &a.size) < 0 || a.size < 32u << 20 || a.size > 64ull << 30)
				errx(2, "not a size between 32M and 64G: %s", optarg);
			break;
		case 't':
			a.seconds = parse_positive(optarg, 3600);
			break;
		case 'n':
			a.threads = (int)parse_positive(optarg, THREADS_MAX);
			break;
		case 'b':
			a.sector_size = (uint32_t)parse_positive(optarg, SECTOR_MAX);
			break;
		case 'o':
			a.operation = optarg;
			break;
		case 'f':
			a.folder = optarg;
			break;
		case 'j':
			a.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind < argc)
		errx(2, "unexpected argument: %s", argv[optind]);
	return a;
}

/* All figures of one sector size, on four stores that are made for them. */
static void bench(const struct arguments *a, const struct machine *machine, uint32_t sector_size,
		  struct json_object *rows)
{
	struct store stores[NSTORES];

	for (int i = 0; i < NSTORES; i++) {
		stores[i] = (struct store){.type = &store_types[i], .sector_size = sector_size};
		snprintf(stores[i].path, sizeof(stores[i].path), "%s/bench-sectors.%d.%d", a->folder, (int)getpid(), i);
		stores[i].type->open(&stores[i], a->size);
		fill(&stores[i]);
	}
	for (int n = a->threads ? a->threads : 1; n <= (a->threads ? a->threads : 2); n++) {
		const int *cpus = n <= machine->ncpus ? machine->cpus : NULL;

		if (!a->json)
			print_heading(sector_size, n);
		for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
			struct row row;

			if (a->operation && strcmp(a->operation, operations[i].name) != 0)
				continue;
			row = measure_row(stores, &operations[i], n, cpus, a->seconds);
			if (a->json)
				json_object_array_add(rows, row_json(&row));
			else
				print_row(&row);
		}
	}
	for (int i = 0; i < NSTORES; i++)
		stores[i].type->close(&stores[i]);
}

int main(int argc, char **argv)
{
	static const uint32_t sector_sizes[] = {4096, 512};
	struct arguments a = parse_arguments(argc, argv);
	struct json_object *rows;
	struct machine machine;

	/* libpmem looks at this once, when it is loaded. */
	if (!getenv("PMEM_IS_PMEM_FORCE")) {
		setenv("PMEM_IS_PMEM_FORCE", "1", 1);
		execv("/proc/self/exe", argv);
		err(1, "cannot run myself again");
	}

	look_at_machine(&machine);
	rows = json_object_new_array();
	if (!a.json)
		print_header(&machine, a.size, a.seconds, a.folder);

	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes); i++)
		if (a.sector_size == 0 || a.sector_size == sector_sizes[i])
			bench(&a, &machine, sector_sizes[i], rows);
	if (a.json)
		puts(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PRETTY));
	json_object_put(rows);
	return 0;
}
