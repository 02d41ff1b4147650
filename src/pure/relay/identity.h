/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  The identity of a store of WAL, and its file's format.
 *
 * The file is text, of exactly these lines in this order:
 *
 *		walstream store
 *		format_version = 2
 *		store_identifier = 1304598234502938457
 *		system_identifier = 7298348234987239847
 *		segment_size = 16777216
 *		block_size = 8192
 *		major_version = 15
 *		crc32c = 0123abcd
 *
 * Sizes are in bytes.  The last line holds, in hexadecimal, the CRC-32C of all
 * that is before it.  The first two lines stay as they are in later formats.
 * Format 1 has no store_identifier.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_IDENTITY_H
#define WS_PURE_RELAY_IDENTITY_H

#include "pure/status.h"

#define WS_IDENTITY_FORMAT		2

/* A larger file is refused. */
#define WS_IDENTITY_MAX_BYTES	256

/* What the identity file says: a store belongs to one cluster for ever. */
typedef struct WsStoreIdentity
{
	uint64		store_identifier;	/* random, of this store alone; 0: it is
									 * of format 1 */
	uint64		system_identifier;
	uint32		segment_size;	/* bytes */
	uint32		block_size;		/* of WAL, bytes */
	uint32		major_version;	/* of PostgreSQL, such as 15 */
} WsStoreIdentity;

/*
 * Could there be such a store?  Sizes are powers of two within PostgreSQL's
 * bounds, the other numbers not zero.
 */
extern bool ws_identity_is_sane(const WsStoreIdentity *identity);

/*
 * Write the file's content into buf of WS_IDENTITY_MAX_BYTES bytes, return its
 * length; a zero byte follows it.
 */
extern size_t ws_identity_format(const WsStoreIdentity *identity, char *buf);

/*
 * Parse it.  WS_E_TOO_LARGE; WS_E_UNEXPECTED for another format version;
 * WS_E_CHECK if the CRC does not match; WS_E_MALFORMED for anything else that
 * ws_identity_format() would not have written, which writes format 1 for a
 * store without an identifier.
 */
extern WsStatus ws_identity_parse(const char *content, size_t len,
								  WsStoreIdentity *identity);

#endif							/* WS_PURE_RELAY_IDENTITY_H */
