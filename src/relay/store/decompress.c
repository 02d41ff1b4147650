/*-------------------------------------------------------------------------
 *
 * decompress.c
 *	  Decompresses stored segments sequentially.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <lz4frame.h>
#include <zstd.h>

#include "relay/store/file.h"
#include "relay/store/segment.h"

#define INPUT_BYTES		(128 * 1024)

struct WsDecompressor
{
	WsSegmentForm form;
	ZSTD_DCtx  *zstd;
	LZ4F_dctx  *lz4;

	char	   *input;			/* INPUT_BYTES */
	size_t		input_pos;		/* bytes used ... */
	size_t		input_len;		/* ... of those read into it */
	off_t		file_pos;		/* position after the bytes read */
	bool		at_frame_end;	/* the codec has finished a frame */

	char	   *chunk;			/* chunk_bytes */
	size_t		chunk_bytes;
	uint32		chunk_start;	/* position in the segment */
	size_t		chunk_len;
};

WsDecompressor *
ws_decompressor_new(WsSegmentForm form)
{
	WsDecompressor *d = palloc0(sizeof(WsDecompressor));
	bool		made = false;

	d->form = form;
	d->chunk_bytes = form == WS_SEGMENT_ZSTD ? WS_FRAME_BYTES : WS_BLOCK_BYTES;
	d->chunk = palloc(d->chunk_bytes);
	d->input = palloc(INPUT_BYTES);
	d->at_frame_end = true;
	if (form == WS_SEGMENT_ZSTD)
	{
		d->zstd = ZSTD_createDCtx();
		made = d->zstd != NULL &&
			!ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
												 WS_MAX_WINDOW_LOG));
	}
	else
		made = !LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION));
	if (!made)
	{
		ws_decompressor_free(d);
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"),
				errdetail("Failed while creating a decompression context."));
	}
	return d;
}

void
ws_decompressor_free(WsDecompressor *d)
{
	ZSTD_freeDCtx(d->zstd);
	LZ4F_freeDecompressionContext(d->lz4);
	pfree(d->input);
	pfree(d->chunk);
	pfree(d);
}

static void
restart(WsDecompressor *d)
{
	if (d->form == WS_SEGMENT_ZSTD)
		ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
	else
		LZ4F_resetDecompressionContext(d->lz4);
	d->input_pos = d->input_len = 0;
	d->file_pos = 0;
	d->at_frame_end = true;
	d->chunk_start = 0;
	d->chunk_len = 0;
}

static void
report_damage(const WsSegmentFile *file, const char *why)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("compressed WAL segment file \"%s\" is damaged", file->path),
			errdetail("It cannot be decompressed: %s.", why));
}

/*
 * Make sure that there is input, reading more if none is left.  Returns false
 * at the end of the file.
 */
static bool
fill_input(WsDecompressor *d, const WsSegmentFile *file)
{
	ssize_t		got;

	if (d->input_pos < d->input_len)
		return true;
	got = ws_file_read(file->fd, d->input, INPUT_BYTES, d->file_pos);
	if (got < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not read file \"%s\": %m", file->path));
	d->input_pos = 0;
	d->input_len = got;
	d->file_pos += got;
	return got > 0;
}

/*
 * Call the codec once, with room for this many bytes, and return how many it
 * has written.  Sets *progress if it has read or written anything.
 */
static size_t
decompress_some(WsDecompressor *d, const WsSegmentFile *file, char *buf, size_t room,
				bool *progress)
{
	size_t		taken = d->input_len - d->input_pos;
	size_t		made = room;
	size_t		left;

	if (d->form == WS_SEGMENT_ZSTD)
	{
		ZSTD_inBuffer in = {d->input, d->input_len, d->input_pos};
		ZSTD_outBuffer out = {buf, room, 0};

		left = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(left))
			report_damage(file, ZSTD_getErrorName(left));
		taken = in.pos - d->input_pos;
		made = out.pos;
	}
	else
	{
		left = LZ4F_decompress(d->lz4, buf, &made, d->input + d->input_pos, &taken, NULL);
		if (LZ4F_isError(left))
			report_damage(file, LZ4F_getErrorName(left));
	}
	d->input_pos += taken;
	*progress = taken > 0 || made > 0;
	if (*progress)
		d->at_frame_end = left == 0;
	return made;
}

/*
 * Make the next chunk.  When the chunk is full, call the codec until it reads
 * nothing more, so that it has checked the checksum after the chunk.
 */
static void
next_chunk(WsDecompressor *d, const WsSegmentFile *file)
{
	uint32		start = d->chunk_start + d->chunk_len;
	size_t		want = Min(d->chunk_bytes, file->segment_size - start);
	size_t		len = 0;

	/* forget the old chunk first, so that it is not used after an error */
	d->chunk_start = start;
	d->chunk_len = 0;
	for (;;)
	{
		bool		progress;

		if (len == want && d->at_frame_end)
			break;
		if (!fill_input(d, file) && d->at_frame_end)
			break;
		len += decompress_some(d, file, d->chunk + len, want - len, &progress);
		if (!progress &&
			(len == want || d->input_pos < d->input_len || !fill_input(d, file)))
			break;
	}

	if (len < want)
		report_damage(file, "it ends too soon");
	if (start + len == file->segment_size &&
		(!d->at_frame_end || fill_input(d, file)))
		report_damage(file, d->at_frame_end ? "it does not end with the segment" :
					  "it is longer than a segment, or cut off");
	d->chunk_len = len;
}

void
ws_decompressor_read(WsDecompressor *d, const WsSegmentFile *file,
					 uint32 offset, char *buf, size_t len)
{
	while (len > 0)
	{
		size_t		count;

		if (offset < d->chunk_start)
			restart(d);
		if (offset >= d->chunk_start + d->chunk_len)
		{
			CHECK_FOR_INTERRUPTS();
			next_chunk(d, file);
			continue;
		}
		count = Min(len, d->chunk_start + d->chunk_len - offset);
		memcpy(buf, d->chunk + (offset - d->chunk_start), count);
		buf += count;
		offset += count;
		len -= count;
	}
}
