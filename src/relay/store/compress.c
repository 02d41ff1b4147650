/*-------------------------------------------------------------------------
 *
 * compress.c
 *	  Compresses closed segments.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <fcntl.h>
#include <lz4frame.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "relay/store/file.h"
#include "relay/store/segment.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Level 3 would make files 6 % smaller, in nearly twice the time. */
#define ZSTD_LEVEL		1
#define ZSTD_WINDOW_LOG	20		/* WS_FRAME_BYTES */

/* A segment being compressed; everything is freed with its memory context. */
typedef struct Compression
{
	WsSegmentForm form;
	uint32		segment_size;
	WsSegmentFile raw;
	WsSegmentFile compressed;	/* for reading back */
	ZSTD_CCtx  *zstd;
	LZ4F_cctx  *lz4;
	int			fd;				/* the file being written, or -1 */
	char		path[MAXPGPATH];	/* its temporary name */
	uint64		size;			/* bytes written */
	char	   *input;			/* WS_FRAME_BYTES */
	char	   *output;			/* output_bytes */
	size_t		output_bytes;
	MemoryContextCallback callback;
} Compression;

static void
release_compression(void *arg)
{
	Compression *c = arg;

	ZSTD_freeCCtx(c->zstd);
	LZ4F_freeCompressionContext(c->lz4);
	ws_segment_close(&c->raw);
	ws_segment_close(&c->compressed);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path[0] != '\0')
		unlink(c->path);
}

static void
report_codec_failure(const Compression *c, const char *why)
{
	ereport(ERROR,
			errcode(ERRCODE_INTERNAL_ERROR),
			errmsg("could not compress file \"%s\": %s", c->raw.path, why));
}

static void
report_write_failure(const Compression *c, int error)
{
	errno = error;
	ereport(ERROR,
			ws_errcode_for_file(),
			errmsg("could not write file \"%s\": %m", c->path));
}

static void
write_output(Compression *c, size_t len)
{
	int			error = ws_file_write(c->fd, c->output, len, c->size,
									  WAIT_EVENT_WAL_WRITE);

	if (error != 0)
		report_write_failure(c, error);
	c->size += len;
}

/* Write a frame for each WS_FRAME_BYTES, see store/segment.h. */
static void
compress_zstd(Compression *c)
{
	for (uint32 offset = 0; offset < c->segment_size; offset += WS_FRAME_BYTES)
	{
		size_t		len;

		CHECK_FOR_INTERRUPTS();
		ws_segment_read(&c->raw, offset, c->input, WS_FRAME_BYTES);
		len = ZSTD_compress2(c->zstd, c->output, c->output_bytes, c->input, WS_FRAME_BYTES);
		if (ZSTD_isError(len))
			report_codec_failure(c, ZSTD_getErrorName(len));
		write_output(c, len);
	}
}

static void
write_lz4(Compression *c, size_t len)
{
	if (LZ4F_isError(len))
		report_codec_failure(c, LZ4F_getErrorName(len));
	write_output(c, len);
}

/*
 * Write one frame of independent blocks, with a checksum for each block and
 * one for all.
 */
static void
compress_lz4(Compression *c, const LZ4F_preferences_t *preferences)
{
	write_lz4(c, LZ4F_compressBegin(c->lz4, c->output, c->output_bytes, preferences));
	for (uint32 offset = 0; offset < c->segment_size; offset += WS_BLOCK_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		ws_segment_read(&c->raw, offset, c->input, WS_BLOCK_BYTES);
		write_lz4(c, LZ4F_compressUpdate(c->lz4, c->output, c->output_bytes,
										 c->input, WS_BLOCK_BYTES, NULL));
	}
	write_lz4(c, LZ4F_compressEnd(c->lz4, c->output, c->output_bytes, NULL));
}

static void
compress(Compression *c)
{
	LZ4F_preferences_t preferences = {
		.frameInfo = {
			.blockSizeID = LZ4F_max256KB,
			.blockMode = LZ4F_blockIndependent,
			.contentChecksumFlag = LZ4F_contentChecksumEnabled,
			.blockChecksumFlag = LZ4F_blockChecksumEnabled,
			.contentSize = c->segment_size,
		},
		.autoFlush = 1,
	};

	c->input = palloc(WS_FRAME_BYTES);
	c->output_bytes = Max(ZSTD_compressBound(WS_FRAME_BYTES),
						  LZ4F_compressBound(WS_BLOCK_BYTES, &preferences) + LZ4F_HEADER_SIZE_MAX);
	c->output = palloc(c->output_bytes);

	if (c->form == WS_SEGMENT_LZ4)
	{
		if (LZ4F_isError(LZ4F_createCompressionContext(&c->lz4, LZ4F_VERSION)))
			report_codec_failure(c, "out of memory");
		compress_lz4(c, &preferences);
		return;
	}

	c->zstd = ZSTD_createCCtx();
	if (c->zstd == NULL ||
		ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1)))
		report_codec_failure(c, "out of memory");
	compress_zstd(c);
}

