/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options as data: one table of rows per command gives getopt_long() its options, --help its text and each value its
 * parser. Options may stand before, between and behind the other arguments.
 */
#include <getopt.h>
#include <string.h>
#include <uuid/uuid.h>

#include "cli.h"

enum { OPTION_HELP = 256, OPTION_ROWS };

/* ------------------------------------------------------------------- types ---------------------------------------- */

static int store_switch(const char *text, void *value)
{
	(void)text;
	*(bool *)value = true;
	return 0;
}

static int store_text(const char *text, void *value)
{
	if (!*text)
		return -EINVAL;
	*(const char **)value = text;
	return 0;
}

static int store_size(const char *text, void *value)
{
	return parse_size(text, value);
}

static int store_number(const char *text, void *value)
{
	const char *end;
	uint64_t number;

	if (parse_number(text, &number, &end) < 0 || *end)
		return -EINVAL;
	*(uint64_t *)value = number;
	return 0;
}

static int store_uuid(const char *text, void *value)
{
	struct uuid_option *option = value;

	if (uuid_parse(text, option->bytes) < 0)
		return -EINVAL;
	option->given = true;
	return 0;
}

static int store_layout(const char *text, void *value)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_AUTO, UNTORN_BTT_V1_1, UNTORN_BTT_V2_0,
							 UNTORN_BTT_PMEMBLK};

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (strcmp(text, untorn_btt_layout_name(layouts[i])) == 0) {
			*(enum untorn_btt_layout *)value = layouts[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int store_medium(const char *text, void *value)
{
	return untorn_media_kind_parse(text, value);
}

const struct option_type option_switch = {store_switch, "nothing", no_argument};
const struct option_type option_text = {store_text, "a text", required_argument};
const struct option_type option_size = {store_size, "a size such as 512, 64M or 1GiB", required_argument};
const struct option_type option_number = {store_number, "a number", required_argument};
const struct option_type option_uuid = {store_uuid, "a uuid such as 79d78854-ea71-499e-a921-b8e0e755d453",
					required_argument};
const struct option_type option_layout = {store_layout, "1.1, 2.0, pmemblk or auto", required_argument};
const struct option_type option_medium = {store_medium, "auto, cacheline, byte, page or volatile", required_argument};

const uint8_t *uuid_option_get(const struct uuid_option *option)
{
	return option->given ? option->bytes : NULL;
}

/* -------------------------------------------------------------------- help ---------------------------------------- */

/* One option: its name and value in the first column, the lines of its help in the second. */
static void print_option(const char *name, const char *arg, int has_arg, const char *help)
{
	enum { COLUMN = 26 };
	int width = printf("  --%s", name);
	const char *line = help;

	if (has_arg == optional_argument)
		width += printf("[=%s]", arg);
	else if (has_arg == required_argument)
		width += printf(" %s", arg);
	if (width > COLUMN)
		width = printf("\n") - 1;
	printf("%*s", COLUMN + 2 - width, "");
	for (;;) {
		int len = (int)strcspn(line, "\n");

		printf("%.*s\n", len, line);
		if (!line[len])
			return;
		line += len + 1;
		printf("%*s", COLUMN + 2, "");
	}
}

static void print_command_help(const struct command *command)
{
	printf("Usage: untorn %s %s\n\n%s\nOptions:\n", command->name, command->synopsis, command->description);
	for (const struct option_row *row = command->options; row->name; row++)
		print_option(row->name, row->arg, row->type->has_arg, row->help);
	print_option("help", NULL, no_argument, "this text");
	printf("\nExamples:\n%s\nThe manual: man untorn-%s\n", command->examples, command->name);
}

/* ------------------------------------------------------------------- parsing -------------------------------------- */

static size_t count_rows(const struct command *command)
{
	size_t n = 0;

	while (command->options[n].name)
		n++;
	return n;
}

/* Returns 0, 1 when --help was answered, or CLI_USAGE. *ret_first: the index of the first positional argument. */
static int parse_options(const struct command *command, int argc, char **argv, int *ret_first)
{
	size_t n = count_rows(command);
	struct option longs[n + 2];
	int c;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = &command->options[i];

		longs[i] = (struct option){row->name, row->type->has_arg, NULL, OPTION_ROWS + (int)i};
	}
	longs[n] = (struct option){"help", no_argument, NULL, OPTION_HELP};

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c >= OPTION_ROWS) {
			const struct option_row *row = &command->options[c - OPTION_ROWS];

			if (row->type->parse(optarg, row->value) < 0)
				return usage_error(command, "--%s: '%s' is not %s", row->name, optarg ? optarg : "",
						   row->type->expected);
		} else if (c == OPTION_HELP || c == 'h') {
			print_command_help(command);
			return 1;
		} else if (c == ':') {
			return usage_error(command, "%s: its value is missing", argv[optind - 1]);
		} else if (optopt >= OPTION_ROWS) {
			return usage_error(command, "--%s takes no value", command->options[optopt - OPTION_ROWS].name);
		} else if (optopt == OPTION_HELP) {
			return usage_error(command, "--help takes no value");
		} else if (optopt) {
			return usage_error(command, "-%c is not an option", optopt);
		} else {
			return usage_error(command, "%s is not an option", argv[optind - 1]);
		}
	}
	*ret_first = optind;
	return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	int first = 0, nargs, r;

	r = parse_options(command, argc, argv, &first);
	if (r != 0)
		return r > 0 ? CLI_OK : r;
	nargs = argc - first;
	if (nargs < command->min_args)
		return usage_error(command, "%s is missing", nargs == 0 ? "the target" : "an argument");
	if (command->max_args >= 0 && nargs > command->max_args)
		return usage_error(command, "'%s' is one argument too many", argv[first + command->max_args]);
	return command->run(command, nargs, argv + first);
}

static int failure_status = EXIT_FAILURE;

void command_die(const char *sentence)
{
	print_error("%s", sentence);
	exit(failure_status);
}

int command_main(const struct command *command, int argc, char **argv)
{
	int status;

	if (command->failure_status)
		failure_status = command->failure_status;
	status = run_command(command, argc, argv);
	if (status == CLI_USAGE)
		return command->usage_status ? command->usage_status : 2;
	/* What was printed counts only when it arrived: a full disk behind `>` is a failure. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		print_error("cannot write to standard output: %s", system_strerror(errno));
		return failure_status;
	}
	return status == CLI_FAILED ? failure_status : status;
}
