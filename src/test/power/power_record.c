/*-------------------------------------------------------------------------
 *
 * power_record.c
 *	  Records, in the order in which they happen, what the processes of a
 *	  server do to the files of one directory, so that the directory can be
 *	  rebuilt as a power cut at any moment may leave it.
 *
 * Preloaded by tests.  POWER_DIR names the directory, POWER_LOG the file that
 * all processes append to.  Each call and its record are one step for all of
 * them: a POSIX lock on the log is held meanwhile (not flock(), whose lock
 * forked processes share).
 *
 * The replication messages that this server sends are recorded too: which
 * positions it has acknowledged upstream, and what it has served.
 *
 * A record is a header line and, where noted, that many bytes and a line
 * feed.  A path is relative to the directory, which itself is "".
 *
 *	create INO PATH				a file that was not there before
 *	mkdir INO PATH
 *	write INO OFFSET BYTES		followed by them
 *	allocate INO OFFSET BYTES	zeros, where the file ends before that
 *	truncate INO BYTES
 *	fsync INO PATH				it has succeeded
 *	fdatasync INO PATH
 *	rename BYTES BYTES			followed by old and new path, together
 *	link BYTES BYTES			likewise
 *	unlink PATH
 *	rmdir PATH
 *	stream PID BYTES			followed by a START_REPLICATION command sent
 *	ack PID WRITE FLUSH APPLY	positions in hexadecimal
 *	served PID LSN				WAL up to here was sent, uncompressed
 *	unknown WHAT PATH			a change of which this cannot tell what it was
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "power_path.h"

#define EXPORT __attribute__((visibility("default")))

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

/* How much of the current message was sent on a socket. */
typedef struct SentMessage
{
	unsigned char head[64];
	size_t		have;			/* bytes of it in head */
	size_t		len;			/* of the whole message; 0: not known yet */
	size_t		passed;			/* bytes of it sent so far */
} SentMessage;

static SentMessage sent_messages[1024];

static int	log_fd = -1;
static int	depth = 0;			/* our own calls are not recorded */

