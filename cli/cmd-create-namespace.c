/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * untorn create-namespace: a new namespace in free space, or an old one made anew (--reconfig).
 *
 * Everything that can be known is checked before anything is written. Then the steps are those of ndctl: uuid, name, size and
 * sector size, which are in the labels from then on; the class of what is to claim it; no info block of an earlier use; and the
 * btt, or the raw disk. A step that fails takes back those before it: the claim first, so that the size can go. A
 * power cut in between leaves a raw namespace without content, or nothing.
 *
 * Reconfiguring is destroying: where it fails after the old content is gone, the old size, uuid and name are put back.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <uuid/uuid.h>

#include "nd.h"

enum { DEFAULT_SECTOR_SIZE = 4096, RAW_SECTOR_SIZE = 512 };

static struct {
	struct platform_options platform;
	struct filter filter;
	const char *mode, *name, *reconfig;
	uint64_t size, sector_size, align; /* bytes; 0: not given */
	struct uuid_option uuid;
	bool force, greedy, human, autolabel, autorecover;
	unsigned verbose;
} opt = {.autolabel = true, .autorecover = true};

static int store_mode(const char *text, void *value)
{
	static const char *const words[] = {"raw", "sector", NULL};

	return store_word(text, value, words);
}

/* A size that is not 0. */
static int store_some_size(const char *text, void *value)
{
	uint64_t size;

	if (parse_size(text, &size) < 0 || size == 0)
		return -EINVAL;
	*(uint64_t *)value = size;
	return 0;
}

static int store_name(const char *text, void *value)
{
	if (!*text || strlen(text) >= UNTORN_LABEL_NAME_LEN)
		return -EINVAL;
	*(const char **)value = text;
	return 0;
}

static const struct option_type option_mode = {store_mode, "raw or sector (fsdax and devdax are not offered)",
					       required_argument};
static const struct option_type option_some_size = {store_some_size, "a size such as 512, 64M or 1GiB",
						    required_argument};
static const struct option_type option_name = {store_name, "a name of 1 to 63 bytes", required_argument};

static const struct option_row options[] = {
	{"mode", "MODE", &option_mode, &opt.mode, "sector (default) or raw", 'm'},
	{"size", "S", &option_some_size, &opt.size, "bytes, or with K, M, G, T; default: the largest free extent", 's'},
	{"sector-size", "N", &option_some_size, &opt.sector_size,
	 "bytes of one sector (sector mode: 4096, raw: 512); sector mode takes 512, 520,\n"
	 "528, 4096, 4104, 4160, 4224, raw mode what the region offers",
	 'l'},
	{"name", "NAME", &option_name, &opt.name, "a name in the label, up to 63 bytes", 'n'},
	{"uuid", "U", &option_uuid, &opt.uuid, "uuid of the namespace (default: a random one)", 'u'},
	{"reconfig", "NS", &option_text, &opt.reconfig,
	 "destroy this namespace and make it anew; mode, size, name and sector size\n"
	 "are kept where they are not given",
	 'e'},
	{"force", NULL, &option_switch, &opt.force,
	 "with -e: also when it is active; else: also write labels over a label-less\n"
	 "namespace with content; with -c: go on behind a failure",
	 'f'},
	{"continue", NULL, &option_switch, &opt.greedy, "create as many as there is room for", 'c'},
	{"align", "S", &option_some_size, &opt.align, "refused: only fsdax and devdax have an alignment of their own",
	 'a'},
	{"autolabel", NULL, &option_switch, &opt.autolabel, "write labels where there are none yet (default)", 'L'},
	{"no-autolabel", NULL, &option_off, &opt.autolabel, "never write the first labels of a region"},
	{"autorecover", NULL, &option_switch, &opt.autorecover, "on failure undo what was done (default)", 'R'},
	{"no-autorecover", NULL, &option_off, &opt.autorecover, "on failure leave everything as it is, to look at it"},
	{"human", NULL, &option_switch, &opt.human, "print sizes with units, as ndctl does here"},
	{"type", "TYPE", &option_region_type, &opt.filter.type, "only in a region of this type: pmem, blk, volatile",
	 't'},
	{"region", "REGION", &option_text, &opt.filter.region, "only in this region: region0 or 0", 'r'},
	{"bus", "BUS", &option_text, &opt.filter.bus, "only on this bus: ndbus0, 0 or its provider", 'b'},
	{"verbose", NULL, &option_count, &opt.verbose, "tell why regions are passed over", 'v'},
	PLATFORM_OPTIONS(&opt.platform),
	{NULL},
};

