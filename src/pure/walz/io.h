/*-------------------------------------------------------------------------
 *
 * io.h
 *	  The entropy stage of walz: codes the values that the model puts out.
 *
 * The model puts out three kinds of values: codes (one of several choices) and
 * literals (bytes that it could not predict), each with a context that says
 * what is being coded, and runs of raw bytes.  They are encoded in one of two
 * ways:
 *
 * WS_WALZ_PLAIN	codes, literals and raw bytes are each collected in a
 *					stream, and zstd compresses the three together.  For large
 *					blocks.
 * WS_WALZ_RANGE	codes and literals go through an adaptive range coder,
 *					whose probabilities are chosen by context; only raw bytes
 *					are left to zstd.  For small blocks, where zstd's tables
 *					and headers cost more than they save, and for those that
 *					hold few codes and literals.
 *
 * The same functions code and decode: each takes the value to code, and
 * returns the value coded or decoded.  So the model is written once for both
 * ends.
 *
 * Nothing is written or read out of bounds.  A stream that is full, or has
 * nothing left to read, sets "failed", and decoding then returns zeros; the
 * caller must look at "failed" before it uses a result.
 *
 * The range coder's output is a number between 0 and 1 in base 256,
 * big-endian, without zeros at its end: the shortest number that lies,
 * whatever may follow it, within the interval that the symbols lead to.  A
 * byte is coded as a flag that says whether it is the last byte of its
 * context, and if it is not, as two symbols of sixteen, the high half and the
 * low half.  The high half selects the probabilities of the low half; after a
 * rare high half the byte could be anything, and all low halves get the same
 * probability.  All probabilities of a half are updated at once, which
 * processors do in a few instructions; this takes half the time of eight
 * binary decisions.  (The idea comes from the adaptive models that F. Giesen
 * described for LZNA, the handling of carries from the range coder of LZMA.)
 *
 * In a server the tables have left the processor's caches when the next commit
 * comes, and most of the coder's time goes into fetching them.  So the
 * guesses, which are looked at first, are small and lie close together for the
 * fields of one record, and most bytes need one more cache line or none.  And
 * since a transaction is often like the one before, each block begins by
 * prefetching the cache lines that the last block used.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_IO_H
#define WS_PURE_WALZ_IO_H

#include "pure/walz/layout.h"

typedef enum WsWalzMode
{
	WS_WALZ_PLAIN,
	WS_WALZ_RANGE
} WsWalzMode;

/* Coding: len bytes of size are filled.  Decoding: pos of len are used. */
typedef struct WsWalzStream
{
	uint8	   *data;
	size_t		size;
	size_t		len;
	size_t		pos;
} WsWalzStream;

/* The guess for the next byte of a context. */
typedef struct WsWalzGuess
{
	uint16		again;			/* probability, of 65536, that it is again ... */
	uint8		last;			/* ... the byte that came last */
	uint8		favourite;		/* the first high half seen; WZ_HALVES if none */
} WsWalzGuess;

/*
 * Probabilities of halves of a byte, in a cache line.  Element i, from 1 on,
 * of high and low estimates the probability, of WZ_CERTAIN, that the half is
 * less than i, so the elements never decrease.  Element 0 counts the halves
 * seen, up to WZ_SEEN_MAX.  A context's own line has the probabilities of the
 * high half, and of the low half after the favourite high half; after another
 * high half, the low half has a line of its own.
 */
#define WZ_HALVES			16
#define WZ_CERTAIN			65504
#define WZ_SEEN_MAX			31

typedef struct WsWalzLine
{
	uint16		high[WZ_HALVES];
	uint16		low[WZ_HALVES];
} WsWalzLine;

/*
 * Numbers of lines and of guesses, and how many guesses lie together.
 * Contexts that hash to the same line or group share its numbers, which costs
 * some compression and nothing else.  The benchmark tries other sizes.
 */
#ifndef WZ_LINES_LOG
#define WZ_LINES_LOG		12
#endif
#define WZ_LINES			(1 << WZ_LINES_LOG)
#define WZ_GROUP_LOG		4
#define WZ_GUESS_GROUP		(1 << WZ_GROUP_LOG)
#define WZ_GUESSES_LOG		(WZ_LINES_LOG + 1)
#define WZ_GUESSES			(1 << WZ_GUESSES_LOG)

/* The tables, aligned to a cache line. */
typedef struct WsWalzTables
{
	WsWalzLine	lines[WZ_LINES];
	WsWalzGuess guesses[WZ_GUESSES];
} WsWalzTables;

/* Most cache lines that the beginning of a block prefetches. */
#define WZ_TOUCHED			256

