/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every attribute of every kind of device: whether it is there, its mode, its text to the last blank, and who may read and write it.
 * The tables say what Linux 6.1 shows for a dimm of QEMU with 128 MiB and a label area of 128 KiB, one namespace of 32 MiB as a raw
 * disk, one with a BTT; and what DEVICES 6 to 10 say for what QEMU does not have. Then the parsers of DEVICES 3.
 */
#include "devices.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* text NULL: reading fails with error. */
struct row {
	const char *name;
	mode_t mode;
	const char *text;
	int error;
};

static const struct row *find_row(const struct row *rows, const char *name)
{
	for (; rows->name; rows++)
		if (strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

static void check_text(struct untorn_device *device, const struct row *row)
{
	char text[UNTORN_ATTR_SIZE + 1], part[8];
	const char *name = untorn_device_name(device);
	size_t len = 12345;
	int r = untorn_attr_show(device, row->name, text, UNTORN_ATTR_SIZE, &len);

	if (r != row->error)
		fail_msg("%s/%s: %s, expected %s", name, row->name, errno_name(r), errno_name(row->error));
	if (r < 0) {
		assert_int_equal(len, 12345);
		return;
	}
	assert_true(len <= UNTORN_ATTR_SIZE);
	text[len] = '\0';
	if (strlen(text) != len || strcmp(text, row->text) != 0)
		fail_msg("%s/%s: '%s', expected '%s'", name, row->name, text, row->text);
	/* With less room: as much as there is. */
	memset(part, 'X', sizeof(part));
	assert_result(untorn_attr_show(device, row->name, part, 3, &len), 0);
	assert_int_equal(len, strlen(row->text) < 3 ? strlen(row->text) : 3);
	assert_memory_equal(part, row->text, len);
	assert_true(part[3] == 'X');
}

/* A write to what cannot be written, and a text of no attribute ever. */
static void check_permissions(struct untorn_device *device, const struct row *row)
{
	if (!(row->mode & 0222))
		assert_result(untorn_attr_store(device, row->name, "1", 1), -EACCES);
	else
		assert_result(untorn_attr_store(device, row->name, "", 0), 0);
}

/* Exactly these attributes, whatever the order. */
static void check_attributes(struct devices *d, const char *name, const struct row *rows)
{
	struct untorn_device *device = find(d, name);
	struct untorn_attr_info info;
	unsigned index = 0, n = 0, expected = 0;
	char text[8];
	size_t len;

	while (untorn_attr_next(device, &index, &info) == 0) {
		const struct row *row = find_row(rows, info.name);

		n++;
		if (!row)
			fail_msg("%s should not have %s", name, info.name);
		if (info.mode != row->mode)
			fail_msg("%s/%s has mode %03o, expected %03o", name, info.name, info.mode, row->mode);
		check_text(device, row);
		check_permissions(device, row);
	}
	for (; rows[expected].name; expected++) {
		assert_result(untorn_attr_info(device, rows[expected].name, &info), 0);
		assert_int_equal(info.mode, rows[expected].mode);
	}
	assert_int_equal(n, expected);
	assert_result(untorn_attr_info(device, "nothing", &info), -ENOENT);
	assert_result(untorn_attr_show(device, "nothing", text, sizeof(text), &len), -ENOENT);
	assert_result(untorn_attr_store(device, "nothing", "1", 1), -ENOENT);
	untorn_device_put(device);
}

/* ---------------------------------------------------------- bus and dimms -------------------------------------------------- */

static const struct row bus_rows[] = {
	{"commands", 0444, "cmd_call \n"},
	{"provider", 0444, "ACPI.NFIT\n"},
	{"wait_probe", 0444, "1\n"},
	{"nfit/dsm_mask", 0444, "0x0\n"},
	{"nfit/hw_error_scrub", 0644, "0\n"},
	{"nfit/revision", 0444, "1\n"},
	{"uevent", 0644, "DRIVER=nd_bus\nMODALIAS=nd:t0\n"},
	{NULL},
};

/* What NFIT says of slot 0 and of slot 1. */
#define IDENTITY(handle, serial)                                                                          \
	{"nfit/device", 0444, "0x0100\n"}, {"nfit/flags", 0444, "\n"}, {"nfit/format", 0444, "0x0301\n"}, \
		{"nfit/formats", 0444, "1\n"}, {"nfit/handle", 0444, handle "\n"},                        \
		{"nfit/id", 0444, "8680-" serial "\n"}, {"nfit/phys_id", 0444, "0x0\n"},                  \
		{"nfit/rev_id", 0444, "0x0100\n"}, {"nfit/serial", 0444, "0x" serial "\n"},               \
		{"nfit/subsystem_device", 0444, "0x0000\n"}, {"nfit/subsystem_rev_id", 0444, "0x0000\n"}, \
		{"nfit/subsystem_vendor", 0444, "0x0000\n"},                                              \
	{                                                                                                 \
		"nfit/vendor", 0444, "0x8680\n"                                                           \
	}

#define COMMANDS "get_size get_data set_data cmd_call \n"

static const struct row dimm_rows[] = {
	{"available_slots", 0444, "507\n"},
	{"commands", 0444, COMMANDS},
	{"dev", 0444, "513:0\n"},
	{"devtype", 0444, "nvdimm\n"},
	{"flags", 0444, "label \n"},
	{"modalias", 0444, "nd:t1\n"},
	{"state", 0444, "active\n"},
	{"uevent", 0644, "MAJOR=513\nMINOR=0\nDEVNAME=nmem0\nDEVTYPE=nvdimm\nDRIVER=nvdimm\nMODALIAS=nd:t1\n"},
	{"nfit/dsm_mask", 0444, "0x70\n"},
	{"nfit/family", 0444, "0\n"},
	IDENTITY("0x1", "56341200"),
	{NULL},
};

static const struct row unlabelled_dimm_rows[] = {
	{"available_slots", 0444, "509\n"},
	{"commands", 0444, COMMANDS},
	{"dev", 0444, "513:0\n"},
	{"devtype", 0444, "nvdimm\n"},
	{"flags", 0444, "\n"},
	{"modalias", 0444, "nd:t1\n"},
	{"state", 0444, "active\n"},
	{"uevent", 0644, "MAJOR=513\nMINOR=0\nDEVNAME=nmem0\nDEVTYPE=nvdimm\nDRIVER=nvdimm\nMODALIAS=nd:t1\n"},
	{"nfit/dsm_mask", 0444, "0x70\n"},
	{"nfit/family", 0444, "0\n"},
	IDENTITY("0x1", "56341200"),
	{NULL},
};

static const struct row bare_dimm_rows[] = {
	{"available_slots", 0444, NULL, -ENXIO},
	{"commands", 0444, "cmd_call \n"},
	{"dev", 0444, "513:0\n"},
	{"devtype", 0444, "nvdimm\n"},
	{"flags", 0444, "\n"},
	{"modalias", 0444, "nd:t1\n"},
	{"state", 0444, "idle\n"},
	{"uevent", 0644, "MAJOR=513\nMINOR=0\nDEVNAME=nmem0\nDEVTYPE=nvdimm\nDRIVER=nvdimm\nMODALIAS=nd:t1\n"},
	{"nfit/dsm_mask", 0444, NULL, -ENXIO},
	{"nfit/family", 0444, NULL, -ENXIO},
	IDENTITY("0x1", "56341200"),
	{NULL},
};

/* The second of a set, its driver and its region unbound. */
static const struct row unbound_dimm_rows[] = {
	{"available_slots", 0444, NULL, -ENXIO},
	{"commands", 0444, COMMANDS},
	{"dev", 0444, "513:1\n"},
	{"devtype", 0444, "nvdimm\n"},
	{"flags", 0444, "label \n"},
	{"modalias", 0444, "nd:t1\n"},
	{"state", 0444, "idle\n"},
	{"uevent", 0644, "MAJOR=513\nMINOR=1\nDEVNAME=nmem1\nDEVTYPE=nvdimm\nMODALIAS=nd:t1\n"},
	{"nfit/dsm_mask", 0444, "0x70\n"},
	{"nfit/family", 0444, "0\n"},
	IDENTITY("0x2", "57341200"),
	{NULL},
};

static const struct row locked_dimm_rows[] = {
	{"available_slots", 0444, NULL, -ENXIO},
	{"commands", 0444, COMMANDS},
	{"dev", 0444, "513:0\n"},
	{"devtype", 0444, "nvdimm\n"},
	{"flags", 0444, "lock \n"},
	{"modalias", 0444, "nd:t1\n"},
	{"state", 0444, "idle\n"},
	{"uevent", 0644, "MAJOR=513\nMINOR=0\nDEVNAME=nmem0\nDEVTYPE=nvdimm\nMODALIAS=nd:t1\n"},
	{"nfit/dsm_mask", 0444, "0x70\n"},
	{"nfit/family", 0444, "0\n"},
	IDENTITY("0x1", "56341200"),
	{NULL},
};

/* ------------------------------------------------------------- regions ----------------------------------------------------- */

static const struct row region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"available_size", 0444, "50331648\n"},
	{"badblocks", 0444, ""},
	{"btt_seed", 0444, "btt0.1\n"},
	{"dax_seed", 0444, "\n"},
	{"deep_flush", 0444, "0\n"},
	{"devtype", 0444, "nd_pmem\n"},
	{"init_namespaces", 0444, "1/1\n"},
	{"mapping0", 0444, "nmem0,0,134086656,0\n"},
	{"mappings", 0444, "1\n"},
	{"max_available_extent", 0444, "50331648\n"},
	{"modalias", 0444, "nd:t2\n"},
	{"namespace_seed", 0444, "namespace0.2\n"},
	{"nfit/range_index", 0444, "2\n"},
	{"nstype", 0444, "5\n"},
	{"numa_node", 0444, "0\n"},
	{"pfn_seed", 0444, "\n"},
	{"read_only", 0644, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"set_cookie", 0444, "0xba90120012b4dc\n"},
	{"size", 0444, "134086656\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_pmem\nDRIVER=nd_region\nMODALIAS=nd:t2\n"},
	{NULL},
};

