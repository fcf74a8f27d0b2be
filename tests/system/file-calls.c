/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One open file, and the calls on it that standard input names, a line each: so a script can do other things while the file
 * stays open. Each call is answered by a line: what it returned, or the name of the errno.
 *
 *	file-calls FILE FLAG...            read, write, both; direct, sync, dsync, trunc, append
 *
 *	text OFFSET TEXT                   pwrite() of a text in which \n and \0 may stand
 *	fill OFFSET LENGTH BYTE            pwrite() of that byte again and again
 *	get OFFSET LENGTH                  pread(): what it returned, and the text
 *	has OFFSET LENGTH BYTE             pread(): whether all of it is that byte: "yes", or where the first other one is
 *	fsync, fdatasync, size             fsync(), fdatasync(), st_size
 *	allocate OFFSET LENGTH, punch OFFSET LENGTH, zero OFFSET LENGTH, truncate LENGTH
 *	map LENGTH; poke OFFSET BYTE; peek OFFSET; msync
 *	random COUNT SEED COPY UNIT        that many random calls, on COPY too, a file of the same size; places and lengths are
 *	                                   multiples of UNIT. "same" when both files said the same all the time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH_MAX (8u << 20)

static int fd;
static unsigned char *buffer, *other;
static unsigned char *map;
static size_t map_length;

static void answer(long long r)
{
	if (r < 0)
		puts(strerrorname_np(errno));
	else
		printf("%lld\n", r);
}

/* ------------------------------------------------------------------- random calls ----------------------------------------- */

static uint64_t state;

