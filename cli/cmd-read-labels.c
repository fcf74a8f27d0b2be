/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn read-labels: label areas as bytes, or as JSON with ndctl's keys.
 *
 * As with ndctl, freed labels are shown, too: a slot keeps what it held until it is used again. The member "state", which
 * ndctl does not have, tells them apart.
 */
#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "nd.h"

static struct {
	struct platform_options platform;
	struct filter filter;
	uint64_t size, offset; /* bytes; size 0: all of it */
	const char *output;
	bool json, human, index;
	unsigned verbose;
} opt;

static const struct option_row options[] = {
	{"output", "FILE", &option_text, &opt.output, "write to this file (default: standard output)", 'o'},
	{"json", NULL, &option_switch, &opt.json, "print a JSON array of what the areas say", 'j'},
	{"human", NULL, &option_switch, &opt.human, "the same; sizes with units, other numbers in hexadecimal", 'u'},
	{"index", NULL, &option_switch, &opt.index, "only the index blocks", 'I'},
	{"size", "N", &option_size, &opt.size, "so many bytes (default: all)", 's'},
	{"offset", "N", &option_size, &opt.offset, "from this byte of the label area on", 'O'},
	{"bus", "BUS", &option_text, &opt.filter.bus, "of 'all' only on this bus: ndbus0, 0 or its provider", 'b'},
	{"verbose", NULL, &option_count, &opt.verbose, "accepted; there is nothing more to tell", 'v'},
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

/* -------------------------------------------------------------------- JSON ---------------------------------------- */

/* The head of an index block. SPEC 9.2. */
struct index_head {
	char signature[16];
	uint8_t flags[3];
	uint8_t labelsize;
	le32 seq;
	le64 myoff, mysize, otheroff, labeloff;
	le32 nslot;
	le16 major, minor;
};
static_assert(sizeof(struct index_head) == 64, "index block head size");

/* A signature that may be anything, as text. */
static void add_signature(struct json_object *object, const char signature[16])
{
	char text[17];

	memcpy(text, signature, 16);
	text[16] = '\0';
	json_add_text(object, "signature", text);
}

static struct json_object *index_to_json(struct untorn_device *dimm, const struct untorn_label_area_info *info, int i)
{
	struct json_object *object = json_new_object();
	struct index_head head = {.labelsize = 0};

	if (untorn_dimm_label_read(dimm, (uint64_t)i * info->index_size, &head, sizeof(head)) < 0)
		return object;
	add_signature(object, head.signature);
	json_add_u64(object, "major", le16_get(head.major));
	json_add_u64(object, "minor", le16_get(head.minor));
	json_add_u64(object, "labelsize", UINT64_C(128) << (head.labelsize & 31));
	json_add_u64(object, "seq", le32_get(head.seq));
	json_add_u64(object, "nslot", le32_get(head.nslot));
	json_add_text(object, "state", info->fault[i] ? "damaged" : info->current == i ? "current" : "previous");
	if (info->fault[i])
		json_add_text(object, "fault", info->fault[i]);
	return object;
}

static struct json_object *label_to_json(const struct untorn_label *label, enum untorn_label_version version,
					 unsigned flags)
{
	static const char *const states[] = {
		[UNTORN_LABEL_ACTIVE] = "active", [UNTORN_LABEL_FREED] = "freed", [UNTORN_LABEL_IGNORED] = "ignored"};
	struct json_object *object = json_new_object();

	json_add_any_uuid(object, "uuid", label->uuid);
	json_add_text(object, "name", label->name);
	json_add_u64(object, "slot", label->slot);
	json_add_u64(object, "position", label->position);
	json_add_u64(object, "nlabel", label->nlabel);
	json_add_hex(object, "flags", label->flags, flags);
	json_add_hex(object, "isetcookie", label->isetcookie, flags);
	json_add_u64(object, "lbasize", label->lbasize);
	json_add_hex(object, "dpa", label->dpa, flags);
	json_add_size(object, "rawsize", label->rawsize, flags);
	if (version == UNTORN_LABEL_V1_2) {
		json_add_any_uuid(object, "type_guid", label->type_guid);
		json_add_any_uuid(object, "abstraction_guid", label->abstraction_guid);
	}
	json_add_text(object, "state", states[label->state]);
	if (label->fault)
		json_add_text(object, "fault", label->fault);
	return object;
}

/* Of freed slots only those that hold a label. */
static bool is_shown(const struct untorn_label *label)
{
	return label->state != UNTORN_LABEL_FREED ||
	       (label->slot_field == label->slot && !is_zero(label->uuid, sizeof(label->uuid)));
}

static int dimm_labels_to_json(struct untorn_device *dimm, struct json_object **ret_object)
{
	struct json_object *object, *indexes, *labels;
	struct untorn_label_area_info info;
	struct untorn_label label;
	int r = untorn_dimm_label_info(dimm, &info);

	if (r < 0)
		return r;
	object = json_new_object();
	indexes = json_new_list();
	labels = json_new_list();
	for (int i = 0; i < 2 && info.version != UNTORN_LABEL_NONE; i++)
		json_list_add(indexes, index_to_json(dimm, &info, i));
	for (uint32_t slot = 0; slot < info.nslot && !opt.index; slot++)
		if (untorn_dimm_label_get(dimm, slot, &label) == 0 && is_shown(&label))
			json_list_add(labels, label_to_json(&label, info.version, opt.human ? ND_HUMAN : 0));
	json_add_text(object, "dev", untorn_device_name(dimm));
	json_add(object, "index", indexes);
	if (opt.index)
		json_object_put(labels);
	else
		json_add(object, "label", labels);
	*ret_object = object;
	return 0;
}

/* ------------------------------------------------------------------- bytes ---------------------------------------- */

/* The bytes that are asked for. Returns 0, or a negative errno after a sentence. */
static int find_range(struct untorn_device *dimm, uint64_t *ret_off, uint64_t *ret_len)
{
	struct untorn_label_area_info info;
	int r = untorn_dimm_label_info(dimm, &info);

	if (r < 0) {
		print_error("%s: its labels cannot be read: %s", untorn_device_name(dimm), device_strerror(r));
		return r;
	}
	if (opt.index && info.version == UNTORN_LABEL_NONE) {
		print_error("%s: its label area has no valid index block", untorn_device_name(dimm));
		return -ENXIO;
	}
	if (opt.offset > info.size || opt.size > info.size - opt.offset) {
		print_error("%s: its label area has %s; the range ends behind it", untorn_device_name(dimm),
			    SIZE_TEXT(info.size));
		return -ERANGE;
	}
	*ret_off = opt.offset;
	*ret_len = opt.index ? 2 * (uint64_t)info.index_size : opt.size ? opt.size : info.size - opt.offset;
	return 0;
}

static int write_area(struct untorn_device *dimm, FILE *out)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	uint64_t off = 0, len = 0;
	int r = find_range(dimm, &off, &len);

	if (r < 0)
		return r;
	bytes = malloc(len + 1);
	r = bytes ? untorn_dimm_label_read(dimm, off, bytes, len) : -ENOMEM;
	if (r < 0) {
		print_error("%s: its labels cannot be read: %s", untorn_device_name(dimm), device_strerror(r));
		return r;
	}
	/* A failure to write shows at the end, for all of the output. */
	fwrite(bytes, 1, len, out);
	return 0;
}