static const struct row unlabelled_region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"available_size", 0444, "134217728\n"},
	{"badblocks", 0444, ""},
	{"btt_seed", 0444, "btt0.0\n"},
	{"dax_seed", 0444, "\n"},
	{"deep_flush", 0444, "0\n"},
	{"devtype", 0444, "nd_pmem\n"},
	{"init_namespaces", 0444, "1/1\n"},
	{"mapping0", 0444, "nmem0,0,134217728,0\n"},
	{"mappings", 0444, "1\n"},
	{"max_available_extent", 0444, "134217728\n"},
	{"modalias", 0444, "nd:t2\n"},
	{"namespace_seed", 0444, "namespace0.0\n"},
	{"nfit/range_index", 0444, "2\n"},
	{"nstype", 0444, "4\n"},
	{"numa_node", 0444, "0\n"},
	{"pfn_seed", 0444, "\n"},
	{"read_only", 0644, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"set_cookie", 0444, "0xba90120012b4dc\n"},
	{"size", 0444, "134217728\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_pmem\nDRIVER=nd_region\nMODALIAS=nd:t2\n"},
	{NULL},
};

/* Without label area: nothing is free, and the cookie is that of v1.1. */
static const struct row bare_region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"available_size", 0444, "0\n"},
	{"badblocks", 0444, ""},
	{"btt_seed", 0444, "btt0.0\n"},
	{"dax_seed", 0444, "\n"},
	{"deep_flush", 0444, "0\n"},
	{"devtype", 0444, "nd_pmem\n"},
	{"init_namespaces", 0444, "1/1\n"},
	{"mapping0", 0444, "nmem0,0,134217728,0\n"},
	{"mappings", 0444, "1\n"},
	{"max_available_extent", 0444, "0\n"},
	{"modalias", 0444, "nd:t2\n"},
	{"namespace_seed", 0444, "namespace0.0\n"},
	{"nfit/range_index", 0444, "2\n"},
	{"nstype", 0444, "4\n"},
	{"numa_node", 0444, "0\n"},
	{"pfn_seed", 0444, "\n"},
	{"read_only", 0644, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"set_cookie", 0444, "0x2468ac00123456\n"},
	{"size", 0444, "134217728\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_pmem\nDRIVER=nd_region\nMODALIAS=nd:t2\n"},
	{NULL},
};

