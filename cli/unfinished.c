/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is only there while the command works on it. The handler of a terminating signal unlinks it and lets the
 * signal end the program as it would have; ignored signals stay ignored.
 *
 * The path changes only while the signals are blocked, so the handler never sees half of it.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
static char *unfinished_path;

static void block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(how, &set, NULL);
}

static void handler(int signal_number)
{
	if (unfinished_path)
		unlink(unfinished_path);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void set_path(char *path)
{
	char *old;

	block(SIG_BLOCK);
	old = unfinished_path;
	unfinished_path = path;
	block(SIG_UNBLOCK);
	free(old);
}

int unfinished_begin(const char *path)
{
	struct sigaction action = {.sa_handler = handler}, old;
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	set_path(copy);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
	}
	return 0;
}

void unfinished_done(void)
{
	set_path(NULL);
}

void unfinished_remove(void)
{
	if (unfinished_path)
		unlink(unfinished_path);
	set_path(NULL);
}
