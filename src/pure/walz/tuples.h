/*-------------------------------------------------------------------------
 *
 * tuples.h
 *	  Turns the rows of a bulk load into columns.
 *
 * COPY logs many rows in one record (xl_heap_multi_insert).  The block's data
 * then has one row after the other, each at an even offset:
 *
 *		size	field
 *		2		length of the row's data
 *		5		infomask2, infomask, hoff
 *		...		the row's data
 *
 * These fields are sent:
 *
 *		field		what
 *		kind		code: 0 not so, the data are part of the body; 1 as follows
 *		count		number: of rows
 *		the rest raw:
 *		columns		1: see walz/columns.h
 *		lengths		low bytes of all lengths, then high bytes
 *		rows		columns: what follows the length
 *		padding		the byte after each row of an odd length but the last
 *
 * No flag marks such a record; it is recognized by data that can be parsed in
 * this way.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_TUPLES_H
#define WS_PURE_WALZ_TUPLES_H

#include "pure/walz/io.h"

/* Shorter data is never coded in this way, and has no kind. */
#define WZ_TUPLES_MIN		512

/*
 * Code the kind, which tells whether the data can be read as rows.  When
 * coding, data has len bytes.
 */
extern bool ws_walz_tuples_kind(WsWalzIo *io, uint32 context, const uint8 *data,
								int len);

/*
 * Code data of kind 1; uses the contexts from context to context + 9.  The
 * caller must look at io->failed afterwards.
 */
extern void ws_walz_tuples_code(WsWalzIo *io, uint32 context, uint8 *data,
								int len);

#endif							/* WS_PURE_WALZ_TUPLES_H */
