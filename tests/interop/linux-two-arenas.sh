#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A sparse volume of 513 GiB, so of two arenas: Linux reads at both ends what we wrote, and we what Linux wrote.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq stamp-file stamp-writer

arguments=(--copy "$(command -v stamp-file)" --maxmem 900G --disk "$tmp/acks")
truncate -s 4M "$tmp/acks"
arguments+=(--nvdimm "$tmp/large.img")
make_volume "$tmp/large.img" 513G --sector-size 512
assert_equal "arenas" "$(untorn info --json "$tmp/large.img" | jq '.[0].arenas | length')" 2
stamp=("$tmp/large.img" --acks "$tmp/acks" --span 4000)
stamp-writer write "${stamp[@]}" --threads 2 --batch 8 --requests 1000

cat >"$tmp/script" <<'GUEST'
disk=/dev/pmem$(region 0)s
[ -b $disk ] || fail "Linux does not see a BTT"
/host/stamp-file verify $disk --acks /dev/vda --span 4000 || fail "what we wrote"
/host/stamp-file write $disk --acks /dev/vda --span 4000 --round 2 --threads 2 --batch 8 --requests 200 || fail "writing"
echo "bytes: $(($(cat /sys/block/${disk#/dev/}/size) * 512))"
GUEST
guest "${arguments[@]}" -- "$tmp/script"
stamp-writer verify "${stamp[@]}" --round 2
assert_equal bytes "$(guest_said bytes)" "$(capacity "$tmp/large.img")"
