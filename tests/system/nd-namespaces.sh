#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# create-namespace and destroy-namespace over many runs, each of which finds what the one before left: round trips of all modes
# and sizes, first labels, reconfiguring, and that a command which fails leaves everything as it was.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz python3 mke2fs
export PATH=$PATH:/sbin:/usr/sbin

dimm=mem-path=nv0.img,size=128M,label-size=128K

# on STATUS COMMAND...: run it on the platform.
on() {
	local status=$1 command=$2
	shift 2
	run_status "$status" untorn "$command" --nvdimm "$dimm" "$@"
}

# listed: one line for each namespace that has a size.
listed() {
	untorn list --nvdimm "$dimm" -Nv 2>log | jq -r '.[] | [.dev, .mode, .size, .sector_size, .name] | map(. // "-" | tostring) | join(" ")'
}

# refused REGEX COMMAND...: status 1, a sentence, and the namespaces are those of before.
refused() {
	local regex=$1
	shift
	listed >before
	on 1 "$@"
	assert_equal "stdout of $*" "$out" ""
	assert_match "stderr of $*" "$err" "^untorn: .*$regex"
	assert_equal "namespaces after $*" "$(listed)" "$(<before)"
}

# ------------------------------------------------------------------ create, list, destroy

# A reading command makes no file, and none is left by one that fails; a writing one does, and labels it first.
assert_refused 1 "nv0.img: there is no such file" untorn list --nvdimm "$dimm"
assert_missing nv0.img
assert_refused 1 "more than its largest free extent" untorn create-namespace --nvdimm "$dimm" -s 1G
assert_missing nv0.img
assert_refused 1 "there is no DIMM" untorn init-labels nmem7 --nvdimm "$dimm"
assert_missing nv0.img
on 0 create-namespace -r region0 -m sector -l 4096 -s 32M -n alpha
assert_jq length 1
assert_jq '.[0] | keys_unsorted | join(" ")' "dev mode size uuid sector_size blockdev name"
assert_jq '.[0] | [.dev, .mode, .size, .sector_size, .blockdev, .name] | join(" ")' \
	"namespace0.0 sector 32444416 4096 pmem0s alpha"
uuid=$(jq -r '.[0].uuid' <<<"$out")
assert_equal "uuid as listed" "$(untorn list --nvdimm "$dimm" | jq -r '.[0].uuid')" "$uuid"
assert_equal "version of the labels" "$(untorn read-labels nmem0 -j --nvdimm "$dimm" 2>log | jq '.[0].index[0].minor')" 2

on 0 create-namespace -m raw -s 16M -n beta -u 01234567-89ab-4cde-8f01-23456789abcd
assert_jq '.[0] | [.dev, .mode, .size, .sector_size, .blockdev, .uuid] | join(" ")' \
	"namespace0.1 raw 16777216 512 pmem0.1 01234567-89ab-4cde-8f01-23456789abcd"
on 0 create-namespace -s 0x2000000 -l 520
on 0 create-namespace -m raw -s 16MiB -l 4096 --human
assert_jq '.[0] | [.size, .sector_size] | join(" ")' "16.00 MiB (16.78 MB) 4096"
on 0 create-namespace
assert_equal "all namespaces" "$(listed)" "namespace0.0 sector 32444416 4096 alpha
namespace0.1 raw 16777216 512 beta
namespace0.2 sector 29464064 520 -
namespace0.3 raw 16777216 4096 -
namespace0.4 sector 15683584 4096 -"
refused "region0: no space is free$" create-namespace
refused "region0: no space is free" create-namespace -c

