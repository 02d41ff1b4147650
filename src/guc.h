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

#include "pure/accept.h"

/* zstd's level where walstream.compression names none */
#define WS_ZSTD_DEFAULT_LEVEL	1

/* In _PG_init: define every setting. */
extern void ws_guc_init(void);

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

#endif							/* WS_GUC_H */
