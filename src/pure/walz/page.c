/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Codes page images.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/columns.h"
#include "pure/walz/page.h"

#define KIND_AS_IT_IS		0
#define KIND_COLUMNS		1

/* Pages with more line pointers are not turned into columns. */
#define MAX_LINES			WZ_MAX_ITEMS
#define MAX_PAGE_SIZE		32768

/* every heap item has this much, so columns go at least this far */
#define MIN_COLUMNS			24

/* A page image as its header describes it. */
typedef struct Layout
{
	int			lower;
	int			hole;			/* length */
	int			upper;			/* offsets in the image, without the hole */
	int			special;
	int			image_len;
	int			nlines;
} Layout;

typedef struct Items
{
	WsWalzItems in;				/* offsets in the image */
	int			covered;		/* bytes, padding counted */
	uint8		taken[MAX_PAGE_SIZE / WZ_ALIGN];
} Items;

/*
 * Returns true if this is the header of a page that can be turned into
 * columns.
 */
static bool
read_layout(const uint8 *header, bool has_hole, Layout *layout)
{
	int			lower = ws_bytes_get16(header + WZ_DATA_LOWER);
	int			upper = ws_bytes_get16(header + WZ_DATA_UPPER);
	int			special = ws_bytes_get16(header + WZ_DATA_SPECIAL);
	int			size = ws_bytes_get16(header + WZ_DATA_SIZE) & WZ_DATA_SIZE_MASK;

	if (lower < WZ_DATA_HEADER || upper < lower || special < upper ||
		size < special || size > MAX_PAGE_SIZE || has_hole != (upper > lower) ||
		(lower - WZ_DATA_HEADER) / WZ_LINE_SIZE > MAX_LINES ||
		upper % WZ_ALIGN != 0)
		return false;
	layout->lower = lower;
	layout->hole = upper - lower;
	layout->upper = lower;
	layout->special = special - layout->hole;
	layout->image_len = size - layout->hole;
	layout->nlines = (lower - WZ_DATA_HEADER) / WZ_LINE_SIZE;
	return true;
}

/* Collect the items that an image's line pointers describe. */
static void
find_items(const uint8 *image, const Layout *layout, Items *items)
{
	int			lowest = layout->special + layout->hole;

	ws_walz_items_clear(&items->in);
	items->covered = 0;
	memset(items->taken, 0, (layout->image_len + layout->hole) / WZ_ALIGN);

	for (int i = 0; i < layout->nlines; i++)
	{
		uint32		line = ws_bytes_get32(image + WZ_DATA_HEADER + WZ_LINE_SIZE * i);
		int			start = WZ_LINE_OFFSET(line);
		int			len = WZ_LINE_LENGTH(line);
		int			padded = (int) WZ_ALIGN_UP(len);
		int			unit;

		if ((WZ_LINE_FLAGS(line) != WZ_LINE_NORMAL && WZ_LINE_FLAGS(line) != WZ_LINE_DEAD) ||
			len == 0 || start % WZ_ALIGN != 0 ||
			start < layout->upper + layout->hole ||
			start + padded > layout->special + layout->hole)
			continue;

		/* usually each item lies below those before it */
		unit = start / WZ_ALIGN;
		if (start + padded > lowest)
		{
			while (unit < (start + padded) / WZ_ALIGN && !items->taken[unit])
				unit++;
			if (unit < (start + padded) / WZ_ALIGN)
				continue;
		}
		lowest = Min(lowest, start);
		memset(items->taken + start / WZ_ALIGN, 1, padded / WZ_ALIGN);
		ws_walz_items_add(&items->in, start - layout->hole, len);
		items->covered += padded;
	}
}

/*
 * Code line pointers as differences from the ones that items of the first
 * item's length, packed downwards from "special", would have.
 */
