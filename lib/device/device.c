/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all devices share: references, the tree, registration, binding to drivers, locks.
 *
 * A device is known to the tree from its registration to its unregistration; both are marks that never go back (dead, gone).
 * Whoever holds a reference may call it at any time: the device lock tells whether it is gone. References:
 *   - the tree has one while the device is registered, and so have its children of it, and queued work;
 *   - the last one queues the release, so that ids and memory are given back without any lock held.
 */
#include "device/device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- references ------------------------------------------- */

void device_init(struct untorn_device *device, const struct device_kind *kind, struct untorn_device *parent, int id,
		 const char *name_format, ...)
{
	va_list args;

	device->bus = parent ? parent->bus : (struct untorn_bus *)device;
	device->kind = kind;
	device->id = id;
	device->parent = parent ? untorn_device_get(parent) : NULL;
	va_start(args, name_format);
	vsnprintf(device->name, sizeof(device->name), name_format, args);
	va_end(args);
	atomic_init(&device->refs, 1);
	atomic_init(&device->driver, NULL);
	pthread_mutex_init(&device->lock, NULL);
	device->add.device = device->del.device = device->release.device = device;
}

struct untorn_device *untorn_device_get(struct untorn_device *device)
{
	atomic_fetch_add(&device->refs, 1);
	return device;
}

static void run_release(struct async_item *item)
{
	struct untorn_device *device = item->device, *parent = device->parent;

	free(device->problem);
	pthread_mutex_destroy(&device->lock);
	device->kind->release(device);
	untorn_device_put(parent);
}

void untorn_device_put(struct untorn_device *device)
{
	if (device && atomic_fetch_sub(&device->refs, 1) == 1)
		async_queue(&device->bus->async, &device->release, run_release);
}

/* ------------------------------------------------------------------- locks ------------------------------------------------ */

void bus_lock(struct untorn_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
}

void bus_unlock(struct untorn_bus *bus)
{
	pthread_mutex_unlock(&bus->lock);
}

void bus_lock_idle(struct untorn_bus *bus)
{
	bus_lock(bus);
	while (bus->nprobing > 0)
		pthread_cond_wait(&bus->idle, &bus->lock);
}

static void tree_lock(struct untorn_bus *bus)
{
	pthread_mutex_lock(&bus->tree);
}

static void tree_unlock(struct untorn_bus *bus)
{
	pthread_mutex_unlock(&bus->tree);
}

int device_lock(struct untorn_device *device)
{
	pthread_mutex_lock(&device->lock);
	if (!device->gone)
		return 0;
	pthread_mutex_unlock(&device->lock);
	return -ENODEV;
}

void device_unlock(struct untorn_device *device)
{
	pthread_mutex_unlock(&device->lock);
}

int device_pass(struct untorn_device *device)
{
	int r = device_lock(device);

	if (r == 0)
		device_unlock(device);
	return r;
}

int device_lock_reconfig(struct untorn_device *device)
{
	int r = device_lock(device);

	if (r == 0)
		bus_lock(device->bus);
	return r;
}

void device_unlock_reconfig(struct untorn_device *device)
{
	bus_unlock(device->bus);
	device_unlock(device);
}

/* A probe may need the device lock to come to its end, so both are let go while waiting. */
int device_lock_reconfig_idle(struct untorn_device *device)
{
	struct untorn_bus *bus = device->bus;

	for (;;) {
		int r = device_lock_reconfig(device);

		if (r < 0 || bus->nprobing == 0)
			return r;
		device_unlock_reconfig(device);
		bus_lock_idle(bus);
		bus_unlock(bus);
	}
}

/* -------------------------------------------------------------------- the tree -------------------------------------------- */

/* Whether a device of type and id stands behind device in the list of children. */
static bool is_behind(enum untorn_device_type type, int id, const struct untorn_device *device)
{
	return type != device->kind->type ? type > device->kind->type : id > device->id;
}

static void tree_insert(struct untorn_device *device)
{
	struct untorn_device **p;

	if (!device->parent)
		return;
	tree_lock(device->bus);
	for (p = &device->parent->children; *p && is_behind(device->kind->type, device->id, *p);)
		p = &(*p)->next;
	device->next = *p;
	*p = untorn_device_get(device);
	tree_unlock(device->bus);
}

static void tree_remove(struct untorn_device *device)
{
	struct untorn_device **p;

	if (!device->parent)
		return;
	tree_lock(device->bus);
	for (p = &device->parent->children; *p && *p != device;)
		p = &(*p)->next;
	if (*p) {
		*p = device->next;
		untorn_device_put(device);
	}
	tree_unlock(device->bus);
}

