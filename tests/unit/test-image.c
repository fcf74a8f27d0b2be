/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes in NVDIMM images: which namespace is meant, what the sentences say when none or several are, and what outlives what.
 *
 * The images are on memory files, with namespaces that the device model made.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "untorn/device.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

#define LABEL_SIZE (128 * KIB)
#define PMEM_SIZE  (256 * MIB)

/* ------------------------------------------------------------- images ------------------------------------------------------- */

struct image {
	int fd;
	char path[32];
};

static struct image new_image(enum untorn_label_version version)
{
	struct image image = {.fd = memfd_create("image", MFD_CLOEXEC)};
	struct untorn_label_area *area;
	struct untorn_media *media;

	assert_true(image.fd >= 0);
	assert_return_code(ftruncate(image.fd, (off_t)(PMEM_SIZE + LABEL_SIZE)), errno);
	snprintf(image.path, sizeof(image.path), "/proc/self/fd/%d", image.fd);
	assert_int_equal(untorn_media_open(image.path, UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_int_equal(untorn_label_open(media, PMEM_SIZE, LABEL_SIZE, &area), 0);
	assert_int_equal(untorn_label_init(area, version, 0), 0);
	untorn_label_close(area);
	untorn_media_close(media);
	return image;
}

static struct untorn_media *open_image(const struct image *image, unsigned flags)
{
	struct untorn_media *media = NULL;

	assert_int_equal(untorn_media_open(image->path, UNTORN_MEDIA_AUTO, flags, &media), 0);
	return media;
}

struct bus {
	struct untorn_media *others[2], *media;
	struct untorn_platform *platform;
	struct untorn_bus *bus;
	char region[16];
};

/* Bring up the image in a slot, with empty DIMMs in those before. */
static struct bus open_bus(const struct image *image, unsigned slot)
{
	static struct image empty[2];
	struct bus bus = {.media = open_image(image, 0)};

	assert_int_equal(untorn_platform_new(&bus.platform), 0);
	for (unsigned i = 0; i < slot; i++) {
		empty[i] = new_image(UNTORN_LABEL_V1_2);
		bus.others[i] = open_image(&empty[i], 0);
		close(empty[i].fd);
		assert_int_equal(untorn_platform_add_media(bus.platform, bus.others[i], LABEL_SIZE), 0);
	}
	assert_int_equal(untorn_platform_add_media(bus.platform, bus.media, LABEL_SIZE), 0);
	assert_int_equal(untorn_bus_open(bus.platform, UNTORN_BUS_NO_AUTOPROBE, &bus.bus), 0);
	snprintf(bus.region, sizeof(bus.region), "region%u", slot);
	return bus;
}

static void close_bus(struct bus *bus)
{
	assert_int_equal(untorn_bus_close(bus->bus), 0);
	untorn_platform_free(bus->platform);
	untorn_media_close(bus->media);
	for (size_t i = 0; i < ARRAY_SIZE(bus->others); i++)
		untorn_media_close(bus->others[i]);
}

/* A successful probe plants a seed where the old one is used up. */
static void bind_once(struct bus *bus, struct untorn_device *ns)
{
	assert_int_equal(untorn_device_enable(ns), 0);
	assert_int_equal(untorn_bus_wait_probe(bus->bus), 0);
	assert_int_equal(untorn_device_disable(ns), 0);
}

/* The seed of a region that came up is its first namespace. */
static struct untorn_device *idle_seed(struct bus *bus, struct untorn_device *region)
{
	struct untorn_namespace_info info;
	struct untorn_device *ns;

	assert_int_equal(untorn_region_namespace_seed(region, &ns), 0);
	assert_int_equal(untorn_namespace_get_info(ns, &info), 0);
	if (info.size > 0) {
		bind_once(bus, ns);
		untorn_device_put(ns);
		assert_int_equal(untorn_region_namespace_seed(region, &ns), 0);
	}
	return ns;
}

/* A namespace of that uuid (its last byte), size and name. */
static void add_namespace(struct bus *bus, uint8_t id, uint64_t size, const char *name)
{
	uint8_t uuid[16] = {[6] = 0x40, [8] = 0x80, [15] = id};
	struct untorn_device *region, *ns;

	assert_int_equal(untorn_bus_find(bus->bus, bus->region, &region), 0);
	ns = idle_seed(bus, region);
	assert_int_equal(untorn_namespace_set_uuid(ns, uuid), 0);
	assert_int_equal(untorn_namespace_set_alt_name(ns, name), 0);
	assert_int_equal(untorn_namespace_set_size(ns, size), 0);
	bind_once(bus, ns);
	untorn_device_put(ns);
	untorn_device_put(region);
}

static char problem[1024];

static int find(const struct image *image, const char *name, unsigned flags, struct untorn_image *ret_image)
{
	struct untorn_media *media = open_image(image, 0);
	int r;

	memset(problem, 'x', sizeof(problem));
	r = untorn_image_open(media, LABEL_SIZE, name, flags, problem, sizeof(problem), ret_image);
	untorn_media_close(media);
	if (r < 0)
		assert_non_null(memchr(problem, '\0', sizeof(problem)));
	return r;
}

/* name means that namespace. */
static void assert_found(const struct image *image, const char *name, unsigned flags, const char *expected)
{
	struct untorn_image found;
	int r = find(image, name, flags, &found);

	if (r < 0) {
		print_error("%s: %s\n", name, problem);
		fail();
	}
	assert_string_equal(found.name, expected);
	untorn_media_close(found.media);
}

static void assert_not_found(const struct image *image, const char *name, unsigned flags, int error,
			     const char *sentence)
{
	struct untorn_image found = {.name = "unchanged"};

	assert_int_equal(find(image, name, flags, &found), error);
	assert_string_equal(problem, sentence);
	assert_string_equal(found.name, "unchanged");
}

/* Make a BTT where the label says after the claim. Returns its uuid as text. */
static const char *format_volume(const struct image *image, const char *name)
{
	const struct untorn_image_claim claim = {.holder_class = UNTORN_CLASS_BTT, .sector_size = 512};
	struct untorn_media *media = open_image(image, 0);
	static char text[UUID_STR_LEN];
	struct untorn_image_claim old;
	struct untorn_image found;
	uuid_t uuid;

	assert_int_equal(untorn_image_claim(media, LABEL_SIZE, name, &claim, problem, sizeof(problem), &old), 0);
	assert_int_equal(old.holder_class, UNTORN_CLASS_NONE);
	untorn_media_close(media);
	assert_int_equal(find(image, name, 0, &found), 0);
	uuid_generate(uuid);
	assert_int_equal(untorn_btt_format(found.media,
					   &(struct untorn_btt_format_options){
						   .layout = found.layout,
						   .uuid = uuid,
						   .parent_uuid = found.parent_uuid,
					   }),
			 0);
	untorn_media_close(found.media);
	uuid_unparse(uuid, text);
	return text;
}

/* -------------------------------------------------------------- tests ------------------------------------------------------- */

static void test_which(void **state)
{
	const struct image image = new_image(UNTORN_LABEL_V1_2);
	struct bus bus;
	const char *uuid;

	(void)state;
	assert_not_found(&image, NULL, 0, -ENODEV, "it has labels, but no namespace; create one first");
	assert_not_found(&image, "a", 0, -ENODEV, "it has labels, but no namespace; create one first");
	assert_not_found(&image, "namespace0.0", 0, -ENXIO, "namespace0.0: it has no size yet");
	bus = open_bus(&image, 0);
	add_namespace(&bus, 1, 32 * MIB, "a");
	close_bus(&bus);
	assert_found(&image, NULL, UNTORN_IMAGE_ANY, "namespace0.0");
	assert_not_found(&image, NULL, 0, -ENODEV, "no namespace has a BTT; there are namespace0.0 \"a\"");

	bus = open_bus(&image, 0);
	add_namespace(&bus, 2, 48 * MIB, "b");
	add_namespace(&bus, 3, 16 * MIB, "b");
	add_namespace(&bus, 4, 16 * MIB, "namespace0.0");
	close_bus(&bus);
	assert_not_found(&image, NULL, UNTORN_IMAGE_ANY, -ENOTUNIQ,
			 "it has 4 namespaces: namespace0.0 \"a\", namespace0.1 \"b\", namespace0.2 \"b\", "
			 "namespace0.3 \"namespace0.0\"");
	assert_not_found(&image, "b", 0, -ENOTUNIQ,
			 "several namespaces are called \"b\": there are namespace0.0 \"a\", namespace0.1 \"b\", "
			 "namespace0.2 \"b\", namespace0.3 \"namespace0.0\"");
	assert_found(&image, "a", 0, "namespace0.0");
	/* A label cannot hide a device. */
	assert_found(&image, "namespace0.0", 0, "namespace0.0");
	assert_found(&image, "00000000-0000-4000-8000-000000000003", 0, "namespace0.2");
	/* Devices that are no namespaces, and no name at all. */
	assert_int_equal(find(&image, "region0", 0, &(struct untorn_image){0}), -ENODEV);
	assert_int_equal(find(&image, "", 0, &(struct untorn_image){0}), -ENODEV);

	/* The BTT is known by the label, and by its uuid. */
	uuid = format_volume(&image, "namespace0.1");
	assert_found(&image, NULL, 0, "namespace0.1");
	assert_found(&image, uuid, 0, "namespace0.1");
	format_volume(&image, "namespace0.2");
	assert_not_found(&image, NULL, 0, -ENOTUNIQ,
			 "it has 2 namespaces with a BTT: namespace0.1 \"b\", namespace0.2 \"b\"");
	close(image.fd);
}

/* 2.0 under v1.2 labels, which say so; 1.1 under v1.1, which say nothing. The claim is what it was when it is taken back. */
static void test_claim(void **state)
{
	(void)state;
	for (unsigned version = UNTORN_LABEL_V1_1; version <= UNTORN_LABEL_V1_2; version++) {
		const struct untorn_image_claim raw = {.holder_class = UNTORN_CLASS_NONE, .sector_size = 4096};
		const struct image image = new_image((enum untorn_label_version)version);
		bool is_v1_2 = version == UNTORN_LABEL_V1_2;
		struct bus bus = open_bus(&image, 0);
		struct untorn_image_claim old;
		struct untorn_media *media;
		struct untorn_image found;

		add_namespace(&bus, 1, 32 * MIB, "a");
		close_bus(&bus);
		format_volume(&image, "a");
		assert_int_equal(find(&image, "a", 0, &found), 0);
		assert_int_equal(found.layout, is_v1_2 ? UNTORN_BTT_V2_0 : UNTORN_BTT_V1_1);
		assert_int_equal(found.holder_class, is_v1_2 ? UNTORN_CLASS_BTT2 : UNTORN_CLASS_NONE);
		assert_int_equal(found.parent_uuid[15], 1);
		untorn_media_close(found.media);

		media = open_image(&image, 0);
		assert_int_equal(untorn_image_claim(media, LABEL_SIZE, "a", &raw, problem, sizeof(problem), &old), 0);
		assert_int_equal(old.sector_size, 512);
		assert_int_equal(old.holder_class, is_v1_2 ? UNTORN_CLASS_BTT2 : UNTORN_CLASS_NONE);
		assert_int_equal(untorn_image_claim(media, LABEL_SIZE, "a", &old, problem, sizeof(problem), &old), 0);
		assert_int_equal(old.sector_size, 4096);
		assert_int_equal(old.holder_class, UNTORN_CLASS_NONE);
		assert_int_equal(untorn_image_claim(media, LABEL_SIZE, "b", &raw, problem, sizeof(problem), &old),
				 -ENODEV);
		assert_string_equal(problem, "there is no namespace \"b\", but namespace0.0 \"a\"");
		untorn_media_close(media);

		media = open_image(&image, UNTORN_MEDIA_READ_ONLY);
		assert_true(untorn_image_claim(media, LABEL_SIZE, "a", &raw, problem, sizeof(problem), &old) < 0);
		untorn_media_close(media);
		close(image.fd);
	}
}

/* The bytes stay when devices and the image's medium are gone, and the file stays locked. */
static void test_lifetime(void **state)
{
	const struct image image = new_image(UNTORN_LABEL_V1_2);
	struct bus bus = open_bus(&image, 0);
	struct untorn_media *media;
	struct untorn_image found;
	char byte = 0;

	(void)state;
	add_namespace(&bus, 1, 16 * MIB, "a");
	add_namespace(&bus, 2, 16 * MIB, "b");
	close_bus(&bus);
	assert_int_equal(find(&image, "b", 0, &found), 0);
	assert_int_equal(untorn_media_open(image.path, UNTORN_MEDIA_AUTO, 0, &media), -EBUSY);
	assert_int_equal(untorn_media_size(found.media), 16 * MIB);
	assert_int_equal(untorn_media_write(found.media, 0, "b", 1), 0);
	untorn_media_close(found.media);
	media = open_image(&image, 0);
	assert_int_equal(untorn_media_read(media, 16 * MIB, &byte, 1), 0);
	assert_int_equal(byte, 'b');
	untorn_media_close(media);
	close(image.fd);
}

/* Labels say in which slot they were written. */
static void test_slots(void **state)
{
	(void)state;
	for (unsigned version = UNTORN_LABEL_V1_1; version <= UNTORN_LABEL_V1_2; version++) {
		const struct image image = new_image((enum untorn_label_version)version);
		struct bus bus = open_bus(&image, 2);

		add_namespace(&bus, 1, 16 * MIB, "a");
		close_bus(&bus);
		assert_found(&image, "a", 0, "namespace0.0");
		close(image.fd);
	}
}

/* Names from labels may be long, many, and hold anything. */
static void test_sentences(void **state)
{
	static const char odd[] = "a\x1b[2J\nb\x7f",
			  first[] = "it has 11 namespaces: namespace0.0 \"a?[2J?b?\", namesp";
	const struct image image = new_image(UNTORN_LABEL_V1_2);
	struct bus bus = open_bus(&image, 0);
	struct untorn_media *media;
	struct untorn_image found;
	char small[10], name[64];

	(void)state;
	add_namespace(&bus, 1, 16 * MIB, odd);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (uint8_t id = 2; id < 12; id++)
		add_namespace(&bus, id, 16 * MIB, name);
	close_bus(&bus);
	assert_int_equal(find(&image, NULL, UNTORN_IMAGE_ANY, &found), -ENOTUNIQ);
	assert_memory_equal(problem, first, sizeof(first) - 1);
	assert_true(strlen(problem) < 450);
	assert_int_equal(find(&image, "x", 1u << 5, &found), -EINVAL);
	assert_string_equal(problem, "unknown flags 0x20");

	media = open_image(&image, 0);
	assert_int_equal(untorn_image_open(media, LABEL_SIZE, NULL, 0, small, sizeof(small), &found), -ENODEV);
	assert_string_equal(small, "no namesp");
	assert_int_equal(untorn_image_open(media, LABEL_SIZE + 1, NULL, 0, problem, sizeof(problem), &found), -EINVAL);
	assert_non_null(strstr(problem, "label size 131073"));
	untorn_media_close(media);
	close(image.fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which), cmocka_unit_test(test_claim),     cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_slots), cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