/* ------------------------------------------------------------------ the command ----------------------------------- */

static int read_dimm(struct untorn_device *dimm, struct json_object *list, FILE *out)
{
	struct json_object *object;
	int r;

	if (!list)
		return write_area(dimm, out);
	r = dimm_labels_to_json(dimm, &object);
	if (r == 0)
		json_list_add(list, object);
	else
		print_error("%s: its labels cannot be read: %s", untorn_device_name(dimm), device_strerror(r));
	return r;
}

/* Returns how many were read, or a negative errno after a sentence: then nothing was written that counts. */
static ssize_t read_all(const struct machine *machine, int nargs, char **args, struct json_object *list, FILE *out)
{
	_cleanup_device_list_ struct device_list dimms = {.n = 0};
	bool is_named = nargs != 1 || strcmp(args[0], "all") != 0;
	ssize_t done = 0;
	uint64_t size;
	int r = select_devices(machine, UNTORN_DEVICE_DIMM, &opt.filter, nargs, args, &dimms);

	for (size_t i = 0; r == 0 && i < dimms.n; i++) {
		if (untorn_dimm_label_size(dimms.devices[i], &size) == -ENXIO) {
			if (is_named) {
				print_error("%s: it has no label area", untorn_device_name(dimms.devices[i]));
				return -ENXIO;
			}
			continue;
		}
		r = read_dimm(dimms.devices[i], list, out);
		done += r == 0;
	}
	return r < 0 ? r : done;
}

/* Into --output, or standard output. */
static int read_to(const struct machine *machine, int nargs, char **args)
{
	struct json_object *list;
	ssize_t done;
	FILE *out;

	if (output_open(opt.output, &out) < 0)
		return CLI_FAILED;
	list = opt.json ? json_new_list() : NULL;
	done = read_all(machine, nargs, args, list, out);
	if (list && done >= 0)
		json_print_list(list, out);
	json_object_put(list);
	if (output_close(opt.output, out) < 0 || done < 0)
		return CLI_FAILED;
	print_count("read", (size_t)done, "nmem");
	return CLI_OK;
}

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	int r;

	opt.json |= opt.human;
	if ((opt.index || opt.json) && (opt.size || opt.offset))
		return usage_error(command, "--size and --offset are for bytes, not for --%s",
				   opt.index ? "index" : "json");
	r = machine_open(&machine, command, &opt.platform, UNTORN_BUS_NO_AUTOPROBE | UNTORN_BUS_READ_ONLY);
	return r < 0 ? r : read_to(&machine, nargs, args);
}

const struct command cmd_read_labels = {
	.name = "read-labels",
	.synopsis = "DIMM...|all --nvdimm DIMM... [-o FILE] [-j] [-u] [-I]",
	.summary = "show label areas as bytes or JSON",
	.description = "Write the bytes of label areas, one behind the other, or with --json what they say. Changes "
		       "nothing.\n",
	.options = options,
	.examples = "  untorn read-labels nmem0 -o labels.bin --nvdimm mem-path=nv0.img\n"
		    "  untorn read-labels all -u --nvdimm mem-path=nv0.img\n"
		    "  untorn read-labels nmem0 -j --nvdimm mem-path=nv0.img | jq '.[].label[] | select(.state == "
		    "\"active\")'\n",
	.operand = "a DIMM, or 'all',",
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
