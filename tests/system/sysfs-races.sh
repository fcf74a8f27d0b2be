#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Everything at once on one mount: devices made and destroyed, a region that goes and comes, sectors written and compared, a disk that
# vanishes under its reader, and all files read meanwhile. Each of them meets what it would meet alone. Under ThreadSanitizer, too.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sysfs-lib.sh"

dimms=()
for n in 0 1 2; do
	truncate -s 96M nv$n.img
	dimms+=(--nvdimm "mem-path=nv$n.img,label-size=128K")
done
run_status 0 untorn init-labels all "${dimms[@]}"
run_status 0 untorn create-namespace -r region1 -m sector -s 32M "${dimms[@]}"
run_status 0 untorn create-namespace -r region1 -m raw -s 32M "${dimms[@]}"
run_status 0 untorn create-namespace -r region2 -m sector -l 512 -s 32M "${dimms[@]}"
mount_devices "${dimms[@]}"
wait_probe

# until_stopped COMMAND...: again and again, whatever it says.
until_stopped() {
	until [[ -e stop ]]; do
		"$@" >>"$tmp/ignored" 2>&1 || :
	done
}

read_all() {
	find "$dir/sys" -type f -exec cat {} +
	ls -lR "$dir"
}

read_vanishing() {
	dd if="$dir/dev/pmem1s" bs=64K count=64
	dd if=/dev/zero of="$dir/dev/pmem1.1" bs=64K count=16 conv=notrunc
}

# A namespace and a btt through stores in region0, where nobody else is, and away again.
make_and_destroy() {
	local i namespace btt
	for i in {1..40}; do
		namespace=$devices/$(<"$devices/region0/namespace_seed")
		btt=$devices/$(<"$devices/region0/btt_seed")
		printf 'a0000000-0000-4000-8000-%012d' "$i" >"$namespace/uuid"
		echo 0x2000000 >"$namespace/size"
		printf 'b0000000-0000-4000-8000-%012d' "$i" >"$btt/uuid"
		echo 4096 >"$btt/sector_size"
		echo "${namespace##*/}" >"$btt/namespace"
		echo "${btt##*/}" >"$nd/drivers/nd_pmem/bind"
		[[ $(<"$namespace/holder") == "${btt##*/}" ]]
		[[ -e $btt/block ]]
		[[ $(<"$devices/ndbus0/wait_probe") == 1 ]]
		echo "${btt##*/}" >"$nd/drivers/nd_pmem/unbind"
		echo >"$btt/namespace"
		echo 0 >"$namespace/size"
		[[ $(<"$devices/ndbus0/wait_probe") == 1 ]]
	done
}

go_and_come() {
	local i
	for i in {1..80}; do
		echo region1 >"$nd/drivers/nd_region/unbind"
		[[ ! -e $devices/namespace1.0 ]]
		echo region1 >"$nd/drivers/nd_region/bind"
	done
}

random_calls() {
	local i
	for i in {1..8}; do
		echo "random 300 $i copy 1"
	done | file-calls "$dir/dev/pmem2s" both >same
}

truncate -s "$(size_of "$dir/dev/pmem2s")" copy
readers=()
for reader in read_all read_all read_vanishing; do
	until_stopped $reader &
	readers+=($!)
done
works=(make_and_destroy go_and_come random_calls)
pids=()
for work in "${works[@]}"; do
	$work >"log-$work" 2>&1 &
	pids+=($!)
done
for i in "${!works[@]}"; do
	wait "${pids[i]}" || fail "${works[i]}: $(<"log-${works[i]}")"
done
: >stop
wait "${readers[@]}"
wait_probe
assert_equal "random calls" "$(uniq -c same | tr -s ' ')" " 1 0"$'\n'" 8 same"
cmp "$dir/dev/pmem2s" copy

# What there is in the end is what there would be after each alone.
shows "$devices/region0/available_size" $((80 << 20))
shows "$devices/region1/available_size" $((16 << 20))
shows "$(echo "$devices"/namespace1.0)/size" $((32 << 20))
stop_mount
run_status 0 untorn check-labels all "${dimms[@]}"
run_status 0 untorn check nv1.img --namespace namespace0.0
run_status 0 untorn check nv2.img
