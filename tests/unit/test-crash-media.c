/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crash medium: which images a power cut may leave.
 *
 * Small cases are worked out by hand. An image is written as the values of its first 16 units of 8 bytes, one digit each
 * ('.' is 0), with a bar between the two cache lines; everything behind them must be zero. Random cases are compared with an
 * oracle that says the same rules in another way: it looks at every set of writes there is.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "media/crash.h"
#include "media/memory.h"

#define SIZE  4096u
#define UNITS 16u

static const struct crash_budget everything = {.exhaustive = 1u << 16};

/* ------------------------------------------------------- two threads ------------------------------------------------------ */

/*
 * Workers A, B and C run a step when they are told to, one at a time: the log is in the order of the test's lines, and
 * the steps belong to the thread that the test says.
 */
enum { A, B, C, WORKERS };

struct step {
	enum { COPY, ZERO, STORE32, STORE64, FLUSH, ORDER, DRAIN, MARK, QUIT } what;
	unsigned worker;
	uint64_t off, len, value;
	const uint8_t *bytes; /* COPY */
};

static struct untorn_media *medium;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static const struct step *todo;
static pthread_t workers[WORKERS];

static void take(const struct step *s)
{
	uint8_t *at = medium->base + s->off;

	switch (s->what) {
	case COPY:
		media_copy(medium, at, s->bytes, s->len);
		break;
	case ZERO:
		media_zero(medium, at, s->len);
		break;
	case STORE32:
		media_store32(medium, (le32 *)at, (uint32_t)s->value);
		break;
	case STORE64:
		media_store64(medium, (le64 *)at, s->value);
		break;
	case FLUSH:
		media_flush(medium, at, s->len);
		break;
	case ORDER:
		media_order(medium);
		break;
	case DRAIN:
		media_drain(medium);
		break;
	case MARK:
		crash_media_mark(medium, (uint32_t)s->value);
		break;
	case QUIT:
		break;
	}
}

static void *work(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	bool quit = false;

	pthread_mutex_lock(&turn);
	while (!quit) {
		while (!todo || todo->worker != me)
			pthread_cond_wait(&moved, &turn);
		take(todo);
		quit = todo->what == QUIT;
		todo = NULL;
		pthread_cond_broadcast(&moved);
	}
	pthread_mutex_unlock(&turn);
	return NULL;
}

static void tell(struct step s)
{
	pthread_mutex_lock(&turn);
	todo = &s;
	pthread_cond_broadcast(&moved);
	while (todo)
		pthread_cond_wait(&moved, &turn);
	pthread_mutex_unlock(&turn);
}

/* Units are counted from the start of the medium. */
static void store(unsigned worker, uint64_t unit, uint64_t value)
{
	tell((struct step){.what = STORE64, .worker = worker, .off = unit * 8, .value = value});
}

static void flush(unsigned worker, uint64_t unit)
{
	tell((struct step){.what = FLUSH, .worker = worker, .off = unit * 8, .len = 8});
}

static void zero(unsigned worker, uint64_t unit, uint64_t n)
{
	tell((struct step){.what = ZERO, .worker = worker, .off = unit * 8, .len = n * 8});
}

static void drain(unsigned worker)
{
	tell((struct step){.what = DRAIN, .worker = worker});
}

static void order(unsigned worker)
{
	tell((struct step){.what = ORDER, .worker = worker});
}

/* Copy digits, a unit each. */
static void copy(unsigned worker, uint64_t unit, const char *digits)
{
	uint8_t bytes[UNITS * 8] = {0};
	size_t n = strlen(digits);

	for (size_t i = 0; i < n; i++)
		bytes[i * 8] = (uint8_t)(digits[i] - '0');
	tell((struct step){.what = COPY, .worker = worker, .off = unit * 8, .len = n * 8, .bytes = bytes});
}

/* ---------------------------------------------------------- images -------------------------------------------------------- */

struct images {
	uint8_t (*list)[SIZE];
	uint64_t *ids;
	size_t n;
	size_t stop_at; /* end with 99 at that many */
	bool scribble;
};

