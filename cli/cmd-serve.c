/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn serve: nbdkit with our plugin as a child, from the check of the target to the removal of the last temporary
 * file.
 *
 * A private directory holds the socket (unless one was asked for) and nbdkit's pid file. nbdkit writes that file when
 * it accepts connections, so the event that the file was closed means "ready": nothing here polls or sleeps.
 *
 * All signals that matter are blocked and read from a signalfd, so they are handled between two steps, never within
 * one. nbdkit runs in a process group of its own, so that a ^C on the terminal reaches it only through us, after the
 * command of --run. It ends when we are killed (--exit-with-parent).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static struct common_options common;
static const char *socket_option;
static uint64_t port;
static const char *listen_address;
static const char *tls_certificates;
static bool tls_verify_peer;
static bool read_only;
static const char *command_line;
static const char *pid_file_option;
static uint64_t commit = 1;

struct child {
	pid_t pid; /* 0: not started */
	bool has_exited;
	int status; /* of waitpid(), when has_exited */
};

struct server {
	struct child nbdkit;
	sigset_t old_mask; /* the signals that children start with */
	int signal_fd;
	char *dir;            /* private; holds pid_file and perhaps socket */
	char *pid_file;       /* nbdkit's */
	char *socket;         /* absolute; NULL with --port */
	char *uri;            /* what clients need */
	char namespace[32];   /* of the target; "": it has no labels */
	bool has_socket;      /* nbdkit made it: to be removed */
	bool has_option_file; /* --pid-file was written: to be removed */
};

static char *format_text(const char *format, ...) PRINTF_LIKE(1);

static char *format_text(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		command_die("out of memory");
	va_end(args);
	return text;
}

/* ------------------------------------------------------------------- options -------------------------------------- */

static int check_options(const struct command *command)
{
	if (socket_option && port)
		return usage_error(command, "--socket and --port exclude each other");
	if (port > 65535)
		return usage_error(command, "--port: '%llu' is not a port from 1 to 65535", (unsigned long long)port);
	if (listen_address && !port)
		return usage_error(command, "--listen needs --port");
	if (listen_address && !tls_certificates)
		return usage_error(command,
				   "--listen needs --tls-certificates: without TLS only this machine is served");
	if (tls_verify_peer && !tls_certificates)
		return usage_error(command, "--tls-verify-peer needs --tls-certificates");
	return 0;
}

static const char *plugin_path(void)
{
	const char *path = getenv("UNTORN_NBDKIT_PLUGIN");

	return path && *path ? path : UNTORN_NBDKIT_PLUGIN;
}

/* --------------------------------------------------------------------- URI ---------------------------------------- */

/* path with everything percent-encoded that means something in a query. */
static char *encode_path(const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
	char *text = malloc(3 * strlen(path) + 1), *end = text;

	if (!text)
		command_die("out of memory");
	for (; *path; path++) {
		if (strchr(plain, *path))
			*end++ = *path;
		else
			end += sprintf(end, "%%%02X", (unsigned char)*path);
	}
	*end = '\0';
	return text;
}

static char *make_uri(const struct server *server)
{
	const char *scheme = tls_certificates ? "nbds" : "nbd";

	if (server->socket) {
		_cleanup_free_ char *path = encode_path(server->socket);

		return format_text("%s+unix:///?socket=%s", scheme, path);
	}
	/* A certificate is for a name, and the name of the loopback address is known. */
	if (!listen_address)
		return format_text("%s://%s:%u", scheme, tls_certificates ? "localhost" : "127.0.0.1", (unsigned)port);
	return format_text(strchr(listen_address, ':') ? "%s://[%s]:%u" : "%s://%s:%u", scheme, listen_address,
			   (unsigned)port);
}

/* ------------------------------------------------------------------- the socket ----------------------------------- */

/*
 * A socket that a killed server left behind refuses connections: it is removed. Anything else at that path stays.
 */
