/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What binding a namespace or a btt looks at and does: the media probe, the common checks in their order, disks that come and go.
 * S43 to S48, S50, S65, S67 to S73, S76 to S81. Where a broken invariant is the condition, it is broken by hand inside the device.
 */
#include "devices.h"

#include "device/device.h"
#include "spec.h"

static struct devices *with_namespace(void)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	return d;
}

/* A btt of 4096 on the media of namespace0.0; the bus was closed and is open again, without autoprobe. */
static struct devices *with_btt_on_media(enum devices_platform kind)
{
	struct devices *d = devices_new(kind);

	if (kind == LABELLED)
		configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	else
		assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	d->flags = UNTORN_BUS_NO_AUTOPROBE;
	devices_reopen(d);
	assert_driver(d, "namespace0.0", NULL);
	assert_gone(d, "btt0.1");
	return d;
}

/* The device says why it is not up, and names it. */
static void assert_problem(struct devices *d, const char *name, const char *word)
{
	struct untorn_device *device = find(d, name);
	char text[300] = "", cut[8];

	assert_result(untorn_device_problem(device, text, sizeof(text)), 0);
	if (!strstr(text, word))
		fail_msg("the problem of %s is '%s'", name, text);
	assert_result(untorn_device_problem(device, cut, sizeof(cut)), 0);
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
	assert_memory_equal(text, cut, sizeof(cut) - 1);
	untorn_device_put(device);
}

static void assert_no_problem(struct devices *d, const char *name)
{
	struct untorn_device *device = find(d, name);
	char text[300];

	assert_result(untorn_device_problem(device, text, sizeof(text)), -ENOENT);
	untorn_device_put(device);
}

/* The info block of namespace0.0, which lies at the start of nmem0. */
static void get_info_block(struct devices *d, uint8_t block[4096])
{
	devices_peek(d, 0, 4096, block, 4096);
}

static void put_info_block(struct devices *d, uint8_t block[4096])
{
	spec_seal(block);
	devices_poke(d, 0, 4096, block, 4096);
}

/* Change bytes of it, right checksum, and see that the namespace is bound raw and no btt came up. */
static void assert_not_a_btt(struct devices *d, uint64_t off, const void *bytes, size_t len)
{
	uint8_t block[4096], saved[4096];

	devices_close(d);
	get_info_block(d, block);
	memcpy(saved, block, sizeof(block));
	memcpy(block + off, bytes, len);
	put_info_block(d, block);
	devices_open(d);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_gone(d, "btt0.1");
	devices_close(d);
	put_info_block(d, saved);
	devices_open(d);
}

/* ---------------------------------------------------------- media probe ---------------------------------------------------- */

static void s43_force_raw_makes_no_btt(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);

	(void)state;
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_exists(d, "btt0.0");
	assert_gone(d, "btt0.1");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
}

static void s44_media_probe_attaches_a_new_btt(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);

	(void)state;
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	/* Not the seed: a btt of its own. */
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_show(d, "namespace0.0", "holder", "btt0.1\n");
	assert_show(d, "btt0.1", "namespace", "namespace0.0\n");
	assert_show(d, "btt0.0", "namespace", "\n");
}

static void s45_byte_access_works_while_probing(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);
	uint8_t block[4096];
	struct untorn_device *ns;

	(void)state;
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	ns = find(d, "namespace0.0");
	assert_result(untorn_namespace_rw_bytes(ns, 4096, block, sizeof(block), false), 0);
	untorn_device_put(ns);
	assert_memory_equal(block, "BTT_ARENA_INFO", 14);
	assert_bind(d, 0, "nd_pmem", "btt0.1");
}

static void s46_what_is_no_btt(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);
	uint8_t block[4096];
	struct devices *tiny;

	assert_not_a_btt(d, 0, "X", 1);
	assert_not_a_btt(d, 15, "X", 1);
	/* Checksum. */
	devices_close(d);
	get_info_block(d, block);
	block[4088] ^= 1;
	devices_poke(d, 0, 4096, block, sizeof(block));
	devices_open(d);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
	devices_teardown(state);
	/* A namespace below 16 MiB with an info block. */
	block[4088] ^= 1;
	memset(block + 32, 0, 16);
	tiny = devices_new_closed(TINY);
	put_info_block(tiny, block);
	devices_open(tiny);
	assert_driver(tiny, "namespace0.0", "nd_pmem");
	assert_show(tiny, "namespace0.0", "holder", "\n");
	assert_gone(tiny, "btt0.1");
}

