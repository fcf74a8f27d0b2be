/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of files as one medium: where the bytes lie, what makes them durable, holes, faults, failed syncs.
 *
 * fdatasync(2) and fallocate(2) of the library are replaced by the __wrap_ functions below (ld's --wrap), which count.
 * Files have large offsets, so the linker's name of the second is fallocate64.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "media/fault.h"
#include "media/memory.h"
#include "media/stitch.h"
#include "medium.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum { FILES = 3, PIECES_MAX = 64 };

/* ---------------------------------------------------- watched calls ------------------------------------------------------ */

static _Atomic unsigned syncs, punches;
static _Atomic ino_t failing_file; /* whose syncs fail; 0: none */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);

int __wrap_fdatasync(int fd)
{
	int r = __real_fdatasync(fd);
	struct stat st;

	atomic_fetch_add(&syncs, 1);
	if (fstat(fd, &st) == 0 && st.st_ino == atomic_load(&failing_file)) {
		errno = EIO;
		return -1;
	}
	return r;
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	if (mode & FALLOC_FL_PUNCH_HOLE)
		atomic_fetch_add(&punches, 1);
	return __real_fallocate64(fd, mode, off, len);
}

/* --------------------------------------------------------- files ---------------------------------------------------------- */

static char disk[64] = "test-stitch.XXXXXX";            /* on the build folder's file system */
static char memory[64] = "/dev/shm/test-stitch.XXXXXX"; /* on tmpfs; empty: there is none */

static const char *file_in(const char *dir, unsigned i)
{
	static char path[16][128];
	static unsigned turn;
	char *p = path[turn++ % ARRAY_SIZE(path)];

	snprintf(p, sizeof(path[0]), "%s/file%u", dir, i);
	return p;
}

/* A sparse file of that size. */
static const char *make_file(const char *dir, unsigned i, uint64_t size)
{
	const char *path = file_in(dir, i);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_return_code(ftruncate(fd, (off_t)size), errno);
	return path;
}

static struct untorn_media *open_media(const char *path, enum untorn_media_kind kind, unsigned flags)
{
	struct untorn_media *m = NULL;

	assert_int_equal(untorn_media_open(path, kind, flags, &m), 0);
	return m;
}

static struct untorn_media *stitch(const struct stitch_piece *pieces, size_t n)
{
	struct untorn_media *m = NULL;

	assert_int_equal(media_stitch(pieces, n, &m), 0);
	assert_non_null(m);
	return m;
}

static void assert_stitch_fails(const struct stitch_piece *pieces, size_t n, int error)
{
	struct untorn_media *untouched = (struct untorn_media *)&disk, *m = untouched;

	assert_int_equal(media_stitch(pieces, n, &m), error);
	assert_ptr_equal(m, untouched);
}

/* Lines of a and b in turn. */
static struct untorn_media *interleave(struct untorn_media *a, struct untorn_media *b, uint64_t line)
{
	size_t n = 2 * (a->size / line);
	struct stitch_piece *pieces = calloc(n, sizeof(*pieces));
	struct untorn_media *m;

	assert_int_equal(a->size, b->size);
	for (size_t i = 0; i < n; i++)
		pieces[i] = (struct stitch_piece){.parent = i % 2 ? b : a, .off = i / 2 * line, .len = line};
	m = stitch(pieces, n);
	free(pieces);
	assert_int_equal(untorn_media_size(m), n * line);
	return m;
}

/* ------------------------------------------------------- the pieces ------------------------------------------------------- */

