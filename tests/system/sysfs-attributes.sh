#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The files below sys as programs use them: the way to a btt and back with echo and cat alone, the errno of each wrong order
# (docs/DEVICES.md 3, 5, 9, 10, 13), and what an attribute file is: modes, sizes, writes, reads, links, numbers.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sysfs-lib.sh"
requires jq

truncate -s 64M nv0.img
dimm=(--nvdimm mem-path=nv0.img,label-size=128K)
run_status 0 untorn init-labels nmem0 -V 1.2 "${dimm[@]}"
mount_devices "${dimm[@]}"
wait_probe
region=$devices/region0
namespace=$devices/namespace0.0
uuid1=01234567-89ab-4cde-8f01-23456789abcd
uuid2=11234567-89ab-4cde-8f01-23456789abcd

# --------------------------------------------------------------------- with echo and cat alone

shows "$region/namespace_seed" namespace0.0
echo $uuid1 >"$namespace/uuid"
echo 0x2000000 >"$namespace/size"
shows "$namespace/uuid" $uuid1
shows "$namespace/size" 33554432
btt=$devices/$(cat "$region/btt_seed")
echo $uuid2 >"$btt/uuid"
echo 4096 >"$btt/sector_size"
shows "$btt/sector_size" "512 520 528 [4096] 4104 4160 4224 "
echo namespace0.0 >"$btt/namespace"
shows "$namespace/holder" btt0.0
shows "$namespace/mode" safe
echo btt0.0 >"$nd/drivers/nd_pmem/bind"
wait_probe
shows "$btt/size" 32440320
shows "$btt/uuid" $uuid2
shows "$btt/block/pmem0s/size" 63360
shows "$region/btt_seed" btt0.1
shows "$region/namespace_seed" namespace0.1
[[ -f $dir/dev/pmem0s ]] || fail "the btt has no disk"

# And back.
echo btt0.0 >"$nd/drivers/nd_pmem/unbind"
assert_missing "$dir/dev/pmem0s"
shows "$namespace/holder" btt0.0
echo >"$btt/namespace"
wait_probe
assert_missing "$btt"
shows "$namespace/holder" ""
echo 0 >"$namespace/size"
wait_probe
shows "$namespace/size" 0
shows "$namespace/uuid" ""

# ------------------------------------------------------------------------------- wrong orders

btt=$devices/btt0.1
store ENXIO "$namespace/size" 0x2000000 # without a uuid
store EINVAL "$namespace/uuid" 0123
store ok "$namespace/uuid" $uuid1
store EINVAL "$namespace/size" 33554433
store EINVAL "$namespace/size" " 33554432"
store ERANGE "$namespace/size" 99999999999999999999
store ENOSPC "$namespace/size" 0x40000000
store ENXIO "$btt/namespace" namespace0.0 # smaller than 16 MiB
store ok "$namespace/size" 0x2000000
store ENODEV "$nd/drivers/nd_pmem/bind" btt0.1 # no namespace
store ENODEV "$nd/drivers/nd_pmem/bind" btt9.9
store ENODEV "$nd/drivers/nd_pmem/bind" nmem0 # not one of its devices
store ENODEV "$nd/drivers/nd_pmem/unbind" btt0.1
store ENODEV "$nd/drivers_probe" btt9.9
store EINVAL "$btt/namespace" pmem0
store ENODEV "$btt/namespace" namespace7.7
store EINVAL "$btt/sector_size" 1000
store EINVAL "$btt/uuid" zzz
store ok "$btt/namespace" namespace0.0
store EBUSY "$btt/namespace" namespace0.0
store EBUSY "$namespace/uuid" $uuid2
store EBUSY "$namespace/size" 0
store EBUSY "$namespace/alt_name" name
store EBUSY "$namespace/sector_size" 512
store EBUSY "$namespace/holder_class" btt
store ok "$namespace/force_raw" 0
store ENXIO "$nd/drivers/nd_pmem/bind" namespace0.0   # claimed
store ENODEV "$nd/drivers/nd_pmem/bind" btt0.1        # neither uuid nor sector size
store ok "$btt/uuid" $uuid2
store ENODEV "$nd/drivers/nd_pmem/bind" btt0.1
store ok "$btt/sector_size" 4096
store ok "$nd/drivers/nd_pmem/bind" btt0.1
store EBUSY "$nd/drivers/nd_pmem/bind" btt0.1
for file in uuid sector_size namespace; do
	store EBUSY "$btt/$file" ""
done
store EBUSY "$nd/drivers/nd_region/bind" region0
store ok "$nd/drivers/nd_pmem/unbind" btt0.1
store ok "$btt/namespace" ""
wait_probe
assert_missing "$btt"

