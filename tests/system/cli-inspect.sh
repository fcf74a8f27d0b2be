#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# untorn info and dump: what they show is what is on the medium, in text and JSON, and they change nothing.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq

# ---------------------------------------------------------------- known images

# Facts of tests/fixtures/README.md.
while read -r image layout sectors size meta uuid; do
	fixture "$image"
	remember "$image"
	assert_json untorn info "$image" --json
	assert_jq length 1
	assert_jq '.[0].path' "$image"
	assert_jq '.[0].layout' "$layout"
	assert_jq '.[0].sectors' "$sectors"
	assert_jq '.[0].sector_size' "$size"
	assert_jq '.[0].meta_size' "$meta"
	assert_jq '.[0].medium_size' "$(size_of "$image")"
	[[ $uuid == - ]] || assert_jq '.[0].uuid' "$uuid"
	assert_jq '[.[0].arenas[].external_nlba] | add' "$sectors"
	assert_ok untorn info "$image"
	assert_match "sectors in the text" "$out" $'\n'"  sectors +$sectors sectors of $size"
	assert_ok untorn dump "$image"
	assert_json untorn dump "$image" --json
	assert_unchanged
	rm "$image"
done <<-END
	btt-labelless-4096.img 1.1     7920  4096 0 79d78854-ea71-499e-a921-b8e0e755d453
	btt-labelless-4104.img 1.1     7794  4096 8 -
	btt-labelless-520.img  1.1     57539 512  8 -
	pmemblk-512.pool       pmemblk 40315 512  0 -
	pmemblk-4096.pool      pmemblk 4850  4096 0 -
END

# -------------------------------------------------------------------- drawing

# Every part of the medium is in the drawing, in order and without gaps: each begins where the one before ends.
assert_ok untorn format vol --size 32M
assert_ok untorn info vol
end=0 rows=0
while read -r offset size unit; do
	[[ -z $end ]] || assert_equal "offset of row $rows" $((offset)) "$end"
	case $unit in
	KiB) end=$((offset + size * 1024)) ;;
	*) end= ;; # rounded
	esac
	rows=$((rows + 1))
done < <(sed -nE 's/^ +(0x[0-9a-f]+) \| .* ([0-9.]+) ([A-Za-z]+) \|$/\1 \2 \3/p' <<<"$out")
assert_equal "rows of the drawing" $rows 7
assert_equal "end of the drawing" "$end" $((32 << 20))
assert_match "end of the medium" "$out" $'\n +0x2000000  end of the medium'
for part in info data map flog backup; do
	assert_match "drawing" "$out" $'\n +0x[0-9a-f]+ \\| '$part' '
done
# Several arenas: two are drawn, of many alike the first and the last.
if untorn format huge --size 6T >format.out 2>&1; then # some file systems have smaller files only
	assert_ok untorn info huge
	drawn=$(grep -oE '== arena [0-9]+:' <<<"$out" | tr -dc '0-9\n' | paste -sd ' ')
	assert_equal "arenas drawn" "$drawn" "0 10 11"
	assert_match "arenas left out" "$out" "== arenas 1 to 9: laid out as arena 0 =="
	assert_json untorn info huge --json
	assert_jq '.[0].arenas | length' 12
	assert_jq '[.[0].arenas[].offset] | . == sort and .[1] - .[0] == 549755813888' true
	rm huge
fi

# ------------------------------------------------------------------------ dump

# Info block: its fields are the bytes of the medium.
assert_json untorn dump vol --info --json
assert_jq length 1
info=$out
field() {
	od -An -v -t "u$2" -j $((4096 + $1)) -N "$2" --endian=little vol | tr -d ' '
}
while read -r name off len; do
	out=$info
	assert_jq ".[0].$name" "$(field "$off" "$len")"
done <<-END
	flags 48 4
	version_major 52 2
	version_minor 54 2
	external_lbasize 56 4
	external_nlba 60 4
	internal_lbasize 64 4
	internal_nlba 68 4
	nfree 72 4
	infosize 76 4
	nextoff 80 8
	dataoff 88 8
	mapoff 96 8
	logoff 104 8
	info2off 112 8
