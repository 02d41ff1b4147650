/*-------------------------------------------------------------------------
 *
 * encode.c
 *	  The sending half of walz: see walz/piece.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/varint.h"
#include "pure/walz/piece.h"

/*
 * The range coder takes several times as long as zstd for a symbol.  It is
 * used for pieces up to this size, since few of these come at a time; for
 * larger ones if the piece before had less than one symbol in this many bytes
 * (page images, bulk loads); and always from this level on.
 */
#define RANGE_MAX			(16 * 1024)
#define RANGE_SPARSE		64
#define RANGE_LEVEL			3

/* Returns the record at the cursor if it can be modelled, and sets *len. */
static bool
find_record(WsWalz *walz, const uint8 *src, size_t src_len, uint32 *len)
{
	const uint8 *bytes;

	bytes = ws_walz_cursor_peek(&walz->cursor, src, src_len, walz->scratch,
								walz->piece_max, len);
	return bytes != NULL &&
		ws_walz_record_read(bytes, *len, &walz->record) &&
		ws_walz_model_fits(walz->model, &walz->record);
}

/* Total length of all streams so far. */
static size_t
streams_len(const WsWalzIo *io)
{
	return io->code.len + io->literal.len + io->raw.len;
}

/* Encode a piece with the model.  Returns false if that must be given up. */
static bool
model_piece(WsWalz *walz, const uint8 *src, size_t src_len)
{
	WsWalzIo   *io = &walz->io;
	WsWalzCursor *cursor = &walz->cursor;
	size_t		size = ws_walz_stream_size(walz);
	size_t		pos = 0;

	ws_walz_set_stream(&io->code, walz->streams, size, 0);
	ws_walz_set_stream(&io->literal, walz->streams + size, size, 0);
	ws_walz_set_stream(&io->raw, walz->streams + 2 * size, size, 0);
	io->mode = src_len <= RANGE_MAX || walz->sparse ||
		walz->params.level >= RANGE_LEVEL ? WS_WALZ_RANGE : WS_WALZ_PLAIN;
	ws_walz_io_begin(io);

	while (pos < src_len)
	{
		size_t		before = streams_len(io);
		bool		found = false;
		bool		part;
		uint32		len = 0;
		size_t		n;

		if (cursor->state == WZ_READY)
		{
			uint8		op;

			walz->part.record_lsn = InvalidXLogRecPtr;
			found = find_record(walz, src + pos, src_len - pos, &len);
			part = !found &&
				ws_walz_part_begins(&walz->part, cursor, src + pos,
									src_len - pos, walz->scratch);
			op = ws_walz_model_op(walz->model, io, found ? &walz->record : NULL,
								  part ? WZ_OP_PART : WZ_OP_RAW);
			if (found)
				ws_walz_model_record(walz->model, io, op, &walz->record);
		}
		else
			part = ws_walz_part_goes_on(&walz->part, cursor);

		n = 0;
		if (found)
			n = ws_walz_cursor_pass(cursor, len);
		else if (part)
			n = ws_walz_part_encode(&walz->part, walz->model, io, cursor,
									src + pos, src_len - pos, walz->scratch);
		if (n == 0)
		{
			n = ws_walz_cursor_feed(cursor, src + pos, src_len - pos);
			ws_walz_raw(io, unconstify(uint8 *, src + pos), n);
		}
		pos += n;
		if (walz->observer != NULL)
			walz->observer(walz->observer_arg, found ? walz->record.rmid :
						   part ? walz->part.record.rmid : -1,
						   n, streams_len(io) - before);
	}
	if (io->mode == WS_WALZ_RANGE)
		ws_walz_io_end(io);
	walz->sparse = io->symbols * RANGE_SPARSE < src_len;
	return !io->failed && streams_len(io) <= src_len + WZ_SLACK;
}

