/*-------------------------------------------------------------------------
 *
 * test_identity.c
 *	  The text of a store's identity file, and damage to it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/relay/identity.h"
#include "tap.h"

static const WsStoreIdentity usual = {
	.store_identifier = UINT64CONST(1304598234502938457),
	.system_identifier = UINT64CONST(7298348234987239847),
	.segment_size = 16 * 1024 * 1024,
	.block_size = 8192,
	.major_version = 15
};

/* Append the last line, with the right CRC. */
static size_t
with_crc(const char *text, char *buf)
{
	size_t		len = strlen(text);
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) text, len);
	FIN_CRC32C(crc);
	return snprintf(buf, WS_IDENTITY_MAX_BYTES, "%scrc32c = %08x\n", text, crc);
}

static void
refuses(const char *text, WsStatus status, const char *what)
{
	char		buf[WS_IDENTITY_MAX_BYTES];
	size_t		len = with_crc(text, buf);
	WsStoreIdentity identity;

	is(ws_identity_parse(buf, len, &identity), status, "%s", what);
}

static void
test_roundtrip(void)
{
	WsStoreIdentity extremes[] = {
		usual,
		{0, 1, 1024 * 1024, 1024, 1},
		{1, 1, 1024 * 1024, 1024, 1},
		{PG_UINT64_MAX, PG_UINT64_MAX, 1024 * 1024 * 1024, 65536, PG_UINT32_MAX},
	};

	for (size_t i = 0; i < lengthof(extremes); i++)
	{
		char		buf[WS_IDENTITY_MAX_BYTES];
		size_t		len = ws_identity_format(&extremes[i], buf);
		WsStoreIdentity back = {0};

		is(strlen(buf), len, "identity %zu: its length", i);
		ok(ws_identity_is_sane(&extremes[i]), "it is possible");
		is(ws_identity_parse(buf, len, &back), WS_OK, "it is read");
		ok(back.store_identifier == extremes[i].store_identifier &&
		   back.system_identifier == extremes[i].system_identifier &&
		   back.segment_size == extremes[i].segment_size &&
		   back.block_size == extremes[i].block_size &&
		   back.major_version == extremes[i].major_version, "as it was");
	}
}

static void
test_text(void)
{
	char		buf[WS_IDENTITY_MAX_BYTES];
	WsStoreIdentity old = usual;

	ws_identity_format(&usual, buf);
	is_str(buf,
		   "walstream store\n"
		   "format_version = 2\n"
		   "store_identifier = 1304598234502938457\n"
		   "system_identifier = 7298348234987239847\n"
		   "segment_size = 16777216\n"
		   "block_size = 8192\n"
		   "major_version = 15\n"
		   "crc32c = b9a66510\n", "the text is the documented one");

	old.store_identifier = 0;
	ws_identity_format(&old, buf);
	is_str(buf,
		   "walstream store\n"
		   "format_version = 1\n"
		   "system_identifier = 7298348234987239847\n"
		   "segment_size = 16777216\n"
		   "block_size = 8192\n"
		   "major_version = 15\n"
		   "crc32c = 1ecd70a1\n", "without an identifier that of format 1");
}

/* A file with any bit flipped, or truncated anywhere, is refused. */
static void
test_damage(void)
{
	char		buf[WS_IDENTITY_MAX_BYTES];
	size_t		len = ws_identity_format(&usual, buf);
	WsStoreIdentity identity;
	int			accepted = 0;

	for (size_t bit = 0; bit < len * 8; bit++)
	{
		buf[bit / 8] ^= 1 << bit % 8;
		accepted += ws_identity_parse(buf, len, &identity) == WS_OK;
		buf[bit / 8] ^= 1 << bit % 8;
	}
	is(accepted, 0, "no bit can be turned");

	for (size_t shorter = 0; shorter < len; shorter++)
	{
		char	   *copy = malloc(shorter + 1);

		/* memory of exactly this size, so that reading beyond it is noticed */
		memcpy(copy, buf, shorter);
		copy = realloc(copy, Max(shorter, 1));
		accepted += ws_identity_parse(copy, shorter, &identity) == WS_OK;
		free(copy);
	}
	is(accepted, 0, "nothing can be cut off");

	buf[len] = '\n';
	is(ws_identity_parse(buf, len + 1, &identity), WS_E_MALFORMED, "nothing can be added");
	buf[len] = '\0';
	is(ws_identity_parse(buf, len + 1, &identity), WS_E_MALFORMED, "nor a zero byte");
	buf[len - 2] = buf[len - 2] == 'b' ? 'c' : 'b';
	is(ws_identity_parse(buf, len, &identity), WS_E_CHECK, "another CRC");
}

static void
test_refused(void)
{
	static char large[WS_IDENTITY_MAX_BYTES];
	WsStoreIdentity identity;

	refuses("walstream store\nformat_version = 3\nwhatever = it says\n",
			WS_E_UNEXPECTED, "a later format");
	refuses("walstream store\nformat_version = 2\nstore_identifier = 0\n"
			"system_identifier = 5\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "format 2 with an identifier of 0");
	refuses("walstream store\nformat_version = 2\n"
			"system_identifier = 5\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "format 2 without an identifier");
	refuses("walstream store\nformat_version = 1\nstore_identifier = 1\n"
			"system_identifier = 5\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "format 1 with an identifier");
	refuses("walstream store\nformat_version = 0\n", WS_E_UNEXPECTED, "format 0");
	refuses("walstream store\nformat_version = 99999999999999999999999\n",
			WS_E_MALFORMED, "a format version that is too large");
	refuses("walstream shop\nformat_version = 1\n", WS_E_MALFORMED, "another file");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 18446744073709551616\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a system identifier of more than 64 bits");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 5\nsegment_size = 4311744512\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a segment size of more than 32 bits");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 05\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a leading zero");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = \nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a number that is missing");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 5\nsegment_size = 16777217\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a segment size that is no power of two");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 5\nsegment_size = 524288\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "a segment size that is too small");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 5\nsegment_size = 16777216\n"
			"block_size = 131072\nmajor_version = 15\n",
			WS_E_MALFORMED, "a block size that is too large");
	refuses("walstream store\nformat_version = 1\n"
			"system_identifier = 0\nsegment_size = 16777216\n"
			"block_size = 8192\nmajor_version = 15\n",
			WS_E_MALFORMED, "no system identifier");

	memset(large, 'x', sizeof(large));
	is(ws_identity_parse(large, sizeof(large), &identity), WS_E_TOO_LARGE,
	   "a large file");
	is(ws_identity_parse(large, 0, &identity), WS_E_MALFORMED, "an empty file");
}

int
main(void)
{
	test_roundtrip();
	test_text();
	test_damage();
	test_refused();
	return done_testing();
}
