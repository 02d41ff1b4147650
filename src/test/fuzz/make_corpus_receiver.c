/*-------------------------------------------------------------------------
 *
 * make_corpus_receiver.c
 *	  Write the seeds of the targets for what a receiver decides.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/failures.h"
#include "pure/wire/frame.h"
#include "seed.h"

static void
add_step(int kind, const void *bytes, size_t len)
{
	add_number(kind, 1);
	add_number(len, 2);
	add_bytes(bytes, len);
}

/* A hello, then data; fuzz_intake completes both. */
static void
add_hello_and_data(uint8 codec, uint8 level, bool restart)
{
	const uint8 hello[] = {codec, level, 0};
	uint8		data[41] = {restart ? 1 : 0, 'w', 'a', 'l'};

	add_step(1, hello, sizeof(hello));
	add_step(2, data, sizeof(data));
}

static void
make_intake(void)
{
	static const uint8 unknown[] = {WS_FRAME_TYPE, 0x0f, 1, 0, 0, 0, 0, 0, 0};
	static const uint8 minute[] = {0, 61};
	static const uint8 crash[] = {1};
	static const uint8 crash_and_set[] = {3};
	static const uint8 plain[] = {2, 'w', 'a', 'l'};
	static const uint8 keepalive[18] = {'k'};

	for (int logical = 0; logical <= 1; logical++)
	{
		/* more changes than may be logged, and then time passes */
		add_number(logical, 1);
		for (int i = 0; i < 14; i++)
			add_hello_and_data(1 + i % 3 % (logical ? 2 : 3), i, i == 0);
		add_step(4, minute, sizeof(minute));
		add_step(0, keepalive, sizeof(keepalive));
		add_step(3, NULL, 0);
		add_hello_and_data(1, 1, true);
		write_seed("fuzz_intake", logical ? "changes_logical" : "changes");

		/* an unknown codec, until compression is suspended */
		add_number(logical, 1);
		for (int i = 0; i < 3; i++)
		{
			add_hello_and_data(1, 1, true);
			add_step(0, unknown, sizeof(unknown));
		}
		add_hello_and_data(1, 1, true);
		for (int i = 0; i < 10; i++)
			add_step(4, minute, sizeof(minute));
		add_hello_and_data(1, 1, true);
		write_seed("fuzz_intake", logical ? "unknown_logical" : "unknown");

		add_number(logical | 2, 1);
		for (int i = 0; i < 3; i++)
		{
			add_hello_and_data(0, 0, true);
			add_step(2, plain, sizeof(plain));
			add_step(5, crash, sizeof(crash));
		}
		add_step(5, crash_and_set, sizeof(crash_and_set));
		add_step(0, keepalive, sizeof(keepalive));
		add_step(2, plain, sizeof(plain));
		add_hello_and_data(1, 1, true);
		write_seed("fuzz_intake", logical ? "crashes_logical" : "crashes");
	}
}

static void
make_failures(const WsStreamFailures *streams, int count, const char *name)
{
	char		content[WS_FAILURES_MAX_BYTES];
	size_t		len = ws_failures_format(streams, count, content);

	write_text_seeds("fuzz_failures", name, content, len, "crc ");
}

int
main(int argc, char **argv)
{
	static const WsStreamFailures streams[] = {
		{UINT64CONST(0x00a1b2c3d4e5f607), {2, 1048576, INT64CONST(812345678901234), 0x89abcdef}},
		{1, {3, 0, 0, 0}},
		{PG_UINT64_MAX, {1, PG_UINT64_MAX, PG_INT64_MIN, PG_UINT32_MAX}}
	};

	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_intake();
	make_failures(streams, 0, "none");
	make_failures(streams, 1, "one");
	make_failures(streams, 3, "three");
	return 0;
}
