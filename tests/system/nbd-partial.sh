#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients that write parts of the same sectors at the same time lose nothing.
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"

for size in 512 4096 65536; do
	new_volume vol --sector-size "$size" --size 64M
	serve vol
	nbd-partial "$uri" "$size" || fail "sectors of $size"
	stop
	assert_pending 0 vol
done
