/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver nd_region: from a region to its namespaces and seeds, and back. docs/DEVICES.md 8, SPEC 9.7.
 *
 * A region without labels is one io namespace. With labels it is what they say, and one idle namespace when they say
 * nothing; when they contradict each other it does not bind, for then any answer might be the wrong one. An update of
 * labels that a power cut interrupted is finished first, unless nothing may be written.
 *
 * Namespaces are registered and the seeds set under one hold of the bus lock, so that no probe sees a region half done.
 * While the region is bound its dimms keep their label data.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/device.h"

/* What the labels of a region say. */
struct survey {
	struct region *region;
	struct namespace **namespaces; /* referenced, not registered; by start address */
	size_t n, allocated;
	struct untorn_label_finding finding; /* the first; the first that refuses the region if there is one */
	unsigned nfinding;
	bool refused, interrupted;
	bool finishes; /* an interrupted update is to be finished before its namespaces are taken */
};

static void survey_done(struct survey *survey)
{
	for (size_t i = 0; i < survey->n; i++)
		untorn_device_put(&survey->namespaces[i]->dev);
	free(survey->namespaces);
}

/* Takes the reference, also when it fails. */
static int add_namespace(struct survey *survey, struct namespace *ns)
{
	if (survey->n == survey->allocated) {
		size_t allocated = survey->allocated ? 2 * survey->allocated : 8;
		struct namespace **namespaces = realloc(survey->namespaces, allocated * sizeof(struct namespace *));

		if (!namespaces) {
			untorn_device_put(&ns->dev);
			return -ENOMEM;
		}
		survey->namespaces = namespaces;
		survey->allocated = allocated;
	}
	survey->namespaces[survey->n++] = ns;
	return 0;
}

/* ------------------------------------------------------------------- findings --------------------------------------------- */

static bool refuses(enum untorn_label_finding_kind kind)
{
	switch (kind) {
	case UNTORN_LABEL_FINDING_OVERLAP:
	case UNTORN_LABEL_FINDING_DUPLICATE:
	case UNTORN_LABEL_FINDING_WINDOW:
	case UNTORN_LABEL_FINDING_INCOMPLETE:
	case UNTORN_LABEL_FINDING_DISAGREE:
		return true;
	default:
		return false;
	}
}

static int note_finding(void *arg, const struct untorn_label_finding *finding)
{
	struct survey *survey = arg;

	if (finding->kind == UNTORN_LABEL_FINDING_NO_INDEX)
		return 0; /* as new dimms are */
	if (survey->nfinding == 0 || (refuses(finding->kind) && !survey->refused))
		survey->finding = *finding;
	survey->refused |= refuses(finding->kind);
	survey->interrupted |= finding->kind == UNTORN_LABEL_FINDING_INTERRUPTED;
	survey->nfinding++;
	return 0;
}

static void tell_findings(struct survey *survey)
{
	const struct untorn_label_finding *finding = &survey->finding;
	const char *dimm, *place = finding->kind == UNTORN_LABEL_FINDING_INDEX ? "index block" : "slot";
	char values[96] = "", more[32] = "";

	if (survey->nfinding == 0)
		return;
	dimm = survey->region->mappings[finding->mapping].dimm->dev.name;
	if (finding->seen != finding->expected)
		snprintf(values, sizeof(values), " is %#" PRIx64 ", expected %#" PRIx64, finding->seen,
			 finding->expected);
	if (survey->nfinding > 1)
		snprintf(more, sizeof(more), ", and %u more", survey->nfinding - 1);
	device_set_problem(&survey->region->dev, "%s, %s %u: %s (%s%s)%s", dimm, place, finding->slot,
			   untorn_label_finding_danger(finding->kind), finding->field ? finding->field : "label",
			   values, more);
}

/* ------------------------------------------------------------------- labels ----------------------------------------------- */

/*
 * Complete an update that a power cut interrupted. What it changes on a dimm, its address map follows. A power cut here
 * leaves an interrupted update.
 */
static int finish_update(struct region *region, const struct untorn_label_set *set)
{
	int r = 0;

	for (unsigned i = 0; i < region->nmapping && r == 0; i++)
		r = dimm_release_labels(region->mappings[i].dimm);
	if (r == 0)
		r = untorn_label_finish(set);
	for (unsigned i = 0; i < region->nmapping; i++) {
		struct dimm *dimm = region->mappings[i].dimm;
		int reserved = dimm_reserve_labels(dimm);

		dimm->stale |= reserved < 0;
		r = r < 0 ? r : reserved;
	}
	if (r < 0)
		device_set_problem(&region->dev, "an update of labels that was interrupted cannot be finished: %s",
				   untorn_strerror(r));
	return r;
}

/* The set cannot be read because a dimm has no label data. Fine as long as no other has labels for this region. */
static int check_no_labels(struct region *region)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		const struct region_mapping *mapping = &region->mappings[i];
		struct untorn_label label = {.slot = 0};
		uint32_t slot = 0;

		while (mapping->dimm->area && untorn_label_next_active(mapping->dimm->area, slot, &label) == 0) {
			if (label.dpa >= mapping->start && label.dpa - mapping->start < mapping->size) {
				device_set_problem(&region->dev,
						   "%s has labels, but another dimm of the region is disabled or "
						   "has no label area",
						   mapping->dimm->dev.name);
				return -ENODEV;
			}
			slot = label.slot + 1;
		}
	}
	return 0;
}

