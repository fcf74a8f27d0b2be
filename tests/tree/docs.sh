#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Documents agree with the tree: links lead somewhere, sections of SPEC.md and DEVICES.md that comments name exist, the first program of the
# README is examples/count-runs.c, commands that the README shows exist, manuals are well formed, and every public function has its place in
# one.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"

# Links from one document to another file.
find "$source_dir" -name '*.md' ! -path "$source_dir/build*" | while read -r document; do
	{ grep -oE '\]\([^)#:]+(#[^)]*)?\)' "$document" || true; } | sed 's/^](//; s/#.*//; s/)$//' | while read -r target; do
		[[ -e $(dirname "$document")/$target ]] || fail "$document: the link $target leads nowhere"
	done
done

# SPEC 6.5 in a comment is a section or a rule of docs/SPEC.md.
grep -oE '^(## |### )?[0-9]+(\.[0-9]+)*\.? ' "$source_dir/docs/SPEC.md" | tr -d '# ' | sed 's/\.$//' | sort -u >sections
cd "$source_dir"
grep -rhoE 'SPEC [0-9]+(\.[0-9]+)?((,| and|, and|/) ?[0-9]+(\.[0-9]+)?( \([0-9]+\))?)*' include lib cli nbdkit tests bench |
	grep -oE '[0-9]+(\.[0-9]+)?\b' | grep -vE '^\(' | sort -u >"$tmp/named"
cd "$tmp"
(($(wc -l <named) > 15)) || fail "comments name only $(wc -l <named) sections of SPEC.md"
assert_equal "sections that comments name and SPEC.md lacks" "$(comm -13 sections named | tr '\n' ' ')" ""

# S39 and D20 are rows of docs/DEVICES.md, which has all of them; "section 9" in what belongs to devices is one of its sections.
numbers() {
	sed -nE "s/^\| ($1[0-9]+) \|.*/\1/p" "$source_dir/docs/DEVICES.md"
}
assert_equal "numbers S of DEVICES.md" "$(numbers S)" "$(printf 'S%d\n' {1..92})"
assert_equal "numbers D of DEVICES.md" "$(numbers D)" "$(printf 'D%d\n' {1..33})"
cd "$source_dir"
grep -rhoE '\b[SD][0-9]+\b' include lib cli nbdkit tests --include='*.[ch]' --include='*.sh' --include='*.py' | sort -u >"$tmp/named"
mapfile -t device_sources < <(find include lib/device tests -name '*device*.[ch]' -o -path 'lib/device/*.[ch]')
grep -hoiE '\b(sections?|DEVICES\.md) [0-9]+((,| and|, and| to) [0-9]+)*' "${device_sources[@]}" | grep -oE '[0-9]+' | sort -u >"$tmp/named-sections"
cd "$tmp"
{ numbers S; numbers D; } | sort -u >known
sed -nE 's/^## ([0-9]+)\. .*/\1/p' "$source_dir/docs/DEVICES.md" | sort -u >sections
(($(wc -l <named) > 60)) || fail "sources name only $(wc -l <named) numbers of DEVICES.md"
(($(wc -l <named-sections) > 2)) || fail "sources name only $(wc -l <named-sections) sections of DEVICES.md"
assert_equal "numbers that sources name and DEVICES.md lacks" "$(comm -13 known named | tr '\n' ' ')" ""
assert_equal "sections that sources name and DEVICES.md lacks" "$(comm -13 sections named-sections | tr '\n' ' ')" ""

# The README's program cannot rot.
awk '/^```c$/ && !done {inside = 1; next} /^```$/ && inside {exit} inside' "$source_dir/README.md" >program.c
diff -u "$source_dir/examples/count-runs.c" program.c || fail "README.md and examples/count-runs.c differ"

# Commands of the README.
grep -oE '\buntorn [a-z][a-z-]*' "$source_dir/README.md" | sort -u | while read -r _ command; do
	[[ -e $source_dir/cli/man/untorn-$command.1 ]] || fail "README.md: there is no command untorn $command"
done

# Manuals.
requires mandoc
for page in "$source_dir"/docs/man/*.[357]; do
	mandoc -T lint -W warning "$page" >lint || fail "$(<lint)"
	assert_equal "lint of $page" "$(<lint)" ""
done
grep -oE '^[[:space:]]untorn_[a-z0-9_]+;' "$source_dir/lib/libuntorn.map" | tr -d '\t;' | while read -r function; do
	grep -qE "^\.Fo $function\$|^\.Fn $function\b|^\.Ft .*\.Fn $function\b" "$source_dir"/docs/man/*.3 ||
		fail "no manual of section 3 has $function()"
done
