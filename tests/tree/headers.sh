#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the public headers declare, what the export map lists and what the library exports is the same. Each header stands alone,
# in C and in C++.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires cc nm

include=$source_dir/include
for header in "$include"/untorn/*.h; do
	cc -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$include" -x c "$header"
	if command -v clang++ >/dev/null; then
		clang++ -Wall -Wextra -Werror -fsyntax-only -I "$include" -x c++ "$header"
	fi
	cc -E -P -I "$include" "$header"
done | grep -oE '\buntorn_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >declared
grep -oE '^[[:space:]]untorn_[a-z0-9_]+;' "$source_dir/lib/libuntorn.map" | tr -d '\t;' | sort >listed
nm -D --defined-only "$UNTORN_BUILD/lib/libuntorn.so" | sed -n 's/.* [TBDRW] \(.*\)@@UNTORN_.*/\1/p' | sort >exported

(($(wc -l <declared) > 30)) || fail "the headers declare only $(wc -l <declared) functions"
diff -u declared listed || fail "headers and lib/libuntorn.map differ"
diff -u declared exported || fail "headers and libuntorn.so differ"
