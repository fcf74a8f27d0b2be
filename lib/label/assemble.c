/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which namespaces the labels of a set mean. SPEC 9.7.
 *
 * A label is the set's when its kind (the local flag), its cookie and, in v1.2, its type are. Labels of one uuid that are the set's
 * and of which one begins in its mapping's window are a group. Each group is judged:
 *
 * 1. One label on each mapping, and they agree: a namespace. The updating flag on all of them means nothing, kernels before 5.0
 *    left it there for ever; on some of them, an update of this very namespace was cut off after it had taken effect.
 * 2. One on each mapping, they disagree, and the first mapping's carries the updating flag: an update that was cut off. It begins
 *    on the first mapping, so what stands there is what the namespace is to be. It is, as long as that range is free everywhere.
 * 3. Some mappings lack one, and all that are there carry the flag:
 *    a) they are on the first k mappings, and another group is on exactly the others, with the flag too, or without it and at the
 *       same place: a change of uuid that was cut off. The first group is the namespace, the other one goes.
 *    b) else a namespace that was being made or removed: it is none, and what is left of it goes.
 *    Not when a mapping that lacks one has damaged labels, or no index at all: then nobody knows (4).
 * 4. Everything else is damage. Linux looks for namespaces on the first mapping; what it finds there and cannot complete makes it
 *    refuse the whole region, and so do we. What has no label on the first mapping is only left out.
 *
 * Labels that agree in place and size but not in the rest, and have no flag, are a namespace: position 0 counts, as in Linux.
 *
 * Why the flag in 3a: before a uuid is changed, the old labels get it (update.c). So the two groups of a change of uuid find each
 * other wherever the new one lies; and if the two were something else after all, a creation and a removal, both cut off,
 * finishing the one and the other is right as well. Without the flag, as Linux changes a uuid, the place must tell.
 *
 * Ranges of one DIMM that overlap, or are none, make Linux refuse the DIMM, and us the set. So the labels of an accepted set lie
 * in disjoint ranges on each mapping, and ranges carried forward from the first mapping are as disjoint as they are there.
 */
#include "label/assemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"

#define NO_GROUP SIZE_MAX

/* ---------------------------------------------------------- one label ---------------------------------------------------- */

static bool is_updating(const struct label_piece *p)
{
	return p->label.flags & UNTORN_LABEL_UPDATING;
}

static bool is_local(const struct untorn_label *label)
{
	return label->flags & UNTORN_LABEL_LOCAL;
}

uint64_t piece_distance(const struct untorn_label_set *set, const struct label_piece *piece)
{
	return piece->label.dpa - set->mappings[piece->mapping].dpa;
}

uint64_t set_cookie(const struct untorn_label_set *set, const struct label_index *index)
{
	if (!index->cookie_v1_1)
		return set->cookies.v1_2;
	return set->kind == UNTORN_LABEL_SET_BLK ? 0 : set->cookies.v1_1;
}

static bool cookie_is_right(const struct untorn_label_set *set, const struct label_index *index, uint64_t cookie)
{
	if (set->kind == UNTORN_LABEL_SET_BLK && index->cookie_v1_1)
		return true;
	if (cookie == 0)
		return false;
	return cookie == set_cookie(set, index) || (index->cookie_v1_1 && cookie == set->cookies.alt);
}

static int report_piece(const struct label_state *state, enum untorn_label_finding_kind kind,
			const struct label_piece *p, const char *field, uint64_t seen, uint64_t expected)
{
	struct untorn_label_finding finding = {
		.kind = kind,
		.mapping = p->mapping,
		.slot = p->label.slot,
		.field = field,
		.seen = seen,
		.expected = expected,
	};

	memcpy(finding.uuid, p->label.uuid, sizeof(finding.uuid));
	return label_report(&state->report, finding);
}