typedef struct WsWalzIo
{
	bool		decoding;
	WsWalzMode	mode;
	bool		failed;
	size_t		symbols;		/* codes and literals in this block */
	WsWalzStream code;			/* range mode: the range coder's bytes */
	WsWalzStream literal;
	WsWalzStream raw;

	/* range coder; the interval is [low, low + range) */
	uint64		low;			/* decoding: the number minus low */
	uint64		range;
	bool		tables_used;
	WsWalzTables *tables;
	uint32		touched[WZ_TOUCHED];	/* the cache lines used last */
	uint32		ntouched;		/* by this block; wraps around in touched */
} WsWalzIo;

/*
 * Contexts.  A context is a class of records (0 to 4096) and a number below
 * 1024.  The number is the base of a kind of values plus a number within that
 * kind.  The kinds that every record has come first, in one group of guesses.
 */
typedef enum WsWalzKind
{
	WZ_KIND_CLASS = 0,
	WZ_KIND_LENGTHS = 4,
	WZ_KIND_MASK = 5,
	WZ_KIND_CUT = 6,
	WZ_KIND_BLOCK = 8,
	WZ_KIND_OP = 16,
	WZ_KIND_TUPLES = 32,
	WZ_KIND_PART = 48,
	WZ_KIND_IMAGE = 80,
	WZ_KIND_BLOCK_NUMBER = 128,
	WZ_KIND_LENGTH = 192,
	WZ_KIND_XID = 256,
	WZ_KIND_TIME = 288,
	WZ_KIND_SHAPE = 400,
	WZ_KIND_MASK_BYTE = 512,
	WZ_KIND_BODY = 576
} WsWalzKind;

#define WZ_CONTEXT(kind, class, n) \
	((uint32) (class) << 10 | (uint32) ((kind) + (n)))

/* Reset all probabilities to their initial values. */
extern void ws_walz_io_forget(WsWalzIo *io);

/* Begin a block, whose streams have been set up. */
extern void ws_walz_io_begin(WsWalzIo *io);

/*
 * Finish a block.  When coding in range mode, this completes the range coder's
 * bytes.
 */
extern void ws_walz_io_end(WsWalzIo *io);

extern uint8 ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value);

static inline uint8
wz_stream_byte(WsWalzIo *io, WsWalzStream *stream, uint8 value)
{
	if (io->decoding)
	{
		if (stream->pos < stream->len)
			return stream->data[stream->pos++];
		io->failed = true;
		return 0;
	}
	if (stream->len < stream->size)
		stream->data[stream->len++] = value;
	else
		io->failed = true;
	return value;
}

/* Code one of several choices. */
static inline uint8
ws_walz_code(WsWalzIo *io, uint32 context, uint8 value)
{
	io->symbols++;
	if (io->mode == WS_WALZ_RANGE)
		return ws_walz_range_byte(io, context, value);
	return wz_stream_byte(io, &io->code, value);
}

/* Code a byte that was not predicted. */
static inline uint8
ws_walz_literal(WsWalzIo *io, uint32 context, uint8 value)
{
	io->symbols++;
	if (io->mode == WS_WALZ_RANGE)
		return ws_walz_range_byte(io, context, value);
	return wz_stream_byte(io, &io->literal, value);
}

/*
 * Code a number in literals: seven bits a byte, least significant first.  Uses
 * the contexts from context to context + 9.
 */
extern uint64 ws_walz_number(WsWalzIo *io, uint32 context, uint64 value);

/* Code a signed number in the same way, zigzag-coded. */
static inline int64
ws_walz_signed(WsWalzIo *io, uint32 context, int64 value)
{
	uint64		u = ws_walz_number(io, context,
								   ((uint64) value << 1) ^ (uint64) (value >> 63));

	return (int64) (u >> 1) ^ -(int64) (u & 1);
}

/* Code n raw bytes from p, or decode them to p. */
static inline void
ws_walz_raw(WsWalzIo *io, uint8 *p, size_t n)
{
	WsWalzStream *stream = &io->raw;

	if (io->decoding)
	{
		if (stream->len - stream->pos < n)
		{
			io->failed = true;
			memset(p, 0, n);
			return;
		}
		memcpy(p, stream->data + stream->pos, n);
		stream->pos += n;
		return;
	}
	if (stream->size - stream->len < n)
	{
		io->failed = true;
		return;
	}
	memcpy(stream->data + stream->len, p, n);
	stream->len += n;
}

/*
 * Returns room for n raw bytes to be coded in place, or the next n raw bytes
 * to be decoded; NULL if there are none.
 */
static inline uint8 *
ws_walz_raw_reserve(WsWalzIo *io, size_t n)
{
	WsWalzStream *stream = &io->raw;
	uint8	   *p;

	if ((io->decoding ? stream->len - stream->pos : stream->size - stream->len) < n)
	{
		io->failed = true;
		return NULL;
	}
	if (io->decoding)
	{
		p = stream->data + stream->pos;
		stream->pos += n;
	}
	else
	{
		p = stream->data + stream->len;
		stream->len += n;
	}
	return p;
}

#endif							/* WS_PURE_WALZ_IO_H */
