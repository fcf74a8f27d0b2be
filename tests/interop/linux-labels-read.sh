#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Namespaces that Linux made on three NVDIMMs, under v1.1 and v1.2 labels: created, destroyed, made larger by destroying and creating,
# renamed, with another sector size, of every sector size; on a fourth that has no label area; and a fifth with an empty one. We list
# the same devices, and read the same data; the BTT is 2.0 under v1.2 labels and else 1.1. Looking changes nothing.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq python3

truncate -s 128M "$tmp/nv0.img" "$tmp/nv1.img"
truncate -s 96M "$tmp/nv2.img"
truncate -s 32M "$tmp/nv3.img" "$tmp/nv4.img"
label_sizes=(128K 128K 256K 0 128K)

cat >"$tmp/script" <<'GUEST'
create() { # N WORD...
	r=region$(region "$1")
	shift
	try ndctl create-namespace -r "$r" "$@"
}
destroy() { # NAME
	try ndctl destroy-namespace -f "$(namespace "$1")"
}

# 112 MiB in units of 16; a BTT 1.1 does not fit into one of them.
label_dimm 0 1.1
create 0 -m sector -l 4096 -s 32M -n alpha
create 0 -m sector -l 512 -s 32M -n beta
create 0 -m raw -s 16M -n gamma
destroy beta
destroy gamma
create 0 -m raw -s 48M -n gamma
create 0 -m sector -l 528 -s 32M -n delta
try ndctl create-namespace -e "$(namespace alpha)" -f -m sector -l 520 -n alpha-renamed

label_dimm 1 1.2
for size in 4096 512 520 528 4104 4160; do
	create 1 -m sector -l $size -s 16M -n s$size
done
destroy s520
create 1 -m raw -s 16M -n raw
destroy s4096
create 1 -m sector -l 4224 -s 16M -n s4224
try ndctl create-namespace -e "$(namespace s512)" -f -m raw -n was-s512

label_dimm 2 1.1
create 2 -m raw -s 32M -n one
create 2 -m sector -s 32M -n two -u 01020304-0506-0708-090a-0b0c0d0e0f10
destroy one

try ndctl create-namespace -e namespace$(region 3).0 -f -m sector -l 528
scribble pmem$(region 3)s
echo "unlabelled: $(md5sum <"/dev/pmem$(region 3)s" | cut -d' ' -f1)"

for namespace in alpha-renamed gamma delta raw s528 s4104 s4160 s4224 was-s512 two; do
	scribble "$(disk $namespace)"
done
renumber
tell seen
GUEST
arguments=() platform=()
for n in 0 1 2 3 4; do
	size=$(numfmt --from=iec "${label_sizes[n]}")
	arguments+=(--nvdimm "$tmp/nv$n.img$([[ $size == 0 ]] || echo ":$size")")
	platform+=(--nvdimm "mem-path=$tmp/nv$n.img,label-size=${label_sizes[n]}")
done
guest "${arguments[@]}" -- "$tmp/script"

remember "$tmp"/nv?.img
list_devices "$tmp/ours" "${platform[@]}"
same_devices seen "$tmp/ours"
assert_equal "namespaces with data" "$(guest_said 'seen data' | wc -l)" 10
same_data seen "$tmp"/nv?.img
for pair in 0:alpha-renamed:1.1 0:delta:1.1 1:s528:2.0 1:s4104:2.0 1:s4160:2.0 1:s4224:2.0 2:two:1.1; do
	IFS=: read -r n name layout <<<"$pair"
	assert_equal "layout of $name" "$(untorn info --json "$tmp/nv$n.img" --namespace "$name" | jq -r '.[0].layout')" "$layout"
	try untorn check "$tmp/nv$n.img" --namespace "$name"
done
untorn export --force "$tmp/nv3.img" "$tmp/data"
assert_equal "data without labels" "$(md5 <"$tmp/data")" "$(guest_said unlabelled)"
labels_sound --nvdimm "mem-path=$tmp/nv0.img" --nvdimm "mem-path=$tmp/nv1.img" --nvdimm "mem-path=$tmp/nv2.img"
assert_unchanged
