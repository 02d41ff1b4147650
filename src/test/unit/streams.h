/*-------------------------------------------------------------------------
 *
 * streams.h
 *	  A physical stream for tests: an encoder, a decoder, and what has gone
 *	  through them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_STREAMS_H
#define WS_STREAMS_H

#include "messages.h"

#define MB				(1024 * 1024)
#define SEGMENT_SIZE	(16 * MB)
#define START_LSN		UINT64CONST(0x2A000000)
#define START_TIME		INT64CONST(762000000000000)

/* A decoder with its encoder, and what has gone through them. */
typedef struct Stream
{
	WsCodecParams params;
	WsEncoder  *encoder;
	WsDecoder  *decoder;
	XLogRecPtr	lsn;			/* where the next message starts */
	uint32		tli;			/* of REAL_WAL; 1 at first */
	Messages	in;
	Messages	wire;
	Messages	out;
} Stream;

/* Data for messages, DATA_SIZE bytes each. */
#define DATA_SIZE	(8 * MB)

extern uint8 *records;
extern uint8 *noise;
extern uint8 *prose;

/*
 * Instead of these: WAL that walgen writes from START_LSN on, beginning at the
 * message's position.  Each timeline has different WAL.
 */
#define REAL_WAL		((const uint8 *) NULL)
#define REAL_WAL_SIZE	(100 * MB)

/* Data that the codec compresses well: REAL_WAL for one that knows WAL. */
extern const uint8 *data_for(WsCodecId id);

extern void make_data(void);
extern void free_data(void);

extern WsCodecSpec spec_of(WsCodecId id, int level);
extern const char *name_of(WsCodecId id);

extern void begin_stream(Stream *stream, WsCodecSpec spec,
						 XLogRecPtr start_lsn, uint32 segment_size);
extern void end_stream(Stream *stream);

/* Add a message of WAL. */
extern void add_wal(Stream *stream, const uint8 *wal, size_t len);

/* Encode the messages from this one on, all at the same time. */
extern void encode_added(Stream *stream, size_t from);

/* Add total bytes of WAL in messages of this size, and encode them. */
extern void send_wal(Stream *stream, const uint8 *data, size_t total,
					 size_t message_size);

/* Decode everything; returns true if the result equals the input. */
extern bool decode_stream(Stream *stream);

/* Returns true if the counts of both sides are complete. */
extern bool counts_hold(const Stream *stream);

#endif							/* WS_STREAMS_H */
