/* SPDX-License-Identifier: BSD-3-Clause */
#include "labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "label/area.h"

void labels_open(struct labels *l, struct untorn_media *media, enum untorn_label_set_kind kind, unsigned ways)
{
	*l = (struct labels){
		.media = media,
		.set = {.kind = kind, .nmapping = ways, .cookies = {.v1_1 = 0x1101, .alt = 0xa17, .v1_2 = 0x1202}},
	};
	memcpy(l->set.type_guid,
	       kind == UNTORN_LABEL_SET_BLK ? untorn_label_type_guid(UNTORN_LABEL_TYPE_BLK)
					    : untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM),
	       16);
	for (unsigned m = 0; m < ways; m++) {
		assert_int_equal(untorn_label_open(media, m * LABELS_STRIDE + LABELS_OFF, LABELS_SIZE, &l->areas[m]),
				 0);
		l->mappings[m] = (struct untorn_label_mapping){
			.area = l->areas[m],
			.dpa = LABELS_DPA(m),
			.size = LABELS_WINDOW,
		};
	}
	l->set.mappings = l->mappings;
}

void labels_close(struct labels *l)
{
	for (unsigned m = 0; m < l->set.nmapping; m++)
		untorn_label_close(l->areas[m]);
}

struct untorn_label_namespace labels_namespace(const struct labels *l, uint8_t id, const char *name, uint64_t distance,
					       uint64_t size, struct untorn_label_extent *extents)
{
	struct untorn_label_namespace ns = {.lbasize = 512, .extents = extents, .nextent = l->set.nmapping};

	memset(ns.uuid, id, sizeof(ns.uuid));
	snprintf(ns.name, sizeof(ns.name), "%s", name);
	for (unsigned m = 0; m < l->set.nmapping; m++)
		extents[m] = (struct untorn_label_extent){.mapping = m, .dpa = LABELS_DPA(m) + distance, .size = size};
	return ns;
}

static int found(void *arg, const struct untorn_label_namespace *ns)
{
	struct seen *seen = arg;
	struct seen_namespace *s;

	if (seen->n == SEEN_MAX || ns->nextent > SEEN_PIECES)
		fail_msg("more namespaces or extents than any test makes");
	s = &seen->ns[seen->n++];
	*s = (struct seen_namespace){.flags = ns->flags, .lbasize = ns->lbasize, .abstraction = ns->abstraction};
	memcpy(s->uuid, ns->uuid, sizeof(s->uuid));
	memcpy(s->name, ns->name, sizeof(s->name));
	memcpy(s->extents, ns->extents, ns->nextent * sizeof(*ns->extents));
	s->nextent = ns->nextent;
	return 0;
}

static int found_finding(void *arg, const struct untorn_label_finding *finding)
{
	struct seen *seen = arg;

	assert_true(finding->kind < UNTORN_LABEL_FINDING_KINDS);
	assert_non_null(finding->field);
	seen->findings[finding->kind]++;
	if (finding->kind != UNTORN_LABEL_FINDING_INDEX)
		seen->last = *finding;
	return 0;
}

void labels_see(const struct labels *l, struct seen *ret_seen)
{
	ret_seen->n = 0;
	memset(ret_seen->findings, 0, sizeof(ret_seen->findings));
	memset(&ret_seen->last, 0, sizeof(ret_seen->last));
	ret_seen->r = untorn_label_assemble(&l->set, found, found_finding, ret_seen);
}

static bool namespace_equal(const struct seen_namespace *a, const struct seen_namespace *b)
{
	if (memcmp(a->uuid, b->uuid, sizeof(a->uuid)) != 0 || strcmp(a->name, b->name) != 0 || a->flags != b->flags ||
	    a->lbasize != b->lbasize || a->abstraction != b->abstraction || a->nextent != b->nextent)
		return false;
	for (size_t i = 0; i < a->nextent; i++)
		if (a->extents[i].mapping != b->extents[i].mapping || a->extents[i].dpa != b->extents[i].dpa ||
		    a->extents[i].size != b->extents[i].size)
			return false;
	return true;
}

bool seen_same(const struct seen *a, const struct seen *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!namespace_equal(&a->ns[i], &b->ns[i]))
			return false;
	return true;
}

bool seen_equal(const struct seen *a, const struct seen *b)
{
	return a->r == b->r && seen_same(a, b);
}

const struct seen_namespace *seen_find(const struct seen *seen, uint8_t id)
{
	uint8_t uuid[16];

	memset(uuid, id, sizeof(uuid));
	for (size_t i = 0; i < seen->n; i++)
		if (memcmp(seen->ns[i].uuid, uuid, sizeof(uuid)) == 0)
			return &seen->ns[i];
	return NULL;
}

