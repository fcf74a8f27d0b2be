/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of files and devices as one contiguous medium.
 *
 * A range of addresses is reserved, and the pieces of the parents' files are mapped into it, shared, one after the other. So
 * a store goes to the same memory as one through the parent, and everything above sees plain bytes at base.
 *
 * Kept true:
 *   - ends[] ascend, the last is the medium's size; piece i covers [ends[i - 1], ends[i]);
 *   - pieces that follow each other in one file are one piece;
 *   - each root that has a piece is in roots[] once and referenced once.
 *
 * Stores are those of the parent that needs the most for durability: a line flush does no harm to memory that a data sync
 * or nothing at all makes durable. A persist point is one data sync for each file that needs one and one fence for all
 * others, both through the parents' own persist points, where a failure is remembered for whoever else uses that file.
 */
#include "media/stitch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Device DAX and huge pages map addresses and offsets that are equal modulo this. */
#define HUGE_ALIGN (UINT64_C(2) << 20)

struct piece {
	uint32_t root; /* index */
	uint64_t off;  /* in the root */
};

struct stitch {
	struct untorn_media m;
	struct media_ops ops; /* with the stores of one of the roots */
	uint64_t *ends;       /* bytes of m */
	struct piece *pieces;
	size_t npiece;
	struct untorn_media **roots;
	uint32_t nroot;
	struct untorn_media *fenced; /* the root whose persist point is a fence that serves all such roots, or NULL */
};

static struct stitch *stitch_of(struct untorn_media *m)
{
	return (struct stitch *)m->root;
}

static uint64_t piece_start(const struct stitch *s, size_t i)
{
	return i ? s->ends[i - 1] : 0;
}