static int collect(void *arg, uint8_t *image, uint64_t id)
{
	struct images *all = arg;

	all->list = realloc(all->list, (all->n + 1) * SIZE);
	all->ids = realloc(all->ids, (all->n + 1) * sizeof(*all->ids));
	memcpy(all->list[all->n], image, SIZE);
	all->ids[all->n++] = id;
	if (all->scribble)
		memset(image, 0xff, SIZE);
	return all->n == all->stop_at ? 99 : 0;
}

static void free_images(struct images *all)
{
	free(all->list);
	free(all->ids);
	*all = (struct images){0};
}

static struct images images_at(size_t cut, const struct crash_budget *budget)
{
	struct images all = {.scribble = true};

	assert_int_equal(crash_media_foreach(medium, cut, budget, collect, &all), 0);
	assert_true(all.n > 0);
	return all;
}

static bool has_image(const struct images *all, const uint8_t *image)
{
	for (size_t i = 0; i < all->n; i++)
		if (memcmp(all->list[i], image, SIZE) == 0)
			return true;
	return false;
}

static void draw(const char *picture, uint8_t *image)
{
	unsigned unit = 0;

	memset(image, 0, SIZE);
	for (; *picture; picture++) {
		if (*picture == '|')
			continue;
		image[unit * 8] = *picture == '.' ? 0 : (uint8_t)(*picture - '0');
		unit++;
	}
	assert_true(unit <= UNITS);
}

/* After the first cut events there are exactly these images, each once; the list ends with NULL. Missing units are '.'. */
static void expect_at(size_t cut, const char *first, ...)
{
	struct images all = images_at(cut, &everything);
	uint8_t image[SIZE];
	size_t n = 0;
	va_list more;

	va_start(more, first);
	for (const char *picture = first; picture; picture = va_arg(more, const char *)) {
		draw(picture, image);
		if (!has_image(&all, image))
			fail_msg("cut %zu: no image %s", cut, picture);
		n++;
	}
	va_end(more);
	if (all.n != n)
		fail_msg("cut %zu: %zu images, not %zu", cut, all.n, n);
	free_images(&all);
}

#define expect(...) expect_at(crash_media_events(medium), __VA_ARGS__, NULL)

/* ----------------------------------------------------------- life --------------------------------------------------------- */

static int start(void **state)
{
	(void)state;
	if (crash_media_new(SIZE, NULL, UNTORN_MEDIA_CACHELINE, &medium) < 0)
		return -1;
	crash_media_record(medium);
	for (uintptr_t i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, (void *)i) != 0)
			return -1;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		tell((struct step){.what = QUIT, .worker = i});
		pthread_join(workers[i], NULL);
	}
	untorn_media_close(medium);
	return 0;
}

/* ---------------------------------------------------- rules, one by one --------------------------------------------------- */

static void test_nothing(void **state)
{
	(void)state;
	expect(".");
	drain(A);
	flush(A, 0);
	expect(".");
}

static void test_store_may_vanish(void **state)
{
	(void)state;
	store(A, 0, 1);
	expect(".", "1");
	flush(A, 0);
	expect(".", "1");
	drain(A);
	expect("1");
	/* Earlier cuts of the same log. */
	expect_at(2, ".", "1", NULL);
	expect_at(0, ".", NULL);
	expect_at(3, "1", NULL);
}

static void test_flush_covers_what_came_before(void **state)
{
	(void)state;
	flush(A, 0);
	store(A, 0, 1);
	drain(A);
	expect(".", "1");
	flush(A, 0);
	store(A, 0, 2);
	drain(A);
	expect("1", "2");
	/* A drain with no flush of its own settles nothing. */
	drain(A);
	expect("1", "2");
	/* Another line's flush neither. */
	flush(A, 8);
	drain(A);
	expect("1", "2");
}

static void test_flush_and_drain_in_one_thread(void **state)
{
	(void)state;
	store(A, 0, 1);
	flush(A, 0);
	drain(B);
	expect(".", "1");
	drain(A);
	expect("1");
	/* Whoever writes a line back takes along what everybody stored to it. */
	store(A, 0, 2);
	store(A, 1, 3);
	flush(B, 5);
	drain(B);
	expect("23");
}