/* Decide whose the label is. What lies in a window and is another set's is told; the rest is silently others'. */
static int look_at_piece(const struct label_state *state, struct label_piece *p)
{
	const struct untorn_label_set *set = state->set;
	const struct untorn_label_mapping *window = &set->mappings[p->mapping];
	const struct label_index *index = &window->area->index;
	const struct untorn_label *label = &p->label;
	bool blk = set->kind == UNTORN_LABEL_SET_BLK;

	p->group = NO_GROUP;
	p->inside = label->dpa >= window->dpa && label->dpa - window->dpa < window->size;
	if (is_local(label) != blk || (blk && !p->inside))
		return 0;
	if (!cookie_is_right(set, index, label->isetcookie))
		return p->inside ? report_piece(state, UNTORN_LABEL_FINDING_COOKIE, p, "isetcookie", label->isetcookie,
						set_cookie(set, index))
				 : 0;
	if (index->label_size == LABEL_SIZE_V1_2 && memcmp(label->type_guid, set->type_guid, sizeof(label->type_guid)))
		return p->inside ? report_piece(state, UNTORN_LABEL_FINDING_TYPE, p, "type_guid", 0, 0) : 0;
	p->ours = true;
	return 0;
}

/* ----------------------------------------------------------- groups ------------------------------------------------------ */

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* Labels of one uuid together, the set's first. */
static int by_uuid(const void *x, const void *y)
{
	const struct label_piece *a = x, *b = y;
	int r = memcmp(a->label.uuid, b->label.uuid, sizeof(a->label.uuid));

	if (r == 0)
		r = compare(!a->ours, !b->ours);
	if (r == 0)
		r = compare(a->mapping, b->mapping);
	return r ? r : compare(a->label.slot, b->label.slot);
}

/* A group of the n pieces of one uuid, unless it is of another region. */
static void add_group(struct label_state *state, struct label_piece *pieces, size_t n)
{
	size_t nours = 0;
	bool inside = false;

	for (; nours < n && pieces[nours].ours; nours++)
		inside |= pieces[nours].inside;
	if (!inside)
		return;
	for (size_t i = 0; i < nours; i++)
		pieces[i].group = state->ngroups;
	state->groups[state->ngroups++] = (struct label_group){
		.state = LABEL_GROUP_PART,
		.pieces = pieces,
		.npieces = nours,
	};
}

static int make_groups(struct label_state *state)
{
	struct label_scan *scan = &state->scan;
	size_t start = 0;
	int r = 0;

	for (size_t i = 0; i < scan->npieces && r == 0; i++)
		r = look_at_piece(state, &scan->pieces[i]);
	if (r != 0)
		return r;
	state->groups = calloc(scan->npieces + 1, sizeof(*state->groups));
	if (!state->groups)
		return -ENOMEM;
	if (scan->npieces)
		qsort(scan->pieces, scan->npieces, sizeof(*scan->pieces), by_uuid);
	scan_sort_by_dpa(scan);
	for (size_t i = 1; i <= scan->npieces; i++) {
		if (i < scan->npieces && memcmp(scan->pieces[i].label.uuid, scan->pieces[start].label.uuid, 16) == 0)
			continue;
		add_group(state, scan->pieces + start, i - start);
		start = i;
	}
	return 0;
}

bool group_is_namespace(const struct label_group *g)
{
	return g->state == LABEL_GROUP_WHOLE || g->state == LABEL_GROUP_UNMARK || g->state == LABEL_GROUP_FORWARD;
}

/* Damage. Linux meets it when it finds the group on the first mapping. */
static int break_group(struct label_state *state, struct label_group *g, enum untorn_label_finding_kind kind,
		       const struct label_piece *p, const char *field, uint64_t seen, uint64_t expected)
{
	g->state = LABEL_GROUP_BROKEN;
	for (size_t i = 0; i < g->npieces; i++)
		state->refused |= g->pieces[i].mapping == 0 && g->pieces[i].inside;
	return report_piece(state, kind, p, field, seen, expected);
}

static bool same_place(const struct untorn_label_set *set, const struct label_piece *a, const struct label_piece *b)
{
	return a->label.rawsize == b->label.rawsize && piece_distance(set, a) == piece_distance(set, b);
}

const char *pieces_differ(const struct untorn_label_set *set, const struct label_piece *a, const struct label_piece *b)
{
	const struct untorn_label *x = &a->label, *y = &b->label;

	if (x->rawsize != y->rawsize)
		return "rawsize";
	if (piece_distance(set, a) != piece_distance(set, b))
		return "dpa";
	if (strcmp(x->name, y->name) != 0)
		return "name";
	if ((x->flags ^ y->flags) & ~(uint32_t)UNTORN_LABEL_UPDATING)
		return "flags";
	if (x->lbasize != y->lbasize)
		return "lbasize";
	return memcmp(x->abstraction_guid, y->abstraction_guid, 16) != 0 ? "abstraction_guid" : NULL;
}

