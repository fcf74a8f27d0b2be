/* SPDX-License-Identifier: BSD-3-Clause */
#include "ram.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "media/memory.h"

struct ram ram_new(uint64_t size)
{
	struct ram ram = {.size = size};

	ram.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram.bytes == MAP_FAILED || memory_media_wrap(ram.bytes, size, &ram.media) < 0)
		abort();
	return ram;
}

void ram_free(struct ram *ram)
{
	untorn_media_close(ram->media);
	munmap(ram->bytes, ram->size);
}

/* Several sums side by side, for speed. */
uint64_t bytes_sum(const uint8_t *bytes, uint64_t size)
{
	enum { WAYS = 8 };
	uint64_t sums[WAYS] = {0}, words[WAYS], sum = 0;

	for (uint64_t i = 0; i + sizeof(words) <= size; i += sizeof(words)) {
		memcpy(words, bytes + i, sizeof(words));
		for (unsigned w = 0; w < WAYS; w++)
			sums[w] = sums[w] * 0x9e3779b97f4a7c15u + words[w];
	}
	for (unsigned w = 0; w < WAYS; w++)
		sum = sum * 31 + sums[w];
	return sum;
}

uint64_t ram_sum(const struct ram *ram)
{
	return bytes_sum(ram->bytes, ram->size);
}

uint32_t random_next(uint64_t *state)
{
	uint64_t x;

	*state += 0x9e3779b97f4a7c15u;
	x = *state;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 32);
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	uint64_t high = random_next(state);

	return (high << 32 | random_next(state)) % n;
}

uint64_t test_seed(uint64_t otherwise)
{
	const char *text = getenv("UNTORN_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : otherwise;

	printf("seed: UNTORN_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

unsigned test_length(void)
{
	const char *text = getenv("UNTORN_LONG");
	unsigned long length = text ? strtoul(text, NULL, 0) : 1;

	/* UNTORN_LONG=1 says no more than "longer". */
	return !text ? 1 : length < 2 ? 10 : (unsigned)length;
}
