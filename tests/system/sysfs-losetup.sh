#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A loop device on the file of a btt disk: a file system is made on it, takes a tree, and is clean and complete when it was
# unmounted and when the devices were mounted again.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sysfs-lib.sh"
export PATH=$PATH:/sbin:/usr/sbin
requires losetup mkfs.ext4 e2fsck blockdev

truncate -s 192M nv0.img
dimm=(--nvdimm mem-path=nv0.img,label-size=128K)
mkdir fs
loop=''
# shellcheck disable=SC2016 # to be expanded at the end
cleanup 'umount "$tmp/fs" 2>/dev/null; [[ -z $loop ]] || losetup -d "$loop" 2>/dev/null'

# attach: the disk as $loop. Another program may take a free device in between: then again.
attach() {
	local tries
	for ((tries = 0; tries < 10; tries++)); do
		loop=$(losetup --find --show "$@" "$dir/dev/pmem0s" 2>losetup.log) && return
	done
	skip "no loop device to be had: $(tail -n 1 losetup.log) (needs root, and /dev/loop-control)"
}

detached() {
	! losetup "$loop" >losetup.log 2>&1
}

detach() {
	losetup -d "$loop"
	wait_until detached
	loop=''
}

tree_of() {
	(cd "$1" && find . -path ./lost+found -prune -o -printf '%p %m %s %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 md5sum)
}

for size in 512 4096; do
	run_status 0 untorn create-namespace -s 96M -m sector -l "$size" "${dimm[@]}"
	mount_devices "${dimm[@]}"
	attach --sector-size "$size"
	assert_equal "size" "$(blockdev --getsize64 "$loop")" "$(size_of "$dir/dev/pmem0s")"
	assert_equal "logical block" "$(blockdev --getss "$loop")" "$size"
	mkfs.ext4 -qF "$loop"
	mount "$loop" fs 2>mount-fs.log || skip "ext4 cannot be mounted: $(head -n 1 mount-fs.log) (needs the machine's root)"
	cp -a "$source_dir/lib" "$source_dir/tests" "$source_dir/docs" fs
	tree_of fs >before
	umount fs
	e2fsck -fn "$loop" >fsck.log 2>&1 || fail "$(<fsck.log)"
	detach
	stop_mount
	run_status 0 untorn check nv0.img

	mount_devices "${dimm[@]}"
	attach --sector-size "$size"
	e2fsck -fn "$loop" >fsck.log 2>&1 || fail "$(<fsck.log)"
	mount -o ro "$loop" fs
	tree_of fs >after
	cmp before after
	diff -r "$source_dir/lib" fs/lib
	umount fs
	detach
	stop_mount
	run_status 0 untorn destroy-namespace -f all "${dimm[@]}"
done
