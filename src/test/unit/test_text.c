/*-------------------------------------------------------------------------
 *
 * test_text.c
 *	  Text of unknown origin is made fit for display.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <stdlib.h>

#include "pure/text.h"
#include "tap.h"

/* Stands for an encoding with one to three bytes, loosely UTF-8. */
static int
utf8_length(const unsigned char *s, int len)
{
	int			want = (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : -1;

	if (want < 0 || len < want)
		return -1;
	for (int i = 1; i < want; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return -1;
	}
	return want;
}

static int
one_too_many(const unsigned char *s, int len)
{
	return s[0] != '\0' ? len + 1 : 0;
}

static void
is_clean(const char *text, size_t size, WsTextCharLength char_length,
		 const char *expected, const char *name)
{
	char	   *to = malloc(size);	/* exactly: the sanitizer watches its end */
	size_t		len = ws_text_clean(to, size, text, char_length);

	is_str(to, expected, "%s", name);
	is(len, strlen(to), "%s: length", name);
	free(to);
}

static void
test_characters(void)
{
	is_clean("plain text, 100% of it", 100, NULL, "plain text, 100% of it", "printable ASCII");
	is_clean("%s%n\\x41", 100, NULL, "%s%n\\x41", "percent signs and backslashes are themselves");
	is_clean("caf\xe9 \xff\xfe", 100, NULL, "caf\\xe9 \\xff\\xfe", "bytes that are no ASCII");
	is_clean("a\x01" "b\x1b[31mc\x7f", 100, NULL, "a\\x01b\\x1b[31mc\\x7f", "control characters");
	is_clean(" \n a\t\r\n b \n", 100, NULL, "a b", "white space");
	is_clean("", 100, NULL, "", "nothing");
	is_clean(" \n", 100, NULL, "", "nothing but white space");
}

static void
test_encoding(void)
{
	is_clean("caf\xc3\xa9 \xe2\x82\xac", 100, utf8_length, "caf\xc3\xa9 \xe2\x82\xac", "characters that may stay");
	is_clean("\xe9" "a \xe2\x82", 100, utf8_length, "\\xe9a \\xe2\\x82", "characters that are not whole");
	is_clean("\xe2\x82\xac", 100, one_too_many, "\\xe2\\x82\\xac", "a length beyond the end is not believed");
	is_clean("a\x1b" "b", 100, utf8_length, "a\\x1bb", "control characters never stay");
}

static void
test_cut(void)
{
	is_clean("1234567", 8, NULL, "1234567", "what just fits");
	is_clean("12345678", 8, NULL, "1234...", "what does not");
	is_clean("12345678", 4, NULL, "...", "next to no room");
	is_clean("123\xe9", 8, NULL, "123\\xe9", "an escape that just fits");
	is_clean("1234\xe9", 8, NULL, "1234...", "none is cut through");
	is_clean("1\xe9" "2345", 8, NULL, "1...", "nor is one cut away in part");
	is_clean("12\xe2\x82\xac" "3456", 8, utf8_length, "12...", "nor a character");
	is_clean("1234567 \n", 8, NULL, "1234567", "white space at the end is no reason to cut");
}

/* For any input the result is printable, one line, and within its size. */
static void
test_random(void)
{
	bool		passed = true;

	srandom(20261130);
	for (int i = 0; i < 20000 && passed; i++)
	{
		size_t		text_len = random() % 100;
		size_t		size = 4 + random() % 60;
		char	   *text = malloc(text_len + 1);
		char	   *to = malloc(size);
		size_t		len;

		for (size_t j = 0; j < text_len; j++)
			text[		j] = (char) (random() % 4 == 0 ? 0xe2 : 1 + random() % 255);
		text[		text_len] = '\0';

		len = ws_text_clean(to, size, text, NULL);
		passed = len < size && to[len] == '\0' && strlen(to) == len;
		for (size_t j = 0; j < len; j++)
			passed = passed && to[j] >= 0x20 && to[j] < 0x7f;
		free(text);
		free(to);
	}
	ok(passed, "random bytes");
}

int
main(void)
{
	test_characters();
	test_encoding();
	test_cut();
	test_random();
	return done_testing();
}
