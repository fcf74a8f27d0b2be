#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What keeps mount, sandbox and ndctl from their work is said in one sentence, and nothing is left behind: no mount, no file.

. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
[[ -r /dev/fuse && -w /dev/fuse ]] || skip "/dev/fuse is missing here, or not accessible"

truncate -s 64M nv.img
nvdimm=mem-path=nv.img,label-size=128K
mkdir dir
touch file
remember nv.img

assert_refused 1 "^untorn: missing: cannot mount there: No such file" untorn mount --nvdimm $nvdimm missing
assert_refused 1 "^untorn: file: cannot mount there: Not a directory" untorn mount --nvdimm $nvdimm file
assert_refused 1 "^untorn: missing: cannot mount there" untorn mount --nvdimm $nvdimm missing --background
assert_refused 1 "^untorn: nothing\.json: " untorn mount nothing.json dir
assert_refused 2 "given twice" untorn mount nothing.json dir --nvdimm $nvdimm
assert_refused 125 "^untorn: nothing\.img: there is no such file" untorn sandbox --nvdimm mem-path=nothing.img -- true
assert_refused 125 "^untorn: nothing\.pid: " untorn sandbox --join nothing.pid -- true
assert_refused 127 "^untorn: no-such-program: " untorn sandbox --nvdimm $nvdimm -- no-such-program
UNTORN_PRELOAD=/nothing.so assert_refused 125 "^untorn: /nothing\.so: .*UNTORN_PRELOAD" \
	untorn sandbox --nvdimm $nvdimm -- true
assert_refused 125 "^untorn: no/pid: cannot be written" untorn sandbox --nvdimm $nvdimm --pid-file no/pid -- true

# A file that is missing is made when its size is told, and stays only when the mount comes to be.
new=mem-path=new.img,size=64M,label-size=128K
assert_refused 1 "new\.img: there is no such file; give its size" untorn mount --nvdimm mem-path=new.img dir
assert_refused 1 "new\.img: there is no such file" untorn mount --nvdimm $new dir --read-only
assert_refused 1 "missing: cannot mount there" untorn mount --nvdimm $new missing
assert_refused 1 "nothing\.img: there is no such file" untorn mount --nvdimm $new --nvdimm mem-path=nothing.img dir
assert_refused 125 "nothing\.img: there is no such file" untorn sandbox --nvdimm $new --nvdimm mem-path=nothing.img -- true
assert_missing new.img
run_status 0 untorn ndctl --nvdimm $new -- list -N
assert_equal "size of the new file" "$(size_of new.img)" $((64 << 20))

# A platform that is in use is not shown a second time. The server in the background does not keep the pipe open.
mkfifo output
timeout 60 cat output >read-to-end &
reader=$!
untorn mount --nvdimm $nvdimm dir --background >output 2>&1
cleanup "umount '$tmp/dir' 2>/dev/null"
wait $reader || fail "what the command prints does not end while the server runs"
mkdir other
assert_equal "folder of the server" "$(readlink "/proc/$(untorn tree nv.img 2>&1 | grep -o 'process [0-9]*' | cut -d ' ' -f 2)/cwd")" /
assert_refused 1 "^untorn: nv\.img: .*in use" untorn mount --nvdimm $nvdimm other
assert_refused 125 "^untorn: nv\.img: .*in use" untorn ndctl --nvdimm $nvdimm -- list
assert_refused 1 "^untorn: dir: .*mounted there already" untorn mount --nvdimm mem-path=new.img dir
umount dir
wait_until untorn list --nvdimm $nvdimm >log 2>&1 # the server has ended
assert_unchanged
assert_no_match "mounts" "$(</proc/self/mounts)" " $tmp/"

# What the server in the background says at its end is in the log, when standard error is one. Here its file lost its bytes.
ended() {
	! kill -0 "$1" 2>/dev/null
}
: >journal
export JOURNAL_STREAM
for log in file journal; do
	assert_equal "log so far" "$(<journal)" ""
	JOURNAL_STREAM=$(stat -c %d:%i $log)
	truncate -s 64M lost-$log.img
	run_status 0 untorn create-namespace --nvdimm mem-path=lost-$log.img -e namespace0.0 -f -m sector
	untorn mount lost-$log.img dir --background 2>journal
	printf X | dd of=dir/dev/pmem0s conv=notrunc status=none
	run_status 1 untorn tree lost-$log.img
	server=$(sed -n 's/.*in use by process \([0-9]*\).*/\1/p' <<<"$err")
	: >lost-$log.img
	umount dir
	wait_until ended "$server"
done
assert_match "log" "$(<journal)" "^untorn: .*the last writes may be lost"
unset JOURNAL_STREAM

# A mount whose server was killed is in the way, and it is said which way out there is.
untorn mount --nvdimm $nvdimm dir >log 2>&1 &
server=$!
wait_for_file dir/sys
kill -KILL $server
wait $server 2>>log || true
assert_refused 1 "^untorn: dir: .*fusermount3 -u" untorn mount --nvdimm $nvdimm dir
umount dir

# A --pid-file is whole when it is there: an old one is replaced, not written anew.
echo old >pid
ln pid kept
assert_equal "number in the --pid-file" "$(untorn sandbox --nvdimm $nvdimm --pid-file pid -- sh -c 'cat pid; echo $PPID' | uniq -d | wc -l)" 1
assert_equal "what stood in its place" "$(<kept)" old
assert_missing pid

# Without the device there is a sentence, too.
mkdir empty
mount -t tmpfs empty /dev
assert_refused 1 "^untorn: /dev/fuse is missing" untorn mount --nvdimm $nvdimm dir
assert_refused 125 "^untorn: /dev/fuse is missing" untorn sandbox --nvdimm $nvdimm -- true
umount /dev
