#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Long work shows its progress on a terminal, and only there.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires script setsid

truncate -s 4T huge 2>/dev/null || skip "this file system has no sparse files of 4 TiB"
assert_ok untorn format huge --force

# An export of terabytes: it goes on until it is killed. `script` gives it a terminal; setsid makes the two one group.
follow() {
	setsid "$@" >/dev/null 2>&1 &
	pid=$!
	cleanup "kill -- -$pid 2>/dev/null"
}
follow script -q -f -c "exec untorn export huge /dev/null" terminal
wait_until grep -qs 'exporting \[[#.]*\] *[0-9]* %  [0-9.]* [KMGT]*i*B' terminal
kill -- -$pid
wait $pid 2>/dev/null || :

# As much work without a terminal is silent.
mkfifo pipe
untorn export huge pipe 2>errors &
pid=$!
cleanup "kill $pid 2>/dev/null"
head -c 8G pipe >/dev/null
wait $pid || :
assert_equal "stderr that is no terminal" "$(<errors)" ""

# Short work says nothing on a terminal either.
assert_ok untorn format small --size 32M
script -q -e -c "untorn check small" short >/dev/null </dev/null
assert_no_match "short work" "$(<short)" "checking"
assert_match "short work" "$(<short)" "small: clean"
