/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVDIMM devices: a bus with its dimms, regions, namespaces and btts, as the Linux kernel models them.
 *
 *	struct untorn_platform      what hardware there is: files and how they are interleaved
 *	struct untorn_bus           the devices that come up on it
 *	  bus        ndbus0
 *	    dimm       nmem0          has a label area
 *	    region     region0        pmem, volatile or blk: a range over one or more dimms
 *	      namespace  namespace0.0   a range of the region; bound: raw disk pmem0
 *	      btt        btt0.0         claims a namespace; bound: disk pmem0s, whose sectors never tear
 *
 * Each device has attributes, named and formatted as in /sys/bus/nd/devices (untorn_attr_*); the typed calls do the same
 * work. Devices are bound to drivers: nvdimm (dimms), nd_region (regions), nd_pmem and nd_blk (namespaces and btts). What
 * survives closing the bus is what label areas and info blocks say.
 *
 * Devices are registered and unregistered asynchronously by one thread of the bus, which takes no signals of the program;
 * untorn_bus_wait_probe() returns when all that was queued has happened. Iterate after that.
 *
 * Everything may be called from any number of threads at once, except untorn_bus_close(). Calls on one platform, untorn_bus_open()
 * among them, come one at a time. A struct untorn_device pointer that a function returned through ret_ is a reference: end it with
 * untorn_device_put(). A device that was unregistered while referenced stays valid memory; calls on it return -ENODEV.
 *
 * Functions return 0 or a negative errno (<untorn/error.h>) unless they say otherwise. Besides those listed, every
 * call may return -ENODEV (unregistered) and -ENOMEM; a typed call on the wrong kind of device returns -EINVAL.
 * Numbers such as S39 and D20, and sections, are those of docs/DEVICES.md.
 */
#ifndef UNTORN_DEVICE_H
#define UNTORN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <untorn/btt.h>
#include <untorn/error.h>
#include <untorn/label.h>
#include <untorn/media.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ platform ---------------------------------------------- */

struct untorn_platform;

int untorn_platform_new(struct untorn_platform **ret_platform);
void untorn_platform_free(struct untorn_platform *platform); /* NULL is allowed. Not before the bus is closed */

/*
 * One NVDIMM in QEMU's words: "mem-path=FILE[,size=S][,label-size=S][,unarmed=on|off]". Slots are given in order. A comma in
 * FILE is written twice. size: default the file's; a file that does not exist is made when size is given (sparse). label-size:
 * 0, or at least 128K; default: what index blocks at the end of the file say, else 0. Sizes take K, M, G, T.
 * The identity is QEMU's for that slot, so that interleave-set cookies agree with a guest's.
 *
 * -EINVAL: malformed; untorn_platform_error() tells. Files are opened by untorn_bus_open().
 */
int untorn_platform_add_nvdimm(struct untorn_platform *platform, const char *text);

/*
 * A platform file, JSON: dimms with identities, interleave sets, blk and volatile regions. untorn-platform(5).
 * -EINVAL: malformed; untorn_platform_error() tells what and where. Errors of open(2).
 */
int untorn_platform_load(struct untorn_platform *platform, const char *path);

/*
 * One NVDIMM on a medium that the caller owns and keeps open: bytes [0, size - label_size) are pmem, the rest is the label area.
 * Both are multiples of 4096.
 */
int untorn_platform_add_media(struct untorn_platform *platform, struct untorn_media *media, uint64_t label_size);

/*
 * Remove the files that untorn_bus_open() made: for a caller whose work on them then failed. The bus is closed. A bus that does not
 * open leaves none.
 */
void untorn_platform_remove_created(struct untorn_platform *platform);

/* The sentence that explains the last failure of a function with this platform, untorn_bus_open() included. "" if none. */
const char *untorn_platform_error(const struct untorn_platform *platform);

/* --------------------------------------------------------------------- bus ------------------------------------------------ */

struct untorn_bus;
struct untorn_device;

