/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --json: always an array, printed object by object. Numbers are JSON integers up to 2^64 - 1, uuids are strings.
 */
#include <uuid/uuid.h>

#include "cli.h"

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
	fputs(need((void *)json_object_to_json_string_ext(object,
							  JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)),
	      stdout);
	json_object_put(object);
}

void json_array_end(struct json_array *array)
{
	fputs(array->count ? "\n]\n" : "]\n", stdout);
}

void json_print_list(struct json_object *list)
{
	struct json_array array;

	json_array_begin(&array);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		json_array_add(&array, json_object_get(json_object_array_get_idx(list, i)));
	json_array_end(&array);
}

void json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (json_object_object_add(object, name, value) < 0)
		need(NULL);
}

void json_add_text(struct json_object *object, const char *name, const char *text)
{
	json_add(object, name, need(json_object_new_string(text)));
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
