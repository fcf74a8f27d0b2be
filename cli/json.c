/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --json: always an array. Numbers are JSON integers up to 2^64 - 1, uuids are strings. Names from media and paths may be any
 * bytes; what is not UTF-8 in them becomes '?', so that the output is JSON whatever they hold.
 */
#include <string.h>
#include <uuid/uuid.h>

#include "cli.h"

enum { STYLE = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE };

static void *need(void *p)
{
	if (!p)
		command_die(untorn_strerror(ENOMEM));
	return p;
}

void json_array_begin(struct json_array *array)
{
	array->count = 0;
	fputs("[", stdout);
}

void json_array_add(struct json_array *array, struct json_object *object)
{
	fputs(array->count++ ? ",\n" : "\n", stdout);
	fputs(need((void *)json_object_to_json_string_ext(object, STYLE)), stdout);
	json_object_put(object);
}

void json_array_end(struct json_array *array)
{
	fputs(array->count ? "\n]\n" : "]\n", stdout);
}

void json_print_list(struct json_object *list, FILE *out)
{
	fprintf(out, "%s\n", (const char *)need((void *)json_object_to_json_string_ext(list, STYLE)));
}

void json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (json_object_object_add(object, name, value) < 0)
		need(NULL);
}

/* The bytes of the UTF-8 character at p, or 0 when none is there. p ends with a NUL. */
static size_t character_len(const unsigned char *p)
{
	/* The first byte of characters of 1 to 4 bytes: which bits tell, and what they are; and the smallest one. */
	static const struct {
		unsigned char mask, bits;
		uint32_t smallest;
	} kinds[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		uint32_t code = p[0] & (unsigned char)~kinds[n].mask;

		if ((p[0] & kinds[n].mask) != kinds[n].bits)
			continue;
		for (size_t i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (p[i] & 0x3f);
		}
		return code < kinds[n].smallest || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n + 1;
	}
	return 0;
}

void json_add_text(struct json_object *object, const char *name, const char *text)
{
	_cleanup_free_ unsigned char *copy = need(strdup(text));
	size_t len;

	for (unsigned char *p = copy; *p; p += len ? len : 1) {
		len = character_len(p);
		if (len == 0)
			*p = '?';
	}
	json_add(object, name, need(json_object_new_string((const char *)copy)));
}

void json_add_u64(struct json_object *object, const char *name, uint64_t value)
{
	json_add(object, name, need(json_object_new_uint64(value)));
}

void json_add_bool(struct json_object *object, const char *name, bool value)
{
	json_add(object, name, need(json_object_new_boolean(value)));
}

void json_add_uuid(struct json_object *object, const char *name, const uint8_t uuid[16])
{
	if (uuid_is_null(uuid))
		json_add(object, name, NULL);
	else
		json_add_text(object, name, format_uuid(uuid).text);
}

struct json_object *json_new_object(void)
{
	return need(json_object_new_object());
}

struct json_object *json_new_list(void)
{
	return need(json_object_new_array());
}

void json_list_add(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value) < 0)
		need(NULL);
}
