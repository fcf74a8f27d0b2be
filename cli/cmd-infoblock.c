/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn read-infoblock and write-infoblock: the info block by which a namespace, or an image of one, is known as a volume.
 *
 * Namespaces do not come up for it: a copy whose info block still names another container could not anyway.
 */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/fletcher64.h"
#include "info-block.h"
#include "nd.h"

/* What is read and written: one of its two places holds the info block. */
struct span {
	struct info_block at[INFOBLOCK_SPAN / sizeof(struct info_block)];
};

static struct {
	struct platform_options platform;
	struct filter filter;
	const char *input, *output, *mode;
	struct uuid_option uuid, parent_uuid;
	bool json, human, verify, to_stdout;
	unsigned verbose;
} opt;

static int store_mode(const char *text, void *value)
{
	static const char *const words[] = {"sector", NULL};

	return store_word(text, value, words);
}

static const struct option_type option_mode = {store_mode, "sector (fsdax and devdax are not offered)",
					       required_argument};

static const struct option_row read_options[] = {
	{"input", "FILE", &option_text, &opt.input, "read an image of a namespace instead (default: standard input)",
	 'i'},
	{"output", "FILE", &option_text, &opt.output, "write the bytes to this file (default: standard output)", 'o'},
	{"json", NULL, &option_switch, &opt.json, "print a JSON array of what the info blocks say", 'j'},
	{"human", NULL, &option_switch, &opt.human, "the same, offsets in hexadecimal", 'u'},
	{"verify", NULL, &option_switch, &opt.verify, "fail where the checksum or the parent uuid is wrong", 'V'},
	NAMESPACE_OPTIONS(&opt.filter, &opt.verbose),
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

static const struct option_row write_options[] = {
	{"uuid", "U", &option_uuid, &opt.uuid, "new uuid of the volume (default: a random one)", 'u'},
	{"parent-uuid", "U", &option_uuid, &opt.parent_uuid,
	 "new uuid of what it lies in (default: that of the namespace; with -o: as it is)", 'p'},
	{"mode", "MODE", &option_mode, &opt.mode, "sector, which is all there is", 'm'},
	{"output", "IMAGE", &option_text, &opt.output, "write to this image of a namespace instead", 'o'},
	{"stdout", NULL, &option_switch, &opt.to_stdout, "write the bytes to standard output and change nothing", 'c'},
	NAMESPACE_OPTIONS(&opt.filter, &opt.verbose),
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

/* ------------------------------------------------------------------ info blocks ----------------------------------- */

/* The info block in the span, or NULL; the place at base first. */
static struct info_block *find_block(struct span *span, uint64_t base)
{
	static const char signature[16] = "BTT_ARENA_INFO";
	size_t first = base / sizeof(struct info_block) % ARRAY_SIZE(span->at);

	for (size_t i = 0; i < ARRAY_SIZE(span->at); i++) {
		struct info_block *block = &span->at[(first + i) % ARRAY_SIZE(span->at)];

		if (memcmp(block->signature, signature, sizeof(signature)) == 0)
			return block;
	}
	return NULL;
}

static uint64_t checksum(const struct info_block *block)
{
	return fletcher64(block, sizeof(*block), offsetof(struct info_block, checksum), sizeof(block->checksum));
}

/* parent_uuid: of the container, or NULL when there is none that is known. */
static int verify(const char *name, const struct info_block *block, const uint8_t *parent_uuid)
{
	if (checksum(block) != le64_get(block->checksum)) {
		print_error("%s: the checksum of its info block is wrong", name);
		return -EUCLEAN;
	}
	if (parent_uuid && !uuid_is_null(block->parent_uuid) && uuid_compare(block->parent_uuid, parent_uuid) != 0) {
		print_error("%s: its info block belongs to %s; write-infoblock makes it this namespace's", name,
			    format_uuid(block->parent_uuid).text);
		return -EUCLEAN;
	}
	return 0;
}

static struct json_object *block_to_json(const char *key, const char *name, const struct info_block *block)
{
	struct json_object *object = json_new_object();
	unsigned flags = opt.human ? ND_HUMAN : 0;
	char text[sizeof(block->signature) + 1] = "", version[16];

	memcpy(text, block->signature, sizeof(block->signature));
	snprintf(version, sizeof(version), "%d.%d", le16_get(block->version_major), le16_get(block->version_minor));
	json_add_text(object, key, name);
	json_add_text(object, "signature", text);
	json_add_any_uuid(object, "uuid", block->uuid);
	json_add_any_uuid(object, "parent_uuid", block->parent_uuid);
	json_add_hex(object, "flags", le32_get(block->flags), flags);
	json_add_text(object, "version", version);
	json_add_u64(object, "external_lbasize", le32_get(block->external_lbasize));
	json_add_u64(object, "external_nlba", le32_get(block->external_nlba));
	json_add_u64(object, "internal_lbasize", le32_get(block->internal_lbasize));
	json_add_u64(object, "internal_nlba", le32_get(block->internal_nlba));
	json_add_u64(object, "nfree", le32_get(block->nfree));
	json_add_u64(object, "infosize", le32_get(block->infosize));
	json_add_hex(object, "nextoff", le64_get(block->nextoff), flags);
	json_add_hex(object, "dataoff", le64_get(block->dataoff), flags);
	json_add_hex(object, "mapoff", le64_get(block->mapoff), flags);
	json_add_hex(object, "logoff", le64_get(block->logoff), flags);
	json_add_hex(object, "info2off", le64_get(block->info2off), flags);
	return object;
}

/* --------------------------------------------------------------------- reading ------------------------------------ */

/* Where what was read goes: into list, or as bytes into out. */
struct reading {
	struct json_object *list;
	FILE *out;
	size_t done;
};

/* One span, of a namespace ("dev") or of a file ("file"). Returns 0, or a negative errno after a sentence. */
static int take_span(struct reading *reading, const char *key, const char *name, struct span *span, uint64_t base,
		     const uint8_t *parent_uuid)
{
	const struct info_block *block = find_block(span, base);
	int r;

	if (!block && (opt.json || opt.verify)) {
		print_error("%s: it has no info block of a volume", name);
		return -ENXIO;
	}
	r = opt.verify ? verify(name, block, parent_uuid) : 0;
	if (r < 0)
		return r;
	if (reading->list)
		json_list_add(reading->list, block_to_json(key, name, block));
	else
		fwrite(span, 1, sizeof(*span), reading->out);
	reading->done++;
	return 0;
}

static int read_file(struct reading *reading)
{
	const char *name = opt.input ? opt.input : "<stdin>";
	FILE *file = opt.input ? fopen(opt.input, "re") : stdin;
	struct span span = {0};
	size_t len;
	int r = 0;

	if (!file) {
		print_error("%s: %s", name, system_strerror(errno));
		return -EIO;
	}
	len = fread(&span, 1, sizeof(span), file);
	if (ferror(file) || len < sizeof(struct info_block)) {
		print_error("%s: %s", name, ferror(file) ? system_strerror(errno) : "too short for an info block");
		r = -EIO;
	}
	if (opt.input)
		fclose(file);
	return r < 0 ? r : take_span(reading, "file", name, &span, 0, NULL);
}

/* Of "all", those without size or without info block are passed over. */
static bool is_passed_over(struct untorn_device *ns)
{
	struct untorn_media *media;
	const char *what = NULL;

	if (untorn_namespace_media(ns, &media) < 0)
		return true;
	untorn_btt_recognise(media, &what);
	untorn_media_close(media);
	return !what;
}

/* The start of a namespace, and where its layout has the info block. Returns 0, or a negative errno after a sentence. */
static int read_span(struct untorn_device *ns, struct span *ret_span, uint64_t *ret_base, uint8_t ret_parent_uuid[16])
{
	enum untorn_btt_layout layout;
	int r = untorn_namespace_btt_layout(ns, &layout, ret_parent_uuid);

	if (r == 0)
		r = untorn_namespace_rw_bytes(ns, 0, ret_span, sizeof(*ret_span), false);
	if (r < 0) {
		print_error("%s: its info block cannot be read: %s", untorn_device_name(ns),
			    r == -ENXIO ? "it has no size" : device_strerror(r));
		return r;
	}
	*ret_base = layout == UNTORN_BTT_V2_0 ? 0 : sizeof(struct info_block);
	return 0;
}

static int read_namespaces(const struct machine *machine, int nargs, char **args, struct reading *reading)
{
	_cleanup_device_list_ struct device_list list = {.n = 0};
	bool is_all = nargs == 1 && strcmp(args[0], "all") == 0;
	int r = select_devices(machine, UNTORN_DEVICE_NAMESPACE, &opt.filter, nargs, args, &list);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		uint8_t parent_uuid[16];
		struct span span;
		uint64_t base;

		if (is_all && is_passed_over(list.devices[i]))
			continue;
		r = read_span(list.devices[i], &span, &base, parent_uuid);
		if (r == 0)
			r = take_span(reading, "dev", untorn_device_name(list.devices[i]), &span, base, parent_uuid);
	}
	return r;
}

static int read_all(const struct command *command, int nargs, char **args, struct reading *reading)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	int r;

	if (nargs == 0)
		return read_file(reading) < 0 ? CLI_FAILED : CLI_OK;
	r = machine_open(&machine, command, &opt.platform, UNTORN_BUS_NO_AUTOPROBE | UNTORN_BUS_READ_ONLY);
	if (r < 0)
		return r;
	return read_namespaces(&machine, nargs, args, reading) < 0 ? CLI_FAILED : CLI_OK;
}

