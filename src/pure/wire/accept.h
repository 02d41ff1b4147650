/*-------------------------------------------------------------------------
 *
 * accept.h
 *	  Negotiation: the value of walstream.accept, and the hello message.
 *
 * The receiver puts walstream.accept into the connection's options.  Its value
 * is the highest protocol version that the receiver speaks, followed by words
 * separated by white space.  Currently the words name codecs (WsCodec.word),
 * in the receiver's order of preference:
 *
 *		1 zstd lz4
 *
 * The word "own", which needs no version, asks a relay for its instance's own
 * walsender instead of the relay's.
 *
 * A sender ignores words that it does not know, so that later versions can
 * add words without a new setting.  The sender answers with a hello, the
 * first CopyData message of the stream:
 *
 *		offset	size	field
 *		0		1		'H'
 *		1		1		protocol version chosen (1)
 *		2		1		codec, 0 if none (WsCodecId)
 *		3		1		reason if none (WsNoCodecReason), else 0
 *		4		2		level, signed
 *		6		1		log2 of the codec's window, 0 if it has none
 *		7		1		flags: bit 0 logical stream; others 0
 *		8		4		WAL block size
 *		12		4		WAL segment size
 *		16		2		WAL page magic
 *
 * Integers are in network byte order.  A longer hello comes from a later
 * version, and the extra bytes are ignored.  A hello may be repeated before
 * any frame, if data has come since the last hello; it then applies to what
 * follows.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_ACCEPT_H
#define WS_PURE_WIRE_ACCEPT_H

#include "pure/codec/codec.h"

#define WS_PROTOCOL_VERSION		1
#define WS_HELLO_TYPE			'H'
#define WS_HELLO_SIZE			18

/* A codec, with the level at which a server encodes. */
typedef struct WsCodecSpec
{
	WsCodecId	id;
	int			level;
} WsCodecSpec;

/* walstream.compression as parsed; count 0 is "off". */
typedef struct WsCompression
{
	int			count;
	WsCodecSpec specs[WS_MAX_CODECS];
} WsCompression;

/*
 * walstream.accept as parsed; version 0 means that the client did not ask for
 * compression.
 */
typedef struct WsAccept
{
	int			version;
	int			count;
	WsCodecId	codecs[WS_MAX_CODECS];
	bool		own;
} WsAccept;

typedef enum WsNoCodecReason
{
	WS_REASON_NONE = 0,
	WS_REASON_OFF = 1,			/* the sender's walstream.compression is off */
	WS_REASON_NO_COMMON_CODEC = 2,
	WS_REASON_MEMORY = 3		/* the sender could not get memory for it */
} WsNoCodecReason;

typedef struct WsHello
{
	int			version;
	WsCodecId	codec;
	WsNoCodecReason reason;		/* may be an unknown value */
	int			level;
	int			window_log;
	WsCodecParams stream;		/* level repeated; layout of the stream's WAL */
} WsHello;

/* Most bytes that ws_accept_format writes, with the final zero. */
#define WS_ACCEPT_MAX_SIZE		128

/*
 * Write the value that asks for these codecs; with count 0 that is the version
 * alone.  buf has WS_ACCEPT_MAX_SIZE bytes.
 */
extern void ws_accept_format(const WsCompression *compression, char *buf);

/*
 * Parse a value.  Never fails: a value that cannot be parsed asks for nothing.
 * Repeated and unknown words are ignored.
 */
extern WsAccept ws_accept_parse(const char *value);

/*
 * Choose the first codec in the receiver's order that the sender uses too and
 * that can code the stream.  Returns WS_REASON_NONE and sets *chosen; if there
 * is no such codec, returns the reason and sets chosen->id to WS_CODEC_NONE.
 */
extern WsNoCodecReason ws_accept_choose(const WsAccept *accept,
										const WsCompression *compression,
										bool logical, WsCodecSpec *chosen);

/*
 * Returns a short phrase for a log line that tells why a stream is not
 * compressed.
 */
extern const char *ws_reason_text(WsNoCodecReason reason);

/* Write a hello. buf has WS_HELLO_SIZE bytes. */
extern void ws_hello_encode(const WsHello *hello, uint8 *buf);
extern WsStatus ws_hello_decode(const uint8 *buf, size_t len, WsHello *hello);

#endif							/* WS_PURE_WIRE_ACCEPT_H */