static void set_visible(struct untorn_device *device)
{
	tree_lock(device->bus);
	device->visible = true;
	tree_unlock(device->bus);
}

struct untorn_device *device_find_child(struct untorn_device *parent, const char *name)
{
	struct untorn_device *child;

	tree_lock(parent->bus);
	for (child = parent->children; child && (!child->visible || strcmp(child->name, name) != 0);)
		child = child->next;
	if (child)
		untorn_device_get(child);
	tree_unlock(parent->bus);
	return child;
}

/* The child of that type behind *child, hidden ones too if asked for; puts *child and replaces it. */
static void next_child(struct untorn_device *parent, enum untorn_device_type type, bool hidden,
		       struct untorn_device **child)
{
	int after = *child ? (*child)->id : -1;
	struct untorn_device *next;

	tree_lock(parent->bus);
	for (next = parent->children; next; next = next->next) {
		if (next->kind->type == type && next->id > after && (next->visible || hidden))
			break;
	}
	if (next)
		untorn_device_get(next);
	tree_unlock(parent->bus);
	untorn_device_put(*child);
	*child = next;
}

int untorn_device_next(struct untorn_device *parent, enum untorn_device_type type, struct untorn_device **child)
{
	next_child(parent, type, false, child);
	return *child ? 0 : -ENOENT;
}

int untorn_bus_find(struct untorn_bus *bus, const char *name, struct untorn_device **ret_device)
{
	struct untorn_device *found = NULL, *region = NULL;

	if (strcmp(name, bus->dev.name) == 0)
		found = untorn_device_get(&bus->dev);
	if (!found)
		found = device_find_child(&bus->dev, name);
	while (!found && untorn_device_next(&bus->dev, UNTORN_DEVICE_REGION, &region) == 0)
		found = device_find_child(region, name);
	untorn_device_put(region);
	if (!found)
		return -ENODEV;
	*ret_device = found;
	return 0;
}

/* ------------------------------------------------------------------- registration ----------------------------------------- */

static bool is_auto_probed(const struct untorn_device *device)
{
	bool is_child_of_region =
		device->kind->type == UNTORN_DEVICE_NAMESPACE || device->kind->type == UNTORN_DEVICE_BTT;

	return atomic_load(&device->bus->autoprobe) &&
	       !(is_child_of_region && (device->bus->flags & UNTORN_BUS_NO_AUTOPROBE));
}

static bool is_dead(struct untorn_device *device)
{
	bool dead;

	bus_lock(device->bus);
	dead = device->dead;
	bus_unlock(device->bus);
	return dead;
}

static void run_add(struct async_item *item)
{
	struct untorn_device *device = item->device;

	/* Unregistered meanwhile: it never shows up. */
	if (device_lock(device) == 0) {
		if (!is_dead(device)) {
			set_visible(device);
			if (is_auto_probed(device))
				device_bind_any(device);
		}
		device_unlock(device);
	}
	untorn_device_put(device);
}

void device_register(struct untorn_device *device)
{
	tree_insert(device);
	untorn_device_get(device);
	async_queue(&device->bus->async, &device->add, run_add);
}

/* The device is dead, and this is the only call for it. */
static void delete_now(struct untorn_device *device)
{
	pthread_mutex_lock(&device->lock);
	device_unbind(device);
	device->gone = true;
	pthread_mutex_unlock(&device->lock);
	if (device->kind->gone)
		device->kind->gone(device);
	tree_remove(device);
}

static void run_del(struct async_item *item)
{
	struct untorn_device *device = item->device;

	delete_now(device);
	untorn_device_put(device);
}

void device_unregister_async(struct untorn_device *device)
{
	if (device->dead)
		return;
	device->dead = true;
	untorn_device_get(device);
	async_queue(&device->bus->async, &device->del, run_del);
}

/* Whether this call removed it. */
static bool unregister(struct untorn_device *device)
{
	bool was_dead;

	bus_lock(device->bus);
	was_dead = device->dead;
	device->dead = true;
	bus_unlock(device->bus);
	if (!was_dead)
		delete_now(device);
	return !was_dead;
}

void device_unregister(struct untorn_device *device)
{
	unregister(device);
}

bool device_unregister_children(struct untorn_device *parent, enum untorn_device_type type)
{
	struct untorn_device *child = NULL;
	bool any = false;

	for (next_child(parent, type, true, &child); child; next_child(parent, type, true, &child))
		any |= unregister(child);
	return any;
}

/* ------------------------------------------------------------------- binding ---------------------------------------------- */

