/*-------------------------------------------------------------------------
 *
 * cursor.h
 *	  Follows page headers and records in a stream of WAL.
 *
 * A cursor follows a stream of WAL through page headers and records, in
 * whatever pieces the stream is cut into.  Encoder and decoder each have a
 * cursor and pass it the same bytes, so both always know whether a record
 * begins at the current position, and what a regular page header and record
 * would contain there.  Correctness never depends on what the cursor
 * concludes: a record that is not exactly as predicted is sent raw.
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
 * An invalid page header, or a length that no record can have, leads to
 * WZ_LOST; the next valid page header leads out of it.
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

	/* the page header or record length being collected */
	uint32		have;
	uint8		header[WZ_PAGE_LONG];

	/*
	 * Fields of this stream's page headers.  They are known where a record
	 * begins or continues, since only a valid page header leads there;
	 * long_part is known if know_long is set.
	 */
	bool		know_long;
	uint32		tli;
	uint16		page_flags;		/* those that stay the same from page to page */
	uint8		long_part[WZ_PAGE_LONG - WZ_PAGE_SHORT];
} WsWalzCursor;

/* Returns true if walz knows the layout of WAL with this page magic. */
extern bool ws_walz_magic_known(uint16 magic);

/* Start at lsn without knowing anything. */
extern void ws_walz_cursor_init(WsWalzCursor *cursor,
								const WsCodecParams *params, XLogRecPtr lsn);

/*
 * Advance over the bytes at data to the next place where the state is
 * WZ_READY, by at least one byte and at most len.  Returns the number of
 * bytes.
 */
extern size_t ws_walz_cursor_feed(WsWalzCursor *cursor, const uint8 *data,
								  size_t len);

/*
 * Returns how many bytes of the stream a record of this length takes up from
 * the cursor (which is WZ_READY) on, with page headers and padding. 0 if the
 * cursor cannot predict the page headers.
 */
extern size_t ws_walz_cursor_span(const WsWalzCursor *cursor, uint32 rec_len);

/*
 * Look for a complete record at the cursor that is exactly as predicted and
 * has the right CRC. data holds len bytes of the stream.  Returns the record's
 * bytes, or NULL.  A record that crosses a page boundary is put together in
 * scratch, which has scratch_size bytes.
 */
extern const uint8 *ws_walz_cursor_peek(const WsWalzCursor *cursor,
										const uint8 *data, size_t len,
										uint8 *scratch, size_t scratch_size,
										uint32 *rec_len);

/*
 * Complete a record with what the cursor knows (back-pointer, padding, CRC),
 * and write it to dst as it stands in the stream.  dst has room for its span.
 */
extern void ws_walz_cursor_lay(const WsWalzCursor *cursor, uint8 *record,
							   uint32 rec_len, uint8 *dst);

/*
 * For a record of which "rest" bytes are still to come: returns how many of
 * the next len bytes of the stream belong to it, page headers included, and
 * sets *n to the number of record bytes among them. 0 if the cursor cannot
 * predict the page headers, or if len ends within or right after one.
 */
extern size_t ws_walz_cursor_part(const WsWalzCursor *cursor, size_t len,
								  uint32 rest, uint32 *n);

/*
 * Copy the bytes from "done" to "end" of a record of this length, with the
 * cursor at "done": out of the stream at data, if its page headers are as
 * predicted, or into the stream at dst.  The spread function returns where the
 * stream continues.
 */
extern bool ws_walz_cursor_gather(const WsWalzCursor *cursor, const uint8 *data,
								  uint32 rec_len, uint32 done, uint32 end,
								  uint8 *to);
extern uint8 *ws_walz_cursor_spread(const WsWalzCursor *cursor,
									const uint8 *from, uint32 rec_len,
									uint32 done, uint32 end, uint8 *dst);

/*
 * Advance over a record of this length that is exactly as predicted.  Returns
 * its span.
 */
extern size_t ws_walz_cursor_pass(WsWalzCursor *cursor, uint32 rec_len);

#endif							/* WS_PURE_WALZ_CURSOR_H */