/* A set of two, unbound, and its second dimm too. */
static const struct row unbound_region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"available_size", 0444, "0\n"},
	{"badblocks", 0444, NULL, -ENXIO},
	{"btt_seed", 0444, "\n"},
	{"dax_seed", 0444, "\n"},
	{"deep_flush", 0444, "0\n"},
	{"devtype", 0444, "nd_pmem\n"},
	{"init_namespaces", 0444, NULL, -ENXIO},
	{"mapping0", 0444, "nmem0,0,134217728,0\n"},
	{"mapping1", 0444, "nmem1,0,134217728,1\n"},
	{"mappings", 0444, "2\n"},
	{"max_available_extent", 0444, "0\n"},
	{"modalias", 0444, "nd:t2\n"},
	{"namespace_seed", 0444, "\n"},
	{"nfit/range_index", 0444, "2\n"},
	{"nstype", 0444, "5\n"},
	{"numa_node", 0444, "0\n"},
	{"pfn_seed", 0444, "\n"},
	{"read_only", 0644, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"set_cookie", 0444, "0x3159a7e003569b9\n"},
	{"size", 0444, "268435456\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_pmem\nMODALIAS=nd:t2\n"},
	{NULL},
};

/* No memory of its own: no resource, no cookie, no bad blocks, no pfn and dax. */
static const struct row blk_region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"available_size", 0444, "268435456\n"},
	{"btt_seed", 0444, "btt0.0\n"},
	{"deep_flush", 0444, "0\n"},
	{"devtype", 0444, "nd_blk\n"},
	{"init_namespaces", 0444, "1/1\n"},
	{"mapping0", 0444, "nmem0,0,268435456,0\n"},
	{"mappings", 0444, "1\n"},
	{"max_available_extent", 0444, "268435456\n"},
	{"modalias", 0444, "nd:t3\n"},
	{"namespace_seed", 0444, "namespace0.0\n"},
	{"nfit/range_index", 0444, "2\n"},
	{"nstype", 0444, "6\n"},
	{"numa_node", 0444, "0\n"},
	{"read_only", 0644, "0\n"},
	{"size", 0444, "268435456\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_blk\nDRIVER=nd_region\nMODALIAS=nd:t3\n"},
	{NULL},
};

/* No dimms: no mappings, no interleave set. */
static const struct row volatile_region_rows[] = {
	{"align", 0644, "0x1000000\n"},
	{"badblocks", 0444, ""},
	{"btt_seed", 0444, "btt1.0\n"},
	{"dax_seed", 0444, "\n"},
	{"devtype", 0444, "nd_volatile\n"},
	{"init_namespaces", 0444, "1/1\n"},
	{"mappings", 0444, "0\n"},
	{"max_available_extent", 0444, "0\n"},
	{"modalias", 0444, "nd:t2\n"},
	{"namespace_seed", 0444, "namespace1.0\n"},
	{"nfit/range_index", 0444, "4\n"},
	{"nstype", 0444, "4\n"},
	{"numa_node", 0444, "0\n"},
	{"pfn_seed", 0444, "\n"},
	{"read_only", 0644, "0\n"},
	{"resource", 0400, "0x200000000\n"},
	{"size", 0444, "67108864\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_volatile\nDRIVER=nd_region\nMODALIAS=nd:t2\n"},
	{NULL},
};

/* ------------------------------------------------------- namespaces and btts ----------------------------------------------- */

static const struct row raw_rows[] = {
	{"alt_name", 0644, "gamma\n"},
	{"devtype", 0444, "nd_namespace_pmem\n"},
	{"dpa_extents", 0444, "1\n"},
	{"force_raw", 0644, "0\n"},
	{"holder", 0444, "\n"},
	{"holder_class", 0644, "\n"},
	{"modalias", 0444, "nd:t5\n"},
	{"mode", 0444, "raw\n"},
	{"nstype", 0444, "5\n"},
	{"numa_node", 0444, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"sector_size", 0644, "[512] 4096 \n"},
	{"size", 0644, "33554432\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_namespace_pmem\nDRIVER=nd_pmem\nMODALIAS=nd:t5\n"},
	{"uuid", 0644, "12345678-9abc-4def-8000-000000000001\n"},
	{NULL},
};

static const struct row held_rows[] = {
	{"alt_name", 0644, "alpha\n"},
	{"devtype", 0444, "nd_namespace_pmem\n"},
	{"dpa_extents", 0444, "1\n"},
	{"force_raw", 0644, "0\n"},
	{"holder", 0444, "btt0.0\n"},
	{"holder_class", 0644, "btt\n"},
	{"modalias", 0444, "nd:t5\n"},
	{"mode", 0444, "safe\n"},
	{"nstype", 0444, "5\n"},
	{"numa_node", 0444, "0\n"},
	{"resource", 0400, "0x102000000\n"},
	{"sector_size", 0644, "512 [4096] \n"},
	{"size", 0644, "33554432\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_namespace_pmem\nMODALIAS=nd:t5\n"},
	{"uuid", 0644, "12345678-9abc-4def-8000-000000000002\n"},
	{NULL},
};

static const struct row idle_rows[] = {
	{"alt_name", 0644, "\n"},
	{"devtype", 0444, "nd_namespace_pmem\n"},
	{"dpa_extents", 0444, "0\n"},
	{"force_raw", 0644, "0\n"},
	{"holder", 0444, "\n"},
	{"holder_class", 0644, "\n"},
	{"modalias", 0444, "nd:t5\n"},
	{"mode", 0444, "raw\n"},
	{"nstype", 0444, "5\n"},
	{"numa_node", 0444, "0\n"},
	{"resource", 0400, NULL, -ENXIO},
	{"sector_size", 0644, "512 4096 \n"},
	{"size", 0644, "0\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_namespace_pmem\nMODALIAS=nd:t5\n"},
	{"uuid", 0644, "\n"},
	{NULL},
};

