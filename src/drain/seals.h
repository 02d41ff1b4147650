/*-------------------------------------------------------------------------
 *
 * seals.h
 *	  Remembers the seals that this standby has set, beyond the life of a
 *	  session.
 *
 * A call that succeeds leaves relays sealed, and so does one that is killed.
 * The next call must recognize these seals as this standby's.  Their tokens
 * are in a file that base backups leave out, so that a copy of the standby
 * does not take them for its own.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_SEALS_H
#define WS_DRAIN_SEALS_H

extern bool ws_seals_has(const char *token);

/* Remember a token durably.  A failure to do so is not an error. */
extern void ws_seals_add(const char *token);

/*
 * Returns the name under which this server seals (owner.h), after drawing one
 * durably if there is none.
 */
extern const char *ws_seals_owner(void);

#endif							/* WS_DRAIN_SEALS_H */
