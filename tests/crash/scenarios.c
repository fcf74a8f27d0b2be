/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenarios.h"

#include <stdlib.h>

#include "base/bits.h"
#include "ram.h"

#define MIB     (1ull << 20)
#define DURABLE UNTORN_BTT_DURABLE

const struct power_kind kind_v1_4096 = {"1.1/4096", UNTORN_BTT_V1_1, 4096, 16 * MIB + 4096, 256, 0, false};
const struct power_kind kind_v2_512 = {"2.0/512", UNTORN_BTT_V2_0, 512, 16 * MIB, 256, 0, false};
const struct power_kind kind_v1_520 = {"1.1/520", UNTORN_BTT_V1_1, 520, 16 * MIB + 4096, 256, 0, false};
const struct power_kind kind_pool_512 = {"pmemblk/512", UNTORN_BTT_PMEMBLK, 512, 16 * MIB + 8192, 256, 0, false};
const struct power_kind kind_pool_4096 = {"pmemblk/4096", UNTORN_BTT_PMEMBLK, 4096, 16 * MIB + 8192, 256, 0, false};
/* Few lanes: each is used again and again, and what it left behind matters. */
const struct power_kind kind_two_lanes = {"2.0/512, 2 lanes", UNTORN_BTT_V2_0, 512, 16 * MIB, 2, 4200, false};
const struct power_kind kind_three_lanes = {"1.1/4096, 3 lanes", UNTORN_BTT_V1_1, 4096, 16 * MIB + 4096, 3, 300, false};
const struct power_kind kind_old_padding = {"2.0/520, slots 0 and 2", UNTORN_BTT_V2_0, 520, 16 * MIB, 4, 1000, true};
/* A stripe with more map lines than its list of left lines holds. */
const struct power_kind kind_many_lines = {"2.0/512, 20 MiB", UNTORN_BTT_V2_0, 512, 21 * MIB, 16, 40000, false};

/* All images of a handful of undecided units; more are sampled. Between two drains images only get more. */
#define AT_EVENTS                                                                                         \
	{                                                                                                 \
		.budget = {.exhaustive = 200, .samples = 16, .seed = 1}, .continue_every = 5, .nested = 3 \
	}
#define AT_DRAINS                                                                                                \
	{                                                                                                        \
		.at_drains = true, .budget = {.exhaustive = 200, .samples = 40, .seed = 2}, .continue_every = 9, \
		.nested = 2                                                                                      \
	}

/* ----------------------------------------------------------- writes ------------------------------------------------------ */

/* Content in every state that a map entry knows. */
static void old_content(struct power *p)
{
	power_write(p, 0, 20, DURABLE);
	power_write(p, 100, 20, 0);
	power_discard(p, 3, 1);
	power_discard(p, 104, 2);
	power_mark_error(p, 5);
}

static void write_1(struct power *p)
{
	power_write(p, 1, 1, DURABLE);
}

static void write_2(struct power *p)
{
	power_write(p, 2, 2, DURABLE);
}

static void write_17(struct power *p)
{
	power_write(p, 1, 17, DURABLE);
}

/* Sectors never written before, on two map lines. */
static void write_fresh(struct power *p)
{
	power_write(p, 40, 17, DURABLE);
}

static void write_and_close(struct power *p)
{
	power_write(p, 1, 3, DURABLE);
	power_close(p);
}

/* Each time another lane supersedes the one before. */
static void same_lba(struct power *p)
{
	for (unsigned i = 0; i < 24; i++)
		power_write(p, 7, 1, DURABLE);
}

/* One map line, one commit after the other: each finds the line left behind by the last. */
static void same_line(struct power *p)
{
	for (unsigned i = 0; i < 24; i++)
		power_write(p, i * 5 % 16, 1, DURABLE);
}

/* Two lbas by turns, so that blocks come back to where they were. */
static void by_turns(struct power *p)
{
	for (unsigned i = 0; i < 24; i++)
		power_write(p, i % 2 ? 100 : 9, 1, DURABLE);
}

static void batches(struct power *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write(p, i * 7, 12 + i, DURABLE);
}

