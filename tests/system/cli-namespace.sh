#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Volumes in the namespaces of NVDIMM images with labels: --namespace of the volume commands and namespace= of the nbdkit plugin.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/functions.sh"
requires jq

# dimms FILE...: the options that describe NVDIMMs with 128K of labels.
dimms() {
	printf -- '--nvdimm mem-path=%s,label-size=128K ' "$@"
}

# place IMAGE NAME: where the namespace lies in the file.
place() {
	untorn read-labels nmem0 --json --nvdimm "mem-path=$1" 2>/dev/null |
		jq -r --arg name "$2" '.[0].label[] | select(.state == "active" and .name == $name) | "\(.dpa) \(.rawsize)"'
}

# raw IMAGE NAME: the bytes of the namespace.
raw() {
	local dpa size
	read -r dpa size < <(place "$1" "$2")
	tail -c "+$((dpa + 1))" "$1" | head -c "$size" || [[ $? == 141 ]]
}

# assert_starts_with_random WHAT IMAGE NAME
assert_starts_with_random() {
	assert_ok untorn export "$2" exported --force --namespace "$3"
	cmp -n "$(size_of random)" exported random || fail "$1: data of $3 in $2"
}

# fact IMAGE NAME KEY: what list says of the namespace.
fact() {
	untorn list -Niv --nvdimm "mem-path=$1" | jq -r --arg name "$2" ".[] | select(.name == \$name) | .$3"
}

# ---------------------------------------------------------------- the known images

fixture labels-v11.img
fixture labels-v12.img
remember labels-v11.img labels-v12.img

# Facts of tests/fixtures/README.md.
while read -r image name device layout sectors size md5; do
	label_uuid=$(fact "$image" "$name" raw_uuid) btt_uuid=$(fact "$image" "$name" uuid)
	for text in "$name" "$device" "$label_uuid" "$btt_uuid" "${btt_uuid^^}"; do
		assert_json untorn info "$image" --json --namespace "$text"
		assert_jq '.[] | "\(.path) \(.namespace) \(.layout) \(.sectors) \(.sector_size) \(.uuid) \(.parent_uuid)"' \
			"$image $device $layout $sectors $size $btt_uuid $label_uuid"
	done
	assert_ok untorn info "$image" --namespace "$name"
	assert_match "first line of info" "$out" "^$image: $device: BTT $layout"
	assert_ok untorn check "$image" --namespace "$name"
	assert_match "check" "$out" "^$image: $device: clean; $sectors sectors"
	assert_ok untorn dump "$image" --namespace "$name" --lba 0
	assert_equal "data of $name in $image" "$(untorn export "$image" - --namespace "$name" | md5)" "$md5"
done <<-END
	labels-v11.img alpha namespace0.0 1.1 7920  4096 d9b7618eff32843b2cf8bbc03581b9c8
	labels-v11.img beta  namespace0.1 1.1 64708 512  92e9af4969ed62a32e36391cdcfa546e
	labels-v12.img alpha namespace0.0 2.0 7921  4096 81e762a5eb00c85d61dfb9bd4fa73b9a
	labels-v12.img beta  namespace0.1 2.0 64716 512  f9f508d60563322bd33a44742dacbf5f
END
for image in labels-v11.img labels-v12.img; do
	assert_equal "data of gamma in $image" "$(raw "$image" gamma | md5)" e1d8b17fe821f505a8d6f962196dd769
	assert_refused 1 "^untorn: $image: namespace0.2: no BTT found; 'untorn format' makes one$" \
		untorn info $image --namespace gamma
done

# ---------------------------------------------------------------- which one is meant

both='namespace0\.0 "alpha", namespace0\.1 "beta"'
for image in labels-v11.img labels-v12.img; do
	for command in "info $image" "check $image" "dump $image" "export $image -" "import $image /dev/null" "serve $image"; do
		status=1
		[[ $command != check* ]] || status=8
		# shellcheck disable=SC2086
		assert_refused $status \
			"^untorn: $image: it has 2 namespaces with a BTT: $both; say which one with --namespace$" untorn $command
		# shellcheck disable=SC2086
		assert_refused $status "^untorn: $image: there is no namespace \"delta\", but $both, namespace0\.2 \"gamma\"$" \
			untorn $command --namespace delta
	done
	# A device that is no namespace, an idle namespace, nearly a name, a uuid of nobody.
	for name in region0 namespace0.3 alph Alpha namespace0 "" 00000000-0000-0000-0000-000000000000; do
		run_status "$([[ $name ]] && echo 1 || echo 2)" untorn info $image --namespace "$name"
		assert_one_sentence "info --namespace '$name'"
	done
	for options in "" --force; do
		# shellcheck disable=SC2086
		assert_refused 1 "it has 3 namespaces: $both, namespace0\.2 \"gamma\"; say which one with --namespace$" \
			untorn format $image $options
	done
