/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New uuids for an existing volume: what turns a copy into a volume of its own.
 *
 * Both info blocks of every arena are written, never the two of an arena at once and never the only sound one first: a cut
 * leaves each arena with at least one sound info block, old or new. The backup goes first, since the primary is what readers
 * believe: should it tear, the backup that a repair finds has the parent uuid that the container has now. The last arena goes
 * first, since the first one says whether there is a volume. Arenas that an interrupted run left half changed are taken as
 * they are, so that running it again finishes it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "btt/info.h"
#include "btt/probe.h"

/* One arena as found: offsets on the medium. */
struct rename_arena {
	uint64_t primary_off, backup_off;
	bool primary_is_sound;
	struct btt_info_block block; /* the sound one of the two, the primary when both are */
};

struct renaming {
	struct untorn_media *media;
	const struct btt_profile *profile;
	struct rename_arena *arenas;
	size_t narena;
};

/* The errno of what is wrong with the block as the info block at arena_off, or 0. */
static int block_fault(const struct renaming *renaming, const struct btt_info_block *block, uint64_t arena_off)
{
	struct btt_info info;

	switch (info_fault(block)) {
	case INFO_NO_SIGNATURE:
		return -ENXIO;
	case INFO_BAD_CHECKSUM:
		return -EUCLEAN;
	case INFO_OK:
		break;
	}
	info_decode(block, &info);
	if (!info_version_ok(&info, renaming->profile))
		return -EOPNOTSUPP;
	return info_field_fault(&info, renaming->profile, untorn_media_size(renaming->media) - arena_off) ? -EUCLEAN
													  : 0;
}

/*
 * A primary that is damaged but still has its signature may be one that a cut tore: its backup speaks for it. One that is gone
 * was destroyed on purpose.
 */
static int find_arena(const struct renaming *renaming, uint64_t off, struct rename_arena *arena)
{
	uint64_t room = untorn_media_size(renaming->media) - off;
	int r, fault;

	arena->primary_off = off;
	r = info_read(renaming->media, off, &arena->block);
	if (r < 0)
		return r;
	fault = block_fault(renaming, &arena->block, off);
	arena->primary_is_sound = fault == 0;
	if (arena->primary_is_sound) {
		arena->backup_off = off + le64_get(arena->block.info2off);
		return 0;
	}
	if (fault != -EUCLEAN)
		return fault;
	arena->backup_off = off + geometry_backup_off(room);
	r = info_read(renaming->media, arena->backup_off, &arena->block);
	if (r < 0)
		return r;
	if (block_fault(renaming, &arena->block, off) < 0 || off + le64_get(arena->block.info2off) != arena->backup_off)
		return -EUCLEAN;
	return 0;
}

/* The chain moves forward within the medium, so it ends. */
static int find_arenas(struct renaming *renaming)
{
	uint64_t size = untorn_media_size(renaming->media), off = renaming->profile->base, next;

	if (geometry_narena(renaming->profile, size) == 0)
		return -ENXIO;
	renaming->arenas = calloc(size / BTT_ARENA_MAX + 1, sizeof(*renaming->arenas));
	if (!renaming->arenas)
		return -ENOMEM;
	do {
		struct rename_arena *arena = &renaming->arenas[renaming->narena];
		int r = find_arena(renaming, off, arena);

		if (r < 0)
			return r == -ENXIO && renaming->narena > 0 ? -EUCLEAN : r;
		renaming->narena++;
		next = le64_get(arena->block.nextoff);
		off += next;
	} while (next);
	return 0;
}

static int write_arena(const struct renaming *renaming, const struct rename_arena *arena, const uint8_t *uuid,
		       const uint8_t *parent_uuid)
{
	uint64_t first = arena->primary_is_sound ? arena->backup_off : arena->primary_off;
	struct btt_info_block block = arena->block;
	int r;

	if (uuid)
		memcpy(block.uuid, uuid, BTT_UUID_LEN);
	if (parent_uuid)
		memcpy(block.parent_uuid, parent_uuid, BTT_UUID_LEN);
	block.checksum = le64_make(info_checksum(&block));
	r = untorn_media_write(renaming->media, first, &block, sizeof(block));
	/* A cut before here leaves the old sound block, a cut behind it the new one; the other one may be torn. */
	if (r == 0)
		r = untorn_media_write(renaming->media,
				       first == arena->primary_off ? arena->backup_off : arena->primary_off, &block,
				       sizeof(block));
	return r;
}

int untorn_btt_set_uuid(struct untorn_media *media, enum untorn_btt_layout layout, const uint8_t *uuid,
			const uint8_t *parent_uuid)
{
	uint8_t poolset_uuid[BTT_UUID_LEN];
	struct renaming renaming = {.media = media};
	int r;

	if (!media || layout > UNTORN_BTT_PMEMBLK)
		return -EINVAL;
	if (untorn_media_is_read_only(media))
		return -EROFS;
	r = btt_probe(media, layout, &renaming.profile, poolset_uuid);
	if (r < 0)
		return r;
	if (renaming.profile->layout == UNTORN_BTT_PMEMBLK)
		return -EOPNOTSUPP;
	r = find_arenas(&renaming);
	for (size_t i = renaming.narena; r == 0 && i-- > 0;)
		r = write_arena(&renaming, &renaming.arenas[i], uuid, parent_uuid);
	free(renaming.arenas);
	return r;
}
