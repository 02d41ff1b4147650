/*-------------------------------------------------------------------------
 *
 * walpairs.c
 *	  A sender and a receiver of WAL, and a stream between them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/walz.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

const WsCodecParams usual = {
	.level = 1,
	.wal_block_size = 8192,
	.wal_segment_size = 16 * MB,
	.wal_page_magic = 0xD110
};

Pair
new_pair(const WsCodec *codec, const WsCodecParams *params)
{
	Pair		pair = {
		.codec = codec,
		.params = *params,
		.good = true
	};

	pair.encoder = ws_codec_encoder_new(codec, params);
	pair.decoder = codec->decoder_new(params);
	if (pair.encoder == NULL || pair.decoder == NULL)
		abort();
	return pair;
}

void
free_pair(Pair *pair)
{
	ws_codec_encoder_free(pair->encoder);
	pair->codec->decoder_free(pair->decoder);
}

static void
restart_pair(Pair *pair)
{
	if (pair->codec->encoder_restart(pair->encoder) != WS_OK ||
		pair->codec->decoder_restart(pair->decoder) != WS_OK)
		abort();
}

void
pass_block(Pair *pair, XLogRecPtr lsn, const uint8 *src, size_t len)
{
	size_t		bound = pair->codec->encode_bound(len);
	uint8	   *encoded = guard_alloc(bound);
	uint8	   *decoded = guard_alloc(len);
	size_t		encoded_len = 0;
	WsStatus	status;

	status = pair->codec->encode(pair->encoder, lsn, src, len, encoded, bound,
								 &encoded_len);
	if (status == WS_OK)
		status = pair->codec->decode(pair->decoder, lsn, encoded, encoded_len,
									 decoded, len);
	if (status != WS_OK || memcmp(src, decoded, len) != 0 ||
		!guard_intact(encoded, bound) || !guard_intact(decoded, len))
	{
		if (pair->good)
			diag("block of %zu bytes at %X is wrong: %s", len, (uint32) lsn,
				 ws_status_text(status));
		pair->good = false;
	}
	pair->encoded += encoded_len;
	if (encoded_len > len)
		pair->worst = Max(pair->worst, encoded_len - len);
	guard_free(encoded);
	guard_free(decoded);
}

Pair
pass_stream(const WsCodec *codec, WalGen *gen, size_t from, Cut cut, size_t n)
{
	Pair		pair = new_pair(codec, &gen->params);
	size_t		pos = from;
	size_t		end = 0;
	uint64		seed = gen->seed;

	while (pos < gen->len && pair.good)
	{
		XLogRecPtr	lsn = gen->start + pos;
		size_t		next = pos + n;
		size_t		segment;

		if (cut == CUT_RANDOM)
			next = pos + 1 + walgen_random(gen, n);
		else if (cut == CUT_ENDS)
		{
			while (end < gen->nends && gen->ends[end] < pos + 1)
				end++;
			end += n - 1;
			next = end < gen->nends ? gen->ends[end] : gen->len;
		}
		if (lsn % gen->params.wal_segment_size == 0)
			restart_pair(&pair);
		segment = gen->params.wal_segment_size - lsn % gen->params.wal_segment_size;
		next = Min(next, pos + segment);
		next = Min(next, pos + MB);
		next = Min(next, gen->len);
		pass_block(&pair, lsn, gen->buf + pos, next - pos);
		pos = next;
	}
	gen->seed = seed;
	free_pair(&pair);
	return pair;
}

bool
pass_all_ways(WalGen *gen, size_t from)
{
	static const struct
	{
		Cut			cut;
		size_t		n;
	}			ways[] = {
		{CUT_FIXED, 131072}, {CUT_FIXED, 8192}, {CUT_FIXED, 10007},
		{CUT_FIXED, 450}, {CUT_FIXED, 33}, {CUT_ENDS, 1}, {CUT_ENDS, 4},
		{CUT_ENDS, 300}, {CUT_RANDOM, 100}, {CUT_RANDOM, 20000},
		{CUT_RANDOM, 400000}
	};
	bool		good = true;

	for (size_t i = 0; i < lengthof(ways); i++)
	{
		Pair		pair = pass_stream(&ws_codec_walz, gen, from, ways[i].cut,
									   ways[i].n);

		if (!pair.good)
			diag("cut %d, %zu, from %zu", ways[i].cut, ways[i].n, from);
		good &= pair.good;
	}
	return good;
}

size_t
verifier_memory(const WsCodec *codec pg_attribute_unused(),
				const WsCodecParams *params pg_attribute_unused())
{
#ifdef WS_WALZ_VERIFY
	if (codec == &ws_codec_walz)
		return ws_walz_verifier_size(params);
#endif
	return 0;
}
