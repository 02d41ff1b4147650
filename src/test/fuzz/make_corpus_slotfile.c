/*-------------------------------------------------------------------------
 *
 * make_corpus_slotfile.c
 *	  Write the seeds of the target for relay slots' files.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/slotfile.h"
#include "seed.h"

static void
make_file(const WsSlotFile *file, const char *name)
{
	char		content[WS_SLOTFILE_MAX_BYTES];
	size_t		len = ws_slotfile_format(file, content);

	write_text_seeds("fuzz_slotfile", name, content, len, "crc ");
}

int
main(int argc, char **argv)
{
	WsSlotFile	usual = {
		.name = "standby_a",
		.restart_tli = 1,
		.restart_lsn = 0x3000000,
		.xmins_checked = true,
		.xmin = 740
	};
	WsSlotFile	none = {.name = "b"};
	WsSlotFile	lost = {
		.name = "c_2",
		.restart_tli = 12,
		.restart_lsn = UINT64CONST(0xab00000001),
		.catalog_xmin = UINT64CONST(0x100000003),
		.lost = true
	};

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_file(&usual, "usual");
	make_file(&none, "without_position");
	make_file(&lost, "lost");
	return 0;
}
