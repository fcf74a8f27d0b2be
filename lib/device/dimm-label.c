/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The label area of a dimm as a user handles it: bytes, initialising, checking.
 *
 * Each call opens an area of its own over the same bytes, so it works on dimms that are not bound, and holds the bus lock,
 * under which labels change. Writing is refused while regions use the dimm; what its driver knows is stale afterwards.
 */
#include <errno.h>
#include <stdlib.h>

#include "device/device.h"

struct label_call {
	struct dimm *dimm;
	struct untorn_label_area *area;
};

/* On success end() must follow. */
static int begin(struct untorn_device *device, bool writes, struct label_call *ret_call)
{
	struct label_call call = {.dimm = to_dimm(device)};
	int r;

	if (device->kind->type != UNTORN_DEVICE_DIMM)
		return -EINVAL;
	r = device_lock_reconfig_idle(device);
	if (r < 0)
		return r;
	if (call.dimm->platform->label_size == 0)
		r = -ENXIO;
	else if (call.dimm->locked)
		r = -EACCES;
	else if (writes && call.dimm->busy > 0)
		r = -EBUSY;
	else if (writes && (device->bus->flags & UNTORN_BUS_READ_ONLY))
		r = -EROFS;
	else
		r = dimm_open_labels(call.dimm, &call.area);
	if (r < 0)
		device_unlock_reconfig(device);
	else
		*ret_call = call;
	return r;
}

static void end(struct label_call *call)
{
	untorn_label_close(call->area);
	device_unlock_reconfig(&call->dimm->dev);
}

/* r is what writing returned: with these values bytes may have changed. */
static int end_write(struct label_call *call, int r)
{
	if (r == 0 || r == -EIO || r == -ENOSPC)
		call->dimm->stale = call->dimm->area;
	end(call);
	return r;
}

int untorn_dimm_label_size(struct untorn_device *device, uint64_t *ret_size)
{
	uint64_t size;
	int r;

	if (device->kind->type != UNTORN_DEVICE_DIMM)
		return -EINVAL;
	r = device_pass(device);
	if (r < 0)
		return r;
	size = to_dimm(device)->platform->label_size; /* never changes */
	if (size == 0)
		return -ENXIO;
	*ret_size = size;
	return 0;
}

int untorn_dimm_label_read(struct untorn_device *device, uint64_t off, void *buf, size_t len)
{
	struct label_call call;
	int r = begin(device, false, &call);

	if (r < 0)
		return r;
	r = untorn_label_read(call.area, off, buf, len);
	end(&call);
	return r;
}

int untorn_dimm_label_write(struct untorn_device *device, uint64_t off, const void *buf, size_t len)
{
	struct label_call call;
	int r = begin(device, true, &call);

	return r < 0 ? r : end_write(&call, untorn_label_write(call.area, off, buf, len));
}

int untorn_dimm_label_zero(struct untorn_device *device, uint64_t off, uint64_t len)
{
	struct label_call call;
	int r = begin(device, true, &call);

	return r < 0 ? r : end_write(&call, untorn_label_zero(call.area, off, len));
}

int untorn_dimm_label_init(struct untorn_device *device, enum untorn_label_version version, unsigned flags)
{
	struct label_call call;
	int r = begin(device, true, &call);

	return r < 0 ? r : end_write(&call, untorn_label_init(call.area, version, flags));
}

int untorn_dimm_label_info(struct untorn_device *device, struct untorn_label_area_info *ret_info)
{
	struct label_call call;
	int r = begin(device, false, &call);

	if (r < 0)
		return r;
	untorn_label_get_info(call.area, ret_info);
	end(&call);
	return 0;
}

int untorn_dimm_label_get(struct untorn_device *device, uint32_t slot, struct untorn_label *ret_label)
{
	struct label_call call;
	int r = begin(device, false, &call);

	if (r < 0)
		return r;
	r = untorn_label_get(call.area, slot, ret_label);
	end(&call);
	return r;
}

/* Findings are collected first: the user's function may call anything, so no lock is held for it. */
struct finding_list {
	struct untorn_label_finding *findings;
	size_t n, allocated;
};

static int collect(void *arg, const struct untorn_label_finding *finding)
{
	struct finding_list *list = arg;

	if (list->n == list->allocated) {
		size_t allocated = list->allocated ? 2 * list->allocated : 8;
		struct untorn_label_finding *findings = realloc(list->findings, allocated * sizeof(*findings));

		if (!findings)
			return -ENOMEM;
		list->findings = findings;
		list->allocated = allocated;
	}
	list->findings[list->n++] = *finding;
	return 0;
}

int untorn_dimm_label_check(struct untorn_device *device, untorn_label_finding_fn fn, void *arg)
{
	struct finding_list list = {.n = 0};
	struct label_call call;
	int r = begin(device, false, &call);

	if (r < 0)
		return r;
	r = untorn_label_check(call.area, collect, &list);
	end(&call);
	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = fn(arg, &list.findings[i]);
	free(list.findings);
	return r;
}
