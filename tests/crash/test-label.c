/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts inside every change of labels, and inside the finishing of what such a cut left. At each cut, of all images that it
 * could leave: each area that had an index has one, the namespaces are the old ones or the new ones, finishing does not change
 * which, and after that Linux sees the same. What returned is there.
 *
 * And each drain of each change is left out once: that must be noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fletcher64.h"
#include "label/area.h"
#include "labels.h"
#include "media/crash.h"
#include "media/memory.h"

#define PMEM UNTORN_LABEL_SET_PMEM
#define BLK  UNTORN_LABEL_SET_BLK

#define MAX_EXTENTS 6u
#define KNOWN       1024u

/* A set, and namespaces to put into it. */
struct world {
	struct labels l;
	enum untorn_label_version version;
	struct untorn_label_extent extents[2][MAX_EXTENTS];
	struct untorn_label_namespace one, two;
};

/*
 * Which drains must be missed when they are left out, because some image then breaks a promise. Where nothing was before, half
 * of something is nothing as well, and the order in which labels go makes no difference.
 */
enum missed {
	NOT_LOOKED_AT,
	FIRST,    /* before it the old labels count, after it none */
	LAST_TWO, /* labels behind one index block: the last label's, and the block's */
	/*
	 * Label and index block in turn: each label's, and the very last. The other index blocks' are not missed when the
	 * label that comes next is on the same medium: its drain comes before anything counts. See test_several_media().
	 */
	LABELS,
};

/* A change. setup makes what was before it. */
struct change {
	const char *name;
	enum untorn_label_set_kind kind;
	void (*setup)(struct world *w);
	int (*run)(struct world *w);
	bool blank;       /* there is no index before it; or none behind it */
	unsigned minimum; /* ways */
	enum missed missed;
	bool none_between; /* there may be no index while it happens */
};

struct cutting {
	const struct change *change;
	unsigned ways;
	enum untorn_label_version version;
	struct seen old, new;
	bool had_index[LABELS_WAYS];
	bool done;  /* the change has returned */
	bool quiet; /* a failure is what is looked for */
	unsigned depth;
	size_t images, olds, news, nones;
	uint64_t known[KNOWN]; /* checksums of images after which it was cut again */
	size_t nknown, nlooked;
};

static void open_world(struct world *w, struct untorn_media *media, const struct cutting *c)
{
	w->version = c->version;
	labels_open(&w->l, media, c->change->kind, c->ways);
	w->one = labels_namespace(&w->l, 1, "one", 0x100000, 0x100000, w->extents[0]);
	w->two = labels_namespace(&w->l, 2, "two", 0x400000, 0x100000, w->extents[1]);
}

static void must(int r)
{
	assert_int_equal(r, 0);
}

/* ----------------------------------------------------------- changes ----------------------------------------------------- */

static void init_all(struct world *w)
{
	for (unsigned m = 0; m < w->l.set.nmapping; m++)
		must(untorn_label_init(w->l.areas[m], w->version, 0));
}

static void no_setup(struct world *w)
{
	(void)w;
}

static void setup_two(struct world *w)
{
	init_all(w);
	must(untorn_label_put(&w->l.set, &w->one, NULL));
	must(untorn_label_put(&w->l.set, &w->two, NULL));
}

/* The index blocks mean different namespaces. */
static void setup_removed(struct world *w)
{
	setup_two(w);
	must(untorn_label_remove(&w->l.set, w->one.uuid));
}

/* As kernels before 5.0 left it. */
static void setup_updating(struct world *w)
{
	init_all(w);
	for (unsigned m = 0; m < w->l.set.nmapping; m++)
		labels_plant_piece(&w->l, &w->one, m, UNTORN_LABEL_UPDATING);
	must(untorn_label_put(&w->l.set, &w->two, NULL));
}

/* No slot is free on the last area. */
static void setup_full(struct world *w)
{
	struct untorn_label_area *last = w->l.areas[w->l.set.nmapping - 1];
	struct untorn_label junk = {.nlabel = 1, .rawsize = 0x1000};
	struct untorn_label_area_info info;

	setup_two(w);
	for (untorn_label_get_info(last, &info); info.nfree > 0; untorn_label_get_info(last, &info)) {
		junk.dpa = 0x1000 * info.nfree;
		labels_plant(last, &junk);
	}
}

