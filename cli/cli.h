/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands of `untorn` share. A command is a struct command in its own cmd-NAME.c: a table of options, texts
 * for --help, and a function. It knows the library by its public headers only, and shares lib/base.
 *
 * To add a command: cmd-NAME.c with `const struct command cmd_NAME`, its declaration below, a row in main.c, the file
 * in meson.build, and man/untorn-NAME.1.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <untorn/btt.h>
#include <untorn/error.h>
#include <untorn/media.h>

#include "base/bits.h"
#include "base/cleanup.h"

#define PRINTF_LIKE(format_arg) __attribute__((format(printf, format_arg, (format_arg) + 1)))

/* ------------------------------------------------------------------ commands -------------------------------------- */

/*
 * What the run function of a command returns: its exit status, or one of these after the sentence has been printed;
 * main() turns them into the status that the command has for them.
 */
enum {
	CLI_OK = 0,
	CLI_FAILED = -1, /* exit with command->failure_status */
	CLI_USAGE = -2,  /* exit with command->usage_status */
};

struct option_row;

struct command {
	const char *name;
	const char *synopsis;             /* "TARGET [--size S] ..." */
	const char *summary;              /* one line for `untorn --help`, without a full stop */
	const char *description;          /* lines for `untorn NAME --help`, each ended by a newline */
	const struct option_row *options; /* ended by a row without a name */
	const char *examples;             /* lines for --help, each ended by a newline */
	int min_args, max_args;           /* positional arguments; max_args -1: any number */
	bool runs_arguments;              /* they are a command: what looks like an option behind the first is its */
	const char *operand;              /* what is missing without arguments; NULL stands for "the target" */
	int failure_status;               /* 0 stands for 1 */
	int usage_status;                 /* 0 stands for 2 */
	/* args: the positional arguments, nargs of them. Options have been stored where their rows say. */
	int (*run)(const struct command *command, int nargs, char **args);
};

extern const struct command cmd_format;
extern const struct command cmd_info;
extern const struct command cmd_check;
extern const struct command cmd_dump;
extern const struct command cmd_import;
extern const struct command cmd_export;
extern const struct command cmd_serve;
extern const struct command cmd_list;
extern const struct command cmd_tree;
extern const struct command cmd_create_namespace;
extern const struct command cmd_destroy_namespace;
extern const struct command cmd_enable_namespace;
extern const struct command cmd_disable_namespace;
extern const struct command cmd_check_namespace;
extern const struct command cmd_enable_region;
extern const struct command cmd_disable_region;
extern const struct command cmd_init_labels;
extern const struct command cmd_zero_labels;
extern const struct command cmd_read_labels;
extern const struct command cmd_write_labels;
extern const struct command cmd_check_labels;
extern const struct command cmd_read_infoblock;
extern const struct command cmd_write_infoblock;
extern const struct command cmd_mount;
extern const struct command cmd_sandbox;
extern const struct command cmd_ndctl;

/* ------------------------------------------------------------------ options.c ------------------------------------- */

/* How the text of an option becomes a value. */
struct option_type {
	/* Store the value of text. Returns 0 or -EINVAL. text is NULL only where it may be left out. */
	int (*parse)(const char *text, void *value);
	const char *expected; /* "a size such as 512, 64M or 1GiB" */
	int has_arg;          /* no_argument, required_argument or optional_argument of getopt_long() */
};

extern const struct option_type option_switch; /* bool: true when given */
extern const struct option_type option_off;    /* bool: false when given */
extern const struct option_type option_count;  /* unsigned: how often it was given */
extern const struct option_type option_text;   /* const char *: as it stands, not empty */
extern const struct option_type option_texts;  /* struct texts_option: each one, when given repeatedly */
extern const struct option_type option_size;   /* uint64_t: parse_size() */
extern const struct option_type option_number; /* uint64_t: decimal or 0x hexadecimal */
extern const struct option_type option_uuid;   /* struct uuid_option */
extern const struct option_type option_layout; /* enum untorn_btt_layout: 1.1, 2.0, pmemblk or auto */
extern const struct option_type option_medium; /* enum untorn_media_kind */

struct option_row {
	const char *name; /* long name, without dashes */
	const char *arg;  /* name of the value in --help, NULL for a switch */
	const struct option_type *type;
	void *value;      /* where the type stores; a static of the command */
	const char *help; /* one or more lines, joined by newlines */
	char letter;      /* short name, or 0 */
};

struct texts_option {
	const char **texts; /* in the order given; allocated */
	size_t n;
};

struct uuid_option {
	bool given;
	uint8_t bytes[16];
};

/* The 16 bytes, or NULL when the option was not given. */
const uint8_t *uuid_option_get(const struct uuid_option *option);

