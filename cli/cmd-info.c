/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn info: what a volume is, and a drawing of where its parts are on the medium. Opens read-only: interrupted
 * writes are finished in memory only.
 */
#include <inttypes.h>

#include "cli.h"

static struct {
	struct common_options common;
	bool json;
} opt;

static const struct option_row options[] = {
	JSON_OPTION(&opt.json),
	COMMON_OPTIONS(&opt.common),
	{NULL},
};

/* ------------------------------------------------------------------ facts ----------------------------------------- */

static const char *durability(enum untorn_media_kind kind)
{
	switch (kind) {
	case UNTORN_MEDIA_CACHELINE:
		return "persistent memory, durable after a cache line flush";
	case UNTORN_MEDIA_BYTE:
		return "persistent memory with persistent caches";
	case UNTORN_MEDIA_PAGE:
		return "durable after a data sync";
	case UNTORN_MEDIA_VOLATILE:
		return "survives a killed process, not a power cut";
	default:
		return "unknown";
	}
}

static void print_facts(const struct target *target)
{
	const struct untorn_btt_info *info = &target->info;
	enum untorn_media_kind kind = untorn_media_kind(target->media);

	if (info->layout == UNTORN_BTT_PMEMBLK)
		printf("%s: pmemblk pool, BTT %s%s\n", target->name, format_version(info).text,
		       info->is_laid_out ? "" : ", never written: reads as zeros");
	else
		printf("%s: BTT %s%s\n", target->name, format_version(info).text,
		       is_wide(info) ? ", Untorn's extension for wide sectors: Linux refuses it" : "");
	printf("  capacity     %s (%" PRIu64 " bytes)\n", SIZE_TEXT(info->size), info->size);
	printf("  sectors      %s%s\n", format_sectors(info).text, info->meta_size ? " (data + metadata)" : "");
	printf("  uuid         %s\n", format_uuid(info->uuid).text);
	printf("  parent uuid  %s\n", format_uuid(info->parent_uuid).text);
	printf("  arenas       %" PRIu32 "\n", info->narena);
	printf("  medium       %s (%" PRIu64 " bytes), %s: %s\n", SIZE_TEXT(untorn_media_size(target->media)),
	       untorn_media_size(target->media), untorn_media_kind_name(kind), durability(kind));
}

/* ----------------------------------------------------------------- drawing ---------------------------------------- */

enum { BOX_WIDTH = 62 };

/* A rule across the box, with a title in it. */
static void draw_line(char c, const char *title)
{
	int width = printf("%18s +%c%c", "", c, c) - 20;

	if (*title)
		width += printf(" %.*s ", BOX_WIDTH - 6, title);
	for (; width < BOX_WIDTH; width++)
		putchar(c);
	printf("+\n");
}

/* "0x1fff000", also for 0. */
static void print_offset(uint64_t off)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, off);
	printf("%18s", text);
}

/* One part of the medium: where it starts, its name, what is in it, its size. Nothing for an empty part. */
static void draw_part(uint64_t off, uint64_t end, const char *name, const char *content)
{
	if (end <= off)
		return;
	print_offset(off);
	printf(" | %-8s %-38.38s %12s |\n", name, content, SIZE_TEXT(end - off));
}

static void draw_arena(const struct untorn_btt_arena_info *arena, uint32_t number)
{
	uint64_t data_end = arena->data_off + (uint64_t)arena->internal_nlba * arena->internal_lbasize;
	char text[64];

	snprintf(text, sizeof(text), "arena %" PRIu32 ": %s, lba %" PRIu64 " to %" PRIu64, number,
		 SIZE_TEXT(arena->size), arena->first_lba, arena->first_lba + arena->external_nlba - 1);
	draw_line('=', text);
	draw_part(arena->off, arena->data_off, "info", "info block");
	snprintf(text, sizeof(text), "%" PRIu32 " blocks of %" PRIu32, arena->internal_nlba, arena->internal_lbasize);
	draw_part(arena->data_off, data_end, "data", text);
	draw_part(data_end, arena->map_off, "", "not used");
	snprintf(text, sizeof(text), "%" PRIu32 " entries of 4", arena->external_nlba);
	draw_part(arena->map_off, arena->flog_off, "map", text);
	snprintf(text, sizeof(text), "%" PRIu32 " lanes of 64, slots %s", arena->nfree,
		 arena->padding == UNTORN_BTT_PADDING_02 ? "0 and 2" : "0 and 1");
	draw_part(arena->flog_off, arena->info2_off, "flog", text);
	draw_part(arena->info2_off, arena->info2_off + 4096, "backup", "copy of the info block");
	draw_part(arena->info2_off + 4096, arena->off + arena->size, "", "not used");
}

