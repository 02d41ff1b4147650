/*-------------------------------------------------------------------------
 *
 * loop.c
 *	  The session of a relay sender: reads commands, has them executed,
 *	  recovers from errors, and ends.
 *
 * PostgresMain() is the model.  All cleanup after an error is in the handler
 * here, since there are no transactions to abort.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "guc.h"
#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "libpq/pqsignal.h"
#include "pgstat.h"
#include "relay/slots/slots.h"
#include "relay/walsender/client.h"
#include "relay/walsender/command.h"
#include "relay/walsender/loop.h"
#include "relay/walsender/session.h"
#include "relay/walsender/stream.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/sinval.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

/*
 * After an error in an extended-query message, everything up to Sync is
 * ignored.
 */
static bool ignore_till_sync = false;

/*
 * After an error: report it, and release everything.
 */
static void
recover_from_error(void)
{
	/* those who have put something there are gone, without PG_TRY */
	error_context_stack = NULL;
	ws_session_name_client();

	HOLD_INTERRUPTS();

	disable_all_timeouts(false);
	QueryCancelPending = false;
	pq_comm_reset();
	EmitErrorReport();
	debug_query_string = NULL;

	AbortCurrentTransaction();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	ws_stream_cleanup();
	AtEOXact_Files(false);
	ws_slot_release();
	ws_slots_drop_temporary();

	MemoryContextSwitchTo(TopMemoryContext);
	FlushErrorState();
	ws_session_set_copying(false);
	ws_senders_set_state(ws_session_sender(), WS_SENDER_STARTUP);

	RESUME_INTERRUPTS();
}

/*
 * Send ReadyForQuery, and wait until it has been sent.
 */
static void
become_idle(void)
{
	pgstat_report_stat(true);
	set_ps_display("idle");
	pgstat_report_activity(STATE_IDLE, NULL);

	ReadyForQuery(DestRemote);
	ws_client_flush();
}

/*
 * Wait for the next message.  Returns false if the client is gone.
 */
static bool
read_message(WsClientMessage *message)
{
	bool		limited = IdleSessionTimeout > 0;
	WsReadResult result;

	if (limited)
		enable_timeout_after(IDLE_SESSION_TIMEOUT, IdleSessionTimeout);

	/* ignore a request to cancel while idle */
	HOLD_CANCEL_INTERRUPTS();
	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (catchupInterruptPending)
			ProcessCatchupInterrupt();
		(void) ws_guc_reload();

		result = ws_client_read(WS_EXPECT_COMMAND, message);
		if (result != WS_READ_NOTHING)
			break;
		ws_client_wait(WL_SOCKET_READABLE, -1, WAIT_EVENT_CLIENT_READ);
	}
	QueryCancelPending = false;
	RESUME_CANCEL_INTERRUPTS();

	if (limited)
		disable_timeout(IDLE_SESSION_TIMEOUT, false);
	return result == WS_READ_MESSAGE;
}

static void
execute_query(WsClientMessage *message)
{
	const char *query;

	if (message->too_long)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("replication command is too long"),
				 errdetail("It has %u bytes.", message->length)));

	SetCurrentStatementStartTimestamp();
	query = pq_getmsgstring(&message->content);
	pq_getmsgend(&message->content);
	ws_command_execute(query);
}

/*
 * Act on a message; returns whether the client is to be told that we are
 * ready for the next command.
 */
static bool
process_message(WsClientMessage *message)
{
	if (ignore_till_sync && message->type != PqMsg_Sync &&
		message->type != PqMsg_Terminate)
		return false;

	switch (message->type)
	{
		case PqMsg_Query:
			execute_query(message);
			return true;

		case PqMsg_FunctionCall:
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("fastpath function calls not supported in a replication connection")));
			break;

		case PqMsg_Parse:
		case PqMsg_Bind:
		case PqMsg_Describe:
		case PqMsg_Execute:
		case PqMsg_Close:
			ignore_till_sync = true;
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("extended query protocol not supported in a replication connection")));
			break;

		case PqMsg_Sync:
			ignore_till_sync = false;
			return true;

		case PqMsg_Terminate:
			ws_client_gone();
			break;

		default:

			/*
			 * messages of a COPY that has failed, or a Flush, which is never
			 * needed
			 */
			break;
	}
	return false;
}

void
ws_loop_run(void)
{
	sigjmp_buf	local_sigjmp_buf;
	volatile bool ready = true;

	if (sigsetjmp(local_sigjmp_buf, 1) != 0)
	{
		recover_from_error();
		ready = !ignore_till_sync;
	}
	PG_exception_stack = &local_sigjmp_buf;

	for (;;)
	{
		WsClientMessage message;

		MemoryContextSwitchTo(MessageContext);
		MemoryContextReset(MessageContext);

		if (ready)
			become_idle();
		if (!read_message(&message))
			break;
		ready = process_message(&message);
	}

	pgStatSessionEndCause = DISCONNECT_CLIENT_EOF;
	ws_client_gone();
}
