/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of namespaces share with each other. All but the lock is called with the bus lock held. */
#ifndef DEVICE_NAMESPACE_H
#define DEVICE_NAMESPACE_H

#include "device/device.h"

/*
 * What storing size means, once the namespace is known to be idle: allocate or free DPA, write the labels; size 0
 * forgets the uuid and may queue the end of the device. On failure the namespace keeps its size. -ENXIO, -EINVAL,
 * -ENOSPC as section 9 says, and what writing labels returns.
 */
int namespace_set_size(struct namespace *ns, uint64_t size);

/* Give back DPA that no label holds. */
void namespace_drop_space(struct namespace *ns);

/* Whether each dimm of the region has a label in use. D20 */
bool namespace_region_has_labels(struct region *region);

/* The class that the word "btt" stands for under the labels of the region. -ENXIO: its dimms disagree. */
int namespace_btt_class(struct region *region, enum untorn_holder_class *ret_class);

/* Device lock and bus lock; device_unlock_reconfig() ends it. -EINVAL: not a namespace; -ENODEV. */
int namespace_lock(struct untorn_device *device);

#endif