void seen_print(const char *what, const struct seen *seen)
{
	printf("%s: %d\n", what, seen->r);
	for (size_t i = 0; i < seen->n; i++) {
		const struct seen_namespace *s = &seen->ns[i];

		printf("  %02x \"%s\" flags %x lbasize %ju abstraction %d\n", s->uuid[0], s->name, s->flags,
		       (uintmax_t)s->lbasize, s->abstraction);
		for (size_t k = 0; k < s->nextent; k++)
			printf("    %u: %#jx + %#jx\n", s->extents[k].mapping, (uintmax_t)s->extents[k].dpa,
			       (uintmax_t)s->extents[k].size);
	}
	for (unsigned k = 0; k < UNTORN_LABEL_FINDING_KINDS; k++)
		if (seen->findings[k])
			printf("  %u times %s\n", seen->findings[k],
			       untorn_label_finding_name((enum untorn_label_finding_kind)k));
}

void labels_plant(struct untorn_label_area *area, struct untorn_label *label)
{
	area_begin(area);
	assert_int_equal(area_add(area, 0, label), 0);
	assert_int_equal(area_commit(area), 0);
}

void labels_plant_piece(const struct labels *l, const struct untorn_label_namespace *ns, unsigned mapping,
			uint32_t flags)
{
	struct untorn_label_area *area = l->areas[mapping];
	bool v1_1 = area->index.version == UNTORN_LABEL_V1_1;
	struct untorn_label label = {
		.flags = flags,
		.nlabel = (uint16_t)l->set.nmapping,
		.position = (uint16_t)mapping,
		.isetcookie = v1_1 ? l->set.cookies.v1_1 : l->set.cookies.v1_2,
		.lbasize = ns->lbasize,
		.dpa = ns->extents[mapping].dpa,
		.rawsize = ns->extents[mapping].size,
	};

	memcpy(label.uuid, ns->uuid, sizeof(label.uuid));
	memcpy(label.name, ns->name, sizeof(label.name));
	memcpy(label.type_guid, l->set.type_guid, sizeof(label.type_guid));
	labels_plant(area, &label);
}

/* ----------------------------------------------------- as Linux reads --------------------------------------------------- */

static uint64_t number(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | p[bytes];
	return v;
}

static uint64_t checksum(const uint8_t *p, size_t len, size_t field)
{
	uint32_t lo = 0, hi = 0;

	for (size_t i = 0; i < len; i += 4) {
		lo += i == field || i == field + 4 ? 0 : (uint32_t)number(p + i, 4);
		hi += lo;
	}
	return (uint64_t)hi << 32 | lo;
}

/* One area as Linux has it: for areas whose index blocks take 256 bytes in both versions. */
struct dimm {
	const uint8_t *bytes, *index;
	uint32_t label_size, nslot;
	bool v1_1;
};

static bool index_ok(const uint8_t *area, unsigned i, uint32_t label_size)
{
	const uint8_t *b = area + 256u * i;
	uint64_t version = number(b + 60, 2) * 100 + number(b + 62, 2);
	uint64_t stated = version < 102 ? 128 : b[19] > 1 ? 0 : 128u << b[19];

	return memcmp(b, "NAMESPACE_INDEX", 16) == 0 && stated == label_size &&
	       number(b + 64, 8) == checksum(b, 256, 64) && (number(b + 20, 4) & 3) != 0 &&
	       number(b + 24, 8) == 256u * i && number(b + 40, 8) == 256u * (1 - i) && number(b + 48, 8) == 512 &&
	       number(b + 32, 8) >= 72 && number(b + 32, 8) <= 256 &&
	       number(b + 56, 4) * label_size + 512 <= LABELS_SIZE;
}

static bool read_dimm(const uint8_t *area, struct dimm *d)
{
	*d = (struct dimm){.bytes = area};
	for (uint32_t size = 128; size <= 256 && !d->index; size *= 2) {
		bool ok0 = index_ok(area, 0, size), ok1 = index_ok(area, 1, size);
		uint64_t seq0 = number(area + 20, 4) & 3, seq1 = number(area + 276, 4) & 3;
		bool second = ok1 && (!ok0 || seq0 == seq1 || seq0 % 3 + 1 == seq1);

		if (ok0 || ok1)
			*d = (struct dimm){.bytes = area, .index = area + (second ? 256 : 0), .label_size = size};
	}
	if (!d->index)
		return false;
	d->nslot = (uint32_t)number(d->index + 56, 4);
	d->v1_1 = number(d->index + 60, 2) == 1 && number(d->index + 62, 2) == 1;
	return true;
}

