/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbd-fault URI FILE SECTOR_SIZE LENGTH: the file is cut to LENGTH bytes under the server that serves it, while
 * writes are buffered. Requests that meet the missing part fail with EIO and the server goes on. As long as
 * acknowledged writes cannot be made durable, every flush fails, on all connections: not only the first, and not only
 * the writer's. LENGTH keeps the beginning of the data and loses the map and the flog.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nbd-client.h"

int main(int argc, char **argv)
{
	struct nbd_handle *clients[3], *late;
	uint32_t sector;
	uint8_t *buf;
	uint64_t end;

	if (argc != 5) {
		fprintf(stderr, "usage: nbd-fault URI FILE SECTOR_SIZE LENGTH\n");
		return 2;
	}
	sector = (uint32_t)atoi(argv[3]);
	buf = calloc(1, sector);
	for (size_t i = 0; i < 3; i++)
		clients[i] = nbd_client_connect(argv[1]);
	end = (uint64_t)nbd_get_size(clients[0]);

	memset(buf, 1, sector);
	NBD(nbd_pwrite(clients[0], buf, sector, 0, 0));
	NBD(nbd_flush(clients[2], 0));
	NBD(nbd_pwrite(clients[0], buf, sector, sector, 0));
	if (truncate(argv[2], atol(argv[4])) < 0)
		DIE("%s: cannot truncate", argv[2]);

	NBD_FAILS(nbd_pread(clients[0], buf, sector, end - sector, 0), EIO);
	for (size_t i = 0; i < 6; i++)
		NBD_FAILS(nbd_flush(clients[i % 3], 0), EIO);
	NBD_FAILS(nbd_pwrite(clients[2], buf, sector, sector, LIBNBD_CMD_FLAG_FUA), EIO);
	NBD_FAILS(nbd_pread(clients[2], buf, sector, end - sector, 0), EIO);

	/* The server still serves. */
	late = nbd_client_connect(argv[1]);
	NBD_FAILS(nbd_pread(late, buf, sector, end - sector, 0), EIO);
	nbd_client_close(late);
	for (size_t i = 0; i < 3; i++)
		nbd_client_close(clients[i]);
	free(buf);
	return EXIT_SUCCESS;
}
