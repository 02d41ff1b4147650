/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Makes text of unknown origin fit to be shown.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/text.h"

#define ELLIPSIS		"..."
#define ELLIPSIS_LENGTH	3

/* Longest character of any encoding, in bytes. */
#define MAX_CHAR_LENGTH	4

/* The end of a text is not looked for beyond this length. */
static int
bytes_left(const unsigned char *s)
{
	int			len = 0;

	while (len < MAX_CHAR_LENGTH && s[len] != '\0')
		len++;
	return len;
}

/*
 * Convert one character, or one byte that is not a character, and write the
 * result into piece.  Returns how many bytes were used.
 */
static int
take_piece(const unsigned char *s, WsTextCharLength char_length,
		   char piece[MAX_CHAR_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdef";
	int			left = bytes_left(s);
	int			len = 0;

	if (s[0] >= 0x20 && s[0] < 0x7f)
		len = 1;
	else if (s[0] >= 0x80 && char_length != NULL)
		len = char_length(s, left);

	if (len > 0 && len <= left)
	{
		memcpy(piece, s, len);
		piece[len] = '\0';
		return len;
	}

	piece[0] = '\\';
	piece[1] = 'x';
	piece[2] = digits[s[0] >> 4];
	piece[3] = digits[s[0] & 0x0f];
	piece[4] = '\0';
	return 1;
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t
ws_text_clean(char *to, size_t size, const char *text,
			  WsTextCharLength char_length)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t		len = 0;
	size_t		cut_len = 0;	/* longest length after which "..." fits */

	while (is_space(*s))
		s++;
	while (*s != '\0')
	{
		char		piece[MAX_CHAR_LENGTH + 1] = " ";
		size_t		piece_len;

		if (is_space(*s))
		{
			while (is_space(*s))
				s++;
			if (*s == '\0')
				break;
		}
		else
			s += take_piece(s, char_length, piece);

		piece_len = strlen(piece);
		if (len + piece_len >= size)
		{
			memcpy(to + cut_len, ELLIPSIS, ELLIPSIS_LENGTH);
			len = cut_len + ELLIPSIS_LENGTH;
			break;
		}
		memcpy(to + len, piece, piece_len);
		len += piece_len;
		if (len + ELLIPSIS_LENGTH < size)
			cut_len = len;
	}
	to[len] = '\0';
	return len;
}
