/*-------------------------------------------------------------------------
 *
 * decoder.h
 *	  The receiving half of a stream: CopyData messages in, stock CopyData
 *	  messages out.
 *
 * A message goes in with put; then next is called until it gives nothing
 * more.  Most messages give one, a batch gives several, a hello gives none:
 *
 *		status = ws_decoder_put(decoder, message, len);
 *		while (status == WS_OK && ws_decoder_next(decoder, &out, &out_len))
 *			use(out, out_len);
 *
 * The first message of a COPY decides: if it is a hello, the peer speaks our
 * protocol, and frames and further hellos are decoded; if not, the peer has
 * no walstream and every message passes as it is; only what looks like a
 * frame is refused, since PostgreSQL sends nothing that does.
 *
 * A hello gives nothing, so that an endless row of them would hold up the
 * receiver: after one, data comes before the next.
 *
 * Beside frames and hellos a stream of our protocol has messages that pass as
 * they are: keepalives, whatever a later PostgreSQL sends, and 'w' messages.
 * Of these one with WAL in a physical stream starts where the stream stands,
 * and the history of the codec ends with it.
 *
 * Nothing is trusted.  Lengths are bounded before they are used, and all of
 * a frame is decoded and its check value compared before put returns WS_OK.
 * A frame must be in the codec of the last hello, or in none; it starts where
 * the stream stands and does not cross a segment boundary; it restarts
 * history where there is none, and at the start of each segment.
 *
 * A message with a type that is one bit off a frame's is refused too (or, as
 * the first message, one bit off a hello's): it is a damaged one, and a logical
 * apply worker ignores what it does not know, so that the rows would be lost.
 *
 * After a failure everything is refused (WS_E_FAILED) until the next begin,
 * since history would spread the error.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_DECODER_H
#define WS_PURE_WIRE_DECODER_H

#include "pure/wire/encoder.h"

typedef struct WsDecoder WsDecoder;

typedef enum WsPeerKind
{
	WS_PEER_UNKNOWN,			/* no message of this COPY has been seen */
	WS_PEER_STOCK,				/* without walstream */
	WS_PEER_WALSTREAM			/* has said hello */
} WsPeerKind;

/*
 * NULL if memory is short.  stream says how this server lays out WAL, and the
 * hello of a physical stream must say the same; asked is what was asked for:
 * a hello with any other codec is refused.  Both are copied.
 */
extern WsDecoder *ws_decoder_new(const WsCodecParams *stream,
								 const WsAccept *asked);
extern void ws_decoder_free(WsDecoder *decoder);	/* NULL is allowed */

/* A COPY begins. */
extern void ws_decoder_begin(WsDecoder *decoder);

/*
 * Hand in one CopyData message's content, which must stay as it is until next
 * has given its last.  All that the message before gave must have been taken.
 */
extern WsStatus ws_decoder_put(WsDecoder *decoder, const uint8 *message,
							   size_t len);

/*
 * The next stock message, false if there is none.  *out is valid until the
 * next call of any function with this decoder, and a zero follows it.
 */
extern bool ws_decoder_next(WsDecoder *decoder, const uint8 **out,
							size_t *out_len);

extern WsPeerKind ws_decoder_peer(const WsDecoder *decoder);

/* What the last hello said; NULL before the first of this COPY. */
extern const WsHello *ws_decoder_hello(const WsDecoder *decoder);

/*
 * Where the stream stands: the end of the last WAL handed out (logical: the
 * start position of the last row).  After a failure it is where that was
 * found; 0 if nothing is known.
 */
extern XLogRecPtr ws_decoder_position(const WsDecoder *decoder);

/*
 * The codec of the last frame whose header could be read, refused or not, or
 * that of a hello after it; WS_CODEC_NONE before the first.
 */
extern WsCodecId ws_decoder_codec(const WsDecoder *decoder);

/* Messages are those handed out: of one that was cut, each piece. */
extern const WsStreamCounts *ws_decoder_counts(const WsDecoder *decoder);

#endif							/* WS_PURE_WIRE_DECODER_H */
