/*-------------------------------------------------------------------------
 *
 * seals.h
 *	  The seals that this standby has set, beyond the life of a session.
 *
 * A call that succeeds leaves relays sealed, one that is killed too.  The next
 * call shall know that these seals are this standby's.  A file among those that
 * base backups leave out has their tokens, so that a copy of the standby does not
 * take them for its own.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_SEALS_H
#define WS_DRAIN_SEALS_H

extern bool ws_seals_has(const char *token);

/* Remember it.  That it cannot be is no error. */
extern void ws_seals_add(const char *token);

#endif							/* WS_DRAIN_SEALS_H */
