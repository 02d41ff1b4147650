/*-------------------------------------------------------------------------
 *
 * body.c
 *	  Predicts and codes the body of a WAL record.
 *
 * As in walz/model.c, every function runs on both ends and must leave the model
 * in the same state on both.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "pure/walz/body.h"
#include "pure/walz/tuples.h"

#define MASK_NEW			WZ_MASKS

/* initial and highest trust of a link */
#define TRUST_NEW			3
#define TRUST_MAX			12

/* two times this close, in microseconds (an hour), count as near */
#define TIME_NEAR			UINT64CONST(3600000000)

/* Most searches for links after one record. */
#define LEARN_TRIES			6

/* A body while it is coded. */
typedef struct Body
{
	int			base;			/* block numbers up to here, then main data */
	int			len;			/* with the block numbers, at most WZ_BODY_MAX */
	size_t		rest;			/* bytes beyond WZ_BODY_MAX */
	uint64		changed[WZ_BODY_MAX / 64];	/* bit i: byte i is not as
											 * predicted */
	uint8		now[WZ_BODY_MAX];
	uint8		predicted[WZ_BODY_MAX];
} Body;

static inline bool
test_bit(const uint64 *bits, int i)
{
	return (bits[i / 64] >> (i % 64)) & 1;
}

/* Copy n bytes of the body from offset on: main data, then blocks' data. */
static void
read_body(const WsWalzRecord *record, uint8 *to, int n)
{
	int			len = Min(n, (int) record->main_len);

	memcpy(to, record->main, len);
	for (int i = 0; i < record->nblocks && len < n; i++)
	{
		int			more = Min(n - len, record->blocks[i].data_len);

		memcpy(to + len, record->blocks[i].data, more);
		len += more;
	}
}

/*
 * Encode the body from offset on as raw bytes, with these blocks' data.
 */
static void
send_rest(WsWalzIo *io, const WsWalzRecord *record, int nblocks, size_t offset)
{
	for (int i = -1; i < nblocks; i++)
	{
		const uint8 *p = i < 0 ? record->main : record->blocks[i].data;
		size_t		n = i < 0 ? record->main_len : record->blocks[i].data_len;

		if (offset >= n)
		{
			offset -= n;
			continue;
		}
		ws_walz_raw(io, unconstify(uint8 *, p + offset), n - offset);
		offset = 0;
	}
}

/* Predict the body from the class's last body and the links. */
static void
predict_body(WsWalzModel *model, WsWalzIo *io, WsWalzClass *class, int number,
			 const WsWalzRecord *record, Body *body)
{
	int			known = Min(class->last_len, body->len);

	memcpy(body->predicted, class->last, known);
	memset(body->predicted + known, 0, body->len - known);

	for (int i = 0; i < class->nlinks; i++)
	{
		WsWalzLink *link = &class->links[i];
		uint8	   *to = body->predicted + link->to;

		if (link->trust == 0 || link->to + link->len > body->len)
			continue;
		if (link->kind == WZ_LINK_XID)
			ws_bytes_put32(to, record->xid);
		else if (link->kind == WZ_LINK_COPY)
		{
			const WsWalzClass *from = &model->classes[link->from_class];

			if (from->last_xid == record->xid &&
				link->from + link->len <= from->last_len)
				memcpy(to, from->last + link->from, link->len);
		}
		else
		{
			uint64		time = 0;

			if (!io->decoding)
				time = ws_bytes_get64(body->now + link->to);
			time = model->last_time + (uint64)
				ws_walz_signed(io, WZ_CONTEXT(WZ_KIND_TIME, number, 10 * i),
							   (int64) (time - model->last_time));
			ws_bytes_put64(to, time);
			if (time - model->last_time + TIME_NEAR < 2 * TIME_NEAR)
				model->last_time = time;
		}
	}
}

/* Bit i of the result says whether byte i of a and b differ. */
static inline uint8
compare_eight(const uint8 *a, const uint8 *b)
{
	uint64		x = ws_bytes_get64(a) ^ ws_bytes_get64(b);

	x = ((x & UINT64CONST(0x7F7F7F7F7F7F7F7F)) +
		 UINT64CONST(0x7F7F7F7F7F7F7F7F)) | x;
	x = (x >> 7) & UINT64CONST(0x0101010101010101);
#ifdef WORDS_BIGENDIAN
	x = pg_bswap64(x);
#endif
	return (uint8) ((x * UINT64CONST(0x0102040810204080)) >> 56);
}

