/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each flush, drain, order and lock of the engine is needed, and a test of this folder knows it.
 *
 * arena.c and commit.c are compiled into this test with a number at each such place. One place after the other is left
 * out, and some power cut must then break a promise. A place that is new, or one that nothing would miss, fails the test.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "btt/arena.h"
#include "btt/commit.h"
#include "ram.h"
#include "scenarios.h"

/* ----------------------------------------------------------- places ----------------------------------------------------- */

enum { PLACES_MAX = 64, NOWHERE = -1 };

static int left_out = NOWHERE;
static struct place {
	const char *function;
	enum { FLUSH, DRAIN, ORDER, LOCK } what;
} places[PLACES_MAX];

/* Whether to do what stands at that place. */
static bool at(int place, const char *function, int what)
{
	places[place] = (struct place){function, what};
	return place != left_out;
}

/* Its arguments have effects of their own. */
static void skip_flush(struct untorn_media *m, const void *p, size_t len)
{
	(void)m;
	(void)p;
	(void)len;
}

/* Locks that this thread did not take. */
static __thread pthread_mutex_t *not_taken[512];
static __thread unsigned n_not_taken;

static int skip_lock(pthread_mutex_t *lock)
{
	if (n_not_taken == ARRAY_SIZE(not_taken))
		abort();
	not_taken[n_not_taken++] = lock;
	return 0;
}

static int unlock(pthread_mutex_t *lock)
{
	for (unsigned i = n_not_taken; i > 0; i--) {
		if (not_taken[i - 1] == lock) {
			not_taken[i - 1] = not_taken[--n_not_taken];
			return 0;
		}
	}
	return pthread_mutex_unlock(lock);
}

enum { FIRST = __COUNTER__ + 1 };
#define HERE(what)                  at(__COUNTER__ - FIRST, __func__, what)
#define media_flush(m, p, len)      (HERE(FLUSH) ? media_flush : skip_flush)(m, p, len)
#define media_drain(m)              (HERE(DRAIN) ? media_drain(m) : 0)
#define media_order(m)              (HERE(ORDER) ? media_order(m) : (void)0)
#define pthread_mutex_lock(lock)    (HERE(LOCK) ? pthread_mutex_lock(lock) : skip_lock(lock))
#define pthread_mutex_trylock(lock) (HERE(LOCK) ? pthread_mutex_trylock(lock) : skip_lock(lock))
#define pthread_mutex_unlock(lock)  unlock(lock)

#include "btt/arena.c"
#include "btt/commit.c"

enum { NPLACES = __COUNTER__ - FIRST };

/* ----------------------------------------------------------- tests ------------------------------------------------------- */

static const struct scenario *find(const struct scenario *list, size_t n, const char *name,
				   const struct power_kind *kind)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0 && list[i].kind == kind)
			return &list[i];
	fail_msg("no scenario \"%s\" with %s", name, kind->name);
	return NULL;
}

/* Where a place is missing, much is broken: few images are enough. */
static const struct power_cuts quick = {.at_drains = true, .budget = {.exhaustive = 64, .samples = 8, .seed = 4}};

static void cut_quickly(const struct scenario *s, uint64_t seed, struct power_result *ret_result)
{
	struct power p;

	scenario_run(s, seed, &p);
	power_cut_everywhere(&p, &quick, ret_result);
	power_free(&p);
}

/* What finds most. */
static const struct scenario *of_one_thread(size_t i)
{
	switch (i) {
	case 0:
		return find(write_scenarios, n_write_scenarios, "write and close", &kind_v1_4096);
	case 1:
		return find(write_scenarios, n_write_scenarios, "by turns", &kind_two_lanes);
	case 2:
		return find(write_scenarios, n_write_scenarios, "same line", &kind_two_lanes);
	case 3:
		return find(discard_scenarios, n_discard_scenarios, "discard what is left behind", &kind_three_lanes);
	case 4:
		return find(write_scenarios, n_write_scenarios, "many lines of a stripe", &kind_many_lines);
	case 5:
		return find(write_scenarios, n_write_scenarios, "sequence", &kind_two_lanes);
	default:
		return NULL;
	}
}

