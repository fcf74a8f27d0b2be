#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# untorn check: fsck's exit statuses, one thing broken at a time with its named finding, the plan before the repair, and
# JSON. That every finding of every kind is made and mended is the business of tests/unit; here it is the command.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq

assert_json untorn format vol --size 32M --json
map=$(jq '.[0].arenas[0].map_offset' <<<"$out")
flog=$(jq '.[0].arenas[0].flog_offset' <<<"$out")
backup=$(jq '.[0].arenas[0].info2_offset' <<<"$out")
blocks=$(jq '.[0].arenas[0].internal_nlba' <<<"$out")
head -c 4M /dev/urandom >data
assert_ok untorn import vol data
cp --sparse=always vol clean

# le32 NUMBER: its four bytes, for printf.
le32() {
	printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# poke OFFSET BYTES: overwrite bytes of vol; BYTES as in printf.
poke() {
	# shellcheck disable=SC2059
	printf "$2" | dd of=vol bs=1 seek="$1" conv=notrunc status=none
}

# findings STATUS SEVERITY: the names that check reports for vol, each once.
findings() {
	run_status "$1" untorn check vol --json
	jq -r --arg severity "$2" \
		'[.[] | select(.type == "finding" and .severity == $severity).finding] | unique | join(" ")' <<<"$out"
}

# ------------------------------------------------------------------- clean

assert_ok untorn check vol
assert_equal "text" "$out" "vol: clean; 7920 sectors in 1 arena"
for options in --repair --dry-run "--repair --dry-run" "--repair --force" "--repair --rewrite-log" \
	"--btt-version 1.1"; do
	remember vol
	# shellcheck disable=SC2086
	assert_ok untorn check $options vol
	assert_unchanged
done
assert_json untorn check --json vol
assert_jq length 1
assert_jq '.[0] | "\(.type) \(.state) \(.errors) \(.notes) \(.repaired) \(.left) \(.sectors) \(.arenas)"' \
	"summary clean 0 0 0 0 7920 1"

# ------------------------------------------------------ one thing broken at a time

# broken NAMES [FORCE]: vol is broken; the findings are NAMES. It is not touched by looking; a repair (with --force if
# FORCE is given, and not without) prints its plan and mends it; then it reads as before where it can be read at all.
broken() {
	local names=$1 force=${2-}

	remember vol
	run_status 4 untorn check vol
	assert_equal "stderr of check" "$err" ""
	assert_match "summary" "$out" $'\nvol: [0-9]+ errors?; 7920 sectors in 1 arena\n'
	for name in $names; do
		assert_match "text of the finding" "$out" "(error|note) +(0|-) +$name +[^ ]"
	done
	assert_equal "findings" "$(findings 4 error)" "$names"
	run_status 4 untorn check vol --dry-run
	if [[ -n $force ]]; then
		assert_no_match "plan without --force" "$out" $'\nPlan:\n'
		assert_match "hint" "$out" "can be mended with --force only"
		run_status 4 untorn check vol --repair
		assert_unchanged
		run_status 4 untorn check vol --dry-run --force
	fi
	assert_match "plan" "$out" $'\nPlan:\n  1\\. '
	plan=$(sed -n '/^Plan:/,/^$/p' <<<"$out")
	run_status 4 untorn check vol --repair --dry-run ${force:+--force}
	assert_unchanged
	run_status 1 untorn check vol --repair ${force:+--force}
	assert_equal "plan of the repair" "$(sed -n '/^Plan:/,/^$/p' <<<"$out")" "$plan"
	assert_match "summary" "$out" "vol: ([0-9]+) errors?(, [0-9]+ notes?)?, [0-9]+ repaired, 0 left; "
	assert_ok untorn check vol
	assert_match "text after the repair" "$out" "vol: clean"
	untorn export vol out --force --ignore-errors 2>errors || :
}

# mended NAMES [FORCE]: broken, and nothing is lost.
mended() {
	broken "$@"
	assert_equal "errors of export after $1" "$(<errors)" ""
	cmp -n $((4 << 20)) out data
	cp --sparse=always clean vol
}

# The primary info block: damaged, and wiped as tools do that destroy a namespace.
poke $((4096 + 60)) x
mended info-checksum
dd if=/dev/zero of=vol bs=4096 count=2 conv=notrunc status=none
assert_refused 1 "vol: " untorn info vol
mended info-signature force
# Its backup.
dd if=/dev/zero of=vol bs=4096 seek=$((backup / 4096)) count=1 conv=notrunc status=none
mended info-backup
# A padding slot of lane 3 that is not zero.
poke $((flog + 3 * 64 + 40)) '\x01'
mended flog-padding

# A map entry behind the data area: that sector's content cannot be found again. It ends in error state.
poke $((map + 4 * 7)) '\xff\xff\xff\xff'
broken "block-lost map-range"
assert_match "step" "$plan" "arena 0, map entry 7 at $(printf '0x%x' $((map + 28))): .* \(0xffffffff becomes 0x4"
assert_match "export after map-range" "$(<errors)" "1 sector could not be read and is zeros in out"
cmp -n $((7 * 4096)) out data
cmp -i $((8 * 4096)) -n $(((4 << 20) - 8 * 4096)) out data
cp --sparse=always clean vol

# Two sectors in one block.
raw=$(untorn dump vol --lba 8 --json | jq '.[0].raw')
poke $((map + 4 * 9)) "$(le32 "$raw")"
broken "block-lost map-twice"
assert_equal "findings after the repair" "$(findings 0 note)" map-error
cp --sparse=always clean vol

# A lane whose current flog entry names a block that a sector has.
block=$(untorn dump vol --lba 8 --json | jq '.[0].postmap')
for slot in 0 1; do
	poke $((flog + 5 * 64 + 16 * slot + 4)) "$(le32 "$block")$(le32 "$block")"
done
broken "block-lost free-block-mapped"
cp --sparse=always clean vol

# A block number of a lane that is no block.
for slot in 0 1; do
	poke $((flog + 5 * 64 + 16 * slot + 4)) "$(le32 "$blocks")$(le32 "$blocks")"
done
broken "block-lost flog-block"
cp --sparse=always clean vol

# The other container's volume.
uuid=5b2eae65-c057-4b34-a9db-5c68ddfd7eff
assert_ok untorn format child --size 32M --parent-uuid $uuid
assert_ok untorn check child --parent-uuid $uuid
run_status 4 untorn check child --parent-uuid 79d78854-ea71-499e-a921-b8e0e755d453
assert_match "finding" "$out" "info-parent-uuid"

# -------------------------------------------------------------------- many

# 150 findings of a kind: text shows 100 and counts the others; --all and JSON have every one.
for ((i = 0; i < 150; i++)); do
	poke $((map + 4 * 3 * i)) '\xff\xff\xff\xff'
done
run_status 4 untorn check vol
assert_equal "findings shown" "$(grep -c ' map-range ' <<<"$out")" 100
assert_match "rest" "$out" $'\n\.\.\. and 50 more of kind map-range; --all prints every one\n'
run_status 4 untorn check vol --all --dry-run
assert_equal "findings shown with --all" "$(grep -c '^error .* map-range ' <<<"$out")" 150
assert_equal "steps shown with --all" "$(grep -c '^  [0-9]*\. arena 0, map entry ' <<<"$out")" 150
assert_no_match "rest with --all" "$out" "\.\.\. and"
run_status 4 untorn check vol --dry-run --json
assert_jq '[.[] | select(.finding == "map-range" and .type == "finding")] | length' 150
assert_jq '[.[] | select(.finding == "map-range" and .type == "step")] | length' 150
assert_jq '.[0] | "\(.type) \(.severity) \(.finding) \(.arena) \(.field) \(.index)"' \
	"finding error map-range 0 map entry 0"
assert_jq '.[0] | "\(.offset) \(.expected) \(.repairable)"' "$map $blocks yes"
assert_jq '.[-1] | "\(.type) \(.state) \(.repaired)"' "summary damaged 0"
# In JSON, too, the plan comes before the end of the repair, and the statuses are the same.
run_status 1 untorn check vol --repair --json
assert_jq '.[-1] | "\(.type) \(.state) \(.left)"' "summary repaired 0"
assert_jq '.[-1].errors == .[-1].repaired' true
run_status 0 untorn check vol --json
assert_jq '.[-1] | "\(.state) \(.errors) \(.notes)"' "clean 0 150"

# ------------------------------------------------------------------- beyond repair

head -c 20M /dev/urandom >noise
remember noise
for options in "" "--repair" "--repair --force --rewrite-log" "--dry-run"; do
	# shellcheck disable=SC2086
	run_status 4 untorn check noise $options
	assert_match "finding" "$out" "error +- +no-btt "
	assert_unchanged
done

# --------------------------------------------------------------- cannot be checked

assert_refused 8 "missing: No such file or directory$" untorn check missing
assert_missing missing
: >empty
assert_refused 8 "empty: 0 bytes long, too small for a volume$" untorn check empty
assert_refused 8 "neither a regular file nor a device" untorn check .
assert_refused 16 "--force works with --repair or --dry-run only; try 'untorn check --help'$" untorn check clean --force
assert_refused 16 "--rewrite-log works with" untorn check clean --rewrite-log
assert_refused 16 "--parent-uuid: 'x' is not a uuid such as" untorn check clean --parent-uuid x
