/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buses for tests. What is promised: see devices.h. There is one fixture at a time, so that a test that failed leaves nothing behind:
 * cmocka jumps out of it, and the teardown finds the fixture here.
 */
#include "devices.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "spec.h"

static struct devices *current;

#define SET(line)                                                           \
	"{\"dimms\": [{\"mem-path\": \"nv0\", \"label-size\": \"128K\"},"   \
	" {\"mem-path\": \"nv1\", \"label-size\": \"128K\"}],"              \
	" \"regions\": [{\"type\": \"pmem\", \"interleave\": \"" line "\"," \
	" \"mappings\": [{\"dimm\": 0}, {\"dimm\": 1, \"region-offset\": \"" line "\"}]}]}\n"
#define OVER_NV0(regions) \
	"{\"dimms\": [{\"mem-path\": \"nv0\", \"label-size\": \"128K\"}], \"regions\": [" regions "]}\n"

/* What a platform is made of. With a file, it is a platform file; else NVDIMMs in QEMU's words. */
static const struct {
	unsigned ndimm;
	uint64_t pmem_size, label_size; /* of each dimm, bytes */
	enum untorn_label_version version;
	bool unarmed;
	const char *file; /* what stands in it, or NULL */
} platforms[DEVICES_PLATFORMS] = {
	[LABELLED] = {1, 256 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2},
	[LABELLED_V1_1] = {1, 256 * MIB, LABEL_AREA, UNTORN_LABEL_V1_1},
	[UNLABELLED] = {1, 128 * MIB, LABEL_AREA, UNTORN_LABEL_NONE},
	[NO_AREA] = {1, 128 * MIB, 0, UNTORN_LABEL_NONE},
	[QEMU] = {1, 128 * MIB - LABEL_AREA, LABEL_AREA, UNTORN_LABEL_V1_2},
	[UNARMED] = {1, 256 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, true},
	[THREE] = {3, 128 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2},
	[INTERLEAVED] = {2, 128 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false, SET("1M")},
	[INTERLEAVED_V1_1] = {2, 128 * MIB, LABEL_AREA, UNTORN_LABEL_V1_1, false, SET("1M")},
	[INTERLEAVED_4K] = {2, 32 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false, SET("4K")},
	[BLK] = {1, 256 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false,
		 OVER_NV0("{\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}]}")},
	[VOLATILE] = {1, 128 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false,
		      OVER_NV0("{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0}]},"
			       " {\"type\": \"volatile\", \"size\": \"64M\"}")},
	[LOCKED] = {1, 256 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false,
		    "{\"dimms\": [{\"mem-path\": \"nv0\", \"label-size\": \"128K\", \"locked\": true}]}\n"},
	[SMALL] = {1, 17 * MIB, 0, UNTORN_LABEL_NONE},
	[TINY] = {1, 8 * MIB, 0, UNTORN_LABEL_NONE},
	[THREE_WAYS] = {3, 10 * MIB, LABEL_AREA, UNTORN_LABEL_V1_2, false,
			"{\"dimms\": [{\"mem-path\": \"nv0\"}, {\"mem-path\": \"nv1\"}, {\"mem-path\": \"nv2\"}],"
			" \"regions\": [{\"type\": \"pmem\", \"interleave\": \"4K\","
			" \"mappings\": [{\"dimm\": 0}, {\"dimm\": 1}, {\"dimm\": 2}]}]}\n"},
};

#define check(call) devices_check(call, #call, __LINE__)
static void devices_check(int r, const char *what, int line)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s:%d: %s: %s%s%s\n", __FILE__, line, what, strerror(-r),
		current && current->platform ? ": " : "",
		current && current->platform ? untorn_platform_error(current->platform) : "");
	_fail(__FILE__, line);
}

