/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine behind stamp.h: threads that write stamped sectors, the acks file, and the verifier.
 *
 * What an acknowledgement says. Requests for one lba may overlap in time, and then either may land last. So a request
 * notes at its start, under the lock, the oldest generation in flight for each of its sectors, its own included: once it is
 * acknowledged, whatever the sector holds is at least as new as that. This floor is what goes into the acks file, after
 * the backend said durable and never before; a kill between the two only makes the verifier's demand weaker.
 *
 * The acks file survives the writer's death the same way as the volume does: a store into a shared mapping survives a
 * killed process; in a guest, a direct write to a raw NVDIMM is in the host's file once it returns. An ack is one
 * aligned 32-bit store, so it does not tear.
 */
#include "stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_BATCH = 64,
	MAX_FLUSH = 64,
	MAX_OPTIONS = 8,
	HOT_SECTORS = 8,      /* every second request goes to these: threads meet there */
	RUNNING_REQUESTS = 8, /* acknowledged requests of each thread before "running" is said */
	ACK_BLOCK = 4096,
	MAX_COMPLAINTS = 10,
};

struct acks {
	int fd;
	bool is_device;
	off_t off;
	size_t size;     /* bytes, a multiple of ACK_BLOCK */
	uint32_t *acked; /* by index */
};

struct request {
	uint64_t index; /* of the first sector */
	uint32_t n;
	uint32_t generation; /* 0: none in flight */
	uint32_t floor[MAX_BATCH];
};

struct run {
	const struct stamp_backend *backend;
	void *handle;
	struct stamp_geometry geometry;
	struct acks acks;
	uint64_t span; /* sectors in use; their index runs from 0 to span - 1 */
	unsigned nthreads, batch, flush, round;
	uint64_t requests;

	pthread_mutex_t lock; /* of all below, and of acks.acked */
	uint32_t generation;
	struct request *in_flight; /* by thread */
	unsigned nrunning;
};

struct writer {
	struct run *run;
	unsigned index;
	uint64_t random;
	int error;
	uint64_t error_lba;
};

/* The sectors in use are the first and the last half of span. */
static uint64_t lba_of(const struct run *run, uint64_t index)
{
	return index < run->span / 2 ? index : run->geometry.nlba - run->span + index;
}

/* ---------------------------------------------------------------- acks */

