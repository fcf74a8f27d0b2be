#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two hundred random sequences of stores, binds, unbinds and ndctl commands: sysfs-model.py predicts every errno and every
# attribute. One region on a labelled DIMM and one interleaved over two, with labels of both versions. UNTORN_SEED=N repeats
# or varies.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires ndctl python3
[[ -w /dev/fuse ]] || skip "/dev/fuse cannot be opened here"
unshare -m true 2>/dev/null || unshare -Urm true 2>/dev/null || skip "this user may make no mount namespace"

seed=${UNTORN_SEED:-20261123}
cat >platform.json <<'JSON'
{"dimms": [{"mem-path": "a.img", "label-size": "128K"}, {"mem-path": "b.img", "label-size": "128K"},
           {"mem-path": "c.img", "label-size": "128K"}],
 "regions": [{"type": "pmem", "mappings": [{"dimm": 0}]},
             {"type": "pmem", "mappings": [{"dimm": 1}, {"dimm": 2}]}]}
JSON
for version in 1.1 1.2; do
	rm -f a.img b.img c.img
	truncate -s 116M a.img
	truncate -s 68M b.img c.img
	untorn init-labels all -V "$version" --platform platform.json
	untorn sandbox --platform platform.json -- python3 "$source_dir/tests/system/sysfs-model.py" --seed "$seed" \
		--labels "$version" --sequences 100 --steps 25
	seed=$((seed + 1))
done
