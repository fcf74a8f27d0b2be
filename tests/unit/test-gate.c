/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate: closing waits for everybody inside, nobody gets in afterwards, and what the closer does then is never seen by somebody
 * inside; pausing likewise, but who comes meanwhile gets in later. Made for ThreadSanitizer as much as for itself.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "device/gate.h"

#define THREADS 3u
#define ROUNDS  50u
#define LOOKS   50u

static struct gate *new_gate(void)
{
	struct gate *gate = aligned_alloc(alignof(struct gate), sizeof(*gate));

	assert_non_null(gate);
	gate_init(gate);
	return gate;
}

static void free_gate(struct gate *gate)
{
	gate_done(gate);
	free(gate);
}

static void test_closed(void **state)
{
	struct gate *gate = new_gate();
	struct gate_shard *shard = gate_enter(gate);

	(void)state;
	assert_non_null(shard);
	gate_leave(gate, shard);
	gate_close(gate);
	assert_null(gate_enter(gate));
	assert_null(gate_enter(gate));
	free_gate(gate);
}

/* ------------------------------------------------------------------- waiting ---------------------------------------------- */

struct waiting {
	struct gate *gate;
	_Atomic unsigned inside;
	unsigned seen; /* by the closer, when it is through */
};

static void *close_and_look(void *arg)
{
	struct waiting *w = arg;

	gate_close(w->gate);
	w->seen = atomic_load(&w->inside);
	return NULL;
}

/* Several pass at once, and the closer comes through when the last of them has left, not before. */
static void test_waits(void **state)
{
	struct gate_shard *shards[5];
	struct waiting w = {.gate = new_gate(), .seen = 100};
	pthread_t closer;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(shards); i++) {
		shards[i] = gate_enter(w.gate);
		assert_non_null(shards[i]);
		atomic_fetch_add(&w.inside, 1);
	}
	assert_int_equal(pthread_create(&closer, NULL, close_and_look, &w), 0);
	for (struct gate_shard *shard; (shard = gate_enter(w.gate));) {
		gate_leave(w.gate, shard);
		sched_yield();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(shards); i++) {
		for (unsigned j = 0; j < LOOKS; j++) {
			assert_null(gate_enter(w.gate));
			sched_yield();
		}
		atomic_fetch_sub(&w.inside, 1);
		gate_leave(w.gate, shards[i]);
	}
	assert_int_equal(pthread_join(closer, NULL), 0);
	assert_int_equal(w.seen, 0);
	free_gate(w.gate);
}

/* ------------------------------------------------------------------- many threads ----------------------------------------- */

struct shared {
	struct gate *gate;
	unsigned thing; /* odd while the gate is open; the gate is all that orders accesses to it */
	_Atomic unsigned faults, passed[THREADS];
};

struct thread {
	pthread_t id;
	unsigned number;
	struct shared *shared;
};

static void *pass(void *arg)
{
	struct thread *t = arg;
	struct shared *s = t->shared;

	for (;;) {
		struct gate_shard *shard = gate_enter(s->gate);

		if (!shard)
			return NULL;
		for (unsigned i = 0; i < LOOKS; i++) {
			if (*(volatile unsigned *)&s->thing % 2 == 0)
				atomic_fetch_add(&s->faults, 1);
		}
		gate_leave(s->gate, shard);
		atomic_fetch_add(&s->passed[t->number], 1);
	}
}

static void test_threads(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct shared s = {.gate = new_gate(), .thing = 1};
		struct thread threads[THREADS];

		for (unsigned i = 0; i < THREADS; i++) {
			threads[i] = (struct thread){.number = i, .shared = &s};
			assert_int_equal(pthread_create(&threads[i].id, NULL, pass, &threads[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			while (atomic_load(&s.passed[i]) < 3)
				sched_yield();
		}
		gate_close(s.gate);
		s.thing = 2;
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i].id, NULL);
		assert_int_equal(s.faults, 0);
		free_gate(s.gate);
	}
}

/* Pauses are seen by nobody: who passes finds the thing as it is between them, and is never turned away. */
static void test_pauses(void **state)
{
	struct shared s = {.gate = new_gate(), .thing = 1};
	struct thread threads[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.number = i, .shared = &s};
		assert_int_equal(pthread_create(&threads[i].id, NULL, pass, &threads[i]), 0);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned before[THREADS];

		gate_pause(s.gate);
		s.thing++;
		for (unsigned i = 0; i < THREADS; i++)
			before[i] = atomic_load(&s.passed[i]);
		for (unsigned i = 0; i < LOOKS; i++)
			sched_yield();
		/* One may have left the gate and not have counted yet. */
		for (unsigned i = 0; i < THREADS; i++)
			assert_in_range(atomic_load(&s.passed[i]), before[i], before[i] + 1);
		s.thing++;
		gate_resume(s.gate);
		/* They go on by themselves. */
		for (unsigned i = 0; i < THREADS; i++) {
			while (atomic_load(&s.passed[i]) < before[i] + 3)
				sched_yield();
		}
	}
	gate_close(s.gate);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	assert_int_equal(s.faults, 0);
	free_gate(s.gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