# By number, by the name in the label, by uuid; not without --force while active.
refused "namespace0.1: it is active; --force disables and destroys it" destroy-namespace namespace0.1
assert_match "count" "$err" "destroyed 0 namespaces$"
on 0 destroy-namespace -f 0.3
assert_equal "stderr" "$err" "destroyed 1 namespace"
on 0 destroy-namespace -f beta "$uuid"
assert_equal "stderr" "$err" "destroyed 2 namespaces"
assert_equal "what is left" "$(listed | cut -d ' ' -f 3)" $'29464064\n15683584'
refused "there is no namespace 'beta'; 'untorn list -Ni' shows" destroy-namespace -f beta
on 0 destroy-namespace all -f
assert_equal "stderr" "$err" "destroyed 2 namespaces"
assert_equal "nothing is left" "$(listed)" ""
assert_json untorn list --nvdimm "$dimm" -R
assert_jq '.[0].available_size' 117440512
on 0 destroy-namespace all -f
assert_equal "stderr" "$err" "destroyed 0 namespaces"

# Greedily.
on 0 create-namespace -c -s 32M -m raw
assert_jq length 3
assert_match "count" "$err" "created 3 namespaces$"
on 0 destroy-namespace all -f

# Two labels of one name.
on 0 create-namespace -s 16M -n twin
on 0 create-namespace -s 16M -n twin
refused "'twin' is the name of several namespaces; use namespaceX.Y or a uuid" destroy-namespace -f twin
on 0 destroy-namespace all -f

# -------------------------------------------------------- nothing old comes back

# With the same uuid in the same place, a destroyed volume stays destroyed: to Linux's rules, and to a repair.
parent=(-u 01234567-89ab-4cde-8f01-23456789abcd)
for forced in "" -f; do
	on 0 create-namespace -s 32M "${parent[@]}"
	on 0 destroy-namespace namespace0.0 -f
	on 0 create-namespace -s 32M -m raw "${parent[@]}"
	assert_equal "mode of what follows a volume" "$(listed | cut -d ' ' -f 2)" raw
	# shellcheck disable=SC2086
	on 4 check-namespace namespace0.0 -R $forced
	assert_equal "mode after a repair" "$(listed | cut -d ' ' -f 2)" raw
	on 0 destroy-namespace namespace0.0 -f
done

# ------------------------------------------------------------------ reconfigure

on 0 create-namespace -s 32M -n alpha -l 512
refused "namespace0.0: it is active; --force disables it first, and its data is lost" create-namespace -e alpha
old=$(untorn list --nvdimm "$dimm" -v | jq -r '.[0].raw_uuid')
on 0 create-namespace -e alpha -f
assert_jq '.[0] | [.dev, .mode, .size, .sector_size, .name] | join(" ")' "namespace0.0 sector 33134592 512 alpha"
[[ $(untorn list --nvdimm "$dimm" -v | jq -r '.[0].raw_uuid') != "$old" ]] || fail "the uuid stayed"
on 0 create-namespace -e alpha -f -m raw -n omega
assert_jq '.[0] | [.dev, .mode, .size, .name] | join(" ")' "namespace0.0 raw 33554432 omega"
on 0 create-namespace -e 0.0 -f -m sector -s 48M -l 4104
assert_jq '.[0] | [.dev, .mode, .sector_size, .name] | join(" ")' "namespace0.0 sector 4104 omega"
refused "region0: 33 MiB is not a multiple of its alignment, 16 MiB$" create-namespace -e 0.0 -f -s 33M
refused "region0: sector mode does not have sectors of 1000 bytes$" create-namespace -e 0.0 -f -l 1000
refused "it is idle: it has no size" create-namespace -e 0.1 -f
refused "there is no namespace '7.7'" create-namespace -e 7.7 -f
refused "it is in no region such as that" create-namespace -e 0.0 -f -r 5

# -------------------------------------------------------------------- refusals

