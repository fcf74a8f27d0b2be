/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open what a command works on, and say in one sentence why it cannot be.
 *
 * A volume is opened on a medium; both are closed together, the volume first, so that what it holds back is written
 * while the medium is still there. An NVDIMM image with labels holds volumes in its namespaces, never as a whole.
 */
#include <string.h>
#include <sys/stat.h>
#include <untorn/device.h>

#include "cli.h"

const char *target_strerror(int err)
{
	switch (err < 0 ? -err : err) {
	case ENXIO:
		return "no BTT found; 'untorn format' makes one";
	case EUCLEAN:
		return "the BTT is damaged; 'untorn check' tells what is wrong";
	case ENOTUNIQ:
		return "two layouts are valid at once; name the one that is meant with --btt-version";
	case EOPNOTSUPP:
		return "it has a version or a feature that this untorn does not know";
	case EROFS:
		return "it can only be read";
	case EIO:
		return "it cannot be read or written: input/output error";
	case ENOSPC:
		return "the file system is full, and the sparse file needs space in it; make room and try again";
	default:
		return untorn_strerror(err);
	}
}

/* -EBUSY: name the holder where the system tells. */
static void print_busy(const char *path)
{
	char name[64];
	pid_t pid;

	if (untorn_media_holder(path, &pid, name, sizeof(name)) == 0)
		print_error("%s: in use by process %d (%s); stop it first", path, (int)pid, name);
	else
		print_error("%s: in use by another process; stop it first", path);
}

static void print_media_error(const char *path, int err, bool read_only)
{
	struct stat st;

	switch (-err) {
	case EBUSY:
		print_busy(path);
		break;
	case EINVAL:
		print_error("%s: neither a regular file nor a device that can be mapped", path);
		break;
	case ENXIO:
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			print_error("%s: %s long, too small for a volume", path, SIZE_TEXT((uint64_t)st.st_size));
		else
			print_error("%s: too small for a volume", path);
		break;
	case EROFS:
		print_error("%s: on a read-only file system", path);
		break;
	case EACCES:
	case EPERM:
		print_error("%s: no permission to %s it", path, read_only ? "read" : "write");
		break;
	default:
		print_error("%s: %s", path, system_strerror(err));
	}
}

/* Of an image with labels, from its medium to that of one namespace. */
static int open_namespace(struct target *target, const struct common_options *common)
{
	struct untorn_media *image_media = target->media;
	struct untorn_image image;
	char problem[1024];
	int r;

	r = untorn_image_open(image_media, target->label_size, common->namespace,
			      common->any_namespace ? UNTORN_IMAGE_ANY : 0, problem, sizeof(problem), &image);
	if (r < 0) {
		print_error("%s: %s%s", target->path, problem,
			    r == -ENOTUNIQ ? "; say which one with --namespace" : "");
		return r;
	}
	untorn_media_close(image_media);
	target->media = image.media;
	memcpy(target->namespace, image.name, sizeof(target->namespace));
	memcpy(target->namespace_uuid, image.parent_uuid, sizeof(target->namespace_uuid));
	if (!is_zero(target->namespace_uuid, sizeof(target->namespace_uuid)))
		target->parent_uuid = target->namespace_uuid;
	target->is_other_mode = image.holder_class > UNTORN_CLASS_BTT2;
	if (target->layout == UNTORN_BTT_AUTO)
		target->layout = image.layout;
	return 0;
}

/* Whatever cannot be read at the end of a volume is not for the search for labels to refuse. */
static int find_namespace(struct target *target, const struct common_options *common)
{
	int r = untorn_label_find(target->media, &target->label_size);

	if (r < 0)
		target->label_size = 0;
	if (target->label_size > 0)
		return open_namespace(target, common);
	if (!common->namespace)
		return 0;
	if (r < 0)
		print_error("%s: its labels cannot be read: %s", target->path, target_strerror(r));
	else
		print_error("%s: it has no labels, so it has no namespaces to choose from", target->path);
	return r < 0 ? r : -EINVAL;
}

static int name_target(struct target *target)
{
	bool is_part = *target->namespace;

	if (asprintf(&target->name, "%s%s%s", target->path, is_part ? ": " : "", target->namespace) >= 0)
		return 0;
	target->name = NULL;
	print_error("%s", untorn_strerror(ENOMEM));
	return -ENOMEM;
}

int target_open_media(struct target *target, const char *path, const struct common_options *common, bool read_only)
{
	int r;

	*target = (struct target){.path = path, .layout = common->layout};
	r = untorn_media_open(path, common->medium, read_only ? UNTORN_MEDIA_READ_ONLY : 0, &target->media);
	if (r < 0) {
		print_media_error(path, r, read_only);
		return r;
	}
	r = find_namespace(target, common);
	if (r == 0)
		r = name_target(target);
	if (r < 0)
		cleanup_target(target);
	return r;
}

int target_open(struct target *target, const char *path, const struct common_options *common, bool read_only)
{
	struct untorn_btt_open_options options = {.flags = read_only ? UNTORN_BTT_READ_ONLY : 0};
	int r;

	r = target_open_media(target, path, common, read_only);
	if (r < 0)
		return r;
	options.layout = target->layout;
	options.parent_uuid = target->parent_uuid;
	r = untorn_btt_open(target->media, &options, &target->btt);
	if (r < 0) {
		print_error("%s: %s", target->name, target_strerror(r));
		cleanup_target(target);
		return r;
	}
	untorn_btt_get_info(target->btt, &target->info);
	return 0;
}

int target_close(struct target *target)
{
	int r = 0;

	if (target->btt) {
		r = untorn_btt_close(target->btt);
		if (r < 0)
			print_error("%s: the last writes may be lost: %s", target->name, target_strerror(r));
	}
	target->btt = NULL;
	cleanup_target(target);
	return r;
}

void cleanup_target(struct target *target)
{
	if (target->btt)
		untorn_btt_close(target->btt);
	untorn_media_close(target->media);
	free(target->name);
	target->btt = NULL;
	target->media = NULL;
	target->name = NULL;
}
