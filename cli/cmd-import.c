/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn import: copy raw data into a volume, from lba 0 on.
 *
 * The source is read as a row of extents: data, and zeros (holes of a file, and buffers that turn out to be all
 * zeros). Data is written buffered, zeros become the zero state of map entries, and one flush at the end makes the
 * whole durable. A power cut before that leaves each sector either old or new.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum {
	BUFFER_SIZE = 1 << 20,
	PIECE_SIZE = 4096, /* zeros are looked for in pieces of this size or a sector, whatever is more */
	FEW_ZEROS =
		64 *
		1024, /* up to here zeros are written as data, which is buffered; write_zeroes is durable each time */
};

static struct {
	struct common_options common;
} opt;

static const struct option_row options[] = {
	COMMON_OPTIONS(&opt.common),
	{NULL},
};

struct import {
	struct target target;
	const char *source; /* name in sentences */
	int fd;
	bool is_seekable;
	uint64_t start; /* seekable: file offset of the first byte to import */
	uint64_t size;  /* seekable: bytes to import */
	uint64_t done;  /* bytes of the source that are dealt with, data and zeros */
	uint64_t zeros; /* the last so many of them are zeros that are not written yet */
	uint8_t *buffer;
	size_t buffer_size; /* whole sectors */
	struct progress progress;
};

/* ------------------------------------------------------------------ source ---------------------------------------- */

/* A source that cannot be sought in is read to its end. */
static int open_source(struct import *import)
{
	struct stat st, target_st;
	off_t start, end;
	int r;

	if (strcmp(import->source, "-") == 0) {
		import->source = "standard input";
		import->fd = STDIN_FILENO;
	} else {
		import->fd = open(import->source, O_RDONLY | O_CLOEXEC);
	}
	if (import->fd < 0 || fstat(import->fd, &st) < 0) {
		r = -errno;
		print_error("%s: cannot be read: %s", import->source, system_strerror(r));
		return r;
	}
	if (S_ISDIR(st.st_mode)) {
		print_error("%s: is a directory", import->source);
		return -EISDIR;
	}
	if (stat(import->target.path, &target_st) == 0 && st.st_dev == target_st.st_dev &&
	    st.st_ino == target_st.st_ino) {
		print_error("%s: is the target itself", import->source);
		return -EINVAL;
	}
	start = lseek(import->fd, 0, SEEK_CUR);
	end = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? lseek(import->fd, 0, SEEK_END) : -1;
	import->is_seekable = start >= 0 && end >= 0;
	if (import->is_seekable) {
		import->start = (uint64_t)start;
		import->size = end > start ? (uint64_t)(end - start) : 0;
	}
	return 0;
}

