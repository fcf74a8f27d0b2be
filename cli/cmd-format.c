/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn format: make an empty volume.
 *
 * Nothing is changed before everything that could be lost has been looked for, by the library (BTTs, pools, label
 * areas) and by libblkid (file systems, partition tables, RAID, encryption). A format that fails afterwards takes
 * back what it did to the file: a new file goes, a grown one gets its size back.
 *
 * Of an NVDIMM image with labels, one namespace is formatted. Its label says before that a BTT is on it, because by that
 * others know where to look for it. A cut in between leaves a namespace without a BTT.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <untorn/device.h>

#include "cli.h"

static struct {
	struct common_options common;
	uint64_t size;
	uint64_t sector_size;
	const char *profile;
	struct uuid_option uuid, parent_uuid;
	bool force, json;
} opt;

static const struct option_row options[] = {
	{"size", "S", &option_size, &opt.size,
	 "create the file with this size, or grow it to that; without it the target\n"
	 "must exist and is used as it is"},
	{"sector-size", "N", &option_size, &opt.sector_size,
	 "bytes of one sector (default 4096)\n"
	 "  512, 4096                      data only\n"
	 "  520, 528                       512 data bytes + 8, 16 metadata bytes\n"
	 "  4104, 4160, 4224               4096 data bytes + 8, 64, 128 metadata bytes\n"
	 "  8192, 16384, 32768, 65536      Untorn's own extension: Linux refuses\n"
	 "                                 such a volume\n"
	 "with --profile pmemblk any number from 1 to 65536"},
	{"btt-version", "1.1|2.0", &option_layout, &opt.common.layout,
	 "1.1 (default): what Linux expects on a device without namespace labels;\n"
	 "2.0: under a version 1.2 label (UEFI)"},
	{"profile", "linux|pmemblk", &option_text, &opt.profile,
	 "linux (default): a BTT of a namespace; pmemblk: a pool for PMDK's libpmemblk"},
	{"uuid", "U", &option_uuid, &opt.uuid, "uuid of the volume (default: a random one)"},
	{"parent-uuid", "U", &option_uuid, &opt.parent_uuid,
	 "uuid of the namespace or pool set around it (default: none; pmemblk: random)"},
	{"force", NULL, &option_switch, &opt.force, "overwrite whatever the target holds"},
	NAMESPACE_OPTION(&opt.common),
	MEDIUM_OPTION(&opt.common),
	JSON_OPTION(&opt.json),
	{NULL},
};

/* ------------------------------------------------------------- what would be lost --------------------------------- */

/* libblkid reads files; a namespace is only a part of one, and a device DAX can only be mapped. */
static int open_for_probe(const char *path, const struct target *target, int *ret_fd)
{
	struct stat st;

	if (target && (target->label_size || (stat(path, &st) == 0 && S_ISCHR(st.st_mode))))
		return copy_ends(target->media, ret_fd);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/*
 * Returns 0 when libblkid finds nothing at path, -EEXIST after a sentence when it does or cannot look. target is open,
 * or NULL for a file too short to be one.
 */
static int refuse_foreign_content(const char *path, const struct target *target)
{
	_cleanup_close_ int fd = -1;
	struct content_text content;
	const char *name = target ? target->name : path;
	int r = open_for_probe(path, target, &fd);

	if (r == -EACCES || r == -EPERM) {
		print_error("%s: no permission to read it", name);
		return -EEXIST;
	}
	if (r == 0)
		r = find_content(fd, &content);
	if (r < 0) {
		print_error("%s: cannot be searched for file systems and partitions: %s; --force skips that", name,
			    system_strerror(r));
		return -EEXIST;
	}
	if (*content.text) {
		print_error("%s: holds data already (%s); --force overwrites it", name, content.text);
		return -EEXIST;
	}
	return 0;
}

/* The same for what the label says and the library knows. */
static int refuse_own_content(const struct target *target)
{
	const char *what;
	int r;

	if (target->is_other_mode) {
		print_error("%s: its label says that it is in another mode; --force overwrites it", target->name);
		return -EEXIST;
	}

	r = untorn_btt_recognise(target->media, &what);
	if (r < 0) {
		print_error("%s: %s", target->name, target_strerror(r));
		return r;
	}
	if (what) {
		print_error("%s: holds data already (%s); --force overwrites it", target->name, what);
		return -EEXIST;
	}
	return 0;
}

/* What the label of a namespace decides cannot be chosen. */
static int refuse_options(const struct target *target)
{
	const char *option = opt.size                               ? "--size"
			     : opt.parent_uuid.given                ? "--parent-uuid"
			     : opt.profile                          ? "--profile"
			     : opt.common.layout != UNTORN_BTT_AUTO ? "--btt-version"
								    : NULL;

	if (!target->label_size || !option)
		return 0;
	print_error("%s: %s is for targets without labels; here the label decides", target->name, option);
	return -EINVAL;
}

/*
 * Look at the target as it is. The medium is opened for that also with --force, which tells whether another process
 * uses it. A file that is too short to be a medium holds nothing that the library knows. Of an image with labels,
 * *ret_namespace is where it will be formatted.
 */
static int refuse_loss(const char *path, uint64_t size, char *ret_namespace)
{
	_cleanup_target_ struct target target = {.path = path};
	int r;

	if (size < 4096 && opt.size)
		return opt.force || size == 0 ? 0 : refuse_foreign_content(path, NULL);
	r = target_open_media(&target, path, &opt.common, false);
	if (r == 0)
		r = refuse_options(&target);
	if (r < 0)
		return r;
	memcpy(ret_namespace, target.namespace, sizeof(target.namespace));
	if (opt.force)
		return 0;
	r = refuse_own_content(&target);
	return r < 0 ? r : refuse_foreign_content(path, &target);
}

/* ---------------------------------------------------------------- the file ---------------------------------------- */

/* What has to be taken back when the format fails. */
struct place {
	const char *path;
	uint64_t old_size;
	bool grown;
	char namespace[32];                  /* "": there are no labels */
	struct untorn_image_claim old_claim; /* if claimed */
	bool claimed;
};

static int create_file(const char *path)
{
	int fd, r = 0;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		r = -errno;
		print_error("%s: cannot be created: %s", path, system_strerror(r));
		return r;
	}
	r = unfinished_begin(path);
	if (r == 0 && ftruncate(fd, (off_t)opt.size) < 0)
		r = -errno;
	close(fd);
	if (r < 0) {
		print_error("%s: cannot be made %s long: %s", path, SIZE_TEXT(opt.size), system_strerror(r));
		unlink(path);
		unfinished_done();
	}
	return r;
}

