/*-------------------------------------------------------------------------
 *
 * encoder.c
 *	  The sending half of a stream: turns stock CopyData messages into frames.
 *
 * "put" only remembers the message.  "next" does the work and returns one
 * message per call, so that the order of batch, hello and the message itself
 * is decided in one place.  A stock message is read in place.  An encoder's
 * memory is one buffer for the output, one for the batch in a logical stream,
 * and the codec's.
 *
 * An encoder must never change or drop a byte and must never fail: a message
 * that it cannot code goes out unchanged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/backoff.h"
#include "pure/segment.h"
#include "pure/wire/batch.h"
#include "pure/wire/encoder.h"

struct WsEncoder
{
	WsCodecParams stream;		/* with the level of codec_state */

	/*
	 * The output: WS_FRAME_HEADER_MAX bytes of room for a header, which is
	 * written at the end of that room, then the encoded bytes.
	 */
	uint8	   *out;
	size_t		out_size;		/* without the room for the header */
	uint8		hello[WS_HELLO_SIZE];

	/* The codec in use. codec and codec_state are both NULL or both set. */
	WsCodecSpec spec;
	WsNoCodecReason reason;
	const WsCodec *codec;
	void	   *codec_state;
	bool		history_lost;	/* must be restarted before its next use */
	WsBackoff	backoff;

	/* The codec to use from the next segment boundary on, if change_due. */
	bool		change_due;
	WsCodecSpec next_spec;
	WsNoCodecReason next_reason;

	/* State of the stream. */
	bool		hello_due;
	uint64		frame_number;	/* of the next frame */
	int64		send_time;		/* of the last physical frame */
	XLogRecPtr	position;		/* physical: end of what was last sent */
	bool		has_segment;
	uint64		segment;		/* segment of the last piece or row */

	/* The message handed in; NULL after it has come out completely. */
	const uint8 *message;
	size_t		len;
	size_t		done;			/* bytes of its WAL that have come out */
	bool		is_data;		/* has a stock header and bytes behind it */
	bool		counted_bypassed;
	WsStockHeader stock;		/* only if is_data */
	int64		now_us;

	/* Logical only. */
	WsBatch		batch;
	bool		batch_due;		/* and there is one */

	WsStreamCounts counts;
};

/*
 * Code with spec from here on, and announce that in a hello.  If codec and
 * level stay the same, the codec's object is kept.
 */
static WsStatus
use_codec(WsEncoder *encoder, WsCodecSpec spec, WsNoCodecReason reason)
{
	const WsCodec *codec = ws_codec_by_id(spec.id);
	WsStatus	status = WS_OK;

	if (spec.id != WS_CODEC_NONE &&
		(codec == NULL || (encoder->stream.logical && !codec->logical)))
	{
		codec = NULL;
		reason = WS_REASON_NO_COMMON_CODEC;
		status = WS_E_UNEXPECTED;
	}

	if (codec != encoder->codec || spec.level != encoder->stream.level)
	{
		ws_codec_encoder_free(encoder->codec_state);
		encoder->codec = NULL;
		encoder->codec_state = NULL;
		encoder->stream.level = spec.level;

		if (codec)
		{
			encoder->codec_state = ws_codec_encoder_new(codec, &encoder->stream);
			if (encoder->codec_state)
				encoder->codec = codec;
			else
			{
				reason = WS_REASON_MEMORY;
				status = WS_E_MEMORY;
			}
		}
	}

	if (encoder->codec == NULL)
	{
		spec.id = WS_CODEC_NONE;
		spec.level = 0;
	}
	encoder->spec = spec;
	encoder->reason = encoder->codec ? WS_REASON_NONE : reason;
	encoder->history_lost = true;
	ws_backoff_reset(&encoder->backoff);
	encoder->hello_due = true;
	return status;
}

/*
 * Note the start of the next piece or row.  If it is in another segment, a
 * pending change takes effect.
 */
