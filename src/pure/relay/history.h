/*-------------------------------------------------------------------------
 *
 * history.h
 *	  Timeline history files, which list a timeline's ancestors and where each
 *	  one ended.
 *
 * The format is PostgreSQL's (see its timeline.c): a line for each ancestor,
 * oldest first, with the timeline's number, the position at which it was left,
 * and a reason, separated by white space; "#" begins a comment.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_HISTORY_H
#define WS_PURE_RELAY_HISTORY_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/status.h"

/* A file with more ancestors, or a larger one, is refused. */
#define WS_HISTORY_MAX_ENTRIES	4096
#define WS_HISTORY_MAX_BYTES	(1024 * 1024)

/* A timeline, and where it was left for the next one. */
typedef struct WsHistoryEntry
{
	TimeLineID	tli;
	XLogRecPtr	end_lsn;		/* exclusive; InvalidXLogRecPtr in the last
								 * entry */
} WsHistoryEntry;

/*
 * The line of timelines that leads to one, oldest first; the last entry is
 * that timeline itself.  Numbers rise strictly and positions never fall; a
 * timeline that the file records as left before it began is not part of the
 * line.
 */
typedef struct WsHistory
{
	int			count;
	WsHistoryEntry *entries;	/* WS_HISTORY_MAX_ENTRIES + 1 of them, the
								 * caller's */
} WsHistory;

/*
 * Parse the content of the history file of timeline tli into history, whose
 * entries the caller has allocated.  Timeline 1 has no file: len 0 is right for
 * it.  WS_E_MALFORMED, with *line the offending line's number from 1, for
 * anything that PostgreSQL would refuse.
 */
extern WsStatus ws_history_parse(TimeLineID tli, const char *content, size_t len,
								 WsHistory *history, int *line);

/*
 * Returns true if tli is in the line, and sets *end_lsn to where it was left
 * and *next_tli to the timeline that followed; InvalidXLogRecPtr and 0 if it
 * is the last one.
 */
extern bool ws_history_find(const WsHistory *history, TimeLineID tli,
							XLogRecPtr *end_lsn, TimeLineID *next_tli);

/* Returns the timeline of this line that continues from lsn. */
extern TimeLineID ws_history_tli_at(const WsHistory *history, XLogRecPtr lsn);

/*
 * Returns true if the i-th timeline of both is the same one, reached by the same
 * way.  Where it was left does not matter.
 */
extern bool ws_history_is_shared(const WsHistory *a, const WsHistory *b, int i);

#endif							/* WS_PURE_RELAY_HISTORY_H */
