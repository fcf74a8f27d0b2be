/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first labels of a region, written on the way to its first namespace. Until that namespace is there, the label areas can
 * be put back as they were, so that a command that fails leaves a label-less region label-less. A cut in between leaves a
 * labelled region without namespaces.
 */
#include "nd.h"

struct autolabel_dimm {
	struct untorn_device *dimm;
	uint8_t *bytes; /* the label area as it was */
	uint64_t size;
};

/* How many regions map the DIMM. */
static size_t count_regions(const struct machine *machine, struct untorn_device *dimm)
{
	_cleanup_device_ struct untorn_device *region = NULL;
	size_t n = 0;

	while (untorn_device_next(machine->root, UNTORN_DEVICE_REGION, &region) == 0)
		n += region_has_dimm(region, dimm);
	return n;
}

/* The DIMM of a mapping, with a reference, if it can be labelled. */
static int find_dimm(const struct machine *machine, const struct untorn_mapping_info *mapping,
		     struct untorn_device **ret_dimm)
{
	_cleanup_device_ struct untorn_device *dimm = NULL;
	struct untorn_dimm_info info;
	int r = untorn_bus_find(machine->bus, mapping->dimm, &dimm);

	if (r == 0)
		r = untorn_dimm_get_info(dimm, &info);
	if (r < 0)
		return r;
	if (!info.bound || info.label_size == 0 || info.label_version != UNTORN_LABEL_NONE ||
	    count_regions(machine, dimm) != 1)
		return -EOPNOTSUPP;
	*ret_dimm = dimm;
	dimm = NULL;
	return 0;
}

bool autolabel_is_possible(const struct machine *machine, struct untorn_device *region)
{
	struct untorn_mapping_info mapping;
	struct untorn_device *dimm;
	unsigned i;

	for (i = 0; untorn_region_get_mapping(region, i, &mapping) == 0; i++) {
		if (find_dimm(machine, &mapping, &dimm) < 0)
			return false;
		untorn_device_put(dimm);
	}
	return i > 0;
}

/* The area of one DIMM, remembered. */
static int remember(const struct machine *machine, const struct untorn_mapping_info *mapping,
		    struct autolabel *autolabel)
{
	struct autolabel_dimm *dimms = reallocarray(autolabel->dimms, autolabel->n + 1, sizeof(*dimms)), *saved;
	int r;

	if (!dimms)
		return -ENOMEM;
	autolabel->dimms = dimms;
	saved = &dimms[autolabel->n];
	*saved = (struct autolabel_dimm){.dimm = NULL};
	r = find_dimm(machine, mapping, &saved->dimm);
	if (r < 0)
		return r;
	autolabel->n++;
	r = untorn_dimm_label_size(saved->dimm, &saved->size);
	if (r < 0)
		return r;
	saved->bytes = malloc(saved->size);
	return saved->bytes ? untorn_dimm_label_read(saved->dimm, 0, saved->bytes, saved->size) : -ENOMEM;
}

/* What the DIMM's driver knows of its labels is read again. */
static int reread(struct untorn_device *dimm)
{
	int r = untorn_device_disable(dimm);

	return r < 0 ? r : untorn_device_enable(dimm);
}

static int enable_region(struct autolabel *autolabel)
{
	int r = untorn_device_enable(autolabel->region);

	untorn_bus_wait_probe(untorn_device_bus(autolabel->region));
	return r;
}

static int write_labels(struct autolabel *autolabel)
{
	struct untorn_region_info info;
	int r = 0;

	for (size_t i = 0; r == 0 && i < autolabel->n; i++) {
		r = untorn_dimm_label_init(autolabel->dimms[i].dimm, UNTORN_LABEL_V1_2, 0);
		if (r == 0)
			r = reread(autolabel->dimms[i].dimm);
	}
	if (r == 0)
		r = enable_region(autolabel);
	if (r == 0)
		r = untorn_region_get_info(autolabel->region, &info);
	return r == 0 && info.nstype != UNTORN_NSTYPE_PMEM ? -ENXIO : r;
}

int autolabel_begin(const struct machine *machine, struct untorn_device *region, struct autolabel *ret_autolabel)
{
	struct autolabel autolabel = {.region = untorn_device_get(region)};
	struct untorn_mapping_info mapping;
	int r = 0;

	for (unsigned i = 0; r == 0 && untorn_region_get_mapping(region, i, &mapping) == 0; i++)
		r = remember(machine, &mapping, &autolabel);
	if (r < 0) {
		print_error("%s: its label areas cannot be read: %s", untorn_device_name(region), device_strerror(r));
		autolabel_keep(&autolabel);
		return r;
	}
	r = region_disable(region);
	if (r < 0) {
		autolabel_keep(&autolabel);
		return r;
	}
	r = write_labels(&autolabel);
	if (r < 0) {
		print_error("%s: it cannot be labelled: %s", untorn_device_name(region), device_strerror(r));
		autolabel_undo(&autolabel);
		return r;
	}
	*ret_autolabel = autolabel;
	return 0;
}

void autolabel_undo(struct autolabel *autolabel)
{
	int r = 0;

	if (!autolabel->region)
		return;
	if (untorn_device_driver(autolabel->region))
		r = region_disable(autolabel->region);
	for (size_t i = 0; r == 0 && i < autolabel->n; i++) {
		const struct autolabel_dimm *saved = &autolabel->dimms[i];

		r = untorn_dimm_label_write(saved->dimm, 0, saved->bytes, saved->size);
		if (r == 0)
			r = reread(saved->dimm);
	}
	if (r == 0)
		r = enable_region(autolabel);
	if (r < 0)
		print_error("%s: it stays labelled, without namespaces: %s", untorn_device_name(autolabel->region),
			    device_strerror(r));
	autolabel_keep(autolabel);
}

void autolabel_keep(struct autolabel *autolabel)
{
	for (size_t i = 0; i < autolabel->n; i++) {
		untorn_device_put(autolabel->dimms[i].dimm);
		free(autolabel->dimms[i].bytes);
	}
	free(autolabel->dimms);
	untorn_device_put(autolabel->region);
	*autolabel = (struct autolabel){.region = NULL};
}
