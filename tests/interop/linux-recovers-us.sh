#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Our process is killed in mid-write; Linux recovers the volume: every sector whole, none older than acknowledged, the
# namespace clean. Then Linux writes on, and we read.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn stamp-file stamp-writer

acks=$tmp/acks.img
ack_space=1048576
truncate -s 32M "$acks"
arguments=(--copy "$(command -v stamp-file)")
for size in "${linux_sizes[@]}"; do
	make_volume "$tmp/$size.img" 20M --sector-size "$size"
	arguments+=(--nvdimm "$tmp/$size.img")
done
arguments+=(--nvdimm "$acks")

# One way of writing per size and boot: threads, batch, flush.
ways=("4 1 0" "4 17 0" "2 64 0" "4 4 16" "1 64 0" "4 1 64" "3 33 4")

cat >"$tmp/script" <<'GUEST'
round=$1 space=$2
shift 2
acks=/dev/pmem$(region $#)
n=0
for size; do
	r=$(region $n)
	/host/stamp-file verify /dev/pmem${r}s --acks $acks --ack-offset $((n * space)) --round $round || fail "sectors of $size"
	case $size in
	512 | 4096 | 4160 | 4224)
		try ndctl disable-namespace namespace$r.0
		try ndctl check-namespace namespace$r.0
		echo "checked $size: clean"
		try ndctl enable-namespace namespace$r.0
		;;
	esac
	/host/stamp-file write /dev/pmem${r}s --acks $acks --ack-offset $((n * space)) --round $((round + 1)) \
		--threads 2 --batch 4 --requests 100 || fail "writing sectors of $size"
	n=$((n + 1))
done
GUEST

# Kill until a write was interrupted, so that Linux has something to recover; it is a matter of luck, so not for ever.
most_kills=6
round=1
for boot in 1 2; do
	n=0 kills=0 recoverable=0
	for size in "${linux_sizes[@]}"; do
		read -r threads batch flush <<<"${ways[(n + boot) % ${#ways[@]}]}"
		for ((kill = 1; kill <= most_kills; kill++)); do
			medium=auto
			[[ $(((n + kill) % 2)) == 0 ]] || medium=cacheline
			options=(--acks "$acks" --ack-offset $((n * ack_space)) --round $((round + kill)) -o "medium=$medium")
			# Linux writes the data of a sector without its metadata, so the stamp covers both only before it did.
			[[ $boot != 1 ]] || options+=(-o meta)
			killed stamp-writer write "$tmp/$size.img" "${options[@]}" --threads "$threads" --batch "$batch" --flush "$flush"
			kills=$((kills + 1))
			pending=$(consistent "$tmp/$size.img")
			stamp-writer verify "$tmp/$size.img" "${options[@]}" >/dev/null
			[[ $pending == 0 ]] || break
		done
		recoverable=$((recoverable + pending))
		n=$((n + 1))
	done
	round=$((round + most_kills))
	echo "boot $boot: $kills kills; $recoverable interrupted writes are left for Linux to recover"
	guest "${arguments[@]}" -- "$tmp/script" "$round" "$ack_space" "${linux_sizes[@]}"
	round=$((round + 1))
	n=0
	for size in "${linux_sizes[@]}"; do
		assert_equal "$size: interrupted writes after Linux" "$(consistent "$tmp/$size.img")" 0
		stamp-writer verify "$tmp/$size.img" --acks "$acks" --ack-offset $((n * ack_space)) --round "$round"
		! ndctl_checks "$size" || assert_equal "$size: ndctl check-namespace" "$(guest_said "checked $size")" clean
		n=$((n + 1))
	done
done
