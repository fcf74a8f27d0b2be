#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# fio writes over two connections that overlap, the server is killed at random moments, and fio reads each sector
# back: every one carries a header with its place and a checksum of its whole content, so a mixture of two writes
# cannot pass.
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"
requires fio
fio --enghelp=nbd 2>/dev/null | grep -q uri || skip "this fio has no nbd engine"

job() { # NAME OPTION...
	fio --name="$1" --ioengine=nbd --uri="$uri" --verify=crc32c --verify_interval="$size" --bs="$size" \
		--verify_state_save=0 "${@:2}"
}

fio_started() {
	compgen -G 'started.*' >/dev/null
}

for size in 4096 512; do
	new_volume vol --sector-size $size
	serve vol
	run_status 0 job fill --rw=write --do_verify=0 --iodepth=16
	run_status 0 job read --rw=read --verify_fatal=1 --iodepth=16
	for _ in 1 2 3; do
		rm -f started.*
		job write --rw=randwrite --bsrange=$size-64k --norandommap --do_verify=0 --iodepth=8 --numjobs=2 \
			--fsync=16 --time_based --runtime=600 --exec_prerun="touch started.\$\$" >write.log 2>&1 &
		fio_pid=$!
		wait_until fio_started
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))" # a random moment, nothing that is waited for
		kill -KILL "$nbdkit_pid"
		! wait "$fio_pid" || fail "fio did not notice that its server was killed"
		was_killed
		run_status 0 untorn check vol
		serve vol
		run_status 0 job read --rw=read --verify_fatal=1 --iodepth=16
	done
	stop

	# This test can fail: the second half of sector 5 becomes another's.
	cp vol torn
	run_status 0 untorn dump torn --lba 5
	block=$(sed -n 's/.*block .* at //p' <<<"$out")
	untorn export vol content --force
	dd if=content of=torn bs=$((size / 2)) count=1 skip=15 oflag=seek_bytes seek=$((block + size / 2)) \
		conv=notrunc status=none
	serve torn
	run_status 1 job read --rw=read --verify_fatal=1 --iodepth=16
	assert_match "what fio says of a torn sector" "$out$err" "verify"
	stop
done
