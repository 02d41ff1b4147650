/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  Decides where on which timeline the relay's receiver goes on.
 *
 * The upstream's history, made durable before anything is asked of a timeline,
 * is laid beside what is stored.  Where the upstream left a timeline before the
 * end of what we have of it, our bytes past that point are harmless as long
 * as no complete record is among them; if one is, somebody may have been told
 * that it is safe, and an operator has to decide.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "lib/stringinfo.h"
#include "peertext.h"
#include "relay/slots/slots.h"
#include "relay/walreceiver/state.h"
#include "utils/memutils.h"

/* So much is compared once more with an upstream that was compared with. */
#define COMPARE_AGAIN_BYTES	(256 * 1024)

static XLogRecPtr
segment_start(const WsPull *pull, XLogRecPtr lsn)
{
	return lsn - lsn % pull->segment_size;
}

/* Parse a history file that the upstream has sent. */
static WsHistory *
parse_history(TimeLineID tli, const char *content, size_t len)
{
	WsHistory  *history = palloc(sizeof(WsHistory));
	int			line;

	history->entries = palloc(sizeof(WsHistoryEntry) * (WS_HISTORY_MAX_ENTRIES + 1));
	if (ws_history_parse(tli, content, len, history, &line) != WS_OK)
		ereport(ERROR,
				(ws_pull_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream sent an invalid history file of timeline %u", tli),
				 errdetail("Line %d cannot be used.", line)));
	return history;
}

static char *
fetch_history(WsPull *pull, TimeLineID tli, size_t *len)
{
	char		expected[MAXFNAMELEN];
	char	   *name;
	char	   *content;
	int			size;

	walrcv_readtimelinehistoryfile(pull->conn, tli, &name, &content, &size);
	TLHistoryFileName(expected, tli);
	if (strcmp(name, expected) != 0)
		ereport(ERROR,
				(ws_pull_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream sent history file \"%s\" instead of \"%s\"",
						ws_peertext_value(name), expected)));
	*len = size;
	return content;
}

/*
 * Store a history file if the upstream has it.  It need not have that of a
 * timeline which is not in its line, nor of an ancestor: who begins with a base
 * backup has its own timeline's, which names all ancestors.
 */
static bool
store_history_if_there(WsPull *pull, const WsStore *store, TimeLineID tli)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_there = false;

	PG_TRY();
	{
		size_t		len;
		char	   *content = fetch_history(pull, tli, &len);

		(void) parse_history(tli, content, len);
		ws_store_write_history(store, tli, content, len);
		is_there = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();

		/* what the store says is not to be passed over */
		if (error->sqlerrcode != ERRCODE_PROTOCOL_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		(void) ws_pull_take_blame();

		/* nor is a lost connection, which looks the same */
		ws_pull_check_connection(pull);
		ereport(DEBUG1,
				(errmsg_internal("upstream has no history of timeline %u: %s",
								 tli, ws_peertext_for_log(error->message))));
	}
	PG_END_TRY();
	return is_there;
}

/*
 * The history of the i-th timeline of the line, of which the upstream has no
 * file, as the line tells it: WAL of that timeline is to be stored, and nothing
 * in a store is without its history.
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

/* The history of the upstream's timeline, and its file. */
static WsHistory *
receive_history(WsPull *pull, char **content, size_t *len)
{
	if (pull->upstream_tli == 1)
	{
		*content = "";
		*len = 0;
	}
	else
		*content = fetch_history(pull, pull->upstream_tli, len);
	return parse_history(pull->upstream_tli, *content, *len);
}

/* Is the history of the i-th timeline of the line the stored one? */
static bool
is_stored_history(const WsStore *store, const WsHistory *line, int i)
{
	TimeLineID	tli = line->entries[i].tli;
	WsHistory	theirs;

	if (!ws_store_has_history(store, tli))
		return false;
	theirs.count = i + 1;
	theirs.entries = palloc(theirs.count * sizeof(WsHistoryEntry));
	memcpy(theirs.entries, line->entries, theirs.count * sizeof(WsHistoryEntry));
	theirs.entries[i].end_lsn = InvalidXLogRecPtr;
	return ws_history_equals(&theirs, ws_store_read_history(store, tli));
}

