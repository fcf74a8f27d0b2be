/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the info blocks of a volume say, and which of them to believe.
 *
 * Each arena has two copies. Programs read the first and no other; the second lies behind everything that a volume's user
 * can write. A copy is
 *
 *   sound   when its signature, checksum and version are right and its fields are possible at its place;
 *   good    when it is sound and belongs: parent uuid of the container, uuid, version and sector size of most copies.
 *
 * Which copy an arena is taken for, and what the other becomes in a repair:
 *
 *   both good, equal      fine. Only the error flag differs: somebody was cut while setting it; see repair_error_flag().
 *   both good, different  the primary, as every reader does, except: (a) only the other one's nextoff agrees with there being
 *                         a next arena or none; (b) only the other one is what the rules of SPEC 3 give for its size.
 *   one good              that one.
 *   none good             the block that another arena's constants and the rules of SPEC 3 give, if the flog and the map that
 *                         it points to are a flog and a map.
 *
 * A backup outlives a BTT that was destroyed on purpose: tools zero the first 8 KiB of a namespace. So a first primary is
 * restored without being forced to only when
 *
 *   - its parent uuid is not null and is known to be the container's: given by the caller or by a pool's header; or
 *   - the primary is damaged and not gone: it still has the backup's uuid, or all the fields from flags to info2off.
 *     Of a zeroed or reused block neither is true.
 *
 * Later arenas follow the first: where that is alive, or may be restored, they may.
 */
#include <stdlib.h>
#include <string.h>

#include "btt/check.h"

/* ------------------------------------------------------------ fields ------------------------------------------------------ */

#define FIELD(member)                                                                                          \
	{                                                                                                      \
#member, offsetof(struct btt_info_block, member), sizeof(((struct btt_info_block *)0)->member) \
	}

static const struct info_field fields[] = {
	FIELD(signature),
	FIELD(uuid),
	FIELD(parent_uuid),
	FIELD(flags),
	FIELD(version_major),
	FIELD(version_minor),
	FIELD(external_lbasize),
	FIELD(external_nlba),
	FIELD(internal_lbasize),
	FIELD(internal_nlba),
	FIELD(nfree),
	FIELD(infosize),
	FIELD(nextoff),
	FIELD(dataoff),
	FIELD(mapoff),
	FIELD(logoff),
	FIELD(info2off),
	FIELD(padding),
	FIELD(checksum),
};

static const struct info_field whole_block = {"info block", 0, sizeof(struct btt_info_block)};

static const struct info_field *find_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return &whole_block;
}

/* Up to 8 bytes: integers as they are, texts and uuids so that their hexadecimal digits are in the order of the bytes. */
static uint64_t field_value(const struct btt_info_block *block, const struct info_field *field)
{
	const uint8_t *p = (const uint8_t *)block + field->off;
	size_t n = min_u64(field->size, 8);
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[field->size <= 8 ? n - 1 - i : i];
	return value;
}

static bool field_differs(const struct btt_info_block *a, const struct btt_info_block *b,
			  const struct info_field *field)
{
	return memcmp((const uint8_t *)a + field->off, (const uint8_t *)b + field->off, field->size) != 0;
}

/* The first one in which the blocks differ, which they do. */
static const struct info_field *first_difference(const struct btt_info_block *a, const struct btt_info_block *b)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(fields) && !field_differs(a, b, &fields[i]))
		i++;
	return &fields[i];
}

/* ------------------------------------------------------------- look ------------------------------------------------------- */

/* The verdict on one copy alone: fault and field, or soundness. */
static void judge(const struct check *c, const struct btt_profile *profile, const struct check_arena *a,
		  struct info_copy *copy)
{
	bool is_backup = copy->off != a->off;
	const char *field;

