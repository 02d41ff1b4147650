/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Reads a segment's file, in whatever form it is kept.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "relay/store/file.h"
#include "relay/store/segment.h"
#include "storage/fd.h"

/*
 * The order in which a segment's forms are looked for.  An open file beside a
 * closed one does not count.  Since a segment gets a new form before it loses
 * the old one, it is found even if its form changes meanwhile.
 */
static const WsSegmentForm form_order[] = {
	WS_SEGMENT_RAW, WS_SEGMENT_ZSTD, WS_SEGMENT_LZ4,
	WS_SEGMENT_PARTIAL, WS_SEGMENT_RAW, WS_SEGMENT_ZSTD, WS_SEGMENT_LZ4
};

static void
report_foreign(const WsSegmentFile *file, const char *what, uint64 found, uint64 expected)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("file \"%s\" is not a WAL segment of this relay", file->path),
			errdetail("Its first page has %s " UINT64_FORMAT " instead of " UINT64_FORMAT ".",
					  what, found, expected));
}

void
ws_segment_check_first_page(const WsStore *store, WsSegmentFile *file)
{
	XLogLongPageHeaderData header;
	XLogRecPtr	address = ws_segment_lsn(file->segno, file->segment_size);

	ws_segment_read(file, 0, (char *) &header, sizeof(header));

	/* an open file may end within the header, and zeros follow */
	if (file->form == WS_SEGMENT_PARTIAL && header.xlp_xlog_blcksz == 0)
		return;

	if (header.std.xlp_magic != XLOG_PAGE_MAGIC)
		report_foreign(file, "magic number", header.std.xlp_magic, XLOG_PAGE_MAGIC);
	if ((header.std.xlp_info & XLP_LONG_HEADER) == 0)
		report_foreign(file, "info bits", header.std.xlp_info, XLP_LONG_HEADER);
	if (header.xlp_sysid != store->identity.system_identifier)
		report_foreign(file, "system identifier", header.xlp_sysid,
					   store->identity.system_identifier);
	if (header.xlp_seg_size != store->identity.segment_size)
		report_foreign(file, "segment size", header.xlp_seg_size,
					   store->identity.segment_size);
	if (header.xlp_xlog_blcksz != store->identity.block_size)
		report_foreign(file, "block size", header.xlp_xlog_blcksz,
					   store->identity.block_size);
	if (header.std.xlp_pageaddr != address)
		report_foreign(file, "address", header.std.xlp_pageaddr, address);
	if (header.std.xlp_tli == 0 || header.std.xlp_tli > file->tli)
		report_foreign(file, "timeline", header.std.xlp_tli, file->tli);
}

/* A closed raw segment must have its full size. */
static void
check_size(WsSegmentFile *file)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not stat file \"%s\": %m", file->path));
	if (st.st_size > file->segment_size ||
		(file->form == WS_SEGMENT_RAW && st.st_size != file->segment_size))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("WAL segment file \"%s\" has an incorrect size", file->path),
				errdetail("It has %lld bytes instead of %u.",
						  (long long) st.st_size, file->segment_size));
}

bool
ws_segment_open_path(const WsStore *store, const char *path, WsSegmentForm form,
					 WsSegmentFile *file)
{
	bool		is_compressed = form == WS_SEGMENT_ZSTD || form == WS_SEGMENT_LZ4;

	memset(file, 0, sizeof(*file));
	strlcpy(file->path, path, MAXPGPATH);
	file->form = form;
	file->segment_size = store->identity.segment_size;
	file->fd = ws_file_open(path, O_RDONLY);
	if (file->fd < 0)
	{
		if (errno == ENOENT)
			return false;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not open file \"%s\": %m", path));
	}

	if (is_compressed)
		file->decompressor = ws_decompressor_new(form);
	else
		check_size(file);
	return true;
}

bool
ws_segment_open_form(const WsStore *store, TimeLineID tli, XLogSegNo segno,
					 WsSegmentForm form, WsSegmentFile *file)
{
	char		path[MAXPGPATH];

	ws_segment_path(store, tli, segno, form, path);
	if (!ws_segment_open_path(store, path, form, file))
		return false;
	file->tli = tli;
	file->segno = segno;
	return true;
}

bool
ws_segment_open(const WsStore *store, TimeLineID tli, XLogSegNo segno,
				WsSegmentFile *file)
{
	for (int i = 0; i < lengthof(form_order); i++)
	{
		if (ws_segment_open_form(store, tli, segno, form_order[i], file))
		{
			ws_segment_check_first_page(store, file);
			return true;
		}
	}
	return false;
}

void
ws_segment_read(WsSegmentFile *file, uint32 offset, char *buf, size_t len)
{
	ssize_t		got;

	Assert(offset + len <= file->segment_size);
	if (file->decompressor != NULL)
	{
		ws_decompressor_read(file->decompressor, file, offset, buf, len);
		return;
	}

	got = ws_file_read(file->fd, buf, len, offset);
	if (got < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not read file \"%s\": %m", file->path));
	if (got < len)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("WAL segment file \"%s\" is too short", file->path),
				errdetail("Of %zu bytes at offset %u only %zd are there.",
						  len, offset, got));
}

bool
ws_segment_is_stale(const WsSegmentFile *file)
{
	struct stat opened;
	struct stat named;

	if (file->form != WS_SEGMENT_PARTIAL)
		return false;
	return fstat(file->fd, &opened) != 0 || lstat(file->path, &named) != 0 ||
		opened.st_dev != named.st_dev || opened.st_ino != named.st_ino;
}

void
ws_segment_close(WsSegmentFile *file)
{
	if (file->decompressor != NULL)
		ws_decompressor_free(file->decompressor);
	if (file->fd >= 0)
		close(file->fd);
	memset(file, 0, sizeof(*file));
	file->fd = -1;
}
