/*-------------------------------------------------------------------------
 *
 * peer.h
 *	  The shared array of live streams: one entry for each walsender that
 *	  streams and each receiver that is connected.
 *
 * An entry belongs to the process that claimed it until that process releases
 * it or exits.  Any process may take a snapshot.  If no entry is free, the
 * stream runs without one and tries again now and then; once it has an entry,
 * its counters include everything since its beginning.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PEER_H
#define WS_PEER_H

#include "datatype/timestamp.h"
#include "pure/wire/accept.h"
#include "sockopt.h"
#include "stats.h"
#include "throttle.h"

/* The role of this process in the stream. */
typedef enum WsPeerRole
{
	WS_ROLE_PHYSICAL_SENDER,
	WS_ROLE_LOGICAL_SENDER,
	WS_ROLE_PHYSICAL_RECEIVER,
	WS_ROLE_LOGICAL_RECEIVER,
	WS_ROLE_RELAY_RECEIVER
} WsPeerRole;

/* How the bytes are sent; in all modes but WS_MODE_CODED they are plain. */
typedef enum WsPeerMode
{
	WS_MODE_UNDECIDED,			/* no message has been seen yet */
	WS_MODE_CODED,
	WS_MODE_NOT_ASKED,			/* the receiver did not ask */
	WS_MODE_STOCK_PEER,			/* the sender has no walstream */
	WS_MODE_NO_CODEC,			/* the sender gave a reason, see below */
	WS_MODE_OFF,				/* our own walstream.compression is off */
	WS_MODE_SUSPENDED,			/* not asked for because of repeated failures */
	WS_MODE_OPTIONS_REFUSED,	/* the upstream, or a pooler on the way,
								 * refuses options */
	WS_MODE_OPTIONS_LOST		/* this libpqwalreceiver drops options on
								 * logical connections */
} WsPeerMode;

typedef struct WsPeer WsPeer;

/* The part of an entry that other processes see. */
typedef struct WsPeerSnapshot
{
	pid_t		pid;
	WsPeerRole	role;
	char		name[NAMEDATALEN];	/* application_name, or subscription */
	WsPeerMode	mode;
	WsNoCodecReason reason;		/* with WS_MODE_NO_CODEC */
	WsCodecSpec codec;			/* with WS_MODE_CODED */
	TimestampTz streaming_since;
	char		congestion_control[WS_CONGESTION_SIZE]; /* senders; "" if none */
	int64		rate_limit;		/* senders, in bytes per second; 0 if none */
	WsPacing	pacing;
	XLogRecPtr	position;		/* receivers: end of the data handed on */
	WsCounters	counters;
} WsPeerSnapshot;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_peer_init(void);

/*
 * Claim an entry for this process; NULL if none is free.  A process may hold
 * more than one.  name is cleaned as a server does with an application_name.
 */
extern WsPeer *ws_peer_claim(WsPeerRole role, const char *name,
							 TimestampTz streaming_since);

/*
 * For a stream that found no free entry: returns true if it is time to try
 * again, and then sets *tried_at, the time of the last try.
 */
extern bool ws_peer_may_claim_again(TimestampTz *tried_at);

/*
 * Release the entry and add its counters to the totals.  Does nothing for NULL
 * or an entry that this process no longer holds.
 */
extern void ws_peer_release(WsPeer *peer);

/* Owner only; NULL is allowed. */
extern void ws_peer_set_mode(WsPeer *peer, WsPeerMode mode,
							 WsNoCodecReason reason, WsCodecSpec codec);
extern void ws_peer_set_network(WsPeer *peer, const char *congestion_control,
								int64 rate_limit, WsPacing pacing);
extern void ws_peer_set_position(WsPeer *peer, XLogRecPtr position);

/* Owner only: returns the entry's counters; NULL for NULL. */
extern WsSharedCounters *ws_peer_counters(WsPeer *peer);

/*
 * Copy all entries in use into a palloc'd array.  With ws_shmem_lock() held,
 * each stream is either here or in the totals, never in both.
 */
extern int	ws_peer_snapshot(WsPeerSnapshot **result);

extern const char *ws_peer_role_name(WsPeerRole role);

/* Returns the reason why a stream is plain, as text; NULL if it is coded. */
extern const char *ws_peer_mode_reason(WsPeerMode mode, WsNoCodecReason reason);

#endif							/* WS_PEER_H */
