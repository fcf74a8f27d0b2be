/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces of all kinds: byte access, stores and their order of checks, labels behind them. S6 to S10, S54 to S64, S92. */
#include "devices.h"

#include "spec.h"

/* Labels in use of nmem0, and one of them. */
static unsigned active_labels(struct devices *d, struct untorn_label *ret_last)
{
	struct untorn_device *dimm = find(d, "nmem0");
	struct untorn_label_area_info info;
	struct untorn_label label;
	unsigned n = 0;

	assert_result(untorn_dimm_label_info(dimm, &info), 0);
	for (uint32_t slot = 0; slot < info.nslot; slot++) {
		assert_result(untorn_dimm_label_get(dimm, slot, &label), 0);
		if (label.state != UNTORN_LABEL_ACTIVE)
			continue;
		n++;
		if (ret_last)
			*ret_last = label;
	}
	untorn_device_put(dimm);
	return n;
}

static int rw(struct devices *d, const char *ns, uint64_t off, void *buf, size_t len, bool write)
{
	struct untorn_device *device = find(d, ns);
	int r = untorn_namespace_rw_bytes(device, off, buf, len, write);

	untorn_device_put(device);
	return r;
}

/* namespace0.0 of 64 MiB, bound by nothing. */
static struct devices *with_namespace(enum devices_platform kind)
{
	struct devices *d = devices_new(kind);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	return d;
}

/* Bound raw and claimed, each in turn: the store is refused before its text is looked at. */
static void assert_busy(struct devices *d, const char *attribute, const char *good)
{
	assert_bind(d, 0, ns_driver(d), "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", attribute, good);
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", attribute, good);
	assert_unbind(d, 0, ns_driver(d), "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", attribute, good);
	assert_store(d, 0, "btt0.0", "namespace", "\n");
}

/* ---------------------------------------------------------- common part ---------------------------------------------------- */

static void s6_common_part(void **state)
{
	static const enum devices_platform kinds[] = {UNLABELLED, LABELLED, BLK, VOLATILE};
	static const char *const names[] = {"namespace0.0", "namespace0.0", "namespace0.0", "namespace1.0"};
	uint8_t buf[300], back[300];

	pattern(buf, sizeof(buf), 6);
	for (unsigned i = 0; i < 4; i++) {
		struct devices *d = devices_new(kinds[i]);

		if (kinds[i] == LABELLED || kinds[i] == BLK)
			configure_namespace(d, names[i], 1, 32 * MIB);
		assert_show(d, names[i], "force_raw", "0\n");
		assert_show(d, names[i], "holder", "\n");
		assert_result(rw(d, names[i], 12345, buf, sizeof(buf), true), 0);
		assert_result(rw(d, names[i], 12345, back, sizeof(back), false), 0);
		assert_memory_equal(buf, back, sizeof(buf));
		devices_teardown(state);
	}
}

static void s7_force_raw_ignores_what_is_on_media(void **state)
{
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	assert_show(d, "namespace0.0", "force_raw", "0\n");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "mode", "raw\n");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "force_raw", "0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_driver(d, "namespace0.0", NULL);
	assert_show(d, "namespace0.0", "mode", "safe\n");
}

static void s8_claim_says_who_owns_it(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	struct untorn_namespace_info info;
	struct untorn_device *ns;

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	ns = find(d, "namespace0.0");
	assert_result(untorn_namespace_get_info(ns, &info), 0);
	untorn_device_put(ns);
	assert_string_equal(info.holder, "btt0.0");
	assert_string_equal(info.mode, "safe");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
}

static void s9_byte_access(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	uint8_t *buf = malloc(MIB), *back = malloc(MIB);

	(void)state;
	pattern(buf, MIB, 9);
	assert_result(rw(d, "namespace0.0", 1, buf, MIB, true), 0);
	assert_result(rw(d, "namespace0.0", 1, back, MIB, false), 0);
	assert_memory_equal(buf, back, MIB);
	devices_reopen(d);
	memset(back, 0, MIB);
	assert_result(rw(d, "namespace0.0", 1, back, MIB, false), 0);
	assert_memory_equal(buf, back, MIB);
	assert_result(rw(d, "namespace0.0", 0, back, 1, false), 0);
	assert_int_equal(back[0], 0);
	free(buf);
	free(back);
}