static void test_arguments(void **state)
{
	struct untorn_media *m = open_media(make_file(disk, 0, 64 * KIB), UNTORN_MEDIA_PAGE, 0);
	struct stitch_piece pieces[2] = {{m, 0, 4096}, {m, 8192, 4096}};

	(void)state;
	assert_stitch_fails(pieces, 0, -EINVAL);
	pieces[1].off = 8193;
	assert_stitch_fails(pieces, 2, -EINVAL);
	pieces[1] = (struct stitch_piece){m, 8192, 4095};
	assert_stitch_fails(pieces, 2, -EINVAL);
	pieces[1].len = 0;
	assert_stitch_fails(pieces, 2, -EINVAL);
	pieces[1] = (struct stitch_piece){m, 60 * KIB, 8192};
	assert_stitch_fails(pieces, 2, -ERANGE);
	pieces[1] = (struct stitch_piece){m, UINT64_MAX - 4095, 8192};
	assert_stitch_fails(pieces, 2, -ERANGE);
	/* None of them has kept the file. */
	untorn_media_close(m);
	untorn_media_close(open_media(file_in(disk, 0), UNTORN_MEDIA_PAGE, 0));
}

/* Neighbours in one file need no mapping of their own, whatever slices they are named by. */
static void test_contiguous(void **state)
{
	struct untorn_media *m = open_media(make_file(disk, 0, 64 * KIB), UNTORN_MEDIA_PAGE, 0), *low, *high, *s;

	(void)state;
	assert_int_equal(untorn_media_slice(m, 4096, 8192, &low), 0);
	assert_int_equal(untorn_media_slice(m, 12288, 8192, &high), 0);
	s = stitch((struct stitch_piece[]){{low, 0, 4096}, {low, 4096, 4096}, {high, 0, 4096}}, 3);
	assert_ptr_equal(s->root, m);
	assert_ptr_equal(s->base, m->base + 4096);
	assert_int_equal(untorn_media_size(s), 12288);
	untorn_media_close(s);
	s = stitch((struct stitch_piece[]){{high, 0, 4096}, {low, 0, 4096}}, 2);
	assert_ptr_equal(s->root, s);
	untorn_media_close(low);
	untorn_media_close(high);
	untorn_media_close(s);
	untorn_media_close(m);
}

static void test_no_file(void **state)
{
	static uint8_t bytes[16384] __attribute__((aligned(4096)));
	struct untorn_media *m, *bad, *s;

	(void)state;
	assert_int_equal(memory_media_wrap(bytes, sizeof(bytes), &m), 0);
	assert_int_equal(fault_media_new(sizeof(bytes), &bad), 0);
	assert_stitch_fails((struct stitch_piece[]){{m, 8192, 4096}, {m, 0, 4096}}, 2, -EOPNOTSUPP);
	assert_stitch_fails((struct stitch_piece[]){{m, 0, 4096}, {bad, 0, 4096}}, 2, -EOPNOTSUPP);
	s = stitch((struct stitch_piece[]){{m, 4096, 4096}, {m, 8192, 4096}}, 2);
	assert_int_equal(fill(s, 0, 1, 8192), 0);
	untorn_media_close(m);
	untorn_media_close(bad);
	assert_int_equal(bytes[4095] + bytes[4096] + bytes[12287] + bytes[12288], 2);
	untorn_media_close(s);
}

