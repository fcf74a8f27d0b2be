#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Debian's ndctl and daxctl on our devices, from the labels to the info blocks. After each step `untorn list` says of the images what
# ndctl says of the devices.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/sandbox.sh"
requires untorn ndctl daxctl jq
requires_sandbox

# platform IMAGE[,label-size=...]...: the NVDIMMs of all that follows.
platform() {
	local image
	dimms=()
	for image; do
		dimms+=(--nvdimm "mem-path=$image")
	done
}

# nd STATUS ARGUMENT...: ndctl ends with that; a number that is not 0 stands for any.
nd() {
	local status=0
	untorn ndctl "${dimms[@]}" -- "${@:2}" >"$tmp/.out" 2>"$tmp/.err" || status=$?
	out=$(<"$tmp/.out") err=$(<"$tmp/.err")
	((!status == !$1)) || fail "ndctl ${*:2}: status $status; stdout: $out; stderr: $err"
}

# inside COMMAND...: of a shell in one sandbox, where any that fails ends the test.
inside() {
	untorn sandbox "${dimms[@]}" -- sh -ec "$1" >"$tmp/.out" 2>"$tmp/.err" || fail "$1: status $?: $(<"$tmp/.out") $(<"$tmp/.err")"
	out=$(<"$tmp/.out")
}

# sorted: JSON of `list` so that two can be compared: ndctl lists devices as it finds them in a folder, and one thing without an array
# around it.
sorted() {
	jq -S '(if type == "array" then . else [.] end) | walk(if type == "array" then sort_by(.dev?) else . end)'
}

# agree: ndctl and we list the same, keys and values.
agree() {
	nd 0 list -DRNi
	sorted <<<"$out" >"$tmp/.ndctl"
	run_status 0 untorn list "${dimms[@]}" -DRNi
	sorted <<<"$out" >"$tmp/.ours"
	diff -U 3 "$tmp/.ndctl" "$tmp/.ours" || fail "ndctl (-) and we (+) list different devices"
}

# namespaces EXPECTED: DEVICE:NAME:MODE:SIZE of each that has a size, separated by blanks.
namespaces() {
	nd 0 list -N
	assert_equal "namespaces" "$(jq -r 'if type == "array" then .[] else . end |
		"\(.dev):\(.name // "-"):\(.mode):\(.size)"' <<<"${out:-[]}" | tr '\n' ' ')" "$1${1:+ }"
	agree
}

# place IMAGE NAME: where a namespace begins in its image, in bytes. A region begins where its NVDIMM does.
place() {
	untorn read-labels --nvdimm "mem-path=$1" -j nmem0 2>/dev/null |
		jq -r "[.. | objects | select(.name == \"$2\") | .dpa] | last"
}

# good [OPTION...] IMAGE: untorn check finds nothing.
good() {
	untorn check "$@" >"$tmp/.check" 2>&1 || fail "untorn check $*: status $?: $(<"$tmp/.check")"
}

# break_at IMAGE OFFSET: one byte of it.
break_at() {
	printf 'X' | dd of="$1" bs=1 seek=$(($2 + 100)) conv=notrunc status=none
}

# --------------------------------------------------------------------- without a label area

truncate -s 64M bare.img
platform bare.img
namespaces "namespace0.0:-:raw:67108864"
nd 1 create-namespace -m raw -s 16M
assert_match "sub-dividing" "$err" "Legacy / label-less namespaces do not support sub-dividing a region"
nd 1 init-labels nmem0
for size in 512 520 528 4096 4104 4160 4224; do
	nd 0 create-namespace -e namespace0.0 -f -m sector -l $size --no-autolabel
	assert_equal "disk of $size" "$(jq -r '"\(.mode) \(.sector_size) \(.blockdev)"' <<<"$out")" "sector $size pmem0s"
	agree
	good bare.img
done
nd 1 create-namespace -e namespace0.0 -m raw --no-autolabel
assert_match "active" "$err" "Device or resource busy"
nd 0 disable-namespace namespace0.0
nd 0 enable-namespace namespace0.0
agree
assert_equal "mode" "$(jq -r '.. | .mode? // empty' "$tmp/.ours")" sector
nd 0 create-namespace -e namespace0.0 -f -m raw --no-autolabel
namespaces "namespace0.0:-:raw:67108864"
nd 0 create-namespace -e namespace0.0 -f -m sector --no-autolabel
nd 0 destroy-namespace -f namespace0.0
namespaces "namespace0.0:-:raw:67108864"

# --------------------------------------------------------------------- labels that ndctl writes by itself

