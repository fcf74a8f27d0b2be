/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small volume in memory whose every sector is known: for tests that damage, check, repair and read it.
 *
 * Its sectors were written a few times in no order, so map and flog are those of a volume in use.
 */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include <untorn/btt.h>

#include "btt/flog.h"
#include "btt/info.h"
#include "media/media.h"

struct sample_kind {
	const char *name;
	enum untorn_btt_layout layout;
	uint32_t sector_size; /* external_lbasize */
	const uint8_t *parent_uuid;
	bool old_padding; /* flog slots 0 and 2 */
};

/* One of each: 1.1 with a null parent, 2.0 with metadata bytes, a pool, and 2.0 with flog slots 0 and 2. */
enum { SAMPLE_V1_1, SAMPLE_V2_0, SAMPLE_POOL, SAMPLE_OLD, SAMPLE_KINDS };
extern const struct sample_kind sample_kinds[SAMPLE_KINDS];
extern const uint8_t sample_parent_uuid[16];

#define SAMPLE_SIZE ((16u << 20) + 16384)

struct sample {
	const struct sample_kind *kind;
	int fd;         /* what it was when new */
	uint8_t *bytes; /* SAMPLE_SIZE, between guard pages that nobody may touch */
	struct untorn_media *media;
	struct untorn_btt_info info;
	struct untorn_btt_arena_info arena;
	const uint8_t *content; /* what the sectors hold, in order */
};

/* The functions end the program when something fails that has nothing to do with what is tested. */
void sample_new(const struct sample_kind *kind, struct sample *ret_sample);
void sample_destroy(struct sample *s);

/* A private copy of what `original`, which came from sample_new() and is not to change, was when new. */
void sample_copy(const struct sample *original, struct sample *ret_sample);
void sample_free(struct sample *s);

struct btt_info_block *sample_primary(const struct sample *s);
struct btt_info_block *sample_backup(const struct sample *s);
void sample_seal(struct btt_info_block *block); /* with a right checksum */
le32 *sample_map(const struct sample *s);
uint32_t sample_block(const struct sample *s, uint32_t lba); /* that lba owns */

struct btt_flog_group *sample_group(const struct sample *s, uint32_t lane);
struct btt_flog_slot *sample_slot(const struct sample *s, uint32_t lane, unsigned live); /* live slot 0 or 1 */
struct btt_flog_slot *sample_current(const struct sample *s, uint32_t lane);
uint32_t sample_free_block(const struct sample *s, uint32_t lane);
uint64_t sample_off(const struct sample *s, const void *p); /* media byte of p */

/* The first lane from `from` whose last write is what its sector's map entry says. */
uint32_t sample_used_lane(const struct sample *s, uint32_t from);

/* Undo the map store of a used lane's last write, as if the power had gone before it. */
void sample_interrupt(const struct sample *s, uint32_t lane);

/*
 * Open image read-only and read every sector: those in errors must fail with -EIO, all others must hold what they should.
 * Prints what is wrong and returns false.
 */
bool sample_verify(const struct sample *s, uint8_t *image, const uint32_t *errors, size_t nerrors);

/* ------------------------------------------------------------ checks ----------------------------------------------------- */

#define REPORT_MAX 2048

struct report {
	int r;
	struct untorn_btt_check_result result;
	size_t nfindings, nsteps;
	struct untorn_finding findings[REPORT_MAX];
	struct untorn_repair_step steps[REPORT_MAX];
};

/* Check, and keep all that is told. options' callbacks are set here. */
void report_make(struct untorn_media *media, struct untorn_btt_check_options options, struct report *ret_report);
void report_print(const struct report *report);

#endif