static void check_interleaved(const char *dir)
{
	struct untorn_media *file[2], *s, *again;

	for (unsigned i = 0; i < 2; i++)
		file[i] = open_media(make_file(dir, i, 4 * MIB), UNTORN_MEDIA_AUTO, 0);
	s = interleave(file[0], file[1], 64 * KIB);
	assert_int_equal(untorn_media_kind(s), untorn_media_kind(file[0]));
	assert_ptr_equal((void *)round_down((uintptr_t)s->base, 2 * MIB), s->base);

	/* Line 5 is the third of the second file. */
	assert_int_equal(fill(s, 5 * 64 * KIB, 5, 64 * KIB), 0);
	assert_bytes(file[1], 2 * 64 * KIB - 1, 0, 1);
	assert_bytes(file[1], 2 * 64 * KIB, 5, 64 * KIB);
	assert_bytes(file[1], 3 * 64 * KIB, 0, 1);
	/* Over a seam, and what a parent stores is seen. */
	assert_int_equal(fill(s, 128 * 64 * KIB - 64 * KIB - 1, 6, 2), 0);
	assert_bytes(file[0], 4 * MIB - 1, 6, 1);
	assert_bytes(file[1], 4 * MIB - 64 * KIB, 6, 1);
	assert_int_equal(fill(file[0], 64 * KIB, 7, 1), 0);
	assert_bytes(s, 2 * 64 * KIB, 7, 1);
	assert_int_equal(fill(s, 8 * MIB - 1, 8, 2), -ERANGE);

	/* The parents stay open as long as it does. */
	untorn_media_close(file[0]);
	untorn_media_close(file[1]);
	assert_int_equal(untorn_media_open(file_in(dir, 1), UNTORN_MEDIA_AUTO, 0, &again), -EBUSY);
	assert_int_equal(fill(s, 8 * MIB - 1, 8, 1), 0);
	untorn_media_close(s);
	file[1] = open_media(file_in(dir, 1), UNTORN_MEDIA_AUTO, 0);
	assert_bytes(file[1], 4 * MIB - 1, 8, 1);
	untorn_media_close(file[1]);
}

static void test_interleaved(void **state)
{
	(void)state;
	check_interleaved(disk);
	if (memory[0])
		check_interleaved(memory);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* All pages of the files in pieces of a random cut and order. */
static size_t random_pieces(uint64_t *seed, struct untorn_media **file, struct stitch_piece *pieces)
{
	size_t n = 0;

	for (unsigned i = 0; i < FILES; i++) {
		for (uint64_t off = 0; off < file[i]->size; off += pieces[n++].len) {
			uint64_t len = (1 + next_random(seed) % 32) * 4096;

			assert_true(n < PIECES_MAX);
			pieces[n] = (struct stitch_piece){file[i], off, min_u64(len, file[i]->size - off)};
		}
	}
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = next_random(seed) % (i + 1);
		struct stitch_piece swap = pieces[i];

		pieces[i] = pieces[j];
		pieces[j] = swap;
	}
	return n;
}

/* What next_data() passes over is zeros; runs ascend and end. */
static void check_holes(struct untorn_media *m, const uint8_t *model)
{
	uint64_t off = 0, data, end;

	while (off < m->size) {
		assert_int_equal(untorn_media_next_data(m, off, &data, &end), 0);
		assert_in_range(data, off, m->size);
		assert_in_range(end, data, m->size);
		assert_true(data < end || data == m->size);
		assert_true(is_zero(model + off, data - off));
		off = end;
	}
}

/* Random pieces, random operations, against plain memory. */
static void test_model(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		struct untorn_media *file[FILES], *s;
		struct stitch_piece pieces[PIECES_MAX];
		_cleanup_free_ uint8_t *model = NULL, *seen = NULL;
		size_t n;

		for (unsigned i = 0; i < FILES; i++)
			file[i] = open_media(make_file(disk, i, 512 * KIB), UNTORN_MEDIA_VOLATILE, 0);
		n = random_pieces(&seed, file, pieces);
		s = stitch(pieces, n);
		model = calloc(1, s->size);
		seen = malloc(s->size);
		for (unsigned i = 0; i < 40; i++) {
			uint64_t off = next_random(&seed) % s->size;
			uint64_t len = next_random(&seed) % min_u64(s->size - off, 300 * KIB);
			uint8_t value = next_random(&seed) % 2 ? (uint8_t)i : 0;

			memset(model + off, value, len);
			assert_int_equal(value ? fill(s, off, value, len) : untorn_media_zero(s, off, len), 0);
		}
		check_holes(s, model);
		assert_int_equal(untorn_media_read(s, 0, seen, s->size), 0);
		assert_memory_equal(seen, model, s->size);
		for (uint64_t i = 0, off = 0; i < n; off += pieces[i++].len) {
			assert_int_equal(untorn_media_read(pieces[i].parent, pieces[i].off, seen, pieces[i].len), 0);
			assert_memory_equal(seen, model + off, pieces[i].len);
		}
		untorn_media_close(s);
		for (unsigned i = 0; i < FILES; i++)
			untorn_media_close(file[i]);
	}
}

