/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts in one table of scenarios: SCENARIOS is write, discard or thread (meson.build).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ram.h"
#include "scenarios.h"

#define JOIN_(a, b)  a##b
#define JOIN(a, b)   JOIN_(a, b)
#define TABLE        JOIN(SCENARIOS, _scenarios)
#define TABLE_LENGTH JOIN(n_, TABLE)

static void test_scenarios(void **state)
{
	uint64_t seed = *(uint64_t *)*state;
	struct power_result sum = {0};

	for (unsigned round = 0; round < test_length(); round++) {
		for (size_t i = 0; i < TABLE_LENGTH; i++) {
			struct power_result result;

			scenario_cut(&TABLE[i], seed + round * 1000 + i, &result);
			if (result.violations)
				print_error("%s: %s\n", TABLE[i].name, result.first);
			power_add(&sum, &result);
		}
	}
	print_message("%" PRIu64 " cuts, %" PRIu64 " images\n", sum.cuts, sum.images);
	assert_int_equal(sum.violations, 0);
}

int main(void)
{
	static uint64_t seed;
	const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_scenarios, &seed)};

	seed = test_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
