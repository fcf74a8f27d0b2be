#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Linux's devices and ours are asked the same: what each shows, with which mode, what each store and bind does in each state, with
# which errno. The script walks through the state machines of docs/DEVICES.md 17. Two NVDIMMs, under v1.2 and v1.1 labels.
#
# @N stands for the number of the region of the N-th NVDIMM, which in Linux may be any. What cannot be the same is taken out of the
# answers: physical addresses and device numbers. What we do otherwise on purpose is not asked: pfn and dax
# devices (section 11), a btt whose settings differ from its media (section 13), the class of a namespace without labels (D29).

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires device-script

truncate -s 128M "$tmp/linux0.img" "$tmp/linux1.img" "$tmp/ours0.img" "$tmp/ours1.img"

# An uuid for each number.
uuid() {
	printf '%08x-1111-2222-3333-444455556666\n' "$1"
}

cat >"$tmp/template" <<SCRIPT
# io namespaces: no labels yet
attributes region@0
attributes namespace@0.0
attributes btt@0.0
attributes nmem0
attributes ndbus0
children region@0
show region@0 size align nstype mappings mapping0 set_cookie available_size max_available_extent namespace_seed btt_seed init_namespaces read_only deep_flush badblocks devtype modalias numa_node target_node nfit/range_index
show namespace@0.0 devtype modalias nstype size mode holder holder_class force_raw numa_node target_node
show btt@0.0 devtype modalias sector_size uuid namespace size log_zero_flags numa_node target_node
show nmem0 devtype modalias state flags commands available_slots nfit/handle nfit/phys_id nfit/vendor nfit/device nfit/rev_id nfit/subsystem_vendor nfit/subsystem_device nfit/subsystem_rev_id nfit/format nfit/formats nfit/serial nfit/id nfit/family nfit/dsm_mask nfit/flags
show ndbus0 commands provider wait_probe nfit/revision nfit/dsm_mask nfit/hw_error_scrub
driver namespace@0.0
show ndbus0 uevent
show nmem0 uevent
show region@0 uevent
show namespace@0.0 uevent
show btt@0.0 uevent
store namespace@0.0 size 16777216
store namespace@0.0 holder_class btt
store namespace@0.0 force_raw 1
store namespace@0.0 force_raw 0
store namespace@0.0 force_raw maybe
unbind nd_pmem namespace@0.0
show region@0 namespace_seed btt_seed
bind nd_pmem namespace@0.0
show region@0 namespace_seed btt_seed

# drivers
bind nd_pmem namespace@0.0
bind nd_pmem nosuch
bind nd_pmem nmem0
bind nd_region region@0
bind nd_region nmem0
bind nvdimm nmem0
unbind nd_pmem region@0
unbind nd_pmem nosuch
unbind nd_region nmem0
unbind nd_pmem btt@0.0
probe nosuch
probe namespace@0.0
probe btt@0.0
bind nd_pmem btt@0.0

# labels
labels 0 1.2
labels 1 1.1
show region@0 nstype set_cookie available_size max_available_extent namespace_seed btt_seed init_namespaces
show region@1 nstype set_cookie available_size max_available_extent namespace_seed btt_seed init_namespaces
show nmem0 state flags available_slots
show nmem1 state flags available_slots
attributes region@0
attributes namespace@0.0
show namespace@0.0 devtype modalias nstype size mode uuid holder holder_class resource alt_name force_raw sector_size dpa_extents
driver namespace@0.0

show namespace@0.0 uevent

# N0: idle
store namespace@0.0 size 16777216
store namespace@0.0 size 0
store namespace@0.0 size -1
store namespace@0.0 size
store namespace@0.0 size 1x
store namespace@0.0 size 99999999999999999999
store namespace@0.0 uuid 1234
store namespace@0.0 uuid zzzzzzzz-1111-2222-3333-444455556666
store namespace@0.0 alt_name early
store namespace@0.0 sector_size 4096
store namespace@0.0 sector_size 520
store namespace@0.0 sector_size 0x200
store namespace@0.0 holder_class btt
show namespace@0.0 holder_class
store namespace@0.0 holder_class xyz
store namespace@0.0 holder_class
store namespace@0.0 force_raw 1
store namespace@0.0 force_raw no
bind nd_pmem namespace@0.0
unbind nd_pmem namespace@0.0
store btt@0.0 namespace namespace@0.0
show namespace@0.0 size mode uuid holder holder_class alt_name sector_size force_raw