	switch (info_fault(&copy->block)) {
	case INFO_NO_SIGNATURE:
		copy->fault = UNTORN_FINDING_INFO_SIGNATURE;
		copy->field = find_field("signature");
		return;
	case INFO_BAD_CHECKSUM:
		copy->fault = UNTORN_FINDING_INFO_CHECKSUM;
		copy->field = find_field("checksum");
		return;
	case INFO_OK:
		break;
	}
	if (!info_version_ok(&copy->info, profile)) {
		copy->fault = UNTORN_FINDING_INFO_VERSION;
		copy->field = find_field(copy->info.version_minor == profile->version_minor ? "version_major"
											    : "version_minor");
		return;
	}
	field = info_field_fault(&copy->info, profile, a->room);
	if (!field && is_backup && a->off + copy->info.geometry.info2off != copy->off)
		field = "info2off";
	if (field) {
		copy->field = find_field(field);
		copy->fault = strcmp(field, "nextoff") == 0 ? UNTORN_FINDING_INFO_CHAIN : UNTORN_FINDING_INFO_GEOMETRY;
		return;
	}
	copy->is_sound = true;
	copy->fault = NO_FAULT;
	if (!info_parent_ok(&copy->info, profile, c->parent_uuid)) {
		copy->fault = UNTORN_FINDING_INFO_PARENT;
		copy->field = find_field("parent_uuid");
	}
}

static void look_at_copy(const struct check *c, const struct btt_profile *profile, const struct check_arena *a,
			 uint64_t off, struct info_copy *ret_copy)
{
	*ret_copy = (struct info_copy){.off = off};
	if (info_read(c->media, off, &ret_copy->block) < 0) {
		ret_copy->fault = UNTORN_FINDING_MEDIA;
		ret_copy->field = &whole_block;
		return;
	}
	ret_copy->is_readable = true;
	info_decode(&ret_copy->block, &ret_copy->info);
	judge(c, profile, a, ret_copy);
}

/* Where the backup is by the container's size alone. */
static uint64_t backup_off(const struct check_arena *a)
{
	return a->off + geometry_backup_off(a->room);
}

/*
 * The backup is where the primary says. When that cannot be believed, it is at the arena's end by the container's size, and
 * a damaged primary's word is taken where a sound block stands. SPEC 1.4.
 */
static void look_at_backup(const struct check *c, const struct btt_profile *profile, struct check_arena *a)
{
	uint64_t told = a->primary.info.geometry.info2off;
	bool is_possible = a->primary.is_readable && told >= BTT_BLOCK && is_aligned(told, BTT_BLOCK) &&
			   range_fits(told, BTT_BLOCK, a->room);

	if (is_possible)
		look_at_copy(c, profile, a, a->off + told, &a->backup);
	if (!is_possible || (!a->backup.is_sound && !a->primary.is_sound))
		look_at_copy(c, profile, a, backup_off(a), &a->backup);
}

int check_infos_look(struct check *c, const struct btt_profile *profile)
{
	uint64_t size = untorn_media_size(c->media);

	free(c->arenas);
	c->narena = geometry_narena(profile, size);
	c->arenas = calloc(c->narena + 1, sizeof(*c->arenas));
	if (!c->arenas)
		return -ENOMEM;
	for (uint64_t i = 0; i < c->narena; i++) {
		struct check_arena *a = &c->arenas[i];

		a->off = profile->base + i * BTT_ARENA_MAX;
		a->room = size - a->off;
		a->fault = NO_FAULT;
		look_at_copy(c, profile, a, a->off, &a->primary);
		look_at_backup(c, profile, a);
	}
	return 0;
}

static bool has_signature(const struct info_copy *copy)
{
	return copy->is_readable && copy->fault != UNTORN_FINDING_INFO_SIGNATURE;
}

static bool is_intact(const struct info_copy *copy)
{
	return copy->is_readable && info_fault(&copy->block) == INFO_OK;
}

static bool are_equal(const struct info_copy *x, const struct info_copy *y)
{
	return memcmp(&x->block, &y->block, sizeof(x->block)) == 0;
}

/*
 * What a volume's user writes can look like an info block of another layout, with a backup where the block says. So a backup
 * counts only at the end of the arena by the container's size, which in no layout is another one's data; but for pools of several
 * arenas, whose ends lie in data of version 2.0.
 */
