/*-------------------------------------------------------------------------
 *
 * crc.h
 *	  CRC-32C of long runs of bytes.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_CRC_H
#define WS_PURE_CODEC_CRC_H

#include "port/pg_crc32c.h"

/* Same result as COMP_CRC32C, computed faster. */
extern pg_crc32c ws_crc_add(pg_crc32c crc, const uint8 *bytes, size_t len);

#endif							/* WS_PURE_CODEC_CRC_H */
