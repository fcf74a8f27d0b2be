/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What labels on media make of dimms and regions: updates that a power cut interrupted, labels that are not to be believed, label areas
 * that change under a bound dimm, dimms that cannot do without labels. SPEC 9.7.
 */
#include <unistd.h>

#include "devices.h"

/* Fields of a label: where they stand. */
#define FLAGS   80
#define NLABEL  84
#define COOKIE  88
#define DPA     104
#define RAWSIZE 112

static void poke_number(struct devices *d, unsigned dimm, unsigned uuid, uint64_t off, uint64_t value, size_t len)
{
	uint32_t slot;
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	devices_open(d);
	slot = devices_slot(d, dimm, uuid);
	devices_close(d);
	devices_poke_label(d, dimm, slot, off, bytes, len);
}

static const char *problem_of(struct devices *d, const char *name)
{
	static char text[512];
	struct untorn_device *device = find(d, name);

	text[0] = '\0';
	untorn_device_problem(device, text, sizeof(text));
	untorn_device_put(device);
	return text;
}

static void assert_problem(struct devices *d, const char *name, const char *part)
{
	const char *text = problem_of(d, name);

	if (!part && text[0])
		fail_msg("%s: \"%s\", expected no problem", name, text);
	if (part && !strstr(text, part))
		fail_msg("%s: \"%s\", expected \"%s\" in it", name, text, part);
}

static void rebind_dimm(struct devices *d, const char *name)
{
	assert_unbind(d, 0, "nvdimm", name);
	assert_bind(d, 0, "nvdimm", name);
}

/* ------------------------------------------------------- interrupted updates ----------------------------------------------- */

/* A set with namespaces 1 (64 MiB) and 2 (32 MiB), closed. */
static struct devices *new_set(void)
{
	struct devices *d = devices_new(INTERLEAVED);

	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	devices_close(d);
	return d;
}

/* On the first dimm the namespace has half its size already, and the flag says that an update is under way. */
static void interrupt_shrinking(struct devices *d)
{
	poke_number(d, 0, 1, RAWSIZE, 16 * MIB, 8);
	devices_open(d);
	assert_driver(d, "region0", NULL); /* without the flag it is damage */
	devices_close(d);
	poke_number(d, 0, 1, FLAGS, UNTORN_LABEL_UPDATING, 4);
}

/* The update is finished, and what it frees is free on every dimm. */
static void interrupted_update_is_finished(void **state)
{
	struct devices *d = new_set();

	(void)state;
	interrupt_shrinking(d);
	devices_open(d);
	assert_problem(d, "region0", NULL);
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	assert_number(d, "namespace0.1", "size", 32 * MIB);
	assert_number(d, "region0", "available_size", 192 * MIB);
	assert_sound(d);
	/* What was between the two is free. */
	configure_namespace(d, "namespace0.2", 3, 32 * MIB);
	assert_show(d, "namespace0.2", "resource", "0x102000000\n");
	devices_reopen(d);
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	assert_sound(d);
}

/* A bus that may not write says what it will be, and leaves it. */
static void interrupted_update_is_left_by_readers(void **state)
{
	struct devices *d = new_set();
	uint8_t before[LABEL_AREA], after[LABEL_AREA];

	(void)state;
	interrupt_shrinking(d);
	devices_peek(d, 1, 128 * MIB, before, sizeof(before));
	d->flags = UNTORN_BUS_READ_ONLY;
	devices_open(d);
	assert_problem(d, "region0", "interrupted");
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	devices_close(d);
	devices_peek(d, 1, 128 * MIB, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
}

/* Free the label of uuid on one dimm. */
static void remove_label(struct devices *d, unsigned dimm, unsigned uuid)
{
	struct untorn_label_mapping mapping = {.dpa = 0, .size = 128 * MIB};
	struct untorn_label_set set = {.mappings = &mapping, .nmapping = 1};
	struct untorn_region_info info;
	struct untorn_device *region;
	struct untorn_media *media;
	uint8_t bytes[16];

	devices_open(d);
	region = find(d, "region0");
	assert_result(untorn_region_get_info(region, &info), 0);
	untorn_device_put(region);
	devices_close(d);
	set.cookies.v1_2 = info.set_cookie;
	memcpy(set.type_guid, untorn_label_type_guid(UNTORN_LABEL_TYPE_PMEM), sizeof(set.type_guid));
	uuid_bytes(uuid, bytes);
	assert_result(untorn_media_open(devices_file(d, dimm), UNTORN_MEDIA_AUTO, 0, &media), 0);
	assert_result(untorn_label_open(media, 128 * MIB, LABEL_AREA, &mapping.area), 0);
	assert_result(untorn_label_remove(&set, bytes), 0);
	untorn_label_close(mapping.area);
	untorn_media_close(media);
}

/* Deleted on the second dimm only; marked on the first: the rest of it goes, and its space is free. */
static void interrupted_deletion_is_finished(void **state)
{
	struct devices *d = new_set();

	(void)state;
	remove_label(d, 1, 1);
	poke_number(d, 0, 1, FLAGS, UNTORN_LABEL_UPDATING, 4);
	devices_open(d);
	assert_problem(d, "region0", NULL);
	assert_number(d, "namespace0.0", "size", 32 * MIB);
	assert_number(d, "region0", "available_size", 224 * MIB);
	assert_show(d, "nmem0", "available_slots", "508\n");
	assert_sound(d);
}

/* ---------------------------------------------------- labels not to be believed -------------------------------------------- */

/* Namespaces 1 and 2 of 32 MiB each on nmem0, closed. */
static struct devices *new_two(void)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	devices_close(d);
	return d;
}