static void test_copy_tears(void **state)
{
	(void)state;
	copy(A, 7, "123");
	expect("........|..", ".......1|..", "........|2.", ".......1|2.", "........|.3", ".......1|.3", "........|23",
	       ".......1|23");
	drain(B);
	assert_int_equal(crash_media_drains_before(medium, crash_media_events(medium)), 1);
	expect("........|..", ".......1|..", "........|2.", ".......1|2.", "........|.3", ".......1|.3", "........|23",
	       ".......1|23");
	drain(A);
	expect(".......1|23");
	zero(A, 8, 2);
	expect(".......1|23", ".......1|.3", ".......1|2.", ".......1|..");
	drain(A);
	expect(".......1|..");
}

static void test_order_hands_copies_over(void **state)
{
	(void)state;
	copy(A, 0, "1");
	order(A);
	copy(A, 1, "2");
	expect("..", "1.", ".2", "12");
	drain(B);
	expect("1.", "12");
	drain(C);
	expect("1.", "12");
	/* Too late: the drain was before. */
	order(A);
	expect("1.", "12");
	drain(C);
	expect("12");
	/* Not another's copies. */
	copy(A, 2, "3");
	order(B);
	drain(B);
	expect("12.", "123");
	/* A line's flush by another thread does not reach a copy on its way. */
	flush(B, 2);
	drain(B);
	expect("12.", "123");
	/* Stores are not handed over by it, flushed or not. */
	drain(A);
	store(A, 3, 4);
	flush(A, 3);
	order(A);
	drain(B);
	expect("123.", "1234");
	/* The thread itself still answers for its flush. */
	drain(A);
	expect("1234");
}

static void test_prefix_of_a_line(void **state)
{
	(void)state;
	store(A, 0, 1);
	store(A, 1, 2);
	store(B, 0, 3);
	expect("..", "1.", "12", "32");
	store(A, 8, 4);
	expect("........|.", "1.......|.", "12......|.", "32......|.", "........|4", "1.......|4", "12......|4",
	       "32......|4");
	flush(A, 0);
	drain(A);
	expect("32......|.", "32......|4");
}

static void test_halves_of_a_unit(void **state)
{
	(void)state;
	tell((struct step){.what = STORE32, .worker = A, .off = 0, .value = 1});
	tell((struct step){.what = STORE32, .worker = A, .off = 8, .value = 2});
	tell((struct step){.what = STORE32, .worker = A, .off = 0, .value = 3});
	tell((struct step){.what = STORE32, .worker = A, .off = 4, .value = 0});
	expect("..", "1.", "12", "32");
	flush(A, 0);
	drain(A);
	expect("32");
}

static void test_copies_and_stores_in_a_line(void **state)
{
	(void)state;
	copy(A, 0, "1");
	store(A, 1, 2);
	expect("..", "1.", ".2", "12");
	drain(A);
	expect("1.", "12");
}

static void test_one_unit_in_order(void **state)
{
	(void)state;
	copy(A, 0, "1");
	copy(B, 0, "2");
	store(A, 0, 3);
	expect(".", "1", "2", "3");
	/* The second copy is there, so whatever happened to the first, it lies below. */
	drain(B);
	expect("2", "3");
	flush(A, 0);
	drain(A);
	copy(A, 8, "1");
	store(A, 8, 2);
	store(A, 9, 3);
	/* store(8) lies on the copy, store(9) comes after store(8). */
	expect("3.......|..", "3.......|1.", "3.......|2.", "3.......|23");
}

static void test_store_between_copies(void **state)
{
	(void)state;
	store(A, 0, 1);
	copy(A, 0, "2");
	store(A, 1, 3);
	expect("..", "1.", "2.", "13", "23");
	/* The copy is there, so the store below it is. */
	drain(A);
	expect("2.", "23");
}

static void test_what_must_have_come_before(void **state)
{
	(void)state;
	store(A, 0, 1);
	store(A, 1, 2);
	store(A, 2, 3);
	copy(B, 1, "4");
	expect("...", "1..", "12.", "123", "14.", "143");
	/* The copy lies on store(1), which came after store(0); store(2) came later. */
	drain(B);
	expect("14.", "143");
}

static void test_no_change(void **state)
{
	(void)state;
	store(A, 0, 0);
	copy(A, 1, "00");
	zero(A, 0, 16);
	expect(".");
	store(A, 0, 1);
	store(A, 0, 0);
	expect(".", "1");
	store(A, 0, 1);
	expect(".", "1");
	/* The same bytes once more, by a copy: they are certainly there then. */
	copy(B, 0, "1");
	drain(B);
	expect("1");
	store(A, 0, 1);
	expect("1");
}

