/*-------------------------------------------------------------------------
 *
 * terminal.h
 *	  Messages on stderr, and progress.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_TERMINAL_H
#define WS_TERMINAL_H

/* pg_attribute_printf is for the compiler that PostgreSQL was built with. */
#define TERMINAL_PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))

/* "walz: ", the message and a newline; %m is that of errno. */
extern void terminal_message(const char *format,...) TERMINAL_PRINTF(1, 2);

/*
 * There are so many files to be worked on.  Until this has been called, and if
 * stderr is not a terminal, no progress is shown.
 */
extern void terminal_begin(int files);

/* Go on to the file with this number, from 0. */
extern void terminal_file(int file);

/* The work on a file has parts of about one length; go on to this, from 0. */
extern void terminal_part(int part, int parts);

/* So much of the part is done.  Cheap enough for every message of a stream. */
extern void terminal_progress(size_t done, size_t total);

/* Take the progress off the terminal. */
extern void terminal_end(void);

#endif							/* WS_TERMINAL_H */
