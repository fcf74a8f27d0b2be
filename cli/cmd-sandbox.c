/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn sandbox and untorn ndctl: a command that finds the devices of a platform in /sys and /dev.
 *
 * It runs in a mount namespace of its own, where the machine's /sys and /dev are covered by ours; their other entries show
 * through as links. Without root this takes a user namespace, too, in which the user is root. A child process serves the
 * files. When the command has ended it is told to stop, and has made everything durable before we return.
 *
 * A private folder holds, under a tmpfs that only the sandbox sees: mnt, our file system, and sys and dev, what the machine
 * has there.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/signals.h"
#include "server.h"

static struct {
	struct platform_options platform;
	bool read_only;
	const char *pid_file, *join;
} opt;

#define PLATFORM_ROWS                                                                       \
	PLATFORM_OPTIONS(&opt.platform),                                                    \
	{                                                                                   \
		"read-only", NULL, &option_switch, &opt.read_only,                          \
			"write nothing, make no file; regions and disks are read-only", 'r' \
	}

static const struct option_row sandbox_options[] = {
	PLATFORM_ROWS,
	{"pid-file", "FILE", &option_text, &opt.pid_file,
	 "write the process number of the sandbox to FILE, for --join; removed at the end"},
	{"join", "FILE", &option_text, &opt.join, "run the command in the sandbox of that --pid-file"},
	{NULL},
};

static const struct option_row ndctl_options[] = {
	PLATFORM_ROWS,
	{NULL},
};

/* ------------------------------------------------------------------- namespaces ----------------------------------- */

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

/* In a user namespace the user is root, and owns what is the user's outside. */
static int map_user(uid_t uid, gid_t gid)
{
	char text[64];
	int r = write_text("/proc/self/setgroups", "deny");

	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(text, sizeof(text), "0 %u 1\n", uid);
	r = write_text("/proc/self/uid_map", text);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "0 %u 1\n", gid);
	return write_text("/proc/self/gid_map", text);
}

static int enter_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (uid == 0 && unshare(CLONE_NEWNS) == 0)
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
		r = map_user(uid, gid);
		if (r == 0)
			return 0;
	} else {
		r = -errno;
	}
	print_error("this system allows no private mounts (%s): run as root, or allow user namespaces "
		    "(sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)",
		    system_strerror(r));
	return r;
}

struct sandbox {
	char *preload; /* the library for label calls */
	char *dir;
	pid_t self, server;
	sigset_t held;    /* signals that are taken one by one, for the command */
	sigset_t outside; /* those that were blocked when we were called, as they are for our children */
};

static char *path_in(const struct sandbox *sandbox, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", sandbox->dir, name) < 0)
		command_die("out of memory");
	return path;
}

/* Cover target with source. */
static int bind_mount(const char *source, const char *target)
{
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) == 0)
		return 0;
	print_error("%s: cannot be mounted in a private namespace: %s", target, system_strerror(-errno));
	return -EPERM;
}

static bool is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || !path[len]);
}

/* Links lead through the folder: its name is absolute, not long, and not in what is covered. */
static char *parent_dir(void)
{
	enum { LENGTH_MAX = 96 };
	const char *wanted = getenv("XDG_RUNTIME_DIR");
	char *path = wanted && *wanted == '/' ? realpath(wanted, NULL) : NULL;

	if (!path || strlen(path) > LENGTH_MAX || is_in(path, "/dev") || is_in(path, "/sys")) {
		free(path);
		path = strdup("/tmp");
	}
	if (!path)
		command_die("out of memory");
	return path;
}

