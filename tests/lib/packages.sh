# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Debian 12 packages by name: what ./quickstart and ./check install. To be sourced.

# To build, and for the quickstart. dpkg-dev tells meson where Debian keeps libraries.
packages_build=(gcc libc6-dev dpkg-dev meson ninja-build pkgconf libpmem-dev libpmem2-dev libblkid-dev uuid-dev
	libjson-c-dev libfuse3-dev fuse3 libcmocka-dev libnbd-dev libnbd-bin nbdkit nbdkit-plugin-dev e2fsprogs fio
	ndctl)

# For all tests: other compilers, peers, and the parts of a Linux guest (its kernel is fetched by tests/interop/guest).
packages_check=(clang clang-format shellcheck mandoc jq xz-utils util-linux fdisk dosfstools xfsprogs gnutls-bin python3
	libpmemblk-dev pmdk-tools qemu-system-x86 qemu-utils busybox-static daxctl cpio kmod systemd)

# missing_packages PACKAGE...: those that are not installed, one per line. Nothing where there is no dpkg to ask.
missing_packages() {
	local package status
	command -v dpkg-query >/dev/null || return 0
	for package; do
		status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || status=
		[[ $status == "install ok installed" ]] || echo "$package"
	done
}
