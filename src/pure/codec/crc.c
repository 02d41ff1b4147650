/*-------------------------------------------------------------------------
 *
 * crc.c
 *	  CRC-32C of long runs of bytes.
 *
 * A processor's CRC instruction takes eight bytes and delivers its result
 * after three cycles, while a new one could start in each cycle.  PostgreSQL's
 * function waits for every result.  That wait is a tenth of what encoding
 * costs over all WAL, and more than half of the cost of a frame that is not
 * encoded.  So this file computes the CRCs of four neighbouring runs at a time
 * and then joins them.
 *
 * A CRC is a remainder of polynomials over GF(2).  Appending n bytes to A
 * multiplies the CRC of A by x^8n, and the CRC of A followed by B is the sum
 * of that product and the CRC of B.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define USE_LANES
#endif

#ifdef USE_LANES

#define LANES			4
#define LANE_SIZE		512
#define LANES_SIZE		(LANES * LANE_SIZE) /* divides a WAL page */

/*
 * The remainders of x^(8n - 33) by CRC-32C's polynomial, for n bytes of one,
 * two and three lanes.  As in a CRC's bytes, the coefficient of x^0 is the
 * highest bit.
 */
#define PAST_ONE_LANE		0xdd7e3b0c
#define PAST_TWO_LANES		0x170076fa
#define PAST_THREE_LANES	0x9ef68d35

typedef long long TwoInt64 __attribute__((vector_size(16)));

/*
 * Multiply a CRC by x^8n.  The processor's product of two bit-reversed numbers
 * has one factor x too many, and the CRC instruction, which takes the product
 * as a run of eight bytes, multiplies by x^32 before it divides.  Both factors
 * are taken out of the constants above.
 */
__attribute__((target("sse4.2,pclmul")))
static inline pg_crc32c
move_past(uint64 crc, uint32 past)
{
	TwoInt64	a = {(long long) crc, 0};
	TwoInt64	b = {past, 0};

	return (pg_crc32c)
		__builtin_ia32_crc32di(0, __builtin_ia32_pclmulqdq128(a, b, 0)[0]);
}

static inline uint64
load_uint64(const uint8 *bytes)
{
	uint64		value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Add LANES_SIZE bytes to the CRC. */
__attribute__((target("sse4.2,pclmul")))
static pg_crc32c
add_lanes(pg_crc32c crc, const uint8 *bytes)
{
	uint64		a = crc;
	uint64		b = 0;
	uint64		c = 0;
	uint64		d = 0;

	for (const uint8 *end = bytes + LANE_SIZE; bytes < end; bytes += 8)
	{
		a = __builtin_ia32_crc32di(a, load_uint64(bytes));
		b = __builtin_ia32_crc32di(b, load_uint64(bytes + LANE_SIZE));
		c = __builtin_ia32_crc32di(c, load_uint64(bytes + 2 * LANE_SIZE));
		d = __builtin_ia32_crc32di(d, load_uint64(bytes + 3 * LANE_SIZE));
	}
	return move_past(a, PAST_THREE_LANES) ^ move_past(b, PAST_TWO_LANES) ^
		move_past(c, PAST_ONE_LANE) ^ (pg_crc32c) d;
}

#endif							/* USE_LANES */

pg_crc32c
ws_crc_add(pg_crc32c crc, const uint8 *bytes, size_t len)
{
#ifdef USE_LANES
	if (len >= LANES_SIZE && __builtin_cpu_supports("sse4.2") &&
		__builtin_cpu_supports("pclmul"))
	{
		while (len >= LANES_SIZE)
		{
			crc = add_lanes(crc, bytes);
			bytes += LANES_SIZE;
			len -= LANES_SIZE;
		}
	}
#endif
	COMP_CRC32C(crc, bytes, len);
	return crc;
}