enum {
	/* Nothing is ever written: files are shared with other readers, regions are read-only. */
	UNTORN_BUS_READ_ONLY = 1u << 0,
	/* Namespaces and btts stay unbound until somebody binds them; dimms and regions come up. */
	UNTORN_BUS_NO_AUTOPROBE = 1u << 1,
	/* Make files of the platform that do not exist and have a size. */
	UNTORN_BUS_CREATE = 1u << 2,
};

/*
 * Open the files of platform and bring up the devices. They are all there, and all probed, on return. Part of it may be refused
 * (a damaged label area): untorn_device_problem() tells; the rest comes up.
 *
 * -EBUSY: a file is in use; -ENOENT, -EACCES and the like; -EINVAL: sizes that do not fit; untorn_platform_error() tells.
 */
int untorn_bus_open(struct untorn_platform *platform, unsigned flags, struct untorn_bus **ret_bus);

/*
 * Unbind and unregister everything, make durable what is buffered, close the files. Returns the first error; the bus is closed
 * all the same. NULL is allowed. References to devices may be put later.
 */
int untorn_bus_close(struct untorn_bus *bus);

/* Wait until all queued registrations, probes and unregistrations have happened. Not from a callback of the bus. */
int untorn_bus_wait_probe(struct untorn_bus *bus);

/* The device ndbus0. */
int untorn_bus_device(struct untorn_bus *bus, struct untorn_device **ret_device);

/* ------------------------------------------------------------------- devices ---------------------------------------------- */

enum untorn_device_type {
	UNTORN_DEVICE_BUS,
	UNTORN_DEVICE_DIMM,
	UNTORN_DEVICE_REGION,
	UNTORN_DEVICE_NAMESPACE,
	UNTORN_DEVICE_BTT,
};

/* As the attributes nstype and modalias number them. */
enum untorn_nstype {
	UNTORN_NSTYPE_IO = 4,
	UNTORN_NSTYPE_PMEM = 5,
	UNTORN_NSTYPE_BLK = 6,
};

void untorn_device_put(struct untorn_device *device);                  /* NULL is allowed */
struct untorn_device *untorn_device_get(struct untorn_device *device); /* one more reference; returns device */

enum untorn_device_type untorn_device_type(const struct untorn_device *device);
const char *untorn_device_name(const struct untorn_device *device); /* "namespace0.0"; lives as long as the reference */
const char *untorn_device_devtype(const struct untorn_device *device); /* "nd_namespace_pmem"; "" for the bus */
int untorn_device_id(const struct untorn_device *device);              /* the number after the last dot or letter */
struct untorn_bus *untorn_device_bus(const struct untorn_device *device);
int untorn_device_parent(struct untorn_device *device, struct untorn_device **ret_parent); /* -ENOENT: of the bus */

/* The device of that name, anywhere on the bus, or -ENODEV. */
int untorn_bus_find(struct untorn_bus *bus, const char *name, struct untorn_device **ret_device);

/*
 * The namespace that somebody means by name: a device name, or of those that have a size the name in the label, the uuid, or the
 * uuid of the BTT on it. -ENODEV: there is none; -ENOTUNIQ: several.
 */
int untorn_bus_find_namespace(struct untorn_bus *bus, const char *name, struct untorn_device **ret_namespace);

/*
 * Iterate over the children of one type, by ascending id:
 *
 *	struct untorn_device *region = NULL;
 *	while (untorn_device_next(bus_device, UNTORN_DEVICE_REGION, &region) == 0)
 *		...
 *
 * *child is NULL at first; each call puts it and replaces it by the next one. At the end *child is NULL again and -ENOENT is
 * returned. After a break the caller puts it. Devices that come and go meanwhile are seen or not.
 */
int untorn_device_next(struct untorn_device *parent, enum untorn_device_type type, struct untorn_device **child);

/*
 * Why the device is not up, a part of it was refused or its disk is read-only: a sentence in text (size bytes, terminated).
 * -ENOENT: no problem.
 */
