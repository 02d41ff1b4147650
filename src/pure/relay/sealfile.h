/*-------------------------------------------------------------------------
 *
 * sealfile.h
 *	  The file of a store whose relay is sealed.
 *
 * Lines of text for a person to read, always in this order and with single
 * spaces; the last one holds the CRC-32C of all bytes before it:
 *
 *	walstream seal 1
 *	timeline 3
 *	since 849373200000000
 *	token 00112233445566778899aabbccddeeff
 *	owner ffeeddccbbaa99887766554433221100
 *	crc 0123abcd
 *
 * Without an owner it says "owner none".
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_SEALFILE_H
#define WS_PURE_RELAY_SEALFILE_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/status.h"

/* The file is always smaller than this. */
#define WS_SEALFILE_MAX_BYTES	192

/* Hexadecimal digits of a token. */
#define WS_SEAL_TOKEN_LEN		32

typedef struct WsSealFile
{
	TimeLineID	tli;			/* nothing of this timeline or an earlier one
								 * is acknowledged; never 0 */
	int64		since_us;		/* since 2000-01-01 UTC, as a TimestampTz */
	char		token[WS_SEAL_TOKEN_LEN + 1];	/* token that removes the seal */
	char		owner[WS_SEAL_TOKEN_LEN + 1];	/* who must have begun a newer
												 * timeline; "": anybody */
} WsSealFile;

/* Write the file's content into buf, which has WS_SEALFILE_MAX_BYTES. */
extern size_t ws_sealfile_format(const WsSealFile *file, char *buf);

/*
 * Parse the file's content: WS_E_TOO_LARGE, WS_E_MALFORMED, or WS_E_CHECK if
 * only the CRC is wrong.  Only text that ws_sealfile_format() would write is
 * accepted.
 */
extern WsStatus ws_sealfile_parse(const char *content, size_t len, WsSealFile *file);

/* Write a token made of these bytes. */
extern void ws_seal_format_token(const uint8 bytes[WS_SEAL_TOKEN_LEN / 2],
								 char token[WS_SEAL_TOKEN_LEN + 1]);

#endif							/* WS_PURE_RELAY_SEALFILE_H */
