#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# untorn serve itself: ways to listen, --run, signals, what it refuses and what it leaves behind.
# shellcheck disable=SC2016 # commands of --run are expanded by their own shell
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"

new_volume vol
new_volume other

# refused STATUS REGEX COMMAND...: one sentence, and nothing is left behind. A note about the medium may stand before
# it.
refused() {
	local before
	before=$(ls "$XDG_RUNTIME_DIR")
	run_status "$1" "${@:3}"
	err=$(grep -v '^untorn: note: ' <<<"$err" | tee "$tmp/.err")
	assert_one_sentence "${*:3}"
	assert_match "stderr of ${*:3}" "$err" "$2"
	assert_equal "files left by ${*:3}" "$(ls "$XDG_RUNTIME_DIR")" "$before"
}

# A private socket that only we can reach. SIGTERM and SIGINT end the server.
size=$(untorn export vol - | wc -c)
serve vol
socket=${uri#nbd+unix:///?socket=}
assert_equal "mode of the private folder" "$(stat -c %a "$(dirname "$socket")")" 700
assert_equal "size" "$(nbdinfo --size "$uri")" "$size"
stop
serve vol
kill -INT "$serve_pid"
ended 0

# A second server, or any other command that writes, is told who holds the file.
serve vol
for command in "serve vol" "serve vol --read-only" "import vol /dev/null"; do
	# shellcheck disable=SC2086 # words
	refused 1 "vol: in use by process $nbdkit_pid \(nbdkit\)" untorn $command
done
stop

# Read-only servers share.
serve vol --read-only
run_status 0 untorn serve vol --read-only --run 'nbdinfo --is read-only "$uri"'
refused 1 "in use" untorn serve vol
stop

# What is not sound is not served.
truncate -s 24M zeros
truncate -s 100K short
cp vol bad
printf 'x' | dd of=bad bs=1 seek=$((4096 + 60)) conv=notrunc status=none
refused 1 "zeros: .*no BTT" untorn serve zeros
refused 1 "short: " untorn serve short
refused 1 "bad: .*untorn check" untorn serve bad
refused 1 "missing: " untorn serve missing
refused 2 "exclude each other" untorn serve vol --socket s --port 10809
refused 2 "'65536' is not a port" untorn serve vol --port 65536
refused 2 "needs --port" untorn serve vol --listen 0.0.0.0 --tls-certificates .
refused 2 "needs --tls-certificates" untorn serve vol --port 10809 --listen 0.0.0.0
refused 2 "needs --tls-certificates" untorn serve vol --tls-verify-peer
refused 1 "at most 107 characters" untorn serve vol --socket "$(printf '%0110d' 0)"
refused 1 "zeros: .*not a socket" untorn serve vol --socket zeros
refused 1 "no/folder: cannot write the pid file" untorn serve vol --pid-file no/folder
refused 1 "/no/plugin.so: the nbdkit plugin is missing" env UNTORN_NBDKIT_PLUGIN=/no/plugin.so untorn serve vol
refused 1 "nbdkit is not installed" env PATH=/nowhere "$(command -v untorn)" serve vol
refused 2 "" untorn serve
refused 2 "" untorn serve vol --sockets x
refused 2 "" untorn serve vol vol
# nbdkit's own sentence comes before ours.
run_status 1 untorn serve vol --tls-certificates no
assert_match "stderr" "$err" "untorn: vol: the server failed"

# A chosen socket, with a name that a URI cannot hold as it is. One that a dead server left is replaced, a living
# one's stays.
odd="a socket&b"
serve vol --socket "$odd"
nbdinfo --size "$uri" >size
refused 1 "serves on this socket" untorn serve other --socket "$odd"
kill -KILL "$serve_pid" "$nbdkit_pid"
wait_until process_gone "$nbdkit_pid"
[[ -S $odd ]] || fail "no dead socket to replace"
rm -rf "${XDG_RUNTIME_DIR:?}"/* pid
serve vol --socket "$odd"
nbdinfo --size "$uri" >size
stop
assert_missing "$odd"

# A killed `untorn serve` takes nbdkit with it, which ends properly: nothing is left to finish.
serve vol
head -c 1M /dev/urandom | nbdcopy -- - "$uri"
kill -KILL "$serve_pid"
wait_until process_gone "$nbdkit_pid"
rm -rf "${XDG_RUNTIME_DIR:?}"/* pid
assert_pending 0 vol

# What was written and never flushed is there after a proper end, of which SIGTERM to nbdkit itself is another.
for victim in serve_pid nbdkit_pid; do
	head -c 300K /dev/urandom >data
	serve vol --commit 0
	nbdcopy -- data "$uri"
	kill -TERM "${!victim}"
	ended 0
	untorn export vol copy --force
	cmp -n 307200 copy data
done

# --run: the command finds the server, its exit status is ours, and it can be ended from outside.
run_status 0 untorn serve vol --run 'nbdinfo --size "$uri"'
assert_equal "size" "$out" "$size"
run_status 37 untorn serve vol --run '[ -S "$unixsocket" ] && [ "$nbd" = "$uri" ] && exit 37'
run_status 137 untorn serve vol --run 'kill -9 $$'
mkfifo ready
untorn serve vol --run 'echo "$uri" >ready; exec cat ready' 2>serve.log &
serve_pid=$!
read -r uri <ready
nbdinfo --size "$uri" >size
kill -TERM "$serve_pid"
ended 143
refused 1 "killed by signal 9" untorn serve vol --pid-file pid --run 'kill -9 $(cat pid); exit 0'

# --port: this machine only. A port that somebody else has is a failure that nbdkit explains.
for _ in {1..20}; do
	port=$((20000 + RANDOM % 12000))
	status=0
	untorn serve vol --port $port 2>serve.log --run \
		'nbdinfo --size "$uri" && echo "$uri $port" >environment && cat /proc/net/tcp /proc/net/tcp6 >tcp' ||
		status=$?
	((status != 0)) || break
done
assert_equal "status with --port, after '$(<serve.log)'" "$status" 0
assert_equal "the environment" "$(<environment)" "nbd://127.0.0.1:$port $port"
hex=$(printf "%04X" "$port")
assert_equal "what listens on the port" "$(grep -o "[0-9A-F]*:$hex 0*:0000 0A" tcp)" "0100007F:$hex 00000000:0000 0A"

run_status 0 untorn serve --help
assert_match "--help" "$out" "--tls-certificates"
