/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands on NVDIMMs share. Their verbs, option letters and JSON keys are those of ndctl.
 *
 * Such a command describes a platform with --nvdimm or --platform, brings its devices up as a boot would, works on them
 * and takes them down. What stays is what label areas and info blocks say.
 */
#ifndef CLI_ND_H
#define CLI_ND_H

#include <untorn/device.h>

#include "cli.h"

static inline void cleanup_device(struct untorn_device **device)
{
	untorn_device_put(*device);
}
#define _cleanup_device_ _cleanup_(cleanup_device)

/* ------------------------------------------------------------------ platform.c ------------------------------------ */

struct platform_options {
	struct texts_option nvdimms;
	const char *file;
	const char *argument; /* in place of these: a platform file, or the image of one NVDIMM */
};

#define PLATFORM_OPTIONS(platform)                                                                        \
	{"nvdimm", "DIMM", &option_texts, &(platform)->nvdimms,                                           \
	 "one NVDIMM, in QEMU's words: mem-path=FILE[,size=S][,label-size=S]; again for\n"                \
	 "the next slot"},                                                                                \
	{                                                                                                 \
		"platform", "FILE", &option_text, &(platform)->file,                                      \
			"the platform that this JSON file describes: interleave sets, blk and volatile\n" \
			"regions, identities"                                                             \
	}

/* The devices of a platform, up. */
struct machine {
	struct untorn_platform *platform;
	struct untorn_bus *bus;
	struct untorn_device *root; /* the bus device */
};

/*
 * Bring the platform of options up, with flags of untorn_bus_open(). What a device was refused for goes to stderr as a note.
 * Returns 0, or CLI_FAILED or CLI_USAGE after a sentence.
 */
int machine_open(struct machine *machine, const struct command *command, const struct platform_options *options,
		 unsigned flags);

/* The same without the notes, for a command that shows problems where it shows devices. */
int machine_open_silently(struct machine *machine, const struct command *command,
			  const struct platform_options *options, unsigned flags);

/* Take it down. Returns 0, or a negative errno after a sentence: the last writes may not be durable. */
int machine_close(struct machine *machine);

/* For the end of a scope that failed: the files that were made are removed as well. */
void cleanup_machine(struct machine *machine);
#define _cleanup_machine_ _cleanup_(cleanup_machine)

/* The sentence for an errno of a call on a device, without the name of the device. */
const char *device_strerror(int err);

/* "destroyed 2 namespaces": what was done, as ndctl says it on stderr. */
void print_count(const char *done, size_t n, const char *noun);

/* ------------------------------------------------------------------- select.c ------------------------------------- */

/* Which devices are meant: texts of options, NULL when not given. Each is one or more words, of which one must fit. */
struct filter {
	const char *bus;       /* ndbus0, 0, its provider, all */
	const char *region;    /* region0, 0, all */
	const char *dimm;      /* nmem0, 0, all */
	const char *namespace; /* namespace0.0, 0.0, all */
	const char *type;      /* pmem, blk, volatile: of regions */
	struct {
		bool given;
		uint64_t number;
	} numa_node;
};

extern const struct option_type option_region_type; /* const char *: pmem, blk or volatile */

/* Store the one of words (ended by NULL) that text is. -EINVAL: none. */
int store_word(const char *text, const char **value, const char *const *words);

/* How a region's kind is called in options and JSON: "pmem", "blk", "volatile". */
const char *region_type(const struct untorn_region_info *info);

/* How a namespace's mode is called today: "raw", "sector", "fsdax", "devdax". */
const char *namespace_mode(const struct untorn_namespace_info *info);

/* The text of an attribute without its newline; "" when the device does not have it. */
struct attr_value {
	char text[128];
};

struct attr_value read_attr(struct untorn_device *device, const char *name);

/* The disk of a bound namespace or btt. Its name is "" when there is none. */
void device_disk(struct untorn_device *device, struct untorn_disk_info *ret_info);

/* Whether the device, and what it lies in or lies in it, is meant. */
bool filter_bus(const struct filter *filter, struct untorn_device *bus);
bool filter_dimm(const struct filter *filter, struct untorn_device *dimm);
bool filter_region(const struct filter *filter, struct untorn_device *region);
bool filter_namespace(const struct filter *filter, struct untorn_device *ns);

/* Options of the commands that take namespaces. */
#define NAMESPACE_OPTIONS(filter, verbosity)                                                                \
	{                                                                                                   \
		"bus",                                                                                      \
		"BUS",                                                                                      \
		&option_text,                                                                               \
		&(filter)->bus,                                                                             \
		"of 'all' only those on this bus: ndbus0, 0 or its provider",                               \
		'b'},                                                                                       \
		{"region",                                                                                  \
		 "REGION",                                                                                  \
		 &option_text,                                                                              \
		 &(filter)->region,                                                                         \
		 "of 'all' only those of this region: region0 or 0",                                        \
		 'r'},                                                                                      \
	{                                                                                                   \
		"verbose", NULL, &option_count, (verbosity), "accepted; there is nothing more to tell", 'v' \
	}

