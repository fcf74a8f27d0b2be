/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a script of attribute stores and binds on our devices, as linux-attributes.sh does on Linux's, and prints the same:
 *
 *	device-script NVDIMM... <SCRIPT
 *
 * Each NVDIMM is in QEMU's words. Lines of the script:
 *
 *	labels N VERSION              empty labels on the N-th NVDIMM
 *	store DEVICE ATTRIBUTE TEXT   TEXT is the rest of the line and a newline
 *	bind DRIVER DEVICE
 *	unbind DRIVER DEVICE
 *	probe DEVICE
 *	show DEVICE ATTRIBUTE...      their text
 *	driver DEVICE                 what it is bound to
 *	attributes DEVICE             their names and modes
 *	children DEVICE               namespaces and btts
 *	ro DEVICE                     whether its disk is read-only
 *	await NAMESPACE               wait until it is a disk, itself or through its btt
 *
 * A line is printed with its result; an errno is printed as strerror() says it. All that a line queued has happened before the
 * next one, so there is never anything to await here; in Linux there is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <untorn/device.h>

#define LINES_MAX 64 /* of the output of one line */

static const char *result(int r)
{
	return r < 0 ? strerror(-r) : "ok";
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void print_sorted(char **lines, size_t n)
{
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		printf("  %s\n", lines[i]);
		free(lines[i]);
	}
}

static void print_attributes(struct untorn_device *device)
{
	struct untorn_attr_info info;
	char *lines[LINES_MAX];
	unsigned index = 0;
	size_t n = 0;

	while (n < LINES_MAX && untorn_attr_next(device, &index, &info) == 0)
		if (asprintf(&lines[n], "%s %o", info.name, info.mode) > 0)
			n++;
	print_sorted(lines, n);
}

static void print_children(struct untorn_device *device)
{
	static const enum untorn_device_type types[] = {UNTORN_DEVICE_NAMESPACE, UNTORN_DEVICE_BTT};
	char *lines[LINES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		struct untorn_device *child = NULL;

		while (untorn_device_next(device, types[i], &child) == 0)
			if (n < LINES_MAX && (lines[n] = strdup(untorn_device_name(child))))
				n++;
	}
	print_sorted(lines, n);
}

static void print_attribute(struct untorn_device *device, const char *name)
{
	char text[UNTORN_ATTR_SIZE + 1];
	size_t len = 0;
	int r = untorn_attr_show(device, name, text, UNTORN_ATTR_SIZE, &len);

	if (r == 0 && len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	printf("  %s: %s\n", name, r < 0 ? strerror(-r) : text);
}

static void print_ro(struct untorn_device *device)
{
	struct untorn_disk_info info;
	struct untorn_disk *disk;
	int r = untorn_disk_open(device, &disk);

	if (r < 0) {
		printf("  no disk\n");
		return;
	}
	untorn_disk_get_info(disk, &info);
	printf("  %d\n", info.read_only);
	untorn_disk_close(disk);
}

static int store(struct untorn_device *device, const char *name, const char *rest)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%s\n", rest);

	return untorn_attr_store(device, name, text, (size_t)len);
}

static int init_labels(struct untorn_bus *bus, const char *number, const char *version)
{
	enum untorn_label_version v = strcmp(version, "1.1") == 0 ? UNTORN_LABEL_V1_1 : UNTORN_LABEL_V1_2;
	struct untorn_device *region = NULL, *dimm = NULL;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "region%s", number);
	r = untorn_bus_find(bus, name, &region);
	snprintf(name, sizeof(name), "nmem%s", number);
	if (r == 0)
		r = untorn_bus_find(bus, name, &dimm);
	if (r == 0)
		r = untorn_device_disable(region);
	if (r == 0)
		r = untorn_dimm_label_init(dimm, v, UNTORN_LABEL_FORCE);
	if (r == 0)
		r = untorn_device_disable(dimm);
	if (r == 0)
		r = untorn_device_enable(dimm);
	if (r == 0)
		r = untorn_device_enable(region);
	untorn_device_put(dimm);
	untorn_device_put(region);
	return r;
}

/* A line whose first word after the verb is a device. */
static void run_on_device(struct untorn_bus *bus, const char *verb, const char *name, char *rest)
{
	struct untorn_device *device;
	int r = untorn_bus_find(bus, name, &device);

	if (r < 0) {
		printf("  %s\n", result(r));
		return;
	}
	if (strcmp(verb, "store") == 0) {
		char *attribute = strsep(&rest, " ");

		printf("  %s\n", result(store(device, attribute, rest ? rest : "")));
	} else if (strcmp(verb, "show") == 0) {
		for (char *word; (word = strsep(&rest, " "));)
			print_attribute(device, word);
	} else if (strcmp(verb, "driver") == 0) {
		const char *driver = untorn_device_driver(device);

		printf("  %s\n", driver ? driver : "none");
	} else if (strcmp(verb, "attributes") == 0) {
		print_attributes(device);
	} else if (strcmp(verb, "ro") == 0) {
		print_ro(device);
	} else {
		print_children(device);
	}
	untorn_device_put(device);
}

static void run_line(struct untorn_bus *bus, char *line)
{
	char *rest = line, *verb, *word;

	printf("%s\n", line);
	verb = strsep(&rest, " ");
	word = strsep(&rest, " ");
	if (!word)
		return; /* a comment, an empty line */
	if (strcmp(verb, "#") == 0 || strcmp(verb, "await") == 0)
		return;
	if (strcmp(verb, "labels") == 0)
		printf("  %s\n", result(init_labels(bus, word, rest)));
	else if (strcmp(verb, "bind") == 0)
		printf("  %s\n", result(untorn_driver_bind(bus, word, rest)));
	else if (strcmp(verb, "unbind") == 0)
		printf("  %s\n", result(untorn_driver_unbind(bus, word, rest)));
	else if (strcmp(verb, "probe") == 0)
		printf("  %s\n", result(untorn_bus_drivers_probe(bus, word)));
	else
		run_on_device(bus, verb, word, rest);
	untorn_bus_wait_probe(bus);
}

int main(int argc, char **argv)
{
	struct untorn_platform *platform = NULL;
	struct untorn_bus *bus = NULL;
	char line[512];
	int r = untorn_platform_new(&platform);

	for (int i = 1; i < argc && r == 0; i++)
		r = untorn_platform_add_nvdimm(platform, argv[i]);
	if (r == 0)
		r = untorn_bus_open(platform, 0, &bus);
	if (r < 0) {
		fprintf(stderr, "device-script: %s: %s\n", strerror(-r), untorn_platform_error(platform));
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		run_line(bus, line);
	}
	r = untorn_bus_close(bus);
	untorn_platform_free(platform);
	return r < 0;
}