int untorn_device_problem(struct untorn_device *device, char *text, size_t size);

/* ------------------------------------------------------------------- drivers ---------------------------------------------- */

/* The driver that the device is bound to: "nvdimm", "nd_region", "nd_pmem", "nd_blk", "nd_bus"; NULL when it is not bound. */
const char *untorn_device_driver(struct untorn_device *device);

/* The names of the drivers, in the order of the directory; NULL behind the last. nd_bus cannot be bound by hand. */
const char *untorn_driver_name(unsigned index);

/*
 * What writing name to the files bind and unbind of a driver does. -ENODEV: no such driver or device, or it is not for this
 * driver (unbind: not bound to it); bind: -EBUSY: bound already; or the errno of the probe. Probe errnos of nd_pmem and
 * nd_blk: ENXIO (claimed; a btt was found on media and takes over), ENODEV (incomplete, too small), EBUSY (btt: its namespace is
 * bound), EACCES (locked dimm), ENOMEM (btt: metadata damaged). Sections 5 and 13.
 */
int untorn_driver_bind(struct untorn_bus *bus, const char *driver, const char *name);
int untorn_driver_unbind(struct untorn_bus *bus, const char *driver, const char *name);

/* Offer the device to all drivers: 0 also when none took it or it is bound. -ENODEV: unknown name. */
int untorn_bus_drivers_probe(struct untorn_bus *bus, const char *name);

int untorn_bus_get_autoprobe(struct untorn_bus *bus);
void untorn_bus_set_autoprobe(struct untorn_bus *bus, bool on);

/* Bind to the driver that matches, unbind from whichever it is bound to. Errnos as above; disable of an unbound one: 0. */
int untorn_device_enable(struct untorn_device *device);
int untorn_device_disable(struct untorn_device *device);

/* ------------------------------------------------------------------ attributes -------------------------------------------- */

#define UNTORN_ATTR_SIZE 4096 /* the longest text of an attribute, and what it reports as its size */

struct untorn_attr_info {
	const char *name; /* "size"; attributes in a group have a slash: "nfit/handle" */
	mode_t mode;      /* permission bits for this device */
};

/* The attributes that device shows now: from *index (0 at first) on; -ENOENT at the end. */
int untorn_attr_next(struct untorn_device *device, unsigned *index, struct untorn_attr_info *ret_info);

/* -ENOENT: this device does not show it. */
int untorn_attr_info(struct untorn_device *device, const char *name, struct untorn_attr_info *ret_info);

/*
 * Read an attribute as text: up to size bytes into text, their count in *ret_len, without a terminating NUL unless there is room.
 * -ENOENT: no such attribute; -EACCES: it cannot be read; or its errno.
 */
int untorn_attr_show(struct untorn_device *device, const char *name, char *text, size_t size, size_t *ret_len);

/*
 * Store one write of len bytes; text ends at the first NUL. All of it counts as written when 0 is returned. A length of 0 does
 * nothing. -ENOENT: no such attribute; -EACCES: it cannot be written; or its errno.
 */
int untorn_attr_store(struct untorn_device *device, const char *name, const char *text, size_t len);

/* -------------------------------------------------------------------- dimms ----------------------------------------------- */

struct untorn_dimm_info {
	bool bound, active; /* active: a bound region maps it */
	bool locked, labelling;
	uint32_t handle, phys_id, serial;
	uint16_t vendor, device, revision;
	char unique_id[32];        /* "8680-56341200" */
	uint64_t size, label_size; /* bytes */
	int available_slots;       /* free slots without the one that is kept; -1: none (not bound, no label area) */
	enum untorn_label_version label_version;
	bool unarmed;
};

int untorn_dimm_get_info(struct untorn_device *dimm, struct untorn_dimm_info *ret_info);

/*
 * The label area as bytes, and its commands. Writing is refused with -EBUSY while the dimm is active; afterwards the dimm is to be
 * disabled and enabled. -ENXIO: no label area; -ERANGE; -EROFS, -EIO; as <untorn/label.h>.
 */