bool range_is_free(const struct label_state *state, unsigned mapping, uint64_t dpa, uint64_t size,
		   const struct label_group *g, const struct label_group *h)
{
	const struct untorn_label_mapping *window = &state->set->mappings[mapping];
	const struct label_scan *scan = &state->scan;

	if (dpa < window->dpa || !range_fits(dpa - window->dpa, size, window->size))
		return false;
	for (size_t i = scan_first_behind(scan, mapping, dpa); i < scan->npieces; i++) {
		const struct label_piece *p = scan->by_dpa[i];

		if (p->mapping != mapping || p->label.dpa >= dpa + size)
			break;
		if (p->group == NO_GROUP || (&state->groups[p->group] != g && &state->groups[p->group] != h))
			return false;
	}
	return true;
}

/* The range of the group's first label is free on all mappings, but for its own labels and those of h. */
static bool fits_everywhere(const struct label_state *state, const struct label_group *g, const struct label_group *h)
{
	const struct label_piece *p = &g->pieces[0];
	uint64_t distance = piece_distance(state->set, p);

	for (unsigned m = 0; m < state->set->nmapping; m++)
		if (!range_is_free(state, m, state->set->mappings[m].dpa + distance, p->label.rawsize, g, h))
			return false;
	return true;
}

/* What any label of a namespace must be, whatever the others are. */
static int judge_pieces(struct label_state *state, struct label_group *g)
{
	const unsigned ways = state->set->nmapping;

	for (size_t i = 0; i < g->npieces; i++) {
		const struct label_piece *p = &g->pieces[i];
		const struct untorn_label *label = &p->label;
		const struct untorn_label_mapping *window = &state->set->mappings[p->mapping];

		if (!p->inside)
			return break_group(state, g, UNTORN_LABEL_FINDING_WINDOW, p, "dpa", label->dpa, window->dpa);
		if (label->rawsize > window->size - (label->dpa - window->dpa))
			return break_group(state, g, UNTORN_LABEL_FINDING_WINDOW, p, "rawsize", label->rawsize,
					   window->size - (label->dpa - window->dpa));
		if (state->set->kind == UNTORN_LABEL_SET_BLK)
			continue;
		if (i > 0 && g->pieces[i - 1].mapping == p->mapping)
			return break_group(state, g, UNTORN_LABEL_FINDING_DUPLICATE, p, "slot", label->slot,
					   g->pieces[i - 1].label.slot);
		if (label->nlabel != ways)
			return break_group(state, g, UNTORN_LABEL_FINDING_DISAGREE, p, "nlabel", label->nlabel, ways);
		if (label->position >= ways)
			return break_group(state, g, UNTORN_LABEL_FINDING_DISAGREE, p, "position", label->position,
					   p->mapping);
	}
	return 0;
}

static const struct label_piece *piece_at_position(const struct label_group *g, unsigned position)
{
	for (size_t i = 0; i < g->npieces; i++)
		if (g->pieces[i].label.position == position)
			return &g->pieces[i];
	return NULL;
}

static size_t count_updating(const struct label_group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->npieces; i++)
		n += is_updating(&g->pieces[i]);
	return n;
}

/* The first label that does not say what the group's first one says; preferably in its place. NULL: they agree. */
static const struct label_piece *find_difference(const struct label_state *state, const struct label_group *g,
						 const char **ret_field)
{
	const struct label_piece *found = NULL;

	for (size_t i = 1; i < g->npieces; i++) {
		const struct label_piece *p = &g->pieces[i];
		const char *field = pieces_differ(state->set, &g->pieces[0], p);

		if (field && (!found || !same_place(state->set, &g->pieces[0], p))) {
			found = p;
			*ret_field = field;
		}
		if (found && !same_place(state->set, &g->pieces[0], found))
			break;
	}
	return found;
}

/* A label whose position another one has. NULL: none. */
static const struct label_piece *find_second_of_position(const struct label_group *g)
{
	for (size_t i = 0; i < g->npieces; i++)
		if (piece_at_position(g, g->pieces[i].label.position) != &g->pieces[i])
			return &g->pieces[i];
	return NULL;
}

