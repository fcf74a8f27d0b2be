/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The images that a power cut could leave: the durable bytes, and for each pending line one of its possible contents.
 *
 * A pending line's possible contents are the results of the sets of its writes that respect two orders: single stores of a
 * line reach the medium in log order, and so do all writes of one unit. Everything else is free. Lines are independent of
 * each other, so the number of images is the product of the numbers of contents, and an image is a number per line.
 *
 * Images are private mappings of the durable bytes: giving fn the next one costs the pages that were changed, not the
 * size of the medium.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "media/crash-log.h"

/* One possible content of a line. */
struct content {
	uint64_t unit[UNITS_PER_LINE];
};

struct choice_line {
	const struct line *line;
	struct content none, all;
	struct content *contents; /* all possible ones, each once, when they are enumerated */
	size_t ncontents;
};

/* What the undecided lines of a cut may hold, and which images of it the budget asks for. */
struct choices {
	struct choice_line *lines;
	size_t n;
	bool exhaustive;
	size_t group; /* lines taken together in "each alone, each missing" */
	uint64_t images;
	uint64_t seed;
	uint64_t *values; /* room for what one unit may hold */
};

static size_t count_singles(const struct line *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nwrites; i++)
		n += l->writes[i].single;
	return n;
}

/*
 * What a unit may hold when exactly the first nsingles single stores of its line are there: the last of them that hit it
 * (at first: the durable bytes), or one of the copies that follow before the next one that is not there.
 */
static size_t unit_values(const struct choice_line *cl, unsigned unit, size_t nsingles, uint64_t *values)
{
	size_t n = 1, singles = 0;

	values[0] = cl->none.unit[unit];
	for (size_t i = 0; i < cl->line->nwrites; i++) {
		const struct write *w = &cl->line->writes[i];

		singles += w->single;
		if (w->unit != unit)
			continue;
		if (w->single && singles > nsingles)
			break;
		if (w->single)
			n = 0;
		if (n == 0 || w->value != values[n - 1])
			values[n++] = w->value;
	}
	return n;
}

/* How many sets of its writes may be there, or something above limit. */
static uint64_t count_sets(const struct choice_line *cl, uint64_t limit, uint64_t *values)
{
	size_t singles = count_singles(cl->line);
	uint64_t sum = 0;

	for (size_t k = 0; k <= singles && sum <= limit; k++) {
		uint64_t product = 1;

		for (unsigned unit = 0; unit < UNITS_PER_LINE && product <= limit; unit++)
			product *= unit_values(cl, unit, k, values);
		sum += product;
	}
	return sum;
}

static int compare_contents(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct content));
}

/* Fill in all possible contents, of which there are at most limit sets. */
static int enumerate_contents(struct choice_line *cl, uint64_t limit, uint64_t *values)
{
	size_t singles = count_singles(cl->line), n = 0, unique = 0;
	struct content *list = malloc(limit * sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t k = 0; k <= singles; k++) {
		size_t first = n;

		list[n++] = cl->none;
		/* Multiply what there is for this k by the values of one unit after the other. */
		for (unsigned unit = 0; unit < UNITS_PER_LINE; unit++) {
			size_t nvalues = unit_values(cl, unit, k, values), have = n - first;

			for (size_t v = nvalues; v-- > 0;) {
				for (size_t i = 0; i < have; i++) {
					list[first + v * have + i] = list[first + i];
					list[first + v * have + i].unit[unit] = values[v];
				}
			}
			n = first + nvalues * have;
		}
	}
	qsort(list, n, sizeof(*list), compare_contents);
	for (size_t i = 0; i < n; i++)
		if (unique == 0 || compare_contents(&list[unique - 1], &list[i]) != 0)
			list[unique++] = list[i];
	cl->contents = list;
	cl->ncontents = unique;
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	uint64_t x = ((const struct choice_line *)a)->line->number, y = ((const struct choice_line *)b)->line->number;

	return x < y ? -1 : x > y;
}

