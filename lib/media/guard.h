/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEDIA_GUARD_H
#define MEDIA_GUARD_H

/* Install the SIGBUS handler, once per process; media_guarded() works from then on. */
void guard_install(void);

#endif