static void test_forgotten_drain(void **state)
{
	(void)state;
	store(A, 0, 1);
	flush(A, 0);
	drain(A);
	copy(A, 1, "2");
	drain(A);
	expect("12");
	crash_media_forget_drain(medium, 1);
	expect("1.", "12");
	assert_int_equal(crash_media_drains_before(medium, 5), 2);
	crash_media_forget_drain(medium, 0);
	expect("..", "1.", ".2", "12");
	crash_media_forget_drain(medium, CRASH_ALL_DRAINS);
	expect("12");
	/* What the first drain would have settled, the second does: it is the same thread's. */
	crash_media_forget_drain(medium, 0);
	expect("12");
	expect_at(3, "..", "1.", NULL);
}

static void test_marks_and_counts(void **state)
{
	(void)state;
	assert_int_equal(crash_media_last_mark(medium, 0), 0);
	store(A, 0, 1);
	tell((struct step){.what = MARK, .worker = A, .value = 7});
	drain(A);
	tell((struct step){.what = MARK, .worker = B, .value = 8});
	drain(B);
	assert_int_equal(crash_media_events(medium), 5);
	assert_int_equal(crash_media_last_mark(medium, 1), 0);
	assert_int_equal(crash_media_last_mark(medium, 2), 7);
	assert_int_equal(crash_media_last_mark(medium, 3), 7);
	assert_int_equal(crash_media_last_mark(medium, 4), 8);
	assert_int_equal(crash_media_last_mark(medium, 5), 8);
	assert_int_equal(crash_media_drains_before(medium, 2), 0);
	assert_int_equal(crash_media_drains_before(medium, 3), 1);
	assert_int_equal(crash_media_drains_before(medium, 5), 2);
	assert_int_equal(untorn_media_drains(medium), 2);
	expect(".", "1");
}

static void test_record_takes_memory_as_durable(void **state)
{
	struct images all = {0};

	(void)state;
	store(A, 0, 1);
	copy(A, 9, "2");
	crash_media_record(medium);
	assert_int_equal(crash_media_events(medium), 0);
	expect("1.......|.2");
	store(A, 0, 3);
	expect("1.......|.2", "3.......|.2");
	assert_int_equal(crash_media_foreach(medium, 2, &everything, collect, &all), -ERANGE);
	assert_int_equal(all.n, 0);
}

static void test_slices_write_the_same_log(void **state)
{
	struct untorn_media *big, *slice, *small = medium;
	uint8_t image[2 * SIZE];
	le64 *p;

	(void)state;
	assert_int_equal(crash_media_new(2 * SIZE, NULL, UNTORN_MEDIA_PAGE, &big), 0);
	crash_media_record(big);
	assert_int_equal(untorn_media_slice(big, SIZE, SIZE, &slice), 0);
	assert_int_equal(untorn_media_kind(slice), UNTORN_MEDIA_PAGE);
	p = (le64 *)slice->base;
	media_store64(slice, p, 5);
	media_flush(slice, p, 8);
	assert_int_equal(media_drain(slice), 0);
	media_store64(big, (le64 *)big->base, 6);
	assert_int_equal(untorn_media_write(slice, 8, "x", 1), 0);
	assert_int_equal(untorn_media_drains(big), 2);
	assert_int_equal(crash_media_events(slice), 6);
	medium = big;
	expect_at(4, ".", "6", NULL); /* its first page, that is */
	medium = small;
	for (size_t cut = 2; cut <= 3; cut++) {
		assert_int_equal(crash_media_image(slice, cut, &everything, 0, image), 0);
		assert_int_equal(image[SIZE], cut == 3 ? 5 : 0);
	}
	untorn_media_close(slice);
	untorn_media_close(big);
}

/* ------------------------------------------------------ which images ------------------------------------------------------ */

static void test_ends_early(void **state)
{
	struct images all = {.stop_at = 3};

	(void)state;
	copy(A, 0, "123");
	assert_int_equal(crash_media_foreach(medium, 1, &everything, collect, &all), 99);
	assert_int_equal(all.n, 3);
	free_images(&all);
}