/* The dimm is refused with -EBUSY, the slots are named, and its region does not come up as if it had no labels. */
static void assert_refused_dimm(struct devices *d, const char *part)
{
	devices_open(d);
	assert_driver(d, "nmem0", NULL);
	assert_problem(d, "nmem0", part);
	assert_bind(d, -EBUSY, "nvdimm", "nmem0");
	assert_show(d, "nmem0", "flags", "label \n");
	assert_show(d, "region0", "nstype", "5\n");
	assert_driver(d, "region0", NULL);
	assert_problem(d, "region0", part);
	assert_bind(d, -ENXIO, "nd_region", "region0");
	assert_gone(d, "namespace0.0");
}

static void overlapping_labels(void **state)
{
	struct devices *d = new_two();
	uint32_t slot;
	char part[64];

	(void)state;
	devices_open(d);
	slot = devices_slot(d, 0, 2);
	assert_true(slot > devices_slot(d, 0, 1));
	snprintf(part, sizeof(part), "slots %u and %u both have bytes from DPA 0x1fff000 to 0x3fff000",
		 devices_slot(d, 0, 1), slot);
	devices_close(d);
	poke_number(d, 0, 2, DPA, 32 * MIB - 4096, 8);
	assert_refused_dimm(d, part);
}

static void label_beyond_the_dimm(void **state)
{
	struct devices *d = new_two();

	(void)state;
	poke_number(d, 0, 2, DPA, 256 * MIB - 4096, 8);
	assert_refused_dimm(d, "but the dimm has 268435456 bytes");
}

static void label_that_wraps_around(void **state)
{
	struct devices *d = new_two();

	(void)state;
	poke_number(d, 0, 2, RAWSIZE, UINT64_MAX - 4095, 8);
	assert_refused_dimm(d, "but the dimm has 268435456 bytes");
}

/* Contradictions within a region leave its dimm bound, and are refused with the label's place. */
static void wrong_count_of_labels(void **state)
{
	struct devices *d = new_two();
	char part[64];

	(void)state;
	poke_number(d, 0, 2, NLABEL, 2, 2);
	devices_open(d);
	assert_driver(d, "nmem0", "nvdimm");
	assert_driver(d, "region0", NULL);
	snprintf(part, sizeof(part), "nmem0, slot %u: ", devices_slot(d, 0, 2));
	assert_problem(d, "region0", part);
	assert_problem(d, "region0", "nlabel is 0x2, expected 0x1");
	assert_bind(d, -ENODEV, "nd_region", "region0");
	assert_show(d, "nmem0", "state", "idle\n");
	assert_show_fails(d, -ENXIO, "region0", "init_namespaces");
}

/* A label of another set is skipped, with a reason; nobody gets its bytes. */
static void foreign_cookie(void **state)
{
	struct devices *d = new_two();
	char uuid[64];

	(void)state;
	poke_number(d, 0, 1, COOKIE, 77, 8);
	devices_open(d);
	assert_driver(d, "region0", "nd_region");
	assert_problem(d, "region0", "isetcookie is 0x4d, expected 0xba90120012b4dc");
	snprintf(uuid, sizeof(uuid), "%s\n", uuid_text(2));
	assert_show(d, "namespace0.0", "uuid", uuid);
	assert_gone(d, "namespace0.2");
	assert_number(d, "region0", "available_size", 192 * MIB);
	configure_namespace(d, "namespace0.1", 3, 64 * MIB);
	assert_show(d, "namespace0.1", "resource", "0x104000000\n");
}

