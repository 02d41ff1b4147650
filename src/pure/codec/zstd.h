/*-------------------------------------------------------------------------
 *
 * zstd.h
 *	  What the codec zstd offers beside the interface of all codecs.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_ZSTD_H
#define WS_PURE_CODEC_ZSTD_H

#include "pure/codec/codec.h"

/*
 * A decoder in memory that the caller owns, for what an encoder writes at this
 * level; its alignment is an encoder's.  An encoder that verifies its output
 * (walz/piece.h) has one in its own memory.  It must not be freed.
 */
#ifdef WS_WALZ_VERIFY
extern size_t ws_zstd_decoder_size(int level);
extern WsStatus ws_zstd_decoder_init(void *decoder, int level);
#endif

#endif							/* WS_PURE_CODEC_ZSTD_H */
