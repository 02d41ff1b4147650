/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  Items that look alike, turned into columns.
 *
 * Tuples of one table, or entries of one index, compress poorly when they lie
 * one after the other, since equal bytes are an item's length apart.  So the
 * first bytes of all items come first, each as the difference from the item
 * before, then all second bytes, and so on, as far as that makes sense; then
 * the rest of each item.
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

/* Places of the items, which do not overlap. */
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

/* Append an item.  There must be room. */
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
 * Choose how many leading bytes to turn into columns, at least the number
 * given.  The result fits in a byte; 255 means all.
 */
extern int	ws_walz_columns_choose(const uint8 *image, const WsWalzItems *items,
								   int least);

/*
 * Code all items of an image to or from a stream with the same number of
 * bytes.  Returns where the stream continues.
 */
extern uint8 *ws_walz_columns_code(bool decoding, uint8 *image,
								   const WsWalzItems *items, int columns,
								   uint8 *stream);

/*
 * Copy from image to stream when coding, from stream to image when decoding.
 */
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
