/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that somebody else cuts under a bus that is open: who asks is told, nothing crashes, and the bus closes. */
#include "devices.h"

#include <unistd.h>

/* ------------------------------------------------------------ cut files ---------------------------------------------------- */

/* A btt and a raw namespace, both bound. */
static struct devices *with_disks(enum devices_platform kind)
{
	struct devices *d = devices_new(kind);

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
	assert_bind(d, 0, ns_driver(d), "namespace0.1");
	return d;
}

static void use_disk(struct devices *d, const char *name)
{
	struct untorn_disk *disk = disk_of(d, name);
	struct untorn_disk_info info;
	uint8_t bytes[4096] = {1};

	untorn_disk_get_info(disk, &info);
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), info.size - sizeof(bytes)), -EIO);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), info.size - sizeof(bytes), 0), -EIO);
	untorn_disk_flush(disk);
	untorn_disk_close(disk);
}

/* Everything that touches memory that is no longer there. */
static void cut_file(enum devices_platform kind)
{
	struct devices *d = with_disks(kind);

	assert_return_code(truncate(devices_file(d, 0), 4096), errno);
	if (kind == INTERLEAVED)
		assert_return_code(truncate(devices_file(d, 1), 4096), errno);
	use_disk(d, "btt0.0");
	use_disk(d, "namespace0.1");
	assert_store(d, 0, "namespace0.2", "uuid", uuid_text(5));
	assert_store(d, 0, "namespace0.2", "sector_size", "512");
	assert_store(d, -EIO, "namespace0.2", "size", "0x1000000");
	assert_unbind(d, 0, ns_driver(d), "btt0.0");
	assert_bind(d, -ENOMEM, ns_driver(d), "btt0.0");
	assert_unbind(d, 0, ns_driver(d), "namespace0.1");
	assert_true(store(d, "namespace0.1", "size", "0") < 0);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, -EIO, "nvdimm", "nmem0");
	assert_bind(d, -ENXIO, "nd_region", "region0");
	untorn_bus_close(d->bus); /* what it returns depends on what was buffered */
	d->bus = NULL;
}

static void cut_pmem(void **state)
{
	(void)state;
	cut_file(LABELLED);
}

static void cut_set(void **state)
{
	(void)state;
	cut_file(INTERLEAVED);
}

static void cut_blk(void **state)
{
	(void)state;
	cut_file(BLK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(cut_pmem),
		device_test(cut_set),
		device_test(cut_blk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