static const struct row io_rows[] = {
	{"devtype", 0444, "nd_namespace_io\n"},
	{"force_raw", 0644, "0\n"},
	{"holder", 0444, "\n"},
	{"holder_class", 0644, "\n"},
	{"modalias", 0444, "nd:t4\n"},
	{"mode", 0444, "raw\n"},
	{"nstype", 0444, "4\n"},
	{"numa_node", 0444, "0\n"},
	{"resource", 0400, "0x100000000\n"},
	{"size", 0444, "134217728\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_namespace_io\nDRIVER=nd_pmem\nMODALIAS=nd:t4\n"},
	{NULL},
};

static const struct row blk_rows[] = {
	{"alt_name", 0644, "\n"},
	{"devtype", 0444, "nd_namespace_blk\n"},
	{"dpa_extents", 0444, "0\n"},
	{"force_raw", 0644, "0\n"},
	{"holder", 0444, "\n"},
	{"holder_class", 0644, "\n"},
	{"modalias", 0444, "nd:t6\n"},
	{"mode", 0444, "raw\n"},
	{"nstype", 0444, "6\n"},
	{"numa_node", 0444, "0\n"},
	{"sector_size", 0644, "512 520 528 4096 4104 4160 4224 \n"},
	{"size", 0644, "0\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_namespace_blk\nMODALIAS=nd:t6\n"},
	{"uuid", 0644, "\n"},
	{NULL},
};

static const struct row btt_rows[] = {
	{"devtype", 0444, "nd_btt\n"},
	{"log_zero_flags", 0444, "Y\n"},
	{"modalias", 0444, "nd:t5\n"},
	{"namespace", 0644, "namespace0.1\n"},
	{"numa_node", 0444, "0\n"},
	{"sector_size", 0644, "512 520 528 [4096] 4104 4160 4224 \n"},
	{"size", 0444, "32444416\n"},
	{"target_node", 0444, "0\n"},
	{"uevent", 0644, "DEVTYPE=nd_btt\nDRIVER=nd_pmem\nMODALIAS=nd:t5\n"},
	{"uuid", 0644, "12345678-9abc-4def-8000-000000000003\n"},
	{NULL},
};

#define SEED_ROWS(type)                                                                                               \
	{                                                                                                             \
		{"devtype", 0444, "nd_btt\n"}, {"log_zero_flags", 0444, "Y\n"}, {"modalias", 0444, "nd:t" type "\n"}, \
			{"namespace", 0644, "\n"}, {"numa_node", 0444, "0\n"},                                        \
			{"sector_size", 0644, "512 520 528 4096 4104 4160 4224 \n"}, {"size", 0444, NULL, -ENXIO},    \
			{"target_node", 0444, "0\n"}, {"uevent", 0644, "DEVTYPE=nd_btt\nMODALIAS=nd:t" type "\n"},    \
			{"uuid", 0644, "\n"},                                                                         \
		{                                                                                                     \
			NULL                                                                                          \
		}                                                                                                     \
	}

static const struct row pmem_seed_rows[] = SEED_ROWS("5");
static const struct row io_seed_rows[] = SEED_ROWS("4");
static const struct row blk_seed_rows[] = SEED_ROWS("6");

/* ------------------------------------------------------------- tables ------------------------------------------------------ */

static void as_linux_shows_them(void **state)
{
	struct devices *d = devices_new(QEMU);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_store(d, 0, "namespace0.0", "alt_name", "gamma");
	assert_store(d, 0, "namespace0.0", "sector_size", "512");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_store(d, 0, "namespace0.1", "alt_name", "alpha");
	assert_store(d, 0, "namespace0.1", "sector_size", "4096");
	assert_store(d, 0, "namespace0.1", "holder_class", "btt");
	make_btt(d, "btt0.0", 3, 4096, "namespace0.1");
	check_attributes(d, "ndbus0", bus_rows);
	check_attributes(d, "nmem0", dimm_rows);
	check_attributes(d, "region0", region_rows);
	check_attributes(d, "namespace0.0", raw_rows);
	check_attributes(d, "namespace0.1", held_rows);
	check_attributes(d, "namespace0.2", idle_rows);
	check_attributes(d, "btt0.0", btt_rows);
	check_attributes(d, "btt0.1", pmem_seed_rows);
}

static void without_index(void **state)
{
	struct devices *d = devices_new(UNLABELLED);

	(void)state;
	check_attributes(d, "ndbus0", bus_rows);
	check_attributes(d, "nmem0", unlabelled_dimm_rows);
	check_attributes(d, "region0", unlabelled_region_rows);
	check_attributes(d, "namespace0.0", io_rows);
	check_attributes(d, "btt0.0", io_seed_rows);
}

static void without_label_area(void **state)
{
	struct devices *d = devices_new(NO_AREA);

	(void)state;
	check_attributes(d, "nmem0", bare_dimm_rows);
	check_attributes(d, "region0", bare_region_rows);
	check_attributes(d, "namespace0.0", io_rows);
}

static void unbound(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);

	(void)state;
	assert_unbind(d, 0, "nd_region", "region0");
	assert_unbind(d, 0, "nvdimm", "nmem1");
	check_attributes(d, "nmem1", unbound_dimm_rows);
	check_attributes(d, "region0", unbound_region_rows);
	/* While its dimm is bound, an unbound region still knows what is free. */
	assert_bind(d, 0, "nvdimm", "nmem1");
	assert_number(d, "region0", "available_size", 256 * MIB);
}

static void blk(void **state)
{
	struct devices *d = devices_new(BLK);

	(void)state;
	check_attributes(d, "region0", blk_region_rows);
	check_attributes(d, "namespace0.0", blk_rows);
	check_attributes(d, "btt0.0", blk_seed_rows);
}

