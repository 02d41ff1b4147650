/*-------------------------------------------------------------------------
 *
 * tuples.h
 *	  The rows of a bulk load, turned into columns.
 *
 * COPY logs many rows in one record (xl_heap_multi_insert).  The block's data
 * are then, one row after the other, each at an even offset:
 *
 *		size	field
 *		2		length of the row's data
 *		5		infomask2, infomask, hoff
 *		...		the row's data
 *
 * What is sent:
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
 * Nothing says that a record is of this kind, but that its data can be read so.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_TUPLES_H
#define WS_PURE_WALZ_TUPLES_H

#include "pure/walz/io.h"

/* Shorter data are never coded so, and have no kind. */
#define WZ_TUPLES_MIN		512

/*
 * Code the kind: can these data be read as rows?  Coding: data has len bytes.
 */
extern bool ws_walz_tuples_kind(WsWalzIo *io, uint32 context, const uint8 *data,
								int len);

/*
 * Code data of kind 1; takes the contexts from context to context + 9.  Look
 * at io->failed afterwards.
 */
extern void ws_walz_tuples_code(WsWalzIo *io, uint32 context, uint8 *data,
								int len);

#endif							/* WS_PURE_WALZ_TUPLES_H */