#define REAL(name) \
	({ \
		static __typeof__(&name) real_##name = NULL; \
		if (real_##name == NULL) \
			real_##name = (__typeof__(&name)) dlsym(RTLD_NEXT, #name); \
		real_##name; \
	})

static void
__attribute__((constructor))
begin(void)
{
	const char *dir = getenv("POWER_DIR");
	const char *name = getenv("POWER_LOG");
	int			fd;

	if (dir == NULL || name == NULL)
		return;
	if (realpath(dir, power_dir) == NULL ||
		(fd = REAL(open) (name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0)
	{
		perror("power_record");
		_exit(1);
	}
	/* keep away from the server's own descriptors */
	log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 800);
	REAL(close) (fd);
}

/* These two functions keep errno. */
static void
lock_log(void)
{
	struct flock lock = {.l_type = F_WRLCK,.l_whence = SEEK_SET};
	int			save_errno = errno;

	depth++;
	while (fcntl(log_fd, F_SETLKW, &lock) != 0 && errno == EINTR)
		;
	errno = save_errno;
}

static void
unlock_log(void)
{
	struct flock lock = {.l_type = F_UNLCK,.l_whence = SEEK_SET};
	int			save_errno = errno;

	fcntl(log_fd, F_SETLK, &lock);
	depth--;
	errno = save_errno;
}

static void
append(const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0)
	{
		ssize_t		written = REAL(write) (log_fd, from, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			perror("power_record");
			_exit(1);
		}
		from += written;
		len -= written;
	}
}

static void
__attribute__((format(printf, 1, 2)))
record(const char *format,...)
{
	char		line[2 * PATH_MAX];
	int			save_errno = errno;
	va_list		args;

	va_start(args, format);
	append(line, vsnprintf(line, sizeof(line), format, args));
	va_end(args);
	errno = save_errno;
}

static void
record_bytes(const void *bytes, size_t len)
{
	int			save_errno = errno;

	append(bytes, len);
	append("\n", 1);
	errno = save_errno;
}

/*
 * The watched file that fd refers to; NULL without a log and in our own calls.
 */
static PowerFile *
watched(int fd)
{
	return log_fd < 0 || depth > 0 ? NULL : power_file(fd);
}

static const char *
watched_path(const char *path, char *buf)
{
	return log_fd < 0 || depth > 0 ? NULL : power_below(path, buf);
}

/*
 * Opening and closing
 */

static int
open_watched(int fd, const char *below, bool existed, int flags)
{
	struct stat st;

	if (fd < 0)
		return fd;
	power_remember(fd, below);
	if (fstat(fd, &st) == 0)
	{
		if (!existed)
			record("create %ju %s\n", (uintmax_t) st.st_ino, below);
		else if (flags & O_TRUNC)
			record("truncate %ju 0\n", (uintmax_t) st.st_ino);
	}
	return fd;
}

#define DEFINE_OPEN(name) \
EXPORT int \
name(const char *path, int flags,...) \
{ \
	char		buf[PATH_MAX]; \
	const char *below = watched_path(path, buf); \
	struct stat st; \
	va_list		args; \
	mode_t		mode; \
	bool		existed; \
	int			fd; \
\
	va_start(args, flags); \
	mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0; \
	va_end(args); \
	if (below == NULL) \
		return REAL(name) (path, flags, mode); \
	lock_log(); \
	existed = lstat(path, &st) == 0; \
	fd = open_watched(REAL(name) (path, flags, mode), below, existed, flags); \
	unlock_log(); \
	return fd; \
}

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

/* Paths are relative to the current directory, or absolute. */
#define DEFINE_OPENAT(name, open_name) \
EXPORT int \
name(int dirfd, const char *path, int flags,...) \
{ \
	va_list		args; \
	mode_t		mode; \
\
	va_start(args, flags); \
	mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0; \
	va_end(args); \
	if (path[0] == '/' || dirfd == AT_FDCWD) \
		return open_name(path, flags, mode); \
	return REAL(name) (dirfd, path, flags, mode); \
}

DEFINE_OPENAT(openat, open)
DEFINE_OPENAT(openat64, open64)

EXPORT int
creat(const char *path, mode_t mode)
{
	return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What stdio writes is not recorded. */
#define DEFINE_FOPEN(name) \
EXPORT FILE * \
name(const char *path, const char *mode) \
{ \
	char		buf[PATH_MAX]; \
	const char *below = watched_path(path, buf); \
\
	if (below != NULL && strpbrk(mode, "wa+") != NULL) \
	{ \
		lock_log(); \
		record("unknown fopen %s\n", below); \
		unlock_log(); \
	} \
	return REAL(name) (path, mode); \
}

DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

EXPORT int
close(int fd)
{
	if (depth == 0)
		power_forget(fd);
	if (fd >= 0 && fd < (int) lengthof(sent_messages))
		memset(&sent_messages[fd], 0, sizeof(SentMessage));
	return REAL(close) (fd);
}

/*
 * Contents
 */

static void
record_write(PowerFile *file, off_t offset, const struct iovec *iov, int iovcnt, size_t len)
{
	int			save_errno = errno;

	record("write %ju %jd %zu\n", (uintmax_t) file->ino, (intmax_t) offset, len);
	for (int i = 0; i < iovcnt && len > 0; i++)
	{
		size_t		part = iov[i].iov_len < len ? iov[i].iov_len : len;

		append(iov[i].iov_base, part);
		len -= part;
	}
	append("\n", 1);
	errno = save_errno;
}

/* The position at which a write at the file's position will take place. */
static off_t
position_before(int fd)
{
	struct stat st;

	if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &st) == 0)
		return st.st_size;
	return lseek(fd, 0, SEEK_CUR);
}

EXPORT ssize_t
writev(int fd, const struct iovec *iov, int iovcnt)
{
	PowerFile  *file = watched(fd);
	off_t		offset;
	ssize_t		written;

	if (file == NULL)
		return REAL(writev) (fd, iov, iovcnt);
	lock_log();
	offset = position_before(fd);
	written = REAL(writev) (fd, iov, iovcnt);
	if (written > 0)
		record_write(file, offset, iov, iovcnt, written);
	unlock_log();
	return written;
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	struct iovec iov = {.iov_base = (void *) buf,.iov_len = len};

	return watched(fd) != NULL ? writev(fd, &iov, 1) : REAL(write) (fd, buf, len);
}

#define DEFINE_PWRITE(name) \
EXPORT ssize_t \
name(int fd, const void *buf, size_t len, off_t offset) \
{ \
	struct iovec iov = {.iov_base = (void *) buf, .iov_len = len}; \
	PowerFile  *file = watched(fd); \
	ssize_t		written; \
\
	if (file == NULL) \
		return REAL(name) (fd, buf, len, offset); \
	lock_log(); \
	written = REAL(name) (fd, buf, len, offset); \
	if (written > 0) \
		record_write(file, offset, &iov, 1, written); \
	unlock_log(); \
	return written; \
}