# N1: named
store namespace@0.0 uuid $(uuid 1)
show namespace@0.0 uuid size
bind nd_pmem namespace@0.0
store btt@0.0 namespace namespace@0.0
store namespace@0.0 size 4097
store namespace@0.0 size 16777217
store namespace@0.0 size 1099511627776
store namespace@0.0 size 134217728
store namespace@0.0 size 134086656
store namespace@0.0 alt_name   a name with  blanks  
show namespace@0.0 alt_name
store namespace@0.0 alt_name 0123456789012345678901234567890123456789012345678901234567890123
store namespace@0.0 alt_name 012345678901234567890123456789012345678901234567890123456789012
show namespace@0.0 alt_name
store namespace@0.0 alt_name
show namespace@0.0 alt_name

# N2: configured
store namespace@0.0 size 0x2000000
show namespace@0.0 size dpa_extents mode
show region@0 available_size max_available_extent namespace_seed
show nmem0 available_slots
store namespace@0.0 size 33554432
show nmem0 available_slots
store namespace@0.0 size 16777216
store namespace@0.0 size 50331648
show region@0 available_size max_available_extent namespace_seed
store namespace@0.0 uuid $(uuid 2)
show namespace@0.0 uuid size dpa_extents
store namespace@0.0 alt_name second
store namespace@0.0 sector_size 512
store namespace@0.0 sector_size 4096
store namespace@0.0 sector_size 4097
store namespace@0.0 holder_class btt
store namespace@0.0 holder_class
store namespace@0.0 size 0
show namespace@0.0 size uuid alt_name sector_size
show region@0 available_size namespace_seed
store namespace@0.0 uuid $(uuid 3)
store namespace@0.0 size 33554432

# N3: raw
bind nd_pmem namespace@0.0
driver namespace@0.0
show region@0 namespace_seed btt_seed
children region@0
store namespace@0.0 uuid $(uuid 4)
store namespace@0.0 uuid nonsense
store namespace@0.0 size 16777216
store namespace@0.0 size 0
store namespace@0.0 size nonsense
store namespace@0.0 alt_name third
store namespace@0.0 sector_size 4096
store namespace@0.0 sector_size nonsense
store namespace@0.0 holder_class btt
store namespace@0.0 force_raw 1
store namespace@0.0 force_raw 0
bind nd_pmem namespace@0.0
bind nd_region namespace@0.0
unbind nvdimm namespace@0.0

# uniqueness
store namespace@0.1 uuid $(uuid 3)
store namespace@1.0 uuid $(uuid 3)
store btt@0.0 uuid $(uuid 3)
show btt@0.0 uuid
store namespace@1.0 uuid $(uuid 9)
store namespace@0.1 uuid $(uuid 9)
store btt@0.0 uuid $(uuid 5)
store namespace@0.1 uuid $(uuid 5)
store namespace@0.1 uuid $(uuid 6)

# B0, B1: the btt seed
store btt@0.0 sector_size 512
store btt@0.0 sector_size 1024
store btt@0.0 sector_size
store btt@0.0 sector_size nonsense
store btt@0.0 sector_size 99999999999999999999
show btt@0.0 sector_size uuid namespace size
store btt@0.0 uuid nonsense
store btt@0.0 uuid
store btt@0.0 namespace
show btt@0.0 sector_size uuid namespace size
store btt@0.0 namespace nonsense
store btt@0.0 namespace  namespace@0.0
store btt@0.0 namespace namespace@0.99
store btt@0.0 namespace namespace@1.0
store btt@0.0 namespace region@0
bind nd_pmem btt@0.0
unbind nd_pmem btt@0.0
driver btt@0.0

# attached to a namespace that is bound
store btt@0.0 namespace namespace@0.0   
show btt@0.0 namespace
show namespace@0.0 holder mode holder_class
store btt@0.0 namespace namespace@0.0
store btt@0.0 namespace namespace@0.1
bind nd_pmem btt@0.0
store namespace@0.0 uuid $(uuid 4)
store namespace@0.0 size 0
store namespace@0.0 alt_name fourth
store namespace@0.0 force_raw 0
unbind nd_pmem namespace@0.0
bind nd_pmem namespace@0.0
unbind nd_pmem namespace@0.0

# N4, B2: attached
store namespace@0.0 uuid $(uuid 4)
store namespace@0.0 size 0
store namespace@0.0 alt_name fourth
store namespace@0.0 sector_size 512
store namespace@0.0 holder_class btt
bind nd_pmem btt@0.0
store btt@0.0 uuid $(uuid 7)
bind nd_pmem btt@0.0
store btt@0.0 sector_size 4096
show region@0 btt_seed namespace_seed

