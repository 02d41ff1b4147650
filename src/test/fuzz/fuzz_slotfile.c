/*-------------------------------------------------------------------------
 *
 * fuzz_slotfile.c
 *	  Fuzz target: the file of a relay slot.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz_text.h"
#include "pure/relay/slotfile.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *text, size_t len)
{
	WsSlotFile	file;
	char		again[WS_SLOTFILE_MAX_BYTES];
	size_t		again_len;

	if (ws_slotfile_parse(text, len, &file) != WS_OK)
		return;
	REQUIRE(strlen(file.name) > 0 && strlen(file.name) < NAMEDATALEN);
	REQUIRE((file.restart_tli == 0) == (file.restart_lsn == 0));
	again_len = ws_slotfile_format(&file, again);
	REQUIRE(again_len == len && memcmp(again, text, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text_file(data, size, "crc ", try_file);
	return 0;
}
