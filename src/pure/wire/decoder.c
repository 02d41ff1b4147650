/*-------------------------------------------------------------------------
 *
 * decoder.c
 *	  The receiving half of a stream: turns frames into stock CopyData
 *	  messages.
 *
 * "put" does everything that can fail, including the comparison of the check
 * value, so that no byte of a bad frame is handed out; "next" only hands out.
 * Memory is one buffer for the largest decoded frame, and the codec's.
 *
 * Whatever comes in, a decoder must never hand out a byte that the sender's
 * server did not send, nor leave one out.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/segment.h"
#include "pure/wire/decoder.h"

struct WsDecoder
{
	WsCodecParams stream;
	WsAccept	asked;

	/*
	 * Room for a stock header, then the max_decoded bytes that a frame may
	 * decode to, then a zero.  A batch's rows become stock messages in place:
	 * each row's header is written so that it ends where the body begins,
	 * over bytes that have been handed out.
	 *
	 * Readers of a message may rely on a zero after it, as after libpq's
	 * messages.  After a row the zero replaces the first byte of the next
	 * row, which is kept in "covered" while the row is out.
	 */
	uint8	   *buf;
	uint32		max_decoded;
	uint8		covered;

	/* codec and codec_state are both NULL or both set. */
	const WsCodec *codec;
	void	   *codec_state;

	/* State of the stream. */
	bool		failed;
	WsPeerKind	peer;
	WsHello		hello;			/* the last one, if peer is WS_PEER_WALSTREAM */
	bool		hello_is_new;	/* no data has come since */
	WsCodecId	frame_codec;	/* codec of the last frame, or of a hello
								 * after it */
	uint64		frame_number;	/* of the next frame */
	bool		has_history;	/* the next frame need not restart */
	int64		send_time;		/* of the last physical frame */
	WsRowBase	row_base;		/* after the last row handed out */
	bool		has_position;
	XLogRecPtr	position;

	/*
	 * What "next" will hand out: a message, if not NULL; rows, until pos is
	 * at end.
	 */
	const uint8 *message;
	size_t		message_len;
	const uint8 *rows_pos;		/* both point into buf */
	const uint8 *rows_end;

	WsStreamCounts counts;
};

WsDecoder *
ws_decoder_new(const WsCodecParams *stream, const WsAccept *asked)
{
	WsDecoder  *decoder = calloc(1, sizeof(WsDecoder));

	if (decoder == NULL)
		return NULL;
	decoder->stream = *stream;
	decoder->asked = *asked;
	decoder->max_decoded = stream->logical ? WS_BATCH_MAX_DECODED :
		stream->wal_block_size * WS_FRAME_MAX_BLOCKS;
	decoder->buf = malloc(WS_STOCK_HEADER + (size_t) decoder->max_decoded + 1);
	if (decoder->buf == NULL)
	{
		free(decoder);
		return NULL;
	}
	ws_decoder_begin(decoder);
	return decoder;
}

void
ws_decoder_free(WsDecoder *decoder)
{
	if (decoder == NULL)
		return;
	if (decoder->codec)
		decoder->codec->decoder_free(decoder->codec_state);
	free(decoder->buf);
	free(decoder);
}

void
ws_decoder_begin(WsDecoder *decoder)
{
	decoder->failed = false;
	decoder->peer = WS_PEER_UNKNOWN;
	decoder->hello_is_new = false;
	decoder->frame_codec = WS_CODEC_NONE;
	decoder->frame_number = 0;
	decoder->has_history = false;
	decoder->send_time = 0;
	decoder->has_position = false;
	decoder->position = InvalidXLogRecPtr;
	decoder->message = NULL;
	decoder->rows_pos = decoder->rows_end = NULL;
}

static bool
is_one_bit_off(uint8 type, uint8 expected)
{
	uint8		difference = type ^ expected;

	return difference != 0 && (difference & (difference - 1)) == 0;
}

static bool
was_asked_for(const WsDecoder *decoder, WsCodecId id)
{
	for (int i = 0; i < decoder->asked.count; i++)
	{
		if (decoder->asked.codecs[i] == id)
			return true;
	}
	return false;
}

