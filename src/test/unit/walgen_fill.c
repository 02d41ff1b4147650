/*-------------------------------------------------------------------------
 *
 * walgen_fill.c
 *	  WAL to test with: the contents of the records.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "walgen.h"

#define PAGE_SIZE		8192

/* A record's body while it is assembled. */
typedef struct Body
{
	uint8		bytes[WALGEN_MAX_BODY];
	uint32		len;
} Body;

static Body body;
static Body payload;

static void
put_bytes(Body *to, const void *bytes, size_t len)
{
	if (len > WALGEN_MAX_BODY - to->len)
		abort();
	memcpy(to->bytes + to->len, bytes, len);
	to->len += len;
}

static void
put_uint8(Body *to, uint8 v)
{
	put_bytes(to, &v, sizeof(v));
}

static void
put_uint16(Body *to, uint16 v)
{
	put_bytes(to, &v, sizeof(v));
}

static void
put_uint32(Body *to, uint32 v)
{
	put_bytes(to, &v, sizeof(v));
}

static void
put_uint64(Body *to, uint64 v)
{
	put_bytes(to, &v, sizeof(v));
}

/* A reference to a block, with data_len bytes of data. */
static void
put_block(Body *to, int id, int flags, int data_len, uint32 relation,
		  uint32 block)
{
	put_uint8(to, id);
	put_uint8(to, flags | (data_len > 0 ? 0x20 : 0));
	put_uint16(to, data_len);
	if ((flags & 0x80) == 0)
	{
		put_uint32(to, 1663);
		put_uint32(to, 5);
		put_uint32(to, relation);
	}
	put_uint32(to, block);
}

static void
put_main(Body *to, uint32 len)
{
	if (len < 256)
	{
		put_uint8(to, 255);
		put_uint8(to, len);
	}
	else
	{
		put_uint8(to, 254);
		put_uint32(to, len);
	}
}

static void
put_text(WalGen *gen, Body *to, int words)
{
	static const char *const word[] = {
		"alpha ", "beta ", "gamma ", "delta ", "epsilon ", "zeta ", "eta "
	};

	for (int i = 0; i < words; i++)
	{
		const char *w = word[walgen_random(gen, lengthof(word))];

		put_bytes(to, w, strlen(w));
	}
}

static void
heap_insert(WalGen *gen, uint32 block, uint16 offset, uint32 key, int words)
{
	payload.len = body.len = 0;
	put_uint16(&payload, 4);	/* infomask2, infomask, hoff */
	put_uint16(&payload, 0x802);
	put_uint8(&payload, 24);
	put_uint8(&payload, 0);
	put_uint32(&payload, key);
	put_uint64(&payload, gen->time);
	put_text(gen, &payload, words);

	put_block(&body, 0, 0, payload.len, 16400, block);
	put_main(&body, 3);
	put_bytes(&body, payload.bytes, payload.len);
	put_uint16(&body, offset);
	put_uint8(&body, 8);
	walgen_record(gen, gen->xid, 0, 10, body.bytes, body.len);
}

static void
index_insert(WalGen *gen, uint32 block, uint16 offset, uint32 key)
{
	body.len = 0;
	put_block(&body, 0, 0, 16, 16410, key / 300);
	put_main(&body, 2);
	put_uint16(&body, block >> 16);
	put_uint16(&body, block & 0xFFFF);
	put_uint16(&body, offset);
	put_uint16(&body, 16);
	put_uint32(&body, key);
	put_uint32(&body, 0);
	put_uint16(&body, key % 300);
	walgen_record(gen, gen->xid, 0, 11, body.bytes, body.len);
}

static void
heap_update(WalGen *gen, uint32 key)
{
	body.len = 0;
	put_block(&body, 0, 0, 20, 16420, key / 60);
	put_block(&body, 1, 0x80, 0, 16420, key / 70);
	put_main(&body, 14);
	put_bytes(&body, "\4\0\2\0\x18\0", 6);
	put_uint32(&body, gen->xid);
	put_uint32(&body, key);
	put_uint16(&body, walgen_random(gen, 5000));
	put_uint32(&body, 0);
	put_uint32(&body, gen->xid);
	put_uint16(&body, key % 60);
	put_uint32(&body, 0);
	put_uint32(&body, 12);
	walgen_record(gen, gen->xid, 0x20, 10, body.bytes, body.len);
}