static void
enter_segment(WsEncoder *encoder, XLogRecPtr start_lsn)
{
	uint64		segment = ws_segment_number(start_lsn, encoder->stream.wal_segment_size);

	if (encoder->change_due && encoder->has_segment &&
		encoder->segment != segment)
	{
		encoder->change_due = false;
		(void) use_codec(encoder, encoder->next_spec, encoder->next_reason);
	}
	encoder->segment = segment;
	encoder->has_segment = true;
}

static void
give_hello(WsEncoder *encoder, const uint8 **out, size_t *out_len)
{
	const WsCodec *codec = ws_codec_by_id(encoder->spec.id);
	WsHello		hello = {0};

	hello.version = WS_PROTOCOL_VERSION;
	hello.codec = encoder->spec.id;
	hello.reason = encoder->reason;
	hello.level = encoder->spec.level;
	if (codec != NULL && codec->window_log != NULL)
		hello.window_log = codec->window_log(hello.level);
	hello.stream = encoder->stream;

	ws_hello_encode(&hello, encoder->hello);
	encoder->hello_due = false;
	*out = encoder->hello;
	*out_len = WS_HELLO_SIZE;
}

/* Send the message unchanged. */
static void
give_message(WsEncoder *encoder, const uint8 **out, size_t *out_len)
{
	*out = encoder->message;
	*out_len = encoder->len;

	if (encoder->len > 0 && encoder->message[0] == WS_STOCK_TYPE)
	{
		encoder->counts.raw_bytes += WS_COPYDATA_HEADER + encoder->len;
		encoder->counts.wire_bytes += WS_COPYDATA_HEADER + encoder->len;
		encoder->counts.messages++;
		encoder->counts.bypassed++;
	}
	encoder->message = NULL;
}

/*
 * Encode into the buffer after the room for a header.  A failure of the codec
 * counts as bytes that do not shrink.
 */
static bool
try_codec(WsEncoder *encoder, XLogRecPtr start_lsn,
		  const uint8 *raw, size_t raw_len, size_t *encoded_len)
{
	WsStatus	status = WS_OK;
	bool		gave_up;

	if (encoder->history_lost)
		status = encoder->codec->encoder_restart(encoder->codec_state);
	if (status == WS_OK)
		status = encoder->codec->encode(encoder->codec_state, start_lsn,
										raw, raw_len,
										encoder->out + WS_FRAME_HEADER_MAX,
										encoder->out_size, encoded_len);
	if (status != WS_OK)
	{
		encoder->counts.codec_failures++;
		*encoded_len = raw_len;
	}
	gave_up = ws_backoff_judge(&encoder->backoff, raw_len, *encoded_len);

	/*
	 * A frame that did not shrink is worth its few extra bytes for the
	 * history that it provides, unless no later frame will use that history.
	 */
	return status == WS_OK && (*encoded_len < raw_len || !gave_up);
}

/*
 * Put raw_len bytes after the room for a header, encoded if that helps.
 * Returns the codec and sets *len.
 */
static WsCodecId
encode_bytes(WsEncoder *encoder, XLogRecPtr start_lsn,
			 const uint8 *raw, size_t raw_len, size_t *len)
{
	if (!ws_backoff_skip(&encoder->backoff, raw_len) &&
		try_codec(encoder, start_lsn, raw, raw_len, len))
	{
		encoder->history_lost = false;
		return encoder->codec->id;
	}

	memcpy(encoder->out + WS_FRAME_HEADER_MAX, raw, raw_len);
	*len = raw_len;
	encoder->history_lost = true;
	return WS_CODEC_NONE;
}

/* Put the header in front of the encoded bytes, which completes the output. */
static void
finish_frame(WsEncoder *encoder, const WsFrameHeader *header,
			 pg_crc32c content_crc, size_t encoded_len,
			 const uint8 **out, size_t *out_len)
{
	uint8		buf[WS_FRAME_HEADER_MAX];
	uint8	   *encoded = encoder->out + WS_FRAME_HEADER_MAX;
	size_t		header_len;

	header_len = ws_frame_header_encode(header, encoder->frame_number++,
										content_crc, encoded, encoded_len, buf);
	memcpy(encoded - header_len, buf, header_len);

	*out = encoded - header_len;
	*out_len = header_len + encoded_len;
	encoder->counts.frames++;
	encoder->counts.wire_bytes += WS_COPYDATA_HEADER + *out_len;
}

