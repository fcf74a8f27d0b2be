/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn init-labels, zero-labels, write-labels and check-labels: label areas as a whole.
 *
 * Regions are down while a label area changes: the command disables them itself, and namespaces do not come up at all.
 * Labels in use are namespaces; what would destroy them is refused, with their number, unless it is forced.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
	uint64_t size, offset; /* bytes; size 0: all of it */
	const char *input;
	enum untorn_label_version version;
	bool force;
	unsigned verbose;
} opt = {.version = UNTORN_LABEL_V1_1};

static int store_version(const char *text, void *value)
{
	static const enum untorn_label_version versions[] = {UNTORN_LABEL_V1_1, UNTORN_LABEL_V1_2};

	if (*text == 'v')
		text++;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (strcmp(text, untorn_label_version_name(versions[i])) == 0) {
			*(enum untorn_label_version *)value = versions[i];
			return 0;
		}
	}
	return -EINVAL;
}

static const struct option_type option_version = {store_version, "1.1 or 1.2", required_argument};

#define FORCE_OPTION                                                                                         \
	{                                                                                                    \
		"force", NULL, &option_switch, &opt.force, "also when namespaces are destroyed by that", 'f' \
	}
#define RANGE_OPTIONS                                                                                \
	{"size", "N", &option_size, &opt.size, "so many bytes (default: all)", 's'},                 \
	{                                                                                            \
		"offset", "N", &option_size, &opt.offset, "from this byte of the label area on", 'O' \
	}
#define DIMM_OPTIONS                                                                                                \
	{"bus", "BUS", &option_text, &opt.filter.bus, "of 'all' only on this bus: ndbus0, 0 or its provider", 'b'}, \
		{"verbose", NULL, &option_count, &opt.verbose, "accepted; there is nothing more to tell", 'v'},     \
		PLATFORM_OPTIONS(&opt.platform)

static const struct option_row init_options[] = {
	{"label-version", "VERSION", &option_version, &opt.version, "1.1 (default) or 1.2", 'V'},
	FORCE_OPTION,
	DIMM_OPTIONS,
	{NULL},
};

static const struct option_row zero_options[] = {
	RANGE_OPTIONS,
	FORCE_OPTION,
	DIMM_OPTIONS,
	{NULL},
};

static const struct option_row write_options[] = {
	{"input", "FILE", &option_text, &opt.input, "read the bytes from there (default: standard input)", 'i'},
	RANGE_OPTIONS,
	FORCE_OPTION,
	DIMM_OPTIONS,
	{NULL},
};

static const struct option_row check_options[] = {
	DIMM_OPTIONS,
	{NULL},
};

/* ----------------------------------------------------------- what would be lost ----------------------------------- */

static int compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/* Namespaces with labels on this DIMM: as many as their labels in use have uuids. */
static size_t count_namespaces(struct untorn_device *dimm)
{
	_cleanup_free_ uint8_t(*uuids)[16] = NULL;
	struct untorn_label_area_info info;
	struct untorn_label label;
	size_t n = 0, different = 0;

	if (untorn_dimm_label_info(dimm, &info) < 0)
		return 0;
	uuids = calloc(info.nslot + 1, sizeof(*uuids));
	if (!uuids)
		command_die(untorn_strerror(ENOMEM));
	for (uint32_t i = 0; i < info.nslot; i++)
		if (untorn_dimm_label_get(dimm, i, &label) == 0 && label.state == UNTORN_LABEL_ACTIVE)
			memcpy(uuids[n++], label.uuid, sizeof(label.uuid));
	qsort(uuids, n, sizeof(*uuids), compare_uuids);
	for (size_t i = 0; i < n; i++)
		different += i == 0 || compare_uuids(uuids[i], uuids[i - 1]) != 0;
	return different;
}

static int refuse_loss(struct untorn_device *dimm)
{
	size_t n = opt.force ? 0 : count_namespaces(dimm);

	if (n == 0)
		return 0;
	print_error("%s: its labels are those of %zu namespace%s, which would be lost; --force does it",
		    untorn_device_name(dimm), n, n == 1 ? "" : "s");
	return -EEXIST;
}

/* The range of --offset and --size in the label area of the DIMM. Returns 0, or a negative errno after a sentence. */
static int find_range(struct untorn_device *dimm, uint64_t *ret_len)
{
	uint64_t size;
	int r = untorn_dimm_label_size(dimm, &size);

	if (r < 0) {
		print_error("%s: %s", untorn_device_name(dimm),
			    r == -ENXIO ? "it has no label area" : device_strerror(r));
		return r;
	}
	if (opt.offset > size || opt.size > size - opt.offset) {
		print_error("%s: its label area has %s; the range ends behind it", untorn_device_name(dimm),
			    SIZE_TEXT(size));
		return -ERANGE;
	}
	*ret_len = opt.size ? opt.size : size - opt.offset;
	return 0;
}

