/*-------------------------------------------------------------------------
 *
 * piece.h
 *	  Format of an encoded block, and the object that encodes or decodes it.
 *
 * A block is coded in pieces of at most 16 WAL blocks; the blocks of a stream
 * are not longer, and are one piece each.  A piece:
 *
 *		size	field
 *		var		length of the rest of this piece; absent in the last one
 *		1		form
 *	  form 0, as it is (also WAL of an unknown version):
 *		rest	zstd: the bytes
 *	  form 1, modelled, for larger pieces:
 *		var		length of codes
 *		var		length of literals
 *		var		length of raw bytes
 *		rest	zstd: codes, literals, raw bytes
 *	  form 2, modelled, range coder, without raw bytes:
 *		rest	range coder
 *	  form 3, modelled, range coder:
 *		var		length of the range coder's bytes
 *		var		length of raw bytes
 *		var		range coder
 *		rest	zstd: raw bytes
 *
 * "zstd" is codec/zstd.c, with one history for the whole stream.  The modelled
 * forms stand for a sequence of records and raw runs.  Where the cursor
 * (walz/cursor.h) is at a possible start of a record, a code (walz/model.h)
 * tells whether a record or a raw run follows; elsewhere a raw run follows.  A
 * raw run extends to the next possible start of a record, or to the end of the
 * piece, so neither its length nor an end mark is sent.
 *
 * A record is modelled only if it is complete in the piece, its CRC is right
 * and everything around it (page headers, back-pointer, padding) is as the
 * cursor predicts.  So a record that begins in one piece and ends in another
 * is raw except for its images (walz/part.h), nothing is held back, and
 * damaged WAL is coded like any other bytes.
 *
 * After form 0 both ends forget what the model has learned, so that an encoder
 * that has run into a limit in the middle of a piece can start again.
 *
 * An encoder checks that the decoder will write the same record header.  If
 * compiled with WS_WALZ_VERIFY, it decodes everything that it encodes and
 * fails if the result differs from the input; a stream then sends the block as
 * it is.
 *
 * The decoder computes the record CRCs that are left out.  These do not
 * protect the transfer; the CRC of the enclosing frame does, which is computed
 * over the WAL itself.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_PIECE_H
#define WS_PURE_WALZ_PIECE_H

#include "pure/codec/walz.h"
#include "pure/walz/cursor.h"
#include "pure/walz/model.h"
#include "pure/walz/part.h"

#define WZ_FORM_ZSTD			0
#define WZ_FORM_PLAIN			1
#define WZ_FORM_RANGE			2
#define WZ_FORM_RANGE_RAW		3

/*
 * How much larger than its input a modelled piece may get before it is given
 * up.
 */
#define WZ_SLACK				64

/* room for the fields in front of a piece: var, form, three var */
#define WZ_PIECE_HEADER_MAX	(5 + 1 + 3 * 5)

/* The object of an encoder or decoder. */
typedef struct WsWalz
{
	bool		known;			/* the WAL's layout is known; if not, zstd
								 * only */
	bool		started;		/* the cursor has been set */
	WsCodecParams params;
	size_t		piece_max;
	void	   *zstd;			/* codec_zstd's encoder or decoder */
	WsWalzCursor cursor;
	WsWalzIo	io;
	WsWalzModel *model;
	WsWalzRecord record;
	WsWalzPart	part;
	uint8	   *scratch;		/* for one record: piece_max and its header */
	uint8	   *streams;		/* codes, literals and raw bytes together */
	bool		sparse;			/* encoder only: the piece before had few
								 * symbols */
	WsWalzObserver observer;	/* encoder only; may be NULL */
	void	   *observer_arg;
#ifdef WS_WALZ_VERIFY
	void	   *verifier;		/* encoder only: a decoder */
#endif
} WsWalz;

/* Room for a stream, which is never larger than a piece. */
static inline size_t
ws_walz_stream_size(const WsWalz *walz)
{
	return walz->piece_max + WZ_SLACK;
}

static inline void
ws_walz_set_stream(WsWalzStream *stream, uint8 *data, size_t size, size_t len)
{
	stream->data = data;
	stream->size = size;
	stream->len = len;
	stream->pos = 0;
}

/* Returns true if walz knows the layout of this WAL. */
extern bool ws_walz_knows(const WsCodecParams *params);

/*
 * Size of an encoder or decoder without zstd's memory, a multiple of its
 * alignment, which is WS_ENCODER_ALIGN; and make one of a block of that size,
 * whatever that holds.
 */
extern size_t ws_walz_size(const WsCodecParams *params, bool decoding);
extern void ws_walz_init(WsWalz *walz, const WsCodecParams *params, bool decoding);

/* Note that the stream begins or continues at lsn. */
extern void ws_walz_go_to(WsWalz *walz, XLogRecPtr lsn);

/* Forget everything learned, but not the position in the stream. */
extern void ws_walz_forget(WsWalz *walz);

/* Encode, or decode, a block; the cursor is at its start. */
extern WsStatus ws_walz_encode(WsWalz *walz, const uint8 *src, size_t src_len,
							   uint8 *dst, size_t dst_size, size_t *dst_len);
extern WsStatus ws_walz_decode(WsWalz *walz, const uint8 *src, size_t src_len,
							   uint8 *dst, size_t dst_len);

#endif							/* WS_PURE_WALZ_PIECE_H */
