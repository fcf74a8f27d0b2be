#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Label areas as a whole: init, zero, read, write and check, in both versions, on one DIMM and several; and that namespaces are
# not lost without --force.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz python3

image=nv.img
on() {
	local status=$1 command=$2
	shift 2
	run_status "$status" untorn "$command" "$@" --nvdimm mem-path=$image,size=64M,label-size=128K
}

names() {
	untorn list --nvdimm mem-path=$image,label-size=128K -N 2>log | jq -r '[.[].name] | join(" ")'
}

# ------------------------------------------------------------------- init, check

for version in 1.1 1.2; do
	rm -f nv.img
	on 0 init-labels nmem0 -V v$version
	assert_equal "stderr" "$err" "initialized 1 nmem"
	on 0 check-labels 0
	slots=$([[ $version = 1.1 ]] && echo 1020 || echo 510)
	assert_equal "labels" "$out" "nmem0: labels of version $version, 0 namespaces, $slots of $slots slots free"
	assert_equal "stderr" "$err" "verified 1 nmem"
	on 1 init-labels nmem0
	assert_match "refusal" "$err" "nmem0: it has labels already, version $version, none in use; --force writes new ones"
	on 0 init-labels all -f -V $version
	on 0 create-namespace -s 32M -n alpha
	on 0 create-namespace -s 16M -m raw -n beta
	on 0 check-labels all
	assert_match "labels" "$out" "version $version, 2 namespaces, "

	# Labels in use: refused, and not touched.
	remember nv.img
	head -c 131072 /dev/zero >zeros
	for command in "init-labels nmem0" "zero-labels nmem0" "zero-labels nmem0 -s 256" "write-labels 0 -i zeros"; do
		# shellcheck disable=SC2086
		on 1 $command
		assert_match "$command" "$err" "nmem0: its labels are those of 2 namespaces, which would be lost; --force does it"
	done
	assert_unchanged

	# Out, gone, and in again.
	on 0 read-labels nmem0 -o labels.bin
	assert_equal "bytes of the label area" "$(size_of labels.bin)" 131072
	cmp labels.bin <(tail -c 131072 nv.img)
	on 0 zero-labels nmem0 -f
	cmp zeros <(tail -c 131072 nv.img)
	on 1 check-labels nmem0
	assert_match "no labels" "$out" "nmem0: error no-index: the area holds no labels"
	on 0 write-labels nmem0 -i labels.bin
	assert_equal "names" "$(names)" "alpha beta"
	on 0 check-namespace all
	on 0 init-labels nmem0 -f -V $version
	on 0 write-labels nmem0 <labels.bin
	assert_unchanged
done

# ----------------------------------------------------------------- bytes and ranges

run_status 0 untorn read-labels nmem0 -I --nvdimm mem-path=nv.img
assert_equal "bytes of the index blocks" "$(size_of "$tmp/.out")" 512
cmp -n 512 "$tmp/.out" labels.bin
run_status 0 untorn read-labels nmem0 -s 100 -O 0x10 --nvdimm mem-path=nv.img
cmp "$tmp/.out" <(dd if=labels.bin bs=1 skip=16 count=100 status=none)

on 1 read-labels nmem0 -O 131073
assert_match "range" "$err" "nmem0: its label area has 128 KiB; the range ends behind it$"
on 1 zero-labels nmem0 -f -s 128K -O 1
assert_match "range" "$err" "the range ends behind it"
on 1 read-labels nmem0 -s 1E -O 131072
assert_match "range" "$err" "the range ends behind it"
on 2 read-labels nmem0 -I -s 1
on 2 read-labels nmem0 -j -O 1

remember nv.img
cat labels.bin labels.bin >twice
on 1 write-labels nmem0 -f -i twice
assert_match "input" "$err" "twice: longer than the label area"
on 1 write-labels nmem0 -f -i missing
assert_match "input" "$err" "missing: No such file"
head -c 10 labels.bin >short
on 1 write-labels nmem0 -f -i short -s 11
assert_match "input" "$err" "short: shorter than --size"
on 2 write-labels nmem0 all -i labels.bin
on 2 init-labels nmem0 -V 1.3
assert_match "version" "$err" "--label-version: '1.3' is not 1.1 or 1.2"
for command in init-labels zero-labels read-labels check-labels; do
	on 1 $command nmem7
	assert_match "$command" "$err" "there is no DIMM 'nmem7'; 'untorn list -Di' shows what there is"
done
assert_unchanged

# A part of it, zeroed and put back.
on 0 zero-labels nmem0 -f -s 256
run_status 0 untorn check-labels nmem0 --nvdimm mem-path=nv.img,label-size=128K
assert_match "one index block is damaged" "$out" "nmem0: note index: one index block is damaged"
on 0 write-labels nmem0 -f -i labels.bin -s 256
assert_unchanged

# --------------------------------------------------------------------- what JSON says

