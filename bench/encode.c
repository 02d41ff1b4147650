/*-------------------------------------------------------------------------
 *
 * encode.c
 *	  Measures speed and ratio of the encoder without a server, and of zstd
 *	  itself.
 *
 * Each given WAL segment file passes through a WsEncoder as stock messages of
 * 128 kB, and as a whole through ZSTD_compress2() at the same level, which is
 * what "zstd -b1" times and what "zstd -1" writes (except for a check value of
 * 4 bytes per file, which is added).  The two take turns segment by segment,
 * so that noise affects both.
 *
 * Prints one line of JSON: sizes, and for each round the seconds of CPU time
 * that each of the two took.
 *
 * This is a program of the benchmark: run by bench/run, no part of the module.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "getopt_long.h"

#include "pure/wire/encoder.h"

#define MESSAGE_WAL			(WS_FRAME_MAX_BLOCKS * XLOG_BLCKSZ)
#define MESSAGE_SIZE		(WS_STOCK_HEADER + MESSAGE_WAL)
#define MAX_ROUNDS			1000
#define ZSTD_CHECK_SIZE		4

/* A segment, and where it is in the stream. */
typedef struct Segment
{
	uint8	   *wal;
	size_t		wal_len;
	XLogRecPtr	start_lsn;
} Segment;

typedef struct Bench
{
	WsCodecSpec spec;
	WsEncoder  *encoder;
	ZSTD_CCtx  *zstd;
	uint8	   *output;
	size_t		output_size;
	uint64		zstd_bytes;
	int			rounds;
	double		encoder_s[MAX_ROUNDS];
	double		zstd_s[MAX_ROUNDS];
} Bench;

static void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "encode: %s: %s\n", what, detail);
	exit(1);
}

static void *
allocate(size_t size)
{
	void	   *result = malloc(size);

	if (result == NULL)
		fail("malloc", strerror(errno));
	return result;
}

static double
cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
read_segment(const char *path, Segment *segment)
{
	FILE	   *file = fopen(path, "rb");
	long		len;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 ||
		(len = ftell(file)) <= 0 || fseek(file, 0, SEEK_SET) != 0)
		fail(path, strerror(errno));
	if (len % MESSAGE_WAL != 0)
		fail(path, "is not a WAL segment");

	if (segment->wal == NULL)
	{
		segment->wal = allocate(len);
		segment->wal_len = len;
	}
	if (segment->wal_len != (size_t) len)
		fail(path, "has another size than the first");
	if (fread(segment->wal, 1, len, file) != (size_t) len)
		fail(path, "could not be read");
	fclose(file);
}

/*
 * A walsender reads WAL into one buffer, again and again, right before it
 * sends it.  Here that is not part of the measured time.
 */
static void
make_message(const Segment *segment, size_t offset, uint8 *message)
{
	WsStockHeader header;

	header.start_lsn = segment->start_lsn + offset;
	header.wal_end = segment->start_lsn + segment->wal_len;
	header.send_time = (int64) (header.start_lsn / 1000);
	ws_stock_header_encode(&header, message);
	memcpy(message + WS_STOCK_HEADER, segment->wal + offset, MESSAGE_WAL);
}

static void
run_encoder(Bench *bench, const Segment *segment, double *spent_s)
{
	static uint8 message[MESSAGE_SIZE];

	for (size_t offset = 0; offset < segment->wal_len; offset += MESSAGE_WAL)
	{
		const uint8 *out;
		size_t		out_len;
		double		begin_s;

		make_message(segment, offset, message);
		begin_s = cpu_s();
		ws_encoder_put(bench->encoder, message, MESSAGE_SIZE, 0);
		while (ws_encoder_next(bench->encoder, &out, &out_len))
			;
		*spent_s += cpu_s() - begin_s;
	}
}

