/*-------------------------------------------------------------------------
 *
 * report.c
 *	  Calculates what walstream would send for a piece of WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "pure/codec/walz.h"
#include "pure/walz/cursor.h"
#include "pure/wire/frame.h"
#include "report.h"
#include "terminal.h"

/* typical time between messages of a walsender, in microseconds */
#define BETWEEN_MESSAGES	1000

static const char *const rmgr_names[] = {
	"XLOG", "Transaction", "Storage", "CLOG", "Database", "Tablespace",
	"MultiXact", "RelMap", "Standby", "Heap2", "Heap", "Btree", "Hash", "Gin",
	"Gist", "Sequence", "SPGist", "BRIN", "CommitTs", "ReplicationOrigin",
	"Generic", "LogicalMessage"
};

void
report_init(Report *report)
{
	memset(report, 0, sizeof(*report));
	for (int i = 0; i < REPORT_WAYS; i++)
	{
		report->ways[i].codec = i % 2 == 0 ? &ws_codec_zstd : &ws_codec_walz;
		report->ways[i].per_commit = i >= 2;
	}
}

static double
thread_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Follows WAL to find where messages end. */
typedef struct Cutter
{
	const Segment *segment;
	bool		per_commit;
	WsWalzCursor cursor;
	uint8		scratch[SEGMENT_BLOCK];
} Cutter;

/* Returns the end of the message that begins at pos. */
static size_t
find_cut(Cutter *cutter, size_t pos)
{
	const Segment *segment = cutter->segment;
	size_t		most = Min(segment->used, (pos / SEGMENT_BLOCK + 1) * SEGMENT_BLOCK);
	size_t		at = pos;

	if (!cutter->per_commit)
		return most;
	while (at < most)
	{
		const uint8 *record = NULL;
		uint32		len;

		if (cutter->cursor.state == WZ_READY)
			record = ws_walz_cursor_peek(&cutter->cursor, segment->bytes + at,
										 segment->used - at, cutter->scratch,
										 sizeof(cutter->scratch), &len);
		at += ws_walz_cursor_feed(&cutter->cursor, segment->bytes + at, most - at);
		if (record != NULL && record[WZ_REC_RMID] == WZ_RM_XACT &&
			(record[WZ_REC_INFO] & WZ_XACT_OPMASK) == WZ_XACT_COMMIT)
			break;
	}
	return at;
}

/* The make-up of one message, filled in by the codec's observer. */
typedef struct Shares
{
	uint64		put[REPORT_RMGRS];
	uint64		total;
	ReportRmgr *rmgrs;
} Shares;

static void
observe(void *arg, int rmid, size_t raw_len, size_t put_len)
{
	Shares	   *shares = arg;
	int			i = rmid < 0 ? REPORT_RAW : rmid;

	shares->rmgrs[i].records++;
	shares->rmgrs[i].raw_bytes += raw_len;
	shares->put[i] += put_len;
	shares->total += put_len;
}

static void
divide(Shares *shares, size_t sent)
{
	for (int i = 0; i < REPORT_RMGRS && shares->total > 0; i++)
		shares->rmgrs[i].sent_bytes +=
			(double) sent * shares->put[i] / shares->total;
	memset(shares->put, 0, sizeof(shares->put));
	shares->total = 0;
}

/* Returns the size of a frame as CopyData. */
static size_t
frame_size(const Segment *segment, size_t pos, size_t len, size_t encoded_len)
{
	WsFrameHeader header = {
		.codec = WS_CODEC_ZSTD,
		.restart = pos == 0,
		.raw_len = len,
		.start_lsn = segment->start + pos,
		.send_time_delta = BETWEEN_MESSAGES
	};
	uint8		buf[WS_FRAME_HEADER_MAX];

	return WS_COPYDATA_HEADER + ws_frame_header_encode(&header, 0, 0, NULL, 0, buf) +
		Min(encoded_len, len);
}

