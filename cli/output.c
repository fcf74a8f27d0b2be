/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output that goes to standard output or to a file, and counts only when it arrived.
 */
#include "cli.h"

int output_open(const char *path, FILE **ret_out)
{
	FILE *out = path ? fopen(path, "we") : stdout;
	int r = out ? 0 : -errno;

	if (r < 0) {
		print_error("%s: cannot be created: %s", path, system_strerror(r));
		return r;
	}
	*ret_out = out;
	return 0;
}

int output_close(const char *path, FILE *out)
{
	bool failed = fflush(out) != 0 || ferror(out);

	if (path)
		failed |= fclose(out) != 0;
	if (failed)
		print_error("%s: cannot be written: %s", path ? path : "standard output", system_strerror(errno));
	return failed ? -EIO : 0;
}
