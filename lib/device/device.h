/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device model inside: objects, locks, and which file does what.
 *
 *	attr.c      text in and out: finds the row of an attribute, checks its mode, calls show or store
 *	parse.c     the parsers of attribute text
 *	device.c    what all devices share: references, the tree, registration, binding
 *	async.c     the queue and its thread
 *	bus.c       ndbus0: opening and closing, drivers_probe, autoprobe;  bus-attrs.c
 *	dimm.c      nmemN and the driver nvdimm: label areas
 *	dpa.c       who has which DPA range of a dimm
 *	region.c    regionN: attributes;  region-space.c: free DPA;  region-probe.c: the driver nd_region;  seed.c: seeds
 *	namespace.c namespaceX.Y: attributes and stores;  namespace-size.c: allocation;  namespace-label.c: the label update;
 *	            namespace-media.c: its bytes
 *	btt.c       bttX.Y: attributes and stores
 *	claim.c     who holds a namespace: attach and detach
 *	probe.c     the drivers nd_pmem and nd_blk: from a namespace or btt to a disk
 *	disk.c      I/O on disks;  gate.h: unbinding waits for I/O that is under way
 *	platform*.c files and their memory
 *
 * Public functions (untorn_*) take the locks; the functions below them expect what their comment says. An attribute's store
 * parses its text and calls the public function.
 *
 * LOCK ORDER, first to last:
 *
 *	1. device lock of a region
 *	2. device lock of a btt
 *	3. device lock of a namespace
 *	4. device lock of a dimm, of the bus device
 *	5. bus lock: labels, DPA, seeds, claims, `dead`, everything that a comment says is under it
 *	6. tree lock (who is whose child, id pools, problem texts), 7. async lock, 8. locks of media and btt volumes
 *
 * No lock is held while another device is probed or removed, except by unregistering children under their region's device lock. A
 * region that becomes writable has the volumes of its btts opened under its device lock and theirs.
 * The last reference to a device may be dropped with any lock held: freeing happens on the queue.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <untorn/device.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "device/platform.h"

#define DEVICE_NAME_LEN 32
#define UUID_LEN        16
#define PAGE            4096u
#define DIMM_MAJOR      513u        /* of the numbers in `dev`; Linux gives up to 511 to drivers */
#define BTT_MIN_SIZE    (16u << 20) /* bytes of a namespace that a btt can attach to; S39 */

/* ------------------------------------------------------------------- attributes: attr.c ----------------------------------- */

/* The text that a show function makes; at most UNTORN_ATTR_SIZE bytes, what is more is cut. */
struct attr_text {
	const struct attr *attr; /* the row that is shown, for rows that share a function */
	char text[UNTORN_ATTR_SIZE + 1];
	size_t len;
};

