/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machines of DEVICES 17, each cell of them: bring a device into a state, let an event happen, and look at the errno and the
 * state after it. Whatever happens, the tree stays sound.
 */
#include "devices.h"

#include <inttypes.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A result and the state after it. NONE: the event makes no sense there. */
struct cell {
	int error;
	unsigned next;
};

#define NONE 255u
#define TO(state)        \
	{                \
		0, state \
	}
#define NO(error)                  \
	{                          \
		-(error), NONE - 1 \
	} /* nothing changes */
#define ERR(error, state)       \
	{                       \
		-(error), state \
	}
#define DASH            \
	{               \
		0, NONE \
	}

static void report(const char *machine, const char *state, const char *event, const char *what, const char *seen,
		   const char *expected)
{
	print_error("%s: %s, %s: %s %s, expected %s\n", machine, state, event, what, seen, expected);
}

/* ---------------------------------------------------------- namespaces ----------------------------------------------------- */

enum ns_state {
	N0,  /* idle */
	N1,  /* uuid */
	N2,  /* configured */
	N2X, /* the same, neither number 0 nor the seed */
	N2B, /* the same as N2, a BTT on media */
	N3,  /* raw disk */
	N4,  /* claimed, the btt not bound */
	N4B, /* claimed while bound */
	N5,  /* btt disk */
	N6,  /* gone */
	NS_STATES
};

static const char *const ns_state_names[NS_STATES] = {"N0", "N1", "N2", "N2X", "N2B", "N3", "N4", "N4B", "N5", "N6"};

/* A namespace under test, the btt that claims it or may do so, and another btt that does not. */
struct subject {
	struct devices *d;
	const char *ns, *btt, *other, *driver;
	bool is_io;
};

static void configure(struct subject *s)
{
	if (s->is_io)
		assert_unbind(s->d, 0, s->driver, s->ns);
	else
		configure_namespace(s->d, s->ns, 1, 64 * MIB);
}

/* btt0.0 was bound on it; btt0.1 is the seed. */
static void claim(struct subject *s)
{
	configure(s);
	make_btt(s->d, s->btt, 2, 4096, s->ns);
	s->other = "btt0.1";
}

/* And unbound again, as in N4. */
static void claim_idle(struct subject *s)
{
	claim(s);
	assert_unbind(s->d, 0, s->driver, s->btt);
}

/* And let go: btt0.0 is destroyed, btt0.1 is the seed; a BTT is on media. */
static void claim_and_let_go(struct subject *s)
{
	claim_idle(s);
	assert_store(s->d, 0, s->btt, "namespace", "\n");
	devices_wait(s->d);
	s->btt = s->other;
}

/* By a btt that is not the seed, as in N4: one that was bound meanwhile. */
static void claim_bound(struct subject *s)
{
	claim_and_let_go(s);
	configure_btt(s->d, s->btt, 2, 4096, s->ns);
	assert_bind(s->d, 0, s->driver, s->btt);
	assert_unbind(s->d, 0, s->driver, s->btt);
	assert_store(s->d, 0, s->btt, "namespace", "\n");
	devices_wait(s->d);
	s->btt = "btt0.0";
	assert_store(s->d, 0, s->ns, "force_raw", "1");
	assert_bind(s->d, 0, s->driver, s->ns);
	configure_btt(s->d, s->btt, 2, 4096, s->ns);
	s->other = NULL;
}

/* A second one, which is neither number 0 nor the seed. */
static void configure_second(struct subject *s)
{
	configure(s);
	assert_bind(s->d, 0, s->driver, s->ns);
	s->ns = "namespace0.1";
	configure_namespace(s->d, s->ns, 3, 64 * MIB);
	assert_bind(s->d, 0, s->driver, s->ns);
	assert_unbind(s->d, 0, s->driver, s->ns);
}

static void name(struct subject *s)
{
	assert_store(s->d, 0, s->ns, "uuid", uuid_text(1));
	if (s->d->kind == BLK)
		assert_store(s->d, 0, s->ns, "sector_size", "512");
}

static void configure_and_bind(struct subject *s)
{
	configure(s);
	assert_bind(s->d, 0, s->driver, s->ns);
}

