/*-------------------------------------------------------------------------
 *
 * asan_first.c
 *	  Makes libasan initialize itself before any other library of a server.
 *
 * libasan does that at the first allocation.  That may be within newlocale(),
 * called by the constructor of another library (p11-kit, used by libldap):
 * libasan then looks up symbols that do not exist, and the text of that error
 * needs the lock which newlocale() holds.  The lock is left broken, and the
 * server waits for it for ever.
 *
 * Linked with -z initfirst, and loaded after libasan: see
 * src/tools/sanitize_server.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */

extern void __asan_init(void);

static __attribute__((constructor))
void
initialize_first(void)
{
	__asan_init();
}
