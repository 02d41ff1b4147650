/*-------------------------------------------------------------------------
 *
 * make_corpus_namesfile.c
 *	  Write the seeds of the target for files with synchronous standbys.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/namesfile.h"
#include "seed.h"

static void
make_file(const WsNamesFile *file, const char *name)
{
	static char content[WS_NAMESFILE_MAX_BYTES];
	size_t		len = ws_namesfile_format(file, content);

	write_text_seeds("fuzz_namesfile", name, content, len, "crc ");
}

int
main(int argc, char **argv)
{
	static WsNamesFile file;

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_file(&file, "none");
	(void) ws_namesfile_add(&file, INT64CONST(849373200000000), 1, "");
	(void) ws_namesfile_add(&file, INT64CONST(849373260000000), 1, "");
	make_file(&file, "empty_list");
	(void) ws_namesfile_add(&file, INT64CONST(849373320000000), 2, "ANY 1 (relay, \"st\xc3\xa4\\dby\")");
	make_file(&file, "usual");
	return 0;
}
