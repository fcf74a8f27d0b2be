#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Random stores, binds, unbinds and ndctl commands in a sandbox against a model of docs/DEVICES.md.

Run inside `untorn sandbox`: sysfs-model.py --seed N --sequences N --steps N --labels 1.1|1.2. The model below is written
from the text of docs/DEVICES.md (sections 3, 5, 8 to 10, 12, 13, 17) alone. Before each step it predicts the errno; after
each step every attribute (the constant ones after each fifth), link, driver and disk of the region is compared with it. A
region starts a sequence empty; what earlier sequences left on media stays there, and the model knows of it. The seed and the
steps of a sequence that differs are printed; the same seed makes the same steps.
"""
import argparse
import errno
import os
import random
import re
import subprocess
import sys

MIB = 1 << 20
BUS = "/sys/bus/nd/"
DEVICES = BUS + "devices/"
DRIVERS = BUS + "drivers/"
BTT_SIZES = [512, 520, 528, 4096, 4104, 4160, 4224]
NS_SIZES = [512, 4096]
CLASSES = ["", "btt", "pfn", "dax"]
# What never changes while a device is there: compared at every fifth step only, as reading takes the time of this test.
CONSTANT = {"devtype", "modalias", "nstype", "numa_node", "target_node", "mappings", "set_cookie", "deep_flush", "pfn_seed",
            "dax_seed", "log_zero_flags", "badblocks", "flags"}
SLOTS = {"1.1": 1020, "1.2": 510}


class Refused(Exception):
    """What a store or a bind is answered with."""


def refuse(name):
    raise Refused(getattr(errno, name))


# ---------------------------------------------------------------------------------------------- parsers, section 3


def cut(text):
    return text.split("\0")[0]


def parse_number(text):
    text = cut(text)
    if text.endswith("\n"):
        text = text[:-1]
    if text.startswith("+"):
        text = text[1:]
    for pattern, base in ((r"0[xX]([0-9a-fA-F]+)", 16), (r"0([0-7]*)", 8), (r"([1-9][0-9]*)", 10)):
        match = re.fullmatch(pattern, text)
        if match:
            value = int(match.group(1) or "0", base)
            if value >= 1 << 64:
                refuse("ERANGE")
            return value
    refuse("EINVAL")


def parse_bool(text):
    text = cut(text)
    if text[:1] in ("1", "y", "Y", "t", "T") or text[:2].lower() == "on":
        return True
    if text[:1] in ("0", "n", "N", "f", "F") or text[:2].lower() == "of":
        return False
    refuse("EINVAL")


def parse_uuid(text):
    text = cut(text)
    match = re.match(r"(?:[0-9a-fA-F]{2}[-:\n]?){15}[0-9a-fA-F]{2}", text)
    if not match:
        refuse("EINVAL")
    digits = re.sub(r"[-:\n]", "", match.group(0)).lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def parse_word(text):
    text = cut(text)
    return text[:-1] if text.endswith("\n") else text


def select_text(sizes, current):
    return "".join("[%d] " % s if s == current else "%d " % s for s in sizes) + "\n"


def line(value):
    return "%s\n" % ("" if value is None else value)


# ------------------------------------------------------------------------------------------------------- the model


class Layout:
    """An info block on media, and what it describes."""

    def __init__(self, parent, uuid, sector_size, size):
        self.parent, self.uuid, self.sector_size, self.size = parent, uuid, sector_size, size
        self.overwritten = False


class Namespace:
    def __init__(self, number, uuid=None, start=0, size=0, name="", sector_size=0, holder_class=""):
        self.number, self.uuid, self.start, self.size = number, uuid, start, size
        self.alt_name, self.sector_size, self.holder_class = name, sector_size, holder_class
        self.bound = self.force_raw = False
        self.holder = None


class Btt:
    def __init__(self, number, namespace=None, layout=None):
        self.number, self.namespace = number, namespace
        self.sector_size = layout.sector_size if layout else 0
        self.uuid = layout.uuid if layout else None
        self.bound = False
        self.layout = None
        if namespace:
            namespace.holder = self


def lowest(used):
    number = 0
    while number in used:
        number += 1
    return number


class Region:
    """One region as sections 8, 9, 10, 12, 13 and 17 say."""

    def __init__(self, model, number):
        self.model, self.number, self.name = model, number, "region%d" % number
        self.dir = os.path.realpath(DEVICES + self.name)
        self.fixed = {a: read(self.dir + "/" + a) for a in ("size", "set_cookie", "numa_node", "target_node", "resource",
                                                            "mappings", "uevent")}
        self.size = int(self.fixed["size"])
        self.mappings = int(self.fixed["mappings"])
        self.dimms = [read("%s/mapping%d" % (self.dir, i)).split(",")[0] for i in range(self.mappings)]
        self.resource = int(self.fixed["resource"], 16)
        self.align = 16 * MIB
        self.bound, self.read_only = True, False
        self.dimms_bound = set(self.dimms)
        self.namespaces, self.btts, self.media = {}, {}, {}
        self.probe()

    # -- free space

    def free_pieces(self):
        pieces, at = [], 0
        end = self.size // self.align * self.align
        for n in sorted((n for n in self.namespaces.values() if n.size), key=lambda n: n.start):
            if n.start > at:
                pieces.append((at, n.start - at))
            at = n.start + n.size
        if at < end:
            pieces.append((at, end - at))
        return pieces

    def largest(self):
        return max([size for _, size in self.free_pieces()], default=0)

    def labelled(self):
        return [n for n in self.namespaces.values() if n.uuid and n.size]

    # -- devices come and go

    def probe(self):
        kept = sorted(self.labels, key=lambda n: n.start) if hasattr(self, "labels") else []
        self.namespaces = {}
        for i, n in enumerate(kept):
            has_class = self.model.labels == "1.2"
            self.namespaces[i] = Namespace(i, n.uuid, n.start, n.size, n.alt_name, n.sector_size,
                                           n.holder_class if has_class else "")
        if not kept:
            self.namespaces[0] = Namespace(0)
        self.bound = True
        self.registered = max(len(kept), 1)
        self.seed = self.namespaces[0]
        self.btts = {0: Btt(0)}
        self.btt_seed = self.btts[0]
        if self.model.autoprobe:
            for n in list(self.namespaces.values()):
                self.try_bind(n)

    def remove(self):
        self.labels = self.labelled()
        self.namespaces, self.btts = {}, {}
        self.seed = self.btt_seed = None
        self.bound = False

    def try_bind(self, device):
        try:
            self.bind(device)
        except Refused:
            pass

    def bind(self, device):
        if device.bound:
            refuse("EBUSY")
        if isinstance(device, Btt):
            self.bind_btt(device)
        else:
            self.bind_namespace(device)

    def advance(self, namespace):
        if namespace is self.seed:
            number = lowest(self.namespaces)
            self.seed = self.namespaces[number] = Namespace(number)

    def base(self, namespace):
        return 0 if namespace.holder_class == "btt" and self.model.labels == "1.2" else 4096

    def layout_of(self, namespace):
        layout = self.media.get((namespace.start, self.base(namespace)))
        return layout if layout and layout.parent == namespace.uuid else None

    def bind_namespace(self, n):
        if n.holder:
            refuse("ENXIO")
        if n.size < 4096 or not n.uuid:
            refuse("ENODEV")
        if not n.force_raw and n.holder_class in ("", "btt"):
            layout = self.layout_of(n)
            if layout:
                number = lowest(self.btts)
                self.btts[number] = Btt(number, n, layout)
                if self.model.autoprobe:
                    self.try_bind(self.btts[number])
                refuse("ENXIO")
        n.bound = True
        self.advance(n)

    def bind_btt(self, b):
        n = b.namespace
        if not n:
            refuse("ENODEV")
        if n.bound:
            refuse("EBUSY")
        if not n.uuid or not b.uuid or not b.sector_size:
            refuse("ENODEV")
        base = self.base(n)
        if n.size - base < 16 * MIB:
            refuse("ENXIO")
        layout = self.layout_of(n)
        if layout:
            if layout.size > n.size:
                refuse("ENOMEM")
        else:
            if self.read_only:
                refuse("ENOMEM")
            for (start, _), other in self.media.items():
                if start < n.start + n.size and n.start < start + other.size:
                    other.overwritten = True
            layout = self.media[(n.start, base)] = Layout(n.uuid, b.uuid, b.sector_size, n.size)
        b.uuid, b.sector_size = layout.uuid, layout.sector_size
        b.bound, b.layout = True, (layout, base)
        self.advance(n)
        if b is self.btt_seed:
            number = lowest(self.btts)
            self.btt_seed = self.btts[number] = Btt(number)

    # -- stores

    def store_namespace(self, n, attribute, text):
        busy = n.bound or n.holder
        if attribute == "force_raw":
            n.force_raw = parse_bool(text)
        elif attribute == "size":
            value = parse_number(text)
            if busy:
                refuse("EBUSY")
            self.resize(n, value)
        elif busy:
            refuse("EBUSY")
        elif attribute == "uuid":
            uuid = parse_uuid(text)
            if any(uuid == other.uuid for other in self.model.everything() if other is not n):
                refuse("EINVAL")
            if n.uuid and not self.labelled():
                refuse("EBUSY")
            n.uuid = uuid
        elif attribute == "alt_name":
            name = cut(text).strip()
            if len(name) > 63:
                refuse("EINVAL")
            n.alt_name = name
        elif attribute == "sector_size":
            value = parse_number(text)
            if value not in NS_SIZES:
                refuse("EINVAL")
            n.sector_size = value
        elif attribute == "holder_class":
            word = parse_word(text)
            if word not in CLASSES:
                refuse("EINVAL")
            n.holder_class = word

    def resize(self, n, value):
        if not n.uuid:
            refuse("ENXIO")
        if value % self.align:
            refuse("EINVAL")
        if value > n.size + self.largest():
            refuse("ENOSPC")
        if value == 0:
            n.uuid, n.size, n.start = None, 0, 0
            if n.number and n is not self.seed:
                del self.namespaces[n.number]
        elif n.size == 0:
            n.start = next(start for start, size in self.free_pieces() if size >= value)
            n.size = value
        elif value > n.size:
            behind = dict(self.free_pieces()).get(n.start + n.size, 0)
            if value - n.size > behind:
                refuse("ENXIO")
            n.size = value
        else:
            n.size = value

    def store_btt(self, b, attribute, text):
        if b.bound:
            refuse("EBUSY")
        if attribute == "uuid":
            b.uuid = parse_uuid(text)
        elif attribute == "sector_size":
            value = parse_number(text)
            if value not in BTT_SIZES:
                refuse("EINVAL")
            b.sector_size = value
        else:
            self.attach(b, cut(text).rstrip())

    def attach(self, b, name):
        if name and not name.startswith("namespace"):
            refuse("EINVAL")
        if not name:
            if b.namespace:
                b.namespace.holder = b.namespace = None
            if b is self.btt_seed:
                b.uuid, b.sector_size = None, 0
            else:
                del self.btts[b.number]
            return
        if b.namespace:
            refuse("EBUSY")
        n = self.find(name)
        if not isinstance(n, Namespace):
            refuse("ENODEV")
        if n.holder_class not in ("", "btt"):
            refuse("EBUSY")
        if n.size < 16 * MIB:
            refuse("ENXIO")
        if n.holder:
            refuse("EBUSY")
        b.namespace, n.holder = n, b

    def store_region(self, attribute, text):
        if attribute == "read_only":
            self.read_only = parse_bool(text)
        else:
            value = parse_number(text)
            share = value // self.mappings
            if value % self.mappings or share < 4096 or share & (share - 1) or value > self.size:
                refuse("EINVAL")
            self.align = value

    # -- names

    def name_of(self, device):
        if device is None:
            return None
        return "%s%d.%d" % ("btt" if isinstance(device, Btt) else "namespace", self.number, device.number)

    def devices(self):
        return list(self.namespaces.values()) + list(self.btts.values())

    def find(self, name):
        return next((d for d in self.devices() if self.name_of(d) == name), None)

    def disk_of(self, device):
        if not device.bound:
            return None
        n = device.namespace if isinstance(device, Btt) else device
        name = "pmem%d" % self.number + (".%d" % n.number if n.number else "")
        return name + ("s" if isinstance(device, Btt) else "")

    # -- everything that can be read: path -> text, errno, or a set of names

    def expected(self):
        tree = {}

        def put(where, **attributes):
            for attribute, value in attributes.items():
                tree[where + attribute] = value

        top = self.dir + "/"
        free = self.free_pieces() if self.bound else self.free_pieces_of(self.labels)
        if len(self.dimms_bound) < len(self.dimms):
            free = []
        put(top, size=self.fixed["size"], align="%#x\n" % self.align, nstype="5\n", mappings=line(self.mappings),
            set_cookie=self.cookie(), available_size=line(sum(s for _, s in free)),
            max_available_extent=line(max([s for _, s in free], default=0)),
            namespace_seed=line(self.name_of(self.seed)), btt_seed=line(self.name_of(self.btt_seed)), pfn_seed="\n",
            dax_seed="\n", init_namespaces="%d/%d\n" % (self.registered, self.registered) if self.bound else errno.ENXIO,
            read_only=line(int(self.read_only)), deep_flush="0\n", badblocks="" if self.bound else errno.ENXIO,
            resource=self.fixed["resource"], numa_node=self.fixed["numa_node"], target_node=self.fixed["target_node"],
            devtype="nd_pmem\n", modalias="nd:t2\n",
            uevent="DEVTYPE=nd_pmem\n%sMODALIAS=nd:t2\n" % ("DRIVER=nd_region\n" if self.bound else ""))
        tree[top + "driver@"] = "nd_region" if self.bound else None
        tree[top] = {self.name_of(d) for d in self.devices()}
        labels = len(self.labelled() if self.bound else self.labels)
        for dimm in self.dimms:
            here = dimm in self.dimms_bound
            put(DEVICES + dimm + "/", state="active\n" if self.bound else "idle\n", flags="label \n",
                available_slots=line(SLOTS[self.model.labels] - labels - 1) if here else errno.ENXIO)
            tree[DEVICES + dimm + "/driver@"] = "nvdimm" if here else None
        for n in self.namespaces.values():
            where = top + self.name_of(n) + "/"
            put(where, devtype="nd_namespace_pmem\n", modalias="nd:t5\n", nstype="5\n", size=line(n.size),
                mode="safe\n" if n.holder else "raw\n", uuid=line(n.uuid), holder=line(self.name_of(n.holder)),
                holder_class=line(n.holder_class), alt_name=line(n.alt_name),
                resource="%#x\n" % (self.resource + n.start) if n.size else errno.ENXIO,
                force_raw=line(int(n.force_raw)), sector_size=select_text(NS_SIZES, n.sector_size),
                dpa_extents=line(self.mappings if n.size else 0))
            self.put_common(tree, where, n, "nd_namespace_pmem")
            if n.bound:
                put(where + "block/%s/" % self.disk_of(n), size=line(n.size // 512), ro=line(int(self.read_only)))
        for b in self.btts.values():
            where = top + self.name_of(b) + "/"
            size = self.btt_size(b) if b.bound else None
            put(where, devtype="nd_btt\n", modalias="nd:t5\n", namespace=line(self.name_of(b.namespace)),
                sector_size=select_text(BTT_SIZES, b.sector_size), uuid=line(b.uuid), log_zero_flags="Y\n",
                size=line(size) if b.bound else errno.ENXIO)
            self.put_common(tree, where, b, "nd_btt")
            if b.bound:
                put(where + "block/%s/" % self.disk_of(b), size=line(size // 512), ro=line(int(self.read_only)))
        return tree

    def cookie(self):
        """Without the first dimm's driver that of labels 1.1, which here can only be remembered."""
        if self.dimms[0] in self.dimms_bound or self.model.labels == "1.1":
            return self.fixed["set_cookie"]
        if "cookie1" not in self.fixed:
            self.fixed["cookie1"] = read(self.dir + "/set_cookie")
            if self.fixed["cookie1"] == self.fixed["set_cookie"]:
                raise Difference("set_cookie of %s without dimm is as with it" % self.name)
        return self.fixed["cookie1"]

    def free_pieces_of(self, namespaces):
        self.namespaces = {i: n for i, n in enumerate(namespaces)}
        pieces = self.free_pieces()
        self.namespaces = {}
        return pieces

    def put_common(self, tree, where, device, devtype):
        tree[where + "numa_node"] = self.fixed["numa_node"]
        tree[where + "target_node"] = self.fixed["target_node"]
        tree[where + "uevent"] = "DEVTYPE=%s\n%sMODALIAS=nd:t5\n" % (devtype, "DRIVER=nd_pmem\n" if device.bound else "")
        tree[where + "driver@"] = "nd_pmem" if device.bound else None
        tree[where + "block/"] = {self.disk_of(device)} if device.bound else None

    @staticmethod
    def btt_size(b):
        """SPEC 3.2 for one arena."""
        layout, base = b.layout
        lba = -(-layout.sector_size // 64) * 64
        usable = (layout.size - base) // 4096 * 4096 - 8192 - 16384
        sectors = (usable - 4096) // (lba + 4) - 256
        return sectors * (4096 if layout.sector_size >= 4096 else 512)


class Model:
    def __init__(self, labels):
        self.labels, self.autoprobe = labels, True
        self.regions = []
        self.regions = [Region(self, i) for i in range(2)]

    def everything(self):
        for region in self.regions:
            yield from region.devices()
            if not region.bound:
                yield from region.labels

    def find(self, name):
        for region in self.regions:
            if name == region.name:
                return region, region
            device = region.find(name)
            if device:
                return region, device
        return None, None

    # -- what can be done to files below /sys/bus/nd

    def store(self, device, attribute, text):
        region, d = self.find(device)
        if isinstance(d, Region):
            region.store_region(attribute, text)
        elif isinstance(d, Btt):
            region.store_btt(d, attribute, text)
        else:
            region.store_namespace(d, attribute, text)

    def dimm(self, driver, text):
        """The region that maps a dimm, and its name; or nothing."""
        name = parse_word(text)
        return next(((r, name) for r in self.regions if name in r.dimms and driver == "nvdimm"), (None, None))

    def bind(self, driver, text):
        region, dimm = self.dimm(driver, text)
        if dimm:
            if dimm in region.dimms_bound:
                refuse("EBUSY")
            region.dimms_bound.add(dimm)
            return
        region, device = self.find(parse_word(text))
        if not device or driver != ("nd_region" if isinstance(device, Region) else "nd_pmem"):
            refuse("ENODEV")
        if isinstance(device, Region):
            if device.bound:
                refuse("EBUSY")
            if len(device.dimms_bound) < len(device.dimms):
                refuse("ENXIO")
            device.probe()
        else:
            region.bind(device)

    def unbind(self, driver, text):
        region, dimm = self.dimm(driver, text)
        if dimm:
            if dimm not in region.dimms_bound:
                refuse("ENODEV")
            region.dimms_bound.remove(dimm)
            return
        region, device = self.find(parse_word(text))
        if not device or not device.bound or driver != ("nd_region" if isinstance(device, Region) else "nd_pmem"):
            refuse("ENODEV")
        if isinstance(device, Region):
            device.remove()
        else:
            device.bound = False

    def drivers_probe(self, text):
        _, device = self.find(parse_word(text))
        if not device and not self.dimm("nvdimm", text)[0]:
            refuse("ENODEV")
        for driver in ("nvdimm", "nd_region", "nd_pmem"):
            try:
                self.bind(driver, text)
            except Refused:
                pass

    # -- ndctl, as the sequences of calls that it makes

    def quietly(self, call, *args):
        try:
            call(*args)
            return True
        except Refused:
            return False

    def ndctl_disable(self, region, n):
        """False: it fails, since it opens the disk to write."""
        b = n.holder
        if region.read_only and (n.bound or b and b.bound):
            return False
        if b:
            b.bound = False
            region.attach(b, "")
        n.bound = False
        return True

    def ndctl_destroy(self, region, n):
        self.ndctl_disable(region, n)
        self.quietly(region.store_namespace, n, "holder_class", "")
        n.force_raw = True
        region.try_bind(n)
        if n.bound and not region.read_only:
            for base in (0, 4096):
                region.media.pop((n.start, base), None)
        n.force_raw = False
        n.bound = False
        self.quietly(region.store_namespace, n, "size", "0")

    def ndctl_create(self, region, mode, size, uuid, sector_size):
        """False: it fails."""
        if not region.bound or region.read_only or not 0 < size <= region.largest():
            return False
        n = region.namespaces.get(0)
        if n is None or not self.idle(n):
            n = region.seed
            if n is None or not self.idle(n):
                return False
        b = region.btt_seed
        steps = [(region.store_namespace, n, "uuid", uuid), (region.store_namespace, n, "alt_name", "\0"),
                 (region.store_namespace, n, "size", hex(size)),
                 (region.store_namespace, n, "sector_size", str(sector_size))]
        if sector_size not in NS_SIZES:
            steps.pop()
        tail = []
        if mode == "sector":
            tail = [(region.store_btt, b, "uuid", None), (region.store_btt, b, "sector_size", str(sector_size)),
                    (region.store_btt, b, "namespace", region.name_of(n))]
        done = all(self.quietly(*s) for s in steps)
        if done:
            self.quietly(region.store_namespace, n, "holder_class", "btt" if tail else "\0")
            for s in tail:
                if s[2] == "uuid":
                    b.uuid = "?"
                elif not self.quietly(*s):
                    done = False
                    break
        if done:
            done = self.quietly(region.bind, b if tail else n)
        if not done:
            self.quietly(region.store_namespace, n, "holder_class", "\0")
            self.quietly(region.store_namespace, n, "size", "0")
        return done

    @staticmethod
    def idle(n):
        active = n.holder.bound if n.holder else n.bound
        return not active and (n.size < 4096 or not n.uuid)


# ---------------------------------------------------------------------------------------------------- the real thing


def read(path, dir_fd=None):
    """Text, or an errno."""
    try:
        fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    except OSError as e:
        return e.errno
    try:
        return os.read(fd, 4096).decode()
    except OSError as e:
        return e.errno
    finally:
        os.close(fd)


def write(path, text):
    """0, or an errno."""
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError as e:
        return e.errno
    try:
        data = text.encode()
        return 0 if os.write(fd, data) == len(data) else errno.EIO
    except OSError as e:
        return e.errno
    finally:
        os.close(fd)


class Looker:
    """Reads what stands at the paths of Region.expected(). Each directory is walked to once, since a walk asks the server."""

    def __init__(self, region):
        self.top = region.dir + "/"
        self.fds = {self.top: os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for fd in self.fds.values():
            os.close(fd)

    def open(self, directory):
        if directory not in self.fds:
            inside = directory.startswith(self.top)
            self.fds[directory] = os.open(directory[len(self.top):] if inside else directory,
                                          os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.fds[self.top] if inside else None)
        return self.fds[directory]

    def look(self, path):
        directory, name = os.path.split(path)
        try:
            if not name:
                names = os.listdir(self.open(path))
                return set(names) if path.endswith("/block/") else {n for n in names if re.match(r"(namespace|btt)\d", n)}
            fd = self.open(directory + "/")
            if name.endswith("@"):
                return os.path.basename(os.readlink(name[:-1], dir_fd=fd))
            return read(name, fd)
        except FileNotFoundError:
            return None


class Difference(Exception):
    pass


class Session:
    def __init__(self, options):
        self.model = Model(options.labels)
        self.options = options
        self.uuids = 0
        self.steps = self.checked = 0
        self.log = []
        self.outcomes = {}

    def count(self, what, outcome):
        key = (what, outcome)
        self.outcomes[key] = self.outcomes.get(key, 0) + 1

    def flush(self):
        if read(DEVICES + "ndbus0/wait_probe") != "1\n":
            raise Difference("wait_probe")

    def compare(self, regions, everything=True):
        self.flush()
        for region in regions:
            with Looker(region) as looker:
                for path, value in region.expected().items():
                    if not everything and os.path.basename(path) in CONSTANT:
                        continue
                    seen = looker.look(path)
                    self.checked += 1
                    if seen != value:
                        raise Difference("%s: is %r, predicted %r" % (path, seen, value))
        names = {"ndbus0"}
        bound = {"nd_pmem": set(), "nd_region": set(), "nvdimm": set()}
        disks = set()
        for region in self.model.regions:
            names.update([region.name] + region.dimms + [region.name_of(d) for d in region.devices()])
            bound["nvdimm"].update(region.dimms_bound)
            if region.bound:
                bound["nd_region"].add(region.name)
            bound["nd_pmem"].update(region.name_of(d) for d in region.devices() if d.bound)
            disks.update(region.disk_of(d) for d in region.devices() if d.bound)
        self.same(DEVICES, set(os.listdir(DEVICES)), names)
        for driver, devices in bound.items():
            seen = {n for n in os.listdir(DRIVERS + driver) if "." in n or re.match(r"(region|nmem)\d", n)}
            self.same(DRIVERS + driver, seen, devices)
        for where in ("/sys/block", "/dev"):
            self.same(where, {n for n in os.listdir(where) if re.match(r"(pmem|ndblk)\d", n)}, disks)

    def same(self, what, seen, expected):
        self.checked += 1
        if seen != expected:
            raise Difference("%s: is %s, predicted %s" % (what, sorted(seen), sorted(expected)))

    # -- one step of each kind

    def do(self, what, path, text, call, *args):
        self.log.append("%s %r" % (what, text))
        expected = 0
        try:
            if text:  # an empty write does nothing
                call(*args)
        except Refused as r:
            expected = r.args[0]
        self.count(re.sub(r"[0-9]+\.[0-9]+|[0-9]+", "", what), errno.errorcode.get(expected, "success"))
        seen = write(path, text)
        if seen != expected:
            raise Difference("%s %r: %s, predicted %s" % (what, text, errno.errorcode.get(seen, "success"),
                                                          errno.errorcode.get(expected, "success")))

    def store(self, device, attribute, text):
        region, _ = self.model.find(device)
        path = region.dir + ("/" if device == region.name else "/" + device + "/") + attribute
        self.do("%s/%s" % (device, attribute), path, text, self.model.store, device, attribute, text)

    def bind(self, driver, text):
        self.do(driver + "/bind", DRIVERS + driver + "/bind", text, self.model.bind, driver, text)

    def unbind(self, driver, text):
        self.do(driver + "/unbind", DRIVERS + driver + "/unbind", text, self.model.unbind, driver, text)

    def probe(self, text):
        self.do("drivers_probe", BUS + "drivers_probe", text, self.model.drivers_probe, text)

    def autoprobe(self, text):
        self.log.append("drivers_autoprobe %r" % text)
        self.model.autoprobe = not text.startswith("0")
        if write(BUS + "drivers_autoprobe", text) or read(BUS + "drivers_autoprobe") != line(int(self.model.autoprobe)):
            raise Difference("drivers_autoprobe %r" % text)

    def ndctl(self, args, expected):
        self.log.append("ndctl " + " ".join(args))
        self.count("ndctl " + args[0] + (" sector" if "sector" in args else ""), "success" if expected else "failure")
        result = subprocess.run(["ndctl"] + args, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if (result.returncode == 0) != expected:
            raise Difference("ndctl %s: exit status %d, predicted %s: %s" % (
                " ".join(args), result.returncode, "success" if expected else "failure", result.stderr))

    # -- making steps up

    def fresh_uuid(self):
        self.uuids += 1
        return "%08x-%04x-4000-8000-%012x" % (self.options.seed & 0xffffffff, self.uuids >> 16, self.uuids & 0xffff)

    def uuid_text(self, rng):
        fresh = self.fresh_uuid()
        in_use = [d.uuid for d in self.model.everything() if d.uuid] or [fresh]
        return rng.choice([fresh] * 8 + [fresh.upper() + "\n\0", fresh.replace("-", "") + "zz", fresh.replace("-", ":"),
                                         fresh[:-1], "", "nonsense", "-" + fresh, fresh.replace("-", "--", 1)] +
                          [rng.choice(in_use)] * 2)

    @staticmethod
    def number_text(rng, good):
        text = str(rng.choice(good))
        return rng.choice([text] * 12 + [text + "\n\0", hex(int(text)), "0" + oct(int(text))[2:], "+" + text, " " + text,
                                         text + " ", "-" + text, "", "junk", "1", "99999999999999999999", "0x", "08",
                                         text + "\n\n", text + "\0junk"])

    def resizable(self, region, n, value):
        """Not into what another layout may have written over: what is left there is anyone's guess."""
        layout = region.layout_of(n) if n.size else None
        return not (layout and layout.overwritten and value > n.size)

    def step_namespace(self, rng, region, n):
        name = region.name_of(n)
        attribute = rng.choice(["uuid", "uuid", "size", "size", "size", "alt_name", "sector_size", "holder_class",
                                "force_raw"])
        if attribute == "uuid":
            text = self.uuid_text(rng)
        elif attribute == "size":
            units = [0] * 3 + [1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9]
            text = self.number_text(rng, [u * region.align for u in units] + [region.align + 4096])
            value = re.match(r"\+?(0x[0-9a-f]+|[0-9]+)", text)
            if value and not self.resizable(region, n, 1 << 63):
                text = str(region.align * (n.size > region.align))
        elif attribute == "alt_name":
            text = rng.choice(["alpha", " beta \n", "", "\n\0", "x" * 63, "y" * 64, "  " + "z" * 63 + " ", "a b"])
        elif attribute == "sector_size":
            text = self.number_text(rng, [512, 4096, 4096, 520])
        elif attribute == "holder_class":
            text = rng.choice(["btt", "btt\n\0", "", "\n", "\0", "\0", "pfn", "dax\n", "btt2", " btt", "none"])
        else:
            text = rng.choice(["1", "0", "0\n\0", "0", "n", "Y", "on", "off", "", "x", "2", "true", "o"])
        self.store(name, attribute, text)

    def step_btt(self, rng, region, b):
        attribute = rng.choice(["uuid", "sector_size", "namespace", "namespace"])
        if attribute == "uuid":
            text = self.uuid_text(rng)
        elif attribute == "sector_size":
            text = self.number_text(rng, BTT_SIZES + [1024])
        else:
            good = [region.name_of(n) for n in region.namespaces.values()]
            ready = [region.name_of(n) for n in region.namespaces.values() if n.size and not n.holder] or good
            name = rng.choice(good + ready * 3)
            text = rng.choice([name] * 8 + [name + "\n\0", name + "  ", " " + name, "", "", "\0", "\n\0", " \n",
                                            "namespace9.9", name + "0", "btt0.0", region.name, "namespace"])
        self.store(region.name_of(b), attribute, text)

    def name_text(self, rng, names):
        name = rng.choice(names)
        return rng.choice([name] * 10 + [name + "\n", name + "\n\0", name + " ", " " + name, name + "0", "nothing", ""])

    def ndctl_create(self, rng, region):
        model = self.model
        mode = rng.choice(["raw", "sector", "sector"])
        size = rng.choice([1, 2, 2, 3, 4]) * region.align
        if rng.random() < 0.9:
            size = min(size, max(region.largest(), region.align))
        if mode == "sector":
            size = max(size, 2 * region.align)
        sector_size = rng.choice(BTT_SIZES if mode == "sector" else NS_SIZES)
        uuid = self.fresh_uuid()
        before = set(region.btts.values())
        done = model.ndctl_create(region, mode, size, uuid, sector_size)
        self.ndctl(["create-namespace", "--no-autolabel", "-r", region.name, "-m", mode, "-s", str(size), "-u", uuid,
                    "-l", str(sector_size)], done)
        # Only ndctl knows the uuid that it made up for the btt.
        self.flush()
        for b in before:
            if b.uuid == "?":
                seen = read("%s/%s/uuid" % (region.dir, region.name_of(b)))
                b.uuid = parse_uuid(seen if isinstance(seen, str) else "")
                if b.layout and b.layout[0].uuid == "?":
                    b.layout[0].uuid = b.uuid

    def step_ndctl(self, rng, region):
        model = self.model
        sized = [n for n in region.namespaces.values() if n.size]
        kind = rng.choice(["create"] * 3 + ["destroy", "disable", "enable", "region"])
        if kind == "create" or (kind != "region" and not sized):
            self.ndctl_create(rng, region)
        elif kind == "region":
            if region.read_only:
                return self.store(region.name, "read_only", "0")
            if region.bound and rng.random() < 0.7:
                for n in list(region.namespaces.values()):
                    model.ndctl_disable(region, n)
                region.remove()
                self.ndctl(["disable-region", region.name], True)
            else:
                can = region.bound or region.dimms_bound == set(region.dimms)
                if can and not region.bound:
                    region.probe()
                self.ndctl(["enable-region", region.name], can)
        else:
            n = rng.choice(sized)
            name = region.name_of(n)
            if kind == "destroy":
                if region.read_only:
                    return self.store(region.name, "read_only", "0")
                model.ndctl_destroy(region, n)
                self.ndctl(["destroy-namespace", "-f", name], True)
            elif kind == "disable":
                self.ndctl(["disable-namespace", name], model.ndctl_disable(region, n))
            else:
                model.quietly(region.bind, n)
                self.ndctl(["enable-namespace", name], bool(n.bound or n.holder and n.holder.bound))

    def step_ahead(self, rng, region):
        """A good step towards disks."""
        n = rng.choice([region.seed, region.seed] + list(region.namespaces.values()))
        b = rng.choice([region.btt_seed, region.btt_seed] + list(region.btts.values()))
        name, btt = region.name_of(n), region.name_of(b)
        can_create = region.seed and self.model.idle(region.seed) and not region.btt_seed.namespace
        if not (n.bound or n.holder) and rng.random() < 0.6:
            if can_create and rng.random() < 0.3:
                return self.ndctl_create(rng, region)
            if not n.uuid:
                return self.store(name, "uuid", self.fresh_uuid())
            if n.size == 0 and region.largest():
                size = min(rng.choice([1, 2, 2, 3, 4]) * region.align, region.largest())
                return self.store(name, "size", "%#x\n\0" % size)
            if rng.random() < 0.3:
                return self.store(name, "holder_class", rng.choice(["btt", "btt", "btt", "", "pfn"]))
            if rng.random() < 0.4:
                return self.bind("nd_pmem", name)
        if not b.bound:
            if not b.uuid:
                return self.store(btt, "uuid", self.fresh_uuid())
            if not b.sector_size:
                return self.store(btt, "sector_size", "%d\n\0" % rng.choice(BTT_SIZES))
            free = [m for m in region.namespaces.values() if m.size and not m.holder and not m.bound]
            if not b.namespace and free:
                return self.store(btt, "namespace", region.name_of(rng.choice(free)))
            if b.namespace:
                return self.bind("nd_pmem", btt)
        if n.bound or b.bound:
            return self.unbind("nd_pmem", name if n.bound else btt)
        if n.holder or not n.size:
            return self.unbind("nd_region", region.name)
        return self.bind("nd_pmem", name)

    def step_read_only(self, rng, region, b):
        """Towards a btt that was bound while its region was read-only, and what it is when the region is so no longer."""
        if not region.read_only:
            return self.store(region.name, "read_only", "1")
        if not b.bound:
            return self.bind("nd_pmem", region.name_of(b))
        if rng.random() < 0.5:
            return self.unbind("nd_pmem", region.name_of(b))
        return self.store(region.name, "read_only", "0")

    def step(self, rng, region):
        if not region.bound and rng.random() < 0.25:
            do = rng.choice([self.bind, self.bind, self.unbind])
            return do("nvdimm", self.name_text(rng, region.dimms))
        if not region.bound and rng.random() < 0.6:
            return self.bind("nd_region", self.name_text(rng, [region.name]))
        laid_out = [b for b in region.btts.values() if b.namespace and region.layout_of(b.namespace)]
        if laid_out and rng.random() < (0.5 if region.read_only else 0.1):
            return self.step_read_only(rng, region, rng.choice(laid_out))
        if region.bound and rng.random() < 0.45:
            return self.step_ahead(rng, region)
        devices = region.devices()
        everything = [region.name_of(d) for d in devices]
        kind = rng.random()
        if kind < 0.30 and region.namespaces:
            n = rng.choice(list(region.namespaces.values()) + [region.seed])
            return self.step_namespace(rng, region, n)
        if kind < 0.50 and region.btts:
            return self.step_btt(rng, region, rng.choice(list(region.btts.values()) + [region.btt_seed]))
        if kind < 0.66 and everything:
            return self.bind(rng.choice(["nd_pmem"] * 8 + ["nd_region", "nvdimm"]), self.name_text(rng, everything))
        if kind < 0.76 and everything:
            bound = [region.name_of(d) for d in devices if d.bound] or everything
            return self.unbind(rng.choice(["nd_pmem"] * 8 + ["nd_region", "nvdimm"]), self.name_text(rng, everything + bound))
        if kind < 0.80:
            return self.probe(self.name_text(rng, everything + [region.name] + region.dimms))
        if kind < 0.83:
            return self.store(region.name, "read_only", rng.choice(["0", "0", "1", "n\n\0", "x", "off"]))
        if kind < 0.85:
            return self.store(region.name, "align", rng.choice(["0x1000000", "4097", "2048", "0", "junk", "0x1000000\n\0",
                                                                "0x800000000", "12582912"]))
        if kind < 0.86:
            return self.autoprobe(rng.choice(["0", "1\n", "0\n\0", "yes"]))
        if kind < 0.90:
            return self.unbind("nd_region", self.name_text(rng, [region.name]))
        return self.step_ndctl(rng, region)

    def reset(self, region):
        """Nothing is configured any more."""
        self.autoprobe("1")
        self.store(region.name, "read_only", "0")
        for dimm in region.dimms:
            if dimm not in region.dimms_bound:
                self.bind("nvdimm", dimm)
        if not region.bound:
            self.bind("nd_region", region.name)
            self.flush()
        for b in list(region.btts.values()):
            if b.bound:
                self.unbind("nd_pmem", region.name_of(b))
            self.store(region.name_of(b), "namespace", "\0")
            self.flush()
        for n in list(region.namespaces.values()):
            if n.bound:
                self.unbind("nd_pmem", region.name_of(n))
            if n.uuid:
                self.store(region.name_of(n), "size", "0")
        self.flush()
        self.unbind("nd_region", region.name)
        self.bind("nd_region", region.name)

    def run(self):
        self.compare(self.model.regions)
        first = self.options.only if self.options.only is not None else 0
        for number in range(first, self.options.sequences):
            rng = random.Random("%d/%d" % (self.options.seed, number))
            region = rng.choice(self.model.regions)
            self.log = []
            try:
                for n in range(self.options.steps):
                    self.step(rng, region)
                    self.steps += 1
                    self.compare([region], n % 5 == 4)
                self.log.append("reset")
                self.reset(region)
                self.compare(self.model.regions)
            except Difference as d:
                print("FAIL: seed %d, sequence %d, labels %s, step %d: %s" % (
                    self.options.seed, number, self.options.labels, len(self.log), d))
                for n, text in enumerate(self.log):
                    print("  %2d %s" % (n + 1, text))
                return 1
        print("seed %d, labels %s: %d sequences, %d steps, %d values compared" % (
            self.options.seed, self.options.labels, self.options.sequences - first, self.steps, self.checked))
        if self.options.verbose:
            for (what, outcome), number in sorted(self.outcomes.items()):
                print("%6d %s: %s" % (number, what, outcome))
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--labels", choices=list(SLOTS), default="1.2")
    parser.add_argument("--only", type=int, help="begin with this sequence")
    parser.add_argument("--verbose", action="store_true", help="count what was done")
    options = parser.parse_args()
    return Session(options).run()


sys.exit(main())