/* ------------------------------------------------------------------- the plan ------------------------------------- */

/* What is to be in the end. */
struct plan {
	struct untorn_device *region;
	struct untorn_device *ns; /* referenced */
	bool is_sector, is_labelled;
	uint64_t size;        /* bytes of the namespace */
	uint64_t sector_size; /* bytes, with metadata */
	const char *name;
	uint8_t uuid[16];
};

/* Why a region cannot have the namespace; "" when it can. */
struct reason {
	char text[256];
};

static void give_reason(struct reason *reason, struct untorn_device *device, const char *format, ...) PRINTF_LIKE(3);

static void give_reason(struct reason *reason, struct untorn_device *device, const char *format, ...)
{
	int n = snprintf(reason->text, sizeof(reason->text), "%s: ", untorn_device_name(device));
	va_list args;

	va_start(args, format);
	vsnprintf(reason->text + n, sizeof(reason->text) - (size_t)n, format, args);
	va_end(args);
	if (opt.verbose)
		print_note("%s", reason->text);
}

static bool is_in(uint64_t value, const uint32_t *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (values[i] == value)
			return true;
	return false;
}

/* Whether the namespace's label can say the sector size. */
static bool label_takes(struct untorn_device *ns, uint64_t sector_size)
{
	const uint32_t *values;
	size_t n;

	return untorn_namespace_sector_sizes(ns, &values, &n) == 0 && is_in(sector_size, values, n);
}

/* Without labels, and under labels of version 1.1, a volume has version 1.1. Areas without labels get version 1.2. */
static bool is_version_1_1(const struct plan *plan)
{
	_cleanup_device_ struct untorn_device *dimm = NULL;
	struct untorn_mapping_info mapping;
	struct untorn_dimm_info info;

	if (!plan->is_labelled)
		return true;
	return untorn_region_get_mapping(plan->region, 0, &mapping) == 0 &&
	       untorn_bus_find(untorn_device_bus(plan->region), mapping.dimm, &dimm) == 0 &&
	       untorn_dimm_get_info(dimm, &info) == 0 && info.label_version == UNTORN_LABEL_V1_1;
}

/* Bytes that a volume needs: 16 MiB, with version 1.1 behind a page that is not used. */
static uint64_t smallest_volume(const struct plan *plan)
{
	return (UINT64_C(16) << 20) + (is_version_1_1(plan) ? 4096 : 0);
}

/* Sizes that no region of that kind takes. Returns 0, or -EINVAL after a sentence. */
static int check_sizes(const struct plan *plan, const struct untorn_region_info *info)
{
	_cleanup_device_ struct untorn_device *seed = NULL;
	const char *region = untorn_device_name(plan->region);
	const uint32_t *values;
	size_t n;

	if (plan->is_labelled && info->align && plan->size % info->align) {
		print_error("%s: %s is not a multiple of its alignment, %s", region, SIZE_TEXT(plan->size),
			    SIZE_TEXT(info->align));
		return -EINVAL;
	}
	if (plan->is_sector && plan->size < smallest_volume(plan)) {
		print_error("%s: %s is too small for sector mode here; it takes at least %" PRIu64 " KiB", region,
			    SIZE_TEXT(plan->size), smallest_volume(plan) >> 10);
		return -EINVAL;
	}
	if (!plan->is_sector && opt.sector_size && !label_takes(plan->ns, plan->sector_size)) {
		print_error("%s: a raw namespace of it cannot have sectors of %" PRIu64 " bytes", region,
			    plan->sector_size);
		return -EINVAL;
	}
	if (plan->is_sector && untorn_region_btt_seed(plan->region, &seed) < 0) {
		print_error("%s: it does not offer sector mode", region);
		return -EINVAL;
	}
	if (plan->is_sector &&
	    (untorn_btt_device_sector_sizes(seed, &values, &n) < 0 || !is_in(plan->sector_size, values, n))) {
		print_error("%s: sector mode does not have sectors of %" PRIu64 " bytes", region, plan->sector_size);
		return -EINVAL;
	}
	return 0;
}