END
assert_jq '.[0].signature' BTT_ARENA_INFO
# (jq has no 64-bit integers.) The checksum is the last field.
assert_equal "checksum" "$(grep -o '"checksum": *[0-9]*' <<<"$info" | tr -dc 0-9)" "$(field 4088 8)"

# Sectors that were written: the map has runs, and a sector's block is where its bytes are.
head -c 12288 /dev/urandom >data
dd if=/dev/zero of=source bs=4096 count=100 status=none
dd if=data of=source bs=4096 seek=50 conv=notrunc status=none
assert_ok untorn import vol source
remember vol
assert_json untorn dump vol --map --json
assert_jq 'map("\(.type) \(.first_lba) \(.sectors) \(.arena) \(.state)") | join(", ")' \
	"map 0 50 0 initial, map 50 3 0 normal, map 53 7867 0 initial"
assert_ok untorn dump vol --map=49-50
assert_equal "runs in text" "$(sed 1,2d <<<"$out" | tr -s ' ')" $' 49 49 1 0 initial\n 50 50 1 0 normal'
assert_json untorn dump vol --map=51 --json
assert_jq 'map("\(.first_lba) \(.sectors) \(.state)") | join(", ")' "51 1 normal"
for i in 0 1 2; do
	assert_json untorn dump vol --json --lba $((50 + i))
	assert_jq '.[0] | "\(.type) \(.lba) \(.arena) \(.premap) \(.state)"' "lba $((50 + i)) 0 $((50 + i)) normal"
	map_off=$(jq '.[0].map_offset' <<<"$out")
	block_off=$(jq '.[0].block_offset' <<<"$out")
	postmap=$(jq '.[0].postmap' <<<"$out")
	assert_jq '.[0].raw' "$(od -An -t u4 -j "$map_off" -N 4 --endian=little vol | tr -d ' ')"
	assert_equal "block number" "$postmap" $(($(jq '.[0].raw' <<<"$out") & 0x3fffffff))
	cmp -n 4096 -i "$block_off:$((i * 4096))" vol data
done
assert_ok untorn dump vol --lba 50
assert_match "text" "$out" $'^lba 50\n  state +normal\n  arena +0\n'

# Flog: 256 lanes; the lanes' free blocks and the sectors' blocks are all blocks, each once.
assert_json untorn dump vol --flog --json
assert_jq length 256
assert_jq '[.[].lane] == [range(256)]' true
free=$(jq '.[].free_block' <<<"$out")
assert_json untorn dump vol --lba 0-7919 --json
assert_jq length 7920
{
	echo "$free"
	jq '.[].postmap' <<<"$out"
} | sort -n | cmp - <(seq 0 8175)
assert_json untorn dump vol --flog=7 --json
assert_jq 'map(.lane) | join(" ")' 7
group=$(jq '.[0].offset' <<<"$out")
assert_jq '.[0].slots[0].seq' "$(od -An -t u4 -j $((group + 12)) -N 4 --endian=little vol | tr -d ' ')"
assert_jq '.[0].slots[1].lba' "$(od -An -t u4 -j $((group + 16)) -N 4 --endian=little vol | tr -d ' ')"
assert_ok untorn dump vol --flog=7-8
assert_equal "rows of two lanes" "$(wc -l <<<"$out")" 6

# Without options: all three.
assert_json untorn dump vol --json
assert_jq '[.[].type] | unique | join(" ")' "flog info map"
assert_unchanged

# A pool that was never written is laid out at its first write; there is nothing to dump, and info says what will be.
fixture pmemblk-512.pool
head -c 8192 pmemblk-512.pool >pool
truncate -s 20M pool
remember pool
assert_json untorn info pool --json
assert_jq '.[0] | "\(.laid_out) \(.sectors) \(.sector_size)"' "false 40315 512"
assert_ok untorn info pool
assert_match "text" "$out" "^pool: pmemblk pool, BTT 1\.1, never written: reads as zeros"
assert_refused 1 "pool: the pool was never written, so there is nothing to show$" untorn dump pool
assert_unchanged