/* ------------------------------------------------------------- files -------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

const char *devices_file(struct devices *d, unsigned dimm)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/nv%u", d->dir, dimm);
	return path;
}

uint64_t devices_pmem_size(enum devices_platform kind)
{
	return platforms[kind].pmem_size;
}

void devices_poke(struct devices *d, unsigned dimm, uint64_t off, const void *bytes, size_t len)
{
	int fd = open(devices_file(d, dimm), O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && pwrite(fd, bytes, len, (off_t)off) == (ssize_t)len ? 0 : -errno);
	close(fd);
}

void devices_peek(struct devices *d, unsigned dimm, uint64_t off, void *bytes, size_t len)
{
	int fd = open(devices_file(d, dimm), O_RDONLY | O_CLOEXEC);

	check(fd >= 0 && pread(fd, bytes, len, (off_t)off) == (ssize_t)len ? 0 : -errno);
	close(fd);
}

void devices_poke_label(struct devices *d, unsigned dimm, uint32_t slot, uint64_t off, const void *bytes, size_t len)
{
	uint64_t at = platforms[d->kind].pmem_size + 512 + slot * 256, sum;
	uint8_t label[256];

	devices_peek(d, dimm, at, label, sizeof(label));
	memcpy(label + off, bytes, len);
	memset(label + 248, 0, 8);
	sum = spec_fletcher64(label, sizeof(label));
	for (unsigned i = 0; i < 8; i++)
		label[248 + i] = (uint8_t)(sum >> 8 * i);
	devices_poke(d, dimm, at, label, sizeof(label));
}

static void make_dimm(struct devices *d, unsigned dimm)
{
	uint64_t pmem = platforms[d->kind].pmem_size, size = platforms[d->kind].label_size;
	int fd = open(devices_file(d, dimm), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct untorn_label_area *area;
	struct untorn_media *media;

	check(fd >= 0 && ftruncate(fd, (off_t)(pmem + size)) == 0 ? 0 : -errno);
	close(fd);
	if (platforms[d->kind].version == UNTORN_LABEL_NONE)
		return;
	check(untorn_media_open(devices_file(d, dimm), UNTORN_MEDIA_AUTO, 0, &media));
	check(untorn_label_open(media, pmem, size, &area));
	check(untorn_label_init(area, platforms[d->kind].version, 0));
	untorn_label_close(area);
	untorn_media_close(media);
}

static void make_platform_file(struct devices *d)
{
	_cleanup_free_ char *path = NULL;
	FILE *file;

	check(asprintf(&path, "%s/platform.json", d->dir));
	file = fopen(path, "we");
	check(file ? 0 : -errno);
	fprintf(file, "%s", platforms[d->kind].file);
	check(fclose(file) == 0 ? 0 : -errno);
}

struct devices *devices_new_closed(enum devices_platform kind)
{
	struct devices *d = calloc(1, sizeof(*d));

	assert_null(current);
	current = d;
	d->kind = kind;
	/* In memory where that is possible: label updates sync. */
	snprintf(d->dir, sizeof(d->dir), "%s/untorn-test.XXXXXX",
		 getenv("TMPDIR") ?: (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"));
	check(mkdtemp(d->dir) ? 0 : -errno);
	for (unsigned i = 0; i < platforms[kind].ndimm; i++)
		make_dimm(d, i);
	if (platforms[kind].file)
		make_platform_file(d);
	return d;
}

struct devices *devices_new(enum devices_platform kind)
{
	struct devices *d = devices_new_closed(kind);

	devices_open(d);
	return d;
}

/* ------------------------------------------------------------ the bus ------------------------------------------------------- */

void devices_describe_platform(struct devices *d)
{
	char text[2 * PATH_MAX];

	check(untorn_platform_new(&d->platform));
	if (platforms[d->kind].file) {
		snprintf(text, sizeof(text), "%s/platform.json", d->dir);
		check(untorn_platform_load(d->platform, text));
		return;
	}
	for (unsigned i = 0; i < platforms[d->kind].ndimm; i++) {
		snprintf(text, sizeof(text), "mem-path=%s,size=%" PRIu64 ",label-size=%" PRIu64 "%s",
			 devices_file(d, i), platforms[d->kind].pmem_size + platforms[d->kind].label_size,
			 platforms[d->kind].label_size, platforms[d->kind].unarmed ? ",unarmed=on" : "");
		check(untorn_platform_add_nvdimm(d->platform, text));
	}
}

int devices_try_open(struct devices *d)
{
	assert_null(d->bus);
	devices_describe_platform(d);
	return untorn_bus_open(d->platform, d->flags, &d->bus);
}

void devices_open(struct devices *d)
{
	check(devices_try_open(d));
}

void devices_close(struct devices *d)
{
	int r = untorn_bus_close(d->bus);

	d->bus = NULL;
	untorn_platform_free(d->platform);
	d->platform = NULL;
	check(r);
}

void devices_reopen(struct devices *d)
{
	devices_close(d);
	devices_open(d);
}

void devices_wait(struct devices *d)
{
	check(untorn_bus_wait_probe(d->bus));
}

int devices_teardown(void **state)
{
	struct devices *d = current;
	int r = 0;

	(void)state;
	current = NULL;
	if (!d)
		return 0;
	if (d->bus)
		r = untorn_bus_close(d->bus);
	untorn_platform_free(d->platform);
	nftw(d->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(d);
	if (r < 0)
		fprintf(stderr, "closing the bus: %s\n", strerror(-r));
	return r;
}

/* ----------------------------------------------------------- assertions ----------------------------------------------------- */

const char *errno_name(int error)
{
	const char *name = strerrorname_np(error < 0 ? -error : error);

	return error == 0 ? "0" : name ? name : "?";
}

void devices_assert_result(int seen, int expected, const char *what, const char *file, int line)
{
	if (seen == expected)
		return;
	print_error("%s: %s, expected %s\n", what, errno_name(seen), errno_name(expected));
	_fail(file, line);
}

struct untorn_device *devices_find(struct devices *d, const char *name, const char *file, int line)
{
	struct untorn_device *device;
	int r = untorn_bus_find(d->bus, name, &device);

	if (r < 0) {
		print_error("there is no device %s: %s\n", name, errno_name(r));
		_fail(file, line);
	}
	return device;
}

bool devices_exists(struct devices *d, const char *name)
{
	struct untorn_device *device;
	int r = untorn_bus_find(d->bus, name, &device);

	if (r < 0) {
		assert_result(r, -ENODEV);
		return false;
	}
	untorn_device_put(device);
	return true;
}

int store_bytes(struct devices *d, const char *device, const char *attribute, const void *bytes, size_t len)
{
	struct untorn_device *dev;
	int r = untorn_bus_find(d->bus, device, &dev);

	if (r < 0)
		return r;
	r = untorn_attr_store(dev, attribute, bytes, len);
	untorn_device_put(dev);
	return r;
}

int store(struct devices *d, const char *device, const char *attribute, const char *text)
{
	return store_bytes(d, device, attribute, text, strlen(text));
}

int show(struct devices *d, const char *device, const char *attribute, char text[UNTORN_ATTR_SIZE + 1])
{
	struct untorn_device *dev;
	size_t len;
	int r = untorn_bus_find(d->bus, device, &dev);

	if (r < 0)
		return r;
	r = untorn_attr_show(dev, attribute, text, UNTORN_ATTR_SIZE, &len);
	untorn_device_put(dev);
	if (r == 0)
		text[len] = '\0';
	return r;
}

void devices_assert_store(struct devices *d, int error, const char *device, const char *attribute, const char *text,
			  size_t len, const char *file, int line)
{
	int r = store_bytes(d, device, attribute, text, len);

	if (r == error)
		return;
	print_error("%s/%s <- '%.*s': %s, expected %s\n", device, attribute, (int)len, text, errno_name(r),
		    errno_name(error));
	_fail(file, line);
}

void devices_assert_show(struct devices *d, int error, const char *device, const char *attribute, const char *text,
			 const char *file, int line)
{
	char seen[UNTORN_ATTR_SIZE + 1];
	int r = show(d, device, attribute, seen);

	if (r != error) {
		print_error("%s/%s: %s, expected %s\n", device, attribute, errno_name(r), errno_name(error));
		_fail(file, line);
	}
	if (r == 0 && strcmp(seen, text) != 0) {
		print_error("%s/%s: '%s', expected '%s'\n", device, attribute, seen, text);
		_fail(file, line);
	}
}

uint64_t devices_number(struct devices *d, const char *device, const char *attribute, const char *file, int line)
{
	char text[UNTORN_ATTR_SIZE + 1], *end = text;
	int r = show(d, device, attribute, text);
	uint64_t value = r == 0 ? strtoull(text, &end, 0) : 0;

	if (r == 0 && end != text && strcmp(end, "\n") == 0)
		return value;
	print_error("%s/%s is not a number: %s: '%s'\n", device, attribute, errno_name(r), r == 0 ? text : "");
	_fail(file, line);
	return 0;
}

int devices_bind(struct devices *d, const char *driver, const char *device)
{
	int r = untorn_driver_bind(d->bus, driver, device);

	devices_wait(d);
	return r;
}

int devices_unbind(struct devices *d, const char *driver, const char *device)
{
	int r = untorn_driver_unbind(d->bus, driver, device);

	devices_wait(d);
	return r;
}

void devices_assert_driver(struct devices *d, const char *device, const char *driver, const char *file, int line)
{
	struct untorn_device *dev = devices_find(d, device, file, line);
	const char *seen = untorn_device_driver(dev);

	untorn_device_put(dev);
	if (seen == driver || (seen && driver && strcmp(seen, driver) == 0))
		return;
	print_error("driver of %s: %s, expected %s\n", device, seen ? seen : "none", driver ? driver : "none");
	_fail(file, line);
}

/* ------------------------------------------------------------- recipes ------------------------------------------------------ */

const char *uuid_text(unsigned n)
{
	static _Thread_local char texts[100][37];

	assert_true(n < 100);
	snprintf(texts[n], sizeof(texts[n]), "12345678-9abc-4def-8000-0000000000%02u", n);
	return texts[n];
}

void uuid_bytes(unsigned n, uint8_t uuid[16])
{
	static const uint8_t base[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x80};

	memcpy(uuid, base, sizeof(base));
	uuid[15] = (uint8_t)(n / 10 * 16 + n % 10);
}

const char *ns_driver(const struct devices *d)
{
	return d->kind == BLK ? "nd_blk" : "nd_pmem";
}

void configure_namespace(struct devices *d, const char *name, unsigned uuid, uint64_t size)
{
	char text[32];

	snprintf(text, sizeof(text), "%#" PRIx64 "\n", size);
	assert_store(d, 0, name, "uuid", uuid_text(uuid));
	if (d->kind == BLK)
		assert_store(d, 0, name, "sector_size", "512\n");
	assert_store(d, 0, name, "size", text);
}

void configure_btt(struct devices *d, const char *name, unsigned uuid, unsigned sector_size, const char *ns)
{
	char text[32];

	snprintf(text, sizeof(text), "%u\n", sector_size);
	assert_store(d, 0, name, "uuid", uuid_text(uuid));
	assert_store(d, 0, name, "sector_size", text);
	assert_store(d, 0, name, "namespace", ns);
}

void make_btt(struct devices *d, const char *name, unsigned uuid, unsigned sector_size, const char *ns)
{
	configure_btt(d, name, uuid, sector_size, ns);
	assert_bind(d, 0, ns_driver(d), name);
}

uint32_t devices_slot(struct devices *d, unsigned dimm, unsigned uuid)
{
	struct untorn_label_area_info area;
	struct untorn_device *device;
	struct untorn_label label;
	uint32_t slot = 0;
	uint8_t bytes[16];
	char name[16];

	uuid_bytes(uuid, bytes);
	snprintf(name, sizeof(name), "nmem%u", dimm);
	device = find(d, name);
	check(untorn_dimm_label_info(device, &area));
	do {
		assert_true(slot < area.nslot);
		check(untorn_dimm_label_get(device, slot++, &label));
	} while (label.state != UNTORN_LABEL_ACTIVE || memcmp(label.uuid, bytes, 16) != 0);
	untorn_device_put(device);
	return slot - 1;
}

const char *devices_holder(struct devices *d, const char *ns)
{
	static char name[UNTORN_ATTR_SIZE + 1];

	assert_result(show(d, ns, "holder", name), 0);
	name[strcspn(name, "\n")] = '\0';
	return name;
}

int devices_try_disk(struct devices *d, const char *device)
{
	struct untorn_disk *disk;
	struct untorn_device *dev = find(d, device);
	int r = untorn_disk_open(dev, &disk);

	untorn_device_put(dev);
	if (r == 0)
		untorn_disk_close(disk);
	return r;
}

struct untorn_disk *devices_disk(struct devices *d, const char *device, const char *file, int line)
{
	struct untorn_device *dev = devices_find(d, device, file, line);
	struct untorn_disk *disk = NULL;
	int r = untorn_disk_open(dev, &disk);

	untorn_device_put(dev);
	devices_assert_result(r, 0, device, file, line);
	return disk;
}

static uint8_t pattern_byte(size_t i, unsigned seed)
{
	uint32_t x = (uint32_t)i / 8 * 2654435761u + seed * 40503u + 1;

	return (uint8_t)(x >> 24 ^ x >> 13 ^ i);
}

void pattern(uint8_t *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern_byte(i, seed);
}

bool is_pattern(const uint8_t *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != pattern_byte(i, seed))
			return false;
	return true;
}

/* ------------------------------------------------------------ soundness ---------------------------------------------------- */

#define CHILDREN 64u

/* A region with its children, looked at while nothing happens. */
struct view {
	struct devices *d;
	struct untorn_device *region;
	struct untorn_region_info info;
	unsigned nns, nbtt;
	struct untorn_device *ns[CHILDREN], *btt[CHILDREN];
	struct untorn_namespace_info ns_info[CHILDREN];
	struct untorn_btt_device_info btt_info[CHILDREN];
};

static const char *fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *fault(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

static unsigned collect(struct untorn_device *region, enum untorn_device_type type, struct untorn_device **children)
{
	struct untorn_device *child = NULL;
	unsigned n = 0;

	while (untorn_device_next(region, type, &child) == 0) {
		assert_true(n < CHILDREN);
		children[n++] = untorn_device_get(child);
	}
	return n;
}

static struct view *view_new(struct devices *d, struct untorn_device *region)
{
	struct view *v = calloc(1, sizeof(*v));

	v->d = d;
	v->region = region;
	check(untorn_region_get_info(region, &v->info));
	v->nns = collect(region, UNTORN_DEVICE_NAMESPACE, v->ns);
	v->nbtt = collect(region, UNTORN_DEVICE_BTT, v->btt);
	for (unsigned i = 0; i < v->nns; i++)
		check(untorn_namespace_get_info(v->ns[i], &v->ns_info[i]));
	for (unsigned i = 0; i < v->nbtt; i++)
		check(untorn_btt_device_get_info(v->btt[i], &v->btt_info[i]));
	return v;
}

static void view_free(struct view *v)
{
	for (unsigned i = 0; i < v->nns; i++)
		untorn_device_put(v->ns[i]);
	for (unsigned i = 0; i < v->nbtt; i++)
		untorn_device_put(v->btt[i]);
	free(v);
}

static const char *claim_fault(const struct view *v)
{
	for (unsigned n = 0; n < v->nns; n++) {
		const struct untorn_namespace_info *ns = &v->ns_info[n];
		const char *name = untorn_device_name(v->ns[n]);
		unsigned holders = 0;

		for (unsigned b = 0; b < v->nbtt; b++) {
			const struct untorn_btt_device_info *btt = &v->btt_info[b];

			if (strcmp(btt->ns, name) != 0)
				continue;
			holders++;
			if (strcmp(ns->holder, untorn_device_name(v->btt[b])) != 0)
				return fault("%s has %s, which is held by '%s'", untorn_device_name(v->btt[b]), name,
					     ns->holder);
			if (btt->bound && ns->bound)
				return fault("%s and its btt are both bound", name);
		}
		if (holders != (ns->holder[0] ? 1 : 0))
			return fault("%s is held by '%s', and %u say so", name, ns->holder, holders);
		if (strcmp(ns->mode, ns->holder[0] ? "safe" : "raw") != 0)
			return fault("%s has mode %s, holder '%s'", name, ns->mode, ns->holder);
		if (ns->bound && ns->size == 0)
			return fault("%s is bound without size", name);
	}
	for (unsigned b = 0; b < v->nbtt; b++) {
		const struct untorn_btt_device_info *btt = &v->btt_info[b];

		if (btt->ns[0] && !devices_exists(v->d, btt->ns))
			return fault("%s has %s, which is gone", untorn_device_name(v->btt[b]), btt->ns);
		if (btt->bound != (btt->size > 0) || (btt->bound && !btt->ns[0]))
			return fault("%s is %s with size %" PRIu64 " on '%s'", untorn_device_name(v->btt[b]),
				     btt->bound ? "bound" : "not bound", btt->size, btt->ns);
	}
	return NULL;
}

static const char *name_fault(const struct view *v)
{
	char name[64];

	for (unsigned n = 0; n < v->nns + v->nbtt; n++) {
		bool is_ns = n < v->nns;
		struct untorn_device *child = is_ns ? v->ns[n] : v->btt[n - v->nns];

		snprintf(name, sizeof(name), "%s%d.%d", is_ns ? "namespace" : "btt", untorn_device_id(v->region),
			 untorn_device_id(child));
		if (strcmp(name, untorn_device_name(child)) != 0)
			return fault("%s should be %s", untorn_device_name(child), name);
		if (n > 0 && n != v->nns &&
		    untorn_device_id(child) <= untorn_device_id(is_ns ? v->ns[n - 1] : v->btt[n - 1 - v->nns]))
			return fault("%s comes twice, or too late", name);
	}
	for (unsigned a = 0; a < v->nns; a++)
		for (unsigned b = 0; b < a; b++)
			if (v->ns_info[a].has_uuid && v->ns_info[b].has_uuid &&
			    memcmp(v->ns_info[a].uuid, v->ns_info[b].uuid, 16) == 0)
				return fault("two namespaces of %s have one uuid", untorn_device_name(v->region));
	return NULL;
}

static const char *seed_fault(const struct view *v)
{
	struct untorn_device *ns = NULL, *btt = NULL;
	bool has_ns = untorn_region_namespace_seed(v->region, &ns) == 0;
	bool has_btt = untorn_region_btt_seed(v->region, &btt) == 0;
	const char *text = NULL;

	if (v->info.bound ? !has_ns || !has_btt : has_ns || has_btt)
		text = fault("%s is %s and has %s%s seed", untorn_device_name(v->region),
			     v->info.bound ? "bound" : "not bound", has_ns ? "a namespace" : "no namespace",
			     has_btt ? ", a btt" : ", no btt");
	else if (has_ns && !devices_exists(v->d, untorn_device_name(ns)))
		text = fault("the seed %s is gone", untorn_device_name(ns));
	else if (has_btt && !devices_exists(v->d, untorn_device_name(btt)))
		text = fault("the seed %s is gone", untorn_device_name(btt));
	else if (has_btt && untorn_device_driver(btt))
		text = fault("the seed %s is bound", untorn_device_name(btt));
	else if (!v->info.bound && v->nns + v->nbtt > 0)
		text = fault("%s is not bound and has children", untorn_device_name(v->region));
	untorn_device_put(ns);
	untorn_device_put(btt);
	return text;
}

/* Sizes add up with what is free; sizes are multiples of the alignment in all tests that use this. */
static const char *size_fault(const struct view *v)
{
	uint64_t sum = 0;

	for (unsigned a = 0; a < v->nns; a++) {
		const struct untorn_namespace_info *x = &v->ns_info[a];

		sum += x->size;
		for (unsigned b = 0; b < a; b++) {
			const struct untorn_namespace_info *y = &v->ns_info[b];

			if (x->nstype != UNTORN_NSTYPE_BLK && x->size && y->size &&
			    x->resource < y->resource + y->size && y->resource < x->resource + x->size)
				return fault("%s and %s overlap", untorn_device_name(v->ns[a]),
					     untorn_device_name(v->ns[b]));
		}
	}
	if (v->info.bound && v->info.nstype != UNTORN_NSTYPE_IO &&
	    sum + v->info.available_size != v->info.size / v->info.align * v->info.align)
		return fault("%s: %" PRIu64 " bytes in namespaces, %" PRIu64 " free, %" PRIu64 " in all",
			     untorn_device_name(v->region), sum, v->info.available_size, v->info.size);
	return NULL;
}

/* Labels in use of a dimm do not overlap, and have as many bytes as the namespaces that should have labels. */
static const char *label_fault(const struct view *v, const char *dimm_name)
{
	struct untorn_device *dimm = find(v->d, dimm_name);
	struct untorn_label_area_info area;
	struct untorn_label labels[CHILDREN];
	uint64_t sum = 0, expected = 0;
	const char *text = NULL;
	unsigned n = 0;

	check(untorn_dimm_label_info(dimm, &area));
	for (uint32_t slot = 0; slot < area.nslot && n < CHILDREN; slot++) {
		check(untorn_dimm_label_get(dimm, slot, &labels[n]));
		if (labels[n].state == UNTORN_LABEL_ACTIVE)
			sum += labels[n++].rawsize;
	}
	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < a; b++)
			if (labels[a].dpa < labels[b].dpa + labels[b].rawsize &&
			    labels[b].dpa < labels[a].dpa + labels[a].rawsize)
				text = fault("labels %u and %u of %s overlap", labels[a].slot, labels[b].slot,
					     dimm_name);
	for (unsigned i = 0; i < v->nns; i++)
		if (v->ns_info[i].has_uuid && (v->ns_info[i].nstype != UNTORN_NSTYPE_BLK || v->ns_info[i].sector_size))
			expected += v->ns_info[i].size / v->info.nmapping;
	if (!text && sum != expected)
		text = fault("labels of %s have %" PRIu64 " bytes, namespaces %" PRIu64, dimm_name, sum, expected);
	untorn_device_put(dimm);
	return text;
}

static const char *region_fault(struct devices *d, struct untorn_device *region)
{
	struct view *v = view_new(d, region);
	struct untorn_mapping_info mapping;
	const char *text = claim_fault(v);

	if (!text)
		text = name_fault(v);
	if (!text)
		text = seed_fault(v);
	if (!text)
		text = size_fault(v);
	for (unsigned i = 0; !text && v->info.bound && v->info.nstype != UNTORN_NSTYPE_IO && i < v->info.nmapping;
	     i++) {
		check(untorn_region_get_mapping(region, i, &mapping));
		text = label_fault(v, mapping.dimm);
	}
	view_free(v);
	return text;
}

const char *devices_fault(struct devices *d)
{
	struct untorn_device *bus, *region = NULL;
	const char *text = NULL;

	devices_wait(d);
	check(untorn_bus_device(d->bus, &bus));
	while (!text && untorn_device_next(bus, UNTORN_DEVICE_REGION, &region) == 0)
		text = region_fault(d, region);
	untorn_device_put(region);
	untorn_device_put(bus);
	return text;
}

void devices_assert_sound(struct devices *d, const char *file, int line)
{
	const char *text = devices_fault(d);

	if (!text)
		return;
	print_error("%s\n", text);
	_fail(file, line);
}

static void describe_device(FILE *out, struct untorn_device *device)
{
	char text[UNTORN_ATTR_SIZE + 1];
	struct untorn_attr_info info;
	unsigned index = 0;
	size_t len;
	int r;

	fprintf(out, "%s driver %s\n", untorn_device_name(device), untorn_device_driver(device) ?: "none");
	while (untorn_attr_next(device, &index, &info) == 0) {
		if (!(info.mode & 0444))
			continue;
		r = untorn_attr_show(device, info.name, text, UNTORN_ATTR_SIZE, &len);
		fprintf(out, "%s/%s %03o %s %.*s\n", untorn_device_name(device), info.name, (unsigned)info.mode,
			errno_name(r), r == 0 ? (int)len : 0, text);
	}
	for (unsigned type = UNTORN_DEVICE_DIMM; type <= UNTORN_DEVICE_BTT; type++) {
		struct untorn_device *child = NULL;

		while (untorn_device_next(device, (enum untorn_device_type)type, &child) == 0)
			describe_device(out, child);
	}
}

char *devices_describe(struct devices *d)
{
	struct untorn_device *bus;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	check(out ? 0 : -errno);
	check(untorn_bus_device(d->bus, &bus));
	describe_device(out, bus);
	untorn_device_put(bus);
	fclose(out);
	return text;
}
