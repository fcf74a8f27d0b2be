/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extreme values, one at a time: every field of the info blocks (in one copy or both, with a right checksum), of flog slots,
 * of map entries and of a pool's header.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btt/pool.h"
#include "drive.h"
#include "le-bytes.h"

/* A place in memory of some bytes, and the values to try there. */
struct place {
	const char *name;
	size_t off, size;
};

#define VALUES 18

/* What may be wrong with a number that was `was`. */
static uint64_t extreme(unsigned i, uint64_t was)
{
	const uint64_t values[VALUES] = {
		0,
		1,
		2,
		was - 1,
		was + 1,
		was - 4096,
		was + 4096,
		was + 2048,
		was / 2,
		was * 2,
		1u << 16,
		BTT_MAP_BLOCK,
		1u << 31,
		UINT32_MAX,
		BTT_ARENA_MAX,
		1ull << 63,
		UINT64_MAX - 4095, /* wraps around to a little below */
		UINT64_MAX,
	};

	return values[i];
}

/* ---------------------------------------------------------- info blocks -------------------------------------------------- */

#define INFO_PLACE(member)                                                                                     \
	{                                                                                                      \
#member, offsetof(struct btt_info_block, member), sizeof(((struct btt_info_block *)0)->member) \
	}

static const struct place info_places[] = {
	INFO_PLACE(flags),         INFO_PLACE(version_major),
	INFO_PLACE(version_minor), INFO_PLACE(external_lbasize),
	INFO_PLACE(external_nlba), INFO_PLACE(internal_lbasize),
	INFO_PLACE(internal_nlba), INFO_PLACE(nfree),
	INFO_PLACE(infosize),      INFO_PLACE(nextoff),
	INFO_PLACE(dataoff),       INFO_PLACE(mapoff),
	INFO_PLACE(logoff),        INFO_PLACE(info2off),
};

enum { IN_PRIMARY = 1, IN_BACKUP = 2, IN_BOTH = 3 };

struct change {
	const struct place *place;
	unsigned value, copies;
	uint32_t index; /* lane or lba */
	unsigned slot;
	bool sealed;
};

static void change_info(struct sample *s, void *arg)
{
	const struct change *c = arg;
	struct btt_info_block *copies[] = {sample_primary(s), sample_backup(s)};

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *p = (uint8_t *)copies[i] + c->place->off;

		if (!(c->copies >> i & 1))
			continue;
		le_bytes_put(p, c->place->size, extreme(c->value, le_bytes_get(p, c->place->size)));
		sample_seal(copies[i]);
	}
}

static unsigned long driven;

static void drive_change(const struct sample *s, void (*mutate)(struct sample *s, void *arg), struct change *c)
{
	char what[128];

	snprintf(what, sizeof(what), "%s: %s, value %u, copies %u, index %" PRIu32 ", slot %u, sealed %d",
		 s->kind->name, c->place->name, c->value, c->copies, c->index, c->slot, c->sealed);
	drive(s, mutate, c, what);
	driven++;
}

static void drive_infos(const struct sample *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(info_places); i++)
		for (unsigned value = 0; value < VALUES; value++)
			for (unsigned copies = IN_PRIMARY; copies <= IN_BOTH; copies++)
				drive_change(
					s, change_info,
					&(struct change){.place = &info_places[i], .value = value, .copies = copies});
}

/* -------------------------------------------------------- flog and map --------------------------------------------------- */

static const struct place flog_places[] = {{"lba", 0, 4}, {"old_map", 4, 4}, {"new_map", 8, 4}, {"seq", 12, 4}};

static void change_flog(struct sample *s, void *arg)
{
	const struct change *c = arg;
	uint8_t *p = (uint8_t *)&sample_group(s, c->index)->slot[c->slot] + c->place->off;

	le_bytes_put(p, c->place->size, extreme(c->value, le_bytes_get(p, c->place->size)));
}

static void drive_flog(const struct sample *s)
{
	const uint32_t lanes[] = {0, sample_used_lane(s, 30), 255};

	for (size_t l = 0; l < ARRAY_SIZE(lanes); l++)
		for (unsigned slot = 0; slot < BTT_FLOG_SLOTS; slot++)
			for (size_t i = 0; i < ARRAY_SIZE(flog_places); i++)
				for (unsigned value = 0; value < VALUES; value++)
					drive_change(s, change_flog,
						     &(struct change){.place = &flog_places[i],
								      .value = value,
								      .index = lanes[l],
								      .slot = slot});
}

static const struct place map_places[] = {
	{"initial entry", BTT_MAP_INITIAL, 4},
	{"error entry", BTT_MAP_ERROR, 4},
	{"zero entry", BTT_MAP_ZERO, 4},
	{"normal entry", BTT_MAP_NORMAL, 4},
};

static void change_map(struct sample *s, void *arg)
{
	const struct change *c = arg;
	uint32_t was = sample_block(s, c->index);

	sample_map(s)[c->index] = le32_make((extreme(c->value, was) & BTT_MAP_BLOCK) | (uint32_t)c->place->off);
}

static void drive_map(const struct sample *s)
{
	const uint32_t lbas[] = {0, 1001, s->arena.external_nlba - 1};

	for (size_t l = 0; l < ARRAY_SIZE(lbas); l++)
		for (size_t i = 0; i < ARRAY_SIZE(map_places); i++)
			for (unsigned value = 0; value < VALUES; value++)
				drive_change(
					s, change_map,
					&(struct change){.place = &map_places[i], .value = value, .index = lbas[l]});
}

