/*-------------------------------------------------------------------------
 *
 * ring.h
 *	  Frames of one stream of WAL, which several processes send, in a block of
 *	  memory that they share.
 *
 * One process at a time writes; the caller's lock sees to that.  Any number of
 * processes read without a lock and without being seen: the writer waits for
 * nobody, and overwrites the oldest frames.  A reader copies a frame and looks
 * afterwards whether it was still there.  So a reader that is too slow is told
 * that the frame is lost, and nobody else is slower for it.
 *
 * Frames are contiguous: each starts where the one before it ended.  They are
 * numbered, through all the time that the ring exists.  A ring that continues
 * elsewhere is cleared first; no reader goes on over that.
 *
 * A check value covers each frame in the ring, so a bit that flips there is
 * found by the next reader, and not by the standby that gets it.
 *
 * A writer may die anywhere.  What it had not published does not exist.
 *
 * The block has the same address in every process, or not: there are no
 * pointers in it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_SHARE_RING_H
#define WS_PURE_SHARE_RING_H

#include "port/pg_crc32c.h"
#include "pure/codec/codec.h"

/* Alignment of the block. */
#define WS_RING_ALIGN		64

typedef struct WsRing WsRing;

typedef struct WsRingFrame
{
	XLogRecPtr	start_lsn;
	uint32		raw_len;		/* bytes of WAL, at least 1 */
	uint32		len;			/* bytes kept for it */
	pg_crc32c	content_crc;	/* ws_frame_content_crc of the WAL */
	WsCodecId	codec;			/* WS_CODEC_NONE: a plain range, the WAL is
								 * not in the ring */
	bool		restart;		/* decodes without anything earlier */
	uint64		cost_ns;		/* that it took to encode */
} WsRingFrame;

/* Where a reader is. */
typedef struct WsRingReader
{
	uint64		number;			/* of the next frame */
	XLogRecPtr	lsn;			/* where that starts */
} WsRingReader;

typedef enum WsRingStatus
{
	WS_RING_FOUND,
	WS_RING_AT_END,				/* the frame does not exist yet */
	WS_RING_LOST,				/* no frame starts there, or none any more */
	WS_RING_DAMAGED				/* not as it was written */
} WsRingStatus;

/*
 * Make an empty ring of a block, whatever that holds, before anybody reads it;
 * later, ws_ring_clear() is what empties it.  NULL if the block is too
 * small for a frame of max_len bytes, or the sizes make no sense.  Of the block,
 * a part for which frames of mean_len bytes are assumed holds the frames'
 * descriptions.
 */
extern WsRing *ws_ring_init(void *block, size_t size, size_t max_len,
							size_t mean_len);

/*
 * Only for the writer: room for the next frame, of at most len bytes, no more
 * than max_len.  The frames that are in its way exist no longer.  It is at hand
 * until the next call.
 */
extern uint8 *ws_ring_reserve(WsRing *ring, size_t len);

/*
 * Only for the writer, after that: give the frame, whose bytes have been
 * written, to the readers.  It starts where the last one ended, unless the ring
 * is empty.
 */
extern void ws_ring_publish(WsRing *ring, const WsRingFrame *frame);

/*
 * Only for the writer: no frame exists any more, and the next starts anywhere.
 * All readers have lost their place.
 */
extern void ws_ring_clear(WsRing *ring);

/*
 * Where the last frame ended; invalid if there is none, as there may be after
 * ws_ring_reserve().
 */
extern XLogRecPtr ws_ring_end(const WsRing *ring);

/*
 * Set *reader to the frame that starts at lsn, or, WS_RING_AT_END, to the one
 * that will.
 */
extern WsRingStatus ws_ring_seek(const WsRing *ring, XLogRecPtr lsn,
								 WsRingReader *reader);

/*
 * Copy the reader's frame, with its bytes, to dst, and advance the reader.  dst
 * has room for max_len bytes.  Only after WS_RING_FOUND anything has changed.
 */
extern WsRingStatus ws_ring_take(const WsRing *ring, WsRingReader *reader,
								 WsRingFrame *frame, uint8 *dst);

#endif							/* WS_PURE_SHARE_RING_H */
