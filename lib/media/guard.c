/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faulting loads and stores become errors.
 *
 * A mapped file that was truncated, poisoned memory, and a hole that the file system has no space for all show as SIGBUS at
 * the load or store. A guard remembers where to continue (sigsetjmp), the handler goes there (siglongjmp).
 *
 * The handler is the only thing in this library that belongs to the whole process: signal dispositions cannot be anything
 * else. It stays out of the way of others:
 *   - it takes only faults of the thread's own memory accesses, inside a guard, at an address of the guarded medium;
 *   - everything else goes to the handler that was there before, and when there was none the process dies of SIGBUS
 *     as it would have without us.
 *
 * A guard costs no system call: the signal mask to go back to is known to the handler, from the code that it interrupted.
 * It runs on the alternate stack where the thread has one, for embedders whose stacks are small.
 */
#include "media/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <ucontext.h>

#include "media/media.h"

struct guard {
	sigjmp_buf jump;
	struct untorn_media *root;
	struct guard *outer;
	uint64_t fault; /* byte of root */
};

/* Static TLS: a handler must not be the one who allocates it. */
static __thread struct guard *innermost __attribute__((tls_model("initial-exec")));
static struct sigaction previous;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

/* Is it this thread's own access, now? Otherwise si_addr means something else, or the faulting code is not what runs here. */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

/* With the signals blocked that it asked for, beside those of the interrupted code. */
static void call_previous(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	sigset_t mask, saved;

	sigorset(&mask, &interrupted->uc_sigmask, &previous.sa_mask);
	if (!(previous.sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_SETMASK, &mask, &saved);
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(sig, info, context);
	else
		previous.sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static void not_ours(int sig, siginfo_t *info, void *context)
{
	bool ignored = !(previous.sa_flags & SA_SIGINFO) && previous.sa_handler == SIG_IGN;
	bool by_default = !(previous.sa_flags & SA_SIGINFO) && previous.sa_handler == SIG_DFL;

	if (!ignored && !by_default) {
		call_previous(sig, info, context);
		return;
	}
	if (ignored && !is_fault(info))
		return;
	/*
	 * A fault happens again when we return, and then ends the process; a signal that was sent has to be sent again, and
	 * arrives when we return.
	 */
	sigaction(sig, &previous, NULL);
	if (!is_fault(info))
		raise(sig);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	if (is_fault(info)) {
		for (struct guard *g = innermost; g; g = g->outer) {
			uint64_t off = (uint64_t)((uintptr_t)info->si_addr - (uintptr_t)g->root->base);

			if (off >= g->root->size)
				continue;
			g->fault = off;
			pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
			siglongjmp(g->jump, 1);
		}
	}
	not_ours(sig, info, context);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	/* Read what was there first: once ours is in, it may run at any time. */
	sigaction(SIGBUS, NULL, &previous);
	sigaction(SIGBUS, &action, NULL);
}

void guard_install(void)
{
	pthread_once(&installed, install);
}

/*
 * The error behind a fault. A full file system is told from broken memory by asking for space for the page: where that
 * succeeds, or is not the problem, the access failed for another reason.
 */
static int fault_error(struct untorn_media *root, uint64_t off)
{
	uint64_t page = round_down(off, 4096);
	struct stat st;

	if (root->ops->locate)
		root = root->ops->locate(root, &page);
	if (root->read_only || root->fd < 0 || fstat(root->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EIO;
	if (page >= (uint64_t)st.st_size)
		return -EIO;
	if (fallocate(root->fd, FALLOC_FL_KEEP_SIZE, (off_t)page, 4096) < 0 && (errno == ENOSPC || errno == EDQUOT))
		return -ENOSPC;
	return -EIO;
}

int media_guarded(struct untorn_media *m, int (*fn)(void *arg), void *arg)
{
	struct guard g;
	int r;

	g.root = m->root;
	g.outer = innermost;
	if (unlikely(sigsetjmp(g.jump, 0))) {
		innermost = g.outer;
		return fault_error(g.root, g.fault);
	}
	innermost = &g;
	atomic_signal_fence(memory_order_seq_cst);
	r = fn(arg);
	atomic_signal_fence(memory_order_seq_cst);
	innermost = g.outer;
	return r;
}
