/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Reads and writes WAL segment files and encoded segment files.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <sys/stat.h>

#include "pure/codec/walz.h"
#include "pure/segment.h"
#include "pure/walz/cursor.h"
#include "pure/wire/frame.h"
#include "segment.h"
#include "terminal.h"

#define FILE_MAGIC			"WALZ"
#define FILE_VERSION		1
#define FILE_HEADER			24
#define BLOCK_HEADER		12
#define BLOCKS_END			4

/* largest file that we read: the largest segment and a little more */
#define MAX_FILE_SIZE		(1024 * 1024 * 1024 + 1024 * 1024)

bool
segment_name(const char *name)
{
	return strlen(name) == 24 && strspn(name, "0123456789ABCDEF") == 24;
}

void
segment_free(Segment *segment)
{
	free(segment->bytes);
	segment->bytes = NULL;
}

/* Read a whole file into malloc'd memory.  Returns NULL after a message. */
static uint8 *
read_file(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	struct stat st;
	uint8	   *bytes;

	if (file == NULL || fstat(fileno(file), &st) != 0)
	{
		terminal_message("could not open file \"%s\": %m", path);
		if (file != NULL)
			fclose(file);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_SIZE)
	{
		terminal_message("\"%s\" is no file of a segment's size", path);
		fclose(file);
		return NULL;
	}
	*len = (size_t) st.st_size;
	bytes = malloc(Max(*len, 1));
	if (bytes == NULL || fread(bytes, 1, *len, file) != *len)
	{
		terminal_message("could not read file \"%s\"", path);
		free(bytes);
		bytes = NULL;
	}
	fclose(file);
	return bytes;
}

/*
 * Take what the first page header says, and find the end of the pages that
 * belong to this segment; a recycled file has old pages after the new ones.
 */
static bool
read_layout(Segment *segment)
{
	const uint8 *bytes = segment->bytes;
	WsCodecParams *params = &segment->params;
	uint32		block_size;

	if (segment->len < WZ_PAGE_LONG ||
		(ws_bytes_get16(bytes + WZ_PAGE_INFO) & WZ_PAGE_IS_LONG) == 0)
		return false;
	params->level = 1;
	params->wal_page_magic = ws_bytes_get16(bytes + WZ_PAGE_MAGIC);
	params->wal_segment_size = ws_bytes_get32(bytes + WZ_PAGE_SHORT + 8);
	params->wal_block_size = block_size = ws_bytes_get32(bytes + WZ_PAGE_SHORT + 12);
	segment->start = ws_bytes_get64(bytes + WZ_PAGE_ADDR);
	if (!ws_segment_sizes_valid(params->wal_block_size, params->wal_segment_size) ||
		ws_segment_offset(segment->start, params->wal_segment_size) != 0 ||
		segment->len > params->wal_segment_size)
		return false;

	for (segment->used = 0; segment->used < segment->len;
		 segment->used += block_size)
	{
		const uint8 *page = bytes + segment->used;

		if (segment->len - segment->used < WZ_PAGE_SHORT ||
			ws_bytes_get16(page + WZ_PAGE_MAGIC) != params->wal_page_magic ||
			ws_bytes_get64(page + WZ_PAGE_ADDR) != segment->start + segment->used)
			break;
	}
	segment->used = Min(segment->used, segment->len);
	return true;
}

/*
 * Add up the decoded lengths of the blocks at p, at most limit bytes.  The
 * blocks must end with the file.
 */
static bool
measure_blocks(const uint8 *p, const uint8 *end, size_t limit, size_t *len)
{
	for (*len = 0; end - p >= BLOCK_HEADER;)
	{
		uint32		raw_len = ws_bytes_get32(p);
		uint32		encoded_len = ws_bytes_get32(p + 4);

		if (raw_len == 0 || raw_len > SEGMENT_BLOCK || raw_len > limit - *len ||
			encoded_len > (size_t) (end - p - BLOCK_HEADER))
			return false;
		p += BLOCK_HEADER + encoded_len;
		*len += raw_len;
	}
	return *len > 0 && end - p == BLOCKS_END && ws_bytes_get32(p) == 0;
}

/* Decode the blocks at p, for which measure_blocks has found len bytes. */
static bool
decode_blocks(void *decoder, XLogRecPtr start, const uint8 *p, uint8 *out,
			  size_t len)
{
	for (size_t pos = 0; pos < len;)
	{
		uint32		raw_len = ws_bytes_get32(p);
		uint32		encoded_len = ws_bytes_get32(p + 4);

		if (ws_codec_walz.decode(decoder, start + pos, p + BLOCK_HEADER,
								 encoded_len, out + pos, raw_len) != WS_OK ||
			ws_frame_content_crc(start + pos, out + pos, raw_len) != ws_bytes_get32(p + 8))
			return false;
		p += BLOCK_HEADER + encoded_len;
		pos += raw_len;
		terminal_progress(pos, len);
	}
	return true;
}

/*
 * Check that an encoded file's header agrees with the segment's first page.
 * The header has no CRC, but the page has.
 */