static void s47_btt_as_the_info_block_says(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);
	char text[40];

	(void)state;
	snprintf(text, sizeof(text), "%s\n", uuid_text(2));
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_show(d, "btt0.1", "uuid", text);
	assert_show(d, "btt0.1", "sector_size", "512 520 528 [4096] 4104 4160 4224 \n");
}

static void s48_failed_media_probe_leaves_nothing(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_show(d, "namespace0.0", "mode", "raw\n");
	assert_gone(d, "btt0.1");
	/* Its id is free again: the next seed takes it. */
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	make_btt(d, "btt0.0", 3, 4096, "namespace0.1");
	assert_show(d, "region0", "btt_seed", "btt0.1\n");
}

/* D9: today parent uuid and version are looked at. Flags are not. */
static void s50_parent_version_and_flags(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);
	uint8_t uuid[16], block[4096];

	(void)state;
	uuid_bytes(7, uuid);
	assert_not_a_btt(d, 32, uuid, 16);
	assert_not_a_btt(d, 52, "\2\0\0\0", 4);
	assert_not_a_btt(d, 54, "\2", 1);
	/* A null parent belongs to anybody. */
	devices_close(d);
	get_info_block(d, block);
	memset(block + 32, 0, 16);
	block[48] = 1;
	put_info_block(d, block);
	devices_open(d);
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.1\n");
}

/* Class btt2 looks at byte 0 for 2.0, and only there; section 13. */
static void class_btt2_looks_at_byte_0(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);

	(void)state;
	assert_store(d, 0, "namespace0.0", "holder_class", "btt");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "holder_class", "pfn");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "holder_class", "\n");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.1\n");
}

/* A btt on an io namespace comes up by itself, and again when the region does. */
static void btt_comes_up_by_itself(void **state)
{
	struct devices *d = with_btt_on_media(UNLABELLED);

	(void)state;
	d->flags = 0;
	devices_reopen(d);
	assert_driver(d, "namespace0.0", NULL);
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
	assert_sound(d);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_gone(d, "btt0.0");
	assert_gone(d, "btt0.1");
	assert_gone(d, "namespace0.0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
	assert_sound(d);
}

/* --------------------------------------------------------- common checks --------------------------------------------------- */

static void s65_btt_without_namespace(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(2));
	assert_store(d, 0, "btt0.0", "sector_size", "4096");
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	assert_driver(d, "btt0.0", NULL);
}

static void s67_namespace_still_bound(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, -EBUSY, "nd_pmem", "btt0.0");
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_driver(d, "btt0.0", NULL);
	assert_problem(d, "btt0.0", "namespace0.0");
}

/* Make another device, or nobody, the one that claims namespace0.0; NULL: the btt that did. */
static struct untorn_device *set_claim(struct devices *d, struct untorn_device *claim)
{
	struct untorn_device *ns = find(d, "namespace0.0"), *old;

	bus_lock(d->bus);
	old = to_namespace(ns)->claim;
	to_namespace(ns)->claim = claim;
	bus_unlock(d->bus);
	untorn_device_put(ns);
	return old;
}

static void s68_claim_of_another(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *other, *claim;

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 4, 32 * MIB);
	make_btt(d, "btt0.0", 3, 4096, "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	configure_btt(d, "btt0.1", 2, 4096, "namespace0.0");
	other = find(d, "btt0.0");
	claim = set_claim(d, other);
	assert_bind(d, -ENXIO, "nd_pmem", "btt0.1");
	set_claim(d, claim);
	assert_bind(d, 0, "nd_pmem", "btt0.1");
	untorn_device_put(other);
}

static void s69_claimed_namespace(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_driver(d, "namespace0.0", NULL);
	/* force_raw does not help. */
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
}

static void set_has_uuid(struct devices *d, bool has_uuid)
{
	struct untorn_device *ns = find(d, "namespace0.0");

	bus_lock(d->bus);
	to_namespace(ns)->has_uuid = has_uuid;
	bus_unlock(d->bus);
	untorn_device_put(ns);
}

/* A dimm that was locked later: behind the claim, before size and uuid. Section 13. */
static void locked_dimm(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *dimm = find(d, "nmem0");

	(void)state;
	bus_lock(d->bus);
	to_dimm(dimm)->locked = true;
	bus_unlock(d->bus);
	assert_bind(d, -EACCES, "nd_pmem", "namespace0.0");
	set_has_uuid(d, false);
	assert_bind(d, -EACCES, "nd_pmem", "namespace0.0");
	set_has_uuid(d, true);
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_bind(d, -EACCES, "nd_pmem", "btt0.0");
	assert_problem(d, "btt0.0", "locked");
	untorn_device_put(dimm);
}