static int clear_socket_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path)) {
		print_error("%s: a socket's path has at most %zu characters; choose a shorter one", path,
			    sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	if (lstat(path, &st) < 0)
		return 0; /* nbdkit tells what is wrong with the folder, if anything is */
	if (!S_ISSOCK(st.st_mode)) {
		print_error("%s: it exists and is not a socket; remove it or choose another path", path);
		return -EEXIST;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (r != -ECONNREFUSED) {
		print_error("%s: another program serves on this socket; stop it or choose another path", path);
		return -EADDRINUSE;
	}
	if (unlink(path) < 0) {
		print_error("%s: cannot remove the socket of a dead server: %s", path, untorn_strerror(errno));
		return -EADDRINUSE;
	}
	return 0;
}

static int make_paths(struct server *server)
{
	const char *parent = getenv("XDG_RUNTIME_DIR");
	_cleanup_free_ char *cwd = NULL;
	int r;
	_cleanup_free_ char *dir = format_text("%s/untorn-XXXXXX", parent && *parent ? parent : "/tmp");

	if (!mkdtemp(dir)) {
		r = -errno;
		print_error("%s: cannot make a private folder: %s", dir, untorn_strerror(r));
		return r;
	}
	server->dir = dir;
	dir = NULL;
	server->pid_file = format_text("%s/pid", server->dir);
	if (!socket_option) {
		server->socket = port ? NULL : format_text("%s/socket", server->dir);
	} else if (*socket_option == '/') {
		server->socket = format_text("%s", socket_option);
	} else {
		cwd = getcwd(NULL, 0);
		if (!cwd) {
			print_error("the current folder is gone: give --socket an absolute path");
			return -ENOENT;
		}
		server->socket = format_text("%s/%s", cwd, socket_option);
	}
	server->uri = make_uri(server);
	return server->socket ? clear_socket_path(server->socket) : 0;
}

/* ------------------------------------------------------------------- children ------------------------------------- */

/* Start a program with the signals that we were started with. Returns 0 or a negative errno. */
static int spawn(struct child *child, const char *program, char **argv, const sigset_t *mask, bool is_server)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t defaults;
	int r;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_setsigmask(&attr, mask);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	if (is_server) {
		flags |= POSIX_SPAWN_SETPGROUP;
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	}
	posix_spawnattr_setflags(&attr, flags);
	r = posix_spawnp(&child->pid, program, &actions, &attr, argv, environ);
	if (r != 0)
		child->pid = 0;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -r;
}

static void reap(struct child *child, int flags)
{
	if (child->pid && !child->has_exited)
		child->has_exited = waitpid(child->pid, &child->status, flags) == child->pid;
}

static int read_signal(const struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signal_fd, &info, sizeof(info)) != sizeof(info))
		command_die("cannot read signals");
	return (int)info.ssi_signo;
}

/* 0 when nbdkit ended as it should; else a sentence and -EIO. */
static int judge_nbdkit(const struct server *server, const char *path)
{
	int status = server->nbdkit.status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		print_error("%s: the server was killed by signal %d (%s); sectors are whole, and what was not flushed "
			    "may be lost",
			    path, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		print_error("%s: the server failed; nbdkit says why above", path);
	return -EIO;
}

static int start_nbdkit(struct server *server, const char *path)
{
	_cleanup_free_ char *namespace_arg = format_text("namespace=%s", server->namespace);
	const char *plugin = plugin_path();
	_cleanup_free_ char *pid_arg = format_text("--pidfile=%s", server->pid_file);
	_cleanup_free_ char *socket_arg = format_text("--unix=%s", server->socket ? server->socket : "");
	_cleanup_free_ char *address_arg = format_text("--ipaddr=%s", listen_address ? listen_address : "127.0.0.1");
	_cleanup_free_ char *port_arg = format_text("--port=%u", (unsigned)port);
	_cleanup_free_ char *tls_arg = format_text("--tls-certificates=%s", tls_certificates ? tls_certificates : "");
	_cleanup_free_ char *file_arg = format_text("file=%s", path);
	_cleanup_free_ char *layout_arg = format_text("layout=%s", untorn_btt_layout_name(common.layout));
	_cleanup_free_ char *medium_arg = format_text("medium=%s", untorn_media_kind_name(common.medium));
	_cleanup_free_ char *commit_arg = format_text("commit=%llu", (unsigned long long)commit);
	char *argv[20];
	int n = 0;
	int r;

	if (access(plugin, R_OK) < 0) {
		print_error("%s: the nbdkit plugin is missing; install it, or set UNTORN_NBDKIT_PLUGIN to its path",
			    plugin);
		return -ENOENT;
	}
	argv[n++] = (char *)"nbdkit";
	argv[n++] = (char *)"--exit-with-parent";
	argv[n++] = pid_arg;
	if (server->socket) {
		argv[n++] = socket_arg;
	} else {
		argv[n++] = address_arg;
		argv[n++] = port_arg;
	}
	argv[n++] = (char *)(tls_certificates ? "--tls=require" : "--tls=off");
	if (tls_certificates)
		argv[n++] = tls_arg;
	if (tls_verify_peer)
		argv[n++] = (char *)"--tls-verify-peer";
	if (read_only)
		argv[n++] = (char *)"--readonly";
	argv[n++] = (char *)plugin;
	argv[n++] = file_arg;
	argv[n++] = layout_arg;
	argv[n++] = medium_arg;
	argv[n++] = commit_arg;
	if (*server->namespace)
		argv[n++] = namespace_arg;
	if (read_only)
		argv[n++] = (char *)"read-only=true";
	argv[n] = NULL;

	r = spawn(&server->nbdkit, "nbdkit", argv, &server->old_mask, true);
	if (r == -ENOENT)
		print_error("nbdkit is not installed; install the package nbdkit");
	else if (r < 0)
		print_error("cannot start nbdkit: %s", untorn_strerror(r));
	return r;
}

/* Returns 0 when connections are accepted, 1 when a signal asks to end, -EIO after a sentence when nbdkit gave up. */
static int wait_until_ready(struct server *server, int inotify_fd, const char *path)
{
	struct pollfd fds[] = {{server->signal_fd, POLLIN, 0}, {inotify_fd, POLLIN, 0}};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			command_die("cannot wait for nbdkit");
		if (fds[1].revents)
			return 0; /* nothing else is written in our private folder */
		if (read_signal(server) != SIGCHLD)
			return 1;
		reap(&server->nbdkit, WNOHANG);
		if (server->nbdkit.has_exited) {
			if (judge_nbdkit(server, path) == 0)
				print_error("%s: nbdkit ended before it was ready", path);
			return -EIO;
		}
	}
}

