/*-------------------------------------------------------------------------
 *
 * fuzz_namesfile.c
 *	  Fuzz target: the file with the primary's lists of synchronous standbys.
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
#include "pure/relay/namesfile.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *content, size_t len)
{
	static WsNamesFile file;
	static char again[WS_NAMESFILE_MAX_BYTES];
	size_t		again_len;

	if (ws_namesfile_parse(content, len, &file) != WS_OK)
		return;
	REQUIRE(file.count <= WS_NAMES_MAX_ENTRIES);
	for (int i = 0; i < file.count; i++)
		REQUIRE(strlen(file.entries[i].names) < WS_NAMES_SIZE);
	again_len = ws_namesfile_format(&file, again);
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
