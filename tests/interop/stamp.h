/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stamped sectors: a writer that can be killed at any instant, and a verifier that says whether the volume kept its promises.
 *
 * A sector's stamp is 8 bytes, repeated over the whole sector: its lba (low 32 bits) and the generation of the request that wrote
 * it (high 32 bits). A sector of more than one stamp is torn. Generations rise with every request; the acks file holds, per
 * sector, the oldest generation that the sector may still have, given what was acknowledged.
 *
 * The engine knows no block device; each program brings a backend and calls stamp_main().
 */
#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stamp_geometry {
	uint32_t sector_size; /* bytes that read and write move for one sector */
	uint64_t nlba;
};

/* Functions return 0 or a negative errno. read and write are called by several threads at once. */
struct stamp_backend {
	const char *name;
	int (*open)(const char *target, const char *const *options, bool writable, struct stamp_geometry *ret_geometry,
		    void **ret_handle);
	int (*read)(void *handle, uint64_t lba, void *buf);
	/* n sectors, one after the other in buf. durable: on return. */
	int (*write)(void *handle, uint64_t lba, uint32_t n, const void *buf, bool durable);
	int (*flush)(void *handle);
	int (*close)(void *handle);
};

/*
 * PROGRAM write TARGET --acks FILE [OPTION]...
 * PROGRAM verify TARGET [OPTION]...
 *
 *	--acks FILE        a regular file (grown as needed), or a block device, which is written around the page cache;
 *	                   verify without it demands no age
 *	--ack-offset BYTES where in FILE the acks of this volume begin (0; a multiple of 4096)
 *	--round R          1 to 255, greater in each new run on the same acks; verify: no sector may be newer (1)
 *	--span N           use N sectors, half of them at the beginning and half at the end (all); the same in all runs
 *	--threads T        (1)
 *	--batch N          each request writes 1 to N sectors (1; at most 64)
 *	--flush N          buffered writes, acknowledged by a flush after every N requests of a thread; 0: durable writes (0)
 *	--requests N       end after N requests of each thread; 0: go on until killed (0)
 *	-o OPTION          for the backend
 *
 * write prints "running" once each thread has had requests acknowledged, verify one line of result.
 * Exit status 0, 1 (a promise is broken, or an error), 2 (usage).
 */
int stamp_main(int argc, char **argv, const struct stamp_backend *backend);

#endif
