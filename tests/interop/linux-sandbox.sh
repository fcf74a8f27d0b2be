#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The same ndctl, the same images and the same script in our sandbox and in Linux: what was made in the one is listed and read by the
# other, to and fro. `ndctl list -BDRNiXu` prints the same but for the exceptions of docs/DEVICES.md 18. Four NVDIMMs: labels of both
# versions, none and no room for any, and those that ndctl writes by itself.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/sandbox.sh"
requires untorn ndctl jq python3
requires_sandbox

truncate -s 160M "$tmp/nv0.img" "$tmp/nv1.img"
truncate -s 32M "$tmp/nv2.img"
truncate -s $(((64 << 20) + (128 << 10))) "$tmp/nv3.img"
label_sizes=(128K 128K 0 128K)
arguments=() platform=()
for n in 0 1 2 3; do
	size=$(numfmt --from=iec "${label_sizes[n]}")
	arguments+=(--nvdimm "$tmp/nv$n.img$([[ $size == 0 ]] || echo ":$size")")
	platform+=(--nvdimm "mem-path=$tmp/nv$n.img,label-size=${label_sizes[n]}")
done

# script STEP WORD...: take the step, then show what there is, behind WORD.
cat >"$tmp/script" <<'SCRIPT'
create() { # N WORD...
	r=region$(region "$1")
	shift
	try ndctl create-namespace -r "$r" "$@"
}
destroy() { # NAME
	try ndctl destroy-namespace -f "$(namespace "$1")"
}

step() {
	settle
	case $1 in
	make)
		label_dimm 0 1.2
		for size in 512 520 528 4096 4104 4160 4224; do
			create 0 -m sector -l $size -s 16M -n s$size
		done
		destroy s520
		create 0 -m raw -s 16M -n raw -u 01020304-0506-0708-090a-0b0c0d0e0f10
		try ndctl create-namespace -e "$(namespace s4160)" -f -m raw -n was-s4160
		label_dimm 1 1.1
		create 1 -m raw -s 32M -n one
		create 1 -m sector -s 32M -n two
		create 1 -m sector -l 520 -s 48M -n three
		destroy one
		try ndctl create-namespace -e namespace$(region 2).0 -f -m sector -l 528
		try ndctl create-namespace -e namespace$(region 3).0 -f -m sector -n by-itself
		scribble pmem$(region 2)s
		for name in s512 s528 s4096 s4104 s4224 raw was-s4160 two three by-itself; do
			scribble "$(disk $name)"
		done
		;;
	change)
		rewrite_labels 0
		rewrite_labels 1
		destroy s528
		destroy two
		create 0 -m sector -l 512 -s 16M -n again
		create 1 -m raw -s 16M -n two-raw
		create 1 -m sector -l 4224 -s 32M
		try ndctl create-namespace -e "$(namespace three)" -f -m sector -l 512 -n no-three
		try ndctl create-namespace -e namespace$(region 2).0 -f -m sector -l 4096
		try ndctl disable-namespace "$(namespace by-itself)"
		try ndctl destroy-namespace "$(namespace by-itself)"
		for name in s512 again two-raw no-three; do
			scribble "$(disk $name)"
		done
		scribble pmem$(region 2)s
		;;
	again)
		rewrite_labels 0
		rewrite_labels 1
		try ndctl check-namespace -f --repair "$(namespace s4096)"
		destroy again
		destroy no-three
		create 3 -m sector -s 32M -n new-a
		create 3 -m raw -s 32M -n new-b
		scribble "$(disk new-a)"
		scribble "$(disk new-b)"
		;;
	esac
	[ "$1" = look ] || renumber
	settle
	ndctl list -BDRNiXu | sed "s/^/$2 json: /"
	tell "$2"
	echo "$2 data: without labels $(md5sum <"/dev/pmem$(region 2)s" | cut -d' ' -f1)"
}
while [ $# -gt 0 ]; do
	step "$1" "$2"
	shift 2
done
SCRIPT

# The functions of the guest, so that they leave nothing in /tmp; the kernel of this machine is left alone.
mkdir "$tmp/inside"
sed "s,/tmp/,$tmp/inside/,g" "$here/guest-lib.sh" >"$tmp/inside/lib"
cat >>"$tmp/inside/lib" <<'LIB'
no_cache() { :; }
usleep() { read -r -t 0.01 <> <(:) || :; }
LIB

# inside STEP [WORD]: the script in a sandbox; what it says is in $tmp/ours, and ndctl's list in $tmp/ours.json.
inside() {
	untorn sandbox "${platform[@]}" -- bash -eo pipefail -c '. "$0"; . "$1" "${@:2}"' "$tmp/inside/lib" "$tmp/script" "$1" "${2:-$1}" >"$tmp/ours" ||
		fail "the script failed in the sandbox: $*"
	sed -n "s/^${2:-$1} json: //p" "$tmp/ours" >"$tmp/ours.json"
}

# same WORD: Linux and the sandbox printed the same list, and read the same.
same() {
	guest_said "$1 json" >"$tmp/linux.json"
	"$here/same-json.py" "$source_dir/docs/DEVICES.md" "$tmp/linux.json" "$tmp/ours.json" ||
		fail "$1: ndctl lists different devices in Linux and in the sandbox"
	diff -U 3 <(guest_said "$1 data" | sort) <(sed -n "s/^$1 data: //p" "$tmp/ours" | sort) ||
		fail "$1: other data in Linux (-) than in the sandbox (+)"
}

# What we made, in a sandbox that has just begun and in Linux; then what Linux made of it.
inside make made
cp "$tmp/ours" "$tmp/made"
inside look first
diff <(sed -n 's/^made data: //p' "$tmp/made" | sort) <(sed -n 's/^first data: //p' "$tmp/ours" | sort)
guest "${arguments[@]}" -- "$tmp/script" look first change later
same first
assert_equal "disks with data" "$(guest_said 'first data' | wc -l)" 11
inside look later
same later
assert_equal "disks with data" "$(guest_said 'later data' | wc -l)" 11
labels_sound "${platform[@]}"

# Then what we made of that, with an info block that was damaged and mended.
read -r offset < <(untorn read-labels "${platform[@]}" -j nmem0 2>/dev/null |
	jq -r '[.. | objects | select(.name == "s4096") | .dpa] | last')
printf 'X' | dd of="$tmp/nv0.img" bs=1 seek=$((offset + 100)) conv=notrunc status=none
inside again
inside look last
guest "${arguments[@]}" -- "$tmp/script" look last
same last
labels_sound "${platform[@]}"
for name in s512 s4096 s4104 s4224; do
	try untorn check --namespace "$name" "$tmp/nv0.img"
done