static bool is_idle(struct untorn_device *ns)
{
	struct untorn_namespace_info info;

	return !namespace_is_active(ns) && untorn_namespace_get_info(ns, &info) == 0 &&
	       (info.nstype == UNTORN_NSTYPE_IO || info.size == 0 || !info.has_uuid);
}

/* Number 0 if it is idle, else the seed. */
static int find_idle(struct untorn_device *region, struct untorn_device **ret_ns)
{
	_cleanup_device_ struct untorn_device *first = NULL, *seed = NULL;
	char name[32];

	snprintf(name, sizeof(name), "namespace%d.0", untorn_device_id(region));
	if (untorn_bus_find(untorn_device_bus(region), name, &first) == 0 && is_idle(first)) {
		*ret_ns = untorn_device_get(first);
		return 0;
	}
	if (untorn_region_namespace_seed(region, &seed) < 0 || !is_idle(seed))
		return -ENOSPC;
	*ret_ns = untorn_device_get(seed);
	return 0;
}

/* What a label-less namespace holds that labels over it would destroy, in words; "" for nothing that is known. */
static struct content_text content_of(struct untorn_device *ns)
{
	struct content_text content = {"content that cannot be read"};
	struct untorn_media *media;
	const char *what = NULL;
	int r, fd = -1;

	if (untorn_namespace_media(ns, &media) < 0)
		return content;
	r = untorn_btt_recognise(media, &what);
	if (r == 0 && what) {
		snprintf(content.text, sizeof(content.text), "%s", what);
	} else if (r == 0 && copy_ends(media, &fd) == 0) {
		find_content(fd, &content);
		close(fd);
	}
	untorn_media_close(media);
	return content;
}

/* Why the label-less region must not get labels; "" when it may. */
static void judge_content(struct untorn_device *region, struct reason *reason)
{
	_cleanup_device_ struct untorn_device *ns = NULL;
	struct content_text content;

	while (!*reason->text && !opt.force && untorn_device_next(region, UNTORN_DEVICE_NAMESPACE, &ns) == 0) {
		content = content_of(ns);
		if (*content.text)
			give_reason(reason, region, "%s without labels holds data (%s); --force writes labels over it",
				    untorn_device_name(ns), content.text);
	}
}

/* The parts of the plan that do not depend on the region. */
static void begin_plan(struct plan *plan, struct untorn_device *region)
{
	*plan = (struct plan){
		.region = region,
		.is_sector = !opt.mode || strcmp(opt.mode, "sector") == 0,
		.name = opt.name ? opt.name : "",
	};
	plan->sector_size = opt.sector_size ? opt.sector_size : plan->is_sector ? DEFAULT_SECTOR_SIZE : RAW_SECTOR_SIZE;
	if (opt.uuid.given)
		memcpy(plan->uuid, opt.uuid.bytes, sizeof(plan->uuid));
	else
		uuid_generate(plan->uuid);
}

/* A region without labels has one namespace, as large as itself. Returns 0, or -ENOSPC with a reason. */
static int plan_labelless(struct plan *plan, const struct untorn_region_info *info, struct reason *reason)
{
	if (opt.size && opt.size != info->size)
		give_reason(reason, plan->region, "it has no labels, so its namespace is all of it; leave out --size");
	else if (opt.name || opt.uuid.given)
		give_reason(reason, plan->region, "it has no labels, so there is no place for a %s",
			    opt.name ? "name" : "uuid");
	else if (find_idle(plan->region, &plan->ns) < 0)
		give_reason(reason, plan->region,
			    "it has no labels, and its one namespace is active; -e namespace%d.0 -f reconfigures it",
			    untorn_device_id(plan->region));
	plan->size = info->size;
	return *reason->text ? -ENOSPC : 0;
}

