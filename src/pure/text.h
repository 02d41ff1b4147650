/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Makes text of unknown origin fit to be shown.
 *
 * An error message of another server may be in any encoding, or in none, of any
 * length, and hold control characters.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_TEXT_H
#define WS_PURE_TEXT_H

#include "c.h"

/*
 * How many bytes the character at the start of s has, of at most len, if it is
 * one that may stay as it is; otherwise 0 or less.  Not asked about ASCII.
 */
typedef int (*WsTextCharLength) (const unsigned char *s, int len);

/*
 * Write text as one line of at most size - 1 bytes: white space becomes a single
 * blank, and at both ends nothing; what is neither printable ASCII nor let
 * through by char_length (NULL: nothing is) becomes \xNN, byte by byte.  What
 * is too long is cut between two of these, and ends in "...".  Never fails; size
 * is at least 4.  Returns the length written.
 */
extern size_t ws_text_clean(char *to, size_t size, const char *text,
							WsTextCharLength char_length);

#endif							/* WS_PURE_TEXT_H */