static int release_regions(const struct machine *machine, struct untorn_device *dimm)
{
	_cleanup_device_ struct untorn_device *region = NULL;
	int r;

	while (untorn_device_next(machine->root, UNTORN_DEVICE_REGION, &region) == 0) {
		if (!region_has_dimm(region, dimm) || !untorn_device_driver(region))
			continue;
		r = region_disable(region);
		if (r < 0)
			return r;
	}
	return 0;
}

/* -------------------------------------------------------------------- verbs --------------------------------------- */

static int fail(struct untorn_device *dimm, const char *what, int err)
{
	print_error("%s: its labels cannot be %s: %s", untorn_device_name(dimm), what, device_strerror(err));
	return err;
}

static int init(struct untorn_device *dimm)
{
	struct untorn_label_area_info info;
	int r = refuse_loss(dimm);

	if (r < 0)
		return r;
	r = untorn_dimm_label_init(dimm, opt.version, opt.force ? UNTORN_LABEL_FORCE : 0);
	if (r == -EEXIST && untorn_dimm_label_info(dimm, &info) == 0) {
		print_error("%s: it has labels already, version %s, none in use; --force writes new ones",
			    untorn_device_name(dimm), untorn_label_version_name(info.version));
		return r;
	}
	return r < 0 ? fail(dimm, "initialized", r) : 0;
}

static int zero(struct untorn_device *dimm)
{
	uint64_t len = 0;
	int r = find_range(dimm, &len);

	if (r == 0)
		r = refuse_loss(dimm);
	if (r < 0)
		return r;
	r = untorn_dimm_label_zero(dimm, opt.offset, len);
	return r < 0 ? fail(dimm, "zeroed", r) : 0;
}

/* Up to max bytes of the input, all of it: one byte more is too many. */
static int read_input(uint8_t *bytes, size_t max, size_t *ret_len)
{
	const char *name = opt.input ? opt.input : "standard input";
	FILE *file = opt.input ? fopen(opt.input, "re") : stdin;
	int r = 0;

	if (!file) {
		print_error("%s: %s", name, system_strerror(errno));
		return -EIO;
	}
	*ret_len = fread(bytes, 1, max, file);
	if (ferror(file)) {
		print_error("%s: cannot be read: %s", name, system_strerror(errno));
		r = -EIO;
	} else if (!opt.size && *ret_len == max && fgetc(file) != EOF) {
		print_error("%s: longer than the label area", name);
		r = -EFBIG;
	} else if (opt.size && *ret_len < max) {
		print_error("%s: shorter than --size", name);
		r = -EINVAL;
	}
	if (opt.input)
		fclose(file);
	return r;
}

static int write_bytes(struct untorn_device *dimm)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	uint64_t len = 0;
	size_t n = 0;
	int r = find_range(dimm, &len);

	if (r == 0)
		r = refuse_loss(dimm);
	if (r < 0)
		return r;
	bytes = malloc(len + 1);
	if (!bytes)
		return fail(dimm, "written", -ENOMEM);
	r = read_input(bytes, len, &n);
	if (r < 0)
		return r;
	r = untorn_dimm_label_write(dimm, opt.offset, bytes, n);
	return r < 0 ? fail(dimm, "written", r) : 0;
}

/* ------------------------------------------------------------------- checking ------------------------------------- */

/* What the findings of one DIMM add up to. */
struct check {
	struct untorn_device *dimm;
	size_t errors;
};

/* Findings that the next update mends. */
static bool is_note(enum untorn_label_finding_kind kind)
{
	return kind == UNTORN_LABEL_FINDING_INDEX || kind == UNTORN_LABEL_FINDING_INTERRUPTED;
}

static int on_finding(void *arg, const struct untorn_label_finding *finding)
{
	struct check *check = arg;

	check->errors += !is_note(finding->kind);
	printf("%s: %s %s: %s", untorn_device_name(check->dimm), is_note(finding->kind) ? "note" : "error",
	       untorn_label_finding_name(finding->kind), untorn_label_finding_danger(finding->kind));
	if (finding->kind != UNTORN_LABEL_FINDING_NO_INDEX)
		printf(" (%s %" PRIu32 ", %s: 0x%" PRIx64 ", expected 0x%" PRIx64 ")",
		       finding->kind == UNTORN_LABEL_FINDING_INDEX ? "block" : "slot", finding->slot, finding->field,
		       finding->seen, finding->expected);
	printf("\n");
	return 0;
}

static int check_labels(struct untorn_device *dimm)
{
	struct check check = {.dimm = dimm};
	struct untorn_label_area_info info;
	size_t n;
	int r = untorn_dimm_label_check(dimm, on_finding, &check);

	if (r < 0)
		return fail(dimm, "checked", r);
	if (check.errors)
		return -EUCLEAN;
	r = untorn_dimm_label_info(dimm, &info);
	if (r < 0)
		return fail(dimm, "checked", r);
	n = count_namespaces(dimm);
	printf("%s: labels of version %s, %zu namespace%s, %" PRIu32 " of %" PRIu32 " slots free\n",
	       untorn_device_name(dimm), untorn_label_version_name(info.version), n, n == 1 ? "" : "s", info.nfree,
	       info.nslot);
	return 0;
}

