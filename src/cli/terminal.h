/*-------------------------------------------------------------------------
 *
 * terminal.h
 *	  Prints messages and progress on stderr.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_TERMINAL_H
#define WS_TERMINAL_H

/*
 * PostgreSQL's pg_attribute_printf is made for the compiler that it was built
 * with.
 */
#define TERMINAL_PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))

/* "walz: ", the message and a newline; %m stands for the text of errno. */
extern void terminal_message(const char *format,...) TERMINAL_PRINTF(1, 2);

/*
 * Set the number of files.  No progress is shown before this has been called,
 * or if stderr is not a terminal.
 */
extern void terminal_begin(int files);

/* Continue with the file of this number, from 0. */
extern void terminal_file(int file);

/*
 * Continue with this part, from 0; the work on a file has parts of about equal
 * length.
 */
extern void terminal_part(int part, int parts);

/*
 * Show how much of the part is done.  This is cheap enough to be called for
 * every message.
 */
extern void terminal_progress(size_t done, size_t total);

/* Erase the progress from the terminal. */
extern void terminal_end(void);

#endif							/* WS_TERMINAL_H */