void attr_printf(struct attr_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void attr_print_uuid(struct attr_text *text, const uint8_t *uuid); /* NULL: unset; with the newline */
/* "512 [4096] \n"; current 0: nothing selected. */
void attr_print_sizes(struct attr_text *text, const uint32_t *sizes, size_t n, uint64_t current);

/* One attribute. Tables of rows end with a row without a name. */
struct attr {
	const char *name;
	mode_t mode;
	/* The mode for this device now, 0: it does not show it. NULL: always mode. Takes no device lock. */
	mode_t (*visible)(struct untorn_device *device, const struct attr *attr);
	int (*show)(struct untorn_device *device, struct attr_text *text);
	int (*store)(struct untorn_device *device,
		     const char *text); /* text ends at the first NUL of what was written */
	unsigned arg;                   /* for rows that share functions: the number of mappingN */
};

/* Of every device: devtype, modalias and uevent (attr.c). */
int attr_show_devtype(struct untorn_device *device, struct attr_text *text);
int attr_show_modalias(struct untorn_device *device, struct attr_text *text);
int attr_show_uevent(struct untorn_device *device, struct attr_text *text);
int attr_store_uevent(struct untorn_device *device, const char *text);
#define ATTR_UEVENT                                                                                  \
	{                                                                                            \
		.name = "uevent", .mode = 0644, .show = attr_show_uevent, .store = attr_store_uevent \
	}

/* Of a region and its children: where its memory is near. A target node below 0 is not known and not shown. */
int attr_show_numa_node(struct untorn_device *device, struct attr_text *text);
int attr_show_target_node(struct untorn_device *device, struct attr_text *text);
mode_t attr_if_target_node(struct untorn_device *device, const struct attr *attr);
#define ATTR_NUMA_NODE                                                         \
	{                                                                      \
		.name = "numa_node", .mode = 0444, .show = attr_show_numa_node \
	}
#define ATTR_TARGET_NODE                                                                                           \
	{                                                                                                          \
		.name = "target_node", .mode = 0444, .visible = attr_if_target_node, .show = attr_show_target_node \
	}

/* ------------------------------------------------------------------- parse.c ---------------------------------------------- */

/* Section 3. -EINVAL, and -ERANGE for numbers that overflow. */
int parse_unsigned(const char *text, uint64_t *ret_value);
int parse_bool(const char *text, bool *ret_value);
int parse_uuid(const char *text, uint8_t ret_uuid[UUID_LEN]);
bool is_listed(uint64_t size, const uint32_t *sizes, size_t n);
int parse_size_select(const char *text, const uint32_t *sizes, size_t n, uint64_t *ret_size);
/* text equals word, one trailing newline ignored. */
bool parse_word(const char *text, const char *word);

/* ------------------------------------------------------------------- queued work ------------------------------------------ */

/* Lives in the device that it is about; queued at most once at a time. */
struct async_item {
	struct async_item *next;
	void (*run)(struct async_item *item);
	struct untorn_device *device;
};

/* ------------------------------------------------------------------- devices: device.c ------------------------------------ */

struct driver {
	const char *name;
	bool by_hand; /* has bind and unbind */
	bool (*matches)(const struct untorn_device *device);
	/* All under the device lock only. */
	int (*probe)(struct untorn_device *device);
	void (*remove)(struct untorn_device *device);
	void (*bound)(
		struct untorn_device *device); /* after a successful probe, while it still counts as running; or NULL */
};

/* What makes a kind of device: shared, constant. */
struct device_kind {
	enum untorn_device_type type;
	const char *devtype; /* "nd_btt" */
	const struct attr *attrs;
	/* It is unregistered, though perhaps referenced: give back what others may have now. No lock of its own held. May be NULL. */
	void (*gone)(struct untorn_device *device);
	/* The last reference is gone: give back ids, free. On the queue, no lock held. */
	void (*release)(struct untorn_device *device);
};

struct untorn_device {
	struct untorn_bus *bus;
	const struct device_kind *kind;
	int id;
	char name[DEVICE_NAME_LEN];
	struct untorn_device *parent; /* referenced; NULL: the bus */
	_Atomic unsigned refs;

	pthread_mutex_t lock;                /* the device lock */
	const struct driver *_Atomic driver; /* changes under the device lock; bound when not NULL */
	bool gone;                           /* device lock: unregistered; device_lock() then fails */
	bool dead;                           /* bus lock: unregistering has begun or is queued */

	struct untorn_device *children, *next; /* tree lock: registered children by type and id */
	bool visible; /* tree lock: its registration has come to pass; before, only its parent sees it */
	struct async_item add, del, release; /* add and del hold a reference while they are queued */
	char *problem;                       /* tree lock: sentence or NULL */
};

/*
 * Set up a device that calloc() made, with one reference (the caller's) and a reference to parent. Not registered: nobody finds it.
 */
void device_init(struct untorn_device *device, const struct device_kind *kind, struct untorn_device *parent, int id,
		 const char *name_format, ...) __attribute__((format(printf, 5, 6)));

/* Queue its appearance in the tree and, with autoprobe, its probe. S51, S52. */
void device_register(struct untorn_device *device);

/* Queue its removal; once only, however often called. Bus lock held. S53, D26. */
void device_unregister_async(struct untorn_device *device);

/* Remove it now: unbind, take out of the tree. Nothing if it is dead already. Parent's device lock or none held. */
void device_unregister(struct untorn_device *device);
/* Whether any was removed by this call. More may have come up meanwhile. */
bool device_unregister_children(struct untorn_device *parent, enum untorn_device_type type);

/* The device lock. -ENODEV: the device is unregistered; the lock is not held then. */
int device_lock(struct untorn_device *device);
void device_unlock(struct untorn_device *device);

/* Wait until nobody holds the device lock. -ENODEV: the device is unregistered. */
int device_pass(struct untorn_device *device);

/* Device lock and bus lock; _idle: and no probe is running on the bus. -ENODEV as above. */
int device_lock_reconfig(struct untorn_device *device);
int device_lock_reconfig_idle(struct untorn_device *device);
void device_unlock_reconfig(struct untorn_device *device);

void bus_lock(struct untorn_bus *bus);
void bus_unlock(struct untorn_bus *bus);
/* The bus lock, with no probe running: for reads that wait for probe idle. Holding no device lock. */
void bus_lock_idle(struct untorn_bus *bus);

/* Bind to the driver; the device lock is held. -EBUSY: bound; -ENODEV: no match; or the probe's errno. */
int device_bind(struct untorn_device *device, const struct driver *driver);
/* To the one driver that matches: no device matches two. */
int device_bind_any(struct untorn_device *device);
void device_unbind(struct untorn_device *device); /* device lock held; nothing when not bound */

static inline bool device_is_bound(const struct untorn_device *device)
{
	return atomic_load(&device->driver) != NULL;
}

/* The registered child of that exact name, referenced; or NULL. */
struct untorn_device *device_find_child(struct untorn_device *parent, const char *name);

/* Why it is not up; NULL clears. Printed for people. */
void device_set_problem(struct untorn_device *device, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void cleanup_device(struct untorn_device **device)
{
	untorn_device_put(*device);
}
#define _cleanup_device_ _cleanup_(cleanup_device)

/* Ids, lowest free first. Under the tree lock inside. */
struct id_pool {
	uint64_t *words;
	size_t nword;
};
int id_pool_take(struct untorn_bus *bus, struct id_pool *pool); /* or -ENOMEM */
void id_pool_give(struct untorn_bus *bus, struct id_pool *pool, int id);
void id_pool_done(struct id_pool *pool);

/* ------------------------------------------------------------------- async.c ---------------------------------------------- */

struct async {
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct async_item *first, **last;
	pthread_t thread;
	bool running, busy; /* the thread takes items; it works on one */
	bool stop;
};

int async_start(struct async *async);
void async_stop(struct async *async); /* what is queued is done first */
/* Have run(item) called by the thread, without any lock, or at once when the thread is not running. */
void async_queue(struct async *async, struct async_item *item, void (*run)(struct async_item *item));
void async_flush(struct async *async);

/* ------------------------------------------------------------------- bus.c ------------------------------------------------ */

struct untorn_bus {
	struct untorn_device dev;
	struct untorn_platform *platform;
	unsigned flags;
	_Atomic bool autoprobe;

	pthread_mutex_t lock; /* the bus lock */
	pthread_cond_t idle;  /* with the bus lock */
	unsigned nprobing;    /* bus lock: probes that are running */
	pthread_mutex_t tree; /* the tree lock */
	struct async async;

	struct dimm **dimms; /* as in the platform; constant after opening */
	struct region **regions;
	int close_error;             /* bus lock: first error of making things durable at unbind */
	_Atomic bool hw_error_scrub; /* as stored; there is no scrub that it could start */
};

extern const struct attr bus_attrs[];        /* bus-attrs.c */
extern const struct driver *const drivers[]; /* nvdimm, nd_region, nd_pmem, nd_blk, nd_bus; NULL at the end */
extern const struct driver driver_nvdimm, driver_nd_region, driver_nd_pmem, driver_nd_blk;

/* ------------------------------------------------------------------- dpa.c ------------------------------------------------ */

struct dpa_range {
	uint64_t start, size;
	uint8_t uuid[UUID_LEN]; /* of the namespace that has it */
};

struct dpa_map {
	struct dpa_range *ranges; /* by start; they do not overlap */
	size_t n, allocated;
};

/* Ranges of one uuid that touch become one. A size of 0 does nothing. -EBUSY: overlap; -ENOMEM. */
int dpa_reserve(struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size);
/* Give back what uuid has of [start, start + size). -ENOMEM (a hole in the middle of a range): unchanged. */
int dpa_release(struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size);
void dpa_release_all(struct dpa_map *map, const uint8_t *uuid);
void dpa_rename(struct dpa_map *map, const uint8_t *old_uuid, const uint8_t *new_uuid);
/* The next free piece at or after *pos and below end; false: none. *pos moves behind it. */
bool dpa_next_free(const struct dpa_map *map, uint64_t *pos, uint64_t end, uint64_t *ret_start, uint64_t *ret_size);
uint64_t dpa_free_size(const struct dpa_map *map, uint64_t start, uint64_t size);
unsigned dpa_count(const struct dpa_map *map, const uint8_t *uuid, uint64_t start, uint64_t size);
void dpa_done(struct dpa_map *map);

/* ------------------------------------------------------------------- dimm.c ----------------------------------------------- */

struct dimm {
	struct untorn_device dev;
	const struct platform_dimm *platform;
	bool shared; /* by pmem and blk regions: labels must say whose a byte is */
	/* Below: bus lock. The label data stays while the driver is bound or a region is. */
	struct untorn_label_area *area; /* NULL: none */
	struct dpa_map dpa;             /* what active labels and namespaces have */
	unsigned busy;                  /* bound regions that map it */
	bool labelling;                 /* shared, or an index was found when the driver bound */
	bool stale;                     /* what is known of the labels is not what is on media: no region takes it */
	bool locked;                    /* constant */
};

static inline struct dimm *to_dimm(struct untorn_device *device)
{
	return (struct dimm *)device;
}

int dimm_new(struct untorn_bus *bus, unsigned index, struct dimm **ret_dimm);
/* A region binds or lets go. Bus lock held. */
void dimm_hold(struct dimm *dimm);
void dimm_drop(struct dimm *dimm);
bool dimm_is_enabled(const struct dimm *dimm); /* bound, and its label data is there if it has any; bus lock */
/*
 * Give the ranges of active labels to their namespaces; take them back. -EBUSY: labels overlap or leave the dimm, and the
 * dimm's problem says which. Bus lock held.
 */
int dimm_reserve_labels(struct dimm *dimm);
int dimm_release_labels(struct dimm *dimm);
/* Whether an active label has that uuid. -ENOENT: none that is known; -EIO. Bus lock held. */
int dimm_find_label(struct dimm *dimm, const uint8_t *uuid);
/* The label area at the end of the dimm, which has one. */
int dimm_open_labels(const struct dimm *dimm, struct untorn_label_area **ret_area);

/* ------------------------------------------------------------------- region.c, region-probe.c ----------------------------- */

struct region_mapping {
	struct dimm *dimm; /* referenced */
	uint64_t start, size;
};

struct region {
	struct untorn_device dev;
	unsigned index; /* in the platform */
	const struct platform_region *platform;
	enum untorn_region_kind kind;
	struct region_mapping mappings[PLATFORM_MAPPINGS_MAX];
	unsigned nmapping;
	uint64_t size;
	struct untorn_label_cookies cookies; /* zero without interleave set */
	uint8_t type_guid[UUID_LEN];

	/* Below: bus lock. */
	uint64_t align;
	bool read_only;
	enum untorn_nstype bound_nstype; /* what it was bound as; 0: not bound. Later labels do not change it */
	int ns_count, ns_active;         /* for init_namespaces, while bound */
	struct untorn_device *namespace_seed, *btt_seed; /* referenced; NULL: none */
	struct id_pool ns_ids, btt_ids;                  /* tree lock */
};

static inline struct region *to_region(struct untorn_device *device)
{
	return (struct region *)device;
}

int region_new(struct untorn_bus *bus, unsigned index, struct region **ret_region);
enum untorn_nstype region_nstype(struct region *region); /* 4, 5 or 6; bus lock held */
bool region_is_memory(const struct region *region);      /* pmem or volatile */
/* The label set of a region; mappings has room for PLATFORM_MAPPINGS_MAX. -ENXIO: a dimm is not bound or has no label area. Bus lock. */
int region_label_set(struct region *region, struct untorn_label_mapping *mappings, struct untorn_label_set *ret_set);
/*
 * The next piece that a namespace may get, at or after *pos and below the mappings' size: free at the same distance from the start of
 * every mapping, trimmed to the region's align. Distances and sizes are bytes of one mapping. false: none. *pos moves behind it. Bus
 * lock held, all dimms bound.
 */
bool region_next_free(struct region *region, uint64_t *pos, uint64_t *ret_off, uint64_t *ret_size);
uint64_t region_available_size(struct region *region); /* bus lock; 0 if a dimm is not bound or has no label area */
uint64_t region_max_available_extent(struct region *region); /* bus lock */
bool region_dimms_bound(struct region *region);
bool region_is_locked(struct region *region); /* a mapped dimm is locked */

/* ------------------------------------------------------------------- seed.c ----------------------------------------------- */

/* Bus lock held for both. Failure leaves the seed empty. S86 to S88. */
void seed_plant_namespace(struct region *region);
void seed_plant_btt(struct region *region);
/* A child of the region was probed successfully: plant what has been used up. Takes the bus lock. Section 12. */
void seed_after_probe(struct untorn_device *device);
/* Region unbound: forget all. Bus lock held. S84. */
void seed_clear(struct region *region);

/* ------------------------------------------------------------------- namespace*.c ----------------------------------------- */

struct namespace
{
	struct untorn_device dev;
	enum untorn_nstype nstype;
	_Atomic bool force_raw;

	/* Below: bus lock. */
	struct untorn_device *claim; /* the btt that holds it, not referenced (it references us); NULL: none */
	enum untorn_holder_class holder_class;
	bool has_uuid;
	uint8_t uuid[UUID_LEN];
	char alt_name[UNTORN_LABEL_NAME_LEN];
	uint64_t sector_size; /* logical; 0: not set (blk) */
	uint64_t size;
	struct untorn_label_extent *extents; /* as in struct untorn_label_namespace; NULL for io */
	size_t nextent;
	bool is_labelled;     /* labels of label_uuid are on media */
	uint32_t label_flags; /* UNTORN_LABEL_READ_ONLY, as found in them and kept */
	uint8_t label_uuid[UUID_LEN];

	/* Below: device lock, while bound. */
	struct untorn_media *media;
	struct untorn_disk *disk;
};

static inline struct namespace *to_namespace(struct untorn_device *device)
{
	return (struct namespace *)device;
}

static inline struct region *namespace_region(const struct namespace *ns)
{
	return to_region(ns->dev.parent);
}

/*
 * A new namespace of the region, not registered, one reference: io (all of the region), idle (size 0), or as its labels say.
 */
int namespace_new_io(struct region *region, struct namespace **ret_ns);
int namespace_new_idle(struct region *region, struct namespace **ret_ns);
int namespace_new_labelled(struct region *region, const struct untorn_label_namespace *label,
			   struct namespace **ret_ns);

bool namespace_is_busy(const struct namespace *ns);      /* bound or claimed; bus lock */
uint64_t namespace_resource(const struct namespace *ns); /* physical start; bus lock */
/* The bytes of the namespace as a medium. Bus lock held. As untorn_namespace_media(). */
int namespace_media(struct namespace *ns, struct untorn_media **ret_media);
/* Layout of a BTT on it: 2.0 for BTT2, else 1.1. Bus lock held. U5. */
enum untorn_btt_layout namespace_btt_layout(const struct namespace *ns);
/* After a store: make the labels say what the namespace is. Bus lock held. Section 9. */
int namespace_update_labels(struct namespace *ns);

extern const uint32_t namespace_sizes_pmem[2], namespace_sizes_blk[7]; /* sector sizes */

/* ------------------------------------------------------------------- btt.c ------------------------------------------------ */

/* meson -Dbtt=false leaves it out: S2. */
#ifdef UNTORN_WITHOUT_BTT
#define BTT_SUPPORT false
#else
#define BTT_SUPPORT true
#endif

struct btt {
	struct untorn_device dev;

	/* device lock for writing; read under it or the bus lock */
	bool has_uuid;
	uint8_t uuid[UUID_LEN];
	uint32_t sector_size; /* 0: not set */

	struct namespace *ns; /* bus lock: attached, referenced; NULL: none */

	/* device lock, while bound */
	struct untorn_media *media;
	struct untorn_btt *volume;
	struct untorn_disk *disk;
	_Atomic uint64_t size; /* usable bytes, 0 while not bound */
};

static inline struct btt *to_btt(struct untorn_device *device)
{
	return (struct btt *)device;
}

static inline struct region *btt_region(const struct btt *btt)
{
	return to_region(btt->dev.parent);
}

/*
 * A new btt of the region, not registered, one reference; with ns attached to it unless NULL. Bus lock held. NULL: no memory, or ns is
 * claimed, or BTT support is compiled out. S2, S15.
 */
struct btt *btt_new(struct region *region, struct namespace *ns);
/* The namespace that it has, referenced; NULL: none. Takes the bus lock. */
struct untorn_device *btt_get_namespace(struct btt *btt);
bool device_is_btt(const struct untorn_device *device); /* false when BTT support is compiled out */
extern const uint32_t btt_sizes[7];

/* ------------------------------------------------------------------- claim.c ---------------------------------------------- */

/* Bus lock held for both. attach: -EBUSY when claimed. S18, S20. */
int claim_attach(struct btt *btt, struct namespace *ns);
void claim_detach(struct btt *btt); /* nothing when nothing is attached */
/* No other class of holder is asked for. Bus lock. D10 */
bool claim_may_be_btt(const struct namespace *ns);

/* ------------------------------------------------------------------- probe.c ---------------------------------------------- */

/*
 * Look for a BTT on the namespace, whose device lock is held. Found: a btt is made, attached and registered, 0. Else -ENODEV (nothing, or
 * force_raw), -ENXIO, -ENOMEM. S43 to S50, D9.
 */
int probe_media(struct namespace *ns);

/*
 * The region of a btt, whose device lock is held, has become read-only or writable, and its disk follows. Read-only: what was written is
 * durable on return. Writable: a volume that was opened for reading is opened for writing first; when that fails the disk stays
 * read-only, and the btt's problem says why.
 */
void btt_set_read_only(struct btt *btt, bool read_only);

/* ------------------------------------------------------------------- disk.c ----------------------------------------------- */

/* The disk of a bound device: made at bind, ended at unbind, freed when the last opener is gone. */

struct disk_source {
	struct untorn_media *media; /* of a raw disk */
	struct untorn_btt *volume;  /* of a btt disk, else NULL */
	uint64_t size;              /* bytes of the disk */
	uint32_t logical;           /* data bytes of a sector */
	uint32_t stride;            /* raw: bytes from one sector to the next on the medium */
	bool read_only;
	bool never_writes; /* read-only whatever disk_set_read_only() says */
};

int disk_new(const char *name, const struct disk_source *source, struct untorn_disk **ret_disk);
/* No I/O gets through any more; waits for what is under way. The media may go then. */
void disk_end(struct untorn_disk *disk);
/* One reference less; the last frees. */
void disk_put(struct untorn_disk *disk);
/* Device lock of its device held for both. Read-only: on return no write is under way. */
void disk_set_read_only(struct untorn_disk *disk, bool read_only);
/* On return nobody uses the volume of before. */
void disk_set_volume(struct untorn_disk *disk, struct untorn_btt *volume);

#endif
