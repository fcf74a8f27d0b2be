/* SPDX-License-Identifier: BSD-3-Clause */
/* Every way in which a sample volume is damaged on purpose, and what a check must say about it. */
#ifndef TESTS_DAMAGE_H
#define TESTS_DAMAGE_H

#include "sample.h"

struct expectation {
	struct untorn_finding findings[32];
	size_t nfindings;
	uint32_t errors[16]; /* sectors that are in error state after the repair */
	size_t nerrors;
};

struct damage {
	const char *name;
	void (*inflict)(struct sample *s, struct expectation *e);
	unsigned kinds; /* of samples, bit k for kind k; 0: all */
	unsigned flags; /* that a repair of it takes */
	const uint8_t *parent_uuid;
	bool beyond_repair;
	bool without_layout; /* check it without naming the layout only */
};

extern const struct damage damages[];
extern const size_t ndamages;

static inline bool damage_fits(const struct damage *d, unsigned kind)
{
	return d->kinds == 0 || (d->kinds >> kind & 1);
}

/* Findings that an undamaged sample has. */
void expect_undamaged(const struct sample *s, struct expectation *e);

/* The report's findings are those of e, in any order. Prints what differs. */
bool report_is(const struct report *report, const struct expectation *e);

#endif
