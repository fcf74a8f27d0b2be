#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every command has a --help with synopsis, options and examples, and a manual that knows the same options. Wrong usage
# is one sentence and a pointer to --help.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

man_dir=$source_dir/cli/man
commands_below() {
	untorn --help | sed -n "/^Commands on $1/,/^$/s/^  \\([a-z-]*\\) .*/\\1/p"
}
volume_commands=$(commands_below volumes)
nvdimm_commands=$(commands_below NVDIMMs)
commands="$volume_commands
$nvdimm_commands"
assert_less "number of commands missing" 0 "$(wc -w <<<"$volume_commands")"
assert_less "number of commands missing" 0 "$(wc -w <<<"$nvdimm_commands")"

# The options that a text names: words that begin with two dashes.
options_in() {
	grep -oE -- '--[a-z][a-z-]*' | sort -u
}

# usage_status COMMAND: what it exits with when the command line is wrong.
usage_status() {
	case $1 in
	check | check-namespace) echo 16 ;;
	sandbox | ndctl) echo 125 ;;
	*) echo 2 ;;
	esac
}

# runs_arguments COMMAND: its arguments are a command with options of its own.
runs_arguments() {
	[[ $1 == sandbox || $1 == ndctl ]]
}

assert_ok untorn --version
assert_match "version" "$out" '^untorn [0-9]+\.[0-9]+'
assert_ok untorn --help

for command in $commands; do
	page=$man_dir/untorn-$command.1
	[[ -e $page ]] || fail "the command $command has no manual"
	assert_ok untorn "$command" --help
	help=$out
	assert_match "help of $command" "$help" "^Usage: untorn $command "
	assert_match "help of $command" "$help" $'\nOptions:\n'
	assert_match "help of $command" "$help" $'\nExamples:\n  untorn '"$command"' '
	assert_equal "short option for help of $command" "$(untorn "$command" -h)" "$help"
	# --help beside a target, in front and behind, does not touch it. Behind a command to run, it is that one's.
	assert_equal "help before a target" "$(untorn "$command" --help missing)" "$help"
	runs_arguments "$command" || assert_equal "help behind a target" "$(untorn "$command" missing --help)" "$help"
	assert_missing missing

	grep -q '^\.SH EXAMPLES$' "$page" || fail "$page has no examples"
	grep -q '^\.SH EXIT STATUS$' "$page" || fail "$page has no exit status"
	in_help=$(sed -n '/^Options:/,/^Examples:/s/^ \{2,6\}\(-[A-Za-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' <<<"$help" | sort -u)
	in_page=$(sed 's/\\-/-/g; s/\\f.//g' "$page" | sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/{/^\.TP/{n;p}}' | options_in)
	assert_equal "options of $command in --help and in its manual" "$in_help" "$in_page"
	# The first line of the manual says the same as `untorn --help`.
	summary=$(sed -n '/^\.SH NAME$/{n;s/\\-/-/g;p}' "$page")
	assert_match "NAME of $command" "$summary" "^untorn-$command - "
	summary=${summary#"untorn-$command - "}
	untorn --help | grep -qxF "  $(printf '%-17s' "$command")  $summary" || fail "summary of $command: $summary"
	[[ $(sed 's/\\-/-/g' "$man_dir/untorn.1") = *$'\n'".BR untorn-$command "* ]] ||
		fail "untorn.1 does not know $command"

	usage=$(usage_status "$command")
	# Without anything, read-infoblock reads standard input.
	[[ $command = read-infoblock ]] || assert_refused $usage "missing.*; try 'untorn $command --help'$" untorn "$command"
	target=(vol.img)
	! runs_arguments "$command" || target=()
	assert_refused $usage "--no-such-option is not an option; try" untorn "$command" "${target[@]}" --no-such-option
	assert_refused $usage "-x is not an option; try" untorn "$command" "${target[@]}" -x
	assert_refused $usage "--help takes no value; try" untorn "$command" --help=x
	# Those that run a command take as many as it does.
	[[ $(sed -n 's/^Usage: //p' <<<"$help") =~ \.\.\.\|all|--\  ]] ||
		assert_refused $usage "is one argument too many; try" untorn "$command" a b c d
done

for command in $volume_commands; do
	usage=$(usage_status "$command")
	assert_refused $usage "--medium.*value is missing; try" untorn "$command" vol.img --medium
	assert_refused $usage "'wood' is not auto, cacheline, byte, page or volatile" \
		untorn "$command" --medium wood vol.img
done

for command in $nvdimm_commands; do
	usage=$(usage_status "$command")
	assert_match "usage of $command" "$(untorn "$command" --help | head -1)" "[ []--nvdimm DIMM\.\.\."
	assert_refused $usage "--nvdimm.*value is missing; try" untorn "$command" --nvdimm
done

# Each manual belongs to a command.
for page in "$man_dir"/untorn-*.1; do
	name=$(basename "$page" .1)
	grep -qx "${name#untorn-}" <<<"$commands" || fail "$page belongs to no command"
done

assert_refused 2 "a command is missing; try 'untorn --help'$" untorn
assert_refused 2 "'frobnicate' is not a command; try 'untorn --help'$" untorn frobnicate
assert_refused 2 "'--frobnicate' is not a command" untorn --frobnicate

# Output that cannot be written is a failure, not silence.
if [[ -w /dev/full ]]; then
	status=0
	untorn format --help >/dev/full 2>err || status=$?
	assert_equal "status with a full disk behind >" $status 1
	grep -q 'standard output' err
fi
