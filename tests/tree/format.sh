#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# C sources are formatted as .clang-format says; every source, script and build file names its licence in its first lines.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires clang-format

cd "$source_dir"
folders=(include lib cli nbdkit tests bench examples docs)

mapfile -t sources < <(find "${folders[@]}" -name '*.[ch]')
((${#sources[@]} > 30)) || fail "only ${#sources[@]} sources in $source_dir"
clang-format --dry-run -Werror "${sources[@]}"

mapfile -t files < <(find meson.build quickstart check run.in .ci "${folders[@]}" -type f \
	! -name '*.md' ! -name '*.xz' ! -name '*.json' ! -name '*.map.in' ! -path '*/fuzz/corpus/*')
for file in "${files[@]}"; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || fail "$file: no licence in its first lines"
done
