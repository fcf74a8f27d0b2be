#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# untorn import and export: the same bytes back, through files and pipes; holes stay holes; what does not fit is
# refused; and a failed export leaves nothing behind.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq

# states VOLUME: "normal 3 zero 5", sectors by state.
states() {
	untorn dump "$1" --map --json | jq -r 'reduce .[] as $run ({}; .[$run.state] += $run.sectors) |
		to_entries | sort_by(.key) | map("\(.key) \(.value)") | join(" ")'
}

# assert_no_temporary: no export left the file that it writes to before it is complete.
assert_no_temporary() {
	assert_equal "temporary files" "$(find . -name '*untorn-*')" ""
}

# ------------------------------------------------------------- there and back

# Data that is no multiple of any sector size, with zeros and holes in it.
head -c 3000001 /dev/urandom >data
truncate -s 5000000 data
head -c 70001 /dev/urandom >>data
bytes=$(size_of data)

while read -r size profile; do
	assert_ok untorn format vol --size 33M --sector-size "$size" --profile "$profile"
	capacity=$(untorn info vol --json | jq '.[0].size')
	truncate -s "$capacity" expected
	cat data - < <(head -c $((capacity - bytes)) /dev/zero) >expected

	assert_ok untorn import vol data
	assert_ok untorn export vol out
	cmp out expected
	assert_equal "export to a pipe, $size" "$(untorn export vol - | md5)" "$(md5 <expected)"

	# Again over old content, from a pipe, with the options in front.
	head -c "$capacity" /dev/urandom >full
	assert_ok untorn import --medium page vol - < <(cat full)
	assert_equal "full import, $size" "$(untorn export --medium page vol - | md5)" "$(md5 <full)"
	# What the source does not reach keeps its content; its last sector is filled up with zeros.
	assert_ok untorn import vol - <data
	data_size=$(untorn info vol --json | jq '.[0].sector_size')
	padded=$(((bytes + data_size - 1) / data_size * data_size))
	truncate -s $padded data
	cat data - < <(tail -c +$((padded + 1)) full) >expected
	truncate -s "$bytes" data
	assert_equal "content behind the source, $size" "$(untorn export vol - | md5)" "$(md5 <expected)"
	assert_ok untorn check vol
	rm vol out
done <<-END
	512 linux
	520 linux
	4096 linux
	4160 linux
	65536 linux
	1000 pmemblk
END

# ---------------------------------------------------------------------- holes

assert_ok untorn format vol --size 64M
capacity=$(untorn info vol --json | jq '.[0].size')
empty=$(blocks vol)
truncate -s 60M sparse
printf 'first' | dd of=sparse conv=notrunc status=none
printf 'middle' | dd of=sparse conv=notrunc status=none seek=30000000 bs=1
printf 'last' | dd of=sparse conv=notrunc status=none seek=62914556 bs=1
assert_ok untorn import vol sparse
assert_equal "states after a sparse import" "$(states vol)" "initial 16101 normal 3"
assert_less "KiB of the volume after a sparse import" "$(blocks vol)" $((empty + 64))
assert_ok untorn export vol out --force
assert_less "KiB of a sparse export" "$(blocks out)" 64
cmp -n $((60 << 20)) sparse out
assert_equal "size of the export" "$(size_of out)" "$capacity"
# The same through a pipe, where holes are only zeros.
assert_ok untorn format vol --force
assert_ok untorn import vol - < <(cat sparse)
assert_equal "states after an import of zeros" "$(states vol)" "initial 16101 normal 3"

# Holes over old content become the zero state: no block is written for them, and they are holes again on the way out.
head -c 20M /dev/urandom >random
assert_ok untorn import vol random
drains=$(states vol)
assert_match "states of a written volume" "$drains" "normal 512[0-9]"
assert_ok untorn import vol sparse
assert_equal "states of holes over content" "$(states vol)" "initial 10982 normal 3 zero 5119"
assert_ok untorn export vol out --force
assert_less "KiB of that export" "$(blocks out)" 64
cmp -n $((60 << 20)) sparse out
assert_ok untorn check vol

