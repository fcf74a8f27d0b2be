/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One namespace of an NVDIMM image as a medium: for programs that work on volumes, whatever they lie in.
 *
 * The devices come up and go within each call. What is returned holds nothing but the memory, so that the caller may fork.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define QEMU_SLOTS 256u

/* Where the sentence goes. */
struct problem {
	char *text;
	size_t size;
};

__attribute__((format(printf, 3, 4))) static int fail(const struct problem *problem, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem->text, problem->size, format, args);
	va_end(args);
	return err;
}

/* ------------------------------------------------------------------- names ------------------------------------------------ */

/* Namespaces as text: namespace0.0 "alpha", namespace0.1. What does not fit is cut. */
struct listing {
	char text[400];
	size_t len;
	unsigned n;
	struct untorn_device *last; /* referenced */
};

static void cleanup_listing(struct listing *listing)
{
	untorn_device_put(listing->last);
}

/* Names in labels may hold anything. */
static void list_name(struct listing *listing, const char *format, const char *name)
{
	int n;

	if (listing->len >= sizeof(listing->text))
		return;
	n = snprintf(listing->text + listing->len, sizeof(listing->text) - listing->len, format, name);
	for (size_t i = listing->len; i < sizeof(listing->text) && listing->text[i]; i++) {
		if ((unsigned char)listing->text[i] < ' ' || listing->text[i] == 0x7f)
			listing->text[i] = '?';
	}
	listing->len += n > 0 ? (size_t)n : 0;
}

static void list_namespace(struct listing *listing, struct untorn_device *ns, const char *alt_name)
{
	list_name(listing, listing->n ? ", %s" : "%s", untorn_device_name(ns));
	if (alt_name[0])
		list_name(listing, " \"%s\"", alt_name);
	listing->n++;
	untorn_device_put(listing->last);
	listing->last = untorn_device_get(ns);
}

/* ------------------------------------------------------------------- choice ----------------------------------------------- */

/* Whether its label or its content says that a BTT is on it, sound or damaged. */
static bool holds_btt(struct untorn_device *ns, const struct untorn_namespace_info *info)
{
	struct untorn_media *media;
	const char *what = NULL;

	if (info->holder_class == UNTORN_CLASS_BTT || info->holder_class == UNTORN_CLASS_BTT2)
		return true;
	if (untorn_namespace_media(ns, &media) < 0)
		return false;
	if (untorn_btt_recognise(media, &what) < 0)
		what = NULL;
	untorn_media_close(media);
	return what && strstr(what, "BTT");
}

/* List those in use, and only those with a BTT where that is asked for. */
static void list_namespaces(struct untorn_device *root, bool with_btt, struct listing *listing)
{
	_cleanup_device_ struct untorn_device *region = NULL, *ns = NULL;
	struct untorn_namespace_info info;

	while (untorn_device_next(root, UNTORN_DEVICE_REGION, &region) == 0) {
		while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &ns) == 0) {
			if (untorn_namespace_get_info(ns, &info) == 0 && info.size > 0 &&
			    (!with_btt || holds_btt(ns, &info)))
				list_namespace(listing, ns, info.alt_name);
		}
	}
}

/* Nothing is in use: because labels are refused, or because there are none. */
static int fail_empty(struct untorn_device *root, const struct problem *problem)
{
	static const enum untorn_device_type types[] = {UNTORN_DEVICE_DIMM, UNTORN_DEVICE_REGION};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_device_ struct untorn_device *device = NULL;

		while (untorn_device_next(root, types[i], &device) == 0) {
			if (untorn_device_problem(device, text, sizeof(text)) == 0)
				return fail(problem, -ENODEV, "%s: %s", untorn_device_name(device), text);
		}
	}
	return fail(problem, -ENODEV, "it has labels, but no namespace; create one first");
}

static int choose_by_name(struct untorn_bus *bus, struct untorn_device *root, const char *name,
			  const struct problem *problem, struct untorn_device **ret_ns)
{
	_cleanup_(cleanup_listing) struct listing all = {.n = 0};
	int r = untorn_bus_find_namespace(bus, name, ret_ns);

	if (r == 0)
		return 0;
	list_namespaces(root, false, &all);
	if (all.n == 0)
		return fail_empty(root, problem);
	if (r == -ENOTUNIQ)
		return fail(problem, r, "several namespaces are called \"%.64s\": there are %s", name, all.text);
	return fail(problem, r, "there is no namespace \"%.64s\", but %s", name, all.text);
}