static void s10_block_interface_of_whoever_owns_it(void **state)
{
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	assert_no_disk(d, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	untorn_disk_close(disk_of(d, "namespace0.0"));
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_no_disk(d, "namespace0.0");
	untorn_disk_close(disk_of(d, "btt0.0"));
}

/* ----------------------------------------------------------- alt_name ------------------------------------------------------ */

static void s54_alt_name_while_busy(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	char text[66];

	(void)state;
	memset(text, 'n', sizeof(text));
	text[64] = '\0';
	assert_busy(d, "alt_name", "x");
	/* Before the length is looked at. */
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", "alt_name", text);
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -EINVAL, "namespace0.0", "alt_name", text);
	assert_show(d, "namespace0.0", "alt_name", "\n");
}

static void alt_name_text(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	struct untorn_label label;
	char name[70], shown[70];

	(void)state;
	assert_show(d, "namespace0.0", "alt_name", "\n");
	assert_store_bytes(d, 0, "namespace0.0", "alt_name", "  alpha beta \n\0");
	assert_show(d, "namespace0.0", "alt_name", "alpha beta\n");
	memset(name, 'n', 63);
	strcpy(name + 63, "  \n");
	assert_store(d, 0, "namespace0.0", "alt_name", name);
	memset(shown, 'n', 63);
	strcpy(shown + 63, "\n");
	assert_show(d, "namespace0.0", "alt_name", shown);
	assert_int_equal(active_labels(d, &label), 1);
	shown[63] = '\0';
	assert_string_equal(label.name, shown);
	devices_reopen(d);
	assert_show(d, "namespace0.0", "alt_name", strcat(shown, "\n"));
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store_bytes(d, 0, "namespace0.0", "alt_name", "\0");
	assert_show(d, "namespace0.0", "alt_name", "\n");
}

static void s55_no_label_update_while_busy(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	struct untorn_device *dimm = find(d, "nmem0");
	uint8_t *before = malloc(LABEL_AREA), *after = malloc(LABEL_AREA);

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_result(untorn_dimm_label_read(dimm, 0, before, LABEL_AREA), 0);
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_store(d, -EBUSY, "namespace0.0", "alt_name", "x");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", "alt_name", "x");
	assert_store(d, -EBUSY, "namespace0.0", "holder_class", "btt");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -EBUSY, "namespace0.0", "size", "0");
	assert_store(d, -EBUSY, "namespace0.0", "sector_size", "4096");
	assert_store(d, -EBUSY, "namespace0.0", "uuid", uuid_text(5));
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_result(untorn_dimm_label_read(dimm, 0, after, LABEL_AREA), 0);
	assert_memory_equal(before, after, LABEL_AREA);
	untorn_device_put(dimm);
	free(before);
	free(after);
}

/* ------------------------------------------------------------- size -------------------------------------------------------- */

static void s56_size_while_busy(void **state)
{
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	assert_busy(d, "size", "0x2000000");
	assert_busy(d, "size", "1");
	/* The number is parsed before any lock. */
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -EINVAL, "namespace0.0", "size", "junk");
	assert_store(d, -ERANGE, "namespace0.0", "size", "0x10000000000000000");
	assert_store(d, -EBUSY, "namespace0.0", "size", "0");
}

