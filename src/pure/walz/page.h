/*-------------------------------------------------------------------------
 *
 * page.h
 *	  Codes page images.
 *
 * A page with ordinary line pointers is turned into columns (walz/columns.h).
 *
 *		field			what
 *		kind			code: 0 the image as it is, 1 as columns
 *	  kind 0:
 *		length			number
 *		hole			number: its offset; and if compressed, number: its
 *						length
 *		image			raw
 *	  kind 1, all raw:
 *		header			24, each minus that of the last image of this fork
 *		columns			1: how many leading bytes of the items are columns, 255
 *						all of them
 *		line pointers	four columns: how the pointers differ from those of
 *						items of the same length packed downwards
 *		before hole		up to 3: what is left up to "lower"
 *		items			columns and rest
 *		padding			what follows each item up to alignment
 *		others			bytes from "upper" on that are in no item
 *
 * Both ends derive the items from the line pointers: those in use whose place
 * is aligned, between "upper" and "special", and not within an earlier item.
 * Header and line pointers determine where everything goes, so nothing else is
 * sent.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_PAGE_H
#define WS_PURE_WALZ_PAGE_H

#include "pure/walz/io.h"
#include "pure/walz/record.h"

/*
 * Code a block's image, its length and its hole.  last_header is the last
 * header in the block's fork.  Uses 40 contexts.  When decoding, the image
 * goes to room, which has left bytes; block->image is not set.
 */
extern void ws_walz_page_code(WsWalzIo *io, uint32 context, uint8 *last_header,
							  WsWalzBlock *block, uint8 *room, size_t left);

/*
 * Code an image whose length and hole are known, at block->image: the kind,
 * then kind 1 as above or the image as it is.  Uses one context.  When
 * decoding, the image goes to room, which has block->image_len bytes.
 */
extern void ws_walz_page_code_known(WsWalzIo *io, uint32 context,
									uint8 *last_header,
									const WsWalzBlock *block, uint8 *room);

#endif							/* WS_PURE_WALZ_PAGE_H */
