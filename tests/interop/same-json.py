#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
same-json.py DEVICES.md LINUX OURS - compare what `ndctl list -BDRNiXu` printed in Linux and in a sandbox with the same images.

The table of docs/DEVICES.md section 18 lists the exceptions, L1 and so on; below is what each means. Without them all must be equal,
key by key. An exception that is not needed, because the lists would be equal with the others alone, fails as well, and so does one that is in
only one of the two places. In both lists devices are in the order of one hash of their names, backwards. Prints what is wrong; the exit
status is then 1.
"""
import json
import re
import sys


def walk(thing, change):
    """A copy of JSON data with change() called on each object and array, from the inside."""
    if isinstance(thing, dict):
        return change({key: walk(value, change) for key, value in thing.items()})
    if isinstance(thing, list):
        return change([walk(value, change) for value in thing])
    return thing


def hash_of(name):
    """That by which Linux orders the entries of a folder in /sys."""
    value = 0
    for c in name.encode():
        value = (value + (c << 4) + (c >> 4)) * 11 & (1 << 64) - 1
    return (value * 0x61c8864680b583eb >> 32) & 0x7fffffff


def lists(thing):
    """Each array of devices, as their names."""
    if isinstance(thing, dict):
        thing = list(thing.values())
    elif isinstance(thing, list) and all(isinstance(item, dict) and "dev" in item for item in thing):
        yield [item["dev"] for item in thing]
    elif not isinstance(thing, list):
        return
    for item in thing:
        yield from lists(item)


def number_by_dimm(data):
    """L1: a region has the number of its first dimm, in its name and those of its namespaces and disks; so their order is another."""

    def rename(thing, old, new):
        if not isinstance(thing, dict):
            return thing
        for key in ("dev", "blockdev"):
            if key in thing:
                thing[key] = re.sub(r"^(region|namespace|pmem)%s(?!\d)" % old, r"\g<1>%s" % new, thing[key])
        return thing

    def change(thing):
        if not isinstance(thing, dict) or "mappings" not in thing:
            return thing
        old, new = thing["dev"][len("region"):], thing["mappings"][0]["dimm"][len("nmem"):]
        return walk(thing, lambda inner: rename(inner, old, new))

    data = walk(data, change)
    return walk(data, lambda thing: sorted(thing, key=lambda item: item.get("dev", "")) if isinstance(thing, list) else thing)


EXCEPTIONS = {"L1": number_by_dimm}


def without(data, exceptions):
    for name in exceptions:
        data = EXCEPTIONS[name](data)
    return data


def paths(thing, path=""):
    """Every value under its path, one line each."""
    if isinstance(thing, (dict, list)):
        pairs = thing.items() if isinstance(thing, dict) else enumerate(thing)
        return [line for key, value in pairs for line in paths(value, "%s/%s" % (path, key))]
    return ["%s: %r" % (path, thing)]


def main():
    with open(sys.argv[1]) as file:
        written = set(re.findall(r"^\| (L\d+) \|", file.read(), re.MULTILINE))
    linux, ours = (json.load(open(path)) for path in sys.argv[2:])
    wrong = ["%s is only in one of the two places" % name for name in sorted(written ^ EXCEPTIONS.keys())]
    seen, expected = without(ours, EXCEPTIONS), without(linux, EXCEPTIONS)
    if not any("/namespaces/" in path for path in paths(expected)):
        wrong.append("Linux lists no namespaces")
    wrong += ["only in Linux: " + line for line in sorted(set(paths(expected)) - set(paths(seen)))]
    wrong += ["only here: " + line for line in sorted(set(paths(seen)) - set(paths(expected)))]
    if json.dumps(seen, sort_keys=True) != json.dumps(expected, sort_keys=True):
        wrong.append("the lists are different")
    for where, data in (("in Linux", linux), ("here", ours)):
        for names in lists(data):
            if names != sorted(names, key=hash_of, reverse=True):
                wrong.append("%s the order is %s" % (where, " ".join(names)))
    if not any(len(names) > 4 for names in lists(linux)):
        wrong.append("Linux lists too few devices to have an order")
    for name in EXCEPTIONS:
        others = [other for other in EXCEPTIONS if other != name]
        if without(ours, others) == without(linux, others):
            wrong.append("%s is no exception any more: the lists are equal without it" % name)
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


main()
