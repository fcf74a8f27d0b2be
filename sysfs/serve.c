/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving, until the file system is unmounted or a signal asks for the end.
 *
 * What programs stored in mappings of raw disks and never synchronised is in the kernel's cache only, and the kernel hands it
 * over when a file is synchronised or dropped, not when the connection ends. So a signal is taken by a thread that first has all
 * such files that are open handed over, while the others go on answering.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define WAKE SIGUSR1 /* among our own threads */

struct ender {
	struct sysfs *sysfs;
	sigset_t signals; /* that ask for the end, and WAKE; blocked where it runs */
	pthread_t server; /* the thread in libfuse's loop */
	sem_t loop_left;  /* posted when that loop is */
	atomic_bool is_over;
	int r; /* of take_in_all() */
};

/*
 * By its path, which tells what fails, and then by its number, as no path may lead to a mount that was detached or moved: before the
 * kernel drops what it keeps of a file it hands it over. Of a disk that vanished nothing is left to hand over, and of a file that is
 * closed meanwhile the kernel does not know the number.
 */
static int take_in(struct sysfs *sysfs, const struct cached_file *file)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (asprintf(&path, "%s/dev/%s", sysfs->dir, file->node.name) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fsync(fd) < 0 && errno != ENXIO)
		r = -errno;
	fuse_lowlevel_notify_inval_inode(sysfs->session, file->number, 0, 0);
	return r;
}

/* Returns the first failure, and goes on behind it. */
static int take_in_all(struct sysfs *sysfs)
{
	_cleanup_free_ struct cached_file *files = NULL;
	size_t n = 0;
	int r = files_cached(sysfs, &files, &n), failure;

	for (size_t i = 0; i < n; i++) {
		failure = take_in(sysfs, &files[i]);
		r = r < 0 ? r : failure;
	}
	return r;
}

/* Get the server out of libfuse's loop, which looks whether it should end whenever a signal interrupts its waiting. */
static void end_loop(struct ender *ender)
{
	struct timespec soon;

	fuse_session_exit(ender->sysfs->session);
	do {
		pthread_kill(ender->server, WAKE);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec++;
	} while (sem_timedwait(&ender->loop_left, &soon) < 0);
}

static void *wait_for_signal(void *arg)
{
	struct ender *ender = arg;
	int signal;

	do {
		if (ender->is_over)
			return NULL;
	} while (sigwait(&ender->signals, &signal) != 0 || signal == WAKE);
	ender->r = take_in_all(ender->sysfs);
	end_loop(ender);
	return NULL;
}

static void do_nothing(int signal)
{
	(void)signal;
}

static int run_loop(struct sysfs *sysfs)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r = config ? fuse_session_loop_mt(sysfs->session, config) : -ENOMEM;

	if (config)
		fuse_loop_cfg_destroy(config);
	return r < 0 ? -EIO : 0;
}

/* The ender starts with WAKE blocked; for us it is not. */
static int serve_until_end(struct ender *ender)
{
	sigset_t wake;
	pthread_t thread;
	int r;

	sigemptyset(&wake);
	sigaddset(&wake, WAKE);
	pthread_sigmask(SIG_BLOCK, &wake, NULL);
	r = -pthread_create(&thread, NULL, wait_for_signal, ender);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	if (r < 0)
		return r;
	r = run_loop(ender->sysfs);
	ender->is_over = true;
	sem_post(&ender->loop_left);
	pthread_kill(thread, WAKE);
	pthread_join(thread, NULL);
	return r < 0 ? r : ender->r;
}

int sysfs_serve(struct sysfs *sysfs, const sigset_t *signals)
{
	struct ender ender = {.sysfs = sysfs, .signals = *signals, .server = pthread_self()};
	struct sigaction wake = {.sa_handler = do_nothing}, old_wake;
	int r;

	sigaddset(&ender.signals, WAKE);
	sem_init(&ender.loop_left, 0, 0);
	sigaction(WAKE, &wake, &old_wake);
	r = serve_until_end(&ender);
	sigaction(WAKE, &old_wake, NULL);
	sem_destroy(&ender.loop_left);
	return r;
}
