/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <untorn/error.h>

const char *untorn_strerror(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return "success";
	case EINVAL:
		return "invalid argument";
	case ERANGE:
		return "beyond the end of the volume";
	case ENXIO:
		return "no BTT found";
	case EUCLEAN:
		return "the BTT is damaged";
	case ENOTUNIQ:
		return "two layouts are valid at once";
	case EOPNOTSUPP:
		return "a version or feature that is not supported";
	case EEXIST:
		return "it holds something already";
	case EBUSY:
		return "in use by another process";
	case EROFS:
		return "opened read-only";
	case EIO:
		return "input/output error";
	case ENOSPC:
		return "no space left on the file system";
	case EFBIG:
		return "the data does not fit into the volume";
	case ENOMEM:
		return "out of memory";
	default: {
		const char *text = strerrordesc_np(err < 0 ? -err : err);

		return text ? text : "unknown error";
	}
	}
}
