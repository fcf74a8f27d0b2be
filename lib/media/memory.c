/* SPDX-License-Identifier: BSD-3-Clause */
/* Somebody else's memory as a volatile medium: stores are stores, and nothing needs to be made durable. */
#include "media/memory.h"

#include <errno.h>
#include <stdlib.h>

static void memory_copy(struct untorn_media *m, void *dst, const void *src, size_t len)
{
	(void)m;
	memcpy(dst, src, len);
}

static void memory_zero(struct untorn_media *m, void *dst, size_t len)
{
	(void)m;
	memset(dst, 0, len);
}

static void memory_flush(struct untorn_media *m, const void *p, size_t len)
{
	(void)m;
	(void)p;
	(void)len;
}

static int memory_drain(struct untorn_media *m)
{
	(void)m;
	return 0;
}

static void memory_destroy(struct untorn_media *m)
{
	free(m);
}

static const struct media_ops memory_ops = {
	.copy = memory_copy,
	.zero = memory_zero,
	.flush = memory_flush,
	.drain = memory_drain,
	.destroy = memory_destroy,
};

int memory_media_wrap(void *base, uint64_t size, struct untorn_media **ret_media)
{
	struct untorn_media *m;

	if (!is_aligned(size, 4096) || size == 0)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	media_init_root(m, &memory_ops, UNTORN_MEDIA_VOLATILE, false);
	m->base = base;
	m->size = size;
	*ret_media = m;
	return 0;
}
