/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests: bounded, split by arena, and handed to stage and commit (commit.c) or to the lock-free read below.
 *
 * A read of one sector: version, staged list, map entry, copy, version again. A block is overwritten only after its sector's
 * map entry or staged list changed and the stripe's version was bumped, so a copy that raced with that is always noticed
 * and dropped. A reader that keeps losing takes the stripe's lock: then the block stays.
 */
#include <string.h>

#include "btt/arena.h"
#include "btt/commit.h"

#define READ_TRIES 8

/* --------------------------------------------------------- requests ------------------------------------------------------- */

static int check_range(const struct untorn_btt *btt, uint64_t lba, uint64_t n)
{
	return range_fits(lba, n, btt->nlba) ? 0 : -ERANGE;
}

static int check_iov(const struct untorn_btt *btt, uint64_t n, const struct iovec *iov, int iovcnt)
{
	uint64_t sum = 0;

	if (iovcnt < 0 || (iovcnt > 0 && !iov))
		return -EINVAL;
	for (int i = 0; i < iovcnt; i++)
		if (__builtin_add_overflow(sum, iov[i].iov_len, &sum))
			return -EINVAL;
	return sum == n * btt->sector_size ? 0 : -EINVAL;
}

/* The arena that holds lba, which is within the volume. All arenas but the last have one size. */
static struct btt_arena *arena_of(const struct untorn_btt *btt, uint64_t lba)
{
	if (btt->narena == 1)
		return &btt->arenas[0];

	uint64_t i = lba / btt->arenas[0].info.geometry.external_nlba;

	if (i >= btt->narena)
		i = btt->narena - 1;
	while (lba < btt->arenas[i].first_lba)
		i--;
	while (i + 1 < btt->narena && lba >= btt->arenas[i + 1].first_lba)
		i++;
	return &btt->arenas[i];
}

/* The part of [lba, lba + n) that lies in lba's arena. */
struct piece {
	struct btt_arena *arena;
	uint32_t premap, n;
};

static struct piece first_piece(const struct untorn_btt *btt, uint64_t lba, uint64_t n)
{
	struct btt_arena *a = arena_of(btt, lba);
	uint64_t premap = lba - a->first_lba;

	return (struct piece){
		.arena = a,
		.premap = premap,
		.n = min_u64(n, a->info.geometry.external_nlba - premap),
	};
}

/* ----------------------------------------------------------- read --------------------------------------------------------- */

struct read {
	struct piece piece;
	const struct iovec *iov;
	size_t iov_off;
	uint8_t *meta;               /* or NULL */
	uint32_t part_off, part_len; /* bytes of each sector; all of it but for byte reads */
	struct stripe *volatile locked;
};

/* Scatter len bytes from src (NULL: zeros) at an iov position; the position is moved only by advance(). */
static void copy_to(const struct iovec *iov, size_t iov_off, const uint8_t *src, size_t len)
{
	while (len > 0) {
		size_t n = min_u64(len, iov->iov_len - iov_off);

		if (n > 0 && src)
			media_load((uint8_t *)iov->iov_base + iov_off, src, n);
		else if (n > 0)
			memset((uint8_t *)iov->iov_base + iov_off, 0, n);
		if (src)
			src += n;
		len -= n;
		iov++;
		iov_off = 0;
	}
}

static void advance(const struct iovec **iov, size_t *iov_off, size_t len)
{
	while (len > 0) {
		size_t n = min_u64(len, (*iov)->iov_len - *iov_off);

		*iov_off += n;
		len -= n;
		if (*iov_off == (*iov)->iov_len && len > 0) {
			(*iov)++;
			*iov_off = 0;
		}
	}
}

