/*-------------------------------------------------------------------------
 *
 * terminal.c
 *	  Prints messages and progress on stderr.
 *
 * Both share a line: progress stays in it, and a message overwrites it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>
#include <unistd.h>

#include "terminal.h"

/* how often progress is shown */
#define PROGRESS_SECONDS	0.25

/* as wide as progress can be */
#define PROGRESS_WIDTH		40

static struct
{
	bool		wanted;
	bool		visible;
	int			files;
	int			file;
	int			parts;
	int			part;
	double		shown_at;		/* time of the last progress; 0 if none */
}			progress;

static void
clear_line(void)
{
	int			save_errno = errno;

	if (progress.visible)
		fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
	progress.visible = false;
	errno = save_errno;
}

void
terminal_message(const char *format,...)
{
	va_list		args;

	clear_line();
	fputs("walz: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
terminal_begin(int files)
{
	progress.wanted = isatty(STDERR_FILENO);
	progress.files = files;
	terminal_file(0);
}

void
terminal_file(int file)
{
	progress.file = file;
	terminal_part(0, 1);
}

void
terminal_part(int part, int parts)
{
	progress.part = part;
	progress.parts = parts;
	terminal_progress(0, 1);
}

void
terminal_progress(size_t done, size_t total)
{
	struct timespec t;
	double		now;
	double		of_file;

	if (!progress.wanted)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec + t.tv_nsec / 1e9;
	if (progress.shown_at > 0 && now - progress.shown_at < PROGRESS_SECONDS)
		return;
	progress.shown_at = now;
	progress.visible = true;
	of_file = (progress.part + (double) done / total) / progress.parts;
	fprintf(stderr, "\r%d of %d files, %d %%", progress.file, progress.files,
			(int) (100 * (progress.file + of_file) / progress.files));
}

void
terminal_end(void)
{
	clear_line();
	progress.wanted = false;
}
