#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every image of tests/fixtures, written by Linux and PMDK, reads through the command line as its README says, checks clean
# (but for what its makers put in), and stays unchanged.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn jq xz python3

# json TARGET FILTER: from `untorn info --json`.
json() {
	untorn info --json "$1" | jq -r ".[0]$2"
}

unpack() {
	fixture "$1"
	chmod a-w "$1"
}

# bytes FILE OFFSET LENGTH TYPE: numbers or text in FILE, as od prints them, without spaces.
bytes() {
	od -An -v -j "$2" -N "$3" -t "$4" "$1" | tr -d ' \n'
}

# volume NAME FILE: what its README says. Then: layout, sector size, metadata bytes, bytes, md5, uuid (or - where it does not
# say).
volume() {
	local name=$1 file=$2 before
	before=$(md5 <"$file")
	untorn check "$file" >check || {
		cat check
		fail "$name: check"
	}
	assert_equal "$name: layout" "$(json "$file" .layout)" "$3"
	assert_equal "$name: sector size" "$(json "$file" .sector_size)" "$4"
	assert_equal "$name: metadata bytes" "$(json "$file" .meta_size)" "$5"
	assert_equal "$name: bytes" "$(json "$file" .size)" "$6"
	assert_equal "$name: sectors" "$(json "$file" .sectors)" "$(($6 / $4))"
	[[ $8 == - ]] || assert_equal "$name: uuid" "$(json "$file" .uuid)" "$8"
	untorn export --force "$file" data
	assert_equal "$name: bytes exported" "$(size_of data)" "$6"
	assert_equal "$name: md5" "$(md5 <data)" "$7"
	untorn dump "$file" >dump || fail "$name: dump"
	[[ -s dump ]] || fail "$name: dump is empty"
	assert_equal "$name: the file" "$(md5 <"$file")" "$before"
	rm -f data
}

for size in 4096 4104 520; do
	unpack btt-labelless-$size.img
done
volume labelless-4096 btt-labelless-4096.img 1.1 4096 0 $((7920 * 4096)) 4a33afffdcd7af0f27cbe334d4cb66ca \
	79d78854-ea71-499e-a921-b8e0e755d453
volume labelless-4104 btt-labelless-4104.img 1.1 4096 8 $((7794 * 4096)) 922a71df57a3b34ac7242e7b54006912 -
volume labelless-520 btt-labelless-520.img 1.1 512 8 29459968 2cfbf87a6737e58b61a8305fbdba39ff -
assert_equal "internal size of 4104" "$(json btt-labelless-4104.img '.arenas[0].internal_lbasize')" 4160
assert_equal "internal size of 520" "$(json btt-labelless-520.img '.arenas[0].internal_lbasize')" 576