/* Where premap's content is: its block, or NULL for zeros. -EIO: error state, or a map entry that points nowhere. */
static int find_content(const struct btt_arena *a, const struct stripe *stripe, uint32_t premap,
			const uint8_t **ret_block)
{
	uint32_t l, entry, block;

	if (!a->laid_out) {
		*ret_block = NULL;
		return 0;
	}
	l = stripe_find_staged(a, stripe, premap);
	if (l != NO_LANE) {
		*ret_block = arena_block(a, atomic_load_explicit(&a->lanes[l].block, memory_order_acquire));
		return 0;
	}
	entry = media_load32(&a->map[premap]);
	block = map_entry_block(entry, premap);
	if (map_entry_state(entry) == BTT_MAP_ERROR || block >= a->info.geometry.internal_nlba)
		return -EIO;
	if (map_entry_state(entry) == BTT_MAP_ZERO ||
	    (map_entry_state(entry) == BTT_MAP_INITIAL && a->profile->initial_is_zero))
		*ret_block = NULL;
	else
		*ret_block = arena_block(a, block);
	return 0;
}

static int read_once(struct read *q, const struct stripe *stripe, uint32_t premap)
{
	const struct btt_arena *a = q->piece.arena;
	const uint8_t *block;
	int r;

	r = find_content(a, stripe, premap, &block);
	if (r < 0)
		return r;
	copy_to(q->iov, q->iov_off, block ? block + q->part_off : NULL, q->part_len);
	if (q->meta && block)
		media_load(q->meta, block + a->sector_size, a->meta_size);
	else if (q->meta)
		memset(q->meta, 0, a->meta_size);
	return 0;
}

static int read_sector(struct read *q, uint32_t premap)
{
	struct stripe *stripe = stripe_of(q->piece.arena, premap);
	int r;

	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t version = atomic_load_explicit(&stripe->version, memory_order_acquire);

		r = read_once(q, stripe, premap);
		atomic_thread_fence(memory_order_acquire);
		if (likely(atomic_load_explicit(&stripe->version, memory_order_relaxed) == version))
			return r;
	}
	pthread_mutex_lock(&stripe->lock);
	q->locked = stripe;
	r = read_once(q, stripe, premap);
	q->locked = NULL;
	pthread_mutex_unlock(&stripe->lock);
	return r;
}

static int read_piece(void *arg)
{
	struct read *q = arg;
	int r;

	for (uint32_t i = 0; i < q->piece.n; i++) {
		r = read_sector(q, q->piece.premap + i);
		if (r < 0)
			return r;
		advance(&q->iov, &q->iov_off, q->part_len);
		if (q->meta)
			q->meta += q->piece.arena->meta_size;
	}
	return 0;
}

/* Read the same part of n sectors. The range is within the volume. */
static int read_parts(struct untorn_btt *btt, uint64_t lba, uint64_t n, const struct span *part,
		      const struct iovec *iov, uint8_t *meta)
{
	struct read q = {
		.iov = iov, .meta = btt->meta_size ? meta : NULL, .part_off = part->off, .part_len = part->len};

	while (n > 0) {
		q.piece = first_piece(btt, lba, n);

		uint32_t done = q.piece.n;
		int r = media_guarded(btt->media, read_piece, &q);

		if (q.locked) {
			pthread_mutex_unlock(&q.locked->lock);
			q.locked = NULL;
		}
		if (r < 0)
			return r;
		lba += done;
		n -= done;
	}
	return 0;
}

int untorn_btt_readv(struct untorn_btt *btt, uint64_t lba, uint64_t n, const struct iovec *iov, int iovcnt, void *meta)
{
	int r = check_range(btt, lba, n);

	if (r == 0)
		r = check_iov(btt, n, iov, iovcnt);
	if (r < 0)
		return r;
	return read_parts(btt, lba, n, &(struct span){0, btt->sector_size}, iov, meta);
}

int untorn_btt_read(struct untorn_btt *btt, uint64_t lba, uint64_t n, void *data, void *meta)
{
	int r = check_range(btt, lba, n);

	if (r < 0)
		return r;
	return read_parts(btt, lba, n, &(struct span){0, btt->sector_size}, &(struct iovec){data, n * btt->sector_size},
			  meta);
}

/* ---------------------------------------------------------- write --------------------------------------------------------- */

