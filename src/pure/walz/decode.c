/*-------------------------------------------------------------------------
 *
 * decode.c
 *	  The receiving half of walz: see walz/piece.h.
 *
 * Nothing in the input is trusted.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/varint.h"
#include "pure/walz/piece.h"

/* Decode a raw run; *pos of dst_len bytes are done. */
static bool
take_raw(WsWalz *walz, uint8 *dst, size_t dst_len, size_t *pos)
{
	WsWalzStream *raw = &walz->io.raw;
	size_t		n = Min(raw->len - raw->pos, dst_len - *pos);

	if (n == 0)
		return false;
	n = ws_walz_cursor_feed(&walz->cursor, raw->data + raw->pos, n);
	ws_walz_raw(&walz->io, dst + *pos, n);
	*pos += n;
	return true;
}

/* Build the record in scratch and write it out. */
static bool
write_record(WsWalz *walz, uint8 *dst, size_t dst_len, size_t *pos)
{
	const WsWalzRecord *record = &walz->record;
	uint8	   *p = walz->scratch;
	size_t		len;
	size_t		span;

	len = ws_walz_record_header(record, p);
	p += len;
	len += record->main_len;
	for (int i = 0; i < record->nblocks; i++)
		len += record->blocks[i].image_len + record->blocks[i].data_len;
	if (len > dst_len - *pos)
		return false;
	span = ws_walz_cursor_span(&walz->cursor, len);
	if (span == 0 || span > dst_len - *pos)
		return false;

	for (int i = 0; i < record->nblocks; i++)
	{
		const WsWalzBlock *block = &record->blocks[i];

		if (block->image_len > 0)
			memcpy(p, block->image, block->image_len);
		p += block->image_len;
		memcpy(p, block->data, block->data_len);
		p += block->data_len;
	}
	memcpy(p, record->main, record->main_len);
	ws_walz_cursor_lay(&walz->cursor, walz->scratch, len, dst + *pos);
	*pos += ws_walz_cursor_pass(&walz->cursor, len);
	return true;
}

/* Run the model over the streams, which have been set up. */
static WsStatus
unmodel_piece(WsWalz *walz, uint8 *dst, size_t dst_len)
{
	WsWalzIo   *io = &walz->io;
	size_t		pos = 0;

	ws_walz_io_begin(io);
	while (pos < dst_len)
	{
		bool		part = false;

		if (walz->cursor.state == WZ_READY)
		{
			uint8		op = ws_walz_model_op(walz->model, io, NULL, WZ_OP_RAW);

			part = op == WZ_OP_PART;
			walz->part.record_lsn = InvalidXLogRecPtr;
			if (op < WZ_OP_RAW)
			{
				ws_walz_model_record(walz->model, io, op, &walz->record);
				if (io->failed)
					return WS_E_CODEC;
				if (!write_record(walz, dst, dst_len, &pos))
					return WS_E_LENGTH;
				continue;
			}
		}
		else
			part = ws_walz_part_goes_on(&walz->part, &walz->cursor);
		if (part)
		{
			size_t		n = ws_walz_part_decode(&walz->part, walz->model, io,
												&walz->cursor, dst + pos,
												dst_len - pos, walz->scratch);

			pos += n;
			if (n > 0)
				continue;
		}
		if (io->failed)
			return WS_E_CODEC;
		if (!take_raw(walz, dst, dst_len, &pos))
			return WS_E_LENGTH;
	}
	if (io->raw.pos != io->raw.len || io->code.pos != io->code.len ||
		io->literal.pos != io->literal.len)
		return WS_E_LENGTH;
	return WS_OK;
}

/* Read the length of a stream, which must fit into the room that is left. */
static bool
get_length(const uint8 **p, const uint8 *end, size_t *room, size_t *len)
{
	uint64		v;

	if (!ws_varint_get(p, end, &v) || v > *room)
		return false;
	*len = (size_t) v;
	*room -= *len;
	return true;
}