/* -------------------------------------------------- label areas that change ------------------------------------------------ */

/* What a bound dimm knows is not what was written since: its region waits until the dimm was bound again. */
static void written_under_a_bound_dimm(void **state)
{
	struct devices *d = devices_new(LABELLED);
	struct untorn_device *dimm = find(d, "nmem0");

	(void)state;
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, 0), -EEXIST);
	assert_bind(d, 0, "nd_region", "region0"); /* nothing was written */
	assert_unbind(d, 0, "nd_region", "region0");
	assert_result(untorn_dimm_label_init(dimm, UNTORN_LABEL_V1_1, UNTORN_LABEL_FORCE), 0);
	assert_bind(d, -ENXIO, "nd_region", "region0");
	assert_problem(d, "region0", "disable and enable it");
	rebind_dimm(d, "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_problem(d, "region0", NULL);
	assert_show(d, "nmem0", "available_slots", "1019\n");
	untorn_device_put(dimm);
}

static int count_finding(void *arg, const struct untorn_label_finding *finding)
{
	struct devices *d = ((void **)arg)[0];
	unsigned *count = ((void **)arg)[1];

	/* No lock is held: any call works here. */
	assert_show(d, "nmem0", "state", "idle\n");
	*count += finding->kind == UNTORN_LABEL_FINDING_OVERLAP;
	return *count == 2 ? -ECANCELED : 0;
}

/* Bytes, labels and findings of a dimm that is not bound, because its labels overlap. */
static void areas_of_unbound_dimms(void **state)
{
	struct devices *d = new_two();
	struct untorn_device *dimm;
	struct untorn_label_area_info info;
	struct untorn_label label;
	unsigned count = 0;
	void *arg[] = {d, &count};

	(void)state;
	poke_number(d, 0, 2, DPA, 4096, 8);
	devices_open(d);
	dimm = find(d, "nmem0");
	assert_result(untorn_dimm_label_info(dimm, &info), 0);
	assert_int_equal(info.version, UNTORN_LABEL_V1_2);
	assert_int_equal(info.nfree, 508);
	assert_result(untorn_dimm_label_get(dimm, devices_slot(d, 0, 2), &label), 0);
	assert_int_equal(label.dpa, 4096);
	assert_result(untorn_dimm_label_get(dimm, info.nslot, &label), -ERANGE);
	assert_result(untorn_dimm_label_check(dimm, count_finding, arg), 0);
	assert_int_equal(count, 1);
	assert_result(untorn_dimm_label_check(dimm, count_finding, arg), -ECANCELED);
	/* The way out. */
	assert_result(untorn_dimm_label_zero(dimm, 0, LABEL_AREA), 0);
	assert_bind(d, 0, "nvdimm", "nmem0");
	assert_bind(d, 0, "nd_region", "region0");
	assert_show(d, "region0", "nstype", "4\n");
	untorn_device_put(dimm);
}

static void locked_dimm(void **state)
{
	struct devices *d = devices_new(LOCKED);
	struct untorn_device *dimm = find(d, "nmem0");
	uint64_t size;
	char byte;

	(void)state;
	assert_driver(d, "nmem0", NULL);
	assert_bind(d, -EACCES, "nvdimm", "nmem0");
	assert_show(d, "nmem0", "flags", "lock \n");
	assert_problem(d, "nmem0", "locked");
	assert_bind(d, -ENXIO, "nd_region", "region0");
	assert_problem(d, "region0", "locked");
	assert_result(untorn_dimm_label_size(dimm, &size), 0);
	assert_result(untorn_dimm_label_read(dimm, 0, &byte, 1), -EACCES);
	assert_result(untorn_dimm_label_write(dimm, 0, &byte, 1), -EACCES);
	untorn_device_put(dimm);
}

/* --------------------------------------------------------- dimms with more regions ----------------------------------------- */

