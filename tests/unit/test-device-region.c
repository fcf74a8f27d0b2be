/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions, seeds and dimms: what binding and unbinding them does to their children and to each other. S82 to S89, sections 7, 8, 12. */
#include "devices.h"

/* ------------------------------------------------------------ seeds -------------------------------------------------------- */

static void s82_btt_seed_of_every_kind(void **state)
{
	static const enum devices_platform kinds[] = {UNLABELLED, LABELLED, INTERLEAVED, BLK};
	struct untorn_attr_info info;
	struct untorn_device *region;
	struct devices *d;

	for (unsigned i = 0; i < 4; i++) {
		d = devices_new(kinds[i]);
		region = find(d, "region0");
		assert_result(untorn_attr_info(region, "btt_seed", &info), 0);
		assert_int_equal(info.mode, 0444);
		untorn_device_put(region);
		assert_show(d, "region0", "btt_seed", "btt0.0\n");
		assert_store(d, -EACCES, "region0", "btt_seed", "btt0.0");
		devices_teardown(state);
	}
	d = devices_new(VOLATILE);
	assert_show(d, "region1", "btt_seed", "btt1.0\n");
}

/* A label of a set of two, of which there is one, makes the whole region fail. SPEC 9.7. */
static void s83_a_region_without_namespaces_fails(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *dimm, *region;
	uint32_t slot;
	char text[200];

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	slot = devices_slot(d, 0, 1);
	devices_close(d);
	devices_poke_label(d, 0, slot, 84, "\2", 1);
	devices_open(d);
	assert_driver(d, "region0", NULL);
	assert_gone(d, "btt0.0");
	assert_gone(d, "namespace0.0");
	assert_show(d, "region0", "btt_seed", "\n");
	assert_show(d, "region0", "namespace_seed", "\n");
	assert_bind(d, -ENODEV, "nd_region", "region0");
	region = find(d, "region0");
	assert_result(untorn_device_problem(region, text, sizeof(text)), 0);
	assert_true(strlen(text) > 10);
	/* The dimm is up: its area can be mended. */
	dimm = find(d, "nmem0");
	assert_driver(d, "nmem0", "nvdimm");
	assert_show(d, "nmem0", "state", "idle\n");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, UNTORN_LABEL_FORCE), 0);
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_result(untorn_device_problem(region, text, sizeof(text)), -ENOENT);
	untorn_device_put(region);
	untorn_device_put(dimm);
}

static void s84_region_remove_clears_the_seeds(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "region0", "init_namespaces", "1/1\n");
	assert_unbind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "namespace_seed", "\n");
	assert_show(d, "region0", "btt_seed", "\n");
	assert_show_fails(d, -ENXIO, "region0", "init_namespaces");
	assert_gone(d, "namespace0.0");
	assert_gone(d, "namespace0.1");
	assert_gone(d, "btt0.0");
	/* Labels keep what they have. */
	assert_number(d, "region0", "available_size", 224 * MIB);
	assert_bind(d, 0, "nd_region", "region0");
	assert_number(d, "region0", "available_size", 224 * MIB);
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
}

/* A namespace that somebody still refers to is no second owner of its DPA when the region comes again. */
static void namespaces_that_outlive_the_region(void **state)
{
	static const enum devices_platform kinds[] = {LABELLED, BLK};

	for (unsigned i = 0; i < 2; i++) {
		struct devices *d = devices_new(kinds[i]);
		struct untorn_device *pin, *idle;

		configure_namespace(d, "namespace0.0", 1, 64 * MIB);
		assert_bind(d, 0, ns_driver(d), "namespace0.0");
		/* Without label: no sector size, or no size. */
		assert_store(d, 0, "namespace0.1", "uuid", uuid_text(2));
		if (kinds[i] == BLK)
			assert_store(d, 0, "namespace0.1", "size", "0x2000000");
		pin = find(d, "namespace0.0");
		idle = find(d, "namespace0.1");
		assert_unbind(d, 0, "nd_region", "region0");
		assert_number(d, "region0", "available_size", 192 * MIB);
		assert_bind(d, 0, "nd_region", "region0");
		/* The names are taken as long as somebody has them. */
		assert_gone(d, "namespace0.0");
		assert_number(d, "region0", "available_size", 192 * MIB);
		untorn_device_put(pin);
		untorn_device_put(idle);
		devices_wait(d);
		assert_number(d, "region0", "available_size", 192 * MIB);
		assert_sound(d);
		assert_unbind(d, 0, "nd_region", "region0");
		assert_bind(d, 0, "nd_region", "region0");
		assert_number(d, "namespace0.0", "size", 64 * MIB);
		assert_number(d, "region0", "available_size", 192 * MIB);
		assert_sound(d);
		devices_teardown(state);
	}
}

