/*-------------------------------------------------------------------------
 *
 * codec.c
 *	  The table of codecs, and encoders in memory of their own.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/codec.h"

#define CODEC(id, number, codec) &codec,
static const WsCodec *const codecs[] = {
#include "pure/codec/codeclist.h"
};
#undef CODEC

const WsCodec *
ws_codec_at(int i)
{
	return i >= 0 && i < (int) lengthof(codecs) ? codecs[i] : NULL;
}

const WsCodec *
ws_codec_by_id(int id)
{
	for (size_t i = 0; i < lengthof(codecs); i++)
	{
		if ((int) codecs[i]->id == id)
			return codecs[i];
	}
	return NULL;
}

const char *
ws_codec_name(int id)
{
	const WsCodec *codec = ws_codec_by_id(id);

	if (codec != NULL)
		return codec->name;
	return id == WS_CODEC_NONE ? "none" : "unknown";
}

static bool
equals(const char *name, const char *word, size_t word_len)
{
	return strlen(name) == word_len && memcmp(name, word, word_len) == 0;
}

const WsCodec *
ws_codec_by_name(const char *name, size_t name_len)
{
	for (size_t i = 0; i < lengthof(codecs); i++)
	{
		if (equals(codecs[i]->name, name, name_len))
			return codecs[i];
	}
	return NULL;
}

const WsCodec *
ws_codec_by_word(const char *word, size_t word_len)
{
	for (size_t i = 0; i < lengthof(codecs); i++)
	{
		if (equals(codecs[i]->word, word, word_len))
			return codecs[i];
	}
	return NULL;
}

void *
ws_codec_encoder_new(const WsCodec *codec, const WsCodecParams *params)
{
	size_t		size = codec->encoder_size(params);
	void	   *encoder;

	if (size == 0)
		return NULL;
	encoder = aligned_alloc(WS_ENCODER_ALIGN, size);
	if (encoder != NULL && codec->encoder_init(encoder, params) != WS_OK)
	{
		free(encoder);
		return NULL;
	}
	return encoder;
}

void
ws_codec_encoder_free(void *encoder)
{
	free(encoder);
}
