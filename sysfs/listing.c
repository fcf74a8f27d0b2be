/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listing directories. What there is is looked at by the first read, and again after rewinddir().
 *
 * Entries come in the order in which Linux lists a directory of /sys, which is that of a hash of their names. It is
 * arbitrary, but scripts and ndctl take what comes first.
 */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint32_t hash;
	mode_t mode;
	ino_t ino;
	char *name;
};

struct listing {
	struct open_file file;
	struct sysfs *sysfs;
	struct entry *entries;
	size_t n;
};

static void clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		free(listing->entries[i].name);
	free(listing->entries);
	listing->entries = NULL;
	listing->n = 0;
}

static void close_listing(struct open_file *file)
{
	struct listing *listing = (struct listing *)file;

	clear(listing);
	free(listing);
}

/* Linux's hash of names, cut to the 31 bits that it keeps in a file position. */
static uint32_t hash_name(const char *name)
{
	const uint64_t golden_ratio = 0x61c8864680b583eb;
	uint64_t hash = 0;

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		hash = (hash + ((uint64_t)c << 4) + (c >> 4)) * 11;
	}
	return (uint32_t)(hash * golden_ratio >> 32) & INT32_MAX;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : strcmp(x->name, y->name);
}

static int add_entry(void *arg, const char *name, const struct node *node)
{
	struct listing *listing = arg;
	struct stat st = {0};
	struct entry *entries;
	int r = tree_stat(&listing->sysfs->tree, node, &st);

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* gone meanwhile */
	entries = reallocarray(listing->entries, listing->n + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	listing->entries = entries;
	/* In a sandbox a label area is a character device, which only stat can say. */
	if (node->kind == NODE_LABEL_FILE)
		st.st_mode = 0;
	entries[listing->n] = (struct entry){hash_name(name), st.st_mode, st.st_ino, strdup(name)};
	if (!entries[listing->n].name)
		return -ENOMEM;
	listing->n++;
	return 0;
}

static int read_entries(struct listing *listing, const struct node *dir)
{
	int r;

	clear(listing);
	r = tree_list(&listing->sysfs->tree, dir, add_entry, listing);
	if (r < 0)
		return r;
	if (listing->n > 0)
		qsort(listing->entries, listing->n, sizeof(*listing->entries), compare_entries);
	return 0;
}

void listing_open(struct sysfs *sysfs, fuse_req_t req, struct fuse_file_info *info)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	listing->file.close = close_listing;
	listing->sysfs = sysfs;
	reply_open(req, info, &listing->file);
}

/* The entry at an offset: the directory itself, which stands for its parent too, and then what is in it. */
static size_t put_entry(const struct listing *listing, fuse_req_t req, const struct node *dir, uint64_t off,
			char *bytes, size_t size)
{
	struct stat st = {.st_mode = S_IFDIR, .st_ino = node_number(dir)};
	const char *name = off == 0 ? "." : "..";

	if (off >= 2) {
		const struct entry *entry = &listing->entries[off - 2];

		st.st_mode = entry->mode;
		st.st_ino = entry->ino;
		name = entry->name;
	}
	return fuse_add_direntry(req, bytes, size, name, &st, (off_t)off + 1);
}

void listing_read(fuse_req_t req, const struct node *dir, size_t size, off_t off, struct fuse_file_info *info)
{
	struct listing *listing = (struct listing *)(uintptr_t)info->fh;
	_cleanup_free_ char *bytes = malloc(size);
	int r = bytes ? 0 : -ENOMEM;
	size_t used = 0;

	if (r == 0 && off == 0)
		r = read_entries(listing, dir);
	for (uint64_t i = (uint64_t)off; r == 0 && i < listing->n + 2; i++) {
		size_t more = put_entry(listing, req, dir, i, bytes + used, size - used);

		if (more > size - used)
			break;
		used += more;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, bytes, used);
}