# Media hold a BTT: the namespace's own probe ends with ENXIO, and another btt comes up.
store ENXIO "$nd/drivers/nd_pmem/bind" namespace0.0
wait_probe
btt=$devices/$(<"$namespace/holder")
shows "$btt/uuid" $uuid2
store ok "$nd/drivers_probe" namespace0.0
store EINVAL "$namespace/uevent" nonsense
store ok "$namespace/uevent" change

# ------------------------------------------------------------------- the btt is detached and destroyed for what follows

store ok "$nd/drivers/nd_pmem/unbind" "${btt##*/}"
store ok "$btt/namespace" ""
wait_probe
assert_missing "$btt"
btt=$devices/$(<"$region/btt_seed")

# A name is all of the text, but for one newline at its end.
for name in "namespace0.0\\nx" "namespace0.0\\n" " namespace0.0" "namespace0.0 " ""; do
	store ENODEV "$nd/drivers/nd_pmem/bind" "$name"
	store ENODEV "$nd/drivers_probe" "$name"
done

# -------------------------------------------------------------------------------- one write, one store

calls "$namespace/alt_name" both
told 5 text 0 "alpha"
told "6 alpha\\n" get 0 100
told 4 text 3 "beta" # whatever the offset
told "5 beta\\n" get 0 100
told "2 be" get 0 2
told "3 ta\\n" get 2 100
told "0 " get 5 100
told "0 " get 4096 100
told 9 text 0 "gamma\\0xyz" # ended by NUL, and all counts as taken
told "6 gamma\\n" get 0 100
told 0 text 0 ""
told "6 gamma\\n" get 0 100
told 4096 size
told 0 truncate 0
told "6 gamma\\n" get 0 100
told 0 fsync
told EOPNOTSUPP allocate 0 10
close_file
: >"$namespace/alt_name" # O_TRUNC and no write
shows "$namespace/alt_name" gamma
opens 0 "$namespace/alt_name" write trunc
printf '%s' '' >"$namespace/alt_name"
shows "$namespace/alt_name" gamma
printf 'delta\n' >>"$namespace/alt_name"
shows "$namespace/alt_name" delta
echo 512 >"$btt/sector_size"
printf '4096' >"$btt/sector_size"
shows "$btt/sector_size" "512 520 528 [4096] 4104 4160 4224 "
# What a descriptor reads from its start is what there is then.
calls "$namespace/alt_name" read
told "6 delta\\n" get 0 100
echo epsilon >"$namespace/alt_name"
told "2 a\\n" get 4 5 # the rest of what was read before
told "8 epsilon\\n" get 0 100
close_file
calls "$namespace/alt_name" read
told "4 lon\\n" get 4 100 # the first read of this descriptor
close_file

# --------------------------------------------------------------------------------------- modes

check_mode() { # MODE FILE
	assert_equal "mode and size of $2" "$(stat -c '%a %s %F' "$2")" "$1 4096 regular file"
	case $1 in
	4??) opens EACCES "$2" write && opens EACCES "$2" both ;;
	2??) opens EACCES "$2" read && opens EACCES "$2" both ;;
	esac
	case $1 in
	[46]??) opens 0 "$2" read ;;
	esac
}
check_mode 444 "$namespace/nstype"
check_mode 444 "$btt/size"
check_mode 400 "$namespace/resource"
check_mode 644 "$btt/uuid"
check_mode 200 "$nd/drivers/nd_pmem/bind"
check_mode 200 "$nd/drivers_probe"
check_mode 644 "$nd/drivers_autoprobe"
while IFS= read -r file; do
	check_mode "$(stat -c %a "$file")" "$file"
done < <(find "$dir/sys" -type f)

# Nothing can be made, removed, renamed, or given another mode or owner.
for command in "touch $nd/new" "mkdir $nd/new" "ln -s x $nd/new" "rm $btt/uuid" "rmdir $dir/sys/class" \
	"mv $btt/uuid $btt/uuid2" "ln $btt/uuid $btt/uuid2" "chmod 600 $btt/uuid" "chown 1:1 $btt/uuid" \
	"rm -f $dir/dev/nmem0" "touch $dir/dev/pmem9" "mknod $dir/dev/pmem9 b 1 1"; do
	# shellcheck disable=SC2086 # words
	run_status 1 $command
done
assert_equal "modes after that" "$(stat -c '%a %u' "$btt/uuid")" "644 $(id -u)"

# -------------------------------------------------------------------------------------- the table and the tree

# device-script prints the attributes that the library's devices have, with their modes: each is a file, and each file is one.
attributes() { # DEVICE
	find "$(readlink -f "$devices/$1")" -mindepth 1 \( -type d ! -name nfit -prune \) -o -type f ! -name uevent \
		-printf '  %P %m\n' | LC_ALL=C sort
}
listed=(ndbus0 nmem0 region0 namespace0.0 "$(<"$region/btt_seed")")
for device in "${listed[@]}"; do
	echo "attributes $device"
	attributes "$device"