static int write_sectors(struct untorn_btt *btt, uint64_t lba, uint64_t n, struct source *source, bool durable)
{
	while (n > 0) {
		struct piece p = first_piece(btt, lba, n);
		int r = arena_write(p.arena, p.premap, p.n, source, NULL, durable);

		if (r < 0)
			return r;
		lba += p.n;
		n -= p.n;
	}
	return 0;
}

static int check_write(const struct untorn_btt *btt, uint64_t lba, uint64_t n, unsigned flags)
{
	if (flags & ~UNTORN_BTT_DURABLE)
		return -EINVAL;
	if (btt->read_only)
		return -EROFS;
	return check_range(btt, lba, n);
}

int untorn_btt_writev(struct untorn_btt *btt, uint64_t lba, uint64_t n, const struct iovec *iov, int iovcnt,
		      const void *meta, unsigned flags)
{
	struct source source = {.iov = iov, .meta = meta};
	int r = check_write(btt, lba, n, flags);

	if (r == 0)
		r = check_iov(btt, n, iov, iovcnt);
	if (r < 0)
		return r;
	return write_sectors(btt, lba, n, &source, flags & UNTORN_BTT_DURABLE);
}

int untorn_btt_write(struct untorn_btt *btt, uint64_t lba, uint64_t n, const void *data, const void *meta,
		     unsigned flags)
{
	int r = check_write(btt, lba, n, flags);
	struct iovec iov = {(void *)data, n * btt->sector_size};
	struct source source = {.iov = &iov, .meta = meta};

	if (r < 0)
		return r;
	return write_sectors(btt, lba, n, &source, flags & UNTORN_BTT_DURABLE);
}

