/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where nothing may be written, nothing is: every attribute takes every text, everything is bound, unbound and written to, and after
 * each call the bytes are those of before. A read-only bus on files, and on media of the caller that could be written; a dimm that is
 * locked; and one that is not armed, of which only labels may change. And where something may be written again: a btt that was
 * bound while its region was read-only.
 */
#include "devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LABEL_FLAGS  80 /* in a v1.2 label */

static struct {
	struct devices *d;
	unsigned ndimm;
	uint64_t size; /* bytes of each file that must not change */
	uint64_t sum;
	unsigned calls;
} watched;

/* Of bytes that are not 0 and where they are: a hole that becomes zeros is no change. */
static void sum_bytes(uint64_t *sum, uint64_t at, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, len - i < 8 ? len - i : 8);
		if (word)
			*sum = ((*sum ^ (at + i)) * 0x100000001b3 ^ word) * 0x9e3779b97f4a7c15;
	}
}

static uint64_t sum_files(void)
{
	static uint8_t bytes[64 * KIB];
	uint64_t sum = 0xcbf29ce484222325;

	for (unsigned i = 0; i < watched.ndimm; i++) {
		int fd = open(devices_file(watched.d, i), O_RDONLY | O_CLOEXEC);
		off_t at = 0;
		ssize_t n;

		assert_true(fd >= 0);
		while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (uint64_t)at < watched.size) {
			size_t len = watched.size - (uint64_t)at < sizeof(bytes) ? watched.size - (uint64_t)at
										 : sizeof(bytes);

			n = pread(fd, bytes, len, at);
			assert_true(n > 0);
			sum_bytes(&sum, (uint64_t)at + (uint64_t)i * (1ull << 40), bytes, (size_t)n);
			at += n;
		}
		close(fd);
	}
	return sum;
}

static void watch(struct devices *d, unsigned ndimm, uint64_t size)
{
	watched.d = d;
	watched.ndimm = ndimm;
	watched.size = size;
	watched.sum = sum_files();
	watched.calls = 0;
}

/* After a call: what it was, for the message. */
static void check_call(const char *call, const char *device, const char *what)
{
	watched.calls++;
	if (sum_files() != watched.sum)
		fail_msg("%s of %s, %s: bytes have changed", call, device, what);
}

/* ------------------------------------------------------------- calls ------------------------------------------------------- */

static void write_disk(struct untorn_device *device)
{
	const char *name = untorn_device_name(device);
	struct untorn_disk *disk;
	uint8_t bytes[4096];

	if (untorn_disk_open(device, &disk) < 0)
		return;
	pattern(bytes, sizeof(bytes), 77);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), 0, UNTORN_BTT_DURABLE), -EROFS);
	check_call("writing", name, "sector 0");
	assert_result(untorn_disk_pwrite_zeroes(disk, 64 * KIB, 0, UNTORN_BTT_DURABLE), -EROFS);
	check_call("zeroing", name, "64 KiB");
	untorn_disk_flush(disk);
	check_call("flushing", name, "");
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), 0), 0);
	check_call("reading", name, "sector 0");
	untorn_disk_close(disk);
}

static void write_bytes(struct untorn_device *ns)
{
	struct untorn_media *media;
	uint8_t bytes[512];

	pattern(bytes, sizeof(bytes), 78);
	assert_true(untorn_namespace_rw_bytes(ns, 4096, bytes, sizeof(bytes), true) < 0);
	check_call("rw_bytes", untorn_device_name(ns), "at 4096");
	if (untorn_namespace_media(ns, &media) < 0)
		return;
	assert_result(untorn_media_write(media, 4096, bytes, sizeof(bytes)), -EROFS);
	untorn_media_close(media);
	check_call("media_write", untorn_device_name(ns), "at 4096");
}

static void write_labels(struct untorn_device *dimm, bool may_change)
{
	const char *name = untorn_device_name(dimm);
	uint8_t bytes[64];
	int r;

	pattern(bytes, sizeof(bytes), 79);
	for (unsigned version = UNTORN_LABEL_NONE; version <= UNTORN_LABEL_V1_2; version++) {
		r = untorn_dimm_label_init(dimm, (enum untorn_label_version)version, UNTORN_LABEL_FORCE);
		assert_true(may_change || r < 0);
		check_call("label_init", name, "");
	}
	r = untorn_dimm_label_write(dimm, 0, bytes, sizeof(bytes));
	assert_true(may_change || r < 0);
	check_call("label_write", name, "");
	r = untorn_dimm_label_zero(dimm, 0, LABEL_AREA);
	assert_true(may_change || r < 0);
	check_call("label_zero", name, "");
}

