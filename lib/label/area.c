/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Index blocks and slots of one label area.
 *
 * There are two index blocks, and the newer valid one counts (SPEC 9.4). Always true, but for an area without labels:
 *  - the current index block is valid, and neither it nor a label that it counts is ever written to;
 *  - what is written is durable before anything relies on it: labels before the index block that counts them, that index
 *    block before the other one is touched.
 * So a power cut at any instant leaves an index block with what stood before the transaction, or with what it made.
 *
 * After a write that failed, what stands on media is not known: it is read again before anything else happens.
 */
#include "label/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/fletcher64.h"

/* Sequence numbers of the blocks of a new area. SPEC 9.6. */
static const uint32_t first_seq[2] = {3, 2};

/* ------------------------------------------------------------- geometry -------------------------------------------------- */

struct geometry {
	uint32_t nslot, index_size;
};

static uint64_t index_size_for(uint64_t nslot)
{
	return round_up(sizeof(struct label_index_block) + (nslot + 7) / 8, LABEL_INDEX_ALIGN);
}

/* SPEC 9.3. size is below 2^32. */
static bool geometry_of(uint32_t label_size, uint64_t size, struct geometry *ret_geometry)
{
	uint64_t reserved = 2 * index_size_for(size / label_size), nslot, index_size;

	if (reserved > size)
		return false;
	nslot = (size - reserved) / label_size;
	index_size = index_size_for(nslot);
	if (nslot < LABEL_NSLOT_MIN || 2 * index_size > size - nslot * label_size)
		return false;
	*ret_geometry = (struct geometry){.nslot = (uint32_t)nslot, .index_size = (uint32_t)index_size};
	return true;
}

static uint32_t label_size_of(enum untorn_label_version version)
{
	return version == UNTORN_LABEL_V1_1 ? LABEL_SIZE_V1_1 : LABEL_SIZE_V1_2;
}

const char *untorn_label_version_name(enum untorn_label_version version)
{
	static const char *const names[] = {"none", "1.1", "1.2"};

	return (size_t)version < ARRAY_SIZE(names) ? names[version] : "unknown";
}

uint32_t untorn_label_nslot(enum untorn_label_version version, uint64_t size)
{
	struct geometry g;

	if (version != UNTORN_LABEL_V1_1 && version != UNTORN_LABEL_V1_2)
		return 0;
	return size <= UINT32_MAX && geometry_of(label_size_of(version), size, &g) ? g.nslot : 0;
}

/* -------------------------------------------------------- reading the index ---------------------------------------------- */

static uint32_t next_seq(uint32_t seq)
{
	return (seq & LABEL_SEQ_MASK) % 3 + 1;
}

static uint64_t index_checksum(const void *block, size_t size)
{
	return fletcher64(block, size, offsetof(struct label_index_block, checksum), sizeof(le64));
}

/* Bytes of a label, as the index block says; 0: a size that does not exist. */
static uint32_t stated_label_size(const struct label_index_block *b)
{
	if (le16_get(b->major) < 1 || (le16_get(b->major) == 1 && le16_get(b->minor) < 2))
		return LABEL_SIZE_V1_1;
	return b->labelsize <= 1 ? LABEL_SIZE_V1_1 << b->labelsize : 0;
}

/* The first rule of SPEC 9.4 that block number i breaks. Its signature is right. block holds g->index_size bytes. */
static struct label_fault index_fault(const uint8_t *block, unsigned i, uint64_t size, uint32_t label_size,
				      const struct geometry *g)
{
	const struct label_index_block *b = (const struct label_index_block *)block;
	const uint64_t index_size = g->index_size, nslot = le32_get(b->nslot), mysize = le64_get(b->mysize);
	const struct label_fault exact[] = {
		{"labelsize", stated_label_size(b), label_size},
		{"checksum", le64_get(b->checksum), index_checksum(block, index_size)},
		{"myoff", le64_get(b->myoff), i * index_size},
		{"otheroff", le64_get(b->otheroff), (1 - i) * index_size},
		{"labeloff", le64_get(b->labeloff), 2 * index_size},
	};
	/* The slots end with the area, and their bits with the index block. */
	const uint64_t nslot_max =
		min_u64((size - 2 * index_size) / label_size, (index_size - sizeof(struct label_index_block)) * 8);

	for (size_t k = 0; k < ARRAY_SIZE(exact); k++)
		if (exact[k].seen != exact[k].expected)
			return exact[k];
	if ((le32_get(b->seq) & LABEL_SEQ_MASK) == 0)
		return (struct label_fault){"seq", le32_get(b->seq), 1};
	if (mysize < sizeof(struct label_index_block) || mysize > index_size)
		return (struct label_fault){"mysize", mysize, index_size};
	if (nslot > nslot_max)
		return (struct label_fault){"nslot", nslot, nslot_max};
	return (struct label_fault){0};
}

