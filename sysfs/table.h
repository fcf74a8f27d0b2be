/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nodes that the kernel knows, each once: it calls them by a number until it forgets them. Thread-safe.
 */
#ifndef SYSFS_TABLE_H
#define SYSFS_TABLE_H

#include <pthread.h>

#include "tree.h"

struct table_entry;

struct table {
	pthread_mutex_t lock;
	struct table_entry **buckets;
	size_t nbucket; /* a power of two */
	size_t n;
};

#define TABLE_TOP 1u /* the number of the top, which is never forgotten */

int table_init(struct table *table); /* -ENOMEM; table_done() must follow all the same */
void table_done(struct table *table);

/* The number of a node, known once more. 0: no memory. */
uint64_t table_know(struct table *table, const struct node *node);
void table_forget(struct table *table, uint64_t number, uint64_t times);

/* The node of a number that is known; it does not change while it is. */
const struct node *table_node(uint64_t number);

#endif
