/*-------------------------------------------------------------------------
 *
 * bytes.h
 *	  Reads and writes integers at any address: in the byte order of this
 *	  machine, as in WAL, and in network byte order, as in messages.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_BYTES_H
#define WS_PURE_BYTES_H

#include "port/pg_bswap.h"

static inline uint16
ws_bytes_get16(const uint8 *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32
ws_bytes_get32(const uint8 *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64
ws_bytes_get64(const uint8 *p)
{
	uint64		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
ws_bytes_put16(uint8 *p, uint16 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
ws_bytes_put32(uint8 *p, uint32 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
ws_bytes_put64(uint8 *p, uint64 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint16
ws_bytes_get_net16(const uint8 *p)
{
	return pg_ntoh16(ws_bytes_get16(p));
}

static inline uint32
ws_bytes_get_net32(const uint8 *p)
{
	return pg_ntoh32(ws_bytes_get32(p));
}

static inline uint64
ws_bytes_get_net64(const uint8 *p)
{
	return pg_ntoh64(ws_bytes_get64(p));
}

static inline void
ws_bytes_put_net16(uint8 *p, uint16 v)
{
	ws_bytes_put16(p, pg_hton16(v));
}

static inline void
ws_bytes_put_net32(uint8 *p, uint32 v)
{
	ws_bytes_put32(p, pg_hton32(v));
}

static inline void
ws_bytes_put_net64(uint8 *p, uint64 v)
{
	ws_bytes_put64(p, pg_hton64(v));
}

#endif							/* WS_PURE_BYTES_H */