/* 256 bytes of copies: 32 units in 4 lines, too many sets to look at each. */
static void test_samples(void **state)
{
	const struct crash_budget budget = {.exhaustive = 100, .samples = 50, .seed = 1};
	struct crash_budget other = budget;
	struct images all, again, different;
	uint8_t bytes[256], expected[SIZE] = {0};
	size_t torn = 0, whole;

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	tell((struct step){.what = COPY, .worker = A, .off = 1024, .len = sizeof(bytes), .bytes = bytes});
	all = images_at(1, &budget);
	assert_in_range(all.n, 2 + 2 * 4 + 40, 2 + 2 * 4 + 50);
	for (size_t i = 0; i < all.n; i++) {
		const uint64_t *units = (const uint64_t *)all.list[i];

		assert_true(i == 0 || memcmp(all.list[i], all.list[i - 1], SIZE) != 0);
		whole = 0;
		for (size_t unit = 0; unit < SIZE / 8; unit++) {
			assert_true(units[unit] == 0 || units[unit] == 0x0101010101010101);
			assert_true(units[unit] == 0 || (unit >= 128 && unit < 160));
			whole += units[unit] != 0;
		}
		torn += whole % 8 != 0;
	}
	assert_true(torn > 5);
	/* none, all, each line alone, each line missing */
	assert_true(is_zero(all.list[0], SIZE));
	memset(expected + 1024, 1, 256);
	assert_memory_equal(all.list[1], expected, SIZE);
	for (size_t line = 0; line < 4; line++) {
		memset(expected, 0, SIZE);
		memset(expected + 1024 + line * 64, 1, 64);
		assert_memory_equal(all.list[2 + line], expected, SIZE);
		memset(expected + 1024, 1, 256);
		memset(expected + 1024 + line * 64, 0, 64);
		assert_memory_equal(all.list[6 + line], expected, SIZE);
	}
	/* The seed says which random ones. */
	again = images_at(1, &budget);
	assert_int_equal(again.n, all.n);
	assert_memory_equal(again.list, all.list, all.n * SIZE);
	other.seed = 2;
	different = images_at(1, &other);
	assert_true(different.n != all.n || memcmp(different.list, all.list, all.n * SIZE) != 0);
	free_images(&all);
	free_images(&again);
	free_images(&different);
}

/* 17 MiB, of which 16384 lines are undecided: runs of neighbours take turns. */
struct large {
	size_t n;
	bool runs; /* look for them */
};

static int look_at_large(void *arg, uint8_t *image, uint64_t id)
{
	const uint64_t first = 8u << 20, last = 9u << 20, run = (last - first) / CRASH_GROUPS;
	struct large *large = arg;
	uint64_t at = first + (id - 2) * run;

	large->n++;
	assert_true(is_zero(image, first));
	assert_true(is_zero(image + last, (17u << 20) - last));
	if (large->runs && id >= 2 && id < 2 + CRASH_GROUPS) {
		assert_true(is_zero(image + first, at - first));
		assert_true(image[at] == 1 && memcmp(image + at, image + at + 1, run - 1) == 0);
		assert_true(is_zero(image + at + run, last - at - run));
	}
	/* All over the place: nothing of it must show in the next one. */
	for (uint64_t off = 0; off < 17u << 20; off += (1u << 20) - 4096)
		image[off] = 1;
	return 0;
}

static void test_large(void **state)
{
	const struct crash_budget budget = {.exhaustive = 64, .samples = 10};
	const uint64_t size = 17u << 20, half = 1u << 19;
	struct large large = {0};
	struct untorn_media *m;
	uint8_t *bytes = malloc(half);

	(void)state;
	assert_int_equal(crash_media_new(size, NULL, UNTORN_MEDIA_CACHELINE, &m), 0);
	assert_int_equal(untorn_media_zero(m, 0, size), 0);
	crash_media_record(m);
	media_zero(m, m->base, size);
	assert_int_equal(crash_media_foreach(m, 1, &budget, look_at_large, &large), 0);
	assert_int_equal(large.n, 1);
	memset(bytes, 1, half);
	media_copy(m, m->base + (8 << 20) + half, bytes, half);
	media_copy(m, m->base + (8 << 20), bytes, half);
	large = (struct large){.runs = true};
	assert_int_equal(crash_media_foreach(m, 3, &budget, look_at_large, &large), 0);
	assert_in_range(large.n, 2 + 2 * CRASH_GROUPS + 5, 2 + 2 * CRASH_GROUPS + 10);
	assert_int_equal(media_drain(m), 0);
	large = (struct large){0};
	assert_int_equal(crash_media_foreach(m, 4, &budget, look_at_large, &large), 0);
	assert_int_equal(large.n, 1);
	free(bytes);
	untorn_media_close(m);
}

