/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open and close. All arenas are validated and their flogs read before the first byte is written, so a volume that is
 * refused is a volume that was not touched.
 */
#include <stdlib.h>
#include <string.h>

#include "btt/arena.h"
#include "btt/commit.h"
#include "btt/layout.h"
#include "btt/pool.h"
#include "btt/probe.h"

struct opening {
	struct untorn_btt *btt;
	const uint8_t *parent_uuid; /* what a parent uuid must equal, or NULL */
	uint8_t poolset_uuid[BTT_UUID_LEN];
};

static int check_info(const struct btt_info_block *block, struct btt_info *ret_info, const struct untorn_btt *btt,
		      const struct opening *o, uint64_t off)
{
	const struct btt_info *first = btt->narena > 0 ? &btt->arenas[0].info : NULL;

	switch (info_fault(block)) {
	case INFO_NO_SIGNATURE:
		return first ? -EUCLEAN : -ENXIO;
	case INFO_BAD_CHECKSUM:
		return -EUCLEAN;
	case INFO_OK:
		break;
	}
	info_decode(block, ret_info);
	if (!first && !info_version_ok(ret_info, btt->profile))
		return -EOPNOTSUPP;
	if (!info_parent_ok(ret_info, btt->profile, o->parent_uuid))
		return -EUCLEAN;
	if (info_field_fault(ret_info, btt->profile, untorn_media_size(btt->media) - off))
		return -EUCLEAN;
	if (first && (memcmp(ret_info->uuid, first->uuid, BTT_UUID_LEN) != 0 ||
		      ret_info->version_major != first->version_major ||
		      ret_info->geometry.external_lbasize != first->geometry.external_lbasize))
		return -EUCLEAN;
	return 0;
}

static int add_arena(struct untorn_btt *btt, const struct btt_info *info, uint64_t off)
{
	struct btt_arena *a = &btt->arenas[btt->narena];
	int r;

	btt->narena++; /* also after a failure, so that it is taken down */
	r = arena_init(a, btt->media, btt->profile, info, off);
	a->first_lba = btt->nlba;
	btt->nlba += info->geometry.external_nlba;
	btt->sector_size = a->sector_size;
	btt->meta_size = a->meta_size;
	return r;
}

/* The chain of arenas moves forward by 512 GiB each and stays within the medium, so it ends. */
static int load_arenas(struct opening *o)
{
	struct untorn_btt *btt = o->btt;
	uint64_t off = btt->profile->base, next;

	do {
		struct btt_info_block block;
		struct btt_info info;
		int r = info_read(btt->media, off, &block);

		if (r < 0)
			return r;
		r = check_info(&block, &info, btt, o, off);
		if (r < 0)
			return r;
		r = add_arena(btt, &info, off);
		if (r == 0)
			r = arena_load(&btt->arenas[btt->narena - 1]);
		if (r < 0)
			return r;
		next = info.geometry.nextoff;
		off += next;
	} while (next);
	return 0;
}

/* Whether anything but zeros stands in [off, off + len), both multiples of BTT_BLOCK. */
static int has_data(struct untorn_media *media, uint64_t off, uint64_t len, bool *ret_has)
{
	uint64_t data, data_end, end = off + len;
	uint8_t bytes[BTT_BLOCK];

	*ret_has = false;
	for (; off < end && !*ret_has; off += sizeof(bytes)) {
		int r = untorn_media_next_data(media, off, &data, &data_end);

		if (r < 0)
			return r;
		off = round_down(data, BTT_BLOCK);
		if (off >= end)
			return 0;
		r = untorn_media_read(media, off, bytes, sizeof(bytes));
		if (r < 0)
			return r;
		*ret_has = !is_zero(bytes, sizeof(bytes));
	}
	return 0;
}

static int is_written_flog(struct untorn_media *media, const struct btt_profile *profile, const struct btt_geometry *g,
			   uint64_t off, bool *ret_written)
{
	*ret_written = false;
	for (uint32_t l = 0; l < g->nfree && !*ret_written; l++) {
		struct btt_flog_group initial = flog_initial_group(l, g->external_nlba, profile->flog_initial_flag),
				      group;
		int r = untorn_media_read(media, off + g->logoff + l * sizeof(group), &group, sizeof(group));

		if (r < 0)
			return r;
		*ret_written = memcmp(&group, &initial, sizeof(group)) != 0;
	}
	return 0;
}

/*
 * Whether the arena at off was ever written to, going by its backup info block. An intact backup beside an untouched map
 * and flog is what a cut in mid-layout leaves.
 */
