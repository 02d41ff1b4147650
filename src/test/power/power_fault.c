/*-------------------------------------------------------------------------
 *
 * power_fault.c
 *	  Makes system calls on the files of a directory fail or wait, or its disk
 *	  full, as long as a test wants.
 *
 * Preloaded by tests.  POWER_DIR names the directory, POWER_FAULT a file that
 * is read at every call and may be missing.  Its lines:
 *
 *	CALL GLOB EIO			fsync or fdatasync of files of that name fail; what
 *							was written since they last succeeded is lost, as
 *							the kernel may drop it: it reads as zeros
 *	CALL GLOB hold			... do not return
 *	CALL GLOB EINTR			... are interrupted, every other time
 *	CALL GLOB ACTION AFTER	... only in a process that has last renamed a file
 *							to a name like AFTER
 *	create GLOB ENOSPC		files and directories of that name cannot be made
 *	link GLOB EPERM			nor can links
 *	space BYTES				what the directory's files may occupy; beyond it
 *							writing and allocating give ENOSPC
 *	quota BYTES				the same with EDQUOT
 *
 * Names are relative to the directory, which itself is ".".  Each fault that
 * was raised is written as a line to POWER_FAULT.raised.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "power_path.h"

#define EXPORT __attribute__((visibility("default")))

#define REAL(name) \
	({ \
		static __typeof__(&name) real_##name = NULL; \
		if (real_##name == NULL) \
			real_##name = (__typeof__(&name)) dlsym(RTLD_NEXT, #name); \
		real_##name; \
	})

/* What was written to a file since it was last synced; empty if equal. */
typedef struct Unsynced
{
	off_t		begin;
	off_t		end;
} Unsynced;

static char fault_name[PATH_MAX];
static char renamed[PATH_MAX];	/* the last name that this process has given */
static Unsynced unsynced[POWER_MAX_FDS];

static void
__attribute__((constructor))
begin(void)
{
	const char *dir = getenv("POWER_DIR");
	const char *name = getenv("POWER_FAULT");

	if (dir == NULL || name == NULL)
		return;
	if (realpath(dir, power_dir) == NULL)
	{
		perror("power_fault");
		_exit(1);
	}
	snprintf(fault_name, sizeof(fault_name), "%s", name);
}

/*
 * The current content of the control file as a string; "" if there is no file.
 */
static void
read_faults(char *buf, size_t size)
{
	ssize_t		len = 0;
	int			fd = REAL(open) (fault_name, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
	{
		len = read(fd, buf, size - 1);
		REAL(close) (fd);
	}
	buf[len > 0 ? len : 0] = '\0';
}

/*
 * Is there now a line "CALL GLOB ..." for this file?  Returns its action, too.
 */
static bool
find_fault(const char *call, const char *path, char *action)
{
	char		faults[4096];
	char	   *rest = faults,
			   *line;

	read_faults(faults, sizeof(faults));
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		char		line_call[32],
					glob[256],
					after[256];
		int			words = sscanf(line, "%31s %255s %31s %255s",
								   line_call, glob, action, after);

		if (words >= 3 && strcmp(line_call, call) == 0 &&
			fnmatch(glob, path, 0) == 0 &&
			(words == 3 || fnmatch(after, renamed, 0) == 0))
			return true;
	}
	return false;
}