/* One slot is free on the first area. */
static void setup_tight(struct world *w)
{
	struct untorn_label junk = {.nlabel = 1, .rawsize = 0x1000};
	struct untorn_label_area_info info;

	setup_two(w);
	for (untorn_label_get_info(w->l.areas[0], &info); info.nfree > 1; untorn_label_get_info(w->l.areas[0], &info)) {
		junk.dpa = 0x1000 * info.nfree;
		labels_plant(w->l.areas[0], &junk);
	}
}

/* Positions that are not the order of the mappings: the platform's order changed since. */
static void setup_turned(struct world *w)
{
	unsigned ways = w->l.set.nmapping;

	setup_two(w);
	must(untorn_label_remove(&w->l.set, w->one.uuid));
	for (unsigned m = 0; m < ways; m++) {
		struct untorn_label label = {
			.nlabel = (uint16_t)ways,
			.position = (uint16_t)((m + 1) % ways),
			.isetcookie = w->version == UNTORN_LABEL_V1_1 ? 0x1101 : 0x1202,
			.lbasize = 512,
			.dpa = w->one.extents[m].dpa,
			.rawsize = w->one.extents[m].size,
		};

		memcpy(label.uuid, w->one.uuid, 16);
		memcpy(label.type_guid, w->l.set.type_guid, 16);
		labels_plant(w->l.areas[m], &label);
	}
}

static int create(struct world *w)
{
	return untorn_label_put(&w->l.set, &w->one, NULL);
}

/* Beside the others, wherever the changes put them. The area may have no room for it: then it changes nothing. */
static int create_third(struct world *w)
{
	struct untorn_label_extent extents[LABELS_WAYS];
	struct untorn_label_namespace ns = labels_namespace(&w->l, 3, "three", 0x2000000, 0x1000, extents);
	int r = untorn_label_put(&w->l.set, &ns, NULL);

	return r == -ENOSPC || r == -ENXIO || r == -EINVAL ? 0 : r;
}

static int rename_it(struct world *w)
{
	strcpy(w->one.name, "a new name");
	return create(w);
}

static int relabel(struct world *w)
{
	w->one.lbasize = 4096;
	w->one.flags = UNTORN_LABEL_READ_ONLY;
	w->one.abstraction = UNTORN_LABEL_ABSTRACTION_BTT2;
	return create(w);
}

static void place(struct world *w, int64_t by, uint64_t size)
{
	for (unsigned m = 0; m < w->l.set.nmapping; m++) {
		w->extents[0][m].dpa += (uint64_t)by;
		w->extents[0][m].size = size;
	}
}

static int grow(struct world *w)
{
	place(w, 0, 0x300000);
	return create(w);
}

static int shrink(struct world *w)
{
	place(w, 0, 0x1000);
	return create(w);
}

static int move(struct world *w)
{
	place(w, 0x80000, 0x100000);
	return create(w);
}

static int change_uuid(struct world *w)
{
	uint8_t was[16];

	memcpy(was, w->one.uuid, 16);
	memset(w->one.uuid, 9, 16);
	return untorn_label_put(&w->l.set, &w->one, was);
}

static int change_all(struct world *w)
{
	place(w, -0x80000, 0x200000);
	strcpy(w->one.name, "another");
	return change_uuid(w);
}

static int change_uuid_and_leave(struct world *w)
{
	place(w, 0x700000, 0x2000);
	return change_uuid(w);
}

static int remove_it(struct world *w)
{
	return untorn_label_remove(&w->l.set, w->one.uuid);
}

static int on_last(struct world *w, enum untorn_label_version version, unsigned flags)
{
	return untorn_label_init(w->l.areas[w->l.set.nmapping - 1], version, flags);
}

static int finish(struct world *w)
{
	return untorn_label_finish(&w->l.set);
}

static int init_blank(struct world *w)
{
	return on_last(w, w->version, 0);
}

static int init_again(struct world *w)
{
	return on_last(w, w->version, UNTORN_LABEL_FORCE);
}

static int init_other(struct world *w)
{
	return on_last(w, w->version == UNTORN_LABEL_V1_1 ? UNTORN_LABEL_V1_2 : UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE);
}

static int zero(struct world *w)
{
	return untorn_label_zero(w->l.areas[w->l.set.nmapping - 1], 0, LABELS_SIZE);
}

