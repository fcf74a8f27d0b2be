#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# mandoc finds no errors and no warnings in the manuals, and each names only pages of ours that exist.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires mandoc

cd "$source_dir"
for page in cli/man/*.1 nbdkit/*.1; do
	[[ -e $page ]] || fail "$page: no manual"
	mandoc -T lint -W warning "$page" >"$tmp/lint" || fail "$(<"$tmp/lint")"
	assert_equal "lint of $page" "$(<"$tmp/lint")" ""
	names=$(sed 's/\\-/-/g' "$page" | grep -oE '(nbdkit-)?untorn[a-z-]* ?\(1\)' | sed 's/ *(1)//' | sort -u)
	for name in $names; do
		[[ -e cli/man/$name.1 || -e nbdkit/$name.1 ]] || fail "$page refers to $name(1), which does not exist"
	done
done