static int plan_labelled(struct plan *plan, const struct untorn_region_info *info, struct reason *reason)
{
	uint64_t extent = info->kind == UNTORN_REGION_BLK ? info->available_size : info->max_available_extent;

	plan->is_labelled = true;
	plan->size = opt.size ? opt.size : extent;
	if (extent == 0)
		give_reason(reason, plan->region, "no space is free");
	else if (plan->size > extent)
		give_reason(reason, plan->region, "%s is more than its largest free extent, %s", SIZE_TEXT(plan->size),
			    SIZE_TEXT(extent));
	else if (find_idle(plan->region, &plan->ns) < 0)
		give_reason(reason, plan->region, "it has no idle namespace");
	return *reason->text ? -ENOSPC : 0;
}

/* ------------------------------------------------------------------ the steps ------------------------------------- */

static int fail_step(struct untorn_device *device, const char *what, int err)
{
	print_error("%s: its %s cannot be set: %s", untorn_device_name(device), what, device_strerror(err));
	return err;
}

static int store_uuid(const struct plan *plan)
{
	int r = untorn_namespace_set_uuid(plan->ns, plan->uuid);

	if (r == -EINVAL) {
		print_error("%s: another namespace or btt has the uuid %s", untorn_device_name(plan->ns),
			    format_uuid(plan->uuid).text);
		return r;
	}
	return r < 0 ? fail_step(plan->ns, "uuid", r) : 0;
}

/* A DIMM without a free label slot (one is kept for updates) explains why a size cannot be set. */
static int explain_size(const struct plan *plan, int err)
{
	struct untorn_mapping_info mapping;
	struct untorn_dimm_info info;

	for (unsigned i = 0; untorn_region_get_mapping(plan->region, i, &mapping) == 0; i++) {
		_cleanup_device_ struct untorn_device *dimm = NULL;

		if (untorn_bus_find(untorn_device_bus(plan->region), mapping.dimm, &dimm) == 0 &&
		    untorn_dimm_get_info(dimm, &info) == 0 && info.available_slots == 0) {
			print_error("%s: its labels find no free slot on %s", untorn_device_name(plan->ns),
				    mapping.dimm);
			return err;
		}
	}
	return fail_step(plan->ns, "size", err);
}

/* What the label says. */
static int store_label(const struct plan *plan)
{
	int r = store_uuid(plan);

	if (r < 0)
		return r;
	r = untorn_namespace_set_alt_name(plan->ns, plan->name);
	if (r < 0)
		return fail_step(plan->ns, "name", r);
	r = untorn_namespace_set_size(plan->ns, plan->size);
	if (r < 0)
		return explain_size(plan, r);
	if (!label_takes(plan->ns, plan->sector_size))
		return 0;
	r = untorn_namespace_set_sector_size(plan->ns, plan->sector_size);
	return r < 0 ? fail_step(plan->ns, "sector size", r) : 0;
}

/* Without labels the class has no place to stay: the next probe would not find what it leads to. */
static int store_class(const struct plan *plan)
{
	int r = 0;

	if (plan->is_labelled)
		r = untorn_namespace_set_holder_class(plan->ns, plan->is_sector ? UNTORN_CLASS_BTT : UNTORN_CLASS_NONE);
	return r < 0 ? fail_step(plan->ns, "class", r) : 0;
}

static int bring_up_btt(const struct plan *plan)
{
	_cleanup_device_ struct untorn_device *btt = NULL;
	uint8_t uuid[16];
	int r = untorn_region_btt_seed(plan->region, &btt);

	if (r < 0)
		return fail_step(plan->ns, "btt", r);
	uuid_generate(uuid);
	r = untorn_btt_device_set_uuid(btt, uuid);
	if (r < 0)
		return fail_step(btt, "uuid", r);
	r = untorn_btt_device_set_sector_size(btt, plan->sector_size);
	if (r < 0)
		return fail_step(btt, "sector size", r);
	r = untorn_btt_device_set_namespace(btt, untorn_device_name(plan->ns));
	if (r < 0)
		return fail_step(btt, "namespace", r);
	r = untorn_device_enable(btt);
	untorn_bus_wait_probe(untorn_device_bus(btt));
	return r < 0 ? enable_failed(btt, r) : 0;
}