static void
compare_body(Body *body)
{
	/* both are padded to a multiple of eight */
	int			pad = (0 - body->len) & 7;

	memset(body->now + body->len, 0, pad);
	memset(body->predicted + body->len, 0, pad);
	for (int i = 0; i < body->len; i += 64)
		body->changed[i / 64] = 0;
	for (int i = body->base & ~7; i < body->len; i += 8)
		body->changed[i / 64] |=
			(uint64) compare_eight(body->now + i, body->predicted + i) << (i % 64);
	body->changed[0] &= ~(uint64) 0 << body->base;
}

/*
 * Decide where to stop sending single bytes, since zstd does better on a part
 * of which more than a third has changed.  Returns a number of groups of
 * eight.
 */
static int
choose_cut(const WsWalzIo *io, const Body *body)
{
	int			groups = (body->len + 7) / 8;
	int			sum = 0;
	int			least = 0;
	int			cut = 0;
	int			total = 0;

	for (int i = 0; i < groups; i += 8)
		total += pg_popcount64(body->changed[i / 8]);

	/* usually too little has changed for a cut to pay */
	if (3 * total < 8 + 12 && body->rest == 0)
		return WZ_BODY_MAX / 8;

	for (int i = 0; i < groups; i++)
	{
		sum += 3 * pg_popcount64((body->changed[i / 8] >> (i % 8 * 8)) & 0xFF) -
			Min(8, body->len - 8 * i);
		if (sum < least)
		{
			least = sum;
			cut = i + 1;
		}
	}

	/* starting zstd for a small block costs more than a few literals */
	if (sum - least < (io->mode == WS_WALZ_RANGE ? 36 : 12) && body->rest == 0)
		cut = groups;
	return cut == groups ? WZ_BODY_MAX / 8 : cut;
}

/* Find the mask that costs least; WZ_MASKS if none will do. */
static int
choose_mask(const WsWalzClass *class, const Body *body, int cut)
{
	int			best = WZ_MASKS;
	int			least = 3;
	int			words = (body->len + 63) / 64;
	uint64		need[WZ_BODY_MAX / 64];

	for (int i = 0; i < words; i++)
	{
		int			keep = 8 * cut - 64 * i;

		need[i] = body->changed[i];
		if (keep <= 0)
			need[i] = 0;
		else if (keep < 64)
			need[i] &= ((uint64) 1 << keep) - 1;
	}
	for (int i = 0; i < class->nmasks; i++)
	{
		const WsWalzMask *mask = &class->masks[i];
		int			extra = 0;
		uint64		missing = 0;

		if (mask->cut != cut)
			continue;
		for (int w = 0; w < words; w++)
		{
			missing |= need[w] & ~mask->bits[w];
			extra += pg_popcount64(mask->bits[w] & ~need[w]);
		}
		if (missing == 0 && extra < least)
		{
			least = extra;
			best = i;
		}
	}
	return best;
}

/* Make a new mask from what has changed. */
static WsWalzMask *
code_new_mask(WsWalzIo *io, WsWalzClass *class, int number, const Body *body,
			  int cut)
{
	WsWalzMask *mask;
	int			at = class->nmasks;
	int			groups;

	if (at < WZ_MASKS)
		class->nmasks++;
	else
		at = class->next_mask++ % WZ_MASKS;
	mask = &class->masks[at];

	cut = ws_walz_literal(io, WZ_CONTEXT(WZ_KIND_CUT, number, 0), cut);
	if (cut > WZ_BODY_MAX / 8)
	{
		io->failed = true;
		cut = 0;
	}
	mask->cut = cut;
	memset(mask->bits, 0, sizeof(mask->bits));
	groups = Min(cut, (body->len + 7) / 8);
	for (int i = 0; i < groups; i++)
	{
		uint8		bits = 0;

		if (!io->decoding)
			bits = (uint8) (body->changed[i / 8] >> (i % 8 * 8));
		bits = ws_walz_literal(io, WZ_CONTEXT(WZ_KIND_MASK_BYTE, number, i), bits);
		mask->bits[i / 8] |= (uint64) bits << (i % 8 * 8);
	}
	return mask;
}

