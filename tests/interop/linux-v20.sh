#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Version 2.0 under v1.2 labels: namespaces that Linux made, we read and write; then we format their ranges anew, and
# Linux accepts them. The last namespace gets one of our own wide sector sizes, which Linux must refuse.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq

labels=131072
sizes=("${linux_sizes[@]}" wide)
arguments=()
for size in "${sizes[@]}"; do
	truncate -s $((16 * 1048576 + labels)) "$tmp/$size.img"
	arguments+=(--nvdimm "$tmp/$size.img:$labels")
done

cat >"$tmp/script" <<'GUEST'
n=0
for size; do
	r=$(region $n)
	sector=$size
	[ $size != wide ] || sector=4096
	IFS=, read -r dimm _ <"/sys/bus/nd/devices/region$r/mapping0"
	try ndctl disable-region region$r
	try ndctl init-labels -V 1.2 $dimm
	try ndctl enable-region region$r
	try ndctl create-namespace -r region$r -m sector -l $sector -n "$size"
	[ -b /dev/pmem${r}s ] || fail "$size: Linux did not make a BTT"
	echo "uuid $size: $(cat /sys/bus/nd/devices/namespace$r.0/uuid)"
	echo "offset $size: $(($(cat /sys/bus/nd/devices/namespace$r.0/resource) -
		$(cat /sys/bus/nd/devices/region$r/resource)))"
	echo "length $size: $(cat /sys/bus/nd/devices/namespace$r.0/size)"
	echo "bytes $size: $(($(cat /sys/block/pmem${r}s/size) * 512))"
	head -c 1048576 /dev/urandom >/tmp/data
	dd if=/tmp/data of=/dev/pmem${r}s bs=64k 2>/dev/null
	dd if=/tmp/data of=/dev/pmem${r}s bs=64k seek=100 2>/dev/null
	no_cache
	echo "wrote $size: $(md5sum </dev/pmem${r}s | cut -d' ' -f1)"
	n=$((n + 1))
done
GUEST
guest "${arguments[@]}" -- "$tmp/script" "${sizes[@]}"

words=()
for size in "${sizes[@]}"; do
	offset=$(guest_said "offset $size") length=$(guest_said "length $size") uuid=$(guest_said "uuid $size")
	volume=$tmp/$size.volume
	dd if="$tmp/$size.img" of="$volume" bs=4096 skip=$((offset / 4096)) count=$((length / 4096)) status=none
	consistent "$volume" >/dev/null
	untorn check --parent-uuid "$uuid" "$volume" >/dev/null || fail "$size: parent uuid"
	untorn export --force "$volume" "$tmp/data"
	assert_equal "$size: bytes" "$(stat -c %s "$tmp/data")" "$(guest_said "bytes $size")"
	assert_equal "$size: what Linux wrote" "$(md5 <"$tmp/data")" "$(guest_said "wrote $size")"

	# Half of them get new data in Linux's own layout, the others a layout of ours.
	bytes=$(stat -c %s "$tmp/data")
	case $size in
	512 | 528 | 4160) ;;
	wide) untorn format "$volume" --btt-version 2.0 --sector-size 8192 --force --parent-uuid "$uuid" ;;
	*) untorn format "$volume" --btt-version 2.0 --sector-size "$size" --force --uuid "$uuid" --parent-uuid "$uuid" ;;
	esac
	[[ $size == wide ]] || assert_equal "$size: bytes of our layout" "$(capacity "$volume")" "$bytes"
	random_data "$(capacity "$volume")" "$tmp/data"
	untorn import "$volume" "$tmp/data"
	dd if="$volume" of="$tmp/$size.img" bs=4096 seek=$((offset / 4096)) conv=notrunc status=none
	words+=("$size:$bytes:$(md5 <"$tmp/data")")
done
cp "$tmp/wide.img" "$tmp/wide.before"

cat >"$tmp/script" <<'GUEST'
n=0
for word; do
	IFS=: read -r size bytes md5 <<-EOF
		$word
	EOF
	r=$(region $n)
	if [ $size = wide ]; then
		[ ! -e /dev/pmem${r}s ] || fail "Linux accepts sectors of 8192 bytes"
		[ -b /dev/pmem$r ] || fail "the namespace is not even raw: $(ndctl list -r region$r -Ni)"
		echo "refused: wide"
		break
	fi
	[ -b /dev/pmem${r}s ] || fail "$size: Linux does not see a BTT: $(ndctl list -r region$r -Ni)"
	seen=$(($(cat /sys/block/pmem${r}s/size) * 512))
	[ $seen -eq $bytes ] || fail "$size: $seen bytes, expected $bytes"
	seen=$(md5sum </dev/pmem${r}s)
	[ "${seen%% *}" = $md5 ] || fail "$size: the data differ"
	case $size in
	512 | 4096 | 4160 | 4224)
		try ndctl disable-namespace namespace$r.0
		try ndctl check-namespace namespace$r.0
		echo "checked $size: clean"
		;;
	esac
	n=$((n + 1))
done
GUEST
guest "${arguments[@]}" -- "$tmp/script" "${words[@]}"
for size in "${linux_sizes[@]}"; do
	! ndctl_checks "$size" || assert_equal "$size: ndctl check-namespace" "$(guest_said "checked $size")" clean
done
assert_equal "Linux refuses" "$(guest_said refused)" wide
cmp "$tmp/wide.before" "$tmp/wide.img" || fail "Linux changed a volume that it refuses"
