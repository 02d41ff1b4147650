/*-------------------------------------------------------------------------
 *
 * make_corpus_xids.c
 *	  Write the seeds of the targets for transaction ids and chains of relays.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/chain.h"
#include "pure/relay/xidfile.h"
#include "seed.h"
#include "walgen.h"

static const WsCodecParams params = {
	.wal_block_size = 8192,
	.wal_segment_size = 1024 * 1024,
	.wal_page_magic = 0xD110
};

/*
 * Two pages: a checkpoint, small records, and one across both pages, which may
 * be incomplete.
 */
static void
make_wal(int broken, const char *name)
{
	WalGen		gen;
	uint8		checkpoint[2 + 80] = {255, 80,[2 + 8] = 1,[2 + 24] = 200,[2 + 25] = 2,[2 + 28] = 5};
	uint8		running[2 + 24] = {255, 24,[2 + 12] = 210,[2 + 13] = 2};
	uint8		large[5 + 9000] = {254, 0x28, 0x23};

	walgen_init(&gen, &params, 16 * 1024 * 1024, 40000, 3);
	walgen_record(&gen, 0, 0x10, 0, checkpoint, sizeof(checkpoint));
	walgen_record(&gen, 0, 0x10, 8, running, sizeof(running));
	if (broken > 0)
		walgen_break(&gen, broken);
	walgen_record(&gen, 730, 0, 10, large, sizeof(large));
	walgen_record(&gen, 731, 0, 10, checkpoint, 20);
	add_number(1, 1);
	add_bytes(gen.buf, gen.len);
	write_seed("fuzz_xids", name);
	walgen_free(&gen);
}

int
main(int argc, char **argv)
{
	WsXidFile	file = {UINT64CONST(0x1000002e4), 1};
	WsChain		chain = {3, {1, UINT64CONST(0x0123456789abcdef), PG_UINT64_MAX}};
	char		content[WS_XIDFILE_MAX_BYTES];
	char text[	WS_CHAIN_TEXT_SIZE];

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];

	make_wal(0, "wal");
	make_wal(1, "wal_broken_off");
	add_number(0, 1);
	add_bytes(content, ws_xidfile_format(&file, content));
	write_seed("fuzz_xids", "file");

	ws_chain_format(&chain, text);
	add_bytes(text, strlen(text));
	write_seed("fuzz_chain", "three");
	add_bytes(text, 16);
	write_seed("fuzz_chain", "one");
	return 0;
}
