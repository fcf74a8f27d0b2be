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
 * | EINVAL      | an argument is malformed: alignment, an unsupported sector size, a null pointer, the wrong device   |
 * | ERANGE      | a sector or byte range ends beyond the volume; a number overflows                                   |
 * | ENXIO       | no BTT here (nothing recognisable, or a container too small for one); no label index; a device      |
 * |             | that is not enabled or lacks what it needs                                                          |
 * | EUCLEAN     | a BTT or labels are here, but damaged: nothing was changed; `untorn check` lists the findings       |
 * | ENOTUNIQ    | two layouts are valid at once, or two namespaces have that name; the caller must name one           |
 * | EOPNOTSUPP  | a version or feature this library does not know; memory in pieces that cannot be joined             |
 * | EEXIST      | format, init: something recognisable is there, and force was not given                              |
 * | EBUSY       | another process holds the file, see untorn_media_holder(); a device is bound, claimed or active     |
 * | ENODEV      | no such device; it is unregistered; it is not complete enough to be enabled                         |
 * | ENOENT      | no such attribute; nothing further                                                                  |
 * | EACCES      | the file's or attribute's mode forbids it; a locked dimm                                            |
 * | EFAULT      | byte access beyond a namespace                                                                      |
 * | EROFS       | a write on something opened read-only                                                               |
 * | EIO         | a sector in error state, an arena in error state, a faulting load or store, or a failed data sync   |
 * | ENOSPC      | a store into a hole of a sparse file on a full file system; no free DPA or label slot               |
 * | EFBIG       | data does not fit into the volume                                                                   |
 * | ENOMEM      | no memory; binding a btt: its metadata is damaged                                                   |
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
