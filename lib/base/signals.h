/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <signal.h>
#include <stddef.h>

/* Add those of n signals that the process does not ignore: who called it may have chosen so (nohup, a job in the background). */
static inline void signals_add_heard(sigset_t *set, const int *signals, size_t n)
{
	struct sigaction action;

	for (size_t i = 0; i < n; i++)
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

#endif
