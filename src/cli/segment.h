/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Reads and writes WAL segment files and encoded segment files.
 *
 * An encoded file, with integers in the byte order of the machine that wrote
 * it, like those in WAL:
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
 * The fields of the header are also in the segment's first page, which is
 * covered by a CRC; if they differ, the file is damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SEGMENT_H
#define WS_SEGMENT_H

#include "pure/codec/codec.h"

/* Decoded length of a block in an encoded file. */
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
 * Read a segment file, or decode an encoded file; *encoded tells which it was.
 * Returns false after a message if that fails.
 */
extern bool segment_read(const char *path, Segment *segment, bool *encoded);
extern void segment_free(Segment *segment);

/*
 * Decode a file in memory, given as segment->bytes, which is malloc'd, and
 * len.  The bytes are replaced, or freed on failure.  Returns NULL, or the
 * reason for a failure.  The memory for the decoded bytes has the size that
 * the file's blocks announce, and at most that of the largest possible
 * segment.
 */
extern const char *segment_take(Segment *segment, bool *encoded);

/*
 * Make an encoded file of *len bytes in malloc'd memory.  Returns NULL after a
 * message.
 */
extern uint8 *segment_encode(const Segment *segment, size_t *len);

/* Returns true if this is the name of a segment file. */
extern bool segment_name(const char *name);

#endif							/* WS_SEGMENT_H */
