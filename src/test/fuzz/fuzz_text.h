/*-------------------------------------------------------------------------
 *
 * fuzz_text.h
 *	  For the targets that read small text files whose last line is a CRC.
 *
 * First byte even: the rest is a file.  Odd: it is a file without its last
 * line, which is added, since no input would find the CRC by chance.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_FUZZ_TEXT_H
#define WS_FUZZ_TEXT_H

#include "fuzz.h"
#include "textfile.h"

/* Call try_file with the input's file, in memory of exactly its size. */
static inline void
fuzz_text_file(const uint8_t *data, size_t size, const char *crc_line,
			   void (*try_file) (const char *text, size_t len))
{
	FuzzInput	input = {data, size};
	bool		add_crc = take_number(&input, 1) % 2 == 1;
	char	   *text = malloc(input.len + 32);
	size_t		len = input.len;

	REQUIRE(text !=NULL);
	if (len > 0)
		memcpy(text, input.data, len);
	if (add_crc)
		len = add_crc_line(text, len, crc_line);
	text = realloc(text, len + (len == 0));

	REQUIRE(text !=NULL);
	try_file(text, len);
	free(text);
}

#endif							/* WS_FUZZ_TEXT_H */
