/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What hardware there is: collected from QEMU's words, from files (platform-file.c) and from media of the caller, then
 * opened and closed as a whole.
 *
 * A description that was refused leaves the platform as it was. An open that failed leaves nothing open and no new file.
 */
#include "device/platform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "media/media.h"

#define LABEL_SIZE_MIN (128u << 10) /* QEMU's */
#define INTERLEAVE     (256u << 10) /* what real interleave sets come near to */

int platform_fail(struct untorn_platform *platform, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(platform->error, sizeof(platform->error), format, args);
	va_end(args);
	return err;
}

int platform_fail_memory(struct untorn_platform *platform)
{
	return platform_fail(platform, -ENOMEM, "not enough memory");
}

const char *untorn_platform_error(const struct untorn_platform *platform)
{
	return platform->error;
}

int untorn_platform_new(struct untorn_platform **ret_platform)
{
	struct untorn_platform *platform = calloc(1, sizeof(*platform));

	if (!platform)
		return -ENOMEM;
	platform->provider = strdup("ACPI.NFIT");
	if (!platform->provider) {
		free(platform);
		return -ENOMEM;
	}
	*ret_platform = platform;
	return 0;
}

void platform_truncate(struct untorn_platform *platform, unsigned ndimm, unsigned nregion)
{
	while (platform->ndimm > ndimm)
		free(platform->dimms[--platform->ndimm].path);
	while (platform->nregion > nregion)
		free(platform->regions[--platform->nregion].path);
}

void untorn_platform_free(struct untorn_platform *platform)
{
	if (!platform)
		return;
	platform_truncate(platform, 0, 0);
	free(platform->dimms);
	free(platform->regions);
	free(platform->provider);
	free(platform);
}

/* ---------------------------------------------------- what it is made of ------------------------------------------------- */

/* Room for one more. list is that of n elements of size bytes. */
static int grow(struct untorn_platform *platform, void **list, unsigned n, size_t size, const char *what)
{
	void *grown;

	if (platform->is_open)
		return platform_fail(platform, -EBUSY, "the platform cannot be changed while a bus is open on it");
	if (n >= PLATFORM_ITEMS_MAX)
		return platform_fail(platform, -EINVAL, "more than %u %s", PLATFORM_ITEMS_MAX, what);
	grown = reallocarray(*list, n + 1, size);
	if (!grown)
		return platform_fail_memory(platform);
	*list = grown;
	return 0;
}

int platform_add_dimm(struct untorn_platform *platform, const struct platform_dimm *dimm)
{
	void *list = platform->dimms;
	int r;

	for (unsigned i = 0; i < platform->ndimm; i++) {
		if (platform->dimms[i].id.handle == dimm->id.handle)
			return platform_fail(platform, -EINVAL, "dimms %u and %u have the same handle %#x", i,
					     platform->ndimm, dimm->id.handle);
	}
	r = grow(platform, &list, platform->ndimm, sizeof(*dimm), "dimms");
	platform->dimms = list;
	if (r == 0)
		platform->dimms[platform->ndimm++] = *dimm;
	return r;
}

int platform_add_region(struct untorn_platform *platform, const struct platform_region *region)
{
	void *list = platform->regions;
	int r = grow(platform, &list, platform->nregion, sizeof(*region), "regions");

	platform->regions = list;
	if (r == 0)
		platform->regions[platform->nregion++] = *region;
	return r;
}

struct platform_region platform_default_region(enum untorn_region_kind kind)
{
	return (struct platform_region){.kind = kind, .interleave = INTERLEAVE};
}

int platform_add_whole_region(struct untorn_platform *platform, unsigned dimm)
{
	struct platform_region region = platform_default_region(UNTORN_REGION_PMEM);

	region.mappings[region.nmapping++].dimm = dimm;
	return platform_add_region(platform, &region);
}

/* Both or none: on failure the dimm is not the platform's. */
static int add_dimm_and_region(struct untorn_platform *platform, const struct platform_dimm *dimm)
{
	int r = platform_add_dimm(platform, dimm);

	if (r < 0)
		return r;
	r = platform_add_whole_region(platform, platform->ndimm - 1);
	if (r < 0)
		platform->ndimm--;
	return r;
}

