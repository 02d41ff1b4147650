/*-------------------------------------------------------------------------
 *
 * owner.h
 *	  The name under which this server seals relays.
 *
 * A standby that seals relays before it is promoted is the owner of these
 * seals.  A relay that is sealed with an owner goes on with a newer timeline
 * only if the primary has the same name, which the relay asks for by SHOW
 * walstream.seal_owner.  So if two standbys are promoted one after the other,
 * and the first one did not take notice, both having opened the same next
 * timeline, the relay goes to the one that has sealed it last.
 *
 * The name is random, drawn when it is needed first, and kept in a file that
 * base backups and pg_rewind leave out, so that a copy of the server is
 * another owner.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_OWNER_H
#define WS_OWNER_H

#define WS_OWNER_SETTING	"walstream.seal_owner"
#define WS_OWNER_LEN		32	/* hexadecimal digits */
#define WS_OWNER_FILE		"walstream_owner"	/* in PG_STAT_TMP_DIR; written
												 * by drain/seals.c */

/*
 * Returns the name, "" if there is none; raises no error.  The string lives
 * until the next call.
 */
extern const char *ws_owner_get(void);

/* Returns true if the text has the form of a name. */
extern bool ws_owner_is_valid(const char *name);

#endif							/* WS_OWNER_H */
