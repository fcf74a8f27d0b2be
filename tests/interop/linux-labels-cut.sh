#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The power is cut while Linux writes labels, under v1.1 and v1.2, and our commands are killed while they do: whoever comes next sees
# the namespaces that nobody was working on, with their data, and of the one in the works the old or the new state. In the end Linux
# and we list the same.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq python3

truncate -s 128M "$tmp/nv0.img" "$tmp/nv1.img"
arguments=() platform=()
for n in 0 1; do
	arguments+=(--nvdimm "$tmp/nv$n.img:131072")
	platform+=(--nvdimm "mem-path=$tmp/nv$n.img,label-size=128K")
done

# The seed of a region is never bound here, so it stays the seed: each turn makes a namespace of it, and nothing again, in 5 label
# updates.
cat >"$tmp/script" <<'GUEST'
if [ "$1" = first ]; then
	label_dimm 0 1.1
	label_dimm 1 1.2
	for n in 0 1; do
		try ndctl create-namespace -r region$(region $n) -m sector -s 32M -n keep
		scribble "$(ls /sys/block | grep "pmem$(region $n)s")"
	done
fi
tell before

turns() {
	seed=/sys/bus/nd/devices/$(cat "/sys/bus/nd/devices/region$1/namespace_seed")
	turn=0
	while :; do
		cat /proc/sys/kernel/random/uuid >"$seed/uuid"
		echo loop >"$seed/alt_name"
		echo 16777216 >"$seed/size"
		echo 33554432 >"$seed/size"
		echo 4096 >"$seed/sector_size"
		echo 0 >"$seed/size"
		turn=$((turn + 1))
		[ $turn -ne 20 ] || echo "running"
	done
}
turns "$(region 0)" &
turns "$(region 1)" &
wait
fail "the loops ended"
GUEST

# others: what is there beside keep, one line each: device, name, mode, size.
others() {
	jq -r '.. | objects | select(.mode? and .size > 0 and .name != "keep") | "\(.dev) \(.name) \(.mode) \(.size)"' "$tmp/ours"
}

# intact PATTERN: keep is there on both NVDIMMs, and whatever else is there matches PATTERN. check-labels passes or says by name what
# it found.
intact() {
	local status=0
	list_devices "$tmp/ours" "${platform[@]}"
	! others | grep -vE "^namespace[01]\.[0-9]+ ($1)\$" || fail "nobody made such a namespace"
	assert_equal "namespaces called keep" "$(jq '[.. | objects | select(.name == "keep" and .mode == "sector")] | length' "$tmp/ours")" 2
	untorn check-labels "${platform[@]}" all >"$tmp/check" 2>&1 || status=$?
	((status == 0)) || grep -qE '\b(label|index)-[a-z]+|no-index' "$tmp/check" || fail "check-labels: status $status: $(<"$tmp/check")"
}

# killed_at_random SECONDS COMMAND...: run it and SIGKILL it within that time, unless it ends before. Counts in $kills.
kills=0
killed_at_random() {
	local status=0 delay
	delay=$(awk -v limit="$1" -v random=$RANDOM 'BEGIN {print limit * (random + 1) / 32768}')
	shift
	timeout --foreground --signal KILL "$delay" "$@" >"$tmp/killed" 2>&1 || status=$?
	((status != 137)) || kills=$((kills + 1))
	# 124: it ended while the time did.
	[[ $status =~ ^(0|124|137)$ ]] || fail "status $status: $*: $(<"$tmp/killed")"
}

linux='loop raw (16777216|33554432)'
guest "${arguments[@]}" --kill-when running --kill-delay "0.$((RANDOM % 1000))" -- "$tmp/script" first
assert_equal "namespaces with data" "$(guest_said 'before data' | wc -l)" 2
intact "$linux"
same_data before "$tmp/nv0.img" "$tmp/nv1.img"
echo "Linux was cut off with $(others | wc -l) namespaces in the works"

# What it left can be destroyed, and we go on in its place, killed as well. A sector-mode namespace is one after its last
# step, so in between it is raw.
others | while read -r device _; do
	try untorn destroy-namespace "${platform[@]}" -f "$device"
done
assert_equal "namespaces beside keep" "$(list_devices "$tmp/ours" "${platform[@]}" && others)" ""
start=$(date +%s%N)
try untorn create-namespace "${platform[@]}" -r region1 -m sector -s 16M -n ours
took=$(awk -v ns=$(($(date +%s%N) - start)) 'BEGIN {print ns / 1e9}')
for ((turn = 0; turn < 6; turn++)); do
	for region in 0 1; do
		killed_at_random "$took" untorn create-namespace "${platform[@]}" -r "region$region" -m sector -s 32M -n ours
		intact 'ours (raw|sector) [0-9]+|null raw 33554432'
		while read -r device _; do
			killed_at_random "$took" untorn destroy-namespace "${platform[@]}" -f "$device"
		done < <(others)
		intact 'ours (raw|sector) [0-9]+|null raw 33554432'
		others | while read -r device _; do
			try untorn destroy-namespace "${platform[@]}" -f "$device"
		done
	done
	same_data before "$tmp/nv0.img" "$tmp/nv1.img"
done
((kills > 0)) || fail "none of 24 commands was killed in time"
killed_at_random "$took" untorn create-namespace "${platform[@]}" -r region0 -m sector -s 32M -n ours
killed_at_random "$took" untorn create-namespace "${platform[@]}" -r region1 -m raw -s 16M -n ours
list_devices "$tmp/ours" "${platform[@]}"
cp "$tmp/ours" "$tmp/before"
echo "we were killed $kills times"

# Linux sees what we saw, and goes on, until the next cut.
guest "${arguments[@]}" --kill-when running --kill-delay "0.$((RANDOM % 1000))" -- "$tmp/script" again
same_devices before "$tmp/before"
intact "$linux|ours (raw|sector) [0-9]+|null raw [0-9]+"
same_data before "$tmp/nv0.img" "$tmp/nv1.img"
