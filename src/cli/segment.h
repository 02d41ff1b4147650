/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  WAL segment files, and files that hold one encoded.
 *
 * An encoded file, integers in the byte order of the machine that wrote it,
 * as WAL is:
 *
 *		offset	size	field
 *		0		4		"WALZ"
 *		4		2		format version, 1
 *		6		2		WAL page magic
 *		8		8		position of the first byte
 *		16		4		WAL block size
 *		20		4		WAL segment size
 *	  then blocks, with one history:
 *		0		4		length of the decoded bytes; 0 ends the file
 *		4		4		length of the encoded bytes
 *		8		4		CRC-32C of position and decoded bytes, see frame.h
 *		12		...		encoded bytes
 *
 * The header's fields are also in the segment's first page, whose bytes have a
 * CRC; a file in which they differ is damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SEGMENT_H
#define WS_SEGMENT_H

#include "pure/codec/codec.h"

/* Decoded bytes of a block in an encoded file. */
#define SEGMENT_BLOCK	(128 * 1024)

typedef struct Segment
{
	char		path[MAXPGPATH];
	WsCodecParams params;
	XLogRecPtr	start;			/* position of the first byte */
	uint8	   *bytes;
	size_t		len;
	size_t		used;			/* up to the last page that belongs to it */
} Segment;

/*
 * Read a segment file, or, if it is one, decode an encoded file; *encoded tells
 * which.  False, with a message, if that cannot be done.
 */
extern bool segment_read(const char *path, Segment *segment, bool *encoded);
extern void segment_free(Segment *segment);

/*
 * The same of a file in memory: segment->bytes, malloc'd, and len.  The bytes
 * are replaced, or freed on failure.  Returns NULL, or what is wrong.  Memory
 * for the decoded bytes is what the blocks of the file announce, at most that
 * of the largest segment there is.
 */
extern const char *segment_take(Segment *segment, bool *encoded);

/* An encoded file of *len bytes, malloc'd; NULL with a message. */
extern uint8 *segment_encode(const Segment *segment, size_t *len);

/* Is this how a segment file is named? */
extern bool segment_name(const char *name);

#endif							/* WS_SEGMENT_H */
