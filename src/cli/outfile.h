/*-------------------------------------------------------------------------
 *
 * outfile.h
 *	  Writes a file that appears complete and durable under its name, or not at
 *	  all.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_OUTFILE_H
#define WS_OUTFILE_H

#include <sys/stat.h>

typedef struct OutFile
{
	char		path[MAXPGPATH];
	char		temporary[MAXPGPATH];	/* beside it; exists while fd is open */
	int			fd;
	bool		force;			/* may replace a file */
	struct stat input;			/* the input, which must never be replaced */
} OutFile;

/*
 * Begin a file that will be made from the file input.  An existing file of
 * that name is kept unless force is given; the input, and anything but a
 * regular file, is kept even then.  Returns false after a message if the file
 * cannot be made.
 *
 * The caller must call outfile_commit or outfile_abandon.  Signals that end
 * the program remove the temporary file too.
 */
extern bool outfile_open(OutFile *out, const char *path, const char *input,
						 bool force);

/* Write all of these bytes.  Returns false after a message if that fails. */
extern bool outfile_commit(OutFile *out, const uint8 *bytes, size_t len);
extern void outfile_abandon(OutFile *out);

#endif							/* WS_OUTFILE_H */
