/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hostile label areas. Every field of index blocks and labels at its extremes, with right and with wrong checksums; areas that are
 * too short; random changes from fixed seeds; areas full of labels that mean as much trouble as they can.
 *
 * Whatever stands there: every function comes back with an errno of its own, what assembles is inside its mapping and disjoint,
 * Linux accepts what we accept and sees the same in it, and after finishing there is nothing left to finish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fletcher64.h"
#include "label/area.h"
#include "labels.h"
#include "le-bytes.h"
#include "media/memory.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* The kinds of areas that are changed. */
struct kind {
	const char *name;
	enum untorn_label_set_kind set;
	enum untorn_label_version version;
	unsigned ways;
};

static const struct kind kinds[] = {
	{"one way, 1.1", UNTORN_LABEL_SET_PMEM, UNTORN_LABEL_V1_1, 1},
	{"two ways, 1.1", UNTORN_LABEL_SET_PMEM, UNTORN_LABEL_V1_1, 2},
	{"two ways, 1.2", UNTORN_LABEL_SET_PMEM, UNTORN_LABEL_V1_2, 2},
	{"three ways, 1.2", UNTORN_LABEL_SET_PMEM, UNTORN_LABEL_V1_2, 3},
	{"blk, 1.1", UNTORN_LABEL_SET_BLK, UNTORN_LABEL_V1_1, 1},
	{"blk, 1.2", UNTORN_LABEL_SET_BLK, UNTORN_LABEL_V1_2, 1},
};

static uint8_t sound[LABELS_MEDIUM], image[LABELS_MEDIUM];
static unsigned long driven, refused, finished;
static const char *what;

static struct untorn_media *wrap(uint8_t *bytes)
{
	struct untorn_media *media;

	assert_int_equal(memory_media_wrap(bytes, LABELS_MEDIUM, &media), 0);
	return media;
}

/* Two namespaces, and the leftovers of updates. */
static void make_sound(const struct kind *k)
{
	struct untorn_label_extent one[8], two[LABELS_WAYS];
	struct untorn_label_namespace a, b;
	struct untorn_media *media;
	struct labels l;

	memset(sound, 0, sizeof(sound));
	media = wrap(sound);
	labels_open(&l, media, k->set, k->ways);
	for (unsigned m = 0; m < k->ways; m++)
		assert_int_equal(untorn_label_init(l.areas[m], k->version, 0), 0);
	a = labels_namespace(&l, 1, "one", 0x100000, 0x100000, one);
	b = labels_namespace(&l, 2, "two", 0x400000, 0x100000, two);
	if (k->set == UNTORN_LABEL_SET_BLK) {
		one[1] = (struct untorn_label_extent){.dpa = LABELS_DPA(0) + 0x800000, .size = 0x1000};
		a.nextent = 2;
	}
	assert_int_equal(untorn_label_put(&l.set, &a, NULL), 0);
	assert_int_equal(untorn_label_put(&l.set, &b, NULL), 0);
	labels_close(&l);
	untorn_media_close(media);
}

/* ------------------------------------------------------------ drive ------------------------------------------------------ */

static void expect(bool ok, const char *promise)
{
	if (!ok)
		fail_msg("%s: %s", what, promise);
}

static bool is_known(int r)
{
	return r == 0 || r == -EINVAL || r == -ENXIO || r == -ENOSPC || r == -EUCLEAN || r == -ENOENT;
}

static int count_finding(void *arg, const struct untorn_label_finding *finding)
{
	unsigned *n = arg;

	expect(finding->kind < UNTORN_LABEL_FINDING_KINDS && finding->field, "a finding without name");
	++*n;
	return 0;
}

