/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From --nvdimm and --platform to devices that are up, and down again.
 */
#include <string.h>

#include "nd.h"

const char *device_strerror(int err)
{
	switch (err < 0 ? -err : err) {
	case EBUSY:
		return "it is in use";
	case ENODEV:
		return "it is not there any more, or not complete";
	case ENXIO:
		return "it is not usable: labels, a DIMM or space are missing";
	case ENOSPC:
		return "no space is left for it";
	case EROFS:
		return "it can only be read";
	case EACCES:
		return "the DIMM is locked";
	case EIO:
		return "it cannot be read or written: input/output error";
	case EUCLEAN:
		return "it is damaged";
	default:
		return untorn_strerror(err);
	}
}

void print_count(const char *done, size_t n, const char *noun)
{
	fflush(stdout);
	fprintf(stderr, "%s %zu %s%s\n", done, n, noun, n == 1 ? "" : "s");
}

/* ------------------------------------------------------------------ problems -------------------------------------- */

static void print_problem(struct untorn_device *device)
{
	char text[1024];

	if (untorn_device_problem(device, text, sizeof(text)) == 0)
		print_note("%s: %s", untorn_device_name(device), text);
}

/* What did not come up, or not all of it. */
static void print_problems(const struct machine *machine)
{
	static const enum untorn_device_type inner[] = {UNTORN_DEVICE_NAMESPACE, UNTORN_DEVICE_BTT};
	struct untorn_device *dimm = NULL, *region = NULL, *child = NULL;

	print_problem(machine->root);
	while (untorn_device_next(machine->root, UNTORN_DEVICE_DIMM, &dimm) == 0)
		print_problem(dimm);
	while (untorn_device_next(machine->root, UNTORN_DEVICE_REGION, &region) == 0) {
		print_problem(region);
		for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
			while (untorn_device_next(region, inner[i], &child) == 0)
				print_problem(child);
		}
	}
}

/* ----------------------------------------------------------------- open, close ------------------------------------ */

/* A platform file is JSON: an object. What cannot be read is left to those who say why. */
static bool is_platform_file(const char *path)
{
	FILE *file = fopen(path, "re");
	int c = '{';

	if (file) {
		do
			c = getc(file);
		while (c == ' ' || c == '\t' || c == '\n' || c == '\r');
		fclose(file);
	}
	return c == '{';
}

/* As the mem-path of an NVDIMM, in which a comma is written twice. */
static char *image_words(const char *path)
{
	char *words = malloc(sizeof("mem-path=") + 2 * strlen(path)), *p;

	if (!words)
		command_die(untorn_strerror(ENOMEM));
	for (p = stpcpy(words, "mem-path="); *path; path++) {
		if (*path == ',')
			*p++ = ',';
		*p++ = *path;
	}
	*p = '\0';
	return words;
}

static int load_platform(struct machine *machine, const char *path)
{
	if (untorn_platform_load(machine->platform, path) == 0)
		return 0;
	print_error("%s", untorn_platform_error(machine->platform));
	return CLI_FAILED;
}

static int describe_argument(struct machine *machine, const char *path)
{
	_cleanup_free_ char *words = NULL;

	if (is_platform_file(path))
		return load_platform(machine, path);
	words = image_words(path);
	if (untorn_platform_add_nvdimm(machine->platform, words) == 0)
		return 0;
	print_error("%s", untorn_platform_error(machine->platform));
	return CLI_FAILED;
}

/* Returns 0, or CLI_FAILED or CLI_USAGE after a sentence. */
static int describe_platform(struct machine *machine, const struct command *command,
			     const struct platform_options *options)
{
	bool has_options = options->file || options->nvdimms.n > 0;
	int r = 0;

	if (!has_options && !options->argument)
		return usage_error(command, "the platform is missing: --nvdimm or --platform describes it");
	if (has_options && options->argument)
		return usage_error(command, "the platform is given twice: '%s', and by an option", options->argument);
	if (untorn_platform_new(&machine->platform) < 0) {
		print_error("%s", untorn_strerror(ENOMEM));
		return CLI_FAILED;
	}
	if (options->argument)
		return describe_argument(machine, options->argument);
	if (options->file)
		r = load_platform(machine, options->file);
	for (size_t i = 0; r == 0 && i < options->nvdimms.n; i++) {
		if (untorn_platform_add_nvdimm(machine->platform, options->nvdimms.texts[i]) < 0)
			r = usage_error(command, "--nvdimm: %s", untorn_platform_error(machine->platform));
	}
	return r;
}

int machine_open_silently(struct machine *machine, const struct command *command,
			  const struct platform_options *options, unsigned flags)
{
	const char *sentence;
	int r;

	*machine = (struct machine){.platform = NULL};
	r = describe_platform(machine, command, options);
	if (r < 0) {
		cleanup_machine(machine);
		return r;
	}
	r = untorn_bus_open(machine->platform, flags, &machine->bus);
	if (r == 0)
		r = untorn_bus_device(machine->bus, &machine->root);
	if (r < 0) {
		sentence = untorn_platform_error(machine->platform);
		print_error("%s", *sentence ? sentence : untorn_strerror(r));
		cleanup_machine(machine);
		return CLI_FAILED;
	}
	return 0;
}

int machine_open(struct machine *machine, const struct command *command, const struct platform_options *options,
		 unsigned flags)
{
	int r = machine_open_silently(machine, command, options, flags);

	if (r == 0)
		print_problems(machine);
	return r;
}

/* Returns what untorn_bus_close() does. */
static int close_bus(struct machine *machine)
{
	int r;

	untorn_device_put(machine->root);
	machine->root = NULL;
	r = untorn_bus_close(machine->bus);
	machine->bus = NULL;
	return r;
}

int machine_close(struct machine *machine)
{
	int r = close_bus(machine);

	if (r < 0)
		print_error("the last writes may be lost: %s", device_strerror(r));
	untorn_platform_free(machine->platform);
	machine->platform = NULL;
	return r;
}

void cleanup_machine(struct machine *machine)
{
	close_bus(machine);
	if (machine->platform)
		untorn_platform_remove_created(machine->platform);
	untorn_platform_free(machine->platform);
	machine->platform = NULL;
}
