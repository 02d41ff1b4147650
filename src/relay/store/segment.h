/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Reads a segment's file, in whatever form it is kept.
 *
 * For this folder only.
 *
 * A compressed segment is decompressed from its start, a chunk at a time.  The
 * last chunk is kept, so that reading on, or again in the same place, is
 * cheap, while reading further back starts again from the beginning.  A zstd
 * file is a series of frames, each with WS_FRAME_BYTES of WAL and a checksum,
 * which zstd checks before it returns the last byte of the frame.  A chunk is
 * a frame, so no byte is handed out unchecked.  The same is true of lz4's
 * blocks.
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

/* A file with zstd frames that need a larger window (2^n bytes) is refused. */
#define WS_MAX_WINDOW_LOG	23

typedef struct WsDecompressor WsDecompressor;

/* All zeros, except that fd is -1, while no file is open. */
typedef struct WsSegmentFile
{
	int			fd;				/* -1 if not open */
	TimeLineID	tli;
	XLogSegNo	segno;
	WsSegmentForm form;
	uint32		segment_size;
	char		path[MAXPGPATH];
	WsDecompressor *decompressor;	/* NULL unless compressed */
} WsSegmentFile;

/*
 * Open the segment.  Returns false if there is none.  A segment is refused
 * unless its first page belongs to this store and this segment; only in a
 * partial one may that page be missing.
 *
 * Memory comes from the current context and from malloc, so the owner must
 * make sure that the file is closed.
 */
extern bool ws_segment_open(const WsStore *store, TimeLineID tli, XLogSegNo segno,
							WsSegmentFile *file);

/* Open the segment in one form, without looking at the first page. */
extern bool ws_segment_open_form(const WsStore *store, TimeLineID tli, XLogSegNo segno,
								 WsSegmentForm form, WsSegmentFile *file);

/*
 * Check that the first page agrees with the store's identity and the file's
 * name; raises an ERROR if not.
 */
extern void ws_segment_check_first_page(const WsStore *store, WsSegmentFile *file);

/* Open a file of the form under any path in the directory. */
extern bool ws_segment_open_path(const WsStore *store, const char *path,
								 WsSegmentForm form, WsSegmentFile *file);

/* Read bytes, all of which must be within the segment. */
extern void ws_segment_read(WsSegmentFile *file, uint32 offset, char *buf, size_t len);

/*
 * Returns true if an open .partial file has been replaced or removed, so that
 * later writes cannot be seen through this descriptor.
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
 * Like ws_segment_read(), for a compressed file.  Raises an ERROR if the file
 * turns out not to have exactly segment_size bytes.
 */
extern void ws_decompressor_read(WsDecompressor *decompressor, const WsSegmentFile *file,
								 uint32 offset, char *buf, size_t len);

#endif							/* WS_RELAY_STORE_SEGMENT_H */
