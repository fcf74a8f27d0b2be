# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the tests of `untorn mount` share, on top of tests/lib/functions.sh. A test sources tests/lib/own-mounts.sh first.
# `file-calls` of the build comes from PATH (meson sets it; by hand: PATH=BUILD/tests/system:$PATH BUILD/run
# tests/system/sysfs-TEST.sh).

# In memory when there is plenty of it: thousands of data syncs on a disk would only be slow.
if [[ -z ${TMPDIR:-} && -w /dev/shm && $(df --output=avail -k /dev/shm | tail -n 1) -gt 1000000 ]]; then
	TMPDIR=/dev/shm
fi
# shellcheck source=tests/lib/functions.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

[[ -e /dev/fuse ]] || skip "/dev/fuse is missing here"
{ : <>/dev/fuse; } 2>/dev/null || skip "this user may not open /dev/fuse"

mkdir "$tmp/nv"
dir=$tmp/nv
nd=$dir/sys/bus/nd
devices=$nd/devices
mount_pid=''
# shellcheck disable=SC2016 # to be expanded at the end
cleanup '[[ -z $mount_pid ]] || kill -KILL $mount_pid; umount -l "$dir" 2>/dev/null || :'

is_mounted() {
	[[ -d $dir/sys ]]
}

mounted_or_ended() {
	is_mounted || ! kill -0 "$mount_pid" 2>/dev/null
}

# mount_devices OPTION...: at $dir, by the process $mount_pid.
mount_devices() {
	untorn mount "$@" "$dir" 2>"$tmp/mount.log" &
	mount_pid=$!
	wait_until mounted_or_ended
	is_mounted || fail "untorn mount $*: $(<"$tmp/mount.log")"
}

# mount_ended EXPECTED: wait for the server and check its exit status.
mount_ended() {
	local status=0
	wait "$mount_pid" || status=$?
	mount_pid=''
	assert_equal "status of mount, which said '$(<"$tmp/mount.log")'" "$status" "$1"
}

# End the server as a user does, who may be impatient.
stop_mount() {
	kill -TERM "$mount_pid"
	kill -INT "$mount_pid" 2>"$tmp/ignored" || :
	mount_ended 0
	[[ ! -e $dir/sys ]] || fail "it is still mounted"
}

# calls FILE FLAG...: open it with file-calls; `ask` does one call on it, `close_file` closes it. $opened is what open() said.
calls() {
	coproc calls_process { exec file-calls "$@"; }
	# shellcheck disable=SC2034,SC2154 # bash sets it
	calls_pid=$calls_process_PID
	exec {calls_in}>&"${calls_process[1]}" {calls_out}<&"${calls_process[0]}"
	eval "exec ${calls_process[1]}>&- ${calls_process[0]}<&-"
	# shellcheck disable=SC2034 # for the tests
	IFS= read -r -t 60 -u "$calls_out" opened || fail "no answer to the opening of $1"
}

# ask CALL...: the answer is in $answer.
ask() {
	echo "$*" >&"$calls_in"
	IFS= read -r -t 120 -u "$calls_out" answer || fail "no answer to $*"
}

# told EXPECTED CALL...
told() {
	local expected=$1
	shift
	ask "$@"
	assert_equal "$*" "$answer" "$expected"
}

close_file() {
	exec {calls_in}>&- {calls_out}<&-
	wait "$calls_pid" || :
}

# opens EXPECTED FILE FLAG...: open and close.
opens() {
	local seen
	seen=$(file-calls "${@:2}" </dev/null) || :
	assert_equal "open of ${*:2}" "$seen" "$1"
}

# store EXPECTED FILE TEXT: one write; EXPECTED is ok or an errno. A newline follows the text, as echo does it.
store() {
	local seen expected=$1
	[[ $expected != ok ]] || expected=$((${#3} + 1))
	seen=$(file-calls "$2" write <<<"text 0 $3\\n" | tail -n 1)
	assert_equal "'$3' into ${2#"$nd"/}" "$seen" "$expected"
}

# shows FILE TEXT
shows() {
	assert_equal "${1#"$nd"/}" "$(<"$1")" "$2"
}

# The first background work is done.
wait_probe() {
	shows "$devices/ndbus0/wait_probe" 1
}
