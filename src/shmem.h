/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  The one shared memory request and startup hook of walstream.
 *
 * Each shared structure has a size and an init function; shmem.c calls them
 * in order.  Structures that not every instance has, such as the relay's, are
 * added by those who know them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SHMEM_H
#define WS_SHMEM_H

#include "storage/lwlock.h"

/* In _PG_init: install the hooks. */
extern void ws_shmem_init(void);

/*
 * In _PG_init: a structure more.  init is called with AddinShmemInitLock held,
 * in the postmaster, when shared memory is made: at start, and anew after a
 * crash of any process.
 */
extern void ws_shmem_add(Size (*size) (void), void (*init) (void));

/* Is walstream's shared memory there?  It is not unless preloaded. */
extern bool ws_shmem_ready(void);

/* Guards the table of totals (stats.h) and the upstreams (upstream.h). */
extern LWLock *ws_shmem_lock(void);

#endif							/* WS_SHMEM_H */