/* What stood there before the last changes comes back. */
static uint8_t dump[LABELS_SIZE];

static void setup_dumped(struct world *w)
{
	setup_two(w);
	must(untorn_label_read(w->l.areas[0], 0, dump, sizeof(dump)));
	strcpy(w->two.name, "after the dump");
	must(untorn_label_put(&w->l.set, &w->two, NULL));
	must(untorn_label_remove(&w->l.set, w->one.uuid));
}

static int restore(struct world *w)
{
	return untorn_label_write(w->l.areas[0], 0, dump, sizeof(dump));
}

/* ------------------------------------------------------------ blk -------------------------------------------------------- */

static void blk_extents(struct world *w, const uint64_t (*extents)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->extents[0][i] =
			(struct untorn_label_extent){.dpa = LABELS_DPA(0) + extents[i][0], .size = extents[i][1]};
	w->one.nextent = n;
}

static const uint64_t three[][2] = {{0x800000, 0x1000}, {0x100000, 0x2000}, {0x900000, 0x3000}};

static void setup_blk(struct world *w)
{
	init_all(w);
	blk_extents(w, three, 3);
	must(untorn_label_put(&w->l.set, &w->one, NULL));
	must(untorn_label_put(&w->l.set, &w->two, NULL));
}

static int create_blk(struct world *w)
{
	blk_extents(w, three, 3);
	return create(w);
}

static int append_blk(struct world *w)
{
	static const uint64_t four[][2] = {
		{0x800000, 0x1000}, {0x100000, 0x2000}, {0x900000, 0x3000}, {0xa00000, 0x1000}};

	blk_extents(w, four, 4);
	return create(w);
}

static int cut_blk(struct world *w)
{
	static const uint64_t two[][2] = {{0x800000, 0x1000}, {0x100000, 0x1000}};

	blk_extents(w, two, 2);
	return create(w);
}

static int insert_blk(struct world *w)
{
	static const uint64_t four[][2] = {
		{0x50000, 0x1000}, {0x800000, 0x1000}, {0x100000, 0x2000}, {0x900000, 0x3000}};

	blk_extents(w, four, 4);
	return create(w);
}

static int change_uuid_blk(struct world *w)
{
	blk_extents(w, three, 3);
	return change_uuid(w);
}

static const struct change changes[] = {
	{"create", PMEM, init_all, create, false, 1},
	{"create in blank areas", PMEM, no_setup, create, true, 1},
	{"create beside others", PMEM, setup_two, create_third, false, 1},
	{"rename", PMEM, setup_two, rename_it, false, 1, LABELS},
	{"relabel", PMEM, setup_two, relabel, false, 1},
	{"grow", PMEM, setup_two, grow, false, 1},
	{"shrink", PMEM, setup_two, shrink, false, 1},
	{"move", PMEM, setup_two, move, false, 1},
	{"uuid", PMEM, setup_two, change_uuid, false, 1},
	{"everything", PMEM, setup_two, change_all, false, 1, LABELS},
	{"uuid and place", PMEM, setup_two, change_uuid_and_leave, false, 1, LABELS},
	{"remove", PMEM, setup_two, remove_it, false, 1},
	{"rename of an old kernel's", PMEM, setup_updating, rename_it, false, 1},
	{"grow of an old kernel's", PMEM, setup_updating, grow, false, 1},
	{"uuid of an old kernel's", PMEM, setup_updating, change_all, false, 1, LABELS},
	{"remove of an old kernel's", PMEM, setup_updating, remove_it, false, 1},
	{"rename with turned positions", PMEM, setup_turned, rename_it, false, 2},
	{"uuid with turned positions", PMEM, setup_turned, change_all, false, 2},
	{"remove with turned positions", PMEM, setup_turned, remove_it, false, 2},
	{"rename with one free slot", PMEM, setup_tight, rename_it, false, 1},
	{"uuid with one free slot", PMEM, setup_tight, change_all, false, 1, LABELS},
	{"remove from a full area", PMEM, setup_full, remove_it, false, 1},
	{"init", PMEM, no_setup, init_blank, true, 1},
	{"create blk", BLK, init_all, create_blk, false, 1},
	{"append blk", BLK, setup_blk, append_blk, false, 1},
	{"cut blk", BLK, setup_blk, cut_blk, false, 1, LAST_TWO},
	{"insert blk", BLK, setup_blk, insert_blk, false, 1, LAST_TWO},
	{"uuid blk", BLK, setup_blk, change_uuid_blk, false, 1, LAST_TWO},
	{"remove blk", BLK, setup_blk, remove_it, false, 1},
};