static int run_read(const struct command *command, int nargs, char **args)
{
	struct reading reading = {.done = 0};
	int r;

	opt.json |= opt.human;
	if (opt.input && nargs > 0)
		return usage_error(command, "--input and namespaces exclude each other");
	if (output_open(opt.output, &reading.out) < 0)
		return CLI_FAILED;
	if (opt.json)
		reading.list = json_new_list();
	r = read_all(command, nargs, args, &reading);
	if (reading.list && r == CLI_OK)
		json_print_list(reading.list, reading.out);
	json_object_put(reading.list);
	if (output_close(opt.output, reading.out) < 0)
		return CLI_FAILED;
	if (r == CLI_OK)
		print_count("read", reading.done, "infoblock");
	return r;
}

/* --------------------------------------------------------------------- writing ------------------------------------ */

/* The uuids that are to be set: NULL keeps one. */
struct uuids {
	uint8_t uuid[16];
	const uint8_t *parent_uuid;
};

static void choose_uuids(struct uuids *uuids, const uint8_t *own_parent_uuid)
{
	if (opt.uuid.given)
		memcpy(uuids->uuid, opt.uuid.bytes, sizeof(uuids->uuid));
	else
		uuid_generate(uuids->uuid);
	uuids->parent_uuid = opt.parent_uuid.given ? opt.parent_uuid.bytes : own_parent_uuid;
}

