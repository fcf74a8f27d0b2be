/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that store, bind, unbind, attach, destroy, show, walk and do I/O at random, on few devices so that they meet. Afterwards the
 * tree is sound, and closing and opening the bus gives the namespaces that were there. Made for ThreadSanitizer as much as for
 * itself. S19, S28 and S66, which are about who waits for whom, are here too.
 *
 * UNTORN_SEED repeats the decisions of a run, UNTORN_LONG makes it longer.
 */
#include "devices.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "device/device.h"
#include "ram.h"

#define COUNT(array) ARRAY_SIZE(array)
#define THREADS      4u
#define OPERATIONS   8000u /* of each thread and seed */
#define NAMES        3u    /* namespaces and btts of the region that are tried */

struct shared {
	struct devices *d;
	_Atomic unsigned faults;           /* cmocka's asserts are for the main thread */
	_Atomic unsigned done[32], errors; /* operations by kind that succeeded; those that did not */
};

struct thread {
	pthread_t id;
	struct shared *shared;
	unsigned number, operations;
	uint64_t random;
};

static uint64_t below(struct thread *t, uint64_t n)
{
	return random_below(&t->random, n);
}

/* Only what the model may say: nothing is broken, and memory is there. */
static void expect(struct thread *t, const char *what, int r)
{
	static const int allowed[] = {0,       -EBUSY,  -ENXIO, -ENODEV, -EINVAL, -ENOSPC,
				      -ENOENT, -EFAULT, -EROFS, -ERANGE, -ENOMEM, -EACCES};

	for (unsigned i = 0; i < COUNT(allowed); i++)
		if (r == allowed[i])
			return;
	fprintf(stderr, "%s: %s\n", what, errno_name(r));
	atomic_fetch_add(&t->shared->faults, 1);
}

/* ----------------------------------------------------------- operations ---------------------------------------------------- */

static void some_namespace(struct thread *t, char *name)
{
	sprintf(name, "namespace0.%u", (unsigned)below(t, NAMES));
}

static void some_btt(struct thread *t, char *name)
{
	sprintf(name, "btt0.%u", (unsigned)below(t, NAMES));
}

static void some_device(struct thread *t, char *name)
{
	static const char *const others[] = {"ndbus0", "nmem0", "region0"};

	switch (below(t, 4)) {
	case 0:
		strcpy(name, others[below(t, 3)]);
		break;
	case 1:
		some_btt(t, name);
		break;
	default:
		some_namespace(t, name);
	}
}

static int store_uuid(struct thread *t)
{
	char name[32];

	some_namespace(t, name);
	return store(t->shared->d, name, "uuid", uuid_text((unsigned)below(t, 9)));
}

static int store_size(struct thread *t)
{
	static const char *const sizes[] = {"0", "0x1000000", "0x2000000", "0x3000000", "0x4000000", "0x40000000"};
	char name[32];

	some_namespace(t, name);
	return store(t->shared->d, name, "size", sizes[below(t, COUNT(sizes))]);
}

static int store_alt_name(struct thread *t)
{
	char name[32], text[32];

	some_namespace(t, name);
	sprintf(text, "name %u", (unsigned)below(t, 100));
	return store(t->shared->d, name, "alt_name", text);
}

static int store_sector_size(struct thread *t)
{
	char name[32];

	if (below(t, 2))
		some_namespace(t, name);
	else
		some_btt(t, name);
	return store(t->shared->d, name, "sector_size", below(t, 2) ? "512" : "4096");
}

static int store_btt_uuid(struct thread *t)
{
	char name[32];

	some_btt(t, name);
	return store(t->shared->d, name, "uuid", uuid_text(20 + (unsigned)below(t, 9)));
}

static int store_namespace(struct thread *t)
{
	char name[32], ns[32];

	some_btt(t, name);
	some_namespace(t, ns);
	return store(t->shared->d, name, "namespace", below(t, 3) ? ns : "\n");
}

