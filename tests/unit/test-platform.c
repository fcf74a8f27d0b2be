/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Platforms: QEMU's words and platform files, good and bad; the files behind them; where the bytes of regions lie.
 *
 * Runs in a temporary folder of its own, so file names are short.
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "device/platform.h"
#include "media/media.h"
#include "media/memory.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* -------------------------------------------------------- helpers -------------------------------------------------------- */

static void make_file(const char *name, uint64_t size)
{
	_cleanup_close_ int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_return_code(ftruncate(fd, (off_t)size), errno);
}

static bool exists(const char *name)
{
	return access(name, F_OK) == 0;
}

static uint64_t file_size(const char *name)
{
	struct stat st;

	assert_return_code(stat(name, &st), errno);
	return (uint64_t)st.st_size;
}

static struct untorn_platform *new_platform(void)
{
	struct untorn_platform *platform = NULL;

	assert_int_equal(untorn_platform_new(&platform), 0);
	assert_string_equal(untorn_platform_error(platform), "");
	return platform;
}

static void assert_works(struct untorn_platform *platform, int r, int line)
{
	if (r < 0) {
		print_error("line %d: %s: %s\n", line, strerror(-r), untorn_platform_error(platform));
		fail();
	}
}
#define WORKS(platform, call) assert_works(platform, call, __LINE__)

static void assert_refused(struct untorn_platform *platform, int r, int expected, const char *part, int line)
{
	const char *error = untorn_platform_error(platform);

	if (r != expected || !strstr(error, part)) {
		print_error("line %d: %d instead of %d: \"%s\" without \"%s\"\n", line, r, expected, error, part);
		fail();
	}
}
#define REFUSED(platform, call, error, part) assert_refused(platform, call, error, part, __LINE__)

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A platform from a platform file of that text. */
static struct untorn_platform *load(const char *text)
{
	struct untorn_platform *platform = new_platform();

	write_text("platform.json", text);
	WORKS(platform, untorn_platform_load(platform, "platform.json"));
	return platform;
}

static struct untorn_platform *nvdimm(const char *text)
{
	struct untorn_platform *platform = new_platform();

	WORKS(platform, untorn_platform_add_nvdimm(platform, text));
	return platform;
}

/* What cannot be told by a sentence about one file: opening it is refused, and leaves nothing open. */
static void open_refused(struct untorn_platform *platform, unsigned flags, int error, const char *part, int line)
{
	assert_refused(platform, platform_open(platform, flags), error, part, line);
	assert_false(platform->is_open);
	for (unsigned i = 0; i < platform->ndimm; i++)
		assert_null(platform->dimms[i].media);
	untorn_platform_free(platform);
}
#define OPEN_REFUSED(platform, flags, error, part) open_refused(platform, flags, error, part, __LINE__)

static void close_platform(struct untorn_platform *platform)
{
	platform_close(platform);
	untorn_platform_free(platform);
}

/* --------------------------------------------------------- words --------------------------------------------------------- */

static void test_words(void **state)
{
	static const struct {
		const char *text, *path;
		uint64_t size, label_size;
		bool has_size, has_label_size, unarmed;
	} good[] = {
		{.text = "mem-path=a", .path = "a"},
		{.text = "mem-path=a,,b", .path = "a,b"},
		{.text = "mem-path=a,,", .path = "a,"},
		{.text = "mem-path=,,=,size=8192", .path = ",=", .size = 8192, .has_size = true},
		{.text = "size=1G,mem-path=/x/y", .path = "/x/y", .size = GIB, .has_size = true},
		{.text = "mem-path=a,label-size=0", .path = "a", .has_label_size = true},
		{.text = "mem-path=a,label-size=128K", .path = "a", .label_size = 128 * KIB, .has_label_size = true},
		{.text = "unarmed=on,label-size=0x20000,size=256KiB,mem-path=a",
		 .path = "a",
		 .size = 256 * KIB,
		 .label_size = 128 * KIB,
		 .has_size = true,
		 .has_label_size = true,
		 .unarmed = true},
		{.text = "mem-path=a,unarmed=off", .path = "a"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct untorn_platform *platform = nvdimm(good[i].text);
		const struct platform_dimm *dimm = platform->dimms;

		assert_int_equal(platform->ndimm, 1);
		assert_string_equal(dimm->path, good[i].path);
		assert_int_equal(dimm->size, good[i].size);
		assert_int_equal(dimm->has_size, good[i].has_size);
		assert_int_equal(dimm->label_size, good[i].label_size);
		assert_int_equal(dimm->has_label_size, good[i].has_label_size);
		assert_int_equal(dimm->unarmed, good[i].unarmed);
		untorn_platform_free(platform);
	}
	untorn_platform_free(NULL);
}

static void test_bad_words(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{"", "mem-path=FILE"},
		{"a", "\"a\""},
		{"mem-path=", "mem-path"},
		{"size=1G", "mem-path is missing"},
		{"mem-path=a,", "mem-path=FILE"},
		{"mem-path=a,,,", "mem-path=FILE"},
		{"mem-path=a,sise=1G", "\"sise\" is not known"},
		{"mem-path=a,Size=1G", "\"Size\" is not known"},
		{"mem-path=a,mem-path=b", "mem-path is given twice"},
		{"mem-path=a,size=1G,size=1G", "size is given twice"},
		{"mem-path=a,size", "\"size\""},
		{"mem-path=a,size=", "size=: expected a size"},
		{"mem-path=a,size=1X", "size=1X: expected a size"},
		{"mem-path=a,size=-1", "size=-1: expected a size"},
		{"mem-path=a,size=0", "size 0"},
		{"mem-path=a,size=4097", "size 4097 is not a multiple of 4096"},
		{"mem-path=a,size=8E", "expected a size"},
		{"mem-path=a,label-size=4K", "label-size 4096 is neither 0"},
		{"mem-path=a,label-size=131073", "label-size 131073"},
		{"mem-path=a,size=1M,label-size=1M", "leaves nothing"},
		{"mem-path=a,size=128K,label-size=1M", "leaves nothing"},
		{"mem-path=a,size=256K,label-size=260096", "leaves nothing"},
		{"mem-path=a,unarmed=maybe", "expected on or off"},
		{"mem-path=a,unarmed=", "expected on or off"},
	};
	struct untorn_platform *platform = new_platform();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		REFUSED(platform, untorn_platform_add_nvdimm(platform, bad[i].text), -EINVAL, bad[i].part);
		assert_int_equal(platform->ndimm + platform->nregion, 0);
	}
	/* And goes on to work. */
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=a"));
	untorn_platform_free(platform);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{"0", 0},
		{"7", 7},
		{"010", 10},
		{"0x10", 16},
		{"0XfF", 255},
		{"1k", KIB},
		{"1K", KIB},
		{"3MiB", 3 * MIB},
		{"2G", 2 * GIB},
		{"1t", 1024 * GIB},
		{"0x1M", MIB},
		{"1P", MIB * GIB},
		{"7E", 7 * GIB * GIB},
		{"9223372036854775807", INT64_MAX},
	};
	static const char *const bad[] = {
		"",
		" 1",
		"1 ",
		"+1",
		"-1",
		"0x",
		"0x 1",
		"0x-1",
		"0x0x1",
		"1KB",
		"1Ki",
		"1iB",
		"1KK",
		"K",
		"1.5G",
		"1B",
		"8E",
		"16E",
		"9223372036854775808",
		"18446744073709551616",
		"1\n",
	};
	uint64_t size = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(platform_parse_size(bad[i], &size), -EINVAL);
		assert_int_equal(size, 77);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(platform_parse_size(good[i].text, &size), 0);
		assert_int_equal(size, good[i].size);
	}
}

