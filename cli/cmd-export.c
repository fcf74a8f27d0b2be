/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn export: copy all sectors of a volume out as raw data.
 *
 * A regular destination is written under a temporary name beside it and renamed when it is complete, so that DEST is
 * never there in part and an old DEST survives a failure. Zeros become holes in it. Pipes and devices are written in
 * order.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum {
	BUFFER_SIZE = 1 << 20,
	HOLE_SIZE = 4096,
	EXTENT_SECTORS = 1 << 20, /* the map is looked at in steps of so many entries, so that progress is seen */
};

static struct {
	struct common_options common;
	bool force, ignore_errors;
} opt;

static const struct option_row options[] = {
	{"ignore-errors", NULL, &option_switch, &opt.ignore_errors,
	 "put zeros in place of sectors that cannot be read, count them, and exit\n"
	 "with 1 at the end"},
	{"force", NULL, &option_switch, &opt.force, "replace a DEST that is there and not empty"},
	COMMON_OPTIONS(&opt.common),
	{NULL},
};

struct export
{
	struct target target;
	const char *dest;
	char *final;     /* DEST behind all links, or NULL: written to directly */
	char *temporary; /* the name that is written to until then */
	int fd;
	bool is_sparse; /* zeros are skipped and become holes */
	uint64_t done;  /* bytes */
	uint64_t unreadable;
	uint8_t *buffer;
	uint64_t buffer_sectors;
	struct progress progress;
};

/* --------------------------------------------------------------- destination -------------------------------------- */

static int refuse_dest(const struct export *export, const struct stat *st)
{
	struct stat target_st;

	if (stat(export->target.path, &target_st) == 0 && st->st_dev == target_st.st_dev &&
	    st->st_ino == target_st.st_ino) {
		print_error("%s: is the volume itself", export->dest);
		return -EINVAL;
	}
	if (S_ISDIR(st->st_mode)) {
		print_error("%s: is a directory", export->dest);
		return -EISDIR;
	}
	if (S_ISREG(st->st_mode) && st->st_size > 0 && !opt.force) {
		print_error("%s: is there and not empty; --force replaces it", export->dest);
		return -EEXIST;
	}
	return 0;
}

static int print_dest_error(const struct export *export, int err)
{
	print_error("%s: cannot be written: %s", export->dest, system_strerror(err));
	return err;
}

/* A temporary file beside DEST, with the mode that DEST has or would get. */
static int create_temporary(struct export *export, const struct stat *st)
{
	mode_t mask = umask(0);
	int r;

	umask(mask);
	export->final = st ? realpath(export->dest, NULL) : strdup(export->dest);
	if (!export->final || asprintf(&export->temporary, "%s.untorn-XXXXXX", export->final) < 0) {
		export->temporary = NULL;
		return print_dest_error(export, -errno);
	}
	export->fd = mkostemp(export->temporary, O_CLOEXEC);
	if (export->fd < 0)
		return print_dest_error(export, -errno);
	r = unfinished_begin(export->temporary);
	if (r == 0 && fchmod(export->fd, st ? st->st_mode & 07777 : 0666 & ~mask) < 0)
		r = -errno;
	if (r < 0) {
		unlink(export->temporary);
		return print_dest_error(export, r);
	}
	export->is_sparse = true;
	return 0;
}

static int open_dest(struct export *export)
{
	struct stat st;
	bool exists;
	int r;

	if (strcmp(export->dest, "-") == 0) {
		export->dest = "standard output";
		export->fd = STDOUT_FILENO;
		if (isatty(export->fd)) {
			print_error("standard output is a terminal; send it into a file or a pipe");
			return -EINVAL;
		}
		return 0;
	}
	exists = stat(export->dest, &st) == 0;
	if (exists) {
		r = refuse_dest(export, &st);
		if (r < 0)
			return r;
	}
	if (!exists || S_ISREG(st.st_mode))
		return create_temporary(export, exists ? &st : NULL);
	export->fd = open(export->dest, O_WRONLY | O_CLOEXEC);
	return export->fd < 0 ? print_dest_error(export, -errno) : 0;
}

/* Complete: give it its size, make it durable and put it in place. Pipes know no sync. */
static int finish_dest(struct export *export)
{
	if (!export->temporary)
		return fsync(export->fd) < 0 && errno != EINVAL && errno != EROFS ? print_dest_error(export, -errno)
										  : 0;
	if (ftruncate(export->fd, (off_t) export->done) < 0 || fsync(export->fd) < 0)
		return print_dest_error(export, -errno);
	/* A power cut here leaves the old DEST or the complete new one. */
	if (rename(export->temporary, export->final) < 0)
		return print_dest_error(export, -errno);
	unfinished_done();
	return 0;
}

/* ------------------------------------------------------------------ output ---------------------------------------- */