# It wants a region of whole 16 MiB then, and begins it with one namespace of all of it.
truncate -s $(((64 << 20) + (128 << 10))) auto.img
platform auto.img,label-size=128K
nd 1 check-labels nmem0
nd 0 create-namespace -e namespace0.0 -f -m sector -n by-itself
assert_equal "name" "$(jq -r .name <<<"$out")" by-itself
nd 0 check-labels nmem0
agree
assert_equal "namespace of our list" "$(jq -r '.. | objects | select(.name == "by-itself") | "\(.dev) \(.mode)"' "$tmp/.ours")" \
	"namespace0.0 sector"
nd 0 destroy-namespace -f namespace0.0
namespaces ""

# --------------------------------------------------------------------- labels: both versions, out and in

truncate -s 160M nv.img
platform nv.img,label-size=128K
for version in 1.1 1.2; do
	head -c 128K /dev/urandom >labels
	nd 0 write-labels -i labels nmem0 # ndctl says "wrote 1 nmem" all the same
	assert_match "active region" "$err" "dimm is active, abort label write"
	inside "ndctl disable-region all; ndctl init-labels -f -V $version all; ndctl enable-region all; ndctl check-labels all"
	nd 0 create-namespace -m sector -s 32M -n kept
	kept=$(jq -c . <<<"$out")
	inside "ndctl read-labels nmem0 -o labels-$version.bin"
	assert_equal "label area" "$(md5 <labels-$version.bin)" "$(tail -c 128K nv.img | md5)"
	inside "ndctl read-labels -j nmem0"
	assert_equal "labels of kept" "$(jq -r '[.. | objects | select(.name? == "kept") | .rawsize] | last' <<<"$out")" 33554432
	assert_equal "version" "$(jq -r '[.. | objects | select(.major?) | "\(.major).\(.minor)"] | first' <<<"$out")" "$version"
	inside "ndctl disable-region region0; ndctl zero-labels nmem0; ndctl enable-region region0"
	namespaces "namespace0.0:-:raw:$(((160 << 20) - (128 << 10)))"
	cmp <(tail -c 128K nv.img) <(head -c 128K /dev/zero)
	inside "ndctl disable-region region0; ndctl write-labels -i labels-$version.bin nmem0; ndctl check-labels nmem0
		ndctl enable-region region0"
	agree
	assert_equal "kept" "$(untorn list "${dimms[@]}" -N | jq -c '.[0]')" "$kept"
	good --namespace kept nv.img
	nd 0 destroy-namespace -f all
	namespaces ""
done

# --------------------------------------------------------------------- several namespaces, in two regions

# The labels are now 1.2, and a second NVDIMM gets 1.1.
truncate -s 160M other.img
platform nv.img,label-size=128K other.img,label-size=128K
inside "ndctl disable-region region1; ndctl init-labels -V 1.1 nmem1; ndctl enable-region region1"
uuid=01020304-0506-0708-090a-0b0c0d0e0f10
nd 0 create-namespace -r region0 -m raw -s 16M -n first -u $uuid
assert_equal "uuid" "$(jq -r '"\(.uuid) \(.mode) \(.size) \(.blockdev)"' <<<"$out")" "$uuid raw 16777216 pmem0"
nd 1 create-namespace -r region1 -m raw -s 16M -u $uuid
for size in 512 520 528 4096 4104 4160 4224; do
	nd 0 create-namespace -r region0 -m sector -l $size -s 16M -n s$size -u "$(printf %08d $size)-0000-0000-0000-000000000001"
	assert_equal "sector size" "$(jq -r '"\(.name) \(.sector_size)"' <<<"$out")" "s$size $size"
	good --namespace s$size nv.img
done
nd 1 create-namespace -r region0 -m sector -l 1024 -s 16M
nd 0 create-namespace -r region1 -m sector -s 64M -n other
nd 0 create-namespace -r region1 -m raw -s 32M
agree
assert_equal "namespaces" "$(jq '[.. | objects | select(.mode? and .size? > 0)] | length' "$tmp/.ours")" 10
assert_equal "uuids of btts" "$(jq -r '.. | objects | select(.name? == "s4096" or .name? == "s520") | .uuid' "$tmp/.ours" | sort -u | wc -l)" 2