done >files

# -------------------------------------------------------------------------------------- links

store ok "$namespace/force_raw" 1
store ok "$nd/drivers/nd_pmem/bind" namespace0.0
[[ -f $dir/dev/pmem0 ]] || fail "no raw disk"

leads() { # LINK TARGET
	assert_equal "where ${1#"$dir"/} leads" "$(readlink -e "$1")" "$(readlink -e "$2")"
	[[ $(readlink "$1") == ../* ]] || fail "$1 leads out of the tree: $(readlink "$1")"
}
bus=$dir/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0
leads "$nd/devices/ndbus0" "$bus"
leads "$nd/devices/nmem0" "$bus/nmem0"
leads "$region" "$bus/region0"
leads "$namespace" "$bus/region0/namespace0.0"
leads "$btt" "$bus/region0/${btt##*/}"
leads "$namespace/driver" "$nd/drivers/nd_pmem"
leads "$nd/drivers/nd_pmem/namespace0.0" "$namespace"
leads "$region/driver" "$nd/drivers/nd_region"
leads "$bus/nmem0/driver" "$nd/drivers/nvdimm"
leads "$bus/driver" "$nd/drivers/nd_bus"
for device in "$nd"/devices/*; do
	leads "$device/subsystem" "$nd"
done
leads "$namespace/block/pmem0/device" "$namespace"
leads "$namespace/block/pmem0/subsystem" "$dir/sys/class/block"
leads "$dir/sys/block/pmem0" "$namespace/block/pmem0"
leads "$dir/sys/class/block/pmem0" "$namespace/block/pmem0"
leads "$dir/sys/dev/block/$(<"$namespace/block/pmem0/dev")" "$namespace/block/pmem0"
leads "$dir/sys/class/nd/ndctl0" "$bus/nd/ndctl0"
leads "$bus/nd/ndctl0/device" "$bus"
leads "$bus/nd/ndctl0/subsystem" "$dir/sys/class/nd"
leads "$dir/sys/dev/char/$(<"$bus/nd/ndctl0/dev")" "$bus/nd/ndctl0"
leads "$dir/sys/dev/char/$(<"$bus/nmem0/dev")" "$bus/nmem0"
assert_equal "links that lead nowhere" "$(find "$dir" -xtype l)" ""

# ----------------------------------------------------------------------------------- inode numbers

numbers() {
	find "$dir" -printf '%i %y %P\n' | sort -k 3
}
first=$(numbers)
assert_no_match "number 0" $'\n'"$first" $'\n0 '
# Links with the same text are one node with several names.
assert_equal "entries that share a number" "$(grep -v '^[0-9]* l ' <<<"$first" | cut -d ' ' -f 1 | sort | uniq -d)" ""
ls -iR "$dir" >/dev/null
if [[ -w /proc/sys/vm/drop_caches ]]; then
	echo 2 2>/dev/null >/proc/sys/vm/drop_caches || :
fi
assert_equal "numbers at the second look" "$(numbers)" "$first"
# shellcheck disable=SC2012 # readdir's numbers are wanted
assert_equal "numbers of readdir, and of stat" "$(ls -i1U "$namespace/" | awk '{print $1}' | sort)" \
	"$(stat -c %i "$namespace"/* | sort)"

# ------------------------------------------------------------------------- what vanishes while it is looked at

calls "$namespace/size" read
store ok "$nd/drivers/nd_region/unbind" region0
told ENODEV get 0 100
close_file
assert_missing "$namespace"
store ok "$nd/drivers/nd_region/bind" region0
wait_probe

# Without labels the same name is another kind of namespace: other attributes, other modes. Nobody remembers the old ones.
labels_are() { # FILE
	echo region0 >"$nd/drivers/nd_region/unbind"
	echo nmem0 >"$nd/drivers/nvdimm/unbind"
	dd if="$1" of="$dir/dev/nmem0" bs=128K count=1 conv=notrunc status=none
	echo nmem0 >"$nd/drivers/nvdimm/bind"
	echo region0 >"$nd/drivers/nd_region/bind"
	wait_probe
}
cp "$dir/dev/nmem0" labels
for _ in 1 2; do
	check_mode 644 "$namespace/size"
	check_mode 644 "$namespace/uuid"
	labels_are /dev/zero
	check_mode 444 "$namespace/size"
	assert_missing "$namespace/uuid"
	opens ENOENT "$namespace/uuid" read
	assert_no_match "listing" "$(ls "$namespace")" "uuid"
	labels_are labels
done

stop_mount

# The same devices without a file system.
for device in "${listed[@]}"; do
	echo "attributes $device"
done | device-script mem-path=nv0.img,label-size=128K | grep -v '^  uevent ' >table
cmp files table || fail "files and attributes differ: $(diff files table)"
