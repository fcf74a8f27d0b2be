/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn mount: the devices of a platform as files, until somebody unmounts them.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nd.h"
#include "sysfs.h"

static struct {
	struct platform_options platform;
	bool read_only, background;
} opt;

static const struct option_row options[] = {
	PLATFORM_OPTIONS(&opt.platform),
	{"read-only", NULL, &option_switch, &opt.read_only, "write nothing; regions and disks are read-only", 'r'},
	{"background", NULL, &option_switch, &opt.background,
	 "return as soon as it is mounted; what is wrong before that is said first", 'b'},
	{NULL},
};

/* Who reads what the command printed must not wait for the server to end. */
static void close_output(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
}

/* In the background: tell the one who waits that it is mounted. */
static void tell_mounted(int fd)
{
	if (fd < 0)
		return;
	fflush(NULL);
	close_output();
	if (write(fd, "", 1) != 1)
		print_note("nobody waits for the mount any more");
	close(fd);
}

/* What libfuse would say in words of its own, or not at all. */
static int check_directory(const char *dir)
{
	struct statfs fs;
	struct stat st;
	int r = stat(dir, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;

	/* The kernel may remember what a dead server said of its directory, but asks for this again. */
	if (r == 0 && statfs(dir, &fs) < 0 && errno == ENOTCONN)
		r = -ENOTCONN;
	if (r == -ENOTCONN)
		print_error("%s: a mount whose server was killed is there: end it with fusermount3 -u or umount", dir);
	else if (r < 0)
		print_error("%s: cannot mount there: %s", dir, system_strerror(r));
	return r;
}

static int serve(const struct command *command, const char *dir, int ready_fd)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	struct sysfs_options mount = {.others = geteuid() == 0, .outside_sys = -1, .outside_dev = -1};
	struct sysfs *sysfs;
	int r;

	if (check_directory(dir) < 0 || check_fuse() < 0)
		return CLI_FAILED;
	r = machine_open(&machine, command, &opt.platform, opt.read_only ? UNTORN_BUS_READ_ONLY : 0);
	if (r < 0)
		return r;
	r = sysfs_mount(machine.bus, dir, &mount, &sysfs);
	if (r < 0) {
		print_error("%s: cannot mount there: %s", dir, system_strerror(r));
		return CLI_FAILED;
	}
	tell_mounted(ready_fd);
	r = sysfs_serve(sysfs);
	if (r < 0)
		print_error("%s: the file system ended: %s", dir, system_strerror(r));
	sysfs_unmount(sysfs);
	return machine_close(&machine) < 0 || r < 0 ? CLI_FAILED : CLI_OK;
}

/* The server is a child; what it says before it has mounted is ours. */
static int serve_in_background(const struct command *command, const char *dir)
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
		setsid();
		return serve(command, dir, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) == 1)
		return CLI_OK;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 2 ? CLI_USAGE
												: CLI_FAILED;
}

static int run(const struct command *command, int nargs, char **args)
{
	if (nargs == 2 && (opt.platform.file || opt.platform.nvdimms.n > 0))
		return usage_error(command, "the platform is given twice: '%s', and by an option", args[0]);
	if (nargs == 2)
		opt.platform.file = args[0];
	return opt.background ? serve_in_background(command, args[nargs - 1]) : serve(command, args[nargs - 1], -1);
}

const struct command cmd_mount = {
	.name = "mount",
	.synopsis = "[PLATFORM] DIR [--nvdimm DIMM...] [--background]",
	.summary = "show the devices as files: DIR/sys as in /sys, DIR/dev with their sectors",
	.description = "Mount the devices of a platform. PLATFORM is a platform file, as with --platform.\n"
		       "DIR/sys is laid out like /sys: reading and writing its files does what it does on\n"
		       "Linux. DIR/dev has a file for each disk: pmem0s and the like have sectors that never\n"
		       "tear, and fsync makes them durable; nmem0 and the like are the label areas.\n"
		       "Unmount with fusermount3 -u DIR or umount DIR, or end the command with SIGTERM: all is\n"
		       "then durable, and no lane is pending.\n",
	.options = options,
	.examples = "  untorn mount --nvdimm mem-path=nv0.img,label-size=128K /mnt/nv --background\n"
		    "  cat /mnt/nv/sys/bus/nd/devices/region0/available_size\n"
		    "  losetup --find --show /mnt/nv/dev/pmem0s\n"
		    "  fusermount3 -u /mnt/nv\n",
	.min_args = 1,
	.max_args = 2,
	.operand = "the directory",
	.run = run,
};
