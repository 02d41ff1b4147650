/*-------------------------------------------------------------------------
 *
 * encoder.h
 *	  The sending half of a stream: stock CopyData messages in, CopyData
 *	  messages out.
 *
 * An encoder lives as long as its connection and codes one COPY after the
 * other (a timeline switch begins a new one).  A stock message goes in with
 * put; then next is called until it returns false:
 *
 *		ws_encoder_put(encoder, message, len, now_us);
 *		while (ws_encoder_next(encoder, &out, &out_len))
 *			send(out, out_len);
 *
 * Physical streams: each message comes out at once, as one frame, or as
 * several if it crosses a segment boundary or is longer than 16 WAL blocks.
 * History restarts at each segment, and in between when the codec's memory is
 * full.
 *
 * Logical streams: rows are collected in a batch, which comes out after
 * ws_encoder_flush, when it is full, when its oldest row is 10 ms old, or
 * before any message that is not a row.  A row over the size limit comes out
 * unchanged, after the batch.
 *
 * Messages other than 'w' (keepalives, and types of later PostgreSQL versions)
 * come out unchanged, after a pending batch.
 *
 * When bytes do not get smaller, the codec is tried only from time to time
 * (backoff.h).  In between, messages of a physical stream pass unchanged, at
 * no cost, and batches of a logical stream are sent uncoded (codec 0).
 *
 * A failure of the codec is not an error of the stream: that frame is sent
 * uncoded and the codec restarts after it.
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
 * Counts of an encoder or decoder since it was made.  raw and wire are the
 * sizes of complete CopyData messages, including WS_COPYDATA_HEADER: raw as
 * stock PostgreSQL sends them, wire as walstream does.  Only 'w' messages
 * count, coded or not.
 */
typedef struct WsStreamCounts
{
	uint64		raw_bytes;
	uint64		wire_bytes;
	uint64		messages;		/* stock messages */
	uint64		frames;			/* frames that stand for them */
	uint64		bypassed;		/* stock messages that passed unchanged or
								 * uncoded (codec 0) */
	uint64		codec_failures;
} WsStreamCounts;

/* Returns NULL if memory is short. stream is copied; its level is not used. */
extern WsEncoder *ws_encoder_new(const WsCodecParams *stream);
extern void ws_encoder_free(WsEncoder *encoder);	/* NULL is allowed */

/*
 * Begin a COPY: forget everything, code with spec from now on, and announce
 * that in a hello, which the first call of next returns.  With id
 * WS_CODEC_NONE every message comes out unchanged, and the hello has the
 * reason.  If the codec cannot get its memory, the same happens with
 * WS_REASON_MEMORY, and WS_E_MEMORY is returned.  With a codec that does not
 * exist or cannot code the stream it happens too, and WS_E_UNEXPECTED is
 * returned.
 */
extern WsStatus ws_encoder_begin(WsEncoder *encoder, WsCodecSpec spec,
								 WsNoCodecReason reason);

/*
 * Code with spec from the next segment boundary on (in a logical stream, from
 * the first row that starts in another segment than the row before), where a
 * hello announces it.  If there is no memory for it then, the same happens as
 * at the beginning.  Passing the current spec cancels a pending change.
 */
extern void ws_encoder_change(WsEncoder *encoder, WsCodecSpec spec,
							  WsNoCodecReason reason);

/* Returns the spec in use, and the reason if it is none. */
extern WsCodecSpec ws_encoder_spec(const WsEncoder *encoder);
extern WsNoCodecReason ws_encoder_reason(const WsEncoder *encoder);

/*
 * Hand in the content of one CopyData message.  The caller must keep it until
 * next returns false.  now_us is any clock in microseconds, used for the age of
 * a batch.  Returns false if next has nothing to return, for example after a
 * row that went into a batch.
 */
extern bool ws_encoder_put(WsEncoder *encoder, const uint8 *message,
						   size_t len, int64 now_us);

/*
 * Let a pending batch come out at the following calls of next.  Only put looks
 * at the time, so a caller that defers flushes must stop doing so once the
 * oldest row (see below) is WS_BATCH_AGE_US old.
 */
extern void ws_encoder_flush(WsEncoder *encoder);

/*
 * Returns true if a batch is pending after next has returned false.  Sets
 * *oldest_us, unless NULL, to the time of its oldest row.
 */
extern bool ws_encoder_pending(const WsEncoder *encoder, int64 *oldest_us);

/*
 * Get the next message to send.  Returns false if there is none. *out is valid
 * until the next call of any function with this encoder.
 */
extern bool ws_encoder_next(WsEncoder *encoder, const uint8 **out,
							size_t *out_len);

extern const WsStreamCounts *ws_encoder_counts(const WsEncoder *encoder);

#endif							/* WS_PURE_WIRE_ENCODER_H */
