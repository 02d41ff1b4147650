/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Sizes of WAL blocks and segments, and where segments begin.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_SEGMENT_H
#define WS_PURE_SEGMENT_H

#include "access/xlogdefs.h"

/* The range of sizes in PostgreSQL; both are powers of two. */
#define WS_BLOCK_SIZE_MIN		1024
#define WS_BLOCK_SIZE_MAX		(64 * 1024)
#define WS_SEGMENT_SIZE_MIN		(1024 * 1024)
#define WS_SEGMENT_SIZE_MAX		(1024 * 1024 * 1024)

/*
 * Returns true if PostgreSQL can have such a block and segment size.  Code
 * that takes sizes from a file must check them with this function before it
 * calculates with them.
 */
static inline bool
ws_segment_sizes_valid(uint32 block_size, uint32 segment_size)
{
	return block_size >= WS_BLOCK_SIZE_MIN && block_size <= WS_BLOCK_SIZE_MAX &&
		(block_size & (block_size - 1)) == 0 &&
		segment_size >= WS_SEGMENT_SIZE_MIN && segment_size <= WS_SEGMENT_SIZE_MAX &&
		(segment_size & (segment_size - 1)) == 0;
}

/* Returns the segment that a position is in. */
static inline uint64
ws_segment_number(XLogRecPtr lsn, uint32 segment_size)
{
	return lsn / segment_size;
}

/* Returns how many bytes of its segment are before a position. */
static inline uint32
ws_segment_offset(XLogRecPtr lsn, uint32 segment_size)
{
	return lsn & (segment_size - 1);
}

/* Returns the first position in the segment of this number. */
static inline XLogRecPtr
ws_segment_lsn(uint64 number, uint32 segment_size)
{
	return number * segment_size;
}

/* Returns the first position in the segment that a position is in. */
static inline XLogRecPtr
ws_segment_start(XLogRecPtr lsn, uint32 segment_size)
{
	return lsn - ws_segment_offset(lsn, segment_size);
}

#endif							/* WS_PURE_SEGMENT_H */