/* Which layout, which kind of medium, which namespace: options that each command with a target has. */
struct common_options {
	enum untorn_btt_layout layout;
	enum untorn_media_kind medium;
	const char *namespace; /* of an NVDIMM image with labels; NULL: the only one that is possible */
	bool any_namespace;    /* possible are also those without a BTT */
};

#define MEDIUM_OPTION(common)                                                                       \
	{                                                                                           \
		"medium", "KIND", &option_medium, &(common)->medium,                                \
			"treat the target as cacheline, byte, page or volatile memory instead of\n" \
			"finding out (auto); a kind that is too strong gives up durability"         \
	}
#define NAMESPACE_OPTION(common)                                                                        \
	{                                                                                               \
		"namespace", "NAME", &option_text, &(common)->namespace,                                \
			"in an NVDIMM image with labels: the namespace that is meant, by its name in\n" \
			"the label, a uuid, or as namespaceX.Y"                                         \
	}
#define COMMON_OPTIONS(common)                                                                 \
	{"btt-version", "VERSION", &option_layout, &(common)->layout,                          \
	 "the layout to use when it is not plain: 1.1, 2.0 or pmemblk (auto: what is there)"}, \
		NAMESPACE_OPTION(common), MEDIUM_OPTION(common)
#define JSON_OPTION(flag)                                                                  \
	{                                                                                  \
		"json", NULL, &option_switch, (flag), "print a JSON array instead of text" \
	}

/* Parse the command line of a command (argv[0] is its name), answer --help, and run it. Returns the exit status. */
int command_main(const struct command *command, int argc, char **argv);

/* Print the sentence and end the program with the command's failure status: for want of memory amid output. */
_Noreturn void command_die(const char *sentence);

/* -------------------------------------------------------------------- size.c -------------------------------------- */

/*
 * A size in bytes: decimal or 0x hexadecimal, with an optional K, M, G, T, P or E (powers of 1024, also as KiB ...).
 * Returns 0, or -EINVAL for anything else and for more than 2^63 - 1.
 */
int parse_size(const char *text, uint64_t *ret_size);

/* A plain number, decimal or 0x hexadecimal; `*ret_end` is the first character behind it. Returns 0 or -EINVAL. */
int parse_number(const char *text, uint64_t *ret_number, const char **ret_end);

struct size_text {
	char text[32];
};

/* "64 MiB", "30.9 MiB", "520 bytes". Exact or rounded to a tenth. */
struct size_text format_size(uint64_t size);

#define SIZE_TEXT(size) (format_size(size).text)

struct uuid_text {
	char text[37];
};

/* As in RFC 4122, "none" when all bytes are zero. */
struct uuid_text format_uuid(const uint8_t uuid[16]);

/* ------------------------------------------------------------------- message.c ------------------------------------ */

/* One sentence on stderr: "untorn: vol.img: ...". Control characters are shown as '?'. */
void print_error(const char *format, ...) PRINTF_LIKE(1);
void print_note(const char *format, ...) PRINTF_LIKE(1);

/* The words of the system for an errno of a system call; what the library returns is for target_strerror(). */
const char *system_strerror(int err);

/* The sentence, a pointer to --help, and CLI_USAGE. */
int usage_error(const struct command *command, const char *format, ...) PRINTF_LIKE(2);

/* ------------------------------------------------------------------- target.c ------------------------------------- */

struct target {
	const char *path;
	char *name;                    /* for sentences: "vol.img", "nv0.img: namespace0.0"; once it is open */
	char namespace[32];            /* "namespace0.0", "" for a target without labels */
	struct untorn_media *media;    /* of the namespace */
	enum untorn_btt_layout layout; /* the one that was asked for, or that the label says */
	const uint8_t *parent_uuid;    /* the uuid of the namespace, or NULL */
	uint8_t namespace_uuid[16];
	uint64_t label_size;         /* bytes at the end of the file; 0: no labels */
	bool is_other_mode;          /* the label of the namespace says that it holds something else than a BTT */
	struct untorn_btt *btt;      /* NULL after target_open_media() */
	struct untorn_btt_info info; /* of btt */
};

/*
 * Open the medium, or the medium and the volume on it, read-only or for writing. Of an NVDIMM image with labels, the medium is
 * that of one namespace. Returns 0, or a negative errno after the sentence that says what is wrong with path has been printed;
 * target is closed then.
 */
int target_open_media(struct target *target, const char *path, const struct common_options *common, bool read_only);
int target_open(struct target *target, const char *path, const struct common_options *common, bool read_only);

/* Close what is open. Returns 0, or a negative errno after a sentence: the last writes may not be durable. */
int target_close(struct target *target);

/* target_close() for the end of a scope that failed already. */
void cleanup_target(struct target *target);
#define _cleanup_target_ _cleanup_(cleanup_target)

/* The sentence for an errno that the library returned for path, without the path; see <untorn/error.h>. */
const char *target_strerror(int err);

/* -------------------------------------------------------------------- json.c -------------------------------------- */

