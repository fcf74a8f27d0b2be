/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Format: refuse, erase, lay out. What was recognisable before is made unrecognisable first and durably, so an
 * interrupted format leaves neither the old volume half overwritten nor a new one half written.
 */
#include "btt/format.h"

#include <string.h>

#include "btt/info.h"
#include "btt/layout.h"
#include "btt/pool.h"
#include "btt/probe.h"

#define LABEL_INDEX_SIGNATURE "NAMESPACE_INDEX" /* with its NUL: 16 bytes */
#define LABEL_AREA_MAX        (16ull << 20)     /* how far from the end an NVDIMM's label area is looked for */

static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_PMEMBLK, UNTORN_BTT_V1_1, UNTORN_BTT_V2_0};

/* ---------------------------------------------------------- recognise ----------------------------------------------------- */

static int has_bytes(struct untorn_media *media, uint64_t off, const void *bytes, size_t len, bool *ret_has)
{
	uint8_t seen[16];
	int r;

	*ret_has = false;
	if (!range_fits(off, len, untorn_media_size(media)))
		return 0;
	r = media_read_data(media, off, seen, len);
	if (r == 0)
		*ret_has = memcmp(seen, bytes, len) == 0;
	return r;
}

/* Where the backup of the first or of the last arena would be, judged by the container's size alone. SPEC 1.4. */
static uint64_t backup_off(const struct btt_profile *profile, uint64_t size, bool last)
{
	uint64_t narena = geometry_narena(profile, size);
	uint64_t start = profile->base + (last ? narena - 1 : 0) * BTT_ARENA_MAX;

	return start + geometry_backup_off(size - start);
}

static int has_info(struct untorn_media *media, uint64_t off, bool *ret_has)
{
	return has_bytes(media, off, BTT_SIGNATURE, BTT_SIGNATURE_LEN, ret_has);
}

static const char *btt_name(enum untorn_btt_layout layout)
{
	switch (layout) {
	case UNTORN_BTT_V1_1:
		return "BTT 1.1";
	case UNTORN_BTT_V2_0:
		return "BTT 2.0";
	default:
		return "BTT of a pmemblk pool";
	}
}

static int recognise_btt(struct untorn_media *media, const char **ret_what)
{
	bool has = false;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		r = has_info(media, btt_profile(layouts[i])->base, &has);
		if (r == 0 && has)
			*ret_what = btt_name(layouts[i]);
		if (r < 0 || has)
			return r;
	}
	return 0;
}

/* All that is left of a volume whose first info block was destroyed. */
static int recognise_backup(struct untorn_media *media, const char **ret_what)
{
	uint64_t size = untorn_media_size(media);
	bool has = false;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct btt_profile *profile = btt_profile(layouts[i]);

		for (int last = 0; last < 2 && geometry_narena(profile, size) > 0; last++) {
			r = has_info(media, backup_off(profile, size, last), &has);
			if (r == 0 && has)
				*ret_what = "backup of a BTT's info block";
			if (r < 0 || has)
				return r;
		}
	}
	return 0;
}

/* The label area of an NVDIMM image lies at its end; its size is not written anywhere. */
static int recognise_labels(struct untorn_media *media, const char **ret_what)
{
	uint64_t size = untorn_media_size(media), off = size > LABEL_AREA_MAX ? size - LABEL_AREA_MAX : 0;

	for (; off < size; off += BTT_BLOCK) {
		uint64_t data, end;
		bool has;
		int r = untorn_media_next_data(media, off, &data, &end);

		if (r < 0)
			return r;
		off = round_down(data, BTT_BLOCK);
		r = has_bytes(media, off, LABEL_INDEX_SIGNATURE, sizeof(LABEL_INDEX_SIGNATURE), &has);
		if (r < 0)
			return r;
		if (has) {
			*ret_what = "NVDIMM label area";
			return 0;
		}
	}
	return 0;
}

int untorn_btt_recognise(struct untorn_media *media, const char **ret_what)
{
	const char *what = NULL;
	bool is_pool;
	int r;

	r = has_bytes(media, 0, POOL_SIGNATURE, sizeof(POOL_SIGNATURE), &is_pool);
	if (r < 0)
		return r;
	if (is_pool)
		what = "pmemblk pool";
	else
		r = recognise_btt(media, &what);
	if (r == 0 && !what)
		r = recognise_labels(media, &what);
	if (r == 0 && !what)
		r = recognise_backup(media, &what);
	if (r == 0)
		*ret_what = what;
	return r;
}

/* ------------------------------------------------------------ erase ------------------------------------------------------- */

