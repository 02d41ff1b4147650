/*-------------------------------------------------------------------------
 *
 * test_sealfile.c
 *	  The file of a relay's seal: written, read back, and damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/sealfile.h"
#include "tap.h"
#include "textfile.h"

static WsSealFile parsed;

static size_t
format(const void *file, char *buf)
{
	return ws_sealfile_format(file, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_sealfile_parse(text, len, &parsed);
}

static bool
was_parsed(const void *file)
{
	const WsSealFile *a = file;

	return a->tli == parsed.tli && a->since_us == parsed.since_us &&
		strcmp(a->token, parsed.token) == 0 && strcmp(a->owner, parsed.owner) == 0;
}

static const TextFile type = {
	"crc ", WS_SEALFILE_MAX_BYTES, WS_E_CHECK, format, parse, was_parsed
};

#define TOKEN "00112233445566778899aabbccddeeff"
#define OWNER "ffeeddccbbaa99887766554433221100"

static const WsSealFile usual = {
	.tli = 3,
	.since_us = INT64CONST(849373200000000),
	.token = TOKEN,
	.owner = OWNER
};

/* A file like the usual one; written by hand, not by the code under test. */
#define FILE_WITH(version, tli, token, owner) \
	"walstream seal " version "\ntimeline " tli "\nsince 849373200000000\n" \
	"token " token "\nowner " owner "\n"

static const struct
{
	const char *text;
	WsStatus	status;
	const char *what;
}			texts[] = {
	{FILE_WITH("1", "3", TOKEN, OWNER), WS_OK, "a file"},
	{FILE_WITH("1", "0", TOKEN, OWNER), WS_E_MALFORMED, "no timeline"},
	{FILE_WITH("1", "3", "00112233445566778899aabbccddeef", OWNER), WS_E_MALFORMED,
	"a short token"},
	{FILE_WITH("1", "3", "0011223A445566778899aabbccddeeff", OWNER), WS_E_MALFORMED,
	"a token with another character"},
	{FILE_WITH("1", "3", TOKEN, "ffeeddccbbaa9988776655443322110"), WS_E_MALFORMED,
	"a short owner"},
	{FILE_WITH("1", "3", TOKEN, "ffeeddcAbbaa99887766554433221100"), WS_E_MALFORMED,
	"an owner with another character"},
	{FILE_WITH("2", "3", TOKEN, OWNER), WS_E_MALFORMED, "a later version"}
};

static void
test_token(void)
{
	uint8		bytes[WS_SEAL_TOKEN_LEN / 2];
	char		token[WS_SEAL_TOKEN_LEN + 1];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 0x11;
	ws_seal_format_token(bytes, token);
	is_str(token, TOKEN, "bytes as a token");
}

int
main(void)
{
	WsSealFile	full = {.tli = PG_UINT32_MAX,.since_us = PG_INT64_MAX};
	WsSealFile	early = usual;
	WsSealFile	unowned = usual;

	memset(full.token, 'f', WS_SEAL_TOKEN_LEN);
	memset(full.owner, 'f', WS_SEAL_TOKEN_LEN);
	early.since_us = PG_INT64_MIN;
	unowned.owner[0] = '\0';
	test_roundtrip(&type, &usual, "usual");
	test_roundtrip(&type, &full, "full");
	test_roundtrip(&type, &early, "early");
	test_roundtrip(&type, &unowned, "without an owner");
	test_text(&type, &usual, texts[0].text, "the text is as documented");
	test_damage(&type, &usual);
	for (size_t i = 0; i < lengthof(texts); i++)
		test_parse(&type, texts[i].text, texts[i].status, texts[i].what);
	test_token();
	return done_testing();
}
