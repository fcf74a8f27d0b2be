/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts at every store, flush and drain of open, writes, discards and their recovery. Volumes with few lanes make every
 * lane forget its last write soon, and few sectors make lanes supersede each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "btt/geometry.h"
#include "cuts.h"
#include "ram.h"
#include "spec.h"

#define SIZE (17ull << 20)

struct volume {
	const char *name;
	enum untorn_btt_layout layout;
	uint32_t sector_size, nfree;
};

static const struct volume volumes[] = {
	{"1.1, 512, one lane", UNTORN_BTT_V1_1, 512, 1},      {"2.0, 512, two lanes", UNTORN_BTT_V2_0, 512, 2},
	{"2.0, 4096, three lanes", UNTORN_BTT_V2_0, 4096, 3}, {"1.1, 520, four lanes", UNTORN_BTT_V1_1, 520, 4},
	{"1.1, 4096, 256 lanes", UNTORN_BTT_V1_1, 4096, 256},
};

/* Sectors of one map line, of another line of the same stripe (256 lines on), and of other stripes. */
static const uint32_t lbas[] = {0,  1,  2,  3,  15, 16, 17, 18, 19, 20, 21, 22,
				23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 300};
static uint32_t data_size(const struct volume *v)
{
	return v->sector_size >= 4096 ? 4096 : 512;
}

static struct cuts *cuts_new(const struct volume *v)
{
	const struct btt_profile *profile = btt_profile(v->layout);
	struct spec_options options = {
		.base = profile->base,
		.major = profile->version_major,
		.minor = profile->version_minor,
		.external_lbasize = v->sector_size,
		.internal_lbasize = (v->sector_size + 63) / 64 * 64,
		.external_nlba = 400,
		.nfree = v->nfree,
	};
	uint8_t *image = calloc(1, SIZE);
	struct cuts *c = calloc(1, sizeof(*c));

	spec_make(image, SIZE, &options);
	*c = (struct cuts){
		.size = SIZE,
		.base = profile->base,
		.sector_size = data_size(v),
		.lbas = lbas,
		.nlba_looked_at = ARRAY_SIZE(lbas),
		.depth = 1,
	};
	pthread_mutex_init(&c->lock, NULL);
	assert_int_equal(crash_media_new(SIZE, image, UNTORN_MEDIA_CACHELINE, &c->media), 0);
	free(image);
	assert_int_equal(untorn_btt_open(c->media, NULL, &c->btt), 0);
	crash_media_record(c->media);
	return c;
}

static void cuts_free(struct cuts *c)
{
	assert_int_equal(untorn_btt_close(c->btt), 0);
	untorn_media_close(c->media);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct crash_budget budget = {.exhaustive = 16, .samples = 4, .seed = 3};

static void look(struct cuts *c, const char *name)
{
	int r = cuts_look(c, 2000, &budget);

	if (r != 0)
		printf("%s\n", name);
	assert_int_equal(r, 0);
	printf("%s: %zu events, %zu images, %zu inside recovery\n", name, crash_media_events(c->media), c->images,
	       c->nested);
}

/* ------------------------------------------------------------ one thread ------------------------------------------------- */

static void test_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
		struct cuts *c = cuts_new(&volumes[i]);

		cuts_do(c, CUTS_WRITE, 0, 1, true);
		cuts_do(c, CUTS_WRITE, 0, 2, true);
		cuts_do(c, CUTS_WRITE, 15, 17, true);
		cuts_do(c, CUTS_WRITE, 1, 1, true);
		cuts_do(c, CUTS_WRITE, 300, 1, true);
		cuts_do(c, CUTS_WRITE, 20, 2, true);
		look(c, volumes[i].name);
		cuts_free(c);
	}
}

/* The lanes take turns, each superseding the other's write, and every lane's slot pair forgets. */
static void test_same_sector(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
		struct cuts *c = cuts_new(&volumes[i]);

		for (int n = 0; n < 12; n++) {
			cuts_do(c, CUTS_WRITE, 0, 1, true);
			if (n % 3 == 0)
				cuts_do(c, CUTS_WRITE, 1, 1, true);
		}
		look(c, volumes[i].name);
		cuts_free(c);
	}
}

static void test_buffered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
		struct cuts *c = cuts_new(&volumes[i]);

		cuts_do(c, CUTS_WRITE, 0, 3, false);
		cuts_do(c, CUTS_WRITE, 1, 1, false);
		cuts_do(c, CUTS_FLUSH, 0, 0, true);
		cuts_do(c, CUTS_WRITE, 1, 1, false);
		cuts_do(c, CUTS_WRITE, 1, 1, true);
		cuts_do(c, CUTS_WRITE, 2, 1, false);
		cuts_do(c, CUTS_ZERO, 2, 2, true);
		cuts_do(c, CUTS_WRITE, 16, 8, false);
		cuts_do(c, CUTS_PART, 17, 1, false);
		cuts_do(c, CUTS_FLUSH, 0, 0, true);
		cuts_do(c, CUTS_PART, 17, 1, true);
		cuts_do(c, CUTS_ERROR, 18, 1, true);
		cuts_do(c, CUTS_WRITE, 18, 1, false);
		cuts_do(c, CUTS_ZERO, 16, 4, true);
		look(c, volumes[i].name);
		cuts_free(c);
	}
}

