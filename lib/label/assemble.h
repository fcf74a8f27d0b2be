/* SPDX-License-Identifier: BSD-3-Clause */
/* What the labels of a set mean: see assemble.c for the rules. */
#ifndef LABEL_ASSEMBLE_H
#define LABEL_ASSEMBLE_H

#include "label/scan.h"

enum label_group_state {
	LABEL_GROUP_BROKEN,   /* not a namespace; left alone */
	LABEL_GROUP_WHOLE,    /* a namespace with nothing left to do */
	LABEL_GROUP_UNMARK,   /* a namespace; some of its labels still carry the updating flag */
	LABEL_GROUP_FORWARD,  /* a namespace as its first label says; the others are to follow */
	LABEL_GROUP_REPLACED, /* goes when the group that replaces it is carried forward */
	LABEL_GROUP_DROPPED,  /* half made or half removed: to be freed */
	/* While the groups of a set are being judged: */
	LABEL_GROUP_PART_UPDATING,
	LABEL_GROUP_PART,
};

/* The labels of one uuid that belong to the set. */
struct label_group {
	enum label_group_state state;
	struct label_piece *pieces; /* at least one; by mapping, then slot */
	size_t npieces;
	const struct label_piece *model;    /* what the namespace is; of WHOLE, UNMARK, FORWARD */
	const struct label_group *replaces; /* FORWARD: whose labels make room; or NULL */
};

/* A set as its labels say. */
struct label_state {
	const struct untorn_label_set *set;
	struct label_report report;
	struct label_scan scan;
	struct label_group *groups;
	size_t ngroups;
	unsigned nindex; /* areas with an index; no groups when 0 */
	bool refused;
};

/* The number of mappings is one that its kind may have. */
bool set_is_sound(const struct untorn_label_set *set);

/* Read and judge. What a finding's function returned, -EIO or -ENOMEM. state is to be released in each case. */
int state_read(const struct untorn_label_set *set, struct label_report report, struct label_state *state);
void state_release(struct label_state *state);

/* A namespace: WHOLE, UNMARK or FORWARD. */
bool group_is_namespace(const struct label_group *g);

/* Where the label lies in its mapping: bytes from the mapping's start. */
uint64_t piece_distance(const struct untorn_label_set *set, const struct label_piece *piece);

/* The two labels say the same, apart from the updating flag: NULL; else the first field in which they do not. */
const char *pieces_differ(const struct untorn_label_set *set, const struct label_piece *a, const struct label_piece *b);

/*
 * Whether [dpa, dpa + size) lies in the mapping's window and no label there claims any of it but those of g and h (either may be
 * NULL).
 */
bool range_is_free(const struct label_state *state, unsigned mapping, uint64_t dpa, uint64_t size,
		   const struct label_group *g, const struct label_group *h);

/* The cookie that a new label of the set gets in an area with this index. */
uint64_t set_cookie(const struct untorn_label_set *set, const struct label_index *index);

/* The GUID of abstraction, which is not UNKNOWN, and back. */
const uint8_t *abstraction_guid(enum untorn_label_abstraction abstraction);
enum untorn_label_abstraction abstraction_of_guid(const uint8_t *guid);

#endif
