/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/memory.h"
#include "spec.h"

#define SECTOR_MAX 4096u

/* ------------------------------------------------------- operations ------------------------------------------------------ */

/* Each 8 bytes name the operation and the sector. Operation 0 is what was there at first: zeros. */
static void fill(uint8_t *sector, uint32_t sector_size, uint32_t lba, uint32_t number)
{
	uint64_t word = number ? (uint64_t)number << 32 | lba | 1ull << 63 : 0;

	for (uint32_t i = 0; i + 8 <= sector_size; i += 8)
		memcpy(sector + i, &word, 8);
}

static uint32_t start(struct cuts *c, struct cuts_op op)
{
	uint32_t number;

	pthread_mutex_lock(&c->lock);
	assert_true(c->nops + 1 < CUTS_OPS);
	number = ++c->nops;
	c->op[number] = op;
	c->op[number].started = ++c->clock;
	pthread_mutex_unlock(&c->lock);
	return number;
}

static void acknowledge(struct cuts *c, uint32_t number)
{
	pthread_mutex_lock(&c->lock);
	c->op[number].acked = ++c->clock;
	crash_media_mark(c->media, c->clock);
	pthread_mutex_unlock(&c->lock);
}

static int request(struct cuts *c, const struct cuts_op *op, uint32_t number)
{
	uint8_t *buf = malloc((size_t)op->n * c->sector_size + 1);
	unsigned flags = op->durable ? UNTORN_BTT_DURABLE : 0;
	uint64_t off = (uint64_t)op->lba * c->sector_size;
	int r = 0;

	for (uint32_t i = 0; i < op->n; i++)
		fill(buf + (size_t)i * c->sector_size, c->sector_size, op->lba + i, number);
	switch (op->kind) {
	case CUTS_WRITE:
		r = untorn_btt_write(c->btt, op->lba, op->n, buf, NULL, flags);
		break;
	case CUTS_PART: /* of the first and the last sector, so that it is merged; what it leaves is as good as whole */
		r = untorn_btt_pwrite(c->btt, buf, 8, off, flags);
		break;
	case CUTS_ZERO:
		r = untorn_btt_write_zeroes(c->btt, op->lba, op->n);
		break;
	case CUTS_ERROR:
		r = untorn_btt_mark_error(c->btt, op->lba);
		break;
	case CUTS_FLUSH:
		r = untorn_btt_flush(c->btt);
		break;
	}
	free(buf);
	return r;
}

uint32_t cuts_do(struct cuts *c, enum cuts_kind kind, uint32_t lba, uint32_t n, bool durable)
{
	struct cuts_op op = {.kind = kind, .lba = lba, .n = n, .durable = durable || kind > CUTS_PART};
	uint32_t number = start(c, op);

	assert_int_equal(request(c, &op, number), 0);
	acknowledge(c, number);
	return number;
}

/* ------------------------------------------------------- what may be there ----------------------------------------------- */

static bool covers(const struct cuts_op *op, uint32_t lba)
{
	return op->kind != CUTS_FLUSH && lba >= op->lba && lba - op->lba < op->n;
}

static bool acked_by(const struct cuts_op *op, uint32_t clock)
{
	return op->acked && op->acked <= clock;
}

/* When the operation was durable for certain: its place in the order, or 0. */
static uint32_t durable_at(const struct cuts *c, uint32_t number, uint32_t clock)
{
	const struct cuts_op *op = &c->op[number];

	if (!acked_by(op, clock))
		return 0;
	if (op->durable)
		return op->acked;
	for (uint32_t i = 1; i <= c->nops; i++)
		if (c->op[i].kind == CUTS_FLUSH && c->op[i].started > op->acked && acked_by(&c->op[i], clock))
			return c->op[i].acked;
	return 0;
}

/* Whether a cut when `clock` was the last acknowledgement may leave operation `number` (0: the beginning) in lba. */
static bool may_hold(const struct cuts *c, uint32_t lba, uint32_t number, uint32_t clock)
{
	if (number > c->nops || (number && !covers(&c->op[number], lba)))
		return false;
	for (uint32_t i = 1; i <= c->nops; i++) {
		const struct cuts_op *later = &c->op[i];

		if (i == number || !covers(later, lba) || !durable_at(c, i, clock))
			continue;
		if (number == 0 || (c->op[number].acked && later->started > c->op[number].acked))
			return false;
	}
	return true;
}

static bool may_hold_kind(const struct cuts *c, uint32_t lba, enum cuts_kind kind, uint32_t clock)
{
	for (uint32_t i = 1; i <= c->nops; i++)
		if (c->op[i].kind == kind && covers(&c->op[i], lba) && may_hold(c, lba, i, clock))
			return true;
	return false;
}