static bool is_beyond_users(const struct check *c, const struct btt_profile *profile, uint64_t i)
{
	return c->arenas[i].backup.off == backup_off(&c->arenas[i]) &&
	       (profile->layout != UNTORN_BTT_PMEMBLK || i + 1 == c->narena);
}

enum evidence check_infos_evidence(const struct check *c, const struct btt_profile *profile)
{
	enum evidence best = EVIDENCE_NONE;

	for (uint64_t i = 0; i < c->narena; i++) {
		const struct check_arena *a = &c->arenas[i];
		bool has_backup = a->backup.is_sound && is_beyond_users(c, profile, i);
		enum evidence evidence = EVIDENCE_NONE;

		if (has_backup && are_equal(&a->primary, &a->backup))
			evidence = EVIDENCE_PAIR;
		else if (has_backup)
			evidence = EVIDENCE_BACKUP;
		else if (a->primary.is_sound)
			evidence = EVIDENCE_COPY;
		else if (has_signature(&a->primary))
			evidence = EVIDENCE_SIGNATURE;
		if (evidence > best)
			best = evidence;
	}
	return best;
}

/* ------------------------------------------------------------ resolve ----------------------------------------------------- */

static struct info_copy *nth_copy(const struct check *c, uint64_t n)
{
	return n % 2 ? &c->arenas[n / 2].backup : &c->arenas[n / 2].primary;
}

/*
 * The copy whose uuid, version and sector size the others are measured by: of the uuid that most sound copies have, those of
 * this container first, the first one. NULL: there is none.
 */
static const struct info_copy *find_reference(const struct check *c)
{
	const struct info_copy *best = NULL;
	uint64_t best_votes = 0;

	for (uint64_t n = 0; n < 2 * c->narena; n++) {
		const struct info_copy *copy = nth_copy(c, n);
		uint64_t votes = 0;

		if (!copy->is_sound)
			continue;
		for (uint64_t k = 0; k < 2 * c->narena; k++)
			votes += nth_copy(c, k)->is_sound &&
				 memcmp(nth_copy(c, k)->info.uuid, copy->info.uuid, BTT_UUID_LEN) == 0;
		if (copy->fault == NO_FAULT)
			votes += 2 * c->narena; /* more than all others together */
		if (votes > best_votes) {
			best_votes = votes;
			best = copy;
		}
	}
	return best;
}

static void measure(struct info_copy *copy, const struct info_copy *reference)
{
	if (!copy->is_sound || copy->fault != NO_FAULT)
		return;
	if (memcmp(copy->info.uuid, reference->info.uuid, BTT_UUID_LEN) != 0) {
		copy->fault = UNTORN_FINDING_INFO_UUID;
		copy->field = find_field("uuid");
	} else if (copy->info.version_major != reference->info.version_major) {
		copy->fault = UNTORN_FINDING_INFO_VERSION;
		copy->field = find_field("version_major");
	} else if (copy->info.geometry.external_lbasize != reference->info.geometry.external_lbasize) {
		copy->fault = UNTORN_FINDING_INFO_GEOMETRY;
		copy->field = find_field("external_lbasize");
	} else {
		copy->is_good = true;
	}
}

/* A next arena that belongs stands where nextoff would lead. */
static bool has_next(const struct check *c, uint64_t i)
{
	return i + 1 < c->narena && (c->arenas[i + 1].primary.is_good || c->arenas[i + 1].backup.is_good);
}

/* The block is what the rules of SPEC 3 give for an arena of its size. */
static bool is_canonical(const struct check *c, const struct info_copy *copy, uint64_t i)
{
	const struct btt_geometry *g = &copy->info.geometry;
	uint64_t off, size = g->nextoff ? BTT_ARENA_MAX + BTT_ARENA_MIN : g->info2off + BTT_BLOCK;
	struct btt_info info = copy->info;
	struct btt_info_block block;

	if (geometry_arena(c->profile, c->arenas[i].off + size, g->external_lbasize, i, &off, &info.geometry) < 0)
		return false;
	info_encode(&info, &block);
	return memcmp(&block, &copy->block, sizeof(block)) == 0;
}

