/*-------------------------------------------------------------------------
 *
 * test_accept.c
 *	  The value of walstream.accept, and what a sender chooses because of it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/accept.h"
#include "tap.h"

static const WsCompression off = {.count = 0};
static const WsCompression zstd_only = {1, {{WS_CODEC_ZSTD, 3}}};
static const WsCompression lz4_zstd = {
	2, {{WS_CODEC_LZ4, 1}, {WS_CODEC_ZSTD, 7}}
};
static const WsCompression walz_lz4 = {
	2, {{WS_CODEC_WALZ, 1}, {WS_CODEC_LZ4, 1}}
};

/* Parse, and compare with a version and up to two codecs in order. */
static void
parses(const char *value, int version, WsCodecId first, WsCodecId second,
	   const char *what)
{
	WsAccept	accept = ws_accept_parse(value);
	int			count = (first != WS_CODEC_NONE) + (second != WS_CODEC_NONE);

	ok(accept.version == version && accept.count == count &&
	   (count < 1 || accept.codecs[0] == first) &&
	   (count < 2 || accept.codecs[1] == second),
	   "parse %s: version %d, %d codecs", what, accept.version, accept.count);
}

static void
test_parse(void)
{
	parses("1 zstd lz4", 1, WS_CODEC_ZSTD, WS_CODEC_LZ4, "the usual value");
	parses("1 lz4 zstd", 1, WS_CODEC_LZ4, WS_CODEC_ZSTD, "another order");
	parses("1", 1, WS_CODEC_NONE, WS_CODEC_NONE, "a version alone");
	parses("2 zstd", 2, WS_CODEC_ZSTD, WS_CODEC_NONE, "a later version");
	parses("999999 lz4", 999999, WS_CODEC_LZ4, WS_CODEC_NONE,
		   "the highest version");
	parses("01 lz4", 1, WS_CODEC_LZ4, WS_CODEC_NONE, "a version with a zero");
	parses(" \t\r\n\v\f1\n\nzstd\t lz4 ", 1, WS_CODEC_ZSTD, WS_CODEC_LZ4,
		   "all kinds of white space");

	parses("1 zstd brotli snappy lz4 own", 1, WS_CODEC_ZSTD, WS_CODEC_LZ4,
		   "unknown words");
	parses("1 zstd:3 lz4", 1, WS_CODEC_LZ4, WS_CODEC_NONE, "a word with a level");
	parses("1 zst zstdd ZSTD z lz 4", 1, WS_CODEC_NONE, WS_CODEC_NONE,
		   "words that resemble a codec");
	parses("1 zstd lz4 zstd zstd lz4", 1, WS_CODEC_ZSTD, WS_CODEC_LZ4,
		   "repeated words");

	parses(NULL, 0, WS_CODEC_NONE, WS_CODEC_NONE, "no value");
	parses("", 0, WS_CODEC_NONE, WS_CODEC_NONE, "an empty value");
	parses(" \n", 0, WS_CODEC_NONE, WS_CODEC_NONE, "white space alone");
	parses("zstd lz4", 0, WS_CODEC_NONE, WS_CODEC_NONE, "no version");
	parses("0 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "version 0");
	parses("-1 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a negative version");
	parses("+1 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a signed version");
	parses("1.5 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a fraction");
	parses("1zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a version run together");
	parses("1,zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a comma");
	parses("0x1 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE, "a hexadecimal version");
	parses("4294967297 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE,
		   "a version over 32 bits");
	parses("1\xa0zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE,
		   "a space that is not ASCII");
	parses("\xff\xfe\x01", 0, WS_CODEC_NONE, WS_CODEC_NONE, "garbage");
}

static void
test_own(void)
{
	ok(ws_accept_parse("own").own, "own alone");
	parses("own", 0, WS_CODEC_NONE, WS_CODEC_NONE, "own alone");
	ok(ws_accept_parse("1 zstd own lz4").own, "own among codecs");
	ok(ws_accept_parse(" own 1 zstd").own, "own before a version");
	parses(" own 1 zstd", 0, WS_CODEC_NONE, WS_CODEC_NONE,
		   "own before a version");
	ok(ws_accept_parse("later own").own, "own after an unknown word");
	ok(!ws_accept_parse("1 zstd").own, "not without the word");
	ok(!ws_accept_parse("").own && !ws_accept_parse(NULL).own,
	   "not without a value");
	ok(!ws_accept_parse("1 OWN owner ow ownn now").own,
	   "not with words that resemble it");
}

/* Values far longer than anything that ws_accept_format writes. */
static void
test_overlong(void)
{
	const size_t len = 1000000;
	char	   *value = malloc(len + 1);

	if (value == NULL)
		abort();
	value[len] = '\0';

	memset(value, '1', len);
	parses(value, 0, WS_CODEC_NONE, WS_CODEC_NONE, "a million digits");
	memcpy(value, "1 ", 2);
	parses(value, 1, WS_CODEC_NONE, WS_CODEC_NONE, "a word of a million bytes");
	for (size_t i = 2; i + 5 <= len; i += 5)
		memcpy(value + i, "zstd ", 5);
	memcpy(value + len - 4, " lz4", 4);
	parses(value, 1, WS_CODEC_ZSTD, WS_CODEC_LZ4, "two hundred thousand words");
	free(value);
}

static void
test_format(void)
{
	WsCompression many = {.count = WS_MAX_CODECS};
	char		buf[WS_ACCEPT_MAX_SIZE];

	ws_accept_format(&off, buf);
	is_str(buf, "1", "nothing to ask for gives the version alone");
	ws_accept_format(&lz4_zstd, buf);
	is_str(buf, "1 lz4 zstd", "codecs in their order, without levels");
	parses(buf, 1, WS_CODEC_LZ4, WS_CODEC_ZSTD, "what was formatted");
	ws_accept_format(&zstd_only, buf);
	is_str(buf, "1 zstd", "one codec");
	parses(buf, 1, WS_CODEC_ZSTD, WS_CODEC_NONE, "what was formatted");

	for (int i = 0; i < WS_MAX_CODECS; i++)
		many.specs[i].id = (WsCodecId) (i + 1);
	ws_accept_format(&many, buf);
	is_str(buf, "1 zstd lz4 walz1", "numbers without a codec are left out");
	for (int i = 0; i < WS_MAX_CODECS; i++)
		many.specs[i].id = WS_CODEC_ZSTD;
	ws_accept_format(&many, buf);
	is(strlen(buf), 1 + 5 * WS_MAX_CODECS, "as many names as there can be");
}

static void
chooses(const char *value, const WsCompression *compression, bool logical,
		WsNoCodecReason reason, WsCodecId id, int level, const char *what)
{
	WsAccept	accept = ws_accept_parse(value);
	WsCodecSpec chosen = {WS_CODEC_LZ4, 99};
	WsNoCodecReason got;

	got = ws_accept_choose(&accept, compression, logical, &chosen);
	ok(got == reason && chosen.id == id && chosen.level == level,
	   "choose %s: reason %d, codec %d, level %d", what, got, chosen.id,
	   chosen.level);
}

static void
test_choose(void)
{
	chooses("1 zstd lz4", &lz4_zstd, false, WS_REASON_NONE, WS_CODEC_ZSTD, 7,
			"by the receiver's order, with the sender's level");
	chooses("1 lz4 zstd", &lz4_zstd, false, WS_REASON_NONE, WS_CODEC_LZ4, 1,
			"by the receiver's other order");
	chooses("1 lz4 zstd", &zstd_only, false, WS_REASON_NONE, WS_CODEC_ZSTD, 3,
			"the second if the sender has not the first");
	chooses("1 zstd lz4", &lz4_zstd, true, WS_REASON_NONE, WS_CODEC_ZSTD, 7,
			"for a logical stream");
	chooses("1 walz1 lz4", &walz_lz4, false, WS_REASON_NONE, WS_CODEC_WALZ, 1,
			"walz for a physical stream");
	chooses("1 walz1 lz4", &walz_lz4, true, WS_REASON_NONE, WS_CODEC_LZ4, 1,
			"the next one for a logical stream, which walz cannot code");
	chooses("1 walz1", &walz_lz4, true, WS_REASON_NO_COMMON_CODEC,
			WS_CODEC_NONE, 0, "for a logical stream with only walz asked for");
	chooses("1 lz4", &zstd_only, false, WS_REASON_NO_COMMON_CODEC,
			WS_CODEC_NONE, 0, "with nothing in common");
	chooses("1", &zstd_only, false, WS_REASON_NO_COMMON_CODEC,
			WS_CODEC_NONE, 0, "with no codec asked for");
	chooses("1 walz1", &zstd_only, false, WS_REASON_NO_COMMON_CODEC,
			WS_CODEC_NONE, 0, "with only an unknown one asked for");
	chooses("1 zstd lz4", &off, false, WS_REASON_OFF, WS_CODEC_NONE, 0,
			"with the sender off");
	chooses("", &lz4_zstd, false, WS_REASON_NO_COMMON_CODEC, WS_CODEC_NONE, 0,
			"with nothing said");
	chooses("2 walz1 zstd", &zstd_only, false, WS_REASON_NONE, WS_CODEC_ZSTD, 3,
			"for a later version");
}

static void
test_reason_text(void)
{
	for (int i = WS_REASON_NONE; i <= WS_REASON_MEMORY; i++)
	{
		const char *text = ws_reason_text((WsNoCodecReason) i);

		ok(strlen(text) > 0 && strcmp(text, "unknown reason") != 0,
		   "reason %d: %s", i, text);
		for (int j = WS_REASON_NONE; j < i; j++)
			ok(strcmp(text, ws_reason_text((WsNoCodecReason) j)) != 0,
			   "is not that of %d", j);
	}
	is_str(ws_reason_text((WsNoCodecReason) 200), "unknown reason",
		   "a later version's reason");
}

int
main(void)
{
	test_parse();
	test_own();
	test_overlong();
	test_format();
	test_choose();
	test_reason_text();
	return done_testing();
}
