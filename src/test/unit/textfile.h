/*-------------------------------------------------------------------------
 *
 * textfile.h
 *	  What every format of small text files must do whose last line is a CRC.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_TEXTFILE_H
#define WS_TEXTFILE_H

#include "pure/status.h"

/* A format.  Files are passed as pointers to the format's own type. */
typedef struct TextFile
{
	const char *crc_line;		/* how the last line begins */
	size_t		max_bytes;		/* of a file that is read at all */
	WsStatus	longer;			/* of a file with a byte more */
	size_t		(*format) (const void *file, char *buf);
	WsStatus	(*parse) (const char *text, size_t len);
	bool		(*was_parsed) (const void *file);	/* by the last parse */
} TextFile;

/* Append the last line to a text.  Returns the new length. */
extern size_t add_crc_line(char *text, size_t len, const char *crc_line);

/* Parse a copy of exactly len bytes, so that reading beyond it is noticed. */
extern WsStatus parse_exactly(const TextFile *type, const char *text, size_t len);

/* A file is the same after it was written and read. */
extern void test_roundtrip(const TextFile *type, const void *file, const char *what);

/* A file is written as this text, apart from the last line. */
extern void test_text(const TextFile *type, const void *file, const char *text,
					  const char *what);

/*
 * Every flipped bit, and every missing or additional byte, is noticed; and so
 * is a file without any text of the format.
 */
extern void test_damage(const TextFile *type, const void *file);

/* A text is parsed with this status, although its CRC is right. */
extern void test_parse(const TextFile *type, const char *text, WsStatus status,
					   const char *what);

#endif							/* WS_TEXTFILE_H */