/* Make the private folder. What is unmounted outside is so inside, too: a sandbox does not keep other file systems. */
static int make_dir(struct sandbox *sandbox)
{
	static const char *const names[] = {"sys", "dev", "mnt"};
	_cleanup_free_ char *parent = parent_dir();
	int r = 0;

	if (asprintf(&sandbox->dir, "%s/untorn-XXXXXX", parent) < 0)
		command_die("out of memory");
	if (!mkdtemp(sandbox->dir)) {
		print_error("%s: cannot make a private folder: %s", sandbox->dir, system_strerror(-errno));
		free(sandbox->dir);
		sandbox->dir = NULL;
		return -EPERM;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("untorn", sandbox->dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0) {
		print_error("%s: cannot mount a private folder: %s", sandbox->dir, system_strerror(-errno));
		return -EPERM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		_cleanup_free_ char *path = path_in(sandbox, names[i]);

		if (mkdir(path, 0755) < 0) {
			r = -errno;
			print_error("%s: cannot be made: %s", path, system_strerror(r));
		}
	}
	return r;
}

/* Keep what the machine has in /sys and /dev. */
static int keep_outside(struct sandbox *sandbox)
{
	_cleanup_free_ char *sys = path_in(sandbox, "sys"), *dev = path_in(sandbox, "dev");
	int r = bind_mount("/sys", sys);

	return r < 0 ? r : bind_mount("/dev", dev);
}

static void remove_dir(struct sandbox *sandbox)
{
	if (!sandbox->dir)
		return;
	umount2(sandbox->dir, MNT_DETACH);
	rmdir(sandbox->dir);
	free(sandbox->dir);
}

/* ------------------------------------------------------------------- the server ----------------------------------- */

/*
 * If we are killed it ends as if we had told it, and it is not in the way of a ^C for the command. SIGTERM is how it is told, also
 * where our caller ignores or blocks that.
 */
static void begin_server(void *arg)
{
	const struct sandbox *sandbox = arg;
	sigset_t blocked = sandbox->outside;

	signal(SIGTERM, SIG_DFL);
	sigdelset(&blocked, SIGTERM);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	if (getppid() != sandbox->self)
		exit(EXIT_FAILURE);
}

/* Who would remove the folder was killed. */
static void end_server(void *arg)
{
	struct sandbox *sandbox = arg;

	if (getppid() != sandbox->self)
		remove_dir(sandbox);
}

/* Ready when it returns 0; else a sentence has been printed. */
static int start_server(const struct command *command, struct sandbox *sandbox)
{
	_cleanup_free_ char *mnt = path_in(sandbox, "mnt"), *sys = path_in(sandbox, "sys");
	_cleanup_free_ char *dev = path_in(sandbox, "dev");
	_cleanup_close_ int sys_fd = open(sys, O_PATH | O_CLOEXEC), dev_fd = open(dev, O_PATH | O_CLOEXEC);
	const struct server server = {
		.command = command,
		.platform = &opt.platform,
		.dir = mnt,
		.mount = {.outside_sys = sys_fd, .outside_dev = dev_fd, .outside = sandbox->dir},
		.read_only = opt.read_only,
		.begin = begin_server,
		.end = end_server,
		.arg = sandbox,
	};

	return server_start(&server, &sandbox->server);
}

/* -EIO: it could not make everything durable; it has said why, unless it was killed. */
static int stop_server(struct sandbox *sandbox)
{
	int status;

	if (sandbox->server <= 0)
		return 0;
	kill(sandbox->server, SIGTERM);
	if (waitpid(sandbox->server, &status, 0) < 0 || !WIFEXITED(status)) {
		print_error("the server of the devices was killed: what was not flushed may be lost");
		return -EIO;
	}
	return WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int cover(const struct sandbox *sandbox)
{
	_cleanup_free_ char *sys = path_in(sandbox, "mnt/sys"), *dev = path_in(sandbox, "mnt/dev");
	int r = bind_mount(sys, "/sys");

	return r < 0 ? r : bind_mount(dev, "/dev");
}

/* ------------------------------------------------------------------- the command ---------------------------------- */

static const char *preload_path(void)
{
	const char *path = getenv("UNTORN_PRELOAD");

	return path && *path ? path : UNTORN_PRELOAD;
}

/* The dynamic linker would complain about it for each program, and go on without. The path, allocated; NULL after a sentence. */
static char *find_preload(void)
{
	char *path = realpath(preload_path(), NULL);
	int r = !path || access(path, R_OK) < 0 ? -errno : 0;

	if (r < 0)
		print_error("%s: the library for label calls cannot be used: %s; UNTORN_PRELOAD says where it is",
			    preload_path(), system_strerror(r));
	else if (path[strcspn(path, " :")])
		print_error("%s: the library for label calls cannot be used: there is a blank or a colon in its path",
			    path);
	else
		return path;
	free(path);
	return NULL;
}

/* Programs that ask for labels with ioctl() find a file there; the library answers their calls from it. */
static void set_preload(const char *path)
{
	const char *old = getenv("LD_PRELOAD");
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "%s%s%s", path, old && *old ? ":" : "", old ? old : "") < 0 ||
	    setenv("LD_PRELOAD", text, 1) < 0)
		command_die("out of memory");
}