static void volatile_region(void **state)
{
	struct devices *d = devices_new(VOLATILE);

	(void)state;
	check_attributes(d, "region1", volatile_region_rows);
}

/* D27. */
static void d27_locked_dimm(void **state)
{
	struct devices *d = devices_new(LOCKED);
	char text[200];
	struct untorn_device *region;

	(void)state;
	check_attributes(d, "nmem0", locked_dimm_rows);
	assert_bind(d, -EACCES, "nvdimm", "nmem0");
	assert_bind(d, -ENXIO, "nd_region", "region0");
	region = find(d, "region0");
	assert_result(untorn_device_problem(region, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "nmem0"));
	untorn_device_put(region);
}

/* ------------------------------------------------------------ parsers ------------------------------------------------------ */

struct parse {
	const char *text;
	int error;
	const char *shows; /* afterwards, when it was taken */
};

static void check_parser(struct devices *d, const char *device, const char *attribute, const struct parse *parses,
			 size_t n, const char *reset)
{
	for (size_t i = 0; i < n; i++) {
		char before[UNTORN_ATTR_SIZE + 1], after[UNTORN_ATTR_SIZE + 1];
		int r;

		assert_store(d, 0, device, attribute, reset);
		assert_result(show(d, device, attribute, before), 0);
		r = store(d, device, attribute, parses[i].text);
		assert_result(show(d, device, attribute, after), 0);
		if (r != parses[i].error)
			fail_msg("%s/%s <- '%s': %s, expected %s", device, attribute, parses[i].text, errno_name(r),
				 errno_name(parses[i].error));
		if (strcmp(after, r == 0 ? parses[i].shows : before) != 0)
			fail_msg("%s/%s <- '%s': shows '%s'", device, attribute, parses[i].text, after);
	}
}

/* Numbers, by `align`, which takes any that is a power of two from 4096 to the region's 256 MiB. */
static void numbers(void **state)
{
	static const struct parse parses[] = {
		{"8192", 0, "0x2000\n"},
		{"8192\n", 0, "0x2000\n"},
		{"+8192", 0, "0x2000\n"},
		{"0x2000", 0, "0x2000\n"},
		{"0X2000\n", 0, "0x2000\n"},
		{"+0x2000", 0, "0x2000\n"},
		{"020000", 0, "0x2000\n"},
		{"0x0000000000000000000002000", 0, "0x2000\n"},
		{"\n", -EINVAL, NULL},
		{"8192\n\n", -EINVAL, NULL},
		{" 8192", -EINVAL, NULL},
		{"8192 ", -EINVAL, NULL},
		{"\t8192", -EINVAL, NULL},
		{"-8192", -EINVAL, NULL},
		{"--8192", -EINVAL, NULL},
		{"++8192", -EINVAL, NULL},
		{"+-8192", -EINVAL, NULL},
		{"+", -EINVAL, NULL},
		{"0x", -EINVAL, NULL},
		{"0x\n", -EINVAL, NULL},
		{"0y2000", -EINVAL, NULL},
		{"08192", -EINVAL, NULL},
		{"8192x", -EINVAL, NULL},
		{"8K", -EINVAL, NULL},
		{"8192.0", -EINVAL, NULL},
		{"eight", -EINVAL, NULL},
		{"0x2000g", -EINVAL, NULL},
		{"18446744073709551615", -EINVAL, NULL}, /* fits, but is no alignment */
		{"18446744073709551616", -ERANGE, NULL},
		{"0x10000000000000000", -ERANGE, NULL},
		{"02000000000000000000000", -ERANGE, NULL},
		{"99999999999999999999999999999999999999", -ERANGE, NULL},
	};
	struct devices *d = devices_new(LABELLED);

	(void)state;
	check_parser(d, "region0", "align", parses, COUNT(parses), "4096");
}

static void bools(void **state)
{
	static const struct parse parses[] = {
		{"1", 0, "1\n"},       {"y", 0, "1\n"},       {"Y", 0, "1\n"},       {"yes\n", 0, "1\n"},
		{"1x", 0, "1\n"},      {"on", 0, "1\n"},      {"ON\n", 0, "1\n"},    {"true", 0, "1\n"},
		{"0", 0, "0\n"},       {"n", 0, "0\n"},       {"No", 0, "0\n"},      {"off\n", 0, "0\n"},
		{"Off", 0, "0\n"},     {"f", 0, "0\n"},       {"00", 0, "0\n"},      {"\n", -EINVAL, NULL},
		{"2", -EINVAL, NULL},  {"o", -EINVAL, NULL},  {"ox", -EINVAL, NULL}, {" 1", -EINVAL, NULL},
		{"+1", -EINVAL, NULL}, {"-0", -EINVAL, NULL}, {"x", -EINVAL, NULL},  {"maybe", -EINVAL, NULL},
	};
	struct devices *d = devices_new(UNLABELLED);

	(void)state;
	check_parser(d, "namespace0.0", "force_raw", parses, COUNT(parses), "0");
	check_parser(d, "region0", "read_only", parses, COUNT(parses), "0");
}

