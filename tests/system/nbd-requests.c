/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbd-requests model URI SECTOR_SIZE ROUNDS HAS_ZERO_STATE: every kind of request, of any offset and length, against
 * a plain array that says what must be read. Two connections take turns, so what one does must be seen by the other
 * at once. The export must be empty. It holds random data afterwards, all of it flushed.
 *
 * nbd-requests refuse URI: a read-only export reads, and refuses everything else.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/param.h>

#include "nbd-client.h"

enum { HOT = 40 /* sectors at each end, where most requests go */ };

static struct nbd_handle *clients[2];
static uint64_t size, nlba;
static uint32_t sector;
static int has_zero_state;  /* else zeros are data: neither trim nor fast zeroing are offered */
static uint8_t *model;      /* what the export must read as */
static uint8_t *is_written; /* by lba: it has got a block of its own */
/*
 * By lba: written, then zeroed or trimmed as a whole: must be a hole. One that was never written is a hole of the file,
 * and a file system may fill that with zeros as it pleases.
 */
static uint8_t *is_zeroed;
static int has_zero_state; /* zeros are a state of the map, else data: then nothing is promised to be a hole */
static uint8_t *has_data;  /* by lba: holds something else than zeros: must not be a hole */
static uint64_t random_state = 0x756e746f726e;

/* ----------------------------------------------------------------- the model -------------------------------------- */

static void model_changed(uint64_t off, uint64_t len, int is_zeroing)
{
	for (uint64_t lba = off / sector; lba < nlba && lba * sector < off + len; lba++) {
		uint64_t first = lba * sector;
		int is_whole = off <= first && off + len >= first + sector;
		const uint8_t *p = model + first;

		is_written[lba] |= !is_zeroing || !is_whole;
		is_zeroed[lba] = is_zeroing && is_whole && is_written[lba] && has_zero_state;
		has_data[lba] = p[0] != 0 || memcmp(p, p + 1, sector - 1) != 0;
	}
}

static void check_read(struct nbd_handle *nbd, uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len);

	NBD(nbd_pread(nbd, buf, len, off, 0));
	for (uint64_t i = 0; i < len; i++) {
		if (buf[i] != model[off + i])
			DIE("byte %" PRIu64 " (of a read at %" PRIu64 ", %" PRIu64 " long) is %#x and must be %#x",
			    off + i, off, len, buf[i], model[off + i]);
	}
	free(buf);
}

static void check_all(struct nbd_handle *nbd)
{
	for (uint64_t off = 0; off < size; off += 1 << 20)
		check_read(nbd, off, MIN(size - off, 1 << 20));
}

/* ----------------------------------------------------------------- extents ---------------------------------------- */

struct map {
	uint64_t off; /* up to where it is known */
	unsigned n;   /* extents in the last reply */
};

static void check_extent(uint64_t off, uint64_t len, uint32_t flags)
{
	REQUIRE(flags == 0 || flags == (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO));
	REQUIRE(off + len <= size);
	for (uint64_t lba = off / sector; lba * sector < off + len; lba++) {
		if (flags && has_data[lba])
			DIE("sector %" PRIu64 " holds data and is reported as a hole", lba);
		if (!flags && is_zeroed[lba] && has_zero_state)
			DIE("sector %" PRIu64 " was zeroed and is not reported as a hole", lba);
	}
}

static int take_extents(void *arg, const char *context, uint64_t off, uint32_t *entries, size_t n, int *error)
{
	struct map *map = arg;

	(void)error;
	REQUIRE(strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0);
	REQUIRE(off == map->off && n >= 2 && n % 2 == 0);
	map->n = n / 2;
	for (size_t i = 0; i < n; i += 2) {
		uint64_t len = MIN(entries[i], size - map->off);

		REQUIRE(len > 0);
		check_extent(map->off, len, entries[i + 1]);
		map->off += len;
	}
	return 0;
}