static int start(struct server *server, const char *path)
{
	int fd, r;

	r = make_paths(server);
	if (r < 0)
		return r;
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, server->dir, IN_CLOSE_WRITE) < 0) {
		r = -errno;
		print_error("%s: cannot watch the folder: %s", server->dir, untorn_strerror(r));
	}
	if (r == 0)
		r = start_nbdkit(server, path);
	if (r == 0) {
		server->has_socket = server->socket;
		r = wait_until_ready(server, fd, path);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

/* ------------------------------------------------------------------ serving --------------------------------------- */

static int write_pid_file(struct server *server)
{
	FILE *file = fopen(pid_file_option, "we");
	bool ok = file;

	if (file) {
		server->has_option_file = true;
		ok = fprintf(file, "%d\n", (int)server->nbdkit.pid) > 0;
		ok = fclose(file) == 0 && ok;
	}
	if (!ok)
		print_error("%s: cannot write the pid file: %s", pid_file_option, untorn_strerror(errno));
	return ok ? 0 : -EIO;
}

/* Until a signal asks to end, or nbdkit ends. */
static void serve_until_signal(struct server *server)
{
	while (!server->nbdkit.has_exited && read_signal(server) == SIGCHLD)
		reap(&server->nbdkit, WNOHANG);
}

/* Run the command of --run as system(3) does: ^C is its own business. Returns its exit status, or CLI_FAILED. */
static int serve_command(struct server *server)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command_line, NULL};
	struct child child = {0};
	_cleanup_free_ char *port_text = port ? format_text("%u", (unsigned)port) : format_text("%s", "");
	int signal_number, r;

	setenv("uri", server->uri, 1);
	setenv("nbd", server->uri, 1);
	setenv("unixsocket", server->socket ? server->socket : "", 1);
	setenv("port", port_text, 1);
	setenv("exportname", "", 1);
	if (tls_certificates)
		setenv("tls", "2", 1);
	else
		unsetenv("tls");
	r = spawn(&child, "/bin/sh", argv, &server->old_mask, false);
	if (r < 0) {
		print_error("cannot run the command: %s", untorn_strerror(r));
		return CLI_FAILED;
	}
	while (!child.has_exited) {
		signal_number = read_signal(server);
		if (signal_number == SIGTERM || signal_number == SIGHUP)
			kill(child.pid, signal_number);
		reap(&child, WNOHANG);
		reap(&server->nbdkit, WNOHANG);
	}
	return WIFEXITED(child.status) ? WEXITSTATUS(child.status) : 128 + WTERMSIG(child.status);
}