static int carry_out(const struct plan *plan)
{
	int r = plan->is_labelled ? store_label(plan) : 0;

	if (r == 0)
		r = store_class(plan);
	if (r == 0)
		r = namespace_wipe(plan->ns);
	if (r == 0)
		r = plan->is_sector ? bring_up_btt(plan) : namespace_enable(plan->ns);
	return r;
}

/* What the namespace was before: of a new one, nothing. */
static void undo(const struct plan *plan, const struct untorn_namespace_info *before)
{
	int r;

	if (!opt.autorecover)
		return;
	r = namespace_disable(plan->ns);
	if (r == 0 && plan->is_labelled) {
		if (before->has_uuid)
			untorn_namespace_set_uuid(plan->ns, before->uuid);
		untorn_namespace_set_holder_class(plan->ns, before->holder_class);
		untorn_namespace_set_alt_name(plan->ns, before->alt_name);
		if (before->sector_size)
			untorn_namespace_set_sector_size(plan->ns, before->sector_size);
		r = untorn_namespace_set_size(plan->ns, before->size);
		/* Without a uuid there was nothing to undo. */
		if (r == -ENXIO && before->size == 0)
			r = 0;
	}
	if (r < 0)
		print_error("%s: what was done to it cannot be undone: %s", untorn_device_name(plan->ns),
			    device_strerror(r));
}

static unsigned json_flags(void)
{
	return opt.human ? ND_HUMAN : 0;
}

/* Returns 0 with the new namespace added to list, or a negative errno after a sentence. */
static int create(const struct plan *plan, struct json_object *list)
{
	struct untorn_namespace_info before;
	int r = untorn_namespace_get_info(plan->ns, &before);

	if (r < 0) {
		print_error("%s: %s", untorn_device_name(plan->ns), device_strerror(r));
		return r;
	}
	r = carry_out(plan);
	if (r < 0) {
		undo(plan, &before);
		return r;
	}
	json_list_add(list, namespace_to_json(plan->ns, json_flags()));
	return 0;
}

/* ------------------------------------------------------------------- create --------------------------------------- */

/* In a region that is up. Returns 0, -ENOSPC with a reason, or another negative errno after a sentence. */
static int create_in(struct untorn_device *region, struct reason *reason, struct json_object *list)
{
	struct untorn_region_info info;
	struct plan plan;
	int r;

	begin_plan(&plan, region);
	r = untorn_region_get_info(region, &info);
	if (r == 0)
		r = info.nstype == UNTORN_NSTYPE_IO ? plan_labelless(&plan, &info, reason)
						    : plan_labelled(&plan, &info, reason);
	if (r == 0)
		r = check_sizes(&plan, &info);
	/* From here on a lack of room is a failure. */
	if (r == 0) {
		r = create(&plan, list);
		if (r == -ENOSPC)
			r = -EIO;
	}
	untorn_device_put(plan.ns);
	return r;
}

static int create_in_unlabelled(const struct machine *machine, struct untorn_device *region, struct reason *reason,
				struct json_object *list)
{
	struct autolabel autolabel;
	int r;

	judge_content(region, reason);
	if (*reason->text)
		return -ENOSPC;
	r = autolabel_begin(machine, region, &autolabel);
	if (r < 0)
		return r == -ENOSPC ? -EIO : r;
	r = create_in(region, reason, list);
	if (r < 0 && opt.autorecover)
		autolabel_undo(&autolabel);
	else
		autolabel_keep(&autolabel);
	return r;
}

static int try_region(const struct machine *machine, struct untorn_device *region, struct reason *reason,
		      struct json_object *list)
{
	struct untorn_region_info info;

	if (untorn_region_get_info(region, &info) < 0 || !info.bound) {
		give_reason(reason, region, "it is not enabled");
		return -ENOSPC;
	}
	if (info.read_only) {
		give_reason(reason, region, "it can only be read");
		return -ENOSPC;
	}
	if (info.nstype == UNTORN_NSTYPE_IO && opt.autolabel && autolabel_is_possible(machine, region))
		return create_in_unlabelled(machine, region, reason, list);
	return create_in(region, reason, list);
}