static int store_force_raw(struct thread *t)
{
	char name[32];

	some_namespace(t, name);
	return store(t->shared->d, name, "force_raw", below(t, 2) ? "1" : "0");
}

static int store_holder_class(struct thread *t)
{
	char name[32];

	some_namespace(t, name);
	return store(t->shared->d, name, "holder_class", below(t, 2) ? "\n" : "btt");
}

static int store_region(struct thread *t)
{
	if (below(t, 2))
		return store(t->shared->d, "region0", "read_only", below(t, 4) ? "0" : "1");
	return store(t->shared->d, "region0", "align", "0x1000000");
}

static int bind_one(struct thread *t)
{
	char name[32];

	if (below(t, 2))
		some_namespace(t, name);
	else
		some_btt(t, name);
	return untorn_driver_bind(t->shared->d->bus, ns_driver(t->shared->d), name);
}

static int unbind_one(struct thread *t)
{
	char name[32];

	if (below(t, 2))
		some_namespace(t, name);
	else
		some_btt(t, name);
	return untorn_driver_unbind(t->shared->d->bus, ns_driver(t->shared->d), name);
}

/* A whole btt, so that some are really bound. */
static int make_one(struct thread *t)
{
	struct devices *d = t->shared->d;
	char seed[UNTORN_ATTR_SIZE + 1], ns[32];
	int r = show(d, "region0", "btt_seed", seed);

	if (r < 0)
		return r;
	seed[strcspn(seed, "\n")] = '\0';
	some_namespace(t, ns);
	store(d, seed, "namespace", "\n");
	untorn_driver_unbind(d->bus, ns_driver(d), ns);
	store(d, seed, "uuid", uuid_text(30 + t->number));
	store(d, seed, "sector_size", "4096");
	r = store(d, seed, "namespace", ns);
	return r < 0 ? r : untorn_driver_bind(d->bus, ns_driver(d), seed);
}

/* A whole namespace. */
static int configure_one(struct thread *t)
{
	struct devices *d = t->shared->d;
	char seed[UNTORN_ATTR_SIZE + 1];
	int r = show(d, "region0", "namespace_seed", seed);

	if (r < 0)
		return r;
	seed[strcspn(seed, "\n")] = '\0';
	r = store(d, seed, "uuid", uuid_text(40 + (unsigned)below(t, 9)));
	store(d, seed, "sector_size", "512");
	if (r == 0)
		r = store(d, seed, "size", below(t, 2) ? "0x2000000" : "0x3000000");
	return r < 0 ? r : untorn_driver_bind(d->bus, ns_driver(d), seed);
}

static int probe_one(struct thread *t)
{
	char name[32];

	some_device(t, name);
	return untorn_bus_drivers_probe(t->shared->d->bus, name);
}

static int show_all(struct thread *t)
{
	char name[32], text[UNTORN_ATTR_SIZE];
	struct untorn_attr_info info;
	struct untorn_device *device;
	unsigned index = 0;
	size_t len;
	int r;

	some_device(t, name);
	r = untorn_bus_find(t->shared->d->bus, name, &device);
	if (r < 0)
		return r;
	while (untorn_attr_next(device, &index, &info) == 0)
		if (info.mode & 0444)
			expect(t, info.name, untorn_attr_show(device, info.name, text, sizeof(text), &len));
	untorn_device_problem(device, text, sizeof(text));
	untorn_device_put(device);
	return 0;
}

static int walk(struct thread *t)
{
	struct untorn_device *region, *child = NULL, *holder, *parent;
	struct untorn_namespace_info info;
	struct untorn_btt_device_info btt;
	int r = untorn_bus_find(t->shared->d->bus, "region0", &region);

	if (r < 0)
		return r;
	while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &child) == 0) {
		expect(t, "info", untorn_namespace_get_info(child, &info));
		if (untorn_namespace_holder(child, &holder) == 0)
			untorn_device_put(holder);
	}
	while (untorn_device_next(region, UNTORN_DEVICE_BTT, &child) == 0) {
		expect(t, "info", untorn_btt_device_get_info(child, &btt));
		if (untorn_device_parent(child, &parent) == 0)
			untorn_device_put(parent);
		if (untorn_btt_device_namespace(child, &holder) == 0)
			untorn_device_put(holder);
	}
	untorn_device_put(region);
	return 0;
}

