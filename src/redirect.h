/*-------------------------------------------------------------------------
 *
 * redirect.h
 *	  Redirects this standby's walreceiver to another server than
 *	  primary_conninfo's, for as long as a session wants that.
 *
 * The session puts a connection string into shared memory, and the walreceiver
 * reads it when it connects (receiver.c).  A walreceiver that is connected
 * never connects again, so the session ends it, and recovery starts the next
 * one.  No setting is changed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_REDIRECT_H
#define WS_REDIRECT_H

#include "replication/walreceiver.h"

/* Size of a walreceiver's message about its failure. */
#define WS_REDIRECT_TEXT	256

/* In _PG_init. */
extern void ws_redirect_init(void);

/*----------------------------------------------------------------
 * For the session
 *----------------------------------------------------------------
 */

/*
 * Become the session that may redirect, until ws_redirect_end().  Raises an
 * ERROR if there is one already.
 */
extern void ws_redirect_claim(void);

/*
 * Let walreceivers connect there from now on.  Only for the session that has
 * claimed it.
 */
extern void ws_redirect_begin(const char *conninfo);

/*
 * Must be called repeatedly until the walreceiver is connected there: ends one
 * that is connected elsewhere, and makes recovery start one if there is none.
 */
extern void ws_redirect_press(void);

/*
 * Returns true if a walreceiver has failed since ws_redirect_begin(), and
 * copies its message.  Sets *differs if trying again is of no use, since the
 * WAL is not the same.
 */
extern bool ws_redirect_failed(char text[WS_REDIRECT_TEXT], bool *differs);

/*
 * End the redirection: the walreceiver that is connected there is ended, so
 * that the next one uses primary_conninfo again.  Does nothing if this session
 * has not claimed it.  Also called when the session ends.
 */
extern void ws_redirect_end(void);

/*----------------------------------------------------------------
 * For the walreceiver
 *----------------------------------------------------------------
 */

/*
 * Returns the palloc'd connection string of a redirection, which may contain a
 * password; NULL if there is none.
 */
extern char *ws_redirect_take(void);

/*
 * Note that the walreceiver has failed to connect there, or that the WAL there
 * differs.
 */
extern void ws_redirect_note_failure(const char *text, bool differs);

/*
 * In PG_CATCH(), before the error is raised again: note its message likewise.
 * context is the memory context from before the error.
 */
extern void ws_redirect_note_error(MemoryContext context, bool differs);

/*
 * Start streaming there, without the slot of primary_slot_name, which is on the
 * primary.  Notes an error.
 */
extern bool ws_redirect_start(const WalReceiverFunctionsType *functions,
							  WalReceiverConn *conn,
							  const WalRcvStreamOptions *options);

#endif							/* WS_REDIRECT_H */
