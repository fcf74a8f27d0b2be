/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads all active labels of some areas, and finds what is wrong with each area by itself: index blocks, labels in use that do not
 * count, ranges that no DIMM can have or that overlap.
 *
 * The memory is a few times what the labels take on media. Sorting keeps a hostile area from costing more than n log n.
 */
#include "label/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

static int report_block(const struct label_report *report, enum untorn_label_finding_kind kind, unsigned mapping,
			uint32_t block, const struct label_fault *fault)
{
	return label_report(report, (struct untorn_label_finding){
					    .kind = kind,
					    .mapping = mapping,
					    .slot = block,
					    .field = fault->field,
					    .seen = fault->seen,
					    .expected = fault->expected,
				    });
}

static int report_index(const struct label_report *report, unsigned mapping, const struct label_index *index)
{
	const struct label_fault *fault = index->fault;
	int r = 0;

	if (index->version == UNTORN_LABEL_NONE) {
		/* One finding, of the block that is less unlike an index block. */
		uint32_t block = strcmp(fault[0].field, "signature") == 0;

		return report_block(report, UNTORN_LABEL_FINDING_NO_INDEX, mapping, block, &fault[block]);
	}
	for (uint32_t block = 0; block < 2 && r == 0; block++)
		if (fault[block].field)
			r = report_block(report, UNTORN_LABEL_FINDING_INDEX, mapping, block, &fault[block]);
	return r;
}

static int report_label(const struct label_report *report, enum untorn_label_finding_kind kind, unsigned mapping,
			const struct untorn_label *label, const char *field, uint64_t seen, uint64_t expected)
{
	struct untorn_label_finding finding = {
		.kind = kind,
		.mapping = mapping,
		.slot = label->slot,
		.field = field,
		.seen = seen,
		.expected = expected,
	};

	memcpy(finding.uuid, label->uuid, sizeof(finding.uuid));
	return label_report(report, finding);
}

static int add_piece(struct label_scan *scan, unsigned mapping, const struct untorn_label *label)
{
	if (scan->npieces == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 16;
		struct label_piece *pieces = reallocarray(scan->pieces, room, sizeof(*pieces));

		if (!pieces)
			return -ENOMEM;
		scan->pieces = pieces;
		scan->room = room;
	}
	scan->pieces[scan->npieces++] = (struct label_piece){.label = *label, .mapping = mapping};
	return 0;
}

static int report_ignored(const struct label_report *report, unsigned mapping, const struct untorn_label *label,
			  const struct label_block *block)
{
	if (label->slot_field != label->slot)
		return report_label(report, UNTORN_LABEL_FINDING_SLOT, mapping, label, "slot", label->slot_field,
				    label->slot);
	return report_label(report, UNTORN_LABEL_FINDING_CHECKSUM, mapping, label, "checksum", label->checksum,
			    label_checksum(block));
}

/* A slot that is in use. */
static int read_slot(struct label_scan *scan, unsigned mapping, uint32_t slot, const struct label_report *report)
{
	struct untorn_label_area *area = scan->areas[mapping].area;
	struct untorn_label label = {.slot = slot};
	struct label_block block;
	int r = area_read_slot(area, slot, &block);

	if (r == -EIO) {
		scan->unreadable = true;
		return report_label(report, UNTORN_LABEL_FINDING_MEDIA, mapping, &label, "label", 0, 0);
	}
	if (r < 0)
		return r;
	label_decode(&block, area->index.label_size, slot, &label);
	if (label.state == UNTORN_LABEL_ACTIVE)
		return add_piece(scan, mapping, &label);
	scan->areas[mapping].damaged = true;
	return report_ignored(report, mapping, &label, &block);
}

static int read_area(struct label_scan *scan, unsigned mapping, const struct label_report *report)
{
	struct untorn_label_area *area = scan->areas[mapping].area;
	int r = area_sync(area);

	if (r < 0)
		return r;
	scan->areas[mapping].damaged = !area_has_index(area);
	r = report_index(report, mapping, &area->index);
	for (uint32_t slot = 0; r == 0 && slot < area->index.nslot; slot++)
		if (!area_slot_is_free(area, slot))
			r = read_slot(scan, mapping, slot, report);
	return r;
}

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

static int by_mapping_and_dpa(const void *x, const void *y)
{
	const struct label_piece *a = *(struct label_piece *const *)x, *b = *(struct label_piece *const *)y;
	int r = compare(a->mapping, b->mapping);

	if (r == 0)
		r = compare(a->label.dpa, b->label.dpa);
	return r ? r : compare(a->label.slot, b->label.slot);
}

void scan_sort_by_dpa(struct label_scan *scan)
{
	for (size_t i = 0; i < scan->npieces; i++)
		scan->by_dpa[i] = &scan->pieces[i];
	if (scan->npieces)
		qsort(scan->by_dpa, scan->npieces, sizeof(*scan->by_dpa), by_mapping_and_dpa);
}

size_t scan_first_behind(const struct label_scan *scan, unsigned mapping, uint64_t dpa)
{
	size_t low = 0, high = scan->npieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct label_piece *p = scan->by_dpa[middle];

		if (p->mapping < mapping || (p->mapping == mapping && p->label.dpa + p->label.rawsize <= dpa))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* No label may be empty, wrap around, or begin before the one of its DIMM that ends last has ended. SPEC 9.7. */
static int find_overlaps(struct label_scan *scan, const struct label_report *report)
{
	const struct label_piece *last = NULL;
	uint64_t end = 0;
	int r = 0;

	for (size_t i = 0; i < scan->npieces && r == 0; i++) {
		const struct label_piece *p = scan->by_dpa[i];
		const struct untorn_label *label = &p->label;
		bool possible = label->rawsize > 0 && label->rawsize <= UINT64_MAX - label->dpa;

		if (!last || last->mapping != p->mapping)
			end = 0;
		if (!possible)
			r = report_label(report, UNTORN_LABEL_FINDING_WINDOW, p->mapping, label, "rawsize",
					 label->rawsize, UINT64_MAX - label->dpa);
		else if (label->dpa < end)
			r = report_label(report, UNTORN_LABEL_FINDING_OVERLAP, p->mapping, label, "dpa", label->dpa,
					 end);
		scan->overlaps |= !possible || label->dpa < end;
		if (possible && label->dpa + label->rawsize > end)
			end = label->dpa + label->rawsize;
		last = p;
	}
	return r;
}

int scan_read(const struct untorn_label_mapping *mappings, unsigned n, const struct label_report *report,
	      struct label_scan *scan)
{
	int r = 0;

	*scan = (struct label_scan){.areas = calloc(n, sizeof(*scan->areas)), .nareas = n};
	if (!scan->areas)
		return -ENOMEM;
	for (unsigned m = 0; m < n && r == 0; m++) {
		scan->areas[m].area = mappings[m].area;
		r = read_area(scan, m, report);
	}
	if (r != 0)
		return r;
	scan->by_dpa = calloc(scan->npieces + 1, sizeof(*scan->by_dpa));
	if (!scan->by_dpa)
		return -ENOMEM;
	scan_sort_by_dpa(scan);
	return find_overlaps(scan, report);
}

void scan_release(struct label_scan *scan)
{
	free(scan->areas);
	free(scan->pieces);
	free(scan->by_dpa);
}
