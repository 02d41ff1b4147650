/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Gathers rows of a logical stream into the content of one frame.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_BATCH_H
#define WS_PURE_WIRE_BATCH_H

#include "pure/wire/frame.h"

/*
 * A batch is larger than WS_BATCH_SIZE if its only row has the maximum length.
 */
#define WS_BATCH_BUFFER_SIZE	(WS_BATCH_SIZE + WS_ROW_HEADER_MAX)

typedef struct WsBatch
{
	uint8	   *buf;			/* WS_BATCH_BUFFER_SIZE bytes, the caller's */
	uint32		len;			/* bytes in it */
	uint32		rows;			/* 0: there is no batch */
	uint64		raw_bytes;		/* size of the stock messages of these rows */
	int64		oldest_us;		/* when the first row came */
	pg_crc32c	crc;			/* of the content, not finished */
	WsRowBase	base;			/* outlives the batch */
} WsBatch;

/* Remove all rows.  The next row's differences are still from the last row. */
extern void ws_batch_clear(WsBatch *batch);

/*
 * Add a row, a 'w' message of more than WS_STOCK_HEADER and at most
 * WS_BATCH_MAX_MESSAGE bytes.  Returns false without doing anything if the
 * batch must be sent first.  restart tells, for a batch's first row, whether
 * its frame will restart history.
 */
extern bool ws_batch_add(WsBatch *batch, const uint8 *message, uint32 len,
						 bool restart, int64 now_us);

#endif							/* WS_PURE_WIRE_BATCH_H */