static void size_checks_in_order(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	/* No uuid: before alignment and room. Writing 0 there too: "already deleted". */
	assert_store(d, -ENXIO, "namespace0.0", "size", "1");
	assert_store(d, -ENXIO, "namespace0.0", "size", "0x2000000");
	assert_store(d, -ENXIO, "namespace0.0", "size", "0");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	/* Alignment, then whether the dimm is bound, then room. */
	assert_store(d, -EINVAL, "namespace0.0", "size", "0x800000");
	assert_store(d, -EINVAL, "namespace0.0", "size", "0xfffffffffffff000");
	assert_store(d, -ENOSPC, "namespace0.0", "size", "0x11000000");
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_store(d, -EINVAL, "namespace0.0", "size", "0x800000");
	assert_store(d, -ENXIO, "namespace0.0", "size", "0x11000000");
	assert_store(d, -ENXIO, "namespace0.0", "size", "0x1000000");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_unbind(d, 0, "nd_region", "region0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "namespace0.0", "size", "0x10000000");
	assert_number(d, "region0", "available_size", 0);
	/* The same again is nothing to do. */
	assert_store(d, 0, "namespace0.0", "size", "0x10000000");
	assert_int_equal(active_labels(d, NULL), 1);
	assert_store(d, -ENOSPC, "namespace0.0", "size", "0x11000000");
}

static void s57_size_0_destroys_blk(void **state)
{
	struct devices *d = with_namespace(BLK);

	(void)state;
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	/* The seed stays. */
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_exists(d, "namespace0.1");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_blk", "namespace0.1");
	assert_store(d, -EBUSY, "namespace0.1", "size", "0");
	assert_unbind(d, 0, "nd_blk", "namespace0.1");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.1");
	assert_store(d, -EBUSY, "namespace0.1", "size", "0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_gone(d, "namespace0.1");
	assert_int_equal(active_labels(d, NULL), 1);
}

/* D16: pmem too, but for index 0, which stays and forgets its uuid. */
static void d16_size_0_destroys_pmem(void **state)
{
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_exists(d, "namespace0.1");
	assert_show(d, "namespace0.1", "uuid", "\n");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_gone(d, "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "alt_name", "stays");
	assert_store(d, 0, "namespace0.0", "sector_size", "4096");
	assert_store(d, 0, "namespace0.0", "size", "0");
	devices_wait(d);
	assert_show(d, "namespace0.0", "uuid", "\n");
	assert_show(d, "namespace0.0", "alt_name", "stays\n");
	assert_show(d, "namespace0.0", "sector_size", "512 [4096] \n");
	assert_show(d, "namespace0.0", "size", "0\n");
	assert_show_fails(d, -ENXIO, "namespace0.0", "resource");
	assert_int_equal(active_labels(d, NULL), 0);
	assert_number(d, "region0", "available_size", 256 * MIB);
}

static void s58_capacity(void **state)
{
	struct devices *d = devices_new(UNLABELLED);

	assert_number(d, "namespace0.0", "size", 128 * MIB);
	devices_teardown(state);
	d = with_namespace(INTERLEAVED);
	assert_number(d, "namespace0.0", "size", 64 * MIB);
	assert_number(d, "namespace0.0", "dpa_extents", 2);
	devices_teardown(state);
	/* blk: the sum of its ranges. 0.0 and 0.2 at the top with a hole between them, then one into hole and rest. */
	d = with_namespace(BLK);
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_blk", "namespace0.1");
	configure_namespace(d, "namespace0.2", 3, 64 * MIB);
	assert_bind(d, 0, "nd_blk", "namespace0.2");
	assert_unbind(d, 0, "nd_blk", "namespace0.1");
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_number(d, "region0", "available_size", 128 * MIB);
	configure_namespace(d, "namespace0.3", 4, 128 * MIB);
	assert_number(d, "namespace0.3", "size", 128 * MIB);
	assert_number(d, "namespace0.3", "dpa_extents", 2);
	assert_number(d, "region0", "available_size", 0);
}

static void s59_size_text(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_show(d, "namespace0.0", "size", "0\n");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store_bytes(d, 0, "namespace0.0", "size", "0x4000000\n\0");
	assert_show(d, "namespace0.0", "size", "67108864\n");
	assert_store(d, 0, "namespace0.0", "size", "+33554432\n");
	assert_show(d, "namespace0.0", "size", "33554432\n");
	assert_store(d, 0, "namespace0.0", "size", "0400000000");
	assert_show(d, "namespace0.0", "size", "67108864\n");
}

/* Section 9, size, step 9. */
static void grow_and_shrink(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	uint8_t buf[4096];

	(void)state;
	pattern(buf, sizeof(buf), 1);
	assert_result(rw(d, "namespace0.0", 0, buf, sizeof(buf), true), 0);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	/* First fit from low DPA; shrinking frees at the end. */
	assert_number(d, "namespace0.1", "resource", number(d, "namespace0.0", "resource") + 64 * MIB);
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
	assert_number(d, "region0", "available_size", 192 * MIB);
	assert_number(d, "region0", "max_available_extent", 160 * MIB);
	assert_result(rw(d, "namespace0.0", 0, buf, sizeof(buf), false), 0);
	assert_true(is_pattern(buf, sizeof(buf), 1));
	/* Contiguous growth: up to the neighbour and no further. */
	assert_store(d, 0, "namespace0.0", "size", "0x4000000");
	assert_store(d, -ENXIO, "namespace0.0", "size", "0x5000000");
	assert_number(d, "namespace0.0", "size", 64 * MIB);
	assert_number(d, "namespace0.0", "dpa_extents", 1);
	assert_store(d, 0, "namespace0.1", "size", "0xc000000");
	assert_number(d, "region0", "available_size", 0);
	assert_store(d, -ENOSPC, "namespace0.0", "size", "0x5000000");
}

/* ------------------------------------------------------------- uuid -------------------------------------------------------- */

static void s60_uuid_store(void **state)
{
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	assert_busy(d, "uuid", uuid_text(7));
	assert_busy(d, "uuid", "junk");
	assert_store(d, -EINVAL, "namespace0.0", "uuid", "junk");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -EINVAL, "namespace0.1", "uuid", uuid_text(1));
	assert_show(d, "namespace0.1", "uuid", "\n");
	/* D21: those of btts count too. */
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(8));
	assert_store(d, -EINVAL, "namespace0.1", "uuid", uuid_text(8));
	assert_store(d, 0, "namespace0.1", "uuid", uuid_text(9));
}

/* D21: of all regions of the bus. */
static void d21_uuids_of_other_regions(void **state)
{
	struct devices *d = devices_new(THREE);

	(void)state;
	configure_namespace(d, "namespace2.0", 1, 32 * MIB);
	assert_store(d, -EINVAL, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "btt1.0", "uuid", uuid_text(2));
	assert_store(d, -EINVAL, "namespace0.0", "uuid", uuid_text(2));
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(3));
}

