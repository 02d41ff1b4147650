/*-------------------------------------------------------------------------
 *
 * walpairs.h
 *	  A sender and a receiver of WAL, and a stream between them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_WALPAIRS_H
#define WS_WALPAIRS_H

#include "pure/codec/codec.h"
#include "walgen.h"

#define MB			(1024 * 1024)

/* PostgreSQL 15's usual layout. */
extern const WsCodecParams usual;

/* A sender and a receiver; encoded bytes are counted. */
typedef struct Pair
{
	const WsCodec *codec;
	WsCodecParams params;
	void	   *encoder;
	void	   *decoder;
	size_t		encoded;
	size_t		worst;			/* most that a block was larger than its bytes */
	bool		good;
} Pair;

/* How a stream is cut into blocks. */
typedef enum Cut
{
	CUT_FIXED,					/* at multiples of n from the start */
	CUT_ENDS,					/* at the ends of every n-th record */
	CUT_RANDOM					/* anywhere, up to n bytes */
} Cut;

extern Pair new_pair(const WsCodec *codec, const WsCodecParams *params);
extern void free_pair(Pair *pair);

/* Encode and decode one block. */
extern void pass_block(Pair *pair, XLogRecPtr lsn, const uint8 *src,
					   size_t len);

/*
 * Send wal[from..) in pieces, with a restart at each segment like a real
 * stream.  The returned pair is freed, and only its figures are valid.
 */
extern Pair pass_stream(const WsCodec *codec, WalGen *gen, size_t from,
						Cut cut, size_t n);

/*
 * Send WAL from a start on through walz, cut in every way; returns whether it
 * arrived.
 */
extern bool pass_all_ways(WalGen *gen, size_t from);

/*
 * Memory of the decoder that an encoder of this codec has if it was compiled
 * with WS_WALZ_VERIFY; 0 if it has none.
 */
extern size_t verifier_memory(const WsCodec *codec, const WsCodecParams *params);

#endif							/* WS_WALPAIRS_H */
