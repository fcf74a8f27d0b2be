/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One label: bytes, meaning, and whether it counts. SPEC 9.5.
 *
 * A label counts (is active) when the index has its slot in use, it says that slot itself, and, in v1.2, its checksum is right.
 * Nothing else in it is looked at here; any bytes decode.
 */
#include <errno.h>
#include <string.h>

#include "base/fletcher64.h"
#include "label/area.h"

uint64_t label_checksum(const struct label_block *block)
{
	return fletcher64(block, sizeof(*block), offsetof(struct label_block, checksum), sizeof(block->checksum));
}

void label_encode(const struct untorn_label *label, uint32_t label_size, struct label_block *ret_block)
{
	struct label_block block = {
		.flags = le32_make(label->flags),
		.nlabel = le16_make(label->nlabel),
		.position = le16_make(label->position),
		.isetcookie = le64_make(label->isetcookie),
		.lbasize = le64_make(label->lbasize),
		.dpa = le64_make(label->dpa),
		.rawsize = le64_make(label->rawsize),
		.slot = le32_make(label->slot),
	};

	memcpy(block.uuid, label->uuid, sizeof(block.uuid));
	memcpy(block.name, label->name, strnlen(label->name, sizeof(block.name)));
	if (label_size == LABEL_SIZE_V1_2) {
		memcpy(block.type_guid, label->type_guid, sizeof(block.type_guid));
		memcpy(block.abstraction_guid, label->abstraction_guid, sizeof(block.abstraction_guid));
		block.checksum = le64_make(label_checksum(&block));
	}
	*ret_block = block;
}

void label_decode(const struct label_block *block, uint32_t label_size, uint32_t slot, struct untorn_label *ret_label)
{
	struct untorn_label label = {
		.slot = slot,
		.slot_field = le32_get(block->slot),
		.flags = le32_get(block->flags),
		.nlabel = le16_get(block->nlabel),
		.position = le16_get(block->position),
		.isetcookie = le64_get(block->isetcookie),
		.lbasize = le64_get(block->lbasize),
		.dpa = le64_get(block->dpa),
		.rawsize = le64_get(block->rawsize),
	};

	memcpy(label.uuid, block->uuid, sizeof(label.uuid));
	memcpy(label.name, block->name, strnlen((const char *)block->name, sizeof(block->name)));
	if (label.slot_field != slot)
		label.fault = "slot";
	if (label_size == LABEL_SIZE_V1_2) {
		memcpy(label.type_guid, block->type_guid, sizeof(label.type_guid));
		memcpy(label.abstraction_guid, block->abstraction_guid, sizeof(label.abstraction_guid));
		label.checksum = le64_get(block->checksum);
		if (!label.fault && label.checksum != label_checksum(block))
			label.fault = "checksum";
	}
	label.state = label.fault ? UNTORN_LABEL_IGNORED : UNTORN_LABEL_ACTIVE;
	*ret_label = label;
}

int untorn_label_get(struct untorn_label_area *area, uint32_t slot, struct untorn_label *ret_label)
{
	struct label_block block;
	int r = area_sync(area);

	if (r < 0)
		return r;
	if (!area_has_index(area))
		return -ENXIO;
	if (slot >= area->index.nslot)
		return -ERANGE;
	r = area_read_slot(area, slot, &block);
	if (r < 0)
		return r;
	label_decode(&block, area->index.label_size, slot, ret_label);
	if (area_slot_is_free(area, slot)) {
		ret_label->state = UNTORN_LABEL_FREED;
		ret_label->fault = NULL;
	}
	return 0;
}

int untorn_label_next_active(struct untorn_label_area *area, uint32_t slot, struct untorn_label *ret_label)
{
	struct untorn_label label;
	int r = area_sync(area);

	if (r < 0)
		return r;
	for (; slot < area->index.nslot; slot++) {
		if (area_slot_is_free(area, slot))
			continue;
		r = untorn_label_get(area, slot, &label);
		if (r < 0)
			return r;
		if (label.state == UNTORN_LABEL_ACTIVE) {
			*ret_label = label;
			return 0;
		}
	}
	return -ENOENT;
}
