/*-------------------------------------------------------------------------
 *
 * testdata.h
 *	  Bytes to test with, the same in every run.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_TESTDATA_H
#define WS_TESTDATA_H

/* Incompressible; other seeds give other bytes. */
extern void fill_random(uint8 *buf, size_t len, uint64 seed);

/*
 * Compressible about as WAL is: records of similar headers, counters that
 * advance, and bodies of which a part is random.
 */
extern void fill_records(uint8 *buf, size_t len, uint64 seed);

/*
 * len bytes between two zones that nothing may write to; guard_intact says
 * whether nothing has.  Address sanitizer does not see what a library that
 * was compiled without it writes.
 */
extern uint8 *guard_alloc(size_t len);
extern bool guard_intact(const uint8 *buf, size_t len);
extern void guard_free(uint8 *buf);

#endif							/* WS_TESTDATA_H */