static void look_at_area(struct untorn_label_area *area)
{
	struct untorn_label_area_info info;
	struct untorn_label label;
	unsigned findings = 0;
	uint32_t active = 0, next = 0;

	untorn_label_get_info(area, &info);
	expect(info.nfree <= info.nslot && info.nslot <= LABELS_SIZE / 128, "more slots than fit");
	expect((info.version == UNTORN_LABEL_NONE) == (info.fault[0] && info.fault[1]), "a version without index");
	for (uint32_t slot = 0; slot < info.nslot; slot++) {
		expect(untorn_label_get(area, slot, &label) == 0, "a slot cannot be read");
		expect(strlen(label.name) <= UNTORN_LABEL_NAME_LEN, "an endless name");
		expect((label.state == UNTORN_LABEL_IGNORED) == (label.fault != NULL), "ignored without reason");
		active += label.state == UNTORN_LABEL_ACTIVE;
	}
	for (uint32_t slot = 0; untorn_label_next_active(area, slot, &label) == 0; slot = label.slot + 1)
		next++;
	expect(active == next, "not all active labels are found");
	expect(untorn_label_check(area, count_finding, &findings) == 0, "cannot be checked");
	expect(findings > 0 || (!info.fault[0] && !info.fault[1]), "a fault that is no finding");
}

/* Extents of all namespaces of a set lie in their windows and do not meet. */
static void look_at_extents(const struct labels *l, const struct seen *seen)
{
	for (size_t i = 0; i < seen->n; i++)
		for (size_t k = 0; k < seen->ns[i].nextent; k++) {
			const struct untorn_label_extent *a = &seen->ns[i].extents[k];

			expect(a->mapping < l->set.nmapping && a->size > 0 && a->dpa >= LABELS_DPA(a->mapping) &&
				       range_fits(a->dpa - LABELS_DPA(a->mapping), a->size, LABELS_WINDOW),
			       "an extent outside its mapping");
			for (size_t j = 0; j < i; j++)
				for (size_t n = 0; n < seen->ns[j].nextent; n++) {
					const struct untorn_label_extent *b = &seen->ns[j].extents[n];

					expect(a->mapping != b->mapping || a->dpa >= b->dpa + b->size ||
						       b->dpa >= a->dpa + a->size,
					       "two namespaces overlap");
				}
		}
}

/*
 * What we accept as it is, Linux accepts, and sees the same namespaces. It refuses a region in which a label has the right cookie
 * and the wrong type; we skip the label. In a set of several versions it goes by the first DIMM's.
 */
static void compare_with_linux(const struct labels *l, const struct seen *seen)
{
	struct seen theirs;

	for (unsigned m = 1; m < l->set.nmapping; m++)
		if (l->areas[m]->index.cookie_v1_1 != l->areas[0]->index.cookie_v1_1)
			return;
	if (l->set.kind == UNTORN_LABEL_SET_BLK || seen->r != 0 || seen->findings[UNTORN_LABEL_FINDING_INTERRUPTED] ||
	    seen->findings[UNTORN_LABEL_FINDING_TYPE])
		return;
	expect(read_as_linux(l, &theirs) == 0, "Linux refuses it");
	expect(theirs.n == seen->n, "Linux sees another number of namespaces");
	for (size_t i = 0; i < theirs.n; i++) {
		const struct seen_namespace *ours = NULL;

		for (size_t k = 0; k < seen->n; k++)
			if (memcmp(seen->ns[k].uuid, theirs.ns[i].uuid, 16) == 0)
				ours = &seen->ns[k];
		expect(ours && strcmp(ours->name, theirs.ns[i].name) == 0 && ours->lbasize == theirs.ns[i].lbasize &&
			       ours->nextent == theirs.ns[i].nextent &&
			       memcmp(ours->extents, theirs.ns[i].extents, ours->nextent * sizeof(ours->extents[0])) ==
				       0,
		       "Linux sees another namespace");
	}
}

/* Finish, then change things: nothing else may be lost. */
static void change_set(struct labels *l, struct seen *seen)
{
	struct untorn_label_extent extents[LABELS_WAYS];
	struct untorn_label_namespace ns = labels_namespace(l, 7, "another", 0x10000000, 0x1000, extents);
	struct seen now;
	uint8_t uuid[16];
	int r = untorn_label_finish(&l->set);

	expect(is_known(r) && (seen->r != 0 || r == 0 || r == -ENOSPC), "cannot be finished");
	labels_see(l, &now);
	if (r == 0) {
		expect(seen_equal(seen, &now), "finishing made something else");
		expect(now.findings[UNTORN_LABEL_FINDING_INTERRUPTED] == 0, "something is left to finish");
		compare_with_linux(l, &now);
		finished += seen->findings[UNTORN_LABEL_FINDING_INTERRUPTED] > 0;
	}
	r = untorn_label_put(&l->set, &ns, NULL);
	expect(is_known(r), "put: an unknown error");
	if (r == 0 && seen->r == 0) {
		size_t was = now.n;

		labels_see(l, &now);
		expect(now.r == 0 && now.n == was + 1 && seen_find(&now, 7), "put made something else");
		look_at_extents(l, &now);
		compare_with_linux(l, &now);
	}
	for (uint8_t id = 1; id <= 3; id++) {
		memset(uuid, id, sizeof(uuid));
		expect(is_known(untorn_label_remove(&l->set, uuid)), "remove: an unknown error");
		labels_see(l, &now);
		expect(!seen_find(&now, id), "removed and still there");
		look_at_extents(l, &now);
	}
}

