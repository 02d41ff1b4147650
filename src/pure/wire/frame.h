/*-------------------------------------------------------------------------
 *
 * frame.h
 *	  The header of an encoded CopyData message, and its check value.
 *
 * Stock PostgreSQL sends each piece of WAL as a CopyData message: 'w', start
 * position, end of WAL on the sender, send time (25 bytes, WS_STOCK_HEADER),
 * then the WAL.  A frame stands for one such message of a physical stream,
 * or for a batch of them of a logical stream:
 *
 *		size	field
 *		1		'Z'
 *		1		flags: bits 0-2 codec (0: not encoded), bit 3 history
 *				restarts here, bit 4 batch, bits 5-7 zero
 *		var		length of the decoded bytes
 *	  physical only:
 *		0 or 8	start position, only with the restart flag; otherwise the
 *				frame starts where the one before it ended
 *		var		end of WAL on the sender minus the end of this frame, signed
 *		var		send time minus that of the frame before (of 0 in the first
 *				frame of a COPY), signed, microseconds
 *	  all:
 *		4		check value
 *		rest	encoded bytes (codec 0: the decoded bytes themselves)
 *
 * "var" is a variable-length integer (pure/varint.h), at most ten bytes, and
 * no longer than needed.
 *
 * The decoded bytes of a physical frame are WAL.  Those of a batch are rows,
 * each one a stock message of a logical stream:
 *
 *		size	field
 *		var		2 * length of the body + 1 if the start position is 0
 *		var		start position minus that of the row before that had one,
 *				signed; absent if the start position is 0
 *		var		end of WAL minus start position, signed
 *		var		send time minus that of the row before, signed
 *		rest	body
 *
 * Differences in a batch begin from zero at the restart flag and continue
 * through later batches.  A frame that starts at a segment's start has the
 * restart flag, and so has the first frame of a COPY, encoded or not.
 *
 * The check value is the CRC-32C of the following, concatenated:
 *
 *	 content, physical: start position (8), decoded length (4), WAL
 *	 content, batch: for each row the length of its stock message (4), then
 *			that message as the sender received it, 25-byte header included
 *	 the number of the frame in this COPY (8; the first is 0; not sent)
 *	 all header bytes before the check value
 *	 the encoded bytes, unless the codec is 0, where they are the content
 *
 * with integers in network byte order.  So the check value covers every byte
 * of a frame, even those that a codec ignores, and reveals a lost, repeated or
 * reordered frame.  The content comes first so that stored WAL can be sent
 * under another header without reading it again.  (An exclusive-or of two
 * CRCs, one of the content and one of the rest, would not do: the start
 * position is in both, and a flipped bit of it would cancel out if it were
 * equally far from the end in each.)
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_FRAME_H
#define WS_PURE_WIRE_FRAME_H

#include "port/pg_crc32c.h"
#include "pure/codec/codec.h"

#define WS_FRAME_TYPE			'Z'
#define WS_STOCK_TYPE			'w'
#define WS_STOCK_HEADER			25	/* type, start, end of WAL, send time */
#define WS_COPYDATA_HEADER		5	/* 'd' and length, around every message */

/* Most WAL blocks in a physical frame. */
#define WS_FRAME_MAX_BLOCKS		16
/* A batch is sent when another row would make it larger than this ... */
#define WS_BATCH_SIZE			(64 * 1024)
/* ... or when its oldest row is this old. */
#define WS_BATCH_AGE_US			10000
/* A logical message longer than this, including its header, is never coded. */
#define WS_BATCH_MAX_MESSAGE	(64 * 1024)
/* Largest decoded length of a batch that a decoder accepts. */
#define WS_BATCH_MAX_DECODED	(128 * 1024)

#define WS_FLAG_CODEC_MASK		0x07
#define WS_FLAG_RESTART			0x08
#define WS_FLAG_BATCH			0x10
#define WS_FLAG_RESERVED		0xe0

/* 'Z', flags, decoded length (5), start (8), two varints of 10, check (4) */
#define WS_FRAME_HEADER_MAX		39
/* a row's length (3) and three varints of 10 */
#define WS_ROW_HEADER_MAX		33

typedef struct WsFrameHeader
{
	WsCodecId	codec;			/* WS_CODEC_NONE: sent as it is */
	bool		restart;
	bool		batch;
	uint32		raw_len;		/* decoded bytes */

	/* physical only */
	XLogRecPtr	start_lsn;		/* set by the parser only with restart */
	int64		wal_end_delta;
	int64		send_time_delta;

	uint32		check;			/* set by the parser only */
} WsFrameHeader;

/* A stock message's fixed part. */
typedef struct WsStockHeader
{
	XLogRecPtr	start_lsn;
	XLogRecPtr	wal_end;
	int64		send_time;		/* microseconds since 2000-01-01 */
} WsStockHeader;

/* The values to which a row's differences refer; zero at a restart. */
typedef struct WsRowBase
{
	XLogRecPtr	start_lsn;
	int64		send_time;
} WsRowBase;

extern void ws_stock_header_encode(const WsStockHeader *header, uint8 *buf);

/* buf has WS_STOCK_HEADER bytes; the type byte is not looked at. */
extern void ws_stock_header_decode(const uint8 *buf, WsStockHeader *header);

/*
 * Compute the unfinished CRC of a frame's content.  For a physical frame, one
 * call does it; for a batch, start with INIT_CRC32C and add each row's stock
 * message, the WS_STOCK_HEADER bytes and the rest.
 */
extern pg_crc32c ws_frame_content_crc(XLogRecPtr start_lsn,
									  const uint8 *wal, uint32 len);
extern pg_crc32c ws_frame_row_crc(pg_crc32c crc, const uint8 *header,
								  const uint8 *body, uint32 body_len);

/*
 * Write the header of a frame whose content has this CRC and whose encoded
 * bytes are these.  buf has WS_FRAME_HEADER_MAX bytes.  Returns the length.
 */
extern size_t ws_frame_header_encode(const WsFrameHeader *header,
									 uint64 frame_number,
									 pg_crc32c content_crc,
									 const uint8 *encoded, size_t encoded_len,
									 uint8 *buf);

/*
 * Parse the header of a frame, which is the content of a CopyData message.  On
 * WS_OK, *header_len is the offset of the encoded bytes, and the codec exists
 * or is none.
 */
extern WsStatus ws_frame_header_decode(const uint8 *frame, size_t len,
									   WsFrameHeader *header,
									   size_t *header_len);

/* Returns true if the check value of a parsed frame is right. */
extern bool ws_frame_verify(const uint8 *frame, size_t len,
							const WsFrameHeader *header, size_t header_len,
							uint64 frame_number, pg_crc32c content_crc);

/*
 * Write a batch's row up to its body, and update *base.  buf has
 * WS_ROW_HEADER_MAX bytes.  Returns the length.
 */
extern size_t ws_frame_row_encode(WsRowBase *base, const WsStockHeader *header,
								  uint32 body_len, uint8 *buf);

/*
 * Parse a batch's row.  On WS_OK, *pos points to its body of *body_len bytes,
 * which ends at or before end, and *base has been updated.
 */
extern WsStatus ws_frame_row_decode(WsRowBase *base, const uint8 **pos,
									const uint8 *end, WsStockHeader *header,
									uint32 *body_len);

#endif							/* WS_PURE_WIRE_FRAME_H */