/* Of the last area as a whole: other mappings' labels are incomplete then, which is not their matter. */
static const struct change whole_areas[] = {
	{"init over labels", PMEM, setup_removed, init_again, false, 1, FIRST},
	{"init in the other version", PMEM, setup_removed, init_other, false, 1, FIRST},
	{"zero", PMEM, setup_removed, zero, true, 1, FIRST},
	{"restore", PMEM, setup_dumped, restore, true, 1, FIRST, true},
};

/* ------------------------------------------------------------ images ----------------------------------------------------- */

static int failed(const struct cutting *c, const char *what, const struct seen *seen)
{
	if (c->quiet)
		return 1;
	printf("%s, %u ways, version %s: %s\n", c->change->name, c->ways, untorn_label_version_name(c->version), what);
	seen_print("old", &c->old);
	seen_print("new", &c->new);
	seen_print("seen", seen);
	return 1;
}

/* The same namespaces. An area without index and one without labels have the same: none. */
static bool same(const struct seen *a, const struct seen *b)
{
	int x = a->r == -ENXIO ? 0 : a->r, y = b->r == -ENXIO ? 0 : b->r;

	return x == y && seen_same(a, b);
}

static bool is_settled(struct world *w)
{
	struct untorn_label label;

	for (unsigned m = 0; m < w->l.set.nmapping; m++)
		for (uint32_t slot = 0; untorn_label_next_active(w->l.areas[m], slot, &label) == 0;
		     slot = label.slot + 1)
			if (label.flags & UNTORN_LABEL_UPDATING)
				return false;
	return true;
}

/* Linux enumerates the same uuids, of the same size and name. */
static bool linux_agrees(struct world *w, const struct seen *seen)
{
	struct seen theirs;
	int r = read_as_linux(&w->l, &theirs);

	if (w->l.set.kind == UNTORN_LABEL_SET_BLK)
		return true;
	if ((r != seen->r) || theirs.n != seen->n)
		return false;
	for (size_t i = 0; i < theirs.n; i++) {
		const struct seen_namespace *a = &theirs.ns[i], *b = seen_find(seen, a->uuid[0]);

		if (!b || strcmp(a->name, b->name) != 0 || a->lbasize != b->lbasize || a->nextent != b->nextent ||
		    memcmp(a->extents, b->extents, a->nextent * sizeof(a->extents[0])) != 0)
			return false;
	}
	return true;
}

static int cut_again(struct cutting *c, const uint8_t *image, const struct seen *seen, int (*run)(struct world *w));

/* Many images are the same: cut what follows each once. */
static bool is_new(struct cutting *c, const uint8_t *image)
{
	uint64_t checksum = fletcher64(image, LABELS_MEDIUM, 0, 0);

	for (size_t i = 0; i < c->nknown; i++)
		if (c->known[i] == checksum)
			return false;
	if (c->nknown < KNOWN)
		c->known[c->nknown++] = checksum;
	return true;
}

static int finish_image(struct cutting *c, struct world *w, uint8_t *image, const struct seen *seen)
{
	static uint8_t before[LABELS_MEDIUM], after[LABELS_MEDIUM];
	struct seen finished;
	int r;

	memcpy(before, image, sizeof(before));
	r = untorn_label_finish(&w->l.set);
	if (r < 0)
		return failed(c, "cannot be finished", seen);
	labels_see(&w->l, &finished);
	if (!seen_equal(seen, &finished))
		return failed(c, "finishing made something else", &finished);
	if (finished.findings[UNTORN_LABEL_FINDING_INTERRUPTED])
		return failed(c, "finishing left something to finish", &finished);
	if (finished.findings[UNTORN_LABEL_FINDING_INCOMPLETE])
		return failed(c, "finishing left labels that mean nothing", &finished);
	if (!linux_agrees(w, &finished))
		return failed(c, "Linux sees something else", &finished);
	memcpy(after, image, sizeof(after));
	r = untorn_label_finish(&w->l.set);
	if (r < 0 || memcmp(after, image, sizeof(after)) != 0)
		return failed(c, "finishing again wrote something", &finished);
	if (c->depth > 0 || !is_new(c, before))
		return 0;
	r = memcmp(before, after, sizeof(before)) != 0 ? cut_again(c, before, seen, finish) : 0;
	if (r == 0 && c->change->kind == PMEM && (c->ways == 1 || c->nlooked++ % 16 == 0))
		r = cut_again(c, before, seen, create_third);
	return r;
}

