/*-------------------------------------------------------------------------
 *
 * piece.c
 *	  Allocates, restarts and frees the memory of walz's encoders and decoders.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/segment.h"
#include "pure/walz/piece.h"
#include "pure/wire/frame.h"

static size_t
scratch_size(const WsWalz *walz)
{
	return walz->piece_max + WZ_RECORD_HEADER_MAX;
}

/*
 * The size of each stream of an encoder, and of all streams of a decoder
 * together.
 */
static size_t
streams_size(const WsWalz *walz)
{
	return (walz->io.decoding ? 1 : 3) * ws_walz_stream_size(walz);
}

static bool
params_known(const WsCodecParams *params)
{
	return !params->logical && ws_walz_magic_known(params->wal_page_magic) &&
		ws_segment_sizes_valid(params->wal_block_size, params->wal_segment_size);
}

void
ws_walz_forget(WsWalz *walz)
{
	if (!walz->known)
		return;
	ws_walz_model_forget(walz->model);
	ws_walz_io_forget(&walz->io);
	walz->part.record_lsn = InvalidXLogRecPtr;
}

void
ws_walz_free(WsWalz *walz)
{
	if (walz->model != NULL)
	{
		free(walz->model->work);
		free(walz->model->images);
	}
	free(walz->model);
	free(walz->io.tables);
	free(walz->scratch);
	free(walz->streams);
	free(walz);
}

WsWalz *
ws_walz_new(const WsCodecParams *params, bool decoding)
{
	WsWalz	   *walz = calloc(1, sizeof(WsWalz));

	if (walz == NULL)
		return NULL;
	walz->params = *params;
	walz->known = params_known(params);
	walz->io.decoding = decoding;
	if (!walz->known)
		return walz;

	walz->piece_max = (size_t) WS_FRAME_MAX_BLOCKS * params->wal_block_size;
	walz->model = calloc(1, sizeof(WsWalzModel));
	walz->io.tables = aligned_alloc(sizeof(WsWalzLine), sizeof(WsWalzTables));
	walz->scratch = malloc(scratch_size(walz));
	walz->streams = malloc(streams_size(walz));
	if (walz->model != NULL && decoding)
	{
		walz->model->work = malloc(walz->piece_max);
		walz->model->images = malloc(walz->piece_max);
	}
	if (walz->model == NULL || walz->io.tables == NULL ||
		walz->scratch == NULL || walz->streams == NULL ||
		(decoding && (walz->model->work == NULL || walz->model->images == NULL)))
	{
		ws_walz_free(walz);
		return NULL;
	}
	walz->model->max_record = walz->piece_max;
	walz->io.tables_used = true;
	ws_walz_forget(walz);
	return walz;
}

void
ws_walz_go_to(WsWalz *walz, XLogRecPtr lsn)
{
	if (!walz->started || walz->cursor.lsn != lsn)
		ws_walz_cursor_init(&walz->cursor, &walz->params, lsn);
	walz->started = true;
}
