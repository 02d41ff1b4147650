/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The directory in which a relay keeps another cluster's WAL.
 *
 *	walstream.identity			whose WAL this is (see WsStoreIdentity)
 *	walstream.lock				held with flock() by the instance that uses it
 *	walstream.spare				a file made ready to become the next segment
 *	walstream.xids				how far transaction ids have come (pure/relay/xidfile.h)
 *	walstream.seal				the relay is sealed (pure/relay/sealfile.h)
 *	walstream.standby_names		the primary's (pure/relay/namesfile.h)
 *	TTTTTTTTXXXXXXXXYYYYYYYY	a closed segment, raw
 *	 ... .zst, .lz4				a closed segment, compressed; "zstd -dc" is the
 *								restore_command
 *	 ... .partial				the segment that is being written, or the last
 *								one of a timeline that was left
 *	 ... .unchecked				what there is of the timeline from this segment on
 *								is not known to belong here yet
 *	TTTTTTTT.history			a timeline's history, as the upstream has it
 *	slots/NAME					relay slots (slots.h)
 *	new-range.tmp/				a new range until its first bytes are durable,
 *								with its history files
 *	before-gap.XXXXXXXX-YYYYYYYY/	WAL from before a gap, no longer served, and
 *								the history files that belong to it
 *	surplus.TTTTTTTT-XXXXXXXX-YYYYYYYY/	WAL of a timeline after the point
 *								where an approved timeline has left it
 *	*.tmp						unfinished; removed when the store is opened
 *
 * Anything else is refused by name.
 *
 * One process, the relay's receiver, writes: it calls ws_store_recover() and
 * the functions of a writer.  Another one, the keeper, compresses and removes.
 * Any number of processes read.  The store knows neither connections nor
 * shared memory; its callers tell each other what has been flushed and so may
 * be read (relay.h).
 *
 * Unless stated otherwise, functions raise an ERROR on failure: with
 * errcode_for_file_access() for a failed system call, with DATA_CORRUPTED for
 * a damaged or foreign file, which is named.
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
#include "pure/relay/namesfile.h"
#include "pure/relay/sealfile.h"
#include "pure/relay/xidfile.h"
#include "pure/segment.h"

/* An open store; path and identity do not change while it is open. */
typedef struct WsStore
{
	char		path[MAXPGPATH];	/* absolute, or relative to the data
									 * directory */
	WsStoreIdentity identity;
} WsStore;

/* The same as in segment.h, for segments of this store's size. */
static inline XLogSegNo
ws_store_segment_number(const WsStore *store, XLogRecPtr lsn)
{
	return ws_segment_number(lsn, store->identity.segment_size);
}

static inline XLogRecPtr
ws_store_segment_lsn(const WsStore *store, XLogSegNo segno)
{
	return ws_segment_lsn(segno, store->identity.segment_size);
}

static inline XLogRecPtr
ws_store_segment_start(const WsStore *store, XLogRecPtr lsn)
{
	return ws_segment_start(lsn, store->identity.segment_size);
}

/* Forms in which a segment is kept. */
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

/*
 * The WAL that a store holds: from first (a segment's start) on without a gap.
 */
typedef struct WsStoreExtent
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;
	TimeLineID	tli;			/* the newest timeline with WAL */
	XLogRecPtr	end_lsn;		/* on tli, durable: the end of a complete
								 * record or of a closed segment */
} WsStoreExtent;

/*----------------------------------------------------------------
 * The directory (store.c)
 *----------------------------------------------------------------
 */

/*
 * In the postmaster: make the directory if it is missing, check its owner,
 * mode (which is corrected) and place, and lock it.  All processes of the
 * instance inherit the lock, so it lasts until the last of them has ended.
 * Raises FATAL if another instance holds it, and does nothing if we hold it
 * already.  The directory may be a symbolic link; its entries may not be, and
 * are never followed.
 */
extern void ws_store_lock(const char *path);

/*
 * Receiver only.  Open the store at path, and remember it.  Returns false if
 * it is new, that is, has neither identity nor WAL.  Raises an ERROR if it has
 * WAL but no identity, if the identity is damaged, or if this instance has
 * used another store there.
 */
extern bool ws_store_open(const char *path, WsStore *store);