static bool
header_goes_with(Segment *segment)
{
	XLogRecPtr	start = segment->start;
	WsCodecParams params = segment->params;

	return read_layout(segment) && segment->start == start &&
		segment->params.wal_page_magic == params.wal_page_magic &&
		segment->params.wal_block_size == params.wal_block_size &&
		segment->params.wal_segment_size == params.wal_segment_size;
}

/*
 * The segment's bytes are an encoded file; replace them by the decoded bytes.
 * Returns NULL, or the reason for a failure.
 */
static const char *
decode_file(Segment *segment)
{
	const uint8 *bytes = segment->bytes;
	const uint8 *end = bytes + segment->len;
	Segment		decoded = *segment;
	WsCodecParams *params = &decoded.params;
	const char *why = NULL;
	void	   *decoder;

	if (segment->len < FILE_HEADER || ws_bytes_get16(bytes + 4) != FILE_VERSION)
		return "damaged, or of a version that this program does not know";
	params->level = 1;
	params->wal_page_magic = ws_bytes_get16(bytes + 6);
	decoded.start = ws_bytes_get64(bytes + 8);
	params->wal_block_size = ws_bytes_get32(bytes + 16);
	params->wal_segment_size = ws_bytes_get32(bytes + 20);
	if (!ws_segment_sizes_valid(params->wal_block_size, params->wal_segment_size))
		return "damaged: sizes of WAL blocks and segments that cannot be";
	if (ws_segment_offset(decoded.start, params->wal_segment_size) != 0)
		return "damaged: not the position of a segment";
	if (!measure_blocks(bytes + FILE_HEADER, end, params->wal_segment_size,
						&decoded.len))
		return "damaged: lengths of encoded blocks";

	decoder = ws_codec_walz.decoder_new(params);
	decoded.bytes = malloc(decoded.len);
	if (decoder == NULL || decoded.bytes == NULL)
		why = "out of memory";
	else if (!decode_blocks(decoder, decoded.start, bytes + FILE_HEADER,
							decoded.bytes, decoded.len))
		why = "damaged: an encoded block";
	ws_codec_walz.decoder_free(decoder);

	if (why == NULL && !header_goes_with(&decoded))
		why = "damaged: its header does not go with its contents";
	free(why == NULL ? segment->bytes : decoded.bytes);
	if (why == NULL)
		*segment = decoded;
	return why;
}

const char *
segment_take(Segment *segment, bool *encoded)
{
	const char *why;

	*encoded = segment->len >= 4 && memcmp(segment->bytes, FILE_MAGIC, 4) == 0;
	if (*encoded)
		why = decode_file(segment);
	else
		why = read_layout(segment) ? NULL : "not a WAL segment";
	if (why != NULL)
		segment_free(segment);
	return why;
}

bool
segment_read(const char *path, Segment *segment, bool *encoded)
{
	const char *why;

	memset(segment, 0, sizeof(*segment));
	if (strlcpy(segment->path, path, sizeof(segment->path)) >=
		sizeof(segment->path))
	{
		terminal_message("name of file \"%s\" is too long", path);
		return false;
	}
	segment->bytes = read_file(path, &segment->len);
	if (segment->bytes == NULL)
		return false;
	why = segment_take(segment, encoded);
	if (why != NULL)
		terminal_message("could not use file \"%s\": %s", path, why);
	return why == NULL;
}

uint8 *
segment_encode(const Segment *segment, size_t *len)
{
	size_t		blocks = segment->len / SEGMENT_BLOCK + 1;
	size_t		bound = ws_codec_walz.encode_bound(SEGMENT_BLOCK);
	uint8	   *out = malloc(FILE_HEADER + blocks * (BLOCK_HEADER + bound) + BLOCKS_END);
	void	   *encoder = ws_codec_encoder_new(&ws_codec_walz, &segment->params);
	uint8	   *p = out;
	bool		good = out != NULL && encoder != NULL;

	if (good)
	{
		memcpy(p, FILE_MAGIC, 4);
		ws_bytes_put16(p + 4, FILE_VERSION);
		ws_bytes_put16(p + 6, segment->params.wal_page_magic);
		ws_bytes_put64(p + 8, segment->start);
		ws_bytes_put32(p + 16, segment->params.wal_block_size);
		ws_bytes_put32(p + 20, segment->params.wal_segment_size);
		p += FILE_HEADER;
	}
	for (size_t pos = 0; good && pos < segment->len;)
	{
		size_t		n = Min(segment->len - pos, SEGMENT_BLOCK);
		XLogRecPtr	lsn = segment->start + pos;
		size_t		encoded_len;

		good = ws_codec_walz.encode(encoder, lsn, segment->bytes + pos, n,
									p + BLOCK_HEADER, bound,
									&encoded_len) == WS_OK;
		ws_bytes_put32(p, n);
		ws_bytes_put32(p + 4, encoded_len);
		ws_bytes_put32(p + 8, ws_frame_content_crc(lsn, segment->bytes + pos, n));
		p += BLOCK_HEADER + encoded_len;
		pos += n;
		terminal_progress(pos, segment->len);
	}
	ws_codec_encoder_free(encoder);
	if (!good)
	{
		terminal_message("could not encode file \"%s\"", segment->path);
		free(out);
		return NULL;
	}
	ws_bytes_put32(p, 0);
	*len = p + BLOCKS_END - out;
	return out;
}
