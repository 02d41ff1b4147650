/*-------------------------------------------------------------------------
 *
 * io.c
 *	  The entropy stage of walz: the range coder.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "pure/walz/io.h"

/*
 * Adaptation rates.  Estimates move by 1/4 of the way at first, and by 1 /
 * 2^SLOWEST once WZ_SEEN_MAX halves have been seen; the probability of a guess
 * moves by 1 / 2^AGAIN.
 */
#define FASTEST		2
#define SLOWEST		7
#define AGAIN		5
#define HALF		32768

/* Sum of a line's probabilities, as used in the range coder. */
#define TOTAL_LOG	15
#define TOTAL		(1 << TOTAL_LOG)

/*
 * A high half that is less probable than this, of TOTAL, does not help to
 * predict the low half.
 */
#define RARE		(TOTAL / 8)

StaticAssertDecl(1 << (SLOWEST - FASTEST) == WZ_SEEN_MAX + 1,
				 "estimates must be slowest when WZ_SEEN_MAX have been seen");
StaticAssertDecl(WZ_GUESS_GROUP * sizeof(WsWalzGuess) == sizeof(WsWalzLine),
				 "a group of guesses must be a cache line");

void
ws_walz_io_forget(WsWalzIo *io)
{
	WsWalzTables *tables = io->tables;

	if (!io->tables_used)
		return;
	io->tables_used = false;
	for (int i = 0; i < WZ_HALVES; i++)
		tables->lines[0].high[i] = tables->lines[0].low[i] =
			i * (WZ_CERTAIN / WZ_HALVES);
	for (size_t n = 1; n < WZ_LINES; n *= 2)
		memcpy(&tables->lines[n], &tables->lines[0], n * sizeof(WsWalzLine));
	for (size_t n = 0; n < WZ_GUESSES; n++)
	{
		tables->guesses[n].again = HALF;
		tables->guesses[n].last = 0;
		tables->guesses[n].favourite = WZ_HALVES;
	}
}

static void
prefetch_tables(WsWalzIo *io)
{
	const char *tables = (const char *) io->tables;

#ifdef __GNUC__
	for (uint32 i = 0; i < Min(io->ntouched, WZ_TOUCHED); i++)
		__builtin_prefetch(tables + io->touched[i] * sizeof(WsWalzLine), 1);
#endif
	io->ntouched = 0;
}

void
ws_walz_io_begin(WsWalzIo *io)
{
	if (io->mode == WS_WALZ_RANGE)
		prefetch_tables(io);
	io->failed = false;
	io->symbols = 0;
	io->low = 0;
	io->range = PG_UINT64_MAX;
	if (!io->decoding || io->mode != WS_WALZ_RANGE)
		return;
	for (int i = 0; i < (int) sizeof(io->low); i++)
	{
		io->low <<= 8;
		if (io->code.pos < io->code.len)
			io->low |= io->code.data[io->code.pos++];
	}
}

/*
 * The range coder's state while a byte is coded.  A local copy can stay in
 * registers; with the one in WsWalzIo the compiler must assume that writes to
 * probabilities change it.
 */
typedef struct Coder
{
	uint64		low;			/* as in WsWalzIo */
	uint64		range;
	uint8	   *start;			/* coding: start of the output */
	uint8	   *pos;			/* next byte of the stream */
	uint8	   *end;
	bool		full;
} Coder;

static pg_attribute_always_inline Coder
load_coder(const WsWalzIo *io, bool decoding)
{
	const WsWalzStream *stream = &io->code;
	Coder		coder;

	coder.low = io->low;
	coder.range = io->range;
	coder.start = stream->data;
	coder.pos = stream->data + (decoding ? stream->pos : stream->len);
	coder.end = stream->data + (decoding ? stream->len : stream->size);
	coder.full = false;
	return coder;
}

static pg_attribute_always_inline void
store_coder(WsWalzIo *io, const Coder *coder, bool decoding)
{
	WsWalzStream *stream = &io->code;

	io->low = coder->low;
	io->range = coder->range;
	if (decoding)
		stream->pos = coder->pos - stream->data;
	else
		stream->len = coder->pos - stream->data;
	io->failed |= coder->full;
}

/* Add the carry to the bytes already written. */
static void
carry(uint8 *start, uint8 *pos)
{
	while (pos > start && ++*--pos == 0)
		;
}

/*
 * Narrow the interval to the part that begins at offset and has this length.
 */