static int choose_the_only(struct untorn_device *root, bool with_btt, const struct problem *problem,
			   struct untorn_device **ret_ns)
{
	_cleanup_(cleanup_listing) struct listing all = {.n = 0}, fit = {.n = 0};

	list_namespaces(root, with_btt, &fit);
	if (fit.n == 1) {
		*ret_ns = untorn_device_get(fit.last);
		return 0;
	}
	if (fit.n > 1)
		return fail(problem, -ENOTUNIQ, "it has %u namespaces%s: %s", fit.n, with_btt ? " with a BTT" : "",
			    fit.text);
	list_namespaces(root, false, &all);
	if (all.n == 0)
		return fail_empty(root, problem);
	return fail(problem, -ENODEV, "no namespace has a BTT; there are %s", all.text);
}

/* ------------------------------------------------------------------- slot ------------------------------------------------- */

/* The cookies of a DIMM in each slot that is not interleaved. */
static int list_cookies(struct untorn_label_cookies cookies[QEMU_SLOTS])
{
	int r = 0;

	for (unsigned slot = 0; slot < QEMU_SLOTS && r == 0; slot++) {
		const struct platform_identity id = platform_qemu_identity(slot);
		const struct untorn_label_dimm_id dimm = {.serial = id.serial, .vendor = id.vendor};

		r = untorn_label_cookies(&dimm, 1, &cookies[slot]);
	}
	return r;
}

static unsigned slot_of(struct untorn_label_area *area)
{
	struct untorn_label_cookies cookies[QEMU_SLOTS];
	struct untorn_label label;

	if (list_cookies(cookies) < 0)
		return 0;
	for (uint32_t i = 0; untorn_label_next_active(area, i, &label) == 0; i = label.slot + 1) {
		for (unsigned slot = 0; slot < QEMU_SLOTS; slot++) {
			if (label.isetcookie == cookies[slot].v1_1 || label.isetcookie == cookies[slot].v1_2)
				return slot;
		}
	}
	return 0;
}

/* The slot in which the first label that says one was written; 0 when none does. */
static unsigned find_slot(struct untorn_media *media, uint64_t label_size)
{
	struct untorn_label_area *area;
	unsigned slot;

	if (untorn_label_open(media, untorn_media_size(media) - label_size, label_size, &area) < 0)
		return 0;
	slot = slot_of(area);
	untorn_label_close(area);
	return slot;
}

/* ------------------------------------------------------------------- up and down ------------------------------------------ */

/* The devices of an image. */
struct machine {
	struct untorn_platform *platform;
	struct untorn_bus *bus;
	struct untorn_device *root;
};

/* Returns r, or if that is 0 the error of closing. */
static int take_down(struct machine *machine, const struct problem *problem, int r)
{
	int closed;

	untorn_device_put(machine->root);
	closed = untorn_bus_close(machine->bus);
	untorn_platform_free(machine->platform);
	if (r == 0 && closed < 0)
		return fail(problem, closed, "%s", untorn_strerror(closed));
	return r;
}

static int bring_up(struct machine *machine, struct untorn_media *media, uint64_t label_size, unsigned flags,
		    const struct problem *problem)
{
	struct untorn_platform *platform;
	int r = untorn_platform_new(&machine->platform);

	if (r < 0)
		return fail(problem, r, "%s", untorn_strerror(r));
	platform = machine->platform;
	r = untorn_platform_add_media(platform, media, label_size);
	if (r == 0) {
		platform->dimms[0].id = platform_qemu_identity(find_slot(media, label_size));
		r = untorn_bus_open(platform, flags | UNTORN_BUS_NO_AUTOPROBE, &machine->bus);
	}
	if (r == 0)
		r = untorn_bus_device(machine->bus, &machine->root);
	return r < 0 ? fail(problem, r, "%s", platform->error[0] ? platform->error : untorn_strerror(r)) : 0;
}

