/*-------------------------------------------------------------------------
 *
 * wires.h
 *	  Streams for tests as they appear on the wire, valid or not.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_WIRES_H
#define WS_WIRES_H

#include "messages.h"

#define MB			(1024 * 1024)
#define START_LSN	UINT64CONST(0x2A000000)
#define START_TIME	INT64CONST(762000000000000)

/* A stream as it appears on the wire, hello first, and its decoded form. */
typedef struct Wire
{
	char		name[64];
	WsCodecParams params;
	Messages	messages;
	Messages	out;
} Wire;

/* The data of which WAL and rows are made. */
extern uint8 wire_records[MB];

/* WAL that walgen writes from START_LSN on, in segments of 16 MB. */
extern uint8 wire_wal[MB];

extern void make_wire_records(void);

extern WsDecoder *new_decoder(const Wire *wire);
extern void free_wire(Wire *wire);

extern void add_hello(Wire *wire, WsCodecId codec);

/*
 * A frame with any header, and a check value that is right for this content.
 */
extern void add_frame(Wire *wire, WsFrameHeader header, uint64 number,
					  pg_crc32c content_crc, const uint8 *encoded, size_t len);

/* A physical frame that is not encoded. */
extern void add_raw_frame(Wire *wire, uint64 number, bool restart,
						  XLogRecPtr start_lsn, uint32 len);

/*
 * Begin again with the first count messages; returns whether all are accepted.
 */
extern bool decode_first(WsDecoder *decoder, const Wire *wire, size_t count);

#endif							/* WS_WIRES_H */
