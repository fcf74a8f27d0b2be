/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A volume's facts as JSON and in one phrase, the same wherever a command tells them.
 */
#include <inttypes.h>

#include "cli.h"

/* The bit of version_major that keeps Linux from opening a volume with sectors larger than 4096 bytes (SPEC 14). */
enum { VERSION_WIDE = 0x8000 };

bool is_wide(const struct untorn_btt_info *info)
{
	return info->version_major & VERSION_WIDE;
}

struct version_text format_version(const struct untorn_btt_info *info)
{
	struct version_text out;

	snprintf(out.text, sizeof(out.text), "%d.%d", info->version_major & ~VERSION_WIDE, info->version_minor);
	return out;
}

struct sector_text format_sectors(const struct untorn_btt_info *info)
{
	struct sector_text out;

	if (info->meta_size)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " sectors of %" PRIu32 " + %" PRIu32 " bytes",
			 info->nlba, info->sector_size, info->meta_size);
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " sectors of %" PRIu32 " bytes", info->nlba,
			 info->sector_size);
	return out;
}

static struct json_object *describe_arena(const struct untorn_btt_arena_info *arena, uint32_t number)
{
	struct json_object *object = json_new_object();

	json_add_u64(object, "arena", number);
	json_add_u64(object, "offset", arena->off);
	json_add_u64(object, "size", arena->size);
	json_add_u64(object, "data_offset", arena->data_off);
	json_add_u64(object, "map_offset", arena->map_off);
	json_add_u64(object, "flog_offset", arena->flog_off);
	json_add_u64(object, "info2_offset", arena->info2_off);
	json_add_u64(object, "first_lba", arena->first_lba);
	json_add_u64(object, "external_lbasize", arena->external_lbasize);
	json_add_u64(object, "external_nlba", arena->external_nlba);
	json_add_u64(object, "internal_lbasize", arena->internal_lbasize);
	json_add_u64(object, "internal_nlba", arena->internal_nlba);
	json_add_u64(object, "nfree", arena->nfree);
	json_add_bool(object, "error_state", arena->flags & 1);
	json_add_text(object, "flog_slots", arena->padding == UNTORN_BTT_PADDING_02 ? "0,2" : "0,1");
	json_add_u64(object, "replayed", arena->replayed);
	return object;
}

struct json_object *describe_volume(const struct target *target)
{
	const struct untorn_btt_info *info = &target->info;
	struct json_object *object = json_new_object(), *arenas = json_new_list();
	struct untorn_btt_arena_info arena;

	json_add_text(object, "path", target->path);
	if (*target->namespace)
		json_add_text(object, "namespace", target->namespace);
	else
		json_add(object, "namespace", NULL);
	json_add_text(object, "layout", untorn_btt_layout_name(info->layout));
	json_add_text(object, "version", format_version(info).text);
	json_add_bool(object, "wide", is_wide(info));
	json_add_uuid(object, "uuid", info->uuid);
	json_add_uuid(object, "parent_uuid", info->parent_uuid);
	json_add_u64(object, "sector_size", info->sector_size);
	json_add_u64(object, "meta_size", info->meta_size);
	json_add_u64(object, "sectors", info->nlba);
	json_add_u64(object, "size", info->size);
	json_add_u64(object, "base", info->base);
	json_add_bool(object, "laid_out", info->is_laid_out);
	json_add_text(object, "medium", untorn_media_kind_name(untorn_media_kind(target->media)));
	json_add_u64(object, "medium_size", untorn_media_size(target->media));
	for (uint32_t i = 0; i < info->narena; i++) {
		if (untorn_btt_get_arena(target->btt, i, &arena) == 0)
			json_list_add(arenas, describe_arena(&arena, i));
	}
	json_add(object, "arenas", arenas);
	return object;
}
