/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Media on real files, devices and bad memory: kinds, locks, bounds, holes, faults, failed syncs.
 *
 * fdatasync(2) of the library is replaced by __wrap_fdatasync() below (ld's --wrap), which watches and can fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "media/fault.h"
#include "media/media.h"
#include "media/memory.h"
#include "medium.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* ---------------------------------------------------- the watched sync ---------------------------------------------------- */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static _Atomic unsigned syncs_started, syncs_finished, syncs_at_once, most_syncs_at_once;
static _Atomic unsigned failing_sync; /* number of the one that fails; 0: none */

int __wrap_fdatasync(int fd)
{
	unsigned number = atomic_fetch_add(&syncs_started, 1) + 1;
	unsigned now = atomic_fetch_add(&syncs_at_once, 1) + 1, most = atomic_load(&most_syncs_at_once);
	int r = __real_fdatasync(fd);

	while (now > most && !atomic_compare_exchange_weak(&most_syncs_at_once, &most, now))
		;
	atomic_fetch_sub(&syncs_at_once, 1);
	if (number == atomic_load(&failing_sync)) {
		errno = EIO;
		r = -1;
	}
	atomic_fetch_add(&syncs_finished, 1);
	return r;
}

static void watch_syncs(unsigned fail)
{
	syncs_started = syncs_finished = most_syncs_at_once = 0;
	failing_sync = fail;
}

/* --------------------------------------------------------- files ---------------------------------------------------------- */

static char disk[64] = "test-media.XXXXXX";            /* on the build folder's file system */
static char memory[64] = "/dev/shm/test-media.XXXXXX"; /* on tmpfs; empty: there is none */

static const char *file_in(const char *dir, const char *name)
{
	static char path[16][128];
	static unsigned turn;
	char *p = path[turn++ % ARRAY_SIZE(path)];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static const char *make_named_file(const char *path, uint64_t size)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_return_code(ftruncate(fd, (off_t)size), errno);
	return path;
}

/* A sparse file of that size. */
static const char *make_file(const char *dir, uint64_t size)
{
	return make_named_file(file_in(dir, "file"), size);
}

static struct untorn_media *open_media(const char *path, enum untorn_media_kind kind, unsigned flags)
{
	struct untorn_media *m = NULL;

	assert_int_equal(untorn_media_open(path, kind, flags, &m), 0);
	assert_non_null(m);
	return m;
}

static void assert_open_fails(const char *path, enum untorn_media_kind kind, unsigned flags, int error)
{
	struct untorn_media *untouched = (struct untorn_media *)&disk, *m = untouched;

	assert_int_equal(untorn_media_open(path, kind, flags, &m), error);
	assert_ptr_equal(m, untouched);
}

static void need_tmpfs(void)
{
	if (!memory[0]) {
		print_message("no tmpfs at /dev/shm\n");
		skip();
	}
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root: mounts and loop devices\n");
		skip();
	}
}

/* ------------------------------------------------------- processes -------------------------------------------------------- */

/* In a child there is no cmocka: a child says what failed and exits with 1. */
#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

enum { CHILD_SKIPS = 77 };

/* Run fn in a child and return its wait status. */
static int run_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_child(void (*fn)(void))
{
	int status = run_child(fn);

	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPS)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A page that is not a medium's and faults when it is touched. */
static volatile uint8_t *foreign_bad_page(void)
{
	int fd = memfd_create("empty", MFD_CLOEXEC);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED);
	return p;
}

/* ------------------------------------------------------ the handler ------------------------------------------------------- */

static sigjmp_buf foreign_jump;
static volatile sig_atomic_t foreign_calls, foreign_nodefer;

static void foreign_handler(int sig, siginfo_t *info, void *context)
{
	sigset_t blocked;

	(void)info;
	(void)context;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	foreign_nodefer = !sigismember(&blocked, sig) && sigismember(&blocked, SIGUSR1);
	foreign_calls++;
	siglongjmp(foreign_jump, 1);
}

static int touch_foreign(void *arg)
{
	return *(volatile uint8_t *)arg;
}

