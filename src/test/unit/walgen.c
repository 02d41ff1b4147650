/*-------------------------------------------------------------------------
 *
 * walgen.c
 *	  WAL to test with: valid records on valid pages, the same in every run.
 *
 * Layouts are written down here once more, apart from the pure layer's, so
 * that a mistake there is not made here as well.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_crc32c.h"
#include "walgen.h"

#define PAGE_SIZE		8192
#define MAX_BODY		(300 * 1024)

/* A record's body while it is put together. */
typedef struct Body
{
	uint8		bytes[MAX_BODY];
	uint32		len;
} Body;

static Body body;
static Body payload;

uint32
walgen_random(WalGen *gen, uint32 below)
{
	/* xorshift */
	gen->seed ^= gen->seed << 13;
	gen->seed ^= gen->seed >> 7;
	gen->seed ^= gen->seed << 17;
	return (uint32) (gen->seed >> 20) % below;
}

void
walgen_init(WalGen *gen, const WsCodecParams *params, XLogRecPtr start,
			size_t size, uint64 seed)
{
	memset(gen, 0, sizeof(*gen));
	gen->params = *params;
	gen->buf = malloc(size);
	gen->size = size;
	gen->start = start;
	gen->prev = start - 100;
	gen->tli = 1;
	gen->seed = seed * UINT64CONST(0x9E3779B97F4A7C15) + 1;
	gen->xid = 700;
	gen->time = UINT64CONST(817000000000000);
	gen->max_ends = size / 24 + 1;
	gen->ends = malloc(gen->max_ends * sizeof(size_t));
	if (gen->buf == NULL || gen->ends == NULL)
		abort();
}

void
walgen_free(WalGen *gen)
{
	free(gen->buf);
	free(gen->ends);
}

static void
put_bytes(Body *to, const void *bytes, size_t len)
{
	if (len > MAX_BODY - to->len)
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

/* Header of the page that begins at gen->len; rest: of a record. */
static void
write_page_header(WalGen *gen, uint32 rest)
{
	XLogRecPtr	lsn = gen->start + gen->len;
	bool		first = lsn % gen->params.wal_segment_size == 0;
	uint16		info = (rest > 0 ? 1 : 0) | (first ? 2 : 0);
	uint8	   *p = gen->buf + gen->len;

	memset(p, 0, first ? 40 : 24);
	memcpy(p, &gen->params.wal_page_magic, 2);
	memcpy(p + 2, &info, 2);
	memcpy(p + 4, &gen->tli, 4);
	memcpy(p + 8, &lsn, 8);
	memcpy(p + 16, &rest, 4);
	if (first)
	{
		memcpy(p + 24, "sysident", 8);
		memcpy(p + 32, &gen->params.wal_segment_size, 4);
		memcpy(p + 36, &gen->params.wal_block_size, 4);
	}
	gen->len += first ? 40 : 24;
}

void
walgen_record(WalGen *gen, uint32 xid, uint8 info, uint8 rmid,
			  const uint8 *bytes, uint32 len)
{
	static uint8 record[MAX_BODY + 24];
	uint32		total = len + 24;
	uint32		done = 0;
	uint32		pages = total / (gen->params.wal_block_size - 24) + 2;
	XLogRecPtr	start;
	pg_crc32c	crc;

	/* nothing, or all of it */
	if (gen->full || total + pages * 40 + 8 > gen->size - gen->len)
	{
		gen->full = true;
		return;
	}
	if ((gen->start + gen->len) % gen->params.wal_block_size == 0)
		write_page_header(gen, 0);
	start = gen->start + gen->len;

	memcpy(record, &total, 4);
	memcpy(record + 4, &xid, 4);
	memcpy(record + 8, &gen->prev, 8);
	record[16] = info;
	record[17] = rmid;
	record[18] = record[19] = 0;
	memcpy(record + 24, bytes, len);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record + 24, len);
	COMP_CRC32C(crc, record, 20);
	FIN_CRC32C(crc);
	memcpy(record + 20, &crc, 4);

	while (done < total)
	{
		uint32		left;

		if ((gen->start + gen->len) % gen->params.wal_block_size == 0)
			write_page_header(gen, total - done);
		left = gen->params.wal_block_size -
			(gen->start + gen->len) % gen->params.wal_block_size;
		left = Min(left, total - done);
		memcpy(gen->buf + gen->len, record + done, left);
		gen->len += left;
		done += left;
	}
	while (gen->len % 8 != 0)
		gen->buf[gen->len++] = 0;
	gen->prev = start;
	if (gen->nends < gen->max_ends)
		gen->ends[gen->nends++] = gen->len;
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

/* A reference to a block with an image of page, which goes to "images". */
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

/* What is seldom seen: each has something that no other record has. */
static void
rare_record(WalGen *gen)
{
	uint32		kind = walgen_random(gen, 6);

	body.len = 0;
	switch (kind)
	{
		case 0:					/* origin and top-level xid */
			put_uint8(&body, 253);
			put_uint16(&body, 3);
			put_uint8(&body, 252);
			put_uint32(&body, gen->xid - 1);
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
	walgen_record(gen, kind == 4 ? 0 : gen->xid + walgen_random(gen, 3), 0x10,
				  kind == 5 ? 130 : 9, body.bytes, body.len);
}

static void
fill(WalGen *gen, bool small)
{
	static uint8 page[PAGE_SIZE];
	uint32		block = 4;
	uint16		offset = 1;

	while (!gen->full)
	{
		uint32		key = walgen_random(gen, 100000);
		bool		more = !small && walgen_random(gen, 20) == 0;

		gen->xid++;
		heap_insert(gen, block, offset, key, more ? 200 : 3);
		index_insert(gen, block, offset, key);
		heap_update(gen, key);
		if (!small && walgen_random(gen, 15) == 0)
		{
			walgen_page(gen, page, 100, 40 + key % 50);
			walgen_image(gen, block, page);
		}
		if (!small && walgen_random(gen, 20) == 0)
			walgen_rows(gen, 10 + walgen_random(gen, 90));
		if (!small && walgen_random(gen, 15) == 0)
			rare_record(gen);
		commit(gen);
		if (++offset > 60)
		{
			offset = 1;
			block++;
		}
	}
}

void
walgen_fill(WalGen *gen)
{
	fill(gen, false);
}

void
walgen_fill_small(WalGen *gen)
{
	fill(gen, true);
}
