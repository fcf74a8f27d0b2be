/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of a set's labels: put, remove, finish.
 *
 * On one area a change is one transaction (area.h): a cut leaves the old or the new labels there. Over several areas it is one
 * transaction each, in order of the mappings, and the updating flag tells where it was cut (rules: assemble.c):
 *
 *   put      pass 1: the new label with the flag, in place of the old one     a cut: rule 2 (3b when there was no old one)
 *            pass 2: the same without the flag                                a cut: rule 1
 *   put with another uuid: first the flag to all old labels                   a cut: rule 1, the old namespace
 *            pass 1 as above                                                  a cut: rule 3a
 *   remove   the flag to all labels                                           a cut: rule 1, the old namespace
 *            free one after the other                                         a cut: rule 3b
 *
 * So at each instant the labels mean the old namespaces or the new ones. Every change begins with finishing the one before that
 * was cut off: there is never more than one on the media. Before anything is written, each area is known to have the slots that
 * all passes take.
 *
 * One mapping: the same, or for blk a single transaction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "label/assemble.h"

#define NO_SLOT UINT32_MAX

/* A namespace's label on one mapping, while it is being written. */
struct place {
	uint32_t own;      /* slot; NO_SLOT: there is none yet */
	uint32_t replaced; /* slot of another uuid's label that goes when the own one comes; or NO_SLOT */
	bool current;      /* own says what it shall, apart from the flag */
	bool updating;     /* own has the flag */
};

static struct label_group *find_group(const struct label_state *state, const uint8_t *uuid)
{
	for (size_t i = 0; i < state->ngroups; i++)
		if (memcmp(state->groups[i].pieces[0].label.uuid, uuid, 16) == 0)
			return &state->groups[i];
	return NULL;
}

/* ---------------------------------------------------- passes over a set -------------------------------------------------- */

/* Write label in place of those in two slots, either of which may be NO_SLOT. */
static int replace_label(struct untorn_label_area *area, struct untorn_label *label, uint32_t old, uint32_t other)
{
	int r;

	area_begin(area);
	r = area_add(area, 0, label);
	if (r < 0)
		return r;
	if (old != NO_SLOT)
		area_free(area, old);
	if (other != NO_SLOT)
		area_free(area, other);
	return area_commit(area);
}

static int free_label(struct untorn_label_area *area, uint32_t slot)
{
	area_begin(area);
	area_free(area, slot);
	return area_commit(area);
}

/*
 * Write model's namespace to every mapping that does not have it yet: with the flag, where it is not current; without, where it
 * still carries it. distance is from the start of the mappings.
 */
static int write_pass(const struct untorn_label_set *set, const struct untorn_label *model, uint64_t distance,
		      bool updating, struct place *places)
{
	for (unsigned m = 0; m < set->nmapping; m++) {
		struct untorn_label_area *area = set->mappings[m].area;
		struct untorn_label label = *model;
		struct place *p = &places[m];
		int r;

		if (p->current && (updating || !p->updating))
			continue;
		label.flags = (model->flags & UNTORN_LABEL_READ_ONLY) | (updating ? UNTORN_LABEL_UPDATING : 0u);
		label.nlabel = (uint16_t)set->nmapping;
		label.position = (uint16_t)m;
		label.isetcookie = set_cookie(set, &area->index);
		label.dpa = set->mappings[m].dpa + distance;
		r = replace_label(area, &label, p->own, p->replaced);
		if (r < 0)
			return r;
		*p = (struct place){.own = label.slot, .replaced = NO_SLOT, .current = true, .updating = updating};
	}
	return 0;
}

static int write_passes(const struct untorn_label_set *set, const struct untorn_label *model, uint64_t distance,
			struct place *places)
{
	int r = write_pass(set, model, distance, true, places);

	/* Power cut before here: what the first mapping says is carried forward. From here on: all say it. */
	return r < 0 ? r : write_pass(set, model, distance, false, places);
}

/* Give the flag to all labels of a namespace. One that finds no free slot goes without. */
static int mark_group(const struct label_state *state, struct label_group *g)
{
	for (size_t i = 0; i < g->npieces; i++) {
		struct label_piece *p = &g->pieces[i];
		struct untorn_label label = p->label;
		int r;

		if (label.flags & UNTORN_LABEL_UPDATING)
			continue;
		label.flags |= UNTORN_LABEL_UPDATING;
		r = replace_label(state->set->mappings[p->mapping].area, &label, p->label.slot, NO_SLOT);
		if (r == 0)
			p->label = label;
		else if (r != -ENOSPC || state->set->mappings[p->mapping].area->stale)
			return r;
	}
	return 0;
}

