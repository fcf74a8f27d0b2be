/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices of kind btt: what they hold, their attributes, attaching and detaching. S1, S3 to S5, S11 to S42, S90. */
#include "devices.h"

#include "spec.h"

#define SIZES "512 520 528 4096 4104 4160 4224 \n"

/* A bus with namespace0.0 of 64 MiB, not bound. */
static struct devices *with_namespace(void)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	return d;
}

/* And btt0.0 bound on it; btt0.1 is the seed. */
static struct devices *with_btt(unsigned sector_size)
{
	struct devices *d = with_namespace();

	make_btt(d, "btt0.0", 2, sector_size, "namespace0.0");
	return d;
}

/* btt0.0 attached, not the seed, not bound. */
static struct devices *with_left_over_btt(void)
{
	struct devices *d = with_btt(4096);

	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	return d;
}

/* Next to what there is: namespace0.1 of 32 MiB. namespace0.0 must have been bound, alone or through a btt. */
static void add_namespace(struct devices *d)
{
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
}

static struct untorn_btt_device_info info_of(struct devices *d, const char *name)
{
	struct untorn_btt_device_info info;
	struct untorn_device *btt = find(d, name);

	assert_result(untorn_btt_device_get_info(btt, &info), 0);
	untorn_device_put(btt);
	return info;
}

static void read_info_block(struct devices *d, const char *ns, uint8_t block[4096])
{
	struct untorn_device *device = find(d, ns);

	assert_result(untorn_namespace_rw_bytes(device, 4096, block, 4096, false), 0);
	untorn_device_put(device);
}

static uint64_t le(const uint8_t *p, unsigned n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | p[n];
	return value;
}

/* With the build option, which is on by itself; without it: test-without-btt.c. */
static void s1_support_is_built_in(void **state)
{
	struct devices *d = with_btt(4096);

	(void)state;
	assert_driver(d, "btt0.0", "nd_pmem");
	assert_show(d, "region0", "btt_seed", "btt0.1\n");
}

/* --------------------------------------------------------- info block ------------------------------------------------------ */

static void s3_info_block_layout(void **state)
{
	struct devices *d = with_btt(4104);
	uint8_t block[4096], uuid[16], parent[16];
	static const uint8_t zeros[3968];
	struct spec_arena arena;

	(void)state;
	read_info_block(d, "namespace0.0", block);
	uuid_bytes(2, uuid);
	uuid_bytes(1, parent);
	assert_memory_equal(block + 16, uuid, 16);
	assert_memory_equal(block + 32, parent, 16);
	assert_int_equal(le(block + 48, 4), 0);
	assert_int_equal(le(block + 52, 2), 1);
	assert_int_equal(le(block + 54, 2), 1);
	assert_int_equal(le(block + 56, 4), 4104);
	assert_int_equal(le(block + 64, 4), 4160);
	assert_int_equal(le(block + 68, 4), le(block + 60, 4) + 256);
	assert_int_equal(le(block + 72, 4), 256);
	assert_int_equal(le(block + 76, 4), 4096);
	assert_int_equal(le(block + 80, 8), 0);
	assert_int_equal(le(block + 88, 8), 4096);
	assert_int_equal(le(block + 112, 8), 64 * MIB - 4096 - 4096);
	assert_memory_equal(block + 120, zeros, sizeof(zeros));
	arena = spec_arena(block, 0);
	assert_int_equal(arena.internal_nlba, arena.external_nlba + 256);
	assert_in_range(arena.mapoff, arena.dataoff + (uint64_t)arena.internal_nlba * 4160, 64 * MIB);
	assert_in_range(arena.logoff, arena.mapoff + arena.external_nlba * 4ull, arena.info2off - 256 * 64);
}

static void s4_signature_is_compared_whole(void **state)
{
	struct devices *d = with_btt(4096);
	uint8_t block[4096];

	(void)state;
	read_info_block(d, "namespace0.0", block);
	assert_memory_equal(block, "BTT_ARENA_INFO\0\0", 16);
	/* One of the two NUL bytes, with a right checksum: no longer a btt. */
	block[15] = 1;
	spec_seal(block);
	devices_close(d);
	devices_poke(d, 0, 4096, block, sizeof(block));
	devices_open(d);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "holder", "\n");
	block[15] = 0;
	spec_seal(block);
	devices_close(d);
	devices_poke(d, 0, 4096, block, sizeof(block));
	devices_open(d);
	assert_driver(d, "namespace0.0", NULL);
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
}