/*
 * Give a new store, whose directory ws_store_lock() has made, its identity,
 * durably, before any WAL, and remember it.  This chooses the random
 * identifier.
 */
extern void ws_store_create(const char *path, const WsStoreIdentity *identity,
							WsStore *store);

/*
 * Receiver only.  Forget the remembered store, so that any store is accepted
 * from now on (store/known.c).
 */
extern void ws_known_forget(void);

/*
 * Returns true if this process has refused the store because it is not the
 * remembered one.  Then ws_known_forget() helps.
 */
extern bool ws_known_is_refused(void);

/*
 * Make the directory slots/ in the one at path.  Returns true if it was
 * missing; the caller must then make its name durable.
 */
extern bool ws_store_make_slots_directory(const char *path);

/*
 * Read and write the next transaction id known (store/xids.c).  A missing file
 * is not a failure, nor is a damaged one, which is logged.  Writing returns
 * false after a report at elevel if it fails.
 */
extern bool ws_store_read_xids(const WsStore *store, WsXidFile *file);
extern bool ws_store_write_xids(const WsStore *store, const WsXidFile *file, int elevel);
extern void ws_store_remove_xids(const WsStore *store);

/*
 * Whether the relay is sealed is kept in a file (store/seal.c).  Reading returns
 * false if there is no such file.  A damaged one is an ERROR, because it is not
 * known then what must not be acknowledged.  Writing and removing are durable.
 */
extern bool ws_store_read_seal(const WsStore *store, WsSealFile *file);
extern void ws_store_write_seal(const WsStore *store, const WsSealFile *file);
extern void ws_store_remove_seal(const WsStore *store);

/*
 * Read and write the primary's lists of synchronous standbys (store/names.c).
 * Reading returns false, with no list in *file, if the file is missing or
 * damaged, which is logged.  Writing returns false after a report at elevel if
 * it fails.
 */
extern bool ws_store_read_names(const WsStore *store, WsNamesFile *file);
extern bool ws_store_write_names(const WsStore *store, const WsNamesFile *file, int elevel);

/*
 * Returns all segments in a palloc'd array, sorted by timeline and number.  A
 * segment in two forms, as a crash of the keeper can leave it, appears once,
 * in the raw form.
 */
extern int	ws_store_list(const WsStore *store, WsSegment **segments);

/* Returns true if there is a closed segment, in any form. */
extern bool ws_store_has_segment(const WsStore *store, TimeLineID tli,
								 XLogSegNo segno);

/*
 * Write a segment's file name, without directory; buf has MAXFNAMELEN + 8
 * bytes.
 */
extern void ws_segment_file_name(const WsStore *store, TimeLineID tli,
								 XLogSegNo segno, WsSegmentForm form, char *buf);

extern const char *ws_segment_form_name(WsSegmentForm form);	/* for SQL */

/*----------------------------------------------------------------
 * Timelines (store/history.c)
 *----------------------------------------------------------------
 */

/* Returns true if the history of tli is stored; always true for timeline 1. */
extern bool ws_store_has_history(const WsStore *store, TimeLineID tli);

/*
 * Returns the history file as it was received, palloc'd; raises an ERROR if
 * there is none.
 */
extern char *ws_store_read_history_file(const WsStore *store, TimeLineID tli,
										size_t *len);

/* Returns the parsed history, palloc'd. */
extern WsHistory *ws_store_read_history(const WsStore *store, TimeLineID tli);

/*
 * Store a history file, which must not exist yet, durably.  It is parsed
 * first.
 */
extern void ws_store_write_history(const WsStore *store, TimeLineID tli,
								   const char *content, size_t len);

/*
 * Remove the history file, if any, of a timeline of which there is no WAL,
 * durably.
 */
extern void ws_store_remove_history(const WsStore *store, TimeLineID tli);

/*----------------------------------------------------------------
 * Opening after a stop or crash (store/recover.c)
 *----------------------------------------------------------------
 */

/*
 * Writer only.  Remove unfinished files, and make the directory durable, since
 * a crash may have come before that.  Find out what the store holds: check
 * that no segment is missing, and find the valid end by reading records from
 * the start of the last closed segment.  Unless is_synced tells that
 * everything was synced, write the open segment anew, since a file whose fsync
 * once failed cannot be trusted even if it can be read, and make it and the
 * directory durable.  Returns false if there is no WAL.
 */
