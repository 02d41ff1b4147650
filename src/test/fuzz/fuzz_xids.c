/*-------------------------------------------------------------------------
 *
 * fuzz_xids.c
 *	  Fuzz target: the next transaction id, in WAL and in the file that keeps
 *	  it.
 *
 * First byte even: the rest is a file.  Odd: it is WAL, which is read in one
 * piece and in many.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/relay/xidfile.h"
#include "pure/relay/xidscan.h"

#define START	(UINT64CONST(16) * 1024 * 1024)

static const WsCodecParams params = {
	.wal_block_size = 8192,
	.wal_segment_size = 1024 * 1024,
	.wal_page_magic = 0xD110
};

static void
try_file(const char *content, size_t len)
{
	WsXidFile	file;
	char		again[WS_XIDFILE_MAX_BYTES];

	if (ws_xidfile_parse(content, len, &file) != WS_OK)
		return;
	REQUIRE((uint32) file.next_xid >= 3);
	REQUIRE(ws_xidfile_format(&file, again) == len);
	REQUIRE(memcmp(again, content, len) == 0);
}

/* Read pieces of 1, 2, ... 64, 1 bytes, each from separate memory. */
static void
try_wal(const uint8 *data, size_t len)
{
	WsXidScan	whole;
	WsXidScan	pieces;
	size_t		piece = 0;

	ws_xidscan_begin(&whole, &params, START, 0, 0);
	ws_xidscan_put(&whole, data, len);
	REQUIRE(whole.next_lsn == START + len);
	REQUIRE(whole.next_xid == 0 || (uint32) whole.next_xid >= 3);

	ws_xidscan_begin(&pieces, &params, START, 0, 0);
	for (size_t done = 0; done < len; done += piece)
	{
		uint8	   *copy;

		piece = piece % 64 + 1;
		if (piece > len - done)
			piece = len - done;
		copy = malloc(piece);
		REQUIRE(copy != NULL);
		memcpy(copy, data + done, piece);
		ws_xidscan_put(&pieces, copy, piece);
		free(copy);
	}
	REQUIRE(pieces.next_xid == whole.next_xid);
	REQUIRE(pieces.checkpoint_tli == whole.checkpoint_tli);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	bool		is_wal = take_number(&input, 1) % 2 == 1;

	if (is_wal)
		try_wal(input.data, input.len);
	else
		try_file((const char *) input.data, input.len);
	return 0;
}