/* Free the labels of a group that have the flag, or those that do not. */
static int free_group(const struct label_state *state, const struct label_group *g, bool updating)
{
	int r = 0;

	for (size_t i = 0; i < g->npieces && r == 0; i++) {
		const struct label_piece *p = &g->pieces[i];

		if (((p->label.flags & UNTORN_LABEL_UPDATING) != 0) == updating)
			r = free_label(state->set->mappings[p->mapping].area, p->label.slot);
	}
	return r;
}

static struct place *new_places(unsigned n)
{
	struct place *places = calloc(n, sizeof(*places));

	for (unsigned m = 0; places && m < n; m++)
		places[m] = (struct place){.own = NO_SLOT, .replaced = NO_SLOT};
	return places;
}

static void note_replaced(struct place *places, const struct label_group *g)
{
	for (size_t i = 0; g && i < g->npieces; i++)
		places[g->pieces[i].mapping].replaced = g->pieces[i].label.slot;
}

/* ----------------------------------------------------------- finish ------------------------------------------------------ */

/* Carry a namespace forward from its first label, or take the flag off where it is left. */
static int carry_forward(const struct label_state *state, const struct label_group *g)
{
	_cleanup_free_ struct place *places = new_places(state->set->nmapping);

	if (!places)
		return -ENOMEM;
	note_replaced(places, g->replaces);
	for (size_t i = 0; i < g->npieces; i++) {
		const struct label_piece *p = &g->pieces[i];

		places[p->mapping].own = p->label.slot;
		places[p->mapping].current = !pieces_differ(state->set, g->model, p) && p->label.position == p->mapping;
		places[p->mapping].updating = p->label.flags & UNTORN_LABEL_UPDATING;
	}
	return write_passes(state->set, &g->model->label, piece_distance(state->set, g->model), places);
}

static int finish_group(const struct label_state *state, const struct label_group *g)
{
	switch (g->state) {
	case LABEL_GROUP_UNMARK:
	case LABEL_GROUP_FORWARD:
		return carry_forward(state, g);
	case LABEL_GROUP_DROPPED:
		return free_group(state, g, true);
	default:
		return 0;
	}
}

int untorn_label_finish(const struct untorn_label_set *set)
{
	_cleanup_(state_release) struct label_state state = {0};
	int r;

	if (!set_is_sound(set))
		return -EINVAL;
	r = state_read(set, (struct label_report){0}, &state);
	if (r == 0 && state.refused)
		r = -EUCLEAN;
	for (size_t i = 0; i < state.ngroups && r == 0; i++)
		r = finish_group(&state, &state.groups[i]);
	return r;
}

/* ------------------------------------------------------------ put -------------------------------------------------------- */

/* What a put is made of. */
struct putting {
	const struct untorn_label_namespace *ns;
	struct label_state state;
	struct label_group *old;           /* the namespace that is to change; NULL: a new one */
	enum untorn_label_version version; /* that all areas have or get */
	struct untorn_label model;
};

/* The extents by themselves. SPEC 9.7, 9.8. */
static bool extents_are_sound(const struct untorn_label_set *set, const struct untorn_label_namespace *ns)
{
	const struct untorn_label_extent *e = ns->extents;

	if (ns->nextent == 0 || (set->kind == UNTORN_LABEL_SET_PMEM && ns->nextent != set->nmapping))
		return false;
	for (size_t i = 0; i < ns->nextent; i++) {
		const struct untorn_label_mapping *window;

		if (e[i].mapping >= set->nmapping || e[i].size == 0)
			return false;
		window = &set->mappings[e[i].mapping];
		if (e[i].dpa < window->dpa || !range_fits(e[i].dpa - window->dpa, e[i].size, window->size))
			return false;
		if (set->kind == UNTORN_LABEL_SET_PMEM && (e[i].mapping != i || e[i].size != e[0].size ||
							   e[i].dpa - window->dpa != e[0].dpa - set->mappings[0].dpa))
			return false;
		for (size_t k = 0; k < i && set->kind == UNTORN_LABEL_SET_BLK; k++)
			if (e[i].dpa < e[k].dpa + e[k].size && e[k].dpa < e[i].dpa + e[i].size)
				return false;
	}
	return true;
}