/* D20: with labels the namespace is renamed, in memory and on media. */
static void d20_rename(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	struct untorn_label label;
	uint8_t uuid[16];
	char text[40];

	(void)state;
	assert_store(d, 0, "namespace0.0", "alt_name", "same");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(2));
	assert_number(d, "namespace0.0", "dpa_extents", 1);
	assert_number(d, "namespace0.0", "size", 64 * MIB);
	assert_int_equal(active_labels(d, &label), 1);
	uuid_bytes(2, uuid);
	assert_memory_equal(label.uuid, uuid, 16);
	assert_string_equal(label.name, "same");
	devices_reopen(d);
	snprintf(text, sizeof(text), "%s\n", uuid_text(2));
	assert_show(d, "namespace0.0", "uuid", text);
	assert_number(d, "namespace0.0", "size", 64 * MIB);
	/* The old one is free again. */
	assert_store(d, 0, "namespace0.1", "uuid", uuid_text(1));
	/* The space goes with the new one. */
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(3));
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
	assert_number(d, "region0", "available_size", 224 * MIB);
	assert_store(d, 0, "namespace0.0", "size", "0");
	assert_number(d, "region0", "available_size", 256 * MIB);
	assert_sound(d);
}

/* Any label of the region will do, so a namespace without size may change its mind, as Linux 6.1 lets it; without one, EBUSY. */
static void d20_second_uuid_before_the_first_size(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, -EBUSY, "namespace0.0", "uuid", uuid_text(2));
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.1", "uuid", uuid_text(3));
	assert_store(d, 0, "namespace0.1", "uuid", uuid_text(4));
	assert_store(d, 0, "namespace0.1", "uuid", uuid_text(4));
	assert_store(d, 0, "namespace0.1", "size", "0x2000000");
	assert_sound(d);
}

/* ---------------------------------------------------------- sector_size ---------------------------------------------------- */

static void s61_sector_size_store(void **state)
{
	struct devices *d = devices_new(UNLABELLED);
	struct untorn_device *ns = find(d, "namespace0.0");

	assert_result(untorn_namespace_set_sector_size(ns, 512), -ENXIO);
	assert_store(d, -ENOENT, "namespace0.0", "sector_size", "512");
	untorn_device_put(ns);
	devices_teardown(state);
	d = with_namespace(BLK);
	assert_busy(d, "sector_size", "4096");
	assert_busy(d, "sector_size", "junk");
	assert_store(d, -EINVAL, "namespace0.0", "sector_size", "1024");
	assert_store(d, -EINVAL, "namespace0.0", "sector_size", "512 ");
	assert_store(d, -ERANGE, "namespace0.0", "sector_size", "99999999999999999999");
	assert_show(d, "namespace0.0", "sector_size", "[512] 520 528 4096 4104 4160 4224 \n");
	assert_store(d, 0, "namespace0.0", "sector_size", "4104\n");
	assert_show(d, "namespace0.0", "sector_size", "512 520 528 4096 [4104] 4160 4224 \n");
	devices_teardown(state);
	/* D23: pmem too, two sizes. */
	d = with_namespace(LABELLED);
	assert_busy(d, "sector_size", "4096");
	assert_show(d, "namespace0.0", "sector_size", "512 4096 \n");
	assert_store(d, 0, "namespace0.0", "sector_size", "512\n");
	assert_show(d, "namespace0.0", "sector_size", "[512] 4096 \n");
	assert_store(d, -EINVAL, "namespace0.0", "sector_size", "520");
	assert_store_bytes(d, 0, "namespace0.0", "sector_size", "4096\n\0");
	assert_show(d, "namespace0.0", "sector_size", "512 [4096] \n");
	devices_reopen(d);
	assert_show(d, "namespace0.0", "sector_size", "512 [4096] \n");
}

