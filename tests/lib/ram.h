/* SPDX-License-Identifier: BSD-3-Clause */
/* A medium in memory that tests look into and write into by hand. */
#ifndef TESTS_RAM_H
#define TESTS_RAM_H

#include <stdint.h>
#include <untorn/btt.h>

struct ram {
	uint64_t size;
	uint8_t *bytes;
	struct untorn_media *media; /* volatile kind; counts its persist points */
};

/* All zeros. Aborts when there is no memory, as all of these do. */
struct ram ram_new(uint64_t size);
void ram_free(struct ram *ram);

/* A hash of all bytes, to see that nothing changed. */
uint64_t ram_sum(const struct ram *ram);

/* A hash of some. */
uint64_t bytes_sum(const uint8_t *bytes, uint64_t size);

/* A sequence of numbers that a seed decides. */
uint32_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t n);

/* The seed of this run: UNTORN_SEED, or the given one. Printed, so that a failure can be repeated. */
uint64_t test_seed(uint64_t otherwise);

/* How many times longer than usual a test shall run: 1, or UNTORN_LONG. */
unsigned test_length(void);

#endif
