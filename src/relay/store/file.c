/*-------------------------------------------------------------------------
 *
 * file.c
 *	  Files of a store: names, and making what is written to them durable.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "relay/store/file.h"
#include "storage/fd.h"
#include "utils/wait_event.h"

#define SEGMENT_NAME_LEN	24
#define HISTORY_NAME_LEN	8

static const char *const form_suffixes[] = {
	[WS_SEGMENT_PARTIAL] = ".partial",
	[WS_SEGMENT_RAW] = "",
	[WS_SEGMENT_ZSTD] = ".zst",
	[WS_SEGMENT_LZ4] = ".lz4",
};

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t		len = strlen(name);
	size_t		suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/*
 * Parse a segment's name.  Returns false if its numbers are impossible with
 * this segment size.
 */
static bool
parse_segment_name(const char *name, uint32 segment_size, TimeLineID *tli,
				   XLogSegNo *segno)
{
	unsigned int id;
	unsigned int number;

	if (sscanf(name, "%08X%08X%08X", tli, &id, &number) != 3 || *tli == 0)
		return false;
	if (segment_size == 0)
		return true;
	if (number >= XLogSegmentsPerXLogId(segment_size))
		return false;
	*segno = id * (uint64) XLogSegmentsPerXLogId(segment_size) + number;
	return true;
}

int
ws_errcode_for_file(void)
{
	return ws_errno_is_no_space(errno) ?
		errcode(ERRCODE_DISK_FULL) : errcode_for_file_access();
}

WsFileKind
ws_file_classify(const char *name, uint32 segment_size, TimeLineID *tli,
				 XLogSegNo *segno, WsSegmentForm *form)
{
	size_t		digits = strspn(name, "0123456789ABCDEF");

	if (has_suffix(name, WS_TEMPORARY_SUFFIX))
		return WS_FILE_TEMPORARY;
	if (digits == HISTORY_NAME_LEN && strcmp(name + digits, ".history") == 0)
		return WS_FILE_HISTORY;
	if (digits == SEGMENT_NAME_LEN && strcmp(name + digits, WS_UNCHECKED_SUFFIX) == 0)
		return parse_segment_name(name, segment_size, tli, segno) ?
			WS_FILE_UNCHECKED : WS_FILE_UNKNOWN;
	if (digits == SEGMENT_NAME_LEN)
	{
		for (int i = 0; i < lengthof(form_suffixes); i++)
		{
			if (strcmp(name + digits, form_suffixes[i]) == 0)
			{
				*form = (WsSegmentForm) i;
				return parse_segment_name(name, segment_size, tli, segno) ?
					WS_FILE_SEGMENT : WS_FILE_UNKNOWN;
			}
		}
		return WS_FILE_UNKNOWN;
	}

	/*
	 * Names that are allowed in a store besides its own: what a file system
	 * keeps in its top directory, and hidden files such as those to which NFS
	 * renames a file that is removed while open.
	 */
	if (name[0] == '.' || strcmp(name, "lost+found") == 0 ||
		strcmp(name, WS_IDENTITY_FILE) == 0 || strcmp(name, WS_LOCK_FILE) == 0 ||
		strcmp(name, WS_SPARE_FILE) == 0 || strcmp(name, WS_XIDS_FILE) == 0 ||
		strcmp(name, WS_SEAL_FILE) == 0 || strcmp(name, WS_NAMES_FILE) == 0 ||
		strcmp(name, WS_SLOTS_DIRECTORY) == 0 ||
		strncmp(name, WS_SET_ASIDE_PREFIX, strlen(WS_SET_ASIDE_PREFIX)) == 0 ||
		strncmp(name, WS_SURPLUS_PREFIX, strlen(WS_SURPLUS_PREFIX)) == 0)
		return WS_FILE_OTHER;
	return WS_FILE_UNKNOWN;
}

const char *
ws_segment_form_name(WsSegmentForm form)
{
	switch (form)
	{
		case WS_SEGMENT_PARTIAL:
			return "partial";
		case WS_SEGMENT_RAW:
			return "raw";
		case WS_SEGMENT_ZSTD:
			return "zstd";
		case WS_SEGMENT_LZ4:
			return "lz4";
	}
	return "unknown";
}

