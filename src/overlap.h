/*-------------------------------------------------------------------------
 *
 * overlap.h
 *	  Is the WAL of another source what this standby has, where both have it?
 *
 * A walreceiver begins at the start of a segment, and writes what comes over what
 * is there without a look at it.  From the server that the standby has always
 * received from, that is the same.  Before it connects to another one, that
 * is asked for the same WAL, and what comes is compared.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_OVERLAP_H
#define WS_OVERLAP_H

#include "replication/walreceiver.h"

/*
 * In a walreceiver, before it begins where recovery has told it to: compare what
 * the source of this connection, which is used up, has from there up to the end
 * of our WAL.  An ERROR unless that is the same, which the session that wants
 * this (redirect.h) is told.
 */
extern void ws_overlap_check(const WalReceiverFunctionsType *functions,
							 WalReceiverConn *conn);

#endif							/* WS_OVERLAP_H */