/* A crash medium on an image of another one: power fails again while the first cut is being recovered from. */
static int cut_again(void *arg, uint8_t *image, uint64_t id)
{
	struct untorn_media *inner, *outer = medium;
	size_t *n = arg;

	(void)id;
	assert_int_equal(crash_media_new(SIZE, image, UNTORN_MEDIA_CACHELINE, &inner), 0);
	crash_media_record(inner);
	media_store64(inner, (le64 *)(inner->base + 64), 9);
	medium = inner;
	if (image[0])
		expect("1.......|.", "1.......|9");
	else
		expect("........|.", "........|9");
	medium = outer;
	untorn_media_close(inner);

	/* And recovery right on the image. */
	assert_int_equal(memory_media_wrap(image, SIZE, &inner), 0);
	assert_int_equal(untorn_media_write(inner, 100, "x", 1), 0);
	assert_int_equal(image[100], 'x');
	untorn_media_close(inner);
	(*n)++;
	return 0;
}

static void test_cut_inside_recovery(void **state)
{
	size_t n = 0;

	(void)state;
	store(A, 0, 1);
	assert_int_equal(crash_media_foreach(medium, 1, &everything, cut_again, &n), 0);
	assert_int_equal(n, 2);
	expect(".", "1");
}

/* ---------------------------------------------------------- oracle -------------------------------------------------------- */

/*
 * Every write of a log, 8 bytes at most and within one unit. must: certainly there at the cut. It is said as the rules
 * are: for each write, is there a drain that counts for it?
 */
struct oracle_write {
	size_t step;
	unsigned worker;
	bool single, must;
	uint64_t unit;
	uint64_t off, len;
	uint8_t bytes[8];
};

enum { MOST_STEPS = 14, MOST_WRITES = 64, MOST_PENDING = 16 };

struct oracle {
	struct step steps[MOST_STEPS];
	uint8_t copied[MOST_STEPS][32];
	size_t nsteps;
	struct oracle_write writes[MOST_WRITES];
	size_t nwrites;
};

/* a is there before b can be. */
static bool comes_before(const struct oracle_write *a, const struct oracle_write *b)
{
	return a < b && (a->unit == b->unit || (a->single && b->single && a->unit / 8 == b->unit / 8));
}

static bool flushes(const struct step *s, const struct oracle_write *w)
{
	return s->what == FLUSH && s->off / 64 <= w->off / 64 && w->off / 64 <= (s->off + s->len - 1) / 64;
}

static bool is_drained(const struct oracle *o, const struct oracle_write *w, size_t cut)
{
	for (size_t d = w->step + 1; d < cut; d++) {
		if (o->steps[d].what != DRAIN)
			continue;
		if (!w->single && o->steps[d].worker == w->worker)
			return true;
		for (size_t s = w->step + 1; s < d; s++) {
			const struct step *between = &o->steps[s];

			if (!w->single && between->what == ORDER && between->worker == w->worker)
				return true;
			if (flushes(between, w) && between->worker == o->steps[d].worker &&
			    (w->single || w->worker == between->worker))
				return true;
		}
	}
	return false;
}

static void add_writes(struct oracle *o, size_t step)
{
	const struct step *s = &o->steps[step];
	uint64_t len = s->what == STORE32 ? 4 : s->what == STORE64 ? 8 : s->len;
	uint64_t value = htole64(s->value), next;

	if (s->what > STORE64)
		return;
	for (uint64_t off = s->off; off < s->off + len; off = next) {
		struct oracle_write *w = &o->writes[o->nwrites++];

		next = min_u64(off / 8 * 8 + 8, s->off + len);
		*w = (struct oracle_write){.step = step, .worker = s->worker, .unit = off / 8, .off = off};
		w->len = next - off;
		w->single = s->what == STORE32 || s->what == STORE64;
		if (w->single)
			memcpy(w->bytes, &value, w->len);
		else if (s->what == COPY)
			memcpy(w->bytes, s->bytes + (off - s->off), w->len);
	}
}

