/*-------------------------------------------------------------------------
 *
 * part.h
 *	  Codes page images in records that a piece holds only a part of.
 *
 * A record is not modelled if it extends beyond the piece, since its CRC
 * cannot be checked and nothing is held back.  But index builds write records
 * of up to 32 page images, which are longer than any piece (PostgreSQL 17 and
 * later for every index), and which would be most of a bulk load if left raw.
 * So if the piece has all of a record's header, and page headers are as the
 * cursor predicts, the images that lie completely in the piece go through the
 * page-image stage, and the rest of the record is raw, including its header,
 * CRC and back-pointer.  The header is kept for the pieces that follow.
 *
 *		field			what
 *	  the record's beginning, after op 12:
 *		length			number: of the record's header
 *		header			raw
 *	  what follows in another piece:
 *		goes on			code: 0 raw after all, 1 as below; after 0 all that is
 *						left of the record is raw
 *	  then, to the end of the record (without padding) or of the piece:
 *		images			those that are whole: walz/page.h, with known lengths
 *		others			bytes between them, raw
 *
 * This is lossless for any bytes, since the header is only used to find the
 * images.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_PART_H
#define WS_PURE_WALZ_PART_H

#include "pure/walz/cursor.h"
#include "pure/walz/model.h"

/* The record whose header is known; the same on both ends. */
typedef struct WsWalzPart
{
	XLogRecPtr	record_lsn;		/* invalid: none */
	uint32		rec_len;
	uint32		header_len;
	WsWalzRecord record;		/* without pointers */
} WsWalzPart;

/*
 * When coding, with the cursor at the start of a record: returns true if the
 * len bytes of the stream at src, up to the end of the piece, can be coded as
 * a part.
 */
extern bool ws_walz_part_begins(WsWalzPart *part, const WsWalzCursor *cursor,
								const uint8 *src, size_t len, uint8 *scratch);

/* Returns true if the cursor is within the record. */
extern bool ws_walz_part_goes_on(const WsWalzPart *part,
								 const WsWalzCursor *cursor);

/*
 * Code a part of a record that begins or continues here; len bytes of the
 * piece are left.  Codes from src or decodes to dst; scratch has room for len
 * bytes.  Advances the cursor.  Returns the number of bytes of the stream; 0
 * if they are raw, or, when decoding, if the input is invalid: then io->failed
 * is set.
 */
extern size_t ws_walz_part_encode(WsWalzPart *part, WsWalzModel *model,
								  WsWalzIo *io, WsWalzCursor *cursor,
								  const uint8 *src, size_t len, uint8 *scratch);
extern size_t ws_walz_part_decode(WsWalzPart *part, WsWalzModel *model,
								  WsWalzIo *io, WsWalzCursor *cursor,
								  uint8 *dst, size_t len, uint8 *scratch);

#endif							/* WS_PURE_WALZ_PART_H */
