/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices of a platform served as files, for the commands that show them: in this process, or in a child.
 */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include "nd.h"
#include "sysfs.h"

struct server {
	const struct command *command;
	const struct platform_options *platform;
	const char *dir; /* where the file system is mounted */
	struct sysfs_options mount;
	bool read_only;
	bool quiet; /* once it is mounted, let go of the folder and of standard input, output and error, but for a log */
	void (*begin)(void *arg); /* what a child does first and last, or NULL */
	void (*end)(void *arg);
	void *arg;
};

/*
 * Serve until it is unmounted or a signal ends it; everything is durable then. Files with a size that are missing are made,
 * and removed again when it cannot be mounted. Returns CLI_OK, or CLI_FAILED or CLI_USAGE after a sentence.
 */
int server_run(const struct server *server);

/* The same in a child process. Returns CLI_OK as soon as it is mounted. The child exits with 0, 1 (failed) or 2 (usage). */
int server_start(const struct server *server, pid_t *ret_pid);

#endif
