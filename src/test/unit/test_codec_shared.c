/*-------------------------------------------------------------------------
 *
 * test_codec_shared.c
 *	  An encoder is one block of memory, and uses nothing outside it.
 *
 * Processes that have the block at the same address take turns with the
 * encoder.  Each reads its input from an address at which the others have
 * nothing, and unmaps it right after, so a pointer to it, or to anything else
 * of one process, would lead another one astray.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "tap.h"

#define NPROCESSES	3

/* Some of the pieces are large, and one is larger than lz4's and zstd's blocks. */
static const size_t piece_sizes[] = {
	450, 8192, 1, 131072, 700, 20000, 65536, 65537, 3, 300000, 5000, 131072
};

static uint8 *
map(size_t len, int protection, int flags)
{
	uint8	   *result = mmap(NULL, len, protection, flags | MAP_ANONYMOUS, -1, 0);

	if (result == MAP_FAILED)
		abort();
	return result;
}

static size_t
to_pages(size_t len)
{
	return TYPEALIGN(sysconf(_SC_PAGESIZE), len);
}

/* Encode all of raw, in pieces, with a restart in between; returns the length. */
static size_t
encode_raw(void *encoder, uint8 *to, size_t size)
{
	size_t		pos = 0;
	size_t		len = 0;

	for (size_t i = 0; pos < MAX_RAW; i++)
	{
		size_t		piece = Min(piece_sizes[i % lengthof(piece_sizes)], MAX_RAW - pos);
		size_t		piece_len;

		if ((i == 20 || (codec->encoder_full && codec->encoder_full(encoder, piece))) &&
			codec->encoder_restart(encoder) != WS_OK)
			return 0;
		if (codec->encode(encoder, raw_lsn + pos, raw + pos, piece, to + len,
						  size - len, &piece_len) != WS_OK)
			return 0;
		pos += piece;
		len += piece_len;
	}
	return len;
}

/*
 * Between two pages that cannot be touched: first it begins behind one, then
 * it ends before the other.
 */
static void
test_size(const WsCodecParams *params)
{
	size_t		page = sysconf(_SC_PAGESIZE);
	size_t		size = codec->encoder_size(params);
	size_t		room = to_pages(size);
	size_t		out_size = 2 * codec->encode_bound(MAX_RAW);
	uint8	   *whole = map(page + room + page, PROT_NONE, MAP_PRIVATE);
	uint8	   *expected = malloc(out_size);
	uint8	   *out = malloc(out_size);
	void	   *usual = ws_codec_encoder_new(codec, params);
	size_t		len = encode_raw(usual, expected, out_size);

	is(size % WS_ENCODER_ALIGN, 0, "%s:%d: size %zu", codec_name, params->level, size);
	if (mprotect(whole + page, room, PROT_READ | PROT_WRITE) != 0)
		abort();
	for (int end = 0; end <= 1; end++)
	{
		uint8	   *encoder = whole + page + (end ? room - size : 0);
		uint8	   *rest = whole + page + (end ? 0 : size);
		size_t		touched = 0;

		memset(whole + page, 0xA5, room);
		memset(out, 0, out_size);
		ok(codec->encoder_init(encoder, params) == WS_OK && len > 0 &&
		   encode_raw(encoder, out, out_size) == len && memcmp(out, expected, len) == 0,
		   "%s:%d: works between two forbidden pages, at the %s", codec_name,
		   params->level, end ? "second" : "first");
		for (size_t i = 0; i < room - size; i++)
			touched += rest[i] != 0xA5;
		is(touched, 0, "%s:%d: and touches nothing beside it", codec_name, params->level);
	}
	munmap(whole, page + room + page);
	ws_codec_encoder_free(usual);
	free(expected);
	free(out);
}

/* What the processes share. */
typedef struct Turn
{
	size_t		pos;			/* of the piece, in raw */
	size_t		len;
	bool		restart;
	WsStatus	status;
	size_t		encoded_len;
	size_t		bound;
	uint8		encoded[FLEXIBLE_ARRAY_MEMBER];
} Turn;

typedef struct Worker
{
	pid_t		pid;
	int			go;				/* a byte tells it that it is its turn */
	int			done;			/* a byte tells that it is done */
} Worker;