/* How many bytes from done on lie in a hole. */
static uint64_t hole_length(const struct import *import)
{
	uint64_t left = import->size - import->done, hole;
	off_t data;

	data = lseek(import->fd, (off_t)(import->start + import->done), SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? left : 0;
	hole = (uint64_t)data - import->start - import->done;
	return hole < left ? hole : left;
}

/* Fill the buffer from the source. Returns bytes, fewer than buffer_size only at the end, or a negative errno. */
static ssize_t fill(struct import *import)
{
	size_t len = 0;

	while (len < import->buffer_size) {
		ssize_t n;

		if (import->is_seekable)
			n = pread(import->fd, import->buffer + len, import->buffer_size - len,
				  (off_t)(import->start + import->done + len));
		else
			n = read(import->fd, import->buffer + len, import->buffer_size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			print_error("%s: cannot be read at byte %" PRIu64 ": %s", import->source, import->done + len,
				    system_strerror((int)n));
			return n;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* ------------------------------------------------------------------ volume ---------------------------------------- */

static int print_write_error(const struct import *import, int err)
{
	print_error("%s: writing failed at or before lba %" PRIu64 ": %s", import->target.name,
		    import->done / import->target.info.sector_size, target_strerror(err));
	return err;
}

/* Make n sectors read as zeros that do not yet. */
static int write_zero_sectors(struct import *import, uint64_t lba, uint64_t n)
{
	static const uint8_t zeros[FEW_ZEROS];

	if (n > FEW_ZEROS / import->target.info.sector_size)
		return untorn_btt_write_zeroes(import->target.btt, lba, n);
	return untorn_btt_write(import->target.btt, lba, n, zeros, NULL, 0);
}

/* Write the zeros that were put off, but leave sectors alone that read as zeros already: they may be holes, too. */
static int write_zeros(struct import *import)
{
	uint64_t sector_size = import->target.info.sector_size;
	uint64_t lba = (import->done - import->zeros) / sector_size;
	uint64_t end = (import->done + sector_size - 1) / sector_size;
	uint64_t n;
	int is_zero, r;

	if (!import->zeros)
		return 0;
	for (; lba < end; lba += n) {
		r = untorn_btt_extent(import->target.btt, lba, end - lba, &n, &is_zero);
		if (r == 0 && !is_zero)
			r = write_zero_sectors(import, lba, n);
		if (r < 0)
			return print_write_error(import, r);
	}
	import->zeros = 0;
	return 0;
}

static int write_data(struct import *import, const uint8_t *data, size_t n)
{
	int r;

	r = write_zeros(import);
	if (r < 0)
		return r;
	r = untorn_btt_write(import->target.btt, import->done / import->target.info.sector_size, n, data, NULL, 0);
	return r < 0 ? print_write_error(import, r) : 0;
}

/* Take the next len bytes from the buffer. A last sector that the source ends within is filled up with zeros. */
static int take(struct import *import, size_t len)
{
	size_t sector_size = import->target.info.sector_size;
	size_t piece = sector_size < PIECE_SIZE ? PIECE_SIZE / sector_size * sector_size : sector_size;
	size_t run, n;
	bool is_zero;
	int r;

	memset(import->buffer + len, 0, (sector_size - len % sector_size) % sector_size);
	for (size_t at = 0; at < len; at += run) {
		run = sparse_run(import->buffer + at, len - at, piece, &is_zero);
		n = (run + sector_size - 1) / sector_size;
		if (is_zero) {
			import->zeros += run;
		} else {
			r = write_data(import, import->buffer + at, n);
			if (r < 0)
				return r;
		}
		import->done += run;
	}
	return 0;
}

static int flush(struct import *import)
{
	int r = untorn_btt_flush(import->target.btt);

	return r < 0 ? print_write_error(import, r) : 0;
}

/* More came out of the pipe than the volume holds. What fitted is kept, and made durable. */
static int refuse_rest(struct import *import)
{
	if (write_zeros(import) == 0 && flush(import) == 0)
		print_error("%s: does not fit into %s; its first %" PRIu64 " bytes were written, the volume is full",
			    import->source, import->target.name, import->done);
	return -EFBIG;
}

static int copy(struct import *import)
{
	uint64_t sector_size = import->target.info.sector_size, room, hole;
	ssize_t len;
	int r = 0;

	while (r == 0) {
		progress_update(&import->progress, import->done);
		if (import->is_seekable && import->done == import->size)
			break;
		/* Holes count in whole sectors, so that data always starts on a sector. */
		hole = import->is_seekable ? hole_length(import) : 0;
		if (import->done + hole < import->size)
			hole -= hole % sector_size;
		if (hole > 0) {
			import->done += hole;
			import->zeros += hole;
			continue;
		}
		len = fill(import);
		if (len <= 0) {
			r = (int)len;
			break;
		}
		room = import->target.info.size - import->done;
		if ((uint64_t)len > room) {
			r = take(import, room);
			return r < 0 ? r : refuse_rest(import);
		}
		r = take(import, (size_t)len);
		if ((size_t)len < import->buffer_size)
			break;
	}
	if (r == 0)
		r = write_zeros(import);
	return r < 0 ? r : flush(import);
}

/* -------------------------------------------------------------------- run ----------------------------------------- */

static int import_source(struct import *import)
{
	const struct untorn_btt_info *info = &import->target.info;
	int r;

	if (import->is_seekable && import->size > info->size) {
		print_error("%s: %" PRIu64 " bytes do not fit into %s, which holds %" PRIu64, import->source,
			    import->size, import->target.name, info->size);
		return -EFBIG;
	}
	import->buffer_size = (BUFFER_SIZE / info->sector_size) * info->sector_size;
	import->buffer = malloc(import->buffer_size);
	if (!import->buffer) {
		print_error("%s", untorn_strerror(ENOMEM));
		return -ENOMEM;
	}
	progress_begin(&import->progress, "importing", import->size, true);
	r = copy(import);
	progress_end(&import->progress);
	free(import->buffer);
	return r;
}

static int run(const struct command *command, int nargs, char **args)
{
	struct import import = {.target.path = args[0], .source = args[1], .fd = -1};
	int r;

	(void)command;
	(void)nargs;
	r = open_source(&import);
	if (r == 0)
		r = target_open(&import.target, args[0], &opt.common, false);
	if (r == 0) {
		int closed;

		r = import_source(&import);
		closed = target_close(&import.target);
		if (r == 0)
			r = closed;
	}
	if (import.fd > STDERR_FILENO)
		close(import.fd);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command cmd_import = {
	.name = "import",
	.synopsis = "TARGET SOURCE|-",
	.summary = "copy raw data into a volume",
	.description =
		"Copy the bytes of SOURCE (- is standard input) into the sectors of the volume in TARGET, from lba 0\n"
		"on. Holes of SOURCE become sectors that read as zeros and take no space. A last sector that SOURCE\n"
		"fills only in part is filled up with zeros; sectors behind it keep their content. A SOURCE that is\n"
		"larger than the volume is refused.\n",
	.options = options,
	.examples = "  untorn import vol.img disk.raw\n"
		    "  zstdcat disk.raw.zst | untorn import vol.img -\n",
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