/* Each slot is what QEMU says it is, with one region over all of it. SPEC 10. */
static void test_identities(void **state)
{
	struct untorn_platform *platform = nvdimm("mem-path=a");

	(void)state;
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=b"));
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=c"));
	assert_int_equal(platform->ndimm, 3);
	assert_int_equal(platform->nregion, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct platform_identity *id = &platform->dimms[i].id;

		assert_int_equal(id->handle, i + 1);
		assert_int_equal(id->phys_id, 0);
		assert_int_equal(id->serial, 0x123456 + i);
		assert_int_equal(id->vendor, 0x8086);
		assert_int_equal(id->device, 1);
		assert_int_equal(id->revision, 1);
		assert_int_equal(id->format, 0x301);
		assert_false(id->has_manufacturing);
		assert_int_equal(platform->regions[i].kind, UNTORN_REGION_PMEM);
		assert_int_equal(platform->regions[i].nmapping, 1);
		assert_int_equal(platform->regions[i].mappings[0].dimm, i);
	}
	assert_string_equal(platform->provider, "ACPI.NFIT");
	untorn_platform_free(platform);
}

/* --------------------------------------------------------- files --------------------------------------------------------- */

static void test_open(void **state)
{
	struct untorn_platform *platform;

	(void)state;
	make_file("a", 8 * MIB);
	make_file("b", 8 * MIB + 5);
	platform = nvdimm("mem-path=a");
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=b,size=4M,label-size=131080,unarmed=on"));
	for (unsigned round = 0; round < 2; round++) {
		WORKS(platform, platform_open(platform, 0));
		assert_int_equal(platform->dimms[0].size, 8 * MIB);
		assert_int_equal(platform->dimms[0].label_size, 0);
		assert_int_equal(platform->dimms[0].pmem_size, 8 * MIB);
		assert_int_equal(untorn_media_size(platform->dimms[1].media), 4 * MIB);
		assert_int_equal(platform->dimms[1].pmem_size, 4 * MIB - 128 * KIB - 4096);
		assert_int_equal(platform->regions[0].size, 8 * MIB);
		assert_int_equal(platform->regions[0].resource, 4 * GIB);
		assert_int_equal(platform->regions[1].resource, 8 * GIB);
		assert_true(platform->regions[0].has_iset);
		assert_false(platform->regions[0].read_only);
		assert_true(platform->regions[1].read_only);
		REFUSED(platform, platform_open(platform, 0), -EBUSY, "already");
		REFUSED(platform, untorn_platform_add_nvdimm(platform, "mem-path=c"), -EBUSY, "while a bus is open");
		assert_int_equal(platform->ndimm, 2);
		platform_close(platform);
	}
	/* What is not told is found anew. */
	make_file("a", 16 * MIB);
	WORKS(platform, platform_open(platform, UNTORN_BUS_READ_ONLY));
	assert_int_equal(platform->regions[0].size, 16 * MIB);
	assert_true(platform->regions[0].read_only);
	assert_true(untorn_media_is_read_only(platform->dimms[0].media));
	assert_true(untorn_media_is_read_only(platform->regions[0].media));
	close_platform(platform);
	OPEN_REFUSED(nvdimm("mem-path=a"), 1u << 7, -EINVAL, "unknown flags 0x80");
}