static void check_extents(struct nbd_handle *nbd, uint64_t start)
{
	struct map map = {.off = start};
	nbd_extent_callback callback = {.callback = take_extents, .user_data = &map};

	while (map.off < size)
		NBD(nbd_block_status(nbd, MIN(size - map.off, 1u << 30), map.off, callback, 0));
	REQUIRE(map.off == size);

	map = (struct map){.off = start};
	NBD(nbd_block_status(nbd, size - start, start, callback, LIBNBD_CMD_FLAG_REQ_ONE));
	REQUIRE(map.n == 1);
}

/* ----------------------------------------------------------------- requests --------------------------------------- */

/* Most ranges lie at one of the ends, so that they overlap; some begin or end at sectors' edges; few are long. */
static void choose_range(uint64_t *ret_off, uint64_t *ret_len)
{
	uint64_t off = random_next(&random_state) % (HOT * sector);
	uint64_t len =
		1 + random_next(&random_state) % (random_next(&random_state) % 8 == 0 ? 20 * sector : 2 * sector);

	if (random_next(&random_state) % 3 == 0)
		off -= off % sector;
	if (random_next(&random_state) % 3 == 0)
		len += sector - (off + len) % sector;
	if (random_next(&random_state) % 4 == 0)
		off = size - HOT * sector + off;
	if (random_next(&random_state) % 64 == 0)
		len = 1 + random_next(&random_state) % (size / 2);
	*ret_off = off;
	*ret_len = MIN(len, size - off);
}

static void model_trim(uint64_t off, uint64_t len)
{
	uint64_t first = (off + sector - 1) / sector, end = (off + len) / sector;

	if (end <= first)
		return;
	memset(model + first * sector, 0, (end - first) * sector);
	model_changed(first * sector, (end - first) * sector, 1);
}

static void do_request(struct nbd_handle *nbd)
{
	uint64_t off, len;
	uint32_t flags = random_next(&random_state) % 4 == 0 ? LIBNBD_CMD_FLAG_FUA : 0;

	choose_range(&off, &len);
	switch (random_next(&random_state) % 10) {
	case 0:
		if (!has_zero_state)
			break;
		NBD(nbd_trim(nbd, len, off, flags));
		model_trim(off, len);
		break;
	case 1:
	case 2:
		if (random_next(&random_state) % 2)
			flags |= LIBNBD_CMD_FLAG_NO_HOLE;
		NBD(nbd_zero(nbd, len, off, flags));
		memset(model + off, 0, len);
		model_changed(off, len, 1);
		break;
	case 3:
		NBD(nbd_flush(nbd, 0));
		break;
	default:
		random_fill(&random_state, model + off, len);
		NBD(nbd_pwrite(nbd, model + off, len, off, flags));
		model_changed(off, len, 0);
	}
	check_read(clients[random_next(&random_state) % 2], off, len);
}

static void check_fast_zero(struct nbd_handle *nbd)
{
	uint64_t lba = nlba / 2;

	if (!has_zero_state) {
		NBD_FAILS(nbd_zero(nbd, sector, lba * sector, LIBNBD_CMD_FLAG_FAST_ZERO), EINVAL);
		NBD_FAILS(nbd_trim(nbd, sector, lba * sector, 0), EINVAL);
		return;
	}
	NBD_FAILS(nbd_zero(nbd, sector - 1, lba * sector, LIBNBD_CMD_FLAG_FAST_ZERO), ENOTSUP);
	NBD_FAILS(nbd_zero(nbd, 2 * sector - 2, lba * sector + 1, LIBNBD_CMD_FLAG_FAST_ZERO), ENOTSUP);
	check_read(nbd, lba * sector, 2 * sector);
	NBD(nbd_zero(nbd, sector, lba * sector, LIBNBD_CMD_FLAG_FAST_ZERO));
	NBD(nbd_zero(nbd, (size - sector) & ~511u, 0, LIBNBD_CMD_FLAG_FAST_ZERO | LIBNBD_CMD_FLAG_FUA));
	memset(model, 0, (size - sector) & ~511u);
	model_changed(0, (size - sector) & ~511u, 1);
	check_all(nbd);
}