static struct subject ns_in_state(enum devices_platform kind, enum ns_state state)
{
	static void (*const ways[N6])(struct subject * s) = {
		[N1] = name,
		[N2] = configure,
		[N2X] = configure_second,
		[N2B] = claim_and_let_go,
		[N3] = configure_and_bind,
		[N4] = claim_idle,
		[N4B] = claim_bound,
		[N5] = claim,
	};
	struct subject s = {devices_new(kind), "namespace0.0", "btt0.0", "btt0.0"};

	s.driver = ns_driver(s.d);
	s.is_io = kind == UNLABELLED;
	if (ways[state])
		ways[state](&s);
	return s;
}

static enum ns_state state_of_ns(const struct subject *s)
{
	struct untorn_namespace_info info;
	struct untorn_btt_device_info btt;
	struct untorn_device *ns, *holder;

	if (!devices_exists(s->d, s->ns))
		return N6;
	ns = find(s->d, s->ns);
	assert_result(untorn_namespace_get_info(ns, &info), 0);
	untorn_device_put(ns);
	if (info.holder[0] && info.bound)
		return N4B;
	if (info.holder[0]) {
		holder = find(s->d, info.holder);
		assert_result(untorn_btt_device_get_info(holder, &btt), 0);
		untorn_device_put(holder);
		return btt.bound ? N5 : N4;
	}
	if (info.bound)
		return N3;
	if (info.size > 0)
		return N2;
	return info.has_uuid ? N1 : N0;
}

static int event_uuid(struct subject *s)
{
	return store(s->d, s->ns, "uuid", uuid_text(50));
}

static int event_grow(struct subject *s)
{
	return store(s->d, s->ns, "size", "0x5000000");
}

static int event_shrink(struct subject *s)
{
	return store(s->d, s->ns, "size", "0x1000000");
}

static int event_unaligned(struct subject *s)
{
	return store(s->d, s->ns, "size", "0x1001000");
}

static int event_too_large(struct subject *s)
{
	return store(s->d, s->ns, "size", "0x20000000");
}

static int event_size_0(struct subject *s)
{
	return store(s->d, s->ns, "size", "0\n");
}

static int event_alt_name(struct subject *s)
{
	return store(s->d, s->ns, "alt_name", "another");
}

static int event_sector_size(struct subject *s)
{
	return store(s->d, s->ns, "sector_size", "4096");
}

static int event_holder_class(struct subject *s)
{
	return store_bytes(s->d, s->ns, "holder_class", "", 1);
}

static int event_force_raw(struct subject *s)
{
	return store(s->d, s->ns, "force_raw", "1");
}

static int event_bind(struct subject *s)
{
	return untorn_driver_bind(s->d->bus, s->driver, s->ns);
}

static int event_bind_force_raw(struct subject *s)
{
	assert_store(s->d, 0, s->ns, "force_raw", "1");
	return untorn_driver_bind(s->d->bus, s->driver, s->ns);
}

static int event_unbind(struct subject *s)
{
	return untorn_driver_unbind(s->d->bus, s->driver, s->ns);
}

/* By a btt that does not claim it. */
static int event_attach(struct subject *s)
{
	return store(s->d, s->other ?: "btt0.1", "namespace", s->ns);
}

static int event_detach(struct subject *s)
{
	return store(s->d, s->btt, "namespace", "\n");
}

static int event_bind_btt(struct subject *s)
{
	return untorn_driver_bind(s->d->bus, s->driver, s->btt);
}

static int event_unbind_btt(struct subject *s)
{
	return untorn_driver_unbind(s->d->bus, s->driver, s->btt);
}

static int event_region_unbind(struct subject *s)
{
	return untorn_driver_unbind(s->d->bus, "nd_region", "region0");
}

static int event_region_again(struct subject *s)
{
	assert_result(untorn_driver_unbind(s->d->bus, "nd_region", "region0"), 0);
	return untorn_driver_bind(s->d->bus, "nd_region", "region0");
}

struct ns_row {
	const char *name;
	int (*event)(struct subject *s);
	struct cell cells[N6];
};

