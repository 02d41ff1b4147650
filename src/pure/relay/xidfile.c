/*-------------------------------------------------------------------------
 *
 * xidfile.c
 *	  The file that keeps the next transaction id known from the stored WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/relay/xidfile.h"

/* Ids below this one are special, see transam.h. */
#define FIRST_NORMAL_XID	3

/* Write everything but the last line. */
static size_t
format_body(const WsXidFile *file, char *buf)
{
	return snprintf(buf, WS_XIDFILE_MAX_BYTES,
					"walstream xids 1\n"
					"next_xid %llu\n"
					"checkpoint_timeline %u\n",
					(unsigned long long) file->next_xid, file->checkpoint_tli);
}

size_t
ws_xidfile_format(const WsXidFile *file, char *buf)
{
	size_t		len = format_body(file, buf);
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + snprintf(buf + len, WS_XIDFILE_MAX_BYTES - len,
						  "crc %08x\n", crc);
}

/*
 * The scan is lenient, so write again what it has read and require the same
 * text.
 */
WsStatus
ws_xidfile_parse(const char *content, size_t len, WsXidFile *file)
{
	char		copy[WS_XIDFILE_MAX_BYTES + 1];
	char		again[WS_XIDFILE_MAX_BYTES];
	unsigned long long next_xid;
	size_t		body_len;

	if (len > WS_XIDFILE_MAX_BYTES)
		return WS_E_TOO_LARGE;
	memcpy(copy, content, len);
	copy[len] = '\0';

	memset(file, 0, sizeof(*file));
	if (sscanf(copy, "walstream xids 1 next_xid %llu checkpoint_timeline %u",
			   &next_xid, &file->checkpoint_tli) != 2)
		return WS_E_MALFORMED;
	file->next_xid = next_xid;
	if ((uint32) file->next_xid < FIRST_NORMAL_XID)
		return WS_E_MALFORMED;

	body_len = format_body(file, again);
	if (body_len > len || memcmp(again, content, body_len) != 0)
		return WS_E_MALFORMED;
	if (ws_xidfile_format(file, again) != len ||
		memcmp(again, content, len) != 0)
		return WS_E_CHECK;
	return WS_OK;
}
