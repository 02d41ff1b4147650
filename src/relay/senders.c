/*-------------------------------------------------------------------------
 *
 * senders.c
 *	  The shared array of relay senders.
 *
 * PostgreSQL's own array of walsenders is not used, since the checkpointer
 * waits at shutdown for every process in it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/relay.h"
#include "relay/senders.h"
#include "relay/xids.h"
#include "replication/walsender.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

/*
 * One sender.
 *
 * mutex guards everything else, and is held for a few assignments only,
 * without calls, allocations, reports or looks at the clock.  Only the owner
 * writes, and it may read without the mutex.  snapshot.pid is 0 in a free entry.
 */
struct WsSender
{
	slock_t		mutex;
	WsFeedback	feedback;		/* feedback of a downstream without a slot */
	WsSenderSnapshot snapshot;	/* without slot */
};

/* All of them; news is told of what ws_senders_news() says. */
typedef struct SendersShared
{
	ConditionVariable news;
	WsSender	senders[FLEXIBLE_ARRAY_MEMBER]; /* max_wal_senders */
} SendersShared;

static SendersShared *shared = NULL;
static WsSender *senders = NULL;
static WsSender *my_sender = NULL;

static Size
shmem_size(void)
{
	return add_size(offsetof(SendersShared, senders),
					mul_size(max_wal_senders, sizeof(WsSender)));
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay senders",
							 shmem_size(), &found);
	senders = shared->senders;
	if (found)
		return;

	memset(shared, 0, shmem_size());
	ConditionVariableInit(&shared->news);
	for (int i = 0; i < max_wal_senders; i++)
		SpinLockInit(&senders[i].mutex);
}

void
ws_senders_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

static void
release_mine(int code, Datum arg)
{
	WsSender   *sender = my_sender;
	bool		had_feedback = !ws_feedback_is_nothing(sender->feedback);

	my_sender = NULL;

	SpinLockAcquire(&sender->mutex);
	sender->snapshot.pid = 0;
	SpinLockRelease(&sender->mutex);
	ConditionVariableBroadcast(&shared->news);

	if (had_feedback)
		ws_relay_note_feedback();
}

WsSender *
ws_senders_claim(void)
{
	WsSenderSnapshot fresh = {
		.pid = MyProcPid,
		.state = WS_SENDER_STARTUP,
		.write_lag_us = -1,
		.flush_lag_us = -1,
		.apply_lag_us = -1
	};

	Assert(my_sender == NULL);
	strlcpy(fresh.application_name, application_name, NAMEDATALEN);

	for (int i = 0; i < max_wal_senders && my_sender == NULL; i++)
	{
		WsSender   *sender = &senders[i];

		SpinLockAcquire(&sender->mutex);
		if (sender->snapshot.pid == 0)
		{
			sender->snapshot = fresh;
			sender->feedback = ws_feedback_nothing;
			my_sender = sender;
		}
		SpinLockRelease(&sender->mutex);
	}

	if (my_sender == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("number of requested standby connections exceeds max_wal_senders (currently %d)",
						max_wal_senders),
				 errhint("Raise \"max_wal_senders\" on the relay, which needs a restart.")));

	before_shmem_exit(release_mine, 0);
	return my_sender;
}

void
ws_senders_set_state(WsSender *sender, WsSenderState state)
{
	SpinLockAcquire(&sender->mutex);
	sender->snapshot.state = state;
	SpinLockRelease(&sender->mutex);
}

void
ws_senders_set_sent(WsSender *sender, TimeLineID tli, XLogRecPtr sent_lsn)
{
	SpinLockAcquire(&sender->mutex);
	sender->snapshot.tli = tli;
	sender->snapshot.sent_lsn = sent_lsn;
	SpinLockRelease(&sender->mutex);
}

