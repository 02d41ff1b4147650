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

/* zstd's level where walstream.compression names none */
#define WS_ZSTD_DEFAULT_LEVEL	1

/* walstream.relay_compress: how the relay keeps closed segments */
typedef enum WsRelayCompress
{
	WS_RELAY_COMPRESS_OFF,
	WS_RELAY_COMPRESS_LZ4,
	WS_RELAY_COMPRESS_ZSTD
} WsRelayCompress;

/* The settings walstream.relay...; the strings are the settings' own. */
typedef struct WsRelaySettings
{
	bool		enabled;
	const char *directory;
	const char *upstream;		/* a conninfo; "" for none.  Never to be shown */
	const char *slot;			/* on the upstream; "" for none */
	bool		in_hot_standby; /* what replication clients are told */
	int			keep_size_mb;
	int			keep_age_s;
	int			max_slot_keep_size_mb;	/* -1: no limit */
	WsRelayCompress compress;
} WsRelaySettings;

/* In _PG_init: define every setting. */
extern void ws_guc_init(void);

/* guc_relay.c's part of it. */
extern void ws_guc_init_relay(void);

/* walstream.compression, as of the last reload. */
extern const WsCompression *ws_guc_compression(void);

/*
 * Rises with each change of walstream.compression in this process, so that a
 * stream can see with one comparison that there is something to do.
 */
extern uint32 ws_guc_compression_generation(void);

/* A number that is the same for equal values of walstream.compression. */
extern uint32 ws_guc_compression_hash(void);

/*
 * walstream.accept as this connection's client sent it in its startup
 * packet.  A value from anywhere else, such as ALTER ROLE, asks for nothing.
 */
extern const WsAccept *ws_guc_accept(void);

/* The relay's settings, as of the last reload; good until the next. */
extern const WsRelaySettings *ws_guc_relay(void);

#endif							/* WS_GUC_H */
