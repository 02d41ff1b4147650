/*-------------------------------------------------------------------------
 *
 * tuples.c
 *	  Turns the rows of a bulk load into columns.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/columns.h"
#include "pure/walz/tuples.h"

/* infomask2, infomask, hoff, and the first byte of the row's data */
#define MIN_COLUMNS			6

/* fewer rows are not worth it */
#define MIN_ROWS			4

/*
 * Add the row that begins at offset and has this length.  Returns where the
 * next row begins, or -1 if this one does not fit.
 */
static int
add_row(WsWalzItems *items, int offset, int row_len, int len)
{
	int			end = offset + WZ_ROW_HEADER + row_len;

	if (items->n == WZ_MAX_ITEMS || end > len)
		return -1;
	ws_walz_items_add(items, offset + WZ_ROW_LENGTH_SIZE,
					  WZ_ROW_HEADER - WZ_ROW_LENGTH_SIZE + row_len);
	return end < len ? end + end % WZ_ROW_ALIGN : end;
}

/*
 * Find the rows in data by their lengths.  Returns false if these are not
 * rows.
 */
static bool
find_rows(const uint8 *data, int len, WsWalzItems *items)
{
	int			offset = 0;

	ws_walz_items_clear(items);
	while (offset < len)
	{
		if (len - offset < WZ_ROW_HEADER)
			return false;
		offset = add_row(items, offset, ws_bytes_get16(data + offset), len);
		if (offset < 0)
			return false;
	}
	return items->n >= MIN_ROWS;
}

bool
ws_walz_tuples_kind(WsWalzIo *io, uint32 context, const uint8 *data, int len)
{
	uint8		kind = 0;

	if (!io->decoding)
	{
		WsWalzItems items;

		kind = find_rows(data, len, &items) ? 1 : 0;
	}
	kind = ws_walz_code(io, context, kind);
	if (kind > 1)
		io->failed = true;
	return kind == 1;
}

/* When decoding, read n lengths from the stream and find the rows by them. */
static bool
read_lengths(uint8 *data, int len, const uint8 *stream, int n,
			 WsWalzItems *items)
{
	int			offset = 0;

	ws_walz_items_clear(items);
	for (int i = 0; i < n; i++)
	{
		uint16		row_len = stream[i] | stream[n + i] << 8;
		int			start = offset;

		if (len - start < WZ_ROW_HEADER)
			return false;
		offset = add_row(items, start, row_len, len);
		if (offset < 0)
			return false;
		ws_bytes_put16(data + start, row_len);
	}
	return offset == len;
}

void
ws_walz_tuples_code(WsWalzIo *io, uint32 context, uint8 *data, int len)
{
	WsWalzItems items;
	uint64		n = 0;
	uint8	   *stream;
	int			columns;

	if (!io->decoding)
	{
		find_rows(data, len, &items);
		n = items.n;
	}
	n = ws_walz_number(io, context, n);
	if (n > WZ_MAX_ITEMS || WZ_ROW_HEADER * (int) n > len ||
		(stream = ws_walz_raw_reserve(io, len + 1)) == NULL)
	{
		io->failed = true;
		return;
	}

	if (!io->decoding)
	{
		*stream = ws_walz_columns_choose(data, &items, MIN_COLUMNS);
		for (int i = 0; i < items.n; i++)
		{
			uint16		row_len = ws_bytes_get16(data + items.item[i].offset - WZ_ROW_LENGTH_SIZE);

			stream[1 + i] = (uint8) row_len;
			stream[1 + n + i] = row_len >> 8;
		}
	}
	else if (!read_lengths(data, len, stream + 1, (int) n, &items))
	{
		io->failed = true;
		return;
	}
	columns = *stream;
	stream += 1 + WZ_ROW_LENGTH_SIZE * n;
	stream = ws_walz_columns_code(io->decoding, data, &items, columns, stream);
	for (int i = 0; i < items.n; i++)
	{
		int			end = items.item[i].offset + items.item[i].len;

		if (end % 2 != 0 && end < len)
			stream = wz_move_bytes(io->decoding, data + end, stream, 1);
	}
}
