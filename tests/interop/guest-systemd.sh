# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The file system of a guest whose init is Debian's systemd (`guest --systemd`): the programs and units of some packages of this
# machine, /etc of nobody's, and no udev or D-Bus. Sourced by `guest`, whose functions it uses.

# libgcc-s1: libc loads it to end a thread.
systemd_packages=(base-passwd bash coreutils dash diffutils e2fsprogs findutils grep kmod libgcc-s1 mount sed systemd util-linux)
systemd_modules=(virtio_pci virtio_blk crc32c_generic ext4 fuse loop)

# systemd_root ROOT KERNEL VERSION: make it in the folder ROOT. KERNEL has lib/modules/VERSION.
systemd_root() {
	local root=$1 kernel=$2 version=$3 folder file libraries
	mkdir -p "$root"/{dev,etc/modules-load.d,etc/systemd/system/multi-user.target.wants,mnt,proc,root,run,sys,tmp,var/tmp}
	merge_usr "$root"

	dpkg -L "${systemd_packages[@]}" | sed -n 's,^/,,p' | grep -v -e '^etc/' -e '^usr/share/[^b]' -e '^usr/share/bash-completion/' |
		sort -u | (cd / && while read -r file; do
			[[ -d $file || ! -e $file ]] || echo "$file"
		done) >"$root.files"
	tar -c -C / --no-recursion -T "$root.files" | tar -x -C "$root"
	mapfile -t libraries < <(find "$root/usr" -type f -perm -1 -exec ldd {} + 2>/dev/null | grep -o '[[:space:]]/[^ ]*' |
		tr -d '[:blank:]' | sort -u)
	copy_below "$root" "${libraries[@]}"

	folder=lib/modules/$version
	modules_of "$kernel" "$version" "${systemd_modules[@]}" | sed "s,^$kernel/,," >"$root.modules"
	(cd "$kernel" && xargs cp --parents -t "$root" "$folder"/modules.{builtin,builtin.modinfo,order}) <"$root.modules"
	depmod -b "$root" "$version"

	mv "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
	mv "$root/usr/share/base-passwd/group.master" "$root/etc/group"
	echo guest >"$root/etc/hostname"
	echo 00000000000000000000000000000001 >"$root/etc/machine-id"
	ln -s /proc/mounts "$root/etc/mtab"
	# Without udev, nobody asks for these, and no console appears.
	ln -s /dev/null "$root/etc/systemd/system/getty.target"
	printf '%s\n' virtio_pci virtio_blk >"$root/etc/modules-load.d/guest.conf"
	# For guest-lib.sh.
	cp "$(command -v busybox)" "$root/usr/bin/usleep"

	cat >"$root/etc/systemd/system/guest-script.service" <<-'UNIT'
		[Unit]
		SuccessAction=poweroff
		FailureAction=poweroff
		[Service]
		Type=oneshot
		ExecStart=bash /etc/guest-script
	UNIT
	ln -s ../guest-script.service "$root/etc/systemd/system/multi-user.target.wants/"
	cat >"$root/etc/guest-script" <<-'SCRIPT'
		stty -F /dev/ttyS1 raw -echo
		cd /tmp
		# shellcheck disable=SC2046
		bash -e -o pipefail -c '. /host/.lib; . /host/.script' script $(cat /host/.arguments) </dev/null >/dev/ttyS1 2>&1
		echo "[guest script ended: $?]" >/dev/ttyS1
	SCRIPT
	ln -s usr/lib/systemd/systemd "$root/init"
}
