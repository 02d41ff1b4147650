/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  Test results in the Test Anything Protocol, for programs without a
 *	  server.
 *
 * A test program calls ok and is once per fact and ends with
 *
 *		return done_testing();
 *
 * A program that dies before that has printed no plan, or a plan with another
 * number of results, so that prove counts it as failed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_TAP_H
#define WS_TAP_H

#include <stdbool.h>

#if defined(__GNUC__)
#define TAP_PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))
#else
#define TAP_PRINTF(f, a)
#endif

/*
 * Announce the number of results, before the first.  Without it,
 * done_testing prints the plan.
 */
extern void plan(int count);

/*
 * One result.  Both return whether it passed; is() prints both values if not.
 */
extern bool ok(bool passed, const char *fmt,...) TAP_PRINTF(2, 3);
extern bool is(long long got, long long expected,
			   const char *fmt,...) TAP_PRINTF(3, 4);
extern bool is_str(const char *got, const char *expected,
				   const char *fmt,...) TAP_PRINTF(3, 4);

/* Print a comment. */
extern void diag(const char *fmt,...) TAP_PRINTF(1, 2);

/*
 * Print the plan if needed; returns the exit status, 0 if all results have
 * passed.
 */
extern int	done_testing(void);

#endif							/* WS_TAP_H */
