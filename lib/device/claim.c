/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who holds a namespace: a btt and the namespace that is attached to it point at each other, both under the bus lock.
 *
 * The btt references the namespace, not the other way round. So a claim is valid as long as it is set, but the btt that it
 * names may be on its way out: what is to outlive the bus lock is looked up by name.
 *
 * Binding and unbinding leave claims alone. They end with the empty write to the attribute namespace, or with the btt. S22
 */
#include <errno.h>

#include "device/device.h"

int claim_attach(struct btt *btt, struct namespace *ns)
{
	if (btt->ns || ns->claim)
		return -EBUSY;
	untorn_device_get(&ns->dev);
	btt->ns = ns;
	ns->claim = &btt->dev;
	return 0;
}

void claim_detach(struct btt *btt)
{
	struct namespace *ns = btt->ns;

	if (!ns)
		return;
	btt->ns = NULL;
	ns->claim = NULL;
	untorn_device_put(&ns->dev);
}

bool claim_may_be_btt(const struct namespace *ns)
{
	switch (ns->holder_class) {
	case UNTORN_CLASS_NONE:
	case UNTORN_CLASS_BTT:
	case UNTORN_CLASS_BTT2:
		return true;
	default:
		return false;
	}
}