void
ws_senders_set_reply(WsSender *sender, XLogRecPtr write_lsn, XLogRecPtr flush_lsn,
					 XLogRecPtr apply_lsn, const int64 lag_us[3],
					 TimestampTz reply_time)
{
	bool		is_news = flush_lsn != sender->snapshot.flush_lsn;

	SpinLockAcquire(&sender->mutex);
	sender->snapshot.write_lsn = write_lsn;
	sender->snapshot.flush_lsn = flush_lsn;
	sender->snapshot.apply_lsn = apply_lsn;
	sender->snapshot.write_lag_us = lag_us[0];
	sender->snapshot.flush_lag_us = lag_us[1];
	sender->snapshot.apply_lag_us = lag_us[2];
	sender->snapshot.reply_time = reply_time;
	SpinLockRelease(&sender->mutex);
	if (is_news)
		ConditionVariableBroadcast(&shared->news);
}

void
ws_senders_set_relay_slot(WsSender *sender, const char *name)
{
	char		copy[NAMEDATALEN] = {0};

	strlcpy(copy, name != NULL ? name : "", sizeof(copy));

	SpinLockAcquire(&sender->mutex);
	memcpy(sender->snapshot.relay_slot, copy, NAMEDATALEN);
	SpinLockRelease(&sender->mutex);
}

void
ws_senders_set_feedback(WsSender *sender, WsFeedback feedback)
{
	bool		changed;

	feedback = ws_feedback_normalize(feedback);
	changed = !ws_feedback_equals(sender->feedback, feedback);

	SpinLockAcquire(&sender->mutex);
	sender->feedback = feedback;
	SpinLockRelease(&sender->mutex);

	if (changed)
		ws_relay_note_feedback();
}

ConditionVariable *
ws_senders_news(void)
{
	return &shared->news;
}

int
ws_senders_snapshot(WsSenderSnapshot **result)
{
	WsSenderSnapshot *snapshots = palloc0(sizeof(WsSenderSnapshot) * max_wal_senders);

	*result = snapshots;

	/* NULL in single-user mode */
	if (senders == NULL)
		return 0;

	for (int i = 0; i < max_wal_senders; i++)
	{
		SpinLockAcquire(&senders[i].mutex);
		snapshots[i] = senders[i].snapshot;
		SpinLockRelease(&senders[i].mutex);

		if (snapshots[i].pid == 0)
			memset(&snapshots[i], 0, sizeof(snapshots[i]));
		snapshots[i].slot = i;
	}

	return max_wal_senders;
}

XLogRecPtr
ws_senders_oldest_send_lsn(void)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WsSender   *sender = &senders[i];
		XLogRecPtr	sent_lsn = InvalidXLogRecPtr;

		SpinLockAcquire(&sender->mutex);
		if (sender->snapshot.pid != 0 &&
			sender->snapshot.state >= WS_SENDER_CATCHUP)
			sent_lsn = sender->snapshot.sent_lsn;
		SpinLockRelease(&sender->mutex);

		if (!XLogRecPtrIsInvalid(sent_lsn) &&
			(XLogRecPtrIsInvalid(oldest) || sent_lsn < oldest))
			oldest = sent_lsn;
	}
	return oldest;
}

WsFeedback
ws_senders_feedback(int *connected)
{
	WsFeedback	oldest = ws_feedback_nothing;

	*connected = 0;
	for (int i = 0; i < max_wal_senders; i++)
	{
		WsSender   *sender = &senders[i];
		WsFeedback	feedback;
		bool		counts;

		SpinLockAcquire(&sender->mutex);
		feedback = sender->feedback;
		counts = sender->snapshot.pid != 0 &&
			sender->snapshot.relay_slot[0] == '\0';
		SpinLockRelease(&sender->mutex);

		if (counts)
		{
			oldest = ws_feedback_older(oldest, ws_xids_limit(feedback));
			(*connected)++;
		}
	}
	return oldest;
}

const char *
ws_senders_state_name(WsSenderState state)
{
	switch (state)
	{
		case WS_SENDER_STARTUP:
			return "startup";
		case WS_SENDER_CATCHUP:
			return "catchup";
		case WS_SENDER_STREAMING:
			return "streaming";
		case WS_SENDER_STOPPING:
			return "stopping";
	}
	return "unknown";
}