static void use_previous_handler(void)
{
	struct sigaction action = {.sa_sigaction = foreign_handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct untorn_media *m;
	volatile uint8_t *page = foreign_bad_page();
	uint8_t byte;

	sigaddset(&action.sa_mask, SIGUSR1);
	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
	CHECK(fault_media_new(8192, &m) == 0);
	CHECK(fault_media_set_bad(m, 0, 4096, true) == 0);
	/* Its own fault in and out of our guards, and one that is sent. */
	if (!sigsetjmp(foreign_jump, 1))
		*page = 1;
	CHECK(foreign_calls == 1 && foreign_nodefer);
	if (!sigsetjmp(foreign_jump, 1))
		media_guarded(m, touch_foreign, (void *)page);
	CHECK(foreign_calls == 2 && foreign_nodefer);
	if (!sigsetjmp(foreign_jump, 1))
		raise(SIGBUS);
	CHECK(foreign_calls == 3);
	/* And ours stay ours. */
	CHECK(untorn_media_read(m, 0, &byte, 1) == -EIO && foreign_calls == 3);
	CHECK(untorn_media_read(m, 4096, &byte, 1) == 0);
}

/* The first test of this program: no medium was opened before, so the child's handler is the previous one. */
static void test_previous_handler(void **state)
{
	struct sigaction now;

	(void)state;
	assert_return_code(sigaction(SIGBUS, NULL, &now), errno);
	assert_ptr_not_equal(now.sa_sigaction, foreign_handler);
	assert_child(use_previous_handler);
}

static void set_handler(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

static void ignore_sent_signals(void)
{
	struct untorn_media *m;
	uint8_t byte;

	set_handler(SIG_IGN);
	CHECK(fault_media_new(4096, &m) == 0);
	CHECK(fault_media_set_bad(m, 0, 4096, true) == 0);
	raise(SIGBUS);
	CHECK(untorn_media_read(m, 0, &byte, 1) == -EIO);
	raise(SIGBUS);
	_exit(42);
}

static void touch_while_ignored(void)
{
	struct untorn_media *m;

	set_handler(SIG_IGN);
	CHECK(fault_media_new(4096, &m) == 0);
	*foreign_bad_page() = 1;
}

/* The second one, for the same reason. */
static void test_ignored(void **state)
{
	int status;

	(void)state;
	status = run_child(ignore_sent_signals);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	status = run_child(touch_while_ignored);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

/* What SIGBUS does to a process without a handler, whatever a sanitizer has set up. */
static void open_with_default_handler(struct untorn_media **ret_media)
{
	set_handler(SIG_DFL);
	CHECK(fault_media_new(8192, ret_media) == 0);
	CHECK(fault_media_set_bad(*ret_media, 0, 4096, true) == 0);
}

static void touch_outside(void)
{
	struct untorn_media *m;

	open_with_default_handler(&m);
	*foreign_bad_page() = 1;
}

static void touch_inside(void)
{
	struct untorn_media *m;

	open_with_default_handler(&m);
	media_guarded(m, touch_foreign, (void *)foreign_bad_page());
}

/* A fault of a medium outside of any guard is nobody's. */
static void touch_unguarded(void)
{
	struct untorn_media *m;

	open_with_default_handler(&m);
	*(volatile uint8_t *)m->base = 1;
}

/* Also when guards have come and gone. */
static void touch_after_guards(void)
{
	struct untorn_media *m;
	uint8_t byte;

	open_with_default_handler(&m);
	CHECK(untorn_media_read(m, 4096, &byte, 1) == 0);
	*(volatile uint8_t *)m->base = 1;
}

static void touch_after_fault(void)
{
	struct untorn_media *m;
	uint8_t byte;

	open_with_default_handler(&m);
	CHECK(untorn_media_read(m, 0, &byte, 1) == -EIO);
	*(volatile uint8_t *)m->base = 1;
}

static void send_signal(void)
{
	struct untorn_media *m;

	open_with_default_handler(&m);
	raise(SIGBUS);
}

static int send_inside(void *arg)
{
	union sigval value = {.sival_ptr = arg};

	/* The address of a bad byte travels along, where a fault would have it. */
	return sigqueue(getpid(), SIGBUS, value);
}

static void send_signal_inside(void)
{
	struct untorn_media *m;

	open_with_default_handler(&m);
	media_guarded(m, send_inside, m->base);
}

/* The third one. */
static void test_not_ours_kills(void **state)
{
	static void (*const fatal[])(void) = {
		touch_outside,     touch_inside, touch_unguarded,    touch_after_guards,
		touch_after_fault, send_signal,  send_signal_inside,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		int status = run_child(fatal[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

/* --------------------------------------------------------- kinds ---------------------------------------------------------- */

static void test_kind_names(void **state)
{
	static const char *const names[] = {"auto", "cacheline", "byte", "page", "volatile"};
	enum untorn_media_kind kind = UNTORN_MEDIA_BYTE;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		assert_string_equal(untorn_media_kind_name((enum untorn_media_kind)i), names[i]);
		assert_int_equal(untorn_media_kind_parse(names[i], &kind), 0);
		assert_int_equal(kind, i);
	}
	assert_non_null(untorn_media_kind_name((enum untorn_media_kind)99));
	kind = UNTORN_MEDIA_BYTE;
	assert_int_equal(untorn_media_kind_parse("pages", &kind), -EINVAL);
	assert_int_equal(untorn_media_kind_parse("", &kind), -EINVAL);
	assert_int_equal(untorn_media_kind_parse("PAGE", &kind), -EINVAL);
	assert_int_equal(kind, UNTORN_MEDIA_BYTE);
}

static void test_detect_tmpfs(void **state)
{
	struct untorn_media *m;

	(void)state;
	need_tmpfs();
	m = open_media(make_file(memory, MIB), UNTORN_MEDIA_AUTO, 0);
	assert_int_equal(untorn_media_kind(m), UNTORN_MEDIA_VOLATILE);
	assert_int_equal(untorn_media_size(m), MIB);
	assert_false(untorn_media_is_read_only(m));
	untorn_media_close(m);
}

/* The kernel maps with MAP_SYNC exactly where stores can be made durable without a data sync. */
static void test_detect_disk(void **state)
{
	const char *path = make_file(disk, MIB);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_AUTO, 0);
	struct statfs fs;
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

	(void)state;
	assert_return_code(fstatfs(fd, &fs), errno);
	if (fs.f_type == TMPFS_MAGIC)
		assert_int_equal(untorn_media_kind(m), UNTORN_MEDIA_VOLATILE);
	else if (p == MAP_FAILED)
		assert_int_equal(untorn_media_kind(m), UNTORN_MEDIA_PAGE);
	else
		assert_in_range(untorn_media_kind(m), UNTORN_MEDIA_CACHELINE, UNTORN_MEDIA_BYTE);
	if (p != MAP_FAILED)
		munmap(p, 4096);
	untorn_media_close(m);
}

/* The same bytes whatever the kind; only page media sync, and count that. */
static void test_every_kind(void **state)
{
	(void)state;
	for (unsigned kind = UNTORN_MEDIA_CACHELINE; kind <= UNTORN_MEDIA_VOLATILE; kind++) {
		const char *path = make_file(disk, MIB);
		struct untorn_media *m = open_media(path, (enum untorn_media_kind)kind, 0);
		struct {
			le64 a;
			le32 b;
		} *at = (void *)(m->base + 8192);
		unsigned syncs = kind == UNTORN_MEDIA_PAGE ? 1 : 0;
		uint8_t odd[1001], back[1001];

		assert_int_equal(untorn_media_kind(m), kind);
		watch_syncs(0);
		memset(odd, 0x5a, sizeof(odd));
		assert_int_equal(untorn_media_write(m, 12301, odd, sizeof(odd)), 0);
		assert_int_equal(untorn_media_drains(m), syncs);
		assert_int_equal(syncs_started, syncs);
		media_store64(m, &at->a, 0x1122334455667788);
		media_store32(m, &at->b, 0x99aabbcc);
		media_flush(m, at, sizeof(*at));
		assert_int_equal(media_drain(m), 0);
		assert_int_equal(untorn_media_drains(m), 2 * syncs);
		assert_int_equal(syncs_started, 2 * syncs);
		assert_int_equal(m->base[8192], 0x88);
		assert_int_equal(m->base[8192 + 8], 0xcc);
		assert_true(media_load64(&at->a) == 0x1122334455667788);
		assert_int_equal(media_load32(&at->b), 0x99aabbcc);
		/* A hole is not in memory: it takes a sync where anything does. */
		assert_int_equal(untorn_media_zero(m, 512 * KIB, 256 * KIB), 0);
		assert_int_equal(syncs_started, 2 * syncs + syncs);
		assert_int_equal(fill(m, 512 * KIB, 1, 256 * KIB), 0);
		watch_syncs(0);
		assert_int_equal(untorn_media_zero(m, 512 * KIB, 256 * KIB), 0);
		assert_int_equal(syncs_started, kind == UNTORN_MEDIA_VOLATILE ? 0 : 1 + syncs);
		media_order(m);
		media_zero(m, m->base + 12301, 500);
		assert_int_equal(media_drain(m), 0);
		untorn_media_close(m);

		m = open_media(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY);
		assert_bytes(m, 12301, 0, 500);
		assert_bytes(m, 12801, 0x5a, 501);
		assert_int_equal(untorn_media_read(m, 12301, back, sizeof(back)), 0);
		assert_memory_equal(back + 500, odd + 500, 501);
		assert_bytes(m, 12301 + 1001, 0, 100);
		untorn_media_close(m);
	}
}

/* ---------------------------------------------------------- open ---------------------------------------------------------- */

static void test_open_errors(void **state)
{
	const char *fifo = file_in(disk, "fifo"), *small = file_in(disk, "small");

	(void)state;
	assert_open_fails(file_in(disk, "nowhere"), UNTORN_MEDIA_AUTO, 0, -ENOENT);
	assert_open_fails(disk, UNTORN_MEDIA_AUTO, 0, -EINVAL);
	assert_open_fails(disk, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY, -EINVAL);
	assert_return_code(mkfifo(fifo, 0600), errno);
	assert_open_fails(fifo, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY, -EINVAL);
	assert_return_code(unlink(fifo), errno);
	assert_open_fails("/dev/null", UNTORN_MEDIA_AUTO, 0, -EINVAL);
	assert_open_fails(make_file(disk, 0), UNTORN_MEDIA_AUTO, 0, -ENXIO);
	assert_open_fails(make_file(disk, 4095), UNTORN_MEDIA_AUTO, 0, -ENXIO);
	if (memory[0])
		assert_open_fails(make_file(memory, 4095), UNTORN_MEDIA_AUTO, 0, -ENXIO);
	make_named_file(small, MIB);
	assert_open_fails(small, (enum untorn_media_kind)99, 0, -EINVAL);
	assert_open_fails(small, UNTORN_MEDIA_AUTO, 1u << 7, -EINVAL);
	/* None of them has kept the file. */
	untorn_media_close(open_media(small, UNTORN_MEDIA_AUTO, 0));
	assert_return_code(unlink(small), errno);
}

static void test_size_is_rounded_down(void **state)
{
	struct untorn_media *m = open_media(make_file(disk, 3 * 4096 + 4095), UNTORN_MEDIA_AUTO, 0);

	(void)state;
	assert_int_equal(untorn_media_size(m), 3 * 4096);
	assert_int_equal(fill(m, 3 * 4096 - 1, 1, 1), 0);
	assert_int_equal(fill(m, 3 * 4096, 1, 1), -ERANGE);
	untorn_media_close(m);
}

/* Address space for terabytes: what the largest file here is, is the file system's business. */
static void test_terabytes(void **state)
{
	const char *dirs[] = {disk, memory};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && dirs[i][0]; i++) {
		const char *path = make_file(dirs[i], 0);
		uint64_t size = 64 * TIB, data, end;
		struct untorn_media *m;
		int r;

		while (truncate(path, (off_t)size) < 0)
			size = round_down(size / 2 - 1, 4096);
		assert_true(size >= TIB);
		r = untorn_media_open(path, UNTORN_MEDIA_AUTO, 0, &m);
		if (r == -ENOMEM) { /* sanitizers take most of the address space */
			print_message("no address space for %llu GiB\n", (unsigned long long)(size / GIB));
			skip();
		}
		assert_int_equal(r, 0);
		assert_int_equal(untorn_media_size(m), size);
		assert_int_equal(fill(m, size - 4096, 7, 4096), 0);
		assert_int_equal(untorn_media_next_data(m, 0, &data, &end), 0);
		assert_int_equal(data, size - 4096);
		assert_int_equal(end, size);
		assert_int_equal(untorn_media_zero(m, 0, size), 0);
		assert_bytes(m, size - 4096, 0, 4096);
		assert_true(allocated(path) <= MIB);
		untorn_media_close(m);
		assert_return_code(unlink(path), errno);
	}
}

/* ---------------------------------------------------------- lock ---------------------------------------------------------- */

static void test_exclusive(void **state)
{
	const char *path = make_file(disk, MIB);
	struct untorn_media *writer, *reader, *other;

	(void)state;
	writer = open_media(path, UNTORN_MEDIA_AUTO, 0);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY, -EBUSY);
	untorn_media_close(writer);

	reader = open_media(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY);
	assert_true(untorn_media_is_read_only(reader));
	assert_int_equal(fcntl(reader->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	other = open_media(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	untorn_media_close(reader);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	untorn_media_close(other);

	/* Another descriptor of the file that comes and goes takes nothing away. */
	writer = open_media(path, UNTORN_MEDIA_AUTO, 0);
	close(open(path, O_RDWR | O_CLOEXEC));
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	untorn_media_close(writer);
}

static void test_holder(void **state)
{
	const char *path = make_file(disk, MIB);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char name[64] = "unchanged", comm[64] = "", tiny[3];
	struct untorn_media *m;
	FILE *file = fopen("/proc/self/comm", "re");
	pid_t pid = -7;

	(void)state;
	assert_non_null(file);
	assert_non_null(fgets(comm, sizeof(comm), file));
	fclose(file);
	comm[strcspn(comm, "\n")] = '\0';

	assert_int_equal(untorn_media_holder(file_in(disk, "nowhere"), &pid, name, sizeof(name)), -ENOENT);
	assert_return_code(fd, errno); /* to have it open is not to hold it */
	assert_int_equal(untorn_media_holder(path, &pid, name, sizeof(name)), -ESRCH);
	m = open_media(make_named_file(file_in(disk, "small"), MIB), UNTORN_MEDIA_AUTO, 0);
	assert_int_equal(untorn_media_holder(path, &pid, name, sizeof(name)), -ESRCH);
	untorn_media_close(m);
	assert_int_equal(pid, -7);
	assert_string_equal(name, "unchanged");
	assert_return_code(unlink(file_in(disk, "small")), errno);
	for (unsigned flags = 0; flags <= UNTORN_MEDIA_READ_ONLY; flags++) {
		m = open_media(path, UNTORN_MEDIA_AUTO, flags);
		pid = -7;
		assert_int_equal(untorn_media_holder(path, &pid, name, sizeof(name)), 0);
		assert_int_equal(pid, getpid());
		assert_string_equal(name, comm);
		assert_int_equal(untorn_media_holder(path, &pid, tiny, sizeof(tiny)), 0);
		assert_int_equal(strlen(tiny), 2);
		untorn_media_close(m);
	}
	assert_int_equal(untorn_media_holder(path, &pid, name, sizeof(name)), -ESRCH);
}

static void test_other_process(void **state)
{
	const char *path = make_file(disk, MIB);
	char name[64], byte;
	int ready[2], quit[2];
	pid_t child, pid;

	(void)state;
	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(quit), errno);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct untorn_media *m;

		close(quit[1]);
		CHECK(untorn_media_open(path, UNTORN_MEDIA_AUTO, 0, &m) == 0);
		CHECK(write(ready[1], "x", 1) == 1);
		_exit(read(quit[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(quit[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	assert_int_equal(untorn_media_holder(path, &pid, name, sizeof(name)), 0);
	assert_int_equal(pid, child);
	/* Killed, not closed: the lock goes with the process. */
	assert_return_code(kill(child, SIGKILL), errno);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(quit[1]);
	close(ready[0]);
	untorn_media_close(open_media(path, UNTORN_MEDIA_AUTO, 0));
}

/* --------------------------------------------------------- bounds --------------------------------------------------------- */

static void test_bounds(void **state)
{
	const char *path = make_file(disk, 2 * 4096);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_PAGE, 0);
	uint8_t byte = 1;
	uint64_t data, end;

	(void)state;
	assert_int_equal(untorn_media_read(m, 8192, &byte, 0), 0);
	assert_int_equal(untorn_media_read(m, 8192, &byte, 1), -ERANGE);
	assert_int_equal(untorn_media_read(m, 8193, &byte, 0), -ERANGE);
	assert_int_equal(untorn_media_read(m, 1, &byte, SIZE_MAX), -ERANGE);
	assert_int_equal(untorn_media_read(m, UINT64_MAX, &byte, 2), -ERANGE);
	assert_int_equal(untorn_media_write(m, 8191, &byte, 2), -ERANGE);
	assert_int_equal(untorn_media_write(m, UINT64_MAX, &byte, 1), -ERANGE);
	assert_int_equal(untorn_media_zero(m, 0, 8193), -ERANGE);
	assert_int_equal(untorn_media_zero(m, 4096, UINT64_MAX - 4095), -ERANGE);
	assert_int_equal(untorn_media_next_data(m, 8193, &data, &end), -ERANGE);
	assert_int_equal(untorn_media_next_data(m, 8192, &data, &end), 0);
	assert_int_equal(data, 8192);
	assert_int_equal(end, 8192);
	/* Nothing to do is not a persist point. */
	assert_int_equal(untorn_media_write(m, 8192, &byte, 0), 0);
	assert_int_equal(untorn_media_zero(m, 8192, 0), 0);
	assert_int_equal(untorn_media_drains(m), 0);
	assert_int_equal(untorn_media_write(m, 8191, &byte, 1), 0);
	untorn_media_close(m);

	m = open_media(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY);
	assert_int_equal(untorn_media_write(m, 0, &byte, 1), -EROFS);
	assert_int_equal(untorn_media_zero(m, 0, 1), -EROFS);
	assert_bytes(m, 8191, 1, 1);
	untorn_media_close(m);
	untorn_media_close(NULL);
}

static void test_slices(void **state)
{
	const char *path = make_file(disk, MIB);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_PAGE, 0), *slice, *inner, *none = NULL;
	uint64_t data, end;

	(void)state;
	assert_int_equal(untorn_media_slice(m, 1, 4096, &none), -EINVAL);
	assert_int_equal(untorn_media_slice(m, 4096, 4095, &none), -EINVAL);
	assert_int_equal(untorn_media_slice(m, 4096, 0, &none), -EINVAL);
	assert_int_equal(untorn_media_slice(m, MIB - 4096, 8192, &none), -ERANGE);
	assert_int_equal(untorn_media_slice(m, UINT64_MAX - 4095, 8192, &none), -ERANGE);
	assert_null(none);
	assert_int_equal(untorn_media_slice(m, 64 * KIB, 128 * KIB, &slice), 0);
	assert_int_equal(untorn_media_slice(slice, 8192, 8192, &inner), 0);
	assert_int_equal(untorn_media_slice(slice, 0, 132 * KIB, &none), -ERANGE);
	assert_int_equal(untorn_media_size(inner), 8192);
	assert_int_equal(untorn_media_kind(inner), untorn_media_kind(m));

	assert_int_equal(fill(inner, 0, 3, 8192), 0);
	assert_int_equal(fill(inner, 8191, 3, 2), -ERANGE);
	assert_bytes(m, 72 * KIB, 3, 8192);
	assert_bytes(m, 72 * KIB - 1, 0, 1);
	assert_bytes(m, 80 * KIB, 0, 1);
	assert_int_equal(untorn_media_drains(m), 1);
	assert_int_equal(untorn_media_drains(inner), 1);

	/* Holes, seen from a slice. */
	assert_int_equal(untorn_media_next_data(slice, 0, &data, &end), 0);
	assert_int_equal(data, 8192);
	assert_int_equal(end, 16384);
	assert_int_equal(untorn_media_next_data(slice, 16384, &data, &end), 0);
	assert_int_equal(data, 128 * KIB);
	assert_int_equal(end, 128 * KIB);
	assert_int_equal(untorn_media_next_data(inner, 4096, &data, &end), 0);
	assert_int_equal(data, 4096);
	assert_int_equal(end, 8192);
	assert_int_equal(fill(m, 192 * KIB, 4, 4096), 0);
	assert_int_equal(untorn_media_next_data(slice, 16384, &data, &end), 0);
	assert_int_equal(data, 128 * KIB);
	assert_int_equal(untorn_media_zero(slice, 0, 128 * KIB), 0);
	assert_bytes(m, 192 * KIB, 4, 4096);
	assert_bytes(inner, 0, 0, 8192);

	/* The parent stays until its last slice goes. */
	untorn_media_close(m);
	untorn_media_close(slice);
	assert_open_fails(path, UNTORN_MEDIA_AUTO, 0, -EBUSY);
	assert_int_equal(fill(inner, 0, 5, 1), 0);
	untorn_media_close(inner);
	m = open_media(path, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY);
	assert_bytes(m, 72 * KIB, 5, 1);
	assert_int_equal(untorn_media_slice(m, 0, 4096, &slice), 0);
	assert_int_equal(fill(slice, 0, 5, 1), -EROFS);
	untorn_media_close(slice);
	untorn_media_close(m);
}

/* ---------------------------------------------------------- holes --------------------------------------------------------- */

static void check_zero(const char *dir)
{
	const char *path = make_file(dir, GIB);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_AUTO, 0);
	uint64_t data, end, before;

	assert_int_equal(untorn_media_zero(m, 0, GIB), 0);
	assert_true(allocated(path) <= 64 * KIB);

	/* A large run: given back, and its neighbours keep their bytes. */
	assert_int_equal(fill(m, 16 * MIB, 0xee, 4 * MIB), 0);
	assert_true(allocated(path) >= 4 * MIB);
	assert_int_equal(untorn_media_zero(m, 16 * MIB + 1, 4 * MIB - 2), 0);
	assert_true(allocated(path) <= MIB); /* before reading: a loaded hole of a tmpfs file becomes a page */
	assert_bytes(m, 16 * MIB, 0xee, 1);
	assert_bytes(m, 16 * MIB + 1, 0, 4 * MIB - 2);
	assert_bytes(m, 20 * MIB - 1, 0xee, 1);

	/* A small one is stored over; the holes around it stay. */
	assert_int_equal(fill(m, 64 * MIB, 0xee, 8192), 0);
	before = allocated(path);
	assert_int_equal(untorn_media_zero(m, 64 * MIB - 8192, 32768), 0);
	assert_true(allocated(path) <= before);
	assert_bytes(m, 64 * MIB - 8192, 0, 32768);

	assert_int_equal(untorn_media_zero(m, 0, GIB), 0);
	assert_int_equal(untorn_media_next_data(m, 0, &data, &end), 0);
	assert_int_equal(data, GIB);
	assert_int_equal(end, GIB);
	assert_true(allocated(path) <= 64 * KIB);
	untorn_media_close(m);
}

static void test_zero_disk(void **state)
{
	(void)state;
	check_zero(disk);
}

static void test_zero_tmpfs(void **state)
{
	(void)state;
	need_tmpfs();
	check_zero(memory);
}

/* Where nothing is known about holes, zeros are stored. */
static void test_zero_without_holes(void **state)
{
	struct untorn_media *m;
	uint64_t data, end;

	(void)state;
	assert_int_equal(fault_media_new(MIB, &m), 0);
	assert_int_equal(fill(m, 0, 9, MIB), 0);
	assert_int_equal(untorn_media_zero(m, 4097, MIB - 8000), 0);
	assert_bytes(m, 0, 9, 4097);
	assert_bytes(m, 4097, 0, MIB - 8000);
	assert_bytes(m, MIB - 8000 + 4097, 9, 8000 - 4097);
	assert_int_equal(untorn_media_next_data(m, 12345, &data, &end), 0);
	assert_int_equal(data, 12345);
	assert_int_equal(end, MIB);
	untorn_media_close(m);
}

/* Stored through the mapping and written back by nobody: data all the same, also where the file has space but no bytes. */
static void test_dirty_pages_are_data(void **state)
{
	const char *path = make_file(disk, 64 * MIB);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct untorn_media *m;
	uint64_t data, end;

	(void)state;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 32 * (off_t)MIB, (off_t)MIB) < 0)
		print_message("cannot preallocate here\n");
	m = open_media(path, UNTORN_MEDIA_PAGE, 0);
	media_copy(m, m->base + 8 * MIB + 100, "x", 1);
	media_copy(m, m->base + 32 * MIB + 500 * KIB, "x", 1);
	assert_int_equal(untorn_media_next_data(m, 0, &data, &end), 0);
	assert_in_range(data, 8 * MIB - 64 * KIB, 8 * MIB + 100);
	assert_in_range(end, 8 * MIB + 101, 8 * MIB + 64 * KIB);
	assert_int_equal(untorn_media_next_data(m, end, &data, &end), 0);
	assert_in_range(data, 32 * MIB, 32 * MIB + 500 * KIB);
	assert_in_range(end, 32 * MIB + 500 * KIB + 1, 33 * MIB);
	assert_int_equal(untorn_media_zero(m, 0, 64 * MIB), 0);
	assert_bytes(m, 8 * MIB + 100, 0, 1);
	assert_bytes(m, 32 * MIB + 500 * KIB, 0, 1);
	untorn_media_close(m);
}

/* --------------------------------------------------------- faults --------------------------------------------------------- */

static void check_truncated(const char *dir)
{
	const char *path = make_file(dir, 4 * MIB);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_AUTO, 0);
	uint8_t *big = malloc(4 * MIB);
	uint64_t data, end;

	assert_int_equal(fill(m, 0, 6, 4 * MIB), 0);
	assert_return_code(truncate(path, MIB), errno);
	assert_int_equal(untorn_media_read(m, 2 * MIB, big, 1), -EIO);
	assert_int_equal(untorn_media_read(m, 0, big, 4 * MIB), -EIO);
	assert_int_equal(fill(m, 2 * MIB, 1, 100), -EIO);
	assert_int_equal(fill(m, MIB - 1, 1, 2), -EIO);
	/* What is gone is not a hole. */
	assert_int_equal(untorn_media_zero(m, 2 * MIB, MIB), -EIO);
	assert_int_equal(untorn_media_zero(m, 0, 4 * MIB), -EIO);
	assert_int_equal(untorn_media_next_data(m, 2 * MIB, &data, &end), 0);
	assert_int_equal(data, 2 * MIB);
	assert_int_equal(end, 4 * MIB);
	/* The rest works on. */
	assert_int_equal(fill(m, 0, 7, 4096), 0);
	assert_bytes(m, 0, 7, 4096);
	assert_return_code(truncate(path, 4 * MIB), errno);
	assert_bytes(m, 2 * MIB, 0, MIB);
	assert_int_equal(fill(m, 2 * MIB, 8, MIB), 0);
	assert_bytes(m, 2 * MIB, 8, MIB);
	free(big);
	untorn_media_close(m);
}

static void test_truncated_disk(void **state)
{
	(void)state;
	check_truncated(disk);
}

static void test_truncated_tmpfs(void **state)
{
	(void)state;
	need_tmpfs();
	check_truncated(memory);
}

/* Bad memory in the middle of a file, on a file system that has room. */
static void test_bad_page_of_a_file(void **state)
{
	struct untorn_media *m = open_media(make_file(disk, MIB), UNTORN_MEDIA_AUTO, 0);
	_cleanup_close_ int fd = memfd_create("empty", MFD_CLOEXEC);
	uint8_t byte;

	(void)state;
	assert_ptr_not_equal(mmap(m->base + 8192, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
			     MAP_FAILED);
	assert_int_equal(untorn_media_read(m, 8192, &byte, 1), -EIO);
	assert_int_equal(fill(m, 8191, 1, 2), -EIO);
	assert_int_equal(fill(m, 12288, 1, 1), 0);
	untorn_media_close(m);
}

static void test_bad_pages(void **state)
{
	struct untorn_media *m, *slice;
	uint8_t bytes[8192];

	(void)state;
	assert_int_equal(fault_media_new(16 * 4096, &m), 0);
	assert_int_equal(untorn_media_slice(m, 4 * 4096, 4 * 4096, &slice), 0);
	assert_int_equal(fill(m, 0, 2, 16 * 4096), 0);
	assert_int_equal(fault_media_set_bad(m, 16 * 4096, 1, true), -ERANGE);
	assert_int_equal(fault_media_set_bad(slice, 4095, 2, true), 0); /* pages 4 and 5 */
	assert_int_equal(untorn_media_read(slice, 0, bytes, 1), -EIO);
	assert_int_equal(untorn_media_read(m, 3 * 4096, bytes, 8192), -EIO);
	assert_int_equal(untorn_media_read(m, 5 * 4096, bytes, 1), -EIO);
	assert_int_equal(fill(m, 5 * 4096, 1, 1), -EIO);
	assert_int_equal(untorn_media_zero(slice, 0, 8192), -EIO);
	assert_bytes(m, 0, 2, 4 * 4096);
	assert_bytes(m, 6 * 4096, 2, 10 * 4096);
	assert_int_equal(fill(slice, 8192, 3, 4096), 0);
	/* Mended in part. */
	assert_int_equal(fault_media_set_bad(m, 4 * 4096, 4096, false), 0);
	assert_bytes(slice, 0, 0, 4096);
	assert_int_equal(untorn_media_read(slice, 4096, bytes, 1), -EIO);
	assert_int_equal(fault_media_set_bad(m, 0, 16 * 4096, false), 0);
	assert_bytes(m, 0, 0, 16 * 4096);
	assert_int_equal(fill(m, 0, 4, 16 * 4096), 0);
	assert_bytes(slice, 0, 4, 4 * 4096);
	untorn_media_close(m);
	untorn_media_close(slice);
}

struct nested {
	struct untorn_media *outer, *inner;
	volatile int inner_result, steps;
	volatile uint8_t *touch;
};

static int touch_it(void *arg)
{
	struct nested *n = arg;

	n->steps++;
	n->steps += *n->touch;
	return 1234;
}

static int guard_inner(void *arg)
{
	struct nested *n = arg;

	n->inner_result = media_guarded(n->inner, touch_it, n);
	n->steps += 100;
	return 4321;
}

static void test_nested_guards(void **state)
{
	struct untorn_media *a, *b;
	struct nested n = {0};

	(void)state;
	assert_int_equal(fault_media_new(8192, &a), 0);
	assert_int_equal(fault_media_new(8192, &b), 0);
	assert_int_equal(fault_media_set_bad(a, 0, 4096, true), 0);
	assert_int_equal(fault_media_set_bad(b, 0, 4096, true), 0);

	/* No fault: what fn returns. */
	n = (struct nested){.outer = a, .inner = b, .touch = a->base + 4096};
	assert_int_equal(media_guarded(a, guard_inner, &n), 4321);
	assert_int_equal(n.inner_result, 1234);
	/* The innermost guard of that medium, once it is the inner one and once the outer one. */
	n = (struct nested){.outer = a, .inner = a, .touch = a->base};
	assert_int_equal(media_guarded(a, guard_inner, &n), 4321);
	assert_int_equal(n.inner_result, -EIO);
	assert_int_equal(n.steps, 101);
	n = (struct nested){.outer = a, .inner = b, .touch = a->base};
	assert_int_equal(media_guarded(a, guard_inner, &n), -EIO);
	assert_int_equal(n.inner_result, 0);
	assert_int_equal(n.steps, 1);
	/* Nothing is left behind: the next guard starts afresh. */
	n = (struct nested){.outer = a, .inner = b, .touch = b->base};
	assert_int_equal(media_guarded(a, guard_inner, &n), 4321);
	assert_int_equal(n.inner_result, -EIO);
	untorn_media_close(a);
	untorn_media_close(b);
}

/* Every thread has its own guards. */
static void *fault_often(void *arg)
{
	struct untorn_media *m = arg;
	uint8_t byte;
	intptr_t wrong = 0;

	for (unsigned i = 0; i < 500; i++) {
		wrong += untorn_media_read(m, 0, &byte, 1) != -EIO;
		wrong += untorn_media_read(m, 4096, &byte, 1) != 0;
	}
	return (void *)wrong;
}

static void test_faults_in_threads(void **state)
{
	struct untorn_media *m;
	pthread_t threads[4];

	(void)state;
	assert_int_equal(fault_media_new(8192, &m), 0);
	assert_int_equal(fault_media_set_bad(m, 0, 4096, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault_often, m), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	untorn_media_close(m);
}

/* Go into a mount namespace of our own with a file system of that size at dir/mnt. */
static void mount_tmpfs(char *path, size_t path_size, const char *size)
{
	snprintf(path, path_size, "%s/mnt", disk);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (mkdir(path, 0700) < 0 && errno != EEXIST) || mount("none", path, "tmpfs", 0, size) < 0) {
		fprintf(stderr, "cannot mount a tmpfs: %s\n", strerror(errno));
		_exit(CHILD_SKIPS);
	}
}

static void fill_file_system(void)
{
	static uint8_t bytes[64 * 1024], back[64 * 1024];
	struct untorn_media *m;
	char dir[80], path[96];
	uint64_t off = 0;
	int fd, r;

	mount_tmpfs(dir, sizeof(dir), "size=1m");
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 16 * (off_t)MIB) == 0);
	CHECK(untorn_media_open(path, UNTORN_MEDIA_AUTO, 0, &m) == 0);
	memset(bytes, 1, sizeof(bytes));
	while ((r = untorn_media_write(m, off, bytes, sizeof(bytes))) == 0)
		off += sizeof(bytes);
	CHECK(r == -ENOSPC);
	CHECK(off >= 512 * KIB && off <= MIB);
	/* What was written before is there, and another try says the same. */
	CHECK(untorn_media_read(m, 0, back, sizeof(back)) == 0 && memcmp(back, bytes, sizeof(back)) == 0);
	CHECK(untorn_media_write(m, 8 * MIB, bytes, 4096) == -ENOSPC);
	CHECK(untorn_media_write(m, 0, bytes, 4096) == 0);
	CHECK(untorn_media_zero(m, 8 * MIB, 4 * MIB) == 0);
	/* Beyond a shortened end it is not for want of space. */
	CHECK(ftruncate(fd, 12 * (off_t)MIB) == 0);
	CHECK(untorn_media_write(m, 13 * MIB, bytes, 4096) == -EIO);
	/* Giving back makes room. */
	CHECK(untorn_media_zero(m, 0, off) == 0);
	CHECK(untorn_media_write(m, 8 * MIB, bytes, sizeof(bytes)) == 0);
	untorn_media_close(m);
}

static void test_full_file_system(void **state)
{
	(void)state;
	need_root();
	assert_child(fill_file_system);
}

/* ------------------------------------------------------ failed syncs ------------------------------------------------------ */

static void test_failed_drain_is_final(void **state)
{
	struct untorn_media *m, *slice;

	(void)state;
	assert_int_equal(fault_media_new(16 * 4096, &m), 0);
	assert_int_equal(untorn_media_slice(m, 4096, 4096, &slice), 0);
	fault_media_fail_drain(slice, 2);
	assert_int_equal(fill(m, 0, 1, 10), 0);
	assert_int_equal(fill(slice, 0, 1, 10), 0);
	assert_int_equal(fill(m, 0, 2, 10), -EIO);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fill(m, 0, 3, 10), -EIO);
		assert_int_equal(fill(slice, 0, 3, 10), -EIO);
		assert_int_equal(media_drain(m), -EIO);
		assert_int_equal(untorn_media_zero(m, 4096, 10), -EIO);
	}
	assert_bytes(slice, 4095, 0, 1);
	untorn_media_close(slice);
	untorn_media_close(m);
}

/* The same on a file: the sync that comes after a failed one says nothing about the bytes that were lost. */
static void test_failed_sync_is_final(void **state)
{
	const char *path = make_file(disk, 64 * 4096);
	struct untorn_media *m = open_media(path, UNTORN_MEDIA_PAGE, 0);

	(void)state;
	watch_syncs(2);
	assert_int_equal(fill(m, 0, 1, 10), 0);
	assert_int_equal(fill(m, 0, 2, 10), -EIO);
	assert_int_equal(fill(m, 0, 3, 10), -EIO);
	assert_int_equal(media_drain(m), -EIO);
	assert_int_equal(syncs_started, 2);
	assert_bytes(m, 4096, 0, 4096);
	untorn_media_close(m);
	/* Opened again it is as good as new. */
	m = open_media(path, UNTORN_MEDIA_PAGE, 0);
	assert_int_equal(fill(m, 0, 4, 64 * 4096), 0);
	/* A hole is not durable either when the sync after it fails. */
	watch_syncs(1);
	assert_int_equal(untorn_media_zero(m, 0, 64 * 4096), -EIO);
	assert_int_equal(fill(m, 0, 5, 1), -EIO);
	assert_int_equal(syncs_started, 1);
	untorn_media_close(m);
	watch_syncs(0);
}

enum { SYNC_THREADS = 4, SYNC_ROUNDS = 40 };

struct syncer {
	pthread_t thread;
	struct untorn_media *m;
	unsigned early, lost, good;
};

static void *sync_often(void *arg)
{
	struct syncer *s = arg;

	for (unsigned i = 0; i < SYNC_ROUNDS; i++) {
		unsigned before = atomic_load(&syncs_started);
		bool failed_before = failing_sync && atomic_load(&syncs_finished) >= failing_sync;
		int r = media_drain(s->m);

		/* Served by a sync that started after the call. */
		s->good += r == 0;
		s->early += r == 0 && atomic_load(&syncs_finished) <= before;
		s->lost += failed_before && r == 0;
	}
	return NULL;
}

static void check_shared_syncs(unsigned fail, struct syncer *syncers)
{
	struct untorn_media *m = open_media(make_file(disk, MIB), UNTORN_MEDIA_PAGE, 0);

	watch_syncs(fail);
	for (unsigned i = 0; i < SYNC_THREADS; i++) {
		syncers[i] = (struct syncer){.m = m};
		assert_int_equal(pthread_create(&syncers[i].thread, NULL, sync_often, &syncers[i]), 0);
	}
	for (unsigned i = 0; i < SYNC_THREADS; i++) {
		assert_int_equal(pthread_join(syncers[i].thread, NULL), 0);
		assert_int_equal(syncers[i].early, 0);
		assert_int_equal(syncers[i].lost, 0);
	}
	assert_int_equal(most_syncs_at_once, 1);
	untorn_media_close(m);
}

static void test_shared_syncs(void **state)
{
	struct syncer syncers[SYNC_THREADS];
	unsigned good = 0;

	(void)state;
	check_shared_syncs(0, syncers);
	for (unsigned i = 0; i < SYNC_THREADS; i++)
		assert_int_equal(syncers[i].good, SYNC_ROUNDS);
	assert_true(syncs_started <= SYNC_THREADS * SYNC_ROUNDS);
	/* After a failed sync nobody tries another one, and only those it preceded are told of success. */
	check_shared_syncs(5, syncers);
	assert_int_equal(syncs_started, 5);
	for (unsigned i = 0; i < SYNC_THREADS; i++)
		good += syncers[i].good;
	assert_true(good <= 4 * SYNC_THREADS);
	watch_syncs(0);
}

/* -------------------------------------------------------- devices --------------------------------------------------------- */

static void run(const char *command)
{
	if (system(command) != 0) {
		fprintf(stderr, "cannot: %s\n", command);
		_exit(CHILD_SKIPS);
	}
}

/*
 * A loop device on dir/back, which exists. It is detached as soon as it is opened: the kernel does that when the last one closes
 * it, so nothing of it stays whatever becomes of this process.
 */
static void make_loop(const char *dir, char *device, size_t size)
{
	char command[160];
	FILE *out;

	snprintf(command, sizeof(command), "losetup -f --show %s/back", dir);
	out = popen(command, "re");
	if (!out || !fgets(device, (int)size, out) || pclose(out) != 0) {
		fprintf(stderr, "cannot make a loop device\n");
		_exit(CHILD_SKIPS);
	}
	device[strcspn(device, "\n")] = '\0';
	CHECK(open(device, O_RDONLY | O_CLOEXEC) >= 0);
	snprintf(command, sizeof(command), "losetup -d %s", device);
	run(command);
}

static void use_block_device(void)
{
	static uint8_t bytes[MIB], back[MIB];
	char device[64], command[160];
	struct untorn_media *m, *other = NULL;
	uint64_t data, end;
	bool busy;
	int fd;

	snprintf(command, sizeof(command), "truncate -s 16M %s/back", disk);
	run(command);
	make_loop(disk, device, sizeof(device));
	CHECK(untorn_media_open(device, UNTORN_MEDIA_AUTO, 0, &m) == 0);
	CHECK(untorn_media_kind(m) == UNTORN_MEDIA_PAGE && untorn_media_size(m) == 16 * MIB);
	/* Claimed: neither this library nor a mount gets at it. */
	CHECK(untorn_media_open(device, UNTORN_MEDIA_AUTO, 0, &other) == -EBUSY);
	CHECK(untorn_media_open(device, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY, &other) == -EBUSY);
	fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	busy = fd < 0 && errno == EBUSY;
	CHECK(busy);
	memset(bytes, 0xab, sizeof(bytes));
	CHECK(untorn_media_write(m, 3 * MIB, bytes, sizeof(bytes)) == 0);
	CHECK(untorn_media_next_data(m, 5, &data, &end) == 0 && data == 5 && end == 16 * MIB);
	CHECK(untorn_media_zero(m, 3 * MIB + 1, 512 * KIB) == 0);
	memset(bytes + 1, 0, 512 * KIB);
	untorn_media_close(m);
	CHECK(untorn_media_open(device, UNTORN_MEDIA_AUTO, UNTORN_MEDIA_READ_ONLY, &m) == 0);
	CHECK(untorn_media_read(m, 3 * MIB, back, sizeof(back)) == 0);
	CHECK(memcmp(back, bytes, sizeof(back)) == 0);
	untorn_media_close(m);
	snprintf(command, sizeof(command), "rm %s/back", disk);
	run(command);
}

static void test_block_device(void **state)
{
	(void)state;
	need_root();
	assert_child(use_block_device);
}

/* A device whose write-back really fails: its backing file lies on a file system that is too small for it. */
static void lose_written_data(void)
{
	static uint8_t bytes[64 * 1024];
	char dir[80], device[64], command[160];
	struct untorn_media *m;
	int r = 0;

	mount_tmpfs(dir, sizeof(dir), "size=1m");
	snprintf(command, sizeof(command), "truncate -s 16M %s/back", dir);
	run(command);
	make_loop(dir, device, sizeof(device));
	CHECK(untorn_media_open(device, UNTORN_MEDIA_AUTO, 0, &m) == 0);
	memset(bytes, 1, sizeof(bytes));
	for (uint64_t off = 0; r == 0 && off < 4 * MIB; off += sizeof(bytes))
		r = untorn_media_write(m, off, bytes, sizeof(bytes));
	CHECK(r == -EIO);
	CHECK(untorn_media_write(m, 0, bytes, sizeof(bytes)) == -EIO);
	CHECK(untorn_media_read(m, 0, bytes, sizeof(bytes)) == 0);
	untorn_media_close(m);
}

static void test_failed_write_back(void **state)
{
	(void)state;
	need_root();
	assert_child(lose_written_data);
}

/* -------------------------------------------------------- threads --------------------------------------------------------- */

static struct untorn_media *shared;

static void *keep_copying(void *arg)
{
	uint8_t bytes[4096];

	(void)arg;
	for (unsigned i = 0; i < 2000; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		media_copy(shared, shared->base, bytes, sizeof(bytes));
	}
	return NULL;
}

/* Readers copy while a writer copies: by design, so a thread sanitizer must not mind. */
static void test_load_beside_copy(void **state)
{
	(void)state;
	for (unsigned kind = UNTORN_MEDIA_CACHELINE; kind <= UNTORN_MEDIA_VOLATILE; kind++) {
		pthread_t thread;
		uint8_t bytes[4096];

		shared = open_media(make_file(disk, MIB), (enum untorn_media_kind)kind, 0);
		assert_int_equal(pthread_create(&thread, NULL, keep_copying, NULL), 0);
		for (unsigned i = 0; i < 2000; i++) {
			media_load(bytes, shared->base, sizeof(bytes));
			media_load(bytes, shared->base + 1, 7);
		}
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_bytes(shared, 0, (uint8_t)1999, 4096);
		untorn_media_close(shared);
	}
}

static void test_wrapped_memory(void **state)
{
	static uint8_t bytes[8192];
	struct untorn_media *m, *slice;

	(void)state;
	assert_int_equal(memory_media_wrap(bytes, 8191, &m), -EINVAL);
	assert_int_equal(memory_media_wrap(bytes, 8192, &m), 0);
	assert_int_equal(untorn_media_kind(m), UNTORN_MEDIA_VOLATILE);
	assert_int_equal(untorn_media_slice(m, 4096, 4096, &slice), 0);
	untorn_media_close(m);
	assert_int_equal(fill(slice, 0, 1, 4096), 0);
	assert_int_equal(untorn_media_zero(slice, 1, 4094), 0);
	untorn_media_close(slice);
	assert_int_equal(bytes[4095] + bytes[4096] + bytes[4097] + bytes[8191], 2);
}

static int make_dirs(void **state)
{
	struct statfs fs;

	(void)state;
	if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC || !mkdtemp(memory))
		memory[0] = '\0';
	return mkdtemp(disk) ? 0 : -1;
}