/* One process: encode a piece at each turn. */
static void
work(int go, int done, void *encoder, Turn *turn)
{
	char		byte;

	while (read(go, &byte, 1) == 1)
	{
		/* not at the same place in memory as the input of the one before */
		size_t		room = to_pages(turn->len);
		uint8	   *gap = map(room * (1 + getpid() % 7), PROT_NONE, MAP_PRIVATE);
		uint8	   *src = map(room, PROT_READ | PROT_WRITE, MAP_PRIVATE);

		memcpy(src, raw + turn->pos, turn->len);
		turn->status = turn->restart ? codec->encoder_restart(encoder) : WS_OK;
		if (turn->status == WS_OK)
			turn->status = codec->encode(encoder, raw_lsn + turn->pos, src, turn->len,
										 turn->encoded, turn->bound, &turn->encoded_len);
		munmap(src, room);
		munmap(gap, room * (1 + getpid() % 7));
		if (write(done, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void
start_worker(Worker *worker, void *encoder, Turn *turn)
{
	int			go[2];
	int			done[2];

	if (pipe(go) != 0 || pipe(done) != 0)
		abort();
	worker->pid = fork();
	if (worker->pid < 0)
		abort();
	if (worker->pid == 0)
	{
		close(go[1]);
		close(done[0]);
		work(go[0], done[1], encoder, turn);
	}
	close(go[0]);
	close(done[1]);
	worker->go = go[1];
	worker->done = done[0];
}

static void
test_turns(const WsCodecParams *params)
{
	size_t		bound = codec->encode_bound(MAX_RAW);
	size_t		turn_size = to_pages(sizeof(Turn) + bound);
	size_t		size = to_pages(codec->encoder_size(params));
	void	   *encoder = map(size, PROT_READ | PROT_WRITE, MAP_SHARED);
	Turn	   *turn = (Turn *) map(turn_size, PROT_READ | PROT_WRITE, MAP_SHARED);
	void	   *usual = ws_codec_encoder_new(codec, params);
	void	   *decoder = new_codec_decoder();
	Worker		workers[NPROCESSES];
	size_t		pieces = 0;
	size_t		good = 0;
	size_t		same = 0;

	if (usual == NULL || codec->encoder_init(encoder, params) != WS_OK)
		abort();
	turn->bound = bound;
	for (int i = 0; i < NPROCESSES; i++)
		start_worker(&workers[i], encoder, turn);

	for (; turn->pos < MAX_RAW; turn->pos += turn->len, pieces++)
	{
		Worker	   *worker = &workers[pieces % NPROCESSES];
		const uint8 *src = raw + turn->pos;
		char		byte = 0;
		Block		block;

		turn->len = Min(piece_sizes[pieces % lengthof(piece_sizes)], MAX_RAW - turn->pos);
		turn->restart = pieces == 20 ||
			(codec->encoder_full && codec->encoder_full(encoder, turn->len));
		if (turn->restart)
		{
			codec->encoder_restart(usual);
			codec->decoder_restart(decoder);
		}
		if (write(worker->go, &byte, 1) != 1 || read(worker->done, &byte, 1) != 1)
			break;

		block = encode_block(usual, src, turn->len);
		same += turn->status == WS_OK && turn->encoded_len == block.len &&
			memcmp(turn->encoded, block.bytes, block.len) == 0;
		free_block(&block);
		block.lsn = raw_lsn + turn->pos;
		block.status = turn->status;
		block.bytes = turn->encoded;
		block.len = turn->encoded_len;
		good += decodes_to(decoder, &block, src, turn->len);
	}
	ok(turn->pos == MAX_RAW && good == pieces,
	   "%s:%d: %zu pieces by %d processes are one stream", codec_name, params->level,
	   good, NPROCESSES);
	is(same, pieces, "%s:%d: as if one process had encoded them", codec_name,
	   params->level);

	/* each process has those of the ones before, so close them all first */
	for (int i = 0; i < NPROCESSES; i++)
	{
		close(workers[i].go);
		close(workers[i].done);
	}
	for (int i = 0; i < NPROCESSES; i++)
	{
		int			status;

		ok(waitpid(workers[i].pid, &status, 0) == workers[i].pid && status == 0,
		   "%s:%d: process %d is well", codec_name, params->level, i);
	}
	munmap(encoder, size);
	munmap(turn, turn_size);
	ws_codec_encoder_free(usual);
	codec->decoder_free(decoder);
}

static void
test_codec(bool wal pg_attribute_unused())
{
	static const int levels[] = {1, 2, 3, 5, 9};

	for (size_t i = 0; i < lengthof(levels); i++)
	{
		WsCodecParams params = level_params(levels[i]);

		test_size(&params);
		test_turns(&params);
		params.may_fill = true;
		if (codec->encoder_full != NULL && levels[i] == 1)
		{
			test_size(&params);
			test_turns(&params);
		}
	}
}

/* Every level can be had in the memory that it is said to need, again and again. */
static void
test_levels(bool wal)
{
	bool		all = true;
	int			count = 0;

	if (wal)
		return;
	for (int level = -3; level <= Min(codec->max_level(), 19); level++)
	{
		WsCodecParams params = level_params(Max(level, codec->min_level()));
		size_t		size = codec->encoder_size(&params);
		void	   *encoder = aligned_alloc(WS_ENCODER_ALIGN, size);
		bool		good = codec->encoder_init(encoder, &params) == WS_OK;

		/* the library gives up memory that has been too much for 128 times */
		for (int i = 0; i < 300 && good; i++)
			good = codec->encoder_restart(encoder) == WS_OK;
		if (!good)
			diag("%s:%d", codec_name, params.level);
		all &= good;
		count++;
		free(encoder);
	}
	ok(all, "%s: %d levels fit in their memory", codec_name, count);
}

int
main(void)
{
	for_each_codec(test_codec);
	for_each_codec(test_levels);
	return done_testing();
}