/* All images of the cut; false when there are too many sets to try. */
static bool oracle_images(struct oracle *o, size_t cut, struct images *all)
{
	size_t pending[MOST_WRITES], npending = 0;

	o->nwrites = 0;
	for (size_t s = 0; s < cut; s++)
		add_writes(o, s);
	for (size_t i = 0; i < o->nwrites; i++)
		o->writes[i].must = is_drained(o, &o->writes[i], cut);
	for (size_t round = 0; round < o->nwrites; round++)
		for (size_t i = 0; i < o->nwrites; i++)
			for (size_t j = 0; j < i; j++)
				if (o->writes[i].must && comes_before(&o->writes[j], &o->writes[i]))
					o->writes[j].must = true;
	for (size_t i = 0; i < o->nwrites; i++)
		if (!o->writes[i].must)
			pending[npending++] = i;
	if (npending > MOST_PENDING)
		return false;
	for (uint32_t set = 0; set < 1u << npending; set++) {
		bool there[MOST_WRITES], possible = true;
		uint8_t image[SIZE] = {0};

		for (size_t i = 0; i < o->nwrites; i++)
			there[i] = o->writes[i].must;
		for (size_t i = 0; i < npending; i++)
			there[pending[i]] = set >> i & 1;
		for (size_t i = 0; i < o->nwrites && possible; i++)
			for (size_t j = 0; j < i && possible; j++)
				possible = !there[i] || there[j] || !comes_before(&o->writes[j], &o->writes[i]);
		for (size_t i = 0; i < o->nwrites; i++)
			if (there[i])
				memcpy(image + o->writes[i].off, o->writes[i].bytes, o->writes[i].len);
		if (possible && !has_image(all, image))
			collect(all, image, 0);
	}
	return true;
}

static uint32_t random_state;

static uint32_t pick(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 16) % n;
}

/* A short log on two lines that meets itself often. */
static void random_log(struct oracle *o)
{
	o->nsteps = 4 + pick(MOST_STEPS - 4);
	for (size_t i = 0; i < o->nsteps; i++) {
		struct step *s = &o->steps[i];

		*s = (struct step){.what = pick(MARK), .worker = pick(WORKERS), .value = pick(4)};
		if (s->what == STORE32 || s->what == STORE64) {
			s->off = s->what == STORE32 ? pick(32) * 4 : pick(16) * 8;
		} else {
			s->off = pick(120);
			s->len = 1 + pick(s->what == FLUSH ? 128 - (uint32_t)s->off : 8) + pick(4);
			s->len = min_u64(s->len, 128 - s->off);
		}
		for (size_t j = 0; j < sizeof(o->copied[i]); j++)
			o->copied[i][j] = (uint8_t)pick(3);
		s->bytes = o->copied[i];
	}
}

static void compare_with_oracle(struct oracle *o, size_t cut, size_t *compared)
{
	struct images expected = {0}, seen;

	if (oracle_images(o, cut, &expected)) {
		seen = images_at(cut, &everything);
		for (size_t i = 0; i < expected.n; i++)
			if (!has_image(&seen, expected.list[i]))
				fail_msg("seed %u, cut %zu: an image is missing", random_state, cut);
		if (seen.n != expected.n)
			fail_msg("seed %u, cut %zu: %zu images, not %zu", random_state, cut, seen.n, expected.n);
		free_images(&seen);
		(*compared)++;
	}
	free_images(&expected);
}

static void test_oracle(void **state)
{
	struct oracle o = {0};
	size_t compared = 0;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		random_state = round * 7919 + 1;
		zero(A, 0, SIZE / 8);
		crash_media_record(medium);
		random_log(&o);
		for (size_t i = 0; i < o.nsteps; i++)
			tell(o.steps[i]);
		assert_int_equal(crash_media_events(medium), o.nsteps);
		/* Upwards the replay goes on; downwards it starts again. */
		for (size_t cut = 0; cut <= o.nsteps; cut += 1 + pick(3))
			compare_with_oracle(&o, cut, &compared);
		compare_with_oracle(&o, pick((uint32_t)o.nsteps), &compared);
	}
	assert_true(compared > 1500);
}

