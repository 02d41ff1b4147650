/*-------------------------------------------------------------------------
 *
 * peertext.h
 *	  Text that comes from another server or a client, and names that are told
 *	  to one: what is shown of it.
 *
 * All such text goes through here before it reaches shared memory, a view, the
 * log or a process title.
 *
 * Views get printable ASCII only, with \xNN for other bytes, as PostgreSQL does
 * with application_name and cluster_name.  A row is read in databases of any
 * encoding and by clients of any other, and one character that cannot be
 * converted makes the whole query fail; an error of an upstream, moreover, may
 * be from before it knew what encoding to use.  Text in another alphabet is
 * hard to read that way; the log, which nobody converts, has it as it came.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PEERTEXT_H
#define WS_PEERTEXT_H

/* For shared memory and views: one line of ASCII; needs nothing, cannot fail. */
extern void ws_peertext_copy(char *to, Size size, const char *text);

/*
 * For a message of the log: one line, not too long; characters that are valid
 * in this server's encoding stay.  Palloc'd.  NULL gives "".
 */
extern char *ws_peertext_for_log(const char *text);

/*
 * For a message that quotes a value, a name or a number, rather than gives on what
 * was said: short, and ASCII.  Palloc'd.  NULL gives "".
 */
extern char *ws_peertext_value(const char *text);

/*
 * An application_name as a server of this version shows it: cleaned, and cut to
 * NAMEDATALEN.  Cannot fail.
 */
extern void ws_peertext_copy_name(char to[NAMEDATALEN], const char *name);

#endif							/* WS_PEERTEXT_H */
