/*-------------------------------------------------------------------------
 *
 * names.h
 *	  Of whom so many have to be heard: synchronous_standby_names of the old
 *	  primary, and who bears which of its names.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_NAMES_H
#define WS_DRAIN_NAMES_H

#include "drain/source.h"

/*
 * The name as which its upstream knows this server, a relay or a standby;
 * palloc'd, NULL if it is neither.
 */
extern const char *ws_names_own(void);

/*
 * How many must be heard: with k of n synchronous names n - k + 1.  Marks the
 * sources that have one of them, and sets *self_counts if the standby has.  An
 * ERROR where that says nothing.
 */
extern int	ws_names_required(const char *list, WsSource **sources, int count,
							  bool *self_counts);

#endif							/* WS_DRAIN_NAMES_H */
