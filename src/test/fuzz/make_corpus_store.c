/*-------------------------------------------------------------------------
 *
 * make_corpus_store.c
 *	  Write the seeds of the targets for a store's text files.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/identity.h"
#include "seed.h"

static void
make_identity(WsStoreIdentity identity, const char *name)
{
	char		content[WS_IDENTITY_MAX_BYTES];
	size_t		len = ws_identity_format(&identity, content);

	write_text_seeds("fuzz_identity", name, content, len, "crc32c = ");
}

static void
make_history(int tli, const char *content, const char *name)
{
	add_number(tli, 2);
	add_bytes(content, strlen(content));
	write_seed("fuzz_history", name);
}

int
main(int argc, char **argv)
{
	WsStoreIdentity usual = {
		.system_identifier = UINT64CONST(7298348234987239847),
		.segment_size = 16 * 1024 * 1024,
		.block_size = 8192,
		.major_version = 15
	};
	WsStoreIdentity large = {
		.system_identifier = PG_UINT64_MAX,
		.segment_size = 1024 * 1024 * 1024,
		.block_size = 65536,
		.major_version = 18
	};

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_identity(usual, "usual");
	make_identity(large, "large");
	usual.store_identifier = UINT64CONST(1304598234502938457);
	make_identity(usual, "identified");
	make_history(1, "", "first");
	make_history(2, "1\t0/3000148\tno recovery target specified\n", "usual");
	make_history(5, "1\t0/3000148\tno recovery target specified\n\n"
				 "2\t0/3000148\tbefore transaction 740\n# moved\n"
				 "4\t1A/FFFFFFFF\tx", "several");
	make_history(3, "2\t0/3000148\t\n1\t0/4000148\t\n", "wrong_order");
	return 0;
}
