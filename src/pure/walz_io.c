/*-------------------------------------------------------------------------
 *
 * walz_io.c
 *	  The entropy stage of walz: the range coder.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "walz_io.h"

/* the two estimates move by 1/16 and 1/128 of the way */
#define FAST		4
#define SLOW		7
#define HIT			5
#define HALF		32768

void
ws_walz_io_forget(WsWalzIo *io)
{
	if (!io->lines_used)
		return;
	io->lines_used = false;
	for (int j = 0; j < 15; j++)
		io->lines[0].bit[j][0] = io->lines[0].bit[j][1] = HALF;
	io->lines[0].last = 0;
	io->lines[0].spare = 0;
	io->lines[0].hit = HALF;
	for (size_t n = 1; n < WZ_LINES; n *= 2)
		memcpy(&io->lines[n], &io->lines[0], n * sizeof(WsWalzLine));
}

void
ws_walz_io_begin(WsWalzIo *io)
{
	io->failed = false;
	io->symbols = 0;
	io->low = 0;
	io->high = PG_UINT32_MAX;
	io->value = 0;
	if (!io->decoding || io->mode != WS_WALZ_RANGE)
		return;
	for (int i = 0; i < 4; i++)
	{
		io->value <<= 8;
		if (io->code.pos < io->code.len)
			io->value |= io->code.data[io->code.pos++];
	}
}

/*
 * The range coder while a byte is coded: in the processor's registers, since
 * the compiler must think that probabilities could lie in WsWalzIo.
 */
typedef struct Coder
{
	uint32		low;
	uint32		high;
	uint32		value;
	uint8	   *pos;			/* next byte of the stream */
	uint8	   *end;
	bool		full;
} Coder;

static inline Coder
load_coder(const WsWalzIo *io)
{
	const WsWalzStream *stream = &io->code;
	Coder		coder;

	coder.low = io->low;
	coder.high = io->high;
	coder.value = io->value;
	coder.pos = stream->data + (io->decoding ? stream->pos : stream->len);
	coder.end = stream->data + (io->decoding ? stream->len : stream->size);
	coder.full = false;
	return coder;
}

static inline void
store_coder(WsWalzIo *io, const Coder *coder)
{
	WsWalzStream *stream = &io->code;

	io->low = coder->low;
	io->high = coder->high;
	io->value = coder->value;
	if (io->decoding)
		stream->pos = coder->pos - stream->data;
	else
		stream->len = coder->pos - stream->data;
	io->failed |= coder->full;
}

/* The highest byte of the interval is settled: move it out. */
static inline void
shift_interval(Coder *coder, bool decoding)
{
	while (((coder->low ^ coder->high) >> 24) == 0)
	{
		if (decoding)
		{
			/* zeros at the end were not sent */
			coder->value <<= 8;
			if (coder->pos < coder->end)
				coder->value |= *coder->pos++;
		}
		else if (coder->pos < coder->end)
			*coder->pos++ = coder->high >> 24;
		else
			coder->full = true;
		coder->low <<= 8;
		coder->high = coder->high << 8 | 0xFF;
	}
}

/*
 * Code a bit that is 1 with probability p / 65536.  The bits of what could not
 * be predicted look random to the processor too, so nothing branches on them.
 */
static inline bool
code_bit(Coder *coder, bool decoding, uint32 p, bool bit)
{
	uint32		middle;
	uint32		ones;

	/* neither can be impossible */
	p = (int) p + (HALF - (int) p) / 1024;
	middle = coder->low +
		(uint32) (((uint64) (coder->high - coder->low) * p) >> 16);
	if (decoding)
		bit = coder->value <= middle;
	ones = 0 - (uint32) bit;
	coder->high = (middle & ones) | (coder->high & ~ones);
	coder->low = (coder->low & ones) | ((middle + 1) & ~ones);
	shift_interval(coder, decoding);
	return bit;
}

/* Move an estimate towards what was seen. */
static inline void
learn_bit(uint16 *p, bool bit, int rate)
{
	uint32		ones = 0 - (uint32) bit;
	uint32		up = (65535 - *p) >> rate;
	uint32		down = *p >> rate;

	*p += (up & ones) - (down & ~ones);
}

static inline bool
code_tree_bit(Coder *coder, bool decoding, uint16 *p, bool bit)
{
	bit = code_bit(coder, decoding, ((uint32) p[0] + p[1]) >> 1, bit);
	learn_bit(&p[0], bit, FAST);
	learn_bit(&p[1], bit, SLOW);
	return bit;
}

static inline int
code_nibble(Coder *coder, bool decoding, WsWalzLine *line, int value)
{
	int			node = 1;

	for (int i = 3; i >= 0; i--)
		node = node << 1 | code_tree_bit(coder, decoding, line->bit[node - 1],
										 (value >> i) & 1);
	return node & 15;
}

static inline WsWalzLine *
find_line(WsWalzIo *io, uint32 context)
{
	return &io->lines[(context * UINT64CONST(0x9E3779B97F4A7C15)) >>
					  (64 - WZ_LINES_LOG)];
}

static inline uint8
code_byte(WsWalzIo *io, bool decoding, uint32 context, uint8 value)
{
	WsWalzLine *line = find_line(io, context);
	Coder		coder = load_coder(io);
	int			high;
	int			low;

	if (code_bit(&coder, decoding, line->hit, value == line->last))
	{
		line->hit += (65535 - line->hit) >> HIT;
		value = line->last;
	}
	else
	{
		line->hit -= line->hit >> HIT;
		high = code_nibble(&coder, decoding, line, value >> 4);
		low = code_nibble(&coder, decoding,
						  find_line(io, context ^ (uint32) (high + 1) << 27),
						  value & 15);
		line->last = value = high << 4 | low;
	}
	store_coder(io, &coder);
	return value;
}

uint8
ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value)
{
	io->lines_used = true;

	/* twice, so that each is compiled for its direction */
	if (io->decoding)
		return code_byte(io, true, context, value);
	return code_byte(io, false, context, value);
}

/*
 * The shortest number in the interval whose missing bytes can all be zero.
 */
void
ws_walz_io_end(WsWalzIo *io)
{
	WsWalzStream *stream = &io->code;

	for (int n = 0; n <= 4; n++)
	{
		uint32		mask = n == 4 ? 0 : PG_UINT32_MAX >> (8 * n);
		uint64		v = ((uint64) io->low + mask) & ~(uint64) mask;

		if (v > io->high)
			continue;
		for (int i = 0; i < n; i++)
		{
			if (stream->len < stream->size)
				stream->data[stream->len++] = (uint8) (v >> (24 - 8 * i));
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