static void
give_batch(WsEncoder *encoder, const uint8 **out, size_t *out_len)
{
	WsBatch    *batch = &encoder->batch;
	WsFrameHeader header = {0};
	size_t		encoded_len;

	header.batch = true;
	header.restart = encoder->history_lost;
	header.raw_len = batch->len;
	header.codec = encode_bytes(encoder, InvalidXLogRecPtr,
								batch->buf, batch->len, &encoded_len);
	finish_frame(encoder, &header, batch->crc, encoded_len, out, out_len);

	encoder->counts.raw_bytes += batch->raw_bytes;
	encoder->counts.messages += batch->rows;
	if (header.codec == WS_CODEC_NONE)
		encoder->counts.bypassed += batch->rows;

	ws_batch_clear(batch);
	encoder->batch_due = false;
}

/*
 * Add a row of a logical stream to the batch, or make the batch or hello due
 * that must come out before it.  Returns true if the row is to go out
 * unchanged and nothing must come before it.
 */
static bool
take_row(WsEncoder *encoder)
{
	WsBatch    *batch = &encoder->batch;
	XLogRecPtr	start_lsn = encoder->stock.start_lsn;

	if (encoder->change_due && batch->rows > 0 &&
		start_lsn != InvalidXLogRecPtr &&
		ws_segment_number(start_lsn, encoder->stream.wal_segment_size) != encoder->segment)
	{
		encoder->batch_due = true;
		return false;
	}
	if (start_lsn != InvalidXLogRecPtr)
		enter_segment(encoder, start_lsn);
	if (encoder->hello_due)
		return false;

	if (encoder->codec == NULL || encoder->len > WS_BATCH_MAX_MESSAGE)
	{
		encoder->batch_due = batch->rows > 0;
		return !encoder->batch_due;
	}

	/*
	 * Nothing restarts while rows are collected, so history_lost does not
	 * change.
	 */
	if (!ws_batch_add(batch, encoder->message, encoder->len,
					  encoder->history_lost, encoder->now_us))
		encoder->batch_due = true;
	else
	{
		encoder->message = NULL;
		encoder->batch_due =
			encoder->now_us - batch->oldest_us >= WS_BATCH_AGE_US;
	}
	return false;
}

/*
 * Returns how much of the message's WAL goes into one frame: up to the
 * segment's end, or, if that is too much, to the last page boundary within the
 * limit.
 */
static uint32
measure_piece(const WsEncoder *encoder, XLogRecPtr start_lsn, size_t left)
{
	uint32		segment_size = encoder->stream.wal_segment_size;
	uint32		block_size = encoder->stream.wal_block_size;
	uint32		limit = block_size * WS_FRAME_MAX_BLOCKS;
	uint32		segment_left = segment_size - ws_segment_offset(start_lsn, segment_size);
	uint32		piece = Min(left, segment_left);

	if (piece > limit)
		piece = limit - (uint32) ((start_lsn + limit) % block_size);
	return piece;
}

/* Count a message of which a piece was not encoded, once. */
static void
count_bypassed(WsEncoder *encoder)
{
	if (!encoder->counted_bypassed)
		encoder->counts.bypassed++;
	encoder->counted_bypassed = true;
}