/* Every attribute that can be stored takes each of these. */
static void store_all(struct untorn_device *device)
{
	static const char *const texts[] = {
		"\n",
		"0",
		"1",
		"512",
		"4096",
		"0x1000000",
		"0x2000000",
		"word",
		"btt\n",
		"pfn",
		"namespace0.0",
		"namespace0.1",
		"add",
		"12345678-9abc-4def-8000-0000000000aa",
	};
	struct untorn_attr_info info;

	for (unsigned index = 0; untorn_attr_next(device, &index, &info) == 0;) {
		for (size_t i = 0; i < COUNT(texts) && (info.mode & 0222); i++) {
			/* A region that is not armed may be made writable: then it is. */
			if (strcmp(info.name, "read_only") == 0 && watched.d->kind == UNARMED &&
			    strcmp(texts[i], "1") != 0)
				continue;
			untorn_attr_store(device, info.name, texts[i], strlen(texts[i]));
			check_call(info.name, untorn_device_name(device), texts[i]);
		}
	}
}

static void bind_all(struct devices *d, const char *name)
{
	for (unsigned i = 0; untorn_driver_name(i); i++) {
		untorn_driver_bind(d->bus, untorn_driver_name(i), name);
		devices_wait(d);
		check_call("bind", name, untorn_driver_name(i));
	}
}

static void unbind_all(struct devices *d, const char *name)
{
	for (unsigned i = 0; untorn_driver_name(i); i++) {
		untorn_driver_unbind(d->bus, untorn_driver_name(i), name);
		devices_wait(d);
		check_call("unbind", name, untorn_driver_name(i));
	}
}

static void call_all_of(struct devices *d, const char *name, bool labels_may_change)
{
	struct untorn_device *device;

	if (untorn_bus_find(d->bus, name, &device) < 0)
		return;
	for (unsigned bound = 0; bound < 2; bound++) {
		store_all(device);
		devices_wait(d);
		check_call("work behind stores", name, "");
		if (untorn_device_type(device) == UNTORN_DEVICE_NAMESPACE)
			write_bytes(device);
		if (untorn_device_type(device) == UNTORN_DEVICE_DIMM && !labels_may_change)
			write_labels(device, false);
		write_disk(device);
		if (bound == 0)
			unbind_all(d, name);
		else
			bind_all(d, name);
		write_disk(device);
	}
	untorn_device_put(device);
}

/* Dimms last: without them their regions are not much. */
static void call_all(struct devices *d, bool labels_may_change)
{
	static const char *const names[] = {
		"ndbus0",       "btt0.0",       "btt0.1",  "btt0.2",  "namespace0.0", "namespace0.1",
		"namespace0.2", "namespace0.3", "region0", "btt0.0",  "btt0.1",       "namespace0.0",
		"namespace0.1", "nmem0",        "nmem1",   "region0", "namespace0.0", "namespace0.1",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		call_all_of(d, names[i], labels_may_change);
	assert_true(watched.calls > (d->kind == LOCKED ? 50 : 400));
}

/* ------------------------------------------------------------ platforms ---------------------------------------------------- */

/* The files of a platform, with a BTT, a raw namespace and one without content; the bus is closed. */
static struct devices *with_content(enum devices_platform kind, enum devices_platform made_as)
{
	struct devices *d = devices_new_closed(kind);
	struct untorn_disk *disk;
	uint8_t bytes[4096];

	d->kind = made_as;
	devices_open(d);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	pattern(bytes, sizeof(bytes), 1);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), 0, 0), 0);
	untorn_disk_close(disk);
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
	devices_close(d);
	d->kind = kind;
	return d;
}

