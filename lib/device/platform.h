/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What hardware there is, and its memory: the description that a bus is built from, and ranges of it as media.
 *
 * Whoever fills a platform validates it: sizes, overlaps, references. What is in these structs can be trusted.
 *
 *	platform.c         what all share: making, errors, QEMU's words, opening and closing
 *	platform-file.c    platform files, JSON
 *	platform-open.c    the files behind dimms and volatile regions
 *	platform-region.c  defaults and checks of regions, once the sizes of dimms are known
 *	platform-media.c   ranges of regions and dimms as media
 *
 * Fields with a has_ field beside them are given when that is true, else found anew by each platform_open().
 */
#ifndef DEVICE_PLATFORM_H
#define DEVICE_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <untorn/device.h>

#define PLATFORM_MAPPINGS_MAX 32u
#define PLATFORM_ITEMS_MAX    1024u /* dimms, regions */
/* Lines of interleaved regions that are mapped at most: the system maps 65530 pieces for a process by default. */
#define PLATFORM_LINES_MAX 32768u

/* What NFIT says about a dimm. Defaults are those of QEMU for the slot (SPEC 10). */
struct platform_identity {
	uint32_t handle;  /* slot + 1 */
	uint16_t phys_id; /* QEMU: 0 for all */
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
	bool created;        /* platform_open() made the file */
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
	bool has_size;          /* size is given, else it is what the dimm has */
	uint64_t region_offset; /* of NFIT, for the cookie; 0 by default */
};

struct platform_region {
	enum untorn_region_kind kind;
	struct platform_mapping mappings[PLATFORM_MAPPINGS_MAX]; /* all of the same size; none for volatile regions */
	unsigned nmapping;
	uint64_t interleave; /* bytes that lie on one dimm before the next follows; a power of two of at least 4096 */
	bool has_size, has_resource;
	uint64_t size;     /* bytes of the whole region */
	uint64_t resource; /* physical start, for show; 0: blk */
	int numa_node, target_node;
	bool always_read_only;      /* read_only is given as true */
	bool read_only;             /* it is, or a dimm is unarmed, or the bus is opened so */
	bool has_iset;              /* pmem over dimms: it has a cookie */
	char *path;                 /* volatile: a file that backs it, or NULL: anonymous memory */
	bool created;               /* as of dimms */
	struct untorn_media *media; /* after platform_open(): all of it; NULL for blk, and when it cannot be stitched */
};

struct untorn_platform {
	struct platform_dimm *dimms;
	unsigned ndimm;
	struct platform_region *regions; /* a dimm that comes without any gets a pmem region over all of it */
	unsigned nregion;
	char *provider; /* attribute of the bus: "ACPI.NFIT" */
	char error[512];
	bool is_open;
};

/* Set the error sentence; returns err. */
int platform_fail(struct untorn_platform *platform, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int platform_fail_memory(struct untorn_platform *platform); /* -ENOMEM */

/* A size as text: decimal or 0x hexadecimal, with K, M, G, T, P or E, also as KiB. -EINVAL, also above 2^63 - 1. */
int platform_parse_size(const char *text, uint64_t *ret_size);

/* QEMU's identity of the dimm in a slot. */
struct platform_identity platform_qemu_identity(unsigned slot);

/* Check what is known of the sizes of a dimm; what begins the sentence. */
int platform_check_dimm(struct untorn_platform *platform, const char *what, const struct platform_dimm *dimm);

/* Append a copy, which owns its path from then on. -EINVAL: too many of them; -ENOMEM. */
int platform_add_dimm(struct untorn_platform *platform, const struct platform_dimm *dimm);
int platform_add_region(struct untorn_platform *platform, const struct platform_region *region);
/* A region as it is when nothing is said about it. */
struct platform_region platform_default_region(enum untorn_region_kind kind);
/* A pmem region over all of that dimm. */
int platform_add_whole_region(struct untorn_platform *platform, unsigned dimm);
/* Forget those behind the first ones. */
void platform_truncate(struct untorn_platform *platform, unsigned ndimm, unsigned nregion);

/* The steps of platform_open(), each with an error sentence. What they opened is closed by platform_close(). */
int platform_open_dimm(struct untorn_platform *platform, unsigned index, unsigned flags);
int platform_open_volatile(struct untorn_platform *platform, struct platform_region *region, unsigned flags);
int platform_resolve_regions(struct untorn_platform *platform, unsigned flags);
int platform_stitch_region(struct untorn_platform *platform, unsigned index);

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
