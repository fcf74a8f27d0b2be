#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The files below dev: disks are read, written, discarded and flushed as files, what was written is there afterwards for
# other commands, and the end of the server leaves nothing pending, also when somebody holds a file open.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sysfs-lib.sh"
requires jq

truncate -s 192M nv0.img
dimm=(--nvdimm mem-path=nv0.img,label-size=128K)
run_status 0 untorn create-namespace -s 32M -m sector -l 512 "${dimm[@]}"
run_status 0 untorn create-namespace -s 32M -m sector -l 4096 "${dimm[@]}"
run_status 0 untorn create-namespace -s 32M -m raw "${dimm[@]}"
mount_devices "${dimm[@]}"
small=$dir/dev/pmem0s
large=$dir/dev/pmem0.1s
raw=$dir/dev/pmem0.2
assert_equal "files" "$(cd "$dir/dev" && echo *)" "ndctl0 nmem0 pmem0.1s pmem0.2 pmem0s"
mkdir other
assert_refused 1 "nv0.img: .*in use by process $mount_pid" untorn mount "${dimm[@]}" other

# ----------------------------------------------------------------- random calls, beside a copy in a plain file

for disk in "$small" "$large" "$raw"; do
	size=$(size_of "$disk")
	assert_equal "size of ${disk##*/}" "$size" $((512 * $(<"$dir/sys/block/${disk##*/}/size")))
	copy=$tmp/copy-${disk##*/}
	truncate -s "$size" "$copy"
	for how in "both 1" "both direct 4096" "both sync 1" "both dsync direct 4096"; do
		# shellcheck disable=SC2086 # words
		calls "$disk" ${how% *}
		assert_equal "open, $how" "$opened" 0
		told same random 150 "$RANDOM" "$copy" "${how##* }"
		close_file
	done
	cmp "$disk" "$copy"
done

# ------------------------------------------------------------------------------------- single calls

for disk in "$small" "$large" "$raw"; do
	size=$(size_of "$disk")
	calls "$disk" both
	told 10000 fill 777 10000 65
	told yes has 777 10000 65
	told 0 punch 1000 5000
	told yes has 1000 5000 0
	told yes has 777 223 65
	told 0 zero 6100 2000
	told yes has 6100 2000 0
	told yes has 6000 100 65
	told EOPNOTSUPP allocate 0 4096
	told EINVAL punch $((size - 10)) 20
	told 100 fill $((size - 100)) 4096 66 # as much as there is room for
	told ENOSPC fill "$size" 10 66
	told ENOSPC fill $((size + 4096)) 10 66
	told "0 " get "$size" 10
	told yes has $((size - 100)) 100 66
	told 0 fsync
	told 0 fdatasync
	told 0 truncate 0
	told "$size" size
	close_file
	opens 0 "$disk" write trunc
	assert_equal "size after O_TRUNC" "$(size_of "$disk")" "$size"
done

# A raw disk by shared mmap: what one does, the other sees.
calls "$raw" both
told 0 map 65536
told 3 text 5000 abc
told 97 peek 5000
told 0 poke 9000 90
told 0 msync
told "1 Z" get 9000 1
# What is stored and not written out yet survives another's O_TRUNC, of which a disk knows nothing.
told 0 poke 9000 91
opens 0 "$raw" write trunc
told 91 peek 9000
told 0 msync
told "1 [" get 9000 1
close_file
cp "$raw" copy-pmem0.2

# ----------------------------------------------------------------------------------------- the label area

calls "$dir/dev/nmem0" both
told 131072 size
told "11 NAMESPACE_I" get 0 11
told EBUSY fill 0 256 0 # its namespaces are active
told EBUSY fill 131071 1 0
told EINVAL fill 131000 256 0
told "0 " get 131072 10
close_file
cp "$dir/dev/nmem0" labels
tail -c 128K nv0.img | cmp - labels
echo region0 >"$nd/drivers/nd_region/unbind"
assert_equal "disks" "$(ls "$dir/sys/block")" ""
calls "$dir/dev/nmem0" both
told 5 text 130000 "label"
told 5 fill 130000 5 0
close_file
cmp labels "$dir/dev/nmem0"
store ENXIO "$nd/drivers/nd_region/bind" region0 # written labels count from the dimm's next probe on
echo nmem0 >"$nd/drivers/nvdimm/unbind"
echo nmem0 >"$nd/drivers/nvdimm/bind"
echo region0 >"$nd/drivers/nd_region/bind"
wait_probe

# --------------------------------------------------------------------- the device goes, the file stays open

# A raw disk, which is in the page cache. Its namespace comes back, and the file stays dead.
calls "$raw" both
told 10000 fill 0 10000 65
told yes has 0 10000 65
echo namespace0.2 >"$nd/drivers/nd_pmem/unbind"
for _ in 1 2; do
	told ENXIO get 0 10
	told ENXIO get 20000 10
	told ENXIO text 0 beta
	told ENXIO fsync
	[[ -e $raw ]] || echo namespace0.2 >"$nd/drivers/nd_pmem/bind"
done
close_file
calls "$raw" read
told yes has 0 10000 65
close_file

calls "$small" both
told 5 text 1000 alpha
holder=$(<"$devices/namespace0.0/holder")
echo "$holder" >"$nd/drivers/nd_pmem/unbind"
assert_missing "$small"
told ENXIO get 1000 5
told ENXIO text 1000 beta
told ENXIO fsync
told ENXIO punch 0 4096
echo "$holder" >"$nd/drivers/nd_pmem/bind"
told ENXIO get 1000 5 # for ever
close_file
calls "$small" read
told "5 alpha" get 1000 5
told EBADF text 1000 gamma
close_file

# A read-only region has read-only disks.
echo 1 >"$devices/region0/read_only"
opens EROFS "$large" both
assert_equal "mode" "$(stat -c %a "$large")" 400
echo 0 >"$devices/region0/read_only"
assert_equal "mode" "$(stat -c %a "$large")" 600

# Open files follow it too, also those of a btt that was bound while it was read-only.
calls "$small" both
told 5 text 3000 gamma
echo 1 >"$devices/region0/read_only"
told EROFS text 3000 delta
close_file
echo "$holder" >"$nd/drivers/nd_pmem/unbind"
echo "$holder" >"$nd/drivers/nd_pmem/bind"
opens EROFS "$small" both
calls "$small" read
told "5 gamma" get 3000 5
echo 0 >"$devices/region0/read_only"
told "5 gamma" get 3000 5
opens 0 "$small" both
assert_equal "mode" "$(stat -c %a "$small")" 600
assert_equal "ro" "$(<"$dir/sys/block/${small##*/}/ro")" 0
printf epsilon | dd of="$small" bs=1 seek=3000 conv=notrunc,fsync status=none
told "7 epsilon" get 3000 7
close_file

# ------------------------------------------------------------------------------ the end of the server

# Somebody holds a file open and has written without fsync: it is there all the same.
cp "$large" large
calls "$large" both
told 20000 fill 3000 20000 67
cp "$large" large
cp "$small" small
calls_before=("$calls_in" "$calls_out" "$calls_pid")
calls "$raw" both # stored through a mapping and never synchronised: the end of its process is enough
told 0 map 65536
told 0 poke 12000 77
close_file
cp "$raw" raw
cmp -s -n 65536 raw copy-pmem0.2 && fail "the mapping had no effect"
calls "$raw" both # and through one that outlives the server
told 0 map 65536
told 0 poke 40000 78
stop_mount
for _ in 1 2; do
	ask get 0 10
	assert_match "a call on a file whose server has ended" "$answer" "^(ENOTCONN|ECONNABORTED|EIO)$"
	close_file
	calls_in=${calls_before[0]} calls_out=${calls_before[1]} calls_pid=${calls_before[2]}
done
printf N | dd of=raw bs=1 seek=40000 conv=notrunc status=none

checked() {
	run_status 0 untorn check-labels nmem0 "${dimm[@]}"
	for name in namespace0.0 namespace0.1; do
		run_status 0 untorn check nv0.img --namespace "$name"
		assert_equal "pending lanes of $name" "$(grep -c flog-pending <<<"$out" || :)" 0
	done
}
checked
run_status 0 untorn export nv0.img small.out --namespace namespace0.0
cmp small small.out
run_status 0 untorn export nv0.img large.out --namespace namespace0.1
cmp large large.out

# And by umount from outside.
mount_devices "${dimm[@]}"
calls "$small" both
told 7 text 70000 goodbye
close_file
cp "$small" small
cmp "$raw" raw
umount "$dir"
mount_ended 0
checked
run_status 0 untorn export nv0.img small.out --namespace namespace0.0 --force
cmp small small.out

# A mount that was detached while somebody had it open; the end takes in what is stored in a mapping all the same.
mount_devices "${dimm[@]}"
calls "$raw" both
told 0 map 65536
told 0 poke 50000 79
umount -l "$dir"
stop_mount
close_file
printf O | dd of=raw bs=1 seek=50000 conv=notrunc status=none

# umount -f cuts the server off from a file that is open. It ends, and no dead mount stays.
mount_devices "${dimm[@]}"
calls "$raw" both
told 4 text 60000 hard
umount -f "$dir" 2>"$tmp/ignored" || :
mount_ended 0
close_file
assert_no_match "mounts" "$(</proc/self/mounts)" " $dir "
printf hard | dd of=raw bs=1 seek=60000 conv=notrunc status=none

# --read-only writes nothing.
remember nv0.img
mount_devices --read-only "${dimm[@]}"
opens EROFS "$small" both
cmp "$small" small
cmp "$raw" raw
stop_mount
assert_unchanged