extern bool ws_store_recover(const WsStore *store, bool is_synced,
							 WsStoreExtent *extent);

/*
 * Find out what can be served before recovery: the closed segments of the line
 * that recovery will find, made durable with their names.  Returns false if
 * there are none, or if that line is not certain so early.
 */
extern bool ws_store_find_closed(const WsStore *store, WsStoreExtent *extent);

/*
 * Returns true if there is a complete, valid record at or after lsn on
 * timeline tli, whose stored bytes end at end_lsn.  Then sets *last_commit_lsn
 * to the end of the last commit record among them (InvalidXLogRecPtr if none)
 * and *record_end_lsn to the end of the last complete record.
 */
extern bool ws_store_has_record_after(const WsStore *store, TimeLineID tli,
									  XLogRecPtr lsn, XLogRecPtr end_lsn,
									  XLogRecPtr *last_commit_lsn,
									  XLogRecPtr *record_end_lsn);

/*
 * Whether the WAL after a position continues the WAL before it
 * (store/continuation.c).
 */
typedef enum WsChainState
{
	WS_CHAIN_OPEN,				/* more WAL is needed to decide */
	WS_CHAIN_CONTINUES,
	WS_CHAIN_BROKEN
}			WsChainState;

typedef struct WsChainResult
{
	WsChainState state;
	XLogRecPtr	needed_lsn;		/* OPEN: no use asking again before WAL up to
								 * here is stored */
	char	   *reason;			/* BROKEN: palloc'd */
}			WsChainResult;

/*
 * Check whether the records of tli's line continue across lsn.  Its WAL is
 * stored, flushed or not, up to end_lsn.  It continues once a record that ends
 * after lsn is complete, in an unbroken chain from a record that begins before
 * lsn; and also if no such earlier record is stored.
 */
extern void ws_store_check_chain(const WsStore *store, TimeLineID tli, XLogRecPtr lsn,
								 XLogRecPtr end_lsn, WsChainResult * result);

/*
 * Returns true if this is the first page of a segment of this store that
 * begins at lsn, on tli or an ancestor.  Looks only at the header.
 */
extern bool ws_store_is_first_page(const WsStore *store, TimeLineID tli,
								   XLogRecPtr lsn, const char *page);

/*
 * Returns the first segment of the contiguous WAL that leads to tli, as
 * recovery finds it, without writing anything.  For the keeper, after it has
 * removed something.
 */
extern bool ws_store_find_first(const WsStore *store, TimeLineID tli,
								TimeLineID *first_tli, XLogRecPtr *first_lsn);

/*
 * Writer only.  Copy the history files, and then move all WAL into a directory
 * before-gap.*, oldest first, so that a new range can begin.
 */
extern void ws_store_set_aside(const WsStore *store);

/*
 * Writer only, with the store locked.  Keep the segments of a timeline from
 * this position on, durably, in a directory surplus.*, for a person to look
 * at, whatever happens to them in the store.  They are links to the same
 * files, so this takes no room at first, or copies where there are no links.
 * It may be called again; other files that are there already are an ERROR.
 */
extern void ws_store_keep_surplus(const WsStore *store, TimeLineID tli, XLogRecPtr lsn);

/*
 * Writer only, and only without WAL: remove all history files, to make room
 * for those of a new range.  This becomes durable with the new range's first
 * segment.
 */
extern void ws_store_remove_histories(const WsStore *store);

/*
 * Writer only.  Make a store for the histories and first segments of a new
 * range that will replace what is stored; one that was begun earlier is
 * removed. *new_range is written like any other store.
 */
extern void ws_store_begin_new_range(const WsStore *store, WsStore *new_range);

/*
 * Writer only, when the stored WAL has been set aside and nothing has
 * *new_range open: move what is durable there to its final place.  After a
 * crash in between, there are histories and either the beginning of the range
 * or nothing.
 */
extern void ws_store_enter_new_range(const WsStore *store);

/*
 * Remove a new range that was not moved to its place, if there is one.  Called
 * at start.
 */
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
	WS_WRITE_DIFFERS			/* differs from what is stored, at
								 * *differs_lsn */
} WsWriteResult;