static bool bit_is_set(const uint8_t *index_block, uint32_t slot)
{
	return index_block[sizeof(struct label_index_block) + slot / 8] >> slot % 8 & 1;
}

/* Bits behind nslot have no meaning: some writers set them. */
static uint32_t count_free(const uint8_t *index_block, uint32_t nslot)
{
	const uint8_t *bits = index_block + sizeof(struct label_index_block);
	uint32_t n = 0;

	for (uint32_t i = 0; i < nslot / 8; i++)
		n += (uint32_t)__builtin_popcount(bits[i]);
	for (uint32_t slot = nslot & ~7u; slot < nslot; slot++)
		n += bit_is_set(index_block, slot);
	return n;
}

/* Read block i to where it belongs in blocks and judge it. A block without signature is not read further. */
static int read_block(const struct untorn_label_area *area, unsigned i, uint32_t label_size, const struct geometry *g,
		      uint8_t *blocks, struct label_index *index)
{
	uint8_t *block = blocks + (size_t)i * g->index_size;
	const struct label_index_block *b = (const struct label_index_block *)block;
	uint64_t off = area->off + (uint64_t)i * g->index_size;
	int r = media_read_data(area->media, off, block, sizeof(b->signature));

	if (r < 0)
		return r;
	if (memcmp(b->signature, LABEL_INDEX_SIGNATURE, sizeof(b->signature)) != 0) {
		index->fault[i] = (struct label_fault){.field = "signature"};
		return 0;
	}
	r = untorn_media_read(area->media, off, block, g->index_size);
	if (r < 0)
		return r;
	index->seq[i] = le32_get(b->seq);
	index->fault[i] = index_fault(block, i, area->size, label_size, g);
	return 0;
}

/* Which of two valid blocks is newer. */
static int newer(uint32_t seq0, uint32_t seq1)
{
	return (seq0 & LABEL_SEQ_MASK) == (seq1 & LABEL_SEQ_MASK) || next_seq(seq0) == (seq1 & LABEL_SEQ_MASK);
}

static void choose_block(struct label_index *index, uint32_t label_size, const struct geometry *g, uint8_t *blocks)
{
	const bool ok[2] = {!index->fault[0].field, !index->fault[1].field};
	const struct label_index_block *b;

	index->current = ok[0] && ok[1] ? newer(index->seq[0], index->seq[1]) : ok[1];
	index->block = blocks;
	index->next = blocks + g->index_size;
	if (index->current == 1)
		memcpy(index->block, index->next, g->index_size);
	b = (const struct label_index_block *)index->block;
	index->version = label_size == LABEL_SIZE_V1_1 ? UNTORN_LABEL_V1_1 : UNTORN_LABEL_V1_2;
	index->cookie_v1_1 = le16_get(b->major) == 1 && le16_get(b->minor) == 1;
	index->label_size = label_size;
	index->index_size = g->index_size;
	index->nslot = le32_get(b->nslot);
	index->nfree = count_free(index->block, index->nslot);
	index->torn = index->fault[1 - index->current].field;
}

/* One label size: index->version stays NONE when no block is valid for it. */
static int read_index_as(const struct untorn_label_area *area, uint32_t label_size, struct label_index *index)
{
	_cleanup_free_ uint8_t *blocks = NULL;
	struct geometry g;
	int r = 0;

	*index = (struct label_index){.fault = {{.field = "size"}, {.field = "size"}}};
	if (!geometry_of(label_size, area->size, &g))
		return 0;
	blocks = calloc(2, g.index_size);
	if (!blocks)
		return -ENOMEM;
	for (unsigned i = 0; i < 2 && r == 0; i++)
		r = read_block(area, i, label_size, &g, blocks, index);
	if (r < 0 || (index->fault[0].field && index->fault[1].field))
		return r;
	choose_block(index, label_size, &g, blocks);
	blocks = NULL; /* they are the index's now */
	return 0;
}

