#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Sectors of 8192 to 65536 bytes are our extension. Linux must refuse such a volume and leave it as it is; a volume of
# 4096-byte sectors beside them shows that the refusal is not the guest's.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq

sizes=(8192 16384 32768 65536)
arguments=()
for size in "${sizes[@]}" 4096; do
	volume=$tmp/$size.img
	make_volume "$volume" 17M --sector-size "$size"
	random_data "$(capacity "$volume")" "$tmp/data-$size"
	untorn import "$volume" "$tmp/data-$size"
	cp "$volume" "$tmp/$size.before"
	arguments+=(--nvdimm "$volume")
done

cat >"$tmp/script" <<'GUEST'
n=0
for size; do
	r=$(region $n)
	[ ! -e /dev/pmem${r}s ] || fail "Linux accepts sectors of $size bytes"
	[ -b /dev/pmem$r ] || fail "$size: the namespace is not even raw"
	ndctl list -r region$r -N | grep -q '"mode":"raw"' || fail "$size: $(ndctl list -r region$r -N)"
	n=$((n + 1))
done
[ -b /dev/pmem$(region $n)s ] || fail "Linux does not see a BTT of 4096 either"
echo "refused: all"
GUEST
guest "${arguments[@]}" -- "$tmp/script" "${sizes[@]}"
assert_equal "Linux refuses" "$(guest_said refused)" all

for size in "${sizes[@]}"; do
	cmp "$tmp/$size.before" "$tmp/$size.img" || fail "Linux changed a volume that it refuses"
	consistent "$tmp/$size.img" >/dev/null
	untorn export --force "$tmp/$size.img" "$tmp/data"
	cmp "$tmp/data" "$tmp/data-$size" || fail "$size: we do not read what we wrote"
done