static void buffered(struct power *p)
{
	power_write(p, 1, 2, 0);
	power_write(p, 110, 3, 0);
	power_write(p, 2, 1, 0);
	power_flush(p);
	power_write(p, 1, 1, 0);
	power_write(p, 3, 1, 0);
	power_flush(p);
	power_write(p, 5, 1, 0);
}

static void buffered_and_durable(struct power *p)
{
	power_write(p, 1, 3, 0);
	power_write(p, 2, 1, DURABLE);
	power_write(p, 2, 1, 0);
	power_flush(p);
	power_write(p, 2, 1, 0);
	power_write(p, 2, 1, DURABLE);
	power_write(p, 8, 1, 0);
	power_close(p);
}

static void parts(struct power *p)
{
	power_write_part(p, 1, 10, 100, DURABLE);
	power_write_part(p, 1, 0, 7, 0);
	power_write_part(p, 3, 500, 12, DURABLE); /* zero state */
	power_write_part(p, 50, 1, 1, DURABLE);   /* never written */
	power_write_part(p, 1, 300, 9, DURABLE);
	power_write_part(p, 2, 300, 9, 0);
	power_flush(p);
}

/* ---------------------------------------------------------- sequences ---------------------------------------------------- */

static void some_call(struct power *p, const uint32_t *lbas, size_t nlba)
{
	uint32_t lba = lbas[random_below(&p->random, nlba)];
	unsigned flags = random_below(&p->random, 3) ? DURABLE : 0;

	switch (random_below(&p->random, 12)) {
	case 0:
		power_flush(p);
		break;
	case 1:
		power_discard(p, lba, 1 + (uint32_t)random_below(&p->random, 3));
		break;
	case 2:
		power_mark_error(p, lba);
		power_write(p, lba, 1, flags);
		break;
	case 3:
		power_write(p, lba, 1, DURABLE);
		power_write_part(p, lba, 3, 11, flags);
		break;
	case 4:
		power_write(p, lba, 2 + (uint32_t)random_below(&p->random, 3), flags);
		break;
	default:
		power_write(p, lba, 1, flags);
		break;
	}
}

static void sequence(struct power *p, unsigned n)
{
	/* The same line, the next one, another line of the same stripe where there is one. */
	const uint32_t lbas[] = {0, 1, 2, 8, 17, p->info.nlba > 4110 ? 4096 : 200};

	for (unsigned i = 0; i < n; i++)
		some_call(p, lbas, ARRAY_SIZE(lbas));
	if (random_below(&p->random, 2))
		power_close(p);
}

static void short_sequence(struct power *p)
{
	sequence(p, 12);
}

static void long_sequence(struct power *p)
{
	sequence(p, 60);
}

struct one_write {
	struct power *p;
	uint32_t lba;
};

static void *write_one(void *arg)
{
	const struct one_write *w = arg;

	power_write(w->p, w->lba, 1, DURABLE);
	return NULL;
}

/* By a thread whose drains make no one else's flushes durable. */
static void write_elsewhere(struct power *p, uint32_t lba)
{
	struct one_write w = {p, lba};
	pthread_t thread;

	if (pthread_create(&thread, NULL, write_one, &w) != 0)
		abort();
	pthread_join(thread, NULL);
}

/*
 * Commits of all lines of one stripe together, more than its list holds; then another lane supersedes what was on the line
 * that the list had no room for.
 */
static void many_lines(struct power *p)
{
	for (unsigned round = 0; round < 3; round++) {
		uint32_t lba = 0;

		for (unsigned i = 0; i < 9; i++) {
			lba = (i * 7 + round) % 9 * 4096 + round;
			power_write(p, lba, 1, 0);
		}
		power_flush(p);
		write_elsewhere(p, lba);
	}
	power_close(p);
}

