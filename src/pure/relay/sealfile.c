/*-------------------------------------------------------------------------
 *
 * sealfile.c
 *	  The file of a store whose relay is sealed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/relay/sealfile.h"

#define TOKEN_CHARACTERS "0123456789abcdef"
#define NO_OWNER "none"

/* Write everything but the last line. */
static size_t
format_body(const WsSealFile *file, char *buf)
{
	return snprintf(buf, WS_SEALFILE_MAX_BYTES,
					"walstream seal 1\n"
					"timeline %u\n"
					"since %lld\n"
					"token %s\n"
					"owner %s\n",
					file->tli, (long long) file->since_us, file->token,
					file->owner[0] != '\0' ? file->owner : NO_OWNER);
}

size_t
ws_sealfile_format(const WsSealFile *file, char *buf)
{
	size_t		len = format_body(file, buf);
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + snprintf(buf + len, WS_SEALFILE_MAX_BYTES - len,
						  "crc %08x\n", crc);
}

static bool
is_token(const char *text)
{
	return strlen(text) == WS_SEAL_TOKEN_LEN &&
		strspn(text, TOKEN_CHARACTERS) == WS_SEAL_TOKEN_LEN;
}

/*
 * The scan is lenient, so write again what it has read and require the same
 * text.
 */
WsStatus
ws_sealfile_parse(const char *content, size_t len, WsSealFile *file)
{
	char		copy[WS_SEALFILE_MAX_BYTES + 1];
	char		again[WS_SEALFILE_MAX_BYTES];
	long long	since_us;
	size_t		body_len;

	if (len > WS_SEALFILE_MAX_BYTES)
		return WS_E_TOO_LARGE;
	memcpy(copy, content, len);
	copy[len] = '\0';

	memset(file, 0, sizeof(*file));
	if (sscanf(copy, "walstream seal 1 timeline %u since %lld token %32s owner %32s",
			   &file->tli, &since_us, file->token, file->owner) != 4)
		return WS_E_MALFORMED;
	file->since_us = since_us;
	if (strcmp(file->owner, NO_OWNER) == 0)
		file->owner[0] = '\0';
	if (file->tli == 0 || !is_token(file->token) ||
		(file->owner[0] != '\0' && !is_token(file->owner)))
		return WS_E_MALFORMED;

	body_len = format_body(file, again);
	if (body_len > len || memcmp(again, content, body_len) != 0)
		return WS_E_MALFORMED;
	if (ws_sealfile_format(file, again) != len ||
		memcmp(again, content, len) != 0)
		return WS_E_CHECK;
	return WS_OK;
}

void
ws_seal_format_token(const uint8 bytes[WS_SEAL_TOKEN_LEN / 2],
					 char token[WS_SEAL_TOKEN_LEN + 1])
{
	for (int i = 0; i < WS_SEAL_TOKEN_LEN / 2; i++)
	{
		token[2 * i] = TOKEN_CHARACTERS[bytes[i] >> 4];
		token[2 * i + 1] = TOKEN_CHARACTERS[bytes[i] & 15];
	}
	token[WS_SEAL_TOKEN_LEN] = '\0';
}