/* Only what claims to be an info block: the place may hold data of a volume in another layout. */
static int erase_info(struct untorn_media *media, uint64_t off)
{
	bool has;
	int r = has_info(media, off, &has);

	return r < 0 || !has ? r : untorn_media_zero(media, off, BTT_BLOCK);
}

/* Both info blocks of every arena that the layout could have here. Without its first primary it is no BTT any more. */
static int erase_layout(struct untorn_media *media, const struct btt_profile *profile)
{
	uint64_t size = untorn_media_size(media), narena = geometry_narena(profile, size);

	for (uint64_t n = 0; n < narena; n++) {
		uint64_t start = profile->base + n * BTT_ARENA_MAX;
		int r = erase_info(media, start);

		if (r == 0)
			r = erase_info(media, start + geometry_backup_off(size - start));
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Make what is here unrecognisable, to open and to repair. The layout that is in use goes first: as long as a repair could
 * bring it back from its backups, nothing of its data is touched. A pool's header goes before its info block, since a header
 * alone is an empty pool.
 */
static int erase_infos(struct untorn_media *media)
{
	const struct btt_profile *profile = NULL;
	uint8_t poolset_uuid[BTT_UUID_LEN];
	bool is_pool;
	int r = has_bytes(media, 0, POOL_SIGNATURE, sizeof(POOL_SIGNATURE), &is_pool);

	if (r < 0)
		return r;
	if (btt_probe(media, UNTORN_BTT_AUTO, &profile, poolset_uuid) < 0)
		profile = NULL;
	if (is_pool)
		r = untorn_media_zero(media, 0, POOL_HEADER_SIZE);
	if (r == 0 && profile)
		r = erase_layout(media, profile);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(layouts); i++)
		r = erase_layout(media, btt_profile(layouts[i]));
	return r;
}

int untorn_btt_erase(struct untorn_media *media)
{
	if (!media)
		return -EINVAL;
	return untorn_media_is_read_only(media) ? -EROFS : erase_infos(media);
}

/* Sectors of a new volume read as zeros where the file system can take back what the file held. */
static int give_back(struct untorn_media *media)
{
	struct untorn_media *root = media->root;
	int r;

	if (!root->ops->punch)
		return 0;
	r = root->ops->punch(root, media->root_off, media->size);
	return r == -EOPNOTSUPP ? 0 : r;
}

/* ------------------------------------------------------------ format ------------------------------------------------------ */

static int write_pool_header(struct untorn_media *media, const struct pool_header *header, uint32_t bsize)
{
	struct pool_descriptor descriptor = {.bsize = le32_make(bsize)};
	int r = untorn_media_write(media, POOL_HEADER_SIZE, &descriptor, sizeof(descriptor));

	return r < 0 ? r : untorn_media_write(media, 0, header, sizeof(*header));
}

static int check_options(const struct untorn_media *media, const struct untorn_btt_format_options *options,
			 const struct btt_profile *profile, uint32_t sector_size)
{
	uint64_t narena, off;
	struct btt_geometry g;

	if (options->flags & ~UNTORN_BTT_FORCE || !profile || !untorn_btt_sector_size_ok(profile->layout, sector_size))
		return -EINVAL;
	if (untorn_media_is_read_only(media))
		return -EROFS;
	/* The last arena is the smallest: where it has room, all have. */
	narena = geometry_narena(profile, untorn_media_size(media));
	if (narena == 0)
		return -ENXIO;
	return geometry_arena(profile, untorn_media_size(media), sector_size, narena - 1, &off, &g);
}

int untorn_btt_format(struct untorn_media *media, const struct untorn_btt_format_options *options)
{
	const struct btt_profile *profile =
		btt_profile(options->layout == UNTORN_BTT_AUTO ? UNTORN_BTT_V1_1 : options->layout);
	uint32_t sector_size = options->sector_size ? options->sector_size : 4096;
	const uint8_t *parent_uuid = options->parent_uuid;
	struct pool_header header;
	const char *what = NULL;
	int r;

	r = check_options(media, options, profile, sector_size);
	if (r < 0)
		return r;
	if (!(options->flags & UNTORN_BTT_FORCE)) {
		r = untorn_btt_recognise(media, &what);
		if (r < 0)
			return r;
		if (what)
			return -EEXIST;
	}
	if (profile->layout == UNTORN_BTT_PMEMBLK) {
		pool_make(options->parent_uuid, &header);
		parent_uuid = header.poolset_uuid;
	}

	r = erase_infos(media);
	if (r == 0)
		r = give_back(media);
	if (r == 0)
		r = layout_write(media, profile, sector_size, options->uuid, parent_uuid);
	/* Last, so that a cut before leaves no pool. */
	if (r == 0 && profile->layout == UNTORN_BTT_PMEMBLK)
		r = write_pool_header(media, &header, sector_size);
	return r;
}
