/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_FLETCHER64_H
#define BASE_FLETCHER64_H

#include <stddef.h>
#include <stdint.h>

/*
 * The Fletcher-64 of the NVDIMM formats (SPEC 2): two sums of little-endian 32-bit words, both modulo 2^32.
 * len is a multiple of 4. Words in [zero_off, zero_off + zero_len) count as zero; both are multiples of 4.
 */
uint64_t fletcher64(const void *data, size_t len, size_t zero_off, size_t zero_len);

#endif
