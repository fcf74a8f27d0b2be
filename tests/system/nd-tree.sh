#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tree draws what there is: labelled namespaces, raw and in sector mode, interleaved, blk and volatile regions, idle seeds when asked
# for, and below each device what it was refused for. Box characters in UTF-8, ASCII elsewhere. It writes nothing.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz

export LC_ALL=C

# assert_tree WHAT ARGUMENT...: what is drawn is as on stdin, nothing is said beside it, and all that was remembered is as it was.
assert_tree() {
	local what=$1 expected
	shift
	expected=$(cat)
	assert_ok untorn tree "$@"
	assert_equal "notes beside $what" "$notes" ""
	diff -u <(echo "$expected") <(echo "$out") || fail "$what is drawn differently"
	assert_unchanged
}

# --------------------------------------------------------------- labels and none

fixture labels-v12.img
truncate -s 64M fresh.img
truncate -s 32M plain.img
dimms=(--nvdimm mem-path=labels-v12.img --nvdimm mem-path=fresh.img,label-size=128K --nvdimm mem-path=plain.img,unarmed=on)
remember labels-v12.img fresh.img plain.img

assert_tree "the platform in ASCII" "${dimms[@]}" <<'TREE'
ndbus0: nd_bus, ACPI.NFIT
|-- nmem0: nvdimm, 128 MiB, 506 label slots free
|-- nmem1: nvdimm, 64 MiB, 509 label slots free
|-- nmem2: nvdimm, 32 MiB, no label area, not armed
|-- region0: nd_region, pmem on nmem0, 127.9 MiB, 32 MiB free (largest extent 32 MiB)
|   |-- namespace0.0: held by btt0.1, sector, 32 MiB, sector size 4096, "alpha"
|   |-- namespace0.1: held by btt0.2, sector, 32 MiB, sector size 512, "beta"
|   |-- namespace0.2: nd_pmem, raw, 16 MiB, sector size 512, "gamma", disk pmem0.2
|   |-- btt0.1: nd_pmem, on namespace0.0, 30.9 MiB, sector size 4096, uuid 0bbece4e-8649-4093-ba54-c76411b3d95a, disk pmem0s
|   `-- btt0.2: nd_pmem, on namespace0.1, 31.6 MiB, sector size 512, uuid 76ed4402-c6ae-4438-b8f0-bb1a02da2cdb, disk pmem0.1s
|-- region1: nd_region, pmem on nmem1, 63.9 MiB
|   `-- namespace1.0: nd_pmem, raw, 63.9 MiB, sector size 512, disk pmem1
`-- region2: nd_region, pmem on nmem2, 32 MiB
    `-- namespace2.0: nd_pmem, raw, 32 MiB, sector size 512, disk pmem2
TREE
cp .out ascii

# A locale that does not exist is none of UTF-8.
LC_ALL=xx_XX.UTF-8 untorn tree "${dimms[@]}" | diff -u ascii -

LC_ALL=C.UTF-8 assert_tree "the platform in UTF-8" --idle "${dimms[@]:0:4}" <<'TREE'
ndbus0: nd_bus, ACPI.NFIT
├── nmem0: nvdimm, 128 MiB, 506 label slots free
├── nmem1: nvdimm, 64 MiB, 509 label slots free
├── region0: nd_region, pmem on nmem0, 127.9 MiB, 32 MiB free (largest extent 32 MiB)
│   ├── namespace0.0: held by btt0.1, sector, 32 MiB, sector size 4096, "alpha"
│   ├── namespace0.1: held by btt0.2, sector, 32 MiB, sector size 512, "beta"
│   ├── namespace0.2: nd_pmem, raw, 16 MiB, sector size 512, "gamma", disk pmem0.2
│   ├── namespace0.3: idle seed
│   ├── btt0.0: idle seed
│   ├── btt0.1: nd_pmem, on namespace0.0, 30.9 MiB, sector size 4096, uuid 0bbece4e-8649-4093-ba54-c76411b3d95a, disk pmem0s
│   └── btt0.2: nd_pmem, on namespace0.1, 31.6 MiB, sector size 512, uuid 76ed4402-c6ae-4438-b8f0-bb1a02da2cdb, disk pmem0.1s
└── region1: nd_region, pmem on nmem1, 63.9 MiB
    ├── namespace1.0: nd_pmem, raw, 63.9 MiB, sector size 512, disk pmem1
    └── btt1.0: idle seed