static void read_only_bus(enum devices_platform kind, unsigned ndimm)
{
	struct devices *d = with_content(kind, kind);

	watch(d, ndimm, devices_pmem_size(kind) + LABEL_AREA);
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	check_call("opening", "the bus", "");
	/* On blk, what was made first lies highest and so comes last. */
	assert_driver(d, devices_holder(d, kind == BLK ? "namespace0.1" : "namespace0.0"), ns_driver(d));
	call_all(d, false);
	devices_close(d);
	check_call("closing", "the bus", "");
}

static void read_only_pmem(void **state)
{
	(void)state;
	read_only_bus(LABELLED, 1);
}

static void read_only_set(void **state)
{
	(void)state;
	read_only_bus(INTERLEAVED, 2);
}

static void read_only_blk(void **state)
{
	(void)state;
	read_only_bus(BLK, 1);
}

/* An update that a power cut interrupted is shown finished, but is not. */
static void interrupted_update(void **state)
{
	struct devices *d = with_content(INTERLEAVED, INTERLEAVED);
	static const uint8_t updating = UNTORN_LABEL_UPDATING;
	uint32_t slot;

	(void)state;
	devices_open(d);
	slot = devices_slot(d, 0, 3);
	devices_close(d);
	devices_poke_label(d, 0, slot, LABEL_FLAGS, &updating, 1);
	watch(d, 2, devices_pmem_size(INTERLEAVED) + LABEL_AREA);
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	check_call("opening", "the bus", "with an interrupted update");
	devices_close(d);
	check_call("closing", "the bus", "with an interrupted update");
	d->flags = 0;
	devices_open(d);
	assert_true(sum_files() != watched.sum);
}

/* The medium could be written, the bus may not. */
static void media_of_the_caller(void **state)
{
	struct devices *d = with_content(LABELLED, LABELLED);
	struct untorn_media *media;

	(void)state;
	assert_result(untorn_media_open(devices_file(d, 0), UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_result(untorn_platform_new(&d->platform), 0);
	assert_result(untorn_platform_add_media(d->platform, media, LABEL_AREA), 0);
	watch(d, 1, devices_pmem_size(LABELLED) + LABEL_AREA);
	assert_result(untorn_bus_open(d->platform, UNTORN_BUS_READ_ONLY, &d->bus), 0);
	call_all(d, false);
	devices_close(d);
	check_call("closing", "the bus", "on media of the caller");
	untorn_media_close(media);
}

static void locked(void **state)
{
	struct devices *d = with_content(LOCKED, LABELLED);

	(void)state;
	watch(d, 1, devices_pmem_size(LOCKED) + LABEL_AREA);
	devices_open(d);
	call_all(d, false);
	devices_close(d);
	check_call("closing", "the bus", "with a locked dimm");
}

/* Its labels are no memory that must be saved when power fails. */
static void unarmed(void **state)
{
	struct devices *d = with_content(UNARMED, LABELLED);

	(void)state;
	watch(d, 1, devices_pmem_size(UNARMED));
	devices_open(d);
	call_all(d, true);
	devices_close(d);
	check_call("closing", "the bus", "with a dimm that is not armed");
}

/* ------------------------------------------------------- a region that becomes writable ------------------------------------ */

#define SECTOR      4096u
#define INTERRUPTED 5u    /* the sector whose last write is not finished */
#define BASE        4096u /* of the BTT in the file */
#define INFO_UUID   16u   /* in an info block */

static void write_sector(struct untorn_disk *disk, unsigned lba, unsigned seed, unsigned flags)
{
	uint8_t bytes[SECTOR];

	pattern(bytes, sizeof(bytes), seed);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), lba * SECTOR, flags), 0);
}

static void assert_sector(struct untorn_disk *disk, unsigned lba, unsigned seed)
{
	uint8_t bytes[SECTOR];

	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), lba * SECTOR), 0);
	assert_flag(is_pattern(bytes, sizeof(bytes), seed), true, "the sector is what was written");
}

static void assert_read_only(struct untorn_disk *disk, bool read_only)
{
	struct untorn_disk_info info;

	untorn_disk_get_info(disk, &info);
	assert_flag(info.read_only, read_only, "the disk is read-only");
}

static void assert_refuses_writes(struct untorn_disk *disk)
{
	assert_read_only(disk, true);
	assert_result(untorn_disk_pwrite(disk, "x", 1, 0, 0), -EROFS);
	assert_result(untorn_disk_pwrite_zeroes(disk, SECTOR, 0, 0), -EROFS);
	check_call("writing", "the disk", "read-only");
}