static int acks_open(struct acks *acks, const char *path, off_t off, uint64_t span, bool writable)
{
	struct stat st;

	acks->off = off;
	acks->size = (span * sizeof(uint32_t) + ACK_BLOCK - 1) / ACK_BLOCK * ACK_BLOCK;
	acks->fd = open(path, (writable ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0666);
	if (acks->fd < 0 || fstat(acks->fd, &st) < 0)
		return -errno;
	acks->is_device = S_ISBLK(st.st_mode);
	if (acks->is_device) {
		if (fcntl(acks->fd, F_SETFL, O_DIRECT) < 0)
			return -errno;
		acks->acked = aligned_alloc(ACK_BLOCK, acks->size);
		if (!acks->acked)
			return -ENOMEM;
		if (pread(acks->fd, acks->acked, acks->size, off) != (ssize_t)acks->size)
			return errno ? -errno : -EIO;
		return 0;
	}
	if (writable && st.st_size < off + (off_t)acks->size && ftruncate(acks->fd, off + (off_t)acks->size) < 0)
		return -errno;
	if (!writable && st.st_size < off + (off_t)acks->size)
		return -EINVAL;
	acks->acked = mmap(NULL, acks->size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, acks->fd, off);
	return acks->acked == MAP_FAILED ? -errno : 0;
}

/* n acks from index on changed in memory: get them to where a kill leaves them. */
static int acks_store(struct acks *acks, uint64_t index, uint32_t n)
{
	size_t first = index * sizeof(uint32_t) / ACK_BLOCK * ACK_BLOCK;
	size_t end = ((index + n) * sizeof(uint32_t) + ACK_BLOCK - 1) / ACK_BLOCK * ACK_BLOCK;

	if (!acks->is_device)
		return 0;
	if (pwrite(acks->fd, (char *)acks->acked + first, end - first, acks->off + (off_t)first) !=
	    (ssize_t)(end - first))
		return errno ? -errno : -EIO;
	return 0;
}

static void acks_close(struct acks *acks)
{
	if (acks->is_device)
		free(acks->acked);
	else if (acks->acked)
		munmap(acks->acked, acks->size);
	if (acks->fd >= 0)
		close(acks->fd);
}

/* ---------------------------------------------------------------- stamps */

static void stamp_fill(unsigned char *sector, uint32_t size, uint64_t lba, uint32_t generation)
{
	uint64_t stamp = (uint64_t)generation << 32 | (uint32_t)lba;

	for (uint32_t i = 0; i < size; i++)
		sector[i] = (unsigned char)(stamp >> 8 * (i % 8));
}

/* The generation of a whole sector of that lba, or -1 when it is torn or another's. All zeros: never written, 0. */
static int64_t stamp_generation(const unsigned char *sector, uint32_t size, uint64_t lba)
{
	uint64_t stamp = 0;

	for (uint32_t i = 0; i < size && i < 8; i++)
		stamp |= (uint64_t)sector[i] << 8 * i;
	for (uint32_t i = 8; i < size; i++)
		if (sector[i] != (unsigned char)(stamp >> 8 * (i % 8)))
			return -1;
	if (stamp == 0)
		return 0;
	return (uint32_t)stamp == (uint32_t)lba ? (int64_t)(stamp >> 32) : -1;
}

/* ---------------------------------------------------------------- write */

static uint64_t next_random(struct writer *writer)
{
	writer->random ^= writer->random << 13;
	writer->random ^= writer->random >> 7;
	writer->random ^= writer->random << 17;
	return writer->random;
}

static void choose_sectors(struct writer *writer, struct request *request)
{
	const struct run *run = writer->run;
	uint64_t random = next_random(writer), half = run->span / 2;

	request->n = 1 + (uint32_t)(next_random(writer) % run->batch);
	request->index = random / 2 % (random % 2 && run->span > HOT_SECTORS ? HOT_SECTORS : run->span);
	/* A request is contiguous: it ends within its half. */
	if (request->index < half && request->n > half - request->index)
		request->n = (uint32_t)(half - request->index);
	if (request->n > run->span - request->index)
		request->n = (uint32_t)(run->span - request->index);
}

static void begin(struct run *run, unsigned thread, struct request *request)
{
	pthread_mutex_lock(&run->lock);
	request->generation = run->round << 24 | (++run->generation & 0xffffff);
	run->in_flight[thread] = *request;
	for (uint32_t i = 0; i < request->n; i++) {
		uint64_t index = request->index + i;

		request->floor[i] = request->generation;
		for (unsigned t = 0; t < run->nthreads; t++) {
			const struct request *other = &run->in_flight[t];

			if (other->generation && index >= other->index && index < other->index + other->n &&
			    other->generation < request->floor[i])
				request->floor[i] = other->generation;
		}
	}
	pthread_mutex_unlock(&run->lock);
}

static void end(struct run *run, unsigned thread)
{
	pthread_mutex_lock(&run->lock);
	run->in_flight[thread].generation = 0;
	pthread_mutex_unlock(&run->lock);
}

static int acknowledge(struct run *run, const struct request *requests, unsigned n)
{
	int r = 0;

	pthread_mutex_lock(&run->lock);
	for (unsigned i = 0; i < n && r == 0; i++) {
		const struct request *request = &requests[i];

		for (uint32_t j = 0; j < request->n; j++) {
			uint32_t *acked = &run->acks.acked[request->index + j];

			if (*acked < request->floor[j])
				*(volatile uint32_t *)acked = request->floor[j];
		}
		r = acks_store(&run->acks, request->index, request->n);
	}
	pthread_mutex_unlock(&run->lock);
	return r;
}

static void say_running(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	if (++run->nrunning == run->nthreads) {
		puts("running");
		fflush(stdout);
	}
	pthread_mutex_unlock(&run->lock);
}

static void *write_sectors(void *arg)
{
	struct writer *writer = arg;
	struct run *run = writer->run;
	unsigned window = run->flush ? run->flush : 1, nwaiting = 0;
	uint64_t nacked = 0;
	struct request *waiting = calloc(window, sizeof *waiting);
	size_t size = (size_t)run->batch * run->geometry.sector_size;
	unsigned char *buf = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
	int r = waiting && buf ? 0 : -ENOMEM;

	for (uint64_t done = 0; r == 0 && (run->requests == 0 || done < run->requests); done++) {
		struct request *request = &waiting[nwaiting];
		uint64_t lba;

		choose_sectors(writer, request);
		lba = lba_of(run, request->index);
		writer->error_lba = lba;
		begin(run, writer->index, request);
		for (uint32_t i = 0; i < request->n; i++)
			stamp_fill(buf + (size_t)i * run->geometry.sector_size, run->geometry.sector_size, lba + i,
				   request->generation);
		r = run->backend->write(run->handle, lba, request->n, buf, run->flush == 0);
		end(run, writer->index);
		if (r == 0 && ++nwaiting == window) {
			if (run->flush)
				r = run->backend->flush(run->handle);
			if (r == 0)
				r = acknowledge(run, waiting, nwaiting);
			nacked += nwaiting;
			nwaiting = 0;
			if (r == 0 && nacked >= RUNNING_REQUESTS && nacked - window < RUNNING_REQUESTS)
				say_running(run);
		}
	}
	free(buf);
	free(waiting);
	writer->error = r;
	return NULL;
}

static int run_write(struct run *run)
{
	struct writer *writers = calloc(run->nthreads, sizeof *writers);
	pthread_t *threads = calloc(run->nthreads, sizeof *threads);
	int r = 0;

	run->in_flight = calloc(run->nthreads, sizeof *run->in_flight);
	if (!writers || !threads || !run->in_flight)
		r = -ENOMEM;
	for (unsigned t = 0; r == 0 && t < run->nthreads; t++) {
		writers[t].run = run;
		writers[t].index = t;
		if (getrandom(&writers[t].random, sizeof writers[t].random, 0) < 0)
			r = -errno;
		writers[t].random |= 1;
	}
	if (r == 0) {
		for (unsigned t = 0; t < run->nthreads; t++)
			if (pthread_create(&threads[t], NULL, write_sectors, &writers[t]))
				abort();
		for (unsigned t = 0; t < run->nthreads; t++) {
			pthread_join(threads[t], NULL);
			if (writers[t].error < 0) {
				r = writers[t].error;
				fprintf(stderr, "%s: writing at sector %" PRIu64 ": %s\n", run->backend->name,
					writers[t].error_lba, strerror(-r));
			}
		}
	}
	free(writers);
	free(threads);
	free(run->in_flight);
	return r;
}

/* ---------------------------------------------------------------- verify */

static int run_verify(struct run *run)
{
	uint32_t size = run->geometry.sector_size;
	unsigned char *buf = aligned_alloc(4096, ((size_t)size + 4095) / 4096 * 4096);
	uint64_t ncomplaints = 0, nwritten = 0, nacked = 0, nread = 0;

	if (!buf)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->span; i++) {
		uint64_t lba = lba_of(run, i);
		uint32_t acked = run->acks.acked ? run->acks.acked[i] : 0;
		const char *complaint = NULL;
		int64_t generation = -1;
		int r;

		r = run->backend->read(run->handle, lba, buf);
		if (r < 0)
			complaint = strerror(-r);
		else if ((generation = stamp_generation(buf, size, lba)) < 0)
			complaint = "torn, or another sector's";
		else if (generation < (int64_t)acked)
			complaint = "older than acknowledged";
		else if (generation >> 24 > (int64_t)run->round)
			complaint = "newer than anything written";
		nread++;
		nacked += acked != 0;
		nwritten += generation > 0;
		if (complaint && ncomplaints++ < MAX_COMPLAINTS) {
			fprintf(stderr, "%s: sector %" PRIu64 ": %s (acknowledged %#" PRIx32 ", first bytes",
				run->backend->name, lba, complaint, acked);
			for (uint32_t b = 0; r == 0 && b < size && b < 16; b++)
				fprintf(stderr, " %02x", buf[b]);
			fprintf(stderr, ")\n");
		}
	}
	free(buf);
	printf("%s: %" PRIu64 " sectors read, %" PRIu64 " written, %" PRIu64 " acknowledged, %" PRIu64 " wrong\n",
	       run->backend->name, nread, nwritten, nacked, ncomplaints);
	return ncomplaints ? -EBADMSG : 0;
}