/* D7: today's minimum is one page. */
static void s70_too_small(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_bind(d, -ENODEV, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_bind(d, -ENODEV, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "region0", "align", "4096");
	assert_store(d, 0, "namespace0.0", "size", "4096");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
}

static void s71_pmem_without_uuid(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	set_has_uuid(d, false);
	assert_bind(d, -ENODEV, "nd_pmem", "namespace0.0");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	set_has_uuid(d, true);
	assert_bind(d, 0, "nd_pmem", "btt0.0");
}

/* D17: as 5.17: a driver of their own, ENODEV until all is configured. */
static void s72_blk_namespaces(void **state)
{
	struct devices *d = devices_new(BLK);

	(void)state;
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "sector_size", "512");
	assert_bind(d, -ENODEV, "nd_pmem", "namespace0.0");
	assert_bind(d, 0, "nd_blk", "namespace0.0");
	assert_unbind(d, 0, "nd_blk", "namespace0.0");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	devices_reopen(d);
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_blk");
}

static void s73_order_of_the_common_checks(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *claim;

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	/* Bound (S67) before claimed by another (S68) before uuid (S71). */
	claim = set_claim(d, NULL);
	set_has_uuid(d, false);
	assert_bind(d, -EBUSY, "nd_pmem", "btt0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "btt0.0");
	set_claim(d, claim);
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	/* Claimed (S69) before uuid (S71). */
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	set_has_uuid(d, true);
	assert_bind(d, 0, "nd_pmem", "btt0.0");
}

/* -------------------------------------------------------- disks come and go ------------------------------------------------ */

static void s76_byte_access_beyond_the_end(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *ns;
	uint8_t buf[64], seen[64];

	(void)state;
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	ns = find(d, "namespace0.0");
	assert_result(untorn_namespace_rw_bytes(ns, 64 * MIB - 64, seen, 64, false), 0);
	memset(buf, 0x5a, sizeof(buf));
	assert_result(untorn_namespace_rw_bytes(ns, 64 * MIB - 63, buf, 64, true), -EFAULT);
	assert_result(untorn_namespace_rw_bytes(ns, UINT64_MAX - 7, buf, 64, true), -EFAULT);
	assert_result(untorn_namespace_rw_bytes(ns, 64 * MIB - 64, buf, 64, false), 0);
	assert_memory_equal(buf, seen, 64);
	untorn_device_put(ns);
}

/* D11: it really binds, when all is there. */
static void s77_binding_a_btt(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_disk_info info;
	struct untorn_disk *disk;

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(2));
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	assert_problem(d, "btt0.0", "sector_size");
	assert_store(d, 0, "btt0.0", "sector_size", "4096");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_no_problem(d, "btt0.0");
	disk = disk_of(d, "btt0.0");
	untorn_disk_get_info(disk, &info);
	assert_string_equal(info.name, "pmem0s");
	assert_true(info.is_btt);
	untorn_disk_close(disk);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_no_disk(d, "btt0.0");
}

/* Exactly 16 MiB attaches, but 1.1 starts at 4096: too small. 2.0 starts at 0 and fits. Section 13. */
static void exactly_16_mib(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 16 * MIB);
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "btt0.0");
	assert_problem(d, "btt0.0", "too small");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_store(d, 0, "namespace0.0", "holder_class", "btt");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
}

static void s78_order_of_the_pmem_probe(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);

	(void)state;
	/* The common checks come before the media probe: a claim ends it. */
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_gone(d, "btt0.1");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	/* The media probe comes before the raw disk. */
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_exists(d, "btt0.1");
	assert_no_disk(d, "namespace0.0");
}

static void s79_namespace_probe_fails_on_purpose(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	/* The btt that comes up in its place takes the free name. */
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_driver(d, "namespace0.0", NULL);
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_driver(d, "btt0.0", "nd_pmem");
	untorn_disk_close(disk_of(d, "btt0.0"));
}

/* Two lanes' logs of which none is newer: damaged, and nothing is written over it. */
static void damage_flog(struct devices *d)
{
	uint8_t block[4096], group[64];
	struct spec_arena arena;

	get_info_block(d, block);
	arena = spec_arena(block, 0);
	devices_peek(d, 0, 4096 + arena.logoff, group, sizeof(group));
	memcpy(group + 16, group, 16);
	devices_poke(d, 0, 4096 + arena.logoff, group, sizeof(group));
}

