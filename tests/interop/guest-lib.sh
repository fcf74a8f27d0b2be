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
