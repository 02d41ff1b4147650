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
 * About as compressible as WAL: records with similar headers, counters that
 * advance, and partly random bodies.
 */
extern void fill_records(uint8 *buf, size_t len, uint64 seed);

/*
 * len bytes between two zones that must not be written to; guard_intact()
 * tells whether they are intact.  Address sanitizer does not see writes of a
 * library that was compiled without it.
 */
extern uint8 *guard_alloc(size_t len);
extern bool guard_intact(const uint8 *buf, size_t len);
extern void guard_free(uint8 *buf);

#endif							/* WS_TESTDATA_H */
