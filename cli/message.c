/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes to stderr: one line for each thing to say. Names of files and processes are others' text, so control
 * characters in them do not reach the terminal.
 */
#include <stdarg.h>
#include <string.h>

#include "cli.h"

static void print_line(const char *prefix, const char *format, va_list args, const char *suffix)
{
	_cleanup_free_ char *text = NULL;

	fflush(stdout);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	for (char *c = text; c && *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	fprintf(stderr, "untorn: %s%s%s\n", prefix, text ? text : "out of memory", suffix);
}

void print_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("", format, args, "");
	va_end(args);
}

void print_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("note: ", format, args, "");
	va_end(args);
}

const char *system_strerror(int err)
{
	const char *text = strerrordesc_np(err < 0 ? -err : err);

	return text ? text : "unknown error";
}

int usage_error(const struct command *command, const char *format, ...)
{
	char hint[64];
	va_list args;

	snprintf(hint, sizeof(hint), "; try 'untorn %s%s--help'", command->name, *command->name ? " " : "");
	va_start(args, format);
	print_line("", format, args, hint);
	va_end(args);
	return CLI_USAGE;
}