static bool areas_differ(const struct untorn_label_set *set)
{
	for (unsigned m = 0; m < set->nmapping; m++)
		for (unsigned k = 0; k < m; k++)
			if (set->mappings[m].area == set->mappings[k].area)
				return false;
	return true;
}

static int check_arguments(const struct untorn_label_set *set, const struct untorn_label_namespace *ns)
{
	if (!set_is_sound(set) || !areas_differ(set) || is_zero(ns->uuid, sizeof(ns->uuid)) ||
	    ns->flags & ~(uint32_t)UNTORN_LABEL_READ_ONLY || ns->abstraction > UNTORN_LABEL_ABSTRACTION_UNKNOWN ||
	    !extents_are_sound(set, ns))
		return -EINVAL;
	for (unsigned m = 0; m < set->nmapping; m++)
		if (untorn_media_is_read_only(set->mappings[m].area->media))
			return -EROFS;
	return 0;
}

/* A cookie of 0 is none: what has it is found by nobody. */
static bool has_cookie(const struct untorn_label_set *set, bool v1_1)
{
	return v1_1 ? set->kind == UNTORN_LABEL_SET_BLK || set->cookies.v1_1 != 0 : set->cookies.v1_2 != 0;
}

/* All areas have one version, or get it. Linux finds nothing in a set of several. */
static int choose_version(struct putting *p)
{
	const struct untorn_label_set *set = p->state.set;
	const struct label_index *first = NULL;

	for (unsigned m = 0; m < set->nmapping; m++) {
		const struct label_index *index = &set->mappings[m].area->index;

		if (index->version == UNTORN_LABEL_NONE)
			continue;
		if (first && (first->version != index->version || first->cookie_v1_1 != index->cookie_v1_1))
			return -ENXIO;
		first = index;
	}
	p->version = first ? first->version : UNTORN_LABEL_V1_2;
	for (unsigned m = 0; m < set->nmapping; m++)
		if (!area_has_index(set->mappings[m].area) &&
		    untorn_label_nslot(p->version, set->mappings[m].area->size) == 0)
			return -ENXIO;
	return has_cookie(set, first && first->cookie_v1_1) ? 0 : -ENXIO;
}

/* Free slots, now or after the area is initialised. */
static uint32_t free_slots(const struct putting *p, const struct untorn_label_area *area)
{
	return area_has_index(area) ? area->index.nfree : untorn_label_nslot(p->version, area->size);
}

/* Whether `take` labels can come before `give` go, and leave a free slot. */
static int slots_suffice(uint32_t nfree, size_t take, size_t give)
{
	if (take == 0)
		return 0;
	if (nfree == 0)
		return -ENXIO;
	return take > nfree || nfree - take + give < 1 ? -ENOSPC : 0;
}

/* The namespace may be where it is to be, and be called what it is to be called. */
static int check_conflicts(struct putting *p, const uint8_t *old_uuid)
{
	const struct label_state *state = &p->state;

	p->old = find_group(state, old_uuid);
	if (p->old && p->old->state != LABEL_GROUP_WHOLE)
		return -EUCLEAN;
	if (memcmp(old_uuid, p->ns->uuid, 16) != 0 && find_group(state, p->ns->uuid))
		return -EINVAL;
	for (size_t i = 0; i < p->ns->nextent; i++) {
		const struct untorn_label_extent *e = &p->ns->extents[i];

		if (!range_is_free(state, e->mapping, e->dpa, e->size, p->old, NULL))
			return -EINVAL;
	}
	return 0;
}

/* What all labels of the namespace have in common. */
static int make_model(struct putting *p)
{
	const struct untorn_label_namespace *ns = p->ns;
	struct untorn_label *model = &p->model;

	*model = (struct untorn_label){.flags = ns->flags, .lbasize = ns->lbasize, .rawsize = ns->extents[0].size};
	memcpy(model->uuid, ns->uuid, sizeof(model->uuid));
	memcpy(model->name, ns->name, strnlen(ns->name, UNTORN_LABEL_NAME_LEN));
	memcpy(model->type_guid, p->state.set->type_guid, sizeof(model->type_guid));
	if (ns->abstraction != UNTORN_LABEL_ABSTRACTION_UNKNOWN) {
		memcpy(model->abstraction_guid, abstraction_guid(ns->abstraction), sizeof(model->abstraction_guid));
		return 0;
	}
	if (!p->old || abstraction_of_guid(p->old->model->label.abstraction_guid) != UNTORN_LABEL_ABSTRACTION_UNKNOWN)
		return -EINVAL;
	memcpy(model->abstraction_guid, p->old->model->label.abstraction_guid, sizeof(model->abstraction_guid));
	return 0;
}