/* Of an area without a valid block: do the faults tell more than that there is no block of this label size? */
static bool tells_something(const struct label_index *index)
{
	for (unsigned i = 0; i < 2; i++) {
		const char *field = index->fault[i].field;

		if (strcmp(field, "size") != 0 && strcmp(field, "signature") != 0 && strcmp(field, "labelsize") != 0)
			return true;
	}
	return false;
}

/* The smaller label size that yields a valid block wins. */
static int read_index(const struct untorn_label_area *area, struct label_index *ret_index)
{
	struct label_index v1_1, v1_2;
	int r = read_index_as(area, LABEL_SIZE_V1_1, &v1_1);

	if (r == 0 && v1_1.version == UNTORN_LABEL_NONE) {
		r = read_index_as(area, LABEL_SIZE_V1_2, &v1_2);
		if (r == 0 && (v1_2.version != UNTORN_LABEL_NONE || !tells_something(&v1_1)))
			v1_1 = v1_2;
	}
	if (r == 0)
		*ret_index = v1_1;
	return r;
}

int untorn_label_reload(struct untorn_label_area *area)
{
	struct label_index index;
	int r = read_index(area, &index);

	if (r < 0)
		return r;
	free(area->index.block);
	area->index = index;
	area->stale = false;
	return 0;
}

int area_sync(struct untorn_label_area *area)
{
	return area->stale ? untorn_label_reload(area) : 0;
}

int untorn_label_open(struct untorn_media *media, uint64_t off, uint64_t size, struct untorn_label_area **ret_area)
{
	struct untorn_label_area *area;
	int r;

	if (!is_aligned(off, 8) || !is_aligned(size, 8) || size == 0 || size > UINT32_MAX)
		return -EINVAL;
	if (!range_fits(off, size, untorn_media_size(media)))
		return -ERANGE;
	area = calloc(1, sizeof(*area));
	if (!area)
		return -ENOMEM;
	*area = (struct untorn_label_area){.media = media, .off = off, .size = size};
	r = untorn_label_reload(area);
	if (r < 0) {
		untorn_label_close(area);
		return r;
	}
	*ret_area = area;
	return 0;
}

void untorn_label_close(struct untorn_label_area *area)
{
	if (!area)
		return;
	free(area->index.block);
	free(area);
}

void untorn_label_get_info(const struct untorn_label_area *area, struct untorn_label_area_info *ret_info)
{
	const struct label_index *index = &area->index;

	*ret_info = (struct untorn_label_area_info){
		.version = index->version,
		.size = area->size,
		.label_size = index->label_size,
		.index_size = index->index_size,
		.nslot = index->nslot,
		.nfree = index->nfree,
		.current = index->current,
		.seq = {index->seq[0], index->seq[1]},
		.fault = {index->fault[0].field, index->fault[1].field},
	};
}

/* ------------------------------------------------------------- writing --------------------------------------------------- */

/* Durable on return. off is within the area. */
static int write_bytes(struct untorn_label_area *area, uint64_t off, const void *bytes, size_t len)
{
	int r = untorn_media_write(area->media, area->off + off, bytes, len);

	if (r < 0 && r != -EROFS)
		area->stale = true;
	return r;
}

/* Make a block invalid at one instant. Durable on return. */
static int wipe_signature(struct untorn_label_area *area, uint64_t off)
{
	static const uint8_t no_signature[8];

	return write_bytes(area, off, no_signature, sizeof(no_signature));
}

/*
 * A block whose writing was cut may lack no more than a few bytes, and a cut in the writing of the next one may bring just those.
 * Then it would count, and its slots by then hold something else. So nothing is left of it before anything else is written; its
 * signature goes first, or the zeros could be what it lacks.
 */
static int wipe_torn(struct untorn_label_area *area)
{
	struct label_index *index = &area->index;
	const unsigned other = 1 - (unsigned)index->current;
	int r;

	if (!area_has_index(area) || !index->torn)
		return 0;
	r = wipe_signature(area, (uint64_t)other * index->index_size);
	/* Power cut from here on: the block does not count, whatever is left of it. */
	if (r == 0)
		r = untorn_media_zero(area->media, area->off + (uint64_t)other * index->index_size, index->index_size);
	if (r < 0) {
		area->stale |= r != -EROFS;
		return r;
	}
	index->torn = false;
	index->seq[other] = 0;
	index->fault[other] = (struct label_fault){.field = "signature"};
	return 0;
}

