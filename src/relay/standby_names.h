/*-------------------------------------------------------------------------
 *
 * standby_names.h
 *	  Keeps the primary's synchronous_standby_names.
 *
 * The WAL of a relay tells something about confirmed commits only for the time
 * in which its name was in synchronous_standby_names.  So the relay asks for
 * that list at each connection and then again and again, and keeps the lists
 * that it has seen, durably.
 *
 * The receiver asks when it connects; while it streams, it cannot.  So it
 * publishes to whom it is connected, and the keeper asks the same server
 * (ask_names.h).
 *
 * A changed list counts only when the relay has all WAL that the primary had at
 * that time: the relay may be far behind, and commits that were confirmed under
 * the former list are then on others only.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STANDBY_NAMES_H
#define WS_RELAY_STANDBY_NAMES_H

#include "relay/store/store.h"

#define WS_NAMES_HOST_SIZE	1025	/* as NI_MAXHOST */
#define WS_NAMES_ADDRESS_SIZE	128

/* The primary from which the receiver streams. */
typedef struct WsNamesPrimary
{
	uint32		connection;		/* number of the receiver's connection */
	TimeLineID	tli;			/* 0 if the receiver does not stream from a
								 * primary */
	int			port;
	char		host[WS_NAMES_HOST_SIZE];
	char		address[WS_NAMES_ADDRESS_SIZE]; /* "" for a socket in the file
												 * system */
} WsNamesPrimary;

/* In _PG_init of a relay. */
extern void ws_standby_names_init(void);

/* Receiver: read the lists kept in the store, and show the last one. */
extern void ws_standby_names_load(const WsStore *store);

/*
 * Receiver: note that the primary, which is on tli, has this list now, and was
 * at lsn after that.  The file is written if the list has changed, and once a
 * minute; a failure is only logged.
 */
extern void ws_standby_names_note(const WsStore *store, TimeLineID tli,
								  const char *names, XLogRecPtr lsn);

/*
 * Receiver: let the keeper ask this primary, whose connection number is given
 * here, until it is told to stop.
 */
extern void ws_standby_names_begin_asking(const WsNamesPrimary *primary);
extern void ws_standby_names_end_asking(void);

/* Keeper: returns false if there is nobody to ask. */
extern bool ws_standby_names_get_primary(WsNamesPrimary *primary);

/*
 * Keeper: note the answer of that primary, unless the receiver's connection to
 * it has ended meanwhile.
 */
extern void ws_standby_names_note_answer(const WsStore *store,
										 const WsNamesPrimary *primary, const char *names,
										 XLogRecPtr lsn);

/*
 * Receiver: let a list count that waits, if the relay has come so far.  To be
 * called when a position was published, with it; that is cheap unless a list has
 * waited for it.
 */
extern void ws_standby_names_settle(const WsStore *store, XLogRecPtr lsn);

#endif							/* WS_RELAY_STANDBY_NAMES_H */
