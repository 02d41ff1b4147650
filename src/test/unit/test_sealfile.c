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

static const WsSealFile usual = {
	.tli = 3,
	.since_us = INT64CONST(849373200000000),
	.token = "00112233445566778899aabbccddeeff",
	.owner = "ffeeddccbbaa99887766554433221100"
};

/* Written by hand, not by the code under test. */
static const char usual_text[] =
"walstream seal 1\n"
"timeline 3\n"
"since 849373200000000\n"
"token 00112233445566778899aabbccddeeff\n"
"owner ffeeddccbbaa99887766554433221100\n"
"crc ";

static bool
same_file(const WsSealFile *a, const WsSealFile *b)
{
	return a->tli == b->tli && a->since_us == b->since_us &&
		strcmp(a->token, b->token) == 0 && strcmp(a->owner, b->owner) == 0;
}

/*
 * Parse from memory of exactly len bytes, so that reading beyond it is
 * noticed.
 */
static WsStatus
parse(const char *content, size_t len, WsSealFile *file)
{
	char	   *copy = malloc(len + (len == 0));
	WsStatus	status;

	if (copy == NULL)
		abort();
	memcpy(copy, content, len);
	status = ws_sealfile_parse(copy, len, file);
	free(copy);
	return status;
}

static void
test_roundtrip(const WsSealFile *file, const char *what)
{
	char		content[WS_SEALFILE_MAX_BYTES];
	size_t		len = ws_sealfile_format(file, content);
	WsSealFile	again;

	ok(len < WS_SEALFILE_MAX_BYTES, "%s: fits", what);
	is(parse(content, len, &again), WS_OK, "%s: is read", what);
	ok(same_file(file, &again), "%s: and is the same", what);
}

/* Every flipped bit, and every missing or additional byte, is noticed. */
static void
test_damage(void)
{
	char		content[WS_SEALFILE_MAX_BYTES + 1];
	size_t		len = ws_sealfile_format(&usual, content);
	int			accepted = 0;
	WsSealFile	file;

	for (size_t i = 0; i < len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			content[i] ^= 1 << bit;
			accepted += parse(content, len, &file) == WS_OK;
			content[i] ^= 1 << bit;
		}
	}
	is(accepted, 0, "no flipped bit is accepted");

	for (size_t i = 0; i < len; i++)
		accepted += parse(content, i, &file) == WS_OK;
	is(accepted, 0, "no shorter file is accepted");

	content[len] = '\n';
	is(parse(content, len + 1, &file), WS_E_CHECK, "nor one with a byte more");

	content[len - 2] ^= 1;
	is(parse(content, len, &file), WS_E_CHECK, "a wrong CRC alone is told as such");
}

/* Content that is refused although its CRC is right. */
static void
test_unsound(void)
{
	WsSealFile	file = usual;
	WsSealFile	again;
	char		content[WS_SEALFILE_MAX_BYTES + 1];

	file.tli = 0;
	is(parse(content, ws_sealfile_format(&file, content), &again), WS_E_MALFORMED,
	   "no timeline");
	file = usual;
	file.token[31] = '\0';
	is(parse(content, ws_sealfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a short token");
	file = usual;
	file.token[7] = 'A';
	is(parse(content, ws_sealfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a token with another character");
	file = usual;
	file.owner[31] = '\0';
	is(parse(content, ws_sealfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a short owner");
	file = usual;
	file.owner[7] = 'A';
	is(parse(content, ws_sealfile_format(&file, content), &again), WS_E_MALFORMED,
	   "an owner with another character");

	(void) ws_sealfile_format(&usual, content);
	content[strlen("walstream seal ")] = '2';
	is(parse(content, strlen(usual_text) + 9, &again), WS_E_MALFORMED,
	   "a later version");
	memset(content, ' ', sizeof(content));
	is(parse(content, WS_SEALFILE_MAX_BYTES, &again), WS_E_MALFORMED, "spaces");
	is(parse("", 0, &again), WS_E_MALFORMED, "nothing");
	is(parse(content, sizeof(content), &again), WS_E_TOO_LARGE, "too large");
}

static void
test_token(void)
{
	uint8		bytes[WS_SEAL_TOKEN_LEN / 2];
	char		token[WS_SEAL_TOKEN_LEN + 1];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 0x11;
	ws_seal_format_token(bytes, token);
	ok(strcmp(token, "00112233445566778899aabbccddeeff") == 0, "bytes as a token");
}

int
main(void)
{
	WsSealFile	full = {.tli = PG_UINT32_MAX,.since_us = PG_INT64_MAX};
	WsSealFile	early = usual;
	WsSealFile	unowned = usual;
	char		content[WS_SEALFILE_MAX_BYTES];

	memset(full.token, 'f', WS_SEAL_TOKEN_LEN);
	memset(full.owner, 'f', WS_SEAL_TOKEN_LEN);
	early.since_us = PG_INT64_MIN;
	unowned.owner[0] = '\0';
	test_roundtrip(&usual, "usual");
	test_roundtrip(&full, "full");
	test_roundtrip(&early, "early");
	test_roundtrip(&unowned, "without an owner");

	ok(ws_sealfile_format(&usual, content) == strlen(usual_text) + 9 &&
	   memcmp(content, usual_text, strlen(usual_text)) == 0,
	   "the text is as documented");

	test_damage();
	test_unsound();
	test_token();
	return done_testing();
}
