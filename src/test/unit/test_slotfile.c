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

static const WsSlotFile usual = {
	.name = "standby_a",
	.restart_tli = 3,
	.restart_lsn = UINT64CONST(0x1200000abc),
	.xmins_checked = true,
	.xmin = UINT64CONST(0x10000000f),
	.catalog_xmin = 7,
	.lost = false
};

/* Written by hand, not by the code under test. */
static const char usual_text[] =
"walstream slot 2\n"
"name standby_a\n"
"timeline 3\n"
"restart_lsn 12/ABC\n"
"xmin 4294967311\n"
"catalog_xmin 7\n"
"lost no\n"
"crc ";

static bool
same_file(const WsSlotFile *a, const WsSlotFile *b)
{
	return strcmp(a->name, b->name) == 0 &&
		a->restart_tli == b->restart_tli && a->restart_lsn == b->restart_lsn &&
		a->xmin == b->xmin && a->catalog_xmin == b->catalog_xmin &&
		a->lost == b->lost && a->xmins_checked == b->xmins_checked;
}

/*
 * Parse from memory of exactly len bytes, so that reading beyond it is
 * noticed.
 */
static WsStatus
parse(const char *content, size_t len, WsSlotFile *file)
{
	char	   *copy = malloc(len + (len == 0));
	WsStatus	status;

	if (copy == NULL)
		abort();
	memcpy(copy, content, len);
	status = ws_slotfile_parse(copy, len, file);
	free(copy);
	return status;
}

static void
test_roundtrip(const WsSlotFile *file, const char *what)
{
	char		content[WS_SLOTFILE_MAX_BYTES];
	size_t		len = ws_slotfile_format(file, content);
	WsSlotFile	again;

	ok(len < WS_SLOTFILE_MAX_BYTES, "%s: fits", what);
	is(parse(content, len, &again), WS_OK, "%s: is read", what);
	ok(same_file(file, &again), "%s: and is the same", what);
}

/* Every flipped bit, and every missing or additional byte, is noticed. */
static void
test_damage(void)
{
	char		content[WS_SLOTFILE_MAX_BYTES + 1];
	size_t		len = ws_slotfile_format(&usual, content);
	int			accepted = 0;
	WsSlotFile	file;

	for (size_t i = 0; i < len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			content[i] ^= 1 << bit;
			accepted += parse(content, len, &file) == WS_OK;
			content[i] ^= 1 << bit;
		}
	}
	is(accepted, 0, "no flipped bit is accepted");

	for (size_t i = 0; i < len; i++)
		accepted += parse(content, i, &file) == WS_OK;
	is(accepted, 0, "no shorter file is accepted");

	content[len] = '\n';
	is(parse(content, len + 1, &file), WS_E_CHECK, "nor one with a byte more");

	content[len - 2] ^= 1;
	is(parse(content, len, &file), WS_E_CHECK, "a wrong CRC alone is told as such");
}

/* Content that is refused although its CRC is right. */
static void
test_unsound(void)
{
	WsSlotFile	file = usual;
	WsSlotFile	again;
	char		content[WS_SLOTFILE_MAX_BYTES];

	strcpy(file.name, "../up");
	is(parse(content, ws_slotfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a name with a slash");
	strcpy(file.name, "");
	is(parse(content, ws_slotfile_format(&file, content), &again), WS_E_MALFORMED,
	   "no name");
	strcpy(file.name, "two words");
	is(parse(content, ws_slotfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a name with a space");

	file = usual;
	file.restart_tli = 0;
	is(parse(content, ws_slotfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a position without timeline");
	file = usual;
	file.restart_lsn = InvalidXLogRecPtr;
	is(parse(content, ws_slotfile_format(&file, content), &again), WS_E_MALFORMED,
	   "a timeline without position");

	(void) ws_slotfile_format(&usual, content);
	*strchr(content, '2') = '3';
	is(parse(content, strlen(usual_text) + 9, &again), WS_E_MALFORMED,
	   "a later version");

	memset(content, ' ', sizeof(content));
	is(parse(content, sizeof(content), &again), WS_E_MALFORMED, "spaces");
	is(parse("", 0, &again), WS_E_MALFORMED, "nothing");
}

static void
test_too_large(void)
{
	char		content[WS_SLOTFILE_MAX_BYTES + 1] = {0};
	WsSlotFile	file;

	is(parse(content, sizeof(content), &file), WS_E_TOO_LARGE, "too large");
}

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
	char		content[WS_SLOTFILE_MAX_BYTES];

	memset(full.name, '_', NAMEDATALEN - 1);

	test_roundtrip(&usual, "usual");
	test_roundtrip(&empty, "empty");
	old.xmins_checked = false;
	test_roundtrip(&old, "version 1");
	test_roundtrip(&full, "full");

	ok(ws_slotfile_format(&usual, content) == strlen(usual_text) + 9 &&
	   memcmp(content, usual_text, strlen(usual_text)) == 0,
	   "the text is as documented");

	test_damage();
	test_unsound();
	test_too_large();
	return done_testing();
}
