#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The unit and the drop-in of examples/, under Debian's systemd in a guest: devices as files and a file system over a disk of
# theirs, from boot to shutdown; a kill, after which both come back with what was flushed; stops, after which nothing is left
# and the images are clean; platform files that are missing or wrong.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export PATH=$PATH:/sbin:/usr/sbin
requires untorn mke2fs e2fsck debugfs

# Two platforms of one NVDIMM: `plain`, and `disk` with an ext4 file system. The guest has them on its first virtio disk.
mkdir images tree
random_data 1000000 tree/data
for name in plain disk; do
	truncate -s 40M "images/$name.img"
	try untorn create-namespace --nvdimm "mem-path=images/$name.img,label-size=128K" -m sector -s 32M
done
try untorn export images/disk.img ext4
try mke2fs -q -t ext4 -b 4096 -d tree ext4
try untorn import images/disk.img ext4
truncate -s 128M images.ext4
try mke2fs -q -t ext4 -d images images.ext4

# As the comments of the examples tell it.
units=root/etc/systemd/system
mkdir -p root/usr/{bin,lib} root/{images,etc/untorn,mnt} "$units"/{multi-user.target.wants,untorn-mount@disk.service.d}
ln -s /host/untorn root/usr/bin/untorn
ldd "$(command -v untorn)" | sed -n 's/.*=> \([^ ]*libuntorn[^ ]*\).*/\1/p' | xargs cp -t root/usr/lib
cp "$source_dir/examples/untorn-mount@.service" "$units/"
cp "$source_dir/examples/untorn-mount-disk.conf" "$units/untorn-mount@disk.service.d/"
ln -s ../untorn-mount@.service "$units/multi-user.target.wants/untorn-mount@disk.service"
sed -n 's/^#\t\(.*x-systemd.*\)/\1/p' "$source_dir/examples/untorn-mount-disk.conf" | sed 's/NAME/disk/g' >root/etc/fstab
for name in plain disk; do
	echo "{\"dimms\": [{\"mem-path\": \"/images/$name.img\", \"label-size\": \"128K\"}]}" >"root/etc/untorn/$name.json"
done
echo '{"dimms": [{"mem-path": "/images/gone.img"}]}' >root/etc/untorn/no-image.json
echo '{"dimms": [' >root/etc/untorn/no-json.json

# Where no udev tells of /dev/vda, a unit of type mount would wait for it.
cat >"$units/images.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=systemd-modules-load.service
Before=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount /dev/vda /images
UNIT
mkdir "$units/local-fs.target.wants"
ln -s ../images.service "$units/local-fs.target.wants/"

cat >script <<'GUEST'
at_the_end() {
	[ $? = 0 ] || {
		journalctl --no-pager -o short-monotonic -u 'untorn-mount@*' -u mnt.mount
		losetup --list
		grep -e untorn -e loop /proc/mounts
	}
}
trap at_the_end EXIT

assert() {
	"$@" || fail "line ${BASH_LINENO[*]}: $*"
}
shows() { # UNIT PROPERTY VALUE
	[ "$(systemctl show -P "$2" "$1")" = "$3" ]
}
is_mounted() {
	mountpoint -q /mnt
}
has_data() { # FILE
	[ -n "$(dd if="$1" bs=4096 skip=1010 count=1 status=none | tr -d '\0' | head -c 1)" ]
}
io_errors() {
	dmesg | grep -c 'I/O error' || :
}

# is_up NAME: it is active, and its files are there.
is_up() {
	assert systemctl -q is-active "untorn-mount@$1"
	assert test -d "/run/untorn/$1/sys/bus/nd/devices/btt0.1"
	assert test -f "/run/untorn/$1/dev/pmem0s"
	! untorn check "/images/$1.img" >/tmp/check 2>&1 || fail "$1.img is not locked"
	assert grep -q 'in use by process' /tmp/check
}

# is_back NAME: it was started again.
is_back() {
	! systemctl -q is-failed "untorn-mount@$1" || fail "$1 stays dead"
	shows "untorn-mount@$1" NRestarts 1 && systemctl -q is-active "untorn-mount@$1"
}

# has_disk: one loop device, on what the server that runs now shows.
has_disk() {
	file=/run/untorn/disk/dev/pmem0s
	assert test "$(losetup --list --noheadings --output BACK-FILE,DIO,LOG-SEC | tr -s ' ')" = "$file 1 4096"
	assert test "$(losetup --associated $file --noheadings --output NAME)" = "$(readlink /run/untorn/disk.disk)"
}