int untorn_dimm_label_size(struct untorn_device *dimm, uint64_t *ret_size);
int untorn_dimm_label_read(struct untorn_device *dimm, uint64_t off, void *buf, size_t len);
int untorn_dimm_label_write(struct untorn_device *dimm, uint64_t off, const void *buf, size_t len);
int untorn_dimm_label_zero(struct untorn_device *dimm, uint64_t off, uint64_t len);
int untorn_dimm_label_init(struct untorn_device *dimm, enum untorn_label_version version, unsigned flags);
int untorn_dimm_label_check(struct untorn_device *dimm, untorn_label_finding_fn fn, void *arg);
/* Information on the area, and the label in a slot; an area of its own is opened for the call, so also for unbound dimms. */
int untorn_dimm_label_info(struct untorn_device *dimm, struct untorn_label_area_info *ret_info);
int untorn_dimm_label_get(struct untorn_device *dimm, uint32_t slot, struct untorn_label *ret_label);

/* ------------------------------------------------------------------- regions ---------------------------------------------- */

enum untorn_region_kind {
	UNTORN_REGION_PMEM,
	UNTORN_REGION_VOLATILE,
	UNTORN_REGION_BLK,
};

struct untorn_region_info {
	enum untorn_region_kind kind;
	bool bound, read_only;
	enum untorn_nstype nstype;
	unsigned nmapping;
	uint64_t size, align, resource; /* bytes; resource: the physical start, made up by the platform */
	uint64_t set_cookie;
	uint64_t available_size, max_available_extent; /* bytes; 0 where the attribute does not exist */
	int numa_node, target_node;
	int range_index;
};

int untorn_region_get_info(struct untorn_device *region, struct untorn_region_info *ret_info);

struct untorn_mapping_info {
	char dimm[32];        /* name */
	uint64_t start, size; /* DPA */
	int position;
};

int untorn_region_get_mapping(struct untorn_device *region, unsigned index,
			      struct untorn_mapping_info *ret_info); /* -ENXIO: no such */

int untorn_region_set_align(struct untorn_device *region, uint64_t align);
/*
 * Its disks follow at once, open ones too. true: what was written is durable on return. false: interrupted writes of btts that were
 * bound meanwhile are finished; one whose volume cannot be opened for writing keeps a read-only disk, and untorn_device_problem() of
 * the btt tells why; another call tries again. -EROFS: the bus is read-only.
 */
int untorn_region_set_read_only(struct untorn_device *region, bool read_only);

/* The seeds; -ENOENT: there is none. */
int untorn_region_namespace_seed(struct untorn_device *region, struct untorn_device **ret_namespace);
int untorn_region_btt_seed(struct untorn_device *region, struct untorn_device **ret_btt);

/* ------------------------------------------------------------------ namespaces -------------------------------------------- */

enum untorn_holder_class {
	UNTORN_CLASS_NONE,
	UNTORN_CLASS_BTT,
	UNTORN_CLASS_BTT2,
	UNTORN_CLASS_PFN,
	UNTORN_CLASS_DAX,
	UNTORN_CLASS_UNKNOWN,
};

struct untorn_namespace_info {
	enum untorn_nstype nstype;
	bool bound, force_raw, has_uuid;
	uint8_t uuid[16];
	char alt_name[UNTORN_LABEL_NAME_LEN]; /* at most 63 bytes, terminated */
	uint64_t size;                        /* bytes; 0: idle */
	uint64_t resource;                    /* 0 when size is 0, and for blk */
	uint64_t sector_size;                 /* logical; 0: not set (blk) */
	enum untorn_holder_class holder_class;
	unsigned dpa_extents;
	char holder[32]; /* name of the btt that claims it, or "" */
	char mode[8];    /* "raw", "safe", "memory", "dax" */
};

int untorn_namespace_get_info(struct untorn_device *ns, struct untorn_namespace_info *ret_info);

