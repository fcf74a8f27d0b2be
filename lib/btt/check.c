/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Check: one walk over a volume that tells every invariant it breaks, and, when asked, mends what can be mended.
 *
 * Nothing on the medium is trusted: all values are bounded before they are used, a page that cannot be read is a finding
 * like any other, and memory is a bit or two per block of one arena. Arenas are where SPEC 1.4 says that they are, by the
 * container's size alone, so a bad one does not hide those behind it.
 *
 * Per arena: look (silent), tell all findings, mend inside (interrupted writes, lanes, map), then the info blocks, then the
 * error flag. An arena that nobody would open stays so until its inside is sound.
 */
#include "btt/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* -------------------------------------------------------- kinds of findings ----------------------------------------------- */

static const struct {
	const char *name, *danger;
	enum untorn_severity severity;
} kinds[] = {
#define UNTORN_FINDING_ROW(symbol, text, level, what) \
	[UNTORN_FINDING_##symbol] = {.name = text, .danger = what, .severity = UNTORN_##level},
	UNTORN_FINDINGS(UNTORN_FINDING_ROW)
#undef UNTORN_FINDING_ROW
};

const char *untorn_finding_name(enum untorn_finding_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kinds) ? kinds[kind].name : "unknown";
}

const char *untorn_finding_danger(enum untorn_finding_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kinds) ? kinds[kind].danger : "unknown";
}

enum untorn_severity untorn_finding_severity(enum untorn_finding_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kinds) ? kinds[kind].severity : UNTORN_ERROR;
}

/* ------------------------------------------------------------ report ------------------------------------------------------ */

bool check_mends(const struct check *c, int mendable)
{
	return c->options->repair != UNTORN_REPAIR_NONE &&
	       (mendable == 1 || (mendable == 2 && (c->options->flags & UNTORN_REPAIR_FORCE)));
}

int check_report(struct check *c, const struct untorn_finding *finding)
{
	if (untorn_finding_severity(finding->kind) == UNTORN_NOTE) {
		c->result.notes++;
	} else {
		c->result.errors++;
		if (check_mends(c, finding->repairable))
			c->result.repaired++;
		else
			c->result.left++;
	}
	return c->options->finding ? c->options->finding(c->options->arg, finding) : 0;
}

int check_step(struct check *c, const struct untorn_repair_step *step)
{
	return c->options->step ? c->options->step(c->options->arg, step) : 0;
}

/* ------------------------------------------------------------ layout ------------------------------------------------------ */

/* The pool-set uuid counts when the header is intact, or damaged in other fields only. */
static bool knows_poolset_uuid(const struct check *c)
{
	struct pool_header header;
	bool is_proven;

	if (c->pool_err == 0)
		return true;
	if (c->pool_err != -EUCLEAN && c->pool_err != -ENXIO)
		return false;
	if (!check_pool_header_is_damaged(c))
		return c->pool_err == -EUCLEAN;
	check_pool_candidate(c, &header, &is_proven);
	return is_proven;
}

static void read_pool(struct check *c)
{
	struct pool_descriptor descriptor;

	c->pool_err = pool_read(c->media, &c->pool, &c->pool_field);
	/* Without its signature it may still be one. */
	if (c->pool_err == -ENXIO && untorn_media_size(c->media) >= POOL_BTT_OFF &&
	    untorn_media_read(c->media, 0, &c->pool.header, sizeof(c->pool.header)) == 0 &&
	    untorn_media_read(c->media, POOL_HEADER_SIZE, &descriptor, sizeof(descriptor)) == 0)
		c->pool.bsize = le32_get(descriptor.bsize);
	if (knows_poolset_uuid(c))
		c->parent_uuid = c->pool.header.poolset_uuid;
}

/*
 * The layout that the most speaks for. Signatures alone, or a primary that its backup does not vouch for, decide only where
 * nothing speaks for another layout. Both results are NULL when there is nothing at all.
 */
static int weigh_layouts(struct check *c, const struct btt_profile **ret_profile, bool *ret_ambiguous)
{
	static const enum untorn_btt_layout layouts[] = {UNTORN_BTT_V1_1, UNTORN_BTT_V2_0, UNTORN_BTT_PMEMBLK};
	enum evidence best = EVIDENCE_NONE, second = EVIDENCE_NONE;

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct btt_profile *profile = btt_profile(layouts[i]);
		int r = check_infos_look(c, profile);

		if (r < 0)
			return r;

		enum evidence evidence = check_infos_evidence(c, profile);

		if (evidence > best) {
			second = best;
			best = evidence;
			*ret_profile = profile;
		} else if (evidence > second) {
			second = evidence;
		}
	}
	*ret_ambiguous =
		best != EVIDENCE_NONE && (second == best || (second != EVIDENCE_NONE && best < EVIDENCE_BACKUP));
	return 0;
}

