/*-------------------------------------------------------------------------
 *
 * slotfile.h
 *	  The file of a relay slot.
 *
 * Lines of text for a person to read, always in this order and with single
 * spaces; the last one holds the CRC-32C of all bytes before it:
 *
 *	walstream slot 2
 *	name standby_a
 *	timeline 1
 *	restart_lsn 0/3000000
 *	xmin 0
 *	catalog_xmin 0
 *	lost no
 *	crc 0123abcd
 *
 * In version 1 the xmins are whatever the downstream has sent.  In version 2
 * they have been checked: the WAL that was stored when the file was written
 * had reached them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_SLOTFILE_H
#define WS_PURE_RELAY_SLOTFILE_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/status.h"

/* The file is always smaller than this. */
#define WS_SLOTFILE_MAX_BYTES	512

typedef struct WsSlotFile
{
	char		name[NAMEDATALEN];
	TimeLineID	restart_tli;	/* 0, with restart_lsn 0/0: no position */
	XLogRecPtr	restart_lsn;
	bool		xmins_checked;	/* version 2 */
	uint64		xmin;			/* with epoch; 0: none */
	uint64		catalog_xmin;
	bool		lost;
} WsSlotFile;

/* Write the file's content into buf, which has WS_SLOTFILE_MAX_BYTES. */
extern size_t ws_slotfile_format(const WsSlotFile *file, char *buf);

/*
 * Parse the file's content: WS_E_TOO_LARGE, WS_E_MALFORMED, or WS_E_CHECK if
 * only the CRC is wrong.  Only text that ws_slotfile_format() would write is
 * accepted.
 */
extern WsStatus ws_slotfile_parse(const char *content, size_t len, WsSlotFile *file);

#endif							/* WS_PURE_RELAY_SLOTFILE_H */
