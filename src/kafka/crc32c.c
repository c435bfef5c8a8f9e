/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/crc32c.h"

#include <pthread.h>

/* Polynomials are reflected: the highest power is the lowest bit. */
#define POLY 0x82f63b78u
#define LANE 4096 /* bytes per parallel stream; divides by 8 */

static uint32_t table[8][256];
static uint32_t powers[32]; /* x^(2^n) mod POLY */
static uint32_t lane_shift[2];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* a * b mod POLY */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		product ^= a & bit ? b : 0;
		b = b & 1 ? (b >> 1) ^ POLY : b >> 1;
	}
	return product;
}

/* x^(8 n): what multiplies a remainder when n zero bytes follow. */
static uint32_t shift_of(uint64_t n)
{
	uint32_t r = 1u << 31;

	/* The powers repeat after 32 squarings: x has the order 2^31 - 1, so x^(2^31) is x again. */
	for (unsigned k = 3; n; n >>= 1, k++)
		if (n & 1)
			r = multiply(powers[k % 31], r);
	return r;
}

static void set_up(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v & 1 ? (v >> 1) ^ POLY : v >> 1;
		table[0][i] = v;
	}
	for (unsigned t = 1; t < 8; t++)
		for (unsigned i = 0; i < 256; i++)
			table[t][i] = (table[t - 1][i] >> 8) ^ table[0][table[t - 1][i] & 0xff];
	powers[0] = 1u << 30;
	for (unsigned i = 1; i < 32; i++)
		powers[i] = multiply(powers[i - 1], powers[i - 1]);
	lane_shift[0] = shift_of(LANE);
	lane_shift[1] = shift_of(2 * LANE);
#if defined(__x86_64__)
	__builtin_cpu_init();
	has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Eight bytes per step by tables. crc is without the final inversion. */
static uint32_t run_soft(uint32_t crc, const unsigned char *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v = load64(p) ^ crc;

		crc = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^ table[5][(v >> 16) & 0xff] ^
			table[4][(v >> 24) & 0xff] ^ table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^
			table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
	}
	for (; n; n--, p++)
		crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

#if defined(__x86_64__)
/* The instruction takes three cycles but one can start in each: three streams at once, put together at the end. */
__attribute__((target("sse4.2"))) static uint32_t run_cpu(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t a = crc;

	for (; n >= 3 * LANE; n -= 3 * LANE, p += 3 * LANE) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			a = __builtin_ia32_crc32di(a, load64(p + i));
			b = __builtin_ia32_crc32di(b, load64(p + LANE + i));
			c = __builtin_ia32_crc32di(c, load64(p + 2 * LANE + i));
		}
		a = multiply(lane_shift[1], (uint32_t)a) ^ multiply(lane_shift[0], (uint32_t)b) ^ c;
	}
	for (; n >= 8; n -= 8, p += 8)
		a = __builtin_ia32_crc32di(a, load64(p));
	for (; n; n--, p++)
		a = __builtin_ia32_crc32qi((uint32_t)a, *p);
	return (uint32_t)a;
}
#else
#define run_cpu run_soft
#endif

uint32_t kafka_crc32c_extend(uint32_t crc, const void *p, size_t n)
{
	pthread_once(&once, set_up);
	return ~(has_instruction ? run_cpu(~crc, p, n) : run_soft(~crc, p, n));
}

uint32_t kafka_crc32c(const void *p, size_t n)
{
	return kafka_crc32c_extend(0, p, n);
}

uint32_t kafka_crc32c_soft(const void *p, size_t n)
{
	pthread_once(&once, set_up);
	return ~run_soft(~0u, p, n);
}

uint32_t kafka_crc32c_patch(uint32_t crc, const void *delta, size_t n, uint64_t after)
{
	/* The checksum is linear: the change of it is the checksum, without inversions, of the change. */
	pthread_once(&once, set_up);
	return crc ^ multiply(shift_of(after), run_soft(0, delta, n));
}
