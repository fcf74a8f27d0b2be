/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device model without BTT support (meson -Dbtt=false): no btt is ever made, and all the rest works. S1, S2.
 */
#include "devices.h"

#include "device/device.h"

#define INFO_OFF 4096u

static void s2_no_seed(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_driver(d, "region0", "nd_region");
	assert_show(d, "region0", "btt_seed", "\n");
	assert_show(d, "region0", "namespace_seed", "namespace0.0\n");
	assert_gone(d, "btt0.0");
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "region0", "btt_seed", "\n");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
}

/* A BTT on media is bytes like any others. */
static void s2_no_media_probe(void **state)
{
	struct devices *d = devices_new_closed(NO_AREA);
	struct untorn_btt_format_options options = {.layout = UNTORN_BTT_V1_1, .sector_size = 4096};
	struct untorn_device *device;
	struct untorn_media *media;
	struct untorn_disk *disk;
	uint8_t seen[16];

	(void)state;
	assert_result(untorn_media_open(devices_file(d, 0), UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_result(untorn_btt_format(media, &options), 0);
	untorn_media_close(media);

	devices_open(d);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "holder", "\n");
	disk = disk_of(d, "namespace0.0");
	assert_result(untorn_disk_pread(disk, seen, sizeof(seen), INFO_OFF), 0);
	assert_memory_equal(seen, "BTT_ARENA_INFO\0", sizeof(seen));
	untorn_disk_close(disk);

	device = find(d, "namespace0.0");
	assert_false(device_is_btt(device));
	assert_result(probe_media(to_namespace(device)), -ENODEV);
	assert_result(untorn_btt_device_set_namespace(device, ""), -EINVAL);
	untorn_device_put(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s2_no_seed),
		device_test(s2_no_media_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
