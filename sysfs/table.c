/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256u

struct table_entry {
	struct node node;
	uint64_t known; /* times */
	uint64_t hash;
	struct table_entry *next;
};

int table_init(struct table *table)
{
	*table = (struct table){.nbucket = BUCKETS_MIN};
	table->buckets = calloc(table->nbucket, sizeof(struct table_entry *));
	pthread_mutex_init(&table->lock, NULL);
	return table->buckets ? 0 : -ENOMEM;
}

void table_done(struct table *table)
{
	for (size_t i = 0; table->buckets && i < table->nbucket; i++) {
		while (table->buckets[i]) {
			struct table_entry *entry = table->buckets[i];

			table->buckets[i] = entry->next;
			free(entry);
		}
	}
	free(table->buckets);
	pthread_mutex_destroy(&table->lock);
}

static bool is_same(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && a->number == b->number && strcmp(a->device, b->device) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

static struct table_entry **bucket_of(const struct table *table, uint64_t hash)
{
	return &table->buckets[(hash ^ hash >> 32) & (table->nbucket - 1)];
}

/* Twice as many buckets, or as many as before when there is no memory. */
static void grow(struct table *table)
{
	struct table bigger = {.nbucket = 2 * table->nbucket};

	bigger.buckets = calloc(bigger.nbucket, sizeof(struct table_entry *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < table->nbucket; i++) {
		while (table->buckets[i]) {
			struct table_entry *entry = table->buckets[i], **bucket = bucket_of(&bigger, entry->hash);

			table->buckets[i] = entry->next;
			entry->next = *bucket;
			*bucket = entry;
		}
	}
	free(table->buckets);
	table->buckets = bigger.buckets;
	table->nbucket = bigger.nbucket;
}

static struct table_entry *find_or_add(struct table *table, const struct node *node)
{
	uint64_t hash = node_hash(node);
	struct table_entry *entry = *bucket_of(table, hash), **bucket;

	while (entry && !(entry->hash == hash && is_same(&entry->node, node)))
		entry = entry->next;
	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	if (table->n >= table->nbucket)
		grow(table);
	entry->node = *node;
	entry->hash = hash;
	bucket = bucket_of(table, hash);
	entry->next = *bucket;
	*bucket = entry;
	table->n++;
	return entry;
}

uint64_t table_know(struct table *table, const struct node *node)
{
	struct table_entry *entry;

	pthread_mutex_lock(&table->lock);
	entry = find_or_add(table, node);
	if (entry)
		entry->known++;
	pthread_mutex_unlock(&table->lock);
	return (uint64_t)(uintptr_t)entry;
}

void table_forget(struct table *table, uint64_t number, uint64_t times)
{
	struct table_entry *entry = (struct table_entry *)(uintptr_t)number, **p;

	if (number == TABLE_TOP)
		return;
	pthread_mutex_lock(&table->lock);
	entry->known -= times;
	if (entry->known == 0) {
		for (p = bucket_of(table, entry->hash); *p != entry;)
			p = &(*p)->next;
		*p = entry->next;
		table->n--;
		free(entry);
	}
	pthread_mutex_unlock(&table->lock);
}

const struct node *table_node(uint64_t number)
{
	return number == TABLE_TOP ? &tree_top : &((struct table_entry *)(uintptr_t)number)->node;
}
