/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  The one shared memory request and startup hook of walstream.
 *
 * Each subsystem adds its own structures in _PG_init, with a function for the
 * size and one to set it up; shmem.c knows none of them, and calls these in the
 * order in which they were added.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SHMEM_H
#define WS_SHMEM_H

#include "storage/lwlock.h"

/* In _PG_init, before anything is added: install the hooks. */
extern void ws_shmem_init(void);

/*
 * In _PG_init: add a structure.  init is called in the postmaster, with
 * AddinShmemInitLock held, when shared memory is created: at start, and again
 * after a crash of any process.
 */
extern void ws_shmem_add(Size (*size) (void), void (*init) (void));

/*
 * Returns true if walstream has its shared memory, that is, if it was
 * preloaded.
 */
extern bool ws_shmem_ready(void);

/* Guards the table of totals (stats.h) and the upstreams (upstream.h). */
extern LWLock *ws_shmem_lock(void);

#endif							/* WS_SHMEM_H */
