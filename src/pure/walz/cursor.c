/*-------------------------------------------------------------------------
 *
 * cursor.c
 *	  Follows page headers and records in a stream of WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_crc32c.h"
#include "pure/segment.h"
#include "pure/walz/cursor.h"

bool
ws_walz_magic_known(uint16 magic)
{
	return magic == WZ_MAGIC_15 || magic == WZ_MAGIC_16 ||
		magic == WZ_MAGIC_17 || magic == WZ_MAGIC_18 || magic == WZ_MAGIC_19;
}

/* The flags of a page header that stay the same from page to page. */
static uint16
continued_flags(uint16 magic)
{
	return magic == WZ_MAGIC_19 ? 0 : WZ_PAGE_BKP_REMOVABLE;
}

void
ws_walz_cursor_init(WsWalzCursor *cursor, const WsCodecParams *params,
					XLogRecPtr lsn)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->block_size = params->wal_block_size;
	cursor->segment_size = params->wal_segment_size;
	cursor->magic = params->wal_page_magic;
	cursor->lsn = lsn;
	cursor->state = lsn % cursor->block_size == 0 ? WZ_PAGE : WZ_LOST;
}

static inline uint32
page_header_size(const WsWalzCursor *cursor, XLogRecPtr lsn)
{
	return ws_segment_offset(lsn, cursor->segment_size) == 0 ? WZ_PAGE_LONG : WZ_PAGE_SHORT;
}

static inline uint32
left_in_page(const WsWalzCursor *cursor, XLogRecPtr lsn)
{
	return cursor->block_size - (uint32) (lsn % cursor->block_size);
}

/* Build the expected page header at lsn; rest goes into xlp_rem_len. */
static void
predict_page_header(const WsWalzCursor *cursor, XLogRecPtr lsn, uint32 rest,
					uint8 *header)
{
	uint16		flags = cursor->page_flags;

	if (rest > 0)
		flags |= WZ_PAGE_CONTRECORD;
	if (ws_segment_offset(lsn, cursor->segment_size) == 0)
	{
		flags |= WZ_PAGE_IS_LONG;
		memcpy(header + WZ_PAGE_SHORT, cursor->long_part,
			   sizeof(cursor->long_part));
	}
	ws_bytes_put16(header + WZ_PAGE_MAGIC, cursor->magic);
	ws_bytes_put16(header + WZ_PAGE_INFO, flags);
	ws_bytes_put32(header + WZ_PAGE_TLI, cursor->tli);
	ws_bytes_put64(header + WZ_PAGE_ADDR, lsn);
	ws_bytes_put32(header + WZ_PAGE_REST, rest);
	ws_bytes_put32(header + WZ_PAGE_REST + 4, 0);
}

/* Evaluate a complete page header and set the state after it. */
static WsWalzState
read_page_header(WsWalzCursor *cursor, XLogRecPtr page)
{
	const uint8 *header = cursor->header;
	uint16		info = ws_bytes_get16(header + WZ_PAGE_INFO);
	uint32		rest = ws_bytes_get32(header + WZ_PAGE_REST);
	bool		is_long = ws_segment_offset(page, cursor->segment_size) == 0;

	if (ws_bytes_get16(header + WZ_PAGE_MAGIC) != cursor->magic ||
		ws_bytes_get64(header + WZ_PAGE_ADDR) != page ||
		((info & WZ_PAGE_IS_LONG) != 0) != is_long)
		return WZ_LOST;

	cursor->tli = ws_bytes_get32(header + WZ_PAGE_TLI);
	cursor->page_flags = info & continued_flags(cursor->magic);
	if (is_long)
	{
		cursor->know_long = true;
		memcpy(cursor->long_part, header + WZ_PAGE_SHORT,
			   sizeof(cursor->long_part));
	}

	/*
	 * the record does not continue here: it was given up, or this is another
	 */
	if ((info & WZ_PAGE_CONTRECORD) == 0 || rest == 0)
	{
		cursor->rest = 0;
		return WZ_READY;
	}
	if (rest != cursor->rest)
		cursor->record_lsn = InvalidXLogRecPtr;
	cursor->rest = rest;
	return WZ_RECORD;
}

/* Set the state at the end of a record or its padding. */
static WsWalzState
end_record(WsWalzCursor *cursor)
{
	if (cursor->lsn % WZ_ALIGN != 0)
		return WZ_PADDING;
	return WZ_READY;
}

/*
 * Advance over the bytes at data without leaving the page, by at least one
 * byte.
 */
