/*-------------------------------------------------------------------------
 *
 * peer.h
 *	  The shared array of live streams: one entry for each walsender that
 *	  streams and each receiver that is connected.
 *
 * An entry belongs to the process that claimed it until that process releases
 * it; release is also registered for process exit.  Everybody may take a
 * snapshot.  If no entry is free, claim says so and the stream runs
 * uncounted; it tries again now and then, and is counted whole once it has one.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PEER_H
#define WS_PEER_H

#include "datatype/timestamp.h"
#include "pure/wire/accept.h"
#include "stats.h"

/* Which part this process plays in the stream. */
typedef enum WsPeerRole
{
	WS_ROLE_PHYSICAL_SENDER,
	WS_ROLE_LOGICAL_SENDER,
	WS_ROLE_PHYSICAL_RECEIVER,
	WS_ROLE_LOGICAL_RECEIVER,
	WS_ROLE_RELAY_RECEIVER
} WsPeerRole;

/* Why bytes travel as they do; anything but WS_MODE_CODED is plain. */
typedef enum WsPeerMode
{
	WS_MODE_UNDECIDED,			/* no message has been seen yet */
	WS_MODE_CODED,
	WS_MODE_NOT_ASKED,			/* the receiver did not ask */
	WS_MODE_STOCK_PEER,			/* the sender has no walstream */
	WS_MODE_NO_CODEC,			/* the sender said why: see reason */
	WS_MODE_OFF,				/* our own walstream.compression is off */
	WS_MODE_SUSPENDED,			/* not asked for, after repeated failures */
	WS_MODE_OPTIONS_REFUSED,	/* the way to the upstream refuses options */
	WS_MODE_OPTIONS_LOST		/* this libpqwalreceiver drops options on
								 * logical connections */
} WsPeerMode;

typedef struct WsPeer WsPeer;

/* What others see of an entry. */
typedef struct WsPeerSnapshot
{
	pid_t		pid;
	WsPeerRole	role;
	char		name[NAMEDATALEN];	/* application_name, or subscription */
	WsPeerMode	mode;
	WsNoCodecReason reason;		/* with WS_MODE_NO_CODEC */
	WsCodecSpec codec;			/* with WS_MODE_CODED */
	TimestampTz streaming_since;
	XLogRecPtr	position;		/* receivers: end of what was handed on */
	WsCounters	counters;
} WsPeerSnapshot;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_peer_init(void);

/*
 * Claim an entry for this process; NULL if none is free.  A process may hold
 * more than one.  name is shown as a server shows an application_name.
 */
extern WsPeer *ws_peer_claim(WsPeerRole role, const char *name,
							 TimestampTz streaming_since);

/*
 * For a stream that found no free entry: is it time to try again?  Once in a
 * while; *tried_at is when that was last, and is set.
 */
extern bool ws_peer_may_claim_again(TimestampTz *tried_at);

/*
 * Give the entry back and add its counters to the totals.  Does nothing for
 * NULL or an entry that this process no longer holds.
 */
extern void ws_peer_release(WsPeer *peer);

/* Owner only; NULL is allowed. */
extern void ws_peer_set_mode(WsPeer *peer, WsPeerMode mode,
							 WsNoCodecReason reason, WsCodecSpec codec);
extern void ws_peer_set_position(WsPeer *peer, XLogRecPtr position);

/* Owner only: the block to count in, NULL for NULL. */
extern WsSharedCounters *ws_peer_counters(WsPeer *peer);

/*
 * Copy all entries in use into a palloc'd array.  Call with ws_shmem_lock()
 * held to see each stream either here or in the totals, never in both.
 */
extern int	ws_peer_snapshot(WsPeerSnapshot **result);

extern const char *ws_peer_role_name(WsPeerRole role);

/* Why a stream is plain, for a person; NULL if it is coded. */
extern const char *ws_peer_mode_reason(WsPeerMode mode, WsNoCodecReason reason);

#endif							/* WS_PEER_H */
