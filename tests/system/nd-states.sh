#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Enabling and disabling namespaces and regions: what it tells, and that nothing durable comes of it. A damaged DIMM is named,
# and the rest of the platform works.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz

fixture labels-v12.img
truncate -s 32M plain.img
dimms=(--nvdimm mem-path=labels-v12.img --nvdimm mem-path=plain.img)
untorn list "${dimms[@]}" -BDRNiv >before

# done STDERR COMMAND...
done_with() {
	run_status 0 untorn "${@:2}" "${dimms[@]}"
	assert_equal "stdout of ${*:2}" "$out" ""
	assert_equal "stderr of ${*:2}" "$err" "$1"
}

remember labels-v12.img plain.img
done_with "enabled 4 namespaces" enable-namespace all
done_with "disabled 4 namespaces" disable-namespace all
done_with "disabled 3 namespaces" disable-namespace all -r region0
done_with "disabled 1 namespace" disable-namespace namespace0.1
done_with "disabled 1 namespace" disable-namespace 1.0
done_with "disabled 2 namespaces" disable-namespace alpha dff5c49e-a602-4023-b603-916cac45e550
done_with "disabled 1 namespace" disable-namespace 0bbece4e-8649-4093-ba54-c76411b3d95a
done_with "enabled 1 namespace" enable-namespace beta
done_with "disabled 2 regions" disable-region all
done_with "disabled 0 regions" disable-region all -t blk
done_with "disabled 1 region" disable-region 1
done_with "enabled 2 regions" enable-region region0 region1
assert_unchanged
assert_equal "everything is as it was" "$(untorn list "${dimms[@]}" -BDRNiv)" "$(<before)"

# What is not there, or has no size; the others are done all the same.
run_status 1 untorn disable-namespace namespace0.9 "${dimms[@]}"
assert_equal "stderr" "$err" "untorn: there is no namespace 'namespace0.9'; 'untorn list -Ni' shows what there is"
run_status 1 untorn enable-region region5 "${dimms[@]}"
assert_equal "stderr" "$err" "untorn: there is no region 'region5'; 'untorn list -Ri' shows what there is"
run_status 1 untorn enable-namespace 0.3 0.0 "${dimms[@]}"
assert_equal "stderr" "$err" "untorn: namespace0.3: it is idle: it has no size
enabled 1 namespace"
assert_unchanged

# ------------------------------------------------------------ what a boot finishes

# An interrupted write is finished by enabling, not by listing.
untorn format cut.img --size 32M
untorn info cut.img --json | jq -r '.[0].arenas[0] | .map_offset, .flog_offset' >offsets
{ read -r map && read -r flog; } <offsets
# Lane 0: lba 0 went from block 0 to the lane's free block, and the map entry is not written yet.
free=$(od -An -tu4 -j $((flog + 4)) -N 4 cut.img | tr -d ' ')
printf '\x00\x00\x00\x00\x00\x00\x00\x00%b\x02\x00\x00\x00' \
	"$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((free & 255)) $((free >> 8 & 255)) $((free >> 16 & 255)) $((free >> 24)))" |
	dd of=cut.img bs=1 seek=$((flog + 16)) conv=notrunc status=none
entry() {
	od -An -tx4 -j "$map" -N 4 cut.img | tr -d ' '
}
assert_equal "map entry before" "$(entry)" 00000000
untorn list --nvdimm mem-path=cut.img >log
assert_equal "map entry after a list" "$(entry)" 00000000
run_status 0 untorn check-namespace all --nvdimm mem-path=cut.img
assert_match "check sees it" "$out" "flog-pending"
assert_equal "map entry after a check" "$(entry)" 00000000
run_status 0 untorn enable-namespace all --nvdimm mem-path=cut.img
assert_equal "map entry after enabling" "$(entry)" "$(printf '%08x' $((0xc0000000 | free)))"

# ---------------------------------------------------------- a DIMM that is not armed

unarmed=(--nvdimm mem-path=labels-v12.img,unarmed=on)
remember labels-v12.img
assert_json untorn list -D "${unarmed[@]}"
assert_jq '.[0].flag_failed_arm' true
for command in "destroy-namespace alpha -f" "create-namespace -e alpha -f" "write-infoblock alpha"; do
	# shellcheck disable=SC2086
	run_status 1 untorn $command "${unarmed[@]}"
	assert_match "$command" "$err" "^untorn: namespace0.0: its region, region0, can only be read"
done
assert_refused 1 "region0: it can only be read$" untorn create-namespace "${unarmed[@]}"
run_status 8 untorn check-namespace alpha -R "${unarmed[@]}"
assert_match "repair" "$err" "its region, region0, can only be read"
run_status 0 untorn check-namespace all "${unarmed[@]}"
assert_unchanged

# ---------------------------------------------------------------- a damaged DIMM

# Two labels that claim the same range: the DIMM is refused and says why; the other one is there.
fixture labels-v12.img
label() {
	echo $((128 * 1024 * 1024 - 131072 + 512 + $1 * 256))
}
dd if=labels-v12.img of=labels-v12.img bs=256 count=1 skip=$(($(label 1) / 256)) seek=$(($(label 2) / 256)) conv=notrunc \
	status=none
run_status 0 untorn list "${dimms[@]}"
assert_match "note" "$notes" "^untorn: note: (nmem0|region0): .*label"
assert_match "the other one" "$out" '"dev":"namespace1.0"'
run_status 1 untorn check-labels nmem0 --nvdimm mem-path=labels-v12.img
assert_match "finding" "$out" "nmem0: error label-slot: a label in use says another slot and is ignored \(slot 2, "
