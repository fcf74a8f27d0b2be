/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Content that is not ours: libblkid knows file systems, partition tables, RAID and encryption.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"

/* Signatures of file systems, partition tables and the like are all this close to an end of the device. */
#define PROBE_SPAN (4ull << 20)

/* Holes stay holes: on tmpfs, looking into one takes memory for it. */
static int copy_span(struct untorn_media *media, int fd, uint64_t off, uint64_t len)
{
	_cleanup_free_ uint8_t *bytes = malloc(len);
	uint64_t end = off + len, run_end;
	int r = bytes ? 0 : -ENOMEM;

	while (r == 0 && off < end) {
		r = untorn_media_next_data(media, off, &off, &run_end);
		if (r < 0 || off >= end)
			break;
		len = (run_end < end ? run_end : end) - off;
		r = untorn_media_read(media, off, bytes, len);
		if (r == 0 && pwrite(fd, bytes, len, (off_t)off) != (ssize_t)len)
			r = -EIO;
		off += len;
	}
	return r;
}

int copy_ends(struct untorn_media *media, int *ret_fd)
{
	uint64_t size = untorn_media_size(media), span = size < PROBE_SPAN ? size : PROBE_SPAN;
	_cleanup_close_ int fd = memfd_create("untorn-probe", MFD_CLOEXEC);
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	r = copy_span(media, fd, 0, span);
	if (r == 0)
		r = copy_span(media, fd, size - span, span);
	if (r < 0)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* What the probe found, in words. */
static void name_content(blkid_probe probe, struct content_text *ret_content)
{
	const char *type = NULL, *table = "unknown";

	blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
	blkid_probe_lookup_value(probe, "PTTYPE", &table, NULL);
	if (type)
		snprintf(ret_content->text, sizeof(ret_content->text), "%s", type);
	else
		snprintf(ret_content->text, sizeof(ret_content->text), "%s partition table", table);
}

int find_content(int fd, struct content_text *ret_content)
{
	struct content_text content = {""};
	blkid_probe probe = blkid_new_probe();
	int r;

	if (!probe)
		return -ENOMEM;
	if (blkid_probe_set_device(probe, fd, 0, 0) < 0) {
		r = -errno;
		blkid_free_probe(probe);
		return r;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
	blkid_probe_enable_partitions(probe, 1);
	r = blkid_do_safeprobe(probe); /* 0: one kind, 1: nothing, -2: several kinds that contradict each other */
	if (r == 0)
		name_content(probe, &content);
	else if (r == -2)
		strcpy(content.text, "several kinds");
	blkid_free_probe(probe);
	if (r == -1)
		return -EIO;
	*ret_content = content;
	return 0;
}