/* A blk namespace writes its labels only once it has a sector size; section 9, label update. */
static void blk_labels_wait_for_sector_size(void **state)
{
	struct devices *d = devices_new(BLK);

	(void)state;
	assert_show(d, "namespace0.0", "sector_size", "512 520 528 4096 4104 4160 4224 \n");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
	assert_int_equal(active_labels(d, NULL), 0);
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "sector_size", "4096");
	assert_int_equal(active_labels(d, NULL), 1);
	assert_bind(d, 0, "nd_blk", "namespace0.0");
}

/* ------------------------------------------------------ holder, force_raw -------------------------------------------------- */

static void s62_holder(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	struct untorn_attr_info info;
	struct untorn_device *ns = find(d, "namespace0.0");

	(void)state;
	assert_result(untorn_attr_info(ns, "holder", &info), 0);
	assert_int_equal(info.mode, 0444);
	untorn_device_put(ns);
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_store(d, -EACCES, "namespace0.0", "holder", "btt0.0");
}

static void s63_force_raw(void **state)
{
	static const char *const wrong[] = {"\n", "2", "x", "-1", " 1", "o"};
	static const char *const yes[] = {"1", "y", "Y", "1\n", "on", "yes", "t", "T"};
	static const char *const no[] = {"0", "n", "N", "0\n", "off", "no", "f", "F"};
	struct devices *d = with_namespace(LABELLED);

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_store(d, -EINVAL, "namespace0.0", "force_raw", wrong[i]);
	for (unsigned i = 0; i < 8; i++) {
		assert_store(d, 0, "namespace0.0", "force_raw", yes[i]);
		assert_show(d, "namespace0.0", "force_raw", "1\n");
		assert_store(d, 0, "namespace0.0", "force_raw", no[i]);
		assert_show(d, "namespace0.0", "force_raw", "0\n");
	}
	/* Bound and claimed are no obstacle. */
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store_bytes(d, 0, "namespace0.0", "force_raw", "1\n\0");
	assert_show(d, "namespace0.0", "force_raw", "1\n");
}

static bool shows(struct devices *d, const char *device, const char *attribute, mode_t mode)
{
	struct untorn_device *dev = find(d, device);
	struct untorn_attr_info info;
	int r = untorn_attr_info(dev, attribute, &info);

	untorn_device_put(dev);
	return r == 0 ? info.mode == mode : r == -ENOENT && mode == 0;
}

/* With D22 and D23: resource is 0400, pmem has a sector size. */
static void s64_visibility(void **state)
{
	static const struct {
		const char *name;
		mode_t io, pmem, blk;
	} rows[] = {
		{"nstype", 0444, 0444, 0444},    {"size", 0444, 0644, 0644},     {"holder", 0444, 0444, 0444},
		{"force_raw", 0644, 0644, 0644}, {"resource", 0400, 0400, 0},    {"uuid", 0, 0644, 0644},
		{"alt_name", 0, 0644, 0644},     {"sector_size", 0, 0644, 0644}, {"dpa_extents", 0, 0444, 0444},
	};
	static const enum devices_platform kinds[] = {UNLABELLED, LABELLED, BLK};

	for (unsigned kind = 0; kind < 3; kind++) {
		struct devices *d = devices_new(kinds[kind]);

		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			assert_flag(shows(d, "namespace0.0", rows[i].name,
					  (const mode_t[]){rows[i].io, rows[i].pmem, rows[i].blk}[kind]),
				    true, rows[i].name);
		devices_teardown(state);
	}
}

/* --------------------------------------------------------- holder_class ---------------------------------------------------- */

static void holder_class_store(void **state)
{
	struct devices *d = with_namespace(LABELLED);
	static const char *const words[] = {"btt", "pfn", "dax"};
	char text[8];

	(void)state;
	assert_show(d, "namespace0.0", "holder_class", "\n");
	assert_busy(d, "holder_class", "btt");
	assert_busy(d, "holder_class", "junk");
	for (unsigned i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%s\n", words[i]);
		assert_store(d, 0, "namespace0.0", "holder_class", words[i]);
		assert_show(d, "namespace0.0", "holder_class", text);
		devices_reopen(d);
		assert_show(d, "namespace0.0", "holder_class", text);
		assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	}
	assert_store(d, -EINVAL, "namespace0.0", "holder_class", "junk");
	assert_store(d, -EINVAL, "namespace0.0", "holder_class", "btt ");
	assert_store(d, -EINVAL, "namespace0.0", "holder_class", "bt");
	assert_store(d, -EINVAL, "namespace0.0", "holder_class", "<unknown>");
	assert_show(d, "namespace0.0", "holder_class", "dax\n");
	assert_store_bytes(d, 0, "namespace0.0", "holder_class", "\0");
	assert_show(d, "namespace0.0", "holder_class", "\n");
}

