/*-------------------------------------------------------------------------
 *
 * ask_names.h
 *	  Asks the primary again and again for its synchronous_standby_names.
 *
 * Nothing in a stream of WAL tells that this setting has changed, and a
 * walsender that streams cannot be asked.  So another connection is made each
 * time, for a moment, to the server and on the terms of the stream: whoever may
 * stream may ask.  One that stays would hold one of the primary's walsenders
 * for ever.
 *
 * The keeper does this, not the receiver, on which commits wait.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_ASK_NAMES_H
#define WS_RELAY_ASK_NAMES_H

/*
 * Keeper: ask, if it is time to.  Takes some seconds at most.  Returns how long
 * there is nothing to do, in ms; -1 means until this process is woken.  Sets
 * *woken to true if it was woken meanwhile.
 */
extern long ws_ask_names(bool *woken);

#endif							/* WS_RELAY_ASK_NAMES_H */