/* N0, N1, N2, N2X, N2B, N3, N4, N4B, N5 */
#define BUSY NO(EBUSY)
static const struct ns_row ns_rows[] = {
	/* D20: no label in the region says the old uuid, so it cannot be renamed. */
	{"uuid", event_uuid, {TO(N1), NO(EBUSY), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"size 80M", event_grow, {NO(ENXIO), TO(N2), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"size 16M", event_shrink, {NO(ENXIO), TO(N2), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"size 16M+4K",
	 event_unaligned,
	 {NO(ENXIO), NO(EINVAL), NO(EINVAL), NO(EINVAL), NO(EINVAL), BUSY, BUSY, BUSY, BUSY}},
	{"size 512M",
	 event_too_large,
	 {NO(ENXIO), NO(ENOSPC), NO(ENOSPC), NO(ENOSPC), NO(ENOSPC), BUSY, BUSY, BUSY, BUSY}},
	{"size 0", event_size_0, {NO(ENXIO), TO(N0), TO(N0), TO(N6), TO(N0), BUSY, BUSY, BUSY, BUSY}},
	{"alt_name", event_alt_name, {TO(N0), TO(N1), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"sector_size", event_sector_size, {TO(N0), TO(N1), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"holder_class", event_holder_class, {TO(N0), TO(N1), TO(N2), TO(N2), TO(N2), BUSY, BUSY, BUSY, BUSY}},
	{"force_raw", event_force_raw, {TO(N0), TO(N1), TO(N2), TO(N2), TO(N2), TO(N3), TO(N4), TO(N4B), TO(N5)}},
	{"bind",
	 event_bind,
	 {NO(ENODEV), NO(ENODEV), TO(N3), TO(N3), ERR(ENXIO, N5), BUSY, NO(ENXIO), BUSY, NO(ENXIO)}},
	{"bind with force_raw",
	 event_bind_force_raw,
	 {NO(ENODEV), NO(ENODEV), TO(N3), TO(N3), TO(N3), BUSY, NO(ENXIO), BUSY, NO(ENXIO)}},
	{"unbind",
	 event_unbind,
	 {NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), TO(N2), NO(ENODEV), TO(N4), NO(ENODEV)}},
	{"attach", event_attach, {NO(ENXIO), NO(ENXIO), TO(N4), TO(N4), TO(N4), TO(N4B), BUSY, DASH, BUSY}},
	{"detach", event_detach, {DASH, DASH, DASH, DASH, DASH, DASH, TO(N2), TO(N3), BUSY}},
	{"bind btt", event_bind_btt, {DASH, DASH, DASH, DASH, DASH, DASH, TO(N5), BUSY, BUSY}},
	{"unbind btt", event_unbind_btt, {DASH, DASH, DASH, DASH, DASH, DASH, NO(ENODEV), NO(ENODEV), TO(N4)}},
	{"unbind region",
	 event_region_unbind,
	 {TO(N6), TO(N6), TO(N6), TO(N6), TO(N6), TO(N6), TO(N6), TO(N6), TO(N6)}},
	{"region again", event_region_again, {TO(N0), TO(N0), TO(N3), TO(N3), TO(N5), TO(N3), TO(N5), TO(N5), TO(N5)}},
};

static const struct ns_row io_rows[] = {
	{"uuid",
	 event_uuid,
	 {DASH, DASH, NO(ENOENT), DASH, NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT)}},
	{"size",
	 event_grow,
	 {DASH, DASH, NO(EACCES), DASH, NO(EACCES), NO(EACCES), NO(EACCES), NO(EACCES), NO(EACCES)}},
	{"size 0",
	 event_size_0,
	 {DASH, DASH, NO(EACCES), DASH, NO(EACCES), NO(EACCES), NO(EACCES), NO(EACCES), NO(EACCES)}},
	{"alt_name",
	 event_alt_name,
	 {DASH, DASH, NO(ENOENT), DASH, NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT)}},
	{"sector_size",
	 event_sector_size,
	 {DASH, DASH, NO(ENOENT), DASH, NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT), NO(ENOENT)}},
	{"holder_class", event_holder_class, {DASH, DASH, NO(ENXIO), DASH, NO(ENXIO), BUSY, BUSY, BUSY, BUSY}},
	{"force_raw", event_force_raw, {DASH, DASH, TO(N2), DASH, TO(N2), TO(N3), TO(N4), TO(N4B), TO(N5)}},
	{"bind", event_bind, {DASH, DASH, TO(N3), DASH, ERR(ENXIO, N5), BUSY, NO(ENXIO), BUSY, NO(ENXIO)}},
	{"bind with force_raw",
	 event_bind_force_raw,
	 {DASH, DASH, TO(N3), DASH, TO(N3), BUSY, NO(ENXIO), BUSY, NO(ENXIO)}},
	{"unbind", event_unbind, {DASH, DASH, NO(ENODEV), DASH, NO(ENODEV), TO(N2), NO(ENODEV), TO(N4), NO(ENODEV)}},
	{"attach", event_attach, {DASH, DASH, TO(N4), DASH, TO(N4), TO(N4B), BUSY, DASH, BUSY}},
	{"detach", event_detach, {DASH, DASH, DASH, DASH, DASH, DASH, TO(N2), TO(N3), BUSY}},
	{"bind btt", event_bind_btt, {DASH, DASH, DASH, DASH, DASH, DASH, TO(N5), BUSY, BUSY}},
	{"unbind btt", event_unbind_btt, {DASH, DASH, DASH, DASH, DASH, DASH, NO(ENODEV), NO(ENODEV), TO(N4)}},
	{"unbind region", event_region_unbind, {DASH, DASH, TO(N6), DASH, TO(N6), TO(N6), TO(N6), TO(N6), TO(N6)}},
	{"region again", event_region_again, {DASH, DASH, TO(N3), DASH, TO(N5), TO(N3), TO(N5), TO(N5), TO(N5)}},
};

/* How many of the cells are wrong. */
static unsigned check_ns_cell(enum devices_platform kind, const char *machine, const struct ns_row *row,
			      enum ns_state state, void **test_state)
{
	const struct cell *cell = &row->cells[state];
	struct subject s = ns_in_state(kind, state);
	enum ns_state before = state_of_ns(&s), next, expected = cell->next == NONE - 1 ? before : cell->next;
	unsigned faults = 0;
	const char *text;
	int r;

	r = row->event(&s);
	devices_wait(s.d);
	next = state_of_ns(&s);
	if (r != cell->error) {
		report(machine, ns_state_names[state], row->name, "returns", errno_name(r), errno_name(cell->error));
		faults++;
	}
	if (next != expected) {
		report(machine, ns_state_names[state], row->name, "leads to", ns_state_names[next],
		       ns_state_names[expected]);
		faults++;
	}
	text = devices_fault(s.d);
	if (text) {
		report(machine, ns_state_names[state], row->name, "makes", text, "a sound tree");
		faults++;
	}
	devices_teardown(test_state);
	return faults;
}

static void check_ns_machine(enum devices_platform kind, const char *machine, const struct ns_row *rows, size_t n,
			     void **state)
{
	unsigned faults = 0, cells = 0;

	for (size_t row = 0; row < n; row++) {
		for (unsigned s = N0; s < N6; s++) {
			if (rows[row].cells[s].next == NONE)
				continue;
			faults += check_ns_cell(kind, machine, &rows[row], s, state);
			cells++;
		}
	}
	assert_int_equal(faults, 0);
	assert_true(cells > 80);
}

static void pmem_namespaces(void **state)
{
	check_ns_machine(LABELLED, "pmem namespace", ns_rows, COUNT(ns_rows), state);
}

static void interleaved_namespaces(void **state)
{
	check_ns_machine(INTERLEAVED, "interleaved namespace", ns_rows, COUNT(ns_rows), state);
}

static void blk_namespaces(void **state)
{
	check_ns_machine(BLK, "blk namespace", ns_rows, COUNT(ns_rows), state);
}

static void io_namespaces(void **state)
{
	check_ns_machine(UNLABELLED, "io namespace", io_rows, COUNT(io_rows), state);
}

/* ------------------------------------------------------------- btts -------------------------------------------------------- */

enum btt_state {
	B0,  /* the seed, nothing set */
	B1,  /* with a uuid */
	B1S, /* with a sector size */
	B2,  /* attached, nothing set */
	B2F, /* attached, all set */
	B2R, /* the same, but the namespace is bound */
	B2T, /* the same, but the namespace is too small */
	B3,  /* bound */
	B4,  /* attached, unbound, not the seed */
	B5,  /* gone */
	BTT_STATES
};

static const char *const btt_state_names[BTT_STATES] = {"B0", "B1", "B1S", "B2", "B2F", "B2R", "B2T", "B3", "B4", "B5"};

/* namespace0.0 (64 MiB, or 16) is there and was bound once; namespace0.1 has 32 MiB; namespace0.2 is idle. */
static struct devices *btt_in_state(enum btt_state state)
{
	struct devices *d = devices_new(LABELLED);

	configure_namespace(d, "namespace0.0", 1, state == B2T ? 16 * MIB : 64 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.0");
	configure_namespace(d, "namespace0.1", 2, 32 * MIB);
	assert_bind(d, 0, "nd_pmem", "namespace0.1");
	if (state != B2R)
		assert_unbind(d, 0, "nd_pmem", "namespace0.0");
	if (state == B1)
		assert_store(d, 0, "btt0.0", "uuid", uuid_text(9));
	if (state == B1S)
		assert_store(d, 0, "btt0.0", "sector_size", "512");
	if (state == B2)
		assert_store(d, 0, "btt0.0", "namespace", "namespace0.0");
	if (state >= B2F)
		configure_btt(d, "btt0.0", 9, 4096, "namespace0.0");
	if (state >= B3)
		assert_bind(d, 0, "nd_pmem", "btt0.0");
	if (state == B4)
		assert_unbind(d, 0, "nd_pmem", "btt0.0");
	return d;
}

/* What can be told from outside: B1S is B1; the kinds of B2 are B2. */
static enum btt_state state_of_btt(struct devices *d)
{
	struct untorn_btt_device_info info;
	struct untorn_device *btt, *region, *seed = NULL;
	bool is_seed;

	if (!devices_exists(d, "btt0.0"))
		return B5;
	btt = find(d, "btt0.0");
	region = find(d, "region0");
	assert_result(untorn_btt_device_get_info(btt, &info), 0);
	assert_result(untorn_region_btt_seed(region, &seed), 0);
	is_seed = seed == btt;
	untorn_device_put(seed);
	untorn_device_put(region);
	untorn_device_put(btt);
	assert_true(!is_seed || !info.bound);
	if (info.bound)
		return B3;
	if (info.ns[0])
		return is_seed ? B2 : B4;
	assert_true(is_seed);
	return info.has_uuid || info.sector_size ? B1 : B0;
}

static int btt_uuid(struct devices *d)
{
	return store(d, "btt0.0", "uuid", uuid_text(10));
}

static int btt_sector_size(struct devices *d)
{
	return store(d, "btt0.0", "sector_size", "520");
}

static int btt_attach(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "namespace0.0\n");
}

static int btt_attach_junk(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "junk");
}