static void
feed_in_page(WsWalzCursor *cursor, const uint8 *data, size_t len, size_t *used)
{
	uint32		want;
	size_t		n;

	switch (cursor->state)
	{
		case WZ_LOST:
			want = left_in_page(cursor, cursor->lsn);
			break;
		case WZ_PAGE:
			want = page_header_size(cursor, cursor->lsn - cursor->have) -
				cursor->have;
			break;
		case WZ_LENGTH:
			want = sizeof(uint32) - cursor->have;
			break;
		case WZ_RECORD:
			want = Min(cursor->rest, left_in_page(cursor, cursor->lsn));
			break;
		default:				/* WZ_PADDING */
			want = WZ_ALIGN - (uint32) (cursor->lsn % WZ_ALIGN);
			break;
	}
	n = Min(len, want);

	if (cursor->state == WZ_PAGE || cursor->state == WZ_LENGTH)
	{
		memcpy(cursor->header + cursor->have, data, n);
		cursor->have += n;
	}
	else if (cursor->state == WZ_RECORD)
		cursor->rest -= n;
	cursor->lsn += n;
	*used += n;
	if (n < want)
		return;

	switch (cursor->state)
	{
		case WZ_LOST:
			cursor->rest = 0;
			cursor->state = WZ_PAGE;
			cursor->have = 0;
			break;
		case WZ_PAGE:
			cursor->state = read_page_header(cursor, cursor->lsn - want);
			break;
		case WZ_LENGTH:
			cursor->rest = ws_bytes_get32(cursor->header);
			if (cursor->rest < WZ_REC_HEADER)
			{
				cursor->state = WZ_LOST;
				break;
			}
			cursor->rest -= sizeof(uint32);
			cursor->state = WZ_RECORD;
			break;
		case WZ_RECORD:
			if (cursor->rest == 0)
			{
				cursor->prev_lsn = cursor->record_lsn;
				cursor->state = end_record(cursor);
			}
			break;
		default:
			cursor->state = end_record(cursor);
			break;
	}

	/* the record continues after the next page header */
	if (cursor->state == WZ_RECORD && cursor->lsn % cursor->block_size == 0)
	{
		cursor->state = WZ_PAGE;
		cursor->have = 0;
	}
}

size_t
ws_walz_cursor_feed(WsWalzCursor *cursor, const uint8 *data, size_t len)
{
	size_t		used = 0;

	while (used < len)
	{
		if (cursor->state == WZ_READY)
		{
			cursor->have = 0;
			cursor->rest = 0;
			cursor->record_lsn = cursor->lsn;
			cursor->state = cursor->lsn % cursor->block_size == 0 ?
				WZ_PAGE : WZ_LENGTH;
		}
		feed_in_page(cursor, data + used, len - used, &used);
		if (cursor->state == WZ_READY)
			break;
	}
	return used;
}

size_t
ws_walz_cursor_span(const WsWalzCursor *cursor, uint32 rec_len)
{
	XLogRecPtr	lsn = cursor->lsn;
	size_t		rest = rec_len;

	/* most records are within a page */
	if (lsn % cursor->block_size != 0 && rest <= left_in_page(cursor, lsn))
		return WZ_ALIGN_UP(rest);
	do
	{
		uint32		left;

		if (lsn % cursor->block_size == 0)
		{
			if (ws_segment_offset(lsn, cursor->segment_size) == 0 && !cursor->know_long)
				return 0;
			lsn += page_header_size(cursor, lsn);
		}
		left = left_in_page(cursor, lsn);
		left = Min(left, rest);
		lsn += left;
		rest -= left;
	} while (rest > 0);
	return (size_t) (WZ_ALIGN_UP(lsn) - cursor->lsn);
}

static pg_crc32c
record_crc(const uint8 *record, uint32 len)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record + WZ_REC_HEADER, len - WZ_REC_HEADER);
	COMP_CRC32C(crc, record, WZ_REC_CRC);
	FIN_CRC32C(crc);
	return crc;
}

size_t
ws_walz_cursor_part(const WsWalzCursor *cursor, size_t len, uint32 rest,
					uint32 *n)
{
	size_t		pos = 0;

	*n = 0;
	while (*n < rest && pos < len)
	{
		XLogRecPtr	lsn = cursor->lsn + pos;
		size_t		take;

		if (lsn % cursor->block_size == 0)
		{
			uint32		size = page_header_size(cursor, lsn);

			/*
			 * an incomplete header, or nothing after it: not worth modelling
			 */
			if (len - pos <= size ||
				(size == WZ_PAGE_LONG && !cursor->know_long))
				return 0;
			pos += size;
			lsn += size;
		}
		take = Min(left_in_page(cursor, lsn), rest - *n);
		take = Min(take, len - pos);
		pos += take;
		*n += take;
	}
	return pos;
}