/*
 * A timeline of the upstream's line of which WAL of another one with the same
 * number is stored; 0 if there is none.
 */
static TimeLineID
find_conflict(const WsPull *pull, const WsHistory *theirs)
{
	for (int i = 0; i < theirs->count; i++)
	{
		TimeLineID	tli = theirs->entries[i].tli;
		TimeLineID	first_tli;
		XLogRecPtr	first_lsn;

		if (ws_store_has_history(&pull->store, tli) &&
			!is_stored_history(&pull->store, theirs, i) &&
			ws_store_find_first(&pull->store, tli, &first_tli, &first_lsn))
			return tli;
	}
	return 0;
}

/*
 * Store the history files up to the upstream's timeline, in what is stored or in
 * a new range; they take the place of files of timelines of which no WAL is
 * stored.  If the upstream lacks an ancestor's file, that is done without where
 * all WAL is from behind it: downstreams that ask for it hear that it is not
 * there, as from the upstream.  The upstream's own file comes last: where it is
 * there, we have had all that there are of its ancestors'.
 */
static void
store_histories(WsPull *pull, const WsStore *store, const WsHistory *history,
				const char *content, size_t len, XLogRecPtr first_lsn)
{
	TimeLineID	tli = pull->upstream_tli;
	int			last = history->count - 1;
	bool		was_stored = is_stored_history(store, history, last);

	for (int i = 0; i < last; i++)
	{
		TimeLineID	ancestor = history->entries[i].tli;

		CHECK_FOR_INTERRUPTS();

		/* asked for before, and an upstream logs each question for nothing */
		if (was_stored && !ws_store_has_history(store, ancestor) &&
			history->entries[i].end_lsn <= first_lsn)
			continue;
		if (is_stored_history(store, history, i) ||
			store_history_if_there(pull, store, ancestor))
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
			(void) store_history_if_there(pull, store, other);
	}
	ws_store_write_history(store, tli, content, len);
}

/* Where all that is stored begins. */
static XLogRecPtr
first_stored_lsn(const WsPull *pull)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	if (!ws_store_find_first(&pull->store, pull->tli, &first_tli, &first_lsn))
		return InvalidXLogRecPtr;
	return first_lsn;
}

/*
 * It may come to where we are, and is asked again and again; or it never will,
 * and an operator gives up what we have.
 */
static WsPullEnd
be_behind(const char *reason)
{
	WsRelayStatus status;

	/* it is found again with every attempt */
	ws_relay_get_status(&status);
	ws_pull_set_state(WS_RELAY_BEHIND, reason);
	if (status.state != WS_RELAY_BEHIND)
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay waits until its upstream has what is stored"),
				 errdetail_internal("%s.", reason),
				 errhint("What is stored is still served.  If the upstream never gets there, correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().")));
	return WS_PULL_RETRY;
}

/*
 * A standby or relay that has just been started has less than we for a moment,
 * and is waited for in the stream, unless it is a segment or more, which
 * PostgreSQL would refuse.  A primary has all that it has ever sent: one that
 * has less was put back to an earlier state.
 */
static WsPullEnd
check_not_behind(const WsPull *pull, const WsPullStart *start)
{
	if (start->tli != pull->upstream_tli)
		return WS_PULL_NEXT;
	if (pull->upstream_lsn < start->begin_lsn)
		return be_behind(psprintf("the upstream is at " WS_LSN " on timeline %u, before the segment in which the stored WAL ends at " WS_LSN,
								  LSN_FORMAT_ARGS(pull->upstream_lsn), pull->upstream_tli,
								  LSN_FORMAT_ARGS(pull->end_lsn)));
	if (!pull->upstream_is_standby && pull->upstream_lsn < start->stored_lsn)
		return be_behind(psprintf("the upstream is a primary at " WS_LSN " on timeline %u, and WAL is stored up to " WS_LSN ": it was put back to an earlier state",
								  LSN_FORMAT_ARGS(pull->upstream_lsn), pull->upstream_tli,
								  LSN_FORMAT_ARGS(start->stored_lsn)));
	return WS_PULL_NEXT;
}