static bool differ_in_error_flag_only(const struct info_copy *x, const struct info_copy *y)
{
	struct btt_info info = x->info;
	struct btt_info_block block;

	info.flags ^= BTT_INFO_ERROR;
	info_encode(&info, &block);
	return memcmp(&block, &y->block, sizeof(block)) == 0;
}

static void take(struct check_arena *a, const struct info_copy *copy, int mendable)
{
	a->is_usable = true;
	a->info = copy->info;
	a->want = copy->block;
	a->mendable = mendable;
}

static void blame_primary(struct check_arena *a, enum untorn_finding_kind fault, const struct info_field *field)
{
	a->fault = fault;
	a->field = field;
}

static void blame_backup(struct check_arena *a, const struct info_field *field)
{
	a->backup_is_bad = true;
	a->backup_field = field;
}

/* Both copies are good and not equal. */
static bool backup_is_right(const struct check *c, uint64_t i)
{
	const struct check_arena *a = &c->arenas[i];
	uint64_t primary_next = a->primary.info.geometry.nextoff, backup_next = a->backup.info.geometry.nextoff;

	if (primary_next != backup_next && has_next(c, i))
		return backup_next != 0;
	if (primary_next != backup_next && i + 1 >= c->narena)
		return backup_next == 0;
	return !is_canonical(c, &a->primary, i) && is_canonical(c, &a->backup, i);
}

static void resolve_good(struct check *c, uint64_t i)
{
	struct check_arena *a = &c->arenas[i];
	const struct info_field *field;

	if (are_equal(&a->primary, &a->backup) || differ_in_error_flag_only(&a->primary, &a->backup)) {
		take(a, &a->primary, 1);
		return;
	}
	field = first_difference(&a->primary.block, &a->backup.block);
	if (backup_is_right(c, i)) {
		take(a, &a->backup, 1);
		blame_primary(a,
			      strcmp(field->name, "nextoff") == 0 ? UNTORN_FINDING_INFO_CHAIN
								  : UNTORN_FINDING_INFO_GEOMETRY,
			      field);
	} else {
		take(a, &a->primary, 1);
		blame_backup(a, field);
	}
}

/* The primary was damaged, not destroyed: see the top. */
static bool is_kin(const struct info_copy *primary, const struct btt_info_block *want)
{
	const size_t first = offsetof(struct btt_info_block, flags), end = offsetof(struct btt_info_block, padding);

	if (!primary->is_readable)
		return false;
	if (!is_zero(want->uuid, BTT_UUID_LEN) && memcmp(primary->block.uuid, want->uuid, BTT_UUID_LEN) == 0)
		return true;
	return memcmp((const uint8_t *)&primary->block + first, (const uint8_t *)want + first, end - first) == 0;
}

/* What it takes to restore this primary: see the top. */
static int restorable(const struct check *c, uint64_t i)
{
	const struct check_arena *a = &c->arenas[i];

	if (c->parent_uuid && !is_zero(c->parent_uuid, BTT_UUID_LEN) &&
	    memcmp(a->want.parent_uuid, c->parent_uuid, BTT_UUID_LEN) == 0)
		return 1;
	if (i > 0 && c->arenas[0].mendable == 1)
		return 1;
	return is_kin(&a->primary, &a->want) ? 1 : 2;
}

static void derive(struct check *c, uint64_t i, const struct info_copy *reference)
{
	struct check_arena *a = &c->arenas[i];
	struct btt_info info;
	uint64_t off;

	if (!reference || !reference->is_good)
		return;
	info = reference->info;
	info.flags = 0;
	if (geometry_arena(c->profile, untorn_media_size(c->media), info.geometry.external_lbasize, i, &off,
			   &info.geometry) < 0 ||
	    info.geometry.internal_lbasize != reference->info.geometry.internal_lbasize ||
	    info.geometry.nfree != reference->info.geometry.nfree)
		return;
	a->is_usable = a->is_derived = true;
	a->info = info;
	info_encode(&info, &a->want);
	a->mendable = restorable(c, i);
}

