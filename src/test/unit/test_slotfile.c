/*-------------------------------------------------------------------------
 *
 * test_slotfile.c
 *	  The file of a relay slot: written, read back, and damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/slotfile.h"
#include "tap.h"
#include "textfile.h"

static WsSlotFile parsed;

static size_t
format(const void *file, char *buf)
{
	return ws_slotfile_format(file, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_slotfile_parse(text, len, &parsed);
}

static bool
was_parsed(const void *file)
{
	const WsSlotFile *a = file;

	return strcmp(a->name, parsed.name) == 0 &&
		a->restart_tli == parsed.restart_tli && a->restart_lsn == parsed.restart_lsn &&
		a->xmin == parsed.xmin && a->catalog_xmin == parsed.catalog_xmin &&
		a->lost == parsed.lost && a->xmins_checked == parsed.xmins_checked;
}

static const TextFile type = {
	"crc ", WS_SLOTFILE_MAX_BYTES, WS_E_CHECK, format, parse, was_parsed
};

static const WsSlotFile usual = {
	.name = "standby_a",
	.restart_tli = 3,
	.restart_lsn = UINT64CONST(0x1200000abc),
	.xmins_checked = true,
	.xmin = UINT64CONST(0x10000000f),
	.catalog_xmin = 7,
	.lost = false
};

/* A file like the usual one; written by hand, not by the code under test. */
#define FILE_WITH(version, name, tli, lsn) \
	"walstream slot " version "\nname " name "\ntimeline " tli "\nrestart_lsn " lsn "\n" \
	"xmin 4294967311\ncatalog_xmin 7\nlost no\n"

static const struct
{
	const char *text;
	WsStatus	status;
	const char *what;
}			texts[] = {
	{FILE_WITH("2", "standby_a", "3", "12/ABC"), WS_OK, "a file"},
	{FILE_WITH("2", "../up", "3", "12/ABC"), WS_E_MALFORMED, "a name with a slash"},
	{FILE_WITH("2", "", "3", "12/ABC"), WS_E_MALFORMED, "no name"},
	{FILE_WITH("2", "two words", "3", "12/ABC"), WS_E_MALFORMED, "a name with a space"},
	{FILE_WITH("2", "standby_a", "0", "12/ABC"), WS_E_MALFORMED, "a position without timeline"},
	{FILE_WITH("2", "standby_a", "3", "0/0"), WS_E_MALFORMED, "a timeline without position"},
	{FILE_WITH("3", "standby_a", "3", "12/ABC"), WS_E_MALFORMED, "a later version"}
};

int
main(void)
{
	WsSlotFile	empty = {.name = "a"};
	WsSlotFile	old = usual;
	WsSlotFile	full = {
		.restart_tli = PG_UINT32_MAX,
		.restart_lsn = PG_UINT64_MAX,
		.xmin = PG_UINT64_MAX,
		.catalog_xmin = PG_UINT64_MAX,
		.lost = true
	};

	old.xmins_checked = false;
	memset(full.name, '_', NAMEDATALEN - 1);
	test_roundtrip(&type, &usual, "usual");
	test_roundtrip(&type, &empty, "empty");
	test_roundtrip(&type, &old, "version 1");
	test_roundtrip(&type, &full, "full");
	test_text(&type, &usual, texts[0].text, "the text is as documented");
	test_damage(&type, &usual);
	for (size_t i = 0; i < lengthof(texts); i++)
		test_parse(&type, texts[i].text, texts[i].status, texts[i].what);
	return done_testing();
}
