/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  The interface of a codec; codeclist.h has those that there are.
 *
 * A codec turns a run of bytes into a shorter one and keeps history between
 * calls: a block can be decoded only after all blocks since the last restart,
 * in order.  The codec is flushed at each call, so the output of a block holds
 * all of its input, and the receiver has every byte that the sender has sent.
 *
 * A codec is told where in the WAL its input starts and how WAL is laid out,
 * for codecs that understand it; a general-purpose codec ignores both.
 *
 * An encoder is one block of memory, which the caller owns.  Its whole state is
 * in there, and it keeps no pointer to anything outside, so processes that
 * have the block at the same address can take turns with one encoder.  The
 * block must not be moved.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_CODEC_H
#define WS_PURE_CODEC_CODEC_H

#include "access/xlogdefs.h"
#include "pure/status.h"

#define WS_MAX_CODECS	7		/* numbers 1 to 7 */

#define CODEC(id, number, codec) id = number,
typedef enum WsCodecId
{
	WS_CODEC_NONE = 0,
#include "pure/codec/codeclist.h"
} WsCodecId;
#undef CODEC

/*
 * Upper limit of a codec's window on either side, in log2(bytes).  It bounds
 * what a receiver must allocate for history (2 MB).
 */
#define WS_WINDOW_LOG_MAX	21

/* Alignment of an encoder's memory, and of its size: a cache line. */
#define WS_ENCODER_ALIGN	64

/* What both ends of a stream know when it begins. */
typedef struct WsCodecParams
{
	int			level;			/* encoder only; each codec has its own scale */
	int			hash_log;		/* encoder only: log2 of the entries in a
								 * match table; 0 means the level's default */
	bool		may_fill;		/* encoder only: the caller asks encoder_full,
								 * see below */
	bool		logical;		/* logical decoding output, not WAL */
	uint32		wal_block_size; /* bytes */
	uint32		wal_segment_size;	/* bytes */
	uint16		wal_page_magic; /* XLOG_PAGE_MAGIC of the stream's WAL */
} WsCodecParams;

typedef struct WsCodec
{
	const char *name;			/* in settings, hints and SQL */
	const char *word;			/* in negotiation; a codec whose format
								 * changes gets another word, so that peers of
								 * two versions never decode each other's
								 * blocks */
	WsCodecId	id;
	bool		logical;		/* can code logical streams */
	bool		by_default;		/* used if walstream.compression is not set */

	/*
	 * The levels that a setting may name, and the one if it names none.  The
	 * limits are functions since they may be a library's.
	 */
	int			default_level;
	int			(*min_level) (void);
	int			(*max_level) (void);

	/*
	 * Window at a level, in log2(bytes), at most WS_WINDOW_LOG_MAX.  The
	 * pointer is NULL if the codec has none that a receiver must know.
	 */
	int			(*window_log) (int level);

	/*
	 * Size of an encoder: all the memory that it will ever need.  0 if that
	 * cannot be told because memory is short.
	 */
	size_t		(*encoder_size) (const WsCodecParams *params);

	/*
	 * Make an encoder of a block of encoder_size(params) bytes, whatever they
	 * hold; WS_ENCODER_ALIGN is its alignment.  It is in the state after a
	 * restart then.  An encoder needs no end: the block can be given back or
	 * made another encoder at any time, also after a process has died in the
	 * middle of a call.
	 */
	WsStatus	(*encoder_init) (void *encoder, const WsCodecParams *params);

	/*
	 * Make a decoder, in the state after a restart; NULL if memory is short.
	 * Codec and level of the encoder bound all the memory it will ever need.
	 */
	void	   *(*decoder_new) (const WsCodecParams *params);

	/*
	 * Forget all history, so that the next block decodes without anything
	 * earlier.
	 */
	WsStatus	(*encoder_restart) (void *encoder);
	WsStatus	(*decoder_restart) (void *decoder);

	/*
	 * Returns true if the encoder must be restarted before it encodes raw_len
	 * more bytes, which it tells only if params->may_fill is set.  The
	 * pointer is NULL if the encoder never fills.
	 */
	bool		(*encoder_full) (const void *encoder, size_t raw_len);

	/* Upper limit of the encoded size of raw_len bytes. */
	size_t		(*encode_bound) (size_t raw_len);

	/*
	 * Encode all of src[0..src_len) into dst and set *dst_len to the number
	 * of bytes written.  dst_size is at least encode_bound(src_len).  After
	 * anything but WS_OK the encoder must be restarted before its next use.
	 */
	WsStatus	(*encode) (void *encoder, XLogRecPtr start_lsn,
						   const uint8 *src, size_t src_len,
						   uint8 *dst, size_t dst_size, size_t *dst_len);

	/*
	 * Decode the whole of src into exactly dst_len bytes of dst; anything
	 * else is WS_E_LENGTH or WS_E_CODEC.  Trusts nothing in src: never writes
	 * outside dst, never allocates by a length found in src beyond the
	 * codec's bound.  After anything but WS_OK the decoder has restarted.
	 */
	WsStatus	(*decode) (void *decoder, XLogRecPtr start_lsn,
						   const uint8 *src, size_t src_len,
						   uint8 *dst, size_t dst_len);

	void		(*decoder_free) (void *decoder);
} WsCodec;

#define CODEC(id, number, codec) extern const WsCodec codec;
#include "pure/codec/codeclist.h"
#undef CODEC

/* Returns the i-th codec of the table, from 0 on; NULL behind the last one. */
extern const WsCodec *ws_codec_at(int i);

/* Find a codec by number, by name or by word; NULL if there is none. */
extern const WsCodec *ws_codec_by_id(int id);
extern const WsCodec *ws_codec_by_name(const char *name, size_t name_len);
extern const WsCodec *ws_codec_by_word(const char *word, size_t word_len);

/*
 * An encoder in memory of its own; NULL if there is not enough.  NULL may be
 * freed.
 */
extern void *ws_codec_encoder_new(const WsCodec *codec,
								  const WsCodecParams *params);
extern void ws_codec_encoder_free(void *encoder);

/*
 * Name of the codec with this number, for log lines and SQL: "none" for
 * WS_CODEC_NONE, "unknown" for a number that is not in the table; never NULL.
 */
extern const char *ws_codec_name(int id);

#endif							/* WS_PURE_CODEC_CODEC_H */