static void resolve_arena(struct check *c, uint64_t i, const struct info_copy *reference)
{
	struct check_arena *a = &c->arenas[i];

	if (a->primary.is_good && a->backup.is_good) {
		resolve_good(c, i);
		return;
	}
	if (!a->primary.is_good)
		blame_primary(a, a->primary.fault, a->primary.field);
	/* A backup that repeats an intact primary's fault is a true copy. */
	if (!a->backup.is_good && !(is_intact(&a->primary) && are_equal(&a->primary, &a->backup)))
		blame_backup(a, a->backup.field);

	if (a->primary.is_good) {
		take(a, &a->primary, 1);
	} else if (a->backup.is_good) {
		take(a, &a->backup, 0);
		a->mendable = restorable(c, i);
	} else if (a->primary.is_sound) {
		take(a, &a->primary, 0); /* another container's: looked at, never changed */
	} else if (a->backup.is_sound) {
		take(a, &a->backup, 0);
	} else {
		derive(c, i, reference);
	}
}

/* Returns whether the walk goes on behind arena i. */
static bool resolve_chain(struct check *c, uint64_t i)
{
	struct check_arena *a = &c->arenas[i];
	uint64_t next = a->info.geometry.nextoff;

	if (!a->is_usable)
		return true;
	if (next == 0 && has_next(c, i)) {
		a->chain_is_broken = true;
		a->next_expected = BTT_ARENA_MAX;
	} else if (next != 0 && i + 1 >= c->narena) {
		a->chain_is_broken = true;
		a->next_expected = 0;
	}
	return next != 0 || a->chain_is_broken;
}

void check_infos_resolve(struct check *c)
{
	const struct info_copy *reference = find_reference(c);

	for (uint64_t n = 0; reference && n < 2 * c->narena; n++)
		measure(nth_copy(c, n), reference);
	for (uint64_t i = 0; i < c->narena; i++) {
		resolve_arena(c, i, reference);
		if (!resolve_chain(c, i))
			c->narena = i + 1;
	}
}

/* ------------------------------------------------------------- tell ------------------------------------------------------- */

static uint64_t expected_value(const struct check *c, const struct check_arena *a, const struct info_copy *copy,
			       enum untorn_finding_kind fault, const struct info_field *field)
{
	struct btt_info_block block = {0};

	memcpy(block.signature, BTT_SIGNATURE, BTT_SIGNATURE_LEN);
	block.checksum = le64_make(info_checksum(&copy->block));
	block.version_major = le16_make(c->profile->version_major);
	block.version_minor = le16_make(c->profile->version_minor);
	if (c->parent_uuid)
		memcpy(block.parent_uuid, c->parent_uuid, BTT_UUID_LEN);

	switch (fault) {
	case UNTORN_FINDING_INFO_SIGNATURE:
	case UNTORN_FINDING_INFO_CHECKSUM:
	case UNTORN_FINDING_INFO_PARENT:
		return field_value(&block, field);
	case UNTORN_FINDING_MEDIA:
		return 0;
	case UNTORN_FINDING_INFO_VERSION:
		if (!a->is_usable)
			return field_value(&block, field);
		break;
	default:
		break;
	}
	return a->is_usable ? field_value(&a->want, field) : 0;
}

static int tell_copy(struct check *c, uint32_t arena, enum untorn_finding_kind kind, const struct info_copy *copy,
		     enum untorn_finding_kind fault, const struct info_field *field)
{
	const struct check_arena *a = &c->arenas[arena];
	struct untorn_finding finding = {
		.kind = kind,
		.arena = arena,
		.off = copy->off + field->off,
		.field = field->name,
		.repairable = a->mendable,
	};

	if (!copy->is_readable) {
		finding.kind = UNTORN_FINDING_MEDIA;
		finding.seen = sizeof(copy->block);
		finding.repairable = 0;
	} else {
		finding.seen = field_value(&copy->block, field);
		finding.expected = expected_value(c, a, copy, fault, field);
	}
	return check_report(c, &finding);
}