static int btt_attach_unknown(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "namespace0.7");
}

static int btt_attach_idle(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "namespace0.2");
}

static int btt_attach_other_class(struct devices *d)
{
	assert_unbind(d, 0, "nd_pmem", "namespace0.1");
	assert_store(d, 0, "namespace0.1", "holder_class", "dax");
	return store(d, "btt0.0", "namespace", "namespace0.1");
}

static int btt_attach_bound(struct devices *d)
{
	return store(d, "btt0.0", "namespace", "namespace0.1");
}

static int btt_detach(struct devices *d)
{
	return store(d, "btt0.0", "namespace", " \n");
}

static int btt_bind(struct devices *d)
{
	return untorn_driver_bind(d->bus, "nd_pmem", "btt0.0");
}

static int btt_bind_read_only(struct devices *d)
{
	assert_store(d, 0, "region0", "read_only", "1");
	return untorn_driver_bind(d->bus, "nd_pmem", "btt0.0");
}

static int btt_unbind(struct devices *d)
{
	return untorn_driver_unbind(d->bus, "nd_pmem", "btt0.0");
}

static int btt_region_unbind(struct devices *d)
{
	return untorn_driver_unbind(d->bus, "nd_region", "region0");
}

static int btt_show_size(struct devices *d)
{
	char text[UNTORN_ATTR_SIZE + 1];

	return show(d, "btt0.0", "size", text);
}