/* The span with the uuids in its info block, to standard output. */
static int print_span(const char *name, struct span *span, uint64_t base, const struct uuids *uuids)
{
	struct info_block *block = find_block(span, base);

	if (!block) {
		print_error("%s: it has no info block of a volume", name);
		return -ENXIO;
	}
	memcpy(block->uuid, uuids->uuid, sizeof(block->uuid));
	if (uuids->parent_uuid)
		memcpy(block->parent_uuid, uuids->parent_uuid, sizeof(block->parent_uuid));
	block->checksum = le64_make(checksum(block));
	fwrite(span, 1, sizeof(*span), stdout);
	return 0;
}

static int write_image(void)
{
	static const struct common_options common;
	_cleanup_target_ struct target target = {.path = NULL};
	struct uuids uuids;
	struct span span;
	int r;

	choose_uuids(&uuids, NULL);
	if (target_open_media(&target, opt.output, &common, opt.to_stdout) < 0)
		return CLI_FAILED;
	if (opt.to_stdout) {
		r = untorn_media_read(target.media, 0, &span, sizeof(span));
		if (r == 0)
			return print_span(opt.output, &span, 0, &uuids) < 0 ? CLI_FAILED : CLI_OK;
	} else {
		r = untorn_btt_set_uuid(target.media, UNTORN_BTT_AUTO, uuids.uuid, uuids.parent_uuid);
	}
	if (r < 0) {
		print_error("%s: %s", opt.output, target_strerror(r));
		return CLI_FAILED;
	}
	print_count("wrote", 1, "infoblock");
	return CLI_OK;
}

