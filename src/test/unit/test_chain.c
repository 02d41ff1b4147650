/*-------------------------------------------------------------------------
 *
 * test_chain.c
 *	  The chain of relays through which WAL comes: written, read, and damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/chain.h"
#include "tap.h"

/*
 * Parse from memory of exactly this size, so that reading beyond it is
 * noticed.
 */
static WsStatus
parse(const char *text, WsChain *chain)
{
	char	   *copy = strdup(text);
	WsStatus	status;

	if (copy == NULL)
		abort();
	status = ws_chain_parse(copy, chain);
	free(copy);
	return status;
}

static void
test_roundtrip(void)
{
	WsChain		chain = {2, {UINT64CONST(0x0123456789abcdef), 255}};
	WsChain		again;
	char text[	WS_CHAIN_TEXT_SIZE];

	ws_chain_format(&chain, text);
	is_str(text, "0123456789abcdef,00000000000000ff", "the text is as documented");
	is(parse(text, &again), WS_OK, "it is read");
	ok(again.count == 2 && again.ids[0] == chain.ids[0] && again.ids[1] == 255,
	   "and is the same");

	chain.count = WS_CHAIN_MAX;
	for (int i = 0; i < WS_CHAIN_MAX; i++)
		chain.ids[i] = PG_UINT64_MAX - i;
	ws_chain_format(&chain, text);
	is(parse(text, &again), WS_OK, "as many as there can be");
	is(again.count, WS_CHAIN_MAX, "all of them");

	chain.count = 0;
	ws_chain_format(&chain, text);
	is_str(text, "", "none");
}

static void
test_refused(void)
{
	static const char *const texts[] = {
		"", ",", "0123456789abcdef,", ",0123456789abcdef",
		"0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
		"0000000000000000", "0123456789abcdef,0000000000000000",
		"0123456789abcdef 00000000000000ff", "0123456789abcdeg",
		" 0123456789abcdef", "0x23456789abcdef", "-123456789abcdef", "own"
	};
	char text[	2 * WS_CHAIN_TEXT_SIZE] = "";
	WsChain		chain;

	for (int i = 0; i < (int) lengthof(texts); i++)
		is(parse(texts[i], &chain), WS_E_MALFORMED, "refused: \"%s\"", texts[i]);
	for (int i = 0; i < WS_CHAIN_MAX; i++)
		strcat(text, "0123456789abcdef,");
	strcat(text, "0123456789abcdef");
	is(parse(text, &chain), WS_E_TOO_LARGE, "one too many");
	ok(chain.count <= WS_CHAIN_MAX, "no more than there is room for");
}

static void
test_sets(void)
{
	WsChain		a = {3, {1, 2, 3}};
	WsChain		b = {2, {3, 1}};
	WsChain		none = {0};

	is(ws_chain_find(&a, 3), 2, "the place of one");
	is(ws_chain_find(&a, 4), -1, "of one that is not there");
	ok(ws_chain_has_more(&a, &b), "one has more");
	ok(!ws_chain_has_more(&b, &a), "the other has not");
	ok(!ws_chain_has_more(&none, &a) && ws_chain_has_more(&a, &none), "none");
}

int
main(void)
{
	test_roundtrip();
	test_refused();
	test_sets();
	return done_testing();
}