/* Send one piece of a physical stream's message as a frame. */
static void
give_piece(WsEncoder *encoder, XLogRecPtr start_lsn, uint32 piece,
		   const uint8 **out, size_t *out_len)
{
	const uint8 *wal = encoder->message + WS_STOCK_HEADER + encoder->done;
	WsFrameHeader header = {0};
	bool		restarted;
	size_t		encoded_len;
	pg_crc32c	content_crc;

	if (encoder->frame_number == 0 || start_lsn != encoder->position ||
		ws_segment_offset(start_lsn, encoder->stream.wal_segment_size) == 0)
	{
		header.restart = true;
		encoder->history_lost = true;
	}
	if (encoder->codec->encoder_full &&
		encoder->codec->encoder_full(encoder->codec_state, piece))
		encoder->history_lost = true;
	restarted = encoder->history_lost;

	content_crc = ws_frame_content_crc(start_lsn, wal, piece);
	header.codec = encode_bytes(encoder, start_lsn, wal, piece, &encoded_len);
	if (header.codec != WS_CODEC_NONE && restarted)
		header.restart = true;
	header.raw_len = piece;
	header.start_lsn = start_lsn;
	header.wal_end_delta = (int64) (encoder->stock.wal_end - (start_lsn + piece));
	header.send_time_delta = (int64) ((uint64) encoder->stock.send_time -
									  (uint64) encoder->send_time);
	encoder->send_time = encoder->stock.send_time;
	finish_frame(encoder, &header, content_crc, encoded_len, out, out_len);

	if (header.codec == WS_CODEC_NONE)
		count_bypassed(encoder);
}

/*
 * Like give_piece, but as a stock message.  Used for the rest of a message in
 * which compression ends.
 */
static void
give_plain_piece(WsEncoder *encoder, XLogRecPtr start_lsn, uint32 piece,
				 const uint8 **out, size_t *out_len)
{
	uint8	   *buf = encoder->out + WS_FRAME_HEADER_MAX - WS_STOCK_HEADER;
	WsStockHeader header = encoder->stock;

	header.start_lsn = start_lsn;
	ws_stock_header_encode(&header, buf);
	memcpy(buf + WS_STOCK_HEADER,
		   encoder->message + WS_STOCK_HEADER + encoder->done, piece);

	*out = buf;
	*out_len = WS_STOCK_HEADER + piece;
	encoder->counts.wire_bytes += WS_COPYDATA_HEADER + *out_len;
	count_bypassed(encoder);
}

/*
 * Send the next piece of a physical stream's message.  Returns false if a
 * hello must come first.
 */
static bool
next_piece(WsEncoder *encoder, const uint8 **out, size_t *out_len)
{
	XLogRecPtr	start_lsn = encoder->stock.start_lsn + encoder->done;
	size_t		left = encoder->len - WS_STOCK_HEADER - encoder->done;
	uint32		piece;

	enter_segment(encoder, start_lsn);
	if (encoder->hello_due)
		return false;

	/*
	 * Without a codec, or while it is left out, a message passes at no cost.
	 * So does one that would end past the last possible position, which the
	 * receiver will refuse.
	 */
	if (encoder->done == 0 &&
		(encoder->codec == NULL || start_lsn + left < start_lsn ||
		 ws_backoff_skip(&encoder->backoff, left)))
	{
		encoder->position = start_lsn + left;
		encoder->history_lost = true;
		give_message(encoder, out, out_len);
		return true;
	}

	if (encoder->done == 0)
	{
		encoder->counts.raw_bytes += WS_COPYDATA_HEADER + encoder->len;
		encoder->counts.messages++;
	}

	piece = measure_piece(encoder, start_lsn, left);
	if (encoder->codec)
		give_piece(encoder, start_lsn, piece, out, out_len);
	else
		give_plain_piece(encoder, start_lsn, piece, out, out_len);

	encoder->position = start_lsn + piece;
	encoder->done += piece;
	if (piece == left)
		encoder->message = NULL;
	return true;
}