static void uuids(void **state)
{
#define SHOWN "01234567-89ab-cdef-fedc-ba9876543210\n"
	static const struct parse parses[] = {
		{"01234567-89ab-cdef-fedc-ba9876543210", 0, SHOWN},
		{"01234567-89ab-cdef-fedc-ba9876543210\n", 0, SHOWN},
		{"01234567-89AB-CDEF-FEDC-BA9876543210", 0, SHOWN},
		{"0123456789abcdeffedcba9876543210", 0, SHOWN},
		{"01:23:45:67:89:ab:cd:ef:fe:dc:ba:98:76:54:32:10", 0, SHOWN},
		{"01-23-45-67-89-ab-cd-ef-fe-dc-ba-98-76-54-32-10", 0, SHOWN},
		{"01\n23\n45\n67\n89\nab\ncd\nef\nfe\ndc\nba\n98\n76\n54\n32\n10\n", 0, SHOWN},
		{"01234567-89ab-cdef-fedc-ba9876543210 and more", 0, SHOWN},
		{"01234567-89ab-cdef-fedc-ba98765432109999", 0, SHOWN},
		{"\n", -EINVAL, NULL},
		{"junk", -EINVAL, NULL},
		{"01234567-89ab-cdef-fedc-ba987654321", -EINVAL, NULL},
		{"01234567-89ab-cdef-fedc-ba98765432", -EINVAL, NULL},
		{"01234567--89ab-cdef-fedc-ba9876543210", -EINVAL, NULL},
		{"-01234567-89ab-cdef-fedc-ba9876543210", -EINVAL, NULL},
		{" 01234567-89ab-cdef-fedc-ba9876543210", -EINVAL, NULL},
		{"0-1234567-89ab-cdef-fedc-ba9876543210", -EINVAL, NULL},
		{"0123456g-89ab-cdef-fedc-ba9876543210", -EINVAL, NULL},
		{"{01234567-89ab-cdef-fedc-ba9876543210}", -EINVAL, NULL},
		{"01234567 89ab cdef fedc ba9876543210", -EINVAL, NULL},
	};
	struct devices *d = devices_new(LABELLED);

	(void)state;
	check_parser(d, "btt0.0", "uuid", parses, COUNT(parses), "00000000-0000-0000-0000-000000000001");
	/* One separator may be NUL, when the write has it; a text ends there all the same for everybody else. */
	assert_store_bytes(d, 0, "btt0.0", "uuid", "01234567-89ab-cdef-fedc-ba9876543210\n\0");
	assert_show(d, "btt0.0", "uuid", SHOWN);
}

static void size_selects(void **state)
{
#define NONE_OF "512 520 528 4096 4104 4160 4224 \n"
	static const struct parse parses[] = {
		{"520", 0, "512 [520] 528 4096 4104 4160 4224 \n"},
		{"0x1080\n", 0, "512 520 528 4096 4104 4160 [4224] \n"},
		{"010000", 0, "512 520 528 [4096] 4104 4160 4224 \n"},
		{"+4104", 0, "512 520 528 4096 [4104] 4160 4224 \n"},
		{"0", -EINVAL, NULL},
		{"1", -EINVAL, NULL},
		{"511", -EINVAL, NULL},
		{"8192", -EINVAL, NULL},
		{"4294967808", -EINVAL, NULL}, /* 512 when cut to 32 bits */
		{"[512]", -EINVAL, NULL},
		{"512 520", -EINVAL, NULL},
		{"512\n520", -EINVAL, NULL},
		{"-512", -EINVAL, NULL},
		{"18446744073709551616", -ERANGE, NULL},
	};
	struct devices *d = devices_new(LABELLED);

	(void)state;
	check_parser(d, "btt0.0", "sector_size", parses, COUNT(parses), "528");
}

static void words(void **state)
{
	static const struct parse parses[] = {
		{"btt", 0, "btt\n"},     {"btt\n", 0, "btt\n"},  {"pfn", 0, "pfn\n"},        {"dax\n", 0, "dax\n"},
		{"\n", 0, "\n"},         {"Btt", -EINVAL, NULL}, {"btt\n\n", -EINVAL, NULL}, {" btt", -EINVAL, NULL},
		{"btt ", -EINVAL, NULL}, {"bt", -EINVAL, NULL},  {"btt2", -EINVAL, NULL},    {"none", -EINVAL, NULL},
	};
	struct devices *d = devices_new(LABELLED);

	(void)state;
	check_parser(d, "namespace0.0", "holder_class", parses, COUNT(parses), "\n");
}

/* libndctl writes the terminating NUL too; what follows it is not looked at; a text of a page and more is no text. */
static void ends_of_texts(void **state)
{
	struct devices *d = devices_new(LABELLED);
	char *text = malloc(3 * UNTORN_ATTR_SIZE);

	(void)state;
	assert_store_bytes(d, 0, "btt0.0", "sector_size", "512\n\0");
	assert_store_bytes(d, 0, "btt0.0", "sector_size", "4096\0junk");
	assert_show(d, "btt0.0", "sector_size", "512 520 528 [4096] 4104 4160 4224 \n");
	assert_store_bytes(d, -EINVAL, "btt0.0", "sector_size",
			   "\0"
			   "512");
	assert_store_bytes(d, 0, "namespace0.0", "alt_name", "name\0more");
	assert_show(d, "namespace0.0", "alt_name", "name\n");
	assert_store_bytes(d, 0, "namespace0.0", "alt_name", "\0");
	assert_show(d, "namespace0.0", "alt_name", "\n");
	/* Not terminated at all. */
	memset(text, '7', 3 * UNTORN_ATTR_SIZE);
	assert_result(store_bytes(d, "namespace0.0", "alt_name", text, 63), 0);
	assert_result(store_bytes(d, "namespace0.0", "alt_name", text, 64), -EINVAL);
	assert_result(store_bytes(d, "namespace0.0", "alt_name", text, 3 * UNTORN_ATTR_SIZE), -EINVAL);
	assert_result(store_bytes(d, "btt0.0", "sector_size", text, 3 * UNTORN_ATTR_SIZE), -ERANGE);
	free(text);
}

