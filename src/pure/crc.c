/*-------------------------------------------------------------------------
 *
 * crc.c
 *	  CRC-32C of long runs of bytes.
 *
 * A processor's CRC instruction takes eight bytes, and its result is there
 * three cycles later; the next could start after one.  PostgreSQL's function
 * waits for each.  Over all WAL that is a tenth of what encoding costs, and
 * more than half of what a frame costs that is not encoded.  So the CRCs of
 * three neighbouring runs are computed at a time here, and then joined.
 *
 * A CRC is a remainder of polynomials over GF(2): that of A followed by n
 * bytes is that of A times x^8n, and that of A followed by B the sum of that
 * and the CRC of B.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "crc.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define USE_LANES
#endif

#ifdef USE_LANES

#define LANE_SIZE		2048
#define LANES_SIZE		(3 * LANE_SIZE)

/*
 * As in a CRC's bytes, the coefficient of x^0 is the highest bit.  What
 * follows is CRC-32C's polynomial without x^32; x^(8 * LANE_SIZE), divided by
 * it; and the same for two lanes.
 */
#define POLYNOMIAL		0x82f63b78
#define PAST_ONE_LANE	0x0d65762a
#define PAST_TWO_LANES	0x35d73a62

static inline uint32
multiply(uint32 a, uint32 b)
{
	uint32		product = 0;

	for (int i = 0; i < 32; i++)
	{
		product ^= b & -(a >> 31);
		a <<= 1;
		b = (b >> 1) ^ (POLYNOMIAL & -(b & 1));
	}
	return product;
}

static inline uint64
load_uint64(const uint8 *bytes)
{
	uint64		value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Adds LANES_SIZE bytes. */
__attribute__((target("sse4.2")))
static pg_crc32c
add_lanes(pg_crc32c crc, const uint8 *bytes)
{
	uint64		a = crc;
	uint64		b = 0;
	uint64		c = 0;

	for (const uint8 *end = bytes + LANE_SIZE; bytes < end; bytes += 8)
	{
		a = __builtin_ia32_crc32di(a, load_uint64(bytes));
		b = __builtin_ia32_crc32di(b, load_uint64(bytes + LANE_SIZE));
		c = __builtin_ia32_crc32di(c, load_uint64(bytes + 2 * LANE_SIZE));
	}
	return multiply((uint32) a, PAST_TWO_LANES) ^
		multiply((uint32) b, PAST_ONE_LANE) ^ (uint32) c;
}

#endif							/* USE_LANES */

pg_crc32c
ws_crc_add(pg_crc32c crc, const uint8 *bytes, size_t len)
{
#ifdef USE_LANES
	if (len >= LANES_SIZE && __builtin_cpu_supports("sse4.2"))
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
