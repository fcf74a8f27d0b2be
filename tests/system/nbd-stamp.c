/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stamp engine on an NBD export (see stamp.h): TARGET is a URI. Each thread has a connection of its own, so a flush
 * on one must cover what was acknowledged on it while the others go on.
 *
 *	-o sector=N         bytes of a sector
 *	-o kill=PID:AFTER   SIGKILL to the server's process after AFTER acknowledged requests, with others in flight
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "nbd-client.h"
#include "stamp.h"

static const char *uri;
static uint32_t sector;
static pid_t server;
static _Atomic long left; /* requests until the kill */

static pthread_key_t connection_key;

static void connection_close(void *nbd)
{
	nbd_close(nbd);
}

static struct nbd_handle *connection(void)
{
	struct nbd_handle *nbd = pthread_getspecific(connection_key);

	if (!nbd) {
		nbd = nbd_create();
		if (nbd && nbd_connect_uri(nbd, uri) < 0) {
			nbd_close(nbd);
			nbd = NULL;
		}
		pthread_setspecific(connection_key, nbd);
	}
	return nbd;
}

static int result(int r)
{
	if (r == -1)
		return nbd_get_errno() ? -nbd_get_errno() : -EIO;
	return 0;
}

static int stamp_open(const char *target, const char *const *options, bool writable,
		      struct stamp_geometry *ret_geometry, void **ret_handle)
{
	(void)writable;
	for (; *options; options++) {
		char *end;

		if (!strncmp(*options, "sector=", 7)) {
			sector = (uint32_t)strtoul(*options + 7, NULL, 0);
		} else if (!strncmp(*options, "kill=", 5)) {
			server = (pid_t)strtol(*options + 5, &end, 10);
			if (server <= 1 || *end != ':')
				return -EINVAL;
			left = strtol(end + 1, NULL, 10);
		} else {
			return -EINVAL;
		}
	}
	if (sector == 0)
		return -EINVAL;
	uri = target;
	pthread_key_create(&connection_key, connection_close);
	if (!connection())
		return -ENOTCONN;
	ret_geometry->sector_size = sector;
	ret_geometry->nlba = (uint64_t)nbd_get_size(connection()) / sector;
	*ret_handle = &connection_key;
	return 0;
}

static int stamp_read(void *handle, uint64_t lba, void *buf)
{
	struct nbd_handle *nbd = connection();

	(void)handle;
	return nbd ? result(nbd_pread(nbd, buf, sector, lba * sector, 0)) : -ENOTCONN;
}

static int stamp_write(void *handle, uint64_t lba, uint32_t n, const void *buf, bool durable)
{
	struct nbd_handle *nbd = connection();
	int r;

	(void)handle;
	if (!nbd)
		return -ENOTCONN;
	r = result(nbd_pwrite(nbd, buf, (size_t)n * sector, lba * sector, durable ? LIBNBD_CMD_FLAG_FUA : 0));
	if (r == 0 && server && atomic_fetch_sub(&left, 1) == 1)
		kill(server, SIGKILL);
	return r;
}

static int stamp_flush(void *handle)
{
	struct nbd_handle *nbd = connection();

	(void)handle;
	return nbd ? result(nbd_flush(nbd, 0)) : -ENOTCONN;
}

static int stamp_close(void *handle)
{
	(void)handle;
	nbd_close(pthread_getspecific(connection_key));
	pthread_setspecific(connection_key, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct stamp_backend backend = {
		.name = "nbd-stamp",
		.open = stamp_open,
		.read = stamp_read,
		.write = stamp_write,
		.flush = stamp_flush,
		.close = stamp_close,
	};

	return stamp_main(argc, argv, &backend);
}