int untorn_btt_flush(struct untorn_btt *btt)
{
	if (btt->read_only)
		return 0;
	for (uint32_t i = 0; i < btt->narena; i++) {
		int r = arena_flush(&btt->arenas[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --------------------------------------------------------- by byte -------------------------------------------------------- */

/*
 * A byte range as sectors: part of a first one, whole ones, part of a last one. Each of the three may be empty; a range
 * within one sector is all head.
 */
struct byte_range {
	uint64_t head_lba, lba, n, tail_lba;
	struct span head, tail;
};

static struct byte_range split_range(const struct untorn_btt *btt, uint64_t off, uint64_t len)
{
	uint32_t size = btt->sector_size;
	struct byte_range range = {.head_lba = off / size};
	uint32_t in_sector = off % size;

	if (in_sector > 0 || len < size) {
		range.head = (struct span){in_sector, min_u64(len, size - in_sector)};
		off += range.head.len;
		len -= range.head.len;
	}
	range.lba = off / size;
	range.n = len / size;
	range.tail_lba = range.lba + range.n;
	range.tail.len = len % size;
	return range;
}

static int check_bytes(const struct untorn_btt *btt, uint64_t off, uint64_t len)
{
	return range_fits(off, len, btt->nlba * btt->sector_size) ? 0 : -ERANGE;
}

int untorn_btt_pread(struct untorn_btt *btt, void *buf, size_t len, uint64_t off)
{
	struct byte_range range;
	uint8_t *p = buf;
	int r = check_bytes(btt, off, len);

	if (r < 0 || len == 0)
		return r;
	range = split_range(btt, off, len);
	if (range.head.len > 0) {
		r = read_parts(btt, range.head_lba, 1, &range.head, &(struct iovec){p, range.head.len}, NULL);
		p += range.head.len;
	}
	if (r == 0 && range.n > 0) {
		r = untorn_btt_read(btt, range.lba, range.n, p, NULL);
		p += range.n * btt->sector_size;
	}
	if (r == 0 && range.tail.len > 0)
		r = read_parts(btt, range.tail_lba, 1, &range.tail, &(struct iovec){p, range.tail.len}, NULL);
	return r;
}

static int write_part(struct untorn_btt *btt, uint64_t lba, const struct span *span, struct source *source,
		      bool durable)
{
	struct piece p = first_piece(btt, lba, 1);

	return arena_write(p.arena, p.premap, 1, source, span, durable);
}

static int check_byte_write(const struct untorn_btt *btt, uint64_t off, uint64_t len, unsigned flags)
{
	if (flags & ~UNTORN_BTT_DURABLE)
		return -EINVAL;
	if (btt->read_only)
		return -EROFS;
	return check_bytes(btt, off, len);
}

int untorn_btt_pwrite(struct untorn_btt *btt, const void *buf, size_t len, uint64_t off, unsigned flags)
{
	struct iovec iov = {(void *)buf, len};
	struct source source = {.iov = &iov};
	bool durable = flags & UNTORN_BTT_DURABLE;
	struct byte_range range;
	int r = check_byte_write(btt, off, len, flags);

	if (r < 0 || len == 0)
		return r;
	range = split_range(btt, off, len);
	if (range.head.len > 0)
		r = write_part(btt, range.head_lba, &range.head, &source, durable);
	if (r == 0)
		r = write_sectors(btt, range.lba, range.n, &source, durable);
	if (r == 0 && range.tail.len > 0)
		r = write_part(btt, range.tail_lba, &range.tail, &source, durable);
	return r;
}

/* ------------------------------------------------------ zeros and errors -------------------------------------------------- */

static int set_state(struct untorn_btt *btt, uint64_t lba, uint64_t n, uint32_t state)
{
	int r = 0;

	while (r == 0 && n > 0) {
		struct piece p = first_piece(btt, lba, n);

		r = arena_set_state(p.arena, p.premap, p.n, state);
		lba += p.n;
		n -= p.n;
	}
	return r;
}

/* Where the zero state cannot be used, zeros are data, but for sectors that read as zeros anyway. */
static int store_zeros(struct untorn_btt *btt, uint64_t lba, uint64_t n)
{
	struct source zeros = {.iov = NULL};
	uint64_t run;
	int r = 0, zero;

	while (r == 0 && n > 0) {
		r = untorn_btt_extent(btt, lba, n, &run, &zero);
		if (r < 0)
			return r;
		if (!zero)
			r = write_sectors(btt, lba, run, &zeros, true);
		lba += run;
		n -= run;
	}
	return r;
}

/*
 * Linux ends the read of a page at the first zero-state sector in it, and leaves the rest of the page as it was: among
 * sectors smaller than a page that state would spoil their neighbours. SPEC 4.
 */
bool btt_has_zero_state(const struct untorn_btt *btt)
{
	return btt->profile->layout == UNTORN_BTT_PMEMBLK || btt->sector_size >= 4096;
}

int untorn_btt_write_zeroes(struct untorn_btt *btt, uint64_t lba, uint64_t n)
{
	int r = check_write(btt, lba, n, 0);

	if (r < 0)
		return r;
	return btt_has_zero_state(btt) ? set_state(btt, lba, n, BTT_MAP_ZERO) : store_zeros(btt, lba, n);
}

int untorn_btt_discard(struct untorn_btt *btt, uint64_t lba, uint64_t n)
{
	return untorn_btt_write_zeroes(btt, lba, n);
}

int untorn_btt_pwrite_zeroes(struct untorn_btt *btt, uint64_t len, uint64_t off, unsigned flags)
{
	struct source zeros = {.iov = NULL};
	bool durable = flags & UNTORN_BTT_DURABLE;
	struct byte_range range;
	int r = check_byte_write(btt, off, len, flags);

	if (r < 0 || len == 0)
		return r;
	range = split_range(btt, off, len);
	if (range.head.len > 0)
		r = write_part(btt, range.head_lba, &range.head, &zeros, durable);
	if (r == 0)
		r = untorn_btt_write_zeroes(btt, range.lba, range.n);
	if (r == 0 && range.tail.len > 0)
		r = write_part(btt, range.tail_lba, &range.tail, &zeros, durable);
	return r;
}

int untorn_btt_mark_error(struct untorn_btt *btt, uint64_t lba)
{
	int r = check_write(btt, lba, 1, 0);

	return r < 0 ? r : set_state(btt, lba, 1, BTT_MAP_ERROR);
}

/* ---------------------------------------------------------- inspect ------------------------------------------------------- */

const char *untorn_btt_state_name(enum untorn_btt_state state)
{
	static const char *const names[] = {
		[UNTORN_BTT_INITIAL] = "initial",
		[UNTORN_BTT_ERROR] = "error",
		[UNTORN_BTT_ZERO] = "zero",
		[UNTORN_BTT_NORMAL] = "normal",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

struct lookup {
	struct piece piece;
	uint32_t entry, staged, block;
};

static int lookup(void *arg)
{
	struct lookup *q = arg;
	const struct btt_arena *a = q->piece.arena;

	q->entry = a->laid_out ? media_load32(&a->map[q->piece.premap]) : 0;
	q->staged = stripe_find_staged(a, stripe_of(a, q->piece.premap), q->piece.premap);
	if (q->staged != NO_LANE)
		q->block = a->lanes[q->staged].block;
	else
		q->block = map_entry_block(q->entry, q->piece.premap);
	return 0;
}

int untorn_btt_lookup(struct untorn_btt *btt, uint64_t lba, struct untorn_btt_mapping *ret_mapping)
{
	int r = check_range(btt, lba, 1);

	if (r < 0)
		return r;

	struct lookup q = {.piece = first_piece(btt, lba, 1)};
	const struct btt_arena *a = q.piece.arena;

	r = media_guarded(btt->media, lookup, &q);
	if (r < 0)
		return r;
	*ret_mapping = (struct untorn_btt_mapping){
		.state = q.staged != NO_LANE ? UNTORN_BTT_NORMAL : (enum untorn_btt_state)(q.entry >> 30),
		.arena = a - btt->arenas,
		.premap = q.piece.premap,
		.postmap = q.block,
		.raw = q.entry,
		.map_off = (const uint8_t *)&a->map[q.piece.premap] - btt->media->base,
		.block_off =
			(uint64_t)(a->data - btt->media->base) + (uint64_t)q.block * a->info.geometry.internal_lbasize,
	};
	return 0;
}

struct extent {
	struct untorn_btt *btt;
	struct piece piece;
	struct media_run run;
	bool zero;
	uint32_t n; /* alike so far */
};

static bool looks_zero(struct extent *q, const struct stripe *stripe, uint32_t premap)
{
	const struct btt_arena *a = q->piece.arena;

	if (arena_has_staged(a) && stripe_find_staged(a, stripe, premap) != NO_LANE)
		return false;
	return arena_entry_reads_zero(a, media_load32(&a->map[premap]), premap, &q->run);
}

/* A sector that changes while we look is not known to be anything. */
static bool is_known_zero(struct extent *q, uint32_t premap)
{
	const struct btt_arena *a = q->piece.arena;
	const struct stripe *stripe = stripe_of(a, premap);
	uint64_t version;
	bool zero;

	if (!a->laid_out)
		return true;
	version = atomic_load_explicit(&stripe->version, memory_order_acquire);
	zero = looks_zero(q, stripe, premap);
	atomic_thread_fence(memory_order_acquire);
	return zero && atomic_load_explicit(&stripe->version, memory_order_relaxed) == version;
}

static int extent(void *arg)
{
	struct extent *q = arg;

	q->zero = is_known_zero(q, q->piece.premap);
	for (q->n = 1; q->n < q->piece.n; q->n++)
		if (is_known_zero(q, q->piece.premap + q->n) != q->zero)
			break;
	return 0;
}

int untorn_btt_extent(struct untorn_btt *btt, uint64_t lba, uint64_t n, uint64_t *ret_n, int *ret_zero)
{
	int r = check_range(btt, lba, n);

	if (r < 0)
		return r;
	if (n == 0)
		return -EINVAL;

	struct extent q = {.btt = btt, .piece = first_piece(btt, lba, n)};

	r = media_guarded(btt->media, extent, &q);
	if (r < 0)
		return r;
	*ret_n = q.n;
	*ret_zero = q.zero;
	return 0;
}