/* Everything that can be done with what stands in image. */
static void drive(const struct kind *k)
{
	struct untorn_media *media = wrap(image);
	struct seen seen;
	struct labels l;

	labels_open(&l, media, k->set, k->ways);
	for (unsigned m = 0; m < k->ways; m++)
		look_at_area(l.areas[m]);
	labels_see(&l, &seen);
	expect(seen.r == 0 || seen.r == -ENXIO || seen.r == -EUCLEAN, "assemble: an unknown error");
	expect(seen.r == 0 || seen.n == 0, "refused, but told");
	refused += seen.r == -EUCLEAN;
	look_at_extents(&l, &seen);
	compare_with_linux(&l, &seen);
	change_set(&l, &seen);
	for (unsigned m = 0; m < k->ways; m++)
		expect(untorn_label_init(l.areas[m], k->version, UNTORN_LABEL_FORCE) == 0, "cannot be initialised");
	labels_see(&l, &seen);
	expect(seen.r == 0 && seen.n == 0, "initialised and not empty");
	labels_close(&l);
	untorn_media_close(media);
	driven++;
}

/* ----------------------------------------------------------- extremes ---------------------------------------------------- */

struct place {
	const char *name;
	size_t off, size;
};

#define INDEX_PLACE(member)                                                         \
	{                                                                           \
		"index block " #member, offsetof(struct label_index_block, member), \
			sizeof(((struct label_index_block *)0)->member) > 8         \
				? 8                                                 \
				: sizeof(((struct label_index_block *)0)->member)   \
	}
#define LABEL_PLACE(member)                                                                                           \
	{                                                                                                             \
		"label " #member, offsetof(struct label_block, member),                                               \
			sizeof(((struct label_block *)0)->member) > 8 ? 8 : sizeof(((struct label_block *)0)->member) \
	}

static const struct place index_places[] = {
	INDEX_PLACE(signature), INDEX_PLACE(labelsize), INDEX_PLACE(seq),      INDEX_PLACE(myoff),
	INDEX_PLACE(mysize),    INDEX_PLACE(otheroff),  INDEX_PLACE(labeloff), INDEX_PLACE(nslot),
	INDEX_PLACE(major),     INDEX_PLACE(minor),     INDEX_PLACE(checksum), {"index block bitmap", 72, 8},
};

static const struct place label_places[] = {
	LABEL_PLACE(uuid),
	LABEL_PLACE(name),
	LABEL_PLACE(flags),
	LABEL_PLACE(nlabel),
	LABEL_PLACE(position),
	LABEL_PLACE(isetcookie),
	LABEL_PLACE(lbasize),
	LABEL_PLACE(dpa),
	LABEL_PLACE(rawsize),
	LABEL_PLACE(slot),
	LABEL_PLACE(unused),
	LABEL_PLACE(type_guid),
	LABEL_PLACE(abstraction_guid),
	LABEL_PLACE(reserved),
	LABEL_PLACE(checksum),
};

#define VALUES 24

static uint64_t extreme(unsigned i, uint64_t was)
{
	const uint64_t values[VALUES] = {
		0,
		1,
		2,
		3,
		8,
		was - 1,
		was + 1,
		was + 8,
		was / 2,
		was * 2,
		was ^ 0x8,
		was + 0x1000,
		was - 0x1000,
		was + 0x300000,
		0xff,
		0xffff,
		1u << 31,
		UINT32_MAX,
		LABELS_DPA(0) + LABELS_WINDOW - 1,
		LABELS_DPA(1) + 0x400000,
		1ull << 63,
		0x1010101010101010 * 2,
		UINT64_MAX - 4095,
		UINT64_MAX,
	};

	return values[i];
}

