/*-------------------------------------------------------------------------
 *
 * part.c
 *	  Codes page images in records that a piece holds only a part of.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/page.h"
#include "pure/walz/part.h"

#define CONTEXT_GOES_ON		WZ_CONTEXT(WZ_KIND_PART, 0, 0)
#define CONTEXT_IMAGE		WZ_CONTEXT(WZ_KIND_PART, 0, 1)
#define CONTEXT_LENGTH		WZ_CONTEXT(WZ_KIND_PART, 0, 10)

/* The current part: bytes start to end of the record. */
typedef struct Range
{
	uint32		start;
	uint32		end;
	uint8	   *bytes;
} Range;

bool
ws_walz_part_goes_on(const WsWalzPart *part, const WsWalzCursor *cursor)
{
	if (part->record_lsn == InvalidXLogRecPtr ||
		part->record_lsn != cursor->record_lsn ||
		cursor->rest == 0 || cursor->rest > part->rec_len - part->header_len)
		return false;
	return cursor->state == WZ_RECORD ||
		(cursor->state == WZ_PAGE && cursor->have == 0);
}

bool
ws_walz_part_begins(WsWalzPart *part, const WsWalzCursor *cursor,
					const uint8 *src, size_t len, uint8 *scratch)
{
	uint32		n;

	/* at the start of a page, code the page header by itself first */
	if (len < WZ_REC_HEADER || cursor->lsn % cursor->block_size == 0)
		return false;
	part->rec_len = ws_bytes_get32(src + WZ_REC_LEN);
	if (part->rec_len < WZ_REC_HEADER ||
		ws_walz_cursor_part(cursor, len, part->rec_len, &n) == 0 ||
		!ws_walz_cursor_gather(cursor, src, part->rec_len, 0, n, scratch))
		return false;
	part->header_len = ws_walz_record_read_header(scratch, n, part->rec_len,
												  &part->record);
	return part->header_len > 0 && part->record.has_image;
}

/* Code a record's header, which tells where its images are. */
static void
code_header(WsWalzPart *part, WsWalzIo *io, uint8 *bytes, size_t len)
{
	uint64		n;

	n = ws_walz_number(io, CONTEXT_LENGTH, part->header_len);
	if (n < WZ_REC_HEADER || n > WZ_RECORD_HEADER_MAX || n > len)
	{
		io->failed = true;
		return;
	}
	ws_walz_raw(io, bytes, (size_t) n);
	if (!io->decoding || io->failed)
		return;
	part->rec_len = ws_bytes_get32(bytes + WZ_REC_LEN);
	part->header_len = (uint32) n;
	if (part->rec_len < WZ_REC_HEADER ||
		ws_walz_record_read_header(bytes, part->header_len, part->rec_len,
								   &part->record) != part->header_len)
		io->failed = true;
}

/* Code the part of the record after its header. */
static void
code_range(const WsWalzPart *part, WsWalzModel *model, WsWalzIo *io,
		   const Range *range)
{
	uint32		done = Max(range->start, part->header_len);
	uint32		at = part->header_len;

	for (int i = 0; i < part->record.nblocks && at < range->end; i++)
	{
		WsWalzBlock block = part->record.blocks[i];

		if (block.image_len > 0 && at >= done &&
			at + block.image_len <= range->end)
		{
			uint8	   *image = range->bytes + (at - range->start);

			block.image = image;
			ws_walz_raw(io, range->bytes + (done - range->start), at - done);
			ws_walz_page_code_known(io, CONTEXT_IMAGE,
									ws_walz_model_relation(model, &block)->page,
									&block, image);
			if (io->failed)
				return;
			done = at + block.image_len;
		}
		at += block.image_len + block.data_len;
	}
	ws_walz_raw(io, range->bytes + (done - range->start), range->end - done);
}

/* Advance the cursor; no record starts before the end. */
static void
go_over(WsWalzCursor *cursor, const uint8 *data, size_t len)
{
	for (size_t pos = 0; pos < len;)
		pos += ws_walz_cursor_feed(cursor, data + pos, len - pos);
}

size_t
ws_walz_part_encode(WsWalzPart *part, WsWalzModel *model, WsWalzIo *io,
					WsWalzCursor *cursor, const uint8 *src, size_t len,
					uint8 *scratch)
{
	bool		begins = cursor->state == WZ_READY;
	uint32		start = begins ? 0 : part->rec_len - cursor->rest;
	Range		range = {start, 0, scratch};
	uint32		n;
	size_t		span;

	span = ws_walz_cursor_part(cursor, len, part->rec_len - start, &n);
	range.end = start + n;
	if (!begins)
	{
		bool		good = span > 0 &&
			ws_walz_cursor_gather(cursor, src, part->rec_len, start, range.end,
								  scratch);

		ws_walz_code(io, CONTEXT_GOES_ON, good);
		if (!good)
		{
			part->record_lsn = InvalidXLogRecPtr;
			return 0;
		}
	}
	else
		code_header(part, io, scratch, n);

	code_range(part, model, io, &range);
	go_over(cursor, src, span);
	part->record_lsn = cursor->record_lsn;
	return span;
}

size_t
ws_walz_part_decode(WsWalzPart *part, WsWalzModel *model, WsWalzIo *io,
					WsWalzCursor *cursor, uint8 *dst, size_t len,
					uint8 *scratch)
{
	bool		begins = cursor->state == WZ_READY;
	uint32		start = 0;
	Range		range = {0, 0, scratch};
	uint32		n;
	size_t		span;

	if (begins)
	{
		if (cursor->lsn % cursor->block_size == 0)
			io->failed = true;
		else
			code_header(part, io, scratch, len);
	}
	else
	{
		uint8		goes_on = ws_walz_code(io, CONTEXT_GOES_ON, 0);

		start = part->rec_len - cursor->rest;
		if (goes_on != 1)
		{
			io->failed |= goes_on > 1;
			part->record_lsn = InvalidXLogRecPtr;
			return 0;
		}
	}
	if (io->failed)
		return 0;

	span = ws_walz_cursor_part(cursor, len, part->rec_len - start, &n);
	if (span == 0 || (begins && n < part->header_len))
	{
		io->failed = true;
		return 0;
	}
	range.start = start;
	range.end = start + n;
	code_range(part, model, io, &range);
	if (io->failed)
		return 0;
	ws_walz_cursor_spread(cursor, scratch, part->rec_len, start, range.end, dst);
	go_over(cursor, dst, span);
	part->record_lsn = cursor->record_lsn;
	return span;
}