/* Devices, each with a reference: collected before a command changes the tree. */
struct device_list {
	struct untorn_device **devices;
	size_t n;
};

void device_list_add(struct device_list *list, struct untorn_device *device); /* takes one more reference */
void cleanup_device_list(struct device_list *list);
#define _cleanup_device_list_ _cleanup_(cleanup_device_list)

/*
 * The devices of one type that the arguments name, in their order, or for the argument "all" each one that filter lets through.
 * Namespaces are also known by their uuid, their btt's uuid and their label's name.
 * Returns 0, or a negative errno after a sentence when a name fits no device or several.
 */
int select_devices(const struct machine *machine, enum untorn_device_type type, const struct filter *filter, int nargs,
		   char **args, struct device_list *ret_list);

/* One of them by its name. */
int select_device(const struct machine *machine, enum untorn_device_type type, const char *name,
		  struct untorn_device **ret_device);

/* Add all devices of the type that filter lets through. */
void collect_devices(const struct machine *machine, enum untorn_device_type type, const struct filter *filter,
		     struct device_list *list);

/* Whether region maps dimm. */
bool region_has_dimm(struct untorn_device *region, struct untorn_device *dimm);

/* Bound itself or, when a btt claims it, through that. */
bool namespace_is_active(struct untorn_device *ns);

/* The btt that claims the namespace, or -ENOENT. */
int namespace_btt(struct untorn_device *ns, struct untorn_device **ret_btt);

/* ------------------------------------------------------------------- devices.c ------------------------------------ */

/* Bytes at the start of a namespace in which each mode keeps its first info block. */
enum { INFOBLOCK_SPAN = 8192 };

/* Print why the device does not come up. Returns err. */
int enable_failed(struct untorn_device *device, int err);

/* Bind and unbind, with the btt on it. Return 0, or a negative errno after a sentence. */
int namespace_enable(struct untorn_device *ns);
int namespace_disable(struct untorn_device *ns);

/* Regions on DIMMs that are not armed are read-only. Returns 0, or -EROFS after a sentence. */
int namespace_check_writable(struct untorn_device *ns);

/* Leave no info block, backups included. Not while it is enabled. Returns 0, or a negative errno after a sentence. */
int namespace_wipe(struct untorn_device *ns);

/* Disable the region with its namespaces. Returns 0, or a negative errno after a sentence. */
int region_disable(struct untorn_device *region);

/* ------------------------------------------------------------------- autolabel.c ---------------------------------- */

/* A region whose DIMMs got their first labels, and what stood in their label areas before. */
struct autolabel {
	struct untorn_device *region;
	struct autolabel_dimm *dimms;
	size_t n;
};

/* Whether all DIMMs of the region have label areas without labels, and belong to no other region. */
bool autolabel_is_possible(const struct machine *machine, struct untorn_device *region);

/* Write v1.2 index blocks and bring the region up again, labelled. Returns 0, or a negative errno after a sentence. */
int autolabel_begin(const struct machine *machine, struct untorn_device *region, struct autolabel *ret_autolabel);

/* Put back what was there. Says when it cannot. */
void autolabel_undo(struct autolabel *autolabel);

/* It stays; free what is remembered. */
void autolabel_keep(struct autolabel *autolabel);

/* ------------------------------------------------------------------- nd-json.c ------------------------------------ */

enum {
	ND_HUMAN = 1u << 0,        /* sizes with units, other numbers in hexadecimal */
	ND_VERBOSE = 1u << 1,      /* numa nodes, raw_uuid */
	ND_MAPPINGS = 1u << 2,     /* of regions */
	ND_CAPABILITIES = 1u << 3, /* of regions */
};

/* The device as a JSON object with ndctl's keys, without what lies in it. */
struct json_object *bus_to_json(struct untorn_device *bus);
struct json_object *dimm_to_json(struct untorn_device *dimm, unsigned flags);
struct json_object *region_to_json(struct untorn_device *region, unsigned flags);
struct json_object *namespace_to_json(struct untorn_device *ns, unsigned flags);

/* A number; with ND_HUMAN a text such as "64.00 MiB (67.11 MB)", or hexadecimal digits. */
void json_add_size(struct json_object *object, const char *name, uint64_t size, unsigned flags);
void json_add_hex(struct json_object *object, const char *name, uint64_t value, unsigned flags);

/* Unlike json_add_uuid(): zeros, too, in the order of the bytes. */
void json_add_any_uuid(struct json_object *object, const char *name, const uint8_t uuid[16]);

#endif
