/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Block Translation Table: sectors that never tear on byte-addressable memory.
 *
 * A volume is a BTT on a medium (<untorn/media.h>): one or more arenas of up to 512 GiB. Sectors are numbered by lba
 * from 0 over all arenas. A sector has `sector_size` data bytes and, in formats such as 520 and 4160, `meta_size`
 * metadata bytes that are written and read with them, atomically.
 *
 * What holds at any instant, for a killed process and, on media that survive it, a power cut:
 *   - every sector reads as exactly its old or exactly its new content;
 *   - what was acknowledged as durable is there afterwards.
 * Sectors of one request are each atomic; together they are not.
 *
 * A struct untorn_btt may be used by any number of threads at once, except for untorn_btt_close(). Reads take no lock.
 * Functions return 0 or a negative errno (<untorn/error.h>) unless they say otherwise.
 *
 * Sections named "SPEC n" are those of docs/SPEC.md.
 */
#ifndef UNTORN_BTT_H
#define UNTORN_BTT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <untorn/error.h>
#include <untorn/media.h>

#ifdef __cplusplus
extern "C" {
#endif

struct untorn_btt;

/* Where the first arena starts and which rules its flog and map follow (SPEC 0.1, 12). */
enum untorn_btt_layout {
	UNTORN_BTT_AUTO,    /* open: what is there. format: UNTORN_BTT_V1_1 */
	UNTORN_BTT_V1_1,    /* version 1.1 at byte 4096: a label-less Linux namespace, a v1.1 label */
	UNTORN_BTT_V2_0,    /* version 2.0 at byte 0: a namespace under a v1.2 label (UEFI) */
	UNTORN_BTT_PMEMBLK, /* version 1.1 at byte 8192, behind the header of a PMDK pmemblk pool */
};

/* "1.1", "2.0", "pmemblk" or "auto". Never NULL. */
const char *untorn_btt_layout_name(enum untorn_btt_layout layout);

/* ------------------------------------------------------------------ format ------------------------------------------------ */

enum {
	UNTORN_BTT_FORCE = 1u << 0, /* format: overwrite a BTT, pool or label area that is recognised */
};

struct untorn_btt_format_options {
	enum untorn_btt_layout layout;
	/*
	 * Bytes of one sector with its metadata (external_lbasize). 0 means 4096. Linux layouts take 512, 520, 528, 4096,
	 * 4104, 4160, 4224 and, as an extension that Linux refuses to open (SPEC 14), 8192, 16384, 32768, 65536.
	 * pmemblk takes 1 to 65536.
	 */
	uint32_t sector_size;
	const uint8_t *uuid; /* 16 bytes, or NULL for a random one */
	const uint8_t
		*parent_uuid; /* 16 bytes: the container's uuid; NULL for none (pmemblk: a random pool-set uuid) */
	unsigned flags;       /* UNTORN_BTT_FORCE */
};

/* 1 when sector_size is one that untorn_btt_format() takes for that layout, else 0. */
int untorn_btt_sector_size_ok(enum untorn_btt_layout layout, uint32_t sector_size);

/*
 * Lay out an empty volume over all of the medium. Every sector of it reads as zeros on a regular file; on a device whose
 * content cannot be discarded, sectors of the Linux layouts read what was there before until they are written.
 *
 * An interrupted format leaves no valid BTT. Takes no longer on a sparse terabyte than on a megabyte. Durable on return.
 *
 * -EEXIST: a BTT, a pmemblk pool or a label area is recognised and UNTORN_BTT_FORCE is not given (file systems and
 * partition tables are the caller's to look for); -EINVAL: sector size; -ENXIO: the medium is too small (16 MiB behind
 * the base); -EROFS, -EIO, -ENOSPC. SPEC 1.5, 3, 5.4, 8.
 */
int untorn_btt_format(struct untorn_media *media, const struct untorn_btt_format_options *options);

/*
 * What untorn_btt_format() would refuse to overwrite: a constant text such as "BTT 1.1" or "pmemblk pool" in *ret_what,
 * or NULL when nothing is recognised. Also finds what is left of damaged ones (a backup info block).
 */
int untorn_btt_recognise(struct untorn_media *media, const char **ret_what);

/*
 * Make every BTT and pool on media unrecognisable, to open and to repair: the info blocks of all arenas that any layout could
 * have there, with their backups. The data stays where it is. 0 also when there was nothing. Durable on return; after an
 * interruption, run it again. -EROFS, -EIO.
 */
int untorn_btt_erase(struct untorn_media *media);

/*
 * Give the volume on media other uuids, so that it can stand beside the one that it was copied from: uuid is that of the volume,
 * parent_uuid that of the container it lies in now; NULL keeps the old one. Takes volumes of any parent. layout as in open;
 * when it is named, also a volume whose first info block a cut tore.
 *
 * At any instant each arena has a sound info block, old or new, and its backup. Interrupted, it can simply be run again. Must not
 * run while the volume is open. Durable on return.
 *
 * -ENXIO: no BTT; -EUCLEAN: damaged; -EOPNOTSUPP: an unknown version, or a pmemblk pool; -ENOTUNIQ as in open; -EROFS, -EIO,
 * -ENOMEM. Nothing is written before all arenas are found sound.
 */
int untorn_btt_set_uuid(struct untorn_media *media, enum untorn_btt_layout layout, const uint8_t *uuid,
			const uint8_t *parent_uuid);

/* ------------------------------------------------------------------- open ------------------------------------------------- */

enum {
	UNTORN_BTT_READ_ONLY = 1u << 1, /* open: replay the flog in memory and write nothing */
};

struct untorn_btt_open_options {
	enum untorn_btt_layout layout; /* UNTORN_BTT_AUTO: what is there */
	const uint8_t *parent_uuid;    /* 16 bytes that a non-null parent uuid must equal, or NULL: any */
	unsigned flags;                /* UNTORN_BTT_READ_ONLY; implied by a read-only medium */
};

/*
 * Open the volume on media: validate everything, detect the flog padding, finish interrupted writes (SPEC 1.3, 5, 6.4).
 * A pmemblk pool that was never written is laid out now (read-only: reads as zeros). options may be NULL.
 * The medium must stay open until the volume is closed; the caller keeps owning it.
 *
 * -ENXIO: no BTT; -EUCLEAN: damaged, or another container's; -ENOTUNIQ: two layouts valid at once; -EOPNOTSUPP: an unknown
 * version; -EIO, -ENOMEM. Nothing is written unless 0 is returned.
 */
int untorn_btt_open(struct untorn_media *media, const struct untorn_btt_open_options *options,
		    struct untorn_btt **ret_btt);

/*
 * Commit what is buffered, persist everything and free the volume, also when an error is returned. After 0 no lane is
 * pending. NULL is allowed. No other call may be under way.
 */
int untorn_btt_close(struct untorn_btt *btt);

struct untorn_btt_info {
	enum untorn_btt_layout layout;
	uint16_t version_major, version_minor; /* as on media */
	uint8_t uuid[16], parent_uuid[16];
	uint32_t sector_size; /* data bytes of a sector */
	uint32_t meta_size;   /* metadata bytes of a sector, often 0 */
	uint64_t nlba;        /* sectors */
	uint64_t size;        /* nlba * sector_size */
	uint32_t narena;
	uint64_t base; /* media byte of the first arena */
	int read_only;
	int is_laid_out; /* 0: a pmemblk pool that was never written, opened read-only */
	int has_zero_state; /* 0: sectors below 4096 bytes in a Linux layout, where Linux misreads zero-state sectors' neighbours */
};

void untorn_btt_get_info(const struct untorn_btt *btt, struct untorn_btt_info *ret_info);

enum untorn_btt_padding {
	UNTORN_BTT_PADDING_01,
	UNTORN_BTT_PADDING_02
}; /* which two of four flog slots live (SPEC 5.1) */

struct untorn_btt_arena_info {
	uint64_t off, size;                              /* bytes on the medium */
	uint64_t data_off, map_off, flog_off, info2_off; /* bytes on the medium */
	uint64_t first_lba;
	uint32_t external_lbasize, internal_lbasize;
	uint32_t external_nlba, internal_nlba;
	uint32_t nfree;
	uint32_t flags; /* bit 0: error state, writes fail */
	enum untorn_btt_padding padding;
	uint32_t replayed; /* interrupted writes that open finished */
};

/* -ERANGE when there is no such arena. */
int untorn_btt_get_arena(const struct untorn_btt *btt, uint32_t arena, struct untorn_btt_arena_info *ret_info);

/* -------------------------------------------------------------------- I/O ------------------------------------------------- */

enum {
	/*
	 * The request is durable when the call returns. Without it a write may stay buffered: readers see it at once, and
	 * untorn_btt_flush(), a later durable request that needs its lane, or close makes it durable. A kill loses at most
	 * what is buffered, whole sectors only.
	 */
	UNTORN_BTT_DURABLE = 1u << 2,
};

/*
 * Read or write n sectors from lba. data holds n * sector_size bytes; meta holds n * meta_size bytes, or is NULL (reads
 * drop the metadata, writes store zeros there). With iov the data is gathered from or scattered to pieces of any length whose
 * sum must be n * sector_size.
 *
 * A durable request of up to 256 sectors in one arena commits with two persist points, as long as no buffered sectors hold
 * its lanes.
 *
 * -ERANGE: beyond the end, nothing done; -EROFS; -EINVAL: sizes; -EIO: an error-state sector (read), an error-state arena
 * (write), a fault or failed sync: then each sector of the request is old or new; -ENOSPC. SPEC 6.2, 6.3.
 */
int untorn_btt_read(struct untorn_btt *btt, uint64_t lba, uint64_t n, void *data, void *meta);
int untorn_btt_readv(struct untorn_btt *btt, uint64_t lba, uint64_t n, const struct iovec *iov, int iovcnt, void *meta);
int untorn_btt_write(struct untorn_btt *btt, uint64_t lba, uint64_t n, const void *data, const void *meta,
		     unsigned flags);
int untorn_btt_writev(struct untorn_btt *btt, uint64_t lba, uint64_t n, const struct iovec *iov, int iovcnt,
		      const void *meta, unsigned flags);

/*
 * The same by byte: any offset and length within [0, size). A sector that is written only in part is read, changed and
 * written as one atomic sector, under the same lock as every other write to it, so no concurrent write is lost; its
 * metadata stays. Same errnos.
 */
int untorn_btt_pread(struct untorn_btt *btt, void *buf, size_t len, uint64_t off);
int untorn_btt_pwrite(struct untorn_btt *btt, const void *buf, size_t len, uint64_t off, unsigned flags);

/* Commit everything that is buffered and make it durable. Returns at once when nothing is. */
int untorn_btt_flush(struct untorn_btt *btt);

/*
 * Make n sectors read as zeros, durably on return, with or without UNTORN_BTT_DURABLE. Where has_zero_state says so, that sets
 * the zero state of their map entries and no data is written; else zeros are written into those that do not read as zeros
 * already. discard and write_zeroes differ in intent only. The byte form writes zeros into partial sectors at its ends. SPEC 4.
 */
int untorn_btt_discard(struct untorn_btt *btt, uint64_t lba, uint64_t n);
int untorn_btt_write_zeroes(struct untorn_btt *btt, uint64_t lba, uint64_t n);
int untorn_btt_pwrite_zeroes(struct untorn_btt *btt, uint64_t len, uint64_t off, unsigned flags);

/* Put one sector into error state: reads give -EIO until it is written. Durable on return. SPEC 4, 7. */
int untorn_btt_mark_error(struct untorn_btt *btt, uint64_t lba);

/* ------------------------------------------------------------------- inspect ---------------------------------------------- */

enum untorn_btt_state {
	UNTORN_BTT_INITIAL, /* never written: the block of the same number (pmemblk: zeros) */
	UNTORN_BTT_ERROR,
	UNTORN_BTT_ZERO,
	UNTORN_BTT_NORMAL,
};

/* "initial", "error", "zero" or "normal". Never NULL. */
const char *untorn_btt_state_name(enum untorn_btt_state state);

struct untorn_btt_mapping {
	enum untorn_btt_state state;
	uint32_t arena;
	uint32_t premap;    /* lba within the arena */
	uint32_t postmap;   /* block within the arena */
	uint32_t raw;       /* the map entry as on media */
	uint64_t map_off;   /* media byte of the map entry */
	uint64_t block_off; /* media byte of the block */
};

/* Where one lba lives. Not coherent with writers: for inspection. -ERANGE, -EIO. */
int untorn_btt_lookup(struct untorn_btt *btt, uint64_t lba, struct untorn_btt_mapping *ret_mapping);

/*
 * How many sectors from lba on, at most n, are alike: all known to read as zeros (*ret_zero = 1), or not (0). Initial sectors
 * count as zeros where the layout or a hole in the medium says so. -ERANGE, -EIO.
 */
int untorn_btt_extent(struct untorn_btt *btt, uint64_t lba, uint64_t n, uint64_t *ret_n, int *ret_zero);

struct untorn_btt_flog_entry {
	uint32_t lba, old_map, new_map, seq; /* raw */
};

struct untorn_btt_flog {
	struct untorn_btt_flog_entry slot[2];
	int current;         /* 0 or 1 */
	uint64_t off;        /* media byte of the group */
	uint32_t free_block; /* what the lane would write next */
};

/* One lane's flog as it is on media now. -ERANGE, -EIO. */
int untorn_btt_get_flog(struct untorn_btt *btt, uint32_t arena, uint32_t lane, struct untorn_btt_flog *ret_flog);

/* --------------------------------------------------------------- check and repair ----------------------------------------- */

enum untorn_severity {
	UNTORN_NOTE,  /* worth knowing, nothing wrong: an interrupted write that open will finish */
	UNTORN_ERROR, /* an invariant is broken */
};

/*
 * Every kind of finding. X(symbol, "name", severity, "what it endangers").
 */
#define UNTORN_FINDINGS(X)                                                                                            \
	X(NO_BTT, "no-btt", ERROR, "nothing here can be read as sectors")                                             \
	X(AMBIGUOUS, "ambiguous-layout", ERROR, "two layouts are valid at once: the wrong one would read garbage")    \
	X(POOL_HEADER, "pool-header", ERROR, "PMDK refuses to open the pool")                                         \
	X(NOT_LAID_OUT, "not-laid-out", NOTE, "nothing: the pool was never written and reads as zeros")               \
	X(INFO_SIGNATURE, "info-signature", ERROR, "the arena is not recognised: its sectors cannot be read")         \
	X(INFO_CHECKSUM, "info-checksum", ERROR, "the arena is refused: its sectors cannot be read")                  \
	X(INFO_PARENT, "info-parent-uuid", ERROR, "the arena belongs to another container and is refused")            \
	X(INFO_VERSION, "info-version", ERROR, "software that knows other versions refuses or misreads the arena")    \
	X(INFO_UUID, "info-uuid", ERROR, "the arena belongs to another BTT")                                          \
	X(INFO_GEOMETRY, "info-geometry", ERROR, "sectors would be read and written at wrong places")                 \
	X(INFO_CHAIN, "arena-chain", ERROR, "sectors of later arenas cannot be reached")                              \
	X(INFO_ERROR_FLAG, "arena-error-flag", ERROR, "the arena is in error state: every write to it fails")         \
	X(INFO_BACKUP, "info-backup", ERROR, "a damaged primary info block could not be restored")                    \
	X(FLOG_PADDING, "flog-padding", ERROR, "Linux refuses the whole BTT")                                         \
	X(FLOG_OLD_PADDING, "flog-old-padding", NOTE, "nothing: slots 0 and 2 live, as Linux before 4.15 wrote them") \
	X(FLOG_SEQ, "flog-seq", ERROR, "the lane's last write is unknown: opening is refused")                        \
	X(FLOG_LBA, "flog-lba", ERROR, "replay would change a map entry that does not exist")                         \
	X(FLOG_BLOCK, "flog-block", ERROR, "the lane would write outside the data area")                              \
	X(FLOG_PENDING, "flog-pending", NOTE, "nothing: an interrupted write that the next open finishes")            \
	X(FLOG_TWICE, "flog-pending-twice", ERROR, "two interrupted writes of one sector: which is newer is unknown") \
	X(FREE_TWICE, "free-block-twice", ERROR, "two lanes would write into one block: sectors would tear")          \
	X(FREE_MAPPED, "free-block-mapped", ERROR, "the next write of the lane destroys a sector in place")           \
	X(MAP_RANGE, "map-range", ERROR, "the sector points outside the data area: it cannot be read or written")     \
	X(MAP_TWICE, "map-twice", ERROR, "two sectors share a block: at least one of them reads another's data")      \
	X(MAP_ERROR, "map-error", NOTE, "the sector is in error state: reads fail until it is written")               \
	X(BLOCK_LOST, "block-lost", ERROR, "nothing refers to the block: the matching fault is another finding")      \
	X(MEDIA, "media-error", ERROR, "this part of the medium cannot be read")

enum untorn_finding_kind {
#define UNTORN_FINDING_SYMBOL(symbol, name, severity, danger) UNTORN_FINDING_##symbol,
	UNTORN_FINDINGS(UNTORN_FINDING_SYMBOL)
#undef UNTORN_FINDING_SYMBOL
		UNTORN_FINDING_KINDS
};

struct untorn_finding {
	enum untorn_finding_kind kind;
	int arena;               /* -1: not of one arena */
	uint64_t off;            /* media byte of what was looked at */
	const char *field;       /* constant name of the place: "mapoff", "map entry", "lane", ... */
	uint64_t index;          /* lane, lba within the arena, or block number, where field is one of those */
	uint64_t seen, expected; /* for ranges, expected is the first value that is too large */
	int repairable; /* 1: untorn_btt_check() with UNTORN_REPAIR_APPLY mends it; 2: only with UNTORN_REPAIR_FORCE; 0: never */
};

const char *untorn_finding_name(enum untorn_finding_kind kind);
const char *untorn_finding_danger(enum untorn_finding_kind kind);
enum untorn_severity untorn_finding_severity(enum untorn_finding_kind kind);

struct untorn_repair_step {
	enum untorn_finding_kind kind; /* what it mends */
	int arena;
	const char *action;     /* constant sentence: "copy the backup info block over the primary", ... */
	const char *field;      /* as in the finding */
	uint64_t off, len;      /* media bytes that change */
	uint64_t index;         /* lane or lba */
	uint64_t before, after; /* values, where the step changes one; else both 0 */
};

enum untorn_repair_mode {
	UNTORN_REPAIR_NONE,  /* look only */
	UNTORN_REPAIR_PLAN,  /* report the steps, write nothing */
	UNTORN_REPAIR_APPLY, /* report each step and do it */
};

enum {
	/*
	 * Also restore from a backup whose parent uuid is null (may revive a destroyed BTT), clear the error flag of an arena
	 * that is sound, and mend what only the geometry rules vouch for.
	 */
	UNTORN_REPAIR_FORCE = 1u << 3,
	UNTORN_REPAIR_REWRITE_LOG = 1u << 4, /* convert flog slots {0,2} to {0,1} */
};

struct untorn_btt_check_options {
	enum untorn_btt_layout layout;
	const uint8_t *parent_uuid; /* as in open */
	enum untorn_repair_mode repair;
	unsigned flags; /* UNTORN_REPAIR_FORCE, UNTORN_REPAIR_REWRITE_LOG */
	/* Called for each finding and each step; a return other than 0 ends the check and is returned. May be NULL. */
	int (*finding)(void *arg, const struct untorn_finding *finding);
	int (*step)(void *arg, const struct untorn_repair_step *step);
	/* done of total, in sectors looked at; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct untorn_btt_check_result {
	uint64_t notes, errors; /* findings by severity */
	uint64_t repaired;      /* errors mended (PLAN: that would be) */
	uint64_t left;          /* errors that stay */
	uint64_t nlba;          /* sectors looked at */
	uint32_t narena;
};

/*
 * Check every invariant of SPEC 1.3, 1.4 and 6.5 in one pass, and report all findings; with repair, mend what can be mended
 * without inventing data. Needs one bit of memory per block of the largest arena. A repair is durable on return and, when
 * interrupted, can simply be run again. Must not run while the volume is open.
 *
 * Returns 0 when checking was possible, whatever was found (ret_result says); negative errno when it was not: -EROFS (apply
 * on a read-only medium), -EIO, -ENOMEM, or what a callback returned.
 */
int untorn_btt_check(struct untorn_media *media, const struct untorn_btt_check_options *options,
		     struct untorn_btt_check_result *ret_result);

#ifdef __cplusplus
}
#endif

#endif
