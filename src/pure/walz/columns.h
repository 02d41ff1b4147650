/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  Items that look alike, turned into columns.
 *
 * Tuples of one table, or entries of one index, compress poorly as they lie one
 * after the other, since what is alike is an item's length apart.  So first come
 * all items' first bytes, each as the difference from the item before, then all
 * second bytes, and so on, as far as that makes sense; then what is left of each.
 *
 *		field		what
 *		columns		for each: a byte of each item that is so long, minus that
 *					of the last such item
 *		rest		each item's bytes behind the columns
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_COLUMNS_H
#define WS_PURE_WALZ_COLUMNS_H

#include "pure/walz/layout.h"

#define WZ_MAX_ITEMS		2048

/* Where the items are; they do not overlap. */
typedef struct WsWalzItems
{
	int			n;
	int			shortest;
	int			longest;
	struct
	{
		uint16		offset;
		uint16		len;
	}			item[WZ_MAX_ITEMS];
} WsWalzItems;

static inline void
ws_walz_items_clear(WsWalzItems *items)
{
	items->n = 0;
	items->shortest = PG_UINT16_MAX;
	items->longest = 0;
}

/* There must be room. */
static inline void
ws_walz_items_add(WsWalzItems *items, int offset, int len)
{
	items->item[items->n].offset = offset;
	items->item[items->n].len = len;
	items->n++;
	items->shortest = Min(items->shortest, len);
	items->longest = Max(items->longest, len);
}

/*
 * How many leading bytes to turn into columns, at least so many; a byte.  255
 * is all.
 */
extern int	ws_walz_columns_choose(const uint8 *image, const WsWalzItems *items,
								   int least);

/*
 * Code all items of an image to, or from, a stream that has as many bytes.
 * Returns where the stream goes on.
 */
extern uint8 *ws_walz_columns_code(bool decoding, uint8 *image,
								   const WsWalzItems *items, int columns,
								   uint8 *stream);

/* Copy between image and stream, in the direction that is coded. */
static inline uint8 *
wz_move_bytes(bool decoding, uint8 *image, uint8 *stream, int n)
{
	if (decoding)
		memcpy(image, stream, n);
	else
		memcpy(stream, image, n);
	return stream + n;
}

#endif							/* WS_PURE_WALZ_COLUMNS_H */