static void probe_begin(struct untorn_bus *bus)
{
	bus_lock(bus);
	bus->nprobing++;
	bus_unlock(bus);
}

static void probe_end(struct untorn_bus *bus)
{
	bus_lock(bus);
	if (--bus->nprobing == 0)
		pthread_cond_broadcast(&bus->idle);
	bus_unlock(bus);
}

int device_bind(struct untorn_device *device, const struct driver *driver)
{
	int r;

	if (!driver->matches(device))
		return -ENODEV;
	if (device_is_bound(device))
		return -EBUSY;
	probe_begin(device->bus);
	r = driver->probe(device);
	if (r == 0) {
		atomic_store(&device->driver, driver);
		if (driver->bound)
			driver->bound(device);
	}
	probe_end(device->bus);
	return r;
}

int device_bind_any(struct untorn_device *device)
{
	for (unsigned i = 0; drivers[i]; i++) {
		if (drivers[i]->matches(device))
			return device_bind(device, drivers[i]);
	}
	return -ENODEV;
}

void device_unbind(struct untorn_device *device)
{
	const struct driver *driver = atomic_load(&device->driver);

	if (!driver)
		return;
	driver->remove(device);
	atomic_store(&device->driver, NULL);
}

const char *untorn_device_driver(struct untorn_device *device)
{
	const struct driver *driver = atomic_load(&device->driver);

	return driver ? driver->name : NULL;
}

int untorn_device_enable(struct untorn_device *device)
{
	int r = device_lock(device);

	if (r < 0)
		return r;
	r = device_bind_any(device);
	device_unlock(device);
	return r;
}

int untorn_device_disable(struct untorn_device *device)
{
	int r = device_lock(device);

	if (r < 0)
		return r;
	device_unbind(device);
	device_unlock(device);
	return 0;
}

/* ------------------------------------------------------------------- what it is ------------------------------------------- */

enum untorn_device_type untorn_device_type(const struct untorn_device *device)
{
	return device->kind->type;
}

const char *untorn_device_name(const struct untorn_device *device)
{
	return device->name;
}

const char *untorn_device_devtype(const struct untorn_device *device)
{
	return device->kind->devtype;
}

int untorn_device_id(const struct untorn_device *device)
{
	return device->id;
}

struct untorn_bus *untorn_device_bus(const struct untorn_device *device)
{
	return device->bus;
}

int untorn_device_parent(struct untorn_device *device, struct untorn_device **ret_parent)
{
	if (!device->parent)
		return -ENOENT;
	*ret_parent = untorn_device_get(device->parent);
	return 0;
}

void device_set_problem(struct untorn_device *device, const char *format, ...)
{
	char *problem = NULL, *old;
	va_list args;

	if (format) {
		va_start(args, format);
		if (vasprintf(&problem, format, args) < 0)
			problem = NULL;
		va_end(args);
	}
	tree_lock(device->bus);
	old = device->problem;
	device->problem = problem;
	tree_unlock(device->bus);
	free(old);
}

int untorn_device_problem(struct untorn_device *device, char *text, size_t size)
{
	int r = -ENOENT;

	tree_lock(device->bus);
	if (device->problem) {
		snprintf(text, size, "%s", device->problem);
		r = 0;
	}
	tree_unlock(device->bus);
	return r;
}

/* ------------------------------------------------------------------- ids -------------------------------------------------- */

#define WORD_BITS 64u

static int pool_take(struct id_pool *pool)
{
	uint64_t *words;

	for (size_t i = 0; i < pool->nword; i++) {
		if (~pool->words[i]) {
			int bit = __builtin_ctzll(~pool->words[i]);

			pool->words[i] |= 1ull << bit;
			return (int)(i * WORD_BITS) + bit;
		}
	}
	words = realloc(pool->words, (pool->nword + 1) * sizeof(*words));
	if (!words)
		return -ENOMEM;
	pool->words = words;
	words[pool->nword++] = 1;
	return (int)((pool->nword - 1) * WORD_BITS);
}

int id_pool_take(struct untorn_bus *bus, struct id_pool *pool)
{
	int id;

	tree_lock(bus);
	id = pool_take(pool);
	tree_unlock(bus);
	return id;
}

void id_pool_give(struct untorn_bus *bus, struct id_pool *pool, int id)
{
	tree_lock(bus);
	pool->words[(unsigned)id / WORD_BITS] &= ~(1ull << ((unsigned)id % WORD_BITS));
	tree_unlock(bus);
}

void id_pool_done(struct id_pool *pool)
{
	free(pool->words);
	*pool = (struct id_pool){.nword = 0};
}