static int remove_dirs(void **state)
{
	(void)state;
	unlink(file_in(disk, "file"));
	rmdir(file_in(disk, "mnt"));
	unlink(file_in(memory, "file"));
	rmdir(memory);
	return rmdir(disk);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_previous_handler),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_not_ours_kills),
		cmocka_unit_test(test_kind_names),
		cmocka_unit_test(test_detect_tmpfs),
		cmocka_unit_test(test_detect_disk),
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_size_is_rounded_down),
		cmocka_unit_test(test_terabytes),
		cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_other_process),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_zero_disk),
		cmocka_unit_test(test_zero_tmpfs),
		cmocka_unit_test(test_zero_without_holes),
		cmocka_unit_test(test_dirty_pages_are_data),
		cmocka_unit_test(test_truncated_disk),
		cmocka_unit_test(test_truncated_tmpfs),
		cmocka_unit_test(test_bad_page_of_a_file),
		cmocka_unit_test(test_bad_pages),
		cmocka_unit_test(test_nested_guards),
		cmocka_unit_test(test_faults_in_threads),
		cmocka_unit_test(test_full_file_system),
		cmocka_unit_test(test_failed_drain_is_final),
		cmocka_unit_test(test_failed_sync_is_final),
		cmocka_unit_test(test_shared_syncs),
		cmocka_unit_test(test_block_device),
		cmocka_unit_test(test_failed_write_back),
		cmocka_unit_test(test_load_beside_copy),
		cmocka_unit_test(test_wrapped_memory),
	};

	return cmocka_run_group_tests(tests, make_dirs, remove_dirs);
}