static void free_choices(struct choices *ch)
{
	for (size_t i = 0; i < ch->n; i++)
		free(ch->lines[i].contents);
	free(ch->lines);
	free(ch->values);
}

/* Enumerate all images if the budget allows. -E2BIG when there are more. */
static int enumerate_images(struct choices *ch, uint64_t limit)
{
	ch->images = 1;
	for (size_t i = 0; i < ch->n; i++) {
		uint64_t sets = count_sets(&ch->lines[i], limit, ch->values);
		int r;

		if (sets > limit)
			return -E2BIG;
		r = enumerate_contents(&ch->lines[i], sets, ch->values);
		if (r < 0)
			return r;
		ch->images *= ch->lines[i].ncontents;
		if (ch->images > limit)
			return -E2BIG;
	}
	return 0;
}

static int make_choices(struct crash *c, const struct crash_budget *budget, struct choices *ch)
{
	const struct replay *replay = &c->replay;
	size_t most = 0;
	int r;

	*ch = (struct choices){.n = replay->npending, .seed = crash_mix(crash_mix(budget->seed) + replay->cut)};
	ch->lines = calloc(ch->n + 1, sizeof(*ch->lines));
	if (!ch->lines) {
		ch->n = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < ch->n; i++) {
		struct choice_line *cl = &ch->lines[i];

		cl->line = replay->pending[i];
		memcpy(&cl->none, c->durable + cl->line->number * CACHELINE, CACHELINE);
		memcpy(&cl->all, cl->line->latest, CACHELINE);
		most = cl->line->nwrites > most ? cl->line->nwrites : most;
	}
	qsort(ch->lines, ch->n, sizeof(*ch->lines), compare_lines);
	ch->values = malloc((most + 1) * sizeof(*ch->values));
	if (!ch->values)
		return -ENOMEM;
	r = enumerate_images(ch, budget->exhaustive);
	ch->exhaustive = r == 0;
	if (r == -E2BIG) {
		ch->group = (ch->n + CRASH_GROUPS - 1) / CRASH_GROUPS;
		ch->images = 2 + 2 * ((ch->n + ch->group - 1) / ch->group) + budget->samples;
		r = 0;
	}
	return r;
}

static uint64_t next_random(uint64_t *state, uint64_t n)
{
	*state += 0x9e3779b97f4a7c15u;
	return crash_mix(*state) % n;
}

/* Any set of a line's writes that may be there. */
static struct content random_content(const struct choices *ch, const struct choice_line *cl, uint64_t *state)
{
	size_t singles = next_random(state, count_singles(cl->line) + 1);
	struct content content;

	for (unsigned unit = 0; unit < UNITS_PER_LINE; unit++) {
		size_t n = unit_values(cl, unit, singles, ch->values);

		content.unit[unit] = ch->values[next_random(state, n)];
	}
	return content;
}

/* A random image: most lines there, most lines not, or as many torn as whole ones. */
static void random_image(const struct choices *ch, uint64_t id, struct content *ret)
{
	uint64_t state = crash_mix(ch->seed + id);
	uint64_t there = next_random(&state, 9), torn = next_random(&state, 4);

	for (size_t i = 0; i < ch->n; i++) {
		const struct choice_line *cl = &ch->lines[i];

		if (next_random(&state, 4) < torn)
			ret[i] = random_content(ch, cl, &state);
		else
			ret[i] = next_random(&state, 8) < there ? cl->all : cl->none;
	}
}

/* The contents of the undecided lines in image number id. */
static void choose(const struct choices *ch, uint64_t id, struct content *ret)
{
	uint64_t groups = ch->exhaustive || !ch->n ? 0 : (ch->n + ch->group - 1) / ch->group;

	if (!ch->exhaustive && id >= 2 + 2 * groups) {
		random_image(ch, id, ret);
		return;
	}
	for (size_t i = 0; i < ch->n; i++) {
		const struct choice_line *cl = &ch->lines[i];

		if (ch->exhaustive) {
			ret[i] = cl->contents[id % cl->ncontents];
			id /= cl->ncontents;
		} else if (id < 2) {
			ret[i] = id == 0 ? cl->none : cl->all;
		} else {
			bool alone = id - 2 < groups, member = i / ch->group == (id - 2) % groups;

			ret[i] = alone == member ? cl->all : cl->none;
		}
	}
}

