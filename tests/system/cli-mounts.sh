#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Full and read-only file systems, and files in memory. Runs in a mount namespace of its own.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

mkdir memory
mount -t tmpfs -o size=1M tmpfs memory || skip "tmpfs cannot be mounted here"
cleanup "umount '$tmp/memory'"

# ---------------------------------------------------------------------- memory

run_status 0 untorn format memory/vol --size 64M
assert_equal "note" "$notes" \
	"untorn: note: memory/vol is in volatile memory: it survives a killed process, not a power cut"
run_status 0 untorn info memory/vol
assert_match "medium" "$out" $'\n  medium +64 MiB .*, volatile: survives a killed process, not a power cut'
assert_equal "notes of info" "$notes" ""

# ------------------------------------------------------------------- a full disk

full="(the file system is full, and the sparse file needs space in it; make room.*|No space left on device)$"

# A volume on it takes what fits. After room was made, which on tmpfs even reading a hole needs, it is consistent, and
# every sector is old or new.
head -c 200K /dev/urandom >first
head -c 8M /dev/urandom >data
assert_ok untorn import memory/vol first
head -c 300K /dev/zero >memory/filler
assert_refused 1 "^untorn: memory/vol: .*$full" untorn import memory/vol data
# Now a hole cannot be read: the first sector in one is named, or zeros take the place of all of them.
assert_refused 1 "^untorn: memory/vol: lba [0-9]+ cannot be read: [^;]*; --ignore-errors exports zeros in its place$" \
	untorn export memory/vol out
assert_refused 1 "^untorn: memory/vol: [0-9]+ sectors could not be read and are zeros in out$" \
	untorn export memory/vol out --ignore-errors
assert_equal "size of the export" "$(size_of out)" $((16104 * 4096))
rm memory/filler out
assert_ok untorn check memory/vol
assert_ok untorn export memory/vol out
for ((i = 0; i < 50; i++)); do
	cmp -s -i $((i * 4096)) -n 4096 out data || cmp -i $((i * 4096)) -n 4096 out first
done
rm memory/vol

# A new volume for which there is no room at all leaves nothing behind.
head -c 1M /dev/zero >memory/filler 2>/dev/null || :
assert_refused 1 "^untorn: memory/vol: .*$full" untorn format memory/vol --size 64M
assert_missing memory/vol
# A file that grew for it gets its size back.
truncate -s 0 memory/filler
truncate -s 8M memory/vol
head -c 2M /dev/zero >memory/filler 2>/dev/null || :
assert_refused 1 "^untorn: memory/vol: .*$full" untorn format memory/vol --size 64M
assert_equal "size of the file that grew" "$(size_of memory/vol)" $((8 << 20))

# An export for which there is no room.
rm memory/*
assert_ok untorn format vol --size 32M
assert_ok untorn import vol data
assert_refused 1 "memory/out: cannot be written: No space left on device$" untorn export vol memory/out
assert_equal "what a failed export left" "$(ls -A memory)" ""
assert_equal "status of an export into a full device" \
	"$(status=0; untorn export vol - 2>/dev/null >/dev/full || status=$?; echo $status)" 1

# --------------------------------------------------------------------- read-only

cp vol memory/../read-only
: >mounted
mount --bind read-only mounted
cleanup "umount '$tmp/mounted'"
mount -o remount,bind,ro mounted
remember read-only
for command in "format mounted" "format mounted --force" "format mounted --force --size 64M" "import mounted data"; do
	# shellcheck disable=SC2086
	assert_refused 1 "^untorn: mounted: on a read-only file system$" untorn $command
done
assert_refused 8 "^untorn: mounted: on a read-only file system$" untorn check mounted --repair
assert_ok untorn info mounted
assert_ok untorn dump mounted
assert_ok untorn check mounted
assert_ok untorn check mounted --dry-run
assert_ok untorn export mounted out --force
cmp -n $((8 << 20)) out data
assert_unchanged

# ------------------------------------------------------------------- permissions

chmod 444 vol
if ! { : >>vol; } 2>/dev/null; then # root may write everything
	assert_refused 1 "^untorn: vol: no permission to write it$" untorn import vol data
	assert_ok untorn info vol
fi
chmod 000 vol
if ! { : <vol; } 2>/dev/null; then
	assert_refused 1 "^untorn: vol: no permission to read it$" untorn info vol
fi
