/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn mount: the devices of a platform as files, until somebody unmounts them.
 */
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "server.h"

static struct {
	struct platform_options platform;
	bool read_only, background;
} opt;

static const struct option_row options[] = {
	PLATFORM_OPTIONS(&opt.platform),
	{"read-only", NULL, &option_switch, &opt.read_only,
	 "write nothing, make no file; regions and disks are read-only", 'r'},
	{"background", NULL, &option_switch, &opt.background,
	 "return as soon as it is mounted; what is wrong before that is said first", 'b'},
	{NULL},
};

static bool has_devices(const char *dir)
{
	_cleanup_free_ char *path = NULL;

	return asprintf(&path, "%s/sys/bus/nd/devices", dir) >= 0 && access(path, F_OK) == 0;
}

/* What libfuse would say in words of its own, or not at all. */
static int check_directory(const char *dir)
{
	struct statfs fs = {.f_type = 0};
	struct stat st;
	int r = stat(dir, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;

	/* The kernel may remember what a dead server said of its directory, but asks for this again. */
	if (r == 0 && statfs(dir, &fs) < 0 && errno == ENOTCONN)
		r = -ENOTCONN;
	/* At their ends each server would unmount what is on top. */
	if (r == 0 && fs.f_type == FUSE_SUPER_MAGIC && has_devices(dir)) {
		print_error("%s: the devices of a platform are mounted there already", dir);
		return -EBUSY;
	}
	if (r == -ENOTCONN)
		print_error("%s: a mount whose server was killed is there: end it with fusermount3 -u or umount", dir);
	else if (r < 0)
		print_error("%s: cannot mount there: %s", dir, system_strerror(r));
	return r;
}

/* Nobody's terminal. */
static void begin_session(void *arg)
{
	(void)arg;
	setsid();
}

static int serve(const struct command *command, const char *dir)
{
	const struct server server = {
		.command = command,
		.platform = &opt.platform,
		.dir = dir,
		.mount = {.others = geteuid() == 0, .outside_sys = -1, .outside_dev = -1},
		.read_only = opt.read_only,
		.quiet = opt.background,
		.begin = begin_session,
	};
	pid_t pid;

	if (check_directory(dir) < 0)
		return CLI_FAILED;
	return opt.background ? server_start(&server, &pid) : server_run(&server);
}

static int run(const struct command *command, int nargs, char **args)
{
	if (nargs == 2)
		opt.platform.argument = args[0];
	return serve(command, args[nargs - 1]);
}

const struct command cmd_mount = {
	.name = "mount",
	.synopsis = "{PLATFORM | --nvdimm DIMM...} DIR [--background]",
	.summary = "show the devices as files: DIR/sys as in /sys, DIR/dev with their sectors",
	.description = "Mount the devices of a platform. PLATFORM is a platform file, as with --platform, or\n"
		       "the image of one NVDIMM.\n"
		       "DIR/sys is laid out like /sys: reading and writing its files does what it does on\n"
		       "Linux. DIR/dev has a file for each disk: pmem0s and the like have sectors that never\n"
		       "tear, and fsync makes them durable; nmem0 and the like are the label areas.\n"
		       "Unmount with fusermount3 -u DIR or umount DIR, or end the command with SIGTERM: all is\n"
		       "then durable, and no lane is pending.\n",
	.options = options,
	.examples = "  untorn mount nv0.img /mnt/nv --background\n"
		    "  cat /mnt/nv/sys/bus/nd/devices/region0/available_size\n"
		    "  losetup --find --show /mnt/nv/dev/pmem0s\n"
		    "  fusermount3 -u /mnt/nv\n",
	.min_args = 1,
	.max_args = 2,
	.operand = "the directory",
	.run = run,
};
