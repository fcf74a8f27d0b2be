# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Helpers for shell tests. A test sources this file after `set -euo pipefail`; it then works in a directory of its own,
# which goes away at the end, and has `untorn` on its PATH (build/run or meson sets it).
#
# A check that fails prints what was seen and expected and ends the test with 1. One that cannot run here ends with 77.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fixtures_dir=$source_dir/tests/fixtures

tmp=$(mktemp -d "${TMPDIR:-/tmp}/untorn-test.XXXXXX")
cleanup_commands=("cd /; rm -rf '$tmp'")

# cleanup COMMAND: run it at the end, last registered first. Register when the thing is made.
cleanup() {
	cleanup_commands+=("$*")
}

run_cleanups() {
	local status=$? i
	trap - EXIT ERR
	set +e
	for ((i = ${#cleanup_commands[@]} - 1; i >= 0; i--)); do
		eval "${cleanup_commands[i]}"
	done
	exit "$status"
}
trap run_cleanups EXIT
trap 'echo "FAIL: $0: line $LINENO: $BASH_COMMAND" >&2' ERR
set -E
cd "$tmp" || exit

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	echo "FAIL: $0: line ${BASH_LINENO[*]:0:${#BASH_LINENO[@]}-1}: $*" >&2
	exit 1
}

# requires PROGRAM...: skip the test when one of them is missing.
requires() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip "$program is missing here"
	done
}

# wait_until COMMAND...: until it succeeds; a minute is for ever.
wait_until() {
	local deadline=$((SECONDS + 60))
	until "$@"; do
		((SECONDS < deadline)) || fail "waited in vain for: $*"
		read -r -t 0.02 <> <(:) || :
	done
}

# wait_for_file FILE: until it exists.
wait_for_file() {
	wait_until test -e "$1"
}

# fixture NAME: unpack an image of tests/fixtures into the current directory.
fixture() {
	requires xz
	xz -dkc "$fixtures_dir/$1.xz" >"$1"
}

md5() {
	md5sum | cut -d ' ' -f 1
}

# blocks FILE: KiB on disk.
blocks() {
	du -k "$1" | cut -f 1
}

size_of() {
	stat -c %s "$1"
}

# --------------------------------------------------------------------- checks

# assert_equal WHAT SEEN EXPECTED
assert_equal() {
	[[ $2 == "$3" ]] || fail "$1: '$2', expected '$3'"
}

# assert_less WHAT SEEN LIMIT
assert_less() {
	(($2 < $3)) || fail "$1: $2, expected less than $3"
}

# assert_match WHAT TEXT REGEX
assert_match() {
	[[ $2 =~ $3 ]] || fail "$1: '$2' does not match '$3'"
}

# assert_no_match WHAT TEXT REGEX
assert_no_match() {
	[[ ! $2 =~ $3 ]] || fail "$1: '$2' matches '$3'"
}

# assert_missing FILE
assert_missing() {
	[[ ! -e $1 ]] || fail "$1 exists"
}

# run_status STATUS COMMAND...: run it and check its exit status. Leaves its output in $out and $err, and notes (a
# format has one where /tmp is in memory) in $notes.
run_status() {
	local expected=$1 status=0
	shift
	"$@" >"$tmp/.out" 2>"$tmp/.err" || status=$?
	out=$(tr -d '\0' <"$tmp/.out")
	notes=$(grep '^untorn: note: ' "$tmp/.err" || :)
	err=$(grep -v '^untorn: note: ' "$tmp/.err" || :)
	((status == expected)) || fail "$*: exit status $status, expected $expected; stdout: $out; stderr: $err"
}

# assert_ok COMMAND...: it succeeds and says nothing on stderr.
assert_ok() {
	run_status 0 "$@"
	assert_equal "stderr of $*" "$err" ""
}

# assert_refused STATUS REGEX COMMAND...: it fails with STATUS, prints nothing, and one sentence that matches REGEX.
assert_refused() {
	local status=$1 regex=$2
	shift 2
	run_status "$status" "$@"
	assert_equal "stdout of $*" "$out" ""
	assert_one_sentence "$*"
	assert_match "stderr of $*" "$err" "$regex"
}

# assert_one_sentence WHAT: $err is one line of ours, for a person.
assert_one_sentence() {
	assert_equal "lines on stderr of $1" "$(wc -l <<<"$err")" 1
	assert_match "stderr of $1" "$err" "^untorn: [^ ].*[^ ]$"
	assert_no_match "stderr of $1" "$err" "(errno|Error -|0x7f|\(null\)|assert)"
}

# assert_json COMMAND...: it succeeds and prints a JSON array; the array is in $out.
assert_json() {
	requires jq
	run_status 0 "$@"
	jq -e 'type == "array"' "$tmp/.out" >/dev/null || fail "$*: not a JSON array: $out"
}

# assert_jq FILTER EXPECTED: of $out.
assert_jq() {
	assert_equal "$1" "$(jq -r "$1" <<<"$out")" "$2"
}

# remember FILE...; assert_unchanged: the content of all that was remembered is as it was.
remember() {
	remembered=("$@")
	fingerprint=$(b2sum "${remembered[@]}")
}

assert_unchanged() {
	assert_equal "content of ${remembered[*]}" "$(b2sum "${remembered[@]}")" "$fingerprint"
}
