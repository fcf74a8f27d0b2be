/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all media share: names, slices, bounds, and the life of a medium.
 *
 * A root owns the memory; slices point into it and keep it alive. Nothing but the operations of the root stores to it or
 * makes it durable, so what a slice does is seen by whoever watches the root (crash.c, fault.c).
 */
#include "media/media.h"

#include <errno.h>
#include <stdlib.h>

#include "media/guard.h"

#define MEDIA_ALIGN 4096u
/* Below this, storing zeros is cheaper than changing the file's extents. */
#define PUNCH_MIN (64u << 10)

/* TSan must not see the loads of media_load(): they race with copy() by design. Everything else it shall see. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

static const char *const kind_names[] = {
	[UNTORN_MEDIA_AUTO] = "auto", [UNTORN_MEDIA_CACHELINE] = "cacheline", [UNTORN_MEDIA_BYTE] = "byte",
	[UNTORN_MEDIA_PAGE] = "page", [UNTORN_MEDIA_VOLATILE] = "volatile",
};

const char *untorn_media_kind_name(enum untorn_media_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : "unknown";
}

int untorn_media_kind_parse(const char *name, enum untorn_media_kind *ret_kind)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(kind_names); i++) {
		if (strcmp(name, kind_names[i]) == 0) {
			*ret_kind = (enum untorn_media_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

void media_init_root(struct untorn_media *m, const struct media_ops *ops, enum untorn_media_kind kind, bool read_only)
{
	guard_install();
	m->ops = ops;
	m->kind = kind;
	m->read_only = read_only;
	m->root = m;
	m->root_off = 0;
	m->fd = -1;
	atomic_init(&m->refs, 1);
	atomic_init(&m->failed, false);
	atomic_init(&m->drains, 0);
	m->counts_drains = true;
}

int untorn_media_slice(struct untorn_media *parent, uint64_t off, uint64_t len, struct untorn_media **ret_media)
{
	struct untorn_media *m;

	if (!is_aligned(off, MEDIA_ALIGN) || !is_aligned(len, MEDIA_ALIGN) || len == 0)
		return -EINVAL;
	if (!range_fits(off, len, parent->size))
		return -ERANGE;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->ops = parent->ops;
	m->base = parent->base + off;
	m->size = len;
	m->kind = parent->kind;
	m->read_only = parent->read_only;
	m->root = parent->root;
	m->root_off = parent->root_off + off;
	m->fd = -1;
	atomic_fetch_add(&m->root->refs, 1);
	*ret_media = m;
	return 0;
}

void untorn_media_close(struct untorn_media *media)
{
	struct untorn_media *root;

	if (!media)
		return;
	root = media->root;
	if (media != root)
		free(media);
	if (atomic_fetch_sub(&root->refs, 1) == 1)
		root->ops->destroy(root);
}

uint64_t untorn_media_size(const struct untorn_media *media)
{
	return media->size;
}

enum untorn_media_kind untorn_media_kind(const struct untorn_media *media)
{
	return media->kind;
}

int untorn_media_is_read_only(const struct untorn_media *media)
{
	return media->read_only;
}

uint64_t untorn_media_drains(const struct untorn_media *media)
{
	return atomic_load_explicit(&media->root->drains, memory_order_relaxed);
}

int media_drain(struct untorn_media *m)
{
	struct untorn_media *root = m->root;
	int r;

	if (unlikely(atomic_load(&root->failed)))
		return -EIO;
	r = root->ops->drain(root);
	if (root->counts_drains)
		atomic_fetch_add_explicit(&root->drains, 1, memory_order_relaxed);
	/* Power cut here: all that this thread flushed or copied before is there. */
	if (unlikely(r < 0)) {
		atomic_store(&root->failed, true);
		return -EIO;
	}
	return 0;
}

void media_order(struct untorn_media *m)
{
	struct untorn_media *root = m->root;

#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("sfence" ::: "memory");
#else
	__sync_synchronize();
#endif
	if (unlikely(root->ops->order))
		root->ops->order(root);
}

#ifdef THREAD_SANITIZER
/* Volatile, or the compiler would make it a call of memcpy(), which TSan watches. */
__attribute__((noinline, no_sanitize("thread"))) static void load_unseen(void *dst, const void *src, size_t len)
{
	const volatile uint8_t *s = src;
	volatile uint8_t *d = dst;

	for (size_t i = 0; i < len; i++)
		d[i] = s[i];
}