static int grow_file(struct place *place)
{
	int r;

	if (truncate(place->path, (off_t)opt.size) < 0) {
		r = -errno;
		print_error("%s: cannot be made %s long: %s", place->path, SIZE_TEXT(opt.size), system_strerror(r));
		return r;
	}
	place->grown = true;
	return 0;
}

/* Make sure that the target exists, may be overwritten, and has its size. */
static int prepare(struct place *place)
{
	const char *path = place->path;
	struct stat st;
	int r;

	if (stat(path, &st) < 0) {
		r = -errno;
		if (r != -ENOENT)
			print_error("%s: %s", path, system_strerror(r));
		else if (!opt.size)
			print_error("%s: no such file; give --size to create it", path);
		else
			r = create_file(path);
		return r;
	}
	if (opt.size && !S_ISREG(st.st_mode)) {
		print_error("%s: not a regular file, so --size cannot change its size", path);
		return -EINVAL;
	}
	place->old_size = (uint64_t)st.st_size;
	if (opt.size && opt.size < place->old_size) {
		print_error("%s: already %s long; a format never shrinks a file", path, SIZE_TEXT(place->old_size));
		return -EINVAL;
	}
	r = refuse_loss(path, S_ISREG(st.st_mode) ? place->old_size : UINT64_MAX, place->namespace);
	if (r == 0 && opt.size > place->old_size)
		r = grow_file(place);
	return r;
}

/* ---------------------------------------------------------------- the label --------------------------------------- */

/* Let the label of the namespace say something else. Returns 0, or a negative errno after a sentence. */
static int write_claim(const struct place *place, const struct untorn_image_claim *claim,
		       struct untorn_image_claim *ret_old)
{
	struct untorn_media *media;
	uint64_t label_size;
	char problem[1024] = "";
	int r;

	r = untorn_media_open(place->path, opt.common.medium, 0, &media);
	if (r == 0) {
		r = untorn_label_find(media, &label_size);
		if (r == 0)
			r = untorn_image_claim(media, label_size, place->namespace, claim, problem, sizeof(problem),
					       ret_old);
		untorn_media_close(media);
	}
	if (r < 0)
		print_error("%s: %s", place->path, *problem ? problem : target_strerror(r));
	return r;
}

static int claim_namespace(struct place *place)
{
	const struct untorn_image_claim claim = {.holder_class = UNTORN_CLASS_BTT, .sector_size = opt.sector_size};
	int r;

	if (!*place->namespace)
		return 0;
	opt.common.namespace = place->namespace;
	r = write_claim(place, &claim, &place->old_claim);
	place->claimed = r == 0;
	return r;
}

static void take_back(const struct place *place)
{
	struct untorn_image_claim ignored;

	unfinished_remove();
	if (place->claimed)
		write_claim(place, &place->old_claim, &ignored);
	if (place->grown && truncate(place->path, (off_t)place->old_size) < 0)
		print_error("%s: cannot be made %s long again: %s", place->path, SIZE_TEXT(place->old_size),
			    system_strerror(errno));
}

/* ----------------------------------------------------------------- format ----------------------------------------- */

