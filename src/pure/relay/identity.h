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

/* Most bytes of the file; a larger one is refused. */
#define WS_IDENTITY_MAX_BYTES	256

/* Content of the identity file.  A store belongs to one cluster for ever. */
typedef struct WsStoreIdentity
{
	uint64		store_identifier;	/* random, unique to this store; 0 in a
									 * store of format 1 */
	uint64		system_identifier;
	uint32		segment_size;	/* bytes */
	uint32		block_size;		/* WAL block size in bytes */
	uint32		major_version;	/* PostgreSQL's, such as 15 */
} WsStoreIdentity;

/*
 * Returns true if such a store can exist: the sizes are powers of two within
 * PostgreSQL's bounds, and the other numbers are not zero.
 */
extern bool ws_identity_is_sane(const WsStoreIdentity *identity);

/*
 * Write the file's content and a zero byte into buf, which has
 * WS_IDENTITY_MAX_BYTES bytes.  Returns the length without the zero byte.
 */
extern size_t ws_identity_format(const WsStoreIdentity *identity, char *buf);

/*
 * Parse the file's content.  WS_E_TOO_LARGE for a file that is too large;
 * WS_E_UNEXPECTED for another format version; WS_E_CHECK if the CRC does not
 * match; WS_E_MALFORMED for anything else that ws_identity_format() would not
 * have written.  That function writes format 1 for a store without an
 * identifier.
 */
extern WsStatus ws_identity_parse(const char *content, size_t len,
								  WsStoreIdentity *identity);

#endif							/* WS_PURE_RELAY_IDENTITY_H */
