/*-------------------------------------------------------------------------
 *
 * messages.c
 *	  Compares codecs without a server: the same WAL, cut into the same stock
 *	  messages, goes through an encoder and a decoder of each.
 *
 * The WAL segments given are one contiguous run of WAL that starts with a
 * segment.  It is cut into messages as a walsender that catches up cuts it (-u
 * block), after every commit (-u commit), or after a number of bytes (-u
 * 8192); and at each of the marks (-m), the last of which ends the run.  A
 * first round that is not timed compares the decoders' output with the
 * encoders' input, byte by byte.  In the timed rounds, codecs take turns
 * segment by segment, so that noise affects all.
 *
 * Prints one line of JSON.  It has, for each codec in the order of -c:
 * CopyData bytes as stock sends them and as we do, between each two marks; for
 * each round the CPU time of encoding and decoding; and the memory that
 * encoder and decoder got from malloc.
 *
 * This is a program of the benchmark: run by bench/run, no part of the module.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include "getopt_long.h"

#include "pure/bytes.h"
#include "pure/walz/cursor.h"
#include "pure/wire/decoder.h"

#define MESSAGE_WAL			(WS_FRAME_MAX_BLOCKS * XLOG_BLCKSZ)
#define MAX_ROUNDS			1000
#define MAX_MARKS			1000
#define MAX_CODECS			4

/* how messages are cut; any other number is a length */
#define UNIT_BLOCK			0
#define UNIT_COMMIT			(-1)

/* One codec, with what it has done. */
typedef struct Contestant
{
	WsCodecSpec spec;
	const WsCodec *codec;
	WsEncoder  *encoder;
	WsDecoder  *decoder;
	size_t		encoder_bytes;
	size_t		decoder_bytes;
	uint64		wire_bytes[MAX_MARKS];
	double		encode_s[MAX_ROUNDS];
	double		decode_s[MAX_ROUNDS];
} Contestant;

typedef struct Bench
{
	int			unit;
	int			rounds;
	int			nmarks;
	XLogRecPtr	marks[MAX_MARKS];
	int			ncontestants;
	Contestant	contestants[MAX_CODECS];
	WsCodecParams stream;
	uint64		wal_bytes;
	uint64		messages;
	uint64		stock_bytes[MAX_MARKS];
} Bench;

/* A segment as stock messages, and as encoded ones. */
typedef struct Segment
{
	XLogRecPtr	start_lsn;
	uint8	   *wal;
	size_t		size;
	size_t		used;			/* up to the last mark */

	int			count;			/* messages */
	size_t	   *ends;			/* of each in stock */
	int		   *parts;			/* between which marks */
	uint8	   *stock;
	size_t	   *wire_ends;		/* of each in wire */
	uint8	   *wire;
	size_t		wire_size;
} Segment;

static void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "messages: %s: %s\n", what, detail);
	exit(1);
}

static void *
allocate(size_t size)
{
	void	   *result = calloc(1, size);

	if (result == NULL)
		fail("calloc", strerror(errno));
	return result;
}

static size_t
allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static double
cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * Returns the part of a position, which ends at the mark of the same number.
 */
static int
find_part(const Bench *bench, XLogRecPtr lsn)
{
	int			part = 0;

	while (part < bench->nmarks && lsn >= bench->marks[part])
		part++;
	return part;
}

static void
read_segment(const Bench *bench, const char *path, Segment *segment)
{
	FILE	   *file = fopen(path, "rb");

	if (file == NULL)
		fail(path, strerror(errno));
	if (fread(segment->wal, 1, segment->size, file) != segment->size ||
		getc(file) != EOF)
		fail(path, "has another size than the first says");
	fclose(file);

	segment->start_lsn = ws_bytes_get64(segment->wal + WZ_PAGE_ADDR);
	segment->used = segment->size;
	if (bench->nmarks > 0)
	{
		XLogRecPtr	end = bench->marks[bench->nmarks - 1];

		if (end < segment->start_lsn)
			segment->used = 0;
		else if (end - segment->start_lsn < segment->size)
			segment->used = (size_t) (end - segment->start_lsn);
	}
}

/*
 * Returns the end of the message that begins at pos: the end of a commit, or
 * the maximum.
 */