static void print_format_error(const struct target *target, int err)
{
	uint64_t smallest = UINT64_C(16) << 20;

	if (err != -ENXIO) {
		print_error("%s: %s", target->name, target_strerror(err));
		return;
	}
	if (target->layout == UNTORN_BTT_PMEMBLK)
		smallest += 8192;
	else if (target->layout != UNTORN_BTT_V2_0)
		smallest += 4096;
	print_error("%s: %s is too small for a volume; it takes at least %" PRIu64 " KiB", target->name,
		    SIZE_TEXT(untorn_media_size(target->media)), smallest >> 10);
}

static int format_media(struct target *target)
{
	struct untorn_btt_format_options format = {
		.layout = target->layout,
		.sector_size = (uint32_t)opt.sector_size,
		.uuid = uuid_option_get(&opt.uuid),
		.parent_uuid = target->parent_uuid ?: uuid_option_get(&opt.parent_uuid),
		.flags = opt.force ? UNTORN_BTT_FORCE : 0,
	};
	const struct untorn_btt_open_options open = {.layout = target->layout, .flags = UNTORN_BTT_READ_ONLY};
	int r;

	r = untorn_btt_format(target->media, &format);
	if (r == -EEXIST)
		return refuse_own_content(target) < 0 ? r : -EEXIST;
	if (r < 0) {
		print_format_error(target, r);
		return r;
	}
	r = untorn_btt_open(target->media, &open, &target->btt);
	if (r < 0) {
		print_error("%s: was formatted, but cannot be opened: %s", target->name, target_strerror(r));
		return r;
	}
	untorn_btt_get_info(target->btt, &target->info);
	return 0;
}

static void print_result(const struct target *target)
{
	struct json_array array;

	if (opt.json) {
		json_array_begin(&array);
		json_array_add(&array, describe_volume(target));
		json_array_end(&array);
	} else {
		printf("%s: %s%s, %s, %s\n", target->name, target->info.layout == UNTORN_BTT_PMEMBLK ? "" : "BTT ",
		       target->info.layout == UNTORN_BTT_PMEMBLK ? "pmemblk pool"
								 : untorn_btt_layout_name(target->info.layout),
		       SIZE_TEXT(target->info.size), format_sectors(&target->info).text);
	}
	if (untorn_media_kind(target->media) == UNTORN_MEDIA_VOLATILE)
		print_note("%s is in volatile memory: it survives a killed process, not a power cut", target->name);
}

/* Returns CLI_OK, or CLI_USAGE after a sentence. */
static int settle_options(const struct command *command)
{
	enum untorn_btt_layout *layout = &opt.common.layout;

	if (opt.profile && strcmp(opt.profile, "pmemblk") == 0) {
		if (*layout == UNTORN_BTT_V2_0)
			return usage_error(command, "--profile pmemblk has version 1.1 only");
		*layout = UNTORN_BTT_PMEMBLK;
	} else if (opt.profile && strcmp(opt.profile, "linux") != 0) {
		return usage_error(command, "--profile: '%s' is not linux or pmemblk", opt.profile);
	} else if (opt.profile && *layout == UNTORN_BTT_PMEMBLK) {
		return usage_error(command, "--profile linux contradicts --btt-version pmemblk");
	}
	if (opt.sector_size > UINT32_MAX || !untorn_btt_sector_size_ok(*layout, (uint32_t)opt.sector_size))
		return usage_error(command, "--sector-size: %" PRIu64 " is not one that this layout has",
				   opt.sector_size);
	return CLI_OK;
}

static int run(const struct command *command, int nargs, char **args)
{
	struct place place = {.path = args[0]};
	struct target target;
	int r;

	(void)nargs;
	if (!opt.sector_size)
		opt.sector_size = 4096;
	r = settle_options(command);
	if (r < 0)
		return r;
	opt.common.any_namespace = true;
	r = prepare(&place);
	if (r < 0)
		return CLI_FAILED;

	r = claim_namespace(&place);
	if (r == 0)
		r = target_open_media(&target, place.path, &opt.common, false);
	/* Somebody who opened the file since it was looked at and grown works with its new size: leave it. */
	if (r == -EBUSY)
		place.grown = false;
	if (r == 0) {
		r = format_media(&target);
		if (r == 0)
			print_result(&target);
		cleanup_target(&target);
	}
	if (r < 0) {
		take_back(&place);
		return CLI_FAILED;
	}
	unfinished_done();
	return CLI_OK;
}

const struct command cmd_format = {
	.name = "format",
	.synopsis = "TARGET [--size S] [--sector-size N] [--btt-version 1.1|2.0] [--profile P] [--force]",
	.summary = "make an empty volume in a file or on a device",
	.description =
		"Make an empty volume of TARGET: a regular file, a device DAX or a block device. A target that holds\n"
		"a volume, a pool, a label area, a file system or a partition table is refused without --force.\n"
		"Sizes are bytes, or have a K, M, G, T or P for powers of 1024.\n",
	.options = options,
	.examples = "  untorn format vol.img --size 64M\n"
		    "  untorn format vol.img --size 1T --sector-size 512 --btt-version 2.0\n"
		    "  untorn format pool --size 1G --profile pmemblk\n"
		    "  untorn format /dev/pmem0 --force\n",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