static void test_open_errors(void **state)
{
	struct untorn_media *media;
	char part[64];

	(void)state;
	make_file("a", 8 * MIB);
	make_file("odd", 8 * MIB + 1);
	make_file("small", 4095);
	assert_return_code(mkdir("folder", 0700), errno);
	OPEN_REFUSED(nvdimm("mem-path=nowhere"), 0, -ENOENT, "nowhere: there is no such file");
	OPEN_REFUSED(nvdimm("mem-path=nowhere,size=4M"), 0, -ENOENT, "nowhere: there is no such file");
	OPEN_REFUSED(nvdimm("mem-path=nowhere"), UNTORN_BUS_CREATE, -ENOENT, "give its size");
	OPEN_REFUSED(nvdimm("mem-path=nowhere,size=4M"), UNTORN_BUS_CREATE | UNTORN_BUS_READ_ONLY, -ENOENT,
		     "nowhere: there is no such file");
	OPEN_REFUSED(nvdimm("mem-path=nofolder/a,size=4M"), UNTORN_BUS_CREATE, -ENOENT, "nofolder/a");
	assert_false(exists("nowhere"));
	OPEN_REFUSED(nvdimm("mem-path=odd"), 0, -EINVAL, "odd: its 8388609 bytes are not a multiple of 4096");
	OPEN_REFUSED(nvdimm("mem-path=a,size=16M"), 0, -EINVAL, "less than the size 16777216");
	OPEN_REFUSED(nvdimm("mem-path=a,label-size=8M"), 0, -EINVAL, "leave nothing of 8388608");
	OPEN_REFUSED(nvdimm("mem-path=a,label-size=16M"), 0, -EINVAL, "leave nothing of 8388608");
	OPEN_REFUSED(nvdimm("mem-path=small"), 0, -ENXIO, "small: smaller than 4096");
	OPEN_REFUSED(nvdimm("mem-path=folder"), 0, -EINVAL, "folder: neither a regular file");
	assert_return_code(rmdir("folder"), errno);

	assert_int_equal(untorn_media_open("a", UNTORN_MEDIA_AUTO, 0, &media), 0);
	snprintf(part, sizeof(part), "a: in use by process %d (", (int)getpid());
	OPEN_REFUSED(nvdimm("mem-path=a"), 0, -EBUSY, part);
	untorn_media_close(media);
}

static void test_same_file(void **state)
{
	static const char *const names[] = {"a", "./a", "soft", "hard"};

	(void)state;
	make_file("a", 8 * MIB);
	assert_return_code(symlink("a", "soft"), errno);
	assert_return_code(link("a", "hard"), errno);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (unsigned flags = 0; flags <= UNTORN_BUS_READ_ONLY; flags += UNTORN_BUS_READ_ONLY) {
			struct untorn_platform *platform = nvdimm("mem-path=a");
			char text[64];

			snprintf(text, sizeof(text), "mem-path=%s", names[i]);
			WORKS(platform, untorn_platform_add_nvdimm(platform, text));
			OPEN_REFUSED(platform, flags, -EINVAL, "it is dimm 0 already");
		}
	}
	/* None of them has kept it. */
	close_platform(({
		struct untorn_platform *platform = nvdimm("mem-path=hard");

		WORKS(platform, platform_open(platform, 0));
		platform;
	}));
	unlink("soft");
	unlink("hard");
}

static void test_create(void **state)
{
	struct untorn_platform *platform = nvdimm("mem-path=new,size=16M,label-size=128K");

	(void)state;
	make_file("a", 8 * MIB);
	WORKS(platform, platform_open(platform, UNTORN_BUS_CREATE));
	assert_int_equal(file_size("new"), 16 * MIB);
	platform_close(platform);
	assert_true(exists("new"));
	/* What is there is not made again. */
	assert_return_code(truncate("new", 24 * (off_t)MIB), errno);
	WORKS(platform, platform_open(platform, UNTORN_BUS_CREATE));
	assert_int_equal(file_size("new"), 24 * MIB);
	close_platform(platform);
	assert_return_code(unlink("new"), errno);

	/* All or nothing: too large for the file system or for addresses. */
	platform = nvdimm("mem-path=new,size=0x7ffffffffffff000");
	assert_true(platform_open(platform, UNTORN_BUS_CREATE) < 0);
	assert_false(exists("new"));
	untorn_platform_free(platform);
	platform = nvdimm("mem-path=new,size=16M");
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=a"));
	WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=nowhere"));
	OPEN_REFUSED(platform, UNTORN_BUS_CREATE, -ENOENT, "nowhere");
	assert_false(exists("new"));
	assert_true(exists("a"));
}