const struct scenario write_scenarios[] = {
	{"1 sector", &kind_v1_4096, old_content, write_1, 1, AT_EVENTS},
	{"2 sectors", &kind_v1_4096, old_content, write_2, 1, AT_EVENTS},
	{"17 sectors", &kind_v1_4096, old_content, write_17, 1, AT_EVENTS},
	{"1 sector", &kind_v2_512, old_content, write_1, 1, AT_EVENTS},
	{"2 sectors", &kind_v2_512, old_content, write_2, 1, AT_EVENTS},
	{"17 sectors", &kind_v2_512, old_content, write_17, 1, AT_DRAINS},
	{"17 sectors", &kind_v1_520, old_content, write_17, 1, AT_DRAINS},
	{"17 sectors", &kind_pool_512, old_content, write_17, 1, AT_DRAINS},
	{"2 sectors", &kind_pool_4096, old_content, write_2, 1, AT_EVENTS},
	{"fresh sectors", &kind_v1_4096, NULL, write_fresh, 1, AT_EVENTS},
	{"fresh sectors", &kind_pool_512, NULL, write_fresh, 1, AT_DRAINS},
	{"write and close", &kind_v1_4096, old_content, write_and_close, 1, AT_EVENTS},
	{"same lba", &kind_v1_4096, old_content, same_lba, 1, AT_DRAINS},
	{"same lba", &kind_two_lanes, old_content, same_lba, 1, AT_DRAINS},
	{"same line", &kind_v2_512, old_content, same_line, 1, AT_DRAINS},
	{"same line", &kind_two_lanes, old_content, same_line, 1, AT_DRAINS},
	{"same line", &kind_pool_512, old_content, same_line, 1, AT_DRAINS},
	{"by turns", &kind_two_lanes, old_content, by_turns, 1, AT_DRAINS},
	{"by turns", &kind_three_lanes, old_content, by_turns, 1, AT_DRAINS},
	{"by turns", &kind_old_padding, old_content, by_turns, 1, AT_DRAINS},
	{"batches", &kind_v1_4096, old_content, batches, 1, AT_DRAINS},
	{"batches", &kind_pool_512, old_content, batches, 1, AT_DRAINS},
	{"batches", &kind_three_lanes, old_content, batches, 1, AT_DRAINS},
	{"buffered", &kind_v1_4096, old_content, buffered, 1, AT_EVENTS},
	{"buffered", &kind_two_lanes, old_content, buffered, 1, AT_EVENTS},
	{"buffered", &kind_pool_512, old_content, buffered, 1, AT_DRAINS},
	{"buffered and durable", &kind_v1_520, old_content, buffered_and_durable, 1, AT_DRAINS},
	{"buffered and durable", &kind_three_lanes, old_content, buffered_and_durable, 1, AT_EVENTS},
	{"parts", &kind_v1_520, old_content, parts, 1, AT_EVENTS},
	{"parts", &kind_two_lanes, old_content, parts, 1, AT_EVENTS},
	{"parts", &kind_pool_4096, old_content, parts, 1, AT_EVENTS},
	{"short sequence", &kind_two_lanes, old_content, short_sequence, 1, AT_EVENTS},
	{"short sequence", &kind_old_padding, NULL, short_sequence, 1, AT_EVENTS},
	{"sequence", &kind_two_lanes, old_content, long_sequence, 1, AT_DRAINS},
	{"sequence", &kind_three_lanes, old_content, long_sequence, 1, AT_DRAINS},
	{"sequence", &kind_old_padding, old_content, long_sequence, 1, AT_DRAINS},
	{"sequence", &kind_v2_512, old_content, long_sequence, 1, AT_DRAINS},
	{"sequence", &kind_pool_512, old_content, long_sequence, 1, AT_DRAINS},
	{"many lines of a stripe", &kind_many_lines, NULL, many_lines, 1, AT_DRAINS},
};
const size_t n_write_scenarios = ARRAY_SIZE(write_scenarios);

/* ---------------------------------------------------------- discards ---------------------------------------------------- */

static void discard_1(struct power *p)
{
	power_discard(p, 1, 1);
}

/* Whole lines, parts of lines, and sectors that are zeros already. */
static void discard_many(struct power *p)
{
	power_discard(p, 2, 50);
	power_discard(p, 100, 5);
	power_discard(p, 0, 120);
}

/* The map lines are left behind by writes; the discard makes some of them durable. */
static void discard_left(struct power *p)
{
	power_write(p, 1, 3, DURABLE);
	power_discard(p, 2, 1);
	power_write(p, 2, 1, DURABLE);
	power_discard(p, 1, 2);
	power_write(p, 1, 1, DURABLE);
	power_close(p);
}

