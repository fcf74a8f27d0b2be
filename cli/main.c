/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command `untorn`: finds the command by its name, and answers --help and --version of the whole.
 */
#include <signal.h>
#include <string.h>

#include "cli.h"

static const struct command *const commands[] = {
	&cmd_format, &cmd_info, &cmd_check, &cmd_dump, &cmd_import, &cmd_export, &cmd_serve,
};

static const struct command untorn = {
	.name = "",
};

static int print_version(void)
{
	printf("untorn %s\n", UNTORN_VERSION);
	return EXIT_SUCCESS;
}

static int print_help(void)
{
	printf("Usage: untorn COMMAND [ARGUMENTS]\n"
	       "\n"
	       "Sectors that never tear: volumes in the Block Translation Table (BTT) format of NVDIMMs.\n"
	       "\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "Options:\n"
	       "  --help     this text; 'untorn COMMAND --help' tells about one command\n"
	       "  --version  the version of untorn\n"
	       "\n"
	       "Examples:\n"
	       "  untorn format vol.img --size 64M\n"
	       "  untorn info vol.img\n"
	       "  untorn check vol.img\n"
	       "\n"
	       "The manual: man untorn\n");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	/* A write beyond the limit on file sizes fails like any other, instead of killing us. */
	signal(SIGXFSZ, SIG_IGN);
	if (!name) {
		usage_error(&untorn, "a command is missing");
		return 2;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return print_help();
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return print_version();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i]->name) == 0)
			return command_main(commands[i], argc - 1, argv + 1);
	}
	usage_error(&untorn, "'%s' is not a command", name);
	return 2;
}
