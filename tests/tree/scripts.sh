#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ShellCheck has nothing to say about the scripts (but that commas, which are QEMU's, look like a mistake in an array).

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires shellcheck

cd "$source_dir"
mapfile -t scripts < <(grep -lrE '^#!(/usr/bin/env bash|/bin/sh)' check quickstart .ci cli nbdkit tests bench run.in)
((${#scripts[@]} > 10)) || fail "only ${#scripts[@]} scripts in $source_dir"
shellcheck -x --source-path=SCRIPTDIR -S warning -e SC2054 "${scripts[@]}"