/* Code the body's bytes that the mask names. */
static void
code_masked(WsWalzIo *io, const WsWalzMask *mask, int number, Body *body)
{
	int			end = Min(8 * mask->cut, body->len);

	if (io->decoding && end > body->base)
		memcpy(body->now + body->base, body->predicted + body->base,
			   end - body->base);
	for (int w = 0; 64 * w < end; w++)
	{
		uint64		bits = mask->bits[w];

		while (bits != 0)
		{
			int			i = 64 * w + pg_rightmost_one_pos64(bits);
			uint8		diff;

			bits &= bits - 1;
			if (i >= end)
				break;
			diff = ws_walz_literal(io, WZ_CONTEXT(WZ_KIND_BODY, number, i),
								   body->now[i] - body->predicted[i]);
			body->now[i] = body->predicted[i] + diff;
		}
	}
}

/*
 * Links
 */

/* Adjust the trust of a link that was tried. */
static void
judge_links(const WsWalzModel *model, WsWalzClass *class, const Body *body,
			int end, uint32 xid)
{
	int			kept = 0;

	for (int i = 0; i < class->nlinks; i++)
	{
		WsWalzLink	link = class->links[i];

		if (link.to + link.len <= end && link.kind != WZ_LINK_TIME &&
			(link.kind != WZ_LINK_COPY ||
			 model->classes[link.from_class].last_xid == xid))
		{
			bool		right = true;

			for (int j = link.to; j < link.to + link.len; j++)
				right &= !test_bit(body->changed, j);
			if (!right)
				link.trust--;
			else if (link.trust < TRUST_MAX)
				link.trust++;
		}
		if (link.trust > 0)
			class->links[kept++] = link;
	}
	class->nlinks = kept;
}

static void
add_link(WsWalzClass *class, WsWalzLinkKind kind, int to, int len,
		 int from_class, int from)
{
	WsWalzLink *link;

	if (class->nlinks == WZ_LINKS)
		return;
	link = &class->links[class->nlinks++];
	link->kind = kind;
	link->trust = TRUST_NEW;
	link->to = to;
	link->len = len;
	link->from_class = from_class;
	link->from = from;
}

/*
 * Look for the four bytes at "to" in the last bodies of this transaction, and
 * link them.  Returns the number of bytes linked.
 */
static int
search_copy(WsWalzModel *model, WsWalzClass *class, const Body *body, int end,
			int to, uint32 xid)
{
	uint32		want = ws_bytes_get32(body->now + to);

	for (uint32 k = 0; k < WZ_RING && k < model->ring_next; k++)
	{
		int			number = model->ring[(model->ring_next - 1 - k) % WZ_RING];
		const WsWalzClass *from = &model->classes[number];

		if (from == class || from->last_xid != xid)
			continue;
		for (int i = 0; i + 4 <= from->last_len; i++)
		{
			int			len = 4;

			if (ws_bytes_get32(from->last + i) != want)
				continue;
			while (to + len < end && i + len < from->last_len && len < 32 &&
				   body->now[to + len] == from->last[i + len])
				len++;
			add_link(class, WZ_LINK_COPY, to, len, number, i);
			return len;
		}
	}
	return 0;
}

/*
 * Search for a link that explains the byte at i, which was not as predicted.
 */
static int
search_link(WsWalzModel *model, WsWalzClass *class, const Body *body, int end,
			int i, uint32 xid)
{
	for (int to = i; to >= body->base && to > i - 8 && model->last_time != 0; to--)
	{
		if (to + 8 <= end &&
			ws_bytes_get64(body->now + to) - model->last_time + TIME_NEAR < 2 * TIME_NEAR)
		{
			add_link(class, WZ_LINK_TIME, to, 8, 0, 0);
			return to + 8 - i;
		}
	}
	for (int to = i; to >= body->base && to > i - 4; to--)
	{
		uint32		v;
		int			len;

		if (to + 4 > end)
			continue;
		v = ws_bytes_get32(body->now + to);
		if (v < 256 || v == PG_UINT32_MAX)
			continue;
		if (v == xid)
		{
			add_link(class, WZ_LINK_XID, to, 4, 0, 0);
			return to + 4 - i;
		}
		len = search_copy(model, class, body, end, to, xid);
		if (len > 0)
			return to + len - i;
	}
	return 1;
}

