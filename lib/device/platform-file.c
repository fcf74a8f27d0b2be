/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Platform files: JSON that says which dimms and regions there are. untorn-platform(5).
 *
 * Strict, so that a typing error never becomes another machine: unknown keys, wrong types and numbers that do not fit are
 * refused with the path of the key. Size and depth of the file are bounded. What depends on the sizes of files is checked when
 * they are opened (platform-region.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "device/platform.h"

#define FILE_SIZE_MAX (1u << 20)
#define DEPTH_MAX     8 /* the deepest that has a meaning is 6 */

struct reader {
	struct untorn_platform *platform;
	const char *file;
	unsigned first_dimm; /* of this file, in the platform */
};

/* Where a value stands: "dimms[1].size". */
struct where {
	char text[128];
};

static struct where where_key(const struct where *where, const char *key)
{
	struct where out;

	snprintf(out.text, sizeof(out.text), "%.60s%s%.60s", where->text, where->text[0] ? "." : "", key);
	return out;
}

static struct where where_item(const struct where *where, size_t index)
{
	struct where out;

	snprintf(out.text, sizeof(out.text), "%.60s[%zu]", where->text, index);
	return out;
}

__attribute__((format(printf, 3, 4))) static int refuse(const struct reader *reader, const struct where *where,
							const char *format, ...)
{
	char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return platform_fail(reader->platform, -EINVAL, "%s: %s%s%s", reader->file, where->text,
			     where->text[0] ? ": " : "", reason);
}

/* --------------------------------------------------------- values -------------------------------------------------------- */

enum type {
	TYPE_TEXT,   /* char * */
	TYPE_PATH,   /* char *, from the file's folder */
	TYPE_BOOL,   /* bool */
	TYPE_NUMBER, /* of that many bytes: also as text, decimal or 0x hexadecimal */
	TYPE_NODE,   /* int */
	TYPE_SIZE,   /* uint64_t: also as text with a unit */
	TYPE_KIND,   /* enum untorn_region_kind */
	TYPE_LIST,   /* of objects: item() for each */
};

/* A key that an object may have, and where its value goes. */
struct key {
	const char *name;
	enum type type;
	size_t off;
	size_t bytes;  /* NUMBER */
	ptrdiff_t has; /* of a bool that is set when the key is there; 0: none */
	bool required;
	int (*item)(struct reader *reader, const struct where *where, struct json_object *value, void *object);
};

#define FIELD(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const char *const kind_names[] = {
	[UNTORN_REGION_PMEM] = "pmem",
	[UNTORN_REGION_VOLATILE] = "volatile",
	[UNTORN_REGION_BLK] = "blk",
};

/* The text of a value, or NULL: it is none, or has a NUL in it. */
static const char *get_text(struct json_object *value)
{
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

	return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

/* A number or a text that says one. */
static int get_number(struct json_object *value, uint64_t *ret_number)
{
	const char *text = get_text(value);

	if (text)
		return platform_parse_size(text, ret_number);
	/* What exceeds the type is cut to its maximum, which no field takes. */
	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
	    json_object_get_int64(value) == INT64_MAX)
		return -EINVAL;
	*ret_number = (uint64_t)json_object_get_int64(value);
	return 0;
}

static int read_text(const struct reader *reader, const struct where *where, struct json_object *value, char **ret_text)
{
	const char *text = get_text(value);

	if (!text || !text[0])
		return refuse(reader, where, "not a text");
	*ret_text = strdup(text);
	return *ret_text ? 0 : platform_fail_memory(reader->platform);
}

static int read_path(const struct reader *reader, const struct where *where, struct json_object *value, char **ret_path)
{
	const char *text = get_text(value), *slash = strrchr(reader->file, '/');
	int folder = slash ? (int)(slash + 1 - reader->file) : 0;
	char *path;

	if (!text || !text[0])
		return refuse(reader, where, "not the path of a file");
	if (asprintf(&path, "%.*s%s", text[0] == '/' ? 0 : folder, reader->file, text) < 0)
		return platform_fail_memory(reader->platform);
	*ret_path = path;
	return 0;
}

static int read_number(const struct reader *reader, const struct where *where, struct json_object *value, void *field,
		       size_t bytes)
{
	uint64_t number, max = bytes < 8 ? (UINT64_C(1) << (8 * bytes)) - 1 : INT64_MAX;

	if (get_number(value, &number) < 0 || number > max)
		return refuse(reader, where, "not a number from 0 to %llu", (unsigned long long)max);
	switch (bytes) {
	case 1:
		*(uint8_t *)field = (uint8_t)number;
		break;
	case 2:
		*(uint16_t *)field = (uint16_t)number;
		break;
	default:
		*(uint32_t *)field = (uint32_t)number;
	}
	return 0;
}