static WsStatus
take_hello(WsDecoder *decoder, const uint8 *message, size_t len)
{
	WsHello		hello;
	WsStatus	status = ws_hello_decode(message, len, &hello);

	if (status != WS_OK)
		return status;

	/*
	 * A hello hands out nothing, so an endless row of them would hold up the
	 * caller.
	 */
	if (decoder->hello_is_new)
		return WS_E_UNEXPECTED;
	if (hello.codec != WS_CODEC_NONE &&
		(!was_asked_for(decoder, hello.codec) ||
		 (decoder->stream.logical && !ws_codec_by_id(hello.codec)->logical)))
		return WS_E_UNEXPECTED;
	if (hello.stream.logical != decoder->stream.logical)
		return WS_E_UNEXPECTED;

	/* A logical stream contains no WAL, so the layout does not matter. */
	if (!hello.stream.logical &&
		(hello.stream.wal_block_size != decoder->stream.wal_block_size ||
		 hello.stream.wal_segment_size != decoder->stream.wal_segment_size ||
		 hello.stream.wal_page_magic != decoder->stream.wal_page_magic))
		return WS_E_UNEXPECTED;

	decoder->peer = WS_PEER_WALSTREAM;
	decoder->hello = hello;
	decoder->frame_codec = hello.codec;
	decoder->hello_is_new = true;
	decoder->has_history = false;
	return WS_OK;
}

/* Hand out a message as it came. */
static void
pass_message(WsDecoder *decoder, const uint8 *message, size_t len)
{
	decoder->message = message;
	decoder->message_len = len;

	if (len > 0 && message[0] == WS_STOCK_TYPE)
	{
		decoder->counts.raw_bytes += WS_COPYDATA_HEADER + len;
		decoder->counts.wire_bytes += WS_COPYDATA_HEADER + len;
		decoder->counts.messages++;
		decoder->counts.bypassed++;
	}
}

/*
 * Note the position of a 'w' message that is not empty.  With a walstream peer
 * the position must be in order; with a stock peer it is only recorded.
 */
static WsStatus
take_stock_data(WsDecoder *decoder, const uint8 *message, size_t len)
{
	WsStockHeader stock;

	ws_stock_header_decode(message, &stock);
	decoder->hello_is_new = false;
	if (decoder->stream.logical)
	{
		if (stock.start_lsn != InvalidXLogRecPtr)
			decoder->position = stock.start_lsn;
		return WS_OK;
	}

	len -= WS_STOCK_HEADER;
	if (decoder->peer == WS_PEER_WALSTREAM &&
		((decoder->has_position && stock.start_lsn != decoder->position) ||
		 stock.start_lsn + len < stock.start_lsn))
		return WS_E_POSITION;

	decoder->position = stock.start_lsn + len;
	decoder->has_position = true;
	decoder->has_history = false;
	return WS_OK;
}

/*
 * Check that this frame may be where it is, by the rules in frame.h and
 * decoder.h.  Sets *start_lsn for a physical frame.
 */
static WsStatus
check_frame(const WsDecoder *decoder, const WsFrameHeader *header,
			XLogRecPtr *start_lsn)
{
	uint32		segment_size = decoder->stream.wal_segment_size;

	*start_lsn = decoder->position;

	if (header->codec != WS_CODEC_NONE && header->codec != decoder->hello.codec)
		return WS_E_UNEXPECTED;
	if (header->batch != decoder->stream.logical)
		return WS_E_UNEXPECTED;
	if (header->raw_len == 0)
		return WS_E_LENGTH;
	if (header->raw_len > decoder->max_decoded)
		return WS_E_TOO_LARGE;

	if (!header->restart &&
		(decoder->frame_number == 0 ||
		 (header->codec != WS_CODEC_NONE && !decoder->has_history)))
		return WS_E_UNEXPECTED;

	if (header->batch)
		return WS_OK;

	if (header->restart)
	{
		if (decoder->has_position && header->start_lsn != decoder->position)
			return WS_E_POSITION;
		*start_lsn = header->start_lsn;
	}
	else if (ws_segment_offset(*start_lsn, segment_size) == 0)
		return WS_E_UNEXPECTED;

	if (*start_lsn + header->raw_len < *start_lsn)
		return WS_E_POSITION;
	if (ws_segment_offset(*start_lsn, segment_size) + header->raw_len > segment_size)
		return WS_E_TOO_LARGE;
	return WS_OK;
}

