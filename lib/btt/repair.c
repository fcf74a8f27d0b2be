/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mending what was found: the only writer of a check.
 *
 * Each step is reported first and, when applying, done. Whatever a power cut leaves, running the repair again finds it damaged in
 * no other way than before, or mended:
 *
 *   - interrupted writes are finished before anything else, durably: afterwards no flog entry is needed;
 *   - nothing is invented: a sector whose content is in doubt goes into error state, and a block that somebody refers to is
 *     never given away. There are as many unreferenced blocks as are needed (check-map.c);
 *   - a lane is rebuilt within one cache line, whose stores reach the medium in program order: first a sequence number that
 *     nobody accepts, last the one that makes it valid;
 *   - all sectors that share a block are in error state before any of them gets another one: a cut between the two must
 *     not leave one that looks as if it had never shared;
 *   - of an info block the checksum tells whether it was written to the end, and the other copy is intact by then.
 */
#include <string.h>

#include "btt/check.h"

/* The number that a lane carries while it is being rebuilt. */
#define SEQ_INVALID UINT32_MAX

/* ------------------------------------------------------------ stores ----------------------------------------------------- */

struct store {
	struct untorn_media *media;
	uint64_t off, value;
	bool wide;
};

static int do_store(void *arg)
{
	const struct store *s = arg;
	uint8_t *p = s->media->base + s->off;

	if (s->wide)
		media_store64(s->media, (le64 *)p, s->value);
	else
		media_store32(s->media, (le32 *)p, (uint32_t)s->value);
	media_flush(s->media, p, s->wide ? sizeof(le64) : sizeof(le32));
	return 0;
}

/* Atomic, flushed, not yet drained. */
static int store32(struct check *c, uint64_t off, uint32_t value)
{
	struct store s = {.media = c->media, .off = off, .value = value};

	return media_guarded(c->media, do_store, &s);
}

static int store64(struct check *c, uint64_t off, uint64_t value)
{
	struct store s = {.media = c->media, .off = off, .value = value, .wide = true};

	return media_guarded(c->media, do_store, &s);
}

static bool applies(const struct check *c)
{
	return c->options->repair == UNTORN_REPAIR_APPLY;
}

/* ------------------------------------------------------------ blocks ----------------------------------------------------- */

struct mend {
	struct check *c;
	struct inside *in;
	uint64_t next_block; /* unreferenced ones are looked for from here on */
	bool dirty;          /* there are stores to drain */
};

static int step_store32(struct mend *m, struct untorn_repair_step *step)
{
	int r;

	step->len = sizeof(le32);
	r = check_step(m->c, step);
	if (r != 0 || !applies(m->c))
		return r;
	m->dirty = true;
	return store32(m->c, step->off, (uint32_t)step->after);
}

static int persist(struct mend *m)
{
	if (!m->dirty)
		return 0;
	m->dirty = false;
	return media_drain(m->c->media);
}

/* A block that nobody refers to; from now on somebody does. -EIO: the medium changed under the check. */
static int take_block(struct mend *m, uint32_t *ret_block)
{
	struct inside *in = m->in;

	for (;; m->next_block++) {
		m->next_block = bitmap_next(&in->used, m->next_block, in->used.nbits, false);
		if (m->next_block >= in->used.nbits)
			return -EIO;
		if (!bitmap_get(&in->dup, m->next_block))
			break;
	}
	bitmap_set(&in->used, m->next_block);
	*ret_block = (uint32_t)m->next_block++;
	return 0;
}

/* ------------------------------------------------------- interrupted writes ---------------------------------------------- */

static int finish_write(struct mend *m, const struct check_pending *p)
{
	struct untorn_repair_step step = {
		.kind = p->is_in_doubt ? UNTORN_FINDING_FLOG_TWICE : UNTORN_FINDING_FLOG_PENDING,
		.arena = m->in->number,
		.action = p->is_in_doubt ? "put the sector into error state: its newest interrupted write is unknown"
					 : "finish the interrupted write",
		.field = "map entry",
		.off = inside_entry_off(m->in, p->lba),
		.index = p->lba,
		.before = p->before,
		.after = p->after,
	};

	return step_store32(m, &step);
}