static uint64_t draw(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

/* One call on both files. What is wrong, or NULL. */
static const char *random_call(int copy, uint64_t size, uint64_t unit)
{
	uint64_t length = (draw(8) ? draw(20000) : draw(400000)) / unit * unit, off = draw(size) / unit * unit;
	int mode = FALLOC_FL_KEEP_SIZE | (draw(2) ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (length == 0)
		length = unit;
	if (length > size - off)
		length = size - off;
	switch (draw(8)) {
	case 0:
		return fallocate(fd, mode, (off_t)off, (off_t)length) < 0 ||
				       fallocate(copy, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)off,
						 (off_t)length) < 0
			       ? "fallocate failed"
			       : NULL;
	case 1:
		return fsync(fd) < 0 ? "fsync failed" : NULL;
	case 2:
	case 3:
	case 4:
		for (uint64_t i = 0; i < length; i++)
			buffer[i] = (unsigned char)(draw(255) + 1);
		return pwrite(fd, buffer, length, (off_t)off) != (ssize_t)length ||
				       pwrite(copy, buffer, length, (off_t)off) != (ssize_t)length
			       ? "a write failed"
			       : NULL;
	default:
		if (pread(fd, buffer, length, (off_t)off) != (ssize_t)length ||
		    pread(copy, other, length, (off_t)off) != (ssize_t)length)
			return "a read failed";
		return memcmp(buffer, other, length) ? "a read returned something else" : NULL;
	}
}

static void random_calls(const char *arguments)
{
	unsigned long long count, seed, unit;
	char name[256];
	struct stat st;
	int copy = -1;

	if (sscanf(arguments, "%llu %llu %255s %llu", &count, &seed, name, &unit) != 4 || unit == 0 ||
	    (copy = open(name, O_RDWR | O_CLOEXEC)) < 0 || fstat(copy, &st) < 0) {
		puts("what?");
		return;
	}
	state = seed * 2 + 1;
	for (unsigned long long i = 0; i < count; i++) {
		const char *wrong = random_call(copy, (uint64_t)st.st_size, unit);

		if (wrong) {
			printf("call %llu: %s (%s)\n", i, wrong, strerrorname_np(errno));
			close(copy);
			return;
		}
	}
	close(copy);
	puts("same");
}

/* ------------------------------------------------------------------- single calls ----------------------------------------- */

static size_t unescape(const char *text, unsigned char *bytes)
{
	size_t n = 0;

	for (; *text; text++) {
		bytes[n] = (unsigned char)*text;
		if (text[0] == '\\' && (text[1] == 'n' || text[1] == '0'))
			bytes[n] = *++text == 'n' ? '\n' : '\0';
		n++;
	}
	return n;
}

static void get(off_t off, size_t length)
{
	ssize_t n = pread(fd, buffer, length, off);

	if (n < 0) {
		answer(n);
		return;
	}
	printf("%zd ", n);
	for (ssize_t i = 0; i < n; i++)
		if (buffer[i] == '\n')
			fputs("\\n", stdout);
		else
			putchar(buffer[i] ? buffer[i] : '@');
	putchar('\n');
}

static void has(off_t off, size_t length, unsigned byte)
{
	ssize_t n = pread(fd, buffer, length, off);

	if (n != (ssize_t)length) {
		answer(n);
		return;
	}
	for (size_t i = 0; i < length; i++) {
		if (buffer[i] != byte) {
			printf("at %zu: %u\n", i, buffer[i]);
			return;
		}
	}
	puts("yes");
}

static void make_map(size_t length)
{
	int flags = fcntl(fd, F_GETFL);

	map = mmap(NULL, length, PROT_READ | ((flags & O_ACCMODE) == O_RDWR ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	map_length = map == MAP_FAILED ? 0 : length;
	answer(map == MAP_FAILED ? -1 : 0);
}

static void call(char *line)
{
	unsigned long long off = 0, length = 0, byte = 0;
	char word[16] = "";
	int at = 0;
	struct stat st;

	sscanf(line, "%15s %n%llu %llu %llu", word, &at, &off, &length, &byte);
	if (length > LENGTH_MAX && strcmp(word, "map") != 0 && strcmp(word, "random") != 0 &&
	    strcmp(word, "text") != 0 && strcmp(word, "punch") != 0) {
		puts("too long");
	} else if (!strcmp(word, "text")) {
		char *text = strchr(line + at, ' ');

		answer(pwrite(fd, buffer, unescape(text ? text + 1 : "", buffer), (off_t)off));
	} else if (!strcmp(word, "fill")) {
		memset(buffer, (int)byte, length);
		answer(pwrite(fd, buffer, length, (off_t)off));
	} else if (!strcmp(word, "get")) {
		get((off_t)off, length);
	} else if (!strcmp(word, "has")) {
		has((off_t)off, length, (unsigned)byte);
	} else if (!strcmp(word, "fsync")) {
		answer(fsync(fd));
	} else if (!strcmp(word, "fdatasync")) {
		answer(fdatasync(fd));
	} else if (!strcmp(word, "size")) {
		answer(fstat(fd, &st) < 0 ? -1 : (long long)st.st_size);
	} else if (!strcmp(word, "allocate")) {
		answer(fallocate(fd, 0, (off_t)off, (off_t)length));
	} else if (!strcmp(word, "punch")) {
		answer(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)length));
	} else if (!strcmp(word, "zero")) {
		answer(fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)off, (off_t)length));
	} else if (!strcmp(word, "truncate")) {
		answer(ftruncate(fd, (off_t)off));
	} else if (!strcmp(word, "map")) {
		make_map(off);
	} else if (!strcmp(word, "poke") && off < map_length) {
		map[off] = (unsigned char)length;
		puts("0");
	} else if (!strcmp(word, "peek") && off < map_length) {
		printf("%u\n", map[off]);
	} else if (!strcmp(word, "msync") && map_length > 0) {
		answer(msync(map, map_length, MS_SYNC));
	} else if (!strcmp(word, "random")) {
		random_calls(line + at);
	} else {
		puts("what?");
	}
}

static int parse_flags(char *const *words)
{
	static const struct {
		const char *word;
		int flag;
	} flags[] = {
		{"read", O_RDONLY}, {"write", O_WRONLY}, {"both", O_RDWR},   {"direct", O_DIRECT},
		{"sync", O_SYNC},   {"dsync", O_DSYNC},  {"trunc", O_TRUNC}, {"append", O_APPEND},
	};
	int all = O_CLOEXEC;

	for (; *words; words++) {
		size_t i = 0;

		while (i < sizeof(flags) / sizeof(flags[0]) && strcmp(flags[i].word, *words) != 0)
			i++;
		if (i == sizeof(flags) / sizeof(flags[0]))
			return -1;
		all |= flags[i].flag;
	}
	return all;
}

int main(int argc, char **argv)
{
	char line[8192];
	int flags = argc > 2 ? parse_flags(argv + 2) : -1;

	buffer = aligned_alloc(4096, LENGTH_MAX);
	other = aligned_alloc(4096, LENGTH_MAX);
	if (flags < 0 || !buffer || !other)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open(argv[1], flags);
	answer(fd < 0 ? -1 : 0);
	if (fd < 0)
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		call(line);
	}
	return close(fd) < 0;
}