static void check_bounds(struct nbd_handle *nbd)
{
	uint8_t buf[2] = {0};

	NBD_FAILS(nbd_pread(nbd, buf, 2, size - 1, 0), EINVAL);
	NBD_FAILS(nbd_pwrite(nbd, buf, 2, size - 1, 0), ENOSPC);
	NBD_FAILS(nbd_zero(nbd, 2, size - 1, 0), ENOSPC);
	if (has_zero_state)
		if (has_zero_state)
			NBD_FAILS(nbd_trim(nbd, 2, size - 1, 0), EINVAL);
	check_read(nbd, size - 1, 1);
}

static void check_promises(struct nbd_handle *nbd)
{
	char *description = nbd_get_export_description(nbd);
	uint32_t preferred = 512;

	while (preferred < sector)
		preferred *= 2;
	REQUIRE(description && strncmp(description, "BTT ", 4) == 0);
	free(description);
	REQUIRE(nbd_is_read_only(nbd) == 0);
	REQUIRE(nbd_can_flush(nbd) == 1);
	REQUIRE(nbd_can_fua(nbd) == 1);
	REQUIRE(nbd_can_trim(nbd) == has_zero_state);
	REQUIRE(nbd_can_zero(nbd) == 1);
	REQUIRE(nbd_can_fast_zero(nbd) == has_zero_state);
	REQUIRE(nbd_can_multi_conn(nbd) == 1);
	REQUIRE(nbd_is_rotational(nbd) == 0);
	REQUIRE(nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM) == 1);
	REQUIRE(nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED) == preferred);
	REQUIRE(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM) == 32 << 20);
}

static int run_model(const char *uri, unsigned rounds)
{
	for (size_t i = 0; i < 2; i++)
		clients[i] = nbd_client_connect(uri);
	check_promises(clients[0]);
	size = (uint64_t)nbd_get_size(clients[0]);
	nlba = size / sector;
	REQUIRE(nlba * sector == size && nlba > 4 * HOT);
	model = calloc(1, size);
	is_written = calloc(1, nlba);
	is_zeroed = calloc(1, nlba);
	has_data = calloc(1, nlba);

	check_all(clients[0]);
	check_extents(clients[1], 0);
	for (unsigned i = 0; i < rounds; i++) {
		do_request(clients[i % 2]);
		if (i % 500 == 0)
			check_extents(clients[i / 500 % 2], random_next(&random_state) % size);
	}
	check_all(clients[0]);
	check_extents(clients[1], 0);
	check_bounds(clients[0]);
	if (has_zero_state)
		check_fast_zero(clients[1]);
	check_extents(clients[0], 0);
	for (unsigned i = 0; i < rounds / 10; i++)
		do_request(clients[i % 2]);
	NBD(nbd_flush(clients[0], 0));
	check_all(clients[1]);
	for (size_t i = 0; i < 2; i++)
		nbd_client_close(clients[i]);
	return EXIT_SUCCESS;
}

static int run_refuse(const char *uri)
{
	struct nbd_handle *nbd = nbd_client_connect(uri);
	uint8_t before[4096], after[4096], ones[4096];

	memset(ones, 1, sizeof(ones));
	REQUIRE(nbd_is_read_only(nbd) == 1);
	NBD(nbd_pread(nbd, before, sizeof(before), 0, 0));
	NBD_FAILS(nbd_pwrite(nbd, ones, sizeof(ones), 0, 0), EPERM);
	NBD_FAILS(nbd_zero(nbd, sizeof(ones), 0, 0), EPERM);
	NBD_FAILS(nbd_trim(nbd, sizeof(ones), 0, 0), EPERM);
	NBD(nbd_pread(nbd, after, sizeof(after), 0, 0));
	REQUIRE(memcmp(before, after, sizeof(after)) == 0);
	nbd_client_close(nbd);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "model") == 0) {
		sector = (uint32_t)atoi(argv[3]);
		has_zero_state = atoi(argv[5]);
		has_zero_state = strcmp(argv[5], "state") == 0;
		return run_model(argv[2], (unsigned)atoi(argv[4]));
	}
	if (argc == 3 && strcmp(argv[1], "refuse") == 0)
		return run_refuse(argv[2]);
	fprintf(stderr, "usage: nbd-requests model URI SECTOR_SIZE ROUNDS state|data | refuse URI\n");
	return 2;
}