/* Encode a piece without the model. */
static WsStatus
encode_as_is(WsWalz *walz, const uint8 *src, size_t src_len,
			 uint8 *dst, size_t dst_size, size_t *dst_len)
{
	WsStatus	status;

	ws_walz_forget(walz);
	dst[0] = WZ_FORM_ZSTD;
	status = ws_codec_zstd.encode(walz->zstd, InvalidXLogRecPtr, src, src_len,
								  dst + 1, dst_size - 1, dst_len);
	*dst_len += 1;
	return status;
}

static WsStatus
encode_piece(WsWalz *walz, const uint8 *src, size_t src_len,
			 uint8 *dst, size_t dst_size, size_t *dst_len)
{
	WsWalzIo   *io = &walz->io;
	WsWalzCursor before = walz->cursor;
	uint8	   *p = dst;
	uint8	   *zstd_src;
	size_t		zstd_len;
	WsStatus	status;

	if (!walz->known)
		return encode_as_is(walz, src, src_len, dst, dst_size, dst_len);
	if (!model_piece(walz, src, src_len))
	{
		walz->cursor = before;
		for (size_t pos = 0; pos < src_len;)
			pos += ws_walz_cursor_feed(&walz->cursor, src + pos, src_len - pos);
		return encode_as_is(walz, src, src_len, dst, dst_size, dst_len);
	}

	if (dst_size < WZ_PIECE_HEADER_MAX + io->code.len)
		return WS_E_TOO_LARGE;

	zstd_src = io->raw.data;
	zstd_len = io->raw.len;
	if (io->mode == WS_WALZ_PLAIN)
	{
		*p++ = WZ_FORM_PLAIN;
		p += ws_varint_put(p, io->code.len);
		p += ws_varint_put(p, io->literal.len);
		p += ws_varint_put(p, io->raw.len);

		/*
		 * codes and literals lie in front of the raw bytes, with gaps in
		 * between
		 */
		zstd_src -= io->literal.len;
		memmove(zstd_src, io->literal.data, io->literal.len);
		zstd_src -= io->code.len;
		memmove(zstd_src, io->code.data, io->code.len);
		zstd_len += io->code.len + io->literal.len;
	}
	else if (io->raw.len == 0)
	{
		*p++ = WZ_FORM_RANGE;
		memcpy(p, io->code.data, io->code.len);
		p += io->code.len;
	}
	else
	{
		*p++ = WZ_FORM_RANGE_RAW;
		p += ws_varint_put(p, io->code.len);
		p += ws_varint_put(p, io->raw.len);
		memcpy(p, io->code.data, io->code.len);
		p += io->code.len;
	}

	*dst_len = 0;
	status = WS_OK;
	if (zstd_len > 0)
		status = ws_codec_zstd.encode(walz->zstd, InvalidXLogRecPtr,
									  zstd_src, zstd_len,
									  p, dst_size - (p - dst), dst_len);
	*dst_len += p - dst;
	return status;
}

WsStatus
ws_walz_encode(WsWalz *walz, const uint8 *src, size_t src_len,
			   uint8 *dst, size_t dst_size, size_t *dst_len)
{
	uint8	   *p = dst;
	uint8	   *end = dst + dst_size;

	while (src_len > 0)
	{
		bool		last = !walz->known || src_len <= walz->piece_max;
		size_t		n = last ? src_len : walz->piece_max;
		size_t		room = last ? 0 : 5;
		size_t		len;
		WsStatus	status;

		if ((size_t) (end - p) < WZ_PIECE_HEADER_MAX + WZ_SLACK)
			return WS_E_TOO_LARGE;
		status = encode_piece(walz, src, n, p + room, end - p - room, &len);
		if (status != WS_OK)
			return status;
		if (!last)
		{
			/* the length goes in front of the piece */
			size_t		size = ws_varint_put(p, len);

			memmove(p + size, p + room, len);
			p += size;
		}
		p += len;
		src += n;
		src_len -= n;
	}
	*dst_len = p - dst;
	return WS_OK;
}
