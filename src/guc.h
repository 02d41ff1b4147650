/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings, as plain values for the rest of the module.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_GUC_H
#define WS_GUC_H

#include "pure/wire/accept.h"

/* walstream.relay_compress: how the relay keeps closed segments */
typedef enum WsRelayCompress
{
	WS_RELAY_COMPRESS_OFF,
	WS_RELAY_COMPRESS_LZ4,
	WS_RELAY_COMPRESS_ZSTD
} WsRelayCompress;

/* The relay's settings.  The strings belong to the settings. */
typedef struct WsRelaySettings
{
	bool		enabled;
	const char *directory;
	const char *upstream;		/* a conninfo, "" for none; must never be
								 * shown */
	const char *slot;			/* slot on the upstream, "" for none */
	bool		in_hot_standby; /* value that replication clients are told */
	int			keep_size_mb;
	int			keep_age_s;
	int			max_slot_keep_size_mb;	/* -1 means no limit */
	WsRelayCompress compress;
	int			names_interval_s;	/* 0 means only with a connection */
} WsRelaySettings;

/* In _PG_init: define every setting. */
extern void ws_guc_init(void);

/*
 * In a process of the relay: read the configuration again, if a signal has asked
 * for it.  Returns whether it did.
 */
extern bool ws_guc_reload(void);

/* In guc_network.c, guc_relay.c and guc_drain.c: their parts of that. */
extern void ws_guc_init_network(void);
extern void ws_guc_init_relay(void);
extern void ws_guc_init_drain(void);

/* Returns walstream.compression, as of the last reload. */
extern const WsCompression *ws_guc_compression(void);

/*
 * Returns a number that rises with each change of walstream.compression in
 * this process, so that a stream notices a change with one comparison.
 */
extern uint32 ws_guc_compression_generation(void);

/* Returns a hash of the value of walstream.compression. */
extern uint32 ws_guc_compression_hash(void);

/*
 * Returns walstream.accept as the client sent it in its startup packet.  A
 * value from anywhere else, such as ALTER ROLE, asks for nothing.
 */
extern const WsAccept *ws_guc_accept(void);

/*
 * Returns what walstream.rate_limit says of streams to an application_name, in
 * bytes per second, 0 for no limit; and whether it holds for synchronous ones.
 */
extern int64 ws_guc_rate_limit(const char *name, bool *sync_too);

/*
 * Returns walstream.tcp_congestion_control, "" for the system's; valid until
 * the next reload.
 */
extern const char *ws_guc_tcp_congestion_control(void);

/* Returns a number that rises whenever a setting in guc_network.c is set. */
extern uint32 ws_guc_network_generation(void);

/*
 * Returns the relay's settings as of the last reload; valid until the next
 * one.
 */
extern const WsRelaySettings *ws_guc_relay(void);

/* walstream.drain_sources, likewise; may hold passwords: never to be shown. */
extern const char *ws_guc_drain_sources(void);

#endif							/* WS_GUC_H */
