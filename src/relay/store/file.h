/*-------------------------------------------------------------------------
 *
 * file.h
 *	  Files of a store: names, and making what is written to them durable.
 *
 * For store/ and slots/file.c only.  PostgreSQL's setting fsync is respected.
 * If syncing fails, an ERROR is raised, never PANIC: no other process relies
 * on the file yet, and the caller's process starts again with a new file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STORE_FILE_H
#define WS_RELAY_STORE_FILE_H

#include "relay/store/store.h"

#define WS_IDENTITY_FILE	"walstream.identity"
#define WS_LOCK_FILE		"walstream.lock"
#define WS_SPARE_FILE		"walstream.spare"
#define WS_XIDS_FILE		"walstream.xids"
#define WS_SEAL_FILE		"walstream.seal"
#define WS_NAMES_FILE		"walstream.standby_names"
#define WS_SLOTS_DIRECTORY	"slots"
#define WS_SET_ASIDE_PREFIX	"before-gap."
#define WS_SURPLUS_PREFIX	"surplus."
#define WS_TEMPORARY_SUFFIX	".tmp"
#define WS_UNCHECKED_SUFFIX	".unchecked"
#define WS_NEW_RANGE_DIRECTORY	"new-range" WS_TEMPORARY_SUFFIX

/* Room for any name in a store, and ".tmp". */
#define WS_FILE_NAME_SIZE	(MAXFNAMELEN + 16)

/* Kinds of names in a store's directory. */
typedef enum WsFileKind
{
	WS_FILE_SEGMENT,
	WS_FILE_HISTORY,
	WS_FILE_UNCHECKED,
	WS_FILE_TEMPORARY,
	WS_FILE_OTHER,				/* another name that belongs there */
	WS_FILE_UNKNOWN
} WsFileKind;

/*
 * Classify a name.  For a segment, sets *tli, *segno and *form, for a mark *tli
 * and *segno; without an identity (segment_size 0) *segno is not set.
 */
extern WsFileKind ws_file_classify(const char *name, uint32 segment_size,
								   TimeLineID *tli, XLogSegNo *segno,
								   WsSegmentForm *form);

/*
 * Write the path of a file in the directory into buf, which has MAXPGPATH
 * bytes.
 */
extern void ws_file_path(const char *directory, const char *name, char *buf);

/*
 * Write the path of a segment's file.
 */
extern void ws_segment_path(const WsStore *store, TimeLineID tli, XLogSegNo segno,
							WsSegmentForm form, char *buf);

/* Returns true if there is an entry of that name. */
extern bool ws_file_exists(const char *path);

/*
 * Open an entry of a store like BasicOpenFile() or OpenTransientFile().
 * Returns a descriptor, or -1 with errno.  Raises an ERROR if it is not a
 * regular file; links are not followed, and a FIFO is not waited for.
 */
extern int	ws_file_open(const char *path, int flags);
extern int	ws_file_open_transient(const char *path, int flags);

/* The same, with an ERROR if it cannot be opened. */
extern int	ws_file_open_existing(const char *path, int flags);

/*
 * Raise an ERROR unless the entry is a regular file, or a directory, or
 * missing.
 */
extern void ws_file_check_regular(const char *path);
extern void ws_file_check_directory(const char *path);

/* Remove a file, which may be missing. */
extern void ws_file_remove(const char *path);

/*
 * Read a whole file into palloc'd memory, followed by a zero byte; NULL if it
 * is missing.  Raises an ERROR if it has more than max_len bytes.
 */
extern char *ws_file_read_all(const char *path, size_t max_len, size_t *len);

/*
 * Write all bytes at offset.  Returns 0 or errno.  Waits are reported as
 * wait_event.
 */
extern int	ws_file_write(int fd, const char *buf, size_t len, off_t offset,
						  uint32 wait_event);

/*
 * pg_fsync(), pg_fdatasync() and close(); they return 0 or errno.  An
 * interruption by a signal is not a failure: syncing is tried again, and a
 * file that was synced counts as closed.
 */
extern int	ws_file_sync(int fd);
extern int	ws_file_datasync(int fd);
extern int	ws_file_close(int fd);

/*
 * Read up to len bytes at offset.  Returns fewer only at the end of the file,
 * and -1 with errno on failure.
 */
extern ssize_t ws_file_read(int fd, char *buf, size_t len, off_t offset);

/*
 * Make a directory's entries durable.  Failures are raised at elevel, and
 * false is returned if that is less than ERROR.  (fsync_fname_ext() cannot be
 * used, since it fails when a signal interrupts it.)
 */
extern bool ws_directory_sync_ext(const char *path, int elevel);

/* Make a directory's entries durable, or raise an ERROR. */
extern void ws_directory_sync(const char *path);

/*
 * Rename a file whose content is durable, within its directory, and make that
 * durable.  Returns 0, or errno of rename(); raises an ERROR if syncing fails.
 */
extern int	ws_file_rename(const char *directory, const char *from, const char *to);

/*
 * Rename without syncing the directory, for callers that do this themselves or
 * need not.
 */
extern int	ws_file_rename_only(const char *directory, const char *from,
								const char *to);

/*
 * Write a small file durably, replacing the existing one.  Returns false after a
 * report at elevel if that fails.
 */
extern bool ws_file_replace(const char *directory, const char *name,
							const char *content, size_t len, int elevel);

/*
 * Write a small file without syncing the directory, for callers that do this
 * themselves.
 */
extern bool ws_file_replace_only(const char *directory, const char *name,
								 const char *content, size_t len, int elevel);

/* Returns true if the device has no room, or the user no quota. */
#define ws_errno_is_no_space(e)		((e) == ENOSPC || (e) == EDQUOT)

/* Like errcode_for_file_access(), which does not know about quotas. */
extern int	ws_errcode_for_file(void);

/*----------------------------------------------------------------
 * The store that this instance knows (store/known.c)
 *----------------------------------------------------------------
 */

/*
 * Raise an ERROR if the instance has used another store in this directory than
 * the one found there (NULL if none was found).
 */
extern void ws_known_check(const char *directory, const WsStoreIdentity *found);

/* Remember this store durably. */
extern void ws_known_remember(const char *directory, const WsStoreIdentity *identity);

/*----------------------------------------------------------------
 * Allocating (store/alloc.c)
 *----------------------------------------------------------------
 */

/*
 * Create a file with size bytes of zeros, durably except for its name.
 * Returns 0 or errno; after a failure there is no such file.
 */
extern int	ws_file_allocate(const char *path, uint32 size);

/*
 * Rename the spare.  Its zeros are durable, but the new name is not yet.
 * Returns 0 or errno, which is ENOENT if there is no spare.
 */
extern int	ws_segment_take_spare(const WsStore *store, const char *name);

/*
 * Create the .partial file of a segment, from the spare if there is one,
 * durably with its name.  Returns 0, or an errno for which
 * ws_errno_is_no_space() is true; raises an ERROR for anything else.
 */
extern int	ws_segment_allocate(const WsStore *store, TimeLineID tli, XLogSegNo segno);

#endif							/* WS_RELAY_STORE_FILE_H */
