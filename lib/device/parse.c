/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text that people and programs store into attributes. Each parser takes one form, with at most one trailing newline, and
 * nothing around it. docs/DEVICES.md 3.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* Nothing is left but one newline at most. */
static bool is_end(const char *text)
{
	return text[0] == '\0' || (text[0] == '\n' && text[1] == '\0');
}

int parse_unsigned(const char *text, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	if (*text == '+')
		text++;
	/* strtoull() would skip blanks and take a sign. */
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (!is_end(end))
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_bool(const char *text, bool *ret_value)
{
	if (strchr("yYtT1", text[0]) && text[0])
		*ret_value = true;
	else if (strchr("nNfF0", text[0]) && text[0])
		*ret_value = false;
	else if ((text[0] == 'o' || text[0] == 'O') && (text[1] == 'n' || text[1] == 'N'))
		*ret_value = true;
	else if ((text[0] == 'o' || text[0] == 'O') && (text[1] == 'f' || text[1] == 'F'))
		*ret_value = false;
	else
		return -EINVAL;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_uuid(const char *text, uint8_t ret_uuid[UUID_LEN])
{
	uint8_t uuid[UUID_LEN];

	for (unsigned i = 0; i < UUID_LEN; i++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return -EINVAL;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
		if (*text == '-' || *text == ':' || *text == '\n')
			text++;
	}
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

bool is_listed(uint64_t size, const uint32_t *sizes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (sizes[i] == size)
			return true;
	}
	return false;
}

int parse_size_select(const char *text, const uint32_t *sizes, size_t n, uint64_t *ret_size)
{
	uint64_t size;
	int r = parse_unsigned(text, &size);

	if (r < 0)
		return r;
	if (!is_listed(size, sizes, n))
		return -EINVAL;
	*ret_size = size;
	return 0;
}

bool parse_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncmp(text, word, len) == 0 && is_end(text + len);
}