/*
 * Through a disk, whoever has one. Each thread has a sector of its own in the first block of all disks: of raw ones nothing else may
 * be written, as a BTT of version 1.1 begins behind it.
 */
static int disk_io(struct thread *t)
{
	uint64_t value = random_next(&t->random), sector[64], seen[64], off = t->number * sizeof(sector);
	struct untorn_device *device;
	struct untorn_disk *disk;
	char name[32];
	int r;

	if (below(t, 2))
		some_namespace(t, name);
	else
		some_btt(t, name);
	r = untorn_bus_find(t->shared->d->bus, name, &device);
	if (r < 0)
		return r;
	r = untorn_disk_open(device, &disk);
	untorn_device_put(device);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < COUNT(sector); i++)
		sector[i] = value + i;
	for (unsigned i = 0; r == 0 && i < 4; i++)
		r = untorn_disk_pwrite(disk, sector, sizeof(sector), off, below(t, 2) ? UNTORN_BTT_DURABLE : 0);
	if (r == 0)
		r = untorn_disk_pread(disk, seen, sizeof(seen), off);
	if (r == 0 && memcmp(sector, seen, sizeof(seen)) != 0)
		atomic_fetch_add(&t->shared->faults, 1);
	if (r == 0)
		r = untorn_disk_flush(disk);
	untorn_disk_close(disk);
	return r;
}

static int bytes(struct thread *t)
{
	struct untorn_device *device;
	char name[32], buf[64] = {0};
	int r;

	some_namespace(t, name);
	r = untorn_bus_find(t->shared->d->bus, name, &device);
	if (r < 0)
		return r;
	r = untorn_namespace_rw_bytes(device, below(t, 80) * MIB, buf, sizeof(buf), false);
	untorn_device_put(device);
	return r;
}

static int region_again(struct thread *t)
{
	int r;

	if (below(t, 8))
		return untorn_bus_wait_probe(t->shared->d->bus);
	r = untorn_driver_unbind(t->shared->d->bus, "nd_region", "region0");
	if (r == 0 && below(t, 4) == 0) {
		untorn_driver_unbind(t->shared->d->bus, "nvdimm", "nmem0");
		untorn_driver_bind(t->shared->d->bus, "nvdimm", "nmem0");
	}
	expect(t, "bind region", untorn_driver_bind(t->shared->d->bus, "nd_region", "region0"));
	return r;
}

static int label_area(struct thread *t)
{
	struct untorn_label_area_info info;
	struct untorn_label label;
	struct untorn_device *dimm;
	uint8_t buf[256];
	int r = untorn_bus_find(t->shared->d->bus, "nmem0", &dimm);

	if (r < 0)
		return r;
	r = untorn_dimm_label_read(dimm, 0, buf, sizeof(buf));
	expect(t, "label info", untorn_dimm_label_info(dimm, &info));
	expect(t, "label", untorn_dimm_label_get(dimm, (uint32_t)below(t, 8), &label));
	untorn_device_put(dimm);
	return r;
}

static const struct {
	const char *name;
	int (*run)(struct thread *t);
	unsigned weight;
} operations[] = {
	{"uuid", store_uuid, 12},
	{"size", store_size, 12},
	{"alt_name", store_alt_name, 8},
	{"sector_size", store_sector_size, 8},
	{"btt uuid", store_btt_uuid, 3},
	{"namespace", store_namespace, 16},
	{"force_raw", store_force_raw, 3},
	{"holder_class", store_holder_class, 8},
	{"region", store_region, 2},
	{"bind", bind_one, 8},
	{"unbind", unbind_one, 20},
	{"make btt", make_one, 12},
	{"configure", configure_one, 12},
	{"probe", probe_one, 3},
	{"show", show_all, 6},
	{"walk", walk, 6},
	{"disk", disk_io, 14},
	{"bytes", bytes, 3},
	{"region again", region_again, 2},
	{"label area", label_area, 2},
};

