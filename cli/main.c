/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command `untorn`: finds the command by its name, and answers --help and --version of the whole.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct command *const volume_commands[] = {
	&cmd_format, &cmd_info, &cmd_check, &cmd_dump, &cmd_import, &cmd_export, &cmd_serve,
};

static const struct command *const nvdimm_commands[] = {
	&cmd_list,
	&cmd_tree,
	&cmd_create_namespace,
	&cmd_destroy_namespace,
	&cmd_enable_namespace,
	&cmd_disable_namespace,
	&cmd_check_namespace,
	&cmd_enable_region,
	&cmd_disable_region,
	&cmd_init_labels,
	&cmd_zero_labels,
	&cmd_read_labels,
	&cmd_write_labels,
	&cmd_check_labels,
	&cmd_read_infoblock,
	&cmd_write_infoblock,
	&cmd_mount,
	&cmd_sandbox,
	&cmd_ndctl,
};

static const struct command untorn = {
	.name = "",
};

static int print_version(void)
{
	printf("untorn %s\n", UNTORN_VERSION);
	return EXIT_SUCCESS;
}

static void print_commands(const struct command *const *commands, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("  %-17s  %s\n", commands[i]->name, commands[i]->summary);
}

static const struct command *find_command(const struct command *const *commands, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, commands[i]->name) == 0)
			return commands[i];
	return NULL;
}

static int print_help(void)
{
	printf("Usage: untorn COMMAND [ARGUMENTS]\n"
	       "\n"
	       "Sectors that never tear: volumes in the Block Translation Table (BTT) format of NVDIMMs.\n"
	       "\n"
	       "Commands on volumes:\n");
	print_commands(volume_commands, ARRAY_SIZE(volume_commands));
	printf("\n"
	       "Commands on NVDIMMs, with the words of ndctl:\n");
	print_commands(nvdimm_commands, ARRAY_SIZE(nvdimm_commands));
	printf("\n"
	       "Options:\n"
	       "  --help     this text; 'untorn COMMAND --help' tells about one command\n"
	       "  --version  the version of untorn\n"
	       "\n"
	       "Examples:\n"
	       "  untorn format vol.img --size 64M\n"
	       "  untorn info vol.img\n"
	       "  untorn check vol.img\n"
	       "  untorn list --nvdimm mem-path=nv0.img -DRN\n"
	       "\n"
	       "The manual: man untorn\n");
	return EXIT_SUCCESS;
}

/*
 * Who calls us with a closed standard stream must not find a volume there, with messages in its first sector. What stands
 * in for it fails each read or write of the stream, as a closed one does.
 */
static void hold_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *command;

	hold_standard_streams();
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
	command = find_command(volume_commands, ARRAY_SIZE(volume_commands), name);
	if (!command)
		command = find_command(nvdimm_commands, ARRAY_SIZE(nvdimm_commands), name);
	if (command)
		return command_main(command, argc - 1, argv + 1);
	usage_error(&untorn, "'%s' is not a command", name);
	return 2;
}