static void put_labels(const char *name, uint64_t end, uint64_t size, enum untorn_label_version version)
{
	struct untorn_label_area *area;
	struct untorn_media *media;

	assert_int_equal(untorn_media_open(name, UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_int_equal(untorn_label_open(media, end - size, size, &area), 0);
	assert_int_equal(untorn_label_init(area, version, 0), 0);
	untorn_label_close(area);
	untorn_media_close(media);
}

static void test_label_detection(void **state)
{
	static const struct {
		const char *text;
		uint64_t file, end, size, found, pmem;
		enum untorn_label_version version;
	} cases[] = {
		{"mem-path=a", 8 * MIB, 8 * MIB, 128 * KIB, 128 * KIB, 8 * MIB - 128 * KIB, UNTORN_LABEL_V1_1},
		{"mem-path=a", 8 * MIB, 8 * MIB, 128 * KIB, 128 * KIB, 8 * MIB - 128 * KIB, UNTORN_LABEL_V1_2},
		{"mem-path=a", 8 * MIB, 8 * MIB, 1 * MIB, 1 * MIB, 7 * MIB, UNTORN_LABEL_V1_2},
		{"mem-path=a", 8 * MIB, 8 * MIB, 140 * KIB, 140 * KIB, 8 * MIB - 140 * KIB, UNTORN_LABEL_V1_2},
		/* Told: not looked for. */
		{"mem-path=a,label-size=0", 8 * MIB, 8 * MIB, 128 * KIB, 0, 8 * MIB, UNTORN_LABEL_V1_2},
		{"mem-path=a,label-size=1M", 8 * MIB, 8 * MIB, 128 * KIB, 1 * MIB, 7 * MIB, UNTORN_LABEL_V1_2},
		/* At the end of what is used, not of the file. */
		{"mem-path=a,size=4M", 8 * MIB, 4 * MIB, 128 * KIB, 128 * KIB, 4 * MIB - 128 * KIB, UNTORN_LABEL_V1_2},
		{"mem-path=a,size=4M", 8 * MIB, 8 * MIB, 128 * KIB, 0, 4 * MIB, UNTORN_LABEL_V1_2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct untorn_platform *platform = nvdimm(cases[i].text);

		make_file("a", cases[i].file);
		put_labels("a", cases[i].end, cases[i].size, cases[i].version);
		WORKS(platform, platform_open(platform, UNTORN_BUS_READ_ONLY));
		assert_int_equal(platform->dimms[0].label_size, cases[i].found);
		assert_int_equal(platform->dimms[0].pmem_size, cases[i].pmem);
		close_platform(platform);
	}
	make_file("a", 128 * KIB);
	put_labels("a", 128 * KIB, 128 * KIB, UNTORN_LABEL_V1_2);
	OPEN_REFUSED(nvdimm("mem-path=a"), 0, -EINVAL, "131072 bytes of labels leave nothing of 131072");
}

/* Looking for labels leaves a sparse file as it is, also where a hole that is loaded takes space. */
static void test_label_detection_takes_no_space(void **state)
{
	char name[] = "/dev/shm/test-platform.XXXXXX";
	_cleanup_close_ int fd = mkstemp(name);
	struct untorn_media *media;
	uint64_t size = 7;
	struct stat st;

	(void)state;
	if (fd < 0)
		skip();
	assert_return_code(ftruncate(fd, 512 * MIB), errno);
	assert_int_equal(untorn_media_open(name, UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_return_code(unlink(name), errno);
	assert_int_equal(untorn_label_find(media, &size), 0);
	assert_int_equal(size, 0);
	assert_return_code(fstat(fd, &st), errno);
	assert_int_equal(st.st_blocks, 0);
	untorn_media_close(media);
}

/* ------------------------------------------------------ platform files --------------------------------------------------- */

static void test_file_dimms(void **state)
{
	struct untorn_platform *platform = load(
		"{\"provider\": \"nowhere\", \"dimms\": ["
		" {\"mem-path\": \"x\"},"
		" {\"mem-path\": \"/x/y\", \"size\": 8388608, \"label-size\": \"128K\", \"serial\": \"0xdeadbeef\","
		"  \"vendor\": 4660, \"device\": 7, \"revision\": 65535, \"date\": \"0x2018\", \"location\": 255,"
		"  \"handle\": 4294967295, \"phys-id\": 9, \"unarmed\": true, \"locked\": true},"
		" {\"mem-path\": \"z\", \"location\": 1, \"label-size\": 0, \"unarmed\": false}]}\n");
	const struct platform_dimm *dimm = platform->dimms;

	(void)state;
	assert_string_equal(platform->provider, "nowhere");
	assert_int_equal(platform->ndimm, 3);
	assert_int_equal(platform->nregion, 3);
	assert_string_equal(dimm[0].path, "x");
	assert_false(dimm[0].has_size || dimm[0].has_label_size || dimm[0].unarmed || dimm[0].locked);
	assert_int_equal(dimm[0].id.serial, 0x123456);
	assert_string_equal(dimm[1].path, "/x/y");
	assert_true(dimm[1].has_size && dimm[1].has_label_size && dimm[1].unarmed && dimm[1].locked);
	assert_int_equal(dimm[1].size, 8 * MIB);
	assert_int_equal(dimm[1].label_size, 128 * KIB);
	assert_int_equal(dimm[1].id.serial, 0xdeadbeef);
	assert_int_equal(dimm[1].id.vendor, 0x1234);
	assert_int_equal(dimm[1].id.device, 7);
	assert_int_equal(dimm[1].id.revision, 0xffff);
	assert_int_equal(dimm[1].id.date, 0x2018);
	assert_int_equal(dimm[1].id.location, 255);
	assert_int_equal(dimm[1].id.handle, 0xffffffff);
	assert_int_equal(dimm[1].id.phys_id, 9);
	assert_true(dimm[1].id.has_manufacturing);
	assert_true(dimm[2].has_label_size && dimm[2].id.has_manufacturing);
	assert_int_equal(dimm[2].id.serial, 0x123458);
	assert_int_equal(dimm[2].id.handle, 3);

	/* A second one adds to it; its dimms count from 0, and its paths start from its folder. */
	assert_return_code(mkdir("folder", 0700), errno);
	write_text("folder/more.json", "{\"regions\": [{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}]}],"
				       " \"dimms\": [{\"mem-path\": \"w\"}]}");
	WORKS(platform, untorn_platform_load(platform, "folder/more.json"));
	assert_int_equal(platform->ndimm, 4);
	assert_int_equal(platform->nregion, 4);
	assert_string_equal(platform->dimms[3].path, "folder/w");
	assert_int_equal(platform->regions[3].mappings[0].dimm, 3);
	assert_string_equal(platform->provider, "nowhere");
	unlink("folder/more.json");
	rmdir("folder");
	untorn_platform_free(platform);
}

static void test_file_regions(void **state)
{
	struct untorn_platform *platform =
		load("{\"dimms\": [{\"mem-path\": \"x\"}, {\"mem-path\": \"y\"}], \"regions\": ["
		     " {\"type\": \"pmem\", \"mappings\": [{\"dimm\": 1, \"start\": \"1M\", \"size\": \"2M\","
		     "  \"region-offset\": \"4K\"}, {\"dimm\": 0}], \"interleave\": 4096, \"size\": \"4M\","
		     "  \"resource\": \"0x200000000\", \"numa-node\": 1, \"target-node\": -1, \"read-only\": true},"
		     " {\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}]},"
		     " {\"type\": \"volatile\", \"size\": \"64M\", \"mem-path\": \"v\"}]}");
	const struct platform_region *region = platform->regions;

	(void)state;
	assert_int_equal(platform->nregion, 3);
	assert_int_equal(region[0].kind, UNTORN_REGION_PMEM);
	assert_int_equal(region[0].nmapping, 2);
	assert_int_equal(region[0].mappings[0].dimm, 1);
	assert_int_equal(region[0].mappings[0].start, MIB);
	assert_int_equal(region[0].mappings[0].size, 2 * MIB);
	assert_int_equal(region[0].mappings[0].region_offset, 4096);
	assert_int_equal(region[0].mappings[1].dimm, 0);
	assert_false(region[0].mappings[1].has_size);
	assert_int_equal(region[0].interleave, 4096);
	assert_int_equal(region[0].resource, 8 * GIB);
	assert_int_equal(region[0].numa_node, 1);
	assert_int_equal(region[0].target_node, -1);
	assert_true(region[0].always_read_only);
	assert_int_equal(region[1].kind, UNTORN_REGION_BLK);
	assert_int_equal(region[1].interleave, 256 * KIB);
	assert_int_equal(region[1].numa_node, 0);
	assert_int_equal(region[2].kind, UNTORN_REGION_VOLATILE);
	assert_int_equal(region[2].size, 64 * MIB);
	assert_string_equal(region[2].path, "v");
	untorn_platform_free(platform);
}

#define DIMM          "{\"mem-path\": \"a\"}"
#define DIMMS         "\"dimms\": [" DIMM ", {\"mem-path\": \"b\"}]"
#define REGION(text)  "{" DIMMS ", \"regions\": [{" text "}]}"
#define PMEM(text)    REGION("\"type\": \"pmem\", \"mappings\": [" text "]")
#define OF_DIMM(text) "{\"dimms\": [" DIMM ", {\"mem-path\": \"b\", " text "}]}"

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{"", "platform.json: line 1: not JSON"},
		{"{", "line 1: not JSON"},
		{"{\n\n\"dimms\": [}", "line 3: not JSON"},
		{"{} {}", "not JSON"},
		{"{\"dimms\": [],}", "not JSON"},
		{"[[[[[[[[[[[[]]]]]]]]]]]]", "not JSON"},
		{"{\"provider\": \"\xff\"}", "not JSON"},
		{"[]", "platform.json: not an object"},
		{"7", "platform.json: not an object"},
		{"null", "platform.json: not an object"},
		{"{\"dimm\": []}", "platform.json: dimm: unknown key"},
		{"{\"dimms\": {}}", "dimms: not a list"},
		{"{\"dimms\": null}", "dimms: not a list"},
		{"{\"dimms\": [7]}", "dimms[0]: not an object"},
		{"{\"dimms\": [null]}", "dimms[0]: not an object"},
		{"{\"dimms\": [{}]}", "dimms[0].mem-path: missing"},
		{"{\"provider\": 7}", "provider: not a text"},
		{"{\"provider\": \"a\\u0000b\"}", "provider: not a text"},
		{"{\"dimms\": [{\"mem-path\": \"\"}]}", "dimms[0].mem-path: not the path"},
		{"{\"dimms\": [{\"mem-path\": 7}]}", "dimms[0].mem-path: not the path"},
		{"{\"dimms\": [{\"mem-path\": \"a\\u0000b\"}]}", "dimms[0].mem-path: not the path"},
		{OF_DIMM("\"sise\": 4096"), "dimms[1].sise: unknown key"},
		{OF_DIMM("\"size\": 1.5"), "dimms[1].size: not a size"},
		{OF_DIMM("\"size\": -4096"), "dimms[1].size: not a size"},
		{OF_DIMM("\"size\": \"1X\""), "dimms[1].size: not a size"},
		{OF_DIMM("\"size\": 99999999999999999999"), "dimms[1].size: not a size"},
		{OF_DIMM("\"size\": true"), "dimms[1].size: not a size"},
		{OF_DIMM("\"size\": 0"), "dimms[1]: size 0"},
		{OF_DIMM("\"size\": 4097"), "dimms[1]: size 4097"},
		{OF_DIMM("\"label-size\": 4096"), "dimms[1]: label-size 4096"},
		{OF_DIMM("\"size\": \"1M\", \"label-size\": \"1M\""), "dimms[1]: label-size 1048576 leaves nothing"},
		{OF_DIMM("\"vendor\": 65536"), "dimms[1].vendor: not a number from 0 to 65535"},
		{OF_DIMM("\"location\": \"0x100\""), "dimms[1].location: not a number from 0 to 255"},
		{OF_DIMM("\"serial\": 4294967296"), "dimms[1].serial: not a number from 0 to 4294967295"},
		{OF_DIMM("\"serial\": -1"), "dimms[1].serial: not a number"},
		{OF_DIMM("\"serial\": [1]"), "dimms[1].serial: not a number"},
		{OF_DIMM("\"unarmed\": 1"), "dimms[1].unarmed: neither true nor false"},
		{OF_DIMM("\"locked\": \"true\""), "dimms[1].locked: neither true nor false"},
		{OF_DIMM("\"handle\": 1"), "dimms 0 and 1 have the same handle 0x1"},
		{"{\"regions\": 1}", "regions: not a list"},
		{"{\"regions\": [1]}", "regions[0]: not an object"},
		{REGION(""), "regions[0].type: missing"},
		{REGION("\"type\": \"PMEM\""), "regions[0].type: not one of pmem"},
		{REGION("\"type\": 1"), "regions[0].type: not one of pmem"},
		{REGION("\"type\": \"pmem\""), "regions[0]: mappings are missing"},
		{REGION("\"type\": \"pmem\", \"mappings\": {}"), "regions[0].mappings: not a list"},
		{PMEM(""), "regions[0]: mappings are missing"},
		{PMEM("0"), "regions[0].mappings[0]: not an object"},
		{PMEM("{}"), "regions[0].mappings[0].dimm: missing"},
		{PMEM("{\"dimm\": 2}"), "regions[0].mappings[0]: dimm 2, but there are 2"},
		{PMEM("{\"dimm\": 4294967295}"), "regions[0].mappings[0]: dimm 4294967295"},
		{PMEM("{\"dimm\": 0}, {\"dimm\": 1, \"name\": 1}"), "regions[0].mappings[1].name: unknown key"},
		{PMEM("{\"dimm\": 0}, {\"dimm\": 0}"), "regions[0].mappings[1]: the dimm has a mapping"},
		{PMEM("{\"dimm\": 0, \"start\": 1}"), "regions[0].mappings[0]: start or size"},
		{PMEM("{\"dimm\": 0, \"size\": 4097}"), "regions[0].mappings[0]: start or size"},
		{PMEM("{\"dimm\": 0, \"size\": 0}"), "regions[0].mappings[0]: start or size"},
		{REGION("\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}, {\"dimm\": 1}]"), "has one mapping, not 2"},
		{REGION("\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}], \"resource\": 4096"), "has no resource"},
		{REGION("\"type\": \"volatile\""), "regions[0]: size is missing"},
		{REGION("\"type\": \"volatile\", \"size\": 4097"), "regions[0]: size is not a multiple"},
		{REGION("\"type\": \"volatile\", \"size\": 0"), "regions[0]: size is not a multiple"},
		{REGION("\"type\": \"volatile\", \"size\": 4096, \"mappings\": [{\"dimm\": 0}]"), "has no mappings"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"mem-path\": \"v\""),
		 "only a volatile region"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"interleave\": 2048"), "power of two"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"interleave\": 12288"), "power of two"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"resource\": 1"),
		 "resource is not a multiple"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"numa-node\": -2"),
		 "numa-node: not the number"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"target-node\": \"0\""),
		 "target-node: not"},
		{REGION("\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}], \"read-only\": 0"), "read-only: neither"},
	};
	struct untorn_platform *platform = new_platform();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text("platform.json", bad[i].text);
		REFUSED(platform, untorn_platform_load(platform, "platform.json"), -EINVAL, bad[i].part);
		assert_int_equal(platform->ndimm + platform->nregion, 0);
		assert_string_equal(platform->provider, "ACPI.NFIT");
	}
	REFUSED(platform, untorn_platform_load(platform, "nowhere.json"), -ENOENT, "nowhere.json");
	REFUSED(platform, untorn_platform_load(platform, "."), -EISDIR, ".");
	make_file("platform.json", 8192); /* NULs */
	REFUSED(platform, untorn_platform_load(platform, "platform.json"), -EINVAL, "not JSON");
	make_file("platform.json", MIB + 1);
	REFUSED(platform, untorn_platform_load(platform, "platform.json"), -EINVAL, "too long");
	untorn_platform_free(platform);
}

