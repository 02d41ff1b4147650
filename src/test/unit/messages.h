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

/* As a server that lays out WAL so, 8 kB blocks, would say. */
extern WsCodecParams stream_params(bool logical, uint32 segment_size);

/* Asks for every codec of the table. */
extern WsAccept accept_all(void);

/* A number below bound; the same ones for the same seed. */
extern uint32 pick(uint64 *seed, uint32 bound);

extern void add_message(Messages *messages, const uint8 *bytes, size_t len);
extern void add_stock(Messages *messages, XLogRecPtr start_lsn,
					  XLogRecPtr wal_end, int64 send_time,
					  const uint8 *body, size_t len);
extern void add_keepalive(Messages *messages, XLogRecPtr wal_end);
extern void add_text(Messages *messages, const char *text);

/* Free what it holds; the list is empty then. */
extern void clear_messages(Messages *messages);

/* Take all that next gives. */
extern void take_encoded(WsEncoder *encoder, Messages *out);
extern void take_decoded(WsDecoder *decoder, Messages *out);

/* Put one message in, and take all that next gives. */
extern void encode_message(WsEncoder *encoder, const Message *message,
						   int64 now_us, Messages *out);
extern WsStatus decode_message(WsDecoder *decoder, const Message *message,
							   Messages *out);

/*
 * The whole of in, at time 0; flushes a batch at the end.  Decoding ends at
 * the first message that is refused.
 */
extern void encode_messages(WsEncoder *encoder, const Messages *in,
							Messages *out);
extern WsStatus decode_messages(WsDecoder *decoder, const Messages *in,
								Messages *out);

/* Are they the same, byte for byte? */
extern bool same_message(const Message *a, const Message *b);
extern bool same_messages(const Messages *a, const Messages *b);

/*
 * Is out what in became by nothing but cuts of its 'w' messages, at segment
 * boundaries and, if 16 blocks do not hold the rest, at page boundaries?
 */
extern bool same_stream(const Messages *in, const Messages *out,
						const WsCodecParams *stream);

/* How many of the messages are of this type? */
extern size_t count_type(const Messages *messages, uint8 type);

#endif							/* WS_MESSAGES_H */
