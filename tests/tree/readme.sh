#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The tours of the README are what happens: each command of its console blocks is run, one after the other in one folder, and prints what
# stands there. Lines that depend on the file system below, on the lane that was free or on a random uuid are not compared.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires untorn nbdkit nbdcopy jq
export LC_ALL=C.UTF-8 # for what tree draws with

console() {
	awk '/^```console$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$source_dir/README.md"
}

run_commands() {
	local command
	while IFS= read -r -u 3 command; do
		echo "$command"
		bash -c "${command#\$ }" 2>&1 || fail "$command: status $?"
	done 3< <(console | grep '^\$ ')
}

steady() {
	grep -vE '^  (medium|map entry|block) |── btt.*, uuid '
}

console | steady >expected
(($(grep -c '^\$ ' expected) > 12)) || fail "README.md has no tours"
run_commands | steady >seen
diff -u expected seen || fail "a tour of README.md is not what happens"
