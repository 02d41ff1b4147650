/*-------------------------------------------------------------------------
 *
 * messages.h
 *	  Lists of CopyData messages, and a stream's way through an encoder and a
 *	  decoder.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_MESSAGES_H
#define WS_MESSAGES_H

#include "pure/wire/decoder.h"

/* Each message is in memory of exactly its size. */
typedef struct Message
{
	uint8	   *bytes;
	size_t		len;
} Message;

typedef struct Messages
{
	Message    *items;
	size_t		count;
	size_t		allocated;
} Messages;

/* Parameters of a server with 8 kB blocks and this segment size. */
extern WsCodecParams stream_params(bool logical, uint32 segment_size);

/* A request for every codec of the table. */
extern WsAccept accept_all(void);

/* Returns a number below bound; the same series for the same seed. */
extern uint32 pick(uint64 *seed, uint32 bound);

extern void add_message(Messages *messages, const uint8 *bytes, size_t len);
extern void add_stock(Messages *messages, XLogRecPtr start_lsn,
					  XLogRecPtr wal_end, int64 send_time,
					  const uint8 *body, size_t len);
extern void add_keepalive(Messages *messages, XLogRecPtr wal_end);
extern void add_text(Messages *messages, const char *text);

/* Free all messages, which leaves an empty list. */
extern void clear_messages(Messages *messages);

/* Append all messages that next returns. */
extern void take_encoded(WsEncoder *encoder, Messages *out);
extern void take_decoded(WsDecoder *decoder, Messages *out);

/* Encode one message, and append all messages that next returns. */
extern void encode_message(WsEncoder *encoder, const Message *message,
						   int64 now_us, Messages *out);
extern WsStatus decode_message(WsDecoder *decoder, const Message *message,
							   Messages *out);

/*
 * Encode or decode all messages, at time 0.  Encoding flushes a batch at the
 * end; decoding ends at the first message that is refused.
 */
extern void encode_messages(WsEncoder *encoder, const Messages *in,
							Messages *out);
extern WsStatus decode_messages(WsDecoder *decoder, const Messages *in,
								Messages *out);

/* Returns true if both are identical. */
extern bool same_message(const Message *a, const Message *b);
extern bool same_messages(const Messages *a, const Messages *b);

/*
 * Returns true if out differs from in only by cuts of 'w' messages, at segment
 * boundaries and, if 16 blocks do not hold the rest, at page boundaries.
 */
extern bool same_stream(const Messages *in, const Messages *out,
						const WsCodecParams *stream);

/* Returns the number of messages of this type. */
extern size_t count_type(const Messages *messages, uint8 type);

#endif							/* WS_MESSAGES_H */
