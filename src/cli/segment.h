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
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SEGMENT_H
#define WS_SEGMENT_H

#include "codec.h"

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
 * Read a segment file, or, if it is one, decode an encoded file.  False with a
 * message on stderr if that cannot be done.  *encoded may be NULL.
 */
extern bool segment_read(const char *path, Segment *segment, bool *encoded);
extern void segment_free(Segment *segment);

/* An encoded file of *len bytes, malloc'd; NULL with a message. */
extern uint8 *segment_encode(const Segment *segment, size_t *len);

/* Is this how a segment file is named? */
extern bool segment_name(const char *name);

#endif							/* WS_SEGMENT_H */
