/*-------------------------------------------------------------------------
 *
 * overlap.h
 *	  Compares the WAL of another source with this standby's, where both have
 *	  it.
 *
 * A walreceiver begins at the start of a segment, and overwrites what is there
 * without looking at it.  WAL from the server that the standby has always
 * received from is the same.  Before it receives from another one, that server
 * is asked for the same WAL, and the bytes are compared.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_OVERLAP_H
#define WS_OVERLAP_H

#include "replication/walreceiver.h"

/*
 * In a walreceiver, before it begins at the position that recovery wants:
 * compare the source's WAL from there up to the end of ours, over this
 * connection, which cannot be used afterwards.  Raises an ERROR if it differs,
 * and reports that to the session that wants this (redirect.h).
 */
extern void ws_overlap_check(const WalReceiverFunctionsType *functions,
							 WalReceiverConn *conn);

#endif							/* WS_OVERLAP_H */
