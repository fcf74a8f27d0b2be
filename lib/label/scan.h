/* SPDX-License-Identifier: BSD-3-Clause */
/* All active labels of some areas in memory, and what is wrong with the areas by themselves. */
#ifndef LABEL_SCAN_H
#define LABEL_SCAN_H

#include "label/area.h"

/* Where findings go. */
struct label_report {
	untorn_label_finding_fn fn; /* or NULL */
	void *arg;
};

static inline int label_report(const struct label_report *report, struct untorn_label_finding finding)
{
	return report->fn ? report->fn(report->arg, &finding) : 0;
}

/* An active label. The fields below mapping are for who reads a set (set.c). */
struct label_piece {
	struct untorn_label label;
	unsigned mapping;
	bool ours;    /* of a namespace of the set: kind, cookie and type are right */
	bool inside;  /* begins in its mapping's window */
	size_t group; /* which, when it is ours */
};

/* An area and what else is known of it. */
struct label_scan_area {
	struct untorn_label_area *area;
	bool damaged; /* without index, or with labels in use that do not count */
};

struct label_scan {
	struct label_scan_area *areas;
	unsigned nareas;
	struct label_piece *pieces;
	size_t npieces, room;
	struct label_piece **by_dpa; /* all pieces by mapping and DPA */
	bool unreadable;             /* some label in use cannot be read: MEDIA was reported */
	bool overlaps;               /* the ranges of some area are not what a set of ranges can be: reported */
};

/*
 * Read the areas of n mappings and report what is wrong with each by itself. Returns what a finding's function returned, or
 * -EIO when an index cannot be read, or -ENOMEM. scan is to be released in each case.
 */
int scan_read(const struct untorn_label_mapping *mappings, unsigned n, const struct label_report *report,
	      struct label_scan *scan);

/* by_dpa, after pieces were put into another order. */
void scan_sort_by_dpa(struct label_scan *scan);

/* The first piece in by_dpa of that mapping that ends behind dpa; ranges do not overlap. May be one of a later mapping, or the end. */
size_t scan_first_behind(const struct label_scan *scan, unsigned mapping, uint64_t dpa);

void scan_release(struct label_scan *scan);

#endif