static int finish_writes(struct mend *m)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->in->npending; i++) {
		struct check_pending *p = &m->in->pending[i];

		if (p->is_in_doubt)
			p->after = (p->after & BTT_MAP_BLOCK) | BTT_MAP_ERROR;
		if (!p->is_second)
			r = finish_write(m, p);
	}
	/* Power cut here: some are finished; the flog still has the others. */
	return r == 0 ? persist(m) : r;
}

/* ------------------------------------------------------------ lanes ------------------------------------------------------ */

/* Zero a slot that is not current. */
static int zero_slot(struct check *c, uint64_t off)
{
	int r = store64(c, off + offsetof(struct btt_flog_slot, new_map), 0);

	return r < 0 ? r : store64(c, off, 0);
}

static int store_slot(struct check *c, uint64_t off, struct flog_slot v)
{
	int r = store64(c, off, (uint64_t)v.old_map << 32 | v.lba);

	return r < 0 ? r : store64(c, off + offsetof(struct btt_flog_slot, new_map), (uint64_t)v.seq << 32 | v.new_map);
}

static int empty_padding(struct mend *m, uint32_t l)
{
	const struct inside *in = m->in;
	struct untorn_repair_step step = {
		.kind = UNTORN_FINDING_FLOG_PADDING,
		.arena = in->number,
		.action = "zero the slots that must be empty",
		.field = "lane",
		.off = inside_group_off(in, l),
		.len = sizeof(struct btt_flog_group),
		.index = l,
	};
	int r = check_step(m->c, &step);

	m->dirty |= applies(m->c);
	for (unsigned s = 1; r == 0 && applies(m->c) && s < BTT_FLOG_SLOTS; s++)
		if (s != flog_slot_number(in->padding, 1))
			r = zero_slot(m->c, inside_slot_off(in, l, s));
	return r;
}

/* An ordinary write of the log: the slot that is not current gets the entry once more, with the next number. */
static int fill_slot0(struct mend *m, uint32_t l)
{
	const struct inside *in = m->in;
	struct flog_slot entry = in->lanes[l].entry;
	struct untorn_repair_step step = {
		.kind = UNTORN_FINDING_FLOG_PADDING,
		.arena = in->number,
		.action = "write the lane's log entry into slot 0 too",
		.field = "lane",
		.off = inside_group_off(in, l),
		.len = sizeof(struct btt_flog_slot),
		.index = l,
	};
	int r = check_step(m->c, &step);

	if (r != 0 || !applies(m->c))
		return r;
	m->dirty = true;
	entry.seq = flog_next_seq(entry.seq);
	return store_slot(m->c, inside_slot_off(in, l, 0), entry);
}

/*
 * A lane whose log says nothing that can be used: a free block, never written to. Until the last store the number in slot 0
 * makes the lane invalid, whatever else stands in its line.
 */
static int store_lane(struct check *c, const struct inside *in, uint32_t l, struct flog_slot entry)
{
	uint64_t off = inside_group_off(in, l);
	int r = store64(c, off + offsetof(struct btt_flog_slot, new_map), (uint64_t)SEQ_INVALID << 32);

	for (unsigned s = 1; r == 0 && s < BTT_FLOG_SLOTS; s++)
		r = zero_slot(c, off + s * sizeof(struct btt_flog_slot));
	return r < 0 ? r : store_slot(c, off, entry);
}

static int rebuild_lane(struct mend *m, uint32_t l)
{
	const struct inside *in = m->in;
	struct untorn_repair_step step = {
		.kind = in->lanes[l].fault,
		.arena = in->number,
		.action = "give the lane an unreferenced block",
		.field = "lane",
		.off = inside_group_off(in, l),
		.len = sizeof(struct btt_flog_group),
		.index = l,
		.before = in->lanes[l].block,
	};
	struct flog_slot entry = {.lba = l % in->arena->info.geometry.external_nlba, .seq = 1};
	uint32_t block;
	int r;

	r = take_block(m, &block);
	if (r < 0)
		return r;
	entry.old_map = entry.new_map = block | m->c->profile->flog_flags;
	step.after = block;
	r = check_step(m->c, &step);
	if (r != 0 || !applies(m->c))
		return r;
	m->dirty = true;
	return store_lane(m->c, in, l, entry);
}

