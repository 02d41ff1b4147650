/*-------------------------------------------------------------------------
 *
 * conninfo.h
 *	  Adds our request to a receiver's connection string.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_CONNINFO_H
#define WS_CONNINFO_H

/*
 * Returns, palloc'd, the connection string with "-c walstream.accept=<accept>"
 * added to its options.
 *
 * The options of a physical connection may also come from PGOPTIONS or a
 * service file.  An explicit option would hide those, so they are merged.  On
 * a logical connection PostgreSQL itself sets explicit options and so hides
 * them already.
 *
 * Returns NULL if libpq cannot parse conninfo, which libpq will report when it
 * connects.
 */
extern char *ws_conninfo_add_accept(const char *conninfo, bool logical,
									const char *accept);

/*
 * Returns, palloc'd, the application_name that a connection will have: that of
 * the connection string, else of PGAPPNAME or a service, else the fallback.
 */
extern char *ws_conninfo_application_name(const char *conninfo,
										  const char *fallback);

#endif							/* WS_CONNINFO_H */
