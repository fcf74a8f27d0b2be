/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What several commands do to namespaces and regions: enable, disable, wipe. Each says in one sentence why it could not.
 */
#include "nd.h"

int enable_failed(struct untorn_device *device, int err)
{
	char text[512];

	if (untorn_device_problem(device, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "%s", device_strerror(err));
	print_error("%s: cannot be enabled: %s", untorn_device_name(device), text);
	return err;
}

int namespace_enable(struct untorn_device *ns)
{
	int r = 0;

	if (namespace_is_active(ns))
		return 0;
	r = untorn_device_enable(ns);
	/* With a btt on media, binding the namespace fails and the btt comes up instead. */
	untorn_bus_wait_probe(untorn_device_bus(ns));
	if (namespace_is_active(ns))
		return 0;
	return enable_failed(ns, r < 0 ? r : -ENXIO);
}

/* A btt that lets go of its namespace is reset or goes away; what is on media stays. */
static int release_btt(struct untorn_device *ns)
{
	_cleanup_device_ struct untorn_device *btt = NULL;
	int r;

	if (namespace_btt(ns, &btt) < 0)
		return 0;
	r = untorn_device_disable(btt);
	return r < 0 ? r : untorn_btt_device_set_namespace(btt, NULL);
}

int namespace_disable(struct untorn_device *ns)
{
	int r = release_btt(ns);

	if (r == 0)
		r = untorn_device_disable(ns);
	untorn_bus_wait_probe(untorn_device_bus(ns));
	if (r < 0)
		print_error("%s: cannot be disabled: %s", untorn_device_name(ns), device_strerror(r));
	return r;
}

int namespace_check_writable(struct untorn_device *ns)
{
	_cleanup_device_ struct untorn_device *region = NULL;
	struct untorn_region_info info;

	if (untorn_device_parent(ns, &region) < 0 || untorn_region_get_info(region, &info) < 0 || !info.read_only)
		return 0;
	print_error("%s: its region, %s, can only be read", untorn_device_name(ns), untorn_device_name(region));
	return -EROFS;
}

int namespace_wipe(struct untorn_device *ns)
{
	struct untorn_media *media;
	int r = untorn_namespace_media(ns, &media);

	if (r == 0) {
		r = untorn_btt_erase(media);
		/* Whatever other modes keep there. */
		if (r == 0)
			r = untorn_media_zero(media, 0, INFOBLOCK_SPAN);
		untorn_media_close(media);
	}
	if (r < 0)
		print_error("%s: its info blocks cannot be wiped: %s", untorn_device_name(ns), device_strerror(r));
	return r;
}

int region_disable(struct untorn_device *region)
{
	_cleanup_device_ struct untorn_device *ns = NULL;
	int r;

	while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &ns) == 0) {
		r = namespace_disable(ns);
		if (r < 0)
			return r;
	}
	r = untorn_device_disable(region);
	if (r < 0)
		print_error("%s: cannot be disabled: %s", untorn_device_name(region), device_strerror(r));
	return r;
}
