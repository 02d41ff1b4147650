/*-------------------------------------------------------------------------
 *
 * textfile.c
 *	  What every format of small text files must do whose last line is a CRC.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "tap.h"
#include "textfile.h"

#define CRC_LINE_MAX	32

static char *
allocate(size_t size)
{
	char	   *buf = malloc(size);

	if (buf == NULL)
		abort();
	return buf;
}

/* Format into memory that has room for one byte more than any file. */
static char *
format(const TextFile *type, const void *file, size_t *len)
{
	char	   *text = allocate(type->max_bytes + 2);

	*len = type->format(file, text);
	return text;
}

size_t
add_crc_line(char *text, size_t len, const char *crc_line)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) text, len);
	FIN_CRC32C(crc);
	return len + sprintf(text +len, "%s%08x\n", crc_line, crc);
}

WsStatus
parse_exactly(const TextFile *type, const char *text, size_t len)
{
	char	   *copy = allocate(len + (len == 0));
	WsStatus	status;

	memcpy(copy, text, len);
	status = type->parse(copy, len);
	free(copy);
	return status;
}

void
test_roundtrip(const TextFile *type, const void *file, const char *what)
{
	size_t		len;
	char	   *text = format(type, file, &len);

	ok(len <= type->max_bytes, "%s: fits", what);
	is(parse_exactly(type, text, len), WS_OK, "%s: is read", what);
	ok(type->was_parsed(file), "%s: and is the same", what);
	free(text);
}

void
test_text(const TextFile *type, const void *file, const char *text, const char *what)
{
	size_t		len;
	char	   *formatted = format(type, file, &len);
	char	   *expected = allocate(strlen(text) + CRC_LINE_MAX);

	strcpy(expected, text);
	ok(len == add_crc_line(expected, strlen(text), type->crc_line) &&
	   memcmp(formatted, expected, len) == 0, "%s", what);
	free(expected);
	free(formatted);
}

void
test_damage(const TextFile *type, const void *file)
{
	size_t		len;
	char	   *text = format(type, file, &len);
	int			accepted = 0;

	for (size_t i = 0; i < len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			text[		i] ^= 1 << bit;

			accepted += parse_exactly(type, text, len) == WS_OK;
			text[		i] ^= 1 << bit;
		}
	}
	is(accepted, 0, "no flipped bit is accepted");

	for (size_t i = 0; i < len; i++)
		accepted += parse_exactly(type, text, i) == WS_OK;
	is(accepted, 0, "no shorter file is accepted");

	text[		len] = '\n';

	is(parse_exactly(type, text, len + 1), type->longer, "nor one with a line feed more");
	text[		len] = '\0';

	is(parse_exactly(type, text, len + 1), type->longer, "nor one with a zero byte more");

	text[		len - 2] = text[len - 2] == 'b' ? 'c' : 'b';

	is(parse_exactly(type, text, len), WS_E_CHECK, "a wrong CRC has a status of its own");

	memset(text, ' ', type->max_bytes + 1);
	is(parse_exactly(type, text, type->max_bytes), WS_E_MALFORMED, "spaces");
	is(parse_exactly(type, text, type->max_bytes + 1), WS_E_TOO_LARGE, "too large");
	is(parse_exactly(type, text, 0), WS_E_MALFORMED, "nothing");
	free(text);
}

void
test_parse(const TextFile *type, const char *text, WsStatus status, const char *what)
{
	char	   *whole = allocate(strlen(text) + CRC_LINE_MAX);

	strcpy(whole, text);
	is(parse_exactly(type, whole, add_crc_line(whole, strlen(text), type->crc_line)),
	   status, "%s", what);
	free(whole);
}