/* The device that claims it, or -ENOENT. */
int untorn_namespace_holder(struct untorn_device *ns, struct untorn_device **ret_holder);

/*
 * Stores. -EBUSY: bound or claimed (not force_raw). Labels are durable on return when uuid and size are set. Section 9:
 * uuid: -EINVAL: another device or label has it. size: -ENXIO: no uuid, dimm not bound; -EINVAL: alignment; -ENOSPC. Size 0 deletes.
 * alt_name: -EINVAL: more than 63 bytes. sector_size: -EINVAL: not in the list. Label updates: -ENXIO, -ENOSPC, -EIO, -EROFS.
 * holder_class: BTT and BTT2 are both what the version of the labels calls for; -EINVAL: UNKNOWN; -ENXIO: the dimms disagree. An io
 * namespace has no labels: it has the class until its region is unbound, and -ENXIO is returned all the same.
 * When labels cannot be written, the namespace is what it was.
 */
int untorn_namespace_set_uuid(struct untorn_device *ns, const uint8_t uuid[16]);
int untorn_namespace_set_size(struct untorn_device *ns, uint64_t size);
int untorn_namespace_set_alt_name(struct untorn_device *ns, const char *name);
int untorn_namespace_set_sector_size(struct untorn_device *ns, uint64_t sector_size);
int untorn_namespace_set_holder_class(struct untorn_device *ns, enum untorn_holder_class holder_class);
int untorn_namespace_set_force_raw(struct untorn_device *ns, bool force_raw);

/* The sector sizes that it takes: values[i] for i below *ret_n; a constant array. */
int untorn_namespace_sector_sizes(struct untorn_device *ns, const uint32_t **ret_values, size_t *ret_n);

/*
 * Byte access to the namespace, whoever holds it. Writes are durable on return. A length of 0 succeeds. -EFAULT: beyond the end,
 * nothing is copied; -ENXIO: size 0; -EROFS, -EIO, -ENOSPC. S9, S76, D13.
 */
int untorn_namespace_rw_bytes(struct untorn_device *ns, uint64_t off, void *buf, size_t len, bool write);

/*
 * The namespace as one contiguous medium: interleaved pieces and extents are stitched together. The caller closes it; it may
 * outlive the bus, and keeps the files open then. It is read-only when the region is, now. Nobody is kept from resizing the
 * namespace meanwhile, unless it is bound or claimed. -ENXIO: size 0; -EOPNOTSUPP: it lies in pieces on a medium of untorn_platform_add_media() that is no file.
 */
int untorn_namespace_media(struct untorn_device *ns, struct untorn_media **ret_media);

/* The layout of a BTT on it, and the parent uuid of one (zero when it has no uuid): for untorn_btt_open() and _format(). */
int untorn_namespace_btt_layout(struct untorn_device *ns, enum untorn_btt_layout *ret_layout,
				uint8_t ret_parent_uuid[16]);

/* -------------------------------------------------------------------- btts ------------------------------------------------ */

struct untorn_btt_device_info {
	bool bound, has_uuid;
	uint8_t uuid[16];
	uint32_t sector_size; /* with metadata; 0: not set */
	uint64_t size;        /* usable bytes; 0 while not bound */
	char ns[32];          /* name of the namespace, or "" */
};

int untorn_btt_device_get_info(struct untorn_device *btt, struct untorn_btt_device_info *ret_info);

/*
 * Stores; -EBUSY: the btt is bound. namespace: NULL or "" detaches and resets or destroys; -EINVAL: not the name of a namespace;
 * -EBUSY: attached already, claimed already, or of another class; -ENODEV: no such namespace in its region; -ENXIO: below 16 MiB.
 * sector_size: -EINVAL: not in the list. S23 to S42.
 */