WsEncoder *
ws_encoder_new(const WsCodecParams *stream)
{
	WsEncoder  *encoder = calloc(1, sizeof(WsEncoder));
	size_t		raw_size;

	if (encoder == NULL)
		return NULL;
	encoder->stream = *stream;

	/* A batch's first row decides whether the batch restarts history. */
	encoder->stream.may_fill = !stream->logical;

	if (stream->logical)
		raw_size = WS_BATCH_BUFFER_SIZE;
	else
		raw_size = (size_t) stream->wal_block_size * WS_FRAME_MAX_BLOCKS;

	/* Make room for any codec, since the codec may change. */
	encoder->out_size = raw_size;
	for (int i = 0; ws_codec_at(i) != NULL; i++)
		encoder->out_size = Max(encoder->out_size,
								ws_codec_at(i)->encode_bound(raw_size));

	encoder->out = malloc(WS_FRAME_HEADER_MAX + encoder->out_size);
	if (stream->logical)
		encoder->batch.buf = malloc(raw_size);
	if (encoder->out == NULL || (stream->logical && encoder->batch.buf == NULL))
	{
		ws_encoder_free(encoder);
		return NULL;
	}
	return encoder;
}

void
ws_encoder_free(WsEncoder *encoder)
{
	if (encoder == NULL)
		return;
	ws_codec_encoder_free(encoder->codec_state);
	free(encoder->batch.buf);
	free(encoder->out);
	free(encoder);
}

WsStatus
ws_encoder_begin(WsEncoder *encoder, WsCodecSpec spec, WsNoCodecReason reason)
{
	encoder->change_due = false;
	encoder->frame_number = 0;
	encoder->send_time = 0;
	encoder->has_segment = false;
	encoder->message = NULL;
	ws_batch_clear(&encoder->batch);
	encoder->batch_due = false;
	return use_codec(encoder, spec, reason);
}

void
ws_encoder_change(WsEncoder *encoder, WsCodecSpec spec, WsNoCodecReason reason)
{
	encoder->change_due = spec.id != encoder->spec.id ||
		(spec.id != WS_CODEC_NONE && spec.level != encoder->spec.level);
	encoder->next_spec = spec;
	encoder->next_reason = reason;
}

WsCodecSpec
ws_encoder_spec(const WsEncoder *encoder)
{
	return encoder->spec;
}

WsNoCodecReason
ws_encoder_reason(const WsEncoder *encoder)
{
	return encoder->reason;
}

bool
ws_encoder_put(WsEncoder *encoder, const uint8 *message, size_t len,
			   int64 now_us)
{
	encoder->message = message;
	encoder->len = len;
	encoder->done = 0;
	encoder->counted_bypassed = false;
	encoder->now_us = now_us;
	encoder->is_data = len > WS_STOCK_HEADER && message[0] == WS_STOCK_TYPE;
	if (encoder->is_data)
		ws_stock_header_decode(message, &encoder->stock);

	/* Most rows only go into the batch, and nothing comes out. */
	if (encoder->is_data && encoder->stream.logical &&
		!encoder->hello_due && !encoder->batch_due)
		(void) take_row(encoder);
	return encoder->message != NULL || encoder->hello_due || encoder->batch_due;
}

void
ws_encoder_flush(WsEncoder *encoder)
{
	encoder->batch_due = encoder->batch.rows > 0;
}

bool
ws_encoder_pending(const WsEncoder *encoder, int64 *oldest_us)
{
	if (encoder->batch.rows > 0 && oldest_us)
		*oldest_us = encoder->batch.oldest_us;
	return encoder->batch.rows > 0;
}

bool
ws_encoder_next(WsEncoder *encoder, const uint8 **out, size_t *out_len)
{
	for (;;)
	{
		if (encoder->hello_due)
		{
			give_hello(encoder, out, out_len);
			return true;
		}
		if (encoder->batch_due)
		{
			give_batch(encoder, out, out_len);
			return true;
		}
		if (encoder->message == NULL)
			return false;

		if (!encoder->is_data)
		{
			if (encoder->batch.rows == 0)
			{
				give_message(encoder, out, out_len);
				return true;
			}
			encoder->batch_due = true;
		}
		else if (encoder->stream.logical)
		{
			if (take_row(encoder))
			{
				give_message(encoder, out, out_len);
				return true;
			}
		}
		else if (next_piece(encoder, out, out_len))
			return true;
	}
}

const WsStreamCounts *
ws_encoder_counts(const WsEncoder *encoder)
{
	return &encoder->counts;
}