/* Where index blocks may begin, of either version, and where the last of them ends. */
struct index_places {
	uint64_t at[3];
	unsigned n;
	uint64_t end;
};

static void find_index_places(const struct untorn_label_area *area, struct index_places *ret_places)
{
	static const uint32_t label_sizes[] = {LABEL_SIZE_V1_2, LABEL_SIZE_V1_1};
	struct index_places places = {.n = 1};
	struct geometry g;

	for (size_t i = 0; i < ARRAY_SIZE(label_sizes); i++) {
		if (!geometry_of(label_sizes[i], area->size, &g))
			continue;
		if (places.at[places.n - 1] != g.index_size)
			places.at[places.n++] = g.index_size;
		places.end = 2ull * g.index_size;
	}
	*ret_places = places;
}

/* Make the area one without labels, at one instant; and no leftover of a block may ever count. */
static int forget_index(struct untorn_label_area *area, const struct index_places *places)
{
	const unsigned current = (unsigned)area->index.current;
	int r = 0;

	if (area_has_index(area)) {
		r = wipe_signature(area, (uint64_t)(1 - current) * area->index.index_size);
		/* Power cut before here: the current block with its labels. Then: none of both. */
		if (r == 0)
			r = wipe_signature(area, (uint64_t)current * area->index.index_size);
	}
	for (unsigned i = 0; i < places->n && r == 0; i++)
		r = wipe_signature(area, places->at[i]);
	return r;
}

/* An index block that says that all slots are free. Durable on return. */
static int write_empty(struct untorn_label_area *area, uint32_t label_size, unsigned i, uint32_t seq)
{
	_cleanup_free_ uint8_t *block = NULL;
	struct label_index_block *b;
	struct geometry g;

	if (!geometry_of(label_size, area->size, &g))
		return -ENOSPC;
	block = calloc(1, g.index_size);
	if (!block)
		return -ENOMEM;
	b = (struct label_index_block *)block;
	*b = (struct label_index_block){
		.labelsize = label_size == LABEL_SIZE_V1_2,
		.seq = le32_make(seq),
		.myoff = le64_make((uint64_t)i * g.index_size),
		.mysize = le64_make(g.index_size),
		.otheroff = le64_make((uint64_t)(1 - i) * g.index_size),
		.labeloff = le64_make(2ull * g.index_size),
		.nslot = le32_make(g.nslot),
		.major = le16_make(1),
		.minor = le16_make(label_size == LABEL_SIZE_V1_2 ? 2 : 1),
	};
	memcpy(b->signature, LABEL_INDEX_SIGNATURE, sizeof(b->signature));
	for (uint32_t slot = 0; slot < g.nslot; slot++)
		block[sizeof(*b) + slot / 8] |= (uint8_t)(1u << slot % 8);
	b->checksum = le64_make(index_checksum(block, g.index_size));
	return write_bytes(area, (uint64_t)i * g.index_size, block, g.index_size);
}

/* Free all slots of a valid index, keeping its label size. */
static int empty_index(struct untorn_label_area *area)
{
	const uint32_t label_size = area->index.label_size;
	const unsigned current = (unsigned)area->index.current, other = 1 - current;
	int r = wipe_torn(area);

	if (r == 0)
		r = write_empty(area, label_size, other, next_seq(area->index.seq[current]));
	/* Power cut before here: the current block with its labels. From here on: the other, without any. */
	if (r == 0)
		r = write_empty(area, label_size, current, first_seq[current]);
	/* Both are empty, whichever counts. */
	return r < 0 ? r : write_empty(area, label_size, other, first_seq[other]);
}

/*
 * Write both blocks where no block is valid, or where all valid ones are empty and of the other label size. The index of v1.1 is
 * the larger one, and its blocks win over those of v1.2 as long as one is valid.
 *
 * v1.1 over v1.2: block 1 first. It lies behind the old block 0, which is valid until the new block 1 wins.
 * v1.2 over v1.1: block 0 first. It lies before the old block 1, which wins until it is overwritten by the new block 1 or, where
 * it lies behind that, until its signature is wiped out.
 */
