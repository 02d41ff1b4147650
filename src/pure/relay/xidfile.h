/*-------------------------------------------------------------------------
 *
 * xidfile.h
 *	  The file in which a store keeps how far transaction ids have come.
 *
 * Lines of text for a person to read, always in this order and with single
 * spaces; the last one holds the CRC-32C of all bytes before it:
 *
 *	walstream xids 1
 *	next_xid 4294968036
 *	checkpoint_timeline 1
 *	crc 0123abcd
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_XIDFILE_H
#define WS_PURE_RELAY_XIDFILE_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/status.h"

/* No file is as large as this. */
#define WS_XIDFILE_MAX_BYTES	128

/* As in WsXidScan; next_xid is known. */
typedef struct WsXidFile
{
	uint64		next_xid;
	TimeLineID	checkpoint_tli;
} WsXidFile;

/* Write the file's content into buf, which has WS_XIDFILE_MAX_BYTES. */
extern size_t ws_xidfile_format(const WsXidFile *file, char *buf);

/*
 * Read it back: WS_E_TOO_LARGE, WS_E_MALFORMED, or WS_E_CHECK if only the CRC
 * is wrong.  Nothing but what ws_xidfile_format() writes is accepted.
 */
extern WsStatus ws_xidfile_parse(const char *content, size_t len, WsXidFile *file);

#endif							/* WS_PURE_RELAY_XIDFILE_H */