/* Whether b is laid out inside exactly as a. */
static bool is_alike(const struct untorn_btt_arena_info *a, const struct untorn_btt_arena_info *b)
{
	return a->size == b->size && a->data_off - a->off == b->data_off - b->off &&
	       a->map_off - a->off == b->map_off - b->off && a->flog_off - a->off == b->flog_off - b->off &&
	       a->info2_off - a->off == b->info2_off - b->off && a->external_nlba == b->external_nlba &&
	       a->internal_nlba == b->internal_nlba && a->padding == b->padding;
}

/* Draw each arena, but of a run of more than three alike only the first and the last. */
static void draw(const struct target *target)
{
	struct untorn_btt_arena_info arena, next;
	uint32_t narena = target->info.narena;
	uint64_t end = target->info.base;

	printf("\n            offset\n");
	draw_line('-', "");
	draw_part(0, target->info.base, "", target->info.layout == UNTORN_BTT_PMEMBLK ? "pool header" : "not used");
	for (uint32_t i = 0; i < narena; i++) {
		uint32_t last = i;

		if (untorn_btt_get_arena(target->btt, i, &arena) < 0)
			break;
		draw_arena(&arena, i);
		while (last + 1 < narena && untorn_btt_get_arena(target->btt, last + 1, &next) == 0 &&
		       is_alike(&arena, &next))
			last++;
		if (last - i > 2) {
			char text[64];

			snprintf(text, sizeof(text), "arenas %" PRIu32 " to %" PRIu32 ": laid out as arena %" PRIu32,
				 i + 1, last - 1, i);
			draw_line('=', text);
			i = last - 1;
		}
		end = arena.off + arena.size;
	}
	if (narena > 0 && untorn_btt_get_arena(target->btt, narena - 1, &arena) == 0)
		end = arena.off + arena.size;
	if (end < untorn_media_size(target->media)) {
		draw_line('=', "");
		draw_part(end, untorn_media_size(target->media), "", "outside of the volume");
	}
	draw_line('-', "");
	print_offset(untorn_media_size(target->media));
	printf("  end of the medium\n");
}

/* What is out of the ordinary about the arenas. */
static void print_states(const struct target *target)
{
	struct untorn_btt_arena_info arena;

	for (uint32_t i = 0; i < target->info.narena; i++) {
		if (untorn_btt_get_arena(target->btt, i, &arena) < 0)
			break;
		if (arena.flags & 1)
			printf("\narena %" PRIu32 " is in error state: every write to it fails\n", i);
		if (arena.replayed)
			printf("\narena %" PRIu32 ": %" PRIu32
			       " interrupted writes; the next use for writing finishes them\n",
			       i, arena.replayed);
	}
}

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_target_ struct target target = {.path = NULL};
	struct json_array array;

	(void)command;
	(void)nargs;
	if (target_open(&target, args[0], &opt.common, true) < 0)
		return CLI_FAILED;
	if (opt.json) {
		json_array_begin(&array);
		json_array_add(&array, describe_volume(&target));
		json_array_end(&array);
		return CLI_OK;
	}
	print_facts(&target);
	if (target.info.is_laid_out)
		draw(&target);
	print_states(&target);
	return CLI_OK;
}

const struct command cmd_info = {
	.name = "info",
	.synopsis = "TARGET [--json]",
	.summary = "tell what a volume is and draw where its parts are",
	.description = "Print the facts of the volume in TARGET and a drawing of its arenas. Changes nothing.\n",
	.options = options,
	.examples = "  untorn info vol.img\n"
		    "  untorn info vol.img --json | jq '.[0].sectors'\n",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