refused "region0: 96 MiB is more than its largest free extent, 64 MiB$" create-namespace -s 96M
refused "region0: 17 MiB is not a multiple of its alignment, 16 MiB$" create-namespace -s 17M
refused "region0: a raw namespace of it cannot have sectors of 520 bytes$" create-namespace -m raw -l 520
refused "there is no region such as that" create-namespace -r 9
refused "there is no region such as that" create-namespace -t blk
refused "another namespace or btt has the uuid" create-namespace -s 16M -u "$(untorn list --nvdimm "$dimm" -v | jq -r '.[0].raw_uuid')"
remember nv0.img
# misused REGEX OPTION...
misused() {
	assert_refused 2 "$1" untorn create-namespace --nvdimm "$dimm" "${@:2}"
}
name=$(printf 'n%.0s' {1..63})
misused "--mode: 'fsdax' is not raw or sector \(fsdax and devdax are not offered\); try" -m fsdax
misused "--size: '0' is not a size" -s 0
misused "--size: '1.5G' is not a size" -s 1.5G
misused "--uuid: 'zzz' is not a uuid" -u zzz
misused "--name: '${name}n' is not a name of 1 to 63 bytes" -n "${name}n"
misused "--align is for fsdax and devdax" -a 2M
misused "--continue and --reconfig exclude each other" -c -e 0.0
misused "'more' is one argument too many" more
assert_unchanged
on 0 create-namespace -s 16M -n "$name"
assert_jq '.[0].name' "$name"

# ------------------------------------------------------------- version 1.1, and 16 MiB

dimm=mem-path=nv11.img,size=64M,label-size=128K
on 0 init-labels nmem0
on 1 create-namespace -s 16M
assert_match "16 MiB in version 1.1" "$err" "16 MiB is too small for sector mode here; it takes at least 16388 KiB$"
on 0 create-namespace -s 32M
assert_equal "version of the volume" "$(untorn read-infoblock 0.0 -j --nvdimm "$dimm" 2>log | jq -r '.[0].version')" 1.1

# ------------------------------------------------------- a full label area: undone

# The smallest label area has few slots; the last one is kept for updates.
dimm=mem-path=small.img,size=256M,label-size=128K
on 0 init-labels nmem0 -V 1.2
python3 - <<'PYTHON'
# All slots in use but two: labels that belong to no region here, with right checksums.
import struct

def fletcher(data):
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & 0xFFFFFFFF
        high = (high + low) & 0xFFFFFFFF
    return high << 32 | low

with open("small.img", "r+b") as f:
    base = f.seek(0, 2) - (128 << 10)
    for block in (0, 1):
        f.seek(base + block * 256)
        index = bytearray(f.read(256))
        index[72:72 + 64] = bytes([3]) + bytes(63)  # slots 0 and 1 are free
        index[64:72] = bytes(8)
        index[64:72] = struct.pack("<Q", fletcher(bytes(index)))
        f.seek(base + block * 256)
        f.write(index)
PYTHON
on 0 create-namespace -s 16M -n first
refused "namespace0.1: its labels find no free slot on nmem0" create-namespace -s 16M -n second
assert_equal "what a full label area holds" "$(listed)" "namespace0.0 sector 15683584 4096 first"

# ---------------------------------------------------------- first labels are careful

dimm=mem-path=nv0.img,label-size=128K
rm nv0.img
truncate -s 64M nv0.img
mke2fs -qF -t ext4 nv0.img 60M
remember nv0.img
refused "region0: namespace0.0 without labels holds data \(ext4\); --force writes labels over it$" create-namespace -s 32M
assert_unchanged
on 0 create-namespace -s 32M -f
assert_equal "what is there now" "$(listed | cut -d ' ' -f 2)" sector

# Labels that a failed command wrote are taken back, to the byte.
rm nv0.img
truncate -s 64M nv0.img
printf 'old' | dd of=nv0.img bs=1 seek=$((64 * 1024 * 1024 - 1024)) conv=notrunc status=none
remember nv0.img
for options in "-s 512M" "-s 33M" "-l 1000" "-m raw -l 520"; do
	# shellcheck disable=SC2086
	refused "region0: " create-namespace $options
	assert_unchanged
done
refused "it has no labels, so its namespace is all of it; leave out --size$" create-namespace -s 32M --no-autolabel
assert_unchanged
on 1 create-namespace -s 33M --no-autorecover
assert_json untorn list --nvdimm "$dimm" -R
assert_jq '.[0].available_size' 50331648

# --------------------------------------------------------------- without label areas

