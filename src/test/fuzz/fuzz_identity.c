/*-------------------------------------------------------------------------
 *
 * fuzz_identity.c
 *	  Fuzz target: a store's identity file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz_text.h"
#include "pure/relay/identity.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *text, size_t len)
{
	WsStoreIdentity identity = {0};
	char		again[WS_IDENTITY_MAX_BYTES];

	if (ws_identity_parse(text, len, &identity) != WS_OK)
		return;
	REQUIRE(ws_identity_is_sane(&identity));
	REQUIRE(ws_identity_format(&identity, again) == len);
	REQUIRE(memcmp(again, text, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text_file(data, size, "crc32c = ", try_file);
	return 0;
}
