/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is bad in places.
 *
 * The good pages are a shared mapping of one memory file. A bad page has a page of an empty memory file mapped over it: that
 * page lies beyond the end of its file, so the kernel raises SIGBUS at the first load or store, as for a truncated file
 * or poisoned memory. What was in a page that goes bad is lost.
 */
#include "media/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fault {
	struct untorn_media m;
	int good, empty;               /* memory files */
	_Atomic int drains_until_fail; /* 1: the next one fails; 0 and less: none does */
};

static struct fault *fault_of(struct untorn_media *m)
{
	return (struct fault *)m->root;
}

static void fault_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	(void)m;
	memcpy(dst, src, len);
}

static void fault_zero(struct untorn_media *m, void *dst, size_t len)
{
	(void)m;
	memset(dst, 0, len);
}

static void fault_flush(struct untorn_media *m, const void *p, size_t len)
{
	(void)m;
	(void)p;
	(void)len;
}

static int fault_drain(struct untorn_media *m)
{
	struct fault *f = fault_of(m);
	int left = atomic_load(&f->drains_until_fail);

	while (left > 0 && !atomic_compare_exchange_weak(&f->drains_until_fail, &left, left - 1))
		;
	return left == 1 ? -EIO : 0;
}

static void fault_destroy(struct untorn_media *m)
{
	struct fault *f = fault_of(m);

	if (f->m.base)
		munmap(f->m.base, f->m.size);
	if (f->good >= 0)
		close(f->good);
	if (f->empty >= 0)
		close(f->empty);
	free(f);
}

static const struct media_ops fault_ops = {
	.copy = fault_copy,
	.zero = fault_zero,
	.flush = fault_flush,
	.drain = fault_drain,
	.destroy = fault_destroy,
};

int fault_media_new(uint64_t size, struct untorn_media **ret_media)
{
	struct fault *f;
	void *base;
	int r;

	if (!is_aligned(size, 4096) || size == 0)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	media_init_root(&f->m, &fault_ops, UNTORN_MEDIA_PAGE, false);
	f->good = memfd_create("fault-good", MFD_CLOEXEC);
	f->empty = memfd_create("fault-empty", MFD_CLOEXEC);
	if (f->good < 0 || f->empty < 0 || ftruncate(f->good, (off_t)size) < 0)
		goto fail;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f->good, 0);
	if (base == MAP_FAILED)
		goto fail;
	f->m.base = base;
	f->m.size = size;
	*ret_media = &f->m;
	return 0;
fail:
	r = -errno;
	fault_destroy(&f->m);
	return r;
}

int fault_media_set_bad(struct untorn_media *m, uint64_t off, uint64_t len, bool bad)
{
	struct fault *f = fault_of(m);
	uint64_t first, last;

	if (!range_fits(off, len, m->size))
		return -ERANGE;
	if (len == 0)
		return 0;
	first = round_down(m->root_off + off, 4096);
	last = round_up(m->root_off + off + len, 4096);
	if (fallocate(f->good, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(last - first)) < 0)
		return -errno;
	if (mmap(f->m.base + first, last - first, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 bad ? f->empty : f->good, bad ? 0 : (off_t)first) == MAP_FAILED)
		return -errno;
	return 0;
}

void fault_media_fail_drain(struct untorn_media *m, unsigned after)
{
	atomic_store(&fault_of(m)->drains_until_fail, (int)after + 1);
}