static int tell_chain(struct check *c, uint32_t arena)
{
	const struct check_arena *a = &c->arenas[arena];
	const struct info_field *field = find_field("nextoff");
	struct untorn_finding finding = {
		.kind = UNTORN_FINDING_INFO_CHAIN,
		.arena = arena,
		.off = a->off + field->off,
		.field = field->name,
		.seen = a->info.geometry.nextoff,
		.expected = a->next_expected,
		/* Both copies say that this is the last arena: the caller must say that it is not. */
		.repairable = a->next_expected && a->mendable ? 2 : 0,
	};

	return check_report(c, &finding);
}

int check_info_tell(struct check *c, uint32_t arena)
{
	const struct check_arena *a = &c->arenas[arena];
	int r = 0;

	if (a->fault != NO_FAULT)
		r = tell_copy(c, arena, a->fault, &a->primary, a->fault, a->field);
	if (r == 0 && a->backup_is_bad)
		r = tell_copy(c, arena, UNTORN_FINDING_INFO_BACKUP, &a->backup,
			      a->backup.is_good ? NO_FAULT : a->backup.fault, a->backup_field);
	if (r == 0 && a->chain_is_broken)
		r = tell_chain(c, arena);
	return r;
}

static bool is_flagged(const struct info_copy *copy)
{
	return copy->is_good && (copy->info.flags & BTT_INFO_ERROR);
}

bool check_has_error_flag(const struct check_arena *a)
{
	return is_flagged(&a->primary) || is_flagged(&a->backup);
}

int check_error_flag_tell(struct check *c, uint32_t arena, bool is_clean)
{
	const struct check_arena *a = &c->arenas[arena];
	const struct info_copy *copy = is_flagged(&a->primary) ? &a->primary : &a->backup;
	const struct info_field *field = find_field("flags");
	struct untorn_finding finding = {
		.kind = UNTORN_FINDING_INFO_ERROR_FLAG,
		.arena = arena,
		.off = copy->off + field->off,
		.field = field->name,
		.seen = copy->info.flags,
		.expected = copy->info.flags & ~BTT_INFO_ERROR,
		.repairable = is_clean && a->mendable ? 2 : 0,
	};

	return check_report(c, &finding);
}

/* ------------------------------------------------------------- pool ------------------------------------------------------- */

