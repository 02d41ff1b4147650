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

#include "pure/relay/identity.h"
#include "tap.h"
#include "textfile.h"

static WsStoreIdentity parsed;

static size_t
format(const void *file, char *buf)
{
	return ws_identity_format(file, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_identity_parse(text, len, &parsed);
}

static bool
was_parsed(const void *file)
{
	const WsStoreIdentity *a = file;

	return a->store_identifier == parsed.store_identifier &&
		a->system_identifier == parsed.system_identifier &&
		a->segment_size == parsed.segment_size &&
		a->block_size == parsed.block_size &&
		a->major_version == parsed.major_version;
}

static const TextFile type = {
	"crc32c = ", WS_IDENTITY_MAX_BYTES - 1, WS_E_MALFORMED, format, parse, was_parsed
};

static const WsStoreIdentity usual = {
	.store_identifier = UINT64CONST(1304598234502938457),
	.system_identifier = UINT64CONST(7298348234987239847),
	.segment_size = 16 * 1024 * 1024,
	.block_size = 8192,
	.major_version = 15
};

/* Written by hand, not by the code under test. */
#define START(version)	"walstream store\nformat_version = " version "\n"
#define STORE(n)		"store_identifier = " n "\n"
#define END_WITH(system, segment_size, block_size) \
	"system_identifier = " system "\nsegment_size = " segment_size "\n" \
	"block_size = " block_size "\nmajor_version = 15\n"
#define END				END_WITH("7298348234987239847", "16777216", "8192")

static const struct
{
	const char *text;
	WsStatus	status;
	const char *what;
}			texts[] = {
	{START("2") STORE("1304598234502938457") END, WS_OK, "format 2"},
	{START("1") END, WS_OK, "format 1"},
	{START("3") "whatever = it says\n", WS_E_UNEXPECTED, "a later format"},
	{START("0"), WS_E_UNEXPECTED, "format 0"},
	{START("99999999999999999999999"), WS_E_MALFORMED, "a format version that is too large"},
	{"walstream shop\nformat_version = 1\n", WS_E_MALFORMED, "another kind of file"},
	{START("2") STORE("0") END, WS_E_MALFORMED, "format 2 with an identifier of 0"},
	{START("2") END, WS_E_MALFORMED, "format 2 without an identifier"},
	{START("1") STORE("1") END, WS_E_MALFORMED, "format 1 with an identifier"},
	{START("1") END_WITH("18446744073709551616", "16777216", "8192"), WS_E_MALFORMED,
	"a system identifier of more than 64 bits"},
	{START("1") END_WITH("0", "16777216", "8192"), WS_E_MALFORMED, "a system identifier of 0"},
	{START("1") END_WITH("05", "16777216", "8192"), WS_E_MALFORMED, "a leading zero"},
	{START("1") END_WITH("", "16777216", "8192"), WS_E_MALFORMED, "a missing number"},
	{START("1") END_WITH("5", "4311744512", "8192"), WS_E_MALFORMED,
	"a segment size of more than 32 bits"},
	{START("1") END_WITH("5", "16777217", "8192"), WS_E_MALFORMED,
	"a segment size that is not a power of two"},
	{START("1") END_WITH("5", "524288", "8192"), WS_E_MALFORMED,
	"a segment size that is too small"},
	{START("1") END_WITH("5", "16777216", "131072"), WS_E_MALFORMED,
	"a block size that is too large"}
};

int
main(void)
{
	static const WsStoreIdentity extremes[] = {
		{0, 1, 1024 * 1024, 1024, 1},
		{1, 1, 1024 * 1024, 1024, 1},
		{PG_UINT64_MAX, PG_UINT64_MAX, 1024 * 1024 * 1024, 65536, PG_UINT32_MAX},
	};
	WsStoreIdentity old = usual;
	char		buf[WS_IDENTITY_MAX_BYTES];

	test_roundtrip(&type, &usual, "usual");
	test_roundtrip(&type, &extremes[0], "smallest of format 1");
	test_roundtrip(&type, &extremes[1], "smallest");
	test_roundtrip(&type, &extremes[2], "largest");
	for (size_t i = 0; i < lengthof(extremes); i++)
		ok(ws_identity_is_sane(&extremes[i]), "extreme %zu is possible", i);

	old.store_identifier = 0;
	test_text(&type, &usual, texts[0].text, "the text is as documented");
	test_text(&type, &old, texts[1].text, "without an identifier it is that of format 1");
	ok(ws_identity_format(&usual, buf) == strlen(buf), "the text ends with a zero byte");
	ok(strstr(buf, "\ncrc32c = b9a66510\n") != NULL, "and the CRC is CRC-32C");

	test_damage(&type, &usual);
	for (size_t i = 0; i < lengthof(texts); i++)
		test_parse(&type, texts[i].text, texts[i].status, texts[i].what);
	return done_testing();
}
