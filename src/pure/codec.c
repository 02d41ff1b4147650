/*-------------------------------------------------------------------------
 *
 * codec.c
 *	  The table of codecs.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "codec.h"

static const WsCodec *const codecs[] = {
	&ws_codec_zstd,
	&ws_codec_lz4,
	&ws_codec_walz
};

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

const WsCodec *
ws_codec_by_name(const char *name, size_t name_len)
{
	for (size_t i = 0; i < lengthof(codecs); i++)
	{
		if (strlen(codecs[i]->name) == name_len &&
			memcmp(codecs[i]->name, name, name_len) == 0)
			return codecs[i];
	}
	return NULL;
}
