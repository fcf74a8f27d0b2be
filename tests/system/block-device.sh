#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A block device as the target, a loop device here: recognised as a page medium, its content looked at before it is
# formatted, taken from one user at a time.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires losetup mke2fs nbdcopy

truncate -s 40M backing
device=$(losetup -f --show backing 2>/dev/null) || skip "no loop device to be had (needs root)"
cleanup 'losetup -d "$device"'

mke2fs -q -t ext4 "$device" 2>/dev/null
before=$(md5 <backing)
untorn format "$device" 2>err && fail "formatted over ext4"
grep -q 'ext4.*--force' err || fail "does not say what is there: $(cat err)"
[[ $(md5 <backing) == "$before" ]] || fail "a refused format changed the device"

untorn format --force "$device" --sector-size 512
untorn info "$device" | grep -q 'page' || fail "a block device is a page medium"

head -c 5000000 /dev/urandom >data
untorn import "$device" data
untorn export "$device" - >out
head -c 5000000 out | cmp - data
untorn check "$device"
untorn check backing || fail "the same volume through the file behind the device"

untorn format "$device" 2>err && fail "formatted over a BTT"
grep -q 'BTT 1.1' err || fail "does not say what is there: $(cat err)"

# While it is served nobody else gets it.
untorn serve "$device" --run 'untorn import '"$device"' data 2>busy && exit 1; nbdcopy "$uri" served'
grep -q 'in use' busy || fail "a second writer is told: $(cat busy)"
cmp -n 5000000 served data
