#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A user without rights makes a sandbox, where user namespaces are allowed, and gets a clear sentence where a part of it is not. Root
# becomes nobody for this, with programs and images where nobody may read them, and a /dev/fuse for everybody, all in a mount namespace
# of its own.

set -euo pipefail
if ((EUID == 0)); then
	. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires untorn ndctl jq unshare setpriv
[[ -c /dev/fuse ]] || skip "/dev/fuse is missing here"

user=()
truncate -s 64M a.img
mkdir run
if ((EUID == 0)); then
	user=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	mkdir fuse programs
	mount -t tmpfs -o mode=755 tmpfs fuse || skip "tmpfs cannot be mounted here"
	cleanup "umount '$tmp/fuse'"
	mknod fuse/closed c 10 229 2>/dev/null && mknod fuse/open c 10 229 || skip "this root may not make device nodes"
	chmod 600 fuse/closed
	chmod 666 fuse/open
	cp -L "$(command -v untorn)" programs
	while read -r library; do
		cp -L "$library" programs
	done < <(ldd "$(command -v untorn)" | grep -o '/[^ ]*/libuntorn[^ ]*')
	[[ -z ${UNTORN_PRELOAD-} ]] || cp -L "$UNTORN_PRELOAD" programs
	export PATH=$tmp/programs:$PATH LD_LIBRARY_PATH=$tmp/programs
	[[ -z ${UNTORN_PRELOAD-} ]] || export UNTORN_PRELOAD=$tmp/programs/${UNTORN_PRELOAD##*/}
	chmod 711 "$tmp"
	chown 65534:65534 a.img run
	"${user[@]}" test -x "$tmp/programs/untorn" || skip "nobody may not enter $tmp"
fi
"${user[@]}" unshare -Urm true 2>/dev/null || skip "this system allows no user namespaces to a user without rights"
as_user() {
	"${user[@]}" env XDG_RUNTIME_DIR="$tmp/run" HOME=/ "$@"
}
a=(--nvdimm "mem-path=$tmp/a.img")

# Where FUSE is for root only.
if ((EUID == 0)); then
	mount --bind fuse/closed /dev/fuse
	run_status 125 as_user untorn sandbox "${a[@]}" -- true
	assert_match "closed" "$err" "untorn: /dev/fuse: no access: Permission denied"
	assert_equal "left behind" "$(ls run)" ""
	umount /dev/fuse
	mount --bind fuse/open /dev/fuse
	cleanup "umount /dev/fuse"
fi
as_user sh -c 'exec 3<>/dev/fuse' 2>/dev/null || skip "this user may not open /dev/fuse"

run_status 7 as_user untorn sandbox "${a[@]}" -- sh -c 'id -u; exit 7'
assert_equal "user inside" "$out" 0
run_status 0 as_user untorn ndctl "${a[@]}" -- create-namespace -e namespace0.0 -f -m sector -l 512 --no-autolabel
assert_equal "disk" "$(jq -r '"\(.mode) \(.sector_size) \(.blockdev)"' <<<"$out")" "sector 512 pmem0s"
head -c 1M /dev/urandom >data
chmod 644 data
run_status 0 as_user untorn sandbox "${a[@]}" -- dd if="$tmp/data" of=/dev/pmem0s bs=4096 conv=notrunc,fsync status=none
run_status 0 untorn check a.img
untorn export a.img exported
cmp -n 1M data exported
assert_equal "owner of the image" "$(stat -c %u a.img)" "$("${user[@]}" id -u)"

# A mount, with fusermount3, is this user's alone.
if command -v fusermount3 >/dev/null; then
	mkdir mnt
	((EUID != 0)) || chown 65534:65534 mnt
	run_status 0 as_user untorn mount "$tmp/a.img" "$tmp/mnt" --background
	as_user cmp -n 1M "$tmp/data" "$tmp/mnt/dev/pmem0s"
	((EUID != 0)) || run_status 1 test -e mnt/sys
	as_user fusermount3 -u "$tmp/mnt"
	wait_until untorn check a.img >log 2>&1
fi

# Others of this user join it, and see the same.
mkfifo hold
chmod 666 hold
as_user untorn sandbox "${a[@]}" --pid-file "$tmp/run/pid" -- cat "$tmp/hold" >held &
sandbox=$!
exec {hold}>hold
wait_until test -s run/pid
run_status 0 as_user untorn sandbox --join "$tmp/run/pid" -- ndctl list -N
assert_jq '.[0].mode' sector
run_status 5 as_user untorn sandbox --join "$tmp/run/pid" -- sh -c 'exit 5'
exec {hold}>&-
wait "$sandbox"
assert_equal "left behind" "$(ls run)" ""

# Where the user may make no namespace at all.
# shellcheck disable=SC2016
refused='echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set -all --inh-caps -all "$@"'
assert_refused 125 "this system allows no private mounts \(.*\): run as root, or allow user namespaces" \
	as_user unshare -Ur sh -c "$refused" sh untorn sandbox "${a[@]}" -- true
assert_equal "left behind" "$(ls run)" ""