static int look_at(void *arg, uint8_t *image, uint64_t id)
{
	struct cutting *c = arg;
	struct untorn_media *media;
	struct world w;
	struct seen seen;
	int r = 0;

	(void)id;
	c->images++;
	must(memory_media_wrap(image, LABELS_MEDIUM, &media));
	open_world(&w, media, c);
	labels_see(&w.l, &seen);
	for (unsigned m = 0; m < c->ways && r == 0; m++)
		if (c->had_index[m] && !area_has_index(w.l.areas[m]))
			r = failed(c, "both index blocks are invalid", &seen);
	if (r == 0 && seen.r == -ENXIO && c->change->none_between && !c->done)
		c->nones++;
	else if (r == 0 && (c->done || !same(&seen, &c->old)) && !same(&seen, &c->new))
		r = failed(c, c->done ? "what was done is lost" : "neither old nor new", &seen);
	if (r == 0 && c->done && c->depth == 0 && !is_settled(&w))
		r = failed(c, "the updating flag is left", &seen);
	c->olds += same(&seen, &c->old);
	c->news += same(&seen, &c->new);
	if (r == 0)
		r = finish_image(c, &w, image, &seen);
	labels_close(&w.l);
	untorn_media_close(media);
	return r;
}

static int cut_everywhere(struct cutting *c, struct untorn_media *media, const struct crash_budget *budget)
{
	const size_t events = crash_media_events(media);
	int r = 0;

	for (size_t cut = 0; cut <= events && r == 0; cut++) {
		c->done = cut == events;
		r = crash_media_foreach(media, cut, budget, look_at, c);
		if (r != 0 && !c->quiet)
			printf("cut %zu of %zu, depth %u\n", cut, events, c->depth);
	}
	return r;
}

/* Cuts inside what follows a cut: finishing, which changes no namespace any more, or the next change. */
static int cut_again(struct cutting *c, const uint8_t *image, const struct seen *seen, int (*run)(struct world *w))
{
	const struct crash_budget budget = {.exhaustive = 2, .samples = 1, .seed = 3};
	struct cutting deeper = *c;
	struct untorn_media *media;
	struct world w;
	int r;

	deeper.depth = 1;
	deeper.old = *seen;
	must(crash_media_new(LABELS_MEDIUM, image, UNTORN_MEDIA_CACHELINE, &media));
	open_world(&w, media, c);
	crash_media_record(media);
	must(run(&w));
	labels_see(&w.l, &deeper.new);
	labels_close(&w.l);
	r = cut_everywhere(&deeper, media, &budget);
	untorn_media_close(media);
	c->images = deeper.images;
	return r;
}

/* ------------------------------------------------------------- tests ----------------------------------------------------- */

/* The change on the crash medium; c knows old and new afterwards. */
static struct untorn_media *record(struct cutting *c)
{
	struct untorn_media *media;
	struct world w;

	must(crash_media_new(LABELS_MEDIUM, NULL, UNTORN_MEDIA_CACHELINE, &media));
	open_world(&w, media, c);
	c->change->setup(&w);
	labels_close(&w.l);
	open_world(&w, media, c);
	labels_see(&w.l, &c->old);
	for (unsigned m = 0; m < c->ways; m++)
		c->had_index[m] = !c->change->blank && area_has_index(w.l.areas[m]);
	crash_media_record(media);
	must(c->change->run(&w));
	labels_see(&w.l, &c->new);
	labels_close(&w.l);
	return media;
}

static bool must_be_missed(const struct cutting *c, size_t n, size_t drains)
{
	switch (c->change->missed) {
	case FIRST:
		return n == 0;
	case LAST_TWO:
		return n + 2 >= drains;
	case LABELS:
		/* A label of v1.1 has no checksum: one that says what stood there before goes unnoticed. */
		return n + 1 == drains || (n % 2 == 0 && c->version == UNTORN_LABEL_V1_2);
	default:
		return false;
	}
}

