#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# create-namespace on a file system with room for so many pages: whichever step it is that fails, the platform is as it was
# before. Runs in a mount namespace of its own.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq fallocate

mkdir memory
mount -t tmpfs -o size=1M tmpfs memory || skip "tmpfs cannot be mounted here"
cleanup "umount '$tmp/memory'"
nvdimm=mem-path=memory/nv.img,label-size=128K

devices() {
	untorn list --nvdimm "$nvdimm" -RNv | jq -c ".[] | $kept"
}
kept='del(..|.uuid?)'

# try PAGES COMMAND...: with so many free pages. 0: it worked. Else it failed in one sentence, and all is as before.
try() {
	local pages=$1 status=0
	shift
	devices >before
	head -c 1M /dev/zero >memory/filler 2>/dev/null || :
	truncate -s -$((pages * 4096)) memory/filler
	untorn "$@" --nvdimm "$nvdimm" >"$tmp/.out" 2>"$tmp/.err" || status=$?
	rm memory/filler
	err=$(<"$tmp/.err")
	((status == 0)) && return
	assert_equal "status of $* with $pages pages" $status 1
	assert_one_sentence "$* with $pages pages"
	assert_equal "devices after $* with $pages pages" "$(devices)" "$(<before)"
	return 1
}

# until_it_works COMMAND...: with one page more each time; it fails at first.
until_it_works() {
	local pages=0
	failures=()
	until try $pages "$@"; do
		failures[$pages]=$err
		pages=$((pages + 1))
		((pages < 64)) || fail "$* never works: $err"
	done
	echo "$*: $pages pages; failed with $(printf '%s\n' "${failures[@]}" | sort -u | wc -l) sentences"
	assert_less "pages with which $* fails" 0 "$pages"
}

# The first labels of a region, and a volume.
declare -a failures=()
truncate -s 64M memory/nv.img
until_it_works create-namespace -s 32M -n alpha
nvdimm=mem-path=memory/nv.img
assert_equal "namespace" "$(untorn list --nvdimm "$nvdimm" | jq -r '.[0] | [.mode, .name] | join(" ")')" "sector alpha"

# Another one beside it.
until_it_works create-namespace -s 16M -n beta
assert_equal "names" "$(untorn list --nvdimm "$nvdimm" | jq -r '[.[].name] | join(" ")')" "alpha beta"

# One of them anew, in a mode that needs room: its data goes, but it stays there with its place, uuid and name.
untorn create-namespace --nvdimm "$nvdimm" -e alpha -f -m raw >log
fallocate -p -o 0 -l 32M memory/nv.img
kept='[.regions[0] | .available_size, (.namespaces[] | .dev, .name, .raw_uuid // .uuid)]'
until_it_works create-namespace -e alpha -f -m sector -l 512
assert_equal "names" "$(untorn list --nvdimm "$nvdimm" | jq -r '[.[] | .name, .mode] | join(" ")')" "alpha sector beta sector"
