#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Namespaces that we made on two NVDIMMs, under v1.1 and v1.2 labels, several in each region, raw and of every sector size, and filled:
# Linux lists the same devices and reads the same data. Then Linux writes, destroys, creates and reconfigures, and we list and
# read what it has; then we destroy and create, and Linux does.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq python3

truncate -s 160M "$tmp/nv0.img" "$tmp/nv1.img"
arguments=(--nvdimm "$tmp/nv0.img:262144" --nvdimm "$tmp/nv1.img:131072")
platform=(--nvdimm "mem-path=$tmp/nv0.img,label-size=256K" --nvdimm "mem-path=$tmp/nv1.img,label-size=128K")

# create N WORD...
create() {
	local region=region$1
	shift
	assert_json untorn create-namespace "${platform[@]}" -r "$region" "$@"
}

# place N NAME: where the namespace lies in its image: offset and bytes. A region begins where its NVDIMM does.
place() {
	untorn read-labels "${platform[@]}" -j "nmem$1" 2>/dev/null | jq -r ".. | objects | select(.name == \"$2\") | \"\(.dpa) \(.rawsize)\"" |
		tail -n 1
}

# fill N NAME: random data in all of it, of a raw one as a program on a raw disk would do. Leaves their md5 in $filled.
declare -A filled
fill() {
	local image=$tmp/nv$1.img offset bytes
	if [[ $2 == *raw* ]]; then
		read -r offset bytes < <(place "$1" "$2")
		random_data "$bytes" "$tmp/data"
		dd if="$tmp/data" of="$image" bs=4096 seek=$((offset / 4096)) conv=notrunc status=none
	else
		random_data "$(untorn info --json --namespace "$2" "$image" | jq -r '.[0].size')" "$tmp/data"
		untorn import --namespace "$2" "$image" "$tmp/data"
	fi
	filled[$2]=$(md5 <"$tmp/data")
}

# destroy NAME
destroy() {
	local device
	device=$(untorn list "${platform[@]}" -N | jq -r ".. | objects | select(.name == \"$1\").dev")
	try untorn destroy-namespace "${platform[@]}" -f "$device"
}

# told WORD: the guest's devices are ours, and so is the content of what we filled and nobody changed.
told() {
	local name uuid
	same_devices "$1" "$tmp/ours"
	for name in "${!filled[@]}"; do
		uuid=$(jq -r ".. | objects | select(.name == \"$name\") | .raw_uuid // .uuid" "$tmp/ours")
		assert_equal "$1: content of $name" "$(guest_said "$1 data" | sed -n "s/.* $uuid .* //p")" "${filled[$name]}"
	done
}

try untorn init-labels "${platform[@]}" -V 1.1 nmem0
try untorn init-labels "${platform[@]}" -V 1.2 nmem1
create 0 -m sector -l 4096 -s 32M -n s4096
create 0 -m raw -s 16M -n raw
create 0 -m sector -l 520 -s 32M -n s520
create 0 -m sector -l 4104 -s 32M -n s4104
create 0 -m raw -s 16M
create 1 -m sector -l 512 -s 16M -n s512
create 1 -m raw -s 32M -n wide-raw -u 01020304-0506-0708-090a-0b0c0d0e0f10
create 1 -m sector -l 528 -s 16M -n s528
create 1 -m sector -l 4160 -s 16M -n s4160
create 1 -m sector -l 4224 -s 16M -n s4224
create 1 -m sector -s 16M -n default
for name in raw s4096 s520; do
	fill 0 "$name"
done
for name in s512 wide-raw s528 s4160 s4224 default; do
	fill 1 "$name"
done
destroy s4104
list_devices "$tmp/ours" "${platform[@]}"

cat >"$tmp/script" <<'GUEST'
tell "$1"
[ "$1" = first ] || exit 0

scribble "$(disk s4096)"
scribble "$(disk wide-raw)"
try ndctl destroy-namespace -f "$(namespace s520)"
try ndctl create-namespace -r region$(region 0) -m sector -l 512 -s 32M -n by-linux
scribble "$(disk by-linux)"
try ndctl destroy-namespace -f "$(namespace s4160)"
try ndctl create-namespace -r region$(region 1) -m raw -s 16M -n by-linux-raw
try ndctl create-namespace -e "$(namespace default)" -f -m sector -l 512 -n no-default
scribble "$(disk no-default)"
renumber
tell later
GUEST
guest "${arguments[@]}" -- "$tmp/script" first
told first
list_devices "$tmp/ours" "${platform[@]}"
same_devices later "$tmp/ours"
same_data later "$tmp/nv0.img" "$tmp/nv1.img"
labels_sound "${platform[@]}"

# What Linux left goes on with us: its namespace goes, one of ours comes, one is filled anew.
unset 'filled[s4096]' 'filled[wide-raw]' 'filled[s520]' 'filled[s4160]' 'filled[default]'
destroy by-linux
create 0 -m sector -l 4224 -s 48M -n again
fill 0 again
fill 1 by-linux-raw
fill 1 no-default
list_devices "$tmp/ours" "${platform[@]}"
guest "${arguments[@]}" -- "$tmp/script" last
told last
labels_sound "${platform[@]}"