/*
 * Make a writer on timeline tli in the current memory context, which closes
 * its file.  WAL from begin_lsn (a segment's start) up to end_lsn is stored,
 * and is only compared; both are equal if nothing is stored.
 */
extern WsStoreWriter *ws_store_writer_new(const WsStore *store, TimeLineID tli,
										  XLogRecPtr begin_lsn, XLogRecPtr end_lsn);

/*
 * Write len bytes at lsn, which must not be past the end of what is stored, so
 * that there is no gap.  They may cross segments: a full segment is made
 * durable and closed, and a new one is allocated in full and made durable
 * before it is used.
 */
extern WsWriteResult ws_store_write(WsStoreWriter *writer, XLogRecPtr lsn,
									const char *data, size_t len,
									XLogRecPtr *differs_lsn);

/*
 * Make everything written durable with one fdatasync, and return its end.
 * After an ERROR nothing more may be acknowledged from this writer: the
 * process must end, and the next one must recover.
 */
extern XLogRecPtr ws_store_flush(WsStoreWriter *writer);

/* Close the writer without flushing anything. */
extern void ws_store_writer_free(WsStoreWriter *writer);

/*
 * Keeper: make walstream.spare, allocated in full and durable, unless it
 * exists.  If there is one, the writer uses it for its next segment.
 */
extern void ws_store_make_spare(const WsStore *store);

/*----------------------------------------------------------------
 * WAL that may turn out not to be ours (store/unchecked.c)
 *----------------------------------------------------------------
 */

/*
 * Writer only.  Mark what is stored of tli from the segment on, so that it does
 * not count, until the mark is removed; both durably.  Marking returns
 * WS_WRITE_OK, or WS_WRITE_NO_SPACE.
 */
extern WsWriteResult ws_store_mark_unchecked(const WsStore *store, TimeLineID tli, XLogSegNo segno);
extern void ws_store_unmark_unchecked(const WsStore *store, TimeLineID tli, XLogSegNo segno);

/*
 * Writer only, with the store locked and nothing of it open for writing.  Remove
 * what is marked, the history of a timeline of which nothing is left, and the mark.
 */
extern void ws_store_drop_unchecked(const WsStore *store);

/*----------------------------------------------------------------
 * Reading (store/read.c)
 *----------------------------------------------------------------
 */

typedef struct WsStoreReader WsStoreReader;

/* Make a reader in the current memory context, which closes its files. */
extern WsStoreReader *ws_store_reader_new(const WsStore *store);

/*
 * Read len bytes at lsn of timeline tli, across segments of any form.  The
 * caller must know that they are flushed.  If tli was left for next_tli (0 if
 * not), the segment in which that happened may also be read from next_tli's
 * file.  If a segment is missing, raises the ERROR "requested WAL segment %s
 * has already been removed" with UNDEFINED_FILE.
 */
extern void ws_store_read(WsStoreReader *reader, TimeLineID tli,
						  TimeLineID next_tli, XLogRecPtr lsn, char *buf, size_t len);

extern void ws_store_reader_free(WsStoreReader *reader);

/*----------------------------------------------------------------
 * Compressing, removing, verifying (store/compress.c, store/verify.c)
 *----------------------------------------------------------------
 */

/*
 * Keeper only: compress a closed raw segment.  The new file is written under a
 * temporary name, fsynced, read back and compared, and renamed, and the
 * directory is fsynced; only then is the raw file unlinked.  Returns the new
 * size in bytes.
 */
extern uint64 ws_store_compress(const WsStore *store, TimeLineID tli,
								XLogSegNo segno, WsSegmentForm form);

/* Keeper only: remove a segment in every form, and sync the directory. */
extern void ws_store_remove(const WsStore *store, TimeLineID tli, XLogSegNo segno);

/*
 * Check every record of all stored WAL up to end_lsn on timeline tli.  Returns
 * true if all is well.  Otherwise sets *bad_tli and *bad_lsn (the start of the
 * first record or page that is wrong or missing) and *reason (palloc'd).
 * Checks for interrupts.
 */
extern bool ws_store_verify(const WsStore *store, TimeLineID tli, XLogRecPtr end_lsn,
							TimeLineID *bad_tli, XLogRecPtr *bad_lsn, char **reason,
							uint64 *verified_bytes);

#endif							/* WS_RELAY_STORE_STORE_H */