static size_t
find_commit(WsWalzCursor *cursor, const Segment *segment, size_t pos, size_t most)
{
	static uint8 scratch[MESSAGE_WAL];

	while (pos < most)
	{
		const uint8 *record = NULL;
		uint32		len;
		bool		commit;

		if (cursor->state == WZ_READY)
			record = ws_walz_cursor_peek(cursor, segment->wal + pos,
										 segment->used - pos, scratch,
										 sizeof(scratch), &len);
		commit = record != NULL && record[WZ_REC_RMID] == WZ_RM_XACT &&
			(record[WZ_REC_INFO] & WZ_XACT_OPMASK) == WZ_XACT_COMMIT;
		pos += ws_walz_cursor_feed(cursor, segment->wal + pos, most - pos);
		if (commit)
			break;
	}
	return pos;
}

/* Cut a segment into messages. */
static void
cut_segment(const Bench *bench, Segment *segment)
{
	WsWalzCursor cursor;
	uint8	   *out = segment->stock;

	ws_walz_cursor_init(&cursor, &bench->stream, segment->start_lsn);
	segment->count = 0;
	for (size_t pos = 0; pos < segment->used;)
	{
		size_t		size = bench->unit > 0 ? (size_t) bench->unit : MESSAGE_WAL;
		XLogRecPtr	lsn = segment->start_lsn + pos;
		int			part = find_part(bench, lsn);
		WsStockHeader header;
		size_t		end = Min(segment->used, (pos / size + 1) * size);

		if (part < bench->nmarks && bench->marks[part] - lsn < end - pos)
			end = pos + (size_t) (bench->marks[part] - lsn);
		if (bench->unit == UNIT_COMMIT)
			end = find_commit(&cursor, segment, pos, end);

		header.start_lsn = lsn;
		header.wal_end = segment->start_lsn + end;
		header.send_time = (int64) lsn;
		ws_stock_header_encode(&header, out);
		memcpy(out + WS_STOCK_HEADER, segment->wal + pos, end - pos);
		out += WS_STOCK_HEADER + (end - pos);
		segment->ends[segment->count] = out - segment->stock;
		segment->parts[segment->count] = part;
		segment->count++;
		pos = end;
	}
}

static void
encode_segment(const Segment *segment, Contestant *contestant)
{
	size_t		pos = 0;
	size_t		wire_pos = 0;

	for (int i = 0; i < segment->count; i++)
	{
		const uint8 *out;
		size_t		len;

		ws_encoder_put(contestant->encoder, segment->stock + pos,
					   segment->ends[i] - pos, 0);
		if (!ws_encoder_next(contestant->encoder, &out, &len) ||
			len > segment->wire_size - wire_pos)
			fail(contestant->codec->name, "was not encoded to one message");
		memcpy(segment->wire + wire_pos, out, len);
		wire_pos += len;
		if (ws_encoder_next(contestant->encoder, &out, &len))
			fail(contestant->codec->name, "was not encoded to one message");
		segment->wire_ends[i] = wire_pos;
		pos = segment->ends[i];
	}
}

/* Decode; with check, compare with the encoded bytes. */
static void
decode_segment(const Segment *segment, Contestant *contestant, bool check)
{
	size_t		pos = 0;
	size_t		wire_pos = 0;

	for (int i = 0; i < segment->count; i++)
	{
		const uint8 *out;
		size_t		len;

		if (ws_decoder_put(contestant->decoder, segment->wire + wire_pos,
						   segment->wire_ends[i] - wire_pos) != WS_OK ||
			!ws_decoder_next(contestant->decoder, &out, &len) ||
			len != segment->ends[i] - pos)
			fail(contestant->codec->name, "could not be decoded");
		if (check && memcmp(out, segment->stock + pos, len) != 0)
			fail(contestant->codec->name, "was not decoded to what it was");
		if (ws_decoder_next(contestant->decoder, &out, &len))
			fail(contestant->codec->name, "was not decoded to one message");
		wire_pos = segment->wire_ends[i];
		pos = segment->ends[i];
	}
}

