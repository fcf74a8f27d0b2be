/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options as data: one table of rows per command gives getopt_long() its options, --help its text and each value its
 * parser. Options may stand before, between and behind the other arguments, unless those are a command with options of its own.
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

static int store_off(const char *text, void *value)
{
	(void)text;
	*(bool *)value = false;
	return 0;
}

static int store_count(const char *text, void *value)
{
	(void)text;
	++*(unsigned *)value;
	return 0;
}

static int store_text(const char *text, void *value)
{
	if (!*text)
		return -EINVAL;
	*(const char **)value = text;
	return 0;
}

static int store_texts(const char *text, void *value)
{
	struct texts_option *option = value;
	const char **texts;

	if (!*text)
		return -EINVAL;
	texts = reallocarray(option->texts, option->n + 1, sizeof(*texts));
	if (!texts)
		command_die(untorn_strerror(ENOMEM));
	texts[option->n++] = text;
	option->texts = texts;
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
const struct option_type option_off = {store_off, "nothing", no_argument};
const struct option_type option_count = {store_count, "nothing", no_argument};
const struct option_type option_text = {store_text, "a text", required_argument};
const struct option_type option_texts = {store_texts, "a text", required_argument};
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

/*
 * One option: its letter, name and value in the first column, the lines of its help in the second. Where no option of the
 * command has a letter, no room is left for them.
 */
static void print_option(const struct option_row *row, bool has_letters)
{
	enum { COLUMN = 26 };
	const char *line = row->help;
	int width;

	if (row->letter)
		width = printf("  -%c, --%s", row->letter, row->name);
	else
		width = printf("%s--%s", has_letters ? "      " : "  ", row->name);
	if (row->type->has_arg == optional_argument)
		width += printf("[=%s]", row->arg);
	else if (row->type->has_arg == required_argument)
		width += printf(" %s", row->arg);
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
	static const struct option_row help = {"help", NULL, &option_switch, NULL, "this text"};
	bool has_letters = false;

	for (const struct option_row *row = command->options; row->name; row++)
		has_letters |= row->letter != 0;
	printf("Usage: untorn %s %s\n\n%s\nOptions:\n", command->name, command->synopsis, command->description);
	for (const struct option_row *row = command->options; row->name; row++)
		print_option(row, has_letters);
	print_option(&help, has_letters);
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

/* What getopt_long() returns for a row: its letter, or a number that is no letter. */
static int row_code(const struct command *command, size_t i)
{
	return command->options[i].letter ? command->options[i].letter : OPTION_ROWS + (int)i;
}

/* NULL: of no row. */
static const struct option_row *find_row(const struct command *command, int code)
{
	for (size_t i = 0; command->options[i].name; i++)
		if (row_code(command, i) == code)
			return &command->options[i];
	return NULL;
}

/* "+:hr:v" and a NUL; ret_shorts has room for two characters for each row, and four. The plus ends them at an argument. */
static void make_shorts(const struct command *command, char *ret_shorts)
{
	char *end = stpcpy(ret_shorts, command->runs_arguments ? "+:h" : ":h");

	for (const struct option_row *row = command->options; row->name; row++) {
		if (!row->letter)
			continue;
		*end++ = row->letter;
		if (row->type->has_arg == required_argument)
			*end++ = ':';
	}
	*end = '\0';
}

/* The sentence for what getopt_long() did not take: c is what it returned. */
static int refuse_option(const struct command *command, int c, char **argv)
{
	const struct option_row *row = optopt ? find_row(command, optopt) : NULL;

	if (c == ':')
		return usage_error(command, "%s: its value is missing", argv[optind - 1]);
	if (row)
		return usage_error(command, "--%s takes no value", row->name);
	if (optopt == OPTION_HELP)
		return usage_error(command, "--help takes no value");
	if (optopt)
		return usage_error(command, "-%c is not an option", optopt);
	return usage_error(command, "%s is not an option", argv[optind - 1]);
}

/* Returns 0, 1 when --help was answered, or CLI_USAGE. *ret_first: the index of the first positional argument. */
static int parse_options(const struct command *command, int argc, char **argv, int *ret_first)
{
	size_t n = count_rows(command);
	struct option longs[n + 2];
	char shorts[2 * n + 4];
	int c;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = &command->options[i];

		longs[i] = (struct option){row->name, row->type->has_arg, NULL, row_code(command, i)};
	}
	longs[n] = (struct option){"help", no_argument, NULL, OPTION_HELP};
	make_shorts(command, shorts);

	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_row *row;

		if (c == OPTION_HELP || c == 'h') {
			print_command_help(command);
			return 1;
		}
		row = c == ':' || c == '?' ? NULL : find_row(command, c);
		if (!row)
			return refuse_option(command, c, argv);
		if (row->type->parse(optarg, row->value) < 0)
			return usage_error(command, "--%s: '%s' is not %s", row->name, optarg ? optarg : "",
					   row->type->expected);
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
		return usage_error(command, "%s is missing",
				   nargs > 0          ? "an argument"
				   : command->operand ? command->operand
						      : "the target");
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
