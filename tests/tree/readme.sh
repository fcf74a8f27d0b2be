#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The tour of the README is what happens: each command of its console block is run, and prints what stands there. Lines that depend on the
# file system below or on the lane that was free are not compared.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires untorn nbdkit nbdcopy

console() {
	awk '/^```console$/ && !done {inside = 1; next} /^```$/ && inside {exit} inside' "$source_dir/README.md"
}

run_commands() {
	local command
	while IFS= read -r -u 3 command; do
		echo "$command"
		bash -c "${command#\$ }" 2>&1 || fail "$command: status $?"
	done 3< <(console | grep '^\$ ')
}

steady() {
	grep -vE '^  (medium|map entry|block) '
}

console | steady >expected
(($(grep -c '^\$ ' expected) > 4)) || fail "README.md has no tour"
run_commands | steady >seen
diff -u expected seen || fail "the tour of README.md is not what happens"
