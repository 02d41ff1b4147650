/*-------------------------------------------------------------------------
 *
 * decoder.h
 *	  The receiving half of a stream: CopyData messages in, stock CopyData
 *	  messages out.
 *
 * A message goes in with put; then next is called until it returns false.
 * Most messages yield one message, a batch yields several, a hello yields
 * none:
 *
 *		status = ws_decoder_put(decoder, message, len);
 *		while (status == WS_OK && ws_decoder_next(decoder, &out, &out_len))
 *			use(out, out_len);
 *
 * The first message of a COPY decides.  If it is a hello, the peer speaks our
 * protocol, and frames and further hellos are decoded.  If not, the peer has
 * no walstream, and every message passes unchanged, except that a message that
 * looks like a frame is refused, since PostgreSQL sends none.
 *
 * Since a hello yields nothing, an endless row of them would hold up the
 * receiver.  So data must come between two hellos.
 *
 * Besides frames and hellos, a stream of our protocol has messages that pass
 * unchanged: keepalives, message types of later PostgreSQL versions, and 'w'
 * messages.  In a physical stream, a 'w' message with WAL must start at the
 * stream's position, and it ends the history of the codec.
 *
 * Nothing is trusted.  Lengths are bounded before they are used, and a frame
 * is decoded completely and its check value compared before put returns WS_OK.
 * A frame must use the codec of the last hello or none, start at the stream's
 * position, not cross a segment boundary, and restart history where there is
 * none and at the start of each segment.
 *
 * A message whose type is one bit off that of a frame (or, for the first
 * message, of a hello) is refused too.  It is a damaged one, and a logical
 * apply worker ignores unknown types, so its rows would be lost.
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
	WS_PEER_WALSTREAM			/* has sent a hello */
} WsPeerKind;

/*
 * Returns NULL if memory is short.  "stream" has this server's WAL layout,
 * which the hello of a physical stream must match; "asked" has the codecs that
 * were asked for, and a hello with any other codec is refused.  Both are
 * copied.
 */
extern WsDecoder *ws_decoder_new(const WsCodecParams *stream,
								 const WsAccept *asked);
extern void ws_decoder_free(WsDecoder *decoder);	/* NULL is allowed */

/* Begin a COPY. */
extern void ws_decoder_begin(WsDecoder *decoder);

/*
 * Hand in the content of one CopyData message, which must not change until
 * next returns false.  All messages that the previous call yielded must have
 * been taken.
 */
extern WsStatus ws_decoder_put(WsDecoder *decoder, const uint8 *message,
							   size_t len);

/*
 * Get the next stock message.  Returns false if there is none. *out is valid
 * until the next call of any function with this decoder, and a zero follows
 * the message.
 */
extern bool ws_decoder_next(WsDecoder *decoder, const uint8 **out,
							size_t *out_len);

extern WsPeerKind ws_decoder_peer(const WsDecoder *decoder);

/* Returns the last hello of this COPY; NULL before the first. */
extern const WsHello *ws_decoder_hello(const WsDecoder *decoder);

/*
 * Returns the stream's position: the end of the last WAL handed out (logical:
 * the start position of the last row).  After a failure, that is where it was
 * found; 0 if nothing is known.
 */
extern XLogRecPtr ws_decoder_position(const WsDecoder *decoder);

/*
 * Returns the codec of the last frame whose header could be read, even if the
 * frame was refused, or that of a later hello; WS_CODEC_NONE before the first.
 */
extern WsCodecId ws_decoder_codec(const WsDecoder *decoder);

/*
 * Returns the counts.  They count messages handed out, that is, each piece of
 * a message that the sender has cut.
 */
extern const WsStreamCounts *ws_decoder_counts(const WsDecoder *decoder);

#endif							/* WS_PURE_WIRE_DECODER_H */