static void s5_checksum_is_fletcher64(void **state)
{
	struct devices *d = with_btt(512);
	uint8_t block[4096];
	uint64_t sum;

	(void)state;
	read_info_block(d, "namespace0.0", block);
	sum = le(block + 4088, 8);
	memset(block + 4088, 0, 8);
	assert_int_equal(spec_fletcher64(block, sizeof(block)), sum);
	devices_close(d);
	/* A bit of the padding counts too. */
	devices_peek(d, 0, 4096, block, sizeof(block));
	block[4000] ^= 1;
	devices_poke(d, 0, 4096, block, sizeof(block));
	devices_open(d);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_show(d, "namespace0.0", "holder", "\n");
}

/* ------------------------------------------------------- object and claims ------------------------------------------------- */

static void s11_what_a_btt_holds(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_btt_device_info info = info_of(d, "btt0.0");
	uint8_t uuid[16];

	(void)state;
	assert_false(info.bound);
	assert_false(info.has_uuid);
	assert_int_equal(info.sector_size, 0);
	assert_int_equal(info.size, 0);
	assert_string_equal(info.ns, "");
	configure_btt(d, "btt0.0", 2, 528, "namespace0.0");
	info = info_of(d, "btt0.0");
	uuid_bytes(2, uuid);
	assert_true(info.has_uuid);
	assert_memory_equal(info.uuid, uuid, 16);
	assert_int_equal(info.sector_size, 528);
	assert_int_equal(info.size, 0);
	assert_string_equal(info.ns, "namespace0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	info = info_of(d, "btt0.0");
	assert_true(info.bound);
	assert_int_equal(info.size, number(d, "btt0.0", "size"));
}

static void s12_devtype(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *btt = find(d, "btt0.0");

	(void)state;
	assert_show(d, "btt0.0", "devtype", "nd_btt\n");
	assert_string_equal(untorn_device_devtype(btt), "nd_btt");
	assert_int_equal(untorn_device_type(btt), UNTORN_DEVICE_BTT);
	untorn_device_put(btt);
}

/* D1: a pool of each region. */
static void s13_lowest_free_id_of_the_region(void **state)
{
	struct devices *d = devices_new(THREE);
	struct untorn_device *btt = find(d, "btt2.0");

	(void)state;
	assert_int_equal(untorn_device_id(btt), 0);
	untorn_device_put(btt);
	assert_exists(d, "btt0.0");
	assert_exists(d, "btt1.0");
	configure_namespace(d, "namespace1.0", 1, 32 * MIB);
	make_btt(d, "btt1.0", 2, 4096, "namespace1.0");
	assert_show(d, "region1", "btt_seed", "btt1.1\n");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_unbind(d, 0, "nd_pmem", "btt1.0");
	assert_store(d, 0, "btt1.0", "namespace", "\n");
	devices_wait(d);
	assert_gone(d, "btt1.0");
	make_btt(d, "btt1.1", 3, 4096, "namespace1.0");
	assert_show(d, "region1", "btt_seed", "btt1.0\n");
}

static void s14_parent_and_attributes(void **state)
{
	static const enum devices_platform kinds[] = {LABELLED, UNLABELLED, INTERLEAVED, BLK};
	static const char *const modaliases[] = {"nd:t5\n", "nd:t4\n", "nd:t5\n", "nd:t6\n"};
	struct untorn_device *btt, *parent;
	struct untorn_attr_info info;

	for (unsigned i = 0; i < 4; i++) {
		struct devices *d = devices_new(kinds[i]);

		btt = find(d, "btt0.0");
		assert_result(untorn_device_parent(btt, &parent), 0);
		assert_string_equal(untorn_device_name(parent), "region0");
		untorn_device_put(parent);
		for (unsigned a = 0; a < 3; a++) {
			assert_result(
				untorn_attr_info(btt, (const char *[]){"sector_size", "namespace", "uuid"}[a], &info),
				0);
			assert_int_equal(info.mode, 0644);
		}
		assert_show(d, "btt0.0", "devtype", "nd_btt\n");
		assert_show(d, "btt0.0", "modalias", modaliases[i]);
		untorn_device_put(btt);
		devices_teardown(state);
	}
}

static void s15_no_btt_is_made_for_a_claimed_namespace(void **state)
{
	struct devices *d = with_left_over_btt();

	(void)state;
	/* It has a BTT on media and a holder: probing it must not make a second one. */
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_exists(d, "btt0.0");
	assert_exists(d, "btt0.1");
	assert_gone(d, "btt0.2");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
}

static void s16_a_seed_is_empty(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_show(d, "btt0.0", "sector_size", SIZES);
	assert_show(d, "btt0.0", "uuid", "\n");
	assert_show(d, "btt0.0", "namespace", "\n");
	assert_driver(d, "btt0.0", NULL);
}

static void s17_last_reference_gives_the_id_back(void **state)
{
	struct devices *d = with_left_over_btt();
	struct untorn_device *pin = find(d, "btt0.0");
	char text[UNTORN_ATTR_SIZE];
	size_t len;

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_gone(d, "btt0.0");
	/* Detached already, dead, but the name is taken. */
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_string_equal(untorn_device_name(pin), "btt0.0");
	assert_result(untorn_attr_show(pin, "uuid", text, sizeof(text), &len), -ENODEV);
	assert_result(untorn_attr_store(pin, "uuid", "\n", 1), -ENODEV);
	make_btt(d, "btt0.1", 3, 4096, "namespace0.0");
	assert_show(d, "region0", "btt_seed", "btt0.2\n");
	untorn_device_put(pin);
	devices_wait(d);
	assert_unbind(d, 0, "nd_pmem", "btt0.1");
	assert_store(d, 0, "btt0.1", "namespace", "\n");
	devices_wait(d);
	make_btt(d, "btt0.2", 4, 4096, "namespace0.0");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
}

static void s18_attach_sets_both_pointers(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *ns = find(d, "namespace0.0"), *btt = find(d, "btt0.0"), *other;

	(void)state;
	assert_result(untorn_btt_device_namespace(btt, &other), -ENOENT);
	assert_result(untorn_namespace_holder(ns, &other), -ENOENT);
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_result(untorn_btt_device_namespace(btt, &other), 0);
	assert_ptr_equal(other, ns);
	untorn_device_put(other);
	assert_result(untorn_namespace_holder(ns, &other), 0);
	assert_ptr_equal(other, btt);
	untorn_device_put(other);
	untorn_device_put(ns);
	untorn_device_put(btt);
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_show(d, "namespace0.0", "mode", "safe\n");
}

static void s20_detach_clears_both_pointers(void **state)
{
	struct devices *d = with_left_over_btt();

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_show(d, "namespace0.0", "mode", "raw\n");
	/* The claim is over: what it forbade is possible again. */
	assert_store(d, 0, "namespace0.0", "alt_name", "free");
	assert_store(d, 0, "namespace0.0", "size", "0x2000000");
}

static void s21_detach_of_nothing(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_store_bytes(d, 0, "btt0.0", "namespace", "\0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_exists(d, "btt0.0");
	assert_show(d, "btt0.0", "namespace", "\n");
	assert_show(d, "namespace0.0", "holder", "\n");
}

static void s22_binding_never_changes_the_claim(void **state)
{
	struct devices *d = with_btt(4096);

	(void)state;
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
}

/* --------------------------------------------------------- sector_size ----------------------------------------------------- */

static void s23_sector_size_text(void **state)
{
	struct devices *d = devices_new(LABELLED);
	static const char *const stores[] = {"512", "520", "528", "4096", "4104", "4160", "4224"};
	static const char *const shows[] = {
		"[512] 520 528 4096 4104 4160 4224 \n", "512 [520] 528 4096 4104 4160 4224 \n",
		"512 520 [528] 4096 4104 4160 4224 \n", "512 520 528 [4096] 4104 4160 4224 \n",
		"512 520 528 4096 [4104] 4160 4224 \n", "512 520 528 4096 4104 [4160] 4224 \n",
		"512 520 528 4096 4104 4160 [4224] \n",
	};

	(void)state;
	assert_show(d, "btt0.0", "sector_size", SIZES);
	for (unsigned i = 0; i < 7; i++) {
		assert_store(d, 0, "btt0.0", "sector_size", stores[i]);
		assert_show(d, "btt0.0", "sector_size", shows[i]);
	}
}

static void s24_sector_size_store(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "513");
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "0");
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "8192");
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "-512");
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "\n");
	assert_store(d, -EINVAL, "btt0.0", "sector_size", "512 ");
	assert_store(d, -ERANGE, "btt0.0", "sector_size", "18446744073709551616");
	assert_show(d, "btt0.0", "sector_size", SIZES);
	assert_store_bytes(d, 0, "btt0.0", "sector_size", "512\n\0");
	assert_store(d, 0, "btt0.0", "sector_size", "0x1000\n");
	assert_store(d, 0, "btt0.0", "sector_size", "01000");
	assert_show(d, "btt0.0", "sector_size", "[512] 520 528 4096 4104 4160 4224 \n");
	configure_btt(d, "btt0.0", 2, 520, "namespace0.0");
	/* Attached is no obstacle, bound is, and that is looked at before the text. */
	assert_store(d, 0, "btt0.0", "sector_size", "4096");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, -EBUSY, "btt0.0", "sector_size", "512");
	assert_store(d, -EBUSY, "btt0.0", "sector_size", "junk");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "sector_size", "512");
}

