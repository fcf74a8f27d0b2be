/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus: registration and unregistration behind one's back, drivers by name, iteration, what survives closing, what of it comes
 * up when a part is damaged. S51 to S53, S91.
 */
#include "devices.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/device.h"
#include "ram.h"

static struct devices *with_namespace(void)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	return d;
}

/* ------------------------------------------------------- register, unregister ---------------------------------------------- */

static void s51_attached_before_it_is_seen(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	/* A btt that the media probe makes appears with its namespace attached, so its own probe finds it. */
	assert_unbind(d, 0, "nd_region", "region0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, devices_holder(d, "namespace0.0"), "namespace", "namespace0.0\n");
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
}

static void s52_registration_is_queued(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	/* Many at once; after wait_probe all are there and probed. */
	for (unsigned i = 0; i < 8; i++) {
		assert_result(untorn_driver_bind(d->bus, "nd_pmem", "namespace0.0"), 0);
		assert_result(untorn_driver_unbind(d->bus, "nd_pmem", "namespace0.0"), 0);
		assert_result(untorn_driver_unbind(d->bus, "nd_region", "region0"), 0);
		assert_result(untorn_driver_bind(d->bus, "nd_region", "region0"), 0);
		assert_result(untorn_bus_wait_probe(d->bus), 0);
		assert_driver(d, "namespace0.0", "nd_pmem");
		assert_exists(d, "namespace0.1");
		assert_exists(d, "btt0.0");
		assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	}
	assert_show(d, "ndbus0", "wait_probe", "1\n");
}

/* A program that waits for a signal in one of its threads blocks it in all; the bus thread must not take it. */
static void signals_are_not_for_the_bus_thread(void **state)
{
	const struct timespec at_once = {0};
	struct devices *d = with_namespace();
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
	assert_int_equal(kill(getpid(), SIGUSR2), 0);
	assert_show(d, "ndbus0", "wait_probe", "1\n");
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

static void s53_unregistration_from_a_store_is_queued(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *ns;

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	/* The store that runs inside the device that dies returns its success, and the device stays usable memory. */
	ns = find(d, "namespace0.1");
	assert_result(untorn_attr_store(ns, "size", "0\n", 2), 0);
	assert_result(untorn_bus_wait_probe(d->bus), 0);
	assert_gone(d, "namespace0.1");
	assert_string_equal(untorn_device_name(ns), "namespace0.1");
	assert_result(untorn_namespace_set_size(ns, 16 * MIB), -ENODEV);
	assert_result(untorn_device_enable(ns), -ENODEV);
	untorn_device_put(ns);
}

/* Keeps the queue of the bus busy until it may go on, so that what is stored meanwhile stays queued. */
struct blocker {
	struct async_item item; /* first: run_blocker() gets it */
	sem_t begun, go;
};

static void run_blocker(struct async_item *item)
{
	struct blocker *blocker = (struct blocker *)item;

	sem_post(&blocker->begun);
	sem_wait(&blocker->go);
}

static void block_queue(struct devices *d, struct blocker *blocker)
{
	sem_init(&blocker->begun, 0, 0);
	sem_init(&blocker->go, 0, 0);
	async_queue(&d->bus->async, &blocker->item, run_blocker);
	sem_wait(&blocker->begun);
}

static void unblock_queue(struct devices *d, struct blocker *blocker)
{
	sem_post(&blocker->go);
	devices_wait(d);
	sem_destroy(&blocker->begun);
	sem_destroy(&blocker->go);
}

/* D26: of several stores that all say so, one destroys. */
static void destroy_queued_twice_happens_once(void **state)
{
	struct devices *d = with_namespace();
	struct blocker blocker = {0};

	(void)state;
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	block_queue(d, &blocker);
	for (unsigned i = 0; i < 3; i++)
		assert_store(d, 0, "btt0.0", "namespace", "\n");
	assert_exists(d, "btt0.0");
	unblock_queue(d, &blocker);
	assert_gone(d, "btt0.0");
	/* The number is given back once: the seed btt0.1 makes place for btt0.0, and the next one is btt0.2. */
	make_btt(d, "btt0.1", 3, 4096, "namespace0.0");
	assert_show(d, "region0", "btt_seed", "btt0.0\n");
	configure_namespace(d, "namespace0.1", 4, 32 * MIB);
	make_btt(d, "btt0.0", 5, 4096, "namespace0.1");
	assert_show(d, "region0", "btt_seed", "btt0.2\n");
	assert_sound(d);
}

/* The same for a namespace: after the first store it has no uuid any more, and takes nothing. */
static void namespace_is_destroyed_once(void **state)
{
	struct devices *d = with_namespace();
	struct blocker blocker = {0};

	(void)state;
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 4, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	block_queue(d, &blocker);
	assert_store(d, 0, "namespace0.1", "size", "0");
	for (unsigned i = 0; i < 2; i++) {
		int r = store(d, "namespace0.1", "size", "0");

		assert_true(r == -ENXIO || r == -ENODEV);
	}
	assert_int_equal(store(d, "btt0.0", "namespace", "namespace0.1"), -ENODEV);
	unblock_queue(d, &blocker);
	assert_gone(d, "namespace0.1");
	assert_sound(d);
	configure_namespace(d, "namespace0.2", 4, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.2");
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
}

/* A device that was queued to appear and is unregistered before it did: it never shows up. */
static void unregistered_before_it_appeared(void **state)
{
	struct devices *d = with_namespace();
	struct blocker blocker = {0};

	(void)state;
	block_queue(d, &blocker);
	/* Binding plants a new seed, which cannot appear yet. */
	assert_result(untorn_driver_bind(d->bus, "nd_pmem", "namespace0.0"), 0);
	assert_show(d, "region0", "namespace_seed", "namespace0.1\n");
	assert_gone(d, "namespace0.1");
	sem_post(&blocker.go);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_gone(d, "namespace0.1");
	assert_gone(d, "namespace0.0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_exists(d, "namespace0.1");
	assert_sound(d);
	sem_destroy(&blocker.begun);
	sem_destroy(&blocker.go);
}

/* --------------------------------------------------------- C interfaces ---------------------------------------------------- */

static void s91_interfaces(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *region = find(d, "region0"), *btt, *ns;
	struct untorn_namespace_info info;
	char bytes[16] = "sixteen bytes..", back[16];

	(void)state;
	/* Test and convert: the type of a device. */
	assert_result(untorn_region_btt_seed(region, &btt), 0);
	assert_int_equal(untorn_device_type(btt), UNTORN_DEVICE_BTT);
	assert_result(untorn_region_namespace_seed(region, &ns), 0);
	assert_int_equal(untorn_device_type(ns), UNTORN_DEVICE_NAMESPACE);
	assert_result(untorn_namespace_set_size(btt, 0), -EINVAL);
	assert_result(untorn_btt_device_set_namespace(ns, NULL), -EINVAL);
	assert_result(untorn_dimm_label_zero(region, 0, 1), -EINVAL);
	assert_result(untorn_region_set_align(ns, 4096), -EINVAL);
	/* Capacity, byte access, attach. */
	assert_result(untorn_namespace_get_info(ns, &info), 0);
	assert_int_equal(info.size, 64 * MIB);
	assert_result(untorn_namespace_rw_bytes(ns, 512, bytes, sizeof(bytes), true), 0);
	assert_result(untorn_namespace_rw_bytes(ns, 512, back, sizeof(back), false), 0);
	assert_memory_equal(bytes, back, sizeof(back));
	assert_result(untorn_btt_device_set_namespace(btt, "namespace0.0"), 0);
	assert_result(untorn_btt_device_set_namespace(btt, ""), 0);
	assert_result(untorn_btt_device_set_namespace(btt, NULL), 0);
	/* A medium of the whole namespace. */
	{
		struct untorn_media *media;

		assert_result(untorn_namespace_media(ns, &media), 0);
		assert_int_equal(untorn_media_size(media), 64 * MIB);
		assert_result(untorn_media_read(media, 512, back, sizeof(back)), 0);
		assert_memory_equal(bytes, back, sizeof(back));
		untorn_media_close(media);
	}
	untorn_device_put(ns);
	untorn_device_put(btt);
	untorn_device_put(region);
}

static void names_and_iteration(void **state)
{
	static const char *const dimms[] = {"nmem0", "nmem1", "nmem2"}, *const regions[] = {"region0", "region1",
											    "region2"};
	struct devices *d = devices_new(THREE);
	struct untorn_device *bus, *child = NULL, *other;
	unsigned n;

	(void)state;
	assert_result(untorn_bus_device(d->bus, &bus), 0);
	assert_string_equal(untorn_device_name(bus), "ndbus0");
	assert_string_equal(untorn_device_devtype(bus), "");
	assert_result(untorn_device_parent(bus, &other), -ENOENT);
	assert_ptr_equal(untorn_device_bus(bus), d->bus);
	for (n = 0; untorn_device_next(bus, UNTORN_DEVICE_DIMM, &child) == 0; n++)
		assert_string_equal(untorn_device_name(child), dimms[n]);
	assert_int_equal(n, 3);
	assert_null(child);
	for (n = 0; untorn_device_next(bus, UNTORN_DEVICE_REGION, &child) == 0; n++) {
		assert_string_equal(untorn_device_name(child), regions[n]);
		assert_int_equal(untorn_device_id(child), n);
	}
	assert_int_equal(n, 3);
	assert_result(untorn_device_next(bus, UNTORN_DEVICE_NAMESPACE, &child), -ENOENT);
	untorn_device_put(bus);
	assert_gone(d, "nmem3");
	assert_gone(d, "");
	assert_gone(d, "namespace0");
	assert_gone(d, "namespace0.00");
	assert_exists(d, "namespace2.0");
	assert_exists(d, "ndbus0");
}

/* ------------------------------------------------------------ drivers ------------------------------------------------------ */

static void drivers_by_name(void **state)
{
	struct devices *d = with_namespace();
	char list[200] = "";

	(void)state;
	for (unsigned i = 0; untorn_driver_name(i); i++)
		strcat(strcat(list, untorn_driver_name(i)), " ");
	assert_non_null(strstr(list, "nvdimm "));
	assert_non_null(strstr(list, "nd_region "));
	assert_non_null(strstr(list, "nd_pmem "));
	assert_non_null(strstr(list, "nd_blk "));
	assert_non_null(strstr(list, "nd_bus "));
	assert_null(strstr(list, "nd_btt"));
	assert_driver(d, "ndbus0", "nd_bus");
	assert_driver(d, "nmem0", "nvdimm");
	assert_driver(d, "region0", "nd_region");
}

static void bind_and_unbind_errnos(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_bind(d, -ENODEV, "nd_pmem", "namespace7.0");
	assert_bind(d, -ENODEV, "nd_pmem", "");
	assert_bind(d, -ENODEV, "nd_pmem", " namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "namespace0.0\n\n");
	assert_bind(d, -ENODEV, "nd_nothing", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_bind(d, -ENODEV, "nvdimm", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_region", "namespace0.0");
	assert_bind(d, -ENODEV, "nd_pmem", "nmem0");
	assert_bind(d, -ENODEV, "nd_pmem", "region0");
	assert_bind(d, -ENODEV, "nd_bus", "ndbus0");
	assert_unbind(d, -ENODEV, "nd_pmem", "namespace0.0");
	/* One trailing newline is ignored. */
	assert_bind(d, 0, "nd_pmem", "namespace0.0\n");
	assert_bind(d, -EBUSY, "nd_pmem", "namespace0.0");
	assert_bind(d, -EBUSY, "nvdimm", "nmem0");
	assert_bind(d, -EBUSY, "nd_region", "region0");
	assert_unbind(d, -ENODEV, "nd_blk", "namespace0.0");
	assert_unbind(d, -ENODEV, "nd_region", "namespace0.0");
	assert_unbind(d, -ENODEV, "nd_nothing", "namespace0.0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.0\n");
	assert_unbind(d, -ENODEV, "nd_pmem", "namespace0.0");
}

static void drivers_probe(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_result(untorn_bus_drivers_probe(d->bus, "nothing0"), -ENODEV);
	/* Nobody takes it: success all the same. */
	assert_result(untorn_bus_drivers_probe(d->bus, "btt0.0"), 0);
	assert_driver(d, "btt0.0", NULL);
	assert_result(untorn_bus_drivers_probe(d->bus, "namespace0.0\n"), 0);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_result(untorn_bus_drivers_probe(d->bus, "namespace0.0"), 0);
	assert_driver(d, "namespace0.0", "nd_pmem");
}

static void autoprobe(void **state)
{
	struct devices *d = with_namespace();

	(void)state;
	assert_int_equal(untorn_bus_get_autoprobe(d->bus), 1);
	untorn_bus_set_autoprobe(d->bus, false);
	assert_int_equal(untorn_bus_get_autoprobe(d->bus), 0);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_driver(d, "namespace0.0", NULL);
	untorn_bus_set_autoprobe(d->bus, true);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_driver(d, "namespace0.0", "nd_pmem");
	/* Storing attributes never probes. */
	assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	assert_store(d, 0, "namespace0.0", "alt_name", "x");
	devices_wait(d);
	assert_driver(d, "namespace0.0", NULL);
}

static void enable_and_disable(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *ns = find(d, "namespace0.0"), *region = find(d, "region0");

	(void)state;
	assert_result(untorn_device_disable(ns), 0);
	assert_result(untorn_device_enable(ns), 0);
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_result(untorn_device_enable(ns), -EBUSY);
	assert_result(untorn_device_disable(ns), 0);
	assert_driver(d, "namespace0.0", NULL);
	untorn_device_put(ns);
	assert_result(untorn_device_disable(region), 0);
	devices_wait(d);
	assert_gone(d, "namespace0.0");
	assert_result(untorn_device_enable(region), 0);
	devices_wait(d);
	assert_driver(d, "namespace0.0", "nd_pmem");
	untorn_device_put(region);
}

/* ------------------------------------------------------ opening and closing ------------------------------------------------ */

static void a_file_has_one_bus(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_platform *platform;
	struct untorn_bus *bus;
	char text[PATH_MAX + 64];

	(void)state;
	assert_result(untorn_platform_new(&platform), 0);
	snprintf(text, sizeof(text), "mem-path=%s,label-size=128K", devices_file(d, 0));
	assert_result(untorn_platform_add_nvdimm(platform, text), 0);
	assert_result(untorn_bus_open(platform, 0, &bus), -EBUSY);
	assert_non_null(strstr(untorn_platform_error(platform), devices_file(d, 0)));
	devices_close(d);
	/* Readers share. */
	assert_result(untorn_bus_open(platform, UNTORN_BUS_READ_ONLY, &bus), 0);
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	assert_show(d, "region0", "read_only", "1\n");
	assert_store(d, 0, "namespace0.0", "uuid", uuid_text(1));
	assert_store(d, -EROFS, "namespace0.0", "size", "0x2000000");
	assert_result(untorn_bus_close(bus), 0);
	untorn_platform_free(platform);
}

static void missing_files(void **state)
{
	struct devices *d = devices_new_closed(LABELLED);
	struct untorn_platform *platform;
	struct untorn_bus *bus = NULL;
	char text[PATH_MAX + 64];
	struct stat st;

	(void)state;
	assert_result(untorn_platform_new(&platform), 0);
	snprintf(text, sizeof(text), "mem-path=%s/new,size=64M,label-size=128K", d->dir);
	assert_result(untorn_platform_add_nvdimm(platform, text), 0);
	assert_result(untorn_bus_open(platform, 0, &bus), -ENOENT);
	assert_null(bus);
	assert_non_null(strstr(untorn_platform_error(platform), "/new"));
	assert_result(untorn_bus_open(platform, UNTORN_BUS_CREATE, &bus), 0);
	assert_result(untorn_bus_close(bus), 0);
	untorn_platform_free(platform);
	snprintf(text, sizeof(text), "%s/new", d->dir);
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_size, 64 * MIB);
	assert_true((uint64_t)st.st_blocks * 512 < MIB);
	assert_result(untorn_platform_new(&platform), 0);
	assert_string_equal(untorn_platform_error(platform), "");
	assert_result(untorn_platform_add_nvdimm(platform, "size=64M"), -EINVAL);
	assert_true(strlen(untorn_platform_error(platform)) > 0);
	assert_result(untorn_platform_add_nvdimm(platform, "mem-path=x,colour=red"), -EINVAL);
	assert_non_null(strstr(untorn_platform_error(platform), "colour"));
	untorn_platform_free(platform);
}

/* Numbers are given by place, so they may change when the region is bound again. */
static const char *namespace_of_uuid(struct devices *d, unsigned uuid)
{
	static char name[32];
	char text[UNTORN_ATTR_SIZE + 1];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "namespace0.%u", i);
		if (show(d, name, "uuid", text) == 0 && strncmp(text, uuid_text(uuid), 36) == 0)
			return name;
	}
	fail_msg("no namespace has %s", uuid_text(uuid));
	return NULL;
}

/* All that labels and info blocks say is there again; settings of the session are not. */
static void close_and_reopen(void **state)
{
	static const enum devices_platform kinds[] = {LABELLED, LABELLED_V1_1, INTERLEAVED, INTERLEAVED_V1_1, BLK};
	uint8_t *buf = malloc(MIB);
	struct untorn_disk *disk;
	char *before, *after;
	const char *ns;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct devices *d = devices_new(kinds[i]);

		configure_namespace(d, "namespace0.0", 1, 64 * MIB);
		assert_store(d, 0, "namespace0.0", "alt_name", "alpha");
		assert_bind(d, 0, ns_driver(d), "namespace0.0");
		configure_namespace(d, "namespace0.1", 2, 32 * MIB);
		assert_store(d, 0, "namespace0.1", "alt_name", "beta");
		make_btt(d, "btt0.0", 3, 512, "namespace0.1");
		configure_namespace(d, "namespace0.2", 4, 48 * MIB);
		assert_store(d, 0, "namespace0.2", "sector_size", "4096");
		assert_store(d, 0, "namespace0.2", "holder_class", "btt");
		make_btt(d, "btt0.1", 5, 4160, "namespace0.2");
		for (unsigned n = 0; n < 3; n++) {
			disk = disk_of(d, n == 0 ? "namespace0.0" : n == 1 ? "btt0.0" : "btt0.1");
			pattern(buf, MIB, n);
			assert_result(untorn_disk_pwrite(disk, buf, MIB, 12345 * n, 0), 0);
			untorn_disk_close(disk);
		}
		/* Names of btts are given in the order in which they were found: from here on, they stay. */
		devices_reopen(d);
		before = devices_describe(d);
		devices_reopen(d);
		after = devices_describe(d);
		assert_string_equal(before, after);
		free(before);
		free(after);
		for (unsigned n = 0; n < 3; n++) {
			ns = namespace_of_uuid(d, n == 0 ? 1 : n == 1 ? 2 : 4);
			disk = disk_of(d, n == 0 ? ns : devices_holder(d, ns));
			assert_result(untorn_disk_pread(disk, buf, MIB, 12345 * n), 0);
			assert_true(is_pattern(buf, MIB, n));
			untorn_disk_close(disk);
		}
		assert_show(d, namespace_of_uuid(d, 1), "alt_name", "alpha\n");
		assert_show(d, namespace_of_uuid(d, 2), "alt_name", "beta\n");
		/* Labels of v1.1 have no place for it. */
		if (kinds[i] != LABELLED_V1_1 && kinds[i] != INTERLEAVED_V1_1)
			assert_show(d, namespace_of_uuid(d, 4), "holder_class", "btt\n");
		assert_sound(d);
		devices_teardown(state);
	}
	free(buf);
}

/* Read-only, not a byte changes, whatever is stored and bound; what is there can be read. */
static void read_only_bus(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	uint64_t size = devices_pmem_size(INTERLEAVED) + LABEL_AREA;
	uint8_t *before = malloc(size), *after = malloc(size), buf[4096];
	struct untorn_disk *disk;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	pattern(buf, sizeof(buf), 1);
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), 0);
	untorn_disk_close(disk);
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
	devices_close(d);
	devices_peek(d, 0, 0, before, size);
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	assert_driver(d, devices_holder(d, "namespace0.0"), "nd_pmem");
	disk = disk_of(d, devices_holder(d, "namespace0.0"));
	assert_result(untorn_disk_pread(disk, buf, sizeof(buf), 0), 0);
	assert_true(is_pattern(buf, sizeof(buf), 1));
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), -EROFS);
	untorn_disk_close(disk);
	/* Nor by storing that the region may be written. */
	assert_store(d, -EROFS, "region0", "read_only", "0");
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	assert_store(d, -EROFS, "namespace0.1", "alt_name", "x");
	assert_store(d, -EROFS, "namespace0.1", "size", "0");
	assert_store(d, -EROFS, "namespace0.1", "uuid", uuid_text(9));
	assert_number(d, "namespace0.1", "size", 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	disk = disk_of(d, "namespace0.1");
	assert_result(untorn_disk_pwrite(disk, buf, sizeof(buf), 0, 0), -EROFS);
	untorn_disk_close(disk);
	devices_close(d);
	devices_peek(d, 0, 0, after, size);
	assert_memory_equal(before, after, size);
	d->flags = 0;
	devices_open(d);
	free(before);
	free(after);
}

