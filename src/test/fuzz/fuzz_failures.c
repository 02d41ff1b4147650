/*-------------------------------------------------------------------------
 *
 * fuzz_failures.c
 *	  Fuzz target: the file that keeps the failures of streams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz_text.h"
#include "pure/failures.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *text, size_t len)
{
	WsStreamFailures streams[WS_FAILURES_MAX_STREAMS];
	char		again[WS_FAILURES_MAX_BYTES];
	int			count;
	size_t		again_len;

	if (ws_failures_parse(text, len, streams, &count) != WS_OK)
		return;
	REQUIRE(count >= 0 && count <= WS_FAILURES_MAX_STREAMS);
	for (int i = 0; i < count; i++)
		REQUIRE(streams[i].failures.count >= 1 &&
				streams[i].failures.count <= WS_FAILURES_SUSPEND);
	again_len = ws_failures_format(streams, count, again);
	REQUIRE(again_len == len && memcmp(again, text, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text_file(data, size, "crc ", try_file);
	return 0;
}