static int read_kind(const struct reader *reader, const struct where *where, struct json_object *value,
		     enum untorn_region_kind *ret_kind)
{
	const char *text = get_text(value);

	for (unsigned i = 0; text && i < ARRAY_SIZE(kind_names); i++) {
		if (strcmp(kind_names[i], text) == 0) {
			*ret_kind = (enum untorn_region_kind)i;
			return 0;
		}
	}
	return refuse(reader, where, "not one of pmem, blk and volatile");
}

static int read_list(struct reader *reader, const struct where *where, struct json_object *value, const struct key *key,
		     void *object)
{
	if (!json_object_is_type(value, json_type_array))
		return refuse(reader, where, "not a list");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct where item = where_item(where, i);
		int r = key->item(reader, &item, json_object_array_get_idx(value, i), object);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_node(const struct reader *reader, const struct where *where, struct json_object *value, int *ret_node)
{
	int64_t node = json_object_get_int64(value);

	if (!json_object_is_type(value, json_type_int) || node < -1 || node > INT32_MAX)
		return refuse(reader, where, "not the number of a node; -1: none");
	*ret_node = (int)node;
	return 0;
}

static int read_value(struct reader *reader, const struct where *where, struct json_object *value,
		      const struct key *key, void *object)
{
	void *field = (char *)object + key->off;

	switch (key->type) {
	case TYPE_TEXT:
		return read_text(reader, where, value, field);
	case TYPE_PATH:
		return read_path(reader, where, value, field);
	case TYPE_NUMBER:
		return read_number(reader, where, value, field, key->bytes);
	case TYPE_NODE:
		return read_node(reader, where, value, field);
	case TYPE_KIND:
		return read_kind(reader, where, value, field);
	case TYPE_LIST:
		return read_list(reader, where, value, key, object);
	case TYPE_SIZE:
		return get_number(value, field) < 0 ? refuse(reader, where, "not a size such as 256M or 4096") : 0;
	case TYPE_BOOL:
		if (!json_object_is_type(value, json_type_boolean))
			return refuse(reader, where, "neither true nor false");
		*(bool *)field = json_object_get_boolean(value);
	}
	return 0;
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	while (keys->name && strcmp(keys->name, name) != 0)
		keys++;
	return keys->name ? keys : NULL;
}

/* In the order of keys, which end with a row without a name. */
static int read_object(struct reader *reader, const struct where *where, struct json_object *value,
		       const struct key *keys, void *object)
{
	int r;

	if (!json_object_is_type(value, json_type_object))
		return refuse(reader, where, "not an object");
	json_object_object_foreach(value, name, ignored)
	{
		struct where at = where_key(where, name);

		(void)ignored;
		if (!find_key(keys, name))
			return refuse(reader, &at, "unknown key");
	}
	for (const struct key *key = keys; key->name; key++) {
		struct where at = where_key(where, key->name);
		struct json_object *member;

		if (!json_object_object_get_ex(value, key->name, &member)) {
			if (key->required)
				return refuse(reader, &at, "missing");
			continue;
		}
		r = read_value(reader, &at, member, key, object);
		if (r < 0)
			return r;
		if (key->has)
			*(bool *)((char *)object + key->has) = true;
	}
	return 0;
}

/* --------------------------------------------------------- dimms --------------------------------------------------------- */

static const struct key dimm_keys[] = {
	{"mem-path", TYPE_PATH, FIELD(platform_dimm, path), .required = true},
	{"size", TYPE_SIZE, FIELD(platform_dimm, size), .has = offsetof(struct platform_dimm, has_size)},
	{"label-size", TYPE_SIZE, FIELD(platform_dimm, label_size),
	 .has = offsetof(struct platform_dimm, has_label_size)},
	{"unarmed", TYPE_BOOL, FIELD(platform_dimm, unarmed)},
	{"locked", TYPE_BOOL, FIELD(platform_dimm, locked)},
	{"handle", TYPE_NUMBER, FIELD(platform_dimm, id.handle)},
	{"phys-id", TYPE_NUMBER, FIELD(platform_dimm, id.phys_id)},
	{"serial", TYPE_NUMBER, FIELD(platform_dimm, id.serial)},
	{"vendor", TYPE_NUMBER, FIELD(platform_dimm, id.vendor)},
	{"device", TYPE_NUMBER, FIELD(platform_dimm, id.device)},
	{"revision", TYPE_NUMBER, FIELD(platform_dimm, id.revision)},
	{"date", TYPE_NUMBER, FIELD(platform_dimm, id.date),
	 .has = offsetof(struct platform_dimm, id.has_manufacturing)},
	{"location", TYPE_NUMBER, FIELD(platform_dimm, id.location),
	 .has = offsetof(struct platform_dimm, id.has_manufacturing)},
	{NULL},
};

static int check_dimm(struct reader *reader, const struct where *where, const struct platform_dimm *dimm)
{
	char what[200];

	snprintf(what, sizeof(what), "%.60s: %.128s", reader->file, where->text);
	return platform_check_dimm(reader->platform, what, dimm);
}

static int read_dimm(struct reader *reader, const struct where *where, struct json_object *value, void *object)
{
	struct platform_dimm dimm = {.id = platform_qemu_identity(reader->platform->ndimm)};
	int r;

	(void)object;
	r = read_object(reader, where, value, dimm_keys, &dimm);
	if (r == 0)
		r = check_dimm(reader, where, &dimm);
	if (r == 0)
		r = platform_add_dimm(reader->platform, &dimm);
	if (r < 0)
		free(dimm.path);
	return r;
}

/* --------------------------------------------------------- regions ------------------------------------------------------- */

static const struct key mapping_keys[] = {
	{"dimm", TYPE_NUMBER, FIELD(platform_mapping, dimm), .required = true},
	{"start", TYPE_SIZE, FIELD(platform_mapping, start)},
	{"size", TYPE_SIZE, FIELD(platform_mapping, size), .has = offsetof(struct platform_mapping, has_size)},
	{"region-offset", TYPE_SIZE, FIELD(platform_mapping, region_offset)},
	{NULL},
};

static int read_mapping(struct reader *reader, const struct where *where, struct json_object *value, void *object)
{
	unsigned ndimm = reader->platform->ndimm - reader->first_dimm;
	struct platform_region *region = object;
	struct platform_mapping mapping = {0};
	int r = read_object(reader, where, value, mapping_keys, &mapping);

	if (r < 0)
		return r;
	if (mapping.dimm >= ndimm)
		return refuse(reader, where, "dimm %u, but there are %u, counted from 0", mapping.dimm, ndimm);
	mapping.dimm += reader->first_dimm;
	if (!is_aligned(mapping.start, 4096) || !is_aligned(mapping.size, 4096) ||
	    (mapping.has_size && mapping.size == 0))
		return refuse(reader, where, "start or size is not a multiple of 4096");
	if (region->nmapping == PLATFORM_MAPPINGS_MAX)
		return refuse(reader, where, "more than %u mappings", PLATFORM_MAPPINGS_MAX);
	for (unsigned i = 0; i < region->nmapping; i++) {
		if (region->mappings[i].dimm == mapping.dimm)
			return refuse(reader, where, "the dimm has a mapping in this region already");
	}
	region->mappings[region->nmapping++] = mapping;
	return 0;
}

static const struct key region_keys[] = {
	{"type", TYPE_KIND, FIELD(platform_region, kind), .required = true},
	{"mappings", TYPE_LIST, .item = read_mapping},
	{"interleave", TYPE_SIZE, FIELD(platform_region, interleave)},
	{"size", TYPE_SIZE, FIELD(platform_region, size), .has = offsetof(struct platform_region, has_size)},
	{"mem-path", TYPE_PATH, FIELD(platform_region, path)},
	{"resource", TYPE_SIZE, FIELD(platform_region, resource),
	 .has = offsetof(struct platform_region, has_resource)},
	{"numa-node", TYPE_NODE, FIELD(platform_region, numa_node)},
	{"target-node", TYPE_NODE, FIELD(platform_region, target_node)},
	{"read-only", TYPE_BOOL, FIELD(platform_region, always_read_only)},
	{NULL},
};

static int check_region(const struct reader *reader, const struct where *where, const struct platform_region *region)
{
	bool is_volatile = region->kind == UNTORN_REGION_VOLATILE;

	if (is_volatile && region->nmapping > 0)
		return refuse(reader, where, "a volatile region has no mappings, but a size");
	if (is_volatile && !region->has_size)
		return refuse(reader, where, "size is missing");
	if (!is_volatile && region->nmapping == 0)
		return refuse(reader, where, "mappings are missing: on which dimms it lies");
	if (!is_volatile && region->path)
		return refuse(reader, where, "only a volatile region has a mem-path; others lie on dimms");
	if (region->kind == UNTORN_REGION_BLK && region->nmapping != 1)
		return refuse(reader, where, "a blk region has one mapping, not %u", region->nmapping);
	if (region->kind == UNTORN_REGION_BLK && region->has_resource)
		return refuse(reader, where, "a blk region has no resource: it is not mapped");
	if (region->has_size && (region->size == 0 || !is_aligned(region->size, 4096)))
		return refuse(reader, where, "size is not a multiple of 4096");
	if (!is_aligned(region->resource, 4096))
		return refuse(reader, where, "resource is not a multiple of 4096");
	if (region->interleave < 4096 || !is_aligned(region->interleave, region->interleave))
		return refuse(reader, where, "interleave is not a power of two of at least 4096");
	return 0;
}

static int read_region(struct reader *reader, const struct where *where, struct json_object *value, void *object)
{
	struct platform_region region = platform_default_region(UNTORN_REGION_PMEM);
	int r;

	(void)object;
	r = read_object(reader, where, value, region_keys, &region);
	if (r == 0)
		r = check_region(reader, where, &region);
	if (r == 0)
		r = platform_add_region(reader->platform, &region);
	if (r < 0)
		free(region.path);
	return r;
}

/* ---------------------------------------------------------- file --------------------------------------------------------- */

struct contents {
	char *provider;
	bool has_regions;
};

/* Dimms first: regions refer to them. */
static const struct key file_keys[] = {
	{"provider", TYPE_TEXT, FIELD(contents, provider)},
	{"dimms", TYPE_LIST, .item = read_dimm},
	{"regions", TYPE_LIST, .item = read_region, .has = offsetof(struct contents, has_regions)},
	{NULL},
};

static int read_contents(struct reader *reader, struct json_object *json, struct contents *contents)
{
	struct untorn_platform *platform = reader->platform;
	const struct where top = {""};
	int r = read_object(reader, &top, json, file_keys, contents);

	if (r < 0 || contents->has_regions)
		return r;
	for (unsigned i = reader->first_dimm; i < platform->ndimm && r == 0; i++)
		r = platform_add_whole_region(platform, i);
	return r;
}

/* The whole file, terminated, in *ret_text. */
static int read_file(struct untorn_platform *platform, const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_free_ char *text = malloc(FILE_SIZE_MAX + 1);
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	ssize_t n = 0;

	if (!text)
		return platform_fail_memory(platform);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len <= FILE_SIZE_MAX && (n = read(fd, text + len, FILE_SIZE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (fd < 0 || n < 0)
		return platform_fail(platform, -errno, "%s: %s", path, strerror(errno));
	if (len > FILE_SIZE_MAX)
		return platform_fail(platform, -EINVAL, "%s: too long for a platform file", path);
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	text = NULL;
	return 0;
}

static unsigned line_of(const char *text, size_t off)
{
	unsigned line = 1;

	for (size_t i = 0; i < off; i++)
		line += text[i] == '\n';
	return line;
}

static int parse_json(struct untorn_platform *platform, const char *path, const char *text, size_t len,
		      struct json_object **ret_json)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	enum json_tokener_error error;
	size_t end;

	if (!tokener)
		return platform_fail_memory(platform);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With the NUL, so that it knows the end. */
	*ret_json = json_tokener_parse_ex(tokener, text, (int)len + 1);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (error == json_tokener_success && end >= len)
		return 0;
	json_object_put(*ret_json);
	*ret_json = NULL;
	return platform_fail(platform, -EINVAL, "%s: line %u: not JSON: %s", path, line_of(text, min_u64(end, len)),
			     error == json_tokener_success ? "something follows" : json_tokener_error_desc(error));
}

int untorn_platform_load(struct untorn_platform *platform, const char *path)
{
	struct reader reader = {.platform = platform, .file = path, .first_dimm = platform->ndimm};
	unsigned nregion = platform->nregion;
	struct contents contents = {0};
	_cleanup_free_ char *text = NULL;
	struct json_object *json = NULL;
	size_t len = 0;
	int r;

	r = read_file(platform, path, &text, &len);
	if (r == 0)
		r = parse_json(platform, path, text, len, &json);
	if (r == 0)
		r = read_contents(&reader, json, &contents);
	json_object_put(json);
	if (r < 0) {
		platform_truncate(platform, reader.first_dimm, nregion);
		free(contents.provider);
		return r;
	}
	if (contents.provider) {
		free(platform->provider);
		platform->provider = contents.provider;
	}
	return 0;
}
