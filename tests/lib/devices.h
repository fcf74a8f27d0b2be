/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buses for tests: platforms of sparse files in a temporary folder, and assertions in the words of sysfs. Devices are named, stores
 * are texts, errors are errnos; each assertion says what it saw and expected at the caller's line.
 *
 * A test is registered with device_test(); what devices_new() made is closed and removed when it ends, pass or fail.
 */
#ifndef TESTS_DEVICES_H
#define TESTS_DEVICES_H

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "untorn/device.h"

#define KIB        (1ull << 10)
#define MIB        (1ull << 20)
#define LABEL_AREA (128 * KIB)

/* Platforms. Each region is a multiple of 16 MiB, the default alignment, unless it is said otherwise. */
enum devices_platform {
	LABELLED,      /* nmem0 with an empty v1.2 index: region0 of 256 MiB */
	LABELLED_V1_1, /* the same with v1.1 */
	UNLABELLED,    /* nmem0 with a label area of zeros: region0 of 128 MiB, an io namespace */
	NO_AREA,       /* nmem0 without label area: the same */
	QEMU,          /* nmem0 of 128 MiB, the label area of 128 KiB (v1.2) within: as QEMU splits it */
	UNARMED,       /* LABELLED, but nmem0 is not armed */
	THREE,         /* nmem0, nmem1, nmem2 as LABELLED, with 128 MiB each: region0, region1, region2 */
	INTERLEAVED,   /* nmem0 and nmem1 (v1.2) of 128 MiB: region0 over both, 256 MiB, 1 MiB on each in turn */
	INTERLEAVED_V1_1,
	INTERLEAVED_4K, /* nmem0 and nmem1 of 32 MiB: region0 of 64 MiB, 4 KiB on each in turn */
	BLK,            /* nmem0 (v1.2) of 256 MiB: region0 is a blk region over all of it */
	VOLATILE,       /* nmem0 as LABELLED, 128 MiB: region0; region1 is volatile, 64 MiB */
	LOCKED,         /* LABELLED, but nmem0 is locked */
	SMALL,          /* nmem0 without label area: region0 of 17 MiB */
	TINY,           /* nmem0 without label area: region0 of 8 MiB, too small for a btt */
	THREE_WAYS,     /* nmem0, nmem1, nmem2 of 10 MiB: region0 of 30 MiB, less than 16 MiB of each */
	DEVICES_PLATFORMS
};

struct devices {
	char dir[PATH_MAX / 2]; /* holds nv0, nv1, nv2 and platform.json */
	enum devices_platform kind;
	unsigned flags; /* of untorn_bus_open() */
	struct untorn_platform *platform;
	struct untorn_bus *bus; /* NULL: closed */
};

/* Make the files of a platform, and open the bus. One at a time. */
struct devices *devices_new(enum devices_platform kind);
struct devices *devices_new_closed(enum devices_platform kind); /* the files only */
void devices_open(struct devices *d);                           /* with d->flags */
int devices_try_open(struct devices *d);
void devices_describe_platform(struct devices *d); /* the first half of that: d->platform */
void devices_close(struct devices *d);
void devices_reopen(struct devices *d);
void devices_wait(struct devices *d); /* untorn_bus_wait_probe() */
int devices_teardown(void **state);

/* Where nmemN's file is, and how many bytes of it are DPA; the rest are labels. */
const char *devices_file(struct devices *d, unsigned dimm);
uint64_t devices_pmem_size(enum devices_platform kind);

/* Change bytes of nmemN's file, or read them, while the bus is closed. */
void devices_poke(struct devices *d, unsigned dimm, uint64_t off, const void *bytes, size_t len);
void devices_peek(struct devices *d, unsigned dimm, uint64_t off, void *bytes, size_t len);

/* The slot of the label in use on nmemN that says this uuid (of uuid_text()). */
uint32_t devices_slot(struct devices *d, unsigned dimm, unsigned uuid);

/* Change bytes of a v1.2 label while the bus is closed, with a right checksum. */
void devices_poke_label(struct devices *d, unsigned dimm, uint32_t slot, uint64_t off, const void *bytes, size_t len);

#define device_test(function) cmocka_unit_test_teardown(function, devices_teardown)

/* --------------------------------------------------------- the device of a name --------------------------------------------- */

struct untorn_device *devices_find(struct devices *d, const char *name, const char *file, int line);
#define find(d, name) devices_find(d, name, __FILE__, __LINE__)

bool devices_exists(struct devices *d, const char *name);
#define assert_exists(d, name) assert_flag(devices_exists(d, name), true, "there is " name)
#define assert_gone(d, name)   assert_flag(devices_exists(d, name), false, "there is " name)

static inline void devices_assert_flag(bool seen, bool expected, const char *what, const char *file, int line)
{
	if (seen != expected) {
		print_error("%s: %s, expected %s\n", what, seen ? "true" : "false", expected ? "true" : "false");
		_fail(file, line);
	}
}
#define assert_flag(seen, expected, what) devices_assert_flag(seen, expected, what, __FILE__, __LINE__)