static void
count_segment(Bench *bench, const Segment *segment, Contestant *contestant)
{
	size_t		pos = 0;
	size_t		wire_pos = 0;

	for (int i = 0; i < segment->count; i++)
	{
		contestant->wire_bytes[segment->parts[i]] +=
			WS_COPYDATA_HEADER + segment->wire_ends[i] - wire_pos;
		if (contestant == bench->contestants)
			bench->stock_bytes[segment->parts[i]] +=
				WS_COPYDATA_HEADER + segment->ends[i] - pos;
		wire_pos = segment->wire_ends[i];
		pos = segment->ends[i];
	}
	if (contestant == bench->contestants)
	{
		bench->wal_bytes += segment->used;
		bench->messages += segment->count;
	}
}

/* Begin a stream, which sends a hello from the encoder to the decoder. */
static void
begin_stream(const Bench *bench, Contestant *contestant)
{
	const uint8 *out;
	size_t		len;

	if (ws_encoder_begin(contestant->encoder, contestant->spec,
						 WS_REASON_NONE) != WS_OK)
		fail("encoder", "could not begin");
	ws_decoder_begin(contestant->decoder);
	while (ws_encoder_next(contestant->encoder, &out, &len))
	{
		if (ws_decoder_put(contestant->decoder, out, len) != WS_OK)
			fail("decoder", "does not take the hello");
		while (ws_decoder_next(contestant->decoder, &out, &len))
			;
	}
}

/* Round -1 is the one that checks and counts. */
static void
run_round(Bench *bench, Segment *segment, int round, char **paths, int count)
{
	for (int k = 0; k < bench->ncontestants; k++)
		begin_stream(bench, &bench->contestants[k]);
	for (int i = 0; i < count; i++)
	{
		read_segment(bench, paths[i], segment);
		cut_segment(bench, segment);
		for (int j = 0; j < bench->ncontestants; j++)
		{
			int			k = (i + round + 1 + j) % bench->ncontestants;
			Contestant *contestant = &bench->contestants[k];
			double		begin_s = cpu_s();
			double		middle_s;

			encode_segment(segment, contestant);
			middle_s = cpu_s();
			decode_segment(segment, contestant, round < 0);
			if (ws_encoder_counts(contestant->encoder)->codec_failures > 0)
				fail(contestant->codec->name, "could not encode");
			if (round < 0)
				count_segment(bench, segment, contestant);
			else
			{
				contestant->encode_s[round] += middle_s - begin_s;
				contestant->decode_s[round] += cpu_s() - middle_s;
			}
		}
	}
}

static void
make_contestants(Bench *bench, Segment *segment)
{
	WsAccept	asked;

	memset(&asked, 0, sizeof(asked));
	for (int k = 0; k < bench->ncontestants; k++)
		asked.codecs[asked.count++] = bench->contestants[k].spec.id;

	for (int k = 0; k < bench->ncontestants; k++)
	{
		Contestant *contestant = &bench->contestants[k];
		size_t		before = allocated();
		size_t		between;

		contestant->encoder = ws_encoder_new(&bench->stream);
		if (contestant->encoder == NULL ||
			ws_encoder_begin(contestant->encoder, contestant->spec,
							 WS_REASON_NONE) != WS_OK)
			fail("encoder", "no memory");
		between = allocated();
		contestant->encoder_bytes = between - before;

		/* a decoder gets its codec with the hello, and zstd's buffers later */
		contestant->decoder = ws_decoder_new(&bench->stream, &asked);
		if (contestant->decoder == NULL)
			fail("decoder", "no memory");
		begin_stream(bench, contestant);
		encode_segment(segment, contestant);
		decode_segment(segment, contestant, true);
		contestant->decoder_bytes = allocated() - between;
	}
}

/* Take the layout of the WAL from the first page. */
static void
open_wal(Bench *bench, const char *path, Segment *segment)
{
	FILE	   *file = fopen(path, "rb");
	uint8		header[WZ_PAGE_LONG];

	if (file == NULL || fread(header, 1, sizeof(header), file) != sizeof(header))
		fail(path, "could not be read");
	fclose(file);
	bench->stream.wal_page_magic = ws_bytes_get16(header + WZ_PAGE_MAGIC);
	bench->stream.wal_segment_size = ws_bytes_get32(header + 32);
	bench->stream.wal_block_size = ws_bytes_get32(header + 36);
	if (!ws_walz_magic_known(bench->stream.wal_page_magic) ||
		bench->stream.wal_block_size != XLOG_BLCKSZ ||
		bench->stream.wal_segment_size % MESSAGE_WAL != 0)
		fail(path, "is not a WAL segment");

	segment->size = bench->stream.wal_segment_size;
	segment->wal = allocate(segment->size);

	/* no message is shorter than a record */
	segment->ends = allocate(segment->size / 8 * sizeof(size_t));
	segment->wire_ends = allocate(segment->size / 8 * sizeof(size_t));
	segment->parts = allocate(segment->size / 8 * sizeof(int));
	segment->stock = allocate(segment->size / 8 * (8 + WS_STOCK_HEADER));
	segment->wire_size = segment->size * 2;
	segment->wire = allocate(segment->wire_size);
}