static int serve(struct server *server)
{
	if (pid_file_option && write_pid_file(server) < 0)
		return CLI_FAILED;
	if (command_line)
		return serve_command(server);
	if (printf("%s\n", server->uri) < 0 || fflush(stdout) != 0)
		return CLI_FAILED; /* the end of every command says so */
	serve_until_signal(server);
	return CLI_OK;
}

/* End nbdkit, which closes the volume, and remove what was made. Returns 0, or -EIO after a sentence. */
static int stop(struct server *server, const char *path)
{
	int r = 0;

	if (server->nbdkit.pid) {
		if (!server->nbdkit.has_exited)
			kill(server->nbdkit.pid, SIGTERM);
		reap(&server->nbdkit, 0);
		r = judge_nbdkit(server, path);
	}
	if (server->has_option_file)
		unlink(pid_file_option);
	if (server->has_socket)
		unlink(server->socket);
	if (server->dir) {
		unlink(server->pid_file);
		rmdir(server->dir);
	}
	free(server->dir);
	free(server->pid_file);
	free(server->socket);
	free(server->uri);
	return r;
}

static int run(const struct command *command, int nargs, char **args)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
	struct server server = {.signal_fd = -1};
	struct target target;
	sigset_t mask;
	int r, status = CLI_FAILED;

	(void)nargs;
	r = check_options(command);
	if (r < 0)
		return r;
	/* Whatever is wrong with the target is said here, in our words, before anything is started. */
	if (target_open(&target, args[0], &common, read_only) < 0)
		return CLI_FAILED;
	memcpy(server.namespace, target.namespace, sizeof(server.namespace));
	if (target_close(&target) < 0)
		return CLI_FAILED;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&mask, signals[i]);
	sigprocmask(SIG_BLOCK, &mask, &server.old_mask);
	signal(SIGPIPE, SIG_IGN);
	server.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
	if (server.signal_fd < 0) {
		print_error("cannot wait for signals: %s", untorn_strerror(errno));
		return CLI_FAILED;
	}
	r = start(&server, args[0]);
	if (r == 0)
		status = serve(&server);
	else if (r > 0)
		status = CLI_OK;
	if (stop(&server, args[0]) < 0)
		status = CLI_FAILED;
	close(server.signal_fd);
	return status;
}

static const struct option_row options[] = {
	{"socket", "PATH", &option_text, &socket_option,
	 "listen on this unix socket (default: one in a private folder)"},
	{"port", "N", &option_number, &port, "listen on this TCP port of 127.0.0.1 instead of a socket"},
	{"listen", "ADDR", &option_text, &listen_address, "with --port and --tls-certificates: listen on this address"},
	{"tls-certificates", "DIR", &option_text, &tls_certificates,
	 "require TLS; DIR holds ca-cert.pem, server-cert.pem and\nserver-key.pem as nbdkit-tls(1) tells"},
	{"tls-verify-peer", NULL, &option_switch, &tls_verify_peer,
	 "serve only clients with a certificate of that authority"},
	{"read-only", NULL, &option_switch, &read_only, "write nothing to the target, and share it with other readers"},
	{"run", "CMD", &option_text, &command_line,
	 "run the shell command CMD, which finds the server at $uri or\n"
	 "$unixsocket, end with it, and exit with its status"},
	{"pid-file", "PATH", &option_text, &pid_file_option,
	 "write the process id of the server there, once it is ready"},
	{"commit", "SECONDS", &option_number, &commit,
	 "longest time that a write stays uncommitted without a flush\n(default 1; 0: until a flush, or the end)"},
	COMMON_OPTIONS(&common),
	{0},
};

const struct command cmd_serve = {
	.name = "serve",
	.synopsis = "TARGET [--socket PATH | --port N] [--read-only] [--run CMD] ...",
	.summary = "serve a volume over NBD until a signal ends it",
	.description = "Serve the volume with nbdkit as a network block device (NBD) whose sectors never tear. The\n"
		       "address for clients is printed when connections are accepted. SIGINT or SIGTERM end the\n"
		       "server; everything is durable then.\n",
	.options = options,
	.examples = "  untorn serve vol.img\n"
		    "  untorn serve vol.img --run 'nbdcopy disk.img \"$uri\"'\n"
		    "  untorn serve vol.img --port 10809 --read-only\n",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
