/*-------------------------------------------------------------------------
 *
 * part.h
 *	  Records of which a piece has only a part: page images in them.
 *
 * A record that a piece does not hold to its end is not modelled, since its CRC
 * could not be checked and nothing is held back for it.  But index builds write
 * records of up to 32 page images, which are longer than any piece (PostgreSQL 17
 * and later for every index); left raw, they would be most of a bulk load.  So
 * where the piece has all of a record's header, and page headers are as the cursor
 * predicts, the images that lie in the piece as a whole go through the page-image
 * stage, all else of the record raw, its header, CRC and back-pointer too.  The
 * header is kept for the pieces that follow.
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
 * Whatever the bytes are, they come out again: nothing is taken from a header but
 * where images would be.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_PART_H
#define WS_PURE_WALZ_PART_H

#include "pure/walz/cursor.h"
#include "pure/walz/model.h"

/* The record whose header is known; both ends have the same. */
typedef struct WsWalzPart
{
	XLogRecPtr	record_lsn;		/* invalid: none */
	uint32		rec_len;
	uint32		header_len;
	WsWalzRecord record;		/* without pointers */
} WsWalzPart;

/*
 * Coding, with the cursor at the start of a record: can len bytes of the stream
 * at src, up to the end of the piece, be coded as a part?
 */
extern bool ws_walz_part_begins(WsWalzPart *part, const WsWalzCursor *cursor,
								const uint8 *src, size_t len, uint8 *scratch);

/* Is the cursor within the record? */
extern bool ws_walz_part_goes_on(const WsWalzPart *part,
								 const WsWalzCursor *cursor);

/*
 * Code a part, of a record that begins here or goes on; len bytes of the piece are
 * left.  Coding: from src.  Decoding: to dst.  scratch has room for len bytes.
 * The cursor goes on over it.  Returns how many bytes of the stream that was; 0 if
 * they are raw, or, decoding, if nothing valid can come of it: then io->failed.
 */
extern size_t ws_walz_part_encode(WsWalzPart *part, WsWalzModel *model,
								  WsWalzIo *io, WsWalzCursor *cursor,
								  const uint8 *src, size_t len, uint8 *scratch);
extern size_t ws_walz_part_decode(WsWalzPart *part, WsWalzModel *model,
								  WsWalzIo *io, WsWalzCursor *cursor,
								  uint8 *dst, size_t len, uint8 *scratch);

#endif							/* WS_PURE_WALZ_PART_H */
