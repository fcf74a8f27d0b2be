#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Persistent memory as a kernel offers it: a file on ext4 mounted with DAX, and a device DAX. Both are recognised as
# cacheline media and take a volume through format, import, export and check, in the guest itself.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires untorn

truncate -s 128M "$tmp/fsdax" "$tmp/devdax"
random_data 3000000 "$tmp/data"
library=$(ldd "$(command -v untorn)" | sed -n 's/.*libuntorn[^ ]* => \([^ ]*\).*/\1/p')

cat >"$tmp/script" <<'GUEST'
export LD_LIBRARY_PATH=/host
ndctl create-namespace -f -e namespace0.0 -m fsdax -M mem -a 4096 >/dev/null
ndctl create-namespace -f -e namespace1.0 -m devdax -M mem -a 4096 >/dev/null
mkfs.ext4 -q -b 4096 /dev/pmem0
mkdir /mnt/dax
mount -t ext4 -o dax /dev/pmem0 /mnt/dax

/host/untorn format /mnt/dax/volume --size 32M
/host/untorn format /dev/dax1.0 --sector-size 512
for target in /mnt/dax/volume /dev/dax1.0; do
	/host/untorn info $target | sed -n 's/^ *medium.*), \([a-z]*\):.*/medium: \1/p'
	/host/untorn import $target /host/data
	/host/untorn export $target /tmp/out
	head -c 3000000 /tmp/out | cmp - /host/data
	rm /tmp/out
	/host/untorn check $target
	echo "passed: $target"
done
GUEST
guest --nvdimm "$tmp/fsdax" --nvdimm "$tmp/devdax" --copy "$(command -v untorn)" --copy "$library" \
	--copy "$tmp/data" -- "$tmp/script"

[[ $(guest_said medium) == $'cacheline\ncacheline' ]] || fail "not recognised as cacheline media"
[[ $(guest_said passed) == $'/mnt/dax/volume\n/dev/dax1.0' ]] || fail "not all targets passed"