static void s80_failed_probes_free_everything(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);

	(void)state;
	devices_close(d);
	damage_flog(d);
	devices_open(d);
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	for (unsigned i = 0; i < 3; i++)
		assert_bind(d, -ENOMEM, "nd_pmem", "btt0.1");
	assert_problem(d, "btt0.1", "damaged");
	/* Nothing is held: the memory can be bound as something else. */
	assert_store(d, 0, "btt0.1", "namespace", "\n");
	devices_wait(d);
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
}

/* A damaged primary info block with a sound backup is not "nothing there". */
static void damaged_btt_is_not_overwritten(void **state)
{
	struct devices *d = with_btt_on_media(LABELLED);
	uint8_t block[4096], *before = malloc(64 * MIB), *after = malloc(64 * MIB);

	(void)state;
	devices_close(d);
	get_info_block(d, block);
	block[100] ^= 1;
	devices_poke(d, 0, 4096, block, sizeof(block));
	devices_peek(d, 0, 0, before, 64 * MIB);
	devices_open(d);
	configure_btt(d, "btt0.0", 9, 512, "namespace0.0");
	assert_bind(d, -ENOMEM, "nd_pmem", "btt0.0");
	devices_close(d);
	devices_peek(d, 0, 0, after, 64 * MIB);
	assert_memory_equal(before, after, 64 * MIB);
	devices_open(d);
	free(before);
	free(after);
}

static void s81_remove_never_fails(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_disk *raw, *sectors;
	uint8_t buf[4096] = {1};

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	raw = disk_of(d, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_no_disk(d, "namespace0.0");
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	sectors = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pwrite(sectors, buf, sizeof(buf), 0, 0), 0);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_result(untorn_disk_pread(raw, buf, sizeof(buf), 0), -ENXIO);
	assert_result(untorn_disk_pread(sectors, buf, sizeof(buf), 0), -ENXIO);
	assert_result(untorn_disk_pwrite(sectors, buf, sizeof(buf), 0, 0), -ENXIO);
	assert_result(untorn_disk_pwrite_zeroes(sectors, 4096, 0, 0), -ENXIO);
	assert_result(untorn_disk_flush(sectors), -ENXIO);
	untorn_disk_close(raw);
	untorn_disk_close(sectors);
	/* What was buffered is not lost. */
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	sectors = disk_of(d, "btt0.0");
	assert_result(untorn_disk_pread(sectors, buf, sizeof(buf), 0), 0);
	assert_int_equal(buf[0], 1);
	untorn_disk_close(sectors);
}

/* -------------------------------------------------------- read-only regions ------------------------------------------------ */

static void read_only_region_makes_no_metadata(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk_info info;
	struct untorn_disk *disk;
	uint8_t buf[512] = {0};

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_store(d, 0, "region0", "read_only", "1");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_bind(d, -ENOMEM, "nd_pmem", "btt0.0");
	assert_problem(d, "btt0.0", "read-only");
	assert_store(d, 0, "region0", "read_only", "0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	/* With metadata on media it comes up, for reading. */
	assert_store(d, 0, "region0", "read_only", "1");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	disk = disk_of(d, "btt0.0");
	untorn_disk_get_info(disk, &info);
	assert_true(info.read_only);
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), 0), 0);
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), -EROFS);
	untorn_disk_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s43_force_raw_makes_no_btt),
		device_test(s44_media_probe_attaches_a_new_btt),
		device_test(s45_byte_access_works_while_probing),
		device_test(s46_what_is_no_btt),
		device_test(s47_btt_as_the_info_block_says),
		device_test(s48_failed_media_probe_leaves_nothing),
		device_test(s50_parent_version_and_flags),
		device_test(class_btt2_looks_at_byte_0),
		device_test(btt_comes_up_by_itself),
		device_test(s65_btt_without_namespace),
		device_test(s67_namespace_still_bound),
		device_test(s68_claim_of_another),
		device_test(s69_claimed_namespace),
		device_test(locked_dimm),
		device_test(s70_too_small),
		device_test(s71_pmem_without_uuid),
		device_test(s72_blk_namespaces),
		device_test(s73_order_of_the_common_checks),
		device_test(s76_byte_access_beyond_the_end),
		device_test(s77_binding_a_btt),
		device_test(exactly_16_mib),
		device_test(s78_order_of_the_pmem_probe),
		device_test(s79_namespace_probe_fails_on_purpose),
		device_test(s80_failed_probes_free_everything),
		device_test(damaged_btt_is_not_overwritten),
		device_test(s81_remove_never_fails),
		device_test(read_only_region_makes_no_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