# N5, B3: active
bind nd_pmem btt@0.0
driver btt@0.0
show btt@0.0 sector_size uuid namespace size
show namespace@0.0 holder mode holder_class sector_size size uuid
show region@0 btt_seed namespace_seed
children region@0
store btt@0.0 uuid $(uuid 8)
store btt@0.0 uuid nonsense
store btt@0.0 sector_size 512
store btt@0.0 namespace
store btt@0.0 namespace nonsense
bind nd_pmem btt@0.0
bind nd_pmem namespace@0.0
unbind nd_pmem namespace@0.0
store namespace@0.0 uuid $(uuid 4)
store namespace@0.0 size 0
store namespace@0.0 alt_name fifth
store btt@0.1 namespace namespace@0.0
store namespace@0.0 force_raw 0

# B4: unbound, not the seed
unbind nd_pmem btt@0.0
unbind nd_pmem btt@0.0
show btt@0.0 sector_size uuid namespace size
show namespace@0.0 holder mode
store btt@0.0 namespace namespace@0.0
bind nd_pmem namespace@0.0
bind nd_pmem btt@0.0
show region@0 btt_seed
unbind nd_pmem btt@0.0

# B5, and found on media again
store btt@0.0 namespace
children region@0
show namespace@0.0 holder mode
bind nd_pmem namespace@0.0
await namespace@0.0
children region@0
show namespace@0.0 holder mode
driver namespace@0.0
driver btt@0.0
show btt@0.0 sector_size uuid namespace size
show region@0 btt_seed namespace_seed

# force_raw
store namespace@0.0 force_raw 1
unbind nd_pmem btt@0.0
bind nd_pmem namespace@0.0
store btt@0.0 namespace
bind nd_pmem namespace@0.0
driver namespace@0.0
show namespace@0.0 mode
store namespace@0.0 force_raw 0
unbind nd_pmem namespace@0.0

# more namespaces, and N6
show namespace@0.1 uuid size
store namespace@0.1 size 16777216
bind nd_pmem namespace@0.1
children region@0
show region@0 namespace_seed available_size max_available_extent
store namespace@0.2 uuid $(uuid 10)
store namespace@0.2 size 16777216
store namespace@0.2 size 33554432
show namespace@0.2 size
unbind nd_pmem namespace@0.1
store namespace@0.1 size 0
children region@0
show namespace@0.1 size
show region@0 namespace_seed available_size max_available_extent
store namespace@0.2 size 67108864
store namespace@0.2 size 50331648
show region@0 available_size max_available_extent
store namespace@0.2 size 0
children region@0
show region@0 namespace_seed available_size max_available_extent
store namespace@0.2 uuid $(uuid 11)
store namespace@0.2 size 16777216
show region@0 available_size max_available_extent
bind nd_pmem namespace@0.2
children region@0
show region@0 namespace_seed

# exactly 16 MiB: attaches, and does not bind as 1.1
unbind nd_pmem namespace@0.2
store btt@0.1 uuid $(uuid 12)
store btt@0.1 sector_size 512
store btt@0.1 namespace namespace@0.2
bind nd_pmem btt@0.1
store btt@0.1 namespace
show btt@0.1 uuid sector_size namespace

# but as 2.0, under v1.2 labels
store namespace@0.2 holder_class btt
show namespace@0.2 holder_class
store btt@0.1 uuid $(uuid 13)
store btt@0.1 sector_size 512
store btt@0.1 namespace namespace@0.2
bind nd_pmem btt@0.1
show btt@0.1 size
show namespace@0.2 holder_class mode
unbind nd_pmem btt@0.1
store btt@0.1 namespace
show region@0 btt_seed
store namespace@0.2 holder_class pfn
store btt@0.0 namespace namespace@0.2
store namespace@0.2 holder_class dax
store btt@0.0 namespace namespace@0.2
show namespace@0.2 holder_class
store namespace@0.2 holder_class

# v1.1 labels
show namespace@1.0 uuid size
store namespace@1.0 size 33554432
store namespace@1.0 holder_class btt
store btt@1.0 uuid $(uuid 14)
store btt@1.0 sector_size 520
store btt@1.0 namespace namespace@1.0
bind nd_pmem btt@1.0
show btt@1.0 size
show nmem1 available_slots

# disks follow their region, also one that was bound while it was read-only
ro btt@1.0
store region@1 read_only 1
ro btt@1.0
store region@1 read_only 0
ro btt@1.0
store region@1 read_only 1
unbind nd_pmem btt@1.0
ro btt@1.0
bind nd_pmem btt@1.0
ro btt@1.0
store region@1 read_only 0
ro btt@1.0