static bool
send_messages(const Segment *segment, ReportWay *way, Cutter *cutter,
			  Shares *shares, void *encoder, void *decoder)
{
	const WsCodec *codec = way->codec;
	size_t		bound = codec->encode_bound(SEGMENT_BLOCK);
	uint8	   *encoded = malloc(bound);
	uint8	   *decoded = malloc(SEGMENT_BLOCK);
	bool		good = encoded != NULL && decoded != NULL;

	for (size_t pos = 0; good && pos < segment->used;)
	{
		size_t		end = find_cut(cutter, pos);
		const uint8 *src = segment->bytes + pos;
		size_t		len = end - pos;
		size_t		encoded_len = 0;
		size_t		sent;
		double		start = thread_seconds();
		double		middle;

		good = codec->encode(encoder, segment->start + pos, src, len, encoded,
							 bound, &encoded_len) == WS_OK;
		middle = thread_seconds();
		good = good &&
			codec->decode(decoder, segment->start + pos, encoded, encoded_len,
						  decoded, len) == WS_OK;
		way->encode_seconds += middle - start;
		way->decode_seconds += thread_seconds() - middle;
		good = good && memcmp(src, decoded, len) == 0;

		sent = frame_size(segment, pos, len, encoded_len);
		way->messages++;
		way->stock_bytes += WS_COPYDATA_HEADER + WS_STOCK_HEADER + len;
		way->sent_bytes += sent;
		if (shares != NULL)
			divide(shares, sent);
		pos = end;
		terminal_progress(pos, segment->used);
	}
	if (!good)
		terminal_message("codec %s failed on \"%s\"", codec->name, segment->path);
	free(encoded);
	free(decoded);
	return good;
}

static bool
send_segment(const Segment *segment, ReportWay *way, ReportRmgr *rmgrs)
{
	void	   *encoder = ws_codec_encoder_new(way->codec, &segment->params);
	void	   *decoder = way->codec->decoder_new(&segment->params);
	Cutter	   *cutter = calloc(1, sizeof(Cutter));
	Shares		shares = {.rmgrs = rmgrs};
	bool		good = encoder != NULL && decoder != NULL && cutter != NULL;

	if (good)
	{
		cutter->segment = segment;
		cutter->per_commit = way->per_commit;
		ws_walz_cursor_init(&cutter->cursor, &segment->params, segment->start);
		if (rmgrs != NULL)
			ws_walz_encoder_observe(encoder, observe, &shares);
		good = send_messages(segment, way, cutter, rmgrs != NULL ? &shares : NULL,
							 encoder, decoder);
	}
	else
		terminal_message("out of memory");
	ws_codec_encoder_free(encoder);
	way->codec->decoder_free(decoder);
	free(cutter);
	return good;
}

bool
report_segment(Report *report, const Segment *segment)
{
	report->segments++;
	report->wal_bytes += segment->used;
	for (int i = 0; i < REPORT_WAYS; i++)
	{
		ReportWay  *way = &report->ways[i];
		bool		divided = way->codec->id == WS_CODEC_WALZ && !way->per_commit;

		terminal_part(1 + i, REPORT_PARTS);
		if (!send_segment(segment, way, divided ? report->rmgrs : NULL))
			return false;
	}
	return true;
}

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static const char *
rmgr_name(int i)
{
	static char name[16];

	if (i == REPORT_RAW)
		return "(not modelled)";
	if (i < (int) lengthof(rmgr_names))
		return rmgr_names[i];
	snprintf(name, sizeof(name), "custom %d", i);
	return name;
}

/* Sort the resource managers that occur by their share of the bytes sent. */
static int
sort_rmgrs(const Report *report, int *order)
{
	int			n = 0;

	for (int i = 0; i < REPORT_RMGRS; i++)
	{
		int			at;

		if (report->rmgrs[i].records == 0)
			continue;
		for (at = n; at > 0 && report->rmgrs[order[at - 1]].sent_bytes <
			 report->rmgrs[i].sent_bytes; at--)
			order[at] = order[at - 1];
		order[at] = i;
		n++;
	}
	return n;
}