void
ws_segment_file_name(const WsStore *store, TimeLineID tli, XLogSegNo segno,
					 WsSegmentForm form, char *buf)
{
	XLogFileName(buf, tli, segno, store->identity.segment_size);
	strcat(buf, form_suffixes[form]);
}

void
ws_file_path(const char *directory, const char *name, char *buf)
{
	if (snprintf(buf, MAXPGPATH, "%s/%s", directory, name) >= MAXPGPATH)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("path \"%s/%s\" is too long", directory, name));
}

void
ws_segment_path(const WsStore *store, TimeLineID tli, XLogSegNo segno,
				WsSegmentForm form, char *buf)
{
	char		name[WS_FILE_NAME_SIZE];

	ws_segment_file_name(store, tli, segno, form, name);
	ws_file_path(store->path, name, buf);
}

bool
ws_file_exists(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return true;
	if (errno != ENOENT)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not stat file \"%s\": %m", path));
	return false;
}

static void
report_wrong_type(const char *path, mode_t mode, const char *wanted)
{
	const char *what = S_ISLNK(mode) ? "symbolic link" :
		S_ISREG(mode) ? "regular file" :
		S_ISDIR(mode) ? "directory" :
		S_ISFIFO(mode) ? "named pipe" :
		S_ISSOCK(mode) ? "socket" : "device";

	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("\"%s\" is not a %s", path, wanted),
			errdetail("It is a %s.  The relay directory itself may be a symbolic link, what is in it may not.",
					  what));
}

void
ws_file_check_regular(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		report_wrong_type(path, st.st_mode, "regular file");
}

void
ws_file_check_directory(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		report_wrong_type(path, st.st_mode, "directory");
}

/*
 * Do not follow a link, and do not wait for the other end of a named pipe.
 * O_NONBLOCK has no effect on a regular file.
 */
#define OPEN_FLAGS	(O_NOFOLLOW | O_NONBLOCK | PG_BINARY)

static int
check_opened(const char *path, int fd, int (*close_file) (int fd))
{
	int			save_errno = errno;
	struct stat st;

	if (fd < 0)
	{
		ws_file_check_regular(path);
		errno = save_errno;
	}
	else if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
	{
		close_file(fd);
		report_wrong_type(path, st.st_mode, "regular file");
	}
	return fd;
}

int
ws_file_open(const char *path, int flags)
{
	return check_opened(path, BasicOpenFile(path, flags | OPEN_FLAGS), close);
}

int
ws_file_open_transient(const char *path, int flags)
{
	return check_opened(path, OpenTransientFile(path, flags | OPEN_FLAGS),
						CloseTransientFile);
}

int
ws_file_open_existing(const char *path, int flags)
{
	int			fd = ws_file_open_transient(path, flags);

	if (fd < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not open file \"%s\": %m", path));
	return fd;
}

void
ws_file_remove(const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not remove file \"%s\": %m", path));
}

char *
ws_file_read_all(const char *path, size_t max_len, size_t *len)
{
	char	   *content;
	ssize_t		got;
	int			fd = ws_file_open_transient(path, O_RDONLY);

	if (fd < 0)
	{
		if (errno == ENOENT)
			return NULL;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not open file \"%s\": %m", path));
	}

	/* one byte more, to notice a file that is too long */
	content = palloc(max_len + 1);
	got = ws_file_read(fd, content, max_len + 1, 0);
	if (got < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not read file \"%s\": %m", path));
	if (got > max_len)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" is too large", path),
				errdetail("It must not have more than %zu bytes.", max_len));
	CloseTransientFile(fd);
	content[got] = '\0';
	*len = got;
	return repalloc(content, got + 1);
}

int
ws_file_write(int fd, const char *buf, size_t len, off_t offset, uint32 wait_event)
{
	int			error = 0;

	pgstat_report_wait_start(wait_event);
	while (len > 0)
	{
		ssize_t		written;

		errno = 0;
		written = pg_pwrite(fd, buf, len, offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			/* a short write without an error means that the disk is full */
			error = errno != 0 ? errno : ENOSPC;
			break;
		}
		buf += written;
		len -= written;
		offset += written;
	}
	pgstat_report_wait_end();
	return error;
}