static int write_all(struct export *export, const uint8_t *data, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n =
			export->is_sparse ? pwrite(export->fd, data, len, (off_t)off) : write(export->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return print_dest_error(export, -errno);
		data += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* Append len bytes of data, leaving zeros out where that makes a hole. */
static int put_data(struct export *export, const uint8_t *data, size_t len)
{
	size_t run;
	int r = 0;

	for (; len > 0 && r == 0; data += run, len -= run) {
		bool zero = false;

		run = export->is_sparse ? sparse_run(data, len, HOLE_SIZE, &zero) : len;
		if (!zero)
			r = write_all(export, data, run, export->done);
		export->done += run;
	}
	return r;
}

static int put_zeros(struct export *export, uint64_t len)
{
	uint64_t size = export->buffer_sectors * export->target.info.sector_size;
	int r = 0;

	if (export->is_sparse) {
		export->done += len;
		return 0;
	}
	memset(export->buffer, 0, size);
	while (len > 0 && r == 0) {
		uint64_t n = len < size ? len : size;

		r = write_all(export, export->buffer, n, export->done);
		export->done += n;
		len -= n;
		progress_update(&export->progress, export->done);
	}
	return r;
}

/* ------------------------------------------------------------------ volume ---------------------------------------- */

static int print_read_error(const struct export *export, uint64_t lba, int err)
{
	struct untorn_btt_mapping mapping;

	if (err == -EIO && untorn_btt_lookup(export->target.btt, lba, &mapping) == 0 &&
	    mapping.state == UNTORN_BTT_ERROR)
		print_error("%s: lba %" PRIu64 " is in error state; --ignore-errors exports zeros in its place",
			    export->target.name, lba);
	else
		print_error("%s: lba %" PRIu64 " cannot be read: %s; --ignore-errors exports zeros in its place",
			    export->target.name, lba, untorn_strerror(err));
	return err;
}

/* Read n sectors into the buffer. After a failure sector by sector, to find the one that is to blame. */
static int read_sectors(struct export *export, uint64_t lba, uint64_t n)
{
	uint32_t sector_size = export->target.info.sector_size;
	int r;

	if (untorn_btt_read(export->target.btt, lba, n, export->buffer, NULL) == 0)
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		uint8_t *sector = export->buffer + i * sector_size;

		r = untorn_btt_read(export->target.btt, lba + i, 1, sector, NULL);
		if (r < 0 && !opt.ignore_errors)
			return print_read_error(export, lba + i, r);
		if (r < 0) {
			memset(sector, 0, sector_size);
			export->unreadable++;
		}
	}
	return 0;
}

static int copy(struct export *export)
{
	const struct untorn_btt_info *info = &export->target.info;
	uint64_t n;
	int zero, r;

	for (uint64_t lba = 0; lba < info->nlba; lba += n) {
		uint64_t most = info->nlba - lba < EXTENT_SECTORS ? info->nlba - lba : EXTENT_SECTORS;

		progress_update(&export->progress, export->done);
		r = untorn_btt_extent(export->target.btt, lba, most, &n, &zero);
		/* Unreadable map: read it sector by sector, to name the first one or to go around it. */
		if (r < 0) {
			n = most;
			zero = 0;
		}
		if (zero) {
			r = put_zeros(export, n * info->sector_size);
		} else {
			if (n > export->buffer_sectors)
				n = export->buffer_sectors;
			r = read_sectors(export, lba, n);
			if (r == 0)
				r = put_data(export, export->buffer, n * info->sector_size);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* ------------------------------------------------------------------- run ------------------------------------------ */

static int export_volume(struct export *export)
{
	const struct untorn_btt_info *info = &export->target.info;
	int r;

	export->buffer_sectors = info->sector_size < BUFFER_SIZE ? BUFFER_SIZE / info->sector_size : 1;
	export->buffer = malloc(export->buffer_sectors * info->sector_size);
	if (!export->buffer) {
		print_error("%s", untorn_strerror(ENOMEM));
		return -ENOMEM;
	}
	progress_begin(&export->progress, "exporting", info->size, true);
	r = copy(export);
	progress_end(&export->progress);
	free(export->buffer);
	return r < 0 ? r : finish_dest(export);
}

static int run(const struct command *command, int nargs, char **args)
{
	struct export export = {.target.path = args[0], .dest = args[1], .fd = -1};
	int r;

	(void)command;
	(void)nargs;
	r = target_open(&export.target, args[0], &opt.common, true);
	if (r < 0)
		return CLI_FAILED;
	r = open_dest(&export);
	if (r == 0)
		r = export_volume(&export);
	unfinished_remove();
	if (export.fd > STDERR_FILENO && close(export.fd) < 0 && r == 0)
		r = print_dest_error(&export, -errno);
	free(export.temporary);
	free(export.final);
	cleanup_target(&export.target);
	if (r == 0 && export.unreadable) {
		print_error("%s: %" PRIu64 " sector%s could not be read and %s zeros in %s", args[0], export.unreadable,
			    export.unreadable == 1 ? "" : "s", export.unreadable == 1 ? "is" : "are", export.dest);
		return CLI_FAILED;
	}
	return r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "TARGET DEST|- [--ignore-errors] [--force]",
	.summary = "copy the data of a volume out as raw data",
	.description =
		"Copy all sectors of the volume in TARGET to DEST (- is standard output), without their metadata.\n"
		"Sectors that read as zeros become holes in a regular file. A sector that cannot be read ends the\n"
		"export, and DEST is not made. TARGET does not change.\n",
	.options = options,
	.examples = "  untorn export vol.img disk.raw\n"
		    "  untorn export vol.img - | sha256sum\n",
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
