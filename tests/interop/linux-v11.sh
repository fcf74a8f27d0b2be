#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Version 1.1, label-less: Linux reads what we formatted and imported, in all its sector sizes, and we read what it wrote. One
# more volume lost its primary info block and got it back from us.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq

arguments=()
words=()
names=("${linux_sizes[@]}" repaired)
for name in "${names[@]}"; do
	volume=$tmp/$name.img size=$name
	[[ $name != repaired ]] || size=4096
	make_volume "$volume" 17M --sector-size "$size" --btt-version 1.1
	bytes=$(capacity "$volume")
	random_data "$bytes" "$tmp/data"
	untorn import "$volume" "$tmp/data"
	arguments+=(--nvdimm "$volume")
	words+=("$name:$size:$bytes:$(md5 <"$tmp/data")")
done
random_data 4096 garbage
dd if=garbage of="$volume" bs=4096 seek=1 conv=notrunc status=none
run_status 4 untorn check "$volume"
run_status 1 untorn check --repair --force "$volume"

cat >"$tmp/script" <<'GUEST'
n=0
for word; do
	IFS=: read -r name size bytes md5 <<-EOF
		$word
	EOF
	r=$(region $n)
	disk=/dev/pmem${r}s
	[ -b $disk ] || fail "$name: Linux does not see a BTT: $(ndctl list -r region$r -Ni)"
	seen=$(($(cat /sys/block/pmem${r}s/size) * 512))
	[ $seen -eq $bytes ] || fail "$name: $seen bytes, expected $bytes"
	block=$(cat /sys/block/pmem${r}s/queue/logical_block_size)
	[ $block -eq $((size / 512 * 512)) ] || fail "$name: blocks of $block"
	seen=$(md5sum <$disk)
	[ "${seen%% *}" = $md5 ] || fail "$name: the data differ"

	# New data across the middle and in the last blocks.
	head -c 1048576 /dev/urandom >/tmp/data
	dd if=/tmp/data of=$disk bs=64k seek=$((bytes / 131072)) 2>/dev/null
	dd if=/tmp/data of=$disk bs=4096 seek=$((bytes / 4096 - 50)) count=50 2>/dev/null
	no_cache
	echo "wrote $name: $(md5sum <$disk | cut -d' ' -f1)"

	case $size in
	512 | 4096 | 4160 | 4224)
		try ndctl disable-namespace namespace$r.0
		try ndctl check-namespace namespace$r.0
		echo "checked $name: clean"
		;;
	esac
	n=$((n + 1))
done
GUEST
guest "${arguments[@]}" -- "$tmp/script" "${words[@]}"

for name in "${names[@]}"; do
	consistent "$tmp/$name.img" >/dev/null
	untorn export --force "$tmp/$name.img" "$tmp/data"
	assert_equal "$name: what Linux wrote" "$(md5 <"$tmp/data")" "$(guest_said "wrote $name")"
	if [[ $name == repaired ]] || ndctl_checks "$name"; then
		assert_equal "$name: ndctl check-namespace" "$(guest_said "checked $name")" clean
	fi
done