static void
code_lines(bool decoding, uint8 *image, const Layout *layout, uint8 *columns)
{
	uint32		last_len = 0;
	uint32		last_start = layout->special + layout->hole;
	int			n = layout->nlines;

	for (int i = 0; i < n; i++)
	{
		uint8	   *p = image + WZ_DATA_HEADER + WZ_LINE_SIZE * i;
		uint32		start;
		uint32		flags;
		uint32		len;
		uint32		v;

		if (!decoding)
		{
			uint32		line = ws_bytes_get32(p);

			start = WZ_LINE_OFFSET(line);
			flags = WZ_LINE_FLAGS(line);
			len = WZ_LINE_LENGTH(line);
			v = ((start - (last_start - (uint32) WZ_ALIGN_UP(len))) & 0x7FFF) << 2 |
				flags | ((len - last_len) & 0x7FFF) << 17;
			for (int c = 0; c < 4; c++)
				columns[n * c + i] = (uint8) (v >> (8 * c));
		}
		else
		{
			v = 0;
			for (int c = 0; c < 4; c++)
				v |= (uint32) columns[n * c + i] << (8 * c);
			flags = v & 3;
			len = (last_len + (v >> 17)) & 0x7FFF;
			start = (last_start - (uint32) WZ_ALIGN_UP(len) + (v >> 2)) & 0x7FFF;
			ws_bytes_put32(p, start | flags << 15 | len << 17);
		}
		if (len > 0)
		{
			last_len = len;
			last_start = start;
		}
	}
}

/* Code the bytes between items. */
static uint8 *
code_padding(bool decoding, uint8 *image, const WsWalzItems *items,
			 uint8 *stream)
{
	for (int i = 0; i < items->n; i++)
	{
		int			padding = (0 - items->item[i].len) & (WZ_ALIGN - 1);

		if (padding > 0)
			stream = wz_move_bytes(decoding,
								   image + items->item[i].offset + items->item[i].len,
								   stream, padding);
	}
	return stream;
}

/* Code the bytes from "upper" on that belong to no item. */
static uint8 *
code_others(bool decoding, uint8 *image, const Layout *layout,
			const Items *items, uint8 *stream)
{
	int			end = layout->image_len + layout->hole;
	int			at = layout->upper + layout->hole;

	/* usually there is nothing before "special" */
	if (items->covered == layout->special - layout->upper)
		at = layout->special + layout->hole;
	for (; at < end; at += WZ_ALIGN)
	{
		if (!items->taken[at / WZ_ALIGN])
			stream = wz_move_bytes(decoding, image + at - layout->hole, stream,
								   WZ_ALIGN);
	}
	return stream;
}

/*
 * Code all of a page but its header; the stream has room for it, or holds it.
 */
static void
code_page(bool decoding, uint8 *image, const Layout *layout, Items *items,
		  uint8 *stream)
{
	int			lines_end = WZ_DATA_HEADER + WZ_LINE_SIZE * layout->nlines;
	int			columns = 0;

	if (!decoding)
	{
		columns = ws_walz_columns_choose(image, &items->in, MIN_COLUMNS);
		*stream = columns;
	}
	columns = *stream++;
	code_lines(decoding, image, layout, stream);
	stream += WZ_LINE_SIZE * layout->nlines;
	stream = wz_move_bytes(decoding, image + lines_end, stream,
						   layout->lower - lines_end);
	if (decoding)
		find_items(image, layout, items);
	stream = ws_walz_columns_code(decoding, image, &items->in, columns, stream);
	stream = code_padding(decoding, image, &items->in, stream);
	code_others(decoding, image, layout, items, stream);
}

static void
decode_columns(WsWalzIo *io, uint8 *last_header, WsWalzBlock *block,
			   uint8 *room, size_t left)
{
	uint8	   *stream = ws_walz_raw_reserve(io, WZ_DATA_HEADER);
	bool		has_hole = (block->image_info & WZ_IMAGE_HAS_HOLE) != 0;
	Layout		layout;
	Items		items;

	if (stream == NULL || left < WZ_DATA_HEADER)
	{
		io->failed = true;
		return;
	}
	for (int i = 0; i < WZ_DATA_HEADER; i++)
		last_header[i] += stream[i];
	if (!read_layout(last_header, has_hole, &layout) ||
		(size_t) layout.image_len > left ||
		(stream = ws_walz_raw_reserve(io, layout.image_len - WZ_DATA_HEADER + 1)) == NULL)
	{
		io->failed = true;
		return;
	}
	memcpy(room, last_header, WZ_DATA_HEADER);
	code_page(true, room, &layout, &items, stream);
	block->image_len = layout.image_len;
	block->hole_offset = has_hole ? layout.lower : 0;
}

