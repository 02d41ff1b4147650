/*-------------------------------------------------------------------------
 *
 * file.h
 *	  Files of a store: names, and making what is written to them durable.
 *
 * For store/ and slots/file.c only.  PostgreSQL's setting fsync is respected.  Where syncing
 * fails an ERROR is raised, never PANIC: no process but the caller's relies on
 * the file yet, and it starts again with a new one.
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
#define WS_SLOTS_DIRECTORY	"slots"
#define WS_SET_ASIDE_PREFIX	"before-gap."
#define WS_TEMPORARY_SUFFIX	".tmp"
#define WS_NEW_RANGE_DIRECTORY	"new-range" WS_TEMPORARY_SUFFIX

/* Large enough for a name that a store uses, and ".tmp". */
#define WS_FILE_NAME_SIZE	(MAXFNAMELEN + 16)

/* What a name in a store's directory says. */
typedef enum WsFileKind
{
	WS_FILE_SEGMENT,
	WS_FILE_HISTORY,
	WS_FILE_TEMPORARY,
	WS_FILE_OTHER,				/* one of the others that belong there */
	WS_FILE_UNKNOWN
} WsFileKind;

/*
 * Classify a name.  Of a segment *tli, *segno and *form are set; without
 * identity (segment_size 0) *segno is not.
 */
extern WsFileKind ws_file_classify(const char *name, uint32 segment_size,
								   TimeLineID *tli, XLogSegNo *segno,
								   WsSegmentForm *form);

/* The path of a file in the directory, into buf of MAXPGPATH bytes. */
extern void ws_file_path(const char *directory, const char *name, char *buf);

/*
 * The path of a segment's file.
 */
extern void ws_segment_path(const WsStore *store, TimeLineID tli, XLogSegNo segno,
							WsSegmentForm form, char *buf);

/* Is there something of that name? */
extern bool ws_file_exists(const char *path);

/*
 * Open an entry of a store as BasicOpenFile() does, or OpenTransientFile(): a
 * descriptor, or -1 and errno.  An ERROR if it is no regular file: a link is not
 * followed, a FIFO not waited for.
 */
extern int	ws_file_open(const char *path, int flags);
extern int	ws_file_open_transient(const char *path, int flags);

/* An ERROR unless the entry is a regular file, or a directory, or missing. */
extern void ws_file_check_regular(const char *path);
extern void ws_file_check_directory(const char *path);

/* Remove a file; it may be missing. */
extern void ws_file_remove(const char *path);

/*
 * The whole file, palloc'd, with a zero byte behind; NULL if it is missing.
 * An ERROR if it has more than max_len bytes.
 */
extern char *ws_file_read_all(const char *path, size_t max_len, size_t *len);

/* All bytes at offset; 0 or errno.  Waits are reported as wait_event. */
extern int	ws_file_write(int fd, const char *buf, size_t len, off_t offset,
						  uint32 wait_event);

/*
 * pg_fsync(), pg_fdatasync() and close(); 0 or errno.  To be interrupted by a
 * signal is no failure: syncing is tried again, and what was synced is closed.
 */
extern int	ws_file_sync(int fd);
extern int	ws_file_datasync(int fd);
extern int	ws_file_close(int fd);

/*
 * Up to len bytes at offset: fewer only at the end of the file, -1 and errno
 * on failure.
 */
extern ssize_t ws_file_read(int fd, char *buf, size_t len, off_t offset);

/*
 * Make a directory's entries durable, as fsync_fname_ext() does, which is not
 * used because a signal would be a failure to it.  Failures are raised at
 * elevel, and false is returned if that is less than ERROR.
 */
extern bool ws_directory_sync_ext(const char *path, int elevel);

/* The same at ERROR. */
extern void ws_directory_sync(const char *path);

/*
 * Rename a file whose content is durable, in its directory, and make that
 * durable.  0, or errno of rename(); an ERROR if syncing fails.
 */
extern int	ws_file_rename(const char *directory, const char *from, const char *to);

/* The same for callers that see to the directory, or need not. */
extern int	ws_file_rename_only(const char *directory, const char *from,
								const char *to);

/* Write a small file durably, in place of what is there under the name. */
extern void ws_file_replace(const char *directory, const char *name,
							const char *content, size_t len);

/* The same for callers that see to the directory. */
extern void ws_file_replace_only(const char *directory, const char *name,
								 const char *content, size_t len);

/* Has the device no room (or the user no quota)? */
#define ws_errno_is_no_space(e)		((e) == ENOSPC || (e) == EDQUOT)

/* In ereport(), by errno: errcode_for_file_access(), which knows no quotas. */
extern int	ws_errcode_for_file(void);

/*----------------------------------------------------------------
 * The store that this instance knows (store/known.c)
 *----------------------------------------------------------------
 */

/*
 * An ERROR if the instance has used another store in this directory than the
 * one that was found there (NULL: none).
 */
extern void ws_known_check(const char *directory, const WsStoreIdentity *found);

/* From now on it is this one, durably. */
extern void ws_known_remember(const char *directory, const WsStoreIdentity *identity);

/*----------------------------------------------------------------
 * Allocating (store/alloc.c)
 *----------------------------------------------------------------
 */

/*
 * Create the file anew with size bytes of zeros, durably but for its name.  0
 * or errno; then there is no such file.
 */
extern int	ws_file_allocate(const char *path, uint32 size);

/*
 * Rename the spare, whose zeros are durable; the name is not yet.  0 or errno,
 * ENOENT if there is none.
 */
extern int	ws_segment_take_spare(const WsStore *store, const char *name);

/*
 * Create the .partial file of a segment, from the spare if there is one,
 * durably and with its name.  0, or errno for which ws_errno_is_no_space()
 * holds; an ERROR for anything else.
 */
extern int	ws_segment_allocate(const WsStore *store, TimeLineID tli, XLogSegNo segno);

#endif							/* WS_RELAY_STORE_FILE_H */
