/*-------------------------------------------------------------------------
 *
 * cursor.h
 *	  Where records are in WAL.
 *
 * A cursor follows a stream of WAL through page headers and records, fed with
 * whatever pieces the stream is cut into.  Encoder and decoder each have one
 * and hand it the same bytes, so both always know the same: whether a record
 * begins at the position reached, and what a regular page header and record
 * would say there.  Nothing that the cursor concludes is ever relied on for
 * correctness: a record that is not just as the cursor predicts travels raw.
 *
 * State			where the stream stands						next
 * WZ_LOST			somewhere in a page that makes no sense		page header
 * WZ_PAGE			in a page header							record
 * WZ_READY			where a record may begin, or the page		page header,
 *					header before it							length
 * WZ_LENGTH		in the first four bytes of a record			record
 * WZ_RECORD		in a record's remaining bytes				padding,
 *																page header
 * WZ_PADDING		between a record's end and alignment		ready
 *
 * A page header that is not valid, or a length that no record can have, leads
 * to WZ_LOST, and the next valid page header out of it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_CURSOR_H
#define WS_PURE_WALZ_CURSOR_H

#include "pure/codec/codec.h"
#include "pure/walz/layout.h"

typedef enum WsWalzState
{
	WZ_LOST,
	WZ_PAGE,
	WZ_READY,
	WZ_LENGTH,
	WZ_RECORD,
	WZ_PADDING
} WsWalzState;

typedef struct WsWalzCursor
{
	uint32		block_size;
	uint32		segment_size;
	uint16		magic;

	WsWalzState state;
	XLogRecPtr	lsn;			/* of the next byte */
	XLogRecPtr	record_lsn;		/* record that lsn is in; 0 if not known */
	XLogRecPtr	prev_lsn;		/* the last whole record; 0 if not known */
	uint32		rest;			/* bytes of the record still to come */

	/* the header being collected: a page's, or a record's length */
	uint32		have;
	uint8		header[WZ_PAGE_LONG];

	/* what page headers of this stream say */
	bool		know_page;
	bool		know_long;
	uint32		tli;
	uint16		page_flags;		/* those that go on from page to page */
	uint8		long_part[WZ_PAGE_LONG - WZ_PAGE_SHORT];
} WsWalzCursor;

/* Does walz know the layout of WAL with this page magic? */
extern bool ws_walz_magic_known(uint16 magic);

/* Start at lsn, knowing nothing. */
extern void ws_walz_cursor_init(WsWalzCursor *cursor,
								const WsCodecParams *params, XLogRecPtr lsn);

/*
 * Follow the stream over the bytes at data up to the next place where the
 * state is WZ_READY, but at least over one byte and at most over len.  Returns
 * how far that was.
 */
extern size_t ws_walz_cursor_feed(WsWalzCursor *cursor, const uint8 *data,
								  size_t len);

/*
 * The bytes that a record of this length takes up in the stream from the
 * cursor (which is WZ_READY) on, with page headers and padding.  0 if the
 * cursor cannot predict the page headers.
 */
extern size_t ws_walz_cursor_span(const WsWalzCursor *cursor, uint32 rec_len);

/*
 * Is there a whole record at the cursor, just as the cursor predicts, with the
 * right CRC?  data holds len bytes of the stream.  Returns the record's bytes,
 * or NULL.  A record that crosses a page is put together in scratch, of
 * scratch_size bytes.
 */
extern const uint8 *ws_walz_cursor_peek(const WsWalzCursor *cursor,
										const uint8 *data, size_t len,
										uint8 *scratch, size_t scratch_size,
										uint32 *rec_len);

/*
 * Complete a record with what the cursor knows (back-pointer, padding, CRC),
 * and write it to dst as the stream has it.  dst has room for its span.
 */
extern void ws_walz_cursor_lay(const WsWalzCursor *cursor, uint8 *record,
							   uint32 rec_len, uint8 *dst);

/*
 * Parts of a record, of which "rest" bytes are still to come: how much of the
 * next len bytes of the stream is this record's, page headers counted, and in
 * *n how many bytes of it.  0 if the cursor cannot predict the page headers, or
 * len ends in or behind one.
 */
extern size_t ws_walz_cursor_part(const WsWalzCursor *cursor, size_t len,
								  uint32 rest, uint32 *n);

/*
 * Bytes done to end of a record of this length, of which the cursor is at
 * "done": take them from the stream at data, if page headers are as predicted;
 * or put them into it at dst.  spread returns where the stream goes on.
 */
extern bool ws_walz_cursor_gather(const WsWalzCursor *cursor, const uint8 *data,
								  uint32 rec_len, uint32 done, uint32 end,
								  uint8 *to);
extern uint8 *ws_walz_cursor_spread(const WsWalzCursor *cursor,
									const uint8 *from, uint32 rec_len,
									uint32 done, uint32 end, uint8 *dst);

/* Go on over a record of this length that is just as predicted: its span. */
extern size_t ws_walz_cursor_pass(WsWalzCursor *cursor, uint32 rec_len);

#endif							/* WS_PURE_WALZ_CURSOR_H */