static void test_many(void **state)
{
	struct untorn_platform *platform = new_platform();

	(void)state;
	for (unsigned i = 0; i < PLATFORM_ITEMS_MAX; i++)
		WORKS(platform, untorn_platform_add_nvdimm(platform, "mem-path=a"));
	REFUSED(platform, untorn_platform_add_nvdimm(platform, "mem-path=a"), -EINVAL, "more than 1024 dimms");
	assert_int_equal(platform->ndimm, PLATFORM_ITEMS_MAX);
	assert_int_equal(platform->nregion, PLATFORM_ITEMS_MAX);
	untorn_platform_free(platform);
}

/* -------------------------------------------------------- regions -------------------------------------------------------- */

/* What only the sizes of the files tell: a has 8 MiB, b 16 MiB. */
static void test_bad_regions(void **state)
{
	static const struct {
		const char *regions, *part;
	} bad[] = {
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"size\":\"9M\"}]}",
		 "not within the 8388608 bytes of dimm 0"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"start\":\"8M\"}]}", "not within"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"start\":\"9M\"}]}", "not within"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"start\":\"7M\",\"size\":\"2M\"}]}", "not within"},
		{"{\"type\":\"blk\",\"mappings\":[{\"dimm\":0,\"size\":\"9M\"}]}", "not within"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0},{\"dimm\":1}]}",
		 "size 16777216 on dimm 1, but 8388608 on dimm 0"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"size\":\"4M\"},{\"dimm\":1,\"size\":\"4M\"}],"
		 "\"interleave\":\"8M\"}",
		 "region 0: size 4194304 on dimm 0 is not a multiple of 8388608"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0,\"size\":\"4M\"}],\"size\":\"5M\"}",
		 "its mappings have 4194304"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0}]},"
		 "{\"type\":\"pmem\",\"mappings\":[{\"dimm\":1,\"size\":\"1M\"},{\"dimm\":0,\"start\":\"7M\"}]}",
		 "regions 0 and 1 overlap on dimm 0"},
		{"{\"type\":\"blk\",\"mappings\":[{\"dimm\":0}]},{\"type\":\"blk\",\"mappings\":[{\"dimm\":0}]}",
		 "regions 0 and 1 overlap on dimm 0"},
		{"{\"type\":\"pmem\",\"mappings\":[{\"dimm\":0}],\"resource\":\"4G\"},"
		 "{\"type\":\"volatile\",\"size\":\"1M\",\"resource\":\"4099M\"}",
		 "regions 0 and 1 overlap at address 0x100300000"},
		{"{\"type\":\"volatile\",\"size\":8192,\"resource\":\"0x7fffffffffffe000\"}",
		 "ends beyond all addresses"},
		{"{\"type\":\"volatile\",\"size\":4096,\"resource\":\"0x7fffffffffffe000\"},"
		 "{\"type\":\"volatile\",\"size\":4096}",
		 "region 1: no addresses are left"},
		{"{\"type\":\"volatile\",\"size\":4096,\"mem-path\":\"b\"}", "b: it is dimm 1 already"},
		{"{\"type\":\"volatile\",\"size\":\"1M\",\"mem-path\":\"c\"},"
		 "{\"type\":\"volatile\",\"size\":\"1M\",\"mem-path\":\"c\"}",
		 "c: it is region 0 already"},
		{"{\"type\":\"volatile\",\"size\":\"2M\",\"mem-path\":\"c\"}", "less than the size 2097152"},
	};

	(void)state;
	make_file("a", 8 * MIB);
	make_file("b", 16 * MIB);
	make_file("c", MIB);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[600];

		snprintf(text, sizeof(text), "{" DIMMS ", \"regions\": [%s]}", bad[i].regions);
		OPEN_REFUSED(load(text), 0, -EINVAL, bad[i].part);
	}
}

