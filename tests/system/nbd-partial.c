/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbd-partial URI SECTOR_SIZE: clients that write different bytes of the same sectors at the same time, and lose
 * nothing.
 *
 * The first few sectors are cut into pieces of a length that fits no sector, and dealt out to the clients in turn:
 * each sector holds pieces of all, and some pieces cross from one sector into the next. Only its owner writes a
 * piece, so the owner must always read back what it wrote last. A read-modify-write that is not one step under the
 * sector's lock loses somebody's bytes soon.
 */
#include <pthread.h>
#include <string.h>

#include "nbd-client.h"

enum { CLIENTS = 6, SECTORS = 3, ROUNDS = 8000, MAX_SECTOR = 65536 };

static const char *uri;
static uint32_t sector, piece;
static uint8_t expected[SECTORS * MAX_SECTOR]; /* each byte is its owner's */

static void *client_main(void *arg)
{
	unsigned client = (unsigned)(uintptr_t)arg;
	unsigned npieces = SECTORS * sector / piece / CLIENTS;
	struct nbd_handle *nbd = nbd_client_connect(uri);
	uint64_t state = 77 + client;
	uint8_t seen[MAX_SECTOR];

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t off = piece * (client + CLIENTS * (unsigned)(random_next(&state) % npieces));

		if (random_next(&state) % 2) {
			random_fill(&state, expected + off, piece);
			NBD(nbd_pwrite(nbd, expected + off, piece, off,
				       random_next(&state) % 4 == 0 ? LIBNBD_CMD_FLAG_FUA : 0));
		} else if (random_next(&state) % 4 == 0) {
			memset(expected + off, 0, piece);
			NBD(nbd_zero(nbd, piece, off, 0));
		}
		off = piece * (client + CLIENTS * (unsigned)(random_next(&state) % npieces));
		NBD(nbd_pread(nbd, seen, piece, off, 0));
		if (memcmp(seen, expected + off, piece) != 0)
			DIE("client %u, round %u: its %u bytes at %u are not what it wrote last", client, round, piece,
			    off);
	}
	nbd_client_close(nbd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[CLIENTS];
	struct nbd_handle *nbd;

	if (argc != 3) {
		fprintf(stderr, "usage: nbd-partial URI SECTOR_SIZE\n");
		return 2;
	}
	uri = argv[1];
	sector = (uint32_t)atoi(argv[2]);
	piece = (sector / CLIENTS - 2) | 1;
	REQUIRE(sector <= MAX_SECTOR && piece > 1);

	nbd = nbd_client_connect(uri);
	NBD(nbd_pread(nbd, expected, SECTORS * sector, 0, 0));
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (pthread_create(&threads[i], NULL, client_main, (void *)(uintptr_t)i) != 0)
			DIE("no thread");
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	nbd_client_close(nbd);
	return EXIT_SUCCESS;
}