static int mend_lanes(struct mend *m)
{
	const struct inside *in = m->in;
	int r = 0;

	for (uint32_t l = 0; r == 0 && l < in->arena->info.geometry.nfree; l++) {
		const struct check_lane *lane = &in->lanes[l];

		if (lane->padding_is_dirty)
			r = empty_padding(m, l);
		if (r == 0 && lane->slot0_is_zero && lane->fault == NO_FAULT)
			r = fill_slot0(m, l);
		if (r == 0 && lane->fault != NO_FAULT && in->is_complete)
			r = rebuild_lane(m, l);
	}
	/* Power cut here: each lane is as it was, invalid, or mended. */
	return r == 0 ? persist(m) : r;
}

/* ------------------------------------------------------------- map ------------------------------------------------------- */

static struct untorn_repair_step entry_step(const struct inside *in, uint32_t lba, enum untorn_finding_kind kind,
					    const char *action)
{
	return (struct untorn_repair_step){
		.kind = kind,
		.arena = in->number,
		.action = action,
		.field = "map entry",
		.off = inside_entry_off(in, lba),
		.index = lba,
	};
}

/* Call fn with each entry that needs mending: those of shared blocks, and those out of range. */
static int each_bad_entry(const struct inside *in, const struct map_run *run,
			  int (*fn)(struct mend *m, uint32_t lba, uint32_t entry, uint32_t block), struct mend *m)
{
	uint64_t end = (uint64_t)run->lba + run->n;
	int r = 0;

	if (!run->is_readable)
		return 0;
	if (!run->entries) {
		for (uint64_t lba = bitmap_next(&in->dup, run->lba, end, true); r == 0 && lba < end;
		     lba = bitmap_next(&in->dup, lba + 1, end, true))
			r = fn(m, (uint32_t)lba, BTT_MAP_INITIAL, (uint32_t)lba);
		return r;
	}
	for (uint32_t i = 0; r == 0 && i < run->n; i++) {
		uint32_t lba = run->lba + i, entry = le32_get(run->entries[i]), block = map_entry_block(entry, lba);

		if (block >= in->used.nbits || bitmap_get(&in->dup, block))
			r = fn(m, lba, entry, block);
	}
	return r;
}

static int flag_sharer(struct mend *m, uint32_t lba, uint32_t entry, uint32_t block)
{
	struct untorn_repair_step step = entry_step(m->in, lba, UNTORN_FINDING_MAP_TWICE,
						    "put the sector into error state: it shares its block");

	if (block >= m->in->used.nbits || entry == (block | BTT_MAP_ERROR))
		return 0;
	step.before = entry;
	step.after = block | BTT_MAP_ERROR;
	return step_store32(m, &step);
}

static int flag_run(void *arg, const struct map_run *run)
{
	struct mend *m = arg;

	return each_bad_entry(m->in, run, flag_sharer, m);
}

/* The first owner of a shared block keeps it; that it was met is noted by clearing its bit among the used ones. */
static int move_entry(struct mend *m, uint32_t lba, uint32_t entry, uint32_t block)
{
	struct untorn_repair_step step;
	bool is_shared = block < m->in->used.nbits;
	uint32_t other;
	int r;

	if (is_shared && bitmap_get(&m->in->used, block)) {
		bitmap_clear(&m->in->used, block);
		return 0;
	}
	step = is_shared ? entry_step(m->in, lba, UNTORN_FINDING_MAP_TWICE, "give the sector an unreferenced block")
			 : entry_step(m->in, lba, UNTORN_FINDING_MAP_RANGE,
				      "give the sector an unreferenced block, in error state");
	r = take_block(m, &other);
	if (r < 0)
		return r;
	step.before = is_shared ? (block | BTT_MAP_ERROR) : entry;
	step.after = other | BTT_MAP_ERROR;
	return step_store32(m, &step);
}

