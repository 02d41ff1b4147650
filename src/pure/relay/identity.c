/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  The text of a store's identity file.
 *
 * The parser is lenient.  What it has found is then written again and must
 * give the same bytes, so each identity has exactly one text.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <inttypes.h>

#include "pure/codec/crc.h"
#include "pure/relay/identity.h"
#include "pure/segment.h"

#define FIRST_LINE		"walstream store\n"
#define VERSION_LINE	"format_version = "

bool
ws_identity_is_sane(const WsStoreIdentity *identity)
{
	return identity->system_identifier != 0 &&
		ws_segment_sizes_valid(identity->block_size, identity->segment_size) &&
		identity->major_version > 0;
}

size_t
ws_identity_format(const WsStoreIdentity *identity, char *buf)
{
	pg_crc32c	crc;
	size_t		len;

	len = snprintf(buf, WS_IDENTITY_MAX_BYTES, FIRST_LINE VERSION_LINE "%d\n",
				   identity->store_identifier != 0 ? WS_IDENTITY_FORMAT : 1);
	if (identity->store_identifier != 0)
		len += snprintf(buf + len, WS_IDENTITY_MAX_BYTES - len,
						"store_identifier = %" PRIu64 "\n",
						(uint64_t) identity->store_identifier);
	len += snprintf(buf + len, WS_IDENTITY_MAX_BYTES - len,
					"system_identifier = %" PRIu64 "\n"
					"segment_size = %" PRIu32 "\n"
					"block_size = %" PRIu32 "\n"
					"major_version = %" PRIu32 "\n",
					(uint64_t) identity->system_identifier,
					identity->segment_size, identity->block_size,
					identity->major_version);

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + snprintf(buf + len, WS_IDENTITY_MAX_BYTES - len,
						  "crc32c = %08" PRIx32 "\n", crc);
}

/* Step over this text.  Returns false if it does not come next. */
static bool
skip_text(const char **next, const char *text)
{
	size_t		len = strlen(text);

	if (strncmp(*next, text, len) != 0)
		return false;
	*next += len;
	return true;
}

/* Step over a line with this name and a number. */
static bool
take_number(const char **next, const char *name, uint64 max, uint64 *number)
{
	uint64		value = 0;
	const char *first;

	if (!skip_text(next, name) || !skip_text(next, " = "))
		return false;
	for (first = *next; **next >= '0' && **next <= '9'; (*next)++)
	{
		int			digit = **next - '0';

		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return *next > first && skip_text(next, "\n");
}

WsStatus
ws_identity_parse(const char *content, size_t len, WsStoreIdentity *identity)
{
	char		copy[WS_IDENTITY_MAX_BYTES];
	char		again[WS_IDENTITY_MAX_BYTES];
	const char *next = copy;
	uint64		version;
	uint64		segment_size;
	uint64		block_size;
	uint64		major_version;

	if (len >= WS_IDENTITY_MAX_BYTES)
		return WS_E_TOO_LARGE;
	memcpy(copy, content, len);
	copy[len] = '\0';

	if (!skip_text(&next, FIRST_LINE) ||
		!take_number(&next, "format_version", PG_INT32_MAX, &version))
		return WS_E_MALFORMED;
	if (version != 1 && version != WS_IDENTITY_FORMAT)
		return WS_E_UNEXPECTED;

	/* an identifier of 0 would be written as format 1 */
	identity->store_identifier = 0;
	if (version != 1 &&
		!take_number(&next, "store_identifier", PG_UINT64_MAX,
					 &identity->store_identifier))
		return WS_E_MALFORMED;
	if (!take_number(&next, "system_identifier", PG_UINT64_MAX,
					 &identity->system_identifier) ||
		!take_number(&next, "segment_size", PG_UINT32_MAX, &segment_size) ||
		!take_number(&next, "block_size", PG_UINT32_MAX, &block_size) ||
		!take_number(&next, "major_version", PG_UINT32_MAX, &major_version))
		return WS_E_MALFORMED;
	identity->segment_size = (uint32) segment_size;
	identity->block_size = (uint32) block_size;
	identity->major_version = (uint32) major_version;

	/* everything but the value of the CRC must be as we would write it */
	if (ws_identity_format(identity, again) != len ||
		memcmp(copy, again, next - copy) != 0 ||
		strncmp(next, "crc32c = ", strlen("crc32c = ")) != 0 ||
		copy[len - 1] != '\n')
		return WS_E_MALFORMED;
	if (memcmp(copy, again, len) != 0)
		return WS_E_CHECK;
	return ws_identity_is_sane(identity) ? WS_OK : WS_E_MALFORMED;
}