TREE

# ------------------------------------------------------------------ interleaved

cp "$source_dir/examples/platform.json" .
truncate -s 257M nv0.img nv1.img
truncate -s 256M nv2.img
create() {
	run_status 0 untorn create-namespace --platform platform.json "$@"
}
create -r region0 -s 64M -n alpha
btt=$(jq -r '.[0].uuid' <<<"$out")
# A hole is left, so that the largest extent is not all that is free.
create -r region0 -m raw -s 32M
create -r region0 -m raw -s 32M -u 01234567-89ab-4cde-8f01-23456789abcd
run_status 0 untorn destroy-namespace --platform platform.json -f namespace0.1
# Others' text: a character of UTF-8, an escape that a terminal must not see, half a character.
create -r region0 -m raw -s 16M -n $'\xc3\xa4\e[1m\xe2\x94'
create -r region1 -m raw -s 32M -n window
remember nv0.img nv1.img nv2.img platform.json

interleaved() {
	cat <<TREE
ndbus0: nd_bus, ACPI.NFIT
|-- nmem0: nvdimm, 257 MiB, 4085 label slots free
|-- nmem1: nvdimm, 257 MiB, 4086 label slots free
|-- nmem2: nvdimm, 256 MiB, no label area
|-- region0: nd_region, pmem on nmem0 + nmem1, 384 MiB, 272 MiB free (largest extent 256 MiB)
|   |-- namespace0.0: held by btt0.1, sector, 64 MiB, sector size 4096, "alpha"
|   |-- namespace0.1: nd_pmem, raw, 16 MiB, sector size 512, "$1", disk pmem0.1
|   |-- namespace0.2: nd_pmem, raw, 32 MiB, sector size 512, uuid 01234567-89ab-4cde-8f01-23456789abcd, disk pmem0.2
|   \`-- btt0.1: nd_pmem, on namespace0.0, 62.9 MiB, sector size 4096, uuid $btt, disk pmem0s
|-- region1: nd_region, blk on nmem0, 256 MiB, 160 MiB free (largest extent 160 MiB)
|   \`-- namespace1.0: nd_blk, raw, 32 MiB, sector size 512, "window", disk ndblk1.0
|-- region2: nd_region, pmem on nmem2, 256 MiB
|   \`-- namespace2.0: nd_pmem, raw, 256 MiB, sector size 512, disk pmem2
\`-- region3: nd_region, volatile, 64 MiB
    \`-- namespace3.0: nd_pmem, raw, 64 MiB, sector size 512, disk pmem3
TREE
}
in_boxes() {
	sed 's/|-- /├── /; s/`-- /└── /; s/^|   /│   /'
}
interleaved '???[1m??' | assert_tree "an interleaved platform in ASCII" --platform platform.json
interleaved 'ä?[1m??' | in_boxes | LC_ALL=C.UTF-8 assert_tree "an interleaved platform in UTF-8" --platform platform.json

# --------------------------------------------------------------------- problems

# A locked dimm takes its region down; the others are there.
jq '.dimms[1].locked = true | .provider = "a\tb"' platform.json >locked.json
assert_tree "a platform with a locked dimm" --platform locked.json <<'TREE'
ndbus0: nd_bus, a?b
|-- nmem0: nvdimm, 257 MiB, 4085 label slots free
|-- nmem1: disabled, 257 MiB, locked
|       problem: the dimm is locked: its labels cannot be read
|-- nmem2: nvdimm, 256 MiB, no label area
|-- region0: disabled, pmem on nmem0 + nmem1, 384 MiB
|       problem: nmem1 is disabled: the dimm is locked: its labels cannot be read
|-- region1: nd_region, blk on nmem0, 256 MiB, 160 MiB free (largest extent 160 MiB)
|   `-- namespace1.0: nd_blk, raw, 32 MiB, sector size 512, "window", disk ndblk1.0
|-- region2: nd_region, pmem on nmem2, 256 MiB
|   `-- namespace2.0: nd_pmem, raw, 256 MiB, sector size 512, disk pmem2
`-- region3: nd_region, volatile, 64 MiB
    `-- namespace3.0: nd_pmem, raw, 64 MiB, sector size 512, disk pmem3