static WsStatus
decode_zstd_piece(WsWalz *walz, const uint8 *src, size_t src_len,
				  uint8 *dst, size_t dst_len)
{
	WsStatus	status;

	ws_walz_forget(walz);
	status = ws_codec_zstd.decode(walz->zstd, InvalidXLogRecPtr, src, src_len,
								  dst, dst_len);
	if (status != WS_OK || !walz->known)
		return status;
	for (size_t pos = 0; pos < dst_len;)
		pos += ws_walz_cursor_feed(&walz->cursor, dst + pos, dst_len - pos);
	return WS_OK;
}

static WsStatus
decode_piece(WsWalz *walz, const uint8 *src, size_t src_len,
			 uint8 *dst, size_t dst_len)
{
	WsWalzIo   *io = &walz->io;
	const uint8 *end = src + src_len;
	size_t		room;
	size_t		code_len = 0;
	size_t		literal_len = 0;
	size_t		raw_len = 0;
	uint8		form;

	if (src_len == 0)
		return WS_E_LENGTH;
	form = *src++;
	if (form == WZ_FORM_ZSTD)
		return decode_zstd_piece(walz, src, end - src, dst, dst_len);
	if (form > WZ_FORM_RANGE_RAW || !walz->known)
		return WS_E_CODEC;

	room = Min(ws_walz_stream_size(walz), dst_len + WZ_SLACK);
	io->mode = form == WZ_FORM_PLAIN ? WS_WALZ_PLAIN : WS_WALZ_RANGE;
	if (form == WZ_FORM_RANGE)
	{
		ws_walz_set_stream(&io->code, unconstify(uint8 *, src), end - src, end - src);
		src = end;
	}
	else
	{
		if (!get_length(&src, end, &room, &code_len) ||
			(form == WZ_FORM_PLAIN && !get_length(&src, end, &room, &literal_len)) ||
			!get_length(&src, end, &room, &raw_len))
			return WS_E_LENGTH;
		if (form == WZ_FORM_RANGE_RAW)
		{
			if (code_len > (size_t) (end - src))
				return WS_E_LENGTH;
			ws_walz_set_stream(&io->code, unconstify(uint8 *, src), code_len, code_len);
			src += code_len;
			code_len = 0;
		}
		else
			ws_walz_set_stream(&io->code, walz->streams, code_len, code_len);
	}
	ws_walz_set_stream(&io->literal, walz->streams + code_len, literal_len, literal_len);
	ws_walz_set_stream(&io->raw, walz->streams + code_len + literal_len, raw_len, raw_len);

	if (code_len + literal_len + raw_len > 0)
	{
		WsStatus	status;

		status = ws_codec_zstd.decode(walz->zstd, InvalidXLogRecPtr,
									  src, end - src, walz->streams,
									  code_len + literal_len + raw_len);
		if (status != WS_OK)
			return status;
	}
	else if (src != end)
		return WS_E_LENGTH;
	return unmodel_piece(walz, dst, dst_len);
}

WsStatus
ws_walz_decode(WsWalz *walz, const uint8 *src, size_t src_len,
			   uint8 *dst, size_t dst_len)
{
	const uint8 *end = src + src_len;

	while (walz->known && dst_len > walz->piece_max)
	{
		uint64		len;
		WsStatus	status;

		if (!ws_varint_get(&src, end, &len) || len > (size_t) (end - src))
			return WS_E_LENGTH;
		status = decode_piece(walz, src, (size_t) len, dst, walz->piece_max);

		/* only the announced length tells that there is more than one piece */
		if (status == WS_E_CODEC)
			status = WS_E_LENGTH;
		if (status != WS_OK)
			return status;
		src += len;
		dst += walz->piece_max;
		dst_len -= walz->piece_max;
	}
	return decode_piece(walz, src, end - src, dst, dst_len);
}
