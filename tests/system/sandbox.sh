#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What untorn sandbox and untorn mount are to the one who calls them: exit statuses, joining, what is left behind, what is said where
# they are not allowed. In a mount namespace of its own.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/own-mounts.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/sandbox.sh"
requires untorn ndctl jq setpriv unshare mountpoint python3
requires_sandbox

mkdir run mnt
cleanup "umount -l mnt 2>/dev/null"
export XDG_RUNTIME_DIR=$tmp/run
truncate -s 64M a.img
a=(--nvdimm mem-path=a.img)

# --------------------------------------------------------------------- exit statuses

for status in 0 1 7 124 255; do
	run_status $status untorn sandbox "${a[@]}" -- sh -c "exit $status"
	assert_equal "stderr" "$err" ""
done
for signal in 9 15; do
	run_status $((128 + signal)) untorn sandbox "${a[@]}" -- sh -c "kill -$signal \$\$"
done
run_status 0 untorn sandbox "${a[@]}" -- sh -c 'echo "out $1"; echo "err $2" >&2; cat' sh 'a b' c <<<"in"
assert_equal "standard streams" "$out/$err" "out a b"$'\n'"in/err c"
assert_refused 127 "no-such: cannot be run: No such file or directory" untorn sandbox "${a[@]}" -- no-such
assert_refused 126 "a.img: cannot be run: Permission denied" untorn sandbox "${a[@]}" -- ./a.img
assert_refused 125 "none.img: there is no such file" untorn sandbox --nvdimm mem-path=none.img -- true
assert_refused 125 "the platform is missing" untorn sandbox -- true
assert_refused 125 "--no-such is not an option" untorn sandbox --no-such -- true
assert_refused 125 "--join takes no platform" untorn sandbox --join pid "${a[@]}" -- true
assert_refused 125 "pid: no process number of a sandbox in it" untorn sandbox --join pid -- true
assert_refused 125 "no/pid: cannot be written" untorn sandbox --pid-file no/pid "${a[@]}" -- true
run_status 0 untorn ndctl "${a[@]}" -- version
# What looks like an option behind the command is the command's.
run_status 0 untorn ndctl "${a[@]}" list -N
run_status 0 untorn sandbox "${a[@]}" echo -r --help --
assert_equal "arguments" "$out" "-r --help --"
run_status 1 untorn ndctl "${a[@]}" -- no-such-command
assert_refused 127 "ndctl: cannot be run" env PATH=/nonexistent "$(command -v untorn)" ndctl "${a[@]}" -- list

# The devices of the machine are covered, in the sandbox alone.
run_status 0 untorn sandbox "${a[@]}" -- sh -c 'ls /sys/bus/nd/devices; ls /dev/pmem0; : >/dev/null'
assert_match "devices" "$out" "namespace0.0"
! mountpoint -q /sys/bus/nd || fail "the machine's /sys is covered"
run_status 3 untorn sandbox "${a[@]}" --read-only -- sh -c 'cat /sys/bus/nd/devices/region0/read_only; dd if=/dev/zero count=1 status=none of=/dev/pmem0 2>/dev/null || exit 3'
assert_equal "read_only" "$out" 1

# A sandbox in a sandbox has the inner devices. No folder has two entries of one name, whatever shows through.
truncate -s 48M inner.img
cat >twice <<'SCRIPT'
for dir in /dev /sys /sys/block /sys/bus /sys/class /sys/class/block /sys/dev /sys/dev/block /sys/dev/char /sys/devices; do
	ls -U "$dir" | sort | uniq -d
done
cat /sys/bus/nd/devices/region0/size
SCRIPT
run_status 0 untorn sandbox "${a[@]}" -- untorn sandbox --nvdimm mem-path=inner.img -- sh twice
assert_equal "twice in a folder; size of the inner region" "$out" $((48 << 20))

# A dimm is a character device, whatever way a program asks, with the number that /sys says.
# shellcheck disable=SC2016
run_status 0 untorn sandbox --nvdimm mem-path=a.img,label-size=128K -- bash -ec '
	cat /sys/bus/nd/devices/nmem0/dev
	test -c /dev/nmem0
	cd /dev
	stat -c "%F %t:%T" nmem0 ./nmem0 - <nmem0
	find . -maxdepth 1 -name "nmem*" -type c -printf "%f\n"
	python3 -c "import os, stat