/* ------------------------------------------------------------- pool ------------------------------------------------------ */

static const struct place pool_places[] = {
	{"signature", 0, 8},
	{"major", 8, 4},
	{"compat", 12, 4},
	{"incompat", 16, 4},
	{"ro_compat", 20, 4},
	{"poolset_uuid", 24, 8},
	{"uuid", 40, 8},
	{"prev_part_uuid", 56, 8},
	{"next_repl_uuid", 104, 8},
	{"crtime", 120, 8},
	{"alignment_desc", 128, 8},
	{"machine_class", 136, 1},
	{"data", 137, 1},
	{"machine", 142, 2},
	{"sds", 4024, 8},
	{"checksum", 4088, 8},
	{"bsize", 4096, 4},
	{"is_zeroed", 4100, 4},
};

static void change_pool(struct sample *s, void *arg)
{
	const struct change *c = arg;
	struct pool_header *h = (struct pool_header *)s->bytes;
	uint8_t *p = s->bytes + c->place->off;

	le_bytes_put(p, c->place->size, extreme(c->value, le_bytes_get(p, c->place->size)));
	if (c->sealed)
		h->checksum = le64_make(pool_checksum(h));
}

static void drive_pool(const struct sample *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(pool_places); i++)
		for (unsigned value = 0; value < VALUES; value++)
			for (int sealed = 0; sealed < 2; sealed++)
				drive_change(
					s, change_pool,
					&(struct change){.place = &pool_places[i], .value = value, .sealed = sealed});
}

/* ------------------------------------------------------------ media ----------------------------------------------------- */

static const struct place size_place = {"medium cut", 0, 0};

static void cut_medium(struct sample *s, void *arg)
{
	const struct change *c = arg;

	s->media->size -= (uint64_t)c->index * 4096;
}

/* Media that end too early, by a block or by nearly all of them. */
static void drive_sizes(const struct sample *s)
{
	const uint32_t blocks = SAMPLE_SIZE / 4096;
	const uint32_t gone[] = {1, 2, 3, 4, 5, 6, 20, 100, blocks / 2, blocks - 4, blocks - 3, blocks - 2, blocks - 1};

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		drive_change(s, cut_medium, &(struct change){.place = &size_place, .index = gone[i]});
}

/* ------------------------------------------------------------ arenas ---------------------------------------------------- */

/* Chains that lead astray between arenas: back to the start, to themselves, out of the medium. Looked at only. */
static void drive_chains(enum untorn_btt_layout layout)
{
	const struct untorn_btt_format_options options = {.layout = layout, .sector_size = 65536};
	const uint64_t values[] = {
		0,        4096,      BTT_ARENA_MAX - 4096, BTT_ARENA_MAX, 2 * BTT_ARENA_MAX, 1ull << 63, -BTT_ARENA_MAX,
		-4096ull, UINT64_MAX};
	char path[] = "test-extremes.XXXXXX", what[128];
	int fd = mkstemp(path);
	struct untorn_media *media;
	uint8_t *base;

	if (fd < 0 || ftruncate(fd, (off_t)(2 * BTT_ARENA_MAX)) < 0 ||
	    untorn_media_open(path, UNTORN_MEDIA_VOLATILE, 0, &media) < 0 || unlink(path) < 0 ||
	    untorn_btt_format(media, &options) < 0) {
		perror(path);
		abort();
	}
	close(fd);
	base = media->base + (layout == UNTORN_BTT_V1_1 ? 4096 : 0);
	for (unsigned arena = 0; arena < 2; arena++)
		for (unsigned copies = IN_PRIMARY; copies <= IN_BOTH; copies++)
			for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
				struct btt_info_block *primary =
					(struct btt_info_block *)(base + arena * BTT_ARENA_MAX);
				struct btt_info_block was = *primary, changed = was;
				struct btt_info_block *backup =
					(struct btt_info_block *)((uint8_t *)primary + le64_get(was.info2off));

				snprintf(what, sizeof(what), "arena %u, copies %u, nextoff %#" PRIx64, arena, copies,
					 values[i]);
				changed.nextoff = le64_make(values[i]);
				sample_seal(&changed);
				*primary = copies & IN_PRIMARY ? changed : was;
				*backup = copies & IN_BACKUP ? changed : was;
				if ((drive_looking(media, what) == 0) != (values[i] == le64_get(was.nextoff))) {
					fprintf(stderr, "%s: not told from a good one\n", what);
					abort();
				}
				*primary = *backup = was;
				driven++;
			}
	untorn_media_close(media);
}

int main(void)
{
	for (unsigned k = 0; k < SAMPLE_KINDS; k++) {
		struct sample s;

		sample_new(&sample_kinds[k], &s);
		drive_infos(&s);
		drive_flog(&s);
		drive_map(&s);
		drive_sizes(&s);
		if (k == SAMPLE_POOL)
			drive_pool(&s);
		sample_destroy(&s);
	}
	drive_chains(UNTORN_BTT_V1_1);
	drive_chains(UNTORN_BTT_V2_0);
	printf("%lu volumes\n", driven);
	return 0;
}