static int init_areas(const struct putting *p)
{
	const struct untorn_label_set *set = p->state.set;
	int r = 0;

	for (unsigned m = 0; m < set->nmapping && r == 0; m++)
		if (!area_has_index(set->mappings[m].area))
			r = untorn_label_init(set->mappings[m].area, p->version, 0);
	return r;
}

static int put_pmem(struct putting *p)
{
	const struct untorn_label_set *set = p->state.set;
	_cleanup_free_ struct place *places = new_places(set->nmapping);
	bool renamed = p->old && memcmp(p->old->model->label.uuid, p->ns->uuid, 16) != 0;
	int r = 0;

	if (!places)
		return -ENOMEM;
	for (unsigned m = 0; m < set->nmapping && r == 0; m++)
		r = slots_suffice(free_slots(p, set->mappings[m].area), 1, p->old ? 1 : 0);
	if (r == 0)
		r = init_areas(p);
	if (r == 0 && renamed && set->nmapping > 1)
		r = mark_group(&p->state, p->old);
	if (r < 0)
		return r;
	if (renamed)
		note_replaced(places, p->old);
	for (size_t i = 0; p->old && !renamed && i < p->old->npieces; i++)
		places[p->old->pieces[i].mapping].own = p->old->pieces[i].label.slot;
	return write_passes(set, &p->model, p->ns->extents[0].dpa - set->mappings[0].dpa, places);
}

/* ------------------------------------------------------------ blk -------------------------------------------------------- */

/* The label of extent i. SPEC 9.5: the one at the lowest DPA knows how many there are. */
static struct untorn_label blk_label(const struct putting *p, size_t i)
{
	const struct label_index *index = &p->state.set->mappings[0].area->index;
	const struct untorn_label_namespace *ns = p->ns;
	struct untorn_label label = p->model;
	size_t lowest = 0;

	for (size_t k = 1; k < ns->nextent; k++)
		if (ns->extents[k].dpa < ns->extents[lowest].dpa)
			lowest = k;
	label.flags |= UNTORN_LABEL_LOCAL;
	label.isetcookie = set_cookie(p->state.set, index);
	label.dpa = ns->extents[i].dpa;
	label.rawsize = ns->extents[i].size;
	if (index->label_size == LABEL_SIZE_V1_2) {
		label.nlabel = i == lowest ? (uint16_t)min_u64(ns->nextent, UINT16_MAX) : UINT16_MAX;
		label.position = i == lowest ? 0 : UINT16_MAX;
	}
	return label;
}

