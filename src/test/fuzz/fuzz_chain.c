/*-------------------------------------------------------------------------
 *
 * fuzz_chain.c
 *	  Fuzz target: the chain of relays, as received from another relay.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/relay/chain.h"

/* Every parsed chain is valid, and is written again with the same bytes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	char		again[WS_CHAIN_TEXT_SIZE];
	WsChain		chain;
	WsStatus	status;

	REQUIRE(text !=NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[		size] = '\0';

	status = ws_chain_parse(text, &chain);
	REQUIRE(chain.count >= 0 && chain.count <= WS_CHAIN_MAX);
	if (status == WS_OK)
	{
		REQUIRE(chain.count > 0 && ws_chain_find(&chain, 0) < 0);
		ws_chain_format(&chain, again);
		REQUIRE(strcmp(text, again) == 0);
		REQUIRE(!ws_chain_has_more(&chain, &chain));
	}
	free(text);
	return 0;
}
