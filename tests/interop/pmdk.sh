#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# PMDK and we on each other's pmemblk pools: libpmemblk reads and writes ours, we read and write theirs, pmempool agrees with our
# check, and each recovers what the other's killed process left.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn pmempool pmemblk-peer stamp-writer
export PMEM_IS_PMEM_FORCE=1

sizes=(512 520 4096 4104 1 100 1000 8192 65536)
# A pool holds at least 512 blocks, and 16 MiB.
space_for() {
	echo $((($1 > 16384 ? 40 : 20) * 1048576))
}

agree() {
	pmempool check "$1" >"$tmp/pmempool" 2>&1 || {
		cat "$tmp/pmempool" >&2
		fail "pmempool check $1"
	}
	pmempool info "$1" >"$tmp/pmempool" 2>&1 || {
		cat "$tmp/pmempool" >&2
		fail "pmempool info $1"
	}
	consistent "$1"
}

# What both make of a pool, block by block. Blocks in error state read as zeros here and are listed by both.
same_content() {
	untorn export --force --ignore-errors "$1" "$tmp/ours" 2>/dev/null || true
	pmemblk-peer export "$1" >"$tmp/theirs" 2>"$tmp/errors"
	cmp "$tmp/ours" "$tmp/theirs" || fail "$1: we and libpmemblk read different data"
	untorn check --all "$1" | sed -n '/map-error/s/.*map entry \([0-9]*\).*/\1/p' | cmp - "$tmp/errors" ||
		fail "$1: we and libpmemblk disagree on blocks in error state"
}

for size in "${sizes[@]}"; do
	ours=$tmp/ours-$size.pool theirs=$tmp/theirs-$size.pool space=$(space_for "$size")
	make_volume "$ours" "$space" --profile pmemblk --sector-size "$size"
	pmemblk-peer create "$theirs" "$space" "$size"
	assert_equal "$size: geometry" "$(pmemblk-peer info "$ours")" "$(pmemblk-peer info "$theirs")"

	# Never written: all zeros for both.
	for pool in "$ours" "$theirs"; do
		agree "$pool" >/dev/null
		same_content "$pool"
		assert_equal "$pool, never written" "$(md5 <"$tmp/ours")" "$(head -c "$(stat -c %s "$tmp/ours")" /dev/zero | md5)"
	done

	# Each writes the other's, part of it.
	bytes=$(stat -c %s "$tmp/ours")
	head -c $((bytes / 2 / size * size)) /dev/urandom >"$tmp/half"
	pmemblk-peer import "$ours" <"$tmp/half"
	untorn import "$theirs" "$tmp/half"
	for pool in "$ours" "$theirs"; do
		agree "$pool" >/dev/null
		same_content "$pool"
		cmp -n "$(stat -c %s "$tmp/half")" "$tmp/half" "$tmp/ours" || fail "$pool: the data differ"
	done

	# Zero and error entries, of blocks that were written and blocks that were not.
	last=$((bytes / size - 1))
	pmemblk-peer zero "$theirs" 3 5 $((last - 1))
	pmemblk-peer error "$theirs" 7 "$last"
	agree "$theirs" >/dev/null
	same_content "$theirs"
	! untorn export --force "$theirs" "$tmp/data" 2>/dev/null || fail "$theirs: export passes over a block in error state"
	echo "$size: $((last + 1)) blocks, equal"
done

# Killed in mid-write, by turns we and they, on their pool and on ours. Each turn kills until a write was interrupted, so that
# the other has something to recover; it is a matter of luck, so not for ever.
acks=$tmp/acks
most_kills=6
for size in 512 520 4096 4104; do
	for pool in "$tmp/ours-$size.pool" "$tmp/theirs-$size.pool"; do
		rm -f "$acks" "$pool"
		if [[ $pool == *ours* ]]; then
			make_volume "$pool" "$(space_for "$size")" --profile pmemblk --sector-size "$size"
		else
			pmemblk-peer create "$pool" "$(space_for "$size")" "$size"
		fi
		round=0 kills=0 recovered=0
		for turn in stamp-writer pmemblk-peer stamp-writer pmemblk-peer; do
			options=(--threads 4)
			[[ $turn == pmemblk-peer ]] || options=(--threads 3 --batch 24 -o medium=cacheline)
			for ((kill = 1; kill <= most_kills; kill++)); do
				round=$((round + 1)) kills=$((kills + 1))
				killed "$turn" write "$pool" --acks "$acks" --round "$round" "${options[@]}"
				pending=$(consistent "$pool")
				[[ $pending == 0 ]] || break
			done
			recovered=$((recovered + pending))
			# As it is, in our eyes; then the other opens it for real.
			stamp-writer verify "$pool" --acks "$acks" --round "$round" >/dev/null
			if [[ $turn == stamp-writer ]]; then
				pmemblk-peer verify "$pool" --acks "$acks" --round "$round" >/dev/null
			else
				round=$((round + 1))
				stamp-writer write "$pool" --acks "$acks" --round "$round" --threads 2 --requests 50 >/dev/null
			fi
			assert_equal "$pool: interrupted writes after recovery" "$(agree "$pool")" 0
			stamp-writer verify "$pool" --acks "$acks" --round "$round" >/dev/null
			pmemblk-peer verify "$pool" --acks "$acks" --round "$round" >/dev/null
		done
		echo "$(basename "$pool"): $kills kills, $recovered interrupted writes recovered by the other"
	done
done