static void assert_problem(struct devices *d, const char *part)
{
	struct untorn_device *btt = find(d, "btt0.0");
	char text[300] = "";
	int r = untorn_device_problem(btt, text, sizeof(text));

	untorn_device_put(btt);
	assert_result(r, part ? 0 : -ENOENT);
	if (part && !strstr(text, part))
		fail_msg("'%s' does not say '%s'", text, part);
}

static uint8_t *read_namespace(struct devices *d)
{
	uint8_t *image = malloc(32 * MIB);

	devices_peek(d, 0, 0, image, 32 * MIB);
	return image;
}

/* As a power cut leaves a write between its log and its map entry. */
static void interrupt_write(struct devices *d)
{
	uint8_t *image = read_namespace(d);
	struct spec_arena a = spec_arena(image, BASE);
	uint32_t block = spec_map(image, &a, INTERRUPTED) & 0x3fffffff;
	bool found = false;

	for (uint32_t lane = 0; lane < a.nfree; lane++) {
		struct spec_slot slot = spec_slot(image, &a, lane, (unsigned)spec_current(image, &a, lane));

		if (slot.lba != INTERRUPTED || (slot.new_map & 0x3fffffff) != block)
			continue;
		found = true;
		spec_set_map(image, &a, INTERRUPTED, slot.old_map | 0xc0000000);
	}
	assert_true(found);
	devices_poke(d, 0, a.base + a.mapoff, image + a.base + a.mapoff, 4096);
	free(image);
}

static uint32_t count_pending(struct devices *d)
{
	uint8_t *image = read_namespace(d);
	struct spec_facts facts;
	const char *fault = spec_check(image, 32 * MIB, BASE, &facts);

	if (fault)
		fail_msg("%s", fault);
	free(image);
	return facts.npending;
}

/* A btt with an interrupted write, bound while its region is read-only: btt0.0. Its bytes are watched from before that. */
static struct untorn_disk *bound_read_only(struct devices **ret_d)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk *disk;

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, SECTOR, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	write_sector(disk, 0, 10, 0);
	write_sector(disk, INTERRUPTED, 11, UNTORN_BTT_DURABLE);
	write_sector(disk, INTERRUPTED, 12, UNTORN_BTT_DURABLE);
	untorn_disk_close(disk);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	interrupt_write(d);
	watch(d, 1, devices_pmem_size(LABELLED));
	assert_store(d, 0, "region0", "read_only", "1");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	disk = disk_of(d, "btt0.0");
	assert_sector(disk, 0, 10);
	assert_sector(disk, INTERRUPTED, 12);
	assert_refuses_writes(disk);
	assert_int_equal(count_pending(d), 1);
	*ret_d = d;
	return disk;
}

/* The disk that is open and those that are opened later write; what was interrupted is finished, as binding would have done. */
static void becomes_writable(void **state)
{
	struct untorn_disk *disk, *again;
	struct devices *d;

	(void)state;
	disk = bound_read_only(&d);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_read_only(disk, false);
	assert_problem(d, NULL);
	assert_int_equal(count_pending(d), 0);
	assert_sector(disk, 0, 10);
	assert_sector(disk, INTERRUPTED, 12);
	again = disk_of(d, "btt0.0");
	assert_read_only(again, false);
	write_sector(disk, INTERRUPTED, 13, 0);
	write_sector(again, 7, 14, UNTORN_BTT_DURABLE);
	assert_sector(again, INTERRUPTED, 13);
	assert_sector(disk, 7, 14);
	assert_result(untorn_disk_flush(again), 0);
	/* And to and fro. */
	for (unsigned i = 0; i < 3; i++) {
		assert_store(d, 0, "region0", "read_only", "1");
		assert_result(untorn_disk_pwrite(disk, "x", 1, 0, 0), -EROFS);
		assert_store(d, 0, "region0", "read_only", "0");
		write_sector(disk, 8, 20 + i, 0);
	}
	untorn_disk_close(disk);
	untorn_disk_close(again);
	devices_reopen(d);
	disk = disk_of(d, devices_holder(d, "namespace0.0"));
	assert_sector(disk, INTERRUPTED, 13);
	assert_sector(disk, 7, 14);
	assert_sector(disk, 8, 22);
	untorn_disk_close(disk);
	assert_sound(d);
}