/* -------------------------------------------------------- durability ------------------------------------------------------ */

static void test_kinds(void **state)
{
	static const struct {
		enum untorn_media_kind a, b, both;
		unsigned syncs;
	} cases[] = {
		{UNTORN_MEDIA_PAGE, UNTORN_MEDIA_PAGE, UNTORN_MEDIA_PAGE, 2},
		{UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_CACHELINE, 0},
		{UNTORN_MEDIA_BYTE, UNTORN_MEDIA_BYTE, UNTORN_MEDIA_BYTE, 0},
		{UNTORN_MEDIA_VOLATILE, UNTORN_MEDIA_VOLATILE, UNTORN_MEDIA_VOLATILE, 0},
		{UNTORN_MEDIA_BYTE, UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_CACHELINE, 0},
		{UNTORN_MEDIA_PAGE, UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_PAGE, 1},
		{UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_VOLATILE, UNTORN_MEDIA_VOLATILE, 0},
		{UNTORN_MEDIA_VOLATILE, UNTORN_MEDIA_PAGE, UNTORN_MEDIA_VOLATILE, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct untorn_media *a = open_media(make_file(disk, 0, MIB), cases[i].a, 0);
		struct untorn_media *b = open_media(make_file(disk, 1, MIB), cases[i].b, 0);
		struct untorn_media *s = interleave(a, b, 4096), *lines = NULL;

		assert_int_equal(untorn_media_kind(s), cases[i].both);
		syncs = 0;
		assert_int_equal(fill(s, 1, 9, 8190), 0);
		assert_int_equal(syncs, cases[i].syncs);
		assert_int_equal(untorn_media_drains(s), cases[i].syncs ? 1 : 0);
		assert_int_equal(untorn_media_drains(a) + untorn_media_drains(b), cases[i].syncs);
		assert_bytes(a, 1, 9, 4095);
		assert_bytes(b, 0, 9, 4095);
		/* Lines are flushed wherever one of them needs it. */
		if (cases[i].a == UNTORN_MEDIA_CACHELINE)
			lines = a;
		if (cases[i].b == UNTORN_MEDIA_CACHELINE)
			lines = b;
		if (lines) {
			assert_ptr_equal(s->ops->flush, lines->ops->flush);
			assert_ptr_equal(s->ops->copy, lines->ops->copy);
			assert_ptr_equal(s->ops->zero, lines->ops->zero);
		}
		untorn_media_close(s);
		untorn_media_close(a);
		untorn_media_close(b);
	}
}

static void test_read_only(void **state)
{
	struct untorn_media *a = open_media(make_file(disk, 0, MIB), UNTORN_MEDIA_PAGE, 0);
	struct untorn_media *b = open_media(make_file(disk, 1, MIB), UNTORN_MEDIA_PAGE, UNTORN_MEDIA_READ_ONLY);
	struct untorn_media *s = interleave(a, b, 4096);

	(void)state;
	assert_true(untorn_media_is_read_only(s));
	assert_int_equal(fill(s, 0, 1, 1), -EROFS);
	assert_int_equal(untorn_media_zero(s, 0, MIB), -EROFS);
	assert_int_equal(fill(a, 4096, 3, 1), 0);
	assert_bytes(s, 8192, 3, 1);
	untorn_media_close(s);
	untorn_media_close(a);
	untorn_media_close(b);
}

static void fail_syncs_of(const char *path)
{
	struct stat st;

	assert_return_code(stat(path, &st), errno);
	failing_file = st.st_ino;
}

/* Whoever syncs, a failure is final for both; other files go on. */
static void test_failed_sync(void **state)
{
	(void)state;
	for (unsigned through_parent = 0; through_parent < 2; through_parent++) {
		struct untorn_media *file[FILES], *s, *other;

		for (unsigned i = 0; i < FILES; i++)
			file[i] = open_media(make_file(disk, i, MIB), UNTORN_MEDIA_PAGE, 0);
		s = interleave(file[0], file[1], 4096);
		other = interleave(file[2], file[0], 4096);
		assert_int_equal(fill(s, 0, 1, MIB), 0);
		fail_syncs_of(file_in(disk, 1));
		if (through_parent)
			assert_int_equal(fill(file[1], 0, 2, 1), -EIO);
		assert_int_equal(fill(s, 0, 2, 1), -EIO);
		failing_file = 0;
		assert_int_equal(fill(s, 0, 3, 1), -EIO);
		assert_int_equal(untorn_media_zero(s, 0, MIB), -EIO);
		assert_int_equal(fill(file[1], 0, 3, 1), -EIO);
		assert_int_equal(media_drain(file[1]), -EIO);
		assert_int_equal(fill(file[0], 0, 3, 1), 0);
		assert_int_equal(fill(other, 0, 3, 8192), 0);
		assert_bytes(s, 8192, 0, 1);
		untorn_media_close(s);
		/* Stitched anew it has not forgotten. */
		s = interleave(file[0], file[1], 4096);
		assert_int_equal(fill(s, 0, 4, 1), -EIO);
		untorn_media_close(s);
		untorn_media_close(other);
		for (unsigned i = 0; i < FILES; i++)
			untorn_media_close(file[i]);
	}
}

/* Where a fence is enough, only holes are synced; one fence is made for both files, and still each is asked. */
static void test_failed_hole(void **state)
{
	(void)state;
	for (unsigned failing = 0; failing < 2; failing++) {
		struct untorn_media *file[2], *s;

		for (unsigned i = 0; i < 2; i++)
			file[i] = open_media(make_file(disk, i, MIB), UNTORN_MEDIA_CACHELINE, 0);
		s = interleave(file[0], file[1], 4096);
		assert_int_equal(fill(s, 0, 1, 2 * MIB), 0);
		fail_syncs_of(file_in(disk, failing));
		assert_int_equal(untorn_media_zero(file[failing], 0, MIB), -EIO);
		failing_file = 0;
		assert_int_equal(fill(file[!failing], 0, 1, 1), 0);
		assert_int_equal(fill(s, 0, 1, 1), -EIO);
		untorn_media_close(s);
		untorn_media_close(file[0]);
		untorn_media_close(file[1]);
	}
}

/* ---------------------------------------------------------- holes --------------------------------------------------------- */

static void check_zero(const char *dir)
{
	const char *path[2] = {make_file(dir, 0, GIB), make_file(dir, 1, GIB)};
	struct untorn_media *a = open_media(path[0], UNTORN_MEDIA_AUTO, 0);
	struct untorn_media *b = open_media(path[1], UNTORN_MEDIA_AUTO, 0);
	struct untorn_media *s = interleave(a, b, 256 * KIB);
	uint64_t data, end;

	/* Nothing there: nothing to do. */
	punches = 0;
	assert_int_equal(untorn_media_zero(s, 0, 2 * GIB), 0);
	assert_int_equal(punches, 0);
	assert_true(allocated(path[0]) + allocated(path[1]) <= 128 * KIB);

	/* A large run: given back by one call for each file, and its neighbours keep their bytes. */
	assert_int_equal(fill(s, 16 * MIB, 0xee, 4 * MIB), 0);
	assert_int_equal(untorn_media_next_data(s, 0, &data, &end), 0);
	assert_int_equal(data, 16 * MIB);
	assert_in_range(end, 16 * MIB + 1, 20 * MIB);
	assert_int_equal(untorn_media_zero(s, 16 * MIB + 1, 4 * MIB - 2), 0);
	assert_int_equal(punches, 2);
	assert_true(allocated(path[0]) + allocated(path[1]) <= MIB);
	assert_bytes(s, 16 * MIB, 0xee, 1);
	assert_bytes(s, 16 * MIB + 1, 0, 4 * MIB - 2);
	assert_bytes(s, 20 * MIB - 1, 0xee, 1);

	assert_int_equal(untorn_media_zero(s, 0, 2 * GIB), 0);
	assert_int_equal(punches, 4);
	assert_int_equal(untorn_media_next_data(s, 12345, &data, &end), 0);
	assert_int_equal(data, 2 * GIB);
	assert_int_equal(end, 2 * GIB);
	untorn_media_close(s);
	untorn_media_close(a);
	untorn_media_close(b);
}

static void test_zero(void **state)
{
	(void)state;
	check_zero(disk);
	if (memory[0])
		check_zero(memory);
}

/* ---------------------------------------------------------- faults -------------------------------------------------------- */

static void check_truncated(const char *dir)
{
	const char *path[2] = {make_file(dir, 0, 2 * MIB), make_file(dir, 1, 2 * MIB)};
	struct untorn_media *a = open_media(path[0], UNTORN_MEDIA_AUTO, 0);
	struct untorn_media *b = open_media(path[1], UNTORN_MEDIA_AUTO, 0);
	struct untorn_media *s = interleave(a, b, 64 * KIB), *slice;
	_cleanup_free_ uint8_t *big = malloc(4 * MIB);

	assert_int_equal(untorn_media_slice(s, 2 * MIB, 2 * MIB, &slice), 0);
	assert_int_equal(fill(s, 0, 6, 4 * MIB), 0);
	assert_return_code(truncate(path[1], MIB), errno);
	assert_int_equal(untorn_media_read(s, 0, big, 4 * MIB), -EIO);
	assert_int_equal(untorn_media_read(slice, 64 * KIB, big, 1), -EIO);
	assert_int_equal(fill(slice, 64 * KIB - 1, 1, 2), -EIO);
	/* What is gone is not a hole. */
	assert_int_equal(untorn_media_zero(slice, 0, 2 * MIB), -EIO);
	/* The other file works on, and so does what is left of this one. */
	assert_int_equal(fill(slice, 128 * KIB, 7, 64 * KIB), 0);
	assert_bytes(slice, 128 * KIB, 7, 64 * KIB);
	assert_bytes(s, 0, 6, 2 * MIB);
	assert_return_code(truncate(path[1], 2 * MIB), errno);
	assert_bytes(slice, 64 * KIB, 0, 64 * KIB);
	assert_int_equal(fill(s, 0, 8, 4 * MIB), 0);
	assert_bytes(s, 0, 8, 4 * MIB);
	untorn_media_close(slice);
	untorn_media_close(s);
	untorn_media_close(a);
	untorn_media_close(b);
}

static void test_truncated(void **state)
{
	(void)state;
	check_truncated(disk);
	if (memory[0])
		check_truncated(memory);
}

enum { CHILD_SKIPS = 77 };

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

static struct untorn_media *open_on_small(const char *dir, unsigned i)
{
	const char *path = file_in(dir, i);
	struct untorn_media *m;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 4 * (off_t)MIB) == 0);
	close(fd);
	CHECK(untorn_media_open(path, UNTORN_MEDIA_AUTO, 0, &m) == 0);
	return m;
}

