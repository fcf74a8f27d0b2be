#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# list, read-labels and read-infoblock print what ndctl printed for the same image in a Linux guest: the same keys in the same
# order, with the same values. Beyond that: kinds and filters, several DIMMs, what is not enabled.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq xz python3

# --------------------------------------------------------------------- as ndctl

cat >compare <<'PYTHON'
import json, subprocess, sys

transcript, image = sys.argv[1:]
ours_only = ("state", "fault")  # of labels and index blocks

def pairs(text):
    return json.loads(text, object_pairs_hook=list)

def is_object(value):
    return isinstance(value, list) and all(isinstance(v, tuple) for v in value) and value != []

def plain(value, is_label=False):
    """Objects as lists of pairs; arrays of devices by name, since ndctl has the order of a directory."""
    if is_object(value):
        return [(k, plain(v, k in ("label", "index"))) for k, v in value if not (is_label and k in ours_only)]
    if isinstance(value, list):
        items = [plain(v, is_label) for v in value]
        if all(is_object(i) and i[0][0] == "dev" for i in items):
            items.sort(key=lambda i: i[0][1])
        return items
    return value

failures = 0
for row in pairs(open(transcript).read()):
    args, expected = row[0][1], row[1][1]
    command = ["untorn"] + args.split() + ["--nvdimm", "mem-path=" + image]
    run = subprocess.run(command, capture_output=True, text=True)
    seen = pairs(run.stdout) if run.returncode == 0 else run.stderr
    if is_object(expected):
        expected = [expected]
    if plain(seen) != plain(expected):
        failures += 1
        print("FAIL: %s\nseen:     %s\nexpected: %s" % (args, plain(seen), plain(expected)))
print("%d rows, %d failures" % (len(pairs(open(transcript).read())), failures))
sys.exit(failures > 0)
PYTHON

for version in v11 v12; do
	fixture labels-$version.img
	remember labels-$version.img
	python3 compare "$fixtures_dir/ndctl-$version.json" labels-$version.img
	assert_unchanged
done

# --------------------------------------------------------------------- several DIMMs

truncate -s 64M plain.img
truncate -s 64M fresh.img
dimms=(--nvdimm mem-path=labels-v12.img --nvdimm mem-path=plain.img --nvdimm mem-path=fresh.img,label-size=128K)

assert_json untorn list "${dimms[@]}"
assert_jq '[.[].dev] | join(" ")' "namespace0.0 namespace0.1 namespace0.2 namespace1.0 namespace2.0"
assert_json untorn list "${dimms[@]}" -Ni
assert_jq '[.[] | select(.state == "disabled").dev] | join(" ")' "namespace0.3"
assert_json untorn list "${dimms[@]}" -D
assert_jq '[.[].dev] | join(" ")' "nmem0 nmem1 nmem2"
assert_json untorn list "${dimms[@]}" -R -d 1
assert_jq '[.[].dev] | join(" ")' "region1"
assert_json untorn list "${dimms[@]}" -D -n 2.0
assert_jq '[.[].dev] | join(" ")' "nmem2"
assert_json untorn list "${dimms[@]}" -r "region0 2"
assert_jq '[.[].dev] | join(" ")' "region0 region2"
assert_json untorn list "${dimms[@]}" -r all -N -m raw
assert_jq '[.[].dev] | join(" ")' "namespace0.2 namespace1.0 namespace2.0"
assert_json untorn list "${dimms[@]}" -DR
assert_jq '.[0] | keys | join(" ")' "dimms regions"
assert_jq '[.[0].regions[].mappings[].dimm] | join(" ")' "nmem0 nmem1 nmem2"
assert_json untorn list "${dimms[@]}" -BN
assert_jq '.[0] | keys_unsorted | join(" ")' "provider dev namespaces"

# Kinds that --verbose adds, and what it adds to kinds that are named.
assert_json untorn list "${dimms[@]}" -vv
assert_jq '.[0] | keys_unsorted | join(" ")' "provider dev dimms regions"
assert_json untorn list "${dimms[@]}" -vvv -R -r 0
assert_jq '[.[0] | .capabilities[0].mode, (.capabilities[0].sector_sizes | join(",")), has("namespaces")] | join(" ")' \
	"sector 512,520,528,4096,4104,4160,4224 false"
assert_json untorn list "${dimms[@]}" -U 0 -R
assert_jq length 3
assert_json untorn list "${dimms[@]}" -U 7 -R
assert_jq length 0

# Nothing to show is an empty array.
for options in -X "-n 9.9" "-r 7 -R" "-b other -BDRN" "-m devdax" "-t blk -R"; do
	# shellcheck disable=SC2086
	assert_json untorn list "${dimms[@]}" $options
	assert_jq length 0
done

# What files do not have is said, and the rest is shown.
assert_json untorn list "${dimms[@]}" -DH
assert_match "note" "$notes" "dimms made of files have no health"
assert_jq length 3

# --------------------------------------------------------------------- refusals

assert_refused 2 "the platform is missing: --nvdimm or --platform describes it; try" untorn list
assert_refused 2 "--mode: 'btt' is not raw, sector, fsdax or devdax; try" untorn list "${dimms[@]}" -m btt
assert_refused 2 "--type: 'foo' is not pmem, blk or volatile; try" untorn list "${dimms[@]}" -t foo
assert_refused 2 "--nvdimm: .*; try" untorn list --nvdimm path=x
assert_refused 1 "missing.img: .*no such file" untorn list --nvdimm mem-path=missing.img
assert_refused 1 "missing.img: .*no such file" untorn list --nvdimm mem-path=missing.img,size=64M
assert_missing missing.img
