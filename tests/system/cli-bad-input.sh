#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is no volume, or half of one: every command says so in one sentence (check: in a finding), with the right exit
# status, and changes nothing. format refuses what it recognises.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz mke2fs mkfs.vfat mkswap
export PATH=$PATH:/sbin:/usr/sbin

head -c 1M /dev/urandom >source

# refused FILE REGEX: by all commands that need a volume; nothing changes and nothing appears.
refused() {
	local file=$1 regex=$2
	remember "$file" source
	for command in "info $file" "dump $file" "dump $file --lba 0" "export $file out" "export $file -" \
		"import $file source" "import $file -"; do
		# shellcheck disable=SC2086
		assert_refused 1 "^untorn: $file: .*$regex" untorn $command <source
		assert_missing out
	done
	assert_unchanged
}

# found FILE NAME: check has that finding, with or without repair, and changes nothing.
found() {
	local file=$1 name=$2
	remember "$file"
	for options in "" --dry-run --repair "--repair --force --rewrite-log"; do
		# shellcheck disable=SC2086
		run_status 4 untorn check "$file" $options
		assert_equal "stderr of check" "$err" ""
		assert_match "findings" "$out" "error +(-|[0-9]+) +$name "
	done
	assert_unchanged
}

# overwritten FILE REGEX: format refuses it, in all its forms, and names what it holds; with --force it goes.
overwritten() {
	local file=$1 regex=$2
	remember "$file"
	for options in "" "--size 640M" "--profile pmemblk" "--btt-version 2.0 --sector-size 512 --json"; do
		# shellcheck disable=SC2086
		assert_refused 1 "$file: holds data already \($regex\); --force overwrites it$" \
			untorn format "$file" $options
		assert_unchanged
	done
	assert_ok untorn format "$file" --force
	assert_ok untorn check "$file"
	assert_equal "KiB of data in what was forced" "$(untorn export "$file" - | tr -d '\0' | wc -c)" 0
}

# ------------------------------------------------------------------- nothing here

truncate -s 32M zeros
refused zeros "no BTT found; 'untorn format' makes one$"
found zeros no-btt
head -c 20M /dev/urandom >noise
refused noise "no BTT found"
found noise no-btt
: >empty
refused empty "0 bytes long, too small for a volume$"
head -c 4095 /dev/urandom >small
refused small "4095 bytes long, too small for a volume$"
head -c 4096 /dev/urandom >page
refused page "no BTT found"
found page no-btt
mkdir folder
for command in "info folder" "dump folder" "export folder out" "import folder source" "format folder --force"; do
	# shellcheck disable=SC2086
	assert_refused 1 "folder: neither a regular file nor a device that can be mapped$" untorn $command
	# shellcheck disable=SC2086
	assert_refused 1 "missing: [Nn]o such file" untorn ${command/folder/missing}
done
assert_missing out
assert_missing missing

# ------------------------------------------------------------------ foreign formats

truncate -s 20M ext4
mke2fs -q -t ext4 ext4
truncate -s 20M vfat
mkfs.vfat vfat >/dev/null
truncate -s 20M swap
mkswap -q swap 2>/dev/null || mkswap swap >/dev/null 2>&1
truncate -s 20M luks
printf 'LUKS\xba\xbe\x00\x01' | dd of=luks conv=notrunc status=none
printf 'aes\0' | dd of=luks bs=1 seek=8 conv=notrunc status=none
# One Linux partition from sector 2048 on.
truncate -s 20M dos
printf '\x00\x00\x00\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x40\x00\x00' |
	dd of=dos bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of=dos bs=1 seek=510 conv=notrunc status=none

foreign="ext4:ext4 vfat:vfat swap:swap luks:crypto_LUKS dos:dos.partition.table"
if command -v mkfs.xfs >/dev/null; then
	truncate -s 320M xfs
	mkfs.xfs -q xfs
	foreign="$foreign xfs:xfs"
fi
if command -v sfdisk >/dev/null; then
	truncate -s 20M gpt
	printf 'label: gpt\n,16M\n' | sfdisk -q gpt
	foreign="$foreign gpt:gpt.partition.table"
fi
for row in $foreign; do
	refused "${row%%:*}" "no BTT found"
	found "${row%%:*}" no-btt
	overwritten "${row%%:*}" "${row#*:}"
done

# ------------------------------------------------------------------- our own formats

fixture btt-labelless-4096.img
overwritten btt-labelless-4096.img "BTT 1\.1"
fixture pmemblk-512.pool
overwritten pmemblk-512.pool "pmemblk pool"
assert_ok untorn format v2 --size 32M --btt-version 2.0
overwritten v2 "BTT 2\.0"
# A backup info block is all that is left: it can be brought back, so it counts.
dd if=/dev/zero of=v2 bs=4096 count=2 conv=notrunc status=none
overwritten v2 "backup of a BTT's info block"

# ----------------------------------------------------------------------- truncated

for image in btt-labelless-4096.img btt-labelless-520.img pmemblk-4096.pool; do
	fixture $image
	size=$(size_of $image)
	# The last size leaves all sectors there and cuts off only the backup info block.
	for length in 16384 1048576 $((size / 2)) $((size - 20480)) $((size - 4096)) $((size - 1)); do
		head -c "$length" $image >truncated
		refused truncated "(no BTT found|damaged)"
		found truncated "(no-btt|info-[a-z-]*|arena-chain|pool-header)"
	done
done

# -------------------------------------------------------------------- beyond the end

assert_ok untorn format vol --size 32M
remember vol
assert_refused 1 "vol: lba 7920 is beyond the end; the last one is 7919$" untorn dump vol --lba 7920
assert_refused 1 "vol: lba 7920 is beyond the end" untorn dump vol --map=0-7920
assert_refused 1 "vol: lba 18446744073709551615 is beyond the end" untorn dump vol --lba 18446744073709551615
assert_refused 1 "vol: lba 18446744073709551615 is beyond the end" untorn dump vol --map=0-18446744073709551615
assert_refused 1 "vol: lane 256 does not exist; arena 0 has lanes 0 to 255$" untorn dump vol --flog=256
assert_refused 1 "vol: lane 18446744073709551615 does not exist" untorn dump vol --flog=0-18446744073709551615
for arguments in --lba=x --lba=-1 --lba=18446744073709551616 --map=5-4 --map=1- --map=-5 --flog=0x --flog=1,2; do
	assert_refused 2 "is not .*; try 'untorn dump --help'$" untorn dump vol $arguments
done
assert_unchanged

# The wrong layout named for what is there.
assert_refused 1 "vol: no BTT found" untorn info vol --btt-version 2.0
assert_refused 1 "vol: no BTT found" untorn info vol --btt-version pmemblk
# Two layouts valid at once, and no backup that would tell which one is meant.
assert_ok untorn format other --size 32M --btt-version 2.0
head -c 4096 other | dd of=vol conv=notrunc status=none
dd if=/dev/zero of=vol bs=4096 seek=$((0x1fff)) count=1 conv=notrunc status=none
refused vol "two layouts are valid at once; name the one that is meant with --btt-version$"
found vol ambiguous-layout
assert_ok untorn info vol --btt-version 1.1
assert_ok untorn info vol --btt-version 2.0
