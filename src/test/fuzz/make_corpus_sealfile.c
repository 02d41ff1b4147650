/*-------------------------------------------------------------------------
 *
 * make_corpus_sealfile.c
 *	  Write the seeds of the target for the files of seals.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/sealfile.h"
#include "seed.h"

static void
make_file(const WsSealFile *file, const char *name)
{
	char		content[WS_SEALFILE_MAX_BYTES];
	size_t		len = ws_sealfile_format(file, content);

	write_text_seeds("fuzz_sealfile", name, content, len, "crc ");
}

int
main(int argc, char **argv)
{
	WsSealFile	usual = {
		.tli = 3,
		.since_us = INT64CONST(849373200000000),
		.token = "00112233445566778899aabbccddeeff",
		.owner = "ffeeddccbbaa99887766554433221100"
	};
	WsSealFile	early = {
		.tli = PG_UINT32_MAX,
		.since_us = -1,
		.token = "ffffffffffffffffffffffffffffffff"
	};

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_file(&usual, "usual");
	make_file(&early, "early");
	return 0;
}