static void test_region_defaults(void **state)
{
	struct untorn_platform *platform =
		load("{" DIMMS ", \"regions\": ["
		     "{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 1, \"start\": \"8M\"}, {\"dimm\": 0}]},"
		     "{\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}]},"
		     "{\"type\": \"volatile\", \"size\": \"1M\", \"resource\": \"16G\"},"
		     "{\"type\": \"pmem\", \"size\": \"4M\", \"mappings\": [{\"dimm\": 1}]}]}");
	const struct platform_region *region = platform->regions;

	(void)state;
	make_file("a", 8 * MIB + 4096);
	make_file("b", 16 * MIB + 128 * KIB);
	WORKS(platform, platform_open(platform, 0));
	/* In whole lines. */
	assert_int_equal(region[0].mappings[0].size, 8 * MIB);
	assert_int_equal(region[0].mappings[1].size, 8 * MIB);
	assert_int_equal(region[0].size, 16 * MIB);
	assert_int_equal(untorn_media_size(region[0].media), 16 * MIB);
	assert_int_equal(region[0].resource, 20 * GIB);
	assert_int_equal(region[1].size, 8 * MIB + 4096);
	assert_false(region[1].has_iset);
	assert_null(region[1].media);
	assert_int_equal(region[2].resource, 16 * GIB);
	assert_false(region[2].has_iset);
	assert_int_equal(region[3].size, 4 * MIB);
	assert_int_equal(region[3].resource, 24 * GIB);
	close_platform(platform);
}