static int write_both(struct untorn_label_area *area, enum untorn_label_version version)
{
	const uint32_t label_size = label_size_of(version);
	const unsigned first = version == UNTORN_LABEL_V1_1 && area->index.version == UNTORN_LABEL_V1_2;
	struct geometry v1_1, v1_2;
	int r = write_empty(area, label_size, first, first_seq[first]);

	if (r == 0)
		r = write_empty(area, label_size, 1 - first, first_seq[1 - first]);
	if (r < 0 || version != UNTORN_LABEL_V1_2 || !geometry_of(LABEL_SIZE_V1_1, area->size, &v1_1) ||
	    !geometry_of(LABEL_SIZE_V1_2, area->size, &v1_2) || v1_1.index_size < 2 * v1_2.index_size)
		return r;
	return wipe_signature(area, v1_1.index_size);
}

/* No leftover of a block may become a whole one while new ones are written. */
static int clear_leftovers(struct untorn_label_area *area, enum untorn_label_version version)
{
	struct index_places places;
	struct geometry g;
	int r;

	if (!geometry_of(label_size_of(version), area->size, &g))
		return -ENOSPC;
	find_index_places(area, &places);
	r = forget_index(area, &places);
	/* Power cut here: no block counts, as before. */
	return r < 0 ? r : untorn_media_zero(area->media, area->off, 2ull * g.index_size);
}

/* What stands there now, after a change that may have failed in its middle. r is what it returned, which goes first. */
static int reread(struct untorn_label_area *area, int r)
{
	int again;

	area->stale = true;
	again = area_sync(area);
	return r < 0 ? r : again;
}

int untorn_label_init(struct untorn_label_area *area, enum untorn_label_version version, unsigned flags)
{
	enum untorn_label_version old;
	int r;

	if ((version != UNTORN_LABEL_V1_1 && version != UNTORN_LABEL_V1_2) || flags & ~(unsigned)UNTORN_LABEL_FORCE)
		return -EINVAL;
	r = area_sync(area);
	if (r < 0)
		return r;
	old = area->index.version;
	if (old != UNTORN_LABEL_NONE && !(flags & UNTORN_LABEL_FORCE))
		return -EEXIST;
	if (untorn_label_nslot(version, area->size) == 0)
		return -ENOSPC;
	r = old == UNTORN_LABEL_NONE ? clear_leftovers(area, version) : empty_index(area);
	if (r == 0 && old != version)
		r = write_both(area, version);
	return reread(area, r);
}

int untorn_label_read(struct untorn_label_area *area, uint64_t off, void *buf, size_t len)
{
	return range_fits(off, len, area->size) ? untorn_media_read(area->media, area->off + off, buf, len) : -ERANGE;
}

/* Of the blocks at places[0] and places[1] in bytes, put the one that would count first. */
static void order_by_age(const uint8_t *bytes, uint64_t *places)
{
	const struct label_index_block *b0 = (const struct label_index_block *)(bytes + places[0]);
	const struct label_index_block *b1 = (const struct label_index_block *)(bytes + places[1]);

	if (newer(le32_get(b0->seq), le32_get(b1->seq))) {
		uint64_t first = places[1];

		places[1] = places[0];
		places[0] = first;
	}
}

/*
 * Write bytes that bring index blocks of their own: all but the signatures, then these, first the one of the block that is to
 * count. A power cut leaves the old labels, none, or the new ones; not a mixture.
 */
static int write_with_index(struct untorn_label_area *area, const struct index_places *places, const uint8_t *buf,
			    size_t len)
{
	const size_t unit = sizeof(le64); /* what arrives as a whole */
	_cleanup_free_ uint8_t *bytes = malloc(len);
	uint64_t held[3];
	unsigned nheld = 0;
	int r;

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, buf, len);
	for (unsigned i = 0; i < places->n; i++)
		if (memcmp(buf + places->at[i], LABEL_INDEX_SIGNATURE, sizeof(LABEL_INDEX_SIGNATURE)) == 0) {
			memset(bytes + places->at[i], 0, unit);
			held[nheld++] = places->at[i];
		}
	if (nheld > 1)
		order_by_age(bytes, held);
	r = forget_index(area, places);
	if (r == 0)
		r = write_bytes(area, 0, bytes, len);
	/* Power cut here: no labels. Then: the new ones. */
	for (unsigned i = 0; i < nheld && r == 0; i++)
		r = write_bytes(area, held[i], buf + held[i], unit);
	return r;
}