TREE

# A label that is ignored, and an info block with a wrong checksum.
label() {
	echo $((128 * 1024 * 1024 - 131072 + 512 + $1 * 256))
}
dd if=labels-v12.img of=labels-v12.img bs=256 count=1 skip=$(($(label 1) / 256)) seek=$(($(label 2) / 256)) conv=notrunc \
	status=none
run_status 0 untorn format damaged.img --size 32M
printf '\377' | dd of=damaged.img bs=1 seek=$((4096 + 100)) conv=notrunc status=none
remember labels-v12.img damaged.img
LC_ALL=C.UTF-8 assert_tree "a damaged platform" --nvdimm mem-path=labels-v12.img --nvdimm mem-path=damaged.img <<'TREE'
ndbus0: nd_bus, ACPI.NFIT
├── nmem0: nvdimm, 128 MiB, 506 label slots free
├── nmem1: nvdimm, 32 MiB, no label area
├── region0: nd_region, pmem on nmem0, 127.9 MiB, 64 MiB free (largest extent 32 MiB)
│   │   problem: nmem0, slot 2: a label in use says another slot and is ignored (slot is 0x1, expected 0x2)
│   ├── namespace0.0: held by btt0.1, sector, 32 MiB, sector size 4096, "alpha"
│   ├── namespace0.1: nd_pmem, raw, 16 MiB, sector size 512, "gamma", disk pmem0.1
│   └── btt0.1: nd_pmem, on namespace0.0, 30.9 MiB, sector size 4096, uuid 0bbece4e-8649-4093-ba54-c76411b3d95a, disk pmem0s
└── region1: nd_region, pmem on nmem1, 32 MiB
    └── namespace1.0: nd_pmem, raw, 32 MiB, sector size 512, disk pmem1
            problem: the BTT on namespace1.0 is damaged (checksum of the info block); nothing was changed; untorn check-namespace --repair namespace1.0 may mend it
TREE

# ---------------------------------------------------------------------- readers

# It shares files with other readers. The one here writes into a pipe that nobody empties.
run_status 0 untorn format shared.img --size 32M
head -c 1M /dev/urandom | untorn import shared.img -
mkfifo slow
untorn export shared.img slow &
pid=$!
cleanup "kill $pid 2>/dev/null"
exec 4<slow
read -r -N 1 -u 4 _ || :
btt=$(untorn info shared.img --json | jq -r '.[0].uuid')
remember shared.img
assert_tree "a file with a reader" --nvdimm mem-path=shared.img <<TREE
ndbus0: nd_bus, ACPI.NFIT
|-- nmem0: nvdimm, 32 MiB, no label area
\`-- region0: nd_region, pmem on nmem0, 32 MiB
    |-- namespace0.0: held by btt0.1, sector, 32 MiB
    \`-- btt0.1: nd_pmem, on namespace0.0, 30.9 MiB, sector size 4096, uuid $btt, disk pmem0s
TREE
cat <&4 >rest
exec 4<&-
wait $pid

# ------------------------------------------------------------- one argument for all

# An image of one NVDIMM, or a platform file, told from each other by what is in them.
cp --sparse=always labels-v12.img a,b.img
remember a,b.img
untorn tree "${dimms[@]:0:2}" >expected
untorn tree a,b.img | diff -u expected -
printf '\n\t {"dimms": [{"mem-path": "a,b.img"}], "regions": [{"type": "pmem", "mappings": [{"dimm": 0}]}]}' >platform.json
untorn tree platform.json | diff -u expected -
assert_unchanged

# --------------------------------------------------------------------- refusals

assert_refused 1 "nothing: No such file" untorn tree nothing
assert_refused 2 "the platform is given twice: 'a,b.img', and by an option" untorn tree a,b.img "${dimms[@]}"

assert_refused 2 "the platform is missing: --nvdimm or --platform describes it; try" untorn tree
assert_refused 2 "--json is not an option; try" untorn tree --json --nvdimm mem-path=labels-v12.img
assert_refused 1 "missing.img: .*no such file" untorn tree --nvdimm mem-path=missing.img,size=64M
assert_missing missing.img