truncate -s 64M plain.img
dimm=mem-path=plain.img
on 1 create-namespace
assert_match "the one namespace is active" "$err" \
	"region0: it has no labels, and its one namespace is active; -e namespace0.0 -f reconfigures it$"
refused "leave out --size" create-namespace -s 32M
refused "no place for a name" create-namespace -n alpha
refused "without labels it can have no name" create-namespace -e 0.0 -f -n alpha
refused "without labels it can have no other size" create-namespace -e 0.0 -f -s 32M
on 0 create-namespace -e namespace0.0 -f -m sector -l 512
assert_jq '.[0] | [.dev, .mode, .sector_size] | join(" ")' "namespace0.0 sector 512"
assert_equal "listed" "$(listed | cut -d ' ' -f 1,2,4)" "namespace0.0 sector 512"
on 0 create-namespace -e namespace0.0 -f
assert_equal "listed" "$(listed | cut -d ' ' -f 1,2,4)" "namespace0.0 sector 512"
assert_ok untorn check plain.img
on 0 destroy-namespace -f namespace0.0
assert_equal "what is never gone" "$(listed)" "namespace0.0 raw 67108864 512 -"
on 0 create-namespace -e namespace0.0 -f -m raw
assert_equal "listed" "$(listed)" "namespace0.0 raw 67108864 512 -"

# ----------------------------------------------------------- interleaved, blk, volatile

cat >machine.json <<'JSON'
{"dimms": [{"mem-path": "a.img", "size": "128M", "label-size": "128K"},
	{"mem-path": "b.img", "size": "128M", "label-size": "128K"},
	{"mem-path": "c.img", "size": "128M", "label-size": "128K"}],
 "regions": [{"type": "pmem", "mappings": [{"dimm": 0}, {"dimm": 1}]},
	{"type": "blk", "mappings": [{"dimm": 2}]},
	{"type": "volatile", "size": "64M"}]}
JSON
machine() {
	run_status "$1" untorn "$2" --platform machine.json "${@:3}"
}
machine 0 create-namespace -s 64M -n across
machine 0 create-namespace -t blk -s 32M -l 528 -n windows
machine 0 create-namespace -e namespace2.0 -f -m sector # gone with the process
machine 0 list
assert_jq '[.[] | .dev, .mode, .size, .sector_size, .blockdev, .name // "-"] | map(tostring) | join(" ")' \
	"namespace0.0 sector 65966080 4096 pmem0s across namespace1.0 sector 29464064 528 ndblk1.0s windows namespace2.0 raw 67108864 512 pmem2 -"
machine 0 check-labels all
assert_equal "namespaces of each DIMM" "$(grep -o ', [0-9] namespace' <<<"$out" | paste -sd ' ')" ", 1 namespace , 1 namespace , 1 namespace"
machine 0 check-namespace all
assert_equal "stderr" "$err" "checked 2 namespaces"
machine 1 create-namespace -r region0 -s 40M
assert_match "alignment" "$err" "region0: 40 MiB is not a multiple of its alignment, 16 MiB$"
machine 1 create-namespace -s 1G
assert_match "no region" "$err" "no region has room for it; region0: 1 GiB is more than its largest free extent, 176 MiB$"
machine 1 create-namespace -s 1G -v
assert_equal "reasons" "$(wc -l <<<"$notes")" 3
machine 0 destroy-namespace all -f -r region0
machine 0 list -N -r 0
assert_jq length 0

# ------------------------------------------------------------------- a file in use

on 0 create-namespace -e namespace0.0 -f -m sector
mkfifo pipe
untorn import plain.img pipe &
pid=$!
cleanup "kill $pid 2>/dev/null"
exec 3>pipe
head -c 8M /dev/zero >&3 # more than a pipe holds: the import has the file
for command in "create-namespace -e 0.0 -f" "destroy-namespace -f 0.0" "list -N" "disable-namespace all"; do
	# shellcheck disable=SC2086
	assert_refused 1 "plain.img: .*in use by process $pid" untorn $command --nvdimm "$dimm"
done
exec 3>&-
wait $pid
