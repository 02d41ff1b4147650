/*-------------------------------------------------------------------------
 *
 * messages.c
 *	  Lists of CopyData messages, and a stream's way through an encoder and a
 *	  decoder.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "messages.h"
#include "tap.h"
#include "testdata.h"

WsCodecParams
stream_params(bool logical, uint32 segment_size)
{
	WsCodecParams params = {
		.logical = logical,
		.wal_block_size = 8192,
		.wal_segment_size = segment_size,
		.wal_page_magic = 0xd110
	};

	return params;
}

WsAccept
accept_all(void)
{
	WsAccept	accept = {.version = WS_PROTOCOL_VERSION};

	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		if (ws_codec_by_id(id))
			accept.codecs[accept.count++] = (WsCodecId) id;
	}
	return accept;
}

uint32
pick(uint64 *seed, uint32 bound)
{
	uint64		number;

	fill_random((uint8 *) &number, sizeof(number), (*seed)++);
	return (uint32) (number % bound);
}

static uint8 *
append(Messages *messages, size_t len)
{
	Message    *message;

	if (messages->count == messages->allocated)
	{
		messages->allocated = messages->allocated * 2 + 16;
		messages->items = realloc(messages->items,
								  messages->allocated * sizeof(Message));
		if (messages->items == NULL)
			abort();
	}
	message = &messages->items[messages->count++];
	message->len = len;
	message->bytes = malloc(len);
	if (message->bytes == NULL && len > 0)
		abort();
	return message->bytes;
}

void
add_message(Messages *messages, const uint8 *bytes, size_t len)
{
	uint8	   *copy = append(messages, len);

	if (len > 0)
		memcpy(copy, bytes, len);
}

void
add_stock(Messages *messages, XLogRecPtr start_lsn, XLogRecPtr wal_end,
		  int64 send_time, const uint8 *body, size_t len)
{
	WsStockHeader header = {start_lsn, wal_end, send_time};
	uint8	   *message = append(messages, WS_STOCK_HEADER + len);

	ws_stock_header_encode(&header, message);
	if (len > 0)
		memcpy(message + WS_STOCK_HEADER, body, len);
}

void
add_keepalive(Messages *messages, XLogRecPtr wal_end)
{
	uint8	   *message = append(messages, 18);

	memset(message, 0, 18);
	message[0] = 'k';
	for (int i = 0; i < 8; i++)
		message[1 + i] = (uint8) (wal_end >> (56 - 8 * i));
}

void
add_text(Messages *messages, const char *text)
{
	add_message(messages, (const uint8 *) text, strlen(text));
}

void
clear_messages(Messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		free(messages->items[i].bytes);
	free(messages->items);
	memset(messages, 0, sizeof(*messages));
}

void
take_encoded(WsEncoder *encoder, Messages *out)
{
	const uint8 *bytes;
	size_t		len;

	while (ws_encoder_next(encoder, &bytes, &len))
		add_message(out, bytes, len);
}

void
take_decoded(WsDecoder *decoder, Messages *out)
{
	const uint8 *bytes;
	size_t		len;

	while (ws_decoder_next(decoder, &bytes, &len))
		add_message(out, bytes, len);
}

void
encode_message(WsEncoder *encoder, const Message *message, int64 now_us,
			   Messages *out)
{
	ws_encoder_put(encoder, message->bytes, message->len, now_us);
	take_encoded(encoder, out);
}

WsStatus
decode_message(WsDecoder *decoder, const Message *message, Messages *out)
{
	WsStatus	status = ws_decoder_put(decoder, message->bytes, message->len);

	take_decoded(decoder, out);
	return status;
}

void
encode_messages(WsEncoder *encoder, const Messages *in, Messages *out)
{
	take_encoded(encoder, out);
	for (size_t i = 0; i < in->count; i++)
		encode_message(encoder, &in->items[i], 0, out);
	ws_encoder_flush(encoder);
	take_encoded(encoder, out);
}

WsStatus
decode_messages(WsDecoder *decoder, const Messages *in, Messages *out)
{
	WsStatus	status = WS_OK;

	for (size_t i = 0; i < in->count && status == WS_OK; i++)
		status = decode_message(decoder, &in->items[i], out);
	return status;
}

bool
same_message(const Message *a, const Message *b)
{
	return a->len == b->len &&
		(a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}

bool
same_messages(const Messages *a, const Messages *b)
{
	if (a->count != b->count)
	{
		diag("%zu messages, not %zu", b->count, a->count);
		return false;
	}
	for (size_t i = 0; i < a->count; i++)
	{
		if (!same_message(&a->items[i], &b->items[i]))
		{
			diag("message %zu of %zu differs", i, a->count);
			return false;
		}
	}
	return true;
}

/* Returns true if a message may be cut here, this long after it started. */
static bool
may_cut(XLogRecPtr start_lsn, XLogRecPtr end_lsn, const WsCodecParams *stream)
{
	uint32		block_size = stream->wal_block_size;

	return end_lsn % stream->wal_segment_size == 0 ||
		(end_lsn % block_size == 0 && end_lsn - start_lsn > 15 * block_size);
}

/*
 * Check the pieces of one 'w' message, which begin at *out.  Returns their
 * number, 0 if they are wrong.
 */
static size_t
count_pieces(const Message *message, const Message *out, size_t out_count,
			 const WsCodecParams *stream)
{
	WsStockHeader stock;
	size_t		done = 0;
	size_t		pieces = 0;

	ws_stock_header_decode(message->bytes, &stock);
	while (done < message->len - WS_STOCK_HEADER)
	{
		size_t		left = message->len - WS_STOCK_HEADER - done;
		const Message *piece = &out[pieces];
		WsStockHeader header;
		size_t		len;

		if (pieces == out_count || piece->len <= WS_STOCK_HEADER ||
			piece->bytes[0] != WS_STOCK_TYPE)
			return 0;
		len = piece->len - WS_STOCK_HEADER;
		ws_stock_header_decode(piece->bytes, &header);
		if (header.start_lsn != stock.start_lsn + done ||
			header.wal_end != stock.wal_end ||
			header.send_time != stock.send_time ||
			len > left ||
			memcmp(piece->bytes + WS_STOCK_HEADER,
				   message->bytes + WS_STOCK_HEADER + done, len) != 0)
			return 0;
		if (len < left &&
			!may_cut(header.start_lsn, header.start_lsn + len, stream))
			return 0;
		done += len;
		pieces++;
	}
	return pieces;
}

bool
same_stream(const Messages *in, const Messages *out,
			const WsCodecParams *stream)
{
	size_t		pos = 0;

	for (size_t i = 0; i < in->count; i++)
	{
		const Message *message = &in->items[i];
		size_t		taken;

		if (message->len > WS_STOCK_HEADER &&
			message->bytes[0] == WS_STOCK_TYPE)
			taken = count_pieces(message, out->items + pos, out->count - pos,
								 stream);
		else
			taken = pos < out->count && same_message(message, &out->items[pos]);
		if (taken == 0)
		{
			diag("message %zu of %zu did not come back", i, in->count);
			return false;
		}
		pos += taken;
	}
	if (pos < out->count)
		diag("%zu messages too many", out->count - pos);
	return pos == out->count;
}

size_t
count_type(const Messages *messages, uint8 type)
{
	size_t		count = 0;

	for (size_t i = 0; i < messages->count; i++)
		count += messages->items[i].len > 0 && messages->items[i].bytes[0] == type;
	return count;
}