for st in os.stat(\"nmem0\"), os.lstat(\"/dev/nmem0\"), os.stat(\"nmem0\", dir_fd=os.open(\"/dev\", os.O_RDONLY)), os.fstat(0):
	print(stat.filemode(st.st_mode), os.major(st.st_rdev), os.minor(st.st_rdev))" <nmem0
	stat -c "%F" /sys/bus/nd/devices/nmem0 /dev/pmem0'
one="character special file 201:0"
assert_equal "kinds of files" "$out" "513:0
$one
$one
$one
nmem0
$(for _ in 1 2 3 4; do echo "crw------- 513 0"; done)
symbolic link
regular file"

# The machine has modules for such devices, and nobody may load them. In its own sandbox, ndctl does not try.
if [[ -d /etc/modprobe.d ]] && mkdir modprobe.d && mount --bind modprobe.d /etc/modprobe.d; then
	printf 'alias nd:t* nd_untorn\ninstall nd_untorn %s/loaded; false\n' "$tmp" >modprobe.d/nd.conf
	printf '#!/bin/sh\n: >%s/modules\n' "$tmp" >loaded
	chmod +x loaded
	run_status 0 untorn sandbox "${a[@]}" -- sh -ec 'ndctl disable-region region0; ndctl enable-region region0
		ndctl disable-namespace namespace0.0; ndctl enable-namespace namespace0.0; ls /dev/pmem0'
	assert_missing modules
	umount /etc/modprobe.d
fi

# Its folder is gone, wherever it was; what is in this one is from us.
assert_equal "left behind" "$(ls run)" ""
run_status 0 env -u XDG_RUNTIME_DIR "$(command -v untorn)" sandbox "${a[@]}" -- readlink /dev/null
assert_match "folder" "$out" "^/tmp/untorn-[^/]*/dev/null$"
assert_missing "${out%/dev/null}"

# A runtime folder that cannot be used: relative, below what is covered, or with a name too long for links through it.
long=$tmp/$(printf 'l%.0s' {1..200})
mkdir -p relative "$long"
for folder in relative /dev/shm "$long"; do
	run_status 0 env XDG_RUNTIME_DIR="$folder" "$(command -v untorn)" sandbox "${a[@]}" -- sh -c 'cd /; readlink /dev/null; : >/dev/null'
	assert_match "instead of $folder" "$out" "^/tmp/untorn-[^/]*/dev/null$"
	assert_missing "${out%/dev/null}"
done
assert_equal "left behind" "$(find relative "$long" -mindepth 1)" ""

# A link of the machine says what it says outside.
links=$(find /dev /sys/dev/block /sys/class/block -maxdepth 1 -type l ! -name '*pmem*' ! -lname '*pmem*' -printf '%p %l\n' | sort)
[[ $links ]] || fail "this machine has no links"
run_status 0 untorn sandbox "${a[@]}" -- sh -c "cut -d' ' -f1 | while read -r link; do echo \"\$link \$(readlink \"\$link\")\"; done" <<<"$links"
assert_equal "links" "$out" "$links"

# The library for label calls may be told relatively, but not with what the dynamic linker takes for a separator.
cp "${UNTORN_PRELOAD:-/dev/null}" "pre load.so"
mkdir lib
cp "${UNTORN_PRELOAD:-/dev/null}" lib/preload.so
if [[ ${UNTORN_PRELOAD-} ]]; then
	UNTORN_PRELOAD=lib/preload.so run_status 0 untorn sandbox "${a[@]}" -- sh -c 'cd / && test -c /dev/nmem0 && test -c /dev/ndctl0'
	UNTORN_PRELOAD="pre load.so" assert_refused 125 "a blank or a colon" untorn sandbox "${a[@]}" -- true
fi

# A command that uncovers the machine leaves none of its mounts to us.
run_status 4 untorn sandbox "${a[@]}" -- sh -c 'umount -l /dev && umount -l /sys && exit 4'
assert_equal "notes" "$notes" ""

# What is left mounted on a disk is there afterwards: unmounted, or when somebody uses it as it was at the end.
truncate -s 32M fs.img
fs=(--nvdimm mem-path=fs.img)
mkdir dir
if untorn sandbox "${fs[@]}" -- sh -c 'mkfs.ext4 -qF /dev/pmem0 && mount /dev/pmem0 dir && cp twice dir' 2>log; then
	mkfifo hold
	# shellcheck disable=SC2016 # for the inner shell
	run_status 0 untorn sandbox "${fs[@]}" -- sh -ec 'mount /dev/pmem0 dir; cmp twice dir/twice; cp twice dir/again
		(cd dir && exec cat ../hold >../held 2>&1) &
		until [ "$(readlink /proc/$!/cwd)" = "$PWD/dir" ]; do :; done'
	assert_match "note" "$notes" "dir: it is still mounted and in use"
	: >hold
	run_status 0 untorn sandbox "${fs[@]}" -- sh -c 'mount /dev/pmem0 dir && cmp twice dir/again'
	assert_equal "stderr" "$err" ""
	rm hold
else
	grep -qi 'loop\|permi\|mount' log || fail "$(<log)"
fi

# --------------------------------------------------------------------- joined by several

b=()
for n in 0 1 2 3; do
	truncate -s 64M nv$n.img
	b+=(--nvdimm "mem-path=nv$n.img,label-size=128K")
done
run_status 0 untorn init-labels "${b[@]}" all
mkfifo hold
untorn sandbox "${b[@]}" --pid-file pid -- cat hold >held &
sandbox=$!
exec {hold}>hold
wait_until test -s pid
assert_refused 1 "in use by process" untorn list "${b[@]}" -N
pids=()
for n in 0 1 2 3; do
	untorn sandbox --join pid -- ndctl create-namespace -r region$n -m sector -s 32M -n made$n >made$n 2>&1 &
	pids+=($!)
	# ndctl looks at a namespace after it looked for btts, and fails when one came in between.
	untorn sandbox --join pid -- sh -c "until ndctl list -BDRNi; do :; done; exit 4$n" >listed$n 2>&1 &
	pids+=($!)
done
statuses=()
for process in "${pids[@]}"; do
	status=0
	wait "$process" || status=$?
	statuses+=("$status")
done
assert_equal "statuses" "${statuses[*]}" "0 40 0 41 0 42 0 43"
run_status 0 untorn sandbox --join pid -- ndctl list -N
assert_jq 'map(.name) | sort | join(" ")' "made0 made1 made2 made3"
run_status 0 untorn sandbox --join pid -- pwd
assert_equal "folder" "$out" "$tmp"
assert_refused 127 "no-such: cannot be run" untorn sandbox --join pid -- no-such
run_status 143 untorn sandbox --join pid -- sh -c 'kill $$'
echo "the end" >&"$hold"
exec {hold}>&-
wait "$sandbox"
assert_equal "what the first one printed" "$(<held)" "the end"
assert_missing pid
assert_refused 125 "pid: no process number" untorn sandbox --join pid -- true
echo $sandbox >pid
assert_refused 125 "process $sandbox: its sandbox cannot be joined" untorn sandbox --join pid -- true
# That number may be another process's by now: nothing runs on the machine's own devices.
echo $$ >pid
assert_refused 125 "process $$: it is no sandbox" untorn sandbox --join pid -- true
rm pid
assert_json untorn list "${b[@]}" -N
assert_jq 'map(select(.size > 0).name) | sort | join(" ")' "made0 made1 made2 made3"
for n in 0 1 2 3; do
	run_status 0 untorn check --namespace made$n nv$n.img
done
assert_equal "left behind" "$(ls run)" ""

# In a chroot, too, whose root is not that of its namespace.
if ((EUID == 0)); then
	mkdir root
	mount --rbind / root
	cleanup "umount -l '$tmp/root'"
	# shellcheck disable=SC2016 # for the inner shell
	run_status 0 chroot root env -C "$tmp" sh -ec 'mkfifo end
		untorn sandbox --nvdimm mem-path=a.img --pid-file pid -- cat end &
		exec 9>end
		until [ -s pid ]; do :; done
		untorn sandbox --join pid -- cat /sys/bus/nd/devices/region0/size
		exec 9>&-
		wait'
	assert_equal "size" "$out" $((64 << 20))
fi

# A signal for the one that made it is for its command, and all is cleared away. Whoever runs us may have it ignored (nohup).
cleanup "[[ ! -p never ]] || exec 9<>never 9>&-"
for signal in HUP TERM; do
	rm -f pid
	mkfifo never
	env --default-signal=$signal untorn sandbox "${a[@]}" --pid-file pid -- cat never &
	sandbox=$!
	wait_until test -s pid
	kill -$signal $sandbox
	status=0
	wait $sandbox || status=$?
	assert_equal "status after $signal" "$status" $((128 + $(kill -l $signal)))
	assert_equal "left behind" "$(ls run)" ""
	assert_missing pid
	rm never
done

# It ends also when its caller ignores the signal by which we stop our server.
run_status 3 timeout -s KILL 60 sh -c "trap '' TERM; exec \"\$@\"" sh untorn sandbox "${a[@]}" -- sh -c 'exit 3'

# One that comes early, at whatever moment, leaves nothing behind; neither does the end of a sandbox that is killed.
for delay in 1 2 3 4 5 6 8 10 14 20 30; do
	status=0
	timeout -s INT 0.0$((delay / 10))$((delay % 10)) untorn sandbox "${a[@]}" -- true 2>log || status=$?
	[[ $status == 0 || $status == 124 || $status == 130 ]] || fail "status $status after SIGINT: $(<log)"
	assert_equal "left behind after $delay ms" "$(ls run)" ""
done
mkfifo never
untorn sandbox "${a[@]}" --pid-file pid -- cat never &
sandbox=$!
wait_until test -s pid
kill -KILL $sandbox
wait $sandbox 2>log || :
all_removed() {
	[[ ! $(ls run) ]]
}
wait_until all_removed
exec 9<>never 9>&-
rm never pid

# --------------------------------------------------------------------- untorn mount

# free IMAGE...: nobody has them.
free() {
	untorn list "$@" >/dev/null 2>&1
}

assert_ok untorn mount "${b[@]}" mnt --background
assert_match "holder" "$(cat mnt/sys/bus/nd/devices/namespace0.0/holder)" "^btt0\.[01]$"
head -c 1M /dev/urandom >data
dd if=data of=mnt/dev/pmem0s bs=4096 conv=notrunc status=none
umount mnt
wait_until free "${b[@]}"
run_status 0 untorn check --namespace made0 nv0.img
untorn export --namespace made0 nv0.img exported
cmp -n 1M data exported

# Whoever starts servers may have closed the standard streams: no volume and no pipe is taken for one of them.
for closed in '<&-' '2>&-' '<&- >&-' '<&- >&- 2>&-'; do
	eval "timeout 30 untorn mount \"\${a[@]}\" mnt --background $closed" || fail "$closed: status $?"
	dd if=data of=mnt/dev/pmem0 bs=4096 conv=notrunc,fsync status=none
	umount mnt
	wait_until free "${a[@]}"
	cmp -n 1M data a.img
	dd if=/dev/zero of=a.img bs=1M count=1 conv=notrunc status=none
done

# Ended by a signal while a program writes: what had been written is there, and no lane is pending.
untorn mount "${b[@]}" mnt 2>log &
server=$!
cleanup "kill $server 2>/dev/null"
wait_until mountpoint -q mnt
dd if=data of=mnt/dev/pmem1s bs=4096 conv=notrunc status=none
yes | dd of=mnt/dev/pmem2s bs=4096 conv=notrunc status=none 2>/dev/null &
writer=$!
wait_until grep -qz y mnt/dev/pmem2s
kill -TERM $server
wait $server || fail "untorn mount: status $? after SIGTERM: $(<log)"
wait $writer || :
! mountpoint -q mnt || fail "it is still mounted"
for n in 1 2; do
	run_status 0 untorn check --all --namespace made$n nv$n.img
	assert_no_match "lanes" "$out" "flog-pending"
done
untorn export --force --namespace made1 nv1.img exported
cmp -n 1M data exported
run_status 0 untorn check-labels "${b[@]}" all

# Read-only: nothing is written, whatever is tried.
remember nv?.img
assert_ok untorn mount "${b[@]}" mnt --background --read-only
assert_equal "read_only" "$(cat mnt/sys/bus/nd/devices/region0/read_only)" 1
run_status 1 dd if=data of=mnt/dev/pmem0s bs=4096 conv=notrunc
assert_match "disk" "$err" "Read-only file system"
cmp -n 1M data mnt/dev/pmem1s
umount mnt
wait_until free "${b[@]}"
assert_unchanged

assert_ok untorn mount a.img mnt --background
assert_equal "an image in place of options" "$(cat mnt/sys/bus/nd/devices/region0/size)" $((64 << 20))
umount mnt

assert_refused 1 "none.img: there is no such file" untorn mount --nvdimm mem-path=none.img mnt --background
assert_refused 2 "the platform is given twice" untorn mount --nvdimm mem-path=a.img platform.json mnt
run_status 1 untorn mount "${a[@]}" none
assert_match "no folder" "$err" "untorn: none: cannot mount there"

# --------------------------------------------------------------------- where it is not allowed

unshare -Ur true 2>/dev/null || skip "all passed but what needs user namespaces, which this user may not make"
# In a user namespace that may have no other, a root without rights.
# shellcheck disable=SC2016
refused='echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set -all --inh-caps -all "$@"'
assert_refused 125 "this system allows no private mounts \(.*\): run as root, or allow user namespaces" \
	unshare -Ur sh -c "$refused" sh untorn sandbox "${a[@]}" -- true
assert_equal "left behind" "$(ls run)" ""
