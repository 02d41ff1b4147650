/*-------------------------------------------------------------------------
 *
 * record.c
 *	  Takes WAL records apart and puts them together.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/record.h"

/*
 * Parse the block references from *pos on.  Returns false if they make no
 * sense.  Sets *data_total to the size of images and data.
 */
static bool
read_block(const uint8 **pos, const uint8 *end, WsWalzRecord *record,
		   uint32 *data_total)
{
	const uint8 *p = *pos;
	WsWalzBlock *block;

	if (record->nblocks == WZ_MAX_BLOCKS || end - p < 4)
		return false;
	block = &record->blocks[record->nblocks];
	block->id = p[0];
	block->flags = p[1];
	block->data_len = ws_bytes_get16(p + 2);
	p += 4;
	if (((block->flags & WZ_BLOCK_HAS_DATA) != 0) != (block->data_len != 0))
		return false;
	*data_total += block->data_len;

	block->image_info = 0;
	block->has_hole_length = false;
	block->image_len = block->hole_offset = block->hole_length = 0;
	if (block->flags & WZ_BLOCK_HAS_IMAGE)
	{
		if (end - p < 7)
			return false;
		record->has_image = true;
		block->image_len = ws_bytes_get16(p);
		block->hole_offset = ws_bytes_get16(p + 2);
		block->image_info = p[4];
		p += 5;
		*data_total += block->image_len;
		block->has_hole_length = (block->image_info & WZ_IMAGE_HAS_HOLE) &&
			(block->image_info & WZ_IMAGE_COMPRESSED);
		if (block->has_hole_length)
		{
			block->hole_length = ws_bytes_get16(p);
			p += 2;
		}
	}

	if (block->flags & WZ_BLOCK_SAME_REL)
	{
		if (record->nblocks == 0)
			return false;
		memcpy(block->locator, block[-1].locator, WZ_LOCATOR_SIZE);
	}
	else
	{
		if (end - p < WZ_LOCATOR_SIZE)
			return false;
		memcpy(block->locator, p, WZ_LOCATOR_SIZE);
		p += WZ_LOCATOR_SIZE;
	}
	if (end - p < 4)
		return false;
	block->block = ws_bytes_get32(p);
	*pos = p + 4;
	record->nblocks++;
	return true;
}

uint32
ws_walz_record_read_header(const uint8 *bytes, uint32 have, uint32 len,
						   WsWalzRecord *record)
{
	const uint8 *p = bytes + WZ_REC_HEADER;
	const uint8 *end = bytes + Min(have, len);
	uint32		data_total = 0;
	uint8		header[WZ_RECORD_HEADER_MAX];
	uint32		header_len;

	if (end < p)
		return 0;
	record->xid = ws_bytes_get32(bytes + WZ_REC_XID);
	record->info = bytes[WZ_REC_INFO];
	record->rmid = bytes[WZ_REC_RMID];
	record->main_id = 0;
	record->main_len = 0;
	record->has_origin = record->has_toplevel = record->has_image = false;
	record->nblocks = 0;

	while (p < end && *p <= WZ_ID_MAX_BLOCK && len - (p - bytes) > data_total)
	{
		if (!read_block(&p, end, record, &data_total))
			return 0;
	}
	if (end - p >= 3 && *p == WZ_ID_ORIGIN)
	{
		record->has_origin = true;
		memcpy(record->origin, p + 1, sizeof(record->origin));
		p += 3;
	}
	if (end - p >= 5 && *p == WZ_ID_TOPLEVEL_XID)
	{
		record->has_toplevel = true;
		record->toplevel = ws_bytes_get32(p + 1);
		p += 5;
	}
	if (end - p >= 2 && *p == WZ_ID_MAIN_SHORT)
	{
		record->main_id = *p;
		record->main_len = p[1];
		p += 2;
	}
	else if (end - p >= 5 && *p == WZ_ID_MAIN_LONG)
	{
		record->main_id = *p;
		record->main_len = ws_bytes_get32(p + 1);
		p += 5;
	}

	/* data_total is at most 33 * 128 kB */
	if (record->main_len > len ||
		len - (p - bytes) != data_total + record->main_len)
		return 0;

	/*
	 * the decoder has only the fields that we took out, so check that these
	 * are enough
	 */
	header_len = ws_walz_record_header(record, header);
	if (header_len != p - bytes ||
		memcmp(header + WZ_REC_HEADER, bytes + WZ_REC_HEADER,
			   header_len - WZ_REC_HEADER) != 0)
		return 0;
	return header_len;
}

bool
ws_walz_record_read(const uint8 *bytes, uint32 len, WsWalzRecord *record)
{
	uint32		header_len = ws_walz_record_read_header(bytes, len, len, record);
	const uint8 *p = bytes + header_len;

	if (header_len == 0)
		return false;
	for (int i = 0; i < record->nblocks; i++)
	{
		record->blocks[i].image = p;
		p += record->blocks[i].image_len;
		record->blocks[i].data = p;
		p += record->blocks[i].data_len;
	}
	record->main = p;
	return true;
}