/* One namespace in the first region with room. Returns 0, -ENOSPC without a sentence, or another negative errno after one. */
static int create_one(const struct machine *machine, const struct device_list *regions, struct reason *ret_reason,
		      struct json_object *list)
{
	for (size_t i = 0; i < regions->n; i++) {
		struct reason reason = {""};
		int r = try_region(machine, regions->devices[i], &reason, list);

		if (r != -ENOSPC && (r == 0 || !opt.greedy || !opt.force))
			return r;
		if (!*ret_reason->text)
			*ret_reason = reason;
	}
	return -ENOSPC;
}

static int create_anywhere(const struct machine *machine, struct json_object *list)
{
	_cleanup_device_list_ struct device_list regions = {.n = 0};
	struct reason reason = {""};
	int r;

	collect_devices(machine, UNTORN_DEVICE_REGION, &opt.filter, &regions);
	if (regions.n == 0) {
		print_error("there is no region such as that; 'untorn list -Ri' shows what there is");
		return -ENODEV;
	}
	r = create_one(machine, &regions, &reason, list);
	while (r == 0 && opt.greedy)
		r = create_one(machine, &regions, &reason, list);
	if (r != -ENOSPC)
		return r;
	if (json_object_array_length(list) > 0)
		return 0;
	if (*reason.text)
		print_error("%s%s", regions.n > 1 ? "no region has room for it; " : "", reason.text);
	return r;
}

/* ------------------------------------------------------------------ reconfigure ----------------------------------- */

/* What is not given stays as it is. */
static int inherit(struct plan *plan, const struct untorn_namespace_info *info)
{
	_cleanup_device_ struct untorn_device *btt = NULL;
	struct untorn_btt_device_info btt_info;
	bool was_sector = strcmp(info->mode, "safe") == 0;

	if (!opt.mode && !was_sector && strcmp(info->mode, "raw") != 0) {
		print_error("%s: it is in a mode that is not offered; choose one with --mode",
			    untorn_device_name(plan->ns));
		return -EINVAL;
	}
	if (!opt.mode)
		plan->is_sector = was_sector;
	if (!opt.name)
		plan->name = info->alt_name;
	plan->size = opt.size ? opt.size : info->size;
	if (opt.sector_size)
		return 0;
	plan->sector_size = plan->is_sector ? DEFAULT_SECTOR_SIZE : RAW_SECTOR_SIZE;
	if (!plan->is_sector && info->sector_size)
		plan->sector_size = info->sector_size;
	if (plan->is_sector && namespace_btt(plan->ns, &btt) == 0 && untorn_btt_device_get_info(btt, &btt_info) == 0 &&
	    btt_info.sector_size)
		plan->sector_size = btt_info.sector_size;
	return 0;
}

/* Returns 0, or a negative errno after a sentence. */
static int check_victim(struct untorn_device *ns, const struct untorn_namespace_info *info)
{
	const char *name = untorn_device_name(ns);

	if (info->size == 0) {
		print_error("%s: it is idle: it has no size", name);
		return -ENXIO;
	}
	if (namespace_is_active(ns) && !opt.force) {
		print_error("%s: it is active; --force disables it first, and its data is lost", name);
		return -EBUSY;
	}
	return namespace_check_writable(ns);
}

/* In its place, with or without labels. */
static int remake(struct plan *plan, const struct untorn_namespace_info *info,
		  const struct untorn_region_info *region_info, struct json_object *list)
{
	int r = inherit(plan, info);

	if (r == 0 && !plan->is_labelled && (opt.name || opt.uuid.given || plan->size != info->size)) {
		print_error("%s: without labels it can have no %s", untorn_device_name(plan->ns),
			    opt.name         ? "name"
			    : opt.uuid.given ? "uuid"
					     : "other size");
		r = -EINVAL;
	}
	if (r == 0)
		r = check_sizes(plan, region_info);
	if (r == 0)
		r = namespace_disable(plan->ns);
	return r < 0 ? r : create(plan, list);
}

