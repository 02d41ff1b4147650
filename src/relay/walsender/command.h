/*-------------------------------------------------------------------------
 *
 * command.h
 *	  The replication commands of a relay sender.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_COMMAND_H
#define WS_RELAY_WALSENDER_COMMAND_H

/* Execute one command, up to its CommandComplete. */
extern void ws_command_execute(const char *query);

#endif							/* WS_RELAY_WALSENDER_COMMAND_H */
