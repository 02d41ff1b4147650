/*-------------------------------------------------------------------------
 *
 * reply.c
 *	  Sends replies to the relay's upstream: positions, and the xmins that
 *	  downstreams and slots need.
 *
 * The messages are a walreceiver's.  The apply position is never reported:
 * nothing is applied here, and a primary that waits for it must continue to
 * wait.  No position of a timeline for which the relay is sealed is reported.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/transam.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "relay/seal.h"
#include "relay/senders.h"
#include "relay/slots/slots.h"
#include "relay/walreceiver/state.h"
#include "relay/xids.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Minimum time between two feedback messages, since the feedback of
 * downstreams may go back and forth.
 */
#define FEEDBACK_PAUSE_MS	1000

/* What was last reported to the upstream on this connection. */
static XLogRecPtr told_written;
static XLogRecPtr told_flushed;
static TimestampTz reply_due;
static WsFeedback told_feedback;
static bool feedback_told;
static TimestampTz feedback_time;	/* time of the last message */
static TimestampTz feedback_due;

static StringInfoData message;

static TimestampTz
next_time(TimestampTz now)
{
	if (wal_receiver_status_interval <= 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(now,
									   wal_receiver_status_interval * INT64CONST(1000));
}

void
ws_rcv_reply_begin(WalReceiverConn *conn)
{
	if (message.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&message);
		MemoryContextSwitchTo(old);
	}
	told_written = InvalidXLogRecPtr;
	told_flushed = InvalidXLogRecPtr;
	reply_due = next_time(GetCurrentTimestamp());
	feedback_told = false;
	feedback_due = DT_NOBEGIN;
}

TimestampTz
ws_rcv_reply_due(void)
{
	if (feedback_told && ws_relay_feedback_has_changed(false))
		return Min(reply_due, TimestampTzPlusMilliseconds(feedback_time,
														  FEEDBACK_PAUSE_MS));
	return reply_due;
}

void
ws_rcv_reply(WalReceiverConn *conn, XLogRecPtr written_lsn,
			 XLogRecPtr flushed_lsn, bool force, bool ping)
{
	TimestampTz now;

	if (!force && wal_receiver_status_interval <= 0)
		return;
	now = GetCurrentTimestamp();
	if (!ws_seal_lets_tell())
		written_lsn = flushed_lsn = InvalidXLogRecPtr;
	if (!force && written_lsn == told_written && flushed_lsn == told_flushed &&
		now < reply_due)
		return;

	resetStringInfo(&message);
	pq_sendbyte(&message, 'r');
	pq_sendint64(&message, written_lsn);
	pq_sendint64(&message, flushed_lsn);
	pq_sendint64(&message, InvalidXLogRecPtr);
	pq_sendint64(&message, now);
	pq_sendbyte(&message, ping ? 1 : 0);
	walrcv_send(conn, message.data, message.len);

	told_written = written_lsn;
	told_flushed = flushed_lsn;
	reply_due = next_time(now);
}

/*
 * Returns what downstreams and slots need; two invalid xids if they need
 * nothing.
 */
static WsFeedback
needed_feedback(void)
{
	int			count;
	WsFeedback	slots = ws_slots_feedback(&count);
	WsFeedback	senders = ws_senders_feedback(&count);

	return ws_feedback_older(slots, senders);
}

void
ws_rcv_feedback(WalReceiverConn *conn)
{
	WsFeedback	needed;
	TimestampTz now;

	/*
	 * Before the slots are loaded, we do not know what they need, and must
	 * not withdraw the feedback that the upstream has got for them.
	 */
	if (!ws_slots_are_loaded())
		return;

	now = GetCurrentTimestamp();
	if (feedback_told && now >= feedback_time &&
		!TimestampDifferenceExceeds(feedback_time, now, FEEDBACK_PAUSE_MS))
		return;
	(void) ws_relay_feedback_has_changed(true);
	needed = needed_feedback();

	/* the valid part is not known yet, so the last feedback stays */
	if (!FullTransactionIdIsValid(ws_xids_next()) && !ws_feedback_is_nothing(needed))
		return;
	if (feedback_told && ws_feedback_equals(needed, told_feedback))
	{
		/* report only once that nothing is needed */
		if (now < feedback_due || ws_feedback_is_nothing(needed))
			return;
	}

	resetStringInfo(&message);
	pq_sendbyte(&message, 'h');
	pq_sendint64(&message, now);
	pq_sendint32(&message, XidFromFullTransactionId(needed.xmin));
	pq_sendint32(&message, EpochFromFullTransactionId(needed.xmin));
	pq_sendint32(&message, XidFromFullTransactionId(needed.catalog_xmin));
	pq_sendint32(&message, EpochFromFullTransactionId(needed.catalog_xmin));
	walrcv_send(conn, message.data, message.len);

	told_feedback = needed;
	feedback_told = true;
	feedback_time = now;
	feedback_due = next_time(now);
}