/* A label-less namespace gives way to one with labels. */
static int replace(const struct machine *machine, struct untorn_device *region,
		   const struct untorn_namespace_info *info, struct json_object *list)
{
	struct reason reason = {""};
	int r;

	if (!opt.mode)
		opt.mode = strcmp(info->mode, "safe") == 0 ? "sector" : "raw";
	r = create_in_unlabelled(machine, region, &reason, list);
	if (*reason.text)
		print_error("%s", reason.text);
	return r;
}

static int reconfigure_in(const struct machine *machine, struct untorn_device *ns, struct untorn_device *region,
			  struct json_object *list)
{
	struct plan plan;
	struct untorn_namespace_info info;
	struct untorn_region_info region_info;
	int r;

	begin_plan(&plan, region);
	plan.ns = ns;
	r = untorn_namespace_get_info(ns, &info);
	if (r == 0)
		r = untorn_region_get_info(region, &region_info);
	if (r < 0) {
		print_error("%s: %s", untorn_device_name(ns), device_strerror(r));
		return r;
	}
	r = check_victim(ns, &info);
	if (r < 0)
		return r;
	plan.is_labelled = info.nstype != UNTORN_NSTYPE_IO;
	if (!plan.is_labelled && opt.autolabel && autolabel_is_possible(machine, region))
		return replace(machine, region, &info, list);
	return remake(&plan, &info, &region_info, list);
}

static int reconfigure(const struct machine *machine, struct json_object *list)
{
	_cleanup_device_ struct untorn_device *ns = NULL, *region = NULL;
	int r = select_device(machine, UNTORN_DEVICE_NAMESPACE, opt.reconfig, &ns);

	if (r < 0)
		return r;
	r = untorn_device_parent(ns, &region);
	if (r < 0 || !filter_region(&opt.filter, region)) {
		print_error("%s: it is in no region such as that", untorn_device_name(ns));
		return -EINVAL;
	}
	return reconfigure_in(machine, ns, region, list);
}

/* ------------------------------------------------------------------ the command ----------------------------------- */

static int run(const struct command *command, int nargs, char **args)
{
	_cleanup_machine_ struct machine machine = {.platform = NULL};
	struct json_object *list;
	int r;

	(void)nargs;
	(void)args;
	if (opt.align)
		return usage_error(command, "--align is for fsdax and devdax, which are not offered");
	if (opt.greedy && opt.reconfig)
		return usage_error(command, "--continue and --reconfig exclude each other");
	r = machine_open(&machine, command, &opt.platform, UNTORN_BUS_CREATE);
	if (r < 0)
		return r;
	list = json_new_list();
	r = opt.reconfig ? reconfigure(&machine, list) : create_anywhere(&machine, list);
	if (r < 0 && json_object_array_length(list) == 0)
		cleanup_machine(&machine);
	else if (machine_close(&machine) < 0)
		r = -EIO;
	if (r == 0 || json_object_array_length(list) > 0)
		json_print_list(list, stdout);
	if (opt.greedy)
		print_count("created", json_object_array_length(list), "namespace");
	json_object_put(list);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

const struct command cmd_create_namespace = {
	.name = "create-namespace",
	.synopsis = "--nvdimm DIMM... [-r REGION] [-m MODE] [-s SIZE] [-l N] [-n NAME] [-e NS -f] ...",
	.summary = "make a namespace in free space, or an old one anew",
	.description =
		"Make a namespace and print it as JSON. Its region is the first with room, in the order of their\n"
		"numbers. A region without labels gets them first, where its DIMMs have label areas and nothing is\n"
		"known to be lost. A command that fails leaves everything as it was; only --reconfig loses the old\n"
		"data.\n",
	.options = options,
	.examples = "  untorn create-namespace --nvdimm mem-path=nv0.img,size=128M,label-size=128K -s 32M -n alpha\n"
		    "  untorn create-namespace --nvdimm mem-path=nv0.img -r region0 -m raw\n"
		    "  untorn create-namespace --nvdimm mem-path=nv0.img -e namespace0.0 -f -m sector -l 512\n",
	.min_args = 0,
	.max_args = 0,
	.run = run,
};