/* ------------------------------------------------------------- uuid -------------------------------------------------------- */

static void s25_uuid_text(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_show(d, "btt0.0", "uuid", "\n");
	assert_store(d, 0, "btt0.0", "uuid", "ABCDEF01-2345-6789-abcd-EF0123456789\n");
	assert_show(d, "btt0.0", "uuid", "abcdef01-2345-6789-abcd-ef0123456789\n");
}

static void s26_uuid_store(void **state)
{
	struct devices *d = with_namespace();
	const char *last = "00000000-0000-0000-0000-000000000001\n";

	(void)state;
	assert_store(d, 0, "btt0.0", "uuid", ""); /* no write at all */
	assert_show(d, "btt0.0", "uuid", "\n");
	assert_store(d, -EINVAL, "btt0.0", "uuid", "\n");
	assert_store(d, -EINVAL, "btt0.0", "uuid", "00000000-0000-0000-0000-00000000000");
	assert_store(d, -EINVAL, "btt0.0", "uuid", "00000000-0000-0000-0000-00000000000g");
	/* No uniqueness test: that of the namespace is fine, and attached is too. */
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(1));
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "btt0.0", "uuid", last);
	assert_show(d, "btt0.0", "uuid", last);
	assert_store(d, 0, "btt0.0", "sector_size", "4096");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, -EBUSY, "btt0.0", "uuid", uuid_text(3));
	assert_store(d, -EBUSY, "btt0.0", "uuid", "junk");
	assert_show(d, "btt0.0", "uuid", last);
}