void media_load(void *dst, const void *src, size_t len)
{
	load_unseen(dst, src, len);
}
#else
void media_load(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}
#endif

struct transfer {
	struct untorn_media *media;
	uint64_t off;
	void *in;
	const void *out;
	size_t len;
};

static int do_read(void *arg)
{
	struct transfer *t = arg;

	media_load(t->in, t->media->base + t->off, t->len);
	return 0;
}

static int do_write(void *arg)
{
	struct transfer *t = arg;

	media_copy(t->media, t->media->base + t->off, t->out, t->len);
	return 0;
}

static int do_zero(void *arg)
{
	struct transfer *t = arg;

	media_zero(t->media, t->media->base + t->off, t->len);
	return 0;
}

int untorn_media_read(struct untorn_media *media, uint64_t off, void *buf, size_t len)
{
	struct transfer t = {.media = media, .off = off, .in = buf, .len = len};

	if (!range_fits(off, len, media->size))
		return -ERANGE;
	return len ? media_guarded(media, do_read, &t) : 0;
}

int untorn_media_write(struct untorn_media *media, uint64_t off, const void *buf, size_t len)
{
	struct transfer t = {.media = media, .off = off, .out = buf, .len = len};
	int r;

	if (!range_fits(off, len, media->size))
		return -ERANGE;
	if (media->read_only)
		return -EROFS;
	if (!len)
		return 0;
	r = media_guarded(media, do_write, &t);
	/* Power cut here: any part of it may be there. */
	return r < 0 ? r : media_drain(media);
}

int untorn_media_next_data(struct untorn_media *media, uint64_t off, uint64_t *ret_data, uint64_t *ret_end)
{
	struct untorn_media *root = media->root;
	uint64_t data = off, end = media->size;
	int r;

	if (off > media->size)
		return -ERANGE;
	if (off < media->size && root->ops->next_data) {
		r = root->ops->next_data(root, media->root_off + off, &data, &end);
		if (r < 0)
			return r;
		/* From offsets of the root to ours. Both are at least at off; what lies behind the slice is not data of it. */
		data = min_u64(data - media->root_off, media->size);
		end = min_u64(end - media->root_off, media->size);
	}
	*ret_data = data;
	*ret_end = end;
	return 0;
}

int media_read_data(struct untorn_media *m, uint64_t off, void *buf, size_t len)
{
	uint64_t data, end;
	int r;

	if (!range_fits(off, len, m->size))
		return -ERANGE;
	r = untorn_media_next_data(m, off, &data, &end);
	if (r < 0)
		return r;
	if (data < off + len)
		return untorn_media_read(m, off, buf, len);
	memset(buf, 0, len);
	return 0;
}

/* Store zeros over what is not a hole in [off, end). */
static int store_zeros(struct untorn_media *m, uint64_t off, uint64_t end)
{
	uint64_t data, stop;

	for (; off < end; off = stop) {
		int r = untorn_media_next_data(m, off, &data, &stop);

		if (r < 0)
			return r;
		stop = min_u64(stop, end);
		if (data < stop) {
			struct transfer t = {.media = m, .off = data, .len = stop - data};

			r = media_guarded(m, do_zero, &t);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int untorn_media_zero(struct untorn_media *media, uint64_t off, uint64_t len)
{
	struct untorn_media *root = media->root;
	uint64_t end = off + len, data, stop, first, last;
	int r;

	if (!range_fits(off, len, media->size))
		return -ERANGE;
	if (media->read_only)
		return -EROFS;
	if (!len)
		return 0;
	r = untorn_media_next_data(media, off, &data, &stop);
	if (r < 0)
		return r;
	first = round_up(data, MEDIA_ALIGN);
	last = round_down(end, MEDIA_ALIGN);
	r = -EOPNOTSUPP;
	if (root->ops->punch && first < last && last - first >= PUNCH_MIN)
		r = root->ops->punch(root, media->root_off + first, last - first);
	if (r == -EOPNOTSUPP)
		first = last = end;
	else if (r < 0)
		return r;
	/* Power cut here: any part of it may still hold what was there before. */
	r = store_zeros(media, data, min_u64(first, end));
	if (r == 0)
		r = store_zeros(media, last, end);
	return r < 0 ? r : media_drain(media);
}
