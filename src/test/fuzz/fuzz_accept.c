/*-------------------------------------------------------------------------
 *
 * fuzz_accept.c
 *	  Fuzz target: what a peer sends to negotiate.
 *
 * First byte even: the rest is a value of walstream.accept.  Odd: it is a
 * hello.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/wire/accept.h"

/* Every parsed value is valid, and can be written again as a request. */
static void
try_value(const char *value)
{
	WsCompression compression = {0};
	WsAccept	accept = ws_accept_parse(value);
	WsAccept	again;
	WsCodecSpec chosen;
	char		buf[WS_ACCEPT_MAX_SIZE];

	REQUIRE(accept.version >= 0);
	REQUIRE(accept.count >= 0 && accept.count <= WS_MAX_CODECS);
	REQUIRE(accept.version > 0 || accept.count == 0);
	for (int i = 0; i < accept.count; i++)
	{
		REQUIRE(ws_codec_by_id(accept.codecs[i]) != NULL);
		for (int j = 0; j < i; j++)
			REQUIRE(accept.codecs[i] != accept.codecs[j]);
		compression.specs[i].id = accept.codecs[i];
		compression.specs[i].level = i;
	}
	compression.count = accept.count;

	ws_accept_format(&compression, buf);
	REQUIRE(strlen(buf) < WS_ACCEPT_MAX_SIZE);
	again = ws_accept_parse(buf);
	REQUIRE(again.version == WS_PROTOCOL_VERSION);
	REQUIRE(again.count == accept.count);
	REQUIRE(memcmp(again.codecs, accept.codecs, sizeof(accept.codecs)) == 0);

	if (accept.count == 0)
		REQUIRE(ws_accept_choose(&accept, &compression, false, &chosen) ==
				WS_REASON_OFF);
	else
	{
		REQUIRE(ws_accept_choose(&accept, &compression, false, &chosen) ==
				WS_REASON_NONE);
		REQUIRE(chosen.id == accept.codecs[0] && chosen.level == 0);
	}
}

/* Every decoded hello encodes to the same bytes. */
static void
try_hello(const uint8 *data, size_t len)
{
	WsHello		hello;
	uint8		again[WS_HELLO_SIZE];

	if (ws_hello_decode(data, len, &hello) != WS_OK)
		return;
	REQUIRE(len >= WS_HELLO_SIZE);
	REQUIRE(ws_reason_text(hello.reason) != NULL);
	ws_hello_encode(&hello, again);
	REQUIRE(memcmp(again, data, WS_HELLO_SIZE) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	bool		is_hello = take_number(&input, 1) % 2 == 1;
	char	   *copy;

	if (is_hello)
	{
		try_hello(input.data, input.len);
		return 0;
	}

	copy = malloc(input.len + 1);
	REQUIRE(copy != NULL);
	memcpy(copy, input.data, input.len);
	copy[input.len] = '\0';
	try_value(copy);
	free(copy);
	return 0;
}