/* B0, B1, B1S, B2, B2F, B2R, B2T, B3, B4 */
static const struct btt_row {
	const char *name;
	int (*event)(struct devices *d);
	struct cell cells[B5];
} btt_rows[] = {
	{"uuid", btt_uuid, {TO(B1), TO(B1), TO(B1), TO(B2), TO(B2), TO(B2), TO(B2), BUSY, TO(B4)}},
	{"sector_size", btt_sector_size, {TO(B1), TO(B1), TO(B1), TO(B2), TO(B2), TO(B2), TO(B2), BUSY, TO(B4)}},
	{"namespace = name", btt_attach, {TO(B2), TO(B2), TO(B2), BUSY, BUSY, BUSY, BUSY, BUSY, BUSY}},
	{"namespace = junk",
	 btt_attach_junk,
	 {NO(EINVAL), NO(EINVAL), NO(EINVAL), NO(EINVAL), NO(EINVAL), NO(EINVAL), NO(EINVAL), BUSY, NO(EINVAL)}},
	{"namespace = unknown",
	 btt_attach_unknown,
	 {NO(ENODEV), NO(ENODEV), NO(ENODEV), BUSY, BUSY, BUSY, BUSY, BUSY, BUSY}},
	{"namespace = idle one",
	 btt_attach_idle,
	 {NO(ENXIO), NO(ENXIO), NO(ENXIO), BUSY, BUSY, BUSY, BUSY, BUSY, BUSY}},
	{"namespace = one for dax", btt_attach_other_class, {BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY}},
	{"namespace = bound one", btt_attach_bound, {TO(B2), TO(B2), TO(B2), BUSY, BUSY, BUSY, BUSY, BUSY, BUSY}},
	{"namespace = empty", btt_detach, {TO(B0), TO(B0), TO(B0), TO(B0), TO(B0), TO(B0), TO(B0), BUSY, TO(B5)}},
	{"bind", btt_bind, {NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), TO(B3), BUSY, NO(ENXIO), BUSY, TO(B3)}},
	{"bind, read-only region",
	 btt_bind_read_only,
	 {NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENOMEM), BUSY, NO(ENXIO), BUSY, TO(B3)}},
	{"unbind",
	 btt_unbind,
	 {NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), NO(ENODEV), TO(B4), NO(ENODEV)}},
	{"unbind region", btt_region_unbind, {TO(B5), TO(B5), TO(B5), TO(B5), TO(B5), TO(B5), TO(B5), TO(B5), TO(B5)}},
	{"read size",
	 btt_show_size,
	 {NO(ENXIO), NO(ENXIO), NO(ENXIO), NO(ENXIO), NO(ENXIO), NO(ENXIO), NO(ENXIO), TO(B3), NO(ENXIO)}},
};