/* Whatever was given can be had again by its number. */
static void test_images_by_id(void **state)
{
	const struct crash_budget budgets[] = {{.exhaustive = 100000}, {.exhaustive = 8, .samples = 20, .seed = 3}};
	uint8_t image[SIZE];
	struct oracle o = {0};

	(void)state;
	for (random_state = 42; o.nsteps < MOST_STEPS - 1;)
		random_log(&o);
	for (size_t i = 0; i < o.nsteps; i++)
		tell(o.steps[i]);
	for (size_t b = 0; b < ARRAY_SIZE(budgets); b++) {
		for (size_t cut = o.nsteps; cut > 0; cut--) {
			struct images all = images_at(cut, &budgets[b]);
			uint64_t last = all.ids[all.n - 1];

			for (size_t i = 0; i < all.n; i++) {
				memset(image, 0xee, SIZE);
				assert_int_equal(crash_media_image(medium, cut, &budgets[b], all.ids[i], image), 0);
				assert_memory_equal(image, all.list[i], SIZE);
			}
			assert_int_equal(crash_media_image(medium, cut, &budgets[b], last + 1000, image), -ERANGE);
			free_images(&all);
		}
		assert_int_equal(crash_media_image(medium, o.nsteps + 1, &budgets[b], 0, image), -ERANGE);
	}
}

/* --------------------------------------------------------- threads -------------------------------------------------------- */

enum { STORES = 300 };

static void *store_often(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (unsigned i = 1; i <= STORES; i++) {
		media_store64(medium, (le64 *)(medium->base + me * 64), i);
		media_flush(medium, medium->base + me * 64, 8);
		media_drain(medium);
		crash_media_mark(medium, me * 1000 + i);
	}
	return NULL;
}

/* At once, in perturbed order: nothing is lost, and each thread's order is kept. */
static void test_threads_at_once(void **state)
{
	pthread_t threads[2];
	size_t events;

	(void)state;
	crash_media_perturb(medium, 5);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, store_often, (void *)i), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	events = crash_media_events(medium);
	assert_int_equal(events, 2 * 4 * STORES);
	for (size_t cut = 0, acknowledged[2] = {0, 0}; cut <= events; cut++) {
		uint32_t mark = crash_media_last_mark(medium, cut);
		struct images all = images_at(cut, &everything);

		if (mark)
			acknowledged[mark / 1000] = mark % 1000;
		for (size_t i = 0; i < all.n; i++) {
			for (size_t t = 0; t < 2; t++) {
				uint64_t value = media_load64((const le64 *)(all.list[i] + t * 64));

				assert_in_range(value, acknowledged[t], acknowledged[t] + 1);
			}
		}
		assert_in_range(all.n, 1, 4);
		free_images(&all);
	}
}

int main(void)
{
#define CRASH_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		CRASH_TEST(test_nothing),
		CRASH_TEST(test_store_may_vanish),
		CRASH_TEST(test_flush_covers_what_came_before),
		CRASH_TEST(test_flush_and_drain_in_one_thread),
		CRASH_TEST(test_copy_tears),
		CRASH_TEST(test_order_hands_copies_over),
		CRASH_TEST(test_prefix_of_a_line),
		CRASH_TEST(test_halves_of_a_unit),
		CRASH_TEST(test_copies_and_stores_in_a_line),
		CRASH_TEST(test_one_unit_in_order),
		CRASH_TEST(test_store_between_copies),
		CRASH_TEST(test_what_must_have_come_before),
		CRASH_TEST(test_no_change),
		CRASH_TEST(test_forgotten_drain),
		CRASH_TEST(test_marks_and_counts),
		CRASH_TEST(test_record_takes_memory_as_durable),
		CRASH_TEST(test_slices_write_the_same_log),
		CRASH_TEST(test_ends_early),
		CRASH_TEST(test_samples),
		CRASH_TEST(test_large),
		CRASH_TEST(test_cut_inside_recovery),
		CRASH_TEST(test_oracle),
		CRASH_TEST(test_images_by_id),
		CRASH_TEST(test_threads_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
