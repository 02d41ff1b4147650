/*-------------------------------------------------------------------------
 *
 * slotfile.c
 *	  The file of a relay slot.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/relay/slotfile.h"

/* Characters allowed in a slot's name, as in ReplicationSlotValidateName(). */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

/* Write everything but the last line. */
static size_t
format_body(const WsSlotFile *file, char *buf)
{
	return snprintf(buf, WS_SLOTFILE_MAX_BYTES,
					"walstream slot %d\n"
					"name %s\n"
					"timeline %u\n"
					"restart_lsn %X/%X\n"
					"xmin %llu\n"
					"catalog_xmin %llu\n"
					"lost %s\n",
					file->xmins_checked ? 2 : 1, file->name, file->restart_tli,
					LSN_FORMAT_ARGS(file->restart_lsn),
					(unsigned long long) file->xmin,
					(unsigned long long) file->catalog_xmin,
					file->lost ? "yes" : "no");
}

size_t
ws_slotfile_format(const WsSlotFile *file, char *buf)
{
	size_t		len = format_body(file, buf);
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + snprintf(buf + len, WS_SLOTFILE_MAX_BYTES - len,
						  "crc %08x\n", crc);
}

static bool
is_sound(const WsSlotFile *file)
{
	return strspn(file->name, NAME_CHARACTERS) == strlen(file->name) &&
		(file->restart_tli == 0) == XLogRecPtrIsInvalid(file->restart_lsn);
}

/*
 * The scan below accepts white space, signs, leading zeros and numbers that
 * are too large.  So write again what it has read and require the same text.
 */
WsStatus
ws_slotfile_parse(const char *content, size_t len, WsSlotFile *file)
{
	char		copy[WS_SLOTFILE_MAX_BYTES + 1];
	char		again[WS_SLOTFILE_MAX_BYTES];
	uint32		lsn_high;
	uint32		lsn_low;
	int			version;
	unsigned long long xmin;
	unsigned long long catalog_xmin;
	char		lost[4];
	size_t		body_len;

	if (len > WS_SLOTFILE_MAX_BYTES)
		return WS_E_TOO_LARGE;
	memcpy(copy, content, len);
	copy[len] = '\0';

	memset(file, 0, sizeof(*file));
	if (sscanf(copy,
			   "walstream slot %d name %63s timeline %u restart_lsn %X/%X"
			   " xmin %llu catalog_xmin %llu lost %3s",
			   &version, file->name, &file->restart_tli, &lsn_high, &lsn_low,
			   &xmin, &catalog_xmin, lost) != 8)
		return WS_E_MALFORMED;
	file->restart_lsn = ((uint64) lsn_high << 32) | lsn_low;
	file->xmins_checked = version == 2;
	file->xmin = xmin;
	file->catalog_xmin = catalog_xmin;
	file->lost = strcmp(lost, "yes") == 0;
	if (!is_sound(file))
		return WS_E_MALFORMED;

	body_len = format_body(file, again);
	if (body_len > len || memcmp(again, content, body_len) != 0)
		return WS_E_MALFORMED;
	if (ws_slotfile_format(file, again) != len ||
		memcmp(again, content, len) != 0)
		return WS_E_CHECK;
	return WS_OK;
}