static bool same_bytes(const struct putting *p, const struct untorn_label *a, struct untorn_label b)
{
	const uint32_t label_size = p->state.set->mappings[0].area->index.label_size;
	struct label_block x, y;

	b.slot = a->slot;
	label_encode(a, label_size, &x);
	label_encode(&b, label_size, &y);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* The slot for each extent, ascending; `fresh` of them are written. The rest stays where it is. */
struct blk_plan {
	uint32_t *slots;
	bool *is_fresh;
	size_t fresh;
};

/* An old label at or behind slot from that says just this. Old labels are by slot. */
static const struct label_piece *find_kept(const struct putting *p, uint32_t from, const struct untorn_label *label)
{
	for (size_t i = 0; p->old && i < p->old->npieces; i++)
		if (p->old->pieces[i].label.slot >= from && same_bytes(p, &p->old->pieces[i].label, *label))
			return &p->old->pieces[i];
	return NULL;
}

/* keep: leave labels that need not change. -ENOSPC: it cannot be done that way. */
static int plan_blk(const struct putting *p, bool keep, struct blk_plan *plan)
{
	const struct untorn_label_area *area = p->state.set->mappings[0].area;
	size_t nold = p->old ? p->old->npieces : 0, kept = 0;
	uint32_t from = 0;

	plan->fresh = 0;
	for (size_t i = 0; i < p->ns->nextent; i++) {
		struct untorn_label label = blk_label(p, i);
		const struct label_piece *same = keep ? find_kept(p, from, &label) : NULL;

		plan->is_fresh[i] = !same;
		if (same) {
			plan->slots[i] = same->label.slot;
			kept++;
		} else {
			while (from < area->index.nslot && !area_slot_is_free(area, from))
				from++;
			if (from == area->index.nslot)
				return -ENOSPC;
			plan->slots[i] = from;
			plan->fresh++;
		}
		from = plan->slots[i] + 1;
	}
	return slots_suffice(area->index.nfree, plan->fresh, nold - kept);
}

static bool plan_keeps(const struct putting *p, const struct blk_plan *plan, uint32_t slot)
{
	for (size_t i = 0; i < p->ns->nextent; i++)
		if (plan->slots[i] == slot && !plan->is_fresh[i])
			return true;
	return false;
}

/* All labels of the change behind one index block. */
static int write_blk(const struct putting *p, const struct blk_plan *plan)
{
	struct untorn_label_area *area = p->state.set->mappings[0].area;

	area_begin(area);
	for (size_t i = 0; i < p->ns->nextent; i++) {
		struct untorn_label label = blk_label(p, i);
		int r = plan->is_fresh[i] ? area_add(area, plan->slots[i], &label) : 0;

		if (r < 0)
			return r;
	}
	for (size_t i = 0; p->old && i < p->old->npieces; i++)
		if (!plan_keeps(p, plan, p->old->pieces[i].label.slot))
			area_free(area, p->old->pieces[i].label.slot);
	return area_commit(area);
}

static int put_blk(struct putting *p)
{
	const size_t n = p->ns->nextent;
	_cleanup_free_ uint32_t *slots = calloc(n, sizeof(*slots));
	_cleanup_free_ bool *is_fresh = calloc(n, sizeof(*is_fresh));
	struct blk_plan plan = {.slots = slots, .is_fresh = is_fresh};
	int r;

	if (!slots || !is_fresh)
		return -ENOMEM;
	r = init_areas(p);
	if (r == 0)
		r = plan_blk(p, true, &plan);
	if (r == -ENOSPC)
		r = plan_blk(p, false, &plan);
	return r < 0 ? r : write_blk(p, &plan);
}

/* ----------------------------------------------------------- public ------------------------------------------------------ */

static void putting_release(struct putting *p)
{
	state_release(&p->state);
}

int untorn_label_put(const struct untorn_label_set *set, const struct untorn_label_namespace *ns,
		     const uint8_t *old_uuid)
{
	_cleanup_(putting_release) struct putting p = {.ns = ns};
	int r = check_arguments(set, ns);

	if (r < 0)
		return r;
	r = untorn_label_finish(set);
	if (r < 0)
		return r;
	r = state_read(set, (struct label_report){0}, &p.state);
	if (r < 0)
		return r;
	if (p.state.refused)
		return -EUCLEAN;
	r = choose_version(&p);
	if (r == 0)
		r = check_conflicts(&p, old_uuid ? old_uuid : ns->uuid);
	if (r == 0)
		r = make_model(&p);
	if (r < 0)
		return r;
	return set->kind == UNTORN_LABEL_SET_BLK ? put_blk(&p) : put_pmem(&p);
}

/* All labels of a group of one area at once. */
static int free_at_once(const struct label_state *state, const struct label_group *g)
{
	struct untorn_label_area *area = state->set->mappings[0].area;

	area_begin(area);
	for (size_t i = 0; i < g->npieces; i++)
		area_free(area, g->pieces[i].label.slot);
	return area_commit(area);
}

/* Labels without the flag go first: what is left is then known to be no namespace (rule 3b). */
static int remove_group(const struct label_state *state, struct label_group *g)
{
	int r = 0;

	if (state->set->nmapping == 1)
		return free_at_once(state, g);
	if (group_is_namespace(g))
		r = mark_group(state, g);
	if (r == 0)
		r = free_group(state, g, false);
	return r < 0 ? r : free_group(state, g, true);
}

int untorn_label_remove(const struct untorn_label_set *set, const uint8_t *uuid)
{
	_cleanup_(state_release) struct label_state state = {0};
	struct label_group *g;
	int r = untorn_label_finish(set);

	/* A set that is refused is mended by removing what is wrong in it. */
	if (r < 0 && r != -EUCLEAN)
		return r;
	r = state_read(set, (struct label_report){0}, &state);
	if (r < 0)
		return r;
	g = find_group(&state, uuid);
	return g ? remove_group(&state, g) : 0;
}
