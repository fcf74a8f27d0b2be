/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What hardware there is, and its memory: the description that a bus is built from, and ranges of it as media.
 *
 * Whoever fills a platform validates it: sizes, overlaps, references. What is in these structs can be trusted.
 */
#ifndef DEVICE_PLATFORM_H
#define DEVICE_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <untorn/device.h>

#define PLATFORM_MAPPINGS_MAX 32u

/* What NFIT says about a dimm. Defaults are those of QEMU for the slot (SPEC 10). */
struct platform_identity {
	uint32_t handle;  /* slot + 1 */
	uint16_t phys_id; /* slot */
	uint32_t serial;  /* 0x123456 + slot */
	uint16_t vendor, device, revision;
	uint16_t subsystem_vendor, subsystem_device, subsystem_revision;
	uint16_t format; /* format interface code */
	uint16_t date;   /* of manufacturing, as raw little-endian bytes read */
	uint8_t location;
	bool has_manufacturing; /* location and date are valid: part of the unique id */
};

struct platform_dimm {
	char *path;          /* file; NULL: media is the caller's */
	bool has_size;       /* size is given, else it is the file's */
	bool has_label_size; /* label_size is given, else found by its index blocks */
	uint64_t size;       /* bytes of the file or medium that are used, labels included */
	uint64_t label_size; /* bytes at the end of size */
	uint64_t pmem_size;  /* DPA: bytes [0, pmem_size) of the medium; a multiple of 4096 */
	bool unarmed;        /* its regions start read-only */
	bool locked;         /* security: label data and namespaces are refused with EACCES */
	struct platform_identity id;
	struct untorn_media *media; /* after platform_open() */
};

struct platform_mapping {
	unsigned dimm;          /* index */
	uint64_t start, size;   /* DPA, bytes; multiples of 4096 */
	uint64_t region_offset; /* of NFIT, for the cookie; 0 by default */
};

struct platform_region {
	enum untorn_region_kind kind;
	struct platform_mapping mappings[PLATFORM_MAPPINGS_MAX]; /* all of the same size; none for volatile regions */
	unsigned nmapping;
	uint64_t interleave; /* bytes that lie on one dimm before the next follows; a power of two of at least 4096 */
	uint64_t size;       /* bytes of the whole region */
	uint64_t resource;   /* physical start, for show */
	int numa_node, target_node;
	bool read_only;
	bool has_iset;              /* pmem over dimms: it has a cookie */
	char *path;                 /* volatile: a file that backs it, or NULL: anonymous memory */
	struct untorn_media *media; /* volatile, after platform_open() */
};

struct untorn_platform {
	struct platform_dimm *dimms;
	unsigned ndimm;
	struct platform_region *regions; /* none given: one pmem region for each dimm, over all of it */
	unsigned nregion;
	char *provider; /* attribute of the bus: "ACPI.NFIT" */
	char error[512];
	bool is_open;
};

/*
 * Open or make all files, find sizes and label areas, fill in defaults (identities, regions), and check what could not be
 * checked before. flags: UNTORN_BUS_READ_ONLY, UNTORN_BUS_CREATE. On failure everything is closed and error is set.
 */
int platform_open(struct untorn_platform *platform, unsigned flags);

/* Close what platform_open() opened. All media that were made from it must be closed. */
void platform_close(struct untorn_platform *platform);

/*
 * Bytes [off, off + len) of a pmem or volatile region, in the order of system physical addresses, as a medium. off and len
 * are multiples of 4096 (of nmapping * 4096 where nmapping > 1). -ERANGE, -EINVAL, -EOPNOTSUPP (cannot be stitched), -ENOMEM.
 */
int platform_region_media(struct untorn_platform *platform, unsigned region, uint64_t off, uint64_t len,
			  struct untorn_media **ret_media);

/* Pieces of one dimm (DPA), one after the other, as a medium. As above. */
struct platform_extent {
	uint64_t dpa, size;
};
int platform_extents_media(struct untorn_platform *platform, unsigned dimm, const struct platform_extent *extents,
			   size_t n, struct untorn_media **ret_media);

#endif