# regions and dimms
store region@0 align 4096
show region@0 align available_size
store region@0 align 0x1000000
store region@0 align 12288
store region@0 align 2048
store region@0 align 0x100000000
store region@0 align nonsense
store region@0 read_only 1
show region@0 read_only
store region@0 read_only nonsense
store region@0 read_only 0
store region@0 deep_flush 1
store region@0 size 1
unbind nvdimm nmem1
unbind nd_region region@1
show nmem1 state available_slots
show region@1 namespace_seed btt_seed init_namespaces badblocks
bind nd_region region@1
bind nvdimm nmem1
show nmem1 state available_slots
bind nd_region region@1
await namespace@1.0
children region@1
show namespace@1.0 uuid size holder_class mode
SCRIPT

cat >"$tmp/script" <<'GUEST'
devices=/sys/bus/nd/devices
drivers=/sys/bus/nd/drivers

# write FILE: standard input in one write.
write() {
	cat >/tmp/text
	if dd if=/tmp/text of="$1" bs=4096 conv=notrunc 2>/tmp/errors; then
		echo "  ok"
	else
		sed -n '1s/.*: /  /p' /tmp/errors
	fi
}

run() {
	case $1 in
	store | show | driver | attributes | children | ro)
		if [ ! -e "$devices/$2" ]; then
			echo "  No such device"
			return
		fi
		;;
	esac
	case $1 in
	labels)
		dimm=nmem$2
		region=$(grep -l "^$dimm," $devices/region*/mapping0 | sed 's,/mapping0,,; s,.*/,,')
		try ndctl disable-region "$region"
		try ndctl init-labels -f -V "$3" "$dimm"
		try ndctl enable-region "$region"
		echo "  ok"
		;;
	store)
		device=$2 attribute=$3
		text=${line#store $device $attribute}
		printf '%s\n' "${text# }" | write "$devices/$device/$attribute"
		;;
	await) await is_disk "$2" ;;
	bind | unbind) echo "$3" | write "$drivers/$2/$1" ;;
	probe) echo "$2" | write /sys/bus/nd/drivers_probe ;;
	show)
		device=$2
		shift 2
		for attribute; do
			echo "  $attribute: $(cat "$devices/$device/$attribute" 2>&1 | sed 's/^cat: .*: //')"
		done
		;;
	driver)
		if [ -L "$devices/$2/driver" ]; then
			echo "  $(basename "$(readlink "$devices/$2/driver")")"
		else
			echo "  none"
		fi
		;;
	ro) cat "$devices/$2"/block/*/ro 2>/dev/null | sed 's/^/  /' | grep . || echo "  no disk" ;;
	attributes)
		(
			cd "$devices/$2/"
			for file in * nfit/*; do
				[ ! -f "$file" ] || echo "  $file $(stat -c %a "$file")"
			done | LC_ALL=C sort
		)
		;;
	children) ls "$devices/$2/" | grep -E '^(namespace|btt)[0-9]' | LC_ALL=C sort | sed 's/^/  /' ;;
	esac
}

settle
# Regions by their NVDIMMs.
a=$(region 0) b=$(region 1)
sed "s/@0/$a/g; s/@1/$b/g" /host/template >commands
while IFS= read -r line <&3; do
	echo "$line"
	case $line in
	'' | '#'*) continue ;;
	esac
	# shellcheck disable=SC2086
	run $line </dev/null
	read -r _ <"$devices/ndbus0/wait_probe"
done 3<commands | sed -E "s/(region|namespace|btt)$a\b/\1#0/g; s/(region|namespace|btt)$b\b/\1@1/g; s/#0/@0/g"
GUEST
without_numbers() {
	grep -vE '^(  uevent: )?(MAJOR|MINOR)='
}
guest --nvdimm "$tmp/linux0.img:131072" --nvdimm "$tmp/linux1.img:131072" --copy "$tmp/template" -- "$tmp/script" |
	without_numbers >"$tmp/linux"

sed 's/@//g' "$tmp/template" | device-script "mem-path=$tmp/ours0.img,label-size=128K" "mem-path=$tmp/ours1.img,label-size=128K" |
	sed -E 's/(region|namespace|btt)([01])\b/\1@\2/g' | without_numbers >"$tmp/ours"

(($(wc -l <"$tmp/linux") > 500)) || fail "Linux gave only $(wc -l <"$tmp/linux") lines"
diff -U 3 "$tmp/linux" "$tmp/ours" || fail "Linux (-) and we (+) answer differently"