static void forget_drains(struct cutting *c, struct untorn_media *media)
{
	const struct crash_budget budget = {.exhaustive = 64, .samples = 32, .seed = 5};
	const size_t drains = crash_media_drains_before(media, crash_media_events(media));

	c->quiet = true;
	for (size_t n = 0; n < drains; n++) {
		if (!must_be_missed(c, n, drains))
			continue;
		crash_media_forget_drain(media, CRASH_ALL_DRAINS);
		crash_media_forget_drain(media, n);
		if (cut_everywhere(c, media, &budget) == 0)
			fail_msg("%s, %u ways, version %s: nobody misses drain %zu of %zu", c->change->name, c->ways,
				 untorn_label_version_name(c->version), n, drains);
	}
}

static void cut_change(const struct change *change, unsigned ways, enum untorn_label_version version)
{
	/* Three ways have many cuts, and nothing that two have not but the number. */
	const struct crash_budget budget = {.exhaustive = ways < 3 ? 16 : 8, .samples = ways < 3 ? 6 : 2, .seed = 1};
	struct cutting c = {.change = change, .ways = ways, .version = version};
	struct untorn_media *media = record(&c);

	assert_true(c.new.r == 0 || c.new.r == -ENXIO);
	assert_int_equal(cut_everywhere(&c, media, &budget), 0);
	assert_true(c.olds > 0 && c.news > 0);
	print_message("%s, %u ways, %s: %zu cuts, %zu images\n", change->name, ways, untorn_label_version_name(version),
		      crash_media_events(media) + 1, c.images);
	forget_drains(&c, media);
	untorn_media_close(media);
}

static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		for (unsigned ways = changes[i].minimum; ways <= (changes[i].kind == BLK ? 1 : LABELS_WAYS); ways++) {
			if (!(changes[i].blank && changes[i].setup == no_setup && changes[i].run == create))
				cut_change(&changes[i], ways, UNTORN_LABEL_V1_1);
			cut_change(&changes[i], ways, UNTORN_LABEL_V1_2);
		}
}

static void test_whole_areas(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(whole_areas); i++) {
		cut_change(&whole_areas[i], 1, UNTORN_LABEL_V1_1);
		cut_change(&whole_areas[i], 1, UNTORN_LABEL_V1_2);
	}
}

/*
 * Areas on media of their own, as DIMMs are: one medium's drain says nothing of another's. Each write is drained before the next
 * one begins anywhere.
 */
static void drain_each_write(const struct change *change, unsigned ways)
{
	struct cutting c = {.change = change, .ways = ways, .version = UNTORN_LABEL_V1_2};
	struct untorn_media *media[LABELS_WAYS];
	struct untorn_label_area *on_one[LABELS_WAYS];
	struct world w;
	size_t writes = 0;

	for (unsigned m = 0; m < ways; m++)
		must(crash_media_new(LABELS_MEDIUM, NULL, UNTORN_MEDIA_CACHELINE, &media[m]));
	open_world(&w, media[0], &c);
	for (unsigned m = 0; m < ways; m++) {
		on_one[m] = w.l.areas[m];
		must(untorn_label_open(media[m], LABELS_OFF, LABELS_SIZE, &w.l.areas[m]));
		w.l.mappings[m].area = w.l.areas[m];
		untorn_label_close(on_one[m]);
	}
	change->setup(&w);
	for (unsigned m = 0; m < ways; m++)
		crash_media_record(media[m]);
	must(change->run(&w));
	labels_close(&w.l);
	for (unsigned m = 0; m < ways; m++) {
		size_t events = crash_media_events(media[m]);

		for (size_t event = 0; event < events; event++)
			assert_int_equal(crash_media_drains_before(media[m], event + 1), (event + 1) / 2);
		writes += events / 2;
		untorn_media_close(media[m]);
	}
	assert_true(writes > 0);
}

static void test_several_media(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		for (unsigned ways = 2; changes[i].kind == PMEM && ways <= LABELS_WAYS; ways++)
			drain_each_write(&changes[i], ways);
}

/* ----------------------------------------------------- areas of all sizes ------------------------------------------------ */

