/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers, sizes and uuids between text and value. Input is strict: the whole text must be the number, without signs,
 * blanks or digits that do not fit, so that a typing error never becomes a size.
 */
#include <string.h>
#include <uuid/uuid.h>

#include "cli.h"

static const char unit_letters[] = "KMGTPE";

static int digit_value(char c, unsigned base)
{
	int value;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	else
		return -1;
	return value < (int)base ? value : -1;
}

int parse_number(const char *text, uint64_t *ret_number, const char **ret_end)
{
	unsigned base = 10;
	uint64_t number = 0;
	int digit;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (digit_value(*text, base) < 0)
		return -EINVAL;
	for (; (digit = digit_value(*text, base)) >= 0; text++) {
		if (__builtin_mul_overflow(number, base, &number) || __builtin_add_overflow(number, digit, &number))
			return -EINVAL;
	}
	*ret_number = number;
	*ret_end = text;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_size)
{
	const char *end, *letter;
	uint64_t size;
	int r;

	r = parse_number(text, &size, &end);
	if (r < 0)
		return r;
	if (*end) {
		letter = strchr(unit_letters, *end >= 'a' ? *end - 'a' + 'A' : *end);
		if (!letter || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))
			return -EINVAL;
		if (__builtin_mul_overflow(size, UINT64_C(1024) << (10 * (letter - unit_letters)), &size))
			return -EINVAL;
	}
	if (size > INT64_MAX)
		return -EINVAL;
	*ret_size = size;
	return 0;
}

struct size_text format_size(uint64_t size)
{
	struct size_text out;
	uint64_t unit = 1;
	int letter = -1;

	/* "4.0 KiB" would hide that 4095 is a byte less. */
	while (unit_letters[letter + 1] && size / unit >= 1024 && (size >= 10 * 1024 || size % 1024 == 0)) {
		unit *= 1024;
		letter++;
	}
	if (letter < 0)
		snprintf(out.text, sizeof(out.text), "%llu bytes", (unsigned long long)size);
	else if (size % unit == 0)
		snprintf(out.text, sizeof(out.text), "%llu %ciB", (unsigned long long)(size / unit),
			 unit_letters[letter]);
	else
		snprintf(out.text, sizeof(out.text), "%.1f %ciB", (double)size / (double)unit, unit_letters[letter]);
	return out;
}

struct uuid_text format_uuid(const uint8_t uuid[16])
{
	struct uuid_text out = {"none"};

	if (!uuid_is_null(uuid))
		uuid_unparse_lower(uuid, out.text);
	return out;
}