# Reconfigured: another mode, sector size and name; what is beside it stays.
device() {
	jq -r ".. | objects | select(.name? == \"$1\").dev" "$tmp/.ours"
}
nd 1 create-namespace -e "$(device s512)" -m raw
nd 0 create-namespace -e "$(device s512)" -f -m raw -n was-s512
nd 0 create-namespace -e "$(device first)" -f -m sector -l 4160 -n was-first
nd 0 create-namespace -e "$(device s4104)" -f -m sector -l 512
agree
assert_equal "reconfigured" \
	"$(jq -r '.. | objects | select(.name? | . == "was-s512" or . == "was-first" or . == "s4104") | "\(.name) \(.mode) \(.sector_size)"' \
		"$tmp/.ours" | sort | tr '\n' ' ')" "s4104 sector 512 was-first sector 4160 was-s512 raw 512 "

# Disabled, enabled. What is active is destroyed only with -f.
for name in other was-s512; do
	device=$(device $name)
	nd 1 destroy-namespace "$device"
	inside "ndctl disable-namespace $device; ndctl list -Ni; ndctl enable-namespace $device"
	assert_equal "state of $name" "$(jq -r ".. | objects | select(.dev? == \"$device\").state" <<<"$out")" disabled
	agree
	inside "ndctl disable-namespace $device; ndctl destroy-namespace $device"
	agree
	assert_equal "devices called $name" "$(device $name)" ""
done
inside "ndctl disable-namespace all; ndctl list -N"
assert_equal "enabled" "$out" ""
agree
nd 1 create-namespace -m fsdax -r region0
nd 1 create-namespace -m devdax -r region0
agree

# Regions and dimms.
inside "ndctl disable-region region1; ndctl list -Ri; ndctl list -Di; ! ndctl create-namespace -r region1 -m raw -s 16M
	ndctl disable-dimm nmem1; ndctl list -Di; ndctl enable-dimm nmem1; ndctl enable-region region1; ndctl list -R"
assert_equal "disabled" "$(jq -rs '[.[] | .. | objects | select(.state? == "disabled") | .dev] | join(" ")' <<<"$out")" "region1 nmem1"
run_status 0 untorn sandbox "${dimms[@]}" -- sh -c "ndctl disable-dimm nmem0 2>&1; ndctl list -D -d nmem0"
assert_match "active dimm" "$out" "nmem0 is active, skipping.*disabled 0 nmem"
agree

# daxctl finds no dax device, and its listing of nothing is no error.
inside "daxctl list; daxctl list -RDMi"
assert_equal "dax devices" "$out" ""

nd 1 destroy-namespace all
nd 0 destroy-namespace -f all
namespaces ""

# --------------------------------------------------------------------- check-namespace

# ndctl wants external and internal sector sizes to be the same, so others it refuses to check.
platform other.img,label-size=128K
nd 0 create-namespace -m sector -s 32M -n v11
nd 0 create-namespace -m sector -l 512 -s 32M -n again
platform nv.img,label-size=128K
nd 0 create-namespace -m sector -s 32M -n v20
nd 0 create-namespace -m raw -s 32M -n raw
for pair in other.img:v11:4096 nv.img:v20:0; do
	IFS=: read -r image name start <<<"$pair"
	platform "$image",label-size=128K
	agree
	device=$(device "$name")
	head -c 3000000 /dev/urandom >data
	untorn import --namespace "$name" "$image" data
	untorn export --force --namespace "$name" "$image" exported
	nd 1 check-namespace "$device"
	assert_match "active" "$err" "check aborted, namespace online"
	nd 0 check-namespace -f "$device"
	assert_match "checked" "$err" "checked 1 namespace"
	first=$(($(place "$image" "$name") + start))
	backup=$(($(place "$image" "$name") + (32 << 20) - 4096))
	for broken in $first $backup; do
		cp --sparse=always "$image" whole.img
		break_at "$image" "$broken"
		# Without the first one it is a raw namespace, to ndctl and to us. A backup is missed, and no error.
		agree
		nd $((broken == first)) check-namespace -f "$device"
		((broken == first)) || assert_match "backup" "$err" "info2 needs to be restored"
		nd 0 check-namespace -f --repair "$device"
		nd 0 check-namespace -f "$device"
		assert_equal "after the repair" "$err" "checked 1 namespace"
		good --namespace "$name" "$image"
		cmp -n 4096 -i "$broken:$broken" "$image" whole.img
		namespace_mode=$(untorn list --nvdimm "mem-path=$image,label-size=128K" -N | jq -r ".[] | select(.name == \"$name\").mode")
		assert_equal "mode of $name" "$namespace_mode" sector
		agree
		untorn export --force --namespace "$name" "$image" now
		cmp exported now
	done
done
nd 1 check-namespace -f "$(device raw)"
agree