static uint8_t *area_bytes(unsigned m)
{
	return image + m * LABELS_STRIDE + LABELS_OFF;
}

static void seal_index(unsigned m, unsigned block)
{
	uint8_t *p = area_bytes(m) + 256 * block;

	le_bytes_put(p + 64, 8, fletcher64(p, 256, 64, 8));
}

static uint8_t *slot_bytes(const struct kind *k, unsigned m, uint32_t slot)
{
	return area_bytes(m) + 512 + slot * (k->version == UNTORN_LABEL_V1_1 ? 128 : 256);
}

static void seal_label(const struct kind *k, unsigned m, uint32_t slot)
{
	uint8_t *p = slot_bytes(k, m, slot);

	if (k->version == UNTORN_LABEL_V1_2)
		le_bytes_put(p + 248, 8, fletcher64(p, 256, 248, 8));
}

static void drive_index(const struct kind *k)
{
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(index_places); i++)
		for (unsigned v = 0; v < VALUES; v++)
			for (unsigned how = 1; how < 8; how++) {
				const struct place *p = &index_places[i];

				/* Bits 0, 1: which block; 2: with its checksum. */
				if ((how & 3) == 0)
					continue;
				memcpy(image, sound, sizeof(image));
				snprintf(text, sizeof(text), "%s: %s, value %u, how %u", k->name, p->name, v, how);
				what = text;
				for (unsigned block = 0; block < 2; block++) {
					uint8_t *at = area_bytes(k->ways - 1) + 256 * block + p->off;

					if (!(how >> block & 1))
						continue;
					le_bytes_put(at, p->size, extreme(v, le_bytes_get(at, p->size)));
					if (how & 4)
						seal_index(k->ways - 1, block);
				}
				drive(k);
			}
}

static void drive_labels(const struct kind *k)
{
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(label_places); i++)
		for (unsigned v = 0; v < VALUES; v++)
			for (unsigned m = 0; m < k->ways; m++)
				for (uint32_t slot = 0; slot < 5; slot++)
					for (unsigned sealed = 0; sealed < 2; sealed++) {
						const struct place *p = &label_places[i];
						uint8_t *at;

						if (k->version == UNTORN_LABEL_V1_1 && p->off >= 128)
							continue;
						memcpy(image, sound, sizeof(image));
						snprintf(text, sizeof(text), "%s: %s, value %u, slot %u of %u", k->name,
							 p->name, v, slot, m);
						what = text;
						at = slot_bytes(k, m, slot) + p->off;
						le_bytes_put(at, p->size, extreme(v, le_bytes_get(at, p->size)));
						if (sealed)
							seal_label(k, m, slot);
						drive(k);
					}
}

static void test_extremes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		make_sound(&kinds[i]);
		memcpy(image, sound, sizeof(image));
		what = kinds[i].name;
		drive(&kinds[i]);
		drive_index(&kinds[i]);
		drive_labels(&kinds[i]);
	}
	print_message("%lu areas, %lu refused, %lu finished\n", driven, refused, finished);
	assert_true(refused > 0 && finished > 0);
}

/* ------------------------------------------------------------ random ----------------------------------------------------- */

static uint32_t random_state;

static uint32_t draw(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % n;
}

/* One label becomes like another one, on its mapping or not: twins, positions, flags. */
static void copy_label(const struct kind *k)
{
	unsigned from = draw(k->ways), to = draw(k->ways);
	uint32_t source = draw(5), slot = draw(5);
	uint8_t *p = slot_bytes(k, to, slot);

	memcpy(p, slot_bytes(k, from, source), k->version == UNTORN_LABEL_V1_1 ? 128 : 256);
	le_bytes_put(p + 120, 4, slot);
	if (draw(2))
		le_bytes_put(p + 104, 8, LABELS_DPA(to) + 0x100000ull * draw(12));
	if (draw(2))
		le_bytes_put(p + 86, 2, draw(k->ways));
	if (draw(2))
		memset(p, (int)draw(4), 16);
	le_bytes_put(p + 80, 4, draw(3) ? le_bytes_get(p + 80, 4) : draw(2) * 8);
	seal_label(k, to, slot);
}