/*
 * Give the file the age of its WAL, which retention uses, and make it durable.
 * Drop it from the page cache, where the system allows that, so that it is
 * read back from the disk.
 */
static void
finish_file(Compression *c)
{
	struct stat st;
	struct timespec times[2];
	int			fd = c->fd;
	int			error;

	if (fstat(c->raw.fd, &st) != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not stat file \"%s\": %m", c->raw.path));
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (futimens(fd, times) != 0)
		report_write_failure(c, errno);

	pgstat_report_wait_start(WAIT_EVENT_WAL_SYNC);
	error = ws_file_sync(fd);
	if (error != 0)
		report_write_failure(c, error);
	pgstat_report_wait_end();
#if defined(USE_POSIX_FADVISE) && defined(POSIX_FADV_DONTNEED)
	(void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#endif
	c->fd = -1;
	error = ws_file_close(fd);
	if (error != 0)
		report_write_failure(c, error);
}

static void
compare_with_raw(const WsStore *store, Compression *c)
{
	char	   *again = palloc(WS_FRAME_BYTES);

	if (!ws_segment_open_path(store, c->path, c->form, &c->compressed))
		report_write_failure(c, ENOENT);
	for (uint32 offset = 0; offset < c->segment_size; offset += WS_FRAME_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		ws_segment_read(&c->raw, offset, c->input, WS_FRAME_BYTES);
		ws_segment_read(&c->compressed, offset, again, WS_FRAME_BYTES);
		if (memcmp(c->input, again, WS_FRAME_BYTES) != 0)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("file \"%s\" does not give what was compressed", c->path),
					errdetail("It differs in the megabyte at offset %u.", offset));
	}
}

/*
 * Get the size of a segment that is compressed already; returns false if there
 * is none.
 */
static bool
find_compressed(const WsStore *store, TimeLineID tli, XLogSegNo segno,
				WsSegmentForm form, uint64 *size)
{
	char		path[MAXPGPATH];
	struct stat st;

	ws_segment_path(store, tli, segno, form, path);
	if (lstat(path, &st) != 0)
		return false;
	*size = st.st_size;
	return true;
}

uint64
ws_store_compress(const WsStore *store, TimeLineID tli, XLogSegNo segno,
				  WsSegmentForm form)
{
	MemoryContext context;
	MemoryContext old_context;
	Compression *c;
	char		name[WS_FILE_NAME_SIZE];
	char		temporary[WS_FILE_NAME_SIZE];
	char		raw_path[MAXPGPATH];
	uint64		size;
	int			error;

	if (form != WS_SEGMENT_ZSTD && form != WS_SEGMENT_LZ4)
		elog(ERROR, "cannot compress to form %d", form);
	context = AllocSetContextCreate(CurrentMemoryContext, "walstream compression",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);
	c = palloc0(sizeof(Compression));
	c->form = form;
	c->segment_size = store->identity.segment_size;
	c->raw.fd = c->compressed.fd = c->fd = -1;
	c->callback.func = release_compression;
	c->callback.arg = c;
	MemoryContextRegisterResetCallback(context, &c->callback);

	if (!ws_segment_open_form(store, tli, segno, WS_SEGMENT_RAW, &c->raw))
	{
		ws_segment_path(store, tli, segno, WS_SEGMENT_RAW, raw_path);
		if (!find_compressed(store, tli, segno, form, &size))
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_FILE),
					errmsg("could not open file \"%s\": %m", raw_path));
		MemoryContextSwitchTo(old_context);
		MemoryContextDelete(context);
		return size;
	}
	ws_segment_check_first_page(store, &c->raw);

	ws_segment_file_name(store, tli, segno, form, name);
	snprintf(temporary, sizeof(temporary), "%s" WS_TEMPORARY_SUFFIX, name);
	ws_file_path(store->path, temporary, c->path);
	c->fd = ws_file_open(c->path, O_CREAT | O_TRUNC | O_WRONLY);
	if (c->fd < 0)
		report_write_failure(c, errno);
	compress(c);
	finish_file(c);
	compare_with_raw(store, c);

	error = ws_file_rename(store->path, temporary, name);
	if (error != 0)
		report_write_failure(c, error);
	c->path[0] = '\0';
	size = c->size;

	/*
	 * The compressed file is durable with its name, so the raw one can be
	 * removed; if it comes back after a power cut, it is removed again.
	 */
	ws_file_remove(c->raw.path);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	return size;
}