static void
run_zstd(Bench *bench, const Segment *segment, double *spent_s)
{
	double		begin_s = cpu_s();
	size_t		len = ZSTD_compress2(bench->zstd, bench->output,
									 bench->output_size, segment->wal,
									 segment->wal_len);

	if (ZSTD_isError(len))
		fail("zstd", ZSTD_getErrorName(len));
	*spent_s += cpu_s() - begin_s;
	bench->zstd_bytes += len + ZSTD_CHECK_SIZE;
}

static void
run_round(Bench *bench, Segment *segment, int round, char **paths, int count)
{
	bench->zstd_bytes = 0;
	for (int i = 0; i < count; i++)
	{
		bool		zstd_first = (i + round) % 2 == 0;

		read_segment(paths[i], segment);
		if (bench->output == NULL)
		{
			bench->output_size = ZSTD_compressBound(segment->wal_len);
			bench->output = allocate(bench->output_size);
		}
		if (zstd_first)
			run_zstd(bench, segment, &bench->zstd_s[round]);
		run_encoder(bench, segment, &bench->encoder_s[round]);
		if (!zstd_first)
			run_zstd(bench, segment, &bench->zstd_s[round]);
		segment->start_lsn += segment->wal_len;
	}
}

static void
print_seconds(const char *name, const double *seconds, int rounds)
{
	printf(",\"%s\":[", name);
	for (int i = 0; i < rounds; i++)
		printf("%s%.6f", i > 0 ? "," : "", seconds[i]);
	printf("]");
}

int
main(int argc, char **argv)
{
	Bench		bench;
	Segment		segment;
	WsCodecParams stream;
	const WsCodec *codec;
	const char *codec_name = "zstd";
	const WsStreamCounts *counts;
	int			c;

	memset(&bench, 0, sizeof(bench));
	memset(&segment, 0, sizeof(segment));
	memset(&stream, 0, sizeof(stream));
	bench.spec.level = 1;
	bench.rounds = 1;
	while ((c = getopt(argc, argv, "c:l:n:")) != -1)
	{
		if (c == 'c')
			codec_name = optarg;
		else if (c == 'l')
			bench.spec.level = atoi(optarg);
		else if (c == 'n')
			bench.rounds = atoi(optarg);
		else
			return 2;
	}
	codec = ws_codec_by_name(codec_name, strlen(codec_name));
	if (optind == argc || codec == NULL ||
		bench.rounds < 1 || bench.rounds > MAX_ROUNDS)
		fail("usage", "encode [-c codec] [-l level] [-n rounds] segment...");

	/*
	 * The first segment determines the segment size, which the encoder must
	 * know.
	 */
	read_segment(argv[optind], &segment);
	segment.start_lsn = segment.wal_len;
	stream.wal_block_size = XLOG_BLCKSZ;
	stream.wal_segment_size = (uint32) segment.wal_len;
	bench.spec.id = codec->id;
	bench.encoder = ws_encoder_new(&stream);
	bench.zstd = ZSTD_createCCtx();
	if (bench.encoder == NULL || bench.zstd == NULL ||
		ws_encoder_begin(bench.encoder, bench.spec, WS_REASON_NONE) != WS_OK)
		fail("encoder", "no memory");
	if (ZSTD_isError(ZSTD_CCtx_setParameter(bench.zstd, ZSTD_c_compressionLevel,
											1)))
		fail("zstd", "refused its level");

	for (int round = 0; round < bench.rounds; round++)
		run_round(&bench, &segment, round, argv + optind, argc - optind);

	counts = ws_encoder_counts(bench.encoder);
	printf("{\"wal_bytes\":" UINT64_FORMAT ",\"raw_bytes\":" UINT64_FORMAT
		   ",\"wire_bytes\":" UINT64_FORMAT ",\"zstd_bytes\":" UINT64_FORMAT,
		   (uint64) segment.wal_len * (argc - optind),
		   counts->raw_bytes / bench.rounds, counts->wire_bytes / bench.rounds,
		   bench.zstd_bytes);
	print_seconds("encoder_s", bench.encoder_s, bench.rounds);
	print_seconds("zstd_s", bench.zstd_s, bench.rounds);
	printf("}\n");
	return 0;
}
