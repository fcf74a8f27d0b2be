#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# SIGKILL to the server in the middle of writes: each sector is old or new, and what was acknowledged as durable is
# there. The writer sends the signal itself, after a random number of acknowledged requests and with others in flight.
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"

kills() { # DATA_SIZE FORMAT_OPTION... -- WRITE_OPTION...
	local size=$1 format=() round
	shift
	while [[ $1 != -- ]]; do
		format+=("$1")
		shift
	done
	shift
	rm -f acks
	new_volume vol "${format[@]}"
	for round in {1..8}; do
		serve vol
		run_status 1 nbd-stamp write "$uri" --acks acks --round "$round" --span 3000 --threads 6 "$@" \
			-o sector="$size" -o kill="$nbdkit_pid:$((100 + RANDOM % 2000))"
		was_killed
		run_status 0 untorn check vol
		serve vol
		run_status 0 nbd-stamp verify "$uri" --acks acks --round "$round" --span 3000 -o sector="$size"
		assert_match "the verifier" "$out" " [1-9][0-9]* acknowledged, 0 wrong"
		stop
	done
	echo "sectors of $size, $*: $out"
}

kills 4096 --sector-size 4096 -- --batch 17 --flush 0
kills 4096 --sector-size 4096 -- --batch 17 --flush 8
kills 512 --sector-size 520 --btt-version 2.0 -- --batch 40 --flush 3
kills 512 --profile pmemblk --sector-size 512 -- --batch 5 --flush 8