/* Decode the encoded bytes into their place in buf. */
static WsStatus
decode_bytes(WsDecoder *decoder, const WsFrameHeader *header,
			 XLogRecPtr start_lsn, const uint8 *encoded, size_t encoded_len)
{
	uint8	   *raw = decoder->buf + WS_STOCK_HEADER;
	const WsCodec *codec;
	WsStatus	status;

	if (header->codec == WS_CODEC_NONE)
	{
		if (encoded_len != header->raw_len)
			return WS_E_LENGTH;
		memcpy(raw, encoded, encoded_len);
		return WS_OK;
	}

	codec = ws_codec_by_id(header->codec);
	if (codec != decoder->codec)
	{
		if (decoder->codec)
			decoder->codec->decoder_free(decoder->codec_state);
		decoder->codec = NULL;
		decoder->codec_state = codec->decoder_new(&decoder->stream);
		if (decoder->codec_state == NULL)
			return WS_E_MEMORY;
		decoder->codec = codec;
	}

	if (header->restart)
	{
		status = codec->decoder_restart(decoder->codec_state);
		if (status != WS_OK)
			return status;
	}
	return codec->decode(decoder->codec_state, start_lsn, encoded, encoded_len,
						 raw, header->raw_len);
}

/*
 * Walk through a decoded batch and add its rows to counts and *crc.
 */
static WsStatus
check_rows(const WsDecoder *decoder, WsRowBase base, uint32 len,
		   WsStreamCounts *counts, pg_crc32c *crc)
{
	const uint8 *pos = decoder->buf + WS_STOCK_HEADER;
	const uint8 *end = pos + len;

	while (pos < end)
	{
		WsStockHeader stock;
		uint8		stock_header[WS_STOCK_HEADER];
		uint32		body_len;
		WsStatus	status;

		status = ws_frame_row_decode(&base, &pos, end, &stock, &body_len);
		if (status != WS_OK)
			return status;
		ws_stock_header_encode(&stock, stock_header);
		*crc = ws_frame_row_crc(*crc, stock_header, pos, body_len);
		pos += body_len;

		counts->messages++;
		counts->raw_bytes += WS_COPYDATA_HEADER + WS_STOCK_HEADER + body_len;
	}
	return WS_OK;
}

/* Let "next" hand out a physical frame's WAL, after its stock header. */
static void
hand_out_wal(WsDecoder *decoder, const WsFrameHeader *header,
			 XLogRecPtr start_lsn)
{
	WsStockHeader stock;

	stock.start_lsn = start_lsn;
	stock.wal_end = start_lsn + header->raw_len + (uint64) header->wal_end_delta;
	stock.send_time = (int64) ((uint64) decoder->send_time +
							   (uint64) header->send_time_delta);
	ws_stock_header_encode(&stock, decoder->buf);
	decoder->buf[WS_STOCK_HEADER + header->raw_len] = 0;

	decoder->message = decoder->buf;
	decoder->message_len = WS_STOCK_HEADER + header->raw_len;
	decoder->send_time = stock.send_time;
	decoder->position = start_lsn + header->raw_len;
	decoder->has_position = true;
}

static WsStatus
take_frame(WsDecoder *decoder, const uint8 *message, size_t len)
{
	const uint8 *raw = decoder->buf + WS_STOCK_HEADER;
	WsFrameHeader header;
	size_t		header_len;
	XLogRecPtr	start_lsn;
	WsRowBase	row_base = decoder->row_base;
	WsStreamCounts counts = decoder->counts;
	pg_crc32c	crc;
	WsStatus	status;

	status = ws_frame_header_decode(message, len, &header, &header_len);
	if (status != WS_OK)
		return status;
	decoder->frame_codec = header.codec;

	status = check_frame(decoder, &header, &start_lsn);
	decoder->position = start_lsn;
	if (status == WS_OK)
		status = decode_bytes(decoder, &header, start_lsn,
							  message + header_len, len - header_len);
	if (status != WS_OK)
		return status;

	if (header.batch)
	{
		if (header.restart)
			memset(&row_base, 0, sizeof(row_base));
		INIT_CRC32C(crc);
		status = check_rows(decoder, row_base, header.raw_len, &counts, &crc);
		if (status != WS_OK)
			return status;
	}
	else
	{
		crc = ws_frame_content_crc(start_lsn, raw, header.raw_len);
		counts.messages++;
		counts.raw_bytes += WS_COPYDATA_HEADER + WS_STOCK_HEADER + header.raw_len;
	}

	if (!ws_frame_verify(message, len, &header, header_len,
						 decoder->frame_number, crc))
		return WS_E_CHECK;

	/* Accept the frame, of which everything has been checked. */
	counts.frames++;
	counts.wire_bytes += WS_COPYDATA_HEADER + len;
	if (header.codec == WS_CODEC_NONE)
		counts.bypassed += counts.messages - decoder->counts.messages;
	decoder->counts = counts;
	decoder->frame_number++;
	decoder->hello_is_new = false;
	decoder->has_history = header.codec != WS_CODEC_NONE;
	if (header.batch)
	{
		decoder->row_base = row_base;
		decoder->rows_pos = raw;
		decoder->rows_end = raw + header.raw_len;
		decoder->covered = raw[0];
	}
	else
		hand_out_wal(decoder, &header, start_lsn);
	return WS_OK;
}

