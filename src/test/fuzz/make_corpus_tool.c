/*-------------------------------------------------------------------------
 *
 * make_corpus_tool.c
 *	  Write the seeds of the target for the files that the tool walz reads.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "../../cli/segment.h"
#include "seed.h"
#include "walgen.h"

static const WsCodecParams params = {
	.level = 1,
	.wal_block_size = 1024,
	.wal_segment_size = 1024 * 1024,
	.wal_page_magic = 0xD110
};

/*
 * A segment in which WAL ends after this many bytes, and unused bytes follow.
 */
static void
make_files(const char *name, size_t used)
{
	WalGen		gen;
	Segment		segment = {.params = params,.start = 16 * 1024 * 1024};
	uint8	   *file;
	size_t		file_len;
	char		encoded_name[64];

	walgen_init(&gen, &params, segment.start, used + 100000, 7);
	walgen_fill_small(&gen);
	segment.len = used + 3000;
	segment.bytes = gen.buf;
	memset(gen.buf + used, 0, segment.len - used);
	add_bytes(segment.bytes, segment.len);
	write_seed("fuzz_tool_file", name);

	file = segment_encode(&segment, &file_len);
	if (file == NULL)
		abort();
	add_bytes(file, file_len);
	snprintf(encoded_name, sizeof(encoded_name), "%s_encoded", name);
	write_seed("fuzz_tool_file", encoded_name);
	free(file);
	walgen_free(&gen);
}

/* A file in which only the header is wrong: its block size is 0. */
static void
make_header(void)
{
	static const uint8 header[28] = {
		'W', 'A', 'L', 'Z', 1, 0, 0x10, 0xD1, 0, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 16, 0
	};

	add_bytes(header, sizeof(header));
	write_seed("fuzz_tool_file", "block_size_0");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_files("page", 1024);
	make_files("pages", 9 * 1024);
	make_header();
	return 0;
}
