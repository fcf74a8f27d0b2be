/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes a namespace in an NVDIMM image, puts a BTT on it, and writes one sector: what an administrator does with ndctl, from C.
 *
 *     cc make-disk.c $(pkg-config --cflags --libs untorn) -o make-disk
 *     ./make-disk mem-path=nv0.img,size=128M,label-size=128K && untorn list --nvdimm mem-path=nv0.img
 *
 * The steps are those of Linux's sysfs: the namespace seed gets a uuid and a size, the btt seed a uuid, a sector size and the namespace,
 * and binding the btt makes its disk.
 */
#include <stdio.h>
#include <sys/random.h>
#include <untorn/device.h>

/* A namespace of 32 MiB in a labelled region; the caller puts it. */
static int make_namespace(struct untorn_device *region, struct untorn_device **ret_ns)
{
	struct untorn_device *ns;
	uint8_t uuid[16];
	int r = untorn_region_namespace_seed(region, &ns);

	if (r < 0)
		return r;
	getrandom(uuid, sizeof(uuid), 0);
	r = untorn_namespace_set_uuid(ns, uuid);
	if (r == 0)
		r = untorn_namespace_set_size(ns, 32 << 20); /* durable: a label says so */
	if (r == 0)
		r = untorn_namespace_set_holder_class(ns, UNTORN_CLASS_BTT); /* and what is to be on it */
	if (r < 0)
		untorn_device_put(ns);
	else
		*ret_ns = ns;
	return r;
}

static int put_btt(struct untorn_device *region, struct untorn_device *ns, struct untorn_disk **ret_disk)
{
	struct untorn_device *btt;
	uint8_t uuid[16];
	int r = untorn_region_btt_seed(region, &btt);

	if (r < 0)
		return r;
	getrandom(uuid, sizeof(uuid), 0);
	r = untorn_btt_device_set_uuid(btt, uuid);
	if (r == 0)
		r = untorn_btt_device_set_sector_size(btt, 4096);
	if (r == 0)
		r = untorn_btt_device_set_namespace(btt, untorn_device_name(ns));
	if (r == 0)
		r = untorn_device_enable(btt);
	if (r == 0)
		r = untorn_disk_open(btt, ret_disk);
	untorn_device_put(btt);
	return r;
}

static int use_disk(struct untorn_disk *disk)
{
	char sector[4096] = "never torn";
	struct untorn_disk_info info;

	untorn_disk_get_info(disk, &info);
	printf("%s: %llu bytes\n", info.name, (unsigned long long)info.size);
	return untorn_disk_pwrite(disk, sector, sizeof(sector), 0, UNTORN_BTT_DURABLE);
}

static int make_disk(struct untorn_bus *bus)
{
	struct untorn_device *region = NULL, *ns = NULL;
	struct untorn_disk *disk = NULL;
	int r = untorn_bus_find(bus, "region0", &region);

	if (r == 0)
		r = make_namespace(region, &ns);
	if (r == 0)
		r = put_btt(region, ns, &disk);
	if (r == 0)
		r = use_disk(disk);
	untorn_disk_close(disk);
	untorn_device_put(ns);
	untorn_device_put(region);
	return r;
}

/* A region has labels once its dimm has an index: as `untorn init-labels` does. Nothing if it has one. */
static int init_labels(struct untorn_bus *bus)
{
	struct untorn_device *region = NULL, *dimm = NULL;
	struct untorn_dimm_info info = {.label_version = UNTORN_LABEL_NONE};
	int r = untorn_bus_find(bus, "region0", &region);

	if (r == 0)
		r = untorn_bus_find(bus, "nmem0", &dimm);
	if (r == 0)
		r = untorn_dimm_get_info(dimm, &info);
	if (r == 0 && info.label_version == UNTORN_LABEL_NONE) {
		r = untorn_device_disable(region);
		if (r == 0)
			r = untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_2, 0);
		if (r == 0)
			r = untorn_device_disable(dimm);
		if (r == 0)
			r = untorn_device_enable(dimm);
		if (r == 0)
			r = untorn_device_enable(region);
		if (r == 0)
			r = untorn_bus_wait_probe(bus); /* namespaces and seeds come up asynchronously */
	}
	untorn_device_put(dimm);
	untorn_device_put(region);
	return r;
}

int main(int argc, char **argv)
{
	struct untorn_platform *platform = NULL;
	struct untorn_bus *bus = NULL;
	const char *sentence = "";
	int r, closed;

	if (argc != 2) {
		fprintf(stderr, "usage: make-disk mem-path=FILE,size=S,label-size=S\n");
		return 2;
	}
	r = untorn_platform_new(&platform);
	if (r == 0)
		r = untorn_platform_add_nvdimm(platform, argv[1]);
	if (r == 0)
		r = untorn_bus_open(platform, UNTORN_BUS_CREATE, &bus);
	if (r < 0 && platform)
		sentence = untorn_platform_error(platform);
	if (r == 0)
		r = init_labels(bus);
	if (r == 0)
		r = make_disk(bus);
	closed = untorn_bus_close(bus);
	if (r == 0)
		r = closed;
	if (r < 0)
		fprintf(stderr, "make-disk: %s\n", *sentence ? sentence : untorn_strerror(r));
	untorn_platform_free(platform);
	return r < 0;
}
