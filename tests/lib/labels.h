/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of small label areas on one medium, what the library says of them, and what Linux would say: read_as_linux() reads the bytes
 * by itself, after SPEC 9.4 and 9.7, and shares no code with the library.
 */
#ifndef LABELS_H
#define LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <untorn/label.h>

#include "media/media.h"

#define LABELS_WAYS   3u    /* at most */
#define LABELS_STRIDE 8192u /* area i is at byte i * LABELS_STRIDE + LABELS_OFF */
#define LABELS_OFF    1024u
#define LABELS_SIZE   4096u
#define LABELS_MEDIUM (LABELS_WAYS * LABELS_STRIDE)

/* Windows differ, so that nothing takes one mapping's address for another's. */
#define LABELS_DPA(mapping) ((uint64_t)((mapping) + 1) << 32)
#define LABELS_WINDOW       (1ull << 30)

#define SEEN_MAX    64u
#define SEEN_PIECES 32u

struct seen_namespace {
	uint8_t uuid[16];
	char name[UNTORN_LABEL_NAME_LEN + 1];
	uint32_t flags;
	uint64_t lbasize;
	enum untorn_label_abstraction abstraction;
	struct untorn_label_extent extents[SEEN_PIECES];
	size_t nextent;
};

/* What untorn_label_assemble() said. */
struct seen {
	int r;
	struct seen_namespace ns[SEEN_MAX];
	size_t n;
	unsigned findings[UNTORN_LABEL_FINDING_KINDS];
	struct untorn_label_finding last; /* the last one but for INDEX */
};

struct labels {
	struct untorn_media *media;
	struct untorn_label_area *areas[LABELS_WAYS];
	struct untorn_label_mapping mappings[LABELS_WAYS];
	struct untorn_label_set set;
};

/* Open the areas on media, which stays the caller's. */
void labels_open(struct labels *l, struct untorn_media *media, enum untorn_label_set_kind kind, unsigned ways);
void labels_close(struct labels *l);

/* Fill in a namespace at [distance, distance + size) of each mapping; extents has LABELS_WAYS elements. */
struct untorn_label_namespace labels_namespace(const struct labels *l, uint8_t id, const char *name, uint64_t distance,
					       uint64_t size, struct untorn_label_extent *extents);

void labels_see(const struct labels *l, struct seen *ret_seen);
bool seen_same(const struct seen *a, const struct seen *b); /* the namespaces */
bool seen_equal(const struct seen *a, const struct seen *b);
const struct seen_namespace *seen_find(const struct seen *seen, uint8_t id);
void seen_print(const char *what, const struct seen *seen);

/* Put a label into the first free slot of an area in which it need not be sound; the slot is set. */
void labels_plant(struct untorn_label_area *area, struct untorn_label *label);

/* As labels_plant(), of a namespace of the set, with its flags. */
void labels_plant_piece(const struct labels *l, const struct untorn_label_namespace *ns, unsigned mapping,
			uint32_t flags);

/* -ENXIO, -EUCLEAN (the region is refused) or 0 and the namespaces, in order of the first mapping's slots. */
int read_as_linux(const struct labels *l, struct seen *ret_seen);

#endif
