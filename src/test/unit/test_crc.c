/*-------------------------------------------------------------------------
 *
 * test_crc.c
 *	  Our fast CRC-32C equals the server's, for every length and alignment.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "tap.h"
#include "testdata.h"

#define MAX_LEN		140000

int
main(void)
{
	uint8	   *bytes = malloc(MAX_LEN);
	pg_crc32c	crc;
	int			compared = 0;
	int			wrong = 0;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) "123456789", 9);
	FIN_CRC32C(crc);
	is(crc, 0xe3069283, "the check value that is known of CRC-32C");

	/* lengths around those at which the method changes, and others */
	fill_random(bytes, MAX_LEN, 1);
	for (size_t len = 0; len <= MAX_LEN - 8; len += len % 2048 < 20 ? 1 : 97)
	{
		pg_crc32c	expected = (pg_crc32c) (len * 0x9e3779b9);
		uint8	   *exact = malloc(len > 0 ? len : 1);

		crc = expected;
		memcpy(exact, bytes + len % 8, len);
		COMP_CRC32C(expected, exact, len);
		wrong += ws_crc_add(crc, exact, len) != expected;
		free(exact);

		expected = crc;
		COMP_CRC32C(expected, bytes + len % 8, len);
		wrong += ws_crc_add(crc, bytes + len % 8, len) != expected;
		compared += 2;
	}
	ok(wrong == 0 && compared > 2000, "%d CRCs are those of the server's function",
	   compared);

	/* byte by byte, and all at once */
	INIT_CRC32C(crc);
	for (size_t i = 0; i < MAX_LEN; i++)
		crc = ws_crc_add(crc, bytes + i, 1);
	is(ws_crc_add(0xffffffff, bytes, MAX_LEN), crc, "pieces add up");

	free(bytes);
	return done_testing();
}
