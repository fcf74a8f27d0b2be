/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn tree: the devices of a platform as a drawing for a person. Opens read-only.
 *
 * One line for each device below the one that it lies in: its name, its state, then what there is to know of its kind. What
 * a device was refused for stands on a line below it. Names of labels, providers and files are others' text, so only what is
 * printable in the locale reaches the terminal.
 */
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "nd.h"

static struct {
	struct platform_options platform;
	bool idle;
} opt;

static const struct option_row options[] = {
	{"idle", NULL, &option_switch, &opt.idle, "also idle seeds, from which new namespaces and btts are made", 'i'},
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

/* ------------------------------------------------------------------- text ----------------------------------------- */

/* What stands before a device that others follow or none, and before the lines below such a device. */
struct strokes {
	const char *branch, *last, *line, *space;
};

static const struct strokes ascii_strokes = {"|-- ", "`-- ", "|   ", "    "};
static const struct strokes box_strokes = {"├── ", "└── ", "│   ", "    "};

static const struct strokes *choose_strokes(void)
{
	setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &box_strokes : &ascii_strokes;
}

/* Print text with '?' for each byte that is no part of a printable character. */
static void print_text(const char *text)
{
	mbstate_t state = {0};
	size_t left = strlen(text), n;
	wchar_t c;

	for (; left > 0; text += n, left -= n) {
		n = mbrtowc(&c, text, left, &state);
		if (n > 0 && n <= left && iswprint((wint_t)c)) {
			fwrite(text, 1, n, stdout);
			continue;
		}
		putchar('?');
		n = 1;
		state = (mbstate_t){0};
	}
}

/* The name in the label, or without one the uuid. */
static void print_identity(const char *name, const uint8_t *uuid)
{
	if (*name) {
		printf(", \"");
		print_text(name);
		printf("\"");
	} else if (uuid) {
		printf(", uuid %s", format_uuid(uuid).text);
	}
}

static void print_sector_size(uint64_t sector_size)
{
	if (sector_size > 0)
		printf(", sector size %llu", (unsigned long long)sector_size);
}

static void print_disk(const struct untorn_disk_info *disk)
{
	if (*disk->name)
		printf(", disk %s", disk->name);
}

/* The driver, or why there is none. */
static const char *state_of(struct untorn_device *device, bool is_idle)
{
	const char *driver = untorn_device_driver(device);

	return driver ? driver : is_idle ? "idle seed" : "disabled";
}

/* ------------------------------------------------------------------ devices --------------------------------------- */

static void print_bus(struct untorn_device *bus)
{
	printf("%s, ", state_of(bus, false));
	print_text(read_attr(bus, "provider").text);
}

static void print_dimm(struct untorn_device *dimm)
{
	struct untorn_dimm_info info;

	printf("%s", state_of(dimm, false));
	if (untorn_dimm_get_info(dimm, &info) < 0)
		return;
	printf(", %s", SIZE_TEXT(info.size));
	if (info.label_size == 0)
		printf(", no label area");
	else if (info.available_slots >= 0)
		printf(", %d label slot%s free", info.available_slots, info.available_slots == 1 ? "" : "s");
	if (info.locked)
		printf(", locked");
	if (info.unarmed)
		printf(", not armed");
}

static void print_region(struct untorn_device *region)
{
	struct untorn_mapping_info mapping;
	struct untorn_region_info info;

	printf("%s", state_of(region, false));
	if (untorn_region_get_info(region, &info) < 0)
		return;
	printf(", %s", region_type(&info));
	for (unsigned i = 0; untorn_region_get_mapping(region, i, &mapping) == 0; i++)
		printf("%s%s", i == 0 ? " on " : " + ", mapping.dimm);
	printf(", %s", SIZE_TEXT(info.size));
	/* Without labels, the one namespace has all of it; while it is disabled, nobody knows. */
	if (info.nstype == UNTORN_NSTYPE_IO || !info.bound)
		return;
	printf(", %s free", SIZE_TEXT(info.available_size));
	if (info.available_size > 0)
		printf(" (largest extent %s)", SIZE_TEXT(info.max_available_extent));
}

static void print_namespace(struct untorn_device *ns)
{
	struct untorn_namespace_info info;
	struct untorn_disk_info disk;

	if (untorn_namespace_get_info(ns, &info) < 0) {
		printf("%s", state_of(ns, false));
		return;
	}
	if (*info.holder)
		printf("held by %s", info.holder);
	else
		printf("%s", state_of(ns, info.size == 0));
	if (info.size == 0)
		return;
	printf(", %s, %s", namespace_mode(&info), SIZE_TEXT(info.size));
	device_disk(ns, &disk);
	/* Without a label only the disk has one. */
	print_sector_size(info.sector_size ? info.sector_size : disk.logical);
	print_identity(info.alt_name, info.has_uuid ? info.uuid : NULL);
	print_disk(&disk);
}

static void print_btt(struct untorn_device *btt)
{
	struct untorn_btt_device_info info;
	struct untorn_disk_info disk;

	if (untorn_btt_device_get_info(btt, &info) < 0) {
		printf("%s", state_of(btt, false));
		return;
	}
	printf("%s", state_of(btt, !*info.ns));
	if (!*info.ns)
		return;
	printf(", on %s", info.ns);
	if (info.bound)
		printf(", %s", SIZE_TEXT(info.size));
	print_sector_size(info.sector_size);
	print_identity("", info.has_uuid ? info.uuid : NULL);
	device_disk(btt, &disk);
	print_disk(&disk);
}

/* The rest of a device's line, behind its name. */
static void (*const print_kind[])(struct untorn_device *device) = {
	[UNTORN_DEVICE_BUS] = print_bus,       [UNTORN_DEVICE_DIMM] = print_dimm,
	[UNTORN_DEVICE_REGION] = print_region, [UNTORN_DEVICE_NAMESPACE] = print_namespace,
	[UNTORN_DEVICE_BTT] = print_btt,
};

/* ------------------------------------------------------------------- drawing -------------------------------------- */

static bool is_idle(struct untorn_device *device)
{
	struct untorn_namespace_info ns;
	struct untorn_btt_device_info btt;

	switch (untorn_device_type(device)) {
	case UNTORN_DEVICE_NAMESPACE:
		return untorn_namespace_get_info(device, &ns) == 0 && ns.size == 0;
	case UNTORN_DEVICE_BTT:
		return untorn_btt_device_get_info(device, &btt) == 0 && !*btt.ns;
	default:
		return false;
	}
}

/* A problem is never hidden. */
static bool is_shown(struct untorn_device *device)
{
	char problem[2];

	return opt.idle || !is_idle(device) || untorn_device_problem(device, problem, sizeof(problem)) == 0;
}

static void collect_children(struct untorn_device *device, struct device_list *list)
{
	_cleanup_device_ struct untorn_device *child = NULL;

	for (enum untorn_device_type type = UNTORN_DEVICE_DIMM; type <= UNTORN_DEVICE_BTT; type++)
		while (untorn_device_next(device, type, &child) == 0)
			if (is_shown(child))
				device_list_add(list, child);
}

static char *join(const char *a, const char *b)
{
	char *text;

	if (asprintf(&text, "%s%s", a, b) < 0)
		command_die(untorn_strerror(ENOMEM));
	return text;
}

static void print_problem(struct untorn_device *device, const char *indent)
{
	char problem[1024];

	if (untorn_device_problem(device, problem, sizeof(problem)) < 0)
		return;
	printf("%sproblem: ", indent);
	print_text(problem);
	putchar('\n');
}

/* The device and what lies in it. indent begins the lines below its own. */
static void draw(struct untorn_device *device, const struct strokes *strokes, const char *stroke, const char *indent)
{
	_cleanup_device_list_ struct device_list children = {.n = 0};
	_cleanup_free_ char *inner = join(indent, strokes->line), *after = join(indent, strokes->space);

	printf("%s%s: ", stroke, untorn_device_name(device));
	print_kind[untorn_device_type(device)](device);
	putchar('\n');
	collect_children(device, &children);
	print_problem(device, children.n > 0 ? inner : after);
	for (size_t i = 0; i < children.n; i++) {
		bool last = i + 1 == children.n;
		_cleanup_free_ char *child_stroke = join(indent, last ? strokes->last : strokes->branch);

		draw(children.devices[i], strokes, child_stroke, last ? after : inner);
	}
}

/* ------------------------------------------------------------------ the command ----------------------------------- */

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	int r;

	if (nargs == 1)
		opt.platform.argument = args[0];
	r = machine_open_silently(&machine, command, &opt.platform, UNTORN_BUS_READ_ONLY);
	if (r < 0)
		return r;
	draw(machine.root, choose_strokes(), "", "");
	return CLI_OK;
}

const struct command cmd_tree = {
	.name = "tree",
	.synopsis = "{PLATFORM | --nvdimm DIMM...} [-i]",
	.summary = "draw buses, dimms, regions, namespaces and btts as a tree",
	.description = "Draw the devices of a platform for a person: state, size, free space, mode, name and disk of "
		       "each, and\n"
		       "what is wrong with it. PLATFORM is a platform file, as with --platform, or the image of one\n"
		       "NVDIMM. Changes nothing. For programs there is 'untorn list'.\n",
	.options = options,
	.examples = "  untorn tree nv0.img\n"
		    "  untorn tree --nvdimm mem-path=nv0.img --nvdimm mem-path=nv1.img -i\n"
		    "  untorn tree machine.json\n",
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