static WsPullEnd
diverge(const char *reason, const char *hint)
{
	ws_pull_set_state(WS_RELAY_DIVERGED, reason);
	ereport(LOG,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("relay stops receiving: the upstream's WAL is not a continuation of what is stored"),
			 errdetail("%s.", reason),
			 errhint("%s", hint)));
	return WS_PULL_DIVERGED;
}

static WsPullEnd
diverge_unless_followed(WsPull *pull, const char *reason)
{
	if (pull->follow_allowed)
	{
		ereport(LOG,
				(errmsg("relay follows the upstream although its WAL is not a continuation of what is stored"),
				 errdetail("%s.", reason)));
		return WS_PULL_NEXT;
	}
	return diverge(reason,
				   "What is stored is still served.  SELECT walstream_relay_follow() goes on with the upstream's timeline.");
}

/* Is a timeline still stored from the segment with this position on? */
static bool
is_stored_from(const WsPull *pull, TimeLineID tli, XLogRecPtr lsn)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	return ws_store_find_first(&pull->store, tli, &first_tli, &first_lsn) &&
		first_lsn <= segment_start(pull, lsn);
}

/*
 * What the upstream has in common with us is not stored any more, so there is
 * nothing to go on from: following would leave a gap.
 */
static WsPullEnd
diverge_before_first(const char *reason)
{
	return diverge(psprintf("%s, and WAL from there on is no longer stored", reason),
				   "What is stored is still served.  Correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().");
}

/*
 * The upstream has left our timeline at switch_lsn, before the end of what we
 * have of it.
 */
static WsPullEnd
check_surplus(WsPull *pull, XLogRecPtr switch_lsn)
{
	XLogRecPtr	commit_lsn;
	XLogRecPtr	record_lsn;
	char	   *reason;

	if (!is_stored_from(pull, pull->tli, switch_lsn))
		return diverge_before_first(psprintf("Timeline %u, on which WAL is stored up to " WS_LSN ", was left by the upstream at " WS_LSN,
											 pull->tli, LSN_FORMAT_ARGS(pull->end_lsn),
											 LSN_FORMAT_ARGS(switch_lsn)));
	if (!ws_store_has_record_after(&pull->store, pull->tli, switch_lsn, pull->end_lsn,
								   &commit_lsn, &record_lsn))
		return WS_PULL_NEXT;

	reason = psprintf("Timeline %u was left by the upstream at " WS_LSN "; stored are " UINT64_FORMAT " bytes more, with complete records up to " WS_LSN "%s",
					  pull->tli, LSN_FORMAT_ARGS(switch_lsn),
					  pull->end_lsn - switch_lsn, LSN_FORMAT_ARGS(record_lsn),
					  XLogRecPtrIsInvalid(commit_lsn) ? " and no commit" :
					  psprintf(", the last commit up to " WS_LSN, LSN_FORMAT_ARGS(commit_lsn)));
	return diverge_unless_followed(pull, reason);
}

/*
 * The newest timeline that is in our line and in the upstream's, and how far
 * we are on it.
 */
static WsPullEnd
find_common(WsPull *pull, const WsHistory *theirs, TimeLineID *tli, XLogRecPtr *end_lsn)
{
	WsHistory  *ours = ws_store_read_history(&pull->store, pull->tli);
	XLogRecPtr	switch_lsn;
	TimeLineID	next_tli;
	WsPullEnd	end;
	char	   *reason;
	int			i = ours->count - 1;

	while (i >= 0 && !ws_history_find(theirs, ours->entries[i].tli, &switch_lsn, &next_tli))
		i--;
	if (i < 0)
		return diverge("The upstream's timelines and the stored ones have nothing in common",
					   "Correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().");

	*tli = ours->entries[i].tli;
	*end_lsn = pull->end_lsn;
	if (i == ours->count - 1)
		return WS_PULL_NEXT;

	*end_lsn = ours->entries[i].end_lsn;
	reason = psprintf("Timeline %u, on which WAL is stored up to " WS_LSN ", is not in the history of the upstream's timeline %u; what they have in common ends on timeline %u at or before " WS_LSN,
					  pull->tli, LSN_FORMAT_ARGS(pull->end_lsn), pull->upstream_tli,
					  *tli, LSN_FORMAT_ARGS(*end_lsn));
	end = is_stored_from(pull, *tli, *end_lsn) ?
		diverge_unless_followed(pull, reason) : diverge_before_first(reason);
	if (end == WS_PULL_NEXT)
	{
		if (pull->tli == pull->published_tli)
			pull->published_end_lsn = pull->end_lsn;
		pull->tli = *tli;
		pull->end_lsn = *end_lsn;
	}
	return end;
}

