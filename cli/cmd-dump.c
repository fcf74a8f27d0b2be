/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn dump: the structures of a volume as they are on the medium, for people who look into the format. Opens
 * read-only. What the map shows is after the replay that opening does in memory; info blocks and flogs are shown as
 * stored.
 */
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "info-block.h"

/* The value of --map, --flog: whether it was given, and the range if one was. */
struct range_option {
	bool given, limited;
	uint64_t first, last;
};

static struct {
	struct common_options common;
	bool info, json;
	struct range_option map, flog, lba;
} opt;

/* FIRST or FIRST-LAST, or nothing for all. */
static int store_range(const char *text, void *value)
{
	struct range_option range = {.given = true};
	const char *end;

	if (text) {
		range.limited = true;
		if (parse_number(text, &range.first, &end) < 0)
			return -EINVAL;
		range.last = range.first;
		if (*end == '-' && (parse_number(end + 1, &range.last, &end) < 0 || range.last < range.first))
			return -EINVAL;
		if (*end)
			return -EINVAL;
	}
	*(struct range_option *)value = range;
	return 0;
}

static const struct option_type option_range = {store_range, "a number or a range such as 0-99", optional_argument};
static const struct option_type option_lba = {store_range, "an lba", required_argument};

static const struct option_row options[] = {
	{"info", NULL, &option_switch, &opt.info, "every field of the info block of each arena"},
	{"map", "FIRST[-LAST]", &option_range, &opt.map, "runs of sectors in the same state; of these sectors only"},
	{"flog", "LANE", &option_range, &opt.flog, "the flog of each lane; of this lane (or FIRST-LAST) only"},
	{"lba", "N", &option_lba, &opt.lba, "where sector N lives: arena, map entry, block (or FIRST-LAST)"},
	JSON_OPTION(&opt.json),
	COMMON_OPTIONS(&opt.common),
	{NULL},
};

static struct json_array array;

/* ---------------------------------------------------------------- info block -------------------------------------- */

enum field_type { FIELD_TEXT, FIELD_UUID, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_HEX64 };

/* The info block (SPEC 1.1), in the order of the medium. */
static const struct {
	const char *name;
	uint16_t off;
	enum field_type type;
} fields[] = {
	{"signature", offsetof(struct info_block, signature), FIELD_TEXT},
	{"uuid", offsetof(struct info_block, uuid), FIELD_UUID},
	{"parent_uuid", offsetof(struct info_block, parent_uuid), FIELD_UUID},
	{"flags", offsetof(struct info_block, flags), FIELD_U32},
	{"version_major", offsetof(struct info_block, version_major), FIELD_U16},
	{"version_minor", offsetof(struct info_block, version_minor), FIELD_U16},
	{"external_lbasize", offsetof(struct info_block, external_lbasize), FIELD_U32},
	{"external_nlba", offsetof(struct info_block, external_nlba), FIELD_U32},
	{"internal_lbasize", offsetof(struct info_block, internal_lbasize), FIELD_U32},
	{"internal_nlba", offsetof(struct info_block, internal_nlba), FIELD_U32},
	{"nfree", offsetof(struct info_block, nfree), FIELD_U32},
	{"infosize", offsetof(struct info_block, infosize), FIELD_U32},
	{"nextoff", offsetof(struct info_block, nextoff), FIELD_HEX64},
	{"dataoff", offsetof(struct info_block, dataoff), FIELD_HEX64},
	{"mapoff", offsetof(struct info_block, mapoff), FIELD_HEX64},
	{"logoff", offsetof(struct info_block, logoff), FIELD_HEX64},
	{"info2off", offsetof(struct info_block, info2off), FIELD_HEX64},
	{"checksum", offsetof(struct info_block, checksum), FIELD_HEX64},
};

static uint64_t load_le(const uint8_t *p, unsigned len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | p[len];
	return value;
}

