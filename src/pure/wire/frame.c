/*-------------------------------------------------------------------------
 *
 * frame.c
 *	  Writes and parses the fixed parts of encoded messages: the frame's
 *	  header, a batch's rows and the check value.
 *
 * This file knows only the bytes of one message; the order of messages in a
 * stream is the business of encoder and decoder.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/bytes.h"
#include "pure/codec/crc.h"
#include "pure/varint.h"
#include "pure/wire/frame.h"

void
ws_stock_header_encode(const WsStockHeader *header, uint8 *buf)
{
	buf[0] = WS_STOCK_TYPE;
	ws_bytes_put_net64(buf + 1, header->start_lsn);
	ws_bytes_put_net64(buf + 9, header->wal_end);
	ws_bytes_put_net64(buf + 17, (uint64) header->send_time);
}

void
ws_stock_header_decode(const uint8 *buf, WsStockHeader *header)
{
	header->start_lsn = ws_bytes_get_net64(buf + 1);
	header->wal_end = ws_bytes_get_net64(buf + 9);
	header->send_time = (int64) ws_bytes_get_net64(buf + 17);
}

/* Differences wrap around, so they exist for any two positions or times. */
static size_t
put_difference(uint8 *buf, uint64 value, uint64 base)
{
	return ws_varint_put_signed(buf, (int64) (value - base));
}

pg_crc32c
ws_frame_content_crc(XLogRecPtr start_lsn, const uint8 *wal, uint32 len)
{
	uint8		prefix[12];
	pg_crc32c	crc;

	ws_bytes_put_net64(prefix, start_lsn);
	ws_bytes_put_net32(prefix + 8, len);

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, prefix, sizeof(prefix));
	return ws_crc_add(crc, wal, len);
}

pg_crc32c
ws_frame_row_crc(pg_crc32c crc, const uint8 *header,
				 const uint8 *body, uint32 body_len)
{
	uint8		prefix[4];

	ws_bytes_put_net32(prefix, WS_STOCK_HEADER + body_len);
	COMP_CRC32C(crc, prefix, sizeof(prefix));
	COMP_CRC32C(crc, header, WS_STOCK_HEADER);
	return ws_crc_add(crc, body, body_len);
}

/*
 * Compute the check value, see frame.h.  header_len is without the check value.
 */
static uint32
compute_check(pg_crc32c content_crc, uint64 frame_number,
			  const uint8 *header, size_t header_len, WsCodecId codec,
			  const uint8 *encoded, size_t encoded_len)
{
	uint8		number[8];
	pg_crc32c	crc = content_crc;

	ws_bytes_put_net64(number, frame_number);
	COMP_CRC32C(crc, number, sizeof(number));
	COMP_CRC32C(crc, header, header_len);
	if (codec != WS_CODEC_NONE)
		crc = ws_crc_add(crc, encoded, encoded_len);
	FIN_CRC32C(crc);
	return crc;
}

size_t
ws_frame_header_encode(const WsFrameHeader *header, uint64 frame_number,
					   pg_crc32c content_crc,
					   const uint8 *encoded, size_t encoded_len, uint8 *buf)
{
	size_t		len = 0;
	uint32		check;

	buf[len++] = WS_FRAME_TYPE;
	buf[len++] = (uint8) header->codec |
		(header->restart ? WS_FLAG_RESTART : 0) |
		(header->batch ? WS_FLAG_BATCH : 0);
	len += ws_varint_put(buf + len, header->raw_len);
	if (!header->batch)
	{
		if (header->restart)
		{
			ws_bytes_put_net64(buf + len, header->start_lsn);
			len += 8;
		}
		len += ws_varint_put_signed(buf + len, header->wal_end_delta);
		len += ws_varint_put_signed(buf + len, header->send_time_delta);
	}

	check = compute_check(content_crc, frame_number, buf, len, header->codec,
						  encoded, encoded_len);
	ws_bytes_put_net32(buf + len, check);
	return len + 4;
}