void
report_print(const Report *report)
{
	int			order[REPORT_RMGRS];
	int			n = sort_rmgrs(report, order);

	printf("%d segments, %.1f MB of WAL, decoded and compared\n\n",
		   report->segments, report->wal_bytes / 1e6);
	printf("%-24s %-6s %10s %12s %12s %7s %10s %10s\n", "messages", "codec",
		   "messages", "stock bytes", "sent bytes", "ratio", "encode", "decode");
	for (int i = 0; i < REPORT_WAYS; i++)
	{
		const ReportWay *way = &report->ways[i];

		printf("%-24s %-6s %10llu %12llu %12llu %7.2f %5.0f MB/s %5.0f MB/s\n",
			   way->per_commit ? "one per commit" : "128 kB (catching up)",
			   way->codec->name, (unsigned long long) way->messages,
			   (unsigned long long) way->stock_bytes,
			   (unsigned long long) way->sent_bytes,
			   ratio(way->stock_bytes, way->sent_bytes),
			   ratio(report->wal_bytes / 1e6, way->encode_seconds),
			   ratio(report->wal_bytes / 1e6, way->decode_seconds));
	}

	printf("\nwalz, 128 kB messages, by resource manager\n");
	printf("%-18s %10s %12s %6s %12s %6s %7s\n", "", "records", "bytes", "",
		   "sent bytes", "", "ratio");
	for (int i = 0; i < n; i++)
	{
		const ReportRmgr *rmgr = &report->rmgrs[order[i]];

		printf("%-18s %10llu %12llu %5.1f%% %12.0f %5.1f%% %7.2f\n",
			   rmgr_name(order[i]), (unsigned long long) rmgr->records,
			   (unsigned long long) rmgr->raw_bytes,
			   100 * ratio(rmgr->raw_bytes, report->wal_bytes), rmgr->sent_bytes,
			   100 * ratio(rmgr->sent_bytes, report->ways[1].sent_bytes),
			   ratio(rmgr->raw_bytes, rmgr->sent_bytes));
	}
	printf("\nSent bytes of a resource manager are its share of each message, by what it\n"
		   "gave to be compressed.  Not modelled: records that are cut by a message's\n"
		   "end, page headers between raw records, WAL without valid records.\n");
}

void
report_print_json(const Report *report)
{
	int			order[REPORT_RMGRS];
	int			n = sort_rmgrs(report, order);

	printf("{\"segments\": %d, \"wal_bytes\": %llu, \"ways\": [", report->segments,
		   (unsigned long long) report->wal_bytes);
	for (int i = 0; i < REPORT_WAYS; i++)
	{
		const ReportWay *way = &report->ways[i];

		printf("%s\n  {\"cut\": \"%s\", \"codec\": \"%s\", \"messages\": %llu, "
			   "\"stock_bytes\": %llu, \"sent_bytes\": %llu, \"ratio\": %.4f, "
			   "\"encode_seconds\": %.6f, \"decode_seconds\": %.6f}",
			   i > 0 ? "," : "", way->per_commit ? "commit" : "128kB",
			   way->codec->name, (unsigned long long) way->messages,
			   (unsigned long long) way->stock_bytes,
			   (unsigned long long) way->sent_bytes,
			   ratio(way->stock_bytes, way->sent_bytes),
			   way->encode_seconds, way->decode_seconds);
	}
	printf("],\n \"resource_managers\": [");
	for (int i = 0; i < n; i++)
	{
		const ReportRmgr *rmgr = &report->rmgrs[order[i]];

		printf("%s\n  {\"name\": \"%s\", \"records\": %llu, \"raw_bytes\": %llu, "
			   "\"sent_bytes\": %.0f, \"ratio\": %.4f}", i > 0 ? "," : "",
			   rmgr_name(order[i]), (unsigned long long) rmgr->records,
			   (unsigned long long) rmgr->raw_bytes, rmgr->sent_bytes,
			   ratio(rmgr->raw_bytes, rmgr->sent_bytes));
	}
	printf("]}\n");
}
