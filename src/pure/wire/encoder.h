/*-------------------------------------------------------------------------
 *
 * encoder.h
 *	  The sending half of a stream: stock CopyData messages in, CopyData
 *	  messages out.
 *
 * One encoder lives as long as its connection and codes one COPY after the
 * other (a timeline switch begins a new one).  A stock message goes in with
 * put; then next is called until it gives nothing more:
 *
 *		ws_encoder_put(encoder, message, len, now_us);
 *		while (ws_encoder_next(encoder, &out, &out_len))
 *			send(out, out_len);
 *
 * Physical streams: each message comes out at once, as one frame, or as more
 * where it crosses a segment boundary or is over 16 WAL blocks.  History
 * restarts at each segment, and in between where the codec's memory is full.
 *
 * Logical streams: rows gather in a batch, which comes out at the next call
 * of next after ws_encoder_flush, when it is full, when its oldest row is
 * 10 ms old, or before any message that is not a row.  A row over the limit
 * comes out as it went in, after the batch.
 *
 * Messages other than 'w' (keepalives, and whatever a later PostgreSQL sends)
 * come out as they went in, after a pending batch.
 *
 * Bytes that do not get smaller are after a while not coded but from time to
 * time (backoff.h): messages of a physical stream pass as they are, at no cost,
 * and batches of a logical one are sent uncoded (codec 0).
 *
 * A codec that fails is not an error of the stream: that frame is sent as it
 * is and the codec restarts after it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_ENCODER_H
#define WS_PURE_WIRE_ENCODER_H

#include "pure/wire/accept.h"
#include "pure/wire/frame.h"

typedef struct WsEncoder WsEncoder;

/*
 * What an encoder or decoder has done since it was made.  raw and wire count
 * CopyData messages whole, WS_COPYDATA_HEADER included: raw as stock sends
 * them, wire as walstream does.  Only 'w' messages count, coded or not.
 */
typedef struct WsStreamCounts
{
	uint64		raw_bytes;
	uint64		wire_bytes;
	uint64		messages;		/* stock messages */
	uint64		frames;			/* encoded messages that stand for them */
	uint64		bypassed;		/* stock messages that passed as they were, or
								 * whose bytes did (codec 0) */
	uint64		codec_failures;
} WsStreamCounts;

/* NULL if memory is short.  stream is copied; its level is not used. */
extern WsEncoder *ws_encoder_new(const WsCodecParams *stream);
extern void ws_encoder_free(WsEncoder *encoder);	/* NULL is allowed */

/*
 * A COPY begins: forget everything, code with spec from now on, and let the
 * first call of next give the hello that says so.  With id WS_CODEC_NONE
 * every message comes out as it went in, and the hello gives the reason.  If
 * the codec cannot get its memory, that is what happens with
 * WS_REASON_MEMORY, and WS_E_MEMORY is returned.  A codec that does not exist
 * or cannot code the stream is none, too: WS_E_UNEXPECTED.
 */
extern WsStatus ws_encoder_begin(WsEncoder *encoder, WsCodecSpec spec,
								 WsNoCodecReason reason);

/*
 * Code with spec from the next segment boundary on (a logical stream: from
 * the first row that starts in another segment than the row before), where a
 * hello says so.  The same spec as the current one takes a pending change
 * back.
 */
extern void ws_encoder_change(WsEncoder *encoder, WsCodecSpec spec,
							  WsNoCodecReason reason);

/* The spec in use now, and the reason if it is none. */
extern WsCodecSpec ws_encoder_spec(const WsEncoder *encoder);
extern WsNoCodecReason ws_encoder_reason(const WsEncoder *encoder);

/*
 * Hand in one CopyData message's content.  The message is read until the next
 * call of put, so the caller keeps it until next has given its last.  now_us
 * is any clock in microseconds; a batch's age is measured by it.  Returns false
 * if next has nothing to give, as for a row that went into a batch.
 */
extern bool ws_encoder_put(WsEncoder *encoder, const uint8 *message,
						   size_t len, int64 now_us);

/*
 * Let a pending batch come out at the following calls of next.  Only put looks
 * at the time: a caller that defers a flush must not do so once the oldest row
 * (see below) is WS_BATCH_AGE_US old.
 */
extern void ws_encoder_flush(WsEncoder *encoder);

/*
 * Is there a batch that has not come out, after next has given its last?
 * *oldest_us, unless NULL, becomes the time of its oldest row.
 */
extern bool ws_encoder_pending(const WsEncoder *encoder, int64 *oldest_us);

/*
 * The next message to send, false if there is none.  *out is valid until the
 * next call of any function with this encoder.
 */
extern bool ws_encoder_next(WsEncoder *encoder, const uint8 **out,
							size_t *out_len);

extern const WsStreamCounts *ws_encoder_counts(const WsEncoder *encoder);

#endif							/* WS_PURE_WIRE_ENCODER_H */
