/*-------------------------------------------------------------------------
 *
 * layout.h
 *	  The parts of PostgreSQL's on-disk layouts that walz understands.
 *
 * walz does not use the server's headers for the layouts that it parses, since
 * the WAL may come from a server of another major version than the one it was
 * built against.  So this file has offsets and flags as plain numbers, and
 * src/walz_check.c compares each of them with PostgreSQL's own headers when
 * the module is built.
 *
 * The layouts below are those of PostgreSQL 15 to 19, which the magic number
 * of the stream's WAL pages identifies; other WAL is not parsed.  Integers are
 * in the machine's byte order; physical replication requires the same on both
 * ends.
 *
 *		WAL page header					record header
 *		offset	size	field			offset	size	field
 *		0		2		magic			0		4		total length
 *		2		2		info			4		4		xid
 *		4		4		timeline		8		8		start of the record before
 *		8		8		page address	16		1		info
 *		16		4		rest of record	17		1		resource manager
 *		20		4		padding			18		2		padding
 *		24		8		system id		20		4		CRC-32C
 *		32		4		segment size
 *		36		4		block size		(from 24 on only in a segment's first
 *										page)
 *
 * After a record's header, in this order: block references; origin (id, 2
 * bytes); top-level xid (id, 4 bytes); main data's length (short: id, 1
 * byte; long: id, 4 bytes).  Then, for each block, its image and its data;
 * then the main data.  A block reference:
 *
 *		size	field
 *		1		id, 0 to 32
 *		1		fork (4 bits) and flags
 *		2		length of data
 *		with an image only:
 *		2		length of image
 *		2		offset of hole
 *		1		image info
 *		2		length of hole, if compressed and with a hole
 *		unless of the same relation as the one before:
 *		12		tablespace, database, relation
 *		  all:
 *		4		block number
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_LAYOUT_H
#define WS_PURE_WALZ_LAYOUT_H

#include "pure/bytes.h"

/* Magic numbers of WAL pages that have these layouts: 15 to 19. */
#define WZ_MAGIC_15				0xD110
#define WZ_MAGIC_16				0xD113
#define WZ_MAGIC_17				0xD116
#define WZ_MAGIC_18				0xD118
#define WZ_MAGIC_19				0xD122

/* records start at multiples of this */
#define WZ_ALIGN				8
#define WZ_ALIGN_UP(n)			(((n) + (WZ_ALIGN - 1)) & ~(uint64) (WZ_ALIGN - 1))

/* WAL page header */
#define WZ_PAGE_MAGIC			0
#define WZ_PAGE_INFO			2
#define WZ_PAGE_TLI				4
#define WZ_PAGE_ADDR			8
#define WZ_PAGE_REST			16
#define WZ_PAGE_SHORT			24
#define WZ_PAGE_LONG			40

#define WZ_PAGE_CONTRECORD		0x0001
#define WZ_PAGE_IS_LONG			0x0002
#define WZ_PAGE_BKP_REMOVABLE	0x0004	/* up to 18; 19 has the next flag here */
#define WZ_PAGE_OVERWRITE_19	0x0004

/* record header */
#define WZ_REC_LEN				0
#define WZ_REC_XID				4
#define WZ_REC_PREV				8
#define WZ_REC_INFO				16
#define WZ_REC_RMID				17
#define WZ_REC_PADDING			18
#define WZ_REC_CRC				20
#define WZ_REC_HEADER			24

/* ids that begin the parts of a record's header */
#define WZ_ID_MAX_BLOCK			32
#define WZ_ID_TOPLEVEL_XID		252
#define WZ_ID_ORIGIN			253
#define WZ_ID_MAIN_LONG			254
#define WZ_ID_MAIN_SHORT		255

/* block reference */
#define WZ_BLOCK_FORK			0x0F
#define WZ_BLOCK_HAS_IMAGE		0x10
#define WZ_BLOCK_HAS_DATA		0x20
#define WZ_BLOCK_SAME_REL		0x80
#define WZ_LOCATOR_SIZE			12

/* image info */
#define WZ_IMAGE_HAS_HOLE		0x01
#define WZ_IMAGE_COMPRESSED		0x1C

/*
 * the only resource manager whose data is interpreted: a commit record's data
 * begins with its time
 */
#define WZ_RM_XACT				1
#define WZ_XACT_OPMASK			0x70
#define WZ_XACT_COMMIT			0x00

/*
 * Data pages
 *
 *		offset	size	field
 *		12		2		lower: end of line pointers
 *		14		2		upper: start of items
 *		16		2		special: start of special space
 *		18		2		page size and layout version
 *		24		4 each	line pointers: offset (15 bits), flags (2), length (15)
 */
#define WZ_DATA_LOWER			12
#define WZ_DATA_UPPER			14
#define WZ_DATA_SPECIAL			16
#define WZ_DATA_SIZE			18
#define WZ_DATA_SIZE_MASK		0xFF00
#define WZ_DATA_HEADER			24
#define WZ_LINE_SIZE			4
#define WZ_LINE_OFFSET(l)		((l) & 0x7FFF)
#define WZ_LINE_FLAGS(l)		((l) >> 15 & 3)
#define WZ_LINE_LENGTH(l)		((l) >> 17)
#define WZ_LINE_NORMAL			1
#define WZ_LINE_DEAD			3

/*
 * Rows of a bulk load (xl_multi_insert_tuple), each at a multiple of two bytes
 *
 *		offset	size	field
 *		0		2		length of the row's data
 *		2		2		infomask2
 *		4		2		infomask
 *		6		1		hoff
 *		7				the row's data
 */
#define WZ_ROW_LENGTH_SIZE		2
#define WZ_ROW_HEADER			7
#define WZ_ROW_ALIGN			2

#endif							/* WS_PURE_WALZ_LAYOUT_H */