/* Rules 1, 2 and the rest of those that have one label on each mapping. */
static int judge_complete(struct label_state *state, struct label_group *g)
{
	const struct label_piece *first = &g->pieces[0], *second = find_second_of_position(g), *other;
	const size_t updating = count_updating(g);
	const char *field = NULL;

	other = find_difference(state, g, &field);
	if ((other || second) && is_updating(first)) {
		if (!fits_everywhere(state, g, NULL))
			return break_group(state, g, UNTORN_LABEL_FINDING_DISAGREE, first, "dpa", first->label.dpa, 0);
		g->state = LABEL_GROUP_FORWARD;
		g->model = first;
		return report_piece(state, UNTORN_LABEL_FINDING_INTERRUPTED, first, other ? field : "position",
				    first->label.flags, 0);
	}
	if (second)
		return break_group(state, g, UNTORN_LABEL_FINDING_DUPLICATE, second, "position", second->label.position,
				   second->mapping);
	if (other && !same_place(state->set, first, other))
		return break_group(state, g, UNTORN_LABEL_FINDING_DISAGREE, other, field, other->label.rawsize,
				   first->label.rawsize);
	g->model = piece_at_position(g, 0);
	g->state = updating == 0 || updating == g->npieces ? LABEL_GROUP_WHOLE : LABEL_GROUP_UNMARK;
	if (other)
		return report_piece(state, UNTORN_LABEL_FINDING_DISAGREE, other, field, 0, 0);
	if (g->state == LABEL_GROUP_UNMARK)
		return report_piece(state, UNTORN_LABEL_FINDING_INTERRUPTED, first, "flags", updating, 0);
	return 0;
}

/* Whether nothing but an interrupted change explains that the group lacks labels. */
static bool lacks_by_interruption(const struct label_state *state, const struct label_group *g)
{
	size_t i = 0;

	if (count_updating(g) != g->npieces)
		return false;
	for (unsigned m = 0; m < state->set->nmapping; m++) {
		bool there = i < g->npieces && g->pieces[i].mapping == m;

		i += there;
		if (!there && state->scan.areas[m].damaged)
			return false;
	}
	return true;
}

static int judge_group(struct label_state *state, struct label_group *g)
{
	int r = judge_pieces(state, g);

	if (r != 0 || g->state == LABEL_GROUP_BROKEN)
		return r;
	if (g->npieces == state->set->nmapping)
		return judge_complete(state, g);
	g->state = lacks_by_interruption(state, g) ? LABEL_GROUP_PART_UPDATING : LABEL_GROUP_PART;
	return 0;
}

/* ------------------------------------------------------ changes of uuid -------------------------------------------------- */

/* The group has exactly the mappings [from, from + npieces). */
static bool is_run(const struct label_group *g, size_t from)
{
	for (size_t i = 0; i < g->npieces; i++)
		if (g->pieces[i].mapping != from + i)
			return false;
	return true;
}

static bool is_suffix(const struct label_state *state, const struct label_group *g)
{
	return is_run(g, state->set->nmapping - g->npieces);
}

/*
 * h has exactly the mappings that g, which has the first ones, lacks; and either the flag as well, or it lies where g does, and
 * Linux was giving its range the uuid of g.
 */
static bool goes_with(const struct label_state *state, const struct label_group *g, const struct label_group *h)
{
	if (g->npieces + h->npieces != state->set->nmapping || !is_suffix(state, h))
		return false;
	if (h->state != LABEL_GROUP_PART || count_updating(h) > 0)
		return h->state == LABEL_GROUP_PART_UPDATING;
	for (size_t i = 0; i < h->npieces; i++)
		if (!same_place(state->set, &g->pieces[0], &h->pieces[i]))
			return false;
	return true;
}

/* The group that lies, on the first mapping that g lacks, where g is. */
static struct label_group *group_in_place_of(const struct label_state *state, const struct label_group *g)
{
	const struct label_scan *scan = &state->scan;
	const unsigned m = (unsigned)g->npieces;
	uint64_t dpa = state->set->mappings[m].dpa + piece_distance(state->set, &g->pieces[0]);
	size_t i = scan_first_behind(scan, m, dpa);

