/*-------------------------------------------------------------------------
 *
 * fuzz_namesfile.c
 *	  Fuzz target: the file with the primary's lists of synchronous standbys.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz_text.h"
#include "pure/relay/namesfile.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *text, size_t len)
{
	static WsNamesFile file;
	static char again[WS_NAMESFILE_MAX_BYTES];
	size_t		again_len;

	if (ws_namesfile_parse(text, len, &file) != WS_OK)
		return;
	REQUIRE(file.count <= WS_NAMES_MAX_ENTRIES);
	for (int i = 0; i < file.count; i++)
		REQUIRE(strlen(file.entries[i].names) < WS_NAMES_SIZE);
	again_len = ws_namesfile_format(&file, again);
	REQUIRE(again_len == len && memcmp(again, text, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text_file(data, size, "crc ", try_file);
	return 0;
}