/*
 * Learn from what was not predicted in a record.  Searches are frequent while
 * a class is new, and become rarer.
 */
static void
learn_links(WsWalzModel *model, WsWalzClass *class, const Body *body, int end,
			uint32 xid)
{
	uint32		seen = class->seen;
	int			tries = 0;

	judge_links(model, class, body, end, xid);
	if (seen == 0 || (seen > 4 && (seen & (seen - 1)) != 0 && seen % 64 != 0))
		return;
	for (int i = body->base; i < end && tries < LEARN_TRIES;)
	{
		if (!test_bit(body->changed, i))
		{
			i++;
			continue;
		}
		tries++;
		i += search_link(model, class, body, end, i, xid);
	}
}

void
ws_walz_body_code(WsWalzModel *model, WsWalzIo *io, int number,
				  WsWalzRecord *record)
{
	WsWalzClass *class = &model->classes[number];
	Body		body;
	WsWalzMask *mask;
	size_t		total = record->main_len;
	bool		tuples = false;
	int			cut = 0;
	int			at = 0;
	int			end;

	for (int i = 0; i < record->nblocks; i++)
		total += record->blocks[i].data_len;
	if (total > model->max_record)
	{
		io->failed = true;
		return;
	}

	/* rows of a bulk load are not part of the body */
	if (record->nblocks == 1 && record->blocks[0].data_len >= WZ_TUPLES_MIN)
		tuples = ws_walz_tuples_kind(io, WZ_CONTEXT(WZ_KIND_TUPLES, number, 0),
									 record->blocks[0].data,
									 record->blocks[0].data_len);
	if (tuples)
		total = record->main_len;
	body.base = sizeof(uint32) * Min(record->nblocks, WZ_BODY_BLOCKS);
	body.len = body.base + (int) Min(total, (size_t) (WZ_BODY_MAX - body.base));
	body.rest = total - (body.len - body.base);
	for (int i = 0; i < body.base / (int) sizeof(uint32); i++)
	{
		ws_bytes_put16(body.now + 4 * i, record->blocks[i].block >> 16);
		ws_bytes_put16(body.now + 4 * i + 2, record->blocks[i].block & 0xFFFF);
	}
	if (!io->decoding)
		read_body(record, body.now + body.base, body.len - body.base);

	predict_body(model, io, class, number, record, &body);
	if (!io->decoding)
	{
		compare_body(&body);
		cut = choose_cut(io, &body);
		at = choose_mask(class, &body, cut);
	}
	at = ws_walz_code(io, WZ_CONTEXT(WZ_KIND_MASK, number, 0), at);
	if (at == MASK_NEW)
		mask = code_new_mask(io, class, number, &body, cut);
	else if (at < class->nmasks)
		mask = &class->masks[at];
	else
	{
		io->failed = true;
		return;
	}
	code_masked(io, mask, number, &body);

	/* what is left goes raw */
	end = Max(Min(8 * mask->cut, body.len), body.base);
	if (io->decoding)
	{
		memcpy(model->work, body.now + body.base, end - body.base);
		ws_walz_raw(io, model->work + (end - body.base),
					total - (end - body.base));
		memcpy(body.now + end, model->work + (end - body.base), body.len - end);
		compare_body(&body);
	}
	else
		send_rest(io, record, tuples ? 0 : record->nblocks, end - body.base);
	if (tuples)
		ws_walz_tuples_code(io, WZ_CONTEXT(WZ_KIND_TUPLES, number, 1),
							io->decoding ? model->work + record->main_len :
							unconstify(uint8 *, record->blocks[0].data),
							record->blocks[0].data_len);

	learn_links(model, class, &body, end, record->xid);
	memcpy(class->last, body.now, body.len);
	class->last_len = body.len;

	if (record->rmid == WZ_RM_XACT &&
		(record->info & WZ_XACT_OPMASK) == WZ_XACT_COMMIT &&
		record->main_len >= 8 && body.base == 0)
		model->last_time = ws_bytes_get64(body.now);
}