/* ------------------------------------------------------- one call, one errno ------------------------------------------------ */

/* The number of an errno that functions return, for messages: "-EBUSY". */
const char *errno_name(int error);

#define assert_result(call, error) devices_assert_result(call, error, #call, __FILE__, __LINE__)
void devices_assert_result(int seen, int expected, const char *what, const char *file, int line);

/* ------------------------------------------------------------ attributes ---------------------------------------------------- */

/* The bare calls; -ENODEV when there is no such device. */
int store(struct devices *d, const char *device, const char *attribute, const char *text);
int store_bytes(struct devices *d, const char *device, const char *attribute, const void *bytes, size_t len);
int show(struct devices *d, const char *device, const char *attribute, char text[UNTORN_ATTR_SIZE + 1]);

#define assert_store(d, error, device, attribute, text) \
	devices_assert_store(d, error, device, attribute, text, strlen(text), __FILE__, __LINE__)
/* A string with NULs in it: the whole array without the compiler's own. */
#define assert_store_bytes(d, error, device, attribute, bytes) \
	devices_assert_store(d, error, device, attribute, bytes, sizeof(bytes) - 1, __FILE__, __LINE__)
void devices_assert_store(struct devices *d, int error, const char *device, const char *attribute, const char *text,
			  size_t len, const char *file, int line);

#define assert_show(d, device, attribute, text) devices_assert_show(d, 0, device, attribute, text, __FILE__, __LINE__)
#define assert_show_fails(d, error, device, attribute) \
	devices_assert_show(d, error, device, attribute, NULL, __FILE__, __LINE__)
void devices_assert_show(struct devices *d, int error, const char *device, const char *attribute, const char *text,
			 const char *file, int line);

/* A number that an attribute shows. */
uint64_t devices_number(struct devices *d, const char *device, const char *attribute, const char *file, int line);
#define number(d, device, attribute) devices_number(d, device, attribute, __FILE__, __LINE__)

#define assert_number(d, device, attribute, expected) \
	assert_int_equal(number(d, device, attribute), (uint64_t)(expected))

/* -------------------------------------------------------------- drivers ----------------------------------------------------- */

/* All of these wait for what they caused. */
#define assert_bind(d, error, driver, device)   assert_result(devices_bind(d, driver, device), error)
#define assert_unbind(d, error, driver, device) assert_result(devices_unbind(d, driver, device), error)
int devices_bind(struct devices *d, const char *driver, const char *device);
int devices_unbind(struct devices *d, const char *driver, const char *device);

/* driver may be NULL: not bound. */
#define assert_driver(d, device, driver) devices_assert_driver(d, device, driver, __FILE__, __LINE__)
void devices_assert_driver(struct devices *d, const char *device, const char *driver, const char *file, int line);

/* -------------------------------------------------- recipes, as a user would do them ---------------------------------------- */

/* "12345678-9abc-4def-8000-0000000000NN" for N below 100, without newline; strings of this thread. */
const char *uuid_text(unsigned n);
void uuid_bytes(unsigned n, uint8_t uuid[16]);

/* uuid, size and, on blk, sector size 512. */
void configure_namespace(struct devices *d, const char *name, unsigned uuid, uint64_t size);

/* uuid, sector size, namespace. */
void configure_btt(struct devices *d, const char *name, unsigned uuid, unsigned sector_size, const char *ns);

/* Configure btt on ns (which is configured), bind it: a bound btt. driver: of ns. */
void make_btt(struct devices *d, const char *name, unsigned uuid, unsigned sector_size, const char *ns);

/* The driver of the namespaces of the platform's region0. */
const char *ns_driver(const struct devices *d);

/* Who claims ns, "" if nobody; good until the next call. */
const char *devices_holder(struct devices *d, const char *ns);

struct untorn_disk *devices_disk(struct devices *d, const char *device, const char *file, int line);
#define disk_of(d, device)        devices_disk(d, device, __FILE__, __LINE__)
#define assert_no_disk(d, device) assert_result(devices_try_disk(d, device), -ENXIO)
int devices_try_disk(struct devices *d, const char *device);

/* Bytes that seed decides, and whether len bytes are those. */
void pattern(uint8_t *bytes, size_t len, unsigned seed);
bool is_pattern(const uint8_t *bytes, size_t len, unsigned seed);

/*
 * What must hold whenever nothing is queued: claims have two ends, seeds are there, names and ids and uuids are unique, at most one of
 * a btt and its namespace is bound, DPA ranges do not overlap, sizes add up, labels say the same. NULL, or a sentence in a static
 * buffer.
 */
const char *devices_fault(struct devices *d);
#define assert_sound(d) devices_assert_sound(d, __FILE__, __LINE__)
void devices_assert_sound(struct devices *d, const char *file, int line);

/* Every device and all that its attributes show, one line each. To be freed. */
char *devices_describe(struct devices *d);

#endif
