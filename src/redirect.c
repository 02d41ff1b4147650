/*-------------------------------------------------------------------------
 *
 * redirect.c
 *	  Redirects this standby's walreceiver to another server than
 *	  primary_conninfo's.
 *
 * A redirection lasts at most as long as its session, which ends it, at the
 * latest when it exits.  If the session is killed so that it cannot, the
 * postmaster creates shared memory anew, and nothing is left of the
 * redirection.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <signal.h>

#include "access/xlogrecovery.h"
#include "peertext.h"
#include "redirect.h"
#include "replication/walreceiver.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

/* Time between two attempts to make recovery look for WAL, in milliseconds. */
#define WAKE_INTERVAL	500

/*
 * ws_shmem_lock() guards all of this.  The session writes the first part and
 * clears the second; the walreceiver writes the second.
 */
typedef struct Redirect
{
	pid_t		owner;			/* the session; 0 if none */
	char		conninfo[MAXCONNINFO];	/* "" if there is no redirection */

	pid_t		receiver;		/* the walreceiver that has read it; 0 if none */
	bool		failed;
	bool		differs;
	char		failure[WS_REDIRECT_TEXT];
} Redirect;

static Redirect *redirect = NULL;

/* In the session: its last action. */
static pid_t ended_receiver = 0;
static TimestampTz woken_at = 0;

static Size
redirect_shmem_size(void)
{
	return sizeof(Redirect);
}

static void
redirect_shmem_init(void)
{
	bool		found;

	redirect = ShmemInitStruct("walstream redirect", redirect_shmem_size(), &found);
	if (!found)
		memset(redirect, 0, sizeof(Redirect));
}

void
ws_redirect_init(void)
{
	ws_shmem_add(redirect_shmem_size, redirect_shmem_init);
}

/*
 * Returns the running walreceiver, or 0.  Sets *stopped if none is starting
 * either.
 */
static pid_t
running_receiver(bool *stopped)
{
	pid_t		pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	*stopped = WalRcv->walRcvState == WALRCV_STOPPED;
	SpinLockRelease(&WalRcv->mutex);
	return pid;
}

static void
end_at_exit(int code, Datum arg)
{
	ws_redirect_end();
}

void
ws_redirect_claim(void)
{
	static bool exit_registered = false;
	pid_t		other;

	if (!exit_registered)
	{
		before_shmem_exit(end_at_exit, 0);
		exit_registered = true;
	}

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	other = redirect->owner;
	if (other == 0)
	{
		memset(redirect, 0, sizeof(Redirect));
		redirect->owner = MyProcPid;
	}
	LWLockRelease(ws_shmem_lock());

	if (other != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session prepares the promotion of this standby"),
				 errdetail("The session's process ID is %d.", (int) other)));
}

void
ws_redirect_begin(const char *conninfo)
{
	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	strlcpy(redirect->conninfo, conninfo, MAXCONNINFO);
	LWLockRelease(ws_shmem_lock());
	ended_receiver = 0;
	woken_at = 0;
}

void
ws_redirect_press(void)
{
	bool		stopped;
	pid_t		running = running_receiver(&stopped);
	TimestampTz now;
	pid_t		there;

	LWLockAcquire(ws_shmem_lock(), LW_SHARED);
	there = redirect->receiver;
	LWLockRelease(ws_shmem_lock());

	if (running != 0 && running != there && running != ended_receiver)
	{
		/* if it has just ended, recovery notices and continues */
		(void) kill(running, SIGTERM);
		ended_receiver = running;
	}
	if (!stopped)
		return;

	/*
	 * After a walreceiver has ended recovery waits before it looks for WAL
	 * again, up to wal_retrieve_retry_interval since it last did.
	 */
	now = GetCurrentTimestamp();
	if (TimestampDifferenceExceeds(woken_at, now, WAKE_INTERVAL))
	{
		WakeupRecovery();
		woken_at = now;
	}
}

bool
ws_redirect_failed(char text[WS_REDIRECT_TEXT], bool *differs)
{
	bool		failed;

	LWLockAcquire(ws_shmem_lock(), LW_SHARED);
	failed = redirect->failed;
	*differs = redirect->differs;
	memcpy(text, redirect->failure, WS_REDIRECT_TEXT);
	LWLockRelease(ws_shmem_lock());
	return failed;
}

void
ws_redirect_end(void)
{
	bool		stopped;
	pid_t		there = 0;
	bool		asked = false;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	if (redirect->owner == MyProcPid)
	{
		asked = redirect->conninfo[0] != '\0';
		there = redirect->receiver;
		memset(redirect, 0, sizeof(Redirect));
	}
	LWLockRelease(ws_shmem_lock());

	if (!asked)
		return;
	if (there != 0 && there == running_receiver(&stopped))
		(void) kill(there, SIGTERM);
	WakeupRecovery();
}

char *
ws_redirect_take(void)
{
	char	   *conninfo = NULL;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	if (redirect->conninfo[0] != '\0')
	{
		redirect->receiver = MyProcPid;
		conninfo = pstrdup(redirect->conninfo);
	}
	LWLockRelease(ws_shmem_lock());
	return conninfo;
}

void
ws_redirect_note_failure(const char *text, bool differs)
{
	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	if (redirect->receiver == MyProcPid)
	{
		redirect->failed = true;
		redirect->differs = differs;
		ws_peertext_copy(redirect->failure, WS_REDIRECT_TEXT, text);
	}
	LWLockRelease(ws_shmem_lock());
}

void
ws_redirect_note_error(MemoryContext context, bool differs)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ErrorData  *error = CopyErrorData();

	ws_redirect_note_failure(error->message, differs);
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
}

bool
ws_redirect_start(const WalReceiverFunctionsType *functions,
				  WalReceiverConn *conn, const WalRcvStreamOptions *options)
{
	MemoryContext context = CurrentMemoryContext;
	WalRcvStreamOptions elsewhere = *options;
	bool		result = false;

	if (!WalRcv->is_temp_slot)
		elsewhere.slotname = NULL;
	PG_TRY();
	{
		result = (functions->walrcv_startstreaming) (conn, &elsewhere);
	}
	PG_CATCH();
	{
		ws_redirect_note_error(context, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return result;
}
