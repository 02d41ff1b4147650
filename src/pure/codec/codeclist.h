/*-------------------------------------------------------------------------
 *
 * codeclist.h
 *	  The table of codecs.
 *
 * An entry has the WsCodecId, its number on the wire (3 bits, never used for
 * another codec), and the WsCodec.  The order is that of preference where
 * walstream.compression is not set (WsCodec.by_default).
 *
 * Whoever includes this has defined CODEC(), so there is no guard against a
 * second inclusion.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
CODEC(WS_CODEC_WALZ, 3, ws_codec_walz)
CODEC(WS_CODEC_ZSTD, 1, ws_codec_zstd)
CODEC(WS_CODEC_LZ4, 2, ws_codec_lz4)
