/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a platform to its devices as files, and in order back to nothing: every way out but SIGKILL leaves volumes and labels clean.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/signals.h"
#include "server.h"

/* libfuse would say it in words of its own. */
static int check_fuse(void)
{
	int r;

	if (access("/dev/fuse", R_OK | W_OK) == 0)
		return 0;
	r = -errno;
	if (r == -ENOENT)
		print_error("/dev/fuse is missing: load the kernel's module fuse, or give it to the container "
			    "(--device /dev/fuse)");
	else
		print_error("/dev/fuse: no access: %s", system_strerror(r));
	return r;
}

/* Whether standard error is a log of systemd, which says in the environment which one it is. */
static bool has_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

/*
 * Who reads what the command printed must not wait for the server to end, nor who unmounts what the command was called
 * in. A log takes what it says later.
 */
static void let_go(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int last = has_journal() ? STDOUT_FILENO : STDERR_FILENO;

	fflush(NULL);
	for (int fd = 0; null >= 0 && fd <= last; fd++)
		dup2(null, fd);
	if (chdir("/") < 0)
		print_note("the server stays in the folder in which it was called: %s", system_strerror(-errno));
}

/* It is mounted: tell the process that waits for it, if there is one. */
static int tell_ready(const struct server *server, int ready_fd)
{
	int r = 0;

	if (server->quiet)
		let_go();
	if (ready_fd >= 0) {
		if (write(ready_fd, "", 1) != 1)
			r = -EPIPE;
		close(ready_fd);
	}
	return r;
}

/* From opening to closing no signal leaves a lane pending: those that ask for the end wait, one or many. */
static void hold_signals(sigset_t *ret)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};

	signal(SIGPIPE, SIG_IGN); /* a sentence that nobody reads */
	sigemptyset(ret);
	signals_add_heard(ret, signals, ARRAY_SIZE(signals));
	sigprocmask(SIG_BLOCK, ret, NULL);
}

static int serve(const struct server *server, int ready_fd)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	struct sysfs *sysfs;
	sigset_t signals;
	int r;

	if (check_fuse() < 0)
		return CLI_FAILED;
	hold_signals(&signals);
	r = machine_open(&machine, server->command, server->platform,
			 server->read_only ? UNTORN_BUS_READ_ONLY : UNTORN_BUS_CREATE);
	if (r < 0)
		return r;
	r = sysfs_mount(machine.bus, server->dir, &server->mount, &sysfs);
	if (r < 0) {
		print_error("%s: cannot mount a FUSE file system there: %s", server->dir, system_strerror(r));
		return CLI_FAILED;
	}
	r = tell_ready(server, ready_fd);
	if (r == 0)
		r = sysfs_serve(sysfs, &signals);
	if (r < 0)
		print_error("%s: the file system ended, and what was stored in mappings may be lost: %s", server->dir,
			    system_strerror(r));
	sysfs_unmount(sysfs);
	return machine_close(&machine) < 0 || r < 0 ? CLI_FAILED : CLI_OK;
}

int server_run(const struct server *server)
{
	return serve(server, -1);
}

enum { STATUS_FAILED = 1, STATUS_USAGE };

_Noreturn static void run_child(const struct server *server, int ready_fd)
{
	int r;

	if (server->begin)
		server->begin(server->arg);
	r = serve(server, ready_fd);
	if (server->end)
		server->end(server->arg);
	exit(r == CLI_OK ? EXIT_SUCCESS : r == CLI_USAGE ? STATUS_USAGE : STATUS_FAILED);
}

int server_start(const struct server *server, pid_t *ret_pid)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		print_error("cannot start the server: %s", system_strerror(-errno));
		return CLI_FAILED;
	}
	if (pid == 0) {
		close(fds[0]);
		run_child(server, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) == 1) {
		close(fds[0]);
		*ret_pid = pid;
		return CLI_OK;
	}
	close(fds[0]);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_USAGE)
		return CLI_USAGE;
	return CLI_FAILED;
}