/* The label version decides which BTT: 2.0 at byte 0 under v1.2, 1.1 at 4096 under v1.1. */
static void holder_class_decides_the_layout(void **state)
{
	static const uint8_t btt2[16] = {0xfc, 0x3b, 0x63, 0x18, 0x35, 0x17, 0x17, 0x42,
					 0x8a, 0xc9, 0x17, 0x23, 0x92, 0x82, 0xd3, 0xf8};
	enum untorn_btt_layout layout;
	struct untorn_device *ns;
	struct untorn_label label;
	uint8_t parent[16], uuid[16], block[4096];

	uuid_bytes(1, uuid);
	for (unsigned v = 1; v <= 2; v++) {
		struct devices *d = with_namespace(v == 1 ? LABELLED_V1_1 : LABELLED);

		assert_store_bytes(d, 0, "namespace0.0", "holder_class", "btt\0");
		assert_show(d, "namespace0.0", "holder_class", "btt\n");
		ns = find(d, "namespace0.0");
		assert_result(untorn_namespace_btt_layout(ns, &layout, parent), 0);
		assert_int_equal(layout, v == 1 ? UNTORN_BTT_V1_1 : UNTORN_BTT_V2_0);
		assert_memory_equal(parent, uuid, 16);
		untorn_device_put(ns);
		assert_int_equal(active_labels(d, &label), 1);
		if (v == 2)
			assert_memory_equal(label.abstraction_guid, btt2, 16);
		make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
		assert_result(rw(d, "namespace0.0", v == 1 ? 4096 : 0, block, sizeof(block), false), 0);
		assert_memory_equal(block, "BTT_ARENA_INFO\0\0", 16);
		assert_int_equal(block[52], v);
		assert_int_equal(block[54], v == 1 ? 1 : 0);
		devices_reopen(d);
		assert_driver(d, "namespace0.0", NULL);
		assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
		devices_teardown(state);
	}
}

/* A class that a newer kernel may know is shown as such and stays in the label. */
static void unknown_holder_class(void **state)
{
	static const uint8_t guid[16] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	struct devices *d = with_namespace(LABELLED);
	struct untorn_label label;
	uint32_t slot = devices_slot(d, 0, 1);

	(void)state;
	devices_close(d);
	devices_poke_label(d, 0, slot, 144, guid, sizeof(guid));
	devices_open(d);
	assert_show(d, "namespace0.0", "holder_class", "<unknown>\n");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "alt_name", "another");
	assert_int_equal(active_labels(d, &label), 1);
	assert_string_equal(label.name, "another");
	assert_memory_equal(label.abstraction_guid, guid, 16);
	/* It is another class than btt's. */
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "holder_class", "\n");
	assert_int_equal(active_labels(d, &label), 1);
	assert_int_equal(label.abstraction_guid[0], 0);
}

/* Dimms of one set with labels of different versions: which BTT would it be? */
static void holder_class_needs_one_version(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	struct untorn_device *dimm = find(d, "nmem1");

	(void)state;
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE), 0);
	untorn_device_put(dimm);
	assert_unbind(d, 0, "nvdimm", "nmem1");
	assert_bind(d, 0, "nvdimm", "nmem1");
	assert_bind(d, 0, "nd_region", "region0");
	assert_store(d, -ENXIO, "namespace0.0", "holder_class", "btt");
	assert_show(d, "namespace0.0", "holder_class", "\n");
	assert_store(d, 0, "namespace0.0", "holder_class", "pfn");
}

/* D29: no label can say it, but the class is set; it means 1.1, as the next probe looks for. */
static void d29_holder_class_of_io(void **state)
{
	struct devices *d = devices_new(UNLABELLED);
	enum untorn_btt_layout layout;
	struct untorn_device *ns;
	uint8_t parent[16];

	(void)state;
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, -ENXIO, "namespace0.0", "holder_class", "btt");
	assert_show(d, "namespace0.0", "holder_class", "btt\n");
	ns = find(d, "namespace0.0");
	assert_result(untorn_namespace_btt_layout(ns, &layout, parent), 0);
	assert_int_equal(layout, UNTORN_BTT_V1_1);
	untorn_device_put(ns);
}

/* --------------------------------------------------------- label slots ----------------------------------------------------- */

/*
 * All slots but the first nfree of an empty area are in use by labels that are not sound: zeros say slot 0, so that one needs
 * something else.
 */
static struct devices *with_free_slots(enum devices_platform kind, unsigned nfree)
{
	struct devices *d = devices_new_closed(kind);
	uint64_t labels = devices_pmem_size(kind), sum;
	uint8_t index[256];