	if (i == scan->npieces || scan->by_dpa[i]->mapping != m || scan->by_dpa[i]->group == NO_GROUP)
		return NULL;
	return &state->groups[scan->by_dpa[i]->group];
}

/*
 * Rule 3a for g, given a group that has the flag and exactly the mappings that g lacks, or NULL. What lies where g is going to is
 * more likely its partner. A change of uuid always fits; what does not was none.
 */
static int join_group(struct label_state *state, struct label_group *g, struct label_group **updating)
{
	struct label_group *h = group_in_place_of(state, g);

	if (!h || !goes_with(state, g, h))
		h = *updating;
	if (!h || h->state == LABEL_GROUP_REPLACED || !fits_everywhere(state, g, h))
		return 0;
	for (size_t i = 1; i < g->npieces; i++)
		if (pieces_differ(state->set, &g->pieces[0], &g->pieces[i]))
			return 0;
	h->state = LABEL_GROUP_REPLACED;
	g->state = LABEL_GROUP_FORWARD;
	g->model = &g->pieces[0];
	g->replaces = h;
	return report_piece(state, UNTORN_LABEL_FINDING_INTERRUPTED, g->model, "uuid", g->npieces,
			    state->set->nmapping);
}

/* Rule 3a. */
static int join_groups(struct label_state *state)
{
	/* For each mapping a group that has the flag, and labels on exactly this one and those behind it. */
	_cleanup_free_ struct label_group **suffixes = calloc(state->set->nmapping + 1, sizeof(struct label_group *));
	int r = 0;

	if (!suffixes)
		return -ENOMEM;
	for (size_t i = state->ngroups; i-- > 0;)
		if (state->groups[i].state == LABEL_GROUP_PART_UPDATING && is_suffix(state, &state->groups[i]))
			suffixes[state->groups[i].pieces[0].mapping] = &state->groups[i];
	for (size_t i = 0; i < state->ngroups && r == 0; i++)
		if (state->groups[i].state == LABEL_GROUP_PART_UPDATING && is_run(&state->groups[i], 0))
			r = join_group(state, &state->groups[i], &suffixes[state->groups[i].npieces]);
	return r;
}

/* Rules 3b and 4 for those that lack labels and found no partner. */
static int judge_rest(struct label_state *state, struct label_group *g)
{
	const unsigned ways = state->set->nmapping;

	if (g->state == LABEL_GROUP_PART)
		return break_group(state, g, UNTORN_LABEL_FINDING_INCOMPLETE, &g->pieces[0], "nlabel", g->npieces,
				   ways);
	if (g->state != LABEL_GROUP_PART_UPDATING)
		return 0;
	g->state = LABEL_GROUP_DROPPED;
	return report_piece(state, UNTORN_LABEL_FINDING_INTERRUPTED, &g->pieces[0], "nlabel", g->npieces, ways);
}

/* ------------------------------------------------------------ blk -------------------------------------------------------- */

/* Labels of one uuid are one namespace, in order of their slots. Linux looks neither at nlabel nor at position. */
static int judge_blk(struct label_state *state, struct label_group *g)
{
	int r = judge_pieces(state, g);

	if (r != 0 || g->state == LABEL_GROUP_BROKEN)
		return r;
	g->state = LABEL_GROUP_WHOLE;
	g->model = &g->pieces[0];
	for (size_t i = 1; i < g->npieces; i++) {
		struct label_piece here = g->pieces[i];
		const char *field;

		here.label.rawsize = g->model->label.rawsize;
		here.label.dpa = g->model->label.dpa;
		field = pieces_differ(state->set, g->model, &here);
		if (field)
			return report_piece(state, UNTORN_LABEL_FINDING_DISAGREE, &g->pieces[i], field, 0, 0);
	}
	return 0;
}

/* ----------------------------------------------------------- a set ------------------------------------------------------- */

