/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that the library does with a volume, on one that was changed at will, and what must hold whatever it is. */
#ifndef FUZZ_DRIVE_H
#define FUZZ_DRIVE_H

#include "sample.h"

/*
 * Open, read, check and plan a copy of original that mutate() changed, while its memory is read-only; then repair it and,
 * in another copy, write to it unrepaired. What must hold:
 *
 *   - nothing ends the program, hangs, or touches memory outside of the medium;
 *   - nothing is changed by looking, planning and opening read-only;
 *   - what a check calls clean can be opened, and what open refuses has findings;
 *   - what a repair calls mended is found clean afterwards, can be written to and read back, and stays clean.
 *
 * Otherwise `what` is printed and the program aborts. mutate() may make s->media->size smaller.
 */
void drive(const struct sample *original, void (*mutate)(struct sample *s, void *arg), void *arg, const char *what);

/* The looking part only, on a medium of any size: returns the errors that the check found. */
uint64_t drive_looking(struct untorn_media *media, const char *what);

#endif
