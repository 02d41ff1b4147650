/*-------------------------------------------------------------------------
 *
 * histories.c
 *	  The relay's receiver asks its upstream for timeline history files and
 *	  stores them.
 *
 * The files are durable before WAL of their timeline is requested.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "lib/stringinfo.h"
#include "peertext.h"
#include "relay/walreceiver/state.h"

/* Parse a history file that the upstream has sent. */
static WsHistory *
parse_history(TimeLineID tli, const char *content, size_t len)
{
	WsHistory  *history = palloc(sizeof(WsHistory));
	int			line;

	history->entries = palloc(sizeof(WsHistoryEntry) * (WS_HISTORY_MAX_ENTRIES + 1));
	if (ws_history_parse(tli, content, len, history, &line) != WS_OK)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream sent an invalid history file of timeline %u", tli),
				 errdetail("Line %d cannot be used.", line)));
	return history;
}

static char *
fetch_history(WsRcv *rcv, TimeLineID tli, size_t *len)
{
	char		expected[MAXFNAMELEN];
	char	   *name;
	char	   *content;
	int			size;

	walrcv_readtimelinehistoryfile(rcv->upstream.conn, tli, &name, &content, &size);
	TLHistoryFileName(expected, tli);
	if (strcmp(name, expected) != 0)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream sent history file \"%s\" instead of \"%s\"",
						ws_peertext_value(name), expected)));
	*len = size;
	return content;
}

/*
 * Refuse an ancestor's history that differs from what the line has of it.  It
 * belongs to another server, which was promoted to the same timeline.
 */
static void
check_ancestor(const WsHistory *line, const WsHistory *history)
{
	int			last = history->count - 1;
	TimeLineID	tli = history->entries[last].tli;
	XLogRecPtr	end_lsn;
	TimeLineID	next_tli;

	if (ws_history_find(line, tli, &end_lsn, &next_tli) &&
		!ws_history_is_shared(history, line, last))
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("history file of timeline %u does not fit that of timeline %u",
						tli, line->entries[line->count - 1].tli)));
}

/*
 * Store a history file if the upstream has it.  The upstream need not have the
 * file of a timeline that is not in its line, nor of an ancestor: a server
 * made from a base backup has that of its own timeline, which names all
 * ancestors.  An ancestor's file that does not fit that one is not stored
 * either.
 */
static bool
store_history_if_there(WsRcv *rcv, const WsStore *store, const WsHistory *line,
					   TimeLineID tli)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_there = false;

	PG_TRY();
	{
		size_t		len;
		char	   *content = fetch_history(rcv, tli, &len);

		check_ancestor(line, parse_history(tli, content, len));
		ws_store_write_history(store, tli, content, len);
		is_there = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();

		/* an error of the store must not be ignored */
		if (error->sqlerrcode != ERRCODE_PROTOCOL_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		(void) ws_rcv_take_blame();

		/* nor must a lost connection, which looks the same */
		ws_rcv_check_connection(rcv);
		ereport(DEBUG1,
				(errmsg_internal("upstream has no history of timeline %u: %s",
								 tli, ws_peertext_for_log(error->message))));
	}
	PG_END_TRY();
	return is_there;
}

/*
 * Write the history of the i-th timeline of the line, of which the upstream
 * has no file, from the line itself: WAL of that timeline is going to be
 * stored, and everything in a store must have its history.
 */
static void
store_history_from_line(const WsStore *store, const WsHistory *line, int i)
{
	StringInfoData content;

	initStringInfo(&content);
	for (int j = 0; j < i; j++)
		appendStringInfo(&content, "%u\t" WS_LSN "\tas the history of timeline %u has it\n",
						 line->entries[j].tli, LSN_FORMAT_ARGS(line->entries[j].end_lsn),
						 line->entries[line->count - 1].tli);
	ws_store_write_history(store, line->entries[i].tli, content.data, content.len);
	pfree(content.data);
}

void
ws_rcv_ask_history(WsRcv *rcv, WsRcvHistory *history)
{
	TimeLineID	tli = rcv->upstream.tli;

	history->content = "";
	history->len = 0;
	if (tli != 1)
		history->content = fetch_history(rcv, tli, &history->len);
	history->line = parse_history(tli, history->content, history->len);
}

/*
 * Returns true if the history of the i-th timeline of the line is the stored
 * one.
 */
static bool
is_stored_history(const WsStore *store, const WsHistory *line, int i)
{
	TimeLineID	tli = line->entries[i].tli;
	const WsHistory *stored;

	if (!ws_store_has_history(store, tli))
		return false;
	stored = ws_store_read_history(store, tli);
	return stored->count == i + 1 && ws_history_is_shared(stored, line, i);
}

/*
 * The files replace those of timelines of which no WAL is stored.  An
 * ancestor's file that the upstream lacks is not needed if all WAL is from
 * after that ancestor: downstreams that ask for it are told that it does not
 * exist, as the upstream does.  The upstream's own file comes last: if it is
 * stored, we have stored all existing files of its ancestors.
 */
void
ws_rcv_store_histories(WsRcv *rcv, const WsStore *store,
					   const WsRcvHistory *theirs, XLogRecPtr first_lsn)
{
	const WsHistory *history = theirs->line;
	TimeLineID	tli = rcv->upstream.tli;
	int			last = history->count - 1;
	bool		was_stored = is_stored_history(store, history, last);

	for (int i = 0; i < last; i++)
	{
		TimeLineID	ancestor = history->entries[i].tli;

		CHECK_FOR_INTERRUPTS();

		/* do not ask again, since an upstream logs each such question */
		if (was_stored && !ws_store_has_history(store, ancestor) &&
			history->entries[i].end_lsn <= first_lsn)
			continue;
		if (is_stored_history(store, history, i) ||
			store_history_if_there(rcv, store, history, ancestor))
			continue;
		if (history->entries[i].end_lsn > first_lsn)
			store_history_from_line(store, history, i);
		else
			ws_store_remove_history(store, ancestor);
	}
	if (was_stored)
		return;

	for (TimeLineID other = tli > WS_HISTORY_MAX_ENTRIES ? tli - WS_HISTORY_MAX_ENTRIES : 2;
		 other < tli; other++)
	{
		XLogRecPtr	end_lsn;
		TimeLineID	next_tli;

		CHECK_FOR_INTERRUPTS();
		if (!ws_history_find(history, other, &end_lsn, &next_tli) &&
			!ws_store_has_history(store, other))
			(void) store_history_if_there(rcv, store, history, other);
	}
	ws_store_write_history(store, tli, theirs->content, theirs->len);
}
