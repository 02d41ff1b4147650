/*-------------------------------------------------------------------------
 *
 * page.h
 *	  The page-image stage of walz.
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
 * Both ends take the items from the line pointers: those in use whose place is
 * aligned, between "upper" and "special", and not in an item before.  With
 * the header they say where everything goes; there is nothing else to be sent.
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
 * Code a block's image, its length and its hole.  last_header is the memory of
 * the block's fork.  Takes 40 contexts.  Decoding: the image goes to room, of
 * which left bytes are left; block->image is not set.
 */
extern void ws_walz_page_code(WsWalzIo *io, uint32 context, uint8 *last_header,
							  WsWalzBlock *block, uint8 *room, size_t left);

/*
 * The same of an image whose length and hole are known, at block->image: kind,
 * then kind 1 as above or the image as it is.  Takes one context.  Decoding:
 * the image goes to room, of block->image_len bytes.
 */
extern void ws_walz_page_code_known(WsWalzIo *io, uint32 context,
									uint8 *last_header,
									const WsWalzBlock *block, uint8 *room);

#endif							/* WS_PURE_WALZ_PAGE_H */
