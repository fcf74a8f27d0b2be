# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# To be sourced before all else by a test that mounts: it starts again in a mount namespace of its own, or is skipped.

if [[ -z ${UNTORN_TEST_NAMESPACE-} ]]; then
	for unshare in "unshare -m" "unshare -Urm"; do
		if $unshare true 2>/dev/null; then
			UNTORN_TEST_NAMESPACE=1 exec $unshare "$0" "$@"
		fi
	done
	echo "SKIP: this user may make no mount namespace (unshare)"
	exit 77
fi
