/*-------------------------------------------------------------------------
 *
 * link.c
 *	  Tells errors of the relay's receiver that are its upstream's fault from
 *	  others.
 *
 * A lost connection only leads to another one; an error of the store ends the
 * process.  The error's code does not tell which of both it is, since an
 * upstream can send any code.  So the place where it was raised decides: an
 * error is the upstream's if it was raised in one of the functions that talk
 * to the upstream, or if our own code says so.  Any other error counts as the
 * store's.
 *
 * These functions wrap receiver.c's, which wrap libpqwalreceiver's.  They are not
 * one table, because those are for every walreceiver and know no relay, and these
 * see more calls.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "pgstat.h"
#include "relay/walreceiver/state.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "utils/wait_event.h"

static WalReceiverFunctionsType *plain = NULL;
static WalReceiverFunctionsType noting;

/*
 * True while a function talks to the upstream.  An error leaves it set; the
 * handler that catches the error resets it.
 */
static bool blames_upstream = false;

int
ws_rcv_errupstream(void)
{
	blames_upstream = true;
	return 0;					/* like all functions used in ereport() */
}

bool
ws_rcv_take_blame(void)
{
	bool		result = blames_upstream;

	blames_upstream = false;
	return result;
}

static WalRcvExecResult *
noting_exec(WalReceiverConn *conn, const char *query, const int column_count,
			const Oid *types)
{
	WalRcvExecResult *result;

	blames_upstream = true;
	result = (plain->walrcv_exec) (conn, query, column_count, types);
	blames_upstream = false;
	return result;
}

static char *
noting_create_slot(WS_CREATE_SLOT_PARAMS)
{
	char	   *snapshot;

	blames_upstream = true;
	snapshot = (plain->walrcv_create_slot) (WS_CREATE_SLOT_ARGS);
	blames_upstream = false;
	return snapshot;
}

static void
noting_readtimelinehistoryfile(WalReceiverConn *conn, TimeLineID tli,
							   char **name, char **content, int *size)
{
	blames_upstream = true;
	(plain->walrcv_readtimelinehistoryfile) (conn, tli, name, content, size);
	blames_upstream = false;
}

static bool
noting_startstreaming(WalReceiverConn *conn, const WalRcvStreamOptions *options)
{
	bool		started;

	blames_upstream = true;
	started = (plain->walrcv_startstreaming) (conn, options);
	blames_upstream = false;
	return started;
}

static void
noting_endstreaming(WalReceiverConn *conn, TimeLineID *next_tli)
{
	blames_upstream = true;
	(plain->walrcv_endstreaming) (conn, next_tli);
	blames_upstream = false;
}

static int
noting_receive(WalReceiverConn *conn, char **buffer, pgsocket *wait_fd)
{
	int			len;

	blames_upstream = true;
	len = (plain->walrcv_receive) (conn, buffer, wait_fd);
	blames_upstream = false;
	return len;
}

static void
noting_send(WalReceiverConn *conn, const char *buffer, int bytes)
{
	blames_upstream = true;
	(plain->walrcv_send) (conn, buffer, bytes);
	blames_upstream = false;
}

void
ws_rcv_link_init(void)
{
	plain = WalReceiverFunctions;
	noting = *plain;
	noting.walrcv_exec = noting_exec;
	noting.walrcv_create_slot = noting_create_slot;
	noting.walrcv_readtimelinehistoryfile = noting_readtimelinehistoryfile;
	noting.walrcv_startstreaming = noting_startstreaming;
	noting.walrcv_endstreaming = noting_endstreaming;
	noting.walrcv_receive = noting_receive;
	noting.walrcv_send = noting_send;
	WalReceiverFunctions = &noting;
}

void
ws_rcv_clean_up(void)
{
	AbortCurrentTransaction();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	AtEOXact_Files(false);
	ws_relay_unlock_store();
}
