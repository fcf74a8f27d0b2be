#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# SIGKILL to the server in the middle of writes to dev/pmem0s: after the next mount each sector is old or new, never torn,
# and what was acknowledged as durable is there. The writers are stamp-file, which notes what was acknowledged, and fio,
# whose headers and checksums are verified afterwards.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sysfs-lib.sh"
requires fio

truncate -s 64M nv0.img
dimm=(--nvdimm mem-path=nv0.img,label-size=128K)
disk=$dir/dev/pmem0s
writer=''
# shellcheck disable=SC2016 # to be expanded at the end
cleanup '[[ -z $writer ]] || kill -KILL "$writer" 2>/dev/null || :'

# The server dies; its mount stays until somebody unmounts it, and the image is free.
kill_server() {
	kill -KILL "$mount_pid"
	mount_ended 137
}

recover() {
	umount -l "$dir"
	run_status 0 untorn check nv0.img
	mount_devices "${dimm[@]}"
}

# progress FILE: wait until it has changed a few times.
differs() {
	[[ $(md5 <"$1") != "$2" ]]
}
progress() {
	local i
	for ((i = RANDOM % 5; i >= 0; i--)); do
		wait_until differs "$1" "$(md5 <"$1")"
	done
}

# ------------------------------------------------------------------- stamped sectors

stamped() { # SECTOR_SIZE WRITE_OPTION...
	local size=$1 round word said
	shift
	run_status 0 untorn create-namespace -m sector -l "$size" "${dimm[@]}"
	mount_devices "${dimm[@]}"
	rm -f acks
	for round in {1..6}; do
		exec {said}< <(exec stamp-file write "$disk" --acks acks --round "$round" --span 3000 --threads 4 "$@" \
			-o sector="$size" 2>writer.log)
		writer=$!
		IFS= read -r -t 60 -u "$said" word || fail "the writer: $(<writer.log)"
		assert_equal "the writer" "$word" running
		progress acks
		kill_server
		wait "$writer" && fail "the writer did not notice"
		writer=''
		exec {said}<&-
		recover
		run_status 0 stamp-file verify "$disk" --acks acks --round "$round" --span 3000 -o sector="$size"
		assert_match "the verifier" "$out" " [1-9][0-9]* acknowledged, 0 wrong"
	done
	echo "sectors of $size, $*: $out"

	# The verifier would have seen it.
	calls "$disk" both
	told 8 text 800 abcdefgh
	close_file
	run_status 1 stamp-file verify "$disk" --acks acks --round "$round" --span 3000 -o sector="$size"
	stop_mount
	run_status 0 untorn check nv0.img
	run_status 0 untorn destroy-namespace -f all "${dimm[@]}"
}

stamped 4096 --batch 17
stamped 4096 --batch 17 --flush 8
stamped 512 --batch 40 --flush 3

# ------------------------------------------------------------------------------- fio

# Its headers say where a block belongs and its checksum whether it is whole. A file that is written once more, with other
# numbers in the headers, has old and new blocks and no others.
run_status 0 untorn create-namespace -m sector -l 4096 "${dimm[@]}"
fio_job=(--name=job --filename="$disk" --bs=4096 --size=16M --rw=randwrite --ioengine=psync --verify=crc32c
	--verify_fatal=1 --norandommap=0 --allow_file_create=0 --output-format=json)

mount_devices "${dimm[@]}"
assert_ok fio "${fio_job[@]}" --do_verify=0
for round in 1 2 3; do
	fio "${fio_job[@]}" --do_verify=0 --numjobs=1 --loops=1000 --randseed="$round" >fio.log 2>&1 &
	writer=$!
	progress nv0.img
	kill_server
	wait "$writer" && fail "fio did not notice"
	writer=''
	recover
	run_status 0 fio "${fio_job[@]/randwrite/read}" --verify_only=0 --do_verify=1
done
calls "$disk" both
told 8 text 8000 abcdefgh
close_file
run_status 1 fio "${fio_job[@]/randwrite/read}" --verify_only=0 --do_verify=1
stop_mount
run_status 0 untorn check nv0.img