/* More lines than can be mapped: the interleave that is named works. */
static void test_many_lines(void **state)
{
	static const char text[] = "{" DIMMS ", \"regions\": [{\"type\": \"pmem\", \"interleave\": \"%s\","
				   " \"mappings\": [{\"dimm\": 0}, {\"dimm\": 1}]}]}";
	struct untorn_platform *platform;
	char json[400];

	(void)state;
	make_file("a", GIB);
	make_file("b", GIB);
	snprintf(json, sizeof(json), text, "4K");
	OPEN_REFUSED(load(json), 0, -EINVAL, "choose an interleave such as 128K");
	snprintf(json, sizeof(json), text, "128K");
	platform = load(json);
	WORKS(platform, platform_open(platform, 0));
	assert_int_equal(untorn_media_size(platform->regions[0].media), 2 * GIB);
	close_platform(platform);
}

/* --------------------------------------------------------- media --------------------------------------------------------- */

enum { LINE = 64 << 10, WAYS = 3 };

/* Each page of each dimm says where it is. */
static void number_pages(struct untorn_platform *platform)
{
	for (unsigned i = 0; i < platform->ndimm; i++) {
		for (uint64_t dpa = 0; dpa < platform->dimms[i].pmem_size; dpa += 4096) {
			uint64_t mark = (uint64_t)i << 32 | dpa;

			assert_int_equal(untorn_media_write(platform->dimms[i].media, dpa, &mark, sizeof(mark)), 0);
		}
	}
}

static void test_interleaved_addresses(void **state)
{
	static const uint64_t start[WAYS] = {MIB, 0, 2 * MIB}, size = 3 * MIB;
	static const unsigned dimm[WAYS] = {2, 0, 1};
	struct untorn_platform *platform =
		load("{\"dimms\": [{\"mem-path\":\"a\"}, {\"mem-path\":\"b\"}, {\"mem-path\":\"c\"}],"
		     " \"regions\": [{\"type\": \"pmem\", \"interleave\": \"64K\", \"mappings\": ["
		     " {\"dimm\": 2, \"start\": \"1M\", \"size\": \"3M\"},"
		     " {\"dimm\": 0, \"start\": 0, \"size\": \"3M\"},"
		     " {\"dimm\": 1, \"start\": \"2M\", \"size\": \"3M\"}]}]}");
	struct untorn_media *media, *part;
	uint64_t mark, mark_at_9_lines;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++)
		make_file((const char *[]){"a", "b", "c"}[i], 8 * MIB);
	WORKS(platform, platform_open(platform, 0));
	number_pages(platform);
	assert_int_equal(platform_region_media(platform, 0, 0, WAYS * size, &media), 0);
	for (uint64_t off = 0; off < WAYS * size; off += 4096) {
		uint64_t line = off / LINE;
		unsigned way = (unsigned)(line % WAYS);

		assert_int_equal(untorn_media_read(media, off, &mark, sizeof(mark)), 0);
		assert_int_equal(mark, (uint64_t)dimm[way] << 32 | (start[way] + line / WAYS * LINE + off % LINE));
	}
	/* A part of it, from the middle of a line. */
	assert_int_equal(platform_region_media(platform, 0, 9 * LINE - 4096, 8192, &part), 0);
	assert_int_equal(untorn_media_read(part, 4096, &mark, sizeof(mark)), 0);
	assert_int_equal(untorn_media_read(media, 9 * LINE, &mark_at_9_lines, sizeof(mark)), 0);
	assert_int_equal(mark, mark_at_9_lines);
	untorn_media_close(part);
	untorn_media_close(media);
	assert_int_equal(platform_region_media(platform, 0, WAYS * size, 4096, &part), -ERANGE);
	assert_int_equal(platform_region_media(platform, 0, 1, 4096, &part), -EINVAL);
	close_platform(platform);
}

