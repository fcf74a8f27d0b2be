#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The plugin under nbdkit itself: parameters, the background, -r, the committer, faults, copies in and out.
# shellcheck disable=SC2016 # commands of --run are expanded by their own shell
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"
requires jq

plugin=$UNTORN_NBDKIT_PLUGIN
new_volume vol
new_volume child --parent-uuid 79d78854-ea71-499e-a921-b8e0e755d453
truncate -s 24M zeros

# daemon PARAMETER...: nbdkit in the background. Sets $nbdkit_pid and $uri.
daemon() {
	rm -f pid sock
	run_status 0 nbdkit --pidfile "$tmp/pid" --unix "$tmp/sock" "$plugin" "$@"
	wait_until test -s pid
	nbdkit_pid=$(<pid)
	uri="nbd+unix:///?socket=$tmp/sock"
}

end_daemon() { # SIGNAL
	kill "-$1" "$nbdkit_pid"
	wait_until process_gone "$nbdkit_pid"
	nbdkit_pid=''
}

# captive COMMAND PARAMETER...: nbdkit as long as the shell command runs.
captive() {
	nbdkit -U - "$plugin" "${@:2}" --run "$1"
}

# refused REGEX PARAMETER...: nbdkit does not start and says why.
refused() {
	run_status 1 captive true "${@:2}"
	assert_match "nbdkit with ${*:2}" "$err" "$1"
}

refused "file=PATH"
refused "once" vol file=vol
refused "once" file=
refused "layout=3: expected auto, 1.1, 2.0 or pmemblk" vol layout=3
refused "medium=disk: expected" vol medium=disk
refused "parent-uuid=12: expected" vol parent-uuid=12
refused "commit" vol commit=often
refused "unknown parameter 'colour'" vol colour=red
refused "zeros: no BTT found" zeros
refused "missing: No such file" missing
refused "child: .*another container" child parent-uuid=79d78854-ea71-499e-a921-b8e0e755d454
run_status 0 captive true child parent-uuid=79d78854-ea71-499e-a921-b8e0e755d453

# The lock passes into the background with the server, and so do the mapping and the committer.
daemon vol
refused "vol: in use by nbdkit \(process $nbdkit_pid\)" vol
run_status 8 untorn check vol
assert_match "untorn check of a served volume" "$err" "process $nbdkit_pid "
head -c 3M /dev/urandom >data
nbdcopy -- data "$uri"
end_daemon TERM
assert_pending 0 vol
untorn export vol copy
cmp -n $((3 << 20)) copy data

# The committer: a write that no client flushes is committed by itself; with commit=0 it is not.
run_status 0 untorn info vol --json
flog_off=$(jq '.[0].arenas[0].flog_offset' <<<"$out")
flog_md5() {
	dd if=vol bs=4096 skip=$((flog_off / 4096)) count=4 status=none | md5
}
flog_changed() {
	[[ $(flog_md5) != "$before" ]]
}
first_bytes() {
	untorn export vol copy --force
	head -c 6 copy
}
before=$(flog_md5)
daemon vol commit=1
printf 'first.' | nbdcopy -- - "$uri"
wait_until flog_changed
end_daemon KILL
assert_equal "what only the committer committed" "$(first_bytes)" "first."

before=$(flog_md5)
daemon vol commit=0
printf 'second' | nbdcopy -- - "$uri"
nbdcopy "$uri" seen
assert_equal "what a reader sees" "$(head -c 6 seen)" second
assert_equal "the flog, with commit=0" "$(flog_md5)" "$before"
end_daemon KILL
assert_equal "after the kill" "$(first_bytes)" "first."

# -r and read-only=true write nothing, not even to finish an interrupted write; a server that may write finishes it.
# The state between the flog's store and the map's is made by hand: the sector that lane 0 wrote last gets its old map
# entry back.
run_status 0 untorn dump vol --flog=0 --json
lba=$(jq '.[0] | .slots[.current].lba' <<<"$out")
old=$(jq '.[0] | .slots[.current].old_map' <<<"$out")
run_status 0 untorn dump vol --lba "$lba" --json
entry_off=$(jq '.[0].map_offset' <<<"$out")
old=$(printf '%08x' $((old | 0xc0000000)))
printf '%b' "\\x${old:6:2}\\x${old:4:2}\\x${old:2:2}\\x${old:0:2}" |
	dd of=vol bs=1 seek="$entry_off" conv=notrunc status=none
assert_pending 1 vol
remember vol
content=$(untorn export vol - | md5)
for options in -r read-only=true "-r read-only=true"; do
	# shellcheck disable=SC2086 # words
	assert_equal "content with $options" "$(captive 'nbdcopy "$uri" -' vol $options | md5)" "$content"
	# shellcheck disable=SC2086
	captive 'nbd-requests refuse "$uri"' vol $options
done
assert_unchanged
assert_equal "content with a writer" "$(captive 'nbdcopy "$uri" -' vol | md5)" "$content"
assert_pending 0 vol

# An empty volume is one hole, and a copy into a volume and out again keeps the holes.
new_volume sparse --size 1G
run_status 0 captive 'nbdinfo --map --totals "$uri"' sparse
assert_match "the map of an empty volume" "$out" "^ *[0-9]+ +100.0% +3 +hole,zero$"
truncate -s 900M disk
dd if=data of=disk bs=1M seek=300 conv=notrunc status=none
captive 'nbdcopy --destination-is-zero disk "$uri"' sparse
assert_less "KiB of a volume with 3 MiB of data" "$(blocks sparse)" 16384
captive 'nbdcopy "$uri" back' sparse
assert_less "KiB of a copy out" "$(blocks back)" 16384
cmp -n $((900 << 20)) disk back

# The file is cut under the server.
daemon child commit=0
nbd-fault "$uri" child 4096 $((1 << 20)) || fail "a file that is cut"
kill -0 "$nbdkit_pid" || fail "the server died of the fault"
end_daemon TERM

# The file system under a sparse volume gets full: an error that says so, and everything else goes on.
mkdir small
if mount -t tmpfs -o size=6M untorn-test small 2>/dev/null; then
	cleanup "umount '$tmp/small'"
	new_volume small/vol
	head -c 1M /dev/zero >small/other
	daemon small/vol
	head -c 1M /dev/urandom >data
	nbdcopy --flush -- data "$uri"
	head -c 12M /dev/urandom >large
	run_status 1 nbdcopy --flush -- large "$uri"
	assert_match "what the client is told" "$err" "No space left on device"
	kill -0 "$nbdkit_pid" || fail "the server died of a full file system"
	end_daemon TERM
	rm small/other # tmpfs needs room to show holes through a mapping
	assert_pending 0 small/vol
else
	echo "without root: a full file system is not tried"
fi
