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
 * Called for each record that was modelled, and for each run of raw bytes
 * (rmid -1, which includes what lies between records).  raw_len is the WAL that
 * it takes up, with the page headers and padding within; put_len is the number
 * of bytes that it gave to zstd or the range coder.
 */
typedef void (*WsWalzObserver) (void *arg, int rmid, size_t raw_len,
								size_t put_len);

/* Set the observer that is called from now on; NULL for none. */
extern void ws_walz_encoder_observe(void *encoder, WsWalzObserver observer,
									void *arg);

/* What an encoder's size has for verifying, see walz/piece.h. */
#ifdef WS_WALZ_VERIFY
extern size_t ws_walz_verifier_size(const WsCodecParams *params);
#endif

#endif							/* WS_PURE_CODEC_WALZ_H */
