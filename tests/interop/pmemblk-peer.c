/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemblk-peer: PMDK's libpmemblk on a pool. It makes pools for us to read, reads ours, and writes stamped blocks until killed.
 *
 *	pmemblk-peer create POOL SIZE BSIZE    a new pool, never written
 *	pmemblk-peer info POOL                 "BSIZE NBLOCK"
 *	pmemblk-peer import POOL               standard input into the blocks from 0 on; a last part is filled up with zeros
 *	pmemblk-peer export POOL               all blocks to standard output; one in error state as zeros, and its number to
 *	                                       standard error
 *	pmemblk-peer zero POOL BLOCK...        pmemblk_set_zero
 *	pmemblk-peer error POOL BLOCK...       pmemblk_set_error
 *	pmemblk-peer write|verify POOL ...     stamped blocks, see stamp.h
 *
 * PMEM_IS_PMEM_FORCE=1 in the environment makes libpmemblk flush cache lines instead of calling msync: a killed process
 * loses nothing either way.
 */
#include "stamp.h"

#include <errno.h>
#include <libpmemblk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- stamped blocks */

static int pool_open(const char *target, const char *const *options, bool writable, struct stamp_geometry *ret_geometry,
		     void **ret_handle)
{
	PMEMblkpool *pool = pmemblk_open(target, 0);

	(void)options;
	(void)writable;
	if (!pool)
		return -errno;
	*ret_geometry = (struct stamp_geometry){
		.sector_size = (uint32_t)pmemblk_bsize(pool),
		.nlba = pmemblk_nblock(pool),
	};
	*ret_handle = pool;
	return 0;
}

static int pool_read(void *handle, uint64_t lba, void *buf)
{
	return pmemblk_read(handle, buf, (long long)lba) < 0 ? -errno : 0;
}

static int pool_write(void *handle, uint64_t lba, uint32_t n, const void *buf, bool durable)
{
	size_t size = pmemblk_bsize(handle);

	(void)durable; /* always */
	for (uint32_t i = 0; i < n; i++)
		if (pmemblk_write(handle, (const char *)buf + i * size, (long long)(lba + i)) < 0)
			return -errno;
	return 0;
}

static int pool_flush(void *handle)
{
	(void)handle;
	return 0;
}

static int pool_close(void *handle)
{
	pmemblk_close(handle);
	return 0;
}

static const struct stamp_backend backend = {
	.name = "pmemblk-peer",
	.open = pool_open,
	.read = pool_read,
	.write = pool_write,
	.flush = pool_flush,
	.close = pool_close,
};

/* ---------------------------------------------------------------- whole pools */

static int import(PMEMblkpool *pool)
{
	size_t size = pmemblk_bsize(pool), n;
	unsigned char *buf = malloc(size);
	int r = buf ? 0 : -1;

	for (long long block = 0; r == 0; block++) {
		n = fread(buf, 1, size, stdin);
		if (n == 0)
			break;
		memset(buf + n, 0, size - n);
		r = pmemblk_write(pool, buf, block);
	}
	free(buf);
	return r == 0 && ferror(stdin) ? -1 : r;
}

static int export(PMEMblkpool *pool)
{
	size_t size = pmemblk_bsize(pool), nblock = pmemblk_nblock(pool);
	unsigned char *buf = malloc(size);
	int r = buf ? 0 : -1;

	for (size_t block = 0; r == 0 && block < nblock; block++) {
		if (pmemblk_read(pool, buf, (long long)block) < 0) {
			if (errno != EIO)
				r = -1;
			memset(buf, 0, size);
			fprintf(stderr, "%zu\n", block);
		}
		if (r == 0 && fwrite(buf, size, 1, stdout) != 1)
			r = -1;
	}
	free(buf);
	return fflush(stdout) ? -1 : r;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: pmemblk-peer create|info|import|export|zero|error|write|verify POOL ... (see the source)\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *command = argc > 2 ? argv[1] : "";
	PMEMblkpool *pool;
	int r = 0;

	if (!strcmp(command, "write") || !strcmp(command, "verify"))
		return stamp_main(argc, argv, &backend);
	if (!strcmp(command, "create") && argc == 5)
		pool = pmemblk_create(argv[2], strtoull(argv[4], NULL, 0), strtoull(argv[3], NULL, 0), 0644);
	else if (((!strcmp(command, "info") || !strcmp(command, "import") || !strcmp(command, "export")) &&
		  argc == 3) ||
		 ((!strcmp(command, "zero") || !strcmp(command, "error")) && argc > 3))
		pool = pmemblk_open(argv[2], 0);
	else
		return usage();
	if (!pool) {
		fprintf(stderr, "pmemblk-peer: %s: %s\n", argv[2], pmemblk_errormsg());
		return 1;
	}
	if (!strcmp(command, "info"))
		printf("%zu %zu\n", pmemblk_bsize(pool), pmemblk_nblock(pool));
	else if (!strcmp(command, "import"))
		r = import(pool);
	else if (!strcmp(command, "export"))
		r = export(pool);
	for (int i = 3; r == 0 && i < argc && strcmp(command, "create") != 0; i++) {
		long long block = strtoll(argv[i], NULL, 0);

		r = !strcmp(command, "zero") ? pmemblk_set_zero(pool, block) : pmemblk_set_error(pool, block);
	}
	if (r < 0)
		fprintf(stderr, "pmemblk-peer: %s %s: %s\n", command, argv[2], strerror(errno));
	pmemblk_close(pool);
	return r < 0;
}