static void discard_buffered(struct power *p)
{
	power_write(p, 1, 4, 0);
	power_discard(p, 2, 1);
	power_flush(p);
	power_write(p, 1, 4, 0);
	power_discard(p, 0, 10);
	power_write(p, 3, 1, 0);
	power_flush(p);
}

static void mark_errors(struct power *p)
{
	power_mark_error(p, 1);
	power_write(p, 2, 1, DURABLE);
	power_mark_error(p, 2);
	power_write(p, 2, 1, DURABLE);
	power_write(p, 4, 1, 0);
	power_mark_error(p, 4);
	power_discard(p, 2, 1);
	power_mark_error(p, 60); /* never written */
	power_close(p);
}

const struct scenario discard_scenarios[] = {
	{"discard", &kind_v1_4096, old_content, discard_1, 1, AT_EVENTS},
	{"discard", &kind_pool_512, old_content, discard_1, 1, AT_EVENTS},
	{"discard", &kind_v2_512, old_content, discard_1, 1, AT_EVENTS},
	{"discard many", &kind_v1_4096, old_content, discard_many, 1, AT_EVENTS},
	{"discard many", &kind_pool_4096, old_content, discard_many, 1, AT_EVENTS},
	{"discard many", &kind_v1_520, old_content, discard_many, 1, AT_DRAINS},
	{"discard what is left behind", &kind_v1_4096, old_content, discard_left, 1, AT_EVENTS},
	{"discard what is left behind", &kind_three_lanes, old_content, discard_left, 1, AT_EVENTS},
	{"discard what is left behind", &kind_pool_512, old_content, discard_left, 1, AT_EVENTS},
	{"discard buffered", &kind_v1_4096, old_content, discard_buffered, 1, AT_EVENTS},
	{"discard buffered", &kind_three_lanes, old_content, discard_buffered, 1, AT_EVENTS},
	{"discard buffered", &kind_pool_512, old_content, discard_buffered, 1, AT_DRAINS},
	{"discard buffered", &kind_v2_512, old_content, discard_buffered, 1, AT_DRAINS},
	{"errors", &kind_v1_4096, old_content, mark_errors, 1, AT_EVENTS},
	{"errors", &kind_two_lanes, old_content, mark_errors, 1, AT_EVENTS},
	{"errors", &kind_pool_512, old_content, mark_errors, 1, AT_EVENTS},
};
const size_t n_discard_scenarios = ARRAY_SIZE(discard_scenarios);

/* ----------------------------------------------------------- threads ----------------------------------------------------- */

static void two_threads(struct power *p, void *(*first)(void *), void *(*second)(void *))
{
	pthread_t threads[2];

	crash_media_perturb(p->media, (uint32_t)p->random | 1);
	if (pthread_create(&threads[0], NULL, first, p) != 0 || pthread_create(&threads[1], NULL, second, p) != 0)
		abort();
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	crash_media_perturb(p->media, 0);
}

static void *write_lba_1(void *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write(p, 1, 1, DURABLE);
	return NULL;
}

static void *write_near_1(void *p)
{
	for (unsigned i = 0; i < 4; i++)
		power_write(p, i % 3, 2, DURABLE);
	return NULL;
}

static void *write_lba_2(void *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write(p, 2, 1, DURABLE);
	return NULL;
}

static void *write_far(void *p)
{
	struct power *power = p;
	uint32_t far = power->info.nlba > 4110 ? 4096 : 200;

	for (unsigned i = 0; i < 5; i++)
		power_write(p, far, 1, DURABLE);
	return NULL;
}

static void *write_lba_17(void *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write(p, 17, 1, DURABLE);
	return NULL;
}

static void *buffer_lba_1(void *p)
{
	for (unsigned i = 0; i < 4; i++) {
		power_write(p, 1, 1, 0);
		power_write(p, 2 + i % 2, 1, 0);
		if (i % 2)
			power_flush(p);
	}
	return NULL;
}

static void *only_flush(void *p)
{
	for (unsigned i = 0; i < 4; i++)
		power_flush(p);
	return NULL;
}

static void *discard_lba_1(void *p)
{
	for (unsigned i = 0; i < 4; i++)
		power_discard(p, i % 2, 2);
	return NULL;
}