static void s85_region_remove_lets_dimms_go(void **state)
{
	static const enum devices_platform kinds[] = {LABELLED, BLK, INTERLEAVED};

	for (unsigned i = 0; i < 3; i++) {
		struct devices *d = devices_new(kinds[i]);

		assert_show(d, "nmem0", "state", "active\n");
		assert_unbind(d, 0, "nd_region", "region0");
		assert_show(d, "nmem0", "state", "idle\n");
		if (kinds[i] == INTERLEAVED)
			assert_show(d, "nmem1", "state", "idle\n");
		assert_bind(d, 0, "nd_region", "region0");
		assert_show(d, "nmem0", "state", "active\n");
		devices_teardown(state);
	}
}

/* D14: pmem too, and through btts; never for io. */
static void s86_namespace_seed_moves_on_probe(void **state)
{
	struct devices *d = devices_new(BLK);

	assert_show(d, "region0", "namespace_seed", "namespace0.0\n");
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_show(d, "region0", "namespace_seed", "namespace0.0\n");
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	assert_show(d, "namespace0.1", "size", "0\n");
	/* Bound again, it is no longer the seed. */
	assert_unbind(d, 0, "nd_blk", "namespace0.0");
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	/* A failed probe moves nothing. */
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.1");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	devices_teardown(state);
	d = devices_new(LABELLED);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	devices_teardown(state);
	d = devices_new(UNLABELLED);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "region0", "namespace_seed", "namespace0.0\n");
}

static void s87_btt_seed_moves_on_probe(void **state)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	/* One event does both: the namespace was the seed too. */
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_show(d, "region0", "btt_seed", "btt0.1\n");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	/* It is not the seed any more. */
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_show(d, "region0", "btt_seed", "btt0.1\n");
	/* A btt that is no seed, on the namespace seed: the namespace seed alone. */
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	devices_teardown(state);
	d = devices_new(LABELLED);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_unbind(d, 0, "nd_region", "region0");
	untorn_bus_set_autoprobe(d->bus, false);
	assert_bind(d, 0, "nd_region", "region0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.1\n");
	assert_bind(d, 0, "nd_pmem", "btt0.1");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
}

static void s89_first_btt_seed_comes_with_the_region(void **state)
{
	struct devices *d = devices_new(THREE);
	static const char *const regions[] = {"region0", "region1", "region2"};
	static const char *const seeds[] = {"btt0.0\n", "btt1.0\n", "btt2.0\n"};
	static const char *const first[] = {"namespace0.0\n", "namespace1.0\n", "namespace2.0\n"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_show(d, regions[i], "namespace_seed", first[i]);
		assert_show(d, regions[i], "btt_seed", seeds[i]);
		assert_unbind(d, 0, "nd_region", regions[i]);
		assert_show(d, regions[i], "btt_seed", "\n");
		assert_bind(d, 0, "nd_region", regions[i]);
		assert_show(d, regions[i], "btt_seed", seeds[i]);
	}
}

/* The seed is the first namespace even when that is configured already; section 12. */
static void first_namespace_is_the_seed(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	d->flags = UNTORN_BUS_NO_AUTOPROBE;
	devices_reopen(d);
	assert_show(d, "region0", "namespace_seed", "namespace0.0\n");
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	assert_number(d, "namespace0.1", "size", 32 * MIB);
	assert_gone(d, "namespace0.2");
	/* No idle one appears until it is bound. */
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_gone(d, "namespace0.2");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "region0", "namespace_seed", "namespace0.2\n");
}

/* ------------------------------------------------------- sizes and align --------------------------------------------------- */