/* ------------------------------------------------------------------- open ------------------------------------------------- */

/* The bus is read-only so that coming up changes nothing; the caller's medium need not be. */
static int open_media(struct untorn_device *ns, struct untorn_media **ret_media)
{
	int r = device_lock_reconfig(ns);

	if (r < 0)
		return r;
	r = namespace_media(to_namespace(ns), ret_media);
	device_unlock_reconfig(ns);
	return r;
}

static int open_namespace(struct untorn_device *ns, const struct problem *problem, struct untorn_image *ret_image)
{
	struct untorn_image image = {.media = NULL};
	struct untorn_namespace_info info;
	int r;

	snprintf(image.name, sizeof(image.name), "%s", untorn_device_name(ns));
	r = untorn_namespace_get_info(ns, &info);
	if (r == 0)
		r = untorn_namespace_btt_layout(ns, &image.layout, image.parent_uuid);
	if (r == 0)
		r = open_media(ns, &image.media);
	if (r == -ENXIO)
		return fail(problem, r, "%s: it has no size yet", image.name);
	if (r < 0)
		return fail(problem, r, "%s: %s", image.name, untorn_strerror(r));
	image.holder_class = info.holder_class;
	*ret_image = image;
	return 0;
}

int untorn_image_open(struct untorn_media *media, uint64_t label_size, const char *name, unsigned flags, char *text,
		      size_t size, struct untorn_image *ret_image)
{
	_cleanup_device_ struct untorn_device *ns = NULL;
	const struct problem problem = {text, size};
	struct machine machine = {.bus = NULL};
	struct untorn_image image;
	int r;

	if (flags & ~(unsigned)UNTORN_IMAGE_ANY)
		return fail(&problem, -EINVAL, "unknown flags %#x", flags);
	r = bring_up(&machine, media, label_size, UNTORN_BUS_READ_ONLY, &problem);
	if (r == 0 && name)
		r = choose_by_name(machine.bus, machine.root, name, &problem, &ns);
	else if (r == 0)
		r = choose_the_only(machine.root, !(flags & UNTORN_IMAGE_ANY), &problem, &ns);
	if (r == 0)
		r = open_namespace(ns, &problem, &image);
	r = take_down(&machine, &problem, r);
	if (r == 0)
		*ret_image = image;
	return r;
}

/* ------------------------------------------------------------------- claim ------------------------------------------------ */

static bool takes_sector_size(struct untorn_device *ns, uint64_t sector_size)
{
	const uint32_t *sizes;
	size_t n;

	return untorn_namespace_sector_sizes(ns, &sizes, &n) == 0 && is_listed(sector_size, sizes, n);
}

static int claim_namespace(struct untorn_device *ns, const struct untorn_image_claim *claim,
			   struct untorn_image_claim *ret_old)
{
	struct untorn_namespace_info info;
	int r = untorn_namespace_get_info(ns, &info);

	if (r == 0)
		r = untorn_namespace_set_holder_class(ns, claim->holder_class);
	if (r == 0 && takes_sector_size(ns, claim->sector_size))
		r = untorn_namespace_set_sector_size(ns, claim->sector_size);
	if (r == 0)
		*ret_old = (struct untorn_image_claim){info.holder_class, info.sector_size};
	return r;
}

int untorn_image_claim(struct untorn_media *media, uint64_t label_size, const char *name,
		       const struct untorn_image_claim *claim, char *text, size_t size,
		       struct untorn_image_claim *ret_old)
{
	_cleanup_device_ struct untorn_device *ns = NULL;
	const struct problem problem = {text, size};
	struct machine machine = {.bus = NULL};
	int r = bring_up(&machine, media, label_size, 0, &problem);

	if (r == 0)
		r = choose_by_name(machine.bus, machine.root, name, &problem, &ns);
	if (r == 0) {
		r = claim_namespace(ns, claim, ret_old);
		if (r < 0)
			fail(&problem, r, "%s: its label cannot be written: %s", untorn_device_name(ns),
			     untorn_strerror(r));
	}
	return take_down(&machine, &problem, r);
}
