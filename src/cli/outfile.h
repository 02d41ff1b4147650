/*-------------------------------------------------------------------------
 *
 * outfile.h
 *	  A file that appears whole and durable under its name, or not at all.
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
	struct stat input;			/* what it must not replace in any case */
} OutFile;

/*
 * Make room for a file that will be made from the file input.  What is there
 * under its name stays unless force is given, and then only the input stays,
 * and what is no regular file.  False, with a message, if that cannot be.
 *
 * The caller owes outfile_commit or outfile_abandon.  Signals that end the
 * program remove the temporary file too.
 */
extern bool outfile_open(OutFile *out, const char *path, const char *input,
						 bool force);

/* Write these bytes, all of them.  False, with a message, if it has failed. */
extern bool outfile_commit(OutFile *out, const uint8 *bytes, size_t len);
extern void outfile_abandon(OutFile *out);

#endif							/* WS_OUTFILE_H */
