/*-------------------------------------------------------------------------
 *
 * outfile.c
 *	  Writes a file that appears complete and durable under its name, or not at
 *	  all.
 *
 * The name may be that of a segment in the pg_wal of a running server, and WAL
 * is lost if a segment that the server has open is replaced by rename.  So an
 * existing file is replaced only if the user asks for that, and the system
 * call that gives the file its name decides whether one exists.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "outfile.h"
#include "terminal.h"

static const int ending_signals[] = {SIGHUP, SIGINT, SIGTERM};

/* The temporary file, for the signal handler.  The program has at most one. */
static char pending_path[MAXPGPATH];
static volatile sig_atomic_t pending = false;

static void
remove_pending(int signo)
{
	if (pending)
		(void) unlink(pending_path);

	/* the handler has been reset, so this ends the program when we return */
	(void) raise(signo);
}

static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = remove_pending,.sa_flags = SA_RESETHAND};
	struct sigaction old;

	sigemptyset(&action.sa_mask);
	for (int i = 0; i < (int) lengthof(ending_signals); i++)
	{
		/* under nohup the signal stays ignored */
		if (sigaction(ending_signals[i], NULL, &old) == 0 &&
			old.sa_handler != SIG_IGN)
			(void) sigaction(ending_signals[i], &action, NULL);
	}

	/* exceeding the file size limit is an ordinary error */
	(void) signal(SIGXFSZ, SIG_IGN);
}

/* Block signals until the handler knows that the file exists. */
static bool
create_temporary(OutFile *out)
{
	sigset_t	blocked;
	sigset_t	before;

	sigemptyset(&blocked);
	for (int i = 0; i < (int) lengthof(ending_signals); i++)
		sigaddset(&blocked, ending_signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	out->fd = mkstemp(out->temporary);	/* O_EXCL, mode 0600 */
	if (out->fd >= 0)
	{
		strlcpy(pending_path, out->temporary, sizeof(pending_path));
		pending = true;
	}
	else
		terminal_message("could not create file \"%s\": %m", out->temporary);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return out->fd >= 0;
}

/*
 * Check whether an existing file of that name may be replaced; prints a
 * message if not.
 */
static bool
check_target(const OutFile *out)
{
	struct stat st;

	if (lstat(out->path, &st) != 0)
	{
		if (errno == ENOENT)
			return true;
		terminal_message("could not stat file \"%s\": %m", out->path);
	}
	else if (st.st_dev == out->input.st_dev && st.st_ino == out->input.st_ino)
		terminal_message("file \"%s\" is the input", out->path);
	else if (!S_ISREG(st.st_mode))
		terminal_message("\"%s\" exists and is not a regular file", out->path);
	else if (!out->force)
		terminal_message("file \"%s\" exists, and --force is not given", out->path);
	else
		return true;
	return false;
}

bool
outfile_open(OutFile *out, const char *path, const char *input, bool force)
{
	out->fd = -1;
	out->force = force;
	strlcpy(out->path, path, sizeof(out->path));
	if (snprintf(out->temporary, sizeof(out->temporary), "%s.tmp.XXXXXX", path) >=
		(int) sizeof(out->temporary))
	{
		terminal_message("name of file \"%s\" is too long", path);
		return false;
	}
	if (stat(input, &out->input) != 0)
	{
		terminal_message("could not open file \"%s\": %m", input);
		return false;
	}
	if (!check_target(out))
		return false;
	catch_signals();
	return create_temporary(out);
}

void
outfile_abandon(OutFile *out)
{
	if (out->fd >= 0)
		(void) close(out->fd);
	out->fd = -1;
	(void) unlink(out->temporary);
	pending = false;
}

static bool
write_bytes(OutFile *out, const uint8 *bytes, size_t len)
{
	int			fd = out->fd;

	while (len > 0)
	{
		ssize_t		written = write(fd, bytes, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		len -= written;
	}
	if (fsync(fd) != 0)
		return false;
	out->fd = -1;
	return close(fd) == 0;
}

/* Only rename replaces a file, and only link makes sure that there is none. */
static bool
give_name(const OutFile *out)
{
	if (out->force)
	{
		if (!check_target(out))
			return false;
		if (rename(out->temporary, out->path) == 0)
			return true;
	}
	else if (link(out->temporary, out->path) == 0)
	{
		(void) unlink(out->temporary);
		return true;
	}
	else if (errno == EEXIST)
	{
		if (!check_target(out))
			return false;
		errno = EEXIST;			/* it has gone meanwhile */
	}
	terminal_message("could not write file \"%s\": %m", out->path);
	return false;
}

static bool
sync_directory(const OutFile *out)
{
	char		directory[MAXPGPATH];
	char	   *slash;
	int			fd;
	bool		good;

	strlcpy(directory, out->path, sizeof(directory));
	slash = strrchr(directory, '/');
	if (slash == NULL)
		strlcpy(directory, ".", sizeof(directory));
	else
		slash[slash == directory ? 1 : 0] = '\0';
	fd = open(directory, O_RDONLY);

	/* some file systems have no fsync of directories */
	good = fd >= 0 && (fsync(fd) == 0 || errno == EBADF || errno == EINVAL);
	if (!good)
		terminal_message("could not fsync directory \"%s\": %m", directory);
	if (fd >= 0)
		(void) close(fd);
	return good;
}

bool
outfile_commit(OutFile *out, const uint8 *bytes, size_t len)
{
	bool		good = write_bytes(out, bytes, len);

	if (!good)
		terminal_message("could not write file \"%s\": %m", out->temporary);
	if (!good || !give_name(out))
	{
		outfile_abandon(out);
		return false;
	}
	pending = false;
	return sync_directory(out);
}
