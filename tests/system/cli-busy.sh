#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One writer at a time: while a process has a volume open for writing, every other command is refused and names that
# process; readers share. Nothing that is refused changes the file.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

assert_ok untorn format vol --size 32M
head -c 8M /dev/urandom >data

# An import from a pipe holds the volume until the pipe ends. When it has taken more than a pipe can buffer, it has it.
mkfifo pipe
untorn import vol pipe &
pid=$!
cleanup "kill $pid 2>/dev/null"
exec 3>pipe
cat data >&3

busy="^untorn: vol: in use by process $pid \(untorn\); stop it first$"
for command in "format vol" "format vol --force" "format vol --force --size 64M" "info vol" "dump vol" \
	"import vol data" "export vol out" "export vol -"; do
	# shellcheck disable=SC2086
	assert_refused 1 "$busy" untorn $command
	assert_equal "size of the file in use" "$(size_of vol)" $((32 << 20))
done
for options in "" --dry-run --repair "--repair --force"; do
	# shellcheck disable=SC2086
	assert_refused 8 "$busy" untorn check vol $options
done
assert_missing out

exec 3>&-
wait $pid
assert_ok untorn check vol
assert_ok untorn export vol out
cmp -n $((8 << 20)) out data

# Readers share; a writer waits for none of them, it is refused. The reader here writes into a pipe that nobody empties.
mkfifo slow
untorn export vol slow &
pid=$!
cleanup "kill $pid 2>/dev/null"
exec 4<slow
read -r -N 1 -u 4 _ || :
remember vol
for command in "info vol" "dump vol --info" "check vol" "export vol out2"; do
	# shellcheck disable=SC2086
	assert_ok untorn $command
done
busy="^untorn: vol: in use by process $pid \(untorn\); stop it first$"
for command in "format vol --force" "import vol data"; do
	# shellcheck disable=SC2086
	assert_refused 1 "$busy" untorn $command
done
assert_refused 8 "$busy" untorn check vol --repair
assert_unchanged
cat <&4 >rest
exec 4<&-
wait $pid

# A killed writer holds nothing, and what it left is a clean volume.
untorn import vol pipe &
pid=$!
exec 3>pipe
cat data >&3
kill -KILL $pid
wait $pid 2>/dev/null || :
exec 3>&-
assert_ok untorn info vol
assert_ok untorn check vol