/*
 * Where all that is stored ends with a segment, as after pg_switch_wal(), begin
 * one segment earlier: an upstream that has gone another way would otherwise
 * be noticed by nobody, since nothing of it would be compared.
 */
static void
begin_earlier(WsPull *pull, WsPullStart *start)
{
	XLogSegNo	segno = start->begin_lsn / pull->segment_size;

	if (start->stored_lsn == start->begin_lsn && start->tli == pull->tli &&
		!pull->earlier_is_gone && segno > 1 &&
		ws_store_has_segment(&pull->store, start->tli, segno - 1))
		start->begin_lsn -= pull->segment_size;
}

/*
 * What is stored has been compared already, up to its end and with the same
 * upstream: the last of it is enough, however large a segment is.  An upstream
 * that was put back since, and has gone another way, has other bytes in there;
 * but for zeros, which say nothing.
 */
static void
begin_later(WsPull *pull, WsPullStart *start)
{
	XLogRecPtr	lsn = start->stored_lsn - COMPARE_AGAIN_BYTES;
	WsStoreReader *reader;
	uint16		magic;

	lsn -= lsn % XLOG_BLCKSZ;
	if (!pull->was_compared || start->tli != pull->tli || pull->tli != pull->published_tli ||
		start->stored_lsn != pull->end_lsn || pull->upstream_lsn < start->stored_lsn ||
		start->stored_lsn % pull->segment_size <= COMPARE_AGAIN_BYTES + XLOG_BLCKSZ)
		return;

	reader = ws_store_reader_new(&pull->store);
	ws_store_read(reader, start->tli, 0, lsn, (char *) &magic, sizeof(magic));
	ws_store_reader_free(reader);
	if (magic == XLOG_PAGE_MAGIC)
		start->begin_lsn = start->tell_lsn = lsn;
}

/*
 * Where what is stored ends with a segment, or nothing of a timeline is stored
 * yet, no byte that comes again need show that the upstream has gone another way;
 * its first record does.  Also where a segment more is compared: it may have come
 * from the same upstream, and have been closed without being checked.
 */
static void
set_check(const WsPull *pull, const WsHistory *theirs, WsPullStart *start)
{
	XLogRecPtr	first_lsn = InvalidXLogRecPtr;

	for (int i = 1; i < theirs->count; i++)
	{
		if (theirs->entries[i].tli == start->tli)
			first_lsn = theirs->entries[i - 1].end_lsn;
	}
	if (start->publish_lsn <= first_lsn || start->publish_lsn % pull->segment_size == 0)
		start->check_lsn = start->publish_lsn;
}

/*
 * The keeper goes by what is served.  What is written of another timeline, from
 * where that begins, it leaves alone only if we say so.
 */
static WsPullEnd
hold_range(const WsPull *pull, const WsPullStart *start)
{
	bool		served = start->tli == pull->published_tli;

	if (ws_slots_hold_for_receiver(served ? InvalidXLogRecPtr : start->begin_lsn))
		return WS_PULL_NEXT;
	return diverge_before_first(psprintf("The upstream's WAL on timeline %u goes on from " WS_LSN,
										 start->tli, LSN_FORMAT_ARGS(start->begin_lsn)));
}

/*
 * Go on from what is served.  On the way from a common ancestor to a timeline
 * that an operator has allowed it is not that; but the way may end before that
 * is reached.
 */
static void
go_back_to_published(WsPull *pull)
{
	if (!pull->has_wal || pull->tli == pull->published_tli)
		return;
	pull->tli = pull->published_tli;
	pull->end_lsn = pull->published_end_lsn;
}