/* The same through typed calls: one policy below both. */
static void typed_calls_on_namespaces(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *ns = find(d, "namespace0.0");
	struct untorn_namespace_info info;
	const uint32_t *sizes;
	uint8_t uuid[16];
	char name[65];
	size_t n;

	(void)state;
	uuid_bytes(1, uuid);
	assert_result(untorn_namespace_set_size(ns, 16 * MIB), -ENXIO);
	assert_result(untorn_namespace_set_uuid(ns, uuid), 0);
	assert_result(untorn_namespace_set_size(ns, 16 * MIB + 1), -EINVAL);
	assert_result(untorn_namespace_set_size(ns, 512 * MIB), -ENOSPC);
	assert_result(untorn_namespace_set_size(ns, 64 * MIB), 0);
	memset(name, 'x', 64);
	name[64] = '\0';
	assert_result(untorn_namespace_set_alt_name(ns, name), -EINVAL);
	assert_result(untorn_namespace_set_alt_name(ns, name + 1), 0);
	assert_result(untorn_namespace_set_sector_size(ns, 520), -EINVAL);
	assert_result(untorn_namespace_set_sector_size(ns, 4096), 0);
	assert_result(untorn_namespace_set_holder_class(ns, UNTORN_CLASS_UNKNOWN), -EINVAL);
	assert_result(untorn_namespace_set_holder_class(ns, UNTORN_CLASS_NONE), 0);
	assert_result(untorn_namespace_set_force_raw(ns, true), 0);
	assert_result(untorn_namespace_get_info(ns, &info), 0);
	assert_int_equal(info.nstype, UNTORN_NSTYPE_PMEM);
	assert_true(info.has_uuid && info.force_raw && !info.bound);
	assert_memory_equal(info.uuid, uuid, 16);
	assert_string_equal(info.alt_name, name + 1);
	assert_int_equal(info.size, 64 * MIB);
	assert_int_equal(info.sector_size, 4096);
	assert_int_equal(info.dpa_extents, 1);
	assert_int_equal(info.resource, number(d, "namespace0.0", "resource"));
	assert_result(untorn_namespace_sector_sizes(ns, &sizes, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(sizes[1], 4096);
	untorn_device_put(ns);
}

static void typed_calls_on_btts(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *ns = find(d, "namespace0.0"), *btt = find(d, "btt0.0");
	const uint32_t *sizes;
	uint8_t uuid[16];
	size_t n;

	(void)state;
	uuid_bytes(2, uuid);
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_result(untorn_btt_device_sector_sizes(btt, &sizes, &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(sizes[6], 4224);
	assert_result(untorn_btt_device_set_sector_size(btt, 1024), -EINVAL);
	assert_result(untorn_btt_device_set_sector_size(btt, 512), 0);
	assert_result(untorn_btt_device_set_uuid(btt, uuid), 0);
	assert_result(untorn_btt_device_set_namespace(btt, "junk"), -EINVAL);
	assert_result(untorn_btt_device_set_namespace(btt, "namespace0.0"), 0);
	assert_result(untorn_device_enable(btt), 0);
	assert_result(untorn_btt_device_set_namespace(btt, NULL), -EBUSY);
	assert_result(untorn_btt_device_set_sector_size(btt, 512), -EBUSY);
	assert_result(untorn_btt_device_set_uuid(btt, uuid), -EBUSY);
	assert_result(untorn_namespace_set_uuid(ns, uuid), -EBUSY);
	assert_result(untorn_namespace_set_size(ns, 0), -EBUSY);
	assert_result(untorn_namespace_set_alt_name(ns, ""), -EBUSY);
	assert_result(untorn_namespace_set_sector_size(ns, 512), -EBUSY);
	assert_result(untorn_namespace_set_holder_class(ns, UNTORN_CLASS_BTT), -EBUSY);
	untorn_device_put(ns);
	untorn_device_put(btt);
}

static void typed_calls_on_regions_and_dimms(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *region = find(d, "region0"), *dimm = find(d, "nmem0");
	struct untorn_region_info region_info;
	struct untorn_dimm_info dimm_info;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_result(untorn_region_get_info(region, &region_info), 0);
	assert_true(region_info.bound && !region_info.read_only);
	assert_int_equal(region_info.kind, UNTORN_REGION_PMEM);
	assert_int_equal(region_info.nstype, UNTORN_NSTYPE_PMEM);
	assert_int_equal(region_info.size, 256 * MIB);
	assert_int_equal(region_info.available_size, 192 * MIB);
	assert_int_equal(region_info.set_cookie, number(d, "region0", "set_cookie"));
	assert_result(untorn_region_set_align(region, 5000), -EINVAL);
	assert_result(untorn_region_set_align(region, 2 * MIB), 0);
	assert_number(d, "region0", "align", 2 * MIB);
	assert_result(untorn_region_set_read_only(region, true), 0);
	assert_show(d, "region0", "read_only", "1\n");
	assert_result(untorn_dimm_get_info(dimm, &dimm_info), 0);
	assert_true(dimm_info.bound && dimm_info.active && dimm_info.labelling && !dimm_info.locked);
	assert_string_equal(dimm_info.unique_id, "8680-56341200");
	assert_int_equal(dimm_info.label_size, LABEL_AREA);
	assert_int_equal(dimm_info.label_version, UNTORN_LABEL_V1_2);
	assert_int_equal(dimm_info.available_slots, number(d, "nmem0", "available_slots"));
	untorn_device_put(region);
	untorn_device_put(dimm);
}

/* ------------------------------------------------- typed calls on the wrong device ----------------------------------------- */

static const uint8_t some_uuid[16] = {1};

static int ignore_finding(void *arg, const struct untorn_label_finding *finding)
{
	(void)arg, (void)finding;
	return 0;
}

/* Every call that is for one type of device. */
#define TYPED_CALLS(X)                                                                               \
	X(DIMM, untorn_dimm_get_info(x, &(struct untorn_dimm_info){0}))                              \
	X(DIMM, untorn_dimm_label_size(x, &(uint64_t){0}))                                           \
	X(DIMM, untorn_dimm_label_read(x, 0, &(char){0}, 1))                                         \
	X(DIMM, untorn_dimm_label_write(x, 0, &(char){0}, 1))                                        \
	X(DIMM, untorn_dimm_label_zero(x, 0, 1))                                                     \
	X(DIMM, untorn_dimm_label_init(x, UNTORN_LABEL_V1_2, 0))                                     \
	X(DIMM, untorn_dimm_label_check(x, ignore_finding, NULL))                                    \
	X(DIMM, untorn_dimm_label_info(x, &(struct untorn_label_area_info){0}))                      \
	X(DIMM, untorn_dimm_label_get(x, 0, &(struct untorn_label){0}))                              \
	X(REGION, untorn_region_get_info(x, &(struct untorn_region_info){0}))                        \
	X(REGION, untorn_region_get_mapping(x, 0, &(struct untorn_mapping_info){0}))                 \
	X(REGION, untorn_region_set_align(x, 4096))                                                  \
	X(REGION, untorn_region_set_read_only(x, true))                                              \
	X(REGION, untorn_region_namespace_seed(x, &(struct untorn_device *){0}))                     \
	X(REGION, untorn_region_btt_seed(x, &(struct untorn_device *){0}))                           \
	X(NAMESPACE, untorn_namespace_get_info(x, &(struct untorn_namespace_info){0}))               \
	X(NAMESPACE, untorn_namespace_holder(x, &(struct untorn_device *){0}))                       \
	X(NAMESPACE, untorn_namespace_set_uuid(x, some_uuid))                                        \
	X(NAMESPACE, untorn_namespace_set_size(x, 0))                                                \
	X(NAMESPACE, untorn_namespace_set_alt_name(x, "x"))                                          \
	X(NAMESPACE, untorn_namespace_set_sector_size(x, 512))                                       \
	X(NAMESPACE, untorn_namespace_set_holder_class(x, UNTORN_CLASS_NONE))                        \
	X(NAMESPACE, untorn_namespace_set_force_raw(x, true))                                        \
	X(NAMESPACE, untorn_namespace_rw_bytes(x, 0, &(char){0}, 1, false))                          \
	X(NAMESPACE, untorn_namespace_media(x, &(struct untorn_media *){0}))                         \
	X(NAMESPACE, untorn_namespace_btt_layout(x, &(enum untorn_btt_layout){0}, (uint8_t[16]){0})) \
	X(BTT, untorn_btt_device_get_info(x, &(struct untorn_btt_device_info){0}))                   \
	X(BTT, untorn_btt_device_set_uuid(x, some_uuid))                                             \
	X(BTT, untorn_btt_device_set_sector_size(x, 512))                                            \
	X(BTT, untorn_btt_device_set_namespace(x, ""))                                               \
	X(BTT, untorn_btt_device_namespace(x, &(struct untorn_device *){0}))

/* What is constant, whether the device is there or not. */
#define CONSTANT_CALLS(X)                                                                    \
	X(NAMESPACE, untorn_namespace_sector_sizes(x, &(const uint32_t *){0}, &(size_t){0})) \
	X(BTT, untorn_btt_device_sector_sizes(x, &(const uint32_t *){0}, &(size_t){0}))

/* On each device of d that is not of its type, -EINVAL; on x of its type when gone is set, -ENODEV. */
#define CHECK_TYPE(expected, call)                             \
	if (untorn_device_type(x) != UNTORN_DEVICE_##expected) \
		assert_result(call, -EINVAL);
#define CHECK_GONE(expected, call)                             \
	if (untorn_device_type(x) == UNTORN_DEVICE_##expected) \
		assert_result(call, -ENODEV);

static void typed_calls_on_wrong_types(void **state)
{
	static const char *const names[] = {"ndbus0", "nmem0", "region0", "namespace0.0", "btt0.0"};
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *x;
	struct untorn_disk *disk;

	(void)state;
	for (unsigned i = 0; i < COUNT(names); i++) {
		x = find(d, names[i]);
		TYPED_CALLS(CHECK_TYPE)
		CONSTANT_CALLS(CHECK_TYPE)
		if (i < 3)
			assert_result(untorn_disk_open(x, &disk), -EINVAL);
		untorn_device_put(x);
	}
}

/* A reference to what is no longer there is still good for being refused. */
static void typed_calls_on_gone_devices(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *gone[2] = {find(d, "namespace0.0"), find(d, "btt0.0")}, *x, *child = NULL;
	struct untorn_attr_info info;
	struct untorn_disk *disk;
	unsigned index = 0;

	(void)state;
	assert_unbind(d, 0, "nd_region", "region0");
	for (unsigned i = 0; i < COUNT(gone); i++) {
		x = gone[i];
		TYPED_CALLS(CHECK_GONE)
		assert_result(untorn_attr_next(x, &index, &info), -ENODEV);
		assert_result(untorn_attr_info(x, "uuid", &info), -ENODEV);
		assert_result(untorn_device_enable(x), -ENODEV);
		assert_result(untorn_device_disable(x), -ENODEV);
		assert_result(untorn_disk_open(x, &disk), -ENODEV);
		assert_result(untorn_device_next(x, UNTORN_DEVICE_BTT, &child), -ENOENT);
		assert_null(untorn_device_driver(x));
		untorn_device_put(x);
	}
}

/* An event that is asked for again; nobody listens. */
static void uevents(void **state)
{
	struct devices *d = devices_new(UNLABELLED);
	static const char *const names[] = {"ndbus0", "nmem0", "region0", "namespace0.0", "btt0.0"};

	(void)state;
	for (unsigned i = 0; i < COUNT(names); i++) {
		assert_store(d, 0, names[i], "uevent", "add");
		assert_store_bytes(d, 0, names[i], "uevent", "change\n\0");
		assert_store(d, -EINVAL, names[i], "uevent", "dance");
		assert_store(d, -EINVAL, names[i], "uevent", "\n");
	}
	assert_store(d, 0, "ndbus0", "nfit/hw_error_scrub", "1");
	assert_show(d, "ndbus0", "nfit/hw_error_scrub", "1\n");
	assert_store(d, -EINVAL, "ndbus0", "nfit/hw_error_scrub", "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(as_linux_shows_them),
		device_test(without_index),
		device_test(without_label_area),
		device_test(unbound),
		device_test(blk),
		device_test(volatile_region),
		device_test(d27_locked_dimm),
		device_test(numbers),
		device_test(bools),
		device_test(uuids),
		device_test(size_selects),
		device_test(words),
		device_test(ends_of_texts),
		device_test(typed_calls_on_namespaces),
		device_test(typed_calls_on_btts),
		device_test(typed_calls_on_regions_and_dimms),
		device_test(uevents),
		device_test(typed_calls_on_wrong_types),
		device_test(typed_calls_on_gone_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
