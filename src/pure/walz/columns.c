/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  Items that look alike, turned into columns.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/columns.h"

#define MAX_COLUMNS			96
#define ALL_COLUMNS			255

/*
 * Choose how many leading bytes to turn into columns: all if most items have
 * the same length; otherwise as far as most bytes gain by it, because they
 * equal the byte in the item before or differ from it by the same step as that
 * one from its predecessor.
 */
int
ws_walz_columns_choose(const uint8 *image, const WsWalzItems *items,
					   int least)
{
	int			same = 0;
	int			columns = least;
	int			gain = 0;
	int			best = 0;

	for (int i = 1; i < items->n; i++)
		same += items->item[i].len == items->item[i - 1].len;
	if (2 * same >= items->n)
		return ALL_COLUMNS;

	for (int c = least; c < MAX_COLUMNS && c < items->longest; c++)
	{
		uint8		last = 0;
		uint8		last_diff = 0;
		int			count = 0;
		int			alike = 0;

		for (int i = 0; i < items->n; i++)
		{
			uint8		now;
			uint8		diff;

			if (items->item[i].len <= c)
				continue;
			now = image[items->item[i].offset + c];
			diff = now - last;
			count++;
			alike += diff == 0 || diff == last_diff;
			last = now;
			last_diff = diff;
		}
		gain += 2 * alike - count;
		if (gain > best)
		{
			best = gain;
			columns = c + 1;
		}
	}
	return columns;
}

/* Subtract from, or add to, each byte of a the byte of b in the same place. */
#define HIGH_BITS	UINT64CONST(0x8080808080808080)

static inline uint64
subtract_bytes(uint64 a, uint64 b)
{
	return ((a | HIGH_BITS) - (b & ~HIGH_BITS)) ^ ((a ^ ~b) & HIGH_BITS);
}

static inline uint64
add_bytes(uint64 a, uint64 b)
{
	return ((a & ~HIGH_BITS) + (b & ~HIGH_BITS)) ^ ((a ^ b) & HIGH_BITS);
}

/*
 * Code eight columns at once, which all items have.  Their order depends on
 * the machine's byte order, as all WAL does.
 */
static inline void
code_eight_columns(bool decoding, uint8 *image, const WsWalzItems *items, int c,
				   uint8 *stream)
{
	int			n = items->n;
	uint64		last = 0;

	for (int i = 0; i < n; i++)
	{
		uint8	   *p = image + items->item[i].offset + c;
		uint64		diff;

		if (decoding)
		{
			const uint8 *from = stream + i;

			diff = (uint64) from[0] | (uint64) from[n] << 8 |
				(uint64) from[2 * n] << 16 | (uint64) from[3 * n] << 24 |
				(uint64) from[4 * n] << 32 | (uint64) from[5 * n] << 40 |
				(uint64) from[6 * n] << 48 | (uint64) from[7 * n] << 56;
			last = add_bytes(last, diff);
			ws_bytes_put64(p, last);
		}
		else
		{
			uint64		now = ws_bytes_get64(p);
			uint8	   *to = stream + i;

			diff = subtract_bytes(now, last);
			to[0] = (uint8) diff;
			to[n] = (uint8) (diff >> 8);
			to[2 * n] = (uint8) (diff >> 16);
			to[3 * n] = (uint8) (diff >> 24);
			to[4 * n] = (uint8) (diff >> 32);
			to[5 * n] = (uint8) (diff >> 40);
			to[6 * n] = (uint8) (diff >> 48);
			to[7 * n] = (uint8) (diff >> 56);
			last = now;
		}
	}
}

/* Code one column, for the items that have it. */
static inline uint8 *
code_column(bool decoding, uint8 *image, const WsWalzItems *items, int c,
			uint8 *stream)
{
	uint8		last = 0;

	for (int i = 0; i < items->n; i++)
	{
		uint8	   *p = image + items->item[i].offset + c;

		if (items->item[i].len <= c)
			continue;
		if (decoding)
			*p = last = last + *stream++;
		else
		{
			*stream++ = *p - last;
			last = *p;
		}
	}
	return stream;
}

uint8 *
ws_walz_columns_code(bool decoding, uint8 *image, const WsWalzItems *items,
					 int columns, uint8 *stream)
{
	int			c;

	if (columns == ALL_COLUMNS)
		columns = items->longest;

	for (c = 0; c + 8 <= Min(columns, items->shortest); c += 8)
	{
		/* called at two places, so that each is compiled for its direction */
		if (decoding)
			code_eight_columns(true, image, items, c, stream);
		else
			code_eight_columns(false, image, items, c, stream);
		stream += 8 * items->n;
	}
	for (; c < columns; c++)
		stream = code_column(decoding, image, items, c, stream);

	for (int i = 0; i < items->n; i++)
	{
		if (items->item[i].len > columns)
			stream = wz_move_bytes(decoding, image + items->item[i].offset + columns,
								   stream, items->item[i].len - columns);
	}
	return stream;
}