_Noreturn static void exec_command(const char *preload, char **args)
{
	int err;

	set_preload(preload);
	signal(SIGXFSZ, SIG_DFL); /* which is ignored for our own writes */
	execvp(args[0], args);
	err = errno;
	print_error("%s: cannot be run: %s", args[0], system_strerror(-err));
	_exit(err == ENOENT ? 127 : 126);
}

/* Signals are for the command. They wait until there is one, so that what we have made is cleared away whatever comes. */
static void hold_signals(struct sandbox *sandbox)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&sandbox->held);
	sigaddset(&sandbox->held, SIGCHLD);
	signals_add_heard(&sandbox->held, signals, ARRAY_SIZE(signals));
	sigprocmask(SIG_BLOCK, &sandbox->held, &sandbox->outside);
}

/* One that came before there is a command; 0: none. */
static int early_signal(const struct sandbox *sandbox)
{
	const struct timespec at_once = {0};
	int signal;

	do
		signal = sigtimedwait(&sandbox->held, NULL, &at_once);
	while (signal == SIGCHLD);
	return signal > 0 ? signal : 0;
}

/* The terminal sends its signals to the command, too. */
static bool is_for_us_alone(const siginfo_t *info)
{
	return info->si_signo != SIGCHLD && info->si_code != SI_KERNEL;
}

static int wait_for_command(const struct sandbox *sandbox, pid_t pid, int *ret_status)
{
	siginfo_t info;
	pid_t ended;

	while ((ended = waitpid(pid, ret_status, WNOHANG)) == 0) {
		if (sigwaitinfo(&sandbox->held, &info) > 0 && is_for_us_alone(&info))
			kill(pid, info.si_signo);
	}
	return ended < 0 ? -errno : 0;
}

/* Its exit status as a shell says it. */
static int run_command(const struct sandbox *sandbox, char **args)
{
	int status, r, signal = early_signal(sandbox);
	pid_t pid;

	if (signal > 0)
		return 128 + signal;
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &sandbox->outside, NULL);
		exec_command(sandbox->preload, args);
	}
	r = pid < 0 ? -errno : wait_for_command(sandbox, pid, &status);
	if (r < 0) {
		print_error("%s: cannot be started: %s", args[0], system_strerror(r));
		return CLI_FAILED;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ------------------------------------------------------------------- what is left mounted ------------------------- */

struct names {
	char **names;
	size_t n;
};

static void names_add(struct names *list, const char *name)
{
	char **names = reallocarray(list->names, list->n + 1, sizeof(*names));

	if (!names || !(names[list->n] = strdup(name)))
		command_die("out of memory");
	list->names = names;
	list->n++;
}

static void names_clear(struct names *list)
{
	while (list->n > 0)
		free(list->names[--list->n]);
	free(list->names);
	list->names = NULL;
}

/* The last of our own mounts covers /dev. */
static bool is_our_last(const struct mntent *entry)
{
	return strcmp(entry->mnt_type, "fuse.untorn") == 0 && strcmp(entry->mnt_dir, "/dev") == 0;
}

/*
 * Of the mounts of this namespace, which are told in the order in which they were made, those behind ours. None where the command took
 * ours away: the machine's would be among them.
 */
static void find_newer_mounts(struct names *dirs)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	bool is_behind_ours = false;
	struct mntent *entry;

	while (table && (entry = getmntent(table))) {
		if (is_our_last(entry)) {
			is_behind_ours = true;
			names_clear(dirs);
		} else if (is_behind_ours) {
			names_add(dirs, entry->mnt_dir);
		}
	}
	if (table)
		endmntent(table);
}

