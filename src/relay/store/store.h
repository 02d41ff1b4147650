/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The directory in which a relay keeps another cluster's WAL.
 *
 *	walstream.identity			whose WAL this is (see WsStoreIdentity)
 *	walstream.lock				held with flock() by the instance that uses it
 *	walstream.spare				a file made ready to become the next segment
 *	walstream.xids				how far transaction ids have come (pure/xidfile.h)
 *	TTTTTTTTXXXXXXXXYYYYYYYY	a closed segment, raw
 *	 ... .zst, .lz4				a closed segment, compressed; "zstd -dc" is the
 *								restore_command
 *	 ... .partial				the segment that is being written, or the last
 *								one of a timeline that was left
 *	TTTTTTTT.history			a timeline's history, as the upstream has it
 *	slots/NAME					relay slots (slots.h)
 *	new-range.tmp/				a new range until its first bytes are durable,
 *								with its history files
 *	before-gap.XXXXXXXX-YYYYYYYY/	WAL from before a gap, no longer served, and
 *								the history files that belong to it
 *	*.tmp						unfinished; removed when the store is opened
 *
 * Anything else is refused by name.
 *
 * One process, the relay's receiver, writes: ws_store_recover() and the
 * functions of a writer.  One, the keeper, compresses and removes.  Any number
 * read.  Nothing here knows of connections or of shared memory: what has been
 * flushed, and so may be read, is for the callers to tell each other (relay.h).
 *
 * All functions raise an ERROR where nothing else is said: with
 * errcode_for_file_access() where the system refuses, DATA_CORRUPTED for a
 * damaged or foreign file, which is named.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STORE_STORE_H
#define WS_RELAY_STORE_STORE_H

#include "access/xlog_internal.h"
#include "access/xlogdefs.h"
#include "pgtime.h"
#include "pure/relay/history.h"
#include "pure/relay/identity.h"
#include "pure/relay/xidfile.h"

/* An open store; path and identity are fixed while it is. */
typedef struct WsStore
{
	char		path[MAXPGPATH];	/* absolute, or relative to the data
									 * directory */
	WsStoreIdentity identity;
} WsStore;

/* How a segment is kept. */
typedef enum WsSegmentForm
{
	WS_SEGMENT_PARTIAL,
	WS_SEGMENT_RAW,
	WS_SEGMENT_ZSTD,
	WS_SEGMENT_LZ4
} WsSegmentForm;

typedef struct WsSegment
{
	TimeLineID	tli;
	XLogSegNo	segno;
	WsSegmentForm form;
	uint64		stored_bytes;	/* the file's size */
	pg_time_t	mtime;
} WsSegment;

/* What a store holds: from first (a segment's start) on without a gap. */
typedef struct WsStoreExtent
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;
	TimeLineID	tli;			/* the newest timeline with WAL */
	XLogRecPtr	end_lsn;		/* on it, durable, behind a complete record or
								 * at the end of a closed segment */
} WsStoreExtent;

/*----------------------------------------------------------------
 * The directory (store.c)
 *----------------------------------------------------------------
 */

/*
 * In the postmaster: make the directory if it is missing, check its owner, mode
 * (which is put right) and place, and lock it.  The
 * lock is inherited by all processes of the instance and so lasts until the
 * last of them is gone.  FATAL if somebody else holds it.  Does nothing if it
 * is held already.  The directory may be a symbolic link; what is in it may not
 * be, and is never followed.
 */
extern void ws_store_lock(const char *path);

/*
 * Receiver only.  Open the store at path, and remember it.  False if it is new:
 * it has neither identity nor WAL.  An ERROR if it has WAL without identity, or
 * a damaged one, and if this instance has used another store there.
 */
extern bool ws_store_open(const char *path, WsStore *store);

/*
 * Give a new store, whose directory ws_store_lock() has made, its identity,
 * durably, before any WAL, and remember it.  The identifier is drawn here.
 */
extern void ws_store_create(const char *path, const WsStoreIdentity *identity,
							WsStore *store);

/* Receiver only.  Whatever is there is used from now on (store/known.c). */
extern void ws_known_forget(void);

/*
 * Has this process been refused the store for that it is not the one that is
 * remembered?  Then it has failed, and forgetting helps.
 */
extern bool ws_known_is_refused(void);

/*
 * Make the directory slots/ in the one at path.  True if it was missing: then
 * its name is for the caller to make durable.
 */
extern bool ws_store_make_slots_directory(const char *path);

/*
 * How far transaction ids have come (store/xids.c): only the newest file counts,
 * and none, or a damaged one, which is logged, is no failure.
 */
extern bool ws_store_read_xids(const WsStore *store, WsXidFile *file);
extern void ws_store_write_xids(const WsStore *store, const WsXidFile *file);
extern void ws_store_remove_xids(const WsStore *store);

