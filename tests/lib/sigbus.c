/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linked into cmocka programs whose media fault on purpose.
 *
 * cmocka takes SIGBUS for itself around every test, by signal(). The handler that counts here is the library's, which is
 * installed once. So signal() leaves SIGBUS alone in these programs; sigaction() does what it always does.
 */
#include <signal.h>

__attribute__((visibility("default"))) sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;

	if (sig == SIGBUS)
		return SIG_DFL;
	return sigaction(sig, &action, &before) < 0 ? SIG_ERR : before.sa_handler;
}
