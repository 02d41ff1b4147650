/*-------------------------------------------------------------------------
 *
 * make_segment.c
 *	  Write a WAL segment of 1 MB to standard output.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "walgen.h"

int
main(void)
{
	WsCodecParams params = {
		.wal_block_size = 8192,
		.wal_segment_size = 1024 * 1024,
		.wal_page_magic = 0xD110
	};
	WalGen		gen;

	/* 000000010000000000000010, filled to about two thirds */
	walgen_init(&gen, &params, 16 * 1024 * 1024, 1024 * 1024, 1);
	gen.size = 700000;
	walgen_fill(&gen);
	memset(gen.buf + gen.len, 0, 1024 * 1024 - gen.len);
	if (fwrite(gen.buf, 1, 1024 * 1024, stdout) != 1024 * 1024)
		return 1;
	walgen_free(&gen);
	return 0;
}
