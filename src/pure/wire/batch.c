/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Gathers rows of a logical stream into the content of one frame.
 *
 * Logical messages are small, 80 to 170 bytes.  If each had a frame of its
 * own, the headers of frame and codec would be a good part of the bytes sent.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/batch.h"

void
ws_batch_clear(WsBatch *batch)
{
	batch->len = 0;
	batch->rows = 0;
	batch->raw_bytes = 0;
}

bool
ws_batch_add(WsBatch *batch, const uint8 *message, uint32 len,
			 bool restart, int64 now_us)
{
	const uint8 *body = message + WS_STOCK_HEADER;
	uint32		body_len = len - WS_STOCK_HEADER;
	WsStockHeader stock;
	WsRowBase	base = batch->base;
	uint8		header[WS_ROW_HEADER_MAX];
	size_t		header_len;

	if (batch->rows == 0 && restart)
		memset(&base, 0, sizeof(base));

	ws_stock_header_decode(message, &stock);
	header_len = ws_frame_row_encode(&base, &stock, body_len, header);
	if (batch->rows > 0 && batch->len + header_len + body_len > WS_BATCH_SIZE)
		return false;

	if (batch->rows == 0)
	{
		INIT_CRC32C(batch->crc);
		batch->oldest_us = now_us;
	}
	memcpy(batch->buf + batch->len, header, header_len);
	batch->len += header_len;
	memcpy(batch->buf + batch->len, body, body_len);
	batch->len += body_len;
	batch->rows++;
	batch->raw_bytes += WS_COPYDATA_HEADER + len;
	batch->crc = ws_frame_row_crc(batch->crc, message, body, body_len);
	batch->base = base;
	return true;
}