static pg_attribute_always_inline void
narrow(Coder *coder, bool decoding, uint64 offset, uint64 range)
{
	if (decoding)
		coder->low -= offset;
	else
	{
		coder->low += offset;
		if (unlikely(coder->low < offset))
			carry(coder->start, coder->pos);
	}
	coder->range = range;
}

/*
 * Shift the settled bytes of low out, and as many in, so that range is at
 * least 2^56; a byte takes at most 2^41 of it.  The number of bytes is as
 * unpredictable as the data, so the code does not branch on it.
 */
static pg_attribute_always_inline void
widen(Coder *coder, bool decoding)
{
	int			bytes = (63 - pg_leftmost_one_pos64(coder->range)) / 8;
	uint64		next;

	if (likely(coder->end - coder->pos >= (int) sizeof(next)))
	{
		if (decoding)
		{
			memcpy(&next, coder->pos, sizeof(next));
			next = pg_ntoh64(next);
		}
		else
		{
			next = pg_hton64(coder->low);
			memcpy(coder->pos, &next, sizeof(next));
			next = 0;
		}
		coder->pos += bytes;
	}
	else
	{
		next = 0;
		for (int i = 0; i < bytes; i++)
		{
			/* zeros at the end of the stream are not sent */
			if (coder->pos == coder->end)
				coder->full = !decoding;
			else if (decoding)
				next |= (uint64) *coder->pos++ << (56 - 8 * i);
			else
				*coder->pos++ = (uint8) (coder->low >> (56 - 8 * i));
		}
	}
	/* a shift by 64 is undefined */
	coder->low = coder->low << (8 * bytes) | next >> 8 >> (56 - 8 * bytes);
	coder->range <<= 8 * bytes;
}

/* Code a flag that is set with probability p / 65536. */
static pg_attribute_always_inline bool
code_flag(Coder *coder, bool decoding, uint32 p, bool flag)
{
	uint64		bound;

	/* neither value may be impossible */
	p = (int) p + (HALF - (int) p) / 1024;
	bound = (coder->range >> 16) * p;
	if (decoding)
		flag = coder->low < bound;
	if (flag)
		narrow(coder, decoding, 0, bound);
	else
		narrow(coder, decoding, bound, coder->range - bound);
	return flag;
}

/*
 * Returns the probability that the half is less than i.  No half has
 * probability zero.
 */
static inline uint16
below(const uint16 *estimates, int i)
{
	return (estimates[i] >> 1) + i;
}

/*
 * Find the half that the number "at", of TOTAL, stands for.  This loop and the
 * one in learn_half are written so that compilers vectorize them.
 */
static inline int
find_half(const uint16 *estimates, uint16 at)
{
	uint16		half = 0;

	for (uint16 i = 0; i < WZ_HALVES; i++)
		half += (below(estimates, i) <= at) & (i > 0);
	return half;
}

/* Move the estimates towards the half that was seen, and count it. */
static inline void
learn_half(uint16 *estimates, uint16 half)
{
	uint16		seen = estimates[0];
	int			rate = FASTEST + pg_leftmost_one_pos32(seen + 1);

	for (uint16 i = 0; i < WZ_HALVES; i++)
	{
		uint16		above = 0 - (i > half);
		uint16		under = 0 - (i <= half);
		uint16		left = WZ_CERTAIN - estimates[i];
		uint16		up = (left >> rate) & above;
		uint16		down = (estimates[i] >> rate) & under;

		estimates[i] += up - down;
	}
	estimates[0] = Min(seen + 1, WZ_SEEN_MAX);
}

/* Code a half, and set *width to the probability that it had, of TOTAL. */
static pg_attribute_always_inline int
code_half(Coder *coder, bool decoding, uint16 *estimates, int half,
		  uint32 *width)
{
	uint64		unit = coder->range >> TOTAL_LOG;
	uint32		begin;
	uint32		end;

	if (decoding)
		half = find_half(estimates, Min(coder->low / unit, TOTAL - 1));
	begin = half == 0 ? 0 : below(estimates, half);
	end = half == WZ_HALVES - 1 ? TOTAL : below(estimates, half + 1);
	*width = end - begin;
	narrow(coder, decoding, unit * begin,
		   half == WZ_HALVES - 1 ? coder->range - unit * begin : unit * *width);
	learn_half(estimates, half);
	return half;
}