# A source that ends in zeros, as a hole and out of a pipe: they count, too.
truncate -s 1M ending
head -c 4097 /dev/urandom | dd of=ending conv=notrunc status=none
for pipe in "" -; do
	assert_ok untorn import vol random
	if [[ -z $pipe ]]; then
		assert_ok untorn import vol ending
	else
		assert_ok untorn import vol <(cat ending)
	fi
	assert_ok untorn export vol out --force
	cmp -n $((1 << 20)) ending out
	cmp -i $((1 << 20)) -n $((1 << 20)) random out
done

# ----------------------------------------------------------------- what does not fit

remember vol
truncate -s $((capacity + 1)) large
assert_refused 1 "large: $((capacity + 1)) bytes do not fit into vol, which holds $capacity$" untorn import vol large
assert_unchanged
assert_refused 1 "standard input: $((capacity + 1)) bytes do not fit" untorn import vol - <large
assert_unchanged
truncate -s "$capacity" large
assert_ok untorn import vol large
truncate -s $((capacity + 5000)) large
assert_refused 1 "standard input: does not fit into vol; its first $capacity bytes were written, the volume is full$" \
	untorn import vol - < <(cat large)
: >nothing
remember vol
assert_ok untorn import vol nothing
assert_ok untorn import vol - </dev/null
assert_unchanged
assert_refused 1 "missing: cannot be read: No such file or directory$" untorn import vol missing
assert_refused 1 "\.: is a directory$" untorn import vol .
assert_refused 1 "vol: is the target itself$" untorn import vol vol
assert_refused 1 "missing: No such file or directory$" untorn import missing nothing
assert_missing missing
assert_unchanged

# --------------------------------------------------------------- destinations

printf keep >old
remember old
assert_refused 1 "old: is there and not empty; --force replaces it$" untorn export vol old
assert_unchanged
assert_refused 1 "vol: is the volume itself$" untorn export --force vol vol
assert_refused 1 "\.: is a directory$" untorn export vol .
assert_refused 1 "no-dir/out: cannot be written: No such file or directory$" untorn export vol no-dir/out
assert_ok untorn export vol /dev/null
ln -s old link
chmod 640 old
assert_ok untorn export vol link --force
[[ -L link ]] || fail "the export replaced a link instead of the file behind it"
assert_equal "size behind the link" "$(size_of old)" "$capacity"
assert_equal "mode of a file that was replaced" "$(stat -c %a old)" 640
(umask 027 && untorn export vol new)
assert_equal "mode of a new file" "$(stat -c %a new)" 640
: >there
assert_ok untorn export vol there

# A sector in error state ends the export, and nothing is left of DEST. The pool has one, lba 74.
fixture pmemblk-512.pool
remember pmemblk-512.pool old
mkdir clean
assert_refused 1 "lba 74 is in error state; --ignore-errors exports zeros" untorn export pmemblk-512.pool clean/out
assert_equal "what a failed export left" "$(ls -A clean)" ""
assert_refused 1 "lba 74 is in error state" untorn export pmemblk-512.pool old --force
assert_no_temporary
assert_unchanged
assert_refused 1 "1 sector could not be read and is zeros in clean/out$" \
	untorn export pmemblk-512.pool clean/out --ignore-errors
tail -c +$((74 * 512 + 1)) clean/out | head -c 512 >sector || :
assert_equal "the sector in error state" "$(tr -d '\0' <sector | wc -c)" 0
# All other sectors are those of tests/fixtures/README.md, where lba 74 counts as 0xEE bytes.
head -c 512 /dev/zero | tr '\0' '\356' | dd of=clean/out bs=512 seek=74 conv=notrunc status=none
assert_equal "content of the pool" "$(md5 <clean/out)" 3cbc2626f815e76829dc455a6d919dff

# A full disk (here: a limit on the size of files) and a signal leave nothing behind either.
head -c 8M /dev/urandom >random
assert_ok untorn import vol random
(ulimit -f 4096 && assert_refused 1 "clean/full: cannot be written: File too large$" untorn export vol clean/full)
assert_missing clean/full
assert_no_temporary
if untorn format huge --size 4T >format.out 2>&1; then # some file systems have smaller files only
	untorn export huge clean/huge &
	pid=$!
	wait_until compgen -G 'clean/huge.untorn-*' >temporary
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	assert_equal "status after SIGTERM" $status $((128 + 15))
	assert_missing clean/huge
	assert_no_temporary
fi