DEFINE_PWRITE(pwrite)
DEFINE_PWRITE(pwrite64)

#define DEFINE_PWRITEV(name) \
EXPORT ssize_t \
name(int fd, const struct iovec *iov, int iovcnt, off_t offset) \
{ \
	PowerFile  *file = watched(fd); \
	ssize_t		written; \
\
	if (file == NULL) \
		return REAL(name) (fd, iov, iovcnt, offset); \
	lock_log(); \
	written = REAL(name) (fd, iov, iovcnt, offset); \
	if (written > 0) \
		record_write(file, offset, iov, iovcnt, written); \
	unlock_log(); \
	return written; \
}

DEFINE_PWRITEV(pwritev)
DEFINE_PWRITEV(pwritev64)

#define DEFINE_FTRUNCATE(name) \
EXPORT int \
name(int fd, off_t len) \
{ \
	PowerFile  *file = watched(fd); \
	int			result; \
\
	if (file == NULL) \
		return REAL(name) (fd, len); \
	lock_log(); \
	result = REAL(name) (fd, len); \
	if (result == 0) \
		record("truncate %ju %jd\n", (uintmax_t) file->ino, (intmax_t) len); \
	unlock_log(); \
	return result; \
}

DEFINE_FTRUNCATE(ftruncate)
DEFINE_FTRUNCATE(ftruncate64)

/*
 * The real call of fallocate() or posix_fallocate(); both return 0 on success.
 */
#define ALLOCATE(call) \
	PowerFile  *file = watched(fd); \
	int			result; \
\
	if (file == NULL) \
		return call; \
	lock_log(); \
	result = call; \
	if (result == 0) \
		record("allocate %ju %jd %jd\n", (uintmax_t) file->ino, \
			   (intmax_t) offset, (intmax_t) len); \
	unlock_log(); \
	return result

EXPORT int
posix_fallocate(int fd, off_t offset, off_t len)
{
	ALLOCATE(REAL(posix_fallocate) (fd, offset, len));
}

EXPORT int
posix_fallocate64(int fd, off64_t offset, off64_t len)
{
	ALLOCATE(REAL(posix_fallocate64) (fd, offset, len));
}

static int
allocate_plain(int fd, off_t offset, off_t len)
{
	ALLOCATE(REAL(fallocate) (fd, 0, offset, len));
}

static void
note_unknown(const char *what, int fd)
{
	PowerFile  *file = watched(fd);

	if (file == NULL)
		return;
	lock_log();
	record("unknown %s %s\n", what, file->path);
	unlock_log();
}

EXPORT int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (mode == 0)
		return allocate_plain(fd, offset, len);
	note_unknown("fallocate", fd);
	return REAL(fallocate) (fd, mode, offset, len);
}

EXPORT int
fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
	return fallocate(fd, mode, offset, len);
}

EXPORT ssize_t
copy_file_range(int in, off64_t * in_offset, int out, off64_t * out_offset,
				size_t len, unsigned int flags)
{
	note_unknown("copy_file_range", out);
	return REAL(copy_file_range) (in, in_offset, out, out_offset, len, flags);
}

/*
 * Syncs. sync_file_range() does not make anything durable, and is not
 * recorded.
 */