/* The piece that byte off lies in. */
static size_t find_piece(const struct stitch *s, uint64_t off)
{
	size_t low = 0, high = s->npiece - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (off < s->ends[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ------------------------------------------------------ operations ------------------------------------------------------- */

static int stitch_drain(struct untorn_media *m)
{
	struct stitch *s = stitch_of(m);
	int r = 0;

	for (uint32_t i = 0; i < s->nroot && r == 0; i++) {
		struct untorn_media *root = s->roots[i];

		if (root->kind == UNTORN_MEDIA_PAGE || root == s->fenced)
			r = media_drain(root);
		else if (unlikely(atomic_load(&root->failed)))
			r = -EIO;
	}
	/* Power cut here: all that this thread flushed or copied before is there, whichever file it is in. */
	return r;
}

/* Punch what [off, off + len) covers of one root: pieces that adjoin each other in its file at once. */
static int punch_root(const struct stitch *s, uint32_t root, uint64_t off, uint64_t len)
{
	struct untorn_media *m = s->roots[root];
	uint64_t end = off + len, first = 0, last = 0;
	int r = 0;

	for (size_t i = find_piece(s, off); r == 0 && i < s->npiece && piece_start(s, i) < end; i++) {
		uint64_t start = piece_start(s, i), from = off > start ? off : start, at;

		if (s->pieces[i].root != root)
			continue;
		at = s->pieces[i].off + (from - start);
		if (at != last) {
			if (first < last)
				r = m->ops->punch(m, first, last - first);
			first = at;
		}
		last = at + (min_u64(end, s->ends[i]) - from);
	}
	return r == 0 && first < last ? m->ops->punch(m, first, last - first) : r;
}

/* -EOPNOTSUPP when a root cannot, whatever others did: the caller stores zeros over all that is no hole then. */
static int stitch_punch(struct untorn_media *m, uint64_t off, uint64_t len)
{
	struct stitch *s = stitch_of(m);
	int r = 0;

	for (uint32_t i = 0; i < s->nroot && r == 0; i++)
		r = s->roots[i]->ops->punch ? punch_root(s, i, off, len) : -EOPNOTSUPP;
	return r;
}

/* What a root knows, cut to the piece. A run that goes on in the next piece is told as two. */
static int stitch_next_data(struct untorn_media *m, uint64_t off, uint64_t *ret_data, uint64_t *ret_end)
{
	struct stitch *s = stitch_of(m);

	for (size_t i = find_piece(s, off); i < s->npiece; i++) {
		uint64_t start = piece_start(s, i), len = s->ends[i] - start, data = off > start ? off - start : 0;
		struct untorn_media *root = s->roots[s->pieces[i].root];
		uint64_t end = root->size, at = s->pieces[i].off;
		int r = 0;

		data += at;
		if (root->ops->next_data)
			r = root->ops->next_data(root, data, &data, &end);
		if (r < 0)
			return r;
		if (data < at + len) {
			*ret_data = start + (data - at);
			*ret_end = start + (min_u64(end, at + len) - at);
			return 0;
		}
	}
	*ret_data = *ret_end = s->m.size;
	return 0;
}

static struct untorn_media *stitch_locate(struct untorn_media *m, uint64_t *off)
{
	struct stitch *s = stitch_of(m);
	size_t i = find_piece(s, *off);

	*off = s->pieces[i].off + (*off - piece_start(s, i));
	return s->roots[s->pieces[i].root];
}

static void stitch_destroy(struct untorn_media *m)
{
	struct stitch *s = stitch_of(m);

	if (s->m.base)
		munmap(s->m.base, s->m.size);
	for (uint32_t i = 0; i < s->nroot; i++)
		untorn_media_close(s->roots[i]);
	free(s->roots);
	free(s->pieces);
	free(s->ends);
	free(s);
}

/* ------------------------------------------------------- the pieces ------------------------------------------------------ */

static int check_pieces(const struct stitch_piece *pieces, size_t n)
{
	uint64_t size = 0;

	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!is_aligned(pieces[i].off, 4096) || !is_aligned(pieces[i].len, 4096) || pieces[i].len == 0)
			return -EINVAL;
		if (!range_fits(pieces[i].off, pieces[i].len, pieces[i].parent->size) ||
		    pieces[i].len > INT64_MAX - size)
			return -ERANGE;
		size += pieces[i].len;
	}
	return 0;
}

/* The index of the root, which is referenced the first time. There is room for it. */
static uint32_t add_root(struct stitch *s, struct untorn_media *root)
{
	for (uint32_t i = 0; i < s->nroot; i++) {
		if (s->roots[i] == root)
			return i;
	}
	atomic_fetch_add(&root->refs, 1);
	s->roots[s->nroot] = root;
	return s->nroot++;
}

static void add_piece(struct stitch *s, const struct stitch_piece *piece)
{
	struct piece p = {
		.root = add_root(s, piece->parent->root),
		.off = piece->parent->root_off + piece->off,
	};
	size_t last = s->npiece - 1;

	if (s->npiece && s->pieces[last].root == p.root &&
	    s->pieces[last].off + (s->ends[last] - piece_start(s, last)) == p.off) {
		s->ends[last] += piece->len;
		return;
	}
	s->pieces[s->npiece] = p;
	s->ends[s->npiece] = piece_start(s, s->npiece) + piece->len;
	s->npiece++;
}

/* How little survives on memory of that kind, and what it takes. */
static unsigned weakness(enum untorn_media_kind kind)
{
	static const uint8_t of_kind[] = {
		[UNTORN_MEDIA_BYTE] = 1,
		[UNTORN_MEDIA_CACHELINE] = 2,
		[UNTORN_MEDIA_PAGE] = 3,
		[UNTORN_MEDIA_VOLATILE] = 4,
	};

	return of_kind[kind];
}

/* Take kind, stores and persist points from the roots. */
static void combine_roots(struct stitch *s)
{
	const struct untorn_media *stores = s->roots[0];

	s->m.kind = UNTORN_MEDIA_BYTE;
	for (uint32_t i = 0; i < s->nroot; i++) {
		struct untorn_media *root = s->roots[i];

		if (weakness(root->kind) > weakness(s->m.kind))
			s->m.kind = root->kind;
		if (root->read_only)
			s->m.read_only = true;
		if (root->kind == UNTORN_MEDIA_CACHELINE || (root->kind == UNTORN_MEDIA_BYTE && !s->fenced))
			s->fenced = root;
		if (root->kind == UNTORN_MEDIA_CACHELINE)
			stores = root;
		if (root->kind == UNTORN_MEDIA_PAGE)
			s->m.counts_drains = true;
	}
	/* Those of files and devices go by the address alone. */
	s->ops = (struct media_ops){
		.copy = stores->ops->copy,
		.zero = stores->ops->zero,
		.flush = stores->ops->flush,
		.drain = stitch_drain,
		.punch = stitch_punch,
		.next_data = stitch_next_data,
		.locate = stitch_locate,
		.destroy = stitch_destroy,
	};
}

/* ------------------------------------------------------- the mapping ----------------------------------------------------- */

/* Addresses for size bytes, aligned for whatever may be mapped there. */
static int reserve(uint64_t size, uint8_t **ret_base)
{
	uint64_t slack = size >= HUGE_ALIGN ? HUGE_ALIGN : 0, head;
	uint8_t *p;

	p = mmap(NULL, size + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (slack) {
		head = round_up((uintptr_t)p, HUGE_ALIGN) - (uintptr_t)p;
		if (head)
			munmap(p, head);
		p += head;
		if (slack - head)
			munmap(p + size, slack - head);
	}
	*ret_base = p;
	return 0;
}

static int map_piece(struct stitch *s, size_t i)
{
	const struct untorn_media *root = s->roots[s->pieces[i].root];
	int prot = PROT_READ | (s->m.read_only ? 0 : PROT_WRITE);
	uint8_t *at = s->m.base + piece_start(s, i);
	uint64_t len = s->ends[i] - piece_start(s, i);
	off_t off = (off_t)s->pieces[i].off;
	void *p = MAP_FAILED;

	/* As the root is mapped, if its kind is not one that was forced on it: with metadata that is durable at once. */
	if (root->kind == UNTORN_MEDIA_CACHELINE || root->kind == UNTORN_MEDIA_BYTE)
		p = mmap(at, len, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, root->fd, off);
	if (p == MAP_FAILED)
		p = mmap(at, len, prot, MAP_SHARED | MAP_FIXED, root->fd, off);
	if (p == MAP_FAILED)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	return 0;
}

static int map_pieces(struct stitch *s)
{
	int r;

	for (uint32_t i = 0; i < s->nroot; i++) {
		if (s->roots[i]->fd < 0)
			return -EOPNOTSUPP;
	}
	r = reserve(s->ends[s->npiece - 1], &s->m.base);
	if (r < 0)
		return r;
	s->m.size = s->ends[s->npiece - 1];
	for (size_t i = 0; i < s->npiece && r == 0; i++)
		r = map_piece(s, i);
	return r;
}

int media_stitch(const struct stitch_piece *pieces, size_t n, struct untorn_media **ret_media)
{
	struct stitch *s;
	int r;

	r = check_pieces(pieces, n);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	media_init_root(&s->m, &s->ops, UNTORN_MEDIA_BYTE, false);
	s->m.counts_drains = false;
	s->ops.destroy = stitch_destroy;
	s->ends = calloc(n, sizeof(*s->ends));
	s->pieces = calloc(n, sizeof(*s->pieces));
	s->roots = calloc(n, sizeof(struct untorn_media *));
	if (!s->ends || !s->pieces || !s->roots) {
		untorn_media_close(&s->m);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		add_piece(s, &pieces[i]);
	if (s->npiece == 1) {
		r = untorn_media_slice(s->roots[0], s->pieces[0].off, s->ends[0], ret_media);
		untorn_media_close(&s->m);
		return r;
	}
	combine_roots(s);
	r = map_pieces(s);
	if (r < 0) {
		untorn_media_close(&s->m);
		return r;
	}
	*ret_media = &s->m;
	return 0;
}