bool
ws_walz_cursor_gather(const WsWalzCursor *cursor, const uint8 *data,
					  uint32 rec_len, uint32 done, uint32 end, uint8 *to)
{
	XLogRecPtr	lsn = cursor->lsn;

	while (done < end)
	{
		const uint8 *p = data + (lsn - cursor->lsn);
		uint32		n;

		if (lsn % cursor->block_size == 0)
		{
			uint8		header[WZ_PAGE_LONG];
			uint32		size = page_header_size(cursor, lsn);

			predict_page_header(cursor, lsn, done > 0 ? rec_len - done : 0,
								header);
			if (memcmp(p, header, size) != 0)
				return false;
			p += size;
			lsn += size;
		}
		n = left_in_page(cursor, lsn);
		n = Min(n, end - done);
		memcpy(to, p, n);
		to += n;
		done += n;
		lsn += n;
	}
	return true;
}

const uint8 *
ws_walz_cursor_peek(const WsWalzCursor *cursor, const uint8 *data, size_t len,
					uint8 *scratch, size_t scratch_size, uint32 *rec_len)
{
	const uint8 *record;
	uint32		skip = 0;
	uint32		n;
	size_t		span;

	if (cursor->lsn % cursor->block_size == 0)
		skip = page_header_size(cursor, cursor->lsn);
	if (len < skip + WZ_REC_HEADER)
		return NULL;
	n = ws_bytes_get32(data + skip + WZ_REC_LEN);
	if (n < WZ_REC_HEADER || n > len || n > scratch_size)
		return NULL;
	span = ws_walz_cursor_span(cursor, n);
	if (span == 0 || span > len)
		return NULL;

	if (skip == 0 && n <= left_in_page(cursor, cursor->lsn))
		record = data;
	else
	{
		if (!ws_walz_cursor_gather(cursor, data, n, 0, n, scratch))
			return NULL;
		record = scratch;
	}

	if (cursor->prev_lsn == InvalidXLogRecPtr ||
		ws_bytes_get64(record + WZ_REC_PREV) != cursor->prev_lsn ||
		ws_bytes_get16(record + WZ_REC_PADDING) != 0)
		return NULL;
	/* page headers and spans are multiples of WZ_ALIGN, so this is padding */
	for (size_t i = span - (0 - n) % WZ_ALIGN; i < span; i++)
	{
		if (data[i] != 0)
			return NULL;
	}
	if (record_crc(record, n) != ws_bytes_get32(record + WZ_REC_CRC))
		return NULL;
	*rec_len = n;
	return record;
}

uint8 *
ws_walz_cursor_spread(const WsWalzCursor *cursor, const uint8 *from,
					  uint32 rec_len, uint32 done, uint32 end, uint8 *dst)
{
	XLogRecPtr	lsn = cursor->lsn;

	while (done < end)
	{
		uint32		n;

		if (lsn % cursor->block_size == 0)
		{
			uint32		size = page_header_size(cursor, lsn);

			predict_page_header(cursor, lsn, done > 0 ? rec_len - done : 0,
								dst);
			dst += size;
			lsn += size;
		}
		n = left_in_page(cursor, lsn);
		n = Min(n, end - done);
		memcpy(dst, from, n);
		from += n;
		dst += n;
		done += n;
		lsn += n;
	}
	return dst;
}

void
ws_walz_cursor_lay(const WsWalzCursor *cursor, uint8 *record, uint32 rec_len,
				   uint8 *dst)
{
	ws_bytes_put32(record + WZ_REC_LEN, rec_len);
	ws_bytes_put64(record + WZ_REC_PREV, cursor->prev_lsn);
	ws_bytes_put16(record + WZ_REC_PADDING, 0);
	ws_bytes_put32(record + WZ_REC_CRC, record_crc(record, rec_len));
	dst = ws_walz_cursor_spread(cursor, record, rec_len, 0, rec_len, dst);
	memset(dst, 0, (0 - rec_len) % WZ_ALIGN);
}

size_t
ws_walz_cursor_pass(WsWalzCursor *cursor, uint32 rec_len)
{
	size_t		span = ws_walz_cursor_span(cursor, rec_len);

	cursor->prev_lsn = cursor->lsn;
	if (cursor->lsn % cursor->block_size == 0)
		cursor->prev_lsn += page_header_size(cursor, cursor->lsn);
	cursor->lsn += span;
	cursor->state = WZ_READY;
	return span;
}