done
assert_unchanged

# One volume among other namespaces needs no name, and two namespaces may have one.
truncate -s 96M one
# shellcheck disable=SC2046
{
	run_status 0 untorn init-labels all $(dimms one)
	assert_refused 1 "^untorn: one: it has labels, but no namespace; create one first$" untorn info one
	assert_refused 1 "^untorn: one: it has labels, but no namespace; create one first$" untorn info one --namespace x
	run_status 0 untorn create-namespace $(dimms one) -r region0 -m raw -s 16M -n first
	assert_refused 1 "^untorn: one: no namespace has a BTT; there are namespace0\.0 \"first\"$" untorn info one
	run_status 0 untorn create-namespace $(dimms one) -r region0 -m sector -s 32M -n second
	assert_json untorn info one --json
	assert_jq '.[0].namespace' namespace0.1
	run_status 0 untorn create-namespace $(dimms one) -r region0 -m raw -s 16M -n second
}
assert_refused 1 "several namespaces are called \"second\": .*; say which one with --namespace$" \
	untorn info one --namespace second
assert_ok untorn info one --namespace namespace0.1

# A second NVDIMM of a machine is known as that by its labels.
truncate -s 64M nv0 nv1
# shellcheck disable=SC2046
{
	run_status 0 untorn init-labels all $(dimms nv0 nv1)
	run_status 0 untorn create-namespace $(dimms nv0 nv1) -r region1 -m sector -s 32M -n vol
}
assert_json untorn info nv1 --json
assert_jq '.[0].namespace' namespace0.0
assert_ok untorn format nv1 --force
assert_ok untorn check nv1

# Nothing of this is for volumes without labels.
assert_ok untorn format vol --size 32M
remember vol
for command in info dump "export - "; do
	# shellcheck disable=SC2086
	set -- $command
	assert_refused 1 "^untorn: vol: it has no labels, so it has no namespaces to choose from$" \
		untorn "$1" vol "${@:2}" --namespace namespace0.0
done
assert_refused 8 "^untorn: vol: it has no labels" untorn check vol --namespace x --repair
assert_refused 1 "^untorn: vol: it has no labels" untorn format vol --namespace x --force
assert_json untorn info vol --json
assert_jq '.[0].namespace' null
assert_unchanged

# ---------------------------------------------------------------- writing

# What is written to one namespace is there, and nowhere else.
head -c 5000000 /dev/urandom >random
for image in labels-v11.img labels-v12.img; do
	gamma=$(raw $image gamma | md5) beta=$(raw $image beta | md5) labels=$(tail -c 128K $image | md5)
	assert_ok untorn import $image random --namespace alpha
	assert_starts_with_random "after the import" $image alpha
	assert_equal "gamma" "$(raw $image gamma | md5)" "$gamma"
	assert_equal "beta" "$(raw $image beta | md5)" "$beta"
	assert_equal "labels" "$(tail -c 128K $image | md5)" "$labels"
	# A damaged volume is found and mended where it lies. The backup tells that there is one.
	read -r dpa _ < <(place $image alpha)
	base=$(untorn info $image --namespace alpha --json | jq '.[0].base')
	dd if=/dev/zero of=$image bs=4096 seek=$(((dpa + base) / 4096)) count=1 conv=notrunc status=none
	assert_refused 1 "^untorn: $image: namespace0.0: " untorn info $image --namespace alpha
	run_status 1 untorn check $image --namespace alpha --repair
	assert_ok untorn check $image --namespace alpha
	assert_starts_with_random "after the repair" $image alpha
	assert_equal "gamma" "$(raw $image gamma | md5)" "$gamma"
	assert_equal "beta" "$(raw $image beta | md5)" "$beta"
done

# ---------------------------------------------------------------- format