int untorn_btt_device_set_uuid(struct untorn_device *btt, const uint8_t uuid[16]);
int untorn_btt_device_set_sector_size(struct untorn_device *btt, uint64_t sector_size);
int untorn_btt_device_set_namespace(struct untorn_device *btt, const char *name);
int untorn_btt_device_namespace(struct untorn_device *btt, struct untorn_device **ret_namespace); /* -ENOENT: none */
int untorn_btt_device_sector_sizes(struct untorn_device *btt, const uint32_t **ret_values, size_t *ret_n);

/* -------------------------------------------------------------------- disks ----------------------------------------------- */

/*
 * The block device of a bound namespace or btt. It may outlive the binding: I/O then returns -ENXIO. Reads and writes take any
 * offset and length in bytes; on a btt disk each sector of them is atomic. Unbinding waits for I/O that is under way. Whether it is
 * read-only changes with its region.
 */
struct untorn_disk;

struct untorn_disk_info {
	char name[32];              /* "pmem0", "pmem0.1s", "ndblk0.1" */
	uint64_t size;              /* bytes */
	uint32_t logical, physical; /* block sizes */
	bool read_only, is_btt;
};

/* -ENXIO: not bound. */
int untorn_disk_open(struct untorn_device *device, struct untorn_disk **ret_disk);
void untorn_disk_close(struct untorn_disk *disk); /* NULL is allowed */
void untorn_disk_get_info(const struct untorn_disk *disk, struct untorn_disk_info *ret_info);

/* flags: UNTORN_BTT_DURABLE. Raw disks are always durable on return. -ERANGE, -EROFS, -EIO, -ENOSPC, -ENXIO (unbound). */
int untorn_disk_pread(struct untorn_disk *disk, void *buf, size_t len, uint64_t off);
int untorn_disk_pwrite(struct untorn_disk *disk, const void *buf, size_t len, uint64_t off, unsigned flags);
int untorn_disk_pwrite_zeroes(struct untorn_disk *disk, uint64_t len, uint64_t off, unsigned flags);
int untorn_disk_flush(struct untorn_disk *disk);

/* -------------------------------------------------------------------- images ---------------------------------------------- */

/* The namespace of an NVDIMM image, for programs that want a volume and no devices. */
struct untorn_image {
	struct untorn_media *media;            /* its bytes; the caller closes it. It keeps the image open */
	char name[32];                         /* "namespace0.0" */
	enum untorn_holder_class holder_class; /* as its label says */
	enum untorn_btt_layout layout;         /* as untorn_namespace_btt_layout() */
	uint8_t parent_uuid[16];
};

enum {
	UNTORN_IMAGE_ANY = 1u << 0, /* without a name: the only namespace, whether a BTT is on it or not */
};

/*
 * Find the namespace that name means in the image on media, whose last label_size bytes are labels, in whichever slot of a
 * QEMU machine they were written. NULL: the only one with a BTT. media stays the caller's, and may be closed before that of
 * the namespace. Writes nothing.
 *
 * -ENODEV: there is no such namespace; -ENOTUNIQ: several; as untorn_bus_open() and untorn_namespace_media(). problem (size bytes,
 * always terminated) then is the sentence that tells, with the names that there are.
 */
int untorn_image_open(struct untorn_media *media, uint64_t label_size, const char *name, unsigned flags, char *problem,
		      size_t size, struct untorn_image *ret_image);

/* What a label says of the volume on its namespace. */
struct untorn_image_claim {
	enum untorn_holder_class holder_class;
	uint64_t sector_size; /* one that the label cannot say is left out */
};

/*
 * Let the label of a namespace say something else, before a BTT is made on it or when that failed. UNTORN_CLASS_BTT is BTT2 under
 * v1.2 labels. The medium of untorn_image_open() stays what it is, its layout does not. Durable on return. *ret_old: what it said.
 * Errors as untorn_image_open(), untorn_namespace_set_holder_class() and _set_sector_size(), with problem.
 */
int untorn_image_claim(struct untorn_media *media, uint64_t label_size, const char *name,
		       const struct untorn_image_claim *claim, char *problem, size_t size,
		       struct untorn_image_claim *ret_old);

#ifdef __cplusplus
}
#endif

#endif
