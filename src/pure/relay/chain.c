/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  The relays through which WAL comes: what one relay tells the next.
 *
 * The text comes from whatever server is the upstream, so the parser neither
 * fails nor allocates.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/chain.h"

#define ID_DIGITS	16

void
ws_chain_format(const WsChain *chain, char *buf)
{
	size_t		len = 0;

	buf[0] = '\0';
	for (int i = 0; i < chain->count; i++)
		len += snprintf(buf + len, WS_CHAIN_TEXT_SIZE - len, "%s%016llx",
						i > 0 ? "," : "", (unsigned long long) chain->ids[i]);
}

/*
 * Read up to 16 digits, ending at the first other byte.  Returns the number of
 * digits.
 */
static int
take_digits(const char *text, uint64 *id)
{
	int			count = 0;

	*id = 0;
	while (count < ID_DIGITS)
	{
		char		c = text[count];
		int			digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			break;
		*id = *id << 4 | digit;
		count++;
	}
	return count;
}

WsStatus
ws_chain_parse(const char *text, WsChain *chain)
{
	chain->count = 0;
	for (;;)
	{
		uint64		id;

		if (take_digits(text, &id) != ID_DIGITS || id == 0)
			return WS_E_MALFORMED;
		if (chain->count == WS_CHAIN_MAX)
			return WS_E_TOO_LARGE;
		chain->ids[chain->count++] = id;
		text	  +=ID_DIGITS;

		if (*text == '\0')
			return WS_OK;
		if (*text ++!= ',')
			return WS_E_MALFORMED;
	}
}

int
ws_chain_find(const WsChain *chain, uint64 id)
{
	for (int i = 0; i < chain->count; i++)
	{
		if (chain->ids[i] == id)
			return i;
	}
	return -1;
}

bool
ws_chain_has_more(const WsChain *chain, const WsChain *than)
{
	for (int i = 0; i < chain->count; i++)
	{
		if (ws_chain_find(than, chain->ids[i]) < 0)
			return true;
	}
	return false;
}