/*
 * All segments in a palloc'd array, by timeline and number; a segment in two
 * forms, as a crash of the keeper leaves it, appears once, in the raw form.
 */
extern int	ws_store_list(const WsStore *store, WsSegment **segments);

/* Is there a closed segment, in any form? */
extern bool ws_store_has_segment(const WsStore *store, TimeLineID tli,
								 XLogSegNo segno);

/* A segment's file name, without directory; buf has MAXFNAMELEN + 8 bytes. */
extern void ws_segment_file_name(const WsStore *store, TimeLineID tli,
								 XLogSegNo segno, WsSegmentForm form, char *buf);

extern const char *ws_segment_form_name(WsSegmentForm form);	/* for SQL */

/*----------------------------------------------------------------
 * Timelines (store/history.c)
 *----------------------------------------------------------------
 */

/* Is the history of tli there?  Always true of timeline 1. */
extern bool ws_store_has_history(const WsStore *store, TimeLineID tli);

/* Its file as it was received, palloc'd; an ERROR if there is none. */
extern char *ws_store_read_history_file(const WsStore *store, TimeLineID tli,
										size_t *len);

/* The same parsed, palloc'd. */
extern WsHistory *ws_store_read_history(const WsStore *store, TimeLineID tli);

/*
 * Store a history file, which is not there yet, durably.  It is parsed first.
 */
extern void ws_store_write_history(const WsStore *store, TimeLineID tli,
								   const char *content, size_t len);

/*
 * Remove the history file of a timeline of which there is no WAL, if there is
 * one, durably.
 */
extern void ws_store_remove_history(const WsStore *store, TimeLineID tli);

/*----------------------------------------------------------------
 * Opening after a stop or crash (store/recover.c)
 *----------------------------------------------------------------
 */

/*
 * Writer only.  Remove unfinished files and make the directory durable, since a
 * crash may have come before that; find what the store holds, checking
 * that no segment is missing and where the valid end is, by reading records
 * from the start of the last closed segment.  Unless all that was ever written
 * is_synced, write the open segment anew (a file whose fsync once failed cannot
 * be trusted, even if it reads well) and make it and the directory durable.
 * False if there is no WAL.
 */
extern bool ws_store_recover(const WsStore *store, bool is_synced,
							 WsStoreExtent *extent);

/*
 * What of a store can be served before it has been recovered: its closed
 * segments, in the line that recovery will find, made durable with their names.
 * False if there are none, or if that line cannot be told so early.
 */
extern bool ws_store_find_closed(const WsStore *store, WsStoreExtent *extent);

/*
 * Is there a complete, valid record at or behind lsn on timeline tli, whose
 * stored bytes end at end_lsn?  If so *last_commit_lsn is the end of the last
 * commit record among them (InvalidXLogRecPtr if none), *record_end_lsn the
 * end of the last complete record.
 */
extern bool ws_store_has_record_after(const WsStore *store, TimeLineID tli,
									  XLogRecPtr lsn, XLogRecPtr end_lsn,
									  XLogRecPtr *last_commit_lsn,
									  XLogRecPtr *record_end_lsn);

/* Whether WAL behind a position continues what is before it (store/continuation.c). */
typedef enum WsChainState
{
	WS_CHAIN_OPEN,				/* more WAL is needed to tell */
	WS_CHAIN_CONTINUES,
	WS_CHAIN_BROKEN
}			WsChainState;

typedef struct WsChainResult
{
	WsChainState state;
	XLogRecPtr	needed_lsn;		/* OPEN: before this it need not be asked
								 * again */
	char	   *reason;			/* BROKEN: palloc'd */
}			WsChainResult;

/*
 * Do the records of tli's line go on over lsn?  Its WAL is stored, flushed or
 * not, up to end_lsn.  It continues once a record that ends behind lsn is
 * complete, in an unbroken chain from one that begins before; also if none is
 * stored that does.
 */
extern void ws_store_check_chain(const WsStore *store, TimeLineID tli, XLogRecPtr lsn,
								 XLogRecPtr end_lsn, WsChainResult * result);

/*
 * Is this the first page of a segment of this store that begins at lsn, on tli
 * or an ancestor?  Looks at its header only.
 */
extern bool ws_store_is_first_page(const WsStore *store, TimeLineID tli,
								   XLogRecPtr lsn, const char *page);

/*
 * First segment of the contiguous WAL that reaches tli, as recovery finds it,
 * without writing; for the keeper after it has removed something.
 */
extern bool ws_store_find_first(const WsStore *store, TimeLineID tli,
								TimeLineID *first_tli, XLogRecPtr *first_lsn);

/*
 * Writer only.  Copy the history files and then move all WAL into a directory
 * before-gap.*, oldest first, so that a new range can begin.
 */