static void *write_fresh(void *arg)
{
	for (unsigned i = 0; i < 4; i++)
		power_write(arg, 20 + i, 1, UNTORN_BTT_DURABLE);
	return NULL;
}

/* Interrupted writes, their recovery, and the lanes used again, by a thread whose drains are not for the one that recovered. */
static void cut_recovery(struct power_result *ret_result)
{
	pthread_t thread;
	const struct scenario *s = find(write_scenarios, n_write_scenarios, "same line", &kind_two_lanes);
	struct power before, after;

	scenario_run(s, 5, &before);
	power_after_cut(&after, &before, 0);
	power_open(&after);
	if (after.btt) {
		assert_int_equal(pthread_create(&thread, NULL, write_fresh, &after), 0);
		pthread_join(thread, NULL);
	}
	power_cut_everywhere(&after, &quick, ret_result);
	power_free(&after);
	power_free(&before);
}

static bool breaks_alone(struct power_result *result)
{
	const struct scenario *s;

	for (size_t i = 0; (s = of_one_thread(i)); i++) {
		cut_quickly(s, 1 + i, result);
		if (result->violations)
			return true;
	}
	cut_recovery(result);
	return result->violations > 0;
}

static bool breaks_together(struct power_result *result, unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < n_thread_scenarios; i++) {
			cut_quickly(&thread_scenarios[i], 100 * round + i, result);
			if (result->violations)
				return true;
		}
	}
	return false;
}

static const char *what_name(int what)
{
	static const char *const names[] = {[FLUSH] = "flush", [DRAIN] = "drain", [ORDER] = "order", [LOCK] = "lock"};

	return names[what];
}

/*
 * Not for power cuts: an order between a version and the next copies, which only running readers would miss (see
 * test-btt-steps), and the order of lanes.
 */
static bool is_for_readers(const struct place *place)
{
	return place->what == ORDER && strcmp(place->function, "arena_write") == 0;
}

static void test_nothing_left_out(void **state)
{
	struct power_result result;

	(void)state;
	left_out = NOWHERE;
	if (breaks_alone(&result) || breaks_together(&result, 1))
		fail_msg("%s", result.first);
	for (int i = 0; i < NPLACES; i++)
		if (!places[i].function)
			fail_msg("place %d was never come to", i);
}

static void test_each_left_out(void **state)
{
	(void)state;
	for (int i = 0; i < NPLACES; i++) {
		struct power_result result = {0};
		bool found;

		if (is_for_readers(&places[i]))
			continue;
		left_out = i;
		found = (places[i].what < ORDER && breaks_alone(&result)) || breaks_together(&result, 30);
		left_out = NOWHERE;
		print_message("without the %s in %s(): %s\n", what_name(places[i].what), places[i].function,
			      found ? result.first : "no test fails");
		assert_true(found);
	}
}

/* The same for each single drain of a sequence in which all matter. */
static void test_each_drain_forgotten(void **state)
{
	static const struct {
		const char *name;
		const struct power_kind *kind;
	} names[] = {{"write and close", &kind_v1_4096}, {"by turns", &kind_two_lanes}, {"buffered", &kind_two_lanes}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct scenario *s = find(write_scenarios, n_write_scenarios, names[i].name, names[i].kind);
		struct power_result result;
		struct power p;
		size_t ndrains;

		scenario_run(s, 3, &p);
		ndrains = crash_media_drains_before(p.media, crash_media_events(p.media));
		assert_true(ndrains > 2);
		for (size_t d = 0; d < ndrains; d++) {
			crash_media_forget_drain(p.media, d);
			power_cut_everywhere(&p, &quick, &result);
			if (result.violations == 0)
				fail_msg("%s: nobody misses drain %zu of %zu", names[i].name, d, ndrains);
			crash_media_forget_drain(p.media, CRASH_ALL_DRAINS);
		}
		power_cut_everywhere(&p, &quick, &result);
		assert_int_equal(result.violations, 0);
		power_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_left_out),
		cmocka_unit_test(test_each_left_out),
		cmocka_unit_test(test_each_drain_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