struct platform_identity platform_qemu_identity(unsigned slot)
{
	return (struct platform_identity){
		.handle = slot + 1,
		.serial = 0x123456 + slot,
		.vendor = 0x8086,
		.device = 1,
		.revision = 1,
		.format = 0x301,
	};
}

int platform_check_dimm(struct untorn_platform *platform, const char *what, const struct platform_dimm *dimm)
{
	unsigned long long size = dimm->size, label_size = dimm->label_size;

	if (dimm->has_size && (size == 0 || !is_aligned(size, 4096)))
		return platform_fail(platform, -EINVAL, "%s: size %llu is not a multiple of 4096", what, size);
	if (dimm->has_label_size && label_size > 0 && (label_size < LABEL_SIZE_MIN || !is_aligned(label_size, 8)))
		return platform_fail(platform, -EINVAL,
				     "%s: label-size %llu is neither 0 nor a multiple of 8 of at least 128K", what,
				     label_size);
	if (dimm->has_size && dimm->has_label_size && (label_size > size || size - label_size < 4096))
		return platform_fail(platform, -EINVAL, "%s: label-size %llu leaves nothing of size %llu for memory",
				     what, label_size, size);
	return 0;
}

int untorn_platform_add_media(struct untorn_platform *platform, struct untorn_media *media, uint64_t label_size)
{
	struct platform_dimm dimm = {
		.has_size = true,
		.has_label_size = true,
		.size = media->size,
		.label_size = label_size,
		.media = media,
		.id = platform_qemu_identity(platform->ndimm),
	};

	if (!is_aligned(label_size, 4096) || label_size >= media->size)
		return platform_fail(platform, -EINVAL,
				     "dimm %u: label size %llu is not a multiple of 4096 below the medium's %llu",
				     platform->ndimm, (unsigned long long)label_size, (unsigned long long)media->size);
	return add_dimm_and_region(platform, &dimm);
}

/* ------------------------------------------------------- QEMU's words ---------------------------------------------------- */

int platform_parse_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "kmgtpe";
	bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = is_hex ? text + 2 : text, *unit;
	unsigned long long size;
	char *end;

	/* strtoull() takes signs, blanks and a second 0x as well. */
	if (!strchr(is_hex ? "0123456789abcdefABCDEF" : "0123456789", digits[0]) || !digits[0])
		return -EINVAL;
	errno = 0;
	size = strtoull(text, &end, is_hex ? 16 : 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit || (end[1] && strcmp(end + 1, "iB") != 0) ||
		    __builtin_mul_overflow(size, 1024ull << (10 * (unit - units)), &size))
			return -EINVAL;
	}
	if (size > INT64_MAX)
		return -EINVAL;
	*ret_size = size;
	return 0;
}

static int set_path(struct platform_dimm *dimm, const char *value)
{
	dimm->path = strdup(value);
	return !value[0] ? -EINVAL : dimm->path ? 0 : -ENOMEM;
}

static int set_size(struct platform_dimm *dimm, const char *value)
{
	dimm->has_size = true;
	return platform_parse_size(value, &dimm->size);
}

static int set_label_size(struct platform_dimm *dimm, const char *value)
{
	dimm->has_label_size = true;
	return platform_parse_size(value, &dimm->label_size);
}

static int set_unarmed(struct platform_dimm *dimm, const char *value)
{
	dimm->unarmed = strcmp(value, "on") == 0;
	return dimm->unarmed || strcmp(value, "off") == 0 ? 0 : -EINVAL;
}

static const struct {
	const char *name, *expected;
	int (*set)(struct platform_dimm *dimm, const char *value);
} words[] = {
	{"mem-path", "the path of a file", set_path},
	{"size", "a size such as 256M", set_size},
	{"label-size", "a size such as 128K", set_label_size},
	{"unarmed", "on or off", set_unarmed},
};

/* Cut the first word off *text: up to a comma that is alone; two commas are one in the word. */
static char *take_word(const char **text)
{
	const char *p = *text;
	char *word = malloc(strlen(p) + 1);
	size_t len = 0;

	if (!word)
		return NULL;
	for (; *p && (*p != ',' || p[1] == ','); p++) {
		if (*p == ',')
			p++;
		word[len++] = *p;
	}
	word[len] = '\0';
	*text = p;
	return word;
}

