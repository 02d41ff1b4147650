/*-------------------------------------------------------------------------
 *
 * fuzz_sealfile.c
 *	  Fuzz target: the file of a relay's seal.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz_text.h"
#include "pure/relay/sealfile.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *text, size_t len)
{
	WsSealFile	file;
	char		again[WS_SEALFILE_MAX_BYTES];
	size_t		again_len;

	if (ws_sealfile_parse(text, len, &file) != WS_OK)
		return;
	REQUIRE(file.tli != 0);
	REQUIRE(strlen(file.token) == WS_SEAL_TOKEN_LEN);
	REQUIRE(file.owner[0] == '\0' || strlen(file.owner) == WS_SEAL_TOKEN_LEN);
	again_len = ws_sealfile_format(&file, again);
	REQUIRE(again_len == len && memcmp(again, text, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text_file(data, size, "crc ", try_file);
	return 0;
}