/* A bus over nv0 (and nv1) of 128 MiB in the folder of d, which is closed, with regions of its own. */
static void open_with(struct devices *d, const char *dimms, const char *regions)
{
	char path[sizeof(d->dir) + 32];
	FILE *file;

	untorn_platform_free(d->platform);
	d->platform = NULL;
	snprintf(path, sizeof(path), "%s/regions.json", d->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fprintf(file, "{\"dimms\": [%s], \"regions\": [%s]}\n", dimms, regions) > 0);
	assert_int_equal(fclose(file), 0);
	assert_result(untorn_platform_new(&d->platform), 0);
	assert_result(untorn_platform_load(d->platform, path), 0);
	assert_result(untorn_bus_open(d->platform, 0, &d->bus), 0);
}

#define DIMM(file, labels) "{\"mem-path\": \"" file "\", \"label-size\": " labels "}"

/* pmem and blk on one dimm: without labels both would take all of it, so the dimm counts as labelled from the start. */
static void shared_by_pmem_and_blk(void **state)
{
	static const char regions[] = "{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0, \"size\": \"64M\"}]},"
				      "{\"type\": \"blk\", \"mappings\": [{\"dimm\": 0}]}";
	struct devices *d = devices_new_closed(UNLABELLED);

	(void)state;
	open_with(d, DIMM("nv0", "\"128K\""), regions);
	assert_show(d, "region0", "nstype", "5\n");
	assert_show(d, "namespace0.0", "size", "0\n");
	assert_number(d, "region0", "available_size", 64 * MIB);
	assert_number(d, "region1", "available_size", 128 * MIB);
	configure_namespace(d, "namespace0.0", 1, 32 * MIB);
	assert_number(d, "region1", "available_size", 96 * MIB);
	assert_number(d, "region0", "available_size", 32 * MIB);
	assert_store(d, 0, "namespace1.0", "uuid", uuid_text(2));
	assert_store(d, 0, "namespace1.0", "sector_size", "512");
	assert_store(d, 0, "namespace1.0", "size", "100663296"); /* all the rest */
	assert_number(d, "region0", "available_size", 0);
	devices_close(d);

	open_with(d, DIMM("nv0", "0"), regions);
	assert_bind(d, -ENXIO, "nvdimm", "nmem0");
	assert_problem(d, "nmem0", "no label area");
	assert_bind(d, -ENXIO, "nd_region", "region0");
	assert_bind(d, -ENXIO, "nd_region", "region1");
}

/*
 * Two regions on nmem0; one is a set with a dimm that has labels, the other one is not and is bound as one io namespace. Then nmem0 gets
 * labels through the set. Nothing changes for the region that is bound, until it is bound again.
 */
static void labels_come_under_a_bound_region(void **state)
{
	struct devices *d = devices_new_closed(THREE);
	static const uint8_t zeros[1024];

	(void)state;
	devices_poke(d, 0, 128 * MIB, zeros, sizeof(zeros));
	open_with(d, DIMM("nv0", "\"128K\"") "," DIMM("nv1", "\"128K\""),
		  "{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0, \"size\": \"64M\"}, {\"dimm\": 1, \"size\": "
		  "\"64M\"}]},"
		  "{\"type\": \"pmem\", \"mappings\": [{\"dimm\": 0, \"start\": \"64M\", \"size\": \"64M\"}]}");
	assert_show(d, "region0", "nstype", "5\n");
	assert_show(d, "region1", "nstype", "4\n");
	assert_driver(d, "namespace1.0", "nd_pmem");
	configure_namespace(d, "namespace0.0", 1, 64 * MIB);
	rebind_dimm(d, "nmem0");
	assert_show(d, "nmem0", "flags", "label \n");
	assert_show(d, "region1", "nstype", "4\n");
	assert_unbind(d, 0, "nd_pmem", "namespace1.0");
	assert_bind(d, 0, "nd_pmem", "namespace1.0");
	assert_show(d, "region1", "namespace_seed", "namespace1.0\n");
	assert_unbind(d, 0, "nd_region", "region1");
	assert_bind(d, 0, "nd_region", "region1");
	assert_show(d, "region1", "nstype", "5\n");
	assert_show(d, "namespace1.0", "size", "0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(interrupted_update_is_finished),
		device_test(interrupted_update_is_left_by_readers),
		device_test(interrupted_deletion_is_finished),
		device_test(overlapping_labels),
		device_test(label_beyond_the_dimm),
		device_test(label_that_wraps_around),
		device_test(wrong_count_of_labels),
		device_test(foreign_cookie),
		device_test(written_under_a_bound_dimm),
		device_test(areas_of_unbound_dimms),
		device_test(locked_dimm),
		device_test(shared_by_pmem_and_blk),
		device_test(labels_come_under_a_bound_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
