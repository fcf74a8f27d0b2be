#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every behaviour of docs/DEVICES.md section 15 (S1 to S92) has tests that run: functions of tests/unit whose names begin with its number,
# registered in their program, whose program meson runs. tests/unit/devices.table lists them and must say what is so; when it does not,
# the difference is printed as a patch.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

unit=$source_dir/tests/unit

# Registered tests with a number: "S39 device-btt s39_attach_below_16_mib". A function that is not registered does not compile.
for file in "$unit"/test-*.c; do
	program=$(basename "$file" .c)
	grep -oE '\bdevice_test\(s[0-9]+_[a-z0-9_]+\)' "$file" | sed -E "s/device_test\\((s([0-9]+)_.*)\\)/S\\2 ${program#test-} \\1/" || true
done | sort -V >tests

{
	sed -n '/^$/q; p' "$unit/devices.table"
	echo
	cat tests
} >table
diff -u "$unit/devices.table" table || fail "tests/unit/devices.table is not what the tests say"

grep -oE '^\| S[0-9]+ ' "$source_dir/docs/DEVICES.md" | tr -d '| ' | sort -uV >numbers
seq 1 92 | sed 's/^/S/' | diff -u - numbers || fail "docs/DEVICES.md does not have S1 to S92"
cut -d ' ' -f 1 tests | sort -uV | diff -u numbers - || fail "behaviours without a test, or tests without one"

cut -d ' ' -f 2 tests | sort -u | while read -r program; do
	grep -qE "^  '$program': " "$unit/meson.build" || fail "meson does not run $program"
done

# A number is no proof when its test lets itself off.
while read -r _ program name; do
	awk -v name="$name" '$0 ~ "^static void " name "\\(" {inside = 1} inside {print} inside && /^}/ {exit}' \
		"$unit/test-$program.c" >body
	grep -qE 'assert_|fail_each|run_two' body || fail "$name of $program asserts nothing"
	grep -qE '\bskip\(' body && fail "$name of $program skips"
done <tests
echo "$(wc -l <tests) tests for $(wc -l <numbers) behaviours"
