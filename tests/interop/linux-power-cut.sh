#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The power is cut while Linux writes, then while it writes on what we recovered, and so on: after each cut the volume is
# consistent, every sector is whole and none is older than acknowledged, in our eyes and in Linux's. The acks are on
# an NVDIMM of their own, written by the guest before the next request.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn stamp-file stamp-writer

rounds=3
acks=$tmp/acks.img
ack_space=1048576
truncate -s 32M "$acks"
arguments=(--copy "$(command -v stamp-file)")
for size in "${linux_sizes[@]}"; do
	make_volume "$tmp/$size.img" 20M --sector-size "$size"
	arguments+=(--nvdimm "$tmp/$size.img")
done
arguments+=(--nvdimm "$acks")

# Verify what is there, then write until the power is cut. All volumes must have been written before "all running".
cat >"$tmp/script" <<'GUEST'
round=$1 space=$2 volumes=$3
acks=/dev/pmem$(region $volumes)
n=0
while [ $n -lt $volumes ]; do
	/host/stamp-file verify /dev/pmem$(region $n)s --acks $acks --ack-offset $((n * space)) --round $round --span 1000 ||
		fail "volume $n, before round $round"
	n=$((n + 1))
done
n=0
while [ $n -lt $volumes ]; do
	batch=$((1 + (n + round) % 3 * 4))
	/host/stamp-file write /dev/pmem$(region $n)s --acks $acks --ack-offset $((n * space)) --round $round \
		--threads 2 --batch $batch --span 1000 >/tmp/running.$n &
	n=$((n + 1))
done
until [ "$(cat /tmp/running.* | grep -c running)" -eq $volumes ]; do
	usleep 10000
done
echo "all running"
wait
fail "a writer ended"
GUEST

verify() {
	local n=0 size
	for size in "${linux_sizes[@]}"; do
		stamp-writer verify "$tmp/$size.img" --acks "$acks" --ack-offset $((n * ack_space)) --round "$1" --span 1000
		n=$((n + 1))
	done
}

for ((round = 1; round < 2 * rounds; round += 2)); do
	guest "${arguments[@]}" --kill-when 'all running' --kill-delay "$((RANDOM % 2)).$((RANDOM % 1000))" -- \
		"$tmp/script" "$round" "$ack_space" "${#linux_sizes[@]}"
	pending=$(consistent "$tmp"/{512,520,528,4096,4104,4160,4224}.img)
	echo "round $round: power cut; $pending interrupted writes wait for recovery"
	verify "$round"
	n=0
	for size in "${linux_sizes[@]}"; do
		stamp-writer write "$tmp/$size.img" --acks "$acks" --ack-offset $((n * ack_space)) --round $((round + 1)) \
			--threads 2 --batch 5 --span 1000 --requests 300 >/dev/null
		n=$((n + 1))
	done
	assert_equal "interrupted writes after we opened and closed" \
		"$(consistent "$tmp"/{512,520,528,4096,4104,4160,4224}.img)" 0
	verify $((round + 1))
done
