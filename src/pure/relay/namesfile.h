/*-------------------------------------------------------------------------
 *
 * namesfile.h
 *	  The file of a store that keeps the primary's lists of synchronous
 *	  standbys.
 *
 * Lines of text for a person to read; the last one holds the CRC-32C of all
 * bytes before it.  Each other line has the times, in microseconds since
 * 2000-01-01 UTC, at which the relay first and last saw a list, the timeline,
 * and the list:
 *
 *	walstream standby names 1
 *	seen 849373200000000 849373260000000 1 =
 *	seen 849373320000000 849376920000000 1 =ANY 1 (relay, standby)
 *	crc 0123abcd
 *
 * Bytes of a list that are not printable ASCII, and backslashes, are written as
 * \xNN.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_NAMESFILE_H
#define WS_PURE_RELAY_NAMESFILE_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/status.h"

/* How many lists are kept, the last ones. */
#define WS_NAMES_MAX_ENTRIES	16

/* Size of a list with the terminating zero; a longer one is not kept. */
#define WS_NAMES_SIZE			1024

/* The file is always smaller than this. */
#define WS_NAMESFILE_MAX_BYTES	(WS_NAMES_MAX_ENTRIES * (4 * WS_NAMES_SIZE + 96) + 64)

typedef struct WsNamesEntry
{
	int64		first_us;
	int64		last_us;
	TimeLineID	tli;
	char		names[WS_NAMES_SIZE];
} WsNamesEntry;

/* From the oldest to the newest; a list follows a different one. */
typedef struct WsNamesFile
{
	int			count;
	WsNamesEntry entries[WS_NAMES_MAX_ENTRIES];
} WsNamesFile;

/*
 * Note that a list was seen.  Returns true if it differs from the last entry
 * in list or timeline; otherwise only the time changes.  The caller must know
 * that it fits.
 */
extern bool ws_namesfile_add(WsNamesFile *file, int64 now_us, TimeLineID tli,
							 const char *names);

/* Write the file's content into buf, which has WS_NAMESFILE_MAX_BYTES. */
extern size_t ws_namesfile_format(const WsNamesFile *file, char *buf);

/*
 * Parse the file's content: WS_E_TOO_LARGE, WS_E_MALFORMED, or WS_E_CHECK if
 * only the CRC is wrong.  Only text that ws_namesfile_format() would write is
 * accepted.
 */
extern WsStatus ws_namesfile_parse(const char *content, size_t len, WsNamesFile *file);

#endif							/* WS_PURE_RELAY_NAMESFILE_H */