static int set_word(struct untorn_platform *platform, struct platform_dimm *dimm, char *word, unsigned *seen)
{
	char *value = strchr(word, '=');
	int r;

	if (!value)
		return platform_fail(platform, -EINVAL, "\"%s\": a nvdimm is told as mem-path=FILE[,size=S]...", word);
	*value++ = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].name, word) != 0)
			continue;
		if (*seen & 1u << i)
			return platform_fail(platform, -EINVAL, "%s is given twice", word);
		*seen |= 1u << i;
		r = words[i].set(dimm, value);
		if (r == -ENOMEM)
			return platform_fail_memory(platform);
		return r < 0 ? platform_fail(platform, r, "%s=%s: expected %s", word, value, words[i].expected) : 0;
	}
	return platform_fail(platform, -EINVAL,
			     "\"%s\" is not known; a nvdimm has mem-path, size, label-size and unarmed", word);
}

static int parse_nvdimm(struct untorn_platform *platform, struct platform_dimm *dimm, const char *text)
{
	unsigned seen = 0;

	for (bool more = true; more; text += more) {
		_cleanup_free_ char *word = take_word(&text);
		int r = word ? set_word(platform, dimm, word, &seen) : platform_fail_memory(platform);

		if (r < 0)
			return r;
		more = *text == ',';
	}
	if (!dimm->path)
		return platform_fail(platform, -EINVAL, "mem-path is missing: which file holds the nvdimm");
	return platform_check_dimm(platform, dimm->path, dimm);
}

int untorn_platform_add_nvdimm(struct untorn_platform *platform, const char *text)
{
	struct platform_dimm dimm = {.id = platform_qemu_identity(platform->ndimm)};
	int r = parse_nvdimm(platform, &dimm, text);

	if (r == 0)
		r = add_dimm_and_region(platform, &dimm);
	if (r < 0)
		free(dimm.path);
	return r;
}

/* ------------------------------------------------------- open, close ----------------------------------------------------- */

static void close_media(struct untorn_media **media)
{
	untorn_media_close(*media);
	*media = NULL;
}

void platform_close(struct untorn_platform *platform)
{
	for (unsigned i = 0; i < platform->nregion; i++)
		close_media(&platform->regions[i].media);
	for (unsigned i = 0; i < platform->ndimm; i++) {
		if (platform->dimms[i].path)
			close_media(&platform->dimms[i].media);
	}
	platform->is_open = false;
}

void untorn_platform_remove_created(struct untorn_platform *platform)
{
	for (unsigned i = 0; i < platform->ndimm; i++) {
		if (platform->dimms[i].created)
			unlink(platform->dimms[i].path);
		platform->dimms[i].created = false;
	}
	for (unsigned i = 0; i < platform->nregion; i++) {
		if (platform->regions[i].created)
			unlink(platform->regions[i].path);
		platform->regions[i].created = false;
	}
}

static int open_all(struct untorn_platform *platform, unsigned flags)
{
	int r = 0;

	for (unsigned i = 0; i < platform->ndimm && r == 0; i++)
		r = platform_open_dimm(platform, i, flags);
	if (r == 0)
		r = platform_resolve_regions(platform, flags);
	for (unsigned i = 0; i < platform->nregion && r == 0; i++) {
		if (platform->regions[i].kind == UNTORN_REGION_VOLATILE)
			r = platform_open_volatile(platform, &platform->regions[i], flags);
		else if (platform->regions[i].kind == UNTORN_REGION_PMEM)
			r = platform_stitch_region(platform, i);
	}
	return r;
}

int platform_open(struct untorn_platform *platform, unsigned flags)
{
	const unsigned known = UNTORN_BUS_READ_ONLY | UNTORN_BUS_NO_AUTOPROBE | UNTORN_BUS_CREATE;
	int r;

	if (flags & ~known)
		return platform_fail(platform, -EINVAL, "unknown flags %#x", flags & ~known);
	if (platform->is_open)
		return platform_fail(platform, -EBUSY, "a bus is open on the platform already");
	platform->is_open = true;
	r = open_all(platform, flags);
	if (r < 0) {
		platform_close(platform);
		untorn_platform_remove_created(platform);
	}
	return r;
}
