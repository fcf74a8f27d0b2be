/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/pool.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#include "base/fletcher64.h"

uint64_t pool_checksum(const struct pool_header *header)
{
	size_t skip = le32_get(header->incompat) & POOL_INCOMPAT_2K ? offsetof(struct pool_header, unused2)
								    : offsetof(struct pool_header, checksum);

	return fletcher64(header, sizeof(*header), skip, sizeof(*header) - skip);
}

static const char *field_fault(const struct pool_header *h)
{
	if (pool_checksum(h) != le64_get(h->checksum))
		return "checksum";
	if (h->machine_class != 2)
		return "machine_class";
	if (h->data != 1)
		return "data";
	if (memcmp(h->prev_part_uuid, h->uuid, BTT_UUID_LEN) != 0 ||
	    memcmp(h->next_part_uuid, h->uuid, BTT_UUID_LEN) != 0)
		return "part uuid"; /* a pool set of several files */
	if (memcmp(h->prev_repl_uuid, h->uuid, BTT_UUID_LEN) != 0 ||
	    memcmp(h->next_repl_uuid, h->uuid, BTT_UUID_LEN) != 0)
		return "replica uuid";
	return NULL;
}

int pool_read(struct untorn_media *media, struct pool *ret_pool, const char **ret_field)
{
	struct pool pool;
	struct pool_descriptor descriptor;
	int r;

	if (untorn_media_size(media) < POOL_BTT_OFF)
		return -ENXIO;
	r = untorn_media_read(media, 0, &pool.header, sizeof(pool.header));
	if (r < 0)
		return r;
	if (memcmp(pool.header.signature, POOL_SIGNATURE, sizeof(pool.header.signature)) != 0)
		return -ENXIO;
	r = untorn_media_read(media, POOL_HEADER_SIZE, &descriptor, sizeof(descriptor));
	if (r < 0)
		return r;
	pool.bsize = le32_get(descriptor.bsize);
	*ret_pool = pool;

	const char *fault = field_fault(&pool.header);

	if (!fault && pool.bsize == 0)
		fault = "bsize";
	if (fault) {
		if (ret_field)
			*ret_field = fault;
		return -EUCLEAN;
	}
	if (le32_get(pool.header.major) != 1 || (le32_get(pool.header.incompat) & ~POOL_INCOMPAT_KNOWN))
		return -EOPNOTSUPP;
	return 0;
}

static uint16_t this_machine(void)
{
#if defined(__x86_64__)
	return EM_X86_64;
#elif defined(__aarch64__)
	return EM_AARCH64;
#elif defined(__riscv)
	return EM_RISCV;
#elif defined(__powerpc64__)
	return EM_PPC64;
#else
#error "the ELF machine number of this architecture goes here"
#endif
}

void pool_make(const uint8_t *poolset_uuid, struct pool_header *ret_header)
{
	struct pool_header h = {
		.major = le32_make(1),
		.incompat = le32_make(POOL_INCOMPAT_2K),
		.crtime = le64_make(time(NULL)),
		.alignment_desc = le64_make(POOL_ALIGNMENT_DESC),
		.machine_class = 2,
		.data = 1,
		.machine = le16_make(this_machine()),
	};

	memcpy(h.signature, POOL_SIGNATURE, sizeof(h.signature));
	if (poolset_uuid)
		memcpy(h.poolset_uuid, poolset_uuid, BTT_UUID_LEN);
	else
		uuid_generate(h.poolset_uuid);
	uuid_generate(h.uuid);
	memcpy(h.prev_part_uuid, h.uuid, BTT_UUID_LEN);
	memcpy(h.next_part_uuid, h.uuid, BTT_UUID_LEN);
	memcpy(h.prev_repl_uuid, h.uuid, BTT_UUID_LEN);
	memcpy(h.next_repl_uuid, h.uuid, BTT_UUID_LEN);
	h.checksum = le64_make(pool_checksum(&h));
	*ret_header = h;
}
