# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the NBD tests share, on top of tests/lib/functions.sh. Programs of the build come from PATH: untorn,
# nbd-requests, nbd-partial, nbd-fault, nbd-stamp (meson sets it; by hand: PATH=BUILD/tests/system:$PATH BUILD/run
# tests/system/nbd-TEST.sh).

# In memory when there is plenty of it: thousands of data syncs on a disk would only be slow.
if [[ -z ${TMPDIR:-} && -w /dev/shm && $(df --output=avail -k /dev/shm | tail -n 1) -gt 1000000 ]]; then
	TMPDIR=/dev/shm
fi
# shellcheck source=tests/lib/functions.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires nbdkit nbdcopy nbdinfo

mkdir "$tmp/run"
export XDG_RUNTIME_DIR=$tmp/run # where serve makes its private folders

serve_pid='' nbdkit_pid='' uri=''
# shellcheck disable=SC2016 # to be expanded at the end
cleanup 'kill -KILL $serve_pid $nbdkit_pid 2>/dev/null || :'

# serve TARGET OPTION...: start a server. Returns when it is ready, with $uri, $serve_pid and $nbdkit_pid.
serve() {
	local serve_out
	exec {serve_out}< <(exec untorn serve "$@" --pid-file "$tmp/pid" 2>"$tmp/serve.log")
	serve_pid=$!
	# shellcheck disable=SC2034 # uri is for the tests
	IFS= read -r -t 60 -u "$serve_out" uri || fail "untorn serve $*: $(<"$tmp/serve.log")"
	exec {serve_out}<&-
	nbdkit_pid=$(<"$tmp/pid")
}

# ended EXPECTED: wait for the server and check its exit status.
ended() {
	local status=0
	wait "$serve_pid" || status=$?
	# shellcheck disable=SC2034 # used by the clean-up
	serve_pid='' nbdkit_pid=''
	assert_equal "status of serve, which said '$(<"$tmp/serve.log")'" "$status" "$1"
	assert_equal "files that serve left" "$(ls "$XDG_RUNTIME_DIR")" ""
	assert_missing "$tmp/pid"
}

# End the server as a user does.
stop() {
	kill -TERM "$serve_pid"
	ended 0
}

# Wait for a server whose nbdkit was killed.
was_killed() {
	ended 1
	assert_match "what serve said" "$(<"$tmp/serve.log")" "killed by signal 9"
}

# assert_pending N VOLUME: `untorn check` finds no error, and N interrupted writes that the next open finishes.
assert_pending() {
	run_status 0 untorn check "$2"
	assert_equal "interrupted writes in $2" "$(grep -c flog-pending <<<"$out" || true)" "$1"
}

# new_volume FILE FORMAT_OPTION...: 24 MiB where they say nothing else.
new_volume() {
	rm -f "$1"
	run_status 0 untorn format "$1" --size 24M "${@:2}"
}

# process_gone PID
process_gone() {
	! kill -0 "$1" 2>/dev/null
}