/* ---------------------------------------------------------- namespace ------------------------------------------------------ */

static void s27_namespace_text(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_show(d, "btt0.0", "namespace", "\n");
	assert_store_bytes(d, 0, "btt0.0", "namespace", "namespace0.0\0");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
}

static void s29_namespace_store_while_bound(void **state)
{
	struct devices *d = with_btt(4096);

	(void)state;
	assert_store(d, -EBUSY, "btt0.0", "namespace", "\n");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "junk");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace9.9");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
}

static void s31_white_space(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, -EINVAL, "btt0.0", "namespace", " namespace0.0");
	assert_store(d, -EINVAL, "btt0.0", "namespace", "\nnamespace0.0");
	assert_show(d, "btt0.0", "namespace", "\n");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0 \t\v\f\r\n \n");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
	/* All blank is empty. */
	assert_store(d, 0, "btt0.0", "namespace", " \t\n ");
	assert_show(d, "btt0.0", "namespace", "\n");
}

static void s32_namespace_must_start_so(void **state)
{
	struct devices *d = with_namespace();
	static const char *const texts[] = {"x",       "0.0",    "Namespace0.0", "namespac",
					    "region0", "btt0.0", "/namespace0.0"};

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_store(d, -EINVAL, "btt0.0", "namespace", texts[i]);
	assert_show(d, "btt0.0", "namespace", "\n");
}

static void s33_empty_text_detaches(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_store_bytes(d, 0, "btt0.0", "namespace", "\n\0");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "btt0.0", "namespace", ""); /* no write at all */
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
	assert_store_bytes(d, 0, "btt0.0", "namespace", "\n\0");
	assert_show(d, "btt0.0", "namespace", "\n");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_store_bytes(d, 0, "btt0.0", "namespace", "\0namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
}

static void s34_idle_is_no_seed_no_namespace_no_driver(void **state)
{
	struct devices *d = with_left_over_btt();

	(void)state;
	/* The seed is never idle, bound neither; a left-over one becomes so when it is detached. */
	assert_store(d, 0, "btt0.1", "namespace", "\n");
	devices_wait(d);
	assert_exists(d, "btt0.1");
	assert_exists(d, "btt0.0");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_exists(d, "btt0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_gone(d, "btt0.0");
}

static void s35_idle_btt_is_destroyed_later(void **state)
{
	struct devices *d = with_left_over_btt();
	struct untorn_device *btt = find(d, "btt0.0");

	(void)state;
	/* The store runs inside the device that dies, and succeeds. */
	assert_result(untorn_attr_store(btt, "namespace", "\n", 1), 0);
	devices_wait(d);
	assert_gone(d, "btt0.0");
	assert_result(untorn_attr_store(btt, "namespace", "\n", 1), -ENODEV);
	untorn_device_put(btt);
}

static void s36_the_seed_is_reset(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *btt = find(d, "btt0.0");
	char text[200];

	(void)state;
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_exists(d, "btt0.0");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	assert_show(d, "btt0.0", "sector_size", SIZES);
	assert_show(d, "btt0.0", "uuid", "\n");
	assert_show(d, "btt0.0", "namespace", "\n");
	/* Why it could not be bound is over too. */
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
	assert_result(untorn_device_problem(btt, text, sizeof(text)), 0);
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_result(untorn_device_problem(btt, text, sizeof(text)), -ENOENT);
	untorn_device_put(btt);
}

static void s37_attach_twice(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace0.0");
	/* Before the lookup, after the check of the text. */
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace7.7");
	assert_store(d, -EINVAL, "btt0.0", "namespace", "junk");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
}

static void s38_exact_name_in_the_same_region(void **state)
{
	struct devices *d = devices_new(THREE);

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	configure_namespace(d, "namespace1.0", 2, 32 * MIB);
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace1.0");
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace0.1");
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace0.00");
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace0.");
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace");
	assert_store(d, -ENODEV, "btt0.0", "namespace", "namespace0.0 x");
	assert_store(d, 0, "btt1.0", "namespace", "namespace1.0");
}

static void s39_attach_below_16_mib(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	assert_store(d, -ENXIO, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "region0", "align", "0x1000");
	configure_namespace(d, "namespace0.0", 1, 16 * MIB - 4096);
	assert_store(d, -ENXIO, "btt0.0", "namespace", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_store(d, 0, "namespace0.0", "size", "0x1000000");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
}

static void s40_attach_to_a_claimed_one(void **state)
{
	struct devices *d = with_left_over_btt();

	(void)state;
	assert_store(d, -EBUSY, "btt0.1", "namespace", "namespace0.0");
	assert_show(d, "btt0.1", "namespace", "\n");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
}

static void s41_attach_keeps_one_reference(void **state)
{
	struct devices *d = with_btt(4096);

	(void)state;
	/* Refused attaches pin nothing: the name is free as soon as the device is gone. */
	add_namespace(d);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	assert_store(d, 0, "btt0.1", "namespace", "namespace0.1");
	assert_store(d, -EBUSY, "btt0.1", "namespace", "namespace0.1");
	assert_store(d, -EBUSY, "btt0.1", "namespace", "namespace0.0");
	assert_store(d, 0, "btt0.1", "namespace", "\n");
	assert_store(d, 0, "namespace0.1", "size", "0");
	devices_wait(d);
	assert_gone(d, "namespace0.1");
	configure_namespace(d, "namespace0.2", 4, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.2");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
}

static void s42_what_attach_does_not_check(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	/* Bound, ignoring btts, and to a btt without uuid and sector size. */
	assert_store(d, 0, "namespace0.0", "force_raw", "1");
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	assert_show(d, "namespace0.0", "holder", "btt0.0\n");
	assert_driver(d, "namespace0.0", "nd_pmem");
	/* It fails later. */
	assert_bind(d, -EBUSY, "nd_pmem", "btt0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "btt0.0");
}

static void s90_left_over_btt_keeps_its_settings(void **state)
{
	struct devices *d = with_left_over_btt();

	(void)state;
	assert_show(d, "region0", "btt_seed", "btt0.1\n");
	assert_show(d, "btt0.0", "namespace", "namespace0.0\n");
	assert_show(d, "btt0.0", "sector_size", "512 520 528 [4096] 4104 4160 4224 \n");
	assert_store(d, -EBUSY, "namespace0.0", "size", "0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	assert_gone(d, "btt0.0");
	assert_store(d, 0, "namespace0.0", "size", "0");
}

/* ------------------------------------------------------------ D-rows ------------------------------------------------------- */

/* D3, D11: usable bytes while bound; log_zero_flags. */
static void d3_size_while_bound(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_show_fails(d, -ENXIO, "btt0.0", "size");
	assert_show(d, "btt0.0", "log_zero_flags", "Y\n");
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_show_fails(d, -ENXIO, "btt0.0", "size");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_in_range(number(d, "btt0.0", "size"), 60 * MIB, 64 * MIB);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_show_fails(d, -ENXIO, "btt0.0", "size");
}

/* D10: the class of the namespace is looked at, after the lookup and before size and claim. */
static void d10_attach_to_another_class(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_store(d, 0, "namespace0.0", "holder_class", "pfn");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "holder_class", "dax");
	assert_store(d, -EBUSY, "btt0.0", "namespace", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "holder_class", "btt");
	assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
}

/* Good metadata counts, and both attributes then say it. Section 13. */
static void metadata_wins(void **state)
{
	struct devices *d = with_btt(512);
	uint64_t size = number(d, "btt0.0", "size");
	struct untorn_disk_info info;
	struct untorn_disk *disk;
	char text[40];

	(void)state;
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "sector_size", "4096");
	assert_store(d, 0, "btt0.0", "uuid", uuid_text(9));
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_number(d, "btt0.0", "size", size);
	assert_show(d, "btt0.0", "sector_size", "[512] 520 528 4096 4104 4160 4224 \n");
	snprintf(text, sizeof(text), "%s\n", uuid_text(2));
	assert_show(d, "btt0.0", "uuid", text);
	disk = disk_of(d, "btt0.0");
	untorn_disk_get_info(disk, &info);
	assert_int_equal(info.size, size);
	untorn_disk_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s1_support_is_built_in),
		device_test(s3_info_block_layout),
		device_test(s4_signature_is_compared_whole),
		device_test(s5_checksum_is_fletcher64),
		device_test(s11_what_a_btt_holds),
		device_test(s12_devtype),
		device_test(s13_lowest_free_id_of_the_region),
		device_test(s14_parent_and_attributes),
		device_test(s15_no_btt_is_made_for_a_claimed_namespace),
		device_test(s16_a_seed_is_empty),
		device_test(s17_last_reference_gives_the_id_back),
		device_test(s18_attach_sets_both_pointers),
		device_test(s20_detach_clears_both_pointers),
		device_test(s21_detach_of_nothing),
		device_test(s22_binding_never_changes_the_claim),
		device_test(s23_sector_size_text),
		device_test(s24_sector_size_store),
		device_test(s25_uuid_text),
		device_test(s26_uuid_store),
		device_test(s27_namespace_text),
		device_test(s29_namespace_store_while_bound),
		device_test(s31_white_space),
		device_test(s32_namespace_must_start_so),
		device_test(s33_empty_text_detaches),
		device_test(s34_idle_is_no_seed_no_namespace_no_driver),
		device_test(s35_idle_btt_is_destroyed_later),
		device_test(s36_the_seed_is_reset),
		device_test(s37_attach_twice),
		device_test(s38_exact_name_in_the_same_region),
		device_test(s39_attach_below_16_mib),
		device_test(s40_attach_to_a_claimed_one),
		device_test(s41_attach_keeps_one_reference),
		device_test(s42_what_attach_does_not_check),
		device_test(s90_left_over_btt_keeps_its_settings),
		device_test(d3_size_while_bound),
		device_test(d10_attach_to_another_class),
		device_test(metadata_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
