/*-------------------------------------------------------------------------
 *
 * fuzz_sealfile.c
 *	  Fuzz target: the file of a relay's seal.
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
#include "pure/relay/sealfile.h"

/* What is accepted is written again with the same bytes. */
static void
try_file(const char *content, size_t len)
{
	WsSealFile	file;
	char		again[WS_SEALFILE_MAX_BYTES];
	size_t		again_len;

	if (ws_sealfile_parse(content, len, &file) != WS_OK)
		return;
	REQUIRE(file.tli != 0);
	REQUIRE(strlen(file.token) == WS_SEAL_TOKEN_LEN);
	REQUIRE(file.owner[0] == '\0' || strlen(file.owner) == WS_SEAL_TOKEN_LEN);
	again_len = ws_sealfile_format(&file, again);
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