/*
 * What the command mounted and left, file systems on our disks among it, is unmounted while the disks are there. One that somebody
 * uses is made durable as it is.
 */
static void release_mount(const char *dir)
{
	_cleanup_close_ int fd = -1;

	if (umount2(dir, UMOUNT_NOFOLLOW) == 0 || errno != EBUSY)
		return;
	print_note("%s: it is still mounted and in use: what is written to it from now on is lost", dir);
	fd = open(dir, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		print_error("%s: what was written to it may be lost: %s", dir, system_strerror(-errno));
}

static void release_mounts(void)
{
	struct names dirs = {.n = 0};

	find_newer_mounts(&dirs);
	for (size_t i = dirs.n; i > 0; i--)
		release_mount(dirs.names[i - 1]);
	names_clear(&dirs);
}

/* ------------------------------------------------------------------- joining -------------------------------------- */

/* Who waits for it to be there finds the number in it. */
static int write_pid_file(void)
{
	_cleanup_free_ char *unfinished = NULL;
	FILE *file;
	int r = 0;

	if (!opt.pid_file)
		return 0;
	if (asprintf(&unfinished, "%s.%d", opt.pid_file, (int)getpid()) < 0)
		command_die("out of memory");
	file = fopen(unfinished, "we");
	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0)
		r = -errno;
	if (file && fclose(file) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(unfinished, opt.pid_file) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	print_error("%s: cannot be written: %s", opt.pid_file, system_strerror(r));
	if (file)
		unlink(unfinished);
	return r;
}

static int read_pid_file(int *ret_pid)
{
	FILE *file = fopen(opt.join, "re");
	int n = file ? fscanf(file, "%d", ret_pid) : 0;

	if (file)
		fclose(file);
	if (n == 1 && *ret_pid > 0)
		return 0;
	print_error("%s: no process number of a sandbox in it: it is written by --pid-file", opt.join);
	return -EINVAL;
}

/* Enter a namespace of a process, unless we are in it. */
static int join_namespace(int pid, const char *name, int type)
{
	struct stat own, other;
	char path[64];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &other) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &own) == 0 && own.st_ino == other.st_ino)
		return 0;
	return setns(fd, type) < 0 ? -errno : 0;
}

/* A process may have ended, and its number be another's: nothing is run on the machine's own devices. */
static int check_joined(int pid)
{
	struct statfs fs;

	if (statfs("/sys/bus/nd", &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC)
		return 0;
	print_error("process %d: it is no sandbox, or its sandbox has ended", pid);
	return -ENOENT;
}

/* Its namespaces and its root directory, which in a chroot is not that of the namespace. */
static int join_process(int pid)
{
	_cleanup_close_ int root = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	r = join_namespace(pid, "user", CLONE_NEWUSER);
	if (r == 0)
		r = join_namespace(pid, "mnt", CLONE_NEWNS);
	if (r == 0 && (fchdir(root) < 0 || chroot(".") < 0))
		r = -errno;
	return r;
}

static int join(char **args)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *preload = find_preload();
	int pid = 0, r;

	if (!preload || read_pid_file(&pid) < 0)
		return CLI_FAILED;
	r = join_process(pid);
	if (r < 0) {
		print_error("process %d: its sandbox cannot be joined: %s", pid,
			    r == -ENOENT ? "it has ended" : system_strerror(r));
		return CLI_FAILED;
	}
	if (check_joined(pid) < 0)
		return CLI_FAILED;
	if (!cwd || chdir(cwd) < 0)
		print_note("the current folder is not there in the sandbox: running in /");
	exec_command(preload, args);
}

/* ------------------------------------------------------------------- both ----------------------------------------- */

