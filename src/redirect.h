/*-------------------------------------------------------------------------
 *
 * redirect.h
 *	  Where this standby's walreceiver shall connect instead of primary_conninfo,
 *	  for as long as a session wants it to.
 *
 * A session says so in shared memory; the walreceiver reads it when it connects
 * (receiver.c).  A walreceiver that is connected never connects again, so the
 * session ends it, and recovery starts the next one.  No setting is changed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_REDIRECT_H
#define WS_REDIRECT_H

/* Bytes for what a walreceiver says about its failure. */
#define WS_REDIRECT_TEXT	256

/* In _PG_init. */
extern void ws_redirect_init(void);

/*----------------------------------------------------------------
 * For the session
 *----------------------------------------------------------------
 */

/*
 * Become the session that may do so, until ws_redirect_end().  An ERROR if there
 * is one.
 */
extern void ws_redirect_claim(void);

/* From now on walreceivers connect there.  Of the session that has claimed it. */
extern void ws_redirect_begin(const char *conninfo);

/*
 * Call it again and again until the walreceiver is there: ends one that is
 * elsewhere, and makes recovery start one if there is none.
 */
extern void ws_redirect_press(void);

/*
 * Has a walreceiver failed since ws_redirect_begin()?  Its words are copied;
 * *differs if it is of no use to try again, since the WAL is not the same.
 */
extern bool ws_redirect_failed(char text[WS_REDIRECT_TEXT], bool *differs);

/*
 * No more of that: the walreceiver that is there is ended, so that the next one
 * uses primary_conninfo again.  Does nothing if this session has claimed nothing;
 * is called in any case when it ends.
 */
extern void ws_redirect_end(void);

/*----------------------------------------------------------------
 * For the walreceiver
 *----------------------------------------------------------------
 */

/*
 * Is it to connect elsewhere?  The connection string is palloc'd; NULL if not.
 * It may hold a password.
 */
extern char *ws_redirect_take(void);

/* It could not, or the WAL there differs. */
extern void ws_redirect_note_failure(const char *text, bool differs);

#endif							/* WS_REDIRECT_H */