static int write_namespace(struct untorn_device *ns)
{
	const char *name = untorn_device_name(ns);
	uint8_t parent_uuid[16];
	enum untorn_btt_layout layout;
	struct untorn_media *media;
	struct uuids uuids;
	struct span span;
	uint64_t base;
	int r = read_span(ns, &span, &base, parent_uuid);

	if (r < 0)
		return r;
	choose_uuids(&uuids, parent_uuid);
	if (opt.to_stdout)
		return print_span(name, &span, base, &uuids);
	r = namespace_check_writable(ns);
	if (r < 0)
		return r;
	r = untorn_namespace_btt_layout(ns, &layout, parent_uuid);
	if (r == 0)
		r = untorn_namespace_media(ns, &media);
	if (r == 0) {
		r = untorn_btt_set_uuid(media, layout, uuids.uuid, uuids.parent_uuid);
		untorn_media_close(media);
	}
	if (r < 0)
		print_error("%s: %s", name, target_strerror(r));
	return r;
}

static int write_namespaces(const struct machine *machine, int nargs, char **args)
{
	_cleanup_device_list_ struct device_list list = {.n = 0};
	bool is_all = strcmp(args[0], "all") == 0;
	size_t done = 0;
	int r = select_devices(machine, UNTORN_DEVICE_NAMESPACE, &opt.filter, nargs, args, &list);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		if (is_all && is_passed_over(list.devices[i]))
			continue;
		r = write_namespace(list.devices[i]);
		done += r == 0;
	}
	if (r == 0 || done > 0)
		print_count("wrote", done, "infoblock");
	return r;
}

static int run_write(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	int r;

	if (!opt.output == (nargs == 0))
		return usage_error(command, nargs ? "--output and namespaces exclude each other"
						  : "a namespace, 'all' or --output is missing");
	if (opt.uuid.given && (nargs > 1 || (nargs == 1 && strcmp(args[0], "all") == 0)))
		return usage_error(command, "--uuid is for one namespace");
	if (nargs == 0)
		return write_image();
	r = machine_open(&machine, command, &opt.platform,
			 UNTORN_BUS_NO_AUTOPROBE | (opt.to_stdout ? UNTORN_BUS_READ_ONLY : 0));
	if (r < 0)
		return r;
	r = write_namespaces(&machine, nargs, args);
	return machine_close(&machine) < 0 || r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command cmd_read_infoblock = {
	.name = "read-infoblock",
	.synopsis = "NAMESPACE...|all|-i FILE --nvdimm DIMM... [-o FILE] [-j] [-u] [-V]",
	.summary = "show the info blocks of namespaces in sector mode",
	.description =
		"Write the first 8 KiB of namespaces, where the info block is, or with --json what it says. Changes\n"
		"nothing.\n",
	.options = read_options,
	.examples = "  untorn read-infoblock namespace0.0 -j --nvdimm mem-path=nv0.img\n"
		    "  untorn read-infoblock -i vol.img -j -V\n",
	.min_args = 0,
	.max_args = -1,
	.run = run_read,
};

const struct command cmd_write_infoblock = {
	.name = "write-infoblock",
	.synopsis = "NAMESPACE...|all|-o IMAGE --nvdimm DIMM... [-u U] [-p U] [-c]",
	.summary = "give a copied volume uuids of its own",
	.description =
		"Write new uuids into all info blocks of a volume, so that a copy can stand beside its original and\n"
		"belongs to the namespace that it lies in. Data stays. An interrupted run is simply run again.\n",
	.options = write_options,
	.examples = "  untorn write-infoblock namespace1.0 --nvdimm mem-path=nv0.img --nvdimm mem-path=nv1.img\n"
		    "  cp vol.img clone.img; untorn write-infoblock -o clone.img\n"
		    "  untorn write-infoblock namespace0.0 -c --nvdimm mem-path=nv0.img | untorn read-infoblock -j\n",
	.min_args = 0,
	.max_args = -1,
	.run = run_write,
};
