/*-------------------------------------------------------------------------
 *
 * fuzz_failures.c
 *	  Fuzz target: the file that keeps the failures of streams.
 *
 * First byte: odd if the last line, the CRC, has to be appended to the rest of
 * the input; no input would find it by chance.  What is accepted is written
 * again with the same bytes.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/codec/crc.h"
#include "pure/failures.h"

static void
try_file(const char *content, size_t len)
{
	WsStreamFailures streams[WS_FAILURES_MAX_STREAMS];
	char		again[WS_FAILURES_MAX_BYTES];
	int			count;
	size_t		again_len;

	if (ws_failures_parse(content, len, streams, &count) != WS_OK)
		return;
	REQUIRE(count >= 0 && count <= WS_FAILURES_MAX_STREAMS);
	for (int i = 0; i < count; i++)
		REQUIRE(streams[i].failures.count >= 1 &&
				streams[i].failures.count <= WS_FAILURES_SUSPEND);
	again_len = ws_failures_format(streams, count, again);
	REQUIRE(again_len == len && memcmp(again, content, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	bool		add_crc = take_number(&input, 1) % 2 == 1;
	pg_crc32c	crc;
	char	   *content = malloc(input.len + 16);
	size_t		len = input.len;

	REQUIRE(content != NULL);
	if (len > 0)
		memcpy(content, input.data, len);
	if (add_crc)
	{
		INIT_CRC32C(crc);
		crc = ws_crc_add(crc, (const uint8 *) content, len);
		FIN_CRC32C(crc);
		len += sprintf(content + len, "crc %08x\n", crc);
	}
	content = realloc(content, len + (len == 0));
	REQUIRE(content != NULL);
	try_file(content, len);
	free(content);
	return 0;
}