/* Where index blocks may stand, before bytes of [off, off + len) change. *ret_all: the range has all of these places. */
static int look_before_change(struct untorn_label_area *area, uint64_t off, uint64_t len, struct index_places *places,
			      bool *ret_all)
{
	int r;

	if (!range_fits(off, len, area->size))
		return -ERANGE;
	r = area_sync(area);
	if (r < 0)
		return r;
	find_index_places(area, places);
	*ret_all = off == 0 && places->end > 0 && len >= places->end;
	return 0;
}

int untorn_label_write(struct untorn_label_area *area, uint64_t off, const void *buf, size_t len)
{
	struct index_places places;
	bool all;
	int r = look_before_change(area, off, len, &places, &all);

	if (r < 0)
		return r;
	r = all ? write_with_index(area, &places, buf, len) : write_bytes(area, off, buf, len);
	return reread(area, r);
}

int untorn_label_zero(struct untorn_label_area *area, uint64_t off, uint64_t len)
{
	struct index_places places;
	bool all;
	int r = look_before_change(area, off, len, &places, &all);

	if (r < 0)
		return r;
	if (all)
		r = forget_index(area, &places);
	if (r == 0)
		r = untorn_media_zero(area->media, area->off + off, len);
	return reread(area, r);
}

/* -------------------------------------------------------------- slots ---------------------------------------------------- */

static uint64_t slot_off(const struct untorn_label_area *area, uint32_t slot)
{
	return 2ull * area->index.index_size + (uint64_t)slot * area->index.label_size;
}

bool area_slot_is_free(const struct untorn_label_area *area, uint32_t slot)
{
	return bit_is_set(area->index.block, slot);
}

int area_read_slot(struct untorn_label_area *area, uint32_t slot, struct label_block *ret_block)
{
	struct label_block block = {0};
	int r = untorn_label_read(area, slot_off(area, slot), &block, area->index.label_size);

	if (r == 0)
		*ret_block = block;
	return r;
}

void area_begin(struct untorn_label_area *area)
{
	memcpy(area->index.next, area->index.block, area->index.index_size);
}

int area_add(struct untorn_label_area *area, uint32_t from, struct untorn_label *label)
{
	struct label_index *index = &area->index;
	struct label_block block;
	uint32_t slot = from;
	int r;

	while (slot < index->nslot && !(bit_is_set(index->block, slot) && bit_is_set(index->next, slot)))
		slot++;
	if (slot >= index->nslot)
		return -ENOSPC;
	r = wipe_torn(area);
	if (r < 0)
		return r;
	label->slot = label->slot_field = slot;
	label_encode(label, index->label_size, &block);
	r = write_bytes(area, slot_off(area, slot), &block, index->label_size);
	/* Power cut here: the slot is still free, and so what stands there has no meaning. */
	if (r == 0)
		index->next[sizeof(struct label_index_block) + slot / 8] &= (uint8_t) ~(1u << slot % 8);
	return r;
}

void area_free(struct untorn_label_area *area, uint32_t slot)
{
	area->index.next[sizeof(struct label_index_block) + slot / 8] |= (uint8_t)(1u << slot % 8);
}

int area_commit(struct untorn_label_area *area)
{
	struct label_index *index = &area->index;
	struct label_index_block *b = (struct label_index_block *)index->next;
	const uint64_t other = 1 - (uint64_t)index->current;
	uint8_t *block = index->block;
	int r;

	r = wipe_torn(area);
	if (r < 0)
		return r;
	b->seq = le32_make(next_seq(le32_get(b->seq)));
	b->myoff = le64_make(other * index->index_size);
	b->mysize = le64_make(index->index_size);
	b->otheroff = le64_make((1 - other) * index->index_size);
	b->checksum = le64_make(index_checksum(b, index->index_size));
	r = write_bytes(area, other * index->index_size, b, index->index_size);
	if (r < 0)
		return r;
	/* Power cut before here: the current block counts, or the new one if all of it arrived. From here on: the new one. */
	memcpy(block, b, index->index_size);
	index->current = (int)other;
	index->seq[other] = le32_get(b->seq);
	index->fault[other] = (struct label_fault){0};
	index->nfree = count_free(block, index->nslot);
	return 0;
}