/* c->profile stays NULL when no layout can be told; then a finding says why. */
static int choose_layout(struct check *c)
{
	const struct btt_profile *profile = btt_profile(c->options->layout);
	bool ambiguous = false;
	int r = 0;

	c->parent_uuid = c->options->parent_uuid;
	c->pool_err = -ENXIO;
	if (!profile || profile->layout == UNTORN_BTT_PMEMBLK)
		read_pool(c);
	if (!profile && (c->pool_err == 0 || c->pool_err == -EUCLEAN || c->pool_err == -EOPNOTSUPP))
		profile = btt_profile(UNTORN_BTT_PMEMBLK);
	if (!profile)
		r = weigh_layouts(c, &profile, &ambiguous);
	if (r < 0)
		return r;
	if (!profile || ambiguous) {
		const struct untorn_finding finding = {
			.kind = ambiguous ? UNTORN_FINDING_AMBIGUOUS : UNTORN_FINDING_NO_BTT,
			.arena = -1,
			.field = "info block",
		};

		return check_report(c, &finding);
	}
	c->profile = profile;
	return check_infos_look(c, profile);
}

/* ------------------------------------------------------------- walk ------------------------------------------------------- */

/* A derived info block is believed when the flog and the map that it points to are a flog and a map. */
static void judge_derived(struct check_arena *a, const struct inside *in)
{
	if (in->is_complete && in->flog_is_sound && in->nrange == 0)
		return;
	a->is_usable = false;
	a->mendable = 0;
}

static int check_inside(struct check *c, uint32_t arena, struct inside *in)
{
	struct check_arena *a = &c->arenas[arena];
	int r;

	r = inside_look(c, arena, in);
	if (r == 0 && a->is_derived)
		judge_derived(a, in);
	if (r == 0)
		r = check_info_tell(c, arena);
	if (r != 0 || !a->is_usable)
		return r;

	c->result.nlba += a->info.geometry.external_nlba;
	r = inside_tell(c, in);
	if (r == 0 && check_mends(c, a->mendable))
		r = repair_inside(c, in);
	return r;
}

static int check_arena(struct check *c, uint32_t arena)
{
	struct check_arena *a = &c->arenas[arena];
	uint64_t left = c->result.left;
	struct inside in = {0};
	int r;

	c->result.narena++;
	if (!a->is_usable)
		return check_info_tell(c, arena);

	r = check_inside(c, arena, &in);
	inside_done(&in);
	if (r == 0 && check_mends(c, a->mendable))
		r = repair_info(c, arena);
	if (r == 0 && check_has_error_flag(a)) {
		bool is_clean = c->result.left == left;

		r = check_error_flag_tell(c, arena, is_clean);
		if (r == 0 && is_clean && check_mends(c, 2))
			r = repair_error_flag(c, arena);
	}
	return r;
}

static int check_volume(struct check *c)
{
	bool go;
	int r;

	r = choose_layout(c);
	if (r != 0 || !c->profile)
		return r;
	check_infos_resolve(c);
	r = check_volume_tell(c, &go);

	for (uint32_t i = 0; go && i < c->narena; i++)
		if (c->arenas[i].is_usable)
			c->total += c->arenas[i].info.geometry.external_nlba;
	for (uint32_t i = 0; r == 0 && go && i < c->narena; i++)
		r = check_arena(c, i);
	if (r == 0 && c->profile->layout == UNTORN_BTT_PMEMBLK && c->narena > 0)
		r = repair_pool(c);
	return r;
}

int untorn_btt_check(struct untorn_media *media, const struct untorn_btt_check_options *options,
		     struct untorn_btt_check_result *ret_result)
{
	static const struct untorn_btt_check_options defaults;
	_cleanup_free_ struct check *c = NULL;
	int r;

	if (!options)
		options = &defaults;
	if (!media || !ret_result || options->layout > UNTORN_BTT_PMEMBLK || options->repair > UNTORN_REPAIR_APPLY ||
	    (options->flags & ~(UNTORN_REPAIR_FORCE | UNTORN_REPAIR_REWRITE_LOG)))
		return -EINVAL;
	if (options->repair == UNTORN_REPAIR_APPLY && untorn_media_is_read_only(media))
		return -EROFS;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->media = media;
	c->options = options;
	r = check_volume(c);
	free(c->arenas);
	if (r == 0)
		*ret_result = c->result;
	return r;
}