/* A store that the disk could not follow: it reads on. When the reason is gone, the next store is followed. */
static void assert_stays_read_only(struct devices *d, struct untorn_disk *disk, const char *problem)
{
	assert_store(d, 0, "region0", "read_only", "0");
	check_call("store", "region0", "read_only");
	assert_show(d, "region0", "read_only", "0\n");
	assert_refuses_writes(disk);
	assert_sector(disk, 0, 10);
	assert_sector(disk, INTERRUPTED, 12);
	assert_problem(d, problem);
	assert_driver(d, "btt0.0", "nd_pmem");
}

static void poke_and_watch(struct devices *d, uint64_t off, const void *bytes, size_t len)
{
	devices_poke(d, 0, off, bytes, len);
	watch(d, 1, devices_pmem_size(LABELLED));
}

/* The info block, and the same with another uuid, which its checksum does not fit. */
static void peek_and_alter(struct devices *d, uint8_t info[4096], uint8_t other[4096])
{
	devices_peek(d, 0, BASE, info, 4096);
	memcpy(other, info, 4096);
	other[INFO_UUID] ^= 1;
}

static void stays_read_only(void **state)
{
	uint8_t info[4096], other[4096], zeros[4096] = {0};
	struct untorn_disk *disk;
	struct devices *d;

	(void)state;
	disk = bound_read_only(&d);
	peek_and_alter(d, info, other);
	poke_and_watch(d, BASE, other, sizeof(other));
	assert_stays_read_only(d, disk, "damaged");
	/* Where there is no BTT any more, none is made. */
	poke_and_watch(d, BASE, zeros, sizeof(zeros));
	assert_stays_read_only(d, disk, "namespace0.0");
	assert_store(d, 0, "region0", "read_only", "1");
	poke_and_watch(d, BASE, info, sizeof(info));
	assert_refuses_writes(disk);
	assert_store(d, 0, "region0", "read_only", "0");
	assert_problem(d, NULL);
	write_sector(disk, INTERRUPTED, 13, UNTORN_BTT_DURABLE);
	assert_sector(disk, INTERRUPTED, 13);
	untorn_disk_close(disk);
}

/* A sound BTT, but not the one that was bound. */
static void another_one_meanwhile(void **state)
{
	uint8_t info[4096], other[4096];
	struct untorn_disk *disk;
	struct devices *d;

	(void)state;
	disk = bound_read_only(&d);
	peek_and_alter(d, info, other);
	spec_seal(other);
	devices_poke(d, 0, BASE, other, sizeof(other));
	assert_store(d, 0, "region0", "read_only", "0");
	watch(d, 1, devices_pmem_size(LABELLED));
	assert_stays_read_only(d, disk, "another BTT");
	untorn_disk_close(disk);
}

/* What was written is durable when the store returns, and nothing is written afterwards, not even at the end. */
static void nothing_is_left_buffered(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_disk *disk;

	(void)state;
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, SECTOR, "namespace0.0");
	disk = disk_of(d, "btt0.0");
	for (unsigned i = 0; i < 20; i++)
		write_sector(disk, 17 * i, i, 0);
	assert_store(d, 0, "region0", "read_only", "1");
	watch(d, 1, devices_pmem_size(LABELLED));
	assert_result(untorn_disk_flush(disk), 0);
	check_call("flushing", "the disk", "");
	untorn_disk_close(disk);
	assert_unbind(d, 0, "nd_pmem", "btt0.0");
	check_call("unbind", "btt0.0", "");
	assert_bind(d, 0, "nd_pmem", "btt0.0");
	disk = disk_of(d, "btt0.0");
	for (unsigned i = 0; i < 20; i++)
		assert_sector(disk, 17 * i, i);
	untorn_disk_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(read_only_pmem),
		device_test(read_only_set),
		device_test(read_only_blk),
		device_test(interrupted_update),
		device_test(locked),
		device_test(unarmed),
		device_test(media_of_the_caller),
		device_test(becomes_writable),
		device_test(stays_read_only),
		device_test(another_one_meanwhile),
		device_test(nothing_is_left_buffered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
