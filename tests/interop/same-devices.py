#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
same-devices.py LINUX OURS - compare two outputs of `list -DRNiv`: that of ndctl in a guest, and ours of the same NVDIMMs.

A guest numbers its regions in an order of its own, so regions are known by the NFIT handle of their dimm, here and in the
names of namespaces and disks. Keys that say something about one machine (NUMA nodes) or the kernel's hardware (persistence
domain) are left out. Everything else must be equal. Prints the differences; the exit status is 1 if there are any.
"""
import json
import re
import sys

LEFT_OUT = {"numa_node", "target_node", "persistence_domain"}


def load(path):
    with open(path) as file:
        data = json.load(file)
    return data if isinstance(data, list) else [data]


def collect(data, key):
    """All values of the arrays named key, at any depth."""
    if isinstance(data, list):
        return [found for item in data for found in collect(item, key)]
    if isinstance(data, dict):
        here = data.get(key, [])
        return here + [found for item in data.values() for found in collect(item, key)]
    return []


def plain(thing, number, slot):
    """A device without what is left out, its region number replaced by its slot."""
    result = {key: value for key, value in thing.items() if key not in LEFT_OUT and key not in ("namespaces", "mappings")}
    for key in ("dev", "blockdev"):
        if key in result:
            result[key] = re.sub(r"(\D)%d(?=\D|$)" % number, r"\g<1>@%d" % slot, result[key], count=1)
    return result


def devices(data):
    """Every dimm, region and namespace under a name that does not depend on the order of regions."""
    handles = {dimm["dev"]: dimm["handle"] for dimm in collect(data, "dimms")}
    found = {"dimm %d" % dimm["handle"]: {**plain(dimm, -1, 0), "dev": None} for dimm in collect(data, "dimms")}
    for region in collect(data, "regions"):
        number = int(region["dev"][len("region"):])
        mappings = [{**mapping, "dimm": handles[mapping["dimm"]]} for mapping in region["mappings"]]
        slot = mappings[0]["dimm"]
        found["region %d" % slot] = {**plain(region, number, slot), "mappings": mappings}
        for namespace in region.get("namespaces", []):
            entry = plain(namespace, number, slot)
            found[entry["dev"]] = entry
    return found


def differences(linux, ours):
    for name in sorted(linux.keys() | ours.keys()):
        if name not in linux or name not in ours:
            yield "%s: only %s" % (name, "Linux has it" if name in linux else "we have it")
            continue
        for key in sorted(linux[name].keys() | ours[name].keys()):
            seen, expected = ours[name].get(key), linux[name].get(key)
            if seen != expected:
                yield "%s: %s: we say %r, Linux says %r" % (name, key, seen, expected)


def main():
    linux, ours = devices(load(sys.argv[1])), devices(load(sys.argv[2]))
    if not any(name.startswith("namespace") for name in linux):
        sys.exit("%s: no namespaces" % sys.argv[1])
    found = list(differences(linux, ours))
    for difference in found:
        print(difference)
    sys.exit(1 if found else 0)


main()
