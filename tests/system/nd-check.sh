#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check-namespace finds and mends what `untorn check` does, where the labels say that the volume is; read-infoblock and
# write-infoblock on namespaces and images; a copied namespace becomes one of its own.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz

fixture labels-v12.img
fixture labels-v11.img
v12=(--nvdimm mem-path=labels-v12.img)
v11=(--nvdimm mem-path=labels-v11.img)

untorn init-labels all --nvdimm mem-path=idle.img,size=64M,label-size=128K 2>log

# poke FILE OFFSET BYTES: printf's %b.
poke() {
	printf '%b' "$3" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

# --------------------------------------------------------------------- check

remember labels-v12.img labels-v11.img
run_status 0 untorn check-namespace all "${v12[@]}"
assert_equal "volumes" "$out" "namespace0.0: clean; 7921 sectors in 1 arena
namespace0.1: clean; 64716 sectors in 1 arena"
assert_equal "stderr" "$err" "checked 2 namespaces"
run_status 0 untorn check-namespace all "${v11[@]}"
assert_equal "volumes" "$out" "namespace0.0: clean; 7920 sectors in 1 arena
namespace0.1: clean; 64708 sectors in 1 arena"
run_status 0 untorn check-namespace all -r 1 "${v12[@]}"
assert_equal "stderr" "$err" "checked 0 namespaces"
run_status 4 untorn check-namespace gamma "${v12[@]}"
assert_match "raw" "$out" "error +- +no-btt"
run_status 8 untorn check-namespace 0.0 --nvdimm mem-path=idle.img
assert_match "idle" "$err" "namespace0.0: it is idle: it has no size"
run_status 8 untorn check-namespace 0.7 "${v12[@]}"
run_status 16 untorn check-namespace 0.0
run_status 16 untorn check-namespace "${v12[@]}"
assert_match "operand" "$err" "a namespace, or 'all', is missing; try 'untorn check-namespace --help'"
assert_unchanged

# A first info block that is damaged: found, planned, mended; in 2.0 at byte 0, in 1.1 at 4096 of the namespace.
poke labels-v12.img 100 '\x7f'
poke labels-v11.img 4196 '\x7f'
remember labels-v12.img labels-v11.img
run_status 4 untorn check-namespace all "${v12[@]}"
assert_match "finding" "$out" "info-checksum +.* at 0xff8"
assert_match "hint" "$out" "'untorn check-namespace --repair' can mend 1; --dry-run prints how"
run_status 4 untorn check-namespace all "${v11[@]}"
assert_match "finding" "$out" "info-checksum +.* at 0x1ff8"
run_status 4 untorn check-namespace all --dry-run -R "${v12[@]}"
assert_match "plan" "$out" "Plan:"
assert_unchanged
for platform in labels-v12.img labels-v11.img; do
	run_status 1 untorn check-namespace all -R --nvdimm mem-path=$platform
	run_status 0 untorn check-namespace all --nvdimm mem-path=$platform
	assert_json untorn list -m sector --nvdimm mem-path=$platform
	assert_jq '[.[].name] | join(" ")' "alpha beta"
done

# ------------------------------------------------------------------ info blocks

# Raw: the first 8 KiB; a file and standard input are read like a namespace.
run_status 0 untorn read-infoblock alpha -o span "${v12[@]}"
assert_equal "stderr" "$err" "read 1 infoblock"
cmp -n 8192 span labels-v12.img
assert_equal "bytes" "$(size_of span)" 8192
assert_json untorn read-infoblock -i span -j -V
assert_jq '.[0] | [.file, .version, .uuid] | join(" ")' "span 2.0 0bbece4e-8649-4093-ba54-c76411b3d95a"
assert_json untorn read-infoblock -u <span
assert_jq '.[0] | [.file, .dataoff] | join(" ")' "<stdin> 0x1000"
assert_json untorn read-infoblock all -j -V "${v11[@]}"
assert_jq '[.[] | .dev, .version] | join(" ")' "namespace0.0 1.1 namespace0.1 1.1"

assert_refused 1 "namespace0.2: it has no info block of a volume" untorn read-infoblock gamma -j "${v12[@]}"
assert_refused 1 "namespace0.0: its info block cannot be read: it has no size" untorn read-infoblock 0.0 --nvdimm mem-path=idle.img
assert_refused 1 "missing: No such file" untorn read-infoblock -i missing
assert_refused 1 "<stdin>: too short for an info block" untorn read-infoblock </dev/null
assert_refused 2 "--input and namespaces exclude each other" untorn read-infoblock -i span 0.0 "${v12[@]}"
poke span 200 '\x01'
assert_refused 1 "span: the checksum of its info block is wrong" untorn read-infoblock -i span -V

# ------------------------------------------------------------------ copies

# The bytes of alpha in a namespace of another DIMM: they name the other namespace, so it comes up raw, until they are told.
untorn create-namespace --nvdimm mem-path=copy.img,size=64M,label-size=128K -s 32M -n copy >log
dd if=labels-v12.img of=copy.img bs=1M count=32 conv=notrunc status=none
copy=(--nvdimm mem-path=copy.img)
assert_equal "mode of a copy" "$(untorn list "${copy[@]}" | jq -r '.[0].mode')" raw
assert_refused 1 "namespace0.0: its info block belongs to e445550b-6c58-48c6-b961-008b3da71eed; write-infoblock makes it this namespace's" \
	untorn read-infoblock copy -V "${copy[@]}"
run_status 4 untorn check-namespace copy "${copy[@]}"
assert_match "finding" "$out" "info-parent-uuid"

remember copy.img
run_status 0 untorn write-infoblock copy -c -u 01234567-89ab-4cde-8f01-23456789abcd "${copy[@]}"
assert_unchanged
untorn write-infoblock copy -c -u 01234567-89ab-4cde-8f01-23456789abcd "${copy[@]}" 2>log >span
assert_json untorn read-infoblock -i span -j -V
assert_jq '.[0].uuid' 01234567-89ab-4cde-8f01-23456789abcd

run_status 0 untorn write-infoblock copy -u 01234567-89ab-4cde-8f01-23456789abcd "${copy[@]}"
assert_equal "stderr" "$err" "wrote 1 infoblock"
assert_json untorn list "${copy[@]}" -v
assert_jq '.[0] | [.mode, .size, .uuid, .name] | join(" ")' "sector 32444416 01234567-89ab-4cde-8f01-23456789abcd copy"
run_status 0 untorn check-namespace copy "${copy[@]}"
cmp -i 4096 -n 33000000 copy.img labels-v12.img
run_status 0 untorn write-infoblock all "${copy[@]}"
[[ $(untorn list "${copy[@]}" | jq -r '.[0].uuid') != 01234567-89ab-4cde-8f01-23456789abcd ]] || fail "no new uuid"

# A plain image, and what has no volume.
fixture btt-labelless-4096.img
before=$(untorn export btt-labelless-4096.img - | md5)
run_status 0 untorn write-infoblock -o btt-labelless-4096.img -p 11111111-2222-3333-4444-555555555555
assert_json untorn info btt-labelless-4096.img --json
assert_jq '.[0].parent_uuid' 11111111-2222-3333-4444-555555555555
[[ $(jq -r '.[0].uuid' <<<"$out") != 79d78854-ea71-499e-a921-b8e0e755d453 ]] || fail "no new uuid"
assert_ok untorn check btt-labelless-4096.img
assert_equal "data" "$(untorn export btt-labelless-4096.img - | md5)" "$before"

# Several arenas get one uuid; a run that ended between them left a volume that does not open, and the next run finishes it.
assert_ok untorn format large.img --size 1026G
dd if=large.img of=first bs=4096 skip=1 count=1 status=none
backup=$(untorn info large.img --json | jq '.[0].arenas[0].info2_offset')
run_status 0 untorn write-infoblock -o large.img
assert_json untorn info large.img --json
assert_jq '.[0].arenas | length' 3
dd if=first of=large.img bs=4096 seek=1 conv=notrunc status=none
dd if=first of=large.img bs=4096 seek=$((backup / 4096)) conv=notrunc status=none
assert_refused 1 "the BTT is damaged" untorn info large.img
run_status 0 untorn write-infoblock -o large.img -u 01234567-89ab-4cde-8f01-23456789abcd
assert_json untorn info large.img --json
assert_jq '.[0].uuid' 01234567-89ab-4cde-8f01-23456789abcd

assert_refused 1 "namespace0.2: no BTT found" untorn write-infoblock gamma "${v12[@]}"
assert_refused 2 "--mode: 'fsdax' is not sector" untorn write-infoblock alpha -m fsdax "${v12[@]}"
assert_refused 2 "--uuid is for one namespace" untorn write-infoblock all -u 01234567-89ab-4cde-8f01-23456789abcd "${v12[@]}"
assert_refused 2 "--output and namespaces exclude each other" untorn write-infoblock alpha -o x "${v12[@]}"
assert_refused 1 "x: No such file" untorn write-infoblock -o x