/* Dimms in memory that the caller owns: all the same. */
static void media_of_the_caller(void **state)
{
	uint64_t size = 64 * MIB + LABEL_AREA;
	struct untorn_platform *platform;
	struct ram ram = ram_new(size);
	struct devices d = {0};
	struct untorn_device *dimm;

	(void)state;
	assert_result(untorn_platform_new(&platform), 0);
	assert_result(untorn_platform_add_media(platform, ram.media, LABEL_AREA), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_result(untorn_bus_open(platform, 0, &d.bus), 0);
		if (i == 0) {
			assert_unbind(&d, 0, "nd_region", "region0");
			dimm = find(&d, "nmem0");
			assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, 0), 0);
			untorn_device_put(dimm);
			assert_unbind(&d, 0, "nvdimm", "nmem0");
			assert_bind(&d, 0, "nvdimm", "nmem0");
			assert_bind(&d, 0, "nd_region", "region0");
			configure_namespace(&d, "namespace0.0", 1, 32 * MIB);
			make_btt(&d, "btt0.0", 2, 4096, "namespace0.0");
		}
		assert_sound(&d);
		assert_number(&d, "namespace0.0", "size", 32 * MIB);
		untorn_disk_close(disk_of(&d, devices_holder(&d, "namespace0.0")));
		assert_result(untorn_bus_close(d.bus), 0);
	}
	untorn_platform_free(platform);
	ram_free(&ram);
}

