/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces and their labels: after each store the labels of a namespace are made to say what it is.
 *
 * label_uuid is the uuid that the labels on media have, so a namespace that was renamed frees its old labels with the
 * next write. A power cut leaves the old labels or the new ones; see untorn_label_put().
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "device/namespace.h"

static_assert((int)UNTORN_CLASS_NONE == (int)UNTORN_LABEL_ABSTRACTION_NONE &&
		      (int)UNTORN_CLASS_BTT == (int)UNTORN_LABEL_ABSTRACTION_BTT &&
		      (int)UNTORN_CLASS_BTT2 == (int)UNTORN_LABEL_ABSTRACTION_BTT2 &&
		      (int)UNTORN_CLASS_PFN == (int)UNTORN_LABEL_ABSTRACTION_PFN &&
		      (int)UNTORN_CLASS_DAX == (int)UNTORN_LABEL_ABSTRACTION_DAX &&
		      (int)UNTORN_CLASS_UNKNOWN == (int)UNTORN_LABEL_ABSTRACTION_UNKNOWN,
	      "a holder class and its abstraction have one number");

static int put_labels(struct namespace *ns, const struct untorn_label_set *set)
{
	struct untorn_label_namespace label = {
		.flags = ns->label_flags,
		.lbasize = ns->sector_size,
		.abstraction = (enum untorn_label_abstraction)ns->holder_class,
		.extents = ns->extents,
		.nextent = ns->nextent,
	};
	int r;

	memcpy(label.uuid, ns->uuid, sizeof(label.uuid));
	memcpy(label.name, ns->alt_name, sizeof(ns->alt_name));
	r = untorn_label_put(set, &label, ns->is_labelled ? ns->label_uuid : NULL);
	if (r < 0)
		return r;
	ns->is_labelled = true;
	memcpy(ns->label_uuid, ns->uuid, UUID_LEN);
	return 0;
}

/* With the labels goes what only they could keep: a class that we do not know, the flags. */
static int remove_labels(struct namespace *ns, const struct untorn_label_set *set)
{
	int r = untorn_label_remove(set, ns->label_uuid);

	if (r < 0)
		return r;
	ns->is_labelled = false;
	ns->label_flags = 0;
	if (ns->holder_class == UNTORN_CLASS_UNKNOWN)
		ns->holder_class = UNTORN_CLASS_NONE;
	return 0;
}

/* Whether the labels have to be written at all. */
static bool needs_update(const struct namespace *ns)
{
	if (namespace_is_busy(ns) || !ns->has_uuid)
		return false;
	if (ns->size == 0)
		return ns->is_labelled;
	return ns->nstype != UNTORN_NSTYPE_BLK || ns->sector_size != 0 || ns->is_labelled;
}

int namespace_update_labels(struct namespace *ns)
{
	struct untorn_label_mapping mappings[PLATFORM_MAPPINGS_MAX];
	struct untorn_label_set set;
	int r;

	if (ns->nstype == UNTORN_NSTYPE_IO)
		return -ENXIO;
	if (!needs_update(ns))
		return 0;
	r = region_label_set(namespace_region(ns), mappings, &set);
	if (r < 0)
		return r;
	/* The media of the caller may well be writable. */
	if (ns->dev.bus->flags & UNTORN_BUS_READ_ONLY)
		return -EROFS;
	return ns->size ? put_labels(ns, &set) : remove_labels(ns, &set);
}

bool namespace_region_has_labels(struct region *region)
{
	for (unsigned i = 0; i < region->nmapping; i++) {
		struct untorn_label_area *area = region->mappings[i].dimm->area;
		struct untorn_label label;

		if (!area || untorn_label_next_active(area, 0, &label) < 0)
			return false;
	}
	return true;
}

/* An area without labels becomes v1.2 with the first one. */
static enum untorn_label_version future_version(const struct dimm *dimm)
{
	struct untorn_label_area_info info = {.version = UNTORN_LABEL_NONE};

	if (dimm->area)
		untorn_label_get_info(dimm->area, &info);
	return info.version == UNTORN_LABEL_V1_1 ? UNTORN_LABEL_V1_1 : UNTORN_LABEL_V1_2;
}

int namespace_btt_class(struct region *region, enum untorn_holder_class *ret_class)
{
	enum untorn_label_version version = UNTORN_LABEL_V1_1;

	for (unsigned i = 0; i < region->nmapping; i++) {
		enum untorn_label_version next = future_version(region->mappings[i].dimm);

		if (i > 0 && next != version)
			return -ENXIO;
		version = next;
	}
	*ret_class = version == UNTORN_LABEL_V1_2 ? UNTORN_CLASS_BTT2 : UNTORN_CLASS_BTT;
	return 0;
}