static void apply(const struct choices *ch, const struct content *contents, uint8_t *image)
{
	for (size_t i = 0; i < ch->n; i++)
		if (compare_contents(&contents[i], &ch->lines[i].none) != 0)
			memcpy(image + ch->lines[i].line->number * CACHELINE, &contents[i], CACHELINE);
}

/*
 * Drop what was done to the view, so that the durable bytes show again. The kernel knows which pages were written to: a
 * private mapping has its own copies of them, which are no pages of the file. Dropping only those keeps all others mapped.
 * pagemap: of this process; when it cannot be read, everything is dropped.
 */
static void reset_view(const struct crash *c, int pagemap)
{
	enum { CHUNK = 512 };
	const uint64_t present = UINT64_C(1) << 63, swapped = UINT64_C(1) << 62, of_file = UINT64_C(1) << 61;
	const uint64_t page = (uint64_t)getpagesize(), pages = (c->m.size + page - 1) / page;
	uint64_t entries[CHUNK];

	for (uint64_t first = 0; first < pages; first += CHUNK) {
		size_t n = min_u64(pages - first, CHUNK) * sizeof(*entries);
		uint64_t at = ((uintptr_t)c->view / page + first) * sizeof(*entries);

		if (pread(pagemap, entries, n, (off_t)at) != (ssize_t)n) {
			madvise(c->view, c->m.size, MADV_DONTNEED);
			return;
		}
		for (uint64_t i = 0; i < n / sizeof(*entries); i++)
			if ((entries[i] & (present | swapped)) && !(entries[i] & of_file))
				madvise(c->view + (first + i) * page, page, MADV_DONTNEED);
	}
}

int crash_media_foreach(struct untorn_media *m, size_t cut, const struct crash_budget *budget,
			int (*fn)(void *arg, uint8_t *image, uint64_t id), void *arg)
{
	struct crash *c = crash_of(m);
	_cleanup_close_ int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct content *now, *before, *swap;
	struct choices ch;
	int r;

	r = crash_replay_to(c, cut);
	if (r < 0)
		return r;
	r = make_choices(c, budget, &ch);
	now = calloc(ch.n + 1, sizeof(*now));
	before = calloc(ch.n + 1, sizeof(*before));
	if (!now || !before)
		r = -ENOMEM;
	for (uint64_t id = 0; r == 0 && id < ch.images; id++) {
		choose(&ch, id, now);
		if (id > 0 && memcmp(now, before, ch.n * sizeof(*now)) == 0)
			continue;
		reset_view(c, pagemap);
		apply(&ch, now, c->view);
		r = fn(arg, c->view, id);
		swap = now;
		now = before;
		before = swap;
	}
	free(now);
	free(before);
	free_choices(&ch);
	return r;
}

int crash_media_image(struct untorn_media *m, size_t cut, const struct crash_budget *budget, uint64_t id,
		      uint8_t *ret_image)
{
	struct crash *c = crash_of(m);
	struct content *contents;
	struct choices ch;
	int r;

	r = crash_replay_to(c, cut);
	if (r < 0)
		return r;
	r = make_choices(c, budget, &ch);
	contents = calloc(ch.n + 1, sizeof(*contents));
	if (!contents)
		r = -ENOMEM;
	if (r == 0 && id >= ch.images)
		r = -ERANGE;
	if (r == 0) {
		choose(&ch, id, contents);
		memcpy(ret_image, c->durable, c->m.size);
		apply(&ch, contents, ret_image);
	}
	free(contents);
	free_choices(&ch);
	return r;
}