static int run_in_sandbox(const struct command *command, char **args)
{
	struct sandbox sandbox = {.self = getpid(), .preload = find_preload()};
	int r, status = CLI_FAILED;

	if (!sandbox.preload)
		return CLI_FAILED;
	hold_signals(&sandbox);
	r = enter_namespaces();
	if (r == 0)
		r = make_dir(&sandbox);
	if (r == 0)
		r = keep_outside(&sandbox);
	if (r == 0)
		r = start_server(command, &sandbox);
	if (r == 0)
		r = cover(&sandbox);
	if (r == 0)
		r = write_pid_file();
	if (r == 0) {
		status = run_command(&sandbox, args);
		if (opt.pid_file)
			unlink(opt.pid_file);
		release_mounts();
	}
	r = stop_server(&sandbox);
	remove_dir(&sandbox);
	free(sandbox.preload);
	return r < 0 && status == 0 ? CLI_FAILED : status;
}

static int run_sandbox(const struct command *command, int nargs, char **args)
{
	static char *shell[] = {NULL, NULL};

	if (opt.join && (opt.platform.file || opt.platform.nvdimms.n > 0 || opt.pid_file))
		return usage_error(command, "--join takes no platform and no --pid-file: the sandbox has them");
	if (nargs == 0) {
		shell[0] = getenv("SHELL");
		if (!shell[0] || !*shell[0])
			shell[0] = "/bin/sh";
		args = shell;
	}
	return opt.join ? join(args) : run_in_sandbox(command, args);
}

static int run_ndctl(const struct command *command, int nargs, char **args)
{
	char **argv = calloc((size_t)nargs + 2, sizeof(*argv));
	int status;

	if (!argv)
		command_die("out of memory");
	argv[0] = "ndctl";
	for (int i = 0; i < nargs; i++)
		argv[i + 1] = args[i];
	status = run_in_sandbox(command, argv);
	free(argv);
	return status;
}

#define STATUS_TEXT                                                                             \
	"Exit status: that of the command; 125 when the sandbox cannot be made, 126 when the\n" \
	"command cannot be run, 127 when it is not there, 128 and its number after a signal.\n"

const struct command cmd_sandbox = {
	.name = "sandbox",
	.synopsis = "--nvdimm DIMM...|--join FILE [-- COMMAND [ARGUMENTS]]",
	.summary = "run a command that finds the devices in /sys and /dev",
	.description = "Run a command (without one a shell) in a mount namespace of its own, in which /sys and\n"
		       "/dev have the devices of a platform. Programs for NVDIMMs work there without hardware,\n"
		       "kernel modules or root. What they leave is in the images when the command has ended.\n"
		       "\n" STATUS_TEXT,
	.options = sandbox_options,
	.examples = "  untorn sandbox --nvdimm mem-path=nv0.img -- ndctl list -BDRN\n"
		    "  untorn sandbox --nvdimm mem-path=nv0.img --pid-file sb.pid -- sleep infinity &\n"
		    "  untorn sandbox --join sb.pid -- ndctl create-namespace -m sector -s 64M\n",
	.max_args = -1,
	.runs_arguments = true,
	.failure_status = 125,
	.usage_status = 125,
	.run = run_sandbox,
};

const struct command cmd_ndctl = {
	.name = "ndctl",
	.synopsis = "--nvdimm DIMM... -- ARGUMENTS",
	.summary = "run the system's ndctl on the devices",
	.description = "Run ndctl, as it is installed, in a sandbox: see untorn sandbox.\n"
		       "\n" STATUS_TEXT,
	.options = ndctl_options,
	.examples = "  untorn ndctl --nvdimm mem-path=nv0.img,size=129M,label-size=1M -- \\\n"
		    "      create-namespace -e namespace0.0 -f -m sector\n"
		    "  untorn ndctl --nvdimm mem-path=nv0.img -- list -BDRNiu\n",
	.max_args = -1,
	.runs_arguments = true,
	.failure_status = 125,
	.usage_status = 125,
	.run = run_ndctl,
};
