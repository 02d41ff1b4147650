/*-------------------------------------------------------------------------
 *
 * io.h
 *	  The entropy stage of walz: where the model's small values go to, and
 *	  come from.
 *
 * The model puts out three kinds of things: codes (which of some choices),
 * literals (bytes that it could not predict), each with a context that says
 * what is being coded, and runs of raw bytes.  They leave in one of two ways:
 *
 * WS_WALZ_PLAIN	codes, literals and raw bytes gather in a stream each,
 *					which zstd compresses together.  For large blocks.
 * WS_WALZ_RANGE	codes and literals go through an adaptive binary range
 *					coder, whose probabilities are chosen by context; only raw
 *					bytes are left to zstd.  For small blocks, where zstd's
 *					tables and headers cost more than what they save, and for
 *					those that hold few codes and literals.
 *
 * The same functions code and decode: each takes the value to code, and gives
 * the value coded or decoded.  So the model is written once for both ends.
 *
 * Nothing is written or read out of bounds.  A stream that is full, or has
 * nothing left to read, sets failed, and decoding then gives zeros; the caller
 * looks at failed before it uses what it got.
 *
 * The range coder's output is a number between 0 and 1, big-endian base 256: the
 * shortest one, with zeros at its end left out, such that it lies with any
 * continuation in the interval that the symbols lead to.  A byte is coded as a
 * flag, whether it is the byte that came last in its context, and if it is not,
 * as two symbols of sixteen, the high half and the low half.  Which probabilities
 * the low half is coded with depends on the high half; all are the same where a
 * rare high half says that the byte could be anything.  The probabilities of a
 * half are updated all at once, which processors do in a few instructions; it
 * takes half the time that eight binary decisions take.  (The idea is that of
 * F. Giesen's adaptive models for LZNA, the carry in the coder is that of the
 * range coder of LZMA.)
 *
 * In a server the tables have left the processor's caches when the next commit
 * comes, and most of the coder's time goes into fetching them.  So what is looked
 * at first, the guesses, is small and lies close together for what belongs to the
 * same record, and most bytes need one more cache line or none.  And since one
 * transaction is often like the last, a block begins by prefetching all at once
 * what the one before it has used.
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

/* What a context's byte may be. */
typedef struct WsWalzGuess
{
	uint16		again;			/* the probability, of 65536, that it is ... */
	uint8		last;			/* ... the byte that came last */
	uint8		favourite;		/* the high half that came first; WZ_HALVES if
								 * none has */
} WsWalzGuess;

/*
 * Probabilities of halves of a byte, in a cache line.  Element i, from 1 on, of
 * high and low is an estimate of the probability that the half is less than i,
 * of WZ_CERTAIN; elements do not fall from one to the next.  Element 0 counts
 * what was seen, up to WZ_SEEN_MAX.  A context's own line has the probabilities
 * of the high half, and those of the low half after the favourite high half;
 * after others the low half has lines of its own.
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
 * How many lines there are, and guesses, of which WZ_GUESS_GROUP lie together.
 * Contexts that meet in a line or a group share its numbers, which costs some
 * compression and nothing else.  The benchmark tries other sizes.
 */
#ifndef WZ_LINES_LOG
#define WZ_LINES_LOG		12
#endif
#define WZ_LINES			(1 << WZ_LINES_LOG)
#define WZ_GROUP_LOG		4
#define WZ_GUESS_GROUP		(1 << WZ_GROUP_LOG)
#define WZ_GUESSES_LOG		(WZ_LINES_LOG + 1)
#define WZ_GUESSES			(1 << WZ_GUESSES_LOG)

/* On a boundary of cache lines. */
typedef struct WsWalzTables
{
	WsWalzLine	lines[WZ_LINES];
	WsWalzGuess guesses[WZ_GUESSES];
} WsWalzTables;

/* Cache lines of the tables that a block's beginning prefetches, at most. */
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

	/* range coder; the interval is low to low + range, exclusive */
	uint64		low;			/* decoding: the number, less low */
	uint64		range;
	bool		tables_used;
	WsWalzTables *tables;
	uint32		touched[WZ_TOUCHED];	/* the cache lines used last */
	uint32		ntouched;		/* by this block; wraps around in touched */
} WsWalzIo;

/*
 * Contexts.  A class of records (0 to 4096), and a number below 1024: that of a
 * kind, which has as many as it needs, plus a number within the kind.  What every
 * record has comes first, in one group of guesses.
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

/* Set all probabilities to where they begin. */
extern void ws_walz_io_forget(WsWalzIo *io);

/* A block begins; its streams have been set up. */
extern void ws_walz_io_begin(WsWalzIo *io);

/* Coding in range mode: complete the range coder's bytes. */
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

/* One of some choices. */
static inline uint8
ws_walz_code(WsWalzIo *io, uint32 context, uint8 value)
{
	io->symbols++;
	if (io->mode == WS_WALZ_RANGE)
		return ws_walz_range_byte(io, context, value);
	return wz_stream_byte(io, &io->code, value);
}

/* A byte that was not predicted. */
static inline uint8
ws_walz_literal(WsWalzIo *io, uint32 context, uint8 value)
{
	io->symbols++;
	if (io->mode == WS_WALZ_RANGE)
		return ws_walz_range_byte(io, context, value);
	return wz_stream_byte(io, &io->literal, value);
}

/*
 * A number, in literals: seven bits a byte, least significant first.  Takes
 * the contexts from context to context + 9.
 */
extern uint64 ws_walz_number(WsWalzIo *io, uint32 context, uint64 value);

/* The same with a sign, zigzag-coded. */
static inline int64
ws_walz_signed(WsWalzIo *io, uint32 context, int64 value)
{
	uint64		u = ws_walz_number(io, context,
								   ((uint64) value << 1) ^ (uint64) (value >> 63));

	return (int64) (u >> 1) ^ -(int64) (u & 1);
}

/* n raw bytes at p: taken from there, or put there. */
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
 * Room for n raw bytes to be coded in place, or the next n raw bytes to be
 * decoded; NULL if there are none.
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