static int move_run(void *arg, const struct map_run *run)
{
	struct mend *m = arg;

	return each_bad_entry(m->in, run, move_entry, m);
}

static int mend_map(struct mend *m)
{
	int r = 0;

	if (m->in->nshared)
		r = inside_each_run(m->c, m->in, flag_run, m);
	/* Power cut here: some of them are in error state; they still share. */
	if (r == 0)
		r = persist(m);
	if (r == 0 && (m->in->nshared || m->in->nrange))
		r = inside_each_run(m->c, m->in, move_run, m);
	/* Power cut here: each entry is as it was or mended. */
	return r == 0 ? persist(m) : r;
}

/* ---------------------------------------------------------- rewrite log -------------------------------------------------- */

/*
 * Move a lane's entry to slot 0 with number 1, and zero slot 2: ordinary log writes of the same entry, to the slot that is not
 * current, until slot 0 is current with number 1. After each store the entry is what every reader takes for current, the rule of
 * Linux included, which would take slot 2 if slot 0 stood alone with number 2 or 3 (SPEC 5.3). All of it is one cache
 * line. The flog counts as {0,2} until the last lane is through, and as {0,1} then.
 */
static int rewrite_lane(struct mend *m, uint32_t l)
{
	const struct inside *in = m->in;
	struct btt_flog_group group;
	uint32_t seq[2];
	int live, r;

	r = untorn_media_read(m->c->media, inside_group_off(in, l), &group, sizeof(group));
	if (r < 0)
		return r;
	for (unsigned i = 0; i < 2; i++)
		seq[i] = le32_get(group.slot[2 * i].seq);
	live = flog_current(seq[0], seq[1]);
	if (live < 0)
		return 0; /* a lane that could not be mended */

	struct flog_slot entry = flog_slot_load(&group.slot[2 * live]);

	m->dirty = true;
	while (r == 0 && (live == 1 || entry.seq != 1)) {
		live = !live;
		entry.seq = flog_next_seq(entry.seq);
		r = store_slot(m->c, inside_slot_off(in, l, live ? 2 : 0), entry);
	}
	return r == 0 ? zero_slot(m->c, inside_slot_off(in, l, 2)) : r;
}

static int rewrite_log(struct mend *m)
{
	const struct inside *in = m->in;
	int r = 0;

	for (uint32_t l = 0; r == 0 && l < in->arena->info.geometry.nfree; l++) {
		const struct check_lane *lane = &in->lanes[l];
		const struct untorn_repair_step step = {
			.kind = UNTORN_FINDING_FLOG_OLD_PADDING,
			.arena = in->number,
			.action = "move the lane's log entry to slot 0",
			.field = "lane",
			.off = inside_group_off(in, l),
			.len = sizeof(struct btt_flog_group),
			.index = l,
		};

		/* A rebuilt lane is there already; one that could not be rebuilt stays. */
		if (!lane->is_readable || lane->fault != NO_FAULT ||
		    is_zero(&in->groups[l].slot[2], sizeof(struct btt_flog_slot)))
			continue;
		r = check_step(m->c, &step);
		if (r == 0 && applies(m->c))
			r = rewrite_lane(m, l);
	}
	/* Power cut here: each lane is somewhere on its way. */
	return r == 0 ? persist(m) : r;
}

int repair_inside(struct check *c, struct inside *in)
{
	struct mend m = {.c = c, .in = in};
	int r;

	r = finish_writes(&m);
	if (r == 0)
		r = mend_lanes(&m);
	if (r == 0 && in->is_complete)
		r = mend_map(&m);
	if (r == 0 && in->padding == UNTORN_BTT_PADDING_02 && (c->options->flags & UNTORN_REPAIR_REWRITE_LOG))
		r = rewrite_log(&m);
	return r;
}

/* ---------------------------------------------------------- info blocks -------------------------------------------------- */

