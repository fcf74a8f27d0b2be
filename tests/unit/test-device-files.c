/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that fail under a bus that is open: cut by somebody else, or on a file system that is full in the middle of
 * making a BTT. Who asked is told; nothing crashes, and when there is room again the same call succeeds.
 */
#include "devices.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ------------------------------------------------------------ cut files ---------------------------------------------------- */

/* A btt and a raw namespace, both bound. */
static struct devices *with_disks(enum devices_platform kind)
{
	struct devices *d = devices_new(kind);

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	make_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	configure_namespace(d, "namespace0.1", 3, 32 * MIB);
	assert_bind(d, 0, ns_driver(d), "namespace0.1");
	return d;
}

static void use_disk(struct devices *d, const char *name)
{
	struct untorn_disk *disk = disk_of(d, name);
	struct untorn_disk_info info;
	uint8_t bytes[4096] = {1};

	untorn_disk_get_info(disk, &info);
	assert_result(untorn_disk_pread(disk, bytes, sizeof(bytes), info.size - sizeof(bytes)), -EIO);
	assert_result(untorn_disk_pwrite(disk, bytes, sizeof(bytes), info.size - sizeof(bytes), 0), -EIO);
	untorn_disk_flush(disk);
	untorn_disk_close(disk);
}

/* Everything that touches memory that is no longer there. */
static void cut_file(enum devices_platform kind)
{
	struct devices *d = with_disks(kind);

	assert_store(d, 0, "namespace0.2", "uuid", uuid_text(5));
	assert_return_code(truncate(devices_file(d, 0), 4096), errno);
	if (kind == INTERLEAVED)
		assert_return_code(truncate(devices_file(d, 1), 4096), errno);
	use_disk(d, "btt0.0");
	use_disk(d, "namespace0.1");
	assert_store(d, -EIO, "namespace0.2", "uuid", uuid_text(6)); /* a label that cannot be read may have it */
	assert_store(d, 0, "namespace0.2", "sector_size", "512");
	assert_store(d, -EIO, "namespace0.2", "size", "0x1000000");
	assert_unbind(d, 0, ns_driver(d), "btt0.0");
	assert_bind(d, -ENOMEM, ns_driver(d), "btt0.0");
	assert_unbind(d, 0, ns_driver(d), "namespace0.1");
	assert_true(store(d, "namespace0.1", "size", "0") < 0);
	assert_unbind(d, 0, "nd_region", "region0");
	assert_unbind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, -EIO, "nvdimm", "nmem0");
	assert_bind(d, -ENXIO, "nd_region", "region0");
	untorn_bus_close(d->bus); /* what it returns depends on what was buffered */
	d->bus = NULL;
}

static void cut_pmem(void **state)
{
	(void)state;
	cut_file(LABELLED);
}

static void cut_set(void **state)
{
	(void)state;
	cut_file(INTERLEAVED);
}

static void cut_blk(void **state)
{
	(void)state;
	cut_file(BLK);
}

/* ------------------------------------------------------- full file systems ------------------------------------------------- */

static char mounted[] = "/tmp/untorn-full.XXXXXX";

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* As root in a user namespace of its own, this process may mount. */
static bool may_mount(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWNS) == 0)
		return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/setgroups", "deny");
	if (!write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_text("/proc/self/gid_map", map);
}

/* A folder that holds 4 MiB. Not before all tests that need no such thing: threads may not be there. */
static void mount_small(void)
{
	if (!may_mount() || !mkdtemp(mounted))
		skip();
	if (mount("untorn", mounted, "tmpfs", 0, "size=4M") < 0) {
		rmdir(mounted);
		skip();
	}
	setenv("TMPDIR", mounted, 1);
}

static void unmount_small(void)
{
	unsetenv("TMPDIR");
	umount2(mounted, MNT_DETACH);
	rmdir(mounted);
}

/* Take all but that many pages. */
static void leave_pages(unsigned pages)
{
	char path[64];
	struct statvfs st;
	int fd;

	snprintf(path, sizeof(path), "%s/filler", mounted);
	unlink(path);
	assert_return_code(statvfs(mounted, &st), errno);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_true(st.f_bfree > pages);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)((st.f_bfree - pages) * st.f_bsize)), 0);
	close(fd);
}

static void give_room(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/filler", mounted);
	unlink(path);
}

/* With so many pages the btt is bound, or it is when there is room again. Whether it was. */
static bool make_volume(unsigned pages)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *btt;
	char text[256] = "";
	int r;

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	configure_btt(d, "btt0.0", 2, 4096, "namespace0.0");
	leave_pages(pages);
	r = devices_bind(d, "nd_pmem", "btt0.0");
	if (r < 0) {
		assert_result(r, -ENOMEM);
		btt = find(d, "btt0.0");
		untorn_device_problem(btt, text, sizeof(text));
		untorn_device_put(btt);
		if (!strstr(text, untorn_strerror(ENOSPC)))
			fail_msg("%u pages: '%s' does not say that there is no room", pages, text);
		give_room();
		assert_bind(d, 0, "nd_pmem", "btt0.0");
	}
	give_room();
	assert_sound(d);
	devices_teardown(NULL);
	return r == 0;
}

static void full_file_system(void **state)
{
	unsigned pages = 0;

	(void)state;
	mount_small();
	for (; !make_volume(pages); pages++)
		assert_true(pages < 64);
	assert_true(pages > 2);
	unmount_small();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(cut_pmem),
		device_test(cut_set),
		device_test(cut_blk),
		device_test(full_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