/* ------------------------------------------------------------------ the commands ---------------------------------- */

struct verb {
	const char *done; /* "zeroed" */
	int (*act)(struct untorn_device *dimm);
	unsigned flags; /* of untorn_bus_open() */
};

static int act_on(const struct machine *machine, const struct verb *verb, struct untorn_device *dimm, bool is_named)
{
	uint64_t size;

	if (untorn_dimm_label_size(dimm, &size) == -ENXIO) {
		if (is_named)
			print_error("%s: it has no label area", untorn_device_name(dimm));
		return is_named ? -ENXIO : -ENOENT;
	}
	if (!(verb->flags & UNTORN_BUS_READ_ONLY) && release_regions(machine, dimm) < 0)
		return -EBUSY;
	return verb->act(dimm);
}

static int run_verb(const struct command *command, const struct verb *verb, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	_cleanup_device_list_ struct device_list list = {.n = 0};
	bool is_named = nargs != 1 || strcmp(args[0], "all") != 0;
	size_t done = 0, failed = 0;
	int r;

	r = machine_open(&machine, command, &opt.platform, UNTORN_BUS_NO_AUTOPROBE | verb->flags);
	if (r < 0)
		return r;
	if (select_devices(&machine, UNTORN_DEVICE_DIMM, &opt.filter, nargs, args, &list) < 0)
		return CLI_FAILED;
	for (size_t i = 0; i < list.n; i++) {
		r = act_on(&machine, verb, list.devices[i], is_named);
		done += r == 0;
		failed += r < 0 && r != -ENOENT;
	}
	cleanup_device_list(&list);
	print_count(verb->done, done, "nmem");
	if (done == 0) {
		if (!failed)
			print_error("no DIMM of the platform has a label area");
		return CLI_FAILED;
	}
	return machine_close(&machine) < 0 || failed ? CLI_FAILED : CLI_OK;
}

static int run_init(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"initialized", init, UNTORN_BUS_CREATE};

	return run_verb(command, &verb, nargs, args);
}

static int run_zero(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"zeroed", zero, 0};

	return run_verb(command, &verb, nargs, args);
}

static int run_write(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"wrote", write_bytes, UNTORN_BUS_CREATE};

	return run_verb(command, &verb, nargs, args);
}

static int run_check(const struct command *command, int nargs, char **args)
{
	static const struct verb verb = {"verified", check_labels, UNTORN_BUS_READ_ONLY};

	return run_verb(command, &verb, nargs, args);
}

const struct command cmd_init_labels = {
	.name = "init-labels",
	.synopsis = "DIMM...|all --nvdimm DIMM... [-V VERSION] [-f]",
	.summary = "write empty index blocks: make label areas that namespaces can use",
	.description =
		"Write both index blocks of an empty label area. An area that has labels is refused without --force.\n",
	.options = init_options,
	.examples = "  untorn init-labels all -V 1.2 --nvdimm mem-path=nv0.img,label-size=128K\n"
		    "  untorn init-labels nmem0 -f --nvdimm mem-path=nv0.img\n",
	.operand = "a DIMM, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_init,
};

const struct command cmd_zero_labels = {
	.name = "zero-labels",
	.synopsis = "DIMM...|all --nvdimm DIMM... [-s N] [-O N] [-f]",
	.summary = "fill label areas, or a part of them, with zeros",
	.description =
		"Fill label areas with zeros: without index blocks, regions are label-less. Where labels are in use,\n"
		"that destroys their namespaces, and is refused without --force.\n",
	.options = zero_options,
	.examples = "  untorn zero-labels nmem0 -f --nvdimm mem-path=nv0.img,label-size=128K\n",
	.operand = "a DIMM, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_zero,
};

const struct command cmd_write_labels = {
	.name = "write-labels",
	.synopsis = "DIMM --nvdimm DIMM... [-i FILE] [-s N] [-O N] [-f]",
	.summary = "write a label area from a file, as it stands",
	.description =
		"Write bytes, such as those of read-labels, to a label area without looking at them. Where labels are\n"
		"in use, that destroys their namespaces, and is refused without --force.\n",
	.options = write_options,
	.examples = "  untorn write-labels nmem0 -i labels.bin -f --nvdimm mem-path=nv0.img,label-size=128K\n",
	.operand = "a DIMM",
	.min_args = 1,
	.max_args = 1,
	.run = run_write,
};

const struct command cmd_check_labels = {
	.name = "check-labels",
	.synopsis = "DIMM...|all --nvdimm DIMM...",
	.summary = "find what is wrong with label areas",
	.description =
		"Check index blocks and labels in use, and print what is wrong with them and what that endangers.\n"
		"Changes nothing.\n",
	.options = check_options,
	.examples = "  untorn check-labels all --nvdimm mem-path=nv0.img\n",
	.operand = "a DIMM, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run_check,
};
