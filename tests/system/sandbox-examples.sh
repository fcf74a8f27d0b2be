#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the manuals of mount, sandbox and ndctl show works as it stands there, on files that are not there before.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/sandbox.sh"
PATH=$PATH:/usr/sbin:/sbin
requires untorn ndctl mkfs.ext4
requires_sandbox

# examples PAGE: its commands, a line each. Whoever types them sees when one in the background is ready.
examples() {
	awk '/^\.SH/ {inside = /EXAMPLES/} inside && /^\$ / {sub(/^\$ /, ""); print}
		inside && /--pid-file .* &$/ {print "until [ -s sb.pid ]; do read -r -t 0.02 <> <(:) || :; done"}' "$source_dir/cli/man/$1.1"
}

# run PAGE: all of them, in one shell and a folder of its own.
run() {
	examples "$1" >commands
	(($(wc -l <commands) >= 3)) || fail "$1(1) has no examples"
	mkdir "$1"
	(cd "$1" && timeout 60 bash -emx "$tmp/commands") >log 2>&1 || fail "$1(1): $(<log)"
}

cleanup "umount -l '$tmp/untorn-mount/nv' 2>/dev/null"
run untorn-mount
assert_equal "what mount ends with" "$(tail -n 1 log)" pmem0s
umount untorn-mount/nv

run untorn-ndctl
for pair in nv0.img:alpha nv1.img:beta; do
	wait_until untorn check --namespace "${pair#*:}" "untorn-ndctl/${pair%:*}" >log 2>&1
done

run untorn-sandbox