static void
add_codec(Bench *bench, const char *name)
{
	const char *colon = strchr(name, ':');
	size_t		len = colon != NULL ? (size_t) (colon - name) : strlen(name);
	Contestant *contestant = &bench->contestants[bench->ncontestants++];

	if (bench->ncontestants > MAX_CODECS ||
		(contestant->codec = ws_codec_by_name(name, len)) == NULL)
		fail("no such codec", name);
	contestant->spec.id = contestant->codec->id;
	contestant->spec.level = colon != NULL ? atoi(colon + 1) : 1;
}

static void
add_mark(Bench *bench, const char *text)
{
	uint32		hi,
				lo;

	if (bench->nmarks == MAX_MARKS || sscanf(text, "%X/%X", &hi, &lo) != 2)
		fail("not a WAL position", text);
	bench->marks[bench->nmarks++] = ((XLogRecPtr) hi << 32) | lo;
}

static void
parse_options(Bench *bench, int argc, char **argv)
{
	int			c;

	bench->rounds = 1;
	while ((c = getopt(argc, argv, "c:m:n:u:")) != -1)
	{
		if (c == 'c')
			add_codec(bench, optarg);
		else if (c == 'm')
			add_mark(bench, optarg);
		else if (c == 'n')
			bench->rounds = atoi(optarg);
		else if (c == 'u')
			bench->unit = strcmp(optarg, "block") == 0 ? UNIT_BLOCK :
				strcmp(optarg, "commit") == 0 ? UNIT_COMMIT : atoi(optarg);
		else
			exit(2);
	}
	if (optind == argc || bench->ncontestants == 0 || bench->rounds < 0 ||
		bench->rounds > MAX_ROUNDS || bench->unit > (int) MESSAGE_WAL ||
		(bench->unit > 0 && bench->unit % XLOG_BLCKSZ != 0))
		fail("usage", "messages -c codec[:level]... [-u block|commit|bytes] "
			 "[-m mark]... [-n rounds] segment...");
}

static void
print_bytes(const char *name, const uint64 *bytes, int n)
{
	printf("\"%s\":[", name);
	for (int i = 0; i < n; i++)
		printf("%s" UINT64_FORMAT, i > 0 ? "," : "", bytes[i]);
	printf("]");
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
	static Bench bench;
	static Segment segment;
	int			parts;

	parse_options(&bench, argc, argv);
	open_wal(&bench, argv[optind], &segment);
	read_segment(&bench, argv[optind], &segment);
	cut_segment(&bench, &segment);
	make_contestants(&bench, &segment);
	for (int round = -1; round < bench.rounds; round++)
		run_round(&bench, &segment, round, argv + optind, argc - optind);

	parts = Max(bench.nmarks, 1);
	printf("{\"wal_bytes\":" UINT64_FORMAT ",\"messages\":" UINT64_FORMAT ",",
		   bench.wal_bytes, bench.messages);
	print_bytes("stock_bytes", bench.stock_bytes, parts);
	printf(",\"codecs\":[");
	for (int k = 0; k < bench.ncontestants; k++)
	{
		const Contestant *contestant = &bench.contestants[k];

		printf("%s{", k > 0 ? "," : "");
		print_bytes("wire_bytes", contestant->wire_bytes, parts);
		print_seconds("encode_s", contestant->encode_s, bench.rounds);
		print_seconds("decode_s", contestant->decode_s, bench.rounds);
		printf(",\"encoder_bytes\":%zu,\"decoder_bytes\":%zu}",
			   contestant->encoder_bytes, contestant->decoder_bytes);
	}
	printf("]}\n");
	return 0;
}
