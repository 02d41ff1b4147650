/*-------------------------------------------------------------------------
 *
 * conninfo.h
 *	  Putting our request into a receiver's connection string.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_CONNINFO_H
#define WS_CONNINFO_H

/*
 * Return, palloc'd, a connection string equal to conninfo but for
 * "-c walstream.accept=<accept>" added to its options.
 *
 * A physical connection's own options may also come from PGOPTIONS or a
 * service file; an explicit option would hide those, so they are merged.  On
 * a logical connection PostgreSQL gives explicit options itself and so hides
 * them already.
 *
 * NULL if libpq cannot parse conninfo; what is wrong with it is then for
 * libpq to say.
 */
extern char *ws_conninfo_add_accept(const char *conninfo, bool logical,
									const char *accept);

/*
 * The application_name that a connection will have, palloc'd: that of the
 * connection string, else of PGAPPNAME or a service, else the fallback.
 */
extern char *ws_conninfo_application_name(const char *conninfo,
										  const char *fallback);

#endif							/* WS_CONNINFO_H */
