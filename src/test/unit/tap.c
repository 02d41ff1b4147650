/*-------------------------------------------------------------------------
 *
 * tap.c
 *	  Test results in the Test Anything Protocol.
 *
 * Plain C with nothing of PostgreSQL's, so that any program can link it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int	planned = 0;
static int	results = 0;
static int	failures = 0;

/*
 * Flush each line at once: when a sanitizer ends the program, the last line
 * shows where it was.
 */
static bool
print_result(bool passed, const char *fmt, va_list args)
{
	results++;
	if (!passed)
		failures++;
	printf("%sok %d - ", passed ? "" : "not ", results);
	vprintf(fmt, args);
	printf("\n");
	fflush(stdout);
	return passed;
}

void
plan(int count)
{
	planned = count;
	printf("1..%d\n", count);
	fflush(stdout);
}

bool
ok(bool passed, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	print_result(passed, fmt, args);
	va_end(args);
	return passed;
}

bool
is(long long got, long long expected, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	print_result(got == expected, fmt, args);
	va_end(args);
	if (got != expected)
		diag("     got: %lld\nexpected: %lld", got, expected);
	return got == expected;
}

bool
is_str(const char *got, const char *expected, const char *fmt,...)
{
	bool		same = strcmp(got, expected) == 0;
	va_list		args;

	va_start(args, fmt);
	print_result(same, fmt, args);
	va_end(args);
	if (!same)
		diag("     got: \"%s\"\nexpected: \"%s\"", got, expected);
	return same;
}

void
diag(const char *fmt,...)
{
	char		message[1024];
	char	   *line = message;
	va_list		args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);

	/* mark every line of a comment */
	while (line != NULL)
	{
		char	   *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		printf("# %s\n", line);
		line = end;
	}
	fflush(stdout);
}

int
done_testing(void)
{
	bool		complete = results > 0;

	if (planned == 0)
		plan(results);
	else if (planned != results)
	{
		diag("planned %d results but had %d", planned, results);
		complete = false;
	}
	if (failures > 0)
		diag("%d of %d failed", failures, results);
	return (complete && failures == 0) ? 0 : 1;
}