static void signature_text(const uint8_t *p, char text[17])
{
	memcpy(text, p, 16);
	text[16] = '\0';
	for (char *c = text; *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
}

static void dump_info_field(struct json_object *object, size_t i, const uint8_t *block)
{
	static const unsigned char lengths[] = {[FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8, [FIELD_HEX64] = 8};
	const uint8_t *p = block + fields[i].off;
	char text[40];
	uint64_t value = 0;

	if (fields[i].type == FIELD_TEXT) {
		signature_text(p, text);
	} else if (fields[i].type == FIELD_UUID) {
		memcpy(text, format_uuid(p).text, sizeof(struct uuid_text));
	} else {
		value = load_le(p, lengths[fields[i].type]);
		snprintf(text, sizeof(text), fields[i].type == FIELD_HEX64 ? "0x%" PRIx64 : "%" PRIu64, value);
	}
	if (!object)
		printf("  %-18s %s\n", fields[i].name, text);
	else if (fields[i].type == FIELD_UUID)
		json_add_uuid(object, fields[i].name, p);
	else if (fields[i].type == FIELD_TEXT)
		json_add_text(object, fields[i].name, text);
	else
		json_add_u64(object, fields[i].name, value);
}

static int dump_info(const struct target *target)
{
	struct untorn_btt_arena_info arena;
	uint8_t block[sizeof(struct info_block)];
	int r;

	for (uint32_t i = 0; i < target->info.narena; i++) {
		struct json_object *object = NULL;

		r = untorn_btt_get_arena(target->btt, i, &arena);
		if (r == 0)
			r = untorn_media_read(target->media, arena.off, block, sizeof(block));
		if (r < 0) {
			print_error("%s: info block of arena %" PRIu32 ": %s", target->name, i, target_strerror(r));
			return r;
		}
		if (opt.json) {
			object = json_new_object();
			json_add_text(object, "type", "info");
			json_add_u64(object, "arena", i);
			json_add_u64(object, "offset", arena.off);
		} else {
			printf("info block of arena %" PRIu32 " at 0x%" PRIx64 "\n", i, arena.off);
		}
		for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
			dump_info_field(object, f, block);
		if (object)
			json_array_add(&array, object);
	}
	return 0;
}

/* -------------------------------------------------------------------- map ----------------------------------------- */

static void print_run(uint64_t first, uint64_t n, const struct untorn_btt_mapping *mapping)
{
	struct json_object *object;

	if (!opt.json) {
		printf("  %-20" PRIu64 " %-20" PRIu64 " %-16" PRIu64 " %-6" PRIu32 " %s\n", first, first + n - 1, n,
		       mapping->arena, untorn_btt_state_name(mapping->state));
		return;
	}
	object = json_new_object();
	json_add_text(object, "type", "map");
	json_add_u64(object, "first_lba", first);
	json_add_u64(object, "sectors", n);
	json_add_u64(object, "arena", mapping->arena);
	json_add_text(object, "state", untorn_btt_state_name(mapping->state));
	json_array_add(&array, object);
}

static int dump_map(const struct target *target)
{
	uint64_t first = opt.map.limited ? opt.map.first : 0;
	uint64_t end = opt.map.limited ? opt.map.last + 1 : target->info.nlba;
	struct untorn_btt_mapping run, mapping;
	struct progress progress;
	uint64_t start = first;
	int r = 0;

	if (!opt.json)
		printf("map\n  %-20s %-20s %-16s %-6s %s\n", "first lba", "last lba", "sectors", "arena", "state");
	progress_begin(&progress, "reading the map", end - first, false);
	for (uint64_t lba = first; lba < end; lba++) {
		r = untorn_btt_lookup(target->btt, lba, &mapping);
		if (r < 0)
			break;
		if (lba == start) {
			run = mapping;
		} else if (mapping.state != run.state || mapping.arena != run.arena) {
			progress_hide(&progress);
			print_run(start, lba - start, &run);
			start = lba;
			run = mapping;
		}
		if (lba % 4096 == 0)
			progress_update(&progress, lba - first);
	}
	progress_end(&progress);
	if (r < 0) {
		print_error("%s: map entry of lba %" PRIu64 ": %s", target->name, start, target_strerror(r));
		return r;
	}
	if (start < end)
		print_run(start, end - start, &run);
	return 0;
}

/* -------------------------------------------------------------------- flog ---------------------------------------- */

/* A row of the table; the current slot is marked. */
static void print_flog_slot(const struct untorn_btt_flog *flog, int slot)
{
	const struct untorn_btt_flog_entry *entry = &flog->slot[slot];

	printf("%d%c    %-10" PRIu32 "  0x%08" PRIx32 "  0x%08" PRIx32 "  %" PRIu32 "\n", slot,
	       slot == flog->current ? '*' : ' ', entry->lba, entry->old_map, entry->new_map, entry->seq);
}

static struct json_object *describe_flog_slot(const struct untorn_btt_flog_entry *entry)
{
	struct json_object *object = json_new_object();

	json_add_u64(object, "lba", entry->lba);
	json_add_u64(object, "old_map", entry->old_map);
	json_add_u64(object, "new_map", entry->new_map);
	json_add_u64(object, "seq", entry->seq);
	return object;
}

static void print_flog(uint32_t arena, uint32_t lane, const struct untorn_btt_flog *flog)
{
	struct json_object *object, *slots;

	if (!opt.json) {
		printf("  %-4" PRIu32 "  0x%-14" PRIx64 "  %-10" PRIu32 "  ", lane, flog->off, flog->free_block);
		print_flog_slot(flog, 0);
		printf("  %-4s  %-16s  %-10s  ", "", "", "");
		print_flog_slot(flog, 1);
		return;
	}
	object = json_new_object();
	slots = json_new_list();
	json_add_text(object, "type", "flog");
	json_add_u64(object, "arena", arena);
	json_add_u64(object, "lane", lane);
	json_add_u64(object, "offset", flog->off);
	json_add_u64(object, "free_block", flog->free_block);
	json_add_u64(object, "current", (uint64_t)flog->current);
	json_list_add(slots, describe_flog_slot(&flog->slot[0]));
	json_list_add(slots, describe_flog_slot(&flog->slot[1]));
	json_add(object, "slots", slots);
	json_array_add(&array, object);
}

static void print_flog_header(uint32_t number, const struct untorn_btt_arena_info *arena)
{
	printf("flog of arena %" PRIu32 " at 0x%" PRIx64 ", in slots %s; * is the current one\n", number,
	       arena->flog_off, arena->padding == UNTORN_BTT_PADDING_02 ? "0 and 2 (shown as 0 and 1)" : "0 and 1");
	printf("  %-4s  %-16s  %-10s  slot  %-10s  %-10s  %-10s  seq\n", "lane", "offset", "free block", "lba",
	       "old_map", "new_map");
}

static int dump_flog(const struct target *target)
{
	struct untorn_btt_arena_info arena;
	struct untorn_btt_flog flog;
	int r;

	for (uint32_t i = 0; i < target->info.narena; i++) {
		uint64_t first = 0, end;

		r = untorn_btt_get_arena(target->btt, i, &arena);
		if (r < 0)
			return r;
		end = arena.nfree;
		if (opt.flog.limited) {
			first = opt.flog.first;
			end = opt.flog.last + 1;
			if (end > arena.nfree || end == 0) {
				print_error("%s: lane %" PRIu64 " does not exist; arena %" PRIu32
					    " has lanes 0 to %" PRIu32,
					    target->name, opt.flog.last, i, arena.nfree - 1);
				return -ERANGE;
			}
		}
		if (!opt.json)
			print_flog_header(i, &arena);
		for (uint64_t lane = first; lane < end; lane++) {
			r = untorn_btt_get_flog(target->btt, i, (uint32_t)lane, &flog);
			if (r < 0) {
				print_error("%s: flog of lane %" PRIu64 " in arena %" PRIu32 ": %s", target->name, lane,
					    i, target_strerror(r));
				return r;
			}
			print_flog(i, (uint32_t)lane, &flog);
		}
	}
	return 0;
}

/* --------------------------------------------------------------------- lba ---------------------------------------- */

static void print_mapping(uint64_t lba, const struct untorn_btt_mapping *mapping)
{
	struct json_object *object;

	if (!opt.json) {
		printf("lba %" PRIu64 "\n", lba);
		printf("  state        %s\n", untorn_btt_state_name(mapping->state));
		printf("  arena        %" PRIu32 "\n", mapping->arena);
		printf("  premap lba   %" PRIu32 "\n", mapping->premap);
		printf("  map entry    0x%08" PRIx32 " at 0x%" PRIx64 "\n", mapping->raw, mapping->map_off);
		printf("  block        %" PRIu32 " at 0x%" PRIx64 "\n", mapping->postmap, mapping->block_off);
		return;
	}
	object = json_new_object();
	json_add_text(object, "type", "lba");
	json_add_u64(object, "lba", lba);
	json_add_text(object, "state", untorn_btt_state_name(mapping->state));
	json_add_u64(object, "arena", mapping->arena);
	json_add_u64(object, "premap", mapping->premap);
	json_add_u64(object, "postmap", mapping->postmap);
	json_add_u64(object, "raw", mapping->raw);
	json_add_u64(object, "map_offset", mapping->map_off);
	json_add_u64(object, "block_offset", mapping->block_off);
	json_array_add(&array, object);
}

static int dump_lba(const struct target *target)
{
	struct untorn_btt_mapping mapping;
	int r;

	for (uint64_t lba = opt.lba.first;; lba++) {
		r = untorn_btt_lookup(target->btt, lba, &mapping);
		if (r < 0) {
			print_error("%s: lba %" PRIu64 ": %s", target->name, lba, target_strerror(r));
			return r;
		}
		print_mapping(lba, &mapping);
		if (lba == opt.lba.last)
			return 0;
	}
}

/* --------------------------------------------------------------------- run ---------------------------------------- */

/* Returns 0, or -ERANGE after a sentence. */
static int check_lbas(const struct target *target, const struct range_option *range)
{
	if (!range->limited || range->last < target->info.nlba)
		return 0;
	print_error("%s: lba %" PRIu64 " is beyond the end; the last one is %" PRIu64, target->name, range->last,
		    target->info.nlba - 1);
	return -ERANGE;
}

static int dump(const struct target *target)
{
	bool all = !opt.info && !opt.map.given && !opt.flog.given && !opt.lba.given;
	int r = 0;

	if (opt.info || all)
		r = dump_info(target);
	if (r == 0 && (opt.map.given || all))
		r = dump_map(target);
	if (r == 0 && (opt.flog.given || all))
		r = dump_flog(target);
	if (r == 0 && opt.lba.given)
		r = dump_lba(target);
	return r;
}

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_target_ struct target target = {.path = NULL};
	int r;

	(void)command;
	(void)nargs;
	if (target_open(&target, args[0], &opt.common, true) < 0)
		return CLI_FAILED;
	if (!target.info.is_laid_out) {
		print_error("%s: the pool was never written, so there is nothing to show", target.name);
		return CLI_FAILED;
	}
	if (check_lbas(&target, &opt.map) < 0 || check_lbas(&target, &opt.lba) < 0)
		return CLI_FAILED;
	if (opt.json)
		json_array_begin(&array);
	r = dump(&target);
	if (opt.json)
		json_array_end(&array);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command cmd_dump = {
	.name = "dump",
	.synopsis = "TARGET [--info] [--map[=FIRST[-LAST]]] [--flog[=LANE]] [--lba N] [--json]",
	.summary = "show info blocks, map, flog, or where one sector lives",
	.description = "Print structures of the volume in TARGET as they are on the medium; without options the info\n"
		       "blocks, the map and the flogs. Changes nothing.\n",
	.options = options,
	.examples = "  untorn dump vol.img --info\n"
		    "  untorn dump vol.img --map=0-999\n"
		    "  untorn dump vol.img --flog=3 --json\n"
		    "  untorn dump vol.img --lba 1234\n",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