/* Slots come into use, or go. */
static void flip_slot(const struct kind *k)
{
	unsigned m = draw(k->ways), block = draw(2);

	area_bytes(m)[256 * block + 72] ^= (uint8_t)(1u << draw(6));
	seal_index(m, block);
}

static void change_field(const struct kind *k)
{
	const struct place *p = &label_places[draw(k->version == UNTORN_LABEL_V1_1 ? 11 : ARRAY_SIZE(label_places))];
	unsigned m = draw(k->ways);
	uint32_t slot = draw(6);
	uint8_t *at = slot_bytes(k, m, slot) + p->off;

	le_bytes_put(at, p->size, extreme(draw(VALUES), le_bytes_get(at, p->size)));
	if (draw(4))
		seal_label(k, m, slot);
}

static void change_index(const struct kind *k)
{
	const struct place *p = &index_places[draw(ARRAY_SIZE(index_places))];
	unsigned m = draw(k->ways), block = draw(2);
	uint8_t *at = area_bytes(m) + 256 * block + p->off;

	le_bytes_put(at, p->size, extreme(draw(VALUES), le_bytes_get(at, p->size)));
	if (draw(4))
		seal_index(m, block);
}

static void change_byte(const struct kind *k)
{
	area_bytes(draw(k->ways))[draw(2048)] ^= (uint8_t)(1u << draw(8));
}

static void test_random(void **state)
{
	static void (*const how[])(const struct kind *) = {copy_label,   copy_label,   flip_slot,  copy_label,
							   change_field, change_index, change_byte};
	char text[64];

	(void)state;
	driven = refused = finished = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		make_sound(&kinds[i]);
		for (uint32_t seed = 1; seed <= 6000; seed++) {
			memcpy(image, sound, sizeof(image));
			random_state = seed * 2654435761u | 1;
			snprintf(text, sizeof(text), "%s: seed %u", kinds[i].name, seed);
			what = text;
			for (unsigned n = 1 + draw(6); n > 0; n--)
				how[draw(seed % 4 ? 3 : ARRAY_SIZE(how))](&kinds[i]);
			drive(&kinds[i]);
		}
	}
	print_message("%lu areas, %lu refused, %lu finished\n", driven, refused, finished);
	assert_true(refused > 0 && finished > 0 && refused < driven);
}

/* Areas that end anywhere, with an index that was made for a longer one. */
static void test_short(void **state)
{
	struct untorn_media *media;
	struct untorn_label_area *area;
	unsigned findings = 0;

	(void)state;
	make_sound(&kinds[2]);
	for (uint64_t size = 8; size <= LABELS_SIZE; size += 8) {
		memcpy(image, sound, sizeof(image));
		media = wrap(image);
		what = "a short area";
		assert_int_equal(untorn_label_open(media, LABELS_OFF, size, &area), 0);
		look_at_area(area);
		assert_int_equal(untorn_label_check(area, count_finding, &findings), 0);
		assert_true(is_known(untorn_label_init(area, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE)));
		/* Nothing behind the area was touched. */
		assert_memory_equal(image + LABELS_OFF + size, sound + LABELS_OFF + size,
				    sizeof(image) - LABELS_OFF - size);
		untorn_label_close(area);
		untorn_media_close(media);
	}
}

/* ------------------------------------------------------------- large ----------------------------------------------------- */

#define LARGE (4u << 20)

/* The label for slot i of n on one mapping of two. */
typedef void (*fill_fn)(struct untorn_label *label, uint32_t i, unsigned mapping);

static void set_uuid(struct untorn_label *label, uint32_t i)
{
	memcpy(label->uuid, &i, sizeof(i));
	label->uuid[15] = 1;
}

static void fill_one_uuid(struct untorn_label *label, uint32_t i, unsigned mapping)
{
	set_uuid(label, 1);
	label->dpa = LABELS_DPA(mapping) + 0x1000ull * i;
}

static void fill_overlaps(struct untorn_label *label, uint32_t i, unsigned mapping)
{
	set_uuid(label, i);
	label->dpa = LABELS_DPA(mapping) + i;
	label->rawsize = LABELS_WINDOW / 2;
}

/* All of them half made: each first mapping's looks for a partner on the second. */
static void fill_halves(struct untorn_label *label, uint32_t i, unsigned mapping)
{
	set_uuid(label, 2 * i + mapping);
	label->dpa = LABELS_DPA(mapping) + 0x1000ull * i;
	label->flags = UNTORN_LABEL_UPDATING;
}