WsStatus
ws_frame_header_decode(const uint8 *frame, size_t len,
					   WsFrameHeader *header, size_t *header_len)
{
	const uint8 *pos = frame + 2;
	const uint8 *end = frame + len;
	uint8		flags;
	uint64		raw_len;

	memset(header, 0, sizeof(*header));

	if (len < 2 || frame[0] != WS_FRAME_TYPE)
		return WS_E_MALFORMED;

	flags = frame[1];
	if (flags & WS_FLAG_RESERVED)
		return WS_E_MALFORMED;
	header->codec = (WsCodecId) (flags & WS_FLAG_CODEC_MASK);
	if (header->codec != WS_CODEC_NONE && ws_codec_by_id(header->codec) == NULL)
		return WS_E_MALFORMED;
	header->restart = (flags & WS_FLAG_RESTART) != 0;
	header->batch = (flags & WS_FLAG_BATCH) != 0;

	if (!ws_varint_get(&pos, end, &raw_len))
		return WS_E_MALFORMED;
	if (raw_len > PG_UINT32_MAX)
		return WS_E_TOO_LARGE;
	header->raw_len = (uint32) raw_len;

	if (!header->batch)
	{
		if (header->restart)
		{
			if (end - pos < 8)
				return WS_E_MALFORMED;
			header->start_lsn = ws_bytes_get_net64(pos);
			pos += 8;
		}
		if (!ws_varint_get_signed(&pos, end, &header->wal_end_delta) ||
			!ws_varint_get_signed(&pos, end, &header->send_time_delta))
			return WS_E_MALFORMED;
	}

	if (end - pos < 4)
		return WS_E_MALFORMED;
	header->check = ws_bytes_get_net32(pos);
	pos += 4;

	*header_len = pos - frame;
	return WS_OK;
}

bool
ws_frame_verify(const uint8 *frame, size_t len, const WsFrameHeader *header,
				size_t header_len, uint64 frame_number, pg_crc32c content_crc)
{
	return header->check == compute_check(content_crc, frame_number,
										  frame, header_len - 4,
										  header->codec,
										  frame + header_len, len - header_len);
}

size_t
ws_frame_row_encode(WsRowBase *base, const WsStockHeader *header,
					uint32 body_len, uint8 *buf)
{
	bool		has_start = header->start_lsn != InvalidXLogRecPtr;
	size_t		len;

	len = ws_varint_put(buf, (uint64) body_len * 2 + (has_start ? 0 : 1));
	if (has_start)
	{
		len += put_difference(buf + len, header->start_lsn, base->start_lsn);
		base->start_lsn = header->start_lsn;
	}
	len += put_difference(buf + len, header->wal_end, header->start_lsn);
	len += put_difference(buf + len, (uint64) header->send_time,
						  (uint64) base->send_time);
	base->send_time = header->send_time;
	return len;
}

WsStatus
ws_frame_row_decode(WsRowBase *base, const uint8 **pos, const uint8 *end,
					WsStockHeader *header, uint32 *body_len)
{
	const uint8 *p = *pos;
	uint64		length;
	int64		difference;

	if (!ws_varint_get(&p, end, &length))
		return WS_E_MALFORMED;

	header->start_lsn = InvalidXLogRecPtr;
	if ((length & 1) == 0)
	{
		if (!ws_varint_get_signed(&p, end, &difference))
			return WS_E_MALFORMED;
		header->start_lsn = base->start_lsn + (uint64) difference;

		/* Zero must have only one encoding. */
		if (header->start_lsn == InvalidXLogRecPtr)
			return WS_E_MALFORMED;
		base->start_lsn = header->start_lsn;
	}

	if (!ws_varint_get_signed(&p, end, &difference))
		return WS_E_MALFORMED;
	header->wal_end = header->start_lsn + (uint64) difference;

	if (!ws_varint_get_signed(&p, end, &difference))
		return WS_E_MALFORMED;
	header->send_time = (int64) ((uint64) base->send_time + (uint64) difference);
	base->send_time = header->send_time;

	length /= 2;
	if (length > WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER)
		return WS_E_TOO_LARGE;
	if (length > (uint64) (end - p))
		return WS_E_LENGTH;
	*body_len = (uint32) length;
	*pos = p;
	return WS_OK;
}
