/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Makes text of unknown origin fit to be shown.
 *
 * An error message of another server may be in any encoding or in none, may
 * have any length, and may contain control characters.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_TEXT_H
#define WS_PURE_TEXT_H

#include "c.h"

/*
 * Returns the length of the character at the start of s, at most len, if it
 * may stay as it is; otherwise 0 or less.  Never called for ASCII.
 */
typedef int (*WsTextCharLength) (const unsigned char *s, int len);

/*
 * Write text as one line of at most size - 1 bytes.  A run of white space
 * becomes a single blank, and is dropped at both ends.  Each byte that is
 * neither printable ASCII nor part of a character that char_length accepts
 * (NULL accepts none) becomes \xNN.  A text that is too long is cut between
 * two of these units and ends in "...".  Never fails; size is at least 4.
 * Returns the length written.
 */
extern size_t ws_text_clean(char *to, size_t size, const char *text,
							WsTextCharLength char_length);

#endif							/* WS_PURE_TEXT_H */