extern void ws_store_set_aside(const WsStore *store);

/*
 * Writer only, and only without WAL: remove all history files, for those of a
 * new range.  Durable with the new range's first segment.
 */
extern void ws_store_remove_histories(const WsStore *store);

/*
 * Writer only.  A store of its own, for histories and first segments of a range
 * that is to take the place of what is stored; one that was begun before is
 * removed.  *new_range is written to as any other.
 */
extern void ws_store_begin_new_range(const WsStore *store, WsStore *new_range);

/*
 * Writer only, when what was stored has been set aside and nothing has
 * *new_range open: move what is durable there to its place.  After a crash in
 * between there are histories, and a beginning of the range or nothing.
 */
extern void ws_store_enter_new_range(const WsStore *store);

/* Remove it, if there is one: at start, what was never entered. */
extern void ws_store_drop_new_range(const WsStore *store);

/*----------------------------------------------------------------
 * Writing (store/write.c)
 *----------------------------------------------------------------
 */

typedef struct WsStoreWriter WsStoreWriter;

typedef enum WsWriteResult
{
	WS_WRITE_OK,
	WS_WRITE_NO_SPACE,			/* nothing of the message is lost: call again
								 * with the same arguments */
	WS_WRITE_DIFFERS			/* not what is stored there; *differs_lsn */
} WsWriteResult;

/*
 * A writer on timeline tli in the current memory context, which closes its
 * file.  What is stored below end_lsn is only compared with; begin_lsn (a
 * segment's start) up to end_lsn is stored, equal if nothing is.
 */
extern WsStoreWriter *ws_store_writer_new(const WsStore *store, TimeLineID tli,
										  XLogRecPtr begin_lsn, XLogRecPtr end_lsn);

/*
 * Write len bytes at lsn, which must not be past the end of what is stored: no
 * gap.  May cross segments: a full one is made durable and closed, a new one
 * allocated in full and made durable before it is used.
 */
extern WsWriteResult ws_store_write(WsStoreWriter *writer, XLogRecPtr lsn,
									const char *data, size_t len,
									XLogRecPtr *differs_lsn);

/*
 * Make all that was written durable with one fdatasync and return the end of
 * it.  After an ERROR nothing more may be acknowledged from this writer: end
 * the process and recover.
 */
extern XLogRecPtr ws_store_flush(WsStoreWriter *writer);

/* Flushes nothing. */
extern void ws_store_writer_free(WsStoreWriter *writer);

/*
 * Keeper: make walstream.spare, allocated in full and durable, unless it is
 * there; the writer takes it for its next segment if it finds it.
 */
extern void ws_store_make_spare(const WsStore *store);

/*----------------------------------------------------------------
 * Reading (store/read.c)
 *----------------------------------------------------------------
 */

typedef struct WsStoreReader WsStoreReader;

/* A reader in the current memory context, which closes what it holds. */
extern WsStoreReader *ws_store_reader_new(const WsStore *store);

/*
 * Read len bytes at lsn of timeline tli, across segments of any form.  The
 * caller knows that they are flushed.  Where tli was left for next_tli (else
 * 0), the segment in which that happened may also come from next_tli's file.
 * An ERROR, "requested WAL segment %s has already been removed", with
 * UNDEFINED_FILE if there is none.
 */
extern void ws_store_read(WsStoreReader *reader, TimeLineID tli,
						  TimeLineID next_tli, XLogRecPtr lsn, char *buf, size_t len);

extern void ws_store_reader_free(WsStoreReader *reader);

/*----------------------------------------------------------------
 * Compressing, removing, verifying (store/compress.c, store/verify.c)
 *----------------------------------------------------------------
 */

/*
 * Keeper only: compress a closed raw segment.  Written under a temporary name,
 * fsynced, read back and compared, renamed, the directory fsynced; only then
 * is the raw one unlinked.  Returns the new size in bytes.
 */
extern uint64 ws_store_compress(const WsStore *store, TimeLineID tli,
								XLogSegNo segno, WsSegmentForm form);

/* Keeper only: remove a segment in every form it has; the directory is synced. */
extern void ws_store_remove(const WsStore *store, TimeLineID tli, XLogSegNo segno);

/*
 * Check every record of all stored WAL up to end_lsn on timeline tli.  True if
 * all is well, else *bad_tli, *bad_lsn (from where on it is wrong or missing: the
 * start of a record or page) and *reason (palloc'd) say where and why.  Checks
 * for interrupts.
 */
extern bool ws_store_verify(const WsStore *store, TimeLineID tli, XLogRecPtr end_lsn,
							TimeLineID *bad_tli, XLogRecPtr *bad_lsn, char **reason,
							uint64 *verified_bytes);

#endif							/* WS_RELAY_STORE_STORE_H */