/* References may outlive the bus. */
static void references_after_close(void **state)
{
	struct devices *d = with_namespace();
	struct untorn_device *ns = find(d, "namespace0.0"), *again = untorn_device_get(ns),
			     *region = find(d, "region0");
	struct untorn_attr_info attr;
	struct untorn_region_info info;
	unsigned index = 0;

	(void)state;
	assert_ptr_equal(ns, again);
	devices_close(d);
	assert_string_equal(untorn_device_name(ns), "namespace0.0");
	assert_result(untorn_attr_info(region, "target_node", &attr), -ENODEV);
	assert_result(untorn_attr_next(region, &index, &attr), -ENODEV);
	assert_result(untorn_region_get_info(region, &info), -ENODEV);
	assert_result(untorn_region_set_read_only(region, true), -ENODEV);
	assert_result(untorn_region_set_align(region, 4096), -ENODEV);
	untorn_device_put(region);
	untorn_device_put(ns);
	untorn_device_put(again);
	untorn_device_put(NULL);
	devices_open(d);
}

/* ------------------------------------------------------- damaged label areas ----------------------------------------------- */

/* Two labels of nmem1 claim the same DPA: the dimm is refused; the others come up. */
static void one_damaged_area_of_three(void **state)
{
	struct devices *d = devices_new(THREE);
	struct untorn_device *dimm;
	uint32_t slot;
	char text[400];

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	configure_namespace(d, "namespace1.0", 2, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace1.0");
	configure_namespace(d, "namespace1.1", 3, 32 * MIB);
	configure_namespace(d, "namespace2.0", 4, 32 * MIB);
	slot = devices_slot(d, 1, 3);
	devices_close(d);
	devices_poke_label(d, 1, slot, 104, "\0\0\0\0\0\0\0", 8);
	devices_open(d);
	assert_driver(d, "nmem1", NULL);
	dimm = find(d, "nmem1");
	assert_result(untorn_device_problem(dimm, text, sizeof(text)), 0);
	assert_true(strlen(text) > 10);
	untorn_device_put(dimm);
	assert_gone(d, "namespace1.1");
	assert_driver(d, "nmem0", "nvdimm");
	assert_driver(d, "nmem2", "nvdimm");
	assert_driver(d, "region0", "nd_region");
	assert_driver(d, "region2", "nd_region");
	assert_driver(d, "namespace0.0", "nd_pmem");
	assert_driver(d, "namespace2.0", "nd_pmem");
	assert_number(d, "namespace2.0", "size", 32 * MIB);
	/* Mended, there is nothing to say any more. */
	dimm = find(d, "nmem1");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, UNTORN_LABEL_FORCE), 0);
	assert_bind(d, 0, "nvdimm", "nmem1");
	assert_bind(d, 0, "nd_region", "region1");
	assert_result(untorn_device_problem(dimm, text, sizeof(text)), -ENOENT);
	untorn_device_put(dimm);
	assert_sound(d);
}