#define DEFINE_SYNC(name) \
EXPORT int \
name(int fd) \
{ \
	PowerFile  *file = watched(fd); \
	int			result; \
\
	if (file == NULL) \
		return REAL(name) (fd); \
	lock_log(); \
	result = REAL(name) (fd); \
	if (result == 0) \
		record(#name " %ju %s\n", (uintmax_t) file->ino, file->path); \
	unlock_log(); \
	return result; \
}

DEFINE_SYNC(fsync)
DEFINE_SYNC(fdatasync)

/*
 * Names
 */

static void
record_two(const char *what, const char *old, const char *new)
{
	char		both[2 * PATH_MAX];

	record("%s %zu %zu\n", what, strlen(old), strlen(new));
	record_bytes(both, snprintf(both, sizeof(both), "%s%s", old, new));
}

static int
name_twice(const char *what, int (*call) (const char *, const char *),
		   const char *old, const char *new)
{
	char		old_buf[PATH_MAX],
				new_buf[PATH_MAX];
	const char *old_below = watched_path(old, old_buf);
	const char *new_below = watched_path(new, new_buf);
	int			result;

	if (old_below == NULL && new_below == NULL)
		return call(old, new);
	lock_log();
	result = call(old, new);
	if (result == 0)
	{
		if (old_below == NULL || new_below == NULL)
			record("unknown %s %s\n", what, old_below ? old_below : new_below);
		else
			record_two(what, old_below, new_below);
	}
	unlock_log();
	return result;
}

EXPORT int
rename(const char *old, const char *new)
{
	return name_twice("rename", REAL(rename), old, new);
}

EXPORT int
link(const char *old, const char *new)
{
	return name_twice("link", REAL(link), old, new);
}

#define DEFINE_REMOVE(name) \
EXPORT int \
name(const char *path) \
{ \
	char		buf[PATH_MAX]; \
	const char *below = watched_path(path, buf); \
	int			result; \
\
	if (below == NULL) \
		return REAL(name) (path); \
	lock_log(); \
	result = REAL(name) (path); \
	if (result == 0) \
		record(#name " %s\n", below); \
	unlock_log(); \
	return result; \
}

DEFINE_REMOVE(unlink)
DEFINE_REMOVE(rmdir)

EXPORT int
mkdir(const char *path, mode_t mode)
{
	char		buf[PATH_MAX];
	const char *below = watched_path(path, buf);
	struct stat st;
	int			result;

	if (below == NULL)
		return REAL(mkdir) (path, mode);
	lock_log();
	result = REAL(mkdir) (path, mode);
	if (result == 0 && stat(path, &st) == 0)
		record("mkdir %ju %s\n", (uintmax_t) st.st_ino, below);
	unlock_log();
	return result;
}

/*
 * Replication messages
 */

static uint64_t
get_uint64(const unsigned char *from)
{
	uint64_t	value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

static void
record_message(const unsigned char *head, size_t have, size_t len)
{
	static const char start[] = "START_REPLICATION";

	if (head[0] == 'd' && len == 1 + 4 + 34 && head[5] == 'r')
		record("ack %d %" PRIX64 " %" PRIX64 " %" PRIX64 "\n", (int) getpid(),
			   get_uint64(head + 6), get_uint64(head + 14), get_uint64(head + 22));
	else if (head[0] == 'd' && len > 1 + 4 + 25 && head[5] == 'w')
		record("served %d %" PRIX64 "\n", (int) getpid(),
			   get_uint64(head + 6) + (len - 30));
	else if (head[0] == 'Q' && have > 5 + strlen(start) &&
			 memcmp(head + 5, start, strlen(start)) == 0)
	{
		size_t		bytes = strnlen((const char *) head + 5, have - 5);

		record("stream %d %zu\n", (int) getpid(), bytes);
		record_bytes(head + 5, bytes);
	}
}

/* Follow the messages on a socket as their bytes are sent. */
static void
follow_messages(SentMessage *message, const unsigned char *bytes, size_t len)
{
	while (len > 0)
	{
		size_t		part;

		if (message->len == 0)
		{
			/* type and length first */
			message->head[message->have++] = *bytes++;
			message->passed++;
			len--;
			if (message->have == 5)
				message->len = 1 + ((size_t) message->head[1] << 24 |
									message->head[2] << 16 |
									message->head[3] << 8 | message->head[4]);
		}
		else
		{
			size_t		room = sizeof(message->head) - message->have;

			part = message->len - message->passed;
			part = part < len ? part : len;
			room = room < part ? room : part;
			memcpy(message->head + message->have, bytes, room);
			message->have += room;
			message->passed += part;
			bytes += part;
			len -= part;
		}
		if (message->len != 0 && message->passed >= message->len)
		{
			record_message(message->head, message->have, message->len);
			memset(message, 0, sizeof(*message));
		}
	}
}

/*
 * Data that does not begin with a typed message (a startup packet, the answer
 * of one letter to a request for encryption) is ignored.
 */
EXPORT ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
	const unsigned char *first = bytes;
	SentMessage *message;
	ssize_t		sent;

	if (log_fd < 0 || depth > 0 || len <= 1 ||
		fd < 0 || fd >= (int) lengthof(sent_messages))
		return REAL(send) (fd, bytes, len, flags);
	message = &sent_messages[fd];
	if (message->passed == 0 &&
		!((first[0] >= 'A' && first[0] <= 'Z') || (first[0] >= 'a' && first[0] <= 'z')
		  || (first[0] >= '1' && first[0] <= '3')))
		return REAL(send) (fd, bytes, len, flags);

	lock_log();
	sent = REAL(send) (fd, bytes, len, flags);
	if (sent > 0)
		follow_messages(message, bytes, sent);
	unlock_log();
	return sent;
}
