#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The bash completion offers the commands, the options of a command, and the values of those that have a list.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
# shellcheck source=/dev/null
. "$source_dir/cli/completion/untorn"
trap - ERR # completing to nothing is a failure to compgen

# offered WORD...: what is offered for the last of these words.
offered() {
	COMP_WORDS=(untorn "$@")
	COMP_CWORD=$#
	_untorn
	echo "${COMPREPLY[*]}"
}

assert_equal "commands" "$(offered '')" \
	"$(untorn --help | sed -n '/^Commands/,/^Options/s/^  \([a-z][a-z-]*\) .*/\1/p' | paste -sd ' ') --help --version"
assert_equal "commands with e" "$(offered e)" "export enable-namespace enable-region"
assert_equal "options of check with f" "$(offered check vol --f)" "--force"
assert_match "options of import" "$(offered import -)" "^--btt-version --namespace --medium --help$"
assert_equal "profiles" "$(offered format --profile '')" "linux pmemblk"
assert_equal "options with a letter" "$(offered list --i)" "--idle"
assert_equal "options of tree" "$(offered tree -)" "--idle --nvdimm --platform --help"
assert_equal "modes" "$(offered create-namespace -m '')" "sector raw"
assert_equal "media with p" "$(offered info --medium p)" page
assert_equal "a target, left to readline" "$(offered info vo)" ""