for image in labels-v11.img labels-v12.img; do
	alpha=$(raw $image alpha | md5) gamma=$(raw $image gamma | md5)
	remember $image
	assert_refused 1 "namespace0.1: holds data already \(BTT [12]\.[01]\); --force" untorn format $image --namespace beta
	for options in "--size 128M" "--size 1G" "--parent-uuid 00112233-4455-6677-8899-aabbccddeeff" "--btt-version 1.1" "--btt-version 2.0" \
		"--profile linux" "--profile pmemblk"; do
		# shellcheck disable=SC2086
		assert_refused 1 "^untorn: $image: namespace0.1: ${options% *} is for targets without labels; here the label" \
			untorn format $image --namespace beta --force $options
	done
	assert_unchanged
	assert_ok untorn format $image --namespace beta --force --sector-size 4160
	assert_match "what is said" "$out" "^$image: namespace0\.1: BTT [12]\.[01], .* 4096 \\+ 64 bytes$"
	assert_equal "parent" "$(untorn info $image --namespace beta --json | jq -r '.[0].parent_uuid')" "$(fact $image beta raw_uuid)"
	assert_equal "mode" "$(fact $image beta mode)" sector
	assert_equal "KiB of data" "$(untorn export $image - --namespace beta | tr -d '\0' | wc -c)" 0
	assert_equal "alpha" "$(raw $image alpha | md5)" "$alpha"
	assert_equal "gamma" "$(raw $image gamma | md5)" "$gamma"
done

# Layout and label follow the version of the labels. 16 MiB are too small for 1.1, and then nothing is changed.
gamma=$(raw labels-v11.img gamma | md5)
before=$(untorn list -Niv --nvdimm mem-path=labels-v11.img)
assert_refused 1 "namespace0.2: 16 MiB is too small" untorn format labels-v11.img --namespace gamma --sector-size 4096 --force
assert_equal "devices after a refused format" "$(untorn list -Niv --nvdimm mem-path=labels-v11.img)" "$before"
assert_equal "gamma" "$(raw labels-v11.img gamma | md5)" "$gamma"
assert_ok untorn format labels-v12.img --namespace gamma --sector-size 512 --force
assert_equal "mode" "$(fact labels-v12.img gamma mode)" sector
assert_equal "sector size" "$(fact labels-v12.img gamma sector_size)" 512
assert_equal "layout" "$(untorn info labels-v12.img --namespace gamma --json | jq -r '.[0].layout')" 2.0

# A file system in a namespace is data, too.
if command -v mkfs.ext4 >/dev/null; then
	read -r dpa size < <(place one first)
	mkfs.ext4 -q -E "offset=$dpa" one "$((size / 1024))k"
	remember one
	assert_refused 1 "^untorn: one: namespace0.0: holds data already \(ext4\); --force" \
		untorn format one --namespace first
	assert_unchanged
fi

# ---------------------------------------------------------------- serve

fixture labels-v12.img
if command -v nbdkit >/dev/null && command -v nbdcopy >/dev/null; then
	copy='nbdcopy "$uri" - | md5sum | cut -d " " -f 1'
	assert_ok untorn serve labels-v12.img --namespace beta --read-only --run "$copy"
	assert_equal "beta over NBD" "$out" f9f508d60563322bd33a44742dacbf5f
	remember labels-v12.img
	plugin=${UNTORN_NBDKIT_PLUGIN:-}
	if [[ $plugin ]]; then
		run_status 0 nbdkit -r "$plugin" labels-v12.img namespace=alpha --run "$copy"
		assert_equal "alpha over NBD" "$out" 81e762a5eb00c85d61dfb9bd4fa73b9a
		for arguments in "" namespace=delta "namespace=alpha namespace=beta" namespace= ; do
			# shellcheck disable=SC2086
			run_status 1 nbdkit "$plugin" labels-v12.img $arguments --run "$copy"
			assert_match "nbdkit $arguments" "$err" "^nbdkit: error: .*(name|say which one with namespace=)"
		done
		run_status 1 nbdkit "$plugin" vol namespace=alpha --run "$copy"
		assert_match "nbdkit" "$err" "vol: it has no labels"
	fi
	assert_unchanged
	assert_ok untorn serve labels-v12.img --namespace alpha --run 'nbdcopy random "$uri"'
	assert_starts_with_random "written over NBD" labels-v12.img alpha
	assert_equal "beta" "$(untorn export labels-v12.img - --namespace beta | md5)" f9f508d60563322bd33a44742dacbf5f
fi