	for (unsigned i = 0; i < 2; i++) {
		devices_peek(d, 0, labels + i * 256, index, sizeof(index));
		memset(index + 72, 0, 64);
		for (unsigned slot = 0; slot < nfree; slot++)
			index[72 + slot / 8] |= (uint8_t)(1 << slot % 8);
		memset(index + 64, 0, 8);
		sum = spec_fletcher64(index, sizeof(index));
		for (unsigned byte = 0; byte < 8; byte++)
			index[64 + byte] = (uint8_t)(sum >> 8 * byte);
		devices_poke(d, 0, labels + i * 256, index, sizeof(index));
	}
	devices_poke(d, 0, labels + 512 + 120, "\1", 1);
	devices_open(d);
	return d;
}

static void s92_the_last_label_is_kept_free(void **state)
{
	struct devices *d = with_free_slots(BLK, 1);

	assert_show(d, "nmem0", "available_slots", "0\n");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "namespace0.0", "sector_size", "512");
	assert_store(d, -ENOSPC, "namespace0.0", "size", "0x2000000");
	assert_int_equal(active_labels(d, NULL), 0);
	/* It has changed nothing. */
	assert_number(d, "namespace0.0", "size", 0);
	assert_number(d, "region0", "available_size", 256 * MIB);
	devices_teardown(state);
	d = with_free_slots(BLK, 2);
	assert_show(d, "nmem0", "available_slots", "1\n");
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_int_equal(active_labels(d, NULL), 1);
	assert_show(d, "nmem0", "available_slots", "0\n");
	devices_teardown(state);
	/* No free slot at all: nothing can be written. */
	d = with_free_slots(LABELLED, 0);
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, -ENXIO, "namespace0.0", "size", "0x2000000");
}

/* What stands in labels after the stores of ndctl. SPEC 9.5. */
static void labels_say_what_was_stored(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_label label;
	uint8_t uuid[16];

	(void)state;
	uuid_bytes(1, uuid);
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_store(d, 0, "namespace0.0", "alt_name", "alpha");
	assert_store(d, 0, "namespace0.0", "sector_size", "4096");
	assert_int_equal(active_labels(d, &label), 1);
	assert_memory_equal(label.uuid, uuid, 16);
	assert_string_equal(label.name, "alpha");
	assert_int_equal(label.flags, 0);
	assert_int_equal(label.nlabel, 1);
	assert_int_equal(label.position, 0);
	assert_int_equal(label.isetcookie, 0xba90120012b4dc);
	assert_int_equal(label.lbasize, 4096);
	assert_int_equal(label.dpa, 0);
	assert_int_equal(label.rawsize, 64 * MIB);
	assert_memory_equal(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), 16);
}

/* v1.1 has neither GUIDs nor a checksum, and another cookie. */
static void labels_of_v1_1(void **state)
{
	struct devices *d = with_namespace(LABELLED_V1_1);
	static const uint8_t zeros[16];
	struct untorn_label label;

	(void)state;
	assert_store(d, 0, "namespace0.0", "alt_name", "alpha");
	assert_int_equal(active_labels(d, &label), 1);
	assert_string_equal(label.name, "alpha");
	assert_int_equal(label.isetcookie, 0x2468ac00123456);
	assert_int_equal(label.lbasize, 0);
	assert_int_equal(label.rawsize, 64 * MIB);
	assert_int_equal(label.checksum, 0);
	assert_memory_equal(label.type_guid, zeros, 16);
	assert_show(d, "nmem0", "available_slots", "1018\n");
}

/* blk: local, one for each piece, the first of them with the count. SPEC 9.5. */
static void labels_of_blk(void **state)
{
	struct devices *d = with_namespace(BLK);
	struct untorn_label label;

	(void)state;
	assert_int_equal(active_labels(d, &label), 1);
	assert_int_equal(label.flags, UNTORN_LABEL_LOCAL);
	assert_int_equal(label.nlabel, 1);
	assert_int_equal(label.position, 0);
	assert_int_equal(label.lbasize, 512);
	assert_int_equal(label.dpa, 192 * MIB);
	assert_int_equal(label.rawsize, 64 * MIB);
	assert_memory_equal(label.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_BLK), 16);
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 16 * MIB);
	assert_unbind(d, 0, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "size", "0x5000000");
	assert_int_equal(active_labels(d, &label), 3);
	assert_number(d, "namespace0.0", "dpa_extents", 2);
}

