/* SPDX-License-Identifier: BSD-3-Clause */
/* What the NBD test programs share: connections, and an end with one sentence when something is not as it must be. */
#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include <libnbd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DIE(...)                                                \
	do {                                                    \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                   \
		fputc('\n', stderr);                            \
		exit(EXIT_FAILURE);                             \
	} while (0)

#define REQUIRE(condition)                             \
	do {                                           \
		if (!(condition))                      \
			DIE("not so: %s", #condition); \
	} while (0)

/* A call of libnbd that must succeed. */
#define NBD(call)                                              \
	do {                                                   \
		if ((call) == -1)                              \
			DIE("%s: %s", #call, nbd_get_error()); \
	} while (0)

/* A call of libnbd that must fail with that errno, told by the server. */
#define NBD_FAILS(call, err)                                                                 \
	do {                                                                                 \
		if ((call) != -1)                                                            \
			DIE("%s: succeeds, and must fail with " #err, #call);                \
		if (nbd_get_errno() != (err))                                                \
			DIE("%s: must fail with " #err ", but: %s", #call, nbd_get_error()); \
	} while (0)

/* A connection that lets wrong requests through to the server, and knows extents. */
static inline struct nbd_handle *nbd_client_connect(const char *uri)
{
	struct nbd_handle *nbd = nbd_create();

	if (!nbd)
		DIE("nbd_create: %s", nbd_get_error());
	NBD(nbd_set_strict_mode(nbd, 0));
	NBD(nbd_set_full_info(nbd, true));
	NBD(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
	NBD(nbd_connect_uri(nbd, uri));
	return nbd;
}

static inline void nbd_client_close(struct nbd_handle *nbd)
{
	NBD(nbd_shutdown(nbd, 0));
	nbd_close(nbd);
}

/* A sequence that is the same in every run: xorshift. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void random_fill(uint64_t *state, void *buf, size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(random_next(state) >> 24);
}

#endif
