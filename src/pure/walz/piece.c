/*-------------------------------------------------------------------------
 *
 * piece.c
 *	  Lays out and restarts the memory of walz's encoders and decoders.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/segment.h"
#include "pure/walz/piece.h"
#include "pure/wire/frame.h"

bool
ws_walz_knows(const WsCodecParams *params)
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

/* What an object's memory has behind the WsWalz; offsets from its start. */
typedef struct WsWalzLayout
{
	size_t		piece_max;
	size_t		model;
	size_t		tables;
	size_t		scratch;
	size_t		streams;
	size_t		work;			/* decoding */
	size_t		images;			/* decoding */
	size_t		size;
} WsWalzLayout;

static size_t
add_part(WsWalzLayout *layout, size_t size)
{
	size_t		at = layout->size;

	layout->size += TYPEALIGN(WS_ENCODER_ALIGN, size);
	return at;
}

static WsWalzLayout
lay_out(const WsCodecParams *params, bool decoding)
{
	WsWalzLayout layout = {0};
	size_t		piece_max = (size_t) WS_FRAME_MAX_BLOCKS * params->wal_block_size;
	size_t		stream = piece_max + WZ_SLACK;

	(void) add_part(&layout, sizeof(WsWalz));
	if (!ws_walz_knows(params))
		return layout;

	layout.piece_max = piece_max;
	layout.model = add_part(&layout, sizeof(WsWalzModel));
	layout.tables = add_part(&layout, sizeof(WsWalzTables));
	layout.scratch = add_part(&layout, piece_max + WZ_RECORD_HEADER_MAX);

	/* each stream of an encoder, all streams of a decoder together */
	layout.streams = add_part(&layout, decoding ? stream : 3 * stream);
	if (decoding)
	{
		layout.work = add_part(&layout, piece_max);
		layout.images = add_part(&layout, piece_max);
	}
	return layout;
}

size_t
ws_walz_size(const WsCodecParams *params, bool decoding)
{
	return lay_out(params, decoding).size;
}

void
ws_walz_init(WsWalz *walz, const WsCodecParams *params, bool decoding)
{
	WsWalzLayout layout = lay_out(params, decoding);
	uint8	   *memory = (uint8 *) walz;

	memset(walz, 0, sizeof(WsWalz));
	walz->params = *params;
	walz->known = layout.piece_max > 0;
	walz->io.decoding = decoding;
	if (!walz->known)
		return;

	walz->piece_max = layout.piece_max;
	walz->model = (WsWalzModel *) (memory + layout.model);
	walz->io.tables = (WsWalzTables *) (memory + layout.tables);
	walz->scratch = memory + layout.scratch;
	walz->streams = memory + layout.streams;
	walz->model->work = decoding ? memory + layout.work : NULL;
	walz->model->images = decoding ? memory + layout.images : NULL;
	walz->model->max_record = layout.piece_max;
	walz->io.tables_used = true;
	ws_walz_forget(walz);
}

void
ws_walz_go_to(WsWalz *walz, XLogRecPtr lsn)
{
	if (!walz->started || walz->cursor.lsn != lsn)
		ws_walz_cursor_init(&walz->cursor, &walz->params, lsn);
	walz->started = true;
}