/* Without an index, the first label makes one: v1.2. */
static void unlabelled_area_becomes_v1_2(void **state)
{
	struct devices *d = devices_new(UNLABELLED);
	struct untorn_device *dimm;
	struct untorn_label_area_info info;

	(void)state;
	/* The namespace is io: no label is ever written for it. */
	assert_show(d, "region0", "nstype", "4\n");
	assert_show(d, "nmem0", "available_slots", "509\n");
	assert_result(untorn_dimm_label_info(dimm = find(d, "nmem0"), &info), 0);
	assert_int_equal(info.version, UNTORN_LABEL_NONE);
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, 0), -EBUSY);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, 0), 0);
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	untorn_device_put(dimm);
	assert_show(d, "region0", "nstype", "5\n");
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_int_equal(active_labels(d, NULL), 1);
}

/* ------------------------------------------------------- byte access, bounds ----------------------------------------------- */

/* S76's rule with D13's arithmetic; the data stays as it was. */
static void assert_bounds(struct devices *d, const char *ns, uint64_t size)
{
	uint8_t buf[64], zeros[64] = {0};

	memset(buf, 0xee, sizeof(buf));
	assert_result(rw(d, ns, size - 64, buf, 64, true), 0);
	assert_result(rw(d, ns, size - 63, zeros, 64, true), -EFAULT);
	assert_result(rw(d, ns, size, zeros, 1, true), -EFAULT);
	assert_result(rw(d, ns, size, zeros, 1, false), -EFAULT);
	assert_result(rw(d, ns, UINT64_MAX, zeros, 1, true), -EFAULT);
	assert_result(rw(d, ns, UINT64_MAX, zeros, 2, true), -EFAULT);
	assert_result(rw(d, ns, UINT64_MAX - 31, zeros, 64, true), -EFAULT);
	assert_result(rw(d, ns, 1, zeros, SIZE_MAX, false), -EFAULT);
	assert_result(rw(d, ns, size - 64, zeros, SIZE_MAX - 16, false), -EFAULT);
	/* A length of 0 succeeds before any of that. */
	assert_result(rw(d, ns, size, zeros, 0, true), 0);
	assert_result(rw(d, ns, UINT64_MAX, NULL, 0, false), 0);
	assert_result(rw(d, ns, size - 64, zeros, 64, false), 0);
	assert_memory_equal(buf, zeros, 64);
}

static void byte_access_bounds(void **state)
{
	struct devices *d = devices_new(UNLABELLED);

	assert_bounds(d, "namespace0.0", 128 * MIB);
	devices_teardown(state);
	d = with_namespace(LABELLED);
	assert_bounds(d, "namespace0.0", 64 * MIB);
	devices_teardown(state);
	d = with_namespace(INTERLEAVED);
	assert_bounds(d, "namespace0.0", 64 * MIB);
	devices_teardown(state);
	d = with_namespace(BLK);
	assert_bounds(d, "namespace0.0", 64 * MIB);
	devices_teardown(state);
	d = devices_new(VOLATILE);
	assert_bounds(d, "namespace1.0", 64 * MIB);
	devices_teardown(state);
	/* Nothing to access. */
	d = devices_new(LABELLED);
	assert_result(rw(d, "namespace0.0", 0, &(char){0}, 1, false), -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s6_common_part),
		device_test(s7_force_raw_ignores_what_is_on_media),
		device_test(s8_claim_says_who_owns_it),
		device_test(s9_byte_access),
		device_test(s10_block_interface_of_whoever_owns_it),
		device_test(s54_alt_name_while_busy),
		device_test(alt_name_text),
		device_test(s55_no_label_update_while_busy),
		device_test(s56_size_while_busy),
		device_test(size_checks_in_order),
		device_test(s57_size_0_destroys_blk),
		device_test(d16_size_0_destroys_pmem),
		device_test(s58_capacity),
		device_test(s59_size_text),
		device_test(grow_and_shrink),
		device_test(s60_uuid_store),
		device_test(d21_uuids_of_other_regions),
		device_test(d20_rename),
		device_test(d20_second_uuid_before_the_first_size),
		device_test(s61_sector_size_store),
		device_test(blk_labels_wait_for_sector_size),
		device_test(s62_holder),
		device_test(s63_force_raw),
		device_test(s64_visibility),
		device_test(holder_class_store),
		device_test(holder_class_decides_the_layout),
		device_test(unknown_holder_class),
		device_test(holder_class_needs_one_version),
		device_test(d29_holder_class_of_io),
		device_test(s92_the_last_label_is_kept_free),
		device_test(labels_say_what_was_stored),
		device_test(labels_of_v1_1),
		device_test(labels_of_blk),
		device_test(unlabelled_area_becomes_v1_2),
		device_test(byte_access_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