# namespace IMAGE LABELVERSION NAME: cut the namespace's range out of an image with labels, as NAME; its label uuid goes to
# NAME.uuid. Trusts what a reader must: the newer index block whose bitmap says which slots are in use.
namespace() {
	local image=$1 name=$3 labels=$((134217728 - 131072)) label_size seq0 seq1 index slots slot at dpa size
	label_size=$((128 << ($2 - 11)))
	local index_size=256
	seq0=$(bytes "$image" $((labels + 20)) 4 u4) seq1=$(bytes "$image" $((labels + index_size + 20)) 4 u4)
	index=$labels
	# 1 -> 2 -> 3 -> 1; the successor is the newer.
	[[ $seq0 == "$seq1" || $((seq0 % 3 + 1)) == "$seq1" ]] && index=$((labels + index_size))
	assert_equal "$name: index block" "$(bytes "$image" "$index" 15 c)" NAMESPACE_INDEX
	slots=$(bytes "$image" $((index + 56)) 4 u4)
	for ((slot = 0; slot < slots; slot++)); do
		(($(bytes "$image" $((index + 72 + slot / 8)) 1 u1) >> slot % 8 & 1)) && continue
		at=$((labels + 2 * index_size + slot * label_size))
		[[ $(bytes "$image" $((at + 16)) ${#name} c) == "$name" ]] || continue
		dpa=$(bytes "$image" $((at + 104)) 8 u8) size=$(bytes "$image" $((at + 112)) 8 u8)
		bytes "$image" "$at" 16 x1 | sed 's/\(.\{8\}\)\(....\)\(....\)\(....\)/\1-\2-\3-\4-/' >"$name.uuid"
		dd if="$image" of="$name" bs=4096 skip=$((dpa / 4096)) count=$((size / 4096)) status=none
		return
	done
	fail "$image: no namespace $name"
}

label_version() {
	local layout=$2
	unpack "labels-v$1.img"
	namespace "labels-v$1.img" "$1" alpha
	volume "v$1 alpha" alpha "$layout" 4096 0 "$3" "$4" "$5"
	assert_equal "v$1 alpha: parent uuid" "$(json alpha .parent_uuid)" "$(cat alpha.uuid)"
	untorn check --parent-uuid "$(cat alpha.uuid)" alpha >/dev/null || fail "v$1 alpha: own parent"
	namespace "labels-v$1.img" "$1" beta
	volume "v$1 beta" beta "$layout" 512 0 "$6" "$7" -
	! untorn check --parent-uuid "$(cat alpha.uuid)" beta >/dev/null || fail "v$1 beta: alpha's parent"
	namespace "labels-v$1.img" "$1" gamma
	assert_equal "v$1 gamma" "$(md5 <gamma)" e1d8b17fe821f505a8d6f962196dd769
	! untorn info gamma >/dev/null 2>&1 || fail "v$1 gamma is raw, but info finds something"
	by_labels "$1" "alpha $3 $4" "beta $6 $7"
	rm -f alpha beta gamma "labels-v$1.img"
}

# by_labels LABELVERSION NAMESPACE...: the same by our reading of the labels: devices as ndctl listed them, and volumes, each
# "NAME BYTES MD5".
by_labels() {
	local image=labels-v$1.img version=$1 before namespace name bytes digest
	shift
	before=$(md5 <"$image")
	list_devices ours --nvdimm "mem-path=$image,label-size=128K"
	"$here/same-devices.py" "$fixtures_dir/labels-v$version.json" ours || fail "v$version: ndctl listed other devices"
	labels_sound --nvdimm "mem-path=$image,label-size=128K"
	for namespace; do
		read -r name bytes digest <<<"$namespace"
		untorn export --namespace "$name" "$image" data
		assert_equal "v$version $name: bytes" "$(size_of data)" "$bytes"
		assert_equal "v$version $name: md5" "$(md5 <data)" "$digest"
		rm data
	done
	assert_equal "v$version: the file" "$(md5 <"$image")" "$before"
}

label_version 11 1.1 32440320 d9b7618eff32843b2cf8bbc03581b9c8 cfd9cef1-f3e1-48b4-a503-b99a45809093 \
	33130496 92e9af4969ed62a32e36391cdcfa546e
label_version 12 2.0 32444416 81e762a5eb00c85d61dfb9bd4fa73b9a - 33134592 f9f508d60563322bd33a44742dacbf5f

# Pools: one block in error state, which export refuses, or leaves out as it documents.
pool() {
	local file=pmemblk-$1.pool before
	unpack "pmemblk-$1.pool"
	before=$(md5 <"$file")
	untorn check "$file" >check || fail "pool $1: check"
	grep -q 'map-error' check || fail "pool $1: check does not tell of the block in error state"
	assert_equal "pool $1: layout" "$(json "$file" .layout)" pmemblk
	assert_equal "pool $1: block size" "$(json "$file" .sector_size)" "$1"
	assert_equal "pool $1: blocks" "$(json "$file" .sectors)" "$2"
	! untorn export --force "$file" data 2>/dev/null || fail "pool $1: export passes over a block in error state"
	untorn export --force --ignore-errors "$file" data 2>/dev/null || true
	assert_equal "pool $1: bytes exported" "$(size_of data)" $(($1 * $2))
	head -c "$1" /dev/zero | tr '\0' '\356' | dd of=data bs="$1" seek=74 conv=notrunc status=none
	assert_equal "pool $1: md5" "$(md5 <data)" "$3"
	assert_equal "pool $1: block 5 is zeros" "$(dd if=data bs="$1" skip=5 count=1 status=none | tr -d '\0' | wc -c)" 0
	untorn dump --lba 37 "$file" | grep -q zero || fail "pool $1: block 37 is in zero state"
	untorn dump --lba 74 "$file" | grep -q error || fail "pool $1: block 74 is in error state"
	assert_equal "pool $1: the file" "$(md5 <"$file")" "$before"
	rm -f "$file" data
}
pool 512 40315 3cbc2626f815e76829dc455a6d919dff
pool 4096 4850 f9a49e8379ff0cb51e7b1ca88328f77a