/*
 * The JSON array on stdout, one object at a time, so that its length costs no memory. json_array_add() prints object
 * and frees it.
 */
struct json_array {
	uint64_t count;
};

void json_array_begin(struct json_array *array);
void json_array_add(struct json_array *array, struct json_object *object);
void json_array_end(struct json_array *array);

/* Print a whole array. list stays the caller's. */
void json_print_list(struct json_object *list, FILE *out);

/* Add a member to object. They end the program when memory runs out. */
void json_add_text(struct json_object *object, const char *name, const char *text);
void json_add_u64(struct json_object *object, const char *name, uint64_t value);
void json_add_bool(struct json_object *object, const char *name, bool value);
void json_add_uuid(struct json_object *object, const char *name, const uint8_t uuid[16]); /* null when all zero */
void json_add(struct json_object *object, const char *name, struct json_object *value);
struct json_object *json_new_object(void);
struct json_object *json_new_list(void);
void json_list_add(struct json_object *list, struct json_object *value);

/* ------------------------------------------------------------------ describe.c ------------------------------------ */

struct version_text {
	char text[16];
};

/* "1.1" */
struct version_text format_version(const struct untorn_btt_info *info);

/* Whether it is a volume that only Untorn opens, for its sector size. */
bool is_wide(const struct untorn_btt_info *info);

struct sector_text {
	char text[64];
};

/* "7920 sectors of 4096 bytes", "7794 sectors of 4096 + 8 bytes". */
struct sector_text format_sectors(const struct untorn_btt_info *info);

/* The volume with its arenas as a JSON object. */
struct json_object *describe_volume(const struct target *target);

/* ------------------------------------------------------------------- output.c ------------------------------------- */

/* A new file at path, or standard output for NULL. Returns 0, or a negative errno after a sentence. */
int output_open(const char *path, FILE **ret_out);

/* The end of it. Returns 0, or a negative errno after a sentence when not all of it arrived. */
int output_close(const char *path, FILE *out);

/* ------------------------------------------------------------------ foreign.c ------------------------------------- */

struct content_text {
	char text[64];
};

/*
 * What libblkid finds in an open file: "ext4", "gpt partition table", "several kinds", or "" for nothing. Returns 0, or a
 * negative errno when it cannot look.
 */
int find_content(int fd, struct content_text *ret_content);

/*
 * libblkid reads files; some media can only be mapped. A sparse file in memory with both ends of the medium, which hold all
 * signatures. Returns 0 or a negative errno.
 */
int copy_ends(struct untorn_media *media, int *ret_fd);

/* ------------------------------------------------------------------ check-volume.c -------------------------------- */

/* Exit statuses of the commands that check, as of fsck(8). */
enum { FSCK_CLEAN = 0, FSCK_CORRECTED = 1, FSCK_LEFT = 4, FSCK_OPERATIONAL = 8, FSCK_USAGE = 16 };

struct check_request {
	const char *command; /* whose --repair is recommended */
	const char *path;    /* how the volume is called */
	struct untorn_media *media;
	enum untorn_btt_layout layout;
	const uint8_t *parent_uuid; /* or NULL */
	bool repair, dry_run, force, rewrite_log;
	bool all;  /* print every finding */
	bool json; /* print objects into array instead of text */
	struct json_array *array;
};

/* Check the volume, print what is found, and mend it if that is asked for. Returns FSCK_... or CLI_FAILED after a sentence. */
int check_volume(const struct check_request *request);

/* ------------------------------------------------------------------ progress.c ------------------------------------ */

/* A line on stderr that shows how far a long work is: only on a terminal, only after it has taken a second. */
struct progress {
	const char *what; /* "importing" */
	uint64_t total;   /* 0: not known */
	bool is_size;     /* counts bytes */
	bool shown;
	int64_t next_ms; /* when to draw again; INT64_MAX: never */
};

void progress_begin(struct progress *progress, const char *what, uint64_t total, bool is_size);
void progress_update(struct progress *progress, uint64_t done);
void progress_hide(struct progress *progress); /* wipe the line before something else is printed */
void progress_end(struct progress *progress);  /* wipe the line for good */

/* ------------------------------------------------------------------- sparse.c ------------------------------------- */

/*
 * The length of the run at p, counted in pieces (the last may be shorter), that is all zeros or has no piece of
 * zeros. len and piece are not 0.
 */
size_t sparse_run(const uint8_t *p, size_t len, size_t piece, bool *ret_zero);

/* ----------------------------------------------------------------- unfinished.c ----------------------------------- */

/*
 * A file that is to vanish when the command does not finish: on failure through unfinished_remove(), and when a
 * signal ends the program. One at a time.
 */
int unfinished_begin(const char *path); /* 0 or -ENOMEM */
void unfinished_done(void);             /* keep the file */
void unfinished_remove(void);           /* unlink it; nothing when there is none */

#endif