/* In a mount namespace of our own: two sparse files on a file system that has room for less. */
static void fill_file_system(void)
{
	static uint8_t bytes[64 * 1024];
	struct untorn_media *a, *b, *s;
	struct stitch_piece pieces[128];
	uint64_t off = 0;
	char dir[80];
	int r;

	snprintf(dir, sizeof(dir), "%s/mnt", disk);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(dir, 0700) < 0 || mount("none", dir, "tmpfs", 0, "size=1m") < 0)
		_exit(CHILD_SKIPS);
	a = open_on_small(dir, 0);
	b = open_on_small(dir, 1);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		pieces[i] = (struct stitch_piece){i % 2 ? b : a, i / 2 * sizeof(bytes), sizeof(bytes)};
	CHECK(media_stitch(pieces, ARRAY_SIZE(pieces), &s) == 0);
	memset(bytes, 1, sizeof(bytes));
	while ((r = untorn_media_write(s, off, bytes, sizeof(bytes))) == 0)
		off += sizeof(bytes);
	CHECK(r == -ENOSPC);
	CHECK(off >= 512 * KIB && off <= MIB);
	CHECK(untorn_media_write(s, 0, bytes, sizeof(bytes)) == 0);
	/* Giving back makes room. */
	CHECK(untorn_media_zero(s, 0, off) == 0);
	CHECK(untorn_media_write(s, 4 * MIB, bytes, sizeof(bytes)) == 0);
}