static void test_extents(void **state)
{
	static const struct platform_extent extents[] = {{4 * MIB, 8192}, {MIB, 4096}, {MIB + 4096, 4096}, {0, 4096}};
	static const uint64_t expected[] = {4 * MIB, 4 * MIB + 4096, MIB, MIB + 4096, 0};
	static const struct platform_extent beyond = {8 * MIB - 128 * KIB, 4096}, odd = {1, 4096};
	struct untorn_platform *platform = nvdimm("mem-path=a,label-size=128K");
	struct untorn_media *media;
	uint64_t mark;

	(void)state;
	make_file("a", 8 * MIB);
	WORKS(platform, platform_open(platform, 0));
	number_pages(platform);
	assert_int_equal(platform_extents_media(platform, 0, extents, ARRAY_SIZE(extents), &media), 0);
	assert_int_equal(untorn_media_size(media), sizeof(expected) / 8 * 4096);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(untorn_media_read(media, i * 4096, &mark, sizeof(mark)), 0);
		assert_int_equal(mark, expected[i]);
	}
	untorn_media_close(media);
	/* Labels are no part of it. */
	assert_int_equal(platform_extents_media(platform, 0, &beyond, 1, &media), -ERANGE);
	assert_int_equal(platform_extents_media(platform, 0, &odd, 1, &media), -EINVAL);
	assert_int_equal(platform_extents_media(platform, 0, extents, 0, &media), -EINVAL);
	close_platform(platform);
}

static void test_blk_has_no_region_media(void **state)
{
	struct untorn_platform *platform = load("{\"dimms\": [" DIMM "], \"regions\": ["
						"{\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}]}]}");
	struct untorn_media *media;

	(void)state;
	make_file("a", 8 * MIB);
	WORKS(platform, platform_open(platform, 0));
	assert_int_equal(platform_region_media(platform, 0, 0, 4096, &media), -EINVAL);
	assert_int_equal(platform_extents_media(platform, 0, &(struct platform_extent){0, 8 * MIB}, 1, &media), 0);
	untorn_media_close(media);
	close_platform(platform);
}

static void test_volatile(void **state)
{
	struct untorn_platform *platform = load("{\"regions\": [{\"type\": \"volatile\", \"size\": \"1G\"},"
						" {\"type\": \"volatile\", \"size\": \"8M\", \"mem-path\": \"v\"}]}");
	struct untorn_media *media;

	(void)state;
	REFUSED(platform, platform_open(platform, 0), -ENOENT, "v: there is no such file");
	WORKS(platform, platform_open(platform, UNTORN_BUS_CREATE));
	assert_int_equal(file_size("v"), 8 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(platform_region_media(platform, i, 0, 8 * MIB, &media), 0);
		assert_int_equal(untorn_media_kind(media), UNTORN_MEDIA_VOLATILE);
		assert_int_equal(untorn_media_write(media, 8 * MIB - 4, "word", 4), 0);
		untorn_media_close(media);
	}
	close_platform(platform);
	unlink("v");
}

/* Media of the caller are used where they lie, and stay the caller's. */
static void test_media_of_the_caller(void **state)
{
	static uint8_t bytes[1 << 20] __attribute__((aligned(4096)));
	static const struct platform_extent extents[] = {{8192, 4096}, {0, 4096}};
	struct untorn_platform *platform = new_platform();
	struct untorn_media *memory, *media;

	(void)state;
	assert_int_equal(memory_media_wrap(bytes, sizeof(bytes), &memory), 0);
	REFUSED(platform, untorn_platform_add_media(platform, memory, 4097), -EINVAL, "4097");
	REFUSED(platform, untorn_platform_add_media(platform, memory, sizeof(bytes)), -EINVAL, "1048576");
	WORKS(platform, untorn_platform_add_media(platform, memory, 128 * KIB));
	WORKS(platform, platform_open(platform, 0));
	assert_int_equal(platform->dimms[0].pmem_size, sizeof(bytes) - 128 * KIB);
	assert_int_equal(platform_region_media(platform, 0, 4096, 4096, &media), 0);
	assert_int_equal(untorn_media_write(media, 0, "word", 4), 0);
	assert_memory_equal(bytes + 4096, "word", 4);
	untorn_media_close(media);
	assert_int_equal(platform_extents_media(platform, 0, extents, 2, &media), -EOPNOTSUPP);
	assert_int_equal(platform_extents_media(platform, 0, extents, 1, &media), 0);
	untorn_media_close(media);
	close_platform(platform);
	assert_int_equal(untorn_media_write(memory, 0, "word", 4), 0);
	untorn_media_close(memory);
}

/* The example works as it is. */
static void test_example(void **state)
{
	static const char *const files[] = {"nv0.img", "nv1.img", "nv2.img"};
	struct untorn_platform *platform = new_platform();
	_cleanup_free_ char *text = calloc(1, MIB);
	_cleanup_close_ int fd = open(FIXTURES "/../../examples/platform.json", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0 && read(fd, text, MIB - 1) > 0);
	write_text("platform.json", text);
	WORKS(platform, untorn_platform_load(platform, "platform.json"));
	WORKS(platform, platform_open(platform, UNTORN_BUS_CREATE));
	assert_int_equal(platform->ndimm, 3);
	assert_int_equal(platform->nregion, 4);
	assert_int_equal(platform->regions[0].size, 384 * MIB);
	assert_int_equal(platform->regions[1].kind, UNTORN_REGION_BLK);
	assert_int_equal(platform->regions[1].size, 256 * MIB);
	close_platform(platform);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_return_code(unlink(files[i]), errno);
}

static char folder[] = "test-platform.XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
	static const char *const files[] = {"a", "b", "c", "odd", "small", "platform.json"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	return chdir("..") < 0 ? -1 : rmdir(folder);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_same_file),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_label_detection),
		cmocka_unit_test(test_label_detection_takes_no_space),
		cmocka_unit_test(test_file_dimms),
		cmocka_unit_test(test_file_regions),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_bad_regions),
		cmocka_unit_test(test_region_defaults),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_interleaved_addresses),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_blk_has_no_region_media),
		cmocka_unit_test(test_volatile),
		cmocka_unit_test(test_media_of_the_caller),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
