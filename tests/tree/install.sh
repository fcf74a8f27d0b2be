#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Install into an empty folder, and use what is there as a stranger would: compile the README's program with pkg-config, run it, run
# the installed command, find the manuals.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires meson pkg-config cc
unset LD_LIBRARY_PATH UNTORN_NBDKIT_PLUGIN

root=$tmp/root
meson install -C "$UNTORN_BUILD" --no-rebuild --destdir "$root" >log 2>&1 || fail "$(<log)"

one() {
	local found
	found=$(find "$root" "$@")
	[[ -n $found && $(wc -l <<<"$found") == 1 ]] || fail "not exactly one file: find $*: $found"
	echo "$found"
}

pc=$(one -name untorn.pc)
library=$(one -name libuntorn.so)
command=$(one -path '*/bin/untorn')
plugin=$(one -name nbdkit-untorn-plugin.so)
for page in untorn.1 untorn-serve.1 nbdkit-untorn-plugin.1 untorn-btt.3 untorn-media.3 untorn.7; do
	one -name "$page" >/dev/null
done
for header in btt.h error.h media.h; do
	one -path "*/include/untorn/$header" >/dev/null
done

export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
export LD_LIBRARY_PATH=${library%/*}
read -ra flags < <(pkg-config --cflags --libs untorn)
for example in count-runs batch make-disk; do
	cc -Wall -Wextra -Werror "$source_dir/examples/$example.c" "${flags[@]}" -o "$example"
done

truncate -s 32M runs.img
assert_equal "first run" "$(./count-runs runs.img)" "run number 1"
assert_equal "second run" "$(./count-runs runs.img)" "run number 2"
assert_refused_run() {
	run_status 1 "$@"
	assert_match "stderr of $*" "$err" "^count-runs: .*: .+"
}
assert_refused_run ./count-runs missing.img

assert_ok "$command" format vol.img --size 32M
assert_ok "$command" check vol.img
assert_equal "first disk" "$(./make-disk mem-path=nv0.img,size=128M,label-size=128K)" "pmem0s: 32444416 bytes"
assert_equal "second disk" "$(./make-disk mem-path=nv0.img)" "pmem0.1s: 32444416 bytes"

run_status 0 ./batch vol.img
assert_match "output of batch" "$out" "sector by sector: +128"
assert_match "output of batch" "$out" "one request: +2"
assert_match "output of batch" "$out" "then a flush: +2"
assert_match "help" "$("$command" --help)" "format"

if command -v nbdkit >/dev/null; then
	nbdkit --dump-plugin "$plugin" >dump || fail "nbdkit cannot load $plugin"
	assert_match "nbdkit --dump-plugin" "$(<dump)" "name=untorn"
fi
