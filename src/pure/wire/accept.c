/*-------------------------------------------------------------------------
 *
 * accept.c
 *	  The value of walstream.accept, which a receiver writes and by which a
 *	  sender chooses a codec.
 *
 * The value comes from whatever client connects, so the parser neither fails
 * nor allocates.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/accept.h"

/* Most digits of a version number. */
#define MAX_VERSION_DIGITS	6

void
ws_accept_format(const WsCompression *compression, char *buf)
{
	size_t		len;

	len = sprintf(buf, "%d", WS_PROTOCOL_VERSION);

	for (int i = 0; i < compression->count; i++)
	{
		const WsCodec *codec = ws_codec_by_id(compression->specs[i].id);

		if (codec == NULL ||
			len + 1 + strlen(codec->word) >= WS_ACCEPT_MAX_SIZE)
			continue;
		len += sprintf(buf + len, " %s", codec->word);
	}
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Find the next word, which is not zero-terminated.  Returns false if there is
 * none.
 */
static bool
next_word(const char **pos, const char **word, size_t *len)
{
	const char *p = *pos;

	while (is_space(*p))
		p++;
	*word = p;
	while (*p != '\0' && !is_space(*p))
		p++;
	*len = p - *word;
	*pos = p;
	return *len > 0;
}

/* Returns 0 if the word is not a version. */
static int
parse_version(const char *word, size_t len)
{
	int			version = 0;

	if (len > MAX_VERSION_DIGITS)
		return 0;
	for (size_t i = 0; i < len; i++)
	{
		if (word[i] < '0' || word[i] > '9')
			return 0;
		version = version * 10 + (word[i] - '0');
	}
	return version;
}

static bool
asks_for(const WsAccept *accept, WsCodecId id)
{
	for (int i = 0; i < accept->count; i++)
	{
		if (accept->codecs[i] == id)
			return true;
	}
	return false;
}

static bool
is_own(const char *word, size_t len)
{
	return len == 3 && memcmp(word, "own", 3) == 0;
}

WsAccept
ws_accept_parse(const char *value)
{
	WsAccept	accept = {0};
	const char *pos = value;
	const char *word;
	size_t		len;

	if (value == NULL || !next_word(&pos, &word, &len))
		return accept;
	accept.version = parse_version(word, len);
	accept.own = is_own(word, len);

	/* no codec is entered twice, so there is room for all of them */
	while (next_word(&pos, &word, &len))
	{
		const WsCodec *codec = ws_codec_by_word(word, len);

		if (is_own(word, len))
			accept.own = true;
		else if (accept.version != 0 && codec != NULL &&
				 !asks_for(&accept, codec->id))
			accept.codecs[accept.count++] = codec->id;
	}
	return accept;
}

WsNoCodecReason
ws_accept_choose(const WsAccept *accept, const WsCompression *compression,
				 bool logical, WsCodecSpec *chosen)
{
	chosen->id = WS_CODEC_NONE;
	chosen->level = 0;

	if (compression->count == 0)
		return WS_REASON_OFF;

	for (int i = 0; i < accept->count; i++)
	{
		const WsCodec *codec = ws_codec_by_id(accept->codecs[i]);

		if (codec == NULL || (logical && !codec->logical))
			continue;
		for (int j = 0; j < compression->count; j++)
		{
			if (compression->specs[j].id == codec->id)
			{
				*chosen = compression->specs[j];
				return WS_REASON_NONE;
			}
		}
	}
	return WS_REASON_NO_COMMON_CODEC;
}

const char *
ws_reason_text(WsNoCodecReason reason)
{
	switch (reason)
	{
		case WS_REASON_NONE:
			return "no reason given";
		case WS_REASON_OFF:
			return "compression is off on the sender";
		case WS_REASON_NO_COMMON_CODEC:
			return "sender and receiver have no codec in common";
		case WS_REASON_MEMORY:
			return "the sender is out of memory";
	}
	/* a reason of a later version */
	return "unknown reason";
}