void
walgen_rows(WalGen *gen, int rows)
{
	payload.len = body.len = 0;
	for (int i = 0; i < rows; i++)
	{
		uint32		at;
		uint16		len;

		if (payload.len % 2 != 0)
			put_uint8(&payload, i);
		at = payload.len;
		put_uint16(&payload, 0);
		put_uint16(&payload, 4);	/* infomask2, infomask, hoff */
		put_uint16(&payload, 0x802);
		put_uint8(&payload, 24);
		put_uint8(&payload, 0);
		put_uint32(&payload, gen->xid + i);
		put_uint64(&payload, gen->time + 10 * i);
		put_text(gen, &payload, walgen_random(gen, 6));
		if (walgen_random(gen, 2) == 0)
			put_uint8(&payload, i);
		len = payload.len - at - 7;
		memcpy(payload.bytes + at, &len, 2);
	}
	put_block(&body, 0, 0, payload.len, 16400, gen->len / 8000);
	put_main(&body, 4);
	put_bytes(&body, payload.bytes, payload.len);
	put_uint16(&body, 4);
	put_uint16(&body, rows);
	walgen_record(gen, gen->xid, 0xD0, 9, body.bytes, body.len);
}

static void
commit(WalGen *gen)
{
	gen->time += 200 + walgen_random(gen, 3000);
	body.len = 0;
	put_main(&body, 8);
	put_uint64(&body, gen->time);
	walgen_record(gen, gen->xid, 0, 1, body.bytes, body.len);
}

void
walgen_page(WalGen *gen, uint8 *page, int rows, int width)
{
	uint16		lower = 24;
	uint16		upper = PAGE_SIZE;
	uint16		v;

	memset(page, 0, PAGE_SIZE);
	memcpy(page, &gen->prev, 8);
	for (int i = 0; i < rows; i++)
	{
		int			len = width + walgen_random(gen, 2) * 5;
		uint32		line;

		if (upper - lower < len + 12)
			break;
		upper -= (len + 7) & ~7;
		line = upper | 1 << 15 | (uint32) len << 17;
		memcpy(page + lower, &line, 4);
		lower += 4;
		memset(page + upper, 'x', len);
		if (len >= 16)
		{
			memcpy(page + upper, &gen->xid, 4);
			memcpy(page + upper + 12, &i, 4);
		}
		page[upper + len - 1] = walgen_random(gen, 256);
	}
	memcpy(page + 12, &lower, 2);
	memcpy(page + 14, &upper, 2);
	v = PAGE_SIZE;
	memcpy(page + 16, &v, 2);
	v = PAGE_SIZE | 4;
	memcpy(page + 18, &v, 2);
}

/*
 * A reference to a block with an image of page, which is appended to "images".
 */
static void
put_image(Body *to, Body *images, int id, uint32 relation, uint32 block,
		  const uint8 *page)
{
	uint16		lower;
	uint16		upper;
	bool		hole;

	memcpy(&lower, page + 12, 2);
	memcpy(&upper, page + 14, 2);
	hole = lower >= 24 && upper > lower && upper <= PAGE_SIZE;
	if (!hole)
		lower = upper = 0;

	put_uint8(to, id);
	put_uint8(to, 0x10 | (id > 0 ? 0x80 : 0));
	put_uint16(to, 0);
	put_uint16(to, PAGE_SIZE - (upper - lower));
	put_uint16(to, lower);
	put_uint8(to, hole ? 3 : 2);
	if (id == 0)
	{
		put_uint32(to, 1663);
		put_uint32(to, 5);
		put_uint32(to, relation);
	}
	put_uint32(to, block);
	put_bytes(images, page, lower);
	put_bytes(images, page + upper, PAGE_SIZE - upper);
}

void
walgen_image(WalGen *gen, uint32 block, const uint8 *page)
{
	body.len = payload.len = 0;
	put_image(&body, &payload, 0, 16400, block, page);
	put_main(&body, 2);
	put_bytes(&body, payload.bytes, payload.len);
	put_uint16(&body, block % 7);
	walgen_record(gen, gen->xid, 0, 10, body.bytes, body.len);
}

