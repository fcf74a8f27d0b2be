/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an errno means when Untorn returns it.
 *
 * Every function of the library that can fail returns 0 (or a count) on success and a negative errno on failure;
 * results leave through ret_ parameters, which are written only on success. The library prints nothing.
 */
#ifndef UNTORN_ERROR_H
#define UNTORN_ERROR_H

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * | errno       | meaning to a caller                                                                                 |
 * |-------------|-----------------------------------------------------------------------------------------------------|
 * | EINVAL      | an argument is malformed: alignment, an unsupported sector size, a null pointer                      |
 * | ERANGE      | a sector or byte range ends beyond the volume                                                        |
 * | ENXIO       | no BTT here (nothing recognisable, or a container too small for one)                                 |
 * | EUCLEAN     | a BTT is here, but damaged: nothing was changed; `untorn check` lists the findings                   |
 * | ENOTUNIQ    | two layouts are valid at once; the caller must name the one that is meant                            |
 * | EOPNOTSUPP  | a version or feature this library does not know                                                      |
 * | EEXIST      | format: the container holds something recognisable, and force was not given                          |
 * | EBUSY       | another process holds the file; see untorn_media_holder()                                            |
 * | EROFS       | a write on something opened read-only                                                                |
 * | EIO         | a sector in error state, an arena in error state, a faulting load or store, or a failed data sync    |
 * | ENOSPC      | a store into a hole of a sparse file on a full file system                                           |
 * | EFBIG       | data does not fit into the volume                                                                    |
 * | ENOMEM      | no memory                                                                                            |
 */

/*
 * The sentence for an errno of this library, for a person: "no BTT found", "damaged BTT", ...
 * err may be negative or positive. Returns a constant string; never NULL. Thread-safe.
 */
const char *untorn_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif
