/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of memory: every allocation that an operation makes in its thread fails once, one after the other. Each time the operation says
 * -ENOMEM or does without; the tree stays sound, and the same operation succeeds when there is memory again. S30, S49, S74, S88.
 */
#include "devices.h"

#include <stdatomic.h>
#include <unistd.h>

/* How many more allocations of this thread succeed; negative: all. */
static _Thread_local int budget = -1;

/* The same for all threads together, the bus's own included. */
static _Atomic int budget_of_all = -1;

static bool fails(void)
{
	if (atomic_load(&budget_of_all) >= 0)
		return atomic_fetch_sub(&budget_of_all, 1) == 0;
	return budget >= 0 && budget-- == 0;
}

/* The linker lets the library's calls come here: --wrap. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : __real_strndup(text, n);
}

/*
 * Run an operation with the nth allocation failing. Returns its result; *ret_failed tells whether there was an nth.
 */
static int run_without(int (*operation)(struct devices *d), struct devices *d, int n, bool *ret_failed)
{
	int r;

	budget = n;
	r = operation(d);
	*ret_failed = budget < 0;
	budget = -1;
	devices_wait(d);
	return r;
}

/*
 * For each n anew: prepare, run the operation, check. A seed that could not be made is no failure (S88); binding the region again makes
 * it.
 */
static unsigned fail_each(void **state, struct devices *(*prepare)(void), int (*operation)(struct devices *d),
			  void (*check)(struct devices *d, int r, bool failed))
{
	unsigned nfailed = 0;
	bool failed = true;

	for (int n = 0; failed; n++) {
		struct devices *d = prepare();
		int r = run_without(operation, d, n, &failed);

		assert_true(n < 500);
		nfailed += failed;
		check(d, r, failed);
		if (failed) {
			assert_unbind(d, 0, "nd_region", "region0");
			assert_bind(d, 0, "nd_region", "region0");
		}
		assert_sound(d);
		devices_teardown(state);
	}
	return nfailed;
}

static struct devices *with_namespace(void)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	return d;
}

/* ------------------------------------------------------------ stores ------------------------------------------------------- */

static int store_namespace(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "namespace0.0\n");
}

static void check_namespace_store(struct devices *d, int r, bool failed)
{
	assert_result(r, failed ? -ENOMEM : 0);
	assert_show(d, "btt0.0", "namespace", failed ? "\n" : "namespace0.0\n");
	assert_show(d, "namespace0.0", "holder", failed ? "\n" : "btt0.0\n");
	if (failed)
		assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
}

static void s30_no_memory_for_the_text(void **state)
{
	assert_true(fail_each(state, with_namespace, store_namespace, check_namespace_store) > 0);
}

static int store_uuid(struct devices *d)
{
	return store(d, "btt0.0", "uuid", uuid_text(5));
}

static void check_uuid_store(struct devices *d, int r, bool failed)
{
	char text[40];

	snprintf(text, sizeof(text), "%s\n", uuid_text(5));
	assert_result(r, failed ? -ENOMEM : 0);
	assert_show(d, "btt0.0", "uuid", failed ? "\n" : text);
}

static void btt_uuid_store(void **state)
{
	assert_true(fail_each(state, with_namespace, store_uuid, check_uuid_store) > 0);
}

static struct devices *with_uuid(void)
{
	struct devices *d = devices_new(INTERLEAVED);

	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	return d;
}

static int store_size(struct devices *d)
{
	return store(d, "namespace0.0", "size", "0x4000000");
}

static void check_size_store(struct devices *d, int r, bool failed)
{
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_number(d, "namespace0.0", "size", r == 0 ? 64 * MIB : 0);
	assert_number(d, "region0", "available_size", r == 0 ? 192 * MIB : 256 * MIB);
	assert_store(d, 0, "namespace0.0", "size", "0x4000000");
	devices_reopen(d);
	assert_number(d, "namespace0.0", "size", 64 * MIB);
}

static void size_store(void **state)
{
	assert_true(fail_each(state, with_uuid, store_size, check_size_store) > 3);
}

static int store_rename(struct devices *d)
{
	return store(d, "namespace0.0", "uuid", uuid_text(7));
}

static void check_rename(struct devices *d, int r, bool failed)
{
	char text[40];

	snprintf(text, sizeof(text), "%s\n", uuid_text(r == 0 ? 7 : 1));
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_show(d, "namespace0.0", "uuid", text);
	assert_number(d, "namespace0.0", "dpa_extents", 1);
	devices_reopen(d);
	assert_show(d, "namespace0.0", "uuid", text);
}

static void rename_store(void **state)
{
	assert_true(fail_each(state, with_namespace, store_rename, check_rename) > 0);
}

static int delete_namespace(struct devices *d)
{
	return store(d, "namespace0.0", "size", "0");
}

static void check_delete(struct devices *d, int r, bool failed)
{
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_number(d, "namespace0.0", "size", r == 0 ? 0 : 64 * MIB);
	devices_reopen(d);
	assert_number(d, "namespace0.0", "size", r == 0 ? 0 : 64 * MIB);
}

static void delete_store(void **state)
{
	assert_true(fail_each(state, with_namespace, delete_namespace, check_delete) > 0);
}

/* Every attribute that can be read. */
static void shows(void **state)
{
	static const char *const names[] = {"ndbus0", "nmem0", "region0", "namespace0.0", "btt0.0"};
	struct devices *d = with_namespace();
	char text[UNTORN_ATTR_SIZE];
	struct untorn_attr_info info;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct untorn_device *device = find(d, names[i]);
		unsigned index = 0;

		while (untorn_attr_next(device, &index, &info) == 0) {
			if (!(info.mode & 0444))
				continue;
			budget = 0;
			assert_result(untorn_attr_show(device, info.name, text, sizeof(text), &len), -ENOMEM);
			budget = -1;
		}
		untorn_device_put(device);
	}
}

/* ------------------------------------------------------------ probes ------------------------------------------------------- */

static int bind_namespace(struct devices *d)
{
	return untorn_driver_bind(d->bus, "nd_pmem", "namespace0.0");
}

static void check_bound_raw(struct devices *d, int r, bool failed)
{
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_driver(d, "namespace0.0", r == 0 ? "nd_pmem" : NULL);
	if (r < 0)
		assert_bind(d, 0, "nd_pmem", "namespace0.0");
	untorn_disk_close(disk_of(d, "namespace0.0"));
}

static void s74_no_memory_for_set_up(void **state)
{
	assert_true(fail_each(state, with_namespace, bind_namespace, check_bound_raw) > 0);
}

static struct devices *with_btt_on_media(void)
{
	struct devices *d = with_namespace();

	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "btt0.0", "namespace", "\n");
	devices_wait(d);
	return d;
}

/* Never half a btt; and what may be a BTT is not given out raw only because memory was short. */
static void check_media_probe(struct devices *d, int r, bool failed)
{
	assert_true(r == -ENXIO || (failed && (r == -ENOMEM || r == -ENODEV)));
	assert_driver(d, "namespace0.0", NULL);
	if (r == -ENXIO) {
		assert_show(d, "namespace0.0", "holder", "btt0.0\n");
		return;
	}
	assert_show(d, "namespace0.0", "holder", "\n");
	assert_gone(d, "btt0.0");
	assert_bind(d, -ENXIO, "nd_pmem", "namespace0.0");
	assert_driver(d, "btt0.0", "nd_pmem");
}

static void s49_no_memory_in_the_media_probe(void **state)
{
	assert_true(fail_each(state, with_btt_on_media, bind_namespace, check_media_probe) > 0);
}

static struct devices *with_btt(void)
{
	struct devices *d = with_namespace();

	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	return d;
}

static int bind_btt(struct devices *d)
{
	return untorn_driver_bind(d->bus, "nd_pmem", "btt0.0");
}

static void check_bound_btt(struct devices *d, int r, bool failed)
{
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_driver(d, "btt0.0", r == 0 ? "nd_pmem" : NULL);
	if (r < 0)
		assert_bind(d, 0, "nd_pmem", "btt0.0");
	untorn_disk_close(disk_of(d, "btt0.0"));
}

static struct devices *with_btt_bound_read_only(void)
{
	struct devices *d = with_btt();

	assert_bind(d, 0, "nd_pmem", "btt0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	assert_store(d, 0, "region0", "read_only", "1");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	return d;
}

static int make_region_writable(struct devices *d)
{
	struct untorn_device *region = find(d, "region0");
	int r = untorn_region_set_read_only(region, false);

	untorn_device_put(region);
	return r;
}

/* The disk writes, or reads on until the store is repeated. */
static void check_writable(struct devices *d, int r, bool failed)
{
	struct untorn_disk *disk = disk_of(d, "btt0.0");
	int written = untorn_disk_pwrite(disk, "x", 1, 0, 0);
	char byte;

	assert_result(r, 0);
	assert_true(written == 0 || (failed && written == -EROFS));
	assert_result(untorn_disk_pread(disk, &byte, 1, 0), 0);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_result(untorn_disk_pwrite(disk, "y", 1, 0, 0), 0);
	untorn_disk_close(disk);
}

static void no_memory_to_make_a_disk_writable(void **state)
{
	assert_true(fail_each(state, with_btt_bound_read_only, make_region_writable, check_writable) > 2);
}

static void s88_no_memory_for_a_seed(void **state)
{
	struct devices *d = NULL;
	unsigned without_seed = 0;
	bool failed = true;
	char seed[UNTORN_ATTR_SIZE + 1], text[300];

	for (int n = 0; failed; n++) {
		int r;

		d = with_btt();
		r = run_without(bind_btt, d, n, &failed);
		assert_int_equal(show(d, "region0", "btt_seed", seed), 0);
		if (r == 0 && strcmp(seed, "\n") == 0) {
			struct untorn_device *region = find(d, "region0");

			/* Nothing fails but provisioning; the region says so; binding it again brings it back. */
			without_seed++;
			assert_driver(d, "btt0.0", "nd_pmem");
			assert_result(untorn_device_problem(region, text, sizeof(text)), 0);
			untorn_device_put(region);
			assert_unbind(d, 0, "nd_region", "region0");
			assert_bind(d, 0, "nd_region", "region0");
			assert_sound(d);
		} else if (r == 0) {
			/* The namespace seed alone may be missing. */
			assert_string_equal(seed, "btt0.1\n");
		} else {
			check_bound_btt(d, r, failed);
		}
		devices_teardown(state);
	}
	assert_true(without_seed > 0);
}

static struct devices *with_unbound_region(void)
{
	struct devices *d = with_btt_on_media();

	assert_unbind(d, 0, "nd_region", "region0");
	return d;
}

static int bind_region(struct devices *d)
{
	return untorn_driver_bind(d->bus, "nd_region", "region0");
}

static void check_region(struct devices *d, int r, bool failed)
{
	assert_true(r == 0 || (failed && (r == -ENOMEM || r == -ENODEV || r == -ENXIO)));
	if (r == 0)
		assert_unbind(d, 0, "nd_region", "region0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_number(d, "namespace0.0", "size", 64 * MIB);
}

static void region_probe(void **state)
{
	bool failed = true;

	/* Not fail_each(): a region that came up without a seed is not sound until it is bound again. */
	for (int n = 0; failed; n++) {
		struct devices *d = with_unbound_region();
		int r = run_without(bind_region, d, n, &failed);

		check_region(d, r, failed);
		assert_sound(d);
		devices_teardown(state);
	}
}

/* ------------------------------------------------------------ opening ------------------------------------------------------ */

static void opening(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	bool failed = true;
	int r;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	devices_close(d);
	for (int n = 0; failed; n++) {
		assert_true(n < 2000);
		devices_describe_platform(d);
		budget = n;
		r = untorn_bus_open(d->platform, 0, &d->bus);
		failed = budget < 0;
		budget = -1;
		assert_true(r == 0 || (failed && r == -ENOMEM));
		if (r < 0)
			assert_null(d->bus);
		devices_close(d);
	}
	devices_open(d);
	assert_sound(d);
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
}

/* A file that opening made is there exactly when the bus is. */
static void opening_makes_files(void **state)
{
	struct devices *d = devices_new_closed(LABELLED);
	bool failed = true;
	int r;

	(void)state;
	for (int n = 0; failed; n++) {
		assert_true(n < 2000);
		unlink(devices_file(d, 0));
		devices_describe_platform(d);
		budget = n;
		r = untorn_bus_open(d->platform, UNTORN_BUS_CREATE, &d->bus);
		failed = budget < 0;
		budget = -1;
		assert_int_equal(access(devices_file(d, 0), F_OK), r == 0 ? 0 : -1);
		devices_close(d);
	}
	assert_int_equal(r, 0);
}

/* Devices that come up behind one's back may not: the rest does, and nothing is lost. */
static void opening_behind_ones_back(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	bool failed = true;
	int r;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	devices_close(d);
	for (int n = 0; failed; n++) {
		assert_true(n < 2000);
		devices_describe_platform(d);
		atomic_store(&budget_of_all, n);
		r = untorn_bus_open(d->platform, 0, &d->bus);
		if (r == 0)
			devices_wait(d);
		failed = atomic_exchange(&budget_of_all, -1) < 0;
		assert_true(r == 0 || (failed && r == -ENOMEM));
		devices_close(d);
		devices_open(d);
		assert_sound(d);
		assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
		devices_close(d);
	}
	devices_open(d);
}

/* ------------------------------------------------------------ a whole session ---------------------------------------------- */

/* Whether what was wanted came of it. Afterwards everything is as if it had not been tried, or done. */
static int make_namespace(struct untorn_bus *bus)
{
	struct untorn_device *ns;
	uint8_t uuid[16];
	int r = untorn_bus_find(bus, "namespace0.0", &ns);

	uuid_bytes(1, uuid);
	if (r < 0)
		return r;
	r = untorn_namespace_set_uuid(ns, uuid);
	if (r == 0)
		r = untorn_namespace_set_size(ns, 32 * MIB);
	if (r == 0)
		r = untorn_attr_store(ns, "alt_name", "short of memory", 15);
	untorn_device_put(ns);
	return r;
}

static int make_volume(struct untorn_bus *bus)
{
	static const uint8_t sector[4096] = {1, 2, 3};
	struct untorn_device *region, *btt;
	struct untorn_disk *disk;
	uint8_t uuid[16];
	int r = untorn_bus_find(bus, "region0", &region);

	uuid_bytes(2, uuid);
	if (r < 0)
		return r;
	r = untorn_region_btt_seed(region, &btt);
	untorn_device_put(region);
	if (r < 0)
		return r;
	r = untorn_btt_device_set_uuid(btt, uuid);
	if (r == 0)
		r = untorn_btt_device_set_sector_size(btt, 4096);
	if (r == 0)
		r = untorn_btt_device_set_namespace(btt, "namespace0.0");
	if (r == 0)
		r = untorn_device_enable(btt);
	if (r == 0)
		r = untorn_disk_open(btt, &disk);
	if (r == 0) {
		r = untorn_disk_pwrite(disk, sector, sizeof(sector), 4096, UNTORN_BTT_DURABLE);
		untorn_disk_close(disk);
	}
	untorn_device_put(btt);
	return r;
}

static int rebind_region(struct untorn_bus *bus)
{
	struct untorn_device *region;
	int r = untorn_bus_find(bus, "region0", &region);

	if (r < 0)
		return r;
	r = untorn_device_disable(region);
	if (r == 0)
		r = untorn_device_enable(region);
	untorn_bus_wait_probe(bus);
	untorn_device_put(region);
	return r;
}

static int describe(struct devices *d)
{
	char text[2 * PATH_MAX];
	int r = untorn_platform_new(&d->platform);

	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%s/platform.json", d->dir);
	return untorn_platform_load(d->platform, text);
}

/* Open, create, bind, write, unbind, bind, close. */
static int session(struct devices *d)
{
	int r = describe(d), closed;

	if (r == 0)
		r = untorn_bus_open(d->platform, 0, &d->bus);
	if (r == 0)
		r = make_namespace(d->bus);
	if (r == 0)
		r = make_volume(d->bus);
	if (r == 0)
		r = rebind_region(d->bus);
	if (r == -ENOMEM && !d->bus && d->platform && !untorn_platform_error(d->platform)[0])
		fail_msg("opening failed without a sentence");
	closed = untorn_bus_close(d->bus);
	untorn_platform_free(d->platform);
	d->bus = NULL;
	d->platform = NULL;
	return r < 0 ? r : closed;
}

/* A device that is not there for want of memory is missed by who looks for it. */
static bool is_for_want_of_memory(int r)
{
	return r == -ENOMEM || r == -ENODEV || r == -ENXIO || r == -ENOENT || r == -EAGAIN;
}

/* What a session that was cut short has left is what some step made: the next one goes on with it. */
static void whole_session(void **state)
{
	unsigned nfailed = 0;
	bool failed = true;

	for (int n = 0; failed; n++) {
		struct devices *d = devices_new_closed(INTERLEAVED);
		int r;

		assert_true(n < 2000);
		atomic_store(&budget_of_all, n);
		r = session(d);
		failed = atomic_exchange(&budget_of_all, -1) < 0;
		if (r != 0 && (!failed || !is_for_want_of_memory(r)))
			fail_msg("without allocation %d: %s", n, errno_name(r));
		nfailed += r != 0;
		devices_open(d);
		assert_sound(d);
		if (r == 0)
			assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
		devices_teardown(state);
	}
	assert_in_range(nfailed, 40, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s30_no_memory_for_the_text),
		device_test(btt_uuid_store),
		device_test(size_store),
		device_test(rename_store),
		device_test(delete_store),
		device_test(shows),
		device_test(s49_no_memory_in_the_media_probe),
		device_test(s74_no_memory_for_set_up),
		device_test(s88_no_memory_for_a_seed),
		device_test(no_memory_to_make_a_disk_writable),
		device_test(region_probe),
		device_test(opening),
		device_test(opening_makes_files),
		device_test(whole_session),
		device_test(opening_behind_ones_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
