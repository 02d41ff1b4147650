/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  A segment's file, open for reading, in whatever form it is kept.
 *
 * For this folder only.
 *
 * A compressed segment is decompressed from its start on, a chunk at a time;
 * the chunk last made is kept, so that reading on, or again in the same place,
 * costs nothing, while reading further back starts anew.  What is compressed
 * with zstd is a row of frames, each of WS_FRAME_BYTES of WAL with a checksum
 * of its own, which zstd checks before the last of the frame's bytes comes out:
 * as a chunk is a frame, no byte is handed out unchecked.  The same is true of
 * lz4's blocks.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STORE_SEGMENT_H
#define WS_RELAY_STORE_SEGMENT_H

#include "relay/store/store.h"

/* WAL in one frame of a .zst file, and in one block of a .lz4 file */
#define WS_FRAME_BYTES		(1024 * 1024)
#define WS_BLOCK_BYTES		(256 * 1024)

/* A file whose zstd frames need a larger window (2^n bytes) is refused. */
#define WS_MAX_WINDOW_LOG	23

typedef struct WsDecompressor WsDecompressor;

/* All zeros, but fd -1, while it is not open. */
typedef struct WsSegmentFile
{
	int			fd;				/* -1: not open */
	TimeLineID	tli;
	XLogSegNo	segno;
	WsSegmentForm form;
	uint32		segment_size;
	char		path[MAXPGPATH];
	WsDecompressor *decompressor;	/* NULL unless compressed */
} WsSegmentFile;

/*
 * Open the segment; false if there is none.  Its first page must be this
 * store's and this segment's, else it is refused; only in a partial one it may
 * be missing.
 *
 * Memory comes from the current context and from malloc: whoever owns file
 * makes sure that it is closed.
 */
extern bool ws_segment_open(const WsStore *store, TimeLineID tli, XLogSegNo segno,
							WsSegmentFile *file);

/* The same for one form, and without looking at the first page. */
extern bool ws_segment_open_form(const WsStore *store, TimeLineID tli, XLogSegNo segno,
								 WsSegmentForm form, WsSegmentFile *file);

/*
 * Is the first page what the store's identity and the file's name say?  An ERROR
 * if not.
 */
extern void ws_segment_check_first_page(const WsStore *store, WsSegmentFile *file);

/* Open a file of the form under any path in the directory. */
extern bool ws_segment_open_path(const WsStore *store, const char *path,
								 WsSegmentForm form, WsSegmentFile *file);

/* Read; all of it must be within the segment. */
extern void ws_segment_read(WsSegmentFile *file, uint32 offset, char *buf, size_t len);

/*
 * An open .partial file may have been replaced by another one, or removed; what
 * is written from then on is not seen through this one.
 */
extern bool ws_segment_is_stale(const WsSegmentFile *file);

extern void ws_segment_close(WsSegmentFile *file);

/*----------------------------------------------------------------
 * Decompressing (store/decompress.c)
 *----------------------------------------------------------------
 */

extern WsDecompressor *ws_decompressor_new(WsSegmentForm form);
extern void ws_decompressor_free(WsDecompressor *decompressor);

/*
 * As ws_segment_read(), of a compressed file.  An ERROR unless the file gives
 * segment_size bytes, to the last of them, when its end is reached.
 */
extern void ws_decompressor_read(WsDecompressor *decompressor, const WsSegmentFile *file,
								 uint32 offset, char *buf, size_t len);

#endif							/* WS_RELAY_STORE_SEGMENT_H */
