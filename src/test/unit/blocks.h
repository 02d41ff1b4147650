/*-------------------------------------------------------------------------
 *
 * blocks.h
 *	  Blocks for the tests that run over every codec.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_BLOCKS_H
#define WS_BLOCKS_H

#include "pure/codec/walz.h"

#define MAX_RAW		(1024 * 1024)	/* 16 WAL blocks of 64 kB */

/* The codec under test, and its input. */
extern const WsCodec *codec;
extern const char *codec_name;	/* and what it is given */
extern const uint8 *raw;		/* MAX_RAW bytes, like WAL, or WAL ... */
extern XLogRecPtr raw_lsn;		/* ... from this position on */

/*
 * Run a test over each codec; then, with wal true, over a codec that knows
 * WAL, with WAL as raw, since of other input it makes little more than zstd
 * does.
 */
extern void for_each_codec(void (*test) (bool wal));

extern WsCodecParams level_params(int level);
extern void *new_codec_encoder(int level);
extern void *new_codec_decoder(void);

/* An encoded block, in a buffer of exactly the bound. */
typedef struct Block
{
	XLogRecPtr	lsn;
	WsStatus	status;
	uint8	   *bytes;
	size_t		len;
	size_t		bound;
} Block;

extern Block encode_block(void *encoder, const uint8 *src, size_t len);
extern void free_block(Block *block);

/*
 * Decode into a buffer of exactly dst_len bytes. *same (if not NULL) tells
 * whether the result equals expected.  A write outside the buffer is returned
 * as a status that no test expects.
 */
extern WsStatus decode_block(void *decoder, XLogRecPtr lsn, const uint8 *src,
							 size_t src_len, size_t dst_len,
							 const uint8 *expected, bool *same);
extern bool decodes_to(void *decoder, const Block *block, const uint8 *src,
					   size_t len);

/*
 * Returns true if the status is a proper refusal, without a write outside the
 * buffer.
 */
extern bool refuses(void *decoder, const uint8 *src, size_t src_len,
					size_t dst_len);

#endif							/* WS_BLOCKS_H */
