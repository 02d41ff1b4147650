/*-------------------------------------------------------------------------
 *
 * make_segment.c
 *	  Write a WAL segment to standard output, filled to about two thirds.
 *
 *		make_segment [MB]
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "walgen.h"

int
main(int argc, char **argv)
{
	uint32		size = (argc > 1 ? atoi(argv[1]) : 1) * 1024 * 1024;
	WsCodecParams params = {
		.wal_block_size = 8192,
		.wal_segment_size = size,
		.wal_page_magic = 0xD110
	};
	WalGen		gen;

	/* if it is one of 1 MB, 000000010000000000000010 */
	walgen_init(&gen, &params, Max(16 * 1024 * 1024, size), size, 1);
	gen.size = size / 3 * 2;
	walgen_fill(&gen);
	memset(gen.buf + gen.len, 0, size - gen.len);
	if (fwrite(gen.buf, 1, size, stdout) != size)
		return 1;
	walgen_free(&gen);
	return 0;
}