static int is_written_arena(const struct opening *o, uint64_t off, uint64_t info2off, bool *ret_written)
{
	struct untorn_media *media = o->btt->media;
	const struct btt_profile *profile = o->btt->profile;
	struct btt_info_block backup;
	struct btt_info info;
	int r;

	*ret_written = false;
	r = info_read(media, off + info2off, &backup);
	if (r < 0 || info_fault(&backup) != INFO_OK)
		return r;
	info_decode(&backup, &info);
	if (!info_parent_ok(&info, profile, o->parent_uuid))
		return 0;
	if (info_field_fault(&info, profile, untorn_media_size(media) - off)) {
		*ret_written = true;
		return 0;
	}
	r = has_data(media, off + info.geometry.mapoff, info.geometry.logoff - info.geometry.mapoff, ret_written);
	if (r == 0 && !*ret_written)
		r = is_written_flog(media, profile, &info.geometry, off, ret_written);
	return r;
}

/*
 * A pool whose first info block is all zero: libpmemblk lays it out at its first write. -EUCLEAN when the backups know
 * better: laying it out again would destroy what they still lead to.
 */
static int is_unwritten_pool(const struct opening *o, uint32_t bsize, bool *ret_unwritten)
{
	const struct untorn_btt *btt = o->btt;
	uint64_t size = untorn_media_size(btt->media);
	struct btt_info_block block;
	int r;

	r = info_read(btt->media, btt->profile->base, &block);
	*ret_unwritten = r == 0 && is_zero(&block, sizeof(block));
	for (uint64_t i = 0; r == 0 && *ret_unwritten && i < geometry_narena(btt->profile, size); i++) {
		struct btt_geometry g;
		bool written = false;
		uint64_t off;

		if (geometry_arena(btt->profile, size, bsize, i, &off, &g) < 0)
			return -EUCLEAN; /* a bsize that leaves no room */
		r = is_written_arena(o, off, g.info2off, &written);
		if (written)
			return -EUCLEAN;
	}
	return r;
}

/* What the pool will be once it is laid out: all zeros, nothing to load. */
static int load_unwritten(struct untorn_btt *btt, uint32_t bsize)
{
	uint64_t size = untorn_media_size(btt->media);

	for (uint64_t i = 0; i < geometry_narena(btt->profile, size); i++) {
		struct btt_info info = {
			.version_major = btt->profile->version_major,
			.version_minor = btt->profile->version_minor,
			.infosize = BTT_BLOCK,
		};
		uint64_t off;
		int r = geometry_arena(btt->profile, size, bsize, i, &off, &info.geometry);

		if (r == 0)
			r = add_arena(btt, &info, off);
		if (r < 0)
			return r;
		btt->arenas[i].laid_out = false;
	}
	return 0;
}

static int load_pool(struct opening *o)
{
	struct untorn_btt *btt = o->btt;
	struct pool pool;
	bool unwritten;
	int r;

	r = pool_read(btt->media, &pool, NULL);
	if (r < 0)
		return r;
	if (o->parent_uuid && memcmp(o->parent_uuid, o->poolset_uuid, BTT_UUID_LEN) != 0)
		return -EUCLEAN;
	o->parent_uuid = o->poolset_uuid;
	btt->read_only |= le32_get(pool.header.ro_compat) != 0;

	r = is_unwritten_pool(o, pool.bsize, &unwritten);
	if (r < 0)
		return r;
	if (unwritten && btt->read_only)
		return load_unwritten(btt, pool.bsize);
	if (unwritten) {
		r = layout_write(btt->media, btt->profile, pool.bsize, NULL, o->poolset_uuid);
		if (r < 0)
			return r;
	}
	r = load_arenas(o);
	if (r == 0 && btt->arenas[0].info.geometry.external_lbasize != pool.bsize)
		return -EUCLEAN;
	return r;
}