/* Go on behind what is stored. */
static WsPullEnd
resume_range(WsPull *pull, const WsHistory *theirs, WsPullStart *start)
{
	WsPullEnd	end;
	XLogRecPtr	left_lsn;
	TimeLineID	next_tli;

	/* here nobody has to be asked */
	if (ws_history_find(theirs, pull->published_tli, &left_lsn, &next_tli))
		go_back_to_published(pull);
	end = find_common(pull, theirs, &start->tli, &start->stored_lsn);
	if (end != WS_PULL_NEXT)
		return end;
	ws_history_find(theirs, start->tli, &start->switch_lsn, &next_tli);

	start->begin_lsn = segment_start(pull, start->stored_lsn);
	start->publish_lsn = start->stored_lsn;

	/* where all of a timeline is there, the next one, of which nothing is */
	while (!XLogRecPtrIsInvalid(start->switch_lsn) &&
		   start->stored_lsn >= start->switch_lsn)
	{
		if (start->tli == pull->tli)
		{
			end = check_surplus(pull, start->switch_lsn);
			if (end != WS_PULL_NEXT)
				return end;
		}
		start->parent_tli = start->tli;
		start->tli = next_tli;
		start->publish_lsn = start->switch_lsn;
		start->begin_lsn = segment_start(pull, start->switch_lsn);
		start->stored_lsn = start->begin_lsn;
		ws_history_find(theirs, start->tli, &start->switch_lsn, &next_tli);
	}

	start->tell_lsn = start->begin_lsn;
	end = check_not_behind(pull, start);
	if (end != WS_PULL_NEXT)
		return end;

	if (segment_start(pull, pull->slot_lsn) > start->begin_lsn)
		ereport(LOG,
				(errmsg("replication slot \"%s\" keeps the upstream's WAL only from " WS_LSN " on, the relay needs it from " WS_LSN " on",
						pull->slot, LSN_FORMAT_ARGS(pull->slot_lsn),
						LSN_FORMAT_ARGS(start->begin_lsn)),
				 errdetail("What is missing is received if the upstream happens to have it still.")));
	begin_earlier(pull, start);
	begin_later(pull, start);
	set_check(pull, theirs, start);
	return hold_range(pull, start);
}

/* Begin a range: the first, or with what an operator has allowed another one. */
static WsPullEnd
plan_new_range(WsPull *pull, const WsHistory *theirs, const char *content,
			   size_t len, WsPullStart *start)
{
	const WsStore *store = &pull->store;

	if (!ws_pull_range_begin(pull, theirs, start))
		return WS_PULL_CHANGED;
	if (start->replaces)
		store = &pull->new_range;
	store_histories(pull, store, theirs, content, len, start->begin_lsn);
	pull->restart_allowed = false;
	return WS_PULL_NEXT;
}

static WsPullEnd
plan_continuation(WsPull *pull, const WsHistory *theirs, const char *content,
				  size_t len, WsPullStart *start)
{
	TimeLineID	conflict = find_conflict(pull, theirs);
	WsPullEnd	end;

	if (conflict != 0)
		return diverge(psprintf("The history of the upstream's timeline %u is not the stored one",
								conflict),
					   "Two servers were promoted to the same timeline: correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().");
	end = resume_range(pull, theirs, start);

	/*
	 * Not those of a server that is not followed: there may be another with
	 * the same timeline later.
	 */
	if (end == WS_PULL_NEXT)
		store_histories(pull, &pull->store, theirs, content, len, first_stored_lsn(pull));
	return end;
}

WsPullEnd
ws_pull_plan(WsPull *pull, WsPullStart *start)
{
	MemoryContext old = MemoryContextSwitchTo(pull->context);
	bool		is_new = !pull->has_wal || pull->restart_allowed;
	WsHistory  *theirs;
	char	   *content;
	size_t		len;
	WsPullEnd	end;

	memset(start, 0, sizeof(*start));
	if (!pull->follow_allowed)
		go_back_to_published(pull);

	if (!is_new && pull->upstream_tli < pull->tli)
		end = be_behind(psprintf("the upstream is on timeline %u, behind timeline %u of the stored WAL",
								 pull->upstream_tli, pull->tli));
	else
	{
		theirs = receive_history(pull, &content, &len);
		end = is_new ? plan_new_range(pull, theirs, content, len, start) :
			plan_continuation(pull, theirs, content, len, start);
	}
	MemoryContextSwitchTo(old);
	return end;
}