static void free_space(void **state)
{
	struct devices *d = devices_new(QEMU);

	/* As Linux 6.1 says for the same dimm. */
	assert_number(d, "region0", "size", 134086656);
	assert_number(d, "region0", "available_size", 117440512);
	assert_number(d, "region0", "max_available_extent", 117440512);
	assert_show(d, "region0", "align", "0x1000000\n");
	assert_show(d, "nmem0", "available_slots", "509\n");
	assert_show(d, "region0", "set_cookie", "0xba90120012b4dc\n");
	assert_show(d, "region0", "mapping0", "nmem0,0,134086656,0\n");
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_number(d, "region0", "available_size", 50331648);
	assert_number(d, "region0", "max_available_extent", 50331648);
	devices_teardown(state);
	d = devices_new(INTERLEAVED);
	assert_number(d, "region0", "size", 256 * MIB);
	assert_number(d, "region0", "available_size", 256 * MIB);
	assert_number(d, "region0", "max_available_extent", 256 * MIB);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_number(d, "region0", "available_size", 224 * MIB);
	assert_unbind(d, 0, "nvdimm", "nmem1");
	assert_number(d, "region0", "available_size", 0);
	devices_teardown(state);

	/* 16 MiB of each of three dimms are more than there is: then a page of each. */
	d = devices_new(THREE_WAYS);
	assert_show(d, "region0", "align", "0x3000\n");
	assert_number(d, "region0", "available_size", 30 * MIB);
	configure_namespace(d, "namespace0.0", 1, 18 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_number(d, "region0", "max_available_extent", 12 * MIB);
}

static void align_store(void **state)
{
	struct devices *d = devices_new(LABELLED);

	assert_show(d, "region0", "align", "0x1000000\n");
	assert_store(d, -EINVAL, "region0", "align", "0");
	assert_store(d, -EINVAL, "region0", "align", "2048");
	assert_store(d, -EINVAL, "region0", "align", "0x3000");
	assert_store(d, -EINVAL, "region0", "align", "0x20000000");
	assert_store(d, -EINVAL, "region0", "align", "junk");
	assert_store(d, -ERANGE, "region0", "align", "0x10000000000000000");
	assert_store_bytes(d, 0, "region0", "align", "0x200000\n\0");
	assert_show(d, "region0", "align", "0x200000\n");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "namespace0.0", "size", "0x200000");
	assert_store(d, -EINVAL, "namespace0.0", "size", "0x201000");
	devices_teardown(state);
	/* Shared by two dimms: what each has must be a power of two and a page. */
	d = devices_new(INTERLEAVED);
	assert_show(d, "region0", "align", "0x1000000\n");
	assert_store(d, -EINVAL, "region0", "align", "4096");
	assert_store(d, 0, "region0", "align", "8192");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, -EINVAL, "namespace0.0", "size", "4096");
	assert_store(d, 0, "namespace0.0", "size", "8192");
	assert_number(d, "namespace0.0", "dpa_extents", 2);
	devices_teardown(state);
	/* Without mappings nothing can be shared. */
	d = devices_new(VOLATILE);
	assert_store(d, -ENXIO, "region1", "align", "4096");
	devices_teardown(state);
	/* A region below 16 MiB starts with a page. */
	d = devices_new(TINY);
	assert_show(d, "region0", "align", "0x1000\n");
}

static void read_only_store(void **state)
{
	struct devices *d = devices_new(UNLABELLED);
	struct untorn_disk *disk = disk_of(d, "namespace0.0");
	struct untorn_disk_info info;
	uint8_t buf[512] = {1};

	assert_show(d, "region0", "read_only", "0\n");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), 0);
	assert_store(d, -EINVAL, "region0", "read_only", "2");
	/* The disk that exists learns of it. */
	assert_store_bytes(d, 0, "region0", "read_only", "1\n\0");
	assert_show(d, "region0", "read_only", "1\n");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), -EROFS);
	untorn_disk_get_info(disk, &info);
	assert_true(info.read_only);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), 0);
	untorn_disk_close(disk);
	devices_teardown(state);
	/* That of a btt too. */
	d = devices_new(LABELLED);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), 0);
	assert_store(d, 0, "region0", "read_only", "1");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), -EROFS);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), 0);
	untorn_disk_close(disk);
	devices_teardown(state);
	d = devices_new(UNARMED);
	assert_show(d, "region0", "read_only", "1\n");
}

/* ------------------------------------------------------------ dimms -------------------------------------------------------- */

static void dimm_unbind_and_bind(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *dimm = find(d, "nmem0");
	struct untorn_dimm_info info;

	assert_show(d, "nmem0", "available_slots", "509\n");
	/* Always allowed; the region goes on with what it has. */
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_show_fails(d, -ENXIO, "nmem0", "available_slots");
	assert_driver(d, "region0", "nd_region");
	assert_show(d, "nmem0", "state", "active\n");
	assert_unbind(d, 0, "nd_region", "region0");
	/* It has labels, so the region needs it. */
	assert_bind(d, -ENXIO, "nd_region", "region0");
	assert_result(untorn_dimm_get_info(dimm, &info), 0);
	assert_false(info.bound);
	assert_int_equal(info.available_slots, -1);
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "nmem0", "available_slots", "509\n");
	untorn_device_put(dimm);
	devices_teardown(state);
	/* Without labels it can do without. */
	d = devices_new(NO_AREA);
	assert_driver(d, "nmem0", "nvdimm");
	assert_show_fails(d, -ENXIO, "nmem0", "available_slots");
	assert_unbind(d, 0, "nd_region", "region0");
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_driver(d, "namespace0.0", "nd_pmem");
}