static WsStatus
take_message(WsDecoder *decoder, const uint8 *message, size_t len)
{
	uint8		type = len > 0 ? message[0] : 0;
	WsStatus	status;

	/* The bytes not taken yet would be lost. */
	if (decoder->message || decoder->rows_pos < decoder->rows_end)
		return WS_E_UNEXPECTED;

	if (decoder->peer == WS_PEER_UNKNOWN)
	{
		if (type == WS_HELLO_TYPE)
			return take_hello(decoder, message, len);
		if (is_one_bit_off(type, WS_HELLO_TYPE))
			return WS_E_MALFORMED;
		decoder->peer = WS_PEER_STOCK;
	}
	else if (decoder->peer == WS_PEER_WALSTREAM)
	{
		if (type == WS_FRAME_TYPE)
			return take_frame(decoder, message, len);
		if (type == WS_HELLO_TYPE)
			return take_hello(decoder, message, len);
		if (is_one_bit_off(type, WS_FRAME_TYPE))
			return WS_E_MALFORMED;
	}

	/* A hello must have been lost; an apply worker would ignore the frame. */
	if (type == WS_FRAME_TYPE)
		return WS_E_UNEXPECTED;

	if (type == WS_STOCK_TYPE && len > WS_STOCK_HEADER)
	{
		status = take_stock_data(decoder, message, len);
		if (status != WS_OK)
			return status;
	}
	pass_message(decoder, message, len);
	return WS_OK;
}

WsStatus
ws_decoder_put(WsDecoder *decoder, const uint8 *message, size_t len)
{
	WsStatus	status;

	if (decoder->failed)
		return WS_E_FAILED;

	status = take_message(decoder, message, len);
	if (status != WS_OK)
	{
		decoder->failed = true;
		decoder->message = NULL;
		decoder->rows_pos = decoder->rows_end;
	}
	return status;
}

bool
ws_decoder_next(WsDecoder *decoder, const uint8 **out, size_t *out_len)
{
	WsStockHeader stock;
	uint32		body_len;
	uint8	   *body;

	if (decoder->message)
	{
		*out = decoder->message;
		*out_len = decoder->message_len;
		decoder->message = NULL;
		return true;
	}

	if (decoder->rows_pos == decoder->rows_end)
		return false;

	/* "put" has walked through all rows, so this one is valid */
	decoder->buf[decoder->rows_pos - decoder->buf] = decoder->covered;
	if (ws_frame_row_decode(&decoder->row_base, &decoder->rows_pos,
							decoder->rows_end, &stock, &body_len) != WS_OK)
	{
		decoder->failed = true;
		decoder->rows_pos = decoder->rows_end;
		return false;
	}
	body = decoder->buf + (decoder->rows_pos - decoder->buf);
	ws_stock_header_encode(&stock, body - WS_STOCK_HEADER);
	decoder->rows_pos += body_len;
	decoder->covered = body[body_len];
	body[body_len] = 0;
	if (stock.start_lsn != InvalidXLogRecPtr)
		decoder->position = stock.start_lsn;

	*out = body - WS_STOCK_HEADER;
	*out_len = WS_STOCK_HEADER + body_len;
	return true;
}

WsPeerKind
ws_decoder_peer(const WsDecoder *decoder)
{
	return decoder->peer;
}

const WsHello *
ws_decoder_hello(const WsDecoder *decoder)
{
	return decoder->peer == WS_PEER_WALSTREAM ? &decoder->hello : NULL;
}

XLogRecPtr
ws_decoder_position(const WsDecoder *decoder)
{
	return decoder->position;
}

WsCodecId
ws_decoder_codec(const WsDecoder *decoder)
{
	return decoder->frame_codec;
}

const WsStreamCounts *
ws_decoder_counts(const WsDecoder *decoder)
{
	return &decoder->counts;
}
