#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every kind of request at every kind of sector, against a model; and nothing is left to finish after a clean end.
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"

# Zeros are a state of the map, or data where Linux would misread that state.
requests() { # VOLUME ROUNDS DATA_SIZE state|data FORMAT_OPTION...
	local volume=$1 rounds=$2 data_size=$3 zeros=$4 content
	shift 4
	new_volume "$volume" "$@"
	serve "$volume"
	nbd-requests model "$uri" "$data_size" "$rounds" "$zeros" || fail "sectors of $data_size, untorn format $*"
	content=$(nbdcopy "$uri" - | md5)
	stop
	assert_pending 0 "$volume"
	assert_equal "content after a clean end" "$(untorn export "$volume" - | md5)" "$content"
}

requests vol 2500 512 data --sector-size 512
requests vol 2500 4096 state --sector-size 4096
requests vol 2500 512 data --sector-size 520 --btt-version 2.0
requests vol 2500 4096 state --sector-size 4224
requests vol 2500 65536 state --sector-size 65536 --size 64M
requests vol 2500 520 state --sector-size 520 --profile pmemblk
requests vol 2500 512 state --sector-size 512 --profile pmemblk

# A file on a disk: every flush is a data sync.
disk=$(mktemp -d /var/tmp/untorn-test.XXXXXX)
cleanup "rm -rf '$disk'"
requests "$disk/vol" 300 4096 state --sector-size 4096

# Read-only: the export refuses to change.
remember vol
serve vol --read-only
nbd-requests refuse "$uri"
stop
assert_unchanged