int state_read(const struct untorn_label_set *set, struct label_report report, struct label_state *state)
{
	int r;

	*state = (struct label_state){.set = set, .report = report};
	r = scan_read(set->mappings, set->nmapping, &state->report, &state->scan);
	if (r != 0)
		return r;
	if (state->scan.unreadable)
		return -EIO;
	state->refused = state->scan.overlaps;
	for (unsigned m = 0; m < set->nmapping; m++)
		state->nindex += area_has_index(set->mappings[m].area);
	r = make_groups(state);
	/* Only ranges that are disjoint can be compared. */
	if (state->refused)
		return r;
	for (size_t i = 0; i < state->ngroups && r == 0; i++)
		r = set->kind == UNTORN_LABEL_SET_BLK ? judge_blk(state, &state->groups[i])
						      : judge_group(state, &state->groups[i]);
	if (r == 0)
		r = join_groups(state);
	for (size_t i = 0; i < state->ngroups && r == 0; i++)
		r = judge_rest(state, &state->groups[i]);
	return r;
}

void state_release(struct label_state *state)
{
	scan_release(&state->scan);
	free(state->groups);
}

/* By the range on the first mapping. */
static int by_first_dpa(const void *x, const void *y)
{
	const struct label_group *a = *(struct label_group *const *)x, *b = *(struct label_group *const *)y;

	return compare(a->pieces[0].label.dpa, b->pieces[0].label.dpa);
}

static size_t extents_of(const struct label_state *state, const struct label_group *g,
			 struct untorn_label_extent *extents)
{
	const struct untorn_label_set *set = state->set;
	const uint64_t distance = piece_distance(set, g->model);

	if (set->kind == UNTORN_LABEL_SET_BLK) {
		for (size_t i = 0; i < g->npieces; i++)
			extents[i] = (struct untorn_label_extent){
				.dpa = g->pieces[i].label.dpa,
				.size = g->pieces[i].label.rawsize,
			};
		return g->npieces;
	}
	for (unsigned m = 0; m < set->nmapping; m++)
		extents[m] = (struct untorn_label_extent){
			.mapping = m,
			.dpa = set->mappings[m].dpa + distance,
			.size = g->model->label.rawsize,
		};
	return set->nmapping;
}

typedef int (*found_fn)(void *arg, const struct untorn_label_namespace *ns);

static int tell(const struct label_state *state, const struct label_group *g, found_fn found, void *arg)
{
	size_t most = g->npieces > state->set->nmapping ? g->npieces : state->set->nmapping;
	_cleanup_free_ struct untorn_label_extent *extents = calloc(most, sizeof(*extents));
	const struct untorn_label *label = &g->model->label;
	struct untorn_label_namespace ns = {
		.flags = label->flags & UNTORN_LABEL_READ_ONLY,
		.lbasize = label->lbasize,
		.abstraction = abstraction_of_guid(label->abstraction_guid),
		.extents = extents,
	};

	if (!extents)
		return -ENOMEM;
	memcpy(ns.uuid, label->uuid, sizeof(ns.uuid));
	memcpy(ns.name, label->name, sizeof(ns.name));
	ns.nextent = extents_of(state, g, extents);
	return found(arg, &ns);
}

static int tell_all(struct label_state *state, found_fn found, void *arg)
{
	_cleanup_free_ struct label_group **order = calloc(state->ngroups + 1, sizeof(struct label_group *));
	size_t n = 0;
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < state->ngroups; i++)
		if (group_is_namespace(&state->groups[i]))
			order[n++] = &state->groups[i];
	qsort(order, n, sizeof(*order), by_first_dpa);
	for (size_t i = 0; i < n && r == 0; i++)
		r = tell(state, order[i], found, arg);
	return r;
}

bool set_is_sound(const struct untorn_label_set *set)
{
	return set->nmapping > 0 && (set->kind == UNTORN_LABEL_SET_PMEM || set->nmapping == 1);
}

int untorn_label_assemble(const struct untorn_label_set *set,
			  int (*found)(void *arg, const struct untorn_label_namespace *ns),
			  untorn_label_finding_fn finding, void *arg)
{
	_cleanup_(state_release) struct label_state state;
	int r;

	if (!set_is_sound(set)) {
		state = (struct label_state){0};
		return -EINVAL;
	}
	r = state_read(set, (struct label_report){.fn = finding, .arg = arg}, &state);
	if (r != 0)
		return r;
	if (state.nindex == 0)
		return -ENXIO;
	if (state.refused)
		return -EUCLEAN;
	return found ? tell_all(&state, found, arg) : 0;
}
