# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the tests of this folder share, on top of tests/lib/functions.sh. Sourced after `set -euo pipefail`. Programs of the
# build come from PATH: untorn, stamp-writer, stamp-file, pmemblk-peer (meson sets it; by hand:
# PATH=BUILD/tests/interop:$PATH BUILD/run tests/interop/TEST).

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Memory when there is plenty of it: thousands of data syncs on a disk would only be slow.
if [[ -z ${TMPDIR:-} && -w /dev/shm && $(df --output=avail -k /dev/shm | tail -n 1) -gt 2000000 ]]; then
	TMPDIR=/dev/shm
fi
. "$here/../lib/functions.sh"

# Sector sizes that Linux knows, and those among them that `ndctl check-namespace` can read: it wants
# external_lbasize == internal_lbasize, so it refuses 520, 528 and 4104 of Linux's own making too.
# shellcheck disable=SC2034
linux_sizes=(512 520 528 4096 4104 4160 4224)
ndctl_checks() {
	[[ $1 == 512 || $1 == 4096 || $1 == 4160 || $1 == 4224 ]]
}

# make_volume FILE SIZE FORMAT-OPTION...: a new file of that size, formatted.
make_volume() {
	local file=$1 size=$2
	shift 2
	rm -f "$file"
	truncate -s "$size" "$file"
	untorn format "$file" "$@" >/dev/null 2>"$tmp/format" || fail "untorn format $file $*: $(cat "$tmp/format")"
}

# random_data BYTES FILE
random_data() {
	head -c "$1" /dev/urandom >"$2"
}

# try COMMAND...: run it; when it fails, show what it printed and end the test.
try() {
	"$@" >"$tmp/tried" 2>&1 || fail "$*: status $?: $(<"$tmp/tried")"
}

# Run the guest; what its script prints is shown and in $tmp/said. A failing guest ends the test.
guest() {
	"$here/guest" "$@" | tee "$tmp/said" || exit "${PIPESTATUS[0]}"
}

# What the guest printed behind the words "$1: ".
guest_said() {
	sed -n "s/^$1: //p" "$tmp/said"
}

# consistent VOLUME...: `untorn check` finds no error. Prints how many interrupted writes wait for recovery.
consistent() {
	local volume pending=0
	for volume; do
		untorn check --all "$volume" >"$tmp/check" 2>&1 || fail "untorn check $volume: status $?: $(cat "$tmp/check")"
		pending=$((pending + $(grep -c flog-pending "$tmp/check" || true)))
	done
	echo "$pending"
}

# killed COMMAND...: run a stamp program until it says that it is running, and SIGKILL it at a random moment in the
# following fifth of a second.
killed() {
	local out pid line status=0
	exec {out}< <(exec "$@")
	pid=$!
	IFS= read -r -t 120 -u "$out" line || fail "$1 did not start"
	assert_equal "first words of $1" "$line" running
	sleep "0.$((RANDOM % 2))$((RANDOM % 10))$((RANDOM % 10))"
	kill -KILL "$pid"
	wait "$pid" || status=$?
	exec {out}<&-
	assert_equal "status of a killed $1" "$status" 137
}

# capacity VOLUME: bytes that its sectors hold.
capacity() {
	untorn info --json "$1" | jq -r '.[0].size'
}

# list_devices FILE NVDIMM-OPTION...: all that we list of these NVDIMMs.
list_devices() {
	local file=$1
	shift
	untorn list "$@" -DRNiv >"$file" || fail "untorn list: status $?"
}

# same_devices WORD FILE: what the guest listed behind WORD is what list_devices wrote to FILE.
same_devices() {
	guest_said "$1 list" >"$tmp/linux.json"
	"$here/same-devices.py" "$tmp/linux.json" "$2" || fail "$1: Linux and we list different devices"
}

# range FILE OFFSET SIZE: bytes of a file; both are multiples of 4096.
range() {
	dd if="$1" bs=4096 skip=$(($2 / 4096)) count=$(($3 / 4096)) status=none
}

# same_data WORD IMAGE...: each disk that the guest told of behind WORD has that content.
same_data() {
	local word=$1 n uuid mode offset size digest
	shift
	while read -r n uuid mode offset size digest; do
		((n += 1))
		if [[ $mode == raw ]]; then
			range "${!n}" "$offset" "$size" >"$tmp/data"
		else
			try untorn export --force --namespace "$uuid" "${!n}" "$tmp/data"
		fi
		assert_equal "$word: bytes of $uuid" "$(size_of "$tmp/data")" "$size"
		assert_equal "$word: data of $uuid" "$(md5 <"$tmp/data")" "$digest"
		rm "$tmp/data"
	done < <(guest_said "$word data")
}

# labels_sound NVDIMM-OPTION...: every label area passes.
labels_sound() {
	try untorn check-labels "$@" all
}