static int found_namespace(void *arg, const struct untorn_label_namespace *label)
{
	struct survey *survey = arg;
	struct namespace *ns;
	int r;

	if (survey->interrupted && survey->finishes)
		return 0; /* findings come first */
	r = namespace_new_labelled(survey->region, label, &ns);
	return r < 0 ? r : add_namespace(survey, ns);
}

static int read_set(struct survey *survey)
{
	struct region *region = survey->region;
	struct untorn_label_mapping mappings[PLATFORM_MAPPINGS_MAX];
	struct untorn_label_set set;
	int r = region_label_set(region, mappings, &set);

	if (r == -ENXIO)
		return check_no_labels(region);
	if (r < 0)
		return r;
	survey->finishes = !(region->dev.bus->flags & UNTORN_BUS_READ_ONLY);
	r = untorn_label_assemble(&set, found_namespace, note_finding, survey);
	if (r == 0 && survey->interrupted && survey->finishes) {
		r = finish_update(region, &set);
		if (r < 0)
			return r;
		survey->finishes = false;
		survey->nfinding = 0;
		r = untorn_label_assemble(&set, found_namespace, note_finding, survey);
	}
	tell_findings(survey);
	if (r == -ENXIO)
		return 0; /* no index yet: nothing is labelled */
	return r == -EUCLEAN ? -ENODEV : r;
}

static int find_namespaces(struct survey *survey)
{
	struct region *region = survey->region;
	bool is_io = region_nstype(region) == UNTORN_NSTYPE_IO;
	struct namespace *ns;
	int r = is_io ? 0 : read_set(survey);

	if (r < 0 || survey->n > 0)
		return r;
	r = is_io ? namespace_new_io(region, &ns) : namespace_new_idle(region, &ns);
	return r < 0 ? r : add_namespace(survey, ns);
}

/* ------------------------------------------------------------------- dimms ------------------------------------------------ */

/* A dimm that is unbound is done without, unless it has labels, or may have. */
static int check_dimm(struct region *region, struct dimm *dimm)
{
	if (dimm->stale) {
		device_set_problem(&region->dev, "the labels of %s are not known: disable and enable it first",
				   dimm->dev.name);
		return -ENXIO;
	}
	if (!dimm_is_enabled(dimm) && (dimm->locked || dimm->labelling)) {
		char why[256] = "";

		untorn_device_problem(&dimm->dev, why, sizeof(why));
		device_set_problem(&region->dev, "%s is disabled%s%s", dimm->dev.name, why[0] ? ": " : "", why);
		return -ENXIO;
	}
	return 0;
}

static int hold_dimms(struct region *region)
{
	int r = 0;

	for (unsigned i = 0; i < region->nmapping && r == 0; i++)
		r = check_dimm(region, region->mappings[i].dimm);
	for (unsigned i = 0; i < region->nmapping && r == 0; i++)
		dimm_hold(region->mappings[i].dimm);
	return r;
}

/* Not bound any more, or not at all. */
static void let_go(struct region *region)
{
	region->bound_nstype = 0;
	region->ns_count = region->ns_active = 0;
	for (unsigned i = 0; i < region->nmapping; i++)
		dimm_drop(region->mappings[i].dimm);
}

/* ------------------------------------------------------------------- driver ----------------------------------------------- */

static bool is_region(const struct untorn_device *device)
{
	return device->kind->type == UNTORN_DEVICE_REGION;
}

static int bring_up(struct region *region)
{
	struct survey survey = {.region = region};
	int r = hold_dimms(region);

	if (r < 0)
		return r;
	region->bound_nstype = region_nstype(region);
	r = find_namespaces(&survey);
	if (r < 0) {
		let_go(region);
	} else {
		for (size_t i = 0; i < survey.n; i++)
			device_register(&survey.namespaces[i]->dev);
		region->ns_count = region->ns_active = (int)survey.n;
		region->namespace_seed = untorn_device_get(&survey.namespaces[0]->dev);
		seed_plant_btt(region);
	}
	survey_done(&survey);
	return r;
}

static int region_probe(struct untorn_device *device)
{
	int r;

	device_set_problem(device, NULL);
	bus_lock(device->bus);
	r = bring_up(to_region(device));
	bus_unlock(device->bus);
	return r;
}

/*
 * Children may be made as long as there are some: by a probe that is under way. So unregister until none is left, and let
 * the queue free them: their names can come again at once, and their DPA is given back while the dimms are still held.
 */
static void region_remove(struct untorn_device *device)
{
	struct region *region = to_region(device);

	while (device_unregister_children(device, UNTORN_DEVICE_BTT) ||
	       device_unregister_children(device, UNTORN_DEVICE_NAMESPACE))
		;
	async_flush(&device->bus->async); /* what stores have unregistered */
	bus_lock(device->bus);
	seed_clear(region);
	bus_unlock(device->bus);
	async_flush(&device->bus->async);
	bus_lock(device->bus);
	let_go(region);
	bus_unlock(device->bus);
}

const struct driver driver_nd_region = {
	.name = "nd_region",
	.by_hand = true,
	.matches = is_region,
	.probe = region_probe,
	.remove = region_remove,
};
