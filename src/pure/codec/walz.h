/*-------------------------------------------------------------------------
 *
 * walz.h
 *	  What the codec walz offers beside the interface of all codecs.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_WALZ_H
#define WS_PURE_CODEC_WALZ_H

#include "pure/codec/codec.h"

/*
 * Are these sizes of blocks and segments that PostgreSQL can have?  WAL laid
 * out otherwise is not modelled; whoever calculates with sizes out of a file
 * asks first.
 */
extern bool ws_walz_sizes_valid(const WsCodecParams *params);

/*
 * Called for each record that was modelled, and for each run of raw bytes
 * (rmid -1; also what is between records): how many bytes of WAL it takes up,
 * page headers and padding within it counted, and how many bytes it has given
 * to what zstd or the range coder made of it.
 */
typedef void (*WsWalzObserver) (void *arg, int rmid, size_t raw_len,
								size_t put_len);

/* From now on; NULL for none. */
extern void ws_walz_encoder_observe(void *encoder, WsWalzObserver observer,
									void *arg);

#endif							/* WS_PURE_CODEC_WALZ_H */
