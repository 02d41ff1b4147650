/*-------------------------------------------------------------------------
 *
 * names.h
 *	  Finds out which servers must be heard, and how many:
 *	  synchronous_standby_names of the old primary, and which server has which
 *	  of its names.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_NAMES_H
#define WS_DRAIN_NAMES_H

#include "drain/source.h"

/*
 * Returns, palloc'd, the name by which its upstream knows this server, a relay
 * or a standby; NULL if it is neither.
 */
extern const char *ws_names_own(void);

/*
 * Returns how many must be heard: n - k + 1 with k of n synchronous names.
 * Marks the sources that have one of the names, and sets *self_counts if the
 * standby has one.  Raises an ERROR if the list does not determine a number.
 */
extern int	ws_names_required(const char *list, WsSource **sources, int count,
							  bool *self_counts);

#endif							/* WS_DRAIN_NAMES_H */