/* The sector as it was read: an allowed content, and whole but for the 8 bytes that a partial write may have put over another. */
static const char *judge(const struct cuts *c, uint32_t lba, const uint8_t *sector, int r, uint32_t clock)
{
	uint8_t whole[SECTOR_MAX];
	uint64_t first, rest;

	if (r == -EIO)
		return may_hold_kind(c, lba, CUTS_ERROR, clock) ? NULL : "in error state";
	if (r < 0)
		return "cannot be read";

	memcpy(&first, sector, 8);
	memcpy(&rest, sector + 8, 8);
	for (uint32_t i = 8; i + 8 <= c->sector_size; i += 8)
		if (memcmp(sector + i, &rest, 8) != 0)
			return "torn";
	for (int part = 0; part < 2; part++) {
		uint64_t word = part ? first : rest;
		uint32_t number = word >> 32 & 0x7fffffff;

		if (!part && first != rest && !may_hold_kind(c, lba, CUTS_PART, clock))
			return "torn at its start";
		if (word == 0) {
			if (!may_hold(c, lba, 0, clock) && !may_hold_kind(c, lba, CUTS_ZERO, clock) &&
			    !may_hold_kind(c, lba, CUTS_PART, clock))
				return "back to zeros";
			continue;
		}
		if (number == 0 || number > c->nops || !covers(&c->op[number], lba))
			return "not of this sector";
		fill(whole, c->sector_size, lba, number);
		if (memcmp(whole, &word, 8) != 0)
			return "not of this sector";
		/* Below a partial write lies what the sector held when it was merged. */
		if (!may_hold(c, lba, number, clock) && (part || !may_hold_kind(c, lba, CUTS_PART, clock)))
			return "an older content";
	}
	return NULL;
}

/* ------------------------------------------------------------ images ----------------------------------------------------- */

/* A cut: the operations, and the place in their order that the log had reached. */
struct look {
	struct cuts *c;
	uint32_t clock;
};

static int cut_again(struct look *look, uint8_t *image);

static int complain(const struct cuts *c, const char *what, uint32_t lba)
{
	if (!c->expect_fault)
		printf("sector %u: %s\n", lba, what);
	return 1;
}

static int check_invariants(const struct cuts *c, const uint8_t *image, bool recovered)
{
	struct spec_facts facts;
	const char *fault = spec_check(image, c->size, c->base, &facts);

	if (!fault && recovered && facts.npending)
		fault = "a lane is pending after a clean close";
	if (fault && !c->expect_fault)
		printf("%s recovery: %s\n", recovered ? "after" : "before", fault);
	return fault != NULL;
}

static int read_all(const struct cuts *c, struct untorn_btt *btt, uint32_t clock)
{
	uint8_t sector[SECTOR_MAX];

	for (uint32_t i = 0; i < c->nlba_looked_at; i++) {
		int r = untorn_btt_read(btt, c->lbas[i], 1, sector, NULL);
		const char *fault = judge(c, c->lbas[i], sector, r, clock);

		if (fault)
			return complain(c, fault, c->lbas[i]);
	}
	return 0;
}

static int recover(struct look *look, uint8_t *image, unsigned flags)
{
	struct cuts *c = look->c;
	struct untorn_btt_open_options options = {.flags = flags};
	struct untorn_media *media;
	struct untorn_btt *btt;
	int r;

	assert_int_equal(memory_media_wrap(image, c->size, &media), 0);
	r = untorn_btt_open(media, &options, &btt);
	if (r < 0) {
		untorn_media_close(media);
		return complain(c, "the volume does not open", 0);
	}
	r = read_all(c, btt, look->clock);
	assert_int_equal(untorn_btt_close(btt), 0);
	untorn_media_close(media);
	return r;
}

static int look_at(void *arg, uint8_t *image, uint64_t id)
{
	struct look *look = arg;
	struct cuts *c = look->c;
	int r = check_invariants(c, image, false);

	(void)id;
	if (r == 0 && c->depth > 0 && c->images % 151 == 0)
		r = cut_again(look, image);
	c->images++;
	if (r == 0 && c->images % 7 == 0)
		r = recover(look, image, UNTORN_BTT_READ_ONLY);
	if (r == 0)
		r = recover(look, image, 0);
	return r == 0 ? check_invariants(c, image, true) : r;
}

int cuts_look(struct cuts *c, size_t ncuts, const struct crash_budget *budget)
{
	size_t events = crash_media_events(c->media), step = events / ncuts + 1;
	int r = 0;

	for (size_t cut = 0; r == 0 && cut <= events; cut += step) {
		struct look look = {.c = c, .clock = crash_media_last_mark(c->media, cut)};

		if (look.clock < c->first_clock)
			look.clock = c->first_clock;

		r = crash_media_foreach(c->media, cut, budget, look_at, &look);
		if (r != 0 && !c->expect_fault)
			printf("... in an image of cut %zu of %zu, after acknowledgement %u\n", cut, events,
			       look.clock);
	}
	return r;
}

/*
 * Recovery of one image on a crash medium of its own, a write and a close; cut everywhere again. What the image was allowed
 * to hold it still is; the write comes on top.
 */
static int cut_again(struct look *look, uint8_t *image)
{
	const struct crash_budget budget = {.exhaustive = 4, .samples = 2, .seed = 5};
	const struct cuts *c = look->c;
	struct cuts *again = malloc(sizeof(*again));
	int r;

	*again = *c;
	again->depth = 0;
	again->images = 0;
	pthread_mutex_init(&again->lock, NULL);
	for (uint32_t i = 1; i <= again->nops; i++)
		if (again->op[i].acked > look->clock)
			again->op[i].acked = 0; /* it was not when the power was cut */
	assert_int_equal(crash_media_new(c->size, image, UNTORN_MEDIA_CACHELINE, &again->media), 0);
	crash_media_record(again->media);
	again->first_clock = look->clock;
	r = untorn_btt_open(again->media, NULL, &again->btt);
	if (r == 0) {
		cuts_do(again, CUTS_WRITE, c->lbas[0], 1, true);
		assert_int_equal(untorn_btt_close(again->btt), 0);
		r = cuts_look(again, 20, &budget);
	}
	look->c->nested += again->images;
	untorn_media_close(again->media);
	pthread_mutex_destroy(&again->lock);
	free(again);
	return r;
}
