#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Sectors that we discard among sectors with data: Linux reads both, through its page cache and around it, as we do.
#
# A trap: Linux's BTT driver (seen in 6.1) ends a request's page at the first sector whose map entry is in zero state, and calls
# that success. Sectors below 4096 bytes that share a page with it then read as whatever the page held. So the zero
# state is for sectors of 4096 bytes, and zeros of smaller ones have to be data.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq stamp-file zero-sectors

arguments=(--copy "$(command -v stamp-file)")
words=()
for size in "${linux_sizes[@]}"; do
	volume=$tmp/$size.img
	make_volume "$volume" 17M --sector-size "$size"
	random_data "$(capacity "$volume")" data
	untorn import "$volume" data
	zero-sectors "$volume" 1 1 3 2 8 8 20 1 22 1 100 1000 1500 5
	untorn export --force "$volume" data
	assert_equal "$size: zeros at the start of sector 100" \
		"$(dd if=data bs="$((size / 512 * 512))" skip=100 count=1000 status=none | tr -d '\0' | wc -c)" 0
	arguments+=(--nvdimm "$volume")
	words+=("$size:$(md5 <data)")
done

cat >"$tmp/script" <<'GUEST'
n=0
wrong=
for word; do
	disk=/dev/pmem$(region $n)s
	[ -b $disk ] || fail "${word%:*}: Linux does not see a BTT"
	around=$(/host/stamp-file cat $disk | md5sum)
	through=$(md5sum <$disk)
	[ "${through%% *}" = ${word#*:} ] || wrong="$wrong ${word%:*}(cached)"
	[ "${around%% *}" = ${word#*:} ] || wrong="$wrong ${word%:*}(direct)"
	n=$((n + 1))
done
[ -z "$wrong" ] || fail "Linux reads other data than we:$wrong"
GUEST
guest "${arguments[@]}" -- "$tmp/script" "${words[@]}"
