/*-------------------------------------------------------------------------
 *
 * xidfile.h
 *	  The file that keeps the next transaction id known from the stored WAL.
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

/* The file is always smaller than this. */
#define WS_XIDFILE_MAX_BYTES	128

/* The fields are as in WsXidScan; next_xid is never 0. */
typedef struct WsXidFile
{
	uint64		next_xid;
	TimeLineID	checkpoint_tli;
} WsXidFile;

/* Write the file's content into buf, which has WS_XIDFILE_MAX_BYTES. */
extern size_t ws_xidfile_format(const WsXidFile *file, char *buf);

/*
 * Parse the file's content: WS_E_TOO_LARGE, WS_E_MALFORMED, or WS_E_CHECK if
 * only the CRC is wrong.  Only text that ws_xidfile_format() would write is
 * accepted.
 */
extern WsStatus ws_xidfile_parse(const char *content, size_t len, WsXidFile *file);

#endif							/* WS_PURE_RELAY_XIDFILE_H */