/* Anything, anywhere. A sector in error state is written as a whole before it is written in part. */
static void test_random(void **state)
{
	uint64_t random = test_seed(1);

	(void)state;
	for (unsigned round = 0; round < 5 * test_length(); round++) {
		const struct volume *v = &volumes[round % ARRAY_SIZE(volumes)];
		struct cuts *c = cuts_new(v);
		bool error[400] = {false};

		for (unsigned i = 0; i < 30; i++) {
			uint32_t lba = lbas[random_below(&random, ARRAY_SIZE(lbas))];
			uint32_t n = lba < 16 ? 1 : 1 + (uint32_t)random_below(&random, 33 - (lba < 33 ? lba : 32));
			enum cuts_kind kind = (enum cuts_kind)random_below(&random, 12);

			if (kind > CUTS_FLUSH)
				kind = CUTS_WRITE;
			if (kind == CUTS_PART || kind == CUTS_ERROR)
				n = 1;
			if (kind == CUTS_PART && error[lba])
				kind = CUTS_WRITE;
			for (uint32_t k = 0; k < n; k++)
				if (kind != CUTS_FLUSH)
					error[lba + k] = kind == CUTS_ERROR;
			cuts_do(c, kind, lba, n, random_below(&random, 2));
		}
		look(c, v->name);
		cuts_free(c);
	}
}

/* ----------------------------------------------------------- two threads ------------------------------------------------- */

struct writer {
	struct cuts *c;
	uint64_t random;
	const uint32_t *mine; /* one lba, a line, a stripe */
	size_t n;
};

static void *write_some(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < 8; i++)
		cuts_do(w->c, i == 5 ? CUTS_FLUSH : CUTS_WRITE, w->mine[random_below(&w->random, w->n)], 1,
			random_below(&w->random, 3) > 0);
	return NULL;
}

static void test_two_threads(void **state)
{
	static const uint32_t one[] = {0}, line[] = {0, 1}, any[] = {0, 1, 16, 300};
	static const struct {
		const uint32_t *lbas;
		size_t n;
	} sets[] = {{one, 1}, {line, 2}, {any, 4}};
	uint64_t random = test_seed(2);

	(void)state;
	for (unsigned round = 0; round < 15 * test_length(); round++) {
		const struct volume *v = &volumes[round % ARRAY_SIZE(volumes)];
		struct cuts *c = cuts_new(v);
		struct writer writers[2];
		pthread_t threads[2];

		crash_media_perturb(c->media, 1 + (uint32_t)random_below(&random, 1000000));
		for (int i = 0; i < 2; i++) {
			writers[i] = (struct writer){c, random_next(&random), sets[round % 3].lbas, sets[round % 3].n};
			assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		crash_media_perturb(c->media, 0);
		look(c, v->name);
		cuts_free(c);
	}
}

/* -------------------------------------------------- the tests can fail --------------------------------------------------- */

/* Without any one of the persist points of a sequence in which all of them matter, some image breaks a promise. */
static void test_every_drain_matters(void **state)
{
	struct cuts *c = cuts_new(&volumes[1]);
	size_t n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		cuts_do(c, CUTS_WRITE, 0, 1, true);
		cuts_do(c, CUTS_WRITE, 16, 2, true);
		cuts_do(c, CUTS_WRITE, 1, 1, false);
		cuts_do(c, CUTS_FLUSH, 0, 0, true);
		cuts_do(c, CUTS_ERROR, 300, 1, true);
		cuts_do(c, CUTS_WRITE, 300, 1, true);
	}
	look(c, "all persist points");
	n = crash_media_drains_before(c->media, crash_media_events(c->media));
	assert_int_equal(n, 3 * 9);

	c->expect_fault = true;
	c->depth = 0;
	for (size_t i = 0; i < n; i++) {
		crash_media_forget_drain(c->media, i);
		if (cuts_look(c, 2000, &budget) == 0)
			fail_msg("without persist point %zu of %zu nothing is lost", i, n);
	}
	crash_media_forget_drain(c->media, CRASH_ALL_DRAINS);
	cuts_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),      cmocka_unit_test(test_same_sector),
		cmocka_unit_test(test_buffered),    cmocka_unit_test(test_random),
		cmocka_unit_test(test_two_threads), cmocka_unit_test(test_every_drain_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
