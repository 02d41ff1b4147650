/*-------------------------------------------------------------------------
 *
 * record.h
 *	  Takes WAL records apart and puts them together.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_RECORD_H
#define WS_PURE_WALZ_RECORD_H

#include "pure/walz/layout.h"

/*
 * A record taken apart.  Two records have the same shape if they are equal in
 * everything but the fields marked here with a star.
 */
#define WZ_MAX_BLOCKS		(WZ_ID_MAX_BLOCK + 1)

typedef struct WsWalzBlock
{
	uint8		id;
	uint8		flags;			/* and fork */
	uint8		image_info;
	bool		has_hole_length;	/* compressed and with a hole */
	uint16		data_len;		/* * */
	uint16		image_len;		/* * */
	uint16		hole_offset;	/* * */
	uint16		hole_length;	/* * only if in the header */
	uint8		locator[WZ_LOCATOR_SIZE];
	uint32		block;			/* * */
	const uint8 *image;			/* * */
	const uint8 *data;			/* * */
} WsWalzBlock;

typedef struct WsWalzRecord
{
	uint32		xid;			/* * */
	uint8		info;
	uint8		rmid;
	uint8		main_id;		/* 0 if no main data, else WZ_ID_MAIN_… */
	bool		has_origin;
	bool		has_toplevel;
	uint8		origin[2];
	uint32		toplevel;		/* * */
	uint32		main_len;		/* * */
	const uint8 *main;			/* * */
	int			nblocks;
	bool		has_image;
	WsWalzBlock blocks[WZ_MAX_BLOCKS];
} WsWalzRecord;

/*
 * A shape in bytes:
 *
 *		size	field
 *		1		info
 *		1		resource manager
 *		1		main data: 0, WZ_ID_MAIN_SHORT or WZ_ID_MAIN_LONG
 *		1		bit 0: origin; bit 1: top-level xid; bits 2-7: blocks
 *		0 or 2	origin
 *	  each block:
 *		1		id
 *		1		flags
 *		0 or 1	image info
 *		0 or 12	tablespace, database, relation
 *
 * A record with a longer shape is not modelled.
 */
#define WZ_SHAPE_MAX		100

/*
 * Take a record apart.  Returns false if it does not have the known layout, or
 * if ws_walz_record_header would not write exactly the same.
 */
extern bool ws_walz_record_read(const uint8 *bytes, uint32 len,
								WsWalzRecord *record);

/*
 * Parse the header of a record of len bytes of which the first "have" are at
 * hand; sets everything but the pointers to images and data.  Returns the
 * length of the header; 0 if it is incomplete or makes no sense.
 */
extern uint32 ws_walz_record_read_header(const uint8 *bytes, uint32 have,
										 uint32 len, WsWalzRecord *record);

/*
 * Write the record's shape, and return its length; 0 if it is too long.  shape
 * has WZ_SHAPE_MAX bytes.
 */
extern int	ws_walz_shape_write(const WsWalzRecord *record, uint8 *shape);

/*
 * Set all but the starred fields.  Returns false if the bytes are not a shape.
 */
extern bool ws_walz_shape_read(const uint8 *shape, int len,
							   WsWalzRecord *record);

/* Upper limit of the bytes that ws_walz_record_header writes. */
#define WZ_RECORD_HEADER_MAX	(WZ_REC_HEADER + WZ_MAX_BLOCKS * 27 + 3 + 5 + 5)

/*
 * Write everything of a record that comes before images and data; length,
 * back-pointer and CRC are left zero.  Returns the length.
 */
extern uint32 ws_walz_record_header(const WsWalzRecord *record, uint8 *bytes);

#endif							/* WS_PURE_WALZ_RECORD_H */
