/*-------------------------------------------------------------------------
 *
 * peertext.h
 *	  Cleans text from another server or a client before it is shown.
 *
 * All such text goes through this file before it reaches shared memory, a
 * view, the log or a process title.
 *
 * Views get printable ASCII only, with \xNN for other bytes, as PostgreSQL
 * does with application_name and cluster_name.  A view can be read in
 * databases and by clients of any encoding, and one character that cannot be
 * converted makes the whole query fail.  Moreover, an upstream may have
 * written an error before it knew which encoding to use.  Text in another
 * alphabet becomes hard to read in views; the log, which is not converted, has
 * it unchanged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PEERTEXT_H
#define WS_PEERTEXT_H

/*
 * For shared memory and views: one line of ASCII.  Allocates nothing and
 * cannot fail.
 */
extern void ws_peertext_copy(char *to, Size size, const char *text);

/*
 * For a log message: one line of limited length, with the characters that are
 * valid in this server's encoding.  Palloc'd; "" for NULL.
 */
extern char *ws_peertext_for_log(const char *text);

/*
 * For a message that quotes a value, such as a name or a number: short, and
 * ASCII.  Palloc'd; "" for NULL.
 */
extern char *ws_peertext_value(const char *text);

/*
 * Writes an application_name as a server of this version shows it: cleaned,
 * and truncated to NAMEDATALEN.  Cannot fail.
 */
extern void ws_peertext_copy_name(char to[NAMEDATALEN], const char *name);

#endif							/* WS_PEERTEXT_H */