static void *write_first_half(void *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write_cell(p, 1, 0, i % 3 ? DURABLE : 0);
	power_flush(p);
	return NULL;
}

static void *write_second_half(void *p)
{
	for (unsigned i = 0; i < 5; i++)
		power_write_cell(p, 1, 1, i % 3 ? DURABLE : 0);
	return NULL;
}

static void one_lba(struct power *p)
{
	two_threads(p, write_lba_1, write_lba_1);
}

static void overlapping(struct power *p)
{
	two_threads(p, write_lba_1, write_near_1);
}

static void one_line(struct power *p)
{
	two_threads(p, write_lba_1, write_lba_2);
}

static void one_stripe(struct power *p)
{
	two_threads(p, write_lba_1, write_far);
}

/* Nothing in common but the lanes. */
static void two_stripes(struct power *p)
{
	two_threads(p, write_lba_1, write_lba_17);
}

static void durable_and_buffered(struct power *p)
{
	two_threads(p, write_near_1, buffer_lba_1);
}

static void both_buffered(struct power *p)
{
	two_threads(p, buffer_lba_1, buffer_lba_1);
}

static void buffer_and_flush(struct power *p)
{
	two_threads(p, buffer_lba_1, only_flush);
}

static void write_and_discard(struct power *p)
{
	two_threads(p, write_near_1, discard_lba_1);
}

static void buffer_and_discard(struct power *p)
{
	two_threads(p, buffer_lba_1, discard_lba_1);
}

static void two_halves(struct power *p)
{
	two_threads(p, write_first_half, write_second_half);
}

#define THREADS                                                                                                  \
	{                                                                                                        \
		.at_drains = true, .budget = {.exhaustive = 150, .samples = 12, .seed = 3}, .continue_every = 17 \
	}

const struct scenario thread_scenarios[] = {
	{"one lba", &kind_v1_4096, old_content, one_lba, 1, THREADS},
	{"one lba", &kind_two_lanes, old_content, one_lba, 1, THREADS},
	{"overlapping", &kind_v1_520, old_content, overlapping, 1, THREADS},
	{"overlapping", &kind_three_lanes, old_content, overlapping, 1, THREADS},
	{"one line", &kind_v1_4096, old_content, one_line, 1, THREADS},
	{"one stripe", &kind_many_lines, NULL, one_stripe, 1, THREADS},
	{"one stripe", &kind_two_lanes, NULL, one_stripe, 1, THREADS},
	{"two stripes", &kind_v1_4096, old_content, two_stripes, 1, THREADS},
	{"two stripes", &kind_two_lanes, old_content, two_stripes, 1, THREADS},
	{"durable and buffered", &kind_v1_4096, old_content, durable_and_buffered, 1, THREADS},
	{"durable and buffered", &kind_many_lines, old_content, durable_and_buffered, 1, THREADS},
	{"both buffered", &kind_pool_512, old_content, both_buffered, 1, THREADS},
	{"buffered, flush", &kind_v1_4096, old_content, buffer_and_flush, 1, THREADS},
	{"buffered, flush", &kind_many_lines, old_content, buffer_and_flush, 1, THREADS},
	{"durable, discard", &kind_v1_4096, old_content, write_and_discard, 1, THREADS},
	{"buffered, discard", &kind_v1_4096, old_content, buffer_and_discard, 1, THREADS},
	{"two halves", &kind_v1_4096, NULL, two_halves, 2, THREADS},
	{"two halves", &kind_two_lanes, NULL, two_halves, 2, THREADS},
};
const size_t n_thread_scenarios = ARRAY_SIZE(thread_scenarios);

/* ------------------------------------------------------------- run ------------------------------------------------------- */

void scenario_run(const struct scenario *s, uint64_t seed, struct power *ret_power)
{
	power_new(ret_power, s->kind, s->cells, seed);
	if (s->before)
		s->before(ret_power);
	power_record(ret_power);
	s->run(ret_power);
}

void scenario_cut(const struct scenario *s, uint64_t seed, struct power_result *ret_result)
{
	struct power p;

	scenario_run(s, seed, &p);
	power_cut_everywhere(&p, &s->cuts, ret_result);
	power_free(&p);
}