static void label_area_commands(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *dimm = find(d, "nmem0");
	uint8_t *area = malloc(LABEL_AREA), byte = 0x5a;
	uint64_t size;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_result(untorn_dimm_label_size(dimm, &size), 0);
	assert_int_equal(size, LABEL_AREA);
	assert_result(untorn_dimm_label_read(dimm, 0, area, LABEL_AREA), 0);
	assert_memory_equal(area, "NAMESPACE_INDEX", 16);
	assert_result(untorn_dimm_label_read(dimm, 1, area, LABEL_AREA), -ERANGE);
	assert_result(untorn_dimm_label_read(dimm, UINT64_MAX, area, 2), -ERANGE);
	/* Active: reading only. */
	assert_result(untorn_dimm_label_write(dimm, 0, &byte, 1), -EBUSY);
	assert_result(untorn_dimm_label_zero(dimm, 0, LABEL_AREA), -EBUSY);
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE), -EBUSY);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_write(dimm, LABEL_AREA, &byte, 1), -ERANGE);
	assert_result(untorn_dimm_label_read(dimm, 0, area, LABEL_AREA), 0);
	assert_result(untorn_dimm_label_zero(dimm, 0, LABEL_AREA), 0);
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "nstype", "4\n");
	assert_number(d, "namespace0.0", "size", 256 * MIB);
	/* The dump brings it all back. */
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_write(dimm, 0, area, LABEL_AREA), 0);
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "nstype", "5\n");
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, 0), -EBUSY);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, 0), -EEXIST);
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE), 0);
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_show(d, "nmem0", "available_slots", "1019\n");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "set_cookie", "0x2468ac00123456\n");
	untorn_device_put(dimm);
	free(area);
}

static void no_label_area(void **state)
{
	struct devices *d = devices_new(NO_AREA);
	struct untorn_device *dimm = find(d, "nmem0");
	struct untorn_label_area_info info;
	uint64_t size;
	char byte;

	(void)state;
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_size(dimm, &size), -ENXIO);
	assert_result(untorn_dimm_label_read(dimm, 0, &byte, 1), -ENXIO);
	assert_result(untorn_dimm_label_write(dimm, 0, &byte, 1), -ENXIO);
	assert_result(untorn_dimm_label_zero(dimm, 0, 1), -ENXIO);
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, 0), -ENXIO);
	assert_result(untorn_dimm_label_info(dimm, &info), -ENXIO);
	untorn_device_put(dimm);
}

/* An interleave set: cookies, positions, one label on each dimm. */
static void interleave_set(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	struct untorn_label_area_info area;
	struct untorn_mapping_info mapping;
	struct untorn_device *region = find(d, "region0"), *dimm;
	struct untorn_label label;
	uint8_t uuid[16];
	unsigned n;

	(void)state;
	assert_show(d, "region0", "mappings", "2\n");
	assert_show(d, "region0", "mapping0", "nmem0,0,134217728,0\n");
	assert_show(d, "region0", "mapping1", "nmem1,0,134217728,1\n");
	assert_show_fails(d, -ENOENT, "region0", "mapping2");
	for (unsigned i = 0; i < 2; i++) {
		assert_result(untorn_region_get_mapping(region, i, &mapping), 0);
		assert_string_equal(mapping.dimm, i ? "nmem1" : "nmem0");
		assert_int_equal(mapping.position, i);
		assert_int_equal(mapping.size, 128 * MIB);
	}
	assert_result(untorn_region_get_mapping(region, 2, &mapping), -ENXIO);
	untorn_device_put(region);
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	uuid_bytes(1, uuid);
	for (unsigned i = 0; i < 2; i++) {
		dimm = find(d, i ? "nmem1" : "nmem0");
		assert_result(untorn_dimm_label_info(dimm, &area), 0);
		n = 0;
		for (uint32_t slot = 0; slot < area.nslot; slot++) {
			assert_result(untorn_dimm_label_get(dimm, slot, &label), 0);
			if (label.state != UNTORN_LABEL_ACTIVE)
				continue;
			n++;
			assert_memory_equal(label.uuid, uuid, 16);
			assert_int_equal(label.position, i);
			assert_int_equal(label.nlabel, 2);
			assert_int_equal(label.flags, 0);
			assert_int_equal(label.dpa, 0);
			assert_int_equal(label.rawsize, 32 * MIB);
			assert_int_equal(label.isetcookie, number(d, "region0", "set_cookie"));
		}
		assert_int_equal(n, 1);
		untorn_device_put(dimm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s82_btt_seed_of_every_kind),
		device_test(s83_a_region_without_namespaces_fails),
		device_test(s84_region_remove_clears_the_seeds),
		device_test(namespaces_that_outlive_the_region),
		device_test(s85_region_remove_lets_dimms_go),
		device_test(s86_namespace_seed_moves_on_probe),
		device_test(s87_btt_seed_moves_on_probe),
		device_test(s89_first_btt_seed_comes_with_the_region),
		device_test(first_namespace_is_the_seed),
		device_test(free_space),
		device_test(align_store),
		device_test(read_only_store),
		device_test(dimm_unbind_and_bind),
		device_test(label_area_commands),
		device_test(no_label_area),
		device_test(interleave_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