static int replay(struct untorn_btt *btt)
{
	for (uint32_t i = 0; i < btt->narena; i++) {
		int r = 0;

		if (btt->read_only)
			arena_replay_in_memory(&btt->arenas[i]);
		else
			r = arena_replay(&btt->arenas[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void free_volume(struct untorn_btt *btt)
{
	for (uint32_t i = 0; i < btt->narena; i++)
		arena_done(&btt->arenas[i]);
	free(btt->arenas);
	free(btt);
}

static int load(struct opening *o)
{
	struct untorn_btt *btt = o->btt;
	int r;

	/* One more than fit: a size of 2^39 n + 16 MiB has n + 1 arenas. */
	btt->arenas = calloc(untorn_media_size(btt->media) / BTT_ARENA_MAX + 1, sizeof(*btt->arenas));
	if (!btt->arenas)
		return -ENOMEM;
	if (geometry_narena(btt->profile, untorn_media_size(btt->media)) == 0)
		return -ENXIO;
	r = btt->profile->layout == UNTORN_BTT_PMEMBLK ? load_pool(o) : load_arenas(o);
	return r < 0 ? r : replay(btt);
}

int untorn_btt_open(struct untorn_media *media, const struct untorn_btt_open_options *options,
		    struct untorn_btt **ret_btt)
{
	static const struct untorn_btt_open_options defaults;
	struct opening o = {0};
	int r;

	if (!media || !ret_btt)
		return -EINVAL;
	if (!options)
		options = &defaults;
	if ((options->flags & ~UNTORN_BTT_READ_ONLY) || options->layout > UNTORN_BTT_PMEMBLK)
		return -EINVAL;

	o.btt = calloc(1, sizeof(*o.btt));
	if (!o.btt)
		return -ENOMEM;
	o.parent_uuid = options->parent_uuid;
	o.btt->media = media;
	o.btt->read_only = untorn_media_is_read_only(media) || (options->flags & UNTORN_BTT_READ_ONLY);

	r = btt_probe(media, options->layout, &o.btt->profile, o.poolset_uuid);
	if (r == 0)
		r = load(&o);
	if (r < 0) {
		free_volume(o.btt);
		return r;
	}
	*ret_btt = o.btt;
	return 0;
}

int untorn_btt_close(struct untorn_btt *btt)
{
	int r;

	if (!btt)
		return 0;
	r = untorn_btt_flush(btt);
	for (uint32_t i = 0; i < btt->narena && !btt->read_only; i++) {
		int settled = arena_settle(&btt->arenas[i]);

		if (r == 0)
			r = settled;
	}
	free_volume(btt);
	return r;
}

/* ---------------------------------------------------------- facts --------------------------------------------------------- */

void untorn_btt_get_info(const struct untorn_btt *btt, struct untorn_btt_info *ret_info)
{
	const struct btt_arena *first = &btt->arenas[0];

	*ret_info = (struct untorn_btt_info){
		.layout = btt->profile->layout,
		.version_major = first->info.version_major,
		.version_minor = first->info.version_minor,
		.sector_size = btt->sector_size,
		.meta_size = btt->meta_size,
		.nlba = btt->nlba,
		.size = btt->nlba * btt->sector_size,
		.narena = btt->narena,
		.base = btt->profile->base,
		.read_only = btt->read_only,
		.is_laid_out = first->laid_out,
		.has_zero_state = btt_has_zero_state(btt),
	};
	memcpy(ret_info->uuid, first->info.uuid, BTT_UUID_LEN);
	memcpy(ret_info->parent_uuid, first->info.parent_uuid, BTT_UUID_LEN);
}

int untorn_btt_get_arena(const struct untorn_btt *btt, uint32_t arena, struct untorn_btt_arena_info *ret_info)
{
	if (arena >= btt->narena)
		return -ERANGE;

	const struct btt_arena *a = &btt->arenas[arena];
	const struct btt_geometry *g = &a->info.geometry;

	*ret_info = (struct untorn_btt_arena_info){
		.off = a->off,
		.size = geometry_arena_size(g),
		.data_off = a->off + g->dataoff,
		.map_off = a->off + g->mapoff,
		.flog_off = a->off + g->logoff,
		.info2_off = a->off + g->info2off,
		.first_lba = a->first_lba,
		.external_lbasize = g->external_lbasize,
		.internal_lbasize = g->internal_lbasize,
		.external_nlba = g->external_nlba,
		.internal_nlba = g->internal_nlba,
		.nfree = g->nfree,
		.flags = a->info.flags,
		.padding = a->padding,
		.replayed = a->replayed,
	};
	return 0;
}

struct flog_look {
	const struct btt_arena *arena;
	uint32_t lane;
	struct flog_slot slot[2];
};

static int look_at_flog(void *arg)
{
	struct flog_look *look = arg;
	const struct btt_flog_group *group = &look->arena->flog[look->lane];

	for (unsigned i = 0; i < 2; i++)
		look->slot[i] = flog_slot_load(&group->slot[flog_slot_number(look->arena->padding, i)]);
	return 0;
}

int untorn_btt_get_flog(struct untorn_btt *btt, uint32_t arena, uint32_t lane, struct untorn_btt_flog *ret_flog)
{
	struct flog_look look;
	int current, r;

	if (arena >= btt->narena || lane >= btt->arenas[arena].info.geometry.nfree || !btt->arenas[arena].laid_out)
		return -ERANGE;
	look = (struct flog_look){.arena = &btt->arenas[arena], .lane = lane};
	r = media_guarded(btt->media, look_at_flog, &look);
	if (r < 0)
		return r;
	current = flog_current(look.slot[0].seq, look.slot[1].seq);
	if (current < 0)
		return current;

	*ret_flog = (struct untorn_btt_flog){
		.current = current,
		.off = (const uint8_t *)&look.arena->flog[lane] - btt->media->base,
		.free_block = look.slot[current].old_map & BTT_MAP_BLOCK,
	};
	for (unsigned i = 0; i < 2; i++)
		ret_flog->slot[i] = (struct untorn_btt_flog_entry){
			.lba = look.slot[i].lba,
			.old_map = look.slot[i].old_map,
			.new_map = look.slot[i].new_map,
			.seq = look.slot[i].seq,
		};
	return 0;
}
