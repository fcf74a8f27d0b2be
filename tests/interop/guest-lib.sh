# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# Functions for the scripts that run inside the guest (see `guest`); busybox's sh.

# fail WORD...: say what is wrong and end the script with status 1.
fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# try COMMAND...: run it; when it fails, show what it printed and end the script.
try() {
	"$@" >/tmp/.try 2>&1 || {
		cat /tmp/.try >&2
		fail "$*"
	}
}

# region N: the number of the region that is the N-th --nvdimm, from 0. The kernel numbers regions in an order of its own;
# the NFIT handle of a dimm is its slot + 1. The same number names pmemR, pmemRs, namespaceR.0.
region() {
	for r in /sys/bus/nd/devices/region*; do
		IFS=, read -r dimm _ <"$r/mapping0"
		if [ $(($(cat "/sys/bus/nd/devices/$dimm/nfit/handle"))) -eq $(($1 + 1)) ]; then
			echo "${r##*region}"
			return
		fi
	done
	fail "no region for NVDIMM $1"
}

# no_cache: forget what the kernel holds of disks, so that the next read comes from the medium.
no_cache() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# renumber: take all regions down and up, so that namespaces are numbered as after a boot: by where they lie.
renumber() {
	try ndctl disable-region all
	try ndctl enable-region all
}

# settle: wait until every namespace that has a size is a disk, itself or through its btt, and each region with labels has an idle
# seed again. Reading wait_probe is not enough: drivers probe in the background, and then make seeds in the background. Until then
# ndctl leaves these out.
settle() {
	for namespace in /sys/bus/nd/devices/namespace*; do
		[ "$(cat "$namespace/size")" = 0 ] || await is_disk "${namespace##*/}"
	done
	for region in /sys/bus/nd/devices/region*; do
		[ "$(cat "$region/nstype")" = 4 ] || await makes_idle_seed "$region"
	done
}

# await COMMAND...: until it succeeds.
await() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 1000 ] || fail "waited in vain: $*"
		usleep 10000
	done
}

is_disk() {
	device=$(cat "/sys/bus/nd/devices/$1/holder")
	[ -e "/sys/bus/nd/devices/${device:-$1}/block" ]
}

# A region's first seed is one of its namespaces, set when all are registered. When that one was probed before, nothing makes another
# until the region is bound again.
makes_idle_seed() {
	[ "$(cat "/sys/bus/nd/devices/$(cat "$1/namespace_seed")/size" 2>/dev/null)" = 0 ] && return
	[ $((tries % 300)) = 299 ] || return
	try ndctl disable-region "${1##*/}"
	try ndctl enable-region "${1##*/}"
	return 1
}

# tell WORD: what ndctl lists, each line behind "WORD list: ", and the content of every disk of a labelled namespace:
# "WORD data: N UUID MODE OFFSET SIZE MD5", N counting the --nvdimm, uuid and offset in its region being the namespace's.
tell() {
	settle
	no_cache
	ndctl list -DRNiv | sed "s/^/$1 list: /"
	for namespace in /sys/bus/nd/devices/namespace*; do
		[ -e "$namespace/uuid" ] || continue
		device=$(cat "$namespace/holder")
		disk=$(ls "/sys/bus/nd/devices/${device:-${namespace##*/}}/block" 2>/dev/null) || continue
		region=$(readlink -f "$namespace/..")
		IFS=, read -r dimm _ <"$region/mapping0"
		n=$(($(cat "/sys/bus/nd/devices/$dimm/nfit/handle") - 1))
		offset=$(($(cat "$namespace/resource") - $(cat "$region/resource")))
		size=$(($(cat "/sys/block/$disk/size") * 512))
		echo "$1 data: $n $(cat "$namespace/uuid" "$namespace/mode" | tr '\n' ' ')$offset $size $(md5sum <"/dev/$disk" | cut -d' ' -f1)"
	done
}

# scribble DISK: write random data near its start, its middle and its end.
scribble() {
	sectors=$(($(cat "/sys/block/$1/size") / 8))
	head -c 262144 /dev/urandom >/tmp/.scribble
	for at in 3 $((sectors / 2)) $((sectors - 64)); do
		dd if=/tmp/.scribble of="/dev/$1" bs=4096 seek="$at" conv=notrunc 2>/dev/null
	done
	sync
}

# disk NAME: the disk of the namespace whose alt_name is NAME.
disk() {
	for namespace in /sys/bus/nd/devices/namespace*; do
		[ "$(cat "$namespace/alt_name" 2>/dev/null)" = "$1" ] || continue
		device=$(cat "$namespace/holder")
		ls "/sys/bus/nd/devices/${device:-${namespace##*/}}/block"
		return
	done
	fail "no namespace $1"
}

# namespace NAME: the device whose alt_name is NAME.
namespace() {
	for namespace in /sys/bus/nd/devices/namespace*; do
		[ "$(cat "$namespace/alt_name" 2>/dev/null)" = "$1" ] && [ "$(cat "$namespace/size")" != 0 ] || continue
		echo "${namespace##*/}"
		return
	done
	fail "no namespace $1"
}

# label_dimm N VERSION: write empty labels on the dimm of the N-th --nvdimm.
label_dimm() {
	r=$(region "$1")
	IFS=, read -r dimm _ <"/sys/bus/nd/devices/region$r/mapping0"
	try ndctl disable-region "region$r"
	try ndctl init-labels -f -V "$2" "$dimm"
	try ndctl enable-region "region$r"
}

# rewrite_labels N: the labels of that dimm go into a file, are zeroed and written back, and the dimm is off for a moment.
rewrite_labels() {
	r=$(region "$1")
	IFS=, read -r dimm _ <"/sys/bus/nd/devices/region$r/mapping0"
	try ndctl read-labels "$dimm" -o /tmp/.labels
	try ndctl disable-region "region$r"
	try ndctl zero-labels "$dimm"
	try ndctl write-labels -i /tmp/.labels "$dimm"
	try ndctl disable-dimm "$dimm"
	try ndctl enable-dimm "$dimm"
	try ndctl enable-region "region$r"
}