static int step_info(struct check *c, uint32_t arena, enum untorn_finding_kind kind, const char *action, uint64_t off,
		     const struct btt_info_block *block)
{
	const struct untorn_repair_step step = {
		.kind = kind,
		.arena = arena,
		.action = action,
		.field = "info block",
		.off = off,
		.len = sizeof(*block),
	};
	int r = check_step(c, &step);

	/* Power cut here: a mixture of the old block and the new one, whose checksum is wrong. */
	return r != 0 || !applies(c) ? r : untorn_media_write(c->media, off, block, sizeof(*block));
}

/* Backup first: from the moment that the primary is valid, programs use the arena. */
int repair_info(struct check *c, uint32_t arena)
{
	struct check_arena *a = &c->arenas[arena];
	bool chains = a->chain_is_broken && a->next_expected && check_mends(c, 2);
	bool fix_primary = a->fault != NO_FAULT && a->primary.is_readable;
	bool fix_backup = a->backup_is_bad && a->backup.is_readable;
	const char *to_primary = "copy the backup info block over the primary";
	const char *to_backup = "copy the primary info block over the backup";
	enum untorn_finding_kind kind = a->fault;
	int r = 0;

	if (a->is_derived)
		to_primary = to_backup = "write the info block anew, from another arena's and the rules of geometry";
	if (chains) {
		a->info.geometry.nextoff = a->next_expected;
		info_encode(&a->info, &a->want);
		fix_primary = a->primary.is_readable;
		fix_backup = a->backup.is_readable;
		to_primary = to_backup = "write the info block anew, with the next arena";
		kind = UNTORN_FINDING_INFO_CHAIN;
	}
	if (fix_backup)
		r = step_info(c, arena, chains ? kind : UNTORN_FINDING_INFO_BACKUP, to_backup,
			      a->off + a->info.geometry.info2off, &a->want);
	if (r == 0 && fix_primary)
		r = step_info(c, arena, kind, to_primary, a->off, &a->want);
	return r;
}

/*
 * The arena is sound again, so both copies may say so. A cut between the two leaves the flag in the primary: the arena stays in
 * error state until this is run again.
 */
int repair_error_flag(struct check *c, uint32_t arena)
{
	struct check_arena *a = &c->arenas[arena];
	const char *action = "clear the error state of the arena";
	struct btt_info_block block;
	int r;

	a->info.flags &= ~BTT_INFO_ERROR;
	info_encode(&a->info, &block);
	r = step_info(c, arena, UNTORN_FINDING_INFO_ERROR_FLAG, action, a->off + a->info.geometry.info2off, &block);
	return r == 0 ? step_info(c, arena, UNTORN_FINDING_INFO_ERROR_FLAG, action, a->off, &block) : r;
}

/* ------------------------------------------------------------- pool ------------------------------------------------------ */

static int repair_header(struct check *c)
{
	const struct untorn_repair_step step = {
		.kind = UNTORN_FINDING_POOL_HEADER,
		.arena = -1,
		.action = "write the pool header anew",
		.field = "pool header",
		.len = sizeof(struct pool_header),
	};
	struct pool_header header;
	bool is_proven;
	int r;

	r = check_step(c, &step);
	if (r != 0 || !applies(c))
		return r;
	check_pool_candidate(c, &header, &is_proven);
	/* Power cut here: a mixture of the damaged header and the new one, which is damaged too. */
	return untorn_media_write(c->media, 0, &header, sizeof(header));
}

static int repair_bsize(struct check *c)
{
	struct untorn_repair_step step = {
		.kind = UNTORN_FINDING_POOL_HEADER,
		.arena = -1,
		.action = "take the pool's sector size from the info block",
		.field = "bsize",
		.off = POOL_HEADER_SIZE + offsetof(struct pool_descriptor, bsize),
		.before = c->pool.bsize,
		.after = c->arenas[0].info.geometry.external_lbasize,
	};
	struct mend m = {.c = c};
	int r;

	r = step_store32(&m, &step);
	return r == 0 ? persist(&m) : r;
}

int repair_pool(struct check *c)
{
	int r = 0;

	if (check_mends(c, check_pool_header_mendable(c)))
		r = repair_header(c);
	if (r == 0 && check_pool_bsize_is_wrong(c) && check_mends(c, c->arenas[0].mendable))
		r = repair_bsize(c);
	return r;
}
