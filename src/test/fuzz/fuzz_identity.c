/*-------------------------------------------------------------------------
 *
 * fuzz_identity.c
 *	  Fuzz target: a store's identity file.
 *
 * First byte even: the rest is a file.  Odd: it is a file without its last
 * line, which is added, since no input would find the CRC by chance.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/codec/crc.h"
#include "pure/relay/identity.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	bool		add_crc = take_number(&input, 1) % 2 == 1;
	char	   *file = malloc(input.len + 32);
	char		again[WS_IDENTITY_MAX_BYTES];
	size_t		len = input.len;
	WsStoreIdentity identity = {0};

	REQUIRE(file != NULL);
	if (len > 0)
		memcpy(file, input.data, len);
	if (add_crc)
	{
		pg_crc32c	crc;

		INIT_CRC32C(crc);
		crc = ws_crc_add(crc, (const uint8 *) file, len);
		FIN_CRC32C(crc);
		len += snprintf(file + len, 32, "crc32c = %08x\n", crc);
	}
	file = realloc(file, len > 0 ? len : 1);
	REQUIRE(file != NULL);

	/* what is accepted is written again with the same bytes */
	if (ws_identity_parse(file, len, &identity) == WS_OK)
	{
		REQUIRE(ws_identity_is_sane(&identity));
		REQUIRE(ws_identity_format(&identity, again) == len);
		REQUIRE(memcmp(again, file, len) == 0);
	}
	free(file);
	return 0;
}
