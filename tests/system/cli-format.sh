#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# untorn format: every layout and sector size, sizes, uuids, growing, and huge sparse files that take no space.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq

# ------------------------------------------------------------ layouts, sectors

# The sectors of 33 MiB by the rules of the format (docs/SPEC.md 3): two info blocks, the flog and room for the map's
# rounding are taken off, then each block has its data and a map entry, and 256 blocks are spare.
sectors() {
	local base=$1 internal=$2
	echo $((((33 << 20) - base - 8192 - 16384 - 4096) / (internal + 4) - 256))
}

while read -r size data meta internal; do
	for version in 1.1 2.0; do
		base=4096
		[[ $version == 1.1 ]] || base=0
		assert_json untorn format "v$version-$size" --size 33M --sector-size "$size" \
			--btt-version $version --json
		assert_jq '.[0].sector_size' "$data"
		assert_jq '.[0].meta_size' "$meta"
		assert_jq '.[0].version' $version
		assert_jq '.[0].base' $base
		assert_jq '.[0].sectors' "$(sectors $base "$internal")"
		assert_jq '.[0].size' $(($(sectors $base "$internal") * data))
		assert_ok untorn check "v$version-$size"
		# Empty: everything reads as zeros, so a sparse copy takes no space.
		assert_ok untorn export "v$version-$size" out --force
		assert_equal "size of out" "$(size_of out)" $(($(sectors $base "$internal") * data))
		assert_equal "KiB of out" "$(blocks out)" 0
		rm "v$version-$size"
	done
done <<-END
	512   512   0   512
	520   512   8   576
	528   512   16  576
	4096  4096  0   4096
	4104  4096  8   4160
	4160  4096  64  4160
	4224  4096  128 4224
	8192  8192  0   8192
	16384 16384 0   16384
	32768 32768 0   32768
	65536 65536 0   65536
END

# A pool takes any block size.
for size in 1 512 520 1000 4096 65536; do
	assert_json untorn format pool --size 33M --sector-size $size --profile pmemblk --json
	assert_jq '.[0].layout' pmemblk
	assert_jq '.[0].sector_size' $size
	assert_jq '.[0].parent_uuid | length' 36
	rm pool
done

# --------------------------------------------------------------- options

# Options stand before and behind the target; sizes in all their forms; text says what was made.
assert_ok untorn format --size 64MiB a --sector-size 4K
assert_match "text" "$out" "^a: BTT 1\.1, 62\.9 MiB, 16104 sectors of 4096 bytes$"
assert_equal "size of a" "$(size_of a)" $((64 << 20))
for size in 65536K 67108864 0x4000000 64m; do
	assert_ok untorn format b --size $size
	assert_equal "size of b for $size" "$(size_of b)" $((64 << 20))
	rm b
done

uuid=79d78854-ea71-499e-a921-b8e0e755d453
parent=5b2eae65-c057-4b34-a9db-5c68ddfd7eff
assert_json untorn format c --size 64M --uuid $uuid --parent-uuid $parent --json
assert_jq '.[0].uuid' $uuid
assert_jq '.[0].parent_uuid' $parent
assert_equal "bytes of the uuid" "$(od -An -tx1 -j $((4096 + 16)) -N 16 c | tr -d ' \n')" "${uuid//-/}"
# Without --uuid two volumes differ, and there is no parent.
assert_json untorn format d --size 64M --json
first=$(jq -r '.[0].uuid' <<<"$out")
assert_jq '.[0].parent_uuid' null
assert_json untorn format d --force --json
assert_no_match "second uuid" "$(jq -r '.[0].uuid' <<<"$out")" "$first"

for arguments in "--size 0x" "--size -1" "--size 64MB" "--size 1.5G" "--size 99999999999999999999" "--size 8E" \
	"--sector-size 1000" "--sector-size 0x" "--sector-size 4097" "--sector-size 131072" "--btt-version 3" \
	"--profile windows" "--profile linux --btt-version pmemblk" "--profile pmemblk --btt-version 2.0" \
	"--profile pmemblk --sector-size 65537" "--uuid 1234" "--parent-uuid $uuid-" "--medium tape"; do
	# shellcheck disable=SC2086
	assert_refused 2 "; try 'untorn format --help'$" untorn format new --size 64M $arguments
	assert_missing new
done

# ------------------------------------------------------------------- sizes

assert_refused 1 "new: no such file; give --size to create it$" untorn format new
assert_refused 1 "no-dir/new: cannot be created: No such file or directory$" untorn format no-dir/new --size 64M
for size in 1 4095 4096 1M 16M; do
	assert_refused 1 "small" untorn format new --size $size
	assert_missing new
done
assert_refused 1 "small" untorn format new --size 16M --profile pmemblk
assert_missing new
# The smallest of each kind.
assert_ok untorn format new --size 16M --btt-version 2.0
rm new
assert_ok untorn format new --size $(((16 << 20) + 4096))
rm new
assert_ok untorn format new --size $(((16 << 20) + 8192)) --profile pmemblk
rm new
# Fewer sectors than lanes.
assert_json untorn format new --size 17M --sector-size 65536 --json
assert_jq '.[0].sectors' 15
assert_ok untorn check new
rm new

# An existing file grows; it never shrinks; when growing was in vain, it gets its size back.
truncate -s 1M grown
assert_ok untorn format grown --size 32M
assert_equal "size of grown" "$(size_of grown)" $((32 << 20))
remember grown
assert_refused 1 "grown: already 32 MiB long; a format never shrinks a file$" untorn format grown --size 20M --force
assert_unchanged
head -c 1000000 /dev/urandom >data
remember data
assert_refused 1 "small" untorn format data --size 2M
assert_unchanged
assert_refused 1 "data: 976 KiB.*small" untorn format data
assert_unchanged
assert_ok untorn format data --size 32M
assert_equal "content of what held data" "$(untorn export data - | tr -d '\0' | wc -c)" 0
: >empty
assert_refused 1 "empty: 0 bytes long, too small for a volume$" untorn format empty
assert_ok untorn format empty --size 32M
assert_refused 1 "neither a regular file nor a device" untorn format .
assert_refused 1 "neither a regular file nor a device" untorn format /dev/null
assert_refused 1 "not a regular file, so --size" untorn format /dev/null --size 64M

# ------------------------------------------------------------------- huge

# A format of terabytes takes kilobytes: some blocks for each arena.
for size in 1T 15T 1P 4E; do
	truncate -s "$size" huge 2>/dev/null || continue # the file system has a limit; it has no more of this
	rm huge
	run_status 0 untorn format huge --size "$size" --sector-size 512
	assert_less "KiB on disk for $size" "$(blocks huge)" 4096
	assert_json untorn info huge --json
	assert_less "lost space of $size in percent" \
		"$(jq '.[0] | 100 - .size * 100 / .medium_size | floor' <<<"$out")" 2
	last=$(($(jq '.[0].sectors' <<<"$out") - 1))
	assert_json untorn dump huge --lba $last --json
	assert_jq '.[0].state' initial
	rm huge
	largest=$size
done
[[ -n ${largest-} ]] || skip "this file system has no sparse files of 1 TiB"
echo "largest sparse file: $largest"
