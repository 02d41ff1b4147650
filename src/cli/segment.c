/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  WAL segment files, and files that hold one encoded.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <sys/stat.h>
#include <unistd.h>

#include "frame.h"
#include "segment.h"
#include "terminal.h"
#include "walz_cursor.h"

#define FILE_MAGIC			"WALZ"
#define FILE_VERSION		1
#define FILE_HEADER			24
#define BLOCK_HEADER		12
#define BLOCKS_END			4

/* no file that we read is larger than a segment can be, and a little */
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

/* The whole file, malloc'd; NULL with a message. */
static uint8 *
read_file(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	struct stat st;
	uint8	   *bytes;

	if (file == NULL || fstat(fileno(file), &st) != 0)
	{
		fprintf(stderr, "walz: could not open file \"%s\": %s\n", path,
				strerror(errno));
		if (file != NULL)
			fclose(file);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_SIZE)
	{
		fprintf(stderr, "walz: \"%s\" is no file of a segment's size\n", path);
		fclose(file);
		return NULL;
	}
	*len = (size_t) st.st_size;
	bytes = malloc(*len + 1);
	if (bytes == NULL || fread(bytes, 1, *len, file) != *len)
	{
		fprintf(stderr, "walz: could not read file \"%s\"\n", path);
		free(bytes);
		bytes = NULL;
	}
	fclose(file);
	return bytes;
}

/*
 * What the first page's header says, and up to where pages belong to this
 * segment: a file that has been recycled holds old pages behind the new.
 */
static bool
read_layout(Segment *segment)
{
	const uint8 *bytes = segment->bytes;
	WsCodecParams *params = &segment->params;
	uint32		block_size;

	if (segment->len < WZ_PAGE_LONG ||
		(wz_get16(bytes + WZ_PAGE_INFO) & WZ_PAGE_IS_LONG) == 0)
		return false;
	params->level = 1;
	params->wal_page_magic = wz_get16(bytes + WZ_PAGE_MAGIC);
	params->wal_segment_size = wz_get32(bytes + WZ_PAGE_SHORT + 8);
	params->wal_block_size = block_size = wz_get32(bytes + WZ_PAGE_SHORT + 12);
	segment->start = wz_get64(bytes + WZ_PAGE_ADDR);
	if (block_size < 1024 || (block_size & (block_size - 1)) != 0 ||
		params->wal_segment_size < block_size ||
		segment->start % params->wal_segment_size != 0 ||
		segment->len > params->wal_segment_size)
		return false;

	for (segment->used = 0; segment->used < segment->len;
		 segment->used += block_size)
	{
		const uint8 *page = bytes + segment->used;

		if (segment->len - segment->used < WZ_PAGE_SHORT ||
			wz_get16(page + WZ_PAGE_MAGIC) != params->wal_page_magic ||
			wz_get64(page + WZ_PAGE_ADDR) != segment->start + segment->used)
			break;
	}
	segment->used = Min(segment->used, segment->len);
	return true;
}

static bool
malformed(const Segment *segment, const char *why)
{
	fprintf(stderr, "walz: file \"%s\" is damaged: %s\n", segment->path, why);
	return false;
}

/* segment->bytes are those of an encoded file: replace them by the segment. */
static bool
decode_file(Segment *segment)
{
	const uint8 *p = segment->bytes;
	const uint8 *end = p + segment->len;
	uint8	   *out = NULL;
	size_t		len = 0;
	void	   *decoder;
	bool		good = false;

	if (segment->len < FILE_HEADER || wz_get16(p + 4) != FILE_VERSION)
		return malformed(segment, "not a format that this program knows");
	segment->params.level = 1;
	segment->params.wal_page_magic = wz_get16(p + 6);
	segment->start = wz_get64(p + 8);
	segment->params.wal_block_size = wz_get32(p + 16);
	segment->params.wal_segment_size = wz_get32(p + 20);
	p += FILE_HEADER;
	if (segment->params.wal_segment_size > MAX_FILE_SIZE)
		return malformed(segment, "segment size");

	decoder = ws_codec_walz.decoder_new(&segment->params);
	out = malloc((size_t) segment->params.wal_segment_size + 1);
	if (decoder == NULL || out == NULL)
		fprintf(stderr, "walz: out of memory\n");
	else
	{
		for (;;)
		{
			uint32		raw_len = end - p >= 4 ? wz_get32(p) : 1;
			uint32		encoded_len;
			XLogRecPtr	lsn = segment->start + len;

			if (raw_len == 0)
			{
				good = end - p == 4;
				break;
			}
			if (end - p < BLOCK_HEADER || raw_len > SEGMENT_BLOCK ||
				raw_len > segment->params.wal_segment_size - len ||
				(encoded_len = wz_get32(p + 4)) > (size_t) (end - p - BLOCK_HEADER) ||
				ws_codec_walz.decode(decoder, lsn, p + BLOCK_HEADER, encoded_len,
									 out + len, raw_len) != WS_OK ||
				ws_frame_content_crc(lsn, out + len, raw_len) != wz_get32(p + 8))
				break;
			p += BLOCK_HEADER + encoded_len;
			len += raw_len;
		}
		if (!good)
			malformed(segment, "an encoded block");
	}
	ws_codec_walz.decoder_free(decoder);
	free(segment->bytes);
	segment->bytes = out;
	segment->len = segment->used = len;
	return good;
}

bool
segment_read(const char *path, Segment *segment, bool *encoded)
{
	bool		is_encoded;

	memset(segment, 0, sizeof(*segment));
	strlcpy(segment->path, path, sizeof(segment->path));
	segment->bytes = read_file(path, &segment->len);
	if (segment->bytes == NULL)
		return false;
	is_encoded = segment->len >= 4 && memcmp(segment->bytes, FILE_MAGIC, 4) == 0;
	if (encoded != NULL)
		*encoded = is_encoded;
	if (is_encoded)
	{
		if (decode_file(segment))
			return true;
	}
	else if (read_layout(segment))
		return true;
	else
		fprintf(stderr, "walz: \"%s\" is not a WAL segment\n", path);
	segment_free(segment);
	return false;
}

uint8 *
segment_encode(const Segment *segment, size_t *len)
{
	size_t		blocks = segment->len / SEGMENT_BLOCK + 1;
	size_t		bound = ws_codec_walz.encode_bound(SEGMENT_BLOCK);
	uint8	   *out = malloc(FILE_HEADER + blocks * (BLOCK_HEADER + bound) + BLOCKS_END);
	void	   *encoder = ws_codec_walz.encoder_new(&segment->params);
	uint8	   *p = out;
	bool		good = out != NULL && encoder != NULL;

	if (good)
	{
		memcpy(p, FILE_MAGIC, 4);
		wz_put16(p + 4, FILE_VERSION);
		wz_put16(p + 6, segment->params.wal_page_magic);
		wz_put64(p + 8, segment->start);
		wz_put32(p + 16, segment->params.wal_block_size);
		wz_put32(p + 20, segment->params.wal_segment_size);
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
		wz_put32(p, n);
		wz_put32(p + 4, encoded_len);
		wz_put32(p + 8, ws_frame_content_crc(lsn, segment->bytes + pos, n));
		p += BLOCK_HEADER + encoded_len;
		pos += n;
		terminal_progress(pos, segment->len);
	}
	ws_codec_walz.encoder_free(encoder);
	if (!good)
	{
		terminal_message("could not encode file \"%s\"", segment->path);
		free(out);
		return NULL;
	}
	wz_put32(p, 0);
	*len = p + BLOCKS_END - out;
	return out;
}