/* All of them half resized. */
static void fill_resized(struct untorn_label *label, uint32_t i, unsigned mapping)
{
	set_uuid(label, i);
	label->dpa = LABELS_DPA(mapping) + 0x1000ull * i;
	label->rawsize = mapping ? 0x800 : 0x1000;
	label->flags = mapping ? 0 : UNTORN_LABEL_UPDATING;
}

static void fill_foreign(struct untorn_label *label, uint32_t i, unsigned mapping)
{
	set_uuid(label, i);
	label->dpa = LABELS_DPA(mapping) + 0x1000ull * i;
	label->isetcookie = 5;
}

static struct untorn_label_area *open_full(struct untorn_media *media, unsigned mapping, fill_fn fill)
{
	struct label_block block;
	struct label_index_block *b;
	struct untorn_label_area_info info;
	struct untorn_label_area *area;
	uint8_t *bytes = media->base + (size_t)mapping * LARGE;

	assert_int_equal(untorn_label_open(media, (uint64_t)mapping * LARGE, LARGE, &area), 0);
	assert_int_equal(untorn_label_init(area, UNTORN_LABEL_V1_1, 0), 0);
	untorn_label_get_info(area, &info);
	for (uint32_t i = 0; i < info.nslot; i++) {
		struct untorn_label label = {
			.slot = i,
			.nlabel = 2,
			.position = (uint16_t)mapping,
			.isetcookie = 0x1101,
			.rawsize = 0x1000,
		};

		fill(&label, i, mapping);
		label_encode(&label, 128, &block);
		memcpy(bytes + 2 * info.index_size + 128ull * i, &block, 128);
	}
	b = (struct label_index_block *)bytes;
	memset(b + 1, 0, info.index_size - sizeof(*b));
	b->checksum = le64_make(fletcher64(b, info.index_size, 64, 8));
	assert_int_equal(untorn_label_reload(area), 0);
	return area;
}

static int count_namespace(void *arg, const struct untorn_label_namespace *ns)
{
	expect(ns->nextent == 2, "extents");
	++*(unsigned *)arg;
	return 0;
}

static int count_any(void *arg, const struct untorn_label_finding *finding)
{
	(void)arg;
	(void)finding;
	return 0;
}

/* Tens of thousands of labels: time and memory grow with them, not with their square. */
static void test_large(void **state)
{
	static const struct {
		const char *name;
		fill_fn fill;
		int r;
		bool whole;
	} rows[] = {
		{"one uuid", fill_one_uuid, -EUCLEAN, false},
		{"overlaps", fill_overlaps, -EUCLEAN, false},
		{"halves", fill_halves, 0, true},
		{"resized", fill_resized, 0, true},
		{"foreign cookies", fill_foreign, 0, false},
	};
	uint8_t *bytes = malloc(2 * LARGE);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct untorn_label_mapping mappings[2];
		struct untorn_label_set set = {
			.mappings = mappings, .nmapping = 2, .cookies = {.v1_1 = 0x1101, .v1_2 = 0x1202}};
		struct untorn_media *media;
		unsigned found = 0;

		memset(bytes, 0, 2 * LARGE);
		assert_int_equal(memory_media_wrap(bytes, 2 * LARGE, &media), 0);
		for (unsigned m = 0; m < 2; m++)
			mappings[m] = (struct untorn_label_mapping){
				.area = open_full(media, m, rows[i].fill),
				.dpa = LABELS_DPA(m),
				.size = LABELS_WINDOW,
			};
		what = rows[i].name;
		assert_int_equal(untorn_label_assemble(&set, count_namespace, count_any, &found), rows[i].r);
		assert_int_equal(found > 0, rows[i].whole);
		print_message("%s: %u namespaces\n", rows[i].name, found);
		for (unsigned m = 0; m < 2; m++)
			untorn_label_close(mappings[m].area);
		untorn_media_close(media);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_large),
	};

#ifndef SANITIZED
	/* A sanitizer reserves more than that for itself. */
	const struct rlimit limit = {.rlim_cur = 512u << 20, .rlim_max = 512u << 20};

	if (setrlimit(RLIMIT_AS, &limit) < 0)
		return 1;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
