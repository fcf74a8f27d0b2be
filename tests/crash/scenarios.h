/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to volumes while their power may be cut. A scenario is run, and then cut everywhere. */
#ifndef TESTS_SCENARIOS_H
#define TESTS_SCENARIOS_H

#include "power.h"

struct scenario {
	const char *name;
	const struct power_kind *kind;
	void (*before)(struct power *p); /* settled: old content; may be NULL */
	void (*run)(struct power *p);
	uint32_t cells; /* of a sector: 2 where threads write halves */
	struct power_cuts cuts;
};

extern const struct power_kind kind_v1_4096, kind_v2_512, kind_v1_520, kind_pool_512, kind_pool_4096, kind_two_lanes,
	kind_three_lanes, kind_old_padding, kind_many_lines;

extern const struct scenario write_scenarios[], discard_scenarios[], thread_scenarios[];
extern const size_t n_write_scenarios, n_discard_scenarios, n_thread_scenarios;

/* Run it with that seed. Cut it, or leave that to the caller in *ret_power. */
void scenario_run(const struct scenario *s, uint64_t seed, struct power *ret_power);
void scenario_cut(const struct scenario *s, uint64_t seed, struct power_result *ret_result);

#endif