static void *run(void *arg)
{
	struct thread *t = arg;
	unsigned sum = 0;

	for (unsigned i = 0; i < COUNT(operations); i++)
		sum += operations[i].weight;
	for (unsigned n = 0; n < t->operations; n++) {
		unsigned draw = (unsigned)below(t, sum), i = 0;
		int r;

		while (draw >= operations[i].weight)
			draw -= operations[i++].weight;
		r = operations[i].run(t);
		expect(t, operations[i].name, r);
		atomic_fetch_add(r == 0 ? &t->shared->done[i] : &t->shared->errors, 1);
	}
	return NULL;
}

/* -------------------------------------------------------- the same after opening ------------------------------------------- */

/* What labels hold of all namespaces that have some, by place. To be freed. */
static char *labelled_namespaces(struct devices *d)
{
	struct untorn_device *region = find(d, "region0"), *child = NULL;
	struct untorn_namespace_info all[32], swap;
	char *text = NULL;
	unsigned n = 0;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	while (untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &child) == 0) {
		assert_true(n < COUNT(all));
		assert_result(untorn_namespace_get_info(child, &all[n]), 0);
		n += all[n].size > 0 && (all[n].nstype != UNTORN_NSTYPE_BLK || all[n].sector_size > 0);
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = i + 1; k < n; k++) {
			if (memcmp(all[k].uuid, all[i].uuid, 16) < 0)
				swap = all[i], all[i] = all[k], all[k] = swap;
		}
		fprintf(out,
			"uuid ..%02x size %" PRIu64 " name '%s' sector %" PRIu64 " at %#" PRIx64
			" class %d extents %u\n",
			all[i].uuid[15], all[i].size, all[i].alt_name, all[i].sector_size, all[i].resource,
			all[i].holder_class, all[i].dpa_extents);
	}
	fclose(out);
	untorn_device_put(region);
	return text;
}