uint32
ws_walz_record_header(const WsWalzRecord *record, uint8 *bytes)
{
	uint8	   *p = bytes;

	memset(p, 0, WZ_REC_HEADER);
	ws_bytes_put32(p + WZ_REC_XID, record->xid);
	p[WZ_REC_INFO] = record->info;
	p[WZ_REC_RMID] = record->rmid;
	p += WZ_REC_HEADER;

	for (int i = 0; i < record->nblocks; i++)
	{
		const WsWalzBlock *block = &record->blocks[i];

		*p++ = block->id;
		*p++ = block->flags;
		ws_bytes_put16(p, block->data_len);
		p += 2;
		if (block->flags & WZ_BLOCK_HAS_IMAGE)
		{
			ws_bytes_put16(p, block->image_len);
			ws_bytes_put16(p + 2, block->hole_offset);
			p[4] = block->image_info;
			p += 5;
			if (block->has_hole_length)
			{
				ws_bytes_put16(p, block->hole_length);
				p += 2;
			}
		}
		if ((block->flags & WZ_BLOCK_SAME_REL) == 0)
		{
			memcpy(p, block->locator, WZ_LOCATOR_SIZE);
			p += WZ_LOCATOR_SIZE;
		}
		ws_bytes_put32(p, block->block);
		p += 4;
	}
	if (record->has_origin)
	{
		*p++ = WZ_ID_ORIGIN;
		memcpy(p, record->origin, sizeof(record->origin));
		p += 2;
	}
	if (record->has_toplevel)
	{
		*p++ = WZ_ID_TOPLEVEL_XID;
		ws_bytes_put32(p, record->toplevel);
		p += 4;
	}
	if (record->main_id != 0)
	{
		*p++ = record->main_id;
		if (record->main_id == WZ_ID_MAIN_SHORT)
			*p++ = (uint8) record->main_len;
		else
		{
			ws_bytes_put32(p, record->main_len);
			p += 4;
		}
	}
	return p - bytes;
}

#define SHAPE_ORIGIN		0x01
#define SHAPE_TOPLEVEL		0x02
#define SHAPE_BLOCKS_SHIFT	2

/* id, flags, image info and locator */
#define SHAPE_BLOCK_MAX		(3 + WZ_LOCATOR_SIZE)

int
ws_walz_shape_write(const WsWalzRecord *record, uint8 *shape)
{
	uint8	   *p = shape;

	*p++ = record->info;
	*p++ = record->rmid;
	*p++ = record->main_id;
	*p++ = record->nblocks << SHAPE_BLOCKS_SHIFT |
		(record->has_toplevel ? SHAPE_TOPLEVEL : 0) |
		(record->has_origin ? SHAPE_ORIGIN : 0);
	if (record->has_origin)
	{
		memcpy(p, record->origin, sizeof(record->origin));
		p += sizeof(record->origin);
	}
	for (int i = 0; i < record->nblocks; i++)
	{
		const WsWalzBlock *block = &record->blocks[i];

		if (p - shape > WZ_SHAPE_MAX - SHAPE_BLOCK_MAX)
			return 0;
		*p++ = block->id;
		*p++ = block->flags;
		if (block->flags & WZ_BLOCK_HAS_IMAGE)
			*p++ = block->image_info;
		if ((block->flags & WZ_BLOCK_SAME_REL) == 0)
		{
			memcpy(p, block->locator, WZ_LOCATOR_SIZE);
			p += WZ_LOCATOR_SIZE;
		}
	}
	return p - shape;
}

bool
ws_walz_shape_read(const uint8 *shape, int len, WsWalzRecord *record)
{
	const uint8 *p = shape + 4;
	const uint8 *end = shape + len;

	if (len < 4)
		return false;
	record->info = shape[0];
	record->rmid = shape[1];
	record->main_id = shape[2];
	record->main_len = 0;
	record->nblocks = shape[3] >> SHAPE_BLOCKS_SHIFT;
	record->has_origin = (shape[3] & SHAPE_ORIGIN) != 0;
	record->has_toplevel = (shape[3] & SHAPE_TOPLEVEL) != 0;
	record->has_image = false;
	if (record->nblocks > WZ_MAX_BLOCKS ||
		(record->main_id != 0 && record->main_id != WZ_ID_MAIN_SHORT &&
		 record->main_id != WZ_ID_MAIN_LONG))
		return false;
	if (record->has_origin)
	{
		if (end - p < 2)
			return false;
		memcpy(record->origin, p, sizeof(record->origin));
		p += 2;
	}
	for (int i = 0; i < record->nblocks; i++)
	{
		WsWalzBlock *block = &record->blocks[i];

		if (end - p < 2 || ((p[1] & WZ_BLOCK_HAS_IMAGE) && end - p < 3))
			return false;
		block->id = *p++;
		block->flags = *p++;
		block->image_info = 0;
		block->image_len = block->hole_offset = block->hole_length = 0;
		block->data_len = 0;
		block->has_hole_length = false;
		if (block->flags & WZ_BLOCK_HAS_IMAGE)
		{
			record->has_image = true;
			block->image_info = *p++;
			block->has_hole_length =
				(block->image_info & WZ_IMAGE_HAS_HOLE) &&
				(block->image_info & WZ_IMAGE_COMPRESSED);
		}
		if ((block->flags & WZ_BLOCK_SAME_REL) == 0)
		{
			if (end - p < WZ_LOCATOR_SIZE)
				return false;
			memcpy(block->locator, p, WZ_LOCATOR_SIZE);
			p += WZ_LOCATOR_SIZE;
		}
		else if (i == 0)
			return false;
		else
			memcpy(block->locator, block[-1].locator, WZ_LOCATOR_SIZE);
	}
	return p == end;
}
