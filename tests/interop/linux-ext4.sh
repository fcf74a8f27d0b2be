#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ext4 on our sectors. The guest makes a file system on the NBD disk that `untorn serve` offers, and one on the BTT disk that its
# own kernel makes of a volume of ours; it copies a tree, unmounts, checks and compares. Then the host exports both
# volumes, checks the file systems and compares the files.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn nbdkit mke2fs e2fsck debugfs

make_volume "$tmp/served.img" 64M --sector-size 4096
make_volume "$tmp/nvdimm.img" 64M --sector-size 512

exec {out}< <(exec untorn serve "$tmp/served.img" --socket "$tmp/socket")
server=$!
cleanup 'kill "$server" 2>/dev/null || :'
IFS= read -r -t 60 -u "$out" uri || fail "untorn serve did not start"
[[ $uri == nbd+unix:* ]] || fail "untorn serve printed '$uri'"

cat >"$tmp/script" <<'GUEST'
tree="/modules /lib /bin/busybox"
sums() {
	find $tree -type f | sort | (cd "$1" && sed 's,^/,./,' | xargs md5sum)
}
sums / >/tmp/sums
for disk in /dev/vda /dev/pmem$(region 0)s; do
	[ -b $disk ] || fail "no $disk"
	try mkfs.ext4 -q $disk
	try mount -t ext4 $disk /mnt
	tar -c -f - $tree 2>/dev/null | tar -x -f - -C /mnt || fail "copying to $disk"
	rm /mnt/modules/ext4.ko
	cp /modules/ext4.ko /mnt/modules/
	try umount /mnt
	try e2fsck -fn $disk
	no_cache
	try mount -t ext4 -o ro $disk /mnt
	sums /mnt | cmp - /tmp/sums || fail "the files on $disk differ"
	try umount /mnt
done
sed 's/^/sum: /' /tmp/sums
GUEST
guest --nbd "$tmp/socket" --nvdimm "$tmp/nvdimm.img" -- "$tmp/script" >"$tmp/log" || {
	status=$?
	cat "$tmp/log"
	exit "$status"
}
guest_said sum >"$tmp/sums"
files=$(wc -l <"$tmp/sums")
[[ $files -gt 20 ]] || fail "only $files files"

kill -TERM "$server"
status=0
wait "$server" || status=$?
exec {out}<&-
assert_equal "status of untorn serve" "$status" 0

for volume in served nvdimm; do
	assert_equal "interrupted writes of $volume" "$(consistent "$tmp/$volume.img")" 0
	untorn export "$tmp/$volume.img" "$tmp/$volume.ext4"
	e2fsck -fn "$tmp/$volume.ext4" >"$tmp/fsck" 2>&1 || {
		cat "$tmp/fsck"
		fail "$volume: e2fsck"
	}
	mkdir "$tmp/$volume"
	debugfs -R "rdump / $tmp/$volume" "$tmp/$volume.ext4" 2>/dev/null
	(cd "$tmp/$volume" && md5sum --quiet -c "$tmp/sums") || fail "$volume: files differ"
	echo "$volume: $files files equal"
done
