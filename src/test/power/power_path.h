/*-------------------------------------------------------------------------
 *
 * power_path.h
 *	  Finds out which of a process's files lie below the directory that a test
 *	  watches, for the libraries that tests preload.
 *
 * Each library has its own copy.  Nothing here calls a function that one of
 * the libraries replaces.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef POWER_PATH_H
#define POWER_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POWER_MAX_FDS	65536

/* A file of the watched directory that this process has open. */
typedef struct PowerFile
{
	bool		used;
	dev_t		dev;
	ino_t		ino;
	char	   *path;			/* when it was opened, below the directory */
} PowerFile;

static char power_dir[PATH_MAX];
static PowerFile power_files[POWER_MAX_FDS];

/* Make path absolute; what it names need not be there. */
static inline bool
power_absolute(const char *path, char *absolute)
{
	char		cwd[PATH_MAX];
	int			len;

	if (path[0] == '/')
		len = snprintf(absolute, PATH_MAX, "%s", path);
	else if (getcwd(cwd, sizeof(cwd)) != NULL)
		len = snprintf(absolute, PATH_MAX, "%s/%s", cwd, path);
	else
		return false;
	return len < PATH_MAX;
}

/*
 * The part of path below the watched directory, in buf, "" for the directory
 * itself; NULL if path is elsewhere.
 */
static inline const char *
power_below(const char *path, char *buf)
{
	size_t		len = strlen(power_dir);
	char	   *from,
			   *to;

	if (len == 0 || path == NULL || !power_absolute(path, buf) ||
		strncmp(buf, power_dir, len) != 0 ||
		(buf[len] != '/' && buf[len] != '\0'))
		return NULL;

	/* remove empty components and "." */
	for (from = to = buf + len; *from != '\0';)
	{
		if (from[0] == '/' && (from[1] == '/' || from[1] == '\0'))
			from++;
		else if (from[0] == '/' && from[1] == '.' &&
				 (from[2] == '/' || from[2] == '\0'))
			from += 2;
		else
			*to++ = *from++;
	}
	*to = '\0';
	return buf[len] == '/' ? buf + len + 1 : buf + len;
}

static inline void
power_forget(int fd)
{
	if (fd >= 0 && fd < POWER_MAX_FDS && power_files[fd].used)
	{
		power_files[fd].used = false;
		free(power_files[fd].path);
	}
}

static inline void
power_remember(int fd, const char *below)
{
	struct stat st;

	power_forget(fd);
	if (fd < 0 || fd >= POWER_MAX_FDS || fstat(fd, &st) != 0)
		return;
	power_files[fd].used = true;
	power_files[fd].dev = st.st_dev;
	power_files[fd].ino = st.st_ino;
	power_files[fd].path = strdup(below);
}

/*
 * The watched file that fd refers to, or NULL; a descriptor may have been
 * closed without our knowledge and refer to another file now.
 */
static inline PowerFile *
power_file(int fd)
{
	struct stat st;

	if (fd < 0 || fd >= POWER_MAX_FDS || !power_files[fd].used)
		return NULL;
	if (fstat(fd, &st) != 0 || st.st_dev != power_files[fd].dev ||
		st.st_ino != power_files[fd].ino)
	{
		power_forget(fd);
		return NULL;
	}
	return &power_files[fd];
}

#endif							/* POWER_PATH_H */