/* Threads at random, then a tree that is sound, and the same one when it is opened again. */
static void race(enum devices_platform kind, uint64_t seed)
{
	struct devices *d = devices_new(kind);
	struct thread threads[THREADS] = {0};
	struct shared shared = {.d = d};
	char *before, *after;

	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){
			.shared = &shared,
			.number = i,
			.operations = OPERATIONS * test_length(),
			.random = seed * THREADS + i,
		};
		assert_int_equal(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	assert_int_equal(shared.faults, 0);
	devices_wait(d);
	/* Threads may have left the dimm or the region unbound. */
	untorn_driver_bind(d->bus, "nvdimm", "nmem0");
	untorn_driver_bind(d->bus, "nd_region", "region0");
	assert_store(d, 0, "region0", "read_only", "0");
	assert_sound(d);
	/* Each kind of operation came through sometimes, or this proves little. */
	for (unsigned i = 0; i < COUNT(operations); i++)
		if (shared.done[i] == 0)
			fail_msg("'%s' never succeeded", operations[i].name);
	if (getenv("UNTORN_VERBOSE"))
		for (unsigned i = 0; i < COUNT(operations); i++)
			printf("%s %u\n", operations[i].name, shared.done[i]);
	before = labelled_namespaces(d);
	devices_reopen(d);
	assert_sound(d);
	after = labelled_namespaces(d);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void pmem_races(void **state)
{
	uint64_t seed = test_seed(1);

	for (uint64_t i = 0; i < 2; i++) {
		race(LABELLED, seed + i);
		devices_teardown(state);
	}
}

static void blk_races(void **state)
{
	(void)state;
	race(BLK, test_seed(10));
}

static void interleaved_races(void **state)
{
	(void)state;
	race(INTERLEAVED, test_seed(20));
}

/* ------------------------------------------------------ two, each its own task --------------------------------------------- */

#define ROUNDS 400u

struct task {
	pthread_t id;
	struct devices *d;
	void (*round)(struct task *task, unsigned n);
	unsigned faults;
};

static void *run_task(void *arg)
{
	struct task *task = arg;

	for (unsigned n = 0; n < ROUNDS; n++)
		task->round(task, n);
	return NULL;
}

static void run_two(struct devices *d, void (*first)(struct task *, unsigned), void (*second)(struct task *, unsigned))
{
	struct task tasks[2] = {{.d = d, .round = first}, {.d = d, .round = second}};

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&tasks[i].id, NULL, run_task, &tasks[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(tasks[i].id, NULL);
		assert_int_equal(tasks[i].faults, 0);
	}
	assert_sound(d);
}

static void attach_and_detach(struct task *task, unsigned n)
{
	(void)n;
	task->faults += store(task->d, "btt0.0", "namespace", "namespace0.0") != 0;
	task->faults += store(task->d, "btt0.0", "namespace", "\n") != 0;
}

static void store_in_namespace(struct task *task, unsigned n)
{
	int r = store(task->d, "namespace0.0", n % 2 ? "alt_name" : "sector_size", n % 2 ? "x" : "512");

	task->faults += r != 0 && r != -EBUSY;
}

static void store_in_btt(struct task *task, unsigned n)
{
	task->faults += store(task->d, "btt0.0", "sector_size", n % 2 ? "512" : "4096") != 0;
	task->faults += store(task->d, "btt0.0", "uuid", uuid_text(n % 50)) != 0;
}

/* Attaching and stores of the namespace: whoever is first, and no deadlock. */
static void s19_attach_against_namespace_stores(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	run_two(d, attach_and_detach, store_in_namespace);
}

/* The stores of one btt take their locks in one order. */
static void s28_stores_of_one_btt_do_not_deadlock(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	run_two(d, attach_and_detach, store_in_btt);
}

static void bind_and_unbind_raw(struct task *task, unsigned n)
{
	int r = untorn_driver_bind(task->d->bus, "nd_pmem", "namespace0.0");

	(void)n;
	task->faults += r != 0 && r != -ENXIO && r != -EBUSY;
	r = untorn_driver_unbind(task->d->bus, "nd_pmem", "namespace0.0");
	task->faults += r != 0 && r != -ENODEV;
}

static void bind_and_unbind_btt(struct task *task, unsigned n)
{
	struct untorn_device *ns;
	int r = untorn_driver_bind(task->d->bus, "nd_pmem", "btt0.0");

	(void)n;
	task->faults += r != 0 && r != -EBUSY;
	if (r < 0)
		return;
	/* Claimed by a btt that is bound: as long as it is, the namespace is not. */
	task->faults += untorn_bus_find(task->d->bus, "namespace0.0", &ns) != 0;
	task->faults += untorn_device_driver(ns) != NULL;
	untorn_device_put(ns);
	task->faults += untorn_driver_unbind(task->d->bus, "nd_pmem", "btt0.0") != 0;
}

/* Attached while the namespace is bound; its probes and removes and those of the btt never overlap. */
static void s66_btt_and_raw_are_never_bound_at_once(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	for (unsigned i = 0; i < 4; i++) {
		assert_bind(d, 0, "nd_pmem", "namespace0.0");
		if (i == 0)
			configure_btt(d, "btt0.0", 61, 4096, "namespace0.0");
		else
			assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
		run_two(d, bind_and_unbind_raw, bind_and_unbind_btt);
		untorn_driver_unbind(d->bus, "nd_pmem", "namespace0.0");
		assert_bind(d, 0, "nd_pmem", "btt0.0");
		assert_unbind(d, 0, "nd_pmem", "btt0.0");
		assert_store(d, 0, "namespace0.0", "force_raw", "1");
		/* Pinned, so that it is destroyed, and come again under its name. */
		assert_store(d, 0, "btt0.0", "namespace", "\n");
		devices_wait(d);
		assert_gone(d, "btt0.0");
		make_btt(d, "btt0.1", 62, 4096, "namespace0.0");
		assert_show(d, "region0", "btt_seed", "btt0.0\n");
		assert_unbind(d, 0, "nd_pmem", "btt0.1");
		assert_store(d, 0, "btt0.1", "namespace", "\n");
		devices_wait(d);
		assert_store(d, 0, "btt0.0", "uuid", uuid_text(61));
		assert_store(d, 0, "btt0.0", "sector_size", "4096");
	}
}

/* Bound while the region is read-only, which it then is no longer: from there on it can be written to. */
static void bind_read_only_and_write(struct task *task, unsigned n)
{
	struct untorn_device *btt;
	struct untorn_disk *disk;

	task->faults += store(task->d, "region0", "read_only", "1") != 0;
	task->faults += untorn_driver_unbind(task->d->bus, "nd_pmem", "btt0.0") != 0;
	task->faults += untorn_driver_bind(task->d->bus, "nd_pmem", "btt0.0") != 0;
	for (unsigned i = 0; i < n % 4; i++)
		sched_yield();
	task->faults += store(task->d, "region0", "read_only", "0") != 0;
	if (untorn_bus_find(task->d->bus, "btt0.0", &btt) < 0)
		return;
	if (untorn_disk_open(btt, &disk) == 0) {
		task->faults += untorn_disk_pwrite(disk, &n, sizeof(n), 0, 0) != 0;
		untorn_disk_close(disk);
	} else {
		task->faults++;
	}
	untorn_device_put(btt);
}

/* Meanwhile each sector is as it was written last: a write came to pass, or was refused and did not. */
static void read_and_write(struct task *task, unsigned n)
{
	static uint64_t written[4][512];
	struct untorn_device *btt;
	struct untorn_disk *disk;
	uint64_t sector[512];

	if (n == 0)
		memset(written, 0, sizeof(written));
	if (untorn_bus_find(task->d->bus, "btt0.0", &btt) < 0)
		return;
	if (untorn_disk_open(btt, &disk) < 0)
		disk = NULL;
	untorn_device_put(btt);
	for (unsigned i = 0; disk && i < 32; i++) {
		uint64_t off = (1 + i % 4) * sizeof(sector);
		int r = untorn_disk_pread(disk, sector, sizeof(sector), off);

		task->faults += r != 0 && r != -ENXIO;
		task->faults += r == 0 && memcmp(sector, written[i % 4], sizeof(sector)) != 0;
		for (unsigned k = 0; k < COUNT(sector); k++)
			sector[k] = (uint64_t)n << 32 | i << 16 | k;
		r = untorn_disk_pwrite(disk, sector, sizeof(sector), off, i % 3 ? 0 : UNTORN_BTT_DURABLE);
		task->faults += r != 0 && r != -ENXIO && r != -EROFS;
		if (r == 0)
			memcpy(written[i % 4], sector, sizeof(sector));
	}
	untorn_disk_close(disk);
}

static void a_disk_becomes_writable_under_load(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	make_btt(d, "btt0.0", 61, 4096, "namespace0.0");
	run_two(d, bind_read_only_and_write, read_and_write);
}

/* D26, from two sides at once: the id is given back once. */
struct destroyer {
	pthread_t id;
	struct untorn_device *device;
	const char *attribute, *text;
	pthread_barrier_t *barrier;
	int r;
};

static void *destroy(void *arg)
{
	struct destroyer *one = arg;

	pthread_barrier_wait(one->barrier);
	one->r = untorn_attr_store(one->device, one->attribute, one->text, strlen(one->text));
	return NULL;
}

static void destroy_from_two_sides(struct devices *d, const char *name, const char *attribute, const char *text,
				   int second)
{
	struct untorn_device *device = find(d, name);
	struct destroyer two[2];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		two[i] =
			(struct destroyer){.device = device, .attribute = attribute, .text = text, .barrier = &barrier};
		assert_int_equal(pthread_create(&two[i].id, NULL, destroy, &two[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(two[i].id, NULL);
	pthread_barrier_destroy(&barrier);
	untorn_device_put(device);
	devices_wait(d);
	assert_true(two[0].r == 0 || two[1].r == 0);
	for (unsigned i = 0; i < 2; i++)
		assert_true(two[i].r == 0 || two[i].r == -ENODEV || two[i].r == second);
	assert_false(devices_exists(d, name));
}

static void two_destroy_one(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	for (unsigned i = 0; i < 50; i++) {
		make_btt(d, "btt0.0", 61, 4096, "namespace0.0");
		assert_unbind(d, 0, "nd_pmem", "btt0.0");
		destroy_from_two_sides(d, "btt0.0", "namespace", "\n", 0);
		make_btt(d, "btt0.1", 61, 4096, "namespace0.0");
		assert_show(d, "region0", "btt_seed", "btt0.0\n");
		assert_unbind(d, 0, "nd_pmem", "btt0.1");
		destroy_from_two_sides(d, "btt0.1", "namespace", "\n", 0);
		assert_sound(d);
	}
	for (unsigned i = 0; i < 50; i++) {
		char seed[UNTORN_ATTR_SIZE + 1];

		assert_result(show(d, "region0", "namespace_seed", seed), 0);
		seed[strcspn(seed, "\n")] = '\0';
		configure_namespace(d, seed, 62, 32 * MIB);
		assert_bind(d, 0, "nd_pmem", seed);
		assert_unbind(d, 0, "nd_pmem", seed);
		destroy_from_two_sides(d, seed, "size", "0", -ENXIO);
		assert_sound(d);
	}
	assert_number(d, "region0", "available_size", 224 * MIB);
}

/* wait_probe against destroys that are queued: afterwards they have happened. */
static void wait_probe_waits(void **state)
{
	struct devices *d = devices_new(LABELLED);

	(void)state;
	configure_namespace(d, "namespace0.0", 60, 32 * MIB);
	for (unsigned i = 0; i < 100; i++) {
		const char *name = i % 2 ? "btt0.1" : "btt0.0";

		configure_btt(d, name, 61, 4096, "namespace0.0");
		assert_result(untorn_driver_bind(d->bus, "nd_pmem", name), 0);
		assert_result(untorn_driver_unbind(d->bus, "nd_pmem", name), 0);
		assert_store(d, 0, name, "namespace", "\n");
		assert_show(d, "ndbus0", "wait_probe", "1\n");
		assert_false(devices_exists(d, name));
		assert_true(devices_exists(d, i % 2 ? "btt0.0" : "btt0.1"));
	}
}

/* ---------------------------------------------------------- probe idle ---------------------------------------------------- */

/* Somebody who is to wait until no probe runs on the bus. DEVICES 4. */
struct waiter {
	pthread_t id;
	struct devices *d;
	const char *device, *attribute, *text; /* NULL: show */
	_Atomic bool begun, done;
	int r;
};

static void *wait_for_idle(void *arg)
{
	struct waiter *w = arg;
	char text[UNTORN_ATTR_SIZE + 1];

	atomic_store(&w->begun, true);
	w->r = w->text ? store(w->d, w->device, w->attribute, w->text) : show(w->d, w->device, w->attribute, text);
	atomic_store(&w->done, true);
	return NULL;
}

static void set_probing(struct devices *d, int by)
{
	bus_lock(d->bus);
	d->bus->nprobing = (unsigned)((int)d->bus->nprobing + by);
	pthread_cond_broadcast(&d->bus->idle);
	bus_unlock(d->bus);
}

/* While a probe runs, these wait and those do not. */
static void who_waits_for_probe_idle(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct waiter waiters[] = {
		{.device = "region0", .attribute = "available_size"},
		{.device = "region0", .attribute = "max_available_extent"},
		{.device = "region0", .attribute = "set_cookie"},
		{.device = "namespace0.0", .attribute = "alt_name", .text = "x"},
		{.device = "namespace0.1", .attribute = "holder_class", .text = "btt"},
		{.device = "namespace0.2", .attribute = "size", .text = "0x1000000"},
		{.device = "namespace0.3", .attribute = "uuid", .text = "01234567-89ab-cdef-fedc-ba9876543210"},
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char name[32];

		sprintf(name, "namespace0.%u", i);
		configure_namespace(d, name, 60 + i, 32 * MIB);
		assert_bind(d, 0, "nd_pmem", name);
	}
	for (unsigned i = 0; i < 3; i++) {
		char name[32];

		sprintf(name, "namespace0.%u", i);
		assert_unbind(d, 0, "nd_pmem", name);
	}
	set_probing(d, 1);
	for (unsigned i = 0; i < COUNT(waiters); i++) {
		waiters[i].d = d;
		assert_int_equal(pthread_create(&waiters[i].id, NULL, wait_for_idle, &waiters[i]), 0);
	}
	for (unsigned i = 0; i < COUNT(waiters); i++)
		while (!atomic_load(&waiters[i].begun))
			sched_yield();
	/* Were one of these to wait, it would do so for ever. */
	for (unsigned i = 0; i < 200; i++) {
		assert_store(d, 0, "btt0.0", "uuid", uuid_text(70));
		assert_store(d, 0, "btt0.0", "sector_size", "512");
		assert_store(d, 0, "btt0.0", "namespace", "\n");
		assert_number(d, "region0", "size", 256 * MIB);
		assert_number(d, "namespace0.0", "size", 32 * MIB);
		assert_store(d, 0, "namespace0.0", "force_raw", "0");
		assert_store(d, 0, "namespace0.0", "sector_size", "512");
		sched_yield();
	}
	for (unsigned i = 0; i < COUNT(waiters); i++)
		assert_flag(atomic_load(&waiters[i].done), false, waiters[i].attribute);
	set_probing(d, -1);
	for (unsigned i = 0; i < COUNT(waiters); i++) {
		pthread_join(waiters[i].id, NULL);
		assert_result(waiters[i].r, 0);
	}
	assert_sound(d);
}

/* --------------------------------------------------- a region half unbound ------------------------------------------------- */

static void *unbind_region(void *arg)
{
	struct devices *d = arg;

	untorn_driver_unbind(d->bus, "nd_region", "region0");
	return NULL;
}

/* A namespace that its region already let go of still has its labels: nobody who is left takes its uuid, and so its labels. */
static void uuid_of_labels_without_a_namespace(void **state)
{
	struct devices *d = devices_new(INTERLEAVED);
	struct untorn_device *stopper;
	pthread_t unbinder;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char name[32];

		sprintf(name, "namespace0.%u", i);
		configure_namespace(d, name, 60 + i, 32 * MIB);
		assert_bind(d, 0, "nd_pmem", name);
		devices_wait(d);
	}
	stopper = find(d, "namespace0.1");
	assert_result(device_lock(stopper), 0);
	assert_int_equal(pthread_create(&unbinder, NULL, unbind_region, d), 0);
	while (devices_exists(d, "namespace0.0"))
		sched_yield();
	assert_store(d, -EINVAL, "namespace0.2", "uuid", uuid_text(60));
	assert_store(d, 0, "namespace0.2", "uuid", uuid_text(62));
	assert_store(d, 0, "namespace0.2", "size", "0x2000000");
	device_unlock(stopper);
	untorn_device_put(stopper);
	pthread_join(unbinder, NULL);
	assert_bind(d, 0, "nd_region", "region0");
	devices_wait(d);
	assert_number(d, "namespace0.2", "size", 32 * MIB);
	assert_sound(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(s19_attach_against_namespace_stores),
		device_test(s28_stores_of_one_btt_do_not_deadlock),
		device_test(s66_btt_and_raw_are_never_bound_at_once),
		device_test(a_disk_becomes_writable_under_load),
		device_test(two_destroy_one),
		device_test(wait_probe_waits),
		device_test(who_waits_for_probe_idle),
		device_test(uuid_of_labels_without_a_namespace),
		device_test(pmem_races),
		device_test(blk_races),
		device_test(interleaved_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
