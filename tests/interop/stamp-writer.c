/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp-writer: stamped sectors on an Untorn volume, through the library. With -o meta the stamp also covers the metadata bytes
 * of sizes such as 520 and 4160, so a sector whose metadata is of another write counts as torn. -o medium=KIND forces a kind.
 */
#include "stamp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <untorn/btt.h>
#include <untorn/media.h>

struct volume {
	struct untorn_media *media;
	struct untorn_btt *btt;
	uint32_t data_size, meta_size; /* of one sector; meta_size is 0 without -o meta */
};

static int volume_close(void *handle)
{
	struct volume *volume = handle;
	int r = untorn_btt_close(volume->btt);

	untorn_media_close(volume->media);
	free(volume);
	return r;
}

static int volume_open(const char *target, const char *const *options, bool writable,
		       struct stamp_geometry *ret_geometry, void **ret_handle)
{
	struct volume *volume = calloc(1, sizeof *volume);
	struct untorn_btt_open_options open_options = {.flags = writable ? 0 : UNTORN_BTT_READ_ONLY};
	enum untorn_media_kind kind = UNTORN_MEDIA_AUTO;
	struct untorn_btt_info info;
	bool with_meta = false;
	int r = 0;

	if (!volume)
		return -ENOMEM;
	for (; *options && r == 0; options++) {
		if (!strcmp(*options, "meta"))
			with_meta = true;
		else if (!strncmp(*options, "medium=", 7))
			r = untorn_media_kind_parse(*options + 7, &kind);
		else
			r = -EINVAL;
	}
	if (r == 0)
		r = untorn_media_open(target, kind, writable ? 0 : UNTORN_MEDIA_READ_ONLY, &volume->media);
	if (r == 0)
		r = untorn_btt_open(volume->media, &open_options, &volume->btt);
	if (r < 0) {
		volume_close(volume);
		return r;
	}
	untorn_btt_get_info(volume->btt, &info);
	volume->data_size = info.sector_size;
	volume->meta_size = with_meta ? info.meta_size : 0;
	*ret_geometry = (struct stamp_geometry){
		.sector_size = volume->data_size + volume->meta_size,
		.nlba = info.nlba,
	};
	*ret_handle = volume;
	return 0;
}

static int volume_read(void *handle, uint64_t lba, void *buf)
{
	struct volume *volume = handle;

	return untorn_btt_read(volume->btt, lba, 1, buf, volume->meta_size ? (char *)buf + volume->data_size : NULL);
}

static int volume_write(void *handle, uint64_t lba, uint32_t n, const void *buf, bool durable)
{
	struct volume *volume = handle;
	size_t pitch = volume->data_size + volume->meta_size;
	unsigned flags = durable ? UNTORN_BTT_DURABLE : 0;
	char *data, *meta;
	int r;

	if (volume->meta_size == 0)
		return untorn_btt_write(volume->btt, lba, n, buf, NULL, flags);
	data = malloc(n * pitch);
	if (!data)
		return -ENOMEM;
	meta = data + (size_t)n * volume->data_size;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(data + (size_t)i * volume->data_size, (const char *)buf + i * pitch, volume->data_size);
		memcpy(meta + (size_t)i * volume->meta_size, (const char *)buf + i * pitch + volume->data_size,
		       volume->meta_size);
	}
	r = untorn_btt_write(volume->btt, lba, n, data, meta, flags);
	free(data);
	return r;
}

static int volume_flush(void *handle)
{
	struct volume *volume = handle;

	return untorn_btt_flush(volume->btt);
}

int main(int argc, char **argv)
{
	static const struct stamp_backend backend = {
		.name = "stamp-writer",
		.open = volume_open,
		.read = volume_read,
		.write = volume_write,
		.flush = volume_flush,
		.close = volume_close,
	};

	return stamp_main(argc, argv, &backend);
}