static uint64_t header_offset(const char *field)
{
	static const struct {
		const char *name;
		size_t off;
	} offsets[] = {
		{"signature", offsetof(struct pool_header, signature)},
		{"major", offsetof(struct pool_header, major)},
		{"incompat", offsetof(struct pool_header, incompat)},
		{"poolset_uuid", offsetof(struct pool_header, poolset_uuid)},
		{"part uuid", offsetof(struct pool_header, prev_part_uuid)},
		{"replica uuid", offsetof(struct pool_header, prev_repl_uuid)},
		{"machine_class", offsetof(struct pool_header, machine_class)},
		{"data", offsetof(struct pool_header, data)},
		{"checksum", offsetof(struct pool_header, checksum)},
		{"bsize", POOL_HEADER_SIZE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
		if (strcmp(offsets[i].name, field) == 0)
			return offsets[i].off;
	return 0;
}

/* The uuid of a pool's only part stands in its header five times. */
static void elect_part_uuid(const struct pool_header *h, uint8_t *ret_uuid)
{
	const uint8_t *uuids[] = {h->uuid, h->prev_part_uuid, h->next_part_uuid, h->prev_repl_uuid, h->next_repl_uuid};
	unsigned best = 0, best_votes = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(uuids); i++) {
		unsigned votes = 0;

		for (unsigned k = 0; k < ARRAY_SIZE(uuids); k++)
			votes += memcmp(uuids[i], uuids[k], BTT_UUID_LEN) == 0;
		if (votes > best_votes) {
			best_votes = votes;
			best = i;
		}
	}
	memcpy(ret_uuid, uuids[best], BTT_UUID_LEN);
}

/* Whether the checksum that stands in the header proves that it was like h but for the feature bits; then they are set. */
static bool proves(struct pool_header *h)
{
	const uint32_t incompat[] = {le32_get(h->incompat), POOL_INCOMPAT_2K, POOL_INCOMPAT_2K | POOL_INCOMPAT_SDS};

	for (size_t i = 0; i < ARRAY_SIZE(incompat); i++) {
		h->incompat = le32_make(incompat[i]);
		if (!(incompat[i] & ~POOL_INCOMPAT_KNOWN) && pool_checksum(h) == le64_get(h->checksum))
			return true;
	}
	h->incompat = le32_make(incompat[0]);
	return false;
}

void check_pool_candidate(const struct check *c, struct pool_header *ret_header, bool *ret_is_proven)
{
	struct pool_header h = c->pool.header;
	uint8_t uuid[BTT_UUID_LEN];

	elect_part_uuid(&h, uuid);
	memcpy(h.signature, POOL_SIGNATURE, sizeof(h.signature));
	h.major = le32_make(1);
	memcpy(h.uuid, uuid, BTT_UUID_LEN);
	memcpy(h.prev_part_uuid, uuid, BTT_UUID_LEN);
	memcpy(h.next_part_uuid, uuid, BTT_UUID_LEN);
	memcpy(h.prev_repl_uuid, uuid, BTT_UUID_LEN);
	memcpy(h.next_repl_uuid, uuid, BTT_UUID_LEN);
	h.machine_class = 2;
	h.data = 1;
	memset(h.reserved, 0, sizeof(h.reserved));
	memset(h.unused, 0, sizeof(h.unused));

	*ret_is_proven = proves(&h);
	if (!*ret_is_proven && c->arenas && c->arenas[0].is_usable) {
		memcpy(h.poolset_uuid, c->arenas[0].info.parent_uuid, BTT_UUID_LEN);
		*ret_is_proven = proves(&h);
	}
	if (!*ret_is_proven) {
		h.incompat = le32_make((le32_get(h.incompat) & POOL_INCOMPAT_KNOWN) | POOL_INCOMPAT_2K);
		h.checksum = le64_make(pool_checksum(&h));
	}
	*ret_header = h;
}

bool check_pool_header_is_damaged(const struct check *c)
{
	/* With a right checksum it is not damaged: it is another kind of pool. */
	return (c->pool_err == -EUCLEAN || c->pool_err == -ENXIO) &&
	       pool_checksum(&c->pool.header) != le64_get(c->pool.header.checksum);
}

bool check_pool_bsize_is_wrong(const struct check *c)
{
	return c->pool_err != -EIO && c->pool_err != -EOPNOTSUPP && c->arenas[0].is_usable &&
	       c->pool.bsize != c->arenas[0].info.geometry.external_lbasize;
}

int check_pool_header_mendable(const struct check *c)
{
	struct pool_header header;
	bool is_proven;

	if (!check_pool_header_is_damaged(c))
		return 0;
	check_pool_candidate(c, &header, &is_proven);
	if (is_proven)
		return 1;
	return c->arenas[0].is_usable && c->arenas[0].mendable ? 2 : 0;
}

static int tell_pool(struct check *c, const char *field, uint64_t seen, uint64_t expected, int repairable)
{
	const struct untorn_finding finding = {
		.kind = UNTORN_FINDING_POOL_HEADER,
		.arena = -1,
		.off = header_offset(field),
		.field = field,
		.seen = seen,
		.expected = expected,
		.repairable = repairable,
	};

	return check_report(c, &finding);
}

/* A text or uuid as a number whose hexadecimal digits are in the order of the bytes. */
static uint64_t first_bytes(const void *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

static int tell_pool_header(struct check *c)
{
	const struct pool_header *h = &c->pool.header;
	int repairable = check_pool_header_mendable(c);
	struct untorn_finding unreadable = {
		.kind = UNTORN_FINDING_MEDIA,
		.arena = -1,
		.field = "pool header",
		.seen = sizeof(*h),
	};

	switch (c->pool_err) {
	case 0:
		return 0;
	case -ENXIO:
		return tell_pool(c, "signature", first_bytes(h->signature), first_bytes(POOL_SIGNATURE), repairable);
	case -EOPNOTSUPP:
		if (le32_get(h->major) != 1)
			return tell_pool(c, "major", le32_get(h->major), 1, 0);
		return tell_pool(c, "incompat", le32_get(h->incompat), le32_get(h->incompat) & POOL_INCOMPAT_KNOWN, 0);
	case -EUCLEAN:
		if (check_pool_header_is_damaged(c))
			return tell_pool(c, "checksum", le64_get(h->checksum), pool_checksum(h), repairable);
		if (strcmp(c->pool_field, "bsize") == 0)
			return 0; /* see tell_bsize() */
		return tell_pool(c, c->pool_field, 0, 0, 0);
	default:
		return check_report(c, &unreadable);
	}
}

/* The descriptor's sector size is not covered by any checksum. */
static int tell_bsize(struct check *c)
{
	const struct check_arena *first = &c->arenas[0];

	if (!check_pool_bsize_is_wrong(c))
		return 0;
	return tell_pool(c, "bsize", c->pool.bsize, first->info.geometry.external_lbasize, first->mendable);
}

/* The caller's idea of the container's uuid against the pool's own. */
static int tell_pool_parent(struct check *c)
{
	const uint8_t *asked = c->options->parent_uuid;
	struct untorn_finding finding = {
		.kind = UNTORN_FINDING_INFO_PARENT,
		.arena = -1,
		.off = header_offset("poolset_uuid"),
		.field = "poolset_uuid",
	};

	if (!asked || c->parent_uuid != c->pool.header.poolset_uuid ||
	    memcmp(asked, c->pool.header.poolset_uuid, BTT_UUID_LEN) == 0)
		return 0;
	finding.seen = first_bytes(c->pool.header.poolset_uuid);
	finding.expected = first_bytes(asked);
	return check_report(c, &finding);
}

/* A pool whose first info block is all zero is laid out by its first write. Its geometry must be possible. */
static int tell_not_laid_out(struct check *c)
{
	const struct untorn_finding finding = {
		.kind = UNTORN_FINDING_NOT_LAID_OUT,
		.arena = -1,
		.off = c->profile->base,
		.field = "info block",
	};
	struct btt_geometry g;
	uint64_t off;
	int r;

	r = check_report(c, &finding);
	if (r == 0 && (c->pool.bsize == 0 ||
		       geometry_arena(c->profile, untorn_media_size(c->media), c->pool.bsize, 0, &off, &g) < 0))
		r = tell_pool(c, "bsize", c->pool.bsize, 0, 0);
	return r;
}

static int tell_no_btt(struct check *c)
{
	const struct untorn_finding finding = {
		.kind = UNTORN_FINDING_NO_BTT,
		.arena = -1,
		.off = c->profile->base,
		.field = "info block",
	};

	return check_report(c, &finding);
}

/* ------------------------------------------------------------ volume ------------------------------------------------------ */

static bool has_any_signature(const struct check *c)
{
	for (uint64_t n = 0; n < 2 * c->narena; n++)
		if (has_signature(nth_copy(c, n)))
			return true;
	return false;
}

static bool has_any_good(const struct check *c)
{
	for (uint64_t n = 0; n < 2 * c->narena; n++)
		if (nth_copy(c, n)->is_good)
			return true;
	return false;
}

int check_volume_tell(struct check *c, bool *ret_go)
{
	bool is_pool = c->profile->layout == UNTORN_BTT_PMEMBLK;
	int r = 0;

	*ret_go = false;
	if (c->narena == 0 ||
	    (!has_any_signature(c) && (!is_pool || c->pool_err == -ENXIO) && c->arenas[0].primary.is_readable))
		return tell_no_btt(c);
	if (is_pool) {
		r = tell_pool_header(c);
		if (r == 0)
			r = tell_pool_parent(c);
		if (r != 0 || c->pool_err == -EOPNOTSUPP)
			return r;
		if (!has_any_good(c) && c->arenas[0].primary.is_readable &&
		    is_zero(&c->arenas[0].primary.block, sizeof(c->arenas[0].primary.block)))
			return tell_not_laid_out(c);
		r = tell_bsize(c);
	}
	*ret_go = true;
	return r;
}
