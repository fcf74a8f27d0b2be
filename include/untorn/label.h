/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespace labels: which ranges of a set of DIMMs are one namespace.
 *
 * Each DIMM has a label area: two index blocks, of which the newer valid one counts, and label slots of 128 (v1.1) or 256
 * (v1.2) bytes. A label says that a range of DIMM physical addresses (DPA) belongs to a namespace. Labels of one uuid on all
 * DIMMs of an interleave set, or several on one DIMM (blk), make one namespace.
 *
 * A struct untorn_label_area is one DIMM's area, opened. It keeps the current index block in memory. It may be used by one
 * thread at a time; a set's areas likewise. Every function that writes is durable on return, and a power cut at any
 * instant leaves at least one valid index block, and labels that mean the old or the new namespaces.
 *
 * Functions return 0 or a negative errno (<untorn/error.h>) unless they say otherwise. Everything read from media is bounded
 * before it is used. SPEC 9, 10.
 */
#ifndef UNTORN_LABEL_H
#define UNTORN_LABEL_H

#include <stddef.h>
#include <stdint.h>

#include <untorn/error.h>
#include <untorn/media.h>

#ifdef __cplusplus
extern "C" {
#endif

struct untorn_label_area;

enum untorn_label_version {
	UNTORN_LABEL_NONE, /* no valid index block: an unlabelled area */
	UNTORN_LABEL_V1_1,
	UNTORN_LABEL_V1_2,
};

/* "none", "1.1" or "1.2". Never NULL. */
const char *untorn_label_version_name(enum untorn_label_version version);

enum {
	UNTORN_LABEL_FORCE = 1u << 0, /* init: also over a valid index block */
};

/* ---------------------------------------------------------------- one area ---------------------------------------------- */

/*
 * Open the area at bytes [off, off + size) of media and choose its current index block. An area without a valid one opens
 * too. The medium stays the caller's and must outlive the area. Writes nothing. off and size are any multiples of 8.
 *
 * -EINVAL: off, size; -ERANGE: beyond the medium; -EIO; -ENOMEM. SPEC 9.4.
 */
int untorn_label_open(struct untorn_media *media, uint64_t off, uint64_t size, struct untorn_label_area **ret_area);
void untorn_label_close(struct untorn_label_area *area); /* NULL is allowed; writes nothing */

/* Read the index blocks again, after somebody else wrote to the medium. -EIO, -ENOMEM: the area is as it was. */
int untorn_label_reload(struct untorn_label_area *area);

/*
 * The size of the label area at the end of media, known by a valid index block at one of the sizes that are in use (powers of
 * two times 128 KiB up to 128 MiB, then all multiples of 4096 up to 1 MiB), or 0 when there is none. -EIO.
 */
int untorn_label_find(struct untorn_media *media, uint64_t *ret_size);

struct untorn_label_area_info {
	enum untorn_label_version version;
	uint64_t size;       /* bytes of the area */
	uint32_t label_size; /* 128 or 256; 0 when version is NONE. Further fields likewise */
	uint32_t index_size; /* bytes of one index block */
	uint32_t nslot;
	uint32_t nfree;  /* free slots; one is always kept for updates */
	int current;     /* which index block counts: 0 or 1 */
	uint32_t seq[2]; /* of each block, when its signature is there */
	const char *fault
		[2]; /* what is wrong with the block: a constant such as "checksum"; NULL: valid. Set for NONE too */
};

void untorn_label_get_info(const struct untorn_label_area *area, struct untorn_label_area_info *ret_info);

/* How many slots an area of size bytes would have after untorn_label_init(); 0: too small for that version. SPEC 9.3. */
uint32_t untorn_label_nslot(enum untorn_label_version version, uint64_t size);

/*
 * Write both index blocks of an empty area: all slots free. Labels stay on media, as freed slots. SPEC 9.6, 9.10.
 * -EEXIST: a valid index block is there and UNTORN_LABEL_FORCE is not given; -EINVAL: version; -ENOSPC: too small;
 * -EROFS, -EIO.
 */
int untorn_label_init(struct untorn_label_area *area, enum untorn_label_version version, unsigned flags);

/*
 * The raw bytes of the area. Writing reloads the index. off + len beyond the area: -ERANGE. -EROFS, -EIO.
 *
 * What covers both index blocks counts at once: zeroing leaves the old labels or none; writing leaves the old ones, none, or
 * the new ones. A smaller part is not atomic.
 */
int untorn_label_read(struct untorn_label_area *area, uint64_t off, void *buf, size_t len);
int untorn_label_write(struct untorn_label_area *area, uint64_t off, const void *buf, size_t len);
int untorn_label_zero(struct untorn_label_area *area, uint64_t off, uint64_t len);

#define UNTORN_LABEL_NAME_LEN 64

enum {
	UNTORN_LABEL_READ_ONLY = 1u << 0,
	UNTORN_LABEL_LOCAL = 1u << 1,    /* blk: the namespace lies on one DIMM */
	UNTORN_LABEL_UPDATING = 1u << 3, /* part of a set that is being changed */
};

enum untorn_label_slot_state {
	UNTORN_LABEL_ACTIVE,
	UNTORN_LABEL_FREED,   /* the bitmap says free; what stands there has no meaning */
	UNTORN_LABEL_IGNORED, /* the bitmap says in use, but the label is not sound; untorn_label.fault tells */
};

/* One label in native form. */
struct untorn_label {
	enum untorn_label_slot_state state;
	const char *fault;   /* constant: "slot", "checksum"; NULL unless IGNORED */
	uint32_t slot;       /* where it stands */
	uint32_t slot_field; /* what it says */
	uint8_t uuid[16];
	char name[UNTORN_LABEL_NAME_LEN + 1]; /* always terminated */
	uint32_t flags;
	uint16_t nlabel, position;
	uint64_t isetcookie;
	uint64_t lbasize; /* bytes; 0: unknown */
	uint64_t dpa, rawsize;
	uint8_t type_guid[16], abstraction_guid[16]; /* zero in v1.1 */
	uint64_t checksum;                           /* v1.2, else 0 */
};

/* The label in a slot, whatever its state. -ENXIO: no index; -ERANGE: no such slot; -EIO. SPEC 9.5. */
int untorn_label_get(struct untorn_label_area *area, uint32_t slot, struct untorn_label *ret_label);

/* The first active label at or after slot. -ENOENT when there is none; -EIO. An area without index has none. */
int untorn_label_next_active(struct untorn_label_area *area, uint32_t slot, struct untorn_label *ret_label);

/* ---------------------------------------------------------------- findings ---------------------------------------------- */

/* Kinds of findings. X(symbol, "name", "what it endangers"). */
#define UNTORN_LABEL_FINDINGS(X)                                                                                       \
	X(NO_INDEX, "no-index", "the area holds no labels")                                                            \
	X(INDEX, "index", "one index block is damaged: the next update restores it")                                   \
	X(SLOT, "label-slot", "a label in use says another slot and is ignored")                                       \
	X(CHECKSUM, "label-checksum", "a label in use is damaged and is ignored")                                      \
	X(OVERLAP, "label-overlap", "two labels claim the same DPA: the DIMM is refused")                              \
	X(DUPLICATE, "label-duplicate", "two labels are the same piece of one namespace: its region is refused")       \
	X(COOKIE, "label-cookie", "the label belongs to another interleave set and is skipped")                        \
	X(TYPE, "label-type", "the label belongs to another kind of region and is skipped")                            \
	X(WINDOW, "label-window", "the label's DPA range leaves its mapping: the region is refused")                   \
	X(INCOMPLETE, "label-incomplete",                                                                              \
	  "labels of the namespace are missing: the region is refused, or it is left out")                             \
	X(DISAGREE, "label-disagree",                                                                                  \
	  "labels of one namespace contradict each other: the first counts, or the region is refused")                 \
	X(INTERRUPTED, "label-interrupted", "a power cut interrupted an update of the set: it is finished on opening") \
	X(MEDIA, "media-error", "this part of the area cannot be read")

enum untorn_label_finding_kind {
#define UNTORN_LABEL_FINDING_SYMBOL(symbol, name, danger) UNTORN_LABEL_FINDING_##symbol,
	UNTORN_LABEL_FINDINGS(UNTORN_LABEL_FINDING_SYMBOL)
#undef UNTORN_LABEL_FINDING_SYMBOL
		UNTORN_LABEL_FINDING_KINDS
};

struct untorn_label_finding {
	enum untorn_label_finding_kind kind;
	unsigned mapping;  /* which mapping of the set; 0 for untorn_label_check() */
	uint32_t slot;     /* INDEX: which block */
	const char *field; /* constant: what was looked at */
	uint64_t seen, expected;
	uint8_t uuid[16]; /* of the label, or zero */
};

const char *untorn_label_finding_name(enum untorn_label_finding_kind kind); /* "label-overlap" */
const char *untorn_label_finding_danger(enum untorn_label_finding_kind kind);

typedef int (*untorn_label_finding_fn)(void *arg, const struct untorn_label_finding *finding);

/*
 * Everything that is wrong with one area by itself: index blocks, labels in use, overlaps. A return of fn other than 0 ends
 * the check and is returned. 0 when checking was possible. -EIO, -ENOMEM.
 */
int untorn_label_check(struct untorn_label_area *area, untorn_label_finding_fn fn, void *arg);

/* ------------------------------------------------------------- interleave sets ------------------------------------------ */

/* What a DIMM adds to the cookie of its interleave set. SPEC 10. */
struct untorn_label_dimm_id {
	uint64_t region_offset;
	uint32_t serial;
	uint16_t vendor;
	uint16_t date;
	uint8_t location;
};

struct untorn_label_cookies {
	uint64_t v1_1;
	uint64_t alt; /* v1.1 by kernels before 4.11: read, never written */
	uint64_t v1_2;
};

/* The cookies of an interleave set of n DIMMs, in any order. -EINVAL: n is 0; -ENOMEM. */
int untorn_label_cookies(const struct untorn_label_dimm_id *dimms, size_t n, struct untorn_label_cookies *ret_cookies);

enum untorn_label_set_kind {
	UNTORN_LABEL_SET_PMEM,
	UNTORN_LABEL_SET_BLK, /* one mapping */
};

/* A window of one DIMM. Areas of one set are different areas. */
struct untorn_label_mapping {
	struct untorn_label_area *area;
	uint64_t dpa, size; /* bytes */
};

/* What labels are read and written for: a region. The position of a mapping is its index. */
struct untorn_label_set {
	enum untorn_label_set_kind kind;
	const struct untorn_label_mapping *mappings;
	unsigned nmapping;
	struct untorn_label_cookies cookies;
	uint8_t type_guid[16]; /* NFIT range type, as on media */
};

enum untorn_label_type {
	UNTORN_LABEL_TYPE_PMEM,
	UNTORN_LABEL_TYPE_VOLATILE,
	UNTORN_LABEL_TYPE_BLK,
};

/* The 16 bytes on media of the NFIT range type; a constant. SPEC 0.2. */
const uint8_t *untorn_label_type_guid(enum untorn_label_type type);

/* What stands in the abstraction GUID of v1.2 labels: the holder class of the namespace. */
enum untorn_label_abstraction {
	UNTORN_LABEL_ABSTRACTION_NONE,
	UNTORN_LABEL_ABSTRACTION_BTT,
	UNTORN_LABEL_ABSTRACTION_BTT2,
	UNTORN_LABEL_ABSTRACTION_PFN,
	UNTORN_LABEL_ABSTRACTION_DAX,
	UNTORN_LABEL_ABSTRACTION_UNKNOWN, /* another GUID; kept as it is when the label is rewritten */
};

struct untorn_label_extent {
	unsigned mapping;
	uint64_t dpa, size; /* bytes */
};

/*
 * One namespace as its labels say. pmem: one extent for each mapping, in order, all of the same size and at the same distance
 * from the start of their mappings. blk: the extents in the order of the namespace's bytes, that is of their slots.
 */
struct untorn_label_namespace {
	uint8_t uuid[16];
	char name[UNTORN_LABEL_NAME_LEN + 1];
	uint32_t flags; /* UNTORN_LABEL_READ_ONLY; LOCAL and UPDATING are ours to set */
	uint64_t lbasize;
	enum untorn_label_abstraction abstraction;
	const struct untorn_label_extent *extents;
	size_t nextent;
};

/*
 * Read the labels of a set and call found for each namespace, in order of the first mapping's DPA, and finding for
 * everything that was skipped or refused (either may be NULL), also what untorn_label_check() finds in each area. All
 * findings come before the first namespace. Labels whose DPA lies outside the windows belong to other regions and are passed
 * over silently.
 *
 * An update that a power cut interrupted is recognised by the updating flag: the set is reported as it will be once it is
 * finished (INTERRUPTED); nothing is written. SPEC 9.7.
 *
 * -EUCLEAN: labels contradict each other in a way that Linux refuses the whole region for; found was not called;
 * -ENXIO: no area of the set has a valid index; -EIO, -ENOMEM; or what a callback returned.
 */
int untorn_label_assemble(const struct untorn_label_set *set,
			  int (*found)(void *arg, const struct untorn_label_namespace *ns),
			  untorn_label_finding_fn finding, void *arg);

/*
 * Write what an interrupted update still lacks, and free what is left of a namespace that was half made or half removed. Nothing
 * to do, or no index: 0. -EUCLEAN as assemble; -EROFS, -EIO, -ENOMEM; -ENOSPC: an area without any free slot.
 */
int untorn_label_finish(const struct untorn_label_set *set);

/*
 * Write the labels of ns and free those of old_uuid (NULL: ns->uuid): create, rename, resize and relabel are all this. Begins with
 * untorn_label_finish(). Areas without an index are initialised, in the version that the others have, or v1.2.
 * ways = 1: atomic. ways > 1: mapping after mapping with the updating flag, then again without.
 *
 * -EINVAL: extents that are not as above, or overlap a label in use of another namespace; a uuid that another one has; an
 * UNKNOWN abstraction where there is none to keep; -ENXIO: an area with no usable index or no free slot, several versions, or
 * no cookie; -ENOSPC: it would take the last free slot of an area; -EUCLEAN as assemble; -EROFS, -EIO, -ENOMEM. SPEC 9.6.
 */
int untorn_label_put(const struct untorn_label_set *set, const struct untorn_label_namespace *ns,
		     const uint8_t *old_uuid);

/*
 * Free the labels of uuid; 0 also when there are none. ways > 1: first marked as updating everywhere. Works on a set that is
 * refused, too: that mends it. -EROFS, -EIO, -ENOMEM.
 */
int untorn_label_remove(const struct untorn_label_set *set, const uint8_t *uuid);

#ifdef __cplusplus
}
#endif

#endif