/* Encode an image as columns if that is possible and makes sense. */
static bool
try_columns(WsWalzIo *io, uint32 context, uint8 *last_header,
			const WsWalzBlock *block)
{
	uint8	   *image = unconstify(uint8 *, block->image);
	bool		has_hole = (block->image_info & WZ_IMAGE_HAS_HOLE) != 0;
	uint8	   *stream;
	Layout		layout;
	Items		items;

	if ((block->image_info & WZ_IMAGE_COMPRESSED) ||
		block->image_len < WZ_DATA_HEADER ||
		!read_layout(image, has_hole, &layout) ||
		layout.image_len != block->image_len ||
		block->hole_offset != (has_hole ? layout.lower : 0))
		return false;
	find_items(image, &layout, &items);
	if (2 * items.covered < layout.special - layout.upper || items.in.n < 2)
		return false;

	ws_walz_code(io, context, KIND_COLUMNS);
	stream = ws_walz_raw_reserve(io, layout.image_len + 1);
	if (stream == NULL)
		return true;			/* failed */
	for (int i = 0; i < WZ_DATA_HEADER; i++)
		stream[i] = image[i] - last_header[i];
	memcpy(last_header, image, WZ_DATA_HEADER);
	code_page(false, image, &layout, &items, stream + WZ_DATA_HEADER);
	return true;
}

static void
code_as_it_is(WsWalzIo *io, uint32 context, WsWalzBlock *block, uint8 *room,
			  size_t left)
{
	uint64		len;

	len = ws_walz_number(io, context + 10, block->image_len);
	if (len > PG_UINT16_MAX || (io->decoding && len > left))
	{
		io->failed = true;
		return;
	}
	block->image_len = (uint16) len;
	block->hole_offset = (uint16) ws_walz_number(io, context + 20,
												 block->hole_offset);
	if (block->has_hole_length)
		block->hole_length = (uint16) ws_walz_number(io, context + 30,
													 block->hole_length);
	ws_walz_raw(io, io->decoding ? room : unconstify(uint8 *, block->image),
				block->image_len);
}

void
ws_walz_page_code(WsWalzIo *io, uint32 context, uint8 *last_header,
				  WsWalzBlock *block, uint8 *room, size_t left)
{
	if (!io->decoding)
	{
		if (try_columns(io, context, last_header, block))
			return;
		ws_walz_code(io, context, KIND_AS_IT_IS);
		code_as_it_is(io, context, block, room, left);
		return;
	}
	switch (ws_walz_code(io, context, 0))
	{
		case KIND_AS_IT_IS:
			code_as_it_is(io, context, block, room, left);
			break;
		case KIND_COLUMNS:
			decode_columns(io, last_header, block, room, left);
			break;
		default:
			io->failed = true;
			break;
	}
}

void
ws_walz_page_code_known(WsWalzIo *io, uint32 context, uint8 *last_header,
						const WsWalzBlock *block, uint8 *room)
{
	WsWalzBlock decoded = *block;

	if (!io->decoding)
	{
		if (try_columns(io, context, last_header, block))
			return;
		ws_walz_code(io, context, KIND_AS_IT_IS);
		ws_walz_raw(io, unconstify(uint8 *, block->image), block->image_len);
		return;
	}
	switch (ws_walz_code(io, context, 0))
	{
		case KIND_AS_IT_IS:
			ws_walz_raw(io, room, block->image_len);
			break;
		case KIND_COLUMNS:
			decode_columns(io, last_header, &decoded, room, block->image_len);
			io->failed |= decoded.image_len != block->image_len;
			break;
		default:
			io->failed = true;
			break;
	}
}