void
walgen_images(WalGen *gen, int n, uint32 block, int rows, int width)
{
	uint8		page[PAGE_SIZE];

	body.len = payload.len = 0;
	for (int i = 0; i < n; i++)
	{
		walgen_page(gen, page, rows, width);
		put_image(&body, &payload, i, 16450, block + i, page);
	}
	put_bytes(&body, payload.bytes, payload.len);
	walgen_record(gen, gen->xid, 0xB0, 0, body.bytes, body.len);
}

/* Xids wrap around, and skip those that no transaction has. */
static uint32
next_xid(uint32 xid)
{
	return xid == PG_UINT32_MAX ? 3 : xid + 1;
}

/* Rare records, each with a part that no other record has. */
static void
rare_record(WalGen *gen)
{
	uint32		kind = walgen_random(gen, 6);
	uint32		xid = gen->xid;

	body.len = 0;
	switch (kind)
	{
		case 0:					/* origin and top-level xid */
			put_uint8(&body, 253);
			put_uint16(&body, 3);
			put_uint8(&body, 252);
			put_uint32(&body, xid == 3 ? PG_UINT32_MAX : xid - 1);
			put_main(&body, 5);
			put_bytes(&body, "hello", 5);
			break;
		case 1:					/* long main data */
			put_main(&body, 700);
			put_text(gen, &body, 300);
			body.len = 5 + 700;
			break;
		case 2:					/* many blocks */
			for (int i = 0; i < 30; i++)
				put_block(&body, i, i > 0 ? 0x80 : 0, 3, 16430, 100 * i);
			for (int i = 0; i < 30; i++)
				put_bytes(&body, "abc", 3);
			break;
		case 3:					/* compressed image with a hole */
			put_uint8(&body, 0);
			put_uint8(&body, 0x10);
			put_uint16(&body, 0);
			put_uint16(&body, 50);
			put_uint16(&body, 100);
			put_uint8(&body, 0x0B);
			put_uint16(&body, 4000);
			put_uint32(&body, 1663);
			put_uint32(&body, 5);
			put_uint32(&body, 16440);
			put_uint32(&body, 1 << 24 | walgen_random(gen, 1000));
			put_main(&body, 1);
			put_text(gen, &body, 20);
			body.len = 35 + 51;
			break;
		case 4:					/* nothing at all */
			break;
		default:				/* no record of the layout we know */
			put_bytes(&body, "\xC8\1\2\3", 4);
			break;
	}
	if (kind == 4)
		xid = 0;
	else
	{
		for (uint32 ahead = walgen_random(gen, 3); ahead > 0; ahead--)
			xid = next_xid(xid);
	}
	walgen_record(gen, xid, 0x10, kind == 5 ? 130 : 9, body.bytes, body.len);
}

static void
fill(WalGen *gen, bool small, size_t len)
{
	static uint8 page[PAGE_SIZE];

	while (!gen->full && gen->len < len)
	{
		uint32		key = walgen_random(gen, 100000);
		bool		more = !small && walgen_random(gen, 20) == 0;

		gen->xid = next_xid(gen->xid);
		heap_insert(gen, gen->block, gen->offset, key, more ? 200 : 3);
		index_insert(gen, gen->block, gen->offset, key);
		heap_update(gen, key);
		if (!small && walgen_random(gen, 15) == 0)
		{
			walgen_page(gen, page, 100, 40 + key % 50);
			walgen_image(gen, gen->block, page);
		}
		if (!small && walgen_random(gen, 20) == 0)
			walgen_rows(gen, 10 + walgen_random(gen, 90));
		if (!small && walgen_random(gen, 15) == 0)
			rare_record(gen);
		commit(gen);
		if (++gen->offset > 60)
		{
			gen->offset = 1;
			gen->block++;
		}
	}
}

void
walgen_fill(WalGen *gen)
{
	fill(gen, false, SIZE_MAX);
}

void
walgen_fill_to(WalGen *gen, size_t len)
{
	fill(gen, false, len);
}

void
walgen_fill_small(WalGen *gen)
{
	fill(gen, true, SIZE_MAX);
}