/* Code a half with all values equally probable. */
static pg_attribute_always_inline int
code_any_half(Coder *coder, bool decoding, int half)
{
	uint64		unit = coder->range / WZ_HALVES;

	if (decoding)
		half = Min(coder->low / unit, WZ_HALVES - 1);
	narrow(coder, decoding, unit * half,
		   half == WZ_HALVES - 1 ? coder->range - unit * half : unit);
	return half;
}

static inline size_t
hash_context(uint32 context, int bits)
{
	return (context * UINT64CONST(0x9E3779B97F4A7C15)) >> (64 - bits);
}

/*
 * Note that this block used the n-th cache line of the tables, so that the
 * next block prefetches it.
 */
static inline void *
touch(WsWalzIo *io, size_t n)
{
	io->touched[io->ntouched++ % WZ_TOUCHED] = (uint32) n;
	return (char *) io->tables + n * sizeof(WsWalzLine);
}

static inline WsWalzLine *
find_line(WsWalzIo *io, uint32 context)
{
	return touch(io, hash_context(context, WZ_LINES_LOG));
}

static inline WsWalzGuess *
find_guess(WsWalzIo *io, uint32 context)
{
	WsWalzGuess *group =
		touch(io, WZ_LINES + hash_context(context / WZ_GUESS_GROUP,
										  WZ_GUESSES_LOG - WZ_GROUP_LOG));

	return &group[context % WZ_GUESS_GROUP];
}

/* Code a byte that is not the last one of its context. */
static pg_attribute_always_inline uint8
code_other(WsWalzIo *io, Coder *coder, bool decoding, uint32 context,
		   WsWalzGuess *guess, uint8 value)
{
	WsWalzLine *line = find_line(io, context);
	uint32		width;
	int			high = code_half(coder, decoding, line->high, value >> 4, &width);
	int			low = value & 15;

	if (guess->favourite == WZ_HALVES)
		guess->favourite = high;
	if (high == guess->favourite)
		low = code_half(coder, decoding, line->low, low, &width);
	else if (width < RARE)
		low = code_any_half(coder, decoding, low);
	else
	{
		line = find_line(io, context ^ (uint32) (high + 1) << 27);
		low = code_half(coder, decoding, line->low, low, &width);
	}
	return high << 4 | low;
}

static pg_attribute_always_inline uint8
code_byte(WsWalzIo *io, bool decoding, uint32 context, uint8 value)
{
	WsWalzGuess *guess = find_guess(io, context);
	Coder		coder = load_coder(io, decoding);

	if (code_flag(&coder, decoding, guess->again, value == guess->last))
	{
		guess->again += (PG_UINT16_MAX - guess->again) >> AGAIN;
		value = guess->last;
	}
	else
	{
		guess->again -= guess->again >> AGAIN;
		value = code_other(io, &coder, decoding, context, guess, value);
		guess->last = value;
	}
	widen(&coder, decoding);
	store_coder(io, &coder, decoding);
	return value;
}

uint8
ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value)
{
	io->tables_used = true;

	/* called at two places, so that each is compiled for its direction */
	if (io->decoding)
		return code_byte(io, true, context, value);
	return code_byte(io, false, context, value);
}

/*
 * Write the shortest number in the interval whose missing bytes can all be
 * zero.
 */
void
ws_walz_io_end(WsWalzIo *io)
{
	WsWalzStream *stream = &io->code;

	for (int n = 0; n <= 8; n++)
	{
		uint64		mask = n == 8 ? 0 : PG_UINT64_MAX >> (8 * n);
		uint64		v = (io->low + mask) & ~mask;

		/* from here on modulo 2^64 */
		if (v - io->low >= io->range)
			continue;
		if (v < io->low)
			carry(stream->data, stream->data + stream->len);
		for (int i = 0; i < n; i++)
		{
			if (stream->len < stream->size)
				stream->data[stream->len++] = (uint8) (v >> (56 - 8 * i));
			else
				io->failed = true;
		}
		break;
	}
	while (stream->len > 0 && stream->data[stream->len - 1] == 0)
		stream->len--;
}

uint64
ws_walz_number(WsWalzIo *io, uint32 context, uint64 value)
{
	uint64		result = 0;

	for (int i = 0; i < 10; i++)
	{
		uint8		byte = (value & 0x7F) | (value > 0x7F ? 0x80 : 0);

		byte = ws_walz_literal(io, context + i, byte);
		value >>= 7;
		result |= (uint64) (byte & 0x7F) << (7 * i);
		if (byte < 0x80)
			break;
	}
	return result;
}