int
ws_file_sync(int fd)
{
	int			result;

	while ((result = pg_fsync(fd)) != 0 && errno == EINTR)
		;
	return result == 0 ? 0 : errno;
}

int
ws_file_datasync(int fd)
{
	int			result;

	while ((result = pg_fdatasync(fd)) != 0 && errno == EINTR)
		;
	return result == 0 ? 0 : errno;
}

int
ws_file_close(int fd)
{
	return close(fd) == 0 || errno == EINTR ? 0 : errno;
}

ssize_t
ws_file_read(int fd, char *buf, size_t len, off_t offset)
{
	size_t		total = 0;
	int			save_errno;

	pgstat_report_wait_start(WAIT_EVENT_WAL_READ);
	while (total < len)
	{
		ssize_t		got = pg_pread(fd, buf + total, len - total, offset + total);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
		{
			save_errno = errno;
			pgstat_report_wait_end();
			errno = save_errno;
			return -1;
		}
		if (got == 0)
			break;
		total += got;
	}
	pgstat_report_wait_end();
	return total;
}

bool
ws_directory_sync_ext(const char *path, int elevel)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	int			error;

	if (fd < 0)
	{
		/* our own directories are readable; a store's parent may not be */
		if (errno == EACCES)
			return true;
		ereport(elevel,
				ws_errcode_for_file(),
				errmsg("could not open directory \"%s\": %m", path));
		return false;
	}

	/* some file systems cannot sync directories */
	error = ws_file_sync(fd);
	if (error == EBADF || error == EINVAL)
		error = 0;
	if (CloseTransientFile(fd) != 0 && errno != EINTR && error == 0)
		error = errno;
	if (error != 0)
	{
		errno = error;
		ereport(elevel,
				ws_errcode_for_file(),
				errmsg("could not fsync file \"%s\": %m", path));
		return false;
	}
	return true;
}

void
ws_directory_sync(const char *path)
{
	(void) ws_directory_sync_ext(path, ERROR);
}

int
ws_file_rename_only(const char *directory, const char *from, const char *to)
{
	char		from_path[MAXPGPATH];
	char		to_path[MAXPGPATH];

	ws_file_path(directory, from, from_path);
	ws_file_path(directory, to, to_path);
	return rename(from_path, to_path) == 0 ? 0 : errno;
}

int
ws_file_rename(const char *directory, const char *from, const char *to)
{
	int			error = ws_file_rename_only(directory, from, to);

	if (error == 0)
		ws_directory_sync(directory);
	return error;
}

bool
ws_file_replace(const char *directory, const char *name, const char *content,
				size_t len, int elevel)
{
	return ws_file_replace_only(directory, name, content, len, elevel) &&
		ws_directory_sync_ext(directory, elevel);
}

bool
ws_file_replace_only(const char *directory, const char *name, const char *content,
					 size_t len, int elevel)
{
	char		temporary[WS_FILE_NAME_SIZE];
	char		path[MAXPGPATH];
	int			fd;
	int			error;

	snprintf(temporary, sizeof(temporary), "%s" WS_TEMPORARY_SUFFIX, name);
	ws_file_path(directory, temporary, path);
	fd = ws_file_open_transient(path, O_CREAT | O_TRUNC | O_WRONLY);
	if (fd < 0)
	{
		ereport(elevel,
				ws_errcode_for_file(),
				errmsg("could not create file \"%s\": %m", path));
		return false;
	}
	error = ws_file_write(fd, content, len, 0, WAIT_EVENT_WAL_WRITE);
	if (error == 0)
		error = ws_file_sync(fd);
	if (CloseTransientFile(fd) != 0 && errno != EINTR && error == 0)
		error = errno;
	if (error == 0)
		error = ws_file_rename_only(directory, temporary, name);
	if (error != 0)
	{
		unlink(path);
		errno = error;
		ereport(elevel,
				ws_errcode_for_file(),
				errmsg("could not write file \"%s/%s\": %m", directory, name));
	}
	return error == 0;
}