/* ---------------------------------------------------------------- options */

static int usage(const struct stamp_backend *backend)
{
	fprintf(stderr, "usage: %s write|verify TARGET [OPTION]... (see stamp.h)\n", backend->name);
	return 2;
}

int stamp_main(int argc, char **argv, const struct stamp_backend *backend)
{
	enum { ACKS = 256, ACK_OFFSET, ROUND, SPAN, THREADS, BATCH, FLUSH, REQUESTS };
	static const struct option long_options[] = {
		{"acks", required_argument, NULL, ACKS},
		{"ack-offset", required_argument, NULL, ACK_OFFSET},
		{"round", required_argument, NULL, ROUND},
		{"span", required_argument, NULL, SPAN},
		{"threads", required_argument, NULL, THREADS},
		{"batch", required_argument, NULL, BATCH},
		{"flush", required_argument, NULL, FLUSH},
		{"requests", required_argument, NULL, REQUESTS},
		{NULL, 0, NULL, 0},
	};
	const char *options[MAX_OPTIONS + 1] = {NULL};
	unsigned noptions = 0;
	const char *acks = NULL;
	off_t ack_offset = 0;
	struct run run = {.backend = backend,
			  .nthreads = 1,
			  .batch = 1,
			  .round = 1,
			  .acks.fd = -1,
			  .lock = PTHREAD_MUTEX_INITIALIZER};
	bool writable;
	int c, r, closed;

	while ((c = getopt_long(argc, argv, "o:", long_options, NULL)) != -1) {
		switch (c) {
		case ACKS:
			acks = optarg;
			break;
		case ACK_OFFSET:
			ack_offset = (off_t)strtoull(optarg, NULL, 0);
			break;
		case ROUND:
			run.round = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case SPAN:
			run.span = strtoull(optarg, NULL, 0);
			break;
		case THREADS:
			run.nthreads = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case BATCH:
			run.batch = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case FLUSH:
			run.flush = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case REQUESTS:
			run.requests = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			if (noptions == MAX_OPTIONS)
				return usage(backend);
			options[noptions++] = optarg;
			break;
		default:
			return usage(backend);
		}
	}
	if (argc - optind != 2 || ack_offset % ACK_BLOCK || run.round < 1 || run.round > 255 || run.nthreads < 1 ||
	    run.batch < 1 || run.batch > MAX_BATCH || run.flush > MAX_FLUSH)
		return usage(backend);
	writable = !strcmp(argv[optind], "write");
	if (writable ? !acks : strcmp(argv[optind], "verify") != 0)
		return usage(backend);

	r = backend->open(argv[optind + 1], options, writable, &run.geometry, &run.handle);
	if (r < 0) {
		fprintf(stderr, "%s: cannot open %s: %s\n", backend->name, argv[optind + 1], strerror(-r));
		return 1;
	}
	if (run.span == 0 || run.span > run.geometry.nlba)
		run.span = run.geometry.nlba;
	if (run.geometry.sector_size < 8) {
		fprintf(stderr, "%s: sectors of %s are smaller than a stamp\n", backend->name, argv[optind + 1]);
		r = -EINVAL;
	} else if (acks) {
		r = acks_open(&run.acks, acks, ack_offset, run.span, writable);
		if (r < 0)
			fprintf(stderr, "%s: acks %s: %s\n", backend->name, acks, strerror(-r));
	}
	if (r == 0)
		r = writable ? run_write(&run) : run_verify(&run);
	acks_close(&run.acks);
	closed = backend->close(run.handle);
	if (closed < 0)
		fprintf(stderr, "%s: closing %s: %s\n", backend->name, argv[optind + 1], strerror(-closed));
	return r < 0 || closed < 0;
}