/* Every single byte of the index blocks and the first labels, one at a time: whatever comes up, the rest of the bus does. */
static void every_byte_of_an_area(void **state)
{
	struct devices *d = devices_new(THREE);
	uint64_t labels = 128 * MIB;
	uint8_t saved, byte;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	configure_namespace(d, "namespace1.0", 2, 32 * MIB);
	configure_namespace(d, "namespace2.0", 4, 32 * MIB);
	devices_close(d);
	for (uint64_t off = 0; off < 1024; off += off % 256 < 80 || off >= 1000 ? 1 : 12) {
		devices_peek(d, 1, labels + off, &saved, 1);
		byte = (uint8_t)~saved;
		devices_poke(d, 1, labels + off, &byte, 1);
		devices_open(d);
		assert_driver(d, "namespace0.0", "nd_pmem");
		assert_driver(d, "namespace2.0", "nd_pmem");
		assert_driver(d, "nmem1", "nvdimm");
		assert_driver(d, "region1", "nd_region");
		devices_close(d);
		devices_poke(d, 1, labels + off, &saved, 1);
	}
	devices_open(d);
	assert_number(d, "namespace1.0", "size", 32 * MIB);
}

/* One dimm of an interleave set lost its area: the region is refused, with a reason. */
static void half_of_a_set(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	static const uint8_t zeros[512];
	struct untorn_device *region;
	char text[400];

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	devices_close(d);
	devices_poke(d, 1, 128 * MIB, zeros, sizeof(zeros));
	devices_open(d);
	assert_driver(d, "nmem0", "nvdimm");
	assert_driver(d, "nmem1", "nvdimm");
	assert_gone(d, "namespace0.0");
	region = find(d, "region0");
	assert_driver(d, "region0", NULL);
	assert_result(untorn_device_problem(region, text, sizeof(text)), 0);
	assert_true(strlen(text) > 10);
	untorn_device_put(region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s51_attached_before_it_is_seen),
		device_test(s52_registration_is_queued),
		device_test(signals_are_not_for_the_bus_thread),
		device_test(s53_unregistration_from_a_store_is_queued),
		device_test(destroy_queued_twice_happens_once),
		device_test(namespace_is_destroyed_once),
		device_test(unregistered_before_it_appeared),
		device_test(s91_interfaces),
		device_test(names_and_iteration),
		device_test(drivers_by_name),
		device_test(bind_and_unbind_errnos),
		device_test(drivers_probe),
		device_test(autoprobe),
		device_test(enable_and_disable),
		device_test(a_file_has_one_bus),
		device_test(missing_files),
		device_test(close_and_reopen),
		device_test(read_only_bus),
		device_test(media_of_the_caller),
		device_test(references_after_close),
		device_test(one_damaged_area_of_three),
		device_test(every_byte_of_an_area),
		device_test(half_of_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
