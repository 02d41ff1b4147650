/*-------------------------------------------------------------------------
 *
 * reply.c
 *	  Handles the replies of a downstream while it streams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "libpq/pqformat.h"
#include "relay/slots/slots.h"
#include "relay/walsender/client.h"
#include "relay/walsender/reply.h"
#include "relay/xids.h"
#include "utils/timestamp.h"

/*
 * A standby that has more WAL than we have knows later transactions; if its
 * xmin is this far ahead, that is worth a line in the log.
 */
#define FAR_AHEAD	1000000

static void
publish(WsReplies *replies)
{
	ws_senders_set_reply(replies->sender, replies->write_lsn,
						 replies->flush_lsn, replies->apply_lsn,
						 replies->lag_us, replies->reply_time);
}

/*
 * If a lag is unknown, the last one is shown until the downstream has reported
 * twice that it has everything.  A position that is never reported has no lag,
 * for example the apply position of a relay.
 */
static void
update_lags(WsReplies *replies, const XLogRecPtr reached[WS_LAG_READERS],
			bool idle)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < WS_LAG_READERS; i++)
	{
		bool		reported = !XLogRecPtrIsInvalid(reached[i]);
		int64		lag_us;

		lag_us = ws_lag_reach(&replies->lag, i,
							  reported ? reached[i] : PG_UINT64_MAX, now);
		if (!reported)
			replies->lag_us[i] = WS_LAG_UNKNOWN;
		else if (lag_us != WS_LAG_UNKNOWN || idle)
			replies->lag_us[i] = lag_us;
	}
}

/* A client may send any time; only a valid timestamp can be shown. */
static TimestampTz
read_time(StringInfo content)
{
	TimestampTz time = pq_getmsgint64(content);

	return IS_VALID_TIMESTAMP(time) ? time : 0;
}

static bool
take_status(WsReplies *replies, StringInfo content)
{
	XLogRecPtr	reached[WS_LAG_READERS];
	bool		wants_answer;
	bool		idle;

	for (int i = 0; i < WS_LAG_READERS; i++)
		reached[i] = pq_getmsgint64(content);
	replies->reply_time = read_time(content);
	wants_answer = pq_getmsgbyte(content) != 0;

	idle = reached[0] == replies->write_lsn &&
		reached[1] == replies->flush_lsn && reached[2] == replies->apply_lsn &&
		reached[1] == replies->sent_lsn && reached[2] == replies->sent_lsn;
	update_lags(replies, reached, idle);

	replies->write_lsn = reached[0];
	replies->flush_lsn = reached[1];
	replies->apply_lsn = reached[2];
	publish(replies);

	/*
	 * A downstream may have bytes after the end of this timeline, and a
	 * position beyond all WAL is not believed.
	 */
	if (replies->slot_name != NULL && !XLogRecPtrIsInvalid(replies->flush_lsn))
		ws_slot_advance(replies->store, replies->tli,
						Min(replies->flush_lsn, replies->limit_lsn));
	return wants_answer;
}

static FullTransactionId
read_xid(StringInfo content)
{
	TransactionId xid = pq_getmsgint(content, 4);
	uint32		epoch = pq_getmsgint(content, 4);

	if (!TransactionIdIsNormal(xid))
		return InvalidFullTransactionId;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

/*
 * Returns true if an xmin is so far ahead of the stored WAL that somebody
 * should look at the client.
 */
static bool
is_far_ahead(FullTransactionId xid, FullTransactionId next)
{
	return FullTransactionIdFollows(xid, next) &&
		U64FromFullTransactionId(xid) - U64FromFullTransactionId(next) > FAR_AHEAD;
}

static void
report_feedback(const WsReplies *replies, WsFeedback feedback,
				FullTransactionId next, bool too_old)
{
	char	   *who = replies->slot_name == NULL ? psprintf("\"%s\"", application_name) :
		psprintf("\"%s\" with relay slot \"%s\"", application_name, replies->slot_name);
	unsigned long long xmin = U64FromFullTransactionId(feedback.xmin);
	unsigned long long catalog_xmin = U64FromFullTransactionId(feedback.catalog_xmin);

	ereport(LOG,
			(too_old ?
			 errmsg("client %s wants rows kept since a transaction that is too long ago", who) :
			 errmsg("client %s wants rows kept since a transaction that has not begun", who),
			 too_old ?
			 errdetail("Its xmin is %llu, its catalog_xmin %llu; the stored WAL has come to transaction %llu.  This is passed over.",
					   xmin, catalog_xmin,
					   (unsigned long long) U64FromFullTransactionId(next)) :
			 errdetail("Its xmin is %llu, its catalog_xmin %llu; the stored WAL has come to transaction %llu, and the upstream is asked for no later one.",
					   xmin, catalog_xmin,
					   (unsigned long long) U64FromFullTransactionId(next))));
	pfree(who);
}

/*
 * Check a client's feedback, and log once if it makes no sense.  Returns false
 * if it must be ignored, as PostgreSQL does with an xmin that is too old.
 */
static bool
check_feedback(const WsReplies *replies, WsFeedback feedback)
{
	static bool told = false;
	FullTransactionId next = ws_xids_next();
	bool		too_old;
	bool		ahead;

	if (!FullTransactionIdIsValid(next))
		return true;
	too_old = ws_feedback_is_too_old(feedback, next);
	ahead = is_far_ahead(feedback.xmin, next) ||
		is_far_ahead(feedback.catalog_xmin, next);
	if ((too_old || ahead) && !told)
	{
		told = true;
		report_feedback(replies, feedback, next, too_old);
	}
	return !too_old;
}

static void
take_feedback(WsReplies *replies, StringInfo content)
{
	WsFeedback	feedback;

	replies->reply_time = read_time(content);
	feedback.xmin = read_xid(content);
	feedback.catalog_xmin = read_xid(content);
	publish(replies);

	if (!check_feedback(replies, feedback))
		return;
	if (replies->slot_name != NULL)
		ws_slot_set_feedback(replies->store, feedback);
	else
		ws_senders_set_feedback(replies->sender, feedback);
}

bool
ws_replies_take(WsReplies *replies, StringInfo content)
{
	int			type = pq_getmsgbyte(content);

	switch (type)
	{
		case 'r':
			return take_status(replies, content);
		case 'h':
			take_feedback(replies, content);
			return false;
		default:
			ereport(FATAL,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("unexpected standby message type %d", type)));
	}
	return false;
}
