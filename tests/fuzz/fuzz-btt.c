/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes changed by a string of bytes.
 *
 *   fuzz-btt [DIRECTORY [COUNT [SEED]]]   replay the files of a directory, then COUNT random strings
 *
 * Configured with -Dfuzz=true and clang, main() is libFuzzer's, which finds strings of its own:
 *
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined
 *   ninja -C build-fuzz tests/fuzz/fuzz-btt
 *   build-fuzz/tests/fuzz/fuzz-btt -max_len=130 corpus tests/fuzz/corpus
 *
 * A string is a byte for the kind of volume, a byte for how many 4 KiB blocks its medium lacks, and records of 16 bytes.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btt/pool.h"
#include "drive.h"

#define HEAD_SIZE   2
#define RECORDS_MAX 8

enum where { PRIMARY, BACKUP, BOTH, FLOG, FLOG_CURRENT, MAP, POOL_PAGE, ANYWHERE, WHERES };
enum { HOW_XOR = 1 << 0, HOW_ADD = 1 << 1, HOW_SEAL = 1 << 2, HOW_SIZE_SHIFT = 3 };

struct record {
	uint8_t where, how;
	uint8_t index[2], off[4]; /* of a lane or map entry; a byte in it */
	uint8_t value[8];
};
_Static_assert(sizeof(struct record) == 16, "record size");

struct input {
	uint8_t missing;
	size_t nrecords;
	struct record records[RECORDS_MAX];
};

static uint64_t number(const uint8_t *p, size_t size)
{
	le64 v = {0};

	memcpy(&v, p, size);
	return le64_get(v);
}

/* Change some bytes of the len at p. */
static void change(uint8_t *p, size_t len, const struct record *r)
{
	size_t size = 1u << (r->how >> HOW_SIZE_SHIFT & 3);
	size_t off = number(r->off, sizeof(r->off)) % (len - size + 1);
	uint64_t value = number(r->value, sizeof(r->value)), was = number(p + off, size);
	le64 result;

	value = r->how & HOW_XOR ? was ^ value : r->how & HOW_ADD ? was + value : value;
	result = le64_make(value);
	memcpy(p + off, &result, size);
}

static void change_copy(struct btt_info_block *block, const struct record *r)
{
	/* The padding is not worth most of the tries. */
	change((uint8_t *)block, r->how & HOW_SEAL ? offsetof(struct btt_info_block, padding) : sizeof(*block), r);
	if (r->how & HOW_SEAL)
		sample_seal(block);
}

static void apply(struct sample *s, const struct record *r)
{
	uint32_t index = (uint32_t)number(r->index, sizeof(r->index));
	uint32_t lane = index % s->arena.nfree, live;
	struct pool_header *header = (struct pool_header *)s->bytes;

	switch (r->where % WHERES) {
	case PRIMARY:
		change_copy(sample_primary(s), r);
		break;
	case BACKUP:
		change_copy(sample_backup(s), r);
		break;
	case BOTH:
		change_copy(sample_primary(s), r);
		change_copy(sample_backup(s), r);
		break;
	case FLOG:
		change((uint8_t *)sample_group(s, lane), sizeof(struct btt_flog_group), r);
		break;
	case FLOG_CURRENT:
		live = le32_get(sample_slot(s, lane, 1)->seq) != 0;
		change((uint8_t *)sample_slot(s, lane, live), sizeof(struct btt_flog_slot), r);
		break;
	case MAP:
		change((uint8_t *)&sample_map(s)[index % s->arena.external_nlba], sizeof(le64), r);
		break;
	case POOL_PAGE:
		change(s->bytes, 8192, r);
		if (r->how & HOW_SEAL)
			header->checksum = le64_make(pool_checksum(header));
		break;
	case ANYWHERE:
		change(s->bytes, SAMPLE_SIZE, r);
		break;
	}
}

static void mutate(struct sample *s, void *arg)
{
	const struct input *input = arg;

	for (size_t i = 0; i < input->nrecords; i++)
		apply(s, &input->records[i]);
	s->media->size -= input->missing * 4096ull;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sample originals[SAMPLE_KINDS];
	struct input input = {0};
	char what[2 * (HEAD_SIZE + sizeof(input.records)) + 1] = "";
	const struct sample_kind *kind;
	struct sample *original;

	if (size < HEAD_SIZE)
		return 0;
	kind = &sample_kinds[data[0] % SAMPLE_KINDS];
	original = &originals[data[0] % SAMPLE_KINDS];
	if (!original->bytes)
		sample_new(kind, original);
	input.missing = data[1];
	input.nrecords = min_u64((size - HEAD_SIZE) / sizeof(struct record), RECORDS_MAX);
	memcpy(input.records, data + HEAD_SIZE, input.nrecords * sizeof(struct record));
	for (size_t i = 0; i < HEAD_SIZE + input.nrecords * sizeof(struct record); i++)
		snprintf(what + 2 * i, 3, "%02x", data[i]);
	drive(original, mutate, &input, what);
	return 0;
}

#ifndef LIBFUZZER
static int replay(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int n = 0;

	if (!dir) {
		perror(directory);
		return -1;
	}
	while ((entry = readdir(dir))) {
		char path[4096];
		uint8_t data[HEAD_SIZE + sizeof(((struct input *)0)->records)];
		size_t size;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		file = fopen(path, "rb");
		if (!file) {
			perror(path);
			closedir(dir);
			return -1;
		}
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		LLVMFuzzerTestOneInput(data, size);
		n++;
	}
	closedir(dir);
	return n;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Few records, of which most keep numbers near to what they were. */
static void try_random(uint64_t *state)
{
	static const uint64_t values[] = {0, 1, 2, 3, 4, 255, 4096, 1u << 30, 1u << 31, UINT32_MAX, UINT64_MAX};
	struct input input = {.nrecords = 1 + next_random(state) % RECORDS_MAX};
	uint8_t data[HEAD_SIZE + sizeof(input.records)];

	for (size_t i = 0; i < input.nrecords; i++) {
		struct record *r = &input.records[i];
		uint64_t random = next_random(state), value = next_random(state);
		le64 number = le64_make(random % 3 ? values[value % ARRAY_SIZE(values)] : value);

		memcpy(r, &random, sizeof(random));
		memcpy(r->value, &number, sizeof(number));
	}
	data[0] = (uint8_t)next_random(state);
	data[1] = next_random(state) % 16 ? 0 : (uint8_t)next_random(state);
	memcpy(data + HEAD_SIZE, input.records, sizeof(input.records));
	LLVMFuzzerTestOneInput(data, HEAD_SIZE + input.nrecords * sizeof(struct record));
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	uint64_t state = argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1;
	int replayed = argc > 1 ? replay(argv[1]) : 0;

	if (replayed < 0)
		return 1;
	state *= 0x9e3779b97f4a7c15ull;
	for (unsigned long i = 0; i < count; i++)
		try_random(&state);
	printf("%d files, %lu random strings\n", replayed, count);
	return 0;
}
#endif