static void
tell(const char *call, const char *path, const char *action)
{
	char		line[2 * PATH_MAX];
	char		name[PATH_MAX + 16];
	int			len;
	int			fd;

	snprintf(name, sizeof(name), "%s.raised", fault_name);
	len = snprintf(line, sizeof(line), "%s %s %s\n", call, path, action);
	fd = REAL(open) (name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
	{
		if (REAL(write) (fd, line, len) != len)
			perror("power_fault");
		REAL(close) (fd);
	}
}

static void
lose_unsynced(int fd, const char *path)
{
	static const char zeros[65536];
	char		name[2 * PATH_MAX];
	Unsynced   *range = &unsynced[fd];
	int			copy;

	/* the descriptor may be in append mode; the last name is the file's */
	snprintf(name, sizeof(name), "%s/%s", power_dir, path);
	copy = REAL(open) (name, O_WRONLY | O_CLOEXEC);
	while (copy >= 0 && range->begin < range->end)
	{
		size_t		part = range->end - range->begin;
		ssize_t		written;

		if (part > sizeof(zeros))
			part = sizeof(zeros);
		written = REAL(pwrite) (copy, zeros, part, range->begin);
		if (written <= 0)
			break;
		range->begin += written;
	}
	if (copy >= 0)
		REAL(close) (copy);
}

static bool interrupted = false;

#define DEFINE_SYNC(name) \
EXPORT int \
name(int fd) \
{ \
	PowerFile  *file = power_file(fd); \
	const char *path = file == NULL ? NULL : file->path[0] != '\0' ? file->path : "."; \
	char		action[32]; \
	bool		told = false; \
	int			result; \
\
	while (file != NULL && find_fault(#name, path, action)) \
	{ \
		if (!told) \
			tell(#name, path, action); \
		told = true; \
		if (strcmp(action, "EINTR") == 0) \
		{ \
			interrupted = !interrupted; \
			if (!interrupted) \
				break; \
			errno = EINTR; \
			return -1; \
		} \
		if (strcmp(action, "hold") != 0) \
		{ \
			lose_unsynced(fd, file->path); \
			errno = EIO; \
			return -1; \
		} \
		usleep(5000); \
	} \
	result = REAL(name) (fd); \
	if (file != NULL && result == 0) \
		unsynced[fd] = (Unsynced) {0, 0}; \
	return result; \
}

DEFINE_SYNC(fsync)
DEFINE_SYNC(fdatasync)

EXPORT int
rename(const char *old, const char *new)
{
	char		buf[PATH_MAX];
	const char *below = power_below(new, buf);
	int			result = REAL(rename) (old, new);

	if (result == 0 && below != NULL)
		snprintf(renamed, sizeof(renamed), "%s", below);
	return result;
}

/* The space that the files in a directory and its subdirectories occupy. */
static int64_t
occupied(const char *path)
{
	DIR		   *dir = opendir(path);
	struct dirent *entry;
	int64_t		bytes = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		name[PATH_MAX + 256];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (lstat(name, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			bytes += occupied(name);
		else
			bytes += st.st_size;
	}
	if (dir != NULL)
		closedir(dir);
	return bytes;
}

/*
 * Is there too little space for this file to reach that end?  Then sets errno,
 * and reports it once per process.
 */
static bool
is_full(int fd, off_t end)
{
	static bool told = false;
	PowerFile  *file = power_file(fd);
	char		faults[4096];
	const char *limit;
	bool		is_quota;
	struct stat st;

	if (file == NULL || fstat(fd, &st) != 0 || end <= st.st_size)
		return false;
	read_faults(faults, sizeof(faults));
	limit = strstr(faults, "space ");
	is_quota = limit == NULL;
	if (is_quota)
		limit = strstr(faults, "quota ");
	if (limit == NULL ||
		occupied(power_dir) + (end - st.st_size) <= strtoll(limit + 6, NULL, 10))
		return false;
	if (!told)
		tell("space", file->path, is_quota ? "EDQUOT" : "ENOSPC");
	told = true;
	errno = is_quota ? EDQUOT : ENOSPC;
	return true;
}

/*
 * Is the creation of a file of this name to fail?  Then sets errno, and
 * reports it.
 */
static bool
is_refused(const char *below)
{
	char		action[32];

	if (below == NULL || !find_fault("create", below, action))
		return false;
	tell("create", below, action);
	errno = ENOSPC;
	return true;
}

EXPORT int
mkdir(const char *path, mode_t mode)
{
	char		buf[PATH_MAX];

	return is_refused(power_below(path, buf)) ? -1 : REAL(mkdir) (path, mode);
}

EXPORT int
link(const char *old, const char *new)
{
	char		buf[PATH_MAX];
	char		action[32];
	const char *below = power_below(new, buf);

	if (below == NULL || !find_fault("link", below, action))
		return REAL(link) (old, new);
	tell("link", below, action);
	errno = EPERM;
	return -1;
}

static void
note_write(int fd, off_t offset, ssize_t len)
{
	Unsynced   *range;

	if (len <= 0 || power_file(fd) == NULL)
		return;
	range = &unsynced[fd];
	if (range->begin == range->end)
		range->begin = range->end = offset;
	if (offset < range->begin)
		range->begin = offset;
	if (offset + len > range->end)
		range->end = offset + len;
}

/* Call an opening function, and remember a file of ours. */
#define DEFINE_OPEN(name) \
EXPORT int \
name(const char *path, int flags,...) \
{ \
	char		buf[PATH_MAX]; \
	const char *below = power_below(path, buf); \
	va_list		args; \
	mode_t		mode; \
	int			fd; \
\
	va_start(args, flags); \
	mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0; \
	va_end(args); \
	if ((flags & O_CREAT) && is_refused(below)) \
		return -1; \
	fd = REAL(name) (path, flags, mode); \
	if (fd >= 0 && below != NULL) \
	{ \
		power_remember(fd, below); \
		unsynced[fd] = (Unsynced) {0, 0}; \
	} \
	return fd; \
}

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

EXPORT int
close(int fd)
{
	power_forget(fd);
	return REAL(close) (fd);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	off_t		offset = power_file(fd) == NULL ? 0 : lseek(fd, 0, SEEK_CUR);
	ssize_t		written;

	if (is_full(fd, offset + len))
		return -1;
	written = REAL(write) (fd, buf, len);
	note_write(fd, offset, written);
	return written;
}

#define DEFINE_PWRITE(name) \
EXPORT ssize_t \
name(int fd, const void *buf, size_t len, off_t offset) \
{ \
	ssize_t		written; \
\
	if (is_full(fd, offset + len)) \
		return -1; \
	written = REAL(name) (fd, buf, len, offset); \
	note_write(fd, offset, written); \
	return written; \
}

DEFINE_PWRITE(pwrite)
DEFINE_PWRITE(pwrite64)

#define DEFINE_PWRITEV(name) \
EXPORT ssize_t \
name(int fd, const struct iovec *iov, int iovcnt, off_t offset) \
{ \
	size_t		len = 0; \
	ssize_t		written; \
\
	for (int i = 0; i < iovcnt; i++) \
		len += iov[i].iov_len; \
	if (is_full(fd, offset + len)) \
		return -1; \
	written = REAL(name) (fd, iov, iovcnt, offset); \
	note_write(fd, offset, written); \
	return written; \
}

DEFINE_PWRITEV(pwritev)
DEFINE_PWRITEV(pwritev64)

#define DEFINE_POSIX_FALLOCATE(name) \
EXPORT int \
name(int fd, off_t offset, off_t len) \
{ \
	return is_full(fd, offset + len) ? errno : REAL(name) (fd, offset, len); \
}

DEFINE_POSIX_FALLOCATE(posix_fallocate)
DEFINE_POSIX_FALLOCATE(posix_fallocate64)

#define DEFINE_FALLOCATE(name) \
EXPORT int \
name(int fd, int mode, off_t offset, off_t len) \
{ \
	if (is_full(fd, offset + len)) \
		return -1; \
	return REAL(name) (fd, mode, offset, len); \
}

DEFINE_FALLOCATE(fallocate)
DEFINE_FALLOCATE(fallocate64)
