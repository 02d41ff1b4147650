/*-------------------------------------------------------------------------
 *
 * asan_first.c
 *	  Makes libasan initialise itself before any other library of a server.
 *
 * libasan does that at the first allocation, which may be within newlocale()
 * in the constructor of another library (p11-kit, behind libldap): it then
 * asks for symbols that do not exist, and the text of that error wants the
 * lock which newlocale() holds.  The lock is broken by that, and the server
 * waits for it for ever.
 *
 * Linked with -z initfirst, and loaded with libasan: src/tools/sanitize_server.
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
