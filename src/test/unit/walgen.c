/*-------------------------------------------------------------------------
 *
 * walgen.c
 *	  WAL to test with: valid records on valid pages, the same in every run.
 *
 * Layouts are defined here independently of the pure layer, so that a mistake
 * there is not repeated here.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_crc32c.h"
#include "walgen.h"

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
	gen->block = 4;
	gen->offset = 1;
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

/*
 * Write the header of the page that begins at gen->len. rest: remaining bytes
 * of a record; flags: in addition to those that follow from rest and the
 * page's position.
 */
static void
write_page_header(WalGen *gen, uint32 rest, uint16 flags)
{
	XLogRecPtr	lsn = gen->start + gen->len;
	bool		first = lsn % gen->params.wal_segment_size == 0;
	uint16		info = flags | (rest > 0 ? 1 : 0) | (first ? 2 : 0);
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

static bool
page_begins(const WalGen *gen)
{
	return (gen->start + gen->len) % gen->params.wal_block_size == 0;
}

static void
end_record(WalGen *gen)
{
	while (gen->len % 8 != 0)
		gen->buf[gen->len++] = 0;
	if (gen->nends < gen->max_ends)
		gen->ends[gen->nends++] = gen->len;
}

/*
 * The record that began at lost will never be complete.  Write what PostgreSQL
 * writes at the page on which it would continue: a flag in the header, and a
 * record that identifies the lost one.
 */
static void
overwrite(WalGen *gen, XLogRecPtr lost)
{
	uint8		body[18] = {255, 16};

	memcpy(body + 2, &lost, 8);
	memcpy(body + 10, &gen->time, 8);
	gen->overwritten++;
	write_page_header(gen, 0, 0x0008);
	walgen_record(gen, 0, 0xD0, 0, body, sizeof(body));
}

void
walgen_record(WalGen *gen, uint32 xid, uint8 info, uint8 rmid,
			  const uint8 *bytes, uint32 len)
{
	static uint8 record[WALGEN_MAX_BODY + 24];
	uint32		total = len + 24;
	uint32		done = 0;
	uint32		pages = total / (gen->params.wal_block_size - 24) + 2;
	XLogRecPtr	start;
	pg_crc32c	crc;

	/* write the whole record or nothing */
	if (gen->full || total + pages * 40 + 8 > gen->size - gen->len)
	{
		gen->full = true;
		return;
	}
	if (page_begins(gen))
		write_page_header(gen, 0, 0);
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

		if (page_begins(gen))
		{
			if (gen->break_pages > 0 && --gen->break_pages == 0)
			{
				/* the record before it stays the last one */
				overwrite(gen, start);
				return;
			}
			write_page_header(gen, total - done, 0);
		}
		left = gen->params.wal_block_size -
			(gen->start + gen->len) % gen->params.wal_block_size;
		left = Min(left, total - done);
		memcpy(gen->buf + gen->len, record + done, left);
		gen->len += left;
		done += left;
	}
	end_record(gen);
	gen->prev = start;
}

void
walgen_break(WalGen *gen, int pages)
{
	gen->break_pages = pages;
}
