/*-------------------------------------------------------------------------
 *
 * peertext.c
 *	  Cleans text from another server or a client before it is shown.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "mb/pg_wchar.h"
#include "peertext.h"
#include "pure/text.h"

/*
 * Longest text in a log message, since a server may send messages of any
 * length.
 */
#define LOG_TEXT_SIZE	2048
#define VALUE_SIZE		64

void
ws_peertext_copy(char *to, Size size, const char *text)
{
	ws_text_clean(to, size, text, NULL);
}

static int
database_char_length(const unsigned char *s, int len)
{
	return pg_encoding_verifymbchar(GetDatabaseEncoding(), (const char *) s, len);
}

char *
ws_peertext_for_log(const char *text)
{
	char	   *result = palloc(LOG_TEXT_SIZE);

	ws_text_clean(result, LOG_TEXT_SIZE, text !=NULL ? text : "",
				  database_char_length);
	return result;
}

char *
ws_peertext_value(const char *text)
{
	char	   *result = palloc(VALUE_SIZE);

	ws_text_clean(result, VALUE_SIZE, text !=NULL ? text : "", NULL);
	return result;
}

void
ws_peertext_copy_name(char to[NAMEDATALEN], const char *name)
{
	size_t		len = 0;

	/* PostgreSQL truncates the cleaned name at any byte */
	for (; *name != '\0'; name++)
	{
		unsigned char c = (unsigned char) *name;
		char		piece[5] = {(char) c, '\0'};

		if (c < 32 || c > 126)
		{
			if (WS_NAMES_SHOW_BYTES)
				snprintf(piece, sizeof(piece), "\\x%02x", c);
			else
				piece[0] = '?';
		}
		for (const char *p = piece; *p != '\0' && len < NAMEDATALEN - 1; p++)
			to[len++] = *p;
	}
	to[len] = '\0';
}