/* Binding the seed plants a new one, and nothing else does. */
static const char *seed_after(const struct btt_row *row, enum btt_state state)
{
	if (row->event == btt_region_unbind)
		return "\n";
	return state >= B3 || (state == B2F && row->event == btt_bind) ? "btt0.1\n" : "btt0.0\n";
}

static unsigned check_btt_cell(const struct btt_row *row, enum btt_state state, void **test_state)
{
	const struct cell *cell = &row->cells[state];
	struct devices *d = btt_in_state(state);
	enum btt_state before = state_of_btt(d), next, expected = cell->next == NONE - 1 ? before : cell->next;
	char seed[UNTORN_ATTR_SIZE + 1];
	unsigned faults = 0;
	const char *text;
	int r;

	r = row->event(d);
	devices_wait(d);
	next = state_of_btt(d);
	if (r != cell->error) {
		report("btt", btt_state_names[state], row->name, "returns", errno_name(r), errno_name(cell->error));
		faults++;
	}
	if (next != expected) {
		report("btt", btt_state_names[state], row->name, "leads to", btt_state_names[next],
		       btt_state_names[expected]);
		faults++;
	}
	assert_result(show(d, "region0", "btt_seed", seed), 0);
	if (strcmp(seed, seed_after(row, state)) != 0) {
		report("btt", btt_state_names[state], row->name, "makes the seed", seed, seed_after(row, state));
		faults++;
	}
	text = devices_fault(d);
	if (text) {
		report("btt", btt_state_names[state], row->name, "makes", text, "a sound tree");
		faults++;
	}
	devices_teardown(test_state);
	return faults;
}

static void btts(void **state)
{
	unsigned faults = 0;

	for (size_t row = 0; row < COUNT(btt_rows); row++)
		for (unsigned s = B0; s < B5; s++)
			faults += check_btt_cell(&btt_rows[row], s, state);
	assert_int_equal(faults, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(pmem_namespaces),
		device_test(interleaved_namespaces),
		device_test(blk_namespaces),
		device_test(io_namespaces),
		device_test(btts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