/* Where index blocks of v1.1 are longer than those of v1.2, the two lie across each other. */
struct whole {
	uint64_t size;
	enum untorn_label_version from, to; /* to NONE: zeroed */
	unsigned labels[2];                 /* before and after */
	bool restore;                       /* what was dumped when the area was of version `to` */
	bool done;
	size_t images, olds, nones, news;
};

static int look_at_whole(void *arg, uint8_t *image, uint64_t id)
{
	struct whole *c = arg;
	struct untorn_label_area_info info;
	struct untorn_label_area *area;
	struct untorn_media *media;
	struct untorn_label label;
	unsigned n = 0;
	bool ok;

	(void)id;
	must(memory_media_wrap(image, c->size, &media));
	must(untorn_label_open(media, 0, c->size, &area));
	untorn_label_get_info(area, &info);
	for (uint32_t slot = 0; untorn_label_next_active(area, slot, &label) == 0; slot = label.slot + 1)
		n++;
	untorn_label_close(area);
	untorn_media_close(media);
	c->images++;
	if (info.version == UNTORN_LABEL_NONE) {
		c->nones++;
		ok = c->to == UNTORN_LABEL_NONE || (c->restore && !c->done);
	} else if (n == c->labels[0] && info.version == c->from) {
		c->olds++;
		ok = !c->done;
	} else {
		c->news++;
		ok = n == c->labels[1] && info.nfree + n == info.nslot && (info.version == c->to || !c->done);
	}
	if (!ok)
		printf("%ju bytes, %s to %s: version %s with %u labels\n", (uintmax_t)c->size,
		       untorn_label_version_name(c->from), untorn_label_version_name(c->to),
		       untorn_label_version_name(info.version), n);
	return !ok;
}

static void plant_some(struct untorn_label_area *area, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct untorn_label label = {.nlabel = 1, .dpa = 0x1000 * i, .rawsize = 0x1000};

		labels_plant(area, &label);
	}
}

static void cut_whole(struct whole c)
{
	const struct crash_budget budget = {.exhaustive = 64, .samples = 24, .seed = 1};
	uint8_t *bytes = malloc(c.size);
	struct untorn_label_area *area;
	struct untorn_media *media;
	int r = 0;

	assert_non_null(bytes);
	c.labels[0] = 5;
	c.labels[1] = c.restore ? 3 : 0;
	must(crash_media_new(c.size, NULL, UNTORN_MEDIA_CACHELINE, &media));
	must(untorn_label_open(media, 0, c.size, &area));
	if (c.restore) {
		must(untorn_label_init(area, c.to, 0));
		plant_some(area, c.labels[1]);
		must(untorn_label_read(area, 0, bytes, c.size));
	}
	must(untorn_label_init(area, c.from, UNTORN_LABEL_FORCE));
	plant_some(area, c.labels[0]);
	crash_media_record(media);
	if (c.restore)
		must(untorn_label_write(area, 0, bytes, c.size));
	else if (c.to == UNTORN_LABEL_NONE)
		must(untorn_label_zero(area, 0, c.size));
	else
		must(untorn_label_init(area, c.to, UNTORN_LABEL_FORCE));
	untorn_label_close(area);
	for (size_t cut = 0; cut <= crash_media_events(media) && r == 0; cut++) {
		c.done = cut == crash_media_events(media);
		r = crash_media_foreach(media, cut, &budget, look_at_whole, &c);
	}
	assert_int_equal(r, 0);
	assert_true(c.olds > 0 && (c.to == UNTORN_LABEL_NONE ? c.nones : c.news) > 0);
	print_message("%ju bytes, %s to %s%s: %zu images\n", (uintmax_t)c.size, untorn_label_version_name(c.from),
		      untorn_label_version_name(c.to), c.restore ? ", restored" : "", c.images);
	untorn_media_close(media);
	free(bytes);
}

static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {128u << 10, 256u << 10, 512u << 10, 1u << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int from = UNTORN_LABEL_V1_1; from <= UNTORN_LABEL_V1_2; from++)
			for (int to = UNTORN_LABEL_NONE; to <= UNTORN_LABEL_V1_2; to++)
				for (int restore = 0; restore <= (to != UNTORN_LABEL_NONE); restore++)
					cut_whole((struct whole){
						.size = sizes[i],
						.from = (enum untorn_label_version)from,
						.to = (enum untorn_label_version)to,
						.restore = restore,
					});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_whole_areas),
		cmocka_unit_test(test_several_media),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