static const uint8_t *active(const struct dimm *d, uint32_t slot)
{
	const uint8_t *label = d->bytes + 512 + slot * d->label_size;

	if (d->index[72 + slot / 8] >> slot % 8 & 1 || number(label + 120, 4) != slot)
		return NULL;
	return d->label_size == 128 || number(label + 248, 8) == checksum(label, 256, 248) ? label : NULL;
}

/* Every range is reserved once when the DIMM comes up. */
static bool ranges_ok(const struct dimm *d)
{
	for (uint32_t i = 0; i < d->nslot; i++) {
		const uint8_t *a = active(d, i);

		if (!a)
			continue;
		if (number(a + 112, 8) == 0 || number(a + 104, 8) + number(a + 112, 8) < number(a + 104, 8))
			return false;
		for (uint32_t k = 0; k < i; k++) {
			const uint8_t *b = active(d, k);

			if (b && number(a + 104, 8) < number(b + 104, 8) + number(b + 112, 8) &&
			    number(b + 104, 8) < number(a + 104, 8) + number(a + 112, 8))
				return false;
		}
	}
	return true;
}

/* A label that takes part: not a local one, and of this set. */
static bool takes_part(const struct labels *l, const struct dimm *d, const uint8_t *label)
{
	uint64_t cookie = number(label + 88, 8);

	return !(number(label + 80, 4) & 2) &&
	       (cookie == (d->v1_1 ? l->set.cookies.v1_1 : l->set.cookies.v1_2) || cookie == l->set.cookies.alt);
}

/* How many labels of that uuid and position are on all DIMMs together, or 99 when one DIMM has two. */
static unsigned count_at(const struct labels *l, const struct dimm *dimms, const uint8_t *uuid, unsigned position)
{
	unsigned total = 0;

	for (unsigned m = 0; m < l->set.nmapping; m++) {
		unsigned here = 0;

		for (uint32_t i = 0; i < dimms[m].nslot; i++) {
			const uint8_t *label = active(&dimms[m], i);

			if (!label || memcmp(label, uuid, 16) != 0 || !takes_part(l, &dimms[0], label) ||
			    number(label + 84, 2) != l->set.nmapping)
				continue;
			if (dimms[m].label_size == 256 && memcmp(label + 128, l->set.type_guid, 16) != 0)
				continue;
			if (here++ > 0)
				return 99;
			total += number(label + 86, 2) == position;
		}
	}
	return total;
}

/* Each mapping's label of the uuid lies in its window; the first mapping's gives its name. */
static bool take_extents(const struct labels *l, const struct dimm *dimms, const uint8_t *uuid,
			 struct seen_namespace *s)
{
	for (unsigned m = 0; m < l->set.nmapping; m++)
		for (uint32_t i = 0; i < dimms[m].nslot; i++) {
			const uint8_t *label = active(&dimms[m], i);
			uint64_t dpa, size;

			if (!label || memcmp(label, uuid, 16) != 0 || !takes_part(l, &dimms[0], label))
				continue;
			dpa = number(label + 104, 8);
			size = number(label + 112, 8);
			if (dpa < LABELS_DPA(m) || dpa + size > LABELS_DPA(m) + LABELS_WINDOW)
				return false;
			s->extents[s->nextent++] = (struct untorn_label_extent){.mapping = m, .dpa = dpa, .size = size};
			if (number(label + 86, 2) == 0) {
				memcpy(s->name, label + 16, 64);
				s->flags = number(label + 80, 4) & 1;
				s->lbasize = number(label + 96, 8);
			}
		}
	return true;
}

int read_as_linux(const struct labels *l, struct seen *ret_seen)
{
	struct dimm dimms[LABELS_WAYS];
	unsigned labelling = 0;

	*ret_seen = (struct seen){0};
	for (unsigned m = 0; m < l->set.nmapping; m++)
		labelling += read_dimm(l->media->base + m * LABELS_STRIDE + LABELS_OFF, &dimms[m]);
	if (labelling == 0)
		return -ENXIO;
	for (unsigned m = 0; m < l->set.nmapping; m++)
		if (!ranges_ok(&dimms[m]))
			return -EUCLEAN;
	for (uint32_t i = 0; i < dimms[0].nslot; i++) {
		const uint8_t *label = active(&dimms[0], i);
		struct seen_namespace *s = &ret_seen->ns[ret_seen->n];

		if (!label || number(label + 104, 8) < LABELS_DPA(0) ||
		    number(label + 104, 8) >= LABELS_DPA(0) + LABELS_WINDOW || !takes_part(l, &dimms[0], label))
			continue;
		for (unsigned position = 0; position < l->set.nmapping; position++)
			if (count_at(l, dimms, label, position) != 1)
				return -EUCLEAN;
		memcpy(s->uuid, label, 16);
		if (!take_extents(l, dimms, label, s))
			return -EUCLEAN;
		ret_seen->n++;
	}
	return 0;
}