static void test_full_file_system(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fill_file_system();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPS) {
		print_message("needs root: a mount\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --------------------------------------------------------- threads -------------------------------------------------------- */

struct worker {
	pthread_t thread;
	struct untorn_media *m, *parent;
	unsigned number, wrong;
};

/* Each in its own part; slices come and go meanwhile, of the whole and of what it is made of. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t part = w->m->size / 4, off = w->number * part;
	uint8_t bytes[5000], seen[5000];

	for (unsigned i = 0; i < 100; i++) {
		uint64_t at = off + i * 4099 % (part - sizeof(bytes)), data, end;
		struct untorn_media *slice, *other;

		memset(bytes, (int)(w->number * 64 + i % 64), sizeof(bytes));
		w->wrong += untorn_media_slice(w->m, off, part, &slice) != 0;
		w->wrong += untorn_media_slice(w->parent, 0, 4096, &other) != 0;
		w->wrong += untorn_media_write(slice, at - off, bytes, sizeof(bytes)) != 0;
		w->wrong += untorn_media_read(w->m, at, seen, sizeof(seen)) != 0;
		w->wrong += memcmp(bytes, seen, sizeof(bytes)) != 0;
		w->wrong += untorn_media_next_data(slice, 0, &data, &end) != 0;
		if (i % 10 == 9)
			w->wrong += untorn_media_zero(slice, 0, part) != 0;
		untorn_media_close(other);
		untorn_media_close(slice);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	for (unsigned kind = UNTORN_MEDIA_CACHELINE; kind <= UNTORN_MEDIA_VOLATILE; kind++) {
		struct untorn_media *a = open_media(make_file(disk, 0, MIB), (enum untorn_media_kind)kind, 0);
		struct untorn_media *b = open_media(make_file(disk, 1, MIB), (enum untorn_media_kind)kind, 0);
		struct untorn_media *s = interleave(a, b, 4096);
		struct worker workers[4];

		for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
			workers[i] = (struct worker){.m = s, .parent = i % 2 ? a : b, .number = i};
			assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
			assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
			assert_int_equal(workers[i].wrong, 0);
		}
		untorn_media_close(a);
		untorn_media_close(b);
		untorn_media_close(s);
	}
}

static int make_dirs(void **state)
{
	struct statfs fs;

	(void)state;
	if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC || !mkdtemp(memory))
		memory[0] = '\0';
	return mkdtemp(disk) ? 0 : -1;
}

static int remove_dirs(void **state)
{
	char mnt[80];

	(void)state;
	for (unsigned i = 0; i < FILES; i++) {
		unlink(file_in(disk, i));
		unlink(file_in(memory, i));
	}
	snprintf(mnt, sizeof(mnt), "%s/mnt", disk);
	rmdir(mnt);
	rmdir(memory);
	return rmdir(disk);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),   cmocka_unit_test(test_contiguous),
		cmocka_unit_test(test_no_file),     cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_model),       cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_read_only),   cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_failed_hole), cmocka_unit_test(test_zero),
		cmocka_unit_test(test_truncated),   cmocka_unit_test(test_full_file_system),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, make_dirs, remove_dirs);
}
