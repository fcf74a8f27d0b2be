# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# To be sourced after functions.sh by a test that runs commands in a sandbox.

# requires_sandbox: skip the test where none can be made.
requires_sandbox() {
	[[ -c /dev/fuse ]] || skip "/dev/fuse is missing here"
	truncate -s 16M "$tmp/.probe"
	if ! untorn sandbox --nvdimm "mem-path=$tmp/.probe" -- true 2>"$tmp/.why"; then
		! grep -q 'allows no private mounts' "$tmp/.why" || skip "this user may make no mount namespace (unshare)"
		! grep -q 'cannot mount a FUSE' "$tmp/.why" || skip "this user may not mount FUSE file systems"
		fail "a sandbox cannot be made: $(<"$tmp/.why")"
	fi
	rm "$tmp/.probe" "$tmp/.why"
}