# is_down NAME: nothing is left of it, and its image is free, clean, and without a lane to recover.
is_down() {
	assert shows "untorn-mount@$1" Result success
	assert test -z "$(grep "/run/untorn/$1" /proc/mounts)"
	assert test -z "$(find /run/untorn -name "$1*")"
	[ "$1" = plain ] || assert test -z "$(losetup --list)"
	untorn check --all "/images/$1.img" >/tmp/check 2>&1 || fail "$(cat /tmp/check)"
	! grep flog-pending /tmp/check || fail "a lane of $1 is pending"
	try untorn check-labels --nvdimm "mem-path=/images/$1.img" all
}

# At boot, and by hand.
await is_mounted
is_up disk
has_disk
assert cmp /host/data /mnt/data
systemctl enable --now untorn-mount@plain
is_up plain
assert test -h /etc/systemd/system/multi-user.target.wants/untorn-mount@plain.service
echo "passed: start"

# Killed while somebody writes. What was flushed before is there when they are back.
dd if=/host/data of=/run/untorn/plain/dev/pmem0s bs=4096 conv=notrunc,fsync status=none
cp /host/data /mnt/flushed
sync -f /mnt/flushed
for name in plain disk; do
	file=/run/untorn/plain/dev/pmem0s
	[ $name = plain ] || file=/mnt/not-flushed
	dd if=/dev/urandom of=$file bs=4096 seek=1000 count=5000 oflag=dsync conv=notrunc status=none 2>/tmp/dd &
	await has_data $file
	systemctl kill -s KILL untorn-mount@$name
	! wait $! || fail "the writer to $file did not notice"
	await is_back $name
	is_up $name
done
await is_mounted
await shows mnt.mount ActiveState active
has_disk
assert cmp /host/data /mnt/data
assert cmp /host/data /mnt/flushed
assert cmp -n 1000000 /host/data /run/untorn/plain/dev/pmem0s
echo "passed: kill"

# Stopped; a file system that was mounted by hand is unmounted, too.
errors=$(io_errors)
systemctl stop untorn-mount@plain
is_down plain
cp /host/data /mnt/fstab
systemctl stop untorn-mount@disk
assert shows mnt.mount ActiveState inactive
is_down disk
systemctl start untorn-mount@disk
mkdir /tmp/by-hand
mount /run/untorn/disk.disk /tmp/by-hand
assert cmp /host/data /tmp/by-hand/fstab
cp /host/data /tmp/by-hand/hand
systemctl stop untorn-mount@disk
is_down disk
assert test ! -e /tmp/by-hand/hand
assert test "$(io_errors)" = "$errors"
echo "passed: stop"

# What cannot start says why, at once and once.
while read -r name sentence; do
	! systemctl start untorn-mount@$name 2>/tmp/start || fail "$name starts"
	assert systemctl -q is-failed untorn-mount@$name
	assert shows untorn-mount@$name NRestarts 0
	journalctl -o cat -u untorn-mount@$name >/tmp/log
	assert grep -F -q "untorn: $sentence" /tmp/log
	assert test ! -e /run/untorn/$name
done <<-'SENTENCES'
	missing /etc/untorn/missing.json: No such file or directory
	no-image /images/gone.img: there is no such file
	no-json /etc/untorn/no-json.json:
SENTENCES
echo "passed: refusals"

# All of it runs when the guest is shut down.
systemctl start untorn-mount@plain mnt.mount
assert cmp /host/data /mnt/hand
cp /host/data /mnt/last
dd if=/host/data of=/run/untorn/plain/dev/pmem0s bs=4096 seek=1000 conv=notrunc status=none
GUEST

guest --systemd --disk images.ext4 --files root --copy "$(command -v untorn)" --copy tree/data -- script
assert_equal "steps" "$(guest_said passed | xargs)" "start kill stop refusals"

for name in plain disk; do
	debugfs -R "dump /$name.img $name.img" images.ext4 2>/dev/null
	assert_equal "interrupted writes of $name" "$(consistent $name.img)" 0
	labels_sound --nvdimm "mem-path=$name.img"
	try untorn export $name.img $name.data
done
cmp -n 1000000 <(tail -c +$((1000 * 4096 + 1)) plain.data) tree/data || fail "plain: the last writes are lost"
e2fsck -fn disk.data >fsck.log 2>&1 || fail "$(<fsck.log)"
for file in data flushed fstab hand last; do
	debugfs -R "cat /$file" disk.data 2>/dev/null | cmp - tree/data || fail "disk: $file differs"
done