on 0 destroy-namespace -f beta
on 0 read-labels nmem0 -j
assert_jq '[.[0].label[] | select(.state == "active").name] | join(" ")' alpha
assert_jq '[.[0].label[] | select(.state == "freed").name] | index("beta") != null' true
assert_jq '[.[0].index[].state] | sort | join(" ")' "current previous"
assert_jq '.[0].label[0] | keys_unsorted | join(" ")' \
	"uuid name slot position nlabel flags isetcookie lbasize dpa rawsize type_guid abstraction_guid state"

# A name of any bytes is still JSON, here and in lists; a label with a wrong checksum is shown as ignored.
python3 - <<'PYTHON'
import struct

def fletcher(data):
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & 0xFFFFFFFF
        high = (high + low) & 0xFFFFFFFF
    return high << 32 | low

with open("nv.img", "r+b") as f:
    base = f.seek(0, 2) - (128 << 10) + 512
    for slot in range(8):
        f.seek(base + slot * 256)
        label = bytearray(f.read(256))
        if label[16:21] == b"alpha":
            label[16:32] = b'\xff\xc3"\x01\\\n\xe2\x82\xac\xed\xa0\x80\xc0\xaf\xf5\xc3'
            label[248:256] = bytes(8)
            label[248:256] = struct.pack("<Q", fletcher(bytes(label)))
        f.seek(base + slot * 256)
        f.write(label)
PYTHON
on 0 read-labels nmem0 -j
python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$tmp/.out"
assert_jq '.[0].label[] | select(.state == "active").name' $'??"\x01\\\n€???????'
on 0 list
python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$tmp/.out"
assert_jq '.[0].name' $'??"\x01\\\n€???????'
slot=$(untorn read-labels 0 -j --nvdimm mem-path=nv.img 2>log | jq '.[0].label[] | select(.state == "active").slot')
printf x | dd of=nv.img bs=1 seek=$((64 * 1024 * 1024 - 131072 + 512 + slot * 256 + 200)) conv=notrunc status=none
on 0 read-labels nmem0 -j
assert_jq '.[0].label[] | select(.state == "ignored").fault' checksum
on 1 check-labels nmem0
assert_match "finding" "$out" "nmem0: error label-checksum: .*\(slot $slot, "

# Sizes for people, as ndctl printed them for the same labels.
cat >sizes <<'SIZES'
0 0
4096 4096
5119999 5119999
5120000 4.88 MiB (5.12 MB)
5242880 5.00 MiB (5.24 MB)
5248122 5.00 MiB (5.25 MB)
5248123 5.01 MiB (5.25 MB)
15683584 14.96 MiB (15.68 MB)
134086656 127.88 MiB (134.09 MB)
987654321 941.90 MiB (987.65 MB)
2147483647 2048.00 MiB (2147.48 MB)
2147483648 2.00 GiB (2.15 GB)
10737418240 10.00 GiB (10.74 GB)
1999999999999 1862.65 GiB (2000.00 GB)
2199023255551 2048.00 GiB (2199.02 GB)
2199023255552 2.00 TiB (2.20 TB)
5629499534213120 5120.00 TiB (5629.50 TB)
SIZES
python3 - <<'PYTHON'
import struct

# Freed v1.1 labels, one for each size: they are shown without being believed.
with open("sizes") as f:
    sizes = [int(line.split()[0]) for line in f]
with open("freed.img", "wb") as f:
    for slot, size in enumerate(sizes):
        f.write(struct.pack("<16s64sIHHQQQQII", b"u" * 16, b"n", 0, 1, 0, 0, 0, 0, size, slot, 0))
PYTHON
rm -f nv.img
on 0 init-labels nmem0 -V 1.1
on 0 write-labels nmem0 -i freed.img -O 512
on 0 read-labels nmem0 -u
assert_equal "sizes" "$(jq -r '.[0].label[].rawsize' <<<"$out")" "$(cut -d ' ' -f 2- sizes)"

# ------------------------------------------------------------------- several DIMMs

rm nv.img
truncate -s 64M a.img b.img plain.img
dimms=(--nvdimm mem-path=a.img,label-size=128K --nvdimm mem-path=plain.img --nvdimm mem-path=b.img,label-size=256K)
run_status 0 untorn init-labels all "${dimms[@]}" -V 1.2
assert_equal "stderr" "$err" "initialized 2 nmems"
run_status 0 untorn read-labels all "${dimms[@]}" -o both
assert_equal "bytes of both label areas" "$(size_of both)" $((384 << 10))
assert_json untorn read-labels all "${dimms[@]}" -u
assert_jq '[.[].dev] | join(" ")' "nmem0 nmem2"
run_status 1 untorn read-labels nmem0 nmem1 "${dimms[@]}" -j
assert_equal "stdout" "$out" ""
assert_match "no label area" "$err" "nmem1: it has no label area"
run_status 0 untorn check-labels all "${dimms[@]}"
assert_equal "stderr" "$err" "verified 2 nmems"
run_status 1 untorn init-labels all --nvdimm mem-path=plain.img
assert_match "no label area" "$err" "no DIMM of the platform has a label area"
